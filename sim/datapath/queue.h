/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A queue at work: from fetched descriptors to used buffers
 *
 * How it works. A queue is a window over the ring. Buffers (descriptor chains) are fetched ahead of
 * their use into slots (struct chain), taken by the queue's role (tx.c, rx.c, ctrl.c) in ring
 *order, completed in any order and retired in ring order. Every access goes through the fabric and
 *may take time, so nothing here waits: dp_run() does what can be done now, and each completion
 * schedules it again. With the direct fabric all of it happens in one call.
 *
 *	head ......... taken ......... fetched
 *	   | at work     | fetched ahead  |
 *
 * The position that the device owns (struct vq_pos) moves only when a buffer retires; what was
 * merely fetched ahead is forgotten by a stop, and fetched again.
 *
 * split.c and packed.c know the ring formats; queue.c everything else.
 */
#ifndef VN_QUEUE_H
#define VN_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "../defects/defects.h"
#include "../fabric/fabric.h"
#include "../spec.h"
#include "../util.h"
#include "../vqnic.h"
#include "position.h"

struct dp_queue;

enum chain_state { CHAIN_FETCHING, CHAIN_READY, CHAIN_TAKEN, CHAIN_DONE };

#define SEGS_INLINE 20u	  /* what Linux sends: header, linear part, 17 fragments */
#define SEGS_MAX    1024u /* longest indirect table that is accepted */

/** struct segs - pieces of a buffer; small ones come from a pool of the queue */
struct segs {
	struct segs *next;
	unsigned int cap;
	struct fab_sg sg[];
};

/**
 * struct chain - a buffer that the driver offered
 * @id:     what the used entry names it by
 * @slots:  ring slots that it takes (packed)
 * @more:   the next chain belongs to the same packet: publish together
 * @segs:   device-readable pieces first, @nout of them, then @nin device-writable ones
 * @written: bytes that the used entry reports
 */
struct chain {
	struct fab_op op;
	struct dp_queue *q;
	struct segs *segs;
	struct vn_desc *table;
	struct vn_desc desc;
	uint64_t out_len, in_len;
	uint32_t written;
	uint32_t nout, nin;
	uint32_t seen; /* descriptors of the table looked at: finds loops */
	uint16_t id, slots;
	uint8_t state;
	bool more;
	bool indirect;
};

static inline const struct fab_sg *chain_out(const struct chain *c)
{
	return c->segs ? c->segs->sg : NULL;
}

static inline const struct fab_sg *chain_in(const struct chain *c)
{
	return c->segs ? c->segs->sg + c->nout : NULL;
}

/**
 * struct dp_role - what is done with the buffers of a queue
 * @work:  take ready buffers, move packets on; true if anything changed
 * @wants_kick: would a kick be of use when nothing is available?
 * @quiesce: the queue stops: give back what was taken but not begun (dp_untake); finish the rest
 * @inflight: packets begun and not ended
 * @kill:  forget everything; no access is under way any more
 * @fini:  free what belongs to the role, after kill
 */
struct dp_role {
	const char *name;
	bool (*work)(struct dp_queue *q, unsigned int budget);
	bool (*wants_kick)(const struct dp_queue *q);
	void (*quiesce)(struct dp_queue *q);
	unsigned int (*inflight)(const struct dp_queue *q);
	void (*kill)(struct dp_queue *q);
	void (*fini)(struct dp_queue *q);
};

/** struct dp_up - what the device hands down; @ctx is the device's */
struct dp_up {
	bool (*irq)(void *ctx, unsigned int queue, struct fab_irq *irq);
	void (*broken)(void *ctx, unsigned int queue, const char *why);
	void (*stopped)(void *ctx, unsigned int queue);
};

/** struct dp_log - the dirty log of the device, see dirty_log.h */
struct dirty_log;

enum dp_state {
	DP_STOPPED,
	DP_LOADING, /* reading the used index from memory */
	DP_RUNNING,
	DP_STOPPING, /* packets end, position becomes final */
	DP_ABORTING, /* accesses end, packets are forgotten (reset) */
	DP_BROKEN,   /* the driver broke the rules; only a reset helps */
};

struct dp_format;

struct dp_queue {
	/* Set when the device is made. */
	unsigned int index;
	struct fabric *fab;
	struct iova_space *space;
	const struct defect_set *defects;
	const struct dp_up *up;
	void *up_ctx;
	struct vq_pos *pos;
	struct dirty_log *log;
	struct vqnic_counters *counters;
	uint16_t chains_cap; /* slots allocated, power of two */
	struct chain *chains;
	struct segs *segs_pool;
	const struct dp_role *role;
	void *role_ctx;
	unsigned int window;
	bool rx; /* fetch ahead of what is taken, not of what is retired */

	/* Set when it starts. */
	const struct dp_format *format;
	uint16_t size;
	uint64_t desc, driver, device;
	bool event_idx, indirect_ok, live;

	enum dp_state state;
	struct fab_op event; /* dp_run() is due */
	unsigned int ops;    /* accesses under way */
	uint32_t head, taken, fetched;

	/* Seeded defects' memories. */
	bool seeded_early, seeded_late, seeded_arming, seeded_stop, seeded_kicked;

