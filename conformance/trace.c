/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vqcert trace: requirement -> checks -> defects -> verdicts
 *
 * How it works. The catalogue is walked once; checks and seeded defects name their requirements
 * themselves, so the matrix is never written down and can't be out of date. Reports of earlier runs
 * (`vqcert run --format json`) add the verdicts that each requirement got on each parent. For a
 * requirement without a check the reason follows from its row and from a table of what no parent
 * can show yet.
 */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "command.h"
#include "report/html.h"
#include "report/json.h"
#include "requirements/catalogue.h"
#include "status.h"
#include "text.h"
#include "trace.h"

static const char help[] =
	"usage: vqcert trace [OPTION...] [REPORT.json...]\n"
	"\n"
	"Requirement by requirement: the checks that verify it, the seeded defects that break it, and,\n"
	"from reports of `vqcert run --format json`, the verdicts it got; or why no check verifies it.\n"
	"\n"
	"      --area=AREA      only this area of the catalogue (may be repeated)\n"
	"      --open           only requirements that a check could verify and none does\n"
	"  -f, --format=FORMAT  human (default), csv, html, json\n"
	"  -o, --output=FILE    write there instead of standard output\n"
	"  -h, --help           this\n"
	"\n"
	"Exit status: 0; 1 if a defect names a requirement that the catalogue lacks.\n";

/* What no parent of today can show, by globs over ids. The first line that fits counts. */
static const struct {
	const char *ids, *why;
} no_interface[] = {
	{"VHU-*", "no parent speaks vhost-user yet"},
	{"VHK-*", "kernel vhost is no parent yet"},
	{"VFU-MIG-*", "the vfio-user parent has no migration region yet"},
	{"VFU-KMIG-*", "the vfio-user parent has no migration region yet"},
	{"VFU-LOG-*", "the vfio-user parent has no device feature for logging yet"},
	{"VIO-ADM-*", "no parent carries an administration virtqueue yet"},
	{"VIO-LADM-*", "no parent carries an administration virtqueue yet"},
	{"VIO-PART-*", "no parent carries an administration virtqueue yet"},
	{"VIO-NETPART-*", "no parent carries an administration virtqueue yet"},
	{"VIO-RES-*", "no parent carries an administration virtqueue yet"},
	{"VIO-CAP-*", "no parent carries an administration virtqueue yet"},
	{"VIO-LEGF-*", "no parent has the legacy interface yet"},
	{"VIO-PCIL-*", "no parent has the legacy interface yet"},
	{"VIO-SUSP-*", "no parent offers VIRTIO_F_SUSPEND yet"},
	{"VIO-NETRSS-*", "no parent offers VIRTIO_NET_F_RSS yet"},
	{"VIO-NETHASH-*", "no parent offers VIRTIO_NET_F_HASH_REPORT yet"},
	{"VIO-NETCOAL-*", "no parent offers VIRTIO_NET_F_NOTF_COAL yet"},
	{"VIO-NETSTAT-*", "no parent offers device statistics yet"},
};

const char *trace_why_none(const struct requirement *row)
{
	if (!strcmp(row->subject, "driver") || !strcmp(row->subject, "frontend"))
		return "binds the driver's side, which here is the suite itself";
	if (!strcmp(row->observable, "no"))
		return "can't be observed from the driver's side";
	for (size_t i = 0; i < sizeof(no_interface) / sizeof(no_interface[0]); i++)
		if (!fnmatch(no_interface[i].ids, row->id, 0))
			return no_interface[i].why;
	if (!strcmp(row->subject, "kernel"))
		return "binds the kernel's framework, not the parent; no check yet";
	if (!strcmp(row->level, "SHOULD") || !strcmp(row->level, "SHOULD NOT") ||
	    !strcmp(row->level, "MAY"))
		return "never fails a parent (SHOULD, MAY); no check yet";
	return TRACE_NO_CHECK;
}

/* A report that was read: verdicts by name of check. */
struct verdicts {
	const char *parent;
	json_t *report, *by_name;
};

struct tracing {
	struct check_list checks;
	const struct parent_defect *defects;
	size_t defects_n;
	struct verdicts *reports;
	size_t reports_n;
	struct patterns areas;
	bool open_only;
};

