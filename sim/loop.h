/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event loop of a live NIC
 */
#ifndef VN_LOOP_H
#define VN_LOOP_H

#include "attach/vfio_user.h"
#include "vqnic.h"

struct loop;

/**
 * loop_create() - a loop that ends at SIGTERM, SIGINT or SIGHUP
 *
 * The signals are blocked in the calling thread from here on and taken by the loop, so that
 * nothing made after this call is left behind when one arrives.
 *
 * Return: 0 and *@loop; negative errno.
 */
int loop_create(struct loop **loop);
void loop_destroy(struct loop *loop);

/**
 * loop_add() - drive a NIC and the server that belongs to it; both stay the caller's
 * @server: may be NULL
 *
 * Return: 0; -ENOMEM, errno of epoll_ctl().
 */
int loop_add(struct loop *loop, struct vqnic *nic, struct vfio_user_server *server);

/** loop_on_usr1() - call @fn at SIGUSR1, between two rounds */
void loop_on_usr1(struct loop *loop, void (*fn)(void *ctx), void *ctx);

/** loop_run() - Return: 0 after a signal, or when no server can have a client any more; negative
 * errno if waiting fails */
int loop_run(struct loop *loop);

#endif
