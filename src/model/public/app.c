/* SPDX-License-Identifier: Apache-2.0 */
#include "model/public/app.h"

#include "base/clock.h"
#include "base/rnd.h"
#include "model/apic/app_code.h"
#include "model/public/app_priv.h"
#include "sign/sign.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define DEFAULT_LIMIT 20
#define MAX_LIMIT 500

/* Parameters: user, user, instance. Roles are those of the membership. */
#define COLUMNS                                                                                                        \
	"SELECT a.id, a.name, a.remark, a.key, a.created_by, a.created_by_name, a.updated_by, a.updated_by_name,"      \
	" a.created_ms, a.updated_ms, COALESCE(u.roles, 0),"                                                           \
	" CASE WHEN f.app_id IS NULL THEN 0 ELSE 1 END AS favourite"
#define TABLES                                                                                                         \
	" FROM app a LEFT JOIN app_user u ON u.app_id = a.id AND u.user_id = ?"                                        \
	" LEFT JOIN app_favorite f ON f.app_id = a.id AND f.user_id = ? WHERE a.instance_id = ?"

struct str app_visible_user(const struct model *m)
{
	return !m->who || m->who->administrator ? STR_NONE : m->who->user_id;
}

static unsigned roles_for(const struct model *m, struct str creator, unsigned member)
{
	return !m->who || m->who->administrator || str_eq(creator, m->who->user_id) ? APP_ALL : member;
}

int app_require(struct model *m, struct str instance_id, struct str app_id, enum app_role role)
{
	struct store_rows *rows;
	unsigned roles = 0;
	int rc = store_query(
		m->tx, &m->err, &rows,
		"SELECT a.created_by, COALESCE(u.roles, 0) FROM app a LEFT JOIN app_user u ON u.app_id = a.id"
		" AND u.user_id = ? WHERE a.id = ? AND a.instance_id = ?",
		"sss", m->who ? m->who->user_id : STR(""), app_id, instance_id);

	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found)
		roles = roles_for(m, store_str(rows, 0, m->arena), (unsigned)store_int(rows, 1));
	rc = store_done(&rows, &m->err);
	if (rc)
		return rc;
	return !found ? APP_UNKNOWN : (roles & role) == role ? 0 : APP_FORBIDDEN;
}

int app__allow(struct model *m, struct str instance_id, struct str app_id, enum app_role role)
{
	switch (app_require(m, instance_id, app_id, role)) {
	case 0:
		return 0;
	case APP_UNKNOWN:
		return err_set_status(&m->err, ERR_ROMA_14001, 404, NULL);
	case APP_FORBIDDEN:
		return err_set_status(&m->err, ERR_ROMA_12001, 403, NULL);
	default:
		return m->err.code;
	}
}

static const char *const role_names[] = {"read", "access", "delete", "modify", "admin"};

struct str_array app__role_names(struct model *m, unsigned roles)
{
	struct str_array list = {ARENA_ARRAY(m->arena, struct str, 5), 0};

	for (size_t i = 0; i < 5; i++)
		if (roles & 1u << i)
			list.v[list.n++] = str_of(role_names[i]);
	return list;
}

unsigned app__role_bit(struct str name)
{
	for (size_t i = 0; i < 5; i++)
		if (str_is(name, role_names[i]))
			return 1u << i;
	return 0;
}

static struct str when(struct model *m, int64_t ms)
{
	char buf[CLOCK_ISO_SIZE];

	return arena_str(m->arena, clock_iso_ms(ms, buf));
}

static struct public_user_ref *user_ref(struct model *m, struct store_rows *rows, int col)
{
	struct public_user_ref *ref = ARENA_NEW(m->arena, struct public_user_ref);

	*ref = (struct public_user_ref){store_str(rows, col, m->arena), store_str(rows, col + 1, m->arena)};
	return ref;
}

