/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPERVISOR_ROTATE_H
#define SUPERVISOR_ROTATE_H

#include "supervisor/child.h"

/* Keeps the logs of the children small. A log that has become longer than max_bytes is renamed to <log>.1, the one
 * before to <log>.2 and so on up to <log>.<keep>, whose predecessor goes; its writer is asked to open the log anew and
 * writes to the renamed file until it does, so that no line is lost. */
struct rotation {
	int64_t max_bytes; /* 0: never */
	int keep; /* at least 1 */
};

#define ROTATE_EVERY_MS 1000

/* Looks at all logs once. A child that has not opened its log anew since is asked again. */
void rotate_logs(const struct rotation *r, const struct child *children, size_t n);

#endif
