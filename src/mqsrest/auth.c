/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "json/json.h"
#include "mqsrest/priv.h"

#define MAP_BYTES ((size_t)64 << 30) /* address space for the published state, not memory */
#define TAGS_MAX 256

/* Signatures of applications are bound to this use of their sealed secret by the control plane. */
static const char purpose[] = "app.secret";

static int view_begin(struct rest_server *s, struct pub_view **ret, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&s->pub_lock);
	if (!s->pub)
		rc = pub_open(s->options.published, MAP_BYTES, false, &s->pub, err);
	pthread_mutex_unlock(&s->pub_lock);
	return rc ? rc : pub_view_begin(s->pub, ret, err);
}

static bool find_app(struct pub_view *view, struct str access, struct pub_app *ret)
{
	char key[PUB_KEY_MAX + 1];
	struct str id = pub_get(view, pub_key(key, "appkey", access, STR_NONE, STR_NONE));
	struct str value = id.p ? pub_get(view, pub_key(key, "app", id, STR_NONE, STR_NONE)) : STR_NONE;

	return value.p && pub_app_decode(value, ret) && !ret->disabled && str_eq(ret->key, access);
}

static struct str_array read_tags(struct arena *a, const struct json *list)
{
	size_t n = json_len(list);
	struct str_array ret = {NULL, n > TAGS_MAX ? TAGS_MAX : n};

	ret.v = ARENA_ARRAY(a, struct str, ret.n + 1);
	for (size_t i = 0; i < ret.n; i++)
		ret.v[i] = json_str(json_at(list, i));
	return ret;
}

static void find_right(struct pub_view *view, struct arena *a, struct str topic, struct rest_caller *caller)
{
	char key[PUB_KEY_MAX + 1], why[64];
	struct str value = pub_get(view, pub_key(key, "topic_right", topic, caller->key, STR_NONE));
	const struct json *right;

	if (!value.p || !json_parse(a, value, &right, why, sizeof(why)))
		return;
	caller->pub = json_bool(json_get(right, "pub"));
	caller->sub = json_bool(json_get(right, "sub"));
	caller->pub_tags = read_tags(a, json_get(right, "pub_tags"));
	caller->sub_tags = read_tags(a, json_get(right, "sub_tags"));
}

static struct sign_request signed_part(const struct httpd_request *req)
{
	struct sign_pair *headers = ARENA_ARRAY(req->arena, struct sign_pair, req->n_headers + 1);

	for (size_t i = 0; i < req->n_headers; i++)
		headers[i] = (struct sign_pair){req->headers[i].name, req->headers[i].value};
	struct sign_request ret = {req->method, req->target,    req->query.p ? req->query : STR(""),
				   headers,     req->n_headers, STR_NONE};

	if (sign_needs_body(&ret))
		ret.body_sha256 = sign_sha256_hex(req->arena, req->body);
	return ret;
}

static int refuse(struct err *err, const char *why)
{
	return err_set_text(err, ERR_APIG_0303, "Incorrect app authentication information: %s", why);
}

static int expired(const struct httpd_request *req, int64_t now_ms, struct err *err)
{
	char iso[CLOCK_ISO_SIZE], basic[CLOCK_ISO_SIZE];
	struct str now = clock_iso(now_ms, iso), date = str_trim(httpd_header(req, "X-Sdk-Date"));
	size_t n = 0;

	for (size_t i = 0; i < now.n; i++)
		if (now.p[i] != '-' && now.p[i] != ':')
			basic[n++] = now.p[i];
	return err_set(err, ERR_APIG_0303_SIGNATURE_EXPIRED, "%.*s" ERR_NEXT "%.*s", STR_FMT(date), (int)n, basic);
}

static int check(const struct httpd_request *req, const struct sign_header *header, struct str secret, struct err *err)
{
	struct sign_request part = signed_part(req);
	int64_t now = clock_now_ms();
	struct str canonical;

	switch (sign_verify(req->arena, &part, header, secret, now, &canonical)) {
	case SIGN_OK:
		return 0;
	case SIGN_NO_DATE:
		return refuse(err, "the header X-Sdk-Date is missing or malformed");
	case SIGN_EXPIRED:
		return expired(req, now, err);
	case SIGN_BAD_HEADERS:
		return refuse(err, "host and x-sdk-date must be signed, and all signed headers sent");
	default:
		return err_set(err, ERR_APIG_0303_SIGNATURE_WRONG, "%.*s", STR_FMT(canonical));
	}
}

int rest_authenticate(struct rest_server *s, const struct httpd_request *req, struct str topic, struct rest_caller *ret,
		      struct err *err)
{
	struct str authorization = httpd_header(req, "Authorization"), secret = STR_NONE;
	struct sign_header header;
	struct pub_view *view;
	struct pub_app app;

	if (!sign_parse(authorization, &header))
		return refuse(err, authorization.p ? "the Authorization header is malformed"
						   : "the Authorization header is missing");
	int rc = view_begin(s, &view, err);

	if (rc)
		return rc;
	*ret = (struct rest_caller){.key = header.access};
	bool known = find_app(view, header.access, &app);

	if (known) {
		ret->app_id = arena_str(req->arena, app.id);
		find_right(view, req->arena, topic, ret);
		if (!sign_open(req->arena, s->keys, purpose, app.sealed_secret, &secret))
			rc = err_set_text(err, ERR_APIG_0606, "a secret cannot be opened with the key file");
	}
	pub_view_end(&view);
	if (!known)
		return err_set(err, ERR_APIG_0303_APP_UNKNOWN, "%.*s", STR_FMT(header.access));
	return rc ? rc : check(req, &header, secret, err);
}

/* The next tag of a text; false behind the last. */
static bool next_tag(struct str *rest, struct str *ret)
{
	while (rest->p) {
		*ret = str_trim(str_cut(rest, REST_TAG_MARK[0]));
		if (ret->n)
			return true;
	}
	return false;
}

static bool listed(const struct str_array *list, struct str tag)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i], tag))
			return true;
	return false;
}

bool rest_tags_any(const struct str_array *list, struct str text)
{
	struct str tag;

	if (!list->n)
		return true;
	while (next_tag(&text, &tag))
		if (listed(list, tag))
			return true;
	return false;
}

bool rest_tags_all(const struct str_array *list, struct str text)
{
	struct str tag;
	bool some = false;

	if (!list->n)
		return true;
	for (; next_tag(&text, &tag); some = true)
		if (!listed(list, tag))
			return false;
	return some;
}
