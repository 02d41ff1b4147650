/*-------------------------------------------------------------------------
 *
 * range.c
 *	  The relay's receiver begins a range of WAL: the first one, or one that
 *	  replaces what is stored.
 *
 * The stored WAL is given up last.  The new range is received into a directory
 * of its own.  Only when its first bytes are durable there, the old range is
 * set aside and the new one moved to its place.  Before that, an upstream that
 * has nothing for us, a full disk or a crash leave everything as it was.  A
 * crash later leaves the rest of the old range, the beginning of the new one,
 * or nothing; no position beyond what is left has been published.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/slots/slots.h"
#include "relay/walreceiver/state.h"
#include "relay/xids.h"

/* Returns true if another segment than the one to begin with is stored. */
static bool
has_other_segments(const WsRcv *rcv, const WsPlanStart *start)
{
	WsSegment  *segments;
	int			count = ws_store_list(&rcv->stored.store, &segments);

	return count > 1 ||
		(count == 1 && (segments[0].tli != start->tli ||
						segments[0].segno != ws_segment_number(start->begin_lsn, rcv->upstream.segment_size)));
}

/*
 * Set aside what is stored, including remains of a range that was never
 * completed, before another range begins.  Nothing from before counts any
 * more: slots, even if the new range begins before their positions, histories,
 * and the next transaction id, which may be later than the range.
 */
static void
leave_range(WsRcv *rcv, const WsPlanStart *start)
{
	bool		had_wal = rcv->stored.has_wal;

	if (had_wal)
	{
		ereport(LOG,
				(errmsg("relay sets its WAL up to " WS_LSN " on timeline %u aside and begins anew at " WS_LSN,
						LSN_FORMAT_ARGS(rcv->stored.end.lsn), rcv->stored.end.tli,
						LSN_FORMAT_ARGS(start->begin_lsn))));
		rcv->stored.has_wal = false;
		rcv->stored.served.tli = 0;
		ws_relay_publish_store(&rcv->stored.store, NULL);
	}
	(void) ws_slots_hold_for_receiver(InvalidXLogRecPtr);
	ws_slots_invalidate_all(&rcv->stored.store);
	ws_relay_lock_store();
	ws_xids_forget(&rcv->stored.store);
	if (had_wal || has_other_segments(rcv, start))
		ws_store_set_aside(&rcv->stored.store);
	ws_relay_unlock_store();
	ws_store_remove_histories(&rcv->stored.store);
	ws_slots_reset_floor(start->begin_lsn);
}

void
ws_rcv_range_begin(WsRcv *rcv, const WsPlanStart *start)
{
	if (start->replaces)
		ws_store_begin_new_range(&rcv->stored.store, &rcv->stored.new_range);
	else
		leave_range(rcv, start);
}

void
ws_rcv_range_enter(WsRcv *rcv, const WsPlanStart *start)
{
	leave_range(rcv, start);
	ws_relay_lock_store();
	ws_store_enter_new_range(&rcv->stored.store);
	ws_relay_unlock_store();
}
