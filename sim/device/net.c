/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The network device type (VIRTIO 5.1)
 *
 * How it works. Frames that arrive at the port are filtered by destination address and VLAN, then
 * steered to a receive queue: to the pair that the flow's own transmissions came from, or by hash.
 * Control commands change filters and the number of pairs; whatever they change, a reset undoes.
 * Without VIRTIO_NET_F_CTRL_RX every frame is let through, as the driver could not ask for less.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

#define ETH_HDR 14u

/* ---- Steering -------------------------------------------------------------------------------- */

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t fold(const uint8_t *p, unsigned int n)
{
	uint32_t h = 0, v;

	for (; n >= 4; n -= 4, p += 4) {
		memcpy(&v, p, 4);
		h ^= v;
	}
	return h;
}

/* The same for both directions of a flow: source and destination are folded together. */
static uint32_t flow_hash(const uint8_t *f, uint32_t len)
{
	unsigned int at = ETH_HDR, proto, ports;
	uint16_t type;
	uint32_t h;

	if (len < ETH_HDR)
		return 0;
	type = be16(f + 12);
	if (type == 0x8100 && len >= at + 4) {
		type = be16(f + at + 2);
		at += 4;
	}
	if (type == 0x0800 && len >= at + 20) {
		proto = f[at + 9];
		h = fold(f + at + 12, 8);
		ports = at + 4u * (f[at] & 15);
		if (be16(f + at + 6) & 0x3fff) /* a fragment has no ports, or is followed by one */
			return h * UINT32_C(0x9e3779b1);
	} else if (type == 0x86dd && len >= at + 40) {
		proto = f[at + 6];
		h = fold(f + at + 8, 32);
		ports = at + 40;
	} else {
		return 0;
	}
	if ((proto == 6 || proto == 17) && len >= ports + 4)
		h ^= (uint32_t)(be16(f + ports) ^ be16(f + ports + 2)) * UINT32_C(0x10001);
	return (h ^ proto) * UINT32_C(0x9e3779b1);
}

static unsigned int active_pairs(const struct virtio_dev *dev)
{
	const struct net *net = &dev->net;

	return net->pairs_register ? net->pairs_register : net->pairs;
}

static void learn(void *ctx, unsigned int pair, const uint8_t *frame, uint32_t len)
{
	struct virtio_dev *dev = ctx;

	if (dev->net.pairs > 1)
		dev->net.flow[flow_hash(frame, len) >> 22] = (uint8_t)(pair + 1);
}

static unsigned int steer(const struct virtio_dev *dev, const struct vqnic_frame *f)
{
	unsigned int pairs = active_pairs(dev), pair;
	uint32_t h;

	if (defect_on(dev->env.defects, DEFECT_MQ_STEERS_BEYOND_PAIRS))
		pairs = dev->net.pairs_max;
	h = flow_hash(f->data, f->len);
	pair = dev->net.flow[h >> 22];
	if (pair && defect_on(dev->env.defects, DEFECT_MQ_FLOWS_STAY))
		return pair - 1;
	if (pairs <= 1)
		return 0;
	if (defect_on(dev->env.defects, DEFECT_STEERING_ROUND_ROBIN))
		return (unsigned int)(dev->counters->rx_frames % pairs);
	if (pair && pair <= pairs)
		return pair - 1;
	return (unsigned int)(((uint64_t)h * pairs) >> 32);
}

/* ---- Filters --------------------------------------------------------------------------------- */

static bool listed(const uint8_t (*table)[6], unsigned int n, const uint8_t *mac)
{
	for (unsigned int i = 0; i < n; i++)
		if (!memcmp(table[i], mac, 6))
			return true;
	return false;
}

static bool wanted(const struct virtio_dev *dev, const struct vqnic_frame *f)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	const struct net *net = &dev->net;
	const uint8_t *to = f->data;

	if (net->vlan_filter && f->len >= ETH_HDR + 4 && be16(to + 12) == 0x8100) {
		unsigned int vid = be16(to + 14) & 0xfff;

		if (!(net->vlans[vid / 64] & VN_BIT(vid % 64)))
			return false;
	}
	if (net->promisc || !vdev_has(dev, VN_NET_F_CTRL_RX))
		return true;
	if (!memcmp(to, broadcast, 6))
		return !net->nobcast;
	if (to[0] & 1)
		return !net->nomulti && (net->allmulti || net->multi_overflow ||
					 listed(net->mac_multi, net->macs_multi, to));
	return !net->nouni &&
	       (net->alluni || net->uni_overflow || !memcmp(net->config.mac, to, 6) ||
		listed(net->mac_uni, net->macs_uni, to));
}

