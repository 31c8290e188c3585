// SPDX-License-Identifier: BSD-3-Clause
/*
 * The vfio-user client against a server in a thread, and the ways in which a server can be wrong
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "../driver/pci_driver.h"
#include "../spec.h"
#include "parent.h"

/** enum fault - what the server does wrong, at the first region read unless it says otherwise */
enum fault {
	GOOD,
	WRONG_ID,
	WRONG_COMMAND,
	SHORT_HEADER,
	HUGE,
	SHORT_DATA,
	LONG_DATA,
	ERROR_REPLY,
	ERROR_WITHOUT_ERRNO,
	HANG_UP,
	HALF_A_MESSAGE,
	VERSION_MAJOR,
	VERSION_NO_NUL,
	NOT_PCI,
	STRAY_REPLY, /* after the reply another one */
	ASKS_MEMORY, /* DMA_READ and DMA_WRITE before the reply */
};

struct server {
	enum fault fault;
	int listener, fd;
	pthread_t thread;
	char path[64];
	/* what it saw */
	uint8_t config[256];
	struct vc_vfu_dma_map map;
	struct vc_vfu_dma_unmap unmap;
	struct vc_vfu_irq_set irq;
	bool map_fd, irq_fd, reset, armed;
	uint32_t posted;
	/* what the memory requests brought */
	uint8_t memory[8];
	uint32_t read_error, write_error, beyond_error;
};

