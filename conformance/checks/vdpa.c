// SPDX-License-Identifier: BSD-3-Clause
/*
 * /dev/vhost-vdpa itself: what the kernel refuses, and what it promises about memory
 *
 * How it works. The checks call the descriptor's ioctls and write IOTLB messages with values that
 * no well-behaved user sends, and look at the errno; where a call must have had an effect, or none,
 * traffic shows it. Most of these rules are the vhost framework's and not the parent's, so they
 * hold once per kernel (catalogue: subject "kernel"); some came with a release, and what an older
 * kernel does not know yet is skipped.
 */
#include "support.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SET_LOG_FD VC_VHOST_IOW(0x07, 4)

/* call() - an ioctl of the parent's descriptor; negative errno */
static int call(struct test *t, unsigned long request, void *arg)
{
	struct parent *p = t_parent(t);
	const int fd = p->ops->vdpa_fd(p);

	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

#define expect_errno(t, seen, want, ...)                                                        \
	do {                                                                                    \
		const int seen_errno_ = (seen);                                                 \
		char what_[160];                                                                \
		snprintf(what_, sizeof(what_), __VA_ARGS__);                                    \
		t_expect(t, seen_errno_ == (want), "%s must fail with %s, it returned %d (%s)", \
			 what_, strerrorname_np(-(want)), seen_errno_,                          \
			 seen_errno_ < 0 ? strerrorname_np(-seen_errno_) : "success");          \
	} while (0)

/* kernel_at_least() - rules that came with a release are not asked of older ones */
static bool kernel_at_least(unsigned int major, unsigned int minor)
{
	struct utsname u;
	unsigned int a = 0, b = 0;

	if (uname(&u) || sscanf(u.release, "%u.%u", &a, &b) != 2)
		return false;
	return a > major || (a == major && b >= minor);
}

static unsigned int queue_count(struct test *t)
{
	unsigned int n = 0;

	t_ok(t, parent_get_vq_count(t_parent(t), &n));
	return n;
}

static uint64_t backend_features(struct test *t)
{
	uint64_t features = 0;

	t_ok(t, call(t, VC_VHOST_GET_BACKEND_FEATURES, &features));
	return features;
}

/* ---- Identity and ownership
 * ----------------------------------------------------------------------- */

CHECK(vdpa, identity, .requirements = "VDPA-DEV-001 VDPA-VQ-001 VDPA-VQ-002 OPS-CFG-007",
      .summary = "device id, queue count and largest size are those of a network device",
      .needs = CAP_VDPA_FD)
{
	uint32_t id = 0;
	uint16_t size = 0;

	t_ok(t, call(t, VC_VHOST_VDPA_GET_DEVICE_ID, &id));
	t_expect_eq(t, id, VC_ID_NET, "device id");
	t_expect(t, queue_count(t) >= 2, "a network device must have two queues, it has %u",
		 queue_count(t));
	t_ok(t, call(t, VC_VHOST_VDPA_GET_VRING_NUM, &size));
	t_expect(t, size >= 2, "the largest queue size must be 2 at least, it is %u", size);
}

CHECK(vdpa, one_owner, .requirements = "VDPA-OWN-003 VDPA-OWN-004",
      .summary = "a device that is open can't be opened or owned again", .needs = CAP_VDPA_FD)
{
	const char *path = strchr(t_parent(t)->info.address, ':');
	int fd;

	expect_errno(t, call(t, VC_VHOST_SET_OWNER, NULL), -EBUSY, "a second SET_OWNER");
	if (!path)
		t_broken(t, "the parent's address has no path");
	fd = open(path + 1, O_RDWR | O_CLOEXEC);
	t_expect(t, fd < 0 && errno == EBUSY, "a second open must fail with EBUSY, it %s",
		 fd < 0 ? strerrorname_np(errno) : "succeeded");
}

/* ---- Status and features
 * -------------------------------------------------------------------------- */

CHECK(vdpa, status_bits_stay, .requirements = "VDPA-STAT-002",
      .summary = "a status that drops a bit is refused and changes nothing", .needs = CAP_VDPA_FD)
{
	net_up(t, NULL);
	for (uint8_t bit = 1; bit <= 8; bit = (uint8_t)(bit << 1)) {
		uint8_t status = (uint8_t)(15 & ~bit);

		expect_errno(t, call(t, VC_VHOST_VDPA_SET_STATUS, &status), -EINVAL,
			     "SET_STATUS 0x%02x after 0x0f", status);
		t_expect_eq(t, get_status(t), 15, "status after a refused SET_STATUS");
	}
}

CHECK(vdpa, features_are_final, .requirements = "VDPA-FEAT-002",
      .summary = "SET_FEATURES after FEATURES_OK fails with EBUSY, traffic runs on",
      .needs = CAP_VDPA_FD | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	uint64_t features = required_features(net->offered);

	expect_errno(t, call(t, VC_VHOST_SET_FEATURES, &features), -EBUSY,
		     "SET_FEATURES after FEATURES_OK");
	io_run(net, 16, NULL);
}

CHECK(vdpa, no_dirty_log, .requirements = "VDPA-FEAT-005",
      .summary = "the log ioctls of vhost are refused", .needs = CAP_VDPA_FD)
{
	uint64_t base = 0x1000;
	int fd = -1;

	t_expect(t, call(t, VC_VHOST_SET_LOG_BASE, &base) < 0, "SET_LOG_BASE must be refused");
	t_expect(t, call(t, SET_LOG_FD, &fd) < 0, "SET_LOG_FD must be refused");
}

CHECK(vdpa, backend_features,
      .requirements = "VDPA-BE-001 VDPA-BE-002 VDPA-BE-003 VDPA-BE-006 VDPA-BE-007 VDPA-SUSP-007 "
		      "VDPA-SUSP-010",
      .summary = "backend features: always offered ones, unknown ones, and what they promise",
      .needs = CAP_VDPA_FD)
{
	const uint64_t offered = backend_features(t);
	const uint64_t always = VC_BIT(VC_VHOST_BACKEND_F_IOTLB_MSG_V2) |
				VC_BIT(VC_VHOST_BACKEND_F_IOTLB_BATCH) |
				VC_BIT(VC_VHOST_BACKEND_F_IOTLB_ASID);
	uint64_t ack = always | VC_BIT(60);

	t_expect(t, (offered & always) == always,
		 "IOTLB_MSG_V2, IOTLB_BATCH and IOTLB_ASID must be offered, the offer is 0x%llx",
		 (unsigned long long)offered);
	expect_errno(t, call(t, VC_VHOST_SET_BACKEND_FEATURES, &ack), -EOPNOTSUPP,
		     "an unknown backend feature");
	if (offered & VC_BIT(VC_VHOST_BACKEND_F_DESC_ASID)) {
		ack = VC_BIT(VC_VHOST_BACKEND_F_IOTLB_MSG_V2) |
		      VC_BIT(VC_VHOST_BACKEND_F_DESC_ASID);
		expect_errno(t, call(t, VC_VHOST_SET_BACKEND_FEATURES, &ack), -EINVAL,
			     "DESC_ASID without IOTLB_ASID");
	}
	if (!(offered & VC_BIT(VC_VHOST_BACKEND_F_SUSPEND))) {
		ack = always | VC_BIT(VC_VHOST_BACKEND_F_SUSPEND);
		expect_errno(t, call(t, VC_VHOST_SET_BACKEND_FEATURES, &ack), -EOPNOTSUPP,
			     "acknowledging SUSPEND, which is not offered,");
		net_up(t, NULL);
		expect_errno(t, call(t, VC_VHOST_VDPA_SUSPEND, NULL), -EOPNOTSUPP,
			     "SUSPEND of a running parent that does not offer it");
	} else {
		t_step(t, "SUSPEND and RESUME before DRIVER_OK do nothing and succeed");
		t_ok(t, call(t, VC_VHOST_VDPA_SUSPEND, NULL));
		if (offered & VC_BIT(VC_VHOST_BACKEND_F_RESUME))
			t_ok(t, call(t, VC_VHOST_VDPA_RESUME, NULL));
	}
}

CHECK(vdpa, suspend_before_driver_ok_is_nothing, .requirements = "VDPA-SUSP-006 VDPA-SUSP-010",
      .summary = "SUSPEND before DRIVER_OK succeeds, and the device then runs all the same",
      .needs = CAP_VDPA_FD | CAP_SUSPEND | CAP_TRAFFIC)
{
	struct net *net = net_up(t, &(struct net_options){.last = NET_READY});

	t_ok(t, call(t, VC_VHOST_VDPA_SUSPEND, NULL));
	net_continue(net, NET_ALL);
	io_run(net, 16, NULL);
}

/* ---- Configuration
 * -------------------------------------------------------------------------------- */

CHECK(vdpa, config_ranges, .requirements = "VDPA-CFG-002 VDPA-CFG-003",
      .summary = "configuration outside the space, or of length 0, is refused with EINVAL",
      .needs = CAP_VDPA_FD)
{
	struct {
		struct vc_vdpa_config head;
		uint8_t buf[8192];
	} c = {0};
	const struct {
		uint32_t off, len;
	} bad[] = {{0, 0}, {0, 1}, {1, 0}, {UINT32_MAX, 1}, {1, UINT32_MAX}};
	uint32_t size = 0;

	t_ok(t, call(t, VC_VHOST_VDPA_GET_CONFIG_SIZE, &size));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		/* {0, 1} stands for the whole space and a byte more, {1, 0} for the last byte and
		 * one */
		c.head.off = i == 2 ? size - 1 : bad[i].off;
		c.head.len = i == 1 ? size + 1 : i == 2 ? 2 : bad[i].len;
		if (c.head.len > sizeof(c.buf) && c.head.len != UINT32_MAX)
			continue;
		expect_errno(t, call(t, VC_VHOST_VDPA_GET_CONFIG, &c), -EINVAL,
			     "GET_CONFIG of %u bytes at %u, of %u in all,", c.head.len, c.head.off,
			     size);
		expect_errno(t, call(t, VC_VHOST_VDPA_SET_CONFIG, &c), -EINVAL,
			     "SET_CONFIG of %u bytes at %u, of %u in all,", c.head.len, c.head.off,
			     size);
	}
	c.head.off = size - 1;
	c.head.len = 1;
	t_ok(t, call(t, VC_VHOST_VDPA_GET_CONFIG, &c));
}

