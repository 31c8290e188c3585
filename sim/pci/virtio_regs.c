/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtio_regs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../spec.h"
#include "../util.h"

#define PAGE 0x1000u

/* Where the structures lie in the BAR. Drivers take any place; one page each is the simplest. */
#define COMMON_OFFSET 0x0000u
#define ISR_OFFSET    0x1000u
#define DEVICE_OFFSET 0x2000u
#define NOTIFY_OFFSET 0x4000u

#define ISR_LENGTH 4u

/*
 * Device configuration is followed by padding (4.1.4 allows it), which reads 0: Linux' vDPA core
 * reads all that a network device can have (24 bytes) whatever is offered, and ifcvf warns if that
 * is longer than the capability.
 */
#define DEVICE_LENGTH 64u

/* A mapped doorbell that nobody has rung; no queue has this number. */
#define DOORBELL_SILENT UINT32_MAX

static int refuse(const struct profile *profile, struct vqnic_error *err, const char *why)
{
	if (err)
		snprintf(err->text, sizeof(err->text), "profile '%s': %s", profile->name, why);
	return -EINVAL;
}

/* The structure ends behind the last register that an offered feature gives a meaning. */
static uint32_t common_length(uint64_t features)
{
	if (features & VN_BIT(VN_F_ADMIN_VQ))
		return VN_COMMON_SIZE;
	if (features & VN_BIT(VN_F_RING_RESET))
		return VN_COMMON_QUEUE_RESET + 2;
	if (features & VN_BIT(VN_F_NOTIF_CONFIG_DATA))
		return VN_COMMON_QUEUE_NOTIFY_DATA + 2;
	return VN_COMMON_QUEUE_NOTIFY_DATA;
}

static int lay_out(struct virtio_regs *regs, struct vqnic_error *err)
{
	const struct profile *profile = regs->env.device.profile;
	uint64_t features = vdev_device_features(regs->dev);
	uint32_t least = features & VN_BIT(VN_F_NOTIFICATION_DATA) ? 4 : 2;
	uint32_t multiplier = profile->notify_multiplier;
	uint32_t config = (vdev_config_size(regs->dev) + 3) & ~3u;
	uint64_t notify;

	/* 4.1.4.4.1: 0 or a power of two, wide enough for what a driver writes. */
	if (multiplier & (multiplier - 1) || (multiplier && multiplier < least))
		return refuse(
			profile, err,
			"pci.notify_multiplier must be 0 or a power of two of at least 2, or 4 "
			"where notification_data is offered");
	if (profile->notify_mmap && multiplier < sizeof(uint32_t))
		return refuse(profile, err,
			      "pci.notify_mmap needs a doorbell per queue: set "
			      "pci.notify_multiplier to 4 or more (4096 for a page each)");
	notify = (uint64_t)multiplier * regs->num_queues;
	if (notify > UINT32_MAX / 4)
		return refuse(profile, err,
			      "pci.notify_multiplier is too large: the doorbells of all queues "
			      "must fit 1 GiB");

	regs->multiplier = multiplier;
	regs->common = (struct virtio_window){COMMON_OFFSET, common_length(features)};
	regs->isr_window = (struct virtio_window){ISR_OFFSET, ISR_LENGTH};
	regs->device = (struct virtio_window){DEVICE_OFFSET,
					      config < DEVICE_LENGTH ? DEVICE_LENGTH : config};
	if (virtio_defect(regs, DEFECT_CONFIG_SIZE_SHORT))
		regs->device.length = offsetof(struct vn_net_config, speed);
	regs->notify = (struct virtio_window){NOTIFY_OFFSET, notify < 4 ? 4 : (uint32_t)notify};

	regs->bar_size = PAGE;
	while (regs->bar_size < (uint64_t)NOTIFY_OFFSET + regs->notify.length)
		regs->bar_size *= 2;
	config_add_bar(regs->env.config, regs->bar, regs->bar_size);
	return 0;
}

