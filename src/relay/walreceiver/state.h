/*-------------------------------------------------------------------------
 *
 * state.h
 *	  The parts of the relay's receiver, for each other.
 *
 *	worker.c		what it does next, and the waiting in between
 *	link.c			whether an error is the upstream's
 *	upstream.c		connecting, and whether this is our upstream
 *	plan.c			gathers what the plan where to go on depends on, and does it
 *	reason.c		why not, in words
 *	histories.c		the upstream's timeline history files
 *	range.c			beginning a range, the first or another one
 *	check.c			whether what comes continues what is stored
 *	stream.c		storing what is streamed of one timeline (stream.h)
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
 * How a connection, or a stream in it, ended.  An error of the upstream ends
 * the connection, any other the worker.
 */
typedef enum WsPullEnd
{
	WS_PULL_NEXT,				/* stream: look where to go on, same
								 * connection */
	WS_PULL_RETRY,				/* connect again, after a pause */
	WS_PULL_CHANGED,			/* the settings have changed, or a pause is
								 * asked for: connect again at once; or begin
								 * elsewhere, as WS_PULL_RETRY */
	WS_PULL_DIVERGED,			/* state and reason are set: ... */
	WS_PULL_GAP					/* ... wait for an operator */
} WsPullEnd;

/* The settings in use, in TopMemoryContext.  Written by worker.c. */
typedef struct WsPullSettings
{
	char	   *upstream;
	char	   *slot;
} WsPullSettings;

/*
 * What is stored.  worker.c opens the store, publish.c notes what has become
 * durable, range.c sets aside what a new range replaces, plan.c moves end.
 */
typedef struct WsPullStored
{
	bool		is_open;
	WsStore		store;
	WsStore		new_range;		/* a directory in it, while a range is
								 * received that is to replace what is stored */
	bool		has_wal;
	WsPlanPoint served;			/* the newest timeline that is served, up to
								 * where it is durable; tli 0: none */
	WsPlanPoint end;			/* where to go on: the same, or a point on an
								 * older timeline, on the way to one that an
								 * operator has allowed */
} WsPullStored;

/*
 * The connection, and what the upstream has said.  Written by upstream.c.  All
 * that the connection needs is in the context, which is reset with it.
 */
typedef struct WsPullUpstream
{
	MemoryContext context;
	WalReceiverConn *conn;		/* NULL: not connected */
	uint64		identifier;
	bool		is_standby;		/* or a relay */
	char	   *standby_names;	/* synchronous_standby_names there; NULL if it
								 * is no primary */
	TimeLineID	tli;
	XLogRecPtr	lsn;			/* flushed there, when asked */
	int			segment_size;	/* bytes */
	XLogRecPtr	slot_lsn;		/* the slot's restart position; Invalid: no
								 * slot */
	bool		slot_is_new;	/* made with this connection */
} WsPullUpstream;

/*
 * What else decides where to go on.  worker.c forgets all of it with the
 * settings.
 */
typedef struct WsPullDecision
{
	/* what an operator has allowed: set by worker.c, for the next connection */
	bool		follow_allowed; /* cleared by publish.c when it is done */
	bool		restart_allowed;	/* cleared by plan.c when it is begun */

	/* what has turned out */
	bool		was_compared;	/* all up to stored.end, with this upstream,
								 * in the end's segment: publish.c; cleared
								 * where it differs, by worker.c */
	bool		earlier_is_gone;	/* the segment before the one that comes
									 * next is missing there: plan.c; cleared
									 * by stream.c when anything comes */
	XLogRecPtr	dead_slot_lsn;	/* a slot at this position promises WAL that
								 * is not there: plan.c.  upstream.c replaces
								 * the slot, and clears it */
} WsPullDecision;

/* Attempts to go on, for the pauses between them.  Written by worker.c. */
typedef struct WsPullAttempts
{
	int			failed;			/* in a row; publish.c sets 0 */
	TimestampTz begin_time;		/* of the last one */
} WsPullAttempts;

/* The receiver; there is one, in its process. */
typedef struct WsPull
{
	WsPullSettings settings;
	WsPullStored stored;
	WsPullUpstream upstream;
	WsPullDecision decision;
	WsPullAttempts attempts;
} WsPull;

/*----------------------------------------------------------------
 * worker.c
 *----------------------------------------------------------------
 */

/* Has something been asked for that ends the connection? */
extern bool ws_pull_must_end(WsPull *pull);

/* Set the state, and the process title to go with it. */
extern void ws_pull_set_state(WsRelayState state, const char *reason);

/*----------------------------------------------------------------
 * link.c
 *----------------------------------------------------------------
 */

