/* SPDX-License-Identifier: BSD-3-Clause */
/* The vfio-user server's commands, one by one: what they do, and what they refuse */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "vfio_user_client.h"

static int setup(void **state)
{
	struct client *c = malloc(sizeof(*c));

	client_open(c);
	*state = c;
	return 0;
}

static int setup_negotiated(void **state)
{
	setup(state);
	client_hello(*state);
	return 0;
}

static int teardown(void **state)
{
	int leaked = client_close(*state);

	free(*state);
	assert_int_equal(leaked, 0);
	return 0;
}

static int memory(void)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	return fd;
}

/* ---- VERSION --------------------------------------------------------------------------------- */

static int version(struct client *c, uint16_t major, uint16_t minor, const char *json)
{
	uint8_t buf[1024];
	struct vu_version v = {major, minor};
	size_t len = json ? strlen(json) + 1 : 0;

	memcpy(buf, &v, sizeof(v));
	if (json)
		memcpy(buf + sizeof(v), json, len);
	return client_call(c, VU_VERSION, buf, sizeof(v) + len, NULL, 0);
}

static json_t *answered_caps(struct client *c, json_t **root)
{
	assert_int_equal(c->payload[c->len - 1], 0);
	*root = json_loads((char *)c->payload + 4, 0, NULL);
	assert_non_null(*root);
	return json_object_get(*root, "capabilities");
}

static void version_answers_what_qemu_proposes(void **state)
{
	struct client *c = *state;
	json_t *root, *caps;

	client_hello(c);
	assert_memory_equal(c->payload, "\0\0\0\0", 4);
	caps = answered_caps(c, &root);
	assert_int_equal(json_integer_value(json_object_get(caps, "max_msg_fds")), 16);
	assert_int_equal(json_integer_value(json_object_get(caps, "max_data_xfer_size")), 1 << 20);
	assert_int_equal(json_integer_value(json_object_get(caps, "max_dma_maps")), 65535);
	assert_int_equal(json_integer_value(json_object_get(caps, "pgsizes")), 4096);
	assert_true(json_is_true(json_object_get(caps, "write_multiple")));
	assert_null(json_object_get(caps, "migration"));
	assert_null(json_object_get(caps, "twin_socket"));
	json_decref(root);
}

static void version_without_data(void **state)
{
	struct client *c = *state;

	assert_int_equal(version(c, 0, 0, NULL), 0);
	assert_int_equal(c->len, 4);
	assert_int_equal(c->conn->peer_max_fds, 1);
	assert_int_equal(c->conn->peer_max_xfer, 1 << 20);
}

static void version_lowers_the_minor(void **state)
{
	struct client *c = *state;
	struct vu_version v;

	assert_int_equal(version(c, 0, 9, "{}"), 0);
	memcpy(&v, c->payload, sizeof(v));
	assert_int_equal(v.major, 0);
	assert_int_equal(v.minor, 0);
}

static void version_answers_a_subset(void **state)
{
	struct client *c = *state;
	json_t *root, *caps;

	assert_int_equal(
		version(c, 0, 0,
			"{\"capabilities\":{\"max_msg_fds\":8,\"wonder\":[1,{}]},\"x\":0}"),
		0);
	caps = answered_caps(c, &root);
	assert_int_equal(json_object_size(caps), 1);
	assert_int_equal(json_integer_value(json_object_get(caps, "max_msg_fds")), 16);
	json_decref(root);
	assert_int_equal(c->conn->peer_max_fds, 8);
}

static void version_reply_is_never_longer(void **state)
{
	struct client *c = *state;
	const char *json = "{\"capabilities\":{\"pgsizes\":4,\"max_msg_fds\":1,"
			   "\"max_data_xfer_size\":9,\"max_dma_maps\":1}}";

	assert_int_equal(version(c, 0, 0, json), 0);
	assert_true(c->len <= 4 + strlen(json) + 1);
	assert_non_null(strstr((char *)c->payload + 4, "max_msg_fds"));
	assert_int_equal(c->conn->peer_max_xfer, 9);
}

static void version_twin_socket(void **state)
{
	struct client *c = *state;
	json_t *root, *twin;
	char byte;

	assert_int_equal(
		version(c, 0, 0, "{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}"), 0);
	assert_int_equal(c->fds, 1);
	twin = json_object_get(answered_caps(c, &root), "twin_socket");
	assert_true(json_is_true(json_object_get(twin, "supported")));
	assert_int_equal(json_integer_value(json_object_get(twin, "fd_index")), 0);
	json_decref(root);
	/* Its other end is ours: a command there is not for the server to take. */
	byte = 0;
	assert_int_equal(write(c->fd[0], &byte, 1), 1);
	assert_int_equal(client_poll(c), 0);
}

static void version_refuses(void **state)
{
	static const char *const json[] = {
		"",
		"{",
		"[]",
		"7",
		"{\"capabilities\":1}",
		"{\"capabilities\":{\"max_msg_fds\":0}}",
		"{\"capabilities\":{\"max_msg_fds\":-3}}",
		"{\"capabilities\":{\"max_msg_fds\":\"1\"}}",
		"{\"capabilities\":{\"max_data_xfer_size\":0}}",
		"{\"capabilities\":{\"max_data_xfer_size\":99999999999}}",
		"{\"capabilities\":{\"pgsizes\":{}}}",
		"{\"capabilities\":{\"write_multiple\":1}}",
		"{\"capabilities\":{\"twin_socket\":true}}",
		"{\"capabilities\":{\"twin_socket\":{\"supported\":1}}}",
	};
	struct client *c = *state;

	for (size_t i = 0; i < sizeof(json) / sizeof(json[0]); i++) {
		if (i)
			client_open(c);
		assert_int_equal(version(c, 0, 0, json[i]), EINVAL);
		assert_null(c->conn);
		if (i + 1 < sizeof(json) / sizeof(json[0]))
			assert_int_equal(client_close(c), 0);
	}
}

