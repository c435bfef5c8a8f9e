/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf_priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct conf *conf = conf__new(STR("/home"));
	struct err err = {0};
	int r = conf__read(conf, (struct str){(const char *)data, size}, "appia.yaml", &err);

	/* A refusal says why; what was accepted keeps the rules. */
	if (r < 0 && !err.text[0])
		abort();
	for (unsigned id = 0; id < CONF_COUNT; id++) {
		const struct conf_row *row = &conf__rows[id];

		if (row->min != row->max && (conf->values[id].i < row->min || conf->values[id].i > row->max))
			abort();
	}
	conf_free(conf);
	return 0;
}
