/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 8u /* of a window each, before others get their turn */

static void dp_run(struct fab_op *op, int status);
static void irq_read_done(struct fab_op *op, int status);
static void drain_done(struct fab_op *op, int status);
static void irq_timer_done(struct fab_op *op, int status);
static void irq_check(struct dp_queue *q);

struct chain *dp_slot(struct dp_queue *q, uint32_t i)
{
	return &q->chains[i & (q->chains_cap - 1u)];
}

int dp_queue_init(struct dp_queue *q, uint16_t size_max)
{
	uint32_t cap = 1;

	while (cap < size_max)
		cap <<= 1;
	q->chains_cap = (uint16_t)cap;
	q->chains = calloc(cap, sizeof(*q->chains));
	if (!q->chains)
		return -ENOMEM;
	for (uint32_t i = 0; i < cap; i++)
		q->chains[i].q = q;
	q->event.done = dp_run;
	q->irq_op.done = irq_read_done;
	q->irq_timer.done = irq_timer_done;
	q->drain_op.done = drain_done;
	return 0;
}

/* ---- Buffers --------------------------------------------------------------------------------- */

static void chain_free(struct dp_queue *q, struct chain *c)
{
	free(c->table);
	c->table = NULL;
	if (c->segs && c->segs->cap == SEGS_INLINE) {
		c->segs->next = q->segs_pool;
		q->segs_pool = c->segs;
	} else {
		free(c->segs);
	}
	c->segs = NULL;
}

static struct segs *segs_new(struct dp_queue *q, unsigned int cap)
{
	struct segs *s = q->segs_pool;

	if (s && cap == SEGS_INLINE) {
		q->segs_pool = s->next;
		return s;
	}
	s = malloc(sizeof(*s) + cap * sizeof(s->sg[0]));
	if (s)
		s->cap = cap;
	return s;
}

void dp_queue_fini(struct dp_queue *q)
{
	if (!q->chains)
		return;
	for (uint32_t i = 0; i < q->chains_cap; i++)
		chain_free(q, &q->chains[i]);
	while (q->segs_pool) {
		struct segs *s = q->segs_pool;

		q->segs_pool = s->next;
		free(s);
	}
	free(q->chains);
	q->chains = NULL;
}

bool dp_room(const struct dp_queue *q)
{
	uint32_t ahead = q->fetched - (q->rx ? q->taken : q->head);

	return ahead < q->window && q->fetched - q->head < q->size;
}

struct chain *dp_chain_new(struct dp_queue *q)
{
	struct chain *c = dp_slot(q, q->fetched++);

	c->out_len = 0;
	c->in_len = 0;
	c->nout = 0;
	c->nin = 0;
	c->seen = 0;
	c->slots = 0;
	c->written = 0;
	c->more = false;
	c->indirect = false;
	c->state = CHAIN_FETCHING;
	q->idle_due = false;
	q->counters->descriptors++;
	return c;
}

bool dp_chain_add(struct dp_queue *q, struct chain *c, uint64_t addr, uint32_t len, bool write)
{
	unsigned int n = c->nout + c->nin;

	if (defect_on(q->defects, DEFECT_DMA_ADDRESS_32BIT))
		addr &= UINT32_MAX;
	if (c->indirect && defect_on(q->defects, DEFECT_INDIRECT_WRITE_HONOURED))
		write = true;
	if (c->nin && !write) {
		dp_break(q, "a device-readable descriptor follows a device-writable one");
		return false;
	}
	if (!c->segs) {
		c->segs = segs_new(q, SEGS_INLINE);
		if (!c->segs)
			goto no_memory;
	} else if (n == c->segs->cap) {
		struct segs *more = segs_new(q, n * 4);

		if (!more)
			goto no_memory;
		memcpy(more->sg, c->segs->sg, n * sizeof(more->sg[0]));
		if (c->segs->cap == SEGS_INLINE) {
			c->segs->next = q->segs_pool;
			q->segs_pool = c->segs;
		} else {
			free(c->segs);
		}
		c->segs = more;
	}
	if (write) {
		c->nin++;
		c->in_len += len;
	} else {
		c->nout++;
		c->out_len += len;
	}
	c->segs->sg[n].iova = addr;
	c->segs->sg[n].len = len;
	return true;

no_memory:
	dp_break(q, "out of memory");
	return false;
}

