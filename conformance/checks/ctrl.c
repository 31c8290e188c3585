// SPDX-License-Identifier: BSD-3-Clause
/*
 * The control queue: every command is answered, and what was acknowledged is in force
 *
 * How it works. An acknowledgement alone proves nothing, so frames are sent to the device and the
 * check looks which of them are received and where. What VIRTIO only asks for (that foreign frames
 * are dropped, that a flow comes back on the pair it was sent on) is noted; what a command says
 * that it does must be so once it was acknowledged.
 */
#include "support.h"

#include <endian.h>
#include <string.h>

#include "../driver/pci_driver.h"

#define CTRL_RX_FEATURES   (VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_CTRL_RX))
#define CTRL_MAC_FEATURES  (VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_CTRL_MAC_ADDR))
#define CTRL_VLAN_FEATURES (VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_CTRL_VLAN))
#define CTRL_MQ_FEATURES   (VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_MQ))

static const uint8_t stranger[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
static const uint8_t another[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x66};
static const uint8_t group[6] = {0x01, 0x00, 0x5e, 0x01, 0x02, 0x03};
static const uint8_t everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static bool has(const struct net *net, unsigned int bit)
{
	return net->features & VC_BIT(bit);
}

/* all_ctrl() - a device with every feature of the control queue that is offered */
static struct net *all_ctrl(struct test *t)
{
	return net_up(t, &(struct net_options){.want = VC_BIT(VC_NET_F_MQ) |
						       VC_BIT(VC_NET_F_GUEST_ANNOUNCE)});
}

/* ---- Answers ------------------------------------------------------------------------------------
 */

/** struct command - one that must be answered OK if its feature was negotiated */
struct command {
	unsigned int feature;
	uint8_t class, cmd;
	uint8_t len;
	uint8_t data[20];
	const char *name;
};

static const struct command commands[] = {
	{VC_NET_F_CTRL_RX, VC_NET_CTRL_RX, VC_NET_CTRL_RX_PROMISC, 1, {0}, "PROMISC off"},
	{VC_NET_F_CTRL_RX, VC_NET_CTRL_RX, VC_NET_CTRL_RX_PROMISC, 1, {1}, "PROMISC on"},
	{VC_NET_F_CTRL_RX, VC_NET_CTRL_RX, VC_NET_CTRL_RX_ALLMULTI, 1, {0}, "ALLMULTI off"},
	{VC_NET_F_CTRL_RX, VC_NET_CTRL_RX, VC_NET_CTRL_RX_ALLMULTI, 1, {1}, "ALLMULTI on"},
	{VC_NET_F_CTRL_RX_EXTRA, VC_NET_CTRL_RX, VC_NET_CTRL_RX_ALLUNI, 1, {1}, "ALLUNI on"},
	{VC_NET_F_CTRL_RX_EXTRA, VC_NET_CTRL_RX, VC_NET_CTRL_RX_NOMULTI, 1, {0}, "NOMULTI off"},
	{VC_NET_F_CTRL_RX_EXTRA, VC_NET_CTRL_RX, VC_NET_CTRL_RX_NOUNI, 1, {0}, "NOUNI off"},
	{VC_NET_F_CTRL_RX_EXTRA, VC_NET_CTRL_RX, VC_NET_CTRL_RX_NOBCAST, 1, {0}, "NOBCAST off"},
	{VC_NET_F_CTRL_RX,
	 VC_NET_CTRL_MAC,
	 VC_NET_CTRL_MAC_TABLE_SET,
	 20,
	 {1, 0, 0, 0, 2, 0x11, 0x22, 0x33, 0x44, 0x55, 1, 0, 0, 0, 1, 0, 0x5e, 1, 2, 3},
	 "MAC_TABLE_SET"},
	{VC_NET_F_CTRL_MAC_ADDR,
	 VC_NET_CTRL_MAC,
	 VC_NET_CTRL_MAC_ADDR_SET,
	 6,
	 {2, 0x11, 0x22, 0x33, 0x44, 0x77},
	 "MAC_ADDR_SET"},
	{VC_NET_F_CTRL_VLAN, VC_NET_CTRL_VLAN, VC_NET_CTRL_VLAN_ADD, 2, {7}, "VLAN_ADD"},
	{VC_NET_F_CTRL_VLAN, VC_NET_CTRL_VLAN, VC_NET_CTRL_VLAN_DEL, 2, {7}, "VLAN_DEL"},
	{VC_NET_F_GUEST_ANNOUNCE,
	 VC_NET_CTRL_ANNOUNCE,
	 VC_NET_CTRL_ANNOUNCE_ACK,
	 0,
	 {0},
	 "ANNOUNCE_ACK"},
	{VC_NET_F_MQ, VC_NET_CTRL_MQ, VC_NET_CTRL_MQ_VQ_PAIRS_SET, 2, {1}, "VQ_PAIRS_SET"},
};

CHECK(ctrl, every_command_is_answered,
      .requirements = "VIO-NETCTL-015 VIO-NETCTL-001 VIO-NETCTL-005",
      .summary = "every command whose feature was negotiated is acknowledged with OK",
      .features = VC_BIT(VC_NET_F_CTRL_VQ))
{
	struct net *net = all_ctrl(t);

	for (unsigned int round = 0; round < 2; round++)
		for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
			const struct command *c = &commands[i];

			if (!has(net, c->feature))
				continue;
			t_step(t, "%s", c->name);
			t_expect(
				t, net_ctrl(net, c->class, c->cmd, c->data, c->len) == VC_NET_OK,
				"%s must be supported, its feature was negotiated; the answer is ERR",
				c->name);
		}
}

