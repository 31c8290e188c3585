// SPDX-License-Identifier: BSD-3-Clause
/*
 * vhost-vdpa:/dev/vhost-vdpa-N - a kernel vDPA parent: hardware, vdpa_sim, vp_vdpa, ifcvf, VDUSE, …
 *
 * How it works. Each operation is an ioctl of linux/vhost.h; memory is mapped by IOTLB messages, a
 * doorbell is an eventfd. The interface has no configuration generation and no dirty log, and an
 * acknowledged feature can't be read back; what it has depends on the backend features, on ioctls
 * that came over the years, and on whether the driver implements a position at all, which is asked
 * once at the start.
 *
 * Stopping. With SUSPEND the whole device. Intel's ifcvf has no suspend, but its hardware stops a
 * queue that is made not ready (IFC-VQ-002), and then knows its position; the interface does not
 * tell when that is final, so it is read until it stays the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "../spec.h"
#include "parent.h"
#include "peer.h"

#define QUEUES_MAX 256u
#define STABLE_MS  10
#define STABLE_TRY 100

struct vdpa {
	int fd;
	uint64_t backend; /* acknowledged */
	unsigned int queues;
	int kick[QUEUES_MAX];
	bool packed; /* by the features that were set: how a position is written */
	bool suspended;
	bool stop_by_ready;
	struct peer *peer;
};

static int refuse(const struct parent_options *opts, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const struct parent_options *opts, int err, const char *fmt, ...)
{
	va_list ap;

	if (opts->error && opts->error_size) {
		va_start(ap, fmt);
		vsnprintf(opts->error, opts->error_size, fmt, ap);
		va_end(ap);
	}
	return err;
}

static struct vdpa *vdpa(struct parent *p)
{
	return p->priv;
}

static int call(struct vdpa *v, unsigned long request, void *arg)
{
	return ioctl(v->fd, request, arg) < 0 ? -errno : 0;
}

/* ---- Identity, features, status
 * ------------------------------------------------------------------ */

static int vdpa_get_device_id(struct parent *p, uint32_t *id)
{
	return call(vdpa(p), VC_VHOST_VDPA_GET_DEVICE_ID, id);
}

static int vdpa_get_device_features(struct parent *p, uint64_t *features)
{
	return call(vdpa(p), VC_VHOST_GET_FEATURES, features);
}

static int vdpa_set_driver_features(struct parent *p, uint64_t features)
{
	vdpa(p)->packed = features & VC_BIT(VC_F_RING_PACKED);
	return call(vdpa(p), VC_VHOST_SET_FEATURES, &features);
}

static int vdpa_get_status(struct parent *p, uint8_t *status)
{
	return call(vdpa(p), VC_VHOST_VDPA_GET_STATUS, status);
}

static int vdpa_set_status(struct parent *p, uint8_t status)
{
	return call(vdpa(p), VC_VHOST_VDPA_SET_STATUS, &status);
}

