/*-------------------------------------------------------------------------
 *
 * check.c
 *	  The relay's receiver checks that new WAL continues the stored WAL, where
 *	  no stored WAL is received again.
 *
 * Before that, nothing after the position is acknowledged, published or
 * served.  What is written until then is marked (store/unchecked.c), and is
 * removed if anything ends the stream, also a crash or a lost connection:
 * another server may have the right WAL.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog_internal.h"
#include "relay/walreceiver/state.h"

/*
 * Returns true if WAL of the served timeline from lsn on may be removed; the
 * served timeline's part of may_be_removed().  A receiver that was started anew
 * knows of complete records only, but more may have been published before; and
 * something must be left of a timeline that is served.
 */
static bool
may_be_removed_of_served(const WsRcv *rcv, TimeLineID tli, XLogRecPtr lsn)
{
	TimeLineID	told_tli;
	XLogRecPtr	told_lsn;

	return ws_segment_offset(lsn, rcv->upstream.segment_size) == 0 &&
		!(ws_relay_get_position(&told_tli, &told_lsn) && told_lsn > lsn) &&
		ws_store_has_segment(&rcv->stored.store, tli,
							 ws_segment_number(lsn, rcv->upstream.segment_size) - 1);
}

/*
 * Returns whether nothing counts that is stored of the timeline from the segment
 * with this position on.  A timeline before the served one may have been served
 * itself.
 */
static bool
may_be_removed(const WsRcv *rcv, TimeLineID tli, XLogRecPtr lsn)
{
	XLogSegNo	segno = ws_segment_number(lsn, rcv->upstream.segment_size);
	WsSegment  *segments;
	int			count;

	if (tli == rcv->stored.served.tli)
		return may_be_removed_of_served(rcv, tli, lsn);
	if (tli > rcv->stored.served.tli)
		return true;
	count = ws_store_list(&rcv->stored.store, &segments);
	for (int i = 0; i < count; i++)
	{
		if (segments[i].tli == tli && segments[i].segno >= segno)
			return false;
	}
	return true;
}

static WsRcvEnd
diverge(const WsRcv *rcv, TimeLineID tli, XLogRecPtr lsn, const char *why)
{
	return ws_rcv_differ(psprintf("On timeline %u the upstream's WAL from " WS_LSN " on does not continue what is stored: %s",
								  tli, LSN_FORMAT_ARGS(lsn), why));
}

void
ws_rcv_check_begin(WsRcvCheck * check, const WsRcv *rcv, const WsPlanStart *start)
{
	check->tli = start->tli;
	check->lsn = start->check_lsn;
	check->needed_lsn = check->lsn + 1;
	check->segno = ws_segment_number(check->lsn, rcv->upstream.segment_size);
	check->is_marked = false;
	check->may_be_marked = !XLogRecPtrIsInvalid(check->lsn) &&
		may_be_removed(rcv, check->tli, check->lsn);
	check->parent_tli = start->parent_tli;
	check->parent_end_lsn = start->publish_lsn;
	if (check->parent_tli != 0)
	{
		const WsHistory *ours = ws_store_read_history(&rcv->stored.store, rcv->stored.served.tli);
		XLogRecPtr	left_lsn;

		if (!ws_history_find(ours, check->parent_tli, &left_lsn, &check->parent_next_tli))
			check->parent_next_tli = 0;
		check->parent = ws_store_reader_new(&rcv->stored.store);
	}
}

/*
 * Nothing is stored of a new timeline, but its first segment begins with a
 * copy of the timeline before, which is stored completely.
 */
static WsRcvEnd
compare_with_parent(const WsRcvCheck * check, XLogRecPtr lsn, const char *data, size_t len)
{
	char	   *stored;
	size_t		i = 0;

	if (check->parent_tli == 0 || lsn >= check->parent_end_lsn)
		return WS_RCV_NEXT;
	len = Min(len, check->parent_end_lsn - lsn);
	stored = palloc(len);
	ws_store_read(check->parent, check->parent_tli, check->parent_next_tli, lsn, stored, len);
	while (i < len && stored[i] == data[i])
		i++;
	pfree(stored);
	if (i == len)
		return WS_RCV_NEXT;
	return ws_rcv_differ(psprintf("On timeline %u the upstream has other bytes at " WS_LSN " than are stored of timeline %u, which it left at " WS_LSN,
								  check->tli, LSN_FORMAT_ARGS(lsn + i), check->parent_tli,
								  LSN_FORMAT_ARGS(check->parent_end_lsn)));
}

static WsRcvEnd
check_page(const WsRcv *rcv, const WsRcvCheck * check, XLogRecPtr lsn,
		   const char *data, size_t len)
{
	if (!ws_rcv_is_unchecked(check, lsn + len) || ws_segment_offset(lsn, rcv->upstream.segment_size) != 0 ||
		len < sizeof(XLogLongPageHeaderData) ||
		ws_store_is_first_page(&rcv->stored.store, check->tli, lsn, data))
		return WS_RCV_NEXT;
	return diverge(rcv, check->tli, lsn, "it begins with a page of another place or cluster");
}

WsWriteResult
ws_rcv_check_mark(const WsRcv *rcv, WsRcvCheck * check, XLogRecPtr end_lsn)
{
	WsWriteResult result;

	if (!check->may_be_marked || check->is_marked ||
		end_lsn <= ws_segment_lsn(check->segno, rcv->upstream.segment_size))
		return WS_WRITE_OK;
	result = ws_store_mark_unchecked(&rcv->stored.store, check->tli, check->segno);
	check->is_marked = result == WS_WRITE_OK;
	return result;
}

WsRcvEnd
ws_rcv_check_incoming(const WsRcv *rcv, const WsRcvCheck * check, XLogRecPtr lsn,
					  const char *data, size_t len)
{
	WsRcvEnd	end = compare_with_parent(check, lsn, data, len);

	return end == WS_RCV_NEXT ? check_page(rcv, check, lsn, data, len) : end;
}

WsRcvEnd
ws_rcv_check_records(const WsRcv *rcv, WsRcvCheck * check, XLogRecPtr end_lsn)
{
	WsChainResult result;

	if (!ws_rcv_is_unchecked(check, end_lsn) || end_lsn < check->needed_lsn)
		return WS_RCV_NEXT;
	ws_store_check_chain(&rcv->stored.store, check->tli, check->lsn, end_lsn, &result);
	switch (result.state)
	{
		case WS_CHAIN_OPEN:
			check->needed_lsn = result.needed_lsn;
			return WS_RCV_NEXT;
		case WS_CHAIN_CONTINUES:
			if (check->is_marked)
				ws_store_unmark_unchecked(&rcv->stored.store, check->tli, check->segno);
			check->is_marked = check->may_be_marked = false;
			check->lsn = InvalidXLogRecPtr;
			return WS_RCV_NEXT;
		default:
			return diverge(rcv, check->tli, check->lsn, result.reason);
	}
}

/*
 * Otherwise it would be taken for WAL of ours that another server does not
 * have, and after a restart the relay would continue with a new timeline.
 */
void
ws_rcv_check_end(const WsRcv *rcv, WsRcvCheck * check)
{
	if (!check->is_marked)
		return;
	ws_relay_lock_store();
	ws_store_drop_unchecked(&rcv->stored.store);
	ws_relay_unlock_store();
	check->is_marked = false;
}
