// SPDX-License-Identifier: BSD-3-Clause
/*
 * Memory that the device may reach (see dma.h)
 *
 * How it works. The arena reserves address space twice: host addresses, and IOVAs that run parallel
 * to them. Allocations take both in ascending order, so that one sorted table finds an allocation
 * by either. Pages of the memfd are handed out in an order that the layout decides.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dma.h"

#define ARENA_DEFAULT (16u << 20)
#define GUARD_PAGES   1u

/**
 * struct alloc - pages that belong together
 * @start, @pages: host pages
 * @iova:   of the first page
 * @mem:    the usable part
 * @prot:   how it is mapped into the parent now (DMA_PROT_*)
 * @files:  page number in the memfd of each page
 */
struct alloc {
	uint8_t *start;
	size_t pages;
	uint64_t iova;
	struct dma_mem mem;
	unsigned int prot;
	uint32_t *files;
};

struct dma {
	struct test *t;
	struct parent *p;
	enum dma_layout layout;
	uint32_t asid;
	int fd;
	uint8_t *base;
	uint64_t iova_base;
	size_t pages;	/* of host address space; a power of two */
	size_t next;	/* first free page of it */
	uint32_t files; /* pages of the memfd; a power of two */
	uint32_t file;	/* handed out so far */
	uint64_t salt;
	struct alloc *allocs;
	size_t count, room;
};

/* ---- Poison ------------------------------------------------------------------------------------
 */

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* poison_word() - the eight bytes that repeat in the page of @host */
static uint64_t poison_word(const struct dma *dma, const uint8_t *host)
{
	return mix(dma->salt ^ (uint64_t)(host - dma->base) / DMA_PAGE);
}

static uint8_t poison_byte(uint64_t word, const uint8_t *host)
{
	return (uint8_t)(word >> (8 * ((uintptr_t)host % 8)));
}

void dma_poison(struct dma *dma, void *host, size_t len)
{
	uint8_t *at = host;

	while (len) {
		const uint64_t word = poison_word(dma, at);
		size_t n = DMA_PAGE - (uintptr_t)at % DMA_PAGE;

		if (n > len)
			n = len;
		len -= n;
		for (; n && (uintptr_t)at % 8; n--, at++)
			*at = poison_byte(word, at);
		for (; n >= 8; n -= 8, at += 8)
			memcpy(at, &word, 8);
		for (; n; n--, at++)
			*at = poison_byte(word, at);
	}
}

bool dma_poisoned(struct dma *dma, const void *host, size_t len)
{
	const uint8_t *at = host;

	while (len) {
		const uint64_t word = poison_word(dma, at);
		size_t n = DMA_PAGE - (uintptr_t)at % DMA_PAGE;

		if (n > len)
			n = len;
		len -= n;
		for (; n && (uintptr_t)at % 8; n--, at++)
			if (*at != poison_byte(word, at))
				return false;
		for (; n >= 8; n -= 8, at += 8)
			if (memcmp(at, &word, 8))
				return false;
		for (; n; n--, at++)
			if (*at != poison_byte(word, at))
				return false;
	}
	return true;
}

/* ---- Arena --------------------------------------------------------------------------------------
 */

