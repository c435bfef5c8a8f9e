/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "broker/handlers/broker.h"

#include <stdlib.h>

#undef MAX
#define MAX INT64_MAX
#define MAX32 INT32_MAX

/* Settings of topics as Kafka has them (kafka.apache.org/documentation/#topicconfigs). */
const struct mqs_config_def mqs_config_defs[CFG_COUNT] = {
	[CFG_CLEANUP_POLICY] = {"cleanup.policy", "log.cleanup.policy", CFG_LIST, "delete", 0, 0, "delete,compact",
				"What happens to old segments."},
	[CFG_COMPRESSION_TYPE] = {"compression.type", "compression.type", CFG_STRING, "producer", 0, 0,
				  "uncompressed,zstd,lz4,snappy,gzip,producer",
				  "How batches are compressed; producer: as they come."},
	[CFG_DELETE_RETENTION_MS] = {"delete.retention.ms", "log.cleaner.delete.retention.ms", CFG_LONG, "86400000", 0,
				     MAX, NULL, "How long deletions stay visible in a compacted topic."},
	[CFG_FILE_DELETE_DELAY_MS] = {"file.delete.delay.ms", "log.segment.delete.delay.ms", CFG_LONG, "60000", 0, MAX,
				      NULL, "Accepted; files go at once."},
	[CFG_FLUSH_MESSAGES] = {"flush.messages", "log.flush.interval.messages", CFG_LONG, "9223372036854775807", 1,
				MAX, NULL, "Records after which the log is flushed to disk without being asked."},
	[CFG_FLUSH_MS] = {"flush.ms", "log.flush.interval.ms", CFG_LONG, "9223372036854775807", 0, MAX, NULL,
			  "Time after which the log is flushed to disk without being asked."},
	[CFG_FOLLOWER_THROTTLED] = {"follower.replication.throttled.replicas", NULL, CFG_LIST, "", 0, 0, NULL,
				    "Accepted; there is one replica."},
	[CFG_INDEX_INTERVAL_BYTES] = {"index.interval.bytes", "log.index.interval.bytes", CFG_INT, "4096", 0, MAX32,
				      NULL, "Accepted; the interval is the broker's."},
	[CFG_LEADER_THROTTLED] = {"leader.replication.throttled.replicas", NULL, CFG_LIST, "", 0, 0, NULL,
				  "Accepted; there is one replica."},
	[CFG_MAX_COMPACTION_LAG_MS] = {"max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", CFG_LONG,
				       "9223372036854775807", 1, MAX, NULL, "Accepted."},
	[CFG_MAX_MESSAGE_BYTES] = {"max.message.bytes", "message.max.bytes", CFG_INT, "10485760", 0, 100 << 20, NULL,
				   "The largest batch."},
	[CFG_DOWNCONVERSION] = {"message.downconversion.enable", "log.message.downconversion.enable", CFG_BOOLEAN,
				"true", 0, 0, NULL, "Accepted; old clients are served."},
	[CFG_TIMESTAMP_AFTER] = {"message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms", CFG_LONG,
				 "9223372036854775807", 0, MAX, NULL, "How far ahead a record's time may be."},
	[CFG_TIMESTAMP_BEFORE] = {"message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms", CFG_LONG,
				  "9223372036854775807", 0, MAX, NULL, "How old a record's time may be."},
	[CFG_TIMESTAMP_TYPE] = {"message.timestamp.type", "log.message.timestamp.type", CFG_STRING, "CreateTime", 0, 0,
				"CreateTime,LogAppendTime", "Whose time records have."},
	[CFG_MIN_DIRTY_RATIO] = {"min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio", CFG_DOUBLE, "0.5", 0,
				 1, NULL, "Part of a log that is not compacted from which on it is."},
	[CFG_MIN_COMPACTION_LAG_MS] = {"min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", CFG_LONG, "0", 0,
				       MAX, NULL, "How long records are not compacted."},
	[CFG_MIN_INSYNC] = {"min.insync.replicas", "min.insync.replicas", CFG_INT, "1", 1, MAX32, NULL,
			    "Accepted; there is one replica."},
	[CFG_PREALLOCATE] = {"preallocate", "log.preallocate", CFG_BOOLEAN, "false", 0, 0, NULL,
			     "Accepted; space is always reserved ahead."},
	[CFG_RETENTION_BYTES] = {"retention.bytes", "log.retention.bytes", CFG_LONG, "-1", -1, MAX, NULL,
				 "Size of a partition beyond which old segments go; -1: none."},
	[CFG_RETENTION_MS] = {"retention.ms", "log.retention.ms", CFG_LONG, "259200000", -1, MAX, NULL,
			      "Age after which segments go; -1: none."},
	[CFG_SEGMENT_BYTES] = {"segment.bytes", "log.segment.bytes", CFG_INT, "1073741824", 14, MAX32, NULL,
			       "Size of a segment."},
	[CFG_SEGMENT_INDEX_BYTES] = {"segment.index.bytes", "log.index.size.max.bytes", CFG_INT, "10485760", 4, MAX32,
				     NULL, "Accepted; indexes grow as needed."},
	[CFG_SEGMENT_JITTER_MS] = {"segment.jitter.ms", "log.roll.jitter.ms", CFG_LONG, "0", 0, MAX, NULL, "Accepted."},
	[CFG_SEGMENT_MS] = {"segment.ms", "log.roll.ms", CFG_LONG, "604800000", 1, MAX, NULL,
			    "Age after which a new segment begins."},
	[CFG_UNCLEAN_ELECTION] = {"unclean.leader.election.enable", "unclean.leader.election.enable", CFG_BOOLEAN,
				  "false", 0, 0, NULL, "Accepted; there is one replica."},
};

