// SPDX-License-Identifier: BSD-3-Clause
/*
 * The mini drivers against a PCI function of a few arrays, which can be as awkward as a test wants
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../spec.h"
#include "pci_driver.h"

#define QUEUES 5

/**
 * struct function - what the driver drives
 * @slow:    pumps that a reset, a stop or a queue reset takes
 * @changes: generation changes during this many reads of the configuration
 */
struct function {
	uint8_t config[256];
	uint64_t bar_size[6];
	uint8_t lm[4096];
	uint8_t netcfg[24];
	uint32_t dfselect, gfselect, df[2], gf[2];
	uint16_t msix, qsel, vectors;
	uint8_t status, generation;
	struct {
		uint16_t size, vector, enable, reset;
		uint64_t area[3];
	} q[QUEUES];
	uint16_t size_max;
	int slow, status_left, enable_left, reset_left;
	int changes;
	bool refuse_vectors;
	uint16_t kicked, kick_at;
	uint32_t kick_value;
	uint32_t kick_len;
	int irq_fd[16];
	unsigned int widths[16]; /* of accesses to the configuration, by offset */
};

static uint32_t little(const void *buf, uint32_t len)
{
	const uint8_t *b = buf;
	uint32_t v = 0;

	for (uint32_t i = 0; i < len; i++)
		v |= (uint32_t)b[i] << (8 * i);
	return v;
}

static void store(void *buf, uint32_t len, uint64_t v)
{
	uint8_t *b = buf;

	for (uint32_t i = 0; i < len; i++)
		b[i] = (uint8_t)(v >> (8 * i));
}

/* BAR 0: common at 0x100, device configuration at 0x200; BAR 1: doorbells; BAR 4: live migration */
#define COMMON_AT 0x100u
#define DEVICE_AT 0x200u

static uint64_t common_read(struct function *f, uint32_t off)
{
	const unsigned int q = f->qsel < QUEUES ? f->qsel : 0;
	const bool there = f->qsel < QUEUES;

	switch (off) {
	case VC_COMMON_DF:
		return f->dfselect < 2 ? f->df[f->dfselect] : 0;
	case VC_COMMON_GF:
		return f->gfselect < 2 ? f->gf[f->gfselect] : 0;
	case VC_COMMON_MSIX:
		return f->msix;
	case VC_COMMON_NUMQ:
		return QUEUES;
	case VC_COMMON_STATUS:
		return f->status_left ? 0x0f : f->status;
	case VC_COMMON_GENERATION:
		return f->generation;
	case VC_COMMON_Q_SIZE:
		return there ? f->q[q].size : 0;
	case VC_COMMON_Q_MSIX:
		return f->q[q].vector;
	case VC_COMMON_Q_ENABLE:
		return f->enable_left ? 1 : f->q[q].enable;
	case VC_COMMON_Q_NOFF:
		return q;
	case VC_COMMON_Q_RESET:
		return f->reset_left ? 1 : 0;
	default:
		return 0xffffffff;
	}
}

static void common_write(struct function *f, uint32_t off, uint32_t v)
{
	const unsigned int q = f->qsel < QUEUES ? f->qsel : 0;

	switch (off) {
	case VC_COMMON_DFSELECT:
		f->dfselect = v;
		break;
	case VC_COMMON_GFSELECT:
		f->gfselect = v;
		break;
	case VC_COMMON_GF:
		f->gf[f->gfselect & 1] = v;
		break;
	case VC_COMMON_MSIX:
		f->msix = f->refuse_vectors ? VC_MSI_NO_VECTOR : (uint16_t)v;
		break;
	case VC_COMMON_STATUS:
		f->status = (uint8_t)v;
		if (!v) {
			f->status_left = f->slow;
			f->msix = VC_MSI_NO_VECTOR;
			for (unsigned int i = 0; i < QUEUES; i++) {
				f->q[i].size = f->size_max;
				f->q[i].vector = VC_MSI_NO_VECTOR;
				f->q[i].enable = 0;
			}
		}
		break;
	case VC_COMMON_Q_SELECT:
		f->qsel = (uint16_t)v;
		break;
	case VC_COMMON_Q_SIZE:
		f->q[q].size = (uint16_t)v;
		break;
	case VC_COMMON_Q_MSIX:
		f->q[q].vector = f->refuse_vectors ? VC_MSI_NO_VECTOR : (uint16_t)v;
		break;
	case VC_COMMON_Q_ENABLE:
		if (f->q[q].enable && !v)
			f->enable_left = f->slow;
		f->q[q].enable = (uint16_t)v;
		break;
	case VC_COMMON_Q_RESET:
		f->reset_left = f->slow;
		f->q[q].enable = 0;
		f->q[q].size = f->size_max;
		break;
	default:
		if (off >= VC_COMMON_Q_DESC_LO && off < VC_COMMON_Q_NDATA) {
			uint64_t *area = &f->q[q].area[(off - VC_COMMON_Q_DESC_LO) / 8];

			if (off % 8)
				*area = (*area & 0xffffffff) | (uint64_t)v << 32;
			else
				*area = (*area & ~0xffffffffull) | v;
		}
	}
}

