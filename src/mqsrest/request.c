/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json.h"
#include "mqsrest/priv.h"

#define ID_MAX 256
#define TAGS_MAX 1024

static int invalid(struct err *err, const char *what)
{
	return err_set(err, ERR_MQS_00400800, "%s", what);
}

/* The list "messages" of a body. */
static int read_list(const struct httpd_request *req, size_t max, const struct json **ret, struct err *err)
{
	const struct json *body;
	char why[160];

	if (!req->body.n)
		return err_set(err, ERR_MQS_00400004, NULL);
	if (!json_parse(req->arena, req->body, &body, why, sizeof(why)))
		return err_set(err, ERR_MQS_00400005, "%s", why);
	*ret = json_get(body, "messages");
	if (!*ret || json_kind(*ret) != JSON_ARRAY)
		return invalid(err, "messages");
	if (json_len(*ret) == 0 || json_len(*ret) > max)
		return err_set(err, ERR_MQS_00400062, "messages must have 1 to %zu elements", max);
	return 0;
}

static bool is_string(const struct json *j, size_t min, size_t max)
{
	return j && json_kind(j) == JSON_STRING && json_str(j).n >= min && json_str(j).n <= max;
}

static int read_message(const struct json *item, struct rest_message *m, struct err *err)
{
	const struct json *content = json_get(item, "content"), *id = json_get(item, "id");
	const struct json *tags = json_get(item, "tags");

	if (!content || json_kind(content) != JSON_STRING)
		return invalid(err, "content");
	if (!is_string(id, 1, ID_MAX))
		return invalid(err, "id");
	if (tags && json_kind(tags) != JSON_NULL && !is_string(tags, 0, TAGS_MAX))
		return invalid(err, "tags");
	*m = (struct rest_message){json_str(content), json_str(id), STR_NONE};
	if (tags && str_trim(json_str(tags)).n)
		m->tags = str_trim(json_str(tags));
	return 0;
}

int rest_read_messages(const struct httpd_request *req, struct rest_message **ret, size_t *ret_n, struct err *err)
{
	const struct json *list;
	int rc = read_list(req, REST_MESSAGES_MAX, &list, err);
	size_t total = 0, n = rc ? 0 : json_len(list);
	struct rest_message *v = ARENA_ARRAY(req->arena, struct rest_message, n + 1);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = read_message(json_at(list, i), &v[i], err);
		for (size_t k = 0; rc == 0 && k < i; k++)
			if (str_eq(v[k].id, v[i].id))
				rc = err_set(err, ERR_MQS_00400062, "the ids of the messages must differ");
		total += rc ? 0 : v[i].content.n;
	}
	if (rc == 0 && total > REST_CONTENT_MAX)
		rc = err_set(err, ERR_APPIA_0413, "the messages may have %zu bytes together", REST_CONTENT_MAX);
	*ret = v;
	*ret_n = n;
	return rc;
}

int rest_read_acks(const struct httpd_request *req, struct rest_ack **ret, size_t *ret_n, struct err *err)
{
	const struct json *list;
	int rc = read_list(req, REST_HANDLERS_MAX, &list, err);
	size_t n = rc ? 0 : json_len(list);
	struct rest_ack *v = ARENA_ARRAY(req->arena, struct rest_ack, n + 1);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		const struct json *handler = json_get(json_at(list, i), "handler");
		struct str status = json_str(json_get(json_at(list, i), "status"));

		if (!handler || json_kind(handler) != JSON_STRING)
			rc = invalid(err, "handler");
		else if (!str_is(status, "success") && !str_is(status, "fail"))
			rc = invalid(err, "status");
		v[i].success = str_is(status, "success");
		v[i].known = rc == 0 && rest_handler_read(req->arena, json_str(handler), &v[i].handler);
	}
	*ret = v;
	*ret_n = n;
	return rc;
}

int rest_read_take(const struct httpd_request *req, struct rest_take *ret, struct err *err)
{
	struct {
		const char *name;
		long long max, value;
	} rows[] = {
		{"ack_wait", 300, 15},
		{"time_wait", 30, 3},
		{"max_msgs", REST_MESSAGES_MAX, REST_MESSAGES_MAX},
		{"max_bytes", (long long)REST_CONTENT_MAX, 524288},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str text = httpd_query(req, rows[i].name);

		if (text.p && !str_to_int(text, 1, rows[i].max, &rows[i].value))
			return invalid(err, rows[i].name);
	}
	*ret = (struct rest_take){rows[0].value * 1000, rows[1].value * 1000, rows[2].value, rows[3].value};
	return 0;
}
