/* SPDX-License-Identifier: BSD-3-Clause */
#include "function.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../spec.h"
#include "../util.h"
#include "config_space.h"
#include "intx.h"
#include "msix.h"
#include "personality.h"

#define MSIX_BAR 2u
#define SPACES	 1u

struct function {
	struct function_env env;
	struct iova_space *spaces[SPACES];
	struct config_space config;
	struct msix msix;
	struct intx intx;
	struct personality *personality;
	unsigned int msix_cap, express_cap;
	struct vqnic_dma_map seeded_last; /* a seeded defect's memory */
};

static const struct personality_ops *const personalities[] = {
	[PERSONALITY_VIRTIO_PCI] = &personality_virtio_pci,
	[PERSONALITY_IFCVF] = &personality_ifcvf,
};

/* ---- Registers of its own in configuration space --------------------------------------------- */

static void drop_in_flight(struct function *fn)
{
	for (unsigned int i = 0; i < SPACES; i++)
		fab_revoke(fn->env.fab, fn->spaces[i], 0, UINT64_MAX, true);
}

/* What INTx and MSI-X make of the registers as they are now. */
static void apply_interrupt_registers(struct function *fn)
{
	uint32_t command = config_get(&fn->config, VN_PCI_COMMAND, 2);
	uint32_t control = config_get(&fn->config, fn->msix_cap + VN_MSIX_CONTROL, 2);

	fn->msix.enabled = control & VN_MSIX_ENABLE;
	intx_set_disabled(&fn->intx, fn->msix.enabled || (command & VN_PCI_COMMAND_INTX_DISABLE));
}

static void interrupt_registers_written(void *ctx, unsigned int off, size_t len)
{
	(void)off;
	(void)len;
	apply_interrupt_registers(ctx);
}

/* Interrupt Status tells of the source, INTx disabled or not; with MSI-X there is none. */
static void status_before_read(void *ctx, unsigned int off, size_t len)
{
	struct function *fn = ctx;
	uint32_t status = config_get(&fn->config, VN_PCI_STATUS, 2);
	bool pending = fn->intx.source && !fn->msix.enabled;

	(void)off;
	(void)len;
	if (defect_on(fn->env.defects, DEFECT_INTX_STATUS_STUCK))
		pending = false;
	status &= ~VN_PCI_STATUS_INTERRUPT;
	config_put(&fn->config, VN_PCI_STATUS, 2, status | (pending ? VN_PCI_STATUS_INTERRUPT : 0));
}

static void device_control_written(void *ctx, unsigned int off, size_t len)
{
	struct function *fn = ctx;
	unsigned int at = fn->express_cap + VN_EXP_DEVCTL;
	uint32_t control = config_get(&fn->config, at, 2);

	(void)off;
	(void)len;
	if (!(control & VN_EXP_DEVCTL_FLR))
		return;
	config_put(&fn->config, at, 2, control & ~VN_EXP_DEVCTL_FLR); /* reads as 0 */
	if (!defect_on(fn->env.defects, DEFECT_FLR_IGNORED))
		function_reset(fn);
}

static int add_hook(struct function *fn, unsigned int off, unsigned int len,
		    void (*before_read)(void *ctx, unsigned int off, size_t len),
		    void (*written)(void *ctx, unsigned int off, size_t len))
{
	struct config_hook hook = {
		.off = off, .len = len, .before_read = before_read, .written = written, .ctx = fn};

	return config_add_hook(&fn->config, &hook);
}

/*
 * Power management: D0 and D3hot, without an effect of its own (No_Soft_Reset: leaving D3hot resets
 * nothing).
 */
static int add_power_management(struct config_space *cs)
{
	int cap = config_add_cap(cs, VN_PCI_CAP_PM, VN_PM_SIZE);
	unsigned int at = (unsigned int)cap;

	if (cap < 0)
		return cap;
	config_put(cs, at + VN_PM_CAP, 2, 3); /* version 1.2 */
	config_put(cs, at + VN_PM_CSR, 2, VN_PM_CSR_NO_SOFT_RESET);
	config_allow(cs, at + VN_PM_CSR, 2, VN_PM_CSR_STATE);
	return 0;
}

