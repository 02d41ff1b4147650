/*-------------------------------------------------------------------------
 *
 * state.h
 *	  Declarations that the files of the relay's receiver share.
 *
 *	worker.c		what it does next, and the waiting in between
 *	state.c			the state that is shown, and what ends a connection
 *	link.c			whether an error is the upstream's
 *	upstream.c		connecting, and whether this is our upstream
 *	plan.c			collects the input of the plan, and carries it out
 *	reason.c		why not, in words
 *	histories.c		the upstream's timeline history files
 *	range.c			beginning a range, the first or another one
 *	check.c			whether what comes continues what is stored
 *	stream.c		one timeline's stream: receiving its messages (stream.h)
 *	write.c			writing the WAL that has come
 *	publish.c		making it durable and publishing it
 *	halt.c			stopping until something or an operator has decided
 *	reply.c			status updates and feedback
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_WALRECEIVER_STATE_H
#define WS_RELAY_WALRECEIVER_STATE_H

#include "pure/relay/plan.h"
#include "relay/relay.h"
#include "replication/walreceiver.h"

/*
 * How a connection, or a stream in it, has ended.  An error of the upstream
 * ends the connection; any other error ends the worker.
 */
typedef enum WsRcvEnd
{
	WS_RCV_NEXT,				/* stream: make a new plan, on the same
								 * connection */
	WS_RCV_RETRY,				/* connect again, after a pause */
	WS_RCV_CHANGED,				/* connect again at once, because the settings
								 * have changed or a pause was requested; or
								 * begin elsewhere, and then like WS_RCV_RETRY */
	WS_RCV_DIVERGED,			/* state and reason are set: ... */
	WS_RCV_GAP					/* ... wait for an operator */
} WsRcvEnd;

/* The settings in use, in TopMemoryContext.  Written by worker.c. */
typedef struct WsRcvSettings
{
	char	   *upstream;
	char	   *slot;
} WsRcvSettings;

/*
 * The stored WAL.  Four files write this: worker.c opens the store, publish.c
 * notes what has become durable, range.c sets aside what a new range replaces,
 * and plan.c moves end.
 */
typedef struct WsRcvStored
{
	bool		is_open;
	WsStore		store;
	WsStore		new_range;		/* a directory in the store, while a range is
								 * received that will replace the stored one */
	bool		has_wal;
	WsPlanPoint served;			/* the newest timeline that is served, and its
								 * durable end; tli is 0 if none */
	WsPlanPoint end;			/* where to continue: the same, or a point on
								 * an older timeline, on the way to one that
								 * an operator has allowed */
} WsRcvStored;

/*
 * The connection, and what is known of the upstream.  Written by upstream.c.
 * All memory of the connection is in the context, which is reset with it.
 */
typedef struct WsRcvUpstream
{
	MemoryContext context;
	WalReceiverConn *conn;		/* NULL if not connected */
	uint64		identifier;
	bool		is_standby;		/* a standby or a relay */
	char	   *standby_names;	/* its synchronous_standby_names when we
								 * asked; NULL if it is not a primary */
	bool		may_be_asked;	/* the keeper has been told where it is */
	TimeLineID	tli;
	XLogRecPtr	lsn;			/* flushed there, when we asked */
	int			segment_size;	/* bytes */
	XLogRecPtr	slot_lsn;		/* the slot's restart position; invalid
								 * without a slot */
	bool		slot_is_new;	/* made during this connection */
	uint32		seal_generation;	/* of the relay's seal under which it was
									 * admitted or refused */
} WsRcvUpstream;

/*
 * Other facts that decide where to continue; each says who writes it.  worker.c
 * resets them when the settings change.
 */
typedef struct WsRcvDecision
{
	/*
	 * permissions of an operator, which worker.c sets for the next connection
	 */
	bool		follow_allowed; /* cleared by publish.c when the timeline is
								 * followed */
	bool		restart_allowed;	/* cleared by plan.c when the range has
									 * begun */

	/* findings */
	bool		was_compared;	/* all WAL of the last segment up to
								 * stored.end was compared with this upstream;
								 * set by publish.c, cleared by worker.c after
								 * a difference */
	bool		earlier_is_gone;	/* the upstream no longer has the segment
									 * before the next one; set by plan.c,
									 * cleared by stream.c when WAL comes */
	XLogRecPtr	dead_slot_lsn;	/* a slot at this position promises WAL that
								 * is not there; set by plan.c; upstream.c
								 * replaces the slot and clears this */
} WsRcvDecision;

