/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The real NIC behind the vfio-user server: a driver at the other end of the socket
 *
 * How it works. The server's end and the driver's end of a socket pair are worked in turns by one
 * thread, so that a deadlock shows as a turn in which nothing moves. The driver brings a virtio-net
 * function up with messages only and sends frames through the loopback wire. Its memory is given
 * with a descriptor or without; without, the driver's end serves DMA_READ and DMA_WRITE.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../spec.h"
#include "vfio_user_conn.h"

#define MEMORY	(1u << 20)
#define IOVA	UINT64_C(0x7f0000000000)
#define RING	16u
#define STEP	0x4000u
#define BUFFERS 0x80000u
#define BUF	2048u
#define IDLE	1000u /* turns without a move after which something is stuck */

struct driver {
	struct vqnic *nic;
	struct vu_conn *conn;
	int sock;
	uint8_t *mem;
	int fd;
	int eventfd;
	uint32_t bar[5], off[5], multiplier;
	uint16_t next[2], seen[2], notify[2];
	unsigned int dma_reads, dma_writes;
	bool refuse; /* answer DMA with an error */

	uint8_t in[VU_MAX_MSG_SIZE];
	size_t len;
};

static void send_msg(struct driver *d, const struct vu_header *header, const void *payload,
		     size_t len, int fd)
{
	struct vu_channel ch = {.fd = d->sock};

	ch.out_tail = &ch.out;
	assert_int_equal(vu_channel_send(&ch, header, payload, len, NULL, 0, fd), 0);
	assert_null(ch.out);
}

static void serve_dma(struct driver *d, struct vu_header header)
{
	struct vu_dma_access access;
	uint64_t at;

	memcpy(&access, d->in + sizeof(header), sizeof(access));
	at = access.address - IOVA;
	assert_true(access.address >= IOVA && at <= MEMORY && access.count <= MEMORY - at);
	header.flags = VU_TYPE_REPLY;
	if (header.cmd == VU_DMA_WRITE) {
		assert_int_equal(header.size, sizeof(header) + sizeof(access) + access.count);
		memcpy(d->mem + at, d->in + sizeof(header) + sizeof(access), access.count);
		d->dma_writes++;
		header.size = sizeof(header) + sizeof(access);
	} else {
		assert_int_equal(header.cmd, VU_DMA_READ);
		memcpy(d->in + sizeof(header) + sizeof(access), d->mem + at, access.count);
		d->dma_reads++;
		header.size = (uint32_t)(sizeof(header) + sizeof(access) + access.count);
	}
	if (d->refuse) {
		header.flags |= VU_ERROR;
		header.error = EFAULT;
		header.size = sizeof(header);
	}
	send_msg(d, &header, d->in + sizeof(header), header.size - sizeof(header), -1);
}

/* Take what the server sent; Return: a reply is in @d->in. DMA is served on the way. */
static bool receive(struct driver *d, bool *moved)
{
	struct vu_header header;
	ssize_t n = recv(d->sock, &header, sizeof(header), MSG_DONTWAIT);

	if (n < 0)
		return false;
	assert_int_equal(n, sizeof(header));
	*moved = true;
	memcpy(d->in, &header, sizeof(header));
	d->len = header.size - sizeof(header);
	if (d->len)
		assert_int_equal(recv(d->sock, d->in + sizeof(header), d->len, MSG_WAITALL),
				 d->len);
	if ((header.flags & VU_TYPE_MASK) == VU_TYPE_REPLY) {
		assert_int_equal(header.flags & VU_ERROR, 0);
		return true;
	}
	serve_dma(d, header);
	return false;
}

/* A turn of both ends; Return: did anything move? */
static bool turn(struct driver *d, bool *replied)
{
	bool moved = false;
	int n = vu_conn_poll(d->conn, 16);

	assert_true(n >= 0);
	moved = n > 0;
	if (vqnic_run(d->nic, 64) > 0)
		moved = true;
	*replied = receive(d, &moved);
	return moved;
}

static void settle(struct driver *d)
{
	bool replied;

	while (turn(d, &replied))
		assert_false(replied);
}

static void call(struct driver *d, uint16_t cmd, const void *payload, size_t len, int fd)
{
	struct vu_header header = {1, cmd, (uint32_t)(sizeof(header) + len), 0, 0};
	bool replied = false;

	send_msg(d, &header, payload, len, fd);
	for (unsigned int idle = 0; !replied; idle++) {
		if (turn(d, &replied))
			idle = 0;
		assert_true(idle < IDLE);
	}
	memcpy(&header, d->in, sizeof(header));
	assert_int_equal(header.cmd, cmd);
}

