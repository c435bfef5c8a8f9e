/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "model/fdi/content.h"

#include <limits.h>
#include <stdlib.h>

/* What each type needs, as section 5.1.1 says field by field. when: conditions "field=value|value", all of which must
 * hold; "field?=value" holds for an absent field too. needs: fields, "a|b": one of them. Where the reference names a
 * field that its own example of the type leaves out, the field is not demanded. */
struct content_rule {
	const char *types, *when, *needs;
};

#define WITH_MODES "MYSQL SQLSERVER DB2 GAUSS100 TAURUS POSTGRESQL OPENGAUSS HIVE"

static const struct content_rule rules[] = {
	{WITH_MODES, "mode?=default", "host port database_name"},
	{WITH_MODES, "mode=professional", "url"},
	{WITH_MODES, NULL, "user_name password"},
	{"GAUSS100", NULL, "gauss100_version"},
	{"ORACLE", "mode?=default", "host port database_name"},
	{"ORACLE", "mode=professional", "url"},
	{"ORACLE", "mode=multiAddress", "multi_oracle_address oracle_service_name|database_name"},
	{"ORACLE", NULL, "user_name password"},
	{"DWS HANA", NULL, "host port database_name user_name password"},
	{"DM CLICKHOUSE", "mode?=default", "host port user_name password"},
	{"DM CLICKHOUSE", "mode=professional", "url"},
	{"SQLITE", NULL, "database_name"},
	{"MONGODB", NULL, "address user_name password"},
	{"REDIS", NULL, "address"},
	{"OBS", NULL, "address ak sk bucket_name"},
	{"DIS", NULL, "ak sk dis_tunnel_name"},
	{"DIS", "dis_setting_type=senior", "dis_endpoint dis_region dis_source_project_id"},
	{"FTP", NULL, "host port user_name password"},
	{"KAFKA MQS ACTIVEMQ", NULL, "broker"},
	{"KAFKA MQS", "ssl_enable=true", "ssl_username ssl_password"},
	{"MQS", "ssl=true", "ssl_username ssl_password"},
	{"ACTIVEMQ", NULL, "user_name password"},
	{"ARTEMISMQ RABBITMQ", NULL, "host port user_name password"},
	{"IBMMQ", NULL, "host port user_name password ibmmq_queue_manager ibmmq_channel"},
	{"ACTIVEMQ ARTEMISMQ RABBITMQ IBMMQ", "ssl_enable=true",
	 "trust_store trust_store_password trust_store_file_type"},
	{"ACTIVEMQ ARTEMISMQ", "ssl_enable=true", "ssl_auth_method"},
	{"ACTIVEMQ ARTEMISMQ", "ssl_enable=true ssl_auth_method=two-way",
	 "key_store key_store_file_type key_store_password key_store_key_password"},
	{"ROCKETMQ", NULL, "rocketmq_namesrv_addr|namesrv_addr|broker|host"},
	{"ROCKETMQ", "acl_enable=true", "user_name password"},
	{"IMF", NULL, "mq_type user_name password"},
	{"IMF", "mq_type=RocketMQ", "rocketmq_namesrv_addr"},
	{"IMF", "mq_type=RabbitMQ", "host port"},
	{"ROMA20MQS", NULL, "namesrv_addr app_id app_secret"},
	{"SAP", NULL, "host user_name password"},
	{"SNMP", NULL, "host port"},
	{"API LDAP WEBSOCKET", NULL, "url"},
	{"WEBSOCKET", "auth_method=basicauth", "user_name password"},
	{"LDAP", "ldap_security_auth_type=simple", "user_name password"},
	{"API", "api_auth_detail.auth_method=basicauth", "api_auth_detail.user_name api_auth_detail.password"},
	{"API", "api_auth_detail.auth_method=oauth2.0",
	 "api_auth_detail.access_token_url api_auth_detail.client_id api_auth_detail.client_secret"},
	{"API", "api_auth_detail.auth_method=hmac|secret|md5|keyTop|hikVision", "api_auth_detail.secret"},
	{"API", "api_auth_detail.auth_method=apiGateway", "api_auth_detail.app_key api_auth_detail.app_secret"},
	{"API", "api_auth_detail.auth_method=liHe|networkManagement",
	 "api_auth_detail.user_name api_auth_detail.password api_auth_detail.access_token_url"},
	{"HL7", NULL, "hl7_position"},
	{"HL7", "hl7_position=source hl7_whitelist_enable=true", "hl7_whitelist"},
	{"MRSHIVE MRSHDFS MRSHBASE MRSKAFKA MRSREDIS MRSCLICKHOUSE", NULL, "config_file_name config_file_content"},
	{"MRSHIVE MRSHDFS MRSHBASE MRSKAFKA MRSREDIS", NULL, "principal_name"},
	{"MRSHIVE MRSHDFS", NULL, "hdfs_path"},
};