/**
 * cut_command() - class, command and data cut into pieces of @piece bytes each, the answer behind
 * Return: the answer.
 */
static uint8_t cut_command(struct net *net, const struct command *c, const uint8_t *data,
			   unsigned int piece)
{
	const uint32_t len = 2u + c->len;
	const struct dma_mem mem = dma_alloc(net->dma, len, 1), ack = dma_alloc(net->dma, 1, 1);
	struct vring_sg sg[32];
	struct vring_used used;
	unsigned int n = 0;

	mem.host[0] = c->class;
	mem.host[1] = c->cmd;
	memcpy(mem.host + 2, data, c->len);
	*ack.host = 0xa5;
	for (uint32_t at = 0; at < len; at += piece)
		sg[n++] = (struct vring_sg){mem.iova + at, len - at < piece ? len - at : piece,
					    false};
	sg[n++] = (struct vring_sg){ack.iova, 1, true};
	t_ok(net->t, vring_add(net->ctrl, sg, n, VRING_NO_INDIRECT, NULL));
	vring_publish(net->ctrl, 0);
	vring_kick(net->ctrl);
	t_expect(net->t, vring_wait(net->ctrl, 0) && vring_get(net->ctrl, &used),
		 "%s in pieces of %u bytes must be answered, it was not", c->name, piece);
	return *ack.host;
}

CHECK(ctrl, may_be_cut_anywhere, .requirements = "VIO-FRAME-001 VIO-NETCTL-015 VIO-NETCTL-001",
      .summary = "a command does the same however it is divided into descriptors",
      .features = VC_BIT(VC_NET_F_CTRL_VQ))
{
	static const unsigned int pieces[] = {1, 2, 3, 5, 22};
	struct net *net = all_ctrl(t);

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *c = &commands[i];

		if (!has(net, c->feature))
			continue;
		for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
			uint8_t data[20], mac[6], ack;

			memcpy(data, c->data, sizeof(data));
			if (c->cmd == VC_NET_CTRL_MAC_ADDR_SET && c->class == VC_NET_CTRL_MAC)
				data[5] = (uint8_t)k;
			t_step(t, "%s in pieces of %u bytes", c->name, pieces[k]);
			ack = cut_command(net, c, data, pieces[k]);
			t_expect(t, ack == VC_NET_OK,
				 "%s in pieces of %u bytes must be acknowledged as in one, the "
				 "answer is 0x%02x",
				 c->name, pieces[k], ack);
			if (c->cmd != VC_NET_CTRL_MAC_ADDR_SET || c->class != VC_NET_CTRL_MAC)
				continue;
			net_config(net, VC_NET_CFG_MAC, mac, 6);
			t_expect(t, !memcmp(mac, data, 6),
				 "%s in pieces of %u bytes must set what was sent, mac ends with "
				 "%02x:%02x",
				 c->name, pieces[k], mac[4], mac[5]);
		}
	}
}

