/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Personality ifcvf: Intel's IFC VF, as Linux' ifcvf and DPDK's ifc drive it
 *
 * How it works. BAR 0 holds the structures of a modern virtio function (virtio_regs.c) with two
 * differences, which are data: queue_enable = 0 stops a queue, and device_status = 0 leaves the
 * vectors alone (Linux 6.1 programs them before it resets, and never again). BAR 4 is the
 * live-migration BAR: where each queue stands, the number of queue pairs in use, the dirty log.
 *
 * State of a queue is one 32-bit word, the available index in its low half, the used index in the
 * high half. It can be read at any time, is final once queue_enable reads 0, and stays until
 * device_status = 0. Linux writes the low half alone: the queue then takes its used index from the
 * used ring, where whoever restores the queue has put it. The word of a packed queue has the form
 * that vhost gives it: index in bits 0 to 14 and wrap counter in bit 15 of each half.
 *
 * Drivers disagree on where the words are, see enum profile_lm_layout; so it is data as well.
 */
#include "virtio_regs.h"

#include <errno.h>
#include <stdlib.h>

#include "../spec.h"
#include "../util.h"

#define PACKED_WRAP 0x8000u

/**
 * struct lm_layout - where the words are
 * @group:  queues in a row, 4 bytes apart
 * @stride: bytes from a group to the next
 * @mq:     is there a register for the number of queue pairs?
 */
struct lm_layout {
	unsigned int group;
	unsigned int stride;
	bool mq;
};

static const struct lm_layout layouts[] = {
	[LM_LAYOUT_LINUX] = {.group = 1, .stride = 4, .mq = false},
	[LM_LAYOUT_DPDK] = {.group = 2, .stride = 0x40, .mq = true},
};

struct ifcvf {
	struct virtio_regs regs; /* first: virtio_regs.h's operations take it for the personality */
	const struct lm_layout *layout;
	uint32_t control;
	uint32_t pairs;
	uint64_t log_base, log_end;
	bool log_was_on; /* what seeded defects remember */
	uint64_t log_first;
};

static struct ifcvf *ifcvf_of(struct personality *p)
{
	return container_of(p, struct ifcvf, regs.base);
}

/* ---- Where a queue stands -------------------------------------------------------------------- */

/* The queue whose word is at @off of the BAR, or NULL. */
static struct vq *queue_at(const struct ifcvf *vf, uint32_t off)
{
	const struct lm_layout *layout = vf->layout;
	uint32_t rel = off - VN_LM_QUEUES;
	uint32_t slot = rel % layout->stride / 4;
	unsigned int q = rel / layout->stride * layout->group + slot;

	if (off < VN_LM_QUEUES || slot >= layout->group || q >= vf->regs.num_queues)
		return NULL;
	if (virtio_defect(&vf->regs, DEFECT_LM_NO_CONTROL_STATE) && q == vf->regs.num_queues - 1)
		return NULL;
	if (virtio_defect(&vf->regs, DEFECT_LM_ONE_STATE_PER_PAIR))
		q &= ~1u;
	return vdev_vq(vf->regs.dev, q);
}

static bool is_packed(const struct ifcvf *vf)
{
	return vdev_driver_features(vf->regs.dev) & VN_BIT(VN_F_RING_PACKED);
}

static uint16_t encode(uint16_t index, bool wrap, bool packed)
{
	if (!packed)
		return index;
	return (uint16_t)((index & ~PACKED_WRAP) | (wrap ? PACKED_WRAP : 0));
}

static uint32_t read_position(const struct ifcvf *vf, const struct vq *vq)
{
	bool packed = is_packed(vf);
	struct vq_pos pos;
	uint32_t avail, used;

	vq_get_pos(vq, &pos);
	avail = encode(pos.avail, pos.avail_wrap, packed);
	used = encode(pos.used, pos.used_wrap, packed);
	if (virtio_defect(&vf->regs, DEFECT_LM_STATE_LOST_AT_STOP) && !vq_enabled(vq))
		avail = used = 0;
	if (virtio_defect(&vf->regs, DEFECT_LM_USED_HALF_ZERO))
		used = 0;
	return used << 16 | avail;
}

