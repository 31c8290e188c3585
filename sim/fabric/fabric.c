/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event queue that every fabric shares
 *
 * How it works. What is due now waits in a list, first in first out; what is due later in a binary
 * heap ordered by (time, order of queueing), so that two runs with the same input run the same
 * events in the same order.
 */
#include "fabric.h"

#include <errno.h>
#include <stdlib.h>

#define IN_READY UINT32_MAX

int fabric_init(struct fabric *fab, const struct fabric_ops *ops)
{
	fab->ops = ops;
	fab->ready = NULL;
	fab->ready_tail = &fab->ready;
	fab->heap_cap = 64;
	fab->heap = calloc(fab->heap_cap, sizeof(*fab->heap));
	return fab->heap ? 0 : -ENOMEM;
}

void fabric_fini(struct fabric *fab)
{
	free(fab->heap);
}

static bool earlier(const struct fab_op *a, const struct fab_op *b)
{
	return a->when != b->when ? a->when < b->when : a->seq < b->seq;
}

static void place(struct fabric *fab, unsigned int i, struct fab_op *op)
{
	fab->heap[i] = op;
	op->slot = i + 1;
}

static void sift_up(struct fabric *fab, unsigned int i, struct fab_op *op)
{
	while (i && earlier(op, fab->heap[(i - 1) / 2])) {
		place(fab, i, fab->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(fab, i, op);
}

static void sift_down(struct fabric *fab, unsigned int i, struct fab_op *op)
{
	for (;;) {
		unsigned int child = 2 * i + 1;

		if (child >= fab->heap_len)
			break;
		if (child + 1 < fab->heap_len && earlier(fab->heap[child + 1], fab->heap[child]))
			child++;
		if (!earlier(fab->heap[child], op))
			break;
		place(fab, i, fab->heap[child]);
		i = child;
	}
	place(fab, i, op);
}

static void heap_remove(struct fabric *fab, unsigned int i)
{
	struct fab_op *last = fab->heap[--fab->heap_len];

	fab->heap[fab->heap_len] = NULL;
	if (i == fab->heap_len)
		return;
	if (i && earlier(last, fab->heap[(i - 1) / 2]))
		sift_up(fab, i, last);
	else
		sift_down(fab, i, last);
}

int fab_timer(struct fabric *fab, uint64_t t_ps, struct fab_op *op)
{
	if (op->slot)
		return -EBUSY;
	if (t_ps <= fab->now) {
		fab_soon(fab, op);
		return 0;
	}
	if (fab->heap_len == fab->heap_cap) {
		struct fab_op **heap =
			realloc(fab->heap, 2 * fab->heap_cap * sizeof(struct fab_op *));

		if (!heap)
			return -ENOMEM;
		fab->heap = heap;
		fab->heap_cap *= 2;
	}
	op->when = t_ps;
	op->seq = fab->seq++;
	sift_up(fab, fab->heap_len++, op);
	return 0;
}

void fab_soon(struct fabric *fab, struct fab_op *op)
{
	if (op->slot)
		return;
	op->slot = IN_READY;
	op->when = fab->now;
	op->next = NULL;
	*fab->ready_tail = op;
	fab->ready_tail = &op->next;
}

void fab_timer_cancel(struct fabric *fab, struct fab_op *op)
{
	if (op->slot == IN_READY) {
		struct fab_op **p = &fab->ready;

		while (*p != op)
			p = &(*p)->next;
		*p = op->next;
		if (fab->ready_tail == &op->next)
			fab->ready_tail = p;
	} else if (op->slot) {
		heap_remove(fab, op->slot - 1);
	}
	op->slot = 0;
}

uint64_t fab_next_event(const struct fabric *fab)
{
	if (fab->ready)
		return fab->now;
	return fab->heap_len ? fab->heap[0]->when : FAB_NEVER;
}

/* Run what comes first; the caller knows that there is something, and that it is due. */
static void run_one(struct fabric *fab)
{
	struct fab_op *op = fab->ready;

	if (op) {
		fab->ready = op->next;
		if (!fab->ready)
			fab->ready_tail = &fab->ready;
	} else {
		op = fab->heap[0];
		heap_remove(fab, 0);
		if (op->when > fab->now)
			fab->now = op->when;
	}
	op->slot = 0;
	fab->stats.events++;
	op->done(op, 0);
}

int fab_run_to(struct fabric *fab, uint64_t t_ps)
{
	int n = 0;

	if (t_ps < fab->now)
		return -EINVAL;
	while (fab_next_event(fab) <= t_ps && (fab->ready || fab->heap_len)) {
		run_one(fab);
		n++;
	}
	if (t_ps != FAB_NEVER)
		fab->now = t_ps;
	return n;
}

int fab_run_until(struct fabric *fab, uint64_t t_ps, unsigned int budget)
{
	unsigned int n = 0;

	if (t_ps < fab->now)
		return -EINVAL;
	while (n < budget && (fab->ready || (fab->heap_len && fab->heap[0]->when <= t_ps))) {
		run_one(fab);
		n++;
	}
	if (n < budget)
		fab->now = t_ps;
	return (int)n;
}

int fab_run(struct fabric *fab, unsigned int budget)
{
	unsigned int n = 0;

	while (n < budget && (fab->ready || fab->heap_len)) {
		run_one(fab);
		n++;
	}
	return (int)n;
}
