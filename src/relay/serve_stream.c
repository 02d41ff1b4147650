/*-------------------------------------------------------------------------
 *
 * serve_stream.c
 *	  START_REPLICATION of a relay sender: sends stored WAL for as long as the
 *	  timeline and the client last.
 *
 * The protocol, the timeouts and the states are those of PostgreSQL's
 * walsender.  A timeline ends with CopyDone at the point where the relay's
 * upstream left it, whether that was long ago or happens while we stream; a
 * stop of the server with a last cycle, in which the client confirms all that
 * the relay has.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog_internal.h"
#include "catalog/pg_type.h"
#include "libpq/libpq.h"
#include "libpq/pqformat.h"
#include "relay.h"
#include "replication/walsender.h"
#include "sender.h"
#include "serve_client.h"
#include "serve_reply.h"
#include "serve_session.h"
#include "slots.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* One message carries at most this much WAL, as PostgreSQL's. */
#define MAX_SEND_SIZE	(XLOG_BLCKSZ * 16)

typedef struct Stream
{
	MemoryContext context;		/* of everything in here */
	WsStore		store;
	WsStoreReader *reader;
	WsSender   *sender;
	const char *slot_name;		/* NULL: none */
	bool		slot_has_position;
	WsReplies  *replies;
	StringInfoData message;

	/* the timeline being sent */
	TimeLineID	tli;
	bool		historic;		/* the relay has gone on to next_tli at
								 * end_lsn */
	TimeLineID	next_tli;
	XLogRecPtr	end_lsn;

	XLogRecPtr	start_lsn;
	XLogRecPtr	sent_lsn;		/* put into the output buffer */
	XLogRecPtr	published_lsn;	/* handed to the socket, and shown */
	bool		caught_up;		/* nothing is left to send at the moment */
	bool		done_sending;	/* CopyDone was sent */
	bool		done_receiving; /* ... and received */

	/* timeouts */
	TimestampTz now;
	TimestampTz last_reply_time;
	bool		waiting_for_reply;
	WsSenderState state;
} Stream;

static Stream *stream = NULL;

static void
set_state(WsSenderState state)
{
	if (stream->state != state)
	{
		stream->state = state;
		ws_sender_set_state(stream->sender, state);
	}
}

/*
 * Our timeline is not the one that the relay is on now: find where it was
 * left.  False if it does not lead there.
 */
static bool
find_timeline_end(TimeLineID current_tli)
{
	WsHistory  *history = ws_store_read_history(&stream->store, current_tli);
	bool		found;

	found = ws_history_find(history, stream->tli, &stream->end_lsn,
							&stream->next_tli);
	stream->historic = found && stream->next_tli != 0;
	pfree(history->entries);
	pfree(history);
	return stream->historic;
}

/*
 * Which timeline to send, and from where.  The start is checked loosely, as
 * clients begin at a segment's start, which may be before the timeline's.
 */
static void
choose_timeline(const StartReplicationCmd *cmd)
{
	TimeLineID	current_tli;
	XLogRecPtr	flushed_lsn;

	ws_serve_get_position(&current_tli, &flushed_lsn);
	stream->tli = cmd->timeline != 0 ? cmd->timeline : current_tli;
	stream->replies->limit_lsn = flushed_lsn;
	if (stream->tli == current_tli)
		return;

	if (!find_timeline_end(current_tli))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("requested timeline %u is not in the history of this relay",
						stream->tli),
				 errdetail("The relay's latest timeline is %u.", current_tli)));
	stream->replies->limit_lsn = stream->end_lsn;
}

/* As PostgreSQL after CopyBothResponse, and so within the COPY. */
static void
check_start(void)
{
	TimeLineID	tli;
	XLogRecPtr	flushed_lsn;

	if (stream->historic)
		return;
	ws_serve_get_position(&tli, &flushed_lsn);
	if (tli == stream->tli && flushed_lsn < stream->start_lsn)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("requested starting point %X/%X is ahead of the WAL flush position of this relay %X/%X",
						LSN_FORMAT_ARGS(stream->start_lsn),
						LSN_FORMAT_ARGS(flushed_lsn))));
}

/*
 * Up to where can be sent: false if nothing can be said now, which is so
 * while the receiver opens the store anew.
 */
