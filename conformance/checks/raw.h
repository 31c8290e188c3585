/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buffers that a check writes into a ring by hand
 *
 * How it works. vring.h's raw functions write a field each; these keep count of where the next
 * buffer goes, for both formats, so that a check says only which descriptors it is made of. The
 * ring's oracle is off from then on: the check looks for itself.
 */
#ifndef VC_CHECKS_RAW_H
#define VC_CHECKS_RAW_H

#include <endian.h>

#include "../driver/net.h"

/** struct raw_desc - a descriptor as it is written; packed rings take no @next */
struct raw_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/**
 * struct raw - a ring written by hand
 * @slot:  split: descriptor that the next buffer begins with; packed: ring offset of it
 * @wrap:  packed: wrap counter there
 * @avail: split: available index
 * @used, @used_wrap: where the next used buffer is due
 */
struct raw {
	struct vring *r;
	uint16_t slot, avail, used;
	bool wrap, used_wrap;
	uint16_t head, head_slots;
};

/** raw_begin() - go on by hand where the driver is; nothing may be outstanding */
static inline struct raw raw_begin(struct vring *r)
{
	const struct vq_state at = vring_state(r);

	return (struct raw){
		.r = r,
		.slot = vring_is_packed(r) ? at.avail : 0,
		.avail = at.avail,
		.used = at.used,
		.wrap = at.avail_wrap,
		.used_wrap = at.used_wrap,
	};
}

/**
 * raw_offer() - one buffer of @n descriptors, made available; no kick
 *
 * Split: the descriptors lie in slots that follow each other from the first on, @next counts from
 * the buffer's own first slot. Packed: AVAIL and USED are added to the flags, the id is 7.
 */
static inline void raw_offer(struct raw *raw, const struct raw_desc *d, unsigned int n)
{
	const uint16_t size = vring_size(raw->r);

	raw->head = raw->slot;
	raw->head_slots = (uint16_t)n;
	if (!vring_is_packed(raw->r)) {
		for (unsigned int i = 0; i < n; i++)
			vring_raw_desc(raw->r, (uint16_t)((raw->slot + i) % size), d[i].addr,
				       d[i].len, d[i].flags,
				       (uint16_t)((raw->slot + d[i].next) % size));
		vring_raw_avail(raw->r, raw->avail, raw->slot);
		vring_raw_avail_idx(raw->r, ++raw->avail);
		raw->slot = (uint16_t)((raw->slot + n) % size);
		return;
	}
	/* the head's flags last */
	for (unsigned int i = n; i-- > 0;) {
		const uint32_t at = (uint32_t)raw->slot + i;
		const bool wrap = at < size ? raw->wrap : !raw->wrap;

		vring_raw_desc(
			raw->r, (uint16_t)(at % size), d[i].addr, d[i].len,
			(uint16_t)(d[i].flags | (wrap ? VC_PACKED_F_AVAIL : VC_PACKED_F_USED)), 7);
	}
	if ((uint32_t)raw->slot + n >= size)
		raw->wrap = !raw->wrap;
	raw->slot = (uint16_t)((raw->slot + n) % size);
}

static inline bool raw_is_used(void *arg)
{
	const struct raw *raw = arg;
	const struct vc_packed_desc *d;
	uint16_t flags;

	if (!vring_is_packed(raw->r))
		return vring_raw_used_idx(raw->r) != raw->used;
	d = (const struct vc_packed_desc *)(const void *)vring_area(raw->r, 0)->host + raw->used;
	flags = le16toh(__atomic_load_n(&d->flags, __ATOMIC_ACQUIRE));
	return !(flags & VC_PACKED_F_AVAIL) == !raw->used_wrap &&
	       !(flags & VC_PACKED_F_USED) == !raw->used_wrap;
}

/** raw_wait() - until the buffer offered last is used, and step past it; false: it is not */
static inline bool raw_wait(struct net *net, struct raw *raw)
{
	if (!parent_wait(net->p, raw_is_used, raw, NET_SOON))
		return false;
	if (!vring_is_packed(raw->r)) {
		raw->used++;
		return true;
	}
	if ((uint32_t)raw->used + raw->head_slots >= vring_size(raw->r))
		raw->used_wrap = !raw->used_wrap;
	raw->used = (uint16_t)((raw->used + raw->head_slots) % vring_size(raw->r));
	return true;
}

/** raw_frame() - header and frame in memory that the device may reach, for transmit buffers */
static inline struct dma_mem raw_frame(struct net *net, const struct net_frame *f)
{
	struct dma_mem mem = dma_alloc(net->dma, net->hdr_len + f->len, 2);

	memset(mem.host, 0, net->hdr_len);
	memcpy(mem.host + net->hdr_len, f->data, f->len);
	return mem;
}

/**
 * raw_survive() - what a device may do about a ring that breaks the rules: nothing to memory but to
 * ring @r's own used area, and a reset must bring it back to work
 * @snap: taken before the ring was kicked; freed. @net is taken down.
 */
void raw_survive(struct test *t, struct net *net, const struct vring *r, struct dma_snapshot *snap,
		 const char *what);

#endif
