/* SPDX-License-Identifier: BSD-3-Clause */
/* The peer is this test on the other end of a socket, byte by byte where it matters. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "wire.h"

#define BIG 69632u /* the longest that QEMU sends */

struct test {
	char dir[32], path[64];
	int listener, peer;
	const struct vqnic_wire_ops *ops;
	void *wire;
	unsigned int received, links;
	bool link;
	uint32_t len;
	uint8_t data[BIG];
};

static int receive(void *ctx, const struct vqnic_frame *frame)
{
	struct test *t = ctx;

	t->received++;
	t->len = frame->len;
	memcpy(t->data, frame->data, frame->len);
	assert_int_equal(frame->flags | frame->gso_type, 0);
	return 0;
}

static void link_changed(void *ctx, bool up)
{
	struct test *t = ctx;

	t->links++;
	t->link = up;
}

static struct sockaddr_un address_of(const struct test *t)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	strcpy(addr.sun_path, t->path);
	return addr;
}

static void peer_listen(struct test *t)
{
	struct sockaddr_un addr = address_of(t);

	t->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(t->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(t->listener, 1), 0);
}

static int peer_connect(struct test *t)
{
	struct sockaddr_un addr = address_of(t);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int plug(struct test *t, const char *scheme, struct vqnic_error *err)
{
	const struct wire_end end = {.receive = receive, .link = link_changed, .ctx = t};
	char address[100];

	snprintf(address, sizeof(address), "%s:%s", scheme, t->path);
	return wire_open(address, &end, &t->ops, &t->wire, err);
}

/* Waits until the wire wants to be polled, and polls it. */
static int wait_poll(struct test *t, unsigned int budget)
{
	struct pollfd pfd = {.fd = t->ops->poll_fd(t->wire), .events = POLLIN};

	assert_int_equal(poll(&pfd, 1, 5000), 1);
	return t->ops->poll(t->wire, budget);
}

static bool quiet(struct test *t)
{
	struct pollfd pfd = {.fd = t->ops->poll_fd(t->wire), .events = POLLIN};

	return poll(&pfd, 1, 0) == 0;
}

static int setup(void **state)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->listener = t->peer = -1;
	strcpy(t->dir, "/tmp/stream_test.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof(t->path), "%s/s", t->dir);
	*state = t;
	return 0;
}

static int setup_connected(void **state)
{
	struct vqnic_error err = {""};
	struct test *t;

	setup(state);
	t = *state;
	peer_listen(t);
	if (plug(t, "stream", &err))
		fail_msg("%s", err.text);
	t->peer = accept(t->listener, NULL, NULL);
	assert_true(t->peer >= 0);
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	if (t->wire)
		t->ops->close(t->wire);
	close(t->peer);
	close(t->listener);
	unlink(t->path);
	assert_int_equal(rmdir(t->dir), 0);
	free(t);
	return 0;
}

static void put(struct test *t, const void *data, size_t len)
{
	assert_int_equal(send(t->peer, data, len, MSG_NOSIGNAL), len);
}

static void get(struct test *t, void *data, size_t len)
{
	assert_int_equal(recv(t->peer, data, len, MSG_WAITALL), len);
}

static void transmit(void **state)
{
	struct test *t = *state;
	uint8_t data[70] = {7}, got[74];
	struct vqnic_frame frame = {.data = data, .len = sizeof(data)};

	assert_int_equal(t->ops->caps, 0);
	assert_int_equal(t->ops->transmit(t->wire, &frame), 0);
	data[0] = 8; /* it was copied */
	t->ops->flush(t->wire);
	get(t, got, sizeof(got));
	assert_memory_equal(got, "\0\0\0\x46\x07", 5);
	t->ops->flush(t->wire);
	assert_true(recv(t->peer, got, 1, MSG_DONTWAIT) < 0);
}

/* A peer that does not read: frames are lost whole, and what was taken arrives whole, in order. */
static void congestion(void **state)
{
	struct test *t = *state;
	static uint8_t data[40000];
	struct vqnic_frame frame = {.data = data, .len = sizeof(data)};
	uint8_t prefix[4], next = 0, sent[256];
	unsigned int taken = 0, lost = 0;

	for (unsigned int i = 0; i < 200; i++) {
		memset(data, (int)i, sizeof(data));
		if (t->ops->transmit(t->wire, &frame))
			lost++;
		else
			sent[taken++] = (uint8_t)i;
	}
	assert_true(lost > 0 && taken > 4);
	t->ops->flush(t->wire);
	for (unsigned int i = 0; i < taken; i++) {
		get(t, prefix, 4);
		assert_memory_equal(prefix, "\0\0\x9c\x40", 4);
		get(t, data, sizeof(data));
		next = sent[i];
		assert_int_equal(data[0], next);
		assert_int_equal(data[sizeof(data) - 1], next);
		while (i + 1 < taken &&
		       !quiet(t)) /* the socket takes more: the wire wants to know */
			t->ops->poll(t->wire, 8);
	}
	assert_true(quiet(t));
	assert_int_equal(t->ops->transmit(t->wire, &frame), 0);
}

static void receive_pieces(void **state)
{
	struct test *t = *state;
	uint8_t bytes[4 + 60];

	memset(bytes, 0x42, sizeof(bytes));
	memcpy(bytes, "\0\0\0\x3c", 4);
	for (unsigned int i = 0; i < sizeof(bytes) - 1; i++) {
		put(t, bytes + i, 1);
		assert_int_equal(wait_poll(t, 8), 0);
		assert_true(quiet(t));
	}
	put(t, bytes + sizeof(bytes) - 1, 1);
	assert_int_equal(wait_poll(t, 8), 1);
	assert_int_equal(t->len, 60);
	assert_memory_equal(t->data, bytes + 4, 60);
}

static void receive_budget(void **state)
{
	struct test *t = *state;
	uint8_t bytes[10 * (4 + 20)] = {0};

	for (unsigned int i = 0; i < 10; i++) {
		bytes[i * 24 + 3] = 20;
		bytes[i * 24 + 4] = (uint8_t)i;
	}
	put(t, bytes, sizeof(bytes));
	assert_int_equal(wait_poll(t, 4), 4);
	assert_int_equal(t->data[0], 3);
	assert_int_equal(wait_poll(t, 0), 0);
	assert_int_equal(wait_poll(t, 4), 4); /* the socket is empty, and still it is readable */
	assert_int_equal(wait_poll(t, 4), 2);
	assert_int_equal(t->data[0], 9);
	assert_true(quiet(t));
}

static void receive_longest(void **state)
{
	struct test *t = *state;
	uint8_t *bytes = calloc(1, 4 + BIG);

	assert_non_null(bytes);
	memcpy(bytes, "\0\x01\x10\0", 4);
	bytes[4 + BIG - 1] = 0x99;
	put(t, bytes, 4 + BIG);
	while (!t->received)
		wait_poll(t, 8);
	assert_int_equal(t->len, BIG);
	assert_int_equal(t->data[BIG - 1], 0x99);
	assert_int_equal(t->links, 0);
	free(bytes);
}

static void hostile_length(void **state)
{
	static const char *const prefixes[] = {"\0\0\0\0", "\0\x01\x10\x01", "\xff\xff\xff\xff",
					       "\x80\0\0\0"};
	struct test *t = *state;

	for (unsigned int i = 0; i < 4; i++) {
		put(t, prefixes[i], 4);
		wait_poll(t, 8);
		assert_int_equal(t->links, 2 * i + 1);
		assert_false(t->link);
		assert_int_equal(recv(t->peer, t->data, 1, 0), 0); /* hung up on */
		close(t->peer);
		while (!t->link) /* and tried again */
			wait_poll(t, 8);
		t->peer = accept(t->listener, NULL, NULL);
		assert_true(t->peer >= 0);
	}
	put(t,
	    "\0\0\0\x0e"
	    "fourteen bytes",
	    18);
	assert_int_equal(wait_poll(t, 8), 1);
}

static void peer_goes(void **state)
{
	struct test *t = *state;
	uint8_t data[60] = {0};
	struct vqnic_frame frame = {.data = data, .len = sizeof(data)};

	put(t, "\0\0\0\x10half a frame", 15);
	close(t->peer);
	close(t->listener);
	unlink(t->path);
	assert_int_equal(wait_poll(t, 8), 0);
	assert_int_equal(t->links, 1);
	assert_false(t->link);
	assert_int_equal(t->ops->transmit(t->wire, &frame), -ENOBUFS);
	t->ops->flush(t->wire);
	assert_int_equal(wait_poll(t, 8), 0); /* a try in vain */
	assert_int_equal(t->links, 1);
	peer_listen(t);
	while (!t->link)
		wait_poll(t, 8);
	t->peer = accept(t->listener, NULL, NULL);
	assert_true(t->peer >= 0);
	/* The half frame of the old peer is forgotten. */
	put(t,
	    "\0\0\0\x0e"
	    "fourteen bytes",
	    18);
	assert_int_equal(wait_poll(t, 8), 1);
	assert_memory_equal(t->data, "fourteen", 8);
	/* A peer that is gone is noticed by sending as well. */
	close(t->peer);
	t->peer = -1;
	assert_int_equal(t->ops->transmit(t->wire, &frame), 0);
	t->ops->flush(t->wire);
	while (t->link)
		wait_poll(t, 8);
}

static void listening(void **state)
{
	struct vqnic_error err = {""};
	struct test *t = *state;
	int second;

	if (plug(t, "stream-listen", &err))
		fail_msg("%s", err.text);
	assert_int_equal(wait_poll(t, 8), 0);
	assert_int_equal(t->links, 1);
	assert_false(t->link);
	assert_true(quiet(t));
	t->peer = peer_connect(t);
	assert_true(t->peer >= 0);
	wait_poll(t, 8);
	assert_true(t->link);
	second = peer_connect(t); /* waits for its turn */
	assert_true(second >= 0);
	assert_true(quiet(t));
	put(t,
	    "\0\0\0\x0e"
	    "fourteen bytes",
	    18);
	assert_int_equal(wait_poll(t, 8), 1);
	close(t->peer);
	t->peer = second;
	while (t->links < 4)
		wait_poll(t, 8);
	assert_true(t->link);
	put(t,
	    "\0\0\0\x0e"
	    "FOURTEEN bytes",
	    18);
	while (t->received < 2)
		wait_poll(t, 8);
	assert_memory_equal(t->data, "FOURTEEN", 8);
	t->ops->close(t->wire);
	t->wire = NULL;
	assert_int_equal(access(t->path, F_OK), -1);
}

static void in_the_way(void **state)
{
	struct vqnic_error err = {""};
	struct test *t = *state;
	FILE *f;

	peer_listen(t);
	assert_int_equal(plug(t, "stream-listen", &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another process"));
	assert_int_equal(access(t->path, F_OK), 0);
	close(t->listener); /* stale now */
	t->listener = -1;
	assert_int_equal(plug(t, "stream", &err), -ECONNREFUSED);
	assert_int_equal(plug(t, "stream-listen", &err), 0);
	t->ops->close(t->wire);
	t->wire = NULL;
	f = fopen(t->path, "we");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(plug(t, "stream-listen", &err), -EEXIST);
	assert_int_equal(access(t->path, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(transmit, setup_connected, teardown),
		cmocka_unit_test_setup_teardown(congestion, setup_connected, teardown),
		cmocka_unit_test_setup_teardown(receive_pieces, setup_connected, teardown),
		cmocka_unit_test_setup_teardown(receive_budget, setup_connected, teardown),
		cmocka_unit_test_setup_teardown(receive_longest, setup_connected, teardown),
		cmocka_unit_test_setup_teardown(hostile_length, setup_connected, teardown),
		cmocka_unit_test_setup_teardown(peer_goes, setup_connected, teardown),
		cmocka_unit_test_setup_teardown(listening, setup, teardown),
		cmocka_unit_test_setup_teardown(in_the_way, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
