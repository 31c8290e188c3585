// SPDX-License-Identifier: BSD-3-Clause
#include "fake_test.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../spec.h"

/** struct bench - a ring of the suite, and the reference device on the other side of it */
struct bench {
	struct test t;
	struct fake_parent f;
	struct dma *dma;
	struct dma_mem mem;
	struct vring *r;
	struct ref ref;
};

static struct bench *up(const struct vring_options *opts, uint64_t seed)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	fake_open(&b->t, &b->f, seed);
	b->dma = dma_open(&b->t, &(struct dma_options){.size = 32 << 20});
	b->mem = dma_alloc_pages(b->dma, 16);
	b->r = vring_create(&b->t, b->dma, opts);
	vring_program(b->r, 0, NULL, false);
	ref_open(&b->ref, &b->f, b->r, opts->event_idx);
	return b;
}

static void down(struct bench *b)
{
	vring_destroy(b->r);
	dma_close(b->dma);
	assert_int_equal(b->f.nmaps, 0);
	free(b);
}

/* add() - a buffer of @nout readable and @nin writable pieces of 16 bytes */
static int add(struct bench *b, unsigned int nout, unsigned int nin, unsigned int flags,
	       void *cookie)
{
	struct vring_sg sg[REF_PIECES];

	for (unsigned int i = 0; i < nout + nin; i++)
		sg[i] = (struct vring_sg){b->mem.iova + 16 * i, 16, i >= nout};
	return vring_add(b->r, sg, nout + nin, flags, cookie);
}

static void *number(uintptr_t n)
{
	return (void *)(n + 1);
}

/* ---- Whole life ---------------------------------------------------------------------------------
 */

/* run() - @n buffers of changing shape, taken and used in any order; everything comes back */
static void run(struct bench *b, unsigned int n, bool shuffle)
{
	struct ref_buffer held[64];
	unsigned int nheld = 0, offered = 0, back = 0;
	uint8_t *seen = calloc(n, 1);

	assert_non_null(seen);
	while (back < n) {
		struct vring_used used;
		unsigned int batch = 1 + (unsigned int)(t_random(&b->t) % 4);

		while (batch-- && offered < n) {
			const unsigned int nout = (unsigned int)(t_random(&b->t) % 3);
			const unsigned int nin = nout ? (unsigned int)(t_random(&b->t) % 3) : 1;

			if (add(b, nout, nin, t_random(&b->t) & 1 ? VRING_NO_INDIRECT : 0,
				number(offered)))
				break;
			offered++;
		}
		vring_publish(b->r, 0);
		while (nheld < 64 && ref_take(&b->ref, &held[nheld]))
			nheld++;
		while (nheld) {
			const unsigned int i =
				shuffle ? (unsigned int)(t_random(&b->t) % nheld) : 0;
			const struct ref_buffer h = held[i];

			if (nheld < 5 && offered < n && t_random(&b->t) % 2 &&
			    vring_outstanding(b->r) < vring_size(b->r))
				break;
			memmove(&held[i], &held[i + 1], (--nheld - i) * sizeof(held[0]));
			ref_use(&b->ref, &h, (uint32_t)(t_random(&b->t) % (h.writable + 1)));
		}
		while (vring_get(b->r, &used)) {
			const unsigned int which = (unsigned int)((uintptr_t)used.cookie - 1);

			assert_true(which < offered);
			assert_int_equal(seen[which], 0);
			seen[which] = 1;
			back++;
		}
	}
	assert_int_equal(vring_outstanding(b->r), 0);
	free(seen);
}

static void test_split(void **state)
{
	static const uint16_t sizes[] = {1, 2, 4, 16, 256};

	(void)state;
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bench *b =
			up(&(struct vring_options){.size = sizes[i], .indirect = true}, i);

		run(b, 2000, sizes[i] > 4);
		assert_int_equal(vring_free(b->r), sizes[i]);
		down(b);
	}
}

static void test_split_wraps_at_65536(void **state)
{
	const struct vq_state base = {.avail = 65530, .used = 65530};
	struct bench *b = up(&(struct vring_options){.size = 8, .base = &base}, 1);

	(void)state;
	assert_true(b->f.state_set);
	assert_int_equal(b->f.state.avail, 65530);
	run(b, 70000, true);
	assert_int_equal(vring_state(b->r).avail, (uint16_t)(65530 + 70000));
	assert_int_equal(vring_state(b->r).used, (uint16_t)(65530 + 70000));
	down(b);
}

