/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/profile.h"

#include "base/mem.h"
#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE ((size_t)1 << 20)

static const struct {
	const char *name;
	size_t offset;
} members[] = {
	{"management_url", offsetof(struct cli_profile, management_url)},
	{"domain", offsetof(struct cli_profile, domain)},
	{"user", offsetof(struct cli_profile, user)},
	{"project_id", offsetof(struct cli_profile, project_id)},
	{"project_name", offsetof(struct cli_profile, project_name)},
	{"instance_id", offsetof(struct cli_profile, instance_id)},
	{"access_key", offsetof(struct cli_profile, access_key)},
	{"secret_key", offsetof(struct cli_profile, secret_key)},
	{"token", offsetof(struct cli_profile, token)},
	{"ca_file", offsetof(struct cli_profile, ca_file)},
};

static struct str *member_of(struct cli_profile *profile, size_t i)
{
	return (struct str *)(void *)((char *)profile + members[i].offset);
}

static int read_json(struct arena *a, const char *path, const struct json **ret, struct err *err)
{
	char why[160];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set_text(err, ERR_APPIA_0404, "%s: %s", path, strerror(errno));
	char *p = arena_alloc(a, MAX_FILE);
	ssize_t n = read(fd, p, MAX_FILE);

	close(fd);
	if (n < 0)
		return err_set_text(err, ERR_APPIA_0500, "%s: %s", path, strerror(errno));
	if (!json_parse(a, (struct str){p, (size_t)n}, ret, why, sizeof(why)))
		return err_set_text(err, ERR_APPIA_0400, "%s: %s", path, why);
	return 0;
}

static void from_json(const struct json *tree, struct cli_profile *ret)
{
	*ret = (struct cli_profile){0};
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		*member_of(ret, i) = json_str(json_get(tree, members[i].name));
}

int cli_profile_read(struct arena *a, const char *path, struct cli_profile *ret, struct err *err)
{
	const struct json *tree;
	int rc = read_json(a, path, &tree, err);

	if (rc)
		return rc;
	from_json(tree, ret);
	const char *slash = strrchr(path, '/');
	struct str own = arena_fmt(a, "%.*stls/ca.pem", slash ? (int)(slash - path + 1) : 0, path);

	/* Nobody minds when it is missing: the address may be another one, or have a certificate of its own. */
	if (!ret->ca_file.n)
		cli_profile_trust(a, ret, own.p, NULL);
	return 0;
}

int cli_profile_trust(struct arena *a, struct cli_profile *profile, const char *file, struct err *err)
{
	char path[PATH_MAX];

	/* Whole, for a profile is used in other folders too. */
	if (!realpath(file, path) || access(path, R_OK) < 0)
		return err_set_text(err, ERR_APPIA_0404, "%s: %s", file, strerror(errno));
	profile->ca_file = arena_str(a, str_of(path));
	return 0;
}

/* Path of the profiles; with create, its folder exists afterwards. */
static const char *profiles_path(struct arena *a, bool create)
{
	const char *given = getenv("APPIA_CONFIG"), *home = getenv("HOME");
	struct str dir;

	if (given && *given)
		return given;
	dir = arena_fmt(a, "%s/.config", home ? home : ".");
	if (create)
		mkdir(dir.p, 0700);
	dir = arena_fmt(a, "%s/appia", dir.p);
	if (create)
		mkdir(dir.p, 0700);
	return arena_fmt(a, "%s/profiles.json", dir.p).p;
}

int cli_profile_load(struct arena *a, const char *name, struct cli_profile *ret, struct err *err)
{
	const char *path = profiles_path(a, false), *home = getenv("APPIA_HOME");
	const struct json *tree, *found = NULL;
	int rc = read_json(a, path, &tree, err);

	if (rc == 0)
		found = json_get(tree, name ? name : "default");
	if (rc && (name || rc != ERR_APPIA_0404))
		return rc;
	if (found) {
		from_json(found, ret);
		return 0;
	}
	if (name)
		return err_set_text(err, ERR_APPIA_0404,
				    "%s: there is no profile %s; make it with: appia login --profile %s", path, name,
				    name);
	struct str own = arena_fmt(a, "%s/credentials.json", home && *home ? home : "data");

	if (cli_profile_read(a, own.p, ret, err) == 0)
		return 0;
	return err_set_text(err, ERR_APPIA_0401, "not logged in, and there is no %s; use: appia login --url URL",
			    own.p);
}

static struct json *to_json(struct arena *a, const struct cli_profile *profile)
{
	struct cli_profile copy = *profile;
	struct json *out = json_new_object(a);

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (member_of(&copy, i)->p)
			json_set(out, str_of(members[i].name), json_new_str(a, *member_of(&copy, i)));
	return out;
}

static int write_file(const char *path, struct str text, struct err *err)
{
	char tmp[4200];

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.new", path) >= sizeof(tmp))
		return err_set_text(err, ERR_APPIA_0400, "the path of the profiles is too long");
	unlink(tmp); /* what an interrupted one left may be open to others */
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n && fsync(fd) == 0;

	if (fd >= 0 && close(fd) < 0)
		ok = false;
	if (!ok || rename(tmp, path) < 0)
		return err_set_text(err, ERR_APPIA_0500, "%s: %s", path, strerror(errno));
	return 0;
}

int cli_profile_save(struct arena *a, const char *name, const struct cli_profile *profile, struct err *err)
{
	const char *path = profiles_path(a, true);
	const struct json *old, *value;
	struct json *all = json_new_object(a);
	struct str key;
	struct buf b;
	int rc = read_json(a, path, &old, err);

	if (rc && rc != ERR_APPIA_0404)
		return rc;
	for (size_t i = 0; rc == 0 && json_member(old, i, &key, &value); i++)
		if (!str_is(key, name))
			json_set(all, key, value);
	json_set(all, str_of(name), to_json(a, profile));
	buf_init(&b, MAX_FILE);
	json_print(&b, all);
	buf_char(&b, '\n');
	rc = b.failed ? err_set_text(err, ERR_APPIA_0500, "%s: too large", path) : write_file(path, buf_view(&b), err);
	buf_done(&b);
	return rc;
}
