/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/share/share_priv.h"

/* Share sessions (KIP-932): which partitions a member fetches, and which of its requests is the next. */

static struct str session_key(struct buf *b, struct str group, struct str member)
{
	coord_put_str(b, group);
	coord_put_str(b, member);
	return buf_view(b);
}

static struct session *find(struct share_coord *c, struct str group, struct str member)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	struct session *s = map_get(c->sessions, session_key(&b, group, member));

	buf_done(&b);
	return s;
}

void share__session_free(struct share_coord *c, struct session *s)
{
	map_del(c->sessions, s->key);
	coord_disown(&s->key);
	free(s->v);
	free(s);
}

static struct session *make(struct share_coord *c, const struct share_session_req *in)
{
	struct session *s = mem_zalloc(sizeof(*s));
	struct buf b;

	buf_init(&b, 1 << 20);
	s->key = coord_own(session_key(&b, in->group, in->member));
	buf_done(&b);
	s->group = str_sub(s->key, 4, 4 + in->group.n);
	s->member = str_sub(s->key, 8 + in->group.n, s->key.n);
	s->conn = in->conn;
	s->epoch = 1;
	map_put(c->sessions, s->key, s);
	return s;
}

static size_t place_of(const struct session *s, const struct share_tp *tp)
{
	size_t i = 0;

	while (i < s->n && memcmp(&s->v[i], tp, sizeof(*tp)) != 0)
		i++;
	return i;
}

static void update(struct share_coord *c, struct session *s, const struct share_session_req *in)
{
	for (size_t i = 0; i < in->n_add; i++) {
		if (s->n >= c->cfg.session_parts_max || place_of(s, &in->add[i]) < s->n)
			continue;
		if (s->n == s->cap) {
			s->cap = s->cap ? 2 * s->cap : 8;
			s->v = mem_realloc(s->v, s->cap * sizeof(*s->v));
		}
		s->v[s->n++] = in->add[i];
	}
	for (size_t i = 0; i < in->n_forget; i++) {
		size_t at = place_of(s, &in->forget[i]);

		if (at == s->n)
			continue;
		memmove(&s->v[at], &s->v[at + 1], (s->n - at - 1) * sizeof(*s->v));
		s->n--;
	}
}

static void list(struct session *s, struct arena *a, const struct share_tp **ret, size_t *ret_n)
{
	struct share_tp *v = ARENA_ARRAY(a, struct share_tp, s->n + 1);

	for (size_t i = 0; i < s->n; i++)
		v[i] = s->v[(i + s->turn) % s->n];
	s->turn = s->n ? (s->turn + 1) % s->n : 0;
	*ret = v;
	*ret_n = s->n;
}

int16_t share_session(struct share_coord *c, const struct share_session_req *in, struct arena *a,
		      const struct share_tp **ret, size_t *ret_n)
{
	struct session *s = find(c, in->group, in->member);

	*ret = NULL;
	*ret_n = 0;
	if (in->epoch == SHARE_EPOCH_FIRST) {
		if (!in->fetch)
			return COORD_INVALID_SHARE_SESSION_EPOCH;
		if (s)
			share__session_free(c, s);
		if (map_count(c->sessions) >= c->cfg.sessions_max)
			return COORD_SHARE_SESSION_LIMIT_REACHED;
		s = make(c, in);
	} else if (!s) {
		return COORD_SHARE_SESSION_NOT_FOUND;
	} else if (in->epoch == SHARE_EPOCH_FINAL) {
		return COORD_OK;
	} else if (in->epoch != s->epoch) {
		return COORD_INVALID_SHARE_SESSION_EPOCH;
	} else {
		s->epoch = s->epoch == INT32_MAX ? 1 : s->epoch + 1;
	}
	if (in->fetch) {
		update(c, s, in);
		list(s, a, ret, ret_n);
	}
	return COORD_OK;
}

static void end(struct share_coord *c, struct session *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct share_part *p = share__find(c, s->group, &s->v[i]);

		if (p)
			share__release(c, p, s->member);
	}
	share__session_free(c, s);
}

void share_session_end(struct share_coord *c, struct str group, struct str member, int64_t now_ms)
{
	struct session *s = find(c, group, member);

	if (s)
		end(c, s);
	share__pump(c, now_ms);
}

void share_conn_gone(struct share_coord *c, uint64_t conn, int64_t now_ms)
{
	void *v;

	for (size_t at = 0; map_next(c->sessions, &at, NULL, &v);)
		if (((struct session *)v)->conn == conn)
			end(c, v);
	share__pump(c, now_ms);
}
