/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dirty log: every packet-buffer page that the device writes is marked
 *
 * How it works. Receive buffers are cut by hand out of poisoned pages that nothing else lies in and
 * that are used once; after the queues were stopped every page of them that is no longer poison
 * must be marked. That record owes nothing to the device: neither to used lengths nor to what was
 * asked for. Marks too many are allowed. The rings lie in pages of their own and may be marked or
 * not (a parent says which, IFCVF leaves them to software).
 *
 * The log counts pages of 4096 bytes of IOVA from 0, the lowest bit of byte 0 first. A second IOVA
 * for the pages of an area puts their bits anywhere, whatever the arena's layout is.
 */
#include <stdlib.h>
#include <string.h>

#include "../parent/pci_access.h"
#include "frames.h"
#include "pci_regs.h"

#define PAGE	  ((size_t)DMA_PAGE)
#define LOG_NEEDS (CAP_DIRTY_LOG | CAP_VQ_STOP | CAP_TRAFFIC)
#define BURST	  16u
#define LONGEST	  1514u

static struct net_frame frame;

/* ---- Buffers and frames -------------------------------------------------------------------------
 */

/* log_net() - a driver that posts no receive buffers; the check does */
static struct net *log_net(struct test *t, enum dma_layout layout)
{
	return net_up(t, &(struct net_options){.rx_count = NET_RX_NONE,
					       .indirect = true,
					       .need = VC_BIT(VC_NET_F_MRG_RXBUF),
					       .dma = &(struct dma_options){.layout = layout}});
}

/* at_iova() - the same pages by another IOVA, mapped */
static struct dma_mem at_iova(struct net *net, const struct dma_mem *mem, uint64_t iova)
{
	struct dma_mem at = *mem;

	t_ok(net->t, dma_map_at(net->dma, mem, iova, DMA_PROT_READ | DMA_PROT_WRITE));
	at.iova = iova;
	return at;
}

