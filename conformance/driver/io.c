// SPDX-License-Identifier: BSD-3-Clause
/*
 * Traffic without saying what it is: numbered frames, of which none may be lost, doubled or damaged
 *
 * How it works. Every transmit queue is a flow, and so is the way in from the wire. io_submit()
 * only says how much there is to do; io_progress() takes in what has come and puts out as much as
 * there is room for. A frame from the wire that finds no buffer may rightly be dropped, so never
 * more of them are under way than the receive buffers hold.
 */
#include <errno.h>
#include <string.h>

#include "net_priv.h"

#define FRAME_LONGEST 1514u
#define FRAME_SHORT   60u
#define INBOUND_MAX   32u

static uint32_t random_below(struct net *net, uint32_t n)
{
	return (uint32_t)(t_random(net->t) % n);
}

static uint32_t under_way(const struct io_flow *f)
{
	return f->sent - f->seen - f->ahead;
}

static bool has_come(const struct io_flow *f, uint32_t seq)
{
	return f->came[seq % IO_AHEAD / 8] >> (seq % 8) & 1;
}

static void set_come(struct io_flow *f, uint32_t seq, bool come)
{
	const uint8_t bit = (uint8_t)(1u << (seq % 8));

	if (come)
		f->came[seq % IO_AHEAD / 8] |= bit;
	else
		f->came[seq % IO_AHEAD / 8] &= (uint8_t)~bit;
}

static bool echo(const struct net *net)
{
	return net->p->peer == PEER_ECHO;
}

/* ---- Coming
 * ---------------------------------------------------------------------------------------- */

static const char *flow_name(unsigned int flow)
{
	return flow < IO_FROM_WIRE ? "sent by the driver" : "from the wire";
}

static bool may_be_lost(const struct io_flow *f, uint32_t seq)
{
	return (int32_t)(seq - f->loss_from) >= 0 && (int32_t)(seq - f->loss_to) < 0;
}

/* allow_loss() - the next frame of the flow may be lost; ranges that are not yet over grow together
 */
static void allow_loss(struct io_flow *f)
{
	if (f->loss_from == f->loss_to || (int32_t)(f->seen - f->loss_to) >= 0)
		f->loss_from = f->sent;
	f->loss_to = f->sent + 1;
}

/* pass() - the lowest missing number is no more: it came, or it is lost */
static void pass(struct io_flow *f)
{
	f->seen++;
	while (f->ahead && has_come(f, f->seen)) {
		set_come(f, f->seen, false);
		f->ahead--;
		f->seen++;
	}
}

/*
 * judge_place() - a number comes once, and in its queue after all lower ones
 *
 * Different receive queues overtake each other; with a single one, a gap is a loss at once.
 */
static void judge_place(struct net *net, struct io_flow *f, unsigned int flow, uint32_t seq,
			unsigned int queue, const char *where)
{
	if ((int32_t)(seq - f->seen) < 0 || (int32_t)(seq - f->sent) >= 0 || has_come(f, seq))
		t_fail(net->t, "frame %u (flow %u, %s) was %s twice, or after it was given up", seq,
		       flow, flow_name(flow), where);
	if ((int32_t)(seq - f->next[queue]) < 0)
		t_fail(net->t,
		       "frame %u (flow %u, %s) was %s after frame %u: a flow must keep its order in a "
		       "queue",
		       seq, flow, flow_name(flow), where, f->next[queue] - 1);
	f->next[queue] = seq + 1;
	while (net->pairs == 1 && f->seen != seq) {
		if (!may_be_lost(f, f->seen))
			t_fail(net->t,
			       "frame %u (flow %u, %s) was %s before frame %u, which is lost or late",
			       seq, flow, flow_name(flow), where, f->seen);
		f->lost++;
		pass(f);
	}
	if (f->seen == seq) {
		pass(f);
		return;
	}
	if (seq - f->seen >= IO_AHEAD)
		t_fail(net->t, "frame %u (flow %u, %s) never came", f->seen, flow, flow_name(flow));
	set_come(f, seq, true);
	f->ahead++;
}