static uint32_t rd(struct driver *d, uint32_t region, uint64_t off, uint32_t len)
{
	struct vu_region_access access = {off, region, len};
	uint32_t v = 0;

	call(d, VU_REGION_READ, &access, sizeof(access), -1);
	memcpy(&v, d->in + sizeof(struct vu_header) + sizeof(access), len);
	return v;
}

static void wr(struct driver *d, uint32_t region, uint64_t off, uint32_t v, uint32_t len)
{
	struct vu_region_access access = {off, region, len};
	uint8_t buf[sizeof(access) + 4];

	memcpy(buf, &access, sizeof(access));
	memcpy(buf + sizeof(access), &v, 4);
	call(d, VU_REGION_WRITE, buf, sizeof(access) + len, -1);
}

static uint32_t common_rd(struct driver *d, uint32_t off, uint32_t len)
{
	return rd(d, d->bar[1], d->off[1] + off, len);
}

static void common_wr(struct driver *d, uint32_t off, uint32_t v, uint32_t len)
{
	wr(d, d->bar[1], d->off[1] + off, v, len);
}

/* What every reset undoes. */
static void prepare(struct driver *d)
{
	wr(d, 7, 4, 6, 2); /* memory space, bus master */
	for (uint32_t at = rd(d, 7, 0x34, 1); at; at = rd(d, 7, at + 1, 1)) {
		uint32_t id = rd(d, 7, at, 1), type = rd(d, 7, at + 3, 1);

		if (id == 0x11)
			wr(d, 7, at + 2, 0x8000, 2); /* MSI-X enable */
		if (id != 9 || type > 4)
			continue;
		d->bar[type] = rd(d, 7, at + 4, 1);
		d->off[type] = rd(d, 7, at + 8, 4);
		if (type == 2)
			d->multiplier = rd(d, 7, at + 16, 4);
	}
}

static void open_driver(struct driver *d, const char *const *overrides, bool with_fd)
{
	struct vqnic_config cfg = {.profile = "virtio-net", .overrides = overrides, .seed = 3};
	struct vqnic_error err = {{0}};
	struct vu_dma_map map = {sizeof(map), 3, 0, IOVA, MEMORY};
	static const char hello[] = "\0\0\0\0{\"capabilities\":{\"max_data_xfer_size\":600}}";
	struct {
		struct vu_irq_set set;
	} irq = {{sizeof(irq), VU_IRQ_DATA_EVENTFD | VU_IRQ_ACTION_TRIGGER, 2, 1, 1}};
	int sock[2];

	if (vqnic_create(&cfg, &d->nic, &err))
		fail_msg("%s", err.text);
	assert_int_equal(vqnic_wire_open(d->nic, 0, "loopback", &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock), 0);
	d->sock = sock[0];
	assert_int_equal(vu_conn_create(d->nic, 0, sock[1], -1, NULL, NULL, &d->conn), 0);
	d->fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(d->fd, MEMORY), 0);
	d->mem = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
	assert_true(d->mem != MAP_FAILED);
	d->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	call(d, VU_VERSION, hello, sizeof(hello), -1);
	call(d, VU_DMA_MAP, &map, sizeof(map), with_fd ? d->fd : -1);
	call(d, VU_SET_IRQS, &irq, sizeof(irq), d->eventfd);
	prepare(d);
}

static void close_driver(struct driver *d)
{
	vu_conn_destroy(d->conn);
	vqnic_destroy(d->nic);
	munmap(d->mem, MEMORY);
	close(d->sock);
	close(d->fd);
	close(d->eventfd);
	free(d);
}

static void queue_up(struct driver *d, unsigned int q)
{
	common_wr(d, 22, q, 2);
	common_wr(d, 24, RING, 2);
	common_wr(d, 26, q == 0 ? 1 : 0xffff, 2);
	d->notify[q] = (uint16_t)common_rd(d, 30, 2);
	for (uint32_t area = 0; area < 3; area++) {
		uint64_t at = IOVA + q * STEP + area * 0x1000;

		common_wr(d, 32 + 8 * area, (uint32_t)at, 4);
		common_wr(d, 36 + 8 * area, (uint32_t)(at >> 32), 4);
	}
	common_wr(d, 28, 1, 2);
}

