/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that runs one check, or asks a parent who it is
 */
#ifndef VC_CHILD_H
#define VC_CHILD_H

#include <stdint.h>
#include <stdnoreturn.h>

#include "check.h"

/**
 * struct child_task - what the process is for
 * @check:  the check to run; NULL to probe the parent
 * @seed:   the run's seed; the parent's and the check's random numbers come from it and the name
 * @defect: seeded defect to switch on (sim:), or NULL
 */
struct child_task {
	const struct check *check;
	const char *address;
	const char *peer;
	const char *defect;
	uint64_t seed;
};

/** child_main() - do the task, tell @fd in frames, and exit; standard streams are set up already */
noreturn void child_main(const struct child_task *task, int fd);

#endif
