/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VC_TRACE_H
#define VC_TRACE_H

#include "requirements/catalogue.h"

/* The reason of requirements that a check could verify and none does: the suite's work list. */
#define TRACE_NO_CHECK "no check yet"

/** trace_why_none() - why a requirement that no check names has none; static text */
const char *trace_why_none(const struct requirement *row);

#endif
