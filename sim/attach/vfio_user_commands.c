/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user: the commands about the device, its regions and its memory
 *
 * How it works. A table gives for each command its handler and how many descriptors may come with
 * it. A handler takes the payload apart by copying it, checks every number against every other and
 * against the NIC, calls the NIC, and fills the reply. A payload has exactly the size that its
 * command says; argsz leaves room for the reply or the command is refused.
 */
#include <errno.h>
#include <string.h>

#include "vfio_user_conn.h"

static int answer(struct vu_conn *conn, struct vu_reply *reply, const void *data, size_t len)
{
	uint8_t *out = vu_reply_room(conn, reply, len);

	if (!out)
		return -ENOMEM;
	memcpy(out, data, len);
	return 0;
}

static int dma_map(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	struct vu_dma_map map;
	struct vqnic_dma_map m;

	(void)reply;
	if (msg->len != sizeof(map))
		return -EINVAL;
	memcpy(&map, msg->payload, sizeof(map));
	if (map.argsz < sizeof(map) || msg->fds > 1 || map.flags & ~(VU_MAP_READ | VU_MAP_WRITE))
		return -EINVAL;
	if ((map.address | map.size | map.offset) & (VU_DEFAULT_PGSIZES - 1))
		return -EINVAL;
	if (!map.size || map.size - 1 > UINT64_MAX - map.address)
		return -EINVAL;
	m = (struct vqnic_dma_map){
		.iova = map.address,
		.size = map.size,
		.fd = msg->fds ? msg->fd[0] : -1,
		.offset = msg->fds ? map.offset : 0,
		.prot = (map.flags & VU_MAP_READ ? VQNIC_PROT_READ : 0) |
			(map.flags & VU_MAP_WRITE ? VQNIC_PROT_WRITE : 0),
	};
	return vqnic_dma_map(conn->nic, conn->fn, &m);
}

/*
 * QEMU behind an emulated IOMMU takes away ranges that were never given, or are larger than what
 * was; that is no error. The reply repeats the request, as the specification says.
 */
static int dma_unmap(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	struct vu_dma_unmap unmap;
	uint64_t last;
	int err;

	if (msg->len != sizeof(unmap))
		return -EINVAL;
	memcpy(&unmap, msg->payload, sizeof(unmap));
	if (unmap.argsz < sizeof(unmap) || unmap.flags & ~VU_UNMAP_ALL)
		return -EINVAL;
	if ((unmap.address | unmap.size) & (VU_DEFAULT_PGSIZES - 1))
		return -EINVAL;
	if (unmap.flags & VU_UNMAP_ALL) {
		if (unmap.address || unmap.size)
			return -EINVAL;
		last = UINT64_MAX;
	} else {
		if (!unmap.size || unmap.size - 1 > UINT64_MAX - unmap.address)
			return -EINVAL;
		last = unmap.address + (unmap.size - 1);
	}
	err = vqnic_dma_unmap(conn->nic, conn->fn, 0, unmap.address, unmap.size, NULL);
	if (err)
		return err;
	vu_dma_cancel(conn, unmap.address, last, -EFAULT);
	unmap.argsz = sizeof(unmap);
	return answer(conn, reply, &unmap, sizeof(unmap));
}

static int get_info(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	struct vu_device_info info;

	if (msg->len != sizeof(info))
		return -EINVAL;
	memcpy(&info, msg->payload, sizeof(info));
	if (info.argsz < sizeof(info))
		return -EINVAL;
	info = (struct vu_device_info){
		.argsz = sizeof(info),
		.flags = VU_DEVICE_FLAGS_PCI | VU_DEVICE_FLAGS_RESET,
		.num_regions = VQNIC_REGIONS,
		.num_irqs = VQNIC_IRQS,
	};
	return answer(conn, reply, &info, sizeof(info));
}

