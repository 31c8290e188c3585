/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The runner from outside: every way in which a check, a parent or a user can misbehave
 *
 * How it works. vqcert-fake is vqcert with a parent and checks of the tests' own (fake_parent.c,
 * fake_checks.c); it is run as a program, and its exit status and its reports are looked at.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "testing/command.h"

static json_t *document;

static json_t *parse(const char *text)
{
	json_error_t error;

	json_decref(document);
	document = json_loads(text, 0, &error);
	if (!document)
		fail_msg("no JSON: %s at %d: %.200s", error.text, error.line, text);
	return document;
}

/* Run one check on fake:ok, and give its object in the JSON report. */
static json_t *run_one(const char *parent, const char *check)
{
	json_t *checks = json_object_get(parse(say("run", parent, "-f", "json", check, NULL)->out),
					 "checks");

	assert_int_equal(json_array_size(checks), 1);
	return json_array_get(checks, 0);
}

static const char *text(json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

static void expect(const char *parent, const char *check, const char *verdict, const char *words)
{
	json_t *object = run_one(parent, check);

	if (strcmp(text(object, "verdict"), verdict) || !strstr(text(object, "diagnosis"), words))
		fail_msg("%s on %s must end as %s with '%s', it ended as %s: %s", check, parent,
			 verdict, words, text(object, "verdict"), text(object, "diagnosis"));
}

static void every_end_of_a_check(void **state)
{
	(void)state;
	expect("fake:ok", "ends.passes", "PASS", "");
	expect("fake:ok", "ends.fails", "FAIL", "used index: expected 4 (0x4), seen 3 (0x3)");
	expect("fake:ok", "ends.skips", "SKIP", "not # today");
	expect("fake:ok", "ends.breaks", "BROKEN", "no memory is left");
	expect("fake:ok", "ends.exits", "BROKEN", "exited with status 0, while running the check");
	expect("fake:ok", "ends.is_killed", "BROKEN", "killed by SIGKILL");
	expect("fake:ok", "ends.writes_garbage", "BROKEN", "something else than frames");
	expect("fake:ok", "ends.parent_dies", "FAIL", "the parent died");
}

static void a_crash_is_whose_it_is(void **state)
{
	(void)state;
	expect("fake:ok", "ends.crashes", "BROKEN", "while running the check");
	expect("fake:ok", "ends.parent_crashes", "FAIL", "inside kick");
	/* where the parent is not of this process, only the suite can have crashed in it */
	expect("fake:hardware", "ends.parent_crashes", "BROKEN", "inside kick");
}

/* What only a sanitizer sees is as good as a crash. */
static void a_sanitizers_report_is_whose_it_is(void **state)
{
	(void)state;
#ifdef __SANITIZE_ADDRESS__
	expect("fake:undefined", "ends.passes", "FAIL", "stopped by a sanitizer");
	expect("fake:overrun", "ends.passes", "FAIL", "stopped by a sanitizer inside close");
	assert_non_null(strstr(text(json_array_get(json_object_get(document, "checks"), 0), "log"),
			       "heap-buffer-overflow"));
#else
	skip();
#endif
}

static void a_deadline_ends_a_check(void **state)
{
	json_t *object;

	(void)state;
	expect("fake:ok", "ends.hangs", "FAIL", "no end within 0.2 s, while running the check");
	object = json_array_get(json_object_get(document, "checks"), 0);
	assert_string_equal(json_string_value(json_array_get(json_object_get(object, "steps"), 0)),
			    "wait for ever");
	/* what the parent did last is told, although the process had to be stopped */
	assert_int_equal(json_array_size(json_object_get(object, "operations")), 1);
	expect("fake:ok", "ends.hangs_in_parent_deaf", "FAIL", "no end within 0.2 s");
}

static void a_deadline_counts_for_closing_too(void **state)
{
	const struct said *said = say("run", "fake:close-hang", "-t", "0.2", "-f", "json",
				      "ends.passes", "ends.fails", NULL);
	json_t *checks = json_object_get(parse(said->out), "checks");

	(void)state;
	/* ends.fails comes first; its own failure is told, and the rest as well */
	assert_non_null(strstr(text(json_array_get(checks, 0), "diagnosis"), "used index"));
	assert_non_null(strstr(text(json_array_get(checks, 0), "diagnosis"), "; then no end"));
	assert_string_equal(text(json_array_get(checks, 1), "verdict"), "FAIL");
	assert_non_null(strstr(text(json_array_get(checks, 1), "diagnosis"), "closing the parent"));
}

static void a_parent_that_does_not_reset_fails(void **state)
{
	(void)state;
	expect("fake:never-reset", "ends.passes", "FAIL", "before the check the parent must reset");
	expect("fake:no-reset", "ends.passes", "FAIL", "after the check the parent must reset");
	expect("fake:no-reset", "ends.skips", "FAIL", "after the check the parent must reset");
	expect("fake:no-reset", "ends.fails", "FAIL", "used index");
	expect("fake:close-crash", "ends.passes", "FAIL", "inside close");
}

static void a_flood_costs_its_own_log_only(void **state)
{
	json_t *object;
	const char *last;

	(void)state;
	object = run_one("fake:ok", "ends.floods");
	assert_string_equal(text(object, "verdict"), "FAIL");
	assert_int_equal(strlen(text(object, "log")), 32 * 1024);
	assert_true(json_integer_value(json_object_get(object, "log_dropped_bytes")) > 4000000);
	last = json_string_value(json_array_get(json_object_get(object, "steps"), 63));
	assert_string_equal(last, "step 999");
	assert_int_equal(json_array_size(json_object_get(object, "steps")), 64);
}

static void what_a_check_leaves_does_not_hold_the_run(void **state)
{
	struct timespec from, to;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &from);
	expect("fake:ok", "ends.leaves_child", "PASS", "");
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true(to.tv_sec - from.tv_sec < 20);
}

