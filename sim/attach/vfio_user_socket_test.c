/* SPDX-License-Identifier: BSD-3-Clause */
/* The vfio-user server's socket: whose it is, who waits, what is left behind */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "vfio_user.h"
#include "vfio_user_client.h"

struct place {
	struct vqnic nic;
	char dir[64];
	char path[80];
	struct vfio_user_server *server;
	struct vqnic_error err;
	int open_before;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/vfio_user_test.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/s", p->dir);
	p->open_before = open_fds();
	fake_init(&p->nic);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	vfio_user_close(p->server);
	fake_fini(&p->nic);
	assert_int_equal(open_fds(), p->open_before);
	/* Nothing is left in the directory. */
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

static int start(struct place *p)
{
	struct vfio_user_config cfg = {.nic = &p->nic, .path = p->path};

	return vfio_user_listen(&cfg, &p->server, &p->err);
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -errno;
	}
	return fd;
}

static bool ready(const struct place *p)
{
	struct pollfd pfd = {.fd = vfio_user_poll_fd(p->server), .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

static void greet(int fd)
{
	struct vu_header header = {1, VU_VERSION, 20, 0, 0};
	char buf[20] = {0};

	memcpy(buf, &header, sizeof(header));
	assert_int_equal(send(fd, buf, sizeof(buf), 0), sizeof(buf));
}

static bool greeted(int fd)
{
	char buf[64];

	return recv(fd, buf, sizeof(buf), MSG_DONTWAIT) == 20;
}

static void serves_one_after_the_other(void **state)
{
	struct place *p = *state;
	int one, other;

	assert_int_equal(start(p), 0);
	assert_false(ready(p));
	one = connect_to(p->path);
	assert_true(one >= 0);
	assert_true(ready(p));
	greet(one);
	vfio_user_poll(p->server, 10);
	assert_true(greeted(one));
	assert_false(ready(p));

	/* The second waits, and does not keep the loop awake. */
	other = connect_to(p->path);
	assert_true(other >= 0);
	greet(other);
	assert_false(ready(p));
	vfio_user_poll(p->server, 10);
	assert_false(greeted(other));

	close(one);
	assert_true(ready(p));
	vfio_user_poll(p->server, 10);
	assert_int_equal(p->nic.detaches, 1);
	assert_true(ready(p));
	vfio_user_poll(p->server, 10);
	assert_true(greeted(other));
	close(other);
}

static void comes_and_goes(void **state)
{
	struct place *p = *state;

	assert_int_equal(start(p), 0);
	for (unsigned int i = 0; i < 100; i++) {
		int fd = connect_to(p->path);

		assert_true(fd >= 0);
		if (i % 3)
			greet(fd);
		if (i % 2)
			vfio_user_poll(p->server, 10);
		close(fd);
		while (ready(p))
			vfio_user_poll(p->server, 10);
		assert_int_equal(p->nic.detaches, i + 1);
	}
}

static void no_descriptor_for_a_client(void **state)
{
	struct place *p = *state;
	struct rlimit old, low;
	int fd;

	assert_int_equal(start(p), 0);
	fd = connect_to(p->path);
	assert_true(fd >= 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_true(ready(p));
	vfio_user_poll(p->server, 10);
	/* Turned away, and the loop can sleep. */
	assert_false(ready(p));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	close(fd);
	/* The next one is served. */
	fd = connect_to(p->path);
	greet(fd);
	vfio_user_poll(p->server, 10);
	assert_true(greeted(fd));
	close(fd);
}

static void removes_its_socket(void **state)
{
	struct place *p = *state;
	struct stat st;

	assert_int_equal(start(p), 0);
	assert_int_equal(lstat(p->path, &st), 0);
	vfio_user_close(p->server);
	p->server = NULL;
	assert_int_equal(lstat(p->path, &st), -1);
}

static void leaves_what_is_not_its_own(void **state)
{
	struct place *p = *state, other = {0};
	struct stat st;

	assert_int_equal(start(p), 0);
	/* Somebody removes it and makes another. */
	assert_int_equal(unlink(p->path), 0);
	strcpy(other.path, p->path);
	assert_int_equal(start(&other), 0);
	vfio_user_close(p->server);
	p->server = NULL;
	assert_int_equal(lstat(p->path, &st), 0);
	vfio_user_close(other.server);
	assert_int_equal(lstat(p->path, &st), -1);
}

static void replaces_a_dead_socket(void **state)
{
	struct place *p = *state;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, p->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(start(p), 0);
	fd = connect_to(p->path);
	assert_true(fd >= 0);
	close(fd);
}

static void refuses_a_live_socket(void **state)
{
	struct place *p = *state, other = {0};

	assert_int_equal(start(p), 0);
	strcpy(other.path, p->path);
	assert_int_equal(start(&other), -EADDRINUSE);
	assert_non_null(strstr(other.err.text, p->path));
	assert_non_null(strstr(other.err.text, "listens"));
	/* The first one is not disturbed: the other only knocked. */
	while (ready(p))
		vfio_user_poll(p->server, 10);
	assert_true(close(connect_to(p->path)) == 0);
}

static void refuses_a_file(void **state)
{
	struct place *p = *state;
	FILE *f = fopen(p->path, "w");

	fputs("mine", f);
	fclose(f);
	assert_int_equal(start(p), -EADDRINUSE);
	assert_non_null(strstr(p->err.text, "no socket"));
	assert_int_equal(unlink(p->path), 0);
}

static void refuses_odd_paths(void **state)
{
	struct place *p = *state;
	struct vfio_user_config cfg = {.nic = &p->nic};
	char longer[200];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cfg.path = longer;
	assert_int_equal(vfio_user_listen(&cfg, &p->server, &p->err), -ENAMETOOLONG);
	cfg.path = "";
	assert_int_equal(vfio_user_listen(&cfg, &p->server, &p->err), -ENAMETOOLONG);
	cfg.path = "/tmp/no-such-directory-here/s";
	assert_int_equal(vfio_user_listen(&cfg, &p->server, &p->err), -ENOENT);
	assert_non_null(strstr(p->err.text, "directory"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(serves_one_after_the_other), T(comes_and_goes),
		T(no_descriptor_for_a_client), T(removes_its_socket),
		T(leaves_what_is_not_its_own), T(replaces_a_dead_socket),
		T(refuses_a_live_socket),      T(refuses_a_file),
		T(refuses_odd_paths),
	};

	return cmocka_run_group_tests_name("vfio_user_socket", tests, NULL, NULL);
}
