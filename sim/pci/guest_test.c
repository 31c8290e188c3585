/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's drivers against the whole NIC, through vqnic.h: each brings the function up in the
 * order of register accesses of a driver that exists (virtio_pci_modern, ifcvf of Linux 6.1 and
 * 6.12, DPDK's ifc), moves frames over a loopback wire by interrupts, and stops.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pci/pci_spec.h"
#include "spec.h"
#include "util.h"
#include "vqnic.h"

#define MEMORY	  (2u << 20)
#define IOVA	  UINT64_C(0x200000000)
#define RING	  64u
#define RING_STEP 0x4000u
#define BUFFERS	  0x40000u
#define BUFFER	  2048u
#define FRAME	  128u
#define HEADER	  12u
#define LOG	  UINT64_C(0x100000000000) /* where DPDK maps it */
#define LOG_SIZE  0x80000u

enum { RX = 0, TX = 1, QUEUES = 2 };

struct guest {
	struct vqnic *nic;
	uint8_t *mem;
	int fd;
	struct {
		unsigned int bar;
		uint32_t offset, length;
	} cap[6];
	uint32_t multiplier;
	unsigned int msix, express;
	unsigned int nvqs;
	uint16_t notify_off[QUEUES];
	uint16_t avail[QUEUES], used[QUEUES];
	int irq[16], intx;
	uint32_t sent, received;
};

/* ---- Access ---------------------------------------------------------------------------------- */

static uint32_t rd(struct guest *g, unsigned int region, uint64_t off, unsigned int len)
{
	uint32_t v = 0;

	assert_int_equal(vqnic_region_read(g->nic, 0, region, off, &v, len), 0);
	return v;
}

static void wr(struct guest *g, unsigned int region, uint64_t off, unsigned int len, uint32_t v)
{
	assert_int_equal(vqnic_region_write(g->nic, 0, region, off, &v, len), 0);
}

static uint32_t crd(struct guest *g, uint32_t off, unsigned int len)
{
	return rd(g, g->cap[VN_CAP_COMMON].bar, g->cap[VN_CAP_COMMON].offset + off, len);
}

static void cwr(struct guest *g, uint32_t off, unsigned int len, uint32_t v)
{
	wr(g, g->cap[VN_CAP_COMMON].bar, g->cap[VN_CAP_COMMON].offset + off, len, v);
}

static void run(struct guest *g)
{
	for (unsigned int i = 0; vqnic_next_event(g->nic) != VQNIC_NEVER; i++) {
		assert_true(i < 1000000);
		vqnic_run(g->nic, 1);
	}
}

static unsigned int heard(int fd)
{
	uint64_t v;

	return read(fd, &v, sizeof(v)) == sizeof(v) ? (unsigned int)v : 0;
}

/* ---- Probe ----------------------------------------------------------------------------------- */

/* virtio_pci_modern takes the first capability of a type, ifcvf the last: there must be one. */
static void probe(struct guest *g, bool ifcvf)
{
	unsigned int at, steps = 0;
	uint64_t size[6];

	for (unsigned int bar = 0; bar < 6; bar++) {
		struct vqnic_region_info info;

		assert_int_equal(vqnic_region_info(g->nic, 0, bar, &info), 0);
		size[bar] = info.size;
	}
	if (ifcvf) /* pcim_iomap_regions() of three BARs */
		assert_true(size[0] && size[2] && size[4]);
	assert_true(rd(g, 7, VN_PCI_STATUS, 2) & VN_PCI_STATUS_CAPABILITIES);
	for (at = rd(g, 7, VN_PCI_CAPABILITIES, 1); at; at = rd(g, 7, at + 1, 1)) {
		unsigned int id = rd(g, 7, at, 1), type = rd(g, 7, at + 3, 1);

		assert_true(++steps < 48);
		if (id == VN_PCI_CAP_MSIX)
			g->msix = at;
		if (id == VN_PCI_CAP_EXPRESS)
			g->express = at;
		if (id != VN_PCI_CAP_VENDOR || type == VN_CAP_PCI)
			continue;
		assert_in_range(type, VN_CAP_COMMON, VN_CAP_DEVICE);
		assert_int_equal(g->cap[type].length, 0);
		g->cap[type].bar = rd(g, 7, at + 4, 1);
		g->cap[type].offset = rd(g, 7, at + 8, 4);
		g->cap[type].length = rd(g, 7, at + 12, 4);
		assert_true(g->cap[type].length > 0);
		assert_true((uint64_t)g->cap[type].offset + g->cap[type].length <=
			    size[g->cap[type].bar]);
		if (type == VN_CAP_NOTIFY)
			g->multiplier = rd(g, 7, at + 16, 4);
	}
	for (unsigned int type = VN_CAP_COMMON; type <= VN_CAP_DEVICE; type++)
		assert_true(g->cap[type].length);
	assert_true(g->cap[VN_CAP_COMMON].length >= 56 && g->cap[VN_CAP_COMMON].offset % 4 == 0);
	/* Linux' vDPA core reads 24 bytes, ifcvf warns if there are fewer. */
	assert_true(g->cap[VN_CAP_DEVICE].length >= 24);
	if (ifcvf) { /* or vhost-vdpa can't map the doorbell */
		assert_int_equal(g->multiplier, 4096);
		assert_int_equal(g->cap[VN_CAP_NOTIFY].offset % 4096, 0);
	}
	g->nvqs = crd(g, VN_COMMON_NUM_QUEUES, 2);
	assert_true(g->nvqs >= QUEUES && g->nvqs <= 17);
	assert_true((rd(g, 7, g->msix + VN_MSIX_CONTROL, 2) & 0x7ff) + 1 >= g->nvqs + 1);
	wr(g, 7, VN_PCI_COMMAND, 2, VN_PCI_COMMAND_MEMORY | VN_PCI_COMMAND_MASTER);
}

static void attach(struct guest *g, const char *profile, const char *const *overrides,
		   const char *const *defects)
{
	struct vqnic_config cfg = {
		.profile = profile, .overrides = overrides, .defects = defects, .seed = 5};
	struct vqnic_error err = {{0}};
	struct vqnic_dma_map map = {.iova = IOVA, .size = MEMORY, .prot = 3};

	memset(g, 0, sizeof(*g));
	if (vqnic_create(&cfg, &g->nic, &err))
		fail_msg("%s", err.text);
	assert_int_equal(vqnic_wire_open(g->nic, 0, "loopback", &err), 0);
	g->fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(g->fd, MEMORY), 0);
	g->mem = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, g->fd, 0);
	assert_ptr_not_equal(g->mem, MAP_FAILED);
	map.fd = g->fd;
	assert_int_equal(vqnic_dma_map(g->nic, 0, &map), 0);
	/* The upper half of memory again, where DPDK puts the log. */
	map.iova = LOG;
	map.size = LOG_SIZE;
	map.offset = MEMORY - LOG_SIZE;
	assert_int_equal(vqnic_dma_map(g->nic, 0, &map), 0);
	probe(g, strncmp(profile, "ifcvf", 5) == 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(g->irq); i++) {
		g->irq[i] = -1;
		if ((int)i >= vqnic_irq_count(g->nic, 0, VQNIC_IRQ_MSIX))
			continue;
		g->irq[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		assert_int_equal(vqnic_irq_set_eventfd(g->nic, 0, VQNIC_IRQ_MSIX, i, g->irq[i]), 0);
	}
	g->intx = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(vqnic_irq_set_eventfd(g->nic, 0, VQNIC_IRQ_INTX, 0, g->intx), 0);
}

