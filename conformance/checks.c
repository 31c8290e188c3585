/* SPDX-License-Identifier: BSD-3-Clause */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "requirements/catalogue.h"
#include "text.h"

/* Bounds of the section that CHECK() fills; absent in a program without checks. */
extern const struct check *const __start_vc_checks[] __attribute__((weak));
extern const struct check *const __stop_vc_checks[] __attribute__((weak));

static int by_name(const void *a, const void *b)
{
	const struct check *x = *(const struct check *const *)a;
	const struct check *y = *(const struct check *const *)b;
	int order = strcmp(x->area, y->area);

	return order ? order : strcmp(x->name, y->name);
}

struct check_list checks_all(void)
{
	size_t most = (size_t)(__stop_vc_checks - __start_vc_checks);
	struct check_list list = {.v = xcalloc(most, sizeof(*list.v))};

	for (size_t i = 0; i < most; i++)
		if (__start_vc_checks[i])
			list.v[list.n++] = __start_vc_checks[i];
	qsort(list.v, list.n, sizeof(*list.v), by_name);
	return list;
}

bool check_matches(const struct check *check, const char *pattern)
{
	char name[256];

	snprintf(name, sizeof(name), "%s.%s", check->area, check->name);
	return !strcmp(pattern, check->area) || !fnmatch(pattern, name, 0) ||
	       catalogue_lists(check->requirements, pattern, strlen(pattern));
}

static const char *means_nothing(const char *const *patterns, size_t n,
				 const struct check_list *all)
{
	for (size_t i = 0; i < n; i++) {
		bool found = false;

		for (size_t j = 0; j < all->n && !found; j++)
			found = check_matches(all->v[j], patterns[i]);
		if (!found)
			return patterns[i];
	}
	return NULL;
}

static bool any_matches(const struct check *check, const char *const *patterns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (check_matches(check, patterns[i]))
			return true;
	return false;
}

const char *checks_select(const char *const *select, size_t n, const char *const *exclude,
			  size_t excluded, struct check_list *out)
{
	struct check_list all = checks_all();
	const char *wrong = means_nothing(select, n, &all);

	if (!wrong)
		wrong = means_nothing(exclude, excluded, &all);
	if (wrong) {
		free(all.v);
		return wrong;
	}
	*out = (struct check_list){.v = all.v};
	for (size_t i = 0; i < all.n; i++)
		if ((!n || any_matches(all.v[i], select, n)) &&
		    !any_matches(all.v[i], exclude, excluded))
			out->v[out->n++] = all.v[i];
	return NULL;
}
