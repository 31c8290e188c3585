// SPDX-License-Identifier: BSD-3-Clause
/*
 * Reset: status reaches 0, then nothing more happens, and everything is as new
 *
 * How it works. After a reset the memory of the old rings stays mapped, so that a late DMA shows in
 * a snapshot and a late interrupt in an eventfd. What "as new" means is compared with the device's
 * own first life in the same check: which frames it receives, on which queue, with which address.
 */
#include "support.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ---- Status and silence ------------------------------------------------------------------------
 */

CHECK(reset, works_in_every_state,
      .requirements =
	      "VIO-RESET-001 VIO-STATUS-009 OPS-RST-001 OPS-RST-003 IFC-RST-001 VIO-PCI-037 "
	      "VDPA-STAT-003",
      .summary = "a reset succeeds in every state, twice too, and the device works again",
      .needs = CAP_TRAFFIC, .timeout_ms = SLOW_MS)
{
	static const enum net_step steps[] = {NET_RESET,    NET_ACKNOWLEDGE, NET_DRIVER,
					      NET_FEATURES, NET_FEATURES_OK, NET_QUEUES,
					      NET_READY,    NET_DRIVER_OK};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct net *net;

		t_step(t, "up to step %d, then reset twice", steps[i]);
		net = net_up(t, &(struct net_options){.last = steps[i]});
		net_down(net);
		t_ok(t, parent_reset(t_parent(t)));
		t_expect_eq(t, get_status(t), 0, "status after a second reset");
		net = net_up(t, NULL);
		io_run(net, 4, NULL);
		net_down(net);
	}
}

CHECK(reset, ends_with_work_waiting,
      .requirements = "VIO-RESET-001 IFC-RST-001 OPS-RST-001 VIO-PCI-037",
      .summary = "status reaches 0 although frames wait for receive buffers and for being sent",
      .needs = CAP_PEER)
{
	struct net *net = net_up(t, &(struct net_options){.rx_count = NET_RX_NONE});

	t_step(t, "let frames arrive that find no buffer, offer frames without a doorbell, reset");
	for (uint32_t i = 0; i < 8; i++)
		hand_inject(net, HAND_FLOW + 1, i);
	t_ok(t, parent_settle(net->p));
	for (uint32_t i = 0; i < 8; i++)
		hand_send(net, 0, HAND_FLOW, i, NET_SEND_NO_KICK);
	net_down(net);
	t_expect_eq(t, get_status(t), 0, "status after a reset");
	t_step(t, "nothing of it is left");
	net = net_up(t, NULL);
	hand_wire_silent(net, HAND_FLOW, "that was offered before a reset,");
	t_expect(t, !vring_pending(net->rx[0]),
		 "a frame that arrived before a reset was received after it");
	io_run(net, 4, NULL);
}

/*
 * busy() - a device in the middle of traffic: doorbells rung and nothing waited for. What a driver
 * does next is what the check is about.
 */
static struct net *busy(struct test *t)
{
	struct net *net = net_up(t, NULL);

	io_run(net, 16, NULL);
	for (uint32_t i = 0; i < 32; i++) {
		hand_send(net, 0, HAND_FLOW, i, 0);
		if (net_has_peer(net) && i % 2)
			hand_inject(net, HAND_FLOW + 1, i);
	}
	return net;
}

CHECK(reset, no_dma_after, .requirements = "VIO-RESET-003 OPS-RST-001 VIO-CLEAN-003",
      .summary = "once status reads 0 the device writes no memory", .needs = CAP_TRAFFIC)
{
	for (unsigned int round = 0; round < 4; round++) {
		struct net *net = busy(t);
		struct dma_snapshot *snap;
		uint64_t iova = 0;
		size_t n;

		t_step(t, "reset in the middle of traffic");
		t_ok(t, parent_reset(net->p));
		snap = dma_snapshot(net->dma, NULL);
		if (net_has_peer(net))
			hand_inject(net, HAND_FLOW + 1, 100);
		t_ok(t, parent_settle(net->p));
		n = dma_changed(snap, &iova, 1);
		t_expect(t, !n,
			 "after a reset no memory may be written, %zu pages changed, the first at "
			 "IOVA 0x%llx",
			 n, (unsigned long long)iova);
		dma_snapshot_free(snap);
		if (net_has_peer(net))
			drain_wire(net);
		net_down(net);
	}
}

CHECK(reset, no_interrupt_after, .requirements = "VIO-RESET-002 OPS-RST-001",
      .summary = "once status reads 0 no queue interrupts", .needs = CAP_TRAFFIC)
{
	for (unsigned int round = 0; round < 4; round++) {
		struct net *net = busy(t);

		t_step(t, "reset in the middle of traffic");
		t_ok(t, parent_reset(net->p));
		forget_calls(net);
		if (net_has_peer(net))
			hand_inject(net, HAND_FLOW + 1, 100);
		expect_no_calls(net, "after a reset");
		if (net_has_peer(net))
			drain_wire(net);
		net_down(net);
	}
}

