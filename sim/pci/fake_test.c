/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_test.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- Fabric ---------------------------------------------------------------------------------- */

struct fake_fabric {
	struct fabric base;
	struct fab_irq held[32];
	unsigned int count;
};

static int hold_irq(struct fabric *fab, struct iova_space *space, const struct fab_irq *irq)
{
	struct fake_fabric *f = container_of(fab, struct fake_fabric, base);

	assert_non_null(space);
	assert_true(f->count < ARRAY_SIZE(f->held));
	f->held[f->count++] = *irq;
	return 0;
}

static void drop_irqs(struct fabric *fab, struct iova_space *space, uint64_t iova, uint64_t last,
		      bool cancel)
{
	struct fake_fabric *f = container_of(fab, struct fake_fabric, base);

	assert_non_null(space);
	if (cancel && iova == 0 && last == UINT64_MAX)
		f->count = 0;
}

static const struct fabric_ops fabric_ops = {.name = "fake", .irq = hold_irq, .revoke = drop_irqs};

void fake_deliver(struct fake *f)
{
	struct fake_fabric *fab = container_of(f->fab, struct fake_fabric, base);

	for (unsigned int i = 0; i < fab->count; i++)
		fab->held[i].fire(fab->held[i].ctx, fab->held[i].vector);
	fab->count = 0;
}

/* ---- DMA spaces ------------------------------------------------------------------------------ */

int iova_space_create(unsigned int requester, uint32_t asid, unsigned int max_maps,
		      struct iova_space **space)
{
	(void)requester;
	(void)asid;
	(void)max_maps;
	*space = calloc(1, sizeof(**space));
	return *space ? 0 : -ENOMEM;
}

void iova_space_destroy(struct iova_space *space)
{
	free(space);
}

int iova_space_map(struct iova_space *space, const struct vqnic_dma_map *map)
{
	if (map->size == 0)
		return -EINVAL;
	space->maps++;
	return 0;
}

uint64_t iova_space_unmap(struct iova_space *space, uint64_t iova, uint64_t last)
{
	unsigned int maps = space->maps;

	(void)iova;
	(void)last;
	space->maps = 0;
	return maps * 4096;
}

void iova_space_set_ops(struct iova_space *space, const struct vqnic_dma_ops *ops, void *ctx)
{
	(void)space;
	(void)ops;
	(void)ctx;
}

/* ---- Device ---------------------------------------------------------------------------------- */

int vdev_create(const struct vdev_env *env, const struct vdev_up *up, void *up_ctx,
		struct virtio_dev **out)
{
	struct virtio_dev *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return -ENOMEM;
	dev->env = *env;
	dev->up = up;
	dev->up_ctx = up_ctx;
	for (unsigned int i = 0; i < sizeof(dev->config); i++)
		dev->config[i] = (uint8_t)(0x10 + i);
	vdev_reset(dev);
	*out = dev;
	return 0;
}

void vdev_destroy(struct virtio_dev *dev)
{
	free(dev);
}

uint8_t vdev_status(const struct virtio_dev *dev)
{
	return dev->status;
}

static void clear(struct virtio_dev *dev)
{
	dev->status = 0;
	dev->driver_features = 0;
	dev->pairs = 0;
	for (unsigned int i = 0; i < FAKE_QUEUES; i++)
		dev->vqs[i] = (struct vq){.size = dev->env.profile->queue_size};
}

void vdev_set_status(struct virtio_dev *dev, uint8_t status)
{
	if (status)
		dev->status = status;
	else if (!dev->slow)
		clear(dev);
}

void vdev_reset(struct virtio_dev *dev)
{
	dev->resets++;
	clear(dev);
}

void fake_finish(struct virtio_dev *dev)
{
	dev->slow = false;
	clear(dev);
}

uint64_t vdev_device_features(const struct virtio_dev *dev)
{
	return dev->env.profile->features;
}

uint64_t vdev_driver_features(const struct virtio_dev *dev)
{
	return dev->driver_features;
}

