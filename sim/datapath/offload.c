/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Offloads: finishing in software what a frame's metadata leave to be done
 *
 * How it works. A driver hands over frames whose TCP or UDP checksum holds only the sum of the
 * pseudo header (NEEDS_CSUM), or one big frame that stands for many (GSO). A wire that carries the
 * metadata along (a TAP) gets them as they are. For other wires, and for receiving drivers that did
 * not negotiate as much, the frame is finished here: the sum is taken from csum_start to the end of
 * the frame and stored, or headers and payload are cut into segments, each with its own lengths, IP
 * id, sequence number, flags and checksums.
 *
 * For segmentation the frame's own headers are believed, not its metadata: the frame is parsed, and
 * refused if csum_start and csum_offset say something else. Segments are checksummed from scratch,
 * so that a wrong pseudo-header sum in the frame can't get out.
 *
 * Sums are taken in host order over 8-byte words: the ones' complement sum is the same in either
 * byte order but for a final swap, which storing in host order undoes (RFC 1071, 2 (B)).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "../util.h"
#include "offload.h"

#define ETH_HLEN    14u
#define VLAN_HLEN   4u
#define VLAN_MAX    2u
#define ETH_P_IPV4  0x0800u
#define ETH_P_IPV6  0x86ddu
#define ETH_P_VLAN  0x8100u
#define ETH_P_QINQ  0x88a8u
#define IPV4_HLEN   20u
#define IPV6_HLEN   40u
#define TCP_HLEN    20u
#define UDP_HLEN    8u
#define PROTO_HOP   0u
#define PROTO_TCP   6u
#define PROTO_UDP   17u
#define PROTO_ROUTE 43u
#define PROTO_DST   60u

/* Offsets in the headers. */
#define IPV4_LEN   2u
#define IPV4_ID	   4u
#define IPV4_FRAG  6u
#define IPV4_PROTO 9u
#define IPV4_CSUM  10u
#define IPV4_ADDRS 12u
#define IPV6_LEN   4u
#define IPV6_NEXT  6u
#define IPV6_ADDRS 8u
#define TCP_SEQ	   4u
#define TCP_OFF	   12u
#define TCP_FLAGS  13u
#define TCP_CSUM   16u
#define UDP_LEN	   4u
#define UDP_CSUM   6u

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u

static uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put_be16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static uint32_t get_be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return ntohl(v);
}

static void put_be32(uint8_t *p, uint32_t value)
{
	value = htonl(value);
	memcpy(p, &value, sizeof(value));
}

static uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t offload_sum(const void *data, uint32_t len, uint32_t start)
{
	const uint8_t *p = data;
	uint64_t even = start, odd = 0;
	uint32_t words[2];
	uint16_t half;

	/* 32-bit halves in 64-bit sums need no carry for any length that fits 32 bits. */
	for (; len >= sizeof(words); len -= (uint32_t)sizeof(words), p += sizeof(words)) {
		memcpy(words, p, sizeof(words));
		even += words[0];
		odd += words[1];
	}
	for (; len >= sizeof(half); len -= (uint32_t)sizeof(half), p += sizeof(half)) {
		memcpy(&half, p, sizeof(half));
		even += half;
	}
	if (len) /* a last odd byte counts as if a zero followed */
		even += *p;
	return fold((uint64_t)fold(even) + fold(odd));
}

/* The complement as it is sent: 0 means "no checksum" to UDP, and 0xffff is the same number. */
static void store_csum(uint8_t *p, uint16_t sum)
{
	uint16_t csum = (uint16_t)~sum;

	if (!csum)
		csum = 0xffff;
	memcpy(p, &csum, sizeof(csum));
}

void offload_csum(uint8_t *data, uint32_t len, uint16_t start, uint16_t offset)
{
	store_csum(data + start + offset, offload_sum(data + start, len - start, 0));
}

/* Finds the end of IPv6's header chain; -EINVAL if it does not lead to @want. */
static int ipv6_l4(const uint8_t *data, uint32_t l3, uint32_t end, uint8_t want, uint32_t *l4)
{
	uint8_t next = data[l3 + IPV6_NEXT];
	uint32_t at = l3 + IPV6_HLEN;

	while (next == PROTO_HOP || next == PROTO_ROUTE || next == PROTO_DST) {
		uint32_t len;

		if (at + 8 > end)
			return -EINVAL;
		len = (data[at + 1] + 1u) * 8;
		next = data[at];
		at += len; /* at least 8, so that this ends */
	}
	if (next != want || at > end)
		return -EINVAL;
	*l4 = at;
	return 0;
}

