/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "supervisor/home.h"
#include "supervisor/nginx_conf.h"
#include "supervisor/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64];
static struct err err;

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static int set_up(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/appia-up.XXXXXX");
	err = (struct err){0};
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *in_dir(const char *name)
{
	static char path[8][300];
	static unsigned next;
	char *p = path[next++ % 8];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void test_backoff(void **state)
{
	static const int64_t waits[] = {0, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
	struct child c = {.name = "c", .pid = 0};

	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		c.started_ms = 1000;
		c.pid = 0;
		child_exited(&c, 2000);
		assert_int_equal(c.restart_at_ms - 2000, waits[i]);
		assert_int_equal(c.pid, 0);
	}
	c.failures = UINT32_MAX; /* no overflow however long it goes on */
	child_exited(&c, 2000);
	assert_int_equal(c.restart_at_ms, 12000);
	c.failures = 5;
	c.started_ms = 1000;
	child_exited(&c, 1000 + 30001); /* it ran long enough */
	assert_int_equal(c.restart_at_ms, 31001);
}

static void write_script(const char *name, const char *text)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, 0700);

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static struct child script(const char *text)
{
	write_script("script", text);
	return (struct child){.name = "script",
	                      .argv = {"/bin/sh", in_dir("script"), dir},
	                      .log_path = in_dir("log"),
	                      .stop_signal = SIGTERM,
	                      .ready_file = in_dir("ready")};
}

static int wait_file(const char *name)
{
	for (int i = 0; i < 1000 && access(in_dir(name), F_OK) < 0; i++)
		pause_ms(5);
	return access(in_dir(name), F_OK);
}

static pid_t read_pid(const char *name)
{
	FILE *f = fopen(in_dir(name), "re");
	int pid = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	return pid;
}

/* True when the process has ended, reaped or not. */
static bool gone(pid_t pid)
{
	char path[64], state = 'Z';

	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		FILE *f = fopen(path, "re");

		if (!f || fscanf(f, "%*d %*s %c", &state) != 1 || state == 'Z' || state == 'X') {
			if (f)
				fclose(f);
			return true;
		}
		fclose(f);
		pause_ms(5);
	}
	return false;
}

/* A child that is killed must not leave workers that hold its ports. */
static void test_group_goes_with_child(void **state)
{
	struct child c =
		script("sleep 100 & echo $! > $1/worker.new; mv $1/worker.new $1/worker; touch $1/ready; wait");
	int status;
	pid_t pid = 0;

	assert_int_equal(child_start(&c, &err), 0);
	assert_int_equal(wait_file("ready"), 0);
	assert_int_equal(child_reap(0, &status), 0); /* it runs */
	pid_t worker = read_pid("worker");

	kill(c.pid, SIGKILL);
	for (int i = 0; i < 1000 && pid == 0; i++, pause_ms(5))
		pid = child_reap(c.pid, &status);
	assert_int_equal(pid, c.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(gone(worker));
}

static void test_stop(void **state)
{
	struct child c = script("trap 'touch $1/asked; exit 0' TERM; touch $1/ready; while :; do sleep 0.01; done");

	assert_int_equal(child_start(&c, &err), 0);
	assert_int_equal(wait_file("ready"), 0);
	child_stop(&c, 5000);
	assert_int_equal(c.pid, 0);
	assert_int_equal(access(in_dir("asked"), F_OK), 0);
	child_stop(&c, 5000); /* not running: nothing to do */
}

static void test_stop_stubborn(void **state)
{
	struct child c =
		script("trap '' TERM; sleep 100 & echo $! > $1/worker; touch $1/ready; while :; do sleep 1; done");
	int64_t began = clock_mono_ms();

	assert_int_equal(child_start(&c, &err), 0);
	assert_int_equal(wait_file("ready"), 0);
	pid_t pid = c.pid, worker = read_pid("worker");

	child_stop(&c, 100);
	assert_true(gone(pid) && gone(worker));
	assert_true(clock_mono_ms() - began < 20000);
}

static void test_log_and_environment(void **state)
{
	struct child c = script("echo \"$WORD\"; echo bad >&2; touch $1/ready");
	char text[64] = "";
	struct stat st;

	c.env[0] = "WORD=hello";
	assert_int_equal(child_start(&c, &err), 0);
	assert_int_equal(wait_file("ready"), 0);
	child_stop(&c, 1000);
	int fd = open(in_dir("log"), O_RDONLY);

	assert_true(read(fd, text, sizeof(text) - 1) > 0 && fstat(fd, &st) == 0);
	close(fd);
	assert_string_equal(text, "hello\nbad\n");
	assert_int_equal(st.st_mode & 0777, 0600);
}

static int64_t size_of(const char *name)
{
	struct stat st;

	return stat(in_dir(name), &st) == 0 ? (int64_t)st.st_size : -1;
}

static void write_bytes(const char *name, size_t n)
{
	FILE *f = fopen(in_dir(name), "we");

	assert_non_null(f);
	while (n--)
		fputc('x', f);
	fclose(f);
}

static void test_rotate(void **state)
{
	char log[80], audit[80];
	struct child c = {.log_path = log, .second_log = audit};
	struct rotation r = {100, 2};
	size_t sizes[] = {101, 102, 103, 104};

	snprintf(log, sizeof(log), "%s/log", dir);
	snprintf(audit, sizeof(audit), "%s/audit", dir);
	write_bytes("log", 100); /* not beyond */
	write_bytes("audit", 500);
	write_bytes("log.3", 1); /* of a time when more were kept */
	write_bytes("log.4", 1);
	rotate_logs(&r, &c, 1);
	assert_int_equal(size_of("log"), 100);
	assert_int_equal(size_of("audit"), -1);
	assert_int_equal(size_of("audit.1"), 500);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		write_bytes("log", sizes[i]);
		rotate_logs(&r, &c, 1);
	}
	assert_int_equal(size_of("log"), -1);
	assert_int_equal(size_of("log.1"), 104);
	assert_int_equal(size_of("log.2"), 103);
	assert_int_equal(size_of("log.3"), -1);
	assert_int_equal(size_of("log.4"), -1);
	write_bytes("log", 1000);
	r.max_bytes = 0;
	rotate_logs(&r, &c, 1);
	assert_int_equal(size_of("log"), 1000);
}

