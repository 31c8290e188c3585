/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vqnic - the simulated NIC as a library
 *
 * How it works. A NIC is made from a profile and then lives entirely inside the calls below: one
 * caller thread, one event queue, no globals, so that several NICs may live in one process. A
 *region write changes registers and at most schedules an event at the present simulated time; the
 *datapath runs in vqnic_run_to(). Time is in picoseconds of simulated time and moves only there.
 *
 * A caller plays the PCI host: it reads and writes regions, maps memory that the NIC may reach by
 * DMA, hands in eventfds for interrupts, plugs wires, and runs events:
 *
 *	while (vqnic_next_event(nic) != VQNIC_NEVER)
 *		vqnic_run_to(nic, vqnic_next_event(nic));
 *
 * Numbers of regions and interrupts are those of VFIO: regions 0 to 5 are the BARs, 7 is the
 * configuration space; interrupt index 0 is INTx, 2 is MSI-X.
 *
 * Every function that can fail returns a negative errno; those that load something from outside
 * also fill a sentence for people (what, where, what to do). Nothing here prints.
 */
#ifndef VQNIC_H
#define VQNIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VQNIC_NEVER UINT64_MAX

struct vqnic;

/** struct vqnic_error - a sentence for people that goes with a negative errno */
struct vqnic_error {
	char text[512];
};

/**
 * struct vqnic_config - what a NIC is made from; borrowed for the call only
 * @profile:   name of a profile (looked for in $VQNIC_PROFILES, beside the sources the program was
 *             built from, and where it is installed) or the path of a file (anything with a '/')
 * @overrides: NULL-terminated "key=value" or "section.key=value", applied after the file; NULL for
 * none
 * @defects:   NULL-terminated names of seeded defects to switch on; NULL for none
 * @seed:      seeds every random choice of this NIC (delays, ordering)
 */
struct vqnic_config {
	const char *profile;
	const char *const *overrides;
	const char *const *defects;
	uint64_t seed;
};

/**
 * vqnic_create() - build a NIC from a profile
 *
 * Return: 0 and *@nic, owned by the caller until vqnic_destroy(); -ENOENT no such profile or
 * defect, -EINVAL malformed profile or override (@err names file, line and key), -ENOMEM.
 */
int vqnic_create(const struct vqnic_config *cfg, struct vqnic **nic, struct vqnic_error *err);

/** vqnic_destroy() - end a NIC at once: in-flight work is cancelled, maps, eventfds, wires released
 */
void vqnic_destroy(struct vqnic *nic);

/* ---- What it is ---------------------------------------------------------------------------- */

/** vqnic_functions() - number of PCI functions; they are numbered from 0 */
unsigned int vqnic_functions(const struct vqnic *nic);

/** vqnic_profile_name() - the profile's name, for messages; lives as long as the NIC */
const char *vqnic_profile_name(const struct vqnic *nic);

enum { VQNIC_REGION_BAR0 = 0, VQNIC_REGION_ROM = 6, VQNIC_REGION_CONFIG = 7, VQNIC_REGIONS = 9 };

#define VQNIC_REGION_READ  1u
#define VQNIC_REGION_WRITE 2u
#define VQNIC_REGION_MMAP  4u

#define VQNIC_MMAP_AREAS 4

/**
 * struct vqnic_region_info - a region as VFIO describes it
 * @size:    bytes; 0 for a region that is not there
 * @flags:   VQNIC_REGION_*
 * @fd:      with VQNIC_REGION_MMAP: what to map; owned by the NIC
 * @nr_areas: with VQNIC_REGION_MMAP: the parts that may be mapped (sparse); 0 means all of it
 */
struct vqnic_region_info {
	uint64_t size;
	uint32_t flags;
	int fd;
	unsigned int nr_areas;
	struct {
		uint64_t offset;
		uint64_t size;
	} areas[VQNIC_MMAP_AREAS];
};

/** vqnic_region_info() - Return: 0; -ENODEV no such function, -EINVAL no such region number */
int vqnic_region_info(struct vqnic *nic, unsigned int fn, unsigned int region,
		      struct vqnic_region_info *info);

/* ---- Registers ----------------------------------------------------------------------------- */

