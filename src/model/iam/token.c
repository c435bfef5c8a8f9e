/* SPDX-License-Identifier: Apache-2.0 */
#include "model/iam/token.h"

#include "base/mem.h"
#include "base/rnd.h"
#include "model/iam/catalog.h"
#include "model/iam/id_token.h"
#include "model/iam/password.h"
#include "model/iam/roles.h"

/* Who asks for a token, and how it was shown. */
struct proof {
	struct iam_account account;
	int64_t expires_ms;
	struct str_array methods;
};

static bool has_method(const struct iam_identity *identity, const char *method)
{
	for (size_t i = 0; i < identity->methods.n; i++)
		if (str_is(identity->methods.v[i], method))
			return true;
	return false;
}

static int by_password(struct model *m, const struct iam_identity *identity, struct proof *ret)
{
	const struct iam_password_user *user = identity->password ? identity->password->user : NULL;

	if (!user)
		return err_set(&m->err, ERR_IAM_1103, "auth.identity.password");
	if (!user->id.p && !user->name.p)
		return err_set(&m->err, ERR_IAM_1103, "auth.identity.password.user.name");
	if (!user->id.p && (!user->domain || (!user->domain->id.p && !user->domain->name.p)))
		return err_set(&m->err, ERR_IAM_1103, "auth.identity.password.user.domain");
	struct iam_login login = {.user_id = user->id, .user_name = user->name};

	if (user->domain) {
		login.domain_id = user->domain->id;
		login.domain_name = user->domain->name;
	}
	ret->expires_ms = m->now_ms + m->settings->token_lifetime_ms;
	return iam_password_check(m, &login, user->password, &ret->account);
}

/* The new token ends with the old one, or tokens would live for ever. */
static int by_token(struct model *m, const struct iam_identity *identity, struct proof *ret)
{
	struct sign_token token;

	if (!identity->token)
		return err_set(&m->err, ERR_IAM_1103, "auth.identity.token");
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	rc = iam_token_open(m, identity->token->id, &token, &ret->account);
	store_rollback(&m->tx);
	if (rc == 0)
		ret->expires_ms = token.expires_ms;
	return rc;
}

static int prove(struct model *m, const struct iam_identity *identity, struct proof *ret)
{
	ret->methods = identity->methods;
	if (has_method(identity, "assume_role")) /* there are no agencies to assume */
		return err_set(&m->err, ERR_IAM_0004, "agency" ERR_NEXT "%.*s",
			       STR_FMT(identity->assume_role ? identity->assume_role->agency_name : STR("")));
	if (has_method(identity, "password")) {
		int rc = by_password(m, identity, ret);

		if (rc == 0 && has_method(identity, "totp")) /* no user has a one-time code device */
			rc = err_set(&m->err, ERR_IAM_1061, NULL);
		return rc;
	}
	if (has_method(identity, "token"))
		return by_token(m, identity, ret);
	return err_set(&m->err, ERR_IAM_1102, "auth.identity.methods");
}

static int own_domain(struct model *m, const struct iam_account *account, const struct iam_domain_ref *ref)
{
	if (!ref || ((!ref->id.p || str_eq(ref->id, account->domain_id)) &&
		     (!ref->name.p || str_eq(ref->name, account->domain_name))))
		return 0;
	return err_set(&m->err, ERR_IAM_0004, "domain" ERR_NEXT "%.*s", STR_FMT(ref->id.p ? ref->id : ref->name));
}

/* The project counts when both are given. */
static int read_scope(struct model *m, const struct iam_account *account, const struct iam_scope *scope,
		      struct sign_token *token)
{
	struct iam_place place;
	bool found;

	if (!scope)
		return 0;
	if (!scope->project)
		return own_domain(m, account, scope->domain);
	const struct iam_project_ref *p = scope->project;

	if (!p->id.p && !p->name.p)
		return err_set(&m->err, ERR_IAM_1103, "auth.scope.project.name");
	int rc = own_domain(m, account, p->domain);

	if (rc == 0)
		rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);
	if (rc)
		return rc;
	rc = iam_place_find(m, account->domain_id, p->id, p->name, &place, &found);
	store_rollback(&m->tx);
	if (rc == 0 && !found)
		rc = err_set(&m->err, ERR_IAM_0004, "project" ERR_NEXT "%.*s", STR_FMT(p->id.p ? p->id : p->name));
	if (rc == 0 && !place.enabled)
		rc = err_set_text(&m->err, ERR_IAM_0002, "The project %.*s is suspended.", STR_FMT(place.name));
	if (rc == 0) {
		token->project_id = place.id;
		token->project_name = place.name;
	}
	return rc;
}

static struct iam_domain_ref *domain_ref(struct model *m, const struct sign_token *t)
{
	struct iam_domain_ref *ref = ARENA_NEW(m->arena, struct iam_domain_ref);

	*ref = (struct iam_domain_ref){t->domain_id, t->domain_name};
	return ref;
}

static void describe_roles(struct model *m, unsigned roles, struct iam_token *ret)
{
	ret->roles.v = ARENA_ARRAY(m->arena, struct iam_token_role, IAM_ROLES);
	for (size_t i = 0; i < IAM_ROLES; i++)
		if (roles & iam_roles[i].bit)
			ret->roles.v[ret->roles.n++] = (struct iam_token_role){.id = str_of(iam_roles[i].name),
									       .name = str_of(iam_roles[i].name)};
}

