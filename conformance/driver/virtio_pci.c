// SPDX-License-Identifier: BSD-3-Clause
/*
 * Mini driver of a modern virtio-pci function
 *
 * How it works. pci_driver_open() reads the PCI header, walks the capability list with a bound
 * (lists may loop), and keeps the first usable structure of each type, as VIRTIO 4.1.4.1 asks of a
 * driver. Registers are accessed with their natural width only. Every queue register goes through
 * queue_select, which is written each time: checks write it too, behind our back.
 *
 * Vectors: configuration changes get vector 0, queue q gets vector q + 1, as far as there are any.
 * A device reset clears them on virtio-pci, so they are written again when a queue is made ready.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../spec.h"
#include "pci_driver.h"

#define CAPS_MAX       48u
#define GENERATION_MAX 100u
#define POLL_MS	       5000u

/* ---- Registers --------------------------------------------------------------------------------
 */

static struct pci_driver *driver(struct parent *p)
{
	return p->priv;
}

static void complain(struct pci_driver *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void complain(struct pci_driver *d, const char *fmt, ...)
{
	va_list ap;

	if (d->complaint[0])
		return;
	va_start(ap, fmt);
	vsnprintf(d->complaint, sizeof(d->complaint), fmt, ap);
	va_end(ap);
}

static int reg_read(struct pci_driver *d, const struct pci_cap *cap, uint32_t off, unsigned int len,
		    uint32_t *value)
{
	uint8_t b[4] = {0};
	int err;

	*value = 0;
	if (!cap->present || off > cap->length || len > cap->length - off)
		return -EPROTO;
	err = pci_read(&d->access, cap->bar, (uint64_t)cap->offset + off, b, len);
	*value = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
	return err;
}

static int reg_write(struct pci_driver *d, const struct pci_cap *cap, uint32_t off,
		     unsigned int len, uint32_t value)
{
	uint8_t b[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
			(uint8_t)(value >> 24)};

	if (!cap->present || off > cap->length || len > cap->length - off)
		return -EPROTO;
	return pci_write(&d->access, cap->bar, (uint64_t)cap->offset + off, b, len);
}

int pci_common_read(struct pci_driver *d, uint32_t off, unsigned int len, uint32_t *value)
{
	return reg_read(d, &d->common, off, len, value);
}

int pci_common_write(struct pci_driver *d, uint32_t off, unsigned int len, uint32_t value)
{
	return reg_write(d, &d->common, off, len, value);
}

static int queue_count(struct pci_driver *d, unsigned int *count)
{
	uint32_t n;
	int err = pci_common_read(d, VC_COMMON_NUMQ, 2, &n);

	if (err)
		return err;
	*count = n < PCI_DRIVER_QUEUES ? n : PCI_DRIVER_QUEUES;
	return 0;
}

int pci_queue_select(struct pci_driver *d, unsigned int q)
{
	if (q > 0xffff)
		return -EINVAL;
	return pci_common_write(d, VC_COMMON_Q_SELECT, 2, q);
}

static int queue_read(struct pci_driver *d, unsigned int q, uint32_t off, unsigned int len,
		      uint32_t *value)
{
	int err = pci_queue_select(d, q);

	*value = 0;
	return err ? err : pci_common_read(d, off, len, value);
}

static int queue_write(struct pci_driver *d, unsigned int q, uint32_t off, unsigned int len,
		       uint32_t value)
{
	int err = pci_queue_select(d, q);

	return err ? err : pci_common_write(d, off, len, value);
}

/* ---- Waiting for a register ---------------------------------------------------------------------
 */

static int settled_read(struct pci_driver *d, unsigned int q, uint32_t off, unsigned int len,
			uint32_t *value)
{
	return off >= VC_COMMON_Q_SELECT ? queue_read(d, q, off, len, value)
					 : pci_common_read(d, off, len, value);
}

int pci_driver_poll(struct pci_driver *d, unsigned int q, uint32_t off, unsigned int len,
		    uint32_t want, unsigned int timeout_ms)
{
	const bool exact = d->parent->caps & CAP_EXACT_SETTLE;
	struct timespec start, now;
	uint32_t value;
	int err, n;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		err = settled_read(d, q, off, len, &value);
		if (err)
			return err;
		if (value == want)
			return 0;
		n = d->access.pump ? d->access.pump(d->access.ctx) : 0;
		if (n < 0)
			return n;
		if (n == 0 && exact) {
			/* Nothing is left that could change it; one last look. */
			err = settled_read(d, q, off, len, &value);
			if (err)
				return err;
			return value == want ? 0 : -ETIMEDOUT;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 >
		    (long)timeout_ms)
			return -ETIMEDOUT;
		if (n == 0)
			nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	}
}