static void version_without_nul(void **state)
{
	struct client *c = *state;

	assert_int_equal(client_call(c, VU_VERSION, "\0\0\0\0{}", 6, NULL, 0), EINVAL);
	assert_null(c->conn);
}

static void version_other_major_hangs_up(void **state)
{
	struct client *c = *state;

	assert_int_equal(version(c, 1, 0, "{}"), -1);
	assert_null(c->conn);
	assert_true(c->said > 0);
}

static void version_must_be_first(void **state)
{
	struct client *c = *state;
	struct vu_device_info info = {.argsz = sizeof(info)};

	assert_int_equal(client_call(c, VU_GET_INFO, &info, sizeof(info), NULL, 0), EINVAL);
	assert_null(c->conn);
}

static void version_only_once(void **state)
{
	struct client *c = *state;

	assert_int_equal(version(c, 0, 0, "{}"), EINVAL);
	assert_non_null(c->conn);
}

/* ---- Device, regions ------------------------------------------------------------------------- */

static void device_info(void **state)
{
	struct client *c = *state;
	struct vu_device_info info = {.argsz = sizeof(info)};

	assert_int_equal(client_call(c, VU_GET_INFO, &info, sizeof(info), NULL, 0), 0);
	assert_int_equal(c->len, sizeof(info));
	memcpy(&info, c->payload, sizeof(info));
	assert_int_equal(info.argsz, sizeof(info));
	assert_int_equal(info.flags, VU_DEVICE_FLAGS_RESET | VU_DEVICE_FLAGS_PCI);
	assert_int_equal(info.num_regions, 9);
	assert_int_equal(info.num_irqs, 5);

	info.argsz = sizeof(info) - 1;
	assert_int_equal(client_call(c, VU_GET_INFO, &info, sizeof(info), NULL, 0), EINVAL);
	assert_int_equal(client_call(c, VU_GET_INFO, &info, 15, NULL, 0), EINVAL);
	assert_int_equal(client_call(c, VU_GET_INFO, NULL, 0, NULL, 0), EINVAL);
}

static int region_info(struct client *c, uint32_t index, uint32_t argsz,
		       struct vu_region_info *info)
{
	int err;

	*info = (struct vu_region_info){.argsz = argsz, .index = index};
	err = client_call(c, VU_GET_REGION_INFO, info, sizeof(*info), NULL, 0);
	if (!err) {
		assert_true(c->len >= sizeof(*info));
		memcpy(info, c->payload, sizeof(*info));
	}
	return err;
}

static void regions(void **state)
{
	struct client *c = *state;
	struct vu_region_info info;

	assert_int_equal(region_info(c, 0, 32, &info), 0);
	assert_int_equal(info.size, FAKE_BAR0_SIZE);
	assert_int_equal(info.flags, VU_REGION_FLAG_READ | VU_REGION_FLAG_WRITE);
	assert_int_equal(info.argsz, 32);
	assert_int_equal(c->fds, 0);
	assert_int_equal(region_info(c, 1, 4096, &info), 0);
	assert_int_equal(info.size, 0);
	assert_int_equal(info.flags, 0);
	assert_int_equal(region_info(c, VQNIC_REGION_CONFIG, 32, &info), 0);
	assert_int_equal(info.index, VQNIC_REGION_CONFIG);
	assert_int_equal(region_info(c, 9, 32, &info), EINVAL);
	assert_int_equal(region_info(c, UINT32_MAX, 32, &info), EINVAL);
	assert_int_equal(region_info(c, 0, 31, &info), EINVAL);
	assert_int_equal(client_call(c, VU_GET_REGION_INFO, &info, 16, NULL, 0), EINVAL);
}

static void region_that_can_be_mapped(void **state)
{
	struct client *c = *state;
	struct vu_region_info info;
	struct vu_cap_sparse_mmap cap;
	struct vu_mmap_area area;
	void *p;

	/* Too little room: how much it takes, no capability, nothing behind the structure. */
	assert_int_equal(region_info(c, 4, 32, &info), 0);
	assert_int_equal(c->len, 32);
	assert_int_equal(info.argsz, 32 + 16 + 2 * 16);
	assert_int_equal(info.cap_offset, 32); /* QEMU 11.1 refuses 0 here already */
	assert_int_equal(c->fds, 1);

	assert_int_equal(region_info(c, 4, info.argsz, &info), 0);
	assert_int_equal(c->len, info.argsz);
	assert_int_equal(info.flags, VU_REGION_FLAG_READ | VU_REGION_FLAG_WRITE |
					     VU_REGION_FLAG_MMAP | VU_REGION_FLAG_CAPS);
	assert_int_equal(info.cap_offset, 32);
	assert_int_equal(info.offset, 0);
	memcpy(&cap, c->payload + 32, sizeof(cap));
	assert_int_equal(cap.id, 1);
	assert_int_equal(cap.version, 1);
	assert_int_equal(cap.next, 0);
	assert_int_equal(cap.nr_areas, 2);
	memcpy(&area, c->payload + 48 + 16, sizeof(area));
	assert_int_equal(area.offset, 12288);
	assert_int_equal(area.size, 4096);
	assert_int_equal(c->fds, 1);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd[0], 12288);
	assert_true(p != MAP_FAILED);
	munmap(p, 4096);
}

