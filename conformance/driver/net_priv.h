/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What net.c, frame.c and io.c share
 */
#ifndef VC_DRIVER_NET_PRIV_H
#define VC_DRIVER_NET_PRIV_H

#include "net.h"

#define NET_PIECES_MAX 14u
#define IO_FLOWS       NET_FLOW_OWN
#define IO_FROM_WIRE   NET_PAIRS_MAX /* flows from here on start at the wire */

/** struct net_rx_buffer - @slot: what it lies in, with poison around */
struct net_rx_buffer {
	unsigned int pair;
	uint8_t *slot, *host;
	uint64_t iova;
	bool posted;
};

struct net_rx {
	struct dma_mem slab;
	struct net_rx_buffer *buffers;
	uint32_t count, size, posted;
	size_t stride;
};

/** struct net_tx_buffer - @hash: of what was sent */
struct net_tx_buffer {
	struct net_tx_buffer *next, *all;
	uint8_t *host;
	uint64_t iova;
	uint32_t size, len;
	uint64_t hash;
};

struct net_tx {
	struct net_tx_buffer *free, *all;
};

#define IO_AHEAD 65536u /* frames that may have come before one that is still missing */

/**
 * struct io_flow - frames in one direction of one queue, numbered
 * @sent:  next number to send
 * @seen:  lowest number that has not come
 * @ahead: how many above it have come (several receive queues overtake each other)
 * @came:  which those are, by number modulo IO_AHEAD
 * @next:  by receive queue: numbers below have been overtaken in it and may not come any more
 * @loss_from, @loss_to: numbers in between may be missing
 */
struct io_flow {
	uint32_t sent, seen, ahead;
	uint32_t next[NET_PAIRS_MAX];
	uint32_t loss_from, loss_to;
	uint32_t lost;
	uint8_t came[IO_AHEAD / 8];
};

struct net_io {
	struct io_options opts;
	struct io_flow flows[IO_FLOWS];
	unsigned int to_send, to_inject; /* not yet under way */
	unsigned int turn;
	bool loss_ok;
	struct net_frame out, in; /* too large for a stack that is deep already */
};

struct net_priv {
	enum net_step step;
	uint8_t status;
	int config_fd;
	uint64_t config_calls;
	struct net_rx rx[NET_PAIRS_MAX];
	struct net_tx tx[NET_PAIRS_MAX];
	unsigned int rx_turn;
	struct dma_mem ctrl, ack;
	struct net_io io;
};

void net_rx_make(struct net *net, unsigned int pair);
void net_tx_free(struct net_tx *tx);
void net_call_off(struct net *net, struct vring *r);
void net_kick_ring(struct net *net, struct vring *r);
bool net_recv_now(struct net *net, struct net_frame *frame);
bool net_wire_now(struct net *net, struct net_frame *frame);
uint64_t net_hash(const void *data, size_t len);

/** net_frame_ours() - does it begin as our frames do? */
bool net_frame_ours(const struct net_frame *frame);

/** net_frame_stale() - was it sent by a driver before this one? (not where settle is exact) */
bool net_frame_stale(const struct net *net, const struct net_frame *frame);

#endif
