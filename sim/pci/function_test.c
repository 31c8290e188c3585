/* SPDX-License-Identifier: BSD-3-Clause */
/* A function's own registers: header, BAR sizing, capabilities, resets, interrupts. */
#include "fake_test.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void header_is_the_profile(void **state)
{
	struct fake *f = *state;

	assert_int_equal(fake_cfg(f, VN_PCI_VENDOR_ID, 4), 0x10411af4);
	assert_int_equal(fake_cfg(f, VN_PCI_SUBSYSTEM_VENDOR_ID, 4), 0x001a8086);
	assert_int_equal(fake_cfg(f, VN_PCI_REVISION, 4), 0x02000001);
	assert_int_equal(fake_cfg(f, 0x0e, 1), 0);
	assert_int_equal(fake_cfg(f, VN_PCI_INTERRUPT_PIN, 1), 1);
	assert_true(fake_cfg(f, VN_PCI_STATUS, 2) & VN_PCI_STATUS_CAPABILITIES);

	/* Read-only registers swallow writes; so does what is reserved. */
	for (unsigned int off = 0; off < VN_PCI_CONFIG_SIZE; off += 4)
		if (off != f->pci_cap + VN_VIRTIO_CAP_EXTRA)
			fake_cfg_write(f, off, 4, 0);
	assert_int_equal(fake_cfg(f, VN_PCI_VENDOR_ID, 4), 0x10411af4);
	assert_true(fake_cfg(f, VN_PCI_CAPABILITIES, 1) >= VN_PCI_HEADER_END);
	fake_cfg_write(f, VN_PCI_COMMAND, 2, 0xffff);
	assert_int_equal(fake_cfg(f, VN_PCI_COMMAND, 2), 0x0546);
	assert_int_equal(fake_cfg(f, 0x100, 4), 0); /* no extended capability */
}

static uint64_t size_bar(struct fake *f, unsigned int bar)
{
	unsigned int off = VN_PCI_BAR0 + 4 * bar;
	uint64_t mask;

	fake_cfg_write(f, off, 4, 0xffffffff);
	fake_cfg_write(f, off + 4, 4, 0xffffffff);
	mask = fake_cfg(f, off, 4) | (uint64_t)fake_cfg(f, off + 4, 4) << 32;
	assert_int_equal(mask & 0xf, mask ? VN_PCI_BAR_64BIT : 0);
	mask &= ~UINT64_C(0xf);
	return mask ? ~mask + 1 : 0;
}

static void bars_size_as_regions(void **state)
{
	struct fake *f = *state;
	bool lm = f->profile.personality == PERSONALITY_IFCVF;

	for (unsigned int bar = 0; bar < VN_PCI_BARS; bar += 2) {
		struct vqnic_region_info info, upper;

		assert_int_equal(function_region_info(f->fn, bar, &info), 0);
		assert_int_equal(function_region_info(f->fn, bar + 1, &upper), 0);
		assert_int_equal(size_bar(f, bar), info.size);
		assert_int_equal(upper.size, 0);
		assert_int_equal(info.size != 0, bar < 4 || lm);
	}
}

/* Every capability is reached, in order and without overlap; every structure lies in its BAR. */
static void capabilities_in_order(void **state)
{
	static const uint8_t ids[] = {VN_PCI_CAP_PM,	 VN_PCI_CAP_MSIX,   VN_PCI_CAP_EXPRESS,
				      VN_PCI_CAP_VENDOR, VN_PCI_CAP_VENDOR, VN_PCI_CAP_VENDOR,
				      VN_PCI_CAP_VENDOR, VN_PCI_CAP_VENDOR};
	static const unsigned int sizes[] = {8, 12, 60, 16, 20, 16, 16, 20};
	struct fake *f = *state;
	unsigned int cap = fake_cfg(f, VN_PCI_CAPABILITIES, 1), end = VN_PCI_HEADER_END;
	unsigned int types = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++) {
		assert_true(cap >= end && cap % 4 == 0);
		end = cap + sizes[i];
		assert_true(end <= VN_PCI_CAPS_END);
		assert_int_equal(fake_cfg(f, cap, 1), ids[i]);
		if (ids[i] == VN_PCI_CAP_VENDOR) {
			struct vqnic_region_info info;
			unsigned int type = fake_cfg(f, cap + VN_VIRTIO_CAP_CFG_TYPE, 1);

			assert_int_equal(fake_cfg(f, cap + 2, 1), sizes[i]);
			assert_int_equal(
				function_region_info(f->fn, fake_cfg(f, cap + VN_VIRTIO_CAP_BAR, 1),
						     &info),
				0);
			assert_true((uint64_t)fake_cfg(f, cap + VN_VIRTIO_CAP_OFFSET, 4) +
					    fake_cfg(f, cap + VN_VIRTIO_CAP_LENGTH, 4) <=
				    info.size);
			types |= 1u << type;
		}
		cap = fake_cfg(f, cap + 1, 1);
	}
	assert_int_equal(cap, 0);
	assert_int_equal(types, 0x3e);
}

