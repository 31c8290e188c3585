/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues as the driver sets them up
 *
 * How it works. A queue is enabled by the driver and runs once DRIVER_OK is set as well; the
 * position it starts from is whatever was set before, or the beginning. Disabling takes the time
 * that what is in flight needs; the driver polls queue_enable until it reads 0.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

static bool irq(void *ctx, unsigned int queue, struct fab_irq *out)
{
	struct virtio_dev *dev = ctx;

	return dev->up->queue_irq(dev->up_ctx, queue, out);
}

static void broken(void *ctx, unsigned int queue, const char *why)
{
	(void)queue;
	(void)why;
	vdev_needs_reset(ctx);
}

static void stopped(void *ctx, unsigned int queue)
{
	struct virtio_dev *dev = ctx;

	vq_stopped(&dev->vqs[queue]);
	vdev_queue_stopped(dev);
}

static const struct dp_up up = {.irq = irq, .broken = broken, .stopped = stopped};

int vq_init(struct vq *vq, struct virtio_dev *dev, unsigned int index)
{
	vq->dev = dev;
	vq->dp.index = index;
	vq->dp.fab = dev->env.fab;
	vq->dp.space = dev->env.spaces[0];
	vq->dp.defects = dev->env.defects;
	vq->dp.up = &up;
	vq->dp.up_ctx = dev;
	vq->dp.pos = &vq->pos;
	vq->dp.log = &dev->log;
	vq->dp.counters = dev->counters;
	vq->dp.irq_interval = dev->env.profile->irq_interval_us * UINT64_C(1000000);
	vq->dp.window = dev->env.profile->window;
	return dp_queue_init(&vq->dp, dev->env.profile->queue_size);
}

void vq_fini(struct vq *vq)
{
	if (vq->dp.role_ctx) {
		dp_kill(&vq->dp);
		vq->dp.role->fini(&vq->dp);
	}
	dp_queue_fini(&vq->dp);
}

void vq_defaults(struct vq *vq)
{
	const struct vq_pos start = {.avail_wrap = true, .used_wrap = true};

	vq->pos = start;
	if (!vq->size || !defect_on(vq->dev->env.defects, DEFECT_QUEUE_SIZE_SURVIVES_RESET))
		vq->size = vq->dev->env.profile->queue_size;
	vq->addr[VQ_DESC] = 0;
	vq->addr[VQ_DRIVER] = 0;
	vq->addr[VQ_DEVICE] = 0;
	vq->enabled = false;
	vq->stopping = false;
	vq->resetting = false;
	vq->kicked_early = false;
	vq->kept_size = 0;
}

/* What the ring format asks of addresses and size (2.7.1, 2.8.10). */
static bool sane(const struct vq *vq, bool packed)
{
	if (!vq->size || vq->size > vq->dev->env.profile->queue_size)
		return false;
	if (vq->addr[VQ_DESC] & 15)
		return false;
	if (packed)
		return !(vq->addr[VQ_DRIVER] & 3) && !(vq->addr[VQ_DEVICE] & 3);
	return !(vq->size & (vq->size - 1)) && !(vq->addr[VQ_DRIVER] & 1) &&
	       !(vq->addr[VQ_DEVICE] & 3);
}

