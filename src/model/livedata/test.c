/* SPDX-License-Identifier: Apache-2.0 */
#include "model/livedata/livedata_priv.h"

#include "base/clock.h"
#include "base/enc.h"
#include "model/fdi/worker.h"
#include "model/livedata/definition.h"
#include "model/write.h"

#include <stdio.h>

#define TEST_MS 60000
/* Of a response, in the history. */
#define KEPT_BYTES ((size_t)64 << 10)

static void member(struct buf *out, const char *before, struct str value)
{
	buf_cstr(out, before);
	json_print_str(out, value.p ? value : STR(""));
}

/* The values of a test are the defaults of its parameters. */
static void put_pairs(struct buf *out, const char *name, const struct apic_livedata_parameter_array *list,
		      const char *in, struct str content_type)
{
	bool any = false;

	buf_fmt(out, ",\"%s\":[", name);
	for (size_t i = 0; i < list->n; i++) {
		if (!str_is(list->v[i].in, in) || !list->v[i].default_.p)
			continue;
		member(out, any ? ",{\"name\":" : "{\"name\":", list->v[i].name);
		member(out, ",\"value\":", list->v[i].default_);
		buf_char(out, '}');
		any = true;
	}
	if (content_type.p) {
		member(out, any ? ",{\"name\":\"Content-Type\",\"value\":" : "{\"name\":\"Content-Type\",\"value\":",
		       content_type);
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

static const struct apic_livedata_parameter *body_of(const struct apic_livedata_parameter_array *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_is(list->v[i].in, "Body") && list->v[i].default_.p)
			return &list->v[i];
	return NULL;
}

/* What the test gives before what is declared: a declared body is a sample, which a test may well use. */
static void put_request(const struct livedata_row *row, const struct apic_livedata_debug *in, struct buf *out)
{
	const struct apic_livedata_parameter *body = body_of(&in->parameters);

	if (!body)
		body = body_of(&row->def->parameters);
	member(out, ",\"request\":{\"method\":", row->def->method);
	member(out, ",\"path\":", row->def->path);
	put_pairs(out, "headers", &in->parameters, "Headers", body ? body->name : STR_NONE);
	put_pairs(out, "query", &in->parameters, "Parameters", STR_NONE);
	if (body)
		member(out, ",\"body\":", body->default_);
	buf_cstr(out, "}}");
}

/* What was asked, as the reference's example writes it. */
static struct str request_text(struct model *m, const struct livedata_row *row, const struct apic_livedata_debug *in)
{
	struct buf out;

	buf_init(&out, (size_t)4 << 20);
	member(&out, "{\"apiUUID\":", row->id);
	member(&out, ",\"method\":", row->def->method);
	buf_cstr(&out, ",\"params\":[");
	for (size_t i = 0; i < in->parameters.n; i++) {
		const struct apic_livedata_parameter *p = &in->parameters.v[i];

		member(&out, i ? ",{\"paramDesc\":" : "{\"paramDesc\":", p->description);
		member(&out, ",\"paramName\":", p->name);
		buf_fmt(&out, ",\"paramRequired\":\"%d\"", p->required);
		member(&out, ",\"paramType\":", p->in);
		member(&out, ",\"paramValue\":", p->default_);
		buf_char(&out, '}');
	}
	member(&out, "],\"testUrl\":", row->def->path);
	buf_char(&out, '}');
	struct str text = out.failed ? STR("") : arena_str(m->arena, buf_view(&out));

	buf_done(&out);
	return text;
}

/* "2021-04-20 16:52:47 | <request id> | <text>" */
static struct str log_line(struct model *m, struct str text)
{
	char buf[CLOCK_ISO_SIZE];
	struct str t = clock_iso(m->now_ms, buf);

	return arena_fmt(m->arena, "%.10s %.8s | %.*s | %.*s", t.p, t.p + 11, STR_FMT(m->request_id), STR_FMT(text));
}

static void read_reply(struct model *m, const struct livedata_row *row, const struct json *reply,
		       struct apic_livedata_test *ret)
{
	const struct json *log = json_get(reply, "log");

	ret->test_status_code = arena_fmt(m->arena, "%lld", json_int(json_get(reply, "status_code")));
	ret->test_response = json_str(json_get(reply, "body"));
	SET(ret, test_used_time, json_int(json_get(reply, "used_ms")));
	ret->test_method = row->def->method;
	ret->test_operator = m->who ? m->who->project_id : STR_NONE;
	ret->test_date = api__time(m, m->now_ms);
	ret->ld_api_id = row->id;
	ret->debug_log.v = ARENA_ARRAY(m->arena, struct str, json_len(log) + 1);
	for (size_t i = 0; i < json_len(log); i++)
		ret->debug_log.v[ret->debug_log.n++] = log_line(m, json_str(json_at(log, i)));
}

/* The beginning of a long text, ended between two characters. */
static struct str shorten(struct str s)
{
	size_t n = KEPT_BYTES;

	if (s.n <= n)
		return s;
	while (n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80)
		n--;
	return str_sub(s, 0, n);
}

struct memory {
	struct str instance_id;
	struct apic_livedata_test *test;
	bool found; /* the API is still there */
	int64_t id;
};

static int write_test(struct model *m, struct memory *r)
{
	struct apic_livedata_test kept = *r->test;
	int rc = store_get_int(m->tx, &m->err, &r->id, NULL, "SELECT COALESCE(MAX(id), 0) + 1 FROM livedata_test", "");

	if (rc)
		return rc;
	SET(&kept, test_id, r->id);
	kept.debug_log = (struct str_array){NULL, 0};
	kept.test_response = shorten(kept.test_response);
	rc = store_exec(m->tx, &m->err, NULL,
			"INSERT INTO livedata_test (id, ld_api_id, doc, tested_ms) VALUES (?, ?, ?, ?)", "isdi", r->id,
			kept.ld_api_id, &doc_apic_livedata_test, &kept, m->now_ms);
	return rc ? rc
		  : store_exec(m->tx, &m->err, NULL,
			       "DELETE FROM livedata_test WHERE ld_api_id = ? AND id <= (SELECT id FROM livedata_test"
			       " WHERE ld_api_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
			       "ssi", kept.ld_api_id, kept.ld_api_id, (int64_t)LIVEDATA_KEPT);
}

static int remember(struct model *m, void *arg)
{
	struct memory *r = arg;
	int64_t one;
	int rc = store_get_int(m->tx, &m->err, &one, &r->found,
			       "SELECT 1 FROM livedata_api WHERE id = ? AND instance_id = ?", "ss", r->test->ld_api_id,
			       r->instance_id);

	return rc || !r->found ? rc : write_test(m, r);
}

static int prepare(struct model *m, struct str instance_id, struct str id, struct livedata_row *row, struct buf *body)
{
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc == 0)
		rc = livedata__get(m, instance_id, id, APP_READ, row);
	if (rc == 0 && row->def->scripts.n == 0)
		rc = err_set_status(&m->err, ERR_APIG_3503, 400, "the back end has no script");
	if (rc == 0)
		rc = livedata__encode(m, instance_id, row, body);
	store_rollback(&m->tx);
	return rc;
}

