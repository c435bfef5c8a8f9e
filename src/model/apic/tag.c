/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/tag.h"

#include "model/apic/list.h"

#define TAGS                                                                                                           \
	" FROM (SELECT DISTINCT t.tag FROM api_tag t JOIN api a ON a.id = t.api_id WHERE a.instance_id = "             \
	"?" APP_VISIBLE("a.app_id") ") s"

int apic_tag_list_by(struct model *m, const struct apic_list_tags_in *in, struct apic_tag_list *ret)
{
	struct str user = app_visible_user(m);
	struct apic_page page = APIC_PAGE(in);
	struct store_rows *rows;
	int64_t total;
	int rc = store_get_int(m->tx, &m->err, &total, NULL, "SELECT COUNT(*)" TAGS, "ssss", in->instance_id, user,
			       user, user);

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows, "SELECT s.tag" TAGS " ORDER BY s.tag LIMIT ? OFFSET ?",
				 "ssssii", in->instance_id, user, user, user, page.limit, page.offset);
	if (rc)
		return rc;
	ret->tags.v = ARENA_ARRAY(m->arena, struct str, (size_t)page.limit);
	while (ret->tags.n < (size_t)page.limit && store_next(rows))
		ret->tags.v[ret->tags.n++] = store_str(rows, 0, m->arena);
	SET(ret, total, total);
	SET(ret, size, (int64_t)ret->tags.n);
	return store_done(&rows, &m->err);
}