static size_t whole_pages(size_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

/* offer_number() - @len bytes at @off of an area as a receive buffer of @pair, not yet published */
static void offer_number(struct net *net, unsigned int pair, const struct dma_mem *area, size_t off,
			 uint32_t len, unsigned int number)
{
	const struct vring_sg sg = {area->iova + off, len, true};

	if (vring_add(net->rx[pair], &sg, 1, VRING_NO_INDIRECT, (void *)(uintptr_t)number))
		t_broken(net->t, "a bug of this check: rx%u is full", pair);
}

static void offer(struct net *net, unsigned int pair, const struct dma_mem *area, size_t off,
		  uint32_t len)
{
	offer_number(net, pair, area, off, len, 0);
}

/* offer_by_chance() - buffers of @len bytes, one behind the other with gaps, over all of the area;
 * returns how many */
static unsigned int offer_by_chance(struct net *net, const struct dma_mem *area, uint32_t len)
{
	unsigned int n = 0;
	size_t off = t_random(net->t) % 300;

	for (; off + len <= area->size && vring_free(net->rx[0]); n++) {
		offer(net, 0, area, off, len);
		off += len + t_random(net->t) % 300;
	}
	return n;
}

static void publish(struct net *net, unsigned int pair)
{
	vring_publish(net->rx[pair], 0);
	vring_kick(net->rx[pair]);
}

/**
 * struct taking - used receive buffers that were taken, and until how many to wait
 * @which: of the buffers that were offered with a number, those that came back
 */
struct taking {
	struct net *net;
	unsigned int buffers, want;
	uint64_t bytes, want_bytes;
	bool which[256];
};

static bool taken(void *arg)
{
	struct taking *k = arg;
	struct vring_used used;

	for (unsigned int pair = 0; pair < k->net->pairs; pair++) {
		net_reap(k->net, pair);
		while (vring_pending(k->net->rx[pair]) && vring_get(k->net->rx[pair], &used)) {
			k->buffers++;
			k->bytes += used.len;
			if (used.cookie)
				k->which[(uintptr_t)used.cookie - 1] = true;
		}
	}
	return k->buffers >= k->want && k->bytes >= k->want_bytes;
}

/* inject() - a frame of @len bytes (0: by chance) comes from the wire; returns its length */
static uint32_t inject(struct net *net, uint32_t len)
{
	static uint32_t seq;

	if (!len)
		len = 60 + (uint32_t)(t_random(net->t) % (LONGEST - 59));
	net_frame_make(net, &frame, NET_FLOW_OWN, seq++, len);
	if (net_inject(net, &frame))
		t_broken(net->t, "the wire takes no frame");
	return len;
}

/* receive() - @n frames of @len bytes come and are received, whole */
static void receive(struct net *net, unsigned int n, uint32_t len)
{
	struct taking k = {.net = net};

	for (unsigned int done = 0; done < n;) {
		for (unsigned int i = 0; i < BURST && done < n; i++, done++)
			k.want_bytes += net->hdr_len + inject(net, len);
		k.want = done;
		t_expect(net->t, parent_wait(net->p, taken, &k, NET_SOON),
			 "%u frames came from the wire and there are buffers for them; %u buffers "
			 "with %llu bytes of %llu were used",
			 done, k.buffers, (unsigned long long)k.bytes,
			 (unsigned long long)k.want_bytes);
	}
}

/* stop() - the log is judged only once every queue has stopped */
static void stop(struct net *net)
{
	struct net_state state;

	net_save(net, &state);
}

/* ---- Judging ------------------------------------------------------------------------------------
 */

static void start(struct net *net, const struct dma_log *log)
{
	int err = parent_log_start(net->p, log->mem.iova, log->mem.size);

	t_expect(net->t, err == 0, "switching the log on must succeed, it returned %d", err);
}

static void end(struct net *net)
{
	int err = parent_log_stop(net->p);

	t_expect(net->t, err == 0, "switching the log off must succeed, it returned %d", err);
}

static bool wrote(struct net *net, const struct dma_mem *area, size_t page,
		  const struct dma_snapshot *since)
{
	const uint8_t *host = area->host + page * PAGE;

	return since ? !dma_same(since, host, PAGE) : !dma_poisoned(net->dma, host, PAGE);
}

/**
 * judge() - every page of @area that changed (@since a snapshot; NULL: ever) must be marked
 * Return: how many changed; none at all is a failure, as frames were received in them.
 */
static size_t judge(struct net *net, const struct dma_mem *area, const struct dma_log *log,
		    const struct dma_snapshot *since, const char *what)
{
	size_t changed = 0, missed = 0, extra = 0;
	uint64_t first = 0;

	for (size_t i = 0; i < area->size / PAGE; i++) {
		const uint64_t iova = area->iova + i * PAGE;
		const bool marked = dma_log_test(log, iova);

		if (!wrote(net, area, i, since)) {
			extra += marked;
			continue;
		}
		changed++;
		if (!marked && !missed++)
			first = iova;
	}
	t_expect(net->t, changed, "a bug of this check: %s: no page of the buffers changed", what);
	t_expect(net->t, !missed,
		 "%s: the device wrote %zu pages of receive buffers while the log was on, %zu of "
		 "them are not marked; the first is IOVA 0x%llx, bit %llu of byte %llu of the log "
		 "(%zu other pages of the buffers are marked)",
		 what, changed, missed, (unsigned long long)first,
		 (unsigned long long)(first / PAGE % 8), (unsigned long long)(first / PAGE / 8),
		 extra);
	return changed;
}

/* finish() - stop, judge the area, switch off */
static void finish(struct net *net, const struct dma_mem *area, const struct dma_log *log,
		   const char *what)
{
	stop(net);
	judge(net, area, log, NULL, what);
	end(net);
	net_down(net);
}

/* ---- Every page --------------------------------------------------------------------------------
 */

CHECK(dirty_log, one_page, .requirements = "IFC-LM-001 IFC-LM-005 VHU-LOG-004",
      .summary = "the page that a single frame was received in is marked, and hardly another",
      .needs = LOG_NEEDS)
{
	struct net *net = log_net(t, DMA_BY_SEED);
	const struct dma_mem area = dma_alloc_pages(net->dma, 72);
	const struct dma_log log = dma_log_alloc(net->dma);
	struct dma_mem one = area;
	size_t marked = 0;

	/* at every place in a byte of the log, a log each */
	one.size = PAGE;
	for (unsigned int i = 0; i < 8; i++) {
		one.host = area.host + 9 * i * PAGE;
		one.iova = area.iova + 9 * i * PAGE;
		memset(log.mem.host, 0, log.mem.size);
		start(net, &log);
		offer(net, 0, &one, t_random(t) % 2000, 2048);
		publish(net, 0);
		receive(net, 1, 0);
		t_ok(t, parent_settle(net->p));
		end(net);
		judge(net, &one, &log, NULL, "a single frame");
		marked += dma_log_count(&log);
	}
	/* marks too many are legal */
	t_note(t, "8 pages changed, %zu were marked", marked);
	net_down(net);
}

CHECK(dirty_log, every_page, .requirements = "IFC-LM-001 VHU-LOG-001 VHU-LOG-003 VHU-LOG-004",
      .summary = "every page of a receive buffer that was written is marked, buffers anywhere",
      .needs = LOG_NEEDS)
{
	struct net *net = log_net(t, DMA_BY_SEED);
	const struct dma_mem area = dma_alloc_pages(net->dma, 64);
	const struct dma_log log = dma_log_alloc(net->dma);
	const unsigned int n = offer_by_chance(net, &area, 2048);
	size_t changed, rings = 0;

	start(net, &log);
	publish(net, 0);
	receive(net, n, 0);
	stop(net);
	changed = judge(net, &area, &log, NULL, "frames of all sizes");
	for (unsigned int i = 0; i < 3; i++)
		rings += dma_log_test(&log, vring_area(net->rx[0], i)->iova);
	t_note(t, "%zu pages written and marked, %zu marked in all; ring pages: %s", changed,
	       dma_log_count(&log), rings ? "marked" : "not marked");
	end(net);
	net_down(net);
}

CHECK(dirty_log, borders, .requirements = "IFC-LM-001 VHK-LOG-002 VHU-LOG-001",
      .summary = "a buffer over a page border: the pages of header and payload, down to a byte",
      .needs = LOG_NEEDS)
{
	static const uint32_t before[] = {1, 2, 11, 12, 13, 60, 71, 72, 73, 1000, 1525, 1526};
	struct net *net = log_net(t, DMA_BY_SEED);
	const struct dma_mem area = dma_alloc_pages(net->dma, 4 * ARRAY_LEN(before));
	const struct dma_log log = dma_log_alloc(net->dma);

	/* two pages and a border each; 60-byte frames end 72 bytes behind the buffer's start */
	for (unsigned int i = 0; i < ARRAY_LEN(before); i++)
		offer(net, 0, &area, (2 * i + 1) * PAGE - before[i], 1600);
	for (unsigned int i = 0; i < ARRAY_LEN(before); i++)
		offer(net, 0, &area, (2 * (ARRAY_LEN(before) + i) + 1) * PAGE - before[i], 1600);
	start(net, &log);
	publish(net, 0);
	receive(net, ARRAY_LEN(before), 60);
	receive(net, ARRAY_LEN(before), LONGEST);
	finish(net, &area, &log, "buffers over a page border");
}

/* a device may also cut a long frame into frames of 1448 bytes, each in a buffer of its own */
#define LONG_BUFFERS 54u

CHECK(dirty_log, long_frames, .requirements = "IFC-LM-001 VHK-LOG-002",
      .summary = "of a frame in a buffer over many pages each page is marked",
      .needs = LOG_NEEDS | CAP_PEER,
      .features = VC_BIT(VC_NET_F_GUEST_CSUM) | VC_BIT(VC_NET_F_GUEST_TSO4))
{
	struct net *net = net_up(t, &(struct net_options){.rx_count = NET_RX_NONE,
							  .need = VC_BIT(VC_NET_F_MRG_RXBUF) |
								  VC_BIT(VC_NET_F_GUEST_CSUM) |
								  VC_BIT(VC_NET_F_GUEST_TSO4)});
	const struct dma_mem area = dma_alloc_pages(net->dma, LONG_BUFFERS * 17);
	const struct dma_log log = dma_log_alloc(net->dma);
	struct taking k = {.net = net};

	for (unsigned int i = 0; i < LONG_BUFFERS; i++)
		offer(net, 0, &area, i * 17 * PAGE + t_random(t) % PAGE, 16 * PAGE);
	start(net, &log);
	publish(net, 0);
	for (unsigned int i = 0; i < 2; i++) {
		net_frame_tcp(net, &frame, i, 15000 + 44000 * i, false);
		net_csum_partial(&frame);
		frame.hdr.gso_type = VC_NET_GSO_TCPV4;
		frame.hdr.gso_size = 1448;
		frame.hdr.hdr_len = 54;
		if (net_inject(net, &frame))
			t_skip(t, SKIP_PEER, "the wire takes no frame that is to be segmented");
		k.want_bytes += frame.len;
		t_expect(t, parent_wait(net->p, taken, &k, NET_SOON),
			 "a frame of %u bytes with TCP segmentation must be received", frame.len);
	}
	finish(net, &area, &log, "frames over many pages");
}

CHECK(dirty_log, merged, .requirements = "IFC-LM-001 VHU-LOG-001 VHU-LOG-004",
      .summary = "of a frame in merged buffers every buffer's page is marked", .needs = LOG_NEEDS)
{
	struct net *net = log_net(t, DMA_BY_SEED);
	const struct dma_mem area = dma_alloc_pages(net->dma, 96);
	const struct dma_log log = dma_log_alloc(net->dma);

	for (unsigned int i = 0; i < 96; i++)
		offer(net, 0, &area, i * PAGE + t_random(t) % (PAGE - 300), 300);
	start(net, &log);
	publish(net, 0);
	/* six buffers each */
	receive(net, 16, LONGEST);
	finish(net, &area, &log, "merged buffers");
}

CHECK(dirty_log, pieces, .requirements = "IFC-LM-001 VHU-LOG-001 VHU-LOG-004",
      .summary = "every descriptor of a buffer counts: header apart, payload in pieces, by an "
		 "indirect table",
      .needs = LOG_NEEDS)
{
	struct net *net = log_net(t, DMA_BY_SEED);
	const struct dma_mem area = dma_alloc_pages(net->dma, 5 * 32);
	const struct dma_log log = dma_log_alloc(net->dma);

	for (unsigned int i = 0; i < 32; i++) {
		const uint64_t at = area.iova + 5 * i * PAGE;
		const struct vring_sg sg[5] = {
			{at + 100, net->hdr_len, true},	  {at + PAGE, 14, true},
			{at + 3 * PAGE + 700, 400, true}, {at + 2 * PAGE, 1, true},
			{at + 4 * PAGE, 2048, true},
		};

		t_ok(t, vring_add(net->rx[0], sg, 5, i & 1 ? VRING_INDIRECT : VRING_NO_INDIRECT,
				  NULL));
	}
	start(net, &log);
	publish(net, 0);
	receive(net, 16, LONGEST);
	/* short ones do not reach the later pieces */
	receive(net, 16, 60);
	finish(net, &area, &log, "buffers in pieces");
}

CHECK(dirty_log, every_pair, .requirements = "IFC-LM-001 VHU-LOG-001",
      .summary = "frames on every receive queue are logged", .needs = LOG_NEEDS | CAP_PEER,
      .features = VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_MQ))
{
	const unsigned int pairs = frames_pairs(t);
	struct net *net = net_up(
		t, &(struct net_options){.pairs = pairs, .rx_count = NET_RX_NONE, .size = 64});
	struct dma_mem area[NET_PAIRS_MAX];
	struct taking k = {.net = net};
	unsigned int seen = 0;
	struct dma_log log;

	for (unsigned int i = 0; i < pairs; i++)
		area[i] = dma_alloc_pages(net->dma, 32);
	log = dma_log_alloc(net->dma);
	start(net, &log);
	for (unsigned int i = 0; i < pairs; i++) {
		for (unsigned int b = 0; b < 32; b++)
			offer(net, i, &area[i], b * PAGE + t_random(t) % 2000, 2048);
		publish(net, i);
	}
	/* which queue a flow comes on is the device's choice */
	for (unsigned int flow = 0; flow < 24; flow++) {
		net_frame_udp(net, &frame, flow, 100 + flow * 50);
		if (net_inject(net, &frame))
			t_broken(t, "the wire takes no frame");
		k.want++;
	}
	t_expect(t, parent_wait(net->p, taken, &k, NET_SOON),
		 "24 frames came from the wire, %u were received", k.buffers);
	stop(net);
	for (unsigned int i = 0; i < pairs; i++) {
		if (dma_poisoned(net->dma, area[i].host, area[i].size))
			continue;
		judge(net, &area[i], &log, NULL, net_queue_name(net, 2 * i));
		seen++;
	}
	t_note(t, "frames came on %u of %u receive queues", seen, pairs);
	end(net);
	net_down(net);
}

