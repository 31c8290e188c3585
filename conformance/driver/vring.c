// SPDX-License-Identifier: BSD-3-Clause
/*
 * The driver's side of a virtqueue, and an oracle for the device's side (see vring.h)
 *
 * How it works. Both formats keep a table of buffers by id and a first-in-first-out list of ids in
 * the order in which they were added; `added`, `published` and `returned` count along that list. A
 * shadow of the areas remembers what they must hold; the parts in which a used buffer is due are
 * left out of the comparison, and what the device wrote there enters the shadow when it is taken
 * back. Ids are handed out in random order, but for IN_ORDER, so that a device can't take an id for
 * a position.
 *
 * Memory is shared with the device: indices and packed flags are loaded and stored atomically, the
 * rest is ordered by them. All fields are little-endian.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../spec.h"
#include "vring.h"

#define MAX_SG_DEFAULT	16u
#define INDIRECT_TABLES 256u
#define WAIT_MS		2000u
#define NONE		UINT16_MAX
#define CHECK_ALWAYS	1024u
#define CHECK_EVERY	64u

enum { AREA_DESC, AREA_DRIVER, AREA_DEVICE };

/**
 * struct buffer - a buffer by its id
 * @slots:    descriptors of the ring (not of an indirect table) that it takes
 * @head:     split: first descriptor (the id itself); packed: slot it was put at
 * @table:    indirect table, NONE if it has none
 * @out:      offered and not taken back
 * @visible:  published
 */
struct buffer {
	void *cookie;
	uint32_t writable;
	uint16_t slots;
	uint16_t head;
	uint16_t table;
	uint16_t table_len;
	uint16_t head_flags; /* packed: withheld until it is published */
	bool out, visible;
};

struct vring {
	struct test *t;
	struct parent *p;
	struct dma *dma;
	struct vring_options opts;
	uint16_t size;
	unsigned int q;
	bool oracle;
	struct dma_mem area[3];
	uint8_t *shadow[3];

	struct buffer *buffers;
	uint16_t *order; /* ring of ids as added; size entries */
	uint32_t added, published, returned;
	uint16_t *free_ids; /* stack of ids; split: of descriptors */
	uint16_t nfree_ids;
	uint16_t *next;	     /* split: chain of descriptors of a buffer */
	uint16_t free_slots; /* packed */

	struct dma_mem tables;
	uint8_t *tables_shadow;
	uint16_t *free_tables;
	uint16_t nfree_tables, ntables;

	uint16_t avail;	    /* split: published index; packed: offset of the next slot */
	bool avail_wrap;    /* packed, of that slot */
	uint16_t pub_avail; /* packed: offset behind the last published slot */
	bool pub_wrap;
	uint16_t used; /* split: next used index; packed: offset of it */
	bool used_wrap;
	uint16_t since_kick; /* entries (slots) published since wants_kick was asked */

	/* IN_ORDER: a batch of buffers that one used entry stands for */
	unsigned int batch_left;
	uint32_t batch_len;

	int callfd;
	uint64_t calls;
	unsigned int kicks;
};

/* ---- Shared memory ------------------------------------------------------------------------------
 */

static uint16_t get16(const void *at)
{
	return le16toh(__atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE));
}

static void put16(void *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)at, htole16(value), __ATOMIC_RELEASE);
}

static void barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static struct vc_desc *desc_at(const struct vring *r, uint16_t slot)
{
	return (struct vc_desc *)(void *)r->area[AREA_DESC].host + slot;
}

static struct vc_packed_desc *packed_at(const struct vring *r, uint16_t slot)
{
	return (struct vc_packed_desc *)(void *)r->area[AREA_DESC].host + slot;
}

static struct vc_avail *avail_of(const struct vring *r)
{
	return (struct vc_avail *)(void *)r->area[AREA_DRIVER].host;
}

static struct vc_used *used_of(const struct vring *r)
{
	return (struct vc_used *)(void *)r->area[AREA_DEVICE].host;
}

static uint16_t *used_event_of(const struct vring *r)
{
	return &avail_of(r)->ring[r->size];
}

static uint16_t *avail_event_of(const struct vring *r)
{
	return (uint16_t *)(void *)&used_of(r)->ring[r->size];
}

static struct vc_packed_event *driver_event(const struct vring *r)
{
	return (struct vc_packed_event *)(void *)r->area[AREA_DRIVER].host;
}

static struct vc_packed_event *device_event(const struct vring *r)
{
	return (struct vc_packed_event *)(void *)r->area[AREA_DEVICE].host;
}

/* shade() - the driver wrote [@at, @at + @len) of an area: so it must stay */
static void shade(struct vring *r, unsigned int area, const void *at, size_t len)
{
	const size_t off = (size_t)((const uint8_t *)at - r->area[area].host);

	memcpy(r->shadow[area] + off, at, len);
}

static uint16_t packed_flags(bool avail, bool used)
{
	return (uint16_t)((avail ? VC_PACKED_F_AVAIL : 0) | (used ? VC_PACKED_F_USED : 0));
}