static int fn_read(void *ctx, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	struct function *f = ctx;

	if (region == PCI_REGION_CONFIG) {
		if (off + len > sizeof(f->config))
			return -EINVAL;
		memcpy(buf, f->config + off, len);
	} else if (region == 0 && off >= DEVICE_AT && off + len <= DEVICE_AT + sizeof(f->netcfg)) {
		if (off - DEVICE_AT < 16)
			f->widths[off - DEVICE_AT] = len;
		if (f->changes > 0 && off - DEVICE_AT == 8) {
			f->changes--;
			f->generation++;
			f->netcfg[8]++;
		}
		memcpy(buf, f->netcfg + (off - DEVICE_AT), len);
	} else if (region == 0 && off >= COMMON_AT && off < COMMON_AT + 0x40) {
		store(buf, len, common_read(f, (uint32_t)off - COMMON_AT));
	} else if (region == 4 && off + len <= sizeof(f->lm)) {
		memcpy(buf, f->lm + off, len);
	} else {
		memset(buf, 0xff, len);
	}
	return 0;
}

static int fn_write(void *ctx, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	struct function *f = ctx;

	if (region == PCI_REGION_CONFIG) {
		memcpy(f->config + off, buf, len);
	} else if (region == 0 && off >= DEVICE_AT && off + len <= DEVICE_AT + sizeof(f->netcfg)) {
		memcpy(f->netcfg + (off - DEVICE_AT), buf, len);
	} else if (region == 0 && off >= COMMON_AT && off < COMMON_AT + 0x40) {
		common_write(f, (uint32_t)off - COMMON_AT, little(buf, len));
	} else if (region == 1) {
		f->kicked++;
		f->kick_at = (uint16_t)off;
		f->kick_value = little(buf, len);
		f->kick_len = len;
	} else if (region == 4 && off + len <= sizeof(f->lm)) {
		memcpy(f->lm + off, buf, len);
	}
	return 0;
}

static int fn_region_size(void *ctx, unsigned int region, uint64_t *size)
{
	if (region > 5)
		return -EINVAL;
	*size = ((struct function *)ctx)->bar_size[region];
	return 0;
}

static int fn_irq_count(void *ctx, unsigned int index)
{
	return index == VC_VFIO_IRQ_MSIX ? ((struct function *)ctx)->vectors : 0;
}

static int fn_set_irq(void *ctx, unsigned int index, unsigned int vector, int fd)
{
	struct function *f = ctx;

	if (index != VC_VFIO_IRQ_MSIX || vector >= f->vectors)
		return -EINVAL;
	f->irq_fd[vector] = fd;
	return 0;
}

static int fn_pump(void *ctx)
{
	struct function *f = ctx;
	int *left = f->status_left   ? &f->status_left
		    : f->enable_left ? &f->enable_left
		    : f->reset_left  ? &f->reset_left
				     : NULL;

	if (!left || *left < 0) /* negative: for ever, and nothing left to do */
		return 0;
	--*left;
	if (left == &f->enable_left && !*left)
		store(f->lm + vc_ifcvf_lm_state(f->qsel, 0), 4, 0x00070009); /* final only now */
	return 1;
}

