/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_PUBLISH_PUBLISH_H
#define MODEL_PUBLISH_PUBLISH_H

#include "model/context.h"
#include "published/published.h"

/* Projects the system of record into the published state. A transaction that changes something the data planes need
 * says so with store_outbox(kind, key); after its commit publish_run() brings the published state up to date. A crash
 * between the two is caught up by the next run: the last row projected is stored in the same batch as its effect.
 *
 * An object that cannot be projected (a damaged document, a kind of another release) does not stop the others: it is
 * set aside in the table outbox_dead with its error, keeping its old published state, and tried again by the next row
 * of the outbox for it, by publish_retry() and by a rebuild. Where the store or the disk is the reason, nothing is set
 * aside: the run fails, to be tried again. */

/* How objects of one kind are projected. key is the object's id. */
struct publish_kind {
	const char *kind;
	/* Brings all values that depend on this object up to date, deleting them when it is gone. Reads at m->tx. */
	int (*project)(struct model *m, struct pub_batch *batch, struct str key);
	/* SQL that lists the keys of all objects, in a stable order: "SELECT id FROM x ORDER BY id". */
	const char *all;
};

/* The kinds, ordered so that a rebuild meets what others need first. Each domain defines its own row. */
extern const struct publish_kind publish_user, publish_access_key; /* model/iam/publish.c */
extern const struct publish_kind publish_app; /* model/public/publish.c */
extern const struct publish_kind publish_datasource; /* model/fdi/publish.c */
extern const struct publish_kind publish_livedata; /* model/livedata/publish.c */
extern const struct publish_kind publish_mqs_right; /* model/mqs/publish.c; key: a topic's name */
/* model/apic/publish.h says what their keys are */
extern const struct publish_kind publish_api, publish_route, publish_group, publish_host;
extern const struct publish_kind publish_app_auth, publish_app_code, publish_debug;

/* Projects what the outbox holds beyond the published state. m: arena, store, keys, settings; tx is begun and ended
 * here. One thread at a time. */
int publish_run(struct model *m, struct pub *pub);

/* Tries what has been set aside once more. */
int publish_retry(struct model *m, struct pub *pub);

/* As publish_run() and publish_retry(), for a start: builds all anew when the outbox cannot tell what is missing,
 * because the published state was lost or is not of this system of record. */
int publish_catch_up(struct model *m, struct pub *pub);

/* What has been set aside, in m->arena. Reads at m->tx. The published state holds the number (PUB_SET_ASIDE). */
struct publish_dead {
	struct str kind, key, error;
	int64_t seq, since_ms;
};
int publish_dead_list(struct model *m, struct publish_dead **ret, size_t *ret_n);

/* Deletes rows of the outbox that are projected, but for the newest keep (at least 1) of them. What is not yet
 * projected stays, however long that takes. */
int publish_trim(struct model *m, struct pub *pub, int64_t keep);

/* Builds the whole published state anew, in one batch. The result has the same bytes as the incremental one, but for
 * what is set aside: of that it has nothing. */
int publish_rebuild(struct model *m, struct pub *pub);

/* Compares pub with a rebuild made in an empty environment at scratch_dir. *ret_differences: number of keys that
 * differ; report (may be NULL) is called with each. */
int publish_verify(struct model *m, struct pub *pub, const char *scratch_dir, size_t *ret_differences,
		   void (*report)(void *ctx, struct str key, const char *what), void *ctx);

#endif
