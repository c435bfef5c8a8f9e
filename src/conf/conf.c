/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf_priv.h"

#include "base/buf.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_BYTES ((size_t)16 << 20)

struct conf *conf__new(struct str home)
{
	struct conf *conf = mem_zalloc(sizeof(*conf));
	char why[128];

	conf->a = arena_new(MAX_BYTES);
	while (home.n > 1 && home.p[home.n - 1] == '/')
		home.n--;
	conf->home = arena_str(conf->a, home);
	for (unsigned id = 0; id < CONF_COUNT; id++) {
		bool good = conf__set(conf, id, str_of(conf__rows[id].def), why, sizeof(why));

		assert(good && "a default breaks its own rule");
		conf->values[id].set = false;
	}
	return conf;
}

void conf_free(struct conf *conf)
{
	if (!conf)
		return;
	arena_free(conf->a);
	free(conf);
}

/* *ret_found: there is such a file. */
static int read_file(const char *path, struct buf *to, bool *ret_found, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char chunk[4096];
	ssize_t n = 0;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		*ret_found = false;
		return 0;
	}
	if (fd >= 0) {
		while (!to->failed && (n = read(fd, chunk, sizeof(chunk))) > 0)
			buf_add(to, chunk, (size_t)n);
	}
	int error = fd < 0 || n < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	if (error)
		return err_set_text(err, ERR_APPIA_0500, "%s cannot be read: %s.", path, strerror(error));
	if (to->failed)
		return err_set_text(err, ERR_APPIA_0400, "%s is longer than 1M.", path);
	*ret_found = true;
	return 0;
}

static int load_file(struct conf *conf, struct err *err)
{
	struct str path = arena_fmt(conf->a, "%.*s/appia.yaml", STR_FMT(conf->home));
	struct buf text;
	bool found = false;
	int r;

	buf_init(&text, CONF_MAX_FILE);
	r = read_file(path.p, &text, &found, err);
	if (r == 0 && found)
		r = conf__read(conf, buf_view(&text), "appia.yaml", err);
	buf_done(&text);
	return r;
}

static void variable_name(const struct conf_row *row, char *to, size_t size)
{
	snprintf(to, size, "APPIA_%s_%s", row->section, row->key);
	for (; *to; to++)
		*to = *to >= 'a' && *to <= 'z' ? (char)(*to - 'a' + 'A') : *to;
}

/* Only the names we know are looked up: others may well begin alike, such as those that Kubernetes makes. */
static int load_environment(struct conf *conf, struct err *err)
{
	char name[128], why[256];

	for (unsigned id = 0; id < CONF_COUNT; id++) {
		variable_name(&conf__rows[id], name, sizeof(name));
		const char *value = getenv(name);

		if (value && !conf__set(conf, id, str_of(value), why, sizeof(why)))
			return err_set_text(err, ERR_APPIA_0400, "Environment variable %s %s.", name, why);
	}
	return 0;
}

static struct str absolute(const char *home, char *buffer, size_t size)
{
	char here[PATH_MAX];

	if (home[0] == '/' || !getcwd(here, sizeof(here)))
		snprintf(buffer, size, "%s", home);
	else
		snprintf(buffer, size, "%s/%s", here, home);
	return str_of(buffer);
}

int conf_load(const char *home, struct conf **ret, struct err *err)
{
	char path[PATH_MAX * 2];
	struct conf *conf = conf__new(absolute(home, path, sizeof(path)));
	int r = load_file(conf, err);

	if (r == 0)
		r = load_environment(conf, err);
	if (r < 0) {
		conf_free(conf);
		return r;
	}
	*ret = conf;
	return 0;
}

static bool is_text(enum conf_id id)
{
	return conf__rows[id].type == CONF_TYPE_STRING || conf__rows[id].type == CONF_TYPE_PATH;
}

struct str conf_str(const struct conf *conf, enum conf_id id)
{
	assert(is_text(id));
	return conf->values[id].s;
}

int64_t conf_int(const struct conf *conf, enum conf_id id)
{
	assert(!is_text(id) && conf__rows[id].type != CONF_TYPE_BOOL);
	return conf->values[id].i;
}

bool conf_bool(const struct conf *conf, enum conf_id id)
{
	assert(conf__rows[id].type == CONF_TYPE_BOOL);
	return conf->values[id].i != 0;
}

bool conf_is_default(const struct conf *conf, enum conf_id id)
{
	return !conf->values[id].set;
}

struct str conf_home(const struct conf *conf)
{
	return conf->home;
}

static void print_default(struct buf *out)
{
	buf_cstr(out, "# Settings. Remove the # before a key to change it; APPIA_<SECTION>_<KEY> in the environment "
	              "wins.\n");
	for (size_t s = 0; s < conf__sections_n; s++) {
		buf_fmt(out, "\n# %s\n%s:\n", conf__sections[s].summary, conf__sections[s].name);
		for (unsigned id = 0; id < CONF_COUNT; id++) {
			const struct conf_row *row = &conf__rows[id];

			if (strcmp(row->section, conf__sections[s].name) == 0)
				buf_fmt(out, "  # %s\n  #%s: %s\n", row->summary, row->key,
				        *row->def ? row->def : "\"\"");
		}
	}
}

static bool write_all(int fd, struct str text)
{
	while (text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text = str_sub(text, (size_t)n, text.n);
	}
	return fsync(fd) == 0;
}

int conf_write_default(const char *path, struct err *err)
{
	struct buf text;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EEXIST)
		return err_set(err, ERR_APPIA_0409, NULL);
	if (fd < 0)
		return err_set_text(err, ERR_APPIA_0500, "%s cannot be written: %s.", path, strerror(errno));
	buf_init(&text, CONF_MAX_FILE);
	print_default(&text);
	bool good = !text.failed && write_all(fd, buf_view(&text));
	int error = errno;

	buf_done(&text);
	close(fd);
	if (good)
		return 0;
	unlink(path);
	return err_set_text(err, error == ENOSPC ? ERR_APPIA_0507 : ERR_APPIA_0500, "%s cannot be written: %s.", path,
	                    strerror(error));
}
