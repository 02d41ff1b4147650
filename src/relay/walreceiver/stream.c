/*-------------------------------------------------------------------------
 *
 * stream.c
 *	  The relay's receiver stores what its upstream streams of one timeline,
 *	  and acknowledges it.
 *
 * For each wake-up all that has arrived is written and the write acknowledged,
 * then made durable with one fdatasync and the flush acknowledged.
 *
 * What is acknowledged has come through this connection: it is written, or was
 * stored before and compared equal.  So an upstream is never told of bytes that
 * it has not sent itself, and a timeline's positions begin with the segment in
 * which streaming of it begins.
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
#include "relay/slots/slots.h"
#include "relay/walreceiver/state.h"
#include "relay/xids.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/*
 * While the upstream has told of more than it has sent, the next message is at
 * hand, and one fdatasync for both is better than two: wait so long for it, so
 * long in all, and for so much.  Catching up, no commit waits for us.
 */
#define NEXT_MESSAGE_MS		5
#define DEFER_STREAMING_MS	20
#define DEFER_CATCHING_UP_MS 500
#define MAX_BATCH_BYTES		(16 * 1024 * 1024)

/* Feedback that nobody woke us for is looked for this often at least. */
#define FEEDBACK_CHECK_MS	1000

/* While the disk is full: try again, and tell the upstream that we live. */
#define RETRY_ROOM_MS		1000

#define KEEPALIVE_SIZE		(1 + 8 + 8 + 1)

typedef struct Stream
{
	WsPull	   *pull;
	WsPullStart start;
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
} Stream;

/*
 * Not on the stack, which is gone when ws_pull_stream_finish() is called after
 * an error.  A stream that is not usable then has failed in the store, and the
 * process ends.
 */
static Stream stream;
static Stream *current = NULL;

/*
 * Nothing of this stream has come yet, or only what is compared in excess, and
 * to that the upstream's slot is not to go back: nothing is told.  An upstream
 * that is no primary may have nothing to send, and when it stops would wait
 * until it hears that nothing is missing; so where a stored range goes on, it
 * is told.  What is to replace a range is not told before it has.  A primary
 * always sends its shutdown checkpoint, and commits may wait there that are not
 * in our WAL, if it has gone another way.
 */
static bool
has_position(const Stream *s)
{
	XLogRecPtr	lsn = ws_pull_checked(&s->check, s->received_lsn);

	return s->resumes || (!s->start.replaces &&
						  lsn > s->start.begin_lsn && lsn >= s->start.tell_lsn);
}

static XLogRecPtr
told_written(const Stream *s)
{
	return has_position(s) ? ws_pull_checked(&s->check, s->received_lsn) : InvalidXLogRecPtr;
}

static XLogRecPtr
told_flushed(const Stream *s)
{
	return has_position(s) ? ws_pull_checked(&s->check, Min(s->received_lsn, s->flushed_lsn)) :
		InvalidXLogRecPtr;
}

static void
reply(Stream *s, bool force, bool ping)
{
	ws_pull_reply(s->pull->conn, told_written(s), told_flushed(s), force, ping);
}

static void
show_state(Stream *s, WsRelayState state)
{
	s->state = state;
	ws_pull_set_state(state, NULL);
}

/* The first bytes of a range: now there is something to serve. */
static void
publish_range(Stream *s)
{
	WsPull	   *pull = s->pull;
	WsStoreExtent extent;

	extent.first_tli = extent.tli = s->start.tli;
	extent.first_lsn = s->start.begin_lsn;
	extent.end_lsn = s->flushed_lsn;
	ws_relay_publish_store(&pull->store, &extent);
	pull->has_wal = true;
	pull->tli = pull->published_tli = s->start.tli;
	pull->end_lsn = s->flushed_lsn;
	pull->attempts = 0;
}

/* Let everybody have what is durable. */
static void
publish(Stream *s)
{
	WsPull	   *pull = s->pull;
	TimeLineID	tli = s->start.tli;
	bool		wake_keeper;

	if (s->start.replaces ||
		ws_pull_is_unchecked(&s->check, Max(s->received_lsn, s->flushed_lsn)))
		return;

	if (!pull->has_wal)
	{
		if (s->flushed_lsn > s->start.begin_lsn)
			publish_range(s);
		return;
	}

	/*
	 * A new timeline counts once it has come to the switch point; before that
	 * the old one reaches farther.
	 */
	if (tli != pull->tli && (s->flushed_lsn < s->start.publish_lsn ||
							 s->flushed_lsn == s->start.begin_lsn))
		return;

	/* the last segment was closed, or the next begun, which takes the spare */
	wake_keeper = tli != pull->tli ||
		pull->end_lsn / pull->segment_size != s->flushed_lsn / pull->segment_size ||
		(pull->end_lsn % pull->segment_size == 0 && s->flushed_lsn > pull->end_lsn);
	if (tli != pull->tli || s->flushed_lsn > pull->end_lsn)
	{
		pull->attempts = 0;
		pull->was_compared = true;
	}
	pull->tli = tli;
	pull->end_lsn = s->flushed_lsn;

	if (tli < pull->published_tli)
		return;
	ws_relay_publish_position(tli, s->received_lsn,
							  Max(s->received_lsn, s->flushed_lsn), s->flushed_lsn);
	if (tli > pull->published_tli)
	{
		ereport(LOG,
				(errmsg("relay has followed its upstream from timeline %u to %u at " WS_LSN,
						pull->published_tli, tli,
						LSN_FORMAT_ARGS(s->start.publish_lsn))));
		pull->published_tli = tli;
		pull->follow_allowed = false;
		(void) ws_slots_hold_for_receiver(InvalidXLogRecPtr);
	}
	if (wake_keeper)
		ws_relay_wake_keeper();
}

