/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Oracles that share nothing with offload.c: a checksum over single bytes, headers read field by
 * field, and published packets. Where the test may make a network namespace, the kernel's own
 * segmentation is the oracle as well (offload_kernel_test.c).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../util.h"
#include "offload.h"

#define MAX_OUT 128

struct sink {
	unsigned int n;
	uint32_t len[MAX_OUT];
	uint8_t *data[MAX_OUT];
	int fail;
};

static int sink_emit(void *ctx, const struct vqnic_frame *frame)
{
	struct sink *s = ctx;

	assert_int_equal(frame->flags, 0);
	assert_int_equal(frame->gso_type, VQNIC_GSO_NONE);
	if (s->fail)
		return s->fail;
	assert_true(s->n < MAX_OUT);
	s->data[s->n] = malloc(frame->len);
	assert_non_null(s->data[s->n]);
	memcpy(s->data[s->n], frame->data, frame->len);
	s->len[s->n++] = frame->len;
	return 0;
}

static void sink_free(struct sink *s)
{
	for (unsigned int i = 0; i < s->n; i++)
		free(s->data[i]);
	memset(s, 0, sizeof(*s));
}

/* RFC 1071 a byte at a time: even bytes count 256-fold. */
static uint32_t ref_add(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return be16(p) << 16 | be16(p + 2);
}

static void set16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Is the checksum of the TCP or UDP segment right, pseudo header included? */
static void assert_l4_csum(const uint8_t *frame, uint32_t l3, uint32_t l4, uint32_t end, bool v6,
			   uint8_t proto)
{
	uint8_t tail[4] = {0, proto};
	uint32_t sum;

	sum = v6 ? ref_add(0, frame + l3 + 8, 32) : ref_add(0, frame + l3 + 12, 8);
	set16(tail + 2, end - l4);
	sum = ref_add(sum, tail, 4);
	sum = ref_add(sum, frame + l4, end - l4);
	assert_int_equal(sum, 0xffff);
}

/* A frame for the tests: VLAN tags, IPv4 with options or IPv6 with extension headers, TCP or UDP.
 */
struct build {
	unsigned int tags;
	bool v6, udp, more_ip;
	uint32_t tcp_options;
	uint32_t payload;
	uint16_t mss;
	uint8_t tcp_flags;
	uint32_t padding;
};

struct built {
	struct vqnic_frame frame;
	uint32_t l3, l4, body, end;
	uint8_t data[FRAME_MAX];
};