/* Longer than the MTU that was negotiated: never passed on (5.1.4.1). Tags are no payload. */
static bool too_long(const struct virtio_dev *dev, const struct vqnic_frame *f)
{
	uint32_t header = ETH_HDR;

	if (!vdev_has(dev, VN_NET_F_MTU) || f->gso_type & ~VQNIC_GSO_ECN ||
	    defect_on(dev->env.defects, DEFECT_MTU_NOT_KEPT))
		return false;
	while (header < ETH_HDR + 8 && f->len >= header + 4 &&
	       (be16(f->data + header - 2) == 0x8100 || be16(f->data + header - 2) == 0x88a8))
		header += 4;
	return f->len > dev->net.config.mtu + header;
}

unsigned int net_rx_room(const struct virtio_dev *dev)
{
	unsigned int room = 0;
	bool any = false;

	if (!(dev->status & VN_S_DRIVER_OK) || dev->resetting)
		return UINT32_MAX; /* nothing is kept, so nothing is in the way */
	for (unsigned int i = 0; i < active_pairs(dev); i++) {
		const struct vq *vq = &dev->vqs[2 * i];
		unsigned int left;

		if (!vq->enabled || vq->stopping)
			continue;
		any = true;
		left = net_rx_left(&vq->dp);
		room = left > room ? left : room;
	}
	return any ? room : UINT32_MAX;
}

static void arrived(void *ctx)
{
	struct virtio_dev *dev = ctx;
	struct frame *f;

	while ((f = port_take(dev->env.port))) {
		struct vq *vq;

		if (!(dev->status & VN_S_DRIVER_OK) || dev->resetting || dev->net.deaf ||
		    !wanted(dev, &f->meta) || too_long(dev, &f->meta)) {
			frame_free(dev->env.port, f);
			continue;
		}
		vq = &dev->vqs[2 * steer(dev, &f->meta)];
		if (!vq->enabled || vq->stopping || !net_rx_push(&vq->dp, f)) {
			dev->counters->rx_drops++;
			frame_free(dev->env.port, f);
		}
	}
}

/* ---- Control queue (5.1.6.5) ------------------------------------------------------------------
 */

static bool set_flag(bool *flag, const uint8_t *data, uint32_t len)
{
	if (len < 1 || data[0] > 1)
		return false;
	*flag = data[0];
	return true;
}

static bool cmd_rx(struct virtio_dev *dev, uint8_t cmd, const uint8_t *data, uint32_t len)
{
	struct net *net = &dev->net;
	bool *flags[] = {
		[VN_CTRL_RX_PROMISC] = &net->promisc, [VN_CTRL_RX_ALLMULTI] = &net->allmulti,
		[VN_CTRL_RX_ALLUNI] = &net->alluni,   [VN_CTRL_RX_NOMULTI] = &net->nomulti,
		[VN_CTRL_RX_NOUNI] = &net->nouni,     [VN_CTRL_RX_NOBCAST] = &net->nobcast,
	};

	if (!vdev_has(dev, VN_NET_F_CTRL_RX) || cmd >= ARRAY_SIZE(flags))
		return false;
	if (cmd > VN_CTRL_RX_ALLMULTI && !vdev_has(dev, VN_NET_F_CTRL_RX_EXTRA))
		return false;
	if (cmd == VN_CTRL_RX_PROMISC && len && data[0] && !net->promisc &&
	    defect_on(dev->env.defects, DEFECT_CTRL_PROMISC_NO_EFFECT))
		return true;
	if (cmd == VN_CTRL_RX_ALLMULTI &&
	    defect_on(dev->env.defects, DEFECT_CTRL_ALLMULTI_NO_EFFECT))
		return len >= 1;
	return set_flag(flags[cmd], data, len);
}

