/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/app_code.h"

#include "base/rnd.h"
#include "model/apic/list.h"
#include "model/apic/publish.h"
#include "sign/sign.h"

#define SEAL_CODE "app.code"
#define FIRST "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DRAWN_LENGTH 64
#define COLUMNS "SELECT id, app_id, code_sealed, created_ms FROM app_code WHERE app_id = ?"

static int read_code(struct model *m, struct store_rows *rows, struct apic_app_code *ret)
{
	ret->id = store_str(rows, 0, m->arena);
	ret->app_id = store_str(rows, 1, m->arena);
	ret->create_time = api__time(m, store_int(rows, 3));
	if (!sign_open(m->arena, m->keys, SEAL_CODE, store_str(rows, 2, m->arena), &ret->app_code))
		return err_set(&m->err, ERR_APPIA_0500, "an AppCode cannot be opened");
	return 0;
}

static int check_room(struct model *m, struct str app_id, struct str hash)
{
	bool found;
	int64_t n;
	int rc = store_get_int(m->tx, &m->err, &n, &found, "SELECT 1 FROM app_code WHERE code_hash = ?", "s", hash);

	if (rc == 0 && found)
		return err_set(&m->err, ERR_APIG_3311, NULL);
	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM app_code WHERE app_id = ?", "s",
				   app_id);
	return rc == 0 && n >= APIC_MAX_APP_CODES ? err_set(&m->err, ERR_APIG_3131, "limit:%d", APIC_MAX_APP_CODES)
						  : rc;
}

/* Starts with a letter, as those that users choose. */
static struct str draw(struct model *m)
{
	struct str first = rnd_text(m->arena, 1, FIRST),
		   rest = rnd_text(m->arena, DRAWN_LENGTH - 1, FIRST "0123456789");

	return arena_fmt(m->arena, "%.*s%.*s", STR_FMT(first), STR_FMT(rest));
}

int apic_app_code_create(struct model *m, struct str instance_id, struct str app_id, struct str code,
			 struct apic_app_code *ret)
{
	struct apic_app_code made = {
		.id = rnd_id(m->arena),
		.app_id = app_id,
		.app_code = code.p ? code : draw(m),
		.create_time = api__time(m, m->now_ms),
	};
	struct str hash = sign_sha256_hex(m->arena, made.app_code);
	int rc = apic_app_check(m, instance_id, app_id, APP_ADMIN);

	if (rc == 0)
		rc = check_room(m, app_id, hash);
	if (rc == 0)
		rc = store_exec(
			m->tx, &m->err, NULL,
			"INSERT INTO app_code (id, app_id, code_sealed, code_hash, created_ms) VALUES (?, ?, ?, ?, ?)",
			"ssssi", made.id, app_id, sign_seal(m->arena, m->keys, SEAL_CODE, made.app_code), hash,
			m->now_ms);
	if (rc == 0)
		rc = publish_say(m, "app_code", hash, STR_NONE, STR_NONE);
	if (rc == 0)
		*ret = made;
	return rc;
}

int apic_app_code_show(struct model *m, struct str instance_id, struct str app_id, struct str id,
		       struct apic_app_code *ret)
{
	struct store_rows *rows;
	int bad = 0, rc = apic_app_check(m, instance_id, app_id, APP_ADMIN);

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows, COLUMNS " AND id = ?", "ss", app_id, id);
	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found)
		bad = read_code(m, rows, ret);
	rc = store_done(&rows, &m->err);
	if (rc == 0 && !found)
		return err_set(&m->err, ERR_APIG_3082, "id:%.*s", STR_FMT(id));
	return rc ? rc : bad;
}

int apic_app_code_delete(struct model *m, struct str instance_id, struct str app_id, struct str id)
{
	struct str hash;
	bool found;
	int rc = apic_app_check(m, instance_id, app_id, APP_ADMIN);

	if (rc == 0)
		rc = store_get_str(m->tx, &m->err, m->arena, &hash, &found,
				   "SELECT code_hash FROM app_code WHERE id = ? AND app_id = ?", "ss", id, app_id);
	if (rc == 0 && !found)
		return err_set(&m->err, ERR_APIG_3082, "id:%.*s", STR_FMT(id));
	if (rc == 0)
		rc = publish_say(m, "app_code", hash, STR_NONE, STR_NONE);
	return rc ? rc : store_exec(m->tx, &m->err, NULL, "DELETE FROM app_code WHERE id = ?", "s", id);
}

int apic_app_code_list_by(struct model *m, const struct apic_list_app_codes_in *in, struct apic_app_code_list *ret)
{
	struct apic_page page = APIC_PAGE(in);
	struct store_rows *rows;
	int64_t total;
	int bad = 0, rc = apic_app_check(m, in->instance_id, in->app_id, APP_ADMIN);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &total, NULL, "SELECT COUNT(*) FROM app_code WHERE app_id = ?", "s",
				   in->app_id);
	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows, COLUMNS " ORDER BY created_ms DESC, id LIMIT ? OFFSET ?", "sii",
				 in->app_id, page.limit, page.offset);
	if (rc)
		return rc;
	ret->app_codes.v = ARENA_ARRAY(m->arena, struct apic_app_code, (size_t)page.limit);
	while (bad == 0 && ret->app_codes.n < (size_t)page.limit && store_next(rows))
		bad = read_code(m, rows, &ret->app_codes.v[ret->app_codes.n++]);
	SET(ret, total, total);
	SET(ret, size, (int64_t)ret->app_codes.n);
	rc = store_done(&rows, &m->err);
	return rc ? rc : bad;
}

int apic_app_code_delete_all(struct model *m, struct str app_id)
{
	for (;;) {
		struct str hash;
		bool found;
		int rc = store_get_str(m->tx, &m->err, m->arena, &hash, &found,
				       "SELECT code_hash FROM app_code WHERE app_id = ? LIMIT 1", "s", app_id);

		if (rc || !found)
			return rc;
		rc = publish_say(m, "app_code", hash, STR_NONE, STR_NONE);
		if (rc == 0)
			rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM app_code WHERE code_hash = ?", "s", hash);
		if (rc)
			return rc;
	}
}