CHECK(vdpa, config_call, .requirements = "VDPA-CFG-008",
      .summary = "SET_CONFIG_CALL takes an eventfd and -1, and refuses what is none",
      .needs = CAP_VDPA_FD)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), bad = 1023, none = -1;

	if (fd < 0)
		t_broken(t, "no eventfd can be made");
	t_ok(t, call(t, VC_VHOST_VDPA_SET_CONFIG_CALL, &fd));
	t_expect(t, call(t, VC_VHOST_VDPA_SET_CONFIG_CALL, &bad) < 0,
		 "SET_CONFIG_CALL with a descriptor that is not open must fail");
	t_ok(t, call(t, VC_VHOST_VDPA_SET_CONFIG_CALL, &fd));
	t_ok(t, call(t, VC_VHOST_VDPA_SET_CONFIG_CALL, &none));
	t_ok(t, call(t, VC_VHOST_VDPA_SET_CONFIG_CALL, &none));
	close(fd);
}

/* ---- Queues
 * ----------------------------------------------------------------------------------------- */

CHECK(vdpa, no_such_queue, .requirements = "VDPA-VQ-004 VDPA-VQ-001",
      .summary = "ioctls on a queue that does not exist fail with ENOBUFS", .needs = CAP_VDPA_FD)
{
	const uint32_t n = queue_count(t), none[] = {n, n + 1, 0xffff, 0x10000, UINT32_MAX};

	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		struct vc_vring_state s = {.index = none[i], .num = 256};
		struct vc_vring_addr a = {.index = none[i]};
		struct vc_vring_file f = {.index = none[i], .fd = -1};

		expect_errno(t, call(t, VC_VHOST_SET_VRING_NUM, &s), -ENOBUFS,
			     "SET_VRING_NUM of queue %u of %u", none[i], n);
		s.num = 0;
		expect_errno(t, call(t, VC_VHOST_SET_VRING_BASE, &s), -ENOBUFS,
			     "SET_VRING_BASE of queue %u of %u", none[i], n);
		expect_errno(t, call(t, VC_VHOST_GET_VRING_BASE, &s), -ENOBUFS,
			     "GET_VRING_BASE of queue %u of %u", none[i], n);
		expect_errno(t, call(t, VC_VHOST_VDPA_SET_VRING_ENABLE, &s), -ENOBUFS,
			     "SET_VRING_ENABLE of queue %u of %u", none[i], n);
		expect_errno(t, call(t, VC_VHOST_SET_VRING_ADDR, &a), -ENOBUFS,
			     "SET_VRING_ADDR of queue %u of %u", none[i], n);
		expect_errno(t, call(t, VC_VHOST_SET_VRING_CALL, &f), -ENOBUFS,
			     "SET_VRING_CALL of queue %u of %u", none[i], n);
		expect_errno(t, call(t, VC_VHOST_SET_VRING_KICK, &f), -ENOBUFS,
			     "SET_VRING_KICK of queue %u of %u", none[i], n);
	}
}

