/* SPDX-License-Identifier: BSD-3-Clause */
/* The vfio-user server and a hostile stream: sizes, pieces, descriptors, slowness, death */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "vfio_user_client.h"

static int setup(void **state)
{
	struct client *c = malloc(sizeof(*c));

	client_open(c);
	client_hello(c);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	int leaked = client_close(*state);

	free(*state);
	assert_int_equal(leaked, 0);
	return 0;
}

static size_t put(uint8_t *buf, uint16_t id, uint16_t cmd, uint32_t flags, const void *payload,
		  size_t len)
{
	struct vu_header header = {id, cmd, (uint32_t)(sizeof(header) + len), flags, 0};

	memcpy(buf, &header, sizeof(header));
	if (len)
		memcpy(buf + sizeof(header), payload, len);
	return sizeof(header) + len;
}

static size_t put_read(uint8_t *buf, uint16_t id, uint64_t offset, uint32_t region, uint32_t count)
{
	struct vu_region_access access = {offset, region, count};

	return put(buf, id, VU_REGION_READ, 0, &access, sizeof(access));
}

static bool alive(struct client *c)
{
	struct vu_device_info info = {.argsz = sizeof(info)};

	return c->conn && client_call(c, VU_GET_INFO, &info, sizeof(info), NULL, 0) == 0;
}

/* ---- Sizes and types ------------------------------------------------------------------------- */

static void header_smaller_than_itself(void **state)
{
	struct client *c = *state;

	for (uint32_t size = 0; size < sizeof(struct vu_header); size++) {
		struct vu_header header = {1, VU_GET_INFO, size, 0, 0};

		if (!c->conn) {
			assert_int_equal(client_close(c), 0);
			client_open(c);
			client_hello(c);
		}
		client_send_raw(c, &header, sizeof(header), NULL, 0);
		client_poll(c);
		assert_null(c->conn);
		assert_int_equal(c->nic.detaches, 1);
	}
}

static void message_larger_than_any(void **state)
{
	static const uint32_t sizes[] = {VU_MAX_MSG_SIZE + 1, 1u << 31, UINT32_MAX};
	struct client *c = *state;

	for (size_t i = 0; i < 3; i++) {
		struct vu_header header = {1, VU_REGION_WRITE, sizes[i], 0, 0};

		if (!c->conn) {
			assert_int_equal(client_close(c), 0);
			client_open(c);
			client_hello(c);
		}
		client_send_raw(c, &header, sizeof(header), NULL, 0);
		client_poll(c);
		assert_null(c->conn);
	}
}

static void message_as_large_as_any(void **state)
{
	struct client *c = *state;
	uint8_t *payload = calloc(1, VU_MAX_MSG_SIZE);
	struct vu_region_access access = {0, 0, VU_MAX_DATA_XFER};

	memcpy(payload, &access, sizeof(access));
	/* As much data as the protocol allows, but the region is smaller. */
	assert_int_equal(client_call(c, VU_REGION_WRITE, payload, sizeof(access) + VU_MAX_DATA_XFER,
				     NULL, 0),
			 EINVAL);
	/* The largest message: refused, and the stream goes on. */
	assert_int_equal(client_call(c, VU_REGION_WRITE, payload,
				     VU_MAX_MSG_SIZE - sizeof(struct vu_header), NULL, 0),
			 EINVAL);
	assert_int_equal(client_call(c, 99, payload, VU_MAX_MSG_SIZE - sizeof(struct vu_header),
				     NULL, 0),
			 EOPNOTSUPP);
	assert_true(alive(c));
	free(payload);
}

static void type_that_does_not_exist(void **state)
{
	struct client *c = *state;
	struct vu_header header = {1, VU_GET_INFO, sizeof(header), 2, 0};

	client_send_raw(c, &header, sizeof(header), NULL, 0);
	client_poll(c);
	assert_null(c->conn);
}

static void answers_nobody_asked_for(void **state)
{
	struct client *c = *state;

	client_send(c, 5, VU_DMA_READ, VU_TYPE_REPLY, "abcdefghijklmnopqrstuvwx", 24, NULL, 0);
	client_send(c, 6, VU_GET_INFO, VU_TYPE_REPLY | VU_ERROR, NULL, 0, NULL, 0);
	assert_true(alive(c));
	assert_int_equal(c->nic.dones, 0);
}

