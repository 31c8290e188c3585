/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Errata: known bugs, the versions they are in, and their fix
 *
 * How it works. An erratum is a section of an INI file; those of fixtures/errata/ are compiled in,
 * --errata adds more. Where one covers a check, a parent and the running kernel, FAIL becomes XFAIL
 * (expected, but never a pass) and PASS becomes XPASS (the erratum is out of date: the run fails).
 *
 *	[ifcvf-config-generation]
 *	check  = config.generation_*      ; glob over dotted names, or an area
 *	parent = vhost-vdpa:*             ; glob over the parent's address; all without it
 *	driver = ifcvf                    ; all without it
 *	kernel = 5.9..6.4, 6.6..6.6.12    ; first .. the first without the bug; all without it
 *	fix    = 0123456789ab ("vDPA/ifcvf: title of the commit")
 *	text   = What goes wrong, in one sentence.
 */
#ifndef VC_ERRATA_H
#define VC_ERRATA_H

#include <stddef.h>

#include "probe.h"
#include "result.h"

struct erratum {
	char *name, *check, *parent, *driver, *kernel, *fix, *text;
};

struct errata {
	struct erratum *v;
	size_t n;
};

/** errata_builtin() - those that are compiled in */
void errata_builtin(struct errata *errata);

/**
 * errata_load() - add those of a file
 *
 * Return: NULL, or a sentence (owned by the caller) that names file and line.
 */
char *errata_load(struct errata *errata, const char *path);

/** errata_load_text() - the same from memory; @name stands for the file in sentences */
char *errata_load_text(struct errata *errata, const char *name, const char *text);

/** errata_find() - the first that covers this check on this parent and kernel, or NULL */
const struct erratum *errata_find(const struct errata *errata, const struct check *check,
				  const char *address, const struct probe *probe,
				  const char *kernel);

/** errata_apply() - make FAIL an XFAIL and PASS an XPASS where an erratum says so */
void errata_apply(const struct erratum *erratum, struct result *result);

void errata_free(struct errata *errata);

#endif
