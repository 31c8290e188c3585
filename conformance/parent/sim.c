// SPDX-License-Identifier: BSD-3-Clause
/*
 * sim:PROFILE[,KEY=VALUE…] - the NIC model in this process, driven through its PCI registers
 *
 * How it works. The only file of the suite that knows the NIC (sim/vqnic.h). It gives the mini
 * drivers the four register functions, hands memory over as descriptors, so that an unmap takes it
 * away for good and a late DMA shows, and runs the NIC's events one by one from pump(): nothing
 * happens in the NIC unless the check waits for something, and settle() is exact.
 *
 * The wire is the suite's own by default: frames the NIC transmits wait in a queue for peer_recv(),
 * and peer_send() is a frame's arrival. Keys before they are passed on as overrides of the profile:
 *
 *	offloads=no   the wire carries no offloads: the NIC has to finish checksums and segments
 *	live=yes      queues may stay polled after their last work, as under `vqnic run`
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sim/vqnic.h"
#include "../driver/pci_driver.h"
#include "../spec.h"
#include "parent.h"

#define OVERRIDES_MAX 32
#define QUEUED_MAX    8192u

struct sim_frame {
	struct sim_frame *next;
	struct vqnic_frame meta;
	uint8_t data[];
};

struct sim {
	struct vqnic *nic;
	struct sim_frame *head, **tail; /* what the NIC transmitted */
	unsigned int queued;
};

/* ---- PCI access ------------------------------------------------------------------------------ */

static int sim_read(void *ctx, unsigned int region, uint64_t off, void *buf, uint32_t len)
{
	return vqnic_region_read(((struct sim *)ctx)->nic, 0, region, off, buf, len);
}

static int sim_write(void *ctx, unsigned int region, uint64_t off, const void *buf, uint32_t len)
{
	return vqnic_region_write(((struct sim *)ctx)->nic, 0, region, off, buf, len);
}

static int sim_region_size(void *ctx, unsigned int region, uint64_t *size)
{
	struct vqnic_region_info info;
	int err = vqnic_region_info(((struct sim *)ctx)->nic, 0, region, &info);

	if (!err)
		*size = info.size;
	return err;
}

static int sim_irq_count(void *ctx, unsigned int index)
{
	return vqnic_irq_count(((struct sim *)ctx)->nic, 0, index);
}

static int sim_set_irq(void *ctx, unsigned int index, unsigned int vector, int eventfd)
{
	return vqnic_irq_set_eventfd(((struct sim *)ctx)->nic, 0, index, vector, eventfd);
}

static int sim_dma_map(void *ctx, const struct parent_dma *map)
{
	const struct vqnic_dma_map m = {
		.iova = map->iova,
		.size = map->size,
		.fd = map->fd,
		.offset = map->offset,
		.prot = (map->readable ? VQNIC_PROT_READ : 0) |
			(map->writable ? VQNIC_PROT_WRITE : 0),
		.asid = map->asid,
	};

	return vqnic_dma_map(((struct sim *)ctx)->nic, 0, &m);
}

static int sim_dma_unmap(void *ctx, uint32_t asid, uint64_t iova, uint64_t size)
{
	return vqnic_dma_unmap(((struct sim *)ctx)->nic, 0, asid, iova, size, NULL);
}

static int sim_function_reset(void *ctx)
{
	return vqnic_reset(((struct sim *)ctx)->nic, 0);
}

static int sim_pump(void *ctx)
{
	struct vqnic *nic = ((struct sim *)ctx)->nic;
	int n = vqnic_run(nic, 1);

	if (n)
		return n;
	n = vqnic_poll(nic);
	if (n)
		return n;
	if (!vqnic_busy(nic))
		return 0;
	/* It rests: let it arm its notifications, as a live loop would after a while. */
	vqnic_idle(nic);
	return vqnic_next_event(nic) != VQNIC_NEVER;
}

/* ---- Wire
 * ---------------------------------------------------------------------------------------- */

static int wire_transmit(void *ctx, const struct vqnic_frame *frame)
{
	struct sim *s = ctx;
	struct sim_frame *f;

	if (s->queued == QUEUED_MAX)
		return -ENOBUFS;
	f = malloc(sizeof(*f) + frame->len);
	if (!f)
		return -ENOBUFS;
	f->next = NULL;
	f->meta = *frame;
	f->meta.data = f->data;
	memcpy(f->data, frame->data, frame->len);
	*s->tail = f;
	s->tail = &f->next;
	s->queued++;
	return 0;
}

