/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that runs one check
 *
 * How it works. It opens the parent, resets it, runs the check, resets and closes the parent, and
 * says each of these as a phase before it begins, so that the runner knows where a process stopped
 * that told nothing more. A verdict leaves the check by longjmp; whatever the check had allocated
 * goes with the process. A signal handler sends the last operations of the parent when the process
 * crashes, and when the runner asks with SIGTERM because the deadline is over.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "frame.h"
#include "probe.h"

#define TEXT_MAX 2048

struct test {
	const struct child_task *task;
	struct parent *parent;
	int fd;
	pid_t pid;
	jmp_buf out;
	uint64_t random;
	bool features_known;
	uint64_t features;
	enum verdict verdict;
	enum skip_kind skip_kind;
	char text[TEXT_MAX];
};

/* One per process; the signal handlers know it by this. */
static struct test the_test;

/* Provided by the sanitizers' runtime when there is one. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
void __ubsan_on_report(void);

/* A check ends by longjmp and leaves its memory to the process: no leaks are looked for. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0:handle_abort=1:detect_stack_use_after_return=0";
}

const char *__ubsan_default_options(void)
{
	return "halt_on_error=1:print_stacktrace=1";
}

static void phase(struct test *t, const char *name)
{
	frame_send(t->fd, FRAME_PHASE, 0, 0, name, strlen(name));
}

static const char *inside(const struct test *t)
{
	return t->parent && t->parent->inside ? t->parent->inside : "";
}

/* Also in signal handlers: the trace may be in the middle of a change, but stays terminated. */
static void send_trace(struct test *t)
{
	const struct parent *p = t->parent;
	unsigned int first;

	if (!p)
		return;
	first = p->traced > PARENT_TRACE ? p->traced - PARENT_TRACE : 0;
	for (unsigned int i = first; i < p->traced; i++) {
		const char *line = p->trace[i % PARENT_TRACE];

		frame_send(t->fd, FRAME_TRACE, 0, 0, line, strnlen(line, sizeof(p->trace[0])));
	}
}

static void on_crash(int sig)
{
	struct test *t = &the_test;

	frame_send(t->fd, FRAME_CRASH, sig, 0, inside(t), strlen(inside(t)));
	send_trace(t);
	/* SA_RESETHAND: the default action ends the process now */
	raise(sig);
}

static void on_death(void)
{
	struct test *t = &the_test;

	frame_send(t->fd, FRAME_CRASH, 0, 0, inside(t), strlen(inside(t)));
	send_trace(t);
}

/* The check or, in this process, the parent called exit(). */
static void on_exit_call(void)
{
	struct test *t = &the_test;

	/* a child that the check made and that exits says nothing for it */
	if (getpid() != t->pid)
		return;
	frame_send(t->fd, FRAME_EXIT, 0, 0, inside(t), strlen(inside(t)));
	send_trace(t);
}

/* UBSan ends the process without the death callback; it calls this instead. */
void __ubsan_on_report(void)
{
	on_death();
}

static void on_deadline(int sig)
{
	struct test *t = &the_test;

	(void)sig;
	frame_send(t->fd, FRAME_LATE, 0, 0, inside(t), strlen(inside(t)));
	send_trace(t);
	_exit(1);
}

static void catch_signals(void)
{
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
	/* static: a stack that overflowed leaves no room */
	static uint8_t stack[16384];
	struct sigaction deadline = {.sa_handler = on_deadline};
	struct sigaction crash = {.sa_handler = on_crash,
				  .sa_flags = SA_ONSTACK | (int)SA_RESETHAND | SA_NODEFER};

	sigaction(SIGTERM, &deadline, NULL);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	if (__sanitizer_set_death_callback) {
		__sanitizer_set_death_callback(on_death);
		return;
	}
	sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof(stack)}, NULL);
	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		sigaction(crashes[i], &crash, NULL);
}

static void say(struct test *t, enum frame_type type, const char *fmt, va_list args)
{
	char text[TEXT_MAX];

	vsnprintf(text, sizeof(text), fmt, args);
	frame_send(t->fd, type, 0, 0, text, strlen(text));
}

void t_step(struct test *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(t, FRAME_STEP, fmt, args);
	va_end(args);
}

void t_note(struct test *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(t, FRAME_NOTE, fmt, args);
	va_end(args);
}

noreturn static void leave(struct test *t, enum verdict verdict, enum skip_kind kind,
			   const char *fmt, va_list args)
{
	vsnprintf(t->text, sizeof(t->text), fmt, args);
	t->verdict = verdict;
	t->skip_kind = kind;
	longjmp(t->out, 1);
}