static void skips_have_a_kind_and_a_reason(void **state)
{
	static const struct {
		const char *check, *kind;
	} skips[] = {{"needs.suspend", "interface"},
		     {"needs.peer", "peer"},
		     {"needs.packed", "feature"},
		     {"needs.courage", "destructive"},
		     {"ends.skips", "feature"}};

	(void)state;
	for (size_t i = 0; i < sizeof(skips) / sizeof(skips[0]); i++) {
		json_t *object = run_one("fake:hardware", skips[i].check);

		assert_string_equal(text(object, "verdict"), "SKIP");
		assert_string_equal(text(object, "skip_kind"), skips[i].kind);
		assert_true(*text(object, "diagnosis"));
	}
	expect("fake:hardware", "needs.generation", "PASS", "");
	/* a simulator can't be damaged */
	expect("fake:ok", "needs.courage", "PASS", "");
	assert_non_null(
		strstr(say("run", "fake:hardware", "--destructive", "needs.courage", NULL)->out,
		       "\nok 1 - needs.courage\n"));
}

/* ---- Exit status ------------------------------------------------------------------------------
 */

static void exit_statuses(void **state)
{
	(void)state;
	assert_int_equal(say("run", "fake:ok", "ends.passes", NULL)->status, 0);
	assert_int_equal(say("run", "fake:ok", "ends.passes", "ends.skips", NULL)->status, 0);
	assert_int_equal(say("run", "fake:ok", "ends.passes", "ends.fails", NULL)->status, 1);
	/* a failure outweighs a broken environment, and that a pass */
	assert_int_equal(say("run", "fake:ok", "ends.breaks", "ends.fails", NULL)->status, 1);
	assert_int_equal(say("run", "fake:ok", "ends.passes", "ends.breaks", NULL)->status, 3);
	assert_int_equal(say("run", "fake:ok", "needs.suspend", NULL)->status, 4);
	assert_int_equal(say("run", "fake:ok", "--exit-codes=meson", "needs.suspend", NULL)->status,
			 77);
	assert_int_equal(
		say("run", "fake:absent", "--exit-codes=meson", "ends.passes", NULL)->status, 99);
	assert_int_equal(say("run", "fake:ok", "--exit-codes=meson", "ends.fails", NULL)->status,
			 1);
}

