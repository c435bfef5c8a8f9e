/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_priv.h"

#include "base/enc.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

#define MAX_OUTBOX_BYTES ((size_t)64 << 20)

int store__wait_ms = 5000;

int store__busy(struct err *err)
{
	err_set_text(err, ERR_APPIA_0503, "%s", err_row(ERR_APPIA_0503_STORE_BUSY)->message);
	if (err)
		err->retriable = true;
	return ERR_APPIA_0503;
}

int store__open(const char *url, unsigned connections, const struct store_migration *migrations, size_t n,
		struct store **ret, struct err *err)
{
	struct str text = str_of(url);
	const struct store_engine *engine = NULL;
	struct store *store;
	int r;

	if (str_starts(text, STR("sqlite:")))
		engine = &store__sqlite;
	else if (str_starts(text, STR("postgresql://")) || str_starts(text, STR("postgres://")))
		engine = &store__pg;
	else
		return err_set_text(err, ERR_APPIA_0500,
				    "The store's URL must begin with \"sqlite:\" or \"postgresql://\".");
	r = engine->open(url, connections > 0 ? connections : 1, &store, err);
	if (r < 0)
		return r;
	store->engine = engine;
	r = store__migrate(store, migrations, n, err);
	if (r < 0) {
		engine->close(store);
		return r;
	}
	*ret = store;
	return 0;
}

int store_open(const char *url, unsigned connections, struct store **ret, struct err *err)
{
	return store__open(url, connections, store__migrations, store__migrations_n, ret, err);
}

void store_close(struct store *store)
{
	if (store)
		store->engine->close(store);
}

int store_begin(struct store *store, enum store_mode mode, struct store_tx **ret, struct err *err)
{
	return store->engine->begin(store, (int)mode, ret, err);
}

/* An open walk is legal at the end of a transaction that failed. */
static void end_rows(struct store_tx *tx)
{
	if (tx->rows)
		tx->store->engine->done(tx->rows);
	tx->rows = NULL;
}

static int flush_outbox(struct store_tx *tx, struct err *err)
{
	int64_t seq;
	int r;

	if (!tx->outbox)
		return 0;
	r = tx->store->engine->reserve(tx, err, tx->n_outbox, &seq);
	for (struct store_outbox_row *row = tx->outbox; r == 0 && row; row = row->next)
		r = store_exec(tx, err, NULL, "INSERT INTO outbox (seq, kind, key) VALUES (?, ?, ?)", "iss", seq++,
			       row->kind, row->key);
	return r;
}

int store_commit(struct store_tx **tx, struct err *err)
{
	struct store_tx *t = *tx;
	struct arena *arena;
	int r;

	*tx = NULL;
	end_rows(t);
	if (t->failed.code != 0) {
		/* Half of a transaction is never kept, whatever the engine would allow. */
		if (err)
			*err = t->failed;
		r = t->failed.code;
	} else {
		r = flush_outbox(t, err);
	}
	arena = t->arena;
	if (r < 0)
		t->store->engine->rollback(t);
	else
		r = t->store->engine->commit(t, err);
	arena_free(arena);
	return r;
}

void store_rollback(struct store_tx **tx)
{
	struct arena *arena;

	if (!tx || !*tx)
		return;
	end_rows(*tx);
	arena = (*tx)->arena;
	(*tx)->store->engine->rollback(*tx);
	arena_free(arena);
	*tx = NULL;
}

/* Parameters of one statement; documents are encoded one behind the other. */
struct binding {
	struct store_param params[STORE_MAX_PARAMS];
	unsigned n;
	struct buf docs;
};

static bool text_is_clean(struct str s)
{
	return !s.p || (memchr(s.p, 0, s.n) == NULL && enc_utf8_valid(s));
}

static void bind_doc(struct binding *b, struct store_param *p, const struct json_schema *schema, const void *value)
{
	size_t from = b->docs.n;

	p->null = value == NULL;
	if (value)
		schema_encode(schema, value, &b->docs);
	p->s.n = b->docs.n - from;
}

static int bind_one(struct binding *b, char type, struct store_param *p, va_list *ap, struct err *err)
{
	const struct json_schema *schema;

	switch (type) {
	case 's':
		p->s = va_arg(*ap, struct str);
		p->null = p->s.p == NULL;
		/* PostgreSQL refuses these; refusing them here keeps both engines alike. */
		if (!text_is_clean(p->s))
			return err_set(err, ERR_APPIA_0400, NULL);
		return 0;
	case 'b':
		p->kind = STORE_BYTES;
		p->s = va_arg(*ap, struct str);
		p->null = p->s.p == NULL;
		return 0;
	case 'i':
		p->kind = STORE_INT;
		p->i = va_arg(*ap, int64_t);
		return 0;
	case 'n': {
		const int64_t *value = va_arg(*ap, const int64_t *);

		p->kind = STORE_INT;
		p->null = value == NULL;
		p->i = value ? *value : 0;
		return 0;
	}
	case 'd':
		schema = va_arg(*ap, const struct json_schema *);
		bind_doc(b, p, schema, va_arg(*ap, const void *));
		return 0;
	default:
		log_debug("store: unknown parameter type '%c'", type);
		return err_set(err, ERR_APPIA_0500, NULL);
	}
}

