/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that the device may reach
 *
 * How it works. An arena is a memfd of which pieces are mapped into the parent, an allocation at a
 * time. Every allocation lies at the end of its pages, with an unmapped page before and behind it:
 * a device that runs over the end faults (or its parent counts a fault) instead of quietly hitting
 * the next buffer, and the slack in front is poisoned and looked at by dma_check(). In this process
 * an allocation is contiguous; where its pages lie in the memfd and at which IOVA depends on the
 * layout, so that a device that takes IOVAs for something else is found out.
 *
 * Memory is filled with a poison pattern that depends on the page, so that a write of equal bytes
 * can't hide. A snapshot remembers contents and afterwards tells which 4 KiB pages changed: the
 * record independent of the device that a dirty log is compared with.
 *
 * Functions with a struct test fail the check (or break it: BROKEN, when the environment has no
 * memory) and do not return; the others return a negative errno.
 */
#ifndef VC_DRIVER_DMA_H
#define VC_DRIVER_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../check.h"

#define DMA_PAGE 4096u

struct dma;

/** enum dma_layout - where IOVAs lie; each is chosen by the check's seed unless it says so */
enum dma_layout {
	DMA_BY_SEED, /* one of those below, by t_random() */
	DMA_LINEAR,  /* IOVA = base + offset in the arena, base 256 MiB */
	DMA_SHIFTED, /* pages of the memfd in an order unlike the IOVAs', base not a power of two */
	DMA_FRAGMENTED, /* as shifted, and every page of an allocation is mapped by a call of its
			   own */
	DMA_HIGH,	/* as linear, from just below 4 GiB (but the MSI window) to above it */
	DMA_LAYOUTS
};

/**
 * struct dma_options - beside the parent; zero is a good choice for each
 * @size:   arena, bytes; 0: 16 MiB (sparse: only touched pages cost memory)
 * @layout: where IOVAs lie
 * @asid:   address space that everything is mapped into
 */
struct dma_options {
	size_t size;
	enum dma_layout layout;
	uint32_t asid;
};

/** struct dma_mem - an allocation: @size usable bytes, at @host here and at @iova for the device */
struct dma_mem {
	uint8_t *host;
	uint64_t iova;
	size_t size;
};

/** dma_open() - an empty arena for the check's parent; @opts may be NULL. Closed by dma_close(). */
struct dma *dma_open(struct test *t, const struct dma_options *opts);

/** dma_close() - unmap everything from the parent and free it; NULL does nothing */
void dma_close(struct dma *dma);

enum dma_layout dma_layout(const struct dma *dma);
const char *dma_layout_name(enum dma_layout layout);

/**
 * dma_alloc() - poisoned memory, mapped for reading and writing
 * @align: power of two, at most 4096; of both host address and IOVA
 */
struct dma_mem dma_alloc(struct dma *dma, size_t size, size_t align);

/** dma_alloc_pages() - as dma_alloc(), a whole number of pages that nothing else shares */
struct dma_mem dma_alloc_pages(struct dma *dma, size_t pages);

enum { DMA_PROT_READ = 1, DMA_PROT_WRITE = 2 };

/** dma_alloc_prot() - as dma_alloc_pages(), mapped with @prot (DMA_PROT_*; 0: not mapped at all) */
struct dma_mem dma_alloc_prot(struct dma *dma, size_t pages, unsigned int prot);

/**
 * dma_unmap(), dma_map() - take the pages of an allocation away from the device and give them back
 *
 * Contents stay, the host side stays mapped here. A late DMA after dma_unmap() shows as a change of
 * the memory (dma_snapshot()) or as a fault of the parent.
 */
int dma_unmap(struct dma *dma, const struct dma_mem *mem);
int dma_map(struct dma *dma, const struct dma_mem *mem, unsigned int prot);

/** dma_map_at() - a second IOVA for the pages of an allocation; unmap with parent_dma_unmap() */
int dma_map_at(struct dma *dma, const struct dma_mem *mem, uint64_t iova, unsigned int prot);

/**
 * dma_move() - give the pages of an allocation other memory behind the same IOVA: unmap, copy to
 * fresh pages of the memfd, map. The host address of the allocation stays too; the old pages are
 * returned by @old (poisoned, mapped here only), in which a late write shows.
 */
int dma_move(struct dma *dma, const struct dma_mem *mem, struct dma_mem *old);

/** dma_unmapped_iova() - an IOVA of @size bytes where nothing is mapped, for hostile descriptors */
uint64_t dma_unmapped_iova(struct dma *dma, size_t size);

/** dma_host() - where the device's [@iova, @iova + @len) lies here; NULL: not in this arena */
void *dma_host(struct dma *dma, uint64_t iova, size_t len);

/** dma_iova() - the other way; UINT64_MAX if @host is not in an allocation */
uint64_t dma_iova(struct dma *dma, const void *host);

/** dma_top() - end (exclusive) of the highest allocation: what a dirty log from 0 has to cover */
uint64_t dma_top(const struct dma *dma);

/** dma_poison() - fill with the poison of these pages; dma_poisoned(): is every byte still poison?
 */
void dma_poison(struct dma *dma, void *host, size_t len);
bool dma_poisoned(struct dma *dma, const void *host, size_t len);

/** dma_check() - fail the check if the slack around an allocation was written to */
void dma_check(struct dma *dma);

/* ---- What changed ------------------------------------------------------------------------- */

struct dma_snapshot;

/** dma_snapshot() - remember the contents of all allocations (or of @mem alone) */
struct dma_snapshot *dma_snapshot(struct dma *dma, const struct dma_mem *mem);
void dma_snapshot_free(struct dma_snapshot *snap);

/** dma_snapshot_update() - remember what [@host, @host + @len) holds now: the driver wrote it */
void dma_snapshot_update(struct dma_snapshot *snap, const void *host, size_t len);

/**
 * dma_changed() - 4 KiB pages of IOVA that differ from the snapshot
 * @iovas: gets at most @max page addresses, ascending; NULL to count only
 * Return: how many differ.
 */
size_t dma_changed(const struct dma_snapshot *snap, uint64_t *iovas, size_t max);

/** dma_same() - are these bytes as they were when the snapshot was taken? */
bool dma_same(const struct dma_snapshot *snap, const void *host, size_t len);

/* ---- Dirty log ---------------------------------------------------------------------------- */

/**
 * struct dma_log - a bitmap that the device marks: bit n of it is the page at IOVA n * 4096
 *
 * Allocated from the arena; allocate everything that is to be logged first. Bytes behind the log
 * are poisoned and must stay so.
 */
struct dma_log {
	struct dma_mem mem;
	uint64_t pages; /* that it covers */
};

/** dma_log_alloc() - a cleared log that covers all allocations so far */
struct dma_log dma_log_alloc(struct dma *dma);

/** dma_log_test() - is the page at @iova marked?; dma_log_count(): marked pages in all */
bool dma_log_test(const struct dma_log *log, uint64_t iova);
size_t dma_log_count(const struct dma_log *log);

/** dma_log_fetch() - exchange and clear atomically, a word at a time, ORing into @into (same size)
 */
void dma_log_fetch(struct dma_log *log, uint8_t *into);

#endif
