/*-------------------------------------------------------------------------
 *
 * relay.h
 *	  The relay as a whole: its settings, its workers, and what the processes
 *	  tell each other in shared memory.
 *
 * See README in this directory.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_RELAY_H
#define WS_RELAY_RELAY_H

#include <netdb.h>

#include "datatype/timestamp.h"
#include "relay/store/store.h"

/* What the receiver is doing, in the order in which it comes about. */
typedef enum WsRelayState
{
	WS_RELAY_STOPPED,			/* no receiver runs (it is about to be
								 * started) */
	WS_RELAY_OPENING,			/* checks the store; closed segments are
								 * served, nobody is told of an end */
	WS_RELAY_WAITING,			/* "waiting for upstream": none answers, or
								 * none is set */
	WS_RELAY_CATCHING_UP,		/* has less than the upstream had at the start */
	WS_RELAY_STREAMING,
	WS_RELAY_DISK_FULL,			/* keeps the connection, tries again */
	WS_RELAY_BEHIND,			/* the upstream has less than we have: asked
								 * again, or
								 * walstream_relay_restart_after_gap() */
	WS_RELAY_DIVERGED,			/* the upstream's WAL is not ours: until
								 * walstream_relay_follow() */
	WS_RELAY_GAP,				/* the upstream has no longer what comes next:
								 * until walstream_relay_restart_after_gap() */
	WS_RELAY_PAUSED,			/* until walstream_relay_resume() */
	WS_RELAY_FAILED				/* the store cannot be used: see last_error */
} WsRelayState;

#define WS_RELAY_TEXT	512

/* Everything about the relay but its senders and slots; a copy. */
typedef struct WsRelayStatus
{
	WsRelayState state;
	char		reason[WS_RELAY_TEXT];	/* of the state, for a person; "" if
										 * plain */
	bool		other_store;	/* WS_RELAY_FAILED because the store is not
								 * the one that is remembered */
	pid_t		receiver_pid;	/* 0: none */
	pid_t		keeper_pid;

	bool		is_open;		/* the store has been opened and has WAL: what
								 * follows up to flushed_lsn is valid */
	WsStore		store;
	TimeLineID	first_tli;		/* first position available */
	XLogRecPtr	first_lsn;
	TimeLineID	tli;			/* being received; the positions are on it */
	XLogRecPtr	received_lsn;	/* handed over by the connection */
	XLogRecPtr	written_lsn;
	XLogRecPtr	flushed_lsn;	/* durable, served and acknowledged */

	char		upstream_host[NI_MAXHOST];	/* "" while not connected */
	int			upstream_port;
	int			upstream_version;	/* server_version_num; 0: not known yet */
	XLogRecPtr	upstream_lsn;	/* end of WAL there, as last told */
	TimestampTz last_message_time;
	uint64		reconnects;		/* connections made after the first */
	char		last_error[WS_RELAY_TEXT];
	TimestampTz last_error_time;	/* 0: none */
} WsRelayStatus;

/* What an operator may ask the receiver to do. */
typedef enum WsRelayRequest
{
	WS_REQUEST_PAUSE,
	WS_REQUEST_RESUME,
	WS_REQUEST_FOLLOW,			/* the upstream's timeline, after "diverged" */
	WS_REQUEST_RESTART,			/* with a new range, after "gap" */
	WS_REQUEST_FORGET_STORE		/* that is not there, after "failed" */
} WsRelayRequest;

/*
 * In _PG_init, after the settings: check that a relay can run on this
 * instance, register its workers and shared memory.  Does nothing if
 * walstream.relay is off.
 */
extern void ws_relay_init(void);

/* Is this instance a relay?  True in every process of one. */
extern bool ws_relay_enabled(void);

extern void ws_relay_get_status(WsRelayStatus *status);
extern const char *ws_relay_state_name(WsRelayState state);

/*
 * The position up to which may be served, cheaply (a spinlock).  False while
 * the store is not open or holds nothing; where its WAL ends is not known then.
 * tli only changes when the receiver follows the upstream to a new timeline:
 * what was flushed of the old one up to the switch stays readable.
 */
extern bool ws_relay_get_position(TimeLineID *tli, XLogRecPtr *flushed_lsn);