static void detach(struct guest *g)
{
	vqnic_destroy(g->nic);
	for (unsigned int i = 0; i < ARRAY_SIZE(g->irq); i++)
		if (g->irq[i] >= 0)
			close(g->irq[i]);
	close(g->intx);
	munmap(g->mem, MEMORY);
	close(g->fd);
}

/* ---- Steps of bring-up ----------------------------------------------------------------------- */

static void msix_on(struct guest *g)
{
	wr(g, 7, g->msix + VN_MSIX_CONTROL, 2, VN_MSIX_ENABLE);
}

static void reset(struct guest *g)
{
	cwr(g, VN_COMMON_STATUS, 1, 0);
	run(g);
	assert_int_equal(crd(g, VN_COMMON_STATUS, 1), 0);
}

static void negotiate(struct guest *g, uint64_t features)
{
	uint64_t offered = 0;

	cwr(g, VN_COMMON_STATUS, 1, VN_S_ACKNOWLEDGE);
	cwr(g, VN_COMMON_STATUS, 1, VN_S_ACKNOWLEDGE | VN_S_DRIVER);
	for (uint32_t half = 0; half < 2; half++) {
		cwr(g, VN_COMMON_DEVICE_FEATURE_SELECT, 4, half);
		offered |= (uint64_t)crd(g, VN_COMMON_DEVICE_FEATURE, 4) << (32 * half);
	}
	features |= VN_BIT(VN_F_VERSION_1) | VN_BIT(VN_F_ACCESS_PLATFORM);
	assert_int_equal(features & ~offered, 0);
	for (uint32_t half = 0; half < 2; half++) {
		cwr(g, VN_COMMON_DRIVER_FEATURE_SELECT, 4, half);
		cwr(g, VN_COMMON_DRIVER_FEATURE, 4, (uint32_t)(features >> (32 * half)));
	}
	cwr(g, VN_COMMON_STATUS, 1, 0xb);
	assert_int_equal(crd(g, VN_COMMON_STATUS, 1), 0xb);
}

