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

#define FRAME_MAX VQNIC_FRAME_MAX

#define FRAME_HEAD 24u

/** struct frame - a frame that the NIC holds; from frame_alloc(), freed by whoever holds it last */
struct frame {
	struct frame *next;
	struct vqnic_frame meta; /* meta.data points at data */
	uint32_t capacity;
	uint8_t head[FRAME_HEAD]; /* room for the virtio header in front of the data */
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

/** port_counters() - what was handed to port_create() */
struct vqnic_counters *port_counters(struct port *port);
void port_set_up(struct port *port, const struct port_up *up, void *ctx);

/** port_plug() - NULL ops unplugs; a plugged port has carrier */
void port_plug(struct port *port, const struct vqnic_wire_ops *ops, void *ctx);
bool port_link(const struct port *port);
void port_set_link(struct port *port, bool up);
const struct vqnic_wire_ops *port_wire(struct port *port, void **ctx);

/*
 * What the driver takes unfinished. A frame that arrives with more is finished (checksum computed,
 * cut into segments) on its way into the FIFO. USO4 and USO6 are GSO_UDP_L4 over IPv4 and IPv6.
 */
#define PORT_RX_CSUM 0x01u
#define PORT_RX_TSO4 0x02u
#define PORT_RX_TSO6 0x04u
#define PORT_RX_ECN  0x08u
#define PORT_RX_USO4 0x10u
#define PORT_RX_USO6 0x20u

/**
 * port_set_offloads() - what was negotiated, PORT_RX_*; 0 (everything is finished) at first and to
 * be set again on reset. Frames that wait and ask for more than is left are dropped and counted.
 */
void port_set_offloads(struct port *port, unsigned int allowed);

/**
 * port_transmit() - towards the wire
 *
 * A wire that carries no offloads gets the frame with its checksum finished, and cut into segments.
 * Metadata that does not fit the frame drops it here, whatever the wire. Counts tx_*.
 * Return: 0; -EINVAL the metadata lie or the frame is no Ethernet frame, -ENOBUFS the wire had no
 * room, -ENETDOWN no carrier: dropped and counted each time.
 */
int port_transmit(struct port *port, const struct vqnic_frame *frame);
void port_flush(struct port *port);

/**
 * port_receive() - from the wire: copy into the FIFO; counts rx_frames, rx_bytes, rx_drops
 *
 * Return: 0; -ENOBUFS full (or no memory), -EMSGSIZE shorter than an Ethernet header or longer than
 * FRAME_MAX, -EINVAL the metadata lie, -ENETDOWN no carrier: dropped and counted each time.
 */
int port_receive(struct port *port, const struct vqnic_frame *frame);

/**
 * port_reserve() - FRAME_MAX bytes into which a frame may be read before port_receive() gets it
 *
 * A long frame at that place is not copied but taken over, and the next call gives another place.
 * Return: the place, the port's; NULL no memory.
 */
uint8_t *port_reserve(struct port *port);

/** port_room() - frames that the FIFO still takes: a good budget for polling a wire */
unsigned int port_room(const struct port *port);

/** port_peek(), port_take() - oldest frame of the FIFO, NULL if empty; taking hands it over */
const struct frame *port_peek(const struct port *port);
struct frame *port_take(struct port *port);
void port_drop_all(struct port *port);
void frame_free(struct port *port, struct frame *frame);

#endif
