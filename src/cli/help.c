/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "cli/lookup.h"

#include <stdio.h>

bool cli_is_resource(const char *word)
{
	struct str resource, verb;

	for (size_t i = 0; i < api_tables.n_ops; i++)
		if (cli_lookup_names(&api_tables.ops[i], &resource, &verb) && cli_lookup_is(resource, str_of(word)))
			return true;
	return false;
}

static const char *kind_name(const struct json_schema *schema)
{
	static const char *const names[] = {
		[JSON_STRING] = "text", [JSON_INT] = "number", [JSON_NUM] = "number", [JSON_BOOL] = "true|false",
		[JSON_ARRAY] = "[...]", [JSON_OBJECT] = "{...}", [JSON_ANY] = "JSON", [JSON_MAP] = "{...}"};

	return names[schema->kind];
}

static void print_option(const struct json_field *field)
{
	printf("  --%-28s %-10s%s\n", field->name, kind_name(field->schema), field->required ? " required" : "");
}

static int help_operation(const struct api_op *op)
{
	printf("appia %s: %s\n%s %s\n\n", op->command, op->summary, op->method, op->path);
	for (size_t i = 0; i < op->n_params; i++)
		if (op->params[i].where == API_PATH || op->params[i].where == API_QUERY)
			print_option(&op->params[i].field);
	if (op->body && op->body->kind == JSON_OBJECT)
		for (size_t i = 0; i < op->body->n_fields; i++)
			print_option(&op->body->fields[i]);
	if (op->body)
		puts("  --file F                       the body as JSON; - is standard input");
	puts("  --output table|json, --profile P\n"
	     "  --ca-file F                    certificates that an https address is checked against");
	if (op->flags & API_OP_TODO)
		puts("\nNot implemented in this build.");
	return 0;
}

static int help_resource(struct str word)
{
	struct str resource, verb;

	for (size_t i = 0; i < api_tables.n_ops; i++) {
		const struct api_op *op = &api_tables.ops[i];

		if (cli_lookup_names(op, &resource, &verb) && cli_lookup_is(resource, word))
			printf("  %-44s %s%s\n", op->command, op->summary,
			       op->flags & API_OP_TODO ? " (not implemented)" : "");
	}
	return 0;
}

static bool is_first_of_resource(size_t at, struct str resource)
{
	struct str r, v;

	for (size_t i = 0; i < at; i++)
		if (cli_lookup_names(&api_tables.ops[i], &r, &v) && str_eq(r, resource))
			return false;
	return true;
}

int cli_help(int argc, char **argv)
{
	struct str resource, verb;
	const struct api_op *op = argc > 1 ? cli_lookup(str_of(argv[0]), str_of(argv[1])) : NULL;

	if (op)
		return help_operation(op);
	if (argc > 0)
		return help_resource(str_of(argv[0]));
	puts("appia up | down | status | logs | doctor    run the platform in $APPIA_HOME (else ./data)\n"
	     "appia published rebuild | verify | dump     the state that the gateway reads\n"
	     "appia seal mqs.sasl_password                a password from standard input, as the setting takes it\n"
	     "appia login [--url URL] [--ca-file F] ...   make a profile\n"
	     "appia completion bash                       a completion script\n"
	     "appia RESOURCE VERB [--option value]...     one operation; appia help RESOURCE lists them\n\nResources:");
	for (size_t i = 0; i < api_tables.n_ops; i++)
		if (cli_lookup_names(&api_tables.ops[i], &resource, &verb) && is_first_of_resource(i, resource))
			printf("  %.*s\n", STR_FMT(resource));
	return 0;
}

int cli_completion(int argc, char **argv)
{
	struct str resource, verb, r, v;

	if (argc != 1 || !str_is(str_of(argv[0]), "bash")) {
		fputs("usage: appia completion bash\n", stderr);
		return 2;
	}
	puts("_appia() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} words=\n\tcase $COMP_CWORD in\n\t1) words='up down "
	     "status "
	     "logs doctor published seal login help completion");
	for (size_t i = 0; i < api_tables.n_ops; i++)
		if (cli_lookup_names(&api_tables.ops[i], &resource, &verb) && is_first_of_resource(i, resource))
			printf("%.*s\n", STR_FMT(resource));
	puts("' ;;\n\t2) case ${COMP_WORDS[1]} in\n\t\tpublished) words='rebuild verify dump' ;;");
	puts("\t\tseal) words=mqs.sasl_password ;;");
	for (size_t i = 0; i < api_tables.n_ops; i++) {
		if (!cli_lookup_names(&api_tables.ops[i], &resource, &verb) || !is_first_of_resource(i, resource))
			continue;
		printf("\t\t%.*s) words='", STR_FMT(resource));
		for (size_t k = i; k < api_tables.n_ops; k++)
			if (cli_lookup_names(&api_tables.ops[k], &r, &v) && str_eq(r, resource))
				printf("%.*s ", STR_FMT(v));
		puts("' ;;");
	}
	puts("\t\tesac ;;\n\t*) case ${COMP_WORDS[COMP_CWORD-1]} in\n"
	     "\t\t--file|--ca-file|--credentials) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
	     "\t\t--output) words='table json' ;;\n"
	     "\t\t*) words='--file --output --profile --ca-file' ;;\n\t\tesac ;;\n\tesac\n"
	     "\tif [ \"${COMP_WORDS[1]}\" = login ] && [[ $cur == -* ]]; then\n"
	     "\t\twords='--profile --credentials --url --domain --user --project "
	     "--ca-file'\n\tfi\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _appia appia");
	return 0;
}
