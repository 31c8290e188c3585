// SPDX-License-Identifier: BSD-3-Clause
#include <endian.h>
#include <errno.h>
#include <stdio.h>

#include "../spec.h"
#include "fake_test.h"

/* ---- A test that can be caught ------------------------------------------------------------------
 */

struct parent *t_parent(struct test *t)
{
	return t->p;
}

uint64_t t_random(struct test *t)
{
	t->seed = t->seed * 6364136223846793005u + 1442695040888963407u;
	return t->seed ^ t->seed >> 29;
}

bool t_has_feature(struct test *t, unsigned int bit)
{
	(void)t;
	(void)bit;
	return true;
}

void t_step(struct test *t, const char *fmt, ...)
{
	(void)t;
	(void)fmt;
}

void t_note(struct test *t, const char *fmt, ...)
{
	(void)t;
	(void)fmt;
}

static noreturn void end(struct test *t, enum verdict verdict, const char *fmt, va_list ap)
{
	t->verdict = verdict;
	vsnprintf(t->message, sizeof(t->message), fmt, ap);
	if (!t->back) {
		print_error("%s\n", t->message);
		fail();
		abort();
	}
	longjmp(*t->back, 1);
}

noreturn void t_fail(struct test *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	end(t, V_FAIL, fmt, ap);
}

noreturn void t_skip(struct test *t, enum skip_kind kind, const char *fmt, ...)
{
	va_list ap;

	(void)kind;
	va_start(ap, fmt);
	end(t, V_SKIP, fmt, ap);
}

noreturn void t_broken(struct test *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	end(t, V_BROKEN, fmt, ap);
}

void must_end(struct test *t, enum verdict want, void (*what)(void *arg), void *arg)
{
	jmp_buf back;

	t->verdict = V_PASS;
	t->back = &back;
	if (!setjmp(back))
		what(arg);
	t->back = NULL;
	assert_int_equal(t->verdict, want);
}

/* ---- A parent that remembers
 * ---------------------------------------------------------------------- */

static struct fake_parent *fake(struct parent *p)
{
	return p->priv;
}

static int fake_map(struct parent *p, const struct parent_dma *map)
{
	struct fake_parent *f = fake(p);

	if (f->nmaps == FAKE_MAPS)
		return -ENOSPC;
	for (unsigned int i = 0; i < f->nmaps; i++)
		if (map->iova < f->maps[i].iova + f->maps[i].size &&
		    f->maps[i].iova < map->iova + map->size)
			return -EEXIST;
	f->maps[f->nmaps++] = *map;
	return 0;
}

/* exactly what was mapped, as vfio-user asks for */
static int fake_unmap(struct parent *p, uint32_t asid, uint64_t iova, uint64_t size)
{
	struct fake_parent *f = fake(p);

	(void)asid;
	for (unsigned int i = 0; i < f->nmaps; i++)
		if (f->maps[i].iova == iova && f->maps[i].size == size) {
			f->maps[i] = f->maps[--f->nmaps];
			return 0;
		}
	return -ENOENT;
}

static int fake_size(struct parent *p, unsigned int q, uint16_t size)
{
	(void)q;
	fake(p)->size = size;
	return 0;
}

static int fake_address(struct parent *p, unsigned int q, uint64_t desc, uint64_t driver,
			uint64_t device)
{
	(void)q;
	fake(p)->area[0] = desc;
	fake(p)->area[1] = driver;
	fake(p)->area[2] = device;
	return 0;
}

static int fake_state(struct parent *p, unsigned int q, const struct vq_state *state)
{
	(void)q;
	fake(p)->state = *state;
	fake(p)->state_set = true;
	return 0;
}

static int fake_call(struct parent *p, unsigned int q, int fd)
{
	(void)q;
	fake(p)->call = fd;
	return 0;
}

static int fake_kick(struct parent *p, unsigned int q)
{
	(void)q;
	fake(p)->kicks++;
	return 0;
}

static int fake_kick_data(struct parent *p, unsigned int q, uint32_t data)
{
	(void)q;
	fake(p)->kicks++;
	fake(p)->kick_data = data;
	return 0;
}

static int fake_pump(struct parent *p)
{
	return fake(p)->pump ? fake(p)->pump(fake(p)->pump_arg) : 0;
}

static const struct parent_ops fake_ops = {
	.dma_map = fake_map,
	.dma_unmap = fake_unmap,
	.set_vq_size = fake_size,
	.set_vq_address = fake_address,
	.set_vq_state = fake_state,
	.set_vq_call = fake_call,
	.kick = fake_kick,
	.kick_data = fake_kick_data,
	.pump = fake_pump,
};

