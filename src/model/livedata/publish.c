/* SPDX-License-Identifier: Apache-2.0 */
#include "api_apic.h"
#include "model/livedata/definition.h"
#include "model/publish/publish.h"

static int read_deployed(struct model *m, struct str id, struct livedata_deployed *ret, bool *ret_found)
{
	struct store_rows *rows;
	int rc = store_query(
		m->tx, &m->err, &rows,
		"SELECT l.id, i.project_id, d.doc FROM livedata_api l JOIN livedata_deploy d ON d.id = l.deploy_id"
		" JOIN instance i ON i.id = l.instance_id WHERE l.id = ?",
		"s", id);

	if (rc)
		return rc;
	*ret_found = store_next(rows);
	if (*ret_found) {
		ret->id = store_str(rows, 0, m->arena);
		ret->project_id = store_str(rows, 1, m->arena);
		ret->api = store_doc(rows, 2, &doc_apic_livedata_api, m->arena);
	}
	return store_done(&rows, &m->err);
}

static int project_livedata(struct model *m, struct pub_batch *batch, struct str id)
{
	char name[PUB_KEY_MAX + 1];
	struct str at = pub_key(name, "livedata", id, STR_NONE, STR_NONE);
	struct livedata_deployed deployed = {0};
	struct buf out;
	bool found;
	int rc = read_deployed(m, id, &deployed, &found);

	if (rc)
		return rc;
	if (!found)
		return pub_del(batch, at, &m->err);
	buf_init(&out, LIVEDATA_DOCUMENT_BYTES);
	rc = livedata_definition_encode(m, &deployed, &out);
	if (!rc)
		rc = pub_put(batch, at, buf_view(&out), &m->err);
	buf_done(&out);
	return rc;
}

const struct publish_kind publish_livedata = {"livedata", project_livedata, "SELECT id FROM livedata_api ORDER BY id"};
