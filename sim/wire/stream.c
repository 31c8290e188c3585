/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stream socket: QEMU's -netdev stream, passt, or another vqnic at the other end
 *
 * How it works. Over a unix stream socket each frame goes behind its length, 32 bits in network
 * order, and nothing else, so that frames leave finished. `stream:PATH` connects,
 * `stream-listen:PATH` makes the socket and takes one peer at a time.
 *
 * Both directions have a buffer: frames to send are collected until the NIC flushes or the buffer
 * is half full, and one recv() brings many frames. What the socket does not take stays and goes out
 * when the socket can be written again; a frame that finds no room is lost, as on a congested link.
 *
 * The NIC waits for one descriptor, so that there is an epoll of the wire's own behind it: the
 * peer, the listening socket, a timer that tries to connect again, and an eventfd for what is still
 * to be done when a poll's budget is used up. When the peer goes (or sends a length that no frame
 * has) the carrier goes down until there is a peer again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "../util.h"
#include "kind.h"

#define BUFFER	 (1u << 18)
#define PREFIX	 4u
#define RETRY_MS 200

/* QEMU's largest (NET_BUFSIZE); more than a NIC takes, but no reason to doubt the peer. */
#define PEER_MAX (4096u + 65536u)

/**
 * struct stream
 * @fd:       the peer; -1 while there is none
 * @listener: -1 when we are the one that connects
 * @kick:     readable: poll again although the socket may be silent
 * @reported: the carrier as the NIC knows it; a plugged wire begins with carrier
 * @writable: waiting for the socket to take more
 * @in, @out: bytes received and not yet parsed, bytes not yet sent: [start, end)
 */
struct stream {
	struct wire_end end;
	struct sockaddr_un addr;
	int fd, listener, epoll, timer, kick;
	bool reported, writable, kicked, bound;
	struct {
		uint8_t *data;
		uint32_t start, end;
	} in, out;
};

/* ---- The peer comes and goes ------------------------------------------------------------------
 */

static void kick(struct stream *s)
{
	uint64_t one = 1;

	s->kicked = true;
	(void)!write(s->kick, &one, sizeof(one));
}

static void kick_clear(struct stream *s)
{
	uint64_t count;

	if (s->kicked)
		(void)!read(s->kick, &count, sizeof(count));
	s->kicked = false;
}

static void watch(struct stream *s, int op, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events};

	epoll_ctl(s->epoll, op, fd, &event);
}

static void set_timer(struct stream *s, bool on)
{
	const long ns = on ? RETRY_MS * 1000000L : 0;
	struct itimerspec when = {.it_interval.tv_nsec = ns, .it_value.tv_nsec = ns};

	timerfd_settime(s->timer, 0, &when, NULL);
}

static void peer_lost(struct stream *s)
{
	if (s->fd < 0)
		return;
	close(s->fd); /* and so out of the epoll */
	s->fd = -1;
	s->writable = false;
	s->in.start = s->in.end = s->out.start = s->out.end = 0;
	if (s->listener >= 0)
		watch(s, EPOLL_CTL_ADD, s->listener, EPOLLIN);
	else
		set_timer(s, true);
	kick(s); /* the carrier is reported by the next poll, where the NIC expects calls */
}

static void peer_found(struct stream *s, int fd)
{
	s->fd = fd;
	watch(s, EPOLL_CTL_ADD, fd, EPOLLIN);
	if (s->listener >= 0)
		watch(s, EPOLL_CTL_DEL, s->listener, 0);
	else
		set_timer(s, false);
}

static int try_connect(struct stream *s)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret;

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&s->addr, sizeof(s->addr)) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	peer_found(s, fd);
	return 0;
}

static void look_for_peer(struct stream *s)
{
	uint64_t expired;
	int fd;

	if (s->listener >= 0) {
		fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			peer_found(s, fd);
	} else if (read(s->timer, &expired, sizeof(expired)) > 0) {
		try_connect(s);
	}
}

static void report_link(struct stream *s)
{
	bool up = s->fd >= 0;

	if (up == s->reported)
		return;
	s->reported = up;
	if (s->end.link)
		s->end.link(s->end.ctx, up);
}

/* ---- Sending ----------------------------------------------------------------------------------
 */

