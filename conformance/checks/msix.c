// SPDX-License-Identifier: BSD-3-Clause
/*
 * Vectors: which event interrupts by which
 *
 * How it works. The check gives every vector an eventfd of its own, chooses which event gets which
 * vector, makes one event at a time, and looks which eventfds were signalled: the chosen one must
 * be, no other may. Linux puts queues first and configuration last, DPDK configuration first.
 */
#include "pci_regs.h"

#include <unistd.h>

#define VECTORS_MAX 128u

/**
 * struct vectors - a device whose vectors are the check's own
 * @n: how many there are; @fd: what they signal
 */
struct vectors {
	struct test *t;
	struct pci_map m;
	struct net *net;
	unsigned int n;
	int fd[VECTORS_MAX];
};

static unsigned int vector_count(const struct pci_map *m)
{
	const int n = m->a->irq_count(m->a->ctx, VC_VFIO_IRQ_MSIX);

	return n < 0 ? 0 : (unsigned int)n < VECTORS_MAX ? (unsigned int)n : VECTORS_MAX;
}

/* set_vector() - of queue @q, or of configuration if it is behind the last; must read back */
static void set_vector(struct vectors *v, unsigned int q, uint16_t vector)
{
	uint32_t seen;

	if (q < v->net->queues) {
		queue_put(&v->m, q, VC_COMMON_Q_MSIX, 2, vector);
		seen = queue_get(&v->m, q, VC_COMMON_Q_MSIX, 2);
	} else {
		reg_put(&v->m, &v->m.common, VC_COMMON_MSIX, 2, vector);
		seen = reg_get(&v->m, &v->m.common, VC_COMMON_MSIX, 2);
	}
	t_expect(v->t, seen == vector,
		 "%s must take vector %u of %u and read it back, it reads 0x%x",
		 q < v->net->queues ? net_queue_name(v->net, q) : "configuration", vector, v->n,
		 seen);
}

/*
 * vectors_up() - a device with @pairs pairs that runs with the vectors of @of: queues in their
 * order, then configuration
 */
static struct vectors vectors_up(struct test *t, unsigned int pairs, const uint16_t *of)
{
	struct vectors v = {.t = t, .m = pci_map(t)};

	v.n = vector_count(&v.m);
	v.net = net_up(t, &(struct net_options){.pairs = pairs, .last = NET_READY});
	for (unsigned int i = 0; i < v.n; i++) {
		v.fd[i] = new_event(t);
		t_ok(t, v.m.a->set_irq(v.m.a->ctx, VC_VFIO_IRQ_MSIX, i, v.fd[i]));
	}
	for (unsigned int q = 0; q <= v.net->queues; q++)
		set_vector(&v, q, of[q]);
	net_continue(v.net, NET_ALL);
	t_ok(t, parent_settle(v.net->p));
	for (unsigned int i = 0; i < v.n; i++)
		read_event(v.fd[i]);
	return v;
}

static void vectors_down(struct vectors *v)
{
	net_down(v->net);
	for (unsigned int i = 0; i < v->n; i++) {
		t_ok(v->t, v->m.a->set_irq(v->m.a->ctx, VC_VFIO_IRQ_MSIX, i, -1));
		close(v->fd[i]);
	}
}

/* expect_vectors() - after one event of @what: only @want may have been signalled, and was */
static void expect_vectors(struct vectors *v, uint16_t want, const char *what)
{
	t_ok(v->t, parent_settle(v->net->p));
	for (unsigned int i = 0; i < v->n; i++) {
		const bool came = read_event(v->fd[i]);

		if (i == want)
			t_expect(v->t, came, "%s must interrupt by its vector %u, it did not", what,
				 want);
		else
			t_expect(v->t, !came,
				 "vector %u must be silent, %s has %s; it was signalled", i, what,
				 want == VC_MSI_NO_VECTOR ? "no vector" : "another one");
	}
}

