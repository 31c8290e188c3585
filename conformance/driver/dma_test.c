// SPDX-License-Identifier: BSD-3-Clause
#include "fake_test.h"

#include <unistd.h>

static const enum dma_layout layouts[] = {DMA_LINEAR, DMA_SHIFTED, DMA_FRAGMENTED, DMA_HIGH};

#define FOR_LAYOUTS(i) for (unsigned int i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)

struct bench {
	struct test t;
	struct fake_parent f;
	struct dma *dma;
};

static struct bench *up(enum dma_layout layout)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	fake_open(&b->t, &b->f, 5);
	b->dma = dma_open(&b->t, &(struct dma_options){.size = 4 << 20, .layout = layout});
	return b;
}

static void down(struct bench *b)
{
	dma_close(b->dma);
	assert_int_equal(b->f.nmaps, 0);
	free(b);
}

static void check(void *arg)
{
	dma_check(((struct bench *)arg)->dma);
}

static void test_layouts(void **state)
{
	(void)state;
	FOR_LAYOUTS(i)
	{
		struct bench *b = up(layouts[i]);
		struct dma_mem m = dma_alloc(b->dma, 5000, 16);

		assert_int_equal(dma_layout(b->dma), layouts[i]);
		assert_int_equal(m.iova % 16, 0);
		assert_int_equal((uintptr_t)m.host % 16, 0);
		assert_ptr_equal(fake_memory(&b->f, m.iova, m.size), m.host);
		assert_ptr_equal(dma_host(b->dma, m.iova + 4999, 1), m.host + 4999);
		assert_int_equal(dma_iova(b->dma, m.host + 77), m.iova + 77);
		assert_int_equal(dma_iova(b->dma, &m), UINT64_MAX);
		assert_null(dma_host(b->dma, 0, 1));
		/* two pages: by one call, unless every page goes by itself */
		assert_int_equal(b->f.nmaps, layouts[i] == DMA_FRAGMENTED ? 2 : 1);
		down(b);
	}
}

static void test_by_seed(void **state)
{
	bool seen[DMA_LAYOUTS] = {false};
	struct test t;
	static struct fake_parent f;

	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		struct dma *dma;

		fake_open(&t, &f, seed);
		dma = dma_open(&t, NULL);
		seen[dma_layout(dma)] = true;
		dma_close(dma);
	}
	assert_false(seen[DMA_BY_SEED]);
	FOR_LAYOUTS(i)
	assert_true(seen[layouts[i]]);
}

/* the memfd is what the device sees: the same bytes have to be behind both */
static void test_same_memory(void **state)
{
	(void)state;
	FOR_LAYOUTS(i)
	{
		struct bench *b = up(layouts[i]);
		struct dma_mem m = dma_alloc_pages(b->dma, 3);

		for (unsigned int page = 0; page < 3; page++) {
			uint8_t *at = m.host + page * DMA_PAGE + 9;
			uint8_t seen = 0;

			*at = (uint8_t)(0x40 + page);
			for (unsigned int k = 0; k < b->f.nmaps; k++) {
				const struct parent_dma *d = &b->f.maps[k];
				const uint64_t iova = m.iova + page * DMA_PAGE + 9;

				if (iova < d->iova || iova - d->iova >= d->size)
					continue;
				assert_int_equal(pread(d->fd, &seen, 1,
						       (off_t)(d->offset + iova - d->iova)),
						 1);
			}
			assert_int_equal(seen, 0x40 + page);
		}
		down(b);
	}
}

static void test_guards(void **state)
{
	(void)state;
	FOR_LAYOUTS(i)
	{
		struct bench *b = up(layouts[i]);
		struct dma_mem m[20];

		for (unsigned int k = 0; k < 20; k++)
			m[k] = dma_alloc(b->dma, 100 + 700 * (size_t)k, 1);
		for (unsigned int k = 0; k < 20; k++) {
			/* the byte behind the last one is not mapped */
			assert_null(fake_memory(&b->f, m[k].iova + m[k].size, 1));
			assert_null(fake_memory(&b->f, (m[k].iova & ~4095ull) - 1, 1));
		}
		assert_null(fake_memory(&b->f, dma_unmapped_iova(b->dma, 4096), 1));
		assert_int_equal(dma_top(b->dma), m[19].iova + m[19].size);
		down(b);
	}
}

