/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuration space: bytes, which of them a driver may write, and who wants to know
 *
 * How it works. Three images of 4096 bytes: the present value, the value after a reset (taken by
 * config_seal() once everything is laid out) and the writable bits. Owners of a register that does
 * something hook a range: `before_read` runs before bytes of it are read, `written` after they have
 * been written. Nothing in here knows what a register means.
 */
#ifndef VN_CONFIG_SPACE_H
#define VN_CONFIG_SPACE_H

#include <stddef.h>
#include <stdint.h>

#include "pci_spec.h"

#define CONFIG_HOOKS 8u

/**
 * struct config_hook - somebody who wants to know of accesses to [@off, @off + @len)
 * @before_read: may refresh the bytes; NULL if not wanted
 * @written:     after a write that touched the range; NULL if not wanted
 */
struct config_hook {
	unsigned int off, len;
	void (*before_read)(void *ctx, unsigned int off, size_t len);
	void (*written)(void *ctx, unsigned int off, size_t len);
	void *ctx;
};

struct config_space {
	uint8_t data[VN_PCI_CONFIG_SIZE];
	uint8_t after_reset[VN_PCI_CONFIG_SIZE];
	uint8_t writable[VN_PCI_CONFIG_SIZE];
	uint64_t bar_size[VN_PCI_BARS];
	struct config_hook hooks[CONFIG_HOOKS];
	unsigned int hook_count;
	unsigned int cap_link; /* where the offset of the next capability goes */
	unsigned int cap_next; /* first free byte */
};

/** struct config_ids - who the function is */
struct config_ids {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision;
	uint32_t class_code;
};

/** config_init() - a type 0 header without BARs and capabilities, interrupt pin A */
void config_init(struct config_space *cs, const struct config_ids *ids);

/**
 * config_add_bar() - a 64-bit memory BAR (takes @bar and @bar + 1)
 * @size: power of two, at least 4096
 */
void config_add_bar(struct config_space *cs, unsigned int bar, uint64_t size);

/**
 * config_add_cap() - append a capability; the list keeps the order of the calls
 * @size: bytes with id and next, zeroed otherwise
 *
 * Return: its offset, or -ENOSPC.
 */
int config_add_cap(struct config_space *cs, uint8_t id, unsigned int size);

/** config_allow() - let a driver write the bits of @mask (1, 2 or 4 bytes at @off) */
void config_allow(struct config_space *cs, unsigned int off, unsigned int width, uint32_t mask);

/** config_add_hook() - Return: 0, -ENOSPC */
int config_add_hook(struct config_space *cs, const struct config_hook *hook);

/** config_seal() - what has been laid out is what a reset restores */
void config_seal(struct config_space *cs);
void config_reset(struct config_space *cs);

/** config_read(), config_write() - a driver's access; the range was checked against the size */
void config_read(struct config_space *cs, unsigned int off, void *buf, size_t len);
void config_write(struct config_space *cs, unsigned int off, const void *buf, size_t len);

/* The device's own look at its bytes: no hooks, no masks. */
uint32_t config_get(const struct config_space *cs, unsigned int off, unsigned int width);
void config_put(struct config_space *cs, unsigned int off, unsigned int width, uint32_t value);

#endif
