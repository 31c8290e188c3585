// SPDX-License-Identifier: BSD-3-Clause
/*
 * Feature negotiation: what is offered works, valid subsets are taken, invalid ones refused
 *
 * How it works. A refusal shows in one place alone, FEATURES_OK that reads back clear (or an errno
 * where the interface has one); so every check negotiates, reads, and where a set was taken proves
 * by traffic that it is in force. VIRTIO 6.2 lets a device insist on VERSION_1, ACCESS_PLATFORM and
 * ORDER_PLATFORM, so no subset leaves these out.
 */
#include "support.h"

/* VIRTIO 5.1.3.1 and 6: a feature that may not be without one (all: without each) of others */
static const struct {
	unsigned int bit;
	uint64_t needs;
	const char *name;
} dependencies[] = {
	{VC_NET_F_GUEST_TSO4, VC_BIT(VC_NET_F_GUEST_CSUM), "GUEST_TSO4 without GUEST_CSUM"},
	{VC_NET_F_GUEST_TSO6, VC_BIT(VC_NET_F_GUEST_CSUM), "GUEST_TSO6 without GUEST_CSUM"},
	{VC_NET_F_GUEST_UFO, VC_BIT(VC_NET_F_GUEST_CSUM), "GUEST_UFO without GUEST_CSUM"},
	{VC_NET_F_GUEST_USO4, VC_BIT(VC_NET_F_GUEST_CSUM), "GUEST_USO4 without GUEST_CSUM"},
	{VC_NET_F_GUEST_USO6, VC_BIT(VC_NET_F_GUEST_CSUM), "GUEST_USO6 without GUEST_CSUM"},
	{VC_NET_F_GUEST_ECN, VC_BIT(VC_NET_F_GUEST_TSO4) | VC_BIT(VC_NET_F_GUEST_TSO6),
	 "GUEST_ECN without GUEST_TSO4 and GUEST_TSO6"},
	{VC_NET_F_HOST_TSO4, VC_BIT(VC_NET_F_CSUM), "HOST_TSO4 without CSUM"},
	{VC_NET_F_HOST_TSO6, VC_BIT(VC_NET_F_CSUM), "HOST_TSO6 without CSUM"},
	{VC_NET_F_HOST_UFO, VC_BIT(VC_NET_F_CSUM), "HOST_UFO without CSUM"},
	{VC_NET_F_HOST_USO, VC_BIT(VC_NET_F_CSUM), "HOST_USO without CSUM"},
	{VC_NET_F_HOST_ECN, VC_BIT(VC_NET_F_HOST_TSO4) | VC_BIT(VC_NET_F_HOST_TSO6),
	 "HOST_ECN without HOST_TSO4 and HOST_TSO6"},
	{VC_NET_F_CTRL_RX, VC_BIT(VC_NET_F_CTRL_VQ), "CTRL_RX without CTRL_VQ"},
	{VC_NET_F_CTRL_VLAN, VC_BIT(VC_NET_F_CTRL_VQ), "CTRL_VLAN without CTRL_VQ"},
	{VC_NET_F_GUEST_ANNOUNCE, VC_BIT(VC_NET_F_CTRL_VQ), "GUEST_ANNOUNCE without CTRL_VQ"},
	{VC_NET_F_MQ, VC_BIT(VC_NET_F_CTRL_VQ), "MQ without CTRL_VQ"},
	{VC_NET_F_CTRL_MAC_ADDR, VC_BIT(VC_NET_F_CTRL_VQ), "CTRL_MAC_ADDR without CTRL_VQ"},
	{VC_NET_F_RSS, VC_BIT(VC_NET_F_CTRL_VQ), "RSS without CTRL_VQ"},
	{VC_NET_F_NOTF_COAL, VC_BIT(VC_NET_F_CTRL_VQ), "NOTF_COAL without CTRL_VQ"},
	{VC_NET_F_VQ_NOTF_COAL, VC_BIT(VC_NET_F_CTRL_VQ), "VQ_NOTF_COAL without CTRL_VQ"},
	{VC_NET_F_RSC_EXT, VC_BIT(VC_NET_F_HOST_TSO4) | VC_BIT(VC_NET_F_HOST_TSO6),
	 "RSC_EXT without HOST_TSO4 and HOST_TSO6"},
};

