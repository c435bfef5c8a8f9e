/* SPDX-License-Identifier: Apache-2.0 */
#include "net/client.h"

#include "base/buf.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_MS 30000
#define CONNECT_TIMEOUT_MS 5000
#define REPLY_MAX ((size_t)16 << 20)
#define HEADERS_MAX 100
#define HEADER_BYTES_MAX ((size_t)64 << 10)

struct exchange {
	const struct net_request *request;
	struct arena *a;
	struct buf body;
	struct net_header *headers;
	size_t n_headers, header_bytes;
	bool headers_too_large, not_public;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t handle_key; /* each thread's CURL handle with its open connections */

static void set_up(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	pthread_key_create(&handle_key, curl_easy_cleanup);
}

static CURL *thread_handle(void)
{
	pthread_once(&once, set_up);
	CURL *curl = pthread_getspecific(handle_key);

	if (curl) {
		curl_easy_reset(curl); /* keeps connections and sessions */
		return curl;
	}
	curl = curl_easy_init();
	if (curl && pthread_setspecific(handle_key, curl) != 0) {
		curl_easy_cleanup(curl);
		return NULL;
	}
	return curl;
}

static size_t on_body(char *p, size_t one, size_t n, void *arg)
{
	struct exchange *x = arg;

	buf_add(&x->body, p, n);
	return x->body.failed ? 0 : n;
}

static size_t on_header(char *p, size_t one, size_t n, void *arg)
{
	struct exchange *x = arg;
	struct str value = {p, n};

	while (value.n && (value.p[value.n - 1] == '\n' || value.p[value.n - 1] == '\r'))
		value.n--;
	if (str_starts(value, STR("HTTP/"))) { /* also behind a 1xx reply */
		x->n_headers = 0;
		return n;
	}
	if (!value.n)
		return n;
	x->header_bytes += n;
	if (x->n_headers == HEADERS_MAX || x->header_bytes > HEADER_BYTES_MAX) {
		x->headers_too_large = true;
		return 0;
	}
	struct str name = str_cut(&value, ':');

	if (!value.p)
		return n;
	value = arena_str(x->a, str_trim(value));
	x->headers[x->n_headers++] = (struct net_header){arena_str(x->a, name), value};
	return n;
}

/* Special-purpose addresses: RFC 6890 and what has been added to its registries. */
static bool public_v4(uint32_t a)
{
	static const struct {
		uint32_t net;
		int bits;
	} special[] = {
		{0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
		{0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0586300, 24}, {0xc0a80000, 16},
		{0xc6120000, 15}, {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 3},
	};

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if ((a ^ special[i].net) >> (32 - special[i].bits) == 0)
			return false;
	return true;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool public_v6(const uint8_t a[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, nat64[12] = {0x00, 0x64, 0xff, 0x9b};

	if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
		return public_v4(be32(a + 12));
	if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
		return public_v4(be32(a + 2));
	if (be32(a) == 0x20010db8 || be32(a) == 0x20010000) /* documentation, Teredo */
		return false;
	return (a[0] & 0xe0) == 0x20; /* global unicast */
}

static bool public_address(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return public_v4(ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr));
	if (sa->sa_family == AF_INET6)
		return public_v6(((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr);
	return false;
}

/* Called with the address that is about to be connected to, so a name cannot change its mind in between. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct exchange *x = arg;

	if (x->request->public_only && !public_address(&to->addr)) {
		x->not_public = true;
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

static bool has_space(struct str s)
{
	return has_control(s) || str_find(s, ' ', 0) != s.n;
}

/* True when nothing of it can change the shape of the message it is written into. */
static bool well_formed(const struct net_request *r)
{
	if (has_space(r->method) || has_space(r->url) || has_space(r->target) || has_control(r->socket_path))
		return false;
	if (r->socket_path.n ? r->target.n == 0 || r->target.p[0] != '/'
	                     : !(r->url.n >= 8 && (str_eq_nocase(str_sub(r->url, 0, 7), STR("http://")) ||
	                                           str_eq_nocase(str_sub(r->url, 0, 8), STR("https://")))))
		return false;
	for (size_t i = 0; i < r->n_headers; i++) {
		const struct net_header *h = &r->headers[i];

		if (!h->name.n || has_space(h->name) || str_find(h->name, ':', 0) != h->name.n || has_control(h->value))
			return false;
	}
	return true;
}

static bool has_header(const struct net_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (str_eq_nocase(r->headers[i].name, str_of(name)))
			return true;
	return false;
}

static bool append(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (longer)
		*list = longer;
	return longer != NULL;
}

/* Turns off the headers the library would add by itself, then adds ours. */
static bool make_headers(const struct net_request *r, struct arena *a, struct curl_slist **list)
{
	bool ok = append(list, "Expect:");

	if (!has_header(r, "Content-Type"))
		ok = ok && append(list, "Content-Type:");
	for (size_t i = 0; ok && i < r->n_headers; i++) {
		const struct net_header *h = &r->headers[i];

		/* "name;" is the library's way to say: present, without a value */
		ok = append(list, h->value.n ? arena_fmt(a, "%.*s: %.*s", STR_FMT(h->name), STR_FMT(h->value)).p
		                             : arena_fmt(a, "%.*s;", STR_FMT(h->name)).p);
	}
	return ok;
}

static void set_target(CURL *curl, const struct net_request *r, struct arena *a)
{
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	if (r->socket_path.n) {
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, arena_cstr(a, r->socket_path));
		curl_easy_setopt(curl, CURLOPT_URL, arena_fmt(a, "http://localhost%.*s", STR_FMT(r->target)).p);
		return;
	}
	curl_easy_setopt(curl, CURLOPT_URL, arena_cstr(a, r->url));
	if (r->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, r->ca_file);
	if (r->insecure) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	/* A kept connection was made under another request's rule. */
	if (r->public_only)
		curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
}

static void set_message(CURL *curl, const struct net_request *r, struct arena *a)
{
	bool head = str_is(r->method, "HEAD");
	bool has_body = r->body.p || str_is(r->method, "POST") || str_is(r->method, "PUT") ||
	                str_is(r->method, "PATCH");

	if (head)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	if (!head && has_body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body.p ? r->body.p : "");
	}
	if (r->method.n && !head)
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, arena_cstr(a, r->method));
}

static long timeout_ms(const struct net_request *r)
{
	return r->timeout_ms > 0 ? (long)r->timeout_ms : TIMEOUT_MS;
}

static void set_limits(CURL *curl, struct exchange *x)
{
	long whole = timeout_ms(x->request);
	long dial = x->request->connect_timeout_ms > 0 ? (long)x->request->connect_timeout_ms : CONNECT_TIMEOUT_MS;

	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, whole);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, dial < whole ? dial : whole);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, x);
}