static bool
get_limit(XLogRecPtr *limit_lsn)
{
	TimeLineID	tli;

	if (!stream->historic)
	{
		if (!ws_relay_get_position(&tli, limit_lsn))
			return false;
		if (tli != stream->tli && !find_timeline_end(tli))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("timeline %u does not lead to timeline %u, which the relay has followed",
							stream->tli, tli)));
	}
	if (stream->historic)
		*limit_lsn = stream->end_lsn;

	stream->replies->limit_lsn = *limit_lsn;
	ws_lag_note(&stream->replies->lag, *limit_lsn, stream->now);
	return true;
}

static void
send_copy_done(void)
{
	if (stream->done_sending)
		return;
	pq_putmessage_noblock(PqMsg_CopyDone, NULL, 0);
	stream->done_sending = true;
}

static void
send_keepalive(bool request_reply)
{
	StringInfo	message = &stream->message;

	resetStringInfo(message);
	pq_sendbyte(message, 'k');
	pq_sendint64(message, stream->sent_lsn);
	pq_sendint64(message, GetCurrentTimestamp());
	pq_sendbyte(message, request_reply ? 1 : 0);
	pq_putmessage_noblock(PqMsg_CopyData, message->data, message->len);

	if (request_reply)
		stream->waiting_for_reply = true;
}

/*
 * A slot that has had no position holds WAL from here on.
 */
static void
note_slot_position(void)
{
	if (stream->slot_name != NULL && !stream->slot_has_position)
	{
		stream->slot_has_position = true;
		ws_slot_advance(&stream->store, stream->tli, stream->start_lsn);
	}
}

static void
send_wal(XLogRecPtr end_lsn, XLogRecPtr limit_lsn)
{
	StringInfo	message = &stream->message;
	size_t		len = end_lsn - stream->sent_lsn;
	int			time_offset;
	int64		now;

	resetStringInfo(message);
	pq_sendbyte(message, 'w');
	pq_sendint64(message, stream->sent_lsn);
	pq_sendint64(message, limit_lsn);
	time_offset = message->len;
	pq_sendint64(message, 0);

	enlargeStringInfo(message, len);
	ws_store_read(stream->reader, stream->tli,
				  stream->historic ? stream->next_tli : 0,
				  stream->sent_lsn, message->data + message->len, len);
	message->len += len;
	message->data[message->len] = '\0';
	note_slot_position();

	now = (int64) pg_hton64((uint64) GetCurrentTimestamp());
	memcpy(message->data + time_offset, &now, sizeof(now));
	pq_putmessage_noblock(PqMsg_CopyData, message->data, message->len);
	stream->sent_lsn = end_lsn;
}

/*
 * Send the next piece of WAL, if there is one: up to the end, or else to a
 * page boundary, so that no record's header is cut.
 */
static void
send_next(void)
{
	XLogRecPtr	limit_lsn;
	XLogRecPtr	end_lsn;

	stream->caught_up = true;
	if (stream->done_sending || !get_limit(&limit_lsn))
		return;

	/* a client may have bytes behind the end, of an incomplete record */
	if (stream->historic && stream->end_lsn <= stream->sent_lsn)
	{
		elog(DEBUG1, "relay sender reached end of timeline %u at %X/%X (sent up to %X/%X)",
			 stream->tli, LSN_FORMAT_ARGS(stream->end_lsn),
			 LSN_FORMAT_ARGS(stream->sent_lsn));
		send_copy_done();
		return;
	}
	if (limit_lsn <= stream->sent_lsn)
		return;

	end_lsn = stream->sent_lsn + MAX_SEND_SIZE;
	if (end_lsn >= limit_lsn)
		end_lsn = limit_lsn;
	else
		end_lsn -= end_lsn % XLOG_BLCKSZ;
	stream->caught_up = end_lsn == limit_lsn && !stream->historic;

	send_wal(end_lsn, limit_lsn);
}

/* All that was sent has been handed to the socket: show it. */
static void
publish_sent(void)
{
	if (stream->published_lsn == stream->sent_lsn)
		return;
	stream->published_lsn = stream->sent_lsn;
	ws_sender_set_sent(stream->sender, stream->tli, stream->sent_lsn);

	if (update_process_title)
	{
		char		title[50];

		snprintf(title, sizeof(title), "streaming %X/%X",
				 LSN_FORMAT_ARGS(stream->sent_lsn));
		set_ps_display(title);
	}
}