static void test_split_used_behind(void **state)
{
	const struct vq_state base = {.avail = 3, .used = 65533};
	struct bench *b = up(&(struct vring_options){.size = 16, .base = &base}, 1);

	(void)state;
	assert_false(vring_pending(b->r));
	run(b, 1000, true);
	assert_int_equal(vring_state(b->r).used, (uint16_t)(65533 + 1000));
	down(b);
}

static void test_packed(void **state)
{
	static const uint16_t sizes[] = {1, 2, 3, 7, 16, 100, 256};

	(void)state;
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bench *b = up(
			&(struct vring_options){.packed = true, .size = sizes[i], .indirect = true},
			i);

		assert_false(b->f.state_set);
		run(b, 3000, sizes[i] > 4);
		assert_int_equal(vring_free(b->r), sizes[i]);
		down(b);
	}
}

static void test_packed_base(void **state)
{
	(void)state;
	for (uint16_t off = 0; off < 7; off++)
		for (unsigned int wrap = 0; wrap < 2; wrap++) {
			const struct vq_state base = {.packed = true,
						      .avail = off,
						      .used = off,
						      .avail_wrap = wrap,
						      .used_wrap = wrap};
			struct bench *b = up(
				&(struct vring_options){.packed = true, .size = 7, .base = &base},
				off);

			assert_int_equal(b->f.state_set, off || !wrap);
			assert_false(vring_pending(b->r));
			run(b, 100, true);
			down(b);
		}
}

static void test_packed_used_behind(void **state)
{
	/* two slots that the device took and never used, over the end of the ring */
	const struct vq_state base = {
		.packed = true, .avail = 1, .used = 7, .avail_wrap = false, .used_wrap = true};
	struct bench *b = up(&(struct vring_options){.packed = true, .size = 8, .base = &base}, 1);

	(void)state;
	assert_int_equal(vring_free(b->r), 6);
	assert_false(vring_pending(b->r));
	/* the lost slots stay lost: the device's used offset trails by two */
	run(b, 200, true);
	assert_int_equal(vring_free(b->r), 6);
	down(b);
}

static void test_cookies_and_lengths(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct bench *b = up(&(struct vring_options){.packed = packed, .size = 8}, packed);
		struct ref_buffer x;
		struct vring_used used;

		assert_int_equal(add(b, 2, 3, 0, number(5)), 0);
		assert_false(ref_take(&b->ref, &x)); /* not published */
		assert_int_equal(vring_publish(b->r, 0), 1);
		assert_true(ref_take(&b->ref, &x));
		assert_int_equal(x.n, 5);
		assert_int_equal(x.readable, 32);
		assert_int_equal(x.writable, 48);
		assert_int_equal(x.sg[4].iova, b->mem.iova + 64);
		assert_true(x.sg[2].write && !x.sg[1].write);
		ref_use(&b->ref, &x, 47);
		assert_true(vring_wait(b->r, 0));
		assert_true(vring_get(b->r, &used));
		assert_ptr_equal(used.cookie, number(5));
		assert_int_equal(used.len, 47);
		assert_int_equal(used.writable, 48);
		assert_false(vring_get(b->r, &used));
		down(b);
	}
}

static void add_backwards(void *arg)
{
	struct bench *b = arg;
	const struct vring_sg sg[2] = {{b->mem.iova, 1, true}, {b->mem.iova, 1, false}};

	vring_add(b->r, sg, 2, 0, NULL);
}

static void test_full_ring(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct bench *b = up(&(struct vring_options){.packed = packed, .size = 4}, packed);

		assert_int_equal(add(b, 3, 0, 0, NULL), 0);
		assert_int_equal(add(b, 2, 0, 0, NULL), -ENOSPC);
		assert_int_equal(add(b, 1, 0, 0, NULL), 0);
		assert_int_equal(add(b, 1, 0, 0, NULL), -ENOSPC);
		assert_int_equal(vring_free(b->r), 0);
		must_end(&b->t, V_BROKEN, add_backwards, b);
		down(b);
	}
}

