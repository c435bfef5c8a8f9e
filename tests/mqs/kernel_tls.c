/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded by test_tls.py: makes a program believe that the kernel encrypts, and does the kernel's part of it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { GET_KTLS_SEND = 73, TURN = 20000 };

static int from_library(void *caller)
{
	Dl_info info;

	return dladdr(caller, &info) && strstr(info.dli_fname, "lib");
}

long BIO_ctrl(void *bio, int cmd, long larg, void *parg)
{
	long (*real)(void *, int, long, void *) = dlsym(RTLD_NEXT, "BIO_ctrl");

	/* OpenSSL itself has to know the truth. */
	if (cmd == GET_KTLS_SEND && !from_library(__builtin_return_address(0)))
		return 1;
	return real(bio, cmd, larg, parg);
}

ssize_t SSL_sendfile(void *ssl, int fd, off_t offset, size_t size, int flags)
{
	int (*real)(void *, const void *, int) = dlsym(RTLD_NEXT, "SSL_write");
	static _Thread_local char block[TURN];
	ssize_t n = pread(fd, block, size < TURN ? size : TURN, offset);
	int sent = n > 0 ? real(ssl, block, (int)n) : (int)n;
	FILE *log = sent > 0 ? fopen(getenv("KERNEL_TLS_LOG"), "a") : NULL;

	if (log) {
		fprintf(log, "%d\n", sent);
		fclose(log);
	}
	return sent;
}