CHECK(reset, no_config_interrupt_until_driver_ok, .requirements = "VIO-RESET-002 OPS-CFG-006",
      .summary = "after a reset a change of the link interrupts only once the driver is back",
      .needs = CAP_LINK_CONTROL | CAP_CONFIG_CALL, .features = VC_BIT(VC_NET_F_STATUS))
{
	struct net *net = net_up(t, NULL);
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t n = 0;

	if (fd < 0)
		t_broken(t, "no eventfd can be made");
	net_down(net);
	t_step(t, "reset; prepare the configuration interrupt; pull the link");
	t_ok(t, parent_set_config_call(t_parent(t), fd));
	t_ok(t, parent_set_link(t_parent(t), false));
	t_ok(t, parent_settle(t_parent(t)));
	t_expect(t, read(fd, &n, sizeof(n)) < 0,
		 "after a reset and before DRIVER_OK no configuration interrupt may come, one did");
	t_ok(t, parent_set_link(t_parent(t), true));
	t_ok(t, parent_set_config_call(t_parent(t), -1));
	close(fd);
}

/* ---- Everything is as new ----------------------------------------------------------------------
 */

CHECK(reset, queues_not_ready, .requirements = "VIO-PCI-038 OPS-RST-002 OPS-VQ-012 VDPA-STAT-007",
      .summary = "after a reset no queue is ready", .needs = CAP_VQ_READY_GET)
{
	static const enum net_step steps[] = {NET_READY, NET_DRIVER_OK};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct net *net = net_up(t, &(struct net_options){.last = steps[i]});
		const unsigned int queues = net->queues;
		bool ready = false;

		t_ok(t, parent_get_vq_ready(net->p, 0, &ready));
		t_expect(t, ready, "a queue that was made ready must say so");
		net_down(net);
		for (unsigned int q = 0; q < queues; q++) {
			t_ok(t, parent_get_vq_ready(t_parent(t), q, &ready));
			t_expect(t, !ready, "after a reset queue %u must not be ready, it is", q);
		}
	}
}

CHECK(reset, unstarted_setup_is_forgotten,
      .requirements = "OPS-RST-002 VIO-RESET-003 VDPA-STAT-007 IFC-RST-002",
      .summary = "a reset forgets queues that were made ready but never started", .needs = CAP_PEER)
{
	struct dma *dma = dma_open(t, NULL);
	struct net *old = net_up(t, &(struct net_options){.arena = dma, .last = NET_READY}), *net;
	struct dma_snapshot *snap;

	t_step(t, "offer frames in queues that are ready, then reset instead of DRIVER_OK");
	for (uint32_t i = 0; i < 4; i++)
		hand_send(old, 0, HAND_FLOW, i, NET_SEND_NO_KICK);
	t_ok(t, parent_reset(t_parent(t)));
	snap = dma_snapshot(dma, NULL);
	t_step(t, "negotiate anew and set DRIVER_OK without any queue");
	t_expect(t, negotiate(t, net_features_default(offered_features(t), &old->opts)),
		 "features that were accepted before must be accepted again");
	add_status(t, VC_STATUS_DRIVER_OK);
	for (uint32_t i = 0; i < 4; i++)
		hand_inject(old, HAND_FLOW + 1, i);
	hand_wire_silent(old, HAND_FLOW, "from queues of before the reset");
	t_expect(t, !dma_changed(snap, NULL, 0),
		 "queues set up before a reset must not be used after it, their memory changed");
	dma_snapshot_free(snap);
	net_down(old);
	net = net_up(t, &(struct net_options){.arena = dma});
	io_run(net, 8, NULL);
}

CHECK(reset, new_rings_are_used,
      .requirements = "OPS-RST-002 VIO-RESET-003 VDPA-STAT-007 OPS-VQ-001",
      .summary =
	      "after a reset queues begin at the start of new rings, the old ones stay untouched",
      .needs = CAP_TRAFFIC)
{
	struct dma *dma = dma_open(t, NULL);

	for (unsigned int round = 0; round < 3; round++) {
		struct net *old = net_up(t, &(struct net_options){.arena = dma}), *net;
		struct dma_snapshot *snap[6];
		unsigned int n = 0;

		/* an odd number, so that no position is by chance what a new ring begins with */
		io_run(old, 17 + 2 * round, NULL);
		t_step(t, "reset, other rings elsewhere");
		t_ok(t, parent_reset(t_parent(t)));
		for (unsigned int area = 0; area < 3; area++) {
			snap[n++] = dma_snapshot(dma, vring_area(old->rx[0], area));
			snap[n++] = dma_snapshot(dma, vring_area(old->tx[0], area));
		}
		net = net_up(t, &(struct net_options){.arena = dma, .size = 64});
		io_run(net, 100, NULL);
		for (unsigned int i = 0; i < n; i++) {
			t_expect(t, !dma_changed(snap[i], NULL, 0),
				 "a ring of before the reset was written after it");
			dma_snapshot_free(snap[i]);
		}
		net_down(net);
		net_down(old);
	}
}

