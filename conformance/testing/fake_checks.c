/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks that end in every way a check can end, to drive the runner through all of its paths
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testing/fake.h"

CHECK(ends, passes, .requirements = "VDPA-VQ-014", .summary = "passes")
{
	t_step(t, "nothing");
}

CHECK(ends, passes_with_note, .requirements = "VDPA-VQ-014")
{
	t_note(t, "measured %d frames", 3);
}

CHECK(ends, fails, .requirements = "VDPA-VQ-014 OPS-VQ-021")
{
	t_step(t, "set a base of %d", 65530);
	t_step(t, "read it back");
	printf("said on the way\n");
	parent_reset(t_parent(t));
	t_expect_eq(t, 3, 4, "used index");
}

CHECK(ends, fails_loudly, .requirements = "VDPA-VQ-014")
{
	t_fail(t, "hostile: [FAIL] FAIL: # SKIP \033[31m \xff <&\"'> ]]> \xe2\x82\xac %s", "x");
}

CHECK(ends, skips, .requirements = "VDPA-VQ-014")
{
	t_skip(t, SKIP_FEATURE, "not # today");
}

CHECK(ends, breaks, .requirements = "VDPA-VQ-014")
{
	t_broken(t, "no memory is left");
}

CHECK(ends, hangs, .requirements = "VDPA-VQ-014", .timeout_ms = 200)
{
	t_step(t, "wait for ever");
	for (;;)
		pause();
}

CHECK(ends, hangs_in_parent_deaf, .requirements = "VDPA-VQ-014", .timeout_ms = 200)
{
	signal(SIGTERM, SIG_IGN);
	t_parent(t)->inside = "kick";
	for (;;)
		pause();
}

CHECK(ends, crashes, .requirements = "VDPA-VQ-014")
{
	(void)t;
	raise(SIGSEGV);
}

CHECK(ends, parent_crashes, .requirements = "VDPA-VQ-014")
{
	t_parent(t)->inside = "kick";
	abort();
}

CHECK(ends, parent_dies, .requirements = "VDPA-VQ-014")
{
	t_parent(t)->dead = true;
}

CHECK(ends, exits, .requirements = "VDPA-VQ-014")
{
	(void)t;
	exit(0);
}

CHECK(ends, is_killed, .requirements = "VDPA-VQ-014")
{
	(void)t;
	kill(getpid(), SIGKILL);
}

CHECK(ends, floods, .requirements = "VDPA-VQ-014")
{
	for (int i = 0; i < 100000; i++)
		printf("a line that nobody wants to read, number %d\n", i);
	for (int i = 0; i < 1000; i++)
		t_step(t, "step %d", i);
	t_fail(t, "and then it failed");
}

/* Faster than anybody reads, and it never stops. */
CHECK(ends, floods_for_ever, .requirements = "VDPA-VQ-014", .timeout_ms = 300)
{
	static char much[65536];

	memset(much, 'x', sizeof(much));
	for (;;) {
		if (write(STDOUT_FILENO, much, sizeof(much)) < 0)
			t_broken(t, "the log is closed");
		t_step(t, "step");
	}
}

/* The runner must not spin on pipes that have ended. */
CHECK(ends, closes_pipes, .requirements = "VDPA-VQ-014", .timeout_ms = 1000)
{
	(void)t;
	for (int fd = 0; fd < 64; fd++)
		close(fd);
	for (;;)
		pause();
}

CHECK(ends, exits_in_parent, .requirements = "VDPA-VQ-014")
{
	t_parent(t)->inside = "kick";
	exit(7);
}

CHECK(ends, fails_then_crashes, .requirements = "VDPA-VQ-014")
{
	/* reset() after the check crashes, see fake_parent.c */
	setenv("FAKE_RESET_CRASHES", "1", 1);
	t_fail(t, "the first mistake");
}

CHECK(ends, overruns_memory, .requirements = "VDPA-VQ-014")
{
#ifdef __SANITIZE_ADDRESS__
	char *volatile memory = malloc(8);

	t_parent(t)->inside = "kick";
	if (memory)
		memory[8] = 'x';
	t_note(t, "%p", memory);
#else
	t_skip(t, SKIP_FEATURE, "not built with AddressSanitizer");
#endif
}