static void read_app(struct model *m, struct store_rows *rows, struct public_app *a)
{
	a->id = store_str(rows, 0, m->arena);
	a->name = store_str(rows, 1, m->arena);
	a->remark = store_str(rows, 2, m->arena);
	a->key = store_str(rows, 3, m->arena);
	a->created_user = user_ref(m, rows, 4);
	a->last_updated_user = user_ref(m, rows, 6);
	a->create_time = when(m, store_int(rows, 8));
	a->update_time = when(m, store_int(rows, 9));
	a->roles = app__role_names(m, roles_for(m, a->created_user->user_id, (unsigned)store_int(rows, 10)));
	a->owner = str_eq(a->created_user->user_id, m->who->user_id);
	a->favorite = store_int(rows, 11);
	a->has_owner = a->has_favorite = true;
}

int app_validate(struct model *m, struct str instance_id, struct str name, struct str id, struct str key,
		 struct public_app_name *ret)
{
	struct store_rows *rows;
	int rc = 0;

	if (!name.p && !id.p && !key.p)
		return err_set(&m->err, ERR_ROMA_13000, "one of name, id and key is required");
	rc = store_query(
		m->tx, &m->err, &rows,
		"SELECT a.id, a.name, a.remark FROM app a WHERE a.instance_id = ? AND a.name = COALESCE(?, a.name)"
		" AND a.id = COALESCE(?, a.id) AND a.key = COALESCE(?, a.key)" APP_VISIBLE("a.id"),
		"sssssss", instance_id, name, id, key, app_visible_user(m), app_visible_user(m), app_visible_user(m));
	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found)
		*ret = (struct public_app_name){store_str(rows, 0, m->arena), store_str(rows, 1, m->arena),
						store_str(rows, 2, m->arena)};
	rc = store_done(&rows, &m->err);
	return rc || found ? rc : err_set_status(&m->err, ERR_ROMA_14001, 404, NULL);
}

/* The conditions; "%" fits everything, -1 means "do not care". */
#define FILTERS                                                                                                        \
	" AND LOWER(a.name) LIKE ? ESCAPE '\\' AND LOWER(a.key) LIKE ? ESCAPE '\\'"                                    \
	" AND (? = -1 OR (CASE WHEN a.created_by = ? THEN 1 ELSE 0 END) = ?)"                                          \
	" AND (? = -1 OR (CASE WHEN f.app_id IS NULL THEN 0 ELSE 1 END) = ?)"                                          \
	" AND (CASE WHEN ? = 1 OR a.created_by = ? THEN 31 ELSE COALESCE(u.roles, 0) END) & ? = ?"                     \
	" AND (CAST(? AS TEXT) IS NULL OR a.created_by_name = ? OR a.id IN (SELECT x.app_id FROM app_user x"           \
	" JOIN iam_user y ON y.id = x.user_id WHERE y.name = ?))"
#define FILTER_TYPES                                                                                                   \
	"sss"                                                                                                          \
	"ss"                                                                                                           \
	"isi"                                                                                                          \
	"ii"                                                                                                           \
	"isii"                                                                                                         \
	"sss"

int app_list_by(struct model *m, struct str instance_id, const struct app_filter *f, struct public_app_list *ret)
{
	struct str me = m->who->user_id, name = store_like(m->arena, f->name), key = store_like(m->arena, f->key);
	int64_t owner = f->owner ? *f->owner : -1, favorite = f->favorite ? *f->favorite : -1;
	int64_t all = m->who->administrator, role = f->auth_role.n ? app__role_bit(f->auth_role) : APP_READ;
	int64_t limit = f->limit <= 0 ? DEFAULT_LIMIT : f->limit > MAX_LIMIT ? MAX_LIMIT : f->limit;
	struct str user = f->user_name.n ? f->user_name : STR_NONE;
	struct store_rows *rows;

	if (role == 0)
		return err_set(&m->err, ERR_ROMA_13000, "auth_role: must be read, access, delete, modify or admin");
	int rc = store_get_int(m->tx, &m->err, &ret->total, NULL, "SELECT COUNT(*)" TABLES FILTERS, FILTER_TYPES, me,
			       me, instance_id, name, key, owner, me, owner, favorite, favorite, all, me, role, role,
			       user, user, user);

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 COLUMNS TABLES FILTERS
				 " ORDER BY favourite DESC, a.created_ms DESC, a.id LIMIT ? OFFSET ?",
				 FILTER_TYPES "ii", me, me, instance_id, name, key, owner, me, owner, favorite,
				 favorite, all, me, role, role, user, user, user, limit, f->offset);
	if (rc)
		return rc;
	ret->apps.v = ARENA_ARRAY(m->arena, struct public_app, (size_t)limit);
	while (ret->apps.n < (size_t)limit && store_next(rows))
		read_app(m, rows, &ret->apps.v[ret->apps.n++]);
	ret->size = (int64_t)ret->apps.n;
	ret->has_size = ret->has_total = true;
	return store_done(&rows, &m->err);
}

