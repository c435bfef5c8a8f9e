/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"

#include "base/clock.h"
#include "base/cursor.h"

#define WINDOW_MS INT64_C(900000)

/* What the secrets are sealed for. */
static const char app_purpose[] = "app.secret", ak_purpose[] = "ak.secret", temporary_purpose[] = "ak.temporary";

static ngx_int_t fail(struct gateway_ctx *ctx, int code)
{
	err_set(&ctx->err, code, NULL);
	return NGX_ERROR;
}

static ngx_int_t fail_app(struct gateway_ctx *ctx, const char *why)
{
	err_set_text(&ctx->err, ERR_APIG_0303, "Incorrect app authentication information: %s", why);
	return NGX_ERROR;
}

/* Finds the app and whether it may call the API; the answer to the second is given only to callers that proved to be
 * the app. */
static ngx_int_t find_app(struct gateway_ctx *ctx, struct pub_view *view, struct str app_id, struct pub_app *ret)
{
	char key[PUB_KEY_MAX + 1];
	struct str value = pub_get(view, pub_key(key, "app", app_id, STR_NONE, STR_NONE));

	if (!value.p)
		return NGX_DECLINED;
	if (!pub_app_decode(value, ret))
		return fail(ctx, ERR_APIG_0606);
	if (ret->disabled)
		return fail(ctx, ERR_APIG_0502);
	ctx->app_id = arena_str(ctx->arena, ret->id);
	ctx->app_name = arena_str(ctx->arena, ret->name);
	ctx->app_authorised = pub_get(view, pub_key(key, "auth", ctx->api.env_id, ctx->api.id, ctx->app_id)).p != NULL;
	return NGX_OK;
}

/* The date is checked before the body is read, so that nobody makes us keep bodies for signatures long dead. */
static ngx_int_t check_date(struct gateway_ctx *ctx, bool app)
{
	int64_t now = clock_now_ms(), at;
	char iso[CLOCK_ISO_SIZE];

	if (!ctx->sdk_date.n || !clock_parse_basic(ctx->sdk_date, &at)) {
		if (app)
			return fail_app(ctx, "header X-Sdk-Date is missing or malformed");
		return fail(ctx, ERR_APIG_0301_SIGNATURE_WRONG);
	}
	if (at - now <= WINDOW_MS && now - at <= WINDOW_MS)
		return NGX_OK;
	if (!app) {
		err_set_text(&ctx->err, ERR_APIG_0301,
			     "Incorrect IAM authentication information: signature expired, signature time:%.*s",
			     STR_FMT(ctx->sdk_date));
		return NGX_ERROR;
	}
	clock_iso(now, iso);
	/* "2019-12-06T06:49:04Z" in the form of X-Sdk-Date */
	err_set(&ctx->err, ERR_APIG_0303_SIGNATURE_EXPIRED, "%.*s" ERR_NEXT "%.4s%.2s%.5s%.2s%.3s",
		STR_FMT(ctx->sdk_date), iso, iso + 5, iso + 8, iso + 14, iso + 17);
	return NGX_ERROR;
}

/* Secrets opened lately, found by their sealed text: opening one costs as much as a signature. Direct-mapped; an entry
 * is wiped when another takes its place. A changed secret has another sealed text and so is never mistaken. */
#define SECRETS 256
#define SEALED_MAX 256
#define SECRET_MAX 128

static struct secret {
	char sealed[SEALED_MAX], plain[SECRET_MAX];
	size_t sealed_n, plain_n;
	const char *purpose;
} secrets[SECRETS];

static struct secret *secret_slot(struct str sealed)
{
	/* Sealed text begins with random bytes. */
	return sealed.n <= SEALED_MAX ? &secrets[ngx_murmur_hash2(gateway_ngx(sealed).data, sealed.n) % SECRETS] : NULL;
}

void gateway_secrets_wipe(void)
{
	explicit_bzero(secrets, sizeof(secrets));
}

static ngx_int_t open_secret(struct gateway_ctx *ctx, const char *purpose, struct str sealed)
{
	struct secret *slot = secret_slot(sealed);

	if (slot && slot->purpose == purpose && str_eq((struct str){slot->sealed, slot->sealed_n}, sealed)) {
		ctx->sign_secret = arena_str(ctx->arena, (struct str){slot->plain, slot->plain_n});
		return NGX_OK;
	}
	if (!gateway_worker.keys || !sign_open(ctx->arena, gateway_worker.keys, purpose, sealed, &ctx->sign_secret)) {
		ngx_log_error(NGX_LOG_ERR, ctx->r->connection->log, 0,
			      "appia: a secret cannot be opened with the key file");
		return fail(ctx, ERR_APIG_0606);
	}
	if (slot && ctx->sign_secret.n <= SECRET_MAX) {
		explicit_bzero(slot, sizeof(*slot));
		slot->purpose = purpose;
		slot->sealed_n = sealed.n;
		slot->plain_n = ctx->sign_secret.n;
		memcpy(slot->sealed, sealed.p, sealed.n);
		memcpy(slot->plain, ctx->sign_secret.p, ctx->sign_secret.n);
	}
	return NGX_OK;
}

