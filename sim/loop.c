/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event loop of a live NIC
 *
 * Simulated time follows the wall clock, so that what the NIC puts off (an interrupt that is
 * moderated) happens when it would on hardware.
 *
 * How it works. One thread, one epoll descriptor. A round takes in what waits on the sockets and
 * the wires, a bounded part of each, and then lets every NIC run a bounded number of events; so
 * neither messages nor the datapath starve, and a doorbell that arrives under load waits for one
 * round at most. While there is work the rounds follow each other without sleeping.
 *
 * When work ends, a NIC may keep its queues polled for a while (its profile's poll_us), because
 * then no doorbell is needed for what comes next. A doorbell is dear: the guest's processor leaves
 * the guest, sends a message and wakes this process up. Between two looks the loop rests (nap_us),
 * in reach of whatever epoll reports, so that polling takes a few percent of a processor and what
 * the guest does meanwhile makes a batch. After poll_us vqnic_idle() arms notifications; what
 * slipped in before that is seen in the round that follows, and then the loop sleeps.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

#define MESSAGES 64  /* of one client in a round */
#define EVENTS	 512 /* of one NIC in a round */

struct member {
	struct member *next;
	struct vqnic *nic;
	struct vfio_user_server *server;
	uint64_t poll_ns, nap_ns;
	uint64_t start_ns;   /* wall clock at simulated time 0 */
	uint64_t idle_since; /* ns; 0: it had work in the last round */
	uint64_t progress;
};

/* What an epoll event is about. */
enum kind { KIND_SIGNAL, KIND_SERVER, KIND_WIRE };

struct loop {
	int epfd;
	int signal_fd;
	bool stop;
	void (*usr1)(void *ctx);
	void *usr1_ctx;
	struct member *members, **tail;
};

static uint64_t pack(enum kind kind, const struct member *member)
{
	return (uint64_t)(uintptr_t)member | (uint64_t)kind;
}

static struct member *unpack(uint64_t data, enum kind *kind)
{
	*kind = (enum kind)(data & 3);
	return (struct member *)(uintptr_t)(data & ~UINT64_C(3));
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static int watch(struct loop *loop, int fd, enum kind kind, struct member *member)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = pack(kind, member)};

	return epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

int loop_create(struct loop **out)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	sigset_t set;
	int err;

	if (!loop)
		return -ENOMEM;
	loop->tail = &loop->members;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	loop->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->signal_fd < 0 || loop->epfd < 0)
		err = -errno;
	else
		err = watch(loop, loop->signal_fd, KIND_SIGNAL, NULL);
	if (err) {
		loop_destroy(loop);
		return err;
	}
	*out = loop;
	return 0;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	while (loop->members) {
		struct member *member = loop->members;

		loop->members = member->next;
		free(member);
	}
	if (loop->signal_fd >= 0)
		close(loop->signal_fd);
	if (loop->epfd >= 0)
		close(loop->epfd);
	free(loop);
}

int loop_add(struct loop *loop, struct vqnic *nic, struct vfio_user_server *server)
{
	struct member *member = calloc(1, sizeof(*member));
	int err = 0;

	if (!member)
		return -ENOMEM;
	member->nic = nic;
	member->server = server;
	member->start_ns = now_ns();
	member->poll_ns = (uint64_t)vqnic_poll_us(nic) * 1000;
	member->nap_ns = (uint64_t)vqnic_nap_us(nic) * 1000;
	if (server)
		err = watch(loop, vfio_user_poll_fd(server), KIND_SERVER, member);
	if (!err)
		err = watch(loop, vqnic_poll_fd(nic), KIND_WIRE, member);
	if (err) {
		free(member);
		return err;
	}
	*loop->tail = member;
	loop->tail = &member->next;
	return 0;
}

void loop_on_usr1(struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
	loop->usr1 = fn;
	loop->usr1_ctx = ctx;
}

