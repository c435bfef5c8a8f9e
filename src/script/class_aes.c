/* SPDX-License-Identifier: Apache-2.0 */
#include "base/enc.h"
#include "base/mem.h"
#include "base/rnd.h"
#include "script/script_priv.h"

#include <openssl/evp.h>
#include <stdio.h>

/* AesUtils. encrypt(text, key, iv, KEYLENGTH, MODE, PAD) is what javax.crypto makes of AES/<mode>/<pad>, in Base64;
 * with GCM the 16 byte tag follows the cipher text. encrypt(text, key) is AES-GCM with a random IV in front. */

#define TAG 16
#define RANDOM_IV 12

struct aes {
	const EVP_CIPHER *cipher;
	bool gcm, padded;
	struct str key, iv;
};

static bool aes_cipher(JSContextRef ctx, struct aes *aes, const char *mode, JSValueRef *exc)
{
	char name[32];

	if (aes->key.n != 16 && aes->key.n != 24 && aes->key.n != 32) {
		script__throw(ctx, exc, "AesUtils: the key has %zu bytes, not 16, 24 or 32", aes->key.n);
		return false;
	}
	snprintf(name, sizeof(name), "aes-%zu-%s", aes->key.n * 8, mode);
	aes->cipher = EVP_get_cipherbyname(name);
	aes->gcm = strcmp(mode, "gcm") == 0;
	if (!aes->cipher)
		script__throw(ctx, exc, "AesUtils: the mode is not one of CBC, CFB, CFB8, CTR, ECB, GCM, OFB");
	return aes->cipher != NULL;
}

/* Arguments from the third on: iv, length, mode, padding. */
static bool aes_options(JSContextRef ctx, size_t argc, const JSValueRef argv[], struct aes *aes, JSValueRef *exc)
{
	static const char *const modes[][2] = {{"CBC", "cbc"}, {"CFB", "cfb"}, {"CFB8", "cfb8"}, {"CTR", "ctr"},
					       {"ECB", "ecb"}, {"GCM", "gcm"}, {"OFB", "ofb"}};
	struct str length, mode, pad;
	const char *found = "?";

	if (!script__bytes(ctx, argv[2], &aes->iv, exc) || !script__arg(ctx, argc, argv, 3, &length, exc) ||
	    !script__arg(ctx, argc, argv, 4, &mode, exc) || !script__arg(ctx, argc, argv, 5, &pad, exc))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (str_is(mode, modes[i][0]))
			found = modes[i][1];
	if (!aes_cipher(ctx, aes, found, exc))
		return false;
	size_t want = str_is(length, "KL_256") ? 32 : str_is(length, "KL_192") ? 24 : 16;

	if (length.p && want != aes->key.n) {
		script__throw(ctx, exc, "AesUtils: the key has %zu bytes, %.*s needs %zu", aes->key.n, STR_FMT(length),
			      want);
		return false;
	}
	aes->padded = !aes->gcm && (str_is(pad, "PKCS5PADDING") || str_is(pad, "PKCS7PADDING"));
	int iv = EVP_CIPHER_iv_length(aes->cipher);

	if (aes->gcm ? aes->iv.n < 1 || aes->iv.n > 16 : iv && aes->iv.n != (size_t)iv) {
		script__throw(ctx, exc, "AesUtils: the initial vector has %zu bytes, not %s", aes->iv.n,
			      aes->gcm ? "1 to 16" : "16");
		return false;
	}
	return true;
}

/* One pass. out has room for in.n + 32 bytes. GCM: the tag is appended, or checked and cut off. */
static bool aes_pass(const struct aes *aes, bool encrypt, struct str in, unsigned char *out, size_t *ret_n)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0, last = 0;
	bool ok = c && EVP_CipherInit_ex(c, aes->cipher, NULL, NULL, NULL, encrypt) == 1;

	if (ok && aes->gcm) {
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_IVLEN, (int)aes->iv.n, NULL) == 1 &&
		     (encrypt || in.n >= TAG);
		if (ok && !encrypt) {
			unsigned char tag[TAG];

			in.n -= TAG;
			memcpy(tag, in.p + in.n, TAG);
			ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1;
		}
	}
	ok = ok && EVP_CipherInit_ex(c, NULL, NULL, (const unsigned char *)aes->key.p,
				     EVP_CIPHER_iv_length(aes->cipher) ? (const unsigned char *)aes->iv.p : NULL,
				     encrypt) == 1;
	ok = ok && EVP_CIPHER_CTX_set_padding(c, aes->padded) == 1 &&
	     EVP_CipherUpdate(c, out, &n, (const unsigned char *)in.p, (int)in.n) == 1 &&
	     EVP_CipherFinal_ex(c, out + n, &last) == 1;
	n += last;
	if (ok && aes->gcm && encrypt) {
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, out + n) == 1;
		n += TAG;
	}
	EVP_CIPHER_CTX_free(c);
	*ret_n = (size_t)n;
	return ok;
}

