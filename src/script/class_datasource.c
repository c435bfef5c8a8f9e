/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/enc.h"
#include "base/mem.h"
#include "datasource/datasource.h"
#include "script/script_priv.h"
#include "sign/sign.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

/* DataSourceClient(config).execute(sql, args...): rows as an array of objects, or the number of rows changed. */

static JSObjectRef config_construct(JSContextRef ctx, JSObjectRef ctor, size_t argc, const JSValueRef argv[],
				    JSValueRef *exc)
{
	static const char *const keys[] = {"Type", "Url", "User", "Password"};
	JSObjectRef o = script__new(ctx, &script__ds_config);

	(void)ctor, (void)exc;
	for (size_t i = 0; i < argc && i < ARRAY_LEN(keys); i++)
		script__priv_set(ctx, o, keys[i], argv[i]);
	return o;
}

static JSObjectRef client_construct(JSContextRef ctx, JSObjectRef ctor, size_t argc, const JSValueRef argv[],
				    JSValueRef *exc)
{
	JSObjectRef o = script__new(ctx, &script__ds_client);

	(void)ctor;
	if (!argc || !script__is(ctx, argv[0], &script__ds_config)) {
		script__throw(ctx, exc, "DataSourceClient: the argument is not a DataSourceConfig");
		return NULL;
	}
	script__priv_set(ctx, o, "Config", argv[0]);
	return o;
}

struct target {
	struct str type, host, port, database;
};

/* "jdbc:mysql://host:port/db?x=y", "host:port/db", "host:port". */
static bool parse_url(struct str url, struct target *t)
{
	struct str rest = url;

	for (size_t i = 0; i + 3 <= url.n; i++)
		if (memcmp(url.p + i, "://", 3) == 0) {
			rest = str_sub(url, i + 3, url.n);
			break;
		}
	rest = str_cut(&rest, '?');
	t->host = str_cut(&rest, '/');
	t->database = rest.p ? rest : STR("");
	if (t->host.n && t->host.p[0] == '[') {
		size_t end = str_find(t->host, ']', 0);

		if (end == t->host.n)
			return false;
		struct str tail = str_sub(t->host, end + 1, t->host.n);

		t->host = str_sub(t->host, 1, end);
		t->port = tail.n && tail.p[0] == ':' ? str_sub(tail, 1, tail.n) : STR_NONE;
	} else {
		t->port = t->host;
		t->host = str_cut(&t->port, ':');
	}
	long long port;

	return t->host.n && (!t->port.p || str_to_int(t->port, 1, 65535, &port));
}

/* Only networks that the script may reach: the name is resolved here and the address is what the driver gets, so that
 * a second look-up cannot lead elsewhere. */
static bool pin_host(const struct script_host *host, struct arena *a, struct target *t, const char **why)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char text[NI_MAXHOST];

	if (host->allow_private_networks)
		return true;
	*why = "the host is unknown";
	if (getaddrinfo(arena_cstr(a, t->host), NULL, &hints, &list))
		return false;
	bool ok = true, found = false;

	for (struct addrinfo *i = list; i && ok; i = i->ai_next) {
		ok = script__address_allowed(host, i->ai_addr);
		if (ok && !found)
			found = getnameinfo(i->ai_addr, i->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) ==
				0;
	}
	freeaddrinfo(list);
	*why = ok ? "the host is unknown" : "the address is in a private network, which scripts may not reach";
	if (ok && found)
		t->host = arena_str(a, str_of(text));
	return ok && found;
}

static struct str driver_type(struct arena *a, struct str type)
{
	char *p = arena_cstr(a, type);

	for (char *c = p; *c; c++)
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 32);
	return str_is(str_of(p), "MSSQL") ? STR("SQLSERVER") : str_of(p);
}

/* The pool's key: another password is another source. */
static struct str pool_id(struct arena *a, const struct target *t, struct str user, struct str password)
{
	struct str parts[] = {t->type, t->host, t->port.p ? t->port : STR(""), t->database, user, password};

	return sign_sha256_hex(a, arena_join(a, parts, ARRAY_LEN(parts), STR("\x1f")));
}

