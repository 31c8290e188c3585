/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "wire.h"

/* A NIC's port, as far as a wire sees it. */
struct nic {
	const struct vqnic_wire_ops *ops;
	void *wire;
	unsigned int received;
	int answer;
	struct vqnic_frame last;
	uint8_t data[2000];
};

static int receive(void *ctx, const struct vqnic_frame *frame)
{
	struct nic *nic = ctx;

	assert_true(frame->len <= sizeof(nic->data));
	nic->received++;
	nic->last = *frame;
	memcpy(nic->data, frame->data, frame->len);
	return nic->answer;
}

static void plug(struct nic *nic, const char *address)
{
	const struct wire_end end = {.receive = receive, .ctx = nic};
	struct vqnic_error err = {""};

	memset(nic, 0, sizeof(*nic));
	if (wire_open(address, &end, &nic->ops, &nic->wire, &err))
		fail_msg("%s: %s", address, err.text);
}

static void unplug(struct nic *nic)
{
	if (nic->ops->close)
		nic->ops->close(nic->wire);
}

static int send_frame(struct nic *nic, const char *text)
{
	struct vqnic_frame frame = {
		.data = (const uint8_t *)text,
		.len = (uint32_t)strlen(text),
		.flags = VQNIC_FRAME_NEEDS_CSUM,
		.csum_start = 3,
	};

	return nic->ops->transmit(nic->wire, &frame);
}

