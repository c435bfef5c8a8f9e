/* SPDX-License-Identifier: Apache-2.0 */
#include "model/mqs/usage.h"

#include "base/map.h"
#include "model/mqs/cluster.h"
#include "model/mqs/topic.h"
#include "model/public/app.h"

#include <stdlib.h>

#define MAX_ROWS 10000 /* partitions of a broker in an answer */

static char shown, hidden;
#define SHOWN ((void *)&shown)
#define HIDDEN ((void *)&hidden)

struct filter {
	int64_t min_size, top, percentage;
	bool all; /* topics that are not the platform's too */
	struct map *topics; /* of the platform: by name, SHOWN or HIDDEN */
};

struct str usage_size(struct arena *a, int64_t bytes)
{
	static const char units[] = "KMGTPE";
	int64_t unit = 1024;
	size_t i = 0;

	if (bytes <= 0)
		return STR("0");
	while (i + 2 < sizeof(units) && bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	int64_t tenths = bytes / unit * 10 + (bytes % unit * 10 + unit - 1) / unit;

	if (tenths < 100)
		return arena_fmt(a, "%lld.%lld%c", (long long)(tenths / 10), (long long)(tenths % 10), units[i]);
	int64_t whole = bytes / unit + (bytes % unit != 0);

	return whole == 1024 && i + 2 < sizeof(units) ? arena_fmt(a, "1.0%c", units[i + 1])
						      : arena_fmt(a, "%lld%c", (long long)whole, units[i]);
}

static int read_size(struct model *m, struct str text, int64_t *ret)
{
	static const char units[] = "KMG";
	long long v;

	*ret = 0;
	if (!text.n)
		return 0;
	for (size_t i = 0; i < 3; i++)
		if ((text.p[text.n - 1] | 0x20) == (units[i] | 0x20) &&
		    str_to_int(str_sub(text, 0, text.n - 1), 1, 10000, &v)) {
			*ret = v << (10 * (i + 1));
			return 0;
		}
	return err_set_text(&m->err, ERR_MQS_00400800,
			    "Invalid minSize in the request, a number from 1 to 10000 with K, M or G is expected.");
}

static int read_filter(struct model *m, const struct mqs_list_mqs_instance_topic_disk_usage_in *in, struct filter *f)
{
	int rc = read_size(m, in->minSize, &f->min_size);

	if (rc == 0)
		rc = mqs_number(m, "top", in->top, 1, 1000, MAX_ROWS, &f->top);
	if (rc == 0)
		rc = mqs_number(m, "percentage", in->percentage, 1, 100, 0, &f->percentage);
	return rc;
}

static int add_topics(struct model *m, struct filter *f, struct str instance_id, void *what)
{
	struct str me = what == SHOWN ? app_visible_user(m) : STR_NONE;
	struct store_rows *rows;
	int rc = store_query(
		m->tx, &m->err, &rows,
		"SELECT t.name FROM mqs_topic t WHERE (CAST(? AS TEXT) IS NULL OR t.instance_id = ?)" APP_VISIBLE(
			"t.app_id"),
		"sssss", instance_id, instance_id, me, me, me);

	if (rc)
		return rc;
	while (store_next(rows))
		map_put(f->topics, store_str(rows, 0, m->arena), what);
	return store_done(&rows, &m->err);
}

static void free_map(void *map)
{
	map_free(map);
}

static int read_topics(struct model *m, struct str instance_id, struct filter *f)
{
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	f->all = m->who && m->who->administrator;
	f->topics = map_new();
	arena_cleanup(m->arena, free_map, f->topics);
	rc = add_topics(m, f, STR_NONE, HIDDEN);
	if (rc == 0)
		rc = add_topics(m, f, instance_id, SHOWN);
	store_rollback(&m->tx);
	return rc;
}

static double share(const struct cluster_disk *disk, int64_t bytes)
{
	return disk->known && disk->total > 0 ? 100.0 * (double)bytes / (double)disk->total : 0;
}

static bool wanted(const struct filter *f, const struct cluster_disk *disk, const struct cluster_replica *r)
{
	void *known = map_get(f->topics, r->topic);

	return (known ? known == SHOWN : f->all) && r->bytes >= f->min_size &&
	       (f->percentage == 0 || share(disk, r->bytes) > (double)f->percentage);
}

static int largest_first(const void *a, const void *b)
{
	const struct cluster_replica *x = a, *y = b;
	int order = str_cmp(x->topic, y->topic);

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static void show_replicas(struct model *m, const struct filter *f, struct cluster_disk *disk,
			  struct mqs_broker_usage *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < disk->n_replicas; i++)
		if (wanted(f, disk, &disk->replicas[i]))
			disk->replicas[n++] = disk->replicas[i];
	if (n)
		qsort(disk->replicas, n, sizeof(*disk->replicas), largest_first);
	n = (int64_t)n > f->top ? (size_t)f->top : n;
	ret->topic_list.v = ARENA_ARRAY(m->arena, struct mqs_topic_usage, n + 1);
	for (size_t i = 0; i < n; i++)
		ret->topic_list.v[ret->topic_list.n++] = (struct mqs_topic_usage){
			.size = usage_size(m->arena, disk->replicas[i].bytes),
			.topic_name = disk->replicas[i].topic,
			.topic_partition = arena_fmt(m->arena, "%lld", (long long)disk->replicas[i].partition),
			.percentage = share(disk, disk->replicas[i].bytes),
			.has_percentage = disk->known,
		};
}

/* Rounded up, as df does. */
static struct str percent(struct arena *a, int64_t used, int64_t total)
{
	double exact = total > 0 ? 100.0 * (double)used / (double)total : 0;
	long long whole = (long long)exact;

	return arena_fmt(a, "%lld", whole + (exact > (double)whole));
}

static void show(struct model *m, const struct filter *f, struct cluster_disk *disk, struct mqs_broker_usage *ret)
{
	int64_t used = disk->total - disk->usable;

	*ret = (struct mqs_broker_usage){
		.broker_name = arena_fmt(m->arena, "broker-%lld", (long long)disk->broker),
		.status = disk->answered ? STR("Success get info") : STR("Failed to get info"),
	};
	/* What an old Kafka does not tell is left out. */
	if (disk->known) {
		ret->data_disk_size = usage_size(m->arena, disk->total);
		ret->data_disk_use = usage_size(m->arena, used);
		ret->data_disk_free = usage_size(m->arena, disk->usable);
		ret->data_disk_use_percentage = percent(m->arena, used, disk->total);
	}
	show_replicas(m, f, disk, ret);
}

int usage_list(struct model *m, const struct mqs_list_mqs_instance_topic_disk_usage_in *in, struct mqs_usage *ret)
{
	struct filter filter = {0};
	struct cluster_disk *disks;
	size_t n = 0;
	int rc = read_filter(m, in, &filter);

	if (rc == 0)
		rc = read_topics(m, in->instance_id, &filter);
	if (rc == 0)
		rc = cluster_disks(m, &disks, &n);
	if (rc)
		return rc;
	ret->broker_list.v = ARENA_ARRAY(m->arena, struct mqs_broker_usage, n + 1);
	for (size_t i = 0; i < n; i++)
		show(m, &filter, &disks[i], &ret->broker_list.v[ret->broker_list.n++]);
	return 0;
}