static void only_so_much_is_said(void **state)
{
	struct client *c = *state;

	for (unsigned int i = 0; i < 200; i++)
		client_send(c, 1, 200, VU_NO_REPLY, NULL, 0, NULL, 0);
	client_poll(c);
	assert_in_range(c->said, 1, 20);
	assert_true(alive(c));
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

static void byte_by_byte(void **state)
{
	struct client *c = *state;
	uint8_t buf[64];
	size_t len = put_read(buf, 77, 16, 0, 8);

	for (size_t i = 0; i < len; i++) {
		assert_int_equal(client_recv(c), 0);
		assert_int_equal(client_send_raw(c, buf + i, 1, NULL, 0), 1);
		assert_int_equal(client_poll(c), 0);
	}
	assert_int_equal(client_recv(c), 1);
	assert_int_equal(c->header.id, 77);
	assert_memory_equal(c->payload + 16, c->nic.bar0 + 16, 8);
}

static void many_at_once(void **state)
{
	static uint8_t buf[5000 * 32];
	struct client *c = *state;
	size_t len = 0, sent = 0;
	unsigned int got = 0;

	for (unsigned int i = 0; i < 5000; i++)
		len += put_read(buf + len, (uint16_t)i, i % 4096, 0, 1);
	while (got < 5000) {
		int n = sent < len ? client_send_raw(c, buf + sent, len - sent, NULL, 0) : 0;

		if (n > 0)
			sent += (size_t)n;
		assert_true(vu_conn_poll(c->conn, 7) >= 0);
		while (client_recv(c) == 1) {
			assert_int_equal(c->header.id, got);
			assert_int_equal(c->payload[16], c->nic.bar0[got % 4096]);
			got++;
		}
	}
}

/* What was read but lies beyond the budget must not wait for the socket's next byte. */
static void budget_leaves_the_rest_pending(void **state)
{
	struct client *c = *state;
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev;
	uint8_t buf[10 * 32];
	size_t len = 0;

	c->conn->epfd = epfd;
	vu_conn_update_events(c->conn);
	for (uint16_t i = 0; i < 10; i++)
		len += put_read(buf + len, i, 0, 0, 1);
	client_send_raw(c, buf, len, NULL, 0);
	assert_int_equal(epoll_wait(epfd, &ev, 1, 0), 1);
	assert_int_equal(vu_conn_poll(c->conn, 3), 3);
	assert_int_equal(epoll_wait(epfd, &ev, 1, 0), 1);
	assert_int_equal(vu_conn_poll(c->conn, 100), 7);
	assert_int_equal(epoll_wait(epfd, &ev, 1, 0), 0);
	c->conn->epfd = -1;
	close(epfd);
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

static int file(void)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static size_t put_map(uint8_t *buf, uint64_t address)
{
	struct vu_dma_map map = {32, 3, 0, address, 4096};

	return put(buf, 9, VU_DMA_MAP, 0, &map, sizeof(map));
}

static unsigned int answers(struct client *c)
{
	unsigned int good = 0;

	while (client_recv(c) == 1)
		good += !(c->header.flags & VU_ERROR);
	return good;
}

static void too_many_descriptors(void **state)
{
	struct client *c = *state;
	int fd[253], one = file();
	uint8_t buf[64];
	size_t len = put_map(buf, 0);

	for (unsigned int i = 0; i < 253; i++)
		fd[i] = one;
	for (unsigned int n = 2; n <= 253; n += n < 20 ? 1 : 100) {
		assert_int_equal(client_send_raw(c, buf, len, fd, n), (int)len);
		client_poll(c);
		assert_int_equal(client_recv(c), 1);
		assert_int_equal(c->header.error, EINVAL);
	}
	assert_int_equal(c->nic.maps, 0);
	close(one);
}

static void descriptors_find_their_message(void **state)
{
	struct client *c = *state;
	uint8_t buf[256];
	int one = file(), other = file();
	size_t len;

	/* Messages that take none, before and behind, in one piece and in several. */
	len = put_read(buf, 1, 0, 0, 4);
	len += put_map(buf + len, 0x1000);
	client_send_raw(c, buf, len, &one, 1);
	client_poll(c);
	assert_int_equal(answers(c), 2);
	len = put_map(buf, 0x2000);
	len += put_read(buf + len, 1, 0, 0, 4);
	client_send_raw(c, buf, len, &one, 1);
	client_poll(c);
	assert_int_equal(answers(c), 2);
	/* Header with the descriptor first, the rest later. */
	len = put_map(buf, 0x3000);
	client_send_raw(c, buf, 16, &one, 1);
	client_poll(c);
	client_send_raw(c, buf + 16, len - 16, NULL, 0);
	client_poll(c);
	assert_int_equal(answers(c), 1);
	/* A first byte with it, and the end of that message together with a whole one. */
	len = put_map(buf, 0x4000);
	client_send_raw(c, buf, 1, &one, 1);
	client_poll(c);
	client_send_raw(c, buf + 1, len - 1, NULL, 0);
	len = put_map(buf, 0x5000);
	client_send_raw(c, buf, len, &other, 1);
	client_poll(c);
	assert_int_equal(answers(c), 2);
	/* Three maps in three sends, the middle one without a descriptor. */
	for (unsigned int i = 0; i < 3; i++) {
		len = put_map(buf, 0x6000 + 0x1000 * i);
		client_send_raw(c, buf, len, &one, i != 1);
	}
	client_poll(c);
	assert_int_equal(answers(c), 3);

	assert_int_equal(c->nic.maps, 8);
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(c->nic.map[i].iova, 0x1000 * (i + 1));
		assert_int_equal(c->nic.map[i].has_fd, i != 6);
	}
	close(one);
	close(other);
}

static void descriptors_of_a_message_that_never_ends(void **state)
{
	struct client *c = *state;
	uint8_t buf[64];
	int one = file();

	put_map(buf, 0);
	client_send_raw(c, buf, 40, &one, 1);
	client_poll(c);
	close(one);
	/* The teardown counts. */
}

static void no_descriptor_left_in_the_process(void **state)
{
	struct client *c = *state;
	struct rlimit old, low;
	uint8_t buf[64];
	int one = file();
	size_t len = put_map(buf, 0);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	client_send_raw(c, buf, len, &one, 1);
	low = old;
	low.rlim_cur = (rlim_t)one + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	client_poll(c);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	/* Not taken for memory that is shared by messages. */
	assert_int_equal(client_recv(c), 1);
	assert_int_equal(c->header.error, EMFILE);
	assert_int_equal(c->nic.maps, 0);
	close(one);
}

/* ---- Slow clients ---------------------------------------------------------------------------- */

static void client_that_does_not_read(void **state)
{
	struct client *c = *state;
	uint8_t buf[32];
	unsigned int asked = 0, got = 0;
	size_t most = 0;

	/* Ask until the socket takes no more: the server has stopped to listen. */
	for (unsigned int idle = 0; idle < 3 && asked < 100000;) {
		put_read(buf, (uint16_t)asked, 0, 2, 65536);
		if (client_send_raw(c, buf, 32, NULL, 0) == 32) {
			asked++;
			idle = 0;
		} else {
			idle++;
		}
		assert_true(vu_conn_poll(c->conn, 100) >= 0);
		if (c->conn->main.out_bytes > most)
			most = c->conn->main.out_bytes;
	}
	assert_true(asked < 100000);
	assert_in_range(most, VU_OUT_HIGH, 2 * VU_OUT_HIGH);
	/* It starts to read: every answer comes, in order. */
	while (client_recv(c) == 1) {
		assert_int_equal(c->header.id, (uint16_t)got);
		assert_int_equal(c->len, 16 + 65536);
		got++;
		assert_true(vu_conn_poll(c->conn, 100) >= 0);
	}
	assert_int_equal(got, asked);
	assert_int_equal(c->conn->main.out_bytes, 0);
}

static void answer_with_a_descriptor_that_has_to_wait(void **state)
{
	struct client *c = *state;
	struct vu_region_info info = {.argsz = 4096, .index = 4};
	uint8_t buf[64];
	size_t len;
	unsigned int fds = 0;

	/* Fill the socket. */
	while (!c->conn->main.out) {
		put_read(buf, 1, 0, 2, 65536);
		client_send_raw(c, buf, 32, NULL, 0);
		assert_true(vu_conn_poll(c->conn, 100) >= 0);
	}
	len = put(buf, 2, VU_GET_REGION_INFO, 0, &info, sizeof(info));
	client_send_raw(c, buf, len, NULL, 0);
	assert_true(vu_conn_poll(c->conn, 100) >= 0);
	while (client_recv(c) == 1) {
		if (c->header.cmd == VU_GET_REGION_INFO)
			fds += c->fds;
		else
			assert_int_equal(c->fds, 0);
		assert_true(vu_conn_poll(c->conn, 100) >= 0);
	}
	assert_int_equal(fds, 1);
}

static void interest_follows_the_queue(void **state)
{
	struct client *c = *state;
	uint8_t buf[32];

	assert_int_equal(c->conn->main_events, UINT32_MAX); /* no epoll in these tests */
	c->conn->epfd = epoll_create1(EPOLL_CLOEXEC);
	vu_conn_update_events(c->conn);
	assert_int_equal(c->conn->main_events, EPOLLIN);
	while (c->conn->main.out_bytes < VU_OUT_HIGH) {
		put_read(buf, 1, 0, 2, 65536);
		client_send_raw(c, buf, 32, NULL, 0);
		assert_true(vu_conn_poll(c->conn, 100) >= 0);
	}
	assert_int_equal(c->conn->main_events, EPOLLOUT);
	while (client_recv(c) == 1)
		assert_true(vu_conn_poll(c->conn, 100) >= 0);
	assert_int_equal(c->conn->main_events, EPOLLIN);
	close(c->conn->epfd);
	c->conn->epfd = -1;
}

/* ---- Death ----------------------------------------------------------------------------------- */

/* One session of everything, cut off after @cut bytes; the NIC must be free of the client then. */
static size_t die_after(size_t cut)
{
	struct client *c = malloc(sizeof(*c));
	struct vu_device_info info = {.argsz = sizeof(info)};
	struct vu_irq_set set = {20, VU_IRQ_DATA_EVENTFD | VU_IRQ_ACTION_TRIGGER, 2, 0, 2};
	struct vu_region_access write = {0, 0, 4};
	uint8_t buf[512], version[] = "\0\0\0\0{\"capabilities\":{\"max_msg_fds\":9}}";
	size_t at[8] = {0}, sent = 0, len = 0, written;
	int fd[2], memory = file();

	client_open(c);
	fd[0] = eventfd(0, EFD_CLOEXEC);
	fd[1] = eventfd(0, EFD_CLOEXEC);
	len += put(buf + len, 1, VU_VERSION, 0, version, sizeof(version));
	at[0] = len;
	len += put_map(buf + len, 0x1000);
	at[1] = len;
	len += put(buf + len, 2, VU_GET_INFO, 0, &info, sizeof(info));
	at[2] = len;
	len += put(buf + len, 3, VU_SET_IRQS, 0, &set, sizeof(set));
	at[3] = len;
	len += put(buf + len, 4, VU_REGION_WRITE, VU_NO_REPLY, &write, sizeof(write));
	memcpy(buf + len - 16, &write, 16);
	at[4] = len;
	len += put(buf + len, 5, VU_DEVICE_RESET, 0, NULL, 0);
	at[5] = len;
	written = len;

	for (unsigned int i = 0; i < 6 && sent < cut; i++) {
		size_t end = at[i] < cut ? at[i] : cut;

		client_send_raw(c, buf + sent, end - sent, i == 1 ? &memory : fd,
				i == 1	 ? 1
				: i == 3 ? 2
					 : 0);
		sent = end;
		if (sent % 3)
			client_poll(c);
	}
	close(c->sock);
	c->sock = -1;
	client_poll(c);
	assert_null(c->conn);
	assert_int_equal(c->nic.detaches, 1);
	assert_null(c->nic.ops);
	close(fd[0]);
	close(fd[1]);
	close(memory);
	/* Opened before client_open(): one more than it counted. */
	assert_int_equal(client_close(c), -1);
	free(c);
	return written;
}

static void death_at_every_byte(void **state)
{
	size_t len = 1;

	(void)state;
	for (size_t cut = 0; cut <= len; cut++)
		len = die_after(cut);
}

static void death_with_answers_on_their_way(void **state)
{
	struct client *c = *state;
	uint8_t buf[32];

	while (!c->conn->main.out) {
		put_read(buf, 1, 0, 2, 65536);
		client_send_raw(c, buf, 32, NULL, 0);
		assert_true(vu_conn_poll(c->conn, 100) >= 0);
	}
	close(c->sock);
	c->sock = -1;
	client_poll(c);
	assert_null(c->conn);
	assert_int_equal(c->nic.detaches, 1);
}

static void half_closed(void **state)
{
	struct client *c = *state;
	uint8_t buf[32];

	put_read(buf, 1, 0, 0, 4);
	client_send_raw(c, buf, 32, NULL, 0);
	shutdown(c->sock, SHUT_WR);
	client_poll(c);
	assert_null(c->conn);
	/* What was asked before is answered. */
	assert_int_equal(client_recv(c), 1);
	assert_int_equal(client_recv(c), -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(header_smaller_than_itself),
		T(message_larger_than_any),
		T(message_as_large_as_any),
		T(type_that_does_not_exist),
		T(answers_nobody_asked_for),
		T(only_so_much_is_said),
		T(byte_by_byte),
		T(many_at_once),
		T(budget_leaves_the_rest_pending),
		T(too_many_descriptors),
		T(descriptors_find_their_message),
		T(descriptors_of_a_message_that_never_ends),
		T(no_descriptor_left_in_the_process),
		T(client_that_does_not_read),
		T(answer_with_a_descriptor_that_has_to_wait),
		T(interest_follows_the_queue),
		cmocka_unit_test(death_at_every_byte),
		T(death_with_answers_on_their_way),
		T(half_closed),
	};

	return cmocka_run_group_tests_name("vfio_user_stream", tests, NULL, NULL);
}
