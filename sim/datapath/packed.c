/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packed rings (VIRTIO 2.8)
 *
 * How it works. Descriptors are read ahead in runs; what turns out to be available is parsed into
 * chains, what is not is forgotten and read again later. Only the head of a chain says that the
 * chain is there: a later descriptor of the same run may have been sampled too early, and is read
 * once more. Ring addresses: desc is the ring, driver and device are the event suppression
 * structures {off_wrap, flags} that each side writes.
 */
#include <errno.h>
#include <string.h>

#include "queue.h"

static void look_done(struct fab_op *op, int status);

static bool packed_start(struct dp_queue *q)
{
	q->look_op.done = look_done;
	q->fetch_off = q->pos->avail;
	q->fetch_wrap = q->pos->avail_wrap;
	if (q->fetch_off >= q->size || q->pos->used >= q->size) {
		dp_break(q, "a position outside the ring");
		return false;
	}
	return true;
}

static bool available(const struct dp_queue *q, uint16_t flags)
{
	return !!(flags & VN_DESC_F_AVAIL) == q->fetch_wrap &&
	       !!(flags & VN_DESC_F_USED) != q->fetch_wrap;
}

static void looked(struct dp_queue *q)
{
	q->ahead_first = 0;
	q->ahead_n = q->ahead_want;
}

static void look_done(struct fab_op *op, int status)
{
	struct dp_queue *q = container_of(op, struct dp_queue, look_op);

	if (!dp_done(q, status))
		return;
	looked(q);
	dp_schedule(q);
}

static bool look(struct dp_queue *q)
{
	struct fab_sg sg = {q->desc + 16u * q->fetch_off, 0};
	uint32_t n = (uint32_t)(q->size - q->fetch_off);

	if ((!q->look && !q->partial) || q->look_op.pending)
		return false;
	if (n > ARRAY_SIZE(q->ahead))
		n = ARRAY_SIZE(q->ahead);
	if (n > q->window + 1) /* no further than there will be room for, roughly */
		n = q->window + 1;
	q->look = false;
	sg.len = 16 * n;
	q->ahead_want = (uint16_t)n;
	if (!dp_issued(q, fab_read(q->fab, q->space, &sg, 1, q->ahead, &q->look_op)))
		return false;
	looked(q);
	return true;
}

static void step(struct dp_queue *q)
{
	q->ahead_first++;
	q->ahead_n--;
	if (++q->fetch_off == q->size) {
		q->fetch_off = 0;
		if (!defect_on(q->defects, DEFECT_PACKED_WRAP_STUCK))
			q->fetch_wrap = !q->fetch_wrap;
	}
}

static void descriptor(struct dp_queue *q, const struct vn_packed_desc *d)
{
	struct chain *c = q->partial;

	if (!c) {
		c = dp_chain_new(q);
		if (q->armed) {
			q->armed = false;
			if (dp_issued(q, q->format->suppress(q)))
				q->suppressed = true;
		}
	}
	q->partial = NULL;
	q->reread = false;
	q->look = true; /* until a look finds nothing */
	c->slots++;
	c->id = d->id;
	if (c->slots > q->size) {
		dp_break(q, "a descriptor chain is longer than the queue");
		return;
	}
	if (d->flags & VN_DESC_F_INDIRECT) {
		if (c->slots > 1 || d->flags & VN_DESC_F_NEXT)
			dp_break(q, "an indirect descriptor is part of a chain");
		else {
			c->indirect = d->flags & VN_DESC_F_WRITE;
			dp_chain_table(q, c, d->addr, d->len, true);
		}
		return;
	}
	if (!dp_chain_add(q, c, d->addr, d->len, d->flags & VN_DESC_F_WRITE))
		return;
	if (d->flags & VN_DESC_F_NEXT)
		q->partial = c;
	else
		c->state = CHAIN_READY;
}

static bool packed_fetch(struct dp_queue *q)
{
	bool progress = false;

	while (q->state == DP_RUNNING && (q->partial || dp_room(q))) {
		struct vn_packed_desc d;

		if (!q->ahead_n && !look(q))
			break;
		d = q->ahead[q->ahead_first];
		if (!available(q, d.flags) &&
		    !(defect_on(q->defects, DEFECT_PACKED_TRUSTS_RUN) && q->ahead_first)) {
			q->ahead_n = 0;
			if (!q->partial)
				continue; /* look again if there was anything before it */
			if (q->reread) {
				dp_break(q,
					 "a chain goes on in a descriptor that is not available");
				break;
			}
			q->reread = true;
			continue;
		}
		step(q);
		descriptor(q, &d);
		progress = true;
	}
	return progress;
}