static int get_region_info(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	struct vqnic_region_info region = {.fd = -1};
	struct vu_cap_sparse_mmap cap = {.id = VU_CAP_SPARSE_MMAP, .version = 1};
	struct vu_region_info info;
	size_t need = sizeof(info);
	uint32_t argsz;
	uint8_t *out;
	int err;

	if (msg->len != sizeof(info))
		return -EINVAL;
	memcpy(&info, msg->payload, sizeof(info));
	argsz = info.argsz;
	if (argsz < sizeof(info) || info.index >= VQNIC_REGIONS)
		return -EINVAL;
	err = vqnic_region_info(conn->nic, conn->fn, info.index, &region);
	if (err)
		return err;

	info = (struct vu_region_info){.index = info.index, .size = region.size};
	if (region.size) {
		info.flags |= region.flags & VQNIC_REGION_READ ? VU_REGION_FLAG_READ : 0;
		info.flags |= region.flags & VQNIC_REGION_WRITE ? VU_REGION_FLAG_WRITE : 0;
		info.flags |= region.flags & VQNIC_REGION_MMAP ? VU_REGION_FLAG_MMAP : 0;
	}
	if (info.flags & VU_REGION_FLAG_MMAP) {
		reply->fd = region.fd;
		if (region.nr_areas) {
			info.flags |= VU_REGION_FLAG_CAPS;
			cap.nr_areas = region.nr_areas;
			need += sizeof(cap) + region.nr_areas * sizeof(struct vu_mmap_area);
		}
	}
	/*
	 * A client with less room learns how much it takes, and asks again. QEMU's wants to be told
	 * then already where the capabilities will be.
	 */
	info.argsz = (uint32_t)need;
	if (need > sizeof(info))
		info.cap_offset = sizeof(info);
	if (need > argsz)
		need = sizeof(info);
	out = vu_reply_room(conn, reply, need);
	if (!out)
		return -ENOMEM;
	memcpy(out, &info, sizeof(info));
	if (need == sizeof(info))
		return 0;
	memcpy(out + sizeof(info), &cap, sizeof(cap));
	for (unsigned int i = 0; i < region.nr_areas; i++) {
		struct vu_mmap_area area = {region.areas[i].offset, region.areas[i].size};

		memcpy(out + sizeof(info) + sizeof(cap) + i * sizeof(area), &area, sizeof(area));
	}
	return 0;
}

/*
 * Descriptors for a region are an option, and a reply to this has at least one. There are none:
 * doorbells come as messages, or through a page that the client maps.
 */
static int get_region_io_fds(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	struct vu_region_io_fds fds;

	(void)conn;
	(void)reply;
	if (msg->len != sizeof(fds))
		return -EINVAL;
	memcpy(&fds, msg->payload, sizeof(fds));
	if (fds.argsz < sizeof(fds) || fds.flags || fds.count || fds.index >= VQNIC_REGIONS)
		return -EINVAL;
	return -EOPNOTSUPP;
}

/*
 * Check an access against the region; what lies inside and is no register is the NIC's to answer.
 * Nothing may overflow here: all three numbers are the client's.
 */
static int check_access(struct vu_conn *conn, const struct vu_region_access *access, uint32_t need)
{
	struct vqnic_region_info region = {.fd = -1};
	int err;

	if (access->region >= VQNIC_REGIONS || !access->count || access->count > VU_MAX_DATA_XFER)
		return -EINVAL;
	err = vqnic_region_info(conn->nic, conn->fn, access->region, &region);
	if (err)
		return err;
	if (access->offset > region.size || access->count > region.size - access->offset)
		return -EINVAL;
	return region.flags & need ? 0 : -EACCES;
}

static int region_read(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	struct vu_region_access access;
	uint8_t *out;
	int err;

	if (msg->len != sizeof(access))
		return -EINVAL;
	memcpy(&access, msg->payload, sizeof(access));
	err = check_access(conn, &access, VQNIC_REGION_READ);
	if (err)
		return err;
	out = vu_reply_room(conn, reply, sizeof(access) + access.count);
	if (!out)
		return -ENOMEM;
	memcpy(out, &access, sizeof(access));
	return vqnic_region_read(conn->nic, conn->fn, access.region, access.offset,
				 out + sizeof(access), access.count);
}

static int region_write(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	struct vu_region_access access;
	int err;

	if (msg->len < sizeof(access))
		return -EINVAL;
	memcpy(&access, msg->payload, sizeof(access));
	if (msg->len - sizeof(access) != access.count)
		return -EINVAL;
	err = check_access(conn, &access, VQNIC_REGION_WRITE);
	if (err)
		return err;
	err = vqnic_region_write(conn->nic, conn->fn, access.region, access.offset,
				 msg->payload + sizeof(access), access.count);
	if (err)
		return err;
	return answer(conn, reply, &access, sizeof(access));
}

