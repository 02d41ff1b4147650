/*-------------------------------------------------------------------------
 *
 * stream.c
 *	  The relay's receiver stores and acknowledges the WAL of one timeline.
 *
 * At each wake-up, everything that has arrived is written and the write
 * acknowledged; then it is made durable with one fdatasync and the flush
 * acknowledged.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog_internal.h"
#include "pgstat.h"
#include "pure/bytes.h"
#include "pure/wire/frame.h"
#include "relay/seal.h"
#include "relay/walreceiver/stream.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/*
 * While the upstream has announced more WAL than it has sent, the next message
 * is near, and one fdatasync for both is better than two.  These limit the
 * wait for one message, the wait in all, and the amount of WAL.  No commit
 * waits for us while we catch up.
 */
#define NEXT_MESSAGE_MS		5
#define DEFER_STREAMING_MS	20
#define DEFER_CATCHING_UP_MS 500
#define MAX_BATCH_BYTES		(16 * 1024 * 1024)

/* How often to look for changed feedback without being woken. */
#define FEEDBACK_CHECK_MS	1000

#define KEEPALIVE_SIZE		(1 + 8 + 8 + 1)

/*
 * The stream is not on the stack, which is gone when ws_rcv_stream_finish()
 * is called after an error.  A stream that is not usable then has failed in
 * the store, and the process ends.
 */
static WsRcvStream stream;
static WsRcvStream *current = NULL;

static WsRcvEnd
take_message(WsRcvStream *s, const char *message, size_t len)
{
	if (message[0] == 'w' && len >= WS_STOCK_HEADER)
	{
		WsStockHeader header;

		ws_stock_header_decode((const uint8 *) message, &header);
		s->upstream_lsn = header.wal_end;
		ws_relay_set_upstream_lsn(header.wal_end, s->heard_time);
		return ws_rcv_stream_take_wal(s, header.start_lsn, message + WS_STOCK_HEADER,
									  len - WS_STOCK_HEADER);
	}

	if (message[0] == 'k' && len == KEEPALIVE_SIZE)
	{
		ws_relay_set_upstream_lsn(ws_bytes_get_net64((const uint8 *) message + 1),
								  s->heard_time);
		if (message[KEEPALIVE_SIZE - 1] != 0)
			s->answer_wanted = true;
		return WS_RCV_NEXT;
	}

	ereport(ERROR,
			(ws_rcv_errupstream(),
			 errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("upstream sent an invalid message of type %d and %zu bytes",
					message[0], len)));
}

/*
 * Get the next message, like walrcv_receive().  Sets *gap if there will be
 * none, because the upstream does not have the WAL.
 */
static int
receive(WsRcvStream *s, char **message, pgsocket *fd, bool *gap)
{
	volatile int len = -1;

	*gap = false;
	if (s->received_lsn != s->start.begin_lsn)
		return walrcv_receive(s->rcv->upstream.conn, message, fd);

	PG_TRY();
	{
		len = walrcv_receive(s->rcv->upstream.conn, message, fd);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(s->context);
		error = CopyErrorData();
		if (!ws_rcv_says_removed(error->message))
			PG_RE_THROW();
		FlushErrorState();
		(void) ws_rcv_take_blame();
		*gap = true;
	}
	PG_END_TRY();
	return len;
}

/* Returns true if the flush has been deferred long enough. */
static bool
deferred_until(const WsRcvStream *s, TimestampTz now)
{
	int			limit_ms = s->state == WS_RELAY_CATCHING_UP ?
		DEFER_CATCHING_UP_MS : DEFER_STREAMING_MS;

	return TimestampDifferenceExceeds(s->deferred_since, now, limit_ms);
}

/* Returns true if the flush should wait for the next message. */
static bool
defer_flush(WsRcvStream *s)
{
	if (s->received_lsn >= s->upstream_lsn ||
		s->received_lsn >= s->flushed_lsn + MAX_BATCH_BYTES)
		return false;
	if (s->deferred_since == 0)
		s->deferred_since = s->heard_time;
	return !deferred_until(s, s->heard_time);
}

/*
 * Take everything that has arrived, beginning with a message, and acknowledge
 * it.  Sets *len to the result of receiving the next message: 0 if there is
 * none, negative if the upstream has ended the stream.
 */
