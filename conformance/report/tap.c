/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TAP version 13, and KTAP version 1 as the kernel's selftests print it
 *
 * They differ in how a failure is explained (a YAML block; comments) and in how an expected failure
 * is spelled (TODO, which is "not ok"; "ok … # XFAIL"). XPASS is "not ok" in both: it fails the
 * run.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"
#include "requirements/catalogue.h"
#include "text.h"

static void comments(FILE *out, const struct lines *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		fprintf(out, "# %s\n", lines->v[i]);
}

static void header(FILE *out, const struct run *run)
{
	struct lines lines = report_header(run);

	comments(out, &lines);
	lines_free(&lines);
	fflush(out);
}

/* A '#' in a directive's text would begin another one. */
static void directive(FILE *out, const char *word, const char *kind, const char *text)
{
	fprintf(out, " # %s %s%s", word, kind, *kind ? ": " : "");
	for (; *text; text++)
		fputc(*text == '#' ? '=' : *text, out);
}

static void totals(FILE *out, const struct run *run, const struct report_style *style)
{
	const unsigned int *of = run->summary.of;

	(void)style;
	fprintf(out, "# Totals: pass:%u fail:%u xfail:%u xpass:%u skip:%u error:%u\n", of[V_PASS],
		of[V_FAIL], of[V_XFAIL], of[V_XPASS], of[V_SKIP], of[V_BROKEN]);
	fflush(out);
}

static void bail_out(FILE *out, const char *first, const char *sentence)
{
	fprintf(out, "%s\nBail out! %s\n", first, sentence);
}

/* ---- TAP --------------------------------------------------------------------------------------*/

/* A scalar of YAML: JSON's strings are YAML's. */
static void scalar(FILE *out, const char *text)
{
	json_t *string = json_string(text);

	json_dumpf(string, out, JSON_ENCODE_ANY);
	json_decref(string);
}

static void sequence(FILE *out, const char *key, const struct lines *lines)
{
	if (!lines->n)
		return;
	fprintf(out, "  %s:\n", key);
	for (size_t i = 0; i < lines->n; i++) {
		fputs("    - ", out);
		scalar(out, lines->v[i]);
		fputc('\n', out);
	}
}

static struct lines split(const char *text)
{
	char *copy = xstrdup(text), *rest = copy, *line;
	struct lines lines = {0};

	while ((line = strsep(&rest, "\n")))
		if (*line || rest)
			lines_add(&lines, line);
	free(copy);
	return lines;
}

static struct lines requirements(const struct check *check)
{
	const char *list = check->requirements, *id;
	struct lines lines = {0};
	size_t len;

	while ((id = catalogue_next_id(&list, &len))) {
		const struct requirement *row = catalogue_find(id, len);
		char *line;

		if (!row)
			continue;
		line = xformat("%s (%s): %s", row->id, row->level, row->statement);
		lines_add(&lines, line);
		free(line);
	}
	return lines;
}

static void yaml(FILE *out, const struct result *result)
{
	struct lines log = split(result->log ? result->log : "");
	struct lines ids = requirements(result->check);

	fprintf(out, "  ---\n  verdict: %s\n  duration_ms: %.3f\n", verdict_slug(result->verdict),
		(double)result->duration_us / 1000.0);
	if (*result->diagnosis) {
		fputs("  message: ", out);
		scalar(out, result->diagnosis);
		fputc('\n', out);
	}
	sequence(out, "requirements", &ids);
	sequence(out, "steps", &result->steps);
	sequence(out, "operations", &result->trace);
	sequence(out, "notes", &result->notes);
	sequence(out, "log", &log);
	if (result->log_dropped)
		fprintf(out, "  log_dropped_bytes: %zu\n", result->log_dropped);
	fputs("  ...\n", out);
	lines_free(&log);
	lines_free(&ids);
}

static void tap_begin(FILE *out, const struct run *run, const struct report_style *style)
{
	(void)style;
	fprintf(out, "TAP version 13\n1..%zu\n", run->checks.n);
	header(out, run);
}

static void tap_result(FILE *out, const struct run *run, size_t index,
		       const struct report_style *style)
{
	const struct result *result = &run->results[index];
	bool ok = result->verdict == V_PASS || result->verdict == V_SKIP;

	(void)style;
	fprintf(out, "%s %zu - %s.%s", ok ? "ok" : "not ok", index + 1, result->check->area,
		result->check->name);
	if (result->verdict == V_SKIP)
		directive(out, "SKIP", skip_kind_name(result->skip_kind), result->diagnosis);
	if (result->verdict == V_XFAIL)
		directive(out, "TODO", "XFAIL", result->diagnosis);
	fputc('\n', out);
	if (!ok)
		yaml(out, result);
	else
		for (size_t i = 0; i < result->notes.n; i++)
			fprintf(out, "# %s\n", result->notes.v[i]);
	fflush(out);
}

static void tap_failed(FILE *out, const struct run *run, const char *sentence)
{
	(void)run;
	bail_out(out, "TAP version 13", sentence);
}

const struct report_format report_tap = {
	.name = "tap",
	.file = "report.tap",
	.begin = tap_begin,
	.result = tap_result,
	.end = totals,
	.failed = tap_failed,
};

/* ---- KTAP -------------------------------------------------------------------------------------*/

static void ktap_begin(FILE *out, const struct run *run, const struct report_style *style)
{
	(void)style;
	fprintf(out, "KTAP version 1\n1..%zu\n", run->checks.n);
	header(out, run);
}

static void ktap_result(FILE *out, const struct run *run, size_t index,
			const struct report_style *style)
{
	const struct result *result = &run->results[index];
	bool ok = result->verdict == V_PASS || result->verdict == V_SKIP ||
		  result->verdict == V_XFAIL;
	struct lines details = report_details(result);

	(void)style;
	/* diagnostics come before the line of their test */
	if (result->verdict != V_SKIP)
		comments(out, &details);
	lines_free(&details);
	fprintf(out, "%s %zu %s.%s", ok ? "ok" : "not ok", index + 1, result->check->area,
		result->check->name);
	if (result->verdict == V_SKIP)
		directive(out, "SKIP", skip_kind_name(result->skip_kind), result->diagnosis);
	else if (result->verdict == V_XFAIL)
		directive(out, "XFAIL", "", result->diagnosis);
	else if (result->verdict == V_XPASS)
		directive(out, "XPASS", "", result->diagnosis);
	else if (result->verdict == V_BROKEN)
		directive(out, "ERROR", "", result->diagnosis);
	fputc('\n', out);
	fflush(out);
}

static void ktap_failed(FILE *out, const struct run *run, const char *sentence)
{
	(void)run;
	bail_out(out, "KTAP version 1", sentence);
}

const struct report_format report_ktap = {
	.name = "ktap",
	.file = "report.ktap",
	.begin = ktap_begin,
	.result = ktap_result,
	.end = totals,
	.failed = ktap_failed,
};