static void build(struct built *out, const struct build *b)
{
	uint8_t *p = out->data;
	uint32_t at = 12, l4_hlen = b->udp ? 8 : 20 + b->tcp_options;
	uint8_t proto = b->udp ? 17 : 6;

	memset(out, 0, sizeof(*out));
	memcpy(p, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01", 12);
	for (unsigned int i = 0; i < b->tags; i++, at += 4) {
		set16(p + at, i + 1 == b->tags ? 0x8100 : 0x88a8);
		set16(p + at + 2, 100 + i);
	}
	set16(p + at, b->v6 ? 0x86dd : 0x0800);
	out->l3 = at + 2;
	if (b->v6) {
		out->l4 = out->l3 + 40 + (b->more_ip ? 8 + 16 : 0);
	} else {
		out->l4 = out->l3 + 20 + (b->more_ip ? 8 : 0);
	}
	out->body = out->l4 + l4_hlen;
	out->end = out->body + b->payload;
	if (b->v6) {
		p[out->l3] = 0x60;
		set16(p + out->l3 + 4, out->end - out->l3 - 40);
		p[out->l3 + 6] = proto;
		p[out->l3 + 7] = 64;
		for (int i = 0; i < 32; i++)
			p[out->l3 + 8 + (uint32_t)i] = (uint8_t)(0x20 + 7 * i);
		if (b->more_ip) { /* hop-by-hop, then destination options: padding */
			p[out->l3 + 6] = 0;
			memcpy(p + out->l3 + 40, "\x3c\0\x01\x04\0\0\0\0", 8);
			memcpy(p + out->l3 + 48, "\0\x01\x01\x0c", 4);
			p[out->l3 + 48] = proto;
		}
	} else {
		p[out->l3] = (uint8_t)(0x40 | (out->l4 - out->l3) / 4);
		set16(p + out->l3 + 2, out->end - out->l3);
		set16(p + out->l3 + 4, 0xfffe); /* the id wraps on its third segment */
		p[out->l3 + 6] = 0x40;
		p[out->l3 + 8] = 64;
		p[out->l3 + 9] = proto;
		memcpy(p + out->l3 + 12, "\x0a\0\0\x01\x0a\0\0\x02", 8);
		memset(p + out->l3 + 20, 1, out->l4 - out->l3 - 20);
	}
	set16(p + out->l4, 40000);
	set16(p + out->l4 + 2, 5201);
	if (b->udp) {
		set16(p + out->l4 + 4, out->end - out->l4);
	} else {
		memcpy(p + out->l4 + 4, "\xff\xff\xff\xf0\x12\x34\x56\x78", 8);
		p[out->l4 + 12] = (uint8_t)(l4_hlen / 4 << 4);
		p[out->l4 + 13] = b->tcp_flags;
		set16(p + out->l4 + 14, 512);
		memset(p + out->l4 + 20, 1, b->tcp_options);
	}
	for (uint32_t i = 0; i < b->payload; i++)
		p[out->body + i] = (uint8_t)(i * 31 + i / 251);
	out->frame.data = p;
	out->frame.len = out->end + b->padding;
	out->frame.flags = VQNIC_FRAME_NEEDS_CSUM;
	out->frame.csum_start = (uint16_t)out->l4;
	out->frame.csum_offset = b->udp ? 6 : 16;
	out->frame.hdr_len = 0xffff; /* a lie that nobody may believe */
	if (b->mss) {
		out->frame.gso_size = b->mss;
		out->frame.gso_type = b->udp  ? VQNIC_GSO_UDP_L4
				      : b->v6 ? VQNIC_GSO_TCPV6
					      : VQNIC_GSO_TCPV4;
	}
}

static void check_segments(const struct built *in, const struct build *b, const struct sink *s)
{
	uint32_t done = 0;

	assert_int_equal(s->n, (b->payload + b->mss - 1) / b->mss);
	for (unsigned int i = 0; i < s->n; i++) {
		const uint8_t *p = s->data[i];
		uint32_t len = s->len[i], want = b->payload - done;
		bool last = i + 1 == s->n;

		if (want > b->mss)
			want = b->mss;
		assert_int_equal(len, in->body + want);
		assert_memory_equal(p, in->data, in->l3);
		assert_memory_equal(p + in->body, in->data + in->body + done, want);
		if (b->v6) {
			assert_int_equal(be16(p + in->l3 + 4), len - in->l3 - 40);
			assert_memory_equal(p + in->l3 + 6, in->data + in->l3 + 6,
					    in->l4 - in->l3 - 6);
		} else {
			assert_int_equal(be16(p + in->l3 + 2), len - in->l3);
			assert_int_equal(be16(p + in->l3 + 4), (0xfffe + i) & 0xffff);
			assert_int_equal(ref_add(0, p + in->l3, in->l4 - in->l3), 0xffff);
		}
		assert_l4_csum(p, in->l3, in->l4, len, b->v6, b->udp ? 17 : 6);
		if (b->udp) {
			assert_int_equal(be16(p + in->l4 + 4), len - in->l4);
		} else {
			uint8_t flags = b->tcp_flags;

			assert_int_equal(be32(p + in->l4 + 4), 0xfffffff0u + done);
			assert_memory_equal(p + in->l4 + 8, in->data + in->l4 + 8, 4);
			if (!last)
				flags &= 0xf6; /* no FIN, no PSH */
			if (i)
				flags &= 0x7f; /* no CWR */
			assert_int_equal(p[in->l4 + 13], flags);
			assert_memory_equal(p + in->l4 + 20, in->data + in->l4 + 20,
					    b->tcp_options);
		}
		done += want;
	}
	assert_int_equal(done, b->payload);
}

static uint8_t scratch[FRAME_MAX];

static void segments(void **state)
{
	static const struct build cases[] = {
		{.payload = 4000, .mss = 1460, .tcp_flags = 0x18},
		{.payload = 4000, .mss = 1448, .tcp_flags = 0x19, .tcp_options = 12},
		{.payload = 4380, .mss = 1460, .tcp_flags = 0x10, .more_ip = true},
		{.payload = 3001, .mss = 999, .tcp_flags = 0x10, .tags = 1},
		{.payload = 3001, .mss = 1000, .tcp_flags = 0xd8, .tags = 2},
		{.payload = 100, .mss = 1460, .tcp_flags = 0x18, .padding = 6},
		{.payload = 1, .mss = 65535, .tcp_flags = 0x18},
		{.payload = 64, .mss = 1, .tcp_flags = 0x18},
		{.payload = 65000, .mss = 1448, .tcp_flags = 0x18},
		{.v6 = true, .payload = 65000, .mss = 1428, .tcp_flags = 0x18, .tcp_options = 12},
		{.v6 = true, .payload = 5000, .mss = 1440, .tcp_flags = 0x99, .tags = 1},
		{.v6 = true, .payload = 5001, .mss = 1401, .tcp_flags = 0x10, .more_ip = true},
		{.udp = true, .payload = 5001, .mss = 1472},
		{.udp = true, .payload = 999, .mss = 333, .tags = 1},
		{.udp = true, .v6 = true, .payload = 5001, .mss = 1452, .more_ip = true},
	};
	struct built *in = malloc(sizeof(*in));
	struct offload_frame parsed;
	struct sink s = {0};

	(void)state;
	assert_non_null(in);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		build(in, &cases[i]);
		if (cases[i].tcp_flags & 0x80)
			in->frame.gso_type |= VQNIC_GSO_ECN;
		assert_int_equal(offload_check(&in->frame, &parsed), 0);
		assert_int_equal(offload_finish(&in->frame, &parsed, scratch, sink_emit, &s), 0);
		check_segments(in, &cases[i], &s);
		sink_free(&s);
	}
	free(in);
}

