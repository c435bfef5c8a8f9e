/* SPDX-License-Identifier: Apache-2.0 */
#include "script/http.h"

#include "base/clock.h"
#include "base/mem.h"
#include "script/script_priv.h"
#include "sign/sign.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

struct transfer {
	const struct script_host *host;
	struct script_http *http;
	bool refused, too_large;
	struct curl_slist *headers;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* After resolution, for every address and every redirect: the only place where a peer is chosen. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
	struct transfer *t = arg;

	if (purpose != CURLSOCKTYPE_IPCXN || !script__address_allowed(t->host, &addr->addr)) {
		t->refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
}

static size_t on_body(char *p, size_t one, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)one;
	buf_add(&t->http->body, p, n);
	t->too_large = t->http->body.failed;
	return t->too_large ? 0 : n;
}

/* Kept: the headers of the last answer, but for those that concern one connection or hop. */
static size_t on_header(char *p, size_t one, size_t n, void *arg)
{
	static const char *const dropped[] = {"location", "connection", "keep-alive", "transfer-encoding",
	                                      "content-length", "content-encoding", "trailer", "upgrade"};
	struct transfer *t = arg;
	struct script_http *http = t->http;
	struct str line = {p, n}, value = line;

	(void)one;
	if (n >= 5 && memcmp(p, "HTTP/", 5) == 0) {
		http->n_reply = 0;
		return n;
	}
	struct str name = str_cut(&value, ':');

	if (!value.p || http->n_reply == SCRIPT_MAX_HTTP_HEADERS)
		return n;
	while (value.n && (value.p[value.n - 1] == '\n' || value.p[value.n - 1] == '\r'))
		value.n--;
	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		if (str_eq_nocase(name, str_of(dropped[i])))
			return n;
	http->reply[http->n_reply].name = arena_str(http->a, name);
	http->reply[http->n_reply++].value = arena_str(http->a, str_trim(value));
	return n;
}

static bool line_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
			return false;
	return true;
}

static bool add_header(struct transfer *t, struct str name, struct str value, char *why, size_t size)
{
	if (!name.n || !line_ok(name) || !line_ok(value) || str_find(name, ':', 0) < name.n) {
		snprintf(why, size, "a request header has a bad name or value");
		return false;
	}
	struct str line = value.n ? arena_fmt(t->http->a, "%.*s: %.*s", STR_FMT(name), STR_FMT(value))
	                          : arena_fmt(t->http->a, "%.*s;", STR_FMT(name));

	t->headers = curl_slist_append(t->headers, line.p);
	return true;
}

static bool has_header(const struct script_http *http, const char *name)
{
	for (size_t i = 0; i < http->n_headers; i++)
		if (str_eq_nocase(http->headers[i].name, str_of(name)))
			return true;
	return false;
}

/* The vendor's request signature, with host, x-sdk-date and the script's own headers signed. */
static bool sign(struct transfer *t, char *why, size_t size)
{
	struct script_http *http = t->http;
	struct sign_pair pairs[SCRIPT_MAX_HTTP_HEADERS + 3];
	struct str rest = http->url;
	char iso[CLOCK_ISO_SIZE], date[20];
	size_t at = 0, n = 0;

	while (at + 2 < rest.n && memcmp(rest.p + at, "://", 3) != 0)
		at++;
	if (at + 3 >= rest.n) {
		snprintf(why, size, "the URL has no host");
		return false;
	}
	rest = str_sub(rest, at + 3, str_find(rest, '#', 0));
	struct str path_query = rest, host;
	size_t slash = str_find(rest, '/', 0), question = str_find(rest, '?', 0);

	host = str_sub(rest, 0, slash < question ? slash : question);
	path_query = str_sub(rest, host.n, rest.n);
	struct str query = path_query, path = str_cut(&query, '?');

	clock_iso(clock_now_ms(), iso);
	snprintf(date, sizeof(date), "%.4s%.2s%.2sT%.2s%.2s%.2sZ", iso, iso + 5, iso + 8, iso + 11, iso + 14, iso + 17);
	for (; n < http->n_headers; n++)
		pairs[n] = (struct sign_pair){http->headers[n].name, http->headers[n].value};
	pairs[n++] = (struct sign_pair){STR("host"), host};
	pairs[n++] = (struct sign_pair){STR("x-sdk-date"), str_of(date)};
	struct sign_request req = {.method = http->method, .path = path.n ? path : STR("/"),
	                           .query = query.p ? query : STR(""), .headers = pairs, .n_headers = n,
	                           .body_sha256 = sign_sha256_hex(http->a, http->content.p ? http->content : STR(""))};
	struct str authorization = sign_make(http->a, &req, http->access_key, http->secret_key);

	return add_header(t, STR("X-Sdk-Date"), str_of(date), why, size) &&
	       add_header(t, STR("Authorization"), authorization, why, size);
}

