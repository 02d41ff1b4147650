/*-------------------------------------------------------------------------
 *
 * records.c
 *	  Reads records from a store, along the line of timelines that leads to one
 *	  of them.
 *
 * PostgreSQL's XLogReader does the work: it knows overwritten contrecords and
 * switches, and checks page headers, back-pointers and CRCs.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/rmgr.h"
#include "catalog/pg_control.h"
#include "relay/store/file.h"
#include "relay/store/records.h"

TimeLineID
ws_line_segment_tli(const WsHistory *history, uint32 segment_size, XLogSegNo segno)
{
	return ws_history_tli_at(history, ws_segment_lsn(segno + 1, segment_size) - 1);
}

XLogRecPtr
ws_line_begin(const WsHistory *history)
{
	return history->count > 1 ? history->entries[history->count - 2].end_lsn :
		InvalidXLogRecPtr;
}

const WsSegment *
ws_line_last_segment(const WsSegment *segments, int count, TimeLineID tli)
{
	for (int i = count - 1; i >= 0; i--)
	{
		if (segments[i].tli == tli)
			return &segments[i];
	}
	return NULL;
}

static int
compare_to_segment(const void *key, const void *element)
{
	const WsSegment *a = key;
	const WsSegment *b = element;

	if (a->tli != b->tli)
		return a->tli < b->tli ? -1 : 1;
	if (a->segno != b->segno)
		return a->segno < b->segno ? -1 : 1;
	return 0;
}

/*
 * Returns true if the segment exists.  A directory that changes while it is
 * read may not show all of its files, so a segment that is not in the list is
 * looked for by name, in the order in which its forms follow each other.
 */
static bool
segment_exists(const WsStore *store, const WsSegment *segments, int count,
			   TimeLineID tli, XLogSegNo segno)
{
	WsSegment	key = {.tli = tli,.segno = segno};
	char		path[MAXPGPATH];

	if (count > 0 &&
		bsearch(&key, segments, count, sizeof(WsSegment), compare_to_segment) != NULL)
		return true;
	for (int form = WS_SEGMENT_PARTIAL; form <= WS_SEGMENT_LZ4; form++)
	{
		ws_segment_path(store, tli, segno, (WsSegmentForm) form, path);
		if (ws_file_exists(path))
			return true;
	}
	return false;
}

bool
ws_line_find_first(const WsStore *store, const WsHistory *history,
				   const WsSegment *segments, int count,
				   XLogSegNo last, XLogSegNo *first, bool *is_gap)
{
	uint32		segment_size = store->identity.segment_size;
	XLogSegNo	segno = last + 1;

	while (segno > 0 &&
		   segment_exists(store, segments, count,
						  ws_line_segment_tli(history, segment_size, segno - 1),
						  segno - 1))
		segno--;
	*first = segno;
	*is_gap = false;

	/*
	 * the keeper may be removing segments, oldest first, which leaves no gap
	 */
	for (int i = 0; i < count && !*is_gap; i++)
		*is_gap = segments[i].segno < segno &&
			segments[i].tli == ws_line_segment_tli(history, segment_size,
												   segments[i].segno) &&
			segment_exists(store, NULL, 0, segments[i].tli, segments[i].segno);
	return segno <= last;
}

bool
ws_line_require_first(const WsStore *store, const WsHistory *history,
					  const WsSegment *segments, int count,
					  XLogSegNo last, XLogSegNo *first)
{
	uint32		segment_size = store->identity.segment_size;
	bool		is_gap;
	bool		found = ws_line_find_first(store, history, segments, count,
										   last, first, &is_gap);
	char		name[MAXFNAMELEN];

	if (!is_gap)
		return found;
	XLogFileName(name, ws_line_segment_tli(history, segment_size, *first - 1),
				 *first - 1, segment_size);
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("WAL segment %s is missing in relay directory \"%s\"",
				   name, store->path),
			errdetail("Older segments are there."),
			errhint("Restore the missing segment, or move the older ones away."));
}

/* XLogReader's callback, which reads at least the bytes needed of a page. */
static int
read_page(XLogReaderState *xlog, XLogRecPtr page_lsn, int need,
		  XLogRecPtr record_lsn, char *page)
{
	WsRecords  *records = xlog->private_data;
	uint32		segment_size = records->store.identity.segment_size;
	XLogSegNo	segno;
	size_t		len;

	/* XLogReader takes a page without a complete header for unreadable */
	records->page_lsn = page_lsn;
	records->reached_end = page_lsn + Max(need, SizeOfXLogShortPHD + 1) > records->end_lsn;
	if (records->reached_end)
		return XLREAD_FAIL;

	segno = ws_segment_number(page_lsn, segment_size);
	xlog->seg.ws_tli = ws_line_segment_tli(records->history, segment_size, segno);
	len = Min(XLOG_BLCKSZ, records->end_lsn - page_lsn);
	ws_store_read(records->reader, xlog->seg.ws_tli, 0, page_lsn, page, len);
	if (records->bad_tli_lsn == InvalidXLogRecPtr &&
		((XLogPageHeader) page)->xlp_tli != ws_history_tli_at(records->history, page_lsn))
		records->bad_tli_lsn = page_lsn;
	return len;
}