/* The signal may come before the child is ready for it, which must not end the child: it is asked again. */
static void test_rotate_asks(void **state)
{
	/* Not a shell: it does not trap a signal that was ignored when it began. */
	struct child c = script("import os, signal, sys, time; os.chdir(sys.argv[1]); open('started', 'w')\n"
	                        "while not os.path.exists('go'): time.sleep(0.01)\n"
	                        "def reopen(*_): open('log', 'w'); open('anew', 'w')\n"
	                        "signal.signal(signal.SIGHUP, reopen); open('ready', 'w')\n"
	                        "while True: time.sleep(0.01)\n");
	struct rotation r = {10, 1};

	char log[80];

	snprintf(log, sizeof(log), "%s/log", dir);
	c.argv[0] = "/usr/bin/python3";
	c.log_path = log;
	c.reopen_signal = SIGHUP;
	assert_int_equal(child_start(&c, &err), 0);
	assert_int_equal(wait_file("started"), 0);
	write_bytes("log", 11);
	rotate_logs(&r, &c, 1); /* not heard */
	assert_int_equal(size_of("log.1"), 11);
	write_bytes("go", 0);
	assert_int_equal(wait_file("ready"), 0);
	for (int i = 0; i < 500 && size_of("anew") < 0; i++, pause_ms(10))
		rotate_logs(&r, &c, 1);
	assert_int_equal(size_of("anew"), 0);
	assert_int_equal(size_of("log.1"), 11);
	child_stop(&c, 1000);
}

/* An earlier child that ends while a later one starts is not forgotten. */
static void test_start_in_order(void **state)
{
	struct child c[2] = {script("touch $1/first; sleep 0.1; exit 3"), {.name = "none"}};

	c[0].ready_file = in_dir("first");
	c[1] = c[0];
	write_script("second", "while [ ! -e $1/go ]; do sleep 0.01; done; sleep 100");
	c[1].argv[1] = in_dir("second");
	c[1].ready_file = in_dir("second.ready");
	assert_int_equal(supervise_init(&err), 0);
	assert_int_equal(supervise_start(c, 2, 500, &err), ERR_APPIA_0503);
	assert_int_equal(c[0].pid, 0);
	assert_int_equal(c[0].failures, 1); /* its end was seen */
	assert_int_equal(c[1].pid, 0);
	c[1].argv[1] = in_dir("script");
	c[1].ready_file = in_dir("never");
	assert_int_equal(supervise_start(c + 1, 1, 20000, &err), ERR_APPIA_0500); /* exits at once: no waiting */
	assert_non_null(strstr(err.text, "did not start"));
}

static void open_home(struct home *home)
{
	snprintf(home->dir, sizeof(home->dir), "%s", dir);
	home->lock = -1;
	mkdir(in_dir("run"), 0700);
}

static void test_lock(void **state)
{
	struct home a = {.lock = -1}, b = {.lock = -1};

	open_home(&a);
	open_home(&b);
	assert_int_equal(home_supervisor(&a), 0);
	assert_int_equal(home_lock(&a, &err), 0);
	assert_int_equal(home_supervisor(&b), getpid());
	assert_int_equal(home_lock(&b, &err), ERR_APPIA_0409);
	assert_non_null(strstr(err.text, "another appia runs"));
	close(a.lock);
	/* The file stays, its process is no supervisor any more. */
	assert_int_equal(home_supervisor(&b), 0);
	assert_int_equal(home_lock(&b, &err), 0);
	close(b.lock);
}

