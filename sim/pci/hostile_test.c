/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver without sense or restraint: random accesses of every width to every region of the whole
 * NIC, with memory and rings that change under it, between them events. Nothing is expected but
 * that every call comes back, that no sanitizer complains and that a function-level reset brings
 * the function back to what it was at first. The seed of a round that fails is in the message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pci/pci_spec.h"
#include "spec.h"
#include "util.h"
#include "vqnic.h"

#define MEMORY (1u << 20)
#define ROUNDS 40u
#define STEPS  2000u

struct hostile {
	struct vqnic *nic;
	struct rng rng;
	uint8_t *mem;
	int fd;
	uint64_t size[VQNIC_REGIONS];
	uint32_t notify, multiplier;
};

static uint64_t value_of(struct hostile *h)
{
	static const uint64_t corners[] = {0,	   1,	   2,	       3,	   0xf,
					   0xff,   0x100,  0x7fff,     0x8000,	   0xffff,
					   0x1000, 0xffff, UINT32_MAX, UINT64_MAX, 0xb};

	switch (rng_below(&h->rng, 4)) {
	case 0:
		return rng_next(&h->rng);
	case 1:
		return rng_below(&h->rng, MEMORY) & ~UINT64_C(0xfff); /* an address */
	default:
		return corners[rng_below(&h->rng, ARRAY_SIZE(corners))];
	}
}

/* Mostly registers: the first bytes of pages, at their natural alignment. */
static uint64_t place(struct hostile *h, unsigned int region, unsigned int len)
{
	uint64_t size = h->size[region], off;

	if (rng_below(&h->rng, 8) == 0)
		return rng_below(&h->rng, size + 8);
	off = rng_below(&h->rng, size) & ~UINT64_C(0xfff);
	off += rng_below(&h->rng, 0x80) & ~(uint64_t)(len - 1);
	return off;
}

static void access_once(struct hostile *h)
{
	static const unsigned int regions[] = {0, 0, 0, 0, 0, 2, 4, 4, 7};
	unsigned int region = regions[rng_below(&h->rng, ARRAY_SIZE(regions))];
	unsigned int len = 1u << rng_below(&h->rng, 4);
	uint8_t buf[64];
	uint64_t value, off;

	if (!h->size[region])
		return;
	if (rng_below(&h->rng, 32) == 0)
		len = (unsigned int)rng_below(&h->rng, sizeof(buf));
	off = place(h, region, len ? len : 1);
	value = value_of(h);
	memset(buf, (int)rng_next(&h->rng), sizeof(buf));
	memcpy(buf, &value, sizeof(value));
	if (rng_below(&h->rng, 4))
		vqnic_region_write(h->nic, 0, region, off, buf, len);
	else
		vqnic_region_read(h->nic, 0, region, off, buf, len);
}

#define RING_STEP 0x8000u
#define DRIVER	  0x4000u
#define DEVICE	  0x6000u

/* Some buffers of queue @q: most of them sound, in memory, without loops. */
static void offer(struct hostile *h, uint16_t q)
{
	uint8_t *ring = h->mem + q * RING_STEP;
	uint16_t n = (uint16_t)rng_below(&h->rng, 16), idx;

	memcpy(&idx, ring + DRIVER + 2, 2);
	for (uint16_t i = 0; i < n; i++, idx++) {
		uint16_t slot = idx % 64;
		struct vn_desc d = {
			.addr = 4 * RING_STEP + rng_below(&h->rng, MEMORY / 2),
			.len = (uint32_t)rng_below(&h->rng, 2000),
			.flags = (uint16_t)(q & 1 ? 0 : VN_DESC_F_WRITE),
			.next = (uint16_t)rng_below(&h->rng, 64),
		};

		if (rng_below(&h->rng, 64) == 0)
			d.flags = (uint16_t)rng_below(&h->rng, 8);
		memcpy(ring + 16 * slot, &d, sizeof(d));
		memcpy(ring + DRIVER + 4 + 2 * (idx % 1024), &slot, 2);
	}
	memcpy(ring + DRIVER + 2, &idx, 2);
}

static void kick(struct hostile *h, uint16_t q)
{
	vqnic_region_write(h->nic, 0, 0, h->notify + q * h->multiplier, &q, 2);
}

/* BAR 0 begins with the common configuration: bring it to work now and then, or nothing would run.
 */
static void sensible(struct hostile *h)
{
	static const uint8_t status[] = {0, 1, 3, 11, 15};
	uint32_t features[2] = {0, 3u | (uint32_t)rng_below(&h->rng, 2) << 2};
	uint16_t one = 1;

	memset(h->mem, 0, 4 * RING_STEP);
	for (unsigned int i = 0; i < ARRAY_SIZE(status); i++) {
		for (uint32_t half = 0; i == 3 && half < 2; half++) {
			vqnic_region_write(h->nic, 0, 0, 0x08, &half, 4);
			vqnic_region_write(h->nic, 0, 0, 0x0c, &features[half], 4);
		}
		for (uint16_t q = 0; i == 4 && q < 4; q++) {
			uint64_t at[3] = {q * RING_STEP, q * RING_STEP + DRIVER,
					  q * RING_STEP + DEVICE};

			vqnic_region_write(h->nic, 0, 0, 0x16, &q, 2);
			for (uint32_t area = 0; area < 3; area++)
				vqnic_region_write(h->nic, 0, 0, 0x20 + 8 * area, &at[area], 8);
			if (h->size[4] && rng_below(&h->rng, 2)) {
				uint32_t word = (uint32_t)value_of(h);

				vqnic_region_write(h->nic, 0, 4, 0x20 + 4 * (q & 1u), &word, 4);
			}
			vqnic_region_write(h->nic, 0, 0, 0x1c, &one, 2);
		}
		vqnic_region_write(h->nic, 0, 0, 0x14, &status[i], 1);
		vqnic_run(h->nic, 1000);
	}
}

