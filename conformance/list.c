/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vqcert list: every check, what it verifies and needs
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checks.h"
#include "command.h"
#include "report/json.h"
#include "status.h"

static const char help[] =
	"usage: vqcert list [OPTION...] [SELECT...]\n"
	"\n"
	"List checks: name, what it does, the requirements it verifies, what it needs.\n" HELP_SELECT
	"\n"
	"  -x, --exclude=SELECT  leave these out\n"
	"      --format=FORMAT   human (default), names, json\n"
	"  -h, --help            this\n";

static void print_json(const struct check_list *list)
{
	json_t *checks = json_array();

	for (size_t i = 0; i < list->n; i++) {
		const struct check *check = list->v[i];

		json_array_append_new(checks,
				      json_pack("{s:o, s:s, s:o, s:o, s:s, s:s}", "name",
						json_check_name(check), "area", check->area,
						"requirements", json_ids(check->requirements),
						"needs", json_needs(check), "summary",
						check->summary ? check->summary : "", "file",
						check->file));
	}
	json_print(stdout, json_pack("{s:i, s:o}", "schema", 1, "checks", checks));
}

static void print_human(const struct check_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct check *check = list->v[i];
		json_t *needs = json_needs(check), *need;
		size_t at;

		printf("%s.%s\n", check->area, check->name);
		if (check->summary)
			printf("    %s\n", check->summary);
		printf("    verifies %s\n", check->requirements);
		json_array_foreach(needs, at, need)
			printf("%s%s", at ? ", " : "    needs ", json_string_value(need));
		if (json_array_size(needs))
			putchar('\n');
		json_decref(needs);
	}
	printf("%zu checks\n", list->n);
}

static int list_main(int argc, char **argv)
{
	static const struct option options[] = {{"exclude", required_argument, NULL, 'x'},
						{"format", required_argument, NULL, 'f'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	struct patterns exclude = {0};
	struct check_list list;
	const char *format = "human", *wrong;
	int option;

	while ((option = getopt_long(argc, argv, "x:h", options, NULL)) != -1) {
		switch (option) {
		case 'x':
			patterns_add(&exclude, optarg);
			break;
		case 'f':
			format = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			free(exclude.v);
			return EXIT_PASSED;
		default:
			exit(EXIT_USAGE);
		}
	}
	wrong = checks_select((const char *const *)argv + optind, (size_t)(argc - optind),
			      exclude.v, exclude.n, &list);
	if (wrong)
		usage_die("list", "no check is called '%s'", wrong);
	if (!strcmp(format, "json"))
		print_json(&list);
	else if (!strcmp(format, "human"))
		print_human(&list);
	else if (!strcmp(format, "names"))
		for (size_t i = 0; i < list.n; i++)
			printf("%s.%s\n", list.v[i]->area, list.v[i]->name);
	else
		usage_die("list", "--format is human, names or json, not '%s'", format);
	free(list.v);
	free(exclude.v);
	return EXIT_PASSED;
}

const struct command command_list = {"list", "[SELECT...]", "the checks", list_main};
