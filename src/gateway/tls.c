/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"

#include <openssl/err.h>
#include <openssl/pem.h>

/* Certificates of bound domain names, chosen by the name the client asks for (SNI, RFC 6066 section 3) in the newest
 * published state. A name without one is served with the certificate of the configuration. */

#define PURPOSE "certificate.key" /* what the keys are sealed for */
#define KEYS_MAX 8
#define CHAIN_MAX 16
#define KEPT 256
#define NAME_MAX_BYTES 253
#define ARENA_MAX ((size_t)4 << 20)

struct key {
	X509 *cert;
	STACK_OF(X509) *chain;
	EVP_PKEY *key;
};

/* A published value, parsed. Found by the hash of its bytes, so a changed value is another one. */
struct loaded {
	unsigned char hash[32];
	uint64_t used; /* 0: free */
	int min_version;
	struct key keys[KEYS_MAX]; /* none: the value is broken */
	size_t n_keys;
	X509_STORE *roots; /* NULL: clients are not verified */
	STACK_OF(X509_NAME) *root_names;
};

static struct loaded kept[KEPT];
static uint64_t uses;

static void drop(struct loaded *l)
{
	for (size_t i = 0; i < l->n_keys; i++) {
		X509_free(l->keys[i].cert);
		sk_X509_pop_free(l->keys[i].chain, X509_free);
		EVP_PKEY_free(l->keys[i].key);
	}
	X509_STORE_free(l->roots);
	sk_X509_NAME_pop_free(l->root_names, X509_NAME_free);
	*l = (struct loaded){0};
}

void gateway_tls_exit(void)
{
	for (size_t i = 0; i < KEPT; i++)
		drop(&kept[i]);
}

static BIO *bio_of(struct str s)
{
	return s.n && s.n <= INT_MAX ? BIO_new_mem_buf(s.p, (int)s.n) : NULL;
}

/* Nobody is there to be asked for a pass phrase. */
static int no_phrase(char *buf, int size, int rw, void *arg)
{
	return -1;
}

static bool read_chain(struct str pem, struct key *ret)
{
	BIO *bio = bio_of(pem);
	X509 *x;

	ret->cert = bio ? PEM_read_bio_X509(bio, NULL, no_phrase, NULL) : NULL;
	ret->chain = sk_X509_new_null();
	while (ret->cert && ret->chain && sk_X509_num(ret->chain) < CHAIN_MAX &&
	       (x = PEM_read_bio_X509(bio, NULL, no_phrase, NULL))) {
		if (!sk_X509_push(ret->chain, x))
			X509_free(x);
	}
	BIO_free(bio);
	return ret->cert && ret->chain;
}

static bool read_key(struct arena *a, struct str sealed, struct key *ret)
{
	struct str plain;

	if (!sign_open(a, gateway_worker.keys, PURPOSE, sealed, &plain))
		return false;
	BIO *bio = bio_of(plain);

	ret->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_phrase, NULL) : NULL;
	BIO_free(bio);
	explicit_bzero(gateway_ngx(plain).data, plain.n);
	return ret->key && X509_check_private_key(ret->cert, ret->key) == 1;
}

static bool read_roots(struct str pem, struct loaded *l)
{
	BIO *bio = bio_of(pem);
	X509 *x;
	int n = 0;

	l->roots = X509_STORE_new();
	l->root_names = sk_X509_NAME_new_null();
	while (bio && l->roots && l->root_names && (x = PEM_read_bio_X509(bio, NULL, no_phrase, NULL))) {
		X509_NAME *name = X509_NAME_dup(X509_get_subject_name(x));

		n += X509_STORE_add_cert(l->roots, x) == 1;
		if (!name || !sk_X509_NAME_push(l->root_names, name))
			X509_NAME_free(name);
		X509_free(x);
	}
	BIO_free(bio);
	return n > 0;
}

static bool load(struct arena *a, struct str value, struct loaded *l)
{
	struct pub_cert cert;

	if (!pub_cert_decode(value, a, &cert) || cert.n_keys > KEYS_MAX)
		return false;
	l->min_version = (int)cert.min_version;
	while (l->n_keys < cert.n_keys) {
		const struct pub_cert_key *from = &cert.keys[l->n_keys];
		struct key *to = &l->keys[l->n_keys++];

		if (!read_chain(from->chain, to) || !read_key(a, from->sealed_key, to))
			return false;
	}
	return !cert.client_ca.n || read_roots(cert.client_ca, l);
}

/* The parsed form of a value; NULL when it is broken. */
static struct loaded *find_loaded(struct str value, ngx_log_t *log)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct sign_hash *h = sign_hash_begin(a);
	struct loaded *l = &kept[0];
	unsigned char hash[32];

	sign_hash_add(h, value);
	sign_hash_sum(h, hash);
	for (size_t i = 0; i < KEPT; i++) {
		if (kept[i].used && memcmp(kept[i].hash, hash, sizeof(hash)) == 0) {
			l = &kept[i];
			goto out;
		}
		if (kept[i].used < l->used)
			l = &kept[i];
	}
	drop(l);
	memcpy(l->hash, hash, sizeof(hash));
	if (!load(a, value, l)) {
		ngx_log_error(NGX_LOG_ERR, log, 0, "appia: a published certificate cannot be used");
		drop(l);
		memcpy(l->hash, hash, sizeof(hash));
	}
	ERR_clear_error();
