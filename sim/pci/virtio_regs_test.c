/* SPDX-License-Identifier: BSD-3-Clause */
/* The structures of a modern virtio function: registers, widths, vectors, ISR, doorbells. */
#include "fake_test.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static void features_by_halves(void **state)
{
	struct fake *f = *state;
	uint64_t features = f->profile.features;

	for (uint32_t select = 0; select < 4; select++) {
		fake_common_write(f, VN_COMMON_DEVICE_FEATURE_SELECT, 4, select);
		assert_int_equal(fake_common(f, VN_COMMON_DEVICE_FEATURE, 4),
				 select < 2 ? (uint32_t)(features >> (32 * select)) : 0);
		fake_common_write(f, VN_COMMON_DRIVER_FEATURE_SELECT, 4, select);
		fake_common_write(f, VN_COMMON_DRIVER_FEATURE, 4, 0x11110000 + select);
		assert_int_equal(fake_common(f, VN_COMMON_DRIVER_FEATURE, 4),
				 select < 2 ? 0x11110000 + select : 0);
	}
	assert_int_equal(f->dev->driver_features, UINT64_C(0x1111000111110000));
	fake_common_write(f, VN_COMMON_DEVICE_FEATURE_SELECT, 4, UINT32_MAX);
	assert_int_equal(fake_common(f, VN_COMMON_DEVICE_FEATURE, 4), 0);
}

/* Linux' ifcvf writes device_feature_select and reads driver_feature: it gets the other select's.
 */
static void selects_are_separate(void **state)
{
	struct fake *f = *state;

	f->dev->driver_features = UINT64_C(0xaaaaaaaa55555555);
	fake_common_write(f, VN_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	fake_common_write(f, VN_COMMON_DEVICE_FEATURE_SELECT, 4, 0);
	assert_int_equal(fake_common(f, VN_COMMON_DRIVER_FEATURE, 4), 0xaaaaaaaa);
	assert_int_equal(fake_common(f, VN_COMMON_DEVICE_FEATURE, 4),
			 (uint32_t)f->profile.features);
}

static void queue_registers(void **state)
{
	struct fake *f = *state;

	assert_int_equal(fake_common(f, VN_COMMON_NUM_QUEUES, 2), FAKE_QUEUES);
	for (unsigned int q = 0; q < FAKE_QUEUES; q++) {
		fake_common_write(f, VN_COMMON_QUEUE_SELECT, 2, q);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_SELECT, 2), q);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_SIZE, 2), 256);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_NOTIFY_OFF, 2), q);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_ENABLE, 2), 0);
		fake_common_write(f, VN_COMMON_QUEUE_SIZE, 2, 128);
		/* halves in any order, and whole */
		fake_common_write(f, VN_COMMON_QUEUE_DESC + 4, 4, 0x11);
		fake_common_write(f, VN_COMMON_QUEUE_DESC, 4, q << 12);
		fake_common_write(f, VN_COMMON_QUEUE_DRIVER, 4, q << 13);
		fake_common_write(f, VN_COMMON_QUEUE_DRIVER + 4, 4, 0x22);
		fake_common_write(f, VN_COMMON_QUEUE_DEVICE, 8, UINT64_C(0x3300000000) + q);
		fake_common_write(f, VN_COMMON_QUEUE_ENABLE, 2, 1);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_ENABLE, 2), 1);
	}
	for (unsigned int q = 0; q < FAKE_QUEUES; q++) {
		struct vq *vq = &f->dev->vqs[q];

		assert_int_equal(vq->size, 128);
		assert_int_equal(vq->address[VQ_DESC], UINT64_C(0x1100000000) + (q << 12));
		assert_int_equal(vq->address[VQ_DRIVER], UINT64_C(0x2200000000) + (q << 13));
		fake_common_write(f, VN_COMMON_QUEUE_SELECT, 2, q);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_DEVICE, 8),
				 UINT64_C(0x3300000000) + q);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_DEVICE + 4, 4), 0x33);
	}
}