/* What is written shows before it is durable. */
static void
publish_written(Stream *s)
{
	WsPull	   *pull = s->pull;

	if (pull->has_wal && !s->start.replaces && !ws_pull_is_unchecked(&s->check, s->received_lsn) &&
		s->start.tli == pull->tli && pull->tli == pull->published_tli)
		ws_relay_publish_position(pull->tli, s->received_lsn,
								  Max(s->received_lsn, s->flushed_lsn), pull->end_lsn);
}

/* An upstream that has nothing for us sends nothing to tell us so. */
static void
note_caught_up(Stream *s)
{
	if (s->state != WS_RELAY_CATCHING_UP || s->start.replaces ||
		ws_pull_is_unchecked(&s->check, s->received_lsn) ||
		s->start.tli != s->pull->upstream_tli || s->received_lsn < s->target_lsn)
		return;
	show_state(s, WS_RELAY_STREAMING);
	s->pull->attempts = 0;
	if (s->received_lsn >= s->pull->end_lsn)
		s->pull->was_compared = true;
	s->pull->follow_allowed = false;
}

static WsStoreWriter *
new_writer(Stream *s)
{
	return ws_store_writer_new(s->start.replaces ? &s->pull->new_range : &s->pull->store,
							   s->start.tli,
							   s->start.begin_lsn - s->start.begin_lsn % s->pull->segment_size,
							   s->flushed_lsn);
}

/* What was received beside the store is durable there: now it is the store's. */
static void
enter_range(Stream *s)
{
	s->usable = false;
	ws_store_writer_free(s->writer);
	ws_pull_range_enter(s->pull, &s->start);
	s->start.replaces = false;
	s->writer = new_writer(s);
	s->usable = true;
}

/* Make durable and known what has been written. */
static void
keep(Stream *s)
{
	XLogRecPtr	flushed_lsn;

	s->deferred_since = 0;
	s->usable = false;
	flushed_lsn = ws_store_flush(s->writer);
	s->usable = true;
	if (flushed_lsn > s->flushed_lsn)
		s->heard_time = GetCurrentTimestamp();	/* meanwhile we did not listen */
	s->flushed_lsn = Max(s->flushed_lsn, flushed_lsn);
	ws_relay_set_synced(true);
	if (s->start.replaces && s->flushed_lsn > s->start.begin_lsn)
		enter_range(s);
	publish(s);
}

static void
flush(Stream *s)
{
	keep(s);
	note_caught_up(s);
	if (update_process_title)
	{
		char		title[64];

		snprintf(title, sizeof(title), "%s " WS_LSN,
				 ws_relay_state_name(s->state), LSN_FORMAT_ARGS(s->received_lsn));
		set_ps_display(title);
	}
}

/*
 * No room for what has come.  What came before is kept and acknowledged, and
 * nothing more is read, but the upstream hears from us.  False if the
 * connection is to end meanwhile.
 */
static bool
wait_for_room(Stream *s)
{
	if (s->state != WS_RELAY_DISK_FULL)
	{
		flush(s);
		reply(s, true, false);
		s->state = WS_RELAY_DISK_FULL;
		ws_pull_report_no_room(s->pull, s->received_lsn);
	}

	ws_relay_wake_keeper();
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 RETRY_ROOM_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();

	/* its keepalives are behind the WAL that cannot be taken */
	reply(s, true, false);
	ws_pull_feedback(s->pull->conn);
	s->heard_time = GetCurrentTimestamp();
	return !ws_pull_must_end(s->pull);
}