static int parse_l3(const struct vqnic_frame *frame, bool *ipv6, uint32_t *l3)
{
	const uint8_t *data = frame->data;
	uint32_t at = ETH_HLEN - 2;
	unsigned int tags;
	uint16_t type;

	if (frame->len < ETH_HLEN)
		return -EINVAL;
	type = get_be16(data + at);
	for (tags = 0; type == ETH_P_VLAN || type == ETH_P_QINQ; tags++) {
		if (tags == VLAN_MAX || frame->len < at + VLAN_HLEN + 2)
			return -EINVAL;
		at += VLAN_HLEN;
		type = get_be16(data + at);
	}
	if (type != ETH_P_IPV4 && type != ETH_P_IPV6)
		return -EINVAL;
	*ipv6 = type == ETH_P_IPV6;
	*l3 = at + 2;
	return 0;
}

static int parse(const struct vqnic_frame *frame, struct offload_frame *o)
{
	uint8_t type = (uint8_t)(frame->gso_type & ~VQNIC_GSO_ECN);
	const uint8_t *ip;
	uint8_t proto;
	uint32_t hlen;
	int ret;

	ret = parse_l3(frame, &o->ipv6, &o->l3);
	if (ret)
		return ret;
	if (o->ipv6 ? type == VQNIC_GSO_TCPV4 : type == VQNIC_GSO_TCPV6)
		return -EINVAL;
	o->udp = type == VQNIC_GSO_UDP_L4;
	proto = o->udp ? PROTO_UDP : PROTO_TCP;
	ip = frame->data + o->l3;
	if (o->ipv6) {
		if (frame->len < o->l3 + IPV6_HLEN || ip[0] >> 4 != 6)
			return -EINVAL;
		o->end = o->l3 + IPV6_HLEN + get_be16(ip + IPV6_LEN);
		if (o->end > frame->len)
			return -EINVAL;
		ret = ipv6_l4(frame->data, o->l3, o->end, proto, &o->l4);
		if (ret)
			return ret;
	} else {
		if (frame->len < o->l3 + IPV4_HLEN || ip[0] >> 4 != 4)
			return -EINVAL;
		hlen = (ip[0] & 0xfu) * 4;
		o->end = o->l3 + get_be16(ip + IPV4_LEN);
		o->l4 = o->l3 + hlen;
		/* A fragment (more to come, or an offset) has no whole segment behind it. */
		if (hlen < IPV4_HLEN || o->l4 > o->end || o->end > frame->len ||
		    ip[IPV4_PROTO] != proto || get_be16(ip + IPV4_FRAG) & 0x3fff)
			return -EINVAL;
	}
	if (o->end < o->l4 + (o->udp ? UDP_HLEN : TCP_HLEN))
		return -EINVAL;
	hlen = o->udp ? UDP_HLEN : (frame->data[o->l4 + TCP_OFF] >> 4) * 4u;
	if (!o->udp && hlen < TCP_HLEN)
		return -EINVAL;
	o->payload = o->l4 + hlen;
	return o->payload < o->end ? 0 : -EINVAL;
}

int offload_check(const struct vqnic_frame *frame, struct offload_frame *parsed)
{
	struct offload_frame own;
	int ret;

	if (frame->flags & VQNIC_FRAME_NEEDS_CSUM &&
	    (uint32_t)frame->csum_start + frame->csum_offset + 2 > frame->len)
		return -EINVAL;
	switch (frame->gso_type) {
	case VQNIC_GSO_NONE:
		return 0;
	case VQNIC_GSO_TCPV4:
	case VQNIC_GSO_TCPV6:
	case VQNIC_GSO_TCPV4 | VQNIC_GSO_ECN:
	case VQNIC_GSO_TCPV6 | VQNIC_GSO_ECN:
	case VQNIC_GSO_UDP_L4:
		break;
	default:
		return -EINVAL;
	}
	/* 5.1.6.2.1: whoever sets a gso_type sets NEEDS_CSUM as well. */
	if (!frame->gso_size || !(frame->flags & VQNIC_FRAME_NEEDS_CSUM))
		return -EINVAL;
	if (!parsed)
		parsed = &own;
	ret = parse(frame, parsed);
	if (ret)
		return ret;
	if (frame->csum_start != parsed->l4 ||
	    frame->csum_offset != (parsed->udp ? UDP_CSUM : TCP_CSUM))
		return -EINVAL;
	return 0;
}

