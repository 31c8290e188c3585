/* SPDX-License-Identifier: BSD-3-Clause */
/* The program vqnic from outside: its words, its exit status, what it leaves behind */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "attach/vfio_user_msg.h"

#define DEADLINE_MS 20000

static const char *vqnic;

struct place {
	char dir[64];
	char one[80], two[80];
	pid_t pid;
	int out;
	char text[65536];
	size_t len;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/vqnic_test.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->one, sizeof(p->one), "%s/one", p->dir);
	snprintf(p->two, sizeof(p->two), "%s/two", p->dir);
	p->out = -1;
	*state = p;
	return 0;
}

static void start(struct place *p, const char *const *args)
{
	const char *argv[24] = {vqnic};
	int fd[2];

	for (unsigned int i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	p->len = 0;
	p->text[0] = '\0';
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		dup2(fd[1], 1);
		dup2(fd[1], 2);
		execv(vqnic, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(fd[1]);
	p->out = fd[0];
}

/* Read until there is a line with @word, or to the end if it is NULL. */
static bool read_until(struct place *p, const char *word)
{
	while (!word || !strstr(p->text, word)) {
		struct pollfd pfd = {.fd = p->out, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
		assert_true(p->len < sizeof(p->text) - 1);
		n = read(p->out, p->text + p->len, sizeof(p->text) - 1 - p->len);
		if (n <= 0)
			return false;
		p->len += (size_t)n;
		p->text[p->len] = '\0';
	}
	return true;
}

/* Read the rest; Return: exit status, or 256 plus the signal. */
static int finish(struct place *p)
{
	int status;

	read_until(p, NULL);
	close(p->out);
	p->out = -1;
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	p->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static int stop(struct place *p, int signal)
{
	kill(p->pid, signal);
	return finish(p);
}

static int teardown(void **state)
{
	struct place *p = *state;

	if (p->pid)
		stop(p, SIGKILL);
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

#define RUN(p, ...)   (start(p, (const char *const[]){__VA_ARGS__, NULL}), finish(p))
#define START(p, ...) start(p, (const char *const[]){__VA_ARGS__, NULL})

static bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

static int greet(const char *path)
{
	struct {
		struct vu_header header;
		struct vu_version version;
	} msg = {{1, VU_VERSION, sizeof(msg), 0, 0}, {0, 0}};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	strcpy(addr.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(send(fd, &msg, sizeof(msg), MSG_NOSIGNAL), sizeof(msg));
	assert_int_equal(poll(&pfd, 1, DEADLINE_MS), 1);
	assert_int_equal(recv(fd, &msg, sizeof(msg), 0), sizeof(msg));
	assert_int_equal(msg.header.flags, VU_TYPE_REPLY);
	return fd;
}

/* ---- Words ----------------------------------------------------------------------------------- */

static void wrong_usage(void **state)
{
	static const struct {
		const char *args[6];
		const char *word; /* in the sentence */
	} wrong[] = {
		{{NULL}, "command is missing"},
		{{"walk", NULL}, "'walk'"},
		{{"run", NULL}, "PROFILE is missing"},
		{{"run", "ifcvf", NULL}, "--vfio-user SOCKET"},
		{{"run", "ifcvf", "virtio-net", "--vfio-user=x", NULL}, "virtio-net"},
		{{"run", "no-such", "--vfio-user=x", NULL}, "no-such"},
		{{"run", "ifcvf", "--vfio-user=x", "--set=colour=blue", NULL}, "colour"},
		{{"run", "ifcvf", "--vfio-user=x", "--set=blue", NULL}, "blue"},
		{{"run", "ifcvf", "--vfio-user=x", "--defect=rust", NULL}, "rust"},
		{{"run", "ifcvf", "--vfio-user=x", "--seed=many", NULL}, "many"},
		{{"run", "ifcvf", "--vfio-user=x", "--fabric=velvet", NULL}, "velvet"},
		{{"run", "ifcvf", "--vfio-user=x", "--walk", NULL}, "--walk"},
		{{"run", "--wire=loopback", "--nic=ifcvf,vfio-user=x", NULL}, "--wire"},
		{{"run", "--nic=ifcvf", NULL}, "ifcvf"},
		{{"run", "--nic=ifcvf,blue,vfio-user=x", NULL}, "'blue'"},
		{{"run", "--nic=ifcvf,vfio-user=x,colour=blue", NULL}, "colour"},
		{{"defects", "--format=prose", NULL}, "prose"},
		{{"defects", "all", NULL}, "all"},
		{{"profiles", "all", NULL}, "all"},
	};
	struct place *p = *state;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		start(p, wrong[i].args);
		assert_int_equal(finish(p), 2);
		if (!strstr(p->text, wrong[i].word))
			fail_msg("nothing of '%s' in: %s", wrong[i].word, p->text);
	}
	assert_false(exists("x"));
}

static void environment_that_does_not_fit(void **state)
{
	struct place *p = *state;
	FILE *f;

	assert_int_equal(RUN(p, "run", "ifcvf", "--vfio-user", "/no-such-place/x"), 3);
	assert_non_null(strstr(p->text, "/no-such-place"));
	assert_int_equal(RUN(p, "run", "ifcvf", "--vfio-user", p->one, "--wire", "carrier:pigeon"),
			 3);
	assert_non_null(strstr(p->text, "carrier:pigeon"));
	f = fopen(p->one, "w");
	fclose(f);
	assert_int_equal(RUN(p, "run", "ifcvf", "--vfio-user", p->one), 3);
	assert_true(exists(p->one));
	unlink(p->one);
}

static void helps(void **state)
{
	struct place *p = *state;

	assert_int_equal(RUN(p, "--help"), 0);
	assert_non_null(strstr(p->text, "profiles"));
	assert_int_equal(RUN(p, "run", "--help"), 0);
	assert_non_null(strstr(p->text, "--vfio-user"));
	assert_int_equal(RUN(p, "--version"), 0);
	assert_non_null(strstr(p->text, "vqnic "));
	assert_int_equal(RUN(p, "run", "--version"), 0);
	assert_non_null(strstr(p->text, "vqnic "));
}

static void lists(void **state)
{
	struct place *p = *state;
	json_t *root, *list, *one;
	size_t i;

	assert_int_equal(RUN(p, "profiles"), 0);
	assert_non_null(strstr(p->text, "ifcvf"));
	assert_non_null(strstr(p->text, "virtio-net"));
	assert_int_equal(RUN(p, "defects"), 0);
	assert_int_equal(RUN(p, "defects", "--format", "json"), 0);
	root = json_loads(p->text, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(root, "schema")), 1);
	list = json_object_get(root, "defects");
	assert_true(json_array_size(list) >= 40);
	json_array_foreach(list, i, one)
	{
		assert_true(json_is_string(json_object_get(one, "name")));
		assert_true(json_is_string(json_object_get(one, "area")));
		assert_true(json_is_string(json_object_get(one, "what")));
		assert_true(json_array_size(json_object_get(one, "requirements")) > 0);
	}
	json_decref(root);
}

/* ---- Running --------------------------------------------------------------------------------- */

static void ends_at_a_signal(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	struct place *p = *state;

	for (unsigned int i = 0; i < 3; i++) {
		int fd = -1;

		START(p, "run", "virtio-net", "--vfio-user", p->one, "--wire", "loopback");
		assert_true(read_until(p, "listening on"));
		assert_true(exists(p->one));
		if (i)
			fd = greet(p->one);
		assert_int_equal(stop(p, signals[i]), 0);
		assert_false(exists(p->one));
		if (fd >= 0)
			close(fd);
	}
}

static void serves_client_after_client(void **state)
{
	struct place *p = *state;

	START(p, "run", "ifcvf", "--vfio-user", p->one);
	assert_true(read_until(p, "listening on"));
	for (unsigned int i = 0; i < 20; i++)
		close(greet(p->one));
	assert_int_equal(stop(p, SIGTERM), 0);
}

static void counts(void **state)
{
	struct place *p = *state;

	START(p, "run", "ifcvf", "--vfio-user", p->one, "--counters");
	assert_true(read_until(p, "listening on"));
	kill(p->pid, SIGUSR1);
	assert_true(read_until(p, "events="));
	p->len = 0;
	assert_int_equal(stop(p, SIGTERM), 0);
	assert_non_null(strstr(p->text, "doorbells=0"));
}

/* As the specification's conventions for programs have it. */
static void conventions(void **state)
{
	struct place *p = *state;
	char option[128];
	int fd[2];
	struct {
		struct vu_header header;
		struct vu_version version;
	} msg = {{1, VU_VERSION, sizeof(msg), 0, 0}, {0, 0}};

	snprintf(option, sizeof(option), "--socket-path=%s", p->one);
	START(p, option);
	assert_true(read_until(p, "listening on"));
	close(greet(p->one));
	assert_int_equal(stop(p, SIGTERM), 0);

	/* A connected socket: it ends with its client. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	fcntl(fd[0], F_SETFD, FD_CLOEXEC);
	snprintf(option, sizeof(option), "--fd=%d", fd[1]);
	START(p, option);
	close(fd[1]);
	assert_true(read_until(p, "listening on"));
	assert_int_equal(send(fd[0], &msg, sizeof(msg), 0), sizeof(msg));
	assert_int_equal(recv(fd[0], &msg, sizeof(msg), MSG_WAITALL), sizeof(msg));
	assert_int_equal(msg.header.flags, VU_TYPE_REPLY);
	close(fd[0]);
	assert_int_equal(finish(p), 0);

	assert_int_equal(RUN(p, "--fd=1"), 3);
	assert_non_null(strstr(p->text, "no socket"));
	assert_int_equal(RUN(p, "--fd=one"), 2);
	assert_int_equal(RUN(p, "--fd=1", "--socket-path=x"), 2);
}

static void listening_socket_of_somebody_else(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct place *p = *state;
	char option[32];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, p->one);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	snprintf(option, sizeof(option), "--fd=%d", fd);
	START(p, "run", "ifcvf", option);
	assert_int_equal(finish(p), 3); /* it does not listen yet */
	assert_int_equal(listen(fd, 4), 0);
	START(p, "run", "ifcvf", option);
	assert_true(read_until(p, "listening on"));
	close(greet(p->one));
	close(greet(p->one));
	assert_int_equal(stop(p, SIGTERM), 0);
	/* It is not vqnic's to remove. */
	assert_true(exists(p->one));
	unlink(p->one);
	close(fd);
}

static void several_in_one_process(void **state)
{
	struct place *p = *state;
	char a[256], b[256];
	int one, two;

	snprintf(a, sizeof(a), "--nic=ifcvf,vfio-user=%s,wire=between,seed=7", p->one);
	snprintf(b, sizeof(b),
		 "--nic=virtio-net,vfio-user=%s,queue_pairs=1,wire=between,"
		 "mac=02:00:00:00:00:09",
		 p->two);
	START(p, "run", a, b);
	assert_true(read_until(p, p->two));
	assert_non_null(strstr(p->text, p->one));
	one = greet(p->one);
	two = greet(p->two);
	close(one);
	close(two);
	assert_int_equal(stop(p, SIGTERM), 0);
	assert_false(exists(p->one));
	assert_false(exists(p->two));
}

static void second_of_two_fails(void **state)
{
	struct place *p = *state;
	char a[256];

	snprintf(a, sizeof(a), "--nic=ifcvf,vfio-user=%s", p->one);
	assert_int_equal(RUN(p, "run", a, "--nic=ifcvf,vfio-user=/no-such-place/x"), 3);
	assert_false(exists(p->one));
	assert_null(strstr(p->text, "listening"));
}

static void socket_of_the_dead_and_of_the_living(void **state)
{
	struct place *p = *state, second = {.out = -1};

	START(p, "run", "ifcvf", "--vfio-user", p->one);
	assert_true(read_until(p, "listening on"));
	assert_int_equal(stop(p, SIGKILL), 256 + SIGKILL);
	assert_true(exists(p->one));

	START(p, "run", "ifcvf", "--vfio-user", p->one);
	assert_true(read_until(p, "listening on"));
	assert_int_equal(RUN(&second, "run", "ifcvf", "--vfio-user", p->one), 3);
	assert_non_null(strstr(second.text, p->one));
	close(greet(p->one));
	assert_int_equal(stop(p, SIGTERM), 0);
	assert_false(exists(p->one));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(wrong_usage),
		T(environment_that_does_not_fit),
		T(helps),
		T(lists),
		T(ends_at_a_signal),
		T(serves_client_after_client),
		T(counts),
		T(conventions),
		T(listening_socket_of_somebody_else),
		T(several_in_one_process),
		T(second_of_two_fails),
		T(socket_of_the_dead_and_of_the_living),
	};

	if (argc != 2) {
		fputs("usage: main_test VQNIC\n", stderr);
		return 2;
	}
	vqnic = argv[1];
	return cmocka_run_group_tests_name("vqnic", tests, NULL, NULL);
}
