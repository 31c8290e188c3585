/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "requirements/catalogue.h"

static int compare(const char *id, size_t len, const char *row)
{
	int order = strncmp(id, row, len);

	return order ? order : -(row[len] != '\0');
}

const struct requirement *catalogue_find(const char *id, size_t len)
{
	size_t low = 0, high = catalogue_size;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct requirement *row = &catalogue[catalogue_by_id[middle]];
		int order = compare(id, len, row->id);

		if (!order)
			return row;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const char *catalogue_next_id(const char **list, size_t *len)
{
	const char *id = *list;

	if (!id)
		return NULL;
	id += strspn(id, " \t\n");
	*len = strcspn(id, " \t\n");
	*list = id + *len;
	return *len ? id : NULL;
}

bool catalogue_lists(const char *list, const char *id, size_t len)
{
	const char *other;
	size_t other_len;

	while ((other = catalogue_next_id(&list, &other_len)))
		if (other_len == len && !memcmp(other, id, len))
			return true;
	return false;
}

bool catalogue_lists_meet(const char *a, const char *b)
{
	const char *id;
	size_t len;

	while ((id = catalogue_next_id(&a, &len)))
		if (catalogue_lists(b, id, len))
			return true;
	return false;
}
