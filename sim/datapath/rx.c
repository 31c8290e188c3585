/* SPDX-License-Identifier: BSD-3-Clause */
#include "net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../fabric/dirty_log.h"

/* A wire that can wait keeps the rest: a deep queue here would only add delay. */
#define AHEAD 32u

enum { COLLECTING, WORKING, PLACED };

struct packet {
	struct packet *next;
	struct dp_queue *q;
	struct frame *frame;
	struct fab_op op;
	uint32_t first; /* its buffers are slots first … first + n - 1 */
	uint32_t n;
	uint64_t room;
	uint8_t state;
	bool issued;	     /* an access of it is under way */
	struct fab_sg *late; /* a seeded defect's memory */
	unsigned int late_n;
};

struct rx {
	struct net_io *io;
	struct frame *backlog, **backlog_last;
	unsigned int waiting;
	struct packet *collecting;    /* the one packet that is looking for buffers */
	struct packet *first, **last; /* in flight, in order */
	unsigned int inflight;
	struct packet *pool;
	bool starved;
	struct fab_sg *sg;
	unsigned int sg_cap;
	uint64_t again; /* a seeded defect's second look */
};

unsigned int net_rx_left(const struct dp_queue *q)
{
	const struct rx *rx = q->role_ctx;

	unsigned int ahead = rx->io->rx_backlog < AHEAD ? rx->io->rx_backlog : AHEAD;

	return rx->waiting < ahead ? ahead - rx->waiting : 0;
}

bool net_rx_push(struct dp_queue *q, struct frame *frame)
{
	struct rx *rx = q->role_ctx;

	if (rx->waiting >= rx->io->rx_backlog)
		return false;
	frame->next = NULL;
	*rx->backlog_last = frame;
	rx->backlog_last = &frame->next;
	rx->waiting++;
	/* An armed queue is told by a kick; any other has to look for itself. */
	if (q->armed)
		dp_schedule(q);
	else
		dp_look(q);
	return true;
}

static void packet_free(struct rx *rx, struct packet *p)
{
	if (p->frame)
		frame_free(rx->io->port, p->frame);
	p->frame = NULL;
	free(p->late);
	p->late = NULL;
	p->next = rx->pool;
	rx->pool = p;
}

static void unlink_packet(struct rx *rx, struct packet *p)
{
	struct packet **at = &rx->first;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	if (rx->last == &p->next)
		rx->last = at;
	rx->inflight--;
}

static struct packet *next_packet(struct dp_queue *q, struct rx *rx)
{
	struct packet *p;

	if (rx->collecting)
		return rx->collecting;
	if (!rx->backlog || rx->inflight >= q->window)
		return NULL;
	p = rx->pool;
	if (p)
		rx->pool = p->next;
	else
		p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->q = q;
	p->frame = rx->backlog;
	rx->backlog = p->frame->next;
	if (!rx->backlog)
		rx->backlog_last = &rx->backlog;
	rx->waiting--;
	p->n = 0;
	p->room = 0;
	p->state = COLLECTING;
	p->issued = false;
	p->next = NULL;
	*rx->last = p;
	rx->last = &p->next;
	rx->inflight++;
	rx->collecting = p;
	return p;
}

/* The driver's buffer is too small and can't be merged: the frame is lost, the buffer is not. */
static void drop(struct dp_queue *q, struct rx *rx, struct packet *p)
{
	dp_untake(q, p->n);
	rx->io->counters->rx_drops++;
	rx->collecting = NULL;
	unlink_packet(rx, p);
	packet_free(rx, p);
}

/* What a buffer is good for. */
static uint64_t room_of(const struct dp_queue *q, const struct rx *rx, const struct chain *c)
{
	if (defect_on(q->defects, DEFECT_MERGED_NOT_FULL) && rx->io->mergeable)
		return c->in_len & ~UINT64_C(63);
	return c->in_len;
}