static WsRcvEnd
take_batch(WsRcvStream *s, char *message, int *len, pgsocket *fd)
{
	size_t		bytes = 0;
	bool		gap;

	s->heard_time = GetCurrentTimestamp();
	s->pinged = false;
	s->rcv->decision.earlier_is_gone = false;
	while (*len > 0)
	{
		WsRcvEnd	end = take_message(s, message, *len);

		if (end != WS_RCV_NEXT)
			return end;
		bytes += *len;
		if (bytes >= MAX_BATCH_BYTES)
			break;
		*len = receive(s, &message, fd, &gap);
		if (gap)
			return ws_rcv_be_in_gap(s->rcv, &s->start);
	}
	s->heard_time = GetCurrentTimestamp();

	ws_rcv_stream_publish_written(s);

	/*
	 * At the end of the stream the upstream may be gone already.  If it has
	 * asked for replies, it gets one, before a sync that may take its time.
	 */
	if (*len >= 0)
		ws_rcv_stream_reply(s, s->answer_wanted, false);
	s->answer_wanted = false;
	if (*len == 0 && defer_flush(s))
		return WS_RCV_NEXT;
	ws_rcv_stream_flush(s);
	if (*len >= 0)
		ws_rcv_stream_reply(s, false, false);
	return WS_RCV_NEXT;
}

/* Do what is due without a message from the upstream. */
static void
attend(WsRcvStream *s, bool woken)
{
	TimestampTz now = GetCurrentTimestamp();

	if (wal_receiver_timeout > 0)
	{
		if (TimestampDifferenceExceeds(s->heard_time, now, wal_receiver_timeout))
			ereport(ERROR,
					(ws_rcv_errupstream(),
					 errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("upstream has been silent for longer than wal_receiver_timeout")));
		if (!s->pinged &&
			TimestampDifferenceExceeds(s->heard_time, now, wal_receiver_timeout / 2))
		{
			s->pinged = true;
			ws_rcv_stream_reply(s, true, true);
		}
	}
	ws_rcv_stream_reply(s, false, false);

	if (woken || now >= s->feedback_check || now >= ws_rcv_reply_due())
	{
		s->feedback_check = TimestampTzPlusMilliseconds(now, FEEDBACK_CHECK_MS);
		ws_rcv_feedback(s->rcv->upstream.conn);
	}
}

/*
 * Returns how long there is nothing to do without a message or a wake-up; -1
 * means for ever.
 */
static long
time_to_wait(WsRcvStream *s)
{
	TimestampTz due = ws_rcv_reply_due();

	if (s->deferred_since != 0)
		return NEXT_MESSAGE_MS;
	if (wal_receiver_timeout > 0)
		due = Min(due, TimestampTzPlusMilliseconds(s->heard_time, s->pinged ?
												   wal_receiver_timeout : wal_receiver_timeout / 2));
	return due == DT_NOEND ? -1 :
		TimestampDifferenceMilliseconds(GetCurrentTimestamp(), due) + 1;
}

/*
 * Wait for a message, a wake-up (returns true), or the time when something is
 * due.
 */
static bool
wait_for_news(WsRcvStream *s, pgsocket fd)
{
	long		timeout_ms = time_to_wait(s);
	int			events;

	events = WaitLatchOrSocket(MyLatch,
							   WL_LATCH_SET | WL_SOCKET_READABLE | WL_EXIT_ON_PM_DEATH |
							   (timeout_ms >= 0 ? WL_TIMEOUT : 0),
							   fd, timeout_ms, WAIT_EVENT_WAL_RECEIVER_MAIN);
	if (events & WL_LATCH_SET)
		ResetLatch(MyLatch);

	/* the message did not come, or comes in small pieces */
	if (s->deferred_since != 0 &&
		(!(events & WL_SOCKET_READABLE) || deferred_until(s, GetCurrentTimestamp())))
	{
		ws_rcv_stream_flush(s);
		ws_rcv_stream_reply(s, false, false);
	}
	return (events & WL_LATCH_SET) != 0;
}

