/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's side of a virtqueue, split or packed, and an oracle for the device's side
 *
 * How it works. A ring lies in memory of a struct dma, its three areas in allocations of their own.
 * vring_add() writes descriptors of one buffer, vring_publish() makes all added buffers available
 * at once, vring_kick() asks the device's event suppression whether it wants a doorbell and rings.
 * vring_get() takes one used buffer. Everything that the device may not write is remembered and
 * compared, and everything it writes is judged; the check fails with a sentence if
 *
 *  - a used id is not outstanding (never offered, or used twice), or, with IN_ORDER, not the next;
 *  - a used length is larger than the writable bytes of the buffer;
 *  - the used index (split) jumps over what was offered, or goes back;
 *  - a descriptor, the available ring or a part of the used ring that nothing is due in changed.
 *
 * Positions. `base` starts a ring anywhere: split, avail and used are free-running indices; packed,
 * they are offsets with a wrap counter each. Where used lies behind avail at the start, the entries
 * between count as lost: nothing is offered in them and nothing will come back for them.
 *
 * The raw functions write anything anywhere for hostile checks; the first call switches the oracle
 * off for this ring.
 */
#ifndef VC_DRIVER_VRING_H
#define VC_DRIVER_VRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dma.h"

struct vring;

/** struct vring_sg - a piece of a buffer; pieces the device reads come before those it writes */
struct vring_sg {
	uint64_t iova;
	uint32_t len;
	bool write; /* by the device */
};

/**
 * struct vring_options - what a ring is; the features must be the negotiated ones
 * @size:     entries; split: a power of two
 * @base:     where the device starts; NULL: the beginning (packed: both wrap counters 1)
 * @max_sg:   longest buffer in pieces, for indirect tables; 0: 16
 */
struct vring_options {
	bool packed;
	bool event_idx;
	bool indirect;
	bool in_order;
	bool notification_data;
	uint16_t size;
	const struct vq_state *base;
	unsigned int max_sg;
};

/** vring_create() - a ring in @dma, not yet known to the parent */
struct vring *vring_create(struct test *t, struct dma *dma, const struct vring_options *opts);
void vring_destroy(struct vring *r);

/** vring_area() - descriptor (0), driver (1) and device (2) area, for set_vq_address */
const struct dma_mem *vring_area(const struct vring *r, unsigned int area);

/**
 * vring_program() - tell the parent: addresses, size, position (if it is not the beginning or
 * @force_state), call eventfd; not ready. The position is @state, or the ring's own base if NULL.
 */
void vring_program(struct vring *r, unsigned int q, const struct vq_state *state, bool force_state);

/** vring_state() - where a device that has taken and used all that this side knows of stands */
struct vq_state vring_state(const struct vring *r);

unsigned int vring_queue(const struct vring *r); /* number given to vring_program() */
uint16_t vring_size(const struct vring *r);
bool vring_is_packed(const struct vring *r);

/* ---- Offering ------------------------------------------------------------------------------ */

#define VRING_NO_INDIRECT 1u /* even if negotiated */
#define VRING_INDIRECT	  2u /* even for a single piece */

/** vring_free() - descriptors (packed: slots) left */
unsigned int vring_free(const struct vring *r);

/** vring_outstanding() - buffers offered (also unpublished) and not yet taken back */
unsigned int vring_outstanding(const struct vring *r);

/**
 * vring_add() - one buffer of @n pieces; not visible before vring_publish()
 * @cookie: comes back with the used buffer
 * Return: 0; -ENOSPC no room. Readable pieces behind writable ones break the check (a bug of it).
 */
int vring_add(struct vring *r, const struct vring_sg *sg, unsigned int n, unsigned int flags,
	      void *cookie);

/** vring_publish() - make the next @n added buffers available (0: all); returns how many */
unsigned int vring_publish(struct vring *r, unsigned int n);

/** vring_wants_kick() - by flags or event index, for what was published since the last asking */
bool vring_wants_kick(struct vring *r);

/** vring_kick() - ring the doorbell if it is wanted; vring_kick_now(): in any case */
void vring_kick(struct vring *r);
void vring_kick_now(struct vring *r);

