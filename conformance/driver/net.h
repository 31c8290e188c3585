/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtio-net driver that checks drive, and the traffic that proves things
 *
 * How it works. net_up() brings the device up as VIRTIO 3.1.1 says, step by step, and fails or
 * skips the check where the device does not follow; it can stop before a step, so that the check
 * does the rest itself. Then frames: net_send() towards the wire, net_inject() from the wire
 * towards the device, net_recv() what the device received, net_wire() what reached the wire. On an
 * echo wire injecting means to transmit and hearing on the wire means to receive.
 *
 * Frames that net_frame_make() makes carry a flow, a sequence number and a checksum, so that loss,
 * duplication, reordering within a flow, truncation and corruption are found by io_wait().
 *
 * All judging of rings is vring.h's; memory beyond the used length is poison and is looked at.
 */
#ifndef VC_DRIVER_NET_H
#define VC_DRIVER_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../spec.h"
#include "dma.h"
#include "vring.h"

#define NET_PAIRS_MAX 32u
#define NET_FRAME_MAX 65562u

/** enum net_step - net_up() goes up to and including a step; NET_ALL: all of them */
enum net_step {
	NET_ALL,
	NET_RESET, /* status 0, read back 0 */
	NET_ACKNOWLEDGE,
	NET_DRIVER,
	NET_FEATURES,	 /* driver features written */
	NET_FEATURES_OK, /* written and read back */
	NET_QUEUES,	 /* rings programmed, not ready */
	NET_READY,	 /* queues ready; receive buffers are in the rings (published) */
	NET_DRIVER_OK,
};

/** enum net_format - which ring format; packed skips the check where it is not offered */
enum net_format { NET_SPLIT, NET_PACKED, NET_BEST };

/**
 * struct net_options - zero is a plain driver: one pair, split rings of 256 (or the largest),
 * features VERSION_1, ACCESS_PLATFORM, MAC, STATUS, MRG_RXBUF, CTRL_VQ and its commands if offered
 *
 * @want:       features beyond those; a want that is not offered is left out (see @need)
 * @need:       as @want, but the check is skipped (kind "feature") if one is not offered
 * @unwant:     features not to accept
 * @exact:      accept just @want (& offered), nothing by default
 * @unchecked:  write @want as it is, even what is not offered (negotiation checks)
 * @pairs:      queue pairs to set up and, if more than one, to switch on by MQ (skip if not
 * offered)
 * @size:       entries of the rings
 * @rx_size:    bytes of a receive buffer; 0: what the features ask for. Where MRG_RXBUF is not
 *              offered never less than a whole frame needs; where @unwant has it, as you say
 * @rx_count:   buffers to post per receive queue; 0: 64 or what fits; NET_RX_NONE: none
 * @rx_split:   a receive buffer in two pieces, header apart
 * @base:       position that all rings start at; skips where the parent can't set it
 * @base_tx, @base_rx: for the transmit (receive) rings alone, instead of @base
 * @last:       last step
 * @no_ctrl:    no control queue even if negotiated (it is not made ready)
 * @no_kick:    no doorbell for the first receive buffers
 * @no_reset:   the device is fresh or left so by the check: no reset first
 * @keep:       do not post receive buffers again when they have been received
 * @dma:        arena options, or NULL
 * @arena:      use this arena (not closed by net_down())
 */
#define NET_RX_NONE UINT32_MAX

struct net_options {
	uint64_t want, need, unwant;
	bool exact, unchecked;
	enum net_format format;
	bool indirect, event_idx, in_order, notification_data; /* want (not need) the feature */
	unsigned int pairs;
	uint16_t size;
	uint32_t rx_size;
	uint32_t rx_count;
	bool rx_split;
	const struct vq_state *base, *base_tx, *base_rx;
	enum net_step last;
	bool no_ctrl, no_kick, no_reset, keep;
	const struct dma_options *dma;
	struct dma *arena;
};

/** struct net_hdr - struct virtio_net_hdr in host order, whatever its length on the ring */
struct net_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
	uint16_t num_buffers; /* received only */
};

/** struct net_frame - a frame with its header */
struct net_frame {
	struct net_hdr hdr;
	uint32_t len;
	unsigned int pair;    /* received on */
	unsigned int buffers; /* that it came in */
	uint8_t data[NET_FRAME_MAX];
};

