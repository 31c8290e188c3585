/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the unit tests of this directory put below a function: a virtio device that only remembers
 * what it was told, a fabric that keeps interrupts until fake_deliver(), DMA spaces without memory
 */
#ifndef VN_PCI_FAKE_TEST_H
#define VN_PCI_FAKE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "function.h"
#include "pci_spec.h"
#include "spec.h"
#include "util.h"

#define FAKE_QUEUES 9u

struct vq {
	uint16_t size;
	uint64_t address[3];
	bool enabled, resetting;
	struct vq_pos pos;
	unsigned int notified;
};

struct virtio_dev {
	const struct vdev_up *up;
	void *up_ctx;
	struct vdev_env env;
	uint8_t status, generation;
	uint64_t driver_features;
	uint8_t config[24];
	struct vq vqs[FAKE_QUEUES];
	unsigned int pairs;
	bool log_active;
	uint64_t log_base, log_end;
	unsigned int resets;
	bool slow; /* stops and resets end by fake_finish() */
};

/** struct fake - a function and what a test looks at */
struct fake {
	struct profile profile;
	struct defect_set defects;
	struct fabric *fab;
	struct function *fn;
	struct virtio_dev *dev;
	unsigned int common, notify, isr, device; /* offsets in BAR 0 */
	unsigned int pci_cap;
	uint32_t multiplier;
};

/* Fixtures for cmocka: *state is a struct fake. */
int fake_virtio_pci(void **state);
int fake_ifcvf(void **state);
int fake_teardown(void **state);

/** fake_restart() - make the function anew from the profile as the test has changed it */
int fake_restart(struct fake *f, struct vqnic_error *err);

void fake_deliver(struct fake *f); /* interrupts that the fabric holds */
void fake_finish(struct virtio_dev *dev);
void fake_queue_irq(struct fake *f, unsigned int q);
void fake_config_change(struct fake *f);

uint32_t fake_cfg(struct fake *f, unsigned int off, unsigned int len);
void fake_cfg_write(struct fake *f, unsigned int off, unsigned int len, uint32_t value);
uint64_t fake_rd(struct fake *f, unsigned int bar, uint64_t off, unsigned int len);
void fake_wr(struct fake *f, unsigned int bar, uint64_t off, unsigned int len, uint64_t value);
uint64_t fake_common(struct fake *f, unsigned int off, unsigned int len);
void fake_common_write(struct fake *f, unsigned int off, unsigned int len, uint64_t value);

/** fake_cap() - offset of the capability @id, the @nth of it, 0 if there is none */
unsigned int fake_cap(struct fake *f, uint8_t id, unsigned int nth);

/** fake_listen() - an eventfd for a vector; fake_heard() - signals since last asked */
int fake_listen(struct fake *f, unsigned int index, unsigned int vector);
unsigned int fake_heard(int fd);
void fake_msix_enable(struct fake *f, bool enable);

#endif