CHECK(ctrl, unknown_is_answered, .requirements = "VIO-NETCTL-015 VIO-NETCTL-016",
      .summary = "unknown classes and commands are answered too, and change nothing",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_NET_F_CTRL_VQ))
{
	static const uint8_t unknown[][2] = {{0, 77},  {1, 77},	 {2, 77},   {3, 77},  {4, 77},
					     {5, 77},  {6, 0},	 {42, 0},   {127, 1}, {200, 5},
					     {254, 9}, {255, 0}, {255, 255}};
	struct net *net = net_up(t, NULL);
	const uint8_t data[8] = {1};
	unsigned int refused = 0;

	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		for (uint32_t len = 0; len <= 8; len += 8)
			refused += net_ctrl(net, unknown[i][0], unknown[i][1], data, len) ==
				   VC_NET_ERR;
	t_note(t, "unknown commands answered ERR: %u of %zu", refused, 2 * ARRAY_LEN(unknown));
	io_run(net, 16, NULL);
}

CHECK(ctrl, too_short_is_answered, .requirements = "VIO-NETCTL-015",
      .summary = "a command that lacks its data is answered, and the queue goes on",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_NET_F_CTRL_VQ))
{
	struct net *net = all_ctrl(t);

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *c = &commands[i];

		if (!has(net, c->feature))
			continue;
		for (uint8_t len = 0; len < c->len; len++) {
			t_step(t, "%s with %u of %u bytes", c->name, len, c->len);
			net_ctrl(net, c->class, c->cmd, c->data, len);
		}
		t_expect(t, net_ctrl(net, c->class, c->cmd, c->data, c->len) == VC_NET_OK,
			 "%s must still be acknowledged after it was sent too short", c->name);
	}
	/* the address may have been set on the way: back to what frames are sent to */
	if (has(net, VC_NET_F_CTRL_MAC_ADDR))
		net_ctrl(net, VC_NET_CTRL_MAC, VC_NET_CTRL_MAC_ADDR_SET, net->mac, 6);
	io_run(net, 16, NULL);
}

CHECK(ctrl, batch_is_done_in_order, .requirements = "VIO-NETCTL-015 VIO-NETMAC-003",
      .summary = "commands offered with one doorbell are all done, in their order",
      .features = CTRL_MAC_FEATURES | VC_BIT(VC_NET_F_MAC))
{
	enum { BATCH = 8 };
	struct net *net = net_up(t, NULL);
	struct dma_mem mem[BATCH], ack[BATCH];
	uint8_t mac[6];

	for (unsigned int i = 0; i < BATCH; i++) {
		struct vring_sg sg[2];

		mem[i] = dma_alloc(net->dma, 8, 1);
		ack[i] = dma_alloc(net->dma, 1, 1);
		mem[i].host[0] = VC_NET_CTRL_MAC;
		mem[i].host[1] = VC_NET_CTRL_MAC_ADDR_SET;
		memcpy(mem[i].host + 2, stranger, 6);
		mem[i].host[7] = (uint8_t)i;
		*ack[i].host = 0xa5;
		sg[0] = (struct vring_sg){mem[i].iova, 8, false};
		sg[1] = (struct vring_sg){ack[i].iova, 1, true};
		t_ok(t, vring_add(net->ctrl, sg, 2, VRING_NO_INDIRECT, NULL));
	}
	t_step(t, "%u addresses with one doorbell", BATCH);
	vring_publish(net->ctrl, 0);
	vring_kick(net->ctrl);
	for (unsigned int i = 0; i < BATCH; i++) {
		struct vring_used used;

		t_expect(t, vring_wait(net->ctrl, 0) && vring_get(net->ctrl, &used),
			 "%u commands were offered, %u were answered", BATCH, i);
	}
	for (unsigned int i = 0; i < BATCH; i++)
		t_expect(t, *ack[i].host == VC_NET_OK,
			 "command %u of %u must be acknowledged, the answer is 0x%02x", i, BATCH,
			 *ack[i].host);
	net_config(net, VC_NET_CFG_MAC, mac, 6);
	t_expect(t, mac[5] == BATCH - 1, "the last address must be in force, mac ends with %02x",
		 mac[5]);
}