/* First of all: in this process the walrcv_ functions note what they raise. */
extern void ws_pull_link_init(void);

/* In ereport(ERROR): it is the upstream that is to blame. */
extern int	ws_pull_errupstream(void);

/*
 * For whoever has caught an error and goes on: was it the upstream's?  That is
 * forgotten with the answer.
 */
extern bool ws_pull_take_blame(void);

/* What an error has interrupted is over: transaction, locks, files, waits. */
extern void ws_pull_clean_up(void);

/*----------------------------------------------------------------
 * upstream.c
 *----------------------------------------------------------------
 */

/* False if no host answers or lets us in: *error is palloc'd. */
extern bool ws_pull_connect(WsPull *pull, char **error);
extern void ws_pull_disconnect(WsPull *pull);

/* The connection alone, where the process ends. */
extern void ws_pull_hang_up(WsPull *pull);

/* Ask the upstream where it is. */
extern void ws_pull_identify(WsPull *pull);

/* An ERROR if the connection is lost. */
extern void ws_pull_check_connection(WsPull *pull);

/*
 * Refuse an upstream of another major version, by ERROR; asks nothing, which
 * another version might not understand.
 */
extern void ws_pull_check_version(const WsPull *pull);

/*
 * Does the upstream's WAL come from this relay itself (chain.h)?  Then the state
 * says so, and WS_PULL_RETRY; else WS_PULL_NEXT.  First of all: nothing may be
 * left behind there.
 */
extern WsPullEnd ws_pull_check_chain(WsPull *pull);

/*
 * Refuse an upstream whose WAL cannot be ours, by ERROR; or one on a timeline for
 * which the relay is sealed, WS_PULL_RETRY.  Then see to the slot: WS_PULL_NEXT.
 */
extern WsPullEnd ws_pull_check_upstream(WsPull *pull);

/*
 * START_REPLICATION: WS_PULL_NEXT in the COPY.  A slot with which nobody is let
 * in any more is dropped instead, and WS_PULL_CHANGED makes another one.
 */
extern WsPullEnd ws_pull_start_streaming(WsPull *pull, const WalRcvStreamOptions *options);

/*
 * The upstream has ended the COPY at received_lsn: WS_PULL_NEXT at the end of the
 * timeline, or WS_PULL_RETRY because it stops; then the connection is over, which
 * is nothing unusual.
 */
extern WsPullEnd ws_pull_end_streaming(WsPull *pull, const WsPlanStart *start,
									   XLogRecPtr received_lsn);

/*----------------------------------------------------------------
 * plan.c
 *----------------------------------------------------------------
 */

/*
 * Decide where to begin: WS_PULL_NEXT and *start, with the upstream's histories
 * durable.  Begins a new range where there is no WAL, or that is allowed.
 */
extern WsPullEnd ws_pull_plan(WsPull *pull, WsPlanStart *start);

/* The upstream says at the start of the stream that it has not the WAL. */
extern WsPullEnd ws_pull_be_in_gap(WsPull *pull, const WsPlanStart *start);

/*----------------------------------------------------------------
 * reason.c
 *----------------------------------------------------------------
 */

/* For the state and the log's detail, palloc'd. */
extern char *ws_pull_reason(const WsPull *pull, const WsPlanInput *input,
							const WsPlanWhy *why);

/* What helps where it is diverged for this reason. */
extern const char *ws_pull_reason_hint(const WsPlanWhy *why);

/*----------------------------------------------------------------
 * histories.c
 *----------------------------------------------------------------
 */

/* That of the upstream's timeline, and its file. */
typedef struct WsPullHistory
{
	WsHistory  *line;
	const char *content;
	size_t		len;
} WsPullHistory;

extern void ws_pull_ask_history(WsPull *pull, WsPullHistory *history);

/*
 * Store the history files up to the upstream's timeline in a store whose WAL
 * begins at first_lsn.
 */
extern void ws_pull_store_histories(WsPull *pull, const WsStore *store,
									const WsPullHistory *theirs, XLogRecPtr first_lsn);

/*----------------------------------------------------------------
 * range.c
 *----------------------------------------------------------------
 */

/* Begin there; where WAL is stored, with the first bytes in stored.new_range. */
extern void ws_pull_range_begin(WsPull *pull, const WsPlanStart *start);

/*
 * The first bytes are durable: set aside what is stored, and put the new range
 * in its place.
 */
extern void ws_pull_range_enter(WsPull *pull, const WsPlanStart *start);

/*----------------------------------------------------------------
 * check.c
 *----------------------------------------------------------------
 */

