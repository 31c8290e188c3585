/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NIC from outside, through vqnic.h alone: a small driver of this test's own brings a
 * virtio-pci function up over memory that it owns, sends through a loopback wire, and then breaks
 * every rule that a hostile driver could.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "spec.h"
#include "vqnic.h"

#define MEMORY	  (4u << 20)
#define IOVA	  UINT64_C(0x100000000)
#define RING	  16u
#define RING_STEP 0x4000u
#define BUFFERS	  0x100000u
#define BUF	  2048u

struct rig {
	struct vqnic *nic;
	uint8_t *mem;
	int fd;
	unsigned int bar[5];
	uint32_t off[5], multiplier;
	bool packed;
	struct ring {
		uint16_t next, seen; /* split: free-running; packed: offsets */
		bool wrap, used_wrap;
		uint16_t notify_off;
	} ring[4];
};

static uint32_t rd(struct rig *r, unsigned int region, uint64_t off, size_t len)
{
	uint32_t v = 0;

	assert_int_equal(vqnic_region_read(r->nic, 0, region, off, &v, len), 0);
	return v;
}

static void wr(struct rig *r, unsigned int region, uint64_t off, uint32_t v, size_t len)
{
	assert_int_equal(vqnic_region_write(r->nic, 0, region, off, &v, len), 0);
}

static uint32_t common_rd(struct rig *r, uint32_t off, size_t len)
{
	return rd(r, r->bar[1], r->off[1] + off, len);
}

static void common_wr(struct rig *r, uint32_t off, uint32_t v, size_t len)
{
	wr(r, r->bar[1], r->off[1] + off, v, len);
}

static void run(struct rig *r)
{
	for (unsigned int i = 0; vqnic_next_event(r->nic) != VQNIC_NEVER; i++) {
		assert_true(i < 1000000);
		vqnic_run(r->nic, 1);
	}
}

static void create(struct rig *r, const char *profile, const char *const *overrides)
{
	struct vqnic_config cfg = {.profile = profile, .overrides = overrides, .seed = 7};
	struct vqnic_error err = {{0}};
	struct vqnic_dma_map map = {.iova = IOVA, .size = MEMORY, .prot = 3};

	memset(r, 0, sizeof(*r));
	if (vqnic_create(&cfg, &r->nic, &err))
		fail_msg("%s", err.text);
	assert_int_equal(vqnic_wire_open(r->nic, 0, "loopback", &err), 0);
	r->fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(r->fd >= 0);
	assert_int_equal(ftruncate(r->fd, MEMORY), 0);
	r->mem = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	assert_ptr_not_equal(r->mem, MAP_FAILED);
	map.fd = r->fd;
	assert_int_equal(vqnic_dma_map(r->nic, 0, &map), 0);
	wr(r, 7, 4, 6, 2); /* memory space, bus master */
	for (uint32_t at = rd(r, 7, 0x34, 1); at; at = rd(r, 7, at + 1, 1)) {
		uint32_t type = rd(r, 7, at + 3, 1);

		if (rd(r, 7, at, 1) != 9 || type > 4)
			continue;
		r->bar[type] = rd(r, 7, at + 4, 1);
		r->off[type] = rd(r, 7, at + 8, 4);
		if (type == 2)
			r->multiplier = rd(r, 7, at + 16, 4);
	}
}

static void destroy(struct rig *r)
{
	vqnic_destroy(r->nic);
	munmap(r->mem, MEMORY);
	close(r->fd);
}

static uint8_t *ring_mem(struct rig *r, unsigned int q)
{
	return r->mem + q * RING_STEP;
}

static uint64_t ring_iova(unsigned int q, uint32_t off)
{
	return IOVA + q * RING_STEP + off;
}

