/* SPDX-License-Identifier: Apache-2.0 */
#include "livedata/template.h"

#include "base/mem.h"
#include "datasource/lex.h"

#define MAX_TOKENS 100000
#define MAX_SQL (4u << 20)
#define MAX_PARAMS 500

enum part_kind {
	PART_TEXT,
	PART_BIND,    /* pieces, bound as one parameter */
	PART_VALUE,   /* a checked literal */
	PART_LIST,    /* checked literals with commas */
	PART_ESCAPED, /* pieces inside quotes that stay */
	PART_DOLLAR,  /* pieces inside dollar quotes */
	PART_RAW,
	PART_OPTIONAL /* the parts up to end, when all their parameters are there */
};

struct piece {
	struct str text; /* hole: the name */
	bool hole;
};

struct part {
	enum part_kind kind;
	struct str text;     /* TEXT; VALUE, LIST, RAW: name; DOLLAR: tag */
	struct piece *pieces;
	size_t n_pieces;
	size_t end;          /* OPTIONAL: index behind its last part */
	char quote;          /* ESCAPED */
	bool backslash;      /* ESCAPED: backslashes are doubled too */
	bool compared;       /* VALUE: right of a comparison, so binding keeps the meaning */
};

struct livedata_template {
	enum datasource_dialect dialect;
	struct part *parts;
	size_t n;
	struct str *warnings;
	size_t n_warnings;
};

/* --- compiling --- */

struct compiler {
	struct arena *a;
	enum datasource_dialect dialect;
	bool prepared;
	struct lex_token *tokens;
	size_t n_tokens;
	struct part *parts;
	size_t n, cap;
	struct str *names; /* of PART_RAW */
	size_t n_names;
	/* where we are in the statement */
	struct lex_token before, last;  /* the last two tokens that are no blanks */
	bool glued;                     /* nothing between last and the current token */
	bool between;                   /* BETWEEN seen, its AND not yet */
	char parens[64];                /* 'V' values, 'I' list of IN, ' ' others */
	size_t depth;
	char closed;                    /* kind of the parenthesis closed last */
	bool call;                      /* the statement is a CALL */
};

static bool word_in(struct str word, const char *const *list)
{
	for (; *list; list++)
		if (str_eq_nocase(word, str_of(*list)))
			return true;
	return false;
}

static bool is_word(const struct lex_token *t, const char *word)
{
	return t->kind == LEX_WORD && str_eq_nocase(t->text, str_of(word));
}

static bool is_char(const struct lex_token *t, const char *chars)
{
	return t->kind == LEX_OTHER && t->text.n == 1 && t->text.p[0] && strchr(chars, t->text.p[0]);
}

static struct part *add(struct compiler *c, enum part_kind kind)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 32;
		struct part *parts = ARENA_ARRAY(c->a, struct part, cap);

		if (c->n)
			memcpy(parts, c->parts, c->n * sizeof(*parts));
		c->parts = parts;
		c->cap = cap;
	}
	c->parts[c->n] = (struct part){.kind = kind};
	return &c->parts[c->n++];
}

static void add_text(struct compiler *c, struct str text)
{
	struct part *last = c->n ? &c->parts[c->n - 1] : NULL;

	/* Neighbours in the source become one part. */
	if (last && last->kind == PART_TEXT && last->text.p + last->text.n == text.p)
		last->text.n += text.n;
	else if (text.n)
		add(c, PART_TEXT)->text = text;
}

static struct str hole_name(struct str hole)
{
	return str_sub(hole, 2, hole.n - 1);
}

static bool has_hole(struct str text)
{
	for (size_t i = 0; i + 3 < text.n; i++)
		if (text.p[i] == '$' && datasource_lex_hole(text, i))
			return true;
	return false;
}

/* Splits text at its holes. */
static void split(struct compiler *c, struct part *part, struct str text)
{
	size_t n = 1;

	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == '$' ? 2 : 0;
	part->pieces = ARENA_ARRAY(c->a, struct piece, n);
	for (size_t from = 0, i = 0; i <= text.n; i++) {
		size_t hole = i < text.n ? datasource_lex_hole(text, i) : 0;

		if (!hole && i < text.n)
			continue;
		if (i > from)
			part->pieces[part->n_pieces++] = (struct piece){str_sub(text, from, i), false};
		if (hole)
			part->pieces[part->n_pieces++] = (struct piece){hole_name(str_sub(text, i, i + hole)), true};
		from = i + hole;
		i += hole ? hole - 1 : 0;
	}
}