void vdev_set_driver_features(struct virtio_dev *dev, unsigned int half, uint32_t value)
{
	uint64_t mask = UINT64_C(0xffffffff) << (32 * half);

	assert_true(half < 2);
	dev->driver_features = (dev->driver_features & ~mask) | (uint64_t)value << (32 * half);
}

uint32_t vdev_config_size(const struct virtio_dev *dev)
{
	return sizeof(dev->config);
}

uint8_t vdev_config_generation(const struct virtio_dev *dev)
{
	return dev->generation;
}

void vdev_config_read(struct virtio_dev *dev, uint32_t off, void *buf, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = off + i < sizeof(dev->config) ? dev->config[off + i] : 0;
}

void vdev_config_write(struct virtio_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	if (off + len <= sizeof(dev->config))
		memcpy(dev->config + off, buf, len);
}

unsigned int vdev_num_queues(const struct virtio_dev *dev)
{
	(void)dev;
	return FAKE_QUEUES;
}

struct vq *vdev_vq(struct virtio_dev *dev, unsigned int index)
{
	return index < FAKE_QUEUES ? &dev->vqs[index] : NULL;
}

uint16_t vq_size(const struct vq *vq)
{
	return vq->size;
}

void vq_set_size(struct vq *vq, uint16_t size)
{
	vq->size = size;
}

uint64_t vq_address(const struct vq *vq, enum vq_area area)
{
	return vq->address[area];
}

void vq_set_address(struct vq *vq, enum vq_area area, uint64_t address)
{
	vq->address[area] = address;
}

void vq_enable(struct vq *vq)
{
	vq->enabled = true;
}

void vq_disable(struct vq *vq)
{
	vq->enabled = false;
}

bool vq_enabled(const struct vq *vq)
{
	return vq->enabled;
}

void vq_reset(struct vq *vq)
{
	vq->resetting = true;
	vq->enabled = false;
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
	vq->notified++;
}

void vdev_set_queue_pairs(struct virtio_dev *dev, unsigned int pairs)
{
	dev->pairs = pairs;
}

void vdev_log_start(struct virtio_dev *dev, uint64_t base, uint64_t end)
{
	dev->log_active = true;
	dev->log_base = base;
	dev->log_end = end;
}

void vdev_log_stop(struct virtio_dev *dev)
{
	dev->log_active = false;
}

bool vdev_log_active(const struct virtio_dev *dev)
{
	return dev->log_active;
}

void fake_queue_irq(struct fake *f, unsigned int q)
{
	struct fab_irq irq;

	if (f->dev->up->queue_irq(f->dev->up_ctx, q, &irq))
		hold_irq(f->fab, function_space(f->fn, 0), &irq);
}

void fake_config_change(struct fake *f)
{
	f->dev->generation++;
	f->dev->up->config_irq(f->dev->up_ctx);
}

/* ---- Access ---------------------------------------------------------------------------------- */

uint64_t fake_rd(struct fake *f, unsigned int bar, uint64_t off, unsigned int len)
{
	uint64_t value = 0;

	assert_int_equal(function_region_read(f->fn, bar, off, &value, len), 0);
	return value;
}

void fake_wr(struct fake *f, unsigned int bar, uint64_t off, unsigned int len, uint64_t value)
{
	assert_int_equal(function_region_write(f->fn, bar, off, &value, len), 0);
}

uint32_t fake_cfg(struct fake *f, unsigned int off, unsigned int len)
{
	return (uint32_t)fake_rd(f, VQNIC_REGION_CONFIG, off, len);
}

void fake_cfg_write(struct fake *f, unsigned int off, unsigned int len, uint32_t value)
{
	fake_wr(f, VQNIC_REGION_CONFIG, off, len, value);
}

uint64_t fake_common(struct fake *f, unsigned int off, unsigned int len)
{
	return fake_rd(f, 0, f->common + off, len);
}

void fake_common_write(struct fake *f, unsigned int off, unsigned int len, uint64_t value)
{
	fake_wr(f, 0, f->common + off, len, value);
}

