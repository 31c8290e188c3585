/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IOVA database of one address space of a function
 *
 * How it works. Maps are disjoint intervals in a balanced tree (tsearch of libc serves), each
 * either mapped into this process or reached by messages. A small cache indexed by page answers the
 * usual look-up; it empties itself when maps go away. Memory is mapped by file, not by interval
 * (backing.c): a client behind an IOMMU maps tens of thousands of single pages of one file.
 * Nothing outside a map is ever touched; an access may run over adjacent maps.
 */
#ifndef VN_TRANSLATION_H
#define VN_TRANSLATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../vqnic.h"
#include "backing.h"

/**
 * struct iova_map - one interval
 * @last: inclusive, so that the top of the address space can be mapped
 * @host: where it is in this process; NULL: reached by messages
 */
struct iova_map {
	uint64_t iova;
	uint64_t last;
	uint8_t *host;
	uint32_t prot;
	struct backing *backing;
};

#define IOVA_CACHE 1024u

struct iova_space {
	void *tree;
	unsigned int maps, max_maps;
	unsigned int requester;
	uint32_t asid;
	struct backing_set *backings;
	struct iova_map *hit;
	struct {
		uint64_t page;
		struct iova_map *map;
	} cache[IOVA_CACHE];
	const struct vqnic_dma_ops *msg;
	void *msg_ctx;
	struct txn_queue *txns; /* accesses under way; the fabric's */
	bool wrote;		/* direct.c: a store was not yet fenced */
};

int iova_space_create(unsigned int requester, uint32_t asid, unsigned int max_maps,
		      struct iova_space **space);
void iova_space_destroy(struct iova_space *space);

/** iova_space_map() - as vqnic_dma_map() says */
int iova_space_map(struct iova_space *space, const struct vqnic_dma_map *map);

/** iova_space_unmap() - forget [@iova, @last]; maps that reach beyond are trimmed or split; bytes
 */
uint64_t iova_space_unmap(struct iova_space *space, uint64_t iova, uint64_t last);

/** iova_space_lookup() - the map that holds @iova, or NULL; does not look at the cache */
struct iova_map *iova_space_lookup(struct iova_space *space, uint64_t iova);

/** iova_space_find() - the map that holds @iova and allows @prot (VQNIC_PROT_*), or NULL */
static inline const struct iova_map *iova_space_find(struct iova_space *space, uint64_t iova,
						     uint32_t prot)
{
	uint64_t page = iova >> 12;
	struct iova_map *map = space->hit;

	if (!map || iova < map->iova || iova > map->last) {
		unsigned int i = (unsigned int)(page % IOVA_CACHE);

		map = space->cache[i].map;
		if (!map || space->cache[i].page != page || iova < map->iova || iova > map->last) {
			map = iova_space_lookup(space, iova);
			if (!map)
				return NULL;
			space->cache[i].page = page;
			space->cache[i].map = map;
		}
		space->hit = map;
	}
	return (map->prot & prot) == prot ? map : NULL;
}

void iova_space_set_ops(struct iova_space *space, const struct vqnic_dma_ops *ops, void *ctx);

#endif