static void test_high_crosses_4g(void **state)
{
	struct bench *b = up(DMA_HIGH);
	bool below = false, above = false;

	(void)state;
	for (unsigned int i = 0; i < 40; i++) {
		struct dma_mem m = dma_alloc(b->dma, 3000, 2);

		below |= m.iova < UINT64_C(1) << 32;
		above |= m.iova >= UINT64_C(1) << 32;
		/* never in the window where interrupts are written */
		assert_true(m.iova + m.size <= 0xfee00000 || m.iova > 0xfeefffff);
	}
	assert_true(below && above);
	down(b);
}

static void test_poison(void **state)
{
	struct bench *b = up(DMA_LINEAR);
	struct dma_mem m = dma_alloc_pages(b->dma, 2);

	(void)state;
	assert_true(dma_poisoned(b->dma, m.host, m.size));
	/* pages differ, and no page is all of one byte */
	assert_memory_not_equal(m.host, m.host + DMA_PAGE, 64);
	for (unsigned int at = 4090; at < 4102; at++) {
		m.host[at] ^= 1;
		assert_false(dma_poisoned(b->dma, m.host, m.size));
		assert_false(dma_poisoned(b->dma, m.host + at, 1));
		assert_true(dma_poisoned(b->dma, m.host + at + 1, 13));
		dma_poison(b->dma, m.host + at - 3, 7);
		assert_true(dma_poisoned(b->dma, m.host, m.size));
	}
	down(b);
}

static void test_slack(void **state)
{
	(void)state;
	for (int where = -1; where <= 1; where += 2) {
		struct bench *b = up(DMA_SHIFTED);
		struct dma_mem m = dma_alloc(b->dma, 100, 64);

		dma_check(b->dma);
		memset(m.host, 0, m.size);
		dma_check(b->dma);
		m.host[where < 0 ? -1 : 100] ^= 1;
		must_end(&b->t, V_FAIL, check, b);
		assert_non_null(strstr(b->t.message, where < 0 ? "in front of" : "behind"));
		down(b);
	}
}

static void test_unmap_and_map(void **state)
{
	(void)state;
	FOR_LAYOUTS(i)
	{
		struct bench *b = up(layouts[i]);
		struct dma_mem m = dma_alloc_pages(b->dma, 2);

		assert_int_equal(dma_unmap(b->dma, &m), 0);
		assert_null(fake_memory(&b->f, m.iova, 1));
		m.host[0] = 1; /* still ours */
		assert_int_equal(dma_map(b->dma, &m, DMA_PROT_READ), 0);
		assert_ptr_equal(fake_memory(&b->f, m.iova, m.size), m.host);
		assert_false(b->f.maps[0].writable);
		assert_true(b->f.maps[0].readable);
		assert_int_equal(dma_map_at(b->dma, &m, 0x900000000, DMA_PROT_WRITE), 0);
		assert_ptr_equal(fake_memory(&b->f, 0x900000000, 1), m.host);
		for (unsigned int k = 0; k < 2; k++)
			parent_dma_unmap(&b->f.p, 0, 0x900000000 + k * DMA_PAGE,
					 layouts[i] == DMA_FRAGMENTED ? DMA_PAGE : 2 * DMA_PAGE);
		down(b);
	}
}

static void test_move(void **state)
{
	(void)state;
	FOR_LAYOUTS(i)
	{
		struct bench *b = up(layouts[i]);
		struct dma_mem other = dma_alloc_pages(b->dma, 1);
		struct dma_mem m = dma_alloc_pages(b->dma, 2), old;
		const uint64_t was = b->f.maps[1].offset;
		uint8_t seen;

		(void)other;
		memcpy(m.host + 4000, "over the border of two pages, so that both are seen to move",
		       60);
		assert_int_equal(dma_move(b->dma, &m, &old), 0);
		assert_memory_equal(m.host + 4000, "over the border", 15);
		assert_ptr_equal(fake_memory(&b->f, m.iova, m.size), m.host);
		assert_null(fake_memory(&b->f, old.iova, 1));
		assert_true(dma_poisoned(b->dma, old.host, old.size));
		/* a late write to the old pages shows there and nowhere else */
		seen = 0x77;
		assert_int_equal(pwrite(b->f.maps[0].fd, &seen, 1, (off_t)was), 1);
		assert_int_equal(old.host[0], 0x77);
		assert_false(dma_poisoned(b->dma, old.host, old.size));
		down(b);
	}
}