/* each_event() - one event of every kind in turn; @of says by which vector each must interrupt */
static void each_event(struct vectors *v, const uint16_t *of)
{
	struct net *net = v->net;
	struct vring_used used;
	static uint32_t seq;

	for (unsigned int pair = 0; pair < net->pairs; pair++) {
		t_step(v->t, "one frame on tx%u", pair);
		hand_send(net, pair, HAND_FLOW + pair, seq, 0);
		hand_wire(net, HAND_FLOW + pair, seq, 1);
		expect_vectors(v, of[2 * pair + 1], net_queue_name(net, 2 * pair + 1));
		t_expect(v->t, vring_get(net->tx[pair], &used),
			 "a frame that was sent must be used, whatever its queue's vector is");
	}
	seq++;
	t_step(v->t, "one frame arrives");
	hand_inject(net, HAND_FLOW + 100, seq);
	t_ok(v->t, parent_settle(net->p));
	for (unsigned int pair = 0; pair < net->pairs; pair++)
		if (vring_pending(net->rx[pair])) {
			static struct net_frame frame;

			expect_vectors(v, of[2 * pair], net_queue_name(net, 2 * pair));
			net_recv(net, &frame, 0);
		}
	if (net->ctrl && t_has_feature(v->t, VC_NET_F_CTRL_RX)) {
		const uint8_t on = 1;

		t_step(v->t, "one control command");
		net_ctrl(net, VC_NET_CTRL_RX, VC_NET_CTRL_RX_PROMISC, &on, 1);
		expect_vectors(v, of[net->ctrl_index], "ctrl");
	}
	if ((net->p->caps & CAP_LINK_CONTROL) && t_has_feature(v->t, VC_NET_F_STATUS)) {
		for (unsigned int up = 0; up < 2; up++) {
			t_step(v->t, "the link goes %s", up ? "up" : "down");
			t_ok(v->t, parent_set_link(net->p, up));
			expect_vectors(v, of[net->queues], "configuration");
		}
	}
}

#define NEEDS (CAP_VIRTIO_PCI | CAP_QUEUE_VECTOR)

static unsigned int queue_count(struct test *t)
{
	unsigned int n = 0;

	t_ok(t, parent_get_vq_count(t_parent(t), &n));
	if (n + 1 > VECTORS_MAX)
		t_skip(t, SKIP_INTERFACE, "the suite looks at %u vectors at most", VECTORS_MAX);
	return n;
}

/* pairs_to_use() - two where there are as many */
static unsigned int pairs_to_use(struct test *t)
{
	return t_has_feature(t, VC_NET_F_MQ) && t_has_feature(t, VC_NET_F_CTRL_VQ) &&
			       queue_count(t) >= 5
		       ? 2
		       : 1;
}

CHECK(msix, table, .requirements = "VIO-MSIX-001 VIO-MSIX-002 VIO-MSIX-004",
      .summary = "Table Size says how many vectors there are, the last one can be used",
      .needs = NEEDS)
{
	const struct pci_map m = pci_map(t);
	uint32_t size, table, pba;

	t_expect(t, m.msix, "there must be an MSI-X capability where there are vectors");
	size = (cfg_get(&m, m.msix + VC_PCI_MSIX_CTRL, 2) & VC_PCI_MSIX_CTRL_SIZE) + 1;
	table = cfg_get(&m, m.msix + 4, 4);
	pba = cfg_get(&m, m.msix + 8, 4);
	t_note(t, "%u vectors: 2 or more %sobserved", size, size >= 2 ? "" : "not ");
	t_expect_eq(t, vector_count(&m), size < VECTORS_MAX ? size : VECTORS_MAX,
		    "vectors that the interface has, by Table Size");
	t_expect(t, (table & ~7ull) + 16ull * size <= pci_bar_size(&m, table & 7),
		 "the table of %u vectors must lie inside BAR %u", size, table & 7);
	t_expect(t, (pba & ~7ull) + (size + 63) / 64 * 8ull <= pci_bar_size(&m, pba & 7),
		 "the pending bits of %u vectors must lie inside BAR %u", size, pba & 7);
	reg_put(&m, &m.common, VC_COMMON_MSIX, 2, size - 1);
	t_expect_eq(t, reg_get(&m, &m.common, VC_COMMON_MSIX, 2), size - 1,
		    "the last vector, mapped to configuration, reads back as");
}

