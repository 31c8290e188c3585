/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A parent, as a check sees it
 *
 * How it works. Whatever stands behind the virtio datapath (a PCI function driven by registers, a
 * kernel vDPA device, later a vhost-user back-end) is a table of operations, modelled on the ones
 * that kernel parents implement (struct vdpa_config_ops). Each operation's comment lists what the
 * parent guarantees and in which states it may be called. Checks never call the table: they call
 * the parent_*() wrappers of parent.c, which look whether the operation exists, record the call in
 * a trace that a failing check prints, and watch the order.
 *
 * What an interface can't carry is left NULL in the table; `caps` says the same as bits, so that a
 * check can declare what it needs and be skipped with the reason.
 *
 * All functions return 0 (or a count) or a negative errno unless they say otherwise.
 */
#ifndef VC_PARENT_H
#define VC_PARENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parent;
struct pci_access;

/* What the interface of a parent can carry. A check's `needs` are of these. */
#define CAP_GENERATION	    (1u << 0) /* configuration generation can be read */
#define CAP_VQ_STATE_GET    (1u << 1) /* position of a queue can be read */
#define CAP_VQ_STATE_SET    (1u << 2) /* … and set */
#define CAP_VQ_STOP	    (1u << 3) /* a queue (or all) can be stopped without a reset */
#define CAP_SUSPEND	    (1u << 4)
#define CAP_RESUME	    (1u << 5)
#define CAP_DIRTY_LOG	    (1u << 6)
#define CAP_PCI		    (1u << 7) /* registers of a PCI function can be reached */
#define CAP_VQ_RESET	    (1u << 8) /* VIRTIO_F_RING_RESET has a register */
#define CAP_NOTIFY_AREA	    (1u << 9)
#define CAP_CONFIG_CALL	    (1u << 10) /* configuration interrupt */
#define CAP_GROUPS	    (1u << 11) /* groups and address spaces can be asked about */
#define CAP_VDPA_FD	    (1u << 12) /* a /dev/vhost-vdpa descriptor */
#define CAP_EXACT_SETTLE    (1u << 13) /* settle() is exact, not a bounded window */
#define CAP_VIRTIO_PCI	    (1u << 14) /* registers of a virtio-pci function (common configuration) */
#define CAP_IFCVF	    (1u << 15) /* an IFCVF live-migration BAR */
#define CAP_QUEUE_VECTOR    (1u << 16) /* vectors can be chosen and read back */
#define CAP_SET_CONFIG	    (1u << 17)
#define CAP_DRIVER_FEATURES (1u << 18) /* driver features can be read back */
#define CAP_VQ_READY_GET    (1u << 19)
#define CAP_PEER	    (1u << 20) /* a traffic peer of its own on the wire (not only an echo) */
#define CAP_LINK_CONTROL    (1u << 21) /* the link can be pulled from outside */
#define CAP_TRAFFIC	    (1u << 22) /* frames come back or reach a peer at all */
#define CAP_ANNOUNCE	    (1u << 23) /* the device can be made to ask for an announcement */

/** struct vq_state - position of a queue; see set_vq_state for which fields count */
struct vq_state {
	bool packed;
	uint16_t avail; /* split: free-running; packed: ring offset */
	uint16_t used;	/* split: free-running used index */
	bool avail_wrap, used_wrap;
	bool used_known; /* this parent knows its used index apart from the available one */
};

/** struct parent_dma - memory to map; both ways to name it are always filled in */
struct parent_dma {
	uint32_t asid;
	uint64_t iova, size;
	void *host; /* where it is mapped in this process */
	int fd;
	uint64_t offset; /* of it in @fd */
	bool readable, writable;
};

/** struct parent_info - what a parent says of itself, for reports */
struct parent_info {
	char kind[32];
	char address[256];
	char driver[64]; /* e.g. "ifcvf", "virtio-pci", "" if unknown */
	uint32_t device_id, vendor_id;
};

/** struct parent_frame - an Ethernet frame with what is still to be done to it (virtio_net_hdr) */
struct parent_frame {
	const uint8_t *data;
	uint32_t len;
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

struct parent_ops {
	/* Identity; any state. */
	int (*get_device_id)(struct parent *p, uint32_t *id);
	int (*get_vendor_id)(struct parent *p, uint32_t *id);

