/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table for people: what did not pass and why, verdicts by area, what was skipped and why
 */
#include <stdlib.h>
#include <string.h>

#include "report/report.h"
#include "text.h"

#define WIDTH 96

static const char *colour_of(enum verdict verdict)
{
	static const char *const codes[] = {
		[V_PASS] = "\033[32m",	 [V_FAIL] = "\033[31;1m", [V_SKIP] = "\033[33m",
		[V_BROKEN] = "\033[35m", [V_XFAIL] = "\033[36m",  [V_XPASS] = "\033[31;1m"};

	return codes[verdict];
}

static void coloured(FILE *out, const struct report_style *style, enum verdict verdict,
		     const char *text)
{
	if (style->colour)
		fprintf(out, "%s%s\033[0m", colour_of(verdict), text);
	else
		fputs(text, out);
}

static void explain(FILE *out, const struct result *result, const struct report_style *style)
{
	struct lines details = report_details(result);

	coloured(out, style, result->verdict, verdict_name(result->verdict));
	fprintf(out, " %s.%s\n", result->check->area, result->check->name);
	for (size_t i = 0; i < details.n; i++) {
		struct lines filled = {0};

		text_fill(&filled, details.v[i], WIDTH - 5);
		for (size_t j = 0; j < filled.n; j++)
			fprintf(out, "     %s%s\n", j && strncmp(details.v[i], "  ", 2) ? "  " : "",
				filled.v[j]);
		lines_free(&filled);
	}
	lines_free(&details);
	fputc('\n', out);
}

/* Only columns that have something in them. */
static void row(FILE *out, const char *name, const struct summary *of, const struct summary *all,
		const struct report_style *style)
{
	fprintf(out, " %-20s", name);
	for (int verdict = 0; verdict < VERDICTS; verdict++) {
		char cell[16];

		if (!all->of[verdict] && verdict > V_SKIP)
			continue;
		snprintf(cell, sizeof(cell), "%8u", of->of[verdict]);
		if (!of->of[verdict])
			fprintf(out, "%8s", ".");
		else
			coloured(out, style, (enum verdict)verdict, cell);
	}
	fputc('\n', out);
}

static void table(FILE *out, const struct run *run, const struct report_style *style)
{
	size_t to;

	fprintf(out, " %-20s", "area");
	for (int verdict = 0; verdict < VERDICTS; verdict++)
		if (run->summary.of[verdict] || verdict <= V_SKIP)
			fprintf(out, "%8s", verdict_slug((enum verdict)verdict));
	fputc('\n', out);
	for (size_t from = 0; from < run->checks.n; from = to) {
		const char *area = run->checks.v[from]->area;
		struct summary of = {0};

		for (to = from; to < run->checks.n && !strcmp(run->checks.v[to]->area, area); to++)
			summary_add(&of, run->results[to].verdict);
		row(out, area, &of, &run->summary, style);
	}
}

/* Skips by reason; a reason once. */
static void skips(FILE *out, const struct run *run)
{
	for (size_t i = 0; i < run->checks.n; i++) {
		const struct result *result = &run->results[i];
		unsigned int same = 0;
		bool said = false;

		if (result->verdict != V_SKIP)
			continue;
		for (size_t j = 0; j < run->checks.n; j++) {
			const struct result *other = &run->results[j];

			if (other->verdict != V_SKIP || other->skip_kind != result->skip_kind ||
			    strcmp(other->diagnosis, result->diagnosis))
				continue;
			said = said || j < i;
			same++;
		}
		if (!said)
			fprintf(out, " skipped %u (%s): %s\n", same,
				skip_kind_name(result->skip_kind), result->diagnosis);
	}
}

static void human_end(FILE *out, const struct run *run, const struct report_style *style)
{
	const unsigned int *of = run->summary.of;
	struct lines header = report_header(run);
	unsigned int retried = 0;

	for (size_t i = 0; i < header.n; i++)
		fprintf(out, "%s\n", header.v[i]);
	lines_free(&header);
	fputc('\n', out);
	for (size_t i = 0; i < run->checks.n; i++) {
		const struct result *result = &run->results[i];

		if ((result->verdict != V_PASS && result->verdict != V_SKIP) ||
		    (result->notes.n && result->verdict == V_PASS))
			explain(out, result, style);
		retried += result->verdict == V_PASS && result->attempts > 1;
	}
	table(out, run, style);
	fputc('\n', out);
	skips(out, run);
	fprintf(out, "%u passed, %u failed, %u skipped, %u broken", of[V_PASS], of[V_FAIL],
		of[V_SKIP], of[V_BROKEN]);
	if (of[V_XFAIL] || of[V_XPASS])
		fprintf(out, ", %u failed as expected, %u passed unexpectedly", of[V_XFAIL],
			of[V_XPASS]);
	if (retried)
		fprintf(out, ", %u of the passes on a later attempt", retried);
	fprintf(out, " in %.2f s, seed %llu\n", (double)run->duration_us / 1e6,
		(unsigned long long)run->seed);
	if (run->interrupted)
		fputs("interrupted: the verdicts are incomplete\n", out);
}

static void human_failed(FILE *out, const struct run *run, const char *sentence)
{
	(void)run;
	fprintf(out, "nothing ran: %s\n", sentence);
}

const struct report_format report_human = {
	.name = "human",
	.file = "report.txt",
	.end = human_end,
	.failed = human_failed,
};