/* The characters that the text between quotes stands for. */
static struct str unquote(struct compiler *c, struct str text, char quote, bool backslash)
{
	static const char from[] = "0btnrZ", to[] = "\0\b\t\n\r\x1a";
	char *out = arena_alloc(c->a, text.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == quote && i + 1 < text.n && text.p[i + 1] == quote) {
			out[n++] = quote;
			i++;
		} else if (backslash && text.p[i] == '\\' && i + 1 < text.n) {
			char next = text.p[++i];
			const char *at = next ? strchr(from, next) : NULL;

			/* "\%" and "\_" keep their backslash, for LIKE. */
			if (next == '%' || next == '_')
				out[n++] = '\\';
			out[n++] = at ? to[at - from] : next;
		} else {
			out[n++] = text.p[i];
		}
	}
	return (struct str){out, n};
}

/* A literal may be bound unless its place asks for a literal: behind a type name (DATE '...'), a prefix (N'...'), an
 * alias. Only behind these words is it surely an expression. */
static bool binds(const struct compiler *c, const struct lex_token *t)
{
	static const char *const words[] = {
		"WHERE", "AND",  "OR",     "NOT",  "LIKE",   "ILIKE", "IN",     "BETWEEN",   "SELECT",   "THEN",
		"ELSE",  "WHEN", "VALUES", "CASE", "ESCAPE", "RLIKE", "REGEXP", "HAVING",    "DISTINCT", "ALL",
		"XOR",   "DIV",  "MOD",    "GLOB", "TO",     "BY",    "ON",     "RETURNING", NULL};

	if (c->dialect == DATASOURCE_POSTGRESQL && t->escapes)
		return false;
	switch (c->last.kind) {
	case LEX_WORD:
		return !c->glued && word_in(c->last.text, words);
	case LEX_OTHER:
		return !is_char(&c->last, ")].@:");
	default:
		return c->last.kind == LEX_END || c->last.kind == LEX_MARK;
	}
}

static bool is_limit(const struct compiler *c)
{
	return is_word(&c->last, "LIMIT") || is_word(&c->last, "OFFSET");
}

static void add_quoted(struct compiler *c, const struct lex_token *t)
{
	bool extended = t->text.p[0] != '\'' && t->text.p[0] != '"' && t->text.p[0] != '`'; /* E'...' */
	char quote = extended ? '\'' : t->text.p[0];
	struct str inner = str_sub(t->text, extended ? 2 : 1, t->text.n - 1);
	bool bind = t->kind == LEX_STRING && binds(c, t);

	/* limit '${n}' is documented, though a LIMIT takes no text. */
	if (t->kind == LEX_STRING && is_limit(c) && inner.n && datasource_lex_hole(inner, 0) == inner.n) {
		add(c, PART_VALUE)->text = hole_name(inner);
		return;
	}
	if (!bind) {
		add_text(c, str_sub(t->text, 0, extended ? 2 : 1));
		struct part *p = add(c, PART_ESCAPED);

		p->quote = quote;
		p->backslash = t->escapes;
		split(c, p, inner);
		add_text(c, str_sub(t->text, t->text.n - 1, t->text.n));
		return;
	}
	struct part *p = add(c, PART_BIND);

	split(c, p, inner);
	for (size_t i = 0; i < p->n_pieces; i++)
		if (!p->pieces[i].hole)
			p->pieces[i].text = unquote(c, p->pieces[i].text, quote, t->escapes);
}

/* What stands right of i without a blank makes one name of both. */
static bool continues(const struct compiler *c, size_t i)
{
	if (i + 1 >= c->n_tokens)
		return false;
	const struct lex_token *next = &c->tokens[i + 1];

	return next->kind == LEX_WORD || next->kind == LEX_NUMBER || next->kind == LEX_NAME || next->kind == LEX_HOLE ||
	       next->kind == LEX_STRING || is_char(next, ".(");
}

