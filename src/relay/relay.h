/*-------------------------------------------------------------------------
 *
 * relay.h
 *	  The relay as a whole: its workers, and the state that its processes
 *	  share.
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
#include "storage/condition_variable.h"

/* States of the receiver, in their usual order. */
typedef enum WsRelayState
{
	WS_RELAY_STOPPED,			/* no receiver is running (one will be
								 * started) */
	WS_RELAY_OPENING,			/* checks the store; closed segments are
								 * served, but the end is unknown */
	WS_RELAY_WAITING,			/* "waiting for upstream": no host answers, or
								 * none is set */
	WS_RELAY_CATCHING_UP,		/* has less WAL than the upstream had when it
								 * connected */
	WS_RELAY_STREAMING,
	WS_RELAY_DISK_FULL,			/* keeps the connection, tries to write again */
	WS_RELAY_SEALED,			/* for the upstream's timeline: asks again,
								 * until walstream_relay_unseal() */
	WS_RELAY_BEHIND,			/* the upstream has less than we have: asks
								 * again, until
								 * walstream_relay_restart_after_gap() */
	WS_RELAY_DIVERGED,			/* the upstream's WAL does not continue ours,
								 * until walstream_relay_follow() */
	WS_RELAY_GAP,				/* the upstream no longer has the next WAL,
								 * until walstream_relay_restart_after_gap() */
	WS_RELAY_PAUSED,			/* until walstream_relay_resume() */
	WS_RELAY_FAILED				/* the store cannot be used: see last_error */
} WsRelayState;

/* As which an upstream knows a relay that has no cluster_name. */
#define WS_RELAY_DEFAULT_NAME	"walstream_relay"

#define WS_RELAY_TEXT	512

/* A snapshot of the relay, without its senders and slots. */
typedef struct WsRelayStatus
{
	WsRelayState state;
	char		reason[WS_RELAY_TEXT];	/* reason for the state, as text; ""
										 * if there is none */
	bool		other_store;	/* state is WS_RELAY_FAILED because the store
								 * is not the remembered one */
	pid_t		receiver_pid;	/* 0: none */
	pid_t		keeper_pid;

	bool		is_open;		/* the store has been opened and has WAL; the
								 * fields up to flushed_lsn are valid */
	WsStore		store;
	TimeLineID	first_tli;		/* first position available */
	XLogRecPtr	first_lsn;
	TimeLineID	tli;			/* timeline being received, to which the
								 * positions belong */
	XLogRecPtr	received_lsn;	/* handed over by the connection to the
								 * upstream */
	XLogRecPtr	written_lsn;
	XLogRecPtr	flushed_lsn;	/* durable, served and acknowledged */

	char		upstream_host[NI_MAXHOST];	/* "" while not connected */
	int			upstream_port;
	int			upstream_version;	/* server_version_num; 0: not known yet */
	XLogRecPtr	upstream_lsn;	/* end of the upstream's WAL, as last reported */
	TimestampTz last_message_time;
	uint64		reconnects;		/* connections made after the first */
	char		last_error[WS_RELAY_TEXT];
	TimestampTz last_error_time;	/* 0: none */
	char		standby_names[WS_NAMES_SIZE];	/* synchronous_standby_names
												 * of the primary */
	TimestampTz standby_names_time; /* when it was asked last; 0 if never */
} WsRelayStatus;

/* Requests of an operator to the receiver. */
typedef enum WsRelayRequest
{
	WS_REQUEST_PAUSE,
	WS_REQUEST_RESUME,
	WS_REQUEST_FOLLOW,			/* follow the upstream's timeline, after
								 * "diverged" */
	WS_REQUEST_LOOK_AGAIN,		/* after "diverged": a line was approved */
	WS_REQUEST_RESTART,			/* begin a new range, after "gap" */
	WS_REQUEST_FORGET_STORE		/* accept another store than the remembered
								 * one, after "failed" */
} WsRelayRequest;

/*
 * In _PG_init, after the settings: check that a relay can run on this
 * instance, and register its workers and shared memory.  Does nothing if
 * walstream.relay is off.
 */
extern void ws_relay_init(void);

/* Returns true if this instance is a relay, in any of its processes. */
extern bool ws_relay_enabled(void);

extern void ws_relay_get_status(WsRelayStatus *status);
extern const char *ws_relay_state_name(WsRelayState state);

/*
 * Get the position up to which WAL may be served; this is cheap (a spinlock).
 * Returns false while the end is not known, because the store is not open or
 * has no WAL. tli changes only when the receiver follows the upstream to a new
 * timeline; what was flushed of the old one up to the switch point stays
 * readable.
 */
extern bool ws_relay_get_position(TimeLineID *tli, XLogRecPtr *flushed_lsn);

/*
 * Get the position up to which WAL may be served, even if that is not the end.
 * Also returns true while the store is being opened, for its closed segments.
 */
extern bool ws_relay_get_served(TimeLineID *tli, XLogRecPtr *served_lsn);

/* Returns what is broadcast when the position becomes known, or has changed. */
extern ConditionVariable *ws_relay_position_news(void);

