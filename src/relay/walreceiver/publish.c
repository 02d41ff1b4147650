/*-------------------------------------------------------------------------
 *
 * publish.c
 *	  Makes received WAL durable, and publishes the positions to the upstream
 *	  and to senders.
 *
 * Only WAL that has come through this connection is acknowledged: it has been
 * written, or was stored before and is equal.  So an upstream never gets a
 * position of bytes that it has not sent itself, and a timeline's positions
 * begin with the segment in which its streaming begins.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/seal.h"
#include "relay/slots/slots.h"
#include "relay/standby_names.h"
#include "relay/walreceiver/stream.h"
#include "utils/ps_status.h"
#include "utils/timestamp.h"

/*
 * As long as nothing of this stream has come, or only extra WAL for the
 * comparison, to which the upstream's slot must not go back, no position is
 * reported.  There is one exception: an upstream that is not a primary may
 * have nothing to send, and would wait at its shutdown for a confirmation that
 * nothing is missing; so if a stored range continues, its position is
 * reported.  A range that replaces another one is not reported before it has
 * done so.  A primary always sends its shutdown checkpoint, and if it has
 * taken another course, commits may wait there that are not in our WAL.
 */
static bool
has_position(const WsRcvStream *s)
{
	XLogRecPtr	lsn = ws_rcv_checked(&s->check, s->received_lsn);

	return s->resumes || (!s->start.replaces &&
						  lsn > s->start.begin_lsn && lsn >= s->start.tell_lsn);
}

static XLogRecPtr
told_written(const WsRcvStream *s)
{
	return has_position(s) ? ws_rcv_checked(&s->check, s->received_lsn) : InvalidXLogRecPtr;
}

static XLogRecPtr
told_flushed(const WsRcvStream *s)
{
	return has_position(s) ? ws_rcv_checked(&s->check, Min(s->received_lsn, s->flushed_lsn)) :
		InvalidXLogRecPtr;
}

void
ws_rcv_stream_reply(WsRcvStream *s, bool force, bool ping)
{
	ws_rcv_reply(s->rcv->upstream.conn, told_written(s), told_flushed(s), force, ping);
}

void
ws_rcv_stream_show_state(WsRcvStream *s, WsRelayState state)
{
	s->state = state;
	ws_rcv_set_state(state, NULL);
}

/* Publish the first bytes of a range, which can be served now. */
static void
publish_range(WsRcvStream *s)
{
	WsRcv	   *rcv = s->rcv;
	WsStoreExtent extent;

	extent.first_tli = extent.tli = s->start.tli;
	extent.first_lsn = s->start.begin_lsn;
	extent.end_lsn = s->flushed_lsn;
	ws_relay_publish_store(&rcv->stored.store, &extent);
	ws_seal_end_before(&rcv->stored.store, s->start.tli, s->flushed_lsn);
	rcv->stored.has_wal = true;
	rcv->stored.end.tli = s->start.tli;
	rcv->stored.end.lsn = s->flushed_lsn;
	rcv->stored.served = rcv->stored.end;
	rcv->attempts.failed = 0;
}

/* Publish everything that is durable. */
static void
publish(WsRcvStream *s)
{
	WsRcv	   *rcv = s->rcv;
	WsRcvStored *stored = &rcv->stored;
	uint32		segment_size = rcv->upstream.segment_size;
	TimeLineID	tli = s->start.tli;
	bool		wake_keeper;

	if (s->start.replaces ||
		ws_rcv_is_unchecked(&s->check, Max(s->received_lsn, s->flushed_lsn)))
		return;

	if (!stored->has_wal)
	{
		if (s->flushed_lsn > s->start.begin_lsn)
			publish_range(s);
		return;
	}

	/*
	 * A new timeline counts once it has continued after the switch point as
	 * it must; before that, the old one reaches farther.
	 */
	if (tli != stored->end.tli && (s->flushed_lsn < s->start.publish_lsn ||
								   s->flushed_lsn == s->start.begin_lsn ||
								   !XLogRecPtrIsInvalid(s->check.lsn)))
		return;

	/* a segment was closed, or one was begun, which uses up the spare */
	wake_keeper = tli != stored->end.tli ||
		ws_segment_number(stored->end.lsn, segment_size) != ws_segment_number(s->flushed_lsn, segment_size) ||
		(ws_segment_offset(stored->end.lsn, segment_size) == 0 && s->flushed_lsn > stored->end.lsn);
	if (tli != stored->end.tli || s->flushed_lsn > stored->end.lsn)
	{
		rcv->attempts.failed = 0;
		rcv->decision.was_compared = true;
	}
	stored->end.tli = tli;
	stored->end.lsn = s->flushed_lsn;

	if (tli < stored->served.tli)
		return;
	ws_relay_publish_position(tli, s->received_lsn,
							  Max(s->received_lsn, s->flushed_lsn), s->flushed_lsn);
	if (tli > stored->served.tli)
	{
		ereport(LOG,
				(errmsg("relay has followed its upstream from timeline %u to %u at " WS_LSN,
						stored->served.tli, tli,
						LSN_FORMAT_ARGS(s->start.publish_lsn))));
		rcv->decision.follow_allowed = false;
		(void) ws_slots_hold_for_receiver(InvalidXLogRecPtr);
		ws_relay_end_approval(tli);
	}
	stored->served = stored->end;
	ws_seal_end_before(&stored->store, tli, stored->end.lsn);
	ws_standby_names_settle(&stored->store, stored->end.lsn);
	if (wake_keeper)
		ws_relay_note_upkeep();
}