/* What the script configured, as a data source of the drivers. */
static bool read_config(JSContextRef ctx, JSObjectRef config, struct datasource_config *ret, JSValueRef *exc)
{
	struct script_call *call = script__call();
	struct arena *a = call->a;
	struct str type, url, user, password;
	struct target t = {0};
	const char *why = "the URL is malformed";

	if (!script__text_of(ctx, script__priv_get(ctx, config, "Type"), &type, exc) ||
	    !script__text_of(ctx, script__priv_get(ctx, config, "Url"), &url, exc) ||
	    !script__text_of(ctx, script__priv_get(ctx, config, "User"), &user, exc) ||
	    !script__text_of(ctx, script__priv_get(ctx, config, "Password"), &password, exc))
		return false;
	t.type = driver_type(a, type.p ? type : STR(""));
	if (!datasource_driver(t.type)) {
		script__throw(ctx, exc, "DataSourceClient: no driver for type %.64s is installed", t.type.p);
		return false;
	}
	struct json *content = json_new_object(a);

	if (str_is(t.type, "SQLITE")) {
		why = "files of SQLite are not open to scripts";
		goto out;
	}
	if (!url.p || !parse_url(url, &t) || str_find(t.host, '\0', 0) < t.host.n || t.host.p[0] == '/' ||
	    !pin_host(call->host, a, &t, &why))
		goto out;
	json_set(content, STR("host"), json_new_str(a, t.host));
	if (t.port.n)
		json_set(content, STR("port"), json_new_str(a, t.port));
	json_set(content, STR("database_name"), json_new_str(a, t.database));
	json_set(content, STR("user_name"), json_new_str(a, user.p ? user : STR("")));
	json_set(content, STR("password"), json_new_str(a, password.p ? password : STR("")));
	*ret = (struct datasource_config){
		.id = pool_id(a, &t, user.p ? user : STR(""), password.p ? password : STR("")),
		.type = t.type,
		.content = content,
		.version = 1};
	why = NULL;
out:
	if (why)
		script__throw(ctx, exc, "DataSourceClient: %s", why);
	return !why;
}

/* ---- the result ---- */

struct result {
	JSContextRef ctx;
	struct arena *a;
	JSObjectRef rows;
	JSStringRef *names;
	size_t n_names, n_rows, n_bytes;
	bool too_many;
	JSValueRef exc;
};

static void drop_names(struct result *r)
{
	for (size_t i = 0; i < r->n_names; i++)
		JSStringRelease(r->names[i]);
	r->n_names = 0;
}

static void on_columns(void *ctx, const struct str *names, size_t n)
{
	struct result *r = ctx;

	drop_names(r);
	r->names = arena_try(r->a, n * sizeof(*r->names));
	for (size_t i = 0; r->names && i < n; i++)
		r->names[r->n_names++] = script__jsstr(names[i]);
}

/* Integers beyond 2^53 and decimals stay text, so that no digit is lost. */
static JSValueRef to_js(struct result *r, const struct value *v)
{
	char text[32];

	r->n_bytes += v->s.n + 16;
	switch (v->kind) {
	case VALUE_NULL:
		return JSValueMakeNull(r->ctx);
	case VALUE_BOOL:
		return JSValueMakeBoolean(r->ctx, v->i != 0);
	case VALUE_INT:
		if (v->i <= 9007199254740991 && v->i >= -9007199254740991)
			return JSValueMakeNumber(r->ctx, (double)v->i);
		snprintf(text, sizeof(text), "%lld", (long long)v->i);
		return script__str(r->ctx, str_of(text));
	case VALUE_DOUBLE:
		return JSValueMakeNumber(r->ctx, v->d);
	case VALUE_BINARY: {
		struct arena *scratch = arena_new(SCRIPT_MAX_SCRATCH);
		JSValueRef js = v->s.n > SCRIPT_MAX_TEXT ? JSValueMakeNull(r->ctx)
							 : script__str(r->ctx, enc_base64(scratch, v->s));

		arena_free(scratch);
		return js;
	}
	case VALUE_DECIMAL:
	case VALUE_TEXT:
	case VALUE_TIME:
	case VALUE_JSON:
		break;
	}
	return script__str(r->ctx, v->s.p ? v->s : STR(""));
}