/* persistent_maps() - through vhost-vdpa only an offered backend feature promises that */
static bool persistent_maps(struct test *t)
{
	struct parent *p = t_parent(t);
	uint64_t backend = 0;

	if (!(p->caps & CAP_VDPA_FD))
		return true;
	return !ioctl(p->ops->vdpa_fd(p), VC_VHOST_GET_BACKEND_FEATURES, &backend) &&
	       (backend & VC_BIT(VC_VHOST_BACKEND_F_IOTLB_PERSIST));
}

CHECK(reset, mappings_stay, .requirements = "OPS-RST-005 VDPA-BE-010",
      .summary = "memory that was mapped before a reset is reached after it", .needs = CAP_TRAFFIC)
{
	struct dma *dma = dma_open(t, NULL);
	const struct dma_mem mem = dma_alloc_pages(dma, 1);
	struct vring_sg sg[2];
	struct net *net;

	if (!persistent_maps(t))
		t_skip(t, SKIP_FEATURE, "without IOTLB_PERSIST a reset may drop mappings");
	/* a transmit buffer in a page that was mapped before */
	for (unsigned int i = 0; i < 2; i++) {
		static struct net_frame frame;
		struct vring_used used;

		t_ok(t, parent_reset(t_parent(t)));
		net = net_up(t, &(struct net_options){.arena = dma});
		net_frame_make(net, &frame, HAND_FLOW, i, 200);
		memset(mem.host, 0, net->hdr_len);
		memcpy(mem.host + net->hdr_len, frame.data, frame.len);
		sg[0] = (struct vring_sg){mem.iova, net->hdr_len + frame.len, false};
		t_ok(t, vring_add(net->tx[0], sg, 1, VRING_NO_INDIRECT, NULL));
		vring_publish(net->tx[0], 0);
		vring_kick(net->tx[0]);
		hand_wire(net, HAND_FLOW, i, 1);
		t_expect(t, vring_wait(net->tx[0], 0) && vring_get(net->tx[0], &used),
			 "a buffer in memory that was mapped before the reset must be used");
		net_down(net);
	}
}

/* ---- What the control queue had set ------------------------------------------------------------
 */

static const uint8_t stranger[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
static const uint8_t group[6] = {0x01, 0x00, 0x5e, 0x01, 0x02, 0x03};
static const uint8_t everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* reception() - which of some frames are received, a bit each */
static unsigned int reception(struct net *net)
{
	return (receives(net, net->mac, NO_VLAN) ? 1u : 0) |
	       (receives(net, stranger, NO_VLAN) ? 2u : 0) |
	       (receives(net, group, NO_VLAN) ? 4u : 0) |
	       (receives(net, everyone, NO_VLAN) ? 8u : 0) | (receives(net, net->mac, 7) ? 16u : 0);
}

CHECK(reset, receive_mode_is_default, .requirements = "OPS-RST-002 VDPA-STAT-007",
      .summary = "after a reset the same frames are received as before any command",
      .needs = CAP_PEER, .features = VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_CTRL_RX))
{
	struct net *net = net_up(t, NULL);
	const unsigned int fresh = reception(net);
	unsigned int seen;

	t_step(t, "receive mode by command: not promiscuous; then all-multicast; then reset");
	ctrl_rx_mode(net, VC_NET_CTRL_RX_PROMISC, 0);
	ctrl_rx_mode(net, VC_NET_CTRL_RX_ALLMULTI, 1);
	seen = reception(net);
	t_expect(t, seen & 1, "frames to the device's own address must be received in any mode");
	net_down(net);
	net = net_up(t, NULL);
	t_expect_eq(t, reception(net), fresh,
		    "frames received after a reset (1 own, 2 foreign, 4 multicast, 8 broadcast, "
		    "16 tagged)");
}

