/*-------------------------------------------------------------------------
 *
 * slots_hold.c
 *	  What relay slots hold back: WAL here, rows on the primary.
 *
 * Holding more takes effect at once and is then written; holding less is
 * written first.  So the keeper, and the feedback to the upstream, never go
 * by something that a crash would take back.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <signal.h>

#include "relay.h"
#include "replication/slot.h"
#include "slots_shared.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* How long after the last write the next one comes. */
#define USUAL_PAUSE_MS		1000
#define SEGMENT_PAUSE_MS	100 /* if the keeper could remove something */

/*
 * Of the slot that this process has acquired: what its downstream said last,
 * and when the file was written, or that it could not be.
 */
static WsFeedback wanted_feedback;
static TimestampTz last_write_time;
static bool write_failed;

void
ws_slot_begin_holding(void)
{
	wanted_feedback = ws_slot_mine()->feedback;
	last_write_time = 0;
	write_failed = false;
}

static XLogSegNo
segment_of(const WsStore *store, XLogRecPtr lsn)
{
	return lsn / store->identity.segment_size;
}

static void
fill_file(const WsSlot *slot, WsFeedback feedback, WsSlotFile *file)
{
	memset(file, 0, sizeof(*file));
	strlcpy(file->name, slot->name, NAMEDATALEN);
	file->restart_tli = slot->restart_tli;
	file->restart_lsn = slot->restart_lsn;
	file->xmin = U64FromFullTransactionId(feedback.xmin);
	file->catalog_xmin = U64FromFullTransactionId(feedback.catalog_xmin);
	file->lost = slot->lost;
}

/*
 * Make durable what the downstream wants, and let it take effect.
 */
static void
save_mine(const WsStore *store)
{
	WsSlot	   *slot = ws_slot_mine();
	XLogRecPtr	before_lsn = slot->held_lsn;
	WsFeedback	before = slot->feedback;

	if (!slot->temporary)
	{
		WsSlotFile	file;

		last_write_time = GetCurrentTimestamp();
		fill_file(slot, wanted_feedback, &file);

		/* repeated every second, it would tell nothing new */
		if (!ws_slot_file_write(store, &file, write_failed ? DEBUG1 : LOG))
		{
			write_failed = true;
			return;
		}
		write_failed = false;
	}

	SpinLockAcquire(&slot->mutex);
	slot->held_lsn = slot->restart_lsn;
	slot->feedback = wanted_feedback;
	SpinLockRelease(&slot->mutex);

	if (segment_of(store, before_lsn) != segment_of(store, slot->held_lsn))
		ws_relay_wake_keeper();
	if (!ws_feedback_equals(before, slot->feedback))
		ws_relay_wake_receiver();
}

/* Save if there is something to save and the last time is long enough ago. */
static void
save_mine_sometimes(const WsStore *store)
{
	WsSlot	   *slot = ws_slot_mine();
	bool		frees_segment;

	if (slot->held_lsn == slot->restart_lsn &&
		ws_feedback_equals(slot->feedback, wanted_feedback))
		return;

	frees_segment = !write_failed &&
		segment_of(store, slot->held_lsn) != segment_of(store, slot->restart_lsn);
	if (slot->temporary ||
		TimestampDifferenceExceeds(last_write_time, GetCurrentTimestamp(),
								   frees_segment ? SEGMENT_PAUSE_MS : USUAL_PAUSE_MS))
		save_mine(store);
}

void
ws_slot_end_holding(void)
{
	WsSlot	   *slot = ws_slot_mine();
	WsStore		store;

	if (slot->held_lsn == slot->restart_lsn &&
		ws_feedback_equals(slot->feedback, wanted_feedback))
		return;
	if (ws_relay_get_store(&store))
		save_mine(&store);
}

/*
 * Let our slot hold WAL that it did not hold before.  False if that may have
 * been removed.
 */
