/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The structures of a modern virtio function (VIRTIO 4.1.4): common configuration, ISR, device
 * configuration, notification, PCI configuration access
 *
 * How it works. All structures lie in one BAR, each on pages of its own, the notification area
 * last, so that a client may map just that. virtio_regs.c lays them out, announces them by vendor
 * capabilities and sends an access to the right one; virtio_common.c is the common configuration;
 * virtio_irq.c is ISR, vectors and the interrupts that the device sends up. What vendors do
 * differently with the same registers is data in struct virtio_variant.
 *
 * Widths. A register answers an aligned access of its own width; a 64-bit register answers as two
 * 32-bit halves, and whole; device configuration is bytes and answers any aligned access.
 * Everything else (odd widths, holes, beyond the structure) reads as all-ones and ignores writes.
 */
#ifndef VN_VIRTIO_REGS_H
#define VN_VIRTIO_REGS_H

#include <string.h>

#include "personality.h"

struct virtio_regs;

/**
 * struct virtio_variant - what a vendor does differently
 * @enable_zero_stops:   queue_enable = 0 stops the queue, and reads 1 until it has stopped
 * @reset_keeps_vectors: device_status = 0 leaves the vectors alone (a function-level reset does
 * not)
 * @device_reset:        device_status = 0 was written; NULL if it touches no registers but these
 */
struct virtio_variant {
	bool enable_zero_stops;
	bool reset_keeps_vectors;
	void (*device_reset)(struct virtio_regs *regs);
};

struct virtio_window {
	uint32_t offset, length;
};

struct virtio_regs {
	struct personality base;
	const struct virtio_variant *variant;
	struct personality_env env;
	struct virtio_dev *dev;

	/* layout */
	unsigned int bar;
	uint64_t bar_size;
	struct virtio_window common, isr_window, device, notify;
	uint32_t multiplier;
	unsigned int pci_cap; /* offset of the PCI configuration access capability */
	unsigned int num_queues;

	/* registers */
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select;
	uint16_t config_vector;
	uint16_t *queue_vector;
	uint8_t isr;

	/* doorbell pages that the client may map */
	int doorbell_fd;
	uint8_t *doorbell_page;

	/* what a seeded defect remembers */
	bool *enable_latch;
};

/**
 * virtio_regs_init() - lay the structures out in @bar, announce them, create the device
 *
 * Return: 0; -EINVAL the profile asks for what can't be (with a sentence), -ENOSPC, -ENOMEM, or
 * what vdev_create() returns. @regs needs virtio_regs_fini() in any case.
 */
int virtio_regs_init(struct virtio_regs *regs, const struct personality_ops *ops,
		     const struct virtio_variant *variant, unsigned int bar,
		     const struct personality_env *env, struct vqnic_error *err);
void virtio_regs_fini(struct virtio_regs *regs);

void virtio_regs_read(struct virtio_regs *regs, uint64_t off, void *buf, size_t len);
void virtio_regs_write(struct virtio_regs *regs, uint64_t off, const void *buf, size_t len);

/* Operations of a personality that embeds a struct virtio_regs first. */
void virtio_regs_reset(struct personality *p);
struct virtio_dev *virtio_regs_device(struct personality *p);
unsigned int virtio_regs_poll_doorbells(struct personality *p);
void virtio_regs_mmap(struct personality *p, unsigned int bar, struct vqnic_region_info *info);

/* virtio_common.c; @off and @len were checked to be aligned and inside the structure */
void virtio_common_read(struct virtio_regs *regs, uint32_t off, void *buf, size_t len);
void virtio_common_write(struct virtio_regs *regs, uint32_t off, const void *buf, size_t len);

/** virtio_common_reset() - registers of the common configuration after device_status = 0 */
void virtio_common_reset(struct virtio_regs *regs);

/* virtio_irq.c */
extern const struct vdev_up virtio_irq_up;

/** virtio_isr_read() - read and clear ISR */
uint8_t virtio_isr_read(struct virtio_regs *regs);
void virtio_isr_clear(struct virtio_regs *regs);

/** virtio_vector_store() - keep a vector if the table has it, else NO_VECTOR */
void virtio_vector_store(struct virtio_regs *regs, uint16_t *where, uint16_t vector);
void virtio_vectors_reset(struct virtio_regs *regs);

/* What an access that nothing answers reads. */
static inline void virtio_regs_ones(void *buf, size_t len)
{
	memset(buf, 0xff, len);
}

static inline bool virtio_defect(const struct virtio_regs *regs, enum defect_id id)
{
	return defect_on(regs->env.device.defects, id);
}

#endif