static bool follows_operator(const struct compiler *c)
{
	if (is_char(&c->last, "=<>+-/%|~^&"))
		return true;
	/* "*" is an operator unless it stands for all columns. */
	return is_char(&c->last, "*") && !is_word(&c->before, "SELECT") && !is_char(&c->before, ".(,") &&
	       !is_word(&c->before, "DISTINCT");
}

static enum part_kind place(const struct compiler *c, size_t i)
{
	static const char *const words[] = {"LIMIT", "OFFSET", "LIKE",   "ILIKE", "BETWEEN", "THEN", "ELSE", "WHEN",
					    "RLIKE", "REGEXP", "ESCAPE", "GLOB",  "MOD",     "DIV",  NULL};
	char paren = c->depth && c->depth <= sizeof(c->parens) ? c->parens[c->depth - 1] : ' ';

	if (c->prepared)
		return PART_BIND;
	if ((c->glued && (c->last.kind == LEX_WORD || c->last.kind == LEX_NUMBER || c->last.kind == LEX_NAME ||
	                  c->last.kind == LEX_HOLE || c->last.kind == LEX_STRING || is_char(&c->last, ".@:"))) ||
	    continues(c, i))
		return PART_RAW;
	if (is_char(&c->last, "(,") && paren == 'V')
		return PART_VALUE;
	if (is_char(&c->last, "(,") && paren == 'I')
		return PART_LIST;
	if (follows_operator(c) || (c->last.kind == LEX_WORD && word_in(c->last.text, words)) ||
	    (is_word(&c->last, "AND") && c->between))
		return PART_VALUE;
	return PART_RAW;
}

static void add_hole(struct compiler *c, size_t i)
{
	struct str name = hole_name(c->tokens[i].text);
	struct part *p = add(c, place(c, i));

	if (p->kind == PART_BIND) {
		split(c, p, c->tokens[i].text);
		return;
	}
	p->text = name;
	p->compared = is_char(&c->last, "=<>");
	if (p->kind == PART_RAW && c->n_names < MAX_PARAMS)
		c->names[c->n_names++] = name;
}

static void track(struct compiler *c, const struct lex_token *t)
{
	if (is_char(t, "(")) {
		char kind = ' ';

		if (is_word(&c->last, "VALUES") || is_word(&c->last, "VALUE") ||
		    (is_char(&c->last, ",") && c->closed == 'V') || (c->call && c->depth == 0))
			kind = 'V';
		else if (is_word(&c->last, "IN"))
			kind = 'I';
		if (c->depth < sizeof(c->parens))
			c->parens[c->depth] = kind;
		c->depth++;
	} else if (is_char(t, ")") && c->depth) {
		c->depth--;
		c->closed = c->depth < sizeof(c->parens) ? c->parens[c->depth] : ' ';
	} else if (!is_char(t, ",")) {
		c->closed = ' ';
	}
	if (is_word(t, "CALL") && (c->last.kind == LEX_END || is_char(&c->last, "{")))
		c->call = true;
	if (is_word(t, "BETWEEN"))
		c->between = true;
	else if (is_word(&c->last, "AND") && c->between)
		c->between = false;
	c->before = c->last;
	c->last = *t;
}

static void compile(struct compiler *c, size_t from, size_t to, unsigned depth);

/* Index of the "]" of the optional part that begins at i, or 0 when it is none: it must hold a parameter. */
static size_t optional_end(const struct compiler *c, size_t i, size_t to)
{
	bool hole = false;
	size_t depth = 0;

	if (is_word(&c->last, "ARRAY"))
		return 0;
	for (; i < to; i++) {
		const struct lex_token *t = &c->tokens[i];

		if (t->kind == LEX_HOLE || ((t->kind == LEX_STRING || t->kind == LEX_NAME) && has_hole(t->text)))
			hole = true;
		else if (is_char(t, "["))
			depth++;
		else if (is_char(t, "]") && --depth == 0)
			return hole ? i : 0;
	}
	return 0;
}

/* The tags belong to the part: a parameter must not end the quote. */
static void add_dollar(struct compiler *c, struct str text)
{
	size_t tag = str_find(text, '$', 1) + 1;
	struct part *p = add(c, PART_DOLLAR);

	p->text = str_sub(text, 0, tag);
	split(c, p, str_sub(text, tag, text.n - tag));
}

