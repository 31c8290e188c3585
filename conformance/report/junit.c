/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JUnit, the common subset: testsuites, testsuite (an area each), properties, testcase, failure,
 * error, skipped@message, system-out
 *
 * XFAIL is "skipped" (never a pass, and it must not fail a pipeline); XPASS is a failure; BROKEN is
 * an error. Texts are clean already (text_clean()); only markup is left to escape.
 */
#include <stdlib.h>
#include <string.h>

#include "report/report.h"
#include "text.h"

static void escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc(*text, out);
		}
	}
}

static void attribute(FILE *out, const char *name, const char *value)
{
	fprintf(out, " %s=\"", name);
	escaped(out, value);
	fputc('"', out);
}

static void property(FILE *out, const char *name, const char *value)
{
	fputs("   <property", out);
	attribute(out, "name", name);
	attribute(out, "value", value);
	fputs("/>\n", out);
}

static void properties(FILE *out, const struct run *run)
{
	const struct parent_info *info = &run->probe.info;
	char number[32];

	fputs("  <properties>\n", out);
	property(out, "suite", report_version());
	property(out, "kernel", run->kernel);
	property(out, "parent", run->address);
	property(out, "driver", info->driver);
	snprintf(number, sizeof(number), "%u", info->device_id);
	property(out, "device", number);
	snprintf(number, sizeof(number), "0x%x", info->vendor_id);
	property(out, "vendor", number);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)run->seed);
	property(out, "seed", number);
	property(out, "settle", run->probe.settle);
	fputs("  </properties>\n", out);
}

static void message(FILE *out, const char *element, const char *type, const struct result *result)
{
	struct lines details = report_details(result);

	fprintf(out, "   <%s", element);
	if (type)
		attribute(out, "type", type);
	attribute(out, "message", result->diagnosis);
	fputc('>', out);
	for (size_t i = 0; i < details.n; i++) {
		escaped(out, details.v[i]);
		fputc('\n', out);
	}
	fprintf(out, "</%s>\n", element);
	lines_free(&details);
}

static void testcase(FILE *out, const struct result *result)
{
	fputs("  <testcase", out);
	attribute(out, "classname", result->check->area);
	attribute(out, "name", result->check->name);
	fprintf(out, " time=\"%.6f\">\n", (double)result->duration_us / 1e6);
	switch (result->verdict) {
	case V_PASS:
		break;
	case V_FAIL:
	case V_XPASS:
		message(out, "failure", verdict_slug(result->verdict), result);
		break;
	case V_BROKEN:
		message(out, "error", "broken", result);
		break;
	case V_SKIP:
	case V_XFAIL:
		fputs("   <skipped", out);
		attribute(out, "message", result->diagnosis);
		fputs("/>\n", out);
		break;
	}
	if ((result->log && *result->log) || result->notes.n) {
		fputs("   <system-out>", out);
		for (size_t i = 0; i < result->notes.n; i++) {
			escaped(out, result->notes.v[i]);
			fputc('\n', out);
		}
		escaped(out, result->log ? result->log : "");
		fputs("</system-out>\n", out);
	}
	fputs("  </testcase>\n", out);
}

/* The counts that testsuites and testsuite carry, of checks [from, to). */
static void counts(FILE *out, const struct run *run, size_t from, size_t to)
{
	struct summary s = {0};
	uint64_t us = 0;

	for (size_t i = from; i < to; i++) {
		summary_add(&s, run->results[i].verdict);
		us += run->results[i].duration_us;
	}
	fprintf(out, " tests=\"%zu\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.6f\"",
		to - from, s.of[V_FAIL] + s.of[V_XPASS], s.of[V_BROKEN],
		s.of[V_SKIP] + s.of[V_XFAIL], (double)us / 1e6);
}

static void junit_end(FILE *out, const struct run *run, const struct report_style *style)
{
	size_t to;

	(void)style;
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"vqcert\"", out);
	counts(out, run, 0, run->checks.n);
	fputs(">\n", out);
	for (size_t from = 0; from < run->checks.n; from = to) {
		const char *area = run->checks.v[from]->area;

		for (to = from; to < run->checks.n && !strcmp(run->checks.v[to]->area, area); to++)
			;
		fputs(" <testsuite", out);
		attribute(out, "name", area);
		counts(out, run, from, to);
		fputs(">\n", out);
		properties(out, run);
		for (size_t i = from; i < to; i++)
			testcase(out, &run->results[i]);
		fputs(" </testsuite>\n", out);
	}
	fputs("</testsuites>\n", out);
}

/* A document without a test would read as "nothing is wrong". */
static void junit_failed(FILE *out, const struct run *run, const char *sentence)
{
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	      "<testsuites name=\"vqcert\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n"
	      " <testsuite name=\"parent\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n"
	      "  <testcase classname=\"parent\"",
	      out);
	attribute(out, "name", run->address);
	fputs(">\n   <error type=\"broken\"", out);
	attribute(out, "message", sentence);
	fputs("/>\n  </testcase>\n </testsuite>\n</testsuites>\n", out);
}

const struct report_format report_junit = {
	.name = "junit",
	.file = "report.xml",
	.end = junit_end,
	.failed = junit_failed,
};