/** struct net - a driver at work; read as you like, change nothing */
struct net {
	struct test *t;
	struct parent *p;
	struct dma *dma;
	bool own_dma;
	uint64_t offered, features;
	unsigned int pairs, max_pairs;
	unsigned int hdr_len;
	unsigned int queues;	 /* that the parent has */
	unsigned int ctrl_index; /* number of the control queue; 0: none */
	uint8_t mac[6];
	uint32_t session; /* names this driver in the frames it makes */
	struct vring *rx[NET_PAIRS_MAX], *tx[NET_PAIRS_MAX], *ctrl;
	struct net_options opts;
	struct net_priv *priv;
};

/* ---- Up and down ---------------------------------------------------------------------------- */

struct net *net_up(struct test *t, const struct net_options *opts);

/** net_continue() - take the steps after the last one, up to @last (NET_ALL: to the end) */
void net_continue(struct net *net, enum net_step last);

/** net_down() - reset the device, judge rings and memory a last time, free everything */
void net_down(struct net *net);

/** net_features_default() - what net_up() would accept of @offered with @opts */
uint64_t net_features_default(uint64_t offered, const struct net_options *opts);

/** net_hdr_len() - header on the ring by negotiated features: 10, 12, 20 or more */
unsigned int net_hdr_len(uint64_t features);

/** net_ring() - the ring of queue number @q; NULL: not set up */
struct vring *net_ring(struct net *net, unsigned int q);

/** net_queue_name() - "rx0", "tx1", "ctrl": for sentences */
const char *net_queue_name(const struct net *net, unsigned int q);

/* ---- Saving and restoring (what live migration does) ---------------------------------------- */

#define NET_QUEUES_MAX (2 * NET_PAIRS_MAX + 1)

/** struct net_state - positions of all queues that were set up */
struct net_state {
	unsigned int queues;
	bool valid[NET_QUEUES_MAX];
	struct vq_state vq[NET_QUEUES_MAX];
};

/** net_save() - stop every queue the way this parent does and take its final position */
void net_save(struct net *net, struct net_state *state);

/**
 * net_restore() - reset the device, negotiate the same features again, give it the same rings at
 * the positions of @state, DRIVER_OK, and replay the control commands that count (MQ pairs)
 * @kick: ring the doorbells too; without it what is already offered must be served all the same
 */
void net_restore(struct net *net, const struct net_state *state, bool kick);

/** net_suspend(), net_resume() - whole-device, by operation; skip where the interface has none */
void net_suspend(struct net *net);
void net_resume(struct net *net);

/* ---- Frames ---------------------------------------------------------------------------------- */

#define NET_FLOW_OWN 64u

/**
 * net_frame_make() - a frame of @len bytes (at least 60) for the device's MAC address (without the
 * feature MAC: for everybody), with flow,
 * sequence number, random bytes and checksum; EtherType 0x88b5 (local experiments)
 *
 * Flows below NET_FLOW_OWN are io_submit()'s; io_wait() pays no heed to those from there on.
 */
void net_frame_make(struct net *net, struct net_frame *frame, unsigned int flow, uint32_t seq,
		    uint32_t len);

/** net_frame_parse() - flow and number of a frame made so; false: not one, or damaged (@why) */
bool net_frame_parse(const struct net_frame *frame, unsigned int *flow, uint32_t *seq,
		     const char **why);

/** net_frame_udp() - an IPv4 UDP frame (flow chooses ports), checksums complete; for offloads */
void net_frame_udp(struct net *net, struct net_frame *frame, unsigned int flow, uint32_t payload);

/** net_frame_tcp() - an IPv4 (or IPv6) TCP segment of @payload bytes, checksums complete */
void net_frame_tcp(struct net *net, struct net_frame *frame, unsigned int flow, uint32_t payload,
		   bool ipv6);

/** net_csum_ok() - are IP, TCP and UDP checksums of the frame right? */
bool net_csum_ok(const struct net_frame *frame);

/** net_csum_partial() - turn a complete frame into one that needs its checksum: hdr and field */
void net_csum_partial(struct net_frame *frame);

#define NET_SEND_NO_KICK    1u
#define NET_SEND_NO_PUBLISH 2u
#define NET_SEND_INDIRECT   4u /* if negotiated */
#define NET_SEND_HDR_APART  8u /* header in a piece of its own */