static void test_snapshot(void **state)
{
	struct bench *b = up(DMA_FRAGMENTED);
	struct dma_mem a = dma_alloc_pages(b->dma, 4), c = dma_alloc_pages(b->dma, 4);
	struct dma_snapshot *snap = dma_snapshot(b->dma, NULL), *one;
	uint64_t iovas[8];

	(void)state;
	assert_int_equal(dma_changed(snap, iovas, 8), 0);
	one = dma_snapshot(b->dma, &c);
	c.host[3 * DMA_PAGE] ^= 1;
	a.host[DMA_PAGE + 4095] ^= 1;
	a.host[DMA_PAGE] ^= 1;
	assert_int_equal(dma_changed(snap, iovas, 8), 2);
	assert_int_equal(iovas[0], a.iova + DMA_PAGE);
	assert_int_equal(iovas[1], c.iova + 3 * DMA_PAGE);
	assert_int_equal(dma_changed(snap, iovas, 1), 2);
	assert_int_equal(dma_changed(one, NULL, 0), 1);
	assert_true(dma_same(snap, a.host, DMA_PAGE));
	assert_false(dma_same(snap, a.host + DMA_PAGE, 1));
	dma_snapshot_update(snap, a.host + DMA_PAGE, DMA_PAGE);
	assert_int_equal(dma_changed(snap, iovas, 8), 1);
	dma_snapshot_free(one);
	dma_snapshot_free(snap);
	down(b);
}

static void test_log(void **state)
{
	(void)state;
	FOR_LAYOUTS(i)
	{
		struct bench *b = up(layouts[i]);
		struct dma_mem m = dma_alloc_pages(b->dma, 3);
		struct dma_log log = dma_log_alloc(b->dma);
		const uint64_t page = m.iova / DMA_PAGE + 1;
		uint8_t *into = calloc(1, log.mem.size);

		assert_non_null(into);
		assert_true(log.pages * DMA_PAGE >= m.iova + m.size);
		assert_true(log.pages <= log.mem.size * 8);
		assert_int_equal(dma_log_count(&log), 0);
		log.mem.host[page / 8] |= (uint8_t)(1u << (page % 8));
		assert_true(dma_log_test(&log, m.iova + DMA_PAGE));
		assert_true(dma_log_test(&log, m.iova + 2 * DMA_PAGE - 1));
		assert_false(dma_log_test(&log, m.iova));
		assert_false(dma_log_test(&log, UINT64_MAX));
		dma_log_fetch(&log, into);
		assert_int_equal(dma_log_count(&log), 0);
		assert_int_equal(into[page / 8], 1u << (page % 8));
		log.mem.host[0] = 4;
		dma_log_fetch(&log, into);
		assert_int_equal(into[page / 8], 1u << (page % 8));
		assert_int_equal(into[0], 4);
		/* what lies behind the log has to stay */
		dma_check(b->dma);
		if (log.mem.size % DMA_PAGE) {
			log.mem.host[log.mem.size] ^= 1;
			must_end(&b->t, V_FAIL, check, b);
		}
		free(into);
		down(b);
	}
}

static void exhaust(void *arg)
{
	for (;;)
		dma_alloc_pages(((struct bench *)arg)->dma, 100);
}

static void wrong_align(void *arg)
{
	dma_alloc(((struct bench *)arg)->dma, 10, 3);
}

static void test_limits(void **state)
{
	struct bench *b = up(DMA_LINEAR);

	(void)state;
	must_end(&b->t, V_BROKEN, exhaust, b);
	must_end(&b->t, V_BROKEN, wrong_align, b);
	down(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_by_seed),
		cmocka_unit_test(test_same_memory),
		cmocka_unit_test(test_guards),
		cmocka_unit_test(test_high_crosses_4g),
		cmocka_unit_test(test_poison),
		cmocka_unit_test(test_slack),
		cmocka_unit_test(test_unmap_and_map),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
