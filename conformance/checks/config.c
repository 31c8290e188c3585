// SPDX-License-Identifier: BSD-3-Clause
/*
 * Device configuration space: readable, consistent, and announced when it changes
 *
 * How it works. What a field may hold is in VIRTIO 5.1.4; what it does hold is compared across
 * widths, states and lives of the device. Changes are made from outside (the link) and by the
 * driver's own commands, and both the interrupt and the generation are looked at.
 */
#include "support.h"

#include <endian.h>
#include <string.h>

#define CONFIG_MAX 64u

static uint32_t config_size(struct test *t)
{
	uint32_t size = 0;

	t_ok(t, parent_get_config_size(t_parent(t), &size));
	return size;
}

/* The part that a check reads in every way: a larger space than VIRTIO's is cut. */
static uint32_t part_size(struct test *t)
{
	const uint32_t size = config_size(t);

	return size < CONFIG_MAX ? size : CONFIG_MAX;
}

static bool offers(struct test *t, unsigned int bit)
{
	return t_has_feature(t, bit);
}

CHECK(config, size_covers_features,
      .requirements = "OPS-CFG-001 VDPA-CFG-001 VIO-PCI-059 IFC-CFG-002",
      .summary = "configuration space is long enough for every field of an offered feature")
{
	static const struct {
		unsigned int bit;
		uint32_t end;
		const char *field;
	} fields[] = {
		{VC_NET_F_MAC, 6, "mac"},
		{VC_NET_F_STATUS, 8, "status"},
		{VC_NET_F_MQ, 10, "max_virtqueue_pairs"},
		{VC_NET_F_MTU, 12, "mtu"},
		{VC_NET_F_SPEED_DUPLEX, 17, "speed and duplex"},
		{VC_NET_F_RSS, 24, "rss_max_key_size and what follows"},
		{VC_NET_F_HASH_REPORT, 24, "supported_hash_types"},
	};
	const uint32_t size = config_size(t);

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		t_expect(t, !offers(t, fields[i].bit) || size >= fields[i].end,
			 "feature %u is offered, so configuration space must reach to the end of "
			 "%s, offset %u; it has %u bytes",
			 fields[i].bit, fields[i].field, fields[i].end, size);
}

CHECK(config, fields_in_range,
      .requirements =
	      "VIO-NETC-001 VIO-NETC-002 VIO-NETC-007 VIO-NETC-008 VIO-NETC-010 VIO-NETC-011 VIO-NETC-027 VIO-CFG-006 "
	      "VIO-NETF-010 OPS-GEN-004",
      .summary = "mac, pairs, mtu, speed and duplex hold what they may hold")
{
	const struct parent *p = t_parent(t);
	struct vc_net_config c = {.duplex = 0xff};
	const uint32_t size = config_size(t);
	unsigned int queues = 0;

	t_ok(t, parent_get_config(t_parent(t), 0, &c, size < sizeof(c) ? size : sizeof(c)));
	if (offers(t, VC_NET_F_MAC)) {
		static const uint8_t none[6];

		t_expect(t, !(c.mac[0] & 1) && memcmp(c.mac, none, 6),
			 "mac must be a unicast address other than 0, it begins with %02x:%02x",
			 c.mac[0], c.mac[1]);
	}
	t_ok(t, parent_get_vq_count(t_parent(t), &queues));
	if (offers(t, VC_NET_F_MQ) || offers(t, VC_NET_F_RSS)) {
		const unsigned int pairs = le16toh(c.max_virtqueue_pairs);

		t_expect(t, pairs >= 1 && pairs <= 0x8000,
			 "max_virtqueue_pairs must be 1 to 0x8000, it is %u", pairs);
		t_expect(t, queues >= 2 * pairs + (offers(t, VC_NET_F_CTRL_VQ) ? 1 : 0),
			 "max_virtqueue_pairs is %u, so with the control queue there must be %u "
			 "queues; %s has %u",
			 pairs, 2 * pairs + 1, p->info.kind, queues);
	}
	if (offers(t, VC_NET_F_RSS) || offers(t, VC_NET_F_HASH_REPORT))
		t_expect(t, c.rss_max_key_size >= 40,
			 "rss_max_key_size must be at least 40, it is %u", c.rss_max_key_size);
	if (offers(t, VC_NET_F_RSS))
		t_expect(t, le16toh(c.rss_max_indirection_table_length) >= 128,
			 "rss_max_indirection_table_length must be at least 128, it is %u",
			 le16toh(c.rss_max_indirection_table_length));
	if (offers(t, VC_NET_F_MTU)) {
		t_expect(t, le16toh(c.mtu) >= 68, "mtu must be at least 68, it is %u",
			 le16toh(c.mtu));
		t_note(t, "mtu %u: at least 1280 %sobserved", le16toh(c.mtu),
		       le16toh(c.mtu) >= 1280 ? "" : "not ");
	}
	if (offers(t, VC_NET_F_SPEED_DUPLEX)) {
		const uint32_t speed = le32toh(c.speed);

		t_expect(t, speed <= INT32_MAX || speed == UINT32_MAX,
			 "speed must be at most 0x7fffffff or 0xffffffff (unknown), it is 0x%x",
			 speed);
		t_expect(t, c.duplex <= 1 || c.duplex == 0xff,
			 "duplex must be 0, 1 or 0xff (unknown), it is %u", c.duplex);
	}
}

