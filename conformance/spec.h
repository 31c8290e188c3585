/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Constants of VIRTIO, virtio-pci, IFCVF, vhost-vdpa and vfio-user as the suite understands them
 *
 * How it works. Transcribed from the specifications by us for the suite alone (the NIC has its own
 * copy in sim/), under a prefix of its own: neither side inherits the other's reading, and
 * distribution headers are too old for much of it. spec_test.c compares what the installed uapi
 * headers also have.
 */
#ifndef VC_SPEC_H
#define VC_SPEC_H

#include <stdint.h>

#define VC_BIT(n) (1ull << (n))

/* ---- Device status (VIRTIO 2.1) and features (2.2, 6) ---------------------------------------- */

#define VC_STATUS_ACKNOWLEDGE 1u
#define VC_STATUS_DRIVER      2u
#define VC_STATUS_DRIVER_OK   4u
#define VC_STATUS_FEATURES_OK 8u
#define VC_STATUS_SUSPEND     16u
#define VC_STATUS_NEEDS_RESET 64u
#define VC_STATUS_FAILED      128u

#define VC_ID_NET   1u
#define VC_ID_BLOCK 2u

#define VC_F_NOTIFY_ON_EMPTY   24
#define VC_F_ANY_LAYOUT	       27
#define VC_F_INDIRECT_DESC     28
#define VC_F_EVENT_IDX	       29
#define VC_F_VERSION_1	       32
#define VC_F_ACCESS_PLATFORM   33
#define VC_F_RING_PACKED       34
#define VC_F_IN_ORDER	       35
#define VC_F_ORDER_PLATFORM    36
#define VC_F_SR_IOV	       37
#define VC_F_NOTIFICATION_DATA 38
#define VC_F_NOTIF_CONFIG_DATA 39
#define VC_F_RING_RESET	       40
#define VC_F_ADMIN_VQ	       41
#define VC_F_DEVICE_SUSPEND    43

#define VC_NET_F_CSUM		     0
#define VC_NET_F_GUEST_CSUM	     1
#define VC_NET_F_CTRL_GUEST_OFFLOADS 2
#define VC_NET_F_MTU		     3
#define VC_NET_F_MAC		     5
#define VC_NET_F_GUEST_TSO4	     7
#define VC_NET_F_GUEST_TSO6	     8
#define VC_NET_F_GUEST_ECN	     9
#define VC_NET_F_GUEST_UFO	     10
#define VC_NET_F_HOST_TSO4	     11
#define VC_NET_F_HOST_TSO6	     12
#define VC_NET_F_HOST_ECN	     13
#define VC_NET_F_HOST_UFO	     14
#define VC_NET_F_MRG_RXBUF	     15
#define VC_NET_F_STATUS		     16
#define VC_NET_F_CTRL_VQ	     17
#define VC_NET_F_CTRL_RX	     18
#define VC_NET_F_CTRL_VLAN	     19
#define VC_NET_F_CTRL_RX_EXTRA	     20
#define VC_NET_F_GUEST_ANNOUNCE	     21
#define VC_NET_F_MQ		     22
#define VC_NET_F_CTRL_MAC_ADDR	     23
#define VC_NET_F_DEVICE_STATS	     50
#define VC_NET_F_VQ_NOTF_COAL	     52
#define VC_NET_F_NOTF_COAL	     53
#define VC_NET_F_GUEST_USO4	     54
#define VC_NET_F_GUEST_USO6	     55
#define VC_NET_F_HOST_USO	     56
#define VC_NET_F_HASH_REPORT	     57
#define VC_NET_F_GUEST_HDRLEN	     59
#define VC_NET_F_RSS		     60
#define VC_NET_F_RSC_EXT	     61
#define VC_NET_F_STANDBY	     62
#define VC_NET_F_SPEED_DUPLEX	     63

/* ---- Split virtqueue (2.7) ------------------------------------------------------------------- */