/* Areas: descriptors at 0, driver at 0x1000, device at 0x2000, an indirect table at 0x3000. */
static void queue_up(struct rig *r, unsigned int q)
{
	common_wr(r, 22, q, 2);
	common_wr(r, 24, RING, 2);
	r->ring[q] = (struct ring){.wrap = true, .used_wrap = true};
	r->ring[q].notify_off = (uint16_t)common_rd(r, 30, 2);
	for (uint32_t area = 0; area < 3; area++) {
		uint64_t at = ring_iova(q, area * 0x1000);

		common_wr(r, 32 + 8 * area, (uint32_t)at, 4);
		common_wr(r, 36 + 8 * area, (uint32_t)(at >> 32), 4);
	}
	common_wr(r, 28, 1, 2);
}

static void bring_up(struct rig *r, uint64_t features)
{
	features |= VN_BIT(VN_F_VERSION_1);
	r->packed = features & VN_BIT(VN_F_RING_PACKED);
	common_wr(r, 20, 0, 1);
	run(r);
	assert_int_equal(common_rd(r, 20, 1), 0);
	common_wr(r, 20, 3, 1);
	for (uint32_t half = 0; half < 2; half++) {
		common_wr(r, 8, half, 4);
		common_wr(r, 12, (uint32_t)(features >> (32 * half)), 4);
	}
	common_wr(r, 20, 11, 1);
	assert_int_equal(common_rd(r, 20, 1), 11);
	memset(r->mem, 0, MEMORY);
	queue_up(r, 0);
	queue_up(r, 1);
	common_wr(r, 20, 15, 1);
	run(r);
}

static void kick(struct rig *r, unsigned int q)
{
	wr(r, r->bar[2], r->off[2] + r->ring[q].notify_off * r->multiplier, q, 2);
}

static void split_desc(struct rig *r, unsigned int q, unsigned int i, uint64_t addr, uint32_t len,
		       uint16_t flags, uint16_t next)
{
	struct vn_desc d = {addr, len, flags, next};

	memcpy(ring_mem(r, q) + 16 * i, &d, 16);
}

static void split_offer(struct rig *r, unsigned int q, uint16_t head)
{
	uint8_t *avail = ring_mem(r, q) + 0x1000;

	memcpy(avail + 4 + 2 * (r->ring[q].next % RING), &head, 2);
	r->ring[q].next++;
	memcpy(avail + 2, &r->ring[q].next, 2);
}

/* Offer one buffer of one descriptor in slot @i, whatever the format. */
static void offer(struct rig *r, unsigned int q, unsigned int i, uint64_t addr, uint32_t len,
		  bool write)
{
	struct ring *ring = &r->ring[q];

	if (!r->packed) {
		split_desc(r, q, i, addr, len, write ? VN_DESC_F_WRITE : 0, 0);
		split_offer(r, q, (uint16_t)i);
		return;
	}
	struct vn_packed_desc d = {addr, len, (uint16_t)i,
				   (uint16_t)((write ? VN_DESC_F_WRITE : 0) |
					      (ring->wrap ? VN_DESC_F_AVAIL : VN_DESC_F_USED))};

	memcpy(ring_mem(r, q) + 16 * ring->next, &d, 16);
	if (++ring->next == RING) {
		ring->next = 0;
		ring->wrap = !ring->wrap;
	}
}

/* Take one used buffer; false: none. */
static bool used(struct rig *r, unsigned int q, uint32_t *id, uint32_t *len)
{
	struct ring *ring = &r->ring[q];

	if (!r->packed) {
		uint8_t *device = ring_mem(r, q) + 0x2000;
		uint16_t idx;

		memcpy(&idx, device + 2, 2);
		if (idx == ring->seen)
			return false;
		memcpy(id, device + 4 + 8 * (ring->seen % RING), 4);
		memcpy(len, device + 8 + 8 * (ring->seen % RING), 4);
		ring->seen++;
		return true;
	}
	struct vn_packed_desc d;

	memcpy(&d, ring_mem(r, q) + 16 * ring->seen, 16);
	if (!!(d.flags & VN_DESC_F_AVAIL) != ring->used_wrap ||
	    !!(d.flags & VN_DESC_F_USED) != ring->used_wrap)
		return false;
	*id = d.id;
	*len = d.len;
	if (++ring->seen == RING) {
		ring->seen = 0;
		ring->used_wrap = !ring->used_wrap;
	}
	return true;
}

