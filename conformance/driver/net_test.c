// SPDX-License-Identifier: BSD-3-Clause
/*
 * Header sizes, features, frames and checksums; the driver at work is tested by the checks on sim:
 */
#include "fake_test.h"

#include "../spec.h"
#include "net.h"

static struct net_frame frame, copy;

static void open_net(struct net *net, struct test *t, struct fake_parent *f)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};

	fake_open(t, f, 3);
	memset(net, 0, sizeof(*net));
	net->t = t;
	net->p = &f->p;
	memcpy(net->mac, mac, 6);
	net->features = VC_BIT(VC_NET_F_MAC);
}

static void test_header_length(void **state)
{
	const uint64_t v1 = VC_BIT(VC_F_VERSION_1), mrg = VC_BIT(VC_NET_F_MRG_RXBUF);

	(void)state;
	assert_int_equal(net_hdr_len(0), 10);
	assert_int_equal(net_hdr_len(mrg), 12);
	assert_int_equal(net_hdr_len(v1), 12);
	assert_int_equal(net_hdr_len(v1 | mrg), 12);
	assert_int_equal(net_hdr_len(v1 | VC_BIT(VC_NET_F_HASH_REPORT)), 20);
}

static void test_features(void **state)
{
	const uint64_t all = ~UINT64_C(0);
	struct net_options o = {0};
	uint64_t f;

	(void)state;
	f = net_features_default(all, &o);
	assert_true(f & VC_BIT(VC_F_VERSION_1));
	assert_true(f & VC_BIT(VC_F_ACCESS_PLATFORM));
	assert_true(f & VC_BIT(VC_NET_F_CTRL_VQ));
	assert_false(f & VC_BIT(VC_F_RING_PACKED));
	assert_false(f & VC_BIT(VC_F_EVENT_IDX));
	assert_false(f & VC_BIT(VC_NET_F_MQ));
	/* nothing that is not offered */
	assert_int_equal(net_features_default(0, &o), 0);
	/* prerequisites fall with what they stand on, however deep */
	o.want = VC_BIT(VC_NET_F_HOST_ECN) | VC_BIT(VC_NET_F_HOST_TSO4) | VC_BIT(VC_NET_F_MQ);
	f = net_features_default(all, &o);
	assert_false(f & (VC_BIT(VC_NET_F_HOST_ECN) | VC_BIT(VC_NET_F_HOST_TSO4)));
	o.want |= VC_BIT(VC_NET_F_CSUM);
	f = net_features_default(all, &o);
	assert_true(f & VC_BIT(VC_NET_F_HOST_ECN));
	o.unwant = VC_BIT(VC_NET_F_CTRL_VQ);
	f = net_features_default(all, &o);
	assert_false(f & (VC_BIT(VC_NET_F_MQ) | VC_BIT(VC_NET_F_CTRL_RX) |
			  VC_BIT(VC_NET_F_CTRL_MAC_ADDR)));
	/* formats and rings */
	o = (struct net_options){.format = NET_PACKED,
				 .event_idx = true,
				 .indirect = true,
				 .in_order = true,
				 .notification_data = true,
				 .pairs = 2};
	f = net_features_default(all, &o);
	assert_true(f & VC_BIT(VC_F_RING_PACKED));
	assert_true(f & VC_BIT(VC_F_EVENT_IDX));
	assert_true(f & VC_BIT(VC_F_INDIRECT_DESC));
	assert_true(f & VC_BIT(VC_F_IN_ORDER));
	assert_true(f & VC_BIT(VC_F_NOTIFICATION_DATA));
	assert_true(f & VC_BIT(VC_NET_F_MQ));
	o = (struct net_options){.exact = true, .want = 0xff};
	assert_int_equal(net_features_default(0x0f, &o), 0x0f);
	o.unchecked = true;
	assert_int_equal(net_features_default(0x0f, &o), 0xff);
}

