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

/* Files up to SMALL bytes are read instead of mapped: a mapping costs a page and one of the 65530 that the kernel
 * allows, which thousands of small partitions would use up. */
enum { MAGIC = 0x31584941, ENTRIES_MAX = 1 << 26, SMALL = 16 << 10 };

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

static int load_small(int fd, size_t size, enum plog_index_kind kind, int64_t base, struct plog_index *ret_idx)
{
	uint8_t file[SMALL];
	uint32_t n;

	if (plog__read_at(fd, file, size, 0) || !trailer_ok(file, size, kind, base, &n))
		return -1;
	size_t bytes = (size_t)n * plog__entry_size[kind];
	uint8_t *heap = mem_alloc(bytes + 1);

	memcpy(heap, file, bytes);
	*ret_idx = (struct plog_index){.v = heap, .heap = heap, .n = n, .cap = n};
	return 0;
}

static int load_mapped(int fd, size_t size, enum plog_index_kind kind, int64_t base, struct plog_index *ret_idx)
{
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	uint32_t n;

	if (map == MAP_FAILED)
		return -1;
	if (!trailer_ok(map, size, kind, base, &n)) {
		munmap(map, size);
		return -1;
	}
	*ret_idx = (struct plog_index){.v = map, .map = map, .map_len = size, .n = n};
	return 0;
}

int plog__index_load(int dirfd, const char *path, enum plog_index_kind kind, int64_t base, struct plog_index *ret_idx)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC), rc = -1;
	struct stat st;

	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && st.st_size >= (off_t)sizeof(struct trailer) && st.st_size < INT32_MAX) {
		size_t size = (size_t)st.st_size;

		rc = size <= SMALL ? load_small(fd, size, kind, base, ret_idx)
				   : load_mapped(fd, size, kind, base, ret_idx);
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
