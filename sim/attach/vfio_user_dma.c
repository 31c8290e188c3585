/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user: memory that the client shares by messages only
 *
 * How it works. An access of the NIC becomes a request in a list; each request is cut into pieces
 * of what the client takes in one message (its max_data_xfer_size). A slot stands for a piece that
 * is under way; the message id holds the number of the slot and a generation, so that an answer to
 * a slot's earlier use is not taken for the present one. When all pieces of a request are answered
 * the NIC is told. Nothing waits: answers come through the event loop like everything else, and
 * commands of the client are worked through meanwhile.
 *
 * Pieces go out in the order of issue, and clients work through them in that order; so a read sees
 * what an earlier write has put there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfio_user_conn.h"

/* Little is queued for a client that does not read, so that replies are not stuck behind it. */
#define OUT_LIMIT (256u << 10)

struct vu_dma_request {
	struct vu_dma_request *next;
	bool write;
	uint64_t iova, token, seq;
	uint32_t len;
	uint32_t sent, answered;
	int status;
	uint8_t data[];
};

void vu_dma_init(struct vu_dma *dma)
{
	memset(dma, 0, sizeof(*dma));
	dma->tail = &dma->head;
}

static void unlink_request(struct vu_dma *dma, struct vu_dma_request *request)
{
	struct vu_dma_request **p = &dma->head;

	while (*p != request)
		p = &(*p)->next;
	*p = request->next;
	if (!*p)
		dma->tail = p;
	dma->bytes -= request->len;
}

/* Tell the NIC and forget the request; slots that still refer to it drop their answer. */
static void finish(struct vu_conn *conn, struct vu_dma_request *request, int status)
{
	struct vu_dma *dma = &conn->dma;

	unlink_request(dma, request);
	if (request->sent != request->answered)
		for (unsigned int i = 0; i < VU_DMA_SLOTS; i++)
			if (dma->slot[i].request == request)
				dma->slot[i].request = NULL;
	/* -ENOENT: the NIC has given the access up itself, which is as good. */
	vqnic_dma_complete(conn->nic, conn->fn, request->token, status,
			   request->write || status ? NULL : request->data,
			   request->write || status ? 0 : request->len);
	free(request);
}

static struct vu_dma_slot *free_slot(struct vu_dma *dma)
{
	for (unsigned int i = 0; i < VU_DMA_SLOTS; i++)
		if (!dma->slot[i].busy) {
			dma->slot[i].id = (uint16_t)(dma->generation++ * VU_DMA_SLOTS + i);
			return &dma->slot[i];
		}
	return NULL;
}

void vu_dma_pump(struct vu_conn *conn)
{
	struct vu_channel *ch = vu_server_channel(conn);
	struct vu_dma *dma = &conn->dma;

	for (struct vu_dma_request *r = dma->head; r; r = r->next) {
		while (r->sent < r->len) {
			struct vu_header header = {.size = sizeof(header)};
			struct vu_dma_access access;
			struct vu_dma_slot *slot;
			uint32_t len = r->len - r->sent;

			if (ch->broken || dma->busy == VU_DMA_SLOTS || ch->out_bytes > OUT_LIMIT)
				return;
			slot = free_slot(dma);
			if (len > conn->peer_max_xfer)
				len = conn->peer_max_xfer;
			slot->busy = true;
			slot->cmd = r->write ? VU_DMA_WRITE : VU_DMA_READ;
			slot->request = r;
			slot->off = r->sent;
			slot->len = len;
			dma->busy++;

			access = (struct vu_dma_access){.address = r->iova + r->sent, .count = len};
			header.id = slot->id;
			header.cmd = slot->cmd;
			header.size += (uint32_t)sizeof(access) + (r->write ? len : 0);
			/* If it fails the connection ends, and with it the request. */
			vu_channel_send(ch, &header, &access, sizeof(access), r->data + r->sent,
					r->write ? len : 0, -1);
			r->sent += len;
		}
	}
}

