/* Generated from spec/. */
#include "api/api.h"
#include <stddef.h>
#include "api_apic.h"
#include "api_iam.h"
static const struct json_schema o_apic_CreateThing_body_twin;
static const struct json_schema o_apic_Part;
static const struct json_schema o_apic_Thing;
static const struct json_schema o_apic_ThingList;
static const struct json_schema o_apic_Thing_more;
static const struct json_schema s0 = {.kind = JSON_STRING, .min_len = 1, .max_len = 8};
static const char *const e0[] = {"big", "small", "huge", NULL};
static const struct json_schema s1 = {.kind = JSON_STRING, .enums = e0, .max_len = SCHEMA_NO_LIMIT};
static const struct json_schema s2 = {.kind = JSON_INT, .flags = SCHEMA_NULLABLE, .max_len = SCHEMA_NO_LIMIT};
static const struct json_schema s3 = {.kind = JSON_NUM, .max_len = SCHEMA_NO_LIMIT};
static const struct json_schema s4 = {.kind = JSON_STRING, .max_len = SCHEMA_NO_LIMIT};
static const struct json_schema s5 = {.kind = JSON_ARRAY, .items = &s4, .max_len = 3};
static const struct json_schema s6 = {.kind = JSON_ARRAY, .items = &o_apic_Part, .max_len = SCHEMA_NO_LIMIT};
static const struct json_schema s7 = {.kind = JSON_ANY, .max_len = SCHEMA_NO_LIMIT};
static const struct json_field f_o_apic_CreateThing_body_twin[] = {
	{"name", &s0, offsetof(struct apic_thing, name), SCHEMA_NO_OFFSET, true, NULL},
	{"kind", &s1, offsetof(struct apic_thing, kind), SCHEMA_NO_OFFSET, false, "\"small\""},
	{"size", &s2, offsetof(struct apic_thing, size), offsetof(struct apic_thing, has_size), false, NULL},
	{"double", &s3, offsetof(struct apic_thing, double_), offsetof(struct apic_thing, has_double_), false, NULL},
	{"tags", &s5, offsetof(struct apic_thing, tags), SCHEMA_NO_OFFSET, false, NULL},
	{"parts", &s6, offsetof(struct apic_thing, parts), SCHEMA_NO_OFFSET, false, NULL},
	{"more", &o_apic_Thing_more, offsetof(struct apic_thing, more), SCHEMA_NO_OFFSET, false, NULL},
	{"free", &s7, offsetof(struct apic_thing, free), SCHEMA_NO_OFFSET, false, NULL}};
static const struct json_schema o_apic_CreateThing_body_twin = {.kind = JSON_OBJECT, .fields = f_o_apic_CreateThing_body_twin, .n_fields = 8, .max_len = SCHEMA_NO_LIMIT, .size = sizeof(struct apic_thing), .name = "CreateThing_body_twin"};
static const struct json_schema s8 = {.kind = JSON_INT, .max_len = SCHEMA_NO_LIMIT};
static const struct json_field f_o_apic_Part[] = {
	{"n", &s8, offsetof(struct apic_part, n), offsetof(struct apic_part, has_n), false, NULL}};
static const struct json_schema o_apic_Part = {.kind = JSON_OBJECT, .fields = f_o_apic_Part, .n_fields = 1, .max_len = SCHEMA_NO_LIMIT, .size = sizeof(struct apic_part), .name = "Part"};
static const char *const e1[] = {"big", "small", NULL};
static const struct json_schema s9 = {.kind = JSON_STRING, .enums = e1, .max_len = SCHEMA_NO_LIMIT};
static const struct json_schema s10 = {.kind = JSON_STRING, .flags = SCHEMA_SECRET, .max_len = SCHEMA_NO_LIMIT};
static const struct json_field f_o_apic_Thing[] = {
	{"name", &s0, offsetof(struct apic_thing, name), SCHEMA_NO_OFFSET, true, NULL},
	{"kind", &s9, offsetof(struct apic_thing, kind), SCHEMA_NO_OFFSET, false, "\"small\""},
	{"secret", &s10, offsetof(struct apic_thing, secret), SCHEMA_NO_OFFSET, false, NULL},
	{"size", &s2, offsetof(struct apic_thing, size), offsetof(struct apic_thing, has_size), false, NULL},
	{"double", &s3, offsetof(struct apic_thing, double_), offsetof(struct apic_thing, has_double_), false, NULL},
	{"tags", &s5, offsetof(struct apic_thing, tags), SCHEMA_NO_OFFSET, false, NULL},
	{"parts", &s6, offsetof(struct apic_thing, parts), SCHEMA_NO_OFFSET, false, NULL},
	{"more", &o_apic_Thing_more, offsetof(struct apic_thing, more), SCHEMA_NO_OFFSET, false, NULL},
	{"free", &s7, offsetof(struct apic_thing, free), SCHEMA_NO_OFFSET, false, NULL}};
