/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Split rings: what the device takes from them and what it writes into them (VIRTIO 2.7)
 *
 * How it works. The oracle of vring.c judges every used buffer and everything that must not change;
 * the checks here make the traffic in which a device goes wrong. For hostile rings the oracle is
 * off: then no memory but the used ring may change, and a reset must bring the device back.
 */
#include "frames.h"

static struct net_frame frame;

CHECK(split, chains, .requirements = "VIO-SPLIT-012 VIO-SPLIT-015 VIO-FRAME-001",
      .summary = "buffers of 1 to 14 descriptors are used whole, once, by their own id",
      .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.size = 64});

	for (unsigned int i = 0; i < 56; i++) {
		net_frame_make(net, &frame, 0, i, 60 + (uint32_t)(t_random(t) % 1455));
		frame_out(net, 0, &frame, 1 + i % 14, i % 3 ? 0 : NET_SEND_HDR_APART);
	}
	for (unsigned int i = 0; i < 24; i++) {
		net_frame_make(net, &frame, 0, i, 60 + (uint32_t)(t_random(t) % 1455));
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
		net_frame_make(net, &frame, 0, i, 60);
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
			net_frame_make(net, &frame, 0, i, 60);
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

	net_frame_make(net, &frame, 0, 0, 60);
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
		while (net_wire(net, &got, 0))
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
