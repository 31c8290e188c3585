/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Notifications in both directions: none that is needed may be missing (VIRTIO 2.7.7
 * to 2.7.10, 2.8.14)
 *
 * How it works. A driver that sleeps until it is interrupted, and one that kicks only when the
 * device asks for it, find every notification that is lost: the traffic stands still. Both act at
 * every moment that there is, between two events of the device where the parent is in this process.
 * Notifications that were not wanted are legal; they are noted.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "frames.h"

static struct net_frame frame, got;
static uint32_t number;

static unsigned int by_chance(struct test *t, unsigned int n)
{
	return (unsigned int)(t_random(t) % n);
}

/* offer() - @n small frames on @pair, published at once, no kick */
static void offer(struct net *net, unsigned int pair, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		net_frame_make(net, &frame, NET_FLOW_OWN + pair, number++, 60);
		if (net_send(net, pair, &frame, 1, NET_SEND_NO_PUBLISH))
			t_broken(net->t, "a bug of this check: no room for %u frames", n);
	}
	vring_publish(net->tx[pair], 0);
}

/* take_wire() - what has reached the wire is not looked at: these checks are about something else
 */
static void take_wire(struct net *net)
{
	while (net_wire(net, &got, 0))
		;
}

/* finish() - until what was offered has come back, all of it */
static void finish(struct net *net)
{
	net_drain(net);
	take_wire(net);
}

static const char *format_name(const struct net *net)
{
	return net->features & VC_BIT(VC_F_RING_PACKED) ? "packed" : "split";
}

/* ---- Used buffers: flags ----------------------------------------------------------------------
 */

/* flags() - interrupts without event index */
static void flags(struct test *t, enum net_format format)
{
	struct net *net = net_up(t, &(struct net_options){.format = format,
							  .unwant = VC_BIT(VC_F_EVENT_IDX)});
	struct vring *tx = net->tx[0], *rx = net->rx[0];
	bool quiet = true;

	for (unsigned int i = 0; i < 30; i++) {
		vring_call_enable(tx);
		vring_calls(tx);
		offer(net, 0, 1 + i % 5);
		vring_kick(tx);
		t_expect(t, vring_wait_call(tx, 0),
			 "tx0 (%s): used buffers must interrupt while the driver allows it",
			 format_name(net));
		finish(net);
		parent_settle(net->p);

		vring_call_disable(tx);
		vring_calls(tx);
		offer(net, 0, 2);
		vring_kick(tx);
		finish(net);
		parent_settle(net->p);
		quiet = quiet && !vring_calls(tx);
	}
	t_note(t, "%s: interrupts that the driver did not want: %s", format_name(net),
	       quiet ? "none" : "seen");
	for (unsigned int i = 0; i < 20; i++) {
		vring_calls(rx);
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 100);
		t_ok(t, net_inject(net, &frame));
		t_expect(t, vring_wait_call(rx, 0), "rx0 (%s): a received frame must interrupt",
			 format_name(net));
		t_expect(t, net_recv(net, &got, NET_SOON), "frame %u must be received", i);
		net_drain(net);
		parent_settle(net->p);
	}
	net_down(net);
}

CHECK(notify, flags, .requirements = "VIO-EVT-008 VIO-EVT-007",
      .summary = "without event index every used buffer interrupts that may", .needs = CAP_TRAFFIC)
{
	flags(t, NET_SPLIT);
}

CHECK(notify, packed_flags, .requirements = "VIO-PACK-035",
      .summary = "packed: ENABLE permits interrupts", .needs = CAP_TRAFFIC,
      .features = VC_BIT(VC_F_RING_PACKED))
{
	flags(t, NET_PACKED);
}

CHECK(notify, used_event_ignored, .requirements = "VIO-EVT-006",
      .summary = "without event index used_event means nothing", .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.unwant = VC_BIT(VC_F_EVENT_IDX)});
	struct vring *tx = net->tx[0];

	for (unsigned int i = 0; i < 10; i++) {
		vring_calls(tx);
		vring_raw_set_event(tx, 0, (uint16_t)(vring_state(tx).used + 300 * i));
		offer(net, 0, 1);
		vring_kick(tx);
		t_expect(t, vring_wait_call(tx, 0),
			 "flags allow interrupts; with %u in used_event there was none",
			 vring_state(tx).used + 300 * i);
		finish(net);
		parent_settle(net->p);
	}
	net_down(net);
}