static bool set_headers(struct transfer *t, char *why, size_t size)
{
	struct script_http *http = t->http;

	for (size_t i = 0; i < http->n_headers; i++)
		if (!add_header(t, http->headers[i].name, http->headers[i].value, why, size))
			return false;
	if (http->content.p && http->content_type.n && !has_header(http, "content-type") &&
	    !add_header(t, STR("Content-Type"), http->content_type, why, size))
		return false;
	if (http->access_key.n && http->secret_key.n && !sign(t, why, size))
		return false;
	t->headers = curl_slist_append(t->headers, "Expect:");
	return true;
}

static void set_blob(CURL *c, CURLoption option, struct str pem)
{
	struct curl_blob blob = {.data = NULL, .len = pem.n, .flags = CURL_BLOB_COPY};

	if (!pem.n)
		return;
	memcpy(&blob.data, &pem.p, sizeof(blob.data)); /* only read: the API lacks a const */
	curl_easy_setopt(c, option, &blob);
}

static void set_method(CURL *c, struct script_http *http)
{
	if (http->content.p) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)http->content.n);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, http->content.p);
	} else if (str_is(http->method, "POST")) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
	} else if (str_is(http->method, "HEAD")) {
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	}
	if (!str_is(http->method, "HEAD") && !str_is(http->method, "POST") &&
	    !(str_is(http->method, "GET") && !http->content.p))
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, arena_cstr(http->a, http->method));
}

/* Nothing of the process's surroundings takes part: no proxy variables, no .netrc, no other protocol. */
static void set_options(CURL *c, struct transfer *t, int64_t left_ms)
{
	struct script_http *http = t->http;
	int64_t total = http->read_ms && http->read_ms < left_ms ? http->read_ms : left_ms;

	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, 5L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)total);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
	                 (long)(http->connect_ms && http->connect_ms < total ? http->connect_ms : total));
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
	set_blob(c, CURLOPT_CAINFO_BLOB, http->ca_pem);
	set_blob(c, CURLOPT_SSLCERT_BLOB, http->cert_pem);
	set_blob(c, CURLOPT_SSLKEY_BLOB, http->key_pem);
	if (http->key_pass.n)
		curl_easy_setopt(c, CURLOPT_KEYPASSWD, arena_cstr(http->a, http->key_pass));
}

static bool method_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 'A' || s.p[i] > 'Z')
			return false;
	return s.n > 0 && s.n <= 16 && !str_is(s, "CONNECT");
}

static bool explain(const struct transfer *t, CURLcode rc, char *why, size_t size)
{
	if (t->refused)
		snprintf(why, size, "the address is in a private network, which scripts may not reach");
	else if (t->too_large)
		snprintf(why, size, "the answer is larger than %zu bytes", t->http->body.max);
	else
		snprintf(why, size, "%s", curl_easy_strerror(rc));
	return false;
}

bool script__http_perform(const struct script_host *host, struct script_http *http, int64_t deadline_ms, char *why,
                          size_t size)
{
	struct transfer t = {.host = host, .http = http};
	int64_t left = deadline_ms ? deadline_ms - clock_mono_ms() : 60000;
	bool ok = false;

	pthread_once(&once, init);
	if (left <= 0) {
		snprintf(why, size, "the time for the call is over");
		return false;
	}
	if (!method_ok(http->method) || !line_ok(http->url)) {
		snprintf(why, size, "the method or the URL is malformed");
		return false;
	}
	CURL *c = curl_easy_init();

	if (c && set_headers(&t, why, size)) {
		set_options(c, &t, left);
		set_method(c, http);
		curl_easy_setopt(c, CURLOPT_URL, arena_cstr(http->a, http->url));
		CURLcode rc = curl_easy_perform(c);

		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &http->status);
		ok = rc == CURLE_OK || explain(&t, rc, why, size);
	}
	curl_slist_free_all(t.headers);
	curl_easy_cleanup(c);
	return ok;
}
