/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fabrics and the IOVA database
 *
 * The order that fabric.h promises is tested as a property: seeded random programs of writes, reads
 * and interrupts run on the delayed fabric, and whatever the delays, no promise may be broken; that
 * the delays do reorder what may be reordered is tested as well, or the rest would prove nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../util.h"
#include "fabric.h"
#include "translation.h"
#include "txn.h"

#define PAGE UINT64_C(4096)
#define BASE UINT64_C(0x10000)

struct rig {
	struct fabric *fab;
	struct iova_space *space;
	uint8_t *mem;
	int fd;
};

static int memory(size_t size)
{
	int fd = memfd_create("fabric-test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static int map_at(struct iova_space *space, uint64_t iova, uint64_t size, int fd, uint64_t offset,
		  uint32_t prot)
{
	struct vqnic_dma_map map = {
		.iova = iova, .size = size, .fd = fd, .offset = offset, .prot = prot};

	return iova_space_map(space, &map);
}

static void rig_up(struct rig *r, uint64_t seed, bool delayed)
{
	r->fd = memory(16 * PAGE);
	r->mem = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	assert_ptr_not_equal(r->mem, MAP_FAILED);
	assert_int_equal(delayed ? fabric_delayed_create(seed, 1000000, &r->fab)
				 : fabric_direct_create(&r->fab),
			 0);
	assert_int_equal(iova_space_create(0, 0, 64, &r->space), 0);
	assert_int_equal(map_at(r->space, BASE, 16 * PAGE, r->fd, 0, 3), 0);
}

static void rig_down(struct rig *r)
{
	iova_space_destroy(r->space);
	r->fab->ops->destroy(r->fab);
	munmap(r->mem, 16 * PAGE);
	close(r->fd);
}

static void run_all(struct fabric *fab)
{
	while (fab_run(fab, 1000))
		;
}

/* ---- Events ---------------------------------------------------------------------------------- */

static unsigned int order[16], ran;

struct event {
	struct fab_op op;
	unsigned int id;
};

static void event_ran(struct fab_op *op, int status)
{
	assert_int_equal(status, 0);
	order[ran++] = container_of(op, struct event, op)->id;
}

static void events_in_order(void **state)
{
	static const uint64_t when[] = {50, 10, 50, 0, 30, 10, 20};
	static const unsigned int want[] = {3, 1, 5, 4, 0, 2};
	struct event e[7] = {0};
	struct fabric *fab;

	(void)state;
	ran = 0;
	assert_int_equal(fabric_direct_create(&fab), 0);
	for (unsigned int i = 0; i < 7; i++) {
		e[i].id = i;
		e[i].op.done = event_ran;
		assert_int_equal(fab_timer(fab, when[i], &e[i].op), 0);
	}
	assert_int_equal(fab_timer(fab, 99, &e[0].op), -EBUSY);
	fab_timer_cancel(fab, &e[6].op);
	fab_timer_cancel(fab, &e[6].op); /* nothing to take back: no harm */
	assert_int_equal(fab_next_event(fab), 0);
	assert_int_equal(fab_run_to(fab, 29), 3);
	assert_int_equal(fab_now(fab), 29);
	assert_int_equal(fab_run_to(fab, 28), -EINVAL);
	assert_int_equal(fab_next_event(fab), 30);
	assert_int_equal(fab_run_until(fab, 100, 1), 1);
	assert_int_equal(fab_now(fab), 30); /* not all ran: time has not come so far */
	assert_int_equal(fab_run_until(fab, 100, 10), 2);
	assert_int_equal(fab_now(fab), 100);
	assert_int_equal(ran, 6);
	assert_memory_equal(order, want, sizeof(want));
	assert_true(fab_next_event(fab) == FAB_NEVER);
	fab->ops->destroy(fab);
}

static void cancel_what_is_ready(void **state)
{
	struct event e[3] = {0};
	struct fabric *fab;

	(void)state;
	ran = 0;
	assert_int_equal(fabric_direct_create(&fab), 0);
	for (unsigned int i = 0; i < 3; i++) {
		e[i].id = i;
		e[i].op.done = event_ran;
		fab_soon(fab, &e[i].op);
		fab_soon(fab, &e[i].op); /* queued once */
	}
	fab_timer_cancel(fab, &e[2].op); /* the tail */
	fab_timer_cancel(fab, &e[0].op); /* the head */
	fab_soon(fab, &e[2].op);
	assert_int_equal(fab_run(fab, 10), 2);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 2);
	fab->ops->destroy(fab);
}

/* ---- Translation ----------------------------------------------------------------------------- */

