/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces of JSON that several commands write
 */
#ifndef VC_REPORT_JSON_H
#define VC_REPORT_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "check.h"
#include "text.h"

/* Each returns a new reference. */
json_t *json_lines(const struct lines *lines);
json_t *json_ids(const char *list);
json_t *json_check_name(const struct check *check);
json_t *json_needs(const struct check *check);

/** json_print() - write a document and let go of it */
void json_print(FILE *out, json_t *document);

#endif