static void send_some(struct stream *s)
{
	while (s->out.start < s->out.end) {
		ssize_t n = send(s->fd, s->out.data + s->out.start, s->out.end - s->out.start,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			peer_lost(s);
			return;
		}
		if (n < 0)
			break;
		s->out.start += (uint32_t)n;
	}
	if (s->out.start == s->out.end)
		s->out.start = s->out.end = 0;
	if (s->writable != (s->out.end != 0)) {
		s->writable = s->out.end != 0;
		watch(s, EPOLL_CTL_MOD, s->fd, EPOLLIN | (s->writable ? EPOLLOUT : 0u));
	}
}

static bool make_room(struct stream *s, uint32_t need)
{
	if (BUFFER - s->out.end >= need)
		return true;
	send_some(s);
	if (s->fd < 0)
		return false;
	if (s->out.start && BUFFER - s->out.end < need) {
		memmove(s->out.data, s->out.data + s->out.start, s->out.end - s->out.start);
		s->out.end -= s->out.start;
		s->out.start = 0;
	}
	return BUFFER - s->out.end >= need;
}

static int stream_transmit(void *ctx, const struct vqnic_frame *frame)
{
	struct stream *s = ctx;
	uint32_t prefix = htonl(frame->len);

	if (s->fd < 0 || !make_room(s, PREFIX + frame->len))
		return -ENOBUFS;
	memcpy(s->out.data + s->out.end, &prefix, PREFIX);
	memcpy(s->out.data + s->out.end + PREFIX, frame->data, frame->len);
	s->out.end += PREFIX + frame->len;
	if (s->out.end - s->out.start > BUFFER / 2 && !s->writable)
		send_some(s);
	return 0;
}

static void stream_flush(void *ctx)
{
	struct stream *s = ctx;

	if (s->fd >= 0 && !s->writable)
		send_some(s);
}

/* ---- Receiving --------------------------------------------------------------------------------
 */

/* A whole frame in the buffer: its length; 0: not yet; -EPROTO: no frame is that long. */
static int frame_ready(const struct stream *s)
{
	uint32_t have = s->in.end - s->in.start, len;

	if (have < PREFIX)
		return 0;
	memcpy(&len, s->in.data + s->in.start, PREFIX);
	len = ntohl(len);
	if (!len || len > PEER_MAX)
		return -EPROTO;
	return have - PREFIX >= len ? (int)len : 0;
}

/* More bytes: false if there are none for now, or no peer any more. */
static bool receive_some(struct stream *s)
{
	ssize_t n;

	if (s->in.start) {
		memmove(s->in.data, s->in.data + s->in.start, s->in.end - s->in.start);
		s->in.end -= s->in.start;
		s->in.start = 0;
	}
	do
		n = recv(s->fd, s->in.data + s->in.end, BUFFER - s->in.end, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		peer_lost(s);
		return false;
	}
	s->in.end += (uint32_t)n;
	return true;
}

static unsigned int take_frames(struct stream *s, unsigned int budget)
{
	unsigned int count = 0;

	while (s->fd >= 0) {
		int len = frame_ready(s);

		if (len < 0) {
			peer_lost(s);
		} else if (!len) {
			if (!receive_some(s))
				break;
		} else if (count == budget) {
			kick(s);
			break;
		} else {
			struct vqnic_frame frame = {
				.data = s->in.data + s->in.start + PREFIX,
				.len = (uint32_t)len,
			};

			s->end.receive(s->end.ctx, &frame);
			s->in.start += PREFIX + (uint32_t)len;
			count++;
		}
	}
	return count;
}

static int stream_poll_fd(void *ctx)
{
	return ((struct stream *)ctx)->epoll;
}

static int stream_poll(void *ctx, unsigned int budget)
{
	struct stream *s = ctx;
	unsigned int count = 0;

	kick_clear(s);
	if (s->fd < 0)
		look_for_peer(s);
	report_link(s);
	if (s->fd >= 0 && s->writable)
		send_some(s);
	if (s->fd >= 0)
		count = take_frames(s, budget);
	report_link(s);
	return (int)count;
}

/* ---- Opening and closing -----------------------------------------------------------------------
 */

static void stream_close(void *ctx)
{
	struct stream *s = ctx;
	const int fds[] = {s->fd, s->listener, s->timer, s->kick, s->epoll};

	stream_flush(s);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (s->bound)
		unlink(s->addr.sun_path);
	free(s->in.data);
	free(s->out.data);
	free(s);
}

