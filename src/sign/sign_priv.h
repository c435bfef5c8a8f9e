/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGN_SIGN_PRIV_H
#define SIGN_SIGN_PRIV_H

#include "base/str.h"

/* Lower-case hex, NUL-terminated, into ret; ret is returned. Any thread. */
struct str sign__hex(const unsigned char sum[32], char ret[65]);
struct str sign__sha256_hex(struct str bytes, char ret[65]);

#endif
