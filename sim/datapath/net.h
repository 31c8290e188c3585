/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The roles of a network device's queues: transmit, receive, control
 *
 * How it works. Each role keeps a window of packets. Transmit reads a whole buffer, then hands its
 * frame to the port in ring order. Receive keeps a backlog of frames that were steered to the
 * queue, collects buffers until the oldest fits, and posts header and data behind one another; the
 * used entry is posted behind them, so nothing waits for the data to land. Control reads a command,
 * asks the device for its answer, and posts that.
 */
#ifndef VN_NET_H
#define VN_NET_H

#include "port.h"
#include "queue.h"

/**
 * struct net_io - what the queues of one network device share
 * @hdr_len:   bytes of struct virtio_net_hdr as negotiated (5.1.6)
 * @mergeable: VIRTIO_NET_F_MRG_RXBUF
 * @learn:     a frame leaves by transmit queue pair @pair: steer its flow's answers there
 * @command:   a control command; returns the acknowledgement
 */
struct net_io {
	struct fabric *fab;
	struct port *port;
	const struct defect_set *defects;
	struct vqnic_counters *counters;
	struct dirty_log *log;
	unsigned int hdr_len;
	bool mergeable;
	unsigned int rx_backlog;
	void (*learn)(void *ctx, unsigned int pair, const uint8_t *frame, uint32_t len);
	uint8_t (*command)(void *ctx, const uint8_t *data, uint32_t len);
	void *ctx;
};

extern const struct dp_role net_role_tx, net_role_rx, net_role_ctrl;

int net_tx_init(struct dp_queue *q, struct net_io *io);
int net_rx_init(struct dp_queue *q, struct net_io *io);
int net_ctrl_init(struct dp_queue *q, struct net_io *io);

/** net_rx_push() - a frame for this queue; taken over; false: no room (the caller drops it) */
bool net_rx_push(struct dp_queue *q, struct frame *frame);

/** net_rx_left() - how many more frames are worth having here; fewer than net_rx_push() takes */
unsigned int net_rx_left(const struct dp_queue *q);

#endif
