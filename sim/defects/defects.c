/* SPDX-License-Identifier: BSD-3-Clause */
#include "defects.h"

#include <errno.h>
#include <string.h>

#include "../vqnic.h"

static const struct vqnic_defect defects[] = {
#define DEFECT(id, slug, where, shows_on, ids, sentence) \
	[DEFECT_##id] = {.name = slug,                   \
			 .area = where,                  \
			 .personality = shows_on,        \
			 .requirements = ids,            \
			 .what = sentence},
#include "defects.def"
#undef DEFECT
};

const struct vqnic_defect *vqnic_defects(size_t *count)
{
	*count = DEFECT_COUNT;
	return defects;
}

int defect_find(const char *name)
{
	for (int i = 0; i < DEFECT_COUNT; i++)
		if (strcmp(defects[i].name, name) == 0)
			return i;
	return -ENOENT;
}
