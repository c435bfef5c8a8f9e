/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/sample.h"

#include "base/enc.h"
#include "cli/http.h"
#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#define SQL_TEXT                                                                                                       \
	"select name, country, population from city where 1 = 1 [and country = '${country}'] order by population desc"

static const char tables[] =
	"create table if not exists city (id integer primary key, name text not null, country text not null, "
	"population integer not null);"
	"insert or ignore into city values (1, 'Rome', 'IT', 2748109), (2, 'Milan', 'IT', 1354196), (3, 'Naples', "
	"'IT', "
	"913462), (4, 'Capua', 'IT', 18000), (5, 'Brindisi', 'IT', 82000), (6, 'Paris', 'FR', 2102650), (7, 'Lyon', "
	"'FR', "
	"522250), (8, 'Berlin', 'DE', 3755251), (9, 'Hamburg', 'DE', 1892122), (10, 'Madrid', 'ES', 3332035);";

struct sample {
	struct arena *a;
	const struct cli_profile *profile;
	struct err *err;
	struct str database;
};

static int make_database(struct sample *s)
{
	sqlite3 *db;
	char *why = NULL;
	int rc = sqlite3_open(s->database.p, &db);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, tables, NULL, NULL, &why);
	if (rc != SQLITE_OK)
		err_set_text(s->err, ERR_APPIA_0500, "sample database: %s", why ? why : sqlite3_errmsg(db));
	sqlite3_free(why);
	sqlite3_close(db);
	return rc == SQLITE_OK ? 0 : ERR_APPIA_0500;
}

/* One call; *ret the reply as a tree (NULL when it is empty). A status from 400 is an error. */
static int call(struct sample *s, const char *method, struct str target, struct str body, const struct json **ret)
{
	struct net_reply reply;
	char why[160];
	int rc = cli_http(s->profile, str_of(method), target, body, s->a, &reply, s->err);

	*ret = NULL;
	if (rc)
		return rc;
	if (reply.status >= 400)
		return err_set_text(s->err, ERR_APPIA_0500, "sample: %s %.*s: HTTP %d %.*s", method, STR_FMT(target),
		                    reply.status, STR_FMT(reply.body));
	if (reply.body.n && !json_parse(s->a, reply.body, ret, why, sizeof(why)))
		return err_set_text(s->err, ERR_APPIA_0500, "sample: %s %.*s: %s", method, STR_FMT(target), why);
	return 0;
}

/* Id of the element of a list whose member has the value; STR_NONE when there is none. */
static int find(struct sample *s, struct str target, const char *list, const char *member, const char *value,
                const char *id, struct str *ret)
{
	const struct json *tree, *rows;
	int rc = call(s, "GET", target, STR_NONE, &tree);

	*ret = STR_NONE;
	if (rc)
		return rc;
	rows = json_get(tree, list);
	for (size_t i = 0; i < json_len(rows); i++)
		if (str_is(json_str(json_get(json_at(rows, i), member)), value))
			*ret = json_str(json_get(json_at(rows, i), id));
	return 0;
}

static struct str path(struct sample *s, const char *service, const char *rest)
{
	return arena_fmt(s->a, "/v2/%.*s/%sinstances/%.*s/%s", STR_FMT(s->profile->project_id), service,
	                 STR_FMT(s->profile->instance_id), rest);
}

/* What is there already is taken, otherwise made. */
static int ensure(struct sample *s, struct str target, const char *list, const char *member, const char *value,
                  const char *id, struct str body, struct str *ret)
{
	const struct json *tree;
	int rc = find(s, target, list, member, value, id, ret);

	if (rc || ret->n)
		return rc;
	rc = call(s, "POST", target, body, &tree);
	if (rc == 0)
		*ret = json_str(json_get(tree, id));
	return rc;
}

static int make_backend(struct sample *s, struct str app, struct str source, struct str *ret)
{
	const struct json *tree;
	struct str target = path(s, "apic/", "livedata-apis");
	struct str body =
		arena_fmt(s->a,
			  "{\"name\":\"sample_cities\",\"path\":\"/sample/cities\",\"method\":\"GET\","
			  "\"roma_app_id\":\"%.*s\",\"version\":\"1.0\",\"content_type\":\"json\","
			  "\"return_format\":false,\"parameters\":[{\"name\":\"country\",\"in\":\"Parameters\","
			  "\"required\":false}]}",
			  STR_FMT(app));
	int rc = ensure(s, target, "apis", "name", "sample_cities", "id", body, ret);

	if (rc)
		return rc;
	body = arena_fmt(
		s->a,
		"{\"api_type\":\"data\",\"scripts\":[{\"ds_id\":\"%.*s\",\"type\":\"SQL\",\"object_name\":\"cities\","
		"\"content\":\"%.*s\"}]}",
		STR_FMT(source), STR_FMT(enc_base64(s->a, STR(SQL_TEXT))));
	return call(s, "POST", arena_fmt(s->a, "%.*s/%.*s/scripts", STR_FMT(target), STR_FMT(*ret)), body, &tree);
}

static int deploy(struct sample *s, struct str app, struct str backend, struct str group)
{
	const struct json *tree;
	struct str body =
		arena_fmt(s->a,
			  "{\"deploy_front_api\":true,\"roma_app_id\":\"%.*s\",\"auth_type\":\"NONE\","
			  "\"group_id\":\"%.*s\",\"env_id\":\"DEFAULT_ENVIRONMENT_RELEASE_ID\",\"method\":\"GET\","
			  "\"path\":\"/sample/cities\",\"protocol\":\"BOTH\",\"backend_timeout\":5000,"
			  "\"cors\":false}",
			  STR_FMT(app), STR_FMT(group));
	struct str rest = arena_fmt(s->a, "livedata-apis/%.*s/deploy", STR_FMT(backend));

	return call(s, "POST", path(s, "apic/", rest.p), body, &tree);
}

static int walk(struct sample *s)
{
	struct str app, source, backend, group;
	struct str body = STR("{\"name\":\"sample\",\"remark\":\"Made by the first start\"}");
	int rc = ensure(s, path(s, "", "apps"), "apps", "name", "sample", "id", body, &app);

	if (rc)
		return rc;
	body = arena_fmt(s->a,
	                 "{\"datasource_name\":\"sample\",\"datasource_type\":\"SQLITE\",\"app_id\":\"%.*s\","
	                 "\"content\":{\"database_name\":\"%.*s\"}}",
	                 STR_FMT(app), STR_FMT(s->database));
	rc = ensure(s, path(s, "fdi/", "datasources"), "entities", "datasource_name", "sample", "datasource_id", body,
		    &source);
	if (rc == 0)
		rc = make_backend(s, app, source, &backend);
	if (rc == 0)
		rc = find(s, path(s, "apic/", "api-groups"), "groups", "name", "DEFAULT", "id", &group);
	return rc ? rc : deploy(s, app, backend, group);
}

int sample_ensure(const struct home *home, const struct cli_profile *profile, struct err *err)
{
	char done[300], database[300];
	struct sample s = {.profile = profile, .err = err};

	if (access(home_path(home, "sample/ready", done, sizeof(done)), F_OK) == 0)
		return 0;
	s.a = arena_new((size_t)64 << 20);
	s.database = str_of(home_path(home, "sample/cities.db", database, sizeof(database)));
	int rc = make_database(&s);

	if (rc == 0)
		rc = walk(&s);
	if (rc == 0) {
		int fd = open(done, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (fd >= 0)
			close(fd);
	}
	arena_free(s.a);
	return rc;
}
