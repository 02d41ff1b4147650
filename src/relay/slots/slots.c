/*-------------------------------------------------------------------------
 *
 * slots.c
 *	  Relay slots: creating, acquiring, dropping and listing them.
 *
 * slots/hold.c determines what a slot holds back; slots/invalidate.c makes it
 * lost; slots/file.c has its file.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "peertext.h"
#include "relay/relay.h"
#include "relay/slots/shared.h"
#include "relay/xids.h"
#include "replication/slot.h"
#include "storage/ipc.h"
#include "waitevent.h"

/*----------------------------------------------------------------
 * Owning a slot
 *----------------------------------------------------------------
 */

/* Release the slot; the owner may not touch it afterwards. */
void
ws_slot_free(WsSlot *slot)
{
	LWLockAcquire(&ws_slots->lock, LW_EXCLUSIVE);
	slot->in_use = false;
	ws_slot_set_active(slot, 0);
	LWLockRelease(&ws_slots->lock);

	/* the slot holds nothing back any more */
	ws_relay_note_upkeep();
	ws_relay_note_feedback();
}

static void
give_back_all(int code, Datum arg)
{
	/* an error may have left it locked */
	LWLockReleaseAll();
	ws_slot_release();
	ws_slots_drop_temporary();

	/* the slot was being made, dropped or invalidated */
	for (int i = 0; i < max_replication_slots; i++)
	{
		if (ws_slots->slots[i].active_pid == MyProcPid)
			ws_slot_set_active(&ws_slots->slots[i], 0);
	}
}

void
ws_slot_prepare_exit(void)
{
	static bool registered = false;

	if (!registered)
	{
		before_shmem_exit(give_back_all, 0);
		registered = true;
	}
}

/* With the lock held. */
static WsSlot *
find_slot(const char *name)
{
	for (int i = 0; i < max_replication_slots; i++)
	{
		WsSlot	   *slot = &ws_slots->slots[i];

		if (slot->in_use && strcmp(slot->name, name) == 0)
			return slot;
	}
	return NULL;
}

static void
check_loaded(void)
{
	if (!ws_slots_are_loaded())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relay slots have not been read yet"),
				 errhint("See the view \"walstream_relay\" for what the relay is doing.")));
}

/*
 * Make this process the slot's owner.  If another process owns it, raise an
 * ERROR, or, with wait, wait until it is free.
 */
static WsSlot *
take_slot(const char *name, bool wait)
{
	check_loaded();
	ws_slot_prepare_exit();

	for (;;)
	{
		WsSlot	   *slot;
		pid_t		active_pid = 0;

		LWLockAcquire(&ws_slots->lock, LW_SHARED);
		slot = find_slot(name);
		if (slot != NULL)
		{
			/* prepare before looking, so that no wakeup is missed */
			if (wait)
				ConditionVariablePrepareToSleep(&slot->active_cv);
			SpinLockAcquire(&slot->mutex);
			if (slot->active_pid == 0)
				slot->active_pid = MyProcPid;
			active_pid = slot->active_pid;
			SpinLockRelease(&slot->mutex);
		}
		LWLockRelease(&ws_slots->lock);

		if (slot == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("relay slot \"%s\" does not exist",
							ws_peertext_value(name)),
					 errhint("The relay has slots of its own, see the view \"walstream_relay_slots\".")));

		if (active_pid != MyProcPid && wait)
			ConditionVariableSleep(&slot->active_cv, ws_waitevent(WS_WAIT_RELAY_SLOT));
		if (wait)
			ConditionVariableCancelSleep();
		if (active_pid == MyProcPid)
			return slot;
		if (!wait)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("relay slot \"%s\" is active for PID %d",
							name, (int) active_pid)));
	}
}

/* A temporary slot remains its creator's. */
static void
give_back(WsSlot *slot)
{
	if (!slot->temporary)
		ws_slot_set_active(slot, 0);
}