CHECK(vdpa, ring_sizes_refused, .requirements = "VDPA-VQ-005",
      .summary = "SET_VRING_NUM refuses 0, more than 65535, and what is no power of two",
      .needs = CAP_VDPA_FD)
{
	static const uint32_t bad[] = {0, 3, 100, 65535, 65536, 0x80000000};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct vc_vring_state s = {.num = bad[i]};

		expect_errno(t, call(t, VC_VHOST_SET_VRING_NUM, &s), -EINVAL, "SET_VRING_NUM %u",
			     bad[i]);
	}
}

CHECK(vdpa, ring_addresses_refused, .requirements = "VDPA-VQ-006",
      .summary = "misaligned rings and unknown flags are refused", .needs = CAP_VDPA_FD)
{
	static const struct {
		uint64_t avail, used;
		const char *what;
	} bad[] = {
		{0x10001, 0x20000, "an available ring at an odd address"},
		{0x10000, 0x20001, "a used ring at an odd address"},
		{0x10000, 0x20002, "a used ring that is not aligned to 4"},
	};
	struct vc_vring_addr a = {.desc = 0x30000, .avail = 0x10000, .used = 0x20000, .flags = 6};

	expect_errno(t, call(t, VC_VHOST_SET_VRING_ADDR, &a), -EOPNOTSUPP,
		     "SET_VRING_ADDR with unknown flags");
	a.flags = 0;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		a.avail = bad[i].avail;
		a.used = bad[i].used;
		expect_errno(t, call(t, VC_VHOST_SET_VRING_ADDR, &a), -EINVAL, "%s", bad[i].what);
	}
}