/* came() - judge a frame that arrived at the driver (@received) or at the wire */
static void came(struct net *net, const struct net_frame *frame, bool received)
{
	struct net_io *io = &net->priv->io;
	const char *where = received ? "received" : "seen on the wire";
	unsigned int flow = 0;
	const char *why;
	uint32_t seq = 0;

	/* A real wire has neighbours: their frames are none of our business. */
	if (!net_frame_ours(frame)) {
		if (net->p->caps & CAP_EXACT_SETTLE)
			t_fail(net->t, "a frame of %u bytes was %s that nobody sent", frame->len,
			       where);
		return;
	}
	if (!net_frame_parse(frame, &flow, &seq, &why))
		t_fail(net->t, "a frame of %u bytes was %s, but %s (flow %u, number %u)",
		       frame->len, where, why, flow, seq);
	/* flows from there on are the check's own, and may come late, even after a reset */
	if (flow >= IO_FLOWS)
		return;
	if ((received && !echo(net)) != (flow >= IO_FROM_WIRE))
		t_fail(net->t, "a frame of flow %u, number %u was %s, where it does not belong",
		       flow, seq, where);
	judge_place(net, &io->flows[flow], flow, seq, received ? frame->pair : 0, where);
}

static void take_in(struct net *net)
{
	struct net_io *io = &net->priv->io;

	for (unsigned int i = 0; i < net->pairs; i++)
		if (net->tx[i])
			net_reap(net, i);
	while (net_recv_now(net, &io->in))
		came(net, &io->in, true);
	while (net_has_peer(net) && net_wire_now(net, &io->in))
		came(net, &io->in, false);
}

/* ---- Going
 * ------------------------------------------------------------------------------------------ */

static uint32_t frame_len(struct net *net)
{
	const uint32_t len = net->priv->io.opts.len;

	return len ? len : FRAME_SHORT + random_below(net, FRAME_LONGEST - FRAME_SHORT + 1);
}

/* inbound_room() - frames that may still be on their way to the receive queues */
static unsigned int inbound_room(const struct net *net)
{
	const struct net_io *io = &net->priv->io;
	const struct net_rx *rx = &net->priv->rx[0];
	const uint32_t len = io->opts.len ? io->opts.len : FRAME_LONGEST;
	uint32_t out = 0, room;

	for (unsigned int i = 0; i < IO_FLOWS; i++)
		if (echo(net) || i >= IO_FROM_WIRE)
			out += under_way(&io->flows[i]);
	if (!rx->size)
		return 0;
	room = rx->posted / ((len + net->hdr_len + rx->size - 1) / rx->size);
	/* one queue's worth: steering is the device's, so all may go to one */
	if (room > INBOUND_MAX)
		room = INBOUND_MAX;
	return room > out ? room - out : 0;
}

static unsigned int send_flags(struct net *net)
{
	const struct net_io *io = &net->priv->io;
	unsigned int flags = io->opts.flags | NET_SEND_NO_PUBLISH;

	if (net->features & VC_BIT(VC_F_INDIRECT_DESC) && random_below(net, 2))
		flags |= NET_SEND_INDIRECT;
	if (!random_below(net, 4))
		flags |= NET_SEND_HDR_APART;
	return flags;
}

/* send_batch() - a few frames on one queue, published and kicked together; false: no room */
static bool send_batch(struct net *net)
{
	struct net_io *io = &net->priv->io;
	const unsigned int pair = io->opts.pair ? io->opts.pair - 1 : io->turn++ % net->pairs;
	unsigned int batch = io->opts.batch ? io->opts.batch : 1 + random_below(net, 8);
	unsigned int n;

	if (echo(net) && batch > inbound_room(net))
		batch = inbound_room(net);
	for (n = 0; n < batch && io->to_send; n++) {
		struct io_flow *f = &io->flows[pair];

		net_frame_make(net, &io->out, pair, f->sent, frame_len(net));
		if (net_send(net, pair, &io->out, 1 + random_below(net, 3), send_flags(net)))
			break;
		if (io->loss_ok && echo(net))
			allow_loss(f);
		f->sent++;
		io->to_send--;
	}
	if (!n)
		return false;
	if (io->opts.flags & NET_SEND_NO_PUBLISH)
		return true;
	vring_publish(net->tx[pair], 0);
	if (!(io->opts.flags & NET_SEND_NO_KICK))
		vring_kick(net->tx[pair]);
	return true;
}

static bool inject_one(struct net *net)
{
	struct net_io *io = &net->priv->io;
	struct io_flow *f = &io->flows[IO_FROM_WIRE];

	if (!inbound_room(net))
		return false;
	net_frame_make(net, &io->out, IO_FROM_WIRE, f->sent, frame_len(net));
	if (net_inject(net, &io->out))
		return false;
	if (io->loss_ok)
		allow_loss(f);
	f->sent++;
	io->to_inject--;
	return true;
}

