/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands of vqcert, and what their argument parsing shares
 */
#ifndef VC_COMMAND_H
#define VC_COMMAND_H

#include <stddef.h>
#include <stdint.h>

/** struct command - one command; @run gets its own name as argv[0] and returns the exit status */
struct command {
	const char *name, *arguments, *what;
	int (*run)(int argc, char **argv);
};

extern const struct command command_list, command_run, command_prove, command_trace;

/** usage_die() - a sentence, where to find help, exit status 2 */
_Noreturn void usage_die(const char *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** parse_number() - all of @text as a number from @low to @high, or usage_die() naming @option */
uint64_t parse_number(const char *command, const char *option, const char *text, uint64_t low,
		      uint64_t high);

/** parse_seed() - a number, or "random" */
uint64_t parse_seed(const char *command, const char *text);

/** parse_seconds() - seconds, fractions allowed, as milliseconds */
unsigned int parse_seconds(const char *command, const char *option, const char *text);

/** struct patterns - repeated options and operands; zeroed is empty; the strings are argv's */
struct patterns {
	const char **v;
	size_t n;
};

void patterns_add(struct patterns *patterns, const char *pattern);

#define HELP_SELECT \
	"SELECT is a check's dotted name, an area, a glob (quote it), or a requirement's id.\n"

#endif
