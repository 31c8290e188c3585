/* SPDX-License-Identifier: BSD-3-Clause */
#include "txn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../util.h"

#define MESSAGE_MAX 4096u /* bytes that one message asks for */

enum kind { T_READ, T_WRITE, T_BITS, T_IRQ };

struct group;

struct txn {
	struct txn *next;
	struct group *group;
	struct fab_op timer;
	enum kind kind;
	bool due;
	bool waiting; /* for the client's answer to @token */
	uint64_t token;
	uint64_t seq;
	uint64_t iova;
	uint32_t len, done;
	uint32_t asked; /* bytes of the message under way */
	uint8_t *buf;	/* into the group's data, or the reader's dst */
	struct fab_irq irq;
};

struct group {
	struct group *next;
	struct txn_queue *queue;
	struct fab_op reply;
	struct fab_op *op;
	const struct txn_policy *policy;
	unsigned int left;
	int status;
	bool ended;
	uint8_t data[];
};

struct txn_queue {
	struct fabric *fab;
	struct iova_space *space;
	struct txn *posted, **posted_tail;
	struct txn *reads;
	struct group *groups; /* all that have not yet replied */
	uint64_t seq, token;
	uint64_t posted_when; /* when the last posted piece becomes due */
	bool running;
};

static struct txn_queue *queue_of(struct fabric *fab, struct iova_space *space)
{
	struct txn_queue *q = space->txns;

	if (!q) {
		q = calloc(1, sizeof(*q));
		if (!q)
			return NULL;
		q->fab = fab;
		q->space = space;
		q->token = (uint64_t)space->asid << 48; /* tokens differ between spaces */
		q->posted_tail = &q->posted;
		space->txns = q;
	}
	return q;
}

bool txn_idle(const struct iova_space *space)
{
	return !space->txns || (!space->txns->posted && !space->txns->groups);
}

void txn_posted_writes(const struct iova_space *space,
		       void (*fn)(void *ctx, uint64_t iova, uint64_t len), void *ctx)
{
	/* What @fn posts is queued behind, and is walked over as well: it had better be no write.
	 */
	for (const struct txn *t = space->txns ? space->txns->posted : NULL; t; t = t->next)
		if (t->kind == T_WRITE && t->len)
			fn(ctx, t->iova, t->len);
}

static void group_unlink(struct group *g)
{
	struct group **p = &g->queue->groups;

	while (*p != g)
		p = &(*p)->next;
	*p = g->next;
}

static void group_reply(struct fab_op *reply, int status)
{
	struct group *g = container_of(reply, struct group, reply);
	struct fab_op *op = g->op;
	int result = g->status;

	(void)status;
	group_unlink(g);
	free(g);
	if (op) {
		op->pending = false;
		op->done(op, result);
	}
}

static void txn_end(struct txn *t, int status)
{
	struct group *g = t->group;
	struct fabric *fab = g->queue->fab;

	fab_timer_cancel(fab, &t->timer);
	free(t);
	if (status && !g->status)
		g->status = status;
	if (--g->left)
		return;
	if (g->status)
		fab->stats.errors++;
	/* Never inside the call that issued it: replies go through the event queue. */
	if (fab_timer(fab, fab->now + g->policy->reply(fab), &g->reply))
		fab_soon(fab, &g->reply);
}

static int local_part(struct txn *t, const struct iova_map *map)
{
	uint64_t at = t->iova + t->done;
	uint64_t part = map->last - at + 1;
	uint8_t *host = map->host + (at - map->iova);

	if (part > t->len - t->done)
		part = t->len - t->done;
	if (t->kind == T_READ)
		mem_sample(t->buf + t->done, host, part);
	else if (t->kind == T_WRITE)
		mem_store(host, t->buf + t->done, part);
	else
		__atomic_fetch_or(host, *t->buf, __ATOMIC_SEQ_CST);
	t->done += (uint32_t)part;
	return 0;
}

static int message_part(struct txn_queue *q, struct txn *t, const struct iova_map *map)
{
	const struct vqnic_dma_ops *ops = q->space->msg;
	uint64_t at = t->iova + t->done;
	uint64_t part = map->last - at + 1;
	int err;

	if (!ops || t->kind == T_BITS) /* no message carries an atomic OR */
		return -EFAULT;
	if (part > t->len - t->done)
		part = t->len - t->done;
	if (part > MESSAGE_MAX)
		part = MESSAGE_MAX;
	t->asked = (uint32_t)part;
	t->token = ++q->token;
	t->waiting = true;
	if (t->kind == T_READ)
		err = ops->read(q->space->msg_ctx, at, t->asked, t->token);
	else
		err = ops->write(q->space->msg_ctx, at, t->buf + t->done, t->asked, t->token);
	if (err < 0)
		t->waiting = false;
	return err < 0 ? -EFAULT : 0;
}

