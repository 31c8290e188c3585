// SPDX-License-Identifier: BSD-3-Clause
/*
 * Mini driver of Intel's IFC VF: virtio-pci and a live-migration BAR
 *
 * How it works. The common configuration is virtio's. BAR 4 holds, behind control, status and the
 * bounds of the dirty log, a 32-bit word per queue: available index low, used index high. Where the
 * words lie depends on who wrote the driver (spec.h). A queue is stopped by queue_enable = 0; it
 * reads 1 until the queue is quiet, and only then the word is final. The state has to be read
 * before status is written 0.
 */
#include <errno.h>

#include "../spec.h"
#include "pci_driver.h"

#define STOP_MS 1000u

static int lm_read(struct pci_driver *d, uint32_t off, unsigned int len, uint32_t *value)
{
	uint8_t b[4] = {0};
	int err;

	*value = 0;
	if ((uint64_t)off + len > d->lm_size)
		return -EPROTO;
	err = pci_read(&d->access, VC_IFCVF_LM_BAR, off, b, len);
	*value = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
	return err;
}

static int lm_write(struct pci_driver *d, uint32_t off, unsigned int len, uint32_t value)
{
	const uint8_t b[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
			      (uint8_t)(value >> 24)};

	if ((uint64_t)off + len > d->lm_size)
		return -EPROTO;
	return pci_write(&d->access, VC_IFCVF_LM_BAR, off, b, len);
}

static int ifcvf_get_vq_state(struct parent *p, unsigned int q, struct vq_state *state)
{
	struct pci_driver *d = p->priv;
	const unsigned int len = d->dpdk_layout ? 4 : 2;
	uint32_t word;
	int err = lm_read(d, vc_ifcvf_lm_state(q, d->dpdk_layout), len, &word);

	if (err)
		return err;
	*state = (struct vq_state){
		.avail = (uint16_t)word,
		.used = (uint16_t)(word >> 16),
		.used_known = d->dpdk_layout,
	};
	return 0;
}

static int ifcvf_set_vq_state(struct parent *p, unsigned int q, const struct vq_state *state)
{
	struct pci_driver *d = p->priv;
	const unsigned int len = d->dpdk_layout ? 4 : 2;

	/* there is no room for a packed ring's wrap counters */
	if (state->packed)
		return -EOPNOTSUPP;
	return lm_write(d, vc_ifcvf_lm_state(q, d->dpdk_layout), len,
			(uint32_t)state->used << 16 | state->avail);
}

static int ifcvf_vq_stop(struct parent *p, unsigned int q, struct vq_state *state)
{
	struct pci_driver *d = p->priv;
	int err = pci_queue_select(d, q);

	if (!err)
		err = pci_common_write(d, VC_COMMON_Q_ENABLE, 2, 0);
	if (!err)
		err = pci_driver_poll(d, q, VC_COMMON_Q_ENABLE, 2, 0, STOP_MS);
	return err ? err : ifcvf_get_vq_state(p, q, state);
}

/* log_control() - written, and read back: a register write is posted, a read pushes it */
static int log_control(struct pci_driver *d, uint32_t value)
{
	uint32_t seen;
	int err = lm_write(d, VC_IFCVF_LM_CONTROL, 4, value);

	return err ? err : lm_read(d, VC_IFCVF_LM_CONTROL, 4, &seen);
}

static int ifcvf_log_start(struct parent *p, uint64_t iova, uint64_t size)
{
	struct pci_driver *d = p->priv;
	const uint64_t end = iova + size;
	int err;

	if (!size || end < iova)
		return -EINVAL;
	err = lm_write(d, VC_IFCVF_LM_LOG_BASE_LO, 4, (uint32_t)iova);
	if (!err)
		err = lm_write(d, VC_IFCVF_LM_LOG_BASE_HI, 4, (uint32_t)(iova >> 32));
	if (!err)
		err = lm_write(d, VC_IFCVF_LM_LOG_END_LO, 4, (uint32_t)end);
	if (!err)
		err = lm_write(d, VC_IFCVF_LM_LOG_END_HI, 4, (uint32_t)(end >> 32));
	return err ? err : log_control(d, VC_IFCVF_LM_LOG_VF);
}

static int ifcvf_log_stop(struct parent *p)
{
	return log_control(p->priv, VC_IFCVF_LM_LOG_OFF);
}

void pci_driver_ifcvf(struct pci_driver *d)
{
	struct parent *p = d->parent;

	/* An IFCVF without its BAR fails where the state is asked for, not where it is opened. */
	if (d->access.region_size(d->access.ctx, VC_IFCVF_LM_BAR, &d->lm_size))
		d->lm_size = 0;
	d->ops.get_vq_state = ifcvf_get_vq_state;
	d->ops.set_vq_state = ifcvf_set_vq_state;
	d->ops.vq_stop = ifcvf_vq_stop;
	d->ops.log_start = ifcvf_log_start;
	d->ops.log_stop = ifcvf_log_stop;
	d->ops.log_marks_rings = false;
	p->caps |= CAP_IFCVF | CAP_VQ_STATE_GET | CAP_VQ_STATE_SET | CAP_VQ_STOP | CAP_DIRTY_LOG;
}