/* Store a piece of WAL. */
static WsPullEnd
take_wal(Stream *s, XLogRecPtr lsn, const char *data, size_t len)
{
	XLogRecPtr	differs_lsn;
	bool		past_end;
	WsPullEnd	end;

	/* never a gap, whatever comes */
	if (lsn != s->received_lsn)
		ereport(ERROR,
				(ws_pull_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("upstream sent WAL from " WS_LSN " on instead of " WS_LSN,
						LSN_FORMAT_ARGS(lsn), LSN_FORMAT_ARGS(s->received_lsn))));

	/*
	 * After a recovery to a point before a later timeline began, PostgreSQL
	 * sends the earlier one up to that beginning, past where it was left.
	 */
	past_end = !XLogRecPtrIsInvalid(s->start.switch_lsn) &&
		lsn + len > s->start.switch_lsn;
	if (past_end)
		len = s->start.switch_lsn - lsn;
	if ((end = ws_pull_check_incoming(s->pull, &s->check, lsn, data, len)) != WS_PULL_NEXT)
		return end;

	for (;;)
	{
		WsWriteResult result;

		s->usable = false;
		ws_relay_set_synced(false);
		result = ws_store_write(s->writer, lsn, data, len, &differs_lsn);
		s->usable = true;

		if (result == WS_WRITE_OK)
			break;
		if (result == WS_WRITE_DIFFERS)
			return ws_pull_differ(psprintf("On timeline %u the upstream has other bytes than the stored ones at " WS_LSN,
										   s->start.tli, LSN_FORMAT_ARGS(differs_lsn)));
		if (!wait_for_room(s))
			return WS_PULL_CHANGED;
	}
	ws_xids_scan(&s->xids, data, len);
	s->received_lsn = lsn + len;
	if ((end = ws_pull_check_records(s->pull, &s->check, s->received_lsn)) != WS_PULL_NEXT)
		return end;

	if (s->state == WS_RELAY_DISK_FULL)
	{
		ereport(LOG, (errmsg("relay has disk space again and goes on")));
		show_state(s, WS_RELAY_CATCHING_UP);
	}
	if (!past_end)
		return WS_PULL_NEXT;
	flush(s);
	return WS_PULL_CHANGED;
}

static WsPullEnd
take_message(Stream *s, const char *message, size_t len)
{
	if (message[0] == 'w' && len >= WS_STOCK_HEADER)
	{
		WsStockHeader header;

		ws_stock_header_decode((const uint8 *) message, &header);
		s->upstream_lsn = header.wal_end;
		ws_relay_set_upstream_lsn(header.wal_end, s->heard_time);
		return take_wal(s, header.start_lsn, message + WS_STOCK_HEADER,
						len - WS_STOCK_HEADER);
	}

	if (message[0] == 'k' && len == KEEPALIVE_SIZE)
	{
		uint64		end_lsn;

		memcpy(&end_lsn, message + 1, sizeof(end_lsn));
		ws_relay_set_upstream_lsn(pg_ntoh64(end_lsn), s->heard_time);
		if (message[KEEPALIVE_SIZE - 1] != 0)
			reply(s, true, false);
		return WS_PULL_NEXT;
	}

	ereport(ERROR,
			(ws_pull_errupstream(),
			 errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("upstream sent an invalid message of type %d and %zu bytes",
					message[0], len)));
}

/*
 * The next message, as walrcv_receive() gives it.  *gap: there will be none,
 * the WAL is not there.
 */
static int
receive(Stream *s, char **message, pgsocket *fd, bool *gap)
{
	volatile int len = -1;

	*gap = false;
	if (s->received_lsn != s->start.begin_lsn)
		return walrcv_receive(s->pull->conn, message, fd);

	PG_TRY();
	{
		len = walrcv_receive(s->pull->conn, message, fd);
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

/* Has the flush been deferred for long enough? */
static bool
deferred_until(const Stream *s, TimestampTz now)
{
	int			limit_ms = s->state == WS_RELAY_CATCHING_UP ?
		DEFER_CATCHING_UP_MS : DEFER_STREAMING_MS;

	return TimestampDifferenceExceeds(s->deferred_since, now, limit_ms);
}

/* Is the flush better left until the next message has come? */
static bool
defer_flush(Stream *s)
{
	if (s->received_lsn >= s->upstream_lsn ||
		s->received_lsn >= s->flushed_lsn + MAX_BATCH_BYTES)
		return false;
	if (s->deferred_since == 0)
		s->deferred_since = s->heard_time;
	return !deferred_until(s, s->heard_time);
}

/*
 * Take what has arrived, beginning with a message, and acknowledge it.  *len
 * becomes what receiving the next one gave: 0 if there is none, negative if
 * the upstream has ended the stream.
 */
static WsPullEnd
take_batch(Stream *s, char *message, int *len, pgsocket *fd)
{
	size_t		bytes = 0;
	bool		gap;

	s->heard_time = GetCurrentTimestamp();
	s->pinged = false;
	s->pull->earlier_is_gone = false;
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

	publish_written(s);

	/* at the stream's end the upstream may be gone already */
	if (*len >= 0)
		reply(s, false, false);
	if (*len == 0 && defer_flush(s))
		return WS_PULL_NEXT;
	flush(s);
	if (*len >= 0)
		reply(s, false, false);
	return WS_PULL_NEXT;
}

/* What is due without a message from the upstream. */
static void
attend(Stream *s, bool woken)
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
			reply(s, true, true);
		}
	}
	reply(s, false, false);

	if (woken || now >= s->feedback_check || now >= ws_pull_reply_due())
	{
		s->feedback_check = TimestampTzPlusMilliseconds(now, FEEDBACK_CHECK_MS);
		ws_pull_feedback(s->pull->conn);
	}
}