#define VC_DESC_F_NEXT	   1u
#define VC_DESC_F_WRITE	   2u
#define VC_DESC_F_INDIRECT 4u

struct vc_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

#define VC_AVAIL_F_NO_INTERRUPT 1u
#define VC_USED_F_NO_NOTIFY	1u

struct vc_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* and used_event behind the last one */
};

struct vc_used_elem {
	uint32_t id;
	uint32_t len;
};

struct vc_used {
	uint16_t flags;
	uint16_t idx;
	struct vc_used_elem ring[]; /* and avail_event behind the last one */
};

#define VC_SPLIT_DESC_ALIGN  16u
#define VC_SPLIT_AVAIL_ALIGN 2u
#define VC_SPLIT_USED_ALIGN  4u
#define VC_SPLIT_SIZE_MAX    32768u

/* ---- Packed virtqueue (2.8) ------------------------------------------------------------------ */

#define VC_PACKED_F_AVAIL (1u << 7)
#define VC_PACKED_F_USED  (1u << 15)

struct vc_packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

#define VC_PACKED_EVENT_ENABLE	0u
#define VC_PACKED_EVENT_DISABLE 1u
#define VC_PACKED_EVENT_DESC	2u
#define VC_PACKED_EVENT_WRAP	(1u << 15)

struct vc_packed_event {
	uint16_t off_wrap;
	uint16_t flags;
};

#define VC_PACKED_DESC_ALIGN  16u
#define VC_PACKED_EVENT_ALIGN 4u

/* ---- Network device (5.1) -------------------------------------------------------------------- */

struct vc_net_config {
	uint8_t mac[6];
	uint16_t status;
	uint16_t max_virtqueue_pairs;
	uint16_t mtu;
	uint32_t speed;
	uint8_t duplex;
	uint8_t rss_max_key_size;
	uint16_t rss_max_indirection_table_length;
	uint32_t supported_hash_types;
} __attribute__((packed));

#define VC_NET_CFG_MAC	  0u
#define VC_NET_CFG_STATUS 6u
#define VC_NET_CFG_PAIRS  8u
#define VC_NET_CFG_MTU	  10u
#define VC_NET_CFG_SPEED  12u
#define VC_NET_CFG_DUPLEX 16u

#define VC_NET_S_LINK_UP  1u
#define VC_NET_S_ANNOUNCE 2u

#define VC_NET_HDR_F_NEEDS_CSUM 1u
#define VC_NET_HDR_F_DATA_VALID 2u
#define VC_NET_HDR_F_RSC_INFO	4u

#define VC_NET_GSO_NONE	  0u
#define VC_NET_GSO_TCPV4  1u
#define VC_NET_GSO_UDP	  3u
#define VC_NET_GSO_TCPV6  4u
#define VC_NET_GSO_UDP_L4 5u
#define VC_NET_GSO_ECN	  0x80u

struct vc_net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers; /* not there in the legacy header without MRG_RXBUF */
};

#define VC_NET_HDR_LEN_LEGACY 10u
#define VC_NET_HDR_LEN	      12u
#define VC_NET_HDR_LEN_HASH   20u

/* receive buffers without MRG_RXBUF: VIRTIO 5.1.6.3.1 */
#define VC_NET_RX_MIN 1526u
#define VC_NET_RX_GSO 65562u

#define VC_NET_OK  0u
#define VC_NET_ERR 1u

#define VC_NET_CTRL_RX		0u
#define VC_NET_CTRL_RX_PROMISC	0u
#define VC_NET_CTRL_RX_ALLMULTI 1u
#define VC_NET_CTRL_RX_ALLUNI	2u
#define VC_NET_CTRL_RX_NOMULTI	3u
#define VC_NET_CTRL_RX_NOUNI	4u
#define VC_NET_CTRL_RX_NOBCAST	5u

