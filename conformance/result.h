/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a check ended, and everything that a report may want to say about it
 */
#ifndef VC_RESULT_H
#define VC_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check.h"
#include "text.h"

#define VERDICTS (V_XPASS + 1)

struct erratum;

/**
 * struct result - of one check; all texts are clean (text_clean()) and owned
 * @diagnosis:   why it is no plain PASS; "" for PASS
 * @steps:       what the check said it would do (the last RESULT_STEPS)
 * @trace:       operations of the parent before a failure, oldest first
 * @log:         what the check's process wrote to standard output and error, cut to RESULT_LOG
 * @log_dropped: bytes of it that are not kept
 * @attempts:    1, or more with --retries
 * @erratum:     that made FAIL an XFAIL or PASS an XPASS
 * @no_parent:   errno of the parent that could not be opened, 0 if it could
 * @parent_died: the check's end is that of the parent
 */
struct result {
	const struct check *check;
	enum verdict verdict;
	enum skip_kind skip_kind;
	char *diagnosis;
	struct lines notes, steps, trace;
	char *log;
	size_t log_dropped;
	unsigned int attempts;
	uint64_t duration_us;
	const struct erratum *erratum;
	int no_parent;
	bool parent_died;
};

#define RESULT_STEPS 64
#define RESULT_NOTES 64
#define RESULT_LOG   (32 * 1024)

/** result_set() - give a verdict and its diagnosis, which becomes owned */
void result_set(struct result *result, enum verdict verdict, char *diagnosis);

void result_free(struct result *result);

/** verdict_name() - "PASS", …; verdict_slug() - "pass", … as in summaries */
const char *verdict_name(enum verdict verdict);
const char *verdict_slug(enum verdict verdict);

/** skip_kind_name() - "feature", "interface", "peer", "destructive" */
const char *skip_kind_name(enum skip_kind kind);

/** struct summary - verdicts counted */
struct summary {
	unsigned int of[VERDICTS];
};

void summary_add(struct summary *summary, enum verdict verdict);

/**
 * summary_exit_status() - what vqcert exits with
 *
 * A failure outweighs a broken environment, and that outweighs passes; only XFAILs and skips are
 * "nothing could run".
 */
int summary_exit_status(const struct summary *summary);

#endif