/* The whole table is here: walk it. A split table is linked, a packed one is in order. */
static void table_walk(struct dp_queue *q, struct chain *c)
{
	bool packed = q->format == &dp_packed;
	uint32_t n = c->desc.len / 16, i = 0;

	for (uint32_t seen = 0;; seen++) {
		const struct vn_desc *d = &c->table[i];
		uint16_t flags = packed ? d->next : d->flags; /* packed: flags lie last */

		if (seen >= n) {
			dp_break(q, "an indirect table loops");
			return;
		}
		if (!packed && flags & VN_DESC_F_INDIRECT) {
			dp_break(q, "an indirect table points to another");
			return;
		}
		q->counters->descriptors++;
		if (!dp_chain_add(q, c, d->addr, d->len, flags & VN_DESC_F_WRITE))
			return;
		if (defect_on(q->defects, DEFECT_INDIRECT_AT_MOST_16) && seen == 15)
			break;
		if (packed) {
			if (defect_on(q->defects, DEFECT_PACKED_TABLE_NEEDS_NEXT) &&
			    !(flags & VN_DESC_F_NEXT))
				break;
			if (++i == n)
				break;
		} else {
			if (!(flags & VN_DESC_F_NEXT))
				break;
			i = d->next;
			if (i >= n) {
				dp_break(q, "a descriptor's next lies outside its indirect table");
				return;
			}
		}
	}
	c->state = CHAIN_READY;
}

static void table_done(struct fab_op *op, int status)
{
	struct chain *c = container_of(op, struct chain, op);

	if (!dp_done(c->q, status))
		return;
	if (c->q->state == DP_RUNNING)
		table_walk(c->q, c);
	dp_schedule(c->q);
}

void dp_chain_table(struct dp_queue *q, struct chain *c, uint64_t addr, uint32_t len, bool packed)
{
	struct fab_sg sg = {addr, len};

	(void)packed;
	if (!q->indirect_ok) {
		dp_break(q,
			 "an indirect descriptor, but VIRTIO_F_INDIRECT_DESC was not negotiated");
		return;
	}
	if (!len || len % 16 || len / 16 > SEGS_MAX) {
		dp_break(q, "an indirect table whose length is not 1 to 1024 descriptors");
		return;
	}
	c->table = malloc(len);
	if (!c->table) {
		dp_break(q, "out of memory");
		return;
	}
	c->desc.len = len;
	c->op.done = table_done;
	if (dp_issued(q, fab_read(q->fab, q->space, &sg, 1, c->table, &c->op)))
		table_walk(q, c);
}

/* ---- Accounting of accesses ------------------------------------------------------------------ */

bool dp_issued(struct dp_queue *q, int result)
{
	if (likely(result > 0))
		return true;
	if (result == 0)
		q->ops++;
	else
		dp_break(q, "memory that is not mapped for this access");
	return false;
}

bool dp_done(struct dp_queue *q, int status)
{
	q->ops--;
	if (!dp_alive(q) && q->state != DP_LOADING) {
		if (q->state == DP_ABORTING)
			dp_schedule(q);
		return false;
	}
	if (status == -ECANCELED) /* whoever revoked the fabric says what follows */
		return false;
	if (status < 0) {
		dp_break(q, "memory that is not mapped for this access");
		return false;
	}
	return true;
}

void dp_schedule(struct dp_queue *q)
{
	fab_soon(q->fab, &q->event);
}

void dp_break(struct dp_queue *q, const char *why)
{
	if (!dp_alive(q) && q->state != DP_LOADING)
		return;
	q->state = DP_BROKEN;
	q->up->broken(q->up_ctx, q->index, why);
}

/* ---- Roles ----------------------------------------------------------------------------------- */

struct chain *dp_take(struct dp_queue *q)
{
	struct chain *c;

	if (q->taken == q->fetched || q->state != DP_RUNNING)
		return NULL;
	c = dp_slot(q, q->taken);
	if (c->state != CHAIN_READY)
		return NULL;
	c->state = CHAIN_TAKEN;
	q->taken++;
	return c;
}

void dp_untake(struct dp_queue *q, unsigned int n)
{
	while (n--)
		dp_slot(q, --q->taken)->state = CHAIN_READY;
}

void dp_complete(struct dp_queue *q, struct chain *c, uint32_t written)
{
	c->written = written;
	c->state = CHAIN_DONE;
	(void)q;
}

/* ---- Retiring and interrupts ----------------------------------------------------------------- */

static void irq_decide(struct dp_queue *q)
{
	struct fab_irq irq;

	if (q->format->irq_wanted(q) && q->up->irq(q->up_ctx, q->index, &irq)) {
		q->counters->interrupts++;
		q->irq_next = fab_now(q->fab) + q->irq_interval;
		dp_issued(q, fab_irq(q->fab, q->space, &irq) < 0 ? -EFAULT : 1);
	}
}

/*
 * Moderation puts off the look at what the driver wants, not the interrupt: a driver that has
 * turned to polling meanwhile is left alone, and one that came back from it finds its buffers
 * counted.
 */