/* Show what is written before it is durable. */
void
ws_rcv_stream_publish_written(WsRcvStream *s)
{
	const WsRcvStored *stored = &s->rcv->stored;

	if (stored->has_wal && !s->start.replaces &&
		!ws_rcv_is_unchecked(&s->check, s->received_lsn) &&
		s->start.tli == stored->end.tli && stored->end.tli == stored->served.tli)
		ws_relay_publish_position(stored->end.tli, s->received_lsn,
								  Max(s->received_lsn, s->flushed_lsn), stored->end.lsn);
}

/*
 * Note that we have caught up; an upstream that has nothing for us sends no
 * message.
 */
void
ws_rcv_stream_note_caught_up(WsRcvStream *s)
{
	if (s->state != WS_RELAY_CATCHING_UP || s->start.replaces ||
		ws_rcv_is_unchecked(&s->check, s->received_lsn) ||
		s->start.tli != s->rcv->upstream.tli || s->received_lsn < s->target_lsn)
		return;
	ws_rcv_stream_show_state(s, WS_RELAY_STREAMING);
	if (s->rcv->attempts.streaming_since == 0)
		s->rcv->attempts.streaming_since = GetCurrentTimestamp();
	if (s->received_lsn >= s->rcv->stored.end.lsn)
		s->rcv->decision.was_compared = true;
	s->rcv->decision.follow_allowed = false;
}

WsStoreWriter *
ws_rcv_stream_new_writer(WsRcvStream *s)
{
	const WsRcv *rcv = s->rcv;
	XLogRecPtr	begin_lsn = s->start.begin_lsn;

	return ws_store_writer_new(s->start.replaces ? &rcv->stored.new_range : &rcv->stored.store,
							   s->start.tli,
							   ws_segment_start(begin_lsn, rcv->upstream.segment_size),
							   s->flushed_lsn);
}

/* Move a new range, whose first bytes are durable, into the store. */
static void
enter_range(WsRcvStream *s)
{
	s->usable = false;
	ws_store_writer_free(s->writer);
	ws_rcv_range_enter(s->rcv, &s->start);
	ws_xids_publish(&s->xids);
	s->start.replaces = false;
	s->writer = ws_rcv_stream_new_writer(s);
	s->usable = true;
}

/* Make the written WAL durable, and publish it. */
void
ws_rcv_stream_keep(WsRcvStream *s)
{
	XLogRecPtr	flushed_lsn;

	s->deferred_since = 0;
	s->usable = false;
	flushed_lsn = ws_store_flush(s->writer);
	s->usable = true;
	if (flushed_lsn > s->flushed_lsn)
		s->heard_time = GetCurrentTimestamp();	/* we did not listen meanwhile */
	s->flushed_lsn = Max(s->flushed_lsn, flushed_lsn);
	ws_relay_set_synced(true);
	if (s->start.replaces && s->flushed_lsn > s->start.begin_lsn)
		enter_range(s);
	publish(s);
}

void
ws_rcv_stream_flush(WsRcvStream *s)
{
	ws_rcv_stream_keep(s);
	ws_rcv_stream_note_caught_up(s);
	if (update_process_title)
	{
		char		title[64];

		snprintf(title, sizeof(title), "%s " WS_LSN,
				 ws_relay_state_name(s->state), LSN_FORMAT_ARGS(s->received_lsn));
		set_ps_display(title);
	}
}
