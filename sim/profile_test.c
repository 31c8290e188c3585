/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "profile.h"
#include "spec.h"

#define GOOD                                                                        \
	"[nic]\npersonality = virtio-pci\nvendor_id = 0x1af4\ndevice_id = 0x1041\n" \
	"subsystem_vendor_id = 0x1af4\nsubsystem_id = 4352\n"                       \
	"[virtio]\nmac = 02:00:00:00:00:01\n"

static char dir[] = "/tmp/profile_test.XXXXXX";
static char file[64];

static void write_file(const char *text, size_t len)
{
	FILE *f = fopen(file, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static int load(const char *text, const char *const *overrides, struct profile *p,
		struct vqnic_error *err)
{
	write_file(text, strlen(text));
	err->text[0] = '\0';
	return profile_load(file, overrides, p, err);
}

/* Refused by a sentence that has @want, and ends with @file:@line in front unless @line is 0. */
static void refused(const char *text, unsigned int line, const char *want)
{
	struct vqnic_error err;
	struct profile p;
	char where[100];

	assert_int_equal(load(text, NULL, &p, &err), -EINVAL);
	if (line)
		snprintf(where, sizeof(where), "%s:%u: ", file, line);
	else
		snprintf(where, sizeof(where), "%s: ", file);
	if (strncmp(err.text, where, strlen(where)) || !strstr(err.text, want))
		fail_msg("'%s' should start with '%s' and have '%s'", err.text, where, want);
	assert_null(strchr(err.text, '\n'));
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/p.ini", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

static void smallest(void **state)
{
	struct vqnic_error err;
	struct profile p;

	(void)state;
	assert_int_equal(load(GOOD "features = version_1\n", NULL, &p, &err), 0);
	assert_string_equal(p.name, "p");
	assert_int_equal(p.personality, PERSONALITY_VIRTIO_PCI);
	assert_int_equal(p.vendor_id, 0x1af4);
	assert_int_equal(p.subsystem_id, 0x1100);
	assert_int_equal(p.revision, 1);
	assert_true(p.features == VN_BIT(VN_F_VERSION_1));
	assert_int_equal(p.queue_pairs, 1);
	assert_int_equal(p.window, 64);
	assert_memory_equal(p.mac, "\x02\0\0\0\0\x01", 6);
}

static void all_keys(void **state)
{
	static const char text[] =
		"# a comment\n; another\n[nic]\npersonality = ifcvf\nvendor_id = 1\ndevice_id=0x2\n"
		"subsystem_vendor_id = 3\nsubsystem_id = 65535 ; one behind a value\nrevision = 255\n\n"
		"[virtio]\nfeatures = version_1, ctrl_vq\n\tmq event_idx\n\n\tspeed_duplex\n"
		"queue_pairs = 32\nqueue_size = 32768\nwindow = 256\nrx_fifo = 7\nmac_table = 1\n"
		"mac = fe:DC:ba:98:76:54\nmtu = 9000\nspeed_mbps = 400000\nvectors = 2048\n"
		"[ifcvf]\nlm_layout = dpdk\n[pci]\nnotify_multiplier = 0\nnotify_mmap = true\n"
		"[fabric]\nfabric = delayed\nmax_delay_ps = 1000000000000\nmax_dma_maps = 9\n"
		"[live]\npoll_us = 0\n";
	struct vqnic_error err;
	struct profile p;

	(void)state;
	assert_int_equal(load(text, NULL, &p, &err), 0);
	assert_int_equal(p.personality, PERSONALITY_IFCVF);
	assert_int_equal(p.device_id, 2);
	assert_int_equal(p.subsystem_vendor_id, 3);
	assert_int_equal(p.subsystem_id, 65535);
	assert_int_equal(p.revision, 255);
	assert_true(p.features ==
		    (VN_BIT(VN_F_VERSION_1) | VN_BIT(VN_NET_F_CTRL_VQ) | VN_BIT(VN_NET_F_MQ) |
		     VN_BIT(VN_F_EVENT_IDX) | VN_BIT(VN_NET_F_SPEED_DUPLEX)));
	assert_int_equal(p.queue_pairs, 32);
	assert_int_equal(p.queue_size, 32768);
	assert_int_equal(p.window, 256);
	assert_int_equal(p.rx_fifo, 7);
	assert_int_equal(p.mac_table, 1);
	assert_memory_equal(p.mac, "\xfe\xdc\xba\x98\x76\x54", 6);
	assert_int_equal(p.mtu, 9000);
	assert_int_equal(p.speed_mbps, 400000);
	assert_int_equal(p.vectors, 2048);
	assert_int_equal(p.lm_layout, LM_LAYOUT_DPDK);
	assert_int_equal(p.notify_multiplier, 0);
	assert_true(p.notify_mmap);
	assert_int_equal(p.fabric, FABRIC_DELAYED);
	assert_true(p.max_delay_ps == 1000000000000);
	assert_int_equal(p.max_dma_maps, 9);
	assert_int_equal(p.poll_us, 0);
}

/* GOOD has 8 lines. */
static void bad_lines(void **state)
{
	char line[8300];

	(void)state;
	refused(GOOD "nonsense = 1\n", 9, "'nonsense'");
	refused(GOOD "\n[nothing]\nwindow = 3\n", 10, "[nothing]");
	refused(GOOD "[empty]\n", 9, "[empty]");
	refused("window = 3\n" GOOD, 1, "before any [section]");
	refused(GOOD "this is no assignment\n", 9, "key = value");
	refused(GOOD "[virtio\n", 9, "[section]");
	refused(GOOD "window = 3\nmtu = 1500\nwindow = 4\n", 11, "twice");
	refused(GOOD "window = 3\n 4\n", 10, "twice");
	refused(GOOD "features = version_1\nfeatures = mac\n", 10, "twice");
	refused(GOOD "window =\n", 9, "no value");
	refused(GOOD "[pci]\nwindow = 3\n", 10, "'window' in [pci]");
	memset(line, '#', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	refused(line, 1, "190 characters");
	memset(line, '\n', sizeof(line) - 1);
	refused(line, 4097, "4096 lines");
}

static void bad_values(void **state)
{
	(void)state;
	refused(GOOD "window = 0\n", 9, "window = 0: must be from 1 to 256");
	refused(GOOD "window = 257\n", 9, "must be from 1 to 256");
	refused(GOOD "window = -1\n", 9, "not a number");
	refused(GOOD "window = 1x\n", 9, "not a number");
	refused(GOOD "window = 99999999999999999999999\n", 9, "must be from 1 to 256");
	refused(GOOD "queue_size = 1000\n", 9, "power of two from 2 to 32768");
	refused(GOOD "queue_size = 65536\n", 9, "power of two");
	refused(GOOD "queue_size = 0\n", 9, "power of two");
	refused(GOOD "[pci]\nnotify_multiplier = 3\n", 10, "0 or a power of two");
	refused(GOOD "[pci]\nnotify_mmap = maybe\n", 10, "true or false");
	refused(GOOD "[fabric]\nfabric = pcie\n", 10, "one of direct, delayed");
	refused("[nic]\npersonality = e1000\n", 2, "one of virtio-pci, ifcvf");
	refused("[nic]\nvendor_id = 0x10000\n", 2, "from 0 to 65535");
	refused("[virtio]\nmac = 02:00:00:00:00\n", 2, "must look like");
	refused("[virtio]\nmac = 02:00:00:00:00:01:02\n", 2, "must look like");
	refused("[virtio]\nmac = 02-00-00-00-00-01\n", 2, "must look like");
	refused("[virtio]\nmac = 2:0:0:0:0:1\n", 2, "must look like");
	refused("[virtio]\nmac = 0\n", 2, "must look like");
	refused("[virtio]\nmac = 01:00:00:00:00:01\n", 2, "multicast");
	refused("[virtio]\nmac = 00:00:00:00:00:00\n", 2, "zero");
	refused(GOOD "features = version_1 rss\n", 9, "'rss'");
	refused(GOOD "features = version_1\n\tteleport\n", 10, "'teleport'");
}

static void whole(void **state)
{
	static const struct {
		const char *features, *want;
	} deps[] = {
		{"mac", "version_1 is missing"},
		{"version_1 mq", "mq needs ctrl_vq"},
		{"version_1 ctrl_rx", "ctrl_rx needs ctrl_vq"},
		{"version_1 ctrl_vlan", "ctrl_vlan needs ctrl_vq"},
		{"version_1 ctrl_mac_addr", "ctrl_mac_addr needs ctrl_vq"},
		{"version_1 guest_announce", "guest_announce needs ctrl_vq"},
		{"version_1 host_tso4", "host_tso4 needs csum"},
		{"version_1 host_tso6", "host_tso6 needs csum"},
		{"version_1 host_uso", "host_uso needs csum"},
		{"version_1 csum host_ecn", "host_ecn needs host_tso4"},
		{"version_1 guest_tso4", "guest_tso4 needs guest_csum"},
		{"version_1 guest_tso6", "guest_tso6 needs guest_csum"},
		{"version_1 guest_uso4", "guest_uso4 needs guest_csum"},
		{"version_1 guest_uso6", "guest_uso6 needs guest_csum"},
		{"version_1 guest_csum guest_ecn", "guest_ecn needs guest_tso4"},
	};
	struct vqnic_error err;
	struct profile p;
	char text[400];

	(void)state;
	for (size_t i = 0; i < sizeof(deps) / sizeof(deps[0]); i++) {
		snprintf(text, sizeof(text), GOOD "features = %s\n", deps[i].features);
		refused(text, 0, deps[i].want);
	}
	assert_int_equal(
		load(GOOD "features = version_1 csum host_tso6 host_ecn\n", NULL, &p, &err), 0);
	refused(GOOD "features = version_1\nqueue_pairs = 2\n", 0, "needs the feature mq");
	refused(GOOD "features = version_1 notification_data\n[pci]\nnotify_multiplier = 2\n", 0,
		"notify_multiplier");
	refused(GOOD, 0, "[virtio] features is missing");
	refused("", 0, "[nic] personality is missing");
}

static void overrides(void **state)
{
	const char *good[] = {"window=1", "fabric.fabric=delayed", "features=-mac +event_idx",
			      "virtio.mtu=9000", NULL};
	const char *replaced[] = {"features=version_1 status", NULL};
	static const struct {
		const char *text, *want;
	} bad[] = {
		{"window", "must look like"},
		{"=1", "must look like"},
		{"", "must look like"},
		{"windows=1", "'windows'"},
		{"pci.window=1", "'pci.window'"},
		{"window=0", "from 1 to 256"},
		{"window=", "not a number"},
		{"features=+mq", "mq needs ctrl_vq"},
		{"features=-version_1", "version_1 is missing"},
	};
	struct vqnic_error err;
	struct profile p;

	(void)state;
	assert_int_equal(load(GOOD "features = version_1 mac\nwindow = 9\n", good, &p, &err), 0);
	assert_int_equal(p.window, 1);
	assert_int_equal(p.fabric, FABRIC_DELAYED);
	assert_int_equal(p.mtu, 9000);
	assert_true(p.features == (VN_BIT(VN_F_VERSION_1) | VN_BIT(VN_F_EVENT_IDX)));
	assert_int_equal(load(GOOD "features = version_1 mac\n", replaced, &p, &err), 0);
	assert_true(p.features == (VN_BIT(VN_F_VERSION_1) | VN_BIT(VN_NET_F_STATUS)));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *one[] = {bad[i].text, NULL};

		assert_int_equal(load(GOOD "features = version_1\n", one, &p, &err), -EINVAL);
		assert_non_null(strstr(err.text, bad[i].want));
	}
}

static void finding(void **state)
{
	struct vqnic_error err;
	struct profile p;
	char path[256], dirs[100], tiny[4];

	(void)state;
	write_file(GOOD "features = version_1\n", strlen(GOOD "features = version_1\n"));
	assert_int_equal(unsetenv("VQNIC_PROFILES"), 0);
	assert_int_equal(profile_load("p", NULL, &p, &err), -ENOENT);
	assert_non_null(strstr(err.text, "'p'"));
	snprintf(dirs, sizeof(dirs), "/nowhere::%s:", dir);
	assert_int_equal(setenv("VQNIC_PROFILES", dirs, 1), 0);
	assert_int_equal(profile_load("p", NULL, &p, &err), 0);
	assert_string_equal(p.name, "p");
	assert_int_equal(vqnic_profile_path("p", path, sizeof(path)), 0);
	assert_string_equal(path, file);
	assert_int_equal(vqnic_profile_path("p", tiny, sizeof(tiny)), -ENAMETOOLONG);
	assert_int_equal(unsetenv("VQNIC_PROFILES"), 0);
	assert_int_equal(profile_load("./no/such.ini", NULL, &p, &err), -ENOENT);
	assert_int_equal(profile_load("", NULL, &p, &err), -ENOENT);
	assert_int_equal(profile_load(dir, NULL, &p, &err), -EINVAL);
	assert_non_null(strstr(err.text, "directory"));
	assert_int_equal(profile_load("/dev/zero", NULL, &p, &err), -EINVAL);
	assert_int_equal(profile_load("/dev/null", NULL, &p, NULL), -EINVAL);
}

/* Any byte at any place of a file: refused or read, but never a crash. */
static void mutations(void **state)
{
	static const char text[] = GOOD "features = version_1 mac\n\tevent_idx\nwindow = 7\n";
	char copy[sizeof(text)];
	struct vqnic_error err;
	struct profile p;

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		static const char bytes[] = "\0\n\t[]=;#:\xff";

		for (size_t j = 0; j < sizeof(bytes) - 1; j++) {
			int ret;

			memcpy(copy, text, sizeof(text));
			copy[i] = bytes[j];
			write_file(copy, sizeof(copy) - 1);
			err.text[0] = '\0';
			ret = profile_load(file, NULL, &p, &err);
			assert_true(!ret || (ret == -EINVAL && err.text[0]));
		}
	}
}

/* What the repository ships holds what its drivers need. */
static void shipped(void **state)
{
	static const char *const names[] = {"ifcvf", "ifcvf-dpdk", "virtio-net"};
	struct vqnic_error err;
	struct profile p;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (profile_load(names[i], NULL, &p, &err))
			fail_msg("%s", err.text);
		assert_string_equal(p.name, names[i]);
		assert_int_equal(p.vendor_id, 0x1af4);
		assert_int_equal(p.device_id, 0x1041);
		assert_true(p.queue_size <= 1024);
		if (p.personality == PERSONALITY_IFCVF) {
			unsigned int queues = 2 * p.queue_pairs + 1;

			assert_true(p.features & VN_BIT(VN_NET_F_CTRL_VQ));
			assert_true(p.features & VN_BIT(VN_F_ACCESS_PLATFORM));
			assert_false(p.features & VN_BIT(VN_F_RING_PACKED));
			assert_in_range(queues, 3, 17);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smallest),  cmocka_unit_test(all_keys),
		cmocka_unit_test(bad_lines), cmocka_unit_test(bad_values),
		cmocka_unit_test(whole),     cmocka_unit_test(overrides),
		cmocka_unit_test(finding),   cmocka_unit_test(mutations),
		cmocka_unit_test(shipped),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
