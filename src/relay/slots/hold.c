/*-------------------------------------------------------------------------
 *
 * hold.c
 *	  What relay slots hold back: WAL in the store, and rows on the primary.
 *
 * A position that holds more takes effect at once and is written soon.  One
 * that holds less is written first, and the keeper and the feedback to the
 * upstream use it only then.  So they never act on a value that a crash would
 * take back.  The file is written at a bounded rate, however often a
 * downstream changes its mind.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/relay.h"
#include "relay/slots/shared.h"
#include "relay/xids.h"
#include "replication/slot.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* Minimum time between two writes. */
#define USUAL_PAUSE_MS		1000
#define SEGMENT_PAUSE_MS	100 /* the same if the keeper can then remove
								 * another segment */

/*
 * State of the slot that this process has acquired: what its downstream has
 * sent last, and whether that holds more than the file; when the file was
 * written, or that this failed; and the latest segment of which the keeper was
 * told that WAL is needed from there on.
 */
static WsFeedback wanted_feedback;
static WsFeedback saved_feedback;	/* as the file has it */
static bool file_holds_less;
static TimestampTz last_write_time;
static bool write_failed;
static XLogSegNo latest_segno;

static WsSlot *my_slot = NULL;

WsSlot *
ws_slot_mine(void)
{
	return my_slot;
}

void
ws_slot_begin_holding(WsSlot *slot)
{
	my_slot = slot;
	wanted_feedback = slot->feedback;
	saved_feedback = ws_xids_limit(wanted_feedback);
	file_holds_less = false;
	last_write_time = 0;
	write_failed = false;
	latest_segno = 0;
}

void
ws_slot_fill_file(const WsSlot *slot, WsFeedback feedback, WsSlotFile *file)
{
	memset(file, 0, sizeof(*file));
	file->xmins_checked = FullTransactionIdIsValid(ws_xids_next());
	feedback = ws_xids_limit(feedback);
	strlcpy(file->name, slot->name, NAMEDATALEN);
	file->restart_tli = slot->restart_tli;
	file->restart_lsn = slot->restart_lsn;
	file->xmin = U64FromFullTransactionId(feedback.xmin);
	file->catalog_xmin = U64FromFullTransactionId(feedback.catalog_xmin);
	file->lost = slot->lost;
}

/*
 * Write what the downstream wants, and let it take effect.
 */
static void
save_mine(const WsStore *store)
{
	WsSlot	   *slot = my_slot;
	XLogRecPtr	before_lsn = slot->held_lsn;
	WsFeedback	before = slot->feedback;
	WsFeedback	bounded = ws_xids_limit(wanted_feedback);

	last_write_time = GetCurrentTimestamp();
	if (!slot->temporary)
	{
		WsSlotFile	file;

		ws_slot_fill_file(slot, bounded, &file);

		/* do not repeat the message every second */
		if (!ws_slot_file_write(store, &file, write_failed ? DEBUG1 : LOG))
		{
			write_failed = true;
			return;
		}
		write_failed = false;
	}
	file_holds_less = false;
	saved_feedback = bounded;

	SpinLockAcquire(&slot->mutex);
	slot->held_lsn = slot->restart_lsn;
	slot->feedback = wanted_feedback;
	SpinLockRelease(&slot->mutex);

	latest_segno = Max(latest_segno, ws_store_segment_number(store, slot->held_lsn));
	if (ws_store_segment_number(store, before_lsn) !=
		ws_store_segment_number(store, slot->held_lsn))
		ws_relay_note_upkeep();
	if (!ws_feedback_equals(before, slot->feedback))
		ws_relay_note_feedback();
}

/*
 * Whether the file needs to be written again.  Its transaction ids were limited
 * to those known then; WAL received since may allow later ones.
 */
static bool
has_news(const WsSlot *slot)
{
	return file_holds_less || slot->held_lsn != slot->restart_lsn ||
		!ws_feedback_equals(slot->feedback, wanted_feedback) ||
		!ws_feedback_equals(saved_feedback, ws_xids_limit(wanted_feedback));
}

TimestampTz
ws_slot_save_due(const WsStore *store)
{
	WsSlot	   *slot = my_slot;
	bool		frees_segment;

	if (slot == NULL || !has_news(slot))
		return DT_NOEND;
	frees_segment = !write_failed &&
		ws_store_segment_number(store, slot->restart_lsn) >
		Max(latest_segno, ws_store_segment_number(store, slot->held_lsn));
	return TimestampTzPlusMilliseconds(last_write_time,
									   frees_segment ? SEGMENT_PAUSE_MS : USUAL_PAUSE_MS);
}

