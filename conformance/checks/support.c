// SPDX-License-Identifier: BSD-3-Clause
#include "support.h"

#include <endian.h>
#include <string.h>

/* ---- Negotiation ----------------------------------------------------------------------------- */

uint8_t get_status(struct test *t)
{
	uint8_t status = 0xff;

	t_ok(t, parent_get_status(t_parent(t), &status));
	return status;
}

uint8_t add_status(struct test *t, uint8_t bits)
{
	t_ok(t, parent_set_status(t_parent(t), get_status(t) | bits));
	return get_status(t);
}

bool negotiate(struct test *t, uint64_t features)
{
	t_ok(t, parent_reset(t_parent(t)));
	add_status(t, VC_STATUS_ACKNOWLEDGE);
	add_status(t, VC_STATUS_DRIVER);
	if (parent_set_driver_features(t_parent(t), features))
		return false;
	return add_status(t, VC_STATUS_FEATURES_OK) & VC_STATUS_FEATURES_OK;
}

uint64_t offered_features(struct test *t)
{
	uint64_t offered = 0;

	t_ok(t, parent_get_device_features(t_parent(t), &offered));
	return offered;
}

uint64_t required_features(uint64_t offered)
{
	return offered & (VC_BIT(VC_F_VERSION_1) | VC_BIT(VC_F_ACCESS_PLATFORM) |
			  VC_BIT(VC_F_ORDER_PLATFORM));
}

const uint64_t beyond_us = VC_BIT(VC_F_SR_IOV) | VC_BIT(VC_F_NOTIF_CONFIG_DATA) |
			   VC_BIT(VC_F_ADMIN_VQ) | VC_BIT(VC_F_DEVICE_SUSPEND) |
			   VC_BIT(VC_NET_F_HASH_REPORT) | VC_BIT(VC_NET_F_GUEST_HDRLEN) |
			   VC_BIT(VC_NET_F_RSC_EXT) | VC_BIT(VC_NET_F_STANDBY);

/* ---- Frames ---------------------------------------------------------------------------------- */

/* Too large for the stack, and a check is a process of its own. */
static struct net_frame out, in;

void hand_send(struct net *net, unsigned int pair, unsigned int flow, uint32_t seq,
	       unsigned int flags)
{
	net_frame_make(net, &out, flow, seq, 60 + (uint32_t)(t_random(net->t) % 1400));
	t_expect(net->t, net_send(net, pair, &out, 1, flags) == 0,
		 "a bug of this check: tx%u has no room for a frame", pair);
}

/* mine() - is the frame in `in` of @flow? Others are a neighbour's, or other traffic. */
static bool mine(struct net *net, unsigned int flow, uint32_t *seq)
{
	unsigned int seen_flow = 0;
	const char *why = NULL;

	if (net_frame_parse(&in, &seen_flow, seq, &why))
		return seen_flow == flow;
	t_expect(net->t, !(net->p->caps & CAP_EXACT_SETTLE),
		 "a frame of %u bytes reached the wire, but %s", in.len, why);
	return false;
}

void hand_wire(struct net *net, unsigned int flow, uint32_t seq, unsigned int n)
{
	uint32_t seen = 0;

	for (unsigned int i = 0; i < n;) {
		t_expect(net->t, net_wire(net, &in, NET_SOON),
			 "%u frames that the driver sent must reach the wire, %u did", n, i);
		if (!mine(net, flow, &seen))
			continue;
		t_expect(net->t, seen == seq + i,
			 "frame %u must be the next to reach the wire, it is frame %u", seq + i,
			 seen);
		i++;
	}
}

void hand_wire_silent(struct net *net, unsigned int flow, const char *when)
{
	uint32_t seq = 0;

	t_ok(net->t, parent_settle(net->p));
	while (net_wire(net, &in, 0))
		t_expect(net->t, !mine(net, flow, &seq),
			 "%s no frame may reach the wire, frame %u did", when, seq);
}

void drain_wire(struct net *net)
{
	t_ok(net->t, parent_settle(net->p));
	while (net_wire(net, &in, 0))
		;
}

