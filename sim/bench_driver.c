/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench_driver.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "spec.h"
#include "util.h"

/* Configuration space (PCI 3.0, 6.1), and the virtio capability in it (VIRTIO 1.4, 4.1.4). */
#define PCI_COMMAND    0x04u
#define PCI_COMMAND_ON 0x0406u /* memory, bus master, no INTx */
#define PCI_CAPS       0x34u
#define PCI_CAP_VENDOR 0x09u
#define CAPS_LIMIT     48u

enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_DEVICE = 4, CAP_TYPES = 5 };

/* The common configuration structure (4.1.4.3). */
enum {
	C_DEVICE_FEATURE_SELECT = 0x00,
	C_DEVICE_FEATURE = 0x04,
	C_DRIVER_FEATURE_SELECT = 0x08,
	C_DRIVER_FEATURE = 0x0c,
	C_STATUS = 0x14,
	C_QUEUE_SELECT = 0x16,
	C_QUEUE_SIZE = 0x18,
	C_QUEUE_ENABLE = 0x1c,
	C_QUEUE_NOTIFY_OFF = 0x1e,
	C_QUEUE_DESC = 0x20,
	C_QUEUE_DRIVER = 0x28,
	C_QUEUE_DEVICE = 0x30,
};

#define IOVA	UINT64_C(0x100000000)
#define HEADER	((uint32_t)sizeof(struct vn_net_hdr))
#define SLOT	2048u /* of a buffer */
#define RX	0u
#define TX	1u
#define FN	0u
#define RING_AT 4096u /* alignment of each ring part; more than the format asks for */

/* A buffer's mark, so that a frame that was lost or mixed up shows. */
#define MARK_AT	 16u
#define MARK_LEN 8u

struct queue {
	bool packed, write;
	uint16_t size, mask, index;
	uint8_t *desc, *driver, *device;
	uint64_t buffers_iova;
	uint8_t *buffers;
	uint32_t len; /* of a buffer, as its descriptor says */
	uint16_t *free_ids, *seen;
	unsigned int free;
	/* split: free-running indices; packed: offsets and wrap counters */
	uint16_t avail, used;
	bool avail_wrap, used_wrap;
	/* packed: the batch's first descriptor becomes available last */
	uint16_t first;
	uint16_t first_flags;
	bool open;
	uint64_t doorbell;
	unsigned int region;
};

struct bench_driver {
	struct vqnic *nic;
	struct bench_params params;
	struct {
		unsigned int region;
		uint32_t offset, length;
	} cap[CAP_TYPES];
	uint32_t notify_multiplier;
	uint8_t *memory;
	size_t memory_size, memory_used;
	int fd;
	struct queue queues[2];
	uint64_t sent, received;
	struct vqnic_error *err;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct bench_driver *d, int ret,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(d->err->text, sizeof(d->err->text), format, args);
	va_end(args);
	return ret;
}

/* ---- Registers ----------------------------------------------------------------------------------
 */

static uint32_t config_read(struct bench_driver *d, uint32_t off, size_t len)
{
	uint32_t value = 0;

	vqnic_region_read(d->nic, FN, VQNIC_REGION_CONFIG, off, &value, len);
	return value;
}

static uint32_t common_read(struct bench_driver *d, uint32_t off, size_t len)
{
	uint32_t value = 0;

	vqnic_region_read(d->nic, FN, d->cap[CAP_COMMON].region, d->cap[CAP_COMMON].offset + off,
			  &value, len);
	return value;
}

static void common_write(struct bench_driver *d, uint32_t off, uint32_t value, size_t len)
{
	vqnic_region_write(d->nic, FN, d->cap[CAP_COMMON].region, d->cap[CAP_COMMON].offset + off,
			   &value, len);
}

static void common_write64(struct bench_driver *d, uint32_t off, uint64_t value)
{
	common_write(d, off, (uint32_t)value, 4);
	common_write(d, off + 4, (uint32_t)(value >> 32), 4);
}

static int find_structures(struct bench_driver *d)
{
	uint32_t at = config_read(d, PCI_CAPS, 1);
	uint16_t on = PCI_COMMAND_ON;

	for (unsigned int n = 0; at >= 0x40 && n < CAPS_LIMIT; n++) {
		uint32_t type = config_read(d, at + 3, 1);

		if (config_read(d, at, 1) == PCI_CAP_VENDOR && type < CAP_TYPES &&
		    !d->cap[type].length) {
			d->cap[type].region = config_read(d, at + 4, 1);
			d->cap[type].offset = config_read(d, at + 8, 4);
			d->cap[type].length = config_read(d, at + 12, 4);
			if (type == CAP_NOTIFY)
				d->notify_multiplier = config_read(d, at + 16, 4);
		}
		at = config_read(d, at + 1, 1);
	}
	if (!d->cap[CAP_COMMON].length || !d->cap[CAP_NOTIFY].length || !d->cap[CAP_DEVICE].length)
		return refuse(d, -EOPNOTSUPP, "the function has no modern virtio structures");
	vqnic_region_write(d->nic, FN, VQNIC_REGION_CONFIG, PCI_COMMAND, &on, sizeof(on));
	return 0;
}