static void irq_check(struct dp_queue *q)
{
	if (fab_now(q->fab) < q->irq_next && q->state != DP_STOPPING) {
		if (!q->irq_timer.slot)
			fab_timer(q->fab, q->irq_next, &q->irq_timer);
		return;
	}
	if (q->irq_op.pending) {
		q->irq_again = true;
		return;
	}
	do {
		q->irq_again = false;
		q->irq_span = q->irq_since;
		q->irq_since = 0;
		q->irq_new = q->pos->used;
		q->irq_wrap = q->pos->used_wrap;
		if (!dp_issued(q, q->format->irq_read(q))) {
			q->irq_op.pending = dp_alive(q);
			return;
		}
		irq_decide(q);
	} while (q->irq_again);
}

static void irq_timer_done(struct fab_op *op, int status)
{
	struct dp_queue *q = container_of(op, struct dp_queue, irq_timer);

	(void)status;
	if (dp_alive(q) && q->irq_since)
		irq_check(q);
}

static void irq_read_done(struct fab_op *op, int status)
{
	struct dp_queue *q = container_of(op, struct dp_queue, irq_op);

	if (!dp_done(q, status))
		return;
	irq_decide(q);
	if (q->irq_again)
		irq_check(q);
	dp_schedule(q);
}

/* Report the oldest buffers that are complete, whole packets only. */
static bool retire(struct dp_queue *q)
{
	uint32_t n = 0, whole = 0;

	while (q->head + n != q->taken) {
		struct chain *c = dp_slot(q, q->head + n);

		if (c->state != CHAIN_DONE)
			break;
		n++;
		if (!c->more)
			whole = n;
	}
	if (defect_on(q->defects, DEFECT_MERGED_NOT_TOGETHER) && n) {
		/* one buffer at a time, the rest in a later event */
		whole = 1;
		dp_slot(q, q->head)->more = false;
		dp_schedule(q);
	}
	if (!whole)
		return false;
	if (defect_on(q->defects, DEFECT_USED_IDX_BEFORE_ELEM) && q->format == &dp_split &&
	    !q->seeded_late) {
		uint16_t used = (uint16_t)(q->pos->used + whole);
		struct fab_sg sg = {q->device + 2, 2};

		q->seeded_early = true; /* the entries follow in a later event */
		fab_write(q->fab, q->space, &sg, 1, &used, NULL);
		dp_schedule(q);
		return false;
	}
	q->seeded_late = false;
	q->format->publish(q, whole);
	for (uint32_t i = 0; i < whole; i++) {
		struct chain *c = dp_slot(q, q->head + i);

		q->irq_since += q->format == &dp_packed ? c->slots : 1;
		chain_free(q, c);
	}
	q->head += whole;
	if (dp_alive(q))
		irq_check(q);
	return !defect_on(q->defects, DEFECT_MERGED_NOT_TOGETHER);
}

/* ---- Running --------------------------------------------------------------------------------- */

static void rest(struct dp_queue *q)
{
	if (q->look || q->look_op.pending || q->heads_op.pending || q->armed)
		return;
	if (!q->role->wants_kick(q)) {
		if (!q->suppressed && dp_issued(q, q->format->suppress(q)))
			q->suppressed = true;
		return;
	}
	if (q->live && !q->idle_due) {
		q->polling = true;
		return;
	}
	q->idle_due = false;
	if (defect_on(q->defects, DEFECT_ARM_WITHOUT_RECHECK) && !q->seeded_arming) {
		/* the last look and the arming lie apart */
		q->seeded_arming = true;
		dp_schedule(q);
		return;
	}
	q->seeded_arming = false;
	if (!dp_issued(q, q->format->arm(q)))
		return;
	q->armed = true;
	q->suppressed = false;
	if (defect_on(q->defects, DEFECT_ARM_WITHOUT_RECHECK))
		return;
	/* What was offered while kicks were off is seen by one more look. */
	q->look = true;
	dp_schedule(q);
}

static void forget_fetched(struct dp_queue *q)
{
	for (uint32_t i = q->head; i != q->fetched; i++)
		chain_free(q, dp_slot(q, i));
	q->fetched = q->head;
	q->taken = q->head;
	q->partial = NULL;
	q->ahead_n = 0;
	q->heads_n = 0;
}

static void settle_stopped(struct dp_queue *q)
{
	forget_fetched(q);
	q->state = DP_STOPPED;
	q->up->stopped(q->up_ctx, q->index);
}

static void drain_done(struct fab_op *op, int status)
{
	struct dp_queue *q = container_of(op, struct dp_queue, drain_op);

	q->ops--;
	q->draining = false;
	if (status == -ECANCELED || (q->state != DP_STOPPING && q->state != DP_ABORTING))
		return;
	q->drained = true;
	dp_schedule(q);
}

