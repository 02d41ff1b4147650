/*-------------------------------------------------------------------------
 *
 * stream.c
 *	  START_REPLICATION of a relay sender: runs the COPY until the timeline or
 *	  the client ends it.
 *
 * The protocol, the timeouts and the states are those of PostgreSQL's
 * walsender.  A stop of the server asks for a last cycle, in which the client
 * confirms all that the relay has.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "guc.h"
#include "libpq/libpq.h"
#include "libpq/pqformat.h"
#include "relay/chain.h"
#include "relay/slots/slots.h"
#include "relay/walsender/client.h"
#include "relay/walsender/served.h"
#include "relay/walsender/session.h"
#include "relay/walsender/stream.h"
#include "replication/walsender.h"
#include "sender.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "throttle.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/*
 * Most replies taken at a time, so that a client that keeps sending does not
 * keep us from other work.
 */
#define MAX_REPLIES		1000

/*
 * How often a client that has not confirmed everything is asked in the last
 * cycle.
 */
#define ASK_AGAIN_MS	100

static WsStream *stream = NULL;

static void
set_state(WsSenderState state)
{
	if (stream->state != state)
	{
		stream->state = state;
		ws_senders_set_state(stream->sender, state);
	}
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
 * Send one keepalive, however often the client has asked: answers for a client
 * that asks and does not read would pile up.
 */
static void
answer(void)
{
	if (stream->wants_answer && !stream->done_sending)
		send_keepalive(false);
	stream->wants_answer = false;
}

/*
 * Returns true if the client has confirmed more than ever before.  WAL that it
 * was not sent does not count.
 */
static bool
note_progress(void)
{
	XLogRecPtr	written_lsn = Min(stream->replies->write_lsn, stream->sent_lsn);
	XLogRecPtr	flushed_lsn = Min(stream->replies->flush_lsn, stream->sent_lsn);
	bool		progress = written_lsn > stream->most_written_lsn ||
		flushed_lsn > stream->most_flushed_lsn;

	stream->most_written_lsn = Max(stream->most_written_lsn, written_lsn);
	stream->most_flushed_lsn = Max(stream->most_flushed_lsn, flushed_lsn);
	return progress;
}

/*
 * Take the messages that have arrived.  Messages after the client's CopyDone
 * belong to the next command.
 */
static void
take_replies(void)
{
	int			received = 0;

	stream->has_more_replies = true;
	while (!stream->done_receiving && received < MAX_REPLIES)
	{
		WsClientMessage message;
		WsReadResult result = ws_client_read(WS_EXPECT_COPY, &message);

		if (result == WS_READ_NOTHING)
		{
			stream->has_more_replies = false;
			break;
		}
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
					stream->wants_answer = true;
				break;
			case PqMsg_CopyDone:
				ws_stream_send_copy_done(stream);
				stream->done_receiving = true;
				break;
			case PqMsg_Terminate:
				ws_client_gone();
		}
		received++;
		CHECK_FOR_INTERRUPTS();
	}
	if (stream->done_receiving)
		stream->has_more_replies = false;

	if (received == 0)
		return;
	stream->waiting_for_reply = false;

	/*
	 * a stop does not wait for a client that sends replies but confirms
	 * nothing new
	 */
	if (note_progress() || !ws_session_is_stopping())
		stream->last_reply_time = stream->now;
}

/*
 * Ask the client to answer after half of wal_sender_timeout, and give it up
 * after all of it.
 */