static void no_such_queue(void **state)
{
	static const uint32_t selects[] = {FAKE_QUEUES, 255, 0x8000, 0xffff};
	struct fake *f = *state;

	for (unsigned int i = 0; i < ARRAY_SIZE(selects); i++) {
		fake_common_write(f, VN_COMMON_QUEUE_SELECT, 2, selects[i]);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_SIZE, 2), 0);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_ENABLE, 2), 0);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_RESET, 2), 0);
		for (unsigned int off = VN_COMMON_QUEUE_SIZE; off < VN_COMMON_QUEUE_DESC; off += 2)
			fake_common_write(f, off, 2, 1);
		for (unsigned int off = VN_COMMON_QUEUE_DESC; off < 0x38; off += 4)
			fake_common_write(f, off, 4, 1);
		fake_common_write(f, VN_COMMON_QUEUE_RESET, 2, 1);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_VECTOR, 2), VN_NO_VECTOR);
	}
	for (unsigned int q = 0; q < FAKE_QUEUES; q++)
		assert_int_equal(f->dev->vqs[q].size, 256);
}

/* Only an aligned access of a register's own width is one; all else reads ones and writes nothing.
 */
static void odd_widths(void **state)
{
	struct fake *f = *state;
	uint8_t status = 0;

	fake_common_write(f, VN_COMMON_STATUS, 1, 3);
	assert_int_equal(fake_common(f, VN_COMMON_STATUS, 1), 3);
	assert_int_equal(fake_common(f, VN_COMMON_STATUS, 2), 0xffff);
	assert_int_equal(fake_common(f, VN_COMMON_STATUS, 4), 0xffffffff);
	fake_common_write(f, VN_COMMON_STATUS, 4, 0);
	fake_common_write(f, VN_COMMON_STATUS, 2, 0);
	assert_int_equal(f->dev->status, 3);
	assert_int_equal(fake_common(f, VN_COMMON_NUM_QUEUES, 1), 0xff);
	assert_int_equal(fake_common(f, VN_COMMON_NUM_QUEUES + 1, 1), 0xff);
	assert_int_equal(fake_common(f, VN_COMMON_DEVICE_FEATURE, 2), 0xffff);
	assert_int_equal(fake_common(f, VN_COMMON_DEVICE_FEATURE, 8), UINT64_MAX);
	assert_int_equal(fake_common(f, VN_COMMON_QUEUE_DESC, 2), 0xffff);
	assert_int_equal(fake_common(f, VN_COMMON_QUEUE_DESC + 1, 4), 0xffffffff);
	assert_int_equal(fake_common(f, 0x13, 2), 0xffff); /* unaligned */
	assert_int_equal(function_region_read(f->fn, 0, f->common + VN_COMMON_STATUS, &status, 0),
			 0);
	assert_int_equal(status, 0);
	assert_int_equal(fake_rd(f, 0, f->isr, 4), 0xffffffff);
	assert_int_equal(fake_rd(f, 0, 0x3000, 4), 0xffffffff); /* a hole */
	fake_wr(f, 0, 0x3000, 4, 0);
}

/* Every register address, every width, every value that hurts: no crash, no sanitizer report. */
static void nothing_crashes(void **state)
{
	static const uint64_t values[] = {0, 1, 0xff, 0xffff, UINT64_MAX};
	struct fake *f = *state;
	uint8_t buf[64];

	for (unsigned int bar = 0; bar < VN_PCI_BARS; bar += 2) {
		struct vqnic_region_info info;

		function_region_info(f->fn, bar, &info);
		for (uint64_t off = 0; off < info.size && off < 0x5000; off++)
			for (unsigned int len = 1; len <= 9; len++) {
				uint64_t v = values[(off + len) % ARRAY_SIZE(values)];
				uint8_t in[16];

				memset(in, 0x5a, sizeof(in));
				memcpy(in, &v, sizeof(v));
				function_region_write(f->fn, bar, off, in, len);
				function_region_read(f->fn, bar, off, buf, len);
			}
	}
	for (unsigned int off = 0; off < VN_PCI_CONFIG_SIZE; off++)
		for (unsigned int len = 1; len <= sizeof(buf); len *= 2) {
			memset(buf, (int)(0xff - off), sizeof(buf));
			function_region_write(f->fn, 7, off, buf, len);
			function_region_read(f->fn, 7, off, buf, len);
		}
	fake_deliver(f);
}

