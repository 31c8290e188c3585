/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text that came from elsewhere: growing lists of lines, and making lines fit for a report
 */
#ifndef VC_TEXT_H
#define VC_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdnoreturn.h>

/** struct lines - a list of strings, owned; zeroed is empty */
struct lines {
	char **v;
	size_t n;
};

/** lines_add() - append a copy of @text */
void lines_add(struct lines *lines, const char *text);

/** lines_drop_first() - forget the oldest line */
void lines_drop_first(struct lines *lines);

void lines_free(struct lines *lines);

/** xformat() - sprintf into memory that the caller frees; ends the program when there is none */
char *xformat(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *xvformat(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));
void *xcalloc(size_t n, size_t size);
char *xstrdup(const char *text);

/** replace_text() - free *@text and put @with (owned from now on) in its place */
void replace_text(char **text, char *with);

/**
 * text_clean() - make one line of hostile text fit for every report, in place
 *
 * Valid UTF-8 without control characters (a parent can't drive the terminal nor end an XML file),
 * and without the words that parsers of CI systems take for verdicts in a diagnosis: " FAIL:",
 * "[FAIL]", " # SKIP", " # TODO". The result is never longer.
 */
void text_clean(char *text);

/** text_fill() - split @text at blanks into lines of at most @width; appended to @out */
void text_fill(struct lines *out, const char *text, size_t width);

/** sentence_die() - print "vqcert: …" on standard error and exit with @status */
noreturn void sentence_die(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