static const struct vqnic_wire_ops stream_ops = {
	.caps = 0,
	.transmit = stream_transmit,
	.flush = stream_flush,
	.poll_fd = stream_poll_fd,
	.poll = stream_poll,
	.close = stream_close,
};

static int stream_new(const char *path, const struct wire_end *end, struct stream **out,
		      struct vqnic_error *err)
{
	struct stream *s;

	if (!path || !*path || strlen(path) >= sizeof(s->addr.sun_path))
		return wire_refuse(err, -EINVAL,
				   "stream: needs the path of a socket, of at most %zu characters",
				   sizeof(s->addr.sun_path) - 1);
	s = calloc(1, sizeof(*s));
	if (!s)
		return wire_refuse(err, -ENOMEM, "stream:%s: out of memory", path);
	s->end = *end;
	s->addr.sun_family = AF_UNIX;
	memcpy(s->addr.sun_path, path, strlen(path));
	s->fd = s->listener = -1;
	s->reported = true;
	s->in.data = malloc(BUFFER);
	s->out.data = malloc(BUFFER);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!s->in.data || !s->out.data || s->epoll < 0 || s->timer < 0 || s->kick < 0) {
		stream_close(s);
		return wire_refuse(err, -ENOMEM, "stream:%s: out of memory or descriptors", path);
	}
	watch(s, EPOLL_CTL_ADD, s->timer, EPOLLIN);
	watch(s, EPOLL_CTL_ADD, s->kick, EPOLLIN);
	*out = s;
	return 0;
}

static int stream_open(const char *arg, const struct wire_end *end,
		       const struct vqnic_wire_ops **ops, void **wire, struct vqnic_error *err)
{
	struct stream *s = NULL;
	int ret = stream_new(arg, end, &s, err);

	if (ret)
		return ret;
	ret = try_connect(s);
	if (ret) {
		wire_refuse(err, ret,
			    "stream:%s: %s; start what listens there (passt, QEMU's -netdev "
			    "stream,server=on) first, or use stream-listen:",
			    arg, strerror(-ret));
		stream_close(s);
		return ret;
	}
	*ops = &stream_ops;
	*wire = s;
	return 0;
}

/* A socket that nobody serves any more is removed; anything else that is in the way stays. */
static int clear_stale(struct stream *s, const char *path, struct vqnic_error *err)
{
	struct stat st;
	int fd, ret;

	if (lstat(path, &st) < 0)
		return 0; /* bind() will say what is wrong */
	if (!S_ISSOCK(st.st_mode))
		return wire_refuse(err, -EEXIST, "stream-listen:%s exists and is no socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return wire_refuse(err, -errno, "stream-listen:%s: %s", path, strerror(errno));
	ret = connect(fd, (struct sockaddr *)&s->addr, sizeof(s->addr)) < 0 ? -errno : 0;
	close(fd);
	if (ret != -ECONNREFUSED)
		return wire_refuse(
			err, -EADDRINUSE,
			"stream-listen:%s: another process listens there; end it or use stream:",
			path);
	unlink(path);
	return 0;
}

static int stream_listen_open(const char *arg, const struct wire_end *end,
			      const struct vqnic_wire_ops **ops, void **wire,
			      struct vqnic_error *err)
{
	struct stream *s = NULL;
	int ret = stream_new(arg, end, &s, err);

	if (ret)
		return ret;
	ret = clear_stale(s, arg, err);
	if (ret) {
		stream_close(s);
		return ret;
	}
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0 ||
	    bind(s->listener, (struct sockaddr *)&s->addr, sizeof(s->addr)) < 0 ||
	    listen(s->listener, 1) < 0) {
		ret = wire_refuse(err, -errno, "stream-listen:%s: %s", arg, strerror(errno));
		stream_close(s);
		return ret;
	}
	s->bound = true;
	watch(s, EPOLL_CTL_ADD, s->listener, EPOLLIN);
	kick(s); /* no peer yet: the first poll takes the carrier down */
	*ops = &stream_ops;
	*wire = s;
	return 0;
}

const struct wire_kind wire_kind_stream = {"stream", "stream:SOCKET", stream_open};
const struct wire_kind wire_kind_stream_listen = {"stream-listen", "stream-listen:SOCKET",
						  stream_listen_open};
