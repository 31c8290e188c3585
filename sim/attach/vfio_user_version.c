/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user: VERSION
 *
 * How it works. The client proposes a version and, as JSON, what it can do. The reply repeats the
 * proposed capabilities that the server has too, with the server's own numbers. QEMU's client
 * refuses a reply that is longer than its request; so names are left out, those first for which the
 * protocol's default says the same, until it fits.
 *
 * The server talks version 0.0, the highest that QEMU's client takes.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vfio_user_conn.h"

#define MAJOR 0
#define MINOR 0

/* A number among the capabilities: absent is @fallback, -EINVAL outside [1, 2^32). */
static int get_number(const json_t *caps, const char *name, uint32_t fallback, uint32_t *out)
{
	const json_t *v = json_object_get(caps, name);

	*out = fallback;
	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > UINT32_MAX)
		return -EINVAL;
	*out = (uint32_t)json_integer_value(v);
	return 0;
}

static int get_bool(const json_t *object, const char *name, bool *out)
{
	const json_t *v = json_object_get(object, name);

	*out = v && json_is_true(v);
	return v && !json_is_boolean(v) ? -EINVAL : 0;
}

/* What the client asks for, or a negative errno. */
static int read_caps(struct vu_conn *conn, const json_t *caps, bool *twin)
{
	const json_t *v;
	uint32_t ignored;
	bool flag;

	if (get_number(caps, "max_msg_fds", VU_DEFAULT_MSG_FDS, &conn->peer_max_fds) ||
	    get_number(caps, "max_data_xfer_size", VU_DEFAULT_DATA_XFER, &conn->peer_max_xfer) ||
	    get_number(caps, "max_dma_maps", VU_DEFAULT_DMA_MAPS, &ignored) ||
	    get_bool(caps, "write_multiple", &flag))
		return -EINVAL;
	if (conn->peer_max_xfer > VU_MAX_DATA_XFER)
		conn->peer_max_xfer = VU_MAX_DATA_XFER;
	/* A sum of page sizes may have any bit of 64. */
	v = json_object_get(caps, "pgsizes");
	if (v && !json_is_integer(v))
		return -EINVAL;
	v = json_object_get(caps, "twin_socket");
	if (v && (!json_is_object(v) || get_bool(v, "supported", twin)))
		return -EINVAL;
	return 0;
}

static json_t *answer_caps(const json_t *asked, bool twin)
{
	json_t *caps = json_object();

	if (json_object_get(asked, "max_msg_fds"))
		json_object_set_new(caps, "max_msg_fds", json_integer(VU_MAX_MSG_FDS));
	if (json_object_get(asked, "max_data_xfer_size"))
		json_object_set_new(caps, "max_data_xfer_size", json_integer(VU_MAX_DATA_XFER));
	if (json_object_get(asked, "max_dma_maps"))
		json_object_set_new(caps, "max_dma_maps", json_integer(VU_DEFAULT_DMA_MAPS));
	if (json_object_get(asked, "pgsizes"))
		json_object_set_new(caps, "pgsizes", json_integer(VU_DEFAULT_PGSIZES));
	if (json_is_true(json_object_get(asked, "write_multiple")))
		json_object_set_new(caps, "write_multiple", json_true());
	if (twin)
		json_object_set_new(caps, "twin_socket",
				    json_pack("{s:b, s:i}", "supported", 1, "fd_index", 0));
	return caps;
}

/* The reply's JSON in at most @room bytes with its NUL; NULL if nothing of use fits. */
static char *write_caps(const json_t *asked, size_t room, bool twin)
{
	static const char *const by_use[] = {"pgsizes", "max_dma_maps", "max_data_xfer_size",
					     "max_msg_fds", "write_multiple"};
	json_t *root = json_object(), *caps = answer_caps(asked, twin);
	char *text;

	json_object_set_new(root, "capabilities", caps);
	text = json_dumps(root, JSON_COMPACT);
	for (unsigned int i = 0; text && strlen(text) + 1 > room; i++) {
		free(text);
		text = NULL;
		if (i == sizeof(by_use) / sizeof(by_use[0]))
			break;
		json_object_del(caps, by_use[i]);
		text = json_dumps(root, JSON_COMPACT);
	}
	json_decref(root);
	return text;
}

static int open_twin(struct vu_conn *conn, int *client_end)
{
	int fd[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		return -errno;
	err = vu_channel_open(&conn->twin, fd[0]);
	if (err) {
		close(fd[1]);
		return err;
	}
	*client_end = fd[1];
	return 0;
}

/* The JSON of a request as an object; *@root NULL if there is none. */
static int parse(const struct vu_msg *msg, json_t **root)
{
	const char *text = (const char *)msg->payload + sizeof(struct vu_version);
	size_t len = msg->len - sizeof(struct vu_version);

	*root = NULL;
	if (!len)
		return 0;
	if (strnlen(text, len) != len - 1)
		return -EINVAL;
	*root = json_loadb(text, len - 1, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(*root))
		return 0;
	json_decref(*root);
	*root = NULL; /* the caller lets go of it too */
	return -EINVAL;
}

int vu_version(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	struct vu_version version;
	char *text = NULL;
	bool twin = false;
	json_t *root, *caps;
	uint8_t *out;
	size_t len;
	int err;

	if (conn->negotiated) {
		vu_say(conn, "a second VERSION on one connection; refused");
		return -EINVAL;
	}
	/* Whatever is wrong with the first message, there is no talking to this client. */
	conn->closing = true;
	if (msg->len < sizeof(version) || msg->header.flags & VU_NO_REPLY) {
		vu_say(conn, "VERSION without a version, or that wants no reply; disconnected");
		return -EINVAL;
	}
	memcpy(&version, msg->payload, sizeof(version));
	if (version.major != MAJOR) {
		vu_say(conn, "the client wants protocol %u.%u, this is %u.%u; disconnected",
		       version.major, version.minor, MAJOR, MINOR);
		return -ECONNRESET;
	}
	err = parse(msg, &root);
	caps = json_object_get(root, "capabilities");
	if (!err && caps && !json_is_object(caps))
		err = -EINVAL;
	if (!err)
		err = read_caps(conn, caps, &twin);
	if (err) {
		vu_say(conn, "VERSION has no valid JSON of capabilities; disconnected");
		json_decref(root);
		return err;
	}
	if (twin && open_twin(conn, &reply->fd))
		twin = false; /* an option: without a socket to give there is just the one */
	reply->close_fd = twin;
	/* QEMU's limit; it does not ask for a twin, whose answer is longer than the question. */
	if (caps)
		text = write_caps(caps, twin ? SIZE_MAX : msg->len - sizeof(version), twin);
	json_decref(root);

	len = text ? strlen(text) + 1 : 0;
	out = vu_reply_room(conn, reply, sizeof(version) + len);
	if (out) {
		version.minor = MINOR;
		memcpy(out, &version, sizeof(version));
		if (text)
			memcpy(out + sizeof(version), text, len);
	}
	err = out && (text || !twin) ? 0 : -ENOMEM;
	free(text);
	conn->negotiated = !err;
	conn->closing = err;
	return err;
}