static const struct json_schema o_apic_Thing = {.kind = JSON_OBJECT, .fields = f_o_apic_Thing, .n_fields = 9, .max_len = SCHEMA_NO_LIMIT, .size = sizeof(struct apic_thing), .name = "Thing"};
static const struct json_schema s11 = {.kind = JSON_ARRAY, .items = &o_apic_Thing, .max_len = SCHEMA_NO_LIMIT};
static const struct json_field f_o_apic_ThingList[] = {
	{"total", &s8, offsetof(struct apic_thing_list, total), offsetof(struct apic_thing_list, has_total), false, NULL},
	{"things", &s11, offsetof(struct apic_thing_list, things), SCHEMA_NO_OFFSET, false, NULL}};
static const struct json_schema o_apic_ThingList = {.kind = JSON_OBJECT, .fields = f_o_apic_ThingList, .n_fields = 2, .max_len = SCHEMA_NO_LIMIT, .size = sizeof(struct apic_thing_list), .name = "ThingList"};
static const struct json_schema s12 = {.kind = JSON_BOOL, .max_len = SCHEMA_NO_LIMIT};
static const struct json_field f_o_apic_Thing_more[] = {
	{"deep", &s12, offsetof(struct apic_thing_more, deep), offsetof(struct apic_thing_more, has_deep), false, NULL}};
static const struct json_schema o_apic_Thing_more = {.kind = JSON_OBJECT, .fields = f_o_apic_Thing_more, .n_fields = 1, .max_len = SCHEMA_NO_LIMIT, .size = sizeof(struct apic_thing_more), .name = "Thing_more"};
static const struct json_field f_doc_apic_part[] = {
	{"n", &s8, offsetof(struct apic_part, n), offsetof(struct apic_part, has_n), false, NULL}};
const struct json_schema doc_apic_part = {.kind = JSON_OBJECT, .fields = f_doc_apic_part, .n_fields = 1, .max_len = SCHEMA_NO_LIMIT, .size = sizeof(struct apic_part), .name = "part"};
static const struct json_schema s13 = {.kind = JSON_ARRAY, .items = &s4, .max_len = SCHEMA_NO_LIMIT};
static const struct json_schema s14 = {.kind = JSON_ARRAY, .items = &doc_apic_part, .max_len = SCHEMA_NO_LIMIT};
static const struct json_field f_doc_apic_thing[] = {
	{"name", &s4, offsetof(struct apic_thing, name), SCHEMA_NO_OFFSET, false, NULL},
	{"kind", &s4, offsetof(struct apic_thing, kind), SCHEMA_NO_OFFSET, false, NULL},
	{"secret", &s10, offsetof(struct apic_thing, secret), SCHEMA_NO_OFFSET, false, NULL},
	{"size", &s2, offsetof(struct apic_thing, size), offsetof(struct apic_thing, has_size), false, NULL},
	{"double", &s3, offsetof(struct apic_thing, double_), offsetof(struct apic_thing, has_double_), false, NULL},
	{"tags", &s13, offsetof(struct apic_thing, tags), SCHEMA_NO_OFFSET, false, NULL},
	{"parts", &s14, offsetof(struct apic_thing, parts), SCHEMA_NO_OFFSET, false, NULL},
	{"more", &doc_apic_thing_more, offsetof(struct apic_thing, more), SCHEMA_NO_OFFSET, false, NULL},
	{"free", &s7, offsetof(struct apic_thing, free), SCHEMA_NO_OFFSET, false, NULL}};
