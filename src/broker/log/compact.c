/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/priv.h"

bool plog__compact_step(struct plog_store *store, int64_t now_ms, int64_t until_mono_ms)
{
	return false;
}

void plog__compact_stop(struct plog_store *store)
{
}
