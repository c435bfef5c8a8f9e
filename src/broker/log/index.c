/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "broker/log/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* An index file is its entries as they are in memory, then this. Little-endian, like every machine this runs on. */
struct trailer {
	uint32_t magic, kind, count, crc; /* crc: of the entries, base and count */
	int64_t base;
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "index files are little-endian");
_Static_assert(sizeof(struct trailer) == 24, "no padding");

enum { MAGIC = 0x31584941, ENTRIES_MAX = 1 << 26 };

const uint32_t plog__entry_size[INDEX_KINDS] = {sizeof(struct plog_offset_entry), sizeof(struct plog_time_entry),
						sizeof(struct plog_txn_entry)};
const char *const plog__index_suffix[INDEX_KINDS] = {".index", ".timeindex", ".txnindex"};

void plog__index_add(struct plog_index *idx, enum plog_index_kind kind, const void *entry)
{
	size_t size = plog__entry_size[kind];

	if (idx->map || idx->n == idx->cap) {
		uint32_t cap = idx->n < 8 ? 16 : idx->n * 2;
		uint8_t *heap = mem_realloc(idx->map ? NULL : idx->heap, cap * size);

		if (idx->map) {
			memcpy(heap, idx->v, idx->n * size);
			munmap(idx->map, idx->map_len);
			idx->map = NULL;
		}
		idx->v = idx->heap = heap;
		idx->cap = cap;
	}
	memcpy(idx->heap + idx->n++ * size, entry, size);
}

void plog__index_done(struct plog_index *idx)
{
	if (idx->map)
		munmap(idx->map, idx->map_len);
	free(idx->heap);
	*idx = (struct plog_index){0};
}

static uint32_t index_crc(const void *v, size_t n, const struct trailer *t)
{
	uint32_t crc = kafka_crc32c_extend(0, v, n);

	crc = kafka_crc32c_extend(crc, &t->count, sizeof(t->count));
	return kafka_crc32c_extend(crc, &t->base, sizeof(t->base));
}

int plog__index_save(int dirfd, const char *path, const struct plog_index *idx, enum plog_index_kind kind, int64_t base)
{
	struct trailer t = {.magic = MAGIC, .kind = kind, .count = idx->n, .base = base};
	size_t n = (size_t)idx->n * plog__entry_size[kind];
	struct buf b;

	if (!idx->n)
		return unlinkat(dirfd, path, 0) && errno != ENOENT ? -1 : 0;
	t.crc = index_crc(idx->v, n, &t);
	buf_init(&b, n + sizeof(t) + 16);
	buf_add(&b, idx->v, n);
	buf_add(&b, &t, sizeof(t));
	int rc = plog__replace(dirfd, path, buf_view(&b), false);

	buf_done(&b);
	return rc;
}

static bool trailer_ok(const uint8_t *map, size_t len, enum plog_index_kind kind, int64_t base, uint32_t *ret_n)
{
	struct trailer t;

	memcpy(&t, map + len - sizeof(t), sizeof(t));
	if (t.magic != MAGIC || t.kind != (uint32_t)kind || t.base != base || t.count > ENTRIES_MAX ||
	    (size_t)t.count * plog__entry_size[kind] != len - sizeof(t))
		return false;
	*ret_n = t.count;
	return index_crc(map, len - sizeof(t), &t) == t.crc;
}

int plog__index_load(int dirfd, const char *path, enum plog_index_kind kind, int64_t base, struct plog_index *ret_idx)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC), rc = -1;
	struct stat st;
	uint32_t n;

	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && st.st_size >= (off_t)sizeof(struct trailer) && st.st_size < INT32_MAX) {
		void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);

		if (map != MAP_FAILED && trailer_ok(map, (size_t)st.st_size, kind, base, &n)) {
			*ret_idx = (struct plog_index){.v = map, .map = map, .map_len = (size_t)st.st_size, .n = n};
			rc = 0;
		} else if (map != MAP_FAILED) {
			munmap(map, (size_t)st.st_size);
		}
	}
	close(fd);
	return rc;
}

int64_t plog__offset_find(const struct plog_index *idx, uint32_t rel)
{
	const struct plog_offset_entry *v = (const struct plog_offset_entry *)(const void *)idx->v;
	int64_t lo = 0, hi = idx->n;

	while (lo < hi) {
		int64_t mid = lo + (hi - lo) / 2;

		if (v[mid].rel <= rel)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - 1;
}

int64_t plog__time_find(const struct plog_index *idx, int64_t ts)
{
	const struct plog_time_entry *v = (const struct plog_time_entry *)(const void *)idx->v;
	int64_t lo = 0, hi = idx->n;

	while (lo < hi) {
		int64_t mid = lo + (hi - lo) / 2;

		if (v[mid].ts <= ts)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - 1;
}
