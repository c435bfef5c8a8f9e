/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/appia/seal.h"

#include "bin/appiad/mqs_settings.h"
#include "supervisor/home.h"

#include <stdio.h>
#include <string.h>

#define MAX_PASSWORD 1024

int seal_command(int argc, char **argv)
{
	char password[MAX_PASSWORD + 2], path[300];
	struct sign_keyring *keys = NULL;
	struct home home;
	struct err err = {0};

	if (argc != 1 || strcmp(argv[0], MQS_SEAL_PASSWORD) != 0) {
		fprintf(stderr, "usage: appia seal " MQS_SEAL_PASSWORD " < FILE_WITH_PASSWORD\n");
		return 2;
	}
	if (home_open(&home, false, &err) ||
	    sign_keyring_open(home_path(&home, "master.key", path, sizeof(path)), false, &keys, &err)) {
		fprintf(stderr, "appia: %s\n", err.text);
		return 1;
	}
	size_t n = fgets(password, sizeof(password), stdin) ? strcspn(password, "\r\n") : 0;
	bool fits = n > 0 && n <= MAX_PASSWORD;

	if (fits) {
		struct arena *a = arena_new(1 << 20);

		printf(MQS_SEALED "%s\n", sign_seal(a, keys, MQS_SEAL_PASSWORD, (struct str){password, n}).p);
		arena_free(a);
	} else {
		fprintf(stderr, "appia: one line with a password is expected\n");
	}
	explicit_bzero(password, sizeof(password));
	sign_keyring_free(keys);
	return fits ? 0 : 1;
}