#define VC_NET_CTRL_MAC		  1u
#define VC_NET_CTRL_MAC_TABLE_SET 0u
#define VC_NET_CTRL_MAC_ADDR_SET  1u

#define VC_NET_CTRL_VLAN     2u
#define VC_NET_CTRL_VLAN_ADD 0u
#define VC_NET_CTRL_VLAN_DEL 1u

#define VC_NET_CTRL_ANNOUNCE	 3u
#define VC_NET_CTRL_ANNOUNCE_ACK 0u

#define VC_NET_CTRL_MQ		    4u
#define VC_NET_CTRL_MQ_VQ_PAIRS_SET 0u
#define VC_NET_CTRL_MQ_PAIRS_MIN    1u
#define VC_NET_CTRL_MQ_PAIRS_MAX    0x8000u

#define VC_NET_CTRL_GUEST_OFFLOADS     5u
#define VC_NET_CTRL_GUEST_OFFLOADS_SET 0u

/* ---- PCI ------------------------------------------------------------------------------------- */

#define VC_PCI_VENDOR_ID	0x00u
#define VC_PCI_DEVICE_ID	0x02u
#define VC_PCI_COMMAND		0x04u
#define VC_PCI_COMMAND_MEMORY	2u
#define VC_PCI_COMMAND_MASTER	4u
#define VC_PCI_COMMAND_INTX_OFF 0x400u
#define VC_PCI_STATUS		0x06u
#define VC_PCI_STATUS_CAP_LIST	0x10u
#define VC_PCI_REVISION		0x08u
#define VC_PCI_HEADER_TYPE	0x0eu
#define VC_PCI_BAR0		0x10u
#define VC_PCI_SUBVENDOR_ID	0x2cu
#define VC_PCI_SUBSYSTEM_ID	0x2eu
#define VC_PCI_CAP_PTR		0x34u
#define VC_PCI_CAP_ID_MSIX	0x11u
#define VC_PCI_CAP_ID_VENDOR	0x09u
#define VC_PCI_CAP_ID_EXP	0x10u
#define VC_PCI_MSIX_CTRL	2u
#define VC_PCI_MSIX_CTRL_ENABLE 0x8000u
#define VC_PCI_MSIX_CTRL_SIZE	0x7ffu

#define VC_PCI_VENDOR_REDHAT 0x1af4u
#define VC_PCI_VENDOR_INTEL  0x8086u

/* VIRTIO 4.1.4: vendor capability */
#define VC_PCI_CAP_COMMON 1u
#define VC_PCI_CAP_NOTIFY 2u
#define VC_PCI_CAP_ISR	  3u
#define VC_PCI_CAP_DEVICE 4u
#define VC_PCI_CAP_PCI	  5u

#define VC_CAP_LEN	  2u
#define VC_CAP_CFG_TYPE	  3u
#define VC_CAP_BAR	  4u
#define VC_CAP_ID	  5u
#define VC_CAP_OFFSET	  8u
#define VC_CAP_LENGTH	  12u
#define VC_CAP_MULTIPLIER 16u

/* VIRTIO 4.1.4.3: common configuration */
#define VC_COMMON_DFSELECT    0x00u
#define VC_COMMON_DF	      0x04u
#define VC_COMMON_GFSELECT    0x08u
#define VC_COMMON_GF	      0x0cu
#define VC_COMMON_MSIX	      0x10u
#define VC_COMMON_NUMQ	      0x12u
#define VC_COMMON_STATUS      0x14u
#define VC_COMMON_GENERATION  0x15u
#define VC_COMMON_Q_SELECT    0x16u
#define VC_COMMON_Q_SIZE      0x18u
#define VC_COMMON_Q_MSIX      0x1au
#define VC_COMMON_Q_ENABLE    0x1cu
#define VC_COMMON_Q_NOFF      0x1eu
#define VC_COMMON_Q_DESC_LO   0x20u
#define VC_COMMON_Q_DESC_HI   0x24u
#define VC_COMMON_Q_DRIVER_LO 0x28u
#define VC_COMMON_Q_DRIVER_HI 0x2cu
#define VC_COMMON_Q_DEVICE_LO 0x30u
#define VC_COMMON_Q_DEVICE_HI 0x34u
#define VC_COMMON_Q_NDATA     0x38u
#define VC_COMMON_Q_RESET     0x3au
#define VC_COMMON_ADM_Q_IDX   0x3cu
#define VC_COMMON_ADM_Q_NUM   0x3eu
#define VC_COMMON_SIZE_MIN    0x38u