static void vector(struct guest *g, unsigned int q, uint16_t v)
{
	cwr(g, VN_COMMON_QUEUE_SELECT, 2, q);
	cwr(g, VN_COMMON_QUEUE_VECTOR, 2, v);
	assert_int_equal(crd(g, VN_COMMON_QUEUE_VECTOR, 2), v);
}

static void config_vector(struct guest *g, uint16_t v)
{
	cwr(g, VN_COMMON_CONFIG_VECTOR, 2, v);
	assert_int_equal(crd(g, VN_COMMON_CONFIG_VECTOR, 2), v);
}

static void queue_registers(struct guest *g, unsigned int q)
{
	cwr(g, VN_COMMON_QUEUE_SELECT, 2, q);
	for (uint32_t area = 0; area < 3; area++) {
		uint64_t at = IOVA + q * RING_STEP + area * 0x1000;

		cwr(g, VN_COMMON_QUEUE_DESC + 8 * area, 4, (uint32_t)at);
		cwr(g, VN_COMMON_QUEUE_DESC + 8 * area + 4, 4, (uint32_t)(at >> 32));
	}
	assert_true(crd(g, VN_COMMON_QUEUE_SIZE, 2) >= RING);
	cwr(g, VN_COMMON_QUEUE_SIZE, 2, RING);
	g->notify_off[q] = (uint16_t)crd(g, VN_COMMON_QUEUE_NOTIFY_OFF, 2);
}

static void enable(struct guest *g, unsigned int q)
{
	cwr(g, VN_COMMON_QUEUE_SELECT, 2, q);
	cwr(g, VN_COMMON_QUEUE_ENABLE, 2, 1);
	assert_int_equal(crd(g, VN_COMMON_QUEUE_ENABLE, 2), 1);
}

static void driver_ok(struct guest *g)
{
	cwr(g, VN_COMMON_STATUS, 1, 0xf);
	run(g);
	assert_int_equal(crd(g, VN_COMMON_STATUS, 1), 0xf);
}

/* IFCVF's stop: write 0, poll until it reads 0. */
static void stop(struct guest *g, unsigned int q)
{
	cwr(g, VN_COMMON_QUEUE_SELECT, 2, q);
	cwr(g, VN_COMMON_QUEUE_ENABLE, 2, 0);
	run(g);
	assert_int_equal(crd(g, VN_COMMON_QUEUE_ENABLE, 2), 0);
}

/* ---- Traffic --------------------------------------------------------------------------------- */

