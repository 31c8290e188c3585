/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole device suspended and resumed (VHOST_VDPA_SUSPEND, vdpa_config_ops.suspend)
 *
 * How it works. As in vq_state.c, for parents whose interface stops all queues at once and keeps
 * DRIVER_OK: while suspended nothing moves, and after resuming everything goes on where it was,
 * without a reset. Numbered traffic across it finds what is lost or repeated.
 */
#include <errno.h>

#include "frames.h"

static struct net_frame frame, got;

static void forget_calls(struct net *net)
{
	for (unsigned int q = 0; q < net->queues; q++)
		if (net_ring(net, q))
			vring_calls(net_ring(net, q));
}

CHECK(suspend, quiet, .requirements = "VDPA-SUSP-001 VDPA-SUSP-014 VDPA-SUSP-016 OPS-SUSP-001",
      .summary = "a suspended device takes no buffer, writes no memory and does not interrupt",
      .needs = CAP_SUSPEND | CAP_TRAFFIC)
{
	for (unsigned int round = 0; round < 6; round++) {
		struct net *net = net_up(t, &(struct net_options){.event_idx = round & 1});
		struct dma_snapshot *snap;
		uint64_t where = 0;
		size_t changed;

		io_loss_ok(net, true);
		io_submit(net, 40, NULL);
		frames_turns(net, round);
		net_suspend(net);
		/* interrupts for what was done before may still be on their way */
		if (!(net->p->caps & CAP_EXACT_SETTLE))
			parent_settle(net->p);
		forget_calls(net);
		net_frame_make(net, &frame, NET_FLOW_OWN, 0, 500);
		if (vring_free(net->tx[0]) > 1)
			t_ok(t, net_send(net, 0, &frame, 1, NET_SEND_NO_KICK));
		snap = dma_snapshot(net->dma, NULL);
		for (unsigned int q = 0; q < net->queues; q++)
			if (net_ring(net, q))
				vring_kick_now(net_ring(net, q));
		parent_settle(net->p);
		changed = dma_changed(snap, &where, 1);
		t_expect(
			t, !changed,
			"a suspended device must write no memory; %zu pages changed, the first at IOVA "
			"0x%llx",
			changed, (unsigned long long)where);
		for (unsigned int q = 0; q < net->queues; q++)
			t_expect(t, !net_ring(net, q) || !vring_calls(net_ring(net, q)),
				 "%s interrupted while the device was suspended",
				 net_queue_name(net, q));
		dma_snapshot_free(snap);
		net_down(net);
	}
}

CHECK(suspend, stable, .requirements = "VDPA-SUSP-012 OPS-SUSP-001",
      .summary = "while suspended positions read the same again, whatever is offered and kicked",
      .needs = CAP_SUSPEND | CAP_VQ_STATE_GET | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	struct vq_state first[NET_QUEUES_MAX];

	io_run(net, 40, NULL);
	io_loss_ok(net, true);
	io_submit(net, 40, NULL);
	frames_turns(net, 3);
	net_suspend(net);
	for (unsigned int q = 0; q < net->queues && q < NET_QUEUES_MAX; q++)
		if (net_ring(net, q))
			t_ok(t, parent_get_vq_state(net->p, q, &first[q]));
	for (unsigned int round = 0; round < 3; round++) {
		net_frame_make(net, &frame, NET_FLOW_OWN, round, 100);
		t_ok(t, net_send(net, 0, &frame, 1, NET_SEND_NO_KICK));
		vring_kick_now(net->tx[0]);
		parent_settle(net->p);
		for (unsigned int q = 0; q < net->queues && q < NET_QUEUES_MAX; q++) {
			struct vq_state now;

			if (!net_ring(net, q))
				continue;
			t_ok(t, parent_get_vq_state(net->p, q, &now));
			t_expect(t, now.avail == first[q].avail,
				 "%s stood at %u when the device was suspended, later at %u",
				 net_queue_name(net, q), first[q].avail, now.avail);
		}
	}
}

CHECK(suspend, status, .requirements = "OPS-SUSP-005 VDPA-SUSP-003",
      .summary = "suspending changes neither status nor configuration", .needs = CAP_SUSPEND)
{
	struct net *net = net_up(t, NULL);
	uint8_t before = 0, after = 0, config[12] = {0}, later[12] = {0};

	t_ok(t, parent_get_status(net->p, &before));
	net_config(net, 0, config, sizeof(config));
	net_suspend(net);
	t_ok(t, parent_get_status(net->p, &after));
	t_expect_eq(t, after, before, "status of a suspended device");
	net_config(net, 0, later, sizeof(later));
	t_expect(t, !memcmp(config, later, sizeof(config)),
		 "the configuration of a suspended device changed");
	net_down(net);
}

