/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/appia/published.h"

#include "base/clock.h"
#include "conf/conf.h"
#include "model/publish/publish.h"
#include "sign/sign.h"
#include "supervisor/home.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct published {
	struct home home;
	struct conf *conf;
	struct store *store;
	struct sign_keyring *keys;
	struct pub *pub;
	struct model_settings settings;
	struct model m;
};

static int open_all(struct published *p, bool writer)
{
	char path[300], url[320];
	struct err *err = &p->m.err;
	int rc = home_open(&p->home, false, err);

	if (rc == 0)
		rc = conf_load(p->home.dir, &p->conf, err);
	if (rc)
		return rc;
	struct str set = conf_str(p->conf, CONF_STORE_URL);

	snprintf(url, sizeof(url), "sqlite:%s/appia.db", p->home.dir);
	rc = sign_keyring_open(home_path(&p->home, "master.key", path, sizeof(path)), false, &p->keys, err);
	if (rc == 0)
		rc = store_open(set.n ? set.p : url, 2, &p->store, err);
	if (rc == 0)
		rc = pub_open(home_path(&p->home, "published", path, sizeof(path)),
			      (size_t)conf_int(p->conf, CONF_PUBLISHED_MAP_SIZE), writer, &p->pub, err);
	p->settings.gateway_domain = rc ? STR_NONE : conf_str(p->conf, CONF_GATEWAY_DOMAIN);
	p->m.arena = arena_new((size_t)4 << 30);
	p->m.store = p->store;
	p->m.keys = p->keys;
	p->m.settings = &p->settings;
	p->m.now_ms = clock_now_ms();
	return rc;
}

static void report(void *ctx, struct str key, const char *what)
{
	printf("%.*s %s\n", STR_FMT(key), what);
}

/* What the publisher has set aside; *ret_n: how much. */
static int list_dead(struct published *p, size_t *ret_n)
{
	char since[CLOCK_ISO_SIZE];
	struct publish_dead *dead;
	int rc = store_begin(p->store, STORE_READ, &p->m.tx, &p->m.err);

	if (rc == 0)
		rc = publish_dead_list(&p->m, &dead, ret_n);
	store_rollback(&p->m.tx);
	for (size_t i = 0; rc == 0 && i < *ret_n; i++)
		printf("%.*s %.*s is set aside since %s: %.*s\n", STR_FMT(dead[i].kind), STR_FMT(dead[i].key),
		       clock_iso_ms(dead[i].since_ms, since).p, STR_FMT(dead[i].error));
	return rc;
}

static int compare(struct published *p, size_t *ret_differences)
{
	char dir[300], file[320];

	home_path(&p->home, "run/verify.XXXXXX", dir, sizeof(dir));
	if (!mkdtemp(dir))
		return err_set_text(&p->m.err, ERR_APPIA_0500, "%s cannot be made", dir);
	int rc = publish_verify(&p->m, p->pub, dir, ret_differences, report, NULL);

	snprintf(file, sizeof(file), "%s/data.mdb", dir);
	unlink(file);
	snprintf(file, sizeof(file), "%s/lock.mdb", dir);
	unlink(file);
	rmdir(dir);
	return rc;
}

static int verify(struct published *p)
{
	size_t differences = 0, dead = 0;
	int rc = compare(p, &differences);

	if (rc == 0)
		rc = list_dead(p, &dead);
	if (rc)
		return rc;
	printf("%zu differences\n", differences);
	if (dead)
		printf("%zu set aside\n", dead);
	return differences || dead ? err_set_text(&p->m.err, ERR_APPIA_0500, "run: appia published rebuild") : 0;
}

static int rebuild(struct published *p)
{
	size_t dead = 0;
	int rc = publish_rebuild(&p->m, p->pub);

	if (rc == 0)
		rc = list_dead(p, &dead);
	return rc || !dead ? rc : err_set_text(&p->m.err, ERR_APPIA_0500, "%zu objects cannot be projected", dead);
}

/* Keys and sizes; values hold sealed secrets and binary routers. */
static int dump(struct published *p)
{
	struct pub_view *view;
	struct str key = STR_NONE, value;
	int rc = pub_view_begin(p->pub, &view, &p->m.err);

	if (rc)
		return rc;
	while (pub_next(view, STR(""), key, &key, &value))
		printf("%.*s\t%zu\n", STR_FMT(key), value.n);
	pub_view_end(&view);
	return 0;
}

int published_command(int argc, char **argv)
{
	struct published p = {0};
	const char *what = argc == 1 ? argv[0] : "";
	int rc;

	if (strcmp(what, "rebuild") != 0 && strcmp(what, "verify") != 0 && strcmp(what, "dump") != 0) {
		fputs("usage: appia published rebuild | verify | dump\n", stderr);
		return 2;
	}
	rc = open_all(&p, strcmp(what, "rebuild") == 0);
	if (rc == 0)
		rc = strcmp(what, "rebuild") == 0 ? rebuild(&p) : strcmp(what, "verify") == 0 ? verify(&p) : dump(&p);
	if (rc)
		fprintf(stderr, "appia: %s\n", p.m.err.text);
	pub_close(p.pub);
	store_close(p.store);
	sign_keyring_free(p.keys);
	conf_free(p.conf);
	arena_free(p.m.arena);
	return rc ? 1 : 0;
}
