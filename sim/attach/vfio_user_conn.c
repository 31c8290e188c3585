/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user: one connected client
 *
 * How it works. Messages are worked through in the order they arrive, each to its end: a command
 * is carried out and its reply goes out before the next message is looked at. A register write only
 * changes registers, so nothing here takes long; the datapath runs elsewhere, between two calls of
 * vu_conn_poll().
 *
 * A message that is malformed gets an error and the connection goes on; only what makes the stream
 * itself doubtful (sizes, types that do not exist, no VERSION at first) ends it.
 *
 * The client is never waited for. Replies that its socket does not take are queued, and when many
 * are, nothing more is read from it until it has taken some; that bounds the queue.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vfio_user_conn.h"

/* Sentences about one client. */
#define SAY_MAX 16

void vu_say(struct vu_conn *conn, const char *format, ...)
{
	char text[256];
	va_list ap;

	if (!conn->say || conn->said > SAY_MAX)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (conn->said++ == SAY_MAX)
		snprintf(text, sizeof(text), "more of the kind; nothing further is said");
	conn->say(conn->say_ctx, text);
}

uint8_t *vu_reply_room(struct vu_conn *conn, struct vu_reply *reply, size_t len)
{
	if (len > conn->reply_cap) {
		uint8_t *room = realloc(conn->reply, len);

		if (!room)
			return NULL;
		conn->reply = room;
		conn->reply_cap = len;
	}
	memset(conn->reply, 0, len);
	reply->data = conn->reply;
	reply->len = len;
	return conn->reply;
}

/* ---- Messages ------------------------------------------------------------------------------ */

static void handle_command(struct vu_conn *conn, struct vu_msg *msg)
{
	struct vu_reply reply = {.fd = -1};
	struct vu_header header = {
		.id = msg->header.id, .cmd = msg->header.cmd, .flags = VU_TYPE_REPLY};
	int err = vu_run_command(conn, msg, &reply);

	if (err == -ECONNRESET) {
		conn->main.broken = ECONNRESET; /* the answer is to hang up */
		return;
	}
	if (err) {
		header.flags |= VU_ERROR;
		header.error = (uint32_t)-err;
		reply.len = 0;
	}
	if (msg->header.flags & VU_NO_REPLY) {
		if (err)
			vu_say(conn, "command %u, which wants no reply, failed: %s",
			       msg->header.cmd, strerror(-err));
	} else {
		header.size = (uint32_t)(sizeof(header) + reply.len);
		vu_channel_send(&conn->main, &header, reply.data, reply.len, NULL, 0,
				err ? -1 : reply.fd);
	}
	if (reply.close_fd)
		close(reply.fd);
}

/*
 * Work through what a channel holds.
 * @twin: it carries only answers to the server's commands
 */
static int poll_channel(struct vu_conn *conn, struct vu_channel *ch, bool twin, unsigned int budget)
{
	unsigned int done = 0;
	struct vu_msg msg;
	int err;

	err = vu_channel_flush(ch);
	while (!err && done < budget && !conn->closing && conn->main.out_bytes < VU_OUT_HIGH) {
		err = vu_channel_next(ch, &msg);
		if (err == 0) {
			err = vu_channel_recv(ch);
			if (err == -EAGAIN)
				return (int)done;
			if (err > 0)
				err = 0;
			continue;
		}
		if (err < 0) {
			vu_say(conn, "a message of %u bytes, %s; disconnected", msg.header.size,
			       err == -EPROTO ? "less than its header" : "more than any may have");
			break;
		}
		err = 0;
		done++;
		switch (msg.header.flags & VU_TYPE_MASK) {
		case VU_TYPE_REPLY:
			vu_dma_reply(conn, &msg);
			break;
		case VU_TYPE_COMMAND:
			if (!twin) {
				handle_command(conn, &msg);
				break;
			}
			/* fall through */
		default:
			vu_say(conn, "a message of type %u; disconnected",
			       msg.header.flags & VU_TYPE_MASK);
			err = -EPROTO;
		}
		vu_msg_done(&msg);
		if (ch->broken)
			err = -ch->broken;
	}
	return err ? err : (int)done;
}

int vu_conn_poll(struct vu_conn *conn, unsigned int budget)
{
	int done = poll_channel(conn, &conn->main, false, budget), more = 0;

	if (done >= 0 && conn->twin.fd >= 0)
		more = poll_channel(conn, &conn->twin, true, budget);
	if (done < 0 || more < 0)
		return done < 0 ? done : more;
	if (conn->closing && !conn->main.out)
		return -ECONNRESET;
	vu_dma_pump(conn);
	vu_conn_update_events(conn);
	return done + more;
}

/* ---- Beginning and end --------------------------------------------------------------------- */

static void update(struct vu_conn *conn, struct vu_channel *ch, uint32_t *events)
{
	uint32_t want = ch->out ? EPOLLOUT : 0;
	struct epoll_event ev = {.data.ptr = conn};

	if (conn->main.out_bytes < VU_OUT_HIGH && !conn->closing) {
		want |= EPOLLIN;
		/* What was read but lay beyond the budget: a socket is nearly always writable. */
		if (ch->fd >= 0 && vu_channel_pending(ch))
			want |= EPOLLOUT;
	}
	if (conn->epfd < 0 || ch->fd < 0 || want == *events)
		return;
	ev.events = want;
	epoll_ctl(conn->epfd, *events == UINT32_MAX ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, ch->fd, &ev);
	*events = want;
}

void vu_conn_update_events(struct vu_conn *conn)
{
	update(conn, &conn->main, &conn->main_events);
	update(conn, &conn->twin, &conn->twin_events);
}

int vu_conn_create(struct vqnic *nic, unsigned int fn, int fd, int epfd,
		   void (*say)(void *ctx, const char *sentence), void *say_ctx,
		   struct vu_conn **out)
{
	struct vu_conn *conn = calloc(1, sizeof(*conn));
	int err;

	if (!conn) {
		close(fd);
		return -ENOMEM;
	}
	*conn = (struct vu_conn){.nic = nic,
				 .fn = fn,
				 .twin.fd = -1,
				 .epfd = epfd,
				 .main_events = UINT32_MAX,
				 .twin_events = UINT32_MAX,
				 .say = say,
				 .say_ctx = say_ctx};
	vu_dma_init(&conn->dma);
	err = vu_channel_open(&conn->main, fd);
	if (!err) {
		err = vqnic_dma_set_ops(nic, fn, &vu_dma_ops, conn);
		if (err)
			vu_channel_close(&conn->main);
	}
	if (err) {
		free(conn);
		return err;
	}
	vu_conn_update_events(conn);
	*out = conn;
	return 0;
}

void vu_conn_destroy(struct vu_conn *conn)
{
	if (!conn)
		return;
	/* First the NIC: it gives up what is in flight, so that nothing asks for more. */
	vqnic_detach(conn->nic, conn->fn);
	vqnic_dma_set_ops(conn->nic, conn->fn, NULL, NULL);
	vu_dma_cancel(conn, 0, UINT64_MAX, -ECANCELED);
	vu_channel_close(&conn->main);
	if (conn->twin.fd >= 0)
		vu_channel_close(&conn->twin);
	free(conn->reply);
	free(conn);
}