static void test_publish_in_parts(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct bench *b = up(&(struct vring_options){.packed = packed, .size = 8}, packed);
		struct ref_buffer x;

		for (unsigned int i = 0; i < 3; i++)
			add(b, 1, 1, 0, NULL);
		assert_int_equal(vring_publish(b->r, 2), 2);
		assert_true(ref_take(&b->ref, &x));
		assert_true(ref_take(&b->ref, &x));
		assert_false(ref_take(&b->ref, &x));
		assert_int_equal(vring_publish(b->r, 0), 1);
		assert_true(ref_take(&b->ref, &x));
		assert_int_equal(vring_publish(b->r, 0), 0);
		down(b);
	}
}

static void test_in_order_batches(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct bench *b =
			up(&(struct vring_options){.packed = packed, .size = 16, .in_order = true},
			   packed);

		for (unsigned int lap = 0; lap < 40; lap++) {
			struct ref_buffer x = {0};
			struct vring_used used;
			unsigned int slots = 0;

			for (uintptr_t i = 0; i < 5; i++)
				assert_int_equal(add(b, 1, 1 + i % 2, 0, number(i)), 0);
			vring_publish(b->r, 0);
			for (unsigned int i = 0; i < 5; i++) {
				assert_true(ref_take(&b->ref, &x));
				slots += x.slots;
				if (i == 3) {
					ref_use_batch(&b->ref, &x, 4, slots, 7);
					slots = 0;
				}
			}
			for (uintptr_t i = 0; i < 4; i++) {
				assert_true(vring_get(b->r, &used));
				assert_ptr_equal(used.cookie, number(i));
				/* those without an entry of their own were used completely */
				assert_int_equal(used.len, i < 3 ? used.writable : 7);
			}
			assert_false(vring_get(b->r, &used));
			ref_use_batch(&b->ref, &x, 1, slots, 0);
			assert_true(vring_get(b->r, &used));
			assert_ptr_equal(used.cookie, number(4));
		}
		down(b);
	}
}

/* ---- Notifications
 * ---------------------------------------------------------------------------------- */

static void test_kick_flags(void **state)
{
	struct bench *b = up(&(struct vring_options){.size = 8}, 1);

	(void)state;
	assert_false(vring_wants_kick(b->r)); /* nothing was published */
	add(b, 1, 0, 0, NULL);
	vring_publish(b->r, 0);
	vring_kick(b->r);
	assert_int_equal(b->f.kicks, 1);
	b->ref.device[0] = VC_USED_F_NO_NOTIFY;
	add(b, 1, 0, 0, NULL);
	vring_publish(b->r, 0);
	vring_kick(b->r);
	assert_int_equal(b->f.kicks, 1);
	vring_kick_now(b->r);
	assert_int_equal(b->f.kicks, 2);
	assert_int_equal(vring_kicks(b->r), 2);
	down(b);
}

/* every distance of the event from where the driver stands, and every batch, at the edges */
static void kick_edges(bool packed, const struct vq_state *base)
{
	for (uint16_t event = 0; event < 8; event++)
		for (unsigned int batch = 1; batch <= 8; batch++) {
			struct bench *b = up(&(struct vring_options){.packed = packed,
								     .size = 8,
								     .event_idx = true,
								     .base = base},
					     1);

			ref_ask(&b->ref, event);
			for (unsigned int i = 0; i < batch; i++)
				assert_int_equal(add(b, 1, 0, 0, NULL), 0);
			vring_publish(b->r, 0);
			/* asked for the buffer behind `event` others: it has to be among them */
			assert_int_equal(vring_wants_kick(b->r), event < batch);
			assert_false(vring_wants_kick(b->r)); /* once */
			down(b);
		}
}

static void test_kick_event_split(void **state)
{
	(void)state;
	for (uint16_t at = 65528; at != 4; at++)
		kick_edges(false, &(struct vq_state){.avail = at, .used = at});
}

static void test_kick_event_packed(void **state)
{
	(void)state;
	for (uint16_t at = 0; at < 8; at++)
		for (unsigned int wrap = 0; wrap < 2; wrap++)
			kick_edges(true, &(struct vq_state){.packed = true,
							    .avail = at,
							    .used = at,
							    .avail_wrap = wrap,
							    .used_wrap = wrap});
}