static void run_all(struct vqnic *nic)
{
	while (vqnic_run(nic, 4096) > 0)
		;
}

static int reset(struct bench_driver *d)
{
	common_write(d, C_STATUS, 0, 1);
	run_all(d->nic);
	return common_read(d, C_STATUS, 1) ? refuse(d, -EIO, "a reset does not end") : 0;
}

static int negotiate(struct bench_driver *d)
{
	uint64_t want = VN_BIT(VN_F_VERSION_1), use = VN_BIT(VN_F_ACCESS_PLATFORM) |
						      VN_BIT(VN_NET_F_MRG_RXBUF) |
						      VN_BIT(VN_NET_F_MAC);
	uint64_t offered = 0;

	if (d->params.packed)
		want |= VN_BIT(VN_F_RING_PACKED);
	common_write(d, C_STATUS, VN_S_ACKNOWLEDGE, 1);
	common_write(d, C_STATUS, VN_S_ACKNOWLEDGE | VN_S_DRIVER, 1);
	for (uint32_t half = 0; half < 2; half++) {
		common_write(d, C_DEVICE_FEATURE_SELECT, half, 4);
		offered |= (uint64_t)common_read(d, C_DEVICE_FEATURE, 4) << (32 * half);
	}
	if (want & ~offered)
		return refuse(d, -EOPNOTSUPP, "the NIC does not offer %s",
			      want & ~offered & VN_BIT(VN_F_RING_PACKED) ? "ring_packed"
									 : "version_1");
	use = want | (use & offered);
	for (uint32_t half = 0; half < 2; half++) {
		common_write(d, C_DRIVER_FEATURE_SELECT, half, 4);
		common_write(d, C_DRIVER_FEATURE, (uint32_t)(use >> (32 * half)), 4);
	}
	common_write(d, C_STATUS, VN_S_ACKNOWLEDGE | VN_S_DRIVER | VN_S_FEATURES_OK, 1);
	if (!(common_read(d, C_STATUS, 1) & VN_S_FEATURES_OK))
		return refuse(d, -EIO, "the NIC refuses features 0x%llx", (unsigned long long)use);
	return 0;
}

/* ---- Memory and rings
 * ----------------------------------------------------------------------------- */

static uint8_t *take_memory(struct bench_driver *d, size_t size, uint64_t *iova)
{
	uint8_t *p = d->memory + d->memory_used;

	*iova = IOVA + d->memory_used;
	d->memory_used += (size + RING_AT - 1) / RING_AT * RING_AT;
	return p;
}

static int map_memory(struct bench_driver *d)
{
	struct vqnic_dma_map map = {.iova = IOVA, .prot = VQNIC_PROT_READ | VQNIC_PROT_WRITE};
	void *p;

	d->memory_size = 2u * d->params.queue_size * (SLOT + 64u) + 8 * RING_AT;
	d->fd = memfd_create("vqnic-bench", MFD_CLOEXEC);
	if (d->fd < 0 || ftruncate(d->fd, (off_t)d->memory_size) < 0)
		return refuse(d, -errno, "no memory to share: %s", strerror(errno));
	p = mmap(NULL, d->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
	if (p == MAP_FAILED)
		return refuse(d, -errno, "no memory to share: %s", strerror(errno));
	d->memory = p;
	map.fd = d->fd;
	map.size = d->memory_size;
	if (vqnic_dma_map(d->nic, FN, &map))
		return refuse(d, -EIO, "the NIC does not take a DMA map");
	return 0;
}

static int queue_start(struct bench_driver *d, unsigned int index)
{
	struct queue *q = &d->queues[index];
	uint64_t desc, driver, device;

	common_write(d, C_QUEUE_SELECT, index, 2);
	if (common_read(d, C_QUEUE_SIZE, 2) < d->params.queue_size)
		return refuse(d, -EOPNOTSUPP, "queue %u has fewer than %u entries", index,
			      d->params.queue_size);
	q->index = (uint16_t)index;
	q->packed = d->params.packed;
	q->write = index == RX;
	q->size = d->params.queue_size;
	q->mask = (uint16_t)(q->size - 1);
	q->avail_wrap = q->used_wrap = true;
	q->len = index == RX ? SLOT : HEADER + d->params.frame_bytes;
	q->desc = take_memory(d, 16u * q->size, &desc);
	q->driver = take_memory(d, 6u + 2u * q->size, &driver);
	q->device = take_memory(d, 6u + 8u * q->size, &device);
	q->buffers = take_memory(d, (size_t)SLOT * q->size, &q->buffers_iova);
	q->free_ids = calloc(q->size, sizeof(*q->free_ids));
	q->seen = calloc(q->size, sizeof(*q->seen));
	if (!q->free_ids || !q->seen)
		return refuse(d, -ENOMEM, "out of memory");
	for (q->free = 0; q->free < q->size; q->free++)
		q->free_ids[q->free] = (uint16_t)(q->mask - q->free);
	if (q->packed) {
		uint16_t off = VN_EVENT_DISABLE;

		memcpy(q->driver + 2, &off, sizeof(off));
	} else {
		struct vn_desc *table = (struct vn_desc *)q->desc;
		uint16_t off = VN_AVAIL_F_NO_INTERRUPT;

		for (unsigned int id = 0; id < q->size; id++)
			table[id] = (struct vn_desc){
				.addr = q->buffers_iova + (uint64_t)SLOT * id,
				.len = q->len,
				.flags = q->write ? VN_DESC_F_WRITE : 0,
			};
		memcpy(q->driver, &off, sizeof(off));
	}
	q->region = d->cap[CAP_NOTIFY].region;
	q->doorbell = d->cap[CAP_NOTIFY].offset +
		      (uint64_t)common_read(d, C_QUEUE_NOTIFY_OFF, 2) * d->notify_multiplier;
	common_write(d, C_QUEUE_SIZE, q->size, 2);
	common_write64(d, C_QUEUE_DESC, desc);
	common_write64(d, C_QUEUE_DRIVER, driver);
	common_write64(d, C_QUEUE_DEVICE, device);
	common_write(d, C_QUEUE_ENABLE, 1, 2);
	return 0;
}

static inline void put16(uint8_t *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)(void *)at, value, __ATOMIC_RELEASE);
}

