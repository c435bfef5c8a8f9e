/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_fdi.h"
#include "model/fdi/datasource.h"

int fdi_create_datasource_info(struct api_call *call, const struct fdi_create_datasource_info_in *in,
			       struct fdi_datasource *out)
{
	return datasource_create(&call->m, in->instance_id, in->body, out);
}

int fdi_list_datasources(struct api_call *call, const struct fdi_list_datasources_in *in,
			 struct fdi_datasource_list *out)
{
	return datasource_list(&call->m, in, out);
}

int fdi_show_datasource_detail(struct api_call *call, const struct fdi_show_datasource_detail_in *in,
			       struct fdi_datasource *out)
{
	return datasource_show(&call->m, in->instance_id, in->datasource_id, out);
}

int fdi_update_datasource_info(struct api_call *call, const struct fdi_update_datasource_info_in *in,
			       struct fdi_datasource *out)
{
	return datasource_update(&call->m, in->instance_id, in->datasource_id, in->body, out);
}

int fdi_delete_datasource_info_by_id(struct api_call *call, const struct fdi_delete_datasource_info_by_id_in *in)
{
	return datasource_delete(&call->m, in->instance_id, in->datasource_id);
}

int fdi_list_datasource_tables(struct api_call *call, const struct fdi_list_datasource_tables_in *in,
			       struct fdi_datasource_table_list *out)
{
	return datasource_tables(&call->m, in, out);
}

int fdi_list_datasource_columns(struct api_call *call, const struct fdi_list_datasource_columns_in *in,
				struct fdi_column_list *out)
{
	return datasource_columns(&call->m, in, out);
}

int fdi_start_test_datasource(struct api_call *call, const struct fdi_start_test_datasource_in *in,
			      struct fdi_datasource_test *out)
{
	return datasource_test(&call->m, in->instance_id, in->datasource_id, in->body, out);
}

int fdi_check_datasource_sql(struct api_call *call, const struct fdi_check_datasource_sql_in *in,
			     struct fdi_column_list *out)
{
	return datasource_describe(&call->m, in->instance_id, in->datasource_id, in->body ? in->body->sql : STR_NONE,
				   out);
}
