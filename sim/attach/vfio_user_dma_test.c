/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that the client shares by messages: DMA_READ and DMA_WRITE */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "vfio_user_client.h"

static void hello(struct client *c, const char *json)
{
	uint8_t buf[256] = {0};

	memcpy(buf + 4, json, strlen(json) + 1);
	assert_int_equal(client_call(c, VU_VERSION, buf, 4 + strlen(json) + 1, NULL, 0), 0);
}

static int setup(void **state)
{
	struct client *c = malloc(sizeof(*c));

	client_open(c);
	hello(c, "{\"capabilities\":{\"max_data_xfer_size\":1000}}");
	*state = c;
	return 0;
}

static int setup_fresh(void **state)
{
	struct client *c = malloc(sizeof(*c));

	client_open(c);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	int leaked = client_close(*state);

	free(*state);
	assert_int_equal(leaked, 0);
	return 0;
}

static int dma_read(struct client *c, uint64_t iova, uint32_t len, uint64_t token)
{
	return c->nic.ops->read(c->nic.ctx, iova, len, token);
}

static int dma_write(struct client *c, uint64_t iova, const void *data, uint32_t len,
		     uint64_t token)
{
	return c->nic.ops->write(c->nic.ctx, iova, data, len, token);
}

/* Take the server's next command, which must be this one. */
static struct vu_dma_access expect(struct client *c, uint16_t cmd, uint64_t address, uint64_t count)
{
	struct vu_dma_access access;

	assert_int_equal(client_recv(c), 1);
	assert_int_equal(c->header.cmd, cmd);
	assert_int_equal(c->header.flags, VU_TYPE_COMMAND);
	assert_int_equal(c->len, sizeof(access) + (cmd == VU_DMA_WRITE ? count : 0));
	memcpy(&access, c->payload, sizeof(access));
	assert_int_equal(access.address, address);
	assert_int_equal(access.count, count);
	return access;
}

/* Answer the command received last; @data NULL: without */
static void reply(struct client *c, uint32_t flags, uint64_t address, uint64_t count,
		  const void *data, size_t len)
{
	struct vu_dma_access access = {address, count};
	uint8_t *buf = malloc(sizeof(access) + len);

	memcpy(buf, &access, sizeof(access));
	if (len)
		memcpy(buf + sizeof(access), data, len);
	client_send(c, c->header.id, c->header.cmd, VU_TYPE_REPLY | flags, buf,
		    flags & VU_ERROR ? 0 : sizeof(access) + len, NULL, 0);
	free(buf);
	client_poll(c);
}

static void read_is_answered(void **state)
{
	struct client *c = *state;

	assert_int_equal(dma_read(c, 0x123456789000, 5, 42), 0);
	assert_int_equal(c->nic.dones, 0);
	expect(c, VU_DMA_READ, 0x123456789000, 5);
	reply(c, 0, 0x123456789000, 5, "hello", 5);
	assert_int_equal(c->nic.dones, 1);
	assert_int_equal(c->nic.done[0].token, 42);
	assert_int_equal(c->nic.done[0].status, 0);
	assert_int_equal(c->nic.done[0].len, 5);
	assert_memory_equal(c->nic.done[0].data, "hello", 5);
}

static void write_is_answered(void **state)
{
	struct client *c = *state;

	/* As the specification's text, as its table, and as terse as can be. */
	for (unsigned int i = 0; i < 3; i++) {
		struct vu_dma_access back = {0x2000, 3};

		assert_int_equal(dma_write(c, 0x2000, "abc", 3, i), 0);
		expect(c, VU_DMA_WRITE, 0x2000, 3);
		assert_memory_equal(c->payload + 16, "abc", 3);
		client_send(c, c->header.id, VU_DMA_WRITE, VU_TYPE_REPLY, &back,
			    i == 0   ? 16
			    : i == 1 ? 12
				     : 0,
			    NULL, 0);
		client_poll(c);
		assert_int_equal(c->nic.dones, i + 1);
		assert_int_equal(c->nic.done[i].token, i);
		assert_int_equal(c->nic.done[i].status, 0);
	}
}

static void long_accesses_are_cut(void **state)
{
	struct client *c = *state;
	uint8_t data[2500];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13);
	assert_int_equal(dma_write(c, 0x8000, data, sizeof(data), 1), 0);
	assert_int_equal(dma_read(c, 0x8000, sizeof(data), 2), 0);
	for (unsigned int pass = 0; pass < 2; pass++)
		for (uint32_t off = 0; off < sizeof(data); off += 1000) {
			uint32_t len = off == 2000 ? 500 : 1000;

			expect(c, pass ? VU_DMA_READ : VU_DMA_WRITE, 0x8000 + off, len);
			if (!pass)
				assert_memory_equal(c->payload + 16, data + off, len);
			reply(c, 0, 0x8000 + off, len, data + off, pass ? len : 0);
		}
	assert_int_equal(c->nic.dones, 2);
	assert_int_equal(c->nic.done[1].len, sizeof(data));
	assert_memory_equal(c->nic.done[1].data, data, sizeof(data));
}

