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
#include "port/pg_bswap.h"
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
 * The stream is not on the stack, which is gone when ws_pull_stream_finish()
 * is called after an error.  A stream that is not usable then has failed in
 * the store, and the process ends.
 */
static WsPullStream stream;
static WsPullStream *current = NULL;

static WsPullEnd
take_message(WsPullStream *s, const char *message, size_t len)
{
	if (message[0] == 'w' && len >= WS_STOCK_HEADER)
	{
		WsStockHeader header;

		ws_stock_header_decode((const uint8 *) message, &header);
		s->upstream_lsn = header.wal_end;
		ws_relay_set_upstream_lsn(header.wal_end, s->heard_time);
		return ws_pull_stream_take_wal(s, header.start_lsn, message + WS_STOCK_HEADER,
									   len - WS_STOCK_HEADER);
	}

	if (message[0] == 'k' && len == KEEPALIVE_SIZE)
	{
		uint64		end_lsn;

		memcpy(&end_lsn, message + 1, sizeof(end_lsn));
		ws_relay_set_upstream_lsn(pg_ntoh64(end_lsn), s->heard_time);
		if (message[KEEPALIVE_SIZE - 1] != 0)
			s->answer_wanted = true;
		return WS_PULL_NEXT;
	}

	ereport(ERROR,
			(ws_pull_errupstream(),
			 errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("upstream sent an invalid message of type %d and %zu bytes",
					message[0], len)));
}

/*
 * Get the next message, like walrcv_receive().  Sets *gap if there will be
 * none, because the upstream does not have the WAL.
 */
static int
receive(WsPullStream *s, char **message, pgsocket *fd, bool *gap)
{
	volatile int len = -1;

	*gap = false;
	if (s->received_lsn != s->start.begin_lsn)
		return walrcv_receive(s->pull->upstream.conn, message, fd);

	PG_TRY();
	{
		len = walrcv_receive(s->pull->upstream.conn, message, fd);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(s->context);
		error = CopyErrorData();
		if (!ws_pull_says_removed(error->message))
			PG_RE_THROW();
		FlushErrorState();
		(void) ws_pull_take_blame();
		*gap = true;
	}
	PG_END_TRY();
	return len;
}

/* Returns true if the flush has been deferred long enough. */
static bool
deferred_until(const WsPullStream *s, TimestampTz now)
{
	int			limit_ms = s->state == WS_RELAY_CATCHING_UP ?
		DEFER_CATCHING_UP_MS : DEFER_STREAMING_MS;

	return TimestampDifferenceExceeds(s->deferred_since, now, limit_ms);
}

/* Returns true if the flush should wait for the next message. */
static bool
defer_flush(WsPullStream *s)
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
static WsPullEnd
take_batch(WsPullStream *s, char *message, int *len, pgsocket *fd)
{
	size_t		bytes = 0;
	bool		gap;

	s->heard_time = GetCurrentTimestamp();
	s->pinged = false;
	s->pull->decision.earlier_is_gone = false;
	while (*len > 0)
	{
		WsPullEnd	end = take_message(s, message, *len);

		if (end != WS_PULL_NEXT)
			return end;
		bytes += *len;
		if (bytes >= MAX_BATCH_BYTES)
			break;
		*len = receive(s, &message, fd, &gap);
		if (gap)
			return ws_pull_be_in_gap(s->pull, &s->start);
	}
	s->heard_time = GetCurrentTimestamp();

	ws_pull_stream_publish_written(s);

	/*
	 * At the end of the stream the upstream may be gone already.  If it has
	 * asked for replies, it gets one, before a sync that may take its time.
	 */
	if (*len >= 0)
		ws_pull_stream_reply(s, s->answer_wanted, false);
	s->answer_wanted = false;
	if (*len == 0 && defer_flush(s))
		return WS_PULL_NEXT;
	ws_pull_stream_flush(s);
	if (*len >= 0)
		ws_pull_stream_reply(s, false, false);
	return WS_PULL_NEXT;
}

/* Do what is due without a message from the upstream. */
static void
attend(WsPullStream *s, bool woken)
{
	TimestampTz now = GetCurrentTimestamp();

	if (wal_receiver_timeout > 0)
	{
		if (TimestampDifferenceExceeds(s->heard_time, now, wal_receiver_timeout))
			ereport(ERROR,
					(ws_pull_errupstream(),
					 errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("upstream has been silent for longer than wal_receiver_timeout")));
		if (!s->pinged &&
			TimestampDifferenceExceeds(s->heard_time, now, wal_receiver_timeout / 2))
		{
			s->pinged = true;
			ws_pull_stream_reply(s, true, true);
		}
	}
	ws_pull_stream_reply(s, false, false);

	if (woken || now >= s->feedback_check || now >= ws_pull_reply_due())
	{
		s->feedback_check = TimestampTzPlusMilliseconds(now, FEEDBACK_CHECK_MS);
		ws_pull_feedback(s->pull->upstream.conn);
	}
}