CHECK(msix, vectors_read_back, .requirements = "VIO-MSIX-004 VIO-MSIX-005 VIO-MSIX-006 IFC-VEC-001",
      .summary = "every event takes every vector and NO_VECTOR, each by itself", .needs = NEEDS)
{
	const struct pci_map m = pci_map(t);
	const unsigned int queues = queue_count(t), n = vector_count(&m);
	struct vectors v = {.t = t, .m = m, .n = n};

	v.net = net_up(t, &(struct net_options){.last = NET_FEATURES_OK});
	v.net->queues = queues;
	for (unsigned int round = 0; round < n + 2; round++) {
		for (unsigned int e = 0; e <= queues; e++) {
			const uint32_t vector = (e + round) % (n + 1);

			set_vector(&v, e, (uint16_t)(vector == n ? VC_MSI_NO_VECTOR : vector));
		}
		for (unsigned int e = 0; e <= queues; e++) {
			const uint32_t want = (e + round) % (n + 1) == n ? VC_MSI_NO_VECTOR
									 : (e + round) % (n + 1);
			const uint32_t seen = e < queues
						      ? queue_get(&m, e, VC_COMMON_Q_MSIX, 2)
						      : reg_get(&m, &m.common, VC_COMMON_MSIX, 2);

			t_expect(t, seen == want,
				 "event %u was mapped to vector 0x%x, after the others were mapped "
				 "it reads 0x%x",
				 e, want, seen);
		}
	}
}

CHECK(msix, no_such_vector, .requirements = "VIO-MSIX-009 VIO-MSIX-006 IFC-VEC-001",
      .summary = "a vector outside the table is refused by reading NO_VECTOR", .needs = NEEDS)
{
	const struct pci_map m = pci_map(t);
	const uint32_t n = vector_count(&m);
	const uint32_t none[] = {n, n + 1, 0x7ff, 0x800, 0xfffe};

	if (n == VECTORS_MAX)
		t_skip(t, SKIP_INTERFACE, "the suite looks at %u vectors at most", VECTORS_MAX);
	net_up(t, &(struct net_options){.last = NET_FEATURES_OK});
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		if (none[i] < n)
			continue;
		queue_put(&m, 0, VC_COMMON_Q_MSIX, 2, none[i]);
		t_expect_eq(t, queue_get(&m, 0, VC_COMMON_Q_MSIX, 2), VC_MSI_NO_VECTOR,
			    "queue_msix_vector after a vector that does not exist");
		reg_put(&m, &m.common, VC_COMMON_MSIX, 2, none[i]);
		t_expect_eq(t, reg_get(&m, &m.common, VC_COMMON_MSIX, 2), VC_MSI_NO_VECTOR,
			    "config_msix_vector after a vector that does not exist");
	}
}

CHECK(msix, interrupt_by_chosen_vector,
      .requirements = "VIO-MSIX-004 VIO-MSIX-006 IFC-VEC-002 VDPA-VQ-019 OPS-VQ-010",
      .summary = "each event interrupts by the vector it was given and by no other, in any order",
      .needs = NEEDS | CAP_PEER)
{
	const unsigned int queues = queue_count(t);
	const unsigned int n = queues + 1;
	uint16_t of[VECTORS_MAX];

	if (vector_count(&(struct pci_map){.t = t, .a = t_parent(t)->ops->pci(t_parent(t))}) < n)
		t_skip(t, SKIP_INTERFACE, "there are fewer vectors than events");
	for (unsigned int order = 0; order < 3; order++) {
		struct vectors v;

		t_step(t, "%s",
		       order == 0   ? "queues first, configuration last (Linux)"
		       : order == 1 ? "configuration first, then queues (DPDK)"
				    : "from the last vector downwards");
		for (unsigned int e = 0; e < n; e++)
			of[e] = (uint16_t)(order == 0 ? e : order == 1 ? (e + 1) % n : n - 1 - e);
		v = vectors_up(t, pairs_to_use(t), of);
		each_event(&v, of);
		vectors_down(&v);
	}
}