static uint8_t *ring(struct guest *g, unsigned int q, unsigned int area)
{
	return g->mem + q * RING_STEP + area * 0x1000;
}

static uint8_t *buffer(struct guest *g, unsigned int q, unsigned int i)
{
	return g->mem + BUFFERS + (q * RING + i) * BUFFER;
}

static void offer(struct guest *g, unsigned int q)
{
	uint16_t slot = g->avail[q] % RING;
	struct vn_desc d = {
		.addr = IOVA + BUFFERS + (q * RING + slot) * BUFFER,
		.len = q == RX ? BUFFER : HEADER + FRAME,
		.flags = q == RX ? VN_DESC_F_WRITE : 0,
	};

	memcpy(ring(g, q, 0) + slot * sizeof(d), &d, sizeof(d));
	memcpy(ring(g, q, 1) + 4 + 2 * slot, &slot, sizeof(slot));
	g->avail[q]++;
	memcpy(ring(g, q, 1) + 2, &g->avail[q], sizeof(g->avail[q]));
}

static void kick(struct guest *g, unsigned int q)
{
	wr(g, g->cap[VN_CAP_NOTIFY].bar,
	   g->cap[VN_CAP_NOTIFY].offset + g->notify_off[q] * g->multiplier, 2, q);
}

static uint16_t used_idx(struct guest *g, unsigned int q)
{
	uint16_t idx;

	memcpy(&idx, ring(g, q, 2) + 2, sizeof(idx));
	return idx;
}

static void send_one(struct guest *g)
{
	uint8_t *f = buffer(g, TX, g->avail[TX] % RING);

	memset(f, 0, HEADER + FRAME);
	memset(f + HEADER, 0xff, 6);
	memcpy(f + HEADER + 14, &g->sent, sizeof(g->sent));
	g->sent++;
	offer(g, TX);
}

/* Fill the receive ring; then @n frames go out and come back, each as it was sent, in order. */
static void traffic(struct guest *g, unsigned int n)
{
	while ((uint16_t)(g->avail[RX] - g->used[RX]) < RING)
		offer(g, RX);
	kick(g, RX);
	for (unsigned int i = 0; i < n; i++) {
		send_one(g);
		kick(g, TX);
		if (i % 5 != 4 && i + 1 < n)
			continue;
		run(g);
		assert_int_equal(used_idx(g, TX), g->avail[TX]);
		g->used[TX] = g->avail[TX];
		while (g->used[RX] != used_idx(g, RX)) {
			uint16_t slot = g->used[RX] % RING;
			uint32_t number;

			memcpy(&number, buffer(g, RX, slot) + HEADER + 14, sizeof(number));
			assert_int_equal(number, g->received++);
			g->used[RX]++;
			offer(g, RX);
		}
		kick(g, RX);
	}
	run(g);
	assert_int_equal(g->received, g->sent);
}

static void fresh_rings(struct guest *g)
{
	memset(g->mem, 0, BUFFERS);
	memset(g->avail, 0, sizeof(g->avail));
	memset(g->used, 0, sizeof(g->used));
}

/* ---- Drivers --------------------------------------------------------------------------------- */

static void up_virtio_pci(struct guest *g)
{
	reset(g);
	negotiate(g, VN_BIT(VN_NET_F_MAC));
	fresh_rings(g);
	msix_on(g);
	config_vector(g, 0);
	for (unsigned int q = 0; q < QUEUES; q++) {
		queue_registers(g, q);
		vector(g, q, (uint16_t)(1 + q));
		enable(g, q);
	}
	driver_ok(g);
}

static const char *const delayed[] = {"fabric=delayed", NULL};

static void linux_virtio_net(void **state)
{
	struct guest g;

	(void)state;
	attach(&g, "virtio-net", NULL, NULL);
	up_virtio_pci(&g);
	traffic(&g, 200);
	assert_true(heard(g.irq[1]) && heard(g.irq[2]));
	assert_int_equal(heard(g.irq[0]) + heard(g.irq[3]) + heard(g.intx), 0);

	vqnic_link_set(g.nic, 0, false);
	run(&g);
	assert_int_equal(heard(g.irq[0]), 1);
	reset(&g);
	cwr(&g, VN_COMMON_QUEUE_SELECT, 2, 0);
	assert_int_equal(crd(&g, VN_COMMON_QUEUE_VECTOR, 2), VN_NO_VECTOR);
	detach(&g);
}

