/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run: checks on one parent, and their results
 */
#ifndef VC_RUN_H
#define VC_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checks.h"
#include "engine.h"
#include "errata.h"
#include "required.h"
#include "result.h"

#define DEFAULT_TIMEOUT_MS 10000
#define PROBE_TIMEOUT_MS   10000

/**
 * struct run - what is to be run, and what came of it
 *
 * The caller fills in the first part and the probe; run_checks() the rest.
 * @jobs:       0: as many as engine_places() says
 * @timeout_ms: 0: DEFAULT_TIMEOUT_MS; a check's own longer deadline stays
 * @defect:     a seeded defect, for the prover
 */
struct run {
	const char *address, *peer, *defect;
	uint64_t seed;
	unsigned int timeout_ms, retries, jobs;
	bool destructive;
	struct check_list checks;
	struct required required;
	struct errata errata;
	struct probe probe;

	char kernel[65];
	struct result *results; /* as checks; valid below @finished and where .check is set */
	size_t finished, ended;
	struct summary summary;
	uint64_t duration_us;
	bool interrupted;
};

/** struct run_watcher - is told while it runs; results come in the list's order */
struct run_watcher {
	void (*result)(void *ctx, const struct run *run, size_t index);
	void (*tick)(void *ctx, const struct run *run);
	void *ctx;
};

/** run_timeout() - deadline of a check under --timeout @timeout_ms (0: none was given) */
unsigned int run_timeout(const struct check *check, unsigned int timeout_ms);

/** run_begin() - fill in what the reports' headers say; before run_checks() */
void run_begin(struct run *run);

/**
 * run_checks() - run them all; every check gets a result, also after an interrupt
 *
 * Return: 0, or a negative errno when no process could be started.
 */
int run_checks(struct run *run, const struct run_watcher *watcher);

void run_free(struct run *run);

#endif
