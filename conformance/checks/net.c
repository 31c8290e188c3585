/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames: whole, in their buffers, with the header that was negotiated (VIRTIO 5.1.6)
 *
 * How it works. Frames of ours are compared byte for byte on the other side. TCP frames carry a
 * pattern that depends on the place in the stream, so that it does not matter whether a device or a
 * wire leaves a large frame whole or cuts it: what arrives is put together and compared. Header
 * fields are held against the features by the driver for every frame that it receives.
 */
#include <errno.h>

#include "frames.h"

static struct net_frame frame, got;

/* ---- Sizes ------------------------------------------------------------------------------------
 */

CHECK(net, transmit_sizes, .requirements = "VIO-NETH-003 VIO-FRAME-001",
      .summary = "frames of all sizes are sent whole, however they are cut into descriptors",
      .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);

	for (uint32_t len = 60; len <= 1514; len += 1 + (uint32_t)(t_random(t) % 23)) {
		net_frame_make(net, &frame, NET_FLOW_OWN, len, len);
		frame_out(net, 0, &frame, 1 + (unsigned int)(t_random(t) % 5),
			  t_random(t) & 1 ? NET_SEND_HDR_APART : 0);
	}
	net_frame_make(net, &frame, NET_FLOW_OWN, 0, 1514);
	frame_out(net, 0, &frame, 14, 0);
	net_down(net);
}

CHECK(net, receive_sizes, .requirements = "VIO-SPLIT-012 VIO-NETH-003 VIO-FRAME-001",
      .summary =
	      "frames of all sizes are received whole, also with the header in a piece of its own",
      .needs = CAP_TRAFFIC)
{
	for (unsigned int apart = 0; apart < 2; apart++) {
		struct net *net = net_up(t, &(struct net_options){.rx_split = apart});

		for (uint32_t len = 60; len <= 1514; len += 1 + (uint32_t)(t_random(t) % 23)) {
			net_frame_make(net, &frame, NET_FLOW_OWN, len, len);
			frame_in(net, &frame);
		}
		net_frame_make(net, &frame, NET_FLOW_OWN, 0, 1514);
		frame_in(net, &frame);
		net_down(net);
	}
}

CHECK(net, bulk, .requirements = "OPS-GEN-001 VDPA-SUSP-015 VIO-SPLIT-012",
      .summary = "of many frames none is lost, repeated, damaged or out of order",
      .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.event_idx = true, .indirect = true});

	io_run(net, 600, NULL);
	net_down(net);
}

CHECK(net, packed_bulk, .requirements = "OPS-GEN-001 VDPA-SUSP-015 VIO-PACK-004",
      .summary = "the same on packed rings", .needs = CAP_TRAFFIC,
      .features = VC_BIT(VC_F_RING_PACKED))
{
	struct net *net = net_up(t, &(struct net_options){.event_idx = true,
							  .indirect = true,
							  .format = NET_PACKED});

	io_run(net, 600, NULL);
	net_down(net);
}

CHECK(net, mtu, .requirements = "VIO-NETC-006 VIO-NETC-005",
      .summary = "frames as long as the MTU go both ways; longer ones are not received",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_NET_F_MTU))
{
	struct net *net = net_up(t, &(struct net_options){.need = VC_BIT(VC_NET_F_MTU),
							  .rx_size = 10000,
							  .rx_count = 16});
	const uint32_t mtu = net_config16(net, VC_NET_CFG_MTU);

	if (mtu + 14 > 9000)
		t_skip(t, SKIP_FEATURE, "an MTU of %u, longer than this check's buffers", mtu);
	for (uint32_t less = 0; less < 4; less++) {
		net_frame_make(net, &frame, NET_FLOW_OWN, less, mtu + 14 - less);
		frame_out(net, 0, &frame, 1 + less, 0);
		frame_in(net, &frame);
	}
	if (!net_has_peer(net))
		return;
	/* a VLAN tag more is no longer frame in everyone's book: well beyond it */
	for (uint32_t more = 100; more < 600; more += 100) {
		net_frame_make(net, &frame, NET_FLOW_OWN, more, mtu + 14 + more);
		/* the wire may refuse it */
		if (net_inject(net, &frame))
			continue;
		parent_settle(net->p);
		t_expect(t, !net_recv(net, &got, 0),
			 "a frame of %u bytes was received with an MTU of %u", got.len, mtu);
	}
	net_frame_make(net, &frame, NET_FLOW_OWN, 0, mtu + 14);
	frame_in(net, &frame);
	net_down(net);
}

