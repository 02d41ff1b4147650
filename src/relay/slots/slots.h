/*-------------------------------------------------------------------------
 *
 * slots.h
 *	  Relay slots, which remember what a downstream needs while it is away.
 *
 * Each slot has a small file in the store's directory slots/, which is written
 * under a temporary name, fsynced and renamed, and then the directory is
 * fsynced.  Shared memory has room for max_replication_slots of them.  The
 * receiver loads them when it opens the store, before the first feedback goes
 * upstream.
 *
 * A slot without a position (created without RESERVE_WAL) holds nothing back
 * until its downstream first streams.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_SLOTS_SLOTS_H
#define WS_RELAY_SLOTS_SLOTS_H

#include "datatype/timestamp.h"
#include "relay/feedback.h"
#include "relay/store/store.h"

typedef struct WsSlotSnapshot
{
	char		name[NAMEDATALEN];
	bool		temporary;
	pid_t		active_pid;		/* 0 if nobody uses it */
	TimeLineID	restart_tli;	/* 0, with an invalid restart_lsn, if it has
								 * no position yet */
	XLogRecPtr	restart_lsn;	/* WAL from here on is kept */
	WsFeedback	feedback;		/* limited to valid xids (xids.h) */
	bool		lost;			/* what it needs has been removed */
} WsSlotSnapshot;

/* In _PG_init of a relay. */
extern void ws_slots_init(void);

/*
 * Receiver only: read all slots' files into shared memory, once after it was
 * created.  Raises an ERROR that names the file if one is damaged.
 */
extern void ws_slots_load(const WsStore *store);
extern bool ws_slots_are_loaded(void);

/*
 * Create a slot, durable unless temporary; a temporary one belongs to this
 * process and is dropped when it ends.  An invalid restart_lsn means no
 * position yet.  Raises an ERROR with PostgreSQL's codes for an invalid name,
 * a duplicate name, or if no slot is free.
 */
extern void ws_slot_create(const WsStore *store, const char *name, bool temporary,
						   TimeLineID restart_tli, XLogRecPtr restart_lsn);

/*
 * Drop a slot.  If another process uses it, raise an ERROR (OBJECT_IN_USE) or,
 * with wait, wait until it is free.  UNDEFINED_OBJECT if there is none.
 */
extern void ws_slot_drop(const WsStore *store, const char *name, bool wait);

/*
 * Acquire the slot for this process, until ws_slot_release() or exit.  Raises
 * an ERROR: UNDEFINED_OBJECT, OBJECT_IN_USE, or
 * OBJECT_NOT_IN_PREREQUISITE_STATE with a hint if the slot is lost.
 */
extern void ws_slot_acquire(const char *name);
extern void ws_slot_release(void);

/*
 * Drop this process's temporary slots, at the end of the session or on an
 * error.
 */
extern void ws_slots_drop_temporary(void);

/*
 * Note that the downstream of the acquired slot has flushed up to lsn.  A
 * position that holds more than before counts at once; the keeper uses one
 * that holds less when it is durable.  The file is written at most once a
 * second, or a little sooner if another segment is released.  A failure to
 * write it is only logged: the slot then holds more for longer.
 */
extern void ws_slot_advance(const WsStore *store, TimeLineID tli, XLogRecPtr lsn);

/*
 * Set the acquired slot's feedback; when it advances, it takes effect after it
 * has been made durable.
 */
extern void ws_slot_set_feedback(const WsStore *store, WsFeedback feedback);

/*
 * Returns when the acquired slot's file is to be written next; DT_NOEND if
 * there is no need.
 */
extern TimestampTz ws_slot_save_due(const WsStore *store);

/* Write the file if that time has come. */
extern void ws_slot_save_if_due(const WsStore *store);

/* Copy the slot of this name; returns false if there is none. */
extern bool ws_slot_get(const char *name, WsSlotSnapshot *slot);
extern int	ws_slots_snapshot(WsSlotSnapshot **slots);

/*
 * Keeper: returns the oldest durable position that any slot which is not lost
 * needs; invalid if none holds anything.  history is that of the relay's
 * timeline; a slot on a timeline that was left earlier needs WAL from there
 * on.
 */
extern XLogRecPtr ws_slots_oldest_lsn(const WsHistory *history);

/*
 * Keeper: returns the segment start up to which WAL may be removed now, at
 * most wanted_lsn; slots and the receiver hold the rest back.  From now on no
 * slot can be made at, or moved back to, a position before it.
 */
extern XLogRecPtr ws_slots_allow_removal(const WsStore *store,
										 const WsHistory *history,
										 XLogRecPtr wanted_lsn);

/*
 * Receiver: keep WAL from lsn on, as well as WAL that it has asked to keep
 * before; invalid ends that.  The receiver needs this when it writes on a
 * timeline that is not served yet, and that may have left the served one long
 * before its end.  Returns false if the WAL may have been removed.
 */
extern bool ws_slots_hold_for_receiver(XLogRecPtr lsn);

/*
 * Keeper: WAL before lsn is going to be removed, or has been.  Slots that need
 * it become lost, which is logged; their users get SIGTERM.  Returns when no
 * user of such a slot is left.
 */
extern void ws_slots_invalidate_before(const WsStore *store,
									   const WsHistory *history, XLogRecPtr lsn);

/*
 * Receiver: a new range is going to begin, without any WAL of the earlier one.
 * Slots that have a position become lost in the same way; a failure to write
 * that is an ERROR.  No slot can be made with a position until
 * ws_slots_reset_floor().
 */
extern void ws_slots_invalidate_all(const WsStore *store);

/*
 * Receiver, with the store locked or without WAL: the stored WAL begins at
 * lsn, which may be anywhere.  Slots can be made at positions from there on.
 */
extern void ws_slots_reset_floor(XLogRecPtr lsn);

/* Returns the position before which no slot can be made. */
extern XLogRecPtr ws_slots_floor(void);

/*
 * Returns the oldest feedback of all slots, limited to valid xids (xids.h),
 * and the number of slots.
 */
extern WsFeedback ws_slots_feedback(int *count);

#endif							/* WS_RELAY_SLOTS_SLOTS_H */