static void wrong_usage_is_one_sentence_and_2(void **state)
{
	static const char *const wrong[][4] = {
		{"frobnicate"},
		{"run"},
		{"run", "fake:ok", "no.such_check"},
		{"run", "fake:ok", "-x", "no_such_area"},
		{"run", "fake:ok", "--format=xml"},
		{"run", "fake:ok", "--seed=-1"},
		{"run", "fake:ok", "--seed=12x"},
		{"run", "fake:ok", "--timeout=0"},
		{"run", "fake:ok", "--timeout=nan"},
		{"run", "fake:ok", "--jobs=0"},
		{"run", "fake:ok", "--retries=1000"},
		{"run", "fake:ok", "--exit-codes=automake"},
		{"run", "fake:ok", "--errata=/no/such/file"},
		{"run", "fake:ok", "--require=/no/such/file"},
		{"run", "fake:ok", "--no-such-option"},
		{"run", "other:ok"},
		{"run", "fake:\033[31m"},
		{"list", "no_such_area"},
		{"list", "--format=tap"},
		{"prove", "--format=tap"},
		{"prove", "fake:ok", "--defect=no_such"},
		{"prove", "fake:ok", "--checks=no_such"},
		{"trace", "--format=tap"},
		{"trace", "--area=no_such"},
		{"trace", "/no/such/report"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const struct said *said =
			say(wrong[i][0], wrong[i][1], wrong[i][2], wrong[i][3], NULL);

		if (said->status != 2 || !*said->err)
			fail_msg("%s %s %s: status %d, '%s'", wrong[i][0],
				 wrong[i][1] ? wrong[i][1] : "", wrong[i][2] ? wrong[i][2] : "",
				 said->status, said->err);
	}
	assert_int_equal(say(NULL, NULL)->status, 2);
}

static void a_parent_that_is_not_there_is_3(void **state)
{
	const struct said *said = say("run", "fake:absent", "-f", "json", NULL);

	(void)state;
	assert_int_equal(said->status, 3);
	assert_string_equal(said->err, "vqcert: there is no device; plug one in\n");
	assert_string_equal(text(parse(said->out), "error"), "there is no device; plug one in");
	said = say("run", "fake:absent", NULL);
	assert_string_equal(said->out,
			    "TAP version 13\nBail out! there is no device; plug one in\n");
	assert_non_null(
		strstr(say("run", "fake:absent", "-f", "junit", NULL)->out, "errors=\"1\""));
	said = say("run", "fake:silent", NULL);
	assert_int_equal(said->status, 3);
	assert_non_null(strstr(said->err, "fake:silent can't be opened: Input/output error"));
	said = say("run", "fake:mute", NULL);
	assert_int_equal(said->status, 3);
	assert_non_null(strstr(said->err, "features can't be read"));
}

static void a_parent_that_vanishes_is_not_waited_for(void **state)
{
	json_t *checks;
	size_t not_run = 0, at;
	json_t *check;

	(void)state;
	setenv("FAKE_COUNTER", scratch("opened"), 1);
	checks = json_object_get(parse(say("run", "fake:vanishing", "-j1", "-f", "json", "needs",
					   "prove", "ends.passes*", NULL)
					       ->out),
				 "checks");
	unsetenv("FAKE_COUNTER");
	assert_string_equal(text(json_array_get(checks, 0), "verdict"), "PASS");
	json_array_foreach(checks, at, check) not_run +=
		strstr(text(check, "diagnosis"), "not run: ") != NULL;
	assert_true(not_run >= 2);
}

/* ---- Required checks, errata, retries -------------------------------------------------------- */

static void a_required_check_must_not_be_skipped(void **state)
{
	const char *list = scratch_write("required", "# for a test\n needs.suspend  # this one\n"
						     "needs.generation\n");
	const struct said *said = say("run", "fake:ok", "-r", list, "needs", NULL);

	(void)state;
	assert_int_equal(said->status, 1);
	assert_non_null(strstr(said->out, "not ok 5 - needs.suspend"));
	assert_non_null(strstr(said->out, "required:2, but it can't run (interface)"));
	assert_int_equal(say("run", "fake:ok", "-r", scratch_write("r", "needs.generation"),
			     "needs", NULL)
				 ->status,
			 0);
	said = say("run", "fake:ok", "-r", scratch_write("r", "\nneeds.typo\n"), NULL);
	assert_int_equal(said->status, 2);
	assert_non_null(strstr(said->err, "/r:2: no check is called 'needs.typo'"));
	assert_int_equal(say("run", "fake:ok", "-r", scratch_write("r", "# none\n"), NULL)->status,
			 2);
}

static void an_erratum_expects_a_failure(void **state)
{
	const char *file = scratch_write("errata.ini", "[known-bug]\n"
						       "check = ends.fails\n"
						       "parent = fake:*\n"
						       "driver = fake\n"
						       "kernel = ..2.6, 3.0..\n"
						       "fix = 0123abcd (\"a title\")\n"
						       "text = The base is lost.\n");
	const struct said *said =
		say("run", "fake:ok", "--errata", file, "ends.fails", "ends.passes", NULL);

	(void)state;
	assert_int_equal(said->status, 0);
	assert_non_null(strstr(said->out,
			       "not ok 1 - ends.fails # TODO XFAIL: known bug known-bug: "
			       "The base is lost. Fixed by 0123abcd (\"a title\") Seen: "
			       "used index"));
	assert_non_null(
		strstr(said->out, "# Totals: pass:1 fail:0 xfail:1 xpass:0 skip:0 error:0"));
	/* an expected failure is no pass */
	assert_int_equal(say("run", "fake:ok", "--errata", file, "ends.fails", NULL)->status, 4);
	/* another driver */
	assert_int_equal(say("run", "fake:other", "--errata", file, "ends.fails", NULL)->status, 1);
	/* what passes although it can't fails the run */
	file = scratch_write("errata.ini", "[old]\ncheck = ends.passes\ntext = Gone.\n");
	said = say("run", "fake:ok", "--errata", file, "-f", "ktap", "ends.passes", NULL);
	assert_int_equal(said->status, 1);
	assert_non_null(strstr(said->out, "not ok 1 ends.passes # XPASS"));
}

static void a_second_attempt_says_so(void **state)
{
	json_t *object;
	const char *marker = scratch("attempts");

	(void)state;
	setenv("FAKE_ATTEMPTS", marker, 1);
	unlink(marker);
	parse(say("run", "fake:ok", "--retries=2", "-f", "json", "retry", NULL)->out);
	object = json_array_get(json_object_get(document, "checks"), 0);
	assert_string_equal(text(object, "verdict"), "PASS");
	assert_int_equal(json_integer_value(json_object_get(object, "attempts")), 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(object, "notes"), 0)),
			    "attempt 1 of 3 ended as FAIL (not yet)");
	unlink(marker);
	assert_non_null(
		strstr(say("run", "fake:ok", "--retries=1", "-f", "human", "retry", NULL)->out,
		       "1 of the passes on a later attempt"));
	unlink(marker);
	assert_int_equal(say("run", "fake:ok", "retry", NULL)->status, 1);
	unsetenv("FAKE_ATTEMPTS");
	parse(say("run", "fake:ok", "--retries=2", "-f", "json", "ends.fails", NULL)->out);
	object = json_array_get(json_object_get(document, "checks"), 0);
	assert_int_equal(json_integer_value(json_object_get(object, "attempts")), 3);
	assert_string_equal(text(object, "verdict"), "FAIL");
}

