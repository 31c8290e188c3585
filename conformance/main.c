/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vqcert - certify what stands behind a virtio datapath
 */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "report/report.h"
#include "status.h"

static const struct command *const commands[] = {&command_list, &command_run, &command_prove,
						 &command_trace};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(FILE *out)
{
	fputs("usage: vqcert COMMAND ...\n\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  vqcert %-6s %-28s %s\n", commands[i]->name, commands[i]->arguments,
			commands[i]->what);
	fputs("\n"
	      "vqcert COMMAND --help says more; vqcert --version says which build this is.\n"
	      "First steps: vqcert run sim:ifcvf\n"
	      "\n"
	      "Exit status: 0 all required checks passed, 1 a check failed, 2 wrong usage,\n"
	      "3 broken environment, 4 nothing could run.\n",
	      out);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		help(stdout);
		return EXIT_PASSED;
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		puts(report_version());
		return EXIT_PASSED;
	}
	if (!strcmp(name, "--list"))
		name = "list";
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(name, commands[i]->name))
			return commands[i]->run(argc - 1, argv + 1);
	usage_die(NULL, "there is no command '%s'", name);
}
