/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The checks of this program, and selecting among them
 */
#ifndef VC_CHECKS_H
#define VC_CHECKS_H

#include <stdbool.h>
#include <stddef.h>

#include "check.h"

/** struct check_list - checks in the order of reports: by area, then by name */
struct check_list {
	const struct check **v;
	size_t n;
};

/** checks_all() - every check that is linked into the program; the list is the caller's to free */
struct check_list checks_all(void);

/**
 * check_matches() - does @pattern mean this check?
 *
 * A pattern is a dotted name, an area, a glob over dotted names, or a requirement's id.
 */
bool check_matches(const struct check *check, const char *pattern);

/**
 * checks_select() - the checks that @n @select patterns mean (all if @n is 0) without those that
 * @excluded patterns mean
 *
 * Return: NULL and the list; or the pattern that means no check at all (a mistyped name must not
 * make a run that certifies nothing).
 */
const char *checks_select(const char *const *select, size_t n, const char *const *exclude,
			  size_t excluded, struct check_list *out);

#endif
