/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packed rings: what the device takes from them and what it writes into them (VIRTIO 2.8)
 *
 * How it works. As in split.c the ring's oracle judges used ids, lengths and what must not change;
 * frames are compared on the other side. Sizes that are no powers of two, chains that lie over the
 * ring's end and many laps bring out wrap counters that are wrong.
 */
#include <errno.h>

#include "frames.h"
#include "raw.h"

static struct net_frame frame, got;

static const struct vc_packed_desc *desc_at(const struct vring *r, uint16_t slot)
{
	return (const struct vc_packed_desc *)(const void *)vring_area(r, 0)->host + slot;
}

CHECK(packed, laps, .requirements = "VIO-PACK-028 VIO-PACK-029 VIO-PACK-003",
      .summary = "wrap counters start at 1 and flip on every lap, over many laps",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_RING_PACKED))
{
	struct net *net = net_up(t, &(struct net_options){.format = NET_PACKED, .size = 16});

	for (unsigned int i = 0; i < 80; i++) {
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 60 + i);
		frame_out(net, 0, &frame, 1, 0);
		frame_in(net, &frame);
	}
	io_run(net, 200, NULL);
	net_down(net);
}

CHECK(packed, chains, .requirements = "VIO-PACK-030 VIO-PACK-031 VIO-PACK-020 VIO-FRAME-001",
      .summary = "one used descriptor for a list, with the list's id, and the rest is skipped",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_RING_PACKED))
{
	struct net *net = net_up(
		t, &(struct net_options){.format = NET_PACKED, .size = 32, .rx_split = true});

	for (unsigned int i = 0; i < 60; i++) {
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 60 + (uint32_t)(t_random(t) % 1455));
		frame_out(net, 0, &frame, 1 + i % 14, i % 3 ? 0 : NET_SEND_HDR_APART);
		if (i % 4 == 0)
			frame_in(net, &frame);
	}
	/* several lists under way at once */
	io_run(net, 200, &(struct io_options){.batch = 8});
	net_down(net);
}

CHECK(packed, odd_sizes, .requirements = "VIO-PACK-002 VIO-PACK-028 OPS-VQ-028",
      .summary = "rings whose size is no power of two work", .needs = CAP_TRAFFIC,
      .features = VC_BIT(VC_F_RING_PACKED))
{
	static const uint16_t sizes[] = {5, 7, 12, 100, 255};
	struct parent *p = t_parent(t);

	/* VDPA-VQ-005: through vhost-vdpa no such size can be set */
	if (parent_set_vq_size(p, 0, 5) == -EINVAL)
		t_skip(t, SKIP_INTERFACE, "this interface carries powers of two only");
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct net *net = net_up(t, &(struct net_options){.format = NET_PACKED,
								  .size = sizes[i],
								  .no_ctrl = true});

		t_step(t, "rings of %u", sizes[i]);
		t_expect_eq(t, vring_size(net->tx[0]), sizes[i], "size of the ring");
		for (unsigned int k = 0; k < 3u * sizes[i] && k < 300; k++) {
			net_frame_make(net, &frame, NET_FLOW_OWN, k, 60);
			frame_out(net, 0, &frame, 1 + k % (sizes[i] < 4 ? 1 : 4), 0);
			if (k < 20)
				frame_in(net, &frame);
		}
		net_down(net);
	}
}

CHECK(packed, write_flag, .requirements = "VIO-PACK-032 VIO-PACK-029",
      .summary = "a used descriptor says by WRITE whether anything was written", .needs = CAP_PEER,
      .features = VC_BIT(VC_F_RING_PACKED))
{
	struct net *net = net_up(t, &(struct net_options){.format = NET_PACKED,
							  .size = 8,
							  .rx_count = NET_RX_NONE,
							  .no_ctrl = true});
	struct dma_mem mem = dma_alloc_pages(net->dma, 1);
	const struct vring_sg sg = {mem.iova, 2048, true};

	for (unsigned int i = 0; i < 20; i++) {
		const struct vq_state rx = vring_state(net->rx[0]), tx = vring_state(net->tx[0]);
		struct vring_used used;
		uint16_t flags;

		net_frame_make(net, &frame, NET_FLOW_OWN, i, 200 + i);
		t_ok(t, vring_add(net->rx[0], &sg, 1, 0, NULL));
		vring_publish(net->rx[0], 0);
		vring_kick(net->rx[0]);
		t_ok(t, net_inject(net, &frame));
		t_expect(t, vring_wait(net->rx[0], 0), "frame %u must be received", i);
		flags = le16toh(desc_at(net->rx[0], rx.used)->flags);
		t_expect(t, flags & VC_DESC_F_WRITE,
			 "slot %u of rx0 holds a received frame, its used flags 0x%04x lack WRITE",
			 rx.used, flags);
		t_expect(t, vring_get(net->rx[0], &used) && used.len == net->hdr_len + frame.len,
			 "the used length must be %u", net->hdr_len + frame.len);

		t_ok(t, net_send(net, 0, &frame, 1, 0));
		t_expect(t, vring_wait(net->tx[0], 0), "frame %u must be sent", i);
		flags = le16toh(desc_at(net->tx[0], tx.used)->flags);
		t_expect(
			t, !(flags & VC_DESC_F_WRITE),
			"slot %u of tx0: nothing was written, but its used flags 0x%04x have WRITE",
			tx.used, flags);
		net_drain(net);
		t_expect(t, net_wire(net, &got, NET_SOON), "frame %u must reach the wire", i);
	}
	net_down(net);
}

