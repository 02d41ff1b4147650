/*-------------------------------------------------------------------------
 *
 * stream.h
 *	  A relay sender's stream.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_WALSENDER_STREAM_H
#define WS_RELAY_WALSENDER_STREAM_H

#include "lib/stringinfo.h"
#include "nodes/replnodes.h"
#include "relay/walsender/reply.h"

typedef struct WsStream
{
	MemoryContext context;		/* memory context of everything in here */
	WsStore		store;
	WsStoreReader *reader;
	WsSender   *sender;
	const char *slot_name;		/* NULL if none */
	bool		slot_has_position;
	WsReplies  *replies;
	StringInfoData message;

	uint64		generation;		/* number of the range of WAL that is being
								 * sent */

	/* the timeline being sent */
	TimeLineID	tli;
	TimeLineID	relay_tli;		/* the relay's timeline, when we last looked */
	bool		historic;		/* the relay has switched to next_tli at
								 * end_lsn */
	TimeLineID	next_tli;
	XLogRecPtr	end_lsn;
	TimeLineID	switch_tli;		/* the last timeline that begins in the
								 * segment of end_lsn, which may be the first
								 * one stored */

	XLogRecPtr	start_lsn;
	XLogRecPtr	sent_lsn;		/* put into the output buffer */
	XLogRecPtr	published_lsn;	/* handed to the socket, and shown */
	bool		caught_up;		/* nothing is left to send at the moment */
	bool		done_sending;	/* CopyDone was sent */
	bool		done_receiving; /* ... and received */
	bool		has_more_replies;	/* some that have arrived were not taken */

	/* timeouts */
	TimestampTz now;
	TimestampTz last_reply_time;	/* in the last cycle, time of the last
									 * progress */
	XLogRecPtr	most_written_lsn;	/* highest position sent that the client
									 * has ever confirmed */
	XLogRecPtr	most_flushed_lsn;
	bool		waiting_for_reply;
	bool		wants_answer;	/* the client has asked for an answer */
	TimestampTz asked_time;		/* when the client was asked in the last
								 * cycle; 0 if not yet */
	TimestampTz stop_time;		/* when the server began to stop; 0 if not yet */
	WsSenderState state;
} WsStream;

/* Execute START_REPLICATION, except for its last CommandComplete. */
extern void ws_stream_run(const StartReplicationCmd *cmd);

/* After an error, release what a stream has held. */
extern void ws_stream_cleanup(void);

/*----------------------------------------------------------------
 * send.c
 *----------------------------------------------------------------
 */

/* Choose the timeline to send, and its end, if the relay has left it. */
extern void ws_stream_choose_timeline(WsStream *stream, const StartReplicationCmd *cmd);

/* Within the COPY: raise an ERROR if the start is beyond the end of WAL. */
extern void ws_stream_check_start(const WsStream *stream);

/*
 * Put the next piece of WAL into the output buffer, if there is one, or
 * CopyDone at the end of the timeline.  Sets caught_up.
 */
extern void ws_stream_send_next(WsStream *stream);

/* Send CopyDone, unless it has been sent. */
extern void ws_stream_send_copy_done(WsStream *stream);

/* Show the position sent, once everything has been handed to the socket. */
extern void ws_stream_publish_sent(WsStream *stream);

/*
 * After the COPY, if the timeline has a successor: send a row that names it.
 */
extern void ws_stream_send_next_timeline(const WsStream *stream);

#endif							/* WS_RELAY_WALSENDER_STREAM_H */
