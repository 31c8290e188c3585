// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtio-net driver that checks drive (see net.h): bring-up, buffers, control queue
 *
 * How it works. net_up() is a ladder of steps, each a function; net_continue() climbs on. Receive
 * buffers of a queue lie in one slab with poisoned slack around each; transmit buffers come from a
 * pool that grows on demand, and a hash taken when they are sent shows on their return whether the
 * device changed what it may only read. Frames and traffic are in frame.c and io.c.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "net_priv.h"

#define RING_DEFAULT  256u
#define RX_DEFAULT    64u
#define RX_SLAB_MAX   (4u << 20)
#define TX_SMALL      2048u
#define TX_SMALL_MANY 16u
#define FRAME_LONGEST 1514u
#define CTRL_BYTES    8192u

/* ---- Features ---------------------------------------------------------------------------------
 */

static const uint64_t plain_features =
	VC_BIT(VC_F_VERSION_1) | VC_BIT(VC_F_ACCESS_PLATFORM) | VC_BIT(VC_NET_F_MAC) |
	VC_BIT(VC_NET_F_STATUS) | VC_BIT(VC_NET_F_MRG_RXBUF) | VC_BIT(VC_NET_F_CTRL_VQ) |
	VC_BIT(VC_NET_F_CTRL_RX) | VC_BIT(VC_NET_F_CTRL_VLAN) | VC_BIT(VC_NET_F_CTRL_MAC_ADDR);

/* VIRTIO 5.1.3.1: a feature and those of which it needs at least one */
static const struct {
	unsigned int bit;
	uint64_t one_of;
} prerequisites[] = {
	{VC_NET_F_GUEST_TSO4, VC_BIT(VC_NET_F_GUEST_CSUM)},
	{VC_NET_F_GUEST_TSO6, VC_BIT(VC_NET_F_GUEST_CSUM)},
	{VC_NET_F_GUEST_ECN, VC_BIT(VC_NET_F_GUEST_TSO4) | VC_BIT(VC_NET_F_GUEST_TSO6)},
	{VC_NET_F_GUEST_UFO, VC_BIT(VC_NET_F_GUEST_CSUM)},
	{VC_NET_F_GUEST_USO4, VC_BIT(VC_NET_F_GUEST_CSUM)},
	{VC_NET_F_GUEST_USO6, VC_BIT(VC_NET_F_GUEST_CSUM)},
	{VC_NET_F_HOST_TSO4, VC_BIT(VC_NET_F_CSUM)},
	{VC_NET_F_HOST_TSO6, VC_BIT(VC_NET_F_CSUM)},
	{VC_NET_F_HOST_ECN, VC_BIT(VC_NET_F_HOST_TSO4) | VC_BIT(VC_NET_F_HOST_TSO6)},
	{VC_NET_F_HOST_UFO, VC_BIT(VC_NET_F_CSUM)},
	{VC_NET_F_HOST_USO, VC_BIT(VC_NET_F_CSUM)},
	{VC_NET_F_CTRL_GUEST_OFFLOADS, VC_BIT(VC_NET_F_CTRL_VQ)},
	{VC_NET_F_CTRL_RX, VC_BIT(VC_NET_F_CTRL_VQ)},
	{VC_NET_F_CTRL_RX_EXTRA, VC_BIT(VC_NET_F_CTRL_VQ)},
	{VC_NET_F_CTRL_VLAN, VC_BIT(VC_NET_F_CTRL_VQ)},
	{VC_NET_F_GUEST_ANNOUNCE, VC_BIT(VC_NET_F_CTRL_VQ)},
	{VC_NET_F_MQ, VC_BIT(VC_NET_F_CTRL_VQ)},
	{VC_NET_F_CTRL_MAC_ADDR, VC_BIT(VC_NET_F_CTRL_VQ)},
	{VC_NET_F_NOTF_COAL, VC_BIT(VC_NET_F_CTRL_VQ)},
	{VC_NET_F_VQ_NOTF_COAL, VC_BIT(VC_NET_F_CTRL_VQ)},
	{VC_NET_F_RSS, VC_BIT(VC_NET_F_CTRL_VQ)},
	{VC_NET_F_RSC_EXT, VC_BIT(VC_NET_F_HOST_TSO4) | VC_BIT(VC_NET_F_HOST_TSO6)},
};

static uint64_t option_features(const struct net_options *opts)
{
	uint64_t f = opts->want | opts->need;

	if (opts->format != NET_SPLIT)
		f |= VC_BIT(VC_F_RING_PACKED);
	if (opts->indirect)
		f |= VC_BIT(VC_F_INDIRECT_DESC);
	if (opts->event_idx)
		f |= VC_BIT(VC_F_EVENT_IDX);
	if (opts->in_order)
		f |= VC_BIT(VC_F_IN_ORDER);
	if (opts->notification_data)
		f |= VC_BIT(VC_F_NOTIFICATION_DATA);
	if (opts->pairs > 1)
		f |= VC_BIT(VC_NET_F_MQ);
	return f;
}