/* Points document parameters into the buffer, which does not move any more. */
static int place_docs(struct binding *b, const char *types, struct err *err)
{
	const char *at = buf_view(&b->docs).p;

	if (b->docs.failed)
		return err_set(err, ERR_APPIA_0500, NULL);
	for (unsigned i = 0; i < b->n; i++) {
		if (types[i] != 'd' || b->params[i].null)
			continue;
		b->params[i].s.p = at;
		at += b->params[i].s.n;
	}
	return 0;
}

static int bind_all(struct binding *b, const char *types, va_list *ap, struct err *err)
{
	int r = 0;

	b->n = types ? (unsigned)strlen(types) : 0;
	buf_init(&b->docs, STORE_MAX_DOCUMENTS);
	if (b->n > STORE_MAX_PARAMS)
		return err_set(err, ERR_APPIA_0500, NULL);
	memset(b->params, 0, b->n * sizeof(b->params[0]));
	for (unsigned i = 0; r == 0 && i < b->n; i++)
		r = bind_one(b, types[i], &b->params[i], ap, err);
	if (r == 0 && b->docs.n > 0)
		r = place_docs(b, types, err);
	return r;
}

/* Remembers the first failure: behind it the engines would differ in what is still possible. */
static int failed(struct store_tx *tx, int r, const struct err *local, struct err *err)
{
	if (r < 0) {
		if (tx->failed.code == 0)
			tx->failed = *local;
		if (err)
			*err = *local;
	}
	return r;
}

static int check_usable(struct store_tx *tx, struct err *err)
{
	assert(!tx->rows && "one set of rows at a time");
	if (tx->failed.code == 0)
		return 0;
	if (err)
		*err = tx->failed;
	return tx->failed.code;
}

int store_exec(struct store_tx *tx, struct err *err, int64_t *ret_changed, const char *sql, const char *types, ...)
{
	struct binding b;
	struct err local = {0};
	va_list ap;
	int r = check_usable(tx, err);

	if (r < 0)
		return r;
	va_start(ap, types);
	r = bind_all(&b, types, &ap, &local);
	va_end(ap);
	if (r == 0)
		r = tx->store->engine->exec(tx, &local, ret_changed, sql, b.params, b.n);
	buf_done(&b.docs);
	return failed(tx, r, &local, err);
}

static int vquery(struct store_tx *tx, struct err *err, struct store_rows **ret, const char *sql, const char *types,
		  va_list *ap)
{
	struct binding b;
	struct err local = {0};
	int r = check_usable(tx, err);

	if (r < 0)
		return r;
	r = bind_all(&b, types, ap, &local);
	if (r == 0)
		r = tx->store->engine->query(tx, &local, ret, sql, b.params, b.n);
	buf_done(&b.docs);
	if (r == 0)
		tx->rows = *ret;
	return failed(tx, r, &local, err);
}

int store_query(struct store_tx *tx, struct err *err, struct store_rows **ret, const char *sql, const char *types, ...)
{
	va_list ap;
	int r;

	va_start(ap, types);
	r = vquery(tx, err, ret, sql, types, &ap);
	va_end(ap);
	return r;
}

bool store_next(struct store_rows *rows)
{
	return rows->err.code == 0 && rows->tx->store->engine->next(rows);
}

int store_done(struct store_rows **rows, struct err *err)
{
	struct store_rows *gone = *rows;
	struct store_tx *tx;
	struct err local;

	if (!gone)
		return 0;
	*rows = NULL;
	tx = gone->tx;
	local = gone->err;
	end_rows(tx);
	return failed(tx, local.code, &local, err);
}

bool store_null(struct store_rows *rows, int col)
{
	return rows->tx->store->engine->is_null(rows, col);
}

int64_t store_int(struct store_rows *rows, int col)
{
	return store_null(rows, col) ? 0 : rows->tx->store->engine->get_int(rows, col);
}

struct str store_str(struct store_rows *rows, int col, struct arena *a)
{
	return store_null(rows, col) ? STR_NONE : arena_str(a, rows->tx->store->engine->get_str(rows, col));
}