/* ---- Selection, seeds, interrupts ------------------------------------------------------------ */

static void selection(void **state)
{
	(void)state;
	assert_string_equal(say("list", "--format=names", "prove", NULL)->out,
			    "prove.sees_stated\nprove.sees_unstated\n");
	assert_string_equal(say("list", "--format=names", "*.sees_*", "-x", "prove", NULL)->out,
			    "prove_idle.sees_nothing\n");
	assert_string_equal(say("list", "--format=names", "VDPA-CFG-001", NULL)->out,
			    "needs.generation\n");
	assert_int_equal(say("run", "fake:ok", "prove", "-x", "prove", NULL)->status, 2);
	parse(say("--list", "--format=json", "needs", NULL)->out);
	assert_int_equal(json_integer_value(json_object_get(document, "schema")), 1);
	assert_int_equal(json_array_size(json_object_get(document, "checks")), 5);
}

static void the_same_seed_gives_the_same_numbers(void **state)
{
	char *first, *note;

	(void)state;
	note = strdup(strstr(say("run", "fake:ok", "-s7", "ends.random_is_stable", NULL)->out,
			     "# random"));
	first = strdup(strstr(say("run", "fake:ok", "-s7", "-j4", "ends", NULL)->out, "# random"));
	assert_memory_equal(first, note, 40);
	assert_memory_not_equal(
		strstr(say("run", "fake:ok", "-s8", "ends.random_is_stable", NULL)->out,
		       "# random"),
		note, 40);
	assert_non_null(
		strstr(say("run", "fake:ok", "-s7", "ends.passes", NULL)->out, "# seed 7\n"));
	free(first);
	free(note);
}