static bool get(int fd, void *buf, size_t len, bool *with_fd)
{
	uint8_t *at = buf;

	while (len) {
		char control[CMSG_SPACE(sizeof(int))];
		struct iovec iov = {at, len};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control,
				     .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(fd, &msg, 0);
		struct cmsghdr *cm;

		if (n <= 0)
			return false;
		cm = CMSG_FIRSTHDR(&msg);
		if (cm && cm->cmsg_type == SCM_RIGHTS) {
			int got;

			memcpy(&got, CMSG_DATA(cm), sizeof(got));
			close(got);
			if (with_fd)
				*with_fd = true;
		}
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static void put(int fd, const void *buf, size_t len)
{
	if (send(fd, buf, len, MSG_NOSIGNAL) != (ssize_t)len)
		return;
}

static void reply(struct server *s, struct vc_vfu_header h, uint32_t error, const void *data,
		  size_t len)
{
	uint8_t out[8192];

	h.flags = VC_VFU_REPLY | (error ? VC_VFU_ERROR : 0);
	h.error = error;
	h.size = (uint32_t)(sizeof(h) + (error ? 0 : len));
	memcpy(out, &h, sizeof(h));
	if (len && !error)
		memcpy(out + sizeof(h), data, len);
	put(s->fd, out, h.size);
}

/* ask() - DMA_READ or DMA_WRITE of 8 bytes; returns the errno of the answer */
static uint32_t ask(struct server *s, uint16_t command, uint64_t address, uint8_t data[8])
{
	struct {
		struct vc_vfu_header h;
		struct vc_vfu_dma_access a;
		uint8_t data[8];
	} m = {.h = {.id = 0x7777, .command = command}, .a = {address, 8}};
	struct vc_vfu_header h;
	struct vc_vfu_dma_access a;
	const bool write = command == VC_VFU_DMA_WRITE;

	m.h.size = sizeof(m) - (write ? 0 : 8);
	if (write)
		memcpy(m.data, data, 8);
	put(s->fd, &m, m.h.size);
	if (!get(s->fd, &h, sizeof(h), NULL))
		return 9999;
	if (h.id != 0x7777 || h.command != command || (h.flags & 15) != VC_VFU_REPLY)
		return 9998;
	if (h.flags & VC_VFU_ERROR)
		return h.size == sizeof(h) ? h.error : 9997;
	if (h.size != sizeof(h) + sizeof(a) + (write ? 0 : 8) || !get(s->fd, &a, sizeof(a), NULL) ||
	    a.address != address || a.count != 8)
		return 9996;
	if (!write && !get(s->fd, data, 8, NULL))
		return 9995;
	return 0;
}

static void region_read(struct server *s, struct vc_vfu_header h, const uint8_t *in)
{
	uint8_t out[sizeof(struct vc_vfu_region_access) + 512] = {0};
	struct vc_vfu_region_access a;
	enum fault fault = s->armed ? s->fault : GOOD;
	size_t len;

	memcpy(&a, in, sizeof(a));
	memcpy(out, &a, sizeof(a));
	if (a.region == PCI_REGION_CONFIG && a.offset + a.count <= sizeof(s->config))
		memcpy(out + sizeof(a), s->config + a.offset, a.count);
	else
		memset(out + sizeof(a), 0x5a, a.count);
	len = sizeof(a) + a.count;
	switch (fault) {
	case WRONG_ID:
		h.id++;
		break;
	case WRONG_COMMAND:
		h.command = VC_VFU_REGION_WRITE;
		break;
	case SHORT_HEADER:
		h.flags = VC_VFU_REPLY;
		h.size = 8;
		put(s->fd, &h, sizeof(h));
		return;
	case HUGE:
		h.flags = VC_VFU_REPLY;
		h.size = 0x7fffffff;
		put(s->fd, &h, sizeof(h));
		return;
	case SHORT_DATA:
		len--;
		break;
	case LONG_DATA:
		len++;
		break;
	case ERROR_REPLY:
		reply(s, h, ENXIO, NULL, 0);
		return;
	case ERROR_WITHOUT_ERRNO:
		h.flags = VC_VFU_REPLY | VC_VFU_ERROR;
		h.error = 0;
		h.size = sizeof(h);
		put(s->fd, &h, sizeof(h));
		return;
	case HANG_UP:
		shutdown(s->fd, SHUT_RDWR);
		return;
	case HALF_A_MESSAGE:
		h.flags = VC_VFU_REPLY;
		h.size = sizeof(h) + 100;
		put(s->fd, &h, sizeof(h));
		shutdown(s->fd, SHUT_RDWR);
		return;
	case ASKS_MEMORY:
		s->read_error = ask(s, VC_VFU_DMA_READ, 0x10ff8, s->memory);
		s->write_error = ask(s, VC_VFU_DMA_WRITE, 0x10000, (uint8_t *)"written!");
		s->beyond_error = ask(s, VC_VFU_DMA_READ, 0x11ffc, s->memory);
		break;
	default:
		break;
	}
	reply(s, h, 0, out, len);
	if (fault == STRAY_REPLY)
		reply(s, h, 0, NULL, 0);
}

static void serve(struct server *s, const struct vc_vfu_header *h, const uint8_t *in, bool with_fd)
{
	switch (h->command) {
	case VC_VFU_VERSION: {
		char out[] = "\0\0\0\0{\"capabilities\":{}}";
		size_t len = sizeof(out);

		if (s->fault == VERSION_MAJOR)
			out[0] = 1;
		if (s->fault == VERSION_NO_NUL)
			len--;
		reply(s, *h, 0, out, len);
		break;
	}
	case VC_VFU_DEVICE_GET_INFO: {
		struct vc_vfu_device_info i = {16, VC_VFU_DEVICE_PCI | VC_VFU_DEVICE_RESETTABLE, 9,
					       5};

		if (s->fault == NOT_PCI)
			i.flags = VC_VFU_DEVICE_RESETTABLE;
		reply(s, *h, 0, &i, sizeof(i));
		break;
	}
	case VC_VFU_GET_REGION_INFO: {
		struct vc_vfu_region_info i;

		memcpy(&i, in, sizeof(i));
		i.size = i.index == PCI_REGION_CONFIG ? 256 : i.index == 0 ? 0x2000 : 0;
		reply(s, *h, 0, &i, sizeof(i));
		break;
	}
	case VC_VFU_GET_IRQ_INFO: {
		struct vc_vfu_irq_info i;

		memcpy(&i, in, sizeof(i));
		i.count = i.index == VC_VFIO_IRQ_MSIX ? 6 : 0;
		reply(s, *h, 0, &i, sizeof(i));
		break;
	}
	case VC_VFU_DMA_MAP:
		memcpy(&s->map, in, sizeof(s->map));
		s->map_fd = with_fd;
		reply(s, *h, s->map.address == 0xbad000 ? EEXIST : 0, NULL, 0);
		break;
	case VC_VFU_DMA_UNMAP:
		memcpy(&s->unmap, in, sizeof(s->unmap));
		reply(s, *h, 0, &s->unmap, sizeof(s->unmap));
		break;
	case VC_VFU_SET_IRQS:
		memcpy(&s->irq, in, sizeof(s->irq));
		s->irq_fd = with_fd;
		reply(s, *h, 0, NULL, 0);
		break;
	case VC_VFU_REGION_READ:
		region_read(s, *h, in);
		break;
	case VC_VFU_REGION_WRITE: {
		struct vc_vfu_region_access a;

		memcpy(&a, in, sizeof(a));
		if (a.region == PCI_REGION_CONFIG)
			memcpy(s->config + a.offset, in + sizeof(a), a.count);
		if (h->flags & VC_VFU_NO_REPLY)
			memcpy(&s->posted, in + sizeof(a), sizeof(s->posted));
		else
			reply(s, *h, 0, &a, sizeof(a));
		break;
	}
	case VC_VFU_DEVICE_RESET:
		s->reset = true;
		reply(s, *h, 0, NULL, 0);
		break;
	default:
		reply(s, *h, EINVAL, NULL, 0);
	}
}

static void *server_main(void *arg)
{
	struct server *s = arg;
	struct vc_vfu_header h;
	uint8_t in[8192];
	bool with_fd;

	s->fd = accept(s->listener, NULL, NULL);
	for (;;) {
		with_fd = false;
		if (!get(s->fd, &h, sizeof(h), &with_fd) || h.size < sizeof(h) ||
		    h.size - sizeof(h) > sizeof(in) ||
		    !get(s->fd, in, h.size - sizeof(h), &with_fd))
			break;
		serve(s, &h, in, with_fd);
	}
	close(s->fd);
	return NULL;
}

static int start(struct server *s, enum fault fault, const char *keys, struct parent *p,
		 char *error, size_t size)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const struct parent_options opts = {.error = error, .error_size = size};
	char address[128];

	memset(s, 0, sizeof(*s));
	memset(p, 0, sizeof(*p));
	s->fault = fault;
	s->config[0] = 0xf4;
	s->config[1] = 0x1a;
	s->config[2] = 0x41;
	s->config[3] = 0x10;
	snprintf(s->path, sizeof(s->path), "/tmp/vqcert-vfu-%d.sock", getpid());
	unlink(s->path);
	memcpy(addr.sun_path, s->path, sizeof(s->path));
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(s->listener, 1), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, server_main, s), 0);
	snprintf(address, sizeof(address), "%s%s", s->path, keys);
	return parent_kind_vfio_user.open(address, &opts, p);
}