/**
 * net_send() - put a frame on the transmit queue of @pair and kick
 * @pieces: pieces that the frame's bytes are cut into (0: 1)
 * Return: 0; -ENOSPC the ring is full.
 */
int net_send(struct net *net, unsigned int pair, const struct net_frame *frame, unsigned int pieces,
	     unsigned int flags);

/** net_reap() - take back used transmit buffers of @pair; returns how many */
unsigned int net_reap(struct net *net, unsigned int pair);

/** net_drain() - wait until every transmit buffer came back; fail if one does not in time */
void net_drain(struct net *net);

/** net_post() - offer @count receive buffers of the options' size on @pair; returns how many fitted
 */
unsigned int net_post(struct net *net, unsigned int pair, unsigned int count, bool kick);

/**
 * net_recv() - take one received frame, of whichever pair; buffers go back into the ring
 * @timeout_ms: 0: only look; NET_SOON: as long as a check should wait
 * Judges: num_buffers, used lengths, header fields against the features, poison behind.
 */
bool net_recv(struct net *net, struct net_frame *frame, unsigned int timeout_ms);
#define NET_SOON 2000u

/** net_inject() - a frame arrives from the wire; echo: is transmitted on pair 0. -ENOSPC, errno of
 * the peer */
int net_inject(struct net *net, const struct net_frame *frame);

/** net_wire() - take one frame that reached the wire; echo: net_recv() */
bool net_wire(struct net *net, struct net_frame *frame, unsigned int timeout_ms);

/** net_has_peer() - is there a peer apart from an echo? */
bool net_has_peer(const struct net *net);

/* ---- Traffic without saying what it is ---------------------------------------------------------
 */

/**
 * struct io_options - how io_submit() makes traffic; zero is good
 * @len:    bytes of a frame; 0: random, 60 to 1514
 * @batch:  requests between kicks; 0: 1 to 8 by chance
 * @tx_only, @rx_only: with a peer: one direction alone
 * @pair:   1 + pair to transmit on; 0: all in turn
 * @flags:  NET_SEND_*
 */
struct io_options {
	uint32_t len;
	unsigned int batch;
	bool tx_only, rx_only;
	unsigned int pair;
	unsigned int flags;
};

/**
 * io_submit() - @n requests under way: with a peer @n frames towards the wire and @n from it, on an
 * echo wire @n frames out that come back
 *
 * What does not fit goes out as buffers come back. @opts may be NULL.
 */
void io_submit(struct net *net, unsigned int n, const struct io_options *opts);

/** io_progress() - take in what has come, wait for nothing; returns requests still under way */
unsigned int io_progress(struct net *net);

/** io_wait() - until all that was submitted is done and right: nothing lost, twice, damaged or out
 *  of its flow's order; fails the check otherwise */
void io_wait(struct net *net);

/** io_run() - io_submit() and io_wait() */
void io_run(struct net *net, unsigned int n, const struct io_options *opts);

/** io_loss_ok() - frames injected from now on may be lost (a device being stopped may drop what it
 *  has not yet put into a buffer); never twice, never damaged */
void io_loss_ok(struct net *net, bool ok);

/* ---- Control queue ------------------------------------------------------------------------------
 */

/**
 * net_ctrl() - a command with @len bytes of data; waits for the answer
 * Return: ack: VC_NET_OK or VC_NET_ERR (anything else fails the check). Skips without CTRL_VQ.
 */
uint8_t net_ctrl(struct net *net, uint8_t class, uint8_t cmd, const void *data, uint32_t len);

/** net_ctrl_sg() - as net_ctrl(), the data cut into @pieces */
uint8_t net_ctrl_sg(struct net *net, uint8_t class, uint8_t cmd, const void *data, uint32_t len,
		    unsigned int pieces);

/** net_set_pairs() - VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET; returns ack */
uint8_t net_set_pairs(struct net *net, uint16_t pairs);

/* ---- Configuration space
 * ------------------------------------------------------------------------- */

/** net_config() - read @len bytes at @off consistently (by generation where there is one) */
void net_config(struct net *net, uint32_t off, void *buf, uint32_t len);

uint16_t net_config16(struct net *net, uint32_t off);

/** net_config_calls() - configuration interrupts since the last asking; net_wait_config_call():
 * waits */
uint64_t net_config_calls(struct net *net);
bool net_wait_config_call(struct net *net, unsigned int timeout_ms);

#endif