static bool
hold_more(WsSlot *slot, TimeLineID tli, XLogRecPtr lsn)
{
	WsSlots    *slots = ws_slots_shared();
	bool		possible;

	LWLockAcquire(&slots->lock, LW_EXCLUSIVE);
	possible = lsn >= slots->floor_lsn;
	if (possible)
	{
		SpinLockAcquire(&slot->mutex);
		slot->restart_tli = tli;
		slot->restart_lsn = lsn;
		slot->held_lsn = lsn;
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(&slots->lock);
	return possible;
}

void
ws_slot_advance(const WsStore *store, TimeLineID tli, XLogRecPtr lsn)
{
	WsSlot	   *slot = ws_slot_mine();
	TimeLineID	flushed_tli;
	XLogRecPtr	flushed_lsn;

	Assert(slot != NULL);

	/* a downstream that claims more than there is must not let go of that */
	if (ws_relay_get_position(&flushed_tli, &flushed_lsn))
		lsn = Min(lsn, flushed_lsn);
	if (XLogRecPtrIsInvalid(lsn))
		return;

	if (XLogRecPtrIsInvalid(slot->held_lsn) || lsn < slot->held_lsn)
	{
		if (hold_more(slot, tli, lsn))
			save_mine(store);
		return;
	}

	if (slot->restart_lsn != lsn || slot->restart_tli != tli)
	{
		SpinLockAcquire(&slot->mutex);
		slot->restart_tli = tli;
		slot->restart_lsn = lsn;
		SpinLockRelease(&slot->mutex);
	}
	save_mine_sometimes(store);
}

void
ws_slot_set_feedback(const WsStore *store, WsFeedback feedback)
{
	WsSlot	   *slot = ws_slot_mine();
	WsFeedback	at_once;

	Assert(slot != NULL);
	wanted_feedback = ws_feedback_normalize(feedback);
	at_once = ws_feedback_older(slot->feedback, wanted_feedback);
	if (ws_feedback_equals(slot->feedback, at_once))
	{
		save_mine_sometimes(store);
		return;
	}

	SpinLockAcquire(&slot->mutex);
	slot->feedback = at_once;
	SpinLockRelease(&slot->mutex);
	ws_relay_wake_receiver();
	save_mine(store);
}

/*----------------------------------------------------------------
 * What all slots hold
 *----------------------------------------------------------------
 */

WsFeedback
ws_slots_feedback(int *count)
{
	WsSlots    *slots = ws_slots_shared();
	WsFeedback	oldest = {InvalidFullTransactionId, InvalidFullTransactionId};

	*count = 0;
	LWLockAcquire(&slots->lock, LW_SHARED);
	for (int i = 0; i < max_replication_slots; i++)
	{
		WsSlot	   *slot = &slots->slots[i];
		WsFeedback	feedback;

		if (!slot->in_use)
			continue;
		SpinLockAcquire(&slot->mutex);
		feedback = slot->feedback;
		SpinLockRelease(&slot->mutex);
		oldest = ws_feedback_older(oldest, feedback);
		(*count)++;
	}
	LWLockRelease(&slots->lock);
	return oldest;
}

/* With the lock held. */
static XLogRecPtr
find_oldest_lsn(WsSlots *slots)
{
	XLogRecPtr	oldest = InvalidXLogRecPtr;

	for (int i = 0; i < max_replication_slots; i++)
	{
		WsSlot	   *slot = &slots->slots[i];
		XLogRecPtr	held_lsn;
		bool		lost;

		if (!slot->in_use)
			continue;
		SpinLockAcquire(&slot->mutex);
		held_lsn = slot->held_lsn;
		lost = slot->lost;
		SpinLockRelease(&slot->mutex);

		if (!lost && !XLogRecPtrIsInvalid(held_lsn) &&
			(XLogRecPtrIsInvalid(oldest) || held_lsn < oldest))
			oldest = held_lsn;
	}
	return oldest;
}

XLogRecPtr
ws_slots_oldest_lsn(void)
{
	WsSlots    *slots = ws_slots_shared();
	XLogRecPtr	oldest;

	LWLockAcquire(&slots->lock, LW_SHARED);
	oldest = find_oldest_lsn(slots);
	LWLockRelease(&slots->lock);
	return oldest;
}

XLogRecPtr
ws_slots_allow_removal(const WsStore *store, XLogRecPtr wanted_lsn)
{
	WsSlots    *slots = ws_slots_shared();
	XLogRecPtr	oldest;
	XLogRecPtr	allowed = wanted_lsn;

	LWLockAcquire(&slots->lock, LW_EXCLUSIVE);
	if (slots->loaded)
	{
		oldest = find_oldest_lsn(slots);
		if (!XLogRecPtrIsInvalid(oldest) && oldest < allowed)
			allowed = oldest;
	}
	else
		allowed = InvalidXLogRecPtr;
	allowed -= allowed % store->identity.segment_size;
	slots->floor_lsn = Max(slots->floor_lsn, allowed);
	LWLockRelease(&slots->lock);
	return allowed;
}

/*
 * We own the slot, which needs WAL that goes: write that down and give it back.
 * If it cannot be written, the keeper finds the same again after a restart.
 */
static void
mark_lost(const WsStore *store, WsSlot *slot, XLogRecPtr lsn)
{
	WsFeedback	nothing = {InvalidFullTransactionId, InvalidFullTransactionId};
	XLogRecPtr	held_lsn = slot->held_lsn;
	WsSlotFile	file;

	fill_file(slot, nothing, &file);
	file.lost = true;

	SpinLockAcquire(&slot->mutex);
	slot->lost = true;
	slot->feedback = nothing;
	SpinLockRelease(&slot->mutex);

	if (!slot->temporary)
		(void) ws_slot_file_write(store, &file, LOG);
	ws_slot_set_active(slot, 0);

	ereport(LOG,
			(errmsg("relay slot \"%s\" is lost", file.name),
			 errdetail("It needs WAL from %X/%X on, and the relay keeps WAL from %X/%X on.",
					   LSN_FORMAT_ARGS(held_lsn), LSN_FORMAT_ARGS(lsn)),
			 errhint("Drop the slot and create it again. The downstream needs WAL from an archive, or a new base backup. Slots may hold \"walstream.relay_max_slot_keep_size\" of WAL.")));
	ws_relay_wake_receiver();
}

/* The receiver and the keeper own a slot only while they invalidate it. */
static bool
is_relay_worker(pid_t pid)
{
	WsRelayStatus status;

	ws_relay_get_status(&status);
	return pid == status.receiver_pid || pid == status.keeper_pid;
}

/*
 * Deal with one slot.  Its user, if it has one, is ended and waited for; a new
 * one cannot come, since it would find the floor above the slot.
 */
static void
invalidate_slot(const WsStore *store, WsSlot *slot, XLogRecPtr lsn)
{
	WsSlots    *slots = ws_slots_shared();
	pid_t		signalled_pid = 0;

	for (;;)
	{
		bool		needs_it;
		pid_t		active_pid;

		ConditionVariablePrepareToSleep(&slot->active_cv);
		LWLockAcquire(&slots->lock, LW_SHARED);
		SpinLockAcquire(&slot->mutex);
		needs_it = slot->in_use && !slot->lost &&
			!XLogRecPtrIsInvalid(slot->held_lsn) && slot->held_lsn < lsn;
		active_pid = slot->active_pid;
		if (needs_it && active_pid == 0)
			slot->active_pid = MyProcPid;
		SpinLockRelease(&slot->mutex);
		LWLockRelease(&slots->lock);

		if (!needs_it || active_pid == 0)
		{
			ConditionVariableCancelSleep();
			if (needs_it)
				mark_lost(store, slot, lsn);
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
		ConditionVariableSleep(&slot->active_cv, PG_WAIT_EXTENSION);
	}
}

void
ws_slots_invalidate_before(const WsStore *store, XLogRecPtr lsn)
{
	WsSlots    *slots = ws_slots_shared();

	LWLockAcquire(&slots->lock, LW_EXCLUSIVE);
	slots->floor_lsn = Max(slots->floor_lsn, lsn);
	LWLockRelease(&slots->lock);

	ws_slot_prepare_exit();
	for (int i = 0; i < max_replication_slots; i++)
		invalidate_slot(store, &slots->slots[i], lsn);
}

void
ws_slots_reset_floor(XLogRecPtr lsn)
{
	WsSlots    *slots = ws_slots_shared();

	LWLockAcquire(&slots->lock, LW_EXCLUSIVE);
	slots->floor_lsn = lsn;
	LWLockRelease(&slots->lock);
}

XLogRecPtr
ws_slots_floor(void)
{
	WsSlots    *slots = ws_slots_shared();
	XLogRecPtr	floor_lsn;

	LWLockAcquire(&slots->lock, LW_SHARED);
	floor_lsn = slots->floor_lsn;
	LWLockRelease(&slots->lock);
	return floor_lsn;
}