/* One of the two tables of MAC_TABLE_SET: a count and that many addresses. */
static bool read_macs(const uint8_t **data, uint32_t *len, uint8_t (*table)[6], unsigned int max,
		      unsigned int *n, bool *overflow)
{
	uint32_t entries;

	if (*len < 4)
		return false;
	memcpy(&entries, *data, 4);
	if (entries > (*len - 4) / 6)
		return false;
	*overflow = entries > max;
	*n = *overflow ? 0 : entries;
	memcpy(table, *data + 4, *n * 6u);
	*data += 4 + 6 * entries;
	*len -= 4 + 6 * entries;
	return true;
}

static bool cmd_mac(struct virtio_dev *dev, uint8_t cmd, const uint8_t *data, uint32_t len)
{
	static uint8_t none[1][6];
	struct net *net = &dev->net;
	unsigned int max = dev->env.profile->mac_table;
	const uint8_t *p = data;
	uint32_t left = len;
	unsigned int n;
	bool over;

	if (cmd == VN_CTRL_MAC_ADDR_SET) {
		if (!vdev_has(dev, VN_NET_F_CTRL_MAC_ADDR) || len < 6 || data[0] & 1)
			return false;
		if (defect_on(dev->env.defects, DEFECT_CTRL_MAC_NOT_IN_CONFIG))
			return true;
		if (!memcmp(net->config.mac, data, 6))
			return true;
		memcpy(net->config.mac, data, 6);
		if (!defect_on(dev->env.defects, DEFECT_GENERATION_IGNORES_COMMANDS))
			vdev_config_touched(dev);
		return true;
	}
	if (cmd != VN_CTRL_MAC_TABLE_SET || !vdev_has(dev, VN_NET_F_CTRL_RX))
		return false;
	/* Both tables are looked at before either is taken. */
	if (!read_macs(&p, &left, none, 0, &n, &over) || !read_macs(&p, &left, none, 0, &n, &over))
		return false;
	p = data;
	left = len;
	read_macs(&p, &left, net->mac_uni, max, &net->macs_uni, &net->uni_overflow);
	if (defect_on(dev->env.defects, DEFECT_MAC_TABLE_MULTICAST_LOST))
		return true;
	read_macs(&p, &left, net->mac_multi, max, &net->macs_multi, &net->multi_overflow);
	if (defect_on(dev->env.defects, DEFECT_MAC_TABLE_TRUNCATED))
		net->uni_overflow = net->multi_overflow = false;
	return true;
}

static bool cmd_vlan(struct virtio_dev *dev, uint8_t cmd, const uint8_t *data, uint32_t len)
{
	struct net *net = &dev->net;
	uint16_t vid;

	if (!vdev_has(dev, VN_NET_F_CTRL_VLAN) || cmd > VN_CTRL_VLAN_DEL || len < 2)
		return false;
	memcpy(&vid, data, 2);
	if (vid > 4095)
		return false;
	if (cmd == VN_CTRL_VLAN_ADD && defect_on(dev->env.defects, DEFECT_VLAN_ADD_REPLACES))
		memset(net->vlans, 0, sizeof(net->vlans));
	if (cmd == VN_CTRL_VLAN_ADD)
		net->vlans[vid / 64] |= VN_BIT(vid % 64);
	else
		net->vlans[vid / 64] &= ~VN_BIT(vid % 64);
	return true;
}

static bool cmd_announce(struct virtio_dev *dev, uint8_t cmd)
{
	struct net *net = &dev->net;

	if (!vdev_has(dev, VN_NET_F_GUEST_ANNOUNCE) || cmd != VN_CTRL_ANNOUNCE_ACK)
		return false;
	if (!(net->config.status & VN_NET_S_ANNOUNCE) ||
	    defect_on(dev->env.defects, DEFECT_ANNOUNCE_ACK_KEEPS_BIT))
		return true;
	net->config.status &= (uint16_t)~VN_NET_S_ANNOUNCE;
	vdev_config_touched(dev);
	return true;
}