static uint64_t buffer(unsigned int q, unsigned int i)
{
	return IOVA + BUFFERS + (q * RING + i) * BUF;
}

static uint8_t *buffer_mem(struct rig *r, unsigned int q, unsigned int i)
{
	return r->mem + (buffer(q, i) - IOVA);
}

/* Send @rounds frames through the loopback, in bursts, and look at each that comes back. */
static void traffic(struct rig *r, unsigned int rounds)
{
	uint32_t id, len, sent = 0, seen = 0, done = 0;

	for (unsigned int i = 0; i < RING; i++)
		offer(r, 0, i, buffer(0, i), BUF, true);
	while (seen < rounds) {
		unsigned int burst = 1 + sent % 7;

		for (unsigned int i = 0; i < burst && sent < rounds && sent - done < RING; i++) {
			uint8_t *f = buffer_mem(r, 1, sent % RING);

			memset(f, 0, BUF);
			memset(f + 12, 0xff, 6);
			memcpy(f + 12 + 14, &sent, 4);
			offer(r, 1, sent % RING, buffer(1, sent % RING), 12 + 64 + sent % 1400,
			      false);
			sent++;
		}
		kick(r, 1);
		run(r);
		while (used(r, 1, &id, &len)) {
			assert_int_equal(id, done % RING);
			assert_int_equal(len, 0);
			done++;
		}
		while (used(r, 0, &id, &len)) {
			uint32_t n;

			assert_int_equal(len, 12 + 64 + seen % 1400);
			memcpy(&n, buffer_mem(r, 0, id) + 12 + 14, 4);
			assert_int_equal(n, seen);
			seen++;
			offer(r, 0, id, buffer(0, id), BUF, true);
		}
		assert_int_equal(common_rd(r, 20, 1), 15);
	}
	assert_int_equal(done, sent);
}

static void check_traffic(const char *const *overrides, uint64_t features)
{
	struct rig r;

	create(&r, "virtio-net", overrides);
	bring_up(&r, features);
	traffic(&r, 300);
	common_wr(&r, 20, 0, 1);
	run(&r);
	assert_int_equal(common_rd(&r, 20, 1), 0);
	bring_up(&r, features); /* and once more after the reset */
	traffic(&r, 50);
	destroy(&r);
}

#define DELAYED(window)                                  \
	(const char *const[])                            \
	{                                                \
		"fabric=delayed", "window=" window, NULL \
	}

static void split_direct(void **state)
{
	(void)state;
	check_traffic(NULL, 0);
}

static void packed_direct(void **state)
{
	(void)state;
	check_traffic(NULL, VN_BIT(VN_F_RING_PACKED));
}

static void split_delayed(void **state)
{
	(void)state;
	check_traffic(DELAYED("1"), 0);
	check_traffic(DELAYED("64"), 0);
	check_traffic(DELAYED("64"), VN_BIT(VN_F_EVENT_IDX));
}

static void packed_delayed(void **state)
{
	(void)state;
	check_traffic(DELAYED("1"), VN_BIT(VN_F_RING_PACKED));
	check_traffic(DELAYED("64"), VN_BIT(VN_F_RING_PACKED));
}

/* ---- Hostile drivers: each ends in NEEDS_RESET, and a reset mends it ---------------------------
 */

static void expect_broken(struct rig *r, uint64_t features)
{
	kick(r, 1);
	run(r);
	assert_int_equal(common_rd(r, 20, 1), 15 | VN_S_NEEDS_RESET);
	bring_up(r, features);
	traffic(r, 20);
	common_wr(r, 20, 0, 1);
	run(r);
	bring_up(r, features);
}

