// SPDX-License-Identifier: BSD-3-Clause
/*
 * Opening a parent by its address: the table of kinds
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parent.h"

static const struct parent_kind *const kinds[] = {
	&parent_kind_sim,
	&parent_kind_vfio_user,
	&parent_kind_vhost_vdpa,
	NULL,
};

const struct parent_kind *const *parent_kinds(void)
{
	return kinds;
}

static void say(const struct parent_options *opts, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say(const struct parent_options *opts, const char *fmt, ...)
{
	va_list ap;

	if (!opts->error || !opts->error_size)
		return;
	va_start(ap, fmt);
	vsnprintf(opts->error, opts->error_size, fmt, ap);
	va_end(ap);
}

int parent_open(const char *address, const struct parent_options *opts, struct parent **out)
{
	static const struct parent_options none;
	struct parent *p;
	int err;

	if (!opts)
		opts = &none;
	say(opts, "%s", "");
	for (unsigned int i = 0; kinds[i]; i++) {
		size_t len = strlen(kinds[i]->prefix);

		if (strncmp(address, kinds[i]->prefix, len) != 0)
			continue;
		p = calloc(1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		snprintf(p->info.kind, sizeof(p->info.kind), "%.*s", (int)len - 1, address);
		snprintf(p->info.address, sizeof(p->info.address), "%s", address);
		err = kinds[i]->open(address + len, opts, p);
		if (err) {
			if (opts->error && opts->error_size && !opts->error[0])
				say(opts, "%s: %s", address, strerror(-err));
			free(p);
			return err;
		}
		parent_get_device_id(p, &p->info.device_id);
		parent_get_vendor_id(p, &p->info.vendor_id);
		*out = p;
		return 0;
	}
	say(opts,
	    "%s: no such kind of parent; it is KIND:ADDRESS, and the kinds are sim:, vfio-user: "
	    "and vhost-vdpa:",
	    address);
	return -EINVAL;
}

void parent_close(struct parent *p)
{
	if (!p)
		return;
	if (p->ops->close)
		p->ops->close(p);
	free(p);
}
