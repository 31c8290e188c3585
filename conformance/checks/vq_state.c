/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a queue stands: saved, restored, and nothing lost or repeated (what live migration does)
 *
 * How it works. net_save() stops every queue the way this parent does and reads its final position;
 * net_restore() resets the device, negotiates again and gives the same rings those positions.
 * Numbered traffic on both sides of it finds a frame that is lost, repeated or out of order, and
 * the rings' oracle a buffer that is used twice or never. Frames from the wire may be lost in a
 * stop: Ethernet does that. What the driver has offered may not.
 */
#include "../parent/pci_access.h"
#include "frames.h"

static struct net_frame frame, got;

/* transmitted() - the driver's own count of what it offered on a queue that has no buffers left */
static uint16_t transmitted(const struct vring *r)
{
	return vring_state(r).avail;
}

/* over() - a stop and a restart with traffic under way, @turns turns into it */
static void over(struct net *net, unsigned int requests, unsigned int turns, bool kick)
{
	struct net_state state;

	io_loss_ok(net, true);
	io_submit(net, requests, NULL);
	frames_turns(net, turns);
	net_save(net, &state);
	net_restore(net, &state, kick);
	io_wait(net);
	io_loss_ok(net, false);
}

CHECK(vq_state, idle, .requirements = "OPS-VQ-014 OPS-VQ-015 VDPA-VQ-011 VDPA-VQ-012 IFC-VQ-007",
      .summary = "queues at rest go on in a fresh device where they were stopped",
      .needs = CAP_VQ_STATE_GET | CAP_VQ_STATE_SET | CAP_VQ_STOP | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	struct net_state state;

	for (unsigned int i = 0; i < 4; i++) {
		io_run(net, 30 + 7 * i, NULL);
		net_save(net, &state);
		net_restore(net, &state, true);
	}
	io_run(net, 300, NULL);
	net_down(net);
}

CHECK(vq_state, counts, .requirements = "OPS-VQ-015 OPS-VQ-016 IFC-VQ-003",
      .summary = "the position of a stopped queue is the number of buffers it has used, beyond the "
		 "ring's size",
      .needs = CAP_VQ_STATE_GET | CAP_VQ_STOP | CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.size = 64});
	struct net_state state;

	io_run(net, 150, NULL);
	net_save(net, &state);
	t_expect(t, transmitted(net->tx[0]) > 64,
		 "a bug of this check: the transmit ring did not go round");
	t_expect_eq(t, state.vq[1].avail, transmitted(net->tx[0]),
		    "available index of tx0, of which every buffer was used");
	/* used in order and nothing left over: what was not used is available again */
	t_expect_eq(t, state.vq[0].avail, vring_raw_used_idx(net->rx[0]),
		    "available index of rx0, whose remaining buffers were not used");
	if (state.vq[1].used_known)
		t_expect_eq(t, state.vq[1].used, transmitted(net->tx[0]), "used index of tx0");
}

CHECK(vq_state, used_half, .requirements = "IFC-VQ-006",
      .summary = "the state word of a stopped queue holds the used index in its high half",
      .needs = CAP_IFCVF | CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.size = 64});
	const struct pci_access *pci = net->p->ops->pci(net->p);
	struct net_state state;

	io_run(net, 100, NULL);
	net_save(net, &state);
	/* every driver has the words of queues 0 and 1 at the same place */
	for (unsigned int q = 0; q < 2; q++) {
		const struct vring *r = net_ring(net, q);
		uint8_t b[4];

		t_ok(t, pci->read(pci->ctx, VC_IFCVF_LM_BAR, vc_ifcvf_lm_state(q, 0), b, 4));
		t_expect_eq(t, b[2] | b[3] << 8, vring_raw_used_idx(r),
			    q ? "high half of the state word of tx0"
			      : "high half of the state word of rx0");
		t_expect_eq(t, b[0] | b[1] << 8, state.vq[q].avail,
			    q ? "low half of the state word of tx0"
			      : "low half of the state word of rx0");
	}
}