static void
check_timeout(void)
{
	if (wal_sender_timeout <= 0)
		return;

	if (stream->now >= TimestampTzPlusMilliseconds(stream->last_reply_time,
												   wal_sender_timeout))
	{
		/* not to the client, which can probably not be reached */
		ereport(COMMERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("terminating walsender process due to replication timeout"),
				 errdetail("The client was sent WAL up to " WS_LSN " and has confirmed to have flushed it up to " WS_LSN ".",
						   LSN_FORMAT_ARGS(stream->sent_lsn),
						   LSN_FORMAT_ARGS(stream->replies->flush_lsn))));
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

/*
 * Returns the time until which a stop waits for this client; DT_NOEND if there
 * is no limit.
 */
static TimestampTz
find_stop_deadline(void)
{
	if (stream->stop_time == 0 || ws_shutdown_timeout_ms() < 0)
		return DT_NOEND;
	return TimestampTzPlusMilliseconds(stream->stop_time, ws_shutdown_timeout_ms());
}

/*
 * End the stream when a stop has waited for wal_sender_shutdown_timeout, if
 * that is set.  A client that reads is told that the stream has ended; it may
 * not have all of it.
 */
static void
check_stop_deadline(void)
{
	if (stream->now < find_stop_deadline())
		return;

	/* more output would have to wait for what it does not read */
	if (!pq_is_send_pending())
	{
		ws_client_send_complete("COPY 0");
		ws_client_flush_some();
	}
	ereport(COMMERROR,
			(errcode(ERRCODE_ADMIN_SHUTDOWN),
			 errmsg("terminating walsender process due to wal_sender_shutdown_timeout"),
			 errdetail("\"%s\" may not have received all WAL up to " WS_LSN ".",
					   application_name, LSN_FORMAT_ARGS(stream->sent_lsn))));
	proc_exit(0);
}

static long
compute_sleep_ms(void)
{
	TimestampTz deadline = find_stop_deadline();
	int			timeout = wal_sender_timeout;
	TimestampTz save_due = ws_slot_save_due(&stream->store);
	long		sleep_ms;

	if (timeout <= 0)
		sleep_ms = -1;
	else
	{
		if (!stream->waiting_for_reply)
			timeout /= 2;
		sleep_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
												   TimestampTzPlusMilliseconds(stream->last_reply_time, timeout));
	}

	/* the client can be asked again */
	if (stream->asked_time != 0 && !stream->waiting_for_reply &&
		(sleep_ms < 0 || sleep_ms > ASK_AGAIN_MS))
		sleep_ms = ASK_AGAIN_MS;
	if (deadline != DT_NOEND)
	{
		long		left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
															  deadline);

		if (sleep_ms < 0 || sleep_ms > left_ms)
			sleep_ms = left_ms;
	}

	if (save_due != DT_NOEND)
	{
		long		save_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
															  save_due) + 1;

		if (sleep_ms < 0 || sleep_ms > save_ms)
			sleep_ms = save_ms;
	}
	return sleep_ms;
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
 * The last cycle: the server stops, and everything has been sent.  End when
 * the client has confirmed that it has flushed everything, or written it, if
 * it never reports a flush position, like pg_receivewal.  A client that was
 * sent nothing has nothing to confirm, and may not be able to: a receiver
 * reports no position before it has received something.
 */
static void
finish_last_cycle(void)
{
	WsReplies  *replies = stream->replies;
	XLogRecPtr	confirmed_lsn = replies->flush_lsn;

	if (XLogRecPtrIsInvalid(confirmed_lsn))
		confirmed_lsn = replies->write_lsn;

	if (confirmed_lsn >= stream->sent_lsn ||
		stream->sent_lsn == stream->start_lsn)
	{
		ws_client_send_complete("COPY 0");
		ws_client_flush_some();
		proc_exit(0);
	}

	/*
	 * a client that has not confirmed everything answers at once, again and
	 * again
	 */
	if (!stream->waiting_for_reply &&
		stream->now >= TimestampTzPlusMilliseconds(stream->asked_time, ASK_AGAIN_MS))
	{
		stream->asked_time = stream->now;
		send_keepalive(true);
		ws_client_flush_some();
	}
}

/*
 * End the stream of another relay if our WAL now comes through relays that it
 * does not know; it may be one of them.  It will ask again when it connects.
 */
