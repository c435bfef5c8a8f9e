/* SPDX-License-Identifier: Apache-2.0 */
/* Keep-alive load on a Unix socket. usage: load SOCKET CONNECTIONS SECONDS LIVEDATA_ID ROWS
 * Each request is GET /?id=<1..ROWS> with X-Appia-Livedata; prints requests per second and failures. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char *path, *id;
static long rows;
static atomic_bool stop;
static atomic_long done, failed;

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? fd : -1;
}

/* Reads one answer; true when it is 200. */
static int answer(int fd)
{
	char buf[16384];
	size_t n = 0;
	const char *end = NULL, *length;

	for (;;) {
		ssize_t got = read(fd, buf + n, sizeof(buf) - 1 - n);

		if (got <= 0)
			return -1;
		n += (size_t)got;
		buf[n] = 0;
		end = strstr(buf, "\r\n\r\n");
		if (!end)
			continue;
		length = strcasestr(buf, "content-length:");
		if (!length || n >= (size_t)(end - buf) + 4 + strtoul(length + 15, NULL, 10))
			return strncmp(buf, "HTTP/1.1 200", 12) == 0;
	}
}

static void *work(void *arg)
{
	unsigned seed = (unsigned)(size_t)arg + 1;
	int fd = dial();
	char request[256];

	while (!stop && fd >= 0) {
		int n = snprintf(request, sizeof(request),
				 "GET /?id=%ld HTTP/1.1\r\nHost: x\r\nX-Appia-Livedata: %s\r\n\r\n",
				 rand_r(&seed) % rows + 1, id);

		if (write(fd, request, (size_t)n) != n)
			break;
		int ok = answer(fd);

		if (ok < 0)
			break;
		atomic_fetch_add(ok ? &done : &failed, 1);
	}
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[256];

	if (argc != 6)
		return 2;
	path = argv[1];
	id = argv[4];
	rows = strtol(argv[5], NULL, 10);
	long n = strtol(argv[2], NULL, 10), seconds = strtol(argv[3], NULL, 10);

	if (n < 1 || n > 256)
		return 2;
	for (long i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, work, (void *)(size_t)i);
	sleep((unsigned)seconds);
	stop = true;
	for (long i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("%.0f %ld\n", (double)done / (double)seconds, (long)failed);
	return 0;
}
