/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VIRTIO_F_RING_RESET: one queue reset and enabled again (VIRTIO 2.6.1)
 *
 * How it works. parent_vq_reset() returns when the queue says that it has been reset. From then on
 * its memory is the driver's: nothing may change there and no interrupt may come, whatever is still
 * in the ring. Enabled again, with other memory and another size, it starts at its beginning.
 */
#include "frames.h"

#define NEEDS	 (CAP_VQ_RESET | CAP_TRAFFIC)
#define FEATURES VC_BIT(VC_F_RING_RESET)

static struct net_frame frame, got;

static struct net *up(struct test *t, const struct net_options *more)
{
	struct net_options o = *more;

	o.need |= FEATURES;
	return net_up(t, &o);
}

/* again() - ring of queue @q from its beginning, told to the device and enabled */
static void again(struct net *net, struct vring *r)
{
	const unsigned int q = vring_queue(r);

	vring_drop(r, NULL);
	vring_program(r, q, NULL, false);
	t_ok(net->t, parent_set_vq_ready(net->p, q, true));
}

CHECK(ringreset, transmit, .requirements = "VIO-QRST-003 VIO-PCI-041 VIO-PCI-040",
      .summary = "a transmit queue that was reset starts at its beginning, again and again",
      .needs = NEEDS, .features = FEATURES)
{
	for (unsigned int format = NET_SPLIT; format <= NET_PACKED; format++) {
		struct net *net;

		if (format == NET_PACKED && !t_has_feature(t, VC_F_RING_PACKED))
			continue;
		net = up(t, &(struct net_options){.format = format, .size = 32});
		for (unsigned int i = 0; i < 6; i++) {
			io_run(net, 7 + 9 * i, NULL);
			t_ok(t, parent_vq_reset(net->p, 1));
			again(net, net->tx[0]);
		}
		io_run(net, 60, NULL);
		net_down(net);
	}
}

CHECK(ringreset, silence, .requirements = "VIO-QRST-001 VIO-QRST-002",
      .summary = "after its reset a queue takes no buffer, writes no memory and does not interrupt",
      .needs = NEEDS, .features = FEATURES)
{
	for (unsigned int i = 0; i < 10; i++) {
		struct net *net = up(t, &(struct net_options){.event_idx = i & 1});
		const unsigned int q = i / 2 % 2;
		struct dma_snapshot *snap;
		const struct dma_mem *area;

		for (unsigned int k = 0; k < 12; k++) {
			net_frame_make(net, &frame, NET_FLOW_OWN, k, 400);
			t_ok(t, net_send(net, 0, &frame, 1, NET_SEND_NO_PUBLISH));
		}
		vring_publish(net->tx[0], 0);
		vring_kick(net->tx[0]);
		for (unsigned int k = 0; net_has_peer(net) && k < 12; k++)
			net_inject(net, &frame);
		frames_turns(net, i);
		t_step(t, "reset of %s after %u turns", net_queue_name(net, q), i);
		t_ok(t, parent_vq_reset(net->p, q));
		/* elsewhere what was done before may still be on its way */
		if (!(net->p->caps & CAP_EXACT_SETTLE))
			parent_settle(net->p);
		while (net_has_peer(net) && net_wire(net, &got, 0))
			;
		vring_calls(net_ring(net, q));
		snap = dma_snapshot(net->dma, NULL);
		/* what the driver still holds for outstanding, and a doorbell that comes late */
		if (q) {
			net_frame_make(net, &frame, NET_FLOW_OWN, 99, 400);
			t_ok(t, net_send(net, 0, &frame, 1, NET_SEND_NO_KICK));
			for (unsigned int a = 0; a < 3; a++) {
				area = vring_area(net->tx[0], a);
				dma_snapshot_update(snap, area->host, area->size);
			}
		}
		vring_kick_now(net_ring(net, q));
		for (unsigned int k = 0; net_has_peer(net) && k < 4; k++)
			net_inject(net, &frame);
		parent_settle(net->p);
		for (unsigned int a = 0; a < 3; a++) {
			area = vring_area(net_ring(net, q), a);
			t_expect(t, dma_same(snap, area->host, area->size),
				 "the device wrote to area %u of %s after its reset", a,
				 net_queue_name(net, q));
		}
		t_expect(t, !vring_calls(net_ring(net, q)), "%s interrupted after its reset",
			 net_queue_name(net, q));
		if (q && net_has_peer(net))
			t_expect(t, !net_wire(net, &got, 0),
				 "a frame left by a transmit queue that had been reset");
		dma_snapshot_free(snap);
		t_ok(t, parent_reset(net->p));
		net_down(net);
	}
}

