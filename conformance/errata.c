/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fnmatch.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "errata.h"
#include "errata_table.h"
#include "text.h"

#define VERSION_PARTS 4

/* "6.1.0-49-amd64" is 6, 1, 0: what follows the digits and dots is the distribution's. */
static void parse_version(const char *text, size_t len, unsigned long parts[VERSION_PARTS])
{
	const char *end = text + len;

	memset(parts, 0, VERSION_PARTS * sizeof(*parts));
	for (unsigned int i = 0; i < VERSION_PARTS; i++) {
		while (text < end && *text >= '0' && *text <= '9')
			parts[i] = parts[i] * 10 + (unsigned long)(*text++ - '0');
		if (text == end || *text != '.')
			break;
		text++;
	}
}

static int compare_versions(const char *a, size_t a_len, const char *b)
{
	unsigned long x[VERSION_PARTS], y[VERSION_PARTS];

	parse_version(a, a_len, x);
	parse_version(b, strlen(b), y);
	for (unsigned int i = 0; i < VERSION_PARTS; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

/* Look at the next "FROM..TO" of a list; false at its end. */
static bool next_range(const char **list, const char **from, size_t *from_len, const char **to,
		       size_t *to_len)
{
	const char *dots, *range = *list + strspn(*list, " \t,");
	size_t len = strcspn(range, ", \t");

	if (!len)
		return false;
	*list = range + len;
	dots = memmem(range, len, "..", 2);
	*from = range;
	*from_len = dots ? (size_t)(dots - range) : len;
	*to = dots ? dots + 2 : range;
	*to_len = dots ? len - *from_len - 2 : 0;
	return true;
}

static bool well_formed_ranges(const char *list)
{
	const char *from, *to;
	size_t from_len, to_len;

	while (next_range(&list, &from, &from_len, &to, &to_len))
		if (to == from || strspn(from, "0123456789.") < from_len + 2 + to_len ||
		    (!from_len && !to_len))
			return false;
	return true;
}

static bool in_ranges(const char *list, const char *kernel)
{
	const char *from, *to;
	size_t from_len, to_len;

	while (next_range(&list, &from, &from_len, &to, &to_len))
		if ((!from_len || compare_versions(from, from_len, kernel) <= 0) &&
		    (!to_len || compare_versions(to, to_len, kernel) > 0))
			return true;
	return false;
}

struct loading {
	struct errata *errata;
	size_t first; /* erratum of this file */
	const char *name;
	char *sentence;
};

static char **field(struct erratum *erratum, const char *key)
{
	const struct {
		const char *key;
		char **value;
	} fields[] = {
		{"check", &erratum->check},   {"parent", &erratum->parent},
		{"driver", &erratum->driver}, {"kernel", &erratum->kernel},
		{"fix", &erratum->fix},	      {"text", &erratum->text},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!strcmp(key, fields[i].key))
			return fields[i].value;
	return NULL;
}

static int take_line(void *ctx, const char *section, const char *key, const char *value)
{
	struct loading *loading = ctx;
	struct errata *errata = loading->errata;
	struct erratum *erratum;
	char **place;

	if (!*section) {
		loading->sentence =
			xformat("'%s' stands before the first [name-of-an-erratum]", key);
		return 0;
	}
	if (errata->n == loading->first || strcmp(errata->v[errata->n - 1].name, section)) {
		errata->v = realloc(errata->v, (errata->n + 1) * sizeof(*errata->v));
		if (!errata->v)
			sentence_die(3, "out of memory");
		errata->v[errata->n++] = (struct erratum){.name = xstrdup(section)};
	}
	erratum = &errata->v[errata->n - 1];
	place = field(erratum, key);
	if (!place) {
		loading->sentence =
			xformat("unknown key '%s': check, parent, driver, kernel, fix and "
				"text are known",
				key);
		return 0;
	}
	if (!strcmp(key, "kernel") && !well_formed_ranges(value)) {
		loading->sentence =
			xformat("'%s' is no list of kernel versions like '5.9..6.4, 6.6..'", value);
		return 0;
	}
	replace_text(place, xstrdup(value));
	return 1;
}

char *errata_load_text(struct errata *errata, const char *name, const char *text)
{
	struct loading loading = {.errata = errata, .first = errata->n, .name = name};
	int line = ini_parse_string(text, take_line, &loading);

	if (line) {
		char *sentence = xformat("%s:%d: %s", name, line,
					 loading.sentence ? loading.sentence
							  : "this is no 'key = value' line");

		free(loading.sentence);
		return sentence;
	}
	for (size_t i = loading.first; i < errata->n; i++)
		if (!errata->v[i].check || !errata->v[i].text)
			return xformat("%s: [%s] lacks '%s'", name, errata->v[i].name,
				       errata->v[i].check ? "text" : "check");
	return NULL;
}

char *errata_load(struct errata *errata, const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL, *sentence;
	size_t size = 0;

	if (!file)
		return xformat("errata file %s can't be read: %s", path, strerror(errno));
	if (getdelim(&text, &size, '\0', file) < 0)
		replace_text(&text, xstrdup(""));
	fclose(file);
	sentence = errata_load_text(errata, path, text);
	free(text);
	return sentence;
}

void errata_builtin(struct errata *errata)
{
	for (size_t i = 0; i < errata_files_n; i++) {
		char *sentence =
			errata_load_text(errata, errata_files[i].name, errata_files[i].text);

		/* a test of the runner loads them: this is for whoever edits one */
		if (sentence)
			sentence_die(3, "%s", sentence);
	}
}

const struct erratum *errata_find(const struct errata *errata, const struct check *check,
				  const char *address, const struct probe *probe,
				  const char *kernel)
{
	for (size_t i = 0; i < errata->n; i++) {
		const struct erratum *e = &errata->v[i];

		if (check_matches(check, e->check) &&
		    (!e->parent || !fnmatch(e->parent, address, 0)) &&
		    (!e->driver || !strcmp(e->driver, probe->info.driver)) &&
		    (!e->kernel || in_ranges(e->kernel, kernel)))
			return e;
	}
	return NULL;
}

void errata_apply(const struct erratum *erratum, struct result *result)
{
	const char *fix = erratum->fix ? erratum->fix : "";

	if (result->verdict != V_FAIL && result->verdict != V_PASS)
		return;
	result->erratum = erratum;
	if (result->verdict == V_FAIL)
		result_set(result, V_XFAIL,
			   xformat("known bug %s: %s%s%s Seen: %s", erratum->name, erratum->text,
				   *fix ? " Fixed by " : "", fix, result->diagnosis));
	else
		result_set(result, V_XPASS,
			   xformat("passes, although erratum %s says it can't: %s Correct the "
				   "versions that it names%s%s",
				   erratum->name, erratum->text, *fix ? "; the fix is " : "", fix));
}

void errata_free(struct errata *errata)
{
	for (size_t i = 0; i < errata->n; i++) {
		struct erratum *e = &errata->v[i];
		char *all[] = {e->name, e->check, e->parent, e->driver, e->kernel, e->fix, e->text};

		for (size_t j = 0; j < sizeof(all) / sizeof(all[0]); j++)
			free(all[j]);
	}
	free(errata->v);
	*errata = (struct errata){0};
}
