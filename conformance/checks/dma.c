/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that comes and goes while the device works
 *
 * How it works. Receive buffers of the check's own lie in allocations of their own, so that one of
 * them can be taken away, exchanged, or mapped for reading only. Memory that was taken away is
 * still mapped here: a late write shows. What a device does that finds a buffer gone is its affair
 * (it may ask for a reset); what it may not do is to write there.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "frames.h"
#include "raw.h"
#include "support.h"

#define BUFFERS 8u

static struct net_frame frame, got;

/** struct posted - a driver with receive buffers that lie apart */
struct posted {
	struct net *net;
	struct dma_mem mem[BUFFERS];
};

static struct posted up(struct test *t, unsigned int prot, enum dma_layout layout)
{
	struct posted p;

	p.net = net_up(t, &(struct net_options){
				  .rx_count = NET_RX_NONE,
				  .dma = &(struct dma_options){.layout = layout},
			  });
	for (unsigned int i = 0; i < BUFFERS; i++)
		p.mem[i] = dma_alloc_prot(p.net->dma, 1, prot);
	return p;
}

/* post() - buffer @i; its place in the page differs from one to the other */
static void post(struct posted *p, unsigned int i)
{
	const struct vring_sg sg = {p->mem[i].iova + 64 * i, 2048, true};

	t_ok(p->net->t, vring_add(p->net->rx[0], &sg, 1, 0, p->mem[i].host + 64 * i));
	vring_publish(p->net->rx[0], 0);
	vring_kick(p->net->rx[0]);
}

/* receive() - the frame that was injected last, in whichever buffer */
static uint8_t *receive(struct posted *p)
{
	struct vring_used used;
	uint8_t *host;

	t_expect(p->net->t, vring_wait(p->net->rx[0], 0) && vring_get(p->net->rx[0], &used),
		 "a frame of %u bytes must be received", frame.len);
	host = used.cookie;
	t_expect(
		p->net->t,
		used.len == p->net->hdr_len + frame.len &&
			!memcmp(host + p->net->hdr_len, frame.data, frame.len),
		"a frame of %u bytes was received damaged, or into memory that is not its buffer's",
		frame.len);
	net_drain(p->net);
	return host;
}

static void inject(struct posted *p, uint32_t number)
{
	net_frame_make(p->net, &frame, 0, number, 300 + number % 500);
	t_ok(p->net->t, net_inject(p->net, &frame));
}

CHECK(dma, unmap, .requirements = "VDPA-TLB-003 OPS-DMA-004",
      .summary = "once an unmap has returned the memory is not written any more, at any moment",
      .needs = CAP_PEER)
{
	for (unsigned int turn = 0; turn < 10; turn++) {
		struct posted p = up(t, DMA_PROT_READ | DMA_PROT_WRITE, DMA_BY_SEED);
		struct dma_snapshot *snap[BUFFERS];

		for (unsigned int i = 0; i < BUFFERS; i++)
			post(&p, i);
		inject(&p, 0);
		receive(&p);
		for (unsigned int i = 1; i < 4; i++)
			inject(&p, i);
		frames_turns(p.net, turn);
		t_step(t, "unmap the buffers after %u turns", turn);
		for (unsigned int i = 0; i < BUFFERS; i++)
			t_ok(t, dma_unmap(p.net->dma, &p.mem[i]));
		for (unsigned int i = 0; i < BUFFERS; i++)
			snap[i] = dma_snapshot(p.net->dma, &p.mem[i]);
		for (unsigned int i = 4; i < 8; i++)
			net_inject(p.net, &frame);
		parent_settle(p.net->p);
		t_expect(t, !p.net->p->dead, "the parent died when buffers were unmapped");
		for (unsigned int i = 0; i < BUFFERS; i++) {
			t_expect(t, !dma_changed(snap[i], NULL, 0),
				 "the page at IOVA 0x%llx was written after it had been unmapped",
				 (unsigned long long)p.mem[i].iova);
			dma_snapshot_free(snap[i]);
		}
		net_down(p.net);
	}
}

