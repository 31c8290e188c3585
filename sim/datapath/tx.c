/* SPDX-License-Identifier: BSD-3-Clause */
#include "net.h"
#include "offload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SMALL 2048u
#define LARGE (FRAME_MAX + sizeof(struct vn_net_hdr))

enum { READING, WORKING, READY };

struct packet {
	struct packet *next;
	struct dp_queue *q;
	struct chain *c;
	struct fab_op op;
	uint32_t len; /* header and frame */
	uint8_t state;
	bool large;
	uint8_t data[];
};

struct tx {
	struct net_io *io;
	struct packet *first, **last;
	unsigned int inflight;
	struct packet *pool[2]; /* last used first: its buffer is in the cache */
	bool sent;
	unsigned int count; /* a seeded defect's */
};

static void packet_free(struct tx *tx, struct packet *p)
{
	p->next = tx->pool[p->large];
	tx->pool[p->large] = p;
}

static struct packet *packet_new(struct tx *tx, struct dp_queue *q, struct chain *c)
{
	bool large = c->out_len > SMALL;
	struct packet *p = tx->pool[large];

	if (p)
		tx->pool[large] = p->next;
	else
		p = calloc(1, sizeof(*p) + (large ? LARGE : SMALL));
	if (!p)
		return NULL;
	p->next = NULL;
	p->q = q;
	p->c = c;
	p->large = large;
	p->len = (uint32_t)c->out_len;
	p->state = READING;
	return p;
}

static void work_done(struct fab_op *op, int status)
{
	struct packet *p = container_of(op, struct packet, op);

	if (!dp_done(p->q, status))
		return;
	p->state = READY;
	dp_schedule(p->q);
}

/* The frame is here: it takes its way through the offload stage. */
static void frame_read(struct packet *p)
{
	p->state = WORKING;
	p->op.done = work_done;
	if (dp_issued(p->q, fab_work(p->q->fab, 0, p->len, &p->op)))
		p->state = READY;
}

static void read_done(struct fab_op *op, int status)
{
	struct packet *p = container_of(op, struct packet, op);

	if (!dp_done(p->q, status))
		return;
	frame_read(p);
	dp_schedule(p->q);
}

/* Into the driver's own buffer, at @at of the frame. */
static void write_back(struct dp_queue *q, const struct packet *p, uint32_t at, uint16_t value)
{
	const struct fab_sg *sg = chain_out(p->c);

	for (uint32_t i = 0; i < p->c->nout; i++, sg++) {
		struct fab_sg field = {sg->iova + at, 2};

		if (at + 2 <= sg->len) {
			fab_write(q->fab, q->space, &field, 1, &value, NULL);
			return;
		}
		if (at < sg->len)
			return;
		at -= sg->len;
	}
}

/* Seeded defects of what is done with the header; false: the frame is dropped. */
static bool seeded(struct dp_queue *q, const struct tx *tx, const struct packet *p,
		   const struct vn_net_hdr *h, struct vqnic_frame *f)
{
	if (f->flags && defect_on(q->defects, DEFECT_TX_CSUM_WRITTEN_BACK))
		write_back(q, p, tx->io->hdr_len + f->csum_start + f->csum_offset, 0xf00d);
	if (!f->flags && h->csum_start >= 14 && f->csum_start + f->csum_offset + 2u <= f->len &&
	    defect_on(q->defects, DEFECT_TX_CSUM_UNASKED)) {
		f->flags = VQNIC_FRAME_NEEDS_CSUM;
		offload_csum((uint8_t *)(uintptr_t)f->data, f->len, f->csum_start, f->csum_offset);
	}
	if (f->gso_type && defect_on(q->defects, DEFECT_TX_HDR_LEN_TRUSTED))
		f->csum_start = (uint16_t)(f->hdr_len - 20);
	return !(h->flags & ~3) || !defect_on(q->defects, DEFECT_TX_UNKNOWN_FLAGS);
}