static void maps(void **state)
{
	struct iova_space *s;
	int fd = memory(8 * PAGE);
	const struct iova_map *m;
	int pipes[2];

	(void)state;
	assert_int_equal(iova_space_create(0, 0, 4, &s), 0);
	assert_int_equal(map_at(s, BASE, 0, fd, 0, 3), -EINVAL);
	assert_int_equal(map_at(s, UINT64_MAX - 10, 100, fd, 0, 3), -EINVAL);
	assert_int_equal(map_at(s, BASE, PAGE, fd, 0, 7), -EINVAL);
	assert_int_equal(map_at(s, BASE, 9 * PAGE, fd, 0, 3), -EINVAL);	     /* beyond the file */
	assert_int_equal(map_at(s, BASE, PAGE, fd, UINT64_MAX, 3), -EINVAL); /* wraps */
	assert_int_equal(map_at(s, BASE, PAGE, 999, 0, 3), -EBADF);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(map_at(s, BASE, PAGE, pipes[0], 0, 3), -EINVAL); /* no memory */
	close(pipes[0]);
	close(pipes[1]);

	assert_int_equal(map_at(s, BASE, 4 * PAGE, fd, PAGE, 3), 0);
	assert_int_equal(map_at(s, BASE + 3 * PAGE, PAGE, fd, 0, 3), -EEXIST);
	assert_int_equal(map_at(s, BASE - PAGE, 2 * PAGE, fd, 0, 3), -EEXIST);
	assert_int_equal(map_at(s, BASE - PAGE, PAGE, fd, 0, VQNIC_PROT_READ), 0);
	close(fd); /* the space keeps what it mapped */

	assert_null(iova_space_find(s, BASE - PAGE - 1, 0));
	assert_non_null(iova_space_find(s, BASE - 1, VQNIC_PROT_READ));
	assert_null(iova_space_find(s, BASE - 1, VQNIC_PROT_WRITE));
	assert_non_null(iova_space_find(s, BASE + 4 * PAGE - 1, 3));
	assert_null(iova_space_find(s, BASE + 4 * PAGE, 0));

	/* a hole in the middle: both halves stay, at the right place of the file */
	m = iova_space_find(s, BASE + 3 * PAGE, 3);
	m->host[3 * PAGE] = 0x5a;
	assert_int_equal(iova_space_unmap(s, BASE + PAGE, BASE + 2 * PAGE - 1), PAGE);
	assert_non_null(iova_space_find(s, BASE, 3));
	assert_null(iova_space_find(s, BASE + PAGE, 0));
	m = iova_space_find(s, BASE + 3 * PAGE, 3);
	assert_int_equal(m->iova, BASE + 2 * PAGE);
	assert_int_equal(m->host[PAGE], 0x5a);

	/* nothing mapped there; more than is mapped; all */
	assert_int_equal(iova_space_unmap(s, BASE + PAGE, BASE + 2 * PAGE - 1), 0);
	assert_int_equal(iova_space_unmap(s, BASE + 3 * PAGE, UINT64_MAX), PAGE);
	assert_int_equal(iova_space_unmap(s, 0, UINT64_MAX), 3 * PAGE);
	assert_int_equal(s->maps, 0);
	iova_space_destroy(s);
}

static void too_many_maps(void **state)
{
	struct iova_space *s;
	int fd = memory(PAGE);

	(void)state;
	assert_int_equal(iova_space_create(0, 0, 3, &s), 0);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(map_at(s, i * PAGE, PAGE, fd, 0, 3), 0);
	assert_int_equal(map_at(s, 3 * PAGE, PAGE, fd, 0, 3), -ENOSPC);
	iova_space_unmap(s, 0, PAGE - 1);
	assert_int_equal(map_at(s, 3 * PAGE, PAGE, fd, 0, 3), 0);
	close(fd);
	iova_space_destroy(s);
}

/* The top of the address space can be mapped, and an access may not run over it. */
static void top_of_the_space(void **state)
{
	struct fab_sg sg = {UINT64_MAX - 63, 64};
	struct fab_op op = {0};
	struct rig r;
	uint8_t buf[128];

	(void)state;
	rig_up(&r, 0, false);
	assert_int_equal(map_at(r.space, UINT64_MAX - PAGE + 1, PAGE, r.fd, 0, 3), 0);
	assert_int_equal(fab_read(r.fab, r.space, &sg, 1, buf, &op), 1);
	sg.len = 65;
	assert_int_equal(fab_read(r.fab, r.space, &sg, 1, buf, &op), -EFAULT);
	rig_down(&r);
}

