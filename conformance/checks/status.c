// SPDX-License-Identifier: BSD-3-Clause
/*
 * Device status: its life cycle, when queues live, what an error does
 *
 * How it works. Before DRIVER_OK nothing may be consumed and nobody interrupted; the checks offer
 * buffers and let frames arrive then, and look that all of it begins with DRIVER_OK. To break a
 * ring they write descriptors that no driver may write; whether the device then asks for a reset is
 * its own affair (a SHOULD), but if it does the driver must be told, and a reset must repair it.
 */
#include "support.h"

static void expect_status(struct test *t, uint8_t want, const char *after)
{
	const uint8_t seen = get_status(t);

	t_expect(t, seen == want, "after %s status must read 0x%02x, it reads 0x%02x", after, want,
		 seen);
}

CHECK(status, bits_read_back,
      .requirements = "VIO-STATUS-009 OPS-STAT-001 OPS-STAT-002 VDPA-STAT-001",
      .summary = "status reads back every bit that was set, and 0 after a reset",
      .timeout_ms = SLOW_MS)
{
	static const struct {
		enum net_step step;
		uint8_t status;
		const char *after;
	} steps[] = {
		{NET_RESET, 0, "a reset"},	  {NET_ACKNOWLEDGE, 1, "ACKNOWLEDGE"},
		{NET_DRIVER, 3, "DRIVER"},	  {NET_FEATURES_OK, 11, "FEATURES_OK"},
		{NET_DRIVER_OK, 15, "DRIVER_OK"},
	};

	for (size_t until = 0; until < ARRAY_LEN(steps); until++) {
		struct net *net = net_up(t, &(struct net_options){.last = NET_RESET});

		for (size_t i = 0; i <= until; i++) {
			net_continue(net, steps[i].step);
			expect_status(t, steps[i].status, steps[i].after);
		}
		t_step(t, "give up with FAILED after %s, then reset", steps[until].after);
		add_status(t, VC_STATUS_FAILED);
		expect_status(t, steps[until].status | VC_STATUS_FAILED, "FAILED");
		net_down(net);
		expect_status(t, 0, "a reset");
	}
}

CHECK(status, nothing_consumed_before_driver_ok,
      .requirements = "VIO-STATUS-005 VIO-CLEAN-003 VDPA-VQ-016",
      .summary = "buffers offered before DRIVER_OK are used after it and not earlier",
      .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.last = NET_READY});

	t_step(t, "offer 4 frames on tx0, which is ready, without DRIVER_OK");
	for (uint32_t i = 0; i < 4; i++)
		hand_send(net, 0, HAND_FLOW, i, NET_SEND_NO_KICK);
	if (net_has_peer(net))
		hand_inject(net, HAND_FLOW + 1, 0);
	t_ok(t, parent_settle(net->p));
	t_expect(t, !vring_pending(net->tx[0]),
		 "no available buffer may be consumed before DRIVER_OK, tx0 has used some");
	t_expect(t, !vring_pending(net->rx[0]),
		 "no available buffer may be consumed before DRIVER_OK, rx0 has used some");
	if (net_has_peer(net))
		hand_wire_silent(net, HAND_FLOW, "before DRIVER_OK");

	t_step(t, "DRIVER_OK: now they are sent");
	net_continue(net, NET_ALL);
	vring_kick_now(net->tx[0]);
	hand_wire(net, HAND_FLOW, 0, 4);
	net_drain(net);
}

CHECK(status, no_interrupt_before_driver_ok, .requirements = "VIO-STATUS-006",
      .summary = "no queue interrupts before DRIVER_OK, though it is ready and has buffers",
      .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.last = NET_QUEUES});

	forget_calls(net);
	hand_send(net, 0, HAND_FLOW, 0, NET_SEND_NO_KICK);
	net_continue(net, NET_READY);
	if (net_has_peer(net))
		hand_inject(net, HAND_FLOW + 1, 0);
	expect_no_calls(net, "before DRIVER_OK");

	net_continue(net, NET_ALL);
	vring_kick_now(net->tx[0]);
	hand_wire(net, HAND_FLOW, 0, 1);
	t_expect(t, vring_wait_call(net->tx[0], 0), "after DRIVER_OK a used buffer must interrupt");
}

CHECK(status, driver_ok_starts_all_ready_queues,
      .requirements = "VIO-CLEAN-003 VDPA-STAT-006 OPS-VQ-011",
      .summary = "with DRIVER_OK every queue that is ready works, also behind the first pair",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_NET_F_MQ) | VC_BIT(VC_NET_F_CTRL_VQ))
{
	struct net *net = net_up(t, &(struct net_options){.pairs = 2});

	for (unsigned int pair = 1; pair <= net->pairs; pair++)
		io_run(net, 32, &(struct io_options){.pair = pair});
}

