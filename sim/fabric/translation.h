/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IOVA database of one address space of a function
 *
 * How it works. Maps are disjoint intervals in a balanced tree (POSIX tsearch of libc serves),
 * each either mapped into this process or reached by messages. A one-entry cache answers the usual
 * look-up. Nothing outside a map is ever touched; a range may run over adjacent maps.
 */
#ifndef VN_TRANSLATION_H
#define VN_TRANSLATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../vqnic.h"

/**
 * struct iova_map - one interval
 * @host: where it is mapped in this process; NULL: reached by messages
 */
struct iova_map {
	uint64_t iova;
	uint64_t last; /* inclusive, so that the top of the address space can be mapped */
	uint8_t *host;
	uint32_t prot;
	void *base; /* what to munmap, shared by the halves of a split map */
};

struct iova_space;

int iova_space_create(unsigned int requester, uint32_t asid, unsigned int max_maps,
		      struct iova_space **space);
void iova_space_destroy(struct iova_space *space);

/** iova_space_map(), iova_space_unmap() - as vqnic_dma_map() and vqnic_dma_unmap() say */
int iova_space_map(struct iova_space *space, const struct vqnic_dma_map *map);
uint64_t iova_space_unmap(struct iova_space *space, uint64_t iova, uint64_t last);

/**
 * iova_space_find() - the map that holds @iova, or NULL
 * @prot: VQNIC_PROT_* that it must allow
 */
const struct iova_map *iova_space_find(struct iova_space *space, uint64_t iova, uint32_t prot);

/** iova_space_mapped() - is every byte of the range mapped with @prot? */
bool iova_space_mapped(struct iova_space *space, uint64_t iova, uint64_t len, uint32_t prot);


void iova_space_set_ops(struct iova_space *space, const struct vqnic_dma_ops *ops, void *ctx);
const struct vqnic_dma_ops *iova_space_ops(struct iova_space *space, void **ctx);

#endif