/* How long at most there is nothing to do without news; -1: for ever. */
static long
time_to_wait(Stream *s)
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
 * Wait for a message, somebody who wakes us (returns true), or what is due
 * next.
 */
static bool
wait_for_news(Stream *s, pgsocket fd)
{
	long		timeout_ms = time_to_wait(s);
	int			events;

	events = WaitLatchOrSocket(MyLatch,
							   WL_LATCH_SET | WL_SOCKET_READABLE | WL_EXIT_ON_PM_DEATH |
							   (timeout_ms >= 0 ? WL_TIMEOUT : 0),
							   fd, timeout_ms, WAIT_EVENT_WAL_RECEIVER_MAIN);
	if (events & WL_LATCH_SET)
		ResetLatch(MyLatch);

	/* it did not come, or comes in small pieces */
	if (s->deferred_since != 0 &&
		(!(events & WL_SOCKET_READABLE) || deferred_until(s, GetCurrentTimestamp())))
	{
		flush(s);
		reply(s, false, false);
	}
	return (events & WL_LATCH_SET) != 0;
}

static WsPullEnd
run_stream(Stream *s)
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
			flush(s);
			reply(s, true, false);
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

/* Another range may be from before what was stored. */
static void
begin_scan(Stream *s)
{
	WsPull	   *pull = s->pull;

	if (!pull->has_wal || s->start.replaces)
	{
		ws_relay_lock_store();
		ws_xids_forget(&pull->store);
		ws_relay_unlock_store();
	}
	ws_xids_begin_scan(&s->xids, &pull->store, s->start.begin_lsn);
}

static void
begin_stream(Stream *s, WsPull *pull, const WsPullStart *start)
{
	memset(s, 0, sizeof(*s));
	s->pull = pull;
	s->start = *start;
	s->context = AllocSetContextCreate(pull->context, "walstream relay stream",
									   ALLOCSET_DEFAULT_SIZES);
	s->resumes = pull->has_wal && !start->replaces && pull->upstream_is_standby &&
		start->tell_lsn == start->begin_lsn;
	s->received_lsn = start->begin_lsn;
	s->flushed_lsn = start->stored_lsn;
	s->target_lsn = pull->upstream_lsn;
	s->heard_time = GetCurrentTimestamp();
	s->feedback_check = s->heard_time;
	MemoryContextSwitchTo(s->context);
	begin_scan(s);
	s->writer = new_writer(s);
	s->usable = true;
	ws_pull_check_begin(&s->check, pull, start);
}

WsPullEnd
ws_pull_stream(WsPull *pull, const WsPullStart *start)
{
	MemoryContext old = CurrentMemoryContext;
	WalRcvStreamOptions options = {0};
	WsPullEnd	end;

	begin_stream(&stream, pull, start);
	ws_pull_reply_begin(pull->conn);
	show_state(&stream, WS_RELAY_CATCHING_UP);

	options.logical = false;
	options.slotname = pull->slot[0] != '\0' ? pull->slot : NULL;
	options.startpoint = start->begin_lsn;
	options.proto.physical.startpointTLI = start->tli;
	end = ws_pull_start_streaming(pull, &options);
	if (end == WS_PULL_NEXT)
	{
		ereport(LOG,
				(errmsg("relay receives WAL from " WS_LSN " on timeline %u",
						LSN_FORMAT_ARGS(start->begin_lsn), start->tli)));
		note_caught_up(&stream);
		current = &stream;
		end = run_stream(&stream);
		current = NULL;
		keep(&stream);
	}

	ws_store_writer_free(stream.writer);
	if (end == WS_PULL_DIVERGED)
		ws_pull_check_drop(pull, &stream.start, stream.received_lsn);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(stream.context);
	return end;
}

void
ws_pull_stream_finish(WsPull *pull, bool tell)
{
	MemoryContext old = CurrentMemoryContext;
	Stream	   *s = current;

	/* an error in here must not come back to it */
	current = NULL;
	if (s == NULL || !s->usable || s->start.replaces)
		return;
	MemoryContextSwitchTo(s->context);
	keep(s);
	if (tell)
		reply(s, false, false);
	MemoryContextSwitchTo(old);
}