/* Collect buffers for @p; false: none is there now, or the queue broke. */
static bool collect(struct dp_queue *q, struct rx *rx, struct packet *p)
{
	uint64_t need = rx->io->hdr_len + p->frame->meta.len;

	while (p->room < need) {
		struct chain *c;

		if (p->n == q->size) {
			drop(q, rx, p);
			return true;
		}
		c = dp_take(q);
		if (!c) {
			rx->starved = true;
			return false;
		}
		if (!c->in_len) {
			dp_break(q, "a receive buffer without a device-writable descriptor");
			return false;
		}
		if (!p->n++)
			p->first = q->taken - 1;
		p->room += room_of(q, rx, c);
		if (p->n == 1 && c->in_len < rx->io->hdr_len) {
			dp_break(q, "a receive buffer shorter than the packet header");
			return false;
		}
		if (!rx->io->mergeable && p->room < need &&
		    !defect_on(q->defects, DEFECT_SPILLS_WITHOUT_MRG)) {
			drop(q, rx, p);
			return true;
		}
	}
	return true;
}

static void header(const struct rx *rx, struct packet *p, uint8_t *at)
{
	const struct vqnic_frame *m = &p->frame->meta;
	const struct defect_set *defects = rx->io->defects;
	struct vn_net_hdr h = {
		.flags = m->flags,
		.gso_type = m->gso_type,
		.hdr_len = m->hdr_len,
		.gso_size = m->gso_size,
		.csum_start = m->csum_start,
		.csum_offset = m->csum_offset,
		.num_buffers = rx->io->mergeable ? (uint16_t)p->n : 1,
	};

	if (defect_on(defects, DEFECT_RX_NUM_BUFFERS_ZERO) && !rx->io->mergeable)
		h.num_buffers = 0;
	if (defect_on(defects, DEFECT_RX_NUM_BUFFERS_ONE))
		h.num_buffers = 1;
	if (h.gso_type && defect_on(defects, DEFECT_GSO_WITHOUT_NEEDS_CSUM))
		h.flags = 0;
	if (h.flags & VN_NET_HDR_F_NEEDS_CSUM && defect_on(defects, DEFECT_CSUM_START_FROM_IP))
		h.csum_start = (uint16_t)(h.csum_start - 14);
	if (defect_on(defects, DEFECT_RX_HDR_GARBAGE)) {
		h.gso_type = VQNIC_GSO_TCPV4;
		h.gso_size = 1;
	}
	memcpy(at, &h, rx->io->hdr_len);
}

/* A seeded defect's address of the first piece of @c: what the ring says by now. */
static uint64_t second_look(struct dp_queue *q, struct rx *rx, const struct chain *c, uint64_t iova)
{
	struct fab_sg sg = {q->desc + 16u * c->id, sizeof(rx->again)};

	if (!defect_on(q->defects, DEFECT_DMA_REREADS_DESCRIPTOR) || q->format != &dp_split ||
	    c->indirect || fab_read(q->fab, q->space, &sg, 1, &rx->again, NULL) != 1)
		return iova;
	return rx->again;
}

/* The pieces of all buffers of @p, cut to what is written; fills in each buffer's share. */
static unsigned int pieces(struct dp_queue *q, struct rx *rx, struct packet *p, uint32_t total)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < p->n; i++) {
		struct chain *c = dp_slot(q, p->first + i);
		const struct fab_sg *sg = chain_in(c);
		uint64_t room = room_of(q, rx, c);

		c->written = 0;
		for (uint32_t k = 0; k < c->nin && total; k++) {
			uint32_t part = sg[k].len < total ? sg[k].len : total;

			if (part > room - c->written)
				part = (uint32_t)(room - c->written);

			if (!part)
				continue;
			if (n == rx->sg_cap) {
				unsigned int cap = rx->sg_cap ? 2 * rx->sg_cap : 64;
				struct fab_sg *more = realloc(rx->sg, cap * sizeof(*more));

				if (!more) {
					dp_break(q, "out of memory");
					return 0;
				}
				rx->sg = more;
				rx->sg_cap = cap;
			}
			rx->sg[n].iova = k ? sg[k].iova : second_look(q, rx, c, sg[k].iova);
			rx->sg[n++].len = part;
			c->written += part;
			total -= part;
		}
	}
	return n;
}

