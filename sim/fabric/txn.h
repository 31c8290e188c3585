/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accesses that take time: the ordering engine under the untimed fabrics
 *
 * How it works. An access is a group of pieces (txn), one contiguous range each. Posted pieces
 * (writes, set_bits, interrupts) of a space wait in one queue and are carried out strictly in the
 * order of issue; a read is carried out once it is due and every posted piece issued before it has
 * been. A piece of memory that is reached by messages waits for the client's answer; what was
 * posted behind it waits with it. The caller decides by a delay function when a piece becomes due,
 * which is all that direct.c and delayed.c differ in.
 */
#ifndef VN_TXN_H
#define VN_TXN_H

#include "fabric.h"
#include "translation.h"

/**
 * struct txn_policy - when things become due
 * @delay: ps until a piece is carried out
 * @reply: ps from the last piece until op->done runs
 * @split: longest piece for an access of @len bytes; pieces end at multiples of it
 */
struct txn_policy {
	uint64_t (*delay)(struct fabric *fab);
	uint64_t (*reply)(struct fabric *fab);
	uint32_t (*split)(struct fabric *fab, uint64_t len, bool write);
};

int txn_read(struct fabric *fab, const struct txn_policy *policy, struct iova_space *space,
	     const struct fab_sg *sg, unsigned int n, void *dst, struct fab_op *op);
int txn_write(struct fabric *fab, const struct txn_policy *policy, struct iova_space *space,
	      const struct fab_sg *sg, unsigned int n, const void *src, struct fab_op *op);
int txn_set_bits(struct fabric *fab, const struct txn_policy *policy, struct iova_space *space,
		 uint64_t iova, uint8_t bits, struct fab_op *op);
int txn_irq(struct fabric *fab, const struct txn_policy *policy, struct iova_space *space,
	    const struct fab_irq *irq);

/** txn_idle() - nothing is under way in @space */
bool txn_idle(const struct iova_space *space);

void txn_revoke(struct fabric *fab, struct iova_space *space, uint64_t iova, uint64_t last,
		bool cancel);

/** txn_posted_writes() - tell @fn of each write that was issued and is not yet visible */
void txn_posted_writes(const struct iova_space *space,
		       void (*fn)(void *ctx, uint64_t iova, uint64_t len), void *ctx);

/** txn_answer() - the client answered message access @token; -ENOENT */
int txn_answer(struct iova_space *space, uint64_t token, int status, const void *data,
	       uint32_t len);

/** txn_release() - free the engine of a space; cancels what is under way */
void txn_release(struct iova_space *space);

/* Copies between host memory and a buffer with the atomicity that fabric.h promises. */
void mem_sample(void *dst, const uint8_t *host, uint64_t len);
void mem_store(uint8_t *host, const void *src, uint64_t len);

#endif