static ngx_int_t app_signature(struct gateway_ctx *ctx, struct pub_view *view)
{
	char key[PUB_KEY_MAX + 1];
	struct pub_app app;
	struct str id = pub_get(view, pub_key(key, "appkey", ctx->sign.access, STR_NONE, STR_NONE));
	ngx_int_t rc = id.p ? find_app(ctx, view, id, &app) : NGX_DECLINED;

	if (rc == NGX_DECLINED) {
		err_set(&ctx->err, ERR_APIG_0303_APP_UNKNOWN, "%.*s", STR_FMT(ctx->sign.access));
		return NGX_ERROR;
	}
	if (rc == NGX_OK)
		rc = check_date(ctx, true);
	ctx->signed_app = true;
	return rc == NGX_OK ? open_secret(ctx, app_purpose, app.sealed_secret) : rc;
}

/* AppCodes travel as they are, so they are taken over TLS only, unless configured otherwise. */
static ngx_int_t app_code(struct gateway_ctx *ctx, struct pub_view *view)
{
	struct gateway_loc_conf *conf = ngx_http_get_module_loc_conf(ctx->r, ngx_http_appia_module);
	char key[PUB_KEY_MAX + 1];
	struct pub_app app;

	if (!ctx->r->connection->ssl && !conf->appcode_plain)
		return fail_app(ctx, "AppCode authentication requires HTTPS");
	if (!ctx->appcode.n || ctx->appcode.n > 1024)
		return fail_app(ctx, "app code not found");
	struct str hash = sign_sha256_hex(ctx->arena, ctx->appcode);
	struct str id = pub_get(view, pub_key(key, "appcode", hash, STR_NONE, STR_NONE));
	ngx_int_t rc = id.p ? find_app(ctx, view, id, &app) : NGX_DECLINED;

	return rc == NGX_DECLINED ? fail_app(ctx, "app code not found") : rc;
}

static ngx_int_t authenticate_app(struct gateway_ctx *ctx, struct pub_view *view)
{
	if (sign_parse(ctx->authorization, &ctx->sign))
		return app_signature(ctx, view);
	if (ctx->api.app_code && ctx->appcode.p)
		return app_code(ctx, view);
	return fail_app(ctx, ctx->authorization.p ? "the Authorization header is malformed"
						  : "the Authorization header is missing");
}

static ngx_int_t check_user(struct gateway_ctx *ctx, struct pub_view *view, struct str user_id, int64_t issued_ms)
{
	char key[PUB_KEY_MAX + 1];
	struct pub_user user;
	struct str value = pub_get(view, pub_key(key, "user", user_id, STR_NONE, STR_NONE));

	if (!value.p || !pub_user_decode(value, &user) || user.disabled || issued_ms < user.tokens_after_ms)
		return fail(ctx, ERR_APIG_0301_TOKEN_INVALID);
	ctx->user_id = arena_str(ctx->arena, user_id);
	return NGX_OK;
}

static ngx_int_t iam_token(struct gateway_ctx *ctx, struct pub_view *view)
{
	struct sign_token token;
	char iso[CLOCK_ISO_SIZE];

	/* Read as if the clock stood at its beginning, to tell expired tokens from forged ones. */
	if (!gateway_worker.keys || !sign_token_read(ctx->arena, gateway_worker.keys, ctx->token, 0, &token))
		return fail(ctx, ERR_APIG_0301_TOKEN_INVALID);
	if (clock_now_ms() >= token.expires_ms) {
		clock_iso(token.expires_ms, iso);
		err_set(&ctx->err, ERR_APIG_0301_TOKEN_EXPIRED, "%s", iso);
		return NGX_ERROR;
	}
	return check_user(ctx, view, token.user_id, token.issued_ms);
}

#define SECURITY_TOKEN_MAX 4096

/* A temporary access key brings its own secret, sealed by the identity service: u8 version, access key, secret, user
 * and project as u32 length and bytes, then when it was issued and when it expires (i64, milliseconds). */
static bool open_temporary(struct gateway_ctx *ctx, struct str *ret_user, int64_t *ret_issued_ms)
{
	struct str plain;

	if (!gateway_worker.keys || ctx->security_token.n > SECURITY_TOKEN_MAX ||
	    !sign_open(ctx->arena, gateway_worker.keys, temporary_purpose, ctx->security_token, &plain))
		return false;
	struct cursor c = cursor_of(plain);
	bool known = cursor_u8(&c) == 1;
	struct str access = cursor_str(&c), secret = cursor_str(&c), user = cursor_str(&c), project = cursor_str(&c);
	int64_t issued = (int64_t)cursor_u64(&c), expires = (int64_t)cursor_u64(&c);

	if (c.failed || !known || !str_eq(access, ctx->sign.access) || clock_now_ms() >= expires || !secret.n ||
	    !project.p)
		return false;
	ctx->sign_secret = arena_str(ctx->arena, secret);
	*ret_user = user;
	*ret_issued_ms = issued;
	return true;
}