static void answers_in_any_order(void **state)
{
	struct client *c = *state;
	struct vu_header header[20];

	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(dma_read(c, 0x1000 * i, 1, i), 0);
	for (unsigned int i = 0; i < 20; i++) {
		expect(c, VU_DMA_READ, 0x1000 * i, 1);
		header[i] = c->header;
	}
	for (unsigned int i = 20; i-- > 0;) {
		c->header = header[i];
		reply(c, 0, 0x1000 * i, 1, &i, 1);
	}
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(c->nic.done[i].token, 19 - i);
		assert_int_equal(c->nic.done[i].data[0], 19 - i);
	}
}

static void more_than_may_be_under_way(void **state)
{
	static const uint8_t data[1000];
	struct client *c = *state;
	unsigned int answered = 0;

	for (unsigned int i = 0; i < FAKE_DONE; i++)
		assert_int_equal(dma_read(c, 0x10000 * i, 2000, i), 0);
	assert_int_equal(c->conn->dma.busy, VU_DMA_SLOTS);
	while (client_recv(c) == 1) {
		struct vu_dma_access access;

		memcpy(&access, c->payload, sizeof(access));
		/* In the order of issue, a piece after the other. */
		assert_int_equal(access.address, 0x10000 * (answered / 2) + 1000 * (answered % 2));
		reply(c, 0, access.address, access.count, data, access.count);
		answered++;
	}
	assert_int_equal(answered, 2 * FAKE_DONE);
	assert_int_equal(c->nic.dones, FAKE_DONE);
	assert_int_equal(c->conn->dma.busy, 0);
	assert_int_equal(c->conn->dma.bytes, 0);
}

static void error_answers(void **state)
{
	static const uint8_t data[1000];
	struct client *c = *state;
	unsigned int n = 0;

	/* The client says no. */
	assert_int_equal(dma_read(c, 0x1000, 4, 0), 0);
	expect(c, VU_DMA_READ, 0x1000, 4);
	reply(c, VU_ERROR, 0, 0, NULL, 0);
	assert_int_equal(c->nic.done[n++].status, -EFAULT);
	/* Other address, other count, less or no data. */
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(dma_read(c, 0x1000, 4, i), 0);
		expect(c, VU_DMA_READ, 0x1000, 4);
		if (i < 4)
			reply(c, 0, i == 0 ? 0x2000 : 0x1000,
			      i == 1   ? 5
			      : i == 2 ? UINT64_MAX
				       : 4,
			      data, i == 3 ? 3 : 5);
		else
			client_send(c, c->header.id, VU_DMA_READ, VU_TYPE_REPLY, "x", 1, NULL, 0);
		client_poll(c);
		assert_int_equal(c->nic.dones, n + 1);
		assert_int_equal(c->nic.done[n++].status, -EIO);
	}
	/* A write that was done in part. */
	assert_int_equal(dma_write(c, 0x1000, data, 4, 9), 0);
	expect(c, VU_DMA_WRITE, 0x1000, 4);
	reply(c, 0, 0x1000, 3, NULL, 0);
	assert_int_equal(c->nic.done[n++].status, -EIO);
	/* One piece of three fails: the whole, once all are answered. */
	assert_int_equal(dma_read(c, 0, 2500, 10), 0);
	for (unsigned int i = 0; i < 3; i++) {
		expect(c, VU_DMA_READ, 1000 * i, i == 2 ? 500 : 1000);
		assert_int_equal(c->nic.dones, n);
		reply(c, i == 1 ? VU_ERROR : 0, 1000 * i, i == 2 ? 500 : 1000, data,
		      i == 2 ? 500 : 1000);
	}
	assert_int_equal(c->nic.dones, n + 1);
	assert_int_equal(c->nic.done[n].status, -EFAULT);
}

/* The rule that keeps QEMU from standing still: it holds its lock while it waits for a register. */
static void registers_never_wait_for_memory(void **state)
{
	struct client *c = *state;
	struct vu_region_access access = {0, 0, 4};

	for (unsigned int i = 0; i < 64; i++)
		assert_int_equal(dma_read(c, 0x1000, 4, i), 0);
	client_send(c, 1, VU_REGION_READ, 0, &access, sizeof(access), NULL, 0);
	client_poll(c);
	for (unsigned int i = 0; i < VU_DMA_SLOTS; i++)
		assert_int_equal(client_recv(c), 1);
	assert_int_equal(client_recv(c), 1);
	assert_int_equal(c->header.cmd, VU_REGION_READ);
	assert_int_equal(c->nic.dones, 0);
}

