// SPDX-License-Identifier: BSD-3-Clause
/*
 * vfio-user:SOCKET[,KEY=VALUE…] - a PCI device behind a vfio-user server
 *
 * How it works. A client of its own. Every request waits for its reply, up to a deadline; what the
 * server asks meanwhile (DMA_READ, DMA_WRITE) is answered in between from the maps that are known
 * here, and refused outside of them. So a server that touches memory after its unmap was answered
 * gets an error, and with descriptors loses the mapping.
 *
 *	fds=no       memory is mapped without descriptors: the server has to ask for it by messages
 *	posted=yes   register writes of BARs do not wait for a reply, as QEMU's don't
 *	layout=dpdk  IFCVF: vq state lies where DPDK and Linux 6.1 look for it
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../driver/pci_driver.h"
#include "../spec.h"
#include "parent.h"
#include "peer.h"

#define REPLY_MS    5000
#define MESSAGE_MAX (1u << 20)
#define REGIONS_MAX 16u
#define IRQS_MAX    8u
#define BAR_REGIONS 6u
#define DMA_CHUNK   (1u << 20)

/** struct mapping - memory that the server may ask for */
struct mapping {
	struct parent_dma dma;
};

struct client {
	int fd;
	uint16_t id;
	bool gone;
	bool fds, posted;
	uint64_t region[REGIONS_MAX];
	unsigned int irqs[IRQS_MAX];
	bool resettable;
	struct mapping *maps;
	size_t nmaps, room;
	struct peer *peer;
	uint8_t *in; /* a message as it came, MESSAGE_MAX bytes */
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

/* ---- Bytes
 * ---------------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int lost(struct client *c, int err)
{
	c->gone = true;
	return err;
}

static int send_all(struct client *c, const struct iovec *parts, unsigned int n, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov[4];
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};

	memcpy(iov, parts, n * sizeof(*iov));
	if (fd >= 0) {
		struct cmsghdr *cm;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		cm = CMSG_FIRSTHDR(&msg);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &fd, sizeof(int));
	}
	while (msg.msg_iovlen) {
		ssize_t sent = sendmsg(c->fd, &msg, MSG_NOSIGNAL);

		if (sent < 0) {
			if (errno == EINTR)
				continue;
			return lost(c, -EPIPE);
		}
		/* descriptors travel with the first byte */
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
		while (sent && msg.msg_iovlen) {
			size_t step = (size_t)sent < msg.msg_iov->iov_len ? (size_t)sent
									  : msg.msg_iov->iov_len;

			msg.msg_iov->iov_base = (char *)msg.msg_iov->iov_base + step;
			msg.msg_iov->iov_len -= step;
			sent -= (ssize_t)step;
			if (!msg.msg_iov->iov_len) {
				msg.msg_iov++;
				msg.msg_iovlen--;
			}
		}
		while (msg.msg_iovlen && !msg.msg_iov->iov_len) {
			msg.msg_iov++;
			msg.msg_iovlen--;
		}
	}
	return 0;
}