CHECK(notify, flags_ignored, .requirements = "VIO-EVT-009",
      .summary = "with event index the flags of the available ring mean nothing",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_EVENT_IDX))
{
	struct net *net = net_up(t, &(struct net_options){.event_idx = true});
	struct vring *tx = net->tx[0];

	for (unsigned int i = 0; i < 10; i++) {
		vring_calls(tx);
		vring_raw_set_event(tx, i & 1 ? VC_AVAIL_F_NO_INTERRUPT : 0, vring_state(tx).used);
		offer(net, 0, 1);
		vring_kick(tx);
		t_expect(t, vring_wait_call(tx, 0),
			 "used_event asks for an interrupt; with flags = %u there was none", i & 1);
		finish(net);
		parent_settle(net->p);
	}
	net_down(net);
}

/** struct used_flags - looks at the used ring's flags whenever they may have changed */
struct used_flags {
	struct net *net;
	uint16_t most, seen;
};

static bool flags_look(void *arg)
{
	struct used_flags *u = arg;

	for (unsigned int q = 0; q < 2; q++) {
		u->seen = vring_raw_used_flags(net_ring(u->net, q));
		if (u->seen > u->most)
			return true;
	}
	return false;
}

CHECK(notify, used_flags, .requirements = "VIO-EVT-019 VIO-EVT-021",
      .summary = "the used ring's flags are 0 or 1, and 0 with event index", .needs = CAP_TRAFFIC)
{
	for (unsigned int event_idx = 0; event_idx < 2; event_idx++) {
		struct net *net = net_up(t, &(struct net_options){.event_idx = event_idx});
		struct used_flags u = {.net = net};

		t_step(t, event_idx ? "with event index" : "without event index");
		if (!(net->features & VC_BIT(VC_F_EVENT_IDX)))
			u.most = VC_USED_F_NO_NOTIFY;
		for (unsigned int i = 0; i < 20; i++) {
			io_submit(net, 10, NULL);
			t_expect(t, !parent_wait(net->p, flags_look, &u, 1),
				 "the used ring's flags may be at most %u, they are 0x%04x", u.most,
				 u.seen);
			io_wait(net);
		}
		net_down(net);
	}
}

/* ---- Used buffers: event index ----------------------------------------------------------------
 */

/* one_by_one() - an interrupt for the n-th used buffer, which come one at a time */
static void one_by_one(struct net *net, unsigned int rounds)
{
	struct vring *tx = net->tx[0];
	unsigned int early = 0;

	for (unsigned int i = 0; i < rounds; i++) {
		const uint16_t n = (uint16_t)(1 + i % 6);

		vring_call_after(tx, n);
		vring_calls(tx);
		for (uint16_t k = 1; k < n; k++) {
			offer(net, 0, 1);
			vring_kick(tx);
			finish(net);
		}
		parent_settle(net->p);
		early += vring_calls(tx) != 0;
		offer(net, 0, 1);
		vring_kick(tx);
		t_expect(
			net->t, vring_wait_call(tx, 0),
			"tx0 (%s) at %u: the driver asked for an interrupt at the used buffer number "
			"%u from here, and that one brought none",
			format_name(net), vring_state(tx).used, n);
		finish(net);
		parent_settle(net->p);
	}
	t_note(net->t, "%s: interrupts before the one that was asked for: %u of %u",
	       format_name(net), early, rounds);
}

/* batches() - batches that end before, at, and behind the event */
static void batches(struct net *net, unsigned int rounds)
{
	struct vring *tx = net->tx[0];

	for (unsigned int i = 0; i < rounds; i++) {
		const uint16_t n = (uint16_t)(1 + i % 9);

		vring_call_after(tx, n);
		vring_calls(tx);
		offer(net, 0, 8);
		vring_kick(tx);
		if (n > 8) {
			finish(net);
			parent_settle(net->p);
			vring_calls(tx);
			offer(net, 0, 1);
			vring_kick(tx);
		}
		t_expect(
			net->t, vring_wait_call(tx, 0),
			"tx0 (%s) at %u: a batch of 8 used buffers went over the event (number %u of "
			"them) without an interrupt",
			format_name(net), vring_state(tx).used, n);
		finish(net);
		parent_settle(net->p);
	}
}

