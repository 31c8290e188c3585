/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a check's process tells the runner, through a pipe
 *
 * How it works. A frame is a header and up to FRAME_TEXT bytes, and never longer than PIPE_BUF, so
 * that the kernel writes it in one piece: a signal handler or a thread of the check may send frames
 * in the middle of another's. The runner believes nothing: it checks magic, type and length, and a
 * stream that is out of step ends the check as BROKEN.
 */
#ifndef VC_FRAME_H
#define VC_FRAME_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_type {
	FRAME_PHASE = 1, /* text: what the process does now: opening, resetting, running, closing */
	FRAME_STEP,	 /* text of t_step() */
	FRAME_NOTE,	 /* text of t_note() */
	FRAME_TRACE,	 /* text: one operation of the parent, oldest first */
	FRAME_VERDICT,	 /* a, b: verdict and skip kind; text: diagnosis */
	FRAME_NO_PARENT, /* a: errno of parent_open(); text: its sentence */
	FRAME_DEAD,	 /* the parent died; text: operation, or "" */
	FRAME_LATE,	 /* the deadline is over; text: operation inside of which, or "" */
	FRAME_CRASH, /* a: signal, 0 for a sanitizer's report; text: operation inside of which */
	FRAME_EXIT,  /* somebody called exit(); text: operation inside of which */
	FRAME_INFO,  /* struct probe, of the probing process alone */
	FRAME_END,   /* nothing comes after it */
	FRAME_TYPES
};

#define FRAME_MAGIC 0x76716365u
#define FRAME_TEXT  (PIPE_BUF - sizeof(struct frame_header))

struct frame_header {
	uint32_t magic;
	uint16_t type;
	uint16_t len; /* of what follows */
	int32_t a, b;
};

/** frame_send() - write a frame; longer payloads are cut; safe in a signal handler */
void frame_send(int fd, enum frame_type type, int32_t a, int32_t b, const void *data, size_t len);

/** struct frame_reader - bytes that arrived and are no whole frame yet; zeroed is empty */
struct frame_reader {
	size_t used;
	uint8_t buf[2 * PIPE_BUF];
};

struct frame {
	struct frame_header head;
	const char *text; /* terminated; borrowed until the next call */
};

/**
 * frame_read() - take what @fd has, and give it frame by frame
 * @most: calls of read(); a writer that never stops must not hold the reader
 * @each: called for each whole frame
 *
 * Return: 1 more may come later, 0 end of file, -EPROTO not our frames, other errno of read().
 */
int frame_read(struct frame_reader *reader, int fd, unsigned int most,
	       void (*each)(void *ctx, const struct frame *frame), void *ctx);

#endif