void fake_open(struct test *t, struct fake_parent *f, uint64_t seed)
{
	memset(f, 0, sizeof(*f));
	f->p.ops = &fake_ops;
	f->p.priv = f;
	f->p.caps = CAP_EXACT_SETTLE;
	f->call = -1;
	memset(t, 0, sizeof(*t));
	t->p = &f->p;
	t->seed = seed;
}

void *fake_memory(struct fake_parent *f, uint64_t iova, size_t len)
{
	uint8_t *first = NULL;

	for (size_t done = 0; done < len;) {
		size_t i;

		for (i = 0; i < f->nmaps; i++)
			if (iova + done >= f->maps[i].iova &&
			    iova + done - f->maps[i].iova < f->maps[i].size)
				break;
		if (i == f->nmaps)
			return NULL;
		if (!first)
			first = (uint8_t *)f->maps[i].host + (iova - f->maps[i].iova);
		done = f->maps[i].iova + f->maps[i].size - iova;
	}
	return first;
}

/* ---- The reference device
 * ----------------------------------------------------------------------------- */

static uint16_t rd16(const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, 2);
	return le16toh(v);
}

static uint32_t rd32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, 4);
	return le32toh(v);
}

static uint64_t rd64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, 8);
	return le64toh(v);
}

static void wr16(uint8_t *at, uint16_t v)
{
	v = htole16(v);
	memcpy(at, &v, 2);
}

static void wr32(uint8_t *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, 4);
}

void ref_open(struct ref *ref, struct fake_parent *f, const struct vring *r, bool event_idx)
{
	const struct vq_state state = vring_state(r);
	const uint16_t size = vring_size(r);
	const bool packed = vring_is_packed(r);

	*ref = (struct ref){
		.f = f,
		.packed = packed,
		.event_idx = event_idx,
		.size = size,
		.avail = state.avail,
		.used = state.used,
		.avail_wrap = state.avail_wrap,
		.used_wrap = state.used_wrap,
	};
	ref->desc = fake_memory(f, vring_area(r, 0)->iova, 16u * size);
	ref->driver = fake_memory(f, vring_area(r, 1)->iova, packed ? 4 : 6u + 2u * size);
	ref->device = fake_memory(f, vring_area(r, 2)->iova, packed ? 4 : 6u + 8u * size);
	assert_non_null(ref->desc);
	assert_non_null(ref->driver);
	assert_non_null(ref->device);
}

static void piece(struct ref_buffer *b, const uint8_t *d)
{
	const bool write = rd16(d + (size_t)12) & VC_DESC_F_WRITE;
	const uint32_t len = rd32(d + 8);

	assert_true(b->n < REF_PIECES);
	b->sg[b->n++] = (struct vring_sg){rd64(d), len, write};
	if (write)
		b->writable += len;
	else
		b->readable += len;
}

/* packed descriptors have id and flags where split ones have flags and next */
static void packed_piece(struct ref_buffer *b, const uint8_t *d)
{
	const bool write = rd16(d + 14) & VC_DESC_F_WRITE;
	const uint32_t len = rd32(d + 8);

	assert_true(b->n < REF_PIECES);
	b->sg[b->n++] = (struct vring_sg){rd64(d), len, write};
	if (write)
		b->writable += len;
	else
		b->readable += len;
}

static bool take_split(struct ref *ref, struct ref_buffer *b)
{
	const uint16_t idx = rd16(ref->driver + 2);
	uint16_t slot;

	if (idx == ref->avail)
		return false;
	assert_true((uint16_t)(idx - ref->avail) <= ref->size);
	slot = rd16(ref->driver + 4 + 2 * (size_t)(ref->avail % ref->size));
	ref->avail++;
	b->id = slot;
	for (;;) {
		const uint8_t *d = ref->desc + 16 * (size_t)slot;
		const uint16_t flags = rd16(d + 12);

		assert_true(slot < ref->size);
		if (flags & VC_DESC_F_INDIRECT) {
			const uint32_t len = rd32(d + 8);
			const uint8_t *table = fake_memory(ref->f, rd64(d), len);

			assert_non_null(table);
			assert_int_equal(len % 16, 0);
			for (uint32_t i = 0;; i = rd16(table + 16 * (size_t)i + 14)) {
				assert_true(16 * (i + 1) <= len);
				piece(b, table + 16 * (size_t)i);
				if (!(rd16(table + 16 * (size_t)i + 12) & VC_DESC_F_NEXT))
					break;
			}
			return true;
		}
		piece(b, d);
		if (!(flags & VC_DESC_F_NEXT))
			return true;
		slot = rd16(d + 14);
	}
}

static void next_slot(uint16_t size, uint16_t *off, bool *wrap, unsigned int n)
{
	while (n--)
		if (++*off == size) {
			*off = 0;
			*wrap = !*wrap;
		}
}

