/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_CONTEXT_H
#define MODEL_CONTEXT_H

#include "base/arena.h"
#include "base/err.h"
#include "store/store.h"

#include <stdint.h>

struct sign_keyring;

/* Who calls, as established by a token or a signature. */
struct identity {
	struct str user_id, user_name;
	struct str domain_id, domain_name;
	struct str project_id, project_name; /* of the token's scope; STR_NONE when account-wide */
	struct str access_key; /* when signed */
	bool administrator, developer, operator_, reader; /* roles of chapter 10 */
};

/* What every rule of the model needs: one per call, on the call's thread. */
struct model {
	struct arena *arena;
	struct store *store;
	struct store_tx *tx; /* NULL in API_OP_NO_TX handlers until they begin one */
	const struct identity *who; /* NULL before authentication */
	const struct sign_keyring *keys; /* seals and opens secrets */
	struct str request_id;
	int64_t now_ms;
	const struct model_settings *settings;
	/* Brings the published state up to date after a commit of one's own (API_OP_NO_TX); the dispatcher does it
	 * after its own commits. NULL: nobody publishes. */
	void (*publish)(void *ctx);
	void *publish_ctx;
	struct err err;
};

/* Settings that rules depend on; filled by the program. */
struct model_settings {
	struct str region; /* "local" */
	struct str management_url; /* "http://127.0.0.1:8080", as clients reach it */
	struct str gateway_domain; /* suffix of debugging sub-domains: "<group_id>.apic.local" */
	struct str gateway_address; /* host:port of the gateway for display */
	int gateway_http_port, gateway_https_port;
	struct str worker_socket; /* HTTP over this Unix socket reaches appia-worker */
	struct str data_dir;
	struct str mqs_engine; /* "embedded" or "kafka" */
	struct str mqs_servers; /* bootstrap servers "host:port,host:port", for the control plane */
	struct str mqs_client_servers; /* the same for applications */
	bool mqs_client_ssl; /* applications find TLS there */
	struct str mqs_rest_address; /* of the REST interface, "https://host:port"; empty: there is none */
	/* as librdkafka calls them; user may be empty */
	struct str mqs_protocol, mqs_mechanism, mqs_user, mqs_password;
	struct str mqs_ca_file; /* the authority that Kafka's certificate is checked against; may not exist */
	int64_t mqs_max_partitions; /* per instance */
	int64_t token_lifetime_ms;
	int64_t lock_after; /* wrong passwords in a row */
	int64_t lock_for_ms;
	struct str identity_providers; /* file of iam/id_token.h; empty: none */
};

#endif
