/* SPDX-License-Identifier: Apache-2.0 */
#include "api/authorise.h"

#include "api/fault.h"
#include "model/iam/account.h"
#include "model/iam/roles.h"
#include "model/public/instance.h"

#include <stdio.h>

/* A token of a project is for that project; an account-wide one for all of the account's. */
static int check_project(struct model *m, const struct api_op *op, struct str project_id)
{
	struct iam_place place;
	bool found = false;
	int rc = 0;

	if (!m->who->project_id.p || str_eq(m->who->project_id, project_id))
		rc = iam_place_find(m, m->who->domain_id, project_id, STR_NONE, &place, &found);
	if (rc)
		return rc;
	return found && place.enabled ? 0 : api_fault(&m->err, op->domain, API_FAULT_PROJECT, NULL);
}

/* "The instance does not exist;id:4b1b..." */
static int check_instance(struct model *m, const struct api_op *op, struct str project_id, struct str instance_id)
{
	bool found;
	int rc = instance_exists(m, project_id, instance_id, &found);

	if (rc || found)
		return rc;
	rc = api_fault(&m->err, op->domain, API_FAULT_INSTANCE, NULL);
	size_t n = strlen(m->err.text);

	if (n && m->err.text[n - 1] == '.')
		n--;
	snprintf(m->err.text + n, sizeof(m->err.text) - n, ";id:%.*s", (int)(instance_id.n < 64 ? instance_id.n : 64),
		 instance_id.p);
	return rc;
}

int api_authorise(struct model *m, const struct api_op *op, struct str project_id, struct str instance_id)
{
	if (op->flags & API_OP_PUBLIC)
		return 0;
	if (!m->who)
		return api_fault(&m->err, op->domain, API_FAULT_NO_CREDENTIALS, NULL);
	if (op->domain == API_IAM) /* whose account it is and who may change it: src/model/iam knows */
		return 0;
	if (!iam_roles_permit(iam_roles_of(m->who), op->action, op->flags & API_OP_WRITE))
		return api_fault(&m->err, op->domain, API_FAULT_FORBIDDEN, NULL);
	int rc = project_id.p ? check_project(m, op, project_id) : 0;

	if (rc == 0 && project_id.p && instance_id.p)
		rc = check_instance(m, op, project_id, instance_id);
	return rc;
}
