/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_SHARE_SHARE_PRIV_H
#define BROKER_SHARE_SHARE_PRIV_H

#include "base/map.h"
#include "base/mem.h"
#include "broker/share/share.h"

#include <stdlib.h>

/* Stored in records: values may be added, not changed. An acquired run is stored as available. */
enum run_state { RUN_AVAILABLE = 0, RUN_ACQUIRED = 1, RUN_ACKNOWLEDGED = 2, RUN_ARCHIVED = 3 };

/* Who holds runs. Goes with its last run. */
struct owner {
	struct str id;
	size_t runs;
};

struct run {
	int64_t first, last;
	int64_t until; /* acquired */
	struct owner *owner; /* acquired */
	int16_t count; /* deliveries */
	enum run_state state;
};

struct share_part {
	struct str key; /* of the map, and of the record */
	struct str group; /* inside key */
	struct share_tp tp;
	int64_t start, end; /* end: behind the last run */
	struct run *v; /* without gaps from start to end */
	size_t n, cap;
	struct coord_timer timer; /* the first lock that ends */
	bool listed; /* is in the queue */
	bool stored; /* its start has been stored once */
	uint64_t batch; /* it went with last */
};

struct session {
	struct str key, group, member; /* group and member inside key */
	uint64_t conn;
	int32_t epoch; /* of the next request */
	struct share_tp *v;
	size_t n, cap;
	size_t turn;
};

/* Keys of share partitions whose record has to be written, or deleted where there is none any more. */
struct queued {
	struct str key;
	uint64_t seq;
};

struct waiting {
	struct waiting *next;
	uint64_t token, seq;
	bool failed;
};

enum share_timer { TIMER_PART, TIMER_RETRY };

struct share_coord {
	struct share_env env;
	struct share_config cfg;
	struct map *parts, *sessions, *owners;
	struct coord_timers timers;
	struct coord_timer retry;
	struct queued *queue, *flying;
	size_t n_queue, cap_queue, n_flying;
	struct waiting *waiting, **waiting_end;
	uint64_t seq; /* of the last that was queued */
	uint64_t batch;
	bool busy, pumping, loaded;
	struct share_stats stats;
};

/* part.c */
struct share_part *share__find(struct share_coord *c, struct str group, const struct share_tp *tp);
struct share_part *share__make(struct share_coord *c, struct str group, const struct share_tp *tp, int64_t start);
/* Frees; its record is not touched. */
void share__part_free(struct share_coord *c, struct share_part *p);
/* Removes, its record too. */
void share__part_drop(struct share_coord *c, struct share_part *p);
/* What the member holds is available again. */
void share__release(struct share_coord *c, struct share_part *p, struct str member);
void share__part_due(struct share_coord *c, struct share_part *p, int64_t now_ms);
/* A run at the end, while records are read back. */
void share__part_append(struct share_coord *c, struct share_part *p, int64_t n, enum run_state state, int16_t count);
void share__part_clear(struct share_coord *c, struct share_part *p, int64_t start);

/* save.c */
struct str share__key(struct buf *b, struct str group, const struct share_tp *tp);
void share__touch(struct share_coord *c, struct share_part *p);
void share__gone(struct share_coord *c, struct str key);
void share__pump(struct share_coord *c, int64_t now_ms);

/* session.c */
void share__session_free(struct share_coord *c, struct session *s);

#endif
