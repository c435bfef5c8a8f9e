/* SPDX-License-Identifier: Apache-2.0 */
#include "model/iam/project.h"

#include "base/rnd.h"
#include "model/iam/account.h"
#include "model/iam/roles.h"

#define MAX_PROJECTS 1000

#define COLUMNS "SELECT id, name, domain_id, description, enabled FROM project WHERE domain_id = ?"

static void read_project(struct model *m, struct store_rows *rows, struct iam_project *p)
{
	p->id = store_str(rows, 0, m->arena);
	p->name = store_str(rows, 1, m->arena);
	p->domain_id = store_str(rows, 2, m->arena);
	p->parent_id = p->domain_id;
	p->description = store_str(rows, 3, m->arena);
	p->enabled = store_int(rows, 4);
	p->has_enabled = true;
	p->is_domain = false;
	p->has_is_domain = true;
	p->status = p->enabled ? STR("normal") : STR("suspended");
	p->links = iam_links_self(m, "/v3/projects/%.*s", STR_FMT(p->id));
}

int iam_project_list_by(struct model *m, const struct iam_project_filter *f, struct iam_project_array *ret)
{
	struct str domain = m->who->domain_id;
	struct store_rows *rows;
	int64_t limit = f->per_page ? f->per_page : MAX_PROJECTS, page = f->page > 1 ? f->page : 1;

	ret->v = ARENA_ARRAY(m->arena, struct iam_project, MAX_PROJECTS);
	ret->n = 0;
	limit = limit < MAX_PROJECTS ? limit : MAX_PROJECTS;
	if ((f->domain_id.p && !str_eq(f->domain_id, domain)) || (f->parent_id.p && !str_eq(f->parent_id, domain)) ||
	    (f->is_domain && *f->is_domain) || page > INT32_MAX)
		return 0;
	int rc = store_query(m->tx, &m->err, &rows,
			     COLUMNS " AND name = COALESCE(?, name) AND (enabled = ? OR ? = -1)"
				     " ORDER BY created_ms, id LIMIT ? OFFSET ?",
			     "ssiiii", domain, f->name, (int64_t)(f->enabled ? *f->enabled : 0),
			     (int64_t)(f->enabled ? 0 : -1), limit, (page - 1) * limit);

	if (rc)
		return rc;
	while (ret->n < MAX_PROJECTS && store_next(rows))
		read_project(m, rows, &ret->v[ret->n++]);
	return store_done(&rows, &m->err);
}

int iam_project_show(struct model *m, struct str id, struct iam_project *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows, COLUMNS " AND id = ?", "ss", m->who->domain_id, id);

	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found)
		read_project(m, rows, ret);
	rc = store_done(&rows, &m->err);
	return rc || found ? rc : err_set(&m->err, ERR_IAM_0004, "project" ERR_NEXT "%.*s", STR_FMT(id));
}

/* No two projects of an account have one name; except: the project that has it already. */
static int name_free(struct model *m, struct str name, struct str except)
{
	struct iam_place place;
	bool found;

	if (name.n == 0)
		return err_set(&m->err, ERR_IAM_0007, "project.name: must not be empty");
	int rc = iam_place_find(m, m->who->domain_id, STR_NONE, name, &place, &found);

	if (rc || !found || str_eq(place.id, except))
		return rc;
	return err_set(&m->err, ERR_IAM_0005, "project" ERR_NEXT "the name %.*s is taken", STR_FMT(name));
}

int iam_project_create(struct model *m, const struct iam_project *in, struct iam_project *ret)
{
	struct str domain = m->who->domain_id, id = rnd_id(m->arena);
	struct iam_place parent;
	bool found = true;
	int64_t n = 0;
	int rc = iam_require_administrator(m);

	/* Below a region's project, or below the account: projects have one level here. */
	if (rc == 0 && !str_eq(in->parent_id, domain))
		rc = iam_place_find(m, domain, in->parent_id, STR_NONE, &parent, &found);
	if (rc == 0 && (!found || (in->domain_id.p && !str_eq(in->domain_id, domain))))
		rc = err_set(&m->err, ERR_IAM_0007, "project.%s", found ? "domain_id" : "parent_id");
	if (rc == 0)
		rc = name_free(m, in->name, STR_NONE);
	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM project WHERE domain_id = ?", "s",
				   domain);
	if (rc == 0 && n >= MAX_PROJECTS)
		rc = err_set_text(&m->err, ERR_IAM_0002, "The account has %d projects, which is the maximum.",
				  MAX_PROJECTS);
	if (rc == 0)
		rc = store_exec(
			m->tx, &m->err, NULL,
			"INSERT INTO project (id, domain_id, name, description, enabled, created_ms, updated_ms)"
			" VALUES (?, ?, ?, ?, 1, ?, ?)",
			"ssssii", id, domain, in->name, in->description.p ? in->description : STR(""), m->now_ms,
			m->now_ms);
	return rc ? rc : iam_project_show(m, id, ret);
}

int iam_project_update(struct model *m, struct str id, const struct iam_project *in, struct iam_project *ret)
{
	int rc = iam_require_administrator(m);

	if (rc == 0)
		rc = iam_project_show(m, id, ret);
	if (rc == 0 && in->name.p)
		rc = name_free(m, in->name, id);
	if (rc == 0)
		rc = store_exec(m->tx, &m->err, NULL,
				"UPDATE project SET name = COALESCE(?, name), description = COALESCE(?, description),"
				" updated_ms = ? WHERE id = ?",
				"ssis", in->name, in->description, m->now_ms, id);
	return rc ? rc : iam_project_show(m, id, ret);
}

int iam_project_suspend(struct model *m, struct str id, bool suspended)
{
	struct iam_project project;
	int rc = iam_require_administrator(m);

	if (rc == 0)
		rc = iam_project_show(m, id, &project);
	return rc ? rc
		  : store_exec(m->tx, &m->err, NULL, "UPDATE project SET enabled = ?, updated_ms = ? WHERE id = ?",
			       "iis", (int64_t)!suspended, m->now_ms, id);
}
