/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "port.h"

/* A wire that remembers, and a device that counts what it is told. */
struct bench {
	struct port *port;
	struct vqnic_counters counters;
	struct vqnic_wire_ops ops;
	unsigned int sent, flushed, closed, arrived, link_changes;
	bool link;
	int refuse;
	struct vqnic_frame last;
	uint8_t data[FRAME_MAX];
};

static int wire_transmit(void *ctx, const struct vqnic_frame *frame)
{
	struct bench *b = ctx;

	if (b->refuse)
		return b->refuse;
	b->sent++;
	b->last = *frame;
	memcpy(b->data, frame->data, frame->len);
	return 0;
}

static void wire_flush(void *ctx)
{
	((struct bench *)ctx)->flushed++;
}

static void wire_close(void *ctx)
{
	((struct bench *)ctx)->closed++;
}

static void up_arrived(void *ctx)
{
	((struct bench *)ctx)->arrived++;
}

static void up_link(void *ctx, bool up)
{
	struct bench *b = ctx;

	b->link_changes++;
	b->link = up;
}

static const struct port_up up = {.arrived = up_arrived, .link = up_link};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->ops.transmit = wire_transmit;
	b->ops.flush = wire_flush;
	b->ops.close = wire_close;
	assert_int_equal(port_create(4, &b->counters, &b->port), 0);
	port_set_up(b->port, &up, b);
	port_plug(b->port, &b->ops, b);
	assert_true(b->link);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	port_destroy(b->port);
	assert_int_equal(b->closed, 1);
	free(b);
	return 0;
}

/* IPv4 and TCP, 3000 bytes of payload in segments of 1000, or 100 bytes without gso. */
static struct vqnic_frame tcp_frame(uint8_t *data, uint32_t payload, uint16_t mss)
{
	static const uint8_t head[54] = {
		2,    0, 0, 0, 0, 2, 2,	   0, 0,  0, 0, 1, 8,	 0, /* Ethernet */
		0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10,	 0,    0, 1, 10, 0, 0, 2, /* IPv4 */
		1,    2, 3, 4, 0, 0, 0,	   1, 0,  0, 0, 1, 0x50, 0x18, 1, 0, 0,	 0, 0, 0};

	memcpy(data, head, sizeof(head));
	memset(data + sizeof(head), 0x5a, payload);
	data[16] = (uint8_t)((payload + 40) >> 8);
	data[17] = (uint8_t)(payload + 40);
	return (struct vqnic_frame){
		.data = data,
		.len = (uint32_t)sizeof(head) + payload,
		.flags = VQNIC_FRAME_NEEDS_CSUM,
		.csum_start = 34,
		.csum_offset = 16,
		.gso_size = mss,
		.gso_type = mss ? VQNIC_GSO_TCPV4 : VQNIC_GSO_NONE,
	};
}

static void fifo(void **state)
{
	struct bench *b = *state;
	uint8_t data[100] = {0};
	struct vqnic_frame f = {.data = data, .len = sizeof(data)};
	struct frame *frame;

	assert_int_equal(port_room(b->port), 4);
	for (unsigned int i = 0; i < 4; i++) {
		data[0] = (uint8_t)i;
		assert_int_equal(port_receive(b->port, &f), 0);
	}
	assert_int_equal(b->arrived, 4);
	assert_int_equal(port_room(b->port), 0);
	assert_int_equal(port_receive(b->port, &f), -ENOBUFS);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(port_peek(b->port)->data[0], i);
		frame = port_take(b->port);
		assert_non_null(frame);
		assert_ptr_equal(frame->meta.data, frame->data);
		assert_int_equal(frame->meta.len, sizeof(data));
		frame_free(b->port, frame);
	}
	assert_null(port_peek(b->port));
	assert_null(port_take(b->port));
	assert_int_equal(b->counters.rx_frames, 4);
	assert_int_equal(b->counters.rx_bytes, 400);
	assert_int_equal(b->counters.rx_drops, 1);
	assert_int_equal(port_receive(b->port, &f), 0);
	port_drop_all(b->port);
	assert_null(port_peek(b->port));
	assert_int_equal(port_receive(b->port, &f), 0);
}

static void lengths(void **state)
{
	struct bench *b = *state;
	uint8_t *data = calloc(1, FRAME_MAX + 1);
	struct vqnic_frame f = {.data = data, .len = 13};

	assert_non_null(data);
	assert_int_equal(port_receive(b->port, &f), -EMSGSIZE);
	assert_int_equal(port_transmit(b->port, &f), -EINVAL);
	f.len = FRAME_MAX + 1;
	assert_int_equal(port_receive(b->port, &f), -EMSGSIZE);
	assert_int_equal(port_transmit(b->port, &f), -EINVAL);
	f.len = FRAME_MAX;
	assert_int_equal(port_receive(b->port, &f), 0);
	assert_int_equal(port_transmit(b->port, &f), 0);
	f.len = 2048;
	assert_int_equal(port_receive(b->port, &f), 0);
	f.len = 2049;
	assert_int_equal(port_receive(b->port, &f), 0);
	assert_int_equal(b->counters.rx_drops, 2);
	assert_int_equal(b->counters.tx_drops, 2);
	free(data);
}