static int load(struct model *m, struct str instance_id, struct str app_id, struct public_app *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows, COLUMNS TABLES " AND a.id = ?", "ssss", m->who->user_id,
			     m->who->user_id, instance_id, app_id);

	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found)
		read_app(m, rows, ret);
	rc = store_done(&rows, &m->err);
	return rc || found ? rc : err_set_status(&m->err, ERR_ROMA_14001, 404, NULL);
}

int app_show(struct model *m, struct str instance_id, struct str app_id, struct public_app *ret)
{
	int rc = app__allow(m, instance_id, app_id, APP_READ);

	return rc ? rc : load(m, instance_id, app_id, ret);
}

static int count(struct model *m, const char *sql, struct str a, struct str b, int64_t *ret)
{
	return store_get_int(m->tx, &m->err, ret, NULL, sql, "ss", a, b);
}

static int check_name(struct model *m, struct str instance_id, struct str name)
{
	int64_t n;

	if (str_trim(name).n == 0)
		return err_set(&m->err, ERR_ROMA_13000, "parameterName:name. body.name: must not be empty");
	int rc = count(m, "SELECT COUNT(*) FROM app WHERE instance_id = ? AND name = ?", instance_id, name, &n);

	return rc || n == 0 ? rc : err_set(&m->err, ERR_ROMA_14011, NULL);
}

static int set_favorite(struct model *m, struct str app_id, const struct public_app *in)
{
	if (!in->has_favorite)
		return 0;
	return store_exec(m->tx, &m->err, NULL,
			  in->favorite
				  ? "INSERT INTO app_favorite (app_id, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
				  : "DELETE FROM app_favorite WHERE app_id = ? AND user_id = ?",
			  "ss", app_id, m->who->user_id);
}

static int check_new(struct model *m, struct str instance_id, const struct public_app *in)
{
	int64_t n = 0;
	int rc = check_name(m, instance_id, in->name);

	if (rc == 0 && in->key.n)
		rc = count(m, "SELECT COUNT(*) FROM app WHERE key = ? AND CAST(? AS TEXT) IS NULL", in->key, STR_NONE,
			   &n);
	if (rc == 0 && n)
		return err_set(&m->err, ERR_ROMA_14012, NULL);
	if (rc == 0)
		rc = count(m, "SELECT COUNT(*) FROM app WHERE instance_id = ? AND CAST(? AS TEXT) IS NULL", instance_id,
			   STR_NONE, &n);
	return rc || n < APP_MAX ? rc
				 : err_set_text(&m->err, ERR_ROMA_13000, "The instance has %d applications.", APP_MAX);
}

int app_create(struct model *m, struct str instance_id, const struct public_app *in, struct public_app *ret)
{
	struct str id = rnd_uuid(m->arena);
	struct str key = in->key.n ? in->key : rnd_text(m->arena, 20, LETTERS);
	struct str secret = in->secret.n ? in->secret : rnd_text(m->arena, 40, LETTERS);
	const struct identity *who = m->who;
	int rc = check_new(m, instance_id, in);

	if (rc == 0)
		rc = store_exec(m->tx, &m->err, NULL,
				"INSERT INTO app (id, instance_id, name, remark, key, secret_sealed, created_by, "
				"created_by_name,"
				" updated_by, updated_by_name, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
				"?, ?, ?, ?)",
				"ssssssssssii", id, instance_id, in->name, in->remark.p ? in->remark : STR(""), key,
				sign_seal(m->arena, m->keys, APP_SEAL_SECRET, secret), who->user_id, who->user_name,
				who->user_id, who->user_name, m->now_ms, m->now_ms);
	if (rc == ERR_APPIA_0409) /* another one was faster */
		return err_set(&m->err, ERR_ROMA_14011, NULL);
	if (rc == 0)
		rc = set_favorite(m, id, in);
	if (rc == 0)
		rc = store_outbox(m->tx, &m->err, STR("app"), id);
	return rc ? rc : load(m, instance_id, id, ret);
}