static bool readable(struct nic *nic)
{
	struct pollfd pfd = {.fd = nic->ops->poll_fd(nic->wire), .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

static void assert_last(const struct nic *nic, const char *text)
{
	assert_int_equal(nic->last.len, strlen(text));
	assert_memory_equal(nic->data, text, strlen(text));
	assert_int_equal(nic->last.flags, VQNIC_FRAME_NEEDS_CSUM);
	assert_int_equal(nic->last.csum_start, 3);
}

static void addresses(void **state)
{
	static const struct {
		const char *address;
		int ret;
		const char *want;
	} bad[] = {
		{"", -EINVAL, "tap:NAME"},
		{"tapx", -EINVAL, "no wire 'tapx'"},
		{"token:ring", -EINVAL, "stream:SOCKET"},
		{"none:x", -EINVAL, "nothing behind"},
		{"loopback:", -EINVAL, "nothing behind"},
		{"wire", -EINVAL, "name"},
		{"wire:", -EINVAL, "name"},
		{"tap:", -EINVAL, "no name for a TAP"},
		{"tap", -EINVAL, "no name for a TAP"},
		{"tap:sixteen-letters!", -EINVAL, "no name for a TAP"},
		{"tap:a/b", -EINVAL, "no name for a TAP"},
		{"tap:tap%d", -EINVAL, "no name for a TAP"},
		{"stream", -EINVAL, "path"},
		{"stream:", -EINVAL, "path"},
		{"stream:/no/where", -ENOENT, "start what listens"},
		{"stream-listen:/no/where", -ENOENT, "/no/where"},
		{"pcap:", -EINVAL, "pcap:FILE,"},
		{"pcap:x", -EINVAL, "pcap:FILE,"},
		{"pcap:,none", -EINVAL, "pcap:FILE,"},
		{"pcap:/no/where,none", -ENOENT, "/no/where"},
		{"pcap:/dev/null,bogus", -EINVAL, "no wire 'bogus'"},
	};
	const struct wire_end end = {.receive = receive};
	const struct vqnic_wire_ops *ops;
	struct vqnic_error err;
	void *wire;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err.text[0] = '\0';
		if (wire_open(bad[i].address, &end, &ops, &wire, &err) != bad[i].ret ||
		    !strstr(err.text, bad[i].want))
			fail_msg("'%s': '%s'", bad[i].address, err.text);
		assert_null(strchr(err.text, '\n'));
	}
	assert_int_equal(wire_open("bogus", &end, &ops, &wire, NULL), -EINVAL);
}

static void none(void **state)
{
	struct nic nic;

	(void)state;
	plug(&nic, "none");
	assert_int_equal(send_frame(&nic, "into the void"), 0);
	assert_int_equal(nic.received, 0);
	unplug(&nic);
}

static void loopback(void **state)
{
	struct nic nic;

	(void)state;
	plug(&nic, "loopback");
	assert_int_equal(nic.ops->caps, VQNIC_WIRE_OFFLOADS);
	assert_int_equal(send_frame(&nic, "there and back"), 0);
	assert_int_equal(nic.received, 1);
	assert_last(&nic, "there and back");
	nic.answer = -ENOBUFS; /* a full FIFO is the receiver's loss, not the sender's */
	assert_int_equal(send_frame(&nic, "again"), 0);
	unplug(&nic);
}

static void named(void **state)
{
	struct nic a, b, c, other;

	(void)state;
	plug(&a, "wire:one");
	assert_int_equal(send_frame(&a, "nobody is there"), 0);
	plug(&b, "wire:one");
	plug(&other, "wire:another");
	assert_false(readable(&b));
	assert_int_equal(send_frame(&a, "first"), 0);
	assert_int_equal(send_frame(&a, "second"), 0);
	assert_int_equal(b.received, 0); /* not inside the sender's call */
	assert_true(readable(&b));
	assert_false(readable(&a));
	assert_int_equal(b.ops->poll(b.wire, 1), 1);
	assert_last(&b, "first");
	assert_true(readable(&b));
	assert_int_equal(b.ops->poll(b.wire, 9), 1);
	assert_last(&b, "second");
	assert_false(readable(&b));
	assert_int_equal(b.ops->poll(b.wire, 9), 0);

	plug(&c, "wire:one");
	assert_int_equal(send_frame(&b, "to both"), 0);
	assert_int_equal(a.ops->poll(a.wire, 9), 1);
	assert_int_equal(c.ops->poll(c.wire, 9), 1);
	assert_last(&a, "to both");
	assert_last(&c, "to both");
	assert_int_equal(other.ops->poll(other.wire, 9), 0);

	for (unsigned int i = 0; i < 3000; i++) /* nobody reads: bounded */
		assert_int_equal(send_frame(&a, "flood"), 0);
	assert_int_equal(b.ops->poll(b.wire, 5000), 1024);
	unplug(&b); /* c is closed with frames waiting */
	unplug(&a);
	unplug(&c);
	plug(&a, "wire:one");
	assert_false(readable(&a));
	unplug(&a);
	unplug(&other);
}

/* ---- pcapng, read by a reader that shares nothing with the writer -------------------------------
 */

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static const uint8_t *block(const uint8_t *p, const uint8_t *end, uint32_t type)
{
	assert_true(end - p >= 12);
	assert_int_equal(le32(p), type);
	assert_int_equal(le32(p + 4) % 4, 0);
	assert_true(le32(p + 4) <= (size_t)(end - p));
	assert_int_equal(le32(p + le32(p + 4) - 4), le32(p + 4));
	return p + le32(p + 4);
}

static void pcap(void **state)
{
	char path[] = "/tmp/wire_test.XXXXXX", address[64];
	static const char *const texts[] = {"one", "four", "fives", "sixsix"};
	const uint8_t *p, *next, *end;
	static uint8_t file[4096];
	uint64_t time, before = 0;
	struct nic nic;
	FILE *f;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	snprintf(address, sizeof(address), "pcap:%s,loopback", path);
	plug(&nic, address);
	assert_int_equal(nic.ops->caps, VQNIC_WIRE_OFFLOADS);
	assert_null(nic.ops->poll);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(send_frame(&nic, texts[i]), 0);
		assert_last(&nic, texts[i]);
	}
	nic.ops->flush(nic.wire);
	f = fopen(path, "re"); /* readable before it is closed */
	assert_non_null(f);
	end = file + fread(file, 1, sizeof(file), f);
	fclose(f);
	unplug(&nic);
	unlink(path);

	p = file;
	next = block(p, end, 0x0a0d0d0a);
	assert_int_equal(le32(p + 8), 0x1a2b3c4d);
	p = next;
	next = block(p, end, 1);
	assert_int_equal(le32(p + 8) & 0xffff, 1);
	assert_memory_equal(p + 16, "\x09\0\x01\0\x09", 5);
	for (unsigned int i = 0; i < 8; i++) { /* each out, then in */
		const char *text = texts[i / 2];
		uint32_t len = (uint32_t)strlen(text);

		p = next;
		next = block(p, end, 6);
		time = (uint64_t)le32(p + 12) << 32 | le32(p + 16);
		assert_true(time >= before && time > UINT64_C(1600000000000000000));
		before = time;
		assert_int_equal(le32(p + 20), len);
		assert_int_equal(le32(p + 24), len);
		assert_memory_equal(p + 28, text, len);
		p += 28 + (len + 3) / 4 * 4;
		assert_memory_equal(p, "\x02\0\x04\0", 4);
		assert_int_equal(le32(p + 4), i % 2 ? 1 : 2);
		assert_int_equal(le32(p + 8), 0);
	}
	assert_ptr_equal(next, end);
}

static void pcap_in_front(void **state)
{
	struct nic a, b;

	(void)state;
	plug(&a, "pcap:/dev/full,pcap:/dev/null,wire:x"); /* a full disk stops no traffic */
	plug(&b, "wire:x");
	assert_int_equal(send_frame(&a, "through"), 0);
	a.ops->flush(a.wire);
	assert_int_equal(b.ops->poll(b.wire, 9), 1);
	assert_last(&b, "through");
	assert_int_equal(send_frame(&b, "back"), 0);
	assert_true(readable(&a));
	assert_int_equal(a.ops->poll(a.wire, 9), 1);
	assert_last(&a, "back");
	unplug(&a);
	unplug(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses), cmocka_unit_test(none),
		cmocka_unit_test(loopback),  cmocka_unit_test(named),
		cmocka_unit_test(pcap),	     cmocka_unit_test(pcap_in_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
