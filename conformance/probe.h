/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the runner knows of a parent before it runs a check on it
 */
#ifndef VC_PROBE_H
#define VC_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "check.h"

/** struct probe - gathered once, by a process of its own; fits into a frame */
struct probe {
	struct parent_info info;
	uint32_t caps;
	enum peer_kind peer;
	uint64_t features;
	char settle[160];
};

/** probe_in_process() - does the parent's own code run in the check's process? */
static inline bool probe_in_process(const struct probe *probe)
{
	return probe->caps & CAP_EXACT_SETTLE;
}

/** probe_simulated() - is it a simulator in this process, which nothing can damage? */
bool probe_simulated(const struct probe *probe);

/** cap_name() - name of the CAP_* bit number @bit, as reports and `list` give it; NULL beyond */
const char *cap_name(unsigned int bit);

/** feature_name() - "VIRTIO_F_VERSION_1", …; "bit N" in @buf for those without a name */
const char *feature_name(unsigned int bit, char buf[16]);

/**
 * check_inapplicable() - can this check not run on this parent?
 * @destructive: the user opted in to destructive checks
 *
 * Return: NULL if it can run; else the reason, owned by the caller, with its kind in @kind.
 */
char *check_inapplicable(const struct check *check, const struct probe *probe, bool destructive,
			 enum skip_kind *kind);

#endif
