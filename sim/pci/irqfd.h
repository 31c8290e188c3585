/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An irqfd: the eventfd of an interrupt
 *
 * How it works. The descriptor is the NIC's own duplicate. Firing is one write(2). A descriptor
 * whose owner left it blocking is looked at with poll(2) first, so that a counter that its owner
 * filled to the brim can't stop the NIC.
 */
#ifndef VN_IRQFD_H
#define VN_IRQFD_H

#include <stdbool.h>

struct irqfd {
	int fd; /* -1: nobody listens */
	bool blocking;
};

#define IRQFD_NONE ((struct irqfd){.fd = -1})

/**
 * irqfd_set() - listen on @fd from now on, which is duplicated; -1: nobody listens
 *
 * Return: 0; -EBADF not a descriptor, -EINVAL not an eventfd, -EMFILE. On failure nobody listens.
 */
int irqfd_set(struct irqfd *irqfd, int fd);

/** irqfd_fire() - signal, if anybody listens */
void irqfd_fire(const struct irqfd *irqfd);

#endif