/**
 * vqnic_region_read() - a driver reads @len bytes at @off
 *
 * Never waits and never runs the datapath. What hardware would answer with all-ones (holes,
 * unaligned or odd-sized accesses to registers) is answered so, with 0.
 * Return: 0; -ENODEV, -EINVAL region or range that does not exist.
 */
int vqnic_region_read(struct vqnic *nic, unsigned int fn, unsigned int region, uint64_t off,
		      void *buf, size_t len);

/** vqnic_region_write() - a driver writes; as vqnic_region_read() */
int vqnic_region_write(struct vqnic *nic, unsigned int fn, unsigned int region, uint64_t off,
		       const void *buf, size_t len);

/**
 * vqnic_reset() - reset a function as FLR and VFIO's device reset do
 *
 * In-flight work is cancelled at once, in no simulated time: after the return nothing of it writes
 * memory or interrupts. DMA maps and eventfds stay, they belong to the client.
 */
int vqnic_reset(struct vqnic *nic, unsigned int fn);

/**
 * vqnic_detach() - the client is gone: reset the function, drop its maps and eventfds
 */
int vqnic_detach(struct vqnic *nic, unsigned int fn);

/* ---- Interrupts ---------------------------------------------------------------------------- */

enum {
	VQNIC_IRQ_INTX = 0,
	VQNIC_IRQ_MSI,
	VQNIC_IRQ_MSIX,
	VQNIC_IRQ_ERR,
	VQNIC_IRQ_REQ,
	VQNIC_IRQS
};

/** vqnic_irq_count() - vectors of an interrupt index (0 if it is not there); -ENODEV, -EINVAL */
int vqnic_irq_count(struct vqnic *nic, unsigned int fn, unsigned int index);

/**
 * vqnic_irq_set_eventfd() - say where a vector signals
 * @fd: an eventfd, duplicated by the NIC; -1 takes the assignment away
 *
 * Return: 0; -ENODEV, -EINVAL no such vector, -EBADF, -EMFILE.
 */
int vqnic_irq_set_eventfd(struct vqnic *nic, unsigned int fn, unsigned int index,
			  unsigned int vector, int fd);

/** vqnic_irq_mask() - mask or unmask INTx; unmasking while it is asserted signals again; -EINVAL
 * else */
int vqnic_irq_mask(struct vqnic *nic, unsigned int fn, unsigned int index, unsigned int vector,
		   bool masked);

/** vqnic_irq_trigger() - signal a vector as if the device had; for VFIO's loopback test; -EINVAL */
int vqnic_irq_trigger(struct vqnic *nic, unsigned int fn, unsigned int index, unsigned int vector);

/* ---- Memory -------------------------------------------------------------------------------- */

#define VQNIC_PROT_READ	 1u /* the NIC may read it */
#define VQNIC_PROT_WRITE 2u

/**
 * struct vqnic_dma_map - memory that a function may reach
 * @fd: descriptor to map @size bytes of at @offset (duplicated or mapped at once, the caller keeps
 *      its own); -1: reached by the message calls of vqnic_dma_set_ops()
 * @asid: address space, 0 unless the function has several
 */
struct vqnic_dma_map {
	uint64_t iova;
	uint64_t size;
	int fd;
	uint64_t offset;
	uint32_t prot;
	uint32_t asid;
};

/**
 * vqnic_dma_map() - Return: 0; -ENODEV; -EINVAL zero size, wrap or unknown bits; -EEXIST overlaps
 * an earlier map; -ENOSPC too many maps; errno of mmap()
 */
int vqnic_dma_map(struct vqnic *nic, unsigned int fn, const struct vqnic_dma_map *map);

/**
 * vqnic_dma_unmap() - take [@iova, @iova + @size) away
 *
 * In-flight accesses to the range end first, in no simulated time; after the return nothing reaches
 * it. Maps that reach beyond the range are trimmed or split. A range without any map is not an
 * error.
 * @unmapped, if not NULL, gets the number of bytes that were mapped. @size 0 with @iova 0 means
 * all.
 */
int vqnic_dma_unmap(struct vqnic *nic, unsigned int fn, uint32_t asid, uint64_t iova, uint64_t size,
		    uint64_t *unmapped);