/* ---- Headers and buffers ----------------------------------------------------------------------
 */

CHECK(net, without_mrg, .requirements = "VIO-NETH-003 VIO-NETRX-010 VIO-NETRX-006",
      .summary =
	      "without mergeable buffers the header has 12 bytes all the same, num_buffers is 1 and "
	      "a frame is in one buffer",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_VERSION_1))
{
	struct net *net = net_up(t, &(struct net_options){.unwant = VC_BIT(VC_NET_F_MRG_RXBUF),
							  .rx_count = 8});

	for (unsigned int i = 0; i < 40; i++) {
		struct net_frame *in;

		net_frame_make(net, &frame, NET_FLOW_OWN, i, i & 1 ? 1514 : 60 + i * 30);
		frame_out(net, 0, &frame, 1 + i % 3, 0);
		in = frame_in(net, &frame);
		t_expect_eq(t, in->hdr.num_buffers, 1, "num_buffers without MRG_RXBUF");
	}
	io_run(net, 100, NULL);
	net_down(net);
}

#define POSTED 64u

/** struct pool - receive buffers of the check's own, all of one size */
struct pool {
	struct dma_mem mem;
	uint32_t size;
};

static struct pool make_pool(struct net *net, uint32_t size)
{
	const struct pool pool = {dma_alloc(net->dma, POSTED * (size_t)size, 16), size};

	for (unsigned int i = 0; i < POSTED; i++) {
		const struct vring_sg sg = {pool.mem.iova + i * (uint64_t)size, size, true};

		t_ok(net->t, vring_add(net->rx[0], &sg, 1, 0, pool.mem.host + i * (size_t)size));
	}
	vring_publish(net->rx[0], 0);
	vring_kick(net->rx[0]);
	return pool;
}

/** struct together - how many buffers of a frame were used when the first one was seen to be */
struct together {
	struct net *net;
	uint16_t from, used;
	bool wrap;
	unsigned int expect;
};

static bool first_used(void *arg)
{
	struct together *w = arg;
	struct vring *r = w->net->rx[0];
	bool wrap = w->wrap;

	if (!vring_pending(r))
		return false;
	w->used = 0;
	if (!vring_is_packed(r)) {
		w->used = (uint16_t)(vring_raw_used_idx(r) - w->from);
		return true;
	}
	for (uint16_t slot = w->from; w->used < w->expect; w->used++) {
		const struct vc_packed_desc *d =
			(const struct vc_packed_desc *)(const void *)vring_area(r, 0)->host + slot;
		const uint16_t flags = le16toh(__atomic_load_n(&d->flags, __ATOMIC_ACQUIRE));

		if (!(flags & VC_PACKED_F_USED) != !wrap || !(flags & VC_PACKED_F_AVAIL) != !wrap)
			break;
		if (++slot == vring_size(r)) {
			slot = 0;
			wrap = !wrap;
		}
	}
	return true;
}