CHECK(ctrl, queue_number, .requirements = "VIO-NETF-010",
      .summary = "the control queue is behind all pairs with MQ, and queue 2 without",
      .features = CTRL_RX_FEATURES | VC_BIT(VC_NET_F_MQ))
{
	struct net *net = net_up(t, &(struct net_options){.want = VC_BIT(VC_NET_F_MQ)});

	if (net->max_pairs < 2)
		t_skip(t, SKIP_FEATURE, "the device has one queue pair: it is queue 2 in any case");
	t_step(t, "with MQ: queue %u", net->ctrl_index);
	ctrl_rx_mode(net, VC_NET_CTRL_RX_PROMISC, 1);
	net_down(net);
	net = net_up(t, &(struct net_options){.unwant = VC_BIT(VC_NET_F_MQ)});
	t_step(t, "without MQ: queue %u", net->ctrl_index);
	ctrl_rx_mode(net, VC_NET_CTRL_RX_PROMISC, 1);
}

/* ---- Receive filters
 * ------------------------------------------------------------------------------
 */

CHECK(ctrl, receive_modes,
      .requirements = "VIO-NETCTL-001 VIO-NETCTL-002 VIO-NETCTL-004 "
		      "VIO-NETMAC-004 VIO-NETCTL-003",
      .summary = "promiscuous and all-multicast mode receive what they say", .needs = CAP_PEER,
      .features = CTRL_RX_FEATURES)
{
	struct net *net = net_up(t, NULL);

	for (unsigned int round = 0; round < 2; round++) {
		bool foreign, multi;

		t_step(t, "promiscuous off, all-multicast off");
		ctrl_rx_mode(net, VC_NET_CTRL_RX_PROMISC, 0);
		ctrl_rx_mode(net, VC_NET_CTRL_RX_ALLMULTI, 0);
		t_expect(t, receives(net, net->mac, NO_VLAN),
			 "a frame to the device's own address must be received in every mode");
		t_expect(t, receives(net, everyone, NO_VLAN),
			 "a broadcast must be received unless NOBCAST was set");
		foreign = receives(net, stranger, NO_VLAN);
		multi = receives(net, group, NO_VLAN);
		t_note(t, "frames to other addresses dropped: %sobserved",
		       foreign || multi ? "not " : "");

		t_step(t, "all-multicast on");
		ctrl_rx_mode(net, VC_NET_CTRL_RX_ALLMULTI, 1);
		t_expect(t, receives(net, group, NO_VLAN),
			 "with ALLMULTI on and acknowledged a multicast must be received");
		ctrl_rx_mode(net, VC_NET_CTRL_RX_ALLMULTI, 0);

		t_step(t, "promiscuous on");
		ctrl_rx_mode(net, VC_NET_CTRL_RX_PROMISC, 1);
		t_expect(t, receives(net, stranger, NO_VLAN) && receives(net, group, NO_VLAN),
			 "with PROMISC on and acknowledged every frame must be received");
	}
}

