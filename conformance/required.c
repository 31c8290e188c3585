/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "required.h"
#include "text.h"

static char *take_line(struct required *required, char *line, unsigned int number)
{
	struct check_list matched;
	const char *const pattern = line + strspn(line, " \t");
	size_t n = required->n;

	line[strcspn(line, "#\n")] = '\0';
	for (char *end = line + strlen(line); end > pattern && strchr(" \t\r", end[-1]);)
		*--end = '\0';
	if (!*pattern)
		return NULL;
	if (checks_select(&pattern, 1, NULL, 0, &matched))
		return xformat("%s:%u: no check is called '%s'; see vqcert list", required->path,
			       number, pattern);
	free(matched.v);
	required->v = realloc(required->v, (n + 1) * sizeof(*required->v));
	if (!required->v)
		sentence_die(3, "out of memory");
	required->v[n].pattern = xstrdup(pattern);
	required->v[n].line = number;
	required->n++;
	return NULL;
}

char *required_load(struct required *required, const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned int number = 0;
	char *line = NULL, *sentence = NULL;
	size_t size = 0;

	if (!file)
		return xformat("the list of required checks %s can't be read: %s", path,
			       strerror(errno));
	required->path = xstrdup(path);
	while (!sentence && getline(&line, &size, file) >= 0)
		sentence = take_line(required, line, ++number);
	if (!sentence && !required->n)
		sentence = xformat("%s names no check", path);
	free(line);
	fclose(file);
	return sentence;
}

static unsigned int line_of(const struct required *required, const struct check *check)
{
	for (size_t i = 0; i < required->n; i++)
		if (check_matches(check, required->v[i].pattern))
			return required->v[i].line;
	return 0;
}

bool required_names(const struct required *required, const struct check *check)
{
	return line_of(required, check);
}

void required_apply(const struct required *required, struct result *result)
{
	unsigned int line = line_of(required, result->check);

	if (line && result->verdict == V_XFAIL)
		result_set(result, V_FAIL,
			   xformat("required by %s:%u, where an expected failure is none the less "
				   "one; %s",
				   required->path, line, result->diagnosis));
	if (line && result->verdict == V_SKIP)
		result_set(result, V_FAIL,
			   xformat("required by %s:%u, but it can't run (%s): %s", required->path,
				   line, skip_kind_name(result->skip_kind), result->diagnosis));
}

void required_free(struct required *required)
{
	for (size_t i = 0; i < required->n; i++)
		free(required->v[i].pattern);
	free(required->v);
	free(required->path);
	*required = (struct required){0};
}
