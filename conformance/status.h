/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exit status of vqcert; others rely on these numbers
 */
#ifndef VC_STATUS_H
#define VC_STATUS_H

enum {
	EXIT_PASSED = 0,      /* all required checks passed */
	EXIT_FAILED = 1,      /* a check failed, or passed although an erratum says it can't */
	EXIT_USAGE = 2,	      /* wrong usage */
	EXIT_ENVIRONMENT = 3, /* broken environment */
	EXIT_NOTHING_RAN = 4, /* nothing could run */
};

/* What meson and automake take for "skipped" and "error"; --exit-codes=meson */
enum { MESON_SKIP = 77, MESON_ERROR = 99 };

#endif