static void region_io_fds(void **state)
{
	struct client *c = *state;
	struct vu_region_io_fds fds = {.argsz = sizeof(fds)};

	assert_int_equal(client_call(c, VU_GET_REGION_IO_FDS, &fds, sizeof(fds), NULL, 0),
			 EOPNOTSUPP);
	fds.flags = 1;
	assert_int_equal(client_call(c, VU_GET_REGION_IO_FDS, &fds, sizeof(fds), NULL, 0), EINVAL);
	fds = (struct vu_region_io_fds){.argsz = sizeof(fds), .index = 9};
	assert_int_equal(client_call(c, VU_GET_REGION_IO_FDS, &fds, sizeof(fds), NULL, 0), EINVAL);
	assert_int_equal(client_call(c, VU_GET_REGION_IO_FDS, &fds, 15, NULL, 0), EINVAL);
}

static int read_region(struct client *c, uint64_t offset, uint32_t region, uint32_t count)
{
	struct vu_region_access access = {offset, region, count};

	return client_call(c, VU_REGION_READ, &access, sizeof(access), NULL, 0);
}

static int write_region(struct client *c, uint64_t offset, uint32_t region, uint32_t count,
			const void *data, size_t len)
{
	struct vu_region_access access = {offset, region, count};
	uint8_t buf[64];

	memcpy(buf, &access, sizeof(access));
	memcpy(buf + sizeof(access), data, len);
	return client_call(c, VU_REGION_WRITE, buf, sizeof(access) + len, NULL, 0);
}

static void region_reads(void **state)
{
	struct vu_region_access access;
	struct client *c = *state;

	for (uint32_t count = 1; count <= 8; count *= 2) {
		assert_int_equal(read_region(c, 64, 0, count), 0);
		assert_int_equal(c->len, sizeof(access) + count);
		memcpy(&access, c->payload, sizeof(access));
		assert_int_equal(access.offset, 64);
		assert_int_equal(access.region, 0);
		assert_int_equal(access.count, count);
		assert_memory_equal(c->payload + sizeof(access), c->nic.bar0 + 64, count);
	}
	assert_int_equal(read_region(c, 0, 0, FAKE_BAR0_SIZE), 0);
	assert_memory_equal(c->payload + sizeof(access), c->nic.bar0, FAKE_BAR0_SIZE);
	assert_int_equal(read_region(c, 16384 - 8, 4, 8), 0); /* although it can be mapped */
	assert_int_equal(read_region(c, 0, 2, 1 << 20), 0);
	assert_int_equal(c->len, sizeof(access) + (1 << 20));
}

static void region_reads_refused(void **state)
{
	struct client *c = *state;
	struct vu_region_access access = {0, 0, 4};

	assert_int_equal(read_region(c, 0, 0, 0), EINVAL);
	assert_int_equal(read_region(c, 0, 2, (1 << 20) + 1), EINVAL);
	assert_int_equal(read_region(c, 0, 2, UINT32_MAX), EINVAL);
	assert_int_equal(read_region(c, FAKE_BAR0_SIZE, 0, 1), EINVAL);
	assert_int_equal(read_region(c, FAKE_BAR0_SIZE - 3, 0, 4), EINVAL);
	assert_int_equal(read_region(c, UINT64_MAX, 0, 1), EINVAL);
	assert_int_equal(read_region(c, UINT64_MAX - 1, 0, 4), EINVAL);
	assert_int_equal(read_region(c, 0, 1, 1), EINVAL);
	assert_int_equal(read_region(c, 0, 9, 1), EINVAL);
	assert_int_equal(read_region(c, 0, UINT32_MAX, 1), EINVAL);
	assert_int_equal(client_call(c, VU_REGION_READ, &access, 15, NULL, 0), EINVAL);
	assert_int_equal(client_call(c, VU_REGION_READ, NULL, 0, NULL, 0), EINVAL);
	/* Still there. */
	assert_int_equal(read_region(c, 0, 0, 4), 0);
}

static void region_writes(void **state)
{
	struct vu_region_access access;
	struct client *c = *state;

	assert_int_equal(write_region(c, 8, 0, 4, "abcd", 4), 0);
	assert_int_equal(c->len, sizeof(access));
	memcpy(&access, c->payload, sizeof(access));
	assert_int_equal(access.offset, 8);
	assert_int_equal(access.count, 4);
	assert_memory_equal(c->nic.bar0 + 8, "abcd", 4);

	assert_int_equal(write_region(c, 8, 0, 5, "abcd", 4), EINVAL);
	assert_int_equal(write_region(c, 8, 0, 3, "abcd", 4), EINVAL);
	assert_int_equal(write_region(c, 0, 0, 0, "", 0), EINVAL);
	assert_int_equal(write_region(c, FAKE_BAR0_SIZE - 1, 0, 2, "ab", 2), EINVAL);
	assert_int_equal(write_region(c, UINT64_MAX, 0, 2, "ab", 2), EINVAL);
	assert_int_equal(write_region(c, 0, 2, 2, "ab", 2), EACCES);
	assert_int_equal(write_region(c, 0, 5, 2, "ab", 2), EINVAL);
	assert_int_equal(client_call(c, VU_REGION_WRITE, &access, 12, NULL, 0), EINVAL);
	assert_int_equal(c->nic.writes, 1);
}