static void unmap_ends_accesses(void **state)
{
	struct client *c = *state;
	struct vu_dma_unmap unmap = {sizeof(unmap), 0, 0x10000, 0x1000};
	struct vu_header late;

	assert_int_equal(dma_read(c, 0x10ffe, 4, 1), 0); /* reaches into the next page */
	expect(c, VU_DMA_READ, 0x10ffe, 4);
	late = c->header;
	assert_int_equal(dma_read(c, 0x20000, 4, 2), 0);
	expect(c, VU_DMA_READ, 0x20000, 4);
	client_send(c, 1, VU_DMA_UNMAP, 0, &unmap, sizeof(unmap), NULL, 0);
	client_poll(c);
	assert_int_equal(c->nic.dones, 1);
	assert_int_equal(c->nic.done[0].token, 1);
	assert_int_equal(c->nic.done[0].status, -EFAULT);
	reply(c, 0, 0x20000, 4, "abcd", 4);
	assert_int_equal(c->nic.dones, 2);
	assert_int_equal(client_recv(c), 1); /* the unmap's */
	c->header = late;
	reply(c, 0, 0x10ffe, 4, "abcd", 4);
	assert_int_equal(c->nic.dones, 2);
	assert_int_equal(c->conn->dma.busy, 0);
}

static void reset_and_death_end_accesses(void **state)
{
	struct client *c = *state;

	assert_int_equal(dma_read(c, 0x1000, 4, 1), 0);
	client_send(c, 1, VU_DEVICE_RESET, 0, NULL, 0, NULL, 0);
	client_poll(c);
	assert_int_equal(c->nic.dones, 1);
	assert_int_equal(c->nic.done[0].status, -ECANCELED);
	assert_int_equal(dma_write(c, 0x1000, "abcd", 4, 2), 0);
	close(c->sock);
	c->sock = -1;
	client_poll(c);
	assert_int_equal(c->nic.dones, 2);
	assert_int_equal(c->nic.done[1].token, 2);
	assert_int_equal(c->nic.done[1].status, -ECANCELED);
}

static void accesses_refused(void **state)
{
	struct client *c = *state;

	assert_int_equal(dma_read(c, 0, 4, 1), -EIO); /* nothing negotiated yet */
	hello(c, "{}");
	assert_int_equal(dma_read(c, 0, 0, 1), -EINVAL);
	assert_int_equal(dma_read(c, UINT64_MAX, 2, 1), -EINVAL);
	assert_int_equal(dma_read(c, UINT64_MAX, 1, 1), 0);
	assert_int_equal(dma_read(c, 0, VU_DMA_MAX_BYTES, 1), -ENOBUFS);
	/* The client died but nobody has noticed. */
	close(c->sock);
	c->sock = -1;
	assert_int_equal(dma_read(c, 0, 1, 2), 0); /* found out while sending */
	assert_int_equal(dma_read(c, 0, 1, 3), -EIO);
}

static void twin_carries_the_servers_commands(void **state)
{
	struct client *c = *state;
	struct vu_device_info info = {.argsz = sizeof(info)};
	int main_sock, twin;

	hello(c, "{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}");
	assert_int_equal(c->fds, 1);
	twin = c->fd[0];
	c->fd[0] = -1;
	assert_int_equal(dma_read(c, 0x5000, 2, 7), 0);
	assert_int_equal(client_recv(c), 0);
	main_sock = c->sock;
	c->sock = twin;
	expect(c, VU_DMA_READ, 0x5000, 2);
	reply(c, 0, 0x5000, 2, "ok", 2);
	assert_int_equal(c->nic.dones, 1);
	assert_int_equal(c->nic.done[0].status, 0);
	c->sock = main_sock;
	assert_int_equal(client_call(c, VU_GET_INFO, &info, sizeof(info), NULL, 0), 0);
	/* A command where only answers belong ends the connection, as the twin's end does. */
	c->sock = twin;
	client_send(c, 1, VU_GET_INFO, 0, &info, sizeof(info), NULL, 0);
	client_poll(c);
	assert_null(c->conn);
	c->sock = main_sock;
	close(twin);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(read_is_answered),
		T(write_is_answered),
		T(long_accesses_are_cut),
		T(answers_in_any_order),
		T(more_than_may_be_under_way),
		T(error_answers),
		T(registers_never_wait_for_memory),
		T(unmap_ends_accesses),
		T(reset_and_death_end_accesses),
		cmocka_unit_test_setup_teardown(accesses_refused, setup_fresh, teardown),
		cmocka_unit_test_setup_teardown(twin_carries_the_servers_commands, setup_fresh,
						teardown),
	};

	return cmocka_run_group_tests_name("vfio_user_dma", tests, NULL, NULL);
}