	/* Features; get in any state, set after DRIVER and before FEATURES_OK. */
	int (*get_device_features)(struct parent *p, uint64_t *features);
	int (*set_driver_features)(struct parent *p, uint64_t features);
	int (*get_driver_features)(struct parent *p, uint64_t *features);

	/* Status; reset() returns when status reads 0. After it: no DMA, no interrupt. */
	int (*get_status)(struct parent *p, uint8_t *status);
	int (*set_status)(struct parent *p, uint8_t status);
	int (*reset)(struct parent *p);

	/* Configuration space; get in any state, also before FEATURES_OK. */
	int (*get_config)(struct parent *p, uint32_t off, void *buf, uint32_t len);
	int (*set_config)(struct parent *p, uint32_t off, const void *buf, uint32_t len);
	int (*get_config_size)(struct parent *p, uint32_t *size);
	int (*get_generation)(struct parent *p, uint32_t *generation);

	/* Queues; addresses, size and state before ready, ready after FEATURES_OK. */
	int (*get_vq_count)(struct parent *p, unsigned int *count);
	int (*get_vq_size_max)(struct parent *p, unsigned int q, uint16_t *size);
	int (*get_vq_size_min)(struct parent *p, uint16_t *size);
	int (*get_vq_align)(struct parent *p, uint32_t *align);
	int (*set_vq_address)(struct parent *p, unsigned int q, uint64_t desc, uint64_t driver,
			      uint64_t device);
	int (*set_vq_size)(struct parent *p, unsigned int q, uint16_t size);
	int (*set_vq_ready)(struct parent *p, unsigned int q, bool ready);
	int (*get_vq_ready)(struct parent *p, unsigned int q, bool *ready);

	/*
	 * Position. get: final once the queue is stopped and before the device is reset. set:
	 * before ready. A split parent whose interface carries the available index alone ignores
	 * `used` and takes it from the used ring in memory.
	 */
	int (*get_vq_state)(struct parent *p, unsigned int q, struct vq_state *state);
	int (*set_vq_state)(struct parent *p, unsigned int q, const struct vq_state *state);

	/*
	 * Stop one queue the way this kind does (IFCVF: queue_enable = 0 and wait; vhost-vdpa with
	 * suspend: the whole device) and give its final position. After it the queue writes no
	 * memory and interrupts no more.
	 */
	int (*vq_stop)(struct parent *p, unsigned int q, struct vq_state *state);

	/* VIRTIO_F_RING_RESET: returns when the queue reports it has been reset. */
	int (*vq_reset)(struct parent *p, unsigned int q);

	/* Doorbell; a queue that is ready. kick_data: with VIRTIO_F_NOTIFICATION_DATA. */
	int (*kick)(struct parent *p, unsigned int q);
	int (*kick_data)(struct parent *p, unsigned int q, uint32_t data);

	/* Interrupts: an eventfd each, -1 takes it away; any state, also while running. */
	int (*set_vq_call)(struct parent *p, unsigned int q, int eventfd);
	int (*set_config_call)(struct parent *p, int eventfd);

	/* Vectors (PCI): choose and read back; 0xffff is NO_VECTOR. */
	int (*set_vq_vector)(struct parent *p, unsigned int q, uint16_t vector, uint16_t *seen);
	int (*get_vq_vector)(struct parent *p, unsigned int q, uint16_t *vector);

	int (*get_notify_area)(struct parent *p, unsigned int q, uint64_t *off, uint64_t *size);

	/* Groups and address spaces. */
	int (*get_group_count)(struct parent *p, unsigned int *count);
	int (*get_as_count)(struct parent *p, unsigned int *count);
	int (*get_vq_group)(struct parent *p, unsigned int q, unsigned int *group);
	int (*set_group_asid)(struct parent *p, unsigned int group, uint32_t asid);

	/* Memory; any state. After unmap returns nothing reaches the range. */
	int (*dma_map)(struct parent *p, const struct parent_dma *map);
	int (*dma_unmap)(struct parent *p, uint32_t asid, uint64_t iova, uint64_t size);

