/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user: interrupts
 *
 * How it works. SET_IRQS combines one kind of data (none, a byte or an eventfd for each interrupt)
 * with one action (mask, unmask, trigger) over a range of an interrupt index. Eventfds with the
 * action "trigger" say where vectors signal; without descriptors they take the assignment away.
 * Data "none" with an empty range ends the whole index. Everything is checked before anything is
 * done, and what fails half way is taken back.
 */
#include <errno.h>
#include <string.h>

#include "vfio_user_conn.h"

int vu_get_irq_info(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	struct vu_irq_info info;
	uint8_t *out;
	int count;

	if (msg->len != sizeof(info))
		return -EINVAL;
	memcpy(&info, msg->payload, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= VQNIC_IRQS)
		return -EINVAL;
	count = vqnic_irq_count(conn->nic, conn->fn, info.index);
	if (count < 0)
		return count;
	info.argsz = sizeof(info);
	info.count = (uint32_t)count;
	/* Vectors can be added one by one, so no NORESIZE. */
	info.flags = VU_IRQ_INFO_EVENTFD;
	if (info.index == VQNIC_IRQ_INTX)
		info.flags |= VU_IRQ_INFO_MASKABLE | VU_IRQ_INFO_AUTOMASKED;
	out = vu_reply_room(conn, reply, sizeof(info));
	if (!out)
		return -ENOMEM;
	memcpy(out, &info, sizeof(info));
	return 0;
}

static int set_eventfds(struct vu_conn *conn, const struct vu_irq_set *set, struct vu_msg *msg)
{
	int err;

	if (msg->fds && msg->fds != set->count) {
		vu_say(conn, "SET_IRQS for %u vectors came with %u descriptors; refused",
		       set->count, msg->fds);
		return -EINVAL;
	}
	for (uint32_t i = 0; i < set->count; i++) {
		err = vqnic_irq_set_eventfd(conn->nic, conn->fn, set->index, set->start + i,
					    msg->fds ? msg->fd[i] : -1);
		if (!err)
			continue;
		while (i--)
			vqnic_irq_set_eventfd(conn->nic, conn->fn, set->index, set->start + i, -1);
		return err;
	}
	return 0;
}

static int disable_index(struct vu_conn *conn, uint32_t index, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		int err = vqnic_irq_set_eventfd(conn->nic, conn->fn, index, i, -1);

		if (err)
			return err;
	}
	return 0;
}

static int act(struct vu_conn *conn, const struct vu_irq_set *set, const uint8_t *wanted)
{
	for (uint32_t i = 0; i < set->count; i++) {
		uint32_t vector = set->start + i;
		int err;

		if (wanted && !wanted[i])
			continue;
		if (set->flags & VU_IRQ_ACTION_TRIGGER)
			err = vqnic_irq_trigger(conn->nic, conn->fn, set->index, vector);
		else
			err = vqnic_irq_mask(conn->nic, conn->fn, set->index, vector,
					     set->flags & VU_IRQ_ACTION_MASK);
		if (err)
			return err;
	}
	return 0;
}

static bool one_bit(uint32_t bits)
{
	return bits && !(bits & (bits - 1));
}

int vu_set_irqs(struct vu_conn *conn, struct vu_msg *msg, struct vu_reply *reply)
{
	struct vu_irq_set set;
	uint32_t data, action;
	int count;

	(void)reply;
	if (msg->len < sizeof(set))
		return -EINVAL;
	memcpy(&set, msg->payload, sizeof(set));
	data = set.flags & VU_IRQ_DATA_MASK;
	action = set.flags & VU_IRQ_ACTIONS;
	if (set.argsz < sizeof(set) || set.index >= VQNIC_IRQS || !one_bit(data) ||
	    !one_bit(action) || set.flags & ~(VU_IRQ_DATA_MASK | VU_IRQ_ACTIONS))
		return -EINVAL;
	if (msg->fds && data != VU_IRQ_DATA_EVENTFD)
		return -EINVAL;
	if (data == VU_IRQ_DATA_BOOL && msg->len - sizeof(set) != set.count)
		return -EINVAL;
	count = vqnic_irq_count(conn->nic, conn->fn, set.index);
	if (count < 0)
		return count;
	if (set.start > (uint32_t)count || set.count > (uint32_t)count - set.start)
		return -EINVAL;

	if (!set.count) {
		if (data != VU_IRQ_DATA_NONE || action != VU_IRQ_ACTION_TRIGGER || set.start)
			return -EINVAL;
		return disable_index(conn, set.index, (uint32_t)count);
	}
	if (action != VU_IRQ_ACTION_TRIGGER && set.index != VQNIC_IRQ_INTX)
		return -EINVAL; /* only INTx says that it can be masked */
	if (data == VU_IRQ_DATA_EVENTFD) {
		/* An eventfd that masks or unmasks serves KVM; QEMU does without it. */
		if (action != VU_IRQ_ACTION_TRIGGER)
			return -EOPNOTSUPP;
		return set_eventfds(conn, &set, msg);
	}
	return act(conn, &set, data == VU_IRQ_DATA_BOOL ? msg->payload + sizeof(set) : NULL);
}
