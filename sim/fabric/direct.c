/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The direct fabric: everything completes at once
 *
 * How it works. Memory that is mapped here is copied inside the call. Only what must wait for a
 * client's message goes through the ordering engine (txn.c), and then whatever comes behind it, so
 * that the order holds. The ordering "a read pushes earlier writes" costs a fence, paid once per
 * run of writes and only for the short reads that rings are made of.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../util.h"
#include "fabric.h"
#include "txn.h"

#define RING_READ 512u

static uint64_t no_delay(struct fabric *fab)
{
	(void)fab;
	return 0;
}

static uint32_t no_split(struct fabric *fab, uint64_t len, bool write)
{
	(void)fab;
	(void)len;
	(void)write;
	return UINT32_C(1) << 31;
}

static const struct txn_policy policy = {no_delay, no_delay, no_split};

/* Host address of a piece if it lies in one local map, else NULL. */
static uint8_t *local(struct iova_space *space, const struct fab_sg *sg, uint32_t prot)
{
	const struct iova_map *map = iova_space_find(space, sg->iova, prot);

	if (unlikely(!map || !map->host || sg->len > map->last - sg->iova + 1))
		return NULL;
	return map->host + (sg->iova - map->iova);
}

/*
 * The pieces that lie across maps; 1, or -EFAULT, or 0 if a message is needed. Nothing is copied
 * before all is known to be local.
 */
static int walk(struct iova_space *space, const struct fab_sg *sg, unsigned int n, uint8_t *buf,
		uint32_t prot, bool copy)
{
	bool write = prot == VQNIC_PROT_WRITE;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t at = sg[i].iova, left = sg[i].len;

		while (left) {
			const struct iova_map *map = iova_space_find(space, at, prot);
			uint64_t part;
			uint8_t *host;

			if (!map)
				return -EFAULT;
			if (!map->host)
				return 0;
			part = map->last - at + 1;
			if (part > left)
				part = left;
			host = map->host + (at - map->iova);
			if (copy && write)
				mem_store(host, buf, part);
			else if (copy)
				mem_sample(buf, host, part);
			buf += part;
			at += part;
			left -= part;
			if (left && !at)
				return -EFAULT; /* ran over the top of the address space */
		}
	}
	return 1;
}

static uint64_t bytes(const struct fab_sg *sg, unsigned int n)
{
	uint64_t len = 0;

	while (n--)
		len += sg++->len;
	return len;
}

static int direct_read(struct fabric *fab, struct iova_space *space, const struct fab_sg *sg,
		       unsigned int n, void *dst, struct fab_op *op)
{
	int r;

	if (unlikely(space->txns && !txn_idle(space)))
		return txn_read(fab, &policy, space, sg, n, dst, op);
	if (space->wrote && sg->len <= RING_READ) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		space->wrote = false;
	}
	if (likely(n == 1)) {
		const uint8_t *host = local(space, sg, VQNIC_PROT_READ);

		if (likely(host != NULL)) {
			mem_sample(dst, host, sg->len);
			fab->stats.reads++;
			fab->stats.read_bytes += sg->len;
			return 1;
		}
	}
	r = walk(space, sg, n, dst, VQNIC_PROT_READ, false);
	if (r == 0)
		return txn_read(fab, &policy, space, sg, n, dst, op);
	if (r < 0) {
		fab->stats.errors++;
		return r;
	}
	fab->stats.reads++;
	fab->stats.read_bytes += bytes(sg, n);
	return walk(space, sg, n, dst, VQNIC_PROT_READ, true);
}

static int direct_write(struct fabric *fab, struct iova_space *space, const struct fab_sg *sg,
			unsigned int n, const void *src, struct fab_op *op)
{
	int r;

	if (unlikely(space->txns && !txn_idle(space)))
		return txn_write(fab, &policy, space, sg, n, src, op);
	space->wrote = true;
	if (likely(n == 1)) {
		uint8_t *host = local(space, sg, VQNIC_PROT_WRITE);

		if (likely(host != NULL)) {
			mem_store(host, src, sg->len);
			fab->stats.writes++;
			fab->stats.write_bytes += sg->len;
			return 1;
		}
	}
	/* walk() only reads through the pointer when it writes memory */
	r = walk(space, sg, n, (uint8_t *)(uintptr_t)src, VQNIC_PROT_WRITE, false);
	if (r == 0)
		return txn_write(fab, &policy, space, sg, n, src, op);
	if (r < 0) {
		fab->stats.errors++;
		return r;
	}
	fab->stats.writes++;
	fab->stats.write_bytes += bytes(sg, n);
	return walk(space, sg, n, (uint8_t *)(uintptr_t)src, VQNIC_PROT_WRITE, true);
}

static int direct_set_bits(struct fabric *fab, struct iova_space *space, uint64_t iova,
			   uint8_t bits, struct fab_op *op)
{
	struct fab_sg sg = {iova, 1};
	uint8_t *host;

	if (!txn_idle(space))
		return txn_set_bits(fab, &policy, space, iova, bits, op);
	host = local(space, &sg, VQNIC_PROT_WRITE);
	if (!host) {
		fab->stats.errors++;
		return -EFAULT;
	}
	__atomic_fetch_or(host, bits, __ATOMIC_SEQ_CST);
	fab->stats.writes++;
	fab->stats.write_bytes++;
	return 1;
}

static int direct_irq(struct fabric *fab, struct iova_space *space, const struct fab_irq *irq)
{
	if (!txn_idle(space))
		return txn_irq(fab, &policy, space, irq);
	fab->stats.interrupts++;
	irq->fire(irq->ctx, irq->vector);
	return 1;
}

static int direct_work(struct fabric *fab, unsigned int stage, uint64_t units, struct fab_op *op)
{
	(void)fab;
	(void)stage;
	(void)units;
	(void)op;
	return 1;
}

static void direct_destroy(struct fabric *fab)
{
	fabric_fini(fab);
	free(fab);
}

static const struct fabric_ops direct_ops = {
	.name = "direct",
	.read = direct_read,
	.write = direct_write,
	.set_bits = direct_set_bits,
	.irq = direct_irq,
	.work = direct_work,
	.revoke = txn_revoke,
	.destroy = direct_destroy,
};

int fabric_direct_create(struct fabric **fab)
{
	struct fabric *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	err = fabric_init(f, &direct_ops);
	if (err) {
		free(f);
		return err;
	}
	*fab = f;
	return 0;
}
