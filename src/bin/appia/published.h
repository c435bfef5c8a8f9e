/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BIN_APPIA_PUBLISHED_H
#define BIN_APPIA_PUBLISHED_H

/* appia published rebuild | verify | dump, on the installation in $APPIA_HOME; it may be running. */
int published_command(int argc, char **argv);

#endif