/* ---- Identity, features, status
 * -------------------------------------------------------------------- */

static int virtio_get_device_id(struct parent *p, uint32_t *id)
{
	const struct pci_driver *d = driver(p);

	/* transitional ids carry the type in the subsystem id (VIRTIO 4.1.2.1) */
	*id = d->device < 0x1040 ? d->subsystem : (uint32_t)(d->device - 0x1040);
	return 0;
}

static int virtio_get_vendor_id(struct parent *p, uint32_t *id)
{
	*id = driver(p)->subvendor;
	return 0;
}

static int features_read(struct pci_driver *d, uint32_t select, uint32_t value, uint64_t *features)
{
	uint32_t half[2];

	for (unsigned int i = 0; i < 2; i++) {
		int err = pci_common_write(d, select, 4, i);

		if (!err)
			err = pci_common_read(d, value, 4, &half[i]);
		if (err)
			return err;
	}
	*features = (uint64_t)half[1] << 32 | half[0];
	return 0;
}

static int virtio_get_device_features(struct parent *p, uint64_t *features)
{
	return features_read(driver(p), VC_COMMON_DFSELECT, VC_COMMON_DF, features);
}

static int virtio_get_driver_features(struct parent *p, uint64_t *features)
{
	return features_read(driver(p), VC_COMMON_GFSELECT, VC_COMMON_GF, features);
}

static int virtio_set_driver_features(struct parent *p, uint64_t features)
{
	struct pci_driver *d = driver(p);

	for (unsigned int i = 0; i < 2; i++) {
		int err = pci_common_write(d, VC_COMMON_GFSELECT, 4, i);

		if (!err)
			err = pci_common_write(d, VC_COMMON_GF, 4,
					       (uint32_t)(features >> (32 * i)));
		if (err)
			return err;
	}
	return 0;
}

static int virtio_get_status(struct parent *p, uint8_t *status)
{
	uint32_t value;
	int err = pci_common_read(driver(p), VC_COMMON_STATUS, 1, &value);

	*status = (uint8_t)value;
	return err;
}

static uint16_t vector_of(const struct pci_driver *d, unsigned int q)
{
	if (d->vectors <= 1)
		return 0;
	return (uint16_t)(1 + q % (unsigned int)(d->vectors - 1));
}

/* config_vector() - VIRTIO 4.1.5.1.2: the driver reads the vector back; NO_VECTOR means refused */
static int config_vector(struct pci_driver *d)
{
	uint32_t seen;
	int err = pci_common_write(d, VC_COMMON_MSIX, 2, d->has_config_call ? 0 : VC_MSI_NO_VECTOR);

	if (!err)
		err = pci_common_read(d, VC_COMMON_MSIX, 2, &seen);
	if (!err && d->has_config_call && seen != 0)
		err = -EBUSY;
	return err;
}

static int virtio_set_status(struct parent *p, uint8_t status)
{
	struct pci_driver *d = driver(p);
	int err;

	/* A reset took the vector away; it has to be there before the device may signal. */
	if (d->has_config_call && (status & VC_STATUS_FEATURES_OK) &&
	    !(d->status & VC_STATUS_FEATURES_OK)) {
		err = config_vector(d);
		if (err)
			return err;
	}
	err = pci_common_write(d, VC_COMMON_STATUS, 1, status);
	if (!err)
		d->status = status;
	return err;
}

static int virtio_reset(struct parent *p)
{
	struct pci_driver *d = driver(p);
	int err = pci_common_write(d, VC_COMMON_STATUS, 1, 0);

	if (!err)
		err = pci_driver_poll(d, 0, VC_COMMON_STATUS, 1, 0, POLL_MS);
	if (err)
		return err;
	d->status = 0;
	memset(d->size_max, 0, sizeof(d->size_max));
	return 0;
}