static void step(uint16_t size, uint16_t *off, bool *wrap, uint16_t n)
{
	uint32_t to = (uint32_t)*off + n;

	if (to >= size) {
		to -= size;
		*wrap = !*wrap;
	}
	*off = (uint16_t)to;
}

/* ---- Making a ring
 * ---------------------------------------------------------------------------------- */

static void *zalloc(struct test *t, size_t n, size_t size)
{
	void *m = calloc(n ? n : 1, size);

	if (!m)
		t_broken(t, "no memory for a ring");
	return m;
}

/* fresh_packed() - descriptors such as a device at @base left them: none available, none used */
static void fresh_packed(struct vring *r)
{
	uint16_t lost = (uint16_t)((r->avail + r->size - r->used) % r->size);

	/* a whole ring apart looks like none: the wrap counters tell */
	if (!lost && r->avail_wrap != r->used_wrap)
		lost = r->size;
	for (uint16_t slot = 0; slot < r->size; slot++) {
		/* the lap in which this slot is next filled */
		const bool lap = slot >= r->avail ? r->avail_wrap : !r->avail_wrap;

		put16(&packed_at(r, slot)->flags, packed_flags(!lap, !lap));
	}
	/* lost entries: taken by the device, never used */
	for (uint16_t i = 0, slot = r->used; i < lost; i++) {
		const bool lap = slot >= r->used ? r->used_wrap : !r->used_wrap;

		put16(&packed_at(r, slot)->flags, packed_flags(lap, !lap));
		slot = (uint16_t)((slot + 1) % r->size);
	}
	r->free_slots = (uint16_t)(r->size - lost);
	memset(driver_event(r), 0, sizeof(struct vc_packed_event));
	memset(device_event(r), 0, sizeof(struct vc_packed_event));
	if (r->opts.event_idx) {
		put16(&driver_event(r)->off_wrap,
		      (uint16_t)(r->used | (r->used_wrap ? VC_PACKED_EVENT_WRAP : 0)));
		put16(&driver_event(r)->flags, VC_PACKED_EVENT_DESC);
	}
}

static void fresh_split(struct vring *r)
{
	put16(&avail_of(r)->flags, 0);
	put16(&avail_of(r)->idx, r->avail);
	put16(used_event_of(r), r->used);
	put16(&used_of(r)->flags, 0);
	put16(&used_of(r)->idx, r->used);
	/* what the device before would have asked for: a kick for the next buffer */
	put16(avail_event_of(r), r->avail);
}

/* fresh() - contents and bookkeeping of a ring that starts at @base */
static void fresh(struct vring *r, const struct vq_state *base)
{
	r->avail = base ? base->avail : 0;
	r->used = base ? base->used : 0;
	r->avail_wrap = base ? base->avail_wrap : true;
	r->used_wrap = base ? base->used_wrap : true;
	r->added = r->published = r->returned = 0;
	r->since_kick = 0;
	r->batch_left = 0;
	for (unsigned int i = 0; i < 3; i++)
		dma_poison(r->dma, r->area[i].host, r->area[i].size);
	if (r->opts.packed) {
		r->avail = (uint16_t)(r->avail % r->size);
		r->used = (uint16_t)(r->used % r->size);
		r->pub_avail = r->avail;
		r->pub_wrap = r->avail_wrap;
		fresh_packed(r);
	} else {
		fresh_split(r);
	}
	for (unsigned int i = 0; i < 3; i++)
		shade(r, i, r->area[i].host, r->area[i].size);

	memset(r->buffers, 0, r->size * sizeof(*r->buffers));
	r->nfree_ids = r->size;
	for (uint16_t i = 0; i < r->size; i++)
		r->free_ids[i] = (uint16_t)(r->size - 1 - i);
	for (uint16_t i = r->size; !r->opts.in_order && i > 1; i--) {
		const uint16_t j = (uint16_t)(t_random(r->t) % i);
		const uint16_t id = r->free_ids[j];

		r->free_ids[j] = r->free_ids[i - 1];
		r->free_ids[i - 1] = id;
	}
	r->nfree_tables = r->ntables;
	for (uint16_t i = 0; i < r->ntables; i++)
		r->free_tables[i] = (uint16_t)(r->ntables - 1 - i);
}

struct vring *vring_create(struct test *t, struct dma *dma, const struct vring_options *opts)
{
	struct vring *r = zalloc(t, 1, sizeof(*r));
	const uint16_t size = opts->size;

