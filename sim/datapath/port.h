/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port: the MAC between the queues of one device and a wire
 *
 * How it works. Frames that arrive wait in a FIFO of bounded size until the device takes them;
 * frames that leave go to the wire at once. Where the wire carries no offloads, the port finishes
 * checksums and cuts segments (offload.c) before the wire sees the frame.
 */
#ifndef VN_PORT_H
#define VN_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "../vqnic.h"

struct port;

/** struct frame - a frame that the NIC holds; from frame_alloc(), freed by whoever holds it last */
struct frame {
	struct frame *next;
	struct vqnic_frame meta; /* meta.data points at data */
	uint32_t capacity;
	uint8_t data[];
};

/**
 * struct port_up - what the device hands down
 * @arrived: frames wait in the FIFO
 * @link:    carrier changed
 */
struct port_up {
	void (*arrived)(void *ctx);
	void (*link)(void *ctx, bool up);
};

int port_create(unsigned int fifo, struct vqnic_counters *counters, struct port **port);
void port_destroy(struct port *port);
void port_set_up(struct port *port, const struct port_up *up, void *ctx);

/** port_plug() - NULL ops unplugs; a plugged port has carrier */
void port_plug(struct port *port, const struct vqnic_wire_ops *ops, void *ctx);
bool port_link(const struct port *port);
void port_set_link(struct port *port, bool up);
const struct vqnic_wire_ops *port_wire(struct port *port, void **ctx);

/** port_transmit() - towards the wire; with @segment_here the port finishes offloads first if needed */
int port_transmit(struct port *port, const struct vqnic_frame *frame);
void port_flush(struct port *port);

/** port_receive() - from the wire: copy into the FIFO; -ENOBUFS full */
int port_receive(struct port *port, const struct vqnic_frame *frame);

/** port_peek(), port_take() - oldest frame of the FIFO, NULL if empty; taking hands it over */
const struct frame *port_peek(const struct port *port);
struct frame *port_take(struct port *port);
void port_drop_all(struct port *port);
void frame_free(struct port *port, struct frame *frame);

#endif