static void put_cap(struct function *f, uint8_t at, uint8_t next, uint8_t len, uint8_t type,
		    uint8_t bar, uint32_t off, uint32_t length)
{
	f->config[at] = VC_PCI_CAP_ID_VENDOR;
	f->config[at + 1] = next;
	f->config[at + 2] = len;
	f->config[at + 3] = type;
	f->config[at + 4] = bar;
	store(f->config + at + 8, 4, off);
	store(f->config + at + 12, 4, length);
	if (type == VC_PCI_CAP_NOTIFY)
		store(f->config + at + 16, 4, 4);
}

static void new_function(struct function *f, bool ifcvf)
{
	memset(f, 0, sizeof(*f));
	store(f->config + VC_PCI_VENDOR_ID, 2, VC_PCI_VENDOR_REDHAT);
	store(f->config + VC_PCI_DEVICE_ID, 2, 0x1041);
	store(f->config + VC_PCI_SUBVENDOR_ID, 2,
	      ifcvf ? VC_PCI_VENDOR_INTEL : VC_PCI_VENDOR_REDHAT);
	store(f->config + VC_PCI_SUBSYSTEM_ID, 2, 0x1a);
	f->config[VC_PCI_STATUS] = VC_PCI_STATUS_CAP_LIST;
	f->config[VC_PCI_CAP_PTR] = 0x40;
	put_cap(f, 0x40, 0x54, 16, VC_PCI_CAP_COMMON, 0, COMMON_AT, 0x3c);
	put_cap(f, 0x54, 0x70, 20, VC_PCI_CAP_NOTIFY, 1, 0, 0x1000);
	put_cap(f, 0x70, 0x80, 16, VC_PCI_CAP_ISR, 0, 0x300, 1);
	put_cap(f, 0x80, 0x90, 16, VC_PCI_CAP_DEVICE, 0, DEVICE_AT, 24);
	f->config[0x90] = VC_PCI_CAP_ID_MSIX;
	f->bar_size[0] = 0x1000;
	f->bar_size[1] = 0x1000;
	f->bar_size[4] = ifcvf ? 0x1000 : 0;
	f->vectors = QUEUES + 1;
	f->size_max = 256;
	for (unsigned int i = 0; i < QUEUES; i++) {
		f->q[i].size = 256;
		f->q[i].vector = VC_MSI_NO_VECTOR;
	}
	f->msix = VC_MSI_NO_VECTOR;
	f->df[0] = 0x20;
	f->df[1] = 1u << (VC_F_VERSION_1 - 32) | 1u << (VC_F_RING_RESET - 32);
}

static int open_fn(struct parent *p, struct function *f)
{
	const struct pci_access access = {
		.ctx = f,
		.read = fn_read,
		.write = fn_write,
		.region_size = fn_region_size,
		.irq_count = fn_irq_count,
		.set_irq = fn_set_irq,
		.pump = fn_pump,
	};
	static char error[200];

	memset(p, 0, sizeof(*p));
	p->caps = CAP_EXACT_SETTLE;
	return pci_driver_open(p, &access, NULL, error, sizeof(error));
}

static void must_open(struct parent *p, struct function *f)
{
	assert_int_equal(open_fn(p, f), 0);
}

static const char *complaint(struct parent *p)
{
	return ((struct pci_driver *)p->priv)->complaint;
}

/* ---- Finding things
 * --------------------------------------------------------------------------------- */

static void test_identity(void **state)
{
	struct function f;
	struct parent p;
	uint32_t id;

	(void)state;
	new_function(&f, false);
	must_open(&p, &f);
	assert_string_equal(p.info.driver, "virtio-pci");
	assert_true(p.caps & CAP_VIRTIO_PCI);
	assert_false(p.caps & CAP_IFCVF);
	assert_true(p.caps & CAP_VQ_RESET);
	assert_int_equal(parent_get_device_id(&p, &id), 0);
	assert_int_equal(id, VC_ID_NET);
	/* memory and bus master on, MSI-X on */
	assert_int_equal(f.config[VC_PCI_COMMAND] & 6, 6);
	assert_true(f.config[0x90 + 3] & 0x80);
	assert_string_equal(complaint(&p), "");
	pci_driver_close(&p);

	/* a transitional id: the type is in the subsystem id */
	store(f.config + VC_PCI_DEVICE_ID, 2, 0x1000);
	store(f.config + VC_PCI_SUBSYSTEM_ID, 2, 2);
	must_open(&p, &f);
	parent_get_device_id(&p, &id);
	assert_int_equal(id, VC_ID_BLOCK);
	pci_driver_close(&p);

	new_function(&f, true);
	must_open(&p, &f);
	assert_string_equal(p.info.driver, "ifcvf");
	assert_true(p.caps & CAP_IFCVF);
	pci_driver_close(&p);

	store(f.config + VC_PCI_DEVICE_ID, 2, 0x1080);
	assert_int_equal(open_fn(&p, &f), -ENODEV);
}

