/*-------------------------------------------------------------------------
 *
 * reply.h
 *	  What a downstream tells its relay sender while it streams.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_WALSENDER_REPLY_H
#define WS_RELAY_WALSENDER_REPLY_H

#include "lib/stringinfo.h"
#include "pure/relay/lag.h"
#include "relay/senders.h"
#include "relay/store/store.h"

typedef struct WsReplies
{
	/* set by the stream */
	WsSender   *sender;
	const WsStore *store;
	const char *slot_name;		/* that has been acquired, or NULL */
	TimeLineID	tli;			/* being streamed */
	XLogRecPtr	sent_lsn;
	XLogRecPtr	limit_lsn;		/* no downstream can have more of tli */

	/* what the downstream has told */
	XLogRecPtr	write_lsn;
	XLogRecPtr	flush_lsn;
	XLogRecPtr	apply_lsn;
	int64		lag_us[WS_LAG_READERS];
	TimestampTz reply_time;		/* 0: none, or none that can be */

	WsLag		lag;
} WsReplies;

/*
 * Act on the content of a CopyData message: a status update, whose flush
 * position moves the slot, or feedback.  Returns whether the client wants an
 * answer.
 */
extern bool ws_replies_take(WsReplies *replies, StringInfo content);

#endif							/* WS_RELAY_WALSENDER_REPLY_H */