static void structure_ends_with_the_features(void **state)
{
	static const struct {
		unsigned int bit, length;
	} steps[] = {{VN_F_VERSION_1, 0x38},
		     {VN_F_NOTIF_CONFIG_DATA, 0x3a},
		     {VN_F_RING_RESET, 0x3c},
		     {VN_F_ADMIN_VQ, 0x40}};
	struct fake *f = *state;

	f->profile.features = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(steps); i++) {
		unsigned int cap;

		f->profile.features |= VN_BIT(steps[i].bit);
		assert_int_equal(fake_restart(f, NULL), 0);
		cap = fake_cap(f, VN_PCI_CAP_VENDOR, 0);
		assert_int_equal(fake_cfg(f, cap + VN_VIRTIO_CAP_LENGTH, 4), steps[i].length);
		if (steps[i].length < VN_COMMON_SIZE)
			assert_int_equal(fake_common(f, steps[i].length, 2), 0xffff);
		if (steps[i].length > VN_COMMON_QUEUE_NOTIFY_DATA)
			assert_int_not_equal(fake_common(f, steps[i].length - 2, 2), 0xffff);
	}
	assert_int_equal(fake_common(f, VN_COMMON_ADMIN_QUEUE_INDEX, 2), FAKE_QUEUES);
	assert_int_equal(fake_common(f, VN_COMMON_ADMIN_QUEUE_NUM, 2), 0);
}

static void vectors_read_back(void **state)
{
	struct fake *f = *state;

	assert_int_equal(fake_common(f, VN_COMMON_CONFIG_VECTOR, 2), VN_NO_VECTOR);
	fake_common_write(f, VN_COMMON_CONFIG_VECTOR, 2, 9);
	assert_int_equal(fake_common(f, VN_COMMON_CONFIG_VECTOR, 2), 9);
	fake_common_write(f, VN_COMMON_CONFIG_VECTOR, 2, 10);
	assert_int_equal(fake_common(f, VN_COMMON_CONFIG_VECTOR, 2), VN_NO_VECTOR);
	for (unsigned int q = 0; q < FAKE_QUEUES; q++) {
		fake_common_write(f, VN_COMMON_QUEUE_SELECT, 2, q);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_VECTOR, 2), VN_NO_VECTOR);
		fake_common_write(f, VN_COMMON_QUEUE_VECTOR, 2, (q + 1) % FAKE_QUEUES);
	}
	for (unsigned int q = 0; q < FAKE_QUEUES; q++) {
		fake_common_write(f, VN_COMMON_QUEUE_SELECT, 2, q);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_VECTOR, 2), (q + 1) % FAKE_QUEUES);
		fake_common_write(f, VN_COMMON_QUEUE_VECTOR, 2, 0x7ff);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_VECTOR, 2), VN_NO_VECTOR);
	}
}

static void interrupts_by_vector(void **state)
{
	struct fake *f = *state;
	int config = fake_listen(f, VQNIC_IRQ_MSIX, 0), queue = fake_listen(f, VQNIC_IRQ_MSIX, 4);
	int intx = fake_listen(f, VQNIC_IRQ_INTX, 0);

	fake_msix_enable(f, true);
	fake_queue_irq(f, 2); /* no vectors yet: nothing but the configuration bit of ISR */
	fake_config_change(f);
	fake_deliver(f);
	assert_int_equal(fake_heard(config) + fake_heard(queue) + fake_heard(intx), 0);
	assert_int_equal(fake_rd(f, 0, f->isr, 1), VN_ISR_CONFIG);

	fake_common_write(f, VN_COMMON_CONFIG_VECTOR, 2, 0);
	fake_common_write(f, VN_COMMON_QUEUE_SELECT, 2, 2);
	fake_common_write(f, VN_COMMON_QUEUE_VECTOR, 2, 4);
	fake_queue_irq(f, 2);
	fake_queue_irq(f, 1);
	fake_deliver(f);
	assert_int_equal(fake_heard(queue), 1);
	assert_int_equal(fake_heard(config), 0);
	assert_int_equal(fake_rd(f, 0, f->isr, 1), 0); /* not the queue bit with MSI-X */
	fake_config_change(f);
	fake_deliver(f);
	assert_int_equal(fake_heard(config), 1);
	assert_false(fake_cfg(f, VN_PCI_STATUS, 2) & VN_PCI_STATUS_INTERRUPT);

	/* MSI-X off with the configuration bit still set: the line follows ISR again. */
	fake_msix_enable(f, false);
	assert_int_equal(fake_heard(intx), 1);
	assert_int_equal(fake_rd(f, 0, f->isr, 1), VN_ISR_CONFIG);
	close(config);
	close(queue);
	close(intx);
}