static void function_level_reset(void **state)
{
	struct fake *f = *state;
	unsigned int devctl = fake_cap(f, VN_PCI_CAP_EXPRESS, 0) + VN_EXP_DEVCTL;
	unsigned int resets = f->dev->resets;
	uint32_t before;
	int fd = fake_listen(f, VQNIC_IRQ_MSIX, 3);

	assert_true(fake_cfg(f, devctl - 4, 4) & VN_EXP_DEVCAP_FLR);
	before = fake_cfg(f, devctl, 2);
	fake_cfg_write(f, VN_PCI_COMMAND, 2, 0x0406);
	fake_cfg_write(f, VN_PCI_BAR0, 4, 0xfe000000);
	fake_msix_enable(f, true);
	fake_common_write(f, VN_COMMON_STATUS, 1, 0xf);
	fake_common_write(f, VN_COMMON_QUEUE_SELECT, 2, 3);
	fake_common_write(f, VN_COMMON_QUEUE_VECTOR, 2, 3);
	fake_queue_irq(f, 3);

	fake_cfg_write(f, devctl, 2, before | VN_EXP_DEVCTL_FLR);
	fake_deliver(f);
	assert_int_equal(fake_heard(fd), 0); /* what was on its way is gone */
	assert_int_equal(f->dev->resets, resets + 1);
	assert_int_equal(fake_cfg(f, devctl, 2), before);
	assert_int_equal(fake_cfg(f, VN_PCI_COMMAND, 2), 0);
	assert_int_equal(fake_cfg(f, VN_PCI_BAR0, 4), VN_PCI_BAR_64BIT);
	assert_int_equal(fake_cfg(f, fake_cap(f, VN_PCI_CAP_MSIX, 0) + VN_MSIX_CONTROL, 2), 9);
	assert_int_equal(fake_common(f, VN_COMMON_STATUS, 1), 0);
	assert_int_equal(fake_common(f, VN_COMMON_QUEUE_SELECT, 2), 0);
	fake_common_write(f, VN_COMMON_QUEUE_SELECT, 2, 3);
	assert_int_equal(fake_common(f, VN_COMMON_QUEUE_VECTOR, 2), VN_NO_VECTOR);

	/* The eventfd is the client's and stays. */
	assert_int_equal(function_irq_trigger(f->fn, VQNIC_IRQ_MSIX, 3), 0);
	assert_int_equal(fake_heard(fd), 1);
	close(fd);
}

static void detach_lets_go(void **state)
{
	struct fake *f = *state;
	struct vqnic_dma_map map = {.iova = 0x1000, .size = 0x1000, .fd = -1};
	uint64_t unmapped;
	int fd = fake_listen(f, VQNIC_IRQ_MSIX, 0);

	assert_int_equal(function_dma_map(f->fn, &map), 0);
	assert_int_equal(function_detach(f->fn), 0);
	assert_int_equal(function_dma_unmap(f->fn, 0, 0, 0, &unmapped), 0);
	assert_int_equal(unmapped, 0);
	function_irq_trigger(f->fn, VQNIC_IRQ_MSIX, 0);
	assert_int_equal(fake_heard(fd), 0);
	close(fd);
}

