/* SPDX-License-Identifier: Apache-2.0 */
#include "model/write.h"

#include "base/clock.h"

/* More than the dispatcher's: what was asked of others before, Kafka or the derivation of a password, is dear. */
#define MAX_ATTEMPTS 10
#define MAX_MS 5000

int model_write(struct model *m, int (*fn)(struct model *m, void *arg), void *arg)
{
	int64_t until = clock_mono_ms() + MAX_MS;
	int rc = 0;

	for (int i = 0; i < MAX_ATTEMPTS; i++) {
		m->err = (struct err){0};
		rc = store_begin(m->store, STORE_WRITE, &m->tx, &m->err);
		if (rc == 0)
			rc = fn(m, arg);
		if (rc == 0)
			rc = store_commit(&m->tx, &m->err);
		store_rollback(&m->tx);
		if (rc == 0 || !m->err.retriable || clock_mono_ms() >= until)
			break;
	}
	return rc;
}
