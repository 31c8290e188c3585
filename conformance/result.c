/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "result.h"
#include "status.h"

void result_set(struct result *result, enum verdict verdict, char *diagnosis)
{
	text_clean(diagnosis);
	result->verdict = verdict;
	replace_text(&result->diagnosis, diagnosis);
}

void result_free(struct result *result)
{
	free(result->diagnosis);
	free(result->log);
	lines_free(&result->notes);
	lines_free(&result->steps);
	lines_free(&result->trace);
	*result = (struct result){0};
}

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = {"PASS", "FAIL", "SKIP", "BROKEN", "XFAIL", "XPASS"};

	return names[verdict];
}

const char *verdict_slug(enum verdict verdict)
{
	static const char *const names[] = {"pass", "fail", "skip", "broken", "xfail", "xpass"};

	return names[verdict];
}

const char *skip_kind_name(enum skip_kind kind)
{
	static const char *const names[] = {"feature", "interface", "peer", "destructive"};

	return names[kind];
}

void summary_add(struct summary *summary, enum verdict verdict)
{
	summary->of[verdict]++;
}

int summary_exit_status(const struct summary *summary)
{
	if (summary->of[V_FAIL] || summary->of[V_XPASS])
		return EXIT_FAILED;
	if (summary->of[V_BROKEN])
		return EXIT_ENVIRONMENT;
	return summary->of[V_PASS] ? EXIT_PASSED : EXIT_NOTHING_RAN;
}