struct used_tail { /* the upper half of a used descriptor */
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

static void write_used(struct dp_queue *q, const struct chain *c, uint16_t off, bool wrap)
{
	struct fab_sg sg = {q->desc + 16u * off + 8, 8};
	struct used_tail u = {c->written, c->id, wrap ? VN_DESC_F_AVAIL | VN_DESC_F_USED : 0};

	if (defect_on(q->defects, DEFECT_PACKED_USED_ID_WRONG))
		u.id++;
	if (defect_on(q->defects, DEFECT_USED_LEN_TOTAL))
		u.len = (uint32_t)(c->written + c->out_len);
	if (c->written && !defect_on(q->defects, DEFECT_PACKED_WRITE_FLAG_MISSING))
		u.flags |= VN_DESC_F_WRITE;
	dp_issued(q, fab_write(q->fab, q->space, &sg, 1, &u, NULL) < 0 ? -EFAULT : 1);
}

static void advance(const struct dp_queue *q, uint16_t *off, bool *wrap, uint16_t n)
{
	uint32_t to = (uint32_t)*off + n;

	if (to >= q->size) {
		to -= q->size;
		*wrap = !*wrap;
	}
	*off = (uint16_t)to;
}

/*
 * One packet: the driver goes by the first of its descriptors, so that one is written last and
 * the rest of the packet is there when it is seen.
 */
static void publish_packet(struct dp_queue *q, uint32_t first, uint32_t n)
{
	uint16_t off = q->pos->used;
	bool wrap = q->pos->used_wrap;

	for (uint32_t i = 0; i < n; i++) {
		const struct chain *c = dp_slot(q, first + i);
		uint16_t slots = c->slots;

		if (i || n == 1)
			write_used(q, c, off, wrap);
		if (defect_on(q->defects, DEFECT_PACKED_SKIP_ONE))
			slots = 1;
		advance(q, &off, &wrap, slots);
	}
	if (n > 1)
		write_used(q, dp_slot(q, first), q->pos->used, q->pos->used_wrap);
	q->pos->used = off;
	q->pos->used_wrap = wrap;
}

static void packed_publish(struct dp_queue *q, uint32_t n)
{
	uint32_t first = q->head;

	for (uint32_t i = q->head; i != q->head + n; i++) {
		const struct chain *c = dp_slot(q, i);

		advance(q, &q->pos->avail, &q->pos->avail_wrap, c->slots);
		if (c->more)
			continue;
		publish_packet(q, first, i + 1 - first);
		first = i + 1;
	}
}

static int packed_irq_read(struct dp_queue *q)
{
	struct fab_sg sg = {q->driver, 4};

	return fab_read(q->fab, q->space, &sg, 1, q->irq_raw, &q->irq_op);
}

static bool packed_irq_wanted(struct dp_queue *q)
{
	uint16_t off_wrap, flags, off;

	memcpy(&off_wrap, q->irq_raw, 2);
	memcpy(&flags, q->irq_raw + 2, 2);
	flags &= 3;
	if (flags == VN_EVENT_ENABLE)
		return !defect_on(q->defects, DEFECT_PACKED_ENABLE_IGNORED);
	if (flags == VN_EVENT_DISABLE)
		return false;
	if (!q->event_idx || defect_on(q->defects, DEFECT_PACKED_EVENT_IGNORED))
		return flags != VN_EVENT_DESC;
	/* Was the descriptor at (off, wrap) among the last irq_span that were reported? */
	off = off_wrap & 0x7fff;
	if (!!(off_wrap & 0x8000) != q->irq_wrap)
		off = (uint16_t)(off - q->size);
	return q->irq_span >= q->size || (uint16_t)(q->irq_new - off - 1) < (uint16_t)q->irq_span;
}

static int write_event(struct dp_queue *q, uint16_t off_wrap, uint16_t flags)
{
	struct fab_sg sg = {q->device, 4};
	uint16_t v[2] = {off_wrap, flags};
	int r = fab_write(q->fab, q->space, &sg, 1, v, NULL);

	if (defect_on(q->defects, DEFECT_PACKED_DRIVER_EVENT_WRITTEN)) {
		sg.iova = q->driver;
		fab_write(q->fab, q->space, &sg, 1, v, NULL);
	}
	return r < 0 ? r : 1;
}

static int packed_arm(struct dp_queue *q)
{
	if (!q->event_idx && !defect_on(q->defects, DEFECT_PACKED_EVENT_UNASKED))
		return write_event(q, 0, VN_EVENT_ENABLE);
	return write_event(q, (uint16_t)(q->fetch_off | (q->fetch_wrap ? 0x8000 : 0)),
			   VN_EVENT_DESC);
}

static int packed_suppress(struct dp_queue *q)
{
	return write_event(q, 0, VN_EVENT_DISABLE);
}

const struct dp_format dp_packed = {
	.start = packed_start,
	.fetch = packed_fetch,
	.publish = packed_publish,
	.irq_read = packed_irq_read,
	.irq_wanted = packed_irq_wanted,
	.arm = packed_arm,
	.suppress = packed_suppress,
};