static WsRcvEnd
run_stream(WsRcvStream *s)
{
	bool		woken = true;

	for (;;)
	{
		pgsocket	fd = PGINVALID_SOCKET;
		char	   *message;
		int			len;
		bool		gap;

		CHECK_FOR_INTERRUPTS();
		if (ws_rcv_must_end(s->rcv))
		{
			ws_rcv_stream_flush(s);
			ws_rcv_stream_reply(s, true, false);
			return WS_RCV_CHANGED;
		}

		len = receive(s, &message, &fd, &gap);
		if (gap)
			return ws_rcv_be_in_gap(s->rcv, &s->start);
		if (len != 0)
		{
			WsRcvEnd	end = take_batch(s, message, &len, &fd);

			if (end != WS_RCV_NEXT)
				return end;
		}
		if (len < 0)
			return ws_rcv_end_streaming(s->rcv, &s->start, s->received_lsn);

		attend(s, woken);
		if (len == 0)
			ws_rcv_let_ask(s->rcv, fd);
		woken = len == 0 && wait_for_news(s, fd);
	}
}

static void
begin_stream(WsRcvStream *s, WsRcv *rcv, const WsPlanStart *start)
{
	memset(s, 0, sizeof(*s));
	s->rcv = rcv;
	s->start = *start;
	s->context = AllocSetContextCreate(rcv->upstream.context, "walstream relay stream",
									   ALLOCSET_DEFAULT_SIZES);
	s->resumes = rcv->stored.has_wal && !start->replaces && rcv->upstream.is_standby &&
		start->tell_lsn == start->begin_lsn;
	s->received_lsn = start->begin_lsn;
	s->flushed_lsn = start->stored_lsn;
	s->target_lsn = rcv->upstream.lsn;
	s->heard_time = GetCurrentTimestamp();
	s->feedback_check = s->heard_time;
	MemoryContextSwitchTo(s->context);
	ws_xids_begin_scan(&s->xids, &rcv->stored.store, start->begin_lsn, start->replaces);
	s->writer = ws_rcv_stream_new_writer(s);
	s->usable = true;
	ws_rcv_check_begin(&s->check, rcv, start);
}

WsRcvEnd
ws_rcv_stream(WsRcv *rcv, const WsPlanStart *start)
{
	MemoryContext old = CurrentMemoryContext;
	WalRcvStreamOptions options = {0};
	WsRcvEnd	end;

	begin_stream(&stream, rcv, start);
	ws_rcv_reply_begin(rcv->upstream.conn);
	ws_rcv_stream_show_state(&stream, WS_RELAY_CATCHING_UP);

	options.logical = false;
	options.slotname = rcv->settings.slot[0] != '\0' ? rcv->settings.slot : NULL;
	options.startpoint = start->begin_lsn;
	options.proto.physical.startpointTLI = start->tli;
	end = ws_rcv_start_streaming(rcv, &options);
	if (end == WS_RCV_NEXT &&
		!ws_seal_begin_stream(start->tli, rcv->upstream.tli, rcv->upstream.seal_generation))
		end = ws_seal_covers(rcv->upstream.tli) ? ws_rcv_be_sealed(rcv, true) : WS_RCV_CHANGED;
	if (end == WS_RCV_NEXT)
	{
		ereport(LOG,
				(errmsg("relay receives WAL from " WS_LSN " on timeline %u",
						LSN_FORMAT_ARGS(start->begin_lsn), start->tli)));
		ws_rcv_stream_note_caught_up(&stream);
		current = &stream;
		end = run_stream(&stream);
		current = NULL;
		ws_rcv_stream_keep(&stream);
	}

	ws_store_writer_free(stream.writer);
	ws_rcv_check_end(rcv, &stream.check);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(stream.context);
	return end;
}

void
ws_rcv_stream_finish(WsRcv *rcv, bool tell)
{
	MemoryContext old = CurrentMemoryContext;
	WsRcvStream *s = current;

	/* an error in here must not lead back to this stream */
	current = NULL;
	if (s == NULL || !s->usable || s->start.replaces)
		return;
	MemoryContextSwitchTo(s->context);
	ws_rcv_stream_keep(s);
	if (tell)
		ws_rcv_stream_reply(s, false, false);

	/* in a process that ends it is left to the next one */
	if (!proc_exit_inprogress)
	{
		ws_store_writer_free(s->writer);
		ws_rcv_check_end(rcv, &s->check);
	}
	MemoryContextSwitchTo(old);
}
