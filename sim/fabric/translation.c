/* SPDX-License-Identifier: BSD-3-Clause */
#include "translation.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "txn.h"

/* Two intervals are "equal" if they overlap, so that tfind() answers "what is in the way?". */
static int map_cmp(const void *a, const void *b)
{
	const struct iova_map *x = a, *y = b;

	if (x->last < y->iova)
		return -1;
	return x->iova > y->last;
}

int iova_space_create(unsigned int requester, uint32_t asid, unsigned int max_maps,
		      struct iova_space **space)
{
	struct iova_space *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	err = backing_set_create(&s->backings);
	if (err) {
		free(s);
		return err;
	}
	s->requester = requester;
	s->asid = asid;
	s->max_maps = max_maps;
	*space = s;
	return 0;
}

static void forget_cache(struct iova_space *s)
{
	s->hit = NULL;
	memset(s->cache, 0, sizeof(s->cache));
}

static struct iova_map *overlapping(struct iova_space *s, uint64_t iova, uint64_t last)
{
	struct iova_map key = {.iova = iova, .last = last};
	struct iova_map **found = (struct iova_map **)tfind(&key, &s->tree, map_cmp);

	return found ? *found : NULL;
}

struct iova_map *iova_space_lookup(struct iova_space *space, uint64_t iova)
{
	return overlapping(space, iova, iova);
}

static void remove_map(struct iova_space *s, struct iova_map *m)
{
	tdelete(m, &s->tree, map_cmp);
	s->maps--;
	backing_put(s->backings, m->backing);
	free(m);
}

void iova_space_destroy(struct iova_space *space)
{
	if (!space)
		return;
	txn_release(space);
	iova_space_unmap(space, 0, UINT64_MAX);
	backing_set_destroy(space->backings);
	free(space);
}

static int insert(struct iova_space *s, const struct iova_map *m)
{
	struct iova_map *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	*copy = *m;
	if (!tsearch(copy, &s->tree, map_cmp)) {
		free(copy);
		return -ENOMEM;
	}
	s->maps++;
	return 0;
}

int iova_space_map(struct iova_space *space, const struct vqnic_dma_map *map)
{
	struct iova_map m = {.iova = map->iova, .prot = map->prot};
	int err;

	if (!map->size || (map->prot & ~(VQNIC_PROT_READ | VQNIC_PROT_WRITE)) ||
	    __builtin_add_overflow(map->iova, map->size - 1, &m.last))
		return -EINVAL;
	if (overlapping(space, m.iova, m.last))
		return -EEXIST;
	if (space->maps >= space->max_maps)
		return -ENOSPC;
	if (map->fd >= 0) {
		err = backing_get(space->backings, map->fd, map->offset, map->size,
				  map->prot & VQNIC_PROT_WRITE, &m.backing, &m.host);
		if (err)
			return err;
	}
	err = insert(space, &m);
	if (err && m.backing)
		backing_put(space->backings, m.backing);
	return err;
}

uint64_t iova_space_unmap(struct iova_space *space, uint64_t iova, uint64_t last)
{
	struct iova_map *m;
	uint64_t bytes = 0;

	while ((m = overlapping(space, iova, last))) {
		struct iova_map before = *m, after = *m;
		uint64_t from = m->iova > iova ? m->iova : iova;
		uint64_t to = m->last < last ? m->last : last;

		bytes += to - from + 1;
		if (m->backing)
			backing_ref(m->backing); /* keep it while the halves take theirs */
		remove_map(space, m);
		if (before.iova < from) {
			before.last = from - 1;
			if (!insert(space, &before) && before.backing)
				backing_ref(before.backing);
		}
		if (after.last > to) {
			if (after.host)
				after.host += to + 1 - after.iova;
			after.iova = to + 1;
			if (!insert(space, &after) && after.backing)
				backing_ref(after.backing);
		}
		if (before.backing)
			backing_put(space->backings, before.backing);
	}
	forget_cache(space);
	return bytes;
}

void iova_space_set_ops(struct iova_space *space, const struct vqnic_dma_ops *ops, void *ctx)
{
	space->msg = ops;
	space->msg_ctx = ctx;
}
