/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "frame.h"
#include "text.h"

#define TICK_MS	 200
#define GRACE_US 300000	 /* between asking a process for its last words and killing it */
#define STUCK_US 3000000 /* after SIGKILL: it hangs in the kernel and won't end */
#define READS	 64	 /* of a pipe in a turn: a process may write faster than it is read */

enum ending { RUNNING, ASKED, KILLED, STUCK };

/* A process while it runs. */
struct place {
	bool busy;
	pid_t pid;
	int pidfd, frames, log_fd;
	struct job job;
	struct result result;
	struct frame_reader reader;
	uint64_t started_us, deadline_us;
	enum ending ending;
	char phase[128];
	bool told_verdict, told_end, garbled, dead;
	bool frames_ended, log_ended; /* end of file: poll() would return at once for ever */
	bool crashed, exited;
	int crash_signal;
	char inside[96];
	char sentence[512];
	char *log;
	size_t log_used;
	bool probed;
	struct probe probe;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void keep_line(struct lines *lines, const char *text, size_t most)
{
	char *clean = xstrdup(text);

	text_clean(clean);
	if (lines->n == most)
		lines_drop_first(lines);
	lines_add(lines, clean);
	free(clean);
}

static void take_probe(struct probe *probe, const void *bytes)
{
	memcpy(probe, bytes, sizeof(*probe));
	/* a parent that scribbles over memory may have taken the terminators away */
	probe->info.kind[sizeof(probe->info.kind) - 1] = '\0';
	probe->info.address[sizeof(probe->info.address) - 1] = '\0';
	probe->info.driver[sizeof(probe->info.driver) - 1] = '\0';
	probe->settle[sizeof(probe->settle) - 1] = '\0';
}

static void take_frame(void *ctx, const struct frame *frame)
{
	struct place *place = ctx;
	struct result *result = &place->result;

	switch ((enum frame_type)frame->head.type) {
	case FRAME_PHASE:
		snprintf(place->phase, sizeof(place->phase), "%s", frame->text);
		break;
	case FRAME_STEP:
		keep_line(&result->steps, frame->text, RESULT_STEPS);
		break;
	case FRAME_NOTE:
		keep_line(&result->notes, frame->text, RESULT_NOTES);
		break;
	case FRAME_TRACE:
		keep_line(&result->trace, frame->text, PARENT_TRACE);
		break;
	case FRAME_VERDICT:
		if (frame->head.a < V_PASS || frame->head.a > V_BROKEN || frame->head.b < 0 ||
		    frame->head.b > SKIP_DESTRUCTIVE) {
			place->garbled = true;
			break;
		}
		place->told_verdict = true;
		result->skip_kind = (enum skip_kind)frame->head.b;
		result_set(result, (enum verdict)frame->head.a, xstrdup(frame->text));
		break;
	case FRAME_NO_PARENT:
		result->no_parent = frame->head.a ? frame->head.a : EIO;
		snprintf(place->sentence, sizeof(place->sentence), "%s", frame->text);
		text_clean(place->sentence);
		break;
	case FRAME_DEAD:
		place->dead = true;
		snprintf(place->inside, sizeof(place->inside), "%s", frame->text);
		break;
	case FRAME_LATE:
		snprintf(place->inside, sizeof(place->inside), "%s", frame->text);
		break;
	case FRAME_CRASH:
		place->crashed = true;
		place->crash_signal = frame->head.a;
		snprintf(place->inside, sizeof(place->inside), "%s", frame->text);
		break;
	case FRAME_EXIT:
		place->exited = true;
		snprintf(place->inside, sizeof(place->inside), "%s", frame->text);
		break;
	case FRAME_INFO:
		place->probed = frame->head.len == sizeof(place->probe);
		if (place->probed)
			take_probe(&place->probe, frame->text);
		break;
	case FRAME_END:
		place->told_end = true;
		break;
	case FRAME_TYPES:
		break;
	}
}

static void take_log(struct place *place)
{
	char buf[4096];

	for (unsigned int i = 0; i < READS; i++) {
		ssize_t got = read(place->log_fd, buf, sizeof(buf));
		size_t room = RESULT_LOG - place->log_used, keep;

		if (got <= 0) {
			place->log_ended = !got || (errno != EAGAIN && errno != EINTR);
			break;
		}
		keep = (size_t)got < room ? (size_t)got : room;
		if (!place->log)
			place->log = xcalloc(1, RESULT_LOG + 1);
		memcpy(place->log + place->log_used, buf, keep);
		place->log_used += keep;
		place->result.log_dropped += (size_t)got - keep;
	}
}

/* Take what has arrived. A process that writes no frames is of no use any more. */
static void take(struct place *place)
{
	if (!place->garbled) {
		int more = frame_read(&place->reader, place->frames, READS, take_frame, place);

		place->garbled = more < 0;
		place->frames_ended = more <= 0;
	}
	take_log(place);
}

/* The log, line by line clean. A NUL in it ends it. */
static void keep_log(struct place *place)
{
	char *line, *rest = place->log, *to;

	if (!rest)
		return;
	to = rest;
	while ((line = strsep(&rest, "\n"))) {
		size_t len;

		text_clean(line);
		len = strlen(line);
		memmove(to, line, len);
		to += len;
		if (rest)
			*to++ = '\n';
	}
	*to = '\0';
	place->result.log = place->log;
	place->log = NULL;
}

static const char *signal_name(int sig, char buf[24])
{
	const char *abbreviation = sigabbrev_np(sig);

	if (abbreviation)
		snprintf(buf, 24, "SIG%s", abbreviation);
	else
		snprintf(buf, 24, "signal %d", sig);
	return buf;
}

/* The process ended before it said so: by a crash, by exit(), by somebody's kill. */
static void decide_death(struct place *place, int status)
{
	struct result *result = &place->result;
	bool in_process = place->job.parent && probe_in_process(place->job.parent);
	char how[64], buf[24];
	const char *advice = "; a mistake of the suite: please report it";
	bool failed = result->verdict == V_FAIL;
	/* what went wrong before is not lost */
	char *first = xformat("%s%s", failed ? result->diagnosis : "", failed ? "; then " : "");

	if (place->crashed && !place->crash_signal) {
		snprintf(how, sizeof(how), "was stopped by a sanitizer");
	} else if (place->crashed) {
		snprintf(how, sizeof(how), "crashed with %s",
			 signal_name(place->crash_signal, buf));
	} else if (WIFSIGNALED(status)) {
		snprintf(how, sizeof(how), "was killed by %s", signal_name(WTERMSIG(status), buf));
		advice = "; did somebody end it, or did the machine run out of memory?";
	} else {
		snprintf(how, sizeof(how), "exited with status %d", WEXITSTATUS(status));
	}

	/* outside of the parent's operations it is the suite's own code that ran */
	if (in_process && (place->crashed || place->exited) && *place->inside) {
		result->parent_died = true;
		result_set(result, V_FAIL,
			   xformat("%sthe parent %s inside %s, while %s", first, how, place->inside,
				   place->phase));
		free(first);
		return;
	}
	result_set(result, failed ? V_FAIL : V_BROKEN,
		   xformat("%sthe check's process %s, while %s%s%s%s", first, how, place->phase,
			   *place->inside ? ", inside " : "", place->inside, advice));
	free(first);
}

static void decide_timeout(struct place *place)
{
	struct result *result = &place->result;
	bool in_process = place->job.parent && probe_in_process(place->job.parent);
	bool opening = !strcmp(place->phase, "opening the parent");
	char *end =
		xformat("no end within %.3g s, while %s%s%s%s", place->job.timeout_ms / 1000.0,
			place->phase, *place->inside ? ", inside " : "", place->inside,
			place->ending == STUCK ? "; the process hangs in the kernel and can't be "
						 "killed"
					       : "");

	if (result->verdict == V_FAIL) {
		char *both = xformat("%s; then %s", result->diagnosis, end);

		free(end);
		end = both;
	}
	result_set(result, opening && !in_process ? V_BROKEN : V_FAIL, end);
}

/* The process is gone (or given up on): what does it all mean? */
static void decide(struct place *place, int status)
{
	struct result *result = &place->result;

	if (place->garbled && place->ending == RUNNING) {
		result_set(
			result, V_BROKEN,
			xformat("the check's process wrote something else than frames, while %s; "
				"a mistake of the suite: please report it",
				place->phase));
	} else if (result->no_parent) {
		result_set(result, V_BROKEN, xstrdup(place->sentence));
	} else if (place->ending != RUNNING && !place->told_end) {
		decide_timeout(place);
	} else if (!place->told_end) {
		decide_death(place, status);
	} else if (place->dead) {
		result->parent_died = true;
		if (result->verdict != V_FAIL)
			result_set(result, V_FAIL,
				   xformat("the parent died%s%s%s%s", *place->inside ? " in " : "",
					   place->inside, *result->diagnosis ? ": " : "",
					   result->diagnosis));
	}
	keep_log(place);
}

static void close_place(struct place *place)
{
	if (place->pidfd >= 0)
		close(place->pidfd);
	close(place->frames);
	close(place->log_fd);
	free(place->log);
	*place = (struct place){0};
}

noreturn static void child(const struct child_task *task, pid_t runner, int frames, int log)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* a process of its own group, that doesn't outlive the runner */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != runner)
		_exit(1);
	/* a crash is told in words; dumping the core of every one takes long */
	setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	dup2(null, STDIN_FILENO);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	child_main(task, frames);
}

