/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Split rings (VIRTIO 2.7)
 *
 * How it works. The available index is read when there may be news, then the ring entries behind it
 * in runs, then each descriptor chain, several at a time. Ring addresses: desc is the table, driver
 * the available ring {flags, idx, ring[], used_event}, device the used ring {flags, idx, ring[],
 * avail_event}.
 */
#include <errno.h>
#include <string.h>

#include "queue.h"

static void look_done(struct fab_op *op, int status);
static void heads_done(struct fab_op *op, int status);
static void used_done(struct fab_op *op, int status);
static void desc_done(struct fab_op *op, int status);

static void begin(struct dp_queue *q)
{
	q->fetch_idx = q->pos->avail;
	q->known = q->fetch_idx;
}

static bool split_start(struct dp_queue *q)
{
	struct fab_sg sg = {q->device + 2, 2};

	q->look_op.done = look_done;
	q->heads_op.done = heads_done;
	begin(q);
	if (!q->pos->used_from_ring)
		return true;
	q->used_op.done = used_done;
	if (!dp_issued(q, fab_read(q->fab, q->space, &sg, 1, &q->used_raw, &q->used_op)))
		return false;
	q->pos->used = q->used_raw;
	q->pos->used_from_ring = false;
	return true;
}

static void used_done(struct fab_op *op, int status)
{
	struct dp_queue *q = container_of(op, struct dp_queue, used_op);

	if (!dp_done(q, status))
		return;
	q->pos->used = q->used_raw;
	q->pos->used_from_ring = false;
	dp_loaded(q);
}

/* The available index has been read; false: nothing new. */
static bool looked(struct dp_queue *q)
{
	uint16_t n = (uint16_t)(q->idx_raw - q->fetch_idx);

	if (defect_on(q->defects, DEFECT_AVAIL_SIGNED_COMPARE) && q->idx_raw < q->fetch_idx)
		n = 0;
	if (!n && q->seeded_kicked && !q->rx && q->pos->avail) {
		q->idx_raw++; /* a kick is taken for a buffer */
		n = 1;
	}
	q->seeded_kicked = false;
	if ((uint32_t)n + chain_count(q) > q->size) {
		dp_break(q, "the available index moved by more than the queue's size");
		return false;
	}
	if (!n)
		return false;
	q->known = q->idx_raw;
	q->look = true; /* until a look finds nothing */
	if (q->armed) {
		q->armed = false;
		if ((!q->event_idx || defect_on(q->defects, DEFECT_USED_FLAGS_WITH_EVENT_IDX)) &&
		    dp_issued(q, q->format->suppress(q)))
			q->suppressed = true;
	}
	return dp_alive(q);
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
	struct fab_sg sg = {q->driver + 2, 2};

	if (!q->look || q->look_op.pending)
		return false;
	q->look = false;
	if (!dp_issued(q, fab_read(q->fab, q->space, &sg, 1, &q->idx_raw, &q->look_op)))
		return false;
	return looked(q);
}

static void heads_done(struct fab_op *op, int status)
{
	struct dp_queue *q = container_of(op, struct dp_queue, heads_op);

	if (!dp_done(q, status))
		return;
	q->heads_n = q->heads_want;
	dp_schedule(q);
}

static bool read_heads(struct dp_queue *q)
{
	uint16_t at = q->fetch_idx & (uint16_t)(q->size - 1);
	uint16_t n = (uint16_t)(q->known - q->fetch_idx);
	struct fab_sg sg;

	if (q->heads_op.pending)
		return false;
	if (n > q->size - at && !defect_on(q->defects, DEFECT_AVAIL_READ_OVER_END))
		n = (uint16_t)(q->size - at);
	if (n > ARRAY_SIZE(q->heads))
		n = ARRAY_SIZE(q->heads);
	sg.iova = q->driver + 4 + 2u * at;
	sg.len = 2u * n;
	q->heads_first = 0;
	q->heads_want = n;
	if (!dp_issued(q, fab_read(q->fab, q->space, &sg, 1, q->heads, &q->heads_op)))
		return false;
	q->heads_n = n;
	return true;
}