static void bad_ranges_are_refused(void **state)
{
	struct fake *f = *state;
	struct vqnic_region_info info;
	struct vqnic_dma_map map = {.iova = 0, .size = 0x1000, .fd = -1, .asid = 1};
	uint64_t v = 0;

	assert_int_equal(function_region_info(f->fn, VQNIC_REGIONS, &info), -EINVAL);
	assert_int_equal(function_region_info(f->fn, VQNIC_REGION_ROM, &info), 0);
	assert_int_equal(info.size, 0);
	assert_int_equal(function_region_read(f->fn, 1, 0, &v, 1), -EINVAL);
	assert_int_equal(function_region_read(f->fn, 99, 0, &v, 1), -EINVAL);
	assert_int_equal(function_region_read(f->fn, 7, 4093, &v, 4), -EINVAL);
	assert_int_equal(function_region_read(f->fn, 7, UINT64_MAX, &v, 4), -EINVAL);
	assert_int_equal(function_region_write(f->fn, 0, UINT64_MAX - 1, &v, 8), -EINVAL);
	assert_int_equal(function_dma_map(f->fn, &map), -EINVAL);
	assert_int_equal(function_dma_unmap(f->fn, 1, 0, 0x1000, NULL), -EINVAL);
	assert_int_equal(function_dma_unmap(f->fn, 0, 0x1000, 0, NULL), -EINVAL);
	assert_int_equal(function_dma_unmap(f->fn, 0, UINT64_MAX, 2, NULL), -EINVAL);
	assert_int_equal(function_irq_count(f->fn, VQNIC_IRQS), -EINVAL);
	assert_int_equal(function_irq_count(f->fn, VQNIC_IRQ_MSI), 0);
	assert_int_equal(function_irq_count(f->fn, VQNIC_IRQ_MSIX), 10);
	assert_int_equal(function_irq_set_eventfd(f->fn, VQNIC_IRQ_MSIX, 10, -1), -EINVAL);
	assert_int_equal(function_irq_set_eventfd(f->fn, VQNIC_IRQ_INTX, 1, -1), -EINVAL);
	assert_int_equal(function_irq_mask(f->fn, VQNIC_IRQ_MSIX, 0, true), -EINVAL);
	assert_int_equal(function_irq_trigger(f->fn, VQNIC_IRQ_ERR, 0), -EINVAL);
}

/* Anything that is no eventfd could block or kill the NIC when it is written to. */
static void only_eventfds(void **state)
{
	struct fake *f = *state;
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(function_irq_set_eventfd(f->fn, VQNIC_IRQ_MSIX, 0, p[1]), -EINVAL);
	close(p[0]);
	close(p[1]);
	assert_int_equal(function_irq_set_eventfd(f->fn, VQNIC_IRQ_MSIX, 0, 1000), -EBADF);
}

/* A blocking eventfd whose counter is full must not stop the NIC. */
static void full_counter_does_not_block(void **state)
{
	struct fake *f = *state;
	const uint64_t full = UINT64_MAX - 1;
	int fd = fake_listen(f, VQNIC_IRQ_MSIX, 0);

	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(function_irq_set_eventfd(f->fn, VQNIC_IRQ_MSIX, 0, fd), 0);
	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	assert_int_equal(function_irq_trigger(f->fn, VQNIC_IRQ_MSIX, 0), 0);
	close(fd);
}

static void msix_table_is_harmless(void **state)
{
	struct fake *f = *state;
	struct vqnic_region_info info;
	unsigned int cap = fake_cap(f, VN_PCI_CAP_MSIX, 0);
	uint8_t junk[4096];
	uint32_t pba;

	memset(junk, 0xa5, sizeof(junk));
	assert_int_equal(fake_cfg(f, cap + VN_MSIX_CONTROL, 2), 9); /* 10 vectors */
	pba = fake_cfg(f, cap + VN_MSIX_PBA, 4);
	assert_int_equal(pba & 7, 2);
	assert_int_equal(fake_rd(f, 2, 12, 4), 1); /* masked after reset */
	assert_int_equal(function_region_info(f->fn, 2, &info), 0);
	assert_true(info.size <= sizeof(junk));
	assert_int_equal(function_region_write(f->fn, 2, 0, junk, info.size), 0);
	assert_int_equal(fake_rd(f, 2, 9 * 16 + 4, 4), 0xa5a5a5a5);
	assert_int_equal(fake_rd(f, 2, pba & ~7u, 8), 0); /* read-only */
	assert_int_equal(function_region_read(f->fn, 2, 0, junk, info.size), 0);
}

