/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wires by address: the other side of the MAC, moving bytes only
 */
#ifndef VN_WIRE_H
#define VN_WIRE_H

#include "../vqnic.h"

/**
 * struct wire_end - what a wire needs to hand frames to its NIC
 * @receive: as vqnic_wire_receive() for the port it is plugged into
 * @reserve: where a wire that reads a frame may put it, VQNIC_FRAME_MAX bytes: a frame that is then
 *           given to @receive at that place need not be copied. It is the wire's until then. May be
 *           NULL, and may return NULL: then any place will do
 * @link:    the wire lost or found its other side; as vqnic_link_set(), from @poll or @transmit;
 *           may be NULL
 */
struct wire_end {
	int (*receive)(void *ctx, const struct vqnic_frame *frame);
	uint8_t *(*reserve)(void *ctx);
	void (*link)(void *ctx, bool up);
	void *ctx;
};

/**
 * wire_open() - open a wire by its address (see vqnic_wire_open())
 * @end: copied
 *
 * Return: 0 with *@ops and *@wire to plug (ops->close frees it); a negative errno with a sentence.
 */
int wire_open(const char *address, const struct wire_end *end, const struct vqnic_wire_ops **ops,
	      void **wire, struct vqnic_error *err);

#endif