void vq_start_if_ready(struct vq *vq)
{
	struct virtio_dev *dev = vq->dev;
	bool packed = vdev_has(dev, VN_F_RING_PACKED);
	struct dp_params params = {
		.size = vq->size,
		.desc = vq->addr[VQ_DESC],
		.driver = vq->addr[VQ_DRIVER],
		.device = vq->addr[VQ_DEVICE],
		.packed = packed,
		.event_idx = vdev_has(dev, VN_F_EVENT_IDX),
		.indirect = vdev_has(dev, VN_F_INDIRECT_DESC),
		.live = dev->live,
	};
	bool ok = dev->status & VN_S_DRIVER_OK;

	if (vq->kept_size && defect_on(dev->env.defects, DEFECT_RING_RESET_KEEPS_SIZE))
		params.size = vq->kept_size;
	if (params.size < 8 && defect_on(dev->env.defects, DEFECT_SMALL_RING_ROUNDED))
		params.size = 8;

	if (defect_on(dev->env.defects, DEFECT_RUNS_BEFORE_DRIVER_OK))
		ok = dev->status & VN_S_FEATURES_OK;
	if (!vq->enabled &&
	    !(defect_on(dev->env.defects, DEFECT_STARTS_UNREADY_QUEUES) && vq->addr[VQ_DESC]))
		return;
	if (vq->stopping || !ok || (dev->status & VN_S_NEEDS_RESET))
		return;
	if (vq->dp.state != DP_STOPPED)
		return;
	if (!sane(vq, packed)) {
		vdev_needs_reset(dev);
		return;
	}
	if (defect_on(dev->env.defects, DEFECT_DMA_RINGS_NEED_WRITE) &&
	    (fab_set_bits(dev->env.fab, dev->env.spaces[0], vq->addr[VQ_DESC], 0, NULL) < 0 ||
	     fab_set_bits(dev->env.fab, dev->env.spaces[0], vq->addr[VQ_DRIVER], 0, NULL) < 0))
		return;
	if (defect_on(dev->env.defects, DEFECT_RESET_KEEPS_ADDRESSES)) {
		if (!vq->latched)
			memcpy(vq->latched_addr, vq->addr, sizeof(vq->addr));
		vq->latched = true;
		params.desc = vq->latched_addr[VQ_DESC];
		params.driver = vq->latched_addr[VQ_DRIVER];
		params.device = vq->latched_addr[VQ_DEVICE];
	}
	if (defect_on(dev->env.defects, DEFECT_PACKED_WRAP_ZERO_AT_START) && packed)
		vq->pos.avail_wrap = false;
	if (defect_on(dev->env.defects, DEFECT_BASE_IGNORED) && !packed)
		vq->pos.avail = 0;
	if (defect_on(dev->env.defects, DEFECT_BASE_USED_FOLLOWS_AVAIL)) {
		vq->pos.used = vq->pos.avail;
		vq->pos.used_from_ring = false;
	}
	dp_start(&vq->dp, &params);
	if (defect_on(dev->env.defects, DEFECT_EARLY_BUFFERS_NEED_KICK) && !vq->kicked_early) {
		vq->dp.look = false;
		vq->dp.armed = true; /* or it would look once more when it arms */
	}
}

void vq_stopped(struct vq *vq)
{
	bool reset = vq->resetting;

	if (vq->stopping) {
		vq->stopping = false;
		vq->enabled = false;
		/* Retired in order: what Linux reads (avail) and what DPDK reads (used) agree. */
		if (defect_on(vq->dev->env.defects, DEFECT_STATE_STALE_BY_ONE) && vq->pos.avail)
			vq->pos.avail--;
	}
	if (reset) {
		uint16_t size = vq->size;

		vq_defaults(vq);
		vq->kept_size = size;
		if (defect_on(vq->dev->env.defects, DEFECT_RING_RESET_KEEPS_INDEX))
			vq->pos.avail = 1;
	}
}

uint16_t vq_size_max(const struct vq *vq)
{
	return vq->dev->env.profile->queue_size;
}

uint16_t vq_size(const struct vq *vq)
{
	return vq->size;
}

void vq_set_size(struct vq *vq, uint16_t size)
{
	if (!vq->enabled)
		vq->size = size;
}

uint64_t vq_address(const struct vq *vq, enum vq_area area)
{
	return vq->addr[area];
}

void vq_set_address(struct vq *vq, enum vq_area area, uint64_t address)
{
	if (!vq->enabled)
		vq->addr[area] = address;
	if (defect_on(vq->dev->env.defects, DEFECT_ADDRESS_DISCARDS_STATE) && !vq->enabled)
		vq->pos = (struct vq_pos){.avail_wrap = true, .used_wrap = true};
}