	if (!size || size > VC_SPLIT_SIZE_MAX || (!opts->packed && size & (size - 1)))
		t_broken(t, "a bug of this check: a ring of %u entries", size);
	r->t = t;
	r->p = t_parent(t);
	r->dma = dma;
	r->opts = *opts;
	r->opts.base = NULL;
	if (!r->opts.max_sg)
		r->opts.max_sg = MAX_SG_DEFAULT;
	r->size = size;
	r->oracle = true;
	if (opts->packed) {
		r->area[AREA_DESC] = dma_alloc(dma, 16u * size, VC_PACKED_DESC_ALIGN);
		r->area[AREA_DRIVER] = dma_alloc(dma, 4, VC_PACKED_EVENT_ALIGN);
		r->area[AREA_DEVICE] = dma_alloc(dma, 4, VC_PACKED_EVENT_ALIGN);
	} else {
		r->area[AREA_DESC] = dma_alloc(dma, 16u * size, VC_SPLIT_DESC_ALIGN);
		r->area[AREA_DRIVER] = dma_alloc(dma, 6u + 2u * size, VC_SPLIT_AVAIL_ALIGN);
		r->area[AREA_DEVICE] = dma_alloc(dma, 6u + 8u * size, VC_SPLIT_USED_ALIGN);
	}
	for (unsigned int i = 0; i < 3; i++)
		r->shadow[i] = zalloc(t, r->area[i].size, 1);
	r->buffers = zalloc(t, size, sizeof(*r->buffers));
	r->order = zalloc(t, size, sizeof(*r->order));
	r->free_ids = zalloc(t, size, sizeof(*r->free_ids));
	r->next = zalloc(t, size, sizeof(*r->next));
	if (opts->indirect) {
		r->ntables = (uint16_t)(size < INDIRECT_TABLES ? size : INDIRECT_TABLES);
		r->tables = dma_alloc(dma, (size_t)r->ntables * r->opts.max_sg * 16, 16);
		r->tables_shadow = zalloc(t, r->tables.size, 1);
		r->free_tables = zalloc(t, r->ntables, sizeof(*r->free_tables));
	}
	r->callfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->callfd < 0)
		t_broken(t, "eventfd: %s", strerror(errno));
	fresh(r, opts->base);
	return r;
}

void vring_destroy(struct vring *r)
{
	if (!r)
		return;
	for (unsigned int i = 0; i < 3; i++)
		free(r->shadow[i]);
	free(r->buffers);
	free(r->order);
	free(r->free_ids);
	free(r->next);
	free(r->tables_shadow);
	free(r->free_tables);
	close(r->callfd);
	free(r);
}

void vring_drop(struct vring *r, const struct vq_state *base)
{
	fresh(r, base);
}

const struct dma_mem *vring_area(const struct vring *r, unsigned int area)
{
	return &r->area[area];
}

unsigned int vring_queue(const struct vring *r)
{
	return r->q;
}

uint16_t vring_size(const struct vring *r)
{
	return r->size;
}

bool vring_is_packed(const struct vring *r)
{
	return r->opts.packed;
}

struct vq_state vring_state(const struct vring *r)
{
	return (struct vq_state){
		.packed = r->opts.packed,
		.avail = r->opts.packed ? r->pub_avail : r->avail,
		.used = r->used,
		.avail_wrap = r->pub_wrap,
		.used_wrap = r->used_wrap,
		.used_known = true,
	};
}

static bool initial(const struct vq_state *s)
{
	if (s->avail || s->used)
		return false;
	return !s->packed || (s->avail_wrap && s->used_wrap);
}

void vring_program(struct vring *r, unsigned int q, const struct vq_state *state, bool force_state)
{
	const struct vq_state own = vring_state(r);
	int err;

	r->q = q;
	if (!state)
		state = &own;
	t_ok(r->t, parent_set_vq_size(r->p, q, r->size));
	t_ok(r->t,
	     parent_set_vq_address(r->p, q, r->area[0].iova, r->area[1].iova, r->area[2].iova));
	if (force_state || !initial(state)) {
		err = parent_set_vq_state(r->p, q, state);
		if (err == -EOPNOTSUPP)
			t_skip(r->t, SKIP_INTERFACE,
			       "this parent can't set the position of a %s queue",
			       state->packed ? "packed" : "split");
		if (err)
			t_fail(r->t,
			       "setting the position of queue %u must succeed, it returned %d", q,
			       err);
	}
	err = parent_set_vq_call(r->p, q, r->callfd);
	if (err && err != -EOPNOTSUPP)
		t_fail(r->t, "giving queue %u an interrupt must succeed, it returned %d (%s)", q,
		       err, strerror(-err));
}

/* ---- Offering
 * ------------------------------------------------------------------------------------------ */

unsigned int vring_free(const struct vring *r)
{
	return r->opts.packed ? r->free_slots : r->nfree_ids;
}

unsigned int vring_outstanding(const struct vring *r)
{
	return r->added - r->returned;
}

static uint16_t desc_flags(const struct vring_sg *sg, bool more)
{
	return (uint16_t)((sg->write ? VC_DESC_F_WRITE : 0) | (more ? VC_DESC_F_NEXT : 0));
}

static uint8_t *table_host(const struct vring *r, uint16_t table)
{
	return r->tables.host + (size_t)table * r->opts.max_sg * 16;
}