CHECK(msix, shared_vector, .requirements = "VIO-MSIX-004 VIO-MSIX-006 VIO-MSIX-008",
      .summary = "all events may share one vector, and each of them interrupts by it",
      .needs = NEEDS | CAP_PEER)
{
	const unsigned int queues = queue_count(t);
	uint16_t of[VECTORS_MAX] = {0};
	struct vectors v;

	t_step(t, "queues share vector 0, configuration has 1 (Linux with few vectors)");
	of[queues] = vector_count(&(struct pci_map){.t = t,
						    .a = t_parent(t)->ops->pci(t_parent(t))}) > 1;
	v = vectors_up(t, pairs_to_use(t), of);
	each_event(&v, of);
	vectors_down(&v);
	t_step(t, "all share vector 0");
	of[queues] = 0;
	v = vectors_up(t, pairs_to_use(t), of);
	each_event(&v, of);
	vectors_down(&v);
}

CHECK(msix, no_vector_is_silent, .requirements = "VIO-MSIX-015 VIO-MSIX-017 VIO-MSIX-005",
      .summary = "an event without a vector does not interrupt, and its work is done all the same",
      .needs = NEEDS | CAP_PEER)
{
	const unsigned int queues = queue_count(t);
	uint16_t of[VECTORS_MAX];
	struct vectors v;

	for (unsigned int e = 0; e <= queues; e++)
		of[e] = VC_MSI_NO_VECTOR;
	v = vectors_up(t, pairs_to_use(t), of);
	each_event(&v, of);
	vectors_down(&v);
	t_step(t, "one queue has a vector, the others none");
	of[1] = 0;
	v = vectors_up(t, pairs_to_use(t), of);
	each_event(&v, of);
	vectors_down(&v);
}

CHECK(msix, unmapped_after_reset, .requirements = "VIO-MSIX-007",
      .summary = "after a reset no event has a vector", .needs = NEEDS)
{
	const struct pci_map m = pci_map(t);
	const unsigned int queues = queue_count(t);

	if (t_parent(t)->caps & CAP_IFCVF)
		t_skip(t, SKIP_INTERFACE, "vectors of an IFCVF survive a reset");
	net_up(t, NULL);
	for (unsigned int q = 0; q < queues; q++)
		queue_put(&m, q, VC_COMMON_Q_MSIX, 2, 0);
	t_ok(t, parent_reset(t_parent(t)));
	for (unsigned int q = 0; q < queues; q++)
		t_expect(
			t, queue_get(&m, q, VC_COMMON_Q_MSIX, 2) == VC_MSI_NO_VECTOR,
			"after a reset queue_msix_vector of queue %u must read NO_VECTOR, it reads "
			"%u",
			q, queue_get(&m, q, VC_COMMON_Q_MSIX, 2));
	t_expect_eq(t, reg_get(&m, &m.common, VC_COMMON_MSIX, 2), VC_MSI_NO_VECTOR,
		    "config_msix_vector after a reset");
}

CHECK(msix, ifcvf_vectors_survive_reset, .requirements = "IFC-VEC-002 IFC-RST-001",
      .summary = "an IFCVF keeps vectors over status 0: Linux 6.1 sets them before and never again",
      .needs = NEEDS | CAP_IFCVF)
{
	const struct pci_map m = pci_map(t);
	const unsigned int queues = queue_count(t), n = vector_count(&m);

	for (unsigned int q = 0; q < queues; q++)
		queue_put(&m, q, VC_COMMON_Q_MSIX, 2, q % n);
	reg_put(&m, &m.common, VC_COMMON_MSIX, 2, queues % n);
	t_step(t, "vectors, then status 0, as Linux 6.1 begins");
	t_ok(t, parent_reset(t_parent(t)));
	for (unsigned int q = 0; q < queues; q++)
		t_expect_eq(t, queue_get(&m, q, VC_COMMON_Q_MSIX, 2), q % n,
			    "queue_msix_vector after status 0");
	t_expect_eq(t, reg_get(&m, &m.common, VC_COMMON_MSIX, 2), queues % n,
		    "config_msix_vector after status 0");
}