static bool take_packed(struct ref *ref, struct ref_buffer *b)
{
	const uint8_t *d = ref->desc + 16 * (size_t)ref->avail;
	uint16_t flags = rd16(d + 14);
	const bool avail = flags & VC_PACKED_F_AVAIL, used = flags & VC_PACKED_F_USED;

	if (avail != ref->avail_wrap || used == ref->avail_wrap)
		return false;
	for (;;) {
		d = ref->desc + 16 * (size_t)ref->avail;
		flags = rd16(d + 14);
		/* every descriptor of a chain is available */
		assert_int_equal(!!(flags & VC_PACKED_F_AVAIL), ref->avail_wrap);
		assert_int_equal(!!(flags & VC_PACKED_F_USED), !ref->avail_wrap);
		b->id = rd16(d + 12);
		b->slots++;
		next_slot(ref->size, &ref->avail, &ref->avail_wrap, 1);
		if (flags & VC_DESC_F_INDIRECT) {
			const uint32_t len = rd32(d + 8);
			const uint8_t *table = fake_memory(ref->f, rd64(d), len);

			assert_non_null(table);
			for (uint32_t i = 0; i < len / 16; i++)
				packed_piece(b, table + 16 * (size_t)i);
			return true;
		}
		packed_piece(b, d);
		if (!(flags & VC_DESC_F_NEXT))
			return true;
	}
}

bool ref_take(struct ref *ref, struct ref_buffer *b)
{
	memset(b, 0, sizeof(*b));
	return ref->packed ? take_packed(ref, b) : take_split(ref, b);
}

void ref_use_batch(struct ref *ref, const struct ref_buffer *last, unsigned int n,
		   unsigned int slots, uint32_t len)
{
	uint8_t *e;

	if (ref->packed) {
		const uint16_t wrap = ref->used_wrap ? VC_PACKED_F_AVAIL | VC_PACKED_F_USED : 0;

		e = ref->desc + 16 * (size_t)ref->used;
		wr32(e + 8, len);
		wr16(e + 12, last->id);
		wr16(e + 14, (uint16_t)(wrap | (len ? VC_DESC_F_WRITE : 0)));
		next_slot(ref->size, &ref->used, &ref->used_wrap, slots);
		ref->since = (uint16_t)(ref->since + slots);
		return;
	}
	e = ref->device + 4 + 8 * (size_t)(ref->used % ref->size);
	wr32(e, last->id);
	wr32(e + 4, len);
	ref->used = (uint16_t)(ref->used + n);
	wr16(ref->device + 2, ref->used);
	ref->since = (uint16_t)(ref->since + n);
}

void ref_use(struct ref *ref, const struct ref_buffer *b, uint32_t len)
{
	ref_use_batch(ref, b, 1, b->slots, len);
}

/* one_by_one() - is position @event among the @n that end before @now? Counted, not calculated. */
static bool one_by_one(uint16_t event, uint16_t now, uint16_t n)
{
	for (uint16_t i = 1; i <= n; i++)
		if ((uint16_t)(now - i) == event)
			return true;
	return false;
}

bool ref_wants(struct ref *ref)
{
	const uint16_t n = ref->since;
	uint16_t off, flags;
	bool wrap;

	ref->since = 0;
	if (!n)
		return false;
	if (!ref->packed) {
		if (ref->event_idx)
			return one_by_one(rd16(ref->driver + 4 + 2 * (size_t)ref->size), ref->used,
					  n);
		return !(rd16(ref->driver) & VC_AVAIL_F_NO_INTERRUPT);
	}
	flags = rd16(ref->driver + 2);
	if (flags != VC_PACKED_EVENT_DESC)
		return flags == VC_PACKED_EVENT_ENABLE;
	/* walk back over the slots that were used */
	off = ref->used;
	wrap = ref->used_wrap;
	for (uint16_t i = 0; i < n; i++) {
		if (off-- == 0) {
			off = (uint16_t)(ref->size - 1);
			wrap = !wrap;
		}
		if (rd16(ref->driver) == (off | (wrap ? VC_PACKED_EVENT_WRAP : 0)))
			return true;
	}
	return false;
}

void ref_ask(struct ref *ref, uint16_t n)
{
	if (ref->packed) {
		uint16_t off = ref->avail;
		bool wrap = ref->avail_wrap;

		next_slot(ref->size, &off, &wrap, n);
		wr16(ref->device, (uint16_t)(off | (wrap ? VC_PACKED_EVENT_WRAP : 0)));
		wr16(ref->device + 2, VC_PACKED_EVENT_DESC);
	} else {
		wr16(ref->device + 4 + 8 * (size_t)ref->size, (uint16_t)(ref->avail + n));
	}
}