unsigned int fake_cap(struct fake *f, uint8_t id, unsigned int nth)
{
	unsigned int cap = fake_cfg(f, VN_PCI_CAPABILITIES, 1);

	for (unsigned int steps = 0; cap && steps < 48; steps++) {
		if (fake_cfg(f, cap, 1) == id && nth-- == 0)
			return cap;
		cap = fake_cfg(f, cap + 1, 1);
	}
	return 0;
}

int fake_listen(struct fake *f, unsigned int index, unsigned int vector)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(function_irq_set_eventfd(f->fn, index, vector, fd), 0);
	return fd;
}

unsigned int fake_heard(int fd)
{
	uint64_t value;

	return read(fd, &value, sizeof(value)) == sizeof(value) ? (unsigned int)value : 0;
}

void fake_msix_enable(struct fake *f, bool enable)
{
	fake_cfg_write(f, fake_cap(f, VN_PCI_CAP_MSIX, 0) + VN_MSIX_CONTROL, 2,
		       enable ? VN_MSIX_ENABLE : 0);
}

/* ---- Fixtures -------------------------------------------------------------------------------- */

static void find_structures(struct fake *f)
{
	unsigned int cap;

	for (unsigned int i = 0; (cap = fake_cap(f, VN_PCI_CAP_VENDOR, i)); i++) {
		unsigned int off = fake_cfg(f, cap + VN_VIRTIO_CAP_OFFSET, 4);

		switch (fake_cfg(f, cap + VN_VIRTIO_CAP_CFG_TYPE, 1)) {
		case VN_CAP_COMMON:
			f->common = off;
			break;
		case VN_CAP_NOTIFY:
			f->notify = off;
			f->multiplier = fake_cfg(f, cap + VN_VIRTIO_CAP_EXTRA, 4);
			break;
		case VN_CAP_ISR:
			f->isr = off;
			break;
		case VN_CAP_DEVICE:
			f->device = off;
			break;
		case VN_CAP_PCI:
			f->pci_cap = cap;
			break;
		}
	}
}

int fake_restart(struct fake *f, struct vqnic_error *err)
{
	struct function_env env = {
		.fab = f->fab, .defects = &f->defects, .profile = &f->profile, .port = NULL};
	int ret;

	function_destroy(f->fn);
	f->fn = NULL;
	ret = function_create(&env, &f->fn, err);
	if (ret)
		return ret;
	f->dev = function_device(f->fn);
	find_structures(f);
	return 0;
}

static int setup(void **state, enum profile_personality personality)
{
	struct fake *f = calloc(1, sizeof(*f));
	struct fake_fabric *fab = calloc(1, sizeof(*fab));

	if (!f || !fab) {
		free(f);
		free(fab);
		return -1;
	}
	fab->base.ops = &fabric_ops;
	f->fab = &fab->base;
	f->profile = (struct profile){
		.name = "fake",
		.personality = personality,
		.vendor_id = 0x1af4,
		.device_id = 0x1041,
		.subsystem_vendor_id = 0x8086,
		.subsystem_id = 0x001a,
		.revision = 1,
		.features = VN_BIT(VN_F_VERSION_1) | VN_BIT(VN_NET_F_MAC) | VN_BIT(VN_F_RING_RESET),
		.queue_pairs = 4,
		.queue_size = 256,
		.vectors = 10,
		.notify_multiplier = 4096,
		.max_dma_maps = 16,
	};
	*state = f;
	return fake_restart(f, NULL);
}

int fake_virtio_pci(void **state)
{
	return setup(state, PERSONALITY_VIRTIO_PCI);
}

int fake_ifcvf(void **state)
{
	return setup(state, PERSONALITY_IFCVF);
}

int fake_teardown(void **state)
{
	struct fake *f = *state;

	function_destroy(f->fn);
	free(container_of(f->fab, struct fake_fabric, base));
	free(f);
	return 0;
}
