/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/appiad/mqs_settings.h"

#include "base/mem.h"

#include <unistd.h>

/* The broker's listeners, in the order in which the control plane prefers them. */
static const struct {
	const char *protocol;
	enum conf_id port;
} listeners[] = {
	{"plaintext", CONF_MQS_PORT},
	{"sasl_ssl", CONF_MQS_SASL_PORT},
	{"sasl_plaintext", CONF_MQS_SASL_PLAINTEXT_PORT},
};

static struct str in_home(const struct conf *conf, struct arena *a, const char *name)
{
	return arena_fmt(a, "%.*s/%s", STR_FMT(conf_home(conf)), name);
}

/* "host:port" of one of the broker's listeners. */
static struct str server(struct arena *a, struct str host, int64_t port)
{
	bool v6 = str_find(host, ':', 0) < host.n && host.p[0] != '[';

	return arena_fmt(a, v6 ? "[%.*s]:%lld" : "%.*s:%lld", STR_FMT(host), (long long)port);
}

static bool is_any(struct str address)
{
	return str_is(address, "0.0.0.0") || str_is(address, "::");
}

static int choose_listener(const struct conf *conf, struct arena *a, struct model_settings *s, struct err *err)
{
	bool chosen = !conf_is_default(conf, CONF_MQS_SECURITY_PROTOCOL);
	struct str address = conf_str(conf, CONF_MQS_ADDRESS);
	struct str host = !is_any(address) ? address : str_is(address, "::") ? STR("::1") : STR("127.0.0.1");

	for (size_t i = 0; i < ARRAY_LEN(listeners); i++) {
		int64_t port = conf_int(conf, listeners[i].port);

		if (chosen ? !str_is(s->mqs_protocol, listeners[i].protocol) : port == 0)
			continue;
		if (port == 0)
			break;
		s->mqs_protocol = str_of(listeners[i].protocol);
		s->mqs_servers = server(a, host, port);
		return 0;
	}
	return err_set(err, ERR_APPIA_0400,
		       "mqs.security_protocol: the broker has no such listener (mqs.port, mqs.sasl_port,"
		       " mqs.sasl_plaintext_port)");
}

/* What applications are told to connect to: passwords and TLS where the broker has them. */
static void client_side(const struct conf *conf, struct arena *a, struct model_settings *s)
{
	struct str name = conf_str(conf, CONF_MQS_ADVERTISED_HOST), address = conf_str(conf, CONF_MQS_ADDRESS);
	int64_t port = conf_int(conf, CONF_MQS_SASL_PORT), rest = conf_int(conf, CONF_MQS_REST_PORT);
	bool elsewhere = str_is(s->mqs_engine, "kafka");
	char machine[256] = "";

	if (!name.n && is_any(address) && gethostname(machine, sizeof(machine) - 1) == 0)
		name = arena_str(a, str_of(machine));
	name = name.n ? name : address;
	s->mqs_rest_address = STR("");
	if (rest && (elsewhere || conf_bool(conf, CONF_MQS_ENABLED)))
		s->mqs_rest_address = arena_fmt(a, "https://%.*s", STR_FMT(server(a, name, rest)));
	s->mqs_client_servers = s->mqs_servers;
	s->mqs_client_ssl = str_contains(s->mqs_protocol, STR("ssl"));
	if (elsewhere || port == 0 || access(in_home(conf, a, "tls/server.pem").p, R_OK) < 0)
		return;
	s->mqs_client_servers = server(a, name, port);
	s->mqs_client_ssl = true;
}

static int open_password(const struct sign_keyring *keys, struct arena *a, struct model_settings *s, struct err *err)
{
	if (!str_starts(s->mqs_password, STR(MQS_SEALED)))
		return 0;
	struct str sealed = str_sub(s->mqs_password, sizeof(MQS_SEALED) - 1, s->mqs_password.n);

	if (sign_open(a, keys, MQS_SEAL_PASSWORD, sealed, &s->mqs_password))
		return 0;
	return err_set(err, ERR_APPIA_0400, "mqs.sasl_password was not sealed by this installation; see: appia seal");
}

int mqs_settings_fill(const struct conf *conf, const struct sign_keyring *keys, struct arena *a,
		      struct model_settings *s, struct err *err)
{
	int rc = 0;

	s->mqs_engine = conf_str(conf, CONF_MQS_ENGINE);
	s->mqs_servers = conf_str(conf, CONF_MQS_BOOTSTRAP_SERVERS);
	s->mqs_protocol = conf_str(conf, CONF_MQS_SECURITY_PROTOCOL);
	s->mqs_mechanism = conf_str(conf, CONF_MQS_SASL_MECHANISM);
	s->mqs_user = conf_str(conf, CONF_MQS_SASL_USER);
	s->mqs_password = conf_str(conf, CONF_MQS_SASL_PASSWORD);
	s->mqs_ca_file = conf_str(conf, CONF_MQS_CA_FILE);
	s->mqs_max_partitions = conf_int(conf, CONF_MQS_MAX_PARTITIONS);
	if (!s->mqs_ca_file.n)
		s->mqs_ca_file = in_home(conf, a, "tls/ca.pem");
	/* Without a broker nothing is asked of the settings. */
	if (str_is(s->mqs_engine, "embedded") && conf_bool(conf, CONF_MQS_ENABLED))
		rc = choose_listener(conf, a, s, err);
	if (rc == 0)
		rc = open_password(keys, a, s, err);
	if (rc == 0 && str_starts(s->mqs_protocol, STR("sasl_")) && (!s->mqs_user.n || !s->mqs_password.n))
		rc = err_set(err, ERR_APPIA_0400,
			     "the control plane logs in to Kafka: mqs.sasl_user and mqs.sasl_password are missing");
	if (rc == 0)
		client_side(conf, a, s);
	return rc;
}
