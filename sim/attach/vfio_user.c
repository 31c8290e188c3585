/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user server: the socket and whoever is connected to it
 *
 * How it works. One epoll descriptor holds either the listening socket or the sockets of the one
 * client, so that the loop that owns the server waits for one descriptor, and a second client
 * waits in the listening socket's queue for its turn.
 *
 * A socket file outlives the process that made it. Whether one is still somebody's shows when we
 * connect to it: a refusal means that nobody listens, and it is replaced. Between the look and the
 * replacement the directory is locked, so that two servers that start at once do not take each
 * other's fresh socket for a dead one. At the end the file is removed only if it is still the one
 * that was made here (same device and inode).
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../util.h"
#include "vfio_user.h"
#include "vfio_user_conn.h"

struct vfio_user_server {
	struct vqnic *nic;
	unsigned int fn;
	void (*say)(void *ctx, const char *sentence);
	void *say_ctx;

	struct sockaddr_un addr;
	dev_t dev; /* what the file was when it was made */
	ino_t ino;
	int listen_fd;
	int epfd;
	int spare_fd; /* given up to turn a client away when there is no other left */
	struct vu_conn *conn;
};

__attribute__((format(printf, 3, 4))) static int fail(struct vqnic_error *err, int error,
						      const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	return error < 0 ? error : -EIO;
}

/* Take a dead socket out of the way. The directory is locked. */
static int replace_stale(const struct sockaddr_un *addr, struct vqnic_error *err)
{
	struct stat st;
	int fd, error;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT
			       ? 0
			       : fail(err, neg_errno(), "%s: %s", addr->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return fail(err, -EADDRINUSE,
			    "%s: exists and is no socket; choose another path or remove it",
			    addr->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(err, neg_errno(), "%s: no socket to be had: %s", addr->sun_path,
			    strerror(errno));
	error = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? errno : 0;
	close(fd);
	if (error != ECONNREFUSED)
		return fail(err, -EADDRINUSE,
			    "%s: another process listens there%s%s; choose another path or end it",
			    addr->sun_path, error ? ", or is not for us to ask: " : "",
			    error ? strerror(error) : "");
	if (unlink(addr->sun_path) && errno != ENOENT)
		return fail(err, neg_errno(), "%s: a socket left behind that can't be removed: %s",
			    addr->sun_path, strerror(errno));
	return 0;
}

static int lock_directory(const char *path, struct vqnic_error *err)
{
	char copy[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *dir;
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	dir = dirname(copy);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(err, neg_errno(), "%s: the directory of the socket can't be opened: %s",
			    dir, strerror(errno));
	if (flock(fd, LOCK_EX)) {
		fail(err, neg_errno(), "%s: can't be locked: %s", dir, strerror(errno));
		close(fd);
		return -EIO;
	}
	return fd;
}

static int make_socket(struct vfio_user_server *server, struct vqnic_error *err)
{
	const char *path = server->addr.sun_path;
	struct stat st;
	int lock, ret;

	server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listen_fd < 0)
		return fail(err, neg_errno(), "%s: no socket to be had: %s", path, strerror(errno));
	lock = lock_directory(path, err);
	if (lock < 0)
		return lock;
	ret = replace_stale(&server->addr, err);
	if (!ret && (bind(server->listen_fd, (const struct sockaddr *)&server->addr,
			  sizeof(server->addr)) ||
		     lstat(path, &st)))
		ret = fail(err, neg_errno(), "%s: the socket can't be made: %s", path,
			   strerror(errno));
	if (!ret) {
		server->dev = st.st_dev;
		server->ino = st.st_ino;
		if (listen(server->listen_fd, 4))
			ret = fail(err, neg_errno(), "%s: can't listen: %s", path, strerror(errno));
	}
	close(lock);
	return ret;
}

static void remove_socket(const struct vfio_user_server *server)
{
	struct stat st;

	if (server->ino && !lstat(server->addr.sun_path, &st) && st.st_dev == server->dev &&
	    st.st_ino == server->ino)
		unlink(server->addr.sun_path);
}

/* Wait for clients while there is none. */
static void want_client(struct vfio_user_server *server, bool want)
{
	struct epoll_event ev = {.events = want ? EPOLLIN : 0, .data.ptr = server};

	epoll_ctl(server->epfd, EPOLL_CTL_MOD, server->listen_fd, &ev);
}

static int create(const struct vfio_user_config *cfg, struct vfio_user_server **out,
		  struct vqnic_error *err)
{
	struct vfio_user_server *server = calloc(1, sizeof(*server));

	if (!server)
		return fail(err, -ENOMEM, "%s: out of memory", cfg->path);
	*server = (struct vfio_user_server){.nic = cfg->nic,
					    .fn = cfg->fn,
					    .say = cfg->say,
					    .say_ctx = cfg->say_ctx,
					    .addr.sun_family = AF_UNIX,
					    .listen_fd = -1,
					    .epfd = epoll_create1(EPOLL_CLOEXEC),
					    .spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC)};
	*out = server;
	if (server->epfd >= 0 && server->spare_fd >= 0)
		return 0;
	return fail(err, -EMFILE,
		    "%s: no descriptor left in this process; raise the limit (ulimit -n)",
		    cfg->path);
}

static int watch_listener(struct vfio_user_server *server, const char *path,
			  struct vqnic_error *err)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = server};

	if (epoll_ctl(server->epfd, EPOLL_CTL_ADD, server->listen_fd, &ev))
		return fail(err, neg_errno(), "%s: epoll: %s", path, strerror(errno));
	return 0;
}

