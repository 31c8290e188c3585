/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "vfio_user_client.h"

int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void count_words(void *ctx, const char *sentence)
{
	struct client *c = ctx;

	assert_true(strlen(sentence) > 10);
	c->said++;
}

void client_open(struct client *c)
{
	int fd[2];

	memset(c, 0, sizeof(*c));
	c->open_before = open_fds();
	fake_init(&c->nic);
	c->payload = malloc(CLIENT_MAX);
	assert_non_null(c->payload);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	c->sock = fd[0];
	assert_int_equal(vu_conn_create(&c->nic, 0, fd[1], -1, count_words, c, &c->conn), 0);
}

static void drop_fds(struct client *c)
{
	for (unsigned int i = 0; i < c->fds; i++)
		if (c->fd[i] >= 0)
			close(c->fd[i]);
	c->fds = 0;
}

int client_close(struct client *c)
{
	if (c->conn) {
		vu_conn_destroy(c->conn);
		assert_null(c->nic.ops);
	}
	drop_fds(c);
	if (c->sock >= 0)
		close(c->sock);
	fake_fini(&c->nic);
	free(c->payload);
	return open_fds() - c->open_before;
}

int client_send_raw(struct client *c, const void *bytes, size_t len, const int *fd,
		    unsigned int fds)
{
	union {
		char buf[CMSG_SPACE(253 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fds) {
		struct cmsghdr *h;

		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		h = CMSG_FIRSTHDR(&mh);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(fds * sizeof(int));
		memcpy(CMSG_DATA(h), fd, fds * sizeof(int));
	}
	n = sendmsg(c->sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n < 0 ? -errno : (int)n;
}

void client_send(struct client *c, uint16_t id, uint16_t cmd, uint32_t flags, const void *payload,
		 size_t len, const int *fd, unsigned int fds)
{
	struct vu_header header = {
		.id = id, .cmd = cmd, .size = (uint32_t)(sizeof(header) + len), .flags = flags};
	uint8_t *bytes = malloc(sizeof(header) + len);
	size_t sent = 0;

	assert_non_null(bytes);
	memcpy(bytes, &header, sizeof(header));
	if (len)
		memcpy(bytes + sizeof(header), payload, len);
	while (sent < sizeof(header) + len) {
		int n = client_send_raw(c, bytes + sent, sizeof(header) + len - sent, fd,
					sent ? 0 : fds);

		if (n == -EAGAIN) {
			if (!c->conn || vu_conn_poll(c->conn, 100) < 0)
				break;
			continue;
		}
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	free(bytes);
}

int client_poll(struct client *c)
{
	int n = 0;

	for (unsigned int i = 0; c->conn && i < 1000; i++) {
		n = vu_conn_poll(c->conn, 100);
		if (n < 0) {
			vu_conn_destroy(c->conn);
			c->conn = NULL;
			return n;
		}
		if (n == 0)
			return 0;
	}
	return n;
}

/* Read @len bytes; the server is asked to go on while some are missing. */
static int read_all(struct client *c, void *to, size_t len)
{
	union {
		char buf[CMSG_SPACE(VU_MAX_MSG_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	size_t got = 0;

	while (got < len) {
		struct iovec iov = {.iov_base = (uint8_t *)to + got, .iov_len = len - got};
		struct msghdr mh = {.msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = control.buf,
				    .msg_controllen = sizeof(control.buf)};
		ssize_t n = recvmsg(c->sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n == 0)
			return -1;
		if (n < 0) {
			if (errno != EAGAIN)
				return -1;
			if (!got && to == &c->header)
				return 0;
			if (!c->conn || client_poll(c) < 0)
				return -1;
			continue;
		}
		got += (size_t)n;
		for (struct cmsghdr *h = CMSG_FIRSTHDR(&mh); h; h = CMSG_NXTHDR(&mh, h)) {
			unsigned int count =
				(unsigned int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));

			memcpy(c->fd + c->fds, CMSG_DATA(h), count * sizeof(int));
			c->fds += count;
		}
	}
	return 1;
}

int client_recv(struct client *c)
{
	int ret;

	drop_fds(c);
	ret = read_all(c, &c->header, sizeof(c->header));
	if (ret <= 0)
		return ret;
	assert_true(c->header.size >= sizeof(c->header));
	assert_true(c->header.size <= CLIENT_MAX);
	c->len = c->header.size - sizeof(c->header);
	return c->len ? read_all(c, c->payload, c->len) : 1;
}

int client_call(struct client *c, uint16_t cmd, const void *payload, size_t len, const int *fd,
		unsigned int fds)
{
	static uint16_t id = 0xfff0;

	client_send(c, ++id, cmd, VU_TYPE_COMMAND, payload, len, fd, fds);
	client_poll(c);
	if (client_recv(c) != 1)
		return -1;
	assert_int_equal(c->header.id, id);
	assert_int_equal(c->header.cmd, cmd);
	assert_int_equal(c->header.flags & VU_TYPE_MASK, VU_TYPE_REPLY);
	assert_int_equal(c->header.flags & ~(VU_TYPE_MASK | VU_ERROR), 0);
	if (!(c->header.flags & VU_ERROR)) {
		assert_int_equal(c->header.error, 0);
		return 0;
	}
	assert_int_equal(c->len, 0);
	assert_int_equal(c->fds, 0);
	assert_int_not_equal(c->header.error, 0);
	return (int)c->header.error;
}

void client_hello(struct client *c)
{
	static const char hello[] =
		"\0\0\0\0{\"capabilities\": {\"migration\": {\"pgsize\": 4096, \"max_bitmap_size\": "
		"268435456}, \"max_msg_fds\": 16, \"max_data_xfer_size\": 1048576, \"pgsizes\": "
		"4096, \"max_dma_maps\": 65535, \"write_multiple\": true}}";

	assert_int_equal(client_call(c, VU_VERSION, hello, sizeof(hello), NULL, 0), 0);
	/* QEMU's client takes no reply that is longer than its request. */
	assert_true(c->len <= sizeof(hello));
	assert_int_equal(c->payload[c->len - 1], 0);
}
