/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Named wires: a cable, or a hub, between NICs of one process
 *
 * How it works. The first NIC that names a wire makes it, the last that lets go ends it; the list
 * of wires belongs to the process, which is what "of this process" means. Every end has a queue of
 * its own: transmitting copies the frame into the queue of every other end, polling hands it to the
 * end's NIC. So NICs that run in threads of their own meet only under the hub's lock, and none runs
 * inside another's transmit call.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kind.h"

#define QUEUE_MAX 1024u /* frames that may wait at an end; more are lost, as in a switch */

struct named_frame {
	struct named_frame *next;
	struct vqnic_frame meta;
	uint8_t data[];
};

struct named_end {
	struct named_end *next;
	struct hub *hub;
	struct wire_end end;
	struct named_frame *head, **tail;
	unsigned int count;
	int event; /* readable while frames wait */
};

/* @lock: the list of ends, and their queues */
struct hub {
	struct hub *next;
	pthread_mutex_t lock;
	struct named_end *ends;
	char name[];
};

/* Taken before any hub's lock: the list of hubs, and which ends a hub has. */
static pthread_mutex_t hubs_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hub *hubs;

static void push(struct named_end *end, const struct vqnic_frame *frame)
{
	struct named_frame *copy;
	uint64_t one = 1;

	if (end->count >= QUEUE_MAX)
		return;
	copy = malloc(sizeof(*copy) + frame->len);
	if (!copy)
		return;
	copy->next = NULL;
	copy->meta = *frame;
	copy->meta.data = copy->data;
	memcpy(copy->data, frame->data, frame->len);
	*end->tail = copy;
	end->tail = &copy->next;
	if (!end->count++)
		(void)!write(end->event, &one, sizeof(one));
}

static int named_transmit(void *ctx, const struct vqnic_frame *frame)
{
	struct named_end *self = ctx;

	pthread_mutex_lock(&self->hub->lock);
	for (struct named_end *end = self->hub->ends; end; end = end->next)
		if (end != self)
			push(end, frame);
	pthread_mutex_unlock(&self->hub->lock);
	return 0;
}

static int named_poll_fd(void *ctx)
{
	return ((struct named_end *)ctx)->event;
}

static struct named_frame *pop(struct named_end *self)
{
	struct named_frame *frame;
	uint64_t count;

	pthread_mutex_lock(&self->hub->lock);
	frame = self->head;
	if (frame) {
		self->head = frame->next;
		if (!--self->count) {
			self->tail = &self->head;
			(void)!read(self->event, &count, sizeof(count));
		}
	}
	pthread_mutex_unlock(&self->hub->lock);
	return frame;
}

static int named_poll(void *ctx, unsigned int budget)
{
	struct named_end *self = ctx;
	struct named_frame *frame;
	unsigned int count;

	for (count = 0; count < budget && (frame = pop(self)); count++) {
		self->end.receive(self->end.ctx, &frame->meta);
		free(frame);
	}
	return (int)count;
}

static void named_close(void *ctx)
{
	struct named_end *self = ctx, **link;
	struct hub *hub = self->hub, **at;
	struct named_frame *frame;

	pthread_mutex_lock(&hubs_lock);
	pthread_mutex_lock(&hub->lock);
	for (link = &hub->ends; *link != self; link = &(*link)->next)
		;
	*link = self->next;
	pthread_mutex_unlock(&hub->lock);
	if (!hub->ends) {
		for (at = &hubs; *at != hub; at = &(*at)->next)
			;
		*at = hub->next;
		pthread_mutex_destroy(&hub->lock);
		free(hub);
	}
	pthread_mutex_unlock(&hubs_lock);
	while ((frame = self->head)) {
		self->head = frame->next;
		free(frame);
	}
	close(self->event);
	free(self);
}

static const struct vqnic_wire_ops named_ops = {
	.caps = VQNIC_WIRE_OFFLOADS,
	.transmit = named_transmit,
	.poll_fd = named_poll_fd,
	.poll = named_poll,
	.close = named_close,
};

/* With hubs_lock held. */
static struct hub *hub_get(const char *name)
{
	struct hub *hub;

	for (hub = hubs; hub; hub = hub->next)
		if (!strcmp(hub->name, name))
			return hub;
	hub = calloc(1, sizeof(*hub) + strlen(name) + 1);
	if (!hub)
		return NULL;
	memcpy(hub->name, name, strlen(name) + 1);
	pthread_mutex_init(&hub->lock, NULL);
	hub->next = hubs;
	hubs = hub;
	return hub;
}

static int named_open(const char *arg, const struct wire_end *end,
		      const struct vqnic_wire_ops **ops, void **wire, struct vqnic_error *err)
{
	struct named_end *self;
	int ret;

	if (!arg || !*arg)
		return wire_refuse(err, -EINVAL, "wire: needs a name behind the ':'");
	self = calloc(1, sizeof(*self));
	if (!self)
		return wire_refuse(err, -ENOMEM, "wire:%.60s: out of memory", arg);
	self->end = *end;
	self->tail = &self->head;
	self->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (self->event < 0) {
		ret = wire_refuse(err, -errno, "wire:%.60s: no eventfd: %s", arg, strerror(errno));
		free(self);
		return ret;
	}
	pthread_mutex_lock(&hubs_lock);
	self->hub = hub_get(arg);
	if (self->hub) {
		pthread_mutex_lock(&self->hub->lock);
		self->next = self->hub->ends;
		self->hub->ends = self;
		pthread_mutex_unlock(&self->hub->lock);
	}
	pthread_mutex_unlock(&hubs_lock);
	if (!self->hub) {
		close(self->event);
		free(self);
		return wire_refuse(err, -ENOMEM, "wire:%.60s: out of memory", arg);
	}
	*ops = &named_ops;
	*wire = self;
	return 0;
}

const struct wire_kind wire_kind_named = {"wire", "wire:NAME", named_open};
