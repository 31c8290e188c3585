/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One frame at a time: for checks that want to know of each frame what became of it
 *
 * How it works. What io_run() does for traffic in general these do for a frame of the check's own:
 * send it, wait for it on the other side, compare every byte. A frame that does not come, or comes
 * different, fails the check.
 */
#ifndef VC_CHECKS_FRAMES_H
#define VC_CHECKS_FRAMES_H

#include <endian.h>
#include <string.h>

#include "../driver/net.h"

/** frames_same() - @got must be @want, byte for byte */
static inline void frames_same(struct net *net, const struct net_frame *want,
			       const struct net_frame *got, const char *where)
{
	uint32_t at = 0;

	t_expect(net->t, got->len == want->len,
		 "a frame of %u bytes must be %s whole, it is %u bytes long", want->len, where,
		 got->len);
	while (at < want->len && want->data[at] == got->data[at])
		at++;
	t_expect(net->t, at == want->len,
		 "a frame of %u bytes must be %s as it was sent; byte %u is 0x%02x, not 0x%02x",
		 want->len, where, at, got->data[at], want->data[at]);
}

/** frame_out() - the driver sends @f on @pair; it must reach the wire as it is */
static inline void frame_out(struct net *net, unsigned int pair, const struct net_frame *f,
			     unsigned int pieces, unsigned int flags)
{
	static struct net_frame got;
	int err = net_send(net, pair, f, pieces, flags);

	if (err)
		t_broken(net->t, "a bug of this check: no room for a frame in %u pieces", pieces);
	t_expect(net->t, net_wire(net, &got, NET_SOON),
		 "a frame of %u bytes in %u pieces on tx%u must reach the wire, it did not", f->len,
		 pieces ? pieces : 1, pair);
	frames_same(net, f, &got, "sent");
	net_drain(net);
}

/** frame_in() - @f comes from the wire; it must be received as it is; gives what was received */
static inline struct net_frame *frame_in(struct net *net, const struct net_frame *f)
{
	static struct net_frame got;
	int err = net_inject(net, f);

	t_expect(net->t, err == 0, "a frame of %u bytes must be taken from the wire, error %d",
		 f->len, err);
	t_expect(net->t, net_recv(net, &got, NET_SOON),
		 "a frame of %u bytes from the wire must be received, it was not", f->len);
	frames_same(net, f, &got, "received");
	net_drain(net);
	return &got;
}

/** frames_pairs() - queue pairs that the device has, at most NET_PAIRS_MAX; 1 without MQ */
static inline unsigned int frames_pairs(struct test *t)
{
	uint16_t le = 0;

	if (!t_has_feature(t, VC_NET_F_MQ) || !t_has_feature(t, VC_NET_F_CTRL_VQ))
		return 1;
	t_ok(t, parent_get_config(t_parent(t), VC_NET_CFG_PAIRS, &le, sizeof(le)));
	le = le16toh(le);
	return le > NET_PAIRS_MAX ? NET_PAIRS_MAX : le;
}

/** struct frames_turns - @left: turns that are still to be waited */
struct frames_turns {
	unsigned int left;
};

static inline bool frames_turn(void *arg)
{
	struct frames_turns *w = arg;

	return !w->left--;
}

/**
 * frames_turns() - let the device go on for @n turns, no longer
 *
 * In-process a turn is one event of the device, elsewhere a look at the clock: a check that does
 * something after a number of turns taken by chance does it at all the moments that there are.
 */
static inline void frames_turns(struct net *net, unsigned int n)
{
	struct frames_turns w = {n};

	parent_wait(net->p, frames_turn, &w, 10);
}

#endif
