/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel as oracle: the same frames go through Linux' own segmentation and through ours
 *
 * Two TAPs on a bridge in a network namespace of the test's own. Frames with metadata go in at one;
 * the other takes no offloads, so that the kernel has to finish them before they come out. Byte by
 * byte it has to be what offload_finish() makes of them. Skipped (77) where no namespace, TAP or
 * bridge may be made.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
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
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "offload.h"

#define SKIPPED 77
#define MAX_OUT 64

struct header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

static int in_fd = -1, out_fd = -1;

/* Our own frames, not what the host says when an interface comes up. */
static const uint8_t addresses[12] = {2, 0, 0, 0, 0x77, 2, 2, 0, 0, 0, 0x77, 1};

static void set16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* ---- The bridge -------------------------------------------------------------------------------
 */

static int tap(const char *name, int flags)
{
	struct ifreq ifr = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags)};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	strcpy(ifr.ifr_name, name);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &ifr)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool set_up(int fd, const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_UP};

	strcpy(ifr.ifr_name, name);
	return !ioctl(fd, SIOCSIFFLAGS, &ifr);
}

static bool join(int fd, const char *bridge, const char *name)
{
	struct ifreq ifr = {.ifr_ifindex = (int)if_nametoindex(name)};

	strcpy(ifr.ifr_name, bridge);
	return !ioctl(fd, SIOCBRADDIF, &ifr);
}