CHECK(vq_state, stable, .requirements = "VDPA-SUSP-012 IFC-VQ-003",
      .summary = "a stopped queue's position reads the same again, whatever is offered and kicked",
      .needs = CAP_VQ_STATE_GET | CAP_VQ_STOP | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	struct net_state first;

	io_run(net, 40, NULL);
	io_loss_ok(net, true);
	io_submit(net, 40, NULL);
	frames_turns(net, (unsigned int)(t_random(t) % 8));
	net_save(net, &first);
	for (unsigned int round = 0; round < 3; round++) {
		net_frame_make(net, &frame, NET_FLOW_OWN, round, 100);
		t_ok(t, net_send(net, 0, &frame, 1, NET_SEND_NO_KICK));
		vring_kick_now(net->tx[0]);
		t_ok(t, parent_settle(net->p));
		for (unsigned int q = 0; q < first.queues; q++) {
			struct vq_state now;

			if (!first.valid[q])
				continue;
			t_ok(t, parent_get_vq_state(net->p, q, &now));
			t_expect(
				t,
				now.avail == first.vq[q].avail &&
					(!now.used_known || now.used == first.vq[q].used),
				"position of %s: %u (used %u) when it was stopped, later %u (used %u)",
				net_queue_name(net, q), first.vq[q].avail, first.vq[q].used,
				now.avail, now.used);
		}
	}
}

CHECK(vq_state, quiet,
      .requirements = "IFC-VQ-002 IFC-VQ-003 VDPA-SUSP-001 VDPA-SUSP-014 VDPA-SUSP-016",
      .summary = "a stopped queue takes no buffer, writes no memory and does not interrupt",
      .needs = CAP_VQ_STOP | CAP_TRAFFIC)
{
	for (unsigned int round = 0; round < 8; round++) {
		struct net *net = net_up(t, &(struct net_options){.event_idx = round & 1});
		struct net_state state;
		struct dma_snapshot *snap;
		uint64_t where = 0;
		size_t changed;

		t_step(t, "round %u", round);
		io_loss_ok(net, true);
		io_submit(net, 60, NULL);
		frames_turns(net, round + (unsigned int)(t_random(t) % 60));
		/* the stop may end what was begun; from its return on it is quiet */
		net_save(net, &state);
		/* elsewhere what was done before may still be on its way */
		if (!(net->p->caps & CAP_EXACT_SETTLE))
			parent_settle(net->p);
		while (net_has_peer(net) && net_wire(net, &got, 0))
			;
		for (unsigned int q = 0; q < state.queues; q++)
			if (state.valid[q])
				vring_calls(net_ring(net, q));
		net_frame_make(net, &frame, NET_FLOW_OWN, 0, 500);
		if (vring_free(net->tx[0]) > 1)
			t_ok(t, net_send(net, 0, &frame, 1, NET_SEND_NO_KICK));
		snap = dma_snapshot(net->dma, NULL);
		for (unsigned int q = 0; q < state.queues; q++)
			if (state.valid[q])
				vring_kick_now(net_ring(net, q));
		if (net_has_peer(net))
			for (unsigned int i = 0; i < 8; i++)
				net_inject(net, &frame);
		t_ok(t, parent_settle(net->p));
		changed = dma_changed(snap, &where, 1);
		t_expect(t, !changed,
			 "a device whose queues are all stopped must write no memory; %zu pages "
			 "changed, the first at IOVA 0x%llx",
			 changed, (unsigned long long)where);
		if (net_has_peer(net))
			t_expect(t, !net_wire(net, &got, 0),
				 "a frame left the device while its queues were stopped");
		for (unsigned int q = 0; q < state.queues; q++)
			t_expect(t, !state.valid[q] || !vring_calls(net_ring(net, q)),
				 "%s interrupted while it was stopped", net_queue_name(net, q));
		dma_snapshot_free(snap);
		net_down(net);
	}
}

