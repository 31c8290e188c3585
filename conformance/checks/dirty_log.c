/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dirty log of an IFC VF: every page of a packet buffer that the device wrote is marked
 *
 * How it works. Receive buffers of the check's own lie at odd places of an area of their own and
 * are poisoned, page by page differently, so that every write shows when the area is compared with
 * what it was: that record owes nothing to the device. The log is judged once the queues are
 * stopped, because a mark may come after the frame it belongs to. A page that changed and is not
 * marked is a page that a migration loses. Marks too many are legal; rings may be marked or not
 * (IFC-LM-003: their pages are the driver's business).
 */
#include <stdlib.h>

#include "frames.h"

#define AREA_PAGES 64u
#define SLOTS	   (AREA_PAGES / 2)
#define CAPS	   (CAP_DIRTY_LOG | CAP_VQ_STOP | CAP_TRAFFIC)

static struct net_frame frame;

/** struct logged - a driver with receive buffers in an area that is watched */
struct logged {
	struct test *t;
	struct net *net;
	struct dma_mem area;
	struct dma_log log;
	uint32_t number;
};

/** struct piece - where a buffer lies in the area; the cookie of it */
struct piece {
	uint32_t off, len;
	bool *busy;
};

static struct logged up(struct test *t, unsigned int pairs, enum dma_layout layout)
{
	struct logged l = {.t = t};

	l.net = net_up(t, &(struct net_options){
				  .pairs = pairs,
				  .need = VC_BIT(VC_NET_F_MRG_RXBUF),
				  .rx_count = NET_RX_NONE,
				  .dma = &(struct dma_options){.layout = layout},
			  });
	l.area = dma_alloc_pages(l.net->dma, AREA_PAGES);
	/* everything that is to be logged exists by now */
	l.log = dma_log_alloc(l.net->dma);
	return l;
}

static void log_on(struct logged *l)
{
	t_ok(l->t, parent_log_start(l->net->p, l->log.mem.iova, l->log.mem.size));
}

static void log_off(struct logged *l)
{
	t_ok(l->t, parent_log_stop(l->net->p));
}

/* offer() - a receive buffer on @pair; made available by deliver() */
static struct piece *offer(struct logged *l, unsigned int pair, uint32_t off, uint32_t len)
{
	const struct vring_sg sg = {l->area.iova + off, len, true};
	struct piece *p = malloc(sizeof(*p));

	if (!p)
		t_broken(l->t, "no memory");
	*p = (struct piece){off, len, NULL};
	t_ok(l->t, vring_add(l->net->rx[pair], &sg, 1, 0, p));
	return p;
}

static void publish(struct logged *l)
{
	for (unsigned int i = 0; i < l->net->pairs; i++) {
		vring_publish(l->net->rx[i], 0);
		vring_kick(l->net->rx[i]);
	}
}

/* inject() - a frame of @len bytes, of one of many flows */
static void inject(struct logged *l, uint32_t len)
{
	net_frame_udp(l->net, &frame, l->number++, len - 42);
	t_ok(l->t, net_inject(l->net, &frame));
}

static void give_back(struct piece *p)
{
	if (p->busy)
		*p->busy = false;
	free(p);
}

/* taken() - take back what was received, as much as there is; returns frames */
static unsigned int taken(struct logged *l)
{
	unsigned int frames = 0;

	for (unsigned int i = 0; i < l->net->pairs; i++) {
		struct vring *r = l->net->rx[i];
		struct vring_used used;

		while (vring_pending(r) && vring_get(r, &used)) {
			struct piece *p = used.cookie;
			const uint8_t *hdr = l->area.host + p->off;
			unsigned int more = (unsigned int)(hdr[10] | hdr[11] << 8);

			give_back(p);
			for (frames++; more > 1; more--) {
				t_expect(l->t, vring_get(r, &used), "a merged buffer must be used");
				give_back(used.cookie);
			}
		}
	}
	return frames;
}

static bool something_came(void *arg)
{
	struct logged *l = arg;

	for (unsigned int i = 0; i < l->net->pairs; i++)
		if (vring_pending(l->net->rx[i]))
			return true;
	return false;
}

/* receive() - wait for @n frames */
static void receive(struct logged *l, unsigned int n)
{
	for (unsigned int seen = 0; seen < n; seen += taken(l))
		t_expect(l->t, parent_wait(l->net->p, something_came, l, NET_SOON),
			 "%u frames were sent to the device, %u were received", n, seen);
	net_drain(l->net);
}

static void stop(struct logged *l)
{
	struct net_state state;

	net_save(l->net, &state);
}

/* compare() - every page of the area that differs from @snap must be marked; returns how many do */
static size_t compare(struct logged *l, const struct dma_snapshot *snap, const uint8_t *fetched)
{
	static uint64_t pages[AREA_PAGES];
	const size_t n = dma_changed(snap, pages, AREA_PAGES);

	for (size_t i = 0; i < n; i++) {
		const uint64_t page = pages[i] / DMA_PAGE;
		const bool before = fetched && fetched[page / 8] >> (page % 8) & 1;

		t_expect(
			l->t, before || dma_log_test(&l->log, pages[i]),
			"the device wrote to the page at IOVA 0x%llx (page %zu of the buffers) and did "
			"not mark it; %zu pages changed, %zu bits are set",
			(unsigned long long)pages[i],
			(size_t)((pages[i] - l->area.iova) / DMA_PAGE), n, dma_log_count(&l->log));
	}
	return n;
}

static uint32_t below(struct test *t, uint32_t n)
{
	return (uint32_t)(t_random(t) % n);
}

/* ---- Marks ------------------------------------------------------------------------------------
 */

CHECK(dirty_log, one_page, .requirements = "IFC-LM-001 IFC-LM-003 IFC-LM-005",
      .summary = "the page that a single frame was received in is marked, and hardly another",
      .needs = CAPS)
{
	size_t changed = 0, marked = 0;

	for (unsigned int i = 0; i < 9; i++) {
		struct logged l = up(t, 1, DMA_BY_SEED);
		struct dma_snapshot *snap = dma_snapshot(l.net->dma, &l.area);

		log_on(&l);
		/* pages at every place in a byte of the log, and the first and the last */
		offer(&l, 0, (i < 8 ? 9 * i : AREA_PAGES - 1) * DMA_PAGE + below(t, 1024), 2048);
		publish(&l);
		inject(&l, 60 + below(t, 1400));
		receive(&l, 1);
		stop(&l);
		changed += compare(&l, snap, NULL);
		marked += dma_log_count(&l.log);
		dma_snapshot_free(snap);
		net_down(l.net);
	}
	t_expect(t, changed >= 9, "9 frames were received, %zu pages changed", changed);
	/* marks too many are legal */
	t_note(t, "%zu pages changed, %zu are marked", changed, marked);
}

CHECK(dirty_log, every_page, .requirements = "IFC-LM-001 IFC-LM-003",
      .summary =
	      "of buffers that lie anywhere, over borders of pages, every changed page is marked",
      .needs = CAPS)
{
	for (unsigned int round = 0; round < 5; round++) {
		struct logged l = up(t, 1, DMA_BY_SEED);
		struct dma_snapshot *snap = dma_snapshot(l.net->dma, &l.area);
		unsigned int n = 0;

		log_on(&l);
		for (uint32_t off = below(t, 4096); off + 2048 < l.area.size; n++) {
			offer(&l, 0, off, 2048);
			off += 2048 + below(t, 9000);
		}
		publish(&l);
		for (unsigned int i = 0; i < n; i++)
			inject(&l, 60 + below(t, 1455));
		receive(&l, n);
		stop(&l);
		t_expect(t, compare(&l, snap, NULL) >= n / 2, "%u frames changed too few pages", n);
		dma_snapshot_free(snap);
		net_down(l.net);
	}
}

CHECK(dirty_log, borders, .requirements = "IFC-LM-001",
      .summary = "a frame that reaches one byte into a page, at either end, marks it",
      .needs = CAPS)
{
	struct logged l = up(t, 1, DMA_BY_SEED);
	struct dma_snapshot *snap = dma_snapshot(l.net->dma, &l.area);
	const uint32_t total = l.net->hdr_len + 1000;

	log_on(&l);
	for (uint32_t i = 0; i < 10; i++) {
		/* last byte on a page's first, first byte on a page's last, or just not */
		const uint32_t border = (4 * i + 2) * DMA_PAGE;
		const uint32_t off =
			i & 1 ? border - 1 - (i & 2) / 2 : border + 1 + (i & 2) / 2 - total;

		offer(&l, 0, off, total);
	}
	publish(&l);
	for (unsigned int i = 0; i < 10; i++)
		inject(&l, 1000);
	receive(&l, 10);
	stop(&l);
	t_expect(t, compare(&l, snap, NULL) >= 18, "10 frames over borders changed too few pages");
	net_down(l.net);
}

CHECK(dirty_log, merged, .requirements = "IFC-LM-001 IFC-LM-003",
      .summary = "of a frame in several buffers every buffer's pages are marked", .needs = CAPS)
{
	struct logged l = up(t, 1, DMA_BY_SEED);
	struct dma_snapshot *snap = dma_snapshot(l.net->dma, &l.area);

	log_on(&l);
	/* a page each; 1514 bytes take 6 of 256 */
	for (uint32_t i = 0; i < 60; i++)
		offer(&l, 0, i * DMA_PAGE + below(t, 3800), 256);
	publish(&l);
	for (unsigned int i = 0; i < 10; i++)
		inject(&l, 1500);
	receive(&l, 10);
	stop(&l);
	t_expect(t, compare(&l, snap, NULL) >= 58, "merged frames changed too few pages");
	net_down(l.net);
}

CHECK(dirty_log, pieces, .requirements = "IFC-LM-001",
      .summary = "of a buffer in several descriptors every page that was written is marked",
      .needs = CAPS)
{
	struct logged l = up(t, 1, DMA_BY_SEED);
	struct dma_snapshot *snap = dma_snapshot(l.net->dma, &l.area);

	log_on(&l);
	for (unsigned int i = 0; i < 6; i++) {
		struct vring_sg sg[8];
		struct piece *p = malloc(sizeof(*p));

		if (!p)
			t_broken(t, "no memory");
		for (unsigned int k = 0; k < 8; k++)
			sg[k] = (struct vring_sg){l.area.iova + (8u * i + (3 * k) % 8) * DMA_PAGE +
							  below(t, 3800),
						  200, true};
		*p = (struct piece){(uint32_t)(sg[0].iova - l.area.iova), 1600, NULL};
		t_ok(t, vring_add(l.net->rx[0], sg, 8, 0, p));
	}
	publish(&l);
	for (unsigned int i = 0; i < 6; i++)
		inject(&l, 700 + 150 * i);
	receive(&l, 6);
	stop(&l);
	t_expect(t, compare(&l, snap, NULL) >= 30, "frames in pieces changed too few pages");
	net_down(l.net);
}

CHECK(dirty_log, every_pair, .requirements = "IFC-LM-001 IFC-LM-003",
      .summary = "what is received on further queue pairs is marked as well", .needs = CAPS,
      .features = VC_BIT(VC_NET_F_MQ) | VC_BIT(VC_NET_F_CTRL_VQ))
{
	const unsigned int pairs = frames_pairs(t) > 4 ? 4 : frames_pairs(t);
	struct logged l = up(t, pairs, DMA_BY_SEED);
	struct dma_snapshot *snap = dma_snapshot(l.net->dma, &l.area);
	const unsigned int each = AREA_PAGES / pairs;
	unsigned int used = 0;

	if (pairs < 2)
		t_skip(t, SKIP_FEATURE, "there is one queue pair only");
	log_on(&l);
	for (unsigned int i = 0; i < pairs; i++)
		for (unsigned int k = 0; k < each; k++)
			offer(&l, i, (i * each + k) * DMA_PAGE + below(t, 1024), 2048);
	publish(&l);
	/* flows choose the pair; none gets more than it has buffers */
	for (unsigned int i = 0; i < each; i++)
		inject(&l, 200 + i);
	receive(&l, each);
	stop(&l);
	for (unsigned int i = 0; i < pairs; i++)
		used += vring_state(l.net->rx[i]).used != 0;
	t_note(t, "%u of %u receive queues were used", used, pairs);
	compare(&l, snap, NULL);
	net_down(l.net);
}

/* ---- Where the log lies -----------------------------------------------------------------------
 */

CHECK(dirty_log, high, .requirements = "IFC-LM-001",
      .summary = "a log above 4 GiB, of buffers above 4 GiB", .needs = CAPS)
{
	const uint64_t far = UINT64_C(0x123) << 32;
	struct logged l = up(t, 1, DMA_HIGH);
	struct dma_snapshot *snap = dma_snapshot(l.net->dma, &l.area);
	const uint64_t page = l.log.mem.iova & ~(uint64_t)(DMA_PAGE - 1);

	/* IFC-LM-004: the log has an IOVA of its own, where no guest memory is */
	t_ok(t, dma_map_at(l.net->dma, &l.log.mem, far, DMA_PROT_READ | DMA_PROT_WRITE));
	t_ok(t, parent_log_start(l.net->p, far + (l.log.mem.iova - page), l.log.mem.size));
	for (uint32_t i = 0; i < 20; i++)
		offer(&l, 0, 3 * i * DMA_PAGE + below(t, 4000), 2048);
	publish(&l);
	for (unsigned int i = 0; i < 20; i++)
		inject(&l, 60 + below(t, 1400));
	receive(&l, 20);
	stop(&l);
	t_expect(t, compare(&l, snap, NULL) >= 20, "20 frames changed too few pages");
}

CHECK(dirty_log, bounds, .requirements = "IFC-LM-001 VHU-LOG-013",
      .summary = "pages that the log does not cover are received, and nothing is written behind it",
      .needs = CAPS)
{
	struct logged l = up(t, 1, DMA_LINEAR);
	struct dma_snapshot *snap = dma_snapshot(l.net->dma, &l.area);
	/* the first byte of the log that is about the area's upper half */
	const uint64_t half = (l.area.iova / DMA_PAGE + AREA_PAGES / 2) / 8;
	uint8_t *behind = l.log.mem.host + half;
	static uint64_t pages[AREA_PAGES];
	size_t n;

	t_expect(t, half < l.log.mem.size, "a bug of this check: the log is too short");
	dma_poison(l.net->dma, behind, l.log.mem.size - half);
	t_ok(t, parent_log_start(l.net->p, l.log.mem.iova, half));
	for (uint32_t i = 0; i < AREA_PAGES; i++)
		offer(&l, 0, (27 * i) % AREA_PAGES * DMA_PAGE + 100, 2048);
	publish(&l);
	for (unsigned int i = 0; i < AREA_PAGES; i++)
		inject(&l, 60 + below(t, 1400));
	receive(&l, AREA_PAGES);
	stop(&l);
	t_expect(t, dma_poisoned(l.net->dma, behind, l.log.mem.size - half),
		 "the device wrote behind the end of a log of %llu bytes",
		 (unsigned long long)half);
	n = dma_changed(snap, pages, AREA_PAGES);
	for (size_t i = 0; i < n; i++)
		t_expect(t, pages[i] / DMA_PAGE / 8 >= half || dma_log_test(&l.log, pages[i]),
			 "the page at IOVA 0x%llx changed, is covered by the log and not marked",
			 (unsigned long long)pages[i]);
}

CHECK(dirty_log, keeps_bits, .requirements = "IFC-LM-001 VHK-LOG-003",
      .summary = "bits that somebody else has set stay set", .needs = CAPS)
{
	struct logged l = up(t, 1, DMA_BY_SEED);
	uint8_t *bits = l.log.mem.host;

	for (size_t i = 0; i < l.log.mem.size; i++)
		bits[i] = (uint8_t)(i & 1 ? 0x55 : 0xaa);
	log_on(&l);
	for (uint32_t i = 0; i < 32; i++)
		offer(&l, 0, 2 * i * DMA_PAGE + below(t, 4000), 2048);
	publish(&l);
	for (unsigned int i = 0; i < 32; i++)
		inject(&l, 60 + below(t, 1400));
	receive(&l, 32);
	stop(&l);
	for (size_t i = 0; i < l.log.mem.size; i++) {
		const uint8_t before = (uint8_t)(i & 1 ? 0x55 : 0xaa);

		t_expect(t, (bits[i] & before) == before,
			 "byte %zu of the log was 0x%02x and is 0x%02x: the device cleared bits", i,
			 before, bits[i]);
	}
}

/* ---- On and off -------------------------------------------------------------------------------
 */

CHECK(dirty_log, off, .requirements = "IFC-LM-002",
      .summary = "nothing is marked before the log is switched on and after it is switched off",
      .needs = CAPS)
{
	struct logged l = up(t, 1, DMA_BY_SEED);

	for (unsigned int i = 0; i < 9; i++) {
		const bool on = i % 3 == 1;
		size_t count;

		if (on)
			log_on(&l);
		else if (i % 3 == 2)
			log_off(&l);
		parent_settle(l.net->p);
		memset(l.log.mem.host, 0, l.log.mem.size);
		for (uint32_t k = 0; k < 4; k++)
			offer(&l, 0, (4 * i + k) * DMA_PAGE + below(t, 2000), 2048);
		publish(&l);
		for (unsigned int k = 0; k < 4; k++)
			inject(&l, 60 + below(t, 1400));
		receive(&l, 4);
		parent_settle(l.net->p);
		count = dma_log_count(&l.log);
		t_expect(t, on || !count, "the log is off, and %zu pages were marked", count);
		if (on)
			t_expect(t, count >= 4,
				 "the log is on, and only %zu pages were marked of 4", count);
	}
}

CHECK(dirty_log, switched, .requirements = "IFC-LM-001 IFC-LM-002 VHU-LOG-011",
      .summary = "switched on and off under traffic, again and again: no page is missed",
      .needs = CAPS)
{
	const bool exact = t_parent(t)->caps & CAP_EXACT_SETTLE;
	struct logged l = up(t, 1, DMA_BY_SEED);

	for (unsigned int i = 0; i < 12; i++) {
		static uint64_t pages[AREA_PAGES];
		struct dma_snapshot *snap;
		size_t n;

		t_step(t, "round %u", i);
		dma_poison(l.net->dma, l.area.host, l.area.size);
		memset(l.log.mem.host, 0, l.log.mem.size);
		for (uint32_t k = 0; k < 24; k++)
			offer(&l, 0, (2 * k + i % 2) * DMA_PAGE + below(t, 4000), 2048);
		publish(&l);
		for (unsigned int k = 0; k < 8; k++)
			inject(&l, 60 + below(t, 1400));
		if (exact)
			frames_turns(l.net, i % 6);
		else
			receive(&l, 8);
		/* what changes from here on changes with the log on */
		snap = dma_snapshot(l.net->dma, &l.area);
		log_on(&l);
		for (unsigned int k = 0; k < 8; k++)
			inject(&l, 60 + below(t, 1400));
		if (exact)
			frames_turns(l.net, i % 5);
		else
			receive(&l, 8);
		/* what has changed until here was written with the log on */
		n = dma_changed(snap, pages, AREA_PAGES);
		log_off(&l);
		for (unsigned int k = 0; k < 8; k++)
			inject(&l, 60 + below(t, 1400));
		receive(&l, exact ? 24 : 8);
		parent_settle(l.net->p);
		for (size_t k = 0; k < n; k++)
			t_expect(
				t, dma_log_test(&l.log, pages[k]),
				"round %u: the page at IOVA 0x%llx changed while the log was on and is "
				"not marked",
				i, (unsigned long long)pages[k]);
		dma_snapshot_free(snap);
	}
}

/* ---- What it is for ---------------------------------------------------------------------------
 */

CHECK(dirty_log, copy, .requirements = "IFC-LM-001 VHK-LOG-003 VHU-LOG-001",
      .summary = "a copy kept up by the log alone, under traffic, equals the memory after the stop",
      .needs = CAPS)
{
	struct logged l = up(t, 1, DMA_BY_SEED);
	const size_t bytes = l.area.size;
	uint8_t *copy = malloc(bytes), *dirty = calloc(1, l.log.mem.size);
	const uint64_t first = l.area.iova / DMA_PAGE;
	bool busy[SLOTS] = {false}, last = false;
	unsigned int came = 0;

	if (!copy || !dirty)
		t_broken(t, "no memory");
	log_on(&l);
	memcpy(copy, l.area.host, bytes);
	for (unsigned int round = 0; !last; round++) {
		last = came >= 60 || round == 5000;
		for (uint32_t slot = 0; !last && slot < SLOTS; slot++) {
			const uint32_t len = 300 + 600 * below(t, 3);

			if (busy[slot])
				continue;
			busy[slot] = true;
			offer(&l, 0, slot * 2 * DMA_PAGE + below(t, 2 * DMA_PAGE - len), len)
				->busy = &busy[slot];
		}
		publish(&l);
		/* not more than there are buffers for */
		for (unsigned int k = 0; !last && k < 6 && l.number - came < 10; k++)
			inject(&l, 60 + below(t, 1400));
		frames_turns(l.net, round % 7);
		came += taken(&l);
		if (last) {
			parent_settle(l.net->p);
			stop(&l);
		}
		/* fetch and clear first, then copy: what is written meanwhile is marked again */
		memset(dirty, 0, l.log.mem.size);
		dma_log_fetch(&l.log, dirty);
		for (uint64_t page = 0; page < AREA_PAGES; page++)
			if (dirty[(first + page) / 8] >> ((first + page) % 8) & 1)
				memcpy(copy + page * DMA_PAGE, l.area.host + page * DMA_PAGE,
				       DMA_PAGE);
	}
	for (uint64_t page = 0; page < AREA_PAGES; page++)
		t_expect(t,
			 !memcmp(copy + page * DMA_PAGE, l.area.host + page * DMA_PAGE, DMA_PAGE),
			 "page %llu of the buffers differs from its copy: a mark was lost",
			 (unsigned long long)page);
	t_expect(t, came >= 60, "60 frames must be received, %u were", came);
}