CHECK(vdpa, split_base_is_16_bits, .requirements = "VDPA-VQ-009 VDPA-VQ-014",
      .summary = "a split base above 65535 is refused, one below reads back",
      .needs = CAP_VDPA_FD | CAP_VQ_STATE_GET | CAP_VQ_STATE_SET)
{
	struct vc_vring_state s = {.num = 0x10000};

	net_up(t, &(struct net_options){.last = NET_FEATURES_OK});
	expect_errno(t, call(t, VC_VHOST_SET_VRING_BASE, &s), -EINVAL, "a split base of 0x10000");
	s.num = 0xfff0;
	t_ok(t, call(t, VC_VHOST_SET_VRING_BASE, &s));
	s.num = 0;
	t_ok(t, call(t, VC_VHOST_GET_VRING_BASE, &s));
	t_expect_eq(t, s.num, 0xfff0, "a base that was set before DRIVER_OK reads back as");
}

CHECK(vdpa, no_setup_while_running, .requirements = "VDPA-VQ-007 VDPA-VQ-008",
      .summary = "ring addresses and positions can't be set while the device runs; it goes on",
      .needs = CAP_VDPA_FD | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	struct vc_vring_state s = {.index = 1, .num = 77};
	struct vc_vring_addr a = {
		.index = 1,
		.desc = vring_area(net->tx[0], 0)->iova,
		.avail = vring_area(net->tx[0], 1)->iova,
		.used = vring_area(net->tx[0], 2)->iova,
	};

	if (!kernel_at_least(6, 9))
		t_skip(t, SKIP_INTERFACE, "kernels before 6.9 do not refuse it");
	io_run(net, 16, NULL);
	expect_errno(t, call(t, VC_VHOST_SET_VRING_ADDR, &a), -EINVAL,
		     "SET_VRING_ADDR while DRIVER_OK is set");
	expect_errno(t, call(t, VC_VHOST_SET_VRING_BASE, &s), -EINVAL,
		     "SET_VRING_BASE while DRIVER_OK is set");
	io_run(net, 16, NULL);
}

CHECK(vdpa, reading_base_stops_nothing, .requirements = "VDPA-VQ-013",
      .summary = "GET_VRING_BASE only reads: traffic goes on",
      .needs = CAP_VDPA_FD | CAP_VQ_STATE_GET | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);

	for (unsigned int i = 0; i < 4; i++) {
		io_submit(net, 16, NULL);
		for (uint32_t q = 0; q < 2; q++) {
			struct vc_vring_state s = {.index = q};

			t_ok(t, call(t, VC_VHOST_GET_VRING_BASE, &s));
		}
		io_wait(net);
	}
}

CHECK(vdpa, call_can_be_exchanged,
      .requirements = "VDPA-VQ-020 VDPA-VQ-021 VDPA-VQ-019 OPS-GEN-007 OPS-VQ-010",
      .summary = "the call eventfd may be replaced and taken away while the queue runs",
      .needs = CAP_VDPA_FD | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct vc_vring_file f = {.index = vring_queue(net->tx[0]), .fd = fd};
	uint64_t n = 0;
	uint32_t seq = 0;

	if (fd < 0)
		t_broken(t, "no eventfd can be made");
	for (unsigned int i = 0; i < 3; i++) {
		t_step(t, "another eventfd for tx0");
		f.fd = fd;
		t_ok(t, call(t, VC_VHOST_SET_VRING_CALL, &f));
		vring_calls(net->tx[0]);
		hand_send(net, 0, HAND_FLOW, seq, 0);
		hand_wire(net, HAND_FLOW, seq++, 1);
		net_drain(net);
		t_ok(t, parent_settle(net->p));
		t_expect(t, read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n),
			 "a used buffer must signal the eventfd that was set last");
		t_expect(t, !vring_calls(net->tx[0]),
			 "the eventfd that was replaced must not be signalled any more");

		t_step(t, "none at all");
		f.fd = -1;
		t_ok(t, call(t, VC_VHOST_SET_VRING_CALL, &f));
		hand_send(net, 0, HAND_FLOW, seq, 0);
		hand_wire(net, HAND_FLOW, seq++, 1);
		net_drain(net);
		t_ok(t, parent_settle(net->p));
		t_expect(t, read(fd, &n, sizeof(n)) < 0,
			 "an eventfd that was taken away must not be signalled");
	}
	f.fd = vring_call_fd(net->tx[0]);
	t_ok(t, call(t, VC_VHOST_SET_VRING_CALL, &f));
	close(fd);
	io_run(net, 16, NULL);
}