/* No MSI-X: one line, ISR says what for. */
static void linux_intx(void **state)
{
	const uint32_t isr_at = 0;
	struct guest g;

	(void)state;
	attach(&g, "virtio-net", delayed, NULL);
	reset(&g);
	negotiate(&g, VN_BIT(VN_NET_F_MAC));
	fresh_rings(&g);
	for (unsigned int q = 0; q < QUEUES; q++) {
		queue_registers(&g, q);
		enable(&g, q);
	}
	driver_ok(&g);
	for (unsigned int i = 0; i < 20; i++) {
		unsigned int isr;

		traffic(&g, 1);
		assert_int_equal(heard(g.intx), 1);
		assert_true(rd(&g, 7, VN_PCI_STATUS, 2) & VN_PCI_STATUS_INTERRUPT);
		isr = rd(&g, g.cap[VN_CAP_ISR].bar, g.cap[VN_CAP_ISR].offset + isr_at, 1);
		assert_int_equal(isr, VN_ISR_QUEUE);
		assert_false(rd(&g, 7, VN_PCI_STATUS, 2) & VN_PCI_STATUS_INTERRUPT);
	}
	assert_int_equal(heard(g.irq[0]) + heard(g.irq[1]) + heard(g.irq[2]), 0);
	detach(&g);
}

/* Linux 6.1: vectors first, then status 0, then everything else. Queues first, config last. */
static void up_ifcvf_61(struct guest *g, const uint16_t *base, bool dpdk_layout)
{
	msix_on(g);
	for (unsigned int q = 0; q < g->nvqs; q++)
		vector(g, q, (uint16_t)q);
	config_vector(g, (uint16_t)g->nvqs);
	reset(g);
	negotiate(g, VN_BIT(VN_NET_F_MAC));
	for (unsigned int q = 0; q < QUEUES; q++) {
		uint32_t word = dpdk_layout ? VN_LM_QUEUES + (q / 2) * 0x40 + (q % 2) * 4
					    : VN_LM_QUEUES + 4 * q;

		queue_registers(g, q);
		if (base)
			wr(g, VN_LM_BAR, word, 2, base[q]);
		enable(g, q);
	}
	driver_ok(g);
	cwr(g, VN_COMMON_STATUS, 1, 0xf); /* and once more what the caller wanted */
}

static void linux_ifcvf_61(void **state)
{
	struct guest g;
	uint16_t base[QUEUES];

	(void)state;
	attach(&g, "ifcvf-dpdk", NULL, NULL);
	fresh_rings(&g);
	up_ifcvf_61(&g, NULL, true);
	traffic(&g, 100);
	assert_true(heard(g.irq[RX]) && heard(g.irq[TX]));

	/* Stop, take the positions along, start again where it was. */
	for (unsigned int q = 0; q < QUEUES; q++) {
		stop(&g, q);
		base[q] = (uint16_t)rd(&g, VN_LM_BAR, VN_LM_QUEUES + 4 * q, 2);
		assert_int_equal(base[q], used_idx(&g, q));
		assert_int_equal(rd(&g, VN_LM_BAR, VN_LM_QUEUES + 4 * q, 4), base[q] * 0x10001u);
	}
	up_ifcvf_61(&g, base, true);
	heard(g.irq[RX]);
	traffic(&g, 100);
	assert_true(heard(g.irq[RX]));
	detach(&g);
}