static void an_interrupt_leaves_a_report(void **state)
{
	const struct said *said;

	(void)state;
	say_interrupt_after(500);
	said = say("run", "fake:ok", "-j1", "-t", "30", "-f", "json", "ends.writes_garbage",
		   "ends.passes", "ends.hangs", "-o", scratch("interrupted"), NULL);
	/* quick machines may be through before it comes; all verdicts are told either way */
	parse(said->out);
	assert_int_equal(json_array_size(json_object_get(document, "checks")), 3);
}

/* ---- The other commands ---------------------------------------------------------------------- */

static void prove_tells_who_kills_whom(void **state)
{
	const struct said *said = say("prove", "fake:ok", "-f", "json", "-c", "prove*", NULL);
	json_t *defects;

	(void)state;
	/* one check is idle, one defect is killed for another reason only */
	assert_int_equal(said->status, 1);
	defects = json_object_get(parse(said->out), "defects");
	assert_int_equal(json_array_size(defects), 2);
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(json_array_get(defects, 0), "killed_by"), 0)),
			    "prove.sees_stated");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(json_array_get(defects, 1),
								 "killed_for_another_reason_by"),
						 0)),
		"prove.sees_unstated");
	assert_int_equal(json_array_size(json_object_get(document, "idle_checks")), 1);
	assert_int_equal(json_array_size(json_object_get(document, "survivors")), 0);

	assert_int_equal(
		say("prove", "fake:ok", "-c", "prove.sees_stated", "-d", "stated", NULL)->status,
		0);
	assert_int_equal(say("prove", "fake:ok", "--matrix", "-c", "prove.sees_stated", "-d",
			     "stated", NULL)
				 ->status,
			 0);
	/* a NIC that fails without any defect proves nothing */
	assert_int_equal(say("prove", "fake:ok", "-c", "prove.sees_stated", "-c", "ends.fails",
			     "-d", "stated", NULL)
				 ->status,
			 1);
	assert_int_equal(say("prove", "fake:absent", NULL)->status, 3);
	assert_non_null(
		strstr(say("prove", "fake:ok", "-f", "html", "-c", "prove", NULL)->out, "</html>"));
}