static int start(struct place *place, const struct job *job)
{
	pid_t runner = getpid();
	int frames[2], log[2];

	if (pipe2(frames, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(log, O_CLOEXEC) < 0) {
		close(frames[0]);
		close(frames[1]);
		return -errno;
	}
	/* nothing may be in the buffers twice */
	fflush(NULL);
	*place = (struct place){.busy = true,
				.job = *job,
				.frames = frames[0],
				.log_fd = log[0],
				.pidfd = -1,
				.phase = "starting",
				.started_us = now_us(),
				.result = {.check = job->task.check, .attempts = 1}};
	place->deadline_us = place->started_us + (uint64_t)job->timeout_ms * 1000;
	place->result.diagnosis = xstrdup("");
	place->pid = fork();
	if (!place->pid)
		child(&job->task, runner, frames[1], log[1]);
	close(frames[1]);
	close(log[1]);
	if (place->pid < 0) {
		int err = -errno;

		result_free(&place->result);
		close_place(place);
		return err;
	}
	fcntl(place->frames, F_SETFL, O_NONBLOCK);
	fcntl(place->log_fd, F_SETFL, O_NONBLOCK);
	/* -ENOSYS on an old kernel: finish() is then tried on every tick */
	place->pidfd = (int)syscall(SYS_pidfd_open, place->pid, 0);
	return 0;
}

static void kill_group(const struct place *place, int sig)
{
	if (kill(-place->pid, sig) < 0)
		kill(place->pid, sig);
}

/* Move a process that is too late towards its end. */
static void hurry(struct place *place, uint64_t now)
{
	if (place->garbled && place->ending == RUNNING && !place->told_end) {
		kill_group(place, SIGKILL);
		return;
	}
	if (now < place->deadline_us)
		return;
	switch (place->ending) {
	case RUNNING:
		kill_group(place, SIGTERM);
		place->ending = ASKED;
		place->deadline_us = now + GRACE_US;
		break;
	case ASKED:
		kill_group(place, SIGKILL);
		place->ending = KILLED;
		place->deadline_us = now + STUCK_US;
		break;
	case KILLED:
	case STUCK:
		place->ending = STUCK;
		break;
	}
}

/* Has it ended? Then give its result to the caller and free the place. */
static void finish(struct place *place, const struct engine_ops *ops, void *ctx)
{
	int status = 0;
	struct result result;
	struct probe probe;
	struct job job;
	bool probed;

	if (!waitpid(place->pid, &status, WNOHANG) && place->ending != STUCK)
		return;
	/* what it left behind holds the pipes open; nothing of it may live on */
	if (place->ending != STUCK)
		kill_group(place, SIGKILL);
	take(place);
	decide(place, status);
	place->result.duration_us = now_us() - place->started_us;
	result = place->result;
	probe = place->probe;
	probed = place->probed;
	job = place->job;
	close_place(place);
	ops->done(ctx, &job, &result, probed ? &probe : NULL);
}

static void wait_some(struct place *places, unsigned int n)
{
	struct pollfd fds[3 * n];
	uint64_t now = now_us(), until = now + TICK_MS * 1000;
	nfds_t used = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (!places[i].busy)
			continue;
		fds[used++] = (struct pollfd){.fd = places[i].pidfd, .events = POLLIN};
		/* negative: poll() looks past it */
		fds[used++] = (struct pollfd){.fd = places[i].frames_ended ? -1 : places[i].frames,
					      .events = POLLIN};
		fds[used++] = (struct pollfd){.fd = places[i].log_ended ? -1 : places[i].log_fd,
					      .events = POLLIN};
		if (places[i].deadline_us < until)
			until = places[i].deadline_us;
		if (places[i].pidfd < 0 && now + 5000 < until)
			until = now + 5000;
	}
	poll(fds, used, until > now ? (int)((until - now) / 1000 + 1) : 0);
}

