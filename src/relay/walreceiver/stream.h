/*-------------------------------------------------------------------------
 *
 * stream.h
 *	  A stream of one timeline's WAL, for the files that receive it.
 *
 *	stream.c		the connection's side: messages, and the waiting for them
 *	write.c			what has come is written
 *	publish.c		what is written is made durable, told and served
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_WALRECEIVER_STREAM_H
#define WS_RELAY_WALRECEIVER_STREAM_H

#include "relay/walreceiver/state.h"
#include "relay/xids.h"

typedef struct WsPullStream
{
	WsPull	   *pull;
	WsPlanStart start;
	MemoryContext context;
	WsStoreWriter *writer;
	bool		resumes;		/* tell begin_lsn at once */
	bool		usable;			/* the writer is not in the middle of
								 * something */
	WsPullCheck check;

	WsRelayState state;
	XLogRecPtr	target_lsn;		/* the upstream's end when this began */
	XLogRecPtr	received_lsn;	/* all before has come, and is written */
	XLogRecPtr	flushed_lsn;	/* of the store */
	WsXidScan	xids;			/* of what has come */
	XLogRecPtr	upstream_lsn;	/* the end of WAL there, as last told */
	TimestampTz deferred_since; /* the flush of what is written; 0: it is not */

	TimestampTz heard_time;		/* when we last had a message, or could not
								 * look for one */
	bool		pinged;			/* since then */
	TimestampTz feedback_check;
} WsPullStream;

/*----------------------------------------------------------------
 * write.c
 *----------------------------------------------------------------
 */

/*
 * Store a piece of WAL: WS_PULL_NEXT, or how the stream ends.  Where there is no
 * room it waits for some.
 */
extern WsPullEnd ws_pull_stream_take_wal(WsPullStream *s, XLogRecPtr lsn,
										 const char *data, size_t len);

/*----------------------------------------------------------------
 * publish.c
 *----------------------------------------------------------------
 */

/* Tell the upstream our positions, as ws_pull_reply(). */
extern void ws_pull_stream_reply(WsPullStream *s, bool force, bool ping);

extern void ws_pull_stream_show_state(WsPullStream *s, WsRelayState state);

/* A writer for where the stream is. */
extern WsStoreWriter *ws_pull_stream_new_writer(WsPullStream *s);

/* Make durable and known what has been written. */
extern void ws_pull_stream_keep(WsPullStream *s);

/* The same, and show how far it is. */
extern void ws_pull_stream_flush(WsPullStream *s);

/* What is written shows before it is durable. */
extern void ws_pull_stream_publish_written(WsPullStream *s);

/* An upstream that has nothing for us sends nothing to tell us so. */
extern void ws_pull_stream_note_caught_up(WsPullStream *s);

#endif							/* WS_RELAY_WALRECEIVER_STREAM_H */
