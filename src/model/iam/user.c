/* SPDX-License-Identifier: Apache-2.0 */
#include "model/iam/user.h"

#include "base/clock.h"
#include "base/rnd.h"
#include "model/iam/group.h"
#include "model/iam/password.h"
#include "model/iam/roles.h"

int iam_user_find(struct model *m, struct str id, struct iam_account *ret)
{
	struct iam_account a;
	bool found;
	int rc = iam_account_by_id(m, id, &a, &found);

	if (rc)
		return rc;
	if (!found || !str_eq(a.domain_id, m->who->domain_id))
		return err_set(&m->err, ERR_IAM_0004, "user" ERR_NEXT "%.*s", STR_FMT(id));
	*ret = a;
	return 0;
}

/* "2019-12-06 06:49:04.0", the form of the OS-USER operations */
static struct str when(struct model *m, int64_t ms)
{
	char buf[CLOCK_ISO_SIZE];
	struct str s = clock_iso(ms, buf);

	return ms && s.n >= 20 ? arena_fmt(m->arena, "%.10s %.8s.0", s.p, s.p + 11) : STR_NONE;
}

static void describe(struct model *m, const struct iam_account *a, struct iam_user *u)
{
	u->id = a->id;
	u->name = a->name;
	u->domain_id = a->domain_id;
	u->description = a->description;
	u->access_mode = a->access_mode;
	u->email = a->email;
	u->areacode = a->areacode;
	u->phone = a->phone;
	u->xuser_type = a->xuser_type;
	u->xuser_id = a->xuser_id;
	u->xdomain_id = STR("");
	u->xdomain_type = STR("");
	u->enabled = a->enabled;
	u->pwd_status = a->change_password;
	u->is_domain_owner = a->owner;
	u->has_enabled = u->has_pwd_status = u->has_is_domain_owner = u->has_status = true;
	u->status = 1;
	u->pwd_strength = a->password_strength;
	u->password_expires_at = STR("");
	u->default_project_id = STR("");
	u->last_project_id = STR("");
	u->create_time = when(m, a->created_ms);
	u->update_time = when(m, a->updated_ms);
	u->last_login_time = when(m, a->last_login_ms);
	u->last_pwd_auth_time = u->last_login_time;
	u->pwd_create_time = when(m, a->password_ms);
	u->modify_pwd_time = u->pwd_create_time;
	u->links = iam_links_self(m, "/v3/users/%.*s", STR_FMT(a->id));
}

int iam_user_show(struct model *m, struct str id, struct iam_user *ret)
{
	struct iam_account a;
	int rc = iam_require_self(m, id);

	if (rc == 0)
		rc = iam_user_find(m, id, &a);
	if (rc == 0)
		describe(m, &a, ret);
	return rc;
}

static int read_ids(struct model *m, struct str name, bool enabled, struct str *ids, size_t *ret_n)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT id FROM iam_user WHERE domain_id = ? AND name = COALESCE(?, name) AND enabled = ?"
			     " ORDER BY name LIMIT ?",
			     "ssii", m->who->domain_id, name, (int64_t)enabled, (int64_t)IAM_MAX_USERS);

	if (rc)
		return rc;
	for (*ret_n = 0; *ret_n < IAM_MAX_USERS && store_next(rows);)
		ids[(*ret_n)++] = store_str(rows, 0, m->arena);
	return store_done(&rows, &m->err);
}

int iam_user_list_by(struct model *m, struct str domain_id, struct str name, bool enabled, struct iam_user_array *ret)
{
	struct str *ids = ARENA_ARRAY(m->arena, struct str, IAM_MAX_USERS);
	size_t n = 0;
	int rc = iam_require_administrator(m);

	if (rc == 0 && domain_id.p && !str_eq(domain_id, m->who->domain_id))
		rc = err_set(&m->err, ERR_IAM_0002, NULL);
	if (rc == 0)
		rc = read_ids(m, name, enabled, ids, &n);
	if (rc)
		return rc;
	ret->v = ARENA_ARRAY(m->arena, struct iam_user, n + 1);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct iam_account a;

		rc = iam_user_find(m, ids[i], &a);
		if (rc == 0)
			describe(m, &a, &ret->v[ret->n++]);
	}
	return rc;
}

static bool name_ok(struct str name)
{
	if (name.n == 0 || (name.p[0] >= '0' && name.p[0] <= '9') || name.p[0] == ' ')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c < 0x80 && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    !strchr(" -_.", c))
			return false;
	}
	return true;
}

static bool email_ok(struct str s)
{
	size_t at = str_find(s, '@', 0), dot = str_find(s, '.', at);

	return at > 0 && dot < s.n - 1 && dot > at + 1 && str_find(s, '@', at + 1) == s.n && str_find(s, ' ', 0) == s.n;
}

static bool has_any(struct str s, const char *chars)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] && strchr(chars, s.p[i]))
			return true;
	return false;
}