/* A client shrinks its file: zeroes are read, nobody dies. */
static void shrunk_file(void **state)
{
	struct fab_sg sg = {BASE + 8 * PAGE, 16};
	struct fab_op op = {0};
	uint8_t buf[16];
	struct rig r;

	(void)state;
	assert_int_equal(backing_guard(), 0);
	rig_up(&r, 0, false);
	memset(r.mem + 8 * PAGE, 0xff, 16);
	assert_int_equal(ftruncate(r.fd, (off_t)PAGE), 0);
	assert_int_equal(fab_read(r.fab, r.space, &sg, 1, buf, &op), 1);
	assert_int_equal(buf[0], 0);
	assert_int_equal(fab_write(r.fab, r.space, &sg, 1, "0123456789abcdef", &op), 1);
	rig_down(&r);
}

/* ---- Order ----------------------------------------------------------------------------------- */

#define STEPS 60

struct access {
	struct fab_op op;
	unsigned int step;
	bool is_read, done;
	uint64_t value;
	int status;
};

static struct access accesses[STEPS];
static unsigned int completed[STEPS], completions, inversions;
static struct rig *current;
static unsigned int last_written_before_irq, interrupts_seen;

static void access_done(struct fab_op *op, int status)
{
	struct access *a = container_of(op, struct access, op);

	assert_false(a->done);
	a->done = true;
	a->status = status;
	if (completions && completed[completions - 1] > a->step)
		inversions++;
	completed[completions++] = a->step;
}

/* An interrupt finds everything that was written before it. */
static void irq_fired(void *ctx, unsigned int vector)
{
	uint64_t v;

	(void)ctx;
	memcpy(&v, current->mem, 8);
	assert_true(v >= vector);
	if (vector > last_written_before_irq)
		last_written_before_irq = vector;
	interrupts_seen++;
}

/*
 * Step n writes n over the word at 0 (and 4 KiB of n elsewhere), or reads the word, or interrupts.
 * A read must see a value no older than the last write issued before it.
 */
static void random_program(uint64_t seed)
{
	unsigned int last_write[STEPS] = {0}, writes = 0, interrupts = 0;
	struct rng rng = {seed};
	uint8_t block[4096];
	struct rig r;

	rig_up(&r, seed, true);
	current = &r;
	memset(accesses, 0, sizeof(accesses));
	completions = 0;
	interrupts_seen = 0;
	for (unsigned int n = 1; n < STEPS; n++) {
		struct access *a = &accesses[n];
		struct fab_sg sg[2] = {{BASE + PAGE, 4096}, {BASE, 8}};

		a->step = n;
		a->op.done = access_done;
		last_write[n] = writes;
		switch (rng_below(&rng, 4)) {
		case 0: {
			/* the word is the last piece: whoever sees it sees the block */
			uint8_t both[4096 + 8];
			uint64_t v = n;

			memset(both, (int)n, 4096);
			memcpy(both + 4096, &v, 8);
			assert_int_equal(fab_write(r.fab, r.space, sg, 2, both, &a->op), 0);
			writes = n;
			break;
		}
		case 1:
		case 2:
			a->is_read = true;
			sg[0] = (struct fab_sg){BASE, 8};
			assert_int_equal(fab_read(r.fab, r.space, sg, 1, &a->value, &a->op), 0);
			break;
		default: {
			struct fab_irq irq = {.fire = irq_fired, .vector = writes};

			a->done = true;
			interrupts++;
			assert_true(fab_irq(r.fab, r.space, &irq) >= 0);
		}
		}
		fab_run(r.fab, (unsigned int)rng_below(&rng, 6));
		memcpy(block, r.mem + PAGE, 4096);
		/* the block can't be older than the word that follows it */
		uint64_t word;

		memcpy(&word, r.mem, 8);
		if (word)
			assert_true(block[4095] >= (uint8_t)word);
	}
	run_all(r.fab);
	for (unsigned int n = 1; n < STEPS; n++) {
		assert_true(accesses[n].done);
		assert_int_equal(accesses[n].status, 0);
		if (accesses[n].is_read)
			assert_true(accesses[n].value >= last_write[n]);
	}
	assert_int_equal(interrupts_seen, interrupts);
	rig_down(&r);
}

static void order_holds(void **state)
{
	(void)state;
	inversions = 0;
	for (uint64_t seed = 1; seed <= 300; seed++)
		random_program(seed);
	assert_true(inversions > 300); /* and yet things do overtake each other */
}

/* A descriptor is sampled whole, or its upper half first: flags that are new mean the rest is, too.
 */
