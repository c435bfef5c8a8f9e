/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BIN_APPIA_SEAL_H
#define BIN_APPIA_SEAL_H

/* appia seal: reads a password from standard input and prints it sealed with the installation's key, as a setting takes
 * it. */
int seal_command(int argc, char **argv);

#endif