CHECK(dirty_log, control_answer, .requirements = "IFC-LM-001 VHU-LOG-001",
      .summary = "the page that a control command's answer is written to is marked",
      .needs = CAP_DIRTY_LOG | CAP_VQ_STOP,
      .features = VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_CTRL_RX))
{
	struct net *net = net_up(t, NULL);
	const struct dma_mem out = dma_alloc(net->dma, 3, 1), area = dma_alloc_pages(net->dma, 4);
	const struct dma_log log = dma_log_alloc(net->dma);

	start(net, &log);
	for (unsigned int i = 0; i < 4; i++) {
		const struct vring_sg sg[2] = {{out.iova, 3, false},
					       {area.iova + i * PAGE + 17, 1, true}};
		struct vring_used used;

		out.host[0] = VC_NET_CTRL_RX;
		out.host[1] = VC_NET_CTRL_RX_PROMISC;
		out.host[2] = i & 1;
		/* no answer is poison */
		area.host[i * PAGE + 17] = 0xa5;
		t_ok(t, vring_add(net->ctrl, sg, 2, VRING_NO_INDIRECT, NULL));
		vring_publish(net->ctrl, 0);
		vring_kick(net->ctrl);
		t_expect(t, vring_wait(net->ctrl, NET_SOON) && vring_get(net->ctrl, &used),
			 "command %u must be answered", i);
		t_expect_eq(t, area.host[i * PAGE + 17], VC_NET_OK, "answer of a command");
	}
	finish(net, &area, &log, "answers of control commands");
}