static void reset_by_status(void **state)
{
	struct fake *f = *state;
	bool keeps = f->profile.personality == PERSONALITY_IFCVF;

	fake_common_write(f, VN_COMMON_CONFIG_VECTOR, 2, 8);
	fake_common_write(f, VN_COMMON_STATUS, 1, 0xf);
	fake_common_write(f, VN_COMMON_QUEUE_SELECT, 2, 5);
	fake_common_write(f, VN_COMMON_QUEUE_VECTOR, 2, 5);
	fake_common_write(f, VN_COMMON_QUEUE_ENABLE, 2, 1);
	fake_config_change(f);
	fake_deliver(f);

	f->dev->slow = true;
	fake_common_write(f, VN_COMMON_STATUS, 1, 0);
	assert_int_equal(fake_common(f, VN_COMMON_STATUS, 1), 0xf); /* not ended yet */
	fake_finish(f->dev);
	assert_int_equal(fake_common(f, VN_COMMON_STATUS, 1), 0);
	assert_int_equal(fake_rd(f, 0, f->isr, 1), 0);
	assert_int_equal(fake_common(f, VN_COMMON_QUEUE_SELECT, 2), 0);
	fake_common_write(f, VN_COMMON_QUEUE_SELECT, 2, 5);
	assert_int_equal(fake_common(f, VN_COMMON_QUEUE_ENABLE, 2), 0);
	assert_int_equal(fake_common(f, VN_COMMON_QUEUE_VECTOR, 2), keeps ? 5 : VN_NO_VECTOR);
	assert_int_equal(fake_common(f, VN_COMMON_CONFIG_VECTOR, 2), keeps ? 8 : VN_NO_VECTOR);
}

static void queue_enable_and_reset(void **state)
{
	struct fake *f = *state;
	bool stops = f->profile.personality == PERSONALITY_IFCVF;

	fake_common_write(f, VN_COMMON_QUEUE_SELECT, 2, 1);
	fake_common_write(f, VN_COMMON_QUEUE_ENABLE, 2, 2); /* neither 0 nor 1 */
	assert_int_equal(fake_common(f, VN_COMMON_QUEUE_ENABLE, 2), 0);
	fake_common_write(f, VN_COMMON_QUEUE_ENABLE, 2, 1);
	fake_common_write(f, VN_COMMON_QUEUE_ENABLE, 2, 0);
	assert_int_equal(f->dev->vqs[1].enabled, !stops);

	fake_common_write(f, VN_COMMON_QUEUE_RESET, 2, 1); /* not negotiated */
	assert_int_equal(fake_common(f, VN_COMMON_QUEUE_RESET, 2), 0);
	f->dev->driver_features = VN_BIT(VN_F_RING_RESET);
	fake_common_write(f, VN_COMMON_QUEUE_ENABLE, 2, 1);
	fake_common_write(f, VN_COMMON_QUEUE_RESET, 2, 1);
	assert_int_equal(fake_common(f, VN_COMMON_QUEUE_RESET, 2), 1);
	assert_int_equal(fake_common(f, VN_COMMON_QUEUE_ENABLE, 2), 0);
	f->dev->vqs[1].resetting = false;
	assert_int_equal(fake_common(f, VN_COMMON_QUEUE_RESET, 2), 0);
}