/* Reap a process that was killed; one that hangs in the kernel is left behind. */
static void reap(pid_t pid, uint64_t until)
{
	while (!waitpid(pid, NULL, WNOHANG) && now_us() < until)
		poll(NULL, 0, 1);
}

/* End what runs; its results are not worth anything. */
static void abandon(struct place *places, unsigned int n)
{
	uint64_t until = now_us() + STUCK_US;

	for (unsigned int i = 0; i < n; i++)
		if (places[i].busy)
			kill_group(&places[i], SIGKILL);
	for (unsigned int i = 0; i < n; i++) {
		if (!places[i].busy)
			continue;
		reap(places[i].pid, until);
		result_free(&places[i].result);
		close_place(&places[i]);
	}
}

static int fill(struct place *places, unsigned int n, const struct engine_ops *ops, void *ctx)
{
	struct job job;
	bool busy = false;

	for (unsigned int i = 0; i < n; i++) {
		if (!places[i].busy) {
			int err;

			job = (struct job){0};
			if (!ops->next(ctx, &job))
				continue;
			err = start(&places[i], &job);
			/* the limit of processes or descriptors: nothing sensible is left to do */
			if (err < 0)
				return err;
		}
		busy = true;
	}
	return busy;
}

int engine_run(const struct engine_ops *ops, void *ctx, unsigned int n)
{
	struct sigaction stop = {.sa_handler = on_interrupt}, old_int, old_term;
	struct place *places = xcalloc(n, sizeof(*places));
	int busy;

	interrupted = 0;
	sigaction(SIGINT, &stop, &old_int);
	sigaction(SIGTERM, &stop, &old_term);
	while ((busy = fill(places, n, ops, ctx)) > 0) {
		uint64_t now;

		wait_some(places, n);
		if (interrupted) {
			busy = -EINTR;
			break;
		}
		now = now_us();
		for (unsigned int i = 0; i < n; i++) {
			if (!places[i].busy)
				continue;
			take(&places[i]);
			hurry(&places[i], now);
			finish(&places[i], ops, ctx);
		}
		if (ops->tick)
			ops->tick(ctx);
	}
	abandon(places, n);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	free(places);
	return busy;
}

