/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies to and from memory that somebody else writes at the same time
 *
 * How it works. Ring fields of 1, 2, 4 and 8 bytes move in one access. A naturally aligned 16-byte
 * chunk (a descriptor) is sampled upper half first: the flags of a packed descriptor lie there, and
 * whoever sees them set must see the address. Payload needs nothing of the kind.
 */
#include "txn.h"

#include <string.h>

#define SMALL 512u /* longer than any batch of descriptors */

void mem_sample(void *dst, const uint8_t *host, uint64_t len)
{
	uintptr_t at = (uintptr_t)host;

	if (len == 2 && !(at & 1)) {
		uint16_t v =
			__atomic_load_n((const uint16_t *)(const void *)host, __ATOMIC_ACQUIRE);

		memcpy(dst, &v, 2);
	} else if (len == 4 && !(at & 3)) {
		uint32_t v =
			__atomic_load_n((const uint32_t *)(const void *)host, __ATOMIC_ACQUIRE);

		memcpy(dst, &v, 4);
	} else if (len <= SMALL && !(len & 15) && !(at & 15)) {
		const uint64_t *from = (const uint64_t *)(const void *)host;
		uint8_t *to = dst;

		for (uint64_t i = 0; i < len / 8; i += 2, to += 16) {
			uint64_t high = __atomic_load_n(&from[i + 1], __ATOMIC_ACQUIRE);
			uint64_t low = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);

			memcpy(to, &low, 8);
			memcpy(to + 8, &high, 8);
		}
	} else if (len == 8 && !(at & 7)) {
		uint64_t v =
			__atomic_load_n((const uint64_t *)(const void *)host, __ATOMIC_ACQUIRE);

		memcpy(dst, &v, 8);
	} else {
		memcpy(dst, host, len);
	}
}

void mem_store(uint8_t *host, const void *src, uint64_t len)
{
	uintptr_t at = (uintptr_t)host;

	if (len == 2 && !(at & 1)) {
		uint16_t v;

		memcpy(&v, src, 2);
		__atomic_store_n((uint16_t *)(void *)host, v, __ATOMIC_RELEASE);
	} else if (len == 4 && !(at & 3)) {
		uint32_t v;

		memcpy(&v, src, 4);
		__atomic_store_n((uint32_t *)(void *)host, v, __ATOMIC_RELEASE);
	} else if (len == 8 && !(at & 7)) {
		uint64_t v;

		memcpy(&v, src, 8);
		__atomic_store_n((uint64_t *)(void *)host, v, __ATOMIC_RELEASE);
	} else {
		__atomic_thread_fence(__ATOMIC_RELEASE);
		memcpy(host, src, len);
	}
}