void t_fail(struct test *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	leave(t, V_FAIL, 0, fmt, args);
}

void t_skip(struct test *t, enum skip_kind kind, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	leave(t, V_SKIP, kind, fmt, args);
}

void t_broken(struct test *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	leave(t, V_BROKEN, 0, fmt, args);
}

struct parent *t_parent(struct test *t)
{
	return t->parent;
}

/* FNV-1a: the name's share in the seed */
static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
	return hash;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t t_random(struct test *t)
{
	return next_random(&t->random);
}

bool t_has_feature(struct test *t, unsigned int bit)
{
	if (!t->features_known) {
		int err = parent_get_device_features(t->parent, &t->features);

		if (err < 0)
			t_fail(t, "device features must be readable, reading returned %d (%s)", err,
			       strerror(-err));
		t->features_known = true;
	}
	return bit < 64 && t->features >> bit & 1;
}

static void send_dead(struct test *t)
{
	frame_send(t->fd, FRAME_DEAD, 0, 0, inside(t), strlen(inside(t)));
}

/* What the parent says of itself, for the runner's decisions. */
static void probe(struct test *t)
{
	struct probe probe = {
		.info = t->parent->info, .caps = t->parent->caps, .peer = t->parent->peer};
	int err;

	phase(t, "reading the device's features");
	err = parent_get_device_features(t->parent, &probe.features);
	if (err < 0) {
		snprintf(t->text, sizeof(t->text), "device features can't be read: %s",
			 strerror(-err));
		frame_send(t->fd, FRAME_NO_PARENT, -err, 0, t->text, strlen(t->text));
		return;
	}
	if (!probe.info.device_id)
		parent_get_device_id(t->parent, &probe.info.device_id);
	if (!probe.info.vendor_id)
		parent_get_vendor_id(t->parent, &probe.info.vendor_id);
	snprintf(probe.settle, sizeof(probe.settle), "%s", parent_settle_text(t->parent));
	frame_send(t->fd, FRAME_INFO, 0, 0, &probe, sizeof(probe));
}

static void run(struct test *t)
{
	int err;

	phase(t, "resetting the parent before the check");
	err = parent_reset(t->parent);
	if (err < 0) {
		snprintf(t->text, sizeof(t->text),
			 "before the check the parent must reset, reset returned %d (%s)", err,
			 strerror(-err));
		t->verdict = V_FAIL;
	} else if (!setjmp(t->out)) {
		phase(t, "running the check");
		t->task->check->run(t);
		t->verdict = V_PASS;
	}
	frame_send(t->fd, FRAME_VERDICT, t->verdict, t->skip_kind, t->text, strlen(t->text));
	if (t->verdict == V_FAIL || t->verdict == V_BROKEN || t->parent->dead)
		send_trace(t);
	if (t->parent->dead) {
		send_dead(t);
		return;
	}
	phase(t, "resetting the parent after the check");
	err = parent_reset(t->parent);
	if (err < 0 && t->verdict != V_FAIL) {
		snprintf(t->text, sizeof(t->text),
			 "after the check the parent must reset, reset returned %d (%s)", err,
			 strerror(-err));
		frame_send(t->fd, FRAME_VERDICT, V_FAIL, 0, t->text, strlen(t->text));
		send_trace(t);
	}
	if (t->parent->dead)
		send_dead(t);
}

noreturn void child_main(const struct child_task *task, int fd)
{
	struct test *t = &the_test;
	char name[128] = "probe";
	char sentence[512] = "";
	struct parent_options options = {.peer = task->peer,
					 .defect = task->defect,
					 .error = sentence,
					 .error_size = sizeof(sentence)};
	int err;

	if (task->check)
		snprintf(name, sizeof(name), "%s.%s", task->check->area, task->check->name);
	*t = (struct test){
		.task = task, .fd = fd, .pid = getpid(), .random = hash_text(task->seed, name)};
	options.seed = next_random(&t->random);
	catch_signals();
	atexit(on_exit_call);

	phase(t, "opening the parent");
	err = parent_open(task->address, &options, &t->parent);
	if (err < 0) {
		if (!*sentence)
			snprintf(sentence, sizeof(sentence), "%s can't be opened: %s",
				 task->address, strerror(-err));
		frame_send(fd, FRAME_NO_PARENT, -err, 0, sentence, strlen(sentence));
	} else {
		if (task->check)
			run(t);
		else
			probe(t);
		phase(t, "closing the parent");
		t->parent->inside = "close";
		parent_close(t->parent);
		t->parent = NULL;
	}
	/* what the check printed comes before the end */
	fflush(NULL);
	frame_send(fd, FRAME_END, 0, 0, "", 0);
	_exit(0);
}