CHECK(ctrl, mac_table, .requirements = "VIO-NETMAC-002 VIO-NETMAC-004",
      .summary = "addresses in the MAC table are received once the command was answered",
      .needs = CAP_PEER, .features = CTRL_RX_FEATURES)
{
	struct net *net = net_up(t, NULL);

	ctrl_rx_mode(net, VC_NET_CTRL_RX_PROMISC, 0);
	t_step(t, "one unicast and one multicast address");
	ctrl_mac_table(net, &stranger, 1, &group, 1);
	t_expect(t, receives(net, stranger, NO_VLAN),
		 "a frame to a unicast address in the table must be received");
	t_expect(t, receives(net, group, NO_VLAN),
		 "a frame to a multicast address in the table must be received");
	t_expect(t, receives(net, net->mac, NO_VLAN),
		 "a frame to the device's own address must be received");
	t_step(t, "another unicast address alone: the table is replaced");
	ctrl_mac_table(net, &another, 1, NULL, 0);
	t_expect(t, receives(net, another, NO_VLAN),
		 "a frame to a unicast address in the new table must be received");
	t_note(t, "addresses no longer in the table dropped: %sobserved",
	       receives(net, stranger, NO_VLAN) || receives(net, group, NO_VLAN) ? "not " : "");
}

CHECK(ctrl, mac_table_overflow, .requirements = "VIO-NETMAC-002 VIO-NETCTL-015",
      .summary = "a MAC table that was acknowledged works to its last address, however long it is",
      .needs = CAP_PEER, .features = CTRL_RX_FEATURES)
{
	static uint8_t uni[500][6], multi[500][6];
	struct net *net = net_up(t, NULL);
	uint8_t ack;

	for (unsigned int i = 0; i < ARRAY_LEN(uni); i++) {
		memcpy(uni[i], stranger, 4);
		memcpy(multi[i], group, 4);
		uni[i][4] = multi[i][4] = (uint8_t)(i >> 8);
		uni[i][5] = multi[i][5] = (uint8_t)i;
	}
	ctrl_rx_mode(net, VC_NET_CTRL_RX_PROMISC, 0);
	ack = ctrl_mac_table_ack(net, uni, ARRAY_LEN(uni), multi, ARRAY_LEN(multi));
	t_note(t, "a table of %zu addresses was answered %s", 2 * ARRAY_LEN(uni),
	       ack == VC_NET_OK ? "OK" : "ERR");
	for (size_t i = 0; ack == VC_NET_OK && i < ARRAY_LEN(uni); i += 71) {
		t_expect(t, receives(net, uni[i], NO_VLAN),
			 "the table was acknowledged, so its unicast address %zu must be received",
			 i);
		t_expect(
			t, receives(net, multi[i], NO_VLAN),
			"the table was acknowledged, so its multicast address %zu must be received",
			i);
	}
	t_expect(t, receives(net, net->mac, NO_VLAN),
		 "a frame to the device's own address must be received");
	t_step(t, "a short table again");
	ctrl_mac_table(net, &another, 1, NULL, 0);
	t_expect(t, receives(net, another, NO_VLAN),
		 "a frame to a unicast address in the new table must be received");
}

CHECK(ctrl, mac_address, .requirements = "VIO-NETMAC-003 VIO-NETMAC-002",
      .summary = "a new MAC address is in configuration and received once the command was answered",
      .needs = CAP_PEER, .features = CTRL_MAC_FEATURES | VC_BIT(VC_NET_F_MAC))
{
	struct net *net = net_up(t, NULL);
	uint8_t mac[6];

	if (has(net, VC_NET_F_CTRL_RX))
		ctrl_rx_mode(net, VC_NET_CTRL_RX_PROMISC, 0);
	for (unsigned int i = 0; i < 2; i++) {
		const uint8_t *want = i ? another : stranger;

		t_expect(t,
			 net_ctrl(net, VC_NET_CTRL_MAC, VC_NET_CTRL_MAC_ADDR_SET, want, 6) ==
				 VC_NET_OK,
			 "MAC_ADDR_SET must be acknowledged with CTRL_MAC_ADDR");
		net_config(net, VC_NET_CFG_MAC, mac, 6);
		t_expect(t, !memcmp(mac, want, 6),
			 "mac must be the new address once the command was answered, it ends with "
			 "%02x:%02x",
			 mac[4], mac[5]);
		t_expect(t, receives(net, want, NO_VLAN),
			 "a frame to the new address must be received");
	}
	t_note(t, "the address before dropped: %sobserved",
	       receives(net, stranger, NO_VLAN) ? "not " : "");
}

