/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_BROKER_COORD_HELP_H
#define TESTS_UNIT_BROKER_COORD_HELP_H

#include "base/mem.h"
#include "broker/coord/coord.h"

#include <stdlib.h>

/* A log of batches in memory that stands in for the disk of a coordinator. */

struct stored_batch {
	struct coord_record *v;
	size_t n;
	uint64_t id;
	bool settled, ok;
};

struct store {
	struct stored_batch *v;
	size_t n;
	size_t told; /* batches before this one were reported */
};

static inline void store_add(struct store *s, const struct coord_record *v, size_t n, uint64_t id)
{
	struct stored_batch *b;

	s->v = mem_realloc(s->v, (s->n + 1) * sizeof(*s->v));
	b = &s->v[s->n++];
	*b = (struct stored_batch){mem_alloc(n * sizeof(*b->v)), n, id, false, false};
	for (size_t i = 0; i < n; i++)
		b->v[i] = (struct coord_record){coord_own(v[i].key), coord_own(v[i].value)};
}

static inline void store_done(struct store *s)
{
	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < s->v[i].n; k++) {
			coord_disown(&s->v[i].v[k].key);
			coord_disown(&s->v[i].v[k].value);
		}
		free(s->v[i].v);
	}
	free(s->v);
	*s = (struct store){0};
}

/* A set of records, sorted by key, to compare states. */
struct image {
	struct coord_record *v;
	size_t n;
};

static inline void image_add(void *arg, struct coord_record rec)
{
	struct image *im = arg;

	im->v = mem_realloc(im->v, (im->n + 1) * sizeof(*im->v));
	im->v[im->n++] = (struct coord_record){coord_own(rec.key), coord_own(rec.value)};
}

static inline int image_cmp(const void *a, const void *b)
{
	return str_cmp(((const struct coord_record *)a)->key, ((const struct coord_record *)b)->key);
}

static inline void image_sort(struct image *im)
{
	if (im->n)
		qsort(im->v, im->n, sizeof(*im->v), image_cmp);
}

static inline bool image_equal(const struct image *a, const struct image *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->v[i].key, b->v[i].key) || !str_eq(a->v[i].value, b->v[i].value))
			return false;
	return true;
}

static inline void image_done(struct image *im)
{
	for (size_t i = 0; i < im->n; i++) {
		coord_disown(&im->v[i].key);
		coord_disown(&im->v[i].value);
	}
	free(im->v);
	*im = (struct image){0};
}

#endif