/* A plain checksum: the frame carries the pseudo header's sum, as a driver leaves it. */
static void checksum_only(void **state)
{
	static const struct build cases[] = {
		{.payload = 1000, .tcp_flags = 0x18},
		{.payload = 1, .tcp_flags = 0x18, .tags = 1},
		{.udp = true, .payload = 37},
		{.udp = true, .v6 = true, .payload = 1472},
		{.v6 = true, .payload = 3, .tcp_flags = 2},
		{.v6 = true, .payload = 0, .tcp_flags = 2},
	};
	struct built *in = malloc(sizeof(*in));
	struct sink s = {0};

	(void)state;
	assert_non_null(in);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct build *b = &cases[i];
		uint8_t proto = b->udp ? 17 : 6, tail[4] = {0, proto};
		uint32_t sum;

		build(in, b);
		sum = b->v6 ? ref_add(0, in->data + in->l3 + 8, 32)
			    : ref_add(0, in->data + in->l3 + 12, 8);
		set16(tail + 2, in->end - in->l4);
		set16(in->data + in->l4 + in->frame.csum_offset, ref_add(sum, tail, 4));
		assert_int_equal(offload_check(&in->frame, NULL), 0);
		assert_int_equal(offload_finish(&in->frame, NULL, scratch, sink_emit, &s), 0);
		assert_int_equal(s.n, 1);
		assert_int_equal(s.len[0], in->frame.len);
		assert_l4_csum(s.data[0], in->l3, in->l4, in->end, b->v6, proto);
		sink_free(&s);
	}
	free(in);
}

/* The header of RFC-era textbooks, checksum 0xb861, and every length and alignment at once. */
static void sums(void **state)
{
	static const uint8_t header[20] = {0x45, 0, 0,	  0x73, 0, 0, 0x40, 0,	  0x40, 0x11,
					   0,	 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0,	0xc7};
	uint8_t buf[300];
	uint16_t sum = offload_sum(header, sizeof(header), 0);

	(void)state;
	assert_int_equal(be16((uint8_t *)&sum), 0xffff - 0xb861);
	for (unsigned int i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 167 + 13);
	for (uint32_t off = 0; off < 9; off++) {
		for (uint32_t len = 0; len + off <= sizeof(buf); len++) {
			sum = offload_sum(buf + off, len, 0);
			assert_int_equal(be16((uint8_t *)&sum) % 0xffff,
					 ref_add(0, buf + off, len) % 0xffff);
		}
	}
	memset(buf, 0xff, sizeof(buf));
	sum = offload_sum(buf, sizeof(buf), 0xffff);
	assert_int_equal(sum, 0xffff);
}

/* A sum whose complement is 0 must be sent as 0xffff. */
static void zero_checksum(void **state)
{
	uint8_t data[4] = {0, 0, 0xff, 0xff};

	(void)state;
	offload_csum(data, 4, 0, 0);
	assert_int_equal(be16(data), 0xffff);
}