/* complete() - @features without those whose prerequisites are missing in it */
static uint64_t complete(uint64_t features)
{
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < ARRAY_LEN(dependencies); i++)
			if ((features & VC_BIT(dependencies[i].bit)) &&
			    !(features & dependencies[i].needs)) {
				features &= ~VC_BIT(dependencies[i].bit);
				again = true;
			}
	}
	return features;
}

CHECK(features, version_1_is_offered, .requirements = "VIO-RSVF-013",
      .summary = "VERSION_1 is offered")
{
	t_expect(t, offered_features(t) & VC_BIT(VC_F_VERSION_1),
		 "VERSION_1 (bit 32) must be offered, the offer is 0x%llx",
		 (unsigned long long)offered_features(t));
}

CHECK(features, offer_is_consistent,
      .requirements = "VIO-FEAT-007 VIO-NETF-002 VIO-NETF-003 VIO-NETF-004 VIO-NETF-005 "
		      "VIO-NETF-006 VIO-NETF-007",
      .summary = "no feature is offered without those that it depends on")
{
	const uint64_t offered = offered_features(t);

	for (size_t i = 0; i < ARRAY_LEN(dependencies); i++)
		t_expect(t,
			 !(offered & VC_BIT(dependencies[i].bit)) ||
				 (offered & dependencies[i].needs),
			 "the offer 0x%llx has %s", (unsigned long long)offered,
			 dependencies[i].name);
}

CHECK(features, no_reserved_bit_is_offered, .requirements = "VIO-FEAT-010",
      .summary = "no feature bit is offered that VIRTIO reserves")
{
	/* VIRTIO 2.2: 44 to 49; 6.1: 25, 26 and 31 (26 and 30 are vhost's own, between processes)
	 */
	const uint64_t reserved = 0x3full << 44 | VC_BIT(25) | VC_BIT(26) | VC_BIT(31);
	const uint64_t offered = offered_features(t);

	t_expect(t, !(offered & reserved),
		 "feature bits 0x%llx are reserved and must not be offered, the offer is 0x%llx",
		 (unsigned long long)(offered & reserved), (unsigned long long)offered);
}

/*
 * traffic_with() - accept exactly @features, look that it works
 *
 * A driver that declines MAC has an address that the device does not know, and may filter out.
 */
static void traffic_with(struct test *t, uint64_t features, unsigned int n)
{
	struct net *net;

	t_step(t, "accept 0x%llx", (unsigned long long)features);
	if (t_has_feature(t, VC_NET_F_MAC) && !(features & VC_BIT(VC_NET_F_MAC))) {
		t_expect(t, negotiate(t, features),
			 "the features 0x%llx are a valid subset and must be accepted, FEATURES_OK "
			 "reads back clear",
			 (unsigned long long)features);
		return;
	}
	net = net_up(t, &(struct net_options){.want = features, .exact = true});
	io_run(net, n, NULL);
	net_down(net);
}

CHECK(features, whole_offer_works, .requirements = "VIO-FEAT-010 VIO-FEAT-008 OPS-FEAT-004",
      .summary = "everything that is offered can be taken at once, and traffic runs",
      .needs = CAP_TRAFFIC)
{
	const uint64_t offered = offered_features(t);

	t_expect(t, negotiate(t, offered),
		 "the whole offer 0x%llx must be accepted, FEATURES_OK reads back clear",
		 (unsigned long long)offered);
	traffic_with(t, offered & ~beyond_us, 64);
	traffic_with(t, offered & ~beyond_us & ~VC_BIT(VC_F_RING_PACKED), 64);
}

