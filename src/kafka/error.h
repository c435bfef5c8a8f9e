/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_ERROR_H
#define KAFKA_ERROR_H

#include "kafka_err.h" /* generated from spec/kafka/errors.yaml: enum kafka_error_code, KAFKA_ERR_<NAME> */

#include <stdbool.h>
#include <stdint.h>

/* A row of the protocol's error table. */
struct kafka_error_row {
	int16_t code;
	const char *name;
	bool retriable; /* the same request may succeed later */
	const char *text;
};

extern const struct kafka_error_row kafka_error_rows[KAFKA_ERR_COUNT];

/* The row of a code; that of UNKNOWN_SERVER_ERROR for codes outside of the table. */
const struct kafka_error_row *kafka_error_row(int code);

#endif