CHECK(dma, unmapped_transmit, .requirements = "VDPA-TLB-003 OPS-DMA-004",
      .summary = "memory that was unmapped is not sent either", .needs = CAP_TRAFFIC)
{
	struct posted p = up(t, DMA_PROT_READ | DMA_PROT_WRITE, DMA_BY_SEED);
	struct vring_sg sg;
	struct raw_desc d;
	struct raw raw;

	net_frame_make(p.net, &frame, 0, 0, 300);
	memset(p.mem[0].host, 0, p.net->hdr_len);
	memcpy(p.mem[0].host + p.net->hdr_len, frame.data, frame.len);
	sg = (struct vring_sg){p.mem[0].iova, p.net->hdr_len + frame.len, false};
	/* once while it is mapped, so that the device may have remembered where it is */
	t_ok(t, vring_add(p.net->tx[0], &sg, 1, 0, NULL));
	vring_publish(p.net->tx[0], 0);
	vring_kick(p.net->tx[0]);
	net_drain(p.net);
	if (net_has_peer(p.net))
		t_expect(t, net_wire(p.net, &got, NET_SOON), "the frame must reach the wire");
	parent_settle(p.net->p);
	t_ok(t, dma_unmap(p.net->dma, &p.mem[0]));
	d = (struct raw_desc){sg.iova, sg.len, 0, 0};
	raw = raw_begin(p.net->tx[0]);
	raw_offer(&raw, &d, 1);
	vring_kick_now(p.net->tx[0]);
	parent_settle(p.net->p);
	t_expect(t, !net_has_peer(p.net) || !net_wire(p.net, &got, 0),
		 "a frame was sent from memory that had been unmapped");
	net_down(p.net);
}

CHECK(dma, neighbours, .requirements = "VDPA-TLB-018 OPS-DMA-005 OPS-DMA-003",
      .summary = "under traffic maps come and go; those of others stay as they are",
      .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	struct dma_mem mem[12];

	for (unsigned int i = 0; i < 12; i++)
		mem[i] = dma_alloc_pages(net->dma, 1 + i % 3);
	for (unsigned int round = 0; round < 4; round++) {
		for (unsigned int i = 0; i < 12; i++) {
			io_submit(net, 6, NULL);
			frames_turns(net, i);
			if (round & 1)
				t_ok(t, dma_map(net->dma, &mem[i], DMA_PROT_READ | DMA_PROT_WRITE));
			else
				t_ok(t, dma_unmap(net->dma, &mem[i]));
			io_wait(net);
		}
	}
	net_down(net);
}

CHECK(dma, mapped_late, .requirements = "VDPA-TLB-001 VDPA-TLB-018 OPS-DMA-002",
      .summary = "memory that is mapped while the device runs can be used at once",
      .needs = CAP_TRAFFIC)
{
	struct posted p = up(t, DMA_PROT_READ | DMA_PROT_WRITE, DMA_BY_SEED);

	for (unsigned int i = 0; i < 40; i++) {
		struct dma_mem *mem = &p.mem[i % BUFFERS];

		t_ok(t, dma_unmap(p.net->dma, mem));
		frames_turns(p.net, i % 4);
		t_ok(t, dma_map(p.net->dma, mem, DMA_PROT_READ | DMA_PROT_WRITE));
		post(&p, i % BUFFERS);
		inject(&p, i);
		t_expect(t, receive(&p) - mem->host < DMA_PAGE,
			 "it must be in the buffer just posted");
	}
	net_down(p.net);
}

