/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For unit tests of the driver side: a struct test that can be caught failing, a parent that only
 * remembers, and a reference device for rings
 *
 * How it works. t_fail() and its like jump back into must_end(), which checks the verdict and keeps
 * the sentence. The reference device is the device's side of a virtqueue written from the
 * specification as plainly as possible, with switches for what a faulty one would do: the test
 * itself does the fault through its pointers into the ring.
 */
#ifndef VC_DRIVER_FAKE_TEST_H
#define VC_DRIVER_FAKE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../check.h"
#include "vring.h"

/** struct test - @verdict: how it ended; V_PASS if it did not */
struct test {
	struct parent *p;
	uint64_t seed;
	jmp_buf *back;
	enum verdict verdict;
	char message[512];
};

/** must_end() - @what ends the test with verdict @want; its sentence is in t->message */
void must_end(struct test *t, enum verdict want, void (*what)(void *arg), void *arg);

#define FAKE_MAPS 4096

/** struct fake_parent - what was mapped, and what was said about queue 0 */
struct fake_parent {
	struct parent p;
	struct parent_dma maps[FAKE_MAPS];
	unsigned int nmaps;
	unsigned int kicks;
	uint32_t kick_data;
	int call;
	struct vq_state state;
	bool state_set;
	uint64_t area[3];
	uint16_t size;
	int (*pump)(void *arg);
	void *pump_arg;
};

void fake_open(struct test *t, struct fake_parent *f, uint64_t seed);

/** fake_memory() - where the device finds [@iova, @iova + @len); NULL: not mapped (page by page) */
void *fake_memory(struct fake_parent *f, uint64_t iova, size_t len);

/** struct ref - the reference device on a ring; positions as struct vq_state has them */
struct ref {
	struct fake_parent *f;
	bool packed, event_idx;
	uint16_t size;
	uint8_t *desc, *driver, *device;
	uint16_t avail, used;
	bool avail_wrap, used_wrap;
	uint16_t since; /* used entries (slots) since the last decision to interrupt */
};

#define REF_PIECES 64

/** struct ref_buffer - one that the device took */
struct ref_buffer {
	uint16_t id, slots;
	unsigned int n;
	struct vring_sg sg[REF_PIECES];
	uint32_t readable, writable;
};

void ref_open(struct ref *ref, struct fake_parent *f, const struct vring *r, bool event_idx);
bool ref_take(struct ref *ref, struct ref_buffer *b);
void ref_use(struct ref *ref, const struct ref_buffer *b, uint32_t len);

/** ref_use_batch() - one entry for @n buffers of which @last is the last (IN_ORDER) */
void ref_use_batch(struct ref *ref, const struct ref_buffer *last, unsigned int n,
		   unsigned int slots, uint32_t len);

/** ref_wants() - would the device interrupt now, for what it used since it asked last? */
bool ref_wants(struct ref *ref);

/** ref_ask() - ask for a kick at the (n+1)-th buffer (slot) from now: avail_event and the like */
void ref_ask(struct ref *ref, uint16_t n);

#endif