/* ---- Where in the log
 * ----------------------------------------------------------------------------
 */

CHECK(dirty_log, bit_order, .requirements = "IFC-LM-001 VHK-LOG-001 VHU-LOG-004",
      .summary = "bit n of the log is page n, the lowest bit of each byte first",
      .needs = LOG_NEEDS)
{
	/* neither turned in a byte, nor bytes in a word, is any of it the same or a part of it */
	static const uint8_t pattern[8] = {0x01, 0x02, 0x04, 0x08, 0x13, 0x20, 0x07, 0x40};
	struct net *net = log_net(t, DMA_LINEAR);
	const struct dma_mem own = dma_alloc_pages(net->dma, 64);
	struct dma_log log = dma_log_alloc(net->dma);
	const struct dma_mem area = at_iova(net, &own, 0x02000000);
	unsigned int n = 0;

	for (unsigned int i = 0; i < 64; i++) {
		if (!(pattern[i / 8] & 1u << i % 8))
			continue;
		offer(net, 0, &area, i * PAGE, 2048);
		n++;
	}
	start(net, &log);
	publish(net, 0);
	receive(net, n, 0);
	finish(net, &area, &log, "a pattern of pages");
}

CHECK(dirty_log, whole_range, .requirements = "IFC-LM-001 VHU-LOG-004",
      .summary = "pages from the first to the last byte of the log, whose end is exclusive",
      .needs = LOG_NEEDS)
{
	/* 8192 bytes: just what lies below the linear arena */
	static const uint64_t iovas[] = {0x00001000, 0x00007000, 0x00008000, 0x07fff000,
					 0x08000000, 0x0a5a5000, 0x0fff8000, 0x0ffff000};
	struct net *net = log_net(t, DMA_LINEAR);
	struct dma_mem own, area[ARRAY_LEN(iovas)];
	struct dma_log log;

	for (unsigned int i = 0; i < ARRAY_LEN(iovas); i++) {
		own = dma_alloc_pages(net->dma, 1);
		area[i] = at_iova(net, &own, iovas[i]);
	}
	log.mem = dma_alloc_pages(net->dma, 2);
	memset(log.mem.host, 0, log.mem.size);
	log.pages = log.mem.size * 8;
	start(net, &log);
	for (unsigned int i = 0; i < ARRAY_LEN(iovas); i++)
		offer(net, 0, &area[i], t_random(t) % 2000, 2048);
	publish(net, 0);
	receive(net, ARRAY_LEN(iovas), 0);
	stop(net);
	for (unsigned int i = 0; i < ARRAY_LEN(iovas); i++)
		judge(net, &area[i], &log, NULL, "a page somewhere in the log");
	end(net);
	net_down(net);
}