CHECK(dma, moved, .requirements = "OPS-DMA-004 VDPA-TLB-003 VDPA-TLB-001",
      .summary = "other memory behind the same IOVA: the new one is written, the old one is not",
      .needs = CAP_TRAFFIC)
{
	struct posted p = up(t, DMA_PROT_READ | DMA_PROT_WRITE, DMA_BY_SEED);

	for (unsigned int i = 0; i < 24; i++) {
		struct dma_mem *mem = &p.mem[i % BUFFERS], old;

		/* used once where it is, then offered, and moved while the device holds it */
		post(&p, i % BUFFERS);
		inject(&p, 2 * i);
		receive(&p);
		post(&p, i % BUFFERS);
		parent_settle(p.net->p);
		t_ok(t, dma_move(p.net->dma, mem, &old));
		dma_poison(p.net->dma, mem->host, mem->size);
		inject(&p, 2 * i + 1);
		receive(&p);
		parent_settle(p.net->p);
		t_expect(t, dma_poisoned(p.net->dma, old.host, old.size),
			 "the memory that was behind IOVA 0x%llx before was written to",
			 (unsigned long long)mem->iova);
	}
	net_down(p.net);
}

CHECK(dma, read_only, .requirements = "VDPA-TLB-002 OPS-DMA-002",
      .summary = "memory that is mapped for reading only is sent, and never written",
      .needs = CAP_PEER)
{
	struct posted p = up(t, DMA_PROT_READ, DMA_BY_SEED);
	struct dma_snapshot *snap;
	struct vring_sg sg;

	for (unsigned int i = 0; i < 4; i++) {
		net_frame_make(p.net, &frame, 0, i, 300);
		memset(p.mem[i].host, 0, p.net->hdr_len);
		memcpy(p.mem[i].host + p.net->hdr_len, frame.data, frame.len);
		sg = (struct vring_sg){p.mem[i].iova, p.net->hdr_len + frame.len, false};
		t_ok(t, vring_add(p.net->tx[0], &sg, 1, 0, NULL));
		vring_publish(p.net->tx[0], 0);
		vring_kick(p.net->tx[0]);
		t_expect(t, net_wire(p.net, &got, NET_SOON),
			 "a frame in memory that is mapped for reading must be sent");
		frames_same(p.net, &frame, &got, "sent");
		net_drain(p.net);
	}
	snap = dma_snapshot(p.net->dma, &p.mem[7]);
	post(&p, 7);
	net_inject(p.net, &frame);
	parent_settle(p.net->p);
	t_expect(t, !dma_changed(snap, NULL, 0),
		 "memory that is mapped for reading only was written");
	dma_snapshot_free(snap);
	net_down(p.net);
}

CHECK(dma, write_only, .requirements = "VDPA-TLB-002 OPS-DMA-002",
      .summary = "memory that is mapped for writing only is received into, and never sent",
      .needs = CAP_PEER)
{
	struct posted p = up(t, DMA_PROT_WRITE, DMA_BY_SEED);
	struct raw_desc d;
	struct raw raw;

	for (unsigned int i = 0; i < 6; i++) {
		post(&p, i);
		inject(&p, i);
		receive(&p);
	}
	net_frame_make(p.net, &frame, 0, 0, 300);
	memset(p.mem[7].host, 0, p.net->hdr_len);
	memcpy(p.mem[7].host + p.net->hdr_len, frame.data, frame.len);
	d = (struct raw_desc){p.mem[7].iova, p.net->hdr_len + frame.len, 0, 0};
	raw = raw_begin(p.net->tx[0]);
	raw_offer(&raw, &d, 1);
	vring_kick_now(p.net->tx[0]);
	parent_settle(p.net->p);
	t_expect(t, !net_wire(p.net, &got, 0),
		 "a frame was sent from memory that is mapped for writing only");
	net_down(p.net);
}

