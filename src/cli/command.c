/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "base/enc.h"
#include "base/mem.h"
#include "cli/http.h"
#include "cli/lookup.h"
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_OPTIONS 64
#define MAX_FILE ((size_t)64 << 20)

struct option {
	struct str name, value;
	bool used;
};

struct command {
	struct arena *a;
	const struct api_op *op;
	struct option options[MAX_OPTIONS];
	size_t n_options;
	const char *file, *profile, *output, *ca_file;
	struct cli_profile who;
	struct buf path, query;
	struct json *fields; /* of the body, from options */
	struct err err;
};

static int usage(const char *text, struct str arg)
{
	fprintf(stderr, "appia: %s%s%.*s\n", text, arg.n ? ": " : "", STR_FMT(arg));
	return 2;
}

/* "--app-id" names the parameter app_id: dashes and underscores are the same. */
static bool same_name(struct str option, struct str param)
{
	if (option.n != param.n)
		return false;
	for (size_t i = 0; i < option.n; i++) {
		char a = option.p[i] == '-' ? '_' : option.p[i], b = param.p[i] == '-' ? '_' : param.p[i];

		if (!str_eq_nocase((struct str){&a, 1}, (struct str){&b, 1}))
			return false;
	}
	return true;
}

static int parse(struct command *c, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		struct str word = str_of(argv[i]);

		if (!str_starts(word, STR("--")) || word.n == 2)
			return usage("unexpected word", word);
		struct str value = str_sub(word, 2, word.n), name = str_cut(&value, '=');

		if (!value.p) {
			if (i + 1 == argc)
				return usage("option without a value", word);
			value = str_of(argv[++i]);
		}
		if (str_is(name, "file"))
			c->file = value.p;
		else if (str_is(name, "profile"))
			c->profile = value.p;
		else if (str_is(name, "output"))
			c->output = value.p;
		else if (str_is(name, "ca-file"))
			c->ca_file = value.p;
		else if (c->n_options == MAX_OPTIONS)
			return usage("too many options", STR_NONE);
		else
			c->options[c->n_options++] = (struct option){name, value, false};
	}
	if (strcmp(c->output, "json") != 0 && strcmp(c->output, "table") != 0)
		return usage("--output is json or table", STR_NONE);
	return 0;
}

static struct str take(struct command *c, struct str param)
{
	for (size_t i = 0; i < c->n_options; i++) {
		if (!same_name(c->options[i].name, param))
			continue;
		c->options[i].used = true;
		return c->options[i].value;
	}
	if (str_is(param, "project_id"))
		return c->who.project_id;
	if (str_is(param, "instance_id"))
		return c->who.instance_id;
	return STR_NONE;
}

static int fill_path(struct command *c)
{
	struct str rest = str_of(c->op->path);

	while (rest.n) {
		size_t open = str_find(rest, '{', 0), close = str_find(rest, '}', open);

		buf_add(&c->path, rest.p, open);
		if (close == rest.n)
			break;
		struct str name = str_sub(rest, open + 1, close), value = take(c, name);

		if (!value.n)
			return usage("missing option", arena_fmt(c->a, "--%.*s", STR_FMT(name)));
		enc_percent(&c->path, value, NULL);
		rest = str_sub(rest, close + 1, rest.n);
	}
	return 0;
}

static void fill_query(struct command *c)
{
	for (size_t i = 0; i < c->op->n_params; i++) {
		const struct api_param *p = &c->op->params[i];
		struct str value = p->where == API_QUERY ? take(c, str_of(p->field.name)) : STR_NONE;

		if (!value.p)
			continue;
		buf_char(&c->query, c->query.n ? '&' : '?');
		enc_percent(&c->query, str_of(p->field.name), NULL);
		buf_char(&c->query, '=');
		enc_percent(&c->query, value, NULL);
	}
}

/* An option as a member of the body: text where the field is text, otherwise JSON. */
static int add_field(struct command *c, const struct json_field *field, struct str value)
{
	const struct json *tree;
	char why[160];

	if (field->schema->kind == JSON_STRING) {
		json_set(c->fields, str_of(field->name), json_new_str(c->a, value));
		return 0;
	}
	if (!json_parse(c->a, value, &tree, why, sizeof(why)))
		return usage("not JSON", value);
	json_set(c->fields, str_of(field->name), tree);
	return 0;
}

static int fill_fields(struct command *c)
{
	const struct json_schema *body = c->op->body;

	if (!body || body->kind != JSON_OBJECT)
		return 0;
	for (size_t i = 0; i < body->n_fields; i++) {
		for (size_t k = 0; k < c->n_options; k++) {
			struct option *o = &c->options[k];

			if (o->used || !same_name(o->name, str_of(body->fields[i].name)))
				continue;
			o->used = true;
			if (add_field(c, &body->fields[i], o->value))
				return 2;
		}
	}
	return 0;
}

