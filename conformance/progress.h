/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Progress on a terminal, for what lasts more than two seconds
 */
#ifndef VC_PROGRESS_H
#define VC_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct progress - zeroed: the clock starts at the first call */
struct progress {
	uint64_t started_us, shown_us;
	bool visible;
};

/** progress_show() - @done of @all @what are done; prints on standard error if it is a terminal */
void progress_show(struct progress *progress, size_t done, size_t all, const char *what);

/** progress_clear() - before something else is printed */
void progress_clear(struct progress *progress);

#endif