int vfio_user_listen(const struct vfio_user_config *cfg, struct vfio_user_server **out,
		     struct vqnic_error *err)
{
	struct vfio_user_server *server = NULL;
	int ret;

	if (!cfg->path[0] || strlen(cfg->path) >= sizeof(server->addr.sun_path))
		return fail(err, -ENAMETOOLONG,
			    "%s: a path of a socket has 1 to %zu bytes; choose another one",
			    cfg->path, sizeof(server->addr.sun_path) - 1);
	ret = create(cfg, &server, err);
	if (!ret) {
		memcpy(server->addr.sun_path, cfg->path, strlen(cfg->path));
		ret = make_socket(server, err);
	}
	if (!ret)
		ret = watch_listener(server, cfg->path, err);
	if (ret) {
		vfio_user_close(server);
		return ret;
	}
	*out = server;
	return 0;
}

static int check_socket(const char *name, int fd, bool *listening, struct vqnic_error *err)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(int), peer_len = sizeof(peer);
	int type, accepts;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return fail(err, neg_errno(),
			    "%s: descriptor %d is no socket (%s); pass one that is open", name, fd,
			    strerror(errno));
	len = sizeof(int);
	if (type != SOCK_STREAM || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len))
		return fail(err, -EINVAL,
			    "%s: descriptor %d is no stream socket; vfio-user needs one", name, fd);
	*listening = accepts;
	if (!accepts && getpeername(fd, (struct sockaddr *)&peer, &peer_len))
		return fail(err, -EINVAL,
			    "%s: descriptor %d neither listens nor is connected; pass one that is",
			    name, fd);
	return 0;
}

int vfio_user_adopt(const struct vfio_user_config *cfg, int fd, struct vfio_user_server **out,
		    struct vqnic_error *err)
{
	struct vfio_user_server *server = NULL;
	bool listening;
	int ret;

	ret = check_socket(cfg->path, fd, &listening, err);
	if (!ret)
		ret = create(cfg, &server, err);
	if (ret) {
		close(fd);
	} else if (listening) {
		server->listen_fd = fd;
		if (fcntl(fd, F_SETFL, O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
			ret = fail(err, neg_errno(), "%s: %s", cfg->path, strerror(errno));
		else
			ret = watch_listener(server, cfg->path, err);
	} else {
		ret = vu_conn_create(server->nic, server->fn, fd, server->epfd, server->say,
				     server->say_ctx, &server->conn);
		if (ret)
			fail(err, ret, "%s: %s", cfg->path, strerror(-ret));
	}
	if (ret) {
		vfio_user_close(server);
		return ret;
	}
	*out = server;
	return 0;
}

bool vfio_user_over(const struct vfio_user_server *server)
{
	return server->listen_fd < 0 && !server->conn;
}

void vfio_user_close(struct vfio_user_server *server)
{
	if (!server)
		return;
	vu_conn_destroy(server->conn);
	remove_socket(server);
	if (server->listen_fd >= 0)
		close(server->listen_fd);
	if (server->epfd >= 0)
		close(server->epfd);
	if (server->spare_fd >= 0)
		close(server->spare_fd);
	free(server);
}

int vfio_user_poll_fd(const struct vfio_user_server *server)
{
	return server->epfd;
}

static void say(const struct vfio_user_server *server, const char *sentence)
{
	if (server->say)
		server->say(server->say_ctx, sentence);
}

/* A client that nothing can be done for would otherwise keep the loop awake. */
static void turn_away(struct vfio_user_server *server)
{
	int fd;

	close(server->spare_fd);
	fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	say(server,
	    "a client was turned away, for there are no descriptors left in this process or "
	    "system; raise the limit (ulimit -n)");
}

static void take_client(struct vfio_user_server *server)
{
	int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int err;

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			turn_away(server);
		return;
	}
	err = vu_conn_create(server->nic, server->fn, fd, server->epfd, server->say,
			     server->say_ctx, &server->conn);
	if (err)
		say(server, "a client can't be served, for lack of memory; disconnected");
	else
		want_client(server, false);
}

int vfio_user_poll(struct vfio_user_server *server, unsigned int budget)
{
	int done;

	if (!server->conn && server->listen_fd >= 0)
		take_client(server);
	if (!server->conn)
		return 0;
	done = vu_conn_poll(server->conn, budget);
	if (done >= 0)
		return done;
	vu_conn_destroy(server->conn);
	server->conn = NULL;
	if (server->listen_fd >= 0)
		want_client(server, true);
	return 1;
}
