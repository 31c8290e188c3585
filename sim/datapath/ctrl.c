/* SPDX-License-Identifier: BSD-3-Clause */
#include "net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../fabric/dirty_log.h"

#define COMMAND_MAX 65536u /* a MAC table of ten thousand entries */

struct ctrl {
	struct net_io *io;
	struct chain *c; /* one command at a time: they take effect in order */
	struct fab_op op;
	struct dp_queue *q;
	uint8_t *buf;
	bool read;
};

static void command_read(struct dp_queue *q, struct ctrl *ctrl)
{
	struct chain *c = ctrl->c;
	struct fab_sg sg = {0, 1};
	uint8_t ack;

	if (defect_on(q->defects, DEFECT_CTRL_WAITS_FOR_DATA) && c->out_len == 2 &&
	    ctrl->buf[0] != VN_CTRL_ANNOUNCE) {
		ctrl->c = NULL;
		return;
	}
	if (defect_on(q->defects, DEFECT_CTRL_TWO_PIECES) && c->nout > 2) {
		uint32_t two = chain_out(c)[0].len + chain_out(c)[1].len;

		memset(ctrl->buf + two, 0, c->out_len - two);
	}
	ack = ctrl->io->command(ctrl->io->ctx, ctrl->buf, (uint32_t)c->out_len);
	if (defect_on(q->defects, DEFECT_CTRL_NO_ACK))
		goto out;
	for (uint32_t i = 0; i < c->nin; i++) {
		if (!chain_in(c)[i].len)
			continue;
		sg.iova = chain_in(c)[i].iova;
		if (dp_issued(q,
			      fab_write(q->fab, q->space, &sg, 1, &ack, NULL) < 0 ? -EFAULT : 1) &&
		    dirty_log_active(ctrl->io->log) &&
		    !defect_on(q->defects, DEFECT_LOG_SKIPS_CONTROL) &&
		    dirty_log_mark(ctrl->io->log, sg.iova, 1) < 0)
			dp_break(q, "the dirty log lies in memory that is not mapped");
		break;
	}
out:
	ctrl->c = NULL;
	if (dp_alive(q))
		dp_complete(q, c, 1);
}

static void read_done(struct fab_op *op, int status)
{
	struct ctrl *ctrl = container_of(op, struct ctrl, op);

	if (!dp_done(ctrl->q, status))
		return;
	ctrl->read = true;
	dp_schedule(ctrl->q);
}

static bool ctrl_work(struct dp_queue *q, unsigned int budget)
{
	struct ctrl *ctrl = q->role_ctx;
	bool progress = false;

	(void)budget;
	ctrl->q = q; /* the role moves between queues, see net.c */
	while (dp_alive(q)) {
		if (ctrl->c) {
			if (!ctrl->read)
				break;
			command_read(q, ctrl);
			progress = true;
			continue;
		}
		ctrl->c = dp_take(q);
		if (!ctrl->c)
			break;
		progress = true;
		if (!ctrl->c->in_len) {
			dp_break(q, "a control command without room for its acknowledgement");
			break;
		}
		if (ctrl->c->out_len > COMMAND_MAX) {
			dp_break(q, "a control command longer than 64 KiB");
			break;
		}
		ctrl->read = !ctrl->c->out_len;
		if (!ctrl->read) {
			ctrl->op.done = read_done;
			ctrl->read = dp_issued(q, fab_read(q->fab, q->space, chain_out(ctrl->c),
							   ctrl->c->nout, ctrl->buf, &ctrl->op));
		}
	}
	return progress;
}

static bool ctrl_wants_kick(const struct dp_queue *q)
{
	(void)q;
	return true;
}

static void ctrl_quiesce(struct dp_queue *q)
{
	(void)q;
}

static unsigned int ctrl_inflight(const struct dp_queue *q)
{
	return ((const struct ctrl *)q->role_ctx)->c ? 1 : 0;
}

static void ctrl_kill(struct dp_queue *q)
{
	struct ctrl *ctrl = q->role_ctx;

	ctrl->c = NULL;
}

static void ctrl_fini(struct dp_queue *q)
{
	struct ctrl *ctrl = q->role_ctx;

	free(ctrl->buf);
	free(ctrl);
}

const struct dp_role net_role_ctrl = {
	.name = "control",
	.work = ctrl_work,
	.wants_kick = ctrl_wants_kick,
	.quiesce = ctrl_quiesce,
	.inflight = ctrl_inflight,
	.kill = ctrl_kill,
	.fini = ctrl_fini,
};

int net_ctrl_init(struct dp_queue *q, struct net_io *io)
{
	struct ctrl *ctrl = calloc(1, sizeof(*ctrl));

	if (!ctrl)
		return -ENOMEM;
	ctrl->buf = malloc(COMMAND_MAX);
	if (!ctrl->buf) {
		free(ctrl);
		return -ENOMEM;
	}
	ctrl->io = io;
	q->role = &net_role_ctrl;
	q->role_ctx = ctrl;
	return 0;
}