CHECK(vdpa, doorbell_page, .requirements = "VDPA-VQ-024 VDPA-VQ-025 VDPA-VQ-026 OPS-VQ-023",
      .summary = "a doorbell that can be mapped is one shared page, and writing it kicks the queue",
      .needs = CAP_VDPA_FD | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	const int fd = net->p->ops->vdpa_fd(net->p);
	const off_t at = vring_queue(net->tx[0]) * (off_t)DMA_PAGE;
	const struct {
		size_t size;
		int prot, flags;
		const char *what;
	} bad[] = {
		{2 * DMA_PAGE, PROT_WRITE, MAP_SHARED, "of two pages"},
		{DMA_PAGE, PROT_WRITE, MAP_PRIVATE, "that is private"},
		{DMA_PAGE, PROT_READ, MAP_SHARED, "for reading"},
	};
	volatile uint16_t *bell;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		void *p = mmap(NULL, bad[i].size, bad[i].prot, bad[i].flags, fd, at);

		t_expect(t, p == MAP_FAILED && errno == EINVAL,
			 "a map of the doorbell %s must fail with EINVAL, it %s", bad[i].what,
			 p == MAP_FAILED ? strerrorname_np(errno) : "succeeded");
	}
	bell = mmap(NULL, DMA_PAGE, PROT_WRITE, MAP_SHARED, fd, at);
	if (bell == MAP_FAILED)
		t_skip(t, SKIP_INTERFACE, "the parent has no doorbell that can be mapped");
	for (uint32_t i = 0; i < 8; i++) {
		hand_send(net, 0, HAND_FLOW, i, NET_SEND_NO_KICK);
		*bell = htole16((uint16_t)vring_queue(net->tx[0]));
		hand_wire(net, HAND_FLOW, i, 1);
		net_drain(net);
	}
}

CHECK(vdpa, enabled_after_driver_ok, .requirements = "VDPA-BE-008 VDPA-STAT-006",
      .summary = "where it is offered, a queue enabled after DRIVER_OK works",
      .needs = CAP_VDPA_FD | CAP_TRAFFIC)
{
	struct net *net;

	if (!(backend_features(t) & VC_BIT(VC_VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK)))
		t_skip(t, SKIP_FEATURE, "ENABLE_AFTER_DRIVER_OK is not offered");
	net = net_up(t, &(struct net_options){.last = NET_QUEUES});
	net_post(net, 0, UINT32_MAX, false);
	add_status(t, VC_STATUS_DRIVER_OK);
	t_step(t, "DRIVER_OK was set, now enable the queues");
	for (unsigned int q = 0; q < 2; q++) {
		t_ok(t, parent_set_vq_ready(net->p, q, true));
		vring_kick_now(net_ring(net, q));
	}
	for (uint32_t i = 0; i < 8; i++)
		hand_send(net, 0, HAND_FLOW, i, 0);
	hand_wire(net, HAND_FLOW, 0, 8);
	net_drain(net);
}

CHECK(vdpa, groups, .requirements = "VDPA-GRP-001 VDPA-GRP-002 VDPA-GRP-003 VDPA-GRP-005",
      .summary = "groups and address spaces are counted, each queue has one, bad numbers fail",
      .needs = CAP_VDPA_FD)
{
	struct vc_vring_state s = {0};
	uint32_t groups = 0, spaces = 0;
	int err;

	t_ok(t, call(t, VC_VHOST_VDPA_GET_GROUP_NUM, &groups));
	t_ok(t, call(t, VC_VHOST_VDPA_GET_AS_NUM, &spaces));
	t_expect(t, groups >= 1 && spaces >= 1,
		 "there must be a group and an address space at least, there are %u and %u", groups,
		 spaces);
	for (s.index = 0; s.index < queue_count(t); s.index++) {
		err = call(t, VC_VHOST_VDPA_GET_VRING_GROUP, &s);
		if (err == -EOPNOTSUPP)
			break;
		t_ok(t, err);
		t_expect(t, s.num < groups, "queue %u is in group %u, there are %u", s.index, s.num,
			 groups);
	}
	s.index = 0;
	s.num = spaces;
	err = call(t, VC_VHOST_VDPA_SET_GROUP_ASID, &s);
	t_expect(t, err == -EINVAL || err == -EOPNOTSUPP,
		 "address space %u does not exist, so SET_GROUP_ASID must fail, it returned %d",
		 spaces, err);
}

/* ---- Memory
 * ------------------------------------------------------------------------------------------ */

/* message() - an IOTLB message as it is; 0 or a negative errno */
static int message(struct test *t, uint32_t asid, uint8_t type, uint64_t iova, uint64_t size,
		   void *host, uint8_t perm)
{
	struct parent *p = t_parent(t);
	struct vc_vhost_msg_v2 m = {.type = VC_VHOST_IOTLB_MSG_V2, .asid = asid};
	ssize_t n;

	m.iotlb = (struct vc_vhost_iotlb_msg){
		.iova = iova,
		.size = size,
		.uaddr = (uint64_t)(uintptr_t)host,
		.perm = perm,
		.type = type,
	};
	n = write(p->ops->vdpa_fd(p), &m, sizeof(m));
	if (n < 0)
		return -errno;
	t_expect(t, n == (ssize_t)sizeof(m),
		 "an IOTLB message must be taken whole, %zd of %zu were", n, sizeof(m));
	return 0;
}