static uint64_t fill_table(struct vring *r, struct buffer *b, const struct vring_sg *sg,
			   unsigned int n)
{
	uint8_t *host;

	b->table = r->free_tables[--r->nfree_tables];
	b->table_len = (uint16_t)(16 * n);
	host = table_host(r, b->table);
	for (unsigned int i = 0; i < n; i++) {
		struct vc_desc *d = (struct vc_desc *)(void *)(host + 16 * (size_t)i);

		d->addr = htole64(sg[i].iova);
		d->len = htole32(sg[i].len);
		if (r->opts.packed) {
			/* VIRTIO 2.8.7: order alone chains; id, NEXT, AVAIL and USED mean nothing
			 */
			struct vc_packed_desc *pd = (struct vc_packed_desc *)(void *)d;

			pd->id = 0;
			pd->flags = htole16(desc_flags(&sg[i], false));
		} else {
			d->flags = htole16(desc_flags(&sg[i], i + 1 < n));
			d->next = htole16((uint16_t)(i + 1 < n ? i + 1 : 0));
		}
	}
	memcpy(r->tables_shadow + (host - r->tables.host), host, b->table_len);
	return r->tables.iova + (uint64_t)(host - r->tables.host);
}

static void split_desc(struct vring *r, uint16_t slot, uint64_t addr, uint32_t len, uint16_t flags,
		       uint16_t next)
{
	struct vc_desc *d = desc_at(r, slot);

	d->addr = htole64(addr);
	d->len = htole32(len);
	d->flags = htole16(flags);
	d->next = htole16(next);
	shade(r, AREA_DESC, d, sizeof(*d));
}

static uint16_t add_split(struct vring *r, const struct vring_sg *sg, unsigned int n, bool indirect)
{
	const uint16_t head = r->free_ids[--r->nfree_ids];
	struct buffer *b = &r->buffers[head];
	uint16_t slot = head;

	b->head = head;
	b->table = NONE;
	b->slots = (uint16_t)(indirect ? 1 : n);
	if (indirect) {
		const uint64_t table = fill_table(r, b, sg, n);

		split_desc(r, head, table, b->table_len, VC_DESC_F_INDIRECT, 0);
		r->next[head] = NONE;
		return head;
	}
	for (unsigned int i = 0; i < n; i++) {
		const bool more = i + 1 < n;
		const uint16_t next = more ? r->free_ids[--r->nfree_ids] : NONE;

		r->next[slot] = next;
		split_desc(r, slot, sg[i].iova, sg[i].len, desc_flags(&sg[i], more),
			   more ? next : 0);
		slot = next;
	}
	return head;
}

static void packed_desc(struct vring *r, uint16_t slot, uint64_t addr, uint32_t len, uint16_t id)
{
	struct vc_packed_desc *d = packed_at(r, slot);

	d->addr = htole64(addr);
	d->len = htole32(len);
	d->id = htole16(id);
	shade(r, AREA_DESC, d, offsetof(struct vc_packed_desc, flags));
}

static void packed_set_flags(struct vring *r, uint16_t slot, uint16_t flags)
{
	struct vc_packed_desc *d = packed_at(r, slot);

	put16(&d->flags, flags);
	shade(r, AREA_DESC, &d->flags, sizeof(d->flags));
}

static uint16_t add_packed(struct vring *r, const struct vring_sg *sg, unsigned int n,
			   bool indirect)
{
	const uint16_t id = r->free_ids[--r->nfree_ids];
	struct buffer *b = &r->buffers[id];
	const unsigned int slots = indirect ? 1 : n;

	b->head = r->avail;
	b->table = NONE;
	b->slots = (uint16_t)slots;
	r->free_slots = (uint16_t)(r->free_slots - slots);
	for (unsigned int i = 0; i < slots; i++) {
		const uint16_t slot = r->avail;
		uint16_t flags = packed_flags(r->avail_wrap, !r->avail_wrap);

		if (indirect) {
			const uint64_t table = fill_table(r, b, sg, n);

			packed_desc(r, slot, table, b->table_len, id);
			flags |= VC_DESC_F_INDIRECT;
		} else {
			packed_desc(r, slot, sg[i].iova, sg[i].len, id);
			flags |= desc_flags(&sg[i], i + 1 < n);
		}
		/* the head's flags make the whole buffer available: last, by vring_publish() */
		if (i == 0)
			b->head_flags = flags;
		else
			packed_set_flags(r, slot, flags);
		step(r->size, &r->avail, &r->avail_wrap, 1);
	}
	return id;
}

int vring_add(struct vring *r, const struct vring_sg *sg, unsigned int n, unsigned int flags,
	      void *cookie)
{
	const bool indirect = r->ntables && !(flags & VRING_NO_INDIRECT) && n <= r->opts.max_sg &&
			      (n > 1 || flags & VRING_INDIRECT) && r->nfree_tables;
	const unsigned int slots = indirect ? 1 : n;
	uint32_t writable = 0;
	struct buffer *b;
	uint16_t id;

	for (unsigned int i = 0; i < n; i++) {
		if (sg[i].write)
			writable += sg[i].len;
		else if (writable)
			t_broken(r->t,
				 "a bug of this check: a readable piece behind a writable one");
	}
	if (!n)
		t_broken(r->t, "a bug of this check: a buffer without pieces");
	if (slots > vring_free(r) || !r->nfree_ids || vring_outstanding(r) >= r->size)
		return -ENOSPC;
	id = r->opts.packed ? add_packed(r, sg, n, indirect) : add_split(r, sg, n, indirect);
	b = &r->buffers[id];
	b->cookie = cookie;
	b->writable = writable;
	b->out = true;
	b->visible = false;
	r->order[r->added++ % r->size] = id;
	return 0;
}

