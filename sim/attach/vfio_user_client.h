/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other end of the socket, for the server's unit tests
 */
#ifndef VN_VFIO_USER_CLIENT_H
#define VN_VFIO_USER_CLIENT_H

#include "vfio_user_conn.h"
#include "vfio_user_fake.h"

#define CLIENT_MAX (VU_MAX_MSG_SIZE + 64)

struct client {
	struct vqnic nic;
	struct vu_conn *conn; /* NULL once it has ended */
	int sock;
	int open_before; /* descriptors of the process */
	unsigned int said;

	/* the last message received */
	struct vu_header header;
	uint8_t *payload;
	size_t len;
	int fd[VU_MAX_MSG_FDS];
	unsigned int fds;
};

/** open_fds() - how many descriptors this process has open */
int open_fds(void);

void client_open(struct client *c);

/** client_close() - disconnect; Return: descriptors that leaked */
int client_close(struct client *c);

/** client_send_raw() - bytes and descriptors as they are; Return: bytes sent, negative errno */
int client_send_raw(struct client *c, const void *bytes, size_t len, const int *fd,
		    unsigned int fds);

/** client_send() - a command, id as given; @fd as SCM_RIGHTS */
void client_send(struct client *c, uint16_t id, uint16_t cmd, uint32_t flags, const void *payload,
		 size_t len, const int *fd, unsigned int fds);

/** client_poll() - let the server work until it has nothing to do; Return: <0 it hung up */
int client_poll(struct client *c);

/** client_recv() - take the next message; Return: 1, 0 there is none, -1 the server hung up */
int client_recv(struct client *c);

/**
 * client_call() - send a command, let the server work, take the reply
 *
 * Return: 0, the reply's errno, or -1 if there was none. The reply is checked: id, command, type,
 * and that an error has no payload.
 */
int client_call(struct client *c, uint16_t cmd, const void *payload, size_t len, const int *fd,
		unsigned int fds);

/** client_hello() - VERSION as QEMU sends it; must succeed */
void client_hello(struct client *c);

#endif
