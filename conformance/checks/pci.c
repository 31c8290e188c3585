// SPDX-License-Identifier: BSD-3-Clause
/*
 * The register map of a virtio-pci or IFCVF function
 *
 * How it works. The checks read configuration space and registers themselves (pci_regs.h) and prove
 * by traffic what a register is for: rings whose addresses were written in halves, doorbells rung
 * at the offset that the function names, interrupts by INTx. IFCVF has VIRTIO's common
 * configuration; where it departs from VIRTIO a check says so.
 */
#include "pci_regs.h"

#define PCI_EXT_CAP_SR_IOV 0x10u

#define QUEUES_SOME 64u /* of so many at most each one is looked at */

static unsigned int num_queues(const struct pci_map *m)
{
	const unsigned int n = reg_get(m, &m->common, VC_COMMON_NUMQ, 2);

	return n < QUEUES_SOME ? n : QUEUES_SOME;
}

static bool is_ifcvf(struct test *t)
{
	return t_parent(t)->caps & CAP_IFCVF;
}

CHECK(pci, identity, .requirements = "VIO-PCI-003 VIO-PCI-004 VIO-PCI-012 VIO-PCI-013 IFC-ID-001",
      .summary = "vendor, device, revision and subsystem ids fit together", .needs = CAP_PCI)
{
	const struct pci_map m = pci_map(t);
	const uint32_t vendor = cfg_get(&m, VC_PCI_VENDOR_ID, 2);
	const uint32_t device = cfg_get(&m, VC_PCI_DEVICE_ID, 2);
	const uint32_t revision = cfg_get(&m, VC_PCI_REVISION, 1);
	const uint32_t subsystem = cfg_get(&m, VC_PCI_SUBSYSTEM_ID, 2);

	t_expect_eq(t, vendor, VC_PCI_VENDOR_REDHAT, "PCI vendor id");
	if (device >= 0x1040) {
		t_expect_eq(t, device, 0x1040 + VC_ID_NET, "PCI device id of a network device");
		t_note(t, "revision %u: 1 or more %sobserved", revision, revision ? "" : "not ");
	} else if (is_ifcvf(t)) {
		t_expect_eq(t, device, 0x1000, "PCI device id of a network device");
	} else {
		t_expect_eq(t, device, 0x1000, "transitional PCI device id of a network device");
		t_expect_eq(t, revision, 0, "revision id of a transitional device");
		t_expect_eq(t, subsystem, VC_ID_NET, "subsystem id of a transitional device");
	}
}

CHECK(pci, structures_lie_in_bars,
      .requirements = "IFC-CAP-001 IFC-CAP-002 VIO-PCI-027 VIO-PCI-030 VIO-PCI-031 VIO-PCI-059 "
		      "VIO-PCI-060 VIO-PNOT-001 VIO-ISR-001",
      .summary = "the structures are all there, aligned, and inside their BARs", .needs = CAP_PCI)
{
	static const struct {
		const char *name;
		uint32_t align, cap_len, length;
	} types[] = {
		[VC_PCI_CAP_COMMON] = {"common configuration", 4, 16, VC_COMMON_SIZE_MIN},
		[VC_PCI_CAP_NOTIFY] = {"notification", 2, 20, 2},
		[VC_PCI_CAP_ISR] = {"ISR", 1, 16, 1},
		[VC_PCI_CAP_DEVICE] = {"device configuration", 4, 16, 8},
	};
	const struct pci_map m = pci_map(t);
	unsigned int seen = 0;

	for (unsigned int i = 0; i < m.n; i++) {
		const struct pci_structure *s = &m.all[i];
		const uint64_t size = pci_bar_size(&m, s->bar);

		/* reserved values of type and bar are none of a driver's business */
		if (!s->type || s->type >= ARRAY_LEN(types) || s->bar > 5)
			continue;
		seen |= 1u << s->type;
		t_expect(t, s->cap_len >= types[s->type].cap_len,
			 "capability at 0x%x (%s): cap_len must be at least %u, it is %u", s->at,
			 types[s->type].name, types[s->type].cap_len, s->cap_len);
		t_expect(t, s->offset % types[s->type].align == 0,
			 "%s: the offset must be a multiple of %u, it is 0x%x", types[s->type].name,
			 types[s->type].align, s->offset);
		t_expect(t, s->length >= types[s->type].length,
			 "%s: it must be %u bytes long at least, it has %u", types[s->type].name,
			 types[s->type].length, s->length);
		t_expect(t, s->offset <= size && s->length <= size - s->offset,
			 "%s: 0x%x + 0x%x must lie inside BAR %u, which has 0x%llx bytes",
			 types[s->type].name, s->offset, s->length, s->bar,
			 (unsigned long long)size);
	}
	for (unsigned int type = 1; type < ARRAY_LEN(types); type++)
		t_expect(t, seen & 1u << type, "there must be a %s structure", types[type].name);
}

