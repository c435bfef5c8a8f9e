/* SPDX-License-Identifier: Apache-2.0 */
#include "datasource/lex.h"

static bool is_letter(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool is_space(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static unsigned char peek(const struct lex *lex, size_t ahead)
{
	return lex->at + ahead < lex->sql.n ? (unsigned char)lex->sql.p[lex->at + ahead] : 0;
}

size_t datasource_lex_hole(struct str sql, size_t at)
{
	size_t i = at + 2;

	if (at + 3 >= sql.n || sql.p[at] != '$' || sql.p[at + 1] != '{' || (unsigned char)sql.p[i] >= 0x80 ||
	    !is_letter((unsigned char)sql.p[i]))
		return 0;
	for (; i < sql.n && i - at < 2 + 64; i++) {
		unsigned char c = (unsigned char)sql.p[i];

		if (c >= 0x80 || (!is_letter(c) && !is_digit(c) && c != '.' && c != '-'))
			break;
	}
	return i < sql.n && sql.p[i] == '}' ? i + 1 - at : 0;
}

/* End of what is quoted by quote from at (behind the opening one); a doubled quote stands for itself. */
static size_t quoted_end(struct lex *lex, size_t at, char quote, bool escapes)
{
	for (; at < lex->sql.n; at++) {
		if (escapes && lex->sql.p[at] == '\\') {
			at++;
		} else if (lex->sql.p[at] == quote) {
			if (at + 1 >= lex->sql.n || lex->sql.p[at + 1] != quote)
				return at + 1;
			at++;
		}
	}
	lex->unterminated = true;
	return lex->sql.n;
}

static size_t line_end(const struct lex *lex)
{
	return str_find(lex->sql, '\n', lex->at);
}

/* C comments nest in POSTGRESQL only. */
static size_t block_end(struct lex *lex)
{
	size_t depth = 1;

	for (size_t i = lex->at + 2; i + 1 < lex->sql.n; i++) {
		if (lex->sql.p[i] == '*' && lex->sql.p[i + 1] == '/') {
			if (--depth == 0)
				return i + 2;
			i++;
		} else if (lex->dialect == DATASOURCE_POSTGRESQL && lex->sql.p[i] == '/' && lex->sql.p[i + 1] == '*') {
			depth++;
			i++;
		}
	}
	lex->unterminated = true;
	return lex->sql.n;
}

/* End of $tag$...$tag$ at lex->at, or 0 when there is none. */
static size_t dollar_end(struct lex *lex)
{
	size_t i = lex->at + 1;

	while (i < lex->sql.n && (is_letter((unsigned char)lex->sql.p[i]) ||
	                          (i > lex->at + 1 && is_digit((unsigned char)lex->sql.p[i]))))
		i++;
	if (i >= lex->sql.n || lex->sql.p[i] != '$')
		return 0;
	struct str tag = str_sub(lex->sql, lex->at, i + 1);

	for (i++; i + tag.n <= lex->sql.n; i++)
		if (memcmp(lex->sql.p + i, tag.p, tag.n) == 0)
			return i + tag.n;
	lex->unterminated = true;
	return lex->sql.n;
}

static size_t word_end(const struct lex *lex)
{
	size_t i = lex->at;

	for (; i < lex->sql.n; i++) {
		unsigned char c = (unsigned char)lex->sql.p[i];

		if (c == '$' && (i == lex->at || (lex->templates && datasource_lex_hole(lex->sql, i))))
			break;
		if (!is_letter(c) && !is_digit(c) && c != '$')
			break;
	}
	return i;
}

static size_t number_end(const struct lex *lex)
{
	size_t i = lex->at;

	for (; i < lex->sql.n; i++) {
		unsigned char c = (unsigned char)lex->sql.p[i];

		if ((c == '+' || c == '-') && i > lex->at && (lex->sql.p[i - 1] | 32) == 'e')
			continue;
		if (!is_letter(c) && !is_digit(c) && c != '.')
			break;
	}
	return i;
}

static bool is_line_comment(const struct lex *lex)
{
	if (peek(lex, 0) == '#')
		return lex->dialect == DATASOURCE_MYSQL;
	if (peek(lex, 0) != '-' || peek(lex, 1) != '-')
		return false;
	/* MySQL wants white space behind "--". */
	return lex->dialect != DATASOURCE_MYSQL || peek(lex, 2) <= ' ';
}

static enum lex_kind quoted(struct lex *lex, unsigned char c, size_t *end, bool *escapes)
{
	*escapes = lex->dialect == DATASOURCE_MYSQL && c != '`';
	*end = quoted_end(lex, lex->at + 1, (char)c, *escapes);
	return c == '\'' || (c == '"' && lex->dialect == DATASOURCE_MYSQL) ? LEX_STRING : LEX_NAME;
}

static enum lex_kind scan(struct lex *lex, size_t *end, bool *escapes)
{
	unsigned char c = peek(lex, 0);

	*end = lex->at + 1;
	if (is_space(c)) {
		while (*end < lex->sql.n && is_space((unsigned char)lex->sql.p[*end]))
			(*end)++;
		return LEX_SPACE;
	}
	if (is_line_comment(lex)) {
		*end = line_end(lex);
		return LEX_COMMENT;
	}
	if (c == '/' && peek(lex, 1) == '*') {
		*end = block_end(lex);
		return LEX_COMMENT;
	}
	if (c == '\'' || c == '"' || (c == '`' && lex->dialect != DATASOURCE_POSTGRESQL))
		return quoted(lex, c, end, escapes);
	if ((c | 32) == 'e' && peek(lex, 1) == '\'' && lex->dialect == DATASOURCE_POSTGRESQL) {
		*escapes = true;
		*end = quoted_end(lex, lex->at + 2, '\'', true);
		return LEX_STRING;
	}
	if (c == '$' && lex->templates && datasource_lex_hole(lex->sql, lex->at)) {
		*end = lex->at + datasource_lex_hole(lex->sql, lex->at);
		return LEX_HOLE;
	}
	if (c == '$' && lex->dialect == DATASOURCE_POSTGRESQL && dollar_end(lex)) {
		*end = dollar_end(lex);
		return LEX_DOLLAR;
	}
	if (is_letter(c)) {
		*end = word_end(lex);
		return LEX_WORD;
	}
	if (is_digit(c) || (c == '.' && is_digit(peek(lex, 1)))) {
		*end = number_end(lex);
		return LEX_NUMBER;
	}
	return c == '?' ? LEX_MARK : LEX_OTHER;
}

struct lex_token datasource_lex_next(struct lex *lex)
{
	struct lex_token t = {LEX_END, STR(""), false};
	size_t end = lex->at;

	if (lex->at >= lex->sql.n)
		return t;
	t.kind = scan(lex, &end, &t.escapes);
	if (end > lex->sql.n)
		end = lex->sql.n;
	t.text = str_sub(lex->sql, lex->at, end);
	lex->at = end;
	return t;
}