/* ---- Configuration space
 * -------------------------------------------------------------------------------- */

/* width() - natural width of the field at @off: by the structure for a network device, else
 * alignment */
static uint32_t width(const struct pci_driver *d, uint32_t off, uint32_t len)
{
	uint32_t w;
	uint32_t id = d->device < 0x1040 ? d->subsystem : (uint32_t)(d->device - 0x1040);

	if (id == VC_ID_NET && (off < VC_NET_CFG_STATUS || off == 16 || off == 17))
		w = 1;
	else if (id == VC_ID_NET && (off < VC_NET_CFG_SPEED || off == 18))
		w = off % 2 ? 1 : 2;
	else
		w = off % 4 == 0 ? 4 : off % 2 == 0 ? 2 : 1;
	while (w > len)
		w /= 2;
	return w;
}

static int config_read_once(struct pci_driver *d, uint32_t off, uint8_t *buf, uint32_t len)
{
	while (len) {
		uint32_t w = width(d, off, len);
		int err = pci_read(&d->access, d->config.bar, (uint64_t)d->config.offset + off, buf,
				   w);

		if (err)
			return err;
		off += w;
		buf += w;
		len -= w;
	}
	return 0;
}

static int virtio_get_generation(struct parent *p, uint32_t *generation)
{
	return pci_common_read(driver(p), VC_COMMON_GENERATION, 1, generation);
}

static int virtio_get_config(struct parent *p, uint32_t off, void *buf, uint32_t len)
{
	struct pci_driver *d = driver(p);
	uint32_t before, after;
	int err;

	if (!d->config.present)
		return -EPROTO;
	if (!len || off > d->config.length || len > d->config.length - off)
		return -EINVAL;
	for (unsigned int i = 0; i < GENERATION_MAX; i++) {
		err = virtio_get_generation(p, &before);
		if (!err)
			err = config_read_once(d, off, buf, len);
		if (!err)
			err = virtio_get_generation(p, &after);
		if (err || before == after)
			return err;
	}
	return -EAGAIN;
}

static int virtio_set_config(struct parent *p, uint32_t off, const void *buf, uint32_t len)
{
	struct pci_driver *d = driver(p);
	const uint8_t *b = buf;

	if (!d->config.present)
		return -EPROTO;
	if (!len || off > d->config.length || len > d->config.length - off)
		return -EINVAL;
	while (len) {
		uint32_t w = width(d, off, len);
		int err = pci_write(&d->access, d->config.bar, (uint64_t)d->config.offset + off, b,
				    w);

		if (err)
			return err;
		off += w;
		b += w;
		len -= w;
	}
	return 0;
}

static int virtio_get_config_size(struct parent *p, uint32_t *size)
{
	if (!driver(p)->config.present)
		return -EPROTO;
	*size = driver(p)->config.length;
	return 0;
}

/* ---- Queues
 * ------------------------------------------------------------------------------------------------
 */

static int virtio_get_vq_count(struct parent *p, unsigned int *count)
{
	return queue_count(driver(p), count);
}

/* The register holds the largest size only until a size is written: it is kept from before. */
static int size_max(struct pci_driver *d, unsigned int q, uint16_t *size)
{
	uint32_t value;
	int err;

	if (q >= PCI_DRIVER_QUEUES)
		return -EINVAL;
	if (!d->size_max[q]) {
		err = queue_read(d, q, VC_COMMON_Q_SIZE, 2, &value);
		if (err)
			return err;
		d->size_max[q] = (uint16_t)value;
	}
	*size = d->size_max[q];
	return 0;
}

static int virtio_get_vq_size_max(struct parent *p, unsigned int q, uint16_t *size)
{
	return size_max(driver(p), q, size);
}

static int virtio_set_vq_size(struct parent *p, unsigned int q, uint16_t size)
{
	uint16_t max;
	int err = size_max(driver(p), q, &max);

	return err ? err : queue_write(driver(p), q, VC_COMMON_Q_SIZE, 2, size);
}