static bool on_row(void *ctx, const struct value *values, size_t n)
{
	struct result *r = ctx;
	JSObjectRef row = JSObjectMake(r->ctx, NULL, NULL);

	if (r->n_rows == SCRIPT_MAX_ROWS || r->n_bytes > SCRIPT_MAX_TEXT) {
		r->too_many = true;
		return false;
	}
	for (size_t i = 0; i < n && i < r->n_names; i++)
		JSObjectSetProperty(r->ctx, row, r->names[i], to_js(r, &values[i]), kJSPropertyAttributeNone, &r->exc);
	JSObjectSetPropertyAtIndex(r->ctx, r->rows, (unsigned)r->n_rows++, row, &r->exc);
	return !r->exc;
}

static bool is_call(struct str sql)
{
	sql = str_trim(sql);
	return sql.n > 5 && str_eq_nocase(str_sub(sql, 0, 5), STR("call "));
}

SCRIPT_FN(execute)
{
	struct script_call *call = script__call();
	JSValueRef config = self ? script__priv_get(ctx, self, "Config") : NULL, ret = JSValueMakeUndefined(ctx);
	int64_t deadline = call->limits->deadline_ms ? call->limits->deadline_ms : clock_mono_ms() + 60000;
	struct datasource_config source;
	struct datasource_conn *conn;
	struct err err = {0};
	struct str sql, params[64];
	int64_t changed = -1;

	(void)self_fn;
	if (!config || !JSValueIsObject(ctx, config) || argc < 1 || argc > ARRAY_LEN(params) || !call->host->pool)
		return script__throw(ctx, exc, "DataSourceClient: execute() takes a statement and at most 63 values");
	if (!read_config(ctx, JSValueToObject(ctx, config, exc), &source, exc) ||
	    !script__arg(ctx, argc, argv, 0, &sql, exc))
		return ret;
	for (size_t i = 1; i < argc; i++)
		if (!script__arg(ctx, argc, argv, i, &params[i - 1], exc))
			return ret;
	if (datasource_pool_get(call->host->pool, &source, deadline, &conn, &err))
		return script__throw(ctx, exc, "DataSourceClient: %s", err.text);
	struct result r = {.ctx = ctx, .a = call->a, .rows = JSObjectMakeArray(ctx, 0, NULL, exc)};
	struct datasource_sink sink = {on_columns, on_row, &r};
	int rc = conn->driver->execute(conn, sql.p ? sql : STR(""), params, argc - 1, is_call(sql), SCRIPT_MAX_ROWS + 1,
				       deadline, &sink, &changed, &err);

	datasource_pool_put(call->host->pool, conn, conn->driver->alive(conn));
	drop_names(&r);
	if (r.exc)
		*exc = r.exc;
	else if (r.too_many)
		return script__throw(ctx, exc, "DataSourceClient: the result has more than %d rows or %zu bytes",
				     SCRIPT_MAX_ROWS, SCRIPT_MAX_TEXT);
	else if (rc)
		return script__throw(ctx, exc, "DataSourceClient: %s", err.text);
	return changed >= 0 && !r.n_rows ? JSValueMakeNumber(ctx, (double)changed) : (JSValueRef)r.rows;
}

static const JSStaticFunction config_methods[] = {
	SCRIPT_BAG("Type"), SCRIPT_BAG("Url"), SCRIPT_BAG("User"), SCRIPT_BAG("Password"), {0}};
static const JSStaticFunction client_methods[] = {{"execute", execute, SCRIPT_ATTR}, {0}};
static const char *const config_paths[] = {"com.roma.apic.livedata.config.v1.DataSourceConfig", NULL};
static const char *const client_paths[] = {"com.roma.apic.livedata.client.v1.DataSourceClient", NULL};

const struct script_class script__ds_config = {config_paths, "DataSourceConfig", config_construct, config_methods, NULL,
					       NULL};
const struct script_class script__ds_client = {client_paths, "DataSourceClient", client_construct, client_methods, NULL,
					       NULL};