CHECK(dirty_log, bounds, .requirements = "IFC-LM-001 VHU-LOG-013",
      .summary = "nothing is written beside the log, also for pages beyond its end",
      .needs = LOG_NEEDS)
{
	struct net *net = log_net(t, DMA_BY_SEED);
	const struct dma_mem area = dma_alloc_pages(net->dma, 48);
	/* it ends in the midst of the area */
	const uint64_t pages = (area.iova / PAGE + 24) / 8 * 8;
	const size_t bytes = (size_t)pages / 8;
	const struct dma_mem mem = dma_alloc_pages(net->dma, bytes / PAGE + 3);
	struct dma_mem covered = area;
	struct dma_log log = {.mem = mem, .pages = pages};

	/* a page before and at least one behind are guards */
	log.mem.host += PAGE;
	log.mem.iova += PAGE;
	log.mem.size = bytes;
	memset(log.mem.host, 0, bytes);
	for (unsigned int i = 0; i < 48; i++)
		offer(net, 0, &area, i * PAGE + t_random(t) % 2000, 2048);
	start(net, &log);
	publish(net, 0);
	receive(net, 48, 0);
	stop(net);
	t_expect(t, dma_poisoned(net->dma, mem.host, PAGE),
		 "bytes in front of the log were written");
	t_expect(t,
		 dma_poisoned(net->dma, log.mem.host + bytes,
			      (size_t)(mem.host + mem.size - log.mem.host) - bytes),
		 "bytes behind the end of the log were written, for pages that it does not cover");
	covered.size = (pages - area.iova / PAGE) * PAGE;
	judge(net, &covered, &log, NULL, "pages below the end of the log");
	end(net);
	net_down(net);
}

CHECK(dirty_log, high, .requirements = "IFC-LM-001 IFC-LM-004 IFC-LM-005",
      .summary = "the log may lie above 4 GiB, and across that border; so may the buffers",
      .needs = LOG_NEEDS)
{
	/* with the high half dropped the first two are in the decoy, which is mapped as well */
	static const struct {
		uint64_t log;
		enum dma_layout layout;
	} where[] = {
		{UINT64_C(0x12305000000), DMA_LINEAR},
		{UINT64_C(0x12305000000), DMA_HIGH},
		{UINT64_C(0x100000000) - PAGE, DMA_LINEAR},
	};

	for (unsigned int i = 0; i < ARRAY_LEN(where); i++) {
		struct net *net = log_net(t, where[i].layout);
		const struct dma_mem area = dma_alloc_pages(net->dma, 48);
		struct dma_log log = dma_log_alloc(net->dma);
		const struct dma_mem own = dma_alloc_pages(net->dma, (log.mem.size + PAGE) / PAGE);
		const struct dma_mem decoy = at_iova(net, &own, 0x05000000);

		t_step(t, "the log at IOVA 0x%llx", (unsigned long long)where[i].log);
		log.mem = at_iova(net, &log.mem, where[i].log);
		offer_by_chance(net, &area, 2048);
		start(net, &log);
		publish(net, 0);
		receive(net, 16, 0);
		stop(net);
		t_expect(t, dma_poisoned(net->dma, decoy.host, decoy.size),
			 "the log is at IOVA 0x%llx, marks were written at 0x%llx",
			 (unsigned long long)log.mem.iova, (unsigned long long)decoy.iova);
		judge(net, &area, &log, NULL, "a log above 4 GiB");
		end(net);
		t_ok(t, parent_dma_unmap(net->p, 0, decoy.iova, own.size));
		t_ok(t, parent_dma_unmap(net->p, 0, log.mem.iova, whole_pages(log.mem.size)));
		net_down(net);
	}
}

CHECK(dirty_log, keeps_bits, .requirements = "IFC-LM-001 VHU-LOG-005 VHK-LOG-003",
      .summary = "bits that someone else has set stay", .needs = LOG_NEEDS)
{
	struct net *net = log_net(t, DMA_BY_SEED);
	const struct dma_mem area = dma_alloc_pages(net->dma, 64);
	struct dma_log log = dma_log_alloc(net->dma);

	/* every second page is marked by software, and only the others get buffers */
	memset(log.mem.host, 0x55, log.mem.size);
	for (unsigned int i = 0; i < 64; i++)
		if ((area.iova / PAGE + i) & 1)
			offer(net, 0, &area, i * PAGE + 100, 2048);
	start(net, &log);
	publish(net, 0);
	receive(net, 32, 0);
	stop(net);
	for (size_t i = 0; i < log.mem.size; i++)
		t_expect(t, (log.mem.host[i] & 0x55) == 0x55,
			 "byte %zu of the log held 0x55 when the log was switched on, then 0x%02x: "
			 "the device may only set bits",
			 i, log.mem.host[i]);
	judge(net, &area, &log, NULL, "between bits of others");
	end(net);
	net_down(net);
}