static void posted_writes_are_done_before_a_later_reply(void **state)
{
	struct client *c = *state;

	for (unsigned int i = 0; i < 100; i++) {
		uint8_t buf[18];
		struct vu_region_access access = {2 * i, 0, 2};

		memcpy(buf, &access, sizeof(access));
		buf[16] = (uint8_t)i;
		buf[17] = (uint8_t)~i;
		client_send(c, 7, VU_REGION_WRITE, VU_NO_REPLY, buf, sizeof(buf), NULL, 0);
	}
	/* client_call() takes the first reply there is, and checks that it is this command's. */
	assert_int_equal(read_region(c, 0, 0, 200), 0);
	assert_int_equal(c->nic.writes, 100);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(c->payload[16 + 2 * i], i);
	/* An error of one that wants no reply is not answered either. */
	client_send(c, 8, VU_REGION_WRITE, VU_NO_REPLY, "x", 1, NULL, 0);
	assert_int_equal(read_region(c, 0, 0, 4), 0);
	assert_int_equal(c->said, 1);
}

static size_t multi(uint8_t *buf, uint64_t claimed, unsigned int count, uint64_t offset,
		    uint32_t len)
{
	memcpy(buf, &claimed, 8);
	for (unsigned int i = 0; i < count; i++) {
		struct vu_write_one one = {offset + 8 * i, 0, len, {(uint8_t)(i + 1)}};

		memcpy(buf + 8 + i * sizeof(one), &one, sizeof(one));
	}
	return 8 + count * sizeof(struct vu_write_one);
}

static uint64_t multi_done(const struct client *c)
{
	uint64_t done;

	assert_int_equal(c->len, 8);
	memcpy(&done, c->payload, 8);
	return done;
}

static void region_write_multi(void **state)
{
	static uint8_t buf[8 + 300 * sizeof(struct vu_write_one)];
	struct client *c = *state;
	size_t len = multi(buf, 200, 200, 0, 2);

	assert_int_equal(client_call(c, VU_REGION_WRITE_MULTI, buf, len, NULL, 0), 0);
	assert_int_equal(multi_done(c), 200);
	assert_int_equal(c->nic.writes, 200);
	for (unsigned int i = 0; i < 200; i++) {
		assert_int_equal(c->nic.write[i].offset, 8 * i);
		assert_int_equal(c->nic.write[i].len, 2);
		assert_int_equal(c->nic.write[i].data[0], (uint8_t)(i + 1));
	}
	/* The third lies outside: two are done. */
	len = multi(buf, 5, 5, FAKE_BAR0_SIZE - 16, 8);
	assert_int_equal(client_call(c, VU_REGION_WRITE_MULTI, buf, len, NULL, 0), 0);
	assert_int_equal(multi_done(c), 2);
	/* All are. */
	len = multi(buf, 1, 1, FAKE_BAR0_SIZE, 1);
	assert_int_equal(client_call(c, VU_REGION_WRITE_MULTI, buf, len, NULL, 0), EINVAL);
	len = multi(buf, 1, 1, 0, 9);
	assert_int_equal(client_call(c, VU_REGION_WRITE_MULTI, buf, len, NULL, 0), EINVAL);
	len = multi(buf, 0, 0, 0, 0);
	assert_int_equal(client_call(c, VU_REGION_WRITE_MULTI, buf, len, NULL, 0), 0);
	assert_int_equal(multi_done(c), 0);
	/* Counts that are not what follows. */
	len = multi(buf, 3, 2, 0, 2);
	assert_int_equal(client_call(c, VU_REGION_WRITE_MULTI, buf, len, NULL, 0), EINVAL);
	len = multi(buf, UINT64_MAX, 1, 0, 2);
	assert_int_equal(client_call(c, VU_REGION_WRITE_MULTI, buf, len, NULL, 0), EINVAL);
	/* 2^64 / 24 rounded: count * 24 wraps to what follows. */
	len = multi(buf, UINT64_C(0x0aaaaaaaaaaaaaab), 1, 0, 2);
	assert_int_equal(client_call(c, VU_REGION_WRITE_MULTI, buf, len, NULL, 0), EINVAL);
	len = multi(buf, 2, 2, 0, 2);
	assert_int_equal(client_call(c, VU_REGION_WRITE_MULTI, buf, len - 1, NULL, 0), EINVAL);
	assert_int_equal(client_call(c, VU_REGION_WRITE_MULTI, buf, 7, NULL, 0), EINVAL);
	assert_int_equal(c->nic.writes, 202);
}

/* ---- DMA maps -------------------------------------------------------------------------------- */

static int map(struct client *c, struct vu_dma_map m, int fd)
{
	return client_call(c, VU_DMA_MAP, &m, sizeof(m), &fd, fd >= 0);
}

