/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "broker/handlers/quota.h"
#include "broker/handlers/tokens.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>

/* Who may do what. Without SASL there are no limits: the listener is for the machine itself. Administrators may do
 * everything. Others: a rule that denies comes first; then rules that allow (Kafka's ACLs), and for applications the
 * rights to topics that the published state has ("topic_right/<topic>/<app key>"), besides groups and
 * transactions of their own. */

#define MAP_BYTES ((size_t)64 << 30)
#define APP_SECRET "app.secret"

static const struct str any = {"*", 1};

static bool pattern_fits(const struct mqs_acl *acl, struct str name)
{
	return acl->pattern == 4 ? str_starts(name, acl->name) : str_eq(acl->name, any) || str_eq(acl->name, name);
}

static bool principal_fits(const struct mqs_acl *acl, const char *user)
{
	if (str_is(acl->principal, "User:*"))
		return true;
	return str_starts(acl->principal, STR("User:")) && str_is(str_sub(acl->principal, 5, acl->principal.n), user);
}

/* What is allowed includes (Kafka's implied operations). */
static bool operation_fits(const struct mqs_acl *acl, int op)
{
	if (acl->operation == OP_ALL || acl->operation == op)
		return true;
	if (acl->permission != 3)
		return false;
	if (op == OP_DESCRIBE)
		return acl->operation == OP_READ || acl->operation == OP_WRITE || acl->operation == OP_DELETE ||
		       acl->operation == OP_ALTER;
	return op == OP_DESCRIBE_CONFIGS && acl->operation == OP_ALTER_CONFIGS;
}

/* Of an unknown host all is true that is said against it. */
static bool host_fits(const struct mqs_acl *acl, const char *host)
{
	return str_eq(acl->host, any) || str_is(acl->host, host) || (!host[0] && acl->permission == 2);
}

/* 3: allowed, 2: denied, 0: nothing said. */
static int acl_verdict(struct mqs_broker *b, const struct mqs_peer *peer, int resource, struct str name, int op)
{
	int verdict = 0;

	pthread_rwlock_rdlock(&b->security);
	for (size_t i = 0; i < b->n_acls && verdict != 2; i++) {
		const struct mqs_acl *acl = &b->acls[i];

		if (acl->resource == resource && pattern_fits(acl, name) && principal_fits(acl, peer->user) &&
		    host_fits(acl, peer->host) && operation_fits(acl, op))
			verdict = acl->permission;
	}
	pthread_rwlock_unlock(&b->security);
	return verdict;
}

static struct str published(struct mqs_broker *b, struct arena *a, const char *kind, struct str x, struct str y)
{
	char key[PUB_KEY_MAX + 1];
	struct pub_view *view;
	struct err err = {0};
	struct str ret = STR_NONE;

	pthread_mutex_lock(&b->pub_lock);
	if (!b->pub && b->options.published)
		pub_open(b->options.published, MAP_BYTES, false, &b->pub, &err);
	if (b->pub && pub_view_begin(b->pub, &view, &err) == 0) {
		ret = arena_str(a, pub_get(view, pub_key(key, kind, x, y, STR_NONE)));
		pub_view_end(&view);
	}
	pthread_mutex_unlock(&b->pub_lock);
	return ret;
}

uint64_t mqs_published_seq(struct mqs_broker *b)
{
	struct arena *a = arena_new(4096);
	struct cursor c = cursor_of(published(b, a, "meta", STR("seq"), STR_NONE));
	uint64_t seq = cursor_u64(&c);

	arena_free(a);
	return seq;
}

bool mqs_app_secret(struct mqs_broker *b, struct arena *a, struct str key, struct str *ret_secret, struct str *ret_id)
{
	struct str id = published(b, a, "appkey", key, STR_NONE);
	struct str value = id.p ? published(b, a, "app", id, STR_NONE) : STR_NONE;
	struct pub_app app;

	if (!value.p || !b->keys || !pub_app_decode(value, &app) || app.disabled || !str_eq(app.key, key))
		return false;
	*ret_id = id;
	return sign_open(a, b->keys, APP_SECRET, app.sealed_secret, ret_secret);
}