static void write_position(struct ifcvf *vf, struct vq *vq, uint16_t avail, uint16_t used,
			   bool used_known)
{
	bool packed = is_packed(vf);
	uint16_t mask = packed ? PACKED_WRAP - 1 : UINT16_MAX;
	struct vq_pos pos = {
		.avail = avail & mask,
		.used = used & mask,
		.avail_wrap = packed && (avail & PACKED_WRAP),
		.used_wrap = packed && (used & PACKED_WRAP),
		.used_from_ring = !packed && !used_known,
	};

	vq_set_pos(vq, &pos);
}

/* ---- The dirty log --------------------------------------------------------------------------- */

static void write_control(struct ifcvf *vf, uint32_t value)
{
	struct virtio_regs *regs = &vf->regs;
	uint64_t base = vf->log_base, end = vf->log_end;

	if (value == VN_LM_CONTROL_OFF) {
		vf->control = value;
		vdev_log_stop(regs->dev);
		return;
	}
	/* A log of no bytes can't be switched on; what the driver reads back says so. */
	if ((value != VN_LM_CONTROL_VF && value != VN_LM_CONTROL_PF) || end <= base)
		return;
	vf->control = value;
	if (virtio_defect(regs, DEFECT_LOG_BASE_32BIT)) {
		base &= UINT32_MAX;
		end = base + (vf->log_end - vf->log_base);
	}
	if (virtio_defect(regs, DEFECT_LOG_END_SHORT))
		end = base + (end - base) / 2;
	if (virtio_defect(regs, DEFECT_LOG_ONLY_ONCE) && vf->log_was_on)
		return;
	if (virtio_defect(regs, DEFECT_LOG_KEEPS_FIRST_ADDRESS) && vf->log_was_on)
		base = vf->log_first;
	vf->log_first = base;
	vf->log_was_on = true;
	vdev_log_start(regs->dev, base, end);
}

/* ---- The BAR, in 32-bit words ---------------------------------------------------------------- */

static bool is_mq(const struct ifcvf *vf, uint32_t off)
{
	return vf->layout->mq && off == VN_LM_MQ;
}

static uint32_t lm_read32(const struct ifcvf *vf, uint32_t off)
{
	const struct vq *vq;

	switch (off) {
	case VN_LM_CONTROL:
		return vdev_log_active(vf->regs.dev) ? vf->control : VN_LM_CONTROL_OFF;
	case VN_LM_LOG_BASE:
		return (uint32_t)vf->log_base;
	case VN_LM_LOG_BASE + 4:
		return (uint32_t)(vf->log_base >> 32);
	case VN_LM_LOG_END:
		return (uint32_t)vf->log_end;
	case VN_LM_LOG_END + 4:
		return (uint32_t)(vf->log_end >> 32);
	case VN_LM_CONTROL + 4:
	case VN_LM_STATUS:
	case VN_LM_STATUS + 4:
		return 0;
	}
	if (is_mq(vf, off))
		return vf->pairs;
	vq = queue_at(vf, off);
	return vq ? read_position(vf, vq) : UINT32_MAX;
}

static void put_half(uint64_t *reg, bool high, uint32_t value)
{
	*reg = high ? (*reg & UINT32_MAX) | (uint64_t)value << 32
		    : (*reg & ~UINT64_C(0xffffffff)) | value;
}

static void lm_write32(struct ifcvf *vf, uint32_t off, uint32_t value)
{
	struct vq *vq;

	switch (off) {
	case VN_LM_CONTROL:
		write_control(vf, value);
		return;
	case VN_LM_LOG_BASE:
	case VN_LM_LOG_BASE + 4:
		put_half(&vf->log_base, off & 4, value);
		return;
	case VN_LM_LOG_END:
	case VN_LM_LOG_END + 4:
		put_half(&vf->log_end, off & 4, value);
		return;
	}
	if (is_mq(vf, off)) {
		vf->pairs = value;
		if (!virtio_defect(&vf->regs, DEFECT_MQ_REGISTER_IGNORED))
			vdev_set_queue_pairs(vf->regs.dev, value);
		return;
	}
	vq = queue_at(vf, off);
	if (vq)
		write_position(vf, vq, (uint16_t)value, (uint16_t)(value >> 16), true);
}