CHECK(notify, event_idx, .requirements = "VIO-EVT-010 VIO-EVT-011",
      .summary = "the used buffer that used_event names interrupts", .needs = CAP_TRAFFIC,
      .features = VC_BIT(VC_F_EVENT_IDX))
{
	struct net *net = net_up(t, &(struct net_options){.event_idx = true, .size = 16});

	one_by_one(net, 24);
	net_down(net);
}

CHECK(notify, event_idx_batch, .requirements = "VIO-EVT-010",
      .summary = "a batch of used buffers that steps over used_event interrupts",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_EVENT_IDX))
{
	struct net *net = net_up(t, &(struct net_options){.event_idx = true, .size = 32});

	batches(net, 27);
	net_down(net);
}

CHECK(notify, event_idx_wrap, .requirements = "VIO-EVT-010 VIO-SPLIT-020",
      .summary = "used_event is compared rightly where the indices wrap",
      .needs = CAP_TRAFFIC | CAP_VQ_STATE_SET, .features = VC_BIT(VC_F_EVENT_IDX))
{
	for (unsigned int i = 0; i < 2; i++) {
		const struct vq_state base = {.avail = 65529, .used = 65529, .used_known = true};
		struct net *net = net_up(
			t, &(struct net_options){
				   .event_idx = true, .size = 32, .base = &base, .no_ctrl = true});

		if (i)
			batches(net, 4);
		else
			one_by_one(net, 8);
		net_down(net);
	}
}

CHECK(notify, packed_event, .requirements = "VIO-PACK-036",
      .summary = "packed: the descriptor that the driver's event names interrupts, over the ring's "
		 "end and in batches",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_EVENT_IDX) | VC_BIT(VC_F_RING_PACKED))
{
	struct net *net = net_up(
		t, &(struct net_options){.event_idx = true, .format = NET_PACKED, .size = 16});

	one_by_one(net, 24);
	batches(net, 27);
	net_down(net);
}

/* ---- A driver that sleeps ---------------------------------------------------------------------
 */

/* sleeper() - takes buffers back only when it was interrupted, and arms itself at any moment */
static void sleeper(struct test *t, enum net_format format, bool event_idx)
{
	struct net *net = net_up(
		t, &(struct net_options){.format = format, .event_idx = event_idx, .size = 32});
	struct vring *tx = net->tx[0];

	if (event_idx && !(net->features & VC_BIT(VC_F_EVENT_IDX)))
		return;
	t_step(t, "%s, %s event index", format_name(net), event_idx ? "with" : "without");
	for (unsigned int i = 0; i < 60; i++) {
		vring_call_disable(tx);
		vring_calls(tx);
		offer(net, 0, 1 + by_chance(t, 8));
		vring_kick(tx);
		frames_turns(net, by_chance(t, 12));
		while (vring_outstanding(tx)) {
			/* VIRTIO 2.7.7.1: arm, then look again, then sleep */
			if (!vring_call_enable(tx))
				t_expect(
					t, vring_wait_call(tx, 0),
					"tx0 (%s, %s event index): %u buffers are out, the driver armed "
					"its interrupt with none used and was never woken",
					format_name(net), event_idx ? "with" : "without",
					vring_outstanding(tx));
			vring_call_disable(tx);
			if (by_chance(t, 2))
				frames_turns(net, by_chance(t, 4));
			net_reap(net, 0);
		}
		take_wire(net);
	}
	net_down(net);
}

CHECK(notify, rearm, .requirements = "VIO-EVT-008 VIO-EVT-010",
      .summary = "a driver that sleeps between interrupts, arming at any moment, is always woken",
      .needs = CAP_TRAFFIC)
{
	sleeper(t, NET_SPLIT, false);
	sleeper(t, NET_SPLIT, true);
}

CHECK(notify, packed_rearm, .requirements = "VIO-PACK-035 VIO-PACK-036",
      .summary = "the same on packed rings", .needs = CAP_TRAFFIC,
      .features = VC_BIT(VC_F_RING_PACKED))
{
	sleeper(t, NET_PACKED, false);
	sleeper(t, NET_PACKED, true);
}

/* ---- Kicks ------------------------------------------------------------------------------------
 */

