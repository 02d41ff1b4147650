/*-------------------------------------------------------------------------
 *
 * senders.h
 *	  The shared array of relay senders: the walsenders that serve the stored
 *	  WAL, max_wal_senders of them.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_SENDERS_H
#define WS_RELAY_SENDERS_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "relay/feedback.h"
#include "storage/condition_variable.h"

/* States, as in PostgreSQL's WalSndState. */
typedef enum WsSenderState
{
	WS_SENDER_STARTUP,
	WS_SENDER_CATCHUP,
	WS_SENDER_STREAMING,
	WS_SENDER_STOPPING
} WsSenderState;

typedef struct WsSender WsSender;

typedef struct WsSenderSnapshot
{
	int			slot;			/* index in the array */
	pid_t		pid;			/* 0 if free; then nothing else is set */
	WsSenderState state;
	TimeLineID	tli;
	XLogRecPtr	sent_lsn;		/* handed to the socket up to here */
	XLogRecPtr	write_lsn;
	XLogRecPtr	flush_lsn;
	XLogRecPtr	apply_lsn;
	int64		write_lag_us;	/* -1 if not known */
	int64		flush_lag_us;
	int64		apply_lag_us;
	TimestampTz reply_time;		/* 0 if none yet */
	char		relay_slot[NAMEDATALEN];	/* "" without one */
	char		application_name[NAMEDATALEN];	/* of the client */
} WsSenderSnapshot;

/* In _PG_init of a relay. */
extern void ws_senders_init(void);

/*
 * Claim a free sender for this process, until it exits.  Raises FATAL
 * (TOO_MANY_CONNECTIONS) like PostgreSQL if there is none.
 */
extern WsSender *ws_senders_claim(void);

/* Owner only. */
extern void ws_senders_set_state(WsSender *sender, WsSenderState state);
extern void ws_senders_set_sent(WsSender *sender, TimeLineID tli, XLogRecPtr sent_lsn);
extern void ws_senders_set_reply(WsSender *sender, XLogRecPtr write_lsn,
								 XLogRecPtr flush_lsn, XLogRecPtr apply_lsn,
								 const int64 lag_us[3], TimestampTz reply_time);
extern void ws_senders_set_relay_slot(WsSender *sender, const char *name);

/*
 * Owner only: set the feedback of a downstream without a slot (with one, the
 * slot has it).  It ends with the sender.
 */
extern void ws_senders_set_feedback(WsSender *sender, WsFeedback feedback);

/*
 * Returns the condition variable that is broadcast when a downstream has
 * confirmed more, or has gone.
 */
extern ConditionVariable *ws_senders_news(void);

/*
 * Copy all max_wal_senders entries into a palloc'd array; none in single-user
 * mode.
 */
extern int	ws_senders_snapshot(WsSenderSnapshot **senders);

/*
 * Returns how far the slowest active sender has sent; invalid if none is
 * active.
 */
extern XLogRecPtr ws_senders_oldest_send_lsn(void);

/*
 * Returns the oldest feedback of all connected senders without slot, limited
 * to valid xids (xids.h), and their number.
 */
extern WsFeedback ws_senders_feedback(int *connected);

extern const char *ws_senders_state_name(WsSenderState state);

#endif							/* WS_RELAY_SENDERS_H */
