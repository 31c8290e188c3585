/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ISR, vectors and the interrupts that a virtio device sends up
 *
 * How it works. With MSI-X an event is a message to the vector that the driver chose; without, it
 * is a bit in ISR and the INTx line, whose level is "ISR is not zero". Interrupts travel through
 * the fabric behind the device's writes; the ISR bit of INTx is set where the interrupt arrives,
 * not where it is sent, since a driver that polls ISR would else clear a bit whose data is not
 * there yet and the interrupt would be lost.
 */
#include "virtio_regs.h"

static void raise_intx(struct virtio_regs *regs, uint8_t bit)
{
	regs->isr |= bit;
	intx_set_source(regs->env.intx, true);
}

static void fire_intx_queue(void *ctx, unsigned int vector)
{
	struct virtio_regs *regs = ctx;

	(void)vector;
	if (virtio_defect(regs, DEFECT_ISR_QUEUE_BIT_MISSING)) {
		intx_set_source(regs->env.intx, true);
		return;
	}
	raise_intx(regs, VN_ISR_QUEUE);
}

static void fire_intx_config(void *ctx, unsigned int vector)
{
	(void)vector;
	raise_intx(ctx, VN_ISR_CONFIG);
}

static bool queue_irq(void *ctx, unsigned int queue, struct fab_irq *irq)
{
	struct virtio_regs *regs = ctx;
	uint16_t vector;

	if (!regs->env.msix->enabled) {
		*irq = (struct fab_irq){.fire = fire_intx_queue, .ctx = regs};
		return true;
	}
	if (virtio_defect(regs, DEFECT_MSIX_SHARED_QUEUE_VECTOR))
		queue = 0;
	else if (virtio_defect(regs, DEFECT_MSIX_QUEUE_PAIR_VECTOR))
		queue &= ~1u;
	vector = regs->queue_vector[queue];
	if (virtio_defect(regs, DEFECT_MSIX_VECTOR_SERVES_ONE))
		for (unsigned int q = queue + 1; q < regs->num_queues; q++)
			if (regs->queue_vector[q] == vector)
				return false;
	if (vector == VN_NO_VECTOR) {
		if (!virtio_defect(regs, DEFECT_MSIX_NO_VECTOR_FIRES))
			return false;
		vector = 0;
	}
	*irq = (struct fab_irq){.fire = msix_fire, .ctx = regs->env.msix, .vector = vector};
	return true;
}

static void config_irq(void *ctx)
{
	struct virtio_regs *regs = ctx;
	struct fab_irq irq = {.fire = fire_intx_config, .ctx = regs};

	if (regs->env.msix->enabled) {
		/* 4.1.5.4: the configuration bit is set whatever the kind of interrupt. */
		if (!virtio_defect(regs, DEFECT_ISR_CONFIG_BIT_MISSING))
			raise_intx(regs, VN_ISR_CONFIG);
		irq.fire = msix_fire;
		irq.ctx = regs->env.msix;
		irq.vector = regs->config_vector;
		if (regs->config_vector == VN_NO_VECTOR) {
			if (!virtio_defect(regs, DEFECT_MSIX_CONFIG_NO_VECTOR_FIRES))
				return;
			irq.vector = 0;
		}
	}
	fab_irq(regs->env.device.fab, regs->env.device.spaces[0], &irq);
}

const struct vdev_up virtio_irq_up = {
	.queue_irq = queue_irq,
	.config_irq = config_irq,
};

void virtio_isr_clear(struct virtio_regs *regs)
{
	regs->isr = 0;
	intx_set_source(regs->env.intx, false);
}

uint8_t virtio_isr_read(struct virtio_regs *regs)
{
	uint8_t isr = regs->isr;

	if (virtio_defect(regs, DEFECT_ISR_NOT_CLEARED))
		intx_set_source(regs->env.intx, false);
	else
		virtio_isr_clear(regs);
	return isr;
}

void virtio_vector_store(struct virtio_regs *regs, uint16_t *where, uint16_t vector)
{
	bool exists = vector < regs->env.msix->vectors;

	if (virtio_defect(regs, DEFECT_MSIX_NO_RANGE_CHECK))
		exists = true;
	*where = exists ? vector : VN_NO_VECTOR;
}

void virtio_vectors_reset(struct virtio_regs *regs)
{
	regs->config_vector = VN_NO_VECTOR;
	for (unsigned int i = 0; i < regs->num_queues; i++)
		regs->queue_vector[i] = VN_NO_VECTOR;
}
