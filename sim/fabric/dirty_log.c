/* SPDX-License-Identifier: BSD-3-Clause */
#include "dirty_log.h"

#define PAGE_SHIFT 12u /* VHOST_LOG_PAGE, whatever the host's page is */

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