static void send(struct dp_queue *q, struct tx *tx, struct packet *p)
{
	struct net_io *io = tx->io;
	struct vn_net_hdr h = {0};
	struct vqnic_frame f;

	memcpy(&h, p->data, io->hdr_len < sizeof(h) ? io->hdr_len : sizeof(h));
	f.data = p->data + io->hdr_len;
	f.len = p->len - io->hdr_len;
	f.flags = h.flags & VN_NET_HDR_F_NEEDS_CSUM;
	f.gso_type = h.gso_type;
	f.hdr_len = h.hdr_len;
	f.gso_size = h.gso_size;
	f.csum_start = h.csum_start;
	f.csum_offset = h.csum_offset;
	if (!seeded(q, tx, p, &h, &f))
		return;
	if (defect_on(q->defects, DEFECT_TX_CSUM_FLAG_LOST))
		f.flags = 0;
	if (defect_on(q->defects, DEFECT_TX_DROPS_EVERY_64TH) && !(++tx->count % 64))
		return;
	if (defect_on(q->defects, DEFECT_TX_TRUNCATES) && f.len > 1024)
		f.len = 1024;
	io->learn(io->ctx, q->index / 2, f.data, f.len);
	port_transmit(io->port, &f);
	tx->sent = true;
}

static bool begin(struct dp_queue *q, struct tx *tx, struct chain *c)
{
	struct packet *p;

	if (c->out_len < tx->io->hdr_len || c->out_len > LARGE) {
		/* No frame can be in there; the buffer goes back all the same. */
		tx->io->counters->tx_drops++;
		dp_complete(q, c, 0);
		return true;
	}
	p = packet_new(tx, q, c);
	if (!p) {
		dp_untake(q, 1);
		return false;
	}
	*tx->last = p;
	tx->last = &p->next;
	tx->inflight++;
	p->op.done = read_done;
	if (dp_issued(q, fab_read(q->fab, q->space, chain_out(c), c->nout, p->data, &p->op)))
		frame_read(p);
	return dp_alive(q);
}

static bool tx_work(struct dp_queue *q, unsigned int budget)
{
	struct tx *tx = q->role_ctx;
	bool progress = false;
	struct packet *p;
	struct chain *c;

	while (tx->inflight < q->window && budget-- && (c = dp_take(q))) {
		if (!begin(q, tx, c))
			break;
		progress = true;
		/* With one packet in flight each would cost a round of the loop: end it here. */
		while ((p = tx->first) && p->state == READY) {
			tx->first = p->next;
			if (!tx->first)
				tx->last = &tx->first;
			tx->inflight--;
			send(q, tx, p);
			dp_complete(q, p->c, 0);
			packet_free(tx, p);
		}
	}
	while ((p = tx->first) && p->state == READY && dp_alive(q)) {
		tx->first = p->next;
		if (!tx->first)
			tx->last = &tx->first;
		tx->inflight--;
		send(q, tx, p);
		dp_complete(q, p->c, 0);
		packet_free(tx, p);
		progress = true;
	}
	if (tx->sent) {
		tx->sent = false;
		port_flush(tx->io->port);
	}
	return progress;
}

static bool tx_wants_kick(const struct dp_queue *q)
{
	(void)q;
	return true;
}

static void tx_quiesce(struct dp_queue *q)
{
	(void)q; /* what was begun ends by itself */
}

static unsigned int tx_inflight(const struct dp_queue *q)
{
	return ((const struct tx *)q->role_ctx)->inflight;
}

static void tx_kill(struct dp_queue *q)
{
	struct tx *tx = q->role_ctx;

	while (tx->first) {
		struct packet *p = tx->first;

		tx->first = p->next;
		fab_timer_cancel(q->fab, &p->op);
		packet_free(tx, p);
	}
	tx->last = &tx->first;
	tx->inflight = 0;
}

static void tx_fini(struct dp_queue *q)
{
	struct tx *tx = q->role_ctx;

	for (int i = 0; i < 2; i++) {
		while (tx->pool[i]) {
			struct packet *p = tx->pool[i];

			tx->pool[i] = p->next;
			free(p);
		}
	}
	free(tx);
}

const struct dp_role net_role_tx = {
	.name = "transmit",
	.work = tx_work,
	.wants_kick = tx_wants_kick,
	.quiesce = tx_quiesce,
	.inflight = tx_inflight,
	.kill = tx_kill,
	.fini = tx_fini,
};

int net_tx_init(struct dp_queue *q, struct net_io *io)
{
	struct tx *tx = calloc(1, sizeof(*tx));

	if (!tx)
		return -ENOMEM;
	tx->io = io;
	tx->last = &tx->first;
	q->role = &net_role_tx;
	q->role_ctx = tx;
	return 0;
}
