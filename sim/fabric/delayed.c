/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The delayed fabric: seeded random delays, in any order that PCIe allows
 *
 * How it works. Every access goes through the ordering engine in pieces no longer than a completion
 * or a write packet would be, each with a delay of its own; so a long read is sampled in parts and
 * in any order, a long write becomes visible in parts, and replies overtake each other. A quarter
 * of the delays are zero and a few are long, which finds more than an even spread does.
 */
#include <errno.h>
#include <stdlib.h>

#include "../util.h"
#include "fabric.h"
#include "txn.h"

struct delayed {
	struct fabric fab;
	struct rng rng;
	uint64_t max;
};

static uint64_t delay(struct fabric *fab)
{
	struct delayed *d = container_of(fab, struct delayed, fab);
	uint64_t r = rng_next(&d->rng);

	switch (r & 7) {
	case 0:
	case 1:
		return 0;
	case 2:
		return (r >> 8) % (d->max + 1);
	default:
		return (r >> 8) % (d->max / 16 + 1);
	}
}

static uint32_t split(struct fabric *fab, uint64_t len, bool write)
{
	(void)fab;
	if (write)
		return 256; /* a usual maximum payload size */
	return len <= 512 ? 64
			  : 1024; /* read completion boundary; coarser where rings don't care */
}

static const struct txn_policy policy = {delay, delay, split};

static int delayed_read(struct fabric *fab, struct iova_space *space, const struct fab_sg *sg,
			unsigned int n, void *dst, struct fab_op *op)
{
	return txn_read(fab, &policy, space, sg, n, dst, op);
}

static int delayed_write(struct fabric *fab, struct iova_space *space, const struct fab_sg *sg,
			 unsigned int n, const void *src, struct fab_op *op)
{
	return txn_write(fab, &policy, space, sg, n, src, op);
}

static int delayed_set_bits(struct fabric *fab, struct iova_space *space, uint64_t iova,
			    uint8_t bits, struct fab_op *op)
{
	return txn_set_bits(fab, &policy, space, iova, bits, op);
}

static int delayed_irq(struct fabric *fab, struct iova_space *space, const struct fab_irq *irq)
{
	return txn_irq(fab, &policy, space, irq);
}

static int delayed_work(struct fabric *fab, unsigned int stage, uint64_t units, struct fab_op *op)
{
	(void)stage;
	(void)units;
	return fab_timer(fab, fab->now + delay(fab), op) < 0 ? 1 : 0;
}

static void delayed_destroy(struct fabric *fab)
{
	struct delayed *d = container_of(fab, struct delayed, fab);

	fabric_fini(fab);
	free(d);
}

static const struct fabric_ops delayed_ops = {
	.name = "delayed",
	.read = delayed_read,
	.write = delayed_write,
	.set_bits = delayed_set_bits,
	.irq = delayed_irq,
	.work = delayed_work,
	.revoke = txn_revoke,
	.destroy = delayed_destroy,
};

int fabric_delayed_create(uint64_t seed, uint64_t max_delay_ps, struct fabric **fab)
{
	struct delayed *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->rng.state = seed;
	d->max = max_delay_ps;
	err = fabric_init(&d->fab, &delayed_ops);
	if (err) {
		free(d);
		return err;
	}
	*fab = &d->fab;
	return 0;
}