static void describe(struct model *m, const struct sign_token *t, bool with_catalog, struct iam_token *ret)
{
	ret->expires_at = iam_time(m, t->expires_ms);
	ret->issued_at = iam_time(m, t->issued_ms);
	ret->user = ARENA_NEW(m->arena, struct iam_token_user);
	ret->user->id = t->user_id;
	ret->user->name = t->user_name;
	ret->user->password_expires_at = STR(""); /* never */
	ret->user->domain = domain_ref(m, t);
	if (t->project_id.p) {
		ret->project = ARENA_NEW(m->arena, struct iam_token_project);
		ret->project->id = t->project_id;
		ret->project->name = t->project_name;
		ret->project->domain = domain_ref(m, t);
	} else {
		ret->domain = domain_ref(m, t);
	}
	describe_roles(m, t->roles, ret);
	if (with_catalog)
		iam_catalog_for_token(m, t->project_id, &ret->catalog);
}

static int issue(struct model *m, const struct proof *proof, const struct iam_scope *scope, bool with_catalog,
		 struct iam_token *ret, struct str *ret_text)
{
	struct sign_token token = {0};
	int rc = read_scope(m, &proof->account, scope, &token);

	if (rc)
		return rc;
	token.user_id = proof->account.id;
	token.user_name = proof->account.name;
	token.domain_id = proof->account.domain_id;
	token.domain_name = proof->account.domain_name;
	token.roles = proof->account.roles;
	/* Not before what voids older ones, even when the clock has gone back since then. */
	token.issued_ms = m->now_ms > proof->account.tokens_after_ms ? m->now_ms : proof->account.tokens_after_ms;
	token.expires_ms = proof->expires_ms;
	token.id = rnd_id(m->arena);
	struct str text = sign_token_make(m->arena, m->keys, &token);

	if (!text.p)
		return err_set(&m->err, ERR_APPIA_0500, "the token is too long");
	describe(m, &token, with_catalog, ret);
	ret->methods = proof->methods;
	*ret_text = text;
	return 0;
}

int iam_token_create(struct model *m, const struct iam_auth *auth, bool with_catalog, struct iam_token *ret,
		     struct str *ret_text)
{
	struct proof proof = {0};
	int rc = prove(m, auth->identity, &proof);

	return rc ? rc : issue(m, &proof, auth->scope, with_catalog, ret, ret_text);
}

static struct iam_scope *scope_of(struct model *m, const struct iam_id_token_scope *in)
{
	struct iam_scope *scope = ARENA_NEW(m->arena, struct iam_scope);

	if (in->domain) {
		scope->domain = ARENA_NEW(m->arena, struct iam_domain_ref);
		*scope->domain = (struct iam_domain_ref){in->domain->id, in->domain->name};
	}
	if (in->project) {
		scope->project = ARENA_NEW(m->arena, struct iam_project_ref);
		scope->project->id = in->project->id;
		scope->project->name = in->project->name;
	}
	return scope;
}

static void describe_federation(struct model *m, struct str provider, struct iam_token_user *user)
{
	struct iam_os_federation *f = ARENA_NEW(m->arena, struct iam_os_federation);

	f->identity_provider = ARENA_NEW(m->arena, struct iam_idp_id);
	f->identity_provider->id = provider;
	f->protocol = ARENA_NEW(m->arena, struct iam_protocol_id);
	f->protocol->id = STR("oidc");
	user->OS_FEDERATION = f;
}

int iam_token_by_id_token(struct model *m, struct str provider, const struct iam_id_token_auth *auth,
			  struct iam_token *ret, struct str *ret_text)
{
	static struct str mapped = {"mapped", 6};
	struct proof proof = {.methods = {&mapped, 1}};
	int rc = iam_id_token_check(m, provider, auth->id_token->id, &proof.account);

	if (rc)
		return rc;
	/* The ID token says who it is, once; how long our token is good is our matter, as with a password. */
	proof.expires_ms = m->now_ms + m->settings->token_lifetime_ms;
	rc = issue(m, &proof, auth->scope ? scope_of(m, auth->scope) : NULL, true, ret, ret_text);
	if (rc == 0)
		describe_federation(m, provider, ret->user);
	return rc;
}

int iam_token_open(struct model *m, struct str text, struct sign_token *ret, struct iam_account *ret_account)
{
	struct sign_token t;
	struct iam_account a;
	bool found;

	if (!sign_token_read(m->arena, m->keys, text, m->now_ms, &t)) {
		/* Genuine but too old? Worth another message. */
		bool old = sign_token_read(m->arena, m->keys, text, 0, &t);

		return err_set(&m->err, old ? ERR_IAM_0066 : ERR_IAM_0067, NULL);
	}
	int rc = iam_account_by_id(m, t.user_id, &a, &found);

	if (rc)
		return rc;
	if (!found || !a.enabled || t.issued_ms < a.tokens_after_ms)
		return err_set(&m->err, ERR_IAM_0067, NULL);
	*ret = t;
	*ret_account = a;
	return 0;
}

int iam_token_show(struct model *m, struct str text, bool with_catalog, struct iam_token *ret)
{
	static struct str password = {"password", 8};
	struct sign_token t;
	struct iam_account a;
	int rc = iam_token_open(m, text, &t, &a);

	if (rc == ERR_IAM_0066 || rc == ERR_IAM_0067)
		return err_set(&m->err, ERR_IAM_0004, "token" ERR_NEXT "the token in X-Subject-Token");
	if (rc == 0 && !str_eq(t.user_id, m->who->user_id) &&
	    !(m->who->administrator && str_eq(t.domain_id, m->who->domain_id)))
		rc = err_set(&m->err, ERR_IAM_0002, NULL);
	if (rc)
		return rc;
	describe(m, &t, with_catalog, ret);
	ret->methods = (struct str_array){&password, 1}; /* where every token comes from in the end */
	return 0;
}