static void compile_token(struct compiler *c, size_t i)
{
	const struct lex_token *t = &c->tokens[i];

	switch (t->kind) {
	case LEX_HOLE:
		add_hole(c, i);
		break;
	case LEX_STRING:
	case LEX_NAME:
		if (has_hole(t->text))
			add_quoted(c, t);
		else
			add_text(c, t->text);
		break;
	case LEX_DOLLAR:
		add_dollar(c, t->text);
		break;
	case LEX_MARK:
		/* The script's own question mark, an operator of PostgreSQL. */
		add_text(c, t->text);
		if (c->dialect == DATASOURCE_POSTGRESQL)
			add_text(c, STR("?"));
		break;
	default:
		add_text(c, t->text);
	}
}

static void compile(struct compiler *c, size_t from, size_t to, unsigned depth)
{
	for (size_t i = from; i < to; i++) {
		const struct lex_token *t = &c->tokens[i];
		size_t end = depth < 16 && is_char(t, "[") ? optional_end(c, i, to) : 0;

		if (end) {
			add(c, PART_OPTIONAL);
			size_t at = c->n - 1;

			compile(c, i + 1, end, depth + 1);
			c->parts[at].end = c->n;
			i = end;
			c->glued = false;
			continue;
		}
		compile_token(c, i);
		if (t->kind == LEX_SPACE || t->kind == LEX_COMMENT) {
			c->glued = false;
		} else {
			track(c, t);
			c->glued = true;
		}
	}
}

static int tokenize(struct compiler *c, struct str text, struct err *err)
{
	struct lex lex = {.sql = text, .dialect = c->dialect, .templates = true};
	size_t n = 0, holes = 0;

	while (datasource_lex_next(&lex).kind != LEX_END)
		n++;
	if (lex.unterminated)
		return err_set_text(err, ERR_APPIA_0400, "A quote or comment in the script is not closed.");
	for (size_t i = 0; i < text.n; i++)
		holes += datasource_lex_hole(text, i) ? 1 : 0;
	if (n > MAX_TOKENS || holes > MAX_PARAMS || (text.n && memchr(text.p, 0, text.n)))
		return err_set_text(err, ERR_APPIA_0400, "The script is too long or holds a NUL character.");
	c->tokens = ARENA_ARRAY(c->a, struct lex_token, n + 1);
	lex = (struct lex){.sql = text, .dialect = c->dialect, .templates = true};
	while ((c->tokens[c->n_tokens] = datasource_lex_next(&lex)).kind != LEX_END)
		c->n_tokens++;
	return 0;
}

int livedata_template_parse(struct str text, enum datasource_dialect dialect, bool prepared, struct arena *a,
                            struct livedata_template **ret, struct err *err)
{
	struct compiler c = {.a = a, .dialect = dialect, .prepared = prepared, .last = {.kind = LEX_END},
	                     .before = {.kind = LEX_END}, .closed = ' '};
	int code = tokenize(&c, text, err);

	if (code)
		return code;
	c.names = ARENA_ARRAY(a, struct str, MAX_PARAMS);
	compile(&c, 0, c.n_tokens, 0);
	*ret = ARENA_NEW(a, struct livedata_template);
	**ret = (struct livedata_template){dialect, c.parts, c.n, c.names, c.n_names};
	return 0;
}

size_t livedata_template_warnings(const struct livedata_template *t, const struct str **ret)
{
	*ret = t->warnings;
	return t->n_warnings;
}

/* --- rendering --- */

struct render {
	const struct livedata_template *t;
	livedata_lookup *lookup;
	void *ctx;
	struct arena *a;
	struct buf sql;
	struct livedata_statement *out;
	struct err *err;
};

static int get(struct render *r, struct str name, struct str *ret)
{
	if (!r->lookup(r->ctx, name, ret))
		return err_set(r->err, ERR_APPIA_0400_PARAMETER_MISSING, "%.*s", STR_FMT(name));
	if (ret->n && memchr(ret->p, 0, ret->n))
		return err_set(r->err, ERR_APPIA_0400_PARAMETER_INVALID, "%.*s" ERR_NEXT "free of NUL characters",
			       STR_FMT(name));
	return 0;
}

static int bind(struct render *r, struct str value)
{
	if (r->out->n_params >= MAX_PARAMS)
		return err_set_text(r->err, ERR_APPIA_0400, "The statement has too many parameters.");
	r->out->params[r->out->n_params++] = value;
	buf_char(&r->sql, '?');
	return 0;
}