static bool digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

/* What the description cannot say about the fields. Absent: as it is. */
static int check_fields(struct model *m, const struct iam_user *in)
{
	if (in->name.p && !name_ok(in->name))
		return err_set(&m->err, ERR_1101, NULL);
	if (in->email.n && !email_ok(in->email))
		return err_set(&m->err, ERR_1102, NULL);
	if ((in->areacode.n > 0) != (in->phone.n > 0))
		return err_set(&m->err, ERR_1106, NULL);
	if (in->phone.n && (!digits(in->phone) || !digits(in->areacode) || in->areacode.n > 8))
		return err_set(&m->err, ERR_1104, NULL);
	if (in->description.n > 255 || has_any(in->description, "@#%&<>\\$^*"))
		return err_set(&m->err, ERR_1117, NULL);
	if (in->xuser_id.n && !in->xuser_type.n)
		return err_set(&m->err, ERR_1105, NULL);
	if (in->access_mode.p && !str_is(in->access_mode, "default") && !str_is(in->access_mode, "programmatic") &&
	    !str_is(in->access_mode, "console"))
		return err_set(&m->err, ERR_IAM_0007, "user.access_mode: must be default, programmatic or console");
	return 0;
}

static int taken(struct model *m, int code, struct str id, const char *sql, struct str a, struct str b)
{
	int64_t n;
	int rc = a.n ? store_get_int(m->tx, &m->err, &n, NULL, sql, "ssss", m->who->domain_id, id, a, b) : 0;

	return rc || a.n == 0 || n == 0 ? rc : err_set(&m->err, code, NULL);
}

/* id: the user itself, or an id that none has. */
static int check_unique(struct model *m, struct str id, const struct iam_user *in)
{
	int rc = taken(m, ERR_1109, id,
		       "SELECT COUNT(*) FROM iam_user WHERE domain_id = ? AND id <> ? AND name = ? AND CAST(? AS TEXT) "
		       "IS NULL",
		       in->name, STR_NONE);

	if (rc == 0)
		rc = taken(m, ERR_1110, id,
			   "SELECT COUNT(*) FROM iam_user WHERE domain_id = ? AND id <> ? AND email = ? AND CAST(? AS "
			   "TEXT) IS NULL",
			   in->email, STR_NONE);
	if (rc == 0)
		rc = taken(
			m, ERR_1111, id,
			"SELECT COUNT(*) FROM iam_user WHERE domain_id = ? AND id <> ? AND phone = ? AND areacode = ?",
			in->phone, in->areacode);
	if (rc == 0)
		rc = taken(m, ERR_1113, id,
			   "SELECT COUNT(*) FROM iam_user WHERE domain_id = ? AND id <> ? AND xuser_id = ? AND "
			   "xuser_type = ?",
			   in->xuser_id, in->xuser_type);
	return rc;
}

static struct str text(struct str s)
{
	return s.p ? s : STR("");
}

static int insert(struct model *m, struct str id, const struct iam_user *in)
{
	return store_exec(
		m->tx, &m->err, NULL,
		"INSERT INTO iam_user (id, domain_id, name, description, enabled, owner, access_mode, email, areacode,"
		" phone, xuser_type, xuser_id, password_hash, password_strength, password_ms, change_password,"
		" tokens_after_ms, last_login_ms, failures, failing_since_ms, locked_until_ms, created_ms, updated_ms)"
		" VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, '', '', 0, 0, 0, 0, 0, 0, 0, ?, ?)",
		"ssssissssssii", id, m->who->domain_id, in->name, text(in->description),
		(int64_t)(!in->has_enabled || in->enabled), in->access_mode.p ? in->access_mode : STR("default"),
		text(in->email), text(in->areacode), text(in->phone), text(in->xuser_type), text(in->xuser_id),
		m->now_ms, m->now_ms);
}

static int set_password(struct model *m, const struct iam_user *in, struct str id)
{
	struct iam_account a;
	int rc = iam_user_find(m, id, &a);

	if (rc || !in->password.p)
		return rc;
	rc = iam_password_policy(m, &a, in->password);
	return rc ? rc : iam_password_set(m, &a, in->password, in->has_pwd_status && in->pwd_status);
}

int iam_user_create(struct model *m, const struct iam_user *in, struct iam_user *ret)
{
	struct str id = rnd_id(m->arena);
	int64_t n;
	int rc = iam_require_administrator(m);

	if (rc == 0 && in->domain_id.p && !str_eq(in->domain_id, m->who->domain_id))
		rc = err_set(&m->err, ERR_IAM_0002, NULL);
	if (rc == 0)
		rc = check_fields(m, in);
	if (rc == 0)
		rc = check_unique(m, id, in);
	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM iam_user WHERE domain_id = ?", "s",
				   m->who->domain_id);
	if (rc == 0 && n >= IAM_MAX_USERS)
		rc = err_set(&m->err, ERR_1115, NULL);
	if (rc == 0)
		rc = insert(m, id, in);
	if (rc == ERR_APPIA_0409) /* another one was faster */
		return err_set(&m->err, ERR_1109, NULL);
	if (rc == 0)
		rc = set_password(m, in, id);
	if (rc == 0)
		rc = store_outbox(m->tx, &m->err, STR("user"), id);
	return rc ? rc : iam_user_show(m, id, ret);
}