/*
 * Take all messages that have arrived.  What comes after the client's CopyDone
 * is the next command, and not for us.
 */
static void
take_replies(void)
{
	bool		received = false;

	while (!stream->done_receiving)
	{
		WsClientMessage message;
		WsReadResult result = ws_client_read(WS_EXPECT_COPY, &message);

		if (result == WS_READ_NOTHING)
			break;
		if (result == WS_READ_EOF)
		{
			ereport(COMMERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("unexpected EOF on standby connection")));
			ws_client_gone();
		}

		switch (message.type)
		{
			case PqMsg_CopyData:
				stream->replies->sent_lsn = stream->sent_lsn;
				if (ws_replies_take(stream->replies, &message.content))
					send_keepalive(false);
				break;
			case PqMsg_CopyDone:
				send_copy_done();
				stream->done_receiving = true;
				break;
			case PqMsg_Terminate:
				ws_client_gone();
		}
		received = true;
		CHECK_FOR_INTERRUPTS();
	}

	if (received)
	{
		stream->last_reply_time = stream->now;
		stream->waiting_for_reply = false;
	}
}

/*
 * The client has to answer within wal_sender_timeout; it is asked to after
 * half of that.
 */
static void
check_timeout(void)
{
	if (wal_sender_timeout <= 0)
		return;

	if (stream->now >= TimestampTzPlusMilliseconds(stream->last_reply_time,
												   wal_sender_timeout))
	{
		/* not to the client, which most likely cannot be reached */
		ereport(COMMERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("terminating walsender process due to replication timeout")));
		ws_client_gone();
	}

	if (!stream->waiting_for_reply &&
		stream->now >= TimestampTzPlusMilliseconds(stream->last_reply_time,
												   wal_sender_timeout / 2))
	{
		send_keepalive(true);
		ws_client_flush_some();
	}
}

static long
compute_sleep_ms(void)
{
	int			timeout = wal_sender_timeout;

	if (timeout <= 0)
		return -1;
	if (!stream->waiting_for_reply)
		timeout /= 2;
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
										   TimestampTzPlusMilliseconds(stream->last_reply_time, timeout));
}

static void
wait_for_work(void)
{
	uint32		events = 0;

	if (!stream->done_receiving)
		events |= WL_SOCKET_READABLE;
	if (pq_is_send_pending())
		events |= WL_SOCKET_WRITEABLE;
	ws_client_wait(events, compute_sleep_ms(), WAIT_EVENT_WAL_SENDER_MAIN);
}

/*
 * The last cycle: the server stops, and all there is has been sent.  End once
 * the client has confirmed it: flushed it, or written it if it never says what
 * it has flushed, as pg_receivewal does.
 */
static void
finish_last_cycle(void)
{
	WsReplies  *replies = stream->replies;
	XLogRecPtr	confirmed_lsn = replies->flush_lsn;

	if (XLogRecPtrIsInvalid(confirmed_lsn))
		confirmed_lsn = replies->write_lsn;

	if (confirmed_lsn >= stream->sent_lsn)
	{
		ws_client_send_complete("COPY 0");
		ws_client_flush();
		proc_exit(0);
	}
	if (!stream->waiting_for_reply)
	{
		send_keepalive(true);
		ws_client_flush_some();
	}
}

/* Nothing is left to be sent, and nothing waits in the output buffer. */
static void
become_caught_up(void)
{
	if (stream->state == WS_SENDER_CATCHUP)
	{
		ereport(DEBUG1,
				(errmsg_internal("\"%s\" has now caught up with the relay",
								 application_name)));
		set_state(WS_SENDER_STREAMING);
	}
	if (ws_session_is_stopping())
		finish_last_cycle();
}

/* Stream until both sides have said CopyDone. */
static void
run_stream(void)
{
	stream->now = GetCurrentTimestamp();
	stream->last_reply_time = stream->now;

	for (;;)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		ws_session_reload();
		if (ws_session_is_stopping())
			set_state(WS_SENDER_STOPPING);

		stream->now = GetCurrentTimestamp();
		take_replies();
		if (stream->done_receiving && stream->done_sending &&
			!pq_is_send_pending())
			break;

		if (pq_is_send_pending())
			stream->caught_up = false;
		else
			send_next();
		ws_client_flush_some();

		if (!pq_is_send_pending())
		{
			publish_sent();
			if (stream->caught_up)
				become_caught_up();
		}

		check_timeout();
		if (stream->done_receiving && stream->done_sending &&
			!pq_is_send_pending())
			break;
		if (stream->caught_up || pq_is_send_pending())
			wait_for_work();
	}
}

