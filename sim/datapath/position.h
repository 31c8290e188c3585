/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a queue stands
 *
 * The device owns the position, the datapath moves it. Of a split queue `avail` is the free-running
 * index of the next available entry that the device will take, `used` the free-running index of the
 * used ring. Of a packed queue both are offsets into the ring with a wrap counter each.
 */
#ifndef VN_POSITION_H
#define VN_POSITION_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct vq_pos - see the head of this file
 * @used_from_ring: split only: the used index is not known and is taken from the used ring in
 *                  memory when the queue starts (a base of the available index alone was restored)
 */
struct vq_pos {
	uint16_t avail;
	uint16_t used;
	bool avail_wrap;
	bool used_wrap;
	bool used_from_ring;
};

#endif
