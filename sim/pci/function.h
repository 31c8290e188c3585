/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI function: configuration space, BARs, vectors, DMA space
 *
 * How it works. function.c owns what every function has (type 0 header, capability list, MSI-X,
 * PCI Express with FLR, power management, BAR sizing, INTx) and calls a personality for its BARs.
 */
#ifndef VN_FUNCTION_H
#define VN_FUNCTION_H

#include "../device/device.h"
#include "../fabric/translation.h"
#include "../profile.h"
#include "../vqnic.h"

struct function;

/** struct function_env - what a function stands on; borrowed, outlives it */
struct function_env {
	unsigned int index;
	struct fabric *fab;
	const struct defect_set *defects;
	const struct profile *profile;
	struct port *port;
};

/**
 * function_create() - a function as its profile says, in its reset state
 *
 * Return: 0; -ENOMEM; -EINVAL the profile asks for what can't be, with a sentence in @err.
 */
int function_create(const struct function_env *env, struct function **fn, struct vqnic_error *err);

/** function_destroy() - end it at once: in-flight work is cancelled, maps and eventfds are released
 */
void function_destroy(struct function *fn);

/* The calls of vqnic.h of the same names, for one function. */
int function_region_info(struct function *fn, unsigned int region, struct vqnic_region_info *info);
int function_region_read(struct function *fn, unsigned int region, uint64_t off, void *buf,
			 size_t len);
int function_region_write(struct function *fn, unsigned int region, uint64_t off, const void *buf,
			  size_t len);
int function_reset(struct function *fn);
int function_detach(struct function *fn);
int function_irq_count(struct function *fn, unsigned int index);
int function_irq_set_eventfd(struct function *fn, unsigned int index, unsigned int vector, int fd);
int function_irq_mask(struct function *fn, unsigned int index, unsigned int vector, bool masked);
int function_irq_trigger(struct function *fn, unsigned int index, unsigned int vector);
int function_dma_map(struct function *fn, const struct vqnic_dma_map *map);
int function_dma_unmap(struct function *fn, uint32_t asid, uint64_t iova, uint64_t size,
		       uint64_t *unmapped);
struct iova_space *function_space(struct function *fn, uint32_t asid);
struct virtio_dev *function_device(struct function *fn);

/**
 * function_poll_doorbells() - look at the doorbell pages that a client may map (profile key
 * pci.notify_mmap)
 *
 * Nothing else tells of them, so a live loop has to call it without sleeping for as long as
 * function_has_doorbell_pages(). Return: doorbells found rung.
 */
unsigned int function_poll_doorbells(struct function *fn);
bool function_has_doorbell_pages(const struct function *fn);

#endif
