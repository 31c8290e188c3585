/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of defects: names are unique and well formed, every line says what it must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "defects/defects.h"
#include "vqnic.h"

static void found_by_name(void **state)
{
	size_t count;
	const struct vqnic_defect *table = vqnic_defects(&count);

	(void)state;
	assert_int_equal(count, DEFECT_COUNT);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(defect_find(table[i].name), i); /* the first: so unique as well */
	assert_int_equal(defect_find("no.such-defect"), -ENOENT);
	assert_int_equal(defect_find(""), -ENOENT);
}

/* dotted slug, [a-z0-9_-] in both parts, the part before the dot being the area */
static void names_are_slugs(void **state)
{
	size_t count;
	const struct vqnic_defect *table = vqnic_defects(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		const char *name = table[i].name;
		size_t area = strlen(table[i].area);

		if (strncmp(name, table[i].area, area) || name[area] != '.' ||
		    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != strlen(name))
			fail_msg("%s: not of the form area.slug", name);
	}
}

static void lines_are_complete(void **state)
{
	size_t count;
	const struct vqnic_defect *table = vqnic_defects(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		const char *p = table[i].personality;

		if (strcmp(p, "any") && strcmp(p, "virtio-pci") && strcmp(p, "ifcvf"))
			fail_msg("%s: no such personality: %s", table[i].name, p);
		if (!strchr(table[i].requirements, '-'))
			fail_msg("%s: breaks no requirement", table[i].name);
		if (strlen(table[i].what) < 10)
			fail_msg("%s: does not say what it does wrong", table[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_by_name),
		cmocka_unit_test(names_are_slugs),
		cmocka_unit_test(lines_are_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