const struct json_schema doc_apic_thing = {.kind = JSON_OBJECT, .fields = f_doc_apic_thing, .n_fields = 9, .max_len = SCHEMA_NO_LIMIT, .size = sizeof(struct apic_thing), .name = "thing"};
static const struct json_schema s15 = {.kind = JSON_ARRAY, .items = &doc_apic_thing, .max_len = SCHEMA_NO_LIMIT};
static const struct json_field f_doc_apic_thing_list[] = {
	{"total", &s8, offsetof(struct apic_thing_list, total), offsetof(struct apic_thing_list, has_total), false, NULL},
	{"things", &s15, offsetof(struct apic_thing_list, things), SCHEMA_NO_OFFSET, false, NULL}};
const struct json_schema doc_apic_thing_list = {.kind = JSON_OBJECT, .fields = f_doc_apic_thing_list, .n_fields = 2, .max_len = SCHEMA_NO_LIMIT, .size = sizeof(struct apic_thing_list), .name = "thing_list"};
static const struct json_field f_doc_apic_thing_more[] = {
	{"deep", &s12, offsetof(struct apic_thing_more, deep), offsetof(struct apic_thing_more, has_deep), false, NULL}};
const struct json_schema doc_apic_thing_more = {.kind = JSON_OBJECT, .fields = f_doc_apic_thing_more, .n_fields = 1, .max_len = SCHEMA_NO_LIMIT, .size = sizeof(struct apic_thing_more), .name = "thing_more"};
static const struct api_param q0[] = {
	{{"project_id", &s4, offsetof(struct apic_check_thing_in, project_id), SCHEMA_NO_OFFSET, true, NULL}, API_PATH},
	{{"file", &s4, offsetof(struct apic_check_thing_in, file), SCHEMA_NO_OFFSET, true, NULL}, API_FORM}};
static const struct api_param q1[] = {
	{{"project_id", &s4, offsetof(struct apic_create_thing_in, project_id), SCHEMA_NO_OFFSET, true, NULL}, API_PATH}};
static const struct api_param q2[] = {
	{{"project_id", &s4, offsetof(struct apic_create_thing_in, project_id), SCHEMA_NO_OFFSET, true, NULL}, API_PATH}};
static struct json_pattern p0 = {"^[a-z]{2}$", NULL};
static const struct json_schema s16 = {.kind = JSON_STRING, .pattern = &p0, .max_len = SCHEMA_NO_LIMIT};
static const struct api_param q3[] = {
	{{"project_id", &s4, offsetof(struct apic_delete_thing_in, project_id), SCHEMA_NO_OFFSET, true, NULL}, API_PATH},
	{{"id", &s16, offsetof(struct apic_delete_thing_in, id), SCHEMA_NO_OFFSET, true, NULL}, API_PATH}};
static const struct json_schema s17 = {.kind = JSON_INT, .min = 1, .max = 500, .flags = SCHEMA_HAS_MIN | SCHEMA_HAS_MAX, .max_len = SCHEMA_NO_LIMIT};
static const struct json_schema s18 = {.kind = JSON_STRING, .enums = e1, .flags = SCHEMA_MULTI, .max_len = SCHEMA_NO_LIMIT};
static const struct api_param q4[] = {
	{{"project_id", &s4, offsetof(struct apic_list_things_in, project_id), SCHEMA_NO_OFFSET, true, NULL}, API_PATH},
	{{"limit", &s17, offsetof(struct apic_list_things_in, limit), offsetof(struct apic_list_things_in, has_limit), false, "20"}, API_QUERY},
	{{"kind", &s18, offsetof(struct apic_list_things_in, kind), SCHEMA_NO_OFFSET, false, NULL}, API_QUERY}};
static const struct api_param q5[] = {
	{{"X-Idp-Id", &s4, offsetof(struct iam_login_in, x_idp_id), SCHEMA_NO_OFFSET, false, NULL}, API_HEADER}};