/*
 * Attempts to connect, for the pauses between them.  Written by worker.c, and by
 * publish.c where that is said.
 */
typedef struct WsRcvAttempts
{
	int			failed;			/* failures in a row; publish.c sets it to 0 */
	TimestampTz begin_time;		/* beginning of the last attempt */
	TimestampTz streaming_since;	/* when it had caught up; publish.c sets
									 * it; 0 if it has not */
} WsRcvAttempts;

/* The state of the receiver, of which there is only one, in its process. */
typedef struct WsRcv
{
	WsRcvSettings settings;
	WsRcvStored stored;
	WsRcvUpstream upstream;
	WsRcvDecision decision;
	WsRcvAttempts attempts;
} WsRcv;

/*----------------------------------------------------------------
 * state.c
 *----------------------------------------------------------------
 */

/* Returns true if the settings of upstream or slot differ from those in use. */
extern bool ws_rcv_settings_differ(const WsRcv *rcv);

/*
 * Returns true if a request or a change of settings must end the connection.
 */
extern bool ws_rcv_must_end(WsRcv *rcv);

/* Set the state, and the process title to go with it. */
extern void ws_rcv_set_state(WsRelayState state, const char *reason);

/* Returns the state that was set last. */
extern WsRelayState ws_rcv_state(void);

/*----------------------------------------------------------------
 * link.c
 *----------------------------------------------------------------
 */

/*
 * Must be called first: wraps the walrcv_ functions of this process, so that
 * their errors are noted as the upstream's.
 */
extern void ws_rcv_link_init(void);

/* In ereport(ERROR): mark the error as the upstream's. */
extern int	ws_rcv_errupstream(void);

/*
 * For code that has caught an error and continues: returns true if the error
 * was the upstream's, and clears the mark.
 */
extern bool ws_rcv_take_blame(void);

/* Clean up after an error: transaction, locks, files, waits. */
extern void ws_rcv_clean_up(void);

/*----------------------------------------------------------------
 * upstream.c
 *----------------------------------------------------------------
 */

/*
 * Connect.  Returns false if no host answers or lets us in, with a palloc'd
 * *error.
 */
extern bool ws_rcv_connect(WsRcv *rcv, char **error);
extern void ws_rcv_disconnect(WsRcv *rcv);

/*
 * Let the keeper ask the upstream for its synchronous_standby_names, if it is a
 * primary, while the connection with this socket streams.
 */
extern void ws_rcv_let_ask(WsRcv *rcv, pgsocket fd);

/* Close only the connection, when the process ends. */
extern void ws_rcv_hang_up(WsRcv *rcv);

/*
 * After a timeline has ended: ask the upstream for its timeline and position, and
 * whether it is a primary now.
 */
extern void ws_rcv_identify_again(WsRcv *rcv);

/* Raises an ERROR if the connection is lost. */
extern void ws_rcv_check_connection(WsRcv *rcv);

/*
 * Refuse an upstream of another major version, by ERROR.  Sends no command,
 * since another version might not understand it.
 */
extern void ws_rcv_check_version(const WsRcv *rcv);

/*
 * Check whether the upstream's WAL comes from this relay itself (chain.h).  If
 * so, sets the state and returns WS_RCV_RETRY; otherwise WS_RCV_NEXT.  Must
 * be called first, since nothing may be left behind there.
 */
extern WsRcvEnd ws_rcv_check_chain(WsRcv *rcv);

/*
 * Refuse an upstream whose WAL cannot be ours, by ERROR, or one on a timeline
 * for which the relay is sealed, by WS_RCV_RETRY.  Otherwise prepare the slot
 * and return WS_RCV_NEXT.
 */
extern WsRcvEnd ws_rcv_check_upstream(WsRcv *rcv);

/*
 * Send START_REPLICATION.  Returns WS_RCV_NEXT within the COPY.  If the
 * upstream does not let anybody use the slot any more, drops it and returns
 * WS_RCV_CHANGED, so that another one is made.
 */