/* ---- Notification ------------------------------------------------------------------------------
 */

CHECK(pci, notify_area_covers_queues,
      .requirements = "VIO-PNOT-002 VIO-PNOT-003 VIO-PNOT-004 VIO-PNOT-005 VIO-PNOT-006 "
		      "VIO-PNOT-007 VIO-PNOT-008 VIO-PNOT-009",
      .summary = "multiplier, offset and length of the notification structure fit every queue",
      .needs = CAP_VIRTIO_PCI)
{
	const struct pci_map m = pci_map(t);
	const uint32_t width = t_has_feature(t, VC_F_NOTIFICATION_DATA) ? 4 : 2;
	const uint32_t mult = m.notify.extra;

	t_expect(t, m.notify.at, "there must be a notification structure");
	t_expect(t, m.notify.offset % width == 0,
		 "a doorbell is %u bytes wide, so the offset must be a multiple of it; it is 0x%x",
		 width, m.notify.offset);
	t_expect(t, !(mult & (mult - 1)) && (!mult || mult >= width),
		 "notify_off_multiplier must be 0 or a power of two of at least %u, it is %u",
		 width, mult);
	t_expect(t, m.notify.length >= width, "the structure must hold a doorbell, it has %u bytes",
		 m.notify.length);
	for (unsigned int q = 0; q < num_queues(&m); q++) {
		const uint64_t off = (uint64_t)queue_get(&m, q, VC_COMMON_Q_NOFF, 2) * mult;

		t_expect(t, off + width <= m.notify.length,
			 "the doorbell of queue %u lies at 0x%llx, behind the structure of 0x%x "
			 "bytes",
			 q, (unsigned long long)off, m.notify.length);
	}
}

CHECK(pci, doorbell_is_where_it_says,
      .requirements = "IFC-NTF-001 IFC-NTF-002 VIO-NOTIF-001 OPS-VQ-005",
      .summary = "16 bits written to queue_notify_off times the multiplier kick that queue",
      .needs = CAP_VIRTIO_PCI | CAP_TRAFFIC,
      .features = VC_BIT(VC_NET_F_CTRL_VQ) | VC_BIT(VC_NET_F_MQ))
{
	const struct pci_map m = pci_map(t);
	struct net *net = net_up(t, &(struct net_options){.pairs = 2});

	for (uint32_t round = 0; round < 3; round++)
		for (unsigned int pair = 0; pair < net->pairs; pair++) {
			const unsigned int q = vring_queue(net->tx[pair]);
			const uint32_t off = queue_get(&m, q, VC_COMMON_Q_NOFF, 2) * m.notify.extra;

			t_step(t, "ring queue %u by hand at 0x%x", q, off);
			hand_send(net, pair, HAND_FLOW + pair, round, NET_SEND_NO_KICK);
			reg_put(&m, &m.notify, off, 2, q);
			hand_wire(net, HAND_FLOW + pair, round, 1);
			net_drain(net);
		}
}

/* ---- Queues -------------------------------------------------------------------------------------
 */