static int virtio_set_vq_address(struct parent *p, unsigned int q, uint64_t desc, uint64_t drv,
				 uint64_t device)
{
	const uint64_t area[3] = {desc, drv, device};
	int err = pci_queue_select(driver(p), q);

	for (unsigned int i = 0; i < 3 && !err; i++) {
		uint32_t off = VC_COMMON_Q_DESC_LO + 8 * i;

		err = pci_common_write(driver(p), off, 4, (uint32_t)area[i]);
		if (!err)
			err = pci_common_write(driver(p), off + 4, 4, (uint32_t)(area[i] >> 32));
	}
	return err;
}

static int virtio_get_vq_vector(struct parent *p, unsigned int q, uint16_t *vector)
{
	uint32_t value;
	int err = queue_read(driver(p), q, VC_COMMON_Q_MSIX, 2, &value);

	*vector = (uint16_t)value;
	return err;
}

static int virtio_set_vq_vector(struct parent *p, unsigned int q, uint16_t vector, uint16_t *seen)
{
	int err = queue_write(driver(p), q, VC_COMMON_Q_MSIX, 2, vector);

	return err ? err : virtio_get_vq_vector(p, q, seen);
}

static int queue_vector(struct parent *p, unsigned int q)
{
	struct pci_driver *d = driver(p);
	uint16_t want = d->has_call[q] ? vector_of(d, q) : VC_MSI_NO_VECTOR;
	uint16_t seen;
	int err = virtio_get_vq_vector(p, q, &seen);

	if (err || seen == want)
		return err;
	err = virtio_set_vq_vector(p, q, want, &seen);
	if (err)
		return err;
	return seen == want ? 0 : -EBUSY;
}

static int virtio_get_vq_ready(struct parent *p, unsigned int q, bool *ready)
{
	uint32_t value;
	int err = queue_read(driver(p), q, VC_COMMON_Q_ENABLE, 2, &value);

	*ready = value == 1;
	return err;
}

static int virtio_set_vq_ready(struct parent *p, unsigned int q, bool ready)
{
	struct pci_driver *d = driver(p);
	int err;

	if (q >= PCI_DRIVER_QUEUES)
		return -EINVAL;
	/* VIRTIO 4.1.4.3.2: the driver MUST NOT write 0; IFCVF is stopped so nevertheless. */
	if (!ready)
		return d->ifcvf ? queue_write(d, q, VC_COMMON_Q_ENABLE, 2, 0) : -EOPNOTSUPP;
	if (d->has_call[q]) {
		err = queue_vector(p, q);
		if (err)
			return err;
	}
	return queue_write(d, q, VC_COMMON_Q_ENABLE, 2, 1);
}

static int virtio_vq_reset(struct parent *p, unsigned int q)
{
	struct pci_driver *d = driver(p);
	int err = queue_write(d, q, VC_COMMON_Q_RESET, 2, 1);

	if (!err)
		err = pci_driver_poll(d, q, VC_COMMON_Q_RESET, 2, 0, POLL_MS);
	if (!err)
		err = pci_driver_poll(d, q, VC_COMMON_Q_ENABLE, 2, 0, POLL_MS);
	if (!err && q < PCI_DRIVER_QUEUES)
		d->size_max[q] = 0;
	return err;
}

/* ---- Notifications
 * ------------------------------------------------------------------------------------------- */

static int notify_offset(struct pci_driver *d, unsigned int q, uint32_t *off)
{
	uint32_t noff;
	uint64_t at;
	int err = queue_read(d, q, VC_COMMON_Q_NOFF, 2, &noff);

	if (err)
		return err;
	at = (uint64_t)noff * d->notify_multiplier;
	/* VIRTIO 4.1.4.4.1: cap.length is enough for every queue */
	if (!d->notify.present || at + 2 > d->notify.length)
		return -EPROTO;
	*off = (uint32_t)at;
	return 0;
}

static int virtio_kick(struct parent *p, unsigned int q)
{
	struct pci_driver *d = driver(p);
	uint32_t off;
	int err = notify_offset(d, q, &off);

	return err ? err : reg_write(d, &d->notify, off, 2, q);
}

static int virtio_kick_data(struct parent *p, unsigned int q, uint32_t data)
{
	struct pci_driver *d = driver(p);
	uint32_t off;
	int err = notify_offset(d, q, &off);

	return err ? err : reg_write(d, &d->notify, off, 4, data);
}