/*
 * The same where it does not matter whether that is the end: also true while the
 * store is being opened, of the closed segments.
 */
extern bool ws_relay_get_served(TimeLineID *tli, XLogRecPtr *served_lsn);

/*
 * Changes before stored WAL is set aside, for positions of another range: what
 * was read, of positions or files, before this is found unchanged belongs to
 * one range.
 */
extern uint64 ws_relay_get_generation(void);

/* The open store, which may hold no WAL yet; false while it is not open. */
extern bool ws_relay_get_store(WsStore *store);

/* Raise or clear a request and wake the receiver. */
extern void ws_relay_request(WsRelayRequest request);

/* Keeper: this is the first position available now. */
extern void ws_relay_set_first(TimeLineID first_tli, XLogRecPtr first_lsn);

/* Wake the receiver: a setting changed, or something is asked for. */
extern void ws_relay_wake_receiver(void);

/*
 * What downstreams want kept on the primary has changed.  Wakes the receiver,
 * but not again before it has looked: a client can repeat this at will.
 */
extern void ws_relay_note_feedback(void);

/* Wake the keeper: a segment was closed, or room is wanted. */
extern void ws_relay_wake_keeper(void);

/* The workers' entry points: walreceiver/worker.c and keeper.c. */
extern PGDLLEXPORT void walstream_relay_receiver_main(Datum arg);
extern PGDLLEXPORT void walstream_relay_keeper_main(Datum arg);

/*----------------------------------------------------------------
 * For the workers themselves
 *----------------------------------------------------------------
 */

/*
 * A worker: signal handlers, its pid and latch in shared memory, given back on
 * exit; then the work, whose error becomes last_error and ends the process.
 * Before it comes the back-off after failures, which doubles from 1 s to 60 s
 * and is forgotten after a minute of work.
 */
extern void ws_relay_worker_run(bool keeper, void (*work) (void));

/* In a worker that ends: was it asked to, by SIGTERM? */
extern bool ws_relay_worker_was_told_to_end(void);

/*
 * Held by the one worker that moves or replaces files of the store: the keeper
 * while it compresses or removes a segment, the receiver while it recovers or
 * sets the store aside.  Waits, and checks for interrupts; given back on exit.
 */
extern void ws_relay_lock_store(void);
extern void ws_relay_unlock_store(void);

/* Receiver only; reason NULL for none. */
extern void ws_relay_set_state(WsRelayState state, const char *reason);

/*
 * Receiver only: the store was opened, or holds its first bytes.  extent NULL:
 * it holds no WAL (any more), and another generation begins.  Else a position
 * told before is not taken back.
 */
extern void ws_relay_publish_store(const WsStore *store, const WsStoreExtent *extent);

/*
 * Receiver only: the closed segments can be served, while the end is being
 * looked for.  Changes nothing if it is known already.
 */
extern void ws_relay_publish_closed(const WsStore *store, const WsStoreExtent *extent);

/*
 * Receiver only, in this order: positions on tli; wakes the senders if
 * flushed_lsn or tli changed.
 */
extern void ws_relay_publish_position(TimeLineID tli, XLogRecPtr received_lsn,
									  XLogRecPtr written_lsn, XLogRecPtr flushed_lsn);

/*
 * Receiver only: is all that was written known to be durable?  Not so in a
 * server that has just started, nor after an error between writing and syncing.
 */
extern bool ws_relay_is_synced(void);
extern void ws_relay_set_synced(bool synced);

extern void ws_relay_set_upstream(const char *host, int port, int version);
extern void ws_relay_set_upstream_lsn(XLogRecPtr lsn, TimestampTz message_time);
extern void ws_relay_note_error(const char *message);

/* Receiver only: has feedback changed?  take: and is looked at now. */
extern bool ws_relay_feedback_has_changed(bool take);

/* Receiver only: a connection was made; the first is not counted as one more. */
extern void ws_relay_count_reconnect(void);

/* Receiver only: is this asked for?  take: and is hereby answered. */
extern bool ws_relay_is_requested(WsRelayRequest request, bool take);

#endif							/* WS_RELAY_RELAY_H */
