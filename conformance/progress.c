/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"

#define QUIET_US 2000000
#define EVERY_US 200000

void progress_show(struct progress *progress, size_t done, size_t all, const char *what)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	if (!progress->started_us)
		progress->started_us = now;
	if (now - progress->started_us < QUIET_US || now - progress->shown_us < EVERY_US ||
	    !isatty(STDERR_FILENO))
		return;
	progress->shown_us = now;
	progress->visible = true;
	fprintf(stderr, "\r\033[K%zu of %zu %s, %.0f s", done, all, what,
		(double)(now - progress->started_us) / 1e6);
	fflush(stderr);
}

void progress_clear(struct progress *progress)
{
	if (progress->visible)
		fputs("\r\033[K", stderr);
	progress->visible = false;
}