static int fail_retriable(struct err *err, int code, const char *text)
{
	err_set_text(err, code, "%s", text);
	if (err)
		err->retriable = true;
	return code;
}

static int fail(const struct exchange *x, CURLcode why, struct err *err)
{
	int away = x->request->socket_path.n ? ERR_APPIA_0503_WORKER_UNAVAILABLE : ERR_APPIA_0503;
	char text[64];

	if (x->not_public)
		return err_set_text(err, ERR_APPIA_0403, "the address is not a public one");
	if (x->body.failed || x->headers_too_large)
		return err_set_text(err, ERR_APPIA_0503, "the answer is larger than allowed");
	switch (why) {
	case CURLE_OPERATION_TIMEDOUT:
		snprintf(text, sizeof(text), "no answer within %ld ms", timeout_ms(x->request));
		return fail_retriable(err, ERR_APPIA_0408, text);
	case CURLE_URL_MALFORMAT:
		return err_set_text(err, ERR_APPIA_0400, "the URL is malformed");
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: the scheme was checked before */
	case CURLE_WEIRD_SERVER_REPLY:
		return err_set_text(err, away, "the answer is not HTTP");
	case CURLE_COULDNT_RESOLVE_HOST:
		return fail_retriable(err, away, "the host is unknown");
	case CURLE_COULDNT_CONNECT:
		return fail_retriable(err, away, "the connection was refused");
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
		return err_set_text(err, away, "the secure connection failed: %s", curl_easy_strerror(why));
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_OUT_OF_MEMORY:
		return fail_retriable(err, away, "the connection broke");
	default:
		return err_set_text(err, away, "the call failed: %s", curl_easy_strerror(why));
	}
}

static int finish(struct exchange *x, CURL *curl, struct net_reply *ret, struct err *err)
{
	struct str body = buf_view(&x->body);
	char *copy = arena_try(x->a, body.n + 1);
	long status = 0;

	if (!copy)
		return err_set_text(err, ERR_APPIA_0503, "the answer is larger than allowed");
	memcpy(copy, body.p, body.n);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	*ret = (struct net_reply){(int)status, x->headers, x->n_headers, {copy, body.n}};
	return 0;
}

int net_call(const struct net_request *request, struct arena *a, struct net_reply *ret, struct err *err)
{
	struct exchange x = {.request = request, .a = a};
	struct curl_slist *list = NULL;

	if (!well_formed(request))
		return err_set_text(err, ERR_APPIA_0400, "the URL, method or a header of the request is malformed");
	CURL *curl = thread_handle();

	if (!curl || !make_headers(request, a, &list)) {
		curl_slist_free_all(list);
		return fail_retriable(err, ERR_APPIA_0503, "out of memory");
	}
	x.headers = ARENA_ARRAY(a, struct net_header, HEADERS_MAX);
	buf_init(&x.body, request->max_reply_bytes ? request->max_reply_bytes : REPLY_MAX);
	set_target(curl, request, a);
	set_message(curl, request, a);
	set_limits(curl, &x);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
	CURLcode why = curl_easy_perform(curl);
	int rc = why == CURLE_OK ? finish(&x, curl, ret, err) : fail(&x, why, err);

	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(list);
	buf_done(&x.body);
	return rc;
}

struct str net_header(const struct net_reply *reply, const char *name)
{
	for (size_t i = 0; i < reply->n_headers; i++)
		if (str_eq_nocase(reply->headers[i].name, str_of(name)))
			return reply->headers[i].value;
	return STR_NONE;
}