CHECK(vq_state, used_differs, .requirements = "OPS-VQ-021 VDPA-VQ-027 VDPA-VQ-014",
      .summary = "a base whose used index differs from the available one is restored",
      .needs = CAP_VQ_STATE_SET | CAP_TRAFFIC)
{
	static const struct vq_state bases[] = {
		{.avail = 700, .used = 690, .used_known = true},
		{.avail = 3, .used = 65530, .used_known = true},
		{.avail = 65535, .used = 65534, .used_known = true},
	};

	for (unsigned int i = 0; i < 3; i++) {
		struct net *net = net_up(t, &(struct net_options){.base_tx = &bases[i],
								  .base_rx = &bases[(i + 1) % 3]});

		t_step(t, "transmit: available %u, used %u", bases[i].avail, bases[i].used);
		io_run(net, 100, NULL);
		net_down(net);
	}
}

CHECK(vq_state, in_flight,
      .requirements = "VDPA-SUSP-015 VDPA-SUSP-002 OPS-SUSP-002 OPS-VQ-019 IFC-VQ-003",
      .summary = "a stop in the midst of traffic, at any moment, loses and repeats nothing",
      .needs = CAP_VQ_STATE_GET | CAP_VQ_STATE_SET | CAP_VQ_STOP | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);

	for (unsigned int i = 0; i < 16; i++)
		over(net, 40, i, true);
	for (unsigned int i = 0; i < 8; i++)
		over(net, 1 + (unsigned int)(t_random(t) % 60), (unsigned int)(t_random(t) % 40),
		     true);
	io_run(net, 100, NULL);
	net_down(net);
}

CHECK(vq_state, in_flight_event_idx, .requirements = "VDPA-SUSP-015 OPS-SUSP-002",
      .summary = "the same with event index, indirect tables and small receive buffers",
      .needs = CAP_VQ_STATE_GET | CAP_VQ_STATE_SET | CAP_VQ_STOP | CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.event_idx = true,
							  .indirect = true,
							  .rx_size = 256,
							  .rx_count = 200,
							  .size = 256});

	for (unsigned int i = 0; i < 16; i++)
		over(net, 20, i, true);
	io_run(net, 100, NULL);
	net_down(net);
}

CHECK(vq_state, kicked_before_stop, .requirements = "VDPA-SUSP-015 VDPA-SUSP-011 VDPA-VQ-011",
      .summary = "buffers that were offered and kicked before a stop are served after the restart "
		 "without a new kick",
      .needs = CAP_VQ_STATE_GET | CAP_VQ_STATE_SET | CAP_VQ_STOP | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);

	io_run(net, 20, NULL);
	for (unsigned int i = 0; i < 6; i++) {
		struct net_state state;
		struct vq_state first;

		parent_settle(net->p);
		for (unsigned int k = 0; k <= i; k++) {
			net_frame_make(net, &frame, NET_FLOW_OWN, k, 100 + k);
			t_ok(t, net_send(net, 0, &frame, 1, NET_SEND_NO_PUBLISH));
		}
		vring_publish(net->tx[0], 0);
		vring_kick_now(net->tx[0]);
		/* the stop overtakes the work; the driver has kicked and owes no more */
		t_ok(t, parent_vq_stop(net->p, 1, &first));
		net_save(net, &state);
		net_restore(net, &state, false);
		for (unsigned int k = 0; k <= i; k++) {
			t_expect(
				t, net_wire(net, &got, NET_SOON),
				"frame %u of %u was offered and kicked before the stop (position %u, the "
				"driver's %u); it must be sent after the restart",
				k, i + 1, first.avail, vring_state(net->tx[0]).avail);
			t_expect_eq(t, got.len, 100 + k, "length of the next frame");
		}
		net_drain(net);
		/* the receive buffers as well were offered long ago */
		net_frame_make(net, &frame, NET_FLOW_OWN, 0, 200);
		frame_in(net, &frame);
	}
	io_run(net, 20, NULL);
	net_down(net);
}

