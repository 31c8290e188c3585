/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dirty log: which pages the device wrote, as a bitmap in host memory
 *
 * How it works. IFCVF's hardware marks every page of a packet buffer that it writes: bit n of the
 * bitmap stands for the n-th page of 4096 bytes of IOVA, byte n / 8, bit n % 8 (the format of
 * vhost's log). The mark is posted behind the data and in front of the used entry, so that whoever
 * sees the buffer used finds its mark. Repeated marks of one page in a row are left out only while
 * nobody can have taken the bit away in between: within one packet.
 */
#ifndef VN_DIRTY_LOG_H
#define VN_DIRTY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "../defects/defects.h"
#include "fabric.h"

struct dirty_log {
	struct fabric *fab;
	struct iova_space *space;
	const struct defect_set *defects;
	bool on;
	bool fresh;	 /* nothing was written since it was switched on; seeded defects ask */
	uint64_t marked; /* page that was marked last; likewise */
	uint64_t base, end;
	uint64_t lost; /* pages beyond the bitmap's end */
};

static inline bool dirty_log_active(const struct dirty_log *log)
{
	return __builtin_expect(log->on, false);
}

/**
 * dirty_log_start() - from now on; @base, @end: bytes of the bitmap, @end exclusive
 *
 * Writes that are under way become visible with the log on, so they are marked now (those of rings
 * too: that is one mark too many, and allowed).
 */
void dirty_log_start(struct dirty_log *log, uint64_t base, uint64_t end);

/** dirty_log_mark() - [@iova, @iova + @len) was written; 0, or -EFAULT: the bitmap is not mapped */
int dirty_log_mark(struct dirty_log *log, uint64_t iova, uint64_t len);

#endif
