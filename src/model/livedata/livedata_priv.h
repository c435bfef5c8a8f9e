/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_LIVEDATA_LIVEDATA_PRIV_H
#define MODEL_LIVEDATA_LIVEDATA_PRIV_H

#include "model/apic/list.h"
#include "model/fdi/datasource.h"
#include "model/livedata/livedata.h"

enum { LIVEDATA_NEW = 1, LIVEDATA_DEVELOPED = 3, LIVEDATA_DEPLOYED = 4 };

/* A row of livedata_api. def: the document, with what the columns say filled in. */
struct livedata_row {
	struct str id, app_id, app_name, deploy_id, api_id;
	int64_t status, created_ms, updated_ms;
	struct apic_livedata_api *def;
};

/* Reads one, when the caller has the role. */
int livedata__get(struct model *m, struct str instance_id, struct str id, enum app_role role, struct livedata_row *ret);
/* Writes def, status and updated_ms back, and which data sources its scripts name. */
int livedata__save(struct model *m, const struct livedata_row *row);
/* Notes the data sources of scripts, as edited (0) or as deployed (1). */
int livedata__note_sources(struct model *m, struct str id, int64_t deployed, const struct apic_livedata_api *def);
/* The reply that shows it. */
void livedata__reply(struct model *m, const struct livedata_row *row, struct apic_livedata_api *ret);
/* ERR_APIG_3460. */
int livedata__check_authorizers(struct model *m, struct str id);

/* What scripts call the type of a data source; STR_NONE when they cannot use it. */
struct str livedata__source_type(struct str fdi_type);

/* Body of an internal call: the definition and the data sources it names, secrets open. Its closing brace is left to
 * the caller. Ends nothing: reads in m->tx. */
int livedata__encode(struct model *m, struct str instance_id, const struct livedata_row *row, struct buf *out);

#endif