/*
 * Whatever the client has in its output is to leave first: CopyBothResponse
 * and what follows can then be told apart from it.
 */
static void
begin_copy(void)
{
	StringInfoData buf;

	ws_client_flush();
	ws_sender_set_segment_size(stream->store.identity.segment_size);
	set_state(WS_SENDER_CATCHUP);

	pq_beginmessage(&buf, PqMsg_CopyBothResponse);
	pq_sendbyte(&buf, 0);
	pq_sendint16(&buf, 0);
	pq_endmessage(&buf);
	ws_client_flush_some();
}

/* What follows the end of a timeline that has a successor. */
static void
send_next_timeline(void)
{
	static const WsColumn columns[] = {
		{"next_tli", INT8OID},
		{"next_tli_startpos", TEXTOID}
	};
	const char *values[2];

	values[0] = psprintf("%u", stream->next_tli);
	values[1] = psprintf("%X/%X", LSN_FORMAT_ARGS(stream->end_lsn));
	ws_client_send_row(columns, 2, values);
}

/*
 * Make the stream, in a context of its own, under the one for the command.
 */
static void
make_stream(const StartReplicationCmd *cmd)
{
	MemoryContext context;
	Stream	   *made;

	context = AllocSetContextCreate(TopMemoryContext, "walstream relay stream",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	made = palloc0(sizeof(Stream));
	made->context = context;
	stream = made;

	ws_serve_get_store(&stream->store);
	stream->sender = ws_session_sender();
	stream->state = WS_SENDER_STARTUP;
	stream->start_lsn = stream->sent_lsn = cmd->startpoint;
	stream->reader = ws_store_reader_new(&stream->store);
	initStringInfo(&stream->message);

	stream->replies = palloc0(sizeof(WsReplies));
	stream->replies->sender = stream->sender;
	stream->replies->store = &stream->store;
	for (int i = 0; i < WS_LAG_READERS; i++)
		stream->replies->lag_us[i] = WS_LAG_UNKNOWN;
}

static void
take_slot(const char *name)
{
	WsSlotSnapshot slot;

	ws_slot_acquire(name);
	stream->slot_name = name;
	stream->slot_has_position = ws_slot_get(name, &slot) &&
		!XLogRecPtrIsInvalid(slot.restart_lsn);
	stream->replies->has_slot = true;
	ws_sender_set_relay_slot(stream->sender, name);
}

void
ws_serve_stream_cleanup(void)
{
	MemoryContext context;

	if (stream == NULL)
		return;
	context = stream->context;
	if (stream->slot_name != NULL)
		ws_sender_set_relay_slot(stream->sender, NULL);
	stream = NULL;
	MemoryContextDelete(context);
}

void
ws_serve_stream(const StartReplicationCmd *cmd)
{
	MemoryContext command_context = CurrentMemoryContext;
	bool		had_slot;

	if (cmd->kind != REPLICATION_KIND_PHYSICAL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a relay does not serve logical replication"),
				 errhint("Connect to the primary or to a standby.")));

	make_stream(cmd);
	if (cmd->slotname != NULL)
		take_slot(cmd->slotname);
	choose_timeline(cmd);
	stream->replies->tli = stream->tli;

	/* PostgreSQL enters no COPY where nothing can be in it */
	if (!stream->historic || stream->start_lsn != stream->end_lsn)
	{
		ws_session_set_copying(true);
		begin_copy();
		check_start();
		ws_sender_set_sent(stream->sender, stream->tli, stream->sent_lsn);
		stream->published_lsn = stream->sent_lsn;
		run_stream();
		ws_session_set_copying(false);
		set_state(WS_SENDER_STARTUP);
	}

	had_slot = stream->slot_name != NULL;
	if (had_slot)
		ws_slot_release();

	MemoryContextSwitchTo(command_context);
	if (stream->historic)
		send_next_timeline();
	ws_client_send_complete("START_STREAMING");
	ws_serve_stream_cleanup();
}