CHECK(dma, driver_area_read_only, .requirements = "VDPA-TLB-002 VIO-SPLIT-008",
      .summary = "descriptors and available rings in memory that is mapped for reading only",
      .needs = CAP_TRAFFIC)
{
	/* QEMU's shadow virtqueues map them so */
	struct net *net = net_up(t, &(struct net_options){.last = NET_QUEUES, .event_idx = true});

	for (unsigned int q = 0; q < net->queues; q++) {
		const struct vring *r = net_ring(net, q);

		for (unsigned int area = 0; r && area < 2; area++) {
			t_ok(t, dma_unmap(net->dma, vring_area(r, area)));
			t_ok(t, dma_map(net->dma, vring_area(r, area), DMA_PROT_READ));
		}
	}
	net_continue(net, NET_ALL);
	io_run(net, 100, NULL);
	net_down(net);
}

CHECK(dma, unmapped_rings, .requirements = "VDPA-TLB-003 OPS-DMA-004 VIO-RESET-001",
      .summary = "once an unmap of rings has returned they are not written any more; a reset "
		 "brings the device back",
      .needs = CAP_TRAFFIC)
{
	for (unsigned int turn = 0; turn < 6; turn++) {
		struct net *net = net_up(t, NULL);
		struct dma_snapshot *snap[4];
		unsigned int n = 0;

		io_run(net, 10, NULL);
		for (uint32_t i = 0; i < 8; i++)
			hand_send(net, 0, HAND_FLOW, i, 0);
		frames_turns(net, turn);
		t_step(t, "unmap the used rings after %u turns", turn);
		t_ok(t, dma_unmap(net->dma, vring_area(net->tx[0], 2)));
		t_ok(t, dma_unmap(net->dma, vring_area(net->rx[0], 2)));
		snap[n++] = dma_snapshot(net->dma, vring_area(net->tx[0], 2));
		snap[n++] = dma_snapshot(net->dma, vring_area(net->rx[0], 2));
		for (uint32_t i = 8; i < 16; i++)
			hand_send(net, 0, HAND_FLOW, i, 0);
		parent_settle(net->p);
		t_expect(t, !net->p->dead, "the parent died when used rings were unmapped");
		for (unsigned int i = 0; i < n; i++) {
			t_expect(t, !dma_changed(snap[i], NULL, 0),
				 "the used ring of %cx0 was written after it had been unmapped",
				 i ? 'r' : 't');
			dma_snapshot_free(snap[i]);
		}
		net_down(net);
		net = net_up(t, NULL);
		io_run(net, 10, NULL);
		net_down(net);
	}
}

/* ---- Descriptors that change -------------------------------------------------------------------
 */

#define PIECE_AT  1024u
#define PIECE_LEN 2048u
#define PIECE_TOO 128u /* length of the other version of a descriptor */

CHECK(dma, descriptor_changed, .requirements = "VIO-SPLIT-006",
      .summary = "a descriptor that changes after it was offered counts as it was or as it is, not "
		 "as a mixture",
      .needs = CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.rx_count = NET_RX_NONE,
							  .need = VC_BIT(VC_NET_F_MRG_RXBUF)});
	const struct dma_mem was = dma_alloc_pages(net->dma, 1), is = dma_alloc_pages(net->dma, 1);
	const uint32_t len = net->hdr_len + 1500;
	struct raw raw = raw_begin(net->rx[0]);
	const struct raw_desc d = {was.iova, PIECE_LEN, VC_DESC_F_WRITE, 0};
	const struct vring_sg sg = {is.iova + PIECE_TOO, len, false};
	static uint8_t readable[NET_FRAME_MAX];

	/* behind the new version lies a frame that is to be sent: the device may only read it */
	net_frame_make(net, &frame, NET_FLOW_OWN, 0, 1500);
	memset(is.host + PIECE_TOO, 0, net->hdr_len);
	memcpy(is.host + PIECE_TOO + net->hdr_len, frame.data, frame.len);
	memcpy(readable, is.host + PIECE_TOO, len);
	t_ok(t, vring_add(net->tx[0], &sg, 1, VRING_NO_INDIRECT, NULL));
	vring_publish(net->tx[0], 0);

	raw_offer(&raw, &d, 1);
	vring_kick_now(net->rx[0]);
	parent_settle(net->p);
	t_step(t, "the device may have fetched the buffer; now it is a shorter one elsewhere");
	vring_raw_desc(net->rx[0], raw.head, is.iova, PIECE_TOO, VC_DESC_F_WRITE, 0);
	/* on an echo wire what is sent is what arrives */
	if (net_has_peer(net))
		t_ok(t, net_inject(net, &frame));
	else
		vring_kick_now(net->tx[0]);
	parent_settle(net->p);
	t_note(t, "the buffer was used as it %s",
	       dma_poisoned(net->dma, was.host, PIECE_LEN) ? "is, if at all" : "was");
	t_expect(t, dma_poisoned(net->dma, was.host + PIECE_LEN, DMA_PAGE - PIECE_LEN),
		 "the device wrote behind the receive buffer of %u bytes", PIECE_LEN);
	t_expect(
		t, !memcmp(readable, is.host + PIECE_TOO, len),
		"the device wrote behind the %u bytes that a changed descriptor says, over a frame "
		"that it was to send: it took the length of the old one and the address of the new",
		PIECE_TOO);
	net_down(net);
}