uint64_t net_features_default(uint64_t offered, const struct net_options *opts)
{
	uint64_t f;
	bool again = true;

	if (opts->unchecked)
		return opts->want;
	if (opts->exact)
		return opts->want & offered;
	f = (plain_features | option_features(opts)) & offered & ~opts->unwant;
	while (again) {
		again = false;
		for (size_t i = 0; i < sizeof(prerequisites) / sizeof(prerequisites[0]); i++)
			if ((f & VC_BIT(prerequisites[i].bit)) && !(f & prerequisites[i].one_of)) {
				f &= ~VC_BIT(prerequisites[i].bit);
				again = true;
			}
	}
	return f;
}

unsigned int net_hdr_len(uint64_t features)
{
	if (features & VC_BIT(VC_NET_F_HASH_REPORT))
		return VC_NET_HDR_LEN_HASH;
	if (features & (VC_BIT(VC_F_VERSION_1) | VC_BIT(VC_NET_F_MRG_RXBUF)))
		return VC_NET_HDR_LEN;
	return VC_NET_HDR_LEN_LEGACY;
}

static bool has(const struct net *net, unsigned int bit)
{
	return net->features & VC_BIT(bit);
}

/* ---- Steps
 * ---------------------------------------------------------------------------------------- */

static uint8_t add_status(struct net *net, uint8_t bits)
{
	uint8_t status = 0;

	net->priv->status |= bits;
	t_ok(net->t, parent_set_status(net->p, net->priv->status));
	t_ok(net->t, parent_get_status(net->p, &status));
	return status;
}

static void step_reset(struct net *net)
{
	uint8_t status = 0xff;

	net->priv->status = 0;
	if (net->opts.no_reset)
		return;
	t_ok(net->t, parent_reset(net->p));
	t_ok(net->t, parent_get_status(net->p, &status));
	t_expect(net->t, status == 0, "status must read 0 after a reset, it reads 0x%02x", status);
}

static void step_features(struct net *net)
{
	const struct net_options *o = &net->opts;
	uint64_t need = o->need;

	t_ok(net->t, parent_get_device_features(net->p, &net->offered));
	if (o->format == NET_PACKED)
		need |= VC_BIT(VC_F_RING_PACKED);
	if (o->pairs > 1)
		need |= VC_BIT(VC_NET_F_MQ) | VC_BIT(VC_NET_F_CTRL_VQ);
	for (unsigned int bit = 0; bit < 64; bit++)
		if ((need & ~net->offered & VC_BIT(bit)))
			t_skip(net->t, SKIP_FEATURE, "feature %u is not offered", bit);
	net->features = net_features_default(net->offered, o);
	t_ok(net->t, parent_set_driver_features(net->p, net->features));
	net->hdr_len = net_hdr_len(net->features);
}

static void read_config(struct net *net)
{
	static const uint8_t made_up[6] = {0x02, 'v', 'q', 'c', 'r', 't'};

	memcpy(net->mac, made_up, 6);
	if (has(net, VC_NET_F_MAC))
		net_config(net, VC_NET_CFG_MAC, net->mac, 6);
	net->max_pairs = 1;
	if (has(net, VC_NET_F_MQ) || has(net, VC_NET_F_RSS))
		net->max_pairs = net_config16(net, VC_NET_CFG_PAIRS);
	t_expect(net->t, net->max_pairs >= 1 && net->max_pairs <= 0x8000,
		 "max_virtqueue_pairs must be 1 to 0x8000, it is %u", net->max_pairs);
}

static void step_features_ok(struct net *net)
{
	const uint8_t status = add_status(net, VC_STATUS_FEATURES_OK);

	if (!(status & VC_STATUS_FEATURES_OK) && !net->opts.unchecked)
		t_fail(net->t,
		       "the features 0x%llx are a valid subset of the offered 0x%llx and must be "
		       "accepted; FEATURES_OK reads back clear (status 0x%02x)",
		       (unsigned long long)net->features, (unsigned long long)net->offered, status);
	if (net->opts.unchecked)
		return;
	read_config(net);
}

static const struct vq_state *base_for(const struct net *net, unsigned int q, struct vq_state *out)
{
	const struct net_options *o = &net->opts;
	const struct vq_state *base = o->base;

	if (q != net->ctrl_index || !net->ctrl_index) {
		if (q % 2 && o->base_tx)
			base = o->base_tx;
		if (q % 2 == 0 && o->base_rx)
			base = o->base_rx;
	}
	if (!base)
		return NULL;
	*out = *base;
	out->packed = has(net, VC_F_RING_PACKED);
	return out;
}

static struct vring *make_ring(struct net *net, unsigned int q)
{
	struct vring_options ro = {
		.packed = has(net, VC_F_RING_PACKED),
		.event_idx = has(net, VC_F_EVENT_IDX),
		.indirect = has(net, VC_F_INDIRECT_DESC),
		.in_order = has(net, VC_F_IN_ORDER),
		.notification_data = has(net, VC_F_NOTIFICATION_DATA),
	};
	uint16_t max = 0, min = 0, size = net->opts.size ? net->opts.size : RING_DEFAULT;
	struct vq_state base;

