/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the mini drivers stand on: a PCI function's regions, memory and interrupts
 *
 * sim:, vfio-user: (and later vfio:) provide this table; driver/virtio_pci.c and driver/ifcvf.c
 * implement parent operations over it. Regions are VFIO's: BAR 0 to 5, 7 configuration space.
 */
#ifndef VC_PCI_ACCESS_H
#define VC_PCI_ACCESS_H

#include <stddef.h>
#include <stdint.h>

#include "parent.h"

enum { PCI_REGION_CONFIG = 7 };

struct pci_access {
	void *ctx;
	/* @len is 1, 2, 4 or 8 for registers; any length for configuration space */
	int (*read)(void *ctx, unsigned int region, uint64_t off, void *buf, uint32_t len);
	int (*write)(void *ctx, unsigned int region, uint64_t off, const void *buf, uint32_t len);
	int (*region_size)(void *ctx, unsigned int region, uint64_t *size);
	int (*irq_count)(void *ctx, unsigned int index);
	int (*set_irq)(void *ctx, unsigned int index, unsigned int vector, int eventfd);
	int (*dma_map)(void *ctx, const struct parent_dma *map);
	int (*dma_unmap)(void *ctx, uint32_t asid, uint64_t iova, uint64_t size);
	int (*reset)(void *ctx); /* function-level or device reset from outside */
	/* polled while waiting for a register to change; as parent_ops.pump */
	int (*pump)(void *ctx);
};

static inline int pci_read(const struct pci_access *a, unsigned int region, uint64_t off, void *buf,
			   uint32_t len)
{
	return a->read(a->ctx, region, off, buf, len);
}

static inline int pci_write(const struct pci_access *a, unsigned int region, uint64_t off,
			    const void *buf, uint32_t len)
{
	return a->write(a->ctx, region, off, buf, len);
}

#endif