static int add_msix(struct function *fn)
{
	struct config_space *cs = &fn->config;
	int cap = config_add_cap(cs, VN_PCI_CAP_MSIX, VN_MSIX_SIZE);

	if (cap < 0)
		return cap;
	fn->msix_cap = (unsigned int)cap;
	config_put(cs, fn->msix_cap + VN_MSIX_CONTROL, 2,
		   fn->msix.vectors - !defect_on(fn->env.defects, DEFECT_MSIX_TABLE_SIZE));
	config_allow(cs, fn->msix_cap + VN_MSIX_CONTROL, 2, VN_MSIX_ENABLE | VN_MSIX_FUNCTION_MASK);
	config_put(cs, fn->msix_cap + VN_MSIX_TABLE, 4, MSIX_BAR);
	config_put(cs, fn->msix_cap + VN_MSIX_PBA, 4, fn->msix.pba | MSIX_BAR);
	config_add_bar(cs, MSIX_BAR, fn->msix.size);
	return add_hook(fn, fn->msix_cap + VN_MSIX_CONTROL, 2, NULL, interrupt_registers_written);
}

static int add_express(struct function *fn)
{
	struct config_space *cs = &fn->config;
	int cap = config_add_cap(cs, VN_PCI_CAP_EXPRESS, VN_EXP_SIZE);
	unsigned int at = (unsigned int)cap;

	if (cap < 0)
		return cap;
	fn->express_cap = at;
	config_put(cs, at + VN_EXP_FLAGS, 2, 0x0002); /* version 2, endpoint */
	/* Payload up to 256 bytes, extended tags, role-based error reporting, FLR. */
	config_put(cs, at + VN_EXP_DEVCAP, 4, 0x1u | 1u << 5 | 1u << 15 | VN_EXP_DEVCAP_FLR);
	/* Relaxed ordering, payload 128, no snoop, read requests of 512 bytes. */
	config_put(cs, at + VN_EXP_DEVCTL, 2, 0x2810);
	config_allow(cs, at + VN_EXP_DEVCTL, 2, 0xf9ffu);
	/* 8 GT/s (code 3), 8 lanes, no ASPM. */
	config_put(cs, at + VN_EXP_LNKCAP, 4, 0x3u | 8u << 4);
	config_allow(cs, at + VN_EXP_LNKCTL, 2, 0x00c8);
	config_put(cs, at + VN_EXP_LNKSTA, 2, 0x3u | 8u << 4);
	config_put(cs, at + VN_EXP_DEVCAP2, 4, 1u << 4); /* completion timeout can be disabled */
	config_allow(cs, at + VN_EXP_DEVCTL2, 2, 1u << 4);
	config_put(cs, at + VN_EXP_LNKCAP2, 4, 0xeu); /* 2.5, 5 and 8 GT/s */
	config_put(cs, at + VN_EXP_LNKCTL2, 2, 3);
	return add_hook(fn, at + VN_EXP_DEVCTL, 2, NULL, device_control_written);
}