static void stop(struct server *s, struct parent *p)
{
	if (p)
		p->ops->close(p);
	pthread_join(s->thread, NULL);
	close(s->listener);
	unlink(s->path);
}

/* ---- Tests
 * ---------------------------------------------------------------------------------------- */

static void test_requests(void **state)
{
	struct server s;
	struct parent p;
	char error[256] = "";
	const struct pci_access *a;
	uint8_t memory[4096];
	const struct parent_dma map = {.iova = 0x10000,
				       .size = 4096,
				       .host = memory,
				       .fd = 0,
				       .offset = 0x3000,
				       .readable = true};
	struct parent_dma bad = map;
	uint64_t size;
	uint32_t value;

	(void)state;
	assert_int_equal(start(&s, GOOD, "", &p, error, sizeof(error)), 0);
	a = p.ops->pci(&p);
	assert_int_equal(a->region_size(a->ctx, 0, &size), 0);
	assert_int_equal(size, 0x2000);
	assert_int_equal(a->irq_count(a->ctx, VC_VFIO_IRQ_MSIX), 6);
	assert_int_equal(pci_read(a, 0, 4, &value, 4), 0);
	assert_int_equal(value, 0x5a5a5a5a);
	assert_int_equal(parent_dma_map(&p, &map), 0);
	assert_true(s.map_fd);
	assert_int_equal(s.map.flags, VC_VFU_DMA_READABLE);
	assert_int_equal(s.map.offset, 0x3000);
	assert_int_equal(s.map.address, 0x10000);
	assert_int_equal(parent_dma_unmap(&p, 0, 0x10000, 4096), 0);
	assert_int_equal(s.unmap.address, 0x10000);
	assert_int_equal(s.unmap.size, 4096);
	bad.iova = 0xbad000;
	assert_int_equal(parent_dma_map(&p, &bad), -EEXIST);
	assert_int_equal(a->set_irq(a->ctx, VC_VFIO_IRQ_MSIX, 3, 1), 0);
	assert_true(s.irq_fd);
	assert_int_equal(s.irq.start, 3);
	assert_int_equal(s.irq.count, 1);
	assert_int_equal(s.irq.flags, VC_VFU_IRQ_SET_DATA_EVENTFD | VC_VFU_IRQ_SET_ACTION_TRIGGER);
	assert_int_equal(a->set_irq(a->ctx, VC_VFIO_IRQ_MSIX, 3, -1), 0);
	assert_false(s.irq_fd);
	assert_int_equal(a->reset(a->ctx), 0);
	assert_true(s.reset);
	assert_int_equal(a->pump(a->ctx), 0);
	assert_false(p.dead);
	stop(&s, &p);
}