/** struct feeder - offers a frame now and then, and kicks only if the device wants it */
struct feeder {
	struct net *net;
	unsigned int left, offered, kicked;
};

static bool feed(void *arg)
{
	struct feeder *f = arg;
	struct net *net = f->net;

	net_reap(net, 0);
	take_wire(net);
	if (f->left && vring_free(net->tx[0]) && by_chance(net->t, 3)) {
		const unsigned int kicks = vring_kicks(net->tx[0]);

		offer(net, 0, 1);
		vring_kick(net->tx[0]);
		f->kicked += vring_kicks(net->tx[0]) - kicks;
		f->offered++;
		f->left--;
	}
	return !f->left;
}

static bool all_back(void *arg)
{
	struct net *net = arg;

	net_reap(net, 0);
	take_wire(net);
	return !vring_outstanding(net->tx[0]);
}

static void kicks(struct test *t, enum net_format format, bool event_idx)
{
	struct net *net = net_up(
		t, &(struct net_options){.format = format, .event_idx = event_idx, .size = 32});
	struct feeder f = {.net = net};

	t_step(t, "%s, %s event index", format_name(net), event_idx ? "with" : "without");
	for (unsigned int i = 0; i < 12; i++) {
		f.left = 20;
		while (f.left)
			parent_wait(net->p, feed, &f, NET_SOON);
		parent_wait(net->p, all_back, net, NET_SOON);
		t_expect(
			t, !vring_outstanding(net->tx[0]),
			"tx0 (%s, %s event index): %u buffers wait; the driver kicked whenever the "
			"device wanted it (%u kicks for %u buffers)",
			format_name(net), event_idx ? "with" : "without",
			vring_outstanding(net->tx[0]), f.kicked, f.offered);
	}
	t_note(t, "%s, %s event index: %u kicks for %u buffers", format_name(net),
	       event_idx ? "with" : "without", f.kicked, f.offered);
	net_down(net);
}

CHECK(notify, kicks, .requirements = "VIO-EVT-022 VIO-EVT-024 OPS-VQ-005",
      .summary = "a driver that kicks only when it is asked to is served, whenever it offers",
      .needs = CAP_TRAFFIC)
{
	kicks(t, NET_SPLIT, false);
	kicks(t, NET_SPLIT, true);
}

CHECK(notify, packed_kicks, .requirements = "VIO-PACK-025 OPS-VQ-005",
      .summary = "the same on packed rings", .needs = CAP_TRAFFIC,
      .features = VC_BIT(VC_F_RING_PACKED))
{
	kicks(t, NET_PACKED, false);
	kicks(t, NET_PACKED, true);
}

CHECK(notify, every_queue, .requirements = "VIO-NOTIF-001 IFC-NTF-002 OPS-VQ-005",
      .summary = "the doorbell of every queue makes the device look at that queue",
      .needs = CAP_TRAFFIC)
{
	const unsigned int pairs = frames_pairs(t);
	/* switching pairs on is a command, so the control queue's doorbell is rung as well */
	struct net *net = net_up(t, &(struct net_options){.pairs = pairs});

	for (unsigned int round = 0; round < 3; round++)
		for (unsigned int i = 0; i < pairs; i++) {
			/* at rest: nothing but the kick tells the device */
			parent_settle(net->p);
			net_frame_make(net, &frame, NET_FLOW_OWN + i, number++, 100);
			frame_out(net, i, &frame, 1, 0);
		}
	net_down(net);
}

CHECK(notify, spurious_kicks, .requirements = "VIO-NOTIF-003 VIO-EVT-023",
      .summary = "kicks without new buffers, on every queue, change nothing", .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.event_idx = true});

	for (unsigned int i = 0; i < 10; i++) {
		struct dma_snapshot *snap;
		uint16_t rx;

		io_run(net, 10, NULL);
		parent_settle(net->p);
		rx = vring_state(net->rx[0]).used;
		snap = dma_snapshot(net->dma, NULL);
		for (unsigned int k = 0; k < 20; k++)
			for (unsigned int q = 0; q < net->queues; q++)
				if (net_ring(net, q))
					vring_kick_now(net_ring(net, q));
		parent_settle(net->p);
		t_expect(t, !vring_pending(net->tx[0]) && !vring_pending(net->rx[0]),
			 "kicks without buffers made used ones (rx0 stood at %u)", rx);
		t_expect(t, !net_wire(net, &got, 0), "kicks without buffers sent a frame");
		dma_snapshot_free(snap);
	}
	io_run(net, 100, NULL);
	net_down(net);
}

