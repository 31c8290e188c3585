/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Status, features, configuration space, reset
 *
 * How it works. Writing 0 to status aborts all queues; packets are forgotten, accesses that are
 * under way end, and once none is left the device is as new and status reads 0. Where nothing was
 * under way that is at once. vdev_reset() does the same in no simulated time by revoking them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../fabric/translation.h"
#include "internal.h"

int vdev_create(const struct vdev_env *env, const struct vdev_up *up, void *up_ctx,
		struct virtio_dev **out)
{
	struct virtio_dev *dev = calloc(1, sizeof(*dev));
	int err;

	if (!dev)
		return -ENOMEM;
	dev->env = *env;
	dev->up = up;
	dev->up_ctx = up_ctx;
	dev->features = env->profile->features;
	dev->counters = port_counters(env->port);
	dev->log.fab = env->fab;
	dev->log.space = env->spaces[0];
	dev->log.defects = env->defects;
	dev->nvqs =
		2 * env->profile->queue_pairs + (dev->features & VN_BIT(VN_NET_F_CTRL_VQ) ? 1 : 0);
	dev->vqs = calloc(dev->nvqs, sizeof(*dev->vqs));
	err = dev->vqs ? 0 : -ENOMEM;
	for (unsigned int i = 0; !err && i < dev->nvqs; i++)
		err = vq_init(&dev->vqs[i], dev, i);
	if (!err)
		err = net_init(dev);
	if (err) {
		vdev_destroy(dev);
		return err;
	}
	vdev_reset(dev);
	*out = dev;
	return 0;
}

void vdev_destroy(struct virtio_dev *dev)
{
	if (!dev)
		return;
	for (unsigned int i = 0; i < dev->env.nspaces; i++)
		fab_revoke(dev->env.fab, dev->env.spaces[i], 0, UINT64_MAX, true);
	net_fini(dev);
	for (unsigned int i = 0; dev->vqs && i < dev->nvqs; i++)
		vq_fini(&dev->vqs[i]);
	free(dev->vqs);
	free(dev);
}

uint32_t vdev_id(const struct virtio_dev *dev)
{
	(void)dev;
	return VN_ID_NET;
}

/* ---- Reset ----------------------------------------------------------------------------------- */

/* Nothing is under way: everything back to its default (2.4). */
static void defaults(struct virtio_dev *dev)
{
	bool ran = dev->status & VN_S_DRIVER_OK;

	dev->resetting = false;
	dev->status &= VN_S_NEEDS_RESET;
	if (!defect_on(dev->env.defects, DEFECT_NEEDS_RESET_SURVIVES))
		dev->status = 0;
	if (!defect_on(dev->env.defects, DEFECT_RESET_KEEPS_FEATURES))
		dev->driver_features = 0;
	if (!defect_on(dev->env.defects, DEFECT_LOG_SURVIVES_RESET))
		dev->log.on = false;
	for (unsigned int i = 0; i < dev->nvqs; i++) {
		struct vq_pos pos = dev->vqs[i].pos;

		if (defect_on(dev->env.defects, DEFECT_RESET_NEEDS_DRIVER_OK) && !ran &&
		    dev->vqs[i].enabled)
			continue;
		vq_defaults(&dev->vqs[i]);
		if (defect_on(dev->env.defects, DEFECT_RESET_KEEPS_POSITION))
			dev->vqs[i].pos = pos;
	}
	net_reset(dev);
}

static bool all_stopped(const struct virtio_dev *dev)
{
	for (unsigned int i = 0; i < dev->nvqs; i++)
		if (dev->vqs[i].dp.state != DP_STOPPED)
			return false;
	return true;
}

void vdev_queue_stopped(struct virtio_dev *dev)
{
	if (dev->resetting && all_stopped(dev))
		defaults(dev);
}

static void begin_reset(struct virtio_dev *dev)
{
	if (dev->resetting)
		return;
	if (dev->status & VN_S_NEEDS_RESET && defect_on(dev->env.defects, DEFECT_BROKEN_STAYS))
		return;
	dev->resetting = true;
	if (defect_on(dev->env.defects, DEFECT_RESET_LEAVES_QUEUES_RUNNING)) {
		dev->resetting = false;
		dev->status = 0;
		return;
	}
	if (defect_on(dev->env.defects, DEFECT_RESET_DROPS_MAPPINGS))
		iova_space_unmap(dev->env.spaces[0], 0, UINT64_MAX);
	for (unsigned int i = 0; i < dev->nvqs; i++) {
		struct dp_queue *q = &dev->vqs[i].dp;

		if (defect_on(dev->env.defects, DEFECT_RESET_STUCK) && q->rx &&
		    q->role->inflight(q))
			return;
		dp_abort(q);
	}
	vdev_queue_stopped(dev);
}