CHECK(packed, not_before_available, .requirements = "VIO-PACK-008 VIO-PACK-009",
      .summary = "a buffer whose head is not available yet is left alone, though the rest of it is",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_RING_PACKED))
{
	struct net *net = net_up(t, &(struct net_options){.format = NET_PACKED, .size = 16});

	for (unsigned int i = 0; i < 30; i++) {
		t_step(t, "round %u", i);
		for (unsigned int k = 0; k < 3; k++) {
			net_frame_make(net, &frame, NET_FLOW_OWN, 3 * i + k, 100 + k);
			t_ok(t, net_send(net, 0, &frame, 1 + k, NET_SEND_NO_PUBLISH));
		}
		/* one of the three: the others' tails are written, their heads withheld */
		vring_publish(net->tx[0], 1);
		vring_kick_now(net->tx[0]);
		t_expect(t, net_wire(net, &got, NET_SOON) && got.len == 100,
			 "the published frame must reach the wire");
		t_ok(t, parent_settle(net->p));
		t_expect_eq(t, net_reap(net, 0), 1, "used buffers when one was published");
		t_expect(t, !net_wire(net, &got, 0),
			 "a frame reached the wire before its descriptor was made available");
		vring_publish(net->tx[0], 0);
		vring_kick(net->tx[0]);
		for (unsigned int k = 1; k < 3; k++)
			t_expect(t, net_wire(net, &got, NET_SOON) && got.len == 100 + k,
				 "published frame %u must reach the wire", k);
		net_drain(net);
	}
	net_down(net);
}

/** struct events - looks at the device's event area whenever it may have changed */
struct events {
	struct net *net;
	bool event_idx;
	uint16_t bad;
	unsigned int queue;
};

static bool events_look(void *arg)
{
	struct events *e = arg;

	for (unsigned int q = 0; q < 2; q++) {
		const uint16_t flags = vring_raw_used_flags(net_ring(e->net, q));

		if (flags <= (e->event_idx ? VC_PACKED_EVENT_DESC : VC_PACKED_EVENT_DISABLE))
			continue;
		e->bad = flags;
		e->queue = q;
		return true;
	}
	return false;
}

CHECK(packed, event_areas, .requirements = "VIO-PACK-037 VIO-PACK-038",
      .summary = "the driver's event area is not written, and the device's holds what it may hold",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_RING_PACKED))
{
	for (unsigned int event_idx = 0; event_idx < 2; event_idx++) {
		struct net *net = net_up(t, &(struct net_options){.format = NET_PACKED,
								  .event_idx = event_idx});
		struct events e = {.net = net, .event_idx = net->features & VC_BIT(VC_F_EVENT_IDX)};

		t_step(t, event_idx ? "with event index" : "without event index");
		for (unsigned int i = 0; i < 20; i++) {
			io_submit(net, 10, NULL);
			t_expect(t, !parent_wait(net->p, events_look, &e, 1),
				 "the device wrote flags 0x%04x into its event area of queue %u",
				 e.bad, e.queue);
			io_wait(net);
			for (unsigned int q = 0; q < 2; q++)
				vring_check(net_ring(net, q));
		}
		net_down(net);
	}
}

CHECK(packed, readable_untouched, .requirements = "VIO-PACK-006",
      .summary =
	      "transmit buffers are as they were, also where the device has a checksum to finish",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_RING_PACKED))
{
	struct net *net = net_up(t, &(struct net_options){.format = NET_PACKED,
							  .want = VC_BIT(VC_NET_F_CSUM) |
								  VC_BIT(VC_NET_F_GUEST_CSUM)});

	for (unsigned int i = 0; i < 12; i++) {
		net_frame_udp(net, &frame, i, 100 + 50 * i);
		if (net->features & VC_BIT(VC_NET_F_CSUM))
			net_csum_partial(&frame);
		t_ok(t, net_send(net, 0, &frame, 1 + i % 4, i & 1 ? NET_SEND_HDR_APART : 0));
		t_expect(t, net_wire(net, &got, NET_SOON), "frame %u must reach the wire", i);
		net_drain(net);
	}
	net_down(net);
}

CHECK(packed, hostile, .requirements = "VIO-PACK-006 VIO-RESET-001",
      .summary = "lists without end, and buffers outside the mapped memory, do no harm",
      .features = VC_BIT(VC_F_RING_PACKED), .flags = CHECK_DESTRUCTIVE)
{
	for (unsigned int i = 0; i < 4; i++) {
		static const char *const what[] = {
			"a list as long as the ring that does not end",
			"a buffer that is not mapped",
			"a list whose second descriptor is not available",
			"a readable descriptor behind a writable one",
		};
		struct net *net =
			net_up(t, &(struct net_options){.format = NET_PACKED, .size = 16});
		struct vring *r = net->tx[0];
		struct raw raw = raw_begin(r);
		struct raw_desc d[16];
		struct dma_snapshot *snap;
		struct dma_mem mem;

		t_step(t, "%s", what[i]);
		parent_settle(net->p);
		net_frame_make(net, &frame, NET_FLOW_OWN, 0, 300);
		mem = raw_frame(net, &frame);
		for (unsigned int k = 0; k < 16; k++)
			d[k] = (struct raw_desc){mem.iova, 40, VC_DESC_F_NEXT, 0};
		if (i == 1)
			d[0] = (struct raw_desc){dma_unmapped_iova(net->dma, 4096), 400, 0, 0};
		if (i == 3) {
			d[0].flags |= VC_DESC_F_WRITE;
			d[1].flags = 0;
		}
		raw_offer(&raw, d, i == 0 ? 16 : i == 3 ? 2 : 1);
		snap = dma_snapshot(net->dma, NULL);
		vring_kick_now(r);
		raw_survive(t, net, r, snap, what[i]);
	}
}
