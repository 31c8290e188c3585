/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The common configuration structure (VIRTIO 4.1.4.3)
 *
 * How it works. A table gives each register's width at its offset; 64-bit registers are two 32-bit
 * ones. An access whose width is not the register's is not one (virtio_regs.h). The selectors are
 * separate registers: Linux' ifcvf writes one and reads through the other, and gets what hardware
 * gives.
 */
#include "virtio_regs.h"

#include "../spec.h"

static const uint8_t width_at[VN_COMMON_SIZE] = {
	[VN_COMMON_DEVICE_FEATURE_SELECT] = 4,
	[VN_COMMON_DEVICE_FEATURE] = 4,
	[VN_COMMON_DRIVER_FEATURE_SELECT] = 4,
	[VN_COMMON_DRIVER_FEATURE] = 4,
	[VN_COMMON_CONFIG_VECTOR] = 2,
	[VN_COMMON_NUM_QUEUES] = 2,
	[VN_COMMON_STATUS] = 1,
	[VN_COMMON_GENERATION] = 1,
	[VN_COMMON_QUEUE_SELECT] = 2,
	[VN_COMMON_QUEUE_SIZE] = 2,
	[VN_COMMON_QUEUE_VECTOR] = 2,
	[VN_COMMON_QUEUE_ENABLE] = 2,
	[VN_COMMON_QUEUE_NOTIFY_OFF] = 2,
	[VN_COMMON_QUEUE_DESC] = 4,
	[VN_COMMON_QUEUE_DESC + 4] = 4,
	[VN_COMMON_QUEUE_DRIVER] = 4,
	[VN_COMMON_QUEUE_DRIVER + 4] = 4,
	[VN_COMMON_QUEUE_DEVICE] = 4,
	[VN_COMMON_QUEUE_DEVICE + 4] = 4,
	[VN_COMMON_QUEUE_NOTIFY_DATA] = 2,
	[VN_COMMON_QUEUE_RESET] = 2,
	[VN_COMMON_ADMIN_QUEUE_INDEX] = 2,
	[VN_COMMON_ADMIN_QUEUE_NUM] = 2,
};

/* The selected queue, or NULL: then the queue registers read 0 and swallow writes. */
static struct vq *selected(const struct virtio_regs *regs)
{
	unsigned int q = regs->queue_select;

	return q < regs->num_queues ? vdev_vq(regs->dev, q) : NULL;
}

static uint16_t *selected_vector(struct virtio_regs *regs)
{
	unsigned int q = regs->queue_select;

	if (q >= regs->num_queues)
		return NULL;
	return &regs->queue_vector[virtio_defect(regs, DEFECT_MSIX_SHARED_QUEUE_VECTOR) ? 0 : q];
}

static uint32_t half(uint64_t value, uint32_t which)
{
	return which < 2 ? (uint32_t)(value >> (32 * which)) : 0;
}

static uint32_t device_feature(const struct virtio_regs *regs)
{
	uint32_t select = regs->device_feature_select;

	if (virtio_defect(regs, DEFECT_FEATURE_SELECT_SHARED))
		select = regs->driver_feature_select;
	if (virtio_defect(regs, DEFECT_FEATURE_SELECT_MASKED))
		select &= 1;
	return half(vdev_device_features(regs->dev), select);
}

static uint32_t queue_size(const struct virtio_regs *regs)
{
	const struct vq *vq = selected(regs);

	if (!vq && virtio_defect(regs, DEFECT_QUEUE_SIZE_OF_NO_QUEUE))
		vq = vdev_vq(regs->dev, 0);
	return vq ? vq_size(vq) : 0;
}

static uint32_t queue_enable(const struct virtio_regs *regs)
{
	const struct vq *vq = selected(regs);

	if (!vq)
		return 0;
	if (virtio_defect(regs, DEFECT_QUEUE_ENABLE_SURVIVES_RESET))
		return regs->enable_latch[regs->queue_select];
	return vq_enabled(vq);
}

static uint32_t queue_reset(const struct virtio_regs *regs)
{
	const struct vq *vq = selected(regs);

	return vq ? vq_resetting(vq) : 0;
}

