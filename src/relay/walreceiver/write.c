/*-------------------------------------------------------------------------
 *
 * write.c
 *	  The relay's receiver writes received WAL into the store.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "pgstat.h"
#include "relay/walreceiver/stream.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "waitevent.h"

/*
 * While the disk is full: how often to try again, and to reply to the
 * upstream.
 */
#define RETRY_ROOM_MS		1000

/*
 * Wait for room for the WAL that has come.  Earlier WAL is kept and
 * acknowledged, and nothing more is read, but replies are sent to the
 * upstream.  Returns false if the connection must end meanwhile.
 */
static bool
wait_for_room(WsRcvStream *s)
{
	if (s->state != WS_RELAY_DISK_FULL)
	{
		ws_rcv_stream_flush(s);
		ws_rcv_stream_reply(s, true, false);
		s->state = WS_RELAY_DISK_FULL;
		ws_rcv_report_no_room(s->rcv, s->received_lsn);
	}

	ws_relay_note_upkeep();
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 RETRY_ROOM_MS, ws_waitevent(WS_WAIT_RELAY_DISK_FULL));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();

	/* its keepalives come after the WAL that cannot be read */
	ws_rcv_stream_reply(s, true, false);
	ws_rcv_feedback(s->rcv->upstream.conn);
	s->heard_time = GetCurrentTimestamp();
	return !ws_rcv_must_end(s->rcv);
}

/* Store a piece of WAL. */
WsRcvEnd
ws_rcv_stream_take_wal(WsRcvStream *s, XLogRecPtr lsn, const char *data, size_t len)
{
	XLogRecPtr	differs_lsn;
	bool		past_end;
	WsRcvEnd	end;

	/* never leave a gap, whatever the upstream sends */
	if (lsn != s->received_lsn)
		ereport(ERROR,
				(ws_rcv_errupstream(),
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
	while (ws_rcv_check_mark(s->rcv, &s->check, lsn + len) == WS_WRITE_NO_SPACE)
	{
		if (!wait_for_room(s))
			return WS_RCV_CHANGED;
	}
	if ((end = ws_rcv_check_incoming(s->rcv, &s->check, lsn, data, len)) != WS_RCV_NEXT)
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
			return ws_rcv_differ(psprintf("On timeline %u the upstream has other bytes than the stored ones at " WS_LSN,
										  s->start.tli, LSN_FORMAT_ARGS(differs_lsn)));
		if (!wait_for_room(s))
			return WS_RCV_CHANGED;
	}
	ws_xids_scan(&s->xids, data, len);
	s->received_lsn = lsn + len;
	if ((end = ws_rcv_check_records(s->rcv, &s->check, s->received_lsn)) != WS_RCV_NEXT)
		return end;
	if (!s->start.replaces && !ws_rcv_is_unchecked(&s->check, s->received_lsn))
		ws_xids_publish(&s->xids);

	if (s->state == WS_RELAY_DISK_FULL)
	{
		ereport(LOG, (errmsg("relay has disk space again and goes on")));
		ws_rcv_stream_show_state(s, WS_RELAY_CATCHING_UP);
	}
	if (!past_end)
		return WS_RCV_NEXT;
	ws_rcv_stream_flush(s);
	return WS_RCV_CHANGED;
}
