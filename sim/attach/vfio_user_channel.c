/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A socket that carries vfio-user messages
 *
 * How it works. Bytes are read in large pieces into one buffer and taken out of it message by
 * message, so that a burst of doorbells costs one system call. A message larger than the buffer
 * makes it grow, up to the size of the largest message.
 *
 * Descriptors come beside the bytes, and the kernel ends a read behind the piece that carried
 * them: they belong to a message whose bytes are at the end of that read. It is the last one there
 * whose command takes descriptors, else the last one. They are kept with the place in the stream
 * where that message starts until it is complete. Between two reads all complete messages are
 * taken out, so at most two messages can have descriptors waiting: one that was incomplete before
 * the read and one at the end of it.
 *
 * Every message is sent by a sendmsg() of its own: QEMU's client gives up when a read ends inside
 * a header, and the kernel may cut a longer send anywhere. What the socket does not take is copied
 * and waits; how much may wait is for the caller to bound, by @out_bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vfio_user_channel.h"

#define IN_SIZE 65536u

/* The kernel passes at most this many descriptors with one message (SCM_MAX_FD). */
#define KERNEL_MAX_FDS 253

struct vu_out {
	struct vu_out *next;
	size_t len, sent;
	int fd;
	uint8_t data[];
};

int vu_channel_open(struct vu_channel *ch, int fd)
{
	int flags;

	*ch = (struct vu_channel){.fd = fd, .in_cap = IN_SIZE};
	ch->out_tail = &ch->out;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) {
		int err = -errno;

		vu_channel_close(ch);
		return err;
	}
	ch->in = malloc(ch->in_cap);
	if (!ch->in) {
		vu_channel_close(ch);
		return -ENOMEM;
	}
	return 0;
}