CHECK(suspend, resume, .requirements = "VDPA-SUSP-009 VDPA-SUSP-015 OPS-SUSP-002 OPS-SUSP-003",
      .summary = "suspended and resumed again and again under traffic: nothing is lost or repeated",
      .needs = CAP_SUSPEND | CAP_RESUME | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);

	for (unsigned int i = 0; i < 20; i++) {
		io_loss_ok(net, true);
		io_submit(net, 30, NULL);
		frames_turns(net, i);
		net_suspend(net);
		parent_settle(net->p);
		net_resume(net);
		/* VDPA-SUSP-011 is a SHOULD: kicks that the device slept through are given again */
		for (unsigned int q = 0; q < 2; q++)
			vring_kick_now(net_ring(net, q));
		io_wait(net);
		io_loss_ok(net, false);
	}
	io_run(net, 100, NULL);
	net_down(net);
}

CHECK(suspend, offered_meanwhile, .requirements = "VDPA-SUSP-009 VDPA-SUSP-011",
      .summary = "buffers offered while suspended are served after the resume",
      .needs = CAP_SUSPEND | CAP_RESUME | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);

	io_run(net, 20, NULL);
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int unasked;

		net_suspend(net);
		for (unsigned int k = 0; k < 3; k++) {
			net_frame_make(net, &frame, NET_FLOW_OWN, k, 100 + k);
			t_ok(t, net_send(net, 0, &frame, 1, NET_SEND_NO_KICK));
		}
		vring_kick_now(net->tx[0]);
		parent_settle(net->p);
		t_expect(t, !vring_pending(net->tx[0]), "a suspended device used a buffer");
		net_resume(net);
		parent_settle(net->p);
		unasked = net_reap(net, 0);
		t_note(t,
		       "of 3 buffers offered and kicked while suspended %u were served without "
		       "another kick",
		       unasked);
		vring_kick_now(net->tx[0]);
		for (unsigned int k = 0; k < 3; k++)
			t_expect(t, net_wire(net, &got, NET_SOON) && got.len == 100 + k,
				 "frame %u offered while suspended must be sent after the resume",
				 k);
		net_drain(net);
	}
	net_down(net);
}

CHECK(suspend, ready_meanwhile, .requirements = "OPS-SUSP-004 VDPA-SUSP-005",
      .summary = "a queue that is made ready while suspended starts with the resume, not before",
      .needs = CAP_SUSPEND | CAP_RESUME | CAP_TRAFFIC, .features = VC_BIT(VC_NET_F_CTRL_VQ))
{
	/* the control queue is programmed before DRIVER_OK and left unready */
	struct net *net = net_up(t, &(struct net_options){.no_ctrl = true, .last = NET_READY});
	struct dma_mem mem = dma_alloc(net->dma, 4, 4);
	const struct vring_sg sg[2] = {{mem.iova, 3, false}, {mem.iova + 3, 1, true}};
	struct vring *r = vring_create(t, net->dma,
				       &(struct vring_options){
					       .size = 16,
					       .event_idx = net->features & VC_BIT(VC_F_EVENT_IDX),
				       });
	struct vring_used used;

	vring_program(r, net->ctrl_index, NULL, false);
	memcpy(mem.host, (const uint8_t[4]){VC_NET_CTRL_RX, VC_NET_CTRL_RX_PROMISC, 1, 0xa5}, 4);
	t_ok(t, vring_add(r, sg, 2, 0, NULL));
	vring_publish(r, 0);
	net_continue(net, NET_ALL);
	net_suspend(net);
	t_ok(t, parent_set_vq_ready(net->p, net->ctrl_index, true));
	vring_kick_now(r);
	parent_settle(net->p);
	t_expect(t, !vring_pending(r),
		 "a queue that was made ready while the device is suspended used a buffer");
	net_resume(net);
	vring_kick_now(r);
	if (!vring_wait(r, 0) || !vring_get(r, &used))
		t_note(t, "a queue made ready while suspended does not work after the resume");
	net_down(net);
}

CHECK(suspend, reset_ends_it, .requirements = "VDPA-STAT-005 VDPA-SUSP-002",
      .summary = "a reset ends the suspension: the device comes up as a fresh one",
      .needs = CAP_SUSPEND | CAP_TRAFFIC)
{
	for (unsigned int i = 0; i < 3; i++) {
		struct net *net = net_up(t, NULL);

		io_run(net, 30, NULL);
		net_suspend(net);
		net_down(net);
		net = net_up(t, NULL);
		io_run(net, 30, NULL);
		net_down(net);
	}
}

CHECK(suspend, repeated, .requirements = "VDPA-SUSP-017 VDPA-SUSP-009",
      .summary = "a second suspend or resume does no harm",
      .needs = CAP_SUSPEND | CAP_RESUME | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);

	for (unsigned int i = 0; i < 3; i++) {
		int err;

		io_run(net, 20, NULL);
		net_suspend(net);
		err = parent_suspend(net->p);
		t_note(t, "a second suspend: %s", err ? "refused" : "accepted");
		net_resume(net);
		err = parent_resume(net->p);
		t_note(t, "a second resume: %s", err ? "refused" : "accepted");
	}
	io_run(net, 50, NULL);
	net_down(net);
}
