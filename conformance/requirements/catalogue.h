/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The catalogue of requirements, compiled in from requirements.tsv
 *
 * How it works. generate.py turns the file into catalogue[] (in the file's order) and an index
 * sorted by id, and refuses to build when a check names an id that is not there.
 */
#ifndef VC_CATALOGUE_H
#define VC_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct requirement - a row of the catalogue
 * @level:      MUST, MUST NOT, SHOULD, SHOULD NOT, MAY
 * @subject:    who is bound: device, backend, kernel; driver and frontend bind the suite itself
 * @observable: yes, partly (needs a peer, timing or a provoked race), no
 */
struct requirement {
	const char *id;
	const char *source;
	const char *section;
	const char *level;
	const char *subject;
	const char *area;
	const char *observable;
	const char *statement;
};

extern const struct requirement catalogue[];
extern const unsigned short catalogue_by_id[];
extern const size_t catalogue_size;

/** catalogue_find() - the row of an id of @len characters; NULL if there is none */
const struct requirement *catalogue_find(const char *id, size_t len);

/**
 * catalogue_next_id() - walk a list of ids that are separated by blanks
 * @list: where to go on; moved behind the id that is returned
 *
 * Return: the id (not terminated) and its length in @len, or NULL at the end.
 */
const char *catalogue_next_id(const char **list, size_t *len);

/** catalogue_lists() - is the id in a list of ids that are separated by blanks? */
bool catalogue_lists(const char *list, const char *id, size_t len);

/** catalogue_lists_meet() - do two lists of ids have an id in common? */
bool catalogue_lists_meet(const char *a, const char *b);

#endif
