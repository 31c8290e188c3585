// SPDX-License-Identifier: BSD-3-Clause
/*
 * The peer on a stream, with frames that come in pieces; others need an interface of the machine
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "peer.h"

static char path[64], address[80], error[256];
static int other;

static struct peer *connected(struct parent *p)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const struct parent_options opts = {
		.peer = address, .error = error, .error_size = sizeof(error)};
	struct peer *peer;
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(path, sizeof(path), "/tmp/vqcert-peer-%d.sock", getpid());
	snprintf(address, sizeof(address), "stream:%s", path);
	unlink(path);
	memcpy(addr.sun_path, path, sizeof(path));
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 1), 0);
	memset(p, 0, sizeof(*p));
	assert_int_equal(peer_open(&opts, p, &peer), 0);
	assert_int_equal(p->peer, PEER_OWN);
	assert_int_equal(p->caps, CAP_TRAFFIC | CAP_PEER);
	other = accept(listener, NULL, NULL);
	assert_true(other >= 0);
	close(listener);
	unlink(path);
	return peer;
}

static void test_stream(void **state)
{
	static const uint8_t wire[] = {0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0, 0, 0, 0, 1, 'z'};
	struct parent_frame f = {.data = (const uint8_t *)"hello", .len = 5};
	struct parent p;
	struct peer *peer = connected(&p);
	uint8_t buf[16];

	(void)state;
	assert_int_equal(peer_recv(peer, &f, buf, sizeof(buf)), 0);
	/* byte by byte: nothing comes before it is whole */
	for (unsigned int i = 0; i < sizeof(wire); i++) {
		const bool whole = i == 6 || i == 10 || i == 15;

		assert_int_equal(write(other, wire + i, 1), 1);
		assert_int_equal(peer_recv(peer, &f, buf, sizeof(buf)), whole);
		if (whole)
			assert_int_equal(f.len, i == 6 ? 3 : i == 10 ? 0 : 1);
	}
	assert_int_equal(buf[0], 'z');
	f = (struct parent_frame){.data = (const uint8_t *)"hello", .len = 5};
	assert_int_equal(peer_send(peer, &f), 0);
	assert_int_equal(read(other, buf, sizeof(buf)), 9);
	assert_memory_equal(buf, "\0\0\0\5hello", 9);
	f.flags = 1; /* a stream has no room for what is unfinished */
	assert_int_equal(peer_send(peer, &f), -EOPNOTSUPP);
	close(other);
	assert_int_equal(peer_recv(peer, &f, buf, sizeof(buf)), -ENOTCONN);
	peer_close(peer);
}

static void test_stream_limits(void **state)
{
	static uint8_t big[60000];
	const struct parent_frame f = {.data = big, .len = sizeof(big)};
	struct parent_frame in;
	struct parent p;
	struct peer *peer = connected(&p);
	uint8_t buf[16];
	int err = 0;

	(void)state;
	/* a frame larger than the buffer, then one that no wire carries */
	assert_int_equal(write(other,
			       "\0\0\0\x11"
			       "0123456789abcdefg",
			       21),
			 21);
	assert_int_equal(peer_recv(peer, &in, buf, sizeof(buf)), -EMSGSIZE);
	assert_int_equal(write(other, "\x7f\0\0\0", 4), 4);
	assert_int_equal(peer_recv(peer, &in, buf, sizeof(buf)), -EPROTO);
	/* nobody reads: it says so before it begins a frame, and does not wait */
	for (unsigned int i = 0; i < 1000 && !err; i++) {
		err = peer_send(peer, &f);
		if (err == -ETIMEDOUT)
			break;
	}
	assert_true(err == -EAGAIN || err == -ETIMEDOUT);
	peer_close(peer);
	close(other);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *peer;
		int err;
		enum peer_kind kind;
	} cases[] = {
		{NULL, 0, PEER_NONE},
		{"none", 0, PEER_NONE},
		{"loopback", 0, PEER_ECHO},
		{"stream:/nonexistent/socket", -ENOENT, PEER_NONE},
		{"packet:no-such-if0", -ENODEV, PEER_NONE},
		{"tap:a-name-that-is-too-long", -EINVAL, PEER_NONE},
		{"pigeon", -EINVAL, PEER_NONE},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct parent_options opts = {
			.peer = cases[i].peer, .error = error, .error_size = sizeof(error)};
		struct parent p = {0};
		struct peer *peer;

		error[0] = 0;
		assert_int_equal(peer_open(&opts, &p, &peer), cases[i].err);
		assert_int_equal(p.peer, cases[i].kind);
		assert_int_equal(!!error[0], !!cases[i].err);
		assert_null(peer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_stream_limits),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
