/* SPDX-License-Identifier: BSD-3-Clause */
#include "irqfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A pipe or a socket in place of an eventfd could block or kill the process: refuse it. */
static bool is_eventfd(int fd)
{
	char path[32], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return true; /* no /proc here: believe the caller */
	target[n] = '\0';
	return strcmp(target, "anon_inode:[eventfd]") == 0;
}

int irqfd_set(struct irqfd *irqfd, int fd)
{
	int flags, dup_fd;

	if (irqfd->fd >= 0)
		close(irqfd->fd);
	*irqfd = IRQFD_NONE;
	if (fd == -1)
		return 0;

	flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	if (!is_eventfd(fd))
		return -EINVAL;
	dup_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (dup_fd < 0)
		return errno == EINVAL ? -EMFILE : -errno;
	irqfd->fd = dup_fd;
	irqfd->blocking = !(flags & O_NONBLOCK);
	return 0;
}

void irqfd_fire(const struct irqfd *irqfd)
{
	const uint64_t one = 1;
	ssize_t n;

	if (irqfd->fd < 0)
		return;
	if (irqfd->blocking) {
		struct pollfd p = {.fd = irqfd->fd, .events = POLLOUT};

		if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
			return; /* its counter is full: it has been told already */
	}
	n = write(irqfd->fd, &one, sizeof(one));
	(void)n; /* EAGAIN says the same as the full counter above; there is nothing else to do */
}
