/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port: the MAC between the queues of one device and a wire
 *
 * How it works. The FIFO is a list of frames, bounded by number. Frames come from two free lists,
 * one for frames up to SMALL bytes and one for the longest that there are, filled on demand and
 * kept until the port goes: in a steady state no frame costs a malloc(). Free lists are last in,
 * first out, so that a frame's memory is still in the cache when it is used again.
 *
 * A wire that reads from a descriptor may read straight into a frame (port_reserve()); a long one
 * is then queued as it is, a short one is copied, so that it does not hold a long one's memory.
 *
 * Metadata are checked here in both directions, once. Frames without any (most) take no detour.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../util.h"
#include "offload.h"
#include "port.h"

#define SMALL	 2048u
#define ETH_HLEN 14u

struct port {
	const struct port_up *up;
	void *up_ctx;
	const struct vqnic_wire_ops *wire;
	void *wire_ctx;
	struct vqnic_counters *counters;

	struct frame *head, **tail;
	unsigned int count, fifo;
	unsigned int allowed;
	bool carrier; /* a cable may be pulled while the wire is plugged */

	struct frame *free_small, *free_big;
	struct frame *reserved; /* being filled by the wire */
	uint8_t *scratch;	/* FRAME_MAX bytes, once something has to be finished */
};

int port_create(unsigned int fifo, struct vqnic_counters *counters, struct port **port)
{
	struct port *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->fifo = fifo;
	p->counters = counters;
	p->tail = &p->head;
	*port = p;
	return 0;
}

static void free_list(struct frame *frame)
{
	while (frame) {
		struct frame *next = frame->next;

		free(frame);
		frame = next;
	}
}

static void unplug(struct port *port)
{
	const struct vqnic_wire_ops *wire = port->wire;
	void *ctx = port->wire_ctx;

	port->wire = NULL;
	port->wire_ctx = NULL;
	if (wire && wire->close)
		wire->close(ctx);
}

struct vqnic_counters *port_counters(struct port *port)
{
	return port->counters;
}

void port_destroy(struct port *port)
{
	if (!port)
		return;
	port->up = NULL;
	unplug(port);
	port_drop_all(port);
	free(port->reserved);
	free_list(port->free_small);
	free_list(port->free_big);
	free(port->scratch);
	free(port);
}

void port_set_up(struct port *port, const struct port_up *up, void *ctx)
{
	port->up = up;
	port->up_ctx = ctx;
}

/* ---- Frames -------------------------------------------------------------------------------- */

static struct frame *frame_alloc(struct port *port, uint32_t len)
{
	bool small = len <= SMALL;
	struct frame **list = small ? &port->free_small : &port->free_big;
	struct frame *frame = *list;

	if (likely(frame)) {
		*list = frame->next;
	} else {
		uint32_t capacity = small ? SMALL : FRAME_MAX;

		frame = malloc(sizeof(*frame) + capacity);
		if (!frame)
			return NULL;
		frame->capacity = capacity;
		frame->meta.data = frame->data;
	}
	frame->next = NULL;
	return frame;
}

void frame_free(struct port *port, struct frame *frame)
{
	struct frame **list;

	if (!frame)
		return;
	list = frame->capacity == SMALL ? &port->free_small : &port->free_big;
	frame->next = *list;
	*list = frame;
}

static int scratch_get(struct port *port)
{
	if (!port->scratch)
		port->scratch = malloc(FRAME_MAX);
	return port->scratch ? 0 : -ENOMEM;
}

/* ---- Carrier ------------------------------------------------------------------------------- */

bool port_link(const struct port *port)
{
	return port->wire && port->carrier;
}

static void set_carrier(struct port *port, bool before, bool up)
{
	port->carrier = up;
	if (port_link(port) != before && port->up && port->up->link)
		port->up->link(port->up_ctx, !before);
}

void port_set_link(struct port *port, bool up)
{
	set_carrier(port, port_link(port), up);
}

void port_plug(struct port *port, const struct vqnic_wire_ops *ops, void *ctx)
{
	bool before = port_link(port);

	unplug(port);
	port->wire = ops;
	port->wire_ctx = ctx;
	set_carrier(port, before, true);
}

const struct vqnic_wire_ops *port_wire(struct port *port, void **ctx)
{
	if (ctx)
		*ctx = port->wire_ctx;
	return port->wire;
}

/* ---- Transmit ------------------------------------------------------------------------------ */

static int put_on_wire(void *ctx, const struct vqnic_frame *frame)
{
	struct port *port = ctx;
	int ret = port->wire->transmit(port->wire_ctx, frame);

	if (unlikely(ret)) {
		port->counters->tx_drops++;
		return ret;
	}
	port->counters->tx_frames++;
	port->counters->tx_bytes += frame->len;
	return 0;
}

/* The slow way: the frame asks for something. */
static int transmit_unfinished(struct port *port, const struct vqnic_frame *frame)
{
	struct vqnic_frame copy = *frame;
	struct offload_frame parsed;
	int ret;

	/* 5.1.6.2.1: a driver sets nothing but NEEDS_CSUM, a device ignores the rest. */
	copy.flags &= VQNIC_FRAME_NEEDS_CSUM;
	ret = offload_check(&copy, &parsed);
	if (!ret && !(port->wire->caps & VQNIC_WIRE_OFFLOADS))
		ret = scratch_get(port);
	if (ret) {
		port->counters->tx_drops++;
		return ret;
	}
	if (port->wire->caps & VQNIC_WIRE_OFFLOADS)
		return put_on_wire(port, &copy);
	return offload_finish(&copy, &parsed, port->scratch, put_on_wire, port);
}