static void scribble(struct hostile *h)
{
	uint64_t at = rng_below(&h->rng, MEMORY - 64);

	for (unsigned int i = 0; i < 64; i += 8) {
		uint64_t value = value_of(h);

		memcpy(h->mem + at + i, &value, sizeof(value));
	}
}

static void find_doorbells(struct hostile *h)
{
	uint8_t cap[20] = {0}, at;

	assert_int_equal(vqnic_region_read(h->nic, 0, 7, VN_PCI_CAPABILITIES, &at, 1), 0);
	for (; at; at = cap[1]) {
		assert_int_equal(vqnic_region_read(h->nic, 0, 7, at, cap, sizeof(cap)), 0);
		if (cap[0] != VN_PCI_CAP_VENDOR || cap[3] != VN_CAP_NOTIFY)
			continue;
		memcpy(&h->notify, cap + 8, 4);
		memcpy(&h->multiplier, cap + 16, 4);
	}
}

static void registers_now(struct hostile *h, uint8_t *config, uint8_t *common)
{
	assert_int_equal(vqnic_region_read(h->nic, 0, 7, 0, config, 256), 0);
	for (unsigned int off = 0; off < VN_COMMON_SIZE; off++) {
		if (off == VN_COMMON_GENERATION)
			continue;
		for (unsigned int len = 1; len <= 4; len *= 2) {
			memset(common + 4 * off, 0, 4);
			assert_int_equal(
				vqnic_region_read(h->nic, 0, 0, off, common + 4 * off, len), 0);
		}
	}
}

static void hostile(const char *profile, bool delayed, const char *more)
{
	const char *const overrides[] = {delayed ? "fabric=delayed" : "fabric=direct", more, NULL};

	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct vqnic_config cfg = {
			.profile = profile, .overrides = overrides, .seed = round};
		struct vqnic_error err = {{0}};
		struct vqnic_dma_map map = {.size = MEMORY, .prot = 3};
		struct hostile h = {.rng = {round}};
		uint8_t config[2][256], common[2][4 * VN_COMMON_SIZE] = {{0}};

		if (vqnic_create(&cfg, &h.nic, &err))
			fail_msg("%s", err.text);
		assert_int_equal(vqnic_wire_open(h.nic, 0, "loopback", &err), 0);
		h.fd = memfd_create("hostile", MFD_CLOEXEC);
		assert_int_equal(ftruncate(h.fd, MEMORY), 0);
		h.mem = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, h.fd, 0);
		assert_ptr_not_equal(h.mem, MAP_FAILED);
		map.fd = h.fd;
		assert_int_equal(vqnic_dma_map(h.nic, 0, &map), 0);
		for (unsigned int i = 0; i < VQNIC_REGIONS; i++) {
			struct vqnic_region_info info;

			assert_int_equal(vqnic_region_info(h.nic, 0, i, &info), 0);
			h.size[i] = info.size;
		}
		find_doorbells(&h);
		registers_now(&h, config[0], common[0]);

		for (unsigned int step = 0; step < STEPS; step++) {
			uint16_t q = (uint16_t)rng_below(&h.rng, 5);

			if (rng_below(&h.rng, 100) == 0)
				sensible(&h);
			for (unsigned int i = 0; i < 4; i++)
				offer(&h, (uint16_t)(i % 4));
			kick(&h, q);
			if (rng_below(&h.rng, 20) == 0)
				scribble(&h);
			if (rng_below(&h.rng, 4) == 0)
				access_once(&h);
			vqnic_run(h.nic, (unsigned int)rng_below(&h.rng, 200));
		}
		for (unsigned int i = 0; i < 100000 && vqnic_run(h.nic, 100); i++)
			if (i == 99999)
				fail_msg("%s, round %u: events without end", profile, round);

		assert_int_equal(vqnic_reset(h.nic, 0), 0);
		registers_now(&h, config[1], common[1]);
		if (memcmp(config[0], config[1], sizeof(config[0])) ||
		    memcmp(common[0], common[1], sizeof(common[0])))
			fail_msg("%s, round %u: a reset does not bring the function back", profile,
				 round);
		vqnic_destroy(h.nic);
		munmap(h.mem, MEMORY);
		close(h.fd);
	}
}

static void virtio_pci(void **state)
{
	(void)state;
	hostile("virtio-net", false, NULL);
	hostile("virtio-net", true, NULL);
}

static void ifcvf(void **state)
{
	static const char packed[] =
		"features=version_1 access_platform mac ctrl_vq mq ring_packed mrg_rxbuf";

	(void)state;
	hostile("ifcvf", false, NULL);
	hostile("ifcvf-dpdk", true, NULL);
	hostile("ifcvf", true, packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(virtio_pci), cmocka_unit_test(ifcvf)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