/* One descriptor of the table has been read; true: read the next one. */
static bool descriptor(struct dp_queue *q, struct chain *c)
{
	const struct vn_desc d = c->desc;

	if (++c->seen > q->size) {
		dp_break(q, "a descriptor chain loops");
		return false;
	}
	if (d.flags & VN_DESC_F_INDIRECT) {
		if (d.flags & VN_DESC_F_NEXT)
			dp_break(q, "a descriptor is indirect and has a next one");
		else {
			c->indirect = d.flags & VN_DESC_F_WRITE;
			if (defect_on(q->defects, DEFECT_INDIRECT_FORGETS_DIRECT)) {
				c->nout = c->nin = 0;
				c->out_len = c->in_len = 0;
			}
			dp_chain_table(q, c, d.addr, d.len, false);
		}
		return false;
	}
	if (!dp_chain_add(q, c, d.addr, d.len, d.flags & VN_DESC_F_WRITE))
		return false;
	if (!(d.flags & VN_DESC_F_NEXT)) {
		c->state = CHAIN_READY;
		return false;
	}
	if (d.next >= q->size) {
		dp_break(q, "a descriptor's next lies outside the table");
		return false;
	}
	return true;
}

static void read_chain(struct dp_queue *q, struct chain *c, uint16_t index)
{
	do {
		struct fab_sg sg = {q->desc + 16u * index, 16};

		c->op.done = desc_done;
		if (!dp_issued(q, fab_read(q->fab, q->space, &sg, 1, &c->desc, &c->op)))
			return;
		index = c->desc.next;
	} while (descriptor(q, c));
}

static void desc_done(struct fab_op *op, int status)
{
	struct chain *c = container_of(op, struct chain, op);
	struct dp_queue *q = c->q;

	if (!dp_done(q, status))
		return;
	if (q->state == DP_RUNNING && descriptor(q, c))
		read_chain(q, c, c->desc.next);
	dp_schedule(q);
}

static bool split_fetch(struct dp_queue *q)
{
	bool progress = false;

	while (q->state == DP_RUNNING && dp_room(q)) {
		struct chain *c;
		uint16_t head;

		if (q->fetch_idx == q->known) {
			if (!look(q))
				break;
			progress = true;
		}
		if (!q->heads_n && !read_heads(q))
			break;
		head = q->heads[q->heads_first++];
		q->heads_n--;
		q->fetch_idx++;
		if (head >= q->size) {
			dp_break(q, "an available entry names a descriptor outside the table");
			break;
		}
		c = dp_chain_new(q);
		c->id = head;
		read_chain(q, c, head);
		progress = true;
	}
	return progress;
}

static void write_used(struct dp_queue *q, const struct vn_used_elem *elems, uint32_t n)
{
	uint16_t at = q->pos->used & (uint16_t)(q->size - 1);
	uint32_t first = n < (uint32_t)(q->size - at) ? n : (uint32_t)(q->size - at);
	struct fab_sg sg[2] = {{q->device + 4 + 8u * at, first * 8},
			       {q->device + 4, (n - first) * 8}};

	dp_issued(q, fab_write(q->fab, q->space, sg, n > first ? 2 : 1, elems, NULL) < 0 ? -EFAULT
											 : 1);
	q->pos->used = (uint16_t)(q->pos->used + n);
}

static void split_publish(struct dp_queue *q, uint32_t n)
{
	struct fab_sg idx = {q->device + 2, 2};
	struct vn_used_elem elems[64];
	uint16_t used;

	for (uint32_t i = 0; i < n;) {
		uint32_t k = 0;

		while (k < ARRAY_SIZE(elems) && i < n) {
			const struct chain *c = dp_slot(q, q->head + i++);

			elems[k].id = c->id;
			if (defect_on(q->defects, DEFECT_USED_ID_WRONG))
				elems[k].id = (c->id + 1u) & (q->size - 1u);
			elems[k].len = c->written;
			if (defect_on(q->defects, DEFECT_USED_LEN_TOTAL))
				elems[k].len = (uint32_t)(c->written + c->out_len);
			if (defect_on(q->defects, DEFECT_DESCRIPTOR_CLEARED)) {
				struct fab_sg desc = {q->desc + 16u * c->id + 12, 2};

				fab_write(q->fab, q->space, &desc, 1, &(uint16_t){0}, NULL);
			}
			k++;
		}
		write_used(q, elems, k);
	}
	q->pos->avail = (uint16_t)(q->pos->avail + n);
	used = q->pos->used;
	if (defect_on(q->defects, DEFECT_USED_IDX_AT_RING_SIZE))
		used &= (uint16_t)(2 * q->size - 1);
	dp_issued(q, fab_write(q->fab, q->space, &idx, 1, &used, NULL) < 0 ? -EFAULT : 1);
}