CHECK(status, queue_not_ready_stays_dead, .requirements = "VDPA-VQ-016 OPS-VQ-011 VDPA-STAT-006",
      .summary = "DRIVER_OK does not start a queue that was set up but not made ready",
      .needs = CAP_PEER)
{
	struct net *net = net_up(t, &(struct net_options){.last = NET_QUEUES});
	static struct net_frame frame;

	t_step(t, "make rx0 ready but not tx0, which has frames; DRIVER_OK");
	hand_send(net, 0, HAND_FLOW, 0, NET_SEND_NO_KICK);
	hand_send(net, 0, HAND_FLOW, 1, NET_SEND_NO_KICK);
	net_post(net, 0, 8, false);
	t_ok(t, parent_set_vq_ready(net->p, vring_queue(net->rx[0]), true));
	add_status(t, VC_STATUS_DRIVER_OK);
	vring_kick_now(net->rx[0]);
	hand_wire_silent(net, HAND_FLOW, "from a queue that is not ready");
	t_expect(t, !vring_pending(net->tx[0]),
		 "tx0 was not made ready and must not use buffers, it did");
	t_step(t, "rx0 works");
	net_frame_make(net, &frame, HAND_FLOW, 0, 100);
	t_expect(t, where_received(net, &frame) == 0, "a frame must be received on rx0");
}

/* ---- Broken rings ---------------------------------------------------------------------------- */

/* Ways to break a split transmit ring; the available index is raised and the doorbell rung after.
 */
static void loop_of_descriptors(struct net *net, struct vring *r)
{
	const struct dma_mem mem = dma_alloc(net->dma, 64, 16);

	vring_raw_desc(r, 0, mem.iova, 64, VC_DESC_F_NEXT, 1);
	vring_raw_desc(r, 1, mem.iova, 64, VC_DESC_F_NEXT, 0);
	vring_raw_avail(r, vring_raw_get_avail_idx(r), 0);
	vring_raw_avail_idx(r, (uint16_t)(vring_raw_get_avail_idx(r) + 1));
}

static void head_outside(struct net *net, struct vring *r)
{
	(void)net;
	vring_raw_avail(r, vring_raw_get_avail_idx(r), vring_size(r));
	vring_raw_avail_idx(r, (uint16_t)(vring_raw_get_avail_idx(r) + 1));
}

static void next_outside(struct net *net, struct vring *r)
{
	const struct dma_mem mem = dma_alloc(net->dma, 64, 16);

	vring_raw_desc(r, 0, mem.iova, 64, VC_DESC_F_NEXT, vring_size(r));
	vring_raw_avail(r, vring_raw_get_avail_idx(r), 0);
	vring_raw_avail_idx(r, (uint16_t)(vring_raw_get_avail_idx(r) + 1));
}

static void index_too_far(struct net *net, struct vring *r)
{
	(void)net;
	vring_raw_avail_idx(r, (uint16_t)(vring_raw_get_avail_idx(r) + vring_size(r) + 1));
}

static void buffer_unmapped(struct net *net, struct vring *r)
{
	vring_raw_desc(r, 0, dma_unmapped_iova(net->dma, 4096), 256, 0, 0);
	vring_raw_avail(r, vring_raw_get_avail_idx(r), 0);
	vring_raw_avail_idx(r, (uint16_t)(vring_raw_get_avail_idx(r) + 1));
}

static const struct {
	const char *what;
	void (*how)(struct net *net, struct vring *r);
} breaks[] = {
	{"a chain of descriptors that loops", loop_of_descriptors},
	{"a head behind the descriptor table", head_outside},
	{"a next that lies behind the descriptor table", next_outside},
	{"an available index further than the ring is long", index_too_far},
	{"a buffer that is not mapped", buffer_unmapped},
};

static void break_ring(struct net *net, unsigned int how)
{
	t_step(net->t, "break tx0 with %s", breaks[how].what);
	breaks[how].how(net, net->tx[0]);
	vring_kick_now(net->tx[0]);
}

CHECK(status, needs_reset_notifies, .requirements = "VIO-STATUS-007 VIO-STATUS-008",
      .summary = "a device that asks for a reset says so by a configuration interrupt",
      .needs = CAP_CONFIG_CALL)
{
	unsigned int asked = 0;

	for (unsigned int how = 0; how < ARRAY_LEN(breaks); how++) {
		struct net *net = net_up(t, NULL);

		t_ok(t, parent_settle(net->p));
		net_config_calls(net);
		break_ring(net, how);
		/* a device that asks later than that is not observed, which fails nobody */
		t_ok(t, parent_settle(net->p));
		if (!(get_status(t) & VC_STATUS_NEEDS_RESET)) {
			t_note(t, "%s: DEVICE_NEEDS_RESET not observed", breaks[how].what);
		} else {
			asked++;
			t_expect(t, net_wait_config_call(net, 0),
				 "DEVICE_NEEDS_RESET was set after DRIVER_OK (%s): a configuration "
				 "interrupt must follow, none came",
				 breaks[how].what);
		}
		net_down(net);
	}
	t_note(t, "DEVICE_NEEDS_RESET observed for %u of %zu broken rings", asked,
	       ARRAY_LEN(breaks));
}

CHECK(status, reset_repairs, .requirements = "VIO-STATUS-009 VIO-RESET-001 OPS-RST-001 OPS-RST-003",
      .summary = "whatever a driver did to a ring, a reset ends it and the device works again",
      .needs = CAP_TRAFFIC, .timeout_ms = SLOW_MS)
{
	for (unsigned int how = 0; how < ARRAY_LEN(breaks); how++) {
		struct net *net = net_up(t, NULL);

		break_ring(net, how);
		t_ok(t, parent_settle(net->p));
		net_down(net);
		expect_status(t, 0, "a reset");
		t_step(t, "bring it up again");
		net = net_up(t, NULL);
		io_run(net, 8, NULL);
		net_down(net);
	}
}
