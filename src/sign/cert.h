/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGN_CERT_H
#define SIGN_CERT_H

#include "base/arena.h"

#include <stdint.h>

/* Certificates that users bring for TLS: X.509 (RFC 5280) in PEM (RFC 7468). Nothing here asks the network or trusts
 * the machine's roots. Any thread. */

#define SIGN_CERT_MAX (64 * 1024) /* bytes of a PEM text; longer is unreadable */

/* What a certificate says; strings and lists in the arena, absent parts absent. */
struct sign_cert {
	int64_t version; /* 3 */
	struct str serial_number; /* decimal */
	struct str signature_algorithm; /* "SHA256-RSA", "ECDSA-SHA256", else OpenSSL's name */
	struct str key_type; /* "RSA", "ECC", "SM2"; STR_NONE for anything else */
	struct str common_name;
	struct str_array san; /* host names and addresses */
	struct str_array organization, organizational_unit, locality, state, country;
	struct str_array issuer; /* organizations of the issuer, or its common name */
	int64_t not_before_ms, not_after_ms;
};

enum sign_cert_fault {
	SIGN_CERT_OK,
	SIGN_CERT_BAD, /* a certificate or the key cannot be read */
	SIGN_CERT_BAD_CHAIN, /* a further certificate did not issue the one before it */
	SIGN_CERT_KEY_ENCRYPTED, /* the key needs a pass phrase */
	SIGN_CERT_KEY_MISMATCH /* the key is not the first certificate's */
};

/* Reads the first certificate of a PEM text. False when there is none, or it is damaged. */
bool sign_cert_read(struct arena *a, struct str pem, struct sign_cert *ret);

/* Checks a chain, the server's certificate first, and its private key. */
enum sign_cert_fault sign_cert_check(struct str pem, struct str key_pem);

/* Does the first certificate stand for the host name (RFC 6125; SAN, else common name)? */
bool sign_cert_is_for(struct str pem, struct str host);

#endif
