/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files of a client's memory, mapped once each
 *
 * How it works. Every map message carries a descriptor, thousands of them of the same file. A file
 * is recognised by device and inode and mapped whole, and again when a later message asks for bytes
 * beyond what was mapped (it grew). A client may shrink its file under us, which would end in
 * SIGBUS: reads and writes go on in a page of zeroes instead, once backing_guard() has put its
 * handler in place.
 */
#ifndef VN_BACKING_H
#define VN_BACKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backing;
struct backing_set;

int backing_set_create(struct backing_set **set);
void backing_set_destroy(struct backing_set *set);

/**
 * backing_get() - bytes [@offset, @offset + @size) of @fd as memory; a reference is taken
 * @write: they will be written
 * Return: 0; -EINVAL the file is shorter; errno of fstat() and mmap()
 */
int backing_get(struct backing_set *set, int fd, uint64_t offset, uint64_t size, bool write,
		struct backing **backing, uint8_t **host);
void backing_ref(struct backing *backing);
void backing_put(struct backing_set *set, struct backing *backing);

/** backing_guard() - handle SIGBUS of shrunk files; for programs, once, process-wide; errno */
int backing_guard(void);

#endif
