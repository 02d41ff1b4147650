/*-------------------------------------------------------------------------
 *
 * xidscan.c
 *	  Follows the next transaction id through a stream of WAL.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/xidscan.h"
#include "pure/segment.h"
#include "pure/walz/layout.h"

/* Longest possible record. */
#define MAX_RECORD_BYTES	(1024 * 1024 * 1024)

/* Ids below this one are special, see transam.h. */
#define FIRST_NORMAL_XID	3

void
ws_xidscan_begin(WsXidScan *scan, const WsCodecParams *params, XLogRecPtr lsn,
				 uint64 next_xid, TimeLineID checkpoint_tli)
{
	memset(scan, 0, sizeof(*scan));
	scan->block_size = params->wal_block_size;
	scan->segment_size = params->wal_segment_size;
	scan->page_magic = params->wal_page_magic;
	scan->next_xid = next_xid;
	scan->checkpoint_tli = checkpoint_tli;
	scan->next_lsn = lsn;

	/* nothing within a page tells where a record begins */
	scan->lost = lsn % scan->block_size != 0;
}

/* Note that the next id is at least this one. */
static void
raise_next(WsXidScan *scan, uint32 xid)
{
	int32		ahead = (int32) (xid - (uint32) scan->next_xid);

	if (scan->next_xid != 0 && xid >= FIRST_NORMAL_XID && ahead > 0)
		scan->next_xid += ahead;
}

/*
 * An online checkpoint has the next id as of its beginning.  The ids found
 * since then are later, unless they came from WAL of a timeline that has been
 * left.
 */
static void
take_checkpoint(WsXidScan *scan, uint8 info, TimeLineID tli, uint64 next_xid)
{
	bool		is_exact = info == WS_SCAN_CHECKPOINT_SHUTDOWN ||
		(scan->checkpoint_tli != 0 && scan->checkpoint_tli != tli);

	if ((uint32) next_xid < FIRST_NORMAL_XID)
		return;
	if (is_exact || next_xid > scan->next_xid)
		scan->next_xid = next_xid;
	scan->checkpoint_tli = tli;
}

/*
 * Returns the offset of a record's main data if the record has nothing else,
 * otherwise 0.
 */
static uint32
find_main_data(const uint8 *head)
{
	switch (head[WZ_REC_HEADER])
	{
		case WZ_ID_MAIN_SHORT:
			return WZ_REC_HEADER + 2;
		case WZ_ID_MAIN_LONG:
			return WZ_REC_HEADER + 5;
		default:
			return 0;
	}
}

/*
 * Offset of the next id in a checkpoint's data; PostgreSQL 19 has more fields
 * in front of it.
 */
static uint32
checkpoint_xid_at(const WsXidScan *scan)
{
	return scan->page_magic == WZ_MAGIC_19 ? WS_SCAN_CHECKPOINT_XID_19 :
		WS_SCAN_CHECKPOINT_XID;
}

static bool
is_checkpoint(const uint8 *head)
{
	uint8		info = head[WZ_REC_INFO] & 0xF0;

	return head[WZ_REC_RMID] == WS_SCAN_RM_XLOG &&
		(info == WS_SCAN_CHECKPOINT_SHUTDOWN || info == WS_SCAN_CHECKPOINT_ONLINE);
}

static bool
is_running_xacts(const uint8 *head)
{
	return head[WZ_REC_RMID] == WS_SCAN_RM_STANDBY &&
		(head[WZ_REC_INFO] & 0xF0) == WS_SCAN_RUNNING_XACTS;
}

/*
 * Look at a record whose header has been read, with as much of its data as is
 * wanted.  Either the record before or a page header has led here.
 */
static void
take_record(WsXidScan *scan, const uint8 *head, uint32 len)
{
	bool		in_chain = scan->previous_lsn == InvalidXLogRecPtr ||
		ws_bytes_get64(head + WZ_REC_PREV) == scan->previous_lsn;
	uint32		xid = ws_bytes_get32(head + WZ_REC_XID);
	uint32		data;

	scan->previous_lsn = scan->record_lsn;
	if (!in_chain)
		return;
	if (xid >= FIRST_NORMAL_XID)
		raise_next(scan, xid == PG_UINT32_MAX ? FIRST_NORMAL_XID : xid + 1);
	if (len <= WZ_REC_HEADER || (data = find_main_data(head)) == 0)
		return;

	if (is_checkpoint(head) && len >= data + checkpoint_xid_at(scan) + 8)
		take_checkpoint(scan, head[WZ_REC_INFO] & 0xF0,
						ws_bytes_get32(head + data + WS_SCAN_CHECKPOINT_TLI),
						ws_bytes_get64(head + data + checkpoint_xid_at(scan)));
	else if (is_running_xacts(head) && len >= data + WS_SCAN_RUNNING_XID + 4)
		raise_next(scan, ws_bytes_get32(head + data + WS_SCAN_RUNNING_XID));
}