CHECK(features, each_may_be_declined, .requirements = "VIO-FEAT-008 OPS-FEAT-004",
      .summary = "every offered feature may be declined, one at a time, and traffic runs",
      .needs = CAP_TRAFFIC, .timeout_ms = SLOW_MS)
{
	const uint64_t offered = offered_features(t) & ~beyond_us;

	for (unsigned int bit = 0; bit < 64; bit++) {
		if (!(offered & VC_BIT(bit)) || (required_features(offered) & VC_BIT(bit)))
			continue;
		traffic_with(t, complete(offered & ~VC_BIT(bit)), 8);
	}
	traffic_with(t, required_features(offered), 8);
	traffic_with(t, required_features(offered) | (offered & VC_BIT(VC_NET_F_MAC)), 8);
}

CHECK(features, random_subsets_work, .requirements = "VIO-FEAT-008 OPS-FEAT-004",
      .summary = "valid subsets by chance are accepted, and traffic runs", .needs = CAP_TRAFFIC,
      .timeout_ms = SLOW_MS)
{
	const uint64_t offered = offered_features(t) & ~beyond_us;

	for (unsigned int i = 0; i < 12; i++)
		traffic_with(t,
			     complete((offered & (t_random(t) | VC_BIT(VC_NET_F_MAC))) |
				      required_features(offered)),
			     8);
}

/* refused() - @features must be refused, and a good set taken afterwards */
static void refused(struct test *t, uint64_t features, const char *why)
{
	t_expect(t, !negotiate(t, features),
		 "driver features 0x%llx are %s: FEATURES_OK must read back clear, it is set",
		 (unsigned long long)features, why);
}

CHECK(features, not_offered_is_refused,
      .requirements = "VIO-FEAT-009 OPS-FEAT-002 VDPA-STAT-004 IFC-FEAT-001",
      .summary = "a set with a feature that was not offered is refused by FEATURES_OK",
      .timeout_ms = SLOW_MS)
{
	const uint64_t offered = offered_features(t);
	unsigned int tried = 0;

	for (unsigned int bit = 0; bit < 64; bit++) {
		if (offered & VC_BIT(bit))
			continue;
		t_step(t, "take feature %u, which is not offered", bit);
		refused(t, required_features(offered) | VC_BIT(bit), "more than was offered");
		tried++;
	}
	if (!tried)
		t_skip(t, SKIP_FEATURE, "all 64 features are offered");
}

CHECK(features, missing_prerequisite_is_refused, .requirements = "VIO-FEAT-009 OPS-FEAT-002",
      .summary = "a feature without those that it depends on is refused by FEATURES_OK")
{
	const uint64_t offered = offered_features(t);
	unsigned int tried = 0;

	for (size_t i = 0; i < ARRAY_LEN(dependencies); i++) {
		if (!(offered & VC_BIT(dependencies[i].bit)))
			continue;
		t_step(t, "take %s", dependencies[i].name);
		refused(t, required_features(offered) | VC_BIT(dependencies[i].bit),
			dependencies[i].name);
		tried++;
	}
	if (!tried)
		t_skip(t, SKIP_FEATURE, "no feature is offered that depends on another");
}

CHECK(features, refusal_ends_with_reset, .requirements = "OPS-FEAT-004 VIO-STATUS-009",
      .summary = "after a refused set and a reset a good set is accepted, and traffic runs",
      .needs = CAP_TRAFFIC)
{
	const uint64_t offered = offered_features(t);
	const uint64_t not_offered = ~offered & -~offered;

	if (!not_offered)
		t_skip(t, SKIP_FEATURE, "all 64 features are offered");
	if (negotiate(t, required_features(offered) | not_offered))
		t_skip(t, SKIP_FEATURE, "the device refuses nothing");
	t_step(t, "it was refused; reset, accept what is good");
	io_run(net_up(t, NULL), 16, NULL);
}

