/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What several areas of checks need beside the driver
 *
 * How it works. Negotiation by hand, for checks that want to see it refused. Frames by hand, of
 * flows of their own, which the numbered traffic of io_run() does not count: a check says which
 * frame it sends and looks whether it came, and where. All of them fail the check, or break it,
 * where the parent or the environment does not play along.
 */
#ifndef VC_CHECKS_SUPPORT_H
#define VC_CHECKS_SUPPORT_H

#include "../driver/net.h"

#define SLOW_MS 60000u /* deadline of checks that bring a device up many times, under emulation */

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/** get_status(), add_status() - read status; write what it reads with @bits more and read again */
uint8_t get_status(struct test *t);
uint8_t add_status(struct test *t, uint8_t bits);

/**
 * negotiate() - from a reset up to FEATURES_OK with exactly @features
 * Return: did FEATURES_OK read back set? A parent that refuses by an errno has refused as well.
 */
bool negotiate(struct test *t, uint64_t features);

/** offered_features() - what the device offers */
uint64_t offered_features(struct test *t);

/** required_features() - of the offer, what a device may insist on (VIRTIO 6.2) */
uint64_t required_features(uint64_t offered);

/** beyond_us - features that change how a device is driven, in ways that the suite does not know */
extern const uint64_t beyond_us;

#define HAND_FLOW 1000u /* first flow that io_run() does not use */

/** hand_send() - a frame of @flow with number @seq on @pair's transmit queue; NET_SEND_* flags */
void hand_send(struct net *net, unsigned int pair, unsigned int flow, uint32_t seq,
	       unsigned int flags);

/**
 * hand_wire() - wait for frames @seq to @seq + @n - 1 of @flow on the wire, in order
 * Fails the check if one is missing, damaged or out of order.
 */
void hand_wire(struct net *net, unsigned int flow, uint32_t seq, unsigned int n);

/** hand_wire_silent() - fail the check if a frame of @flow is on the wire after a settle */
void hand_wire_silent(struct net *net, unsigned int flow, const char *when);

/** drain_wire() - after a settle: what is on the wire, or was received, is none of the check's
 * business */
void drain_wire(struct net *net);

/** hand_inject() - let a frame of @flow arrive from the wire (needs a peer of its own) */
void hand_inject(struct net *net, unsigned int flow, uint32_t seq);

#define NO_VLAN (-1)

/**
 * where_received() - let @frame arrive from the wire and look which receive queue gets it
 * Return: number of the pair; -1: it was not received (after a settle).
 */
int where_received(struct net *net, const struct net_frame *frame);

/** receives() - is a frame to @mac, with a tag of @vlan unless NO_VLAN, received? */
bool receives(struct net *net, const uint8_t mac[6], int vlan);

/** ctrl_rx_mode() - a receive mode command, which must be acknowledged (CTRL_RX) */
void ctrl_rx_mode(struct net *net, uint8_t cmd, uint8_t on);

/** ctrl_mac_table() - MAC_TABLE_SET, which must be acknowledged; counts may be 0 */
void ctrl_mac_table(struct net *net, const uint8_t (*uni)[6], unsigned int uni_n,
		    const uint8_t (*multi)[6], unsigned int multi_n);

/** ctrl_mac_table_ack() - as ctrl_mac_table(), of which the answer is returned */
uint8_t ctrl_mac_table_ack(struct net *net, const uint8_t (*uni)[6], unsigned int uni_n,
			   const uint8_t (*multi)[6], unsigned int multi_n);

/** ctrl_vlan() - VLAN_ADD or VLAN_DEL; returns the answer */
uint8_t ctrl_vlan(struct net *net, uint8_t cmd, uint16_t vlan);

/** expect_no_calls() - after a settle no queue may have interrupted */
void expect_no_calls(struct net *net, const char *when);

/** forget_calls() - interrupts so far are none of the check's business */
void forget_calls(struct net *net);

#endif
