/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A socket that carries vfio-user messages, both ways, without ever waiting
 */
#ifndef VN_VFIO_USER_CHANNEL_H
#define VN_VFIO_USER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfio_user_msg.h"

/* Descriptors that came with bytes of the stream, waiting for their message to be complete. */
struct vu_fd_batch {
	uint64_t at; /* where in the stream the message starts that they belong to */
	unsigned int count;
	bool excess; /* there were more than allowed; none was kept */
	bool lost;   /* the kernel could not hand them all over */
	int fd[VU_MAX_MSG_FDS];
};

struct vu_out;

struct vu_channel {
	int fd;
	int broken; /* errno that ended the connection, 0 while it lives */

	uint8_t *in;
	size_t in_cap, in_start, in_end; /* in[in_start, in_end) is unread */
	uint64_t in_base;		 /* stream offset of in[0] */
	struct vu_fd_batch batch[2];
	unsigned int batches;

	struct vu_out *out, **out_tail;
	size_t out_bytes;
};

/**
 * struct vu_msg - a message that arrived whole
 * @payload: borrowed until the next vu_channel_recv(); not aligned
 * @fd:      descriptors that came along; a handler that keeps one puts -1 in its place
 * @fd_error: negative errno if descriptors came that could not be taken; then @fds is 0
 */
struct vu_msg {
	struct vu_header header;
	const uint8_t *payload;
	size_t len;
	unsigned int fds;
	int fd[VU_MAX_MSG_FDS];
	int fd_error;
};

/**
 * vu_channel_open() - take a connected stream socket over
 * @fd: owned by the channel from here on, also on failure; made non-blocking
 *
 * Return: 0; -ENOMEM, errno of fcntl().
 */
int vu_channel_open(struct vu_channel *ch, int fd);

/** vu_channel_close() - close the socket and every descriptor that waits in either direction */
void vu_channel_close(struct vu_channel *ch);

/**
 * vu_channel_recv() - read once what the socket holds
 *
 * To be called only when vu_channel_next() has nothing more.
 * Return: bytes read; -EAGAIN nothing there, -ECONNRESET the peer is gone, -ENOMEM; other errno of
 * recvmsg().
 */
int vu_channel_recv(struct vu_channel *ch);

/**
 * vu_channel_next() - take the next whole message
 *
 * Return: 1 with @msg, to be given back to vu_msg_done(); 0 there is none yet; -EPROTO the size in
 * the header is smaller than a header, -EMSGSIZE larger than any message may be: what follows in
 * the stream cannot be trusted, so the connection has to go.
 */
int vu_channel_next(struct vu_channel *ch, struct vu_msg *msg);

/** vu_channel_pending() - would vu_channel_next() return something else than 0? */
bool vu_channel_pending(const struct vu_channel *ch);

/** vu_msg_done() - close the descriptors that nobody took */
void vu_msg_done(struct vu_msg *msg);

/**
 * vu_channel_send() - send a message, or queue what the socket does not take
 * @payload: may be NULL if @len is 0
 * @more, @more_len: second part of the payload; copied if it has to wait
 * @fd: sent along, -1 for none; stays the caller's
 *
 * Return: 0; a negative errno if the connection is broken (also kept in @ch->broken).
 */
int vu_channel_send(struct vu_channel *ch, const struct vu_header *header, const void *payload,
		    size_t len, const void *more, size_t more_len, int fd);

/** vu_channel_flush() - send what is queued; Return: 0, also if some is left; or as above */
int vu_channel_flush(struct vu_channel *ch);

#endif