static bool cmd_mq(struct virtio_dev *dev, uint8_t cmd, const uint8_t *data, uint32_t len)
{
	uint16_t pairs;

	if (!vdev_has(dev, VN_NET_F_MQ) || cmd != VN_CTRL_MQ_VQ_PAIRS_SET || len < 2)
		return false;
	memcpy(&pairs, data, 2);
	if (!pairs || pairs > dev->net.pairs_max) {
		if (!pairs && defect_on(dev->env.defects, DEFECT_MQ_REFUSED_ENDS_RECEPTION))
			dev->net.deaf = true;
		return false;
	}
	dev->net.pairs = pairs;
	if (defect_on(dev->env.defects, DEFECT_CONFIG_PAIRS_CURRENT))
		dev->net.config.max_virtqueue_pairs = pairs;
	return true;
}

static unsigned int port_offloads(uint64_t f)
{
	static const struct {
		unsigned int bit, offload;
	} map[] = {
		{VN_NET_F_GUEST_CSUM, PORT_RX_CSUM}, {VN_NET_F_GUEST_TSO4, PORT_RX_TSO4},
		{VN_NET_F_GUEST_TSO6, PORT_RX_TSO6}, {VN_NET_F_GUEST_ECN, PORT_RX_ECN},
		{VN_NET_F_GUEST_USO4, PORT_RX_USO4}, {VN_NET_F_GUEST_USO6, PORT_RX_USO6},
	};
	unsigned int offloads = 0;

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (f & VN_BIT(map[i].bit))
			offloads |= map[i].offload;
	return offloads;
}

static bool cmd_offloads(struct virtio_dev *dev, uint8_t cmd, const uint8_t *data, uint32_t len)
{
	const uint64_t all = VN_BIT(VN_NET_F_GUEST_CSUM) | VN_BIT(VN_NET_F_GUEST_TSO4) |
			     VN_BIT(VN_NET_F_GUEST_TSO6) | VN_BIT(VN_NET_F_GUEST_ECN) |
			     VN_BIT(VN_NET_F_GUEST_USO4) | VN_BIT(VN_NET_F_GUEST_USO6);
	uint64_t offloads;

	if (!vdev_has(dev, VN_NET_F_CTRL_GUEST_OFFLOADS) || cmd != VN_CTRL_GUEST_OFFLOADS_SET ||
	    len < 8)
		return false;
	memcpy(&offloads, data, 8);
	if (offloads & ~(dev->driver_features & all))
		return false;
	port_set_offloads(dev->env.port, port_offloads(offloads));
	return true;
}

static uint8_t command(void *ctx, const uint8_t *data, uint32_t len)
{
	struct virtio_dev *dev = ctx;
	bool ok = false;

	if (len < 2)
		return VN_NET_ERR;
	switch (data[0]) {
	case VN_CTRL_RX:
		ok = cmd_rx(dev, data[1], data + 2, len - 2);
		break;
	case VN_CTRL_MAC:
		ok = cmd_mac(dev, data[1], data + 2, len - 2);
		break;
	case VN_CTRL_VLAN:
		ok = cmd_vlan(dev, data[1], data + 2, len - 2);
		break;
	case VN_CTRL_ANNOUNCE:
		ok = cmd_announce(dev, data[1]);
		break;
	case VN_CTRL_MQ:
		ok = cmd_mq(dev, data[1], data + 2, len - 2);
		break;
	case VN_CTRL_GUEST_OFFLOADS:
		ok = cmd_offloads(dev, data[1], data + 2, len - 2);
		break;
	default:
		if (defect_on(dev->env.defects, DEFECT_CTRL_UNKNOWN_FF))
			return 0xff;
	}
	if (defect_on(dev->env.defects, DEFECT_CTRL_ALWAYS_ERR))
		ok = false;
	return (uint8_t)(ok ? VN_NET_OK : VN_NET_ERR);
}

/* ---- Configuration space ----------------------------------------------------------------------
 */

uint32_t net_config_size(const struct virtio_dev *dev)
{
	(void)dev;
	return sizeof(struct vn_net_config);
}

static uint16_t swap16(uint16_t v)
{
	return (uint16_t)(v << 8 | v >> 8);
}

