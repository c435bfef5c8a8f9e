/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the worker: publishes documents. usage: publish DIR KEYFILE, then lines "key<TAB>value" on standard
 * input; "seal<TAB>text" prints the sealed text; an empty value deletes the key. Each line is a commit of its own. */
#include "published/published.h"
#include "sign/sign.h"

#include <stdio.h>
#include <stdlib.h>

static int publish(struct pub *pub, struct str key, struct str value, struct err *err)
{
	struct pub_batch *batch;
	int code = pub_batch_begin(pub, &batch, err);

	if (code)
		return code;
	code = value.n ? pub_put(batch, key, value, err) : pub_del(batch, key, err);
	if (!code)
		return pub_batch_commit(&batch, err);
	pub_batch_abort(&batch);
	return code;
}

int main(int argc, char **argv)
{
	struct arena *a = arena_new((size_t)1 << 30);
	struct sign_keyring *keys;
	struct err err = {0};
	struct pub *pub;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (argc != 3 || sign_keyring_open(argv[2], true, &keys, &err) ||
	    pub_open(argv[1], 64 << 20, true, &pub, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	while ((n = getline(&line, &cap, stdin)) > 0) {
		struct str value = {line, (size_t)n - (line[n - 1] == '\n')}, key = str_cut(&value, '\t');

		if (str_is(key, "seal")) {
			struct str sealed = sign_seal(a, keys, "datasource.password", value);

			printf("%.*s\n", STR_FMT(sealed));
		} else if (publish(pub, key, value.p ? value : STR(""), &err)) {
			fprintf(stderr, "%s\n", err.text);
			return 1;
		} else {
			printf("ok\n");
		}
		fflush(stdout);
	}
	free(line);
	pub_close(pub);
	sign_keyring_free(keys);
	arena_free(a);
	return 0;
}