CHECK(ctrl, vlan_table, .requirements = "VIO-NETVLAN-002 VIO-NETVLAN-003",
      .summary = "frames of every VLAN in the table are received, and untagged ones",
      .needs = CAP_PEER, .features = CTRL_VLAN_FEATURES)
{
	static const uint16_t vlans[] = {1, 7, 63, 64, 4094};
	struct net *net = net_up(t, NULL);

	for (size_t i = 0; i < ARRAY_LEN(vlans); i++) {
		t_expect(t, ctrl_vlan(net, VC_NET_CTRL_VLAN_ADD, vlans[i]) == VC_NET_OK,
			 "VLAN_ADD of %u must be acknowledged", vlans[i]);
		for (size_t k = 0; k <= i; k++)
			t_expect(
				t, receives(net, net->mac, vlans[k]),
				"VLAN %u is in the table, its frames must be received after %u was "
				"added",
				vlans[k], vlans[i]);
	}
	t_expect(t, receives(net, net->mac, NO_VLAN),
		 "untagged frames must be received whatever VLANs there are");
	t_expect(t, ctrl_vlan(net, VC_NET_CTRL_VLAN_DEL, 7) == VC_NET_OK,
		 "VLAN_DEL of 7 must be acknowledged");
	t_expect(t, receives(net, net->mac, 1) && receives(net, net->mac, 4094),
		 "deleting a VLAN must leave the others in the table");
	t_note(t, "frames of VLANs not in the table dropped: %sobserved",
	       receives(net, net->mac, 7) || receives(net, net->mac, 8) ? "not " : "");
}

CHECK(ctrl, vlans_pass_without_filter, .requirements = "VIO-NETVLAN-001",
      .summary = "without CTRL_VLAN frames of all VLANs are received", .needs = CAP_PEER)
{
	static const uint16_t vlans[] = {1, 7, 4094};
	struct net *net = net_up(t, &(struct net_options){.unwant = VC_BIT(VC_NET_F_CTRL_VLAN)});

	for (size_t i = 0; i < ARRAY_LEN(vlans); i++)
		t_expect(t, receives(net, net->mac, vlans[i]),
			 "CTRL_VLAN was not negotiated, so frames of VLAN %u must be received",
			 vlans[i]);
}

/* ---- Queue pairs
 * ---------------------------------------------------------------------------------- */

static struct net_frame frame;

/* reversed() - the frame that a driver sends of the same flow as the received @f (IPv4, UDP) */
static void reversed(struct net *net, struct net_frame *f)
{
	uint8_t swap[6], *ip = f->data + 14;

	memcpy(swap, f->data, 6);
	memcpy(f->data, f->data + 6, 6);
	memcpy(f->data + 6, net->mac, 6);
	memcpy(swap, ip + 12, 4);
	memcpy(ip + 12, ip + 16, 4);
	memcpy(ip + 16, swap, 4);
	memcpy(swap, ip + 20, 2);
	memcpy(ip + 20, ip + 22, 2);
	memcpy(ip + 22, swap, 2);
}

/* teach() - send a frame of @flow on @pair, so that the device may learn where the flow lives */
static void teach(struct net *net, unsigned int flow, unsigned int pair)
{
	net_frame_udp(net, &frame, flow, 100);
	reversed(net, &frame);
	t_ok(net->t, net_send(net, pair, &frame, 1, 0));
	net_drain(net);
	/* nobody else is to find it on the wire */
	t_expect(net->t, net_wire(net, &frame, NET_SOON),
		 "a frame sent on tx%u must reach the wire", pair);
}

