/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Constants of the wire, transcribed from VIRTIO 1.4 for the NIC's side
 *
 * The suite has a transcription of its own (conformance/spec.h); a test holds both against the uapi
 * headers that are installed.
 */
#ifndef VN_SPEC_H
#define VN_SPEC_H

#include <stdint.h>

#define VN_BIT(n) (UINT64_C(1) << (n))

/* Device status (2.1) */
#define VN_S_ACKNOWLEDGE 0x01u
#define VN_S_DRIVER	 0x02u
#define VN_S_DRIVER_OK	 0x04u
#define VN_S_FEATURES_OK 0x08u
#define VN_S_NEEDS_RESET 0x40u
#define VN_S_FAILED	 0x80u

/* Feature bits: network device (5.1.3) */
enum {
	VN_NET_F_CSUM = 0,
	VN_NET_F_GUEST_CSUM = 1,
	VN_NET_F_CTRL_GUEST_OFFLOADS = 2,
	VN_NET_F_MTU = 3,
	VN_NET_F_MAC = 5,
	VN_NET_F_GUEST_TSO4 = 7,
	VN_NET_F_GUEST_TSO6 = 8,
	VN_NET_F_GUEST_ECN = 9,
	VN_NET_F_GUEST_UFO = 10,
	VN_NET_F_HOST_TSO4 = 11,
	VN_NET_F_HOST_TSO6 = 12,
	VN_NET_F_HOST_ECN = 13,
	VN_NET_F_HOST_UFO = 14,
	VN_NET_F_MRG_RXBUF = 15,
	VN_NET_F_STATUS = 16,
	VN_NET_F_CTRL_VQ = 17,
	VN_NET_F_CTRL_RX = 18,
	VN_NET_F_CTRL_VLAN = 19,
	VN_NET_F_CTRL_RX_EXTRA = 20,
	VN_NET_F_GUEST_ANNOUNCE = 21,
	VN_NET_F_MQ = 22,
	VN_NET_F_CTRL_MAC_ADDR = 23,
	VN_NET_F_GUEST_USO4 = 54,
	VN_NET_F_GUEST_USO6 = 55,
	VN_NET_F_HOST_USO = 56,
	VN_NET_F_SPEED_DUPLEX = 63,
};

/* Feature bits: reserved for the device in general (6) */
enum {
	VN_F_NOTIFY_ON_EMPTY = 24,
	VN_F_ANY_LAYOUT = 27,
	VN_F_INDIRECT_DESC = 28,
	VN_F_EVENT_IDX = 29,
	VN_F_VERSION_1 = 32,
	VN_F_ACCESS_PLATFORM = 33,
	VN_F_RING_PACKED = 34,
	VN_F_IN_ORDER = 35,
	VN_F_ORDER_PLATFORM = 36,
	VN_F_NOTIFICATION_DATA = 38,
	VN_F_RING_RESET = 40,
};

/* Split ring (2.7) and packed ring (2.8) descriptors */
#define VN_DESC_F_NEXT	   0x0001u
#define VN_DESC_F_WRITE	   0x0002u
#define VN_DESC_F_INDIRECT 0x0004u
#define VN_DESC_F_AVAIL	   0x0080u
#define VN_DESC_F_USED	   0x8000u

#define VN_AVAIL_F_NO_INTERRUPT 1u
#define VN_USED_F_NO_NOTIFY	1u

#define VN_EVENT_ENABLE	 0u
#define VN_EVENT_DISABLE 1u
#define VN_EVENT_DESC	 2u

struct vn_desc { /* split: id is next; packed: flags at 14, id at 12 */
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct vn_packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

struct vn_used_elem {
	uint32_t id;
	uint32_t len;
};

_Static_assert(sizeof(struct vn_desc) == 16 && sizeof(struct vn_packed_desc) == 16, "16 bytes");

/* Network device (5.1) */
#define VN_ID_NET 1u

#define VN_NET_S_LINK_UP  1u
#define VN_NET_S_ANNOUNCE 2u

struct vn_net_config {
	uint8_t mac[6];
	uint16_t status;
	uint16_t max_virtqueue_pairs;
	uint16_t mtu;
	uint32_t speed;
	uint8_t duplex;
} __attribute__((packed));

#define VN_NET_HDR_F_NEEDS_CSUM 1u
#define VN_NET_HDR_F_DATA_VALID 2u

struct vn_net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
};

_Static_assert(sizeof(struct vn_net_hdr) == 12, "5.1.6");

/* Control queue (5.1.6.5) */
#define VN_NET_OK  0u
#define VN_NET_ERR 1u

enum {
	VN_CTRL_RX = 0,
	VN_CTRL_MAC = 1,
	VN_CTRL_VLAN = 2,
	VN_CTRL_ANNOUNCE = 3,
	VN_CTRL_MQ = 4,
	VN_CTRL_GUEST_OFFLOADS = 5
};
enum {
	VN_CTRL_RX_PROMISC = 0,
	VN_CTRL_RX_ALLMULTI,
	VN_CTRL_RX_ALLUNI,
	VN_CTRL_RX_NOMULTI,
	VN_CTRL_RX_NOUNI,
	VN_CTRL_RX_NOBCAST
};
enum { VN_CTRL_MAC_TABLE_SET = 0, VN_CTRL_MAC_ADDR_SET = 1 };
enum { VN_CTRL_VLAN_ADD = 0, VN_CTRL_VLAN_DEL = 1 };
enum { VN_CTRL_ANNOUNCE_ACK = 0 };
enum { VN_CTRL_MQ_VQ_PAIRS_SET = 0 };
enum { VN_CTRL_GUEST_OFFLOADS_SET = 0 };

#endif
