/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MQS_USAGE_H
#define MODEL_MQS_USAGE_H

#include "api_mqs.h"
#include "model/context.h"

/* How much of the brokers' disks the partitions take (7.2.9), the largest first. Administrators see Kafka's own topics
 * and those that are not the platform's too, others the topics of this instance that they may read; nobody sees those
 * of another instance.
 *
 * min_size: "1K" to "10000G", partitions of that size or larger; top: "1" to "1000", so many per broker; percentage:
 * "1" to "100", partitions that take more of the disk. Absent or empty: all. ERR_MQS_00400800. A broker that does not
 * answer is in the list without partitions. */
int usage_list(struct model *m, const struct mqs_list_mqs_instance_topic_disk_usage_in *in, struct mqs_usage *ret);

/* "8.0K", "53M": rounded up, as du -h does; for tests. */
struct str usage_size(struct arena *a, int64_t bytes);

#endif