static uint64_t queue_address(const struct virtio_regs *regs, enum vq_area area)
{
	const struct vq *vq = selected(regs);

	return vq ? vq_address(vq, area) : 0;
}

static enum vq_area area_at(uint32_t off)
{
	if (off < VN_COMMON_QUEUE_DRIVER)
		return VQ_DESC;
	return off < VN_COMMON_QUEUE_DEVICE ? VQ_DRIVER : VQ_DEVICE;
}

static uint32_t read_register(struct virtio_regs *regs, uint32_t off)
{
	const uint16_t *vector;

	switch (off) {
	case VN_COMMON_DEVICE_FEATURE_SELECT:
		return regs->device_feature_select;
	case VN_COMMON_DEVICE_FEATURE:
		return device_feature(regs);
	case VN_COMMON_DRIVER_FEATURE_SELECT:
		return regs->driver_feature_select;
	case VN_COMMON_DRIVER_FEATURE:
		if (virtio_defect(regs, DEFECT_DRIVER_FEATURE_WRITE_ONLY))
			return 0;
		return half(vdev_driver_features(regs->dev), regs->driver_feature_select);
	case VN_COMMON_CONFIG_VECTOR:
		return regs->config_vector;
	case VN_COMMON_NUM_QUEUES:
		return regs->num_queues;
	case VN_COMMON_STATUS:
		return vdev_status(regs->dev);
	case VN_COMMON_GENERATION:
		return vdev_config_generation(regs->dev);
	case VN_COMMON_QUEUE_SELECT:
		return regs->queue_select;
	case VN_COMMON_QUEUE_SIZE:
		return queue_size(regs);
	case VN_COMMON_QUEUE_VECTOR:
		vector = selected_vector(regs);
		return vector ? *vector : VN_NO_VECTOR;
	case VN_COMMON_QUEUE_ENABLE:
		return queue_enable(regs);
	case VN_COMMON_QUEUE_NOTIFY_OFF:
		if (!selected(regs))
			return 0;
		return regs->multiplier ? regs->queue_select : 0;
	case VN_COMMON_QUEUE_NOTIFY_DATA:
		return regs->queue_select;
	case VN_COMMON_QUEUE_RESET:
		return queue_reset(regs);
	case VN_COMMON_ADMIN_QUEUE_INDEX:
		return regs->num_queues;
	case VN_COMMON_ADMIN_QUEUE_NUM:
		return 0;
	default:
		return half(queue_address(regs, area_at(off)), (off >> 2) & 1);
	}
}

static void write_status(struct virtio_regs *regs, uint8_t status)
{
	vdev_set_status(regs->dev, status);
	if (status == 0)
		virtio_common_reset(regs);
}

static void write_queue_enable(struct virtio_regs *regs, uint32_t value)
{
	struct vq *vq = selected(regs);

	if (!vq)
		return;
	if (value == 1) {
		regs->enable_latch[regs->queue_select] = true;
		vq_enable(vq);
	} else if (value == 0 && regs->variant->enable_zero_stops) {
		regs->enable_latch[regs->queue_select] = false;
		vq_disable(vq);
	}
}

static void write_queue_address(struct virtio_regs *regs, uint32_t off, uint32_t value)
{
	struct vq *vq = selected(regs);
	enum vq_area area = area_at(off);
	uint64_t address;

	if (!vq)
		return;
	address = vq_address(vq, area);
	if (off & 4)
		address = (uint64_t)value << 32 | (uint32_t)address;
	else if (virtio_defect(regs, DEFECT_QUEUE_ADDRESS_LOW_CLEARS_HIGH))
		address = value;
	else
		address = (address & ~UINT64_C(0xffffffff)) | value;
	vq_set_address(vq, area, address);
}