static int start(struct vu_conn *conn, bool write, uint64_t iova, const void *data, uint32_t len,
		 uint64_t token)
{
	struct vu_dma *dma = &conn->dma;
	struct vu_dma_request *request;

	if (vu_server_channel(conn)->broken || !conn->negotiated)
		return -EIO;
	if (!len || len - 1 > UINT64_MAX - iova)
		return -EINVAL;
	if (dma->bytes + len > VU_DMA_MAX_BYTES)
		return -ENOBUFS;
	request = malloc(sizeof(*request) + len);
	if (!request)
		return -ENOMEM;
	*request =
		(struct vu_dma_request){.write = write, .iova = iova, .token = token, .len = len};
	request->seq = dma->issued++;
	if (write)
		memcpy(request->data, data, len);
	*dma->tail = request;
	dma->tail = &request->next;
	dma->bytes += len;
	vu_dma_pump(conn);
	vu_conn_update_events(conn);
	return 0;
}

static int dma_read(void *ctx, uint64_t iova, uint32_t len, uint64_t token)
{
	return start(ctx, false, iova, NULL, len, token);
}

static int dma_write(void *ctx, uint64_t iova, const void *data, uint32_t len, uint64_t token)
{
	return start(ctx, true, iova, data, len, token);
}

const struct vqnic_dma_ops vu_dma_ops = {.read = dma_read, .write = dma_write};

/* Did the client do what the slot asked for? On success a read's data is in the request. */
static int check_answer(const struct vu_dma_slot *slot, const struct vu_msg *msg)
{
	struct vu_dma_request *r = slot->request;
	struct vu_dma_access access = {0};

	if (msg->header.flags & VU_ERROR)
		return -EFAULT;
	/* Clients differ in what they send back for a write: 8 + 8 bytes, 8 + 4, or nothing. */
	if (msg->len < sizeof(access)) {
		if (!r->write)
			return -EPROTO;
		if (msg->len < 12)
			return 0;
	}
	memcpy(&access, msg->payload, msg->len < sizeof(access) ? msg->len : sizeof(access));
	if (access.address != r->iova + slot->off)
		return -EPROTO;
	if (r->write)
		return (uint32_t)access.count == slot->len ? 0 : -EIO;
	if (access.count != slot->len || msg->len - sizeof(access) < slot->len)
		return -EPROTO;
	memcpy(r->data + slot->off, msg->payload + sizeof(access), slot->len);
	return 0;
}

void vu_dma_reply(struct vu_conn *conn, const struct vu_msg *msg)
{
	struct vu_dma *dma = &conn->dma;
	struct vu_dma_slot *slot = &dma->slot[msg->header.id % VU_DMA_SLOTS];
	struct vu_dma_request *r;
	int err;

	if (!slot->busy || slot->id != msg->header.id || slot->cmd != msg->header.cmd) {
		vu_say(conn, "the client answered command %u, id %u, which nobody sent; ignored",
		       msg->header.cmd, msg->header.id);
		return;
	}
	r = slot->request;
	err = r ? check_answer(slot, msg) : 0;
	slot->busy = false;
	slot->request = NULL;
	dma->busy--;
	if (r) {
		if (err == -EPROTO)
			vu_say(conn,
			       "the client's answer to command %u, id %u is malformed; the "
			       "access fails",
			       msg->header.cmd, msg->header.id);
		if (err && !r->status)
			r->status = err == -EPROTO ? -EIO : err;
		r->answered += slot->len;
		if (r->answered == r->len)
			finish(conn, r, r->status);
	}
	vu_dma_pump(conn);
}

void vu_dma_cancel(struct vu_conn *conn, uint64_t iova, uint64_t last, int status)
{
	struct vu_dma_request *r = conn->dma.head, *next;
	uint64_t end = conn->dma.issued;

	/* What the NIC issues in answer to a failure is a new access, and goes by the new maps. */
	for (; r && r->seq < end; r = next) {
		next = r->next;
		if (r->iova <= last && r->iova + r->len - 1 >= iova)
			finish(conn, r, status);
	}
}