static void mark(struct dp_queue *q, struct rx *rx, unsigned int n, const struct packet *p)
{
	if (defect_on(q->defects, DEFECT_LOG_SKIPS_MERGED) && p->n > 1)
		n = 1;
	if (defect_on(q->defects, DEFECT_LOG_FIRST_PAIR_ONLY) && q->index)
		return;
	for (unsigned int i = 0; i < n; i++) {
		uint32_t skip = 0;

		if (defect_on(q->defects, DEFECT_LOG_SKIPS_HEADER) && !i)
			skip = rx->io->hdr_len < rx->sg[i].len ? rx->io->hdr_len : rx->sg[i].len;
		if (dirty_log_mark(rx->io->log, rx->sg[i].iova + skip, rx->sg[i].len - skip) < 0) {
			dp_break(q, "the dirty log lies in memory that is not mapped");
			return;
		}
	}
}

static void packet_end(struct rx *rx, struct packet *p)
{
	unlink_packet(rx, p);
	packet_free(rx, p);
}

static void write_done(struct fab_op *op, int status)
{
	struct packet *p = container_of(op, struct packet, op);
	struct dp_queue *q = p->q;

	p->issued = false;
	if (!dp_done(q, status))
		return;
	packet_end(q->role_ctx, p);
	dp_schedule(q);
}

static void late_done(struct fab_op *op, int status)
{
	struct packet *p = container_of(op, struct packet, op);
	struct dp_queue *q = p->q;
	struct rx *rx = q->role_ctx;

	p->issued = false;
	if (!dp_done(q, status))
		return;
	fab_write(q->fab, q->space, p->late, p->late_n,
		  (uint8_t *)p->frame + offsetof(struct frame, data) - rx->io->hdr_len, NULL);
	packet_end(rx, p);
	dp_schedule(q);
}

/* A seeded defect: the buffers are reported now, their contents come in a later event. */
static int write_late(struct dp_queue *q, struct rx *rx, struct packet *p, unsigned int n)
{
	p->late = malloc(n * sizeof(*p->late));
	if (!p->late)
		return -ENOMEM;
	memcpy(p->late, rx->sg, n * sizeof(*p->late));
	p->late_n = n;
	p->op.done = late_done;
	fab_timer(q->fab, fab_now(q->fab) + 1, &p->op);
	return 0;
}

/* Post header and data, and behind them the marks of the dirty log; report the buffers. */
static void place(struct dp_queue *q, struct rx *rx, struct packet *p)
{
	uint32_t total = rx->io->hdr_len + p->frame->meta.len;
	uint8_t *src = (uint8_t *)p->frame + offsetof(struct frame, data) - rx->io->hdr_len;
	bool log = dirty_log_active(rx->io->log);
	unsigned int n;
	int r;

	header(rx, p, src);
	if (defect_on(q->defects, DEFECT_RX_CORRUPTS_LAST_BYTE))
		p->frame->data[p->frame->meta.len - 1] ^= 1;
	n = pieces(q, rx, p, total);
	if (!dp_alive(q))
		return;
	if (log && defect_on(q->defects, DEFECT_LOG_MISSES_FIRST_AFTER_START) &&
	    rx->io->log->fresh) {
		rx->io->log->fresh = false;
		log = false;
	}
	p->state = PLACED;
	p->op.done = write_done;
	if (defect_on(q->defects, DEFECT_RX_DATA_LATE))
		r = write_late(q, rx, p, n);
	else
		r = fab_write(q->fab, q->space, rx->sg, n, src, &p->op);
	if (r == 0)
		p->issued = true;
	if (dp_issued(q, r) || r == 0) {
		if (log)
			mark(q, rx, n, p);
		for (uint32_t i = 0; i < p->n; i++) {
			struct chain *c = dp_slot(q, p->first + i);

			c->more = i + 1 < p->n;
			if (defect_on(q->defects, DEFECT_RX_LEN_WITHOUT_HEADER) && !i)
				c->written -= rx->io->hdr_len;
			dp_complete(q, c, c->written);
		}
		if (r > 0)
			packet_end(rx, p);
	}
}