CHECK(pci, queue_sizes, .requirements = "VIO-PCI-045 VIO-PCI-058 IFC-VQ-011 IFC-VQ-013",
      .summary = "every queue shows its largest size, a power of two, also after a reset",
      .needs = CAP_VIRTIO_PCI)
{
	const struct pci_map m = pci_map(t);
	uint32_t size[QUEUES_SOME];

	t_expect(t, num_queues(&m) >= 2, "a network device must have two queues, it has %u",
		 num_queues(&m));
	for (unsigned int q = 0; q < num_queues(&m); q++) {
		size[q] = queue_get(&m, q, VC_COMMON_Q_SIZE, 2);
		t_expect(t, size[q] && size[q] <= VC_SPLIT_SIZE_MAX,
			 "queue_size of queue %u must be 1 to 32768, it is %u", q, size[q]);
		t_expect(t, t_has_feature(t, VC_F_RING_PACKED) || !(size[q] & (size[q] - 1)),
			 "queue_size of queue %u must be a power of two, it is %u", q, size[q]);
	}
	t_step(t, "bring it up with rings of 64, then reset");
	net_down(net_up(t, &(struct net_options){.size = 64}));
	for (unsigned int q = 0; q < num_queues(&m); q++)
		t_expect(
			t, queue_get(&m, q, VC_COMMON_Q_SIZE, 2) == size[q],
			"after a reset queue_size of queue %u must show the largest size %u again, "
			"it reads %u",
			q, size[q], queue_get(&m, q, VC_COMMON_Q_SIZE, 2));
}

CHECK(pci, sr_iov_needs_capability, .requirements = "VIO-RSVF-021 VIO-RSVF-020",
      .summary = "VIRTIO_F_SR_IOV is offered only by a function that has the PCI capability",
      .needs = CAP_PCI)
{
	const struct pci_map m = pci_map(t);
	const bool offered = t_has_feature(t, VC_F_SR_IOV);
	uint64_t size = 0;
	uint32_t at = 0x100;
	bool found = false;

	if (m.a->region_size(m.a->ctx, PCI_REGION_CONFIG, &size))
		size = 256;
	/* extended capabilities: id, version, next; 0 or all ones where there is none */
	for (unsigned int i = 0; i < 64 && at >= 0x100 && at + 4 <= size; i++) {
		const uint32_t head = cfg_get(&m, at, 4);

		if (!head || head == UINT32_MAX)
			break;
		found = found || (head & 0xffff) == PCI_EXT_CAP_SR_IOV;
		at = head >> 20;
	}
	t_expect(t, !offered || found,
		 "VIRTIO_F_SR_IOV must not be offered without an SR-IOV capability");
	t_note(t, "SR-IOV capability %spresent, feature %soffered", found ? "" : "not ",
	       offered ? "" : "not ");
}

CHECK(pci, no_such_queue, .requirements = "VIO-PCI-044 IFC-VQ-013",
      .summary = "queue_size of a queue that does not exist reads 0", .needs = CAP_VIRTIO_PCI)
{
	const struct pci_map m = pci_map(t);
	const uint32_t n = reg_get(&m, &m.common, VC_COMMON_NUMQ, 2);
	const uint32_t none[] = {n, n + 1, n + 2, 0x7fff, 0xffff};

	if (t_has_feature(t, VC_F_ADMIN_VQ))
		t_skip(t, SKIP_FEATURE, "admin queues may lie behind the others");
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		if (none[i] < n || none[i] > 0xffff)
			continue;
		t_expect(t, queue_get(&m, none[i], VC_COMMON_Q_SIZE, 2) == 0,
			 "num_queues is %u, so queue_size of queue %u must read 0, it reads %u", n,
			 none[i], queue_get(&m, none[i], VC_COMMON_Q_SIZE, 2));
	}
}

CHECK(pci, addresses_in_halves, .requirements = "VIO-PCI-017 IFC-VQ-001 OPS-VQ-001",
      .summary = "halves of a ring's address may be written in any order",
      .needs = CAP_VIRTIO_PCI | CAP_TRAFFIC)
{
	const struct pci_map m = pci_map(t);

	for (unsigned int high_first = 0; high_first < 2; high_first++) {
		struct dma *dma = dma_open(t, &(struct dma_options){.layout = DMA_HIGH});
		struct net *net;

		/* what comes now lies above 4 GiB, so that both halves matter */
		while (dma_alloc_pages(dma, 1).iova >> 32 == 0)
			;
		net = net_up(t, &(struct net_options){.arena = dma, .last = NET_QUEUES});

		t_step(t, "ring addresses, %s half first", high_first ? "high" : "low");
		for (unsigned int q = 0; q < 2; q++)
			for (unsigned int area = 0; area < 3; area++) {
				const uint64_t iova = vring_area(net_ring(net, q), area)->iova;
				const uint32_t at = VC_COMMON_Q_DESC_LO + 8 * area;

				for (unsigned int i = 0; i < 2; i++) {
					const bool hi = (i == 0) == high_first;

					queue_put(&m, q, at + (hi ? 4 : 0), 4,
						  (uint32_t)(hi ? iova >> 32 : iova));
				}
			}
		net_continue(net, NET_ALL);
		io_run(net, 32, NULL);
		net_down(net);
		dma_close(dma);
	}
}