/* A parameter that is null makes the whole literal NULL, as concatenation does. */
static int render_bind(struct render *r, const struct part *p)
{
	struct str *parts = ARENA_ARRAY(r->a, struct str, p->n_pieces + 1);
	bool null = false;

	for (size_t i = 0; i < p->n_pieces; i++) {
		parts[i] = p->pieces[i].text;
		if (!p->pieces[i].hole)
			continue;
		int code = get(r, p->pieces[i].text, &parts[i]);

		if (code)
			return code;
		null = null || !parts[i].p;
	}
	if (null)
		return bind(r, STR_NONE);
	return bind(r, p->n_pieces == 1 ? parts[0] : arena_join(r->a, parts, p->n_pieces, STR("")));
}

static size_t digits(struct str s, size_t at)
{
	size_t n = 0;

	while (at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9')
		n++;
	return n;
}

/* [+-] digits [. digits] [e [+-] digits] */
static bool is_number(struct str s)
{
	size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0, whole = digits(s, i), part = 0;

	i += whole;
	if (i < s.n && s.p[i] == '.') {
		part = digits(s, i + 1);
		i += 1 + part;
	}
	if (whole + part == 0)
		return false;
	if (i < s.n && (s.p[i] | 32) == 'e') {
		i++;
		if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
			i++;
		if (digits(s, i) == 0)
			return false;
		i += digits(s, i);
	}
	return i == s.n;
}

/* Length of a quoted literal at at, or 0. No backslash: its meaning depends on the server. */
static size_t quoted(struct str s, size_t at)
{
	size_t i = at + 1;

	if (at >= s.n || s.p[at] != '\'')
		return 0;
	for (; i < s.n; i++) {
		if (s.p[i] == '\\')
			return 0;
		if (s.p[i] != '\'')
			continue;
		if (i + 1 >= s.n || s.p[i + 1] != '\'')
			return i + 1 - at;
		i++;
	}
	return 0;
}

static bool is_literal(struct str s)
{
	static const char *const words[] = {"NULL", "TRUE", "FALSE", NULL};

	return is_number(s) || (s.n && quoted(s, 0) == s.n) || word_in(s, words);
}

static void put_literal(struct render *r, struct str s)
{
	/* A sign next to an operator could begin a comment ("--"). */
	bool sign = s.p[0] == '-' || s.p[0] == '+';

	if (sign)
		buf_char(&r->sql, '(');
	buf_str(&r->sql, s);
	if (sign)
		buf_char(&r->sql, ')');
}

static int invalid(struct render *r, const struct part *p, const char *what)
{
	return err_set(r->err, ERR_APPIA_0400_PARAMETER_INVALID, "%.*s" ERR_NEXT "%s", STR_FMT(p->text), what);
}

static int render_value(struct render *r, const struct part *p)
{
	struct str s;
	long long v;
	int code = get(r, p->text, &s);

	if (code)
		return code;
	s = s.p ? str_trim(s) : STR("NULL");
	if (!is_literal(s))
		return invalid(r, p, "a number or a quoted literal");
	/* A small integer means the same bound or not, and bound the statement stays prepared. SQLite would compare it
	 * as text where the other side has no declared type. */
	if (p->compared && r->t->dialect != DATASOURCE_SQLITE && str_to_int(s, INT32_MIN, INT32_MAX, &v))
		return bind(r, s);
	put_literal(r, s);
	return 0;
}

static int render_list(struct render *r, const struct part *p)
{
	struct str s;
	int code = get(r, p->text, &s);
	size_t i = 0;

	if (code)
		return code;
	s = s.p ? s : STR("NULL");
	/* A JSON array gives its elements. */
	if (s.n > 1 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		s = str_sub(s, 1, s.n - 1);
	for (;;) {
		size_t blank = i;

		while (blank < s.n && s.p[blank] == ' ')
			blank++;
		size_t end = quoted(s, blank) ? blank + quoted(s, blank) : i;

		end = str_find(s, ',', end);
		struct str item = str_trim(str_sub(s, i, end));

		if (!is_literal(item))
			return invalid(r, p, "a list of numbers or quoted literals");
		if (i)
			buf_char(&r->sql, ',');
		put_literal(r, item);
		if (end >= s.n)
			return 0;
		i = end + 1;
	}
}

static void put_escaped(struct render *r, const struct part *p, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == p->quote || (p->backslash && s.p[i] == '\\'))
			buf_char(&r->sql, s.p[i]);
		buf_char(&r->sql, s.p[i]);
	}
}