	t_ok(net->t, parent_get_vq_size_max(net->p, q, &max));
	t_expect(net->t, max, "queue %u must exist (%u queues in all), its size reads 0", q,
		 net->queues);
	if (parent_get_vq_size_min(net->p, &min))
		min = 1;
	if (size > max)
		size = max;
	if (size < min)
		size = min;
	ro.size = size;
	ro.base = base_for(net, q, &base);
	return vring_create(net->t, net->dma, &ro);
}

static void step_queues(struct net *net)
{
	struct net_priv *priv = net->priv;
	int err;

	net->pairs = net->opts.pairs ? net->opts.pairs : 1;
	if (net->pairs > NET_PAIRS_MAX || net->pairs > net->max_pairs)
		t_skip(net->t, SKIP_FEATURE, "%u queue pairs are needed, the device has %u",
		       net->pairs, net->max_pairs);
	t_ok(net->t, parent_get_vq_count(net->p, &net->queues));
	net->ctrl_index = 0;
	if (has(net, VC_NET_F_CTRL_VQ)) {
		const bool many = has(net, VC_NET_F_MQ) || has(net, VC_NET_F_RSS);

		net->ctrl_index = many ? 2 * net->max_pairs : 2;
	}
	t_expect(net->t, net->queues >= 2 * net->pairs && net->ctrl_index < net->queues,
		 "%u queue pairs and the control queue at %u are needed, the device has %u queues",
		 net->pairs, net->ctrl_index, net->queues);
	for (unsigned int i = 0; i < net->pairs; i++) {
		net->rx[i] = make_ring(net, 2 * i);
		net->tx[i] = make_ring(net, 2 * i + 1);
		vring_program(net->rx[i], 2 * i, NULL, false);
		vring_program(net->tx[i], 2 * i + 1, NULL, false);
	}
	if (net->ctrl_index && !net->opts.no_ctrl) {
		net->ctrl = make_ring(net, net->ctrl_index);
		vring_program(net->ctrl, net->ctrl_index, NULL, false);
	}
	err = parent_set_config_call(net->p, priv->config_fd);
	if (err && err != -EOPNOTSUPP)
		t_fail(net->t,
		       "giving the device a configuration interrupt must succeed, it returned %d",
		       err);
}

static void for_all_rings(struct net *net, void (*what)(struct net *net, struct vring *r))
{
	for (unsigned int i = 0; i < net->pairs; i++) {
		if (net->rx[i])
			what(net, net->rx[i]);
		if (net->tx[i])
			what(net, net->tx[i]);
	}
	if (net->ctrl)
		what(net, net->ctrl);
}

static void make_ready(struct net *net, struct vring *r)
{
	t_ok(net->t, parent_set_vq_ready(net->p, vring_queue(r), true));
}

static void step_ready(struct net *net)
{
	for (unsigned int i = 0; i < net->pairs; i++) {
		net_rx_make(net, i);
		net_post(net, i, UINT32_MAX, false);
	}
	for_all_rings(net, make_ready);
}

static void step_driver_ok(struct net *net)
{
	const uint8_t status = add_status(net, VC_STATUS_DRIVER_OK);

	t_expect(net->t, !(status & VC_STATUS_NEEDS_RESET),
		 "the device asks for a reset right after DRIVER_OK (status 0x%02x)", status);
	if (!net->opts.no_kick)
		for (unsigned int i = 0; i < net->pairs; i++)
			vring_kick(net->rx[i]);
	if (net->pairs > 1 && net->ctrl)
		t_expect(net->t, net_set_pairs(net, (uint16_t)net->pairs) == VC_NET_OK,
			 "switching %u queue pairs on must be acknowledged", net->pairs);
}

void net_continue(struct net *net, enum net_step last)
{
	struct net_priv *priv = net->priv;

	if (last == NET_ALL)
		last = NET_DRIVER_OK;
	while (priv->step < last) {
		switch (++priv->step) {
		case NET_RESET:
			step_reset(net);
			break;
		case NET_ACKNOWLEDGE:
			add_status(net, VC_STATUS_ACKNOWLEDGE);
			break;
		case NET_DRIVER:
			add_status(net, VC_STATUS_DRIVER);
			break;
		case NET_FEATURES:
			step_features(net);
			break;
		case NET_FEATURES_OK:
			step_features_ok(net);
			break;
		case NET_QUEUES:
			step_queues(net);
			break;
		case NET_READY:
			step_ready(net);
			break;
		case NET_DRIVER_OK:
			step_driver_ok(net);
			break;
		default:
			return;
		}
	}
}

/* session() - unlike that of any driver whose frames may still be on their way */
static uint32_t session(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint32_t)(ts.tv_nsec / 1000 + ts.tv_sec * 1000000);
}

struct net *net_up(struct test *t, const struct net_options *opts)
{
	static const struct net_options plain;
	struct net *net = calloc(1, sizeof(*net));
	struct net_priv *priv = calloc(1, sizeof(*priv));