static int virtio_get_notify_area(struct parent *p, unsigned int q, uint64_t *off, uint64_t *size)
{
	struct pci_driver *d = driver(p);
	uint32_t at;
	int err = notify_offset(d, q, &at);

	if (err)
		return err;
	*off = (uint64_t)d->notify.offset + at;
	*size = d->notify_multiplier ? d->notify_multiplier : d->notify.length;
	return 0;
}

/* ---- Interrupts
 * ------------------------------------------------------------------------------------------------
 */

static int virtio_set_vq_call(struct parent *p, unsigned int q, int eventfd)
{
	struct pci_driver *d = driver(p);
	int err;

	if (q >= PCI_DRIVER_QUEUES)
		return -EINVAL;
	if (d->vectors <= 0)
		return -ENOSPC;
	err = d->access.set_irq(d->access.ctx, VC_VFIO_IRQ_MSIX, vector_of(d, q), eventfd);
	if (err)
		return err;
	d->has_call[q] = eventfd >= 0;
	/* the vector stays when the eventfd is taken away: it then signals nobody */
	return eventfd >= 0 ? queue_vector(p, q) : 0;
}

static int virtio_set_config_call(struct parent *p, int eventfd)
{
	struct pci_driver *d = driver(p);
	int err;

	if (d->vectors <= 0)
		return -ENOSPC;
	err = d->access.set_irq(d->access.ctx, VC_VFIO_IRQ_MSIX, 0, eventfd);
	if (err)
		return err;
	d->has_config_call = eventfd >= 0;
	return eventfd >= 0 ? config_vector(d) : 0;
}

/* ---- Memory and registers
 * ---------------------------------------------------------------------------------------- */

static int virtio_dma_map(struct parent *p, const struct parent_dma *map)
{
	return driver(p)->access.dma_map(driver(p)->access.ctx, map);
}

static int virtio_dma_unmap(struct parent *p, uint32_t asid, uint64_t iova, uint64_t size)
{
	return driver(p)->access.dma_unmap(driver(p)->access.ctx, asid, iova, size);
}

static const struct pci_access *virtio_pci(struct parent *p)
{
	return &driver(p)->access;
}

static int virtio_pump(struct parent *p)
{
	struct pci_driver *d = driver(p);

	return d->access.pump ? d->access.pump(d->access.ctx) : 0;
}

static const struct parent_ops virtio_ops = {
	.get_device_id = virtio_get_device_id,
	.get_vendor_id = virtio_get_vendor_id,
	.get_device_features = virtio_get_device_features,
	.set_driver_features = virtio_set_driver_features,
	.get_driver_features = virtio_get_driver_features,
	.get_status = virtio_get_status,
	.set_status = virtio_set_status,
	.reset = virtio_reset,
	.get_config = virtio_get_config,
	.set_config = virtio_set_config,
	.get_config_size = virtio_get_config_size,
	.get_generation = virtio_get_generation,
	.get_vq_count = virtio_get_vq_count,
	.get_vq_size_max = virtio_get_vq_size_max,
	.set_vq_address = virtio_set_vq_address,
	.set_vq_size = virtio_set_vq_size,
	.set_vq_ready = virtio_set_vq_ready,
	.get_vq_ready = virtio_get_vq_ready,
	.kick = virtio_kick,
	.kick_data = virtio_kick_data,
	.set_vq_call = virtio_set_vq_call,
	.set_config_call = virtio_set_config_call,
	.set_vq_vector = virtio_set_vq_vector,
	.get_vq_vector = virtio_get_vq_vector,
	.get_notify_area = virtio_get_notify_area,
	.dma_map = virtio_dma_map,
	.dma_unmap = virtio_dma_unmap,
	.pci = virtio_pci,
	.pump = virtio_pump,
};