static void dma_maps(void **state)
{
	struct client *c = *state;
	struct vu_dma_map m = {32, VU_MAP_READ | VU_MAP_WRITE, 4096, 1 << 30, 65536};
	int fd = memory();
	struct stat st;

	fstat(fd, &st);
	assert_int_equal(map(c, m, fd), 0);
	assert_int_equal(c->len, 0);
	assert_int_equal(c->nic.maps, 1);
	assert_int_equal(c->nic.map[0].iova, 1 << 30);
	assert_int_equal(c->nic.map[0].size, 65536);
	assert_int_equal(c->nic.map[0].offset, 4096);
	assert_int_equal(c->nic.map[0].prot, VQNIC_PROT_READ | VQNIC_PROT_WRITE);
	assert_int_equal(c->nic.map[0].inode, st.st_ino);

	m.address += 4096;
	assert_int_equal(map(c, m, fd), EEXIST);
	m.address = 0;
	m.flags = VU_MAP_READ;
	assert_int_equal(map(c, m, -1), 0);
	assert_false(c->nic.map[1].has_fd);
	assert_int_equal(c->nic.map[1].prot, VQNIC_PROT_READ);
	m.address = UINT64_MAX - 65535; /* up to the top */
	assert_int_equal(map(c, m, fd), 0);
	close(fd);
}

static void dma_maps_refused(void **state)
{
	const struct vu_dma_map good = {32, 3, 0, 1 << 20, 4096};
	struct client *c = *state;
	struct vu_dma_map m;
	int fd[2] = {memory(), memory()};

	for (unsigned int i = 0; i < 9; i++) {
		m = good;
		switch (i) {
		case 0:
			m.argsz = 31;
			break;
		case 1:
			m.flags = 4;
			break;
		case 2:
			m.flags = UINT32_MAX;
			break;
		case 3:
			m.size = 0;
			break;
		case 4:
			m.size = 4095;
			break;
		case 5:
			m.address = 1;
			break;
		case 6:
			m.offset = 512;
			break;
		case 7:
			m.address = UINT64_MAX - 4095;
			m.size = 8192;
			break;
		case 8:
			m.size = UINT64_MAX - 4095;
			m.address = 8192;
			break;
		}
		assert_int_equal(map(c, m, fd[0]), EINVAL);
	}
	m = good;
	assert_int_equal(client_call(c, VU_DMA_MAP, &m, sizeof(m), fd, 2), EINVAL);
	assert_int_equal(client_call(c, VU_DMA_MAP, &m, 31, fd, 1), EINVAL);
	assert_int_equal(client_call(c, VU_DMA_MAP, NULL, 0, fd, 1), EINVAL);
	assert_int_equal(c->nic.maps, 0);
	for (unsigned int i = 0; i < FAKE_MAPS; i++) {
		m.address += 4096;
		assert_int_equal(map(c, m, fd[1]), 0);
	}
	m.address += 4096;
	assert_int_equal(map(c, m, fd[1]), ENOSPC);
	close(fd[0]);
	close(fd[1]);
}

static void dma_unmaps(void **state)
{
	struct client *c = *state;
	struct vu_dma_map m = {32, 3, 0, 0, 4096};
	struct vu_dma_unmap u = {sizeof(u), 0, 0, 4096}, back;

	assert_int_equal(map(c, m, -1), 0);
	assert_int_equal(client_call(c, VU_DMA_UNMAP, &u, sizeof(u), NULL, 0), 0);
	assert_int_equal(c->len, sizeof(u));
	memcpy(&back, c->payload, sizeof(back));
	assert_memory_equal(&back, &u, sizeof(u));
	assert_int_equal(c->nic.maps, 0);

	/* What QEMU does behind an IOMMU: never mapped, larger, half of the whole space. */
	u.argsz = 40;
	assert_int_equal(client_call(c, VU_DMA_UNMAP, &u, sizeof(u), NULL, 0), 0);
	assert_int_equal(map(c, m, -1), 0);
	u.size = UINT64_C(1) << 63;
	assert_int_equal(client_call(c, VU_DMA_UNMAP, &u, sizeof(u), NULL, 0), 0);
	assert_int_equal(c->nic.maps, 0);
	u.address = UINT64_C(1) << 63;
	assert_int_equal(client_call(c, VU_DMA_UNMAP, &u, sizeof(u), NULL, 0), 0);
	assert_int_equal(c->nic.unmapped.iova, UINT64_C(1) << 63);
	assert_int_equal(c->nic.unmapped.size, UINT64_C(1) << 63);

	assert_int_equal(map(c, m, -1), 0);
	u = (struct vu_dma_unmap){sizeof(u), VU_UNMAP_ALL, 0, 0};
	assert_int_equal(client_call(c, VU_DMA_UNMAP, &u, sizeof(u), NULL, 0), 0);
	assert_int_equal(c->nic.maps, 0);
}

static void dma_unmaps_refused(void **state)
{
	static const struct vu_dma_unmap bad[] = {
		{23, 0, 0, 4096},
		{24, VU_UNMAP_DIRTY_BITMAP, 0, 4096},
		{24, 4, 0, 4096},
		{24, 0, 0, 0},
		{24, 0, 4096, 0},
		{24, 0, 0, 4095},
		{24, 0, 1, 4096},
		{24, 0, UINT64_MAX - 4095, 8192},
		{24, VU_UNMAP_ALL, 4096, 0},
		{24, VU_UNMAP_ALL, 0, 4096},
	};
	struct client *c = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(client_call(c, VU_DMA_UNMAP, &bad[i], sizeof(bad[i]), NULL, 0),
				 EINVAL);
	assert_int_equal(client_call(c, VU_DMA_UNMAP, &bad[0], 16, NULL, 0), EINVAL);
	assert_int_equal(c->nic.unmaps, 0);
}