	if (!net || !priv)
		t_broken(t, "no memory for a driver");
	net->t = t;
	net->p = t_parent(t);
	net->opts = opts ? *opts : plain;
	net->session = session();
	net->priv = priv;
	priv->config_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (priv->config_fd < 0)
		t_broken(t, "eventfd: %s", strerror(errno));
	net->own_dma = !net->opts.arena;
	net->dma = net->own_dma ? dma_open(t, net->opts.dma) : net->opts.arena;
	net_continue(net, net->opts.last);
	/* what a check passed in may live on its stack */
	net->opts.base = net->opts.base_tx = net->opts.base_rx = NULL;
	return net;
}

static void destroy_ring(struct net *net, struct vring *r)
{
	(void)net;
	vring_destroy(r);
}

static void check_ring(struct net *net, struct vring *r)
{
	(void)net;
	vring_check(r);
}

void net_down(struct net *net)
{
	struct net_priv *priv = net->priv;

	t_ok(net->t, parent_reset(net->p));
	for_all_rings(net, check_ring);
	dma_check(net->dma);
	/* The eventfds are about to be closed. */
	for_all_rings(net, net_call_off);
	parent_set_config_call(net->p, -1);
	for_all_rings(net, destroy_ring);
	for (unsigned int i = 0; i < NET_PAIRS_MAX; i++) {
		free(priv->rx[i].buffers);
		net_tx_free(&priv->tx[i]);
	}
	if (net->own_dma)
		dma_close(net->dma);
	close(priv->config_fd);
	free(priv);
	free(net);
}

void net_call_off(struct net *net, struct vring *r)
{
	parent_set_vq_call(net->p, vring_queue(r), -1);
}

struct vring *net_ring(struct net *net, unsigned int q)
{
	if (net->ctrl_index && q == net->ctrl_index)
		return net->ctrl;
	if (q >= 2 * net->pairs)
		return NULL;
	return q % 2 ? net->tx[q / 2] : net->rx[q / 2];
}

const char *net_queue_name(const struct net *net, unsigned int q)
{
	static char name[4][16];
	static unsigned int turn;
	char *s = name[turn++ % 4];

	if (net->ctrl_index && q == net->ctrl_index)
		return "ctrl";
	snprintf(s, sizeof(name[0]), "%s%u", q % 2 ? "tx" : "rx", q / 2);
	return s;
}

/* ---- Saving and restoring
 * ------------------------------------------------------------------------------ */

void net_save(struct net *net, struct net_state *state)
{
	memset(state, 0, sizeof(*state));
	state->queues = net->queues < NET_QUEUES_MAX ? net->queues : NET_QUEUES_MAX;
	for (unsigned int q = 0; q < state->queues; q++) {
		int err;

		if (!net_ring(net, q))
			continue;
		err = parent_vq_stop(net->p, q, &state->vq[q]);
		if (err == -EOPNOTSUPP)
			t_skip(net->t, SKIP_INTERFACE,
			       "this parent can't stop queues and give positions");
		t_expect(net->t, err == 0,
			 "stopping queue %u (%s) must succeed, it returned %d (%s)", q,
			 net_queue_name(net, q), err, strerror(-err));
		state->valid[q] = true;
	}
}

void net_restore(struct net *net, const struct net_state *state, bool kick)
{
	struct net_priv *priv = net->priv;

	t_ok(net->t, parent_reset(net->p));
	priv->status = 0;
	add_status(net, VC_STATUS_ACKNOWLEDGE);
	add_status(net, VC_STATUS_DRIVER);
	t_ok(net->t, parent_set_driver_features(net->p, net->features));
	t_expect(net->t, add_status(net, VC_STATUS_FEATURES_OK) & VC_STATUS_FEATURES_OK,
		 "features that were accepted before must be accepted again");
	for (unsigned int q = 0; q < state->queues; q++) {
		if (!state->valid[q])
			continue;
		vring_program(net_ring(net, q), q, &state->vq[q], true);
	}
	parent_set_config_call(net->p, priv->config_fd);
	for_all_rings(net, make_ready);
	add_status(net, VC_STATUS_DRIVER_OK);
	if (kick)
		for_all_rings(net, net_kick_ring);
	if (net->pairs > 1 && net->ctrl)
		t_expect(net->t, net_set_pairs(net, (uint16_t)net->pairs) == VC_NET_OK,
			 "switching %u queue pairs on again must be acknowledged", net->pairs);
}

void net_kick_ring(struct net *net, struct vring *r)
{
	(void)net;
	vring_kick_now(r);
}

void net_suspend(struct net *net)
{
	int err = parent_suspend(net->p);

	if (err == -EOPNOTSUPP)
		t_skip(net->t, SKIP_INTERFACE, "this parent can't suspend the device");
	t_expect(net->t, err == 0, "suspend must succeed, it returned %d", err);
}

void net_resume(struct net *net)
{
	int err = parent_resume(net->p);

	if (err == -EOPNOTSUPP)
		t_skip(net->t, SKIP_INTERFACE, "this parent can't resume the device");
	t_expect(net->t, err == 0, "resume must succeed, it returned %d", err);
}