/* A child that outlives the check must not hold the run. */
CHECK(ends, leaves_child, .requirements = "VDPA-VQ-014")
{
	if (!fork()) {
		sleep(60);
		_exit(0);
	}
	t_note(t, "left a child");
}

/* Garbage in the frames: they go through the first descriptor behind the standard streams. */
CHECK(ends, writes_garbage, .requirements = "VDPA-VQ-014", .timeout_ms = 5000)
{
	(void)t;
	for (int fd = 3; fd < 64; fd++)
		if (write(fd, "garbage that is longer than a header", 36) < 0)
			continue;
	for (;;)
		pause();
}

CHECK(ends, random_is_stable, .requirements = "VDPA-VQ-014")
{
	uint64_t first = t_random(t);

	t_note(t, "random %llx %llx", (unsigned long long)first, (unsigned long long)t_random(t));
}

CHECK(needs, generation, .requirements = "VDPA-CFG-001", .needs = CAP_GENERATION)
{
	t_expect(t, t_has_feature(t, 32), "VIRTIO_F_VERSION_1 must be offered");
}

CHECK(needs, suspend, .requirements = "VDPA-SUSP-001", .needs = CAP_SUSPEND)
{
	t_fail(t, "never runs");
}

CHECK(needs, peer, .requirements = "VDPA-SUSP-001", .needs = CAP_PEER)
{
	t_fail(t, "never runs");
}

CHECK(needs, packed, .requirements = "VDPA-SUSP-001", .features = 1ull << 34)
{
	t_fail(t, "never runs");
}

CHECK(needs, courage, .requirements = "VDPA-SUSP-001", .flags = CHECK_DESTRUCTIVE)
{
	t_note(t, "destroyed");
}

/* Passes on every second attempt; the test names the file that counts. */
CHECK(skips, feature, .requirements = "VDPA-VQ-014")
{
	t_skip(t, SKIP_FEATURE, "found out on the way");
}

CHECK(skips, interface, .requirements = "VDPA-VQ-014")
{
	t_skip(t, SKIP_INTERFACE, "found out on the way");
}

CHECK(skips, peer, .requirements = "VDPA-VQ-014")
{
	t_skip(t, SKIP_PEER, "found out on the way");
}

CHECK(skips, destructive, .requirements = "VDPA-VQ-014")
{
	t_skip(t, SKIP_DESTRUCTIVE, "found out on the way");
}

/* Enough of them to be interrupted. */
CHECK(slow, first, .requirements = "VDPA-VQ-014")
{
	t_note(t, "quick after all");
}

CHECK(slow, second, .requirements = "VDPA-VQ-014")
{
	const char *path = getenv("FAKE_STARTED");
	FILE *file = path ? fopen(path, "we") : NULL;

	if (file) {
		fprintf(file, "%d\n", (int)getpid());
		fclose(file);
	}
	t_step(t, "wait to be interrupted");
	for (;;)
		pause();
}

CHECK(slow, third, .requirements = "VDPA-VQ-014")
{
	(void)t;
}

CHECK(retry, second_attempt, .requirements = "VDPA-VQ-014")
{
	const char *path = getenv("FAKE_ATTEMPTS");

	if (!path)
		return;
	if (access(path, F_OK)) {
		FILE *file = fopen(path, "we");

		if (file)
			fclose(file);
		t_fail(t, "not yet");
	}
}

CHECK(prove, sees_stated, .requirements = "VDPA-VQ-014")
{
	t_expect(t, strcmp(fake_defect(), "stated"), "the defect is seen");
}

CHECK(prove, sees_unstated, .requirements = "VDPA-VQ-027")
{
	t_expect(t, strcmp(fake_defect(), "unstated"), "the defect is seen");
}

CHECK(prove_idle, sees_nothing, .requirements = "VDPA-VQ-014")
{
	(void)t;
}