/* ---- Interrupts ------------------------------------------------------------------------------ */

static void irq_info(void **state)
{
	static const struct {
		uint32_t count, flags;
	} want[] = {{1, VU_IRQ_INFO_EVENTFD | VU_IRQ_INFO_MASKABLE | VU_IRQ_INFO_AUTOMASKED},
		    {0, VU_IRQ_INFO_EVENTFD},
		    {FAKE_VECTORS, VU_IRQ_INFO_EVENTFD},
		    {0, VU_IRQ_INFO_EVENTFD},
		    {0, VU_IRQ_INFO_EVENTFD}};
	struct client *c = *state;
	struct vu_irq_info info;

	for (uint32_t i = 0; i < 5; i++) {
		info = (struct vu_irq_info){.argsz = sizeof(info), .index = i};
		assert_int_equal(client_call(c, VU_GET_IRQ_INFO, &info, sizeof(info), NULL, 0), 0);
		memcpy(&info, c->payload, sizeof(info));
		assert_int_equal(info.index, i);
		assert_int_equal(info.count, want[i].count);
		assert_int_equal(info.flags, want[i].flags);
	}
	info.index = 5;
	assert_int_equal(client_call(c, VU_GET_IRQ_INFO, &info, sizeof(info), NULL, 0), EINVAL);
	info = (struct vu_irq_info){.argsz = 15};
	assert_int_equal(client_call(c, VU_GET_IRQ_INFO, &info, sizeof(info), NULL, 0), EINVAL);
	assert_int_equal(client_call(c, VU_GET_IRQ_INFO, &info, 12, NULL, 0), EINVAL);
}

static int set_irqs(struct client *c, uint32_t flags, uint32_t index, uint32_t start,
		    uint32_t count, const void *data, size_t len, const int *fd, unsigned int fds)
{
	struct vu_irq_set set = {(uint32_t)(sizeof(set) + len), flags, index, start, count};
	uint8_t buf[128];

	memcpy(buf, &set, sizeof(set));
	if (len)
		memcpy(buf + sizeof(set), data, len);
	return client_call(c, VU_SET_IRQS, buf, sizeof(set) + len, fd, fds);
}

#define EVENTFD_TRIGGER (VU_IRQ_DATA_EVENTFD | VU_IRQ_ACTION_TRIGGER)
#define NONE_TRIGGER	(VU_IRQ_DATA_NONE | VU_IRQ_ACTION_TRIGGER)
#define BOOL_TRIGGER	(VU_IRQ_DATA_BOOL | VU_IRQ_ACTION_TRIGGER)

static uint64_t signalled(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void irq_eventfds(void **state)
{
	struct client *c = *state;
	int fd[4];

	for (unsigned int i = 0; i < 4; i++)
		fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* As QEMU begins: nothing to take away. */
	assert_int_equal(set_irqs(c, EVENTFD_TRIGGER, 2, 0, 1, NULL, 0, NULL, 0), 0);
	assert_int_equal(set_irqs(c, EVENTFD_TRIGGER, 2, 3, 4, NULL, 0, fd, 4), 0);
	assert_int_equal(c->len, 0);
	assert_int_equal(set_irqs(c, NONE_TRIGGER, 2, 4, 2, NULL, 0, NULL, 0), 0);
	assert_int_equal(signalled(fd[0]), 0);
	assert_int_equal(signalled(fd[1]), 1);
	assert_int_equal(signalled(fd[2]), 1);
	assert_int_equal(signalled(fd[3]), 0);
	assert_int_equal(set_irqs(c, BOOL_TRIGGER, 2, 3, 3, "\1\0\1", 3, NULL, 0), 0);
	assert_int_equal(signalled(fd[0]), 1);
	assert_int_equal(signalled(fd[1]), 0);
	assert_int_equal(signalled(fd[2]), 1);

	/* A range without descriptors is taken away, the rest stays. */
	assert_int_equal(set_irqs(c, EVENTFD_TRIGGER, 2, 4, 2, NULL, 0, NULL, 0), 0);
	assert_int_equal(c->nic.eventfd[2][4], -1);
	assert_int_equal(c->nic.eventfd[2][5], -1);
	assert_true(c->nic.eventfd[2][6] >= 0);
	/* The whole index. */
	assert_int_equal(set_irqs(c, NONE_TRIGGER, 2, 0, 0, NULL, 0, NULL, 0), 0);
	for (unsigned int i = 0; i < FAKE_VECTORS; i++)
		assert_int_equal(c->nic.eventfd[2][i], -1);
	assert_int_equal(set_irqs(c, NONE_TRIGGER, 1, 0, 0, NULL, 0, NULL, 0), 0);
	for (unsigned int i = 0; i < 4; i++)
		close(fd[i]);
}

static void irq_eventfds_fail_as_a_whole(void **state)
{
	struct client *c = *state;
	int fd[3];

	for (unsigned int i = 0; i < 3; i++)
		fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->nic.fail_vector = 2;
	assert_int_equal(set_irqs(c, EVENTFD_TRIGGER, 2, 0, 3, NULL, 0, fd, 3), EMFILE);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(c->nic.eventfd[2][i], -1);
		close(fd[i]);
	}
}