static void hostile(void **state)
{
	const struct build tcp = {.payload = 4000, .mss = 1460, .tcp_flags = 0x18};
	const struct build tcp6 = {.v6 = true, .payload = 4000, .mss = 1460, .tcp_flags = 0x18};
	const struct build udp = {.udp = true, .payload = 4000, .mss = 1460};
	struct built *in = malloc(sizeof(*in));
	struct vqnic_frame f;

	(void)state;
	assert_non_null(in);
#define REFUSED(CHANGE)                                             \
	do {                                                        \
		f = in->frame;                                      \
		CHANGE;                                             \
		assert_int_equal(offload_check(&f, NULL), -EINVAL); \
	} while (0)

	build(in, &tcp);
	assert_int_equal(offload_check(&in->frame, NULL), 0);
	REFUSED(f.gso_size = 0);
	REFUSED(f.flags = 0);
	REFUSED(f.gso_type = VQNIC_GSO_UDP);
	REFUSED(f.gso_type = 2);
	REFUSED(f.gso_type = 0x7f);
	REFUSED(f.gso_type = VQNIC_GSO_ECN);
	REFUSED(f.gso_type = VQNIC_GSO_UDP_L4 | VQNIC_GSO_ECN);
	REFUSED(f.gso_type = VQNIC_GSO_TCPV6);
	REFUSED(f.gso_type = VQNIC_GSO_UDP_L4);
	REFUSED(f.csum_start++);
	REFUSED(f.csum_offset = 6);
	REFUSED(f.csum_start = 0xffff; f.csum_offset = 0xffff);
	for (uint32_t len = 0; len < in->end; len += len < 80 ? 1 : 97)
		REFUSED(f.len = len);
	REFUSED(f.gso_type = VQNIC_GSO_NONE; f.len = f.csum_start + 17u);
	f.len++;
	assert_int_equal(offload_check(&f, NULL), 0);
	REFUSED(in->data[12] = 8; in->data[13] = 6); /* ARP */
	build(in, &tcp);
	REFUSED(in->data[in->l3] = 0x44); /* a header of 16 bytes */
	REFUSED(in->data[in->l3] = 0x4f); /* a header that reaches into TCP's */
	REFUSED(in->data[in->l3] = 0x65);
	build(in, &tcp);
	REFUSED(set16(in->data + in->l3 + 2, 10));
	REFUSED(set16(in->data + in->l3 + 2, 0xffff));
	build(in, &tcp);
	REFUSED(set16(in->data + in->l3 + 6, 0x2000)); /* more fragments */
	REFUSED(set16(in->data + in->l3 + 6, 0x0001)); /* a later fragment */
	build(in, &tcp);
	REFUSED(in->data[in->l4 + 12] = 0x40); /* a TCP header of 16 bytes */
	build(in, &(struct build){.payload = 3, .mss = 10, .tcp_flags = 0x10});
	REFUSED(in->data[in->l4 + 12] = 0xf0); /* and one beyond the packet */
	build(in, &(struct build){.payload = 0, .mss = 10, .tcp_flags = 0x10});
	REFUSED(f.hdr_len = 0); /* nothing to segment */
	build(in, &(struct build){.tags = 2, .payload = 4000, .mss = 1460});
	REFUSED(set16(in->data + 20, 0x8100)); /* a third tag */
	build(in, &tcp6);
	assert_int_equal(offload_check(&in->frame, NULL), 0);
	REFUSED(f.gso_type = VQNIC_GSO_TCPV4);
	for (uint32_t len = 0; len < in->end; len += len < 120 ? 1 : 97)
		REFUSED(f.len = len);
	REFUSED(in->data[in->l3 + 6] = 44); /* fragment header */
	REFUSED(in->data[in->l3 + 6] = 0; in->data[in->l3 + 41] = 0xff);
	memset(in->data + in->l3 + 40, 0, 4000); /* hop-by-hop headers to the end */
	REFUSED(in->data[in->l3 + 6] = 0);
	build(in, &udp);
	assert_int_equal(offload_check(&in->frame, NULL), 0);
	REFUSED(f.csum_offset = 16);
	REFUSED(f.gso_type = VQNIC_GSO_TCPV4);
#undef REFUSED
	free(in);
}

