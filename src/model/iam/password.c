/* SPDX-License-Identifier: Apache-2.0 */
#include "model/iam/password.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/rnd.h"
#include "model/iam/roles.h"
#include "model/write.h"
#include "sign/sign.h"

#include <pthread.h>
#include <time.h>

#define LANE_WAIT_S 5

/* Each hash takes 64 MB and a core for a while. A user always has the same lane, so that many attempts at once are
 * counted one after the other and cannot outrun the lock. */
static struct {
	pthread_mutex_t lock; /* for taken */
	pthread_cond_t given; /* any lane was given back */
	bool taken[4];
} lanes = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, {false}};

/* False when it is not free in time: whoever floods this must not make all threads of the server wait here. */
static bool lane_take(size_t lane)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LANE_WAIT_S;
	pthread_mutex_lock(&lanes.lock);
	while (lanes.taken[lane] && pthread_cond_clockwait(&lanes.given, &lanes.lock, CLOCK_MONOTONIC, &until) == 0)
		;
	bool got = !lanes.taken[lane];

	lanes.taken[lane] = true;
	pthread_mutex_unlock(&lanes.lock);
	return got;
}

static void lane_give(size_t lane)
{
	pthread_mutex_lock(&lanes.lock);
	lanes.taken[lane] = false;
	pthread_cond_broadcast(&lanes.given);
	pthread_mutex_unlock(&lanes.lock);
}

static pthread_once_t dummy_once = PTHREAD_ONCE_INIT;
static char dummy[256];

static void make_dummy(void)
{
	struct arena *a = arena_new((size_t)1 << 16);
	struct str hash = sign_password_hash(a, rnd_text(a, 32, "abcdefghijklmnopqrstuvwxyz"));

	if (hash.n < sizeof(dummy))
		memcpy(dummy, hash.p ? hash.p : "", hash.n);
	arena_free(a);
}

static int find(struct model *m, const struct iam_login *login, struct iam_account *ret, bool *ret_found)
{
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	if (login->user_id.p)
		rc = iam_account_by_id(m, login->user_id, ret, ret_found);
	else
		rc = iam_account_by_name(m, login->user_name, login->domain_id, login->domain_name, ret, ret_found);
	store_rollback(&m->tx);
	return rc;
}

static int note_failure(struct model *m, void *arg)
{
	const struct iam_account *a = arg;
	int rc = store_exec(
		m->tx, &m->err, NULL,
		"UPDATE iam_user SET failures = CASE WHEN failing_since_ms <= ? THEN 1 ELSE failures + 1 END,"
		" failing_since_ms = CASE WHEN failing_since_ms <= ? THEN ? ELSE failing_since_ms END"
		" WHERE id = ?",
		"iiis", m->now_ms - IAM_LOCK_WINDOW_MS, m->now_ms - IAM_LOCK_WINDOW_MS, m->now_ms, a->id);

	return rc ? rc
		  : store_exec(m->tx, &m->err, NULL,
			       "UPDATE iam_user SET failures = 0, failing_since_ms = 0, locked_until_ms = ?"
			       " WHERE id = ? AND failures >= ?",
			       "isi", m->now_ms + m->settings->lock_for_ms, a->id, m->settings->lock_after);
}

static int note_success(struct model *m, void *arg)
{
	const struct iam_account *a = arg;

	return store_exec(m->tx, &m->err, NULL,
			  "UPDATE iam_user SET failures = 0, failing_since_ms = 0, last_login_ms = ? WHERE id = ?",
			  "is", m->now_ms, a->id);
}

static int check(struct model *m, const struct iam_login *login, struct str password, struct iam_account *ret)
{
	struct iam_account a = {0};
	bool found = false;
	int rc = find(m, login, &a, &found);

	if (rc)
		return rc;
	if (found && a.locked_until_ms > m->now_ms)
		return err_set(&m->err, ERR_401_ACCOUNT_LOCKED, NULL);
	pthread_once(&dummy_once, make_dummy);
	bool known = found && a.password_hash.n;
	bool right = sign_password_check(known ? a.password_hash : str_of(dummy), password);

	if (!known || !right) {
		rc = found ? model_write(m, note_failure, &a) : 0;
		return rc ? rc : err_set(&m->err, ERR_401_WRONG_PASSWORD, NULL);
	}
	if (!a.enabled)
		return err_set(&m->err, ERR_IAM_0082, "%.*s", STR_FMT(a.name));
	rc = model_write(m, note_success, &a);
	if (rc == 0)
		*ret = a;
	return rc;
}

