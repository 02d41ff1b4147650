/*-------------------------------------------------------------------------
 *
 * slots.h
 *	  Relay slots: what a downstream still needs, remembered while it is away.
 *
 * One small file each in the store's directory slots/, written under a
 * temporary name, fsynced, renamed, the directory fsynced.  In shared memory
 * there are max_replication_slots of them.  They are loaded by the receiver
 * when it opens the store, before the first feedback goes upstream.
 *
 * A slot without position (created without RESERVE_WAL) holds nothing back
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
	pid_t		active_pid;		/* 0: nobody uses it */
	TimeLineID	restart_tli;	/* 0 and Invalid: no position yet */
	XLogRecPtr	restart_lsn;	/* WAL from here on is kept */
	WsFeedback	feedback;		/* as far as it can be (xids.h) */
	bool		lost;			/* what it needs has been removed */
} WsSlotSnapshot;

/* In _PG_init of a relay. */
extern void ws_slots_init(void);

/*
 * Receiver only: read all slots' files into shared memory, once after shared
 * memory was made.  A damaged file is an ERROR that names it.
 */
extern void ws_slots_load(const WsStore *store);
extern bool ws_slots_are_loaded(void);

/*
 * Create a slot, durable unless temporary; a temporary one belongs to this
 * process and goes with it.  restart_lsn Invalid: no position yet.  An ERROR
 * with PostgreSQL's codes: invalid name, DUPLICATE_OBJECT, no free slot.
 */
extern void ws_slot_create(const WsStore *store, const char *name, bool temporary,
						   TimeLineID restart_tli, XLogRecPtr restart_lsn);

/*
 * Drop.  If another process uses it: an ERROR OBJECT_IN_USE, or with wait,
 * wait until it is free.  UNDEFINED_OBJECT if there is none.
 */
extern void ws_slot_drop(const WsStore *store, const char *name, bool wait);

/*
 * Take the slot for this process, given back with ws_slot_release() or on
 * exit.  UNDEFINED_OBJECT, OBJECT_IN_USE, or OBJECT_NOT_IN_PREREQUISITE_STATE
 * with a hint if it is lost.
 */
extern void ws_slot_acquire(const char *name);
extern void ws_slot_release(void);

/* Drop this process' temporary slots: at session end, or on an error. */
extern void ws_slots_drop_temporary(void);

/*
 * The slot that this process has acquired: its downstream has flushed up to
 * lsn.  A position that holds more than before counts at once; the keeper goes
 * by one that holds less when it has been made durable.  The file is written at
 * most once a second, or a little sooner where another segment is let go of for
 * the first time.  That it cannot be written is logged only: the slot then holds
 * more for longer.
 */
extern void ws_slot_advance(const WsStore *store, TimeLineID tli, XLogRecPtr lsn);

/* The acquired slot's feedback, durable before it takes effect when it advances. */
extern void ws_slot_set_feedback(const WsStore *store, WsFeedback feedback);

/* When the acquired slot's file is to be written next; DT_NOEND without need. */
extern TimestampTz ws_slot_save_due(const WsStore *store);

/* Write it, if that time has come. */
extern void ws_slot_save_if_due(const WsStore *store);

/* False if there is no such slot. */
extern bool ws_slot_get(const char *name, WsSlotSnapshot *slot);
extern int	ws_slots_snapshot(WsSlotSnapshot **slots);

/*
 * Keeper: the oldest durable position that a slot which is not lost needs;
 * Invalid if none holds anything.  By history, that of the relay's timeline, a
 * slot on a timeline that was left earlier needs WAL from there on.
 */
extern XLogRecPtr ws_slots_oldest_lsn(const WsHistory *history);

/*
 * Keeper: how much of the WAL before wanted_lsn may be removed now; what is
 * returned is a segment's start.  Slots and the receiver hold the rest back.
 * From now on no slot can be made, or moved back, to a position before it.
 */
extern XLogRecPtr ws_slots_allow_removal(const WsStore *store,
										 const WsHistory *history,
										 XLogRecPtr wanted_lsn);

/*
 * Receiver: WAL from lsn on is to be kept, as well as what it was asked to keep
 * before; Invalid: only what is kept anyway.  It writes there on a timeline that
 * is not served yet, and that may have left the one that is long before the end.
 * False if it may have been removed.
 */
extern bool ws_slots_hold_for_receiver(XLogRecPtr lsn);

/*
 * Keeper: WAL before lsn is going to be removed, or has been.  Slots that need
 * it become lost; their users are told with SIGTERM, and it is logged.  Returns
 * when no user of such a slot is left.
 */
extern void ws_slots_invalidate_before(const WsStore *store,
									   const WsHistory *history, XLogRecPtr lsn);

/*
 * Receiver: a new range begins, and nothing of an earlier one will be there.
 * Slots that have a position become lost in the same way, or that cannot be
 * written, which is an ERROR; none can be made at one until
 * ws_slots_reset_floor().
 */
extern void ws_slots_invalidate_all(const WsStore *store);

/*
 * Receiver, with the store locked or without WAL: all there is begins at lsn,
 * which may be anywhere.  Slots can be made at positions from there on.
 */
extern void ws_slots_reset_floor(XLogRecPtr lsn);

/* No slot can be made at a position before this one. */
extern XLogRecPtr ws_slots_floor(void);

/*
 * The oldest that any slot needs, as far as it can be (xids.h), and the number of
 * slots.
 */
extern WsFeedback ws_slots_feedback(int *count);

#endif							/* WS_RELAY_SLOTS_SLOTS_H */