/* Return: offset of the capability or -ENOSPC. */
static int add_cap(struct virtio_regs *regs, uint8_t type, const struct virtio_window *window,
		   unsigned int extra)
{
	struct config_space *cs = regs->env.config;
	int cap = config_add_cap(cs, VN_PCI_CAP_VENDOR, VN_VIRTIO_CAP_SIZE + extra);
	unsigned int at = (unsigned int)cap;

	if (cap < 0)
		return cap;
	config_put(cs, at + 2, 1, VN_VIRTIO_CAP_SIZE + extra);
	config_put(cs, at + VN_VIRTIO_CAP_CFG_TYPE, 1, type);
	if (window) {
		config_put(cs, at + VN_VIRTIO_CAP_BAR, 1, regs->bar);
		config_put(cs, at + VN_VIRTIO_CAP_OFFSET, 4, window->offset);
		config_put(cs, at + VN_VIRTIO_CAP_LENGTH, 4, window->length);
	}
	return cap;
}

/* ---- PCI configuration access (4.1.4.9) ------------------------------------------------------ */

/* Does the capability describe a sound access to the BAR, and does the driver touch its data? */
static bool cfg_access(const struct virtio_regs *regs, unsigned int off, size_t len, uint32_t *at,
		       uint32_t *width)
{
	const struct config_space *cs = regs->env.config;
	unsigned int data = regs->pci_cap + VN_VIRTIO_CAP_EXTRA;

	*at = config_get(cs, regs->pci_cap + VN_VIRTIO_CAP_OFFSET, 4);
	*width = config_get(cs, regs->pci_cap + VN_VIRTIO_CAP_LENGTH, 4);
	if (*width != 1 && *width != 2 && *width != 4)
		return false;
	/* Somebody who copies the whole configuration space means no access. */
	if (len > 4 || off > data || off + len < data + *width)
		return false;
	return config_get(cs, regs->pci_cap + VN_VIRTIO_CAP_BAR, 1) == regs->bar &&
	       *at % *width == 0 && (uint64_t)*at + *width <= regs->bar_size;
}

static void cfg_before_read(void *ctx, unsigned int off, size_t len)
{
	struct virtio_regs *regs = ctx;
	uint32_t at, width;
	uint8_t value[4];

	if (!cfg_access(regs, off, len, &at, &width) ||
	    virtio_defect(regs, DEFECT_PCI_CFG_READ_STALE))
		return;
	virtio_regs_read(regs, at, value, width);
	memcpy(regs->env.config->data + regs->pci_cap + VN_VIRTIO_CAP_EXTRA, value, width);
}

static void cfg_written(void *ctx, unsigned int off, size_t len)
{
	struct virtio_regs *regs = ctx;
	uint32_t at, width;
	uint8_t value[4];

	if (!cfg_access(regs, off, len, &at, &width) ||
	    virtio_defect(regs, DEFECT_PCI_CFG_WRITE_DROPPED))
		return;
	memcpy(value, regs->env.config->data + regs->pci_cap + VN_VIRTIO_CAP_EXTRA, width);
	virtio_regs_write(regs, at, value, width);
}