/* Carry a piece out as far as it goes. True: it has ended and is gone. */
static bool txn_step(struct txn_queue *q, struct txn *t)
{
	uint32_t prot = t->kind == T_READ ? VQNIC_PROT_READ : VQNIC_PROT_WRITE;
	int err = 0;

	if (t->kind == T_IRQ) {
		q->fab->stats.interrupts++;
		t->irq.fire(t->irq.ctx, t->irq.vector);
		txn_end(t, 0);
		return true;
	}
	while (!err && t->done < t->len && !t->waiting) {
		const struct iova_map *map = iova_space_find(q->space, t->iova + t->done, prot);

		if (!map)
			err = -EFAULT;
		else if (map->host)
			err = local_part(t, map);
		else
			err = message_part(q, t, map);
	}
	if (!err && t->waiting)
		return false;
	txn_end(t, err);
	return true;
}

static void progress(struct txn_queue *q)
{
	struct txn **p;

	if (q->running) /* an interrupt's fire() or a message's answer came back to us */
		return;
	q->running = true;
	while (q->posted && q->posted->due && !q->posted->waiting) {
		struct txn *t = q->posted, *next = t->next;

		if (!txn_step(q, t))
			break;
		q->posted = next;
		if (!next)
			q->posted_tail = &q->posted;
	}
	for (p = &q->reads; *p;) {
		struct txn *t = *p, *next = t->next;

		if (t->due && !t->waiting && (!q->posted || t->seq < q->posted->seq) &&
		    txn_step(q, t))
			*p = next;
		else
			p = &t->next;
	}
	q->running = false;
}

static void txn_due(struct fab_op *timer, int status)
{
	struct txn *t = container_of(timer, struct txn, timer);

	(void)status;
	t->due = true;
	progress(t->group->queue);
}

static struct group *group_new(struct fabric *fab, const struct txn_policy *policy,
			       struct iova_space *space, uint64_t data, struct fab_op *op)
{
	struct txn_queue *q = queue_of(fab, space);
	struct group *g = q ? calloc(1, sizeof(*g) + data) : NULL;

	if (!g)
		return NULL;
	g->queue = q;
	g->policy = policy;
	g->op = op;
	g->reply.done = group_reply;
	g->left = 1; /* held while pieces are added */
	g->next = q->groups;
	q->groups = g;
	return g;
}

static int add_piece(struct group *g, enum kind kind, uint64_t iova, uint32_t len, uint8_t *buf,
		     const struct fab_irq *irq)
{
	struct txn_queue *q = g->queue;
	struct txn *t = calloc(1, sizeof(*t));
	uint64_t when;

	if (!t)
		return -ENOMEM;
	t->group = g;
	t->kind = kind;
	t->iova = iova;
	t->len = len;
	t->buf = buf;
	t->seq = q->seq++;
	if (irq)
		t->irq = *irq;
	t->timer.done = txn_due;
	g->left++;
	when = q->fab->now + g->policy->delay(q->fab);
	if (kind == T_READ) {
		t->next = q->reads;
		q->reads = t;
	} else {
		/* Posted pieces never overtake, so none is due before the one in front of it. */
		if (when < q->posted_when)
			when = q->posted_when;
		q->posted_when = when;
		*q->posted_tail = t;
		q->posted_tail = &t->next;
	}
	if (fab_timer(q->fab, when, &t->timer))
		fab_soon(q->fab, &t->timer);
	return 0;
}

static int add_range(struct group *g, enum kind kind, uint64_t iova, uint64_t len, uint32_t split,
		     uint8_t *buf)
{
	while (len) {
		uint64_t part = split - iova % split;
		int err;

		if (part > len)
			part = len;
		err = add_piece(g, kind, iova, (uint32_t)part, buf, NULL);
		if (err)
			return err;
		iova += part;
		buf += part;
		len -= part;
	}
	return 0;
}

/* All pieces are issued: let go of the group. The op is pending from now on. */
static int group_issued(struct group *g, int err)
{
	struct fabric *fab = g->queue->fab;

	if (g->op)
		g->op->pending = true;
	if (err && !g->status)
		g->status = err;
	if (!--g->left && fab_timer(fab, fab->now + g->policy->reply(fab), &g->reply))
		fab_soon(fab, &g->reply);
	return 0;
}

static uint64_t sg_bytes(const struct fab_sg *sg, unsigned int n)
{
	uint64_t len = 0;

	while (n--)
		len += sg++->len;
	return len;
}

int txn_read(struct fabric *fab, const struct txn_policy *policy, struct iova_space *space,
	     const struct fab_sg *sg, unsigned int n, void *dst, struct fab_op *op)
{
	uint64_t len = sg_bytes(sg, n);
	struct group *g = group_new(fab, policy, space, 0, op);
	uint32_t split = policy->split(fab, len, false);
	uint8_t *to = dst;
	int err = 0;

	if (!g)
		return -ENOMEM;
	fab->stats.reads++;
	fab->stats.read_bytes += len;
	for (unsigned int i = 0; i < n && !err; i++) {
		err = add_range(g, T_READ, sg[i].iova, sg[i].len, split, to);
		to += sg[i].len;
	}
	return group_issued(g, err);
}