int mqs_config_find(struct str name)
{
	for (int i = 0; i < CFG_COUNT; i++)
		if (str_is(name, mqs_config_defs[i].name))
			return i;
	return -1;
}

static bool one_of(struct str value, const char *values)
{
	struct str rest = str_of(values);

	while (rest.p)
		if (str_eq(str_cut(&rest, ','), value))
			return true;
	return false;
}

static bool list_fine(struct str value, const char *values)
{
	while (values && value.p && value.n)
		if (!one_of(str_trim(str_cut(&value, ',')), values))
			return false;
	return true;
}

static bool parse_double(struct str value, double *ret)
{
	char text[64], *end;

	if (value.n == 0 || value.n >= sizeof(text))
		return false;
	memcpy(text, value.p, value.n);
	text[value.n] = 0;
	*ret = strtod(text, &end);
	return *end == 0;
}

const char *mqs_config_check(int id, struct str value)
{
	const struct mqs_config_def *d = &mqs_config_defs[id];
	long long n;
	double f;

	switch (d->type) {
	case CFG_BOOLEAN:
		return str_is(value, "true") || str_is(value, "false") ? NULL : "not true or false";
	case CFG_STRING:
		return one_of(value, d->values) ? NULL : "not one of the allowed values";
	case CFG_LIST:
		return list_fine(value, d->values) ? NULL : "not a list of allowed values";
	case CFG_DOUBLE:
		return parse_double(value, &f) && f >= (double)d->min && f <= (double)d->max ? NULL : "out of range";
	default:
		return str_to_int(value, d->min, d->max, &n) ? NULL : "not a number, or out of range";
	}
}

void mqs_settings_set(struct mqs_settings *s, int id, struct str value)
{
	free(s->v[id]);
	s->v[id] = NULL;
	if (!value.p)
		return;
	s->v[id] = mem_alloc(value.n + 1);
	memcpy(s->v[id], value.p, value.n);
	s->v[id][value.n] = 0;
}

void mqs_settings_copy(struct mqs_settings *to, const struct mqs_settings *from)
{
	*to = (struct mqs_settings){0};
	for (int i = 0; i < CFG_COUNT; i++)
		mqs_settings_set(to, i, str_of(from->v[i]));
}

void mqs_settings_done(struct mqs_settings *s)
{
	for (int i = 0; i < CFG_COUNT; i++)
		mqs_settings_set(s, i, STR_NONE);
}
