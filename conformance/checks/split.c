/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Split rings: what the device takes from them and what it writes into them (VIRTIO 2.7)
 *
 * How it works. The oracle of vring.c judges every used buffer and everything that must not change;
 * the checks here make the traffic in which a device goes wrong. For hostile rings the oracle is
 * off: then no memory but the used ring may change, and a reset must bring the device back.
 */
#include <stdio.h>

#include "frames.h"
#include "raw.h"

static struct net_frame frame;

CHECK(split, chains, .requirements = "VIO-SPLIT-012 VIO-SPLIT-015 VIO-FRAME-001",
      .summary = "buffers of 1 to 14 descriptors are used whole, once, by their own id",
      .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.size = 64});

	for (unsigned int i = 0; i < 56; i++) {
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 60 + (uint32_t)(t_random(t) % 1455));
		frame_out(net, 0, &frame, 1 + i % 14, i % 3 ? 0 : NET_SEND_HDR_APART);
	}
	for (unsigned int i = 0; i < 24; i++) {
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 60 + (uint32_t)(t_random(t) % 1455));
		frame_in(net, &frame);
	}
	io_run(net, 200, NULL);
	net_down(net);
}

/* fill() - @n frames of one descriptor each, published at once */
static void fill(struct net *net, unsigned int n)
{
	static struct net_frame got;

	for (unsigned int i = 0; i < n; i++) {
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 60);
		if (net_send(net, 0, &frame, 1, NET_SEND_NO_PUBLISH))
			t_broken(net->t, "a bug of this check: %u frames do not fit", n);
	}
	vring_publish(net->tx[0], 0);
	vring_kick(net->tx[0]);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int flow;
		uint32_t seq;
		const char *why;

		t_expect(net->t, net_wire(net, &got, NET_SOON),
			 "ring of %u: %u frames were offered, only %u reached the wire",
			 vring_size(net->tx[0]), n, i);
		t_expect(net->t, net_frame_parse(&got, &flow, &seq, &why),
			 "ring of %u: a damaged frame: %s", vring_size(net->tx[0]), why);
		t_expect_eq(net->t, seq, i, "order of the frames of a full ring");
	}
	net_drain(net);
}

CHECK(split, ring_sizes, .requirements = "VIO-SPLIT-002 OPS-VQ-028 OPS-VQ-003 VIO-SPLIT-020",
      .summary = "rings of every power of two from the smallest to the largest work, filled to the "
		 "last entry",
      .needs = CAP_TRAFFIC)
{
	struct parent *p = t_parent(t);
	uint16_t min = 1, max = 0;

	if (parent_get_vq_size_min(p, &min) || !min)
		min = 1;
	t_ok(t, parent_get_vq_size_max(p, 1, &max));
	t_expect(t, max && !(max & (max - 1)) && max <= VC_SPLIT_SIZE_MAX,
		 "the largest split ring must be a power of two up to 32768, it is %u", max);
	for (uint32_t size = min; size <= max; size *= 2) {
		/* an echo needs as many receive buffers as frames are out */
		const unsigned int full = p->peer == PEER_ECHO && size > 64 ? 64 : size;
		const unsigned int laps = size <= 64 ? 3 : 1;
		struct net *net;

		t_step(t, "rings of %u", size);
		net = net_up(t, &(struct net_options){.size = (uint16_t)size, .no_ctrl = true});
		t_expect_eq(t, vring_size(net->tx[0]), size, "size of the ring");
		for (unsigned int lap = 0; lap < laps; lap++)
			fill(net, full);
		fill(net, size > 1 && full > 1 ? full - 1 : 1);
		fill(net, full > 2 ? full / 2 : 1);
		for (unsigned int i = 0; i < 2 * size && i < 40; i++) {
			net_frame_make(net, &frame, NET_FLOW_OWN, i, 60);
			frame_in(net, &frame);
		}
		net_down(net);
	}
}

/*
 * run_up() - use @n transmit buffers, all of one frame, as fast as it goes; what reaches the wire
 * is counted only
 */