/*
 * Returns a number that changes before stored WAL is set aside for another
 * range.  Positions and files that were read before this is found unchanged
 * belong to one range.
 */
extern uint64 ws_relay_get_generation(void);

/*
 * Get the open store, which may have no WAL yet.  Returns false while it is
 * not open.
 */
extern bool ws_relay_get_store(WsStore *store);

/* Raise or clear a request and wake the receiver. */
extern void ws_relay_request(WsRelayRequest request);

/*
 * A line that an operator has approved, however much of what is stored it leaves
 * behind, up to a position.
 */
typedef struct WsRelayApproval
{
	TimeLineID	tli;			/* the timeline to follow; 0: none */
	XLogRecPtr	switch_lsn;		/* where it leaves ours */
	XLogRecPtr	surplus_lsn;	/* complete records of ours end here at most */
} WsRelayApproval;

/*
 * Approve a line, instead of one that was approved before, and let a receiver that
 * has diverged look again.  Forgotten when the server is restarted.
 */
extern void ws_relay_approve(const WsRelayApproval *approval);
extern void ws_relay_get_approval(WsRelayApproval *approval);

/* Receiver only: the relay is on this timeline. */
extern void ws_relay_end_approval(TimeLineID tli);

/* Keeper: set the first position that is available. */
extern void ws_relay_set_first(TimeLineID first_tli, XLogRecPtr first_lsn);

/*
 * Note that what the relay is to receive has changed: by a setting, a request or
 * a seal.  The receiver looks.
 */
extern void ws_relay_note_orders(void);

/*
 * Note that the feedback of downstreams has changed.  This wakes the receiver,
 * but not again before it has looked, since a client can repeat this at will.
 */
extern void ws_relay_note_feedback(void);

/*
 * Note that there may be upkeep to do: a segment was closed, room is needed, less
 * WAL is held, or another primary is to be asked.  The keeper looks.
 */
extern void ws_relay_note_upkeep(void);

/* The workers' entry points: walreceiver/worker.c and keeper.c. */
extern PGDLLEXPORT void walstream_relay_receiver_main(Datum arg);
extern PGDLLEXPORT void walstream_relay_keeper_main(Datum arg);

/*----------------------------------------------------------------
 * For the workers themselves
 *----------------------------------------------------------------
 */

/*
 * Run a worker: install signal handlers, claim its place in shared memory
 * until exit, wait for the back-off after failures, and do the work, whose
 * error becomes last_error and ends the process.  The back-off doubles from 1
 * s to 60 s and is reset after a minute of work.
 */
extern void ws_relay_worker_run(bool keeper, void (*work) (void));

/* In a worker that ends: returns true if that is due to SIGTERM. */
extern bool ws_relay_worker_was_told_to_end(void);

/*
 * Lock the store for moving or replacing its files: the keeper does so while
 * it compresses or removes a segment, the receiver while it recovers the store
 * or sets it aside.  Waits and checks for interrupts; the lock is released on
 * exit.
 */
extern void ws_relay_lock_store(void);
extern void ws_relay_unlock_store(void);

/* Receiver only: set the state; reason is NULL for none. */
extern void ws_relay_set_state(WsRelayState state, const char *reason);

/*
 * Receiver only: publish the store, which was opened or has its first bytes.
 * With NULL for extent it has no WAL (any more), and another generation
 * begins; otherwise a position published before does not go back.
 */
extern void ws_relay_publish_store(const WsStore *store, const WsStoreExtent *extent);

/*
 * Receiver only: publish the closed segments, while recovery looks for the
 * end.  Changes nothing if the end is known already.
 */
extern void ws_relay_publish_closed(const WsStore *store, const WsStoreExtent *extent);

/*
 * Receiver only: publish positions on tli, in the order of the arguments, and
 * wake the senders if flushed_lsn or tli has changed.
 */
extern void ws_relay_publish_position(TimeLineID tli, XLogRecPtr received_lsn,
									  XLogRecPtr written_lsn, XLogRecPtr flushed_lsn);

/*
 * Receiver only: returns true if everything written is known to be durable.
 * It is not in a server that has just started, nor after an error between
 * writing and syncing.
 */
extern bool ws_relay_is_synced(void);
extern void ws_relay_set_synced(bool synced);

extern void ws_relay_set_upstream(const char *host, int port, int version);

/* Receiver only; time 0 if it is not known. */
extern void ws_relay_set_standby_names(const char *names, TimestampTz asked_at);
extern void ws_relay_set_upstream_lsn(XLogRecPtr lsn, TimestampTz message_time);
extern void ws_relay_note_error(const char *message);

/*
 * Receiver only: returns true if feedback has changed; with take, it counts as
 * looked at.
 */
extern bool ws_relay_feedback_has_changed(bool take);

/*
 * Receiver only: note a connection; the first one is not counted as a
 * reconnect.
 */
extern void ws_relay_count_reconnect(void);

/*
 * Receiver only: returns true if this is requested; with take, the request is
 * cleared.
 */
extern bool ws_relay_is_requested(WsRelayRequest request, bool take);

#endif							/* WS_RELAY_RELAY_H */