int port_transmit(struct port *port, const struct vqnic_frame *frame)
{
	int ret = 0;

	if (unlikely(!port_link(port)))
		ret = -ENETDOWN;
	else if (unlikely(frame->len < ETH_HLEN || frame->len > FRAME_MAX))
		ret = -EINVAL;
	if (unlikely(ret)) {
		port->counters->tx_drops++;
		return ret;
	}
	if (unlikely(frame->flags | frame->gso_type))
		return transmit_unfinished(port, frame);
	return put_on_wire(port, frame);
}

void port_flush(struct port *port)
{
	if (port->wire && port->wire->flush)
		port->wire->flush(port->wire_ctx);
}

/* ---- Receive ------------------------------------------------------------------------------- */

uint8_t *port_reserve(struct port *port)
{
	if (!port->reserved)
		port->reserved = frame_alloc(port, FRAME_MAX);
	return port->reserved ? port->reserved->data : NULL;
}

/* A frame that holds the bytes of @meta: the reserved one if they lie there, else a copy. */
static struct frame *frame_of(struct port *port, const struct vqnic_frame *meta)
{
	struct frame *frame = port->reserved;

	if (frame && meta->data == frame->data && meta->len > SMALL) {
		port->reserved = NULL;
		return frame;
	}
	frame = frame_alloc(port, meta->len);
	if (likely(frame))
		memcpy(frame->data, meta->data, meta->len);
	return frame;
}

static int enqueue(void *ctx, const struct vqnic_frame *meta)
{
	struct port *port = ctx;
	struct frame *frame = NULL;

	if (likely(port->count < port->fifo))
		frame = frame_of(port, meta);
	if (unlikely(!frame)) {
		port->counters->rx_drops++;
		return -ENOBUFS;
	}
	frame->meta = *meta;
	frame->meta.data = frame->data;
	*port->tail = frame;
	port->tail = &frame->next;
	port->count++;
	port->counters->rx_frames++;
	port->counters->rx_bytes += meta->len;
	return 0;
}

/* The slow way: something is left to be done, or was said to be done. */
static int receive_unfinished(struct port *port, const struct vqnic_frame *frame)
{
	struct vqnic_frame copy = *frame;
	struct offload_frame parsed;
	int ret;

	/* Both flags belong to GUEST_CSUM (5.1.6.4.1); NEEDS_CSUM goes by finishing it. */
	copy.flags &= VQNIC_FRAME_NEEDS_CSUM | VQNIC_FRAME_DATA_VALID;
	if (!(port->allowed & PORT_RX_CSUM))
		copy.flags &= (uint8_t)~VQNIC_FRAME_DATA_VALID;
	ret = offload_check(&copy, &parsed);
	if (!ret && offload_excess(&copy, &parsed, port->allowed)) {
		ret = scratch_get(port);
		if (!ret)
			return offload_finish(&copy, &parsed, port->scratch, enqueue, port);
	}
	if (ret) {
		port->counters->rx_drops++;
		return ret == -ENOMEM ? -ENOBUFS : ret;
	}
	return enqueue(port, &copy);
}

int port_receive(struct port *port, const struct vqnic_frame *frame)
{
	int ret = 0;

	if (unlikely(!port_link(port)))
		ret = -ENETDOWN;
	else if (unlikely(frame->len < ETH_HLEN || frame->len > FRAME_MAX))
		ret = -EMSGSIZE;
	if (unlikely(ret)) {
		port->counters->rx_drops++;
		return ret;
	}
	if (unlikely(frame->flags | frame->gso_type))
		ret = receive_unfinished(port, frame);
	else
		ret = enqueue(port, frame);
	/* Some segments of a frame may have found room where others did not. */
	if (port->head && port->up && port->up->arrived)
		port->up->arrived(port->up_ctx);
	return ret;
}

void port_set_offloads(struct port *port, unsigned int allowed)
{
	struct frame **link = &port->head;

	port->allowed = allowed;
	while (*link) {
		struct frame *frame = *link;
		struct offload_frame parsed;

		/* Frames in the FIFO were checked; only now is less allowed than was then. */
		offload_check(&frame->meta, &parsed);
		if (!(allowed & PORT_RX_CSUM))
			frame->meta.flags &= (uint8_t)~VQNIC_FRAME_DATA_VALID;
		if (!offload_excess(&frame->meta, &parsed, allowed)) {
			link = &frame->next;
			continue;
		}
		*link = frame->next;
		port->count--;
		port->counters->rx_drops++;
		frame_free(port, frame);
	}
	port->tail = link;
}

unsigned int port_room(const struct port *port)
{
	return port->fifo - port->count;
}

const struct frame *port_peek(const struct port *port)
{
	return port->head;
}

struct frame *port_take(struct port *port)
{
	struct frame *frame = port->head;

	if (!frame)
		return NULL;
	port->head = frame->next;
	if (!port->head)
		port->tail = &port->head;
	port->count--;
	frame->next = NULL;
	return frame;
}

void port_drop_all(struct port *port)
{
	struct frame *frame;

	while ((frame = port_take(port)))
		frame_free(port, frame);
}
