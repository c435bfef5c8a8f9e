/* SPDX-License-Identifier: Apache-2.0 */
#include "model/publish/publish.h"

#define MAX_BYTES 16384

/* "a || b" as a JSON array. */
static void put_tags(struct buf *out, struct str side)
{
	bool first = true;

	buf_char(out, '[');
	while (side.p) {
		struct str tag = str_trim(str_cut(&side, '|'));

		if (!tag.n)
			continue;
		if (!first)
			buf_char(out, ',');
		json_print_str(out, tag);
		first = false;
	}
	buf_char(out, ']');
}

/* {"pub":true,"sub":true,"owner":false,"pub_tags":[],"sub_tags":["a"]}: no tags means all messages. */
static int put_right(struct model *m, struct pub_batch *batch, struct str topic, struct store_rows *rows)
{
	char name[PUB_KEY_MAX + 1];
	struct str key = store_str(rows, 0, m->arena), access = store_str(rows, 1, m->arena);
	struct str tag = store_str(rows, 2, m->arena), second;
	bool owner = store_int(rows, 3) != 0;
	struct buf out;

	second = tag;
	struct str first = str_cut(&second, '&');

	/* One list is for the one thing that is permitted, or for both. */
	if (!second.p)
		second = first;
	buf_init(&out, MAX_BYTES);
	buf_fmt(&out, "{\"pub\":%s,\"sub\":%s,\"owner\":%s,\"pub_tags\":",
		owner || !str_is(access, "sub") ? "true" : "false", owner || !str_is(access, "pub") ? "true" : "false",
		owner ? "true" : "false");
	put_tags(&out, first);
	buf_cstr(&out, ",\"sub_tags\":");
	put_tags(&out, second);
	buf_char(&out, '}');
	int rc = out.failed ? err_set(&m->err, ERR_APPIA_0500, "a published value is too large")
			    : pub_put(batch, pub_key(name, "topic_right", topic, key, STR_NONE), buf_view(&out),
				      &m->err);

	buf_done(&out);
	return rc;
}

static int project_rights(struct model *m, struct pub_batch *batch, struct str topic)
{
	struct store_rows *rows;
	int rc = pub_del_prefix(batch, arena_fmt(m->arena, "topic_right/%.*s/", STR_FMT(topic)), &m->err);

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 "SELECT a.key, p.access, p.tag, CASE WHEN t.app_id = p.app_id THEN 1 ELSE 0 END"
				 " FROM mqs_policy p JOIN mqs_topic t ON t.name = p.topic JOIN app a ON a.id = p.app_id"
				 " WHERE p.topic = ? ORDER BY a.key", "s", topic);
	if (rc)
		return rc;
	while (rc == 0 && store_next(rows))
		rc = put_right(m, batch, topic, rows);
	int ended = store_done(&rows, &m->err);

	return rc ? rc : ended;
}

const struct publish_kind publish_mqs_right = {"mqs_right", project_rights, "SELECT name FROM mqs_topic ORDER BY name"};
