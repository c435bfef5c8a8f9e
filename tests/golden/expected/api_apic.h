/* Generated from spec/. */
#ifndef API_APIC_H
#define API_APIC_H

#include "base/str.h"
#include "json/schema.h"

struct api_call;

struct apic_part;
struct apic_part_array {
	struct apic_part *v;
	size_t n;
};

struct apic_thing;
struct apic_thing_array {
	struct apic_thing *v;
	size_t n;
};

struct apic_thing_list;
struct apic_thing_list_array {
	struct apic_thing_list *v;
	size_t n;
};

struct apic_thing_more;
struct apic_thing_more_array {
	struct apic_thing_more *v;
	size_t n;
};

struct apic_part {
	int64_t n;
	bool has_n;
};
extern const struct json_schema doc_apic_part;

struct apic_thing {
	struct str name;
	struct str kind;
	struct str secret;
	int64_t size;
	bool has_size;
	double double_;
	bool has_double_;
	struct str_array tags;
	struct apic_part_array parts;
	struct apic_thing_more *more;
	const struct json *free;
};
extern const struct json_schema doc_apic_thing;

struct apic_thing_list {
	int64_t total;
	bool has_total;
	struct apic_thing_array things;
};
extern const struct json_schema doc_apic_thing_list;

struct apic_thing_more {
	bool deep;
	bool has_deep;
};
extern const struct json_schema doc_apic_thing_more;

/* POST /v2/{project_id}/things/check
 * Checks a thing. */
struct apic_check_thing_in {
	struct str project_id;
	struct str file;
};
int apic_check_thing(struct api_call *call, const struct apic_check_thing_in *in);

/* POST /v2/{project_id}/things
 * Creates a thing with a "quoted" name and a trigraph ??=. */
struct apic_create_thing_in {
	struct str project_id;
	struct apic_thing *body;
};
int apic_create_thing(struct api_call *call, const struct apic_create_thing_in *in, struct apic_thing *out);

/* DELETE /v2/{project_id}/things/{id}
 * Deletes a thing. */
struct apic_delete_thing_in {
	struct str project_id;
	struct str id;
};
int apic_delete_thing(struct api_call *call, const struct apic_delete_thing_in *in);

/* GET /v2/{project_id}/things
 * Lists things. */
struct apic_list_things_in {
	struct str project_id;
	int64_t limit;
	bool has_limit;
	struct str kind;
};
int apic_list_things(struct api_call *call, const struct apic_list_things_in *in, struct apic_thing_list *out);

#endif