static void transmit(void **state)
{
	struct bench *b = *state;
	uint8_t data[64] = {1};
	struct vqnic_frame f = {.data = data, .len = sizeof(data)};

	assert_int_equal(port_transmit(b->port, &f), 0);
	assert_int_equal(b->sent, 1);
	assert_int_equal(b->last.len, 64);
	port_flush(b->port);
	assert_int_equal(b->flushed, 1);
	b->refuse = -ENOBUFS;
	assert_int_equal(port_transmit(b->port, &f), -ENOBUFS);
	assert_int_equal(b->counters.tx_frames, 1);
	assert_int_equal(b->counters.tx_bytes, 64);
	assert_int_equal(b->counters.tx_drops, 1);
	f.flags = VQNIC_FRAME_DATA_VALID | 0x40; /* a driver has no business with these */
	b->refuse = 0;
	assert_int_equal(port_transmit(b->port, &f), 0);
	assert_int_equal(b->last.flags, 0);
}

static void transmit_finishes(void **state)
{
	struct bench *b = *state;
	uint8_t data[4000];
	struct vqnic_frame f = tcp_frame(data, 3000, 1000);

	assert_int_equal(port_transmit(b->port, &f), 0);
	assert_int_equal(b->sent, 3);
	assert_int_equal(b->last.len, 1054);
	assert_int_equal(b->last.gso_type, VQNIC_GSO_NONE);
	f = tcp_frame(data, 100, 0);
	assert_int_equal(port_transmit(b->port, &f), 0);
	assert_int_equal(b->sent, 4);
	assert_int_equal(b->last.flags, 0);
	b->ops.caps = VQNIC_WIRE_OFFLOADS;
	f = tcp_frame(data, 3000, 1000);
	assert_int_equal(port_transmit(b->port, &f), 0);
	assert_int_equal(b->sent, 5);
	assert_int_equal(b->last.gso_size, 1000);
	assert_int_equal(b->counters.tx_frames, 5);
	f.csum_start = 4000; /* refused whatever the wire carries */
	assert_int_equal(port_transmit(b->port, &f), -EINVAL);
	b->ops.caps = 0;
	assert_int_equal(port_transmit(b->port, &f), -EINVAL);
	assert_int_equal(b->counters.tx_drops, 2);
	assert_int_equal(b->sent, 5);
}

static void receive_finishes(void **state)
{
	struct bench *b = *state;
	uint8_t data[4000];
	struct vqnic_frame f = tcp_frame(data, 3000, 1000);
	unsigned int n;

	assert_int_equal(port_receive(b->port, &f), 0);
	for (n = 0; port_peek(b->port); n++) {
		struct frame *frame = port_take(b->port);

		assert_int_equal(frame->meta.len, 1054);
		assert_int_equal(frame->meta.flags, 0);
		assert_int_equal(frame->meta.gso_type, VQNIC_GSO_NONE);
		frame_free(b->port, frame);
	}
	assert_int_equal(n, 3);
	f.flags = VQNIC_FRAME_DATA_VALID;
	f.gso_type = 0;
	assert_int_equal(port_receive(b->port, &f), 0);
	assert_int_equal(port_peek(b->port)->meta.flags, 0);
	port_drop_all(b->port);

	port_set_offloads(b->port, PORT_RX_CSUM);
	assert_int_equal(port_receive(b->port, &f), 0);
	assert_int_equal(port_peek(b->port)->meta.flags, VQNIC_FRAME_DATA_VALID);
	port_drop_all(b->port);
	f = tcp_frame(data, 100, 0);
	assert_int_equal(port_receive(b->port, &f), 0);
	assert_int_equal(port_peek(b->port)->meta.flags, VQNIC_FRAME_NEEDS_CSUM);
	assert_int_equal(port_peek(b->port)->meta.csum_start, 34);
	port_set_offloads(b->port, PORT_RX_CSUM | PORT_RX_TSO4);
	f = tcp_frame(data, 3000, 1000);
	assert_int_equal(port_receive(b->port, &f), 0);
	f = (struct vqnic_frame){.data = data, .len = 60};
	assert_int_equal(port_receive(b->port, &f), 0);
	assert_int_equal(port_room(b->port), 1);

	/* Less is allowed now: the first stays, the segments go, the plain one stays. */
	n = (unsigned int)b->counters.rx_drops;
	port_set_offloads(b->port, PORT_RX_CSUM);
	assert_int_equal(port_room(b->port), 2);
	assert_int_equal(b->counters.rx_drops, n + 1);
	port_set_offloads(b->port, 0);
	assert_int_equal(port_room(b->port), 3);
	assert_int_equal(port_peek(b->port)->meta.len, 60);
	assert_int_equal(port_receive(b->port, &f), 0); /* the list's tail is right */
	frame_free(b->port, port_take(b->port));
	assert_int_equal(port_peek(b->port)->meta.len, 60);
	frame_free(b->port, port_take(b->port));
	assert_null(port_peek(b->port));

	f = tcp_frame(data, 3000, 0);
	f.csum_offset = 0xffff;
	assert_int_equal(port_receive(b->port, &f), -EINVAL);
	f = tcp_frame(data, 3000, 500); /* six segments, room for four */
	assert_int_equal(port_receive(b->port, &f), -ENOBUFS);
	assert_int_equal(port_room(b->port), 0);
}