CHECK(vq_state, near_65535, .requirements = "VDPA-VQ-011 OPS-VQ-016 VIO-SPLIT-020 IFC-VQ-007",
      .summary = "positions are saved and restored on both sides of the wrap of the indices",
      .needs = CAP_VQ_STATE_GET | CAP_VQ_STATE_SET | CAP_VQ_STOP | CAP_TRAFFIC)
{
	static const uint16_t starts[] = {65520, 65534, 65535, 32767};

	for (unsigned int i = 0; i < 4; i++) {
		const struct vq_state base = {
			.avail = starts[i], .used = starts[i], .used_known = true};
		struct net *net = net_up(t, &(struct net_options){.base = &base, .size = 128});

		t_step(t, "start at %u", starts[i]);
		for (unsigned int k = 0; k < 6; k++)
			over(net, 5 + k, k, true);
		io_run(net, 20, NULL);
		net_down(net);
	}
}

CHECK(vq_state, every_queue,
      .requirements = "IFC-VQ-005 IFC-VQ-012 VDPA-VQ-012 VDPA-SUSP-002 VDPA-SUSP-018",
      .summary = "every queue has a position of its own, also those of further pairs and the "
		 "control queue",
      .needs = CAP_VQ_STATE_GET | CAP_VQ_STATE_SET | CAP_VQ_STOP | CAP_TRAFFIC,
      .features = VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_MQ))
{
	const unsigned int pairs = frames_pairs(t);
	struct net *net = net_up(t, &(struct net_options){.pairs = pairs});
	struct net_state state;
	unsigned int commands = 1; /* the one that switched the pairs on */

	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < pairs; i++)
			io_run(net, 11 + 6 * i + round, &(struct io_options){.pair = 1 + i});
		for (unsigned int i = 0; i <= round; i++, commands++)
			t_expect(t, net_set_pairs(net, (uint16_t)pairs) == VC_NET_OK,
				 "%u pairs must be acknowledged", pairs);
		net_save(net, &state);
		for (unsigned int i = 0; i < pairs; i++) {
			t_expect(t, state.vq[2 * i + 1].avail == transmitted(net->tx[i]),
				 "tx%u (queue %u) stands at %u, the driver offered and got back %u",
				 i, 2 * i + 1, state.vq[2 * i + 1].avail, transmitted(net->tx[i]));
			t_expect(t, state.vq[2 * i].avail == vring_raw_used_idx(net->rx[i]),
				 "rx%u (queue %u) stands at %u, the driver got back %u", i, 2 * i,
				 state.vq[2 * i].avail, vring_raw_used_idx(net->rx[i]));
		}
		t_expect_eq(t, state.vq[net->ctrl_index].avail, commands,
			    "position of the control queue");
		net_restore(net, &state, true);
		commands++;
	}
	for (unsigned int i = 0; i < pairs; i++)
		io_run(net, 30, &(struct io_options){.pair = 1 + i});
	net_down(net);
}

CHECK(vq_state, under_traffic, .requirements = "VDPA-SUSP-015 OPS-SUSP-003 OPS-VQ-013",
      .summary = "stopped and started again and again under traffic on several pairs",
      .needs = CAP_VQ_STATE_GET | CAP_VQ_STATE_SET | CAP_VQ_STOP | CAP_TRAFFIC)
{
	const unsigned int pairs = frames_pairs(t);
	struct net *net =
		net_up(t, &(struct net_options){.pairs = pairs > 4 ? 4 : pairs, .size = 128});

	for (unsigned int i = 0; i < 20; i++)
		over(net, 10 + (unsigned int)(t_random(t) % 50), (unsigned int)(t_random(t) % 30),
		     i & 1);
	io_run(net, 100, NULL);
	net_down(net);
}

