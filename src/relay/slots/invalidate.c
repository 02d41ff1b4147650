/*-------------------------------------------------------------------------
 *
 * invalidate.c
 *	  Makes relay slots lost when WAL that they need is to be removed.
 *
 * This runs in the keeper, before it removes WAL, and in the receiver, before
 * a new range begins.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <signal.h>

#include "relay/relay.h"
#include "relay/slots/shared.h"
#include "replication/slot.h"
#include "waitevent.h"

/* A position that is larger than any slot's. */
#define EVERYTHING			PG_UINT64_MAX

/*
 * Mark the slot, which we own, as lost and release it: it needs WAL from lsn
 * on that is being removed.  If the file cannot be written, the keeper finds
 * the same again after a restart.  For a new range it would not, so the range
 * must not begin then.  kept_lsn is as in invalidate_slot().
 */
static void
mark_lost(const WsStore *store, WsSlot *slot, XLogRecPtr lsn, XLogRecPtr kept_lsn)
{
	WsSlotFile	file;

	ws_slot_fill_file(slot, ws_feedback_nothing, &file);
	file.lost = true;

	if (!slot->temporary)
		(void) ws_slot_file_write(store, &file,
								  kept_lsn == EVERYTHING ? ERROR : LOG);

	SpinLockAcquire(&slot->mutex);
	slot->lost = true;
	slot->feedback = ws_feedback_nothing;
	SpinLockRelease(&slot->mutex);
	ws_slot_set_active(slot, 0);

	ereport(LOG,
			(errmsg("relay slot \"%s\" is lost", file.name),
			 kept_lsn == EVERYTHING ?
			 errdetail("It needs WAL from " WS_LSN " on, and the relay begins anew.",
					   LSN_FORMAT_ARGS(lsn)) :
			 errdetail("It needs WAL from " WS_LSN " on, and the relay keeps WAL from " WS_LSN " on.",
					   LSN_FORMAT_ARGS(lsn), LSN_FORMAT_ARGS(kept_lsn)),
			 errhint("Drop the slot and create it again. The downstream needs WAL from an archive, or a new base backup. Slots may hold \"walstream.relay_max_slot_keep_size\" of WAL.")));
	ws_relay_note_feedback();
}

/*
 * Returns true if the owner is the receiver or the keeper, which own a slot
 * only while they invalidate it.
 */
static bool
is_relay_worker(pid_t pid)
{
	WsRelayStatus status;

	ws_relay_get_status(&status);
	return pid == status.receiver_pid || pid == status.keeper_pid;
}

/*
 * Invalidate one slot if it needs WAL before kept_lsn.  This terminates the
 * slot's user, if any, and waits for it to end; a new user cannot acquire the
 * slot, since the floor is above its position.
 */
static void
invalidate_slot(const WsStore *store, WsSlot *slot, const WsHistory *history,
				XLogRecPtr kept_lsn)
{
	pid_t		signalled_pid = 0;

	for (;;)
	{
		XLogRecPtr	lsn;
		pid_t		active_pid;
		bool		claimed;

		ConditionVariablePrepareToSleep(&slot->active_cv);
		LWLockAcquire(&ws_slots->lock, LW_SHARED);
		lsn = ws_slot_needed_before(slot, history, kept_lsn);
		SpinLockAcquire(&slot->mutex);
		active_pid = slot->active_pid;
		claimed = !XLogRecPtrIsInvalid(lsn) && active_pid == 0;
		if (claimed)
			slot->active_pid = MyProcPid;
		SpinLockRelease(&slot->mutex);

		/* its last owner may have changed it before that */
		if (claimed)
			lsn = ws_slot_needed_before(slot, history, kept_lsn);
		LWLockRelease(&ws_slots->lock);

		if (claimed || XLogRecPtrIsInvalid(lsn))
		{
			ConditionVariableCancelSleep();
			if (!XLogRecPtrIsInvalid(lsn))
				mark_lost(store, slot, lsn, kept_lsn);
			else if (claimed)
				ws_slot_set_active(slot, 0);
			return;
		}

		if (signalled_pid != active_pid && !is_relay_worker(active_pid))
		{
			ereport(LOG,
					(errmsg("terminating process %d to release relay slot \"%s\"",
							(int) active_pid, slot->name)));
			(void) kill(active_pid, SIGTERM);
			signalled_pid = active_pid;
		}
		ConditionVariableSleep(&slot->active_cv, ws_waitevent(WS_WAIT_RELAY_SLOT));
	}
}

void
ws_slots_invalidate_before(const WsStore *store, const WsHistory *history,
						   XLogRecPtr lsn)
{
	LWLockAcquire(&ws_slots->lock, LW_EXCLUSIVE);
	ws_slots->floor_lsn = Max(ws_slots->floor_lsn, lsn);
	LWLockRelease(&ws_slots->lock);

	ws_slot_prepare_exit();
	for (int i = 0; i < max_replication_slots; i++)
		invalidate_slot(store, &ws_slots->slots[i], history, lsn);
}

void
ws_slots_invalidate_all(const WsStore *store)
{
	ws_slots_invalidate_before(store, NULL, EVERYTHING);
}