/**
 * struct vqnic_dma_ops - how memory mapped without a descriptor is reached
 *
 * Both start an access and return; the answer comes by vqnic_dma_complete() with @token, later and
 * never inside the call. A negative return fails the access at once.
 */
struct vqnic_dma_ops {
	int (*read)(void *ctx, uint64_t iova, uint32_t len, uint64_t token);
	int (*write)(void *ctx, uint64_t iova, const void *data, uint32_t len, uint64_t token);
};

int vqnic_dma_set_ops(struct vqnic *nic, unsigned int fn, const struct vqnic_dma_ops *ops,
		      void *ctx);

/** vqnic_dma_complete() - answer a message access; unknown tokens give -ENOENT and change nothing
 */
int vqnic_dma_complete(struct vqnic *nic, unsigned int fn, uint64_t token, int status,
		       const void *data, uint32_t len);

/* ---- Wires --------------------------------------------------------------------------------- */

/* What is still to be done to a frame, as in struct virtio_net_hdr (host byte order). */
#define VQNIC_FRAME_NEEDS_CSUM 1u
#define VQNIC_FRAME_DATA_VALID 2u

enum {
	VQNIC_GSO_NONE = 0,
	VQNIC_GSO_TCPV4 = 1,
	VQNIC_GSO_UDP = 3,
	VQNIC_GSO_TCPV6 = 4,
	VQNIC_GSO_UDP_L4 = 5,
	VQNIC_GSO_ECN = 0x80
};

/* Longest frame: an IPv4 datagram of 65535 bytes behind an Ethernet header with two VLAN tags. */
#define VQNIC_FRAME_MAX 65557u

/**
 * struct vqnic_frame - an Ethernet frame without FCS on its way between NIC and wire
 * @data, @len: borrowed for the call only
 */
struct vqnic_frame {
	const uint8_t *data;
	uint32_t len;
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
};

#define VQNIC_WIRE_OFFLOADS 1u /* carries NEEDS_CSUM and GSO frames; else the NIC finishes them */

/**
 * struct vqnic_wire_ops - the other side of a MAC, moving bytes only
 * @transmit: the NIC sends a frame; copies what it keeps. 0 or -ENOBUFS (dropped and counted).
 *            Must not call back into the NIC but for vqnic_wire_receive().
 * @flush:    the NIC has no more frames for now; may be NULL
 * @poll_fd:  descriptor that is readable when @poll would find frames; -1 if there is none; may be
 * NULL
 * @poll:     move at most @budget arrived frames into the NIC by vqnic_wire_receive();
 *            returns how many; may be NULL
 * @close:    the NIC lets go of the wire; may be NULL
 */
struct vqnic_wire_ops {
	uint32_t caps;
	int (*transmit)(void *ctx, const struct vqnic_frame *frame);
	void (*flush)(void *ctx);
	int (*poll_fd)(void *ctx);
	int (*poll)(void *ctx, unsigned int budget);
	void (*close)(void *ctx);
};

/** vqnic_wire_plug() - plug a wire of the caller's into a port, in place of the one before; -ENODEV
 */
int vqnic_wire_plug(struct vqnic *nic, unsigned int port, const struct vqnic_wire_ops *ops,
		    void *ctx);

/**
 * vqnic_wire_open() - plug a wire by its address
 * @address: tap:NAME, loopback, stream:SOCKET, wire:NAME (joins NICs of this process),
 *           pcap:FILE,ADDRESS (a tee in front of another wire), none
 *
 * Return: 0, or a negative errno with a sentence in @err.
 */
int vqnic_wire_open(struct vqnic *nic, unsigned int port, const char *address,
		    struct vqnic_error *err);

/**
 * vqnic_wire_receive() - a frame arrives from the wire; it is copied
 *
 * Return: 0; -ENOBUFS the receive FIFO is full, the frame is dropped and counted; -EMSGSIZE.
 */
int vqnic_wire_receive(struct vqnic *nic, unsigned int port, const struct vqnic_frame *frame);

/** vqnic_link_set() - carrier on or off, as if a cable were pulled; drivers see a config change */
int vqnic_link_set(struct vqnic *nic, unsigned int port, bool up);

