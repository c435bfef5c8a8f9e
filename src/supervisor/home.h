/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPERVISOR_HOME_H
#define SUPERVISOR_HOME_H

#include "base/err.h"

/* The data directory of an installation and the programs beside this one. */
struct home {
	char dir[256];       /* absolute */
	char bin[256];       /* where appia, appiad and appia-worker are */
	char module[300];    /* ngx_http_appia_module.so; "": not there, which only a start minds */
	char appiad_socket[108], worker_socket[108];
	int lock;            /* file descriptor holding the lock, -1: none */
};

/* Resolves $APPIA_HOME (or ./data) and the programs. With create, makes the directory and its parts (0700). A
 * process of root becomes the directory's owner, if that is another. */
int home_open(struct home *home, bool create, struct err *err);

/* Makes this process the installation's only supervisor; fails when another one runs. Writes its process id. */
int home_lock(struct home *home, struct err *err);

/* Process id of the running supervisor, 0: none. */
int home_supervisor(const struct home *home);

/* dir/name in buf; returns buf. */
const char *home_path(const struct home *home, const char *name, char *buf, size_t size);

#endif
