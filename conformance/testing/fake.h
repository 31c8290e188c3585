/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VC_TESTING_FAKE_H
#define VC_TESTING_FAKE_H

#include "check.h"

/** fake_defect() - name of the defect that is switched on in this process, or "" */
const char *fake_defect(void);

#endif
