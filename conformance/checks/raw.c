/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings written by hand: what a device must stand (see raw.h)
 */
#include <string.h>

#include "raw.h"

/* allowed() - may a page at @iova have changed? The device's area, and packed descriptors. */
static bool allowed(const struct vring *r, uint64_t iova)
{
	for (unsigned int area = 0; area < 3; area++) {
		const struct dma_mem *m = vring_area(r, area);

		if (area == 1 || (area == 0 && !vring_is_packed(r)))
			continue;
		if (iova + DMA_PAGE > m->iova && iova < m->iova + m->size)
			return true;
	}
	return false;
}

void raw_survive(struct test *t, struct net *net, const struct vring *r, struct dma_snapshot *snap,
		 const char *what)
{
	struct parent *p = t_parent(t);
	uint64_t pages[64];
	uint8_t status = 0;
	size_t n;

	parent_settle(p);
	t_expect(t, !p->dead, "%s: the parent must survive it, it died", what);
	n = dma_changed(snap, pages, 64);
	for (size_t i = 0; i < n && i < 64; i++)
		t_expect(t, allowed(r, pages[i]),
			 "%s: the device wrote to memory that is none of its business, the page at "
			 "IOVA 0x%llx",
			 what, (unsigned long long)pages[i]);
	dma_snapshot_free(snap);
	t_ok(t, parent_get_status(p, &status));
	/* VIRTIO 2.1.2: SHOULD */
	t_note(t, "%s: DEVICE_NEEDS_RESET %s", what,
	       status & VC_STATUS_NEEDS_RESET ? "observed" : "not observed");
	t_step(t, "%s: reset, and a driver that keeps the rules", what);
	net_down(net);
	net = net_up(t, NULL);
	if (p->peer != PEER_NONE)
		io_run(net, 20, NULL);
	net_down(net);
}
