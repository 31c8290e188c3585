// SPDX-License-Identifier: BSD-3-Clause
#include "pci_regs.h"

#include <sys/eventfd.h>
#include <unistd.h>

static uint32_t get_le(const uint8_t b[4])
{
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void put_le(uint8_t b[4], uint32_t value)
{
	for (unsigned int i = 0; i < 4; i++)
		b[i] = (uint8_t)(value >> (8 * i));
}

uint32_t cfg_get(const struct pci_map *m, uint32_t off, unsigned int len)
{
	uint8_t b[4] = {0};

	t_ok(m->t, pci_read(m->a, PCI_REGION_CONFIG, off, b, len));
	return get_le(b);
}

void cfg_put(const struct pci_map *m, uint32_t off, unsigned int len, uint32_t value)
{
	uint8_t b[4];

	put_le(b, value);
	t_ok(m->t, pci_write(m->a, PCI_REGION_CONFIG, off, b, len));
}

static void inside(const struct pci_map *m, const struct pci_structure *s, uint32_t off,
		   unsigned int len)
{
	t_expect(m->t, s->at && s->length >= off + len,
		 "structure of type %u must reach to its register at 0x%x, it has 0x%x bytes",
		 s->type, off, s->length);
}

uint32_t reg_get(const struct pci_map *m, const struct pci_structure *s, uint32_t off,
		 unsigned int len)
{
	uint8_t b[4] = {0};

	inside(m, s, off, len);
	t_ok(m->t, pci_read(m->a, s->bar, (uint64_t)s->offset + off, b, len));
	return get_le(b);
}

void reg_put(const struct pci_map *m, const struct pci_structure *s, uint32_t off, unsigned int len,
	     uint32_t value)
{
	uint8_t b[4];

	put_le(b, value);
	inside(m, s, off, len);
	t_ok(m->t, pci_write(m->a, s->bar, (uint64_t)s->offset + off, b, len));
}

uint32_t queue_get(const struct pci_map *m, unsigned int q, uint32_t off, unsigned int len)
{
	reg_put(m, &m->common, VC_COMMON_Q_SELECT, 2, q);
	return reg_get(m, &m->common, off, len);
}

void queue_put(const struct pci_map *m, unsigned int q, uint32_t off, unsigned int len,
	       uint32_t value)
{
	reg_put(m, &m->common, VC_COMMON_Q_SELECT, 2, q);
	reg_put(m, &m->common, off, len, value);
}

uint64_t pci_bar_size(const struct pci_map *m, unsigned int bar)
{
	uint64_t size = 0;

	if (bar > 5 || m->a->region_size(m->a->ctx, bar, &size))
		return 0;
	return size;
}

static void take_vendor(struct pci_map *m, uint32_t at)
{
	struct pci_structure s = {
		.at = at,
		.cap_len = cfg_get(m, at + VC_CAP_LEN, 1),
		.type = cfg_get(m, at + VC_CAP_CFG_TYPE, 1),
		.bar = cfg_get(m, at + VC_CAP_BAR, 1),
		.offset = cfg_get(m, at + VC_CAP_OFFSET, 4),
		.length = cfg_get(m, at + VC_CAP_LENGTH, 4),
	};
	struct pci_structure *const slots[] = {NULL,	&m->common, &m->notify,
					       &m->isr, &m->device, &m->cfg};

	if (s.cap_len >= VC_CAP_MULTIPLIER + 4)
		s.extra = cfg_get(m, at + VC_CAP_MULTIPLIER, 4);
	m->all[m->n++] = s;
	if (s.type == 0 || s.type >= ARRAY_LEN(slots) || slots[s.type]->at)
		return;
	/* The access capability names a BAR only once a driver has written it. */
	if (s.type == VC_PCI_CAP_PCI || (s.bar <= 5 && pci_bar_size(m, s.bar)))
		*slots[s.type] = s;
}

struct pci_map pci_map(struct test *t)
{
	struct parent *p = t_parent(t);
	struct pci_map m = {.t = t, .a = p->ops->pci(p)};
	uint32_t at, id;

	t_expect(t, cfg_get(&m, VC_PCI_STATUS, 2) & VC_PCI_STATUS_CAP_LIST,
		 "the PCI status register must announce a capability list");
	at = cfg_get(&m, VC_PCI_CAP_PTR, 1) & 0xfcu;
	for (unsigned int i = 0; at; i++) {
		t_expect(t, i < PCI_CAPS_MAX, "the capability list must end, it loops");
		t_expect(t, at >= 0x40, "a capability at 0x%x lies in the header", at);
		id = cfg_get(&m, at, 1);
		if (id == VC_PCI_CAP_ID_VENDOR)
			take_vendor(&m, at);
		else if (id == VC_PCI_CAP_ID_MSIX)
			m.msix = at;
		else if (id == VC_PCI_CAP_ID_EXP)
			m.express = at;
		at = cfg_get(&m, at + 1, 1) & 0xfcu;
	}
	return m;
}

void pci_enable(const struct pci_map *m)
{
	cfg_put(m, VC_PCI_COMMAND, 2,
		cfg_get(m, VC_PCI_COMMAND, 2) | VC_PCI_COMMAND_MEMORY | VC_PCI_COMMAND_MASTER |
			VC_PCI_COMMAND_INTX_OFF);
	if (m->msix)
		cfg_put(m, m->msix + VC_PCI_MSIX_CTRL, 2,
			cfg_get(m, m->msix + VC_PCI_MSIX_CTRL, 2) | VC_PCI_MSIX_CTRL_ENABLE);
}

uint64_t read_event(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n) ? n : 0;
}

int new_event(struct test *t)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		t_broken(t, "no eventfd can be made");
	return fd;
}

static bool event_came(void *arg)
{
	return read_event(*(const int *)arg);
}

bool wait_event(struct test *t, int fd)
{
	return parent_wait(t_parent(t), event_came, &fd, NET_SOON);
}
