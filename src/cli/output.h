/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "base/buf.h"
#include "json/json.h"

/* Indented JSON. */
void cli_output_json(struct buf *out, const struct json *tree);

/* For people: a list of objects becomes a table of its most telling columns; an object, lines of "name: value";
 * anything else JSON. */
void cli_output_table(struct buf *out, const struct json *tree);

/* Text of others, for a terminal: control characters, which it would obey, become spaces; line feeds too unless lines.
 */
void cli_output_plain(struct buf *out, struct str text, bool lines);

#endif
