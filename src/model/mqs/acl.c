/* SPDX-License-Identifier: Apache-2.0 */
#include "model/mqs/acl.h"

#include "kafka/error.h"
#include "model/mqs/cluster_priv.h"
#include "model/write.h"

#define STEP 200
#define WAIT_MS 5000

/* Numbers of the protocol (KIP-140, KIP-290). */
enum { LITERAL = 3, ALLOW = 3 };

/* 2 topic, 3 group, 5 transactional id; 3 read, 4 write, 8 describe. The owner may do both, whatever his policy. */
#define WANTED                                                                                                         \
	"WITH rights AS (SELECT p.topic AS topic, a.key AS who,"                                                       \
	" CASE WHEN t.app_id = p.app_id OR p.access <> 'sub' THEN 1 ELSE 0 END AS pub,"                                \
	" CASE WHEN t.app_id = p.app_id OR p.access <> 'pub' THEN 1 ELSE 0 END AS sub"                                 \
	" FROM mqs_policy p JOIN mqs_topic t ON t.name = p.topic JOIN app a ON a.id = p.app_id"                        \
	" WHERE t.state <> 'deleting'),"                                                                               \
	" wanted AS (SELECT 2 AS resource, topic AS name, who, 8 AS operation FROM rights"                             \
	" UNION SELECT 2, topic, who, 4 FROM rights WHERE pub = 1"                                                     \
	" UNION SELECT 2, topic, who, 3 FROM rights WHERE sub = 1"                                                     \
	" UNION SELECT 3, '*', who, 3 FROM rights WHERE sub = 1"                                                       \
	" UNION SELECT 3, '*', who, 8 FROM rights WHERE sub = 1"                                                       \
	" UNION SELECT 5, '*', who, 4 FROM rights WHERE pub = 1"                                                       \
	" UNION SELECT 5, '*', who, 8 FROM rights WHERE pub = 1)"
#define KEPT "SELECT resource, name, principal, operation FROM mqs_acl"
#define MISSING                                                                                                        \
	WANTED " SELECT * FROM (SELECT resource, name, who, operation FROM wanted EXCEPT " KEPT                        \
	       " WHERE applied = 1) AS x LIMIT ?"
#define SURPLUS WANTED " SELECT * FROM (" KEPT " EXCEPT SELECT resource, name, who, operation FROM wanted) AS x LIMIT ?"

struct entry {
	int64_t resource, operation;
	struct str name, who;
};

struct entries {
	struct entry *v;
	size_t n;
};

static int find(struct model *m, const char *sql, struct entries *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows, sql, "i", (int64_t)STEP);

	if (rc)
		return rc;
	*ret = (struct entries){ARENA_ARRAY(m->arena, struct entry, STEP), 0};
	while (ret->n < STEP && store_next(rows))
		ret->v[ret->n++] = (struct entry){.resource = store_int(rows, 0),
						  .operation = store_int(rows, 3),
						  .name = store_str(rows, 1, m->arena),
						  .who = store_str(rows, 2, m->arena)};
	return store_done(&rows, &m->err);
}

static int differences(struct model *m, struct entries *ret_missing, struct entries *ret_surplus)
{
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc == 0)
		rc = find(m, MISSING, ret_missing);
	if (rc == 0)
		rc = find(m, SURPLUS, ret_surplus);
	store_rollback(&m->tx);
	return rc;
}

struct recording {
	const struct entries *list;
	const char *sql;
};

static int record(struct model *m, void *arg)
{
	const struct recording *r = arg;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->list->n; i++) {
		const struct entry *e = &r->list->v[i];

		rc = store_exec(m->tx, &m->err, NULL, r->sql, "issi", e->resource, e->name, e->who, e->operation);
	}
	return rc;
}

static int record_each(struct model *m, const struct entries *list, const char *sql)
{
	struct recording recording = {list, sql};

	return model_write(m, record, &recording);
}

static int fault(struct model *m, int code)
{
	return code == KAFKA_ERR_SECURITY_DISABLED ? ACL_NONE : cluster__refused(m, code);
}

static struct str principal(struct model *m, const struct entry *e)
{
	return arena_fmt(m->arena, "User:%.*s", STR_FMT(e->who));
}

