/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A NIC: one fabric, its functions and ports, and the set of seeded defects
 *
 * How it works. vqnic_create() builds from the bottom up: fabric, ports, functions (which make
 * their device). Every call of vqnic.h finds the function it is for and passes the call down.
 * Wires are watched by one epoll descriptor, so that a loop needs to know only that.
 */
#include "vqnic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "datapath/port.h"
#include "defects/defects.h"
#include "device/device.h"
#include "fabric/fabric.h"
#include "fabric/txn.h"
#include "pci/function.h"
#include "profile.h"
#include "util.h"
#include "wire/wire.h"

#define FUNCTIONS  1u
#define PORTS	   1u
#define POLL_BATCH 64u

struct vqnic {
	struct profile profile;
	struct defect_set defects;
	struct fabric *fab;
	struct port *ports[PORTS];
	struct function *functions[FUNCTIONS];
	struct vqnic_counters counters;
	int epoll;
	bool wire_waits[PORTS]; /* it may have frames, but the queues are full */
	int wire_fd[PORTS];	/* watched; -1: none */
};

static int switch_on(struct vqnic *nic, const char *const *names, struct vqnic_error *err)
{
	for (; names && *names; names++) {
		int id = defect_find(*names);

		if (id < 0) {
			snprintf(err->text, sizeof(err->text),
				 "there is no seeded defect '%s'; `vqnic defects` lists them",
				 *names);
			return -ENOENT;
		}
		nic->defects.on[id] = true;
	}
	return 0;
}

static int build(struct vqnic *nic, const struct vqnic_config *cfg, struct vqnic_error *err)
{
	int r;

	r = profile_load(cfg->profile, cfg->overrides, &nic->profile, err);
	if (r)
		return r;
	r = switch_on(nic, cfg->defects, err);
	if (r)
		return r;
	nic->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (nic->epoll < 0) {
		r = -errno;
		snprintf(err->text, sizeof(err->text), "epoll: %s", strerror(-r));
		return r;
	}
	r = nic->profile.fabric == FABRIC_DELAYED
		    ? fabric_delayed_create(cfg->seed, nic->profile.max_delay_ps, &nic->fab)
		    : fabric_direct_create(&nic->fab);
	for (unsigned int i = 0; !r && i < PORTS; i++)
		r = port_create(nic->profile.rx_fifo, &nic->counters, &nic->ports[i]);
	for (unsigned int i = 0; !r && i < FUNCTIONS; i++) {
		const struct function_env env = {
			.index = i,
			.fab = nic->fab,
			.defects = &nic->defects,
			.profile = &nic->profile,
			.port = nic->ports[i],
		};

		err->text[0] = '\0';
		r = function_create(&env, &nic->functions[i], err);
		if (r && err->text[0])
			return r;
	}
	if (r)
		snprintf(err->text, sizeof(err->text), "profile '%s': %s", cfg->profile,
			 strerror(-r));
	return r;
}

int vqnic_create(const struct vqnic_config *cfg, struct vqnic **out, struct vqnic_error *err)
{
	struct vqnic *nic = calloc(1, sizeof(*nic));
	int r;

	if (!nic) {
		snprintf(err->text, sizeof(err->text), "out of memory");
		return -ENOMEM;
	}
	nic->epoll = -1;
	for (unsigned int i = 0; i < PORTS; i++)
		nic->wire_fd[i] = -1;
	r = build(nic, cfg, err);
	if (r) {
		vqnic_destroy(nic);
		return r;
	}
	*out = nic;
	return 0;
}

void vqnic_destroy(struct vqnic *nic)
{
	if (!nic)
		return;
	for (unsigned int i = 0; i < PORTS; i++)
		if (nic->ports[i])
			vqnic_wire_plug(nic, i, NULL, NULL);
	for (unsigned int i = 0; i < FUNCTIONS; i++)
		function_destroy(nic->functions[i]);
	for (unsigned int i = 0; i < PORTS; i++)
		port_destroy(nic->ports[i]);
	if (nic->fab)
		nic->fab->ops->destroy(nic->fab);
	if (nic->epoll >= 0)
		close(nic->epoll);
	free(nic);
}

unsigned int vqnic_functions(const struct vqnic *nic)
{
	(void)nic;
	return FUNCTIONS;
}

const char *vqnic_profile_name(const struct vqnic *nic)
{
	return nic->profile.name;
}

/* ---- Functions ------------------------------------------------------------------------------- */

static struct function *function_of(struct vqnic *nic, unsigned int fn)
{
	return fn < FUNCTIONS ? nic->functions[fn] : NULL;
}