/* ---- Receive buffers
 * -------------------------------------------------------------------------------------- */

static bool guest_gso(const struct net *net)
{
	return net->features & (VC_BIT(VC_NET_F_GUEST_TSO4) | VC_BIT(VC_NET_F_GUEST_TSO6) |
				VC_BIT(VC_NET_F_GUEST_UFO) | VC_BIT(VC_NET_F_GUEST_USO4) |
				VC_BIT(VC_NET_F_GUEST_USO6));
}

void net_rx_make(struct net *net, unsigned int pair)
{
	struct net_rx *rx = &net->priv->rx[pair];
	const unsigned int per = net->opts.rx_split ? 2 : 1;
	uint32_t size = net->opts.rx_size, count = net->opts.rx_count;
	size_t stride;

	if (rx->buffers || count == NET_RX_NONE)
		return;
	if (!size && has(net, VC_NET_F_MRG_RXBUF))
		size = 2048;
	else if (!size && guest_gso(net))
		size = VC_NET_RX_GSO;
	/* VIRTIO 5.1.6.3.1: what can't be merged has to hold a whole frame; unless it is not wanted
	 */
	if (!has(net, VC_NET_F_MRG_RXBUF) && size < net->hdr_len + FRAME_LONGEST &&
	    !(size && net->opts.unwant & VC_BIT(VC_NET_F_MRG_RXBUF)))
		size = net->hdr_len + FRAME_LONGEST;
	if (!count)
		count = RX_DEFAULT;
	if (count > vring_free(net->rx[pair]) / per)
		count = vring_free(net->rx[pair]) / per;
	/* by chance with a page more, so that buffers lie over page borders */
	stride = (size + DMA_PAGE - 1) / DMA_PAGE * DMA_PAGE;
	if (t_random(net->t) & 1)
		stride += DMA_PAGE;
	while (count > 1 && count * stride > RX_SLAB_MAX && !net->opts.rx_count)
		count /= 2;
	rx->slab = dma_alloc_pages(net->dma, count * stride / DMA_PAGE);
	rx->buffers = calloc(count ? count : 1, sizeof(*rx->buffers));
	if (!rx->buffers)
		t_broken(net->t, "no memory for receive buffers");
	rx->count = count;
	rx->size = size;
	rx->stride = stride;
	for (uint32_t i = 0; i < count; i++) {
		const size_t off = t_random(net->t) % (stride - size + 1);

		rx->buffers[i] = (struct net_rx_buffer){
			.pair = pair,
			.slot = rx->slab.host + i * stride,
			.host = rx->slab.host + i * stride + off,
			.iova = rx->slab.iova + i * stride + off,
		};
	}
}

static int post_one(struct net *net, unsigned int pair, struct net_rx_buffer *b)
{
	const struct net_rx *rx = &net->priv->rx[pair];
	const struct vring_sg whole = {b->iova, rx->size, true};
	const struct vring_sg apart[2] = {
		{b->iova, net->hdr_len, true},
		{b->iova + net->hdr_len, rx->size - net->hdr_len, true},
	};
	int err = net->opts.rx_split ? vring_add(net->rx[pair], apart, 2, 0, b)
				     : vring_add(net->rx[pair], &whole, 1, 0, b);

	if (!err)
		b->posted = true;
	return err;
}

unsigned int net_post(struct net *net, unsigned int pair, unsigned int count, bool kick)
{
	struct net_rx *rx = &net->priv->rx[pair];
	unsigned int n = 0;

	net_rx_make(net, pair);
	for (uint32_t i = 0; i < rx->count && n < count; i++) {
		if (rx->buffers[i].posted)
			continue;
		if (post_one(net, pair, &rx->buffers[i]))
			break;
		rx->posted++;
		n++;
	}
	if (n) {
		vring_publish(net->rx[pair], 0);
		if (kick)
			vring_kick(net->rx[pair]);
	}
	return n;
}

/* rx_slack() - nothing may be written around a receive buffer */
static void rx_slack(struct net *net, const struct net_rx *rx, const struct net_rx_buffer *b)
{
	const uint8_t *end = b->host + rx->size;

	if (!dma_poisoned(net->dma, b->slot, (size_t)(b->host - b->slot)) ||
	    !dma_poisoned(net->dma, end, (size_t)(b->slot + rx->stride - end)))
		t_fail(net->t,
		       "the device wrote beside a receive buffer of %u bytes at IOVA 0x%llx",
		       rx->size, (unsigned long long)b->iova);
}

static void parse_header(const struct net *net, const uint8_t *at, struct net_hdr *hdr)
{
	struct vc_net_hdr raw = {0};

	memcpy(&raw, at, net->hdr_len < sizeof(raw) ? net->hdr_len : sizeof(raw));
	*hdr = (struct net_hdr){
		.flags = raw.flags,
		.gso_type = raw.gso_type,
		.hdr_len = le16toh(raw.hdr_len),
		.gso_size = le16toh(raw.gso_size),
		.csum_start = le16toh(raw.csum_start),
		.csum_offset = le16toh(raw.csum_offset),
		.num_buffers = net->hdr_len > VC_NET_HDR_LEN_LEGACY ? le16toh(raw.num_buffers) : 1,
	};
}

