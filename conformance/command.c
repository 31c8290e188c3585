/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "command.h"
#include "status.h"
#include "text.h"

void usage_die(const char *command, const char *fmt, ...)
{
	va_list args;
	char *sentence;

	va_start(args, fmt);
	sentence = xvformat(fmt, args);
	va_end(args);
	sentence_die(EXIT_USAGE, "%s\nvqcert: see vqcert %s%s--help", sentence,
		     command ? command : "", command ? " " : "");
}

uint64_t parse_number(const char *command, const char *option, const char *text, uint64_t low,
		      uint64_t high)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value < low || value > high)
		usage_die(command, "%s takes a number from %llu to %llu, not '%s'", option,
			  (unsigned long long)low, (unsigned long long)high, text);
	return value;
}

uint64_t parse_seed(const char *command, const char *text)
{
	uint32_t seed;

	if (strcmp(text, "random"))
		/* what a signed 64-bit number of JSON can hold */
		return parse_number(command, "--seed", text, 0, INT64_MAX);
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		sentence_die(EXIT_ENVIRONMENT, "no random numbers: %s", strerror(errno));
	return seed;
}

unsigned int parse_seconds(const char *command, const char *option, const char *text)
{
	double seconds;
	char *end;

	errno = 0;
	seconds = strtod(text, &end);
	if (errno || end == text || *end || !(seconds >= 0.001 && seconds <= 86400))
		usage_die(command, "%s takes seconds from 0.001 to 86400, not '%s'", option, text);
	return (unsigned int)(seconds * 1000);
}

void patterns_add(struct patterns *patterns, const char *pattern)
{
	patterns->v = realloc(patterns->v, (patterns->n + 1) * sizeof(*patterns->v));
	if (!patterns->v)
		sentence_die(EXIT_ENVIRONMENT, "out of memory");
	patterns->v[patterns->n++] = pattern;
}