static const struct vqnic_wire_ops wire_full = {
	.caps = VQNIC_WIRE_OFFLOADS,
	.transmit = wire_transmit,
};

static const struct vqnic_wire_ops wire_plain = {
	.transmit = wire_transmit,
};

static int sim_peer_send(struct parent *p, const struct parent_frame *frame)
{
	struct sim *s = pci_driver_ctx(p);
	const struct vqnic_frame f = {
		.data = frame->data,
		.len = frame->len,
		.flags = frame->flags,
		.gso_type = frame->gso_type,
		.hdr_len = frame->hdr_len,
		.gso_size = frame->gso_size,
		.csum_start = frame->csum_start,
		.csum_offset = frame->csum_offset,
	};

	return vqnic_wire_receive(s->nic, 0, &f);
}

static int sim_peer_recv(struct parent *p, struct parent_frame *frame, uint8_t *buf, uint32_t size)
{
	struct sim *s = pci_driver_ctx(p);
	struct sim_frame *f = s->head;

	if (!f)
		return 0;
	if (f->meta.len > size)
		return -EMSGSIZE;
	s->head = f->next;
	if (!s->head)
		s->tail = &s->head;
	s->queued--;
	memcpy(buf, f->data, f->meta.len);
	*frame = (struct parent_frame){
		.data = buf,
		.len = f->meta.len,
		.flags = f->meta.flags,
		.gso_type = f->meta.gso_type,
		.hdr_len = f->meta.hdr_len,
		.gso_size = f->meta.gso_size,
		.csum_start = f->meta.csum_start,
		.csum_offset = f->meta.csum_offset,
	};
	free(f);
	return 1;
}

static int sim_set_link(struct parent *p, bool up)
{
	return vqnic_link_set(((struct sim *)pci_driver_ctx(p))->nic, 0, up);
}

static int sim_announce(struct parent *p)
{
	return vqnic_announce(((struct sim *)pci_driver_ctx(p))->nic, 0);
}

/* ---- Open and close
 * --------------------------------------------------------------------------------- */

static void sim_free(struct sim *s)
{
	if (s->nic)
		vqnic_destroy(s->nic);
	while (s->head) {
		struct sim_frame *f = s->head;

		s->head = f->next;
		free(f);
	}
	free(s);
}

static void sim_close(struct parent *p)
{
	struct sim *s = pci_driver_ctx(p);

	pci_driver_close(p);
	sim_free(s);
}

static void say(const struct parent_options *opts, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say(const struct parent_options *opts, const char *fmt, ...)
{
	va_list ap;

	if (!opts->error || !opts->error_size)
		return;
	va_start(ap, fmt);
	vsnprintf(opts->error, opts->error_size, fmt, ap);
	va_end(ap);
}

/* profile_says() - does the file of the profile set @key to @value? (the NIC does not tell) */
static bool profile_says(const char *profile, const char *key, const char *value)
{
	char path[4096], line[256], k[64], v[64];
	bool found = false;
	FILE *f;

	if (vqnic_profile_path(profile, path, sizeof(path)) < 0)
		return false;
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " %63[a-z_] = %63s", k, v) == 2 && !strcmp(k, key))
			found = !strcmp(v, value);
	fclose(f);
	return found;
}

/**
 * struct sim_address - PROFILE,KEY=VALUE… taken apart
 * @text: what the pointers point into
 */
struct sim_address {
	char text[1024];
	const char *profile;
	const char *overrides[OVERRIDES_MAX + 1];
	bool plain, live, dpdk;
};

static int parse_address(const char *rest, const struct parent_options *opts, struct sim_address *a)
{
	unsigned int n = 0;
	char *save, *word;

	memset(a, 0, sizeof(*a));
	if (snprintf(a->text, sizeof(a->text), "%s", rest) >= (int)sizeof(a->text)) {
		say(opts, "sim:%.40s…: the address is too long", rest);
		return -EINVAL;
	}
	a->profile = strtok_r(a->text, ",", &save);
	if (!a->profile) {
		say(opts, "sim: needs the name or the file of a profile, for instance sim:ifcvf");
		return -EINVAL;
	}
	a->dpdk = profile_says(a->profile, "lm_layout", "dpdk");
	while ((word = strtok_r(NULL, ",", &save)) != NULL) {
		if (!strcmp(word, "offloads=no")) {
			a->plain = true;
		} else if (!strcmp(word, "live=yes")) {
			a->live = true;
		} else if (n == OVERRIDES_MAX) {
			say(opts, "sim:%s: more than %u keys", rest, OVERRIDES_MAX);
			return -EINVAL;
		} else {
			const char *layout = strstr(word, "lm_layout=");

			if (layout)
				a->dpdk = !strcmp(layout + strlen("lm_layout="), "dpdk");
			a->overrides[n++] = word;
		}
	}
	return 0;
}

