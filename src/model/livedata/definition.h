/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_LIVEDATA_DEFINITION_H
#define MODEL_LIVEDATA_DEFINITION_H

#include "api_apic.h"
#include "model/context.h"

#define LIVEDATA_DOCUMENT_BYTES ((size_t)32 << 20)

struct livedata_deployed {
	struct str id, project_id;
	const struct apic_livedata_api *api; /* scripts[].content is base64 */
};

/* Appends the document of struct internal_livedata (spec/internal/livedata.yaml), by which appia-worker runs the back
 * end. ERR_APPIA_0500 when it grows above out's limit. */
int livedata_definition_encode(struct model *m, const struct livedata_deployed *in, struct buf *out);

#endif
