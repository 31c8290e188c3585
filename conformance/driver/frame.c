// SPDX-License-Identifier: BSD-3-Clause
/*
 * Frames that prove things: made with flow, number and checksum, and taken apart again
 *
 * How it works. A frame of ours is an Ethernet frame of EtherType 0x88b5 whose payload begins with
 * struct record; a hash covers every byte of the frame. It names the driver that sent it (a number
 * that net_up() takes): on a wire outside of this process frames of the check before, or of the
 * driver before in the same check, may still be on their way, and are not received. UDP and TCP
 * frames are for offloads: their payload is a pattern of flow and offset, so that segments can be
 * put together and compared.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "net_priv.h"

#define ETH_LEN	  14u
#define ETHERTYPE 0x88b5u
#define ETH_IPV4  0x0800u
#define ETH_IPV6  0x86ddu
#define MAGIC	  0x76716672u
#define FRAME_MIN 60u
#define IPV4_LEN  20u
#define IPV6_LEN  40u
#define UDP_LEN	  8u
#define TCP_LEN	  20u
#define PROTO_TCP 6u
#define PROTO_UDP 17u
#define TCP_CSUM  16u
#define UDP_CSUM  6u

/** struct record - what a frame of ours says of itself, behind the Ethernet header */
struct record {
	uint32_t magic;
	uint32_t session; /* of the driver that sent it */
	uint32_t flow;
	uint32_t seq;
	uint32_t len;
	uint64_t hash; /* of the frame with this field 0 */
} __attribute__((packed));

static const uint8_t peer_mac[6] = {0x02, 'p', 'e', 'e', 'r', 0};

uint64_t net_hash(const void *data, size_t len)
{
	const uint8_t *at = data;
	uint64_t h = 0x9e3779b97f4a7c15u ^ len, word;

	for (; len >= 8; len -= 8, at += 8) {
		memcpy(&word, at, 8);
		h = (h ^ word) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, at, len);
	h = (h ^ word) * 0xff51afd7ed558ccdu;
	return h ^ h >> 29;
}

static void put16be(uint8_t *at, unsigned int v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static unsigned int get16be(const uint8_t *at)
{
	return (unsigned int)at[0] << 8 | at[1];
}

static void ethernet(struct net *net, struct net_frame *f, unsigned int type)
{
	memset(&f->hdr, 0, sizeof(f->hdr));
	/* without MAC the device can't know the driver's address, but may filter: to everybody */
	if (net->features & VC_BIT(VC_NET_F_MAC))
		memcpy(f->data, net->mac, 6);
	else
		memset(f->data, 0xff, 6);
	memcpy(f->data + 6, peer_mac, 6);
	put16be(f->data + 12, type);
}

void net_frame_make(struct net *net, struct net_frame *frame, unsigned int flow, uint32_t seq,
		    uint32_t len)
{
	uint64_t x = t_random(net->t);
	struct record rec = {
		.magic = htole32(MAGIC),
		.session = htole32(net->session),
		.flow = htole32(flow),
		.seq = htole32(seq),
	};
	const uint32_t head = ETH_LEN + sizeof(rec);

	if (len < FRAME_MIN)
		len = FRAME_MIN;
	if (len > NET_FRAME_MAX)
		len = NET_FRAME_MAX;
	rec.len = htole32(len);
	ethernet(net, frame, ETHERTYPE);
	frame->len = len;
	frame->pair = frame->buffers = 0;
	for (uint32_t at = head; at < len; at += 8) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		memcpy(frame->data + at, &x, len - at < 8 ? len - at : 8);
	}
	memcpy(frame->data + ETH_LEN, &rec, sizeof(rec));
	rec.hash = net_hash(frame->data, len);
	memcpy(frame->data + ETH_LEN, &rec, sizeof(rec));
}