static void
end_for_new_chain(void)
{
	ereport(LOG,
			(errmsg("ending the stream to relay \"%s\": its WAL comes through other relays now",
					application_name),
			 errdetail("It connects again, and sees whether it is one of them.")));

	/* more output would have to wait for what it does not read */
	ws_throttle_note_stopping();
	if (!pq_is_send_pending())
	{
		ws_client_send_complete("COPY 0");
		ws_client_flush_some();
	}
	proc_exit(0);
}

/*
 * Returns true if nothing is left to be sent, and the output buffer is empty.
 */
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
		(void) ws_guc_reload();
		stream->now = GetCurrentTimestamp();
		if (ws_session_is_stopping())
		{
			set_state(WS_SENDER_STOPPING);
			ws_throttle_note_stopping();
			if (stream->stop_time == 0)
				stream->stop_time = stream->now;
		}
		if (ws_chain_client_must_ask())
			end_for_new_chain();
		take_replies();
		ws_slot_save_if_due(&stream->store);

		if (pq_is_send_pending())
			stream->caught_up = false;
		else
		{
			answer();
			ws_stream_send_next(stream);
		}
		ws_client_flush_some();

		if (!pq_is_send_pending())
		{
			ws_stream_publish_sent(stream);
			if (stream->caught_up)
				become_caught_up();
		}

		check_timeout();
		check_stop_deadline();
		if (stream->done_receiving && stream->done_sending &&
			!pq_is_send_pending())
			break;
		if (!stream->has_more_replies &&
			(stream->caught_up || pq_is_send_pending()))
			wait_for_work();
	}
}

/*
 * From here on, a stop requests a last cycle.  So earlier results must have
 * been sent before, since the client may never read them.
 */
static void
begin_copy(void)
{
	StringInfoData buf;

	ws_client_flush();
	ws_session_set_copying(true);
	ws_sender_set_segment_size(stream->store.identity.segment_size);
	set_state(WS_SENDER_CATCHUP);

	pq_beginmessage(&buf, PqMsg_CopyBothResponse);
	pq_sendbyte(&buf, 0);
	pq_sendint16(&buf, 0);
	pq_endmessage(&buf);
	ws_client_flush_some();
}

/*
 * Make the stream, in a context below the command's.
 */
static void
make_stream(const StartReplicationCmd *cmd)
{
	MemoryContext context;
	WsStream   *made;

	context = AllocSetContextCreate(TopMemoryContext, "walstream relay stream",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	made = palloc0(sizeof(WsStream));
	made->context = context;
	stream = made;

	ws_served_get_store(&stream->store);
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
	stream->replies->slot_name = name;
	ws_senders_set_relay_slot(stream->sender, name);
}

void
ws_stream_cleanup(void)
{
	MemoryContext context;

	if (stream == NULL)
		return;
	context = stream->context;
	if (stream->slot_name != NULL)
		ws_senders_set_relay_slot(stream->sender, NULL);
	stream = NULL;
	MemoryContextDelete(context);
}

void
ws_stream_run(const StartReplicationCmd *cmd)
{
	MemoryContext command_context = CurrentMemoryContext;

	if (cmd->kind != REPLICATION_KIND_PHYSICAL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a relay does not serve logical replication"),
				 errhint("Connect to the primary or to a standby.")));

	make_stream(cmd);
	if (cmd->slotname != NULL)
		take_slot(cmd->slotname);
	ws_stream_choose_timeline(stream, cmd);
	stream->replies->tli = stream->tli;

	/* like PostgreSQL, do not enter a COPY that cannot have any content */
	if (!stream->historic || stream->start_lsn != stream->end_lsn)
	{
		begin_copy();
		ws_stream_check_start(stream);
		ws_senders_set_sent(stream->sender, stream->tli, stream->sent_lsn);
		stream->published_lsn = stream->sent_lsn;
		run_stream();
		ws_session_set_copying(false);
		set_state(WS_SENDER_STARTUP);
	}

	if (stream->slot_name != NULL)
		ws_slot_release();

	MemoryContextSwitchTo(command_context);
	if (stream->historic)
		ws_stream_send_next_timeline(stream);
	ws_client_send_complete("START_STREAMING");
	ws_stream_cleanup();
}
