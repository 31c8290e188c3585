/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Formats of a report
 *
 * How it works. A format is a table of functions that write one run to a stream: begin and result
 * while it runs (results come in the list's order), end when all is known. Formats whose document
 * is made in one piece have an end only. No format adds facts of its own: whatever one says, the
 * others say too, each in its way (json says all).
 */
#ifndef VC_REPORT_H
#define VC_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "run.h"

/** struct report_style - how to write for this stream */
struct report_style {
	bool colour;
};

/**
 * struct report_format - one format
 * @file:   its name in a directory of results (-o)
 * @begin, @result: may be NULL
 * @failed: the parent could not be opened: nothing ran, @sentence says why
 */
struct report_format {
	const char *name, *file;
	void (*begin)(FILE *out, const struct run *run, const struct report_style *style);
	void (*result)(FILE *out, const struct run *run, size_t index,
		       const struct report_style *style);
	void (*end)(FILE *out, const struct run *run, const struct report_style *style);
	void (*failed)(FILE *out, const struct run *run, const char *sentence);
};

extern const struct report_format report_tap, report_ktap, report_json, report_junit, report_human;

/** report_find() - a format by its name, or NULL */
const struct report_format *report_find(const char *name);

/** report_all() - write the whole of a run that has ended, in one format */
void report_all(const struct report_format *format, FILE *out, const struct run *run,
		const char *sentence);

/** report_make_directory() - with its parents; NULL, or a sentence (owned by the caller) */
char *report_make_directory(const char *path);

/**
 * report_directory() - write every format into a directory, which is made if need be
 * @sentence: why the parent could not be opened; NULL if the run took place
 *
 * A file appears whole or not at all. Return: NULL, or a sentence (owned by the caller).
 */
char *report_directory(const char *path, const struct run *run, const char *sentence);

/**
 * report_details() - why a check did not pass: lines of text for people, not indented
 *
 * What was expected and seen, by which requirement, the steps, the last operations of the parent,
 * and the log. Empty for a plain pass without notes.
 */
struct lines report_details(const struct result *result);

/** report_header() - lines that say what ran where: parent, seed, how settle() decides, versions */
struct lines report_header(const struct run *run);

/** report_version() - "vqcert 0.1.0 (revision)" */
const char *report_version(void);

#endif
