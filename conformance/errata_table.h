/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fixtures/errata/ compiled in by embed.py: an initramfs has no other files than the program
 */
#ifndef VC_ERRATA_TABLE_H
#define VC_ERRATA_TABLE_H

#include <stddef.h>

struct errata_file {
	const char *name, *text;
};

extern const struct errata_file errata_files[];
extern const size_t errata_files_n;

#endif