static int recv_all(struct client *c, void *buf, size_t len, uint64_t deadline)
{
	uint8_t *at = buf;

	while (len) {
		struct pollfd pfd = {.fd = c->fd, .events = POLLIN};
		const uint64_t now = now_ms();
		ssize_t n;

		if (now > deadline || poll(&pfd, 1, (int)(deadline - now) + 1) == 0)
			return lost(c, -ETIMEDOUT);
		/* descriptors that come along (of regions that may be mapped) are dropped by the
		 * kernel */
		n = recv(c->fd, at, len, MSG_DONTWAIT);
		if (n == 0)
			return lost(c, -EPIPE);
		if (n < 0) {
			if (errno == EAGAIN || errno == EINTR)
				continue;
			return lost(c, -EPIPE);
		}
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* recv_message() - one whole message into c->in */
static int recv_message(struct client *c, struct vc_vfu_header *h, uint64_t deadline)
{
	int err = recv_all(c, h, sizeof(*h), deadline);

	if (err)
		return err;
	if (h->size < sizeof(*h) || h->size > MESSAGE_MAX)
		return lost(c, -EPROTO);
	return recv_all(c, c->in, h->size - sizeof(*h), deadline);
}

/* ---- What the server asks
 * ---------------------------------------------------------------------------- */

static uint8_t *find_memory(const struct client *c, uint64_t iova, uint64_t len, bool write)
{
	for (size_t i = 0; i < c->nmaps; i++) {
		const struct parent_dma *m = &c->maps[i].dma;

		if (iova >= m->iova && iova - m->iova < m->size &&
		    len <= m->size - (iova - m->iova))
			return (write ? m->writable : m->readable)
				       ? (uint8_t *)m->host + (iova - m->iova)
				       : NULL;
	}
	return NULL;
}

/* copy_pages() - piece by piece: a range may run over several maps; false: a byte is not mapped */
static bool copy_memory(const struct client *c, uint64_t iova, uint8_t *buf, uint64_t len,
			bool write)
{
	while (len) {
		const uint64_t n = len < 4096 - iova % 4096 ? len : 4096 - iova % 4096;
		uint8_t *at = find_memory(c, iova, n, write);

		if (!at)
			return false;
		memcpy(write ? at : buf, write ? buf : at, n);
		iova += n;
		buf += n;
		len -= n;
	}
	return true;
}

static int answer(struct client *c, const struct vc_vfu_header *h, int error, const void *head,
		  size_t head_len, const void *data, size_t len)
{
	const struct vc_vfu_header reply = {
		.id = h->id,
		.command = h->command,
		.size = (uint32_t)(sizeof(reply) + (error ? 0 : head_len + len)),
		.flags = VC_VFU_REPLY | (error ? VC_VFU_ERROR : 0),
		.error = (uint32_t)error,
	};
	const struct iovec iov[3] = {
		{(void *)(uintptr_t)&reply, sizeof(reply)},
		{(void *)(uintptr_t)head, head_len},
		{(void *)(uintptr_t)data, len},
	};

	if (h->flags & VC_VFU_NO_REPLY)
		return 0;
	return send_all(c, iov, error ? 1 : 3, -1);
}

static int serve(struct client *c, const struct vc_vfu_header *h)
{
	const size_t len = h->size - sizeof(*h);
	struct vc_vfu_dma_access a;
	uint8_t *data;
	int err;

	if ((h->command != VC_VFU_DMA_READ && h->command != VC_VFU_DMA_WRITE) || len < sizeof(a))
		return answer(c, h, ENOTSUP, NULL, 0, NULL, 0);
	memcpy(&a, c->in, sizeof(a));
	if (a.count > DMA_CHUNK - 64)
		return answer(c, h, EINVAL, NULL, 0, NULL, 0);
	if (h->command == VC_VFU_DMA_WRITE) {
		if (a.count != len - sizeof(a))
			return answer(c, h, EINVAL, NULL, 0, NULL, 0);
		if (!copy_memory(c, a.address, c->in + sizeof(a), a.count, true))
			return answer(c, h, EFAULT, NULL, 0, NULL, 0);
		return answer(c, h, 0, &a, sizeof(a), NULL, 0);
	}
	data = malloc(a.count ? a.count : 1);
	if (!data)
		return -ENOMEM;
	if (copy_memory(c, a.address, data, a.count, false))
		err = answer(c, h, 0, &a, sizeof(a), data, a.count);
	else
		err = answer(c, h, EFAULT, NULL, 0, NULL, 0);
	free(data);
	return err;
}

/* ---- What we ask
 * ------------------------------------------------------------------------------------- */

/**
 * call() - a request and its reply
 * @head, @data: payload in two pieces; @fd: goes along unless -1
 * @reply: gets the payload of the reply, which has to be at least @min and fit into @max bytes
 * @got:   its length; may be NULL
 */
static int call(struct client *c, uint16_t command, const void *head, size_t head_len,
		const void *data, size_t len, int fd, void *reply, size_t min, size_t max,
		size_t *got)
{
	const struct vc_vfu_header h = {
		.id = ++c->id,
		.command = command,
		.size = (uint32_t)(sizeof(h) + head_len + len),
		.flags = VC_VFU_COMMAND,
	};
	const struct iovec iov[3] = {
		{(void *)(uintptr_t)&h, sizeof(h)},
		{(void *)(uintptr_t)head, head_len},
		{(void *)(uintptr_t)data, len},
	};
	const uint64_t deadline = now_ms() + REPLY_MS;
	struct vc_vfu_header r;
	size_t n;
	int err;

	if (c->gone)
		return -EPIPE;
	err = send_all(c, iov, 3, fd);
	if (err)
		return err;
	for (;;) {
		err = recv_message(c, &r, deadline);
		if (err)
			return err;
		if ((r.flags & VC_VFU_TYPE_MASK) != VC_VFU_COMMAND)
			break;
		err = serve(c, &r);
		if (err)
			return err;
	}
	if ((r.flags & VC_VFU_TYPE_MASK) != VC_VFU_REPLY || r.id != h.id || r.command != command)
		return lost(c, -EPROTO);
	if (r.flags & VC_VFU_ERROR)
		return r.error && r.error < 4096 ? -(int)r.error : -EIO;
	n = r.size - sizeof(r);
	if (n < min || n > max)
		return lost(c, -EPROTO);
	if (n)
		memcpy(reply, c->in, n);
	if (got)
		*got = n;
	return 0;
}

static int negotiate(struct client *c)
{
	static const char caps[] =
		"{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576,"
		"\"pgsizes\":4096,\"max_dma_maps\":65535}}";
	const uint16_t version[2] = {0, 0};
	uint8_t reply[4096];
	uint16_t major;
	size_t got;
	int err = call(c, VC_VFU_VERSION, version, sizeof(version), caps, sizeof(caps), -1, reply,
		       4, sizeof(reply), &got);

	if (err)
		return err;
	memcpy(&major, reply, 2);
	if (major != 0)
		return -EPROTONOSUPPORT;
	/* the JSON text, if there is any, ends with a NUL */
	return got == 4 || (got > 4 && reply[got - 1] == 0) ? 0 : -EPROTO;
}

static int learn(struct client *c)
{
	struct vc_vfu_device_info info = {.argsz = sizeof(info)};
	uint8_t reply[512];
	int err = call(c, VC_VFU_DEVICE_GET_INFO, &info, sizeof(info), NULL, 0, -1, &info,
		       sizeof(info), sizeof(info), NULL);

	if (err)
		return err;
	if (!(info.flags & VC_VFU_DEVICE_PCI) || info.regions <= PCI_REGION_CONFIG ||
	    info.irqs <= VC_VFIO_IRQ_MSIX)
		return -ENODEV;
	c->resettable = info.flags & VC_VFU_DEVICE_RESETTABLE;
	for (uint32_t i = 0; i < info.regions && i < REGIONS_MAX; i++) {
		struct vc_vfu_region_info r = {.argsz = sizeof(reply), .index = i};

		err = call(c, VC_VFU_GET_REGION_INFO, &r, sizeof(r), NULL, 0, -1, reply, sizeof(r),
			   sizeof(reply), NULL);
		if (err)
			return err;
		memcpy(&r, reply, sizeof(r));
		c->region[i] = r.size;
	}
	for (uint32_t i = 0; i < info.irqs && i < IRQS_MAX; i++) {
		struct vc_vfu_irq_info irq = {.argsz = sizeof(irq), .index = i};

		err = call(c, VC_VFU_GET_IRQ_INFO, &irq, sizeof(irq), NULL, 0, -1, &irq,
			   sizeof(irq), sizeof(irq), NULL);
		if (err)
			return err;
		c->irqs[i] = irq.count;
	}
	return 0;
}

/* ---- PCI access
 * --------------------------------------------------------------------------------------- */

static int vfu_read(void *ctx, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	struct vc_vfu_region_access a = {off, region, len};
	uint8_t reply[sizeof(a) + 4096];
	size_t got;
	int err;

	if (len > 4096)
		return -EINVAL;
	err = call(ctx, VC_VFU_REGION_READ, &a, sizeof(a), NULL, 0, -1, reply, sizeof(a),
		   sizeof(a) + len, &got);
	if (err)
		return err;
	if (got != sizeof(a) + len)
		return -EIO;
	memcpy(buf, reply + sizeof(a), len);
	return 0;
}

static int vfu_write(void *ctx, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	struct client *c = ctx;
	struct vc_vfu_region_access a = {off, region, len};

	if (c->posted && region < BAR_REGIONS) {
		const struct vc_vfu_header h = {
			.id = ++c->id,
			.command = VC_VFU_REGION_WRITE,
			.size = (uint32_t)(sizeof(h) + sizeof(a) + len),
			.flags = VC_VFU_COMMAND | VC_VFU_NO_REPLY,
		};
		const struct iovec iov[3] = {
			{(void *)(uintptr_t)&h, sizeof(h)},
			{&a, sizeof(a)},
			{(void *)(uintptr_t)buf, len},
		};

		return c->gone ? -EPIPE : send_all(c, iov, 3, -1);
	}
	return call(c, VC_VFU_REGION_WRITE, &a, sizeof(a), buf, len, -1, &a, sizeof(a), sizeof(a),
		    NULL);
}

static int vfu_region_size(void *ctx, unsigned int region, uint64_t *size)
{
	if (region >= REGIONS_MAX)
		return -EINVAL;
	*size = ((struct client *)ctx)->region[region];
	return 0;
}

static int vfu_irq_count(void *ctx, unsigned int index)
{
	return index < IRQS_MAX ? (int)((struct client *)ctx)->irqs[index] : -EINVAL;
}

static int vfu_set_irq(void *ctx, unsigned int index, unsigned int vector, int eventfd)
{
	const struct vc_vfu_irq_set set = {
		.argsz = sizeof(set),
		.flags = VC_VFU_IRQ_SET_DATA_EVENTFD | VC_VFU_IRQ_SET_ACTION_TRIGGER,
		.index = index,
		.start = vector,
		.count = 1,
	};

	/* without a descriptor the assignment is taken away */
	return call(ctx, VC_VFU_SET_IRQS, &set, sizeof(set), NULL, 0, eventfd, NULL, 0, 0, NULL);
}

static int vfu_dma_map(void *ctx, const struct parent_dma *map)
{
	struct client *c = ctx;
	const struct vc_vfu_dma_map m = {
		.argsz = sizeof(m),
		.flags = (map->readable ? VC_VFU_DMA_READABLE : 0) |
			 (map->writable ? VC_VFU_DMA_WRITEABLE : 0),
		.offset = c->fds ? map->offset : 0,
		.address = map->iova,
		.size = map->size,
	};
	int err;

	if (map->asid)
		return -EINVAL;
	if (c->nmaps == c->room) {
		const size_t room = c->room ? 2 * c->room : 64;
		void *more = reallocarray(c->maps, room, sizeof(*c->maps));

		if (!more)
			return -ENOMEM;
		c->maps = more;
		c->room = room;
	}
	/* known before the server is told: it may ask at once */
	c->maps[c->nmaps++].dma = *map;
	err = call(c, VC_VFU_DMA_MAP, &m, sizeof(m), NULL, 0, c->fds ? map->fd : -1, NULL, 0, 0,
		   NULL);
	if (err)
		c->nmaps--;
	return err;
}

static int vfu_dma_unmap(void *ctx, uint32_t asid, uint64_t iova, uint64_t size)
{
	struct client *c = ctx;
	struct vc_vfu_dma_unmap m = {.argsz = sizeof(m), .address = iova, .size = size};
	int err;

	if (asid)
		return -EINVAL;
	/* until the reply the server may still finish what it began */
	err = call(c, VC_VFU_DMA_UNMAP, &m, sizeof(m), NULL, 0, -1, &m, 0, sizeof(m), NULL);
	if (err)
		return err;
	for (size_t i = 0; i < c->nmaps;) {
		const struct parent_dma *d = &c->maps[i].dma;

		if (d->iova >= iova && d->iova - iova < size)
			c->maps[i] = c->maps[--c->nmaps];
		else
			i++;
	}
	return 0;
}

static int vfu_reset(void *ctx)
{
	struct client *c = ctx;

	if (!c->resettable)
		return -EOPNOTSUPP;
	return call(c, VC_VFU_DEVICE_RESET, NULL, 0, NULL, 0, -1, NULL, 0, 0, NULL);
}

/* vfu_pump() - answer what the server asks; see whether it is still there */
static int vfu_pump(void *ctx)
{
	struct client *c = ctx;
	struct pollfd pfd = {.fd = c->fd, .events = POLLIN};
	struct vc_vfu_header h;
	int err;

	if (c->gone)
		return -EPIPE;
	if (poll(&pfd, 1, 0) <= 0)
		return 0;
	err = recv_message(c, &h, now_ms() + REPLY_MS);
	if (err)
		return err;
	/* a reply that nobody waits for: none was asked for */
	if ((h.flags & VC_VFU_TYPE_MASK) != VC_VFU_COMMAND)
		return lost(c, -EPROTO);
	err = serve(c, &h);
	return err ? err : 1;
}

/* ---- Open and close
 * -------------------------------------------------------------------------------------- */

static int vfu_peer_send(struct parent *p, const struct parent_frame *frame)
{
	return peer_send(((struct client *)pci_driver_ctx(p))->peer, frame);
}

static int vfu_peer_recv(struct parent *p, struct parent_frame *frame, uint8_t *buf, uint32_t size)
{
	return peer_recv(((struct client *)pci_driver_ctx(p))->peer, frame, buf, size);
}

static void client_free(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	peer_close(c->peer);
	free(c->maps);
	free(c->in);
	free(c);
}

static void vfu_close(struct parent *p)
{
	struct client *c = pci_driver_ctx(p);

	pci_driver_close(p);
	client_free(c);
}

static int connect_to(struct client *c, const char *path, const struct parent_options *opts)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(addr.sun_path))
		return refuse(opts, -ENAMETOOLONG, "vfio-user:%s: the path is too long", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return refuse(
			opts, -errno,
			"vfio-user:%s: %s; start the device first, for instance vqnic run PROFILE "
			"--vfio-user %s",
			path, strerror(errno), path);
	return 0;
}

static int parse_key(struct client *c, struct pci_driver_options *po, const char *word)
{
	if (!strcmp(word, "fds=no"))
		c->fds = false;
	else if (!strcmp(word, "posted=yes"))
		c->posted = true;
	else if (!strcmp(word, "layout=dpdk"))
		po->dpdk_layout = true;
	else if (strcmp(word, "layout=linux") != 0)
		return -EINVAL;
	return 0;
}

static int vfu_open(const char *rest, const struct parent_options *opts, struct parent *p)
{
	struct pci_driver_options po = {0};
	struct pci_access access = {
		.read = vfu_read,
		.write = vfu_write,
		.region_size = vfu_region_size,
		.irq_count = vfu_irq_count,
		.set_irq = vfu_set_irq,
		.dma_map = vfu_dma_map,
		.dma_unmap = vfu_dma_unmap,
		.reset = vfu_reset,
		.pump = vfu_pump,
	};
	char text[512], *save, *path, *word;
	struct pci_driver *d;
	struct client *c;
	int err;

	if (snprintf(text, sizeof(text), "%s", rest) >= (int)sizeof(text) ||
	    !(path = strtok_r(text, ",", &save)))
		return refuse(opts, -EINVAL, "vfio-user: needs the path of the server's socket");
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->fd = -1;
	c->fds = true;
	c->in = malloc(MESSAGE_MAX);
	err = c->in ? 0 : -ENOMEM;
	while (!err && (word = strtok_r(NULL, ",", &save)) != NULL) {
		err = parse_key(c, &po, word);
		if (err)
			refuse(opts, err,
			       "vfio-user:%s: the key \"%s\" is not known; there are fds=no, posted=yes and "
			       "layout=linux|dpdk",
			       path, word);
	}
	if (!err)
		err = connect_to(c, path, opts);
	if (!err) {
		err = negotiate(c);
		if (!err)
			err = learn(c);
		if (err)
			refuse(opts, err,
			       "vfio-user:%s: the server listens but does not follow the protocol: %s",
			       path, strerror(-err));
	}
	if (!err)
		err = peer_open(opts, p, &c->peer);
	access.ctx = c;
	if (!err)
		err = pci_driver_open(p, &access, &po, opts->error, opts->error_size);
	if (err) {
		client_free(c);
		return err;
	}
	d = p->priv;
	if (c->peer) {
		d->ops.peer_send = vfu_peer_send;
		d->ops.peer_recv = vfu_peer_recv;
	}
	/* no message sets a bit atomically: a log in such memory can't be marked */
	if (!c->fds) {
		d->ops.log_start = NULL;
		d->ops.log_stop = NULL;
		p->caps &= ~CAP_DIRTY_LOG;
	}
	d->ops.close = vfu_close;
	return 0;
}

const struct parent_kind parent_kind_vfio_user = {
	.prefix = "vfio-user:",
	.help = "vfio-user:SOCKET              a virtio or IFCVF PCI device behind a vfio-user server",
	.open = vfu_open,
};
