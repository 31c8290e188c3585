/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "check.h"
#include "version.h"

extern const struct check *const __start_vc_checks[] __attribute__((weak));
extern const struct check *const __stop_vc_checks[] __attribute__((weak));

int main(void)
{
	printf("vqcert %s: %td checks\n", VC_REVISION, __stop_vc_checks - __start_vc_checks);
	return 2;
}