/* merged() - frames over several buffers, received by hand */
static void merged(struct test *t, enum net_format format)
{
	static const uint32_t sizes[] = {100, 128, 500, 1526};
	/* a wire outside of this process may have an MTU */
	const uint32_t longest = t_parent(t)->caps & CAP_EXACT_SETTLE ? NET_FRAME_MAX : 1514;

	for (unsigned int i = 0; i < 4; i++) {
		struct net *net = net_up(t, &(struct net_options){
						    .format = format,
						    .need = VC_BIT(VC_NET_F_MRG_RXBUF),
						    .rx_count = NET_RX_NONE,
					    });
		const struct pool pool = make_pool(net, sizes[i]);
		unsigned int left = POSTED;

		t_step(t, "buffers of %u bytes", pool.size);
		for (unsigned int k = 0; left > 16; k++) {
			const struct vq_state at = vring_state(net->rx[0]);
			struct together w = {.net = net, .from = at.used, .wrap = at.used_wrap};
			uint32_t done = 0, total;

			net_frame_make(net, &frame, NET_FLOW_OWN, k,
				       k % 3 ? 60 + (uint32_t)(t_random(t) % 1400) : 1514);
			/* the edges: a frame that just fills its buffers */
			total = pool.size * (1 + k % 2) - net->hdr_len;
			if (k % 3 == 1 && total <= longest)
				net_frame_make(net, &frame, NET_FLOW_OWN, k, total);
			total = net->hdr_len + frame.len;
			w.expect = (total + pool.size - 1) / pool.size;
			t_ok(t, net_inject(net, &frame));
			t_expect(t, parent_wait(net->p, first_used, &w, NET_SOON),
				 "a frame of %u bytes must be received", frame.len);
			t_expect(
				t, w.used == w.expect,
				"a frame of %u bytes in buffers of %u: when the first buffer was used "
				"all %u must be, %u were",
				frame.len, pool.size, w.expect, w.used);
			for (unsigned int b = 0; b < w.expect; b++, left--) {
				const uint32_t skip = b ? 0 : net->hdr_len;
				struct vring_used used;
				const uint8_t *host;

				t_expect(t, vring_get(net->rx[0], &used), "buffer %u must be used",
					 b);
				host = used.cookie;
				if (!b)
					t_expect_eq(t, host[10] | host[11] << 8, w.expect,
						    "num_buffers of a merged frame");
				t_expect(
					t,
					used.len == (b + 1 < w.expect ? pool.size : total - done),
					"a frame of %u bytes: buffer %u of %u must hold %u bytes, it "
					"holds %u",
					frame.len, b, w.expect,
					b + 1 < w.expect ? pool.size : total - done, used.len);
				t_expect(
					t,
					!memcmp(host + skip,
						frame.data + (b ? done - net->hdr_len : 0),
						used.len - skip),
					"a frame of %u bytes: buffer %u of %u holds other bytes than "
					"were sent",
					frame.len, b, w.expect);
				done += used.len;
			}
			net_drain(net);
		}
		net_down(net);
	}
}

CHECK(net, merged, .requirements = "VIO-NETRX-005 VIO-NETRX-011 VIO-NETRX-012 VIO-NETRX-013",
      .summary =
	      "a frame over several buffers: all but the last are full, num_buffers counts them, "
	      "and they become used together",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_NET_F_MRG_RXBUF))
{
	merged(t, NET_SPLIT);
}

CHECK(net, packed_merged, .requirements = "VIO-NETRX-011 VIO-NETRX-012 VIO-NETRX-013 VIO-PACK-034",
      .summary = "the same on packed rings, where the first buffer is marked last",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_NET_F_MRG_RXBUF) | VC_BIT(VC_F_RING_PACKED))
{
	merged(t, NET_PACKED);
}

CHECK(net, small_buffers, .requirements = "VIO-NETRX-006 VIO-FRAME-001",
      .summary = "a frame that does not fit into a buffer that can't be merged harms nothing",
      .needs = CAP_PEER)
{
	struct net *net = net_up(t, &(struct net_options){.unwant = VC_BIT(VC_NET_F_MRG_RXBUF),
							  .rx_size = 200,
							  .rx_count = 8});

	for (unsigned int i = 0; i < 12; i++) {
		net_frame_make(net, &frame, NET_FLOW_OWN, i, i % 3 ? 800 : 1514);
		net_inject(net, &frame);
		parent_settle(net->p);
		/* it may come cut short, in one buffer; the slack around is looked at */
		while (net_recv(net, &got, 0))
			t_expect(t, got.len <= 200 - net->hdr_len && got.buffers == 1,
				 "a frame of %u bytes in %u buffers was received into one of 200",
				 got.len, got.buffers);
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 100 + i);
		frame_in(net, &frame);
	}
	net_down(net);
}

/* ---- Checksums --------------------------------------------------------------------------------
 */

/* ip_frame() - one of four kinds of IP frames, with @payload bytes */
static void ip_frame(struct net *net, struct net_frame *f, unsigned int kind, uint32_t payload)
{
	if (kind % 4 < 2)
		net_frame_udp(net, f, kind, payload);
	else
		net_frame_tcp(net, f, kind, payload, kind % 4 == 3);
}