static void run_up(struct net *net, unsigned int n)
{
	struct vring *r = net->tx[0];
	const uint16_t batch = vring_size(r);
	static struct net_frame got;
	struct dma_mem mem;
	struct vring_sg sg;
	struct vring_used used;
	unsigned int seen = 0;

	net_frame_make(net, &frame, NET_FLOW_OWN, 0, 60);
	mem = dma_alloc(net->dma, net->hdr_len + frame.len, 2);
	memset(mem.host, 0, net->hdr_len);
	memcpy(mem.host + net->hdr_len, frame.data, frame.len);
	sg = (struct vring_sg){mem.iova, (uint32_t)mem.size, false};
	for (unsigned int done = 0; done < n; done += batch) {
		for (unsigned int i = 0; i < batch; i++)
			t_ok(net->t, vring_add(r, &sg, 1, VRING_NO_INDIRECT, NULL));
		vring_publish(r, 0);
		vring_kick(r);
		for (unsigned int i = 0; i < batch; i++)
			t_expect(net->t, vring_wait(r, 0) && vring_get(r, &used),
				 "buffer %u of %u offered on one ring was not used", done + i, n);
		/* an echo has room for some frames only: keep up with it */
		while (seen < done + batch && net_wire(net, &got, NET_SOON))
			seen++;
	}
	while (seen < n && net_wire(net, &got, NET_SOON))
		seen++;
	t_expect(net->t, seen >= n, "%u frames were sent, %u reached the wire", n, seen);
}

CHECK(split, index_wrap, .requirements = "VIO-SPLIT-020",
      .summary = "the indices of a ring run past 65535 without a gap", .needs = CAP_TRAFFIC)
{
	const struct vq_state late = {.avail = 65500, .used = 65500, .used_known = true};
	const bool jump = t_parent(t)->caps & CAP_VQ_STATE_SET;
	struct net *net = net_up(
		t, &(struct net_options){.size = 64, .base = jump ? &late : NULL, .no_ctrl = true});

	/* Where no position can be set the ring has to be run all the way. */
	if (!jump)
		run_up(net, 65472);
	while (vring_state(net->tx[0]).avail > 1000)
		io_run(net, 20, NULL);
	io_run(net, 100, NULL);
	net_down(net);
}

/* ---- The order of writes ----------------------------------------------------------------------
 */

/**
 * struct watch - looks at the used entry, and at what was received, as soon as the index has moved
 * @was:   used index before
 * @want:  header length and frame that must be in @data by then; NULL for a transmit buffer
 */
struct watch {
	struct vring *r;
	uint16_t was;
	const volatile struct vc_used_elem *entry;
	uint32_t id, len;
	const struct net_frame *want;
	const uint8_t *data;
	uint32_t skip;
	bool data_there;
};

static bool index_moved(void *arg)
{
	struct watch *w = arg;

	if (vring_raw_used_idx(w->r) == w->was)
		return false;
	w->id = le32toh(w->entry->id);
	w->len = le32toh(w->entry->len);
	w->data_there = !w->want || !memcmp(w->data + w->skip, w->want->data, w->want->len);
	return true;
}

/* watch_one() - poison the entry that is due next, then wait for the index with @kick rung */
static struct watch watch_one(struct net *net, struct vring *r, const struct net_frame *want,
			      const uint8_t *data)
{
	struct watch w = {.r = r, .want = want, .data = data, .skip = net->hdr_len};
	struct vc_used *used = (struct vc_used *)(void *)vring_area(r, 2)->host;
	struct vc_used_elem *e;

	w.was = vring_raw_used_idx(r);
	e = &used->ring[w.was & (vring_size(r) - 1)];
	e->id = e->len = 0xffffffff;
	w.entry = e;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	vring_publish(r, 0);
	vring_kick_now(r);
	if (want)
		t_expect(net->t, !net_inject(net, want), "the frame must be taken from the wire");
	t_expect(net->t, parent_wait(net->p, index_moved, &w, NET_SOON),
		 "a buffer on queue %u was never used", vring_queue(r));
	t_expect(net->t, w.id != 0xffffffff && w.len != 0xffffffff,
		 "queue %u: the used index moved from %u before its entry was written (id 0x%x, "
		 "length 0x%x)",
		 vring_queue(r), w.was, w.id, w.len);
	return w;
}

CHECK(split, entry_before_index, .requirements = "VIO-SPLIT-011",
      .summary = "id and length of a used entry are there when the used index says so",
      .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.size = 16});
	static struct net_frame got;

	for (unsigned int i = 0; i < 100; i++) {
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 60);
		t_ok(t, net_send(net, 0, &frame, 1, NET_SEND_NO_PUBLISH));
		watch_one(net, net->tx[0], NULL, NULL);
		net_drain(net);
		net_wire(net, &got, NET_SOON);
	}
	net_down(net);
}

