/*-------------------------------------------------------------------------
 *
 * stream.h
 *	  A stream of one timeline's WAL, for the files that receive it.
 *
 *	stream.c		the connection: receiving messages and waiting for them
 *	write.c			writing the WAL that has come
 *	publish.c		making it durable and publishing it
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_WALRECEIVER_STREAM_H
#define WS_RELAY_WALRECEIVER_STREAM_H

#include "relay/walreceiver/state.h"
#include "relay/xids.h"

typedef struct WsRcvStream
{
	WsRcv	   *rcv;
	WsPlanStart start;
	MemoryContext context;
	WsStoreWriter *writer;
	bool		resumes;		/* report begin_lsn at once */
	bool		usable;			/* the writer is not in the middle of
								 * something */
	WsRcvCheck	check;

	WsRelayState state;
	XLogRecPtr	target_lsn;		/* the upstream's end when the stream began */
	XLogRecPtr	received_lsn;	/* everything before this has come and is
								 * written */
	XLogRecPtr	flushed_lsn;	/* of the store */
	WsXidScan	xids;			/* scan of the WAL that has come */
	XLogRecPtr	upstream_lsn;	/* end of the upstream's WAL, as last reported */
	TimestampTz deferred_since; /* since when the flush has been deferred; 0
								 * if it is not */

	TimestampTz heard_time;		/* when we last got a message, or could not
								 * look for one */
	bool		pinged;			/* we have asked for an answer since then */
	bool		answer_wanted;	/* the upstream has asked for one */
	TimestampTz feedback_check;
} WsRcvStream;

/*----------------------------------------------------------------
 * write.c
 *----------------------------------------------------------------
 */

/*
 * Store a piece of WAL.  Returns WS_RCV_NEXT, or how the stream ends.  Waits
 * for room if there is none.
 */
extern WsRcvEnd ws_rcv_stream_take_wal(WsRcvStream *s, XLogRecPtr lsn,
									   const char *data, size_t len);

/*----------------------------------------------------------------
 * publish.c
 *----------------------------------------------------------------
 */

/* Report our positions to the upstream, see ws_rcv_reply(). */
extern void ws_rcv_stream_reply(WsRcvStream *s, bool force, bool ping);

extern void ws_rcv_stream_show_state(WsRcvStream *s, WsRelayState state);

/* Make a writer for the stream's position. */
extern WsStoreWriter *ws_rcv_stream_new_writer(WsRcvStream *s);

/* Make the written WAL durable, and publish it. */
extern void ws_rcv_stream_keep(WsRcvStream *s);

/* The same, and show the progress. */
extern void ws_rcv_stream_flush(WsRcvStream *s);

/* Show what is written before it is durable. */
extern void ws_rcv_stream_publish_written(WsRcvStream *s);

/*
 * Note that we have caught up; an upstream that has nothing for us sends no
 * message.
 */
extern void ws_rcv_stream_note_caught_up(WsRcvStream *s);

#endif							/* WS_RELAY_WALRECEIVER_STREAM_H */