unsigned int vring_publish(struct vring *r, unsigned int n)
{
	const unsigned int waiting = r->added - r->published;

	if (!n || n > waiting)
		n = waiting;
	if (!n)
		return 0;
	if (r->opts.packed) {
		/* the first one last: whoever sees it sees all */
		for (unsigned int i = n; i-- > 0;) {
			struct buffer *b = &r->buffers[r->order[(r->published + i) % r->size]];

			packed_set_flags(r, b->head, b->head_flags);
			b->visible = true;
			step(r->size, &r->pub_avail, &r->pub_wrap, b->slots);
			r->since_kick = (uint16_t)(r->since_kick + b->slots);
		}
	} else {
		struct vc_avail *a = avail_of(r);

		for (unsigned int i = 0; i < n; i++) {
			const uint16_t id = r->order[(r->published + i) % r->size];
			uint16_t *entry = &a->ring[(uint16_t)(r->avail + i) & (r->size - 1)];

			*entry = htole16(id);
			shade(r, AREA_DRIVER, entry, sizeof(*entry));
			r->buffers[id].visible = true;
		}
		r->avail = (uint16_t)(r->avail + n);
		put16(&a->idx, r->avail);
		shade(r, AREA_DRIVER, &a->idx, sizeof(a->idx));
		r->since_kick = (uint16_t)(r->since_kick + n);
	}
	r->published += n;
	return n;
}

/* ---- Doorbell
 * ---------------------------------------------------------------------------------------------- */

