/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MQS_TOPIC_H
#define MODEL_MQS_TOPIC_H

#include "api_mqs.h"
#include "model/context.h"
#include "model/public/app.h"

/* Topics (7.2). They belong to an integration application, whose roles decide: ERR_MQS_00403003. Unknown topic:
 * ERR_MQS_00400101; unknown application: ERR_MQS_00400800.
 *
 * A topic is a row here and a topic of Kafka, and neither can be in the other's transaction: the row says first what
 * will be done, Kafka does it, the row says that it is done. Each of the two is a short transaction
 * (model/write.h), and none is open while Kafka is asked. What a crash left in between, topic_heal() ends.
 *
 * States: creating, ready, changing (Kafka may not have the row's settings yet), deleting. Calls at the same time about
 * one topic do not wait for each other. Changes: the one recorded last wins, in the row and in Kafka. A change of a
 * topic that is being deleted, and a creation that ends after a deletion: ERR_MQS_00400101. */

struct topic {
	struct str name, instance_id, app_id, app_name, app_key, state, description, sensitive_word;
	int64_t partitions, replication, retention_hours, created_ms;
	bool sync_flush, sync_replication;
	unsigned roles; /* of the caller: enum app_role */
};

/* All of these but topic_get() begin their own transactions. */

/* Reads one at m->tx, when the caller has the role. */
int topic_get(struct model *m, struct str instance_id, struct str name, enum app_role role, struct topic *ret);
/* The same in a transaction of its own. */
int topic_look(struct model *m, struct str instance_id, struct str name, enum app_role role, struct topic *ret);

int topic_create(struct model *m, struct str instance_id, const struct mqs_topic *in);
int topic_list(struct model *m, const struct mqs_list_mqs_instance_topics_in *in, struct mqs_topic_list *ret);
/* All or, when one is refused, those before it. */
int topic_update(struct model *m, struct str instance_id, const struct mqs_topic_array *list);
/* ret has the fate of each. */
int topic_delete(struct model *m, struct str instance_id, const struct str_array *names,
		 struct mqs_topic_deletion_list *ret);

/* Ends what began and is not recorded as ended, in any instance. */
int topic_heal(struct model *m);

/* The application by its id or its key. Reads at m->tx. */
int topic_app(struct model *m, struct str instance_id, struct str id_or_key, struct str *ret_id);

/* Numbers in the text of a query parameter; STR_NONE and "": otherwise. ERR_MQS_00400800. */
int mqs_number(struct model *m, const char *name, struct str text, int64_t min, int64_t max, int64_t otherwise,
	       int64_t *ret);

#endif