static int announce(struct virtio_regs *regs)
{
	struct config_space *cs = regs->env.config;
	struct virtio_window notify = regs->notify, device = regs->device;
	struct config_hook hook = {
		.before_read = cfg_before_read,
		.written = cfg_written,
		.ctx = regs,
	};
	int cap;

	if (virtio_defect(regs, DEFECT_NOTIFY_CAP_SHORT) && regs->multiplier)
		notify.length = regs->multiplier;
	if (virtio_defect(regs, DEFECT_DEVICE_CAP_BEYOND_BAR))
		device.length = (uint32_t)regs->bar_size;

	cap = add_cap(regs, VN_CAP_COMMON, &regs->common, 0);
	if (cap < 0)
		return cap;
	cap = add_cap(regs, VN_CAP_NOTIFY, &notify, 4);
	if (cap < 0)
		return cap;
	config_put(cs, (unsigned int)cap + VN_VIRTIO_CAP_EXTRA, 4, regs->multiplier);
	cap = add_cap(regs, VN_CAP_ISR, &regs->isr_window, 0);
	if (cap < 0)
		return cap;
	cap = add_cap(regs, VN_CAP_DEVICE, &device, 0);
	if (cap < 0)
		return cap;

	cap = add_cap(regs, VN_CAP_PCI, NULL, 4);
	if (cap < 0)
		return cap;
	regs->pci_cap = (unsigned int)cap;
	config_allow(cs, regs->pci_cap + VN_VIRTIO_CAP_BAR, 1, 0xff);
	config_allow(cs, regs->pci_cap + VN_VIRTIO_CAP_OFFSET, 4, UINT32_MAX);
	config_allow(cs, regs->pci_cap + VN_VIRTIO_CAP_LENGTH, 4, UINT32_MAX);
	config_allow(cs, regs->pci_cap + VN_VIRTIO_CAP_EXTRA, 4, UINT32_MAX);
	hook.off = regs->pci_cap + VN_VIRTIO_CAP_EXTRA;
	hook.len = 4;
	return config_add_hook(cs, &hook);
}

/* ---- Doorbells ------------------------------------------------------------------------------- */

static void ring(struct virtio_regs *regs, uint32_t at, uint32_t value)
{
	unsigned int q = value & 0xffff;

	if (q >= regs->num_queues || at != q * regs->multiplier)
		return; /* no queue, or another one's doorbell */
	if (virtio_defect(regs, DEFECT_NOTIFY_DATA_IGNORED) && value >> 16)
		return;
	if (virtio_defect(regs, DEFECT_NOTIFY_PAIR_DOORBELL))
		q &= ~1u;
	vq_notify(vdev_vq(regs->dev, q));
}

static void notify_write(struct virtio_regs *regs, uint32_t at, const void *buf, size_t len)
{
	uint32_t value = 0;

	/*
	 * 16 bits are taken even where NOTIFICATION_DATA was negotiated: vhost-vdpa rings so
	 * whatever its user negotiated.
	 */
	if (len != 2 &&
	    !(len == 4 && (vdev_driver_features(regs->dev) & VN_BIT(VN_F_NOTIFICATION_DATA))))
		return;
	memcpy(&value, buf, len);
	ring(regs, at, value);
}

/*
 * A client that maps the doorbells writes memory; sealed, so that it can't be truncated under us.
 */