int iam_password_check(struct model *m, const struct iam_login *login, struct str password, struct iam_account *ret)
{
	struct str who = login->user_id.p ? login->user_id : login->user_name;
	size_t lane = map_hash(who) % ARRAY_LEN(lanes.taken);

	if (!lane_take(lane))
		return err_set_retriable(&m->err, ERR_APPIA_0503, NULL);
	int rc = check(m, login, password, ret);

	lane_give(lane);
	return rc;
}

/* name, or name backward */
static bool mirrors(struct str password, struct str name)
{
	bool same = password.n == name.n;

	for (size_t i = 0; same && i < name.n; i++)
		same = password.p[i] == name.p[name.n - 1 - i];
	return name.n && (same || str_eq(password, name));
}

int iam_password_policy(struct model *m, const struct iam_account *account, struct str password)
{
	if (mirrors(password, account->name))
		return err_set_text(&m->err, ERR_1118,
				    "The password must not be the user name or the user name backward.");
	if ((account->email.n && str_eq(password, account->email)) ||
	    (account->phone.n && str_eq(password, account->phone)))
		return err_set_text(&m->err, ERR_1118,
				    "The password must not be the mail address or the phone number.");
	return 0;
}

struct str iam_password_strength(struct str password)
{
	bool lower = false, upper = false, digit = false, other = false;

	for (size_t i = 0; i < password.n; i++) {
		char c = password.p[i];

		if (c >= 'a' && c <= 'z')
			lower = true;
		else if (c >= 'A' && c <= 'Z')
			upper = true;
		else if (c >= '0' && c <= '9')
			digit = true;
		else
			other = true;
	}
	int kinds = lower + upper + digit + other;

	if (password.n == 0)
		return STR("");
	return kinds >= 3 && password.n >= 10 ? STR("high") : kinds >= 3 || password.n >= 10 ? STR("mid") : STR("low");
}

int iam_password_set(struct model *m, const struct iam_account *account, struct str password, bool change)
{
	struct str hash = sign_password_hash(m->arena, password);

	if (!hash.p)
		return err_set_retriable(&m->err, ERR_APPIA_0503, NULL);
	/* Tokens issued in this very millisecond are older. */
	int rc = store_exec(m->tx, &m->err, NULL,
			    "UPDATE iam_user SET password_hash = ?, password_strength = ?, password_ms = ?,"
			    " change_password = ?, tokens_after_ms = ?, failures = 0, failing_since_ms = 0,"
			    " locked_until_ms = 0, updated_ms = ? WHERE id = ?",
			    "ssiiiis", hash, iam_password_strength(password), m->now_ms, (int64_t)change, m->now_ms + 1,
			    m->now_ms, account->id);

	return rc ? rc : store_outbox(m->tx, &m->err, STR("user"), account->id);
}

struct change {
	const struct iam_account *account;
	struct str password;
};

static int store_change(struct model *m, void *arg)
{
	const struct change *c = arg;

	return iam_password_set(m, c->account, c->password, false);
}

int iam_password_change(struct model *m, struct str user_id, struct str original, struct str password)
{
	struct iam_account account;
	struct iam_login login = {.user_id = user_id};

	if (!m->who || !str_eq(m->who->user_id, user_id))
		return err_set(&m->err, ERR_IAM_0002, NULL);
	int rc = iam_password_check(m, &login, original, &account);

	if (rc == ERR_401_WRONG_PASSWORD)
		return err_set(&m->err, ERR_IAM_0062, NULL);
	if (rc == 0 && str_eq(original, password))
		rc = err_set(&m->err, ERR_1108, NULL);
	if (rc == 0)
		rc = iam_password_policy(m, &account, password);
	if (rc)
		return rc;
	struct change c = {&account, password};

	return model_write(m, store_change, &c);
}
