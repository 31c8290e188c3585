/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Indirect descriptor tables (VIRTIO 2.7.5.3, 2.8.7)
 *
 * How it works. The driver's own tables first, on both formats; then tables written by hand, with
 * flags and ids that the specification tells the device to ignore, long ones, and ones that lie
 * over the border of two pages that are apart in memory.
 */
#include "frames.h"
#include "raw.h"

static struct net_frame frame, got;

#define LONGEST 256u

/* tables() - every length of a table that the driver makes, in both directions */
static void tables(struct test *t, enum net_format format)
{
	struct net *net = net_up(t, &(struct net_options){.format = format,
							  .need = VC_BIT(VC_F_INDIRECT_DESC),
							  .size = 32,
							  .rx_split = true});

	for (unsigned int i = 0; i < 45; i++) {
		net_frame_make(net, &frame, NET_FLOW_OWN, i, 60 + (uint32_t)(t_random(t) % 1455));
		frame_out(net, 0, &frame, 1 + i % 14,
			  NET_SEND_INDIRECT | (i & 1 ? NET_SEND_HDR_APART : 0));
		frame_in(net, &frame);
	}
	io_run(net, 200, &(struct io_options){.flags = NET_SEND_INDIRECT});
	net_down(net);
}

CHECK(indirect, tables, .requirements = "VIO-FRAME-001 VIO-SPLIT-015 VIO-SPLIT-012",
      .summary = "buffers in indirect tables of 1 to 15 pieces, to and from the wire",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_INDIRECT_DESC))
{
	tables(t, NET_SPLIT);
}

CHECK(indirect, packed_tables, .requirements = "VIO-FRAME-001 VIO-PACK-030 VIO-PACK-031",
      .summary = "the same on packed rings", .needs = CAP_TRAFFIC,
      .features = VC_BIT(VC_F_INDIRECT_DESC) | VC_BIT(VC_F_RING_PACKED))
{
	tables(t, NET_PACKED);
}

/* put_entry() - entry @i of a table: split {addr, len, flags, next}, packed {addr, len, id, flags}
 */
static void put_entry(bool packed, uint8_t *table, unsigned int i, uint64_t addr, uint32_t len,
		      uint16_t flags, uint16_t other)
{
	struct vc_desc d = {htole64(addr), htole32(len), htole16(flags), htole16(other)};

	if (packed) {
		d.flags = htole16(other);
		d.next = htole16(flags);
	}
	memcpy(table + 16 * (size_t)i, &d, sizeof(d));
}

/**
 * struct hand - a table written by hand, and what refers to it
 * @entry_flags: added to the flags of every entry
 * @ids:        garbage in what is next (split: none) or id (packed)
 * @ref_flags:  added to INDIRECT
 * @direct:     pieces in direct descriptors in front of it
 */
struct hand {
	unsigned int pieces;
	uint16_t entry_flags, ref_flags;
	bool ids, across;
	unsigned int direct;
};

/* by_hand() - send one frame in a table written by hand; it must reach the wire whole */
static void by_hand(struct net *net, struct raw *raw, const struct hand *h)
{
	const bool packed = vring_is_packed(raw->r);
	const unsigned int total = h->pieces + h->direct;
	struct raw_desc d[4];
	struct dma_mem mem, pages;
	uint8_t *table;
	uint64_t iova;
	uint32_t at = 0;

	net_frame_make(net, &frame, NET_FLOW_OWN, h->pieces, 1000);
	mem = raw_frame(net, &frame);
	pages = dma_alloc_pages(net->dma, 2);
	table = pages.host + (h->across ? DMA_PAGE - 16 * (h->pieces / 2) : 0);
	iova = pages.iova + (uint64_t)(table - pages.host);
	for (unsigned int i = 0; i < total; i++) {
		const uint32_t end = (uint32_t)(mem.size * (i + 1) / total);
		const unsigned int e = i - h->direct;
		uint16_t flags = h->entry_flags;

		if (i < h->direct) {
			d[i] = (struct raw_desc){mem.iova + at, end - at, VC_DESC_F_NEXT,
						 (uint16_t)(i + 1)};
		} else {
			if (!packed && i + 1 < total)
				flags |= VC_DESC_F_NEXT;
			put_entry(packed, table, e, mem.iova + at, end - at, flags,
				  packed ? (h->ids ? (uint16_t)t_random(net->t) : 0)
					 : (uint16_t)(e + 1));
		}
		at = end;
	}
	d[h->direct] = (struct raw_desc){iova, 16 * h->pieces,
					 (uint16_t)(VC_DESC_F_INDIRECT | h->ref_flags), 0};
	raw_offer(raw, d, h->direct + 1);
	vring_kick_now(raw->r);
	t_expect(
		net->t, net_wire(net, &got, NET_SOON),
		"a frame in a table of %u entries (flags 0x%x, referred to with flags 0x%x, %u direct "
		"descriptors in front) must reach the wire, it did not",
		h->pieces, h->entry_flags, VC_DESC_F_INDIRECT | h->ref_flags, h->direct);
	frames_same(net, &frame, &got, "sent");
	t_expect(net->t, raw_wait(net, raw), "its buffer must be used");
}

static struct net *up(struct test *t, enum net_format format, uint16_t size)
{
	return net_up(t, &(struct net_options){.format = format,
					       .need = VC_BIT(VC_F_INDIRECT_DESC),
					       .size = size,
					       .rx_count = 32});
}