CHECK(notify, early, .requirements = "VIO-STATUS-005 VIO-STATUS-006 VIO-NOTIF-001",
      .summary = "buffers offered before DRIVER_OK wait for it, and are served then",
      .needs = CAP_TRAFFIC)
{
	for (unsigned int event_idx = 0; event_idx < 2; event_idx++) {
		struct net *net = net_up(t, &(struct net_options){.event_idx = event_idx,
								  .last = NET_READY,
								  .no_kick = true});
		unsigned int unasked;

		offer(net, 0, 5);
		parent_settle(net->p);
		t_expect(t, !vring_pending(net->tx[0]) && !net_wire(net, &got, 0),
			 "buffers must not be used before DRIVER_OK");
		t_expect(t, !vring_calls(net->tx[0]), "no interrupt may come before DRIVER_OK");
		net_continue(net, NET_ALL);
		parent_settle(net->p);
		unasked = net_reap(net, 0);
		/* VDPA-SUSP-011, VHU-RING-011: SHOULD */
		t_note(t, "of 5 buffers offered before DRIVER_OK %u were served without a kick",
		       unasked);
		for (unsigned int q = 0; q < 2; q++)
			vring_kick_now(net_ring(net, q));
		finish(net);
		net_frame_make(net, &frame, NET_FLOW_OWN, 0, 200);
		frame_in(net, &frame);
		net_down(net);
	}
}

CHECK(notify, data, .requirements = "VIO-NOTIF-002 OPS-VQ-006",
      .summary = "kicks that carry the next index as well, over laps and the end of the ring",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_NOTIFICATION_DATA))
{
	struct net *net;

	if (!t_parent(t)->ops->kick_data)
		t_skip(t, SKIP_INTERFACE, "this interface carries no data with a kick");
	net = net_up(t, &(struct net_options){.notification_data = true, .size = 16});
	for (unsigned int i = 0; i < 40; i++) {
		parent_settle(net->p);
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 60);
		frame_out(net, 0, &frame, 1 + i % 3, 0);
	}
	io_run(net, 200, NULL);
	net_down(net);
}

CHECK(notify, packed_data, .requirements = "VIO-NOTIF-002 OPS-VQ-007",
      .summary = "the same on packed rings, with the wrap counter", .needs = CAP_TRAFFIC,
      .features = VC_BIT(VC_F_NOTIFICATION_DATA) | VC_BIT(VC_F_RING_PACKED))
{
	struct net *net;

	if (!t_parent(t)->ops->kick_data)
		t_skip(t, SKIP_INTERFACE, "this interface carries no data with a kick");
	net = net_up(t, &(struct net_options){
				.notification_data = true, .format = NET_PACKED, .size = 16});
	for (unsigned int i = 0; i < 40; i++) {
		parent_settle(net->p);
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 60);
		frame_out(net, 0, &frame, 1 + i % 3, 0);
	}
	io_run(net, 200, NULL);
	net_down(net);
}

/* ---- Where interrupts go ----------------------------------------------------------------------
 */

CHECK(notify, own_queue, .requirements = "VDPA-VQ-019 OPS-VQ-010",
      .summary = "a used buffer signals the eventfd of its own queue and no other",
      .needs = CAP_TRAFFIC)
{
	const unsigned int pairs = frames_pairs(t);
	struct net *net = net_up(t, &(struct net_options){.pairs = pairs > 3 ? 3 : pairs});
	const unsigned int n = net->pairs;

	/* the command that switched the pairs on has one to come */
	if (n > 1)
		vring_wait_call(net->ctrl, 0);
	for (unsigned int i = 0; i < n; i++) {
		parent_settle(net->p);
		for (unsigned int q = 0; q < net->queues; q++)
			if (net_ring(net, q))
				vring_calls(net_ring(net, q));
		/* one buffer, one interrupt: none is still on its way when the next queue's turn is
		 */
		offer(net, i, 1);
		vring_kick(net->tx[i]);
		t_expect(t, vring_wait_call(net->tx[i], 0), "tx%u must interrupt", i);
		while (net_has_peer(net) && net_wire(net, &got, 0))
			;
		parent_settle(net->p);
		for (unsigned int q = 0; q < net->queues; q++) {
			struct vring *r = net_ring(net, q);

			/* an echo comes back on a receive queue */
			if (!r || r == net->tx[i] || (!net_has_peer(net) && q % 2 == 0))
				continue;
			/* where the kernel has fewer vectors than queues it calls them all */
			if (net->p->caps & CAP_QUEUE_VECTOR)
				t_expect(t, !vring_calls(r), "a buffer of tx%u interrupted for %s",
					 i, net_queue_name(net, q));
			else if (vring_calls(r))
				t_note(t, "queues share an interrupt");
		}
		finish(net);
	}
	net_down(net);
}