static void excess(void **state)
{
	struct built *in = malloc(sizeof(*in));
	struct offload_frame parsed;
	const unsigned int all = 0x3f;
	static const struct {
		struct build b;
		uint8_t ecn;
		unsigned int need;
	} cases[] = {
		{{.payload = 9}, 0, PORT_RX_CSUM},
		{{.payload = 9, .mss = 1}, 0, PORT_RX_CSUM | PORT_RX_TSO4},
		{{.payload = 9, .mss = 1}, 0x80, PORT_RX_CSUM | PORT_RX_TSO4 | PORT_RX_ECN},
		{{.payload = 9, .mss = 1, .v6 = true}, 0, PORT_RX_CSUM | PORT_RX_TSO6},
		{{.payload = 9, .mss = 1, .udp = true}, 0, PORT_RX_CSUM | PORT_RX_USO4},
		{{.payload = 9, .mss = 1, .udp = true, .v6 = true}, 0, PORT_RX_CSUM | PORT_RX_USO6},
	};

	(void)state;
	assert_non_null(in);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		build(in, &cases[i].b);
		in->frame.gso_type |= cases[i].ecn;
		assert_int_equal(offload_check(&in->frame, &parsed), 0);
		assert_false(offload_excess(&in->frame, &parsed, cases[i].need));
		for (unsigned int bit = 1; bit <= all; bit <<= 1)
			assert_int_equal(offload_excess(&in->frame, &parsed, all & ~bit),
					 !!(cases[i].need & bit));
	}
	free(in);
}

static int count_bytes(void *ctx, const struct vqnic_frame *frame)
{
	assert_in_range(frame->len, 14, FRAME_MAX);
	assert_ptr_equal(frame->data, scratch);
	*(uint64_t *)ctx += frame->len;
	return 0;
}

/* Damaged frames and metadata: refused or finished, never an access beyond the frame (ASan). */
static void damaged(void **state)
{
	static const struct build seeds[] = {
		{.payload = 300, .mss = 100, .tags = 1},
		{.payload = 300, .mss = 100, .more_ip = true, .tcp_options = 12},
		{.payload = 300, .mss = 100, .v6 = true, .more_ip = true},
		{.payload = 300, .mss = 100, .udp = true, .v6 = true},
		{.payload = 100},
	};
	struct built *in = malloc(sizeof(*in));
	struct rng rng = {1};
	uint64_t bytes = 0;
	unsigned int finished = 0;

	(void)state;
	assert_non_null(in);
	for (unsigned int i = 0; i < 20000; i++) {
		struct offload_frame parsed;
		struct vqnic_frame f;
		uint8_t *exact;

		build(in, &seeds[i % 5]);
		f = in->frame;
		for (uint64_t n = rng_below(&rng, 4); n; n--)
			in->data[12 + rng_below(&rng, in->body - 12)] = (uint8_t)rng_next(&rng);
		switch (rng_next(&rng) % 8) {
		case 0:
			f.len = (uint32_t)rng_below(&rng, f.len + 1);
			break;
		case 1:
			f.csum_start = (uint16_t)rng_next(&rng);
			break;
		case 2:
			f.csum_offset = (uint16_t)(rng_next(&rng) % 512);
			break;
		case 3:
			f.gso_size = (uint16_t)rng_next(&rng);
			break;
		case 4:
			f.gso_type = (uint8_t)rng_next(&rng);
			break;
		case 5:
			f.flags = (uint8_t)rng_next(&rng);
			break;
		default:
			break;
		}
		exact = malloc(f.len ? f.len : 1); /* so that a byte too far shows */
		assert_non_null(exact);
		memcpy(exact, in->data, f.len);
		f.data = exact;
		if (f.len >= 14 && !offload_check(&f, &parsed)) {
			finished++;
			offload_finish(&f, &parsed, scratch, count_bytes, &bytes);
		}
		free(exact);
	}
	assert_in_range(finished, 2000, 19999);
	free(in);
}

static void emit_fails(void **state)
{
	const struct build tcp = {.payload = 4000, .mss = 1460};
	struct built *in = malloc(sizeof(*in));
	struct sink s = {.fail = -ENOBUFS};
	struct offload_frame parsed;

	(void)state;
	assert_non_null(in);
	build(in, &tcp);
	assert_int_equal(offload_check(&in->frame, &parsed), 0);
	assert_int_equal(offload_finish(&in->frame, &parsed, scratch, sink_emit, &s), -ENOBUFS);
	free(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums),	    cmocka_unit_test(zero_checksum),
		cmocka_unit_test(segments), cmocka_unit_test(checksum_only),
		cmocka_unit_test(hostile),  cmocka_unit_test(excess),
		cmocka_unit_test(damaged),  cmocka_unit_test(emit_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