#define VC_MSI_NO_VECTOR 0xffffu
#define VC_ISR_QUEUE	 1u
#define VC_ISR_CONFIG	 2u

/* ---- IFCVF: live-migration BAR (as Linux and DPDK drive it) ------------------------------------
 */

#define VC_IFCVF_LM_BAR		4u
#define VC_IFCVF_LM_CONTROL	0x00u
#define VC_IFCVF_LM_LOG_OFF	0u
#define VC_IFCVF_LM_LOG_VF	1u
#define VC_IFCVF_LM_STATUS	0x08u
#define VC_IFCVF_LM_LOG_BASE_LO 0x10u
#define VC_IFCVF_LM_LOG_BASE_HI 0x14u
#define VC_IFCVF_LM_LOG_END_LO	0x18u
#define VC_IFCVF_LM_LOG_END_HI	0x1cu
#define VC_IFCVF_LM_STATE	0x20u
#define VC_IFCVF_LM_MQ		0x28u /* DPDK's layout only */

/** vc_ifcvf_lm_state() - offset of a queue's state: Linux 6.12 and later, or DPDK and Linux 6.1 */
static inline uint32_t vc_ifcvf_lm_state(unsigned int q, int dpdk)
{
	return dpdk ? VC_IFCVF_LM_STATE + q / 2 * 0x40 + q % 2 * 4 : VC_IFCVF_LM_STATE + 4 * q;
}

/* ---- vfio-user
 * ----------------------------------------------------------------------------------- */

enum {
	VC_VFU_VERSION = 1,
	VC_VFU_DMA_MAP = 2,
	VC_VFU_DMA_UNMAP = 3,
	VC_VFU_DEVICE_GET_INFO = 4,
	VC_VFU_GET_REGION_INFO = 5,
	VC_VFU_GET_REGION_IO_FDS = 6,
	VC_VFU_GET_IRQ_INFO = 7,
	VC_VFU_SET_IRQS = 8,
	VC_VFU_REGION_READ = 9,
	VC_VFU_REGION_WRITE = 10,
	VC_VFU_DMA_READ = 11,
	VC_VFU_DMA_WRITE = 12,
	VC_VFU_DEVICE_RESET = 13,
	VC_VFU_REGION_WRITE_MULTI = 15,
};

#define VC_VFU_TYPE_MASK 0xfu
#define VC_VFU_COMMAND	 0u
#define VC_VFU_REPLY	 1u
#define VC_VFU_NO_REPLY	 (1u << 4)
#define VC_VFU_ERROR	 (1u << 5)

struct vc_vfu_header {
	uint16_t id;
	uint16_t command;
	uint32_t size; /* with this header */
	uint32_t flags;
	uint32_t error;
};

struct vc_vfu_version {
	uint16_t major, minor;
	char json[];
};

struct vc_vfu_dma_map {
	uint32_t argsz, flags;
	uint64_t offset, address, size;
};

#define VC_VFU_DMA_READABLE  1u
#define VC_VFU_DMA_WRITEABLE 2u

struct vc_vfu_dma_unmap {
	uint32_t argsz, flags;
	uint64_t address, size;
};

struct vc_vfu_device_info {
	uint32_t argsz, flags, regions, irqs;
};

#define VC_VFU_DEVICE_RESETTABLE 1u
#define VC_VFU_DEVICE_PCI	 2u