/* What a requirement is worth on a parent: the worst that one of its checks got. */
static int rank(const char *verdict)
{
	static const char *const worse[] = {"SKIP", "PASS", "XFAIL", "BROKEN", "XPASS", "FAIL"};

	for (int i = 0; i < (int)(sizeof(worse) / sizeof(worse[0])); i++)
		if (!strcmp(verdict, worse[i]))
			return i;
	return -1;
}

static bool verifies(const struct check *check, const struct requirement *row)
{
	return catalogue_lists(check->requirements, row->id, strlen(row->id));
}

static const char *verdict_on(const struct tracing *t, const struct verdicts *report,
			      const struct requirement *row)
{
	const char *worst = NULL;
	char name[256];

	for (size_t i = 0; i < t->checks.n; i++) {
		const struct check *check = t->checks.v[i];
		const char *verdict;

		if (!verifies(check, row))
			continue;
		snprintf(name, sizeof(name), "%s.%s", check->area, check->name);
		verdict = json_string_value(json_object_get(report->by_name, name));
		if (verdict && (!worst || rank(verdict) > rank(worst)))
			worst = verdict;
	}
	return worst;
}

static bool has_check(const struct tracing *t, const struct requirement *row)
{
	for (size_t i = 0; i < t->checks.n; i++)
		if (verifies(t->checks.v[i], row))
			return true;
	return false;
}

static bool wanted(const struct tracing *t, const struct requirement *row)
{
	bool area = !t->areas.n;

	for (size_t i = 0; i < t->areas.n; i++)
		area |= !strcmp(t->areas.v[i], row->area);
	return area && (!t->open_only ||
			(!has_check(t, row) && !strcmp(trace_why_none(row), TRACE_NO_CHECK)));
}

static json_t *one(const struct tracing *t, const struct requirement *row)
{
	json_t *checks = json_array(), *defects = json_array(), *verdicts = json_object();
	const char *why = NULL;

	for (size_t i = 0; i < t->checks.n; i++)
		if (verifies(t->checks.v[i], row))
			json_array_append_new(checks, json_check_name(t->checks.v[i]));
	for (size_t i = 0; i < t->defects_n; i++)
		if (catalogue_lists(t->defects[i].requirements, row->id, strlen(row->id)))
			json_array_append_new(defects, json_string(t->defects[i].name));
	for (size_t i = 0; i < t->reports_n; i++) {
		const char *verdict = verdict_on(t, &t->reports[i], row);

		if (verdict)
			json_object_set_new(verdicts, t->reports[i].parent, json_string(verdict));
	}
	if (!json_array_size(checks))
		why = trace_why_none(row);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:s?}", "id", row->id,
			 "source", row->source, "level", row->level, "subject", row->subject,
			 "area", row->area, "observable", row->observable, "statement",
			 row->statement, "checks", checks, "defects", defects, "verdicts", verdicts,
			 "why_none", why);
}

static json_t *all(const struct tracing *t)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < catalogue_size; i++)
		if (wanted(t, &catalogue[i]))
			json_array_append_new(rows, one(t, &catalogue[i]));
	return rows;
}

/* ---- Formats -----------------------------------------------------------------------------------
 */

static const char *text_of(json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : "";
}

/* Members of an array, or "parent VERDICT" of an object, in one string that the caller frees. */
static char *joined(json_t *row, const char *key)
{
	json_t *value = json_object_get(row, key), *member;
	char *text = xstrdup("");
	const char *name;
	size_t at;

	json_array_foreach(value, at, member) replace_text(
		&text, xformat("%s%s%s", text, *text ? " " : "", json_string_value(member)));
	json_object_foreach(value, name, member)
		replace_text(&text, xformat("%s%s%s %s", text, *text ? "; " : "", name,
					    json_string_value(member)));
	return text;
}