static int lay_out_config(struct function *fn)
{
	const struct profile *profile = fn->env.profile;
	struct config_ids ids = {
		.vendor = profile->vendor_id,
		.device = profile->device_id,
		.subsystem_vendor = profile->subsystem_vendor_id,
		.subsystem = profile->subsystem_id,
		.revision = profile->revision,
		.class_code = VN_PCI_CLASS_ETHERNET,
	};
	int ret;

	if (defect_on(fn->env.defects, DEFECT_TRANSITIONAL_ID))
		ids.device = 0x1002;
	config_init(&fn->config, &ids);
	ret = add_power_management(&fn->config);
	if (!ret)
		ret = add_msix(fn);
	if (!ret)
		ret = add_express(fn);
	if (!ret)
		ret = add_hook(fn, VN_PCI_COMMAND, 2, NULL, interrupt_registers_written);
	if (!ret)
		ret = add_hook(fn, VN_PCI_STATUS, 2, status_before_read, NULL);
	return ret;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static unsigned int vectors_of(const struct profile *profile)
{
	bool control = profile->features & VN_BIT(VN_NET_F_CTRL_VQ);

	/* One per queue and one for configuration. */
	return profile->vectors ? profile->vectors : 2 * profile->queue_pairs + control + 1;
}

int function_create(const struct function_env *env, struct function **out, struct vqnic_error *err)
{
	struct function *fn = calloc(1, sizeof(*fn));
	struct personality_env penv;
	int ret;

	if (!fn)
		return -ENOMEM;
	fn->env = *env;
	fn->intx.listener = IRQFD_NONE;

	ret = msix_init(&fn->msix, vectors_of(env->profile));
	if (ret == -EINVAL && err)
		snprintf(err->text, sizeof(err->text), "profile %s: virtio.vectors must be 1 to %u",
			 env->profile->name, VN_MSIX_VECTORS_MAX);
	for (unsigned int i = 0; !ret && i < SPACES; i++)
		ret = iova_space_create(env->index, i, env->profile->max_dma_maps, &fn->spaces[i]);
	if (!ret)
		ret = lay_out_config(fn);
	if (ret)
		goto fail;

	penv = (struct personality_env){
		.device =
			{
				.fab = env->fab,
				.spaces = fn->spaces,
				.nspaces = SPACES,
				.defects = env->defects,
				.profile = env->profile,
				.port = env->port,
			},
		.config = &fn->config,
		.msix = &fn->msix,
		.intx = &fn->intx,
	};
	ret = personalities[env->profile->personality]->create(&penv, &fn->personality, err);
	if (ret)
		goto fail;
	config_seal(&fn->config);
	*out = fn;
	return 0;
fail:
	function_destroy(fn);
	return ret;
}

void function_destroy(struct function *fn)
{
	if (!fn)
		return;
	if (fn->personality) {
		vdev_reset(function_device(fn));
		drop_in_flight(fn);
		fn->personality->ops->destroy(fn->personality);
	}
	msix_fini(&fn->msix);
	irqfd_set(&fn->intx.listener, -1);
	for (unsigned int i = 0; i < SPACES; i++)
		if (fn->spaces[i])
			iova_space_destroy(fn->spaces[i]);
	free(fn);
}

struct virtio_dev *function_device(struct function *fn)
{
	return fn->personality->ops->device(fn->personality);
}

struct iova_space *function_space(struct function *fn, uint32_t asid)
{
	return asid < SPACES ? fn->spaces[asid] : NULL;
}

int function_reset(struct function *fn)
{
	if (!defect_on(fn->env.defects, DEFECT_FLR_KEEPS_DEVICE))
		vdev_reset(function_device(fn));
	/* What the device posted last (an interrupt, a log bit) goes with it. */
	drop_in_flight(fn);
	config_reset(&fn->config);
	msix_reset(&fn->msix);
	fn->personality->ops->reset(fn->personality);
	apply_interrupt_registers(fn);
	return 0;
}

int function_detach(struct function *fn)
{
	vdev_reset(function_device(fn));
	function_reset(fn);
	for (unsigned int i = 0; i < SPACES; i++) {
		iova_space_unmap(fn->spaces[i], 0, UINT64_MAX);
		iova_space_set_ops(fn->spaces[i], NULL, NULL);
	}
	msix_deafen(&fn->msix);
	irqfd_set(&fn->intx.listener, -1);
	intx_set_masked(&fn->intx, false);
	return 0;
}

/* ---- Regions --------------------------------------------------------------------------------- */

static uint64_t region_size(const struct function *fn, unsigned int region)
{
	if (region < VN_PCI_BARS)
		return fn->config.bar_size[region];
	return region == VQNIC_REGION_CONFIG ? VN_PCI_CONFIG_SIZE : 0;
}

int function_region_info(struct function *fn, unsigned int region, struct vqnic_region_info *info)
{
	if (region >= VQNIC_REGIONS)
		return -EINVAL;
	*info = (struct vqnic_region_info){.size = region_size(fn, region), .fd = -1};
	if (info->size)
		info->flags = VQNIC_REGION_READ | VQNIC_REGION_WRITE;
	if (info->size && region < VN_PCI_BARS)
		fn->personality->ops->mmap(fn->personality, region, info);
	return 0;
}

static bool range_exists(const struct function *fn, unsigned int region, uint64_t off, size_t len)
{
	uint64_t size = region < VQNIC_REGIONS ? region_size(fn, region) : 0;

	return off < size && len <= size - off;
}

/* An access that a register could answer: whole, aligned, no wider than the bus. */
static bool is_register_access(uint64_t off, size_t len)
{
	return (len == 1 || len == 2 || len == 4 || len == 8) && off % len == 0;
}

int function_region_read(struct function *fn, unsigned int region, uint64_t off, void *buf,
			 size_t len)
{
	if (!range_exists(fn, region, off, len))
		return -EINVAL;
	if (region == VQNIC_REGION_CONFIG)
		config_read(&fn->config, (unsigned int)off, buf, len);
	else if (region == MSIX_BAR)
		msix_bar_read(&fn->msix, off, buf, len);
	else if (is_register_access(off, len))
		fn->personality->ops->bar_read(fn->personality, region, off, buf, len);
	else
		memset(buf, 0xff, len);
	return 0;
}

int function_region_write(struct function *fn, unsigned int region, uint64_t off, const void *buf,
			  size_t len)
{
	if (!range_exists(fn, region, off, len))
		return -EINVAL;
	if (region == VQNIC_REGION_CONFIG)
		config_write(&fn->config, (unsigned int)off, buf, len);
	else if (region == MSIX_BAR)
		msix_bar_write(&fn->msix, off, buf, len);
	else if (is_register_access(off, len))
		fn->personality->ops->bar_write(fn->personality, region, off, buf, len);
	return 0;
}

unsigned int function_poll_doorbells(struct function *fn)
{
	return fn->personality->ops->poll_doorbells(fn->personality);
}

bool function_has_doorbell_pages(const struct function *fn)
{
	return fn->env.profile->notify_mmap;
}

/* ---- Interrupts ------------------------------------------------------------------------------ */

int function_irq_count(struct function *fn, unsigned int index)
{
	switch (index) {
	case VQNIC_IRQ_INTX:
		return 1;
	case VQNIC_IRQ_MSIX:
		return (int)fn->msix.vectors;
	default:
		return index < VQNIC_IRQS ? 0 : -EINVAL;
	}
}

static struct irqfd *listener_of(struct function *fn, unsigned int index, unsigned int vector)
{
	if (index == VQNIC_IRQ_INTX && vector == 0)
		return &fn->intx.listener;
	if (index == VQNIC_IRQ_MSIX && vector < fn->msix.vectors)
		return &fn->msix.listeners[vector];
	return NULL;
}

int function_irq_set_eventfd(struct function *fn, unsigned int index, unsigned int vector, int fd)
{
	struct irqfd *listener = listener_of(fn, index, vector);
	int ret;

	if (!listener)
		return -EINVAL;
	if (listener->fd >= 0 && fd >= 0 && defect_on(fn->env.defects, DEFECT_OLD_CALL_KEPT))
		return 0;
	if (fd < 0 && defect_on(fn->env.defects, DEFECT_CALL_NOT_TAKEN_AWAY))
		return 0;
	ret = irqfd_set(listener, fd);
	/* A listener that comes while the line is asserted has not been told. */
	if (!ret && fd >= 0 && index == VQNIC_IRQ_INTX)
		intx_tell_again(&fn->intx);
	return ret;
}

int function_irq_mask(struct function *fn, unsigned int index, unsigned int vector, bool masked)
{
	if (index != VQNIC_IRQ_INTX || vector != 0)
		return -EINVAL;
	intx_set_masked(&fn->intx, masked);
	return 0;
}

int function_irq_trigger(struct function *fn, unsigned int index, unsigned int vector)
{
	const struct irqfd *listener = listener_of(fn, index, vector);

	if (!listener)
		return -EINVAL;
	irqfd_fire(listener);
	return 0;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

int function_dma_map(struct function *fn, const struct vqnic_dma_map *map)
{
	struct iova_space *space = function_space(fn, map->asid);
	const struct vqnic_dma_map *last = &fn->seeded_last;
	struct vqnic_dma_map m = *map;
	int ret;

	if (defect_on(fn->env.defects, DEFECT_DMA_MAPS_MERGED)) {
		if (last->size && m.iova == last->iova + last->size)
			m.offset = last->offset + last->size;
		fn->seeded_last = m;
	}
	if (defect_on(fn->env.defects, DEFECT_DMA_PROT_IGNORED))
		m.prot |= VQNIC_PROT_READ | VQNIC_PROT_WRITE;
	ret = space ? iova_space_map(space, &m) : -EINVAL;
	if (ret == -EEXIST && defect_on(fn->env.defects, DEFECT_DMA_TRANSLATION_KEPT))
		return 0;
	return ret;
}

int function_dma_unmap(struct function *fn, uint32_t asid, uint64_t iova, uint64_t size,
		       uint64_t *unmapped)
{
	struct iova_space *space = function_space(fn, asid);
	uint64_t last = iova + size - 1, bytes;

	if (!space)
		return -EINVAL;
	if (size == 0 && iova == 0)
		last = UINT64_MAX;
	else if (size == 0 || last < iova)
		return -EINVAL;
	if (defect_on(fn->env.defects, DEFECT_DMA_TRANSLATION_KEPT))
		return 0;
	if (defect_on(fn->env.defects, DEFECT_DMA_UNMAPS_2M)) {
		iova &= ~UINT64_C(0x1fffff);
		last |= UINT64_C(0x1fffff);
	}
	/* In flight there: it ends now, while the memory is still there. */
	fab_revoke(fn->env.fab, space, iova, last, false);
	bytes = iova_space_unmap(space, iova, last);
	if (unmapped)
		*unmapped = bytes;
	return 0;
}