/* arrives_on() - the pair that a frame of @flow is received on; it must be received */
static unsigned int arrives_on(struct net *net, unsigned int flow)
{
	int pair;

	net_frame_udp(net, &frame, flow, 100);
	pair = where_received(net, &frame);
	t_expect(net->t, pair >= 0, "a frame of flow %u must be received, it was not", flow);
	return (unsigned int)pair;
}

/* most_pairs() - all pairs of the device, as far as the suite goes */
static unsigned int most_pairs(struct test *t)
{
	uint16_t le = 0;

	t_ok(t, parent_get_config(t_parent(t), VC_NET_CFG_PAIRS, &le, 2));
	if (le16toh(le) < 2)
		t_skip(t, SKIP_FEATURE, "the device has one queue pair");
	return le16toh(le) < 8 ? le16toh(le) : 8;
}

CHECK(ctrl, pairs_bound_reception, .requirements = "VIO-NETMQ-011 VIO-NETMQ-017 VIO-NETCTL-015",
      .summary =
	      "frames go only to the queue pairs that VQ_PAIRS_SET switched on, also after fewer",
      .needs = CAP_PEER, .features = CTRL_MQ_FEATURES)
{
	const unsigned int pairs = most_pairs(t);
	struct net *net = net_up(t, &(struct net_options){.pairs = pairs});

	t_step(t, "each flow is sent on some pair");
	for (unsigned int flow = 0; flow < 24; flow++)
		teach(net, flow, flow % pairs);
	for (unsigned int n = pairs; n >= 1; n--) {
		t_step(t, "%u of %u pairs", n, pairs);
		t_expect(t, net_set_pairs(net, (uint16_t)n) == VC_NET_OK,
			 "VQ_PAIRS_SET with %u must be acknowledged", n);
		for (unsigned int flow = 0; flow < 32; flow++)
			t_expect(t, arrives_on(net, flow) < n,
				 "%u pairs are on, but a frame of flow %u arrived on a higher one",
				 n, flow);
	}
	t_step(t, "all of them again");
	t_expect(t, net_set_pairs(net, (uint16_t)pairs) == VC_NET_OK,
		 "VQ_PAIRS_SET with %u must be acknowledged", pairs);
	io_run(net, 64, NULL);
}

CHECK(ctrl, bad_pairs_change_nothing, .requirements = "VIO-NETCTL-015 VIO-NETMQ-003 VIO-NETMQ-011",
      .summary = "a VQ_PAIRS_SET that is refused leaves the queue pairs as they were",
      .needs = CAP_PEER, .features = CTRL_MQ_FEATURES)
{
	const unsigned int pairs = most_pairs(t);
	struct net *net = net_up(t, &(struct net_options){.pairs = 2});
	const uint16_t bad[] = {0, (uint16_t)(net->max_pairs + 1), 0x8001, 0xffff};

	(void)pairs;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const uint8_t ack = net_set_pairs(net, bad[i]);

		t_note(t, "VQ_PAIRS_SET with %u answered %s", bad[i],
		       ack == VC_NET_OK ? "OK" : "ERR");
		if (ack == VC_NET_OK)
			t_expect(t, net_set_pairs(net, 2) == VC_NET_OK,
				 "VQ_PAIRS_SET with 2 must be acknowledged after any other");
		for (unsigned int flow = 0; flow < 16; flow++)
			t_expect(t, arrives_on(net, flow) < 2,
				 "2 pairs are on, but a frame of flow %u arrived on a higher one",
				 flow);
		io_run(net, 16, NULL);
	}
}

