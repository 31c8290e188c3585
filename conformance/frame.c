/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"

void frame_send(int fd, enum frame_type type, int32_t a, int32_t b, const void *data, size_t len)
{
	struct {
		struct frame_header head;
		uint8_t data[FRAME_TEXT];
	} frame;
	ssize_t wrote;

	if (len > sizeof(frame.data))
		len = sizeof(frame.data);
	frame.head = (struct frame_header){
		.magic = FRAME_MAGIC, .type = (uint16_t)type, .len = (uint16_t)len, .a = a, .b = b};
	memcpy(frame.data, data, len);
	do
		wrote = write(fd, &frame, sizeof(frame.head) + len);
	while (wrote < 0 && errno == EINTR);
}

/* Hand out the whole frames of the buffer, and move the rest to its front. */
static int hand_out(struct frame_reader *reader, void (*each)(void *ctx, const struct frame *frame),
		    void *ctx)
{
	char text[FRAME_TEXT + 1];
	size_t at = 0;

	while (reader->used - at >= sizeof(struct frame_header)) {
		struct frame frame = {.text = text};

		memcpy(&frame.head, reader->buf + at, sizeof(frame.head));
		if (frame.head.magic != FRAME_MAGIC || frame.head.len > FRAME_TEXT ||
		    !frame.head.type || frame.head.type >= FRAME_TYPES)
			return -EPROTO;
		if (reader->used - at < sizeof(frame.head) + frame.head.len)
			break;
		at += sizeof(frame.head);
		memcpy(text, reader->buf + at, frame.head.len);
		text[frame.head.len] = '\0';
		at += frame.head.len;
		each(ctx, &frame);
	}
	memmove(reader->buf, reader->buf + at, reader->used - at);
	reader->used -= at;
	return 0;
}

int frame_read(struct frame_reader *reader, int fd, unsigned int most,
	       void (*each)(void *ctx, const struct frame *frame), void *ctx)
{
	while (most--) {
		ssize_t got =
			read(fd, reader->buf + reader->used, sizeof(reader->buf) - reader->used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? 1 : -errno;
		if (!got)
			return reader->used ? -EPROTO : 0;
		reader->used += (size_t)got;
		if (hand_out(reader, each, ctx) < 0)
			return -EPROTO;
	}
	return 1;
}
