/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wires by address, and the wire that leads nowhere
 *
 * How it works. What stands before the first ':' names a kind, the rest is the kind's own business.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../util.h"
#include "kind.h"

static const struct wire_kind *const kinds[] = {
	&wire_kind_tap,	  &wire_kind_loopback, &wire_kind_stream, &wire_kind_stream_listen,
	&wire_kind_named, &wire_kind_pcap,     &wire_kind_none,
};

int wire_refuse(struct vqnic_error *err, int ret, const char *format, ...)
{
	va_list args;

	if (err) {
		va_start(args, format);
		vsnprintf(err->text, sizeof(err->text), format, args);
		va_end(args);
	}
	return ret;
}

static int unknown(const char *address, struct vqnic_error *err)
{
	char forms[300] = "";
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && at < sizeof(forms); i++)
		at += (size_t)snprintf(forms + at, sizeof(forms) - at, "%s%s", i ? ", " : "",
				       kinds[i]->form);
	return wire_refuse(err, -EINVAL, "no wire '%.100s'; there are %s", address, forms);
}

int wire_open(const char *address, const struct wire_end *end, const struct vqnic_wire_ops **ops,
	      void **wire, struct vqnic_error *err)
{
	const char *colon = strchr(address, ':');
	size_t len = colon ? (size_t)(colon - address) : strlen(address);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strlen(kinds[i]->scheme) == len && !memcmp(kinds[i]->scheme, address, len))
			return kinds[i]->open(colon ? colon + 1 : NULL, end, ops, wire, err);
	return unknown(address, err);
}

/* ---- Nowhere --------------------------------------------------------------------------------- */

static int none_transmit(void *ctx, const struct vqnic_frame *frame)
{
	(void)ctx;
	(void)frame;
	return 0;
}

static const struct vqnic_wire_ops none_ops = {
	.caps = VQNIC_WIRE_OFFLOADS,
	.transmit = none_transmit,
};

static int none_open(const char *arg, const struct wire_end *end, const struct vqnic_wire_ops **ops,
		     void **wire, struct vqnic_error *err)
{
	(void)end;
	if (arg)
		return wire_refuse(err, -EINVAL, "wire none: takes nothing behind it");
	*ops = &none_ops;
	*wire = NULL;
	return 0;
}

const struct wire_kind wire_kind_none = {"none", "none", none_open};