typedef struct WsPullCheck
{
	TimeLineID	tli;
	XLogRecPtr	lsn;			/* what is behind this is not checked yet;
								 * Invalid: all is */
	XLogRecPtr	needed_lsn;		/* and cannot be before there is WAL up to
								 * here */
	TimeLineID	parent_tli;		/* what is before this was stored of that one
								 * or, in the segment in which it was left, of
								 * the next; 0: not */
	TimeLineID	parent_next_tli;
	XLogRecPtr	parent_end_lsn;
	WsStoreReader *parent;
}			WsPullCheck;

/* In the memory context that lives as long as the stream. */
extern void ws_pull_check_begin(WsPullCheck * check, const WsPull *pull,
								const WsPlanStart *start);

/* Is something before lsn not checked? */
static inline bool
ws_pull_is_unchecked(const WsPullCheck * check, XLogRecPtr lsn)
{
	return !XLogRecPtrIsInvalid(check->lsn) && lsn > check->lsn;
}

/* As much of what there is before lsn as may be told. */
static inline XLogRecPtr
ws_pull_checked(const WsPullCheck * check, XLogRecPtr lsn)
{
	return ws_pull_is_unchecked(check, lsn) ? check->lsn : lsn;
}

/*
 * Look at what is to be written at lsn, or at what has been written up to
 * end_lsn, if that is to be checked: WS_PULL_NEXT, or it diverges.
 */
extern WsPullEnd ws_pull_check_incoming(const WsPull *pull, const WsPullCheck * check,
										XLogRecPtr lsn, const char *data, size_t len);
extern WsPullEnd ws_pull_check_records(const WsPull *pull, WsPullCheck * check,
									   XLogRecPtr end_lsn);

/*
 * It has diverged, and the writer is gone: remove what was written up to end_lsn
 * of a timeline of which nothing has counted.
 */
extern void ws_pull_check_drop(const WsPull *pull, const WsPlanStart *start,
							   XLogRecPtr end_lsn);

/*----------------------------------------------------------------
 * stream.c
 *----------------------------------------------------------------
 */

/* Receive one timeline until it or the connection ends. */
extern WsPullEnd ws_pull_stream(WsPull *pull, const WsPlanStart *start);

/*
 * An error has ended the stream, or the process ends, in order or not: keep
 * what has arrived, and tell the upstream if reply is set.
 */
extern void ws_pull_stream_finish(WsPull *pull, bool reply);

/*----------------------------------------------------------------
 * halt.c
 *----------------------------------------------------------------
 */

/*
 * The upstream may come to where we are, and is asked again and again; or it never
 * will, and an operator gives up what we have.
 */
extern WsPullEnd ws_pull_be_behind(const char *reason);

/* It has nothing yet to begin with. */
extern WsPullEnd ws_pull_wait_for_wal(const char *reason);

/* Stop because its WAL is not a continuation of what is stored. */
extern WsPullEnd ws_pull_diverge(const char *reason, const char *hint);

/* Stop because it is not what is stored, for this reason. */
extern WsPullEnd ws_pull_differ(const char *reason);

/*
 * Does this error of the upstream say that it no longer has the WAL that was
 * asked for?
 */
extern bool ws_pull_says_removed(const char *message);

/* Stop because WAL is missing, for this reason. */
extern WsPullEnd ws_pull_halt_in_gap(const char *reason);

/* The relay is sealed for the upstream's timeline: state and WS_PULL_RETRY. */
extern WsPullEnd ws_pull_be_sealed(const WsPull *pull);

/* The state and a line in the log: there is no room for WAL from lsn on. */
extern void ws_pull_report_no_room(const WsPull *pull, XLogRecPtr lsn);

/*----------------------------------------------------------------
 * reply.c
 *----------------------------------------------------------------
 */

/* With a new connection or timeline: nothing has been told yet. */
extern void ws_pull_reply_begin(WalReceiverConn *conn);

/*
 * Tell the positions if they have changed, wal_receiver_status_interval has
 * passed, or force is set; with ping, the upstream is to answer.
 */
extern void ws_pull_reply(WalReceiverConn *conn, XLogRecPtr written_lsn,
						  XLogRecPtr flushed_lsn, bool force, bool ping);

/*
 * Tell what downstreams and slots need, if that has changed, but not twice within
 * a second, or wal_receiver_status_interval has passed.
 */
extern void ws_pull_feedback(WalReceiverConn *conn);

/* When a reply, or feedback that has changed, is due even if nothing happens. */
extern TimestampTz ws_pull_reply_due(void);

#endif							/* WS_RELAY_WALRECEIVER_STATE_H */