/* All accesses have ended; wait until what was posted is visible, then it is stopped. */
static void finish_stop(struct dp_queue *q)
{
	if (q->ops || (q->state == DP_STOPPING && q->role->inflight(q)))
		return;
	if (q->irq_timer.slot) {
		/* An interrupt that was put off comes before the stop is complete. */
		fab_timer_cancel(q->fab, &q->irq_timer);
		if (q->state == DP_STOPPING) {
			irq_check(q);
			if (q->ops || q->state != DP_STOPPING)
				return;
		}
	}
	if (q->state == DP_ABORTING)
		q->role->kill(q);
	if (!q->drained && !q->draining) {
		int r = fab_write(q->fab, q->space, NULL, 0, NULL, &q->drain_op);

		if (r == 0) {
			q->ops++;
			q->draining = true;
			return;
		}
	}
	settle_stopped(q);
}

static void dp_run(struct fab_op *op, int status)
{
	struct dp_queue *q = container_of(op, struct dp_queue, event);
	unsigned int rounds = ROUNDS;
	bool progress = false;

	(void)status;
	q->seeded_late = q->seeded_early;
	q->seeded_early = false;
	if (dp_alive(q)) {
		do {
			progress = false;
			if (q->state == DP_RUNNING)
				progress = q->format->fetch(q);
			if (dp_alive(q))
				progress |= q->role->work(q, q->window);
			if (dp_alive(q))
				progress |= retire(q);
		} while (progress && dp_alive(q) && --rounds);
	}
	if (q->state == DP_RUNNING) {
		if (progress)
			dp_schedule(q);
		else
			rest(q);
		if (q->seeded_stop) {
			q->seeded_stop = false;
			dp_stop(q);
		}
	} else if (q->state == DP_STOPPING || q->state == DP_ABORTING) {
		finish_stop(q);
	}
}

void dp_loaded(struct dp_queue *q)
{
	if (q->state == DP_LOADING)
		q->state = DP_RUNNING;
	dp_schedule(q);
}

void dp_start(struct dp_queue *q, const struct dp_params *params)
{
	if (q->state != DP_STOPPED)
		return;
	q->format = params->packed ? &dp_packed : &dp_split;
	q->size = params->size;
	q->desc = params->desc;
	q->driver = params->driver;
	q->device = params->device;
	q->event_idx = params->event_idx;
	q->indirect_ok = params->indirect;
	q->live = params->live;
	q->head = 0;
	q->taken = 0;
	q->fetched = 0;
	q->look = true;
	q->armed = false;
	q->polling = false;
	q->idle_due = false;
	q->suppressed = false;
	q->drained = false;
	q->draining = false;
	q->irq_since = 0;
	q->irq_next = 0;
	q->irq_again = false;
	q->irq_op.pending = false;
	q->look_op.pending = false;
	q->heads_op.pending = false;
	q->partial = NULL;
	q->reread = false;
	q->ahead_n = 0;
	q->heads_n = 0;
	q->seeded_early = q->seeded_late = q->seeded_arming = false;
	q->seeded_stop = q->seeded_kicked = false;
	if (params->packed && defect_on(q->defects, DEFECT_PACKED_SIZE_ROUNDED))
		while (q->size & (q->size - 1))
			q->size &= (uint16_t)(q->size - 1);
	q->state = DP_LOADING;
	if (q->format->start(q))
		dp_loaded(q);
}

void dp_stop(struct dp_queue *q)
{
	if (q->state != DP_RUNNING && q->state != DP_LOADING)
		return;
	q->state = DP_STOPPING;
	q->drained = false;
	q->role->quiesce(q);
	dp_schedule(q);
}

void dp_abort(struct dp_queue *q)
{
	if (q->state == DP_STOPPED)
		return;
	q->state = DP_ABORTING;
	q->drained = false;
	/* Without anything under way it is over at once: the driver reads status back next. */
	if (!q->ops)
		finish_stop(q);
}

void dp_kill(struct dp_queue *q)
{
	fab_timer_cancel(q->fab, &q->event);
	fab_timer_cancel(q->fab, &q->irq_timer);
	q->ops = 0;
	q->role->kill(q);
	forget_fetched(q);
	q->state = DP_STOPPED;
}

void dp_look(struct dp_queue *q)
{
	if (q->state != DP_RUNNING)
		return;
	q->look = true;
	dp_schedule(q);
}

void dp_idle(struct dp_queue *q)
{
	if (!q->polling)
		return;
	q->polling = false;
	if (q->state != DP_RUNNING)
		return;
	/* Not here: a look may be under way, and what it finds lies behind the event to be armed.
	 */
	q->idle_due = true;
	dp_schedule(q);
}