struct probing {
	const struct child_task *task;
	unsigned int timeout_ms;
	bool started;
	struct result result;
	struct probe *probe;
	bool probed;
};

static bool probe_next(void *ctx, struct job *job)
{
	struct probing *probing = ctx;

	if (probing->started)
		return false;
	probing->started = true;
	job->task = *probing->task;
	job->timeout_ms = probing->timeout_ms;
	return true;
}

static void probe_done(void *ctx, const struct job *job, struct result *result,
		       const struct probe *probed)
{
	struct probing *probing = ctx;

	(void)job;
	probing->result = *result;
	probing->probed = probed && !result->no_parent;
	if (probing->probed)
		*probing->probe = *probed;
}

int engine_probe(const struct child_task *task, unsigned int timeout_ms, struct probe *probe,
		 char **sentence)
{
	static const struct engine_ops ops = {.next = probe_next, .done = probe_done};
	struct probing probing = {.task = task, .timeout_ms = timeout_ms, .probe = probe};
	int err = engine_run(&ops, &probing, 1);

	*sentence = NULL;
	if (err < 0) {
		*sentence = err == -EINTR ? xformat("interrupted while asking %s who it is",
						    task->address)
					  : xformat("no process can be started for %s: %s",
						    task->address, strerror(-err));
		return err;
	}
	if (!probing.probed) {
		err = probing.result.no_parent ? -probing.result.no_parent : -EIO;
		*sentence = *probing.result.diagnosis
				    ? xstrdup(probing.result.diagnosis)
				    : xformat("%s says nothing of itself", task->address);
	}
	result_free(&probing.result);
	return err;
}

unsigned int engine_places(const struct probe *probe)
{
	cpu_set_t set;

	if (!probe_simulated(probe) || sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned int)CPU_COUNT(&set);
}