out:
	l->used = ++uses;
	arena_free(a);
	return l->n_keys ? l : NULL;
}

static struct loaded *find(struct str name, ngx_log_t *log)
{
	char key[PUB_KEY_MAX + 1], low[NAME_MAX_BYTES];
	struct loaded *l = NULL;

	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (!name.n || name.n > sizeof(low))
		return NULL;
	for (size_t i = 0; i < name.n; i++)
		low[i] = (char)ngx_tolower(name.p[i]);
	struct pub_view *view = gateway_view(log);
	struct str value = view && gateway_worker.keys ? pub_get(view, pub_key(key, "cert", (struct str){low, name.n},
									       STR_NONE, STR_NONE))
						       : STR_NONE;

	if (value.p)
		l = find_loaded(value, log);
	gateway_view_end();
	return l;
}

static ngx_log_t *log_of(const SSL *ssl)
{
	ngx_connection_t *c = ngx_ssl_get_connection(ssl);

	return c ? c->log : ngx_cycle->log;
}

/* The extension as it is on the wire: length of the list, then per name its type (0: host name), length and bytes. */
static struct str hello_name(SSL *ssl)
{
	const unsigned char *p;
	size_t n;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) != 1 || n < 5 || p[2] != 0)
		return STR_NONE;
	size_t len = (size_t)p[3] << 8 | p[4];

	return len <= n - 5 ? (struct str){(const char *)p + 5, len} : STR_NONE;
}

/* A session is resumed only under the name and with the certificate it was made with: who must show a certificate under
 * one name cannot come in by another one. */
static void bind_session(SSL *ssl, struct str name, const struct loaded *l)
{
	struct arena *a = arena_new(4096);
	struct sign_hash *h = sign_hash_begin(a);
	unsigned char id[32];

	sign_hash_add(h, (struct str){(const char *)l->hash, sizeof(l->hash)});
	sign_hash_add(h, name);
	sign_hash_sum(h, id);
	SSL_set_session_id_context(ssl, id, sizeof(id));
	arena_free(a);
}

/* Before the version is chosen and a session looked for. */
static int on_hello(SSL *ssl, int *alert, void *arg)
{
	struct str name = hello_name(ssl);
	struct loaded *l = name.n ? find(name, log_of(ssl)) : NULL;

	if (!l)
		return SSL_CLIENT_HELLO_SUCCESS;
	if (l->min_version > SSL_get_min_proto_version(ssl))
		SSL_set_min_proto_version(ssl, l->min_version);
	bind_session(ssl, name, l);
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* The call is refused, not the connection: gateway_tls_client_ok(). */
static int accept_any(int ok, X509_STORE_CTX *store)
{
	return 1;
}

static int on_certificate(SSL *ssl, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct loaded *l = name ? find(str_of(name), log_of(ssl)) : NULL;

	if (!l)
		return 1;
	SSL_certs_clear(ssl);
	for (size_t i = 0; i < l->n_keys; i++) {
		if (SSL_use_cert_and_key(ssl, l->keys[i].cert, l->keys[i].key, l->keys[i].chain, 1) != 1)
			return 0;
	}
	if (l->roots) {
		STACK_OF(X509_NAME) *names = SSL_dup_CA_list(l->root_names);

		SSL_set1_verify_cert_store(ssl, l->roots);
		SSL_set0_CA_list(ssl, names);
		SSL_set_verify(ssl, SSL_VERIFY_PEER, accept_any);
	}
	return 1;
}

bool gateway_tls_client_ok(const ngx_http_request_t *r, struct str host)
{
	SSL *ssl = r->connection->ssl ? r->connection->ssl->connection : NULL;
	const char *name = ssl ? SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) : NULL;

	/* Under another name other roots, or none, have vouched for it. */
	return name && str_eq_nocase(str_of(name), host) && SSL_get0_peer_certificate(ssl) &&
	       SSL_get_verify_result(ssl) == X509_V_OK;
}

ngx_int_t gateway_tls_init(ngx_conf_t *cf)
{
	ngx_http_core_main_conf_t *core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
	ngx_http_core_srv_conf_t **servers = core->servers.elts;

	for (size_t i = 0; i < core->servers.nelts; i++) {
		struct gateway_srv_conf *srv = servers[i]->ctx->srv_conf[ngx_http_appia_module.ctx_index];
		ngx_http_ssl_srv_conf_t *tls = servers[i]->ctx->srv_conf[ngx_http_ssl_module.ctx_index];

		if (!srv->enabled || !tls->ssl.ctx)
			continue;
		SSL_CTX_set_client_hello_cb(tls->ssl.ctx, on_hello, NULL);
		SSL_CTX_set_cert_cb(tls->ssl.ctx, on_certificate, NULL);
	}
	return NGX_OK;
}
