/*-------------------------------------------------------------------------
 *
 * send.c
 *	  Sends WAL: determines the timeline and how far to send, and sends the
 *	  next piece.
 *
 * A timeline that the relay has left, long ago or while we stream, ends where
 * its upstream left it.  A client gets CopyDone there, and then the name of
 * the next timeline.
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
#include "pure/bytes.h"
#include "relay/relay.h"
#include "relay/slots/slots.h"
#include "relay/walsender/client.h"
#include "relay/walsender/served.h"
#include "relay/walsender/stream.h"
#include "utils/ps_status.h"
#include "utils/timestamp.h"

/* Most WAL in one message, as in PostgreSQL. */
#define MAX_SEND_SIZE	(XLOG_BLCKSZ * 16)

/*
 * Find where our timeline was left, after the relay has switched to another
 * one.  Returns false if ours does not lead there.
 */
static bool
find_timeline_end(WsStream *stream, TimeLineID relay_tli)
{
	WsHistory  *history = ws_store_read_history(&stream->store, relay_tli);
	uint32		segment_size = stream->store.identity.segment_size;
	bool		found;

	found = ws_history_find(history, stream->tli, &stream->end_lsn,
							&stream->next_tli);
	stream->relay_tli = relay_tli;
	stream->historic = found && stream->next_tli != 0;
	if (stream->historic)
		stream->switch_tli = ws_history_tli_at(history,
											   ws_store_segment_start(&stream->store, stream->end_lsn) +
											   segment_size - 1);
	pfree(history->entries);
	pfree(history);
	return stream->historic;
}

/*
 * Choose the timeline to send, and the start.  The start is checked loosely,
 * since clients begin at a segment's start, which may be before the
 * timeline's.
 */
void
ws_stream_choose_timeline(WsStream *stream, const StartReplicationCmd *cmd)
{
	TimeLineID	current_tli;
	XLogRecPtr	flushed_lsn;

	/* first, see check_generation() */
	stream->generation = ws_relay_get_generation();
	ws_served_get_upto(&current_tli, &flushed_lsn);
	stream->relay_tli = current_tli;
	stream->tli = cmd->timeline != 0 ? cmd->timeline : current_tli;
	stream->replies->limit_lsn = flushed_lsn;
	if (stream->tli == current_tli)
		return;

	if (!find_timeline_end(stream, current_tli))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("requested timeline %u is not in the history of this relay",
						stream->tli),
				 errdetail("The relay's latest timeline is %u.", current_tli)));
	stream->replies->limit_lsn = Min(stream->end_lsn, flushed_lsn);
}

/*
 * This is checked within the COPY, as PostgreSQL does after CopyBothResponse.
 */
void
ws_stream_check_start(const WsStream *stream)
{
	TimeLineID	tli;
	XLogRecPtr	flushed_lsn;

	if (stream->historic)
		return;
	ws_served_get_upto(&tli, &flushed_lsn);
	if (tli != stream->tli || flushed_lsn >= stream->start_lsn)
		return;

	/* the WAL may well be there */
	ws_served_get_position(&tli, &flushed_lsn);
	if (flushed_lsn < stream->start_lsn)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("requested starting point " WS_LSN " is ahead of the WAL flush position of this relay " WS_LSN,
						LSN_FORMAT_ARGS(stream->start_lsn),
						LSN_FORMAT_ARGS(flushed_lsn))));
}

/*
 * Check that the stream's range of WAL still exists.  Once this fails,
 * positions and files may belong to another range, so it is called after each
 * look at them, and before anything is sent.
 */
static void
check_generation(const WsStream *stream)
{
	if (stream->generation != ws_relay_get_generation())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay has set aside the WAL of which " WS_LSN " on timeline %u was sent last",
						LSN_FORMAT_ARGS(stream->sent_lsn), stream->tli),
				 errhint("The relay begins anew with the WAL that its upstream has now. A downstream that needs WAL from before that must be made anew, or get it from an archive.")));
}

/*
 * Returns the position up to which WAL can be sent.  The end of a timeline
 * that was left is not always stored: a range that begins in the segment with
 * that end has it only once it has been received.
 */