static void close_fds(const int *fd, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

static void drop_first_out(struct vu_channel *ch)
{
	struct vu_out *out = ch->out;

	ch->out = out->next;
	if (!ch->out)
		ch->out_tail = &ch->out;
	ch->out_bytes -= out->len;
	if (out->fd >= 0)
		close(out->fd);
	free(out);
}

void vu_channel_close(struct vu_channel *ch)
{
	while (ch->out)
		drop_first_out(ch);
	for (unsigned int i = 0; i < ch->batches; i++)
		close_fds(ch->batch[i].fd, ch->batch[i].count);
	ch->batches = 0;
	free(ch->in);
	ch->in = NULL;
	if (ch->fd >= 0)
		close(ch->fd);
	ch->fd = -1;
}

/* ---- In ------------------------------------------------------------------------------------ */

static bool takes_fds(uint16_t cmd)
{
	return cmd == VU_DMA_MAP || cmd == VU_SET_IRQS;
}

/* Where the message starts to which descriptors belong that came with in[@from, in_end). */
static size_t owner_of_fds(const struct vu_channel *ch, size_t from)
{
	size_t pos = ch->in_start, last = pos, taker = SIZE_MAX;

	while (pos < ch->in_end) {
		struct vu_header header = {0};
		size_t have = ch->in_end - pos;

		memcpy(&header, ch->in + pos, have < sizeof(header) ? have : sizeof(header));
		last = pos;
		if (have < sizeof(header) || header.size < sizeof(header))
			break;
		if (takes_fds(header.cmd) && (header.size > have || pos + header.size > from))
			taker = pos;
		if (header.size >= have)
			break;
		pos += header.size;
	}
	return taker != SIZE_MAX ? taker : last;
}

/* Keep the descriptors that came with the bytes read last, in[@from, in_end). */
static int keep_fds(struct vu_channel *ch, const int *fd, unsigned int count, bool lost,
		    size_t from)
{
	uint64_t at = ch->in_base + owner_of_fds(ch, from);
	struct vu_fd_batch *batch = NULL;

	for (unsigned int i = 0; i < ch->batches; i++)
		if (ch->batch[i].at == at)
			batch = &ch->batch[i];
	if (!batch) {
		if (ch->batches == 2) {
			/* Not reached while callers take all messages before they read. */
			close_fds(fd, count);
			return -EPROTO;
		}
		batch = &ch->batch[ch->batches++];
		*batch = (struct vu_fd_batch){.at = at};
	}
	batch->lost |= lost;
	if (batch->excess || batch->count + count > VU_MAX_MSG_FDS) {
		close_fds(batch->fd, batch->count);
		close_fds(fd, count);
		batch->count = 0;
		batch->excess = true;
		return 0;
	}
	for (unsigned int i = 0; i < count; i++)
		batch->fd[batch->count++] = fd[i];
	return 0;
}

static int make_room(struct vu_channel *ch)
{
	struct vu_header header;
	size_t have = ch->in_end - ch->in_start;
	uint8_t *in;

	if (ch->in_start == ch->in_end || (ch->in_start && ch->in_cap - ch->in_end < IN_SIZE / 4)) {
		memmove(ch->in, ch->in + ch->in_start, have);
		ch->in_base += ch->in_start;
		ch->in_start = 0;
		ch->in_end = have;
	}
	if (have < sizeof(header))
		return 0;
	/* vu_channel_next() has checked the size before it asked for more. */
	memcpy(&header, ch->in + ch->in_start, sizeof(header));
	if (ch->in_start + header.size <= ch->in_cap)
		return 0;
	in = realloc(ch->in, ch->in_start + header.size);
	if (!in)
		return -ENOMEM;
	ch->in = in;
	ch->in_cap = ch->in_start + header.size;
	return 0;
}

int vu_channel_recv(struct vu_channel *ch)
{
	union {
		char buf[CMSG_SPACE(KERNEL_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov;
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.buf,
			    .msg_controllen = sizeof(control.buf)};
	size_t from;
	ssize_t n;
	int err;

	if (ch->broken)
		return -ch->broken;
	err = make_room(ch);
	if (err)
		return err;
	from = ch->in_end;
	iov.iov_base = ch->in + ch->in_end;
	iov.iov_len = ch->in_cap - ch->in_end;
	do {
		n = recvmsg(ch->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (n == 0)
		return -ECONNRESET;
	ch->in_end += (size_t)n;
	if (!mh.msg_controllen && !(mh.msg_flags & MSG_CTRUNC))
		return (int)n;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
		int fd[KERNEL_MAX_FDS];
		size_t len;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		len = c->cmsg_len - CMSG_LEN(0);
		memcpy(fd, CMSG_DATA(c), len);
		err = keep_fds(ch, fd, (unsigned int)(len / sizeof(*fd)), false, from);
		if (err)
			return err;
	}
	if (mh.msg_flags & MSG_CTRUNC) {
		err = keep_fds(ch, NULL, 0, true, from);
		if (err)
			return err;
	}
	return (int)n;
}

bool vu_channel_pending(const struct vu_channel *ch)
{
	size_t have = ch->in_end - ch->in_start;
	struct vu_header header;

	if (have < sizeof(header))
		return false;
	memcpy(&header, ch->in + ch->in_start, sizeof(header));
	return have >= header.size || header.size > VU_MAX_MSG_SIZE;
}

int vu_channel_next(struct vu_channel *ch, struct vu_msg *msg)
{
	size_t have = ch->in_end - ch->in_start;
	uint64_t at = ch->in_base + ch->in_start;

	if (have < sizeof(msg->header))
		return 0;
	memcpy(&msg->header, ch->in + ch->in_start, sizeof(msg->header));
	if (msg->header.size < sizeof(msg->header))
		return -EPROTO;
	if (msg->header.size > VU_MAX_MSG_SIZE)
		return -EMSGSIZE;
	if (have < msg->header.size)
		return 0;

	msg->payload = ch->in + ch->in_start + sizeof(msg->header);
	msg->len = msg->header.size - sizeof(msg->header);
	msg->fds = 0;
	msg->fd_error = 0;
	if (ch->batches && ch->batch[0].at == at) {
		const struct vu_fd_batch *batch = &ch->batch[0];

		if (batch->excess || batch->lost) {
			msg->fd_error = batch->excess ? -EINVAL : -EMFILE;
			close_fds(batch->fd, batch->count);
		} else {
			msg->fds = batch->count;
			memcpy(msg->fd, batch->fd, batch->count * sizeof(*batch->fd));
		}
		ch->batch[0] = ch->batch[1];
		ch->batches--;
	}
	ch->in_start += msg->header.size;
	return 1;
}

void vu_msg_done(struct vu_msg *msg)
{
	close_fds(msg->fd, msg->fds);
	msg->fds = 0;
}

/* ---- Out ----------------------------------------------------------------------------------- */

static ssize_t send_once(int sock, struct iovec *iov, size_t iovs, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct msghdr mh = {.msg_iov = iov, .msg_iovlen = iovs};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		mh.msg_control = control.buf;
		mh.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	do {
		n = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	/* ETOOMANYREFS: the peer lets descriptors pile up in the socket; it has to read first. */
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETOOMANYREFS))
		return 0;
	return n < 0 ? -errno : n;
}

int vu_channel_flush(struct vu_channel *ch)
{
	while (ch->out && !ch->broken) {
		struct vu_out *out = ch->out;
		struct iovec iov = {.iov_base = out->data + out->sent,
				    .iov_len = out->len - out->sent};
		ssize_t n = send_once(ch->fd, &iov, 1, out->fd);

		if (n < 0) {
			ch->broken = (int)-n;
			break;
		}
		if (n == 0)
			return 0;
		if (out->fd >= 0) {
			close(out->fd);
			out->fd = -1;
		}
		out->sent += (size_t)n;
		if (out->sent == out->len)
			drop_first_out(ch);
	}
	return -ch->broken;
}

int vu_channel_send(struct vu_channel *ch, const struct vu_header *header, const void *payload,
		    size_t len, const void *more, size_t more_len, int fd)
{
	struct iovec iov[3] = {
		{.iov_base = (void *)(uintptr_t)header, .iov_len = sizeof(*header)},
		{.iov_base = (void *)(uintptr_t)payload, .iov_len = len},
		{.iov_base = (void *)(uintptr_t)more, .iov_len = more_len},
	};
	struct vu_out *out;
	ssize_t sent = 0;
	size_t pos = 0, total = sizeof(*header) + len + more_len;

	if (ch->broken)
		return -ch->broken;
	if (!ch->out) {
		sent = send_once(ch->fd, iov, 3, fd);
		if (sent < 0) {
			ch->broken = (int)-sent;
			return (int)sent;
		}
		if ((size_t)sent == total)
			return 0;
	}

	out = malloc(sizeof(*out) + total);
	if (!out) {
		/* A reply that is lost, or half sent, leaves a stream nobody can follow. */
		ch->broken = ENOMEM;
		return -ENOMEM;
	}
	*out = (struct vu_out){.len = total, .sent = (size_t)sent, .fd = -1};
	for (unsigned int i = 0; i < 3; i++) {
		if (iov[i].iov_len)
			memcpy(out->data + pos, iov[i].iov_base, iov[i].iov_len);
		pos += iov[i].iov_len;
	}
	if (fd >= 0 && !sent) {
		out->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (out->fd < 0) {
			ch->broken = errno;
			free(out);
			return -ch->broken;
		}
	}
	*ch->out_tail = out;
	ch->out_tail = &out->next;
	ch->out_bytes += total;
	return 0;
}
