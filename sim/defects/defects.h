/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seeded defects: faults that a vendor might ship, switched on by name at run time
 *
 * defects.def has a line for each; code asks `defect_on(set, DEFECT_…)` at the place where the
 * fault would be. The set belongs to one NIC.
 */
#ifndef VN_DEFECTS_H
#define VN_DEFECTS_H

#include <stdbool.h>

enum defect_id {
#define DEFECT(id, name, area, personality, requirements, what) DEFECT_##id,
#include "defects.def"
#undef DEFECT
	DEFECT_COUNT
};

struct defect_set {
	bool on[DEFECT_COUNT + 1];
};

static inline bool defect_on(const struct defect_set *set, enum defect_id id)
{
	return __builtin_expect(set->on[id], false);
}

/** defect_find() - number of a defect by its name; -ENOENT */
int defect_find(const char *name);

#endif