void pci_driver_virtio(struct pci_driver *d)
{
	struct parent *p = d->parent;
	uint64_t features;

	d->ops = virtio_ops;
	p->caps |= CAP_PCI | CAP_VIRTIO_PCI | CAP_GENERATION | CAP_NOTIFY_AREA | CAP_SET_CONFIG |
		   CAP_DRIVER_FEATURES | CAP_VQ_READY_GET;
	if (d->vectors > 0)
		p->caps |= CAP_QUEUE_VECTOR | CAP_CONFIG_CALL;
	/* the register is there only where the structure is long enough and the feature is offered
	 */
	if (d->common.length >= VC_COMMON_Q_RESET + 2 &&
	    !features_read(d, VC_COMMON_DFSELECT, VC_COMMON_DF, &features) &&
	    (features & VC_BIT(VC_F_RING_RESET))) {
		d->ops.vq_reset = virtio_vq_reset;
		p->caps |= CAP_VQ_RESET;
	}
}

/* ---- Finding out what it is
 * ------------------------------------------------------------------------------------------ */

static int config_read(struct pci_driver *d, uint32_t off, unsigned int len, uint32_t *value)
{
	uint8_t b[4] = {0};
	int err = pci_read(&d->access, PCI_REGION_CONFIG, off, b, len);

	*value = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
	return err;
}

static int config_write(struct pci_driver *d, uint32_t off, unsigned int len, uint32_t value)
{
	uint8_t b[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
			(uint8_t)(value >> 24)};

	return pci_write(&d->access, PCI_REGION_CONFIG, off, b, len);
}

/* take_cap() - one vendor capability at @at: keep it if it is usable and wanted */
static int take_cap(struct pci_driver *d, uint32_t at)
{
	struct pci_cap cap = {.present = true};
	struct pci_cap *slot;
	uint32_t len, type, bar, multiplier = 0;
	uint64_t size = 0;
	int err = config_read(d, at + VC_CAP_LEN, 1, &len);

	if (!err)
		err = config_read(d, at + VC_CAP_CFG_TYPE, 1, &type);
	if (!err)
		err = config_read(d, at + VC_CAP_BAR, 1, &bar);
	if (!err)
		err = config_read(d, at + VC_CAP_OFFSET, 4, &cap.offset);
	if (!err)
		err = config_read(d, at + VC_CAP_LENGTH, 4, &cap.length);
	if (err)
		return err;
	switch (type) {
	case VC_PCI_CAP_COMMON:
		slot = &d->common;
		break;
	case VC_PCI_CAP_NOTIFY:
		slot = &d->notify;
		break;
	case VC_PCI_CAP_ISR:
		slot = &d->isr;
		break;
	case VC_PCI_CAP_DEVICE:
		slot = &d->config;
		break;
	default:
		return 0; /* others are none of ours, and unknown ones are to be ignored */
	}
	if (len < (type == VC_PCI_CAP_NOTIFY ? 20u : 16u)) {
		complain(d, "capability of type %u at 0x%x is %u bytes long, too short", type, at,
			 len);
		return 0;
	}
	/* VIRTIO 4.1.4: values of bar above 5 are reserved; such a capability is to be ignored */
	if (bar > 5)
		return 0;
	cap.bar = (uint8_t)bar;
	if (d->access.region_size(d->access.ctx, bar, &size) || !cap.length || cap.offset > size ||
	    cap.length > size - cap.offset) {
		complain(d,
			 "capability of type %u: 0x%x + 0x%x lies outside BAR %u of 0x%llx bytes",
			 type, cap.offset, cap.length, bar, (unsigned long long)size);
		return 0;
	}
	if (type == VC_PCI_CAP_COMMON && (cap.length < VC_COMMON_SIZE_MIN || cap.offset % 4)) {
		complain(d, "common configuration of 0x%x bytes at 0x%x: too short or misaligned",
			 cap.length, cap.offset);
		return 0;
	}
	if (type == VC_PCI_CAP_NOTIFY) {
		err = config_read(d, at + VC_CAP_MULTIPLIER, 4, &multiplier);
		if (err)
			return err;
		if (multiplier & (multiplier - 1) || multiplier == 1)
			complain(d, "notify_off_multiplier is %u, no even power of two",
				 multiplier);
	}
	/* the first of a type is the one that the device prefers; Intel's driver keeps the last */
	if (slot->present && !d->ifcvf)
		return 0;
	*slot = cap;
	if (type == VC_PCI_CAP_NOTIFY)
		d->notify_multiplier = multiplier;
	return 0;
}