static bool gso_allowed(const struct net *net, uint8_t type)
{
	switch (type & (uint8_t)~VC_NET_GSO_ECN) {
	case VC_NET_GSO_NONE:
		return true;
	case VC_NET_GSO_TCPV4:
		return has(net, VC_NET_F_GUEST_TSO4);
	case VC_NET_GSO_TCPV6:
		return has(net, VC_NET_F_GUEST_TSO6);
	case VC_NET_GSO_UDP:
		return has(net, VC_NET_F_GUEST_UFO);
	case VC_NET_GSO_UDP_L4:
		return has(net, VC_NET_F_GUEST_USO4) || has(net, VC_NET_F_GUEST_USO6);
	default:
		return false;
	}
}

/* judge_header() - VIRTIO 5.1.6.4.1 */
static void judge_header(struct net *net, const struct net_hdr *h)
{
	if (!has(net, VC_NET_F_GUEST_CSUM))
		t_expect(net->t, h->flags == 0,
			 "received header: flags must be 0 without GUEST_CSUM, they are 0x%02x",
			 h->flags);
	t_expect(net->t, gso_allowed(net, h->gso_type),
		 "received header: gso_type 0x%02x was not negotiated", h->gso_type);
	if (h->gso_type & VC_NET_GSO_ECN)
		t_expect(net->t, has(net, VC_NET_F_GUEST_ECN),
			 "received header: gso_type 0x%02x has ECN, which was not negotiated",
			 h->gso_type);
	if (has(net, VC_NET_F_MRG_RXBUF))
		t_expect(net->t, h->num_buffers >= 1,
			 "received header: num_buffers must be at least 1, it is 0");
	else
		/* 0 is wrong too, and one check says so; it must not hide what all others see */
		t_expect(net->t, h->num_buffers <= 1,
			 "received header: num_buffers must be 1 without MRG_RXBUF, it is %u",
			 h->num_buffers);
}

/* take_rx() - one buffer into the frame, and back into the ring */
static void take_rx(struct net *net, unsigned int pair, const struct vring_used *used, bool first,
		    struct net_frame *frame)
{
	struct net_rx *rx = &net->priv->rx[pair];
	struct net_rx_buffer *b = used->cookie;
	const uint32_t skip = first ? net->hdr_len : 0;

	if (!b)
		t_broken(net->t, "a bug of this check: a receive buffer that is none");
	t_expect(net->t, used->len >= skip,
		 "rx%u: a used length of %u is shorter than the header of %u bytes", pair,
		 used->len, skip);
	t_expect(net->t, first || used->len,
		 "rx%u: a merged buffer of length 0 (one of %u that a frame is said to be in)",
		 pair, frame->hdr.num_buffers);
	if (first)
		parse_header(net, b->host, &frame->hdr);
	t_expect(net->t, frame->len + used->len - skip <= NET_FRAME_MAX,
		 "rx%u: a frame of more than %u bytes", pair, NET_FRAME_MAX);
	memcpy(frame->data + frame->len, b->host + skip, used->len - skip);
	frame->len += used->len - skip;
	rx_slack(net, rx, b);
	dma_poison(net->dma, b->host, rx->size);
	b->posted = false;
	rx->posted--;
	if (!net->opts.keep && !post_one(net, pair, b))
		rx->posted++;
}

static bool recv_pair(struct net *net, unsigned int pair, struct net_frame *frame)
{
	struct vring *r = net->rx[pair];
	struct vring_used used;

	if (!vring_pending(r) || !vring_get(r, &used))
		return false;
	frame->len = 0;
	frame->pair = pair;
	take_rx(net, pair, &used, true, frame);
	judge_header(net, &frame->hdr);
	frame->buffers = has(net, VC_NET_F_MRG_RXBUF) ? frame->hdr.num_buffers : 1;
	for (unsigned int i = 1; i < frame->buffers; i++) {
		/* VIRTIO 5.1.6.4.1: all buffers of a frame are seen as used together */
		t_expect(
			net->t, vring_get(r, &used),
			"rx%u: a frame says that it is in %u buffers, but only %u are used; they must "
			"become used together",
			pair, frame->buffers, i);
		take_rx(net, pair, &used, false, frame);
	}
	if (!net->opts.keep) {
		vring_publish(r, 0);
		vring_kick(r);
	}
	return true;
}

bool net_recv_now(struct net *net, struct net_frame *frame)
{
	for (unsigned int i = 0; i < net->pairs; i++) {
		const unsigned int pair = (net->priv->rx_turn + i) % net->pairs;

		while (net->rx[pair] && recv_pair(net, pair, frame)) {
			net->priv->rx_turn = pair + 1;
			if (!net_frame_stale(net, frame))
				return true;
		}
	}
	return false;
}

static bool rx_pending(void *arg)
{
	struct net *net = arg;

	for (unsigned int i = 0; i < net->pairs; i++)
		if (net->rx[i] && vring_pending(net->rx[i]))
			return true;
	return false;
}

