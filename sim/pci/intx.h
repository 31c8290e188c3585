/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * INTx: a level, told to the client by an eventfd
 *
 * How it works. The line is asserted while its source (ISR of a virtio function) is not zero, MSI-X
 * is off and the driver has not set Interrupt Disable. The eventfd is written when an unmasked line
 * comes to be asserted: by its source, or because the client unmasks it while it is (the way VFIO
 * clients handle a level: mask, let the guest run, unmask at its end of interrupt).
 */
#ifndef VN_INTX_H
#define VN_INTX_H

#include <stdbool.h>
#include <stdint.h>

#include "irqfd.h"

struct intx {
	struct irqfd listener;
	bool source;   /* some reason to interrupt is pending */
	bool disabled; /* by the driver: Interrupt Disable, or MSI-X is on */
	bool masked;   /* by the client */
	bool told;
};

void intx_set_source(struct intx *intx, bool source);
void intx_set_disabled(struct intx *intx, bool disabled);
void intx_set_masked(struct intx *intx, bool masked);

/** intx_tell_again() - there is a new listener: tell it if the line is asserted */
void intx_tell_again(struct intx *intx);

#endif