	/* Whole-device stop; DRIVER_OK stays. */
	int (*suspend)(struct parent *p);
	int (*resume)(struct parent *p);

	/*
	 * Dirty log: one bit per 4096-byte page of IOVA from 0, lowest bit of byte 0 first, written
	 * into memory at @iova of @size bytes, which is mapped. log_marks_rings: does this kind
	 * mark ring pages too, or packet buffers alone? Any state, also while running.
	 */
	int (*log_start)(struct parent *p, uint64_t iova, uint64_t size);
	int (*log_stop)(struct parent *p);
	bool log_marks_rings;

	/* Registers, for checks of the register map itself. */
	const struct pci_access *(*pci)(struct parent *p);
	int (*vdpa_fd)(struct parent *p);

	/*
	 * Progress. pump: do what this kind can do without waiting (in-process: run one event);
	 * returns >0 if something was done, 0 if nothing is left to do (only if CAP_EXACT_SETTLE is
	 * that final), negative if the parent died. wait_fds: descriptors to poll(2) on while
	 * waiting.
	 */
	int (*pump)(struct parent *p);

	/* Peer on the wire: send towards the device, take what the device sent. 0: nothing there.
	 */
	int (*peer_send)(struct parent *p, const struct parent_frame *frame);
	int (*peer_recv)(struct parent *p, struct parent_frame *frame, uint8_t *buf, uint32_t size);
	int (*set_link)(struct parent *p, bool up);
	/* Make the device ask its driver for an announcement (VIRTIO_NET_S_ANNOUNCE), as after a
	 * migration; while DRIVER_OK. */
	int (*announce)(struct parent *p);

	void (*close)(struct parent *p);
};

/** enum peer_kind - what stands on the wire side */
enum peer_kind {
	PEER_NONE, /* nothing known: traffic checks are skipped */
	PEER_ECHO, /* the wire is a loopback: what is sent comes back */
	PEER_OWN,  /* frames are seen and injected by the suite: peer_send, peer_recv */
};

#define PARENT_TRACE 64

struct parent {
	const struct parent_ops *ops;
	uint32_t caps;
	struct parent_info info;
	enum peer_kind peer;
	void *priv;