static void descriptors_are_sampled_well(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct fab_sg sg = {BASE, 512};
		uint64_t words[64];
		struct access a = {.op.done = access_done};
		struct rig r;
		unsigned int i = 0;

		rig_up(&r, seed, true);
		completions = 0;
		assert_int_equal(fab_read(r.fab, r.space, &sg, 1, words, &a.op), 0);
		/* a driver writes low halves, then high ones, between any two events */
		while (!a.done) {
			uint64_t one = 1;

			if (i < 64)
				memcpy(r.mem + 8 * i, &one, 8);
			i++;
			assert_true(fab_run(r.fab, 1));
		}
		for (i = 0; i < 64; i += 2)
			assert_true(!words[i + 1] || words[i]);
		rig_down(&r);
	}
}

/* ---- Messages and revocation ------------------------------------------------------------------
 */

static struct asked {
	bool write;
	uint64_t iova, token;
	uint32_t len;
	uint8_t data[4096];
} asked[8];
static unsigned int asks;

static int ask_read(void *ctx, uint64_t iova, uint32_t len, uint64_t token)
{
	(void)ctx;
	asked[asks++] = (struct asked){.iova = iova, .len = len, .token = token};
	return 0;
}

static int ask_write(void *ctx, uint64_t iova, const void *data, uint32_t len, uint64_t token)
{
	(void)ctx;
	asked[asks] = (struct asked){.write = true, .iova = iova, .len = len, .token = token};
	memcpy(asked[asks++].data, data, len);
	return 0;
}

static const struct vqnic_dma_ops ask = {ask_read, ask_write};

/* Memory without a descriptor: read and written by message, in order with what is mapped here. */
static void messages(void **state)
{
	struct fab_sg far = {0x900000, 8}, near = {BASE, 8};
	struct fab_irq irq = {.fire = irq_fired, .vector = 0};
	struct access w = {.op.done = access_done}, rd = {.op.done = access_done};
	uint64_t value = 0;
	struct rig r;

	(void)state;
	rig_up(&r, 0, false);
	current = &r;
	asks = 0;
	completions = 0;
	interrupts_seen = 0;
	iova_space_set_ops(r.space, &ask, NULL);
	assert_int_equal(map_at(r.space, 0x900000, PAGE, -1, 0, 3), 0);
	assert_int_equal(fab_write(r.fab, r.space, &far, 1, "ABCDEFGH", &w.op), 0);
	/* what is posted behind it waits, though it could be done here and now */
	assert_int_equal(fab_write(r.fab, r.space, &near, 1, "abcdefgh", NULL), 0);
	assert_int_equal(fab_irq(r.fab, r.space, &irq), 0);
	assert_int_equal(fab_read(r.fab, r.space, &far, 1, &value, &rd.op), 0);
	run_all(r.fab);
	assert_int_equal(asks, 1);
	assert_true(asked[0].write && asked[0].iova == 0x900000 && asked[0].len == 8);
	assert_memory_equal(asked[0].data, "ABCDEFGH", 8);
	assert_int_equal(r.mem[0], 0);
	assert_int_equal(interrupts_seen, 0);
	assert_int_equal(txn_answer(r.space, asked[0].token + 77, 0, NULL, 0), -ENOENT);
	assert_int_equal(txn_answer(r.space, asked[0].token, 0, NULL, 0), 0);
	run_all(r.fab);
	assert_memory_equal(r.mem, "abcdefgh", 8);
	assert_int_equal(interrupts_seen, 1);
	assert_true(w.done && !w.status && !rd.done);
	assert_int_equal(asks, 2);
	/* an answer of the wrong length fails the access; so would an error */
	assert_int_equal(txn_answer(r.space, asked[1].token, 0, "123", 3), 0);
	run_all(r.fab);
	assert_int_equal(rd.status, -EFAULT);
	assert_int_equal(txn_answer(r.space, asked[1].token, 0, "12345678", 8), -ENOENT);
	rd.done = false;
	assert_int_equal(fab_read(r.fab, r.space, &far, 1, &value, &rd.op), 0);
	run_all(r.fab);
	assert_int_equal(txn_answer(r.space, asked[2].token, 0, "12345678", 8), 0);
	run_all(r.fab);
	assert_int_equal(rd.status, 0);
	assert_memory_equal(&value, "12345678", 8);
	/* no atomic OR by message */
	assert_int_equal(fab_set_bits(r.fab, r.space, 0x900000, 1, NULL), -EFAULT);
	rig_down(&r);
}

/* An unmap ends what is under way: carried out if it is here, failed if the client would have to.
 */