static void test_capability_list(void **state)
{
	struct function f;
	struct parent p;
	uint8_t status;

	(void)state;
	/* a loop, a pointer into the header */
	new_function(&f, false);
	f.config[0x91] = 0x40;
	must_open(&p, &f);
	assert_non_null(strstr(complaint(&p), "loops"));
	pci_driver_close(&p);
	new_function(&f, false);
	f.config[0x41] = 0x10;
	must_open(&p, &f);
	assert_non_null(strstr(complaint(&p), "header"));
	pci_driver_close(&p);
	/* none announced: the parent fails, not the opening */
	new_function(&f, false);
	f.config[VC_PCI_STATUS] = 0;
	must_open(&p, &f);
	assert_int_equal(parent_get_status(&p, &status), -EPROTO);
	assert_int_equal(parent_reset(&p), -EPROTO);
	pci_driver_close(&p);
	/* outside its BAR; in a reserved BAR; too short */
	new_function(&f, false);
	store(f.config + 0x40 + 8, 4, 0xff0);
	must_open(&p, &f);
	assert_non_null(strstr(complaint(&p), "outside BAR 0"));
	assert_int_equal(parent_get_status(&p, &status), -EPROTO);
	pci_driver_close(&p);
	new_function(&f, false);
	store(f.config + 0x40 + 8, 4, 0xffffffff);
	must_open(&p, &f);
	assert_int_equal(parent_get_status(&p, &status), -EPROTO);
	pci_driver_close(&p);
	new_function(&f, false);
	f.config[0x44] = 6;
	must_open(&p, &f);
	assert_int_equal(parent_get_status(&p, &status), -EPROTO);
	pci_driver_close(&p);
	new_function(&f, false);
	store(f.config + 0x4c, 4, 0x30);
	must_open(&p, &f);
	assert_int_equal(parent_get_status(&p, &status), -EPROTO);
	pci_driver_close(&p);
	new_function(&f, false);
	store(f.config + 0x54 + 16, 4, 6);
	must_open(&p, &f);
	assert_non_null(strstr(complaint(&p), "multiplier"));
	pci_driver_close(&p);
}

static void test_first_and_last(void **state)
{
	(void)state;
	/* two structures of a type: virtio prefers the first, Intel's driver keeps the last */
	for (unsigned int ifcvf = 0; ifcvf < 2; ifcvf++) {
		struct function f;
		struct parent p;
		struct pci_driver *d;

		new_function(&f, ifcvf);
		put_cap(&f, 0xa0, 0, 16, VC_PCI_CAP_DEVICE, 0, 0x800, 64);
		f.config[0x91] = 0xa0;
		must_open(&p, &f);
		d = p.priv;
		assert_int_equal(d->config.offset, ifcvf ? 0x800 : DEVICE_AT);
		pci_driver_close(&p);
	}
}

/* ---- Driving
 * ------------------------------------------------------------------------------------------- */

static void test_features(void **state)
{
	struct function f;
	struct parent p;
	uint64_t features;

	(void)state;
	new_function(&f, false);
	must_open(&p, &f);
	parent_get_device_features(&p, &features);
	assert_int_equal(features, (uint64_t)f.df[1] << 32 | 0x20);
	parent_set_driver_features(&p, 0x123456789abcdef0);
	assert_int_equal(f.gf[0], 0x9abcdef0);
	assert_int_equal(f.gf[1], 0x12345678);
	parent_get_driver_features(&p, &features);
	assert_int_equal(features, 0x123456789abcdef0);
	pci_driver_close(&p);
}