WsRecords *
ws_records_new(const WsStore *store, const WsHistory *history, XLogRecPtr end_lsn)
{
	WsRecords  *records = palloc0(sizeof(WsRecords));

	records->store = *store;
	records->history = history;
	records->end_lsn = end_lsn;
	records->reader = ws_store_reader_new(store);
	records->xlog = XLogReaderAllocate(store->identity.segment_size, NULL,
									   XL_ROUTINE(.page_read = read_page), records);
	if (records->xlog == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OUT_OF_MEMORY),
				errmsg("out of memory"),
				errdetail("Failed while allocating a WAL reading processor."));
	records->xlog->system_identifier = store->identity.system_identifier;
	return records;
}

void
ws_records_free(WsRecords *records)
{
	XLogReaderFree(records->xlog);
	ws_store_reader_free(records->reader);
	pfree(records);
}

bool
ws_records_seek(WsRecords *records, XLogRecPtr lsn)
{
	records->page_lsn = lsn;
	records->reached_end = false;
	records->message = NULL;
	if (ws_xlog_find_next_record(records->xlog, lsn) != InvalidXLogRecPtr)
		return true;

	/* XLogFindNextRecord does not tell the reason */
	if (records->xlog->errormsg_buf[0] != '\0')
		records->message = records->xlog->errormsg_buf;
	return false;
}

bool
ws_records_next(WsRecords *records)
{
	CHECK_FOR_INTERRUPTS();
	records->reached_end = false;
	return XLogReadRecord(records->xlog, &records->message) != NULL;
}

bool
ws_records_is_switch(const WsRecords *records, XLogRecPtr *padding)
{
	XLogReaderState *xlog = records->xlog;
	XLogRecPtr	lsn = xlog->ReadRecPtr;
	uint32		room = XLOG_BLCKSZ - lsn % XLOG_BLCKSZ;

	if (XLogRecGetRmid(xlog) != RM_XLOG_ID ||
		(XLogRecGetInfo(xlog) & ~XLR_INFO_MASK) != XLOG_SWITCH)
		return false;

	/*
	 * A switch record is just a record header, so at most one page header
	 * lies within it.
	 */
	*padding = lsn + SizeOfXLogRecord;
	if (room < SizeOfXLogRecord)
		*padding += ws_segment_offset(lsn + room, records->store.identity.segment_size) == 0 ?
			SizeOfXLogLongPHD : SizeOfXLogShortPHD;
	*padding = MAXALIGN64(*padding);
	return true;
}

bool
ws_records_is_filled_with_zeros(const WsRecords *records)
{
	XLogReaderState *xlog = records->xlog;
	uint32		len = XLogRecGetTotalLen(xlog);
	uint32		offset = (xlog->EndRecPtr - 1) % XLOG_BLCKSZ + 1;

	/*
	 * A record's end is in the page that was read last, and so is its
	 * padding, since the page size is a multiple of the alignment.
	 */
	for (uint32 i = MAXALIGN(len) - len; i > 0; i--)
	{
		if (offset - i < xlog->readLen && xlog->readBuf[offset - i] != 0)
			return false;
	}
	return true;
}

bool
ws_records_are_zeros(WsRecords *records, XLogRecPtr begin, XLogRecPtr end,
					 XLogRecPtr *lsn)
{
	uint32		segment_size = records->store.identity.segment_size;
	WsStoreReader *reader = ws_store_reader_new(&records->store);
	char	   *page = palloc(XLOG_BLCKSZ);
	bool		are_zeros = true;

	while (are_zeros && begin < end)
	{
		size_t		len = Min(end - begin, XLOG_BLCKSZ - begin % XLOG_BLCKSZ);
		XLogSegNo	segno;

		segno = ws_segment_number(begin, segment_size);
		ws_store_read(reader, ws_line_segment_tli(records->history, segment_size, segno),
					  0, begin, page, len);
		for (size_t i = 0; i < len && are_zeros; i++)
		{
			are_zeros = page[i] == 0;
			*lsn = begin + i;
		}
		begin += len;
	}
	pfree(page);
	ws_store_reader_free(reader);
	return are_zeros;
}