static int read_file(struct command *c, struct str *ret)
{
	FILE *f = strcmp(c->file, "-") == 0 ? stdin : fopen(c->file, "re");
	struct buf b;
	char chunk[16384];
	size_t n;

	if (!f) {
		perror(c->file);
		return 1;
	}
	buf_init(&b, MAX_FILE);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(&b, chunk, n);
	bool unread = ferror(f);

	if (unread)
		perror(c->file);
	if (f != stdin)
		fclose(f);
	*ret = arena_str(c->a, buf_view(&b));
	bool failed = b.failed;

	buf_done(&b);
	return unread ? 1 : failed ? usage("the file is too large", STR_NONE) : 0;
}

/* The body: the file's members, and those given as options over them. */
static int make_body(struct command *c, struct str *ret)
{
	const struct json *tree = NULL, *value;
	struct str text = STR_NONE, name;
	struct buf b;
	char why[160];

	*ret = STR_NONE;
	if (c->file && read_file(c, &text))
		return 1;
	if (c->op->flags & API_OP_RAW_BODY || !json_member(c->fields, 0, &name, &value)) {
		*ret = text.p || !c->op->body ? text : STR("{}");
		return 0;
	}
	if (text.p && !json_parse(c->a, text, &tree, why, sizeof(why)))
		return usage(why, STR_NONE);
	for (size_t i = 0; tree && json_member(tree, i, &name, &value); i++)
		if (!json_get(c->fields, name.p))
			json_set(c->fields, name, value);
	buf_init(&b, MAX_FILE);
	json_print(&b, c->fields);
	*ret = arena_str(c->a, buf_view(&b));
	buf_done(&b);
	return 0;
}

static int show(struct command *c, const struct net_reply *reply)
{
	const struct json *tree;
	struct buf out;
	char why[160];
	FILE *to = reply->status < 400 ? stdout : stderr;

	buf_init(&out, MAX_FILE);
	if (reply->body.n && json_parse(c->a, reply->body, &tree, why, sizeof(why))) {
		if (strcmp(c->output, "table") == 0 && reply->status < 400)
			cli_output_table(&out, tree);
		else
			cli_output_json(&out, tree);
	} else {
		cli_output_plain(&out, reply->body, true);
	}
	struct str text = buf_view(&out);

	if (reply->status >= 400)
		fprintf(to, "appia: HTTP %d\n", reply->status);
	fwrite(text.p, 1, text.n, to);
	buf_done(&out);
	return reply->status < 400 ? 0 : 1;
}

static int run(struct command *c)
{
	struct net_reply reply;
	struct str body;
	int rc = cli_profile_load(c->a, c->profile, &c->who, &c->err);

	if (rc == 0 && c->ca_file)
		rc = cli_profile_trust(c->a, &c->who, c->ca_file, &c->err);
	if (rc) {
		usage(c->err.text, STR_NONE);
		return 1;
	}
	if (fill_path(c))
		return 2;
	fill_query(c);
	if (fill_fields(c))
		return 2;
	for (size_t i = 0; i < c->n_options; i++)
		if (!c->options[i].used)
			return usage("this operation has no such option",
			             arena_fmt(c->a, "--%.*s", STR_FMT(c->options[i].name)));
	rc = make_body(c, &body);
	if (rc)
		return rc;
	buf_str(&c->path, buf_view(&c->query));
	if (cli_http(&c->who, str_of(c->op->method), buf_view(&c->path), body, c->a, &reply, &c->err)) {
		usage(c->err.text, STR_NONE);
		return 1;
	}
	return show(c, &reply);
}

int cli_command(int argc, char **argv)
{
	struct command c = {.output = isatty(STDOUT_FILENO) ? "table" : "json"};
	int rc;

	if (argc < 2)
		return cli_help(argc, argv);
	c.op = cli_lookup(str_of(argv[0]), str_of(argv[1]));
	if (!c.op) {
		fprintf(stderr, "appia: %s has no operation %s\n", argv[0], argv[1]);
		return cli_help(1, argv), 2;
	}
	if (argc > 2 && strcmp(argv[2], "--help") == 0)
		return cli_help(2, argv);
	c.a = arena_new((size_t)512 << 20);
	c.fields = json_new_object(c.a);
	buf_init(&c.path, 65536);
	buf_init(&c.query, 65536);
	rc = parse(&c, argc - 2, argv + 2);
	if (rc == 0)
		rc = run(&c);
	buf_done(&c.path);
	buf_done(&c.query);
	arena_free(c.a);
	return rc;
}