/* [@off, @off + @len) lies inside the space. */
void net_config_read(const struct virtio_dev *dev, uint32_t off, void *buf, uint32_t len)
{
	struct vn_net_config c = dev->net.config;

	if (defect_on(dev->env.defects, DEFECT_CONFIG_PAIRS_COUNT_QUEUES))
		c.max_virtqueue_pairs = (uint16_t)(2 * c.max_virtqueue_pairs);
	if (defect_on(dev->env.defects, DEFECT_CONFIG_MTU_NEEDS_FEATURE) &&
	    !vdev_has(dev, VN_NET_F_MTU))
		c.mtu = 0;
	if (defect_on(dev->env.defects, DEFECT_CONFIG_BIG_ENDIAN)) {
		c.status = swap16(c.status);
		c.max_virtqueue_pairs = swap16(c.max_virtqueue_pairs);
		c.mtu = swap16(c.mtu);
		c.speed = __builtin_bswap32(c.speed);
	}
	memcpy(buf, (const uint8_t *)&c + off, len);
}

void net_config_write(struct virtio_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	/* All fields of a modern device are read-only: the address is set by a command. */
	if (defect_on(dev->env.defects, DEFECT_CONFIG_WRITABLE) &&
	    off + len <= sizeof(dev->net.config))
		memcpy((uint8_t *)&dev->net.config + off, buf, len);
}

void net_link(struct virtio_dev *dev, bool up)
{
	struct vn_net_config *c = &dev->net.config;
	uint16_t status =
		(uint16_t)(up ? c->status | VN_NET_S_LINK_UP : c->status & ~VN_NET_S_LINK_UP);

	if (status == c->status || !(dev->features & VN_BIT(VN_NET_F_STATUS)))
		return;
	if (defect_on(dev->env.defects, DEFECT_LINK_LOSS_FINAL))
		dev->net.deaf = true;
	if (defect_on(dev->env.defects, DEFECT_LINK_STATUS_STUCK))
		status = c->status;
	c->status = status;
	vdev_config_changed(dev);
}

int net_announce(struct virtio_dev *dev)
{
	if (!vdev_has(dev, VN_NET_F_GUEST_ANNOUNCE) || !vdev_has(dev, VN_NET_F_STATUS))
		return -EOPNOTSUPP;
	dev->net.config.status |= VN_NET_S_ANNOUNCE;
	vdev_config_changed(dev);
	return 0;
}

static void link_changed(void *ctx, bool up)
{
	net_link(ctx, up);
}

/* ---- Life -------------------------------------------------------------------------------------
 */

/*
 * The control queue lies behind the queues that multiqueue allows for if that was negotiated, and
 * is queue 2 otherwise (5.1.2): the roles of the two change places.
 */
static void place_control(struct virtio_dev *dev, bool mq)
{
	struct dp_queue *second, *last;
	const struct dp_role *role;
	void *ctx;

	if (dev->nvqs <= 3 || dev->nvqs == 2 * dev->net.pairs_max || dev->net.control_moved == !mq)
		return;
	dev->net.control_moved = !mq;
	second = &dev->vqs[2].dp;
	last = &dev->vqs[dev->nvqs - 1].dp;
	role = second->role;
	ctx = second->role_ctx;
	second->role = last->role;
	second->role_ctx = last->role_ctx;
	second->rx = !mq ? false : true;
	last->role = role;
	last->role_ctx = ctx;
	last->rx = !second->rx;
}

static const struct port_up port_up = {.arrived = arrived, .link = link_changed};

int net_init(struct virtio_dev *dev)
{
	const struct profile *profile = dev->env.profile;
	struct net *net = &dev->net;
	int err = 0;

	net->pairs_max = profile->queue_pairs;
	net->io.fab = dev->env.fab;
	net->io.port = dev->env.port;
	net->io.defects = dev->env.defects;
	net->io.counters = dev->counters;
	net->io.log = &dev->log;
	net->io.rx_backlog = profile->rx_fifo;
	net->io.learn = learn;
	net->io.command = command;
	net->io.ctx = dev;
	for (unsigned int i = 0; !err && i < 2 * net->pairs_max; i++)
		err = i % 2 ? net_tx_init(&dev->vqs[i].dp, &net->io)
			    : net_rx_init(&dev->vqs[i].dp, &net->io);
	if (!err && dev->nvqs > 2 * net->pairs_max)
		err = net_ctrl_init(&dev->vqs[dev->nvqs - 1].dp, &net->io);
	if (!err)
		port_set_up(dev->env.port, &port_up, dev);
	return err;
}