static void print_totals(json_t *rows)
{
	json_t *reasons = json_object(), *row, *count;
	size_t at, verified = 0, seeded = 0;
	const char *why;

	json_array_foreach(rows, at, row)
	{
		why = text_of(row, "why_none");
		verified += !*why;
		seeded += json_array_size(json_object_get(row, "defects")) > 0;
		if (*why)
			json_object_set_new(reasons, why,
					    json_integer(1 + json_integer_value(json_object_get(
								     reasons, why))));
	}
	printf("%zu requirements, %zu verified by a check, %zu broken by a seeded defect\n",
	       json_array_size(rows), verified, seeded);
	json_object_foreach(reasons, why, count)
		printf("  %5lld without a check: %s\n", (long long)json_integer_value(count), why);
	json_decref(reasons);
}

static void print_human(json_t *rows)
{
	static const char *const keys[] = {"checks", "defects", "verdicts"};
	json_t *row;
	size_t at;

	json_array_foreach(rows, at, row)
	{
		printf("%s (%s, %s) %s\n", text_of(row, "id"), text_of(row, "level"),
		       text_of(row, "subject"), text_of(row, "statement"));
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			char *text = joined(row, keys[i]);

			if (*text)
				printf("    %-8s %s\n", keys[i], text);
			free(text);
		}
		if (*text_of(row, "why_none"))
			printf("    unverified: %s\n", text_of(row, "why_none"));
	}
	print_totals(rows);
}

/* RFC 4180: quotes doubled, everything quoted. */
static void csv_cell(const char *text, bool last)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	fputs(last ? "\"\r\n" : "\",", stdout);
}

static void print_csv(json_t *rows)
{
	static const char *const keys[] = {"id",      "source",	    "level",	 "subject",
					   "area",    "observable", "statement", "checks",
					   "defects", "verdicts",   "why_none"};
	const size_t n = sizeof(keys) / sizeof(keys[0]);
	json_t *row;
	size_t at;

	for (size_t i = 0; i < n; i++)
		csv_cell(keys[i], i + 1 == n);
	json_array_foreach(rows, at, row)
	{
		for (size_t i = 0; i < n; i++) {
			char *text = json_is_string(json_object_get(row, keys[i]))
					     ? xstrdup(text_of(row, keys[i]))
					     : joined(row, keys[i]);

			csv_cell(text, i + 1 == n);
			free(text);
		}
	}
}

static void print_html(json_t *rows)
{
	json_t *row;
	size_t at;

	html_begin("Requirements, checks, defects");
	puts("<pre>");
	print_totals(rows);
	puts("</pre>\n<table><thead><tr><th>Requirement<th>Level<th>Binds<th>Statement<th>Checks"
	     "<th>Defects<th>Verdicts</tr></thead><tbody>");
	json_array_foreach(rows, at, row)
	{
		char *checks = joined(row, "checks"), *defects = joined(row, "defects");
		char *verdicts = joined(row, "verdicts");
		const char *why = text_of(row, "why_none");
		const char *cells[] = {text_of(row, "id"),
				       text_of(row, "level"),
				       text_of(row, "subject"),
				       text_of(row, "statement"),
				       *checks ? checks : why,
				       defects,
				       verdicts};

		printf("<tr id=\"%s\" class=\"%s\">", cells[0],
		       strstr(verdicts, " FAIL")      ? "fail"
		       : !strcmp(why, TRACE_NO_CHECK) ? "open"
		       : *why			      ? "none"
						      : "");
		for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
			fputs("<td>", stdout);
			html_printf("%s", cells[i]);
		}
		puts("</tr>");
		free(checks);
		free(defects);
		free(verdicts);
	}
	puts("</tbody></table>");
	html_end();
}

/* ---- Input -------------------------------------------------------------------------------------
 */