static void intx_is_a_level(void **state)
{
	struct fake *f = *state;
	int fd = fake_listen(f, VQNIC_IRQ_INTX, 0);

	fake_queue_irq(f, 0);
	/* On its way: neither ISR nor the line shows it yet. */
	assert_int_equal(fake_rd(f, 0, f->isr, 1), 0);
	fake_deliver(f);
	assert_int_equal(fake_heard(fd), 1);
	assert_true(fake_cfg(f, VN_PCI_STATUS, 2) & VN_PCI_STATUS_INTERRUPT);

	/* Asserted already: nothing new to tell, until it is unmasked. */
	fake_queue_irq(f, 1);
	fake_deliver(f);
	assert_int_equal(fake_heard(fd), 0);
	function_irq_mask(f->fn, VQNIC_IRQ_INTX, 0, true);
	function_irq_mask(f->fn, VQNIC_IRQ_INTX, 0, false);
	assert_int_equal(fake_heard(fd), 1);

	assert_int_equal(fake_rd(f, 0, f->isr, 1), VN_ISR_QUEUE);
	assert_int_equal(fake_rd(f, 0, f->isr, 1), 0);
	assert_false(fake_cfg(f, VN_PCI_STATUS, 2) & VN_PCI_STATUS_INTERRUPT);
	function_irq_mask(f->fn, VQNIC_IRQ_INTX, 0, true);
	function_irq_mask(f->fn, VQNIC_IRQ_INTX, 0, false);
	assert_int_equal(fake_heard(fd), 0);

	/* Interrupt Disable silences the line but not its status. */
	fake_cfg_write(f, VN_PCI_COMMAND, 2, VN_PCI_COMMAND_INTX_DISABLE);
	fake_config_change(f);
	fake_deliver(f);
	assert_int_equal(fake_heard(fd), 0);
	assert_true(fake_cfg(f, VN_PCI_STATUS, 2) & VN_PCI_STATUS_INTERRUPT);
	fake_cfg_write(f, VN_PCI_COMMAND, 2, 0);
	assert_int_equal(fake_heard(fd), 1);
	assert_int_equal(fake_rd(f, 0, f->isr, 1), VN_ISR_CONFIG);
	close(fd);
}

static void a_late_listener_hears_the_level(void **state)
{
	struct fake *f = *state;
	int fd;

	fake_queue_irq(f, 0);
	fake_deliver(f);
	fd = fake_listen(f, VQNIC_IRQ_INTX, 0);
	assert_int_equal(fake_heard(fd), 1);
	close(fd);
}

static void profile_without_sense(void **state)
{
	struct fake *f = *state;
	struct vqnic_error err = {""};

	f->profile.vectors = 4000;
	assert_int_equal(fake_restart(f, &err), -EINVAL);
	assert_non_null(strstr(err.text, "virtio.vectors"));
	f->profile.vectors = 0; /* one per queue and one */
	f->profile.features |= VN_BIT(VN_NET_F_CTRL_VQ);
	assert_int_equal(fake_restart(f, &err), 0);
	assert_int_equal(function_irq_count(f->fn, VQNIC_IRQ_MSIX), FAKE_QUEUES + 1);
	f->profile.notify_multiplier = 6;
	assert_int_equal(fake_restart(f, &err), -EINVAL);
	assert_non_null(strstr(err.text, "notify_multiplier"));
	f->profile.notify_multiplier = 2;
	f->profile.features |= VN_BIT(VN_F_NOTIFICATION_DATA);
	assert_int_equal(fake_restart(f, &err), -EINVAL);
	assert_non_null(strstr(err.text, "notification_data"));
	f->profile.notify_multiplier = 1u << 31;
	assert_int_equal(fake_restart(f, &err), -EINVAL);
	f->profile.notify_multiplier = 4096;
	f->profile.vectors = 2048; /* the PBA moves out of the table's page */
	assert_int_equal(fake_restart(f, &err), 0);
	assert_int_equal(fake_rd(f, 2, 0x8000, 8), 0);
}

#define TEST(f)	 cmocka_unit_test_setup_teardown(f, fake_virtio_pci, fake_teardown)
#define ITEST(f) cmocka_unit_test_setup_teardown(f, fake_ifcvf, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(header_is_the_profile),
		TEST(bars_size_as_regions),
		ITEST(bars_size_as_regions),
		TEST(capabilities_in_order),
		ITEST(capabilities_in_order),
		TEST(function_level_reset),
		ITEST(function_level_reset),
		TEST(detach_lets_go),
		TEST(bad_ranges_are_refused),
		TEST(only_eventfds),
		TEST(full_counter_does_not_block),
		TEST(msix_table_is_harmless),
		TEST(intx_is_a_level),
		TEST(a_late_listener_hears_the_level),
		TEST(profile_without_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
