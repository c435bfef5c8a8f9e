/* SPDX-License-Identifier: Apache-2.0 */

/* appia: the supervisor, and one sub-command per operation of the management API. */
#include "base/mem.h"
#include "bin/appia/published.h"
#include "bin/appia/seal.h"
#include "cli/command.h"
#include "supervisor/up.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"up", up_run},         {"down", up_down},     {"status", up_status},          {"logs", up_logs},
	{"doctor", up_doctor},  {"login", cli_login},  {"published", published_command},
	{"seal", seal_command}, {"help", cli_help},    {"--help", cli_help},
	{"completion", cli_completion},
};

int main(int argc, char **argv)
{
	if (argc < 2)
		return cli_help(0, NULL);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 2, argv + 2);
	if (cli_is_resource(argv[1]))
		return cli_command(argc - 1, argv + 1);
	fprintf(stderr, "appia: there is no command %s; see: appia help\n", argv[1]);
	return 2;
}
