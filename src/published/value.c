/* SPDX-License-Identifier: Apache-2.0 */
#include "published/published.h"

#include "base/cursor.h"
#include "base/mem.h"

/* A value is u16 version, then the fields in the order of these tables: strings as u32 length and bytes, bool and enum
 * as u8, unsigned as u32, int64_t as u64, lists as u32 count and elements. There is one encoding per content. A field
 * added, removed or moved is a new version, and a new PUB_LAYOUT. */
enum { VERSION = 2 };

enum kind { F_STR, F_BOOL, F_ENUM, F_UINT, F_INT, F_LIST };

struct field {
	enum kind kind;
	unsigned max; /* F_ENUM: last value */
	size_t at;
	/* F_LIST */
	size_t count_at, size, n_fields;
	const struct field *fields;
};

#define S(type, f)                                                                                                     \
	{                                                                                                              \
		F_STR, 0, offsetof(struct type, f)                                                                     \
	}
#define B(type, f)                                                                                                     \
	{                                                                                                              \
		F_BOOL, 0, offsetof(struct type, f)                                                                    \
	}
#define E(type, f, last)                                                                                               \
	{                                                                                                              \
		F_ENUM, last, offsetof(struct type, f)                                                                 \
	}
#define U(type, f)                                                                                                     \
	{                                                                                                              \
		F_UINT, 0, offsetof(struct type, f)                                                                    \
	}
#define I(type, f)                                                                                                     \
	{                                                                                                              \
		F_INT, 0, offsetof(struct type, f)                                                                     \
	}
#define L(type, f, count, item, table)                                                                                 \
	{                                                                                                              \
		F_LIST, 0, offsetof(struct type, f), offsetof(struct type, count), sizeof(struct item),                \
			ARRAY_LEN(table), table                                                                        \
	}

static const struct field host_fields[] = {
	S(pub_host, group_id),
	S(pub_host, instance_id),
	B(pub_host, debugging),
	B(pub_host, by_ip),
	B(pub_host, redirect),
	B(pub_host, verify_client),
};

static const struct field cert_key_fields[] = {
	S(pub_cert_key, chain),
	S(pub_cert_key, sealed_key),
};

static const struct field cert_fields[] = {
	U(pub_cert, min_version),
	S(pub_cert, client_ca),
	L(pub_cert, keys, n_keys, pub_cert_key, cert_key_fields),
};

static const struct field param_fields[] = {
	S(pub_param, name),     E(pub_param, location, PUB_HEADER),
	B(pub_param, number),   B(pub_param, required),
	B(pub_param, validate), B(pub_param, pass_through),
	B(pub_param, has_min),  B(pub_param, has_max),
	S(pub_param, min),      S(pub_param, max),
	I(pub_param, min_len),  I(pub_param, max_len),
	S(pub_param, regexp),   S(pub_param, enums),
	S(pub_param, def),
};

static const struct field backend_param_fields[] = {
	S(pub_backend_param, name),
	E(pub_backend_param, location, PUB_HEADER),
	E(pub_backend_param, origin, PUB_SYSTEM),
	S(pub_backend_param, value),
	E(pub_backend_param, from, PUB_HEADER),
};

static const struct field header_fields[] = {
	S(pub_header, name),
	S(pub_header, value),
};

static const struct field api_fields[] = {
	S(pub_api, id),
	S(pub_api, name),
	S(pub_api, group_id),
	S(pub_api, env_id),
	S(pub_api, env_name),
	S(pub_api, instance_id),
	S(pub_api, project_id),
	S(pub_api, app_id),
	S(pub_api, version_id),
	E(pub_api, auth, PUB_AUTH_AUTHORIZER),
	B(pub_api, app_code),
	B(pub_api, cors),
	B(pub_api, prefix),
	U(pub_api, protocols),
	S(pub_api, method),
	S(pub_api, path),
	E(pub_api, backend, PUB_BACKEND_LIVEDATA),
	B(pub_api, tls),
	B(pub_api, tls_verify),
	S(pub_api, address),
	S(pub_api, host_header),
	S(pub_api, backend_method),
	S(pub_api, backend_path),
	I(pub_api, timeout_ms),
	I(pub_api, retries),
	S(pub_api, livedata_id),
	S(pub_api, mock_body),
	I(pub_api, mock_status),
	L(pub_api, params, n_params, pub_param, param_fields),
	L(pub_api, backend_params, n_backend_params, pub_backend_param, backend_param_fields),
	L(pub_api, mock_headers, n_mock_headers, pub_header, header_fields),
};

static const struct field app_fields[] = {
	S(pub_app, id),         S(pub_app, name),     S(pub_app, key), S(pub_app, sealed_secret),
	S(pub_app, project_id), B(pub_app, disabled),
};

static const struct field user_fields[] = {
	S(pub_user, id), S(pub_user, name), S(pub_user, domain_id), B(pub_user, disabled), I(pub_user, tokens_after_ms),
};

static const struct field ak_fields[] = {
	S(pub_ak, user_id),
	S(pub_ak, sealed_secret),
	S(pub_ak, project_id),
};