void vdev_reset(struct virtio_dev *dev)
{
	for (unsigned int i = 0; i < dev->env.nspaces; i++)
		fab_revoke(dev->env.fab, dev->env.spaces[i], 0, UINT64_MAX, true);
	for (unsigned int i = 0; i < dev->nvqs; i++)
		dp_kill(&dev->vqs[i].dp);
	defaults(dev);
}

/* ---- Status ---------------------------------------------------------------------------------- */

uint8_t vdev_status(const struct virtio_dev *dev)
{
	/* the highest bit that is set */
	if (defect_on(dev->env.defects, DEFECT_STATUS_LAST_BIT_ONLY) && dev->status)
		return (uint8_t)(1u << (31 - __builtin_clz(dev->status)));
	return dev->status;
}

/* A driver may only take what was offered; some features mean nothing without others. */
static bool features_acceptable(struct virtio_dev *dev)
{
	if (defect_on(dev->env.defects, DEFECT_FEATURES_OK_ALWAYS))
		return net_negotiated(dev) || true;
	if (dev->driver_features & ~dev->features)
		return false;
	if (!(dev->driver_features & VN_BIT(VN_F_VERSION_1))) /* no legacy interface here */
		return false;
	if (defect_on(dev->env.defects, DEFECT_FEATURES_NEED_MRG) &&
	    !(dev->driver_features & VN_BIT(VN_NET_F_MRG_RXBUF)))
		return false;
	return net_negotiated(dev);
}

static bool agree(struct virtio_dev *dev)
{
	if (defect_on(dev->env.defects, DEFECT_FEATURES_REFUSAL_STICKS) && dev->refused)
		return false;
	if (!features_acceptable(dev)) {
		dev->refused = true;
		return false;
	}
	if (!dev->first_agreed)
		dev->first_agreed = dev->driver_features;
	return true;
}

void vdev_set_status(struct virtio_dev *dev, uint8_t status)
{
	uint8_t before = dev->status, set;

	if (!status) {
		begin_reset(dev);
		return;
	}
	if (dev->resetting)
		return;
	/* Bits are never cleared but by a reset. */
	set = (uint8_t)(status & ~before);
	dev->status |= (uint8_t)(set & (VN_S_ACKNOWLEDGE | VN_S_DRIVER | VN_S_FAILED));
	if ((set & VN_S_FEATURES_OK) && agree(dev))
		dev->status |= VN_S_FEATURES_OK;
	if (!(set & VN_S_DRIVER_OK))
		return;
	if (!(dev->status & VN_S_FEATURES_OK))
		return;
	dev->status |= VN_S_DRIVER_OK;
	for (unsigned int i = 0; i < dev->nvqs; i++) {
		if (defect_on(dev->env.defects, DEFECT_STARTS_FIRST_PAIR_ONLY) && i > 1 &&
		    i < 2 * dev->net.pairs_max)
			continue;
		vq_start_if_ready(&dev->vqs[i]);
	}
}

void vdev_needs_reset(struct virtio_dev *dev)
{
	if (dev->status & VN_S_NEEDS_RESET || dev->resetting)
		return;
	dev->status |= VN_S_NEEDS_RESET;
	/* 2.1.2: after DRIVER_OK the driver is told by a configuration change. */
	if (dev->status & VN_S_DRIVER_OK && !defect_on(dev->env.defects, DEFECT_NEEDS_RESET_NO_IRQ))
		dev->up->config_irq(dev->up_ctx);
}

/* ---- Features -------------------------------------------------------------------------------- */

uint64_t vdev_device_features(const struct virtio_dev *dev)
{
	uint64_t offer = dev->features;

	if (defect_on(dev->env.defects, DEFECT_OFFERS_UNSUPPORTED))
		offer |= VN_BIT(VN_F_IN_ORDER);
	if (defect_on(dev->env.defects, DEFECT_OFFERS_RESERVED))
		offer |= VN_BIT(44);
	if (defect_on(dev->env.defects, DEFECT_OFFERS_SR_IOV))
		offer |= VN_BIT(37);
	if (defect_on(dev->env.defects, DEFECT_OFFERS_NO_VERSION_1))
		offer &= ~VN_BIT(VN_F_VERSION_1);
	if (defect_on(dev->env.defects, DEFECT_OFFERS_WITHOUT_PREREQUISITE))
		offer &= ~VN_BIT(VN_NET_F_GUEST_CSUM);
	if (defect_on(dev->env.defects, DEFECT_OFFER_SHRINKS) && dev->first_agreed)
		offer &= dev->first_agreed;
	return offer;
}

uint64_t vdev_driver_features(const struct virtio_dev *dev)
{
	return dev->driver_features;
}