static void load_report(struct verdicts *verdicts, const char *path)
{
	json_error_t error;
	json_t *check;
	size_t at;

	verdicts->report = json_load_file(path, 0, &error);
	if (!verdicts->report)
		sentence_die(EXIT_USAGE, "%s:%d: %s", path, error.line, error.text);
	verdicts->parent = json_string_value(
		json_object_get(json_object_get(verdicts->report, "parent"), "address"));
	if (!verdicts->parent ||
	    json_integer_value(json_object_get(verdicts->report, "schema")) != 1)
		sentence_die(EXIT_USAGE, "%s is no report of vqcert run --format json (schema 1)",
			     path);
	verdicts->by_name = json_object();
	json_array_foreach(json_object_get(verdicts->report, "checks"), at, check)
	{
		const char *name = json_string_value(json_object_get(check, "name"));
		const char *verdict = json_string_value(json_object_get(check, "verdict"));

		if (!name || !verdict || rank(verdict) < 0)
			sentence_die(EXIT_USAGE, "%s: check number %zu has no name and verdict",
				     path, at + 1);
		json_object_set_new(verdicts->by_name, name, json_string(verdict));
	}
}

/* A requirement that a defect names must be one. */
static int hold_defects(const struct tracing *t)
{
	int status = EXIT_PASSED;

	for (size_t i = 0; i < t->defects_n; i++) {
		const char *list = t->defects[i].requirements, *id;
		size_t len;

		while ((id = catalogue_next_id(&list, &len))) {
			if (catalogue_find(id, len))
				continue;
			fprintf(stderr,
				"vqcert: defect %s names requirement %.*s, which is not in the "
				"catalogue\n",
				t->defects[i].name, (int)len, id);
			status = EXIT_FAILED;
		}
	}
	return status;
}

static void hold_areas(const struct tracing *t)
{
	for (size_t i = 0; i < t->areas.n; i++) {
		bool found = false;

		for (size_t j = 0; j < catalogue_size && !found; j++)
			found = !strcmp(catalogue[j].area, t->areas.v[i]);
		if (!found)
			usage_die("trace", "the catalogue has no area '%s'", t->areas.v[i]);
	}
}

static int trace_main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(json_t *rows);
	} formats[] = {{"human", print_human}, {"csv", print_csv}, {"html", print_html}};
	enum { OPT_AREA = 256, OPT_OPEN };
	static const struct option options[] = {{"area", required_argument, NULL, OPT_AREA},
						{"open", no_argument, NULL, OPT_OPEN},
						{"format", required_argument, NULL, 'f'},
						{"output", required_argument, NULL, 'o'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	const char *output = NULL;
	struct tracing t = {.checks = checks_all()};
	void (*print)(json_t * rows) = print_human;
	json_t *rows;
	int option, status;

	while ((option = getopt_long(argc, argv, "f:o:h", options, NULL)) != -1) {
		switch (option) {
		case OPT_AREA:
			patterns_add(&t.areas, optarg);
			break;
		case OPT_OPEN:
			t.open_only = true;
			break;
		case 'o':
			output = optarg;
			break;
		case 'f':
			print = NULL;
			for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
				if (!strcmp(optarg, formats[i].name))
					print = formats[i].print;
			if (!print && strcmp(optarg, "json"))
				usage_die("trace", "--format is human, csv, html or json, not '%s'",
					  optarg);
			break;
		case 'h':
			fputs(help, stdout);
			free(t.areas.v);
			free(t.checks.v);
			return EXIT_PASSED;
		default:
			exit(EXIT_USAGE);
		}
	}
	hold_areas(&t);
	t.defects = parent_defects(&t.defects_n);
	t.reports_n = (size_t)(argc - optind);
	t.reports = xcalloc(t.reports_n, sizeof(*t.reports));
	for (size_t i = 0; i < t.reports_n; i++)
		load_report(&t.reports[i], argv[optind + (int)i]);

	if (output && !freopen(output, "we", stdout))
		sentence_die(EXIT_ENVIRONMENT, "%s can't be written: %s", output, strerror(errno));
	rows = all(&t);
	if (print)
		print(rows);
	else
		json_print(stdout, json_pack("{s:i, s:O}", "schema", 1, "requirements", rows));
	json_decref(rows);
	status = hold_defects(&t);
	for (size_t i = 0; i < t.reports_n; i++) {
		json_decref(t.reports[i].report);
		json_decref(t.reports[i].by_name);
	}
	free(t.reports);
	free(t.areas.v);
	free(t.checks.v);
	return status;
}

const struct command command_trace = {"trace", "[REPORT.json...]",
				      "requirement, checks, defects, verdicts", trace_main};
