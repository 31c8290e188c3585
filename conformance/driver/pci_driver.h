/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mini drivers: parent operations over the registers of a PCI function
 *
 * How it works. sim: and vfio-user: fill in struct pci_access and call pci_driver_open(), which
 * looks at the PCI ids, chooses the driver (IFCVF for Intel's subsystems, else virtio-pci), walks
 * the capabilities and gives the parent its operations. The kind then overrides what is its own
 * (peer, link, close). The drivers share the common configuration of VIRTIO 4.1.4.3, which IFCVF
 * has too; ifcvf.c adds the live-migration BAR.
 *
 * A function whose capabilities are malformed opens all the same: the complaint is kept, and the
 * operations that would need them fail with -EPROTO, so that it is the parent that fails and not
 * the environment, and checks of the register map can look for themselves.
 */
#ifndef VC_DRIVER_PCI_DRIVER_H
#define VC_DRIVER_PCI_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "../parent/parent.h"
#include "../parent/pci_access.h"

#define PCI_DRIVER_QUEUES 256

/** struct pci_cap - a structure that a vendor capability points at */
struct pci_cap {
	bool present;
	uint8_t bar;
	uint32_t offset, length;
};

/**
 * struct pci_driver - a mini driver at work; p->priv
 * @access:  of the kind; access.ctx is the kind's own
 * @ops:     p->ops; the kind may override
 * @dpdk_layout: IFCVF: vq state as DPDK lays it out
 */
struct pci_driver {
	struct pci_access access;
	struct parent_ops ops;
	struct parent *parent;

	uint16_t vendor, device, subvendor, subsystem;
	bool ifcvf, dpdk_layout;
	char complaint[160];

	struct pci_cap common, notify, isr, config;
	uint32_t notify_multiplier;
	uint16_t msix_cap;
	int vectors;
	uint64_t lm_size;

	uint16_t size_max[PCI_DRIVER_QUEUES]; /* 0: not read yet */
	bool has_call[PCI_DRIVER_QUEUES];
	bool has_config_call;
	uint8_t status; /* last written */
};

/** struct pci_driver_options - @dpdk_layout: as in struct pci_driver */
struct pci_driver_options {
	bool dpdk_layout;
};

/**
 * pci_driver_open() - look at a function, choose its driver and fill in @p (ops, caps, info, priv)
 * @access: copied
 *
 * Return: 0; errno of a read that failed; -ENODEV not a virtio function; @error says more.
 */
int pci_driver_open(struct parent *p, const struct pci_access *access,
		    const struct pci_driver_options *opts, char *error, size_t error_size);

/** pci_driver_close() - reset the device as far as it lets, free; p->priv is gone */
void pci_driver_close(struct parent *p);

/** pci_driver_ctx() - the kind's own context behind a parent that a mini driver drives */
static inline void *pci_driver_ctx(struct parent *p)
{
	return ((struct pci_driver *)p->priv)->access.ctx;
}

/* Shared by the two drivers. */
int pci_common_read(struct pci_driver *d, uint32_t off, unsigned int len, uint32_t *value);
int pci_common_write(struct pci_driver *d, uint32_t off, unsigned int len, uint32_t value);
int pci_queue_select(struct pci_driver *d, unsigned int q);

/**
 * pci_driver_poll() - pump until a register of the common configuration of queue @q reads @want
 * Return: 0; -ETIMEDOUT after @timeout_ms, or at once when an exact parent has nothing left to do.
 */
int pci_driver_poll(struct pci_driver *d, unsigned int q, uint32_t off, unsigned int len,
		    uint32_t want, unsigned int timeout_ms);

void pci_driver_virtio(struct pci_driver *d); /* virtio_pci.c: fill in ops and caps */
void pci_driver_ifcvf(struct pci_driver *d);  /* ifcvf.c: on top of it */

#endif