void
ws_slot_save_if_due(const WsStore *store)
{
	TimestampTz due = ws_slot_save_due(store);
	TimestampTz now;

	if (due == DT_NOEND)
		return;
	now = GetCurrentTimestamp();

	/* or the clock was put back */
	if (now >= due || now < last_write_time)
		save_mine(store);
}

void
ws_slot_end_holding(void)
{
	WsStore		store;

	if (has_news(my_slot) && ws_relay_get_store(&store))
		save_mine(&store);
	my_slot = NULL;
}

/*
 * Let our slot hold WAL that it did not hold before.  Returns false if that
 * may have been removed.
 */
static bool
hold_more(WsSlot *slot, TimeLineID tli, XLogRecPtr lsn)
{
	bool		possible;

	LWLockAcquire(&ws_slots->lock, LW_EXCLUSIVE);
	possible = lsn >= ws_slots->floor_lsn;
	if (possible)
	{
		SpinLockAcquire(&slot->mutex);
		slot->restart_tli = tli;
		slot->restart_lsn = lsn;
		slot->held_lsn = lsn;
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(&ws_slots->lock);
	return possible;
}

void
ws_slot_advance(const WsStore *store, TimeLineID tli, XLogRecPtr lsn)
{
	WsSlot	   *slot = my_slot;
	TimeLineID	flushed_tli;
	XLogRecPtr	flushed_lsn;

	Assert(slot != NULL);

	/*
	 * a downstream that claims to have more than there is must not release
	 * WAL
	 */
	if (ws_relay_get_served(&flushed_tli, &flushed_lsn))
		lsn = Min(lsn, flushed_lsn);
	if (XLogRecPtrIsInvalid(lsn))
		return;

	if (XLogRecPtrIsInvalid(slot->held_lsn) || lsn < slot->held_lsn)
	{
		if (!hold_more(slot, tli, lsn))
			return;
		file_holds_less = true;
	}
	else if (slot->restart_lsn != lsn || slot->restart_tli != tli)
	{
		SpinLockAcquire(&slot->mutex);
		slot->restart_tli = tli;
		slot->restart_lsn = lsn;
		SpinLockRelease(&slot->mutex);
	}
	ws_slot_save_if_due(store);
}

void
ws_slot_set_feedback(const WsStore *store, WsFeedback feedback)
{
	WsSlot	   *slot = my_slot;
	WsFeedback	at_once;

	Assert(slot != NULL);
	wanted_feedback = ws_feedback_normalize(feedback);
	at_once = ws_feedback_older(ws_xids_limit(slot->feedback),
								ws_xids_limit(wanted_feedback));
	if (!ws_feedback_equals(ws_xids_limit(slot->feedback), at_once))
	{
		SpinLockAcquire(&slot->mutex);
		slot->feedback = at_once;
		SpinLockRelease(&slot->mutex);
		file_holds_less = true;
		ws_relay_note_feedback();
	}
	ws_slot_save_if_due(store);
}

/*----------------------------------------------------------------
 * What all slots hold
 *----------------------------------------------------------------
 */

WsFeedback
ws_slots_feedback(int *count)
{
	WsFeedback	oldest = ws_feedback_nothing;

	*count = 0;
	LWLockAcquire(&ws_slots->lock, LW_SHARED);
	for (int i = 0; i < max_replication_slots; i++)
	{
		WsSlot	   *slot = &ws_slots->slots[i];
		WsFeedback	feedback;

		if (!slot->in_use)
			continue;
		SpinLockAcquire(&slot->mutex);
		feedback = slot->feedback;
		SpinLockRelease(&slot->mutex);
		oldest = ws_feedback_older(oldest, ws_xids_limit(feedback));
		(*count)++;
	}
	LWLockRelease(&ws_slots->lock);
	return oldest;
}

/*
 * Returns the position from which a slot needs WAL, invalid if it needs none.
 * If the relay has left the slot's timeline before that position, the slot's
 * downstream will have to go back to where it was left.  The lock must be
 * held.
 */
static XLogRecPtr
needed_lsn(WsSlot *slot, const WsHistory *history)
{
	XLogRecPtr	lsn;
	TimeLineID	tli;
	bool		lost;
	XLogRecPtr	end_lsn;
	TimeLineID	next_tli;

	if (!slot->in_use)
		return InvalidXLogRecPtr;
	SpinLockAcquire(&slot->mutex);
	lsn = slot->held_lsn;
	tli = slot->restart_tli;
	lost = slot->lost;
	SpinLockRelease(&slot->mutex);

	if (lost)
		return InvalidXLogRecPtr;
	if (history != NULL && ws_history_find(history, tli, &end_lsn, &next_tli) &&
		next_tli != 0)
		lsn = Min(lsn, end_lsn);
	return lsn;
}

XLogRecPtr
ws_slot_needed_before(WsSlot *slot, const WsHistory *history, XLogRecPtr limit_lsn)
{
	XLogRecPtr	lsn = needed_lsn(slot, history);

	return lsn < limit_lsn ? lsn : InvalidXLogRecPtr;
}

/* The lock must be held. */
static XLogRecPtr
find_oldest_lsn(const WsHistory *history)
{
	XLogRecPtr	oldest = InvalidXLogRecPtr;

	for (int i = 0; i < max_replication_slots; i++)
	{
		XLogRecPtr	lsn = needed_lsn(&ws_slots->slots[i], history);

		if (!XLogRecPtrIsInvalid(lsn) &&
			(XLogRecPtrIsInvalid(oldest) || lsn < oldest))
			oldest = lsn;
	}
	return oldest;
}

XLogRecPtr
ws_slots_oldest_lsn(const WsHistory *history)
{
	XLogRecPtr	oldest;

	LWLockAcquire(&ws_slots->lock, LW_SHARED);
	oldest = find_oldest_lsn(history);
	LWLockRelease(&ws_slots->lock);
	return oldest;
}

bool
ws_slots_hold_for_receiver(XLogRecPtr lsn)
{
	XLogRecPtr	held_lsn;
	bool		possible = true;

	LWLockAcquire(&ws_slots->lock, LW_EXCLUSIVE);
	held_lsn = ws_slots->receiver_lsn;
	if (XLogRecPtrIsInvalid(lsn))
	{
		/* slots that needed more may have become lost meanwhile */
		if (!XLogRecPtrIsInvalid(held_lsn))
			ws_slots->floor_lsn = Min(ws_slots->floor_lsn, held_lsn);
		ws_slots->receiver_lsn = InvalidXLogRecPtr;
	}
	else if (XLogRecPtrIsInvalid(held_lsn) || lsn < held_lsn)
	{
		possible = lsn >= ws_slots->floor_lsn;
		if (possible)
			ws_slots->receiver_lsn = lsn;
	}
	LWLockRelease(&ws_slots->lock);
	return possible;
}

XLogRecPtr
ws_slots_allow_removal(const WsStore *store, const WsHistory *history,
					   XLogRecPtr wanted_lsn)
{
	XLogRecPtr	allowed = InvalidXLogRecPtr;
	TimeLineID	tli;
	XLogRecPtr	flushed_lsn;

	LWLockAcquire(&ws_slots->lock, LW_EXCLUSIVE);

	/*
	 * The receiver releases its WAL once it has published another timeline,
	 * and then wanted_lsn is out of date.
	 */
	(void) ws_relay_get_position(&tli, &flushed_lsn);
	if (ws_slots->loaded && tli == history->entries[history->count - 1].tli)
	{
		XLogRecPtr	oldest_lsn = find_oldest_lsn(history);

		allowed = wanted_lsn;
		if (!XLogRecPtrIsInvalid(oldest_lsn))
			allowed = Min(allowed, oldest_lsn);
		if (!XLogRecPtrIsInvalid(ws_slots->receiver_lsn))
			allowed = Min(allowed, ws_slots->receiver_lsn);
		allowed = ws_store_segment_start(store, allowed);
		ws_slots->floor_lsn = Max(ws_slots->floor_lsn, allowed);
	}
	LWLockRelease(&ws_slots->lock);
	return allowed;
}

void
ws_slots_reset_floor(XLogRecPtr lsn)
{

	LWLockAcquire(&ws_slots->lock, LW_EXCLUSIVE);
	ws_slots->floor_lsn = lsn;
	LWLockRelease(&ws_slots->lock);
}

XLogRecPtr
ws_slots_floor(void)
{
	XLogRecPtr	floor_lsn;

	LWLockAcquire(&ws_slots->lock, LW_SHARED);
	floor_lsn = ws_slots->floor_lsn;
	LWLockRelease(&ws_slots->lock);
	return floor_lsn;
}
