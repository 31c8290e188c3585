/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MSI-X: vector to eventfd
 *
 * How it works. Table, masks and pending bits belong to the VFIO client (QEMU emulates them, a
 * kernel driver behind it never reaches ours). So a vector is an eventfd here and nothing else;
 * what the driver side reads and writes in the table's place is memory without effect.
 */
#ifndef VN_MSIX_H
#define VN_MSIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "irqfd.h"

struct msix {
	struct irqfd *listeners;
	uint8_t *memory; /* BAR image: table, then PBA */
	uint64_t size;
	uint32_t pba;
	unsigned int vectors;
	bool enabled; /* as the driver wrote it into configuration space */
};

/** msix_init() - @vectors, 1 to 2048, nobody listening; -ENOMEM, -EINVAL */
int msix_init(struct msix *msix, unsigned int vectors);
void msix_fini(struct msix *msix);

/** msix_reset() - the table as after a reset (all masked); listeners stay, they are the client's */
void msix_reset(struct msix *msix);

/** msix_deafen() - take every listener away */
void msix_deafen(struct msix *msix);

/** msix_fire() - a struct fab_irq's fire(): @ctx is a struct msix */
void msix_fire(void *ctx, unsigned int vector);

void msix_bar_read(const struct msix *msix, uint64_t off, void *buf, size_t len);
void msix_bar_write(struct msix *msix, uint64_t off, const void *buf, size_t len);

#endif
