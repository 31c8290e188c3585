/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A traffic peer on the wire side of a parent that runs elsewhere
 *
 *	loopback       the wire echoes: what the device sends comes back to it
 *	stream:SOCKET  QEMU's stream: each frame behind its length, 32 bits big-endian; SOCKET
 *listens tap:NAME       opened by us: the device's wire is bridged to the interface NAME
 *	packet:NAME    an interface's frames by AF_PACKET, for instance of the TAP that the NIC
 *opened none           nothing is known
 */
#ifndef VC_PARENT_PEER_H
#define VC_PARENT_PEER_H

#include "parent.h"

struct peer;

/**
 * peer_open() - open a peer by its address and tell the parent (peer, CAP_TRAFFIC, CAP_PEER)
 * @opts: its peer (NULL is none) and its error
 *
 * Return: 0 and *@peer (NULL for loopback and none); a negative errno with a sentence.
 */
int peer_open(const struct parent_options *opts, struct parent *p, struct peer **peer);
void peer_close(struct peer *peer);

/** peer_send() - as parent_ops.peer_send; -EAGAIN: the wire takes no more just now */
int peer_send(struct peer *peer, const struct parent_frame *frame);

/** peer_recv() - as parent_ops.peer_recv */
int peer_recv(struct peer *peer, struct parent_frame *frame, uint8_t *buf, uint32_t size);

#endif