static void test_kick_packed_flags(void **state)
{
	struct bench *b = up(&(struct vring_options){.packed = true, .size = 8}, 1);

	(void)state;
	add(b, 1, 0, 0, NULL);
	vring_publish(b->r, 0);
	assert_true(vring_wants_kick(b->r));
	b->ref.device[2] = VC_PACKED_EVENT_DISABLE;
	add(b, 1, 0, 0, NULL);
	vring_publish(b->r, 0);
	assert_false(vring_wants_kick(b->r));
	down(b);
}

static void test_notification_data(void **state)
{
	const struct vq_state base = {
		.packed = true, .avail = 6, .used = 6, .avail_wrap = true, .used_wrap = true};
	struct bench *b = up(&(struct vring_options){.size = 8, .notification_data = true}, 1);

	(void)state;
	add(b, 1, 0, 0, NULL);
	add(b, 1, 0, 0, NULL);
	vring_publish(b->r, 0);
	vring_kick_now(b->r);
	assert_int_equal(b->f.kick_data, 2u << 16);
	down(b);
	b = up(
		&(struct vring_options){
			.packed = true, .size = 8, .notification_data = true, .base = &base},
		1);
	add(b, 3, 0, 0, NULL);
	vring_publish(b->r, 0);
	vring_kick_now(b->r);
	/* offset 1 of the next lap, whose wrap counter is 0 */
	assert_int_equal(b->f.kick_data, 1u << 16);
	down(b);
}

/* the device uses @batch buffers; the driver asked for an interrupt after the @n-th */
static void call_edges(bool packed, const struct vq_state *base)
{
	for (uint16_t n = 1; n <= 8; n++)
		for (unsigned int batch = 1; batch <= 8; batch++) {
			struct bench *b = up(&(struct vring_options){.packed = packed,
								     .size = 8,
								     .event_idx = true,
								     .base = base},
					     1);
			struct ref_buffer x;

			for (unsigned int i = 0; i < 8; i++)
				assert_int_equal(add(b, 1, 0, 0, NULL), 0);
			vring_publish(b->r, 0);
			assert_false(vring_call_after(b->r, n));
			for (unsigned int i = 0; i < batch; i++) {
				assert_true(ref_take(&b->ref, &x));
				ref_use(&b->ref, &x, 0);
			}
			assert_int_equal(ref_wants(&b->ref), n <= batch);
			vring_call_disable(b->r);
			for (unsigned int i = batch; i < 8; i++) {
				assert_true(ref_take(&b->ref, &x));
				ref_use(&b->ref, &x, 0);
			}
			assert_false(ref_wants(&b->ref));
			assert_true(vring_call_enable(b->r)); /* they are there: look again */
			down(b);
		}
}

static void test_call_event_split(void **state)
{
	(void)state;
	for (uint16_t at = 65528; at != 4; at++)
		call_edges(false, &(struct vq_state){.avail = at, .used = at});
}

static void test_call_event_packed(void **state)
{
	(void)state;
	for (uint16_t at = 0; at < 8; at++)
		for (unsigned int wrap = 0; wrap < 2; wrap++)
			call_edges(true, &(struct vq_state){.packed = true,
							    .avail = at,
							    .used = at,
							    .avail_wrap = wrap,
							    .used_wrap = wrap});
}

static void ask_after(void *arg)
{
	vring_call_after(((struct bench *)arg)->r, 1);
}

static void test_call_flags(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct bench *b = up(&(struct vring_options){.packed = packed, .size = 8}, 1);
		struct ref_buffer x;

		for (unsigned int i = 0; i < 2; i++) {
			add(b, 1, 0, 0, NULL);
			vring_publish(b->r, 0);
			if (i)
				vring_call_disable(b->r);
			else
				assert_false(vring_call_enable(b->r));
			assert_true(ref_take(&b->ref, &x));
			ref_use(&b->ref, &x, 0);
			assert_int_equal(ref_wants(&b->ref), !i);
		}
		must_end(&b->t, V_BROKEN, ask_after, b);
		down(b);
	}
}

static void test_calls(void **state)
{
	struct bench *b = up(&(struct vring_options){.size = 8}, 1);

	(void)state;
	assert_int_equal(b->f.call, vring_call_fd(b->r));
	assert_int_equal(vring_calls(b->r), 0);
	assert_false(vring_wait_call(b->r, 1));
	eventfd_write(b->f.call, 3);
	assert_int_equal(vring_calls(b->r), 3);
	assert_int_equal(vring_calls(b->r), 0);
	eventfd_write(b->f.call, 1);
	assert_true(vring_wait_call(b->r, 1));
	assert_int_equal(vring_calls(b->r), 0);
	down(b);
}