/* How many bytes of a record are looked at, once its header has been read. */
static uint32
bytes_wanted(const uint8 *head)
{
	uint32		total = ws_bytes_get32(head + WZ_REC_LEN);

	if (!is_checkpoint(head) && !is_running_xacts(head))
		return WZ_REC_HEADER;
	return total < WS_SCAN_HEAD_BYTES ? total : WS_SCAN_HEAD_BYTES;
}

/*
 * Read the first len bytes of the record's part in this page.  Returns how
 * many bytes were used.
 */
static size_t
read_record(WsXidScan *scan, const uint8 *data, size_t len)
{
	const uint8 *head = data;
	uint32		head_len;
	uint32		total;
	size_t		taken = 0;

	if (scan->head_len == 0)
	{
		scan->record_lsn = scan->next_lsn;
		scan->head_wanted = WZ_REC_HEADER;
	}

	/* most records are contiguous, and need not be copied */
	head_len = (uint32) len;
	if (scan->head_len > 0 || len < WS_SCAN_HEAD_BYTES)
	{
		taken = scan->head_wanted - scan->head_len;
		if (taken > len)
			taken = len;
		memcpy(scan->head + scan->head_len, data, taken);
		scan->head_len += taken;
		if (scan->head_len < scan->head_wanted)
			return taken;
		head = scan->head;
		head_len = scan->head_len;
	}

	total = ws_bytes_get32(head + WZ_REC_LEN);
	if (total < WZ_REC_HEADER || total > MAX_RECORD_BYTES)
	{
		/* zeros after a segment switch, or nothing that can be followed */
		scan->lost = true;
		scan->head_len = 0;
		return taken;
	}
	scan->head_wanted = bytes_wanted(head);
	if (head_len < scan->head_wanted)
		return taken;

	take_record(scan, head, scan->head_wanted);
	if (taken == 0)
		taken = scan->head_len = scan->head_wanted;
	scan->skip = WZ_ALIGN_UP(total) - scan->head_len;
	scan->head_len = 0;
	return taken;
}

/* How many bytes of the current record lie in the next page. */
static uint64
bytes_missing(const WsXidScan *scan)
{
	if (scan->head_len > 0)
		return WZ_ALIGN_UP(ws_bytes_get32(scan->head + WZ_REC_LEN)) - scan->head_len;
	return scan->skip;
}

/* Use a complete page header, which tells where the first record begins. */
static void
take_page(WsXidScan *scan)
{
	XLogRecPtr	page_lsn = scan->next_lsn - scan->page_wanted;
	uint32		rest = 0;

	scan->page_wanted = 0;
	if (ws_bytes_get16(scan->page + WZ_PAGE_MAGIC) != scan->page_magic ||
		ws_bytes_get64(scan->page + WZ_PAGE_ADDR) != page_lsn)
	{
		scan->lost = true;
		scan->head_len = 0;
		scan->skip = 0;
		return;
	}

	if (ws_bytes_get16(scan->page + WZ_PAGE_INFO) & WZ_PAGE_CONTRECORD)
		rest = ws_bytes_get32(scan->page + WZ_PAGE_REST);
	if (scan->lost || bytes_missing(scan) != WZ_ALIGN_UP(rest))
	{
		/* the record was never completed, or we were lost */
		scan->head_len = 0;
		scan->skip = WZ_ALIGN_UP(rest);
		if (rest > 0 || scan->lost)
			scan->previous_lsn = InvalidXLogRecPtr;
	}
	scan->lost = false;
}

/* Collect bytes of a page header.  Returns how many were used. */
static size_t
read_page_header(WsXidScan *scan, const uint8 *data, size_t len)
{
	size_t		taken = scan->page_wanted - scan->page_len;

	if (taken > len)
		taken = len;
	memcpy(scan->page + scan->page_len, data, taken);
	scan->page_len += taken;
	scan->next_lsn += taken;
	if (scan->page_len == scan->page_wanted)
		take_page(scan);
	return taken;
}

void
ws_xidscan_put(WsXidScan *scan, const uint8 *data, size_t len)
{
	while (len > 0)
	{
		uint32		offset = scan->next_lsn % scan->block_size;
		size_t		room = scan->block_size - offset;
		size_t		taken;

		if (room > len)
			room = len;
		if (offset == 0)
		{
			scan->page_len = 0;
			scan->page_wanted = ws_segment_offset(scan->next_lsn, scan->segment_size) == 0 ?
				WZ_PAGE_LONG : WZ_PAGE_SHORT;
		}

		if (scan->page_wanted > 0)
			taken = read_page_header(scan, data, len);
		else
		{
			if (scan->lost)
				taken = room;
			else if (scan->skip > 0)
			{
				taken = scan->skip < room ? (size_t) scan->skip : room;
				scan->skip -= taken;
			}
			else
				taken = read_record(scan, data, room);
			scan->next_lsn += taken;
		}
		data += taken;
		len -= taken;
	}
}
