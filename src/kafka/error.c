/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/error.h"

const struct kafka_error_row *kafka_error_row(int code)
{
	/* The table starts at -1. */
	return &kafka_error_rows[code >= -1 && code < KAFKA_ERR_COUNT - 1 ? code + 1 : 0];
}
