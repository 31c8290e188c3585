/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A check: one function, its name, the requirements it verifies, what it needs
 *
 * How it works. CHECK() puts a description into a section of the program, which the runner walks.
 * Each check runs in a process of its own with a deadline, on a parent that was just opened and
 * reset; it ends by returning (PASS) or through one of the t_*() calls below, which do not return.
 * The runner then resets and closes the parent. So a check needs no clean-up of its own.
 *
 *	CHECK(vq_state, used_differs_from_available,
 *	      .requirements = "VDPA-VQ-014 OPS-VQ-021",
 *	      .summary = "a base whose used index differs from the available one is restored",
 *	      .needs = CAP_VQ_STATE_SET | CAP_TRAFFIC)
 *	{
 *		struct net *net = net_up(t, &(struct net_options){ .base = 65530 });
 *		…
 *		t_expect(t, used == 3, "3 buffers used after the restore, %u seen", used);
 *	}
 *
 * The dotted name is area.name: [a-z0-9_]+ each.
 */
#ifndef VC_CHECK_H
#define VC_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>

#include "parent/parent.h"

struct test;

#define CHECK_DESTRUCTIVE 1u /* may leave a real device unusable: opt-in on hardware */

/**
 * struct check - what CHECK() describes
 * @requirements: ids of the catalogue, separated by blanks; checked when the program is built
 * @needs:        CAP_* bits without which the check is skipped (kind "interface", "peer")
 * @features:     virtio features without which it is not applicable (skip kind "feature")
 * @timeout_ms:   deadline; 0 for the runner's default (10 s)
 */
struct check {
	const char *area;
	const char *name;
	const char *requirements;
	const char *summary;
	uint32_t needs;
	uint64_t features;
	uint32_t flags;
	unsigned int timeout_ms;
	const char *file;
	void (*run)(struct test *t);
};

#define CHECK(area_, name_, ...)                                                                  \
	static void check_##area_##_##name_(struct test *t);                                      \
	static const struct check check_desc_##area_##_##name_ = {.area = #area_,                 \
								  .name = #name_,                 \
								  .file = __FILE__,               \
								  .run = check_##area_##_##name_, \
								  __VA_ARGS__};                   \
	__attribute__((used, retain, section("vc_checks"))) static const struct check             \
		*const check_ptr_##area_##_##name_ = &check_desc_##area_##_##name_;               \
	static void check_##area_##_##name_(struct test *t)

/** enum verdict - how a check ended; XFAIL and XPASS are made by the runner from the errata */
enum verdict { V_PASS, V_FAIL, V_SKIP, V_BROKEN, V_XFAIL, V_XPASS };

enum skip_kind { SKIP_FEATURE, SKIP_INTERFACE, SKIP_PEER, SKIP_DESTRUCTIVE };

/** t_parent() - the parent under test */
struct parent *t_parent(struct test *t);

/** t_seed() - a random number that depends on the run's seed and the check's name alone */
uint64_t t_random(struct test *t);

/** t_has_feature() - does the device offer virtio feature @bit? */
bool t_has_feature(struct test *t, unsigned int bit);

/** t_step() - say what comes next; printed with a failure ("sequence of operations") */
void t_step(struct test *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** t_note() - a remark that the report shows whatever the verdict */
void t_note(struct test *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** t_fail() - the parent is wrong: what was expected, by which requirement, what was seen */
noreturn void t_fail(struct test *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** t_skip() - not applicable here, and why */
noreturn void t_skip(struct test *t, enum skip_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** t_broken() - the environment failed, not the parent */
noreturn void t_broken(struct test *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** t_expect() - fail unless @cond; the sentence says what was expected and what was seen */
#define t_expect(t, cond, ...)                  \
	do {                                    \
		if (!(cond))                    \
			t_fail(t, __VA_ARGS__); \
	} while (0)

/** t_expect_eq() - two numbers; the sentence names them */
#define t_expect_eq(t, seen, want, what)                                                  \
	do {                                                                              \
		uint64_t seen_ = (uint64_t)(seen), want_ = (uint64_t)(want);              \
		if (seen_ != want_)                                                       \
			t_fail(t, "%s: expected %llu (0x%llx), seen %llu (0x%llx)", what, \
			       (unsigned long long)want_, (unsigned long long)want_,      \
			       (unsigned long long)seen_, (unsigned long long)seen_);     \
	} while (0)

/** t_ok() - an operation of the parent must succeed; a parent that died fails the check */
#define t_ok(t, call)                                                              \
	do {                                                                       \
		int err_ = (call);                                                 \
		if (err_ < 0)                                                      \
			t_fail(t, "%s must succeed, it returned %d", #call, err_); \
	} while (0)

#endif
