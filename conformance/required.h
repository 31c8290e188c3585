/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Required checks: a file that turns a skip into a failure
 *
 * One name, area, glob or requirement id a line; '#' begins a comment.
 */
#ifndef VC_REQUIRED_H
#define VC_REQUIRED_H

#include "checks.h"
#include "result.h"

/** struct required - a line of the file */
struct required {
	char *path;
	struct {
		char *pattern;
		unsigned int line;
	} * v;
	size_t n;
};

/** required_load() - Return: NULL, or a sentence (owned by the caller) that names file and line */
char *required_load(struct required *required, const char *path);

/** required_apply() - a SKIP of a required check becomes FAIL */
void required_apply(const struct required *required, struct result *result);

/** required_names() - is this check a required one? */
bool required_names(const struct required *required, const struct check *check);

void required_free(struct required *required);

#endif
