/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vqcert - certify what stands behind a virtio datapath
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "report/report.h"
#include "status.h"
#include "text.h"

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

/*
 * Whoever closed a standard stream must not find a pipe of ours in its place. What stands in for
 * the output can't be written, so a report that is lost is told.
 */
static void hold_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
}

/* Output that is lost is a broken environment, unless something worse was found. */
static int hold_output(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fprintf(stderr, "vqcert: standard output can't be written: %s\n", strerror(errno));
	return status == EXIT_FAILED ? status : EXIT_ENVIRONMENT;
}

/* Run a command as "vqcert COMMAND". */
static int run_command(const struct command *command, int argc, char **argv)
{
	int status;

	/* getopt() begins its complaints with it */
	argv[0] = xformat("vqcert %s", command->name);
	status = command->run(argc, argv);
	free(argv[0]);
	return hold_output(status);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	hold_standard_streams();
	if (!name) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		help(stdout);
		return hold_output(EXIT_PASSED);
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		puts(report_version());
		return hold_output(EXIT_PASSED);
	}
	if (!strcmp(name, "--list"))
		name = "list";
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(name, commands[i]->name))
			return run_command(commands[i], argc - 1, argv + 1);
	usage_die(NULL, "there is no command '%s'", name);
}