static bool make_bridge(void)
{
	int fd;
	bool ok;

	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return false;
	in_fd = tap("in", IFF_VNET_HDR);
	out_fd = tap("out", 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ok = in_fd >= 0 && out_fd >= 0 && !ioctl(fd, SIOCBRADDBR, "bridge") &&
	     join(fd, "bridge", "in") && join(fd, "bridge", "out") && set_up(fd, "in") &&
	     set_up(fd, "out") && set_up(fd, "bridge");
	close(fd);
	return ok;
}

static uint32_t kernel_next(uint8_t *data, uint32_t size)
{
	struct pollfd pfd = {.fd = out_fd, .events = POLLIN};
	ssize_t n;

	for (;;) {
		if (poll(&pfd, 1, 5000) != 1)
			fail_msg("the kernel gives no frame");
		n = read(out_fd, data, size);
		assert_true(n > 0);
		if (n > 12 && !memcmp(data, addresses, sizeof(addresses)))
			return (uint32_t)n;
	}
}

/* ---- Frames -----------------------------------------------------------------------------------
 */

struct shape {
	bool vlan, v6, udp;
	uint32_t options; /* of TCP */
	uint32_t payload;
	uint16_t mss; /* 0: only a checksum */
	uint8_t flags;
};

/* As a stack makes it: lengths, IP checksum and the pseudo header's sum are right. */
static struct vqnic_frame build(uint8_t *p, const struct shape *s)
{
	uint32_t l3 = s->vlan ? 18 : 14, l4 = l3 + (s->v6 ? 40 : 20);
	uint32_t l4_hlen = s->udp ? 8 : 20 + s->options, end = l4 + l4_hlen + s->payload;
	uint8_t proto = s->udp ? 17 : 6;
	uint32_t sum = proto + end - l4;
	uint8_t type = VQNIC_GSO_NONE;

	memset(p, 0, end);
	memcpy(p, addresses, sizeof(addresses));
	if (s->vlan)
		memcpy(p + 12, "\x81\0\0\x07", 4);
	set16(p + l3 - 2, s->v6 ? 0x86dd : 0x0800);
	if (s->v6) {
		p[l3] = 0x60;
		set16(p + l3 + 4, end - l4);
		p[l3 + 6] = proto;
		p[l3 + 7] = 64;
		memcpy(p + l3 + 8,
		       "\xfd\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 16);
		memcpy(p + l3 + 24,
		       "\xfd\xff\xfe\xfd\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x1f", 16);
	} else {
		p[l3] = 0x45;
		set16(p + l3 + 2, end - l3);
		set16(p + l3 + 4, 0xfffd);
		p[l3 + 8] = 64;
		p[l3 + 9] = proto;
		memcpy(p + l3 + 12, "\x0a\xc8\0\x01\x0a\xc8\0\x02", 8);
		for (uint32_t i = 0, ip = 0; i < 20; i += 2) {
			ip += (uint32_t)p[l3 + i] << 8 | p[l3 + i + 1];
			if (i == 18)
				set16(p + l3 + 10, ~(ip + (ip >> 16)) & 0xffff);
		}
	}
	for (uint32_t i = s->v6 ? l3 + 8 : l3 + 12; i < l4; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	set16(p + l4, 5201);
	set16(p + l4 + 2, 5202);
	if (s->udp) {
		set16(p + l4 + 4, end - l4);
		set16(p + l4 + 6, sum);
	} else {
		memcpy(p + l4 + 4, "\xff\xff\xf8\0\x12\x34\x56\x78", 8);
		p[l4 + 12] = (uint8_t)(l4_hlen / 4 << 4);
		p[l4 + 13] = s->flags;
		set16(p + l4 + 14, 500);
		set16(p + l4 + 16, sum);
		memset(p + l4 + 20, 1, s->options);
	}
	for (uint32_t i = l4 + l4_hlen; i < end; i++)
		p[i] = (uint8_t)(i * 11 + i / 256);
	if (s->mss)
		type = s->udp ? VQNIC_GSO_UDP_L4 : s->v6 ? VQNIC_GSO_TCPV6 : VQNIC_GSO_TCPV4;
	if (s->flags & 0x80)
		type |= VQNIC_GSO_ECN;
	return (struct vqnic_frame){
		.data = p,
		.len = end,
		.flags = VQNIC_FRAME_NEEDS_CSUM,
		.gso_type = type,
		.hdr_len = (uint16_t)(l4 + l4_hlen),
		.gso_size = s->mss,
		.csum_start = (uint16_t)l4,
		.csum_offset = s->udp ? 6 : 16,
	};
}

struct sink {
	unsigned int n;
	uint32_t len[MAX_OUT];
	uint8_t data[MAX_OUT][2048];
};

static int sink_emit(void *ctx, const struct vqnic_frame *frame)
{
	struct sink *s = ctx;

	assert_true(s->n < MAX_OUT && frame->len <= sizeof(s->data[0]));
	memcpy(s->data[s->n], frame->data, frame->len);
	s->len[s->n++] = frame->len;
	return 0;
}

static void same_as_kernel(void **state)
{
	static const struct shape shapes[] = {
		{.payload = 100, .flags = 0x18},
		{.payload = 1, .flags = 0x11, .vlan = true},
		{.payload = 777, .udp = true},
		{.payload = 1400, .udp = true, .v6 = true},
		{.payload = 33, .v6 = true, .flags = 0x18, .options = 12},
		{.payload = 10000, .mss = 1448, .flags = 0x18, .options = 12},
		{.payload = 10000, .mss = 1460, .flags = 0x19, .vlan = true},
		{.payload = 10001, .mss = 1000, .flags = 0xd8},
		{.payload = 2920, .mss = 1460, .flags = 0x11},
		{.payload = 60000, .mss = 1460, .flags = 0x10},
		{.payload = 10001, .mss = 1428, .flags = 0x18, .v6 = true, .options = 12},
		{.payload = 9999, .mss = 1401, .flags = 0x98, .v6 = true, .vlan = true},
		{.payload = 10001, .mss = 1472, .udp = true},
		{.payload = 5000, .mss = 1001, .udp = true, .v6 = true},
	};
	static uint8_t data[FRAME_MAX], scratch[FRAME_MAX], got[4096];
	static struct sink sink;

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct vqnic_frame f = build(data, &shapes[i]);
		struct header h = {f.flags,    f.gso_type,   f.hdr_len,
				   f.gso_size, f.csum_start, f.csum_offset};
		struct iovec iov[2] = {{&h, sizeof(h)}, {data, f.len}};
		struct offload_frame parsed;

		if (writev(in_fd, iov, 2) < 0) {
			if (shapes[i].udp && shapes[i].mss && errno == EINVAL)
				continue; /* USO came with Linux 6.2 */
			fail_msg("shape %zu: %s", i, strerror(errno));
		}
		sink.n = 0;
		assert_int_equal(offload_check(&f, &parsed), 0);
		assert_int_equal(offload_finish(&f, &parsed, scratch, sink_emit, &sink), 0);
		for (unsigned int n = 0; n < sink.n; n++) {
			uint32_t len = kernel_next(got, sizeof(got));

			if (len != sink.len[n] || memcmp(got, sink.data[n], len)) {
				uint32_t at = 0;

				while (at < len && got[at] == sink.data[n][at])
					at++;
				fail_msg(
					"shape %zu, segment %u: %u bytes, the kernel has %u; the first "
					"difference is at %u",
					i, n, sink.len[n], len, at);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_kernel),
	};

	if (!make_bridge()) {
		puts("no network namespace, TAP or bridge may be made here");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