CHECK(net, transmit_checksum, .requirements = "VIO-NETTX-029",
      .summary = "a frame that is sent with NEEDS_CSUM has its checksum on the wire",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_NET_F_CSUM))
{
	struct net *net = net_up(t, &(struct net_options){.need = VC_BIT(VC_NET_F_CSUM)});

	for (unsigned int i = 0; i < 24; i++) {
		static struct net_frame whole;
		const uint32_t l4 = i % 4 == 3 ? 54 : 34;

		/* odd lengths too: the last byte is padded for the sum only */
		ip_frame(net, &frame, i, 1 + i * 53);
		whole = frame;
		net_csum_partial(&frame);
		t_ok(t, net_send(net, 0, &frame, 1 + i % 3, i & 4 ? NET_SEND_HDR_APART : 0));
		t_expect(t, net_wire(net, &got, NET_SOON), "frame %u must reach the wire", i);
		t_expect_eq(t, got.len, frame.len, "length of a frame with its checksum completed");
		/* a wire may carry what is still to be done along with the frame */
		if (got.hdr.flags & VC_NET_HDR_F_NEEDS_CSUM) {
			t_expect(
				t, net_csum_ok(&got),
				"frame %u left with NEEDS_CSUM, but its fields are wrong (start %u, "
				"offset %u)",
				i, got.hdr.csum_start, got.hdr.csum_offset);
			t_expect(t,
				 !memcmp(got.data + l4 + 20, whole.data + l4 + 20,
					 whole.len - l4 - 20 < whole.len ? whole.len - l4 - 20
									 : 0) ||
					 whole.len < l4 + 20,
				 "frame %u: its payload changed", i);
		} else {
			frames_same(net, &whole, &got, "sent with its checksum completed");
		}
		net_drain(net);
	}
	net_down(net);
}

CHECK(net, transmit_header,
      .requirements = "VIO-NETTX-018 VIO-NETTX-019 VIO-NETTX-022 VIO-NETTX-027",
      .summary = "without NEEDS_CSUM and GSO no other header field and no unknown flag counts",
      .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.want = VC_BIT(VC_NET_F_CSUM) |
								  VC_BIT(VC_NET_F_HOST_TSO4)});

	for (unsigned int i = 0; i < 40; i++) {
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 100 + i);
		frame.hdr.flags = i & 1 ? 0xc0 : 0;
		frame.hdr.csum_start = (uint16_t)(i & 2 ? 34 + i : t_random(t));
		frame.hdr.csum_offset = (uint16_t)(i & 4 ? 6 : t_random(t));
		frame.hdr.hdr_len = (uint16_t)t_random(t);
		frame.hdr.gso_size = (uint16_t)t_random(t);
		frame_out(net, 0, &frame, 1, 0);
	}
	net_down(net);
}

/* peer_frame() - let a frame arrive that is not finished yet, as from a neighbour on the same host
 */
static void peer_frame(struct net *net, const struct net_frame *f)
{
	int err = net_inject(net, f);

	if (err == -EOPNOTSUPP || err == -EINVAL)
		t_skip(net->t, SKIP_PEER, "this wire carries no unfinished frames");
	t_expect(net->t, err == 0, "the frame must be taken from the wire, error %d", err);
}

CHECK(net, receive_plain,
      .requirements = "VIO-NETRX-014 VIO-NETRX-015 VIO-NETRX-017 VIO-NETRX-018 VIO-NETRX-028",
      .summary = "without guest offloads frames are received finished: flags 0, no GSO",
      .needs = CAP_PEER)
{
	struct net *net = net_up(t, NULL);

	for (unsigned int i = 0; i < 16; i++) {
		static struct net_frame whole;

		ip_frame(net, &frame, i, 200 + 50 * i);
		whole = frame;
		net_csum_partial(&frame);
		peer_frame(net, &frame);
		t_expect(t, net_recv(net, &got, NET_SOON),
			 "a frame that came with an unfinished checksum must be received");
		/* judged in net_recv(): flags and gso_type */
		frames_same(net, &whole, &got, "received with its checksum completed");
	}
	net_down(net);
}

