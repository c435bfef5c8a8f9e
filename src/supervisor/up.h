/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPERVISOR_UP_H
#define SUPERVISOR_UP_H

/* appia up: starts the platform in the foreground and keeps it running until SIGTERM or SIGINT. Returns the exit
 * code. */
int up_run(int argc, char **argv);

/* appia down | status | logs | doctor. */
int up_down(int argc, char **argv);
int up_status(int argc, char **argv);
int up_logs(int argc, char **argv);
int up_doctor(int argc, char **argv);

#endif
