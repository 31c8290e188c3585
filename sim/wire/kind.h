/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kinds of wires; private to this directory
 *
 * Each kind is a file with one `wire_kind`; wire.c looks the address's scheme up among them.
 */
#ifndef VN_WIRE_KIND_H
#define VN_WIRE_KIND_H

#include "wire.h"

/**
 * struct wire_kind - a kind of wire
 * @scheme: what an address begins with
 * @form:   how an address is written, for help and errors
 * @open:   as wire_open() with what is behind "scheme:", NULL if there is no ':'
 */
struct wire_kind {
	const char *scheme;
	const char *form;
	int (*open)(const char *arg, const struct wire_end *end, const struct vqnic_wire_ops **ops,
		    void **wire, struct vqnic_error *err);
};

extern const struct wire_kind wire_kind_loopback;
extern const struct wire_kind wire_kind_named;
extern const struct wire_kind wire_kind_none;
extern const struct wire_kind wire_kind_pcap;
extern const struct wire_kind wire_kind_stream;
extern const struct wire_kind wire_kind_stream_listen;
extern const struct wire_kind wire_kind_tap;

/** wire_refuse() - fill @err with a sentence and return @ret */
int wire_refuse(struct vqnic_error *err, int ret, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