static int map_doorbells(struct virtio_regs *regs)
{
	size_t size = (regs->notify.length + PAGE - 1) & ~(size_t)(PAGE - 1);
	int fd = memfd_create("vqnic-doorbells", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *page;

	if (fd < 0)
		return -errno;
	regs->doorbell_fd = fd;
	if (ftruncate(fd, (off_t)regs->bar_size) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, regs->notify.offset);
	if (page == MAP_FAILED)
		return -errno;
	memset(page, 0xff, size);
	regs->doorbell_page = page;
	return 0;
}

static void unmap_doorbells(struct virtio_regs *regs)
{
	if (regs->doorbell_page)
		munmap(regs->doorbell_page, (regs->notify.length + PAGE - 1) & ~(size_t)(PAGE - 1));
	if (regs->doorbell_fd >= 0)
		close(regs->doorbell_fd);
}

unsigned int virtio_regs_poll_doorbells(struct personality *p)
{
	struct virtio_regs *regs = container_of(p, struct virtio_regs, base);
	unsigned int rung = 0;

	if (!regs->doorbell_page)
		return 0;
	for (unsigned int q = 0; q < regs->num_queues; q++) {
		uint32_t at = q * regs->multiplier;
		uint32_t *bell = (uint32_t *)(void *)(regs->doorbell_page + at);

		if (__atomic_load_n(bell, __ATOMIC_RELAXED) == DOORBELL_SILENT)
			continue;
		/* What was rung between the two looks is served by this notification as well. */
		ring(regs, at, __atomic_exchange_n(bell, DOORBELL_SILENT, __ATOMIC_ACQUIRE));
		rung++;
	}
	return rung;
}

void virtio_regs_mmap(struct personality *p, unsigned int bar, struct vqnic_region_info *info)
{
	struct virtio_regs *regs = container_of(p, struct virtio_regs, base);

	if (bar != regs->bar || !regs->doorbell_page)
		return;
	info->flags |= VQNIC_REGION_MMAP;
	info->fd = regs->doorbell_fd;
	info->nr_areas = 1;
	info->areas[0].offset = regs->notify.offset;
	info->areas[0].size = (regs->notify.length + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* ---- The BAR --------------------------------------------------------------------------------- */

static bool within(const struct virtio_window *window, uint64_t off, size_t len)
{
	return off >= window->offset && off - window->offset < window->length &&
	       len <= window->length - (off - window->offset);
}

void virtio_regs_read(struct virtio_regs *regs, uint64_t off, void *buf, size_t len)
{
	if (within(&regs->common, off, len)) {
		virtio_common_read(regs, (uint32_t)(off - regs->common.offset), buf, len);
	} else if (within(&regs->device, off, len)) {
		if (virtio_defect(regs, DEFECT_CONFIG_NARROW_READ_LANE) && len < 4)
			off &= ~UINT64_C(3);
		vdev_config_read(regs->dev, (uint32_t)(off - regs->device.offset), buf,
				 (uint32_t)len);
	} else if (off == regs->isr_window.offset && len == 1) {
		*(uint8_t *)buf = virtio_isr_read(regs);
	} else if (within(&regs->notify, off, len)) {
		memset(buf, 0, len); /* write-only */
	} else {
		virtio_regs_ones(buf, len);
	}
}

void virtio_regs_write(struct virtio_regs *regs, uint64_t off, const void *buf, size_t len)
{
	if (within(&regs->notify, off, len))
		notify_write(regs, (uint32_t)(off - regs->notify.offset), buf, len);
	else if (within(&regs->common, off, len))
		virtio_common_write(regs, (uint32_t)(off - regs->common.offset), buf, len);
	else if (within(&regs->device, off, len))
		vdev_config_write(regs->dev, (uint32_t)(off - regs->device.offset), buf,
				  (uint32_t)len);
}

struct virtio_dev *virtio_regs_device(struct personality *p)
{
	return container_of(p, struct virtio_regs, base)->dev;
}

void virtio_regs_reset(struct personality *p)
{
	struct virtio_regs *regs = container_of(p, struct virtio_regs, base);

	virtio_common_reset(regs);
	virtio_vectors_reset(regs);
	memset(regs->enable_latch, 0, regs->num_queues * sizeof(*regs->enable_latch));
}

int virtio_regs_init(struct virtio_regs *regs, const struct personality_ops *ops,
		     const struct virtio_variant *variant, unsigned int bar,
		     const struct personality_env *env, struct vqnic_error *err)
{
	int ret;

	memset(regs, 0, sizeof(*regs));
	regs->base.ops = ops;
	regs->variant = variant;
	regs->env = *env;
	regs->bar = bar;
	regs->doorbell_fd = -1;

	ret = vdev_create(&env->device, &virtio_irq_up, regs, &regs->dev);
	if (ret)
		return ret;
	regs->num_queues = vdev_num_queues(regs->dev);
	regs->queue_vector = calloc(regs->num_queues, sizeof(*regs->queue_vector));
	regs->enable_latch = calloc(regs->num_queues, sizeof(*regs->enable_latch));
	if (!regs->queue_vector || !regs->enable_latch)
		return -ENOMEM;
	ret = lay_out(regs, err);
	if (!ret)
		ret = announce(regs);
	if (!ret && env->device.profile->notify_mmap)
		ret = map_doorbells(regs);
	if (!ret)
		virtio_regs_reset(&regs->base);
	return ret;
}

void virtio_regs_fini(struct virtio_regs *regs)
{
	if (regs->dev)
		vdev_destroy(regs->dev);
	unmap_doorbells(regs);
	free(regs->queue_vector);
	free(regs->enable_latch);
}