static int call_failed(struct model *m)
{
	char why[sizeof(m->err.text)];

	snprintf(why, sizeof(why), "%s", m->err.text);
	return err_set_text(&m->err, ERR_APIG_3503, "API testing failed: %s", why);
}

int livedata_run_test(struct model *m, struct str instance_id, struct str id, const struct apic_livedata_debug *in,
		      struct apic_livedata_test *ret)
{
	struct memory memory = {.instance_id = instance_id, .test = ret};
	struct livedata_row row;
	const struct json *reply;
	struct buf body;
	int rc;

	buf_init(&body, LIVEDATA_DOCUMENT_BYTES);
	rc = prepare(m, instance_id, id, &row, &body);
	if (rc == 0) {
		put_request(&row, in, &body);
		if (body.failed)
			rc = api__invalid(m, "parameters", "are too large");
		else if (worker_call(m, "livedata/test", buf_view(&body), TEST_MS, &reply))
			rc = call_failed(m);
	}
	buf_done(&body);
	if (rc)
		return rc;
	read_reply(m, &row, reply, ret);
	ret->test_request = request_text(m, &row, in);
	rc = model_write(m, remember, &memory);
	if (rc == 0 && memory.found)
		SET(ret, test_id, memory.id);
	return rc;
}

int livedata_tests(struct model *m, const struct apic_list_live_data_api_test_history_in *in,
		   struct apic_livedata_test_list *ret)
{
	struct apic_page page = APIC_PAGE(in);
	struct livedata_row row;
	struct store_rows *rows;
	int rc = livedata__get(m, in->instance_id, in->ld_api_id, APP_READ, &row);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &ret->total, NULL,
				   "SELECT COUNT(*) FROM livedata_test WHERE ld_api_id = ?", "s", row.id);
	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 "SELECT doc FROM livedata_test WHERE ld_api_id = ? ORDER BY id DESC LIMIT ? OFFSET ?",
				 "sii", row.id, page.limit, page.offset);
	if (rc)
		return rc;
	ret->histories.v = ARENA_ARRAY(m->arena, struct apic_livedata_test, (size_t)page.limit);
	while (ret->histories.n < (size_t)page.limit && store_next(rows)) {
		const struct apic_livedata_test *t = store_doc(rows, 0, &doc_apic_livedata_test, m->arena);

		if (t)
			ret->histories.v[ret->histories.n++] = *t;
	}
	SET(ret, size, (int64_t)ret->histories.n);
	ret->has_total = true;
	return store_done(&rows, &m->err);
}
