/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A TAP: the host's network stack at the other end
 *
 * How it works. Each frame crosses with a virtio-net header of 10 bytes in front (IFF_VNET_HDR), so
 * that checksums and segmentation stay undone from the driver to the host's stack and back. The
 * kernel checks the header of what we write. A TAP of that name is used as it is; one that is not
 * there is made, and goes when the wire is closed; addresses and `up` are the caller's to set.
 *
 * One system call a frame is what the interface has to offer; the descriptor does not block, and
 * polling ends when it is empty or the budget is used up.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kind.h"

/* Linux 6.2; Debian 12's headers are older than some kernels that this runs on. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define TUN_OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

/* struct virtio_net_hdr without num_buffers, in the machine's byte order (see TUNSETVNETLE). */
struct tap_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
};

_Static_assert(sizeof(struct tap_header) == 10, "VIRTIO 1.4, 5.1.6 without num_buffers");

struct tap {
	struct wire_end end;
	int fd;
	struct tap_header header;
	uint8_t longer; /* than any frame is: what did not fit */
	uint8_t data[VQNIC_FRAME_MAX];
};

static int tap_transmit(void *ctx, const struct vqnic_frame *frame)
{
	struct tap *tap = ctx;
	struct tap_header header = {
		.flags = frame->flags,
		.gso_type = frame->gso_type,
		/* a driver's hint, which may be wrong: the kernel refuses what is longer */
		.hdr_len = frame->hdr_len < frame->len ? frame->hdr_len : (uint16_t)0,
		.gso_size = frame->gso_size,
		.csum_start = frame->csum_start,
		.csum_offset = frame->csum_offset,
	};
	struct iovec iov[2] = {
		{.iov_base = &header, .iov_len = sizeof(header)},
		{.iov_base = (void *)(uintptr_t)frame->data, .iov_len = frame->len},
	};
	ssize_t n;

	do
		n = writev(tap->fd, iov, 2);
	while (n < 0 && errno == EINTR);
	/* EIO: the interface is down. EINVAL: the kernel does not believe the header. */
	return n < 0 ? -ENOBUFS : 0;
}

static int tap_poll_fd(void *ctx)
{
	return ((struct tap *)ctx)->fd;
}

/* A frame that arrived, straight into the NIC's memory where it has some for us. */
static ssize_t tap_read(struct tap *tap, uint8_t **data)
{
	struct iovec iov[3] = {
		{.iov_base = &tap->header, .iov_len = sizeof(tap->header)},
		{.iov_len = sizeof(tap->data)},
		{.iov_base = &tap->longer, .iov_len = 1},
	};
	ssize_t n;

	*data = tap->end.reserve ? tap->end.reserve(tap->end.ctx) : NULL;
	if (!*data)
		*data = tap->data;
	iov[1].iov_base = *data;
	do
		n = readv(tap->fd, iov, 3);
	while (n < 0 && errno == EINTR);
	return n;
}

static int tap_poll(void *ctx, unsigned int budget)
{
	struct tap *tap = ctx;
	unsigned int count;

	for (count = 0; count < budget; count++) {
		struct vqnic_frame frame = {0};
		uint8_t *data;
		ssize_t n = tap_read(tap, &data);

		if (n <
		    (ssize_t)sizeof(tap->header)) /* EAGAIN; EIO when somebody deletes the TAP */
			break;
		frame.data = data;
		frame.len = (uint32_t)((size_t)n - sizeof(tap->header));
		frame.flags = tap->header.flags;
		frame.gso_type = tap->header.gso_type;
		frame.hdr_len = tap->header.hdr_len;
		frame.gso_size = tap->header.gso_size;
		frame.csum_start = tap->header.csum_start;
		frame.csum_offset = tap->header.csum_offset;
		tap->end.receive(tap->end.ctx, &frame);
	}
	return (int)count;
}

static void tap_close(void *ctx)
{
	struct tap *tap = ctx;

	close(tap->fd);
	free(tap);
}

static const struct vqnic_wire_ops tap_ops = {
	.caps = VQNIC_WIRE_OFFLOADS,
	.transmit = tap_transmit,
	.poll_fd = tap_poll_fd,
	.poll = tap_poll,
	.close = tap_close,
};

static int refuse_attach(const char *name, int ret, struct vqnic_error *err)
{
	switch (ret) {
	case -EPERM:
		return wire_refuse(
			err, ret,
			"TAP '%s': not permitted; run as root, or make it for this user first: "
			"ip tuntap add dev %s mode tap vnet_hdr user NAME",
			name, name);
	case -EBUSY:
		return wire_refuse(err, ret, "TAP '%s' is in use by another process", name);
	case -EINVAL:
		return wire_refuse(
			err, ret,
			"'%s' is an interface, but not a TAP; name another, or one that is not "
			"there to have it made",
			name);
	default:
		return wire_refuse(err, ret, "TAP '%s' cannot be opened: %s", name, strerror(-ret));
	}
}

static int attach(int fd, const char *name, struct vqnic_error *err)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int size = (int)sizeof(struct tap_header);
	int ret = 0;

	memcpy(ifr.ifr_name, name, strlen(name) + 1);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		ret = -errno;
	if (ret == -EINVAL) {
		/* One that was made with several queues wants to be opened so. */
		ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
		if (!ioctl(fd, TUNSETIFF, &ifr))
			ret = 0;
	}
	if (ret)
		return refuse_attach(name, ret, err);
	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0)
		return wire_refuse(err, -errno, "TAP '%s' does not take virtio headers: %s", name,
				   strerror(errno));
	/*
	 * Everything that the stack may leave to us: the port finishes what the driver does not
	 * take. Without USO (before Linux 6.2), and without anything, frames arrive finished.
	 */
	if (ioctl(fd, TUNSETOFFLOAD, TUN_OFFLOADS | TUN_F_USO4 | TUN_F_USO6) < 0 &&
	    ioctl(fd, TUNSETOFFLOAD, TUN_OFFLOADS) < 0)
		ioctl(fd, TUNSETOFFLOAD, 0);
	return 0;
}

static int tap_open(const char *arg, const struct wire_end *end, const struct vqnic_wire_ops **ops,
		    void **wire, struct vqnic_error *err)
{
	struct tap *tap;
	int ret;

	if (!arg || !*arg || strlen(arg) >= IFNAMSIZ || strpbrk(arg, "/% \t\n:"))
		return wire_refuse(err, -EINVAL,
				   "'%.40s' is no name for a TAP: 1 to %d characters, as ip "
				   "link shows them",
				   arg ? arg : "", IFNAMSIZ - 1);
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return wire_refuse(err, -ENOMEM, "TAP '%s': out of memory", arg);
	tap->end = *end;
	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0) {
		ret = wire_refuse(
			err, -errno,
			"TAP '%s': /dev/net/tun cannot be opened: %s; load the module tun, or in "
			"a container pass the device in",
			arg, strerror(errno));
		free(tap);
		return ret;
	}
	ret = attach(tap->fd, arg, err);
	if (ret) {
		tap_close(tap);
		return ret;
	}
	*ops = &tap_ops;
	*wire = tap;
	return 0;
}

const struct wire_kind wire_kind_tap = {"tap", "tap:NAME", tap_open};
