/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user server and thousands of mutated messages
 *
 * How it works. A seed makes a session: a greeting, mostly intact, and then messages of every
 * command with plausible contents, of which some bytes, sizes, flags or descriptors are changed.
 * They go through the socket in random pieces, with answers taken now and then, to a NIC that
 * aborts when it is called with what should have been refused. What must hold for every session:
 * no crash, nothing leaked, nothing left of the client in the NIC, the queue bounded; for those
 * commands that were left intact, that no more answers come than were asked for.
 *
 *	vfio_user_fuzz_test [SEED [SESSIONS]]	other or more sessions than the usual ones
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "../util.h"
#include "vfio_user_client.h"

enum { MESSAGES = 60 };

static uint64_t first_seed = 1;
static unsigned int sessions = 300;

/* Numbers that find mistakes. */
static uint64_t number(struct rng *rng)
{
	static const uint64_t odd[] = {
		0,	    1,		2,	    3,		7,
		8,	    9,		15,	    16,		24,
		31,	    32,		4095,	    4096,	8191,
		8192,	    16384,	65536,	    1u << 20,	0x7fffffff,
		0x80000000, UINT32_MAX, 1ull << 32, 1ull << 63, UINT64_MAX - 4095,
		UINT64_MAX};

	switch (rng_below(rng, 3)) {
	case 0:
		return odd[rng_below(rng, ARRAY_SIZE(odd))];
	case 1:
		return rng_below(rng, 64);
	default:
		return rng_next(rng) >> rng_below(rng, 64);
	}
}

static void fill(struct rng *rng, uint8_t *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)rng_next(rng);
}

/* The payload of a command that would be carried out. */
static size_t plausible(struct rng *rng, uint16_t cmd, uint8_t *to)
{
	static const uint8_t regions[] = {0, 2, 4, 7, 0, 7, 1, 8};
	struct vu_region_access access = {rng_below(rng, 4096), regions[rng_below(rng, 8)],
					  1u << rng_below(rng, 4)};
	struct vu_dma_map map = {32, (uint32_t)rng_below(rng, 4), 0, rng_below(rng, 64) << 12,
				 (1 + rng_below(rng, 4)) << 12};
	struct vu_dma_unmap unmap = {24, 0, map.address, map.size};
	struct vu_irq_set set = {20, 1u << rng_below(rng, 3), rng_below(rng, 4) ? 2 : 0, 0, 1};
	struct vu_dma_access dma = {map.address, 16};
	uint32_t words[8] = {64, 0, (uint32_t)rng_below(rng, 9)};
	uint64_t count = rng_below(rng, 5);

	switch (cmd) {
	case VU_DMA_MAP:
		memcpy(to, &map, sizeof(map));
		return sizeof(map);
	case VU_DMA_UNMAP:
		memcpy(to, &unmap, sizeof(unmap));
		return sizeof(unmap);
	case VU_GET_REGION_INFO:
		memcpy(to, words, 32);
		return 32;
	case VU_GET_INFO:
	case VU_GET_REGION_IO_FDS:
	case VU_GET_IRQ_INFO:
		memcpy(to, words, 16);
		return 16;
	case VU_SET_IRQS:
		set.flags |= 8u << rng_below(rng, 3);
		set.start = (uint32_t)rng_below(rng, FAKE_VECTORS);
		set.count = (uint32_t)rng_below(rng, 4);
		memcpy(to, &set, sizeof(set));
		fill(rng, to + sizeof(set), set.count);
		return sizeof(set) + (set.flags & VU_IRQ_DATA_BOOL ? set.count : 0);
	case VU_REGION_READ:
		memcpy(to, &access, sizeof(access));
		return sizeof(access);
	case VU_REGION_WRITE:
		memcpy(to, &access, sizeof(access));
		fill(rng, to + sizeof(access), access.count);
		return sizeof(access) + access.count;
	case VU_DMA_READ:
	case VU_DMA_WRITE:
		memcpy(to, &dma, sizeof(dma));
		fill(rng, to + sizeof(dma), 16);
		return 32;
	case VU_REGION_WRITE_MULTI:
		memcpy(to, &count, 8);
		for (uint64_t i = 0; i < count; i++) {
			struct vu_write_one one = {rng_below(rng, 4096), 0, 4, {0}};

			memcpy(to + 8 + i * sizeof(one), &one, sizeof(one));
		}
		return 8 + count * sizeof(struct vu_write_one);
	case VU_DEVICE_FEATURE:
		words[1] = (uint32_t)(rng_below(rng, 10) | rng_below(rng, 8) << 16);
		/* fall through */
	case VU_MIG_DATA_READ:
	case VU_MIG_DATA_WRITE:
		memcpy(to, words, 8);
		return 8;
	default:
		return 0;
	}
}

static void mutate(struct rng *rng, uint8_t *buf, size_t len)
{
	for (uint64_t n = rng_below(rng, 3); n > 0; n--) {
		size_t at = rng_below(rng, len), width = 1u << rng_below(rng, 4);
		uint64_t v = number(rng);

		/* The size in the header is changed rarely: most often it ends the session. */
		if (at >= 4 && at < 8 && rng_below(rng, 8))
			continue;
		if (rng_below(rng, 2))
			at &= ~(width - 1);
		if (at + width > len)
			width = 1;
		memcpy(buf + at, &v, width);
	}
}