static int plug(struct sim *s, const struct parent_options *opts, const struct sim_address *a,
		struct parent *p)
{
	const char *peer = opts->peer;
	struct vqnic_error err;
	int ret;

	if (!peer || !strcmp(peer, "own")) {
		p->peer = PEER_OWN;
		return vqnic_wire_plug(s->nic, 0, a->plain ? &wire_plain : &wire_full, s);
	}
	if (!strcmp(peer, "loopback"))
		p->peer = PEER_ECHO;
	else if (!strcmp(peer, "none"))
		p->peer = PEER_NONE;
	else {
		say(opts,
		    "--peer %s: the simulator in this process has its own peer, or loopback or none; "
		    "others need the NIC in a process of its own (vqnic run, vfio-user:)",
		    peer);
		return -EINVAL;
	}
	ret = vqnic_wire_open(s->nic, 0, peer, &err);
	if (ret)
		say(opts, "%s", err.text);
	return ret;
}

static int sim_open(const char *rest, const struct parent_options *opts, struct parent *p)
{
	const struct pci_access access = {
		.read = sim_read,
		.write = sim_write,
		.region_size = sim_region_size,
		.irq_count = sim_irq_count,
		.set_irq = sim_set_irq,
		.dma_map = sim_dma_map,
		.dma_unmap = sim_dma_unmap,
		.reset = sim_function_reset,
		.pump = sim_pump,
	};
	const char *defects[] = {opts->defect, NULL};
	struct pci_access with_ctx = access;
	struct vqnic_config cfg = {.seed = opts->seed, .defects = opts->defect ? defects : NULL};
	struct sim_address a;
	struct vqnic_error err = {""};
	struct pci_driver *d;
	struct sim *s;
	int ret = parse_address(rest, opts, &a);

	if (ret)
		return ret;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->tail = &s->head;
	cfg.profile = a.profile;
	cfg.overrides = a.overrides;
	ret = vqnic_create(&cfg, &s->nic, &err);
	if (ret) {
		say(opts, "%s", err.text);
		goto fail;
	}
	vqnic_set_live(s->nic, a.live);
	ret = plug(s, opts, &a, p);
	if (ret)
		goto fail;
	p->caps |= CAP_EXACT_SETTLE | CAP_LINK_CONTROL | CAP_ANNOUNCE;
	if (p->peer != PEER_NONE)
		p->caps |= CAP_TRAFFIC;
	if (p->peer == PEER_OWN)
		p->caps |= CAP_PEER;
	with_ctx.ctx = s;
	ret = pci_driver_open(p, &with_ctx, &(struct pci_driver_options){.dpdk_layout = a.dpdk},
			      opts->error, opts->error_size);
	if (ret)
		goto fail;
	d = p->priv;
	if (p->peer == PEER_OWN) {
		d->ops.peer_send = sim_peer_send;
		d->ops.peer_recv = sim_peer_recv;
	}
	d->ops.set_link = sim_set_link;
	d->ops.announce = sim_announce;
	d->ops.close = sim_close;
	return 0;
fail:
	sim_free(s);
	return ret;
}

const struct parent_kind parent_kind_sim = {
	.prefix = "sim:",
	.help = "sim:PROFILE[,KEY=VALUE…]      the NIC model in this process (sim:ifcvf, sim:virtio-net)",
	.open = sim_open,
};

const struct parent_defect *parent_defects(size_t *count)
{
	static struct parent_defect *table;
	static size_t n;
	const struct vqnic_defect *from;

	if (!table) {
		from = vqnic_defects(&n);
		table = calloc(n ? n : 1, sizeof(*table));
		if (!table) {
			n = 0;
			*count = 0;
			return NULL;
		}
		for (size_t i = 0; i < n; i++)
			table[i] = (struct parent_defect){
				.name = from[i].name,
				.area = from[i].area,
				.personality = from[i].personality,
				.requirements = from[i].requirements,
				.what = from[i].what,
			};
	}
	*count = n;
	return table;
}
