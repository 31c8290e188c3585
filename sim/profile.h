/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Profiles: one NIC each, an INI file in which every number has its source
 *
 * How it works. libinih reads the file; a table (profile.c) says for each "section.key" its type,
 * range and place in struct profile. Unknown keys and values out of range are refused with file,
 * line and key. Overrides ("key=value", the section may be left out where the key is unique) pass
 * through the same table.
 */
#ifndef VN_PROFILE_H
#define VN_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "vqnic.h"

enum profile_personality { PERSONALITY_VIRTIO_PCI, PERSONALITY_IFCVF };
enum profile_fabric { FABRIC_DIRECT, FABRIC_DELAYED };
enum profile_lm_layout {
	LM_LAYOUT_LINUX, /* Linux 6.12 and later: vq state at 0x20 + 4 * q */
	LM_LAYOUT_DPDK, /* DPDK, Linux 6.1: 0x20 + (q / 2) * 0x40 + (q % 2) * 4, MQ register at 0x28
			 */
};

#define PROFILE_MAC_TABLE_MAX 256

struct profile {
	char name[64];

	/* [nic] */
	enum profile_personality personality;
	uint16_t vendor_id, device_id, subsystem_vendor_id, subsystem_id;
	uint8_t revision;

	/* [virtio] */
	uint64_t features;	  /* offered; from a list of names, see profile.c */
	unsigned int queue_pairs; /* max_virtqueue_pairs, 1 to 32 */
	uint16_t queue_size;	  /* largest, power of two, 2 to 32768 */
	unsigned int window;	  /* packets in flight per queue, 1 to 256 */
	unsigned int
		irq_interval_us; /* between two interrupts of a queue at least; 0: as they come */
	unsigned int rx_fifo;	 /* frames that may wait for receive buffers, per port */
	unsigned int mac_table;	 /* entries of the MAC filter */
	uint8_t mac[6];
	uint16_t mtu;
	uint32_t speed_mbps;  /* as virtio reports it */
	unsigned int vectors; /* MSI-X table size; 0: queues + 1 */

	/* [ifcvf] */
	enum profile_lm_layout lm_layout;

	/* [pci] */
	uint32_t notify_multiplier; /* 0, or a power of two >= 2 */
	bool notify_mmap;	    /* the client may map the doorbell page; see docs */

	/* [fabric] */
	enum profile_fabric fabric;
	uint64_t max_delay_ps; /* of the delayed fabric */
	unsigned int max_dma_maps;

	/* [live] */
	unsigned int poll_us; /* keep polling queues this long after the last work */
	unsigned int nap_us;  /* between two looks at queues without work; 0: without a pause */
};

/** features_lacking() - a feature of @features whose prerequisite (5.1.3.1) is missing; -1: none */
int features_lacking(uint64_t features);

/** profile_load() - as vqnic_create() says */
int profile_load(const char *profile, const char *const *overrides, struct profile *out,
		 struct vqnic_error *err);

#endif