static int render_pieces(struct render *r, const struct part *p)
{
	for (size_t i = 0; i < p->n_pieces; i++) {
		struct str s = p->pieces[i].text;
		int code = p->pieces[i].hole ? get(r, s, &s) : 0;

		if (code)
			return code;
		if (!p->pieces[i].hole) {
			buf_str(&r->sql, s);
		} else if (p->kind == PART_ESCAPED) {
			put_escaped(r, p, s);
		} else {
			buf_str(&r->sql, s);
		}
	}
	return 0;
}

/* $tag$ ... $tag$: whatever the parameters bring, it must still be one quote. */
static int render_dollar(struct render *r, const struct part *p)
{
	size_t from = r->sql.n;

	buf_str(&r->sql, p->text);
	int code = render_pieces(r, p);

	buf_str(&r->sql, p->text);
	if (code || r->sql.failed)
		return code;
	struct lex lex = {.sql = str_sub(buf_view(&r->sql), from, r->sql.n), .dialect = r->t->dialect};
	struct lex_token t = datasource_lex_next(&lex);

	for (size_t i = 0; i < p->n_pieces; i++)
		if (p->pieces[i].hole && (t.kind != LEX_DOLLAR || t.text.n != lex.sql.n))
			return err_set(r->err, ERR_APPIA_0400_PARAMETER_INVALID,
				       "%.*s" ERR_NEXT "free of dollar quotes", STR_FMT(p->pieces[i].text));
	return 0;
}

/* True when every parameter of the optional part itself (not of parts within it) is there. */
static bool wanted(struct render *r, size_t at)
{
	const struct part *parts = r->t->parts;
	struct str s;

	for (size_t i = at + 1; i < parts[at].end; i++) {
		const struct part *p = &parts[i];

		if (p->kind == PART_OPTIONAL) {
			i = p->end - 1;
			continue;
		}
		if ((p->kind == PART_VALUE || p->kind == PART_LIST || p->kind == PART_RAW) &&
		    (!r->lookup(r->ctx, p->text, &s) || !s.p))
			return false;
		for (size_t k = 0; k < p->n_pieces; k++)
			if (p->pieces[k].hole && (!r->lookup(r->ctx, p->pieces[k].text, &s) || !s.p))
				return false;
	}
	return true;
}

static int render_part(struct render *r, const struct part *p)
{
	struct str s;
	int code;

	switch (p->kind) {
	case PART_TEXT:
		buf_str(&r->sql, p->text);
		return 0;
	case PART_BIND:
		return render_bind(r, p);
	case PART_VALUE:
		return render_value(r, p);
	case PART_LIST:
		return render_list(r, p);
	case PART_RAW:
		code = get(r, p->text, &s);
		if (!code)
			buf_str(&r->sql, s);
		return code;
	case PART_DOLLAR:
		return render_dollar(r, p);
	default:
		return render_pieces(r, p);
	}
}

int livedata_template_render(const struct livedata_template *t, livedata_lookup *lookup, void *ctx, struct arena *a,
                             struct livedata_statement *ret, struct err *err)
{
	struct livedata_statement out = {.params = ARENA_ARRAY(a, struct str, MAX_PARAMS)};
	struct render r = {.t = t, .lookup = lookup, .ctx = ctx, .a = a, .out = &out, .err = err};
	int code = 0;

	buf_init(&r.sql, MAX_SQL);
	for (size_t i = 0; i < t->n && !code; i++) {
		if (t->parts[i].kind != PART_OPTIONAL)
			code = render_part(&r, &t->parts[i]);
		else if (!wanted(&r, i))
			i = t->parts[i].end - 1;
	}
	if (!code && r.sql.failed)
		code = err_set(err, ERR_APPIA_0422_RESULT_TOO_LARGE, "4 MiB of statement");
	if (!code) {
		out.sql = arena_str(a, buf_view(&r.sql));
		*ret = out;
	}
	buf_done(&r.sql);
	return code;
}