static int touch(struct model *m, struct str app_id, struct str name, struct str remark)
{
	int rc = store_exec(m->tx, &m->err, NULL,
			    "UPDATE app SET name = COALESCE(?, name), remark = COALESCE(?, remark), updated_by = ?,"
			    " updated_by_name = ?, updated_ms = ? WHERE id = ?",
			    "ssssis", name, remark, m->who->user_id, m->who->user_name, m->now_ms, app_id);

	return rc ? rc : store_outbox(m->tx, &m->err, STR("app"), app_id);
}

/* Who may only read may still call it a favourite. */
int app_update(struct model *m, struct str instance_id, struct str app_id, const struct public_app *in,
	       struct public_app *ret)
{
	bool changes = in->name.p || in->remark.p;
	int rc = app__allow(m, instance_id, app_id, changes ? APP_ADMIN : APP_READ);

	if (rc == 0)
		rc = load(m, instance_id, app_id, ret);
	if (rc == 0 && in->name.p && !str_eq(in->name, ret->name))
		rc = check_name(m, instance_id, in->name);
	if (rc == 0 && changes)
		rc = touch(m, app_id, in->name, in->remark);
	if (rc == ERR_APPIA_0409) /* another one was faster */
		return err_set(&m->err, ERR_ROMA_14011, NULL);
	if (rc == 0)
		rc = set_favorite(m, app_id, in);
	return rc ? rc : load(m, instance_id, app_id, ret);
}

int app_delete(struct model *m, struct str instance_id, struct str app_id)
{
	int rc = app__allow(m, instance_id, app_id, APP_ADMIN);

	/* Its AppCodes are part of it, as its secret is. */
	if (rc == 0)
		rc = apic_app_code_delete_all(m, app_id);
	if (rc == 0)
		rc = store_outbox(m->tx, &m->err, STR("app"), app_id);
	if (rc == 0)
		rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM app WHERE id = ?", "s", app_id);
	return rc == ERR_APPIA_0422 /* foreign keys */ ? err_set(&m->err, ERR_ROMA_14014, NULL) : rc;
}

int app_secret_show(struct model *m, struct str instance_id, struct str app_id, struct public_app_secret *ret)
{
	struct str sealed, secret;
	int rc = app__allow(m, instance_id, app_id, APP_ADMIN);

	if (rc == 0)
		rc = store_get_str(m->tx, &m->err, m->arena, &sealed, NULL,
				   "SELECT secret_sealed FROM app WHERE id = ?", "s", app_id);
	if (rc)
		return rc;
	if (!sign_open(m->arena, m->keys, APP_SEAL_SECRET, sealed, &secret))
		return err_set(&m->err, ERR_APPIA_0500, "the secret of an application cannot be opened");
	*ret = (struct public_app_secret){.id = app_id, .secret = secret};
	return 0;
}

int app_secret_reset(struct model *m, struct str instance_id, struct str app_id, struct str secret,
		     struct public_app_secret *ret)
{
	struct str fresh = secret.n ? secret : rnd_text(m->arena, 40, LETTERS);
	int rc = app__allow(m, instance_id, app_id, APP_ADMIN);

	if (rc == 0)
		rc = store_exec(m->tx, &m->err, NULL, "UPDATE app SET secret_sealed = ? WHERE id = ?", "ss",
				sign_seal(m->arena, m->keys, APP_SEAL_SECRET, fresh), app_id);
	if (rc == 0)
		rc = touch(m, app_id, STR_NONE, STR_NONE);
	if (rc == 0)
		*ret = (struct public_app_secret){.id = app_id, .secret = fresh};
	return rc;
}
