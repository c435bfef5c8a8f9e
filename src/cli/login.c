/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "cli/http.h"
#include "cli/output.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

struct login {
	const char *profile, *url, *user, *domain, *project, *credentials, *ca_file;
};

static int fail(const char *text)
{
	fprintf(stderr, "appia: %s\n", text);
	return 1;
}

static bool read_options(int argc, char **argv, struct login *l)
{
	const struct {
		const char *name, **value;
	} options[] = {{"--profile", &l->profile}, {"--url", &l->url},         {"--user", &l->user},
		       {"--domain", &l->domain},   {"--project", &l->project}, {"--credentials", &l->credentials},
		       {"--ca-file", &l->ca_file}};

	for (int i = 0; i < argc; i += 2) {
		bool known = false;

		for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++) {
			if (strcmp(argv[i], options[k].name) != 0 || i + 1 == argc)
				continue;
			*options[k].value = argv[i + 1];
			known = true;
		}
		if (!known) {
			fputs("usage: appia login [--profile P] [--credentials FILE | --url URL --domain D --user U "
			      "[--project NAME]] [--ca-file FILE]\n"
			      "The certificate of an https address is checked against the system's authorities and\n"
			      "those in FILE.\n"
			      "The password is read from the terminal or from standard input.\n",
			      stderr);
			return false;
		}
	}
	return true;
}

static struct str read_password(struct arena *a)
{
	struct termios old, quiet;
	bool tty = tcgetattr(STDIN_FILENO, &old) == 0;
	char line[512] = "";

	if (tty) {
		fputs("Password: ", stderr);
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	if (!fgets(line, sizeof(line), stdin))
		line[0] = '\0';
	if (tty) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		fputc('\n', stderr);
	}
	line[strcspn(line, "\r\n")] = '\0';
	return arena_str(a, str_of(line));
}

static struct json *named(struct arena *a, const char *name, const struct json *value)
{
	struct json *out = json_new_object(a);

	json_set(out, str_of(name), value);
	return out;
}

static struct str token_request(struct arena *a, const struct login *l, struct str password)
{
	struct json *user = named(a, "name", json_new_str(a, str_of(l->user))), *identity = json_new_object(a);
	struct json *auth = json_new_object(a), *methods = json_new_array(a);
	struct buf b;

	json_set(user, STR("password"), json_new_str(a, password));
	json_set(user, STR("domain"), named(a, "name", json_new_str(a, str_of(l->domain))));
	json_push(methods, json_new_str(a, STR("password")));
	json_set(identity, STR("methods"), methods);
	json_set(identity, STR("password"), named(a, "user", user));
	json_set(auth, STR("identity"), identity);
	if (l->project)
		json_set(auth, STR("scope"),
			 named(a, "project", named(a, "name", json_new_str(a, str_of(l->project)))));
	buf_init(&b, 65536);
	json_print(&b, named(a, "auth", auth));
	struct str text = arena_str(a, buf_view(&b));

	buf_done(&b);
	return text;
}

/* The first instance of the project, so that commands need not name it. */
static void find_instance(struct arena *a, struct cli_profile *profile)
{
	struct net_reply reply;
	const struct json *tree;
	struct err err;
	char why[160];
	struct str target = arena_fmt(a, "/v2/%.*s/instances", STR_FMT(profile->project_id));

	if (cli_http(profile, STR("GET"), target, STR_NONE, a, &reply, &err) || reply.status != 200 ||
	    !json_parse(a, reply.body, &tree, why, sizeof(why)))
		return;
	profile->instance_id = json_str(json_get(json_at(json_get(tree, "instances"), 0), "id"));
}

static int refused(struct arena *a, struct str body, struct err *err)
{
	struct buf b;

	buf_init(&b, 65536);
	cli_output_plain(&b, body, true);
	struct str text = buf_view(&b);

	err_set_text(err, ERR_APPIA_0401, "login refused: %.*s", STR_FMT(text));
	buf_done(&b);
	return ERR_APPIA_0401;
}

/* Paths are put behind it. */
static struct str without_slash(struct str url)
{
	while (url.n && url.p[url.n - 1] == '/')
		url.n--;
	return url;
}

static int by_password(struct arena *a, const struct login *l, struct cli_profile *ret, struct err *err)
{
	struct cli_profile profile = {
		.management_url = without_slash(str_of(l->url)), .domain = str_of(l->domain), .user = str_of(l->user)};
	struct net_reply reply;
	const struct json *tree;
	char why[160];

	if (l->ca_file && cli_profile_trust(a, &profile, l->ca_file, err))
		return err->code;
	struct str body = token_request(a, l, read_password(a));
	int rc = cli_http(&profile, STR("POST"), STR("/v3/auth/tokens"), body, a, &reply, err);

	if (rc)
		return rc;
	if (reply.status != 201 || !json_parse(a, reply.body, &tree, why, sizeof(why)))
		return refused(a, reply.body, err);
	const struct json *project = json_get(json_get(tree, "token"), "project");

	profile.token = net_header(&reply, "X-Subject-Token");
	profile.project_id = json_str(json_get(project, "id"));
	profile.project_name = json_str(json_get(project, "name"));
	if (profile.project_id.n)
		find_instance(a, &profile);
	*ret = profile;
	return 0;
}

int cli_login(int argc, char **argv)
{
	struct login l = {.profile = "default"};
	struct cli_profile profile;
	struct err err = {0};
	int rc;

	if (!read_options(argc, argv, &l))
		return 2;
	struct arena *a = arena_new((size_t)64 << 20);

	if (l.url && l.user && l.domain)
		rc = by_password(a, &l, &profile, &err);
	else if (l.url || l.user)
		rc = err_set_text(&err, ERR_APPIA_0400, "--url, --domain and --user belong together");
	else if (l.credentials)
		rc = cli_profile_read(a, l.credentials, &profile, &err);
	else
		rc = cli_profile_load(a, NULL, &profile, &err);
	if (rc == 0 && l.ca_file)
		rc = cli_profile_trust(a, &profile, l.ca_file, &err);
	if (rc == 0)
		rc = cli_profile_save(a, l.profile, &profile, &err);
	if (rc == 0)
		printf("profile %s: %.*s at %.*s\n", l.profile, STR_FMT(profile.user), STR_FMT(profile.management_url));
	else
		fail(err.text);
	arena_free(a);
	return rc ? 1 : 0;
}
