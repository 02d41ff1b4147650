/*-------------------------------------------------------------------------
 *
 * waitevent.h
 *	  Names for what our processes wait for, in pg_stat_activity.
 *
 * PostgreSQL 17 and later can show them; before that all are "Extension".
 * Where PostgreSQL's own walsender or walreceiver waits for the same, the name
 * is PostgreSQL's (WalSenderMain, WalReceiverMain).
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_WAITEVENT_H
#define WS_WAITEVENT_H

/* Each has its name in waitevent.c and its line in docs/operations.md. */
typedef enum WsWait
{
	WS_WAIT_RELAY_RECEIVER,
	WS_WAIT_RELAY_KEEPER,
	WS_WAIT_RELAY_NAMES,
	WS_WAIT_RELAY_RESTART,
	WS_WAIT_RELAY_DISK_FULL,
	WS_WAIT_RELAY_STORE,
	WS_WAIT_RELAY_SLOT,
	WS_WAIT_RELAY_SEAL,
	WS_WAIT_RELAY_POSITION,
	WS_WAIT_RECEIVE_ALL,
	WS_WAIT_RECEIVE_ALL_RELAY,
	WS_WAIT_RATE_LIMIT
}			WsWait;
#define WS_WAITS	(WS_WAIT_RATE_LIMIT + 1)

/* For WaitLatch() and the like.  Takes a lock when a process first asks. */
extern uint32 ws_waitevent(WsWait wait);

#endif							/* WS_WAITEVENT_H */