void hand_inject(struct net *net, unsigned int flow, uint32_t seq)
{
	net_frame_make(net, &out, flow, seq, 60 + (uint32_t)(t_random(net->t) % 1400));
	if (net_inject(net, &out))
		t_broken(net->t, "the peer on the wire takes no frame");
}

int where_received(struct net *net, const struct net_frame *frame)
{
	int pair = -1;

	if (net_inject(net, frame))
		t_broken(net->t, "the peer on the wire takes no frame");
	t_ok(net->t, parent_settle(net->p));
	while (net_recv(net, &in, 0))
		if (in.len == frame->len && !memcmp(in.data, frame->data, in.len)) {
			t_expect(net->t, pair < 0, "a frame was received twice");
			pair = (int)in.pair;
		}
	return pair;
}

bool receives(struct net *net, const uint8_t mac[6], int vlan)
{
	static uint32_t seq;

	net_frame_make(net, &out, HAND_FLOW, seq++, 100);
	memcpy(out.data, mac, 6);
	if (vlan != NO_VLAN) {
		memmove(out.data + 16, out.data + 12, out.len - 12);
		out.data[12] = 0x81;
		out.data[13] = 0x00;
		out.data[14] = (uint8_t)(vlan >> 8);
		out.data[15] = (uint8_t)vlan;
		out.len += 4;
	}
	return where_received(net, &out) >= 0;
}

/* ---- Commands ---------------------------------------------------------------------------------
 */

void ctrl_rx_mode(struct net *net, uint8_t cmd, uint8_t on)
{
	t_expect(net->t, net_ctrl(net, VC_NET_CTRL_RX, cmd, &on, 1) == VC_NET_OK,
		 "receive mode command %u must be supported with CTRL_RX", cmd);
}

static uint32_t put_macs(uint8_t *at, const uint8_t (*macs)[6], unsigned int n)
{
	const uint32_t le = htole32(n);

	memcpy(at, &le, 4);
	if (n)
		memcpy(at + 4, macs, 6 * (size_t)n);
	return 4 + 6 * n;
}

uint8_t ctrl_mac_table_ack(struct net *net, const uint8_t (*uni)[6], unsigned int uni_n,
			   const uint8_t (*multi)[6], unsigned int multi_n)
{
	static uint8_t data[8 + 6 * 1024];
	uint32_t len;

	if (uni_n + multi_n > 1024)
		t_broken(net->t, "a bug of this check: %u addresses", uni_n + multi_n);
	len = put_macs(data, uni, uni_n);
	len += put_macs(data + len, multi, multi_n);
	return net_ctrl(net, VC_NET_CTRL_MAC, VC_NET_CTRL_MAC_TABLE_SET, data, len);
}

void ctrl_mac_table(struct net *net, const uint8_t (*uni)[6], unsigned int uni_n,
		    const uint8_t (*multi)[6], unsigned int multi_n)
{
	t_expect(net->t, ctrl_mac_table_ack(net, uni, uni_n, multi, multi_n) == VC_NET_OK,
		 "a MAC table of %u addresses must be accepted", uni_n + multi_n);
}

uint8_t ctrl_vlan(struct net *net, uint8_t cmd, uint16_t vlan)
{
	const uint16_t le = htole16(vlan);

	return net_ctrl(net, VC_NET_CTRL_VLAN, cmd, &le, sizeof(le));
}

/* ---- Interrupts and waiting --------------------------------------------------------------------
 */

void forget_calls(struct net *net)
{
	for (unsigned int q = 0; q < net->queues; q++)
		if (net_ring(net, q))
			vring_calls(net_ring(net, q));
}

void expect_no_calls(struct net *net, const char *when)
{
	t_ok(net->t, parent_settle(net->p));
	for (unsigned int q = 0; q < net->queues; q++)
		if (net_ring(net, q))
			t_expect(net->t, !vring_calls(net_ring(net, q)),
				 "%s no queue may interrupt, %s did", when, net_queue_name(net, q));
}
