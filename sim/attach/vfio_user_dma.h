/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user: memory that the client shares by messages only. Private to the attach directory.
 */
#ifndef VN_VFIO_USER_DMA_H
#define VN_VFIO_USER_DMA_H

#include <stdbool.h>
#include <stdint.h>

#include "../vqnic.h"

struct vu_conn;
struct vu_msg;
struct vu_dma_request;

/* Messages under way at once; more accesses wait. A power of two. */
#define VU_DMA_SLOTS 64u

/* Bytes of accesses that may wait; what would go beyond fails. */
#define VU_DMA_MAX_BYTES (64u << 20)

/* A message under way. */
struct vu_dma_slot {
	bool busy;
	uint16_t id;
	uint16_t cmd;
	struct vu_dma_request *request; /* NULL: given up, the reply is awaited and dropped */
	uint32_t off, len;		/* which part of the request */
};

struct vu_dma {
	struct vu_dma_request *head, **tail; /* in order of issue */
	uint64_t bytes;
	uint64_t issued;
	uint16_t generation;
	unsigned int busy;
	struct vu_dma_slot slot[VU_DMA_SLOTS];
};

extern const struct vqnic_dma_ops vu_dma_ops; /* with a struct vu_conn as context */

void vu_dma_init(struct vu_dma *dma);

/** vu_dma_reply() - a reply to one of the server's commands arrived; strangers are ignored */
void vu_dma_reply(struct vu_conn *conn, const struct vu_msg *msg);

/** vu_dma_pump() - send as much of what waits as may be under way */
void vu_dma_pump(struct vu_conn *conn);

/**
 * vu_dma_cancel() - end all accesses that touch [@iova, @last] with @status
 *
 * No byte of them is sent from here on. Parts whose message is out already get an answer that
 * nobody waits for.
 */
void vu_dma_cancel(struct vu_conn *conn, uint64_t iova, uint64_t last, int status);

#endif