static int vdpa_reset(struct parent *p)
{
	uint8_t status = 0;
	int err = vdpa_set_status(p, 0);

	if (err)
		return err;
	vdpa(p)->suspended = false;
	for (unsigned int i = 0; i < 1000; i++) {
		err = vdpa_get_status(p, &status);
		if (err || !status)
			return err;
		/* some drivers write the status and do not wait for it */
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return -ETIMEDOUT;
}

/* ---- Configuration space
 * ------------------------------------------------------------------------------ */

static int config_call(struct vdpa *v, unsigned long request, uint32_t off, void *buf, uint32_t len)
{
	struct vc_vdpa_config *c = malloc(sizeof(*c) + len);
	int err;

	if (!c)
		return -ENOMEM;
	c->off = off;
	c->len = len;
	memcpy(c->buf, buf, len);
	err = call(v, request, c);
	if (!err)
		memcpy(buf, c->buf, len);
	free(c);
	return err;
}

static int vdpa_get_config(struct parent *p, uint32_t off, void *buf, uint32_t len)
{
	memset(buf, 0, len);
	return config_call(vdpa(p), VC_VHOST_VDPA_GET_CONFIG, off, buf, len);
}

static int vdpa_set_config(struct parent *p, uint32_t off, const void *buf, uint32_t len)
{
	return config_call(vdpa(p), VC_VHOST_VDPA_SET_CONFIG, off, (void *)(uintptr_t)buf, len);
}

static int vdpa_get_config_size(struct parent *p, uint32_t *size)
{
	return call(vdpa(p), VC_VHOST_VDPA_GET_CONFIG_SIZE, size);
}

/* ---- Queues
 * ---------------------------------------------------------------------------------------------- */

static int vdpa_get_vq_count(struct parent *p, unsigned int *count)
{
	*count = vdpa(p)->queues;
	return 0;
}

static int vdpa_get_vq_size_max(struct parent *p, unsigned int q, uint16_t *size)
{
	struct vc_vring_state s = {.index = q};
	int err;

	if (q >= vdpa(p)->queues)
		return -EINVAL;
	/* one number for all queues, above which SET_VRING_NUM fails whatever a queue could do */
	err = call(vdpa(p), VC_VHOST_VDPA_GET_VRING_NUM, size);
	/* kernels before 6.9 have no other */
	if (!err && !call(vdpa(p), VC_VHOST_VDPA_GET_VRING_SIZE, &s) && s.num && s.num < *size)
		*size = (uint16_t)s.num;
	return err;
}

static int vdpa_set_vq_size(struct parent *p, unsigned int q, uint16_t size)
{
	struct vc_vring_state s = {.index = q, .num = size};

	return call(vdpa(p), VC_VHOST_SET_VRING_NUM, &s);
}

static int vdpa_set_vq_address(struct parent *p, unsigned int q, uint64_t desc, uint64_t driver,
			       uint64_t device)
{
	struct vc_vring_addr a = {.index = q, .desc = desc, .avail = driver, .used = device};
	struct vc_vring_file kick = {.index = q, .fd = q < QUEUES_MAX ? vdpa(p)->kick[q] : -1};
	int err = call(vdpa(p), VC_VHOST_SET_VRING_ADDR, &a);

	return err ? err : call(vdpa(p), VC_VHOST_SET_VRING_KICK, &kick);
}

static int vdpa_set_vq_ready(struct parent *p, unsigned int q, bool ready)
{
	struct vc_vring_state s = {.index = q, .num = ready};

	return call(vdpa(p), VC_VHOST_VDPA_SET_VRING_ENABLE, &s);
}

static int vdpa_get_vq_state(struct parent *p, unsigned int q, struct vq_state *state)
{
	struct vc_vring_state s = {.index = q};
	int err = call(vdpa(p), VC_VHOST_GET_VRING_BASE, &s);

	if (err)
		return err;
	*state = (struct vq_state){.packed = vdpa(p)->packed, .avail = (uint16_t)s.num};
	if (state->packed) {
		/* 15 bits of index and the wrap counter, available low, used high */
		state->avail = s.num & 0x7fff;
		state->avail_wrap = s.num >> 15 & 1;
		state->used = s.num >> 16 & 0x7fff;
		state->used_wrap = s.num >> 31;
		state->used_known = true;
	}
	return 0;
}

static int vdpa_set_vq_state(struct parent *p, unsigned int q, const struct vq_state *state)
{
	struct vc_vring_state s = {.index = q, .num = state->avail};

	if (state->packed)
		s.num = (uint32_t)(state->avail & 0x7fff) | (uint32_t)state->avail_wrap << 15 |
			(uint32_t)(state->used & 0x7fff) << 16 | (uint32_t)state->used_wrap << 31;
	return call(vdpa(p), VC_VHOST_SET_VRING_BASE, &s);
}

static int vdpa_suspend(struct parent *p)
{
	int err = call(vdpa(p), VC_VHOST_VDPA_SUSPEND, NULL);

	if (!err)
		vdpa(p)->suspended = true;
	return err;
}

static int vdpa_resume(struct parent *p)
{
	int err = call(vdpa(p), VC_VHOST_VDPA_RESUME, NULL);

	if (!err)
		vdpa(p)->suspended = false;
	return err;
}

/* stop_by_suspend() - the first queue that is stopped stops them all */
static int stop_by_suspend(struct parent *p, unsigned int q, struct vq_state *state)
{
	int err = vdpa(p)->suspended ? 0 : vdpa_suspend(p);

	return err ? err : vdpa_get_vq_state(p, q, state);
}

static int stop_by_ready(struct parent *p, unsigned int q, struct vq_state *state)
{
	struct vq_state before;
	int err = vdpa_set_vq_ready(p, q, false);

	if (!err)
		err = vdpa_get_vq_state(p, q, state);
	for (unsigned int i = 0; !err && i < STABLE_TRY; i++) {
		before = *state;
		nanosleep(&(struct timespec){.tv_nsec = STABLE_MS * 1000000}, NULL);
		err = vdpa_get_vq_state(p, q, state);
		if (!err && state->avail == before.avail)
			return 0;
	}
	return err ? err : -ETIMEDOUT;
}

/* ---- Notifications
 * -------------------------------------------------------------------------------------------- */

static int vdpa_kick(struct parent *p, unsigned int q)
{
	const uint64_t one = 1;

	if (q >= vdpa(p)->queues)
		return -EINVAL;
	return write(vdpa(p)->kick[q], &one, sizeof(one)) < 0 ? -errno : 0;
}

/* An eventfd carries no data: the kernel rings with the queue's number whatever was negotiated. */
static int vdpa_kick_data(struct parent *p, unsigned int q, uint32_t data)
{
	(void)data;
	return vdpa_kick(p, q);
}

static int vdpa_set_vq_call(struct parent *p, unsigned int q, int eventfd)
{
	struct vc_vring_file f = {.index = q, .fd = eventfd};

	return call(vdpa(p), VC_VHOST_SET_VRING_CALL, &f);
}

static int vdpa_set_config_call(struct parent *p, int eventfd)
{
	return call(vdpa(p), VC_VHOST_VDPA_SET_CONFIG_CALL, &eventfd);
}

/* ---- Groups and memory
 * ------------------------------------------------------------------------------------------ */

static int vdpa_get_group_count(struct parent *p, unsigned int *count)
{
	return call(vdpa(p), VC_VHOST_VDPA_GET_GROUP_NUM, count);
}

static int vdpa_get_as_count(struct parent *p, unsigned int *count)
{
	return call(vdpa(p), VC_VHOST_VDPA_GET_AS_NUM, count);
}

static int vdpa_get_vq_group(struct parent *p, unsigned int q, unsigned int *group)
{
	struct vc_vring_state s = {.index = q};
	int err = call(vdpa(p), VC_VHOST_VDPA_GET_VRING_GROUP, &s);

	*group = s.num;
	return err;
}

static int vdpa_set_group_asid(struct parent *p, unsigned int group, uint32_t asid)
{
	struct vc_vring_state s = {.index = group, .num = asid};

	return call(vdpa(p), VC_VHOST_VDPA_SET_GROUP_ASID, &s);
}

static int iotlb(struct vdpa *v, uint32_t asid, const struct vc_vhost_iotlb_msg *iotlb)
{
	struct vc_vhost_msg_v2 msg = {.type = VC_VHOST_IOTLB_MSG_V2, .asid = asid};
	ssize_t n;

	msg.iotlb = *iotlb;
	n = write(v->fd, &msg, sizeof(msg));
	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(msg) ? 0 : -EIO;
}

static int vdpa_dma_map(struct parent *p, const struct parent_dma *map)
{
	const struct vc_vhost_iotlb_msg m = {
		.iova = map->iova,
		.size = map->size,
		.uaddr = (uint64_t)(uintptr_t)map->host,
		.perm = (uint8_t)((map->readable ? VC_VHOST_ACCESS_RO : 0) |
				  (map->writable ? VC_VHOST_ACCESS_WO : 0)),
		.type = VC_VHOST_IOTLB_UPDATE,
	};

	return iotlb(vdpa(p), map->asid, &m);
}

static int vdpa_dma_unmap(struct parent *p, uint32_t asid, uint64_t iova, uint64_t size)
{
	const struct vc_vhost_iotlb_msg m = {
		.iova = iova,
		.size = size,
		.type = VC_VHOST_IOTLB_INVALIDATE,
	};

	return iotlb(vdpa(p), asid, &m);
}

/* ---- The rest
 * ------------------------------------------------------------------------------------------------------
 */

static int vdpa_descriptor(struct parent *p)
{
	return vdpa(p)->fd;
}

static int vdpa_peer_send(struct parent *p, const struct parent_frame *frame)
{
	return vdpa(p)->peer ? peer_send(vdpa(p)->peer, frame) : -EOPNOTSUPP;
}

static int vdpa_peer_recv(struct parent *p, struct parent_frame *frame, uint8_t *buf, uint32_t size)
{
	return vdpa(p)->peer ? peer_recv(vdpa(p)->peer, frame, buf, size) : -EOPNOTSUPP;
}

static void vdpa_free(struct vdpa *v)
{
	for (unsigned int q = 0; q < v->queues; q++)
		if (v->kick[q] >= 0)
			close(v->kick[q]);
	if (v->fd >= 0)
		close(v->fd);
	peer_close(v->peer);
	free(v);
}

/**
 * struct vdpa_parent - the device, and its operations as far as this parent has them
 */
struct vdpa_parent {
	struct vdpa v; /* first: p->priv is both */
	struct parent_ops ops;
};

static void vdpa_close(struct parent *p)
{
	vdpa_free(p->priv);
}

static const struct parent_ops vdpa_ops = {
	.get_device_id = vdpa_get_device_id,
	.get_device_features = vdpa_get_device_features,
	.set_driver_features = vdpa_set_driver_features,
	.get_status = vdpa_get_status,
	.set_status = vdpa_set_status,
	.reset = vdpa_reset,
	.get_config = vdpa_get_config,
	.set_config = vdpa_set_config,
	.get_config_size = vdpa_get_config_size,
	.get_vq_count = vdpa_get_vq_count,
	.get_vq_size_max = vdpa_get_vq_size_max,
	.set_vq_address = vdpa_set_vq_address,
	.set_vq_size = vdpa_set_vq_size,
	.set_vq_ready = vdpa_set_vq_ready,
	.kick = vdpa_kick,
	.kick_data = vdpa_kick_data,
	.set_vq_call = vdpa_set_vq_call,
	.set_config_call = vdpa_set_config_call,
	.get_group_count = vdpa_get_group_count,
	.get_as_count = vdpa_get_as_count,
	.get_vq_group = vdpa_get_vq_group,
	.set_group_asid = vdpa_set_group_asid,
	.dma_map = vdpa_dma_map,
	.dma_unmap = vdpa_dma_unmap,
	.vdpa_fd = vdpa_descriptor,
	.peer_send = vdpa_peer_send,
	.peer_recv = vdpa_peer_recv,
	.close = vdpa_close,
};

/* count_queues() - older kernels do not tell: the first number that is refused */
static unsigned int count_queues(struct vdpa *v)
{
	struct vc_vring_state s = {0};
	uint32_t n = 0;

	if (!call(v, VC_VHOST_VDPA_GET_VQS_COUNT, &n))
		return n < QUEUES_MAX ? n : QUEUES_MAX;
	for (s.index = 0; s.index < QUEUES_MAX; s.index++)
		if (call(v, VC_VHOST_GET_VRING_BASE, &s) == -ENOBUFS)
			break;
	return s.index;
}

static void strip(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		*slash = 0;
}

/* driver_name() - of the parent: of the device under which the vDPA device lies */
static void driver_name(struct vdpa *v, char *name, size_t size)
{
	char link[PATH_MAX + 16], dir[PATH_MAX], driver[PATH_MAX], *from = dir, *slash;
	struct stat st;
	ssize_t n;

	name[0] = 0;
	if (fstat(v->fd, &st) < 0)
		return;
	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (!realpath(link, dir))
		return;
	/* PARENT/vdpa0/vhost-vdpa-0; the one in the middle is named by the user */
	strip(dir);
	strip(dir);
	snprintf(link, sizeof(link), "%s/driver", dir);
	n = readlink(link, driver, sizeof(driver) - 1);
	if (n > 0) {
		driver[n] = 0;
		from = driver;
	}
	slash = strrchr(from, '/');
	if (slash)
		from = slash + 1;
	/* Of software, Linux' simulators alone lie under no device at all. */
	if (!strcmp(from, "devices"))
		from = "vdpa_sim";
	if (!strcmp(from, "virtual"))
		return;
	snprintf(name, size, "%.*s", (int)size - 1, from);
}

static int acknowledge_backend(struct vdpa *v)
{
	const uint64_t known =
		VC_BIT(VC_VHOST_BACKEND_F_IOTLB_MSG_V2) | VC_BIT(VC_VHOST_BACKEND_F_IOTLB_BATCH) |
		VC_BIT(VC_VHOST_BACKEND_F_IOTLB_ASID) | VC_BIT(VC_VHOST_BACKEND_F_SUSPEND) |
		VC_BIT(VC_VHOST_BACKEND_F_RESUME) |
		VC_BIT(VC_VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK) |
		VC_BIT(VC_VHOST_BACKEND_F_IOTLB_PERSIST);
	uint64_t offered = 0;
	int err = call(v, VC_VHOST_GET_BACKEND_FEATURES, &offered);

	if (err)
		return err;
	v->backend = offered & known;
	return call(v, VC_VHOST_SET_BACKEND_FEATURES, &v->backend);
}

static void fill_in(struct parent *p, struct vdpa_parent *vp)
{
	struct vdpa *v = &vp->v;
	struct vc_vring_state s = {.index = 0};

	vp->ops = vdpa_ops;
	p->caps |= CAP_VDPA_FD | CAP_CONFIG_CALL | CAP_SET_CONFIG | CAP_GROUPS;
	/* asked once: eni and vp_vdpa have no position to give */
	if (call(v, VC_VHOST_GET_VRING_BASE, &s) != -EOPNOTSUPP) {
		vp->ops.get_vq_state = vdpa_get_vq_state;
		vp->ops.set_vq_state = vdpa_set_vq_state;
		p->caps |= CAP_VQ_STATE_GET | CAP_VQ_STATE_SET;
	}
	if (v->backend & VC_BIT(VC_VHOST_BACKEND_F_SUSPEND)) {
		vp->ops.suspend = vdpa_suspend;
		p->caps |= CAP_SUSPEND;
	}
	if (v->backend & VC_BIT(VC_VHOST_BACKEND_F_RESUME)) {
		vp->ops.resume = vdpa_resume;
		p->caps |= CAP_RESUME;
	}
	if (!(p->caps & CAP_VQ_STATE_GET))
		return;
	if (p->caps & CAP_SUSPEND)
		vp->ops.vq_stop = stop_by_suspend;
	else if (v->stop_by_ready)
		vp->ops.vq_stop = stop_by_ready;
	if (vp->ops.vq_stop)
		p->caps |= CAP_VQ_STOP;
}

static int vdpa_open(const char *rest, const struct parent_options *opts, struct parent *p)
{
	struct vdpa_parent *vp = calloc(1, sizeof(*vp));
	struct vdpa *v = &vp->v;
	int err;

	if (!vp)
		return -ENOMEM;
	v->fd = open(rest, O_RDWR | O_CLOEXEC);
	if (v->fd < 0) {
		err = -errno;
		if (err == -524) /* ENOTSUPP, which only the kernel knows */
			refuse(opts, err,
			       "vhost-vdpa:%s: the parent needs an IOMMU and this machine has none; give "
			       "the guest one (intel-iommu) and boot with intel_iommu=on",
			       rest);
		else if (err == -EBUSY)
			refuse(opts, err, "vhost-vdpa:%s: another process has it open", rest);
		else
			refuse(opts, err,
			       "vhost-vdpa:%s: %s; load vhost_vdpa and create a device with vdpa dev add",
			       rest, strerror(-err));
		goto fail;
	}
	err = call(v, VC_VHOST_SET_OWNER, NULL);
	if (err) {
		refuse(opts, err, "vhost-vdpa:%s: SET_OWNER: %s", rest, strerror(-err));
		goto fail;
	}
	err = acknowledge_backend(v);
	if (err) {
		refuse(opts, err, "vhost-vdpa:%s: backend features: %s", rest, strerror(-err));
		goto fail;
	}
	v->queues = count_queues(v);
	for (unsigned int q = 0; q < v->queues; q++)
		v->kick[q] = -1;
	for (unsigned int q = 0; q < v->queues; q++) {
		v->kick[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (v->kick[q] < 0) {
			err = refuse(opts, -errno, "vhost-vdpa:%s: eventfd: %s", rest,
				     strerror(errno));
			goto fail;
		}
	}
	driver_name(v, p->info.driver, sizeof(p->info.driver));
	v->stop_by_ready = !strcmp(p->info.driver, "ifcvf");
	err = peer_open(opts, p, &v->peer);
	if (err)
		goto fail;
	fill_in(p, vp);
	p->ops = &vp->ops;
	p->priv = vp;
	return 0;
fail:
	vdpa_free(v);
	return err;
}

const struct parent_kind parent_kind_vhost_vdpa = {
	.prefix = "vhost-vdpa:",
	.help = "vhost-vdpa:/dev/vhost-vdpa-N  a kernel vDPA parent",
	.open = vdpa_open,
};
