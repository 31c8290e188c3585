/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A real TAP in a network namespace of the test's own, seen from the other side by an AF_PACKET
 * socket. Skipped (77) where no namespace or no TAP may be made.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "wire.h"

#define SKIPPED 77

struct header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

struct test {
	const struct vqnic_wire_ops *ops;
	void *wire;
	int packet;
	unsigned int received;
	bool reserves;
	struct vqnic_frame last;
	uint8_t data[VQNIC_FRAME_MAX];
	uint8_t place[VQNIC_FRAME_MAX];
};

/* Frames of an EtherType for experiments (IEEE 802), so that the host's own don't disturb. */
static const uint8_t mark[14] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};

static bool marked(const uint8_t *data, uint32_t len)
{
	return len > 14 && !memcmp(data, mark, 12);
}

static int receive(void *ctx, const struct vqnic_frame *frame)
{
	struct test *t = ctx;

	assert_int_equal(frame->data == t->place, t->reserves);
	if (!marked(frame->data, frame->len))
		return 0;
	t->received++;
	t->last = *frame;
	memcpy(t->data, frame->data, frame->len);
	return 0;
}

static uint8_t *reserve(void *ctx)
{
	struct test *t = ctx;

	return t->reserves ? t->place : NULL;
}

static void set_up(const char *name, bool up)
{
	struct ifreq ifr = {.ifr_flags = (short)(up ? IFF_UP : 0)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strcpy(ifr.ifr_name, name);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

static int setup(void **state)
{
	struct test *t = calloc(1, sizeof(*t));
	const struct wire_end end = {.receive = receive, .reserve = reserve, .ctx = t};
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct vqnic_error err = {""};
	int one = 1;

	assert_non_null(t);
	*state = t;
	if (wire_open("tap:vqtest", &end, &t->ops, &t->wire, &err))
		fail_msg("%s", err.text);
	set_up("vqtest", true);
	t->packet = socket(AF_PACKET, SOCK_RAW, 0);
	assert_int_equal(setsockopt(t->packet, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	addr.sll_ifindex = (int)if_nametoindex("vqtest");
	assert_int_equal(bind(t->packet, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	t->ops->close(t->wire);
	close(t->packet);
	assert_int_equal(if_nametoindex("vqtest"), 0); /* made by us, so it is gone */
	free(t);
	return 0;
}

/* IPv4 and TCP: 3000 bytes in segments of 1000. */
static struct header gso_frame(uint8_t *data, uint32_t *len)
{
	static const uint8_t ip[40] = {0x45, 0, 0x0b, 0xe0, 0,	  1,	0x40, 0, 64, 6, 0, 0, 10, 0,
				       0,    1, 10,   0,    0,	  2,	1,    2, 3,  4, 0, 0, 0,  1,
				       0,    0, 0,    1,    0x50, 0x18, 1,    0, 0,  0, 0, 0};

	memcpy(data, mark, 12);
	memcpy(data + 12, "\x08\0", 2);
	memcpy(data + 14, ip, sizeof(ip));
	memset(data + 54, 0x5a, 3000);
	*len = 3054;
	return (struct header){
		.flags = VQNIC_FRAME_NEEDS_CSUM,
		.gso_type = VQNIC_GSO_TCPV4,
		.hdr_len = 54,
		.gso_size = 1000,
		.csum_start = 34,
		.csum_offset = 16,
	};
}

static uint32_t packet_receive(struct test *t, struct header *header, uint8_t *data, uint32_t size)
{
	struct pollfd pfd = {.fd = t->packet, .events = POLLIN};
	struct iovec iov[2] = {{header, sizeof(*header)}, {data, size}};
	struct sockaddr_ll from;
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = iov, .msg_iovlen = 2};

	for (;;) {
		ssize_t n;

		msg.msg_namelen = sizeof(from);
		assert_int_equal(poll(&pfd, 1, 5000), 1);
		n = recvmsg(t->packet, &msg, 0);
		assert_true(n > 10);
		if (from.sll_pkttype != PACKET_OUTGOING && marked(data, (uint32_t)n - 10))
			return (uint32_t)n - 10;
	}
}

static void packet_send(struct test *t, const struct header *header, const uint8_t *data,
			uint32_t len)
{
	struct iovec iov[2] = {{(void *)(uintptr_t)header, sizeof(*header)},
			       {(void *)(uintptr_t)data, len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	assert_int_equal(sendmsg(t->packet, &msg, 0), len + 10);
}

static void wait_poll(struct test *t, unsigned int budget)
{
	struct pollfd pfd = {.fd = t->ops->poll_fd(t->wire), .events = POLLIN};

	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_true(t->ops->poll(t->wire, budget) <= (int)budget);
}

static void transmit(void **state)
{
	struct test *t = *state;
	uint8_t data[4000] = {0}, got[5000];
	struct vqnic_frame frame = {.data = data, .len = 60};
	struct header header;

	memcpy(data, mark, sizeof(mark));
	data[59] = 0x77;
	assert_int_equal(t->ops->transmit(t->wire, &frame), 0);
	assert_int_equal(packet_receive(t, &header, got, sizeof(got)), 60);
	assert_memory_equal(got, data, 60);
	assert_int_equal(header.gso_type, 0);

	header = gso_frame(data, &frame.len);
	frame.flags = header.flags;
	frame.gso_type = header.gso_type;
	frame.hdr_len = header.hdr_len;
	frame.gso_size = header.gso_size;
	frame.csum_start = header.csum_start;
	frame.csum_offset = header.csum_offset;
	assert_int_equal(t->ops->transmit(t->wire, &frame), 0);
	memset(&header, 0, sizeof(header));
	assert_int_equal(packet_receive(t, &header, got, sizeof(got)), 3054);
	assert_memory_equal(got, data, 3054);
	assert_int_equal(header.gso_type, VQNIC_GSO_TCPV4);
	assert_int_equal(header.gso_size, 1000);
	assert_int_equal(header.flags & VQNIC_FRAME_NEEDS_CSUM, VQNIC_FRAME_NEEDS_CSUM);

	frame.csum_start = 0xfff0; /* the kernel has the last word */
	assert_int_equal(t->ops->transmit(t->wire, &frame), -ENOBUFS);
}

static void arrive(void **state)
{
	struct test *t = *state;
	struct header none = {0}, header;
	uint8_t data[4000] = {0};
	uint32_t len;

	memcpy(data, mark, sizeof(mark));
	data[99] = 0x55;
	packet_send(t, &none, data, 100);
	while (!t->received)
		wait_poll(t, 8);
	assert_int_equal(t->last.len, 100);
	assert_memory_equal(t->data, data, 100);
	assert_int_equal(t->last.flags, 0);
	assert_int_equal(t->last.gso_type, 0);

	header = gso_frame(data, &len);
	packet_send(t, &header, data, len);
	while (t->received < 2)
		wait_poll(t, 8);
	assert_int_equal(t->last.len, len);
	assert_memory_equal(t->data, data, len);
	assert_int_equal(t->last.flags, VQNIC_FRAME_NEEDS_CSUM);
	assert_int_equal(t->last.gso_type, VQNIC_GSO_TCPV4);
	assert_int_equal(t->last.gso_size, 1000);
	assert_int_equal(t->last.csum_start, 34);
	assert_int_equal(t->last.csum_offset, 16);
}

static void arrive_reserved(void **state)
{
	struct test *t = *state;

	t->reserves = true;
	arrive(state);
}

static void budget(void **state)
{
	struct test *t = *state;
	struct header none = {0};
	uint8_t data[100] = {0};

	memcpy(data, mark, sizeof(mark));
	while (t->ops->poll(t->wire, 64)) /* what the stack says when an interface comes up */
		;
	for (unsigned int i = 0; i < 10; i++) {
		data[50] = (uint8_t)i;
		packet_send(t, &none, data, sizeof(data));
	}
	assert_int_equal(t->ops->poll(t->wire, 0), 0);
	while (t->received < 10) {
		unsigned int before = t->received;

		wait_poll(t, 3);
		assert_in_range(t->received, before, before + 3);
		if (t->received > before)
			assert_int_equal(t->data[50], t->received - 1);
	}
	while (t->ops->poll(t->wire, 64))
		;
	assert_int_equal(t->ops->poll(t->wire, 64), 0);
}

static void faults(void **state)
{
	struct test *t = *state;
	const struct wire_end end = {.receive = receive, .ctx = t};
	uint8_t data[60] = {0};
	struct vqnic_frame frame = {.data = data, .len = 60};
	const struct vqnic_wire_ops *ops;
	struct vqnic_error err = {""};
	void *wire;

	assert_int_equal(wire_open("tap:vqtest", &end, &ops, &wire, &err), -EBUSY);
	assert_non_null(strstr(err.text, "in use"));
	assert_int_equal(wire_open("tap:lo", &end, &ops, &wire, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not a TAP"));
	set_up("vqtest", false);
	assert_int_equal(t->ops->transmit(t->wire, &frame), -ENOBUFS);
}

/* One that is there already, as an administrator makes it, with several queues; it stays. */
static void existing(void **state)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE | IFF_VNET_HDR,
			    .ifr_name = "vqkept"};
	const struct wire_end end = {.receive = receive, .ctx = *state};
	const struct vqnic_wire_ops *ops;
	struct vqnic_error err = {""};
	void *wire;
	int fd = open("/dev/net/tun", O_RDWR);

	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
	if (wire_open("tap:vqkept", &end, &ops, &wire, &err))
		fail_msg("%s", err.text);
	ops->close(wire);
	assert_int_not_equal(if_nametoindex("vqkept"), 0);
}

static bool may_make_taps(void)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd;
	bool ok;

	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return false;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	ok = fd >= 0 && !ioctl(fd, TUNSETIFF, &ifr);
	if (fd >= 0)
		close(fd);
	return ok;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(transmit, setup, teardown),
		cmocka_unit_test_setup_teardown(arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(arrive_reserved, setup, teardown),
		cmocka_unit_test_setup_teardown(budget, setup, teardown),
		cmocka_unit_test_setup_teardown(faults, setup, teardown),
		cmocka_unit_test_setup_teardown(existing, setup, teardown),
	};

	if (!may_make_taps()) {
		puts("no network namespace or no TAP may be made here");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