CHECK(config, readable_in_every_state, .requirements = "VIO-CFG-005 OPS-CFG-001 VDPA-CFG-003",
      .summary = "configuration reads the same before FEATURES_OK, after it, and while running")
{
	static const enum net_step steps[] = {NET_RESET,    NET_ACKNOWLEDGE, NET_DRIVER,
					      NET_FEATURES, NET_FEATURES_OK, NET_DRIVER_OK};
	const uint64_t offered = offered_features(t);
	const uint64_t take[] = {
		net_features_default(offered, &(struct net_options){.pairs = 1}),
		required_features(offered),
		net_features_default(offered, &(struct net_options){.want = ~beyond_us}),
	};
	const uint32_t size = part_size(t);
	uint8_t want[CONFIG_MAX], seen[CONFIG_MAX];

	t_ok(t, parent_get_config(t_parent(t), 0, want, size));
	for (size_t k = 0; k < ARRAY_LEN(take); k++) {
		struct net *net = net_up(t, &(struct net_options){.last = NET_RESET,
								  .exact = true,
								  .want = take[k]});

		for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
			net_continue(net, steps[i]);
			net_config(net, 0, seen, size);
			for (uint32_t at = 0; at < size; at++)
				t_expect(
					t, seen[at] == want[at],
					"configuration byte %u must read 0x%02x in every state, with "
					"status 0x%02x it reads 0x%02x",
					at, want[at], get_status(t), seen[at]);
		}
		net_down(net);
	}
}

CHECK(config, every_range_reads, .requirements = "OPS-CFG-002 VDPA-CFG-003 VIO-CFG-005 VIO-CFG-006",
      .summary = "every offset and length inside the space reads, the last byte too, and agrees",
      .timeout_ms = SLOW_MS)
{
	const uint32_t size = part_size(t);
	uint8_t want[CONFIG_MAX], seen[CONFIG_MAX];
	struct net *net = net_up(t, NULL);

	net_config(net, 0, want, size);
	for (uint32_t off = 0; off < size; off++)
		for (uint32_t len = 1; len <= size - off; len++) {
			/* short ones, and what reaches to the end: a guest's reads are slow */
			if (len > 8 && len != size - off)
				continue;
			memset(seen, 0xa5, sizeof(seen));
			net_config(net, off, seen, len);
			t_expect(t, !memcmp(seen, want + off, len),
				 "%u bytes of configuration at %u must read as they do with the "
				 "whole space (byte %u is 0x%02x)",
				 len, off, off, want[off]);
			t_expect(t, len == size || seen[len] == 0xa5,
				 "reading %u bytes of configuration at %u wrote more", len, off);
		}
}

CHECK(config, constants_stay, .requirements = "VIO-NETC-004 OPS-CFG-001",
      .summary = "mtu, pairs, and the MAC address are the same in every life of the device",
      .needs = CAP_TRAFFIC)
{
	struct vc_net_config first = {0}, c = {0};
	const uint32_t size = config_size(t) < sizeof(c) ? config_size(t) : (uint32_t)sizeof(c);

	t_ok(t, parent_get_config(t_parent(t), 0, &first, size));
	for (unsigned int i = 0; i < 3; i++) {
		const unsigned int pairs = le16toh(first.max_virtqueue_pairs);
		const bool mq = offers(t, VC_NET_F_MQ) && offers(t, VC_NET_F_CTRL_VQ) && pairs > 1;
		struct net *net = net_up(t, &(struct net_options){.pairs = mq ? 2 : 1});

		io_run(net, 8, NULL);
		if (mq) {
			t_step(t, "one queue pair by VQ_PAIRS_SET");
			t_expect(t, net_set_pairs(net, 1) == VC_NET_OK,
				 "VQ_PAIRS_SET with 1 must be acknowledged");
		}
		net_config(net, 0, &c, size);
		t_expect(t, c.mtu == first.mtu, "mtu must never change, it was %u and is %u",
			 le16toh(first.mtu), le16toh(c.mtu));
		t_expect(t, c.max_virtqueue_pairs == first.max_virtqueue_pairs,
			 "max_virtqueue_pairs must not change, it was %u and is %u",
			 le16toh(first.max_virtqueue_pairs), le16toh(c.max_virtqueue_pairs));
		t_expect(t, !memcmp(c.mac, first.mac, 6), "mac must not change by itself");
		net_down(net);
	}
}

