/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user messages as they are on the wire
 *
 * Transcribed from the vfio-user protocol specification, version 0.0; everything is in the byte
 * order of the host. A message is a header and, after it, what its command says; the structures
 * below leave the header out. Sizes are asserted: nothing here may be padded.
 */
#ifndef VN_VFIO_USER_MSG_H
#define VN_VFIO_USER_MSG_H

#include <assert.h>
#include <stdint.h>

enum vu_command {
	VU_VERSION = 1,
	VU_DMA_MAP = 2,
	VU_DMA_UNMAP = 3,
	VU_GET_INFO = 4,
	VU_GET_REGION_INFO = 5,
	VU_GET_REGION_IO_FDS = 6,
	VU_GET_IRQ_INFO = 7,
	VU_SET_IRQS = 8,
	VU_REGION_READ = 9,
	VU_REGION_WRITE = 10,
	VU_DMA_READ = 11,  /* server to client */
	VU_DMA_WRITE = 12, /* server to client */
	VU_DEVICE_RESET = 13,
	/* 14 was DIRTY_PAGES and is retired */
	VU_REGION_WRITE_MULTI = 15,
	VU_DEVICE_FEATURE = 16,
	VU_MIG_DATA_READ = 17,
	VU_MIG_DATA_WRITE = 18,
	VU_COMMANDS,
};

#define VU_TYPE_MASK	0xfu
#define VU_TYPE_COMMAND 0u
#define VU_TYPE_REPLY	1u
#define VU_NO_REPLY	(1u << 4)
#define VU_ERROR	(1u << 5)

struct vu_header {
	uint16_t id;	/* the sender's; echoed by the reply; need not be unique */
	uint16_t cmd;	/* enum vu_command */
	uint32_t size;	/* bytes, this header included */
	uint32_t flags; /* type, VU_NO_REPLY, VU_ERROR */
	uint32_t error; /* errno, in a reply with VU_ERROR */
};
static_assert(sizeof(struct vu_header) == 16, "header");

/* VERSION: JSON follows, ended by a NUL, or nothing */
struct vu_version {
	uint16_t major;
	uint16_t minor;
};
static_assert(sizeof(struct vu_version) == 4, "version");

#define VU_MAP_READ  (1u << 0)
#define VU_MAP_WRITE (1u << 1)

struct vu_dma_map {
	uint32_t argsz; /* of this request: there is no reply payload */
	uint32_t flags;
	uint64_t offset; /* in the descriptor that comes with the message */
	uint64_t address;
	uint64_t size;
};
static_assert(sizeof(struct vu_dma_map) == 32, "dma map");

#define VU_UNMAP_DIRTY_BITMAP (1u << 0) /* retired from the protocol */
#define VU_UNMAP_ALL	      (1u << 1) /* not in the specification; QEMU's client knows it */

struct vu_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t address;
	uint64_t size;
};
static_assert(sizeof(struct vu_dma_unmap) == 24, "dma unmap");

#define VU_DEVICE_FLAGS_RESET (1u << 0)
#define VU_DEVICE_FLAGS_PCI   (1u << 1)

struct vu_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};
static_assert(sizeof(struct vu_device_info) == 16, "device info");

#define VU_REGION_FLAG_READ  (1u << 0)
#define VU_REGION_FLAG_WRITE (1u << 1)
#define VU_REGION_FLAG_MMAP  (1u << 2)
#define VU_REGION_FLAG_CAPS  (1u << 3)

struct vu_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset; /* of the first capability, from the start of this structure */
	uint64_t size;
	uint64_t offset; /* for mmap() of the descriptor in the reply */
};
static_assert(sizeof(struct vu_region_info) == 32, "region info");

#define VU_CAP_SPARSE_MMAP 1u

struct vu_cap_sparse_mmap {
	uint16_t id; /* VU_CAP_SPARSE_MMAP */
	uint16_t version;
	uint32_t next;
	uint32_t nr_areas;
	uint32_t reserved;
	/* struct vu_mmap_area follow */
};
static_assert(sizeof(struct vu_cap_sparse_mmap) == 16, "sparse mmap capability");

struct vu_mmap_area {
	uint64_t offset;
	uint64_t size;
};
static_assert(sizeof(struct vu_mmap_area) == 16, "mmap area");

struct vu_region_io_fds {
	uint32_t argsz;
	uint32_t flags; /* zero */
	uint32_t index;
	uint32_t count;
};
static_assert(sizeof(struct vu_region_io_fds) == 16, "region io fds");

#define VU_IRQ_INFO_EVENTFD    (1u << 0)
#define VU_IRQ_INFO_MASKABLE   (1u << 1)
#define VU_IRQ_INFO_AUTOMASKED (1u << 2)
#define VU_IRQ_INFO_NORESIZE   (1u << 3)

struct vu_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};
static_assert(sizeof(struct vu_irq_info) == 16, "irq info");

#define VU_IRQ_DATA_NONE      (1u << 0)
#define VU_IRQ_DATA_BOOL      (1u << 1)
#define VU_IRQ_DATA_EVENTFD   (1u << 2)
#define VU_IRQ_DATA_MASK      (7u << 0)
#define VU_IRQ_ACTION_MASK    (1u << 3)
#define VU_IRQ_ACTION_UNMASK  (1u << 4)
#define VU_IRQ_ACTION_TRIGGER (1u << 5)
#define VU_IRQ_ACTIONS	      (7u << 3)

struct vu_irq_set {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
	/* with VU_IRQ_DATA_BOOL: a byte for each interrupt */
};
static_assert(sizeof(struct vu_irq_set) == 20, "irq set");

struct vu_region_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
	/* data */
};
static_assert(sizeof(struct vu_region_access) == 16, "region access");

struct vu_write_multi {
	uint64_t wr_cnt;
	/* struct vu_write_one follow */
};
static_assert(sizeof(struct vu_write_multi) == 8, "write multi");

struct vu_write_one {
	uint64_t offset;
	uint32_t region;
	uint32_t count; /* at most 8 */
	uint8_t data[8];
};
static_assert(sizeof(struct vu_write_one) == 24, "one write");

/*
 * DMA_READ and DMA_WRITE, both ways. The specification's table of the DMA_WRITE reply has a count
 * of four bytes, so a reply of twelve bytes is taken too.
 */
struct vu_dma_access {
	uint64_t address;
	uint64_t count;
	/* data */
};
static_assert(sizeof(struct vu_dma_access) == 16, "dma access");

#define VU_FEATURE_MASK	 0xffffu
#define VU_FEATURE_GET	 (1u << 16)
#define VU_FEATURE_SET	 (1u << 17)
#define VU_FEATURE_PROBE (1u << 18)

struct vu_device_feature {
	uint32_t argsz;
	uint32_t flags;
};
static_assert(sizeof(struct vu_device_feature) == 8, "device feature");

struct vu_mig_data {
	uint32_t argsz;
	uint32_t size;
};
static_assert(sizeof(struct vu_mig_data) == 8, "migration data");

/* What the specification lets a receiver assume of a peer that names no limit */
#define VU_DEFAULT_MSG_FDS   1u
#define VU_DEFAULT_DATA_XFER (1u << 20)
#define VU_DEFAULT_DMA_MAPS  65535u
#define VU_DEFAULT_PGSIZES   4096u

/* Our own limits. No data transfer is longer than the default, so no message is much longer. */
#define VU_MAX_MSG_FDS	 16u
#define VU_MAX_DATA_XFER VU_DEFAULT_DATA_XFER
#define VU_MAX_MSG_SIZE	 (VU_MAX_DATA_XFER + 65536u)

#endif