/* Writes up to the first that fails; the reply says how many were done. */
static int region_write_multi(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	struct vu_write_multi multi;
	uint64_t done;

	if (msg->len < sizeof(multi))
		return -EINVAL;
	memcpy(&multi, msg->payload, sizeof(multi));
	if ((msg->len - sizeof(multi)) % sizeof(struct vu_write_one) ||
	    (msg->len - sizeof(multi)) / sizeof(struct vu_write_one) != multi.wr_cnt)
		return -EINVAL;
	for (done = 0; done < multi.wr_cnt; done++) {
		struct vu_region_access access;
		struct vu_write_one one;
		int err;

		memcpy(&one, msg->payload + sizeof(multi) + done * sizeof(one), sizeof(one));
		access = (struct vu_region_access){one.offset, one.region, one.count};
		err = one.count > sizeof(one.data)
			      ? -EINVAL
			      : check_access(conn, &access, VQNIC_REGION_WRITE);
		if (!err)
			err = vqnic_region_write(conn->nic, conn->fn, one.region, one.offset,
						 one.data, one.count);
		if (err && !done)
			return err;
		if (err)
			break;
	}
	multi.wr_cnt = done;
	return answer(conn, reply, &multi, sizeof(multi));
}

static int device_reset(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	int err;

	(void)reply;
	if (msg->len)
		return -EINVAL;
	err = vqnic_reset(conn->nic, conn->fn);
	vu_dma_cancel(conn, 0, UINT64_MAX, -ECANCELED);
	return err;
}

/* There are no device features yet, and the answer to a probe says so, as the kernel's would. */
static int device_feature(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	const uint32_t ops = VU_FEATURE_GET | VU_FEATURE_SET | VU_FEATURE_PROBE;
	struct vu_device_feature feature;

	(void)conn;
	(void)reply;
	if (msg->len < sizeof(feature))
		return -EINVAL;
	memcpy(&feature, msg->payload, sizeof(feature));
	if (feature.argsz < sizeof(feature) || feature.flags & ~(VU_FEATURE_MASK | ops) ||
	    !(feature.flags & ops))
		return -EINVAL;
	if ((feature.flags & ops) == (VU_FEATURE_GET | VU_FEATURE_SET))
		return -EINVAL;
	return -ENOTTY;
}

/* Migration data flows only in states that the device, which has no such feature, is never in. */
static int mig_data(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	(void)conn;
	(void)reply;
	return msg->len < sizeof(struct vu_mig_data) ? -EINVAL : -EOPNOTSUPP;
}

static int not_ours(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	(void)reply;
	vu_say(conn, "command %u is the server's to send; refused", msg->header.cmd);
	return -EINVAL;
}

static const struct {
	vu_handler *handler;
	unsigned int max_fds;
} commands[VU_COMMANDS] = {
	[VU_VERSION] = {vu_version, 0},
	[VU_DMA_MAP] = {dma_map, 1},
	[VU_DMA_UNMAP] = {dma_unmap, 0},
	[VU_GET_INFO] = {get_info, 0},
	[VU_GET_REGION_INFO] = {get_region_info, 0},
	[VU_GET_REGION_IO_FDS] = {get_region_io_fds, 0},
	[VU_GET_IRQ_INFO] = {vu_get_irq_info, 0},
	[VU_SET_IRQS] = {vu_set_irqs, VU_MAX_MSG_FDS},
	[VU_REGION_READ] = {region_read, 0},
	[VU_REGION_WRITE] = {region_write, 0},
	[VU_DMA_READ] = {not_ours, 0},
	[VU_DMA_WRITE] = {not_ours, 0},
	[VU_DEVICE_RESET] = {device_reset, 0},
	[VU_REGION_WRITE_MULTI] = {region_write_multi, 0},
	[VU_DEVICE_FEATURE] = {device_feature, 0},
	[VU_MIG_DATA_READ] = {mig_data, 0},
	[VU_MIG_DATA_WRITE] = {mig_data, 0},
};

int vu_run_command(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	uint16_t cmd = msg->header.cmd;

	if (!conn->negotiated && cmd != VU_VERSION) {
		vu_say(conn, "the first message is command %u and not VERSION; disconnected", cmd);
		conn->closing = true;
		return -EINVAL;
	}
	if (cmd >= VU_COMMANDS || !commands[cmd].handler) {
		vu_say(conn, "command %u is unknown; refused", cmd);
		return -EOPNOTSUPP;
	}
	if (msg->fd_error || msg->fds > commands[cmd].max_fds) {
		vu_say(conn,
		       "command %u came with more descriptors than it takes, or than this "
		       "process may open; refused",
		       cmd);
		return msg->fd_error ? msg->fd_error : -EINVAL;
	}
	return commands[cmd].handler(conn, msg, reply);
}