CHECK(config, read_only, .requirements = "OPS-CFG-004 VDPA-CFG-006",
      .summary = "writes change no field: a modern network device has none that may be written",
      .needs = CAP_SET_CONFIG)
{
	const uint32_t size = part_size(t);
	uint8_t want[CONFIG_MAX], seen[CONFIG_MAX];
	struct net *net = net_up(t, NULL);

	net_config(net, 0, want, size);
	for (uint32_t at = 0; at < size; at++) {
		const uint8_t other = (uint8_t)~want[at];

		/* an errno is an answer as well */
		parent_set_config(net->p, at, &other, 1);
		net_config(net, 0, seen, size);
		t_expect(t, !memcmp(seen, want, size),
			 "configuration byte %u may not be changed by a driver, it was", at);
	}
}

/* ---- Changes ------------------------------------------------------------------------------------
 */

static void pull(struct net *net, bool up)
{
	t_step(net->t, "link %s", up ? "up" : "down");
	t_ok(net->t, parent_set_link(net->p, up));
}

CHECK(config, link_change_interrupts,
      .requirements = "VIO-CFG-007 OPS-CFG-006 VDPA-CFG-007 VIO-NETC-028",
      .summary = "a change of the link interrupts, and status then says how it is",
      .needs = CAP_LINK_CONTROL | CAP_CONFIG_CALL, .features = VC_BIT(VC_NET_F_STATUS))
{
	struct net *net = net_up(t, NULL);

	t_ok(t, parent_settle(net->p));
	net_config_calls(net);
	t_expect(t, net_config16(net, VC_NET_CFG_STATUS) & VC_NET_S_LINK_UP,
		 "the link is up and status must say so");
	for (unsigned int i = 0; i < 4; i++) {
		const uint16_t want = i % 2 ? VC_NET_S_LINK_UP : 0;

		pull(net, want);
		t_expect(t, net_wait_config_call(net, 0),
			 "a change of the link must interrupt, none came");
		t_expect_eq(t, net_config16(net, VC_NET_CFG_STATUS) & VC_NET_S_LINK_UP, want,
			    "link bit of status after the interrupt");
		t_ok(t, parent_settle(net->p));
		net_config_calls(net);
	}
}

CHECK(config, link_returns_with_traffic, .requirements = "VIO-NETC-028 VIO-CFG-007",
      .summary = "traffic runs again once the link is back", .needs = CAP_LINK_CONTROL | CAP_PEER,
      .features = VC_BIT(VC_NET_F_STATUS))
{
	struct net *net = net_up(t, NULL);

	io_run(net, 16, NULL);
	pull(net, false);
	t_ok(t, parent_settle(net->p));
	pull(net, true);
	t_ok(t, parent_settle(net->p));
	io_run(net, 16, NULL);
}

/* generation() - of the configuration, as it reads now */
static uint32_t generation(struct net *net)
{
	uint32_t value = 0;

	t_ok(net->t, parent_get_generation(net->p, &value));
	return value;
}

CHECK(config, generation_follows_link,
      .requirements = "VIO-GEN-002 VIO-PCI-035 IFC-CFG-001 OPS-CFG-005",
      .summary = "the generation changes when the link does, and only a change makes it differ",
      .needs = CAP_LINK_CONTROL | CAP_GENERATION, .features = VC_BIT(VC_NET_F_STATUS))
{
	struct net *net = net_up(t, NULL);

	for (unsigned int i = 0; i < 6; i++) {
		const uint32_t before = generation(net);
		uint16_t status = net_config16(net, VC_NET_CFG_STATUS);

		t_expect_eq(t, generation(net), before, "generation, as nothing has changed,");
		pull(net, i % 2);
		t_ok(t, parent_settle(net->p));
		if (net_config16(net, VC_NET_CFG_STATUS) == status)
			continue; /* another check's business */
		t_expect(t, generation(net) != before,
			 "status changed between two reads of the generation: it must differ, both "
			 "are %u",
			 before);
	}
}

CHECK(config, generation_follows_command, .requirements = "VIO-GEN-002 VIO-PCI-035 OPS-CFG-005",
      .summary = "the generation changes when a command changes the MAC address",
      .needs = CAP_GENERATION,
      .features = VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_CTRL_MAC_ADDR) | VC_BIT(VC_NET_F_MAC))
{
	uint8_t mac[6], was[6];
	struct net *net = net_up(t, NULL);

	for (uint8_t i = 0; i < 3; i++) {
		const uint32_t before = generation(net);

		net_config(net, VC_NET_CFG_MAC, was, 6);
		memcpy(mac, was, 6);
		mac[5] ^= (uint8_t)(1u << i);
		t_expect(t,
			 net_ctrl(net, VC_NET_CTRL_MAC, VC_NET_CTRL_MAC_ADDR_SET, mac, 6) ==
				 VC_NET_OK,
			 "a new MAC address must be accepted with CTRL_MAC_ADDR");
		net_config(net, VC_NET_CFG_MAC, mac, 6);
		t_expect(t, !memcmp(mac, was, 6) || generation(net) != before,
			 "mac changed between two reads of the generation: it must differ, both "
			 "are %u",
			 before);
	}
}