/* ---- On and off
 * ----------------------------------------------------------------------------------
 */

CHECK(dirty_log, switched_on, .requirements = "IFC-LM-001 VHU-LOG-011 VHU-LOG-001",
      .summary = "switched on in the midst of traffic: of what is written from then on nothing is "
		 "missed",
      .needs = LOG_NEEDS)
{
	for (unsigned int round = 0; round < 12; round++) {
		struct net *net = log_net(t, DMA_BY_SEED);
		const struct dma_mem area = dma_alloc_pages(net->dma, 80);
		const struct dma_log log = dma_log_alloc(net->dma);
		struct taking k = {.net = net, .want = 48};
		struct dma_snapshot *snap;

		t_step(t, "round %u", round);
		for (unsigned int i = 0; i < 80; i++)
			offer(net, 0, &area, i * PAGE + t_random(t) % 2000, 2048);
		publish(net, 0);
		for (unsigned int i = 0; i < 24; i++)
			k.want_bytes += net->hdr_len + inject(net, 0);
		frames_turns(net, round < 4 ? round : (unsigned int)(t_random(t) % (16 * round)));
		start(net, &log);
		/* what is written after this, the device wrote with the log on */
		snap = dma_snapshot(net->dma, &area);
		for (unsigned int i = 0; i < 24; i++)
			k.want_bytes += net->hdr_len + inject(net, 0);
		t_expect(t, parent_wait(net->p, taken, &k, NET_SOON),
			 "48 frames came from the wire, %u buffers were used", k.buffers);
		stop(net);
		judge(net, &area, &log, snap, "after switching on in traffic");
		dma_snapshot_free(snap);
		end(net);
		net_down(net);
	}
}

CHECK(dirty_log, switched, .requirements = "IFC-LM-001 IFC-LM-002 VHU-LOG-011",
      .summary = "on, off and on again in traffic: what was complete before the log was switched "
		 "off is marked, and nothing is missed from the second start on",
      .needs = LOG_NEEDS)
{
	for (unsigned int round = 0; round < 8; round++) {
		struct net *net = log_net(t, DMA_BY_SEED);
		const struct dma_mem area = dma_alloc_pages(net->dma, 120);
		const struct dma_log first = dma_log_alloc(net->dma);
		const struct dma_log second = dma_log_alloc(net->dma);
		struct taking k = {.net = net, .want = 1 + 2 * round};
		bool complete[ARRAY_LEN(k.which)];
		struct dma_snapshot *snap;
		uint64_t bytes = 0;

		t_step(t, "round %u", round);
		for (unsigned int i = 0; i < 120; i++)
			offer_number(net, 0, &area, i * PAGE + t_random(t) % 2000, 2048, i + 1);
		start(net, &first);
		publish(net, 0);
		for (unsigned int i = 0; i < 24; i++)
			bytes += net->hdr_len + inject(net, 0);
		t_expect(t, parent_wait(net->p, taken, &k, NET_SOON),
			 "24 frames came from the wire, %u buffers were used", k.buffers);
		memcpy(complete, k.which, sizeof(complete));
		end(net);
		for (unsigned int i = 0; i < 24; i++)
			bytes += net->hdr_len + inject(net, 0);
		frames_turns(net, (unsigned int)(t_random(t) % 32));
		start(net, &second);
		snap = dma_snapshot(net->dma, &area);
		for (unsigned int i = 0; i < 24; i++)
			bytes += net->hdr_len + inject(net, 0);
		k.want_bytes = bytes;
		t_expect(t, parent_wait(net->p, taken, &k, NET_SOON),
			 "72 frames came from the wire, %u buffers were used", k.buffers);
		stop(net);
		for (unsigned int i = 0; i < 120; i++) {
			struct dma_mem one = area;

			one.host += i * PAGE;
			one.iova += i * PAGE;
			one.size = PAGE;
			if (complete[i])
				judge(net, &one, &first, NULL, "before switching off");
		}
		judge(net, &area, &second, snap, "after switching on again");
		dma_snapshot_free(snap);
		end(net);
		net_down(net);
	}
}