	/* kept by the wrappers */
	char trace[PARENT_TRACE][96];
	unsigned int traced;
	const char *inside; /* operation that runs now, NULL outside: says whose a crash is */
	uint8_t status;	    /* last status written, for the order of calls */
	bool dead;
};

/** struct parent_options - beside the address */
struct parent_options {
	const char *peer; /* loopback, stream:SOCKET, tap:NAME, packet:IFACE, none; NULL: the kind's
			     own */
	uint64_t seed;
	const char *defect; /* sim: switch this seeded defect on; NULL for none */
	char *error;	    /* sentence on failure */
	size_t error_size;
};

/**
 * parent_open() - open a parent by its address
 *
 * Return: 0; -EINVAL unknown kind or malformed address, other errno of the kind: the environment is
 * broken, @opts->error says what to do.
 */
int parent_open(const char *address, const struct parent_options *opts, struct parent **p);
void parent_close(struct parent *p);

/** parent_kinds() - the table of kinds, ended by NULL, for `vqcert run --help` */
struct parent_kind;
const struct parent_kind *const *parent_kinds(void);

/**
 * struct parent_kind - a line of the table of kinds (parent.c): one file each
 *
 * sim: takes overrides of the profile after its name, "sim:ifcvf,fabric=delayed,window=1"; `prove`
 * uses them to repeat the clean run on the delayed fabric.
 */
struct parent_kind {
	const char *prefix; /* "sim:" */
	const char *help;
	int (*open)(const char *rest, const struct parent_options *opts, struct parent *p);
};

extern const struct parent_kind parent_kind_sim, parent_kind_vfio_user, parent_kind_vhost_vdpa;

/* Wrappers: same meaning as the operation; -EOPNOTSUPP if the kind does not have it. */
int parent_get_device_id(struct parent *p, uint32_t *id);
int parent_get_vendor_id(struct parent *p, uint32_t *id);
int parent_get_device_features(struct parent *p, uint64_t *features);
int parent_set_driver_features(struct parent *p, uint64_t features);
int parent_get_driver_features(struct parent *p, uint64_t *features);
int parent_get_status(struct parent *p, uint8_t *status);
int parent_set_status(struct parent *p, uint8_t status);
int parent_reset(struct parent *p);
int parent_get_config(struct parent *p, uint32_t off, void *buf, uint32_t len);
int parent_set_config(struct parent *p, uint32_t off, const void *buf, uint32_t len);
int parent_get_config_size(struct parent *p, uint32_t *size);
int parent_get_generation(struct parent *p, uint32_t *generation);
int parent_get_vq_count(struct parent *p, unsigned int *count);
int parent_get_vq_size_max(struct parent *p, unsigned int q, uint16_t *size);
int parent_get_vq_size_min(struct parent *p, uint16_t *size);
int parent_get_vq_align(struct parent *p, uint32_t *align);
int parent_set_vq_address(struct parent *p, unsigned int q, uint64_t desc, uint64_t driver,
			  uint64_t device);
int parent_set_vq_size(struct parent *p, unsigned int q, uint16_t size);
int parent_set_vq_ready(struct parent *p, unsigned int q, bool ready);
int parent_get_vq_ready(struct parent *p, unsigned int q, bool *ready);
int parent_get_vq_state(struct parent *p, unsigned int q, struct vq_state *state);
int parent_set_vq_state(struct parent *p, unsigned int q, const struct vq_state *state);
int parent_vq_stop(struct parent *p, unsigned int q, struct vq_state *state);
int parent_vq_reset(struct parent *p, unsigned int q);
int parent_kick(struct parent *p, unsigned int q);
int parent_kick_data(struct parent *p, unsigned int q, uint32_t data);
int parent_set_vq_call(struct parent *p, unsigned int q, int eventfd);
int parent_set_config_call(struct parent *p, int eventfd);
int parent_set_vq_vector(struct parent *p, unsigned int q, uint16_t vector, uint16_t *seen);
int parent_get_vq_vector(struct parent *p, unsigned int q, uint16_t *vector);
int parent_get_notify_area(struct parent *p, unsigned int q, uint64_t *off, uint64_t *size);
int parent_get_group_count(struct parent *p, unsigned int *count);
int parent_get_as_count(struct parent *p, unsigned int *count);
int parent_get_vq_group(struct parent *p, unsigned int q, unsigned int *group);
int parent_set_group_asid(struct parent *p, unsigned int group, uint32_t asid);
int parent_dma_map(struct parent *p, const struct parent_dma *map);
int parent_dma_unmap(struct parent *p, uint32_t asid, uint64_t iova, uint64_t size);
int parent_suspend(struct parent *p);
int parent_resume(struct parent *p);
int parent_log_start(struct parent *p, uint64_t iova, uint64_t size);
int parent_log_stop(struct parent *p);
int parent_peer_send(struct parent *p, const struct parent_frame *frame);
int parent_peer_recv(struct parent *p, struct parent_frame *frame, uint8_t *buf, uint32_t size);
int parent_set_link(struct parent *p, bool up);
int parent_announce(struct parent *p);

/**
 * parent_wait() - wait until @cond holds
 *
 * In-process: runs events until it holds or none is left. Elsewhere: polls until @timeout_ms.
 * Return: did it come to hold? A parent that died ends the wait (p->dead).
 */
bool parent_wait(struct parent *p, bool (*cond)(void *arg), void *arg, unsigned int timeout_ms);

/**
 * parent_settle() - before a check claims that something did NOT happen
 *
 * In-process: until no event is pending (exact). Elsewhere: a register or ioctl round trip and then
 * a bounded window, which the report states. Return: 0, negative if the parent died.
 */
int parent_settle(struct parent *p);

/** parent_settle_text() - how settle() decides for this parent, for the report */
const char *parent_settle_text(const struct parent *p);

/** parent_defects() - names of the simulator's seeded defects, for `vqcert prove` (parent/sim.c) */
struct parent_defect {
	const char *name, *area, *personality, *requirements, *what;
};
const struct parent_defect *parent_defects(size_t *count);

#endif
