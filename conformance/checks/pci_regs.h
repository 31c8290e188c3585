/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The registers of a PCI function as a check sees them, without the mini driver
 *
 * How it works. pci_map() reads the capability list itself, so that a check judges what the
 * function says and not what the driver made of it. Registers are then named by their structure and
 * offset. Every function fails the check where an access does not succeed.
 */
#ifndef VC_CHECKS_PCI_REGS_H
#define VC_CHECKS_PCI_REGS_H

#include "../parent/pci_access.h"
#include "support.h"

#define PCI_CAPS_MAX 48u

/**
 * struct pci_structure - a vendor capability of VIRTIO 4.1.4
 * @at:    where it lies in configuration space; 0: there is none
 * @extra: what lies behind it (notify: the multiplier)
 */
struct pci_structure {
	uint32_t at, cap_len, type, bar, offset, length, extra;
};

/**
 * struct pci_map - what a function has
 * @all:      every VIRTIO capability, in the order of the list
 * @common and others: the first of the type in an existing BAR
 * @msix, @express: where these capabilities lie; 0: not there
 */
struct pci_map {
	struct test *t;
	const struct pci_access *a;
	struct pci_structure all[PCI_CAPS_MAX];
	unsigned int n;
	struct pci_structure common, notify, isr, device, cfg;
	uint32_t msix, express;
};

/** pci_map() - walk the capability list; fails the check if it loops or leads outside */
struct pci_map pci_map(struct test *t);

/** pci_bar_size() - bytes of a BAR; 0: not there */
uint64_t pci_bar_size(const struct pci_map *m, unsigned int bar);

/** cfg_get(), cfg_put() - configuration space, 1, 2 or 4 bytes */
uint32_t cfg_get(const struct pci_map *m, uint32_t off, unsigned int len);
void cfg_put(const struct pci_map *m, uint32_t off, unsigned int len, uint32_t value);

/** reg_get(), reg_put() - a register of a structure, by its natural width */
uint32_t reg_get(const struct pci_map *m, const struct pci_structure *s, uint32_t off,
		 unsigned int len);
void reg_put(const struct pci_map *m, const struct pci_structure *s, uint32_t off, unsigned int len,
	     uint32_t value);

/** queue_get(), queue_put() - a register of queue @q of the common configuration */
uint32_t queue_get(const struct pci_map *m, unsigned int q, uint32_t off, unsigned int len);
void queue_put(const struct pci_map *m, unsigned int q, uint32_t off, unsigned int len,
	       uint32_t value);

/** pci_enable() - memory decoding, bus mastering, MSI-X: what a function reset took away */
void pci_enable(const struct pci_map *m);

/** read_event() - take what an eventfd has counted; 0: nothing */
uint64_t read_event(int fd);

/** new_event() - an eventfd that does not block */
int new_event(struct test *t);

/** wait_event() - until an eventfd was signalled, as long as a check should wait */
bool wait_event(struct test *t, int fd);

#endif