bool offload_excess(const struct vqnic_frame *frame, const struct offload_frame *parsed,
		    unsigned int allowed)
{
	unsigned int need = 0;

	if (frame->flags & VQNIC_FRAME_NEEDS_CSUM)
		need |= PORT_RX_CSUM;
	switch (frame->gso_type & ~VQNIC_GSO_ECN) {
	case VQNIC_GSO_TCPV4:
		need |= PORT_RX_TSO4;
		break;
	case VQNIC_GSO_TCPV6:
		need |= PORT_RX_TSO6;
		break;
	case VQNIC_GSO_UDP_L4:
		need |= parsed->ipv6 ? PORT_RX_USO6 : PORT_RX_USO4;
		break;
	default:
		break;
	}
	if (frame->gso_type & VQNIC_GSO_ECN)
		need |= PORT_RX_ECN;
	return need & ~allowed;
}

/* Ones' complement sum of the pseudo header without its length, in host order of memory. */
static uint32_t pseudo_sum(const uint8_t *data, const struct offload_frame *o)
{
	const uint8_t *ip = data + o->l3;
	uint16_t proto = htons(o->udp ? PROTO_UDP : PROTO_TCP);

	return o->ipv6 ? offload_sum(ip + IPV6_ADDRS, 32, proto)
		       : offload_sum(ip + IPV4_ADDRS, 8, proto);
}

static void segment_ip(uint8_t *out, const struct offload_frame *o, uint32_t len, unsigned int n)
{
	uint8_t *ip = out + o->l3;
	uint32_t hlen = o->l4 - o->l3;
	uint16_t csum;

	if (o->ipv6) {
		put_be16(ip + IPV6_LEN, len - o->l3 - IPV6_HLEN);
		return;
	}
	put_be16(ip + IPV4_LEN, len - o->l3);
	put_be16(ip + IPV4_ID, get_be16(ip + IPV4_ID) + n);
	put_be16(ip + IPV4_CSUM, 0);
	csum = (uint16_t)~offload_sum(ip, hlen, 0);
	memcpy(ip + IPV4_CSUM, &csum, sizeof(csum));
}

static void segment_l4(uint8_t *out, const struct offload_frame *o, uint32_t len, uint32_t done,
		       bool last, uint32_t pseudo)
{
	uint8_t *l4 = out + o->l4;
	uint32_t l4_len = len - o->l4;
	uint8_t *csum;

	if (o->udp) {
		put_be16(l4 + UDP_LEN, l4_len);
		csum = l4 + UDP_CSUM;
	} else {
		put_be32(l4 + TCP_SEQ, get_be32(l4 + TCP_SEQ) + done);
		/* What ends a stream or a burst goes with the last byte, CWR with the first. */
		if (!last)
			l4[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		if (done)
			l4[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
		csum = l4 + TCP_CSUM;
	}
	put_be16(csum, 0);
	store_csum(csum, offload_sum(l4, l4_len, pseudo + htons((uint16_t)l4_len)));
}

int offload_finish(const struct vqnic_frame *frame, const struct offload_frame *parsed,
		   uint8_t *scratch, offload_emit_fn emit, void *ctx)
{
	struct vqnic_frame out = {.data = scratch};
	uint32_t done, chunk, total, pseudo;
	unsigned int n;
	int ret = 0, err;

	if (frame->gso_type == VQNIC_GSO_NONE) {
		memcpy(scratch, frame->data, frame->len);
		if (frame->flags & VQNIC_FRAME_NEEDS_CSUM)
			offload_csum(scratch, frame->len, frame->csum_start, frame->csum_offset);
		out.len = frame->len;
		return emit(ctx, &out);
	}
	pseudo = pseudo_sum(frame->data, parsed);
	total = parsed->end - parsed->payload;
	for (done = 0, n = 0; done < total; done += chunk, n++) {
		chunk = total - done < frame->gso_size ? total - done : frame->gso_size;
		memcpy(scratch, frame->data, parsed->payload);
		memcpy(scratch + parsed->payload, frame->data + parsed->payload + done, chunk);
		out.len = parsed->payload + chunk;
		segment_ip(scratch, parsed, out.len, n);
		segment_l4(scratch, parsed, out.len, done, done + chunk == total, pseudo);
		err = emit(ctx, &out);
		if (err && !ret)
			ret = err;
	}
	return ret;
}