static void work_done(struct fab_op *op, int status)
{
	struct packet *p = container_of(op, struct packet, op);

	p->issued = false;
	if (!dp_done(p->q, status))
		return;
	place(p->q, p->q->role_ctx, p);
	dp_schedule(p->q);
}

static bool rx_work(struct dp_queue *q, unsigned int budget)
{
	struct rx *rx = q->role_ctx;
	bool progress = false;
	struct packet *p;

	rx->starved = false;
	while (q->state == DP_RUNNING && budget-- && (p = next_packet(q, rx))) {
		unsigned int had = p->n;
		int r;

		if (!collect(q, rx, p)) {
			/* what it took makes room to fetch more, which nothing else would notice */
			progress |= p->n != had;
			break;
		}
		progress = true;
		if (!rx->collecting) /* it was dropped */
			continue;
		rx->collecting = NULL;
		p->state = WORKING;
		p->op.done = work_done;
		r = fab_work(q->fab, 1, p->frame->meta.len, &p->op);
		p->issued = r == 0;
		if (dp_issued(q, r))
			place(q, rx, p);
	}
	return progress;
}

static bool rx_wants_kick(const struct dp_queue *q)
{
	return ((const struct rx *)q->role_ctx)->starved;
}

/* A packet that still looks for buffers gives them back; its frame waits for the next start. */
static void rx_quiesce(struct dp_queue *q)
{
	struct rx *rx = q->role_ctx;
	struct packet *p = rx->collecting;

	if (!p)
		return;
	dp_untake(q, p->n);
	rx->collecting = NULL;
	unlink_packet(rx, p);
	p->frame->next = rx->backlog;
	if (!rx->backlog)
		rx->backlog_last = &p->frame->next;
	rx->backlog = p->frame;
	rx->waiting++;
	p->frame = NULL;
	packet_free(rx, p);
}

static unsigned int rx_inflight(const struct dp_queue *q)
{
	return ((const struct rx *)q->role_ctx)->inflight;
}

static void rx_kill(struct dp_queue *q)
{
	struct rx *rx = q->role_ctx;

	while (rx->first) {
		struct packet *p = rx->first;

		rx->first = p->next;
		fab_timer_cancel(q->fab, &p->op);
		packet_free(rx, p);
	}
	rx->last = &rx->first;
	rx->inflight = 0;
	rx->collecting = NULL;
	while (rx->backlog) {
		struct frame *f = rx->backlog;

		rx->backlog = f->next;
		frame_free(rx->io->port, f);
	}
	rx->backlog_last = &rx->backlog;
	rx->waiting = 0;
}

static void rx_fini(struct dp_queue *q)
{
	struct rx *rx = q->role_ctx;

	while (rx->pool) {
		struct packet *p = rx->pool;

		rx->pool = p->next;
		free(p);
	}
	free(rx->sg);
	free(rx);
}

const struct dp_role net_role_rx = {
	.name = "receive",
	.work = rx_work,
	.wants_kick = rx_wants_kick,
	.quiesce = rx_quiesce,
	.inflight = rx_inflight,
	.kill = rx_kill,
	.fini = rx_fini,
};

int net_rx_init(struct dp_queue *q, struct net_io *io)
{
	struct rx *rx = calloc(1, sizeof(*rx));

	if (!rx)
		return -ENOMEM;
	rx->io = io;
	rx->last = &rx->first;
	rx->backlog_last = &rx->backlog;
	q->role = &net_role_rx;
	q->role_ctx = rx;
	q->rx = true;
	return 0;
}