static void write_register(struct virtio_regs *regs, uint32_t off, uint32_t value)
{
	struct vq *vq;
	uint16_t *vector;

	switch (off) {
	case VN_COMMON_DEVICE_FEATURE_SELECT:
		regs->device_feature_select = value;
		break;
	case VN_COMMON_DRIVER_FEATURE_SELECT:
		regs->driver_feature_select = value;
		break;
	case VN_COMMON_DRIVER_FEATURE:
		if (regs->driver_feature_select < 2)
			vdev_set_driver_features(regs->dev, regs->driver_feature_select, value);
		break;
	case VN_COMMON_CONFIG_VECTOR:
		virtio_vector_store(regs, &regs->config_vector, (uint16_t)value);
		break;
	case VN_COMMON_STATUS:
		write_status(regs, (uint8_t)value);
		break;
	case VN_COMMON_QUEUE_SELECT:
		regs->queue_select = (uint16_t)value;
		break;
	case VN_COMMON_QUEUE_SIZE:
		vq = selected(regs);
		if (vq)
			vq_set_size(vq, (uint16_t)value);
		break;
	case VN_COMMON_QUEUE_VECTOR:
		vector = selected_vector(regs);
		if (vector)
			virtio_vector_store(regs, vector, (uint16_t)value);
		break;
	case VN_COMMON_QUEUE_ENABLE:
		write_queue_enable(regs, value);
		break;
	case VN_COMMON_QUEUE_RESET:
		vq = selected(regs);
		if (vq && value == 1 &&
		    (vdev_driver_features(regs->dev) & VN_BIT(VN_F_RING_RESET))) {
			regs->enable_latch[regs->queue_select] = false;
			vq_reset(vq);
		}
		break;
	case VN_COMMON_DEVICE_FEATURE:
	case VN_COMMON_NUM_QUEUES:
	case VN_COMMON_GENERATION:
	case VN_COMMON_QUEUE_NOTIFY_OFF:
	case VN_COMMON_QUEUE_NOTIFY_DATA:
	case VN_COMMON_ADMIN_QUEUE_INDEX:
	case VN_COMMON_ADMIN_QUEUE_NUM:
		break; /* read-only */
	default:
		write_queue_address(regs, off, value);
	}
}

/* An 8-byte access to a 64-bit register; @off is a multiple of 8. */
static bool is_whole_address(uint32_t off, size_t len)
{
	return len == 8 && off >= VN_COMMON_QUEUE_DESC && off < VN_COMMON_QUEUE_NOTIFY_DATA;
}

void virtio_common_read(struct virtio_regs *regs, uint32_t off, void *buf, size_t len)
{
	uint32_t value;

	if (is_whole_address(off, len)) {
		uint64_t address = queue_address(regs, area_at(off));

		memcpy(buf, &address, sizeof(address));
		return;
	}
	if (width_at[off] != len) {
		virtio_regs_ones(buf, len);
		return;
	}
	value = read_register(regs, off);
	memcpy(buf, &value, len);
}

void virtio_common_write(struct virtio_regs *regs, uint32_t off, const void *buf, size_t len)
{
	uint32_t value[2] = {0, 0};

	memcpy(value, buf, len);
	if (is_whole_address(off, len)) {
		write_register(regs, off, value[0]);
		write_register(regs, off + 4, value[1]);
	} else if (width_at[off] == len) {
		write_register(regs, off, value[0]);
	}
}

void virtio_common_reset(struct virtio_regs *regs)
{
	bool keep = regs->variant->reset_keeps_vectors;

	regs->device_feature_select = 0;
	regs->driver_feature_select = 0;
	regs->queue_select = 0;
	virtio_isr_clear(regs);

	if (virtio_defect(regs, DEFECT_MSIX_VECTORS_SURVIVE_RESET))
		keep = true;
	if (virtio_defect(regs, DEFECT_IFCVF_RESET_CLEARS_VECTORS))
		keep = false;
	if (!keep)
		virtio_vectors_reset(regs);
	if (!virtio_defect(regs, DEFECT_QUEUE_ENABLE_SURVIVES_RESET))
		memset(regs->enable_latch, 0, regs->num_queues * sizeof(*regs->enable_latch));
	if (regs->variant->device_reset)
		regs->variant->device_reset(regs);
}