static void hostile_split_with(const char *const *overrides)
{
	const uint64_t features = VN_BIT(VN_F_INDIRECT_DESC);
	uint16_t bad = 0x1234;
	struct rig r;

	create(&r, "virtio-net", overrides);
	bring_up(&r, features);
	/* a head outside the table */
	split_offer(&r, 1, RING);
	expect_broken(&r, features);
	/* a next outside the table */
	split_desc(&r, 1, 0, buffer(1, 0), 64, VN_DESC_F_NEXT, RING);
	split_offer(&r, 1, 0);
	expect_broken(&r, features);
	/* a loop */
	split_desc(&r, 1, 0, buffer(1, 0), 64, VN_DESC_F_NEXT, 1);
	split_desc(&r, 1, 1, buffer(1, 1), 64, VN_DESC_F_NEXT, 0);
	split_offer(&r, 1, 0);
	expect_broken(&r, features);
	/* memory that is not mapped; memory that runs over the end of the map, and of everything */
	split_desc(&r, 1, 0, 0x5000, 64, 0, 0);
	split_offer(&r, 1, 0);
	expect_broken(&r, features);
	split_desc(&r, 1, 0, IOVA + MEMORY - 32, 64, 0, 0);
	split_offer(&r, 1, 0);
	expect_broken(&r, features);
	split_desc(&r, 1, 0, UINT64_MAX - 31, 64, 0, 0);
	split_offer(&r, 1, 0);
	expect_broken(&r, features);
	/* an available index that jumps */
	memcpy(ring_mem(&r, 1) + 0x1000 + 2, &bad, 2);
	expect_broken(&r, features);
	/* readable behind writable */
	split_desc(&r, 1, 0, buffer(1, 0), 64, VN_DESC_F_WRITE | VN_DESC_F_NEXT, 1);
	split_desc(&r, 1, 1, buffer(1, 1), 64, 0, 0);
	split_offer(&r, 1, 0);
	expect_broken(&r, features);
	/* indirect: odd length, no length, a loop, a table in a table, and one that is not mapped
	 */
	split_desc(&r, 1, 0, ring_iova(1, 0x3000), 24, VN_DESC_F_INDIRECT, 0);
	split_offer(&r, 1, 0);
	expect_broken(&r, features);
	split_desc(&r, 1, 0, ring_iova(1, 0x3000), 0, VN_DESC_F_INDIRECT, 0);
	split_offer(&r, 1, 0);
	expect_broken(&r, features);
	split_desc(&r, 1, 0x3000 / 16, buffer(1, 0), 64, VN_DESC_F_NEXT, 0);
	split_desc(&r, 1, 0, ring_iova(1, 0x3000), 32, VN_DESC_F_INDIRECT, 0);
	split_offer(&r, 1, 0);
	expect_broken(&r, features);
	split_desc(&r, 1, 0x3000 / 16, buffer(1, 0), 64, VN_DESC_F_INDIRECT, 0);
	split_desc(&r, 1, 0, ring_iova(1, 0x3000), 32, VN_DESC_F_INDIRECT, 0);
	split_offer(&r, 1, 0);
	expect_broken(&r, features);
	split_desc(&r, 1, 0, 0x1000, 32, VN_DESC_F_INDIRECT, 0);
	split_offer(&r, 1, 0);
	expect_broken(&r, features);
	/* indirect, not negotiated */
	bring_up(&r, 0);
	split_desc(&r, 1, 0, ring_iova(1, 0x3000), 16, VN_DESC_F_INDIRECT, 0);
	split_offer(&r, 1, 0);
	expect_broken(&r, features);
	destroy(&r);
}

static void hostile_split(void **state)
{
	(void)state;
	hostile_split_with(NULL);
	hostile_split_with(DELAYED("1"));
	hostile_split_with(DELAYED("64"));
}