	bool look;	 /* look for new buffers */
	bool armed;	 /* the driver was asked to kick */
	bool idle_due;	 /* live: enough polling, arm at the next rest */
	bool polling;	 /* live: not armed, looked at by vqnic_poll() */
	bool suppressed; /* the driver was told not to kick */
	bool draining, drained;

	/* Looking for buffers: split. */
	struct fab_op look_op, heads_op;
	uint16_t idx_raw;
	uint16_t known; /* available index last seen */
	uint16_t fetch_idx;
	uint16_t heads[64];
	uint16_t heads_first, heads_n, heads_want;

	/* Looking for buffers: packed. */
	struct vn_packed_desc ahead[32];
	uint16_t ahead_first, ahead_n, ahead_want;
	uint16_t fetch_off;
	bool fetch_wrap;
	struct chain *partial;
	bool reread;

	/* Interrupts. */
	struct fab_op irq_op;
	uint8_t irq_raw[4];
	uint16_t irq_new;
	uint32_t irq_since; /* buffers (packed: slots) since the last decision */
	uint32_t irq_span;
	bool irq_again, irq_wrap;
	uint64_t irq_interval; /* ps between two interrupts at least; 0: no moderation */
	uint64_t irq_next;
	struct fab_op irq_timer;
	uint16_t used_raw;
	struct fab_op drain_op, used_op;
};

/** struct dp_format - a ring format */
struct dp_format {
	/* begin at the position; false: an access is under way, dp_loaded() follows */
	bool (*start)(struct dp_queue *q);
	/* fetch buffers while there is room; true if anything changed */
	bool (*fetch)(struct dp_queue *q);
	/* report the @n oldest chains as used; they end at a packet's end */
	void (*publish)(struct dp_queue *q, uint32_t n);
	/* read what the driver says of interrupts into irq_raw; as fab_read() */
	int (*irq_read)(struct dp_queue *q);
	bool (*irq_wanted)(struct dp_queue *q);
	/* ask for kicks, or ask for none */
	int (*arm)(struct dp_queue *q);
	int (*suppress)(struct dp_queue *q);
};

extern const struct dp_format dp_split, dp_packed;

/* ---- For the device -------------------------------------------------------------------------- */

int dp_queue_init(struct dp_queue *q, uint16_t size_max);
void dp_queue_fini(struct dp_queue *q);

/** struct dp_params - a queue as the driver set it up */
struct dp_params {
	uint16_t size;
	uint64_t desc, driver, device;
	bool packed, event_idx, indirect, live;
};

/** dp_start() - begin at *pos; buffers that are offered already are served */
void dp_start(struct dp_queue *q, const struct dp_params *params);

/** dp_stop() - end what is under way; up->stopped() follows when the position is final */
void dp_stop(struct dp_queue *q);

/** dp_abort() - forget packets, wait for accesses; up->stopped() follows */
void dp_abort(struct dp_queue *q);

/** dp_kill() - the fabric was revoked: nothing is under way; stop now, no callback */
void dp_kill(struct dp_queue *q);

/** dp_look() - a doorbell, or a poll: there may be buffers */
void dp_look(struct dp_queue *q);

/** dp_idle() - live: stop polling, arm */
void dp_idle(struct dp_queue *q);

/* ---- For roles ------------------------------------------------------------------------------- */

/** dp_schedule() - run the queue soon */
void dp_schedule(struct dp_queue *q);

/** dp_take() - oldest buffer that is fetched and not taken; NULL if none (then it is looked for) */
struct chain *dp_take(struct dp_queue *q);

/** dp_untake() - give back the @n buffers taken last */
void dp_untake(struct dp_queue *q, unsigned int n);

/** dp_complete() - a taken buffer is ready to be reported */
void dp_complete(struct dp_queue *q, struct chain *c, uint32_t written);

/** dp_break() - the driver broke the rules: stop, and ask for a reset */
void dp_break(struct dp_queue *q, const char *why);

static inline bool dp_alive(const struct dp_queue *q)
{
	return q->state == DP_RUNNING || q->state == DP_STOPPING;
}

/**
 * dp_issued() - account for the result of a fab_ call; true: done at once
 *
 * Pending: counted, the op's done must call dp_done(). Failed: the queue breaks.
 */
bool dp_issued(struct dp_queue *q, int result);

/** dp_done() - an access has ended; true: go on with it (no error, the queue is alive) */
bool dp_done(struct dp_queue *q, int status);

/* ---- For formats ----------------------------------------------------------------------------- */

struct chain *dp_slot(struct dp_queue *q, uint32_t i);
bool dp_room(const struct dp_queue *q);
struct chain *dp_chain_new(struct dp_queue *q);
void dp_loaded(struct dp_queue *q);

/** dp_chain_add() - a piece; false: the queue broke */
bool dp_chain_add(struct dp_queue *q, struct chain *c, uint64_t addr, uint32_t len, bool write);

/** dp_chain_table() - fetch the indirect table of @c, then it is ready */
void dp_chain_table(struct dp_queue *q, struct chain *c, uint64_t addr, uint32_t len, bool packed);

static inline uint16_t chain_count(const struct dp_queue *q)
{
	return (uint16_t)(q->fetched - q->head);
}

#endif
