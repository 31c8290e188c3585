/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A personality: what the BARs of a function look like and which capabilities say so
 *
 * How it works. function.c owns what every function has and hands a personality what it needs to
 * lay out its registers. The personality creates the virtio device below it, since it is the room
 * above that the device's interrupts travel up to.
 */
#ifndef VN_PERSONALITY_H
#define VN_PERSONALITY_H

#include "../device/device.h"
#include "../profile.h"
#include "config_space.h"
#include "intx.h"
#include "msix.h"

struct personality_ops;

/** struct personality - common part; register maps embed it first */
struct personality {
	const struct personality_ops *ops;
};

/** struct personality_env - what a personality stands on; all borrowed, outlive it */
struct personality_env {
	struct vdev_env device;
	struct config_space *config;
	struct msix *msix;
	struct intx *intx;
};

/**
 * struct personality_ops - one register map
 * @create:    add BARs and capabilities to the configuration space (BAR 2 is MSI-X's) and create
 *             the device; -ENOMEM, -EINVAL with a sentence, -ENOSPC no room for the capabilities
 * @reset:     a function-level reset: its registers to their defaults; the device was reset before
 * @bar_read:  a BAR other than MSI-X's; the range was checked against its size. @len is 1, 2, 4 or
 *             8 and the access is aligned. What is not there reads as all-ones.
 * @poll_doorbells: look at doorbell pages that the client has mapped; returns how many were rung
 * @mmap:      add the parts of @bar that a client may map
 */
struct personality_ops {
	const char *name;
	int (*create)(const struct personality_env *env, struct personality **p,
		      struct vqnic_error *err);
	void (*destroy)(struct personality *p);
	void (*reset)(struct personality *p);
	struct virtio_dev *(*device)(struct personality *p);
	void (*bar_read)(struct personality *p, unsigned int bar, uint64_t off, void *buf,
			 size_t len);
	void (*bar_write)(struct personality *p, unsigned int bar, uint64_t off, const void *buf,
			  size_t len);
	unsigned int (*poll_doorbells)(struct personality *p);
	void (*mmap)(struct personality *p, unsigned int bar, struct vqnic_region_info *info);
};

extern const struct personality_ops personality_virtio_pci, personality_ifcvf;

#endif
