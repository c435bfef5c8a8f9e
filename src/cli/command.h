/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>

/* The commands of appia that talk to the management API. Each returns the program's exit code: 0 done, 1 refused by
 * the platform or not reachable, 2 wrong usage. */

/* appia RESOURCE VERB [--param value]... [--file F] [--output table|json] [--profile P] [--ca-file F]: one
 * operation. argv[0] is RESOURCE. */
int cli_command(int argc, char **argv);

/* True when the word names a resource of the description. */
bool cli_is_resource(const char *word);

/* appia help [RESOURCE]: the resources, or the operations of one with their options. */
int cli_help(int argc, char **argv);

/* appia login: makes a profile from a credentials.json or from user and password. */
int cli_login(int argc, char **argv);

/* appia completion bash: a completion script on standard output. */
int cli_completion(int argc, char **argv);

#endif