static int create(struct model *m, struct kclient *c, const struct entries *list)
{
	struct kafka_create_acls_req *req = KAFKA_NEW(m->arena, kafka_create_acls_req);
	struct kafka_create_acls_res *res = KAFKA_NEW(m->arena, kafka_create_acls_res);

	req->creations.n = (int32_t)list->n;
	req->creations.v = KAFKA_ARRAY(m->arena, kafka_create_acls_req_creation, list->n);
	for (size_t i = 0; i < list->n; i++) {
		const struct entry *e = &list->v[i];

		req->creations.v[i] = (struct kafka_create_acls_req_creation){
			.resource_type = (int8_t)e->resource,
			.resource_name = e->name,
			.resource_pattern_type = LITERAL,
			.principal = principal(m, e),
			.host = STR("*"),
			.operation = (int8_t)e->operation,
			.permission_type = ALLOW,
		};
	}
	int rc = kclient_call(c, KAFKA_API_CREATE_ACLS, req, res, &m->err);

	for (int32_t i = 0; rc == 0 && i < res->results.n; i++)
		if (res->results.v[i].error_code)
			rc = fault(m, res->results.v[i].error_code);
	return rc;
}

static int delete (struct model *m, struct kclient *c, const struct entries *list)
{
	struct kafka_delete_acls_req *req = KAFKA_NEW(m->arena, kafka_delete_acls_req);
	struct kafka_delete_acls_res *res = KAFKA_NEW(m->arena, kafka_delete_acls_res);

	req->filters.n = (int32_t)list->n;
	req->filters.v = KAFKA_ARRAY(m->arena, kafka_delete_acls_req_filter, list->n);
	for (size_t i = 0; i < list->n; i++) {
		const struct entry *e = &list->v[i];

		req->filters.v[i] = (struct kafka_delete_acls_req_filter){
			.resource_type_filter = (int8_t)e->resource,
			.resource_name_filter = e->name,
			.pattern_type_filter = LITERAL,
			.principal_filter = principal(m, e),
			.host_filter = STR("*"),
			.operation = (int8_t)e->operation,
			.permission_type = ALLOW,
		};
	}
	int rc = kclient_call(c, KAFKA_API_DELETE_ACLS, req, res, &m->err);

	for (int32_t i = 0; rc == 0 && i < res->filter_results.n; i++)
		if (res->filter_results.v[i].error_code)
			rc = fault(m, res->filter_results.v[i].error_code);
	return rc;
}

/* The rows say what is going to be made before it is, and what is gone after it is: a crash leaves no entry behind that
 * nobody knows of. */
static int apply(struct model *m, struct kclient *c, const struct entries *missing, const struct entries *surplus)
{
	int rc = surplus->n ? delete (m, c, surplus) : 0;

	if (rc == 0 && surplus->n)
		rc = record_each(m, surplus,
				 "DELETE FROM mqs_acl WHERE resource = ? AND name = ? AND principal = ?"
				 " AND operation = ?");
	if (rc || !missing->n)
		return rc;
	rc = record_each(m, missing,
			 "INSERT INTO mqs_acl (resource, name, principal, operation, applied) VALUES (?, ?, ?, ?, 0)"
			 " ON CONFLICT (resource, name, principal, operation) DO NOTHING");
	if (rc == 0)
		rc = create(m, c, missing);
	return rc ? rc
		  : record_each(m, missing,
				"UPDATE mqs_acl SET applied = 1 WHERE resource = ? AND name = ? AND principal = ?"
				" AND operation = ?");
}

int acl_sync(struct model *m, bool *ret_more)
{
	struct entries missing, surplus;
	struct kclient *c = NULL;
	int rc = differences(m, &missing, &surplus);

	*ret_more = false;
	if (rc || (!missing.n && !surplus.n))
		return rc;
	rc = cluster__client(m, STR_NONE, WAIT_MS, &c);
	if (rc == 0)
		rc = apply(m, c, &missing, &surplus);
	kclient_close(c);
	*ret_more = rc == 0 && (missing.n == STEP || surplus.n == STEP);
	return rc;
}

static int forget(struct model *m, void *arg)
{
	return store_exec(m->tx, &m->err, NULL, "UPDATE mqs_acl SET applied = 0", "");
}

int acl_forget(struct model *m)
{
	return model_write(m, forget, NULL);
}