static inline uint16_t get16(const uint8_t *at)
{
	return __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_ACQUIRE);
}

/* Puts a buffer into the ring; nobody sees it before queue_publish(). */
static inline void queue_post(struct queue *q, uint16_t id)
{
	q->seen[id] = 1;
	if (!q->packed) {
		memcpy(q->driver + 4 + 2u * (q->avail & q->mask), &id, sizeof(id));
		q->avail++;
		return;
	}
	struct vn_packed_desc *desc = (struct vn_packed_desc *)q->desc + q->avail;
	uint16_t flags = (uint16_t)((q->avail_wrap ? VN_DESC_F_AVAIL : VN_DESC_F_USED) |
				    (q->write ? VN_DESC_F_WRITE : 0));

	desc->addr = q->buffers_iova + (uint64_t)SLOT * id;
	desc->len = q->len;
	desc->id = id;
	if (q->open) {
		put16((uint8_t *)&desc->flags, flags);
	} else {
		q->open = true;
		q->first = q->avail;
		q->first_flags = flags;
	}
	if (++q->avail == q->size) {
		q->avail = 0;
		q->avail_wrap = !q->avail_wrap;
	}
}

static void queue_publish(struct bench_driver *d, struct queue *q)
{
	bool kick;

	if (q->packed) {
		if (!q->open)
			return;
		q->open = false;
		put16((uint8_t *)&((struct vn_packed_desc *)q->desc + q->first)->flags,
		      q->first_flags);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		kick = get16(q->device + 2) != VN_EVENT_DISABLE;
	} else {
		put16(q->driver + 2, q->avail);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		kick = !(get16(q->device) & VN_USED_F_NO_NOTIFY);
	}
	if (kick)
		vqnic_region_write(d->nic, FN, q->region, q->doorbell, &q->index, 2);
}

/* The oldest used buffer: 1 and @id, @len; 0 none; -EPROTO it was not offered. */
static inline int queue_reap(struct queue *q, uint16_t *id, uint32_t *len)
{
	if (q->packed) {
		const struct vn_packed_desc *desc = (struct vn_packed_desc *)q->desc + q->used;
		uint16_t flags = get16((const uint8_t *)&desc->flags);
		bool avail = flags & VN_DESC_F_AVAIL, used = flags & VN_DESC_F_USED;

		if (avail != used || used != q->used_wrap)
			return 0;
		*id = desc->id;
		*len = desc->len;
		if (++q->used == q->size) {
			q->used = 0;
			q->used_wrap = !q->used_wrap;
		}
	} else {
		struct vn_used_elem elem;

		if (get16(q->device + 2) == q->used)
			return 0;
		memcpy(&elem, q->device + 4 + 8u * (q->used & q->mask), sizeof(elem));
		*id = (uint16_t)elem.id;
		*len = elem.len;
		q->used++;
		if (elem.id >= q->size)
			return -EPROTO;
	}
	if (*id >= q->size || !q->seen[*id])
		return -EPROTO;
	q->seen[*id] = 0;
	return 1;
}