extern WsRcvEnd ws_rcv_start_streaming(WsRcv *rcv, const WalRcvStreamOptions *options);

/*
 * End a COPY that the upstream has ended at received_lsn.  Returns
 * WS_RCV_NEXT at the end of the timeline, or WS_RCV_RETRY if the upstream
 * shuts down, which is nothing unusual and ends the connection.
 */
extern WsRcvEnd ws_rcv_end_streaming(WsRcv *rcv, const WsPlanStart *start,
									 XLogRecPtr received_lsn);

/*----------------------------------------------------------------
 * plan.c
 *----------------------------------------------------------------
 */

/*
 * Decide where to begin.  Returns WS_RCV_NEXT and sets *start, with the
 * upstream's histories durable.  Begins a new range if there is no WAL, or if
 * that is allowed.
 */
extern WsRcvEnd ws_rcv_plan(WsRcv *rcv, WsPlanStart *start);

/*
 * Handle an upstream that reports at the start of the stream that it does not
 * have the WAL.
 */
extern WsRcvEnd ws_rcv_be_in_gap(WsRcv *rcv, const WsPlanStart *start);

/*----------------------------------------------------------------
 * reason.c
 *----------------------------------------------------------------
 */

/* Returns the reason for the state and the log's detail, palloc'd. */
extern char *ws_rcv_reason(const WsRcv *rcv, const WsPlanInput *input,
						   const WsPlanWhy *why);

/* Returns a hint for a relay that has diverged for this reason. */
extern const char *ws_rcv_reason_hint(const WsPlanWhy *why);

/*----------------------------------------------------------------
 * histories.c
 *----------------------------------------------------------------
 */

/* Get the history of the upstream's timeline, and its file. */
typedef struct WsRcvHistory
{
	WsHistory  *line;
	const char *content;
	size_t		len;
} WsRcvHistory;

extern void ws_rcv_ask_history(WsRcv *rcv, WsRcvHistory *history);

/*
 * Store the history files up to the upstream's timeline in a store whose WAL
 * begins at first_lsn.
 */
extern void ws_rcv_store_histories(WsRcv *rcv, const WsStore *store,
								   const WsRcvHistory *theirs, XLogRecPtr first_lsn);

/*----------------------------------------------------------------
 * range.c
 *----------------------------------------------------------------
 */

/*
 * Begin a range there; if WAL is stored, its first bytes go to
 * stored.new_range.
 */
extern void ws_rcv_range_begin(WsRcv *rcv, const WsPlanStart *start);

/*
 * When the first bytes are durable: set aside what is stored, and put the new
 * range in its place.
 */
extern void ws_rcv_range_enter(WsRcv *rcv, const WsPlanStart *start);

/*----------------------------------------------------------------
 * check.c
 *----------------------------------------------------------------
 */

typedef struct WsRcvCheck
{
	TimeLineID	tli;
	XLogRecPtr	lsn;			/* WAL after this is not checked yet; invalid
								 * if all is */
	XLogRecPtr	needed_lsn;		/* the check needs WAL up to here */
	XLogSegNo	segno;			/* WAL from this segment on is removed if the
								 * check fails, ... */
	bool		may_be_marked;	/* since nothing of that counts */
	bool		is_marked;
	TimeLineID	parent_tli;		/* timeline of the stored WAL before lsn (in
								 * the segment in which it was left, the next
								 * timeline has it); 0 if it is the same */
	TimeLineID	parent_next_tli;
	XLogRecPtr	parent_end_lsn;
	WsStoreReader *parent;
}			WsRcvCheck;

/* Begin a check, in the memory context of the stream. */
extern void ws_rcv_check_begin(WsRcvCheck * check, const WsRcv *rcv,
							   const WsPlanStart *start);

/* Returns true if something before lsn is not checked. */
static inline bool
ws_rcv_is_unchecked(const WsRcvCheck * check, XLogRecPtr lsn)
{
	return !XLogRecPtrIsInvalid(check->lsn) && lsn > check->lsn;
}