int txn_write(struct fabric *fab, const struct txn_policy *policy, struct iova_space *space,
	      const struct fab_sg *sg, unsigned int n, const void *src, struct fab_op *op)
{
	uint64_t len = sg_bytes(sg, n);
	struct group *g = group_new(fab, policy, space, len, op);
	uint32_t split = policy->split(fab, len, true);
	uint8_t *from;
	int err = 0;

	if (!g)
		return -ENOMEM;
	from = g->data;
	if (len)
		memcpy(from, src, len);
	fab->stats.writes++;
	fab->stats.write_bytes += len;
	if (!len) /* a marker: done when all that was posted before it is visible */
		err = add_piece(g, T_WRITE, 0, 0, from, NULL);
	for (unsigned int i = 0; i < n && !err; i++) {
		err = add_range(g, T_WRITE, sg[i].iova, sg[i].len, split, from);
		from += sg[i].len;
	}
	return group_issued(g, err);
}

int txn_set_bits(struct fabric *fab, const struct txn_policy *policy, struct iova_space *space,
		 uint64_t iova, uint8_t bits, struct fab_op *op)
{
	struct group *g = group_new(fab, policy, space, 1, op);

	if (!g)
		return -ENOMEM;
	g->data[0] = bits;
	fab->stats.writes++;
	fab->stats.write_bytes++;
	return group_issued(g, add_piece(g, T_BITS, iova, 1, g->data, NULL));
}

int txn_irq(struct fabric *fab, const struct txn_policy *policy, struct iova_space *space,
	    const struct fab_irq *irq)
{
	struct group *g = group_new(fab, policy, space, 0, NULL);

	if (!g)
		return -ENOMEM;
	return group_issued(g, add_piece(g, T_IRQ, 0, 0, NULL, irq));
}

int txn_answer(struct iova_space *space, uint64_t token, int status, const void *data, uint32_t len)
{
	struct txn_queue *q = space->txns;
	struct txn *t = NULL;

	if (!q)
		return -ENOENT;
	if (q->posted && q->posted->waiting && q->posted->token == token)
		t = q->posted;
	for (struct txn *r = q->reads; r && !t; r = r->next)
		if (r->waiting && r->token == token)
			t = r;
	if (!t)
		return -ENOENT;
	t->waiting = false;
	if (!status && t->kind == T_READ && (!data || len != t->asked))
		status = -EIO;
	if (status) {
		t->len = t->done; /* ends at the next step, with the error */
		if (!t->group->status)
			t->group->status = -EFAULT;
	} else {
		if (t->kind == T_READ)
			memcpy(t->buf + t->done, data, len);
		t->done += t->asked;
	}
	progress(q);
	return 0;
}

/*
 * Everything under way is carried out at once. A piece that waits for a client's answer can't be;
 * it fails if it touches the range that goes away, and is left alone if not.
 */
static struct txn **finish_list(struct txn_queue *q, struct txn **p, uint64_t iova, uint64_t last)
{
	while (*p) {
		struct txn *t = *p, *next = t->next;

		if (t->waiting && t->len && t->iova <= last && t->iova + t->len - 1 >= iova) {
			t->waiting = false;
			t->len = t->done;
			t->group->status = -EFAULT;
		}
		t->due = true;
		if (!t->waiting && txn_step(q, t))
			*p = next;
		else
			p = &t->next;
	}
	return p;
}

static void finish(struct txn_queue *q, uint64_t iova, uint64_t last)
{
	q->posted_tail = finish_list(q, &q->posted, iova, last);
	finish_list(q, &q->reads, iova, last);
}

static void cancel_all(struct txn_queue *q)
{
	struct group *groups = q->groups;

	q->groups = NULL;
	while (q->posted || q->reads) {
		struct txn **list = q->posted ? &q->posted : &q->reads;
		struct txn *t = *list;

		*list = t->next;
		fab_timer_cancel(q->fab, &t->timer);
		free(t);
	}
	q->posted_tail = &q->posted;
	q->posted_when = 0;
	while (groups) {
		struct group *g = groups;
		struct fab_op *op = g->op;

		groups = g->next;
		fab_timer_cancel(q->fab, &g->reply);
		free(g);
		if (op) {
			op->pending = false;
			op->done(op, -ECANCELED);
		}
	}
}

void txn_revoke(struct fabric *fab, struct iova_space *space, uint64_t iova, uint64_t last,
		bool cancel)
{
	struct txn_queue *q = space->txns;

	(void)fab;
	if (!q)
		return;
	if (cancel)
		cancel_all(q);
	else
		finish(q, iova, last);
}

void txn_release(struct iova_space *space)
{
	if (!space->txns)
		return;
	cancel_all(space->txns);
	free(space->txns);
	space->txns = NULL;
}
