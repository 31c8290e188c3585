/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes: run tasks, several at a time, each in a process of its own with a deadline
 *
 * How it works. The engine asks for the next job while a place is free, forks, and reads frames and
 * the log of every process from pipes until its end. It believes no process: one that hangs, dies,
 * floods its log or writes nonsense costs its own check only. Results are made whole here and given
 * back in the order in which they end.
 */
#ifndef VC_ENGINE_H
#define VC_ENGINE_H

#include <stdbool.h>

#include "child.h"
#include "probe.h"
#include "result.h"

/**
 * struct job - one process
 * @timeout_ms: deadline for everything from opening to closing the parent
 * @parent:     what is known of the parent (whose fault a crash is); NULL while probing
 * @ctx:        the caller's
 */
struct job {
	struct child_task task;
	unsigned int timeout_ms;
	const struct probe *parent;
	void *ctx;
};

/**
 * struct engine_ops - where jobs come from and results go to
 * @next: fill in the next job; false: none now (asked again after a job has ended)
 * @done: a job ended; the result is @done's to keep or free. @probed: what a probe found, or NULL
 * @tick: called now and then while waiting, for progress; may be NULL
 */
struct engine_ops {
	bool (*next)(void *ctx, struct job *job);
	void (*done)(void *ctx, const struct job *job, struct result *result,
		     const struct probe *probed);
	void (*tick)(void *ctx);
};

/**
 * engine_run() - run jobs, at most @places at a time, until none is left
 *
 * Return: 0; -EINTR after SIGINT or SIGTERM (running processes were ended and not reported);
 * other negative errno when no process could be started at all.
 */
int engine_run(const struct engine_ops *ops, void *ctx, unsigned int places);

/** engine_probe() - ask a parent who it is; Return: 0, -EINTR, or -errno with @sentence (owned) */
int engine_probe(const struct child_task *task, unsigned int timeout_ms, struct probe *probe,
		 char **sentence);

/** engine_places() - default for --jobs: processors this process may run on, for simulators */
unsigned int engine_places(const struct probe *probe);

#endif
