/* SPDX-License-Identifier: Apache-2.0 */
#include "model/mqs/cluster_priv.h"

#include <stdlib.h>

/* Ends of partitions and offsets of times. */

static rd_kafka_topic_partition_list_t *list_of(struct model *m, const struct cluster_partition *list, size_t n)
{
	rd_kafka_topic_partition_list_t *out = rd_kafka_topic_partition_list_new((int)n);

	for (size_t i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(out, arena_cstr(m->arena, list[i].topic), (int32_t)list[i].partition)
			->offset = list[i].offset;
	return out;
}

static int by_partition(const void *a, const void *b)
{
	const struct cluster_partition *x = a, *y = b;
	int order = str_cmp(x->topic, y->topic);

	return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

/* The same in order and once each: the library fills in the first of two only. */
static struct cluster_partition *distinct(struct model *m, const struct cluster_partition *list, size_t *n)
{
	struct cluster_partition *out = ARENA_ARRAY(m->arena, struct cluster_partition, *n + 1);
	size_t kept = 0;

	memcpy(out, list, *n * sizeof(*out));
	qsort(out, *n, sizeof(*out), by_partition);
	for (size_t i = 0; i < *n; i++)
		if (i == 0 || by_partition(&out[i], &out[kept - 1]))
			out[kept++] = out[i];
	*n = kept;
	return out;
}

/* The library passes special times (-1: end, -2: start) on as they are. A partition that is gone has no end: 0. */
int cluster_ends(struct model *m, struct cluster_partition *list, size_t n)
{
	rd_kafka_topic_partition_list_t *parts;
	rd_kafka_resp_err_t code;
	rd_kafka_t *rk;
	size_t unlike = n;

	if (n == 0)
		return 0;
	int rc = cluster__handle(m, &rk);

	if (rc)
		return rc;
	struct cluster_partition *all = distinct(m, list, &unlike);

	parts = list_of(m, all, unlike);
	for (size_t i = 0; i < unlike; i++)
		parts->elems[i].offset = CLUSTER_END;
	code = rd_kafka_offsets_for_times(rk, parts, (int)cluster__left_ms(m));
	for (size_t i = 0; i < unlike; i++)
		all[i].offset = parts->elems[i].err || parts->elems[i].offset < 0 ? 0 : parts->elems[i].offset;
	for (size_t i = 0; i < n; i++) {
		const struct cluster_partition *p = bsearch(&list[i], all, unlike, sizeof(*all), by_partition);

		list[i].offset = p ? p->offset : 0;
	}
	rd_kafka_topic_partition_list_destroy(parts);
	rc = code ? cluster__fault(m, code, NULL) : 0;
	return rc == CLUSTER_UNKNOWN ? 0 : rc;
}

int cluster_offsets(struct model *m, struct str topic, size_t n, int64_t at_ms, int64_t *ret)
{
	struct cluster_partition *list = ARENA_ARRAY(m->arena, struct cluster_partition, n + 1), *ends;
	rd_kafka_topic_partition_list_t *parts;
	rd_kafka_resp_err_t code;
	rd_kafka_t *rk;
	int rc = cluster__handle(m, &rk);

	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++)
		list[i] = (struct cluster_partition){topic, (int64_t)i, at_ms};
	parts = list_of(m, list, n);
	code = rd_kafka_offsets_for_times(rk, parts, (int)cluster__left_ms(m));
	for (size_t i = 0; !code && i < n; i++) {
		code = parts->elems[i].err;
		ret[i] = parts->elems[i].offset;
	}
	rd_kafka_topic_partition_list_destroy(parts);
	if (code)
		return cluster__fault(m, code, NULL);
	if (at_ms < 0)
		return 0;
	/* No record is that young. */
	ends = list;
	rc = cluster_ends(m, ends, n);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (ret[i] < 0)
			ret[i] = ends[i].offset;
	return rc;
}