CHECK(features, no_change_after_features_ok, .requirements = "VIO-FEAT-012 VDPA-FEAT-002",
      .summary = "features written after FEATURES_OK change nothing", .needs = CAP_TRAFFIC,
      .features = VC_BIT(VC_F_INDIRECT_DESC))
{
	struct net *net =
		net_up(t, &(struct net_options){.indirect = true, .last = NET_FEATURES_OK});
	uint64_t seen = 0;

	t_step(t, "FEATURES_OK with INDIRECT_DESC; then write driver features without it");
	if (!parent_set_driver_features(net->p, required_features(net->offered)) &&
	    (net->p->caps & CAP_DRIVER_FEATURES)) {
		t_ok(t, parent_get_driver_features(net->p, &seen));
		t_expect(t, seen == net->features,
			 "after FEATURES_OK driver features must stay 0x%llx, they read 0x%llx",
			 (unsigned long long)net->features, (unsigned long long)seen);
	}
	net_continue(net, NET_ALL);
	t_step(t, "send through indirect tables");
	for (uint32_t i = 0; i < 8; i++)
		hand_send(net, 0, HAND_FLOW, i, NET_SEND_INDIRECT);
	hand_wire(net, HAND_FLOW, 0, 8);
	net_drain(net);
}

CHECK(features, offer_is_constant, .requirements = "OPS-FEAT-001 VIO-FEAT-011 VIO-FEAT-012",
      .summary = "the offer is the same whatever was accepted, in every state and after resets")
{
	const uint64_t offered = offered_features(t);
	const uint64_t takes[] = {required_features(offered), complete(offered),
				  required_features(offered)};
	static const enum net_step steps[] = {NET_ACKNOWLEDGE, NET_DRIVER, NET_FEATURES_OK,
					      NET_DRIVER_OK};

	for (size_t i = 0; i < ARRAY_LEN(takes); i++) {
		struct net *net = net_up(t, &(struct net_options){.want = takes[i],
								  .exact = true,
								  .last = NET_RESET});

		for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
			net_continue(net, steps[k]);
			t_expect_eq(t, offered_features(t), offered,
				    "features offered (they never change)");
		}
		net_down(net);
	}
	t_expect_eq(t, offered_features(t), offered, "features offered after resets");
}

CHECK(features, driver_features_read_back, .requirements = "OPS-FEAT-003 VIO-PCI-033 IFC-FEAT-003",
      .summary = "driver features read back as accepted, also while running, and 0 after a reset",
      .needs = CAP_DRIVER_FEATURES)
{
	static const enum net_step steps[] = {NET_FEATURES, NET_FEATURES_OK, NET_DRIVER_OK};
	struct net *net = net_up(t, &(struct net_options){.last = NET_RESET});
	uint64_t seen = 1;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		net_continue(net, steps[i]);
		t_ok(t, parent_get_driver_features(net->p, &seen));
		t_expect_eq(t, seen, net->features, "driver features read back");
	}
	net_down(net);
	t_ok(t, parent_get_driver_features(t_parent(t), &seen));
	t_expect_eq(t, seen, 0, "driver features after a reset");
}

CHECK(features, renegotiated_after_reset, .requirements = "VIO-FEAT-012 VIO-FEAT-011 OPS-FEAT-003",
      .summary = "after a reset other features may be agreed upon, and are in force",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_INDIRECT_DESC))
{
	for (unsigned int i = 0; i < 3; i++) {
		struct net *net =
			net_up(t, &(struct net_options){
					  .indirect = i % 2,
					  .unwant = i % 2 ? 0 : VC_BIT(VC_NET_F_MRG_RXBUF),
				  });

		if (i % 2)
			for (uint32_t k = 0; k < 4; k++) {
				hand_send(net, 0, HAND_FLOW, k, NET_SEND_INDIRECT);
				hand_wire(net, HAND_FLOW, k, 1);
			}
		io_run(net, 16, NULL);
		net_down(net);
	}
}