CHECK(dirty_log, again, .requirements = "IFC-LM-001 IFC-LM-002 VHU-LOG-014",
      .summary = "a log that is switched on again, elsewhere, is used, and the one before is not",
      .needs = LOG_NEEDS)
{
	struct net *net = log_net(t, DMA_BY_SEED);
	struct dma_mem area[3];
	struct dma_log log[3];

	for (unsigned int i = 0; i < 3; i++)
		area[i] = dma_alloc_pages(net->dma, 32);
	for (unsigned int i = 0; i < 3; i++)
		log[i] = dma_log_alloc(net->dma);
	for (unsigned int i = 0; i < 3; i++) {
		t_step(t, "log %u at IOVA 0x%llx", i, (unsigned long long)log[i].mem.iova);
		for (unsigned int b = 0; b < 32; b++)
			offer(net, 0, &area[i], b * PAGE + t_random(t) % 2400, 1600);
		start(net, &log[i]);
		publish(net, 0);
		receive(net, 31, 0);
		t_ok(t, parent_settle(net->p));
		end(net);
		for (unsigned int old = 0; old < i; old++)
			t_expect(t, !dma_log_count(&log[old]),
				 "log %u was switched off and cleared, log %u on: then %zu bits "
				 "were set in the old one",
				 old, i, dma_log_count(&log[old]));
		if (i < 2) {
			/* a look while the device runs; the last one is judged after the stop */
			judge(net, &area[i], &log[i], NULL, i ? "the second log" : "the first log");
			memset(log[i].mem.host, 0, log[i].mem.size);
			/* the buffer that is left over goes to a frame that no log is on for */
			receive(net, 1, 0);
		}
	}
	stop(net);
	judge(net, &area[2], &log[2], NULL, "the third log");
	net_down(net);
}

CHECK(dirty_log, off, .requirements = "IFC-LM-002 VHU-LOG-011",
      .summary = "nothing is marked once the log is off, nor before it is ever on",
      .needs = LOG_NEEDS)
{
	struct net *net = log_net(t, DMA_BY_SEED);
	const struct dma_mem area = dma_alloc_pages(net->dma, 96);
	const struct dma_log log = dma_log_alloc(net->dma);

	for (unsigned int i = 0; i < 96; i++)
		offer(net, 0, &area, i * PAGE, 2048);
	publish(net, 0);
	receive(net, 32, 0);
	t_ok(t, parent_settle(net->p));
	t_expect(t, !dma_log_count(&log), "a log that was never switched on was written");
	start(net, &log);
	receive(net, 32, 0);
	t_ok(t, parent_settle(net->p));
	end(net);
	t_expect(t, dma_log_count(&log), "with the log on frames were received, no page is marked");
	t_ok(t, parent_settle(net->p));
	memset(log.mem.host, 0, log.mem.size);
	receive(net, 32, 0);
	stop(net);
	t_ok(t, parent_settle(net->p));
	t_expect(t, !dma_log_count(&log),
		 "the log was switched off and cleared; then frames were received and %zu pages "
		 "marked",
		 dma_log_count(&log));
	net_down(net);
}

CHECK(dirty_log, unmapped, .requirements = "VDPA-TLB-003 OPS-DMA-004 VIO-RESET-001",
      .summary = "a log whose memory was unmapped is not written; a reset brings the device back",
      .needs = LOG_NEEDS)
{
	for (unsigned int turn = 0; turn < 6; turn++) {
		struct net *net = log_net(t, DMA_BY_SEED);
		const struct dma_mem area = dma_alloc_pages(net->dma, 64);
		const struct dma_log log = dma_log_alloc(net->dma);
		struct dma_snapshot *snap;

		offer_by_chance(net, &area, 2048);
		start(net, &log);
		publish(net, 0);
		receive(net, 8, 0);
		for (unsigned int i = 0; i < 8; i++)
			inject(net, 0);
		frames_turns(net, turn);
		t_step(t, "unmap the log after %u turns", turn);
		t_ok(t, dma_unmap(net->dma, &log.mem));
		snap = dma_snapshot(net->dma, &log.mem);
		for (unsigned int i = 0; i < 8; i++)
			inject(net, 0);
		parent_settle(net->p);
		t_expect(t, !net->p->dead, "the parent died when its log was unmapped");
		t_expect(t, !dma_changed(snap, NULL, 0),
			 "the log was written after its memory had been unmapped");
		dma_snapshot_free(snap);
		end(net);
		net_down(net);
		net = net_up(t, NULL);
		io_run(net, 10, NULL);
		net_down(net);
	}
}

CHECK(dirty_log, off_after_function_reset, .requirements = "VFU-RST-001 VIO-PCI-001",
      .summary = "a reset of the function switches the log off", .needs = LOG_NEEDS | CAP_PCI)
{
	const struct pci_map m = pci_map(t);
	struct dma *dma = dma_open(t, NULL);
	const struct dma_mem area = dma_alloc_pages(dma, 64);
	const struct dma_log log = dma_log_alloc(dma);

	if (!m.a->reset)
		t_skip(t, SKIP_INTERFACE, "this parent can't be reset from outside");
	for (unsigned int round = 0; round < 4; round++) {
		struct net *net =
			net_up(t, &(struct net_options){.rx_count = NET_RX_NONE,
							.need = VC_BIT(VC_NET_F_MRG_RXBUF),
							.arena = dma});

		for (unsigned int i = 0; i < 16; i++)
			offer(net, 0, &area, (16 * round + i) * PAGE, 2048);
		if (!(round & 1))
			start(net, &log);
		publish(net, 0);
		receive(net, 16, 0);
		stop(net);
		if (!(round & 1)) {
			t_expect(t, dma_log_count(&log),
				 "with the log on frames were received, no page is marked");
			t_step(t, "reset the %s with the log on; clear the log",
			       round ? "function" : "device");
			if (round)
				t_ok(t, m.a->reset(m.a->ctx));
			else
				t_ok(t, parent_reset(net->p));
			memset(log.mem.host, 0, log.mem.size);
			pci_enable(&m);
		} else if (round == 1) {
			/* no text says it: DPDK resets a device first and switches off then */
			t_note(t, "the log is %s after a reset of the device",
			       dma_log_count(&log) ? "still on" : "off");
		}
		net_down(net);
	}
	t_expect(t, !dma_log_count(&log),
		 "the function was reset while the log was on; the next driver's frames marked "
		 "%zu pages in it",
		 dma_log_count(&log));
}

