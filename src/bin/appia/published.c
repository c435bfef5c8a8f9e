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

static int verify(struct published *p)
{
	char dir[300], file[320];
	size_t differences = 0;

	home_path(&p->home, "run/verify.XXXXXX", dir, sizeof(dir));
	if (!mkdtemp(dir))
		return err_set_text(&p->m.err, ERR_APPIA_0500, "%s cannot be made", dir);
	int rc = publish_verify(&p->m, p->pub, dir, &differences, report, NULL);

	snprintf(file, sizeof(file), "%s/data.mdb", dir);
	unlink(file);
	snprintf(file, sizeof(file), "%s/lock.mdb", dir);
	unlink(file);
	rmdir(dir);
	if (rc)
		return rc;
	printf("%zu differences\n", differences);
	return differences ? err_set_text(&p->m.err, ERR_APPIA_0500, "run: appia published rebuild") : 0;
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
		rc = strcmp(what, "rebuild") == 0 ? publish_rebuild(&p.m, p.pub)
		     : strcmp(what, "verify") == 0 ? verify(&p)
		                                   : dump(&p);
	if (rc)
		fprintf(stderr, "appia: %s\n", p.m.err.text);
	pub_close(p.pub);
	store_close(p.store);
	sign_keyring_free(p.keys);
	conf_free(p.conf);
	arena_free(p.m.arena);
	return rc ? 1 : 0;
}