/* Pass a call down to its function. */
#define PASS(nic, fn, call, ...)                               \
	do {                                                   \
		struct function *f_ = function_of(nic, fn);    \
                                                               \
		return f_ ? call(f_, ##__VA_ARGS__) : -ENODEV; \
	} while (0)

int vqnic_region_info(struct vqnic *nic, unsigned int fn, unsigned int region,
		      struct vqnic_region_info *info)
{
	PASS(nic, fn, function_region_info, region, info);
}

int vqnic_region_read(struct vqnic *nic, unsigned int fn, unsigned int region, uint64_t off,
		      void *buf, size_t len)
{
	PASS(nic, fn, function_region_read, region, off, buf, len);
}

int vqnic_region_write(struct vqnic *nic, unsigned int fn, unsigned int region, uint64_t off,
		       const void *buf, size_t len)
{
	PASS(nic, fn, function_region_write, region, off, buf, len);
}

int vqnic_reset(struct vqnic *nic, unsigned int fn)
{
	PASS(nic, fn, function_reset);
}

int vqnic_detach(struct vqnic *nic, unsigned int fn)
{
	PASS(nic, fn, function_detach);
}

int vqnic_irq_count(struct vqnic *nic, unsigned int fn, unsigned int index)
{
	PASS(nic, fn, function_irq_count, index);
}

int vqnic_irq_set_eventfd(struct vqnic *nic, unsigned int fn, unsigned int index,
			  unsigned int vector, int fd)
{
	PASS(nic, fn, function_irq_set_eventfd, index, vector, fd);
}

int vqnic_irq_mask(struct vqnic *nic, unsigned int fn, unsigned int index, unsigned int vector,
		   bool masked)
{
	PASS(nic, fn, function_irq_mask, index, vector, masked);
}

int vqnic_irq_trigger(struct vqnic *nic, unsigned int fn, unsigned int index, unsigned int vector)
{
	PASS(nic, fn, function_irq_trigger, index, vector);
}

int vqnic_dma_map(struct vqnic *nic, unsigned int fn, const struct vqnic_dma_map *map)
{
	PASS(nic, fn, function_dma_map, map);
}

int vqnic_dma_unmap(struct vqnic *nic, unsigned int fn, uint32_t asid, uint64_t iova, uint64_t size,
		    uint64_t *unmapped)
{
	PASS(nic, fn, function_dma_unmap, asid, iova, size, unmapped);
}

int vqnic_dma_set_ops(struct vqnic *nic, unsigned int fn, const struct vqnic_dma_ops *ops,
		      void *ctx)
{
	struct function *f = function_of(nic, fn);
	struct iova_space *space;

	if (!f)
		return -ENODEV;
	for (uint32_t asid = 0; (space = function_space(f, asid)); asid++)
		iova_space_set_ops(space, ops, ctx);
	return 0;
}

int vqnic_dma_complete(struct vqnic *nic, unsigned int fn, uint64_t token, int status,
		       const void *data, uint32_t len)
{
	struct function *f = function_of(nic, fn);
	struct iova_space *space;

	if (!f)
		return -ENODEV;
	for (uint32_t asid = 0; (space = function_space(f, asid)); asid++)
		if (!txn_answer(space, token, status, data, len))
			return 0;
	return -ENOENT;
}

/* ---- Wires ------------------------------------------------------------------------------------
 */

static void unwatch(struct vqnic *nic, unsigned int port)
{
	if (nic->wire_fd[port] >= 0)
		epoll_ctl(nic->epoll, EPOLL_CTL_DEL, nic->wire_fd[port], NULL);
	nic->wire_fd[port] = -1;
}

/* A wire's descriptor may come and go (a stream that is connected later). */
static void watch(struct vqnic *nic, unsigned int port)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = port};
	const struct vqnic_wire_ops *ops;
	void *ctx;
	int fd;

	ops = port_wire(nic->ports[port], &ctx);
	fd = ops && ops->poll_fd ? ops->poll_fd(ctx) : -1;
	if (fd == nic->wire_fd[port])
		return;
	unwatch(nic, port);
	if (fd >= 0 && !epoll_ctl(nic->epoll, EPOLL_CTL_ADD, fd, &ev))
		nic->wire_fd[port] = fd;
}

int vqnic_wire_plug(struct vqnic *nic, unsigned int port, const struct vqnic_wire_ops *ops,
		    void *ctx)
{
	if (port >= PORTS)
		return -ENODEV;
	unwatch(nic, port);
	port_plug(nic->ports[port], ops, ctx);
	watch(nic, port);
	return 0;
}

static int wire_receive(void *ctx, const struct vqnic_frame *frame)
{
	return port_receive(ctx, frame);
}

static uint8_t *wire_reserve(void *ctx)
{
	return port_reserve(ctx);
}

static void wire_link(void *ctx, bool up)
{
	port_set_link(ctx, up);
}

int vqnic_wire_open(struct vqnic *nic, unsigned int port, const char *address,
		    struct vqnic_error *err)
{
	const struct vqnic_wire_ops *ops;
	struct wire_end end;
	void *wire;
	int r;