void vdev_set_driver_features(struct virtio_dev *dev, unsigned int half, uint32_t value)
{
	unsigned int shift = 32 * half;

	if (half > 1)
		return;
	if (dev->status & VN_S_FEATURES_OK &&
	    !defect_on(dev->env.defects, DEFECT_FEATURES_CHANGE_LATE))
		return;
	dev->driver_features &= ~((uint64_t)UINT32_MAX << shift);
	dev->driver_features |= (uint64_t)value << shift;
}

/* ---- Configuration space --------------------------------------------------------------------- */

uint32_t vdev_config_size(const struct virtio_dev *dev)
{
	return net_config_size(dev);
}

uint8_t vdev_config_generation(const struct virtio_dev *dev)
{
	return dev->generation;
}

void vdev_config_read(struct virtio_dev *dev, uint32_t off, void *buf, uint32_t len)
{
	uint32_t size = net_config_size(dev), part = 0;

	memset(buf, 0, len);
	if (off < size)
		part = len < size - off ? len : size - off;
	net_config_read(dev, off, buf, part);
	if (defect_on(dev->env.defects, DEFECT_CONFIG_LAST_BYTE_LOST) && off + part == size && part)
		((uint8_t *)buf)[part - 1] = dev->net.residue;
	if (part)
		dev->net.residue = ((const uint8_t *)buf)[0];
	if (defect_on(dev->env.defects, DEFECT_CONFIG_NEEDS_FEATURES_OK) &&
	    !(dev->status & VN_S_FEATURES_OK))
		memset(buf, 0, len);
}

void vdev_config_write(struct virtio_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	net_config_write(dev, off, buf, len);
}

void vdev_config_touched(struct virtio_dev *dev)
{
	if (!defect_on(dev->env.defects, DEFECT_GENERATION_STUCK))
		dev->generation++;
}

void vdev_config_changed(struct virtio_dev *dev)
{
	vdev_config_touched(dev);
	if (defect_on(dev->env.defects, DEFECT_RESET_CONFIG_IRQ))
		dev->up->config_irq(dev->up_ctx);
	else if (dev->status & VN_S_DRIVER_OK &&
		 !defect_on(dev->env.defects, DEFECT_CONFIG_IRQ_MISSING))
		dev->up->config_irq(dev->up_ctx);
}

/* ---- Queues and the rest --------------------------------------------------------------------- */

unsigned int vdev_num_queues(const struct virtio_dev *dev)
{
	return dev->nvqs;
}

struct vq *vdev_vq(struct virtio_dev *dev, unsigned int index)
{
	return index < dev->nvqs ? &dev->vqs[index] : NULL;
}

void vdev_set_queue_pairs(struct virtio_dev *dev, unsigned int pairs)
{
	if (pairs <= dev->net.pairs_max)
		dev->net.pairs_register = pairs;
}

void vdev_log_start(struct virtio_dev *dev, uint64_t base, uint64_t end)
{
	for (unsigned int i = 0; i < dev->nvqs; i++)
		if (defect_on(dev->env.defects, DEFECT_LOG_SWITCH_LOSES_KICKS))
			fab_timer_cancel(dev->env.fab, &dev->vqs[i].dp.event);
	dirty_log_start(&dev->log, base, end);
}

void vdev_log_stop(struct virtio_dev *dev)
{
	if (!defect_on(dev->env.defects, DEFECT_LOG_NEVER_STOPS))
		dev->log.on = false;
}

bool vdev_log_active(const struct virtio_dev *dev)
{
	return dev->log.on;
}

void vdev_link(struct virtio_dev *dev, bool up)
{
	net_link(dev, up);
}

int vdev_announce(struct virtio_dev *dev)
{
	return net_announce(dev);
}

bool vdev_quiescent(const struct virtio_dev *dev)
{
	for (unsigned int i = 0; i < dev->nvqs; i++)
		if (dev->vqs[i].dp.ops || dev->vqs[i].dp.role->inflight(&dev->vqs[i].dp))
			return false;
	return true;
}

void vdev_set_live(struct virtio_dev *dev, bool live)
{
	dev->live = live;
}

void vdev_poll(struct virtio_dev *dev)
{
	for (unsigned int i = 0; i < dev->nvqs; i++)
		if (dev->vqs[i].dp.polling)
			dp_look(&dev->vqs[i].dp);
}

bool vdev_busy(const struct virtio_dev *dev)
{
	for (unsigned int i = 0; i < dev->nvqs; i++)
		if (dev->vqs[i].dp.polling)
			return true;
	return false;
}

unsigned int vdev_rx_room(const struct virtio_dev *dev)
{
	return net_rx_room(dev);
}

void vdev_idle(struct virtio_dev *dev)
{
	for (unsigned int i = 0; i < dev->nvqs; i++)
		dp_idle(&dev->vqs[i].dp);
}
