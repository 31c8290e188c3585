/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtio device, as a personality (or vhost-user, VDUSE) sees it
 *
 * How it works. The device owns what VIRTIO calls the device: status, features, configuration space
 * with its generation, queues with their position, ready flag and base, reset. A personality owns
 * only the layout of registers, its selectors and its vectors. What has to travel up (an interrupt,
 * a configuration change) goes through struct vdev_up, which the personality hands down.
 */
#ifndef VN_DEVICE_H
#define VN_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../datapath/position.h"
#include "../defects/defects.h"
#include "../fabric/fabric.h"
#include "../vqnic.h"

struct virtio_dev;
struct vq;
struct profile;
struct port;

/**
 * struct vdev_up - what the room above hands down; all run from the event loop, never from inside a
 * call of the room above except where said
 * @queue_irq:  the queue's interrupt (its vector is the personality's): build the fab_irq for it,
 *              false if the queue has none (NO_VECTOR); also sets what ISR needs
 * @config_irq: configuration changed; may run inside vdev_* calls
 */
struct vdev_up {
	bool (*queue_irq)(void *ctx, unsigned int queue, struct fab_irq *irq);
	void (*config_irq)(void *ctx);
};

/**
 * struct vdev_env - what a device stands on; all borrowed, outlive the device
 * @spaces: DMA address spaces of the function, by asid
 */
struct vdev_env {
	struct fabric *fab;
	struct iova_space *const *spaces;
	unsigned int nspaces;
	const struct defect_set *defects;
	const struct profile *profile;
	struct port *port;
};

/** vdev_create() - a device in its reset state; -ENOMEM, -EINVAL impossible profile */
int vdev_create(const struct vdev_env *env, const struct vdev_up *up, void *up_ctx,
		struct virtio_dev **dev);
void vdev_destroy(struct virtio_dev *dev);

uint32_t vdev_id(const struct virtio_dev *dev);

/* ---- Status and features ------------------------------------------------------------------- */

uint8_t vdev_status(const struct virtio_dev *dev);

/**
 * vdev_set_status() - the driver writes device status
 *
 * 0 starts a reset; vdev_status() reads non-zero until in-flight work has ended (on a fabric with
 * delays that takes simulated time, the driver polls). FEATURES_OK may be refused: read it back.
 */
void vdev_set_status(struct virtio_dev *dev, uint8_t status);

/** vdev_reset() - reset at once, in no simulated time (FLR, client gone): in-flight work is
 * cancelled */
void vdev_reset(struct virtio_dev *dev);

uint64_t vdev_device_features(const struct virtio_dev *dev);
uint64_t vdev_driver_features(const struct virtio_dev *dev);

/** vdev_set_driver_features() - one half of the driver's features; ignored once FEATURES_OK is set
 */
void vdev_set_driver_features(struct virtio_dev *dev, unsigned int half, uint32_t value);

/* ---- Configuration space ------------------------------------------------------------------- */

uint32_t vdev_config_size(const struct virtio_dev *dev);
uint8_t vdev_config_generation(const struct virtio_dev *dev);

/** vdev_config_read() - bytes beyond the structure read as 0 */
void vdev_config_read(struct virtio_dev *dev, uint32_t off, void *buf, uint32_t len);
void vdev_config_write(struct virtio_dev *dev, uint32_t off, const void *buf, uint32_t len);

/* ---- Queues -------------------------------------------------------------------------------- */

unsigned int vdev_num_queues(const struct virtio_dev *dev);

/** vdev_vq() - NULL if there is no such queue */
struct vq *vdev_vq(struct virtio_dev *dev, unsigned int index);

uint16_t vq_size_max(const struct vq *vq);
uint16_t vq_size(const struct vq *vq);

/** vq_set_size() - a size that the ring format forbids makes enabling fail (see vq_enable) */
void vq_set_size(struct vq *vq, uint16_t size);

enum vq_area { VQ_DESC, VQ_DRIVER, VQ_DEVICE };

uint64_t vq_address(const struct vq *vq, enum vq_area area);
void vq_set_address(struct vq *vq, enum vq_area area, uint64_t address);

/**
 * vq_enable() - queue_enable = 1
 *
 * Processing begins at the position set before (or the ring's beginning) once DRIVER_OK is set;
 * buffers that are already offered are served without a kick. Bad sizes or misaligned addresses
 * make the device ask for a reset (NEEDS_RESET) once it would process.
 */
void vq_enable(struct vq *vq);

/**
 * vq_disable() - the way IFCVF is stopped: queue_enable = 0
 *
 * vq_enabled() stays true until in-flight packets are retired and the position is final.
 */
void vq_disable(struct vq *vq);
bool vq_enabled(const struct vq *vq);

/** vq_reset() - VIRTIO_F_RING_RESET; vq_resetting() is true until done; the queue is then as after
 * a reset */
void vq_reset(struct vq *vq);
bool vq_resetting(const struct vq *vq);

/** vq_get_pos() - final once the queue is stopped; a snapshot of what is retired while it runs */
void vq_get_pos(const struct vq *vq, struct vq_pos *pos);

/** vq_set_pos() - ignored while the queue is enabled */
void vq_set_pos(struct vq *vq, const struct vq_pos *pos);

/** vq_notify() - a doorbell; schedules, never processes */
void vq_notify(struct vq *vq);

/* ---- What a vendor's control path adds ------------------------------------------------------ */

/**
 * vdev_set_queue_pairs() - IFCVF's MQ register; 0 means as the driver negotiated
 */
void vdev_set_queue_pairs(struct virtio_dev *dev, unsigned int pairs);

/**
 * vdev_log_start() - log every packet-buffer page that the device writes
 * @base, @end: IOVA of the bitmap in host memory, @end exclusive; bit n is page n of 4096 bytes,
 *              byte n / 8, bit n % 8; pages whose bit lies beyond @end are not logged and counted
 *              as dma_errors
 *
 * A page's bit is set after the page is written and before the buffer is reported as used. What was
 * written before, but is not yet visible, is marked as well.
 */
void vdev_log_start(struct virtio_dev *dev, uint64_t base, uint64_t end);
void vdev_log_stop(struct virtio_dev *dev);
bool vdev_log_active(const struct virtio_dev *dev);

/* ---- From outside ---------------------------------------------------------------------------- */

/** vdev_link() - the port's carrier changed; vdev_announce() as vqnic_announce() */
void vdev_link(struct virtio_dev *dev, bool up);
int vdev_announce(struct virtio_dev *dev);

/** vdev_quiescent() - nothing in flight */
bool vdev_quiescent(const struct virtio_dev *dev);

void vdev_set_live(struct virtio_dev *dev, bool live);
void vdev_poll(struct virtio_dev *dev);
bool vdev_busy(const struct virtio_dev *dev);
/**
 * vdev_rx_room() - how many more frames the receive queues would keep; a wire that can wait should
 *
 * With several queues in use it is that of the emptiest: one that is stuck must not stop the rest.
 */
unsigned int vdev_rx_room(const struct virtio_dev *dev);

void vdev_idle(struct virtio_dev *dev);

#endif
