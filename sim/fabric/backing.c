/* SPDX-License-Identifier: BSD-3-Clause */
#include "backing.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../util.h"

struct backing {
	struct backing *next;
	dev_t dev;
	ino_t ino;
	uint8_t *base;
	uint64_t size;
	bool writable;
	unsigned int refs;
};

struct backing_set {
	struct backing *first;
};

int backing_set_create(struct backing_set **set)
{
	*set = calloc(1, sizeof(**set));
	return *set ? 0 : -ENOMEM;
}

void backing_set_destroy(struct backing_set *set)
{
	if (!set)
		return;
	while (set->first) {
		struct backing *b = set->first;

		set->first = b->next;
		munmap(b->base, b->size);
		free(b);
	}
	free(set);
}

static int backing_new(struct backing_set *set, int fd, const struct stat *st, uint64_t size,
		       bool write, struct backing **out)
{
	struct backing *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	/* Mapped for writing wherever the descriptor allows: a later map may ask for more. */
	b->writable = true;
	b->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (b->base == MAP_FAILED && !write) {
		b->writable = false;
		b->base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	}
	if (b->base == MAP_FAILED) {
		int err = neg_errno();

		free(b);
		return err;
	}
	b->dev = st->st_dev;
	b->ino = st->st_ino;
	b->size = size;
	b->next = set->first;
	set->first = b;
	*out = b;
	return 0;
}

int backing_get(struct backing_set *set, int fd, uint64_t offset, uint64_t size, bool write,
		struct backing **backing, uint8_t **host)
{
	struct backing *b;
	struct stat st;
	uint64_t end;
	int err;

	if (__builtin_add_overflow(offset, size, &end))
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	/* Only memory that behaves as memory: a pipe or a device is none. */
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || end > (uint64_t)st.st_size)
		return -EINVAL;
	for (b = set->first; b; b = b->next)
		if (b->dev == st.st_dev && b->ino == st.st_ino && end <= b->size &&
		    (b->writable || !write))
			break;
	if (!b) {
		err = backing_new(set, fd, &st, (uint64_t)st.st_size, write, &b);
		if (err)
			return err;
	}
	b->refs++;
	*backing = b;
	*host = b->base + offset;
	return 0;
}

void backing_ref(struct backing *backing)
{
	backing->refs++;
}

void backing_put(struct backing_set *set, struct backing *backing)
{
	struct backing **p;

	if (!backing || --backing->refs)
		return;
	for (p = &set->first; *p != backing;)
		p = &(*p)->next;
	*p = backing->next;
	munmap(backing->base, backing->size);
	free(backing);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	long page = sysconf(_SC_PAGESIZE);
	void *at = (void *)((uintptr_t)info->si_addr & ~((uintptr_t)page - 1));

	(void)context;
	if (info->si_code == BUS_ADRERR &&
	    mmap(at, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) != MAP_FAILED)
		return;
	signal(sig, SIG_DFL);
	raise(sig);
}

int backing_guard(void)
{
	struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};

	return sigaction(SIGBUS, &sa, NULL) < 0 ? -errno : 0;
}
