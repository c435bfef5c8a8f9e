/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/sign.h"

#include "base/mem.h"
#include "base/rnd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Sealed text: base64 of version, nonce, cipher text with tag. */
enum {
	KEY_SIZE = 32,
	VERSION = 1,
	NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	HEAD = 1 + NONCE
};

struct sign_keyring {
	unsigned char key[KEY_SIZE];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
	if (sodium_init() < 0)
		abort();
}

static int file_error(struct err *err, const char *what)
{
	bool full = errno == ENOSPC || errno == EDQUOT;

	return err_set_text(err, full ? ERR_APPIA_0507 : ERR_APPIA_0500, "The master key file cannot be %s: %s.", what,
			    strerrordesc_np(errno));
}

static bool write_all(int fd, const unsigned char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

static void sync_folder(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (n >= sizeof(dir))
		return;
	memcpy(dir, path, n);
	dir[n] = '\0';
	int fd = open(slash ? (n ? dir : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* Writes a fresh key under another name and links it to its own: nobody ever sees half a key, and a file that is there
 * is never replaced. */
static int create_file(const char *path, struct err *err)
{
	char tmp[PATH_MAX];
	unsigned char key[KEY_SIZE];
	unsigned long long tag;

	rnd_bytes(&tag, sizeof(tag));
	int len = snprintf(tmp, sizeof(tmp), "%s.%016llx", path, tag);

	if (len < 0 || (size_t)len >= sizeof(tmp)) {
		errno = ENAMETOOLONG;
		return file_error(err, "created");
	}
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return file_error(err, "created");
	rnd_bytes(key, sizeof(key));
	bool ok = write_all(fd, key, sizeof(key)) && fsync(fd) == 0;

	sodium_memzero(key, sizeof(key));
	int saved = errno;

	close(fd);
	errno = saved;
	ok = ok && (link(tmp, path) == 0 || errno == EEXIST);
	saved = errno;
	unlink(tmp);
	errno = saved;
	if (!ok)
		return file_error(err, "created");
	sync_folder(path);
	return 0;
}

static int read_key(int fd, unsigned char key[KEY_SIZE], struct err *err)
{
	struct stat st;
	size_t n = 0;

	if (fstat(fd, &st) != 0)
		return file_error(err, "read");
	if (!S_ISREG(st.st_mode) || st.st_size != KEY_SIZE)
		return err_set_text(err, ERR_APPIA_0500, "The master key file is not a file of %d bytes.", KEY_SIZE);
	if (st.st_mode & 077)
		return err_set_text(
			err, ERR_APPIA_0500,
			"The master key file is open to others than its owner; its mode must be 0600 or 0400.");
	while (n < KEY_SIZE) {
		ssize_t r = read(fd, key + n, KEY_SIZE - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return file_error(err, "read");
		if (r == 0)
			return err_set_text(err, ERR_APPIA_0500, "The master key file is too short.");
		n += (size_t)r;
	}
	return 0;
}

int sign_keyring_open(const char *path, bool create, struct sign_keyring **ret, struct err *err)
{
	pthread_once(&once, init);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT && create) {
		int rc = create_file(path, err);

		if (rc)
			return rc;
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		return file_error(err, "opened");
	struct sign_keyring *keys = sodium_malloc(sizeof(*keys)); /* kept out of swap and core dumps */

	if (!keys) {
		close(fd);
		return err_set_text(err, ERR_APPIA_0500, "No memory for the master key.");
	}
	int rc = read_key(fd, keys->key, err);

	close(fd);
	if (rc) {
		sodium_free(keys);
		return rc;
	}
	*ret = keys;
	return 0;
}

void sign_keyring_free(struct sign_keyring *keys)
{
	sodium_free(keys);
}

struct str sign_seal(struct arena *a, const struct sign_keyring *keys, const char *purpose, struct str plain)
{
	size_t n = HEAD + plain.n + TAG, text_n = sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_ORIGINAL);
	unsigned char *sealed = arena_alloc(a, n);
	char *text = arena_alloc(a, text_n);

	sealed[0] = VERSION;
	rnd_bytes(sealed + 1, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + HEAD, NULL, (const unsigned char *)plain.p, plain.n,
						   (const unsigned char *)purpose, strlen(purpose), NULL, sealed + 1,
						   keys->key);
	sodium_bin2base64(text, text_n, sealed, n, sodium_base64_VARIANT_ORIGINAL);
	return (struct str){text, text_n - 1};
}

bool sign_open(struct arena *a, const struct sign_keyring *keys, const char *purpose, struct str sealed,
	       struct str *ret_plain)
{
	size_t max = sealed.n / 4 * 3, n;
	const char *end;
	unsigned char *bin = sealed.n ? arena_try(a, max + 1) : NULL;

	if (!bin ||
	    sodium_base642bin(bin, max, sealed.p, sealed.n, NULL, &n, &end, sodium_base64_VARIANT_ORIGINAL) != 0)
		return false;
	if (end != sealed.p + sealed.n || n < HEAD + TAG || bin[0] != VERSION)
		return false;
	size_t plain_n = n - HEAD - TAG;
	unsigned char *plain = arena_try(a, plain_n + 1);

	if (!plain || crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, bin + HEAD, n - HEAD,
								 (const unsigned char *)purpose, strlen(purpose),
								 bin + 1, keys->key) != 0)
		return false;
	plain[plain_n] = '\0';
	*ret_plain = (struct str){(char *)plain, plain_n};
	return true;
}

struct str sign_password_hash(struct arena *a, struct str password)
{
	char *hash = arena_alloc(a, crypto_pwhash_STRBYTES);

	pthread_once(&once, init);
	if (crypto_pwhash_str(hash, password.n ? password.p : "", password.n, crypto_pwhash_OPSLIMIT_INTERACTIVE,
			      crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
		return STR_NONE;
	return str_of(hash);
}

bool sign_password_check(struct str hash, struct str password)
{
	char text[crypto_pwhash_STRBYTES] = {0};

	pthread_once(&once, init);
	if (!hash.n || hash.n >= sizeof(text) || memchr(hash.p, '\0', hash.n))
		return false;
	memcpy(text, hash.p, hash.n);
	return crypto_pwhash_str_verify(text, password.n ? password.p : "", password.n) == 0;
}
