/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "probe.h"
#include "text.h"

static const struct {
	const char *name, *missing;
} caps[] = {
	[0] = {"generation", "the configuration generation can't be read"},
	[1] = {"vq-state-get", "a queue's position can't be read"},
	[2] = {"vq-state-set", "a queue's position can't be set"},
	[3] = {"vq-stop", "a queue can't be stopped without a reset"},
	[4] = {"suspend", "the device can't be suspended"},
	[5] = {"resume", "the device can't be resumed"},
	[6] = {"dirty-log", "there is no dirty log"},
	[7] = {"pci", "PCI registers are out of reach"},
	[8] = {"vq-reset", "a single queue can't be reset"},
	[9] = {"notify-area", "there is no notification area to ask for"},
	[10] = {"config-call", "there is no configuration interrupt"},
	[11] = {"groups", "groups and address spaces can't be asked about"},
	[12] = {"vdpa-fd", "it is no /dev/vhost-vdpa device"},
	[13] = {"exact-settle", "the parent does not run in this process"},
	[14] = {"virtio-pci", "it has no virtio-pci registers"},
	[15] = {"ifcvf", "it has no IFCVF registers"},
	[16] = {"queue-vector", "vectors can't be chosen"},
	[17] = {"set-config", "the configuration space can't be written"},
	[18] = {"driver-features", "driver features can't be read back"},
	[19] = {"vq-ready-get", "a queue's ready state can't be read"},
	[20] = {"peer", "there is no traffic peer on the wire (see --peer)"},
	[21] = {"link-control", "the link can't be pulled"},
	[22] = {"traffic", "no frame comes back or reaches a peer (see --peer)"},
	[23] = {"announce", "the device can't be made to ask for an announcement"},
};

static const struct {
	unsigned int bit;
	const char *name;
} features[] = {
	{0, "VIRTIO_NET_F_CSUM"},
	{1, "VIRTIO_NET_F_GUEST_CSUM"},
	{2, "VIRTIO_NET_F_CTRL_GUEST_OFFLOADS"},
	{3, "VIRTIO_NET_F_MTU"},
	{5, "VIRTIO_NET_F_MAC"},
	{7, "VIRTIO_NET_F_GUEST_TSO4"},
	{8, "VIRTIO_NET_F_GUEST_TSO6"},
	{9, "VIRTIO_NET_F_GUEST_ECN"},
	{10, "VIRTIO_NET_F_GUEST_UFO"},
	{11, "VIRTIO_NET_F_HOST_TSO4"},
	{12, "VIRTIO_NET_F_HOST_TSO6"},
	{13, "VIRTIO_NET_F_HOST_ECN"},
	{14, "VIRTIO_NET_F_HOST_UFO"},
	{15, "VIRTIO_NET_F_MRG_RXBUF"},
	{16, "VIRTIO_NET_F_STATUS"},
	{17, "VIRTIO_NET_F_CTRL_VQ"},
	{18, "VIRTIO_NET_F_CTRL_RX"},
	{19, "VIRTIO_NET_F_CTRL_VLAN"},
	{20, "VIRTIO_NET_F_CTRL_RX_EXTRA"},
	{21, "VIRTIO_NET_F_GUEST_ANNOUNCE"},
	{22, "VIRTIO_NET_F_MQ"},
	{23, "VIRTIO_NET_F_CTRL_MAC_ADDR"},
	{24, "VIRTIO_F_NOTIFY_ON_EMPTY"},
	{26, "VHOST_F_LOG_ALL"},
	{27, "VIRTIO_F_ANY_LAYOUT"},
	{28, "VIRTIO_F_INDIRECT_DESC"},
	{29, "VIRTIO_F_EVENT_IDX"},
	{32, "VIRTIO_F_VERSION_1"},
	{33, "VIRTIO_F_ACCESS_PLATFORM"},
	{34, "VIRTIO_F_RING_PACKED"},
	{35, "VIRTIO_F_IN_ORDER"},
	{36, "VIRTIO_F_ORDER_PLATFORM"},
	{37, "VIRTIO_F_SR_IOV"},
	{38, "VIRTIO_F_NOTIFICATION_DATA"},
	{39, "VIRTIO_F_NOTIF_CONFIG_DATA"},
	{40, "VIRTIO_F_RING_RESET"},
	{41, "VIRTIO_F_ADMIN_VQ"},
	{52, "VIRTIO_NET_F_VQ_NOTF_COAL"},
	{53, "VIRTIO_NET_F_NOTF_COAL"},
	{54, "VIRTIO_NET_F_GUEST_USO4"},
	{55, "VIRTIO_NET_F_GUEST_USO6"},
	{56, "VIRTIO_NET_F_HOST_USO"},
	{57, "VIRTIO_NET_F_HASH_REPORT"},
	{59, "VIRTIO_NET_F_GUEST_HDRLEN"},
	{60, "VIRTIO_NET_F_RSS"},
	{61, "VIRTIO_NET_F_RSC_EXT"},
	{62, "VIRTIO_NET_F_STANDBY"},
	{63, "VIRTIO_NET_F_SPEED_DUPLEX"},
};

bool probe_simulated(const struct probe *probe)
{
	return !strcmp(probe->info.kind, "sim");
}

const char *cap_name(unsigned int bit)
{
	return bit < sizeof(caps) / sizeof(caps[0]) ? caps[bit].name : NULL;
}

const char *feature_name(unsigned int bit, char buf[16])
{
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (features[i].bit == bit)
			return features[i].name;
	snprintf(buf, 16, "bit %u", bit);
	return buf;
}

char *check_inapplicable(const struct check *check, const struct probe *probe, bool destructive,
			 enum skip_kind *kind)
{
	uint32_t missing = check->needs & ~probe->caps;
	uint64_t absent = check->features & ~probe->features;
	char buf[16];

	if (missing) {
		unsigned int bit = (unsigned int)__builtin_ctz(missing);

		*kind = (1u << bit) & (CAP_PEER | CAP_TRAFFIC | CAP_LINK_CONTROL) ? SKIP_PEER
										  : SKIP_INTERFACE;
		return xstrdup(cap_name(bit) ? caps[bit].missing : "an operation it lacks");
	}
	if (absent) {
		*kind = SKIP_FEATURE;
		return xformat("%s is not offered",
			       feature_name((unsigned int)__builtin_ctzll(absent), buf));
	}
	if (check->flags & CHECK_DESTRUCTIVE && !destructive && !probe_simulated(probe)) {
		*kind = SKIP_DESTRUCTIVE;
		return xstrdup("it may leave a real device unusable; opt in with --destructive");
	}
	return NULL;
}