static void hostile_packed(void **state)
{
	const uint64_t features = VN_BIT(VN_F_INDIRECT_DESC) | VN_BIT(VN_F_RING_PACKED);
	struct vn_packed_desc d = {buffer(1, 0), 64, 0, VN_DESC_F_AVAIL | VN_DESC_F_NEXT};
	struct rig r;

	(void)state;
	create(&r, "virtio-net", NULL);
	bring_up(&r, features);
	/* a chain whose second descriptor is not available */
	memcpy(ring_mem(&r, 1), &d, 16);
	expect_broken(&r, features);
	/* a chain that fills the ring and goes on */
	for (unsigned int i = 0; i < RING; i++)
		memcpy(ring_mem(&r, 1) + 16 * i, &d, 16);
	expect_broken(&r, features);
	/* an indirect descriptor in a chain */
	d.flags = VN_DESC_F_AVAIL | VN_DESC_F_NEXT | VN_DESC_F_INDIRECT;
	memcpy(ring_mem(&r, 1), &d, 16);
	expect_broken(&r, features);
	destroy(&r);
}

/* Rings of nothing: addresses that are not mapped, sizes that can't be. */
static void hostile_setup(void **state)
{
	struct rig r;

	(void)state;
	create(&r, "virtio-net", NULL);
	bring_up(&r, 0);
	common_wr(&r, 20, 0, 1);
	common_wr(&r, 20, 3, 1);
	common_wr(&r, 8, 1, 4);
	common_wr(&r, 12, 1, 4);
	common_wr(&r, 20, 11, 1);
	common_wr(&r, 22, 1, 2);
	common_wr(&r, 24, 24, 2); /* no power of two */
	common_wr(&r, 28, 1, 2);
	common_wr(&r, 20, 15, 1);
	run(&r);
	assert_int_equal(common_rd(&r, 20, 1), 15 | VN_S_NEEDS_RESET);
	bring_up(&r, 0);
	traffic(&r, 20);
	destroy(&r);
}

/* Memory goes away under traffic: nothing reaches it any more, nothing crashes. */
static void unmap_under_traffic(void **state)
{
	const char *const *const fabrics[] = {NULL, DELAYED("64")};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint8_t *copy = malloc(MEMORY);
		struct rig r;

		create(&r, "virtio-net", fabrics[i]);
		bring_up(&r, 0);
		traffic(&r, 10);
		for (unsigned int n = 0; n < 8; n++)
			offer(&r, 1, n, buffer(1, n), 1000, false);
		kick(&r, 1);
		vqnic_run(r.nic, 20);
		assert_int_equal(vqnic_dma_unmap(r.nic, 0, 0, IOVA - 4096, MEMORY + 8192, NULL), 0);
		memcpy(copy, r.mem, MEMORY);
		run(&r);
		assert_memory_equal(copy, r.mem, MEMORY);
		common_wr(&r, 20, 0, 1);
		run(&r);
		assert_int_equal(common_rd(&r, 20, 1), 0);
		free(copy);
		destroy(&r);
	}
}

/* A reset from outside in the middle of things, at every point of a burst. */
static void reset_anywhere(void **state)
{
	struct rig r;

	(void)state;
	create(&r, "virtio-net", DELAYED("64"));
	for (unsigned int events = 0; events < 120; events += 3) {
		bring_up(&r, events % 2 ? VN_BIT(VN_F_RING_PACKED) : 0);
		for (unsigned int i = 0; i < RING; i++)
			offer(&r, 0, i, buffer(0, i), BUF, true);
		for (unsigned int i = 0; i < RING; i++)
			offer(&r, 1, i, buffer(1, i), 100, false);
		kick(&r, 1);
		vqnic_run(r.nic, events);
		if (events % 2)
			assert_int_equal(vqnic_reset(r.nic, 0), 0);
		else
			common_wr(&r, 20, 0, 1);
		if (events % 2)
			assert_true(vqnic_next_event(r.nic) == VQNIC_NEVER);
		wr(&r, 7, 4, 6, 2);
	}
	destroy(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_direct),	  cmocka_unit_test(packed_direct),
		cmocka_unit_test(split_delayed),  cmocka_unit_test(packed_delayed),
		cmocka_unit_test(hostile_split),  cmocka_unit_test(hostile_packed),
		cmocka_unit_test(hostile_setup),  cmocka_unit_test(unmap_under_traffic),
		cmocka_unit_test(reset_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