static XLogRecPtr
get_limit(WsStream *stream)
{
	TimeLineID	tli;
	XLogRecPtr	limit_lsn;

	/* this stream's range had WAL, so it still has */
	(void) ws_relay_get_served(&tli, &limit_lsn);
	check_generation(stream);
	if (tli != stream->relay_tli && !find_timeline_end(stream, tli))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("timeline %u does not lead to timeline %u, which the relay has followed",
						stream->tli, tli)));
	if (stream->historic)
		limit_lsn = Min(limit_lsn, stream->end_lsn);

	stream->replies->limit_lsn = limit_lsn;
	ws_lag_note(&stream->replies->lag, limit_lsn, stream->now);
	return limit_lsn;
}

void
ws_stream_send_copy_done(WsStream *stream)
{
	if (stream->done_sending)
		return;
	pq_putmessage_noblock(PqMsg_CopyDone, NULL, 0);
	stream->done_sending = true;
}

/*
 * Let a slot without a position hold WAL from here on.
 */
static void
note_slot_position(WsStream *stream)
{
	if (stream->slot_name != NULL && !stream->slot_has_position)
	{
		stream->slot_has_position = true;
		ws_slot_advance(&stream->store, stream->tli, stream->start_lsn);
	}
}

static void
send_wal(WsStream *stream, XLogRecPtr end_lsn, XLogRecPtr limit_lsn)
{
	StringInfo	message = &stream->message;
	size_t		len = end_lsn - stream->sent_lsn;
	int			time_offset;

	resetStringInfo(message);
	pq_sendbyte(message, 'w');
	pq_sendint64(message, stream->sent_lsn);
	pq_sendint64(message, limit_lsn);
	time_offset = message->len;
	pq_sendint64(message, 0);

	enlargeStringInfo(message, len);
	ws_store_read(stream->reader, stream->tli,
				  stream->historic ? stream->switch_tli : 0,
				  stream->sent_lsn, message->data + message->len, len);
	check_generation(stream);
	message->len += len;
	message->data[message->len] = '\0';
	note_slot_position(stream);

	ws_bytes_put_net64((uint8 *) message->data + time_offset, GetCurrentTimestamp());
	pq_putmessage_noblock(PqMsg_CopyData, message->data, message->len);
	stream->sent_lsn = end_lsn;
}

/*
 * Send the next piece of WAL, if there is one: up to the end, or to a page
 * boundary, so that no record header is split.
 */
void
ws_stream_send_next(WsStream *stream)
{
	XLogRecPtr	limit_lsn;
	XLogRecPtr	end_lsn;

	stream->caught_up = true;
	if (stream->done_sending)
		return;
	limit_lsn = get_limit(stream);

	/* a client may have bytes of an incomplete record after the end */
	if (stream->historic && stream->end_lsn <= stream->sent_lsn)
	{
		elog(DEBUG1, "relay sender reached end of timeline %u at " WS_LSN " (sent up to " WS_LSN ")",
			 stream->tli, LSN_FORMAT_ARGS(stream->end_lsn),
			 LSN_FORMAT_ARGS(stream->sent_lsn));
		ws_stream_send_copy_done(stream);
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

	send_wal(stream, end_lsn, limit_lsn);
}

/* Show the position sent, once everything has been handed to the socket. */
void
ws_stream_publish_sent(WsStream *stream)
{
	if (stream->published_lsn == stream->sent_lsn)
		return;
	stream->published_lsn = stream->sent_lsn;
	ws_senders_set_sent(stream->sender, stream->tli, stream->sent_lsn);

	if (update_process_title)
	{
		char		title[50];

		snprintf(title, sizeof(title), "streaming " WS_LSN,
				 LSN_FORMAT_ARGS(stream->sent_lsn));
		set_ps_display(title);
	}
}

/* Send the row that follows the end of a timeline with a successor. */
void
ws_stream_send_next_timeline(const WsStream *stream)
{
	static const WsColumn columns[] = {
		{"next_tli", INT8OID},
		{"next_tli_startpos", TEXTOID}
	};
	const char *values[2];

	values[0] = psprintf("%u", stream->next_tli);
	values[1] = psprintf(WS_LSN, LSN_FORMAT_ARGS(stream->end_lsn));
	ws_client_send_row(columns, 2, values);
}