CHECK(reset, mac_table_is_empty, .requirements = "VIO-NETMAC-001 OPS-RST-002 VDPA-STAT-007",
      .summary = "after a reset the MAC filter table is empty", .needs = CAP_PEER,
      .features = VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_CTRL_RX))
{
	struct net *net = net_up(t, NULL);

	ctrl_rx_mode(net, VC_NET_CTRL_RX_PROMISC, 0);
	if (receives(net, stranger, NO_VLAN) || receives(net, group, NO_VLAN))
		t_skip(t, SKIP_FEATURE, "the device does not filter, so its table can't be seen");
	t_step(t, "a unicast and a multicast address into the table; reset");
	ctrl_mac_table(net, &stranger, 1, &group, 1);
	t_expect(t, receives(net, stranger, NO_VLAN),
		 "a frame to an address in the table must be received");
	net_down(net);
	net = net_up(t, NULL);
	ctrl_rx_mode(net, VC_NET_CTRL_RX_PROMISC, 0);
	t_expect(t, !receives(net, stranger, NO_VLAN),
		 "the MAC table must be empty after a reset, a unicast address of before is in it");
	t_expect(
		t, !receives(net, group, NO_VLAN),
		"the MAC table must be empty after a reset, a multicast address of before is in it");
}

CHECK(reset, vlan_table_is_empty, .requirements = "VIO-NETVLAN-005 OPS-RST-002 VDPA-STAT-007",
      .summary = "after a reset the VLAN filter table is empty", .needs = CAP_PEER,
      .features = VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_CTRL_VLAN))
{
	struct net *net = net_up(t, NULL);

	if (receives(net, net->mac, 7))
		t_skip(t, SKIP_FEATURE, "the device does not filter VLANs");
	t_expect(t, ctrl_vlan(net, VC_NET_CTRL_VLAN_ADD, 7) == VC_NET_OK,
		 "VLAN 7 must be accepted with CTRL_VLAN");
	t_expect(t, receives(net, net->mac, 7), "a frame of a listed VLAN must be received");
	net_down(net);
	net = net_up(t, NULL);
	t_expect(t, !receives(net, net->mac, 7),
		 "the VLAN table must be empty after a reset, VLAN 7 of before is in it");
}

CHECK(reset, mac_is_default, .requirements = "OPS-RST-002 VDPA-STAT-007",
      .summary = "after a reset the device has the MAC address that it had at first",
      .features = VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_CTRL_MAC_ADDR) | VC_BIT(VC_NET_F_MAC))
{
	struct net *net = net_up(t, NULL);
	uint8_t mac[6], first[6];

	memcpy(first, net->mac, 6);
	t_expect(t,
		 net_ctrl(net, VC_NET_CTRL_MAC, VC_NET_CTRL_MAC_ADDR_SET, stranger, 6) == VC_NET_OK,
		 "a new MAC address must be accepted with CTRL_MAC_ADDR");
	net_down(net);
	net = net_up(t, NULL);
	net_config(net, VC_NET_CFG_MAC, mac, 6);
	t_expect(t, !memcmp(mac, first, 6),
		 "after a reset mac must be %02x:%02x:%02x:%02x:%02x:%02x as at first, it is "
		 "%02x:%02x:%02x:%02x:%02x:%02x",
		 first[0], first[1], first[2], first[3], first[4], first[5], mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
}

CHECK(reset, one_queue_pair, .requirements = "VIO-NETMQ-010 VIO-NETMQ-017 VDPA-STAT-007",
      .summary =
	      "after a reset frames arrive on the first receive queue only, until told otherwise",
      .needs = CAP_PEER, .features = VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_MQ))
{
	static struct net_frame frame;
	struct net *net = net_up(t, &(struct net_options){.pairs = 2});

	t_step(t, "two pairs by VQ_PAIRS_SET, traffic, reset; both pairs ready, but no command");
	io_run(net, 32, NULL);
	net_down(net);
	net = net_up(t, &(struct net_options){.pairs = 2, .last = NET_READY});
	add_status(t, VC_STATUS_DRIVER_OK);
	for (unsigned int i = 0; i < 2; i++)
		vring_kick_now(net->rx[i]);
	for (unsigned int flow = 0; flow < 32; flow++) {
		int pair;

		net_frame_udp(net, &frame, flow, 100);
		pair = where_received(net, &frame);
		t_expect(t, pair >= 0, "a frame of flow %u must be received", flow);
		t_expect(t, pair == 0,
			 "after a reset and without VQ_PAIRS_SET frames must arrive on rx0, one of "
			 "flow %u arrived on rx%d",
			 flow, pair);
	}
}

CHECK(reset, link_state_is_shown, .requirements = "VIO-NETC-028 OPS-RST-002",
      .summary = "after a reset status shows the link as it is, also if it was pulled before",
      .needs = CAP_LINK_CONTROL, .features = VC_BIT(VC_NET_F_STATUS))
{
	struct net *net;

	for (unsigned int up = 0; up < 2; up++) {
		t_ok(t, parent_set_link(t_parent(t), up));
		t_ok(t, parent_settle(t_parent(t)));
		net = net_up(t, NULL);
		t_expect_eq(t, net_config16(net, VC_NET_CFG_STATUS) & VC_NET_S_LINK_UP,
			    up ? VC_NET_S_LINK_UP : 0, "link bit of status after a reset");
		net_down(net);
	}
}
