/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of a virtio device among themselves
 *
 * How it works. virtio_dev.c has status, features, reset; vq.c the queues as the driver sets them
 * up; net.c the network device type behind struct vdev_class: configuration space, control
 * commands, filters, steering.
 */
#ifndef VN_DEVICE_INTERNAL_H
#define VN_DEVICE_INTERNAL_H

#include "../datapath/net.h"
#include "../fabric/dirty_log.h"
#include "../profile.h"
#include "device.h"

struct vq {
	struct virtio_dev *dev;
	struct dp_queue dp;
	struct vq_pos pos;
	uint16_t size;
	uint64_t addr[3];
	bool enabled;	   /* as the driver reads it */
	bool stopping;	   /* disabled, not yet stopped */
	bool resetting;	   /* VIRTIO_F_RING_RESET */
	bool kicked_early; /* seeded defects' memories */
	uint16_t kept_size;
	bool latched;
	uint64_t latched_addr[3];
};

#define FLOWS 1024u

struct net {
	struct net_io io;
	struct vn_net_config config;
	unsigned int pairs, pairs_max, pairs_register;
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	bool uni_overflow, multi_overflow;
	unsigned int macs_uni, macs_multi;
	uint8_t mac_uni[PROFILE_MAC_TABLE_MAX][6], mac_multi[PROFILE_MAC_TABLE_MAX][6];
	bool vlan_filter;
	bool control_moved; /* without multiqueue: it is queue 2 */
	bool deaf, lives;   /* seeded defects' memories */
	uint8_t residue;
	uint64_t vlans[64];
	uint8_t flow[FLOWS]; /* receive pair + 1 of a flow hash */
};

struct virtio_dev {
	struct vdev_env env;
	const struct vdev_up *up;
	void *up_ctx;
	uint8_t status;
	bool resetting; /* status 0 was written, accesses still end */
	uint64_t features, driver_features;
	uint64_t first_agreed; /* seeded defects' memories */
	bool refused;
	uint8_t generation;
	bool live;
	unsigned int nvqs;
	struct vq *vqs;
	struct dirty_log log;
	struct vqnic_counters *counters;
	struct net net;
};

static inline bool vdev_has(const struct virtio_dev *dev, unsigned int bit)
{
	if (defect_on(dev->env.defects, DEFECT_FEATURES_LATCHED) && dev->first_agreed)
		return dev->first_agreed & VN_BIT(bit);
	return dev->driver_features & VN_BIT(bit);
}

/* vq.c */
int vq_init(struct vq *vq, struct virtio_dev *dev, unsigned int index);
void vq_fini(struct vq *vq);
void vq_defaults(struct vq *vq);
void vq_start_if_ready(struct vq *vq);
void vq_stopped(struct vq *vq);

/* net.c */
int net_init(struct virtio_dev *dev);
void net_fini(struct virtio_dev *dev);
void net_reset(struct virtio_dev *dev);
/** net_negotiated() - FEATURES_OK: set up what depends on features; false refuses them */
bool net_negotiated(struct virtio_dev *dev);
void net_link(struct virtio_dev *dev, bool up);
unsigned int net_rx_room(const struct virtio_dev *dev);
int net_announce(struct virtio_dev *dev);
uint32_t net_config_size(const struct virtio_dev *dev);
void net_config_read(const struct virtio_dev *dev, uint32_t off, void *buf, uint32_t len);
void net_config_write(struct virtio_dev *dev, uint32_t off, const void *buf, uint32_t len);

/* virtio_dev.c */
/** vdev_config_touched() - the driver itself changed the configuration: a new generation */
void vdev_config_touched(struct virtio_dev *dev);
/** vdev_config_changed() - as touched, by the device: the driver is told */
void vdev_config_changed(struct virtio_dev *dev);
void vdev_needs_reset(struct virtio_dev *dev);
void vdev_queue_stopped(struct virtio_dev *dev);

#endif