/** struct flipper - a thread that changes descriptors all the time */
struct flipper {
	struct vring *r;
	uint64_t addr[3];
	uint64_t x;
	atomic_bool stop;
	pthread_t thread;
};

/*
 * flip() - values that a driver might have meant, but for the last of each; and whatever is mixed
 * of them, no memory but the two pieces is named
 */
static void *flip(void *arg)
{
	static const uint32_t lens[] = {PIECE_LEN, PIECE_TOO};
	static const uint16_t flags[] = {VC_DESC_F_WRITE, VC_DESC_F_WRITE | VC_DESC_F_NEXT,
					 VC_DESC_F_WRITE | VC_DESC_F_NEXT};
	struct flipper *f = arg;
	struct vc_desc *table = (struct vc_desc *)(void *)vring_area(f->r, 0)->host;
	const uint16_t size = vring_size(f->r), nexts[] = {1, (uint16_t)(size / 2), 40000};

	while (!atomic_load_explicit(&f->stop, memory_order_relaxed)) {
		struct vc_desc *d = &table[f->x % size];

		f->x = f->x * 6364136223846793005u + 1442695040888963407u;
		/* the unmapped address ends the device's work, so it comes seldom */
		__atomic_store_n(&d->addr, htole64(f->addr[f->x >> 40 & 255 ? f->x >> 39 & 1 : 2]),
				 __ATOMIC_RELAXED);
		__atomic_store_n(&d->len, htole32(lens[f->x >> 36 & 1]), __ATOMIC_RELAXED);
		__atomic_store_n(&d->flags, htole16(flags[(f->x >> 50) % 3]), __ATOMIC_RELAXED);
		__atomic_store_n(&d->next, htole16(nexts[f->x >> 33 & 255 ? f->x >> 32 & 1 : 2]),
				 __ATOMIC_RELAXED);
	}
	return NULL;
}

