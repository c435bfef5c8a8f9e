/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_MODEL_APIC_ENV_H
#define TESTS_UNIT_MODEL_APIC_ENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "model/apic/api.h"
#include "model/publish/publish.h"

/* A store with one instance, its two applications, group DEFAULT and two groups, environments RELEASE and test; a
 * published state beside it. The caller is an administrator. */
struct fixture {
	char dir[64];
	struct store *store;
	struct pub *pub;
	struct identity who;
	struct model_settings settings;
	struct model m;
};

#define INSTANCE STR("instance1")
#define APP STR("11111111-1111-4111-8111-111111111111")
#define APP2 STR("22222222-2222-4222-8222-222222222222")
#define GROUP "a0000000000000000000000000000001"
#define GROUP2 "a0000000000000000000000000000002"
#define GROUP_DEFAULT "a0000000000000000000000000000000"
#define RELEASE API_ENV_RELEASE
#define ENV_TEST STR("e0000000000000000000000000000001")

int apic_env_setup(void **state);
int apic_env_teardown(void **state);

/* A transaction of its own, ended by end(): committed when rc is 0. Returns rc. */
struct model *begin(struct fixture *env);
int end(struct fixture *env, int rc);

/* One statement in a transaction of its own. */
void run_sql(struct fixture *env, const char *sql);

/* Projects what changed; fails when that differs from a rebuild. */
void project_and_verify(struct fixture *env);

/* The published value, or STR_NONE; in the model's arena. */
struct str published(struct fixture *env, const char *key);

/* A definition from JSON with ' for ". */
struct apic_api *definition(struct fixture *env, const char *text);

void check_code(int rc, int want, const char *text, const char *file, int line);
#define assert_code(rc, want) check_code((rc), (want), env->m.err.text, __FILE__, __LINE__)

#endif
