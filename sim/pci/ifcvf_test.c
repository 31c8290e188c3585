/* SPDX-License-Identifier: BSD-3-Clause */
/* The live-migration BAR, as Linux 6.1, Linux 6.12 and DPDK access it. */
#include "fake_test.h"

static unsigned int word_of(const struct fake *f, unsigned int q)
{
	if (f->profile.lm_layout == LM_LAYOUT_DPDK)
		return 0x20 + (q / 2) * 0x40 + (q % 2) * 4;
	return 0x20 + 4 * q;
}

static int linux_layout(void **state)
{
	return fake_ifcvf(state);
}

static int dpdk_layout(void **state)
{
	struct fake *f;

	if (fake_ifcvf(state))
		return -1;
	f = *state;
	f->profile.lm_layout = LM_LAYOUT_DPDK;
	return fake_restart(f, NULL);
}

static void words_are_apart(void **state)
{
	struct fake *f = *state;

	for (unsigned int q = 0; q < FAKE_QUEUES; q++)
		fake_wr(f, 4, word_of(f, q), 4, (100 + q) << 16 | (200 + q));
	for (unsigned int q = 0; q < FAKE_QUEUES; q++) {
		assert_int_equal(f->dev->vqs[q].pos.avail, 200 + q);
		assert_int_equal(f->dev->vqs[q].pos.used, 100 + q);
		assert_false(f->dev->vqs[q].pos.used_from_ring);
		assert_int_equal(fake_rd(f, 4, word_of(f, q), 4), (100 + q) << 16 | (200 + q));
		assert_int_equal(fake_rd(f, 4, word_of(f, q), 2), 200 + q);
		assert_int_equal(fake_rd(f, 4, word_of(f, q) + 2, 2), 100 + q);
	}
}

/* Linux writes 16 bits; where the used index stands is in the used ring. */
static void available_alone(void **state)
{
	struct fake *f = *state;

	fake_wr(f, 4, word_of(f, 1), 2, 0xfff0);
	assert_int_equal(f->dev->vqs[1].pos.avail, 0xfff0);
	assert_true(f->dev->vqs[1].pos.used_from_ring);
	fake_wr(f, 4, word_of(f, 1) + 2, 2, 0xffee);
	assert_int_equal(f->dev->vqs[1].pos.avail, 0xfff0);
	assert_int_equal(f->dev->vqs[1].pos.used, 0xffee);
	assert_false(f->dev->vqs[1].pos.used_from_ring);
	assert_int_equal(f->dev->vqs[0].pos.avail, 0);
}

static void packed_words(void **state)
{
	struct fake *f = *state;

	f->dev->driver_features = VN_BIT(VN_F_RING_PACKED);
	fake_wr(f, 4, word_of(f, 0), 4, 0x00058007);
	assert_int_equal(f->dev->vqs[0].pos.avail, 7);
	assert_true(f->dev->vqs[0].pos.avail_wrap);
	assert_int_equal(f->dev->vqs[0].pos.used, 5);
	assert_false(f->dev->vqs[0].pos.used_wrap);
	assert_int_equal(fake_rd(f, 4, word_of(f, 0), 4), 0x00058007);
}

static void running_queue_keeps_its_place(void **state)
{
	struct fake *f = *state;

	f->dev->vqs[0].pos = (struct vq_pos){.avail = 7, .used = 7};
	fake_common_write(f, VN_COMMON_QUEUE_ENABLE, 2, 1);
	fake_wr(f, 4, word_of(f, 0), 4, 0);
	assert_int_equal(fake_rd(f, 4, word_of(f, 0), 4), 0x00070007);
	fake_common_write(f, VN_COMMON_QUEUE_ENABLE, 2, 0);
	assert_int_equal(fake_rd(f, 4, word_of(f, 0), 4), 0x00070007); /* until the status write */
	fake_common_write(f, VN_COMMON_STATUS, 1, 0);
	assert_int_equal(fake_rd(f, 4, word_of(f, 0), 4), 0);
}

