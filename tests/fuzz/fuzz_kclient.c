/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/header.h"
#include "kclient/priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a Kafka says: answers to the requests that the control plane makes, and the server's first SCRAM message. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int keys[] = {KAFKA_API_API_VERSIONS,      KAFKA_API_SASL_HANDSHAKE,
				   KAFKA_API_SASL_AUTHENTICATE, KAFKA_API_METADATA,
				   KAFKA_API_DESCRIBE_LOG_DIRS, KAFKA_API_CREATE_ACLS,
				   KAFKA_API_DELETE_ACLS,       KAFKA_API_CONSUMER_GROUP_DESCRIBE};
	struct str bytes = {(const char *)data, size}, body, message, signature;
	struct arena *a = arena_new((size_t)4 << 20);
	int32_t correlation;

	if (size > 2) {
		const struct kafka_api *api = kafka_api_of(keys[data[0] % (sizeof(keys) / sizeof(*keys))]);
		int version = api->codec_min + data[1] % (api->codec_max - api->codec_min + 1);

		if (kafka_response_header_decode(api, version, str_sub(bytes, 2, size), &correlation, &body) == 0)
			kafka_decode(api->response, version, body, a, kafka_new(a, api->response));
	}
	/* Many iterations are slow, not interesting. */
	if (size < 200 && !str_contains(bytes, STR("i=1111")))
		kclient__scram_final(a, size & 1, STR("pencil"), STR("n=user,r=n"), STR("n"), bytes, &message,
				     &signature);
	arena_free(a);
	return 0;
}