static void irq_intx_masks(void **state)
{
	struct client *c = *state;

	assert_int_equal(
		set_irqs(c, VU_IRQ_DATA_NONE | VU_IRQ_ACTION_MASK, 0, 0, 1, NULL, 0, NULL, 0), 0);
	assert_true(c->nic.masked);
	assert_int_equal(
		set_irqs(c, VU_IRQ_DATA_BOOL | VU_IRQ_ACTION_UNMASK, 0, 0, 1, "\0", 1, NULL, 0), 0);
	assert_true(c->nic.masked);
	assert_int_equal(
		set_irqs(c, VU_IRQ_DATA_BOOL | VU_IRQ_ACTION_UNMASK, 0, 0, 1, "\1", 1, NULL, 0), 0);
	assert_false(c->nic.masked);
	assert_int_equal(set_irqs(c, VU_IRQ_DATA_NONE | VU_IRQ_ACTION_MASK, 2, 0, 1, NULL, 0, NULL,
				  0),
			 EINVAL);
	assert_int_equal(set_irqs(c, VU_IRQ_DATA_NONE | VU_IRQ_ACTION_MASK, 0, 0, 0, NULL, 0, NULL,
				  0),
			 EINVAL);
}

static void irqs_refused(void **state)
{
	struct client *c = *state;
	int fd[VU_MAX_MSG_FDS];
	struct vu_irq_set set = {19, EVENTFD_TRIGGER, 2, 0, 1};

	for (unsigned int i = 0; i < VU_MAX_MSG_FDS; i++)
		fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* flags: none, two kinds of data, two actions, no action, unknown bits */
	assert_int_equal(set_irqs(c, 0, 2, 0, 1, NULL, 0, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(c, NONE_TRIGGER | BOOL_TRIGGER, 2, 0, 1, "\1", 1, NULL, 0),
			 EINVAL);
	assert_int_equal(set_irqs(c, NONE_TRIGGER | VU_IRQ_ACTION_MASK, 0, 0, 1, NULL, 0, NULL, 0),
			 EINVAL);
	assert_int_equal(set_irqs(c, VU_IRQ_DATA_NONE, 2, 0, 1, NULL, 0, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(c, VU_IRQ_ACTION_TRIGGER, 2, 0, 1, NULL, 0, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(c, NONE_TRIGGER | 64, 2, 0, 1, NULL, 0, NULL, 0), EINVAL);
	/* ranges */
	assert_int_equal(set_irqs(c, NONE_TRIGGER, 5, 0, 0, NULL, 0, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(c, NONE_TRIGGER, 2, FAKE_VECTORS, 1, NULL, 0, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(c, NONE_TRIGGER, 2, 1, FAKE_VECTORS, NULL, 0, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(c, NONE_TRIGGER, 2, UINT32_MAX, 2, NULL, 0, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(c, NONE_TRIGGER, 2, 1, UINT32_MAX, NULL, 0, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(c, NONE_TRIGGER, 2, 1, 0, NULL, 0, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(c, EVENTFD_TRIGGER, 2, 0, 0, NULL, 0, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(c, BOOL_TRIGGER, 2, 0, 0, NULL, 0, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(c, NONE_TRIGGER, 1, 0, 1, NULL, 0, NULL, 0), EINVAL);
	/* data that is not what the count says */
	assert_int_equal(set_irqs(c, BOOL_TRIGGER, 2, 0, 2, "\1", 1, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(c, BOOL_TRIGGER, 2, 0, 2, "\1\1\1", 3, NULL, 0), EINVAL);
	assert_int_equal(set_irqs(c, EVENTFD_TRIGGER, 2, 0, 2, NULL, 0, fd, 1), EINVAL);
	assert_int_equal(set_irqs(c, EVENTFD_TRIGGER, 2, 0, 2, NULL, 0, fd, 3), EINVAL);
	assert_int_equal(set_irqs(c, NONE_TRIGGER, 2, 0, 1, NULL, 0, fd, 1), EINVAL);
	/* what nobody needs */
	assert_int_equal(set_irqs(c, VU_IRQ_DATA_EVENTFD | VU_IRQ_ACTION_UNMASK, 0, 0, 1, NULL, 0,
				  fd, 1),
			 EOPNOTSUPP);
	/* sizes */
	assert_int_equal(client_call(c, VU_SET_IRQS, &set, sizeof(set), fd, 1), EINVAL);
	assert_int_equal(client_call(c, VU_SET_IRQS, &set, 16, fd, 1), EINVAL);
	for (unsigned int i = 0; i < FAKE_VECTORS; i++) {
		assert_int_equal(c->nic.eventfd[2][i], -1);
		assert_int_equal(c->nic.triggered[i], 0);
	}
	for (unsigned int i = 0; i < VU_MAX_MSG_FDS; i++)
		close(fd[i]);
}

/* ---- The rest -------------------------------------------------------------------------------- */

static void reset(void **state)
{
	struct client *c = *state;

	assert_int_equal(client_call(c, VU_DEVICE_RESET, NULL, 0, NULL, 0), 0);
	assert_int_equal(c->len, 0);
	assert_int_equal(c->nic.resets, 1);
	assert_int_equal(client_call(c, VU_DEVICE_RESET, "x", 1, NULL, 0), EINVAL);
	assert_int_equal(c->nic.resets, 1);
}

static void features(void **state)
{
	struct client *c = *state;
	struct vu_device_feature f = {sizeof(f), 1 | VU_FEATURE_GET | VU_FEATURE_PROBE};

	assert_int_equal(client_call(c, VU_DEVICE_FEATURE, &f, sizeof(f), NULL, 0), ENOTTY);
	f.flags = 1 | VU_FEATURE_GET | VU_FEATURE_SET | VU_FEATURE_PROBE;
	assert_int_equal(client_call(c, VU_DEVICE_FEATURE, &f, sizeof(f), NULL, 0), ENOTTY);
	f.flags = 2 | VU_FEATURE_SET;
	assert_int_equal(client_call(c, VU_DEVICE_FEATURE, &f, sizeof(f), NULL, 0), ENOTTY);
	f.flags = 1 | VU_FEATURE_GET | VU_FEATURE_SET;
	assert_int_equal(client_call(c, VU_DEVICE_FEATURE, &f, sizeof(f), NULL, 0), EINVAL);
	f.flags = 1;
	assert_int_equal(client_call(c, VU_DEVICE_FEATURE, &f, sizeof(f), NULL, 0), EINVAL);
	f.flags = 1 | VU_FEATURE_PROBE | 1u << 19;
	assert_int_equal(client_call(c, VU_DEVICE_FEATURE, &f, sizeof(f), NULL, 0), EINVAL);
	f = (struct vu_device_feature){7, 1 | VU_FEATURE_PROBE};
	assert_int_equal(client_call(c, VU_DEVICE_FEATURE, &f, sizeof(f), NULL, 0), EINVAL);
	assert_int_equal(client_call(c, VU_DEVICE_FEATURE, &f, 4, NULL, 0), EINVAL);
}

static void commands_that_are_none(void **state)
{
	static const uint16_t unknown[] = {0, 14, 19, 20, 255, 0x8001, 0xffff};
	struct client *c = *state;
	struct vu_mig_data mig = {8, 4096};
	struct vu_dma_access access = {0, 4096};
	int fd = memory();

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(client_call(c, unknown[i], "abcd", 4, &fd, 1), EOPNOTSUPP);
	assert_int_equal(client_call(c, VU_DMA_READ, &access, sizeof(access), NULL, 0), EINVAL);
	assert_int_equal(client_call(c, VU_DMA_WRITE, &access, sizeof(access), NULL, 0), EINVAL);
	assert_int_equal(client_call(c, VU_MIG_DATA_READ, &mig, sizeof(mig), NULL, 0), EOPNOTSUPP);
	assert_int_equal(client_call(c, VU_MIG_DATA_WRITE, &mig, sizeof(mig), NULL, 0), EOPNOTSUPP);
	assert_int_equal(client_call(c, VU_MIG_DATA_READ, &mig, 4, NULL, 0), EINVAL);
	close(fd);
}

static void descriptors_nobody_asked_for(void **state)
{
	struct client *c = *state;
	struct vu_region_access access = {0, 0, 4};
	int fd = memory();

	assert_int_equal(client_call(c, VU_REGION_READ, &access, sizeof(access), &fd, 1), EINVAL);
	assert_int_equal(client_call(c, VU_DEVICE_RESET, NULL, 0, &fd, 1), EINVAL);
	assert_int_equal(c->nic.resets, 0);
	close(fd);
}

#define FRESH(f)      cmocka_unit_test_setup_teardown(f, setup, teardown)
#define NEGOTIATED(f) cmocka_unit_test_setup_teardown(f, setup_negotiated, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(version_answers_what_qemu_proposes),
		FRESH(version_without_data),
		FRESH(version_lowers_the_minor),
		FRESH(version_answers_a_subset),
		FRESH(version_reply_is_never_longer),
		FRESH(version_twin_socket),
		FRESH(version_refuses),
		FRESH(version_without_nul),
		FRESH(version_other_major_hangs_up),
		FRESH(version_must_be_first),
		NEGOTIATED(version_only_once),
		NEGOTIATED(device_info),
		NEGOTIATED(regions),
		NEGOTIATED(region_that_can_be_mapped),
		NEGOTIATED(region_io_fds),
		NEGOTIATED(region_reads),
		NEGOTIATED(region_reads_refused),
		NEGOTIATED(region_writes),
		NEGOTIATED(posted_writes_are_done_before_a_later_reply),
		NEGOTIATED(region_write_multi),
		NEGOTIATED(dma_maps),
		NEGOTIATED(dma_maps_refused),
		NEGOTIATED(dma_unmaps),
		NEGOTIATED(dma_unmaps_refused),
		NEGOTIATED(irq_info),
		NEGOTIATED(irq_eventfds),
		NEGOTIATED(irq_eventfds_fail_as_a_whole),
		NEGOTIATED(irq_intx_masks),
		NEGOTIATED(irqs_refused),
		NEGOTIATED(reset),
		NEGOTIATED(features),
		NEGOTIATED(commands_that_are_none),
		NEGOTIATED(descriptors_nobody_asked_for),
	};

	return cmocka_run_group_tests_name("vfio_user", tests, NULL, NULL);
}