CHECK(indirect, write_flag, .requirements = "VIO-INDIR-006",
      .summary = "WRITE on the descriptor that refers to a table is ignored", .needs = CAP_TRAFFIC,
      .features = VC_BIT(VC_F_INDIRECT_DESC))
{
	struct net *net = up(t, NET_SPLIT, 16);
	struct raw raw = raw_begin(net->tx[0]);

	for (unsigned int n = 1; n < 6; n++)
		by_hand(net, &raw, &(struct hand){.pieces = n, .ref_flags = VC_DESC_F_WRITE});
}

CHECK(indirect, after_direct, .requirements = "VIO-INDIR-007",
      .summary = "direct descriptors followed by one that is indirect make one buffer",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_INDIRECT_DESC))
{
	struct net *net = up(t, NET_SPLIT, 16);
	struct raw raw = raw_begin(net->tx[0]);

	for (unsigned int n = 1; n < 4; n++) {
		by_hand(net, &raw, &(struct hand){.pieces = n, .direct = 1});
		by_hand(net, &raw, &(struct hand){.pieces = n, .direct = 3});
	}
}

CHECK(indirect, long_table, .requirements = "VIO-FRAME-001",
      .summary = "tables as long as the ring, and tables over the border of two pages",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_INDIRECT_DESC))
{
	struct net *net = up(t, NET_SPLIT, LONGEST);
	struct raw raw = raw_begin(net->tx[0]);
	const unsigned int longest =
		vring_size(net->tx[0]) < LONGEST ? vring_size(net->tx[0]) : LONGEST;

	for (unsigned int n = 17; n <= longest;
	     n = n * 2 > longest && n < longest ? longest : n * 2)
		by_hand(net, &raw, &(struct hand){.pieces = n});
	for (unsigned int n = 2; n < 12; n += 3)
		by_hand(net, &raw, &(struct hand){.pieces = n, .across = true});
}

CHECK(indirect, packed_flags, .requirements = "VIO-INDIR-012 VIO-INDIR-013",
      .summary = "in a packed ring's table order alone counts: other flags and ids are ignored",
      .needs = CAP_TRAFFIC, .features = VC_BIT(VC_F_INDIRECT_DESC) | VC_BIT(VC_F_RING_PACKED))
{
	static const uint16_t flags[] = {0, VC_DESC_F_NEXT, VC_PACKED_F_AVAIL, VC_PACKED_F_USED,
					 VC_DESC_F_NEXT | VC_PACKED_F_AVAIL | VC_PACKED_F_USED};
	struct net *net = up(t, NET_PACKED, 16);
	struct raw raw = raw_begin(net->tx[0]);

	for (unsigned int i = 0; i < 10; i++)
		by_hand(net, &raw,
			&(struct hand){.pieces = 2 + i,
				       .entry_flags = flags[i % 5],
				       .ref_flags = i & 1 ? VC_DESC_F_WRITE : 0,
				       .ids = true});
	by_hand(net, &raw, &(struct hand){.pieces = 9, .ids = true, .across = true});
}

CHECK(indirect, hostile, .requirements = "VIO-SPLIT-008 VIO-RESET-001",
      .summary = "tables that are malformed, loop, nest or are not mapped do no harm",
      .features = VC_BIT(VC_F_INDIRECT_DESC), .flags = CHECK_DESTRUCTIVE)
{
	static const char *const what[] = {
		"a table of 24 bytes", "an empty table",
		"a table that loops",  "a table whose next lies outside",
		"a table in a table",  "a table that is not mapped",
		"a table of 4 GiB",    "an indirect descriptor with a next",
	};

	for (unsigned int i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		struct net *net = up(t, NET_SPLIT, 16);
		struct vring *r = net->tx[0];
		struct raw raw = raw_begin(r);
		struct raw_desc d[2] = {{0, 32, VC_DESC_F_INDIRECT, 1}, {0, 0, 0, 0}};
		struct dma_snapshot *snap;
		struct dma_mem mem, table;

		t_step(t, "%s", what[i]);
		parent_settle(net->p);
		net_frame_make(net, &frame, NET_FLOW_OWN, 0, 300);
		mem = raw_frame(net, &frame);
		table = dma_alloc(net->dma, 64, 16);
		for (unsigned int k = 0; k < 4; k++)
			put_entry(false, table.host, k, mem.iova, (uint32_t)mem.size, 0, 0);
		d[0].addr = table.iova;
		d[1].addr = mem.iova;
		d[1].len = (uint32_t)mem.size;
		switch (i) {
		case 0:
			d[0].len = 24;
			break;
		case 1:
			d[0].len = 0;
			break;
		case 2:
			for (unsigned int k = 0; k < 2; k++)
				put_entry(false, table.host, k, mem.iova, 20, VC_DESC_F_NEXT,
					  (uint16_t)(1 - k));
			break;
		case 3:
			put_entry(false, table.host, 0, mem.iova, 20, VC_DESC_F_NEXT, 2);
			break;
		case 4:
			put_entry(false, table.host, 0, table.iova, 16, VC_DESC_F_INDIRECT, 0);
			break;
		case 5:
			d[0].addr = dma_unmapped_iova(net->dma, 4096);
			break;
		case 6:
			d[0].len = 0xfffffff0;
			break;
		default:
			d[0].flags |= VC_DESC_F_NEXT;
			break;
		}
		raw_offer(&raw, d, i == 7 ? 2 : 1);
		snap = dma_snapshot(net->dma, NULL);
		vring_kick_now(r);
		raw_survive(t, net, r, snap, what[i]);
	}
}