static void serve_dma(struct client *c)
{
	struct vu_dma_access access;
	uint8_t data[16 + 64] = {0};

	memcpy(&access, c->payload, sizeof(access));
	memcpy(data, &access, sizeof(access));
	client_send(c, c->header.id, c->header.cmd, VU_TYPE_REPLY, data,
		    16 + (c->header.cmd == VU_DMA_READ && access.count <= 64 ? access.count : 0),
		    NULL, 0);
}

static void take_answers(struct client *c, struct rng *rng)
{
	while (client_recv(c) == 1) {
		unsigned int type = c->header.flags & VU_TYPE_MASK;

		assert_true(type <= VU_TYPE_REPLY);
		if (c->header.flags & VU_ERROR)
			assert_int_equal(c->len, 0);
		if (type == VU_TYPE_COMMAND && rng_below(rng, 4))
			serve_dma(c);
	}
}

static void session(uint64_t seed)
{
	static const char hello[] = "\0\0\0\0{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_"
				    "size\":64,\"write_multiple\":true}}";
	struct rng rng = {.state = seed};
	struct client *c = malloc(sizeof(*c));
	int fd[20];
	unsigned int fds = 0;

	for (unsigned int i = 0; i < 20; i++)
		fd[i] = i % 2 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
			      : memfd_create("m", MFD_CLOEXEC);
	client_open(c);
	for (unsigned int m = 0; m < MESSAGES && c->conn; m++) {
		uint8_t buf[512];
		struct vu_header header = {.id = (uint16_t)m};
		size_t len, at = 0;

		header.cmd = (uint16_t)(m ? 2 + rng_below(&rng, VU_COMMANDS - 1) : VU_VERSION);
		header.flags = rng_below(&rng, 3) ? 0 : VU_NO_REPLY;
		if (!m) {
			header.flags = 0;
			len = sizeof(header) + sizeof(hello);
			memcpy(buf + sizeof(header), hello, sizeof(hello));
		} else {
			len = sizeof(header) + plausible(&rng, header.cmd, buf + sizeof(header));
		}
		header.size = (uint32_t)len;
		memcpy(buf, &header, sizeof(header));
		if (m ? rng_below(&rng, 2) : !rng_below(&rng, 8))
			mutate(&rng, buf, len);
		fds = 0;
		if (header.cmd == VU_DMA_MAP || header.cmd == VU_SET_IRQS || !rng_below(&rng, 16))
			fds = (unsigned int)(rng_below(&rng, 4) ? rng_below(&rng, 3)
								: rng_below(&rng, 20));
		while (at < len) {
			size_t piece =
				rng_below(&rng, 3) ? len - at : 1 + rng_below(&rng, len - at);
			int n = client_send_raw(c, buf + at, piece, fd + rng_below(&rng, 2),
						fds < 19 ? fds : 19);

			if (n == -EPIPE)
				break;
			if (n > 0) {
				at += (size_t)n;
				fds = 0;
			}
			if (n == -EAGAIN || rng_below(&rng, 2))
				client_poll(c);
			if (!c->conn)
				break;
			assert_true(c->conn->main.out_bytes <= 2 * VU_OUT_HIGH);
		}
		if (c->conn && c->nic.ops && !rng_below(&rng, 8)) {
			/* The NIC reaches for memory, too. */
			uint64_t iova = rng_below(&rng, 64) << 12;

			if (rng_below(&rng, 2))
				c->nic.ops->read(c->nic.ctx, iova, (uint32_t)rng_below(&rng, 200),
						 m);
			else
				c->nic.ops->write(c->nic.ctx, iova, buf,
						  (uint32_t)rng_below(&rng, 200), m);
		}
		if (!rng_below(&rng, 4))
			take_answers(c, &rng);
	}
	if (rng_below(&rng, 2))
		client_poll(c);
	if (!c->conn)
		assert_int_equal(c->nic.detaches, 1);
	for (unsigned int i = 0; i < 20; i++)
		close(fd[i]);
	assert_int_equal(client_close(c), -20);
	free(c);
}

static void mutated_sessions(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sessions; i++) {
		if (sessions == 1)
			print_message("seed %llu\n", (unsigned long long)first_seed);
		session(first_seed + i);
	}
}

/* Bytes without any sense, with and without a greeting before. */
static void noise(void **state)
{
	struct rng rng = {.state = first_seed};

	(void)state;
	for (unsigned int i = 0; i < sessions; i++) {
		struct client *c = malloc(sizeof(*c));
		uint8_t buf[300];

		client_open(c);
		if (i % 2)
			client_hello(c);
		for (unsigned int n = 0; n < 10 && c->conn; n++) {
			fill(&rng, buf, sizeof(buf));
			/* A size that does not end it at once. */
			buf[5] = buf[6] = buf[7] = 0;
			client_send_raw(c, buf, rng_below(&rng, sizeof(buf)) + 1, NULL, 0);
			client_poll(c);
			take_answers(c, &rng);
		}
		assert_int_equal(client_close(c), 0);
		free(c);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutated_sessions),
		cmocka_unit_test(noise),
	};

	if (argc > 1)
		first_seed = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		sessions = (unsigned int)strtoul(argv[2], NULL, 0);
	return cmocka_run_group_tests_name("vfio_user_fuzz", tests, NULL, NULL);
}