void
ws_slot_acquire(const char *name)
{
	WsSlot	   *slot;
	bool		lost;

	Assert(ws_slot_mine() == NULL);
	slot = take_slot(name, false);

	/* the keeper may be about to mark it as lost */
	LWLockAcquire(&ws_slots->lock, LW_SHARED);
	lost = slot->lost || (!XLogRecPtrIsInvalid(slot->held_lsn) &&
						  slot->held_lsn < ws_slots->floor_lsn);
	LWLockRelease(&ws_slots->lock);
	if (lost)
	{
		give_back(slot);
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relay slot \"%s\" is lost", name),
				 errdetail("WAL that it needs has been removed from the relay."),
				 errhint("Drop the slot and create it again. The downstream needs WAL from an archive, or a new base backup.")));
	}

	ws_slot_begin_holding(slot);
}

void
ws_slot_release(void)
{
	WsSlot	   *slot = ws_slot_mine();

	if (slot == NULL)
		return;
	ws_slot_end_holding();
	give_back(slot);
}

/*----------------------------------------------------------------
 * Making and dropping
 *----------------------------------------------------------------
 */

/* Fill a free entry and own it.  The lock must be held. */
static void
fill_slot(WsSlot *slot, const WsSlotFile *file, bool temporary, pid_t active_pid)
{
	strlcpy(slot->name, file->name, NAMEDATALEN);
	slot->temporary = temporary;
	SpinLockAcquire(&slot->mutex);
	slot->active_pid = active_pid;
	slot->lost = file->lost;
	slot->restart_tli = file->restart_tli;
	slot->restart_lsn = file->restart_lsn;
	slot->held_lsn = file->restart_lsn;
	slot->feedback.xmin.value = file->xmin;
	slot->feedback.catalog_xmin.value = file->catalog_xmin;
	SpinLockRelease(&slot->mutex);
	slot->in_use = true;
}

/*
 * Put a slot into the array, owned by us.  From here on it holds back what it
 * needs.
 */
static WsSlot *
claim_slot(const WsSlotFile *file, bool temporary)
{
	WsSlot	   *slot = NULL;
	XLogRecPtr	floor_lsn;
	bool		too_old;
	bool		exists;

	LWLockAcquire(&ws_slots->lock, LW_EXCLUSIVE);
	exists = find_slot(file->name) != NULL;
	floor_lsn = ws_slots->floor_lsn;
	too_old = !XLogRecPtrIsInvalid(file->restart_lsn) &&
		file->restart_lsn < floor_lsn;
	for (int i = 0; i < max_replication_slots && slot == NULL; i++)
	{
		if (!ws_slots->slots[i].in_use)
			slot = &ws_slots->slots[i];
	}
	if (!exists && !too_old && slot != NULL)
		fill_slot(slot, file, temporary, MyProcPid);
	LWLockRelease(&ws_slots->lock);

	if (exists)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("relay slot \"%s\" already exists", file->name)));
	if (too_old)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not create relay slot \"%s\" at " WS_LSN,
						file->name, LSN_FORMAT_ARGS(file->restart_lsn)),
				 errdetail("The relay keeps WAL from " WS_LSN " on.",
						   LSN_FORMAT_ARGS(floor_lsn))));
	if (slot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("all relay slots are in use"),
				 errhint("Free one or increase \"max_replication_slots\" on the relay.")));
	return slot;
}

void
ws_slot_create(const WsStore *store, const char *name, bool temporary,
			   TimeLineID restart_tli, XLogRecPtr restart_lsn)
{
	WsSlotFile	file = {0};
	WsSlot	   *slot;

	ws_slot_validate_name(name, ERROR);
	strlcpy(file.name, name, NAMEDATALEN);
	if (!XLogRecPtrIsInvalid(restart_lsn))
	{
		file.restart_tli = restart_tli;
		file.restart_lsn = restart_lsn;
	}

	check_loaded();
	ws_slot_prepare_exit();
	slot = claim_slot(&file, temporary);
	if (temporary)
		return;

	PG_TRY();
	{
		ws_slot_file_write(store, &file, ERROR);
	}
	PG_CATCH();
	{
		ws_slot_file_discard(store, name);
		ws_slot_free(slot);
		PG_RE_THROW();
	}
	PG_END_TRY();
	give_back(slot);
}

