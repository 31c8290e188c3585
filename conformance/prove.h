/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The proof of the suite: every check against seeded defects, every defect against the checks
 *
 * How it works. First the clean NIC: every check has to pass or be skipped on every stand, a stand
 * being a profile on one of its fabrics. Then each defect meets the checks that name one of the
 * requirements it breaks, on every stand where it shows, until one of them kills it; only if none
 * does, the other checks get their turn, and such a kill is marked as one for another reason. Then
 * each check that has killed nothing yet meets the defects, the likely ones first, until it has. So
 * a defect that nobody sees, and a check that nothing can fail, come out without the whole matrix
 * (which --matrix runs).
 */
#ifndef VC_PROVE_H
#define VC_PROVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checks.h"
#include "probe.h"

/** struct stand - one address that the suite is proven on */
struct stand {
	char *address;
	char *profile;
	struct probe probe;
};

/**
 * struct kill - a check that failed on a NIC with a defect
 * @named: it names a requirement that the defect breaks
 */
struct kill {
	size_t check, stand;
	bool named;
	char *diagnosis;
};

struct proved_defect {
	const struct parent_defect *defect;
	struct kill *kills;
	size_t n;
	bool named; /* one of the kills is for the stated reason */
	bool shows; /* some stand has the personality that it is for */
};

/** struct complaint - the clean NIC did not pass */
struct complaint {
	size_t check, stand;
	char *diagnosis;
};

struct proof {
	uint64_t seed;
	unsigned int jobs, timeout_ms;
	bool matrix;
	struct check_list checks;
	struct stand *stands;
	size_t stands_n;
	struct proved_defect *defects;
	size_t defects_n;
	bool *ran;   /* per check: it ran on the clean NIC */
	bool *kills; /* per check: it killed a defect */
	struct complaint *complaints;
	size_t complaints_n;
	size_t runs; /* processes */
};

/** prove_all() - fill in the proof; 0, -EINTR, or another negative errno: no process can be started
 */
int prove_all(struct proof *proof,
	      void (*tick)(void *ctx, const char *what, size_t done, size_t all), void *ctx);

void prove_human(const struct proof *proof);
void prove_json(const struct proof *proof);
void prove_html(const struct proof *proof);

/** check_names() - does @check name one of the ids of @requirements (separated by blanks)? */
bool check_names(const struct check *check, const char *requirements);

#endif