/* The two first arguments and the options; *ret_simple: the two-argument form. */
static bool aes_args(JSContextRef ctx, size_t argc, const JSValueRef argv[], struct aes *aes, struct str *ret_text,
		     bool *ret_simple, JSValueRef *exc)
{
	if (!script__arg(ctx, argc, argv, 0, ret_text, exc) ||
	    !script__bytes(ctx, argc > 1 ? argv[1] : NULL, &aes->key, exc))
		return false;
	if (!ret_text->p || !aes->key.p) {
		script__throw(ctx, exc, "AesUtils: text and key are required");
		return false;
	}
	*ret_simple = argc < 3;
	return *ret_simple ? aes_cipher(ctx, aes, "gcm", exc) : aes_options(ctx, argc, argv, aes, exc);
}

SCRIPT_FN(aes_encrypt)
{
	struct arena *a = script__call()->a;
	struct aes aes = {0};
	struct str text;
	bool simple;
	size_t n, head;

	(void)self_fn, (void)self;
	if (!aes_args(ctx, argc, argv, &aes, &text, &simple, exc))
		return JSValueMakeUndefined(ctx);
	unsigned char *out = arena_alloc(a, RANDOM_IV + text.n + 32);

	head = simple ? RANDOM_IV : 0;
	if (simple) {
		rnd_bytes(out, RANDOM_IV);
		aes.iv = (struct str){(char *)out, RANDOM_IV};
	}
	if (!aes_pass(&aes, true, text, out + head, &n))
		return script__throw(ctx, exc,
				     "AesUtils: cannot encrypt; without padding the length must be a multiple of 16");
	return script__str(ctx, enc_base64(a, (struct str){(char *)out, head + n}));
}

SCRIPT_FN(aes_decrypt)
{
	struct arena *a = script__call()->a;
	struct aes aes = {0};
	struct str text, bytes;
	bool simple;
	size_t n;

	(void)self_fn, (void)self;
	if (!aes_args(ctx, argc, argv, &aes, &text, &simple, exc))
		return JSValueMakeUndefined(ctx);
	if (!enc_unbase64(a, text, &bytes) || (simple && bytes.n < RANDOM_IV + TAG))
		return script__throw(ctx, exc, "AesUtils: the cipher text is not what encrypt() gives");
	if (simple) {
		aes.iv = str_sub(bytes, 0, RANDOM_IV);
		bytes = str_sub(bytes, RANDOM_IV, bytes.n);
	}
	unsigned char *out = arena_alloc(a, bytes.n + 32);

	if (!aes_pass(&aes, false, bytes, out, &n))
		return script__throw(ctx, exc, "AesUtils: cannot decrypt: wrong key, initial vector or text");
	return script__str(ctx, (struct str){(char *)out, n});
}

static const JSStaticFunction none[] = {{0}};
static const JSStaticFunction statics[] = {{"encrypt", aes_encrypt, 0}, {"decrypt", aes_decrypt, 0}, {0}};
static const char *const enums[] = {"KEYLENGTH.KL_128", "KEYLENGTH.KL_192", "KEYLENGTH.KL_256", "MODE.CBC", "MODE.CFB",
				    "MODE.CFB8",        "MODE.CTR",         "MODE.ECB",         "MODE.GCM", "MODE.OFB",
				    "PAD.NOPADDING",    "PAD.PKCS5PADDING", "PAD.PKCS7PADDING", NULL};
static const char *const paths[] = {"com.roma.apic.livedata.common.v1.AesUtils", NULL};

const struct script_class script__aes = {paths, "AesUtils", NULL, none, statics, enums};