static int map(struct test *t, uint64_t iova, uint64_t size, void *host)
{
	return message(t, 0, VC_VHOST_IOTLB_UPDATE, iova, size, host, VC_VHOST_ACCESS_RW);
}

static int unmap(struct test *t, uint64_t iova, uint64_t size)
{
	return message(t, 0, VC_VHOST_IOTLB_INVALIDATE, iova, size, NULL, 0);
}

static uint8_t *pages(struct test *t, size_t n)
{
	void *p =
		mmap(NULL, n * DMA_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		t_broken(t, "no memory");
	memset(p, 0, n * DMA_PAGE);
	return p;
}

/* send_from() - transmit a frame that lies at @iova, of which @host is the memory */
static void send_from(struct net *net, uint64_t iova, uint8_t *host, uint32_t seq)
{
	static struct net_frame frame;
	struct vring_used used;
	struct vring_sg sg;

	net_frame_make(net, &frame, HAND_FLOW, seq, 300);
	memset(host, 0, net->hdr_len);
	memcpy(host + net->hdr_len, frame.data, frame.len);
	sg = (struct vring_sg){iova, net->hdr_len + frame.len, false};
	t_ok(net->t, vring_add(net->tx[0], &sg, 1, VRING_NO_INDIRECT, NULL));
	vring_publish(net->tx[0], 0);
	vring_kick(net->tx[0]);
	hand_wire(net, HAND_FLOW, seq, 1);
	t_expect(net->t, vring_wait(net->tx[0], 0) && vring_get(net->tx[0], &used),
		 "a frame at IOVA 0x%llx must be used", (unsigned long long)iova);
}

CHECK(vdpa, maps_refused, .requirements = "VDPA-TLB-004 VDPA-TLB-005 VDPA-TLB-006 VDPA-TLB-014",
      .summary = "maps of no size, that wrap, overlap or leave the range fail; others stay",
      .needs = CAP_VDPA_FD | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	struct vc_vdpa_iova_range range = {0};
	const uint64_t iova = dma_unmapped_iova(net->dma, 4 * DMA_PAGE);
	uint8_t *mem = pages(t, 4);

	t_ok(t, call(t, VC_VHOST_VDPA_GET_IOVA_RANGE, &range));
	t_expect(t, range.last > range.first, "the range of IOVAs must not be empty");
	t_ok(t, map(t, iova, 2 * DMA_PAGE, mem));
	send_from(net, iova, mem, 0);

	t_expect(t, map(t, iova + 8 * DMA_PAGE, 0, mem) < 0, "a map of no size must fail");
	t_expect(t, map(t, iova, DMA_PAGE, mem) < 0, "a map over another must fail");
	t_expect(t, map(t, iova + DMA_PAGE, 2 * DMA_PAGE, mem) < 0,
		 "a map that overlaps another in part must fail");
	t_expect(t, map(t, UINT64_MAX - DMA_PAGE + 1, 2 * DMA_PAGE, mem) < 0,
		 "a map that wraps at the end of all addresses must fail");
	if (range.last != UINT64_MAX)
		t_expect(t, map(t, range.last + 1, DMA_PAGE, mem) < 0,
			 "a map behind the last IOVA 0x%llx must fail",
			 (unsigned long long)range.last);
	t_step(t, "what was mapped before is as it was");
	send_from(net, iova, mem, 1);
	send_from(net, iova + DMA_PAGE, mem + DMA_PAGE, 2);
	t_ok(t, unmap(t, iova, 2 * DMA_PAGE));
	io_run(net, 8, NULL);
}

CHECK(vdpa, messages_refused, .requirements = "VDPA-TLB-007 VDPA-TLB-012 VDPA-TLB-013",
      .summary = "IOTLB messages of unknown type, too short or for no address space fail",
      .needs = CAP_VDPA_FD)
{
	struct parent *p = t_parent(t);
	struct vc_vhost_msg_v2 m = {.type = VC_VHOST_IOTLB_MSG_V2};
	uint8_t *mem = pages(t, 1);
	uint32_t spaces = 0;
	ssize_t n;

	m.iotlb = (struct vc_vhost_iotlb_msg){
		.iova = 0x7000000,
		.size = DMA_PAGE,
		.uaddr = (uint64_t)(uintptr_t)mem,
		.perm = VC_VHOST_ACCESS_RW,
		.type = VC_VHOST_IOTLB_UPDATE,
	};
	t_expect(t, unmap(t, 0x7000000, DMA_PAGE) < 0,
		 "an INVALIDATE in an address space that nothing was ever mapped in must fail");
	n = write(p->ops->vdpa_fd(p), &m, 6);
	t_expect(t, n < 0, "a message of 6 bytes must fail, %zd were taken", n);
	m.type = 77;
	n = write(p->ops->vdpa_fd(p), &m, sizeof(m));
	t_expect(t, n < 0, "a message of an unknown kind must fail, %zd bytes were taken", n);
	t_expect(t, message(t, 0, 77, 0x7000000, DMA_PAGE, mem, VC_VHOST_ACCESS_RW) < 0,
		 "an IOTLB message of an unknown type must fail");
	t_expect(t, unmap(t, 0x7000000, 0) < 0, "an INVALIDATE of no size must fail");
	t_ok(t, call(t, VC_VHOST_VDPA_GET_AS_NUM, &spaces));
	t_expect(t,
		 message(t, spaces, VC_VHOST_IOTLB_UPDATE, 0x7000000, DMA_PAGE, mem,
			 VC_VHOST_ACCESS_RW) < 0,
		 "there are %u address spaces, a map in number %u must fail", spaces, spaces);
}

CHECK(vdpa, asid_needs_acknowledgement, .requirements = "VDPA-BE-013",
      .summary = "without IOTLB_ASID acknowledged the address space of a message does not count",
      .needs = CAP_VDPA_FD | CAP_TRAFFIC)
{
	uint64_t all = backend_features(t), few = VC_BIT(VC_VHOST_BACKEND_F_IOTLB_MSG_V2);
	struct net *net = net_up(t, NULL);
	const uint64_t iova = dma_unmapped_iova(net->dma, DMA_PAGE);
	uint8_t *mem = pages(t, 1);

	t_ok(t, call(t, VC_VHOST_SET_BACKEND_FEATURES, &few));
	t_ok(t, message(t, 12345, VC_VHOST_IOTLB_UPDATE, iova, DMA_PAGE, mem, VC_VHOST_ACCESS_RW));
	send_from(net, iova, mem, 0);
	t_ok(t, message(t, 54321, VC_VHOST_IOTLB_INVALIDATE, iova, DMA_PAGE, NULL, 0));
	t_ok(t, call(t, VC_VHOST_SET_BACKEND_FEATURES, &all));
	io_run(net, 8, NULL);
}

CHECK(vdpa, locked_memory_limit, .requirements = "VDPA-TLB-015",
      .summary = "a map beyond the limit of locked memory fails and leaves nothing behind",
      .needs = CAP_VDPA_FD | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	const uint64_t iova = dma_unmapped_iova(net->dma, 4096 * DMA_PAGE);
	uint8_t *mem = pages(t, 4096);
	struct rlimit was, tight;

	if (getrlimit(RLIMIT_MEMLOCK, &was))
		t_broken(t, "the limit of locked memory can't be read");
	/* more than the arena has by now, less than is asked for */
	tight = (struct rlimit){.rlim_cur = 12 << 20, .rlim_max = was.rlim_max};
	if (setrlimit(RLIMIT_MEMLOCK, &tight))
		t_broken(t, "the limit of locked memory can't be set");
	if (!map(t, iova, 4096 * (uint64_t)DMA_PAGE, mem)) {
		unmap(t, iova, 4096 * (uint64_t)DMA_PAGE);
		t_skip(t, SKIP_INTERFACE, "this parent does not pin memory");
	}
	t_step(t, "a map of 16 MiB failed; now each of its ends, a page");
	t_ok(t, map(t, iova, DMA_PAGE, mem));
	t_ok(t, map(t, iova + 4095 * (uint64_t)DMA_PAGE, DMA_PAGE, mem + DMA_PAGE));
	send_from(net, iova, mem, 0);
	send_from(net, iova + 4095 * (uint64_t)DMA_PAGE, mem + DMA_PAGE, 1);
	setrlimit(RLIMIT_MEMLOCK, &was);
	t_ok(t, unmap(t, iova, 4096 * (uint64_t)DMA_PAGE));
	io_run(net, 8, NULL);
}

CHECK(vdpa, close_resets, .requirements = "VDPA-OWN-005 VDPA-OWN-006 VDPA-TLB-016",
      .summary = "closing the device resets it and takes all maps away; opened again it works",
      .needs = CAP_VDPA_FD | CAP_TRAFFIC)
{
	struct parent *p = t_parent(t);
	const char *path = strchr(p->info.address, ':');
	const int fd = p->ops->vdpa_fd(p);
	struct dma_options fixed = {.layout = DMA_LINEAR};
	uint64_t backend = backend_features(t);
	struct dma_snapshot *snap;
	struct net *net;
	int again;

	net = net_up(t, &(struct net_options){.dma = &fixed});
	io_run(net, 16, NULL);
	for (uint32_t i = 0; i < 16; i++)
		hand_send(net, 0, HAND_FLOW, i, 0);
	t_step(t, "close it in the middle of traffic, open it again");
	close(fd);
	snap = dma_snapshot(net->dma, NULL);
	again = open(path ? path + 1 : "", O_RDWR | O_CLOEXEC);
	t_expect(t, again >= 0, "a device that was closed must open again, it fails with %s",
		 strerrorname_np(errno));
	/* under the number that the parent knows */
	if (again != fd && (dup2(again, fd) < 0 || close(again)))
		t_broken(t, "a descriptor can't be moved");
	t_ok(t, call(t, VC_VHOST_SET_OWNER, NULL));
	t_expect_eq(t, get_status(t), 0, "status of a device that was just opened");
	t_ok(t, call(t, VC_VHOST_SET_BACKEND_FEATURES, &backend));
	t_expect(t, !dma_changed(snap, NULL, 0),
		 "after the device was closed no memory may be written, some was");
	dma_snapshot_free(snap);
	t_step(t, "the same IOVAs can be mapped again");
	net = net_up(t, &(struct net_options){.dma = &fixed});
	io_run(net, 16, NULL);
}

CHECK(vdpa, invalidate_takes_range, .requirements = "VDPA-TLB-017 VDPA-TLB-003 VDPA-TLB-018",
      .summary = "one INVALIDATE takes all of its range away, over several maps and parts of them",
      .needs = CAP_VDPA_FD | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	const uint64_t iova = dma_unmapped_iova(net->dma, 4 * DMA_PAGE);
	uint8_t *first = pages(t, 4), *second = pages(t, 4);

	t_ok(t, map(t, iova, 2 * DMA_PAGE, first));
	t_ok(t, map(t, iova + 2 * DMA_PAGE, 2 * DMA_PAGE, first + 2 * DMA_PAGE));
	for (uint32_t i = 0; i < 4; i++)
		send_from(net, iova + i * DMA_PAGE, first + i * DMA_PAGE, i);
	t_step(t, "invalidate the end of one map and the beginning of the other");
	t_ok(t, unmap(t, iova + DMA_PAGE, 2 * DMA_PAGE));
	t_step(t, "other memory in their place");
	for (uint64_t i = 1; i < 3; i++) {
		t_ok(t, map(t, iova + i * DMA_PAGE, DMA_PAGE, second + i * DMA_PAGE));
		memset(first + i * DMA_PAGE, 0xee, DMA_PAGE);
		send_from(net, iova + i * DMA_PAGE, second + i * DMA_PAGE, 3 + (uint32_t)i);
	}
	t_ok(t, unmap(t, iova, 4 * DMA_PAGE));
	t_step(t, "and all of it is free again");
	t_ok(t, map(t, iova, 4 * DMA_PAGE, second));
	send_from(net, iova + 3 * DMA_PAGE, second + 3 * DMA_PAGE, 6);
	t_ok(t, unmap(t, iova, 4 * DMA_PAGE));
	io_run(net, 8, NULL);
}

CHECK(vdpa, batch, .requirements = "VDPA-TLB-008 VDPA-TLB-010 VDPA-TLB-009",
      .summary = "the maps of a batch are all in effect after its end",
      .needs = CAP_VDPA_FD | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	const uint64_t iova = dma_unmapped_iova(net->dma, 8 * DMA_PAGE);
	uint8_t *mem = pages(t, 8);

	for (uint32_t round = 0; round < 2; round++) {
		t_ok(t, message(t, 0, VC_VHOST_IOTLB_BATCH_BEGIN, 0, 0, NULL, 0));
		if (round)
			t_ok(t, unmap(t, iova, 8 * DMA_PAGE));
		for (uint64_t i = 0; i < 8; i++)
			t_ok(t, map(t, iova + (round ? 7 - i : i) * DMA_PAGE, DMA_PAGE,
				    mem + i * DMA_PAGE));
		t_ok(t, message(t, 0, VC_VHOST_IOTLB_BATCH_END, 0, 0, NULL, 0));
		t_step(t, "frames through all maps of batch %u", round);
		for (uint32_t i = 0; i < 8; i++)
			send_from(net, iova + (round ? 7 - i : i) * DMA_PAGE, mem + i * DMA_PAGE,
				  8 * round + i);
	}
	t_ok(t, unmap(t, iova, 8 * DMA_PAGE));
	io_run(net, 8, NULL);
}

CHECK(vdpa, range_is_mappable, .requirements = "VDPA-TLB-014 OPS-DMA-008",
      .summary = "the first and the last page of the range of IOVAs can be mapped and used",
      .needs = CAP_VDPA_FD | CAP_TRAFFIC)
{
	struct net *net = net_up(t, NULL);
	struct vc_vdpa_iova_range range = {0};
	uint8_t *mem = pages(t, 2);
	uint64_t last;

	t_ok(t, call(t, VC_VHOST_VDPA_GET_IOVA_RANGE, &range));
	last = (range.last & ~(uint64_t)(DMA_PAGE - 1));
	t_step(t, "IOVAs 0x%llx to 0x%llx", (unsigned long long)range.first,
	       (unsigned long long)range.last);
	t_ok(t, map(t, range.first, DMA_PAGE, mem));
	send_from(net, range.first, mem, 0);
	t_ok(t, unmap(t, range.first, DMA_PAGE));
	t_ok(t, map(t, last, DMA_PAGE, mem + DMA_PAGE));
	send_from(net, last, mem + DMA_PAGE, 1);
	t_ok(t, unmap(t, last, DMA_PAGE));
	io_run(net, 8, NULL);
}