/** struct own_call - an eventfd of the check's own, for a queue */
struct own_call {
	int fd;
	uint64_t calls;
};

static bool collect(void *arg)
{
	struct own_call *c = arg;
	uint64_t n;

	if (read(c->fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		c->calls += n;
	return c->calls != 0;
}

static bool either(void *arg)
{
	struct own_call *c = arg;
	const bool first = collect(&c[0]);

	return collect(&c[1]) || first;
}

static uint64_t calls(struct own_call *c)
{
	uint64_t n;

	collect(c);
	n = c->calls;
	c->calls = 0;
	return n;
}

static void make_calls(struct test *t, struct own_call c[2])
{
	for (unsigned int i = 0; i < 2; i++) {
		c[i] = (struct own_call){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
		if (c[i].fd < 0)
			t_broken(t, "no eventfd");
	}
}

CHECK(notify, call_exchanged, .requirements = "VDPA-VQ-020 OPS-VQ-010",
      .summary = "the call eventfd is exchanged under traffic: no interrupt is lost, none goes to "
		 "the old one afterwards",
      .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	struct vring *tx = net->tx[0];
	struct own_call c[2];

	make_calls(t, c);
	t_ok(t, parent_set_vq_call(net->p, 1, c[0].fd));
	for (unsigned int i = 0; i < 40; i++) {
		struct own_call *old = &c[i & 1], *now = &c[~i & 1];
		bool n;

		parent_settle(net->p);
		calls(old);
		calls(now);
		offer(net, 0, 1 + by_chance(t, 4));
		vring_kick(tx);
		frames_turns(net, i % 8);
		t_ok(t, parent_set_vq_call(net->p, 1, now->fd));
		finish(net);
		/* one of them; elsewhere an interrupt takes its time */
		n = parent_wait(net->p, either, c, NET_SOON);
		parent_settle(net->p);
		calls(old);
		calls(now);
		t_expect(t, n,
			 "round %u: buffers were used while the eventfd was exchanged, and "
			 "neither the old nor the new one was signalled",
			 i);
		offer(net, 0, 1);
		vring_kick(tx);
		t_expect(t, parent_wait(net->p, collect, now, NET_SOON),
			 "round %u: the new eventfd must be signalled for buffers used after the "
			 "exchange",
			 i);
		finish(net);
		parent_settle(net->p);
		t_expect(t, !calls(old),
			 "round %u: the old eventfd was signalled after it had been replaced", i);
	}
	net_down(net);
}

CHECK(notify, call_taken_away, .requirements = "VDPA-VQ-021 OPS-GEN-007",
      .summary = "without a call eventfd a queue works silently, and with one again it interrupts",
      .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	struct vring *tx = net->tx[0];

	for (unsigned int i = 0; i < 6; i++) {
		io_run(net, 10, NULL);
		parent_settle(net->p);
		vring_calls(tx);
		t_ok(t, parent_set_vq_call(net->p, 1, -1));
		io_run(net, 10, NULL);
		parent_settle(net->p);
		t_expect(t, !vring_calls(tx),
			 "the eventfd was signalled after it had been taken away");
		t_ok(t, parent_set_vq_call(net->p, 1, vring_call_fd(tx)));
		vring_call_enable(tx);
		parent_settle(net->p);
		vring_calls(tx);
		offer(net, 0, 1);
		vring_kick(tx);
		t_expect(t, vring_wait_call(tx, 0),
			 "with the eventfd given back a used buffer must interrupt");
		finish(net);
	}
	net_down(net);
}