/* ---- Features -----------------------------------------------------------------------------------
 */

static uint32_t feature_word(const struct pci_map *m, uint32_t select)
{
	reg_put(m, &m->common, VC_COMMON_DFSELECT, 4, select);
	return reg_get(m, &m->common, VC_COMMON_DF, 4);
}

CHECK(pci, device_feature_select, .requirements = "VIO-PCI-032 IFC-FEAT-003",
      .summary = "device_feature shows the word that device_feature_select names, and no other",
      .needs = CAP_VIRTIO_PCI)
{
	static const uint32_t reserved[] = {4, 5, 6, 7, 0x7fffffff, 0x80000000, 0xffffffff};
	const struct pci_map m = pci_map(t);
	const uint64_t offered = offered_features(t);

	for (uint32_t i = 0; i < 4; i++) {
		const uint32_t want = (uint32_t)(offered >> (32 * (i & 1)));

		t_step(t, "device_feature_select %u, driver_feature_select %u", i & 1, i / 2);
		reg_put(&m, &m.common, VC_COMMON_DFSELECT, 4, i & 1);
		reg_put(&m, &m.common, VC_COMMON_GFSELECT, 4, i / 2);
		t_expect_eq(t, reg_get(&m, &m.common, VC_COMMON_DF, 4), want, "device_feature");
	}
	/* bits from 128 on are reserved: nobody can offer them */
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		t_expect(t, feature_word(&m, reserved[i]) == 0,
			 "device_feature of word 0x%x must read 0, it reads 0x%x", reserved[i],
			 feature_word(&m, reserved[i]));
}

CHECK(pci, driver_feature_select, .requirements = "VIO-PCI-033 IFC-FEAT-003",
      .summary = "driver_feature keeps both words apart and reads them back",
      .needs = CAP_VIRTIO_PCI)
{
	struct net *net = net_up(t, &(struct net_options){.last = NET_DRIVER});
	const struct pci_map m = pci_map(t);
	const uint64_t take = net_features_default(offered_features(t), &net->opts);

	/* the high word first, then the low one twice: neither may disturb the other */
	for (unsigned int i = 0; i < 3; i++) {
		reg_put(&m, &m.common, VC_COMMON_GFSELECT, 4, i == 0);
		reg_put(&m, &m.common, VC_COMMON_GF, 4,
			i == 0	 ? (uint32_t)(take >> 32)
			: i == 1 ? 0
				 : (uint32_t)take);
	}
	for (unsigned int word = 0; word < 2; word++) {
		reg_put(&m, &m.common, VC_COMMON_GFSELECT, 4, word);
		reg_put(&m, &m.common, VC_COMMON_DFSELECT, 4, !word);
		t_expect_eq(t, reg_get(&m, &m.common, VC_COMMON_GF, 4),
			    (uint32_t)(take >> (32 * word)), "driver_feature");
	}
}

/* ---- ISR and INTx -------------------------------------------------------------------------------
 */

CHECK(pci, isr_shows_config_change, .requirements = "VIO-ISR-002 VIO-ISR-005",
      .summary = "a configuration change sets its ISR bit also with MSI-X, and reading clears it",
      .needs = CAP_VIRTIO_PCI | CAP_LINK_CONTROL | CAP_CONFIG_CALL,
      .features = VC_BIT(VC_NET_F_STATUS))
{
	const struct pci_map m = pci_map(t);
	struct net *net = net_up(t, NULL);

	t_ok(t, parent_settle(net->p));
	reg_get(&m, &m.isr, 0, 1);
	net_config_calls(net);
	for (unsigned int i = 0; i < 2; i++) {
		t_step(t, "link %s", i ? "up" : "down");
		t_ok(t, parent_set_link(net->p, i));
		t_expect(t, net_wait_config_call(net, 0),
			 "a change of the link must interrupt, none came");
		t_expect(t, reg_get(&m, &m.isr, 0, 1) & VC_ISR_CONFIG,
			 "the ISR bit of configuration must be set before its interrupt");
		t_expect_eq(t, reg_get(&m, &m.isr, 0, 1), 0, "ISR after it was read");
	}
}