static int walk(struct pci_driver *d)
{
	uint32_t status, at, id;
	int err = config_read(d, VC_PCI_STATUS, 2, &status);

	if (err)
		return err;
	if (!(status & VC_PCI_STATUS_CAP_LIST)) {
		complain(d, "the status register announces no capability list");
		return 0;
	}
	err = config_read(d, VC_PCI_CAP_PTR, 1, &at);
	for (unsigned int n = 0; !err && (at &= 0xfcu) != 0; n++) {
		if (n == CAPS_MAX || at < 0x40) {
			complain(d, "the capability list loops or points into the header (0x%x)",
				 at);
			return 0;
		}
		err = config_read(d, at, 1, &id);
		if (!err && id == VC_PCI_CAP_ID_VENDOR)
			err = take_cap(d, at);
		else if (!err && id == VC_PCI_CAP_ID_MSIX)
			d->msix_cap = (uint16_t)at;
		if (!err)
			err = config_read(d, at + 1, 1, &at);
	}
	return err;
}

static int identify(struct pci_driver *d)
{
	uint32_t v[4];
	static const uint32_t at[4] = {VC_PCI_VENDOR_ID, VC_PCI_DEVICE_ID, VC_PCI_SUBVENDOR_ID,
				       VC_PCI_SUBSYSTEM_ID};

	for (unsigned int i = 0; i < 4; i++) {
		int err = config_read(d, at[i], 2, &v[i]);

		if (err)
			return err;
	}
	d->vendor = (uint16_t)v[0];
	d->device = (uint16_t)v[1];
	d->subvendor = (uint16_t)v[2];
	d->subsystem = (uint16_t)v[3];
	d->ifcvf = d->subvendor == VC_PCI_VENDOR_INTEL;
	return 0;
}

/* enable() - memory decoding, bus mastering, MSI-X on */
static int enable(struct pci_driver *d)
{
	uint32_t value;
	int err = config_read(d, VC_PCI_COMMAND, 2, &value);

	if (!err)
		err = config_write(d, VC_PCI_COMMAND, 2,
				   value | VC_PCI_COMMAND_MEMORY | VC_PCI_COMMAND_MASTER |
					   VC_PCI_COMMAND_INTX_OFF);
	if (err || !d->msix_cap)
		return err;
	err = config_read(d, d->msix_cap + VC_PCI_MSIX_CTRL, 2, &value);
	if (!err)
		err = config_write(d, d->msix_cap + VC_PCI_MSIX_CTRL, 2,
				   value | VC_PCI_MSIX_CTRL_ENABLE);
	return err;
}

int pci_driver_open(struct parent *p, const struct pci_access *access,
		    const struct pci_driver_options *opts, char *error, size_t error_size)
{
	struct pci_driver *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->access = *access;
	d->parent = p;
	d->dpdk_layout = opts && opts->dpdk_layout;
	err = identify(d);
	if (!err &&
	    (d->vendor != VC_PCI_VENDOR_REDHAT || d->device < 0x1000 || d->device > 0x107f)) {
		if (error)
			snprintf(error, error_size,
				 "%s: the function is %04x:%04x, which is no virtio device",
				 p->info.address, d->vendor, d->device);
		free(d);
		return -ENODEV;
	}
	if (!err)
		err = walk(d);
	if (!err)
		err = enable(d);
	if (err) {
		if (error)
			snprintf(error, error_size,
				 "%s: reading its configuration space failed: %s", p->info.address,
				 strerror(-err));
		free(d);
		return err;
	}
	if (!d->common.present)
		complain(d, "no usable common configuration structure");
	d->vectors = d->access.irq_count(d->access.ctx, VC_VFIO_IRQ_MSIX);
	p->priv = d;
	pci_driver_virtio(d);
	snprintf(p->info.driver, sizeof(p->info.driver), "virtio-pci");
	if (d->ifcvf) {
		pci_driver_ifcvf(d);
		snprintf(p->info.driver, sizeof(p->info.driver), "ifcvf");
	}
	p->ops = &d->ops;
	return 0;
}

void pci_driver_close(struct parent *p)
{
	free(p->priv);
	p->priv = NULL;
}