CHECK(dma, descriptors_keep_changing, .requirements = "VIO-SPLIT-006 VIO-RESET-001 VDPA-TLB-003",
      .summary = "descriptors that another processor changes all the time lead the device nowhere "
		 "else; a reset brings it back",
      .needs = CAP_TRAFFIC)
{
	for (unsigned int round = 0; round < 4; round++) {
		struct net *net =
			net_up(t, &(struct net_options){.rx_count = NET_RX_NONE,
							.need = VC_BIT(VC_NET_F_MRG_RXBUF),
							.size = 64});
		const struct dma_mem mem = dma_alloc_pages(net->dma, 2);
		struct flipper f = {
			.r = net->rx[0],
			.addr = {mem.iova + PIECE_AT, mem.iova + DMA_PAGE + PIECE_AT,
				 dma_unmapped_iova(net->dma, PIECE_LEN)},
			.x = t_random(t),
		};
		struct raw raw = raw_begin(net->rx[0]);
		struct dma_snapshot *snap;

		for (unsigned int i = 0; i < 64; i++) {
			const struct raw_desc d = {f.addr[i & 1], PIECE_LEN, VC_DESC_F_WRITE, 0};

			raw_offer(&raw, &d, 1);
		}
		snap = dma_snapshot(net->dma, vring_area(net->rx[0], 1));
		if (pthread_create(&f.thread, NULL, flip, &f))
			t_broken(t, "a thread can't be started");
		vring_kick_now(net->rx[0]);
		for (uint32_t i = 0; i < 40; i++) {
			net_frame_make(net, &frame, NET_FLOW_OWN, i, 60 + 30 * i);
			net_inject(net, &frame);
			frames_turns(net, 3);
		}
		parent_settle(net->p);
		atomic_store(&f.stop, true);
		pthread_join(f.thread, NULL);
		t_expect(t, !net->p->dead, "the parent died of descriptors that changed");
		for (unsigned int i = 0; i < 2; i++)
			t_expect(
				t,
				dma_poisoned(net->dma, mem.host + i * DMA_PAGE, PIECE_AT) &&
					dma_poisoned(net->dma,
						     mem.host + i * DMA_PAGE + PIECE_AT + PIECE_LEN,
						     DMA_PAGE - PIECE_AT - PIECE_LEN),
				"the device wrote beside the memory that descriptors named");
		t_expect(t, !dma_changed(snap, NULL, 0), "the device wrote to the available ring");
		dma_snapshot_free(snap);
		net_down(net);
		net = net_up(t, NULL);
		io_run(net, 10, NULL);
		net_down(net);
	}
}

/* layout() - traffic, and buffers over borders of pages, with memory laid out so */
static void layout(struct test *t, enum dma_layout which)
{
	struct net *net = net_up(t, &(struct net_options){
					    .indirect = true,
					    .rx_size = 6000,
					    .rx_count = 32,
					    .dma = &(struct dma_options){.layout = which},
				    });
	struct dma_mem mem = dma_alloc_pages(net->dma, 4);

	io_run(net, 100, NULL);
	for (unsigned int i = 0; i < 12; i++) {
		/* over one border, or two */
		const uint32_t off = DMA_PAGE * (1 + i % 2) - 700 + 97 * i;
		struct vring_sg sg = {mem.iova + off, 0, false};

		net_frame_make(net, &frame, NET_FLOW_OWN, i, 1000 + 40 * i);
		memset(mem.host + off, 0, net->hdr_len);
		memcpy(mem.host + off + net->hdr_len, frame.data, frame.len);
		sg.len = net->hdr_len + frame.len;
		t_ok(t, vring_add(net->tx[0], &sg, 1, 0, NULL));
		vring_publish(net->tx[0], 0);
		vring_kick(net->tx[0]);
		t_expect(t, net_wire(net, &got, NET_SOON), "frame %u must reach the wire", i);
		frames_same(net, &frame, &got, "sent");
		net_drain(net);
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 1514);
		frame_in(net, &frame);
	}
	net_down(net);
}

CHECK(dma, linear, .requirements = "VDPA-TLB-001 IFC-DMA-001",
      .summary = "IOVAs are not taken for anything else: linear and shifted memory",
      .needs = CAP_TRAFFIC)
{
	layout(t, DMA_LINEAR);
	layout(t, DMA_SHIFTED);
}

CHECK(dma, fragmented, .requirements = "VDPA-TLB-001 IFC-DMA-001",
      .summary = "buffers and rings over pages that are apart in memory, each mapped by itself",
      .needs = CAP_TRAFFIC)
{
	layout(t, DMA_FRAGMENTED);
}

CHECK(dma, high, .requirements = "VDPA-TLB-001 IFC-DMA-001 VDPA-TLB-014",
      .summary = "buffers and rings below, across and above 4 GiB", .needs = CAP_TRAFFIC)
{
	layout(t, DMA_HIGH);
}