static void test_reset_is_waited_for(void **state)
{
	struct function f;
	struct parent p;
	uint8_t status;

	(void)state;
	new_function(&f, false);
	must_open(&p, &f);
	f.status = 0x0f;
	f.slow = 7;
	assert_int_equal(parent_reset(&p), 0);
	assert_int_equal(f.status_left, 0);
	parent_get_status(&p, &status);
	assert_int_equal(status, 0);
	/* a device that never gets there */
	f.slow = -1;
	assert_int_equal(parent_reset(&p), -ETIMEDOUT);
	pci_driver_close(&p);
}

static void test_config(void **state)
{
	static const uint8_t want[] = {1, 1, 1, 1, 1, 1, 2, 0, 2, 0, 2, 0, 4};
	struct function f;
	struct parent p;
	uint8_t buf[24];
	uint32_t size, generation;

	(void)state;
	new_function(&f, false);
	for (unsigned int i = 0; i < 24; i++)
		f.netcfg[i] = (uint8_t)i;
	must_open(&p, &f);
	assert_int_equal(parent_get_config_size(&p, &size), 0);
	assert_int_equal(size, 24);
	assert_int_equal(parent_get_config(&p, 0, buf, 24), 0);
	assert_memory_equal(buf, f.netcfg, 24);
	/* each field with its own width */
	for (unsigned int i = 0; i < sizeof(want); i++)
		assert_int_equal(f.widths[i], want[i]);
	assert_int_equal(parent_get_config(&p, 23, buf, 1), 0);
	assert_int_equal(buf[0], 23);
	assert_int_equal(parent_get_config(&p, 23, buf, 2), -EINVAL);
	assert_int_equal(parent_get_config(&p, 24, buf, 1), -EINVAL);
	assert_int_equal(parent_get_config(&p, 0, buf, 0), -EINVAL);
	assert_int_equal(parent_get_config(&p, UINT32_MAX, buf, 4), -EINVAL);
	/* read again until the generation stays the same */
	f.changes = 3;
	assert_int_equal(parent_get_config(&p, 0, buf, 24), 0);
	assert_int_equal(buf[8], 8 + 3);
	parent_get_generation(&p, &generation);
	assert_int_equal(generation, 3);
	f.changes = 1000;
	assert_int_equal(parent_get_config(&p, 0, buf, 24), -EAGAIN);
	f.changes = 0;
	assert_int_equal(parent_set_config(&p, 6, "\x34\x12", 2), 0);
	assert_int_equal(f.netcfg[6], 0x34);
	pci_driver_close(&p);
}

static void test_queues(void **state)
{
	struct function f;
	struct parent p;
	unsigned int count;
	uint16_t size;
	bool ready;

	(void)state;
	new_function(&f, false);
	must_open(&p, &f);
	parent_get_vq_count(&p, &count);
	assert_int_equal(count, QUEUES);
	/* the largest size is remembered when a smaller one is written */
	assert_int_equal(parent_set_vq_size(&p, 3, 16), 0);
	assert_int_equal(f.q[3].size, 16);
	parent_get_vq_size_max(&p, 3, &size);
	assert_int_equal(size, 256);
	parent_set_vq_address(&p, 3, 0x1122334455667788, 0x99aabbcc00112233, 0x8000000000000004);
	assert_int_equal(f.q[3].area[0], 0x1122334455667788);
	assert_int_equal(f.q[3].area[1], 0x99aabbcc00112233);
	assert_int_equal(f.q[3].area[2], 0x8000000000000004);
	parent_set_vq_ready(&p, 3, true);
	assert_int_equal(f.q[3].enable, 1);
	parent_get_vq_ready(&p, 3, &ready);
	assert_true(ready);
	/* a driver of virtio must not write 0 there */
	assert_int_equal(parent_set_vq_ready(&p, 3, false), -EOPNOTSUPP);
	assert_int_equal(f.q[3].enable, 1);
	f.slow = 3;
	assert_int_equal(parent_vq_reset(&p, 3), 0);
	parent_get_vq_size_max(&p, 3, &size);
	assert_int_equal(size, 256);
	f.slow = -1;
	assert_int_equal(parent_vq_reset(&p, 3), -ETIMEDOUT);
	assert_int_equal(parent_set_vq_state(&p, 0, &(struct vq_state){0}), -EOPNOTSUPP);
	pci_driver_close(&p);
}