static size_t power_of_two(size_t n)
{
	size_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

static uint64_t base_of(enum dma_layout layout, size_t pages)
{
	switch (layout) {
	case DMA_SHIFTED:
	case DMA_FRAGMENTED:
		return 0x12345000;
	case DMA_HIGH:
		/* the first allocations lie below 4 GiB, one of them across it */
		return (UINT64_C(1) << 32) - 37 * DMA_PAGE;
	default:
		(void)pages;
		return 0x10000000;
	}
}

struct dma *dma_open(struct test *t, const struct dma_options *opts)
{
	static const struct dma_options defaults;
	struct dma *dma = calloc(1, sizeof(*dma));

	if (!dma)
		t_broken(t, "no memory for a DMA arena");
	if (!opts)
		opts = &defaults;
	dma->t = t;
	dma->p = t_parent(t);
	dma->asid = opts->asid;
	dma->salt = t_random(t);
	dma->layout = opts->layout;
	if (dma->layout == DMA_BY_SEED)
		dma->layout = (enum dma_layout)(1 + t_random(t) % (DMA_LAYOUTS - 1));
	dma->pages = power_of_two((opts->size ? opts->size : ARENA_DEFAULT) / DMA_PAGE);
	/* twice as many in the file, for dma_move() */
	dma->files = (uint32_t)(2 * dma->pages);
	dma->iova_base = base_of(dma->layout, dma->pages);
	dma->fd = memfd_create("vqcert-dma", MFD_CLOEXEC);
	if (dma->fd < 0 || ftruncate(dma->fd, (off_t)dma->files * DMA_PAGE) < 0)
		t_broken(t, "memfd of %zu pages: %s", dma->pages, strerror(errno));
	dma->base = mmap(NULL, dma->pages * DMA_PAGE, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (dma->base == MAP_FAILED)
		t_broken(t, "address space of %zu pages: %s", dma->pages, strerror(errno));
	/* page 0 stays a guard */
	dma->next = GUARD_PAGES;
	t_step(t, "DMA layout: %s", dma_layout_name(dma->layout));
	return dma;
}

void dma_close(struct dma *dma)
{
	if (!dma)
		return;
	for (size_t i = 0; i < dma->count; i++) {
		if (dma->allocs[i].prot && !dma->p->dead)
			dma_unmap(dma, &dma->allocs[i].mem);
		free(dma->allocs[i].files);
	}
	free(dma->allocs);
	munmap(dma->base, dma->pages * DMA_PAGE);
	close(dma->fd);
	free(dma);
}

enum dma_layout dma_layout(const struct dma *dma)
{
	return dma->layout;
}

const char *dma_layout_name(enum dma_layout layout)
{
	switch (layout) {
	case DMA_LINEAR:
		return "linear";
	case DMA_SHIFTED:
		return "shifted";
	case DMA_FRAGMENTED:
		return "fragmented";
	case DMA_HIGH:
		return "high";
	default:
		return "by seed";
	}
}

/* next_file() - the next page of the memfd in the order of the layout */
static uint32_t next_file(struct dma *dma)
{
	const uint32_t n = dma->file++;

	switch (dma->layout) {
	case DMA_SHIFTED:
		return dma->files - 1 - n; /* downwards */
	case DMA_FRAGMENTED:
		return (n * 0x9e5u + 77) % dma->files; /* an odd factor: a permutation */
	default:
		return n;
	}
}

/* ---- Allocations
 * ----------------------------------------------------------------------------------- */

static const struct alloc *by_host(const struct dma *dma, const uint8_t *host)
{
	size_t lo = 0, hi = dma->count;

	while (lo < hi) {
		const size_t mid = (lo + hi) / 2;
		const struct alloc *a = &dma->allocs[mid];

		if (host < a->start)
			hi = mid;
		else if (host >= a->start + a->pages * DMA_PAGE)
			lo = mid + 1;
		else
			return a;
	}
	return NULL;
}

static struct alloc *of_mem(struct dma *dma, const struct dma_mem *mem)
{
	struct alloc *a = (struct alloc *)by_host(dma, mem->host);

	if (!a)
		t_broken(dma->t, "a bug of this check: %p is not an allocation", (void *)mem->host);
	return a;
}

/* place_host() - put the file's pages behind the host addresses */
static void place_host(struct dma *dma, uint8_t *start, const uint32_t *files, size_t pages)
{
	for (size_t i = 0, n; i < pages; i += n) {
		for (n = 1; i + n < pages && files[i + n] == files[i] + n;)
			n++;
		if (mmap(start + i * DMA_PAGE, n * DMA_PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, dma->fd, (off_t)files[i] * DMA_PAGE) == MAP_FAILED)
			t_broken(dma->t, "mapping %zu pages of the arena: %s", n, strerror(errno));
	}
}

/* map_pages() - the parent's side; runs of consecutive pages by one call, but for FRAGMENTED */
static int map_pages(struct dma *dma, const struct alloc *a, uint64_t iova, unsigned int prot)
{
	for (size_t i = 0, n; i < a->pages; i += n) {
		struct parent_dma map = {
			.asid = dma->asid,
			.iova = iova + i * DMA_PAGE,
			.host = a->start + i * DMA_PAGE,
			.fd = dma->fd,
			.offset = (uint64_t)a->files[i] * DMA_PAGE,
			.readable = prot & DMA_PROT_READ,
			.writable = prot & DMA_PROT_WRITE,
		};
		int err;

		for (n = 1; dma->layout != DMA_FRAGMENTED && i + n < a->pages &&
			    a->files[i + n] == a->files[i] + n;)
			n++;
		map.size = n * DMA_PAGE;
		err = parent_dma_map(dma->p, &map);
		if (err)
			return err;
	}
	return 0;
}

static int unmap_pages(struct dma *dma, const struct alloc *a, uint64_t iova)
{
	/* unmap as it was mapped: vfio-user wants each range exactly so */
	for (size_t i = 0, n; i < a->pages; i += n) {
		int err;

		for (n = 1; dma->layout != DMA_FRAGMENTED && i + n < a->pages &&
			    a->files[i + n] == a->files[i] + n;)
			n++;
		err = parent_dma_unmap(dma->p, dma->asid, iova + i * DMA_PAGE, n * DMA_PAGE);
		if (err)
			return err;
	}
	return 0;
}

static struct alloc *alloc_pages(struct dma *dma, size_t pages, size_t offset, size_t size)
{
	struct alloc *a;

	if (!pages || pages > dma->pages || dma->next + pages + GUARD_PAGES > dma->pages ||
	    dma->file + pages > dma->files)
		t_broken(dma->t, "a bug of this check: %zu pages do not fit into its arena of %zu",
			 pages, dma->pages);
	if (dma->count == dma->room) {
		size_t room = dma->room ? 2 * dma->room : 64;
		void *more = reallocarray(dma->allocs, room, sizeof(*dma->allocs));

		if (!more)
			t_broken(dma->t, "no memory");
		dma->allocs = more;
		dma->room = room;
	}
	a = &dma->allocs[dma->count];
	a->files = calloc(pages, sizeof(*a->files));
	if (!a->files)
		t_broken(dma->t, "no memory");
	a->pages = pages;
	a->start = dma->base + dma->next * DMA_PAGE;
	a->iova = dma->iova_base + dma->next * DMA_PAGE;
	a->mem = (struct dma_mem){a->start + offset, a->iova + offset, size};
	a->prot = 0;
	if (dma->layout == DMA_SHIFTED) {
		/* downwards from one allocation to the next, but contiguous within it */
		dma->file += (uint32_t)pages;
		for (size_t i = 0; i < pages; i++)
			a->files[i] = dma->files - dma->file + (uint32_t)i;
	} else {
		for (size_t i = 0; i < pages; i++)
			a->files[i] = next_file(dma);
	}
	dma->next += pages + GUARD_PAGES;
	dma->count++;
	place_host(dma, a->start, a->files, pages);
	dma_poison(dma, a->start, pages * DMA_PAGE);
	return a;
}

static void map_alloc(struct dma *dma, struct alloc *a, unsigned int prot)
{
	int err;

	if (!prot)
		return;
	err = map_pages(dma, a, a->iova, prot);
	if (err)
		t_fail(dma->t, "mapping IOVA 0x%llx + 0x%zx must succeed, it returned %d (%s)",
		       (unsigned long long)a->iova, a->pages * DMA_PAGE, err, strerror(-err));
	a->prot = prot;
}

struct dma_mem dma_alloc(struct dma *dma, size_t size, size_t align)
{
	const size_t pages = (size + DMA_PAGE - 1) / DMA_PAGE;
	struct alloc *a;

	if (!size || !align || align > DMA_PAGE || align & (align - 1))
		t_broken(dma->t, "a bug of this check: %zu bytes aligned to %zu", size, align);
	/* at the end of its pages, so that an overrun leaves them */
	a = alloc_pages(dma, pages, (pages * DMA_PAGE - size) & ~(align - 1), size);
	map_alloc(dma, a, DMA_PROT_READ | DMA_PROT_WRITE);
	return a->mem;
}

struct dma_mem dma_alloc_prot(struct dma *dma, size_t pages, unsigned int prot)
{
	struct alloc *a = alloc_pages(dma, pages, 0, pages * DMA_PAGE);

	map_alloc(dma, a, prot);
	return a->mem;
}

struct dma_mem dma_alloc_pages(struct dma *dma, size_t pages)
{
	return dma_alloc_prot(dma, pages, DMA_PROT_READ | DMA_PROT_WRITE);
}

int dma_unmap(struct dma *dma, const struct dma_mem *mem)
{
	struct alloc *a = of_mem(dma, mem);

	a->prot = 0;
	return unmap_pages(dma, a, a->iova);
}

int dma_map(struct dma *dma, const struct dma_mem *mem, unsigned int prot)
{
	struct alloc *a = of_mem(dma, mem);
	int err = map_pages(dma, a, a->iova, prot);

	if (!err)
		a->prot = prot;
	return err;
}

int dma_map_at(struct dma *dma, const struct dma_mem *mem, uint64_t iova, unsigned int prot)
{
	return map_pages(dma, of_mem(dma, mem), iova, prot);
}

int dma_move(struct dma *dma, const struct dma_mem *mem, struct dma_mem *old)
{
	const size_t index = (size_t)(of_mem(dma, mem) - dma->allocs);
	const unsigned int prot = dma->allocs[index].prot;
	struct alloc *fresh, *a;
	int err = prot ? dma_unmap(dma, mem) : 0;

	if (err)
		return err;
	/* the table may move while the other half is allocated */
	fresh = alloc_pages(dma, dma->allocs[index].pages, 0, dma->allocs[index].pages * DMA_PAGE);
	a = &dma->allocs[index];
	memcpy(fresh->start, a->start, a->pages * DMA_PAGE);
	/* exchange what lies behind the two host ranges: the allocation keeps its address */
	for (size_t i = 0; i < a->pages; i++) {
		const uint32_t file = a->files[i];

		a->files[i] = fresh->files[i];
		fresh->files[i] = file;
	}
	place_host(dma, a->start, a->files, a->pages);
	place_host(dma, fresh->start, fresh->files, fresh->pages);
	dma_poison(dma, fresh->start, fresh->pages * DMA_PAGE);
	if (old)
		*old = fresh->mem;
	return prot ? dma_map(dma, &a->mem, prot) : 0;
}

uint64_t dma_unmapped_iova(struct dma *dma, size_t size)
{
	/* far above the arena; nothing else is ever mapped by the suite */
	const uint64_t iova = dma->iova_base + 4 * dma->pages * DMA_PAGE;

	(void)size;
	return iova;
}

void *dma_host(struct dma *dma, uint64_t iova, size_t len)
{
	const struct alloc *a;
	uint64_t off;

	if (iova < dma->iova_base || iova - dma->iova_base >= dma->pages * DMA_PAGE)
		return NULL;
	off = iova - dma->iova_base;
	a = by_host(dma, dma->base + off);
	if (!a || iova - a->iova + len > a->pages * DMA_PAGE)
		return NULL;
	return dma->base + off;
}

uint64_t dma_iova(struct dma *dma, const void *host)
{
	const struct alloc *a = by_host(dma, host);

	return a ? a->iova + (uint64_t)((const uint8_t *)host - a->start) : UINT64_MAX;
}

uint64_t dma_top(const struct dma *dma)
{
	const struct alloc *a;

	if (!dma->count)
		return 0;
	a = &dma->allocs[dma->count - 1];
	return a->iova + a->pages * DMA_PAGE;
}

static void slack(struct dma *dma, const struct alloc *a, const uint8_t *at, size_t len,
		  const char *where)
{
	if (!dma_poisoned(dma, at, len))
		t_fail(dma->t,
		       "the device wrote %s a buffer of %zu bytes at IOVA 0x%llx; it may write only "
		       "inside the buffers it was given",
		       where, a->mem.size, (unsigned long long)a->mem.iova);
}

void dma_check(struct dma *dma)
{
	for (size_t i = 0; i < dma->count; i++) {
		const struct alloc *a = &dma->allocs[i];
		const uint8_t *end = a->mem.host + a->mem.size;

		slack(dma, a, a->start, (size_t)(a->mem.host - a->start), "in front of");
		slack(dma, a, end, (size_t)(a->start + a->pages * DMA_PAGE - end), "behind");
	}
}

/* ---- What changed
 * ------------------------------------------------------------------------------------- */

/** struct kept - contents of one allocation */
struct kept {
	const uint8_t *start;
	size_t len;
	uint64_t iova;
	uint8_t *copy;
};

struct dma_snapshot {
	struct dma *dma;
	size_t count;
	struct kept kept[];
};

struct dma_snapshot *dma_snapshot(struct dma *dma, const struct dma_mem *mem)
{
	const size_t first = mem ? (size_t)(of_mem(dma, mem) - dma->allocs) : 0;
	const size_t count = mem ? 1 : dma->count;
	struct dma_snapshot *snap = calloc(1, sizeof(*snap) + count * sizeof(snap->kept[0]));

	if (!snap)
		t_broken(dma->t, "no memory for a snapshot");
	snap->dma = dma;
	snap->count = count;
	for (size_t i = 0; i < count; i++) {
		const struct alloc *a = &dma->allocs[first + i];
		struct kept *k = &snap->kept[i];

		k->start = a->start;
		k->len = a->pages * DMA_PAGE;
		k->iova = a->iova;
		k->copy = malloc(k->len);
		if (!k->copy)
			t_broken(dma->t, "no memory for a snapshot");
		memcpy(k->copy, a->start, k->len);
	}
	return snap;
}

void dma_snapshot_free(struct dma_snapshot *snap)
{
	if (!snap)
		return;
	for (size_t i = 0; i < snap->count; i++)
		free(snap->kept[i].copy);
	free(snap);
}

static const struct kept *kept_of(const struct dma_snapshot *snap, const uint8_t *host, size_t len)
{
	for (size_t i = 0; i < snap->count; i++) {
		const struct kept *k = &snap->kept[i];

		if (host >= k->start && host + len <= k->start + k->len)
			return k;
	}
	return NULL;
}

void dma_snapshot_update(struct dma_snapshot *snap, const void *host, size_t len)
{
	const struct kept *k = kept_of(snap, host, len);

	/* what was allocated after the snapshot is not in it */
	if (k)
		memcpy(k->copy + ((const uint8_t *)host - k->start), host, len);
}

size_t dma_changed(const struct dma_snapshot *snap, uint64_t *iovas, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < snap->count; i++) {
		const struct kept *k = &snap->kept[i];

		for (size_t off = 0; off < k->len; off += DMA_PAGE) {
			if (!memcmp(k->start + off, k->copy + off, DMA_PAGE))
				continue;
			if (iovas && n < max)
				iovas[n] = k->iova + off;
			n++;
		}
	}
	return n;
}

bool dma_same(const struct dma_snapshot *snap, const void *host, size_t len)
{
	const struct kept *k = kept_of(snap, host, len);

	return k && !memcmp(k->copy + ((const uint8_t *)host - k->start), host, len);
}

/* ---- Dirty log
 * -------------------------------------------------------------------------------------------- */

struct dma_log dma_log_alloc(struct dma *dma)
{
	const uint64_t pages = dma_top(dma) / DMA_PAGE;
	/* whole words, to be exchanged atomically */
	const size_t bytes = (size_t)((pages + 63) / 64 * 8);
	struct alloc *a = alloc_pages(dma, (bytes + DMA_PAGE - 1) / DMA_PAGE, 0, bytes);

	memset(a->start, 0, bytes);
	map_alloc(dma, a, DMA_PROT_READ | DMA_PROT_WRITE);
	return (struct dma_log){.mem = a->mem, .pages = (uint64_t)bytes * 8};
}

bool dma_log_test(const struct dma_log *log, uint64_t iova)
{
	const uint64_t page = iova / DMA_PAGE;

	if (page >= log->pages)
		return false;
	return __atomic_load_n(&log->mem.host[page / 8], __ATOMIC_ACQUIRE) >> (page % 8) & 1;
}

size_t dma_log_count(const struct dma_log *log)
{
	size_t n = 0;

	for (size_t i = 0; i < log->mem.size; i++)
		n += (size_t)__builtin_popcount(log->mem.host[i]);
	return n;
}

void dma_log_fetch(struct dma_log *log, uint8_t *into)
{
	uint64_t *word = (uint64_t *)(void *)log->mem.host;

	for (size_t i = 0; i < log->mem.size / 8; i++) {
		uint64_t bits, have;

		if (!__atomic_load_n(&word[i], __ATOMIC_RELAXED))
			continue;
		bits = __atomic_exchange_n(&word[i], 0, __ATOMIC_ACQ_REL);
		memcpy(&have, into + 8 * i, 8);
		have |= bits;
		memcpy(into + 8 * i, &have, 8);
	}
}