/* What the application of that key may do with the topic; NULL: nothing. */
static const struct json *topic_right(struct mqs_broker *b, struct arena *a, struct str topic, struct str key)
{
	struct str value = published(b, a, "topic_right", topic, key);
	const struct json *right;
	char why[64];

	return value.p && json_parse(a, value, &right, why, sizeof(why)) ? right : NULL;
}

static bool right_allows(const struct json *right, int op)
{
	switch (op) {
	case OP_READ:
		return right && json_bool(json_get(right, "sub"));
	case OP_WRITE:
		return right && json_bool(json_get(right, "pub"));
	case OP_DESCRIBE:
	case OP_DESCRIBE_CONFIGS:
		return right != NULL;
	default:
		return false;
	}
}

/* Besides topics. */
static bool app_may(int resource, int op)
{
	if (resource == ACL_GROUP)
		return op == OP_READ || op == OP_DESCRIBE || op == OP_DELETE;
	if (resource == ACL_TXN)
		return op == OP_WRITE || op == OP_DESCRIBE;
	return resource == ACL_CLUSTER && op == OP_IDEMPOTENT_WRITE;
}

static bool peer_may(struct mqs_broker *b, struct arena *a, const struct mqs_peer *peer, int resource, struct str name,
		     int operation, const struct json **ret_right)
{
	const struct json *right = NULL;

	*ret_right = NULL;
	if (!peer->sasl || peer->administrator)
		return true;
	int verdict = acl_verdict(b, peer, resource, name, operation);

	if (verdict == 2)
		return false;
	if (peer->app && resource == ACL_TOPIC)
		*ret_right = right = topic_right(b, a, name, str_of(peer->user));
	if (verdict == 3)
		return true;
	return peer->app && (resource == ACL_TOPIC ? right_allows(right, operation) : app_may(resource, operation));
}

bool mqs_may(struct mqs_request *rq, int resource, struct str name, int operation)
{
	const struct json *right;

	return peer_may(mqs_broker(rq), rq->arena, mqs_peer(rq), resource, name, operation, &right);
}

bool mqs_may_topic(struct mqs_request *rq, struct str topic, int operation, const struct json **ret_right)
{
	return peer_may(mqs_broker(rq), rq->arena, mqs_peer(rq), ACL_TOPIC, topic, operation, ret_right);
}

bool mqs_administrator(const struct mqs_broker *b, struct str user)
{
	for (struct str list = b->options.administrators; list.p && list.n;)
		if (str_eq(str_trim(str_cut(&list, ',')), user))
			return true;
	return false;
}

/* A group's member is not there to be asked: all that is known of it is its name, "" without SASL. */
bool mqs_topic_visible(void *arg, struct str principal, struct str topic)
{
	struct mqs_broker *b = arg;
	struct mqs_peer peer = {.sasl = principal.n > 0, .administrator = mqs_administrator(b, principal)};
	const struct json *right;

	if (!peer.sasl || peer.administrator)
		return true;
	struct arena *a = arena_new(1 << 20);
	struct str id = published(b, a, "appkey", principal, STR_NONE);

	snprintf(peer.user, sizeof(peer.user), "%.*s", STR_FMT(principal));
	peer.app = id.n > 0;
	bool may = peer_may(b, a, &peer, ACL_TOPIC, topic, OP_DESCRIBE, &right);

	arena_free(a);
	return may;
}

/* ---- stored form: "acl/<bytes of the rule>", "scram/<mechanism>/<user>", "quota/<entity>" ---- */

static void acl_free(struct mqs_acl *acl)
{
	coord_disown(&acl->name);
	coord_disown(&acl->principal);
	coord_disown(&acl->host);
}

static bool acl_same(const struct mqs_acl *x, const struct mqs_acl *y)
{
	return x->resource == y->resource && x->pattern == y->pattern && x->operation == y->operation &&
	       x->permission == y->permission && str_eq(x->name, y->name) && str_eq(x->principal, y->principal) &&
	       str_eq(x->host, y->host);
}

