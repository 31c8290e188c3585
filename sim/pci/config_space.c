/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_space.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

uint32_t config_get(const struct config_space *cs, unsigned int off, unsigned int width)
{
	uint32_t value = 0;

	memcpy(&value, cs->data + off, width);
	return value;
}

void config_put(struct config_space *cs, unsigned int off, unsigned int width, uint32_t value)
{
	memcpy(cs->data + off, &value, width);
}

void config_allow(struct config_space *cs, unsigned int off, unsigned int width, uint32_t mask)
{
	memcpy(cs->writable + off, &mask, width);
}

void config_init(struct config_space *cs, const struct config_ids *ids)
{
	memset(cs, 0, sizeof(*cs));
	config_put(cs, VN_PCI_VENDOR_ID, 2, ids->vendor);
	config_put(cs, VN_PCI_DEVICE_ID, 2, ids->device);
	config_put(cs, VN_PCI_REVISION, 1, ids->revision);
	config_put(cs, VN_PCI_CLASS, 3, ids->class_code);
	config_put(cs, VN_PCI_SUBSYSTEM_VENDOR_ID, 2, ids->subsystem_vendor);
	config_put(cs, VN_PCI_SUBSYSTEM_ID, 2, ids->subsystem);
	config_put(cs, VN_PCI_INTERRUPT_PIN, 1, 1);

	/* No I/O BAR, so I/O space can't be enabled. */
	config_allow(cs, VN_PCI_COMMAND, 2,
		     VN_PCI_COMMAND_MEMORY | VN_PCI_COMMAND_MASTER | VN_PCI_COMMAND_PARITY |
			     VN_PCI_COMMAND_SERR | VN_PCI_COMMAND_INTX_DISABLE);
	config_allow(cs, VN_PCI_CACHE_LINE, 1, 0xff);
	config_allow(cs, VN_PCI_INTERRUPT_LINE, 1, 0xff);

	cs->cap_link = VN_PCI_CAPABILITIES;
	cs->cap_next = VN_PCI_HEADER_END;
}

void config_add_bar(struct config_space *cs, unsigned int bar, uint64_t size)
{
	unsigned int off = VN_PCI_BAR0 + 4 * bar;
	uint64_t mask = ~(size - 1);

	/* Not prefetchable: reading ISR has a side effect. */
	config_put(cs, off, 4, VN_PCI_BAR_64BIT);
	config_allow(cs, off, 4, (uint32_t)mask);
	config_allow(cs, off + 4, 4, (uint32_t)(mask >> 32));
	cs->bar_size[bar] = size;
}

int config_add_cap(struct config_space *cs, uint8_t id, unsigned int size)
{
	unsigned int off = cs->cap_next;

	if (off + size > VN_PCI_CAPS_END)
		return -ENOSPC;
	config_put(cs, cs->cap_link, 1, off);
	config_put(cs, off, 1, id);
	cs->cap_link = off + 1;
	cs->cap_next = (off + size + 3) & ~3u;
	config_put(cs, VN_PCI_STATUS, 2,
		   config_get(cs, VN_PCI_STATUS, 2) | VN_PCI_STATUS_CAPABILITIES);
	return (int)off;
}

int config_add_hook(struct config_space *cs, const struct config_hook *hook)
{
	if (cs->hook_count == CONFIG_HOOKS)
		return -ENOSPC;
	cs->hooks[cs->hook_count++] = *hook;
	return 0;
}

void config_seal(struct config_space *cs)
{
	memcpy(cs->after_reset, cs->data, sizeof(cs->data));
}

void config_reset(struct config_space *cs)
{
	memcpy(cs->data, cs->after_reset, sizeof(cs->data));
}

static bool touches(const struct config_hook *hook, unsigned int off, size_t len)
{
	return off < hook->off + hook->len && hook->off < off + len;
}

void config_read(struct config_space *cs, unsigned int off, void *buf, size_t len)
{
	for (unsigned int i = 0; i < cs->hook_count; i++) {
		const struct config_hook *hook = &cs->hooks[i];

		if (hook->before_read && touches(hook, off, len))
			hook->before_read(hook->ctx, off, len);
	}
	memcpy(buf, cs->data + off, len);
}

void config_write(struct config_space *cs, unsigned int off, const void *buf, size_t len)
{
	const uint8_t *src = buf;

	for (size_t i = 0; i < len; i++) {
		uint8_t mask = cs->writable[off + i];

		cs->data[off + i] = (uint8_t)((cs->data[off + i] & ~mask) | (src[i] & mask));
	}
	for (unsigned int i = 0; i < cs->hook_count; i++) {
		const struct config_hook *hook = &cs->hooks[i];

		if (hook->written && touches(hook, off, len))
			hook->written(hook->ctx, off, len);
	}
}