static void doorbells(void **state)
{
	struct fake *f = *state;

	assert_int_equal(f->multiplier, 4096);
	for (unsigned int q = 0; q < FAKE_QUEUES; q++)
		fake_wr(f, 0, f->notify + q * 4096, 2, q);
	for (unsigned int q = 0; q < FAKE_QUEUES; q++)
		assert_int_equal(f->dev->vqs[q].notified, 1);

	fake_wr(f, 0, f->notify, 2, 1);	     /* another queue's number */
	fake_wr(f, 0, f->notify, 2, 0xffff); /* no queue's */
	fake_wr(f, 0, f->notify + 2, 2, 0);
	fake_wr(f, 0, f->notify, 4, 0); /* too wide, not negotiated */
	fake_wr(f, 0, f->notify, 1, 0);
	assert_int_equal(f->dev->vqs[0].notified, 1);
	assert_int_equal(f->dev->vqs[1].notified, 1);
	assert_int_equal(fake_rd(f, 0, f->notify, 2), 0);

	f->dev->driver_features = VN_BIT(VN_F_NOTIFICATION_DATA);
	fake_wr(f, 0, f->notify + 4096, 4, 0x77770001);
	fake_wr(f, 0, f->notify + 4096, 2, 1); /* vhost-vdpa rings so all the same */
	assert_int_equal(f->dev->vqs[1].notified, 3);

	f->profile.notify_multiplier = 0; /* one doorbell for all */
	assert_int_equal(fake_restart(f, NULL), 0);
	for (unsigned int q = 0; q < FAKE_QUEUES; q++) {
		fake_common_write(f, VN_COMMON_QUEUE_SELECT, 2, q);
		assert_int_equal(fake_common(f, VN_COMMON_QUEUE_NOTIFY_OFF, 2), 0);
		fake_wr(f, 0, f->notify, 2, q);
		assert_int_equal(f->dev->vqs[q].notified, 1);
	}
}

static void doorbells_by_memory(void **state)
{
	struct fake *f = *state;
	struct vqnic_region_info info;
	struct vqnic_error err = {""};
	uint8_t *page;

	f->profile.notify_mmap = true;
	assert_int_equal(fake_restart(f, &err), 0);
	assert_int_equal(function_region_info(f->fn, 0, &info), 0);
	assert_true(info.flags & VQNIC_REGION_MMAP);
	assert_int_equal(info.nr_areas, 1);
	assert_int_equal(info.areas[0].offset, f->notify);
	assert_int_equal(info.areas[0].size, FAKE_QUEUES * 4096);
	page = mmap(NULL, info.areas[0].size, PROT_READ | PROT_WRITE, MAP_SHARED, info.fd,
		    (off_t)info.areas[0].offset);
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_not_equal(ftruncate(info.fd, 0), 0); /* sealed */

	assert_int_equal(function_poll_doorbells(f->fn), 0);
	*(volatile uint16_t *)(void *)page = 0;
	*(volatile uint16_t *)(void *)(page + 3 * 4096) = 3;
	*(volatile uint16_t *)(void *)(page + 4 * 4096) = 99; /* nonsense */
	assert_int_equal(function_poll_doorbells(f->fn), 3);
	assert_int_equal(f->dev->vqs[0].notified, 1);
	assert_int_equal(f->dev->vqs[3].notified, 1);
	assert_int_equal(f->dev->vqs[4].notified, 0);
	assert_int_equal(function_poll_doorbells(f->fn), 0);
	munmap(page, info.areas[0].size);

	f->profile.notify_multiplier = 2;
	assert_int_equal(fake_restart(f, &err), -EINVAL);
	assert_non_null(strstr(err.text, "notify_mmap"));
	f->profile.notify_mmap = false;
	assert_int_equal(fake_restart(f, &err), 0);
	assert_int_equal(function_poll_doorbells(f->fn), 0);
}

