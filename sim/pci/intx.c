/* SPDX-License-Identifier: BSD-3-Clause */
#include "intx.h"

static void update(struct intx *intx)
{
	bool tell = intx->source && !intx->disabled && !intx->masked;

	if (tell && !intx->told)
		irqfd_fire(&intx->listener);
	intx->told = tell;
}

void intx_set_source(struct intx *intx, bool source)
{
	intx->source = source;
	update(intx);
}

void intx_set_disabled(struct intx *intx, bool disabled)
{
	intx->disabled = disabled;
	update(intx);
}

void intx_set_masked(struct intx *intx, bool masked)
{
	intx->masked = masked;
	update(intx);
}

void intx_tell_again(struct intx *intx)
{
	intx->told = false;
	update(intx);
}