static const struct api_op ops[] = {
	{.id = "CheckThing", .method = "POST", .path = "/v2/{project_id}/things/check", .action = NULL, .summary = "Checks a thing.", .command = "things check", .domain = API_APIC, .shape = API_ERROR_PLAIN, .flags = API_OP_NO_TX, .status = 200, .params = q0, .n_params = 2, .body = NULL, .body_required = false, .body_offset = 0, .reply = NULL, .in_size = sizeof(struct apic_check_thing_in), .out_size = 0},
	{.id = "CreateThing", .method = "POST", .path = "/v2/{project_id}/apigw/things", .action = "roma:things:create", .summary = "Creates a thing with a \"quoted\" name and a trigraph \077\077=.", .command = "", .domain = API_APIC, .shape = API_ERROR_PLAIN, .flags = API_OP_WRITE, .status = 201, .params = q1, .n_params = 1, .body = &o_apic_CreateThing_body_twin, .body_required = true, .body_offset = offsetof(struct apic_create_thing_in, body), .reply = &o_apic_Thing, .in_size = sizeof(struct apic_create_thing_in), .out_size = sizeof(struct apic_thing)},
	{.id = "CreateThing", .method = "POST", .path = "/v2/{project_id}/things", .action = "roma:things:create", .summary = "Creates a thing with a \"quoted\" name and a trigraph \077\077=.", .command = "things create", .domain = API_APIC, .shape = API_ERROR_PLAIN, .flags = API_OP_WRITE, .status = 201, .params = q2, .n_params = 1, .body = &o_apic_Thing, .body_required = true, .body_offset = offsetof(struct apic_create_thing_in, body), .reply = &o_apic_Thing, .in_size = sizeof(struct apic_create_thing_in), .out_size = sizeof(struct apic_thing)},
	{.id = "DeleteThing", .method = "DELETE", .path = "/v2/{project_id}/things/{id}", .action = NULL, .summary = "Deletes a thing.", .command = "things delete", .domain = API_APIC, .shape = API_ERROR_PLAIN, .flags = API_OP_WRITE | API_OP_TODO, .status = 204, .params = q3, .n_params = 2, .body = NULL, .body_required = false, .body_offset = 0, .reply = NULL, .in_size = sizeof(struct apic_delete_thing_in), .out_size = 0},
	{.id = "ListThings", .method = "GET", .path = "/v2/{project_id}/things", .action = "roma:things:list", .summary = "Lists things.", .command = "things list", .domain = API_APIC, .shape = API_ERROR_PLAIN, .flags = 0, .status = 200, .params = q4, .n_params = 3, .body = NULL, .body_required = false, .body_offset = 0, .reply = &o_apic_ThingList, .in_size = sizeof(struct apic_list_things_in), .out_size = sizeof(struct apic_thing_list)},
	{.id = "Login", .method = "POST", .path = "/v3/login", .action = NULL, .summary = "Issues a token.", .command = "login login", .domain = API_IAM, .shape = API_ERROR_IAM, .flags = API_OP_WRITE | API_OP_PUBLIC | API_OP_RAW_BODY, .status = 201, .params = q5, .n_params = 1, .body = NULL, .body_required = true, .body_offset = offsetof(struct iam_login_in, body), .reply = NULL, .in_size = sizeof(struct iam_login_in), .out_size = 0}};
static const struct api_node nodes[] = {
	{NULL, 1, 0, UINT32_MAX},
	{"v2", 2, 8, UINT32_MAX},
	{NULL, 5, 0, UINT32_MAX},
	{"things", 4, 0, 0},
	{"check", 0, 7, 2},
	{"apigw", 6, 3, UINT32_MAX},
	{"things", 0, 0, 3},
	{NULL, 0, 0, 4},
	{"v3", 9, 0, UINT32_MAX},
	{"login", 0, 0, 5}};
static const struct api_node_op node_ops[] = {
	{2, 1},
	{4, UINT32_MAX},
	{0, UINT32_MAX},
	{1, UINT32_MAX},
	{3, UINT32_MAX},
	{5, UINT32_MAX}};
const struct api_tables api_tables = {ops, 6, nodes, node_ops};