/** vqnic_announce() - ask the driver to announce itself (VIRTIO_NET_S_ANNOUNCE); -EOPNOTSUPP */
int vqnic_announce(struct vqnic *nic, unsigned int port);

/* ---- Time ---------------------------------------------------------------------------------- */

/** vqnic_now() - simulated time, ps */
uint64_t vqnic_now(const struct vqnic *nic);

/** vqnic_next_event() - when the next event is due, ps, or VQNIC_NEVER; never before vqnic_now() */
uint64_t vqnic_next_event(const struct vqnic *nic);

/**
 * vqnic_run_to() - run every event up to and including @t_ps, and move time there
 *
 * Return: number of events that ran; -EINVAL @t_ps lies in the past.
 */
int vqnic_run_to(struct vqnic *nic, uint64_t t_ps);

/**
 * vqnic_run() - run at most @budget events, however far time moves; for callers that are not timed
 *
 * Return: number of events that ran; 0: nothing is due at all.
 */
int vqnic_run(struct vqnic *nic, unsigned int budget);

/**
 * vqnic_run_until() - as vqnic_run_to(), but at most @budget events
 *
 * For live loops, with @t_ps from the wall clock. Time is at @t_ps after it if fewer than @budget
 * events ran. Return: number of events that ran; -EINVAL @t_ps lies in the past.
 */
int vqnic_run_until(struct vqnic *nic, uint64_t t_ps, unsigned int budget);

/** vqnic_poll_fd() - an epoll descriptor, readable when a wire has frames; owned by the NIC */
int vqnic_poll_fd(struct vqnic *nic);

/** vqnic_poll() - take in what arrived on the wires, look at polled queues; Return: number of
 * frames */
int vqnic_poll(struct vqnic *nic);

/**
 * vqnic_set_live() - the NIC is driven by a loop that calls vqnic_poll() again and again: queues
 * may stay polled, with kicks suppressed, after their last work. Off at first: every queue arms its
 * notifications as soon as it has no more work.
 */
void vqnic_set_live(struct vqnic *nic, bool live);

/**
 * vqnic_busy() - is a queue still polled (its kicks suppressed) after its last work?
 *
 * For live loops: while true, call vqnic_run() again instead of sleeping, and call
 * vqnic_idle() when the profile's poll time has gone by without work; that arms notifications.
 */
bool vqnic_busy(const struct vqnic *nic);
void vqnic_idle(struct vqnic *nic);

/**
 * vqnic_progress() - a number that grows with every doorbell, descriptor and frame
 *
 * What a live loop goes by to tell work from looking for work: polling a queue runs events, too.
 */
uint64_t vqnic_progress(const struct vqnic *nic);

/** vqnic_poll_us() - how long a live loop keeps polling after the last work (profile key), us */
unsigned int vqnic_poll_us(const struct vqnic *nic);

/** vqnic_nap_us() - how long it rests between two looks meanwhile (profile key), us; 0: not at all
 */
unsigned int vqnic_nap_us(const struct vqnic *nic);

/* ---- Counters and defects ------------------------------------------------------------------ */

struct vqnic_counters {
	uint64_t tx_frames, tx_bytes, tx_drops;
	uint64_t rx_frames, rx_bytes, rx_drops;
	uint64_t doorbells, interrupts;
	uint64_t descriptors, dma_reads, dma_writes, dma_read_bytes, dma_write_bytes, dma_errors;
	uint64_t events;
};

void vqnic_counters(const struct vqnic *nic, struct vqnic_counters *out);

/**
 * struct vqnic_defect - a seeded defect
 * @requirements: ids of the catalogue that it breaks, separated by blanks
 * @personality:  "any", "virtio-pci" or "ifcvf": the one it shows on
 */
struct vqnic_defect {
	const char *name;
	const char *area;
	const char *personality;
	const char *requirements;
	const char *what;
};

/** vqnic_defects() - the table of seeded defects; static */
const struct vqnic_defect *vqnic_defects(size_t *count);

/**
 * vqnic_profile_path() - find a profile's file; Return: 0, -ENOENT, -ENAMETOOLONG
 */
int vqnic_profile_path(const char *profile, char *path, size_t size);

#endif