void
ws_slot_drop(const WsStore *store, const char *name, bool wait)
{
	WsSlot	   *slot = take_slot(name, wait);

	if (!slot->temporary)
	{
		PG_TRY();
		{
			ws_slot_file_remove(store, name);
		}
		PG_CATCH();
		{
			give_back(slot);
			PG_RE_THROW();
		}
		PG_END_TRY();
	}
	ws_slot_free(slot);
}

void
ws_slots_drop_temporary(void)
{
	for (int i = 0; i < max_replication_slots; i++)
	{
		WsSlot	   *slot = &ws_slots->slots[i];

		/* no other process makes a slot ours, or changes one that is */
		if (slot->in_use && slot->temporary && slot->active_pid == MyProcPid)
			ws_slot_free(slot);
	}
}

/*----------------------------------------------------------------
 * Reading them all
 *----------------------------------------------------------------
 */

/* Xmins in a file that were checked have been in the WAL. */
static void
raise_xids(const WsSlotFile *file)
{
	FullTransactionId xmin = {file->xmin};
	FullTransactionId catalog_xmin = {file->catalog_xmin};

	if (!file->xmins_checked)
		return;
	ws_xids_raise(xmin);
	ws_xids_raise(catalog_xmin);
}

void
ws_slots_load(const WsStore *store)
{
	WsSlotFile *files;
	int			count;

	if (ws_slots_are_loaded())
		return;

	count = ws_slot_files_read(store, &files);

	/* before any of their feedback is sent */
	ws_xids_load(store);
	for (int i = 0; i < count; i++)
		raise_xids(&files[i]);

	LWLockAcquire(&ws_slots->lock, LW_EXCLUSIVE);
	for (int i = 0; i < count; i++)
		fill_slot(&ws_slots->slots[i], &files[i], false, 0);
	ws_slots->loaded = true;
	LWLockRelease(&ws_slots->lock);
	pfree(files);
}

bool
ws_slots_are_loaded(void)
{
	bool		loaded;

	LWLockAcquire(&ws_slots->lock, LW_SHARED);
	loaded = ws_slots->loaded;
	LWLockRelease(&ws_slots->lock);
	return loaded;
}

/* With the lock held. */
static void
copy_slot(WsSlot *slot, WsSlotSnapshot *snapshot)
{
	memset(snapshot, 0, sizeof(*snapshot));
	strlcpy(snapshot->name, slot->name, NAMEDATALEN);
	snapshot->temporary = slot->temporary;

	SpinLockAcquire(&slot->mutex);
	snapshot->active_pid = slot->active_pid;
	snapshot->restart_tli = slot->restart_tli;
	snapshot->restart_lsn = slot->restart_lsn;
	snapshot->feedback = slot->feedback;
	snapshot->lost = slot->lost;
	SpinLockRelease(&slot->mutex);
	snapshot->feedback = ws_xids_limit(snapshot->feedback);
}

bool
ws_slot_get(const char *name, WsSlotSnapshot *snapshot)
{
	WsSlot	   *slot;

	LWLockAcquire(&ws_slots->lock, LW_SHARED);
	slot = find_slot(name);
	if (slot != NULL)
		copy_slot(slot, snapshot);
	LWLockRelease(&ws_slots->lock);
	return slot != NULL;
}

int
ws_slots_snapshot(WsSlotSnapshot **result)
{
	WsSlotSnapshot *snapshots = palloc(sizeof(WsSlotSnapshot) * Max(max_replication_slots, 1));
	int			count = 0;

	LWLockAcquire(&ws_slots->lock, LW_SHARED);
	for (int i = 0; i < max_replication_slots; i++)
	{
		if (ws_slots->slots[i].in_use)
			copy_slot(&ws_slots->slots[i], &snapshots[count++]);
	}
	LWLockRelease(&ws_slots->lock);

	*result = snapshots;
	return count;
}