void *store_doc(struct store_rows *rows, int col, const struct json_schema *schema, struct arena *a)
{
	const struct json *tree;
	char why[128];
	void *doc;

	if (store_null(rows, col))
		return NULL;
	doc = arena_alloc(a, schema->size);
	struct str text = rows->tx->store->engine->get_str(rows, col);

	if (!json_parse(a, text, &tree, why, sizeof(why)) || !schema_load(schema, tree, a, doc)) {
		log_debug("store: document does not fit schema=%s", schema->name ? schema->name : "?");
		if (rows->err.code == 0)
			err_set_text(&rows->err, ERR_APPIA_0500, "Internal error: a stored %s cannot be read.",
				     schema->name ? schema->name : "document");
		/* A zeroed one: the caller may look at it before it learns of the error. */
		memset(doc, 0, schema->size);
	}
	return doc;
}

/* The first column of the first row, as text (copied into a) or as a number. */
static int get_one(struct store_tx *tx, struct err *err, struct arena *a, struct str *ret_text, int64_t *ret_number,
                   bool *ret_found, const char *sql, const char *types, va_list *ap)
{
	struct store_rows *rows;
	struct str text = STR_NONE;
	int64_t number = 0;
	int r = vquery(tx, err, &rows, sql, types, ap);

	if (r < 0)
		return r;
	bool found = store_next(rows);

	if (found && ret_text)
		text = store_str(rows, 0, a);
	if (found && ret_number)
		number = store_int(rows, 0);
	r = store_done(&rows, err);
	if (r < 0)
		return r;
	if (found && ret_text)
		*ret_text = text;
	if (found && ret_number)
		*ret_number = number;
	if (ret_found)
		*ret_found = found;
	return 0;
}

int store_get_int(struct store_tx *tx, struct err *err, int64_t *ret, bool *ret_found, const char *sql,
                  const char *types, ...)
{
	va_list ap;

	va_start(ap, types);
	int r = get_one(tx, err, NULL, NULL, ret, ret_found, sql, types, &ap);

	va_end(ap);
	return r;
}

int store_get_str(struct store_tx *tx, struct err *err, struct arena *a, struct str *ret, bool *ret_found,
                  const char *sql, const char *types, ...)
{
	va_list ap;

	va_start(ap, types);
	int r = get_one(tx, err, a, ret, NULL, ret_found, sql, types, &ap);

	va_end(ap);
	return r;
}

struct str store_like(struct arena *a, struct str text)
{
	char *to = arena_alloc(a, text.n * 2 + 3);
	size_t n = 0;

	to[n++] = '%';
	if (!text.p || text.n == 0)
		return (struct str){to, n};
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '%' || c == '_' || c == '\\')
			to[n++] = '\\';
		to[n++] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
	}
	to[n++] = '%';
	return (struct str){to, n};
}

int store_outbox(struct store_tx *tx, struct err *err, struct str kind, struct str key)
{
	int r = check_usable(tx, err);

	if (r < 0)
		return r;
	if (!tx->arena) {
		tx->arena = arena_new(MAX_OUTBOX_BYTES);
		tx->outbox_end = &tx->outbox;
	}
	struct err local = {0};
	struct store_outbox_row *row = arena_try(tx->arena, sizeof(*row) + kind.n + key.n);

	if (!row)
		return failed(tx, err_set(&local, ERR_APPIA_0500, NULL), &local, err);
	char *text = (char *)(row + 1);

	/* Numbered at commit, not now: whoever holds numbers makes others wait. */
	memcpy(text, kind.p, kind.n);
	memcpy(text + kind.n, key.p, key.n);
	row->kind = (struct str){text, kind.n};
	row->key = (struct str){text + kind.n, key.n};
	row->next = NULL;
	*tx->outbox_end = row;
	tx->outbox_end = &row->next;
	tx->n_outbox++;
	return 0;
}

int store_ping(struct store *store, struct err *err)
{
	struct store_tx *tx;
	int r = store->engine->room(store, err);

	if (r < 0)
		return r;
	r = store_begin(store, STORE_WRITE, &tx, err);
	if (r == 0)
		store_rollback(&tx);
	return r;
}

static const char *skip_quoted(const char *sql)
{
	char quote = *sql++;

	while (*sql && *sql != quote)
		sql++;
	return *sql ? sql + 1 : sql;
}

static const char *skip_comment(const char *sql)
{
	while (*sql && *sql != '\n')
		sql++;
	return sql;
}

unsigned store__dollars(struct buf *out, const char *sql)
{
	unsigned n = 0;

	while (*sql) {
		const char *from = sql;

		if (*sql == '\'' || *sql == '"')
			sql = skip_quoted(sql);
		else if (sql[0] == '-' && sql[1] == '-')
			sql = skip_comment(sql);
		else
			sql++;
		if (*from == '?')
			buf_fmt(out, "$%u", ++n);
		else
			buf_add(out, from, (size_t)(sql - from));
	}
	return n;
}