static void put_out(struct net *net)
{
	struct net_io *io = &net->priv->io;

	/* a queue that is full does not hold up the others */
	for (unsigned int full = 0; io->to_send && full < net->pairs;)
		full = send_batch(net) ? 0 : full + 1;
	while (io->to_inject && inject_one(net))
		;
}

/* ---- Whole
 * -------------------------------------------------------------------------------------------- */

void io_submit(struct net *net, unsigned int n, const struct io_options *opts)
{
	struct net_io *io = &net->priv->io;

	if (net->p->peer == PEER_NONE)
		t_skip(net->t, SKIP_PEER, "nothing is known of what stands on the wire");
	io->opts = opts ? *opts : (struct io_options){0};
	if (!io->opts.rx_only || echo(net))
		io->to_send += n;
	if (!io->opts.tx_only && !echo(net))
		io->to_inject += n;
	put_out(net);
}

static unsigned int left(struct net *net)
{
	const struct net_io *io = &net->priv->io;
	unsigned int n = io->to_send + io->to_inject;

	for (unsigned int i = 0; i < IO_FLOWS; i++)
		n += under_way(&io->flows[i]);
	for (unsigned int i = 0; i < net->pairs; i++)
		n += net->tx[i] ? vring_outstanding(net->tx[i]) : 0;
	return n;
}

unsigned int io_progress(struct net *net)
{
	take_in(net);
	if (net->priv->io.to_send || net->priv->io.to_inject)
		put_out(net);
	return left(net);
}

struct io_wait {
	struct net *net;
	unsigned int before;
};

static bool moved(void *arg)
{
	struct io_wait *w = arg;

	return io_progress(w->net) != w->before;
}

/* give_up_lost() - count what may be lost and did not come as lost; true if that was something */
static bool give_up_lost(struct net *net)
{
	bool some = false;

	for (unsigned int i = 0; i < IO_FLOWS; i++) {
		struct io_flow *f = &net->priv->io.flows[i];

		while (under_way(f) && may_be_lost(f, f->seen)) {
			pass(f);
			f->lost++;
			some = true;
		}
	}
	return some;
}

/*
 * chase() - where all that is left may be lost, send one more frame of each such flow
 *
 * With a single receive queue a flow keeps its order, so what has not come when that frame comes is
 * lost: that takes a round trip, and not as long as a check would wait for a frame. In-process
 * nothing is ever late.
 */
static void chase(struct net *net)
{
	struct net_io *io = &net->priv->io;
	const bool loss_ok = io->loss_ok;
	const unsigned int pair = io->opts.pair;

	if (net->p->caps & CAP_EXACT_SETTLE || net->pairs != 1 || io->to_send || io->to_inject ||
	    vring_outstanding(net->tx[0]))
		return;
	for (unsigned int i = 0; i < IO_FLOWS; i++) {
		const struct io_flow *f = &io->flows[i];

		if (under_way(f) && !may_be_lost(f, f->sent - 1))
			return;
	}
	io->loss_ok = false;
	io->opts.pair = 1;
	for (unsigned int i = 0; i < IO_FLOWS; i++) {
		if (!under_way(&io->flows[i]))
			continue;
		if (i < IO_FROM_WIRE)
			io->to_send = 1;
		else
			io->to_inject = 1;
		put_out(net);
	}
	io->loss_ok = loss_ok;
	io->opts.pair = pair;
}

void io_wait(struct net *net)
{
	struct net_io *io = &net->priv->io;
	struct io_wait w = {.net = net};

	while ((w.before = io_progress(net)) != 0) {
		chase(net);
		if (parent_wait(net->p, moved, &w, NET_SOON))
			continue;
		if (net->p->dead)
			t_fail(net->t, "the parent died with %u requests under way", w.before);
		if (give_up_lost(net))
			continue;
		for (unsigned int i = 0; i < net->pairs; i++)
			t_expect(net->t, !vring_outstanding(net->tx[i]),
				 "tx%u: %u buffers were never used by the device", i,
				 vring_outstanding(net->tx[i]));
		for (unsigned int i = 0; i < IO_FLOWS; i++)
			t_expect(net->t, !under_way(&io->flows[i]),
				 "%u frames of flow %u (%s) never came, from number %u on",
				 under_way(&io->flows[i]), i, flow_name(i), io->flows[i].seen);
		t_fail(net->t, "%u frames could not be sent: there is no room for them",
		       io->to_send + io->to_inject);
	}
}

void io_run(struct net *net, unsigned int n, const struct io_options *opts)
{
	io_submit(net, n, opts);
	io_wait(net);
}

void io_loss_ok(struct net *net, bool ok)
{
	net->priv->io.loss_ok = ok;
}