CHECK(split, data_before_index, .requirements = "VIO-SPLIT-012 VIO-SPLIT-011",
      .summary = "what was received is in the buffer when the used index says so",
      .needs = CAP_PEER)
{
	struct net *net = net_up(t, &(struct net_options){.size = 16, .rx_count = NET_RX_NONE});
	struct dma_mem mem = dma_alloc_pages(net->dma, 1);
	const struct vring_sg sg = {mem.iova, 2048, true};
	struct vring *r = net->rx[0];
	struct vring_used used;

	for (unsigned int i = 0; i < 100; i++) {
		struct watch w;

		dma_poison(net->dma, mem.host, mem.size);
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 60 + i * 14);
		t_ok(t, vring_add(r, &sg, 1, 0, NULL));
		w = watch_one(net, r, &frame, mem.host);
		t_expect_eq(t, w.len, net->hdr_len + frame.len, "used length of a received frame");
		t_expect(
			t, w.data_there,
			"frame %u of %u bytes was not in its buffer yet when the used index had moved",
			i, frame.len);
		t_expect(t, vring_get(r, &used), "the used buffer must be there");
	}
	net_down(net);
}

/* ---- What is never written --------------------------------------------------------------------
 */

CHECK(split, readable_untouched, .requirements = "VIO-SPLIT-006 VIO-SPLIT-008",
      .summary = "transmit buffers and descriptors are as they were, also where the device has a "
		 "checksum or segments to finish",
      .needs = CAP_TRAFFIC)
{
	struct net *net =
		net_up(t, &(struct net_options){
				  .want = VC_BIT(VC_NET_F_CSUM) | VC_BIT(VC_NET_F_GUEST_CSUM) |
					  VC_BIT(VC_NET_F_HOST_TSO4) | VC_BIT(VC_NET_F_GUEST_TSO4),
				  .rx_size = 2048,
			  });
	static struct net_frame got;

	for (unsigned int i = 0; i < 12; i++) {
		unsigned int pieces = 1 + i % 4;

		if (i % 3 == 2)
			net_frame_tcp(net, &frame, i, 1400, false);
		else
			net_frame_udp(net, &frame, i, 100 + 50 * i);
		if (i % 3 && net->features & VC_BIT(VC_NET_F_CSUM))
			net_csum_partial(&frame);
		/* net_drain() compares the buffers with a hash taken here */
		t_ok(t, net_send(net, 0, &frame, pieces, i & 1 ? NET_SEND_HDR_APART : 0));
		t_expect(t, net_wire(net, &got, NET_SOON), "frame %u must reach the wire", i);
		net_drain(net);
	}
	vring_check(net->tx[0]);
	net_down(net);
}

CHECK(split, table_untouched, .requirements = "VIO-SPLIT-008",
      .summary = "the descriptor table and the available ring are never written by the device",
      .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.size = 32});
	struct dma_snapshot *snap;

	io_run(net, 100, NULL);
	for (unsigned int i = 0; i < 40; i++) {
		const struct dma_mem *table = vring_area(net->tx[0], 0);
		const struct dma_mem *avail = vring_area(net->tx[0], 1);
		static struct net_frame got;

		net_frame_make(net, &frame, NET_FLOW_OWN, i, 200);
		t_ok(t, net_send(net, 0, &frame, 1 + i % 5, NET_SEND_NO_KICK));
		snap = dma_snapshot(net->dma, NULL);
		vring_kick_now(net->tx[0]);
		t_expect(t, net_wire(net, &got, NET_SOON), "frame %u must reach the wire", i);
		parent_settle(net->p);
		t_expect(t, dma_same(snap, table->host, table->size),
			 "the device wrote to the descriptor table of tx0");
		t_expect(t, dma_same(snap, avail->host, avail->size),
			 "the device wrote to the available ring of tx0");
		dma_snapshot_free(snap);
		net_drain(net);
	}
	net_down(net);
}

/* ---- Hostile ----------------------------------------------------------------------------------
 */

#define RING 16u

/** struct bad - a buffer that no driver may offer; @len 0: of the good frame, @iova 0: its address
 */
struct bad {
	const char *what;
	struct raw_desc d[3];
	unsigned int n;
};

/* offer_bad() - on tx0 of a fresh driver; then the device must survive it */
static void offer_bad(struct test *t, const struct bad *bad, bool receive)
{
	struct net *net = net_up(t, &(struct net_options){.size = RING,
							  .rx_count = receive ? NET_RX_NONE : 8});
	struct vring *r = receive ? net->rx[0] : net->tx[0];
	struct dma_snapshot *snap;
	struct raw_desc d[3];
	struct dma_mem mem;
	struct raw raw;

	t_step(t, "%s on %s", bad->what, receive ? "rx0" : "tx0");
	parent_settle(net->p);
	net_frame_make(net, &frame, NET_FLOW_OWN, 0, 300);
	mem = raw_frame(net, &frame);
	for (unsigned int i = 0; i < bad->n; i++) {
		d[i] = bad->d[i];
		if (!d[i].addr)
			d[i].addr = mem.iova;
		else if (d[i].addr == 1)
			d[i].addr = dma_unmapped_iova(net->dma, 4096);
		else if (d[i].addr == 2)
			d[i].addr = mem.iova + mem.size - 16;
		if (!d[i].len)
			d[i].len = (uint32_t)mem.size;
		if (receive)
			d[i].flags |= VC_DESC_F_WRITE;
	}
	raw = raw_begin(r);
	raw_offer(&raw, d, bad->n);
	snap = dma_snapshot(net->dma, NULL);
	vring_kick_now(r);
	if (receive && net_has_peer(net))
		net_inject(net, &frame);
	raw_survive(t, net, r, snap, bad->what);
}