static void test_doorbell(void **state)
{
	struct function f;
	struct parent p;

	(void)state;
	new_function(&f, false);
	must_open(&p, &f);
	assert_int_equal(parent_kick(&p, 2), 0);
	assert_int_equal(f.kick_at, 8);
	assert_int_equal(f.kick_value, 2);
	assert_int_equal(f.kick_len, 2);
	assert_int_equal(parent_kick_data(&p, 2, 0xabcd0002), 0);
	assert_int_equal(f.kick_value, 0xabcd0002);
	assert_int_equal(f.kick_len, 4);
	pci_driver_close(&p);
	/* a doorbell outside of the structure is not rung */
	store(f.config + 0x54 + 12, 4, 8);
	must_open(&p, &f);
	assert_int_equal(parent_kick(&p, 1), 0);
	assert_int_equal(parent_kick(&p, 2), -EPROTO);
	pci_driver_close(&p);
}

static void test_vectors(void **state)
{
	struct function f;
	struct parent p;
	uint16_t seen;

	(void)state;
	new_function(&f, false);
	must_open(&p, &f);
	assert_int_equal(parent_set_vq_call(&p, 1, 33), 0);
	assert_int_equal(f.irq_fd[2], 33);
	assert_int_equal(f.q[1].vector, 2);
	assert_int_equal(parent_set_config_call(&p, 44), 0);
	assert_int_equal(f.irq_fd[0], 44);
	assert_int_equal(f.msix, 0);
	/* a reset takes them away; they are back before the device may signal */
	parent_reset(&p);
	assert_int_equal(f.q[1].vector, VC_MSI_NO_VECTOR);
	parent_set_status(&p, 1);
	parent_set_status(&p, 3);
	assert_int_equal(f.msix, VC_MSI_NO_VECTOR);
	parent_set_status(&p, 11);
	assert_int_equal(f.msix, 0);
	parent_set_vq_ready(&p, 1, true);
	assert_int_equal(f.q[1].vector, 2);
	parent_set_vq_vector(&p, 1, 5, &seen);
	assert_int_equal(seen, 5);
	parent_get_vq_vector(&p, 1, &seen);
	assert_int_equal(seen, 5);
	/* the eventfd goes, the vector stays */
	assert_int_equal(parent_set_vq_call(&p, 1, -1), 0);
	assert_int_equal(f.irq_fd[2], -1);
	f.refuse_vectors = true;
	assert_int_equal(parent_set_vq_call(&p, 0, 55), -EBUSY);
	f.refuse_vectors = false;
	pci_driver_close(&p);

	/* fewer vectors than queues are shared; none at all: no interrupts */
	f.vectors = 2;
	must_open(&p, &f);
	assert_int_equal(parent_set_vq_call(&p, 4, 9), 0);
	assert_int_equal(f.irq_fd[1], 9);
	pci_driver_close(&p);
	f.vectors = 0;
	must_open(&p, &f);
	assert_false(p.caps & CAP_CONFIG_CALL);
	assert_int_equal(parent_set_vq_call(&p, 0, 9), -ENOSPC);
	pci_driver_close(&p);
}

/* ---- IFCVF
 * -------------------------------------------------------------------------------------------------
 */

static void test_ifcvf_state(void **state)
{
	struct function f;
	struct parent p;
	struct vq_state s = {.avail = 0x1234, .used = 0x5678};

	(void)state;
	new_function(&f, true);
	must_open(&p, &f);
	memset(f.lm, 0xee, sizeof(f.lm));
	/* as Linux: 16 bits, 4 bytes apart */
	assert_int_equal(parent_set_vq_state(&p, 3, &s), 0);
	assert_int_equal(little(f.lm + 0x2c, 4), 0xeeee1234);
	memset(&s, 0, sizeof(s));
	assert_int_equal(parent_get_vq_state(&p, 3, &s), 0);
	assert_int_equal(s.avail, 0x1234);
	assert_false(s.used_known);
	s.packed = true;
	assert_int_equal(parent_set_vq_state(&p, 3, &s), -EOPNOTSUPP);
	/* as DPDK: 32 bits, pairs 0x40 apart */
	((struct pci_driver *)p.priv)->dpdk_layout = true;
	s = (struct vq_state){.avail = 0x1111, .used = 0x2222};
	assert_int_equal(parent_set_vq_state(&p, 3, &s), 0);
	assert_int_equal(little(f.lm + 0x64, 4), 0x22221111);
	memset(&s, 0, sizeof(s));
	assert_int_equal(parent_get_vq_state(&p, 3, &s), 0);
	assert_true(s.used_known);
	assert_int_equal(s.used, 0x2222);
	/* beyond the BAR */
	f.bar_size[4] = 0x40;
	pci_driver_close(&p);
	must_open(&p, &f);
	assert_int_equal(parent_get_vq_state(&p, 200, &s), -EPROTO);
	pci_driver_close(&p);
}