/*
 * Returns how long there is nothing to do without a message or a wake-up; -1
 * means for ever.
 */
static long
time_to_wait(WsPullStream *s)
{
	TimestampTz due = ws_pull_reply_due();

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
wait_for_news(WsPullStream *s, pgsocket fd)
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
		ws_pull_stream_flush(s);
		ws_pull_stream_reply(s, false, false);
	}
	return (events & WL_LATCH_SET) != 0;
}

static WsPullEnd
run_stream(WsPullStream *s)
{
	bool		woken = true;

	for (;;)
	{
		pgsocket	fd = PGINVALID_SOCKET;
		char	   *message;
		int			len;
		bool		gap;

		CHECK_FOR_INTERRUPTS();
		if (ws_pull_must_end(s->pull))
		{
			ws_pull_stream_flush(s);
			ws_pull_stream_reply(s, true, false);
			return WS_PULL_CHANGED;
		}

		len = receive(s, &message, &fd, &gap);
		if (gap)
			return ws_pull_be_in_gap(s->pull, &s->start);
		if (len != 0)
		{
			WsPullEnd	end = take_batch(s, message, &len, &fd);

			if (end != WS_PULL_NEXT)
				return end;
		}
		if (len < 0)
			return ws_pull_end_streaming(s->pull, &s->start, s->received_lsn);

		attend(s, woken);
		woken = len == 0 && wait_for_news(s, fd);
	}
}

static void
begin_stream(WsPullStream *s, WsPull *pull, const WsPlanStart *start)
{
	memset(s, 0, sizeof(*s));
	s->pull = pull;
	s->start = *start;
	s->context = AllocSetContextCreate(pull->upstream.context, "walstream relay stream",
									   ALLOCSET_DEFAULT_SIZES);
	s->resumes = pull->stored.has_wal && !start->replaces && pull->upstream.is_standby &&
		start->tell_lsn == start->begin_lsn;
	s->received_lsn = start->begin_lsn;
	s->flushed_lsn = start->stored_lsn;
	s->target_lsn = pull->upstream.lsn;
	s->heard_time = GetCurrentTimestamp();
	s->feedback_check = s->heard_time;
	MemoryContextSwitchTo(s->context);
	ws_xids_begin_scan(&s->xids, &pull->stored.store, start->begin_lsn, start->replaces);
	s->writer = ws_pull_stream_new_writer(s);
	s->usable = true;
	ws_pull_check_begin(&s->check, pull, start);
}

WsPullEnd
ws_pull_stream(WsPull *pull, const WsPlanStart *start)
{
	MemoryContext old = CurrentMemoryContext;
	WalRcvStreamOptions options = {0};
	WsPullEnd	end;

	begin_stream(&stream, pull, start);
	ws_pull_reply_begin(pull->upstream.conn);
	ws_pull_stream_show_state(&stream, WS_RELAY_CATCHING_UP);

	options.logical = false;
	options.slotname = pull->settings.slot[0] != '\0' ? pull->settings.slot : NULL;
	options.startpoint = start->begin_lsn;
	options.proto.physical.startpointTLI = start->tli;
	end = ws_pull_start_streaming(pull, &options);
	if (end == WS_PULL_NEXT && !ws_seal_begin_stream(start->tli, pull->upstream.tli))
		end = ws_pull_be_sealed(pull);
	if (end == WS_PULL_NEXT)
	{
		ereport(LOG,
				(errmsg("relay receives WAL from " WS_LSN " on timeline %u",
						LSN_FORMAT_ARGS(start->begin_lsn), start->tli)));
		ws_pull_stream_note_caught_up(&stream);
		current = &stream;
		end = run_stream(&stream);
		current = NULL;
		ws_pull_stream_keep(&stream);
	}

	ws_store_writer_free(stream.writer);
	ws_pull_check_end(pull, &stream.check);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(stream.context);
	return end;
}

void
ws_pull_stream_finish(WsPull *pull, bool tell)
{
	MemoryContext old = CurrentMemoryContext;
	WsPullStream *s = current;

	/* an error in here must not lead back to this stream */
	current = NULL;
	if (s == NULL || !s->usable || s->start.replaces)
		return;
	MemoryContextSwitchTo(s->context);
	ws_pull_stream_keep(s);
	if (tell)
		ws_pull_stream_reply(s, false, false);

	/* in a process that ends it is left to the next one */
	if (!proc_exit_inprogress)
	{
		ws_store_writer_free(s->writer);
		ws_pull_check_end(pull, &s->check);
	}
	MemoryContextSwitchTo(old);
}
