/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user server: one function of a NIC behind a UNIX socket, for one client at a time
 */
#ifndef VN_VFIO_USER_H
#define VN_VFIO_USER_H

#include "../vqnic.h"

struct vfio_user_server;

/**
 * struct vfio_user_config - what is served where; strings are copied
 * @nic, @fn: the function; the NIC must outlive the server
 * @path:     where the socket is made
 * @say:      gets one sentence for people, without a newline, whenever a client misbehaves; may be
 *            NULL. At most a few for each connection, so that nobody can fill a disk.
 */
struct vfio_user_config {
	struct vqnic *nic;
	unsigned int fn;
	const char *path;
	void (*say)(void *ctx, const char *sentence);
	void *say_ctx;
};

/**
 * vfio_user_listen() - make the socket and wait for clients
 *
 * A socket left behind by a process that is gone is replaced. A client that connects while another
 * is being served waits in the socket's queue until that one goes away.
 *
 * Return: 0 and *@server; -EADDRINUSE somebody listens there or it is no socket, -ENAMETOOLONG,
 * -EMFILE, -ENOMEM, errno of bind(); @err says what and what to do.
 */
int vfio_user_listen(const struct vfio_user_config *cfg, struct vfio_user_server **server,
		     struct vqnic_error *err);

/**
 * vfio_user_adopt() - serve a socket that somebody else has made
 * @cfg: its path is only a name, for messages
 * @fd:  a listening socket, or a connected one and with it the only client there will be; owned by
 *       the server from here on, also on failure
 *
 * Return: as vfio_user_listen(); -EBADF no descriptor, -ENOTSOCK, -EINVAL no stream socket, or
 * neither listening nor connected.
 */
int vfio_user_adopt(const struct vfio_user_config *cfg, int fd, struct vfio_user_server **server,
		    struct vqnic_error *err);

/** vfio_user_over() - the only client has gone, and no other can come */
bool vfio_user_over(const struct vfio_user_server *server);

/** vfio_user_close() - disconnect the client and remove the socket, if it is still ours */
void vfio_user_close(struct vfio_user_server *server);

/** vfio_user_poll_fd() - an epoll descriptor, readable when vfio_user_poll() has work */
int vfio_user_poll_fd(const struct vfio_user_server *server);

/**
 * vfio_user_poll() - accept, receive, answer; never waits
 * @budget: largest number of messages to work through
 *
 * Return: messages worked through.
 */
int vfio_user_poll(struct vfio_user_server *server, unsigned int budget);

#endif