static void test_ifcvf_stop(void **state)
{
	struct function f;
	struct parent p;
	struct vq_state s;

	(void)state;
	new_function(&f, true);
	must_open(&p, &f);
	parent_set_vq_ready(&p, 1, true);
	store(f.lm + vc_ifcvf_lm_state(1, 0), 4, 0x00010002); /* not final */
	f.slow = 5;
	assert_int_equal(parent_vq_stop(&p, 1, &s), 0);
	assert_int_equal(s.avail, 9);
	assert_int_equal(f.q[1].enable, 0);
	parent_set_vq_ready(&p, 1, true);
	f.slow = -1;
	assert_int_equal(parent_vq_stop(&p, 1, &s), -ETIMEDOUT);
	/* and by hand, as vhost-vdpa does */
	assert_int_equal(parent_set_vq_ready(&p, 1, false), 0);
	pci_driver_close(&p);
}

static void test_ifcvf_log(void **state)
{
	struct function f;
	struct parent p;

	(void)state;
	new_function(&f, true);
	must_open(&p, &f);
	assert_int_equal(parent_log_start(&p, 0x100000123000, 0x2000), 0);
	assert_int_equal(little(f.lm + VC_IFCVF_LM_LOG_BASE_LO, 4), 0x00123000);
	assert_int_equal(little(f.lm + VC_IFCVF_LM_LOG_BASE_HI, 4), 0x1000);
	assert_int_equal(little(f.lm + VC_IFCVF_LM_LOG_END_LO, 4), 0x00125000);
	assert_int_equal(little(f.lm + VC_IFCVF_LM_LOG_END_HI, 4), 0x1000);
	assert_int_equal(f.lm[VC_IFCVF_LM_CONTROL], VC_IFCVF_LM_LOG_VF);
	assert_int_equal(parent_log_stop(&p), 0);
	assert_int_equal(f.lm[VC_IFCVF_LM_CONTROL], 0);
	assert_int_equal(parent_log_start(&p, UINT64_MAX, 2), -EINVAL);
	assert_int_equal(parent_log_start(&p, 0, 0), -EINVAL);
	pci_driver_close(&p);
}

static void test_trace(void **state)
{
	struct function f;
	struct parent p;
	uint8_t status;

	(void)state;
	new_function(&f, false);
	must_open(&p, &f);
	parent_set_status(&p, 0x0f);
	assert_string_equal(p.trace[0], "set_status(0x0f)");
	for (unsigned int i = 0; i < 100; i++)
		parent_get_status(&p, &status);
	assert_string_equal(p.trace[1], "get_status(): 0x0f");
	assert_int_equal(p.traced, 2); /* repetition is one line */
	parent_set_status(&p, 0x01);
	assert_non_null(strstr(p.trace[2], "out of order"));
	parent_kick(&p, 0);
	assert_non_null(strstr(p.trace[3], "out of order: before DRIVER_OK"));
	assert_int_equal(parent_suspend(&p), -EOPNOTSUPP);
	assert_non_null(strstr(p.trace[4], "EOPNOTSUPP"));
	assert_null(p.inside);
	pci_driver_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_capability_list),
		cmocka_unit_test(test_first_and_last),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_reset_is_waited_for),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_queues),
		cmocka_unit_test(test_doorbell),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_ifcvf_state),
		cmocka_unit_test(test_ifcvf_stop),
		cmocka_unit_test(test_ifcvf_log),
		cmocka_unit_test(test_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