static void revoke_finishes(void **state)
{
	struct fab_sg near = {BASE, 8}, far = {0x900000, 8};
	struct access w = {.op.done = access_done}, rd = {.op.done = access_done};
	uint64_t value;
	struct rig r;

	(void)state;
	rig_up(&r, 3, true);
	completions = 0;
	asks = 0;
	iova_space_set_ops(r.space, &ask, NULL);
	assert_int_equal(map_at(r.space, 0x900000, PAGE, -1, 0, 3), 0);
	assert_int_equal(fab_write(r.fab, r.space, &near, 1, "abcdefgh", &w.op), 0);
	assert_int_equal(fab_read(r.fab, r.space, &far, 1, &value, &rd.op), 0);
	run_all(r.fab);
	assert_true(w.done && !rd.done);
	w.done = false;
	assert_int_equal(fab_write(r.fab, r.space, &near, 1, "ABCDEFGH", &w.op), 0);
	fab_revoke(r.fab, r.space, BASE, BASE + PAGE - 1, false);
	assert_memory_equal(r.mem, "ABCDEFGH", 8);
	iova_space_unmap(r.space, BASE, BASE + PAGE - 1);
	run_all(r.fab);
	assert_true(w.done && !w.status && !rd.done);
	fab_revoke(r.fab, r.space, 0x900000, 0x900000 + PAGE - 1, false);
	run_all(r.fab);
	assert_true(rd.done);
	assert_int_equal(rd.status, -EFAULT);
	assert_int_equal(txn_answer(r.space, asked[0].token, 0, "12345678", 8), -ENOENT);
	rig_down(&r);
}

/* A reset drops it: nothing is written, nobody is interrupted, every op is told once. */
static void revoke_cancels(void **state)
{
	struct fab_irq irq = {.fire = irq_fired, .vector = 0};
	struct fab_sg near = {BASE, 8};

	(void)state;
	for (uint64_t seed = 1; seed < 40; seed++) {
		struct access a[10] = {0};
		uint64_t value;
		struct rig r;

		rig_up(&r, seed, true);
		current = &r;
		completions = 0;
		for (unsigned int i = 0; i < 10; i++) {
			a[i].op.done = access_done;
			assert_int_equal(
				i % 2 ? fab_read(r.fab, r.space, &near, 1, &value, &a[i].op)
				      : fab_write(r.fab, r.space, &near, 1, "abcdefgh", &a[i].op),
				0);
			fab_irq(r.fab, r.space, &irq);
		}
		fab_run(r.fab, (unsigned int)seed % 20);
		interrupts_seen = 0;
		memset(r.mem, 0, 8);
		fab_revoke(r.fab, r.space, 0, UINT64_MAX, true);
		assert_true(fab_next_event(r.fab) == FAB_NEVER);
		for (unsigned int i = 0; i < 10; i++)
			assert_true(a[i].done);
		assert_int_equal(r.mem[0], 0);
		assert_int_equal(interrupts_seen, 0);
		rig_down(&r);
	}
}

/* Whatever is not mapped faults, on both fabrics, and touches nothing. */
static void faults(void **state)
{
	(void)state;
	for (int delayed = 0; delayed < 2; delayed++) {
		struct fab_sg over[2] = {{BASE, 16}, {BASE + 16 * PAGE - 8, 16}};
		struct access a = {.op.done = access_done};
		uint8_t buf[32] = {1, 2, 3}, before[16 * 4096];
		struct rig r;
		int got;

		rig_up(&r, 5, delayed);
		completions = 0;
		memcpy(before, r.mem, sizeof(before));
		got = fab_read(r.fab, r.space, over, 2, buf, &a.op);
		run_all(r.fab);
		assert_int_equal(delayed ? a.status : got, -EFAULT);
		a.done = false;
		got = fab_write(r.fab, r.space, &over[1], 1, buf, &a.op);
		run_all(r.fab);
		assert_int_equal(delayed ? a.status : got, -EFAULT);
		if (!delayed) /* checked as a whole before the first byte */
			assert_memory_equal(before, r.mem, sizeof(before));
		assert_true(r.fab->stats.errors >= 2);
		rig_down(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_in_order),
		cmocka_unit_test(cancel_what_is_ready),
		cmocka_unit_test(maps),
		cmocka_unit_test(too_many_maps),
		cmocka_unit_test(top_of_the_space),
		cmocka_unit_test(shrunk_file),
		cmocka_unit_test(order_holds),
		cmocka_unit_test(descriptors_are_sampled_well),
		cmocka_unit_test(messages),
		cmocka_unit_test(revoke_finishes),
		cmocka_unit_test(revoke_cancels),
		cmocka_unit_test(faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