static void acl_key(struct buf *key, const struct mqs_acl *acl)
{
	buf_cstr(key, "acl/");
	buf_u8(key, (uint8_t)acl->resource);
	buf_u8(key, (uint8_t)acl->pattern);
	buf_u8(key, (uint8_t)acl->operation);
	buf_u8(key, (uint8_t)acl->permission);
	coord_put_str(key, acl->name);
	coord_put_str(key, acl->principal);
	coord_put_str(key, acl->host);
}

static void acl_replay(struct mqs_broker *b, struct str key, bool there)
{
	struct cursor c = cursor_of(key);
	struct mqs_acl acl = {.resource = (int8_t)cursor_u8(&c),
			      .pattern = (int8_t)cursor_u8(&c),
			      .operation = (int8_t)cursor_u8(&c),
			      .permission = (int8_t)cursor_u8(&c)};

	acl.name = cursor_str(&c);
	acl.principal = cursor_str(&c);
	acl.host = cursor_str(&c);
	if (c.failed)
		return;
	for (size_t i = 0; i < b->n_acls; i++)
		if (acl_same(&b->acls[i], &acl)) {
			acl_free(&b->acls[i]);
			b->acls[i] = b->acls[--b->n_acls];
			break;
		}
	if (!there)
		return;
	if (b->n_acls == b->cap_acls) {
		b->cap_acls = b->cap_acls ? b->cap_acls * 2 : 16;
		b->acls = mem_realloc(b->acls, b->cap_acls * sizeof(*b->acls));
	}
	acl.name = coord_own(acl.name);
	acl.principal = coord_own(acl.principal);
	acl.host = coord_own(acl.host);
	b->acls[b->n_acls++] = acl;
}

static void scram_free(struct mqs_scram *s)
{
	coord_disown(&s->user);
	coord_disown(&s->salt);
	coord_disown(&s->stored_key);
	coord_disown(&s->server_key);
}

static void scram_replay(struct mqs_broker *b, struct str key, struct str value)
{
	struct cursor c = cursor_of(value);

	if (key.n < 2)
		return;
	struct mqs_scram s = {.mechanism = key.p[0] - '0', .user = str_sub(key, 2, key.n)};

	for (size_t i = 0; i < b->n_scram; i++)
		if (b->scram[i].mechanism == s.mechanism && str_eq(b->scram[i].user, s.user)) {
			scram_free(&b->scram[i]);
			b->scram[i] = b->scram[--b->n_scram];
			break;
		}
	if (!value.p)
		return;
	s.iterations = (int32_t)cursor_u32(&c);
	s.salt = cursor_str(&c);
	s.stored_key = cursor_str(&c);
	s.server_key = cursor_str(&c);
	if (c.failed)
		return;
	if (b->n_scram == b->cap_scram) {
		b->cap_scram = b->cap_scram ? b->cap_scram * 2 : 16;
		b->scram = mem_realloc(b->scram, b->cap_scram * sizeof(*b->scram));
	}
	s.user = coord_own(s.user);
	s.salt = coord_own(s.salt);
	s.stored_key = coord_own(s.stored_key);
	s.server_key = coord_own(s.server_key);
	b->scram[b->n_scram++] = s;
}

void mqs_security_replay(struct mqs_broker *b, struct str key, struct str value)
{
	pthread_rwlock_wrlock(&b->security);
	if (str_starts(key, STR("acl/")))
		acl_replay(b, str_sub(key, 4, key.n), value.p != NULL);
	else if (str_starts(key, STR("scram/")))
		scram_replay(b, str_sub(key, 6, key.n), value);
	else if (str_starts(key, STR("quota/")))
		mqs_quota_replay(b, str_sub(key, 6, key.n), value);
	else if (str_starts(key, STR("quota-ip/")))
		mqs_ip_quota_replay(b, str_sub(key, 9, key.n), value);
	else if (str_starts(key, STR("token/")))
		token_replay(b, str_sub(key, 6, key.n), value);
	pthread_rwlock_unlock(&b->security);
}

int mqs_security_open(struct mqs_broker *b, struct err *err)
{
	struct err ignored = {0};

	/* Without the installation's key applications cannot log in; everything else works. */
	if (b->options.key && sign_keyring_open(b->options.key, false, &b->keys, &ignored) != 0)
		log_warn("applications cannot log in: %s", ignored.text);
	return 0;
}