static void test_posted_writes(void **state)
{
	struct server s;
	struct parent p;
	char error[256] = "";
	const struct pci_access *a;
	uint32_t value = 0x01020304;

	(void)state;
	assert_int_equal(start(&s, GOOD, ",posted=yes", &p, error, sizeof(error)), 0);
	a = p.ops->pci(&p);
	assert_int_equal(pci_write(a, 0, 8, &value, 4), 0);
	/* a read comes back behind every write that was posted before it */
	assert_int_equal(pci_read(a, 0, 8, &value, 4), 0);
	assert_int_equal(s.posted, 0x01020304);
	stop(&s, &p);
}

static void test_wrong_answers(void **state)
{
	static const struct {
		enum fault fault;
		int err;
		bool dead;
	} cases[] = {
		{WRONG_ID, -EPROTO, true},	{WRONG_COMMAND, -EPROTO, true},
		{SHORT_HEADER, -EPROTO, true},	{HUGE, -EPROTO, true},
		{SHORT_DATA, -EIO, false},	{LONG_DATA, -EPROTO, true},
		{ERROR_REPLY, -ENXIO, false},	{HANG_UP, -EPIPE, true},
		{HALF_A_MESSAGE, -EPIPE, true}, {ERROR_WITHOUT_ERRNO, -EIO, false},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server s;
		struct parent p;
		char error[256] = "";
		const struct pci_access *a;
		uint32_t value;

		assert_int_equal(start(&s, cases[i].fault, "", &p, error, sizeof(error)), 0);
		a = p.ops->pci(&p);
		s.armed = true;
		assert_int_equal(pci_read(a, 0, 0, &value, 4), cases[i].err);
		s.armed = false;
		/* one that can no longer be understood is given up, any other goes on */
		assert_int_equal(pci_read(a, 0, 0, &value, 4), cases[i].dead ? -EPIPE : 0);
		assert_int_equal(a->pump(a->ctx), cases[i].dead ? -EPIPE : 0);
		stop(&s, &p);
	}
}