static void take_signal(struct loop *loop)
{
	struct signalfd_siginfo info;

	while (read(loop->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGUSR1)
			loop->stop = true;
		else if (loop->usr1)
			loop->usr1(loop->usr1_ctx);
	}
}

/* Take in what waits outside, or comes until @wake_ns (0: don't wait). Return: how much, negative
 * errno if waiting fails. */
static int take_in(struct loop *loop, uint64_t wake_ns)
{
	struct epoll_event ev[32];
	struct timespec ts = {0}, *timeout = &ts;
	int work = 0, n;

	if (wake_ns == UINT64_MAX) {
		timeout = NULL;
	} else if (wake_ns) {
		uint64_t now = now_ns();
		uint64_t wait = wake_ns > now ? wake_ns - now : 0;

		ts.tv_sec = (time_t)(wait / UINT64_C(1000000000));
		ts.tv_nsec = (long)(wait % UINT64_C(1000000000));
	}
	n = epoll_pwait2(loop->epfd, ev, (int)(sizeof(ev) / sizeof(ev[0])), timeout, NULL);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		enum kind kind;
		struct member *member = unpack(ev[i].data.u64, &kind);

		switch (kind) {
		case KIND_SIGNAL:
			take_signal(loop);
			break;
		case KIND_SERVER:
			work += vfio_user_poll(member->server, MESSAGES);
			break;
		case KIND_WIRE:
			work += vqnic_poll(member->nic);
			break;
		}
	}
	return work;
}

/* Nobody can come any more: every server had one client that it was started with. */
static bool over(const struct loop *loop)
{
	for (const struct member *m = loop->members; m; m = m->next)
		if (!m->server || !vfio_user_over(m->server))
			return false;
	return true;
}

static uint64_t wall_ps(const struct member *member)
{
	return (now_ns() - member->start_ns) * 1000;
}

/* When the next event is due, by the wall clock. */
static uint64_t event_ns(const struct member *member)
{
	uint64_t next = vqnic_next_event(member->nic);

	return next == VQNIC_NEVER ? UINT64_MAX : next / 1000 + member->start_ns;
}

static void wake_by(uint64_t *wake_ns, uint64_t ns)
{
	if (ns < *wake_ns)
		*wake_ns = ns;
}

/* Let a NIC run; @sleepless: the loop must come back at once, or else by *@wake_ns. */
static void run_member(struct member *member, bool *sleepless, uint64_t *wake_ns)
{
	bool busy = vqnic_busy(member->nic);
	uint64_t progress, now;
	bool ran;

	if (busy)
		vqnic_poll(member->nic);
	ran = vqnic_run_until(member->nic, wall_ps(member), EVENTS) > 0;
	progress = vqnic_progress(member->nic);
	if (progress != member->progress || (ran && !busy)) {
		member->progress = progress;
		member->idle_since = 0;
		*sleepless = true;
		return;
	}
	wake_by(wake_ns, event_ns(member));
	if (!busy)
		return;
	now = now_ns();
	if (!member->idle_since)
		member->idle_since = now;
	if (now - member->idle_since >= member->poll_ns) {
		vqnic_idle(member->nic);
		if (!vqnic_busy(member->nic)) {
			*sleepless = true; /* once more, for what slipped in */
			return;
		}
	}
	if (member->nap_ns)
		wake_by(wake_ns, now + member->nap_ns);
	else
		*sleepless = true;
}

int loop_run(struct loop *loop)
{
	uint64_t wake_ns = UINT64_MAX;
	bool sleepless = true;

	/* The kernel's usual slack of 50 us is as long as a nap. */
	prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
	while (!loop->stop && !over(loop)) {
		int work = take_in(loop, sleepless ? 0 : wake_ns);

		if (work < 0)
			return work;
		sleepless = work > 0;
		wake_ns = UINT64_MAX;
		for (struct member *m = loop->members; m; m = m->next)
			run_member(m, &sleepless, &wake_ns);
	}
	return 0;
}
