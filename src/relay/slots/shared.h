/*-------------------------------------------------------------------------
 *
 * shared.h
 *	  Relay slots in shared memory, for the files in this folder only.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_SLOTS_SHARED_H
#define WS_RELAY_SLOTS_SHARED_H

#include "pure/relay/slotfile.h"
#include "relay/slots/slots.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

/*
 * One slot.
 *
 * in_use, name and temporary change only with the array's lock held
 * exclusively, so they can be read with it held.  Any process may take a free
 * slot into use.  A slot in use belongs to active_pid, and only that process
 * may change the rest, write the file, or free the slot. mutex guards
 * active_pid and the fields that follow, and is held for a few assignments
 * only; the owner may read without it.
 *
 * The keeper uses held_lsn, which is the restart_lsn in the slot's file.  For
 * a temporary slot, which has no file, both are the same.  Both are invalid if
 * the slot has no position.
 *
 * feedback is what the downstream has sent, and is in effect.  Limited to
 * valid xids (xids.h), it never asks for less than the file.
 */
typedef struct WsSlot
{
	bool		in_use;
	bool		temporary;
	char		name[NAMEDATALEN];
	ConditionVariable active_cv;	/* signaled when active_pid becomes 0 */

	slock_t		mutex;
	pid_t		active_pid;		/* 0 if nobody; a temporary slot belongs to
								 * its creator for ever */
	bool		lost;
	TimeLineID	restart_tli;
	XLogRecPtr	restart_lsn;
	XLogRecPtr	held_lsn;
	WsFeedback	feedback;
} WsSlot;

/*
 * The array of slots. lock guards the set of slots, loaded, and the positions
 * below.  WAL before floor_lsn may be gone, so no slot may begin to need it.
 * The receiver needs WAL from receiver_lsn on; invalid if it needs none.
 */
typedef struct WsSlots
{
	LWLock		lock;
	bool		loaded;
	XLogRecPtr	floor_lsn;
	XLogRecPtr	receiver_lsn;
	WsSlot		slots[FLEXIBLE_ARRAY_MEMBER];	/* max_replication_slots */
} WsSlots;

/* slots/shared.c */
extern WsSlots *ws_slots;

/* Called by the owner, or for a slot without owner with the lock held. */
extern void ws_slot_set_active(WsSlot *slot, pid_t pid);

/* slots/slots.c */
extern void ws_slot_free(WsSlot *slot);

/*
 * Must be called before a process owns a slot, so that the slot is released on
 * exit.
 */
extern void ws_slot_prepare_exit(void);

/*
 * slots/hold.c: this process has acquired a slot, or gives it back, which
 * writes what its file does not contain yet.
 */
extern void ws_slot_begin_holding(WsSlot *slot);
extern void ws_slot_end_holding(void);

/* The slot that was acquired; NULL if there is none. */
extern WsSlot *ws_slot_mine(void);

/* Fill in what a slot's file is to contain. */
extern void ws_slot_fill_file(const WsSlot *slot, WsFeedback feedback,
							  WsSlotFile *file);

/*
 * The position from which on a slot needs WAL, if that is before limit_lsn;
 * otherwise, or if it needs none, invalid.  The caller holds the lock.
 */
extern XLogRecPtr ws_slot_needed_before(WsSlot *slot, const WsHistory *history,
										XLogRecPtr limit_lsn);

/* slots/file.c */
extern int	ws_slot_files_read(const WsStore *store, WsSlotFile **files);

/*
 * Remove, if possible, the file that a failed ws_slot_file_write() may have
 * left under the slot's name; else the slot would exist after a restart.
 */
extern void ws_slot_file_discard(const WsStore *store, const char *name);
extern void ws_slot_file_remove(const WsStore *store, const char *name);

/* Returns false after a report at elevel if the file could not be written. */
extern bool ws_slot_file_write(const WsStore *store, const WsSlotFile *file, int elevel);

#endif							/* WS_RELAY_SLOTS_SHARED_H */
