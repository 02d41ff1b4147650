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
 * exclusively, so they can be read with it held.  A free slot may be taken
 * into use by anybody; one in use belongs to active_pid, who alone may change
 * the rest, write its file, or free it.  mutex guards active_pid and what
 * follows, and is held for a few assignments only; the owner may read without
 * it.
 *
 * held_lsn is what the keeper goes by: of restart_lsn, what is in the slot's
 * file.  For a temporary slot, which has none, both are the same.  It is
 * Invalid if the slot has no position, and then so is restart_lsn.
 *
 * feedback is in effect, as the downstream has said it; what of it can be
 * (xids.h) never asks for less than the file.
 */
typedef struct WsSlot
{
	bool		in_use;
	bool		temporary;
	char		name[NAMEDATALEN];
	ConditionVariable active_cv;	/* told when active_pid becomes 0 */

	slock_t		mutex;
	pid_t		active_pid;		/* 0: nobody; a temporary slot's is its
								 * maker's for ever */
	bool		lost;
	TimeLineID	restart_tli;
	XLogRecPtr	restart_lsn;
	XLogRecPtr	held_lsn;
	WsFeedback	feedback;
} WsSlot;

/*
 * All of them.  lock guards which slots there are, loaded, and what is not the
 * slots' own: WAL before floor_lsn may be gone, so no slot may come to need
 * it; WAL from receiver_lsn on is the receiver's, Invalid if it needs none.
 */
typedef struct WsSlots
{
	LWLock		lock;
	bool		loaded;
	XLogRecPtr	floor_lsn;
	XLogRecPtr	receiver_lsn;
	WsSlot		slots[FLEXIBLE_ARRAY_MEMBER];	/* max_replication_slots */
} WsSlots;

/* slots.c */
extern WsSlots *ws_slots_shared(void);
extern WsSlot *ws_slot_mine(void);
extern void ws_slot_free(WsSlot *slot);
extern void ws_slot_set_active(WsSlot *slot, pid_t pid);

/* Before a process owns a slot: on exit it will own none. */
extern void ws_slot_prepare_exit(void);

/* slots/hold.c: forget or write what the acquired slot has not written yet */
extern void ws_slot_begin_holding(void);
extern void ws_slot_end_holding(void);

/* slots/file.c */
extern int	ws_slot_files_read(const WsStore *store, WsSlotFile **files);

/*
 * Remove what a failed ws_slot_file_write() may have left under the slot's name,
 * as far as that is possible: else the slot would be there after a restart.
 */
extern void ws_slot_file_discard(const WsStore *store, const char *name);
extern void ws_slot_file_remove(const WsStore *store, const char *name);

/* False, and reported at elevel, if it could not be written. */
extern bool ws_slot_file_write(const WsStore *store, const WsSlotFile *file, int elevel);

#endif							/* WS_RELAY_SLOTS_SHARED_H */