CHECK(split, hostile_chain, .requirements = "VIO-SPLIT-006 VIO-SPLIT-008 VIO-RESET-001",
      .summary = "descriptor chains that loop or leave the table do no harm",
      .flags = CHECK_DESTRUCTIVE)
{
	static const struct bad bads[] = {
		{"a chain of two that loops",
		 {{0, 0, VC_DESC_F_NEXT, 1}, {0, 0, VC_DESC_F_NEXT, 0}},
		 2},
		{"a descriptor that is its own next", {{0, 0, VC_DESC_F_NEXT, 0}}, 1},
		{"a readable descriptor behind a writable one",
		 {{0, 64, VC_DESC_F_WRITE | VC_DESC_F_NEXT, 1}, {0, 0, 0, 0}},
		 2},
		{"an indirect descriptor that was not negotiated",
		 {{0, 32, VC_DESC_F_INDIRECT, 0}},
		 1},
	};

	for (unsigned int i = 0; i < sizeof(bads) / sizeof(bads[0]); i++)
		offer_bad(t, &bads[i], false);
}

CHECK(split, hostile_next, .requirements = "VIO-SPLIT-008 VIO-RESET-001",
      .summary = "a next, a head or an available index outside the ring does no harm",
      .flags = CHECK_DESTRUCTIVE)
{
	static const uint16_t outside[] = {RING, RING + 1, 0x8000, 0xffff};

	for (unsigned int i = 0; i < 9; i++) {
		struct net *net = net_up(t, &(struct net_options){.size = RING});
		struct vring *r = net->tx[0];
		struct dma_snapshot *snap;
		struct dma_mem mem;
		char what[64];

		parent_settle(net->p);
		net_frame_make(net, &frame, NET_FLOW_OWN, 0, 300);
		mem = raw_frame(net, &frame);
		if (i < 4) {
			snprintf(what, sizeof(what), "next = %u in a ring of %u", outside[i], RING);
			vring_raw_desc(r, 0, mem.iova, (uint32_t)mem.size, VC_DESC_F_NEXT,
				       outside[i]);
			vring_raw_avail(r, 0, 0);
			vring_raw_avail_idx(r, 1);
		} else if (i < 8) {
			snprintf(what, sizeof(what), "head = %u in a ring of %u", outside[i - 4],
				 RING);
			vring_raw_avail(r, 0, outside[i - 4]);
			vring_raw_avail_idx(r, 1);
		} else {
			snprintf(what, sizeof(what), "available index moved by %u in a ring of %u",
				 RING + 1, RING);
			for (uint16_t s = 0; s < RING; s++)
				vring_raw_avail(r, s, 0xfff0);
			vring_raw_avail_idx(r, RING + 1);
		}
		t_step(t, "%s", what);
		snap = dma_snapshot(net->dma, NULL);
		vring_kick_now(r);
		raw_survive(t, net, r, snap, what);
	}
}

CHECK(split, hostile_address, .requirements = "VIO-SPLIT-006 VIO-RESET-001 VDPA-TLB-002",
      .summary = "buffers outside the mapped memory do no harm, for reading and for writing",
      .flags = CHECK_DESTRUCTIVE)
{
	static const struct bad bads[] = {
		{"an address that is not mapped", {{1, 500, 0, 0}}, 1},
		{"a buffer that begins in mapped memory and ends outside", {{2, 5000, 0, 0}}, 1},
		{"an address that wraps around", {{UINT64_MAX - 15, 500, 0, 0}}, 1},
		{"a buffer of 4 GiB", {{0, 0xffffffff, 0, 0}}, 1},
		{"a chain that ends in unmapped memory",
		 {{0, 0, VC_DESC_F_NEXT, 1}, {1, 200, 0, 0}},
		 2},
	};

	for (unsigned int i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		offer_bad(t, &bads[i], false);
		/* a receive buffer may rightly be written as far as it is mapped */
		if (i == 0 || i == 2)
			offer_bad(t, &bads[i], true);
	}
}