#define PCI_STATUS_INTERRUPT 8u

CHECK(pci, intx, .requirements = "VIO-ISR-003 VIO-ISR-004 VIO-ISR-005",
      .summary = "without MSI-X a queue interrupts by INTx, with its ISR bit, until ISR is read",
      .needs = CAP_VIRTIO_PCI | CAP_TRAFFIC)
{
	const struct pci_map m = pci_map(t);
	struct net *net = net_up(t, NULL);
	const int fd = new_event(t);

	if (m.a->irq_count(m.a->ctx, VC_VFIO_IRQ_INTX) < 1)
		t_skip(t, SKIP_INTERFACE, "there is no INTx");
	t_step(t, "MSI-X off, INTx on");
	io_run(net, 4, NULL);
	if (m.msix)
		cfg_put(&m, m.msix + VC_PCI_MSIX_CTRL, 2,
			cfg_get(&m, m.msix + VC_PCI_MSIX_CTRL, 2) & ~VC_PCI_MSIX_CTRL_ENABLE);
	cfg_put(&m, VC_PCI_COMMAND, 2, cfg_get(&m, VC_PCI_COMMAND, 2) & ~VC_PCI_COMMAND_INTX_OFF);
	reg_get(&m, &m.isr, 0, 1);
	t_ok(t, m.a->set_irq(m.a->ctx, VC_VFIO_IRQ_INTX, 0, fd));
	read_event(fd);

	hand_send(net, 0, HAND_FLOW, 0, 0);
	t_expect(t, wait_event(t, fd), "a used buffer must interrupt by INTx, nothing came");
	t_expect(t, cfg_get(&m, VC_PCI_STATUS, 2) & PCI_STATUS_INTERRUPT,
		 "Interrupt Status must read 1 as long as ISR is not 0");
	t_expect(t, reg_get(&m, &m.isr, 0, 1) & VC_ISR_QUEUE,
		 "the ISR bit of queues must be set before their interrupt");
	t_ok(t, parent_settle(net->p));
	reg_get(&m, &m.isr, 0, 1); /* an echo's receive queue may have come behind */
	t_expect_eq(t, reg_get(&m, &m.isr, 0, 1), 0, "ISR after it was read");
	t_expect(t, !(cfg_get(&m, VC_PCI_STATUS, 2) & PCI_STATUS_INTERRUPT),
		 "Interrupt Status must read 0 once ISR is 0");
	t_ok(t, m.a->set_irq(m.a->ctx, VC_VFIO_IRQ_INTX, 0, -1));
	pci_enable(&m);
}

/* ---- Access by configuration space -------------------------------------------------------------
 */

/* through() - point the access capability at a register of the common configuration */
static void through(const struct pci_map *m, uint32_t off, unsigned int len)
{
	cfg_put(m, m->cfg.at + VC_CAP_BAR, 1, m->common.bar);
	cfg_put(m, m->cfg.at + VC_CAP_OFFSET, 4, m->common.offset + off);
	cfg_put(m, m->cfg.at + VC_CAP_LENGTH, 4, len);
}

CHECK(pci, cfg_access, .requirements = "VIO-PCI-068 VIO-PCI-069 VIO-PCI-070",
      .summary = "pci_cfg_data reads and writes the BAR that the access capability points at",
      .needs = CAP_VIRTIO_PCI)
{
	const struct pci_map m = pci_map(t);
	uint32_t data;

	if (!m.cfg.at && is_ifcvf(t))
		t_skip(t, SKIP_INTERFACE, "an IFCVF need not have the access capability");
	t_expect(t, m.cfg.at, "there must be a PCI configuration access capability");
	data = m.cfg.at + VC_CAP_MULTIPLIER;

	for (uint32_t word = 0; word < 2; word++) {
		t_step(t, "read device_feature word %u through it", word);
		reg_put(&m, &m.common, VC_COMMON_DFSELECT, 4, word);
		through(&m, VC_COMMON_DF, 4);
		t_expect_eq(t, cfg_get(&m, data, 4), feature_word(&m, word), "pci_cfg_data");
	}
	t_step(t, "read num_queues and generation through it");
	through(&m, VC_COMMON_NUMQ, 2);
	t_expect_eq(t, cfg_get(&m, data, 2), reg_get(&m, &m.common, VC_COMMON_NUMQ, 2),
		    "pci_cfg_data");
	t_step(t, "write status through it: ACKNOWLEDGE, then 0");
	through(&m, VC_COMMON_STATUS, 1);
	cfg_put(&m, data, 1, VC_STATUS_ACKNOWLEDGE);
	t_expect_eq(t, get_status(t), VC_STATUS_ACKNOWLEDGE, "status written by pci_cfg_data");
	t_expect_eq(t, cfg_get(&m, data, 1), VC_STATUS_ACKNOWLEDGE, "pci_cfg_data");
	for (uint32_t q = 0; q < 2; q++) {
		through(&m, VC_COMMON_Q_SELECT, 2);
		cfg_put(&m, data, 2, q);
		t_expect_eq(t, reg_get(&m, &m.common, VC_COMMON_Q_SELECT, 2), q,
			    "queue_select written by pci_cfg_data");
	}
}