/* Enums are read and written through unsigned. */
_Static_assert(sizeof(enum pub_location) == sizeof(unsigned), "enum size");

static void put_string(struct buf *out, struct str s)
{
	if (s.n >= UINT32_MAX) {
		out->failed = true;
		return;
	}
	buf_u32(out, s.p ? (uint32_t)s.n : UINT32_MAX);
	buf_str(out, s);
}

static void encode_fields(struct buf *out, const struct field *fields, size_t n, const char *base)
{
	for (const struct field *f = fields; f < fields + n; f++) {
		const void *p = base + f->at;

		switch (f->kind) {
		case F_STR:
			put_string(out, *(const struct str *)p);
			break;
		case F_BOOL:
			buf_u8(out, *(const bool *)p);
			break;
		case F_ENUM:
			buf_u8(out, (uint8_t) * (const unsigned *)p);
			break;
		case F_UINT:
			buf_u32(out, *(const unsigned *)p);
			break;
		case F_INT:
			buf_u64(out, (uint64_t) * (const int64_t *)p);
			break;
		case F_LIST: {
			size_t count = *(const size_t *)(const void *)(base + f->count_at);
			const char *items = *(char *const *)p;

			buf_u32(out, (uint32_t)count);
			for (size_t i = 0; i < count; i++)
				encode_fields(out, f->fields, f->n_fields, items + i * f->size);
			break;
		}
		}
	}
}

static void decode_fields(struct cursor *c, struct arena *a, const struct field *fields, size_t n, char *base);

/* Damaged counts do not reach the allocator: an element takes a byte at least per field. */
static void decode_list(struct cursor *c, struct arena *a, const struct field *f, char *base)
{
	size_t count = cursor_u32(c);
	char *items = NULL;

	if (count > cursor_left(c) / f->n_fields)
		c->failed = true;
	if (c->failed)
		return;
	if (count) {
		items = arena_try(a, count * f->size);
		if (!items) {
			c->failed = true;
			return;
		}
	}
	for (size_t i = 0; i < count && !c->failed; i++)
		decode_fields(c, a, f->fields, f->n_fields, items + i * f->size);
	memcpy(base + f->at, &items, sizeof(items));
	*(size_t *)(void *)(base + f->count_at) = count;
}

static void decode_fields(struct cursor *c, struct arena *a, const struct field *fields, size_t n, char *base)
{
	for (const struct field *f = fields; f < fields + n; f++) {
		void *p = base + f->at;
		uint8_t small;

		switch (f->kind) {
		case F_STR:
			*(struct str *)p = cursor_str(c);
			break;
		case F_BOOL:
			small = cursor_u8(c);
			c->failed |= small > 1;
			*(bool *)p = small == 1;
			break;
		case F_ENUM:
			small = cursor_u8(c);
			c->failed |= small > f->max;
			*(unsigned *)p = small;
			break;
		case F_UINT:
			*(unsigned *)p = cursor_u32(c);
			break;
		case F_INT:
			*(int64_t *)p = (int64_t)cursor_u64(c);
			break;
		case F_LIST:
			decode_list(c, a, f, base);
			break;
		}
	}
}

static void encode(struct buf *out, const struct field *fields, size_t n, const void *v)
{
	buf_u16(out, VERSION);
	encode_fields(out, fields, n, v);
}

static bool decode(struct str value, struct arena *a, const struct field *fields, size_t n, void *ret)
{
	struct cursor c = cursor_of(value);

	if (!value.p || cursor_u16(&c) != VERSION)
		return false;
	decode_fields(&c, a, fields, n, ret);
	return !c.failed && !cursor_left(&c);
}

#define SIMPLE(name)                                                                                                   \
	void pub_##name##_encode(struct buf *out, const struct pub_##name *v)                                          \
	{                                                                                                              \
		encode(out, name##_fields, ARRAY_LEN(name##_fields), v);                                               \
	}                                                                                                              \
                                                                                                                       \
	bool pub_##name##_decode(struct str value, struct pub_##name *ret)                                             \
	{                                                                                                              \
		struct pub_##name v = {0};                                                                             \
                                                                                                                       \
		if (!decode(value, NULL, name##_fields, ARRAY_LEN(name##_fields), &v))                                 \
			return false;                                                                                  \
		*ret = v;                                                                                              \
		return true;                                                                                           \
	}

SIMPLE(host)
SIMPLE(app)
SIMPLE(user)
SIMPLE(ak)

#define WITH_LISTS(name)                                                                                               \
	void pub_##name##_encode(struct buf *out, const struct pub_##name *v)                                          \
	{                                                                                                              \
		encode(out, name##_fields, ARRAY_LEN(name##_fields), v);                                               \
	}                                                                                                              \
                                                                                                                       \
	bool pub_##name##_decode(struct str value, struct arena *a, struct pub_##name *ret)                            \
	{                                                                                                              \
		struct pub_##name v = {0};                                                                             \
                                                                                                                       \
		if (!decode(value, a, name##_fields, ARRAY_LEN(name##_fields), &v))                                    \
			return false;                                                                                  \
		*ret = v;                                                                                              \
		return true;                                                                                           \
	}

WITH_LISTS(api)
WITH_LISTS(cert)
