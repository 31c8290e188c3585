/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Personality virtio-pci: a modern virtio function as the specification has it
 *
 * How it works. BAR 0 holds the structures of virtio_regs.c; there is nothing else.
 */
#include "virtio_regs.h"

#include <errno.h>
#include <stdlib.h>

#include "../util.h"

/* 4.1.4.3.2: a driver never writes 0 to queue_enable; device and queue reset are what stops. */
static const struct virtio_variant variant = {
	.enable_zero_stops = false,
	.reset_keeps_vectors = false,
};

static void virtio_pci_destroy(struct personality *p)
{
	struct virtio_regs *regs = container_of(p, struct virtio_regs, base);

	virtio_regs_fini(regs);
	free(regs);
}

static int virtio_pci_create(const struct personality_env *env, struct personality **out,
			     struct vqnic_error *err)
{
	struct virtio_regs *regs = calloc(1, sizeof(*regs));
	int ret;

	if (!regs)
		return -ENOMEM;
	ret = virtio_regs_init(regs, &personality_virtio_pci, &variant, 0, env, err);
	if (ret)
		virtio_pci_destroy(&regs->base);
	else
		*out = &regs->base;
	return ret;
}

static void virtio_pci_read(struct personality *p, unsigned int bar, uint64_t off, void *buf,
			    size_t len)
{
	(void)bar;
	virtio_regs_read(container_of(p, struct virtio_regs, base), off, buf, len);
}

static void virtio_pci_write(struct personality *p, unsigned int bar, uint64_t off, const void *buf,
			     size_t len)
{
	(void)bar;
	virtio_regs_write(container_of(p, struct virtio_regs, base), off, buf, len);
}

const struct personality_ops personality_virtio_pci = {
	.name = "virtio-pci",
	.create = virtio_pci_create,
	.destroy = virtio_pci_destroy,
	.reset = virtio_regs_reset,
	.device = virtio_regs_device,
	.bar_read = virtio_pci_read,
	.bar_write = virtio_pci_write,
	.poll_doorbells = virtio_regs_poll_doorbells,
	.mmap = virtio_regs_mmap,
};
