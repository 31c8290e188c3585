/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Constants of PCI, of VIRTIO's PCI transport (4.1) and of Intel's IFC VF, for the NIC's side
 */
#ifndef VN_PCI_SPEC_H
#define VN_PCI_SPEC_H

/* Configuration space, type 0 header */
enum {
	VN_PCI_VENDOR_ID = 0x00,
	VN_PCI_DEVICE_ID = 0x02,
	VN_PCI_COMMAND = 0x04,
	VN_PCI_STATUS = 0x06,
	VN_PCI_REVISION = 0x08,
	VN_PCI_CLASS = 0x09, /* 3 bytes */
	VN_PCI_CACHE_LINE = 0x0c,
	VN_PCI_BAR0 = 0x10,
	VN_PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
	VN_PCI_SUBSYSTEM_ID = 0x2e,
	VN_PCI_CAPABILITIES = 0x34,
	VN_PCI_INTERRUPT_LINE = 0x3c,
	VN_PCI_INTERRUPT_PIN = 0x3d,
	VN_PCI_HEADER_END = 0x40,
	VN_PCI_CAPS_END = 0x100,
	VN_PCI_CONFIG_SIZE = 0x1000,
};

#define VN_PCI_BARS 6u

#define VN_PCI_COMMAND_IO	    0x0001u
#define VN_PCI_COMMAND_MEMORY	    0x0002u
#define VN_PCI_COMMAND_MASTER	    0x0004u
#define VN_PCI_COMMAND_PARITY	    0x0040u
#define VN_PCI_COMMAND_SERR	    0x0100u
#define VN_PCI_COMMAND_INTX_DISABLE 0x0400u
#define VN_PCI_STATUS_INTERRUPT	    0x0008u
#define VN_PCI_STATUS_CAPABILITIES  0x0010u
#define VN_PCI_BAR_64BIT	    0x4u
#define VN_PCI_CLASS_ETHERNET	    0x020000u

/* Capability ids, and the registers in their order behind id and next */
#define VN_PCI_CAP_PM	   0x01u
#define VN_PCI_CAP_VENDOR  0x09u
#define VN_PCI_CAP_EXPRESS 0x10u
#define VN_PCI_CAP_MSIX	   0x11u

#define VN_PM_CAP		2u
#define VN_PM_CSR		4u
#define VN_PM_SIZE		8u
#define VN_PM_CSR_STATE		0x0003u
#define VN_PM_CSR_NO_SOFT_RESET 0x0008u

#define VN_MSIX_CONTROL	      2u
#define VN_MSIX_TABLE	      4u
#define VN_MSIX_PBA	      8u
#define VN_MSIX_SIZE	      12u
#define VN_MSIX_ENABLE	      0x8000u
#define VN_MSIX_FUNCTION_MASK 0x4000u
#define VN_MSIX_ENTRY	      16u
#define VN_MSIX_VECTORS_MAX   2048u

#define VN_EXP_FLAGS	  2u
#define VN_EXP_DEVCAP	  4u
#define VN_EXP_DEVCTL	  8u
#define VN_EXP_LNKCAP	  12u
#define VN_EXP_LNKCTL	  16u
#define VN_EXP_LNKSTA	  18u
#define VN_EXP_DEVCAP2	  36u
#define VN_EXP_DEVCTL2	  40u
#define VN_EXP_LNKCAP2	  44u
#define VN_EXP_LNKCTL2	  48u
#define VN_EXP_SIZE	  60u
#define VN_EXP_DEVCAP_FLR (1u << 28)
#define VN_EXP_DEVCTL_FLR 0x8000u

/* VIRTIO over PCI: vendor capabilities (4.1.4) */
#define VN_VIRTIO_CAP_CFG_TYPE 3u
#define VN_VIRTIO_CAP_BAR      4u
#define VN_VIRTIO_CAP_OFFSET   8u
#define VN_VIRTIO_CAP_LENGTH   12u
#define VN_VIRTIO_CAP_SIZE     16u
#define VN_VIRTIO_CAP_EXTRA    16u /* notify: multiplier; PCI configuration access: data */

enum { VN_CAP_COMMON = 1, VN_CAP_NOTIFY, VN_CAP_ISR, VN_CAP_DEVICE, VN_CAP_PCI };

/* Common configuration (4.1.4.3) */
enum {
	VN_COMMON_DEVICE_FEATURE_SELECT = 0x00,
	VN_COMMON_DEVICE_FEATURE = 0x04,
	VN_COMMON_DRIVER_FEATURE_SELECT = 0x08,
	VN_COMMON_DRIVER_FEATURE = 0x0c,
	VN_COMMON_CONFIG_VECTOR = 0x10,
	VN_COMMON_NUM_QUEUES = 0x12,
	VN_COMMON_STATUS = 0x14,
	VN_COMMON_GENERATION = 0x15,
	VN_COMMON_QUEUE_SELECT = 0x16,
	VN_COMMON_QUEUE_SIZE = 0x18,
	VN_COMMON_QUEUE_VECTOR = 0x1a,
	VN_COMMON_QUEUE_ENABLE = 0x1c,
	VN_COMMON_QUEUE_NOTIFY_OFF = 0x1e,
	VN_COMMON_QUEUE_DESC = 0x20,
	VN_COMMON_QUEUE_DRIVER = 0x28,
	VN_COMMON_QUEUE_DEVICE = 0x30,
	VN_COMMON_QUEUE_NOTIFY_DATA = 0x38,
	VN_COMMON_QUEUE_RESET = 0x3a,
	VN_COMMON_ADMIN_QUEUE_INDEX = 0x3c,
	VN_COMMON_ADMIN_QUEUE_NUM = 0x3e,
	VN_COMMON_SIZE = 0x40,
};

#define VN_NO_VECTOR  0xffffu
#define VN_ISR_QUEUE  1u
#define VN_ISR_CONFIG 2u

/* Features that lengthen the common configuration */
enum { VN_F_NOTIF_CONFIG_DATA = 39, VN_F_ADMIN_VQ = 41 };

/* IFC VF: live-migration BAR (hardware facts: Linux drivers/vdpa/ifcvf, DPDK drivers/vdpa/ifc) */
enum {
	VN_LM_CONTROL = 0x00,
	VN_LM_STATUS = 0x08,
	VN_LM_LOG_BASE = 0x10,
	VN_LM_LOG_END = 0x18,
	VN_LM_QUEUES = 0x20,
	VN_LM_MQ = 0x28, /* layout dpdk only: elsewhere it is the state of queue 2 */
};

#define VN_LM_BAR	  4u
#define VN_LM_BAR_SIZE	  0x1000u
#define VN_LM_CONTROL_OFF 0u
#define VN_LM_CONTROL_VF  1u
#define VN_LM_CONTROL_PF  3u

#endif