static void reserved(void **state)
{
	struct bench *b = *state;
	struct vqnic_frame f = {.data = port_reserve(b->port), .len = 100};
	const uint8_t *first = f.data;
	struct frame *frame;

	assert_non_null(first);
	assert_ptr_equal(port_reserve(b->port), first);
	memset(port_reserve(b->port), 0x11, FRAME_MAX);
	assert_int_equal(port_receive(b->port, &f), 0); /* short: copied */
	assert_ptr_not_equal(port_peek(b->port)->data, first);
	assert_ptr_equal(port_reserve(b->port), first);
	f.len = FRAME_MAX;
	assert_int_equal(port_receive(b->port, &f), 0); /* long: taken over */
	f.data = port_reserve(b->port);
	assert_ptr_not_equal(f.data, first);
	frame_free(b->port, port_take(b->port));
	frame = port_take(b->port);
	assert_ptr_equal(frame->data, first);
	assert_ptr_equal(frame->meta.data, first);
	assert_int_equal(frame->data[FRAME_MAX - 1], 0x11);
	frame_free(b->port, frame);

	/* Segments of a frame that lies there are copies. */
	f = tcp_frame(port_reserve(b->port), 6000, 3000);
	assert_int_equal(port_receive(b->port, &f), 0);
	assert_ptr_equal(port_reserve(b->port), f.data);
	assert_int_equal(port_room(b->port), 2);
	f.len = FRAME_MAX;
	f.gso_type = f.flags = 0;
	assert_int_equal(port_receive(b->port, &f), 0);
	f.data = port_reserve(b->port);
	assert_int_equal(port_receive(b->port, &f), 0);
	f.data = port_reserve(b->port);
	assert_int_equal(port_receive(b->port, &f), -ENOBUFS); /* full: the place is still good */
	assert_ptr_equal(port_reserve(b->port), f.data);
}

static void carrier(void **state)
{
	struct bench *b = *state;
	uint8_t data[64] = {1};
	struct vqnic_frame f = {.data = data, .len = sizeof(data)};
	struct bench other = {.ops = b->ops};

	assert_int_equal(b->link_changes, 1);
	port_set_link(b->port, false);
	port_set_link(b->port, false);
	assert_int_equal(b->link_changes, 2);
	assert_false(port_link(b->port));
	assert_int_equal(port_transmit(b->port, &f), -ENETDOWN);
	assert_int_equal(port_receive(b->port, &f), -ENETDOWN);
	port_set_link(b->port, true);
	assert_int_equal(b->link_changes, 3);
	port_plug(b->port, &other.ops, &other); /* another cable: no change of carrier */
	assert_int_equal(b->closed, 1);
	assert_int_equal(b->link_changes, 3);
	port_plug(b->port, NULL, NULL);
	assert_int_equal(other.closed, 1);
	assert_int_equal(b->link_changes, 4);
	assert_false(b->link);
	port_set_link(b->port, true); /* no wire, no carrier */
	assert_int_equal(b->link_changes, 4);
	assert_int_equal(port_transmit(b->port, &f), -ENETDOWN);
	port_flush(b->port);
	assert_null(port_wire(b->port, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fifo, setup, teardown),
		cmocka_unit_test_setup_teardown(lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(transmit, setup, teardown),
		cmocka_unit_test_setup_teardown(transmit_finishes, setup, teardown),
		cmocka_unit_test_setup_teardown(receive_finishes, setup, teardown),
		cmocka_unit_test_setup_teardown(reserved, setup, teardown),
		cmocka_unit_test_setup_teardown(carrier, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