/** vring_kicks() - doorbells rung by these two */
unsigned int vring_kicks(const struct vring *r);

/* ---- Taking back --------------------------------------------------------------------------- */

/** struct vring_used - a buffer that came back */
struct vring_used {
	void *cookie;
	uint16_t id;
	uint32_t len;
	uint32_t writable; /* bytes the device might have written */
};

/** vring_get() - take the oldest used buffer; false: there is none. Judges it. */
bool vring_get(struct vring *r, struct vring_used *used);

/** vring_pending() - would vring_get() find one? Judges nothing. */
bool vring_pending(const struct vring *r);

/** vring_wait() - wait until vring_get() finds one; false after @timeout_ms (0: 2 s) */
bool vring_wait(struct vring *r, unsigned int timeout_ms);

/** vring_check() - compare all that the device may not have written; part of vring_get() too */
void vring_check(struct vring *r);

/** vring_drop() - give up what is outstanding after the device was reset; the ring is as created
 *  with @base (NULL: the beginning) */
void vring_drop(struct vring *r, const struct vq_state *base);

/* ---- Interrupts ---------------------------------------------------------------------------- */

/** vring_call_fd() - the eventfd given to the parent by vring_program() */
int vring_call_fd(const struct vring *r);

/** vring_calls() - interrupts since the last asking (an eventfd may fold several into one) */
uint64_t vring_calls(struct vring *r);

/** vring_wait_call() - wait until at least one came; false after @timeout_ms (0: 2 s) */
bool vring_wait_call(struct vring *r, unsigned int timeout_ms);

/** vring_call_disable() - advise the device not to interrupt */
void vring_call_disable(struct vring *r);

/**
 * vring_call_enable() - advise it to interrupt for the next used buffer
 * Return: true if used buffers are already there (look again: the edge may be lost).
 */
bool vring_call_enable(struct vring *r);

/** vring_call_after() - with event index: interrupt once the @n-th used buffer from now is there
 *  (1 is the next). Packed: @n counts slots. Return: as vring_call_enable() */
bool vring_call_after(struct vring *r, uint16_t n);

/* ---- Raw ----------------------------------------------------------------------------------- */

/** vring_oracle() - switch the judging of this ring on or off (raw calls switch it off) */
void vring_oracle(struct vring *r, bool on);

/** vring_raw_desc() - descriptor @slot: split: @id_next is next; packed: id, @flags as they are */
void vring_raw_desc(struct vring *r, uint16_t slot, uint64_t addr, uint32_t len, uint16_t flags,
		    uint16_t id_next);

/** vring_raw_avail() - split: entry of free-running index @idx; vring_raw_avail_idx(): the index */
void vring_raw_avail(struct vring *r, uint16_t idx, uint16_t head);
void vring_raw_avail_idx(struct vring *r, uint16_t idx);
uint16_t vring_raw_get_avail_idx(const struct vring *r);

/** vring_raw_avail_flags() - packed: the AVAIL and USED bits that make @slot available now */
uint16_t vring_raw_avail_flags(const struct vring *r);

/** vring_raw_used_idx() - split; vring_raw_used(): split: used entry, packed: descriptor's id, len
 */
uint16_t vring_raw_used_idx(const struct vring *r);
void vring_raw_used(const struct vring *r, uint16_t slot, uint32_t *id, uint32_t *len);

/** vring_raw_used_flags() - split: flags of the used ring; packed: flags of the device event area
 */
uint16_t vring_raw_used_flags(const struct vring *r);

/** vring_raw_event() - what the device wrote to ask for kicks: split avail_event; packed off_wrap
 */
uint16_t vring_raw_event(const struct vring *r);

/** vring_raw_set_event() - what this side asks for: split: flags and used_event; packed: flags,
 * off_wrap */
void vring_raw_set_event(struct vring *r, uint16_t flags, uint16_t event);

/** vring_next_slot() - split: avail index; packed: offset that the next buffer is put at */
uint16_t vring_next_slot(const struct vring *r);

#endif
