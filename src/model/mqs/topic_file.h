/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MQS_TOPIC_FILE_H
#define MODEL_MQS_TOPIC_FILE_H

#include "api_mqs.h"
#include "model/context.h"

/* Topics as a file (7.2.6, 7.2.7), whose form is ours:
 *
 *     {"version": "1.0", "topics": [{"name", "app_name", "partition", "replication", "retention_time",
 *      "sync_message_flush", "sync_replication", "description", "sensitive_word",
 *      "policies": [{"app_name", "access_policy", "tag", "owner"}]}]}
 *
 * Applications go by their names, so that a file can be read into another instance. */

/* names: topics separated by commas; empty: all that the caller may read. Begins its own transaction. */
int topic_export(struct model *m, struct str instance_id, struct str names, struct buf *out);

/* merge: topics that exist are changed, partitions grow and policies are added; else one that exists refuses the whole
 * file. prefix: goes before the names of the applications, and those that are not there are made. Nothing is made of a
 * file with a mistake: ERR_MQS_00400062. Kafka may fail in between: then a second try with merge ends it. */
int topic_import(struct model *m, struct str instance_id, struct str file, bool merge, struct str prefix);

#endif