static void prove_fails_on_a_survivor(void **state)
{
	const struct said *said;

	(void)state;
	setenv("FAKE_SURVIVOR", "1", 1);
	said = say("prove", "fake:ok", "-c", "prove.sees_stated", NULL);
	unsetenv("FAKE_SURVIVOR");
	assert_int_equal(said->status, 1);
	assert_non_null(strstr(said->out, "(nobody)"));
}

static void trace_reads_reports(void **state)
{
	const char *report;
	char *text_of_report;
	json_t *rows, *row;
	size_t at, found = 0;

	(void)state;
	text_of_report = strdup(say("run", "fake:ok", "-f", "json", "ends", NULL)->out);
	report = scratch_write("report.json", text_of_report);
	free(text_of_report);
	rows = json_object_get(parse(say("trace", "-f", "json", report, NULL)->out),
			       "requirements");
	json_array_foreach(rows, at, row)
	{
		if (strcmp(text(row, "id"), "VDPA-VQ-014"))
			continue;
		found++;
		assert_string_equal(text(json_object_get(row, "verdicts"), "fake:ok"), "FAIL");
		assert_true(json_is_null(json_object_get(row, "why_none")));
		assert_string_equal(
			json_string_value(json_array_get(json_object_get(row, "defects"), 0)),
			"stated");
	}
	assert_int_equal(found, 1);
	assert_non_null(strstr(say("trace", "-f", "csv", NULL)->out, "\"no check yet\"\r\n"));
	assert_non_null(strstr(say("trace", "-f", "html", NULL)->out, "</html>"));
	assert_non_null(strstr(say("trace", "--open", NULL)->out, "no check yet"));
	assert_int_equal(say("trace", scratch_write("wrong.json", "{\"schema\": 2}"), NULL)->status,
			 2);
	assert_int_equal(say("trace", scratch_write("wrong.json", "{\"schema\""), NULL)->status, 2);
}

static void help_and_version(void **state)
{
	static const char *const commands[] = {"list", "run", "prove", "trace"};

	(void)state;
	assert_int_equal(say("--help", NULL)->status, 0);
	assert_int_equal(say("--version", NULL)->status, 0);
	for (size_t i = 0; i < 4; i++) {
		const struct said *said = say(commands[i], "--help", NULL);

		assert_int_equal(said->status, 0);
		assert_memory_equal(said->out, "usage: vqcert ", 14);
	}
	assert_non_null(strstr(say("run", "--help", NULL)->out, "fake:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_end_of_a_check),
		cmocka_unit_test(a_crash_is_whose_it_is),
		cmocka_unit_test(a_sanitizers_report_is_whose_it_is),
		cmocka_unit_test(a_deadline_ends_a_check),
		cmocka_unit_test(a_deadline_counts_for_closing_too),
		cmocka_unit_test(a_parent_that_does_not_reset_fails),
		cmocka_unit_test(a_flood_costs_its_own_log_only),
		cmocka_unit_test(what_a_check_leaves_does_not_hold_the_run),
		cmocka_unit_test(skips_have_a_kind_and_a_reason),
		cmocka_unit_test(exit_statuses),
		cmocka_unit_test(wrong_usage_is_one_sentence_and_2),
		cmocka_unit_test(a_parent_that_is_not_there_is_3),
		cmocka_unit_test(a_parent_that_vanishes_is_not_waited_for),
		cmocka_unit_test(a_required_check_must_not_be_skipped),
		cmocka_unit_test(an_erratum_expects_a_failure),
		cmocka_unit_test(a_second_attempt_says_so),
		cmocka_unit_test(selection),
		cmocka_unit_test(the_same_seed_gives_the_same_numbers),
		cmocka_unit_test(an_interrupt_leaves_a_report),
		cmocka_unit_test(prove_tells_who_kills_whom),
		cmocka_unit_test(prove_fails_on_a_survivor),
		cmocka_unit_test(trace_reads_reports),
		cmocka_unit_test(help_and_version),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	json_decref(document);
	return failed;
}