CHECK(dirty_log, undisturbed, .requirements = "VHU-LOG-011 VHU-RING-010 VDPA-SUSP-015",
      .summary = "switching the log on and off under traffic loses, repeats and holds up nothing",
      .needs = LOG_NEEDS)
{
	struct net *net = net_up(t, &(struct net_options){.event_idx = true, .indirect = true});
	struct dma_log log;

	io_run(net, 100, NULL);
	log = dma_log_alloc(net->dma);
	for (unsigned int round = 0; round < 40; round++) {
		io_submit(net, 12, NULL);
		frames_turns(net, round < 12 ? round : (unsigned int)(t_random(t) % 40));
		if (round & 1)
			end(net);
		else
			start(net, &log);
		if (round % 3 == 2)
			io_wait(net);
	}
	io_wait(net);
	end(net);
	net_down(net);
}

/* ---- As a migration uses it
 * ----------------------------------------------------------------------
 */

/**
 * struct copy - memory as the destination of a migration has it
 * @dirty: what was fetched from the log
 */
struct copy {
	struct net *net;
	const struct dma_mem *area;
	struct dma_log *log;
	uint8_t *memory, *dirty;
	size_t copied;
};

/* copy_dirty() - take the marks away, then copy what they say */
static void copy_dirty(struct copy *c)
{
	memset(c->dirty, 0, c->log->mem.size);
	dma_log_fetch(c->log, c->dirty);
	for (size_t i = 0; i < c->area->size / PAGE; i++) {
		const uint64_t page = c->area->iova / PAGE + i;

		if (!(c->dirty[page / 8] >> page % 8 & 1))
			continue;
		memcpy(c->memory + i * PAGE, c->area->host + i * PAGE, PAGE);
		c->copied++;
	}
}

#define BUFFERS 96u
#define SHORT	512u
#define STRIDE	680u /* so that some lie over a page border */

struct reoffering {
	struct taking k;
	const struct dma_mem *area;
};

/* taken_again() - as taken(), and every buffer goes back into the ring */
static bool taken_again(void *arg)
{
	struct reoffering *r = arg;
	const bool enough = taken(&r->k);
	bool some = false;

	for (unsigned int i = 0; i < BUFFERS; i++) {
		if (!r->k.which[i])
			continue;
		r->k.which[i] = false;
		offer_number(r->k.net, 0, r->area, i * STRIDE, SHORT, i + 1);
		some = true;
	}
	if (some)
		publish(r->k.net, 0);
	return enough;
}

CHECK(dirty_log, copy, .requirements = "IFC-LM-001 IFC-LM-002 VHU-LOG-001 VHU-LOG-005",
      .summary = "memory copied by the log while it is written, as a migration does, ends up the "
		 "same",
      .needs = LOG_NEEDS)
{
	struct net *net = log_net(t, DMA_BY_SEED);
	const struct dma_mem area = dma_alloc_pages(net->dma, BUFFERS * STRIDE / PAGE + 1);
	struct dma_log log = dma_log_alloc(net->dma);
	struct reoffering r = {.k = {.net = net}, .area = &area};
	struct copy c = {.net = net, .area = &area, .log = &log};

	c.memory = malloc(area.size);
	c.dirty = malloc(log.mem.size);
	if (!c.memory || !c.dirty)
		t_broken(t, "no memory");
	for (unsigned int i = 0; i < BUFFERS; i++)
		offer_number(net, 0, &area, i * STRIDE, SHORT, i + 1);
	publish(net, 0);
	for (unsigned int round = 0; round < 60; round++) {
		for (unsigned int i = 0; i < 8; i++)
			r.k.want_bytes += net->hdr_len + inject(net, 0);
		frames_turns(net, (unsigned int)(t_random(t) % 24));
		if (round == 10) {
			start(net, &log);
			memcpy(c.memory, area.host, area.size);
		}
		if (round > 10)
			copy_dirty(&c);
		t_expect(t, parent_wait(net->p, taken_again, &r, NET_SOON),
			 "of %llu bytes that came from the wire %llu were received",
			 (unsigned long long)r.k.want_bytes, (unsigned long long)r.k.bytes);
	}
	stop(net);
	copy_dirty(&c);
	end(net);
	for (size_t i = 0; i < area.size / PAGE; i++)
		t_expect(t, !memcmp(c.memory + i * PAGE, area.host + i * PAGE, PAGE),
			 "memory was copied page by page as the log said so; after the stop the "
			 "page at IOVA 0x%llx differs: a write to it was not marked",
			 (unsigned long long)(area.iova + i * PAGE));
	t_note(t, "%zu pages were copied for %zu of memory", c.copied, area.size / PAGE);
	free(c.memory);
	free(c.dirty);
	net_down(net);
}