/* Linux' way: the available index alone, or the other half. */
static void lm_write16(struct ifcvf *vf, uint32_t off, uint16_t value)
{
	struct vq *vq = queue_at(vf, off & ~3u);

	if (!vq || is_mq(vf, off & ~3u))
		return;
	if (off & 2)
		write_position(vf, vq, (uint16_t)read_position(vf, vq), value, true);
	else
		write_position(vf, vq, value, value, false);
}

static void lm_read(struct ifcvf *vf, uint32_t off, void *buf, size_t len)
{
	uint32_t value[2];

	if (len == 1) {
		virtio_regs_ones(buf, len);
		return;
	}
	value[0] = lm_read32(vf, off & ~3u);
	value[1] = len == 8 ? lm_read32(vf, off + 4) : 0;
	memcpy(buf, (const uint8_t *)value + (off & 3), len);
}

static void lm_write(struct ifcvf *vf, uint32_t off, const void *buf, size_t len)
{
	uint32_t value[2];
	uint16_t half;

	if (len == 2) {
		memcpy(&half, buf, sizeof(half));
		lm_write16(vf, off, half);
	} else if (len >= 4) {
		memcpy(value, buf, len);
		lm_write32(vf, off, value[0]);
		if (len == 8)
			lm_write32(vf, off + 4, value[1]);
	}
}

/* Which queues are in use is the driver's choice, and goes with the driver. */
static void ifcvf_device_reset(struct virtio_regs *regs)
{
	struct ifcvf *vf = container_of(regs, struct ifcvf, regs);

	vf->pairs = 0;
	vdev_set_queue_pairs(regs->dev, 0);
}

static const struct virtio_variant variant = {
	.enable_zero_stops = true,
	.reset_keeps_vectors = true,
	.device_reset = ifcvf_device_reset,
};

/* ---- Operations ------------------------------------------------------------------------------ */

static void ifcvf_read(struct personality *p, unsigned int bar, uint64_t off, void *buf, size_t len)
{
	struct ifcvf *vf = ifcvf_of(p);

	if (bar == VN_LM_BAR)
		lm_read(vf, (uint32_t)off, buf, len);
	else
		virtio_regs_read(&vf->regs, off, buf, len);
}

static void ifcvf_write(struct personality *p, unsigned int bar, uint64_t off, const void *buf,
			size_t len)
{
	struct ifcvf *vf = ifcvf_of(p);

	if (bar == VN_LM_BAR)
		lm_write(vf, (uint32_t)off, buf, len);
	else
		virtio_regs_write(&vf->regs, off, buf, len);
}

static void ifcvf_reset(struct personality *p)
{
	struct ifcvf *vf = ifcvf_of(p);

	virtio_regs_reset(p);
	if (!virtio_defect(&vf->regs, DEFECT_LOG_SURVIVES_RESET))
		vdev_log_stop(vf->regs.dev);
	vf->control = VN_LM_CONTROL_OFF;
	vf->log_base = 0;
	vf->log_end = 0;
}

static void ifcvf_destroy(struct personality *p)
{
	struct ifcvf *vf = ifcvf_of(p);

	virtio_regs_fini(&vf->regs);
	free(vf);
}

static int ifcvf_create(const struct personality_env *env, struct personality **out,
			struct vqnic_error *err)
{
	struct ifcvf *vf = calloc(1, sizeof(*vf));
	int ret;

	if (!vf)
		return -ENOMEM;
	ret = virtio_regs_init(&vf->regs, &personality_ifcvf, &variant, 0, env, err);
	if (ret) {
		ifcvf_destroy(&vf->regs.base);
		return ret;
	}
	vf->layout = &layouts[env->device.profile->lm_layout];
	config_add_bar(env->config, VN_LM_BAR, VN_LM_BAR_SIZE);
	*out = &vf->regs.base;
	return 0;
}

const struct personality_ops personality_ifcvf = {
	.name = "ifcvf",
	.create = ifcvf_create,
	.destroy = ifcvf_destroy,
	.reset = ifcvf_reset,
	.device = virtio_regs_device,
	.bar_read = ifcvf_read,
	.bar_write = ifcvf_write,
	.poll_doorbells = virtio_regs_poll_doorbells,
	.mmap = virtio_regs_mmap,
};