/* Which modes there are; types not named here have none to choose. */
static const struct content_rule modes[] = {
	{"DWS MONGODB REDIS HANA", NULL, "default"},
	{WITH_MODES " DM CLICKHOUSE", NULL, "default professional"},
	{"ORACLE", NULL, "default professional multiAddress"},
};

static bool in_list(const char *list, struct str word, char separator)
{
	struct str rest = str_of(list);

	while (rest.p)
		if (str_eq(str_cut(&rest, separator), word))
			return true;
	return false;
}

/* The field's text; "true" or "false" for truth values, "present" for what has no text; STR_NONE when absent. */
static struct str value_of(const struct json_schema *schema, const void *in, struct str path)
{
	struct str rest = path, name = str_cut(&rest, '.');

	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct json_field *f = &schema->fields[i];
		const void *at = (const char *)in + f->offset;

		if (!str_is(name, f->name))
			continue;
		switch (f->schema->kind) {
		case JSON_STRING:
			return *(const struct str *)at;
		case JSON_BOOL:
			if (!*((const char *)in + f->has_offset))
				return STR_NONE;
			return *(const bool *)at ? STR("true") : STR("false");
		case JSON_INT:
			return *((const char *)in + f->has_offset) ? STR("present") : STR_NONE;
		case JSON_OBJECT:
			if (!*(void *const *)at)
				return STR_NONE;
			return rest.p ? value_of(f->schema, *(void *const *)at, rest) : STR("present");
		default:
			return *(void *const *)at ? STR("present") : STR_NONE;
		}
	}
	abort(); /* a rule names a field that the description does not know */
}

static bool holds(const struct fdi_content *in, const char *when)
{
	struct str rest = str_of(when);

	while (rest.p) {
		struct str wanted = str_cut(&rest, ' '), name = str_cut(&wanted, '=');
		bool or_absent = name.n && name.p[name.n - 1] == '?';

		name.n -= or_absent;
		struct str value = value_of(&doc_fdi_content, in, name);
		bool found = value.n == 0 && or_absent;

		while (wanted.p && !found)
			found = str_eq(str_cut(&wanted, '|'), value);
		if (!found)
			return false;
	}
	return true;
}

static int check_needs(struct model *m, struct str type, const struct fdi_content *in, const struct content_rule *rule)
{
	struct str rest = str_of(rule->needs);

	while (rest.p) {
		struct str names = str_cut(&rest, ' '), any = names;
		bool found = false;

		while (any.p && !found)
			found = str_trim(value_of(&doc_fdi_content, in, str_cut(&any, '|'))).n > 0;
		if (!found)
			return err_set(&m->err, ERR_FDI_3033, "body.content.%.*s: is required for %.*s%s%s",
				       STR_FMT(names), STR_FMT(type), rule->when ? " with " : "",
				       rule->when ? rule->when : "");
	}
	return 0;
}

static int check_mode(struct model *m, struct str type, struct str mode)
{
	for (size_t i = 0; i < ARRAY_LEN(modes) && mode.n; i++)
		if (in_list(modes[i].types, type, ' ') && !in_list(modes[i].needs, mode, ' '))
			return err_set(&m->err, ERR_FDI_3033, "body.content.mode: %.*s has no mode %.*s", STR_FMT(type),
				       STR_FMT(mode));
	return 0;
}

static int check_number(struct model *m, const char *name, struct str text, long long max)
{
	long long n;

	if (str_empty(text) || str_to_int(text, 0, max, &n))
		return 0;
	return err_set(&m->err, ERR_FDI_3033, "body.content.%s: must be a number from 0 to %lld", name, max);
}

/* The worker opens the file; the platform's own files must not be read that way. Its sample database may be. */
static int check_file(struct model *m, struct str path)
{
	char real[PATH_MAX], home[PATH_MAX];

	if (path.p[0] != '/' || memchr(path.p, 0, path.n) || str_contains(path, STR("/../")))
		return err_set(&m->err, ERR_FDI_3033,
			       "body.content.database_name: must be the absolute path of a file");
	if (!realpath(arena_cstr(m->arena, path), real) || !realpath(arena_cstr(m->arena, m->settings->data_dir), home))
		return 0; /* to be made later; connecting needs a file */
	size_t n = strlen(home);

	if (strncmp(real, home, n) == 0 && real[n] == '/' && strncmp(real + n, "/sample/", 8) != 0)
		return err_set(&m->err, ERR_FDI_3033, "body.content.database_name: belongs to the platform");
	return 0;
}

int content_check(struct model *m, struct str type, const struct fdi_content *in)
{
	int rc = check_mode(m, type, in->mode);

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(rules); i++)
		if (in_list(rules[i].types, type, ' ') && (!rules[i].when || holds(in, rules[i].when)))
			rc = check_needs(m, type, in, &rules[i]);
	if (rc == 0)
		rc = check_number(m, "port", in->port, 65535);
	if (rc == 0)
		rc = check_number(m, "redis_database", in->redis_database, 1000000);
	if (rc == 0 && str_is(type, "SQLITE"))
		rc = check_file(m, in->database_name);
	return rc;
}