CHECK(net, receive_checksum, .requirements = "VIO-NETRX-024 VIO-NETRX-025 VIO-NETRX-028",
      .summary = "with GUEST_CSUM a frame is received finished, or with fields that finish it",
      .needs = CAP_PEER, .features = VC_BIT(VC_NET_F_GUEST_CSUM))
{
	struct net *net = net_up(t, &(struct net_options){.need = VC_BIT(VC_NET_F_GUEST_CSUM)});

	for (unsigned int i = 0; i < 16; i++) {
		ip_frame(net, &frame, i, 200 + 50 * i);
		if (i & 4)
			net_csum_partial(&frame);
		peer_frame(net, &frame);
		t_expect(t, net_recv(net, &got, NET_SOON), "frame %u must be received", i);
		t_expect_eq(t, got.len, frame.len, "length of a received frame");
		t_expect(
			t, net_csum_ok(&got),
			"frame %u was received with flags 0x%x, csum_start %u, csum_offset %u, and its "
			"checksum is not right by them",
			i, got.hdr.flags, got.hdr.csum_start, got.hdr.csum_offset);
	}
	net_down(net);
}

/* ---- Segments ---------------------------------------------------------------------------------
 */

#define PAYLOAD 6000u
#define MSS	1400u

/** struct stream - a TCP payload as it comes together again */
struct stream {
	unsigned int flow;
	bool ipv6;
	uint32_t seen;
	bool large; /* it came in one frame */
};

/* stream_take() - one frame of it, in order; it must go on where the last one ended */
static void stream_take(struct net *net, struct stream *s, const struct net_frame *f)
{
	const uint32_t l4 = s->ipv6 ? 54 : 34, head = l4 + 20;
	const uint8_t *tcp = f->data + l4;
	uint32_t at;

	t_expect(net->t, f->len > head, "a segment of %u bytes has no payload", f->len);
	at = ((uint32_t)tcp[4] << 24 | (uint32_t)tcp[5] << 16 | (uint32_t)tcp[6] << 8 | tcp[7]) - 1;
	t_expect(net->t, net_csum_ok(f), "the segment at %u of a TCP stream has a wrong checksum",
		 at);
	t_expect_eq(net->t, at, s->seen, "place of the next segment in the stream");
	for (uint32_t i = 0; i < f->len - head; i++) {
		const uint32_t place = at + i;

		t_expect(net->t, f->data[head + i] == (uint8_t)(place * 7 + place / 251 + s->flow),
			 "byte %u of a TCP stream is damaged", place);
	}
	s->seen += f->len - head;
	if (f->hdr.gso_type == VC_NET_GSO_NONE) {
		t_expect(net->t, f->len - head <= MSS,
			 "a segment of %u bytes, where at most %u were asked for", f->len - head,
			 MSS);
		return;
	}
	s->large = true;
	t_expect(net->t, f->hdr.flags & VC_NET_HDR_F_NEEDS_CSUM,
		 "a GSO frame (type %u) must have NEEDS_CSUM", f->hdr.gso_type);
	t_expect_eq(net->t, f->hdr.gso_size, MSS, "gso_size of a GSO frame");
	t_expect_eq(net->t, f->hdr.gso_type & ~VC_NET_GSO_ECN,
		    s->ipv6 ? VC_NET_GSO_TCPV6 : VC_NET_GSO_TCPV4, "gso_type of a TCP frame");
}

/* large() - a TCP frame of several segments, unfinished */
static void large(struct net *net, struct net_frame *f, const struct stream *s, uint16_t hdr_len)
{
	net_frame_tcp(net, f, s->flow, PAYLOAD, s->ipv6);
	net_csum_partial(f);
	f->hdr.gso_type = s->ipv6 ? VC_NET_GSO_TCPV6 : VC_NET_GSO_TCPV4;
	f->hdr.gso_size = MSS;
	f->hdr.hdr_len = hdr_len;
}