bool net_frame_ours(const struct net_frame *frame)
{
	struct record rec;

	if (frame->len < ETH_LEN + sizeof(rec) || get16be(frame->data + 12) != ETHERTYPE)
		return false;
	memcpy(&rec, frame->data + ETH_LEN, sizeof(rec));
	return le32toh(rec.magic) == MAGIC;
}

bool net_frame_stale(const struct net *net, const struct net_frame *frame)
{
	struct record rec;

	if (net->p->caps & CAP_EXACT_SETTLE || !net_frame_ours(frame))
		return false;
	memcpy(&rec, frame->data + ETH_LEN, sizeof(rec));
	return le32toh(rec.session) != net->session;
}

bool net_frame_parse(const struct net_frame *frame, unsigned int *flow, uint32_t *seq,
		     const char **why)
{
	static const uint8_t zero[8];
	const size_t hash_at = ETH_LEN + offsetof(struct record, hash);
	struct net_frame *f = (struct net_frame *)frame;
	struct record rec;
	uint64_t hash;

	*why = NULL;
	if (!net_frame_ours(frame)) {
		*why = "it is none of the suite's frames";
		return false;
	}
	memcpy(&rec, frame->data + ETH_LEN, sizeof(rec));
	*flow = le32toh(rec.flow);
	*seq = le32toh(rec.seq);
	/* Ethernet pads to 60 bytes, which a wire may or may not cut off again */
	if (le32toh(rec.len) != frame->len) {
		*why = le32toh(rec.len) > frame->len ? "bytes at its end are missing"
						     : "it is longer than what was sent";
		return false;
	}
	/* the hash was taken with its own field 0; put back at once */
	memcpy(f->data + hash_at, zero, 8);
	hash = net_hash(f->data, f->len);
	memcpy(f->data + hash_at, &rec.hash, 8);
	if (hash != rec.hash) {
		*why = "its contents are damaged";
		return false;
	}
	return true;
}

/* ---- IP
 * ------------------------------------------------------------------------------------------ */

static uint32_t sum(const uint8_t *at, size_t len, uint32_t s)
{
	for (; len >= 2; len -= 2, at += 2)
		s += get16be(at);
	if (len)
		s += (uint32_t)at[0] << 8;
	return s;
}

static unsigned int fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

/**
 * struct layers - where the parts of an IP frame are
 * @pseudo: sum of the pseudo header
 */
struct layers {
	uint32_t ip, l4, l4_len;
	unsigned int proto, csum; /* offset of the checksum in layer 4 */
	uint32_t pseudo;
	bool v6;
};

static bool find_layers(const struct net_frame *f, struct layers *l)
{
	const uint8_t *ip = f->data + ETH_LEN;
	unsigned int type;

	if (f->len < ETH_LEN)
		return false;
	type = get16be(f->data + 12);
	l->ip = ETH_LEN;
	if (type == ETH_IPV4 && f->len >= ETH_LEN + IPV4_LEN && ip[0] >> 4 == 4) {
		const unsigned int ihl = 4u * (ip[0] & 15u);
		const unsigned int total = get16be(ip + 2);

		if (ihl < IPV4_LEN || total < ihl || ETH_LEN + total > f->len)
			return false;
		l->v6 = false;
		l->proto = ip[9];
		l->l4 = ETH_LEN + ihl;
		l->l4_len = total - ihl;
		l->pseudo = sum(ip + 12, 8, l->proto + l->l4_len);
	} else if (type == ETH_IPV6 && f->len >= ETH_LEN + IPV6_LEN && ip[0] >> 4 == 6) {
		l->v6 = true;
		l->proto = ip[6];
		l->l4 = ETH_LEN + IPV6_LEN;
		l->l4_len = get16be(ip + 4);
		if (l->l4 + l->l4_len > f->len)
			return false;
		l->pseudo = sum(ip + 8, 32, l->proto + l->l4_len);
	} else {
		return false;
	}
	if (l->proto == PROTO_TCP && l->l4_len >= TCP_LEN)
		l->csum = TCP_CSUM;
	else if (l->proto == PROTO_UDP && l->l4_len >= UDP_LEN)
		l->csum = UDP_CSUM;
	else
		return false;
	return true;
}