CHECK(vq_state, control_queue, .requirements = "VDPA-SUSP-018 VDPA-VQ-011 VDPA-SUSP-015",
      .summary = "a restored control queue takes commands where it stopped",
      .needs = CAP_VQ_STATE_GET | CAP_VQ_STATE_SET | CAP_VQ_STOP,
      .features = VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_CTRL_RX))
{
	struct net *net = net_up(t, &(struct net_options){.size = 4, .rx_count = 1});
	struct net_state state;

	for (unsigned int round = 0; round < 8; round++) {
		for (unsigned int i = 0; i < 1 + round % 4; i++) {
			const uint8_t on = i & 1;

			t_expect(t,
				 net_ctrl(net, VC_NET_CTRL_RX, VC_NET_CTRL_RX_PROMISC, &on, 1) ==
					 VC_NET_OK,
				 "command %u of round %u must be acknowledged", i, round);
		}
		net_save(net, &state);
		net_restore(net, &state, round & 1);
	}
	net_down(net);
}

CHECK(vq_state, kept, .requirements = "OPS-VQ-013 OPS-VQ-020 VDPA-VQ-014 OPS-VQ-014",
      .summary =
	      "a position that was set outlives the other settings of the queue and its ready bit",
      .needs = CAP_VQ_STATE_GET | CAP_VQ_STATE_SET | CAP_TRAFFIC)
{
	const struct vq_state base = {.avail = 4711, .used = 4711, .used_known = true};

	for (unsigned int order = 0; order < 2; order++) {
		struct net *net = net_up(t, &(struct net_options){.base = &base,
								  .no_ctrl = true,
								  .last = NET_QUEUES});
		struct vq_state seen;

		/* size, addresses, position: that was the driver's order; now the other way round
		 */
		for (unsigned int q = 0; order && q < 2; q++) {
			const struct vring *r = net_ring(net, q);

			t_step(t, "queue %u: position, addresses, size", q);
			t_ok(t, parent_set_vq_state(net->p, q, &base));
			t_ok(t,
			     parent_set_vq_address(net->p, q, vring_area(r, 0)->iova,
						   vring_area(r, 1)->iova, vring_area(r, 2)->iova));
			t_ok(t, parent_set_vq_size(net->p, q, vring_size(r)));
		}
		for (unsigned int i = 0; i < 3; i++) {
			static const char *const when[] = {"before it is ready", "once it is ready",
							   "once it runs with nothing to do"};

			if (i == 1)
				net_continue(net, NET_READY);
			if (i == 2) {
				net_continue(net, NET_DRIVER_OK);
				t_ok(t, parent_settle(net->p));
			}
			for (unsigned int q = 0; q < 2; q++) {
				t_ok(t, parent_get_vq_state(net->p, q, &seen));
				t_expect(t, seen.avail == 4711,
					 "queue %u was set to 4711; %s it stands at %u", q, when[i],
					 seen.avail);
			}
		}
		io_run(net, 50, NULL);
		net_down(net);
	}
}

CHECK(vq_state, one_queue, .requirements = "IFC-VQ-002 OPS-VQ-011",
      .summary = "stopping one queue leaves the others at work",
      .needs = CAP_IFCVF | CAP_VQ_STOP | CAP_PEER)
{
	struct net *net = net_up(t, NULL);
	struct vq_state state;

	io_run(net, 20, NULL);
	t_ok(t, parent_vq_stop(net->p, 1, &state));
	io_run(net, 50, &(struct io_options){.rx_only = true});
	t_expect(t, net_set_pairs(net, 1) == VC_NET_OK || !(net->features & VC_BIT(VC_NET_F_MQ)),
		 "the control queue must still answer");
	net_frame_make(net, &frame, NET_FLOW_OWN, 0, 80);
	t_ok(t, net_send(net, 0, &frame, 1, 0));
	t_ok(t, parent_settle(net->p));
	t_expect(t, !net_wire(net, &got, 0), "a stopped transmit queue sent a frame");
	net_down(net);

	net = net_up(t, NULL);
	t_ok(t, parent_vq_stop(net->p, 0, &state));
	io_run(net, 50, &(struct io_options){.tx_only = true});
	net_down(net);
}