static void bring_up(struct driver *d)
{
	memset(d->mem, 0, MEMORY);
	memset(d->next, 0, sizeof(d->next));
	memset(d->seen, 0, sizeof(d->seen));
	common_wr(d, 20, 0, 1);
	while (common_rd(d, 20, 1))
		;
	common_wr(d, 20, 3, 1);
	common_wr(d, 8, 1, 4);
	common_wr(d, 12, 1, 4); /* VERSION_1 and nothing else */
	common_wr(d, 20, 11, 1);
	assert_int_equal(common_rd(d, 20, 1), 11);
	queue_up(d, 0);
	queue_up(d, 1);
	common_wr(d, 20, 15, 1);
}

static uint32_t buffer(unsigned int q, unsigned int i)
{
	return BUFFERS + (q * RING + i) * BUF;
}

static void offer(struct driver *d, unsigned int q, uint32_t len)
{
	uint16_t i = d->next[q] % RING;
	struct vn_desc desc = {IOVA + buffer(q, i), len, q == 0 ? VN_DESC_F_WRITE : 0, 0};
	uint8_t *avail = d->mem + q * STEP + 0x1000;

	memcpy(d->mem + q * STEP + 16 * i, &desc, sizeof(desc));
	memcpy(avail + 4 + 2 * i, &i, 2);
	d->next[q]++;
	memcpy(avail + 2, &d->next[q], 2);
}

/* A doorbell as QEMU rings it: posted. */
static void kick(struct driver *d, unsigned int q)
{
	struct vu_region_access access = {d->off[2] + d->notify[q] * d->multiplier, d->bar[2], 2};
	struct vu_header header = {2, VU_REGION_WRITE, sizeof(header) + sizeof(access) + 2,
				   VU_NO_REPLY, 0};
	uint8_t buf[sizeof(access) + 2];

	memcpy(buf, &access, sizeof(access));
	memcpy(buf + sizeof(access), &q, 2);
	send_msg(d, &header, buf, sizeof(buf), -1);
}

static bool used(struct driver *d, unsigned int q, uint32_t elem[2])
{
	uint8_t *ring = d->mem + q * STEP + 0x2000;
	uint16_t idx;

	memcpy(&idx, ring + 2, 2);
	if (idx == d->seen[q])
		return false;
	memcpy(elem, ring + 4 + 8 * (d->seen[q] % RING), 8);
	d->seen[q]++;
	return true;
}

static void traffic(struct driver *d, unsigned int frames)
{
	unsigned int sent = 0, done = 0, got = 0, interrupts = 0;
	uint32_t elem[2];

	for (unsigned int i = 0; i < RING; i++)
		offer(d, 0, BUF);
	kick(d, 0);
	for (unsigned int idle = 0; got < frames; idle++) {
		uint64_t n;
		bool replied;

		for (unsigned int burst = 1 + sent % 5;
		     burst && sent < frames && sent - done < RING; burst--) {
			uint8_t *f = d->mem + buffer(1, sent % RING);

			memset(f, 0, BUF);
			memset(f + 12, 0xff, 6);
			memcpy(f + 12 + 14, &sent, 4);
			offer(d, 1, 12 + 60 + sent % 1400);
			sent++;
			idle = 0;
			if (burst == 1)
				kick(d, 1);
		}
		if (sent == frames)
			kick(d, 1);
		if (turn(d, &replied))
			idle = 0;
		assert_false(replied);
		assert_true(idle < IDLE);
		while (used(d, 1, elem))
			done++;
		while (used(d, 0, elem)) {
			uint32_t v;

			assert_int_equal(elem[1], 12 + 60 + got % 1400);
			memcpy(&v, d->mem + buffer(0, elem[0]) + 12 + 14, 4);
			assert_int_equal(v, got);
			got++;
			offer(d, 0, BUF);
			kick(d, 0);
		}
		if (read(d->eventfd, &n, sizeof(n)) == sizeof(n))
			interrupts += (unsigned int)n;
	}
	settle(d);
	assert_true(interrupts > 0);
	assert_int_equal(common_rd(d, 20, 1), 15);
}

static void run(const char *const *overrides, bool with_fd)
{
	struct driver *d = calloc(1, sizeof(*d));

	open_driver(d, overrides, with_fd);
	bring_up(d);
	traffic(d, 200);
	if (with_fd) {
		assert_int_equal(d->dma_reads + d->dma_writes, 0);
	} else {
		assert_true(d->dma_reads > 200);
		assert_true(d->dma_writes > 200);
	}
	call(d, VU_DEVICE_RESET, NULL, 0, -1);
	prepare(d);
	bring_up(d);
	traffic(d, 50);
	close_driver(d);
}

