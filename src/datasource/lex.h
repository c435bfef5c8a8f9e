/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASOURCE_LEX_H
#define DATASOURCE_LEX_H

#include "datasource/datasource.h"

/* Splits SQL into tokens, enough to know what stands in quotes and comments and what does not. Never reads past the
 * end; an unterminated quote or comment goes up to the end and sets unterminated. */
enum lex_kind {
	LEX_END,
	LEX_SPACE,
	LEX_COMMENT,
	LEX_WORD,    /* keyword or bare identifier */
	LEX_NUMBER,
	LEX_STRING,  /* 'text', with MYSQL "text" too, with POSTGRESQL E'text' (escapes == true) */
	LEX_NAME,    /* quoted identifier: "x", `x`; not [x], which is the optional part of a template */
	LEX_DOLLAR,  /* POSTGRESQL $tag$text$tag$ */
	LEX_HOLE,    /* ${name}, when templates are on */
	LEX_MARK,    /* '?' */
	LEX_OTHER    /* any other byte */
};

struct lex {
	struct str sql;
	size_t at;
	enum datasource_dialect dialect;
	bool templates;
	bool unterminated;
};

struct lex_token {
	enum lex_kind kind;
	struct str text;  /* with its quotes */
	bool escapes;     /* STRING: backslash escapes count */
};

/* The next token; LEX_END at the end, again and again. */
struct lex_token datasource_lex_next(struct lex *lex);

/* Length of "${name}" at p, or 0. Names: letter or '_', then letters, digits, '_', '.', '-'; at most 64 bytes. */
size_t datasource_lex_hole(struct str sql, size_t at);

#endif