/* finish() - lengths and checksums of a frame whose headers are in place */
static void finish(struct net_frame *f, uint32_t l4, uint32_t l4_len, bool v6)
{
	uint8_t *ip = f->data + ETH_LEN;
	struct layers l;
	unsigned int c;

	f->len = l4 + l4_len;
	if (v6) {
		put16be(ip + 4, l4_len);
	} else {
		put16be(ip + 2, IPV4_LEN + l4_len);
		put16be(ip + 10, 0);
		put16be(ip + 10, ~fold(sum(ip, IPV4_LEN, 0)) & 0xffff);
	}
	if (!find_layers(f, &l))
		return;
	put16be(f->data + l4 + l.csum, 0);
	c = ~fold(sum(f->data + l4, l4_len, l.pseudo)) & 0xffff;
	/* UDP: 0 would mean that there is none */
	put16be(f->data + l4 + l.csum, c || l.proto != PROTO_UDP ? c : 0xffff);
}

static uint32_t ip_header(struct net *net, struct net_frame *f, unsigned int proto, bool v6)
{
	static const uint8_t v4[IPV4_LEN] = {0x45, 0, 0,   0, 0, 0, 0x40, 0, 64, 0,
					     0,	   0, 192, 0, 2, 1, 192,  0, 2,	 2};
	uint8_t *ip = f->data + ETH_LEN;

	ethernet(net, f, v6 ? ETH_IPV6 : ETH_IPV4);
	f->pair = f->buffers = 0;
	if (!v6) {
		memcpy(ip, v4, IPV4_LEN);
		ip[9] = (uint8_t)proto;
		return ETH_LEN + IPV4_LEN;
	}
	memset(ip, 0, IPV6_LEN);
	ip[0] = 0x60;
	ip[6] = (uint8_t)proto;
	ip[7] = 64;
	/* 2001:db8::1 to 2001:db8::2, for documentation */
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t *a = ip + 8 + 16 * i;

		a[0] = 0x20;
		a[1] = 0x01;
		a[2] = 0x0d;
		a[3] = 0xb8;
		a[15] = (uint8_t)(i + 1);
	}
	return ETH_LEN + IPV6_LEN;
}

static void pattern(uint8_t *at, unsigned int flow, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		at[i] = (uint8_t)(i * 7 + i / 251 + flow);
}

void net_frame_udp(struct net *net, struct net_frame *frame, unsigned int flow, uint32_t payload)
{
	const uint32_t l4 = ip_header(net, frame, PROTO_UDP, false);
	uint8_t *udp = frame->data + l4;

	put16be(udp, 0xc000 + (flow & 0x3fff));
	put16be(udp + 2, 9);
	put16be(udp + 4, UDP_LEN + payload);
	pattern(udp + UDP_LEN, flow, payload);
	finish(frame, l4, UDP_LEN + payload, false);
}

void net_frame_tcp(struct net *net, struct net_frame *frame, unsigned int flow, uint32_t payload,
		   bool ipv6)
{
	const uint32_t l4 = ip_header(net, frame, PROTO_TCP, ipv6);
	uint8_t *tcp = frame->data + l4;

	memset(tcp, 0, TCP_LEN);
	put16be(tcp, 0xc000 + (flow & 0x3fff));
	put16be(tcp + 2, 9);
	put16be(tcp + 6, 1);
	put16be(tcp + 10, 1);
	tcp[12] = TCP_LEN / 4 << 4;
	tcp[13] = 0x18; /* PSH, ACK */
	put16be(tcp + 14, 0xffff);
	pattern(tcp + TCP_LEN, flow, payload);
	finish(frame, l4, TCP_LEN + payload, ipv6);
}

