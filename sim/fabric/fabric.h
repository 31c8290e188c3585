/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fabric: host memory, interrupts, work and time as the device sees them
 *
 * How it works. The datapath reaches guest memory only through these calls and learns the time only
 * from them, so that one datapath runs untimed (direct.c), against adversarial delays (delayed.c),
 * and later timed. Ordering is PCIe's:
 *
 *  - writes, set_bits and interrupts of one space become visible in the order of issue (posted);
 *  - a read is sampled after every write of the space issued before it is visible (it pushes them);
 *  - reads complete in any order among each other, and a write issued later may pass them;
 *  - an aligned 16-byte chunk is sampled whole, or its upper 8 bytes first.
 *
 * Completion: 1 means done at once (op->done does not run), 0 means that op->done runs later, from
 * fab_run_to() or fab_revoke(), never inside the call; negative means failed at once (op->done does
 * not run). The caller keeps op and dst alive until then.
 */
#ifndef VN_FABRIC_H
#define VN_FABRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAB_NEVER UINT64_MAX

struct fabric;
struct fab_op;
struct iova_space; /* a requester and one of its address spaces; translation.h */

typedef void (*fab_done_fn)(struct fab_op *op, int status);

/**
 * struct fab_op - something under way; embedded in its owner
 * @done: runs when it has ended; status 0, -EFAULT not mapped, -ECANCELED revoked
 * Others belong to the fabric; zero them before first use.
 */
struct fab_op {
	fab_done_fn done;
	struct fab_op *next;
	uint64_t when;
	uint64_t seq;
	uint32_t slot; /* heap index + 1 of a timer, 0: not queued */
	bool pending;
	void *priv;
};

struct fab_sg {
	uint64_t iova;
	uint32_t len;
};

/** struct fab_irq - an interrupt source; fire() is handed down by the function that owns it */
struct fab_irq {
	void (*fire)(void *ctx, unsigned int vector);
	void *ctx;
	unsigned int vector;
};

struct fab_stats {
	uint64_t reads, writes, read_bytes, write_bytes, errors, interrupts, events;
};

struct fabric_ops {
	const char *name;
	int (*read)(struct fabric *fab, struct iova_space *space, const struct fab_sg *sg,
		    unsigned int n, void *dst, struct fab_op *op);
	int (*write)(struct fabric *fab, struct iova_space *space, const struct fab_sg *sg,
		     unsigned int n, const void *src, struct fab_op *op);
	int (*set_bits)(struct fabric *fab, struct iova_space *space, uint64_t iova, uint8_t bits,
			struct fab_op *op);
	int (*irq)(struct fabric *fab, struct iova_space *space, const struct fab_irq *irq);
	int (*work)(struct fabric *fab, unsigned int stage, uint64_t units, struct fab_op *op);
	void (*revoke)(struct fabric *fab, struct iova_space *space, uint64_t iova, uint64_t last,
		       bool cancel);
	void (*destroy)(struct fabric *fab);
};

/**
 * struct fabric - common part; implementations embed it first
 * @now: simulated time, ps
 */
struct fabric {
	const struct fabric_ops *ops;
	uint64_t now;
	uint64_t seq;
	/* ready: due now, first in first out; timers: binary heap by (when, seq) */
	struct fab_op *ready, **ready_tail;
	struct fab_op **heap;
	unsigned int heap_len, heap_cap;
	struct fab_stats stats;
};

int fabric_init(struct fabric *fab, const struct fabric_ops *ops);
void fabric_fini(struct fabric *fab);

/** fabric_direct_create() - everything completes at once; -ENOMEM */
int fabric_direct_create(struct fabric **fab);

/**
 * fabric_delayed_create() - seeded random delays, in any order that PCIe allows
 * @max_delay_ps: longest single delay
 */
int fabric_delayed_create(uint64_t seed, uint64_t max_delay_ps, struct fabric **fab);

/**
 * fab_read() - read the pieces of @sg one behind the other into @dst
 * Return: 1 done, 0 pending, -EFAULT a byte is not mapped for reading, -ENOMEM.
 */
static inline int fab_read(struct fabric *fab, struct iova_space *space, const struct fab_sg *sg,
			   unsigned int n, void *dst, struct fab_op *op)
{
	return fab->ops->read(fab, space, sg, n, dst, op);
}

/**
 * fab_write() - write @src over the pieces of @sg; @src is copied at issue
 * @op: may be NULL: nobody waits (a failure is only counted)
 */
static inline int fab_write(struct fabric *fab, struct iova_space *space, const struct fab_sg *sg,
			    unsigned int n, const void *src, struct fab_op *op)
{
	return fab->ops->write(fab, space, sg, n, src, op);
}

/** fab_set_bits() - atomically OR @bits into the byte at @iova; ordered as a write */
static inline int fab_set_bits(struct fabric *fab, struct iova_space *space, uint64_t iova,
			       uint8_t bits, struct fab_op *op)
{
	return fab->ops->set_bits(fab, space, iova, bits, op);
}

/** fab_irq() - interrupt, posted behind earlier writes of @space; @irq is copied */
static inline int fab_irq(struct fabric *fab, struct iova_space *space, const struct fab_irq *irq)
{
	return fab->ops->irq(fab, space, irq);
}

/** fab_work() - @units of a pipeline @stage; 1 done at once (costs nothing here), 0 pending */
static inline int fab_work(struct fabric *fab, unsigned int stage, uint64_t units,
			   struct fab_op *op)
{
	return fab->ops->work(fab, stage, units, op);
}

/**
 * fab_revoke() - end in-flight accesses to [@iova, @last] of @space now, in no simulated time
 * @cancel: false: carry them out (memory is still mapped; an unmap waits for them);
 *          true: drop them, op->done gets -ECANCELED (reset). Interrupts of the space are dropped
 *          with @cancel over the whole space, else delivered in order.
 */
static inline void fab_revoke(struct fabric *fab, struct iova_space *space, uint64_t iova,
			      uint64_t last, bool cancel)
{
	fab->ops->revoke(fab, space, iova, last, cancel);
}

/** fab_timer() - run op->done(op, 0) at @t_ps (not before now); -EBUSY if it is already queued */
int fab_timer(struct fabric *fab, uint64_t t_ps, struct fab_op *op);

/** fab_soon() - fab_timer() at the present time, cheaper; nothing if it is queued already */
void fab_soon(struct fabric *fab, struct fab_op *op);

/** fab_timer_cancel() - take a queued timer back; nothing if it is not queued */
void fab_timer_cancel(struct fabric *fab, struct fab_op *op);

static inline uint64_t fab_now(const struct fabric *fab)
{
	return fab->now;
}

uint64_t fab_next_event(const struct fabric *fab);

/** fab_run_to() - run all events up to and at @t_ps; Return: events run, -EINVAL in the past */
int fab_run_to(struct fabric *fab, uint64_t t_ps);

/** fab_run_until() - as fab_run_to(), but at most @budget events; time gets there only if all ran
 */
int fab_run_until(struct fabric *fab, uint64_t t_ps, unsigned int budget);

/** fab_run() - run at most @budget events wherever time goes; Return: events run */
int fab_run(struct fabric *fab, unsigned int budget);

#endif