bool net_recv(struct net *net, struct net_frame *frame, unsigned int timeout_ms)
{
	if (timeout_ms)
		parent_wait(net->p, rx_pending, net, timeout_ms);
	return net_recv_now(net, frame);
}

/* ---- Transmit buffers
 * --------------------------------------------------------------------------------------- */

static struct net_tx_buffer *tx_buffer(struct net *net, unsigned int pair, uint32_t bytes)
{
	struct net_tx *tx = &net->priv->tx[pair];
	struct net_tx_buffer **link, *b;
	struct dma_mem mem;

	for (link = &tx->free; (b = *link) != NULL; link = &b->next)
		if (b->size >= bytes) {
			*link = b->next;
			return b;
		}
	/* none is free: more of them, small ones by the dozen */
	if (bytes <= TX_SMALL) {
		mem = dma_alloc(net->dma, TX_SMALL_MANY * TX_SMALL, 16);
		for (unsigned int i = 0; i < TX_SMALL_MANY; i++) {
			b = calloc(1, sizeof(*b));
			if (!b)
				t_broken(net->t, "no memory for transmit buffers");
			*b = (struct net_tx_buffer){
				.host = mem.host + i * TX_SMALL,
				.iova = mem.iova + i * TX_SMALL,
				.size = TX_SMALL,
				.next = tx->free,
				.all = tx->all,
			};
			tx->free = tx->all = b;
		}
		tx->free = b->next;
		return b;
	}
	mem = dma_alloc(net->dma, bytes, 2);
	b = calloc(1, sizeof(*b));
	if (!b)
		t_broken(net->t, "no memory for transmit buffers");
	*b = (struct net_tx_buffer){
		.host = mem.host, .iova = mem.iova, .size = bytes, .all = tx->all};
	tx->all = b;
	return b;
}

void net_tx_free(struct net_tx *tx)
{
	while (tx->all) {
		struct net_tx_buffer *b = tx->all;

		tx->all = b->all;
		free(b);
	}
}

static void put_header(const struct net *net, uint8_t *at, const struct net_hdr *hdr)
{
	const struct vc_net_hdr raw = {
		.flags = hdr->flags,
		.gso_type = hdr->gso_type,
		.hdr_len = htole16(hdr->hdr_len),
		.gso_size = htole16(hdr->gso_size),
		.csum_start = htole16(hdr->csum_start),
		.csum_offset = htole16(hdr->csum_offset),
	};

	memset(at, 0, net->hdr_len);
	memcpy(at, &raw, net->hdr_len < sizeof(raw) ? net->hdr_len : sizeof(raw));
}

int net_send(struct net *net, unsigned int pair, const struct net_frame *frame, unsigned int pieces,
	     unsigned int flags)
{
	struct vring_sg sg[NET_PIECES_MAX + 1];
	const uint32_t total = net->hdr_len + frame->len;
	const bool apart = flags & NET_SEND_HDR_APART ||
			   !(net->features & (VC_BIT(VC_F_VERSION_1) | VC_BIT(VC_F_ANY_LAYOUT)));
	struct net_tx_buffer *b;
	uint32_t at, end;
	unsigned int n = 0;
	int err;

	if (!pieces)
		pieces = 1;
	if (pieces > NET_PIECES_MAX)
		pieces = NET_PIECES_MAX;
	if (pieces > frame->len)
		pieces = frame->len ? frame->len : 1;
	/* a full ring is seen before a buffer is taken out of the pool */
	if (!vring_free(net->tx[pair]))
		return -ENOSPC;
	b = tx_buffer(net, pair, total);
	put_header(net, b->host, &frame->hdr);
	memcpy(b->host + net->hdr_len, frame->data, frame->len);
	at = 0;
	if (apart) {
		sg[n++] = (struct vring_sg){b->iova, net->hdr_len, false};
		at = net->hdr_len;
	}
	for (unsigned int i = 1; i <= pieces; i++) {
		end = i == pieces ? total
				  : net->hdr_len + (uint32_t)((uint64_t)frame->len * i / pieces);
		if (end == at)
			continue;
		sg[n++] = (struct vring_sg){b->iova + at, end - at, false};
		at = end;
	}
	b->len = total;
	b->hash = net_hash(b->host, total);
	err = vring_add(net->tx[pair], sg, n,
			flags & NET_SEND_INDIRECT ? VRING_INDIRECT : VRING_NO_INDIRECT, b);
	if (err) {
		b->next = net->priv->tx[pair].free;
		net->priv->tx[pair].free = b;
		return err;
	}
	if (flags & NET_SEND_NO_PUBLISH)
		return 0;
	vring_publish(net->tx[pair], 0);
	if (!(flags & NET_SEND_NO_KICK))
		vring_kick(net->tx[pair]);
	return 0;
}

