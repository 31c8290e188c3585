/* SPDX-License-Identifier: BSD-3-Clause */
#include "msix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pci_spec.h"

#define VECTOR_CONTROL 12u
#define SMALL_PBA      0x800u /* where there is room for it in the table's page */
#define PAGE	       0x1000u

int msix_init(struct msix *msix, unsigned int vectors)
{
	uint32_t table = vectors * VN_MSIX_ENTRY;

	memset(msix, 0, sizeof(*msix));
	if (vectors == 0 || vectors > VN_MSIX_VECTORS_MAX)
		return -EINVAL;
	msix->pba = table <= SMALL_PBA ? SMALL_PBA : (table + PAGE - 1) & ~(PAGE - 1);
	msix->size = PAGE;
	while (msix->size < msix->pba + (vectors + 63) / 64 * 8)
		msix->size *= 2;
	msix->listeners = calloc(vectors, sizeof(*msix->listeners));
	msix->memory = calloc(1, msix->size);
	if (!msix->listeners || !msix->memory) {
		msix_fini(msix);
		return -ENOMEM;
	}
	msix->vectors = vectors;
	for (unsigned int i = 0; i < vectors; i++)
		msix->listeners[i] = IRQFD_NONE;
	msix_reset(msix);
	return 0;
}

void msix_fini(struct msix *msix)
{
	msix_deafen(msix);
	free(msix->listeners);
	free(msix->memory);
	memset(msix, 0, sizeof(*msix));
}

void msix_reset(struct msix *msix)
{
	memset(msix->memory, 0, msix->size);
	for (unsigned int i = 0; i < msix->vectors; i++)
		msix->memory[i * VN_MSIX_ENTRY + VECTOR_CONTROL] = 1;
	msix->enabled = false;
}

void msix_deafen(struct msix *msix)
{
	for (unsigned int i = 0; i < msix->vectors; i++)
		irqfd_set(&msix->listeners[i], -1);
}

void msix_fire(void *ctx, unsigned int vector)
{
	struct msix *msix = ctx;

	if (vector < msix->vectors)
		irqfd_fire(&msix->listeners[vector]);
}

void msix_bar_read(const struct msix *msix, uint64_t off, void *buf, size_t len)
{
	memcpy(buf, msix->memory + off, len);
}

void msix_bar_write(struct msix *msix, uint64_t off, const void *buf, size_t len)
{
	uint64_t end = (uint64_t)msix->vectors * VN_MSIX_ENTRY;

	/* The PBA is read-only; what lies behind the table is nothing. */
	if (off >= end)
		return;
	memcpy(msix->memory + off, buf, len < end - off ? len : end - off);
}
