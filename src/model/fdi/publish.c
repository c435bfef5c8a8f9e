/* SPDX-License-Identifier: Apache-2.0 */
#include "model/fdi/content.h"
#include "model/publish/publish.h"

#define MAX_BYTES ((size_t)8 << 20)

/* The document of struct internal_datasource (spec/internal/worker.yaml). The drivers that run custom back ends know
 * one secret, content.password, which stays sealed; the other secrets are for the integration tasks. */
static int encode(struct model *m, struct store_rows *rows, struct buf *out)
{
	struct fdi_content *content = store_doc(rows, 3, &doc_fdi_content, m->arena);
	struct str sealed;

	if (!content)
		return err_set(&m->err, ERR_APPIA_0500, "a data source has no content");
	sealed = content->password;
	content = content_strip(m, content);
	buf_cstr(out, "{\"id\":");
	json_print_str(out, store_str(rows, 0, m->arena));
	buf_cstr(out, ",\"name\":");
	json_print_str(out, store_str(rows, 1, m->arena));
	buf_cstr(out, ",\"type\":");
	json_print_str(out, store_str(rows, 2, m->arena));
	buf_cstr(out, ",\"content\":");
	schema_encode(&doc_fdi_content, content, out);
	if (sealed.n) {
		buf_cstr(out, ",\"sealed_password\":");
		json_print_str(out, sealed);
	}
	buf_fmt(out, ",\"version\":%lld}", (long long)store_int(rows, 4));
	return out->failed ? err_set(&m->err, ERR_APPIA_0500, "a published value is too large") : 0;
}

static int project_datasource(struct model *m, struct pub_batch *batch, struct str id)
{
	char name[PUB_KEY_MAX + 1];
	struct str at = pub_key(name, "datasource", id, STR_NONE, STR_NONE);
	struct store_rows *rows;
	struct buf out;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT id, name, type, content, updated_ms FROM datasource WHERE id = ?", "s", id);

	if (rc)
		return rc;
	buf_init(&out, MAX_BYTES);
	bool found = store_next(rows);

	if (found)
		rc = encode(m, rows, &out);
	int ended = store_done(&rows, &m->err);

	if (!rc)
		rc = ended;
	if (!rc)
		rc = found ? pub_put(batch, at, buf_view(&out), &m->err) : pub_del(batch, at, &m->err);
	buf_done(&out);
	return rc;
}

const struct publish_kind publish_datasource = {"datasource", project_datasource,
						"SELECT id FROM datasource ORDER BY id"};