unsigned int net_reap(struct net *net, unsigned int pair)
{
	struct vring_used used;
	unsigned int n = 0;

	while (vring_pending(net->tx[pair]) && vring_get(net->tx[pair], &used)) {
		struct net_tx_buffer *b = used.cookie;

		n++;
		if (!b)
			continue;
		t_expect(net->t, net_hash(b->host, b->len) == b->hash,
			 "tx%u: the device changed a transmit buffer, which it may only read",
			 pair);
		b->next = net->priv->tx[pair].free;
		net->priv->tx[pair].free = b;
	}
	return n;
}

static bool drained(void *arg)
{
	struct net *net = arg;
	bool all = true;

	for (unsigned int i = 0; i < net->pairs; i++) {
		if (!net->tx[i])
			continue;
		net_reap(net, i);
		all = all && !vring_outstanding(net->tx[i]);
	}
	return all;
}

void net_drain(struct net *net)
{
	if (parent_wait(net->p, drained, net, NET_SOON))
		return;
	for (unsigned int i = 0; i < net->pairs; i++)
		t_expect(net->t, !vring_outstanding(net->tx[i]),
			 "tx%u: every transmit buffer must come back, %u did not", i,
			 vring_outstanding(net->tx[i]));
}

/* ---- Control queue
 * -----------------------------------------------------------------------------------------------
 */

uint8_t net_ctrl_sg(struct net *net, uint8_t class, uint8_t cmd, const void *data, uint32_t len,
		    unsigned int pieces)
{
	struct net_priv *priv = net->priv;
	struct vring_sg sg[NET_PIECES_MAX + 2];
	struct vring_used used;
	unsigned int n = 0;
	uint32_t at = 0;
	uint8_t *ack;

	if (!net->ctrl)
		t_skip(net->t, SKIP_FEATURE, "there is no control queue");
	if (!priv->ctrl.host) {
		priv->ctrl = dma_alloc(net->dma, CTRL_BYTES, 16);
		priv->ack = dma_alloc(net->dma, 1, 1);
	}
	if (len > CTRL_BYTES - 2)
		t_broken(net->t, "a bug of this check: a command of %u bytes", len);
	if (pieces > NET_PIECES_MAX)
		pieces = NET_PIECES_MAX;
	priv->ctrl.host[0] = class;
	priv->ctrl.host[1] = cmd;
	if (len)
		memcpy(priv->ctrl.host + 2, data, len);
	ack = priv->ack.host;
	*ack = 0xa5;
	/* VIRTIO 5.1.6.5: class and command, the data, the answer; framing is free */
	sg[n++] = (struct vring_sg){priv->ctrl.iova, 2, false};
	if (!pieces)
		pieces = 1;
	for (unsigned int i = 1; i <= pieces; i++) {
		const uint32_t end = (uint32_t)((uint64_t)len * i / pieces);

		if (end == at)
			continue;
		sg[n++] = (struct vring_sg){priv->ctrl.iova + 2 + at, end - at, false};
		at = end;
	}
	sg[n++] = (struct vring_sg){priv->ack.iova, 1, true};
	t_ok(net->t, vring_add(net->ctrl, sg, n, VRING_NO_INDIRECT, NULL));
	vring_publish(net->ctrl, 0);
	vring_kick(net->ctrl);
	t_expect(net->t, vring_wait(net->ctrl, NET_SOON) && vring_get(net->ctrl, &used),
		 "control command %u.%u must be answered, it was not", class, cmd);
	t_expect(net->t, *ack == VC_NET_OK || *ack == VC_NET_ERR,
		 "control command %u.%u: the answer must be 0 or 1, it is 0x%02x%s", class, cmd,
		 *ack, *ack == 0xa5 ? " (not written)" : "");
	return *ack;
}

uint8_t net_ctrl(struct net *net, uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	return net_ctrl_sg(net, class, cmd, data, len, 1);
}

uint8_t net_set_pairs(struct net *net, uint16_t pairs)
{
	const uint16_t le = htole16(pairs);

	return net_ctrl(net, VC_NET_CTRL_MQ, VC_NET_CTRL_MQ_VQ_PAIRS_SET, &le, sizeof(le));
}

/* ---- Configuration space
 * ------------------------------------------------------------------------------------------- */

void net_config(struct net *net, uint32_t off, void *buf, uint32_t len)
{
	t_ok(net->t, parent_get_config(net->p, off, buf, len));
}

uint16_t net_config16(struct net *net, uint32_t off)
{
	uint16_t le = 0;

	net_config(net, off, &le, sizeof(le));
	return le16toh(le);
}

static bool config_called(void *arg)
{
	struct net_priv *priv = arg;
	uint64_t n;

	if (read(priv->config_fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		priv->config_calls += n;
	return priv->config_calls != 0;
}

uint64_t net_config_calls(struct net *net)
{
	uint64_t n;

	config_called(net->priv);
	n = net->priv->config_calls;
	net->priv->config_calls = 0;
	return n;
}

bool net_wait_config_call(struct net *net, unsigned int timeout_ms)
{
	const bool came =
		parent_wait(net->p, config_called, net->priv, timeout_ms ? timeout_ms : NET_SOON);

	net->priv->config_calls = 0;
	return came;
}