/* ---- The oracle
 * ------------------------------------------------------------------------------------------ */

static void drain(void *arg)
{
	struct vring_used used;

	while (vring_get(((struct bench *)arg)->r, &used))
		;
}

/* offer() - two buffers that the device has taken */
static void offer(struct bench *b, struct ref_buffer x[2])
{
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(add(b, 1, 1, 0, number(i)), 0);
	vring_publish(b->r, 0);
	assert_true(ref_take(&b->ref, &x[0]));
	assert_true(ref_take(&b->ref, &x[1]));
}

/* each fault on a ring of its own, since it can't be trusted afterwards; @says is in the sentence
 */
#define FAULT(packed_, options, says, fault)                                                     \
	do {                                                                                     \
		struct bench *b =                                                                \
			up(&(struct vring_options){.packed = (packed_), .size = 8, options}, 7); \
		struct ref_buffer x[2];                                                          \
		offer(b, x);                                                                     \
		fault;                                                                           \
		must_end(&b->t, V_FAIL, drain, b);                                               \
		if (!strstr(b->t.message, says))                                                 \
			fail_msg("\"%s\" is not in: %s", says, b->t.message);                    \
		down(b);                                                                         \
	} while (0)

#define NOTHING .in_order = false

static void test_oracle_split(void **state)
{
	(void)state;
	FAULT(false, NOTHING, "never possible", {
		x[0].id = 8;
		ref_use(&b->ref, &x[0], 0);
	});
	FAULT(false, NOTHING, "used before", {
		ref_use(&b->ref, &x[0], 0);
		ref_use(&b->ref, &x[0], 0);
	});
	FAULT(false, NOTHING, "used before", {
		/* neither of the two: a free descriptor */
		uint16_t id = 0;
		while (id == x[0].id || id == x[1].id ||
		       id == b->ref.desc[16 * (size_t)x[0].id + 14] ||
		       id == b->ref.desc[16 * (size_t)x[1].id + 14])
			id++;
		x[0].id = id;
		ref_use(&b->ref, &x[0], 0);
	});
	FAULT(false, NOTHING, "used length", ref_use(&b->ref, &x[0], 17));
	FAULT(false, NOTHING, "used index went", {
		ref_use(&b->ref, &x[0], 0);
		b->ref.device[2] = 3;
	});
	FAULT(false, NOTHING, "used index went", b->ref.device[3] = 0xff); /* back */
	FAULT(false, NOTHING, "descriptor table", b->ref.desc[17] ^= 1);
	FAULT(false, NOTHING, "available ring", b->ref.driver[4] ^= 1);
	FAULT(false, NOTHING, "available ring", b->ref.driver[2] ^= 4);
	FAULT(false, NOTHING, "used entry", b->ref.device[4 + 8 * 2] ^= 1);
	FAULT(false, NOTHING, "used entry", b->ref.device[4 + 8 * 7 + 7] ^= 1);
	FAULT(false, NOTHING, "avail_event", b->ref.device[4 + 8 * 8] ^= 1);
	FAULT(false, .in_order = true, "IN_ORDER", ref_use(&b->ref, &x[1], 0));
}

static void test_oracle_packed(void **state)
{
	(void)state;
	FAULT(true, NOTHING, "never possible", {
		x[0].id = 8;
		ref_use(&b->ref, &x[0], 0);
	});
	FAULT(true, NOTHING, "used before", {
		ref_use(&b->ref, &x[0], 0);
		ref_use(&b->ref, &x[0], 0);
	});
	FAULT(true, NOTHING, "used length", ref_use(&b->ref, &x[0], 17));
	FAULT(true, NOTHING, "a descriptor", b->ref.desc[16 * 5] ^= 1);
	FAULT(true, NOTHING, "a descriptor", b->ref.desc[16 * 4 + 15] ^= 0x80);
	FAULT(true, NOTHING, "driver event", b->ref.driver[2] ^= 1);
}