/* Keys of a user vanish from, or come back to, the published state with it. */
static int publish_keys(struct model *m, struct str id)
{
	struct str keys[16];
	size_t n = 0;
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT access FROM iam_access_key WHERE user_id = ? ORDER BY access", "s", id);

	if (rc)
		return rc;
	while (n < 16 && store_next(rows))
		keys[n++] = store_str(rows, 0, m->arena);
	rc = store_done(&rows, &m->err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = store_outbox(m->tx, &m->err, STR("access_key"), keys[i]);
	return rc;
}

static int store_fields(struct model *m, struct str id, const struct iam_user *in)
{
	int64_t enabled = in->enabled, change = in->pwd_status;
	int rc = store_exec(m->tx, &m->err, NULL,
			    "UPDATE iam_user SET name = COALESCE(?, name), description = COALESCE(?, description),"
			    " access_mode = COALESCE(?, access_mode), email = COALESCE(?, email),"
			    " areacode = COALESCE(?, areacode), phone = COALESCE(?, phone),"
			    " xuser_type = COALESCE(?, xuser_type), xuser_id = COALESCE(?, xuser_id),"
			    " enabled = COALESCE(?, enabled), change_password = COALESCE(?, change_password),"
			    " updated_ms = ? WHERE id = ?",
			    "ssssssssnnis", in->name, in->description, in->access_mode, in->email, in->areacode,
			    in->phone, in->xuser_type, in->xuser_id, in->has_enabled ? &enabled : NULL,
			    in->has_pwd_status ? &change : NULL, m->now_ms, id);

	if (rc == 0 && in->has_enabled && !in->enabled) /* what was issued before must not come back with the user */
		rc = store_exec(m->tx, &m->err, NULL, "UPDATE iam_user SET tokens_after_ms = ? WHERE id = ?", "is",
				m->now_ms + 1, id);
	return rc;
}

int iam_user_update(struct model *m, struct str id, const struct iam_user *in, struct iam_user *ret)
{
	struct iam_account a;
	int rc = iam_require_administrator(m);

	if (rc == 0)
		rc = iam_user_find(m, id, &a);
	if (rc == 0 && a.owner && in->has_enabled && !in->enabled)
		rc = err_set_text(&m->err, ERR_IAM_0002, "The account administrator cannot be disabled.");
	if (rc == 0 && in->domain_id.p && !str_eq(in->domain_id, a.domain_id))
		rc = err_set(&m->err, ERR_IAM_0002, NULL);
	if (rc == 0)
		rc = check_fields(m, in);
	if (rc == 0)
		rc = check_unique(m, id, in);
	if (rc == 0)
		rc = store_fields(m, id, in);
	if (rc == ERR_APPIA_0409) /* another one was faster */
		return err_set(&m->err, ERR_1109, NULL);
	if (rc == 0 && in->has_enabled && !in->enabled)
		rc = iam_group_keep_administrator(m);
	if (rc == 0)
		rc = set_password(m, in, id);
	if (rc == 0)
		rc = store_outbox(m->tx, &m->err, STR("user"), id);
	if (rc == 0)
		rc = publish_keys(m, id);
	return rc ? rc : iam_user_show(m, id, ret);
}

int iam_user_delete(struct model *m, struct str id)
{
	struct iam_account a;
	int rc = iam_require_administrator(m);

	if (rc == 0)
		rc = iam_user_find(m, id, &a);
	if (rc == 0 && a.owner)
		rc = err_set(&m->err, ERR_1107, NULL);
	if (rc == 0)
		rc = publish_keys(m, id);
	if (rc == 0)
		rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM iam_user WHERE id = ?", "s", id);
	if (rc == 0)
		rc = iam_group_keep_administrator(m);
	return rc ? rc : store_outbox(m->tx, &m->err, STR("user"), id);
}

int iam_user_inform(struct model *m, struct str id, const struct iam_user *in)
{
	struct iam_user change = {.email = in->email};
	struct iam_account a;
	struct str rest = in->mobile;
	int rc = str_eq(m->who->user_id, id) ? 0 : err_set(&m->err, ERR_IAM_0002, NULL);

	if (rc == 0)
		rc = iam_user_find(m, id, &a);
	if (rc)
		return rc;
	if (rest.n) {
		change.areacode = str_cut(&rest, '-');
		change.phone = rest.p ? rest : STR("");
	}
	rc = check_fields(m, &change);
	if (rc == 0)
		rc = check_unique(m, id, &change);
	return rc ? rc : store_fields(m, id, &change);
}