CHECK(net, transmit_segments, .requirements = "VIO-NETTX-029 VIO-NETTX-022",
      .summary =
	      "large TCP frames reach the wire whole or cut, with right checksums, whatever hdr_len "
	      "says",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_NET_F_CSUM) | VC_BIT(VC_NET_F_HOST_TSO4))
{
	struct net *net =
		net_up(t, &(struct net_options){
				  .need = VC_BIT(VC_NET_F_CSUM) | VC_BIT(VC_NET_F_HOST_TSO4),
				  .want = VC_BIT(VC_NET_F_HOST_TSO6),
			  });

	for (unsigned int i = 0; i < 12; i++) {
		struct stream s = {.flow = i, .ipv6 = i & 1};
		static const uint16_t hints[] = {54, 0, 14, 74, 1000, 0xffff};

		if (s.ipv6 && !(net->features & VC_BIT(VC_NET_F_HOST_TSO6)))
			continue;
		large(net, &frame, &s, hints[i / 2]);
		t_ok(t, net_send(net, 0, &frame, 1 + i % 4, 0));
		while (s.seen < PAYLOAD) {
			t_expect(t, net_wire(net, &got, NET_SOON),
				 "of a TCP frame of %u bytes (hdr_len %u) only %u reached the wire",
				 PAYLOAD, hints[i / 2], s.seen);
			stream_take(net, &s, &got);
		}
		net_drain(net);
	}
	net_down(net);
}

/* receive_large() - large frames from the wire, with the guest offloads @features */
static void receive_large(struct test *t, uint64_t features)
{
	struct net *net = net_up(t, &(struct net_options){.want = features, .rx_size = 2048});

	for (unsigned int i = 0; i < 8; i++) {
		struct stream s = {.flow = i, .ipv6 = i & 1};

		large(net, &frame, &s, s.ipv6 ? 74 : 54);
		peer_frame(net, &frame);
		while (s.seen < PAYLOAD) {
			t_expect(t, net_recv(net, &got, NET_SOON),
				 "of a TCP frame of %u bytes only %u were received", PAYLOAD,
				 s.seen);
			stream_take(net, &s, &got);
		}
		if (s.large)
			t_note(t, "TCP over IPv%u: received whole, hdr_len %u", s.ipv6 ? 6 : 4,
			       got.hdr.hdr_len);
	}
	net_down(net);
}

CHECK(net, receive_segments, .requirements = "VIO-NETRX-015 VIO-NETRX-017 VIO-NETRX-028",
      .summary = "without guest TSO a large frame from the wire is received in segments",
      .needs = CAP_PEER)
{
	receive_large(t, 0);
	receive_large(t, VC_BIT(VC_NET_F_GUEST_CSUM));
}

CHECK(net, receive_large, .requirements = "VIO-NETRX-029 VIO-NETRX-015 VIO-NETRX-017 VIO-NETRX-025",
      .summary =
	      "with guest TSO a large frame comes with NEEDS_CSUM and gso_size, over one protocol "
	      "only if that alone was negotiated",
      .needs = CAP_PEER, .features = VC_BIT(VC_NET_F_GUEST_CSUM) | VC_BIT(VC_NET_F_GUEST_TSO4))
{
	const uint64_t csum = VC_BIT(VC_NET_F_GUEST_CSUM);

	receive_large(t, csum | VC_BIT(VC_NET_F_GUEST_TSO4));
	receive_large(t, csum | VC_BIT(VC_NET_F_GUEST_TSO6));
	receive_large(t, csum | VC_BIT(VC_NET_F_GUEST_TSO4) | VC_BIT(VC_NET_F_GUEST_TSO6));
}

/* ---- Queue pairs ------------------------------------------------------------------------------
 */

CHECK(net, pairs, .requirements = "VDPA-VQ-001 OPS-GEN-004 VIO-NETF-010",
      .summary = "all queue pairs work at once", .needs = CAP_TRAFFIC,
      .features = VC_BIT(VC_NET_F_MQ) | VC_BIT(VC_NET_F_CTRL_VQ))
{
	const unsigned int pairs = frames_pairs(t);
	struct net *net = net_up(t, &(struct net_options){.pairs = pairs, .size = 64});

	for (unsigned int i = 0; i < pairs; i++) {
		net_frame_make(net, &frame, NET_FLOW_OWN + i, 0, 300);
		frame_out(net, i, &frame, 2, 0);
	}
	io_run(net, 60 * pairs, NULL);
	for (unsigned int i = 0; i < pairs; i++)
		t_expect(t, vring_state(net->tx[i]).avail >= 20,
			 "a bug of this check: tx%u was hardly used", i);
	net_down(net);
}
