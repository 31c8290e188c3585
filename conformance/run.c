/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>

#include "run.h"

/* A parent that can't be opened so often in a row is gone; more deadlines bring nothing. */
#define GIVE_UP_AFTER 3

struct running {
	struct run *run;
	const struct run_watcher *watcher;
	size_t next;
	/* checks to run again, as indices; each at most once at a time */
	size_t *again;
	size_t again_n;
	unsigned int unopened;
	char *gone;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

unsigned int run_timeout(const struct check *check, unsigned int timeout_ms)
{
	unsigned int own = check->timeout_ms ? check->timeout_ms : DEFAULT_TIMEOUT_MS;

	if (!timeout_ms)
		return own;
	return check->timeout_ms > timeout_ms ? check->timeout_ms : timeout_ms;
}

/* Give the check its result, and report every result that is next in the list's order. */
static void settle_result(struct running *running, size_t index, struct result *result)
{
	struct run *run = running->run;
	const struct erratum *erratum =
		errata_find(&run->errata, result->check, run->address, &run->probe, run->kernel);

	if (erratum)
		errata_apply(erratum, result);
	required_apply(&run->required, result);
	run->results[index] = *result;
	run->ended++;
	summary_add(&run->summary, result->verdict);
	for (; run->finished < run->checks.n && run->results[run->finished].check; run->finished++)
		if (running->watcher && running->watcher->result)
			running->watcher->result(running->watcher->ctx, run, run->finished);
}

static void settle_without_running(struct running *running, size_t index, enum verdict verdict,
				   enum skip_kind kind, char *diagnosis)
{
	struct result result = {.check = running->run->checks.v[index], .skip_kind = kind};

	/* notes of attempts that an interrupt kept from being repeated */
	result.notes = running->run->results[index].notes;
	result_set(&result, verdict, diagnosis);
	settle_result(running, index, &result);
}

static bool next(void *ctx, struct job *job)
{
	struct running *running = ctx;
	struct run *run = running->run;
	size_t index = 0;
	bool found = false;

	if (running->again_n) {
		index = running->again[--running->again_n];
		found = true;
	}
	while (!found && running->next < run->checks.n) {
		const struct check *check = run->checks.v[running->next];
		enum skip_kind kind = SKIP_INTERFACE;
		char *reason;

		index = running->next++;
		reason = check_inapplicable(check, &run->probe, run->destructive, &kind);
		if (reason)
			settle_without_running(running, index, V_SKIP, kind, reason);
		else if (running->gone)
			settle_without_running(running, index, V_BROKEN, 0, xstrdup(running->gone));
		else
			found = true;
	}
	if (!found)
		return false;
	*job = (struct job){
		.task = {.check = run->checks.v[index],
			 .address = run->address,
			 .peer = run->peer,
			 .defect = run->defect,
			 .seed = run->seed},
		.timeout_ms = run_timeout(run->checks.v[index], run->timeout_ms),
		.parent = &run->probe,
		.ctx = (void *)(uintptr_t)index,
	};
	return true;
}

static void note_unopened(struct running *running, const struct result *result)
{
	if (!result->no_parent) {
		running->unopened = 0;
		return;
	}
	if (++running->unopened >= GIVE_UP_AFTER && !running->gone)
		running->gone =
			xformat("not run: the parent could not be opened %u times in a row: %s",
				running->unopened, result->diagnosis);
}

/* Shall it run again? Keeps in the notes what the attempt ended with. */
static bool retry(struct running *running, size_t index, struct result *result)
{
	struct run *run = running->run;
	struct result *kept = &run->results[index];
	bool bad = result->verdict == V_FAIL || result->verdict == V_BROKEN;
	unsigned int attempt = kept->attempts + 1;
	char *note;

	if (!kept->attempts && (!bad || !run->retries))
		return false;
	result->attempts = attempt;
	note = xformat("attempt %u of %u ended as %s%s%s%s", attempt, run->retries + 1,
		       verdict_name(result->verdict), bad ? " (" : "", bad ? result->diagnosis : "",
		       bad ? ")" : "");
	text_clean(note);
	lines_add(&kept->notes, note);
	free(note);
	if (bad && attempt <= run->retries && !running->gone) {
		kept->attempts = attempt;
		result_free(result);
		running->again[running->again_n++] = index;
		return true;
	}
	/* the notes of all attempts go with the last result; .check unset marks it as not ended */
	for (size_t i = 0; i < result->notes.n; i++)
		lines_add(&kept->notes, result->notes.v[i]);
	lines_free(&result->notes);
	result->notes = kept->notes;
	kept->notes = (struct lines){0};
	return false;
}

static void done(void *ctx, const struct job *job, struct result *result,
		 const struct probe *probed)
{
	struct running *running = ctx;
	size_t index = (uintptr_t)job->ctx;

	(void)probed;
	note_unopened(running, result);
	if (!retry(running, index, result))
		settle_result(running, index, result);
}

static void tick(void *ctx)
{
	struct running *running = ctx;

	if (running->watcher && running->watcher->tick)
		running->watcher->tick(running->watcher->ctx, running->run);
}

void run_begin(struct run *run)
{
	struct utsname name;

	uname(&name);
	snprintf(run->kernel, sizeof(run->kernel), "%s", name.release);
	run->results = xcalloc(run->checks.n, sizeof(*run->results));
}

int run_checks(struct run *run, const struct run_watcher *watcher)
{
	static const struct engine_ops ops = {.next = next, .done = done, .tick = tick};
	struct running running = {.run = run, .watcher = watcher};
	uint64_t started = now_us();
	int err;

	running.again = xcalloc(run->checks.n, sizeof(*running.again));
	err = engine_run(&ops, &running, run->jobs ? run->jobs : engine_places(&run->probe));
	run->interrupted = err == -EINTR;
	if (run->interrupted)
		for (size_t i = 0; i < run->checks.n; i++)
			if (!run->results[i].check)
				settle_without_running(&running, i, V_BROKEN, 0,
						       xstrdup("not finished: the run was "
							       "interrupted"));
	run->duration_us = now_us() - started;
	free(running.again);
	free(running.gone);
	return run->interrupted ? 0 : err;
}

void run_free(struct run *run)
{
	for (size_t i = 0; run->results && i < run->checks.n; i++)
		result_free(&run->results[i]);
	free(run->results);
	free(run->checks.v);
	required_free(&run->required);
	errata_free(&run->errata);
	*run = (struct run){0};
}