static void test_stray_reply(void **state)
{
	struct server s;
	struct parent p;
	char error[256] = "";
	const struct pci_access *a;
	uint32_t value;
	int n = 0;

	(void)state;
	assert_int_equal(start(&s, STRAY_REPLY, "", &p, error, sizeof(error)), 0);
	a = p.ops->pci(&p);
	s.armed = true;
	assert_int_equal(pci_read(a, 0, 0, &value, 4), 0);
	while (!n)
		n = a->pump(a->ctx);
	assert_int_equal(n, -EPROTO);
	stop(&s, &p);
}

static void test_refused_servers(void **state)
{
	static const enum fault faults[] = {VERSION_MAJOR, VERSION_NO_NUL, NOT_PCI};

	(void)state;
	for (unsigned int i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct server s;
		struct parent p;
		char error[256] = "";

		assert_true(start(&s, faults[i], "", &p, error, sizeof(error)) < 0);
		assert_non_null(strstr(error, "does not follow the protocol"));
		stop(&s, NULL);
	}
}

/* memory without descriptors: asked for while a read waits for its reply, over two maps */
static void test_memory_by_messages(void **state)
{
	struct server s;
	struct parent p;
	char error[256] = "";
	const struct pci_access *a;
	static uint8_t one[4096], two[4096];
	struct parent_dma map = {.iova = 0x10000,
				 .size = 4096,
				 .host = one,
				 .fd = 0,
				 .readable = true,
				 .writable = true};
	uint32_t value;

	(void)state;
	assert_int_equal(start(&s, ASKS_MEMORY, ",fds=no", &p, error, sizeof(error)), 0);
	a = p.ops->pci(&p);
	assert_int_equal(parent_dma_map(&p, &map), 0);
	assert_false(s.map_fd);
	map.iova = 0x11000;
	map.host = two;
	map.writable = false;
	assert_int_equal(parent_dma_map(&p, &map), 0);
	memcpy(one + 0xff8, "at the end", 8);
	s.armed = true;
	assert_int_equal(pci_read(a, 0, 0, &value, 4), 0);
	assert_int_equal(s.read_error, 0);
	assert_memory_equal(s.memory, "at the e", 8);
	assert_int_equal(s.write_error, 0);
	assert_memory_equal(one, "written!", 8);
	assert_int_equal(s.beyond_error, EFAULT);
	/* after the unmap it is out of reach */
	assert_int_equal(parent_dma_unmap(&p, 0, 0x10000, 4096), 0);
	assert_int_equal(pci_read(a, 0, 0, &value, 4), 0);
	assert_int_equal(s.read_error, EFAULT);
	assert_int_equal(s.write_error, EFAULT);
	stop(&s, &p);
}

static void test_addresses(void **state)
{
	char error[256] = "", long_path[300];
	const struct parent_options opts = {.error = error, .error_size = sizeof(error)};
	struct parent p = {0};

	(void)state;
	assert_int_equal(parent_kind_vfio_user.open("/nonexistent/socket", &opts, &p), -ENOENT);
	assert_non_null(strstr(error, "start the device first"));
	assert_int_equal(parent_kind_vfio_user.open("", &opts, &p), -EINVAL);
	assert_int_equal(parent_kind_vfio_user.open("/x,colour=red", &opts, &p), -EINVAL);
	assert_non_null(strstr(error, "colour=red"));
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = 0;
	assert_int_equal(parent_kind_vfio_user.open(long_path, &opts, &p), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),	cmocka_unit_test(test_posted_writes),
		cmocka_unit_test(test_wrong_answers),	cmocka_unit_test(test_stray_reply),
		cmocka_unit_test(test_refused_servers), cmocka_unit_test(test_memory_by_messages),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