/* Linux 6.12: every operation at once, vectors at DRIVER_OK, all undone before a reset. */
static void linux_ifcvf_612(void **state)
{
	struct guest g;

	(void)state;
	attach(&g, "ifcvf", delayed, NULL);
	reset(&g);
	negotiate(&g, VN_BIT(VN_NET_F_MAC));
	fresh_rings(&g);
	/* a position before the wrap, of which the used ring tells the other half */
	for (unsigned int q = 0; q < QUEUES; q++) {
		uint16_t used = (uint16_t)(0xfff0 + q);

		queue_registers(&g, q);
		g.avail[q] = g.used[q] = used;
		memcpy(ring(&g, q, 1) + 2, &used, sizeof(used));
		memcpy(ring(&g, q, 2) + 2, &used, sizeof(used));
		wr(&g, VN_LM_BAR, VN_LM_QUEUES + 4 * q, 2, used);
		assert_int_equal(rd(&g, VN_LM_BAR, VN_LM_QUEUES + 4 * q, 2), used);
		enable(&g, q);
	}
	msix_on(&g);
	for (unsigned int q = 0; q < g.nvqs; q++)
		vector(&g, q, 0); /* too few vectors: queues share */
	config_vector(&g, 1);
	driver_ok(&g);
	traffic(&g, 100);
	assert_true(heard(g.irq[0]));
	assert_int_equal(used_idx(&g, TX), (uint16_t)(0xfff1 + 100));
	assert_int_equal(rd(&g, VN_LM_BAR, VN_LM_QUEUES + 4 * TX, 2), (uint16_t)(0xfff1 + 100));

	for (unsigned int q = 0; q < g.nvqs; q++)
		vector(&g, q, VN_NO_VECTOR);
	config_vector(&g, VN_NO_VECTOR);
	reset(&g);
	assert_int_equal(rd(&g, VN_LM_BAR, VN_LM_QUEUES, 2), 0);
	detach(&g);
}

static bool logged(struct guest *g, uint64_t iova)
{
	uint64_t page = iova >> 12;

	return g->mem[MEMORY - LOG_SIZE + page / 8] & (1u << (page % 8));
}

/* DPDK: config vector 0, queue pairs, 32-bit state, the log at 2^44; stop before reset. */
static void dpdk_ifc(void **state)
{
	struct guest g;

	(void)state;
	attach(&g, "ifcvf-dpdk", delayed, NULL);
	reset(&g);
	negotiate(&g, VN_BIT(VN_NET_F_MAC));
	fresh_rings(&g);
	msix_on(&g);
	config_vector(&g, 0);
	wr(&g, VN_LM_BAR, VN_LM_MQ, 4, 1);
	for (unsigned int q = 0; q < QUEUES; q++) {
		queue_registers(&g, q);
		wr(&g, VN_LM_BAR, VN_LM_QUEUES + 4 * q, 4, 0);
		vector(&g, q, (uint16_t)(q + 1));
		enable(&g, q);
	}
	driver_ok(&g);
	traffic(&g, 20);

	wr(&g, VN_LM_BAR, VN_LM_LOG_BASE, 4, (uint32_t)LOG);
	wr(&g, VN_LM_BAR, VN_LM_LOG_BASE + 4, 4, (uint32_t)(LOG >> 32));
	wr(&g, VN_LM_BAR, VN_LM_LOG_END, 4, (uint32_t)(LOG + LOG_SIZE));
	wr(&g, VN_LM_BAR, VN_LM_LOG_END + 4, 4, (uint32_t)((LOG + LOG_SIZE) >> 32));
	wr(&g, VN_LM_BAR, VN_LM_CONTROL, 4, VN_LM_CONTROL_VF);
	traffic(&g, 10); /* slots 20 to 29 */

	for (unsigned int q = 0; q < QUEUES; q++) {
		uint32_t word;

		stop(&g, q);
		cwr(&g, VN_COMMON_QUEUE_VECTOR, 2, VN_NO_VECTOR);
		word = rd(&g, VN_LM_BAR, VN_LM_QUEUES + 4 * q, 4);
		assert_int_equal(word >> 16, used_idx(&g, q));
		assert_int_equal(word & 0xffff, word >> 16);
	}
	reset(&g);
	wr(&g, VN_LM_BAR, VN_LM_CONTROL, 4, VN_LM_CONTROL_OFF);
	for (unsigned int slot = 0; slot < RING; slot++) {
		uint64_t at = IOVA + BUFFERS + (RX * RING + slot) * BUFFER;
		bool whole = slot >= 20 && slot < 30;

		if (whole)
			assert_true(logged(&g, at));
		else if (slot < 20 || slot > 30)
			assert_false(logged(&g, at));
	}
	detach(&g);
}