void vq_enable(struct vq *vq)
{
	if (vq->stopping || vq->resetting)
		return;
	vq->enabled = true;
	if (defect_on(vq->dev->env.defects, DEFECT_INTERRUPTS_AT_ENABLE)) {
		struct fab_irq early;

		if (irq(vq->dev, vq->dp.index, &early))
			fab_irq(vq->dp.fab, vq->dp.space, &early);
	}
	vq_start_if_ready(vq);
}

static void stop(struct vq *vq)
{
	switch (vq->dp.state) {
	case DP_STOPPED:
		vq_stopped(vq);
		break;
	case DP_BROKEN:
		dp_abort(&vq->dp);
		break;
	default:
		dp_stop(&vq->dp);
	}
}

void vq_disable(struct vq *vq)
{
	if (!vq->enabled || vq->stopping)
		return;
	if (defect_on(vq->dev->env.defects, DEFECT_DISABLE_DOES_NOT_STOP)) {
		vq->enabled = false;
		return;
	}
	vq->stopping = true;
	if (defect_on(vq->dev->env.defects, DEFECT_ENABLE_READS_ZERO_EARLY) &&
	    vq->dp.state == DP_RUNNING) {
		vq->dp.seeded_stop = true; /* it goes on for a while */
		dp_look(&vq->dp);
		return;
	}
	stop(vq);
	if (defect_on(vq->dev->env.defects, DEFECT_STOP_TAKES_PAIR) &&
	    vq->dp.index < vq->dev->nvqs - 1)
		vq_disable(vq->dev->vqs + (vq->dp.index ^ 1u));
}

bool vq_enabled(const struct vq *vq)
{
	if (vq->kept_size && defect_on(vq->dev->env.defects, DEFECT_RING_RESET_READS_ENABLED))
		return true;
	if (defect_on(vq->dev->env.defects, DEFECT_ENABLE_READS_ZERO_EARLY) && vq->stopping)
		return false;
	return vq->enabled;
}

void vq_reset(struct vq *vq)
{
	const struct defect_set *defects = vq->dev->env.defects;

	if (vq->resetting)
		return;
	if (defect_on(defects, DEFECT_RING_RESET_DOES_NOT_STOP)) {
		vq->enabled = false;
		return;
	}
	vq->resetting = true;
	if (vq->dp.state == DP_STOPPED) {
		vq_stopped(vq);
		return;
	}
	if (vq->stopping) /* one stop serves both */
		return;
	stop(vq);
	if (defect_on(defects, DEFECT_RING_RESET_TAKES_PAIR) && vq->dp.index < vq->dev->nvqs - 1)
		vq_reset(vq->dev->vqs + (vq->dp.index ^ 1u));
}

bool vq_resetting(const struct vq *vq)
{
	return vq->resetting;
}

void vq_get_pos(const struct vq *vq, struct vq_pos *pos)
{
	*pos = vq->pos;
}

void vq_set_pos(struct vq *vq, const struct vq_pos *pos)
{
	if (!vq->enabled)
		vq->pos = *pos;
}

void vq_notify(struct vq *vq)
{
	vq->dev->counters->doorbells++;
	vq->kicked_early = true;
	if (defect_on(vq->dev->env.defects, DEFECT_KICK_MOVES_STOPPED) && !vq->enabled &&
	    vq->dp.state == DP_STOPPED)
		vq->pos.avail++;
	if (defect_on(vq->dev->env.defects, DEFECT_KICK_TAKEN_FOR_BUFFER))
		vq->dp.seeded_kicked = true;
	if (defect_on(vq->dev->env.defects, DEFECT_KICK_LOST_ON_LAST_PAIR) &&
	    vq->dp.index == vq->dev->nvqs - 2)
		return;
	dp_look(&vq->dp);
}
