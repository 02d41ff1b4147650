/*-------------------------------------------------------------------------
 *
 * reply.h
 *	  Handles the replies of a downstream while it streams.
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
	const char *slot_name;		/* the acquired slot, or NULL */
	TimeLineID	tli;			/* being streamed */
	XLogRecPtr	sent_lsn;
	XLogRecPtr	limit_lsn;		/* end of all WAL on tli that a downstream can
								 * have */

	/* what the downstream has reported */
	XLogRecPtr	write_lsn;
	XLogRecPtr	flush_lsn;
	XLogRecPtr	apply_lsn;
	int64		lag_us[WS_LAG_READERS];
	TimestampTz reply_time;		/* 0 if none, or if it is not a valid
								 * timestamp */

	WsLag		lag;
} WsReplies;

/*
 * Handle the content of a CopyData message: a status update, whose flush
 * position moves the slot, or feedback.  Returns whether the client asks for
 * an answer.
 */
extern bool ws_replies_take(WsReplies *replies, StringInfo content);

#endif							/* WS_RELAY_WALSENDER_REPLY_H */