void net_fini(struct virtio_dev *dev)
{
	port_set_up(dev->env.port, NULL, NULL);
}

void net_reset(struct virtio_dev *dev)
{
	const struct profile *profile = dev->env.profile;
	struct net *net = &dev->net;
	const struct defect_set *defects = dev->env.defects;
	bool promisc = net->promisc;
	bool link = port_link(dev->env.port) || defect_on(defects, DEFECT_RESET_LINK_UP);

	place_control(dev, true);
	if (!defect_on(defects, DEFECT_RESET_KEEPS_MAC) || !net->lives)
		memcpy(net->config.mac, profile->mac, 6);
	net->config.status = dev->features & VN_BIT(VN_NET_F_STATUS) && link ? VN_NET_S_LINK_UP : 0;
	net->config.max_virtqueue_pairs =
		dev->features & VN_BIT(VN_NET_F_MQ) ? (uint16_t)net->pairs_max : 1;
	net->config.mtu = dev->features & VN_BIT(VN_NET_F_MTU) ? profile->mtu : 0;
	net->config.speed = dev->features & VN_BIT(VN_NET_F_SPEED_DUPLEX) ? profile->speed_mbps : 0;
	net->config.duplex = dev->features & VN_BIT(VN_NET_F_SPEED_DUPLEX) ? 1 : 0;
	if (!defect_on(defects, DEFECT_RESET_KEEPS_PAIRS) || !net->lives)
		net->pairs = 1;
	net->pairs_register = 0;
	net->deaf = false;
	/* 5.1.6.5.1: promiscuous until the driver says otherwise, where it can. */
	net->promisc = true;
	if (defect_on(defects, DEFECT_RESET_KEEPS_RX_MODE) && net->lives)
		net->promisc = promisc;
	net->allmulti = false;
	net->alluni = false;
	net->nomulti = false;
	net->nouni = false;
	net->nobcast = false;
	net->uni_overflow = false;
	net->multi_overflow = false;
	if (!defect_on(defects, DEFECT_RESET_KEEPS_MAC_TABLE)) {
		net->macs_uni = 0;
		net->macs_multi = 0;
	}
	net->vlan_filter = false;
	if (!defect_on(defects, DEFECT_RESET_KEEPS_VLANS))
		memset(net->vlans, 0, sizeof(net->vlans));
	memset(net->flow, 0, sizeof(net->flow));
	port_set_offloads(dev->env.port, 0);
	net->lives = true;
}

bool net_negotiated(struct virtio_dev *dev)
{
	struct net *net = &dev->net;
	unsigned int offloads;

	if (features_lacking(dev->driver_features) >= 0 &&
	    !defect_on(dev->env.defects, DEFECT_FEATURE_DEPENDENCIES_IGNORED))
		return false;
	place_control(dev, vdev_has(dev, VN_NET_F_MQ) ||
				   defect_on(dev->env.defects, DEFECT_CTRL_INDEX_FIXED));
	net->io.mergeable = vdev_has(dev, VN_NET_F_MRG_RXBUF);
	net->io.hdr_len = sizeof(struct vn_net_hdr); /* 12 with VERSION_1, always here */
	if (defect_on(dev->env.defects, DEFECT_HDR_10_WITHOUT_MRG) && !net->io.mergeable)
		net->io.hdr_len = 10;
	net->vlan_filter = vdev_has(dev, VN_NET_F_CTRL_VLAN) ||
			   defect_on(dev->env.defects, DEFECT_VLAN_FILTER_ALWAYS);
	offloads = port_offloads(dev->driver_features);
	if (defect_on(dev->env.defects, DEFECT_NEEDS_CSUM_UNASKED))
		offloads |= PORT_RX_CSUM;
	if (offloads & PORT_RX_TSO4 && defect_on(dev->env.defects, DEFECT_TSO6_WITH_TSO4))
		offloads |= PORT_RX_TSO6;
	port_set_offloads(dev->env.port, offloads);
	return true;
}