/* Asking whether one runs must not look like one that runs. */
static void test_asking_does_not_lock(void **state)
{
	struct home home = {.lock = -1};

	open_home(&home);
	assert_int_equal(home_lock(&home, &err), 0);
	close(home.lock);
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			home_supervisor(&home);
	for (int i = 0; i < 2000; i++) {
		int rc = home_lock(&home, &err);

		if (rc) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			fail_msg("%s", err.text);
		}
		close(home.lock);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_home(void **state)
{
	struct home home;
	char name[200];

	setenv("APPIA_HOME", in_dir("none"), 1);
	assert_int_equal(home_open(&home, false, &err), ERR_APPIA_0500);
	memset(name, 'x', sizeof(name));
	name[90] = '\0';
	setenv("APPIA_HOME", in_dir(name), 1);
	assert_int_equal(home_open(&home, true, &err), ERR_APPIA_0500);
	assert_non_null(strstr(err.text, "too long"));
	setenv("APPIA_HOME", in_dir("a\"b"), 1);
	assert_int_equal(home_open(&home, true, &err), ERR_APPIA_0500);
	assert_non_null(strstr(err.text, "cannot be used"));
	setenv("APPIA_HOME", in_dir("a$b"), 1);
	assert_int_equal(home_open(&home, true, &err), ERR_APPIA_0500);
	unsetenv("APPIA_HOME");
}

static struct str conf_text(const struct nginx_settings *s, char *buf, size_t size)
{
	struct home home = {.module = "/opt/a b/m.so",
			    .appiad_socket = "/h o/run/appiad.sock",
	                    .worker_socket = "/h o/run/worker.sock"};

	open_home(&home);
	mkdir(in_dir("nginx"), 0700);
	assert_int_equal(nginx_conf_write(&home, s, &err), 0);
	int fd = open(in_dir("nginx/nginx.conf"), O_RDONLY);
	ssize_t n = read(fd, buf, size - 1);

	assert_true(n > 0);
	close(fd);
	buf[n] = '\0';
	return (struct str){buf, (size_t)n};
}

#define HAS(text, needle) assert_true(str_contains(text, STR(needle)))
#define LACKS(text, needle) assert_false(str_contains(text, STR(needle)))

static void test_nginx_conf(void **state)
{
	char buf[16384];
	struct nginx_settings s = {.management_address = "127.0.0.1",
	                           .gateway_address = "0.0.0.0",
	                           .management_http_port = 8080,
	                           .management_https_port = 8443,
	                           .gateway_http_port = 9080,
	                           .gateway_https_port = 9443,
	                           .max_body = 12345,
	                           .error_level = "warn"};
	struct str text = conf_text(&s, buf, sizeof(buf));

	HAS(text, "worker_processes auto;");
	HAS(text, "load_module \"/opt/a b/m.so\";");
	HAS(text, "server \"unix:/h o/run/appiad.sock\";");
	HAS(text, "appia_worker \"unix:/h o/run/worker.sock\";");
	HAS(text, "/log/nginx.log\" warn;\n");
	HAS(text, "listen 127.0.0.1:8080;\n");
	HAS(text, "listen 127.0.0.1:8443 ssl");
	HAS(text, "listen 0.0.0.0:9080 ");
	HAS(text, "listen 0.0.0.0:9443 ssl");
	HAS(text, "client_max_body_size 12345;");
	HAS(text, "appia_appcode_plain off;");
	/* A client cannot choose the id under which its request is logged. */
	HAS(text, "proxy_set_header X-Request-Id $request_id;");
	s = (struct nginx_settings){.management_address = "::1",
				    .gateway_address = "[::]",
				    .management_https_port = 8443,
				    .gateway_http_port = 9080,
				    .workers = 3,
				    .app_code_plain = true,
				    .error_level = "info"};
	text = conf_text(&s, buf, sizeof(buf));
	HAS(text, "worker_processes 3;");
	HAS(text, "listen [::1]:8443 ssl");
	HAS(text, "listen [::]:9080 ");
	HAS(text, "appia_appcode_plain on;");
	LACKS(text, ":0;");
	LACKS(text, ":0 ");
	s.gateway_http_port = 0; /* switched off */
	text = conf_text(&s, buf, sizeof(buf));
	LACKS(text, "appia_gateway");
	HAS(text, "proxy_pass");
	/* Idle connections of all workers take an eighth of the places of the REST interface at most. */
	s.mqs_address = "::1";
	s.mqs_rest_port = 9292;
	s.mqs_rest_connections = 512;
	HAS(conf_text(&s, buf, sizeof(buf)), "/mqs-rest.sock\"; keepalive 21; }");
	s.mqs_rest_connections = 23;
	HAS(conf_text(&s, buf, sizeof(buf)), "/mqs-rest.sock\"; }");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_backoff, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_group_goes_with_child, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stop_stubborn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log_and_environment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rotate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rotate_asks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lock, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_asking_does_not_lock, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_home, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nginx_conf, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_start_in_order, set_up, tear_down), /* blocks signals: last */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
