/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver model for `vqnic bench`: one queue pair, as lean as rings allow
 *
 * How it works. It stands where a guest's driver stands: everything goes through vqnic.h, registers
 * through the regions and rings through memory that is mapped twice, here and in the NIC. It polls,
 * as DPDK does, and asks for no interrupts. Each ring slot's buffer has its place for good, so that
 * posting one costs what the ring costs and no more.
 */
#ifndef VN_BENCH_DRIVER_H
#define VN_BENCH_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "vqnic.h"

/**
 * struct bench_params - what to negotiate and set up
 * @frame_bytes: of the frames to be sent, without FCS
 */
struct bench_params {
	bool packed;
	uint16_t queue_size;
	uint32_t frame_bytes;
};

struct bench_driver;

/**
 * bench_driver_open() - reset the function, negotiate, start receive queue 0 and transmit queue 1
 * @nic: borrowed, outlives the driver
 *
 * Return: 0; -EOPNOTSUPP the NIC does not offer what @params want; another negative errno; each
 * with a sentence in @err.
 */
int bench_driver_open(struct vqnic *nic, const struct bench_params *params,
		      struct bench_driver **driver, struct vqnic_error *err);

/** bench_driver_close() - reset the function and take its memory away */
void bench_driver_close(struct bench_driver *driver);

/** bench_frame() - the frame that is sent, to itself, so that no filter drops it */
struct vqnic_frame bench_frame(const struct bench_driver *driver);

/** bench_send() - offer up to @n frames and ring the doorbell if asked to; Return: how many */
unsigned int bench_send(struct bench_driver *driver, unsigned int n);

/** bench_reap_sent() - Return: transmit buffers that came back; -EPROTO used what was not offered
 */
int bench_reap_sent(struct bench_driver *driver);

/**
 * bench_reap_received() - take frames in and offer their buffers again
 *
 * Return: frames; -EPROTO a buffer that was not offered, or not the frame that was sent.
 */
int bench_reap_received(struct bench_driver *driver);

#endif