/* need_event() - did the index go past @event on its way from @old to @now? (VIRTIO 2.7.10) */
static bool need_event(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

static bool packed_wants_kick(const struct vring *r, uint16_t count)
{
	const uint16_t flags = get16(&device_event(r)->flags) & 3;
	uint16_t off_wrap, event, now = r->pub_avail;

	if (flags != VC_PACKED_EVENT_DESC || !r->opts.event_idx)
		return flags != VC_PACKED_EVENT_DISABLE;
	off_wrap = get16(&device_event(r)->off_wrap);
	event = (uint16_t)(off_wrap & ~VC_PACKED_EVENT_WRAP);
	if ((off_wrap >> 15) != r->pub_wrap)
		event = (uint16_t)(event - r->size);
	return need_event(event, now, (uint16_t)(now - count));
}

bool vring_wants_kick(struct vring *r)
{
	const uint16_t count = r->since_kick;

	/* what we published must be visible before the device's wish is read */
	barrier();
	r->since_kick = 0;
	if (!count)
		return false;
	if (r->opts.packed)
		return packed_wants_kick(r, count);
	if (r->opts.event_idx)
		return need_event(get16(avail_event_of(r)), r->avail, (uint16_t)(r->avail - count));
	return !(get16(&used_of(r)->flags) & VC_USED_F_NO_NOTIFY);
}

void vring_kick_now(struct vring *r)
{
	uint32_t next;

	r->kicks++;
	r->since_kick = 0;
	if (!r->opts.notification_data) {
		t_ok(r->t, parent_kick(r->p, r->q));
		return;
	}
	/* VIRTIO 2.9: queue, then the next index (packed: offset and wrap counter) */
	if (r->opts.packed)
		next = (uint32_t)r->pub_avail | (r->pub_wrap ? 1u << 15 : 0);
	else
		next = r->avail;
	t_ok(r->t, parent_kick_data(r->p, r->q, next << 16 | r->q));
}

void vring_kick(struct vring *r)
{
	if (vring_wants_kick(r))
		vring_kick_now(r);
}

unsigned int vring_kicks(const struct vring *r)
{
	return r->kicks;
}

/* ---- Judging
 * ----------------------------------------------------------------------------------------------------
 */

/* visible() - buffers that the device may have used */
static unsigned int visible(const struct vring *r)
{
	return r->published - r->returned;
}

static void compare(struct vring *r, unsigned int area, size_t off, size_t len, const char *what)
{
	const uint8_t *now = r->area[area].host + off, *was = r->shadow[area] + off;

	if (!len || !memcmp(now, was, len))
		return;
	for (size_t i = 0; i < len; i++)
		if (now[i] != was[i])
			t_fail(r->t,
			       "queue %u: the device changed %s (byte %zu of the area: 0x%02x is now "
			       "0x%02x); nothing is due there",
			       r->q, what, off + i, was[i], now[i]);
}

static void check_split(struct vring *r)
{
	const size_t ring = offsetof(struct vc_used, ring);
	const uint16_t first = (uint16_t)((r->used + visible(r)) & (r->size - 1));
	const uint16_t quiet = (uint16_t)(r->size - visible(r));
	uint16_t n = quiet;

	compare(r, AREA_DESC, 0, r->area[AREA_DESC].size, "the descriptor table");
	compare(r, AREA_DRIVER, 0, r->area[AREA_DRIVER].size, "the available ring");
	/* used entries behind those that are due, up to where the next one will be due */
	if (first + n > r->size) {
		compare(r, AREA_DEVICE, ring, 8u * (size_t)(first + n - r->size), "a used entry");
		n = (uint16_t)(r->size - first);
	}
	compare(r, AREA_DEVICE, ring + 8u * (size_t)first, 8u * (size_t)n, "a used entry");
	if (!r->opts.event_idx)
		compare(r, AREA_DEVICE, ring + 8u * (size_t)r->size, 2,
			"avail_event, which was not negotiated,");
}

static void check_packed(struct vring *r)
{
	uint16_t slot = r->used;
	unsigned int due = 0;

	for (uint32_t i = r->returned; i != r->published; i++)
		due += r->buffers[r->order[i % r->size]].slots;
	for (unsigned int i = 0; i < r->size; i++) {
		if (i >= due)
			compare(r, AREA_DESC, 16u * (size_t)slot, 16, "a descriptor");
		slot = (uint16_t)(slot + 1 == r->size ? 0 : slot + 1);
	}
	compare(r, AREA_DRIVER, 0, r->area[AREA_DRIVER].size, "the driver event area");
}

static void check_table(struct vring *r, const struct buffer *b)
{
	const uint8_t *host;

	if (b->table == NONE)
		return;
	host = table_host(r, b->table);
	if (memcmp(host, r->tables_shadow + (host - r->tables.host), b->table_len))
		t_fail(r->t, "queue %u: the device changed an indirect descriptor table", r->q);
}

void vring_check(struct vring *r)
{
	if (!r->oracle)
		return;
	if (r->opts.packed)
		check_packed(r);
	else
		check_split(r);
}

/* ---- Taking back
 * -------------------------------------------------------------------------------------------------
 */

static bool packed_is_used(const struct vring *r)
{
	const uint16_t flags = get16(&packed_at(r, r->used)->flags);
	const bool avail = flags & VC_PACKED_F_AVAIL, used = flags & VC_PACKED_F_USED;

	return avail == used && used == r->used_wrap;
}

bool vring_pending(const struct vring *r)
{
	if (r->batch_left)
		return true;
	return r->opts.packed ? packed_is_used(r) : get16(&used_of(r)->idx) != r->used;
}

/* next_used() - the entry at hand, unjudged; false: there is none */
static bool next_used(struct vring *r, uint32_t *id, uint32_t *len)
{
	const struct vc_used_elem *e;
	const struct vc_packed_desc *d;
	uint16_t idx;

	if (r->opts.packed) {
		if (!packed_is_used(r))
			return false;
		d = packed_at(r, r->used);
		*id = le16toh(d->id);
		/* VIRTIO 2.8.4: without WRITE nothing was written and the length says nothing */
		*len = le16toh(d->flags) & VC_DESC_F_WRITE ? le32toh(d->len) : 0;
		return true;
	}
	idx = get16(&used_of(r)->idx);
	if (idx == r->used)
		return false;
	if (r->oracle && (uint16_t)(idx - r->used) > visible(r))
		t_fail(r->t,
		       "queue %u: the used index went from %u to %u, by %u, but only %u buffers are "
		       "offered and not yet used",
		       r->q, r->used, idx, (uint16_t)(idx - r->used), visible(r));
	e = &used_of(r)->ring[r->used & (r->size - 1)];
	*id = le32toh(e->id);
	*len = le32toh(e->len);
	return true;
}

/* release() - a buffer's descriptors, id and table are free again */
static void release(struct vring *r, uint16_t id)
{
	struct buffer *b = &r->buffers[id];

	if (b->table != NONE)
		r->free_tables[r->nfree_tables++] = b->table;
	if (r->opts.packed) {
		r->free_slots = (uint16_t)(r->free_slots + b->slots);
		r->free_ids[r->nfree_ids++] = id;
	} else if (r->opts.in_order) {
		/* VIRTIO 2.7.9: descriptors are used in ring order; the stack becomes a queue */
		memmove(r->free_ids + b->slots, r->free_ids, r->nfree_ids * sizeof(*r->free_ids));
		for (uint16_t slot = id, i = b->slots; i-- > 0; slot = r->next[slot])
			r->free_ids[i] = slot;
		r->nfree_ids = (uint16_t)(r->nfree_ids + b->slots);
	} else {
		/* onto the stack from the tail on: the head is the next to be taken again */
		uint16_t at = (uint16_t)(r->nfree_ids + b->slots);

		for (uint16_t slot = id; slot != NONE; slot = r->next[slot])
			r->free_ids[--at] = slot;
		r->nfree_ids = (uint16_t)(r->nfree_ids + b->slots);
	}
	b->out = false;
	b->visible = false;
}

/* forget() - take @id out of the list of what is out; it is mostly the first */
static void forget(struct vring *r, uint16_t id)
{
	uint32_t at = r->returned;

	while (at != r->published && r->order[at % r->size] != id)
		at++;
	for (; at != r->returned; at--)
		r->order[at % r->size] = r->order[(at - 1) % r->size];
	r->returned++;
}

/* take() - buffer @id came back: bookkeeping that both formats share */
static void take(struct vring *r, uint16_t id, uint32_t len, struct vring_used *used)
{
	struct buffer *b = &r->buffers[id];

	*used = (struct vring_used){
		.cookie = b->cookie,
		.id = id,
		.len = len,
		.writable = b->writable,
	};
	if (r->oracle)
		check_table(r, b);
	forget(r, id);
	release(r, id);
}

/* advance() - past the used entry (split) or the slots of the buffer (packed) */
static void advance(struct vring *r, uint16_t slots, bool wrote)
{
	const size_t ring = offsetof(struct vc_used, ring);

	if (r->opts.packed) {
		if (wrote)
			shade(r, AREA_DESC, packed_at(r, r->used), 16);
		step(r->size, &r->used, &r->used_wrap, slots);
		return;
	}
	if (wrote)
		shade(r, AREA_DEVICE,
		      r->area[AREA_DEVICE].host + ring + 8u * (size_t)(r->used & (r->size - 1)), 8);
	r->used++;
}

/* get_batch() - IN_ORDER: buffers in front of the one that was written came back unmentioned */
static void get_batch(struct vring *r, struct vring_used *used)
{
	const uint16_t id = r->order[r->returned % r->size];
	const bool last = r->batch_left == 1;
	const uint16_t slots = r->buffers[id].slots;

	r->batch_left--;
	take(r, id, last ? r->batch_len : r->buffers[id].writable, used);
	advance(r, slots, false);
}

static unsigned int place_in_order(const struct vring *r, uint32_t id)
{
	for (uint32_t at = r->returned; at != r->published; at++)
		if (r->order[at % r->size] == id)
			return at - r->returned + 1;
	return 0;
}

bool vring_get(struct vring *r, struct vring_used *used)
{
	uint32_t id, len;
	uint16_t slots;

	if (r->batch_left) {
		get_batch(r, used);
		return true;
	}
	if (!next_used(r, &id, &len)) {
		vring_check(r);
		return false;
	}
	if (!r->oracle && (id >= r->size || !r->buffers[id].out)) {
		/* a hostile check looks for itself */
		*used = (struct vring_used){.id = (uint16_t)id, .len = len};
		advance(r, 1, true);
		return true;
	}
	if (id >= r->size || !r->buffers[id].out || !r->buffers[id].visible)
		t_fail(r->t,
		       "queue %u: the device used buffer id %u (at %s %u), which is not outstanding: it "
		       "was %s",
		       r->q, id, r->opts.packed ? "slot" : "used index", r->used,
		       id >= r->size	    ? "never possible"
		       : r->buffers[id].out ? "not yet made available"
					    : "never offered, or used before");
	if (r->oracle && len > r->buffers[id].writable)
		t_fail(r->t,
		       "queue %u: the used length of buffer id %u is %u, but only %u bytes of it are "
		       "writable",
		       r->q, id, len, r->buffers[id].writable);
	if (r->opts.in_order && r->oracle) {
		const unsigned int place = place_in_order(r, id);

		if (!r->opts.packed && place > (uint16_t)(get16(&used_of(r)->idx) - r->used))
			t_fail(r->t,
			       "queue %u: with IN_ORDER the device used buffer id %u, %u places ahead, but "
			       "moved the used index by %u only",
			       r->q, id, place - 1, (uint16_t)(get16(&used_of(r)->idx) - r->used));
		if (place > 1) {
			/* one entry stands for all up to this one (VIRTIO 2.7.9, 2.8.9) */
			if (r->opts.packed)
				shade(r, AREA_DESC, packed_at(r, r->used), 16);
			else
				shade(r, AREA_DEVICE, &used_of(r)->ring[r->used & (r->size - 1)],
				      8);
			r->batch_left = place;
			r->batch_len = len;
			get_batch(r, used);
			return true;
		}
	}
	/* a large ring is not compared for every buffer */
	if (r->size <= CHECK_ALWAYS || r->returned % CHECK_EVERY == 0)
		vring_check(r);
	slots = r->buffers[id].slots;
	take(r, (uint16_t)id, len, used);
	advance(r, slots, true);
	return true;
}

static bool pending(void *arg)
{
	return vring_pending(arg);
}

bool vring_wait(struct vring *r, unsigned int timeout_ms)
{
	return parent_wait(r->p, pending, r, timeout_ms ? timeout_ms : WAIT_MS);
}

/* ---- Interrupts
 * --------------------------------------------------------------------------------------------------
 */

int vring_call_fd(const struct vring *r)
{
	return r->callfd;
}

static bool collect(void *arg)
{
	struct vring *r = arg;
	uint64_t n;

	if (read(r->callfd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		r->calls += n;
	return r->calls != 0;
}

uint64_t vring_calls(struct vring *r)
{
	uint64_t n;

	collect(r);
	n = r->calls;
	r->calls = 0;
	return n;
}

bool vring_wait_call(struct vring *r, unsigned int timeout_ms)
{
	const bool came = parent_wait(r->p, collect, r, timeout_ms ? timeout_ms : WAIT_MS);

	r->calls = 0;
	return came;
}

static void set_event(struct vring *r, uint16_t flags, uint16_t event)
{
	if (r->opts.packed) {
		/* the offset must be there before the flags that make it count */
		put16(&driver_event(r)->off_wrap, event);
		put16(&driver_event(r)->flags, flags);
		shade(r, AREA_DRIVER, driver_event(r), sizeof(struct vc_packed_event));
	} else {
		put16(&avail_of(r)->flags, flags);
		put16(used_event_of(r), event);
		shade(r, AREA_DRIVER, &avail_of(r)->flags, 2);
		shade(r, AREA_DRIVER, used_event_of(r), 2);
	}
	/* the device looks at it after writing used entries; we look for those after this */
	barrier();
}

void vring_call_disable(struct vring *r)
{
	if (r->opts.packed)
		set_event(r, VC_PACKED_EVENT_DISABLE, 0);
	else if (r->opts.event_idx)
		set_event(r, 0, (uint16_t)(r->used - 1)); /* 65535 entries away */
	else
		set_event(r, VC_AVAIL_F_NO_INTERRUPT, 0);
}

bool vring_call_enable(struct vring *r)
{
	if (r->opts.event_idx)
		return vring_call_after(r, 1);
	set_event(r, 0, 0); /* VC_PACKED_EVENT_ENABLE is 0 too */
	return vring_pending(r);
}

bool vring_call_after(struct vring *r, uint16_t n)
{
	if (!r->opts.event_idx)
		t_broken(r->t, "a bug of this check: event index was not negotiated");
	if (r->opts.packed) {
		uint16_t off = r->used;
		bool wrap = r->used_wrap;

		step(r->size, &off, &wrap, (uint16_t)(n - 1));
		set_event(r, VC_PACKED_EVENT_DESC,
			  (uint16_t)(off | (wrap ? VC_PACKED_EVENT_WRAP : 0)));
	} else {
		set_event(r, 0, (uint16_t)(r->used + n - 1));
	}
	return vring_pending(r);
}

/* ---- Raw
 * -------------------------------------------------------------------------------------------------------------
 */

void vring_oracle(struct vring *r, bool on)
{
	/* what the check and the device did meanwhile is the truth from now on */
	if (on && !r->oracle)
		for (unsigned int i = 0; i < 3; i++)
			shade(r, i, r->area[i].host, r->area[i].size);
	r->oracle = on;
}

void vring_raw_desc(struct vring *r, uint16_t slot, uint64_t addr, uint32_t len, uint16_t flags,
		    uint16_t id_next)
{
	r->oracle = false;
	slot = (uint16_t)(slot % r->size);
	if (r->opts.packed) {
		struct vc_packed_desc *d = packed_at(r, slot);

		d->addr = htole64(addr);
		d->len = htole32(len);
		d->id = htole16(id_next);
		put16(&d->flags, flags);
	} else {
		struct vc_desc *d = desc_at(r, slot);

		d->addr = htole64(addr);
		d->len = htole32(len);
		d->next = htole16(id_next);
		put16(&d->flags, flags);
	}
}

void vring_raw_avail(struct vring *r, uint16_t idx, uint16_t head)
{
	r->oracle = false;
	put16(&avail_of(r)->ring[idx & (r->size - 1)], head);
}

void vring_raw_avail_idx(struct vring *r, uint16_t idx)
{
	r->oracle = false;
	put16(&avail_of(r)->idx, idx);
}

uint16_t vring_raw_get_avail_idx(const struct vring *r)
{
	return get16(&avail_of(r)->idx);
}

uint16_t vring_raw_avail_flags(const struct vring *r)
{
	return packed_flags(r->avail_wrap, !r->avail_wrap);
}

uint16_t vring_raw_used_idx(const struct vring *r)
{
	return get16(&used_of(r)->idx);
}

void vring_raw_used(const struct vring *r, uint16_t slot, uint32_t *id, uint32_t *len)
{
	slot = (uint16_t)(slot % r->size);
	if (r->opts.packed) {
		*id = le16toh(packed_at(r, slot)->id);
		*len = le32toh(packed_at(r, slot)->len);
	} else {
		*id = le32toh(used_of(r)->ring[slot].id);
		*len = le32toh(used_of(r)->ring[slot].len);
	}
}

uint16_t vring_raw_used_flags(const struct vring *r)
{
	return r->opts.packed ? get16(&device_event(r)->flags) : get16(&used_of(r)->flags);
}

uint16_t vring_raw_event(const struct vring *r)
{
	return r->opts.packed ? get16(&device_event(r)->off_wrap) : get16(avail_event_of(r));
}

void vring_raw_set_event(struct vring *r, uint16_t flags, uint16_t event)
{
	set_event(r, flags, event);
}

uint16_t vring_next_slot(const struct vring *r)
{
	return r->avail;
}