/* ---- Reset of the function ----------------------------------------------------------------------
 */

#define EXP_DEVCAP     4u
#define EXP_DEVCAP_FLR (1u << 28)
#define EXP_DEVCTL     8u
#define EXP_DEVCTL_FLR 0x8000u

static bool status_is_0(void *arg)
{
	return get_status(arg) == 0;
}

/* as_new() - after a reset of the function nothing of @net's driver is left, and it works again */
static void as_new(struct test *t, const struct pci_map *m, struct net *net)
{
	struct dma_snapshot *snap = dma_snapshot(net->dma, NULL);
	const unsigned int queues = net->queues;

	pci_enable(m);
	t_expect(t, parent_wait(t_parent(t), status_is_0, t, NET_SOON),
		 "after a reset of the function status must read 0, it reads 0x%02x",
		 get_status(t));
	if (net_has_peer(net))
		hand_inject(net, HAND_FLOW + 1, 100);
	t_ok(t, parent_settle(t_parent(t)));
	if (net_has_peer(net))
		drain_wire(net);
	t_expect(t, !dma_changed(snap, NULL, 0),
		 "after a reset of the function no memory may be written, some was");
	for (unsigned int q = 0; q < queues && q < QUEUES_SOME; q++)
		t_expect(t, queue_get(m, q, VC_COMMON_Q_ENABLE, 2) == 0,
			 "after a reset of the function queue_enable of queue %u must read 0", q);
	dma_snapshot_free(snap);
	net_down(net);
	t_step(t, "bring it up again");
	net = net_up(t, NULL);
	io_run(net, 16, NULL);
}

static struct net *in_traffic(struct test *t)
{
	struct net *net = net_up(t, NULL);

	io_run(net, 16, NULL);
	for (uint32_t i = 0; i < 16; i++)
		hand_send(net, 0, HAND_FLOW, i, 0);
	return net;
}

CHECK(pci, function_level_reset, .requirements = "VIO-PCI-001 VIO-RESET-003 VIO-PCI-038",
      .summary = "a function-level reset by configuration space resets the virtio device",
      .needs = CAP_VIRTIO_PCI | CAP_TRAFFIC)
{
	const struct pci_map m = pci_map(t);
	struct net *net;

	if (!m.express || !(cfg_get(&m, m.express + EXP_DEVCAP, 4) & EXP_DEVCAP_FLR))
		t_skip(t, SKIP_FEATURE, "the function announces no function-level reset");
	net = in_traffic(t);
	t_step(t, "Initiate Function Level Reset in the middle of traffic");
	cfg_put(&m, m.express + EXP_DEVCTL, 2,
		cfg_get(&m, m.express + EXP_DEVCTL, 2) | EXP_DEVCTL_FLR);
	as_new(t, &m, net);
}

CHECK(pci, reset_from_outside, .requirements = "VFU-RST-001 VIO-PCI-001 VIO-RESET-003",
      .summary = "a reset by the function's owner (VFIO) resets the virtio device",
      .needs = CAP_VIRTIO_PCI | CAP_TRAFFIC)
{
	const struct pci_map m = pci_map(t);
	struct net *net;

	if (!m.a->reset)
		t_skip(t, SKIP_INTERFACE, "this parent can't be reset from outside");
	net = in_traffic(t);
	t_step(t, "reset the function from outside in the middle of traffic");
	t_ok(t, m.a->reset(m.a->ctx));
	as_new(t, &m, net);
}