/* ---- Traffic
 * -------------------------------------------------------------------------------------- */

static void fill_frames(struct bench_driver *d)
{
	struct queue *q = &d->queues[TX];
	uint8_t frame[SLOT] = {0};

	/* To ourselves, of an EtherType for experiments (IEEE 802). */
	vqnic_region_read(d->nic, FN, d->cap[CAP_DEVICE].region, d->cap[CAP_DEVICE].offset, frame,
			  6);
	memcpy(frame + 6, frame, 6);
	memcpy(frame + 12, "\x88\xb5", 2);
	for (unsigned int id = 0; id < q->size; id++)
		memcpy(q->buffers + (size_t)SLOT * id + HEADER, frame, d->params.frame_bytes);
}

struct vqnic_frame bench_frame(const struct bench_driver *d)
{
	return (struct vqnic_frame){
		.data = d->queues[TX].buffers + HEADER,
		.len = d->params.frame_bytes,
	};
}

unsigned int bench_send(struct bench_driver *d, unsigned int n)
{
	struct queue *q = &d->queues[TX];
	unsigned int sent;

	for (sent = 0; sent < n && q->free; sent++) {
		uint16_t id = q->free_ids[--q->free];

		memcpy(q->buffers + (size_t)SLOT * id + HEADER + MARK_AT, &d->sent, MARK_LEN);
		d->sent++;
		queue_post(q, id);
	}
	if (sent)
		queue_publish(d, q);
	return sent;
}

int bench_reap_sent(struct bench_driver *d)
{
	struct queue *q = &d->queues[TX];
	uint32_t len;
	uint16_t id;
	int ret, n;

	for (n = 0; (ret = queue_reap(q, &id, &len)) > 0; n++)
		q->free_ids[q->free++] = id;
	return ret < 0 ? ret : n;
}

int bench_reap_received(struct bench_driver *d)
{
	struct queue *q = &d->queues[RX];
	uint32_t len;
	uint16_t id;
	int ret, n;

	for (n = 0; (ret = queue_reap(q, &id, &len)) > 0; n++) {
		const uint8_t *frame = q->buffers + (size_t)SLOT * id + HEADER;
		uint64_t mark;

		memcpy(&mark, frame + MARK_AT, MARK_LEN);
		/* Frames that the bench injects bear no marks of their own. */
		if (len != HEADER + d->params.frame_bytes || (d->sent && mark != d->received))
			return -EPROTO;
		d->received++;
		queue_post(q, id);
	}
	if (n)
		queue_publish(d, q);
	return ret < 0 ? ret : n;
}

/* ---- Opening and closing
 * ---------------------------------------------------------------------------- */

void bench_driver_close(struct bench_driver *d)
{
	if (!d)
		return;
	if (d->cap[CAP_COMMON].length)
		common_write(d, C_STATUS, 0, 1);
	vqnic_detach(d->nic, FN);
	if (d->memory)
		munmap(d->memory, d->memory_size);
	if (d->fd >= 0)
		close(d->fd);
	for (unsigned int i = 0; i < ARRAY_SIZE(d->queues); i++) {
		free(d->queues[i].free_ids);
		free(d->queues[i].seen);
	}
	free(d);
}

static int start(struct bench_driver *d)
{
	struct queue *q = &d->queues[RX];
	int ret = find_structures(d);

	if (!ret)
		ret = reset(d);
	if (!ret)
		ret = negotiate(d);
	if (!ret)
		ret = map_memory(d);
	for (unsigned int i = 0; !ret && i < ARRAY_SIZE(d->queues); i++)
		ret = queue_start(d, i);
	if (ret)
		return ret;
	fill_frames(d);
	common_write(d, C_STATUS,
		     VN_S_ACKNOWLEDGE | VN_S_DRIVER | VN_S_FEATURES_OK | VN_S_DRIVER_OK, 1);
	while (q->free)
		queue_post(q, q->free_ids[--q->free]);
	queue_publish(d, q);
	run_all(d->nic);
	return common_read(d, C_STATUS, 1) & VN_S_NEEDS_RESET
		       ? refuse(d, -EIO, "the NIC asks for a reset at once")
		       : 0;
}

int bench_driver_open(struct vqnic *nic, const struct bench_params *params,
		      struct bench_driver **out, struct vqnic_error *err)
{
	struct bench_driver *d = calloc(1, sizeof(*d));
	int ret;

	if (!d) {
		snprintf(err->text, sizeof(err->text), "out of memory");
		return -ENOMEM;
	}
	d->nic = nic;
	d->params = *params;
	d->fd = -1;
	d->err = err;
	ret = start(d);
	if (ret) {
		bench_driver_close(d);
		return ret;
	}
	*out = d;
	return 0;
}