static void test_frames(void **state)
{
	struct test t;
	static struct fake_parent f;
	struct net net;
	const char *why;
	unsigned int flow;
	uint32_t seq;

	(void)state;
	open_net(&net, &t, &f);
	for (uint32_t len = 60; len <= 1514; len += 1 + len / 7) {
		net_frame_make(&net, &frame, 12, 0x80000001 + len, len);
		assert_int_equal(frame.len, len);
		assert_memory_equal(frame.data, net.mac, 6);
		assert_true(net_frame_parse(&frame, &flow, &seq, &why));
		assert_int_equal(flow, 12);
		assert_int_equal(seq, 0x80000001 + len);
		/* every single damaged byte is seen */
		for (uint32_t at = 0; at < len; at++) {
			memcpy(&copy, &frame, offsetof(struct net_frame, data) + len);
			copy.data[at] ^= 0x10;
			assert_false(net_frame_parse(&copy, &flow, &seq, &why));
			assert_non_null(why);
		}
		memcpy(&copy, &frame, offsetof(struct net_frame, data) + len);
		copy.len--;
		assert_false(net_frame_parse(&copy, &flow, &seq, &why));
		copy.len += 2;
		assert_false(net_frame_parse(&copy, &flow, &seq, &why));
	}
	net_frame_make(&net, &frame, 0, 0, 1);
	assert_int_equal(frame.len, 60);
	net_frame_make(&net, &frame, 0, 0, UINT32_MAX);
	assert_int_equal(frame.len, NET_FRAME_MAX);
	frame.len = 0;
	assert_false(net_frame_parse(&frame, &flow, &seq, &why));
}

/* an IPv4 header whose checksum (0xb861) is in every textbook, UDP without a checksum behind it */
static void test_known_checksum(void **state)
{
	static const uint8_t ip[] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
				     0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};

	(void)state;
	memset(&frame, 0, sizeof(frame));
	frame.data[12] = 0x08;
	memcpy(frame.data + 14, ip, sizeof(ip));
	frame.len = 14 + 0x73;
	assert_true(net_csum_ok(&frame));
	frame.data[14 + 8]++;
	assert_false(net_csum_ok(&frame));
}

/* a UDP datagram worked out by hand: "Hi" from 10.0.0.1:1 to 10.0.0.2:2 */
static void test_known_udp(void **state)
{
	static const uint8_t l3[] = {0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0x66, 0xcd, 10,  0,  0, 1,
				     10,   0, 0, 2,  0, 1, 0, 2, 0,  10, 0xa3, 0x6b, 'H', 'i'};

	(void)state;
	memset(&frame, 0, sizeof(frame));
	frame.data[12] = 0x08;
	memcpy(frame.data + 14, l3, sizeof(l3));
	frame.len = 14 + sizeof(l3);
	assert_true(net_csum_ok(&frame));
	frame.data[14 + 29] ^= 1;
	assert_false(net_csum_ok(&frame));
}

static void checksum_cases(struct net *net)
{
	(void)net;
	assert_true(net_csum_ok(&frame));
	for (uint32_t at = 14; at < frame.len; at += 1 + at / 40) {
		copy = frame;
		copy.data[at] ^= 0x20;
		/* not every byte is covered (IPv6's hop limit), but the payload is */
		if (at > 60 || (copy.data[12] == 0x08 && at != 14))
			assert_false(net_csum_ok(&copy));
	}
	copy = frame;
	net_csum_partial(&copy);
	assert_int_equal(copy.hdr.flags, VC_NET_HDR_F_NEEDS_CSUM);
	assert_true(net_csum_ok(&copy));
	/* finishing it as a device would gives the complete frame */
	{
		const uint32_t start = copy.hdr.csum_start;
		uint32_t sum = 0;

		for (uint32_t at = start; at < copy.len; at++)
			sum += (uint32_t)copy.data[at] << ((at - start) % 2 ? 0 : 8);
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		sum = ~sum & 0xffff;
		copy.data[start + copy.hdr.csum_offset] = (uint8_t)(sum >> 8);
		copy.data[start + copy.hdr.csum_offset + 1] = (uint8_t)sum;
	}
	assert_memory_equal(copy.data, frame.data, frame.len);
}

static void test_checksums(void **state)
{
	struct test t;
	static struct fake_parent f;
	struct net net;

	(void)state;
	open_net(&net, &t, &f);
	for (uint32_t len = 0; len < 3000; len = 2 * len + 1) {
		net_frame_udp(&net, &frame, len, len);
		checksum_cases(&net);
		net_frame_tcp(&net, &frame, len, len, false);
		checksum_cases(&net);
		net_frame_tcp(&net, &frame, len, len, true);
		checksum_cases(&net);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_length), cmocka_unit_test(test_features),
		cmocka_unit_test(test_frames),	      cmocka_unit_test(test_known_checksum),
		cmocka_unit_test(test_known_udp),     cmocka_unit_test(test_checksums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
