/* SPDX-License-Identifier: BSD-3-Clause */
#include "dirty_log.h"

#include "txn.h"

#define PAGE_SHIFT 12u /* VHOST_LOG_PAGE, whatever the host's page is */

/* left_out() - of the pages from @first to @last, those that a seeded defect does not mark */
static bool left_out(struct dirty_log *log, uint64_t page, uint64_t first, uint64_t last)
{
	bool same = page == log->marked;

	log->marked = page;
	if (defect_on(log->defects, DEFECT_LOG_ENDS_ONLY) && page != first && page != last)
		return true;
	return same && defect_on(log->defects, DEFECT_LOG_REMEMBERS_PAGE);
}

int dirty_log_mark(struct dirty_log *log, uint64_t iova, uint64_t len)
{
	uint64_t first, last;

	if (!len)
		return 0;
	first = iova >> PAGE_SHIFT;
	last = (iova + len - 1) >> PAGE_SHIFT;
	if (defect_on(log->defects, DEFECT_LOG_FIRST_PAGE_ONLY))
		last = first;
	if (defect_on(log->defects, DEFECT_LOG_LAST_PAGE_ONLY))
		first = last;
	for (uint64_t page = first; page <= last;) {
		uint64_t byte = page / 8;
		uint8_t bits = 0;
		int r;

		/* Pages whose bits share a byte cost one access. */
		for (; page <= last && page / 8 == byte; page++)
			if (!left_out(log, page, first, last))
				bits |= (uint8_t)(1u << (page % 8));
		if (defect_on(log->defects, DEFECT_LOG_BITS_REVERSED)) {
			uint8_t reversed = 0;

			for (unsigned int i = 0; i < 8; i++)
				if (bits & (1u << i))
					reversed |= (uint8_t)(0x80u >> i);
			bits = reversed;
		}
		if ((log->end <= log->base || byte >= log->end - log->base) &&
		    !defect_on(log->defects, DEFECT_LOG_NOT_BOUNDED)) {
			log->lost++;
			continue;
		}
		if (defect_on(log->defects, DEFECT_LOG_BASE_IGNORED_OFFSET))
			byte += (log->end - log->base) / 2;
		if (defect_on(log->defects, DEFECT_LOG_OVERWRITES)) {
			struct fab_sg sg = {log->base + byte, 1};

			r = fab_write(log->fab, log->space, &sg, 1, &bits, NULL);
		} else {
			r = fab_set_bits(log->fab, log->space, log->base + byte, bits, NULL);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static void mark_posted(void *ctx, uint64_t iova, uint64_t len)
{
	dirty_log_mark(ctx, iova, len);
}

void dirty_log_start(struct dirty_log *log, uint64_t base, uint64_t end)
{
	log->base = base;
	log->end = end;
	log->fresh = true;
	log->marked = UINT64_MAX;
	log->on = true;
	txn_posted_writes(log->space, mark_posted, log);
}