static void dirty_log(void **state)
{
	struct fake *f = *state;

	fake_wr(f, 4, VN_LM_CONTROL, 4, VN_LM_CONTROL_VF); /* no log to write to */
	assert_false(f->dev->log_active);
	assert_int_equal(fake_rd(f, 4, VN_LM_CONTROL, 4), 0);

	/* DPDK: halves */
	fake_wr(f, 4, VN_LM_LOG_BASE, 4, 0x1000);
	fake_wr(f, 4, VN_LM_LOG_BASE + 4, 4, 0x1000);
	fake_wr(f, 4, VN_LM_LOG_END, 4, 0x9000);
	fake_wr(f, 4, VN_LM_LOG_END + 4, 4, 0x1000);
	fake_wr(f, 4, VN_LM_CONTROL, 4, VN_LM_CONTROL_VF);
	assert_true(f->dev->log_active);
	assert_int_equal(f->dev->log_base, UINT64_C(0x100000001000));
	assert_int_equal(f->dev->log_end, UINT64_C(0x100000009000));
	assert_int_equal(fake_rd(f, 4, VN_LM_CONTROL, 4), VN_LM_CONTROL_VF);
	fake_wr(f, 4, VN_LM_CONTROL, 4, 2); /* means nothing */
	assert_true(f->dev->log_active);

	/* What is in flight at a reset is still logged; the driver switches the log off after it.
	 */
	fake_common_write(f, VN_COMMON_STATUS, 1, 0);
	assert_true(f->dev->log_active);
	fake_wr(f, 4, VN_LM_CONTROL, 4, VN_LM_CONTROL_OFF);
	assert_false(f->dev->log_active);

	/* whole registers, as Linux' structure has them */
	fake_wr(f, 4, VN_LM_LOG_BASE, 8, UINT64_C(0x200000000000));
	fake_wr(f, 4, VN_LM_LOG_END, 8, UINT64_C(0x200000001000));
	fake_wr(f, 4, VN_LM_CONTROL, 8, VN_LM_CONTROL_PF);
	assert_int_equal(f->dev->log_base, UINT64_C(0x200000000000));
	assert_int_equal(fake_rd(f, 4, VN_LM_LOG_END, 8), UINT64_C(0x200000001000));
	assert_int_equal(fake_rd(f, 4, VN_LM_STATUS, 8), 0);

	function_reset(f->fn);
	assert_false(f->dev->log_active);
	assert_int_equal(fake_rd(f, 4, VN_LM_CONTROL, 8), 0);
	assert_int_equal(fake_rd(f, 4, VN_LM_LOG_BASE, 8), 0);
}

/* The register for queue pairs is there in DPDK's layout; in the other it is queue 2's word. */
static void queue_pairs(void **state)
{
	struct fake *f = *state;

	fake_wr(f, 4, VN_LM_MQ, 4, 3);
	assert_int_equal(fake_rd(f, 4, VN_LM_MQ, 4), 3);
	if (f->profile.lm_layout == LM_LAYOUT_DPDK) {
		assert_int_equal(f->dev->pairs, 3);
		fake_common_write(f, VN_COMMON_STATUS, 1, 0);
		assert_int_equal(fake_rd(f, 4, VN_LM_MQ, 4), 0);
		assert_int_equal(f->dev->pairs, 0);
	} else {
		assert_int_equal(f->dev->pairs, 0);
		assert_int_equal(f->dev->vqs[2].pos.avail, 3);
	}
}

static void holes(void **state)
{
	struct fake *f = *state;

	assert_int_equal(fake_rd(f, 4, word_of(f, 0), 1), 0xff);
	assert_int_equal(fake_rd(f, 4, word_of(f, FAKE_QUEUES), 4), 0xffffffff);
	assert_int_equal(fake_rd(f, 4, 0xffc, 4), 0xffffffff);
	assert_int_equal(fake_rd(f, 4, 0xff8, 8), UINT64_MAX);
	fake_wr(f, 4, word_of(f, FAKE_QUEUES), 4, 1);
	fake_wr(f, 4, VN_LM_CONTROL, 2, 1); /* too narrow */
	fake_wr(f, 4, VN_LM_LOG_BASE, 1, 1);
	assert_int_equal(fake_rd(f, 4, VN_LM_CONTROL, 4), 0);
	assert_int_equal(fake_rd(f, 4, VN_LM_LOG_BASE, 4), 0);
}

#define LTEST(f) cmocka_unit_test_setup_teardown(f, linux_layout, fake_teardown)
#define DTEST(f) cmocka_unit_test_setup_teardown(f, dpdk_layout, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LTEST(words_are_apart),
		DTEST(words_are_apart),
		LTEST(available_alone),
		DTEST(available_alone),
		LTEST(packed_words),
		LTEST(running_queue_keeps_its_place),
		DTEST(running_queue_keeps_its_place),
		LTEST(dirty_log),
		LTEST(queue_pairs),
		DTEST(queue_pairs),
		LTEST(holes),
		DTEST(holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