	if (port >= PORTS) {
		snprintf(err->text, sizeof(err->text), "there is no port %u", port);
		return -ENODEV;
	}
	end = (struct wire_end){
		.receive = wire_receive,
		.reserve = wire_reserve,
		.link = wire_link,
		.ctx = nic->ports[port],
	};
	r = wire_open(address, &end, &ops, &wire, err);
	return r ? r : vqnic_wire_plug(nic, port, ops, wire);
}

int vqnic_wire_receive(struct vqnic *nic, unsigned int port, const struct vqnic_frame *frame)
{
	return port < PORTS ? port_receive(nic->ports[port], frame) : -ENODEV;
}

int vqnic_link_set(struct vqnic *nic, unsigned int port, bool up)
{
	if (port >= PORTS)
		return -ENODEV;
	port_set_link(nic->ports[port], up);
	return 0;
}

int vqnic_announce(struct vqnic *nic, unsigned int port)
{
	return port < PORTS ? vdev_announce(function_device(nic->functions[port])) : -ENODEV;
}

int vqnic_poll_fd(struct vqnic *nic)
{
	return nic->epoll;
}

static unsigned int wire_room(struct vqnic *nic, unsigned int port)
{
	unsigned int fifo = port_room(nic->ports[port]);
	unsigned int queues = vdev_rx_room(function_device(nic->functions[port]));

	return fifo < queues ? fifo : queues;
}

/* Wires that were left waiting are looked at again once there is room. */
static void resume_wires(struct vqnic *nic)
{
	for (unsigned int i = 0; i < PORTS; i++) {
		if (nic->wire_waits[i] && wire_room(nic, i)) {
			nic->wire_waits[i] = false;
			watch(nic, i);
		}
	}
}

int vqnic_poll(struct vqnic *nic)
{
	int frames = 0;

	for (unsigned int i = 0; i < PORTS; i++) {
		unsigned int room = wire_room(nic, i);
		const struct vqnic_wire_ops *ops;
		void *ctx;
		int n;

		if (!room) { /* or its descriptor would wake the loop again and again */
			unwatch(nic, i);
			nic->wire_waits[i] = true;
			continue;
		}
		watch(nic, i);
		ops = port_wire(nic->ports[i], &ctx);
		if (!ops || !ops->poll)
			continue;
		n = ops->poll(ctx, room < POLL_BATCH ? room : POLL_BATCH);
		if (n > 0)
			frames += n;
	}
	for (unsigned int i = 0; i < FUNCTIONS; i++) {
		function_poll_doorbells(nic->functions[i]);
		vdev_poll(function_device(nic->functions[i]));
	}
	return frames;
}

void vqnic_set_live(struct vqnic *nic, bool live)
{
	for (unsigned int i = 0; i < FUNCTIONS; i++)
		vdev_set_live(function_device(nic->functions[i]), live && nic->profile.poll_us);
}

bool vqnic_busy(const struct vqnic *nic)
{
	for (unsigned int i = 0; i < FUNCTIONS; i++)
		if (vdev_busy(function_device(nic->functions[i])) ||
		    function_has_doorbell_pages(nic->functions[i]))
			return true;
	return false;
}

void vqnic_idle(struct vqnic *nic)
{
	for (unsigned int i = 0; i < FUNCTIONS; i++)
		vdev_idle(function_device(nic->functions[i]));
}

uint64_t vqnic_progress(const struct vqnic *nic)
{
	const struct vqnic_counters *c = &nic->counters;

	return c->doorbells + c->descriptors + c->rx_frames + c->rx_drops;
}

unsigned int vqnic_poll_us(const struct vqnic *nic)
{
	return nic->profile.poll_us;
}

unsigned int vqnic_nap_us(const struct vqnic *nic)
{
	return nic->profile.nap_us;
}

/* ---- Time and counters ------------------------------------------------------------------------
 */

uint64_t vqnic_now(const struct vqnic *nic)
{
	return fab_now(nic->fab);
}

uint64_t vqnic_next_event(const struct vqnic *nic)
{
	return fab_next_event(nic->fab);
}

int vqnic_run_to(struct vqnic *nic, uint64_t t_ps)
{
	return fab_run_to(nic->fab, t_ps);
}

int vqnic_run_until(struct vqnic *nic, uint64_t t_ps, unsigned int budget)
{
	int n = fab_run_until(nic->fab, t_ps, budget);

	resume_wires(nic);
	return n;
}

int vqnic_run(struct vqnic *nic, unsigned int budget)
{
	return fab_run(nic->fab, budget);
}

void vqnic_counters(const struct vqnic *nic, struct vqnic_counters *out)
{
	const struct fab_stats *s = &nic->fab->stats;

	*out = nic->counters;
	out->dma_reads = s->reads;
	out->dma_writes = s->writes;
	out->dma_read_bytes = s->read_bytes;
	out->dma_write_bytes = s->write_bytes;
	out->dma_errors = s->errors;
	out->events = s->events;
}