struct vc_vfu_region_info {
	uint32_t argsz, flags, index, cap_offset;
	uint64_t size, offset;
};

#define VC_VFU_REGION_READABLE	1u
#define VC_VFU_REGION_WRITEABLE 2u
#define VC_VFU_REGION_MMAP	4u
#define VC_VFU_REGION_CAPS	8u

struct vc_vfu_irq_info {
	uint32_t argsz, flags, index, count;
};

#define VC_VFU_IRQ_EVENTFD 1u

struct vc_vfu_irq_set {
	uint32_t argsz, flags, index, start, count;
};

#define VC_VFU_IRQ_SET_DATA_NONE      1u
#define VC_VFU_IRQ_SET_DATA_BOOL      2u
#define VC_VFU_IRQ_SET_DATA_EVENTFD   4u
#define VC_VFU_IRQ_SET_ACTION_MASK    8u
#define VC_VFU_IRQ_SET_ACTION_UNMASK  16u
#define VC_VFU_IRQ_SET_ACTION_TRIGGER 32u

struct vc_vfu_region_access {
	uint64_t offset;
	uint32_t region, count;
};

struct vc_vfu_dma_access {
	uint64_t address, count;
};

enum { VC_VFIO_IRQ_INTX = 0, VC_VFIO_IRQ_MSI, VC_VFIO_IRQ_MSIX, VC_VFIO_IRQ_ERR, VC_VFIO_IRQ_REQ };

/* ---- vhost-vdpa (linux/vhost.h)
 * -------------------------------------------------------------------- */

/* _IO*(0xAF, nr, size), the encoding that most architectures use (not alpha, mips, powerpc, sparc)
 */
#define VC_VHOST_IO(nr)	      (0xaf00ul | (nr))
#define VC_VHOST_IOR(nr, sz)  (0x80000000ul | ((unsigned long)(sz) << 16) | 0xaf00ul | (nr))
#define VC_VHOST_IOW(nr, sz)  (0x40000000ul | ((unsigned long)(sz) << 16) | 0xaf00ul | (nr))
#define VC_VHOST_IOWR(nr, sz) (0xc0000000ul | ((unsigned long)(sz) << 16) | 0xaf00ul | (nr))

struct vc_vring_state {
	uint32_t index, num;
};

struct vc_vring_file {
	uint32_t index;
	int32_t fd;
};

struct vc_vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};

struct vc_vdpa_config {
	uint32_t off, len;
	uint8_t buf[];
};

struct vc_vdpa_iova_range {
	uint64_t first, last;
};