static void device_configuration_is_bytes(void **state)
{
	struct fake *f = *state;

	for (unsigned int i = 0; i < 24; i++)
		assert_int_equal(fake_rd(f, 0, f->device + i, 1), 0x10 + i);
	assert_int_equal(fake_rd(f, 0, f->device + 6, 2), 0x1716);
	assert_int_equal(fake_rd(f, 0, f->device + 20, 4), 0x27262524);
	assert_int_equal(fake_rd(f, 0, f->device + 16, 8), UINT64_C(0x2726252423222120));
	assert_int_equal(fake_rd(f, 0, f->device + 24, 8), 0);	  /* padding */
	assert_int_equal(fake_rd(f, 0, f->device + 64, 1), 0xff); /* beyond */
	assert_int_equal(fake_rd(f, 0, f->device + 1, 2), 0xffff);
	fake_wr(f, 0, f->device + 2, 2, 0xbbaa);
	assert_int_equal(f->dev->config[2], 0xaa);
	fake_wr(f, 0, f->device + 24, 1, 0);
	fake_config_change(f);
	assert_int_equal(fake_common(f, VN_COMMON_GENERATION, 1), 1);
}

static void access_through_config_space(void **state)
{
	struct fake *f = *state;
	unsigned int cap = f->pci_cap;
	uint8_t all[256];

	fake_cfg_write(f, cap + VN_VIRTIO_CAP_BAR, 1, 0);
	fake_cfg_write(f, cap + VN_VIRTIO_CAP_OFFSET, 4, f->common + VN_COMMON_STATUS);
	fake_cfg_write(f, cap + VN_VIRTIO_CAP_LENGTH, 4, 1);
	fake_cfg_write(f, cap + VN_VIRTIO_CAP_EXTRA, 1, 3);
	assert_int_equal(f->dev->status, 3);
	assert_int_equal(fake_cfg(f, cap + VN_VIRTIO_CAP_EXTRA, 1), 3);

	fake_cfg_write(f, cap + VN_VIRTIO_CAP_OFFSET, 4, f->common + VN_COMMON_NUM_QUEUES);
	fake_cfg_write(f, cap + VN_VIRTIO_CAP_LENGTH, 4, 2);
	assert_int_equal(fake_cfg(f, cap + VN_VIRTIO_CAP_EXTRA, 2), FAKE_QUEUES);

	/* A copy of the whole space reads no register: ISR would be lost. */
	fake_cfg_write(f, cap + VN_VIRTIO_CAP_OFFSET, 4, f->isr);
	fake_cfg_write(f, cap + VN_VIRTIO_CAP_LENGTH, 4, 1);
	fake_config_change(f);
	fake_deliver(f);
	assert_int_equal(function_region_read(f->fn, 7, 0, all, sizeof(all)), 0);
	assert_int_equal(fake_cfg(f, cap + VN_VIRTIO_CAP_EXTRA, 1), VN_ISR_CONFIG);
	assert_int_equal(fake_cfg(f, cap + VN_VIRTIO_CAP_EXTRA, 1), 0);

	/* Nonsense does nothing. */
	fake_cfg_write(f, cap + VN_VIRTIO_CAP_OFFSET, 4, 0xfffffffe);
	fake_cfg_write(f, cap + VN_VIRTIO_CAP_LENGTH, 4, 4);
	fake_cfg_write(f, cap + VN_VIRTIO_CAP_EXTRA, 4, 0);
	fake_cfg_write(f, cap + VN_VIRTIO_CAP_BAR, 1, 2);
	fake_cfg_write(f, cap + VN_VIRTIO_CAP_OFFSET, 4, 0);
	fake_cfg_write(f, cap + VN_VIRTIO_CAP_EXTRA, 4, 0);
	assert_int_equal(f->dev->status, 3);
}

#define TEST(f)	 cmocka_unit_test_setup_teardown(f, fake_virtio_pci, fake_teardown)
#define ITEST(f) cmocka_unit_test_setup_teardown(f, fake_ifcvf, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(features_by_halves),
		ITEST(selects_are_separate),
		TEST(queue_registers),
		TEST(no_such_queue),
		TEST(odd_widths),
		TEST(nothing_crashes),
		ITEST(nothing_crashes),
		TEST(structure_ends_with_the_features),
		TEST(vectors_read_back),
		TEST(interrupts_by_vector),
		TEST(reset_by_status),
		ITEST(reset_by_status),
		TEST(queue_enable_and_reset),
		ITEST(queue_enable_and_reset),
		TEST(doorbells),
		TEST(doorbells_by_memory),
		TEST(device_configuration_is_bytes),
		TEST(access_through_config_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
