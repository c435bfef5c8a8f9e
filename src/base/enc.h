/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ENC_H
#define BASE_ENC_H

#include "base/arena.h"
#include "base/buf.h"

/* Text encodings. Results live in the arena. Any thread. */

struct str enc_hex(struct arena *a, struct str bytes); /* lower case */
bool enc_unhex(struct arena *a, struct str hex, struct str *ret);

struct str enc_base64(struct arena *a, struct str bytes); /* RFC 4648 section 4, padded */
/* Strict: padded, no white space, no stray bits. */
bool enc_unbase64(struct arena *a, struct str text, struct str *ret);

/* Percent-encodes all but A-Z a-z 0-9 - _ . ~ (RFC 3986 unreserved); keep lists further bytes to leave alone. */
void enc_percent(struct buf *out, struct str s, const char *keep);
/* Percent-decodes; with plus, '+' is a space (query strings). False on a bad escape. */
bool enc_unpercent(struct arena *a, struct str s, bool plus, struct str *ret);

/* Text of an XML 1.0 element. What cannot stand there, control characters and all of what is not UTF-8, is left out. */
void enc_xml_text(struct buf *out, struct str s);

/* RFC 3629: no overlongs, no surrogates, nothing above U+10FFFF. */
bool enc_utf8_valid(struct str s);
/* Length of the valid sequence that starts at s.p[i] (i < s.n), or 0. */
size_t enc_utf8_step(struct str s, size_t i);
/* Number of code points of valid UTF-8. */
size_t enc_utf8_len(struct str s);

#endif
