/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_FDI_DATASOURCE_H
#define MODEL_FDI_DATASOURCE_H

#include "api_fdi.h"
#include "model/context.h"
#include "model/public/app.h"

#define DATASOURCE_MAX 1000 /* per instance */

/* Data sources (5.1). They belong to an integration application, whose roles decide. Unknown: ERR_FDI_3101; unknown
 * application: ERR_FDI_3435; not permitted: ERR_FDI_3478. */

/* A row. content: its secrets are sealed. */
struct datasource {
	struct str id, instance_id, app_id, app_name, name, type, description;
	int64_t created_ms, updated_ms;
	struct fdi_content *content;
};

/* Reads one, when the caller has the role. */
int datasource_get(struct model *m, struct str instance_id, struct str id, enum app_role role, struct datasource *ret);
/* Appends the worker's document of it (struct internal_datasource), secrets open. */
int datasource_encode(struct model *m, const struct datasource *source, struct buf *out);

int datasource_create(struct model *m, struct str instance_id, const struct fdi_datasource *in,
		      struct fdi_datasource *ret);
int datasource_list(struct model *m, const struct fdi_list_datasources_in *in, struct fdi_datasource_list *ret);
int datasource_show(struct model *m, struct str instance_id, struct str id, struct fdi_datasource *ret);
int datasource_update(struct model *m, struct str instance_id, struct str id, const struct fdi_datasource *in,
		      struct fdi_datasource *ret);
/* ERR_FDI_3121 while custom back ends use it. */
int datasource_delete(struct model *m, struct str instance_id, struct str id);

/* These ask the worker and begin their own transactions. */

/* in NULL: as it is stored. Otherwise as the body says it would be; secrets it leaves out are the stored ones.
 * ERR_FDI_3016 with the reason. */
int datasource_test(struct model *m, struct str instance_id, struct str id, const struct fdi_datasource *in,
		    struct fdi_datasource_test *ret);
int datasource_tables(struct model *m, const struct fdi_list_datasource_tables_in *in,
		      struct fdi_datasource_table_list *ret);
/* ERR_FDI_3126. */
int datasource_columns(struct model *m, const struct fdi_list_datasource_columns_in *in, struct fdi_column_list *ret);
/* The columns that the statement would give. It is not run. ERR_FDI_3035. */
int datasource_describe(struct model *m, struct str instance_id, struct str id, struct str sql,
			struct fdi_column_list *ret);

#endif
