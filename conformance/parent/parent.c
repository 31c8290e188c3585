// SPDX-License-Identifier: BSD-3-Clause
/*
 * The wrappers that checks call in place of a parent's operations
 *
 * How it works. Every wrapper looks whether the kind has the operation (-EOPNOTSUPP if not), writes
 * a line into the trace before the call, so that a crash inside shows it, and completes the line
 * with the result after. It also watches the order in which operations are used: what the contract
 * does not allow in this state is still done, since hostile checks do so on purpose, but the trace
 * says so, and a reader of a failure sees it at once.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../spec.h"
#include "parent.h"

/* Elsewhere than in this process nothing tells when a device has nothing more to do. */
#define SETTLE_MS	20u
#define POLL_FIRST_US	20u
#define POLL_LONGEST_US 1000u

/* ---- Trace and order ------------------------------------------------------------------------ */

static char *line(struct parent *p, unsigned int back)
{
	return p->trace[(p->traced - back) % PARENT_TRACE];
}

static void trace(struct parent *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void more(struct parent *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void trace(struct parent *p, const char *fmt, ...)
{
	va_list ap;

	p->traced++;
	va_start(ap, fmt);
	vsnprintf(line(p, 1), sizeof(p->trace[0]), fmt, ap);
	va_end(ap);
}

static void more(struct parent *p, const char *fmt, ...)
{
	size_t len = strlen(line(p, 1));
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line(p, 1) + len, sizeof(p->trace[0]) - len, fmt, ap);
	va_end(ap);
}

static int finish(struct parent *p, int err)
{
	p->inside = NULL;
	if (err < 0)
		more(p, " = %d %s", err, strerrorname_np(-err) ?: "");
	if (err == -EPIPE || err == -ECONNRESET || err == -ESHUTDOWN) {
		p->dead = true;
		more(p, " (the parent is gone)");
	}
	/* Polling repeats itself: one line of it is enough. */
	if (p->traced >= 2 && !strcmp(line(p, 1), line(p, 2)))
		p->traced--;
	return err;
}

/* CALL() - run an operation between a trace line and its result */
#define CALL(p, op, args, ...)                    \
	({                                        \
		int err_ = -EOPNOTSUPP;           \
		trace(p, #op __VA_ARGS__);        \
		if ((p)->ops->op) {               \
			(p)->inside = #op;        \
			err_ = (p)->ops->op args; \
		}                                 \
		err_;                             \
	})

/* order() - say in the trace when a call comes in a state that the contract does not allow */
static void order(struct parent *p, bool ok, const char *why)
{
	if (!ok)
		more(p, " [out of order: %s]", why);
}

static bool has(const struct parent *p, uint8_t bits)
{
	return (p->status & bits) == bits;
}

/* ---- Identity, features, status ---------------------------------------------------------------
 */

int parent_get_device_id(struct parent *p, uint32_t *id)
{
	return finish(p, CALL(p, get_device_id, (p, id), "()"));
}

int parent_get_vendor_id(struct parent *p, uint32_t *id)
{
	return finish(p, CALL(p, get_vendor_id, (p, id), "()"));
}

int parent_get_device_features(struct parent *p, uint64_t *features)
{
	int err = CALL(p, get_device_features, (p, features), "()");

	if (!err)
		more(p, ": 0x%llx", (unsigned long long)*features);
	return finish(p, err);
}

int parent_set_driver_features(struct parent *p, uint64_t features)
{
	int err = CALL(p, set_driver_features, (p, features), "(0x%llx)",
		       (unsigned long long)features);

	order(p, has(p, VC_STATUS_DRIVER) && !has(p, VC_STATUS_FEATURES_OK),
	      "after DRIVER, before FEATURES_OK");
	return finish(p, err);
}

int parent_get_driver_features(struct parent *p, uint64_t *features)
{
	int err = CALL(p, get_driver_features, (p, features), "()");

	if (!err)
		more(p, ": 0x%llx", (unsigned long long)*features);
	return finish(p, err);
}

int parent_get_status(struct parent *p, uint8_t *status)
{
	int err = CALL(p, get_status, (p, status), "()");

	if (!err)
		more(p, ": 0x%02x", *status);
	return finish(p, err);
}

int parent_set_status(struct parent *p, uint8_t status)
{
	int err = CALL(p, set_status, (p, status), "(0x%02x)", status);

	order(p, !(p->status & ~status) || !status, "clears bits of the status");
	if (!err)
		p->status = status;
	return finish(p, err);
}

int parent_reset(struct parent *p)
{
	int err = CALL(p, reset, (p), "()");

	if (!err)
		p->status = 0;
	return finish(p, err);
}

/* ---- Configuration space -----------------------------------------------------------------------
 */

int parent_get_config(struct parent *p, uint32_t off, void *buf, uint32_t len)
{
	return finish(p, CALL(p, get_config, (p, off, buf, len), "(%u, %u bytes)", off, len));
}

int parent_set_config(struct parent *p, uint32_t off, const void *buf, uint32_t len)
{
	return finish(p, CALL(p, set_config, (p, off, buf, len), "(%u, %u bytes)", off, len));
}

int parent_get_config_size(struct parent *p, uint32_t *size)
{
	int err = CALL(p, get_config_size, (p, size), "()");

	if (!err)
		more(p, ": %u", *size);
	return finish(p, err);
}

int parent_get_generation(struct parent *p, uint32_t *generation)
{
	int err = CALL(p, get_generation, (p, generation), "()");

	if (!err)
		more(p, ": %u", *generation);
	return finish(p, err);
}

/* ---- Queues
 * -------------------------------------------------------------------------------------- */

int parent_get_vq_count(struct parent *p, unsigned int *count)
{
	int err = CALL(p, get_vq_count, (p, count), "()");

	if (!err)
		more(p, ": %u", *count);
	return finish(p, err);
}

int parent_get_vq_size_max(struct parent *p, unsigned int q, uint16_t *size)
{
	int err = CALL(p, get_vq_size_max, (p, q, size), "(%u)", q);

	if (!err)
		more(p, ": %u", *size);
	return finish(p, err);
}

int parent_get_vq_size_min(struct parent *p, uint16_t *size)
{
	return finish(p, CALL(p, get_vq_size_min, (p, size), "()"));
}

int parent_get_vq_align(struct parent *p, uint32_t *align)
{
	return finish(p, CALL(p, get_vq_align, (p, align), "()"));
}

int parent_set_vq_address(struct parent *p, unsigned int q, uint64_t desc, uint64_t driver,
			  uint64_t device)
{
	int err = CALL(p, set_vq_address, (p, q, desc, driver, device),
		       "(%u, 0x%llx, 0x%llx, 0x%llx)", q, (unsigned long long)desc,
		       (unsigned long long)driver, (unsigned long long)device);

	order(p, has(p, VC_STATUS_FEATURES_OK), "before FEATURES_OK");
	return finish(p, err);
}

int parent_set_vq_size(struct parent *p, unsigned int q, uint16_t size)
{
	int err = CALL(p, set_vq_size, (p, q, size), "(%u, %u)", q, size);

	order(p, has(p, VC_STATUS_FEATURES_OK), "before FEATURES_OK");
	return finish(p, err);
}

int parent_set_vq_ready(struct parent *p, unsigned int q, bool ready)
{
	int err = CALL(p, set_vq_ready, (p, q, ready), "(%u, %d)", q, ready);

	order(p, has(p, VC_STATUS_FEATURES_OK), "before FEATURES_OK");
	return finish(p, err);
}

int parent_get_vq_ready(struct parent *p, unsigned int q, bool *ready)
{
	int err = CALL(p, get_vq_ready, (p, q, ready), "(%u)", q);

	if (!err)
		more(p, ": %d", *ready);
	return finish(p, err);
}

static void more_state(struct parent *p, const struct vq_state *state)
{
	if (state->packed)
		more(p, ": packed avail %u wrap %d used %u wrap %d", state->avail,
		     state->avail_wrap, state->used, state->used_wrap);
	else if (state->used_known)
		more(p, ": avail %u used %u", state->avail, state->used);
	else
		more(p, ": avail %u", state->avail);
}

int parent_get_vq_state(struct parent *p, unsigned int q, struct vq_state *state)
{
	int err;

	memset(state, 0, sizeof(*state));
	err = CALL(p, get_vq_state, (p, q, state), "(%u)", q);
	if (!err)
		more_state(p, state);
	return finish(p, err);
}

int parent_set_vq_state(struct parent *p, unsigned int q, const struct vq_state *state)
{
	int err = CALL(p, set_vq_state, (p, q, state), "(%u)", q);

	more_state(p, state);
	order(p, has(p, VC_STATUS_FEATURES_OK), "before FEATURES_OK");
	return finish(p, err);
}

int parent_vq_stop(struct parent *p, unsigned int q, struct vq_state *state)
{
	int err;

	memset(state, 0, sizeof(*state));
	err = CALL(p, vq_stop, (p, q, state), "(%u)", q);
	if (!err)
		more_state(p, state);
	return finish(p, err);
}

int parent_vq_reset(struct parent *p, unsigned int q)
{
	return finish(p, CALL(p, vq_reset, (p, q), "(%u)", q));
}

int parent_kick(struct parent *p, unsigned int q)
{
	int err = CALL(p, kick, (p, q), "(%u)", q);

	order(p, has(p, VC_STATUS_DRIVER_OK), "before DRIVER_OK");
	return finish(p, err);
}

int parent_kick_data(struct parent *p, unsigned int q, uint32_t data)
{
	int err = CALL(p, kick_data, (p, q, data), "(%u, 0x%x)", q, data);

	order(p, has(p, VC_STATUS_DRIVER_OK), "before DRIVER_OK");
	return finish(p, err);
}

int parent_set_vq_call(struct parent *p, unsigned int q, int eventfd)
{
	return finish(p, CALL(p, set_vq_call, (p, q, eventfd), "(%u, fd %d)", q, eventfd));
}

int parent_set_config_call(struct parent *p, int eventfd)
{
	return finish(p, CALL(p, set_config_call, (p, eventfd), "(fd %d)", eventfd));
}

int parent_set_vq_vector(struct parent *p, unsigned int q, uint16_t vector, uint16_t *seen)
{
	int err = CALL(p, set_vq_vector, (p, q, vector, seen), "(%u, %u)", q, vector);

	if (!err)
		more(p, ": %u", *seen);
	return finish(p, err);
}

int parent_get_vq_vector(struct parent *p, unsigned int q, uint16_t *vector)
{
	int err = CALL(p, get_vq_vector, (p, q, vector), "(%u)", q);

	if (!err)
		more(p, ": %u", *vector);
	return finish(p, err);
}

int parent_get_notify_area(struct parent *p, unsigned int q, uint64_t *off, uint64_t *size)
{
	int err = CALL(p, get_notify_area, (p, q, off, size), "(%u)", q);

	if (!err)
		more(p, ": 0x%llx + 0x%llx", (unsigned long long)*off, (unsigned long long)*size);
	return finish(p, err);
}

/* ---- Groups and memory
 * ----------------------------------------------------------------------------- */

int parent_get_group_count(struct parent *p, unsigned int *count)
{
	return finish(p, CALL(p, get_group_count, (p, count), "()"));
}

int parent_get_as_count(struct parent *p, unsigned int *count)
{
	return finish(p, CALL(p, get_as_count, (p, count), "()"));
}

int parent_get_vq_group(struct parent *p, unsigned int q, unsigned int *group)
{
	return finish(p, CALL(p, get_vq_group, (p, q, group), "(%u)", q));
}

int parent_set_group_asid(struct parent *p, unsigned int group, uint32_t asid)
{
	return finish(p, CALL(p, set_group_asid, (p, group, asid), "(%u, %u)", group, asid));
}

int parent_dma_map(struct parent *p, const struct parent_dma *map)
{
	return finish(p, CALL(p, dma_map, (p, map), "(%u: 0x%llx + 0x%llx, %s%s)", map->asid,
			      (unsigned long long)map->iova, (unsigned long long)map->size,
			      map->readable ? "r" : "", map->writable ? "w" : ""));
}

int parent_dma_unmap(struct parent *p, uint32_t asid, uint64_t iova, uint64_t size)
{
	return finish(p, CALL(p, dma_unmap, (p, asid, iova, size), "(%u: 0x%llx + 0x%llx)", asid,
			      (unsigned long long)iova, (unsigned long long)size));
}

/* ---- Stopping and logging
 * ---------------------------------------------------------------------------- */

int parent_suspend(struct parent *p)
{
	int err = CALL(p, suspend, (p), "()");

	order(p, has(p, VC_STATUS_DRIVER_OK), "before DRIVER_OK");
	return finish(p, err);
}

int parent_resume(struct parent *p)
{
	return finish(p, CALL(p, resume, (p), "()"));
}

int parent_log_start(struct parent *p, uint64_t iova, uint64_t size)
{
	return finish(p, CALL(p, log_start, (p, iova, size), "(0x%llx + 0x%llx)",
			      (unsigned long long)iova, (unsigned long long)size));
}

int parent_log_stop(struct parent *p)
{
	return finish(p, CALL(p, log_stop, (p), "()"));
}

/* ---- Peer
 * ---------------------------------------------------------------------------------------------- */

int parent_peer_send(struct parent *p, const struct parent_frame *frame)
{
	return finish(p, CALL(p, peer_send, (p, frame), "(%u bytes)", frame->len));
}

int parent_peer_recv(struct parent *p, struct parent_frame *frame, uint8_t *buf, uint32_t size)
{
	/* Asked all the time while waiting: only what comes is worth a line. */
	int n;

	if (!p->ops->peer_recv)
		return -EOPNOTSUPP;
	p->inside = "peer_recv";
	n = p->ops->peer_recv(p, frame, buf, size);
	p->inside = NULL;
	if (n) {
		trace(p, "peer_recv()");
		if (n > 0)
			more(p, ": %u bytes", frame->len);
		finish(p, n);
	}
	return n;
}

int parent_set_link(struct parent *p, bool up)
{
	return finish(p, CALL(p, set_link, (p, up), "(%s)", up ? "up" : "down"));
}

int parent_announce(struct parent *p)
{
	return finish(p, CALL(p, announce, (p), "()"));
}

/* ---- Progress
 * ---------------------------------------------------------------------------------------------- */

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int pump(struct parent *p)
{
	int n;

	if (!p->ops->pump)
		return 0;
	p->inside = "pump";
	n = p->ops->pump(p);
	p->inside = NULL;
	if (n < 0)
		p->dead = true;
	return n;
}

bool parent_wait(struct parent *p, bool (*cond)(void *arg), void *arg, unsigned int timeout_ms)
{
	uint64_t end = now_us() + (uint64_t)timeout_ms * 1000;
	unsigned int us = POLL_FIRST_US;
	unsigned int turns = 0;

	for (;;) {
		struct timespec ts;
		int n;

		if (cond(arg))
			return true;
		if (p->dead)
			return false;
		n = pump(p);
		if (n < 0)
			return cond(arg);
		if (n > 0) {
			/* A NIC that never comes to rest must not hang the check. */
			if (++turns % 256 == 0 && now_us() > end)
				return cond(arg);
			us = POLL_FIRST_US;
			continue;
		}
		if (p->caps & CAP_EXACT_SETTLE)
			return cond(arg);
		if (now_us() > end)
			return cond(arg);
		/* Memory that another process writes has no event to wait for: look again soon. */
		ts = (struct timespec){.tv_nsec = (long)us * 1000};
		nanosleep(&ts, NULL);
		us = us * 2 > POLL_LONGEST_US ? POLL_LONGEST_US : us * 2;
	}
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

int parent_settle(struct parent *p)
{
	uint8_t status;

	if (p->dead)
		return -EPIPE;
	/* In-process: until no event is left; a NIC that never rests is found after the deadline.
	 */
	if (p->caps & CAP_EXACT_SETTLE) {
		parent_wait(p, never, NULL, 5000);
	} else {
		/* The round trip orders us behind every posted write; then the window. */
		parent_get_status(p, &status);
		parent_wait(p, never, NULL, SETTLE_MS);
		parent_get_status(p, &status);
	}
	return p->dead ? -EPIPE : 0;
}

const char *parent_settle_text(const struct parent *p)
{
	if (p->caps & CAP_EXACT_SETTLE)
		return "exact: no event of the device is pending";
	return "a round trip and a window of 20 ms";
}
