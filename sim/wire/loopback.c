/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire that comes back: what is transmitted arrives
 *
 * How it works. A frame goes straight into the port's receive FIFO, which copies it and only
 * schedules the device, so that nothing runs inside the transmit call. Metadata travel along, as
 * between two guests of one host; the port finishes what the driver did not negotiate. A full FIFO
 * loses the frame as a switch would: the port counts it.
 */
#include <errno.h>
#include <stdlib.h>

#include "kind.h"

struct loopback {
	struct wire_end end;
};

static int loopback_transmit(void *ctx, const struct vqnic_frame *frame)
{
	struct loopback *loopback = ctx;

	loopback->end.receive(loopback->end.ctx, frame);
	return 0;
}

static void loopback_close(void *ctx)
{
	free(ctx);
}

static const struct vqnic_wire_ops loopback_ops = {
	.caps = VQNIC_WIRE_OFFLOADS,
	.transmit = loopback_transmit,
	.close = loopback_close,
};

static int loopback_open(const char *arg, const struct wire_end *end,
			 const struct vqnic_wire_ops **ops, void **wire, struct vqnic_error *err)
{
	struct loopback *loopback;

	if (arg)
		return wire_refuse(err, -EINVAL, "wire loopback: takes nothing behind it");
	loopback = malloc(sizeof(*loopback));
	if (!loopback)
		return wire_refuse(err, -ENOMEM, "wire loopback: out of memory");
	loopback->end = *end;
	*ops = &loopback_ops;
	*wire = loopback;
	return 0;
}

const struct wire_kind wire_kind_loopback = {"loopback", "loopback", loopback_open};
