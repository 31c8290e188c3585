// SPDX-License-Identifier: BSD-3-Clause
/*
 * A traffic peer on the wire side of a parent that runs elsewhere (see peer.h)
 *
 * How it works. A descriptor that never blocks. TAP and packet sockets carry the header of virtio
 * in front of each frame (IFF_VNET_HDR, PACKET_VNET_HDR), so that a checksum that is still to be
 * computed and segments that are still to be cut are seen; a stream carries finished frames.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>

#include "../spec.h"
#include "peer.h"

#define STREAM_MAX   65600u
#define STREAM_WAIT  2000
#define VNET_HDR_LEN 10u
#define PACKET_ROOM  (64 << 20)

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

/**
 * struct peer
 * @stream: lengths on the wire, no header
 * @have:   stream: bytes of the next frame and its length that have come
 */
struct peer {
	int fd;
	bool stream;
	uint32_t have;
	uint8_t in[4 + STREAM_MAX];
};

static int refuse(const struct parent_options *opts, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const struct parent_options *opts, int err, const char *fmt, ...)
{
	va_list ap;

	if (opts->error && opts->error_size) {
		va_start(ap, fmt);
		vsnprintf(opts->error, opts->error_size, fmt, ap);
		va_end(ap);
	}
	return err;
}

/* ---- Opening -----------------------------------------------------------------------------------
 */