CHECK(ctrl, steering_is_by_flow, .requirements = "VIO-NETMQ-003 VIO-NETMQ-004 VIO-NETMQ-005",
      .summary = "frames of one flow arrive on one queue pair", .needs = CAP_PEER,
      .features = CTRL_MQ_FEATURES)
{
	const unsigned int pairs = most_pairs(t);
	struct net *net = net_up(t, &(struct net_options){.pairs = pairs});
	unsigned int home = 0;

	for (unsigned int flow = 0; flow < 16; flow++) {
		unsigned int pair;

		teach(net, flow, flow % pairs);
		pair = arrives_on(net, flow);
		home += pair == flow % pairs;
		for (unsigned int i = 0; i < 4; i++)
			t_expect(t, arrives_on(net, flow) == pair,
				 "steering must be by flow: flow %u arrived on pair %u before",
				 flow, pair);
	}
	t_note(t, "flows that came back on the pair they were sent on: %u of 16", home);
}

CHECK(ctrl, pairs_register, .requirements = "IFC-MQ-001",
      .summary = "an IFCVF of DPDK's layout uses as many queue pairs as its register says",
      .needs = CAP_IFCVF | CAP_PCI | CAP_PEER, .features = CTRL_MQ_FEATURES)
{
	const struct pci_driver *d = t_parent(t)->priv;
	const struct pci_access *a = t_parent(t)->ops->pci(t_parent(t));

	if (!d->dpdk_layout)
		t_skip(t, SKIP_INTERFACE, "the register is there in DPDK's layout only");
	for (uint32_t pairs = 1; pairs <= 2; pairs++) {
		struct net *net =
			net_up(t, &(struct net_options){.pairs = 2, .last = NET_FEATURES_OK});
		const uint32_t le = htole32(pairs);
		unsigned int second = 0;

		t_step(t, "%u pairs by register, both set up, no command", pairs);
		t_ok(t, pci_write(a, VC_IFCVF_LM_BAR, VC_IFCVF_LM_MQ, &le, 4));
		net_continue(net, NET_READY);
		add_status(t, VC_STATUS_DRIVER_OK);
		for (unsigned int pair = 0; pair < 2; pair++)
			vring_kick_now(net->rx[pair]);
		for (unsigned int flow = 0; flow < 32; flow++)
			second += arrives_on(net, flow) == 1;
		t_expect(
			t, (pairs == 2) == (second != 0),
			"%u queue pairs are enabled by the register, of 32 flows %u arrived on the "
			"second",
			pairs, second);
		net_down(net);
	}
}

/* ---- Announcement
 * --------------------------------------------------------------------------------- */

CHECK(ctrl, announce_ack_clears_bit, .requirements = "VIO-NETANN-002 VIO-NETC-028 VIO-CFG-007",
      .summary = "ANNOUNCE_ACK clears the announce bit of status before it is answered",
      .needs = CAP_ANNOUNCE | CAP_CONFIG_CALL,
      .features = VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_GUEST_ANNOUNCE) |
		  VC_BIT(VC_NET_F_STATUS))
{
	struct net *net = all_ctrl(t);

	for (unsigned int i = 0; i < 3; i++) {
		t_ok(t, parent_settle(net->p));
		net_config_calls(net);
		t_ok(t, parent_announce(net->p));
		t_expect(t, net_wait_config_call(net, 0),
			 "a request to announce must interrupt, none came");
		t_expect(t, net_config16(net, VC_NET_CFG_STATUS) & VC_NET_S_ANNOUNCE,
			 "status must have the announce bit after the interrupt");
		t_expect(t,
			 net_ctrl(net, VC_NET_CTRL_ANNOUNCE, VC_NET_CTRL_ANNOUNCE_ACK, NULL, 0) ==
				 VC_NET_OK,
			 "ANNOUNCE_ACK must be acknowledged with GUEST_ANNOUNCE");
		t_expect(t, !(net_config16(net, VC_NET_CFG_STATUS) & VC_NET_S_ANNOUNCE),
			 "the announce bit must be clear once ANNOUNCE_ACK was answered");
	}
}
