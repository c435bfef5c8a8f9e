/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/up.h"

#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "published/published.h"
#include "supervisor/child.h"
#include "supervisor/home.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define DOWN_MS 60000

static const char *const programs[] = {"appiad", "appia-worker", "nginx", "appia-mqs", "appia-mqs-rest"};

static bool open_home(struct home *home)
{
	struct err err;

	if (home_open(home, false, &err) == 0)
		return true;
	fprintf(stderr, "appia: %s\n", err.text);
	return false;
}

int up_down(int argc, char **argv)
{
	const struct timespec pause = {0, 20 * 1000 * 1000};
	struct home home;
	int64_t deadline = clock_mono_ms() + DOWN_MS;

	if (!open_home(&home))
		return 1;
	int pid = home_supervisor(&home);

	if (!pid) {
		puts("not running");
		return 0;
	}
	if (kill(pid, SIGTERM) < 0) {
		perror("appia: kill");
		return 1;
	}
	while (home_supervisor(&home) == pid) {
		if (clock_mono_ms() > deadline) {
			fprintf(stderr, "appia: process %d does not stop\n", pid);
			return 1;
		}
		nanosleep(&pause, NULL);
	}
	puts("stopped");
	return 0;
}

static bool answers(const char *socket_path)
{
	struct child probe = {.ready_socket = socket_path};

	return child_ready(&probe);
}

/* What the publisher could not project; said only when there is something. */
static void show_set_aside(const struct home *home)
{
	struct pub_view *view = NULL;
	struct pub *pub = NULL;
	char path[300];

	if (pub_open(home_path(home, "published", path, sizeof(path)), 0, false, &pub, NULL) == 0 &&
	    pub_view_begin(pub, &view, NULL) == 0 && pub_set_aside(view))
		printf("published   %llu objects could not be published; see: appia published verify\n",
		       (unsigned long long)pub_set_aside(view));
	if (view)
		pub_view_end(&view);
	pub_close(pub);
}

/* With the engine "kafka" the messages are elsewhere. */
static void show_broker(const struct home *home)
{
	struct conf *conf = NULL;
	char path[300];

	if (conf_load(home->dir, &conf, NULL) == 0 && str_is(conf_str(conf, CONF_MQS_ENGINE), "kafka"))
		printf("broker      elsewhere: %.*s\n", STR_FMT(conf_str(conf, CONF_MQS_BOOTSTRAP_SERVERS)));
	else
		printf("broker      %s\n",
		       answers(home_path(home, "mqs.sock", path, sizeof(path))) ? "ready" : "not running");
	conf_free(conf);
}

int up_status(int argc, char **argv)
{
	struct home home;
	char path[300];

	if (!open_home(&home))
		return 1;
	int pid = home_supervisor(&home);
	bool control = answers(home.appiad_socket), worker = answers(home.worker_socket);

	printf("data        %s\n", home.dir);
	if (pid)
		printf("supervisor  process %d\n", pid);
	else
		puts("supervisor  not running");
	printf("appiad      %s\n", control ? "ready" : "not answering");
	printf("worker      %s\n", worker ? "ready" : "not answering");
	show_broker(&home);
	printf("mqs-rest    %s\n",
	       answers(home_path(&home, "mqs-rest.sock", path, sizeof(path))) ? "ready" : "not running");
	show_set_aside(&home);
	return pid && control && worker ? 0 : 1;
}

#define LOG_TAIL 16384

/* The last bytes of a file, by lines; returns how many there are, at most n. */
static long show_tail(const char *path, const char *name, long n)
{
	char line[4096];
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	fseek(f, 0, SEEK_END);
	long size = ftell(f);
	bool cut = size > n;

	fseek(f, cut ? -n : 0, cut ? SEEK_END : SEEK_SET);
	if (cut && !fgets(line, sizeof(line), f))
		line[0] = '\0'; /* the rest of a cut line is not shown */
	while (fgets(line, sizeof(line), f))
		printf("%-12s %s", name, line);
	fclose(f);
	return cut ? n : size;
}

static long size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (long)st.st_size : 0;
}

/* The last part of a log; where it was begun anew just now, of the one before. */
static void show_log(const struct home *home, const char *name)
{
	char path[300], before[310], file[64];

	snprintf(file, sizeof(file), "log/%s.log", name);
	snprintf(before, sizeof(before), "%s.1", home_path(home, file, path, sizeof(path)));
	if (size_of(path) < LOG_TAIL)
		show_tail(before, name, LOG_TAIL - size_of(path));
	show_tail(path, name, LOG_TAIL);
}

int up_logs(int argc, char **argv)
{
	struct home home;

	if (!open_home(&home))
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		if (argc == 0 || strcmp(argv[0], programs[i]) == 0)
			show_log(&home, programs[i]);
	return 0;
}

static int report(bool good, const char *what, const char *advice)
{
	printf("%-5s %s%s%s\n", good ? "ok" : "BAD", what, good ? "" : ": ", good ? "" : advice);
	return good ? 0 : 1;
}

static int check_port(const char *address, int port, bool running)
{
	char what[64];
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (port == 0 || fd < 0 || inet_pton(AF_INET, address, &in.sin_addr) != 1) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	snprintf(what, sizeof(what), "port %s:%d", address, port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	bool is_free = bind(fd, (const struct sockaddr *)(const void *)&in, sizeof(in)) == 0;

	close(fd);
	return report(running || is_free, what, "another program uses it; change it in appia.yaml");
}

static int check_disk(const struct home *home)
{
	struct statvfs v;
	bool good = statvfs(home->dir, &v) == 0 && (double)v.f_bavail * (double)v.f_frsize > 512.0 * 1024 * 1024;

	return report(good, "512 MiB of free disk space", "the data directory is nearly full");
}

static int check_private(const struct home *home, const char *name)
{
	char path[300];
	struct stat st;

	if (stat(home_path(home, name, path, sizeof(path)), &st) < 0)
		return 0;
	return report((st.st_mode & 077) == 0, path, "others may read it; chmod 600");
}

int up_doctor(int argc, char **argv)
{
	struct home home;
	struct conf *conf;
	struct err err;
	int bad = 0;

	if (!open_home(&home))
		return 1;
	bool running = home_supervisor(&home) != 0;

	bad += report(access("/usr/sbin/nginx", X_OK) == 0, "nginx", "install the package nginx-light");
	bad += check_disk(&home);
	bad += check_private(&home, "master.key") + check_private(&home, "credentials.json") +
	       check_private(&home, "tls/server.key") + check_private(&home, "tls/ca.key");
	if (conf_load(home.dir, &conf, &err)) {
		report(false, "appia.yaml", err.text);
		return 1;
	}
	const char *management = conf_str(conf, CONF_MANAGEMENT_ADDRESS).p;
	const char *gateway = conf_str(conf, CONF_GATEWAY_ADDRESS).p;

	bad += check_port(management, (int)conf_int(conf, CONF_MANAGEMENT_HTTP_PORT), running);
	bad += check_port(management, (int)conf_int(conf, CONF_MANAGEMENT_HTTPS_PORT), running);
	bad += check_port(gateway, (int)conf_int(conf, CONF_GATEWAY_HTTP_PORT), running);
	bad += check_port(gateway, (int)conf_int(conf, CONF_GATEWAY_HTTPS_PORT), running);
	if (running)
		bad += report(answers(home.appiad_socket), "appiad answers", "see appia logs appiad") +
		       report(answers(home.worker_socket), "appia-worker answers", "see appia logs appia-worker");
	conf_free(conf);
	return bad ? 1 : 0;
}
