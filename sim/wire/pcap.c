/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tee that writes what passes into a file, in front of another wire
 *
 * How it works. Frames go through in both directions and leave a packet block each in a pcapng file
 * (draft-ietf-opsawg-pcapng): wall-clock nanoseconds, the direction as seen by the NIC, the frame
 * as it was on the wire, so that a segmentation offload shows as one big frame. The format is small
 * enough to write by hand, and a static program does without libpcap and what that pulls in.
 *
 * The file is flushed when the NIC flushes the wire and after each poll, so that a reader can
 * follow it. When the disk is full the traffic goes on and the file ends at a block.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kind.h"

/* Block types, options and flags of pcapng. */
#define BLOCK_SECTION	 0x0a0d0d0au
#define BLOCK_INTERFACE	 1u
#define BLOCK_PACKET	 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define OPT_END		 0u
#define OPT_EPB_FLAGS	 2u
#define OPT_IF_TSRESOL	 9u
#define LINK_ETHERNET	 1u
#define INBOUND		 1u
#define OUTBOUND	 2u

/**
 * struct tee
 * @ops: differ from one tee to the next: what is behind may carry offloads or not, may have a
 *       descriptor or not
 */
struct tee {
	struct wire_end end;
	struct vqnic_wire_ops ops;
	const struct vqnic_wire_ops *inner_ops;
	void *inner;
	FILE *file; /* NULL once it can't be written any more */
};

struct section_block {
	uint32_t type, length, order;
	uint16_t major, minor;
	uint64_t section_length;
	uint32_t length_again;
} __attribute__((packed));

struct interface_block {
	uint32_t type, length;
	uint16_t link, reserved;
	uint32_t snap_length;
	uint16_t option, option_length;
	uint8_t resolution, pad[3];
	uint16_t end, end_length;
	uint32_t length_again;
} __attribute__((packed));

struct packet_head {
	uint32_t type, length, interface, time_high, time_low, captured, original;
};

struct packet_tail {
	uint16_t option, option_length;
	uint32_t flags;
	uint16_t end, end_length;
	uint32_t length_again;
} __attribute__((packed));

static void give_up(struct tee *tee)
{
	fclose(tee->file);
	tee->file = NULL;
}

static void put(struct tee *tee, const void *data, size_t len)
{
	if (tee->file && len && fwrite(data, len, 1, tee->file) != 1)
		give_up(tee);
}

static void put_heading(struct tee *tee)
{
	const struct section_block section = {
		.type = BLOCK_SECTION,
		.length = sizeof(section),
		.order = BYTE_ORDER_MAGIC,
		.major = 1,
		.section_length = UINT64_MAX, /* not known */
		.length_again = sizeof(section),
	};
	const struct interface_block interface = {
		.type = BLOCK_INTERFACE,
		.length = sizeof(interface),
		.link = LINK_ETHERNET,
		.option = OPT_IF_TSRESOL,
		.option_length = 1,
		.resolution = 9,
		.end = OPT_END,
		.length_again = sizeof(interface),
	};

	put(tee, &section, sizeof(section));
	put(tee, &interface, sizeof(interface));
	if (tee->file && fflush(tee->file))
		give_up(tee);
}

static void put_frame(struct tee *tee, const struct vqnic_frame *frame, uint32_t direction)
{
	static const uint8_t zeros[4];
	uint32_t pad = -frame->len & 3;
	struct packet_head head = {
		.type = BLOCK_PACKET,
		.captured = frame->len,
		.original = frame->len,
	};
	struct packet_tail tail = {
		.option = OPT_EPB_FLAGS,
		.option_length = 4,
		.flags = direction,
		.end = OPT_END,
	};
	struct timespec now;
	uint64_t ns;

	if (!tee->file)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	head.time_high = (uint32_t)(ns >> 32);
	head.time_low = (uint32_t)ns;
	head.length = (uint32_t)(sizeof(head) + frame->len + pad + sizeof(tail));
	tail.length_again = head.length;
	put(tee, &head, sizeof(head));
	put(tee, frame->data, frame->len);
	put(tee, zeros, pad);
	put(tee, &tail, sizeof(tail));
}

static int tee_transmit(void *ctx, const struct vqnic_frame *frame)
{
	struct tee *tee = ctx;

	put_frame(tee, frame, OUTBOUND);
	return tee->inner_ops->transmit(tee->inner, frame);
}

static int tee_receive(void *ctx, const struct vqnic_frame *frame)
{
	struct tee *tee = ctx;

	put_frame(tee, frame, INBOUND);
	return tee->end.receive(tee->end.ctx, frame);
}

static void tee_link(void *ctx, bool up)
{
	struct tee *tee = ctx;

	tee->end.link(tee->end.ctx, up);
}

static void tee_flush(void *ctx)
{
	struct tee *tee = ctx;

	if (tee->file && fflush(tee->file))
		give_up(tee);
	if (tee->inner_ops->flush)
		tee->inner_ops->flush(tee->inner);
}

static int tee_poll_fd(void *ctx)
{
	struct tee *tee = ctx;

	return tee->inner_ops->poll_fd(tee->inner);
}

static int tee_poll(void *ctx, unsigned int budget)
{
	struct tee *tee = ctx;
	int count = tee->inner_ops->poll(tee->inner, budget);

	if (count > 0 && tee->file && fflush(tee->file))
		give_up(tee);
	return count;
}

static void tee_close(void *ctx)
{
	struct tee *tee = ctx;

	if (tee->inner_ops && tee->inner_ops->close)
		tee->inner_ops->close(tee->inner);
	if (tee->file)
		fclose(tee->file);
	free(tee);
}

static int open_inner(struct tee *tee, const char *address, struct vqnic_error *err)
{
	const struct wire_end end = {
		.receive = tee_receive,
		.link = tee->end.link ? tee_link : NULL,
		.ctx = tee,
	};
	int ret = wire_open(address, &end, &tee->inner_ops, &tee->inner, err);

	if (ret)
		return ret;
	tee->ops = (struct vqnic_wire_ops){
		.caps = tee->inner_ops->caps,
		.transmit = tee_transmit,
		.flush = tee_flush,
		.poll_fd = tee->inner_ops->poll_fd ? tee_poll_fd : NULL,
		.poll = tee->inner_ops->poll ? tee_poll : NULL,
		.close = tee_close,
	};
	return 0;
}

static int pcap_open(const char *arg, const struct wire_end *end, const struct vqnic_wire_ops **ops,
		     void **wire, struct vqnic_error *err)
{
	const char *comma = arg ? strchr(arg, ',') : NULL;
	struct tee *tee;
	char *path;
	int ret;

	if (!comma || comma == arg)
		return wire_refuse(
			err, -EINVAL,
			"pcap: needs a file and the wire behind it, as in pcap:FILE,tap:NAME");
	path = strndup(arg, (size_t)(comma - arg));
	tee = calloc(1, sizeof(*tee));
	if (!path || !tee) {
		free(path);
		free(tee);
		return wire_refuse(err, -ENOMEM, "pcap: out of memory");
	}
	tee->end = *end;
	tee->file = fopen(path, "we");
	if (!tee->file) {
		ret = wire_refuse(err, -errno, "pcap: '%.200s' cannot be written: %s", path,
				  strerror(errno));
	} else {
		put_heading(tee);
		ret = open_inner(tee, comma + 1, err);
	}
	free(path);
	if (ret) {
		tee_close(tee);
		return ret;
	}
	*ops = &tee->ops;
	*wire = tee;
	return 0;
}

const struct wire_kind wire_kind_pcap = {"pcap", "pcap:FILE,ADDRESS", pcap_open};
