/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_IAM_PROJECT_H
#define MODEL_IAM_PROJECT_H

#include "api_iam.h"
#include "model/context.h"

/* Projects of the caller's account. Those of other accounts do not exist for it (ERR_IAM_0004). */

struct iam_project_filter {
	struct str domain_id, name, parent_id;
	const bool *enabled, *is_domain; /* NULL: all */
	int64_t page, per_page; /* per_page 0: all */
};

int iam_project_list_by(struct model *m, const struct iam_project_filter *filter, struct iam_project_array *ret);
int iam_project_show(struct model *m, struct str id, struct iam_project *ret);
/* Administrators only, as all that changes projects. A name twice: ERR_IAM_0005. */
int iam_project_create(struct model *m, const struct iam_project *in, struct iam_project *ret);
int iam_project_update(struct model *m, struct str id, const struct iam_project *in, struct iam_project *ret);
int iam_project_suspend(struct model *m, struct str id, bool suspended);

#endif
