/*-------------------------------------------------------------------------
 *
 * shared.c
 *	  Relay slots in shared memory.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/slots/shared.h"
#include "replication/slot.h"
#include "shmem.h"
#include "storage/shmem.h"

#define TRANCHE_NAME "walstream_relay_slots"

WsSlots    *ws_slots = NULL;

static Size
shmem_size(void)
{
	return add_size(offsetof(WsSlots, slots),
					mul_size(max_replication_slots, sizeof(WsSlot)));
}

static void
shmem_init(void)
{
	bool		found;

	ws_slots = ShmemInitStruct("walstream relay slots", shmem_size(), &found);
	if (found)
		return;

	memset(ws_slots, 0, shmem_size());
	LWLockInitialize(&ws_slots->lock, ws_lwlock_new_tranche(TRANCHE_NAME));
	for (int i = 0; i < max_replication_slots; i++)
	{
		SpinLockInit(&ws_slots->slots[i].mutex);
		ConditionVariableInit(&ws_slots->slots[i].active_cv);
	}
}

void
ws_slots_init(void)
{
	ws_shmem_add(shmem_size, shmem_init);
}

/* Called by the owner, or for a slot without owner with the lock held. */
void
ws_slot_set_active(WsSlot *slot, pid_t pid)
{
	SpinLockAcquire(&slot->mutex);
	slot->active_pid = pid;
	SpinLockRelease(&slot->mutex);
	if (pid == 0)
		ConditionVariableBroadcast(&slot->active_cv);
}
