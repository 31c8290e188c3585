/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "report/report.h"
#include "requirements/catalogue.h"
#include "text.h"

/* What a person reads of a check's log; TAP and JSON hold all that was kept. */
#define LOG_LINES 40

static void add(struct lines *lines, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct lines *lines, const char *fmt, ...)
{
	va_list args;
	char *line;

	va_start(args, fmt);
	line = xvformat(fmt, args);
	va_end(args);
	lines_add(lines, line);
	free(line);
}

static void add_list(struct lines *out, const char *title, const struct lines *list)
{
	if (!list->n)
		return;
	lines_add(out, title);
	for (size_t i = 0; i < list->n; i++)
		add(out, "  %s", list->v[i]);
}

static void add_requirements(struct lines *out, const struct check *check)
{
	const char *list = check->requirements, *id;
	size_t len;

	while ((id = catalogue_next_id(&list, &len))) {
		const struct requirement *row = catalogue_find(id, len);

		if (row)
			add(out, "by %s (%s, %s): %s", row->id, row->level, row->source,
			    row->statement);
	}
}

static void add_log(struct lines *out, const struct result *result)
{
	char *copy, *rest, *line;
	size_t n = 0;

	if (!result->log || !*result->log)
		return;
	lines_add(out, "log:");
	copy = rest = xstrdup(result->log);
	while ((line = strsep(&rest, "\n"))) {
		if (!*line && !rest)
			break;
		if (n++ < LOG_LINES)
			add(out, "  %s", line);
	}
	free(copy);
	if (n > LOG_LINES)
		add(out, "  (%zu more lines: see report.json of -o DIR)", n - LOG_LINES);
	if (result->log_dropped)
		add(out, "  (%zu more bytes were not kept)", result->log_dropped);
}

struct lines report_details(const struct result *result)
{
	struct lines out = {0};

	switch (result->verdict) {
	case V_PASS:
		break;
	case V_SKIP:
		add(&out, "%s: %s", skip_kind_name(result->skip_kind), result->diagnosis);
		break;
	case V_FAIL:
	case V_BROKEN:
	case V_XFAIL:
	case V_XPASS:
		if (*result->diagnosis)
			lines_add(&out, result->diagnosis);
		if (result->verdict != V_BROKEN)
			add_requirements(&out, result->check);
		add_list(&out, "steps:", &result->steps);
		add_list(&out, "operations:", &result->trace);
		break;
	}
	add_list(&out, "notes:", &result->notes);
	if (result->verdict != V_PASS && result->verdict != V_SKIP)
		add_log(&out, result);
	return out;
}

struct lines report_header(const struct run *run)
{
	const struct parent_info *info = &run->probe.info;
	struct lines out = {0};

	add(&out, "%s, kernel %s", report_version(), run->kernel);
	add(&out, "parent %s: %s%svirtio device %u, vendor 0x%x", run->address, info->driver,
	    *info->driver ? ", " : "", info->device_id, info->vendor_id);
	add(&out, "seed %llu", (unsigned long long)run->seed);
	if (*run->probe.settle)
		add(&out, "settles %s", run->probe.settle);
	for (size_t i = 0; i < out.n; i++)
		text_clean(out.v[i]);
	return out;
}