static ngx_int_t temporary_signature(struct gateway_ctx *ctx, struct pub_view *view)
{
	struct str user;
	int64_t issued;

	if (!open_temporary(ctx, &user, &issued)) {
		err_set_text(&ctx->err, ERR_APIG_0301, "%s",
			     "Incorrect IAM authentication information: the security token is invalid or has expired");
		return NGX_ERROR;
	}
	ngx_int_t rc = check_user(ctx, view, user, issued);

	return rc == NGX_OK ? check_date(ctx, false) : rc;
}

static ngx_int_t iam_signature(struct gateway_ctx *ctx, struct pub_view *view)
{
	char key[PUB_KEY_MAX + 1];
	struct pub_ak ak;
	struct str value = pub_get(view, pub_key(key, "ak", ctx->sign.access, STR_NONE, STR_NONE));

	if (!value.p) {
		err_set(&ctx->err, ERR_APIG_0301_AK_UNKNOWN, "%.*s", STR_FMT(ctx->sign.access));
		return NGX_ERROR;
	}
	if (!pub_ak_decode(value, &ak))
		return fail(ctx, ERR_APIG_0606);
	ctx->sign_ak = arena_join(ctx->arena, (struct str[]){STR("ak"), ctx->sign.access}, 2, STR(" "));
	if (gateway_shm_locked(ctx->sign_ak, clock_now_ms()))
		return fail(ctx, ERR_APIG_0301_AK_BLOCKED);
	ngx_int_t rc = check_user(ctx, view, ak.user_id, INT64_MAX);

	if (rc == NGX_OK)
		rc = check_date(ctx, false);
	return rc == NGX_OK ? open_secret(ctx, ak_purpose, ak.sealed_secret) : rc;
}

static ngx_int_t authenticate_iam(struct gateway_ctx *ctx, struct pub_view *view)
{
	if (ctx->token.n)
		return iam_token(ctx, view);
	if (sign_parse(ctx->authorization, &ctx->sign))
		return ctx->security_token.n ? temporary_signature(ctx, view) : iam_signature(ctx, view);
	return fail(ctx, ERR_APIG_0301_TOKEN_MISSING);
}

/* Runs while the published state is open. A signature is only prepared here: it covers the body. */
ngx_int_t gateway_step_authenticate(struct gateway_ctx *ctx)
{
	struct pub_view *view = gateway_worker.view;

	switch (ctx->api.auth) {
	case PUB_AUTH_NONE:
		return NGX_OK;
	case PUB_AUTH_APP:
		return authenticate_app(ctx, view);
	case PUB_AUTH_IAM:
		return authenticate_iam(ctx, view);
	case PUB_AUTH_AUTHORIZER:
		break;
	}
	/* An API whose authorizer cannot be asked is closed. */
	err_set_text(&ctx->err, ERR_APIG_0606, "%s",
		     "Failed to load the API configurations: the authorizer is not available");
	return NGX_ERROR;
}

static ngx_int_t signature_failed(struct gateway_ctx *ctx, enum sign_result result, struct str canonical)
{
	if (!ctx->signed_app)
		return fail(ctx, ERR_APIG_0301_SIGNATURE_WRONG);
	if (result == SIGN_MISMATCH) {
		err_set_text(&ctx->err, ERR_APIG_0303_SIGNATURE_WRONG,
			     "Incorrect app authentication information: verify signature fail, canonicalRequest:%.*s",
			     STR_FMT(canonical));
		return NGX_ERROR;
	}
	return result == SIGN_BAD_HEADERS
		       ? fail_app(ctx, "the signed headers lack host or x-sdk-date, or one of them is missing")
		       : fail_app(ctx, "header X-Sdk-Date is missing, malformed or expired");
}

ngx_int_t gateway_step_signature(struct gateway_ctx *ctx)
{
	struct sign_request req = {.method = gateway_str(ctx->r->method_name),
				   .path = ctx->raw_path,
				   .query = ctx->query,
				   .headers = ctx->headers,
				   .n_headers = ctx->n_headers};
	struct str canonical = STR_NONE;
	int64_t now = clock_now_ms();

	if (!ctx->sign_secret.p)
		return NGX_OK;
	req.body_sha256 = ctx->hash ? sign_hash_end(ctx->hash) : SIGN_EMPTY_BODY;
	ctx->hash = NULL;
	enum sign_result result = sign_verify(ctx->arena, &req, &ctx->sign, ctx->sign_secret, now, &canonical);

	explicit_bzero(gateway_ngx(ctx->sign_secret).data, ctx->sign_secret.n);
	ctx->sign_secret = STR_NONE;
	if (ctx->sign_ak.n)
		gateway_shm_note(ctx->sign_ak, result == SIGN_OK, now);
	return result == SIGN_OK ? NGX_OK : signature_failed(ctx, result, canonical);
}

ngx_int_t gateway_step_authorise(struct gateway_ctx *ctx)
{
	if (ctx->api.auth == PUB_AUTH_APP && !ctx->app_authorised)
		return fail(ctx, ERR_APIG_0304);
	return NGX_OK;
}