static void test_oracle_indirect(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct bench *b = up(
			&(struct vring_options){.packed = packed, .size = 8, .indirect = true}, 1);
		struct ref_buffer x;
		uint8_t *table;
		uint64_t iova;
		uint16_t slot;

		add(b, 2, 1, VRING_INDIRECT, NULL);
		assert_int_equal(vring_free(b->r), 7);
		slot = packed ? 0 : 0xffff;
		vring_publish(b->r, 0);
		assert_true(ref_take(&b->ref, &x));
		assert_int_equal(x.n, 3);
		if (!packed)
			slot = x.id;
		memcpy(&iova, b->ref.desc + 16 * (size_t)slot, 8);
		table = fake_memory(&b->f, iova, 48);
		assert_non_null(table);
		table[20] ^= 1;
		ref_use(&b->ref, &x, 0);
		must_end(&b->t, V_FAIL, drain, b);
		assert_non_null(strstr(b->t.message, "indirect"));
		down(b);
	}
}

/* a device may be in the middle of writing what is due: not a fault */
static void test_oracle_lets_due_parts_be(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct bench *b = up(
			&(struct vring_options){.packed = packed, .size = 8, .event_idx = true}, 1);
		struct ref_buffer x[2];

		offer(b, x);
		if (packed) {
			b->ref.desc[8] ^= 1;
			b->ref.desc[12] ^= 1;
		} else {
			b->ref.device[4] ^= 1;
			b->ref.device[4 + 8 + 4] ^= 1;
			b->ref.device[0] = VC_USED_F_NO_NOTIFY;
		}
		ref_ask(&b->ref, 3);
		vring_check(b->r);
		down(b);
	}
}

static void test_raw(void **state)
{
	struct bench *b = up(&(struct vring_options){.size = 8}, 1);
	struct vring_used used;
	struct ref_buffer x;
	uint32_t id, len;

	(void)state;
	vring_raw_desc(b->r, 3, 0xdead000, 0x55, VC_DESC_F_NEXT, 3);
	assert_int_equal(b->ref.desc[48 + 12], VC_DESC_F_NEXT);
	vring_raw_desc(b->r, 3, b->mem.iova, 0x55, VC_DESC_F_WRITE, 0);
	vring_raw_avail(b->r, 0, 3);
	vring_raw_avail_idx(b->r, 1);
	assert_int_equal(vring_raw_get_avail_idx(b->r), 1);
	assert_true(ref_take(&b->ref, &x));
	assert_int_equal(x.id, 3);
	ref_use(&b->ref, &x, 99); /* nobody judges */
	assert_true(vring_get(b->r, &used));
	assert_null(used.cookie);
	assert_int_equal(vring_raw_used_idx(b->r), 1);
	vring_raw_used(b->r, 0, &id, &len);
	assert_int_equal(id, 3);
	assert_int_equal(len, 99);
	vring_oracle(b->r, true);
	vring_check(b->r);
	down(b);
}

static void test_drop(void **state)
{
	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct bench *b = up(&(struct vring_options){.packed = packed, .size = 8}, packed);
		struct ref_buffer x[2];

		offer(b, x);
		vring_drop(b->r, NULL);
		assert_int_equal(vring_outstanding(b->r), 0);
		assert_int_equal(vring_free(b->r), 8);
		assert_false(vring_pending(b->r));
		ref_open(&b->ref, &b->f, b->r, false);
		run(b, 100, true);
		down(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_split_wraps_at_65536),
		cmocka_unit_test(test_split_used_behind),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_packed_base),
		cmocka_unit_test(test_packed_used_behind),
		cmocka_unit_test(test_cookies_and_lengths),
		cmocka_unit_test(test_full_ring),
		cmocka_unit_test(test_publish_in_parts),
		cmocka_unit_test(test_in_order_batches),
		cmocka_unit_test(test_kick_flags),
		cmocka_unit_test(test_kick_event_split),
		cmocka_unit_test(test_kick_event_packed),
		cmocka_unit_test(test_kick_packed_flags),
		cmocka_unit_test(test_notification_data),
		cmocka_unit_test(test_call_event_split),
		cmocka_unit_test(test_call_event_packed),
		cmocka_unit_test(test_call_flags),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_oracle_split),
		cmocka_unit_test(test_oracle_packed),
		cmocka_unit_test(test_oracle_indirect),
		cmocka_unit_test(test_oracle_lets_due_parts_be),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