static int open_stream(const struct parent_options *opts, struct peer *peer, const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(addr.sun_path))
		return refuse(opts, -ENAMETOOLONG, "--peer stream:%s: the path is too long", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	peer->stream = true;
	peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (peer->fd < 0 || connect(peer->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return refuse(
			opts, -errno,
			"--peer stream:%s: %s; start the NIC with --wire stream-listen:%s first",
			path, strerror(errno), path);
	if (fcntl(peer->fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int open_tap(const struct parent_options *opts, struct peer *peer, const char *name)
{
	struct ifreq req = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	const int hdr = VNET_HDR_LEN;

	if (!name[0] || strlen(name) >= IFNAMSIZ)
		return refuse(opts, -EINVAL, "--peer tap:%s: that is no name of an interface",
			      name);
	memcpy(req.ifr_name, name, strlen(name) + 1);
	peer->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (peer->fd < 0)
		return refuse(opts, -errno, "--peer tap:%s: /dev/net/tun: %s; load the module tun",
			      name, strerror(errno));
	if (ioctl(peer->fd, TUNSETIFF, &req) < 0 || ioctl(peer->fd, TUNSETVNETHDRSZ, &hdr) < 0)
		return refuse(
			opts, -errno,
			"--peer tap:%s: %s; it needs CAP_NET_ADMIN, and a TAP that nobody has open",
			name, strerror(errno));
	/* finished frames only from the kernel, which is good enough for a peer */
	ioctl(peer->fd, TUNSETOFFLOAD, 0);
	return 0;
}

static int open_packet(const struct parent_options *opts, struct peer *peer, const char *name)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	const struct packet_mreq promisc = {
		.mr_ifindex = addr.sll_ifindex,
		.mr_type = PACKET_MR_PROMISC,
	};
	const int on = 1, room = PACKET_ROOM;

	if (!addr.sll_ifindex)
		return refuse(opts, -ENODEV, "--peer packet:%s: there is no such interface", name);
	peer->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (peer->fd < 0)
		return refuse(opts, -errno, "--peer packet:%s: %s; it needs CAP_NET_RAW", name,
			      strerror(errno));
	if (setsockopt(peer->fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
	    setsockopt(peer->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
	    setsockopt(peer->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promisc, sizeof(promisc)) <
		    0 ||
	    bind(peer->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return refuse(opts, -errno, "--peer packet:%s: %s", name, strerror(errno));
	/* a whole ring of frames may come before we look; by default there is room for some 300 */
	if (setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	return 0;
}

int peer_open(const struct parent_options *opts, struct parent *p, struct peer **out)
{
	const char *address = opts->peer ? opts->peer : "none";
	struct peer *peer;
	int err;

	*out = NULL;
	p->peer = PEER_NONE;
	if (!strcmp(address, "none"))
		return 0;
	if (!strcmp(address, "loopback")) {
		p->peer = PEER_ECHO;
		p->caps |= CAP_TRAFFIC;
		return 0;
	}
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return -ENOMEM;
	peer->fd = -1;
	if (!strncmp(address, "stream:", 7))
		err = open_stream(opts, peer, address + 7);
	else if (!strncmp(address, "tap:", 4))
		err = open_tap(opts, peer, address + 4);
	else if (!strncmp(address, "packet:", 7))
		err = open_packet(opts, peer, address + 7);
	else
		err = refuse(
			opts, -EINVAL,
			"--peer %s: no such peer; there are loopback, stream:SOCKET, tap:NAME, "
			"packet:NAME and none",
			address);
	if (err) {
		peer_close(peer);
		return err;
	}
	p->peer = PEER_OWN;
	p->caps |= CAP_TRAFFIC | CAP_PEER;
	*out = peer;
	return 0;
}

void peer_close(struct peer *peer)
{
	if (!peer)
		return;
	if (peer->fd >= 0)
		close(peer->fd);
	free(peer);
}

/* ---- Sending
 * ---------------------------------------------------------------------------------------- */

/* send_stream() - once its first byte is out, a frame has to follow whole */
static int send_stream(struct peer *peer, const struct parent_frame *frame)
{
	const uint32_t length = htonl(frame->len);
	uint8_t head[4];
	uint32_t sent = 0;

	memcpy(head, &length, 4);
	while (sent < 4 + frame->len) {
		const struct iovec iov[2] = {
			{head + (sent < 4 ? sent : 4), sent < 4 ? 4 - sent : 0},
			{(void *)(uintptr_t)(frame->data + (sent < 4 ? 0 : sent - 4)),
			 frame->len - (sent < 4 ? 0 : sent - 4)},
		};
		const struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
					   .msg_iovlen = 2};
		struct pollfd pfd = {.fd = peer->fd, .events = POLLOUT};
		ssize_t n = sendmsg(peer->fd, &msg, MSG_NOSIGNAL);

		if (n >= 0) {
			sent += (uint32_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		if (!sent)
			return -EAGAIN;
		if (poll(&pfd, 1, STREAM_WAIT) <= 0)
			return -ETIMEDOUT;
	}
	return 0;
}

int peer_send(struct peer *peer, const struct parent_frame *frame)
{
	const struct vc_net_hdr hdr = {
		.flags = frame->flags,
		.gso_type = frame->gso_type,
		.hdr_len = htole16(frame->hdr_len),
		.gso_size = htole16(frame->gso_size),
		.csum_start = htole16(frame->csum_start),
		.csum_offset = htole16(frame->csum_offset),
	};
	const struct iovec iov[2] = {
		{(void *)(uintptr_t)&hdr, VNET_HDR_LEN},
		{(void *)(uintptr_t)frame->data, frame->len},
	};

	if (peer->stream)
		return frame->flags || frame->gso_type ? -EOPNOTSUPP : send_stream(peer, frame);
	if (writev(peer->fd, iov, 2) < 0)
		return errno == ENOBUFS ? -EAGAIN : -errno;
	return 0;
}

/* ---- Receiving
 * ---------------------------------------------------------------------------------------- */

static int recv_stream(struct peer *peer, struct parent_frame *frame, uint8_t *buf, uint32_t size)
{
	uint32_t want = 4, len = 0;

	for (;;) {
		ssize_t n;

		if (peer->have >= 4) {
			uint32_t be;

			memcpy(&be, peer->in, 4);
			len = ntohl(be);
			if (len > STREAM_MAX)
				return -EPROTO;
			want = 4 + len;
		}
		if (peer->have >= 4 && peer->have == want)
			break;
		n = recv(peer->fd, peer->in + peer->have, want - peer->have, MSG_DONTWAIT);
		if (n == 0)
			return -ENOTCONN;
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		peer->have += (uint32_t)n;
	}
	peer->have = 0;
	if (len > size)
		return -EMSGSIZE;
	memcpy(buf, peer->in + 4, len);
	*frame = (struct parent_frame){.data = buf, .len = len};
	return 1;
}

int peer_recv(struct peer *peer, struct parent_frame *frame, uint8_t *buf, uint32_t size)
{
	struct vc_net_hdr hdr = {0};
	const struct iovec iov[2] = {{&hdr, VNET_HDR_LEN}, {buf, size}};
	ssize_t n;

	if (peer->stream)
		return recv_stream(peer, frame, buf, size);
	n = readv(peer->fd, iov, 2);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n < (ssize_t)VNET_HDR_LEN)
		return 0;
	*frame = (struct parent_frame){
		.data = buf,
		.len = (uint32_t)n - VNET_HDR_LEN,
		.flags = hdr.flags,
		.gso_type = hdr.gso_type,
		.hdr_len = le16toh(hdr.hdr_len),
		.gso_size = le16toh(hdr.gso_size),
		.csum_start = le16toh(hdr.csum_start),
		.csum_offset = le16toh(hdr.csum_offset),
	};
	return 1;
}