CHECK(ringreset, other_size, .requirements = "VIO-QRST-006",
      .summary = "a queue is enabled again with another size and other memory", .needs = NEEDS,
      .features = FEATURES)
{
	static const uint16_t sizes[] = {8, 64, 16, 128};
	struct net *net = up(t, &(struct net_options){.size = 32});
	struct dma_mem old[3];

	io_run(net, 50, NULL);
	for (unsigned int i = 0; i < 4; i++) {
		struct vring *r;

		t_step(t, "tx0 with %u entries", sizes[i]);
		t_ok(t, parent_vq_reset(net->p, 1));
		for (unsigned int a = 0; a < 3; a++) {
			old[a] = *vring_area(net->tx[0], a);
			dma_poison(net->dma, old[a].host, old[a].size);
		}
		r = vring_create(t, net->dma, &(struct vring_options){.size = sizes[i]});
		vring_program(r, 1, NULL, false);
		t_ok(t, parent_set_vq_ready(net->p, 1, true));
		net->tx[0] = r;
		for (unsigned int k = 0; k < 3u * sizes[i] && k < 150; k++) {
			net_frame_make(net, &frame, NET_FLOW_OWN, k, 90);
			frame_out(net, 0, &frame, 1, 0);
		}
		for (unsigned int a = 0; a < 3; a++)
			t_expect(t, dma_poisoned(net->dma, old[a].host, old[a].size),
				 "the device wrote to area %u of the ring that it had before", a);
	}
	net_down(net);
}

CHECK(ringreset, registers, .requirements = "VIO-PCI-039 VIO-PCI-040 VIO-PCI-043 OPS-VQ-012",
      .summary = "queue_enable reads 0 after a queue's reset, and 1 once it is enabled again",
      .needs = NEEDS | CAP_VQ_READY_GET, .features = FEATURES)
{
	struct net *net = up(t, &(struct net_options){.size = 32});
	bool ready = false;

	for (unsigned int i = 0; i < 3; i++) {
		io_run(net, 20, NULL);
		t_ok(t, parent_get_vq_ready(net->p, 1, &ready));
		t_expect(t, ready, "a queue at work must read as enabled");
		/* returns once queue_reset has gone back to 0 */
		t_ok(t, parent_vq_reset(net->p, 1));
		t_ok(t, parent_get_vq_ready(net->p, 1, &ready));
		t_expect(t, !ready, "a queue that was reset must not read as enabled");
		t_ok(t, parent_get_vq_ready(net->p, 0, &ready));
		t_expect(t, ready, "the reset of tx0 must leave rx0 enabled");
		again(net, net->tx[0]);
	}
	io_run(net, 20, NULL);
	net_down(net);
}

CHECK(ringreset, others_go_on, .requirements = "VIO-QRST-001 VIO-QRST-003",
      .summary = "the reset of one queue, under traffic, leaves the others at work",
      .needs = NEEDS | CAP_PEER, .features = FEATURES)
{
	struct net *net = up(t, &(struct net_options){.size = 64});

	for (unsigned int i = 0; i < 8; i++) {
		io_submit(net, 20, &(struct io_options){.rx_only = true});
		frames_turns(net, i);
		t_ok(t, parent_vq_reset(net->p, 1));
		io_wait(net);
		again(net, net->tx[0]);
		io_run(net, 20, NULL);
	}
	net_down(net);
}

CHECK(ringreset, receive, .requirements = "VIO-QRST-003 VIO-NETMQ-013",
      .summary =
	      "a receive queue is reset, frames that come meanwhile are dropped, then it receives",
      .needs = NEEDS | CAP_PEER, .features = FEATURES)
{
	struct net *net = up(t, &(struct net_options){.rx_count = NET_RX_NONE, .size = 16});
	struct dma_mem mem = dma_alloc_pages(net->dma, 8);
	struct vring *r = net->rx[0];

	for (unsigned int i = 0; i < 6; i++) {
		struct vring_used used;

		for (unsigned int k = 0; k < 8; k++) {
			const struct vring_sg sg = {mem.iova + k * DMA_PAGE, 2048, true};

			t_ok(t, vring_add(r, &sg, 1, 0, mem.host + k * DMA_PAGE));
		}
		vring_publish(r, 0);
		vring_kick(r);
		for (unsigned int k = 0; k < 3; k++) {
			net_frame_make(net, &frame, NET_FLOW_OWN, 10 * i + k, 300);
			t_ok(t, net_inject(net, &frame));
			t_expect(t, vring_wait(r, 0) && vring_get(r, &used),
				 "frame %u must be received", k);
			t_expect(t, !memcmp((uint8_t *)used.cookie + net->hdr_len, frame.data, 300),
				 "frame %u of round %u is not what is received: an older one came",
				 k, i);
		}
		t_ok(t, parent_vq_reset(net->p, 0));
		dma_poison(net->dma, mem.host, mem.size);
		net_frame_make(net, &frame, NET_FLOW_OWN, 9999, 300);
		for (unsigned int k = 0; k < 4; k++)
			net_inject(net, &frame);
		parent_settle(net->p);
		t_expect(t, dma_poisoned(net->dma, mem.host, mem.size),
			 "a frame was written into a buffer of a queue that had been reset");
		again(net, r);
	}
	net_down(net);
}
