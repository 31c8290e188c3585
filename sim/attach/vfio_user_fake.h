/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A NIC that is none: the calls of vqnic.h that the vfio-user server makes, written down
 *
 * For the server's unit tests, which link this in place of the NIC. A call with arguments that the
 * server should have refused aborts the test.
 */
#ifndef VN_VFIO_USER_FAKE_H
#define VN_VFIO_USER_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "../vqnic.h"

enum {
	FAKE_BAR0_SIZE = 8192,
	FAKE_BAR2_SIZE = 3 << 20, /* larger than a data transfer may be */
	FAKE_BAR4_SIZE = 16384,
	FAKE_CONFIG_SIZE = 4096,
	FAKE_VECTORS = 20,
	FAKE_MAPS = 64,
	FAKE_WRITES = 256,
	FAKE_DONE = 64,
};

struct fake_map {
	uint64_t iova, size, offset;
	uint32_t prot;
	bool has_fd;
	uint64_t inode;
};

struct fake_write {
	unsigned int region;
	uint64_t offset;
	size_t len;
	uint8_t data[8];
};

struct fake_done {
	uint64_t token;
	int status;
	uint32_t len;
	uint8_t *data;
};

/* What the server did. */
struct vqnic {
	uint8_t bar0[FAKE_BAR0_SIZE];
	uint8_t config[FAKE_CONFIG_SIZE];
	int bar4_fd; /* a region with two areas to map */

	unsigned int resets, detaches;
	struct fake_map map[FAKE_MAPS];
	unsigned int maps;
	struct fake_map unmapped; /* the range of the last unmap */
	unsigned int unmaps;

	int eventfd[VQNIC_IRQS][FAKE_VECTORS]; /* duplicates; -1 */
	bool masked;
	unsigned int triggered[FAKE_VECTORS];
	int fail_vector; /* assigning this one fails; -1 none */

	struct fake_write write[FAKE_WRITES];
	unsigned int writes;

	const struct vqnic_dma_ops *ops;
	void *ctx;
	struct fake_done done[FAKE_DONE];
	unsigned int dones;
};

void fake_init(struct vqnic *nic);
void fake_fini(struct vqnic *nic);

#endif