void mqs_security_close(struct mqs_broker *b)
{
	for (size_t i = 0; i < b->n_acls; i++)
		acl_free(&b->acls[i]);
	for (size_t i = 0; i < b->n_scram; i++)
		scram_free(&b->scram[i]);
	free(b->acls);
	free(b->scram);
	mqs_quotas_free(b);
	tokens_free(b);
	pub_close(b->pub);
	sign_keyring_free(b->keys);
}

/* ---- ACLs ---- */

static bool filter_fits(const struct mqs_acl *acl, const struct kafka_describe_acls_req *f)
{
	if (f->resource_type_filter > 1 && f->resource_type_filter != acl->resource)
		return false;
	if (f->operation > 1 && f->operation != acl->operation)
		return false;
	if (f->permission_type > 1 && f->permission_type != acl->permission)
		return false;
	if (f->principal_filter.p && !str_eq(f->principal_filter, acl->principal))
		return false;
	if (f->host_filter.p && !str_eq(f->host_filter, acl->host))
		return false;
	/* 1 any, 2 whatever applies to the name, 3 literal, 4 prefixed */
	if (f->pattern_type_filter > 2 && f->pattern_type_filter != acl->pattern)
		return false;
	if (!f->resource_name_filter.p)
		return true;
	return f->pattern_type_filter == 2 ? pattern_fits(acl, f->resource_name_filter)
					   : str_eq(f->resource_name_filter, acl->name);
}

static struct mqs_acl acl_copy(struct arena *a, const struct mqs_acl *acl)
{
	struct mqs_acl c = *acl;

	c.name = arena_str(a, acl->name);
	c.principal = arena_str(a, acl->principal);
	c.host = arena_str(a, acl->host);
	return c;
}

static struct mqs_acl *matching(struct mqs_request *rq, const struct kafka_describe_acls_req *f, size_t *ret_n)
{
	struct mqs_broker *b = mqs_broker(rq);

	*ret_n = 0;
	pthread_rwlock_rdlock(&b->security);
	struct mqs_acl *v = ARENA_ARRAY(rq->arena, struct mqs_acl, b->n_acls + 1);

	for (size_t i = 0; i < b->n_acls; i++)
		if (filter_fits(&b->acls[i], f))
			v[(*ret_n)++] = acl_copy(rq->arena, &b->acls[i]);
	pthread_rwlock_unlock(&b->security);
	return v;
}

void mqs_handle_describe_acls(struct mqs_request *rq)
{
	struct kafka_describe_acls_res *res = KAFKA_NEW(rq->arena, kafka_describe_acls_res);
	size_t n;

	res->resources.n = 0;
	if (!mqs_may_cluster(rq, OP_DESCRIBE)) {
		res->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
		mqs_answer(rq, res);
		return;
	}
	struct mqs_acl *v = matching(rq, rq->in, &n);

	res->resources.v = KAFKA_ARRAY(rq->arena, kafka_describe_acls_res_resource, n);
	for (size_t i = 0; i < n; i++) {
		struct kafka_describe_acls_res_resource *r = NULL;

		for (int32_t k = 0; k < res->resources.n && !r; k++)
			if (res->resources.v[k].resource_type == v[i].resource &&
			    res->resources.v[k].pattern_type == v[i].pattern &&
			    str_eq(res->resources.v[k].resource_name, v[i].name))
				r = &res->resources.v[k];
		if (!r) {
			r = &res->resources.v[res->resources.n++];
			r->resource_type = v[i].resource;
			r->resource_name = v[i].name;
			r->pattern_type = v[i].pattern;
			r->acls.n = 0;
			r->acls.v = KAFKA_ARRAY(rq->arena, kafka_describe_acls_res_acl, n - i);
		}
		r->acls.v[r->acls.n++] = (struct kafka_describe_acls_res_acl){v[i].principal, v[i].host, v[i].operation,
									      v[i].permission};
	}
	mqs_answer(rq, res);
}

