/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/sign.h"

#include "base/buf.h"
#include "base/cursor.h"

/* Plain text of a token: u8 version, u32 roles, i64 issued, i64 expires, then the strings as u16 length and bytes;
 * length 0xffff is an absent one. */
enum { VERSION = 1, FIELDS = 7, ABSENT = 0xffff };

#define PURPOSE "token"

static void fields(struct sign_token *t, struct str *ret[FIELDS])
{
	struct str *all[FIELDS] = {&t->user_id,    &t->user_name,    &t->domain_id, &t->domain_name,
				   &t->project_id, &t->project_name, &t->id};

	memcpy(ret, all, sizeof(all));
}

struct str sign_token_make(struct arena *a, const struct sign_keyring *keys, const struct sign_token *token)
{
	struct sign_token copy = *token;
	struct str *f[FIELDS];
	struct buf b;

	fields(&copy, f);
	buf_init(&b, FIELDS * (SIGN_TOKEN_FIELD_MAX + 2) + 32);
	buf_u8(&b, VERSION);
	buf_u32(&b, token->roles);
	buf_u64(&b, (uint64_t)token->issued_ms);
	buf_u64(&b, (uint64_t)token->expires_ms);
	for (size_t i = 0; i < FIELDS; i++) {
		b.failed |= f[i]->n > SIGN_TOKEN_FIELD_MAX;
		buf_u16(&b, (uint16_t)(f[i]->p ? f[i]->n : ABSENT));
		buf_str(&b, *f[i]);
	}
	struct str text = b.failed ? STR_NONE : sign_seal(a, keys, PURPOSE, buf_view(&b));

	buf_done(&b);
	return text;
}

bool sign_token_read(struct arena *a, const struct sign_keyring *keys, struct str text, int64_t now_ms,
		     struct sign_token *ret)
{
	struct sign_token t = {0};
	struct str plain, *f[FIELDS];

	/* No token of ours is longer: do not even decode it. */
	if (text.n > (FIELDS * (SIGN_TOKEN_FIELD_MAX + 2) + 128) * 4 / 3 || !sign_open(a, keys, PURPOSE, text, &plain))
		return false;
	struct cursor c = cursor_of(plain);
	uint8_t version = cursor_u8(&c);

	t.roles = cursor_u32(&c);
	t.issued_ms = (int64_t)cursor_u64(&c);
	t.expires_ms = (int64_t)cursor_u64(&c);
	fields(&t, f);
	for (size_t i = 0; i < FIELDS; i++) {
		uint16_t n = cursor_u16(&c);

		*f[i] = n == ABSENT ? STR_NONE : cursor_bytes(&c, n);
	}
	if (c.failed || cursor_left(&c) || version != VERSION || now_ms >= t.expires_ms)
		return false;
	*ret = t;
	return true;
}