#define VC_VHOST_GET_FEATURES		   VC_VHOST_IOR(0x00, 8)
#define VC_VHOST_SET_FEATURES		   VC_VHOST_IOW(0x00, 8)
#define VC_VHOST_SET_OWNER		   VC_VHOST_IO(0x01)
#define VC_VHOST_RESET_OWNER		   VC_VHOST_IO(0x02)
#define VC_VHOST_SET_LOG_BASE		   VC_VHOST_IOW(0x04, 8)
#define VC_VHOST_SET_VRING_NUM		   VC_VHOST_IOW(0x10, 8)
#define VC_VHOST_SET_VRING_ADDR		   VC_VHOST_IOW(0x11, 40)
#define VC_VHOST_SET_VRING_BASE		   VC_VHOST_IOW(0x12, 8)
#define VC_VHOST_GET_VRING_BASE		   VC_VHOST_IOWR(0x12, 8)
#define VC_VHOST_SET_VRING_KICK		   VC_VHOST_IOW(0x20, 8)
#define VC_VHOST_SET_VRING_CALL		   VC_VHOST_IOW(0x21, 8)
#define VC_VHOST_SET_VRING_ERR		   VC_VHOST_IOW(0x22, 8)
#define VC_VHOST_SET_BACKEND_FEATURES	   VC_VHOST_IOW(0x25, 8)
#define VC_VHOST_GET_BACKEND_FEATURES	   VC_VHOST_IOR(0x26, 8)
#define VC_VHOST_VDPA_GET_DEVICE_ID	   VC_VHOST_IOR(0x70, 4)
#define VC_VHOST_VDPA_GET_STATUS	   VC_VHOST_IOR(0x71, 1)
#define VC_VHOST_VDPA_SET_STATUS	   VC_VHOST_IOW(0x72, 1)
#define VC_VHOST_VDPA_GET_CONFIG	   VC_VHOST_IOR(0x73, 8)
#define VC_VHOST_VDPA_SET_CONFIG	   VC_VHOST_IOW(0x74, 8)
#define VC_VHOST_VDPA_SET_VRING_ENABLE	   VC_VHOST_IOW(0x75, 8)
#define VC_VHOST_VDPA_GET_VRING_NUM	   VC_VHOST_IOR(0x76, 2)
#define VC_VHOST_VDPA_SET_CONFIG_CALL	   VC_VHOST_IOW(0x77, 4)
#define VC_VHOST_VDPA_GET_IOVA_RANGE	   VC_VHOST_IOR(0x78, 16)
#define VC_VHOST_VDPA_GET_CONFIG_SIZE	   VC_VHOST_IOR(0x79, 4)
#define VC_VHOST_VDPA_GET_AS_NUM	   VC_VHOST_IOR(0x7a, 4)
#define VC_VHOST_VDPA_GET_VRING_GROUP	   VC_VHOST_IOWR(0x7b, 8)
#define VC_VHOST_VDPA_SET_GROUP_ASID	   VC_VHOST_IOW(0x7c, 8)
#define VC_VHOST_VDPA_SUSPEND		   VC_VHOST_IO(0x7d)
#define VC_VHOST_VDPA_RESUME		   VC_VHOST_IO(0x7e)
#define VC_VHOST_VDPA_GET_VRING_DESC_GROUP VC_VHOST_IOWR(0x7f, 8)
#define VC_VHOST_VDPA_GET_VQS_COUNT	   VC_VHOST_IOR(0x80, 4)
#define VC_VHOST_VDPA_GET_GROUP_NUM	   VC_VHOST_IOR(0x81, 4)
#define VC_VHOST_VDPA_GET_VRING_SIZE	   VC_VHOST_IOWR(0x82, 8)

#define VC_VHOST_BACKEND_F_IOTLB_MSG_V2		  1
#define VC_VHOST_BACKEND_F_IOTLB_BATCH		  2
#define VC_VHOST_BACKEND_F_IOTLB_ASID		  3
#define VC_VHOST_BACKEND_F_SUSPEND		  4
#define VC_VHOST_BACKEND_F_RESUME		  5
#define VC_VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK 6
#define VC_VHOST_BACKEND_F_DESC_ASID		  7
#define VC_VHOST_BACKEND_F_IOTLB_PERSIST	  8

#define VC_VHOST_IOTLB_MSG_V2 2u

#define VC_VHOST_ACCESS_RO 1u
#define VC_VHOST_ACCESS_WO 2u
#define VC_VHOST_ACCESS_RW 3u

#define VC_VHOST_IOTLB_MISS	   1u
#define VC_VHOST_IOTLB_UPDATE	   2u
#define VC_VHOST_IOTLB_INVALIDATE  3u
#define VC_VHOST_IOTLB_BATCH_BEGIN 5u
#define VC_VHOST_IOTLB_BATCH_END   6u

struct vc_vhost_iotlb_msg {
	uint64_t iova, size, uaddr;
	uint8_t perm, type;
};

struct vc_vhost_msg_v2 {
	uint32_t type;
	uint32_t asid;
	union {
		struct vc_vhost_iotlb_msg iotlb;
		uint8_t padding[64];
	};
};

#endif
