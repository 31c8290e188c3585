/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user: one connected client. Private to the attach directory.
 */
#ifndef VN_VFIO_USER_CONN_H
#define VN_VFIO_USER_CONN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../vqnic.h"
#include "vfio_user_channel.h"
#include "vfio_user_dma.h"

/* While this much waits for a client that does not read, nothing more is taken from it. */
#define VU_OUT_HIGH (1u << 20)

/**
 * struct vu_reply - what a handler answers
 * @data, @len: payload in the connection's reply buffer, see vu_reply_room()
 * @fd:         goes along; -1 for none
 * @close_fd:   close @fd when it has been sent; else it is the NIC's
 */
struct vu_reply {
	uint8_t *data;
	size_t len;
	int fd;
	bool close_fd;
};

struct vu_conn {
	struct vqnic *nic;
	unsigned int fn;
	struct vu_channel main;
	struct vu_channel twin; /* server's commands and their replies; fd -1: they use @main */
	bool negotiated;
	bool closing; /* disconnect once what is queued has been sent */

	/* what the client said of itself */
	uint32_t peer_max_fds;
	uint32_t peer_max_xfer;

	struct vu_dma dma;

	uint8_t *reply; /* room for a reply's payload */
	size_t reply_cap;

	int epfd; /* where the sockets are registered, or -1 */
	uint32_t main_events, twin_events;

	void (*say)(void *ctx, const char *sentence);
	void *say_ctx;
	unsigned int said;
};

/**
 * vu_conn_create() - serve a client that has connected
 * @fd:   its socket; owned by the connection from here on, also on failure
 * @epfd: an epoll descriptor in which the connection registers what it waits for, or -1
 */
int vu_conn_create(struct vqnic *nic, unsigned int fn, int fd, int epfd,
		   void (*say)(void *ctx, const char *sentence), void *say_ctx,
		   struct vu_conn **conn);

/** vu_conn_destroy() - disconnect, and take everything from the NIC that was the client's */
void vu_conn_destroy(struct vu_conn *conn);

/**
 * vu_conn_poll() - send what waits, receive and answer at most @budget messages; never waits
 *
 * Return: messages worked through; negative errno: the connection has ended, destroy it.
 */
int vu_conn_poll(struct vu_conn *conn, unsigned int budget);

/** vu_conn_update_events() - register with epoll what the connection waits for now */
void vu_conn_update_events(struct vu_conn *conn);

/** vu_say() - tell people about the client's misbehaviour; printf-like, no newline */
__attribute__((format(printf, 2, 3))) void vu_say(struct vu_conn *conn, const char *format, ...);

/** vu_reply_room() - the reply buffer with room for @len bytes, zeroed; NULL if out of memory */
uint8_t *vu_reply_room(struct vu_conn *conn, struct vu_reply *reply, size_t len);

/** vu_server_channel() - where the server's own commands go */
static inline struct vu_channel *vu_server_channel(struct vu_conn *conn)
{
	return conn->twin.fd >= 0 ? &conn->twin : &conn->main;
}

/*
 * Handlers: one command each. They get a message whose descriptors are in order, check everything
 * else, and return 0 with @reply filled or a negative errno.
 */
typedef int vu_handler(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply);

/** vu_run_command() - find the handler of @msg, check what comes beside it, and call it */
vu_handler vu_run_command; /* vfio_user_commands.c */

vu_handler vu_version;	    /* vfio_user_version.c */
vu_handler vu_set_irqs;	    /* vfio_user_irq.c */
vu_handler vu_get_irq_info; /* vfio_user_irq.c */

#endif