#define DELAYED                                                   \
	(const char *const[])                                     \
	{                                                         \
		"fabric.fabric=delayed", "virtio.window=16", NULL \
	}

static void memory_with_a_descriptor(void **state)
{
	(void)state;
	run(NULL, true);
	run(DELAYED, true);
}

static void memory_by_messages(void **state)
{
	(void)state;
	run(NULL, false);
}

static void memory_by_messages_delayed(void **state)
{
	(void)state;
	run(DELAYED, false);
}

/* The client takes memory away, or itself, while messages are on their way. */
static void unmap_and_death_under_traffic(void **state)
{
	struct vu_dma_unmap unmap = {sizeof(unmap), 0, IOVA, MEMORY};

	(void)state;
	for (unsigned int turns = 0; turns < 60; turns++) {
		struct driver *d = calloc(1, sizeof(*d));
		bool replied;

		open_driver(d, turns % 2 ? NULL : DELAYED, turns % 4 > 1);
		bring_up(d);
		for (unsigned int i = 0; i < RING; i++) {
			offer(d, 0, BUF);
			offer(d, 1, 100);
		}
		kick(d, 0);
		kick(d, 1);
		for (unsigned int i = 0; i < turns; i++)
			turn(d, &replied);
		if (turns % 3 == 0) {
			call(d, VU_DMA_UNMAP, &unmap, sizeof(unmap), -1);
			munmap(d->mem, MEMORY);
			d->mem = mmap(NULL, MEMORY, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			settle(d);
			/* The registers are there; the rings are not. */
			assert_int_equal(common_rd(d, 20, 1) & 15, 15);
		} else if (turns % 3 == 1) {
			call(d, VU_DEVICE_RESET, NULL, 0, -1);
			settle(d);
		}
		close_driver(d);
	}
}

/* The client refuses every access: the driver is told, and a reset mends it. */
static void client_that_refuses_dma(void **state)
{
	struct driver *d = calloc(1, sizeof(*d));

	(void)state;
	open_driver(d, NULL, false);
	bring_up(d);
	offer(d, 1, 100);
	d->refuse = true;
	kick(d, 1);
	settle(d);
	assert_int_equal(common_rd(d, 20, 1) & 64, 64); /* DEVICE_NEEDS_RESET */
	d->refuse = false;
	bring_up(d);
	traffic(d, 20);
	close_driver(d);
}

/* VERSION says 65535: the NIC takes them, page by page, and lets each go. */
static void as_many_maps_as_advertised(void **state)
{
	struct driver *d = calloc(1, sizeof(*d));
	struct vu_dma_map map = {sizeof(map), 3, 0, 0, 4096};
	struct vu_dma_unmap unmap = {sizeof(unmap), 0, 0, 4096};
	struct vu_header header = {1, VU_DMA_MAP, sizeof(header) + sizeof(map), 0, 0};

	(void)state;
	open_driver(d, NULL, true); /* which has given one already */
	for (unsigned int i = 0; i < VU_DEFAULT_DMA_MAPS - 1; i++) {
		/* Scattered, so that none is the neighbour of the one before. */
		map.address = (uint64_t)(i * 40503u % 65536u) << 13;
		map.offset = (uint64_t)(i % (MEMORY / 4096)) * 4096;
		call(d, VU_DMA_MAP, &map, sizeof(map), d->fd);
	}
	/* One too many is refused; the earlier ones are in use. */
	map.address = UINT64_C(1) << 40;
	send_msg(d, &header, &map, sizeof(map), d->fd);
	assert_true(vu_conn_poll(d->conn, 16) > 0);
	assert_int_equal(recv(d->sock, &header, sizeof(header), 0), sizeof(header));
	assert_int_equal(header.error, ENOSPC);
	bring_up(d);
	traffic(d, 20);
	for (unsigned int i = 0; i < VU_DEFAULT_DMA_MAPS - 1; i++) {
		unmap.address = (uint64_t)i << 13;
		call(d, VU_DMA_UNMAP, &unmap, sizeof(unmap), -1);
	}
	call(d, VU_DMA_MAP, &map, sizeof(map), d->fd);
	close_driver(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_with_a_descriptor),
		cmocka_unit_test(memory_by_messages),
		cmocka_unit_test(memory_by_messages_delayed),
		cmocka_unit_test(unmap_and_death_under_traffic),
		cmocka_unit_test(client_that_refuses_dma),
		cmocka_unit_test(as_many_maps_as_advertised),
	};

	return cmocka_run_group_tests_name("vfio_user_guest", tests, NULL, NULL);
}