static int acl_store(struct mqs_request *rq, const struct mqs_acl *acl, bool there)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct buf key;

	buf_init(&key, 65536);
	acl_key(&key, acl);
	struct coord_record rec = {buf_view(&key), there ? STR("1") : STR_NONE};
	int code = key.failed ? KAFKA_ERR_INVALID_REQUEST : mqs_statelog_put(&b->state, &rec, 1);

	if (code == 0) {
		mqs_security_replay(b, rec.key, rec.value);
		mqs_groups_refresh(b);
	}
	buf_done(&key);
	return code;
}

static int acl_create(struct mqs_request *rq, const struct kafka_create_acls_req_creation *c, struct str *ret_text)
{
	struct mqs_acl acl = {.resource = c->resource_type,
			      .pattern = c->resource_pattern_type,
			      .operation = c->operation,
			      .permission = c->permission_type,
			      .name = c->resource_name,
			      .principal = c->principal,
			      .host = c->host};

	*ret_text = STR(
		"a rule needs a resource of type topic, group, cluster, transactional id, token or user, a literal or "
		"prefixed name, a user, an operation, and to allow or to deny");
	if (acl.resource < ACL_TOPIC || acl.resource > ACL_USER || (acl.pattern != 3 && acl.pattern != 4) ||
	    acl.operation < OP_ALL || acl.operation > OP_DESCRIBE_TOKENS ||
	    (acl.permission != 2 && acl.permission != 3) || !str_starts(acl.principal, STR("User:")) ||
	    acl.name.n == 0 || acl.host.n == 0)
		return KAFKA_ERR_INVALID_REQUEST;
	*ret_text = STR_NONE;
	return acl_store(rq, &acl, true);
}

void mqs_handle_create_acls(struct mqs_request *rq)
{
	const struct kafka_create_acls_req *in = rq->in;
	struct kafka_create_acls_res *res = KAFKA_NEW(rq->arena, kafka_create_acls_res);
	int32_t n = in->creations.n > 0 && in->creations.n < 5000 ? in->creations.n : 0;
	bool may = mqs_may_cluster(rq, OP_ALTER);

	res->results.n = n;
	res->results.v = KAFKA_ARRAY(rq->arena, kafka_create_acls_res_result, (size_t)n);
	for (int32_t i = 0; i < n; i++)
		res->results.v[i].error_code =
			may ? (int16_t)acl_create(rq, &in->creations.v[i], &res->results.v[i].error_message)
			    : (int16_t)KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
	mqs_answer(rq, res);
}

void mqs_handle_delete_acls(struct mqs_request *rq)
{
	const struct kafka_delete_acls_req *in = rq->in;
	struct kafka_delete_acls_res *res = KAFKA_NEW(rq->arena, kafka_delete_acls_res);
	int32_t n = in->filters.n > 0 && in->filters.n < 5000 ? in->filters.n : 0;
	bool may = mqs_may_cluster(rq, OP_ALTER);

	res->filter_results.n = n;
	res->filter_results.v = KAFKA_ARRAY(rq->arena, kafka_delete_acls_res_filter_result, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		const struct kafka_delete_acls_req_filter *f = &in->filters.v[i];
		struct kafka_delete_acls_res_filter_result *out = &res->filter_results.v[i];
		struct kafka_describe_acls_req like = {f->resource_type_filter, f->resource_name_filter,
						       f->pattern_type_filter,  f->principal_filter,
						       f->host_filter,          f->operation,
						       f->permission_type};
		size_t found = 0;
		struct mqs_acl *v = may ? matching(rq, &like, &found) : NULL;

		out->error_code = may ? 0 : KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
		out->matching_acls.n = (int32_t)found;
		out->matching_acls.v = KAFKA_ARRAY(rq->arena, kafka_delete_acls_res_matching_acl, found);
		for (size_t k = 0; k < found; k++)
			out->matching_acls.v[k] =
				(struct kafka_delete_acls_res_matching_acl){(int16_t)acl_store(rq, &v[k], false),
									    STR_NONE,
									    v[k].resource,
									    v[k].name,
									    v[k].pattern,
									    v[k].principal,
									    v[k].host,
									    v[k].operation,
									    v[k].permission};
	}
	mqs_answer(rq, res);
}