bool net_csum_ok(const struct net_frame *frame)
{
	const uint8_t *ip = frame->data + ETH_LEN;
	struct layers l;
	unsigned int field;

	if (!find_layers(frame, &l))
		return false;
	if (!l.v6 && fold(sum(ip, l.l4 - l.ip, 0)) != 0xffff)
		return false;
	field = get16be(frame->data + l.l4 + l.csum);
	/* still to be finished: the field holds the sum of the pseudo header */
	if (frame->hdr.flags & VC_NET_HDR_F_NEEDS_CSUM)
		return frame->hdr.csum_start == l.l4 && frame->hdr.csum_offset == l.csum &&
		       field == fold(l.pseudo);
	if (l.proto == PROTO_UDP && !field)
		return !l.v6;
	return fold(sum(frame->data + l.l4, l.l4_len, l.pseudo)) == 0xffff;
}

void net_csum_partial(struct net_frame *frame)
{
	struct layers l;

	if (!find_layers(frame, &l))
		return;
	frame->hdr.flags = VC_NET_HDR_F_NEEDS_CSUM;
	frame->hdr.csum_start = (uint16_t)l.l4;
	frame->hdr.csum_offset = (uint16_t)l.csum;
	put16be(frame->data + l.l4 + l.csum, fold(l.pseudo));
}

/* ---- Wire
 * ------------------------------------------------------------------------------------------ */

bool net_has_peer(const struct net *net)
{
	return net->p->peer == PEER_OWN;
}

int net_inject(struct net *net, const struct net_frame *frame)
{
	const struct parent_frame f = {
		.data = frame->data,
		.len = frame->len,
		.flags = frame->hdr.flags,
		.gso_type = frame->hdr.gso_type,
		.hdr_len = frame->hdr.hdr_len,
		.gso_size = frame->hdr.gso_size,
		.csum_start = frame->hdr.csum_start,
		.csum_offset = frame->hdr.csum_offset,
	};

	switch (net->p->peer) {
	case PEER_OWN:
		return parent_peer_send(net->p, &f);
	case PEER_ECHO:
		return net_send(net, 0, frame, 1, 0);
	default:
		t_skip(net->t, SKIP_PEER, "nothing is known of what stands on the wire");
	}
}

bool net_wire_now(struct net *net, struct net_frame *frame)
{
	struct parent_frame f;
	int n;

	if (net->p->peer != PEER_OWN)
		return net_recv_now(net, frame);
again:
	n = parent_peer_recv(net->p, &f, frame->data, NET_FRAME_MAX);
	if (n == -EMSGSIZE)
		t_fail(net->t, "a frame of more than %u bytes reached the wire", NET_FRAME_MAX);
	if (n < 0)
		t_broken(net->t, "the peer on the wire failed: %s", strerror(-n));
	if (n == 0)
		return false;
	frame->len = f.len;
	if (net_frame_stale(net, frame))
		goto again;
	frame->hdr = (struct net_hdr){
		.flags = f.flags,
		.gso_type = f.gso_type,
		.hdr_len = f.hdr_len,
		.gso_size = f.gso_size,
		.csum_start = f.csum_start,
		.csum_offset = f.csum_offset,
	};
	frame->pair = frame->buffers = 0;
	return true;
}

struct wire_wait {
	struct net *net;
	struct net_frame *frame;
};

static bool wire_came(void *arg)
{
	struct wire_wait *w = arg;

	return net_wire_now(w->net, w->frame);
}

bool net_wire(struct net *net, struct net_frame *frame, unsigned int timeout_ms)
{
	struct wire_wait w = {net, frame};

	if (net->p->peer != PEER_OWN)
		return net_recv(net, frame, timeout_ms);
	if (!timeout_ms)
		return net_wire_now(net, frame);
	return parent_wait(net->p, wire_came, &w, timeout_ms);
}
