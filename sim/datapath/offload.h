/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Offloads: finishing in software what a frame's metadata leave to be done
 */
#ifndef VN_OFFLOAD_H
#define VN_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "port.h"

/**
 * struct offload_frame - where the parts of a frame that can be segmented lie; offsets into the
 * frame
 * @l3, @l4: IP header, TCP or UDP header
 * @payload: first byte behind the TCP or UDP header
 * @end:     end of the IP datagram; what is behind is Ethernet padding
 */
struct offload_frame {
	uint32_t l3;
	uint32_t l4;
	uint32_t payload;
	uint32_t end;
	bool ipv6;
	bool udp;
};

typedef int (*offload_emit_fn)(void *ctx, const struct vqnic_frame *frame);

/**
 * offload_check() - do the metadata fit the frame?
 * @parsed: filled for a GSO frame; may be NULL
 *
 * Metadata come from a driver or a peer and may claim anything: a checksum that lies beyond the
 * frame, a segment size of 0, TCPv6 in front of an ARP. hdr_len is a hint only (VIRTIO 1.4,
 * 5.1.6.2.2) and never looked at.
 *
 * Return: 0; -EINVAL they do not fit.
 */
int offload_check(const struct vqnic_frame *frame, struct offload_frame *parsed);

/**
 * offload_excess() - does a checked frame ask for more than @allowed (PORT_RX_*)?
 * @parsed: from offload_check()
 */
bool offload_excess(const struct vqnic_frame *frame, const struct offload_frame *parsed,
		    unsigned int allowed);

/**
 * offload_finish() - finish a checked frame: compute its checksum, or cut it into segments
 * @scratch: FRAME_MAX bytes that are overwritten
 * @emit: gets each finished frame, whose data it has to copy; a failure does not stop the others
 *
 * Return: 0; the first failure of @emit.
 */
int offload_finish(const struct vqnic_frame *frame, const struct offload_frame *parsed,
		   uint8_t *scratch, offload_emit_fn emit, void *ctx);

/**
 * offload_sum() - ones' complement sum, as RFC 1071 has it: folded to 16 bits, not complemented, in
 * network order when stored as it is
 */
uint16_t offload_sum(const void *data, uint32_t len, uint32_t start);

/** offload_csum() - finish a checksum in place: sum [@start, @len) of @data into @start + @offset
 */
void offload_csum(uint8_t *data, uint32_t len, uint16_t start, uint16_t offset);

#endif
