/* SPDX-License-Identifier: Apache-2.0 */
#include "model/fdi/content.h"

#include "sign/sign.h"

/* The worker opens passwords with the same purpose. */
#define SEAL_PURPOSE "datasource.password"

/* What becomes of one secret. old: the stored one, STR_NONE when there is none. */
typedef struct str change_secret(struct model *m, struct str value, struct str old);

struct walk {
	struct model *m;
	change_secret *change;
};

static bool secret_name(struct str name)
{
	static const char *const parts[] = {"password", "passwd", "secret", "token"};
	char lower[64];
	size_t n = name.n < sizeof(lower) ? name.n : sizeof(lower);

	for (size_t i = 0; i < n; i++)
		lower[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] + 32) : name.p[i];
	for (size_t i = 0; i < 4; i++)
		if (str_contains((struct str){lower, n}, str_of(parts[i])))
			return true;
	return false;
}

/* connector_params: one level of free-form members. Those that are left out are not kept: they may be another set. */
static const struct json *walk_params(const struct walk *w, const struct json *in, const struct json *old)
{
	struct json *copy;
	const struct json *value;
	struct str name;

	if (json_kind(in) != JSON_OBJECT)
		return in;
	copy = json_new_object(w->m->arena);
	for (size_t i = 0; json_member(in, i, &name, &value); i++) {
		if (secret_name(name) && json_kind(value) == JSON_STRING) {
			struct str changed = w->change(w->m, json_str(value),
						       json_str(json_get(old, arena_cstr(w->m->arena, name))));

			if (changed.p)
				json_set(copy, name, json_new_str(w->m->arena, changed));
		} else {
			json_set(copy, name, value);
		}
	}
	return copy;
}

static void *walk_struct(const struct walk *w, const struct json_schema *schema, const void *in, const void *old)
{
	char *copy = arena_alloc(w->m->arena, schema->size);

	memcpy(copy, in, schema->size);
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct json_field *f = &schema->fields[i];
		void *at = copy + f->offset;
		const void *before = old ? (const char *)old + f->offset : NULL;

		if (f->schema->kind == JSON_STRING && f->schema->flags & SCHEMA_SECRET) {
			struct str *s = at;

			*s = w->change(w->m, *s, before ? *(const struct str *)before : STR_NONE);
		} else if (f->schema->kind == JSON_OBJECT && *(void **)at) {
			*(void **)at = walk_struct(w, f->schema, *(void **)at, before ? *(void *const *)before : NULL);
		} else if ((f->schema->kind == JSON_ANY || f->schema->kind == JSON_MAP) && *(const struct json **)at) {
			*(const struct json **)at = walk_params(w, *(const struct json **)at,
								before ? *(const struct json *const *)before : NULL);
		}
	}
	return copy;
}

static struct fdi_content *walk(struct model *m, change_secret *change, const struct fdi_content *in,
				const struct fdi_content *old)
{
	struct walk w = {m, change};

	return walk_struct(&w, &doc_fdi_content, in, old);
}

static struct str seal_one(struct model *m, struct str value, struct str old)
{
	if (str_empty(value) || str_is(value, CONTENT_MASK))
		return old;
	return sign_seal(m->arena, m->keys, SEAL_PURPOSE, value);
}

static struct str open_one(struct model *m, struct str value, struct str old)
{
	struct str plain;

	if (str_empty(value) || m->err.code)
		return STR_NONE;
	if (sign_open(m->arena, m->keys, SEAL_PURPOSE, value, &plain))
		return plain;
	err_set(&m->err, ERR_APPIA_0500, "a secret of the data source cannot be opened");
	return STR_NONE;
}

static struct str mask_one(struct model *m, struct str value, struct str old)
{
	return str_empty(value) ? STR_NONE : STR(CONTENT_MASK);
}

static struct str strip_one(struct model *m, struct str value, struct str old)
{
	return STR_NONE;
}

struct fdi_content *content_seal(struct model *m, const struct fdi_content *in, const struct fdi_content *old)
{
	return walk(m, seal_one, in, old);
}

int content_open(struct model *m, const struct fdi_content *sealed, struct fdi_content **ret)
{
	struct fdi_content *opened;

	m->err.code = 0;
	opened = walk(m, open_one, sealed, NULL);
	if (m->err.code == 0)
		*ret = opened;
	return m->err.code;
}

struct fdi_content *content_mask(struct model *m, const struct fdi_content *in)
{
	return walk(m, mask_one, in, NULL);
}

struct fdi_content *content_strip(struct model *m, const struct fdi_content *in)
{
	return walk(m, strip_one, in, NULL);
}