/* ---- Reset under traffic --------------------------------------------------------------------- */

/* With packets anywhere on their way: after an FLR nothing of them writes memory or interrupts. */
static void flr_under_traffic(void **state)
{
	static const char *const profiles[] = {"virtio-net", "ifcvf"};
	static uint8_t before[MEMORY];

	(void)state;
	for (unsigned int round = 0; round < 60; round++) {
		struct guest g;
		uint32_t control;

		attach(&g, profiles[round % 2], delayed, NULL);
		if (round % 2) {
			fresh_rings(&g);
			up_ifcvf_61(&g, NULL, false);
		} else {
			up_virtio_pci(&g);
		}
		for (unsigned int i = 0; i < RING; i++)
			offer(&g, RX);
		kick(&g, RX);
		for (unsigned int i = 0; i < RING; i++)
			send_one(&g);
		kick(&g, TX);
		vqnic_run(g.nic, 17 * round);
		for (unsigned int i = 0; i < ARRAY_SIZE(g.irq); i++)
			if (g.irq[i] >= 0)
				heard(g.irq[i]);

		control = rd(&g, 7, g.express + VN_EXP_DEVCTL, 2);
		wr(&g, 7, g.express + VN_EXP_DEVCTL, 2, control | VN_EXP_DEVCTL_FLR);
		memcpy(before, g.mem, MEMORY);
		run(&g);
		assert_memory_equal(before, g.mem, MEMORY);
		for (unsigned int i = 0; i < ARRAY_SIZE(g.irq); i++)
			if (g.irq[i] >= 0)
				assert_int_equal(heard(g.irq[i]), 0);
		assert_int_equal(heard(g.intx), 0);
		assert_int_equal(rd(&g, 7, VN_PCI_COMMAND, 2), 0);
		assert_int_equal(crd(&g, VN_COMMON_STATUS, 1), 0);

		/* As new: the next driver finds a working function. */
		g.sent = g.received = 0;
		wr(&g, 7, VN_PCI_COMMAND, 2, VN_PCI_COMMAND_MEMORY | VN_PCI_COMMAND_MASTER);
		up_virtio_pci(&g);
		traffic(&g, 20);
		assert_true(heard(g.irq[1]));
		detach(&g);
	}
}

/* The client goes: nothing of it may be reached any more, and the next one finds a new function. */
static void next_client(void **state)
{
	struct vqnic_dma_map map = {.iova = IOVA, .size = MEMORY, .prot = 3};
	struct guest g;

	(void)state;
	attach(&g, "ifcvf", delayed, NULL);
	fresh_rings(&g);
	up_ifcvf_61(&g, NULL, false);
	for (unsigned int i = 0; i < RING; i++)
		send_one(&g);
	kick(&g, TX);
	vqnic_run(g.nic, 40);
	assert_int_equal(vqnic_detach(g.nic, 0), 0);
	heard(g.irq[TX]);
	run(&g);
	assert_int_equal(heard(g.irq[TX]), 0);
	assert_int_equal(crd(&g, VN_COMMON_STATUS, 1), 0);

	map.fd = g.fd;
	assert_int_equal(vqnic_dma_map(g.nic, 0, &map), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(vqnic_irq_set_eventfd(g.nic, 0, VQNIC_IRQ_MSIX, i, g.irq[i]), 0);
	g.sent = g.received = 0;
	up_virtio_pci(&g);
	traffic(&g, 20);
	assert_true(heard(g.irq[1]));
	detach(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_virtio_net), cmocka_unit_test(linux_intx),
		cmocka_unit_test(linux_ifcvf_61),   cmocka_unit_test(linux_ifcvf_612),
		cmocka_unit_test(dpdk_ifc),	    cmocka_unit_test(flr_under_traffic),
		cmocka_unit_test(next_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