/* Returns the position up to which WAL before lsn may be published. */
static inline XLogRecPtr
ws_rcv_checked(const WsRcvCheck * check, XLogRecPtr lsn)
{
	return ws_rcv_is_unchecked(check, lsn) ? check->lsn : lsn;
}

/*
 * Check WAL that is going to be written at lsn, or has been written up to
 * end_lsn, if necessary.  Returns WS_RCV_NEXT, or stops as diverged.
 */
extern WsRcvEnd ws_rcv_check_incoming(const WsRcv *rcv, const WsRcvCheck * check,
									  XLogRecPtr lsn, const char *data, size_t len);
extern WsRcvEnd ws_rcv_check_records(const WsRcv *rcv, WsRcvCheck * check,
									 XLogRecPtr end_lsn);

/*
 * Before WAL up to end_lsn is checked and written: mark it durably, if it may
 * turn out not to be ours.  Returns WS_WRITE_OK, or WS_WRITE_NO_SPACE.
 */
extern WsWriteResult ws_rcv_check_mark(const WsRcv *rcv, WsRcvCheck * check,
									   XLogRecPtr end_lsn);

/*
 * After the stream, when the writer is gone: remove what was written and not
 * checked.
 */
extern void ws_rcv_check_end(const WsRcv *rcv, WsRcvCheck * check);

/*----------------------------------------------------------------
 * stream.c
 *----------------------------------------------------------------
 */

/* Receive one timeline until it or the connection ends. */
extern WsRcvEnd ws_rcv_stream(WsRcv *rcv, const WsPlanStart *start);

/*
 * After an error that has ended the stream, or at the end of the process: keep
 * what has arrived, and with reply, report it to the upstream.
 */
extern void ws_rcv_stream_finish(WsRcv *rcv, bool reply);

/*----------------------------------------------------------------
 * halt.c
 *----------------------------------------------------------------
 */

/*
 * Stop because the upstream is behind.  It may reach our position, and is
 * asked again and again; or it never will, and an operator gives up what we
 * have.
 */
extern WsRcvEnd ws_rcv_be_behind(const char *reason);

/* Wait for an upstream that has no WAL to begin with yet. */
extern WsRcvEnd ws_rcv_wait_for_wal(const char *reason);

/* Stop because the upstream's WAL does not continue what is stored. */
extern WsRcvEnd ws_rcv_diverge(const char *reason, const char *hint);

/* Stop because the upstream's WAL is not what is stored, for this reason. */
extern WsRcvEnd ws_rcv_differ(const char *reason);

/*
 * Returns true if this error of the upstream means that it no longer has the
 * WAL that was requested.
 */
extern bool ws_rcv_says_removed(const char *message);

/* Stop because WAL is missing, for this reason. */
extern WsRcvEnd ws_rcv_halt_in_gap(const char *reason);

/*
 * Set the state of a relay that is sealed, and return WS_RCV_RETRY.  Either the
 * seal covers the upstream's timeline, or it has another owner.
 */
extern WsRcvEnd ws_rcv_be_sealed(const WsRcv *rcv, bool covered);

/*
 * Set the state, and write to the log, that there is no room for WAL from lsn
 * on.
 */
extern void ws_rcv_report_no_room(const WsRcv *rcv, XLogRecPtr lsn);

/*----------------------------------------------------------------
 * reply.c
 *----------------------------------------------------------------
 */

/*
 * Must be called with a new connection or timeline: nothing has been reported
 * yet.
 */
extern void ws_rcv_reply_begin(WalReceiverConn *conn);

/*
 * Report the positions if they have changed, if wal_receiver_status_interval
 * has passed, or if force is set.  With ping, request an answer.
 */
extern void ws_rcv_reply(WalReceiverConn *conn, XLogRecPtr written_lsn,
						 XLogRecPtr flushed_lsn, bool force, bool ping);

/*
 * Report the needs of downstreams and slots if they have changed, but not
 * twice within a second, or if wal_receiver_status_interval has passed.
 */
extern void ws_rcv_feedback(WalReceiverConn *conn);

/*
 * Returns when a reply, or changed feedback, is due even if nothing happens.
 */
extern TimestampTz ws_rcv_reply_due(void);

#endif							/* WS_RELAY_WALRECEIVER_STATE_H */
