/* SPDX-License-Identifier: BSD-3-Clause */
/* Small helpers of the NIC: little-endian fields, random numbers, container_of */
#ifndef VN_UTIL_H
#define VN_UTIL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define likely(x)			__builtin_expect(!!(x), 1)
#define unlikely(x)			__builtin_expect(!!(x), 0)

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "virtio is little-endian and so, for now, is every host that vqnic was tried on"
#endif

/** neg_errno() - errno as a return value: never 0, whatever a library forgot to set */
static inline int neg_errno(void)
{
	return errno > 0 ? -errno : -EIO;
}

/** struct rng - splitmix64; enough to spread delays, the same on every machine */
struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/** rng_below() - uniform enough in [0, @n); @n > 0 */
static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
	return rng_next(rng) % n;
}

#endif