static int split_irq_read(struct dp_queue *q)
{
	/* used_event behind the ring, or flags in front of it */
	struct fab_sg sg[2] = {{q->event_idx ? q->driver + 4 + 2u * q->size : q->driver, 2},
			       {q->event_idx ? q->driver : q->driver + 4 + 2u * q->size, 2}};
	bool both = defect_on(q->defects, DEFECT_FLAGS_WITH_EVENT_IDX) ||
		    defect_on(q->defects, DEFECT_EVENT_WITHOUT_EVENT_IDX);

	return fab_read(q->fab, q->space, sg, both ? 2 : 1, q->irq_raw, &q->irq_op);
}

static bool split_irq_wanted(struct dp_queue *q)
{
	uint16_t v, other, old = (uint16_t)(q->irq_new - q->irq_span);

	memcpy(&v, q->irq_raw, 2);
	memcpy(&other, q->irq_raw + 2, 2);
	if (q->event_idx && defect_on(q->defects, DEFECT_FLAGS_WITH_EVENT_IDX) &&
	    other & VN_AVAIL_F_NO_INTERRUPT)
		return false;
	if (!q->event_idx && defect_on(q->defects, DEFECT_EVENT_WITHOUT_EVENT_IDX) &&
	    (uint16_t)(q->irq_new - other - 1) >= (uint16_t)(q->irq_new - old))
		return false;
	if (!q->event_idx) {
		if (defect_on(q->defects, DEFECT_IRQ_IGNORES_FLAGS_OFF))
			return false;
		return !(v & VN_AVAIL_F_NO_INTERRUPT);
	}
	if (defect_on(q->defects, DEFECT_EVENT_IDX_EQUAL_ONLY))
		return (uint16_t)(v + 1) == q->irq_new;
	if (defect_on(q->defects, DEFECT_EVENT_IDX_OFF_BY_ONE))
		v++;
	/* vring_need_event(): did the index move past v? */
	return q->irq_span > UINT16_MAX ||
	       (uint16_t)(q->irq_new - v - 1) < (uint16_t)(q->irq_new - old);
}

static int split_arm(struct dp_queue *q)
{
	struct fab_sg sg = {q->event_idx ? q->device + 4 + 8u * q->size : q->device, 2};
	uint16_t v = q->event_idx ? q->fetch_idx : 0;
	int r;

	if (defect_on(q->defects, DEFECT_AVAIL_EVENT_STALE) && q->event_idx)
		v = (uint16_t)(v + q->size);
	r = fab_write(q->fab, q->space, &sg, 1, &v, NULL);
	return r < 0 ? r : 1;
}

static int split_suppress(struct dp_queue *q)
{
	struct fab_sg sg = {q->device, 2};
	uint16_t v = VN_USED_F_NO_NOTIFY;
	int r;

	/* an event that lies behind is silence enough */
	if (q->event_idx && !defect_on(q->defects, DEFECT_USED_FLAGS_WITH_EVENT_IDX))
		return 1;
	r = fab_write(q->fab, q->space, &sg, 1, &v, NULL);
	return r < 0 ? r : 1;
}

const struct dp_format dp_split = {
	.start = split_start,
	.fetch = split_fetch,
	.publish = split_publish,
	.irq_read = split_irq_read,
	.irq_wanted = split_irq_wanted,
	.arm = split_arm,
	.suppress = split_suppress,
};
