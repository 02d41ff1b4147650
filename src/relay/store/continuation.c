/*-------------------------------------------------------------------------
 *
 * continuation.c
 *	  Checks that the WAL stored after a position continues the WAL before it.
 *
 * If none of the stored WAL is received again, only the records can show this:
 * each record points to the one before it, a page header has the remaining
 * length of a record that continues there, and the CRC of a record that lies
 * on both sides is right only if they belong together.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/store/file.h"
#include "relay/store/records.h"

/* State of a check. */
typedef struct Chain
{
	const WsStore *store;
	const WsHistory *history;
	XLogRecPtr	lsn;
	XLogRecPtr	end_lsn;
	XLogRecPtr	upto;			/* end of the last record that was read */
}			Chain;

/*
 * Returns the lowest possible end of the record at lsn, calculated from its
 * length, which is in its first page, and the headers of the pages after it.
 */
static XLogRecPtr
find_record_end(const Chain * chain, XLogRecPtr lsn)
{
	uint32		segment_size = chain->store->identity.segment_size;
	WsStoreReader *reader;
	uint32		len;
	XLogSegNo	segno;
	uint64		bytes;

	if (lsn % XLOG_BLCKSZ == 0)
		lsn += ws_segment_offset(lsn, segment_size) == 0 ?
			SizeOfXLogLongPHD : SizeOfXLogShortPHD;
	if (lsn + sizeof(len) > chain->end_lsn)
		return lsn + sizeof(len);
	segno = ws_segment_number(lsn, segment_size);
	reader = ws_store_reader_new(chain->store);
	ws_store_read(reader, ws_line_segment_tli(chain->history, segment_size, segno), 0,
				  lsn, (char *) &len, sizeof(len));
	ws_store_reader_free(reader);
	bytes = lsn % XLOG_BLCKSZ + (uint64) len;
	return lsn + len + bytes / XLOG_BLCKSZ * SizeOfXLogShortPHD;
}

/*
 * Read records, starting with the first one after begin_lsn.  Returns false if
 * none of them begins before the position.
 */
static bool
read_over(Chain * chain, XLogRecPtr begin_lsn, WsChainResult * result)
{
	WsRecords  *records = ws_records_new(chain->store, chain->history, chain->end_lsn);
	bool		has_before = false;
	bool		bad_tli;

	result->state = WS_CHAIN_BROKEN;
	chain->upto = begin_lsn;
	if (ws_records_seek(records, begin_lsn))
	{
		while (chain->upto <= chain->lsn && ws_records_next(records))
		{
			if (!has_before && records->xlog->ReadRecPtr >= chain->lsn)
				break;
			has_before = true;
			chain->upto = records->xlog->EndRecPtr;
		}
	}
	bad_tli = records->bad_tli_lsn != InvalidXLogRecPtr &&
		records->bad_tli_lsn + XLOG_BLCKSZ > chain->lsn;
	if (has_before && chain->upto > chain->lsn && !bad_tli)
		result->state = WS_CHAIN_CONTINUES;
	if (has_before && result->state == WS_CHAIN_BROKEN)
	{
		if (bad_tli)
			result->reason = psprintf("the page at " WS_LSN " is not of the timeline's history",
									  LSN_FORMAT_ARGS(records->bad_tli_lsn));
		else if (records->reached_end)
			result->state = WS_CHAIN_OPEN;
		else
			result->reason = psprintf("there is no valid record behind " WS_LSN ": %s",
									  LSN_FORMAT_ARGS(chain->upto),
									  records->message != NULL ? records->message : "unknown reason");
	}
	ws_records_free(records);
	return has_before;
}

void
ws_store_check_chain(const WsStore *store, TimeLineID tli, XLogRecPtr lsn,
					 XLogRecPtr end_lsn, WsChainResult * result)
{
	Chain		chain = {.store = store,.lsn = lsn,.end_lsn = end_lsn};
	TimeLineID	first_tli;
	XLogRecPtr	first_lsn;
	XLogRecPtr	begin_lsn = lsn - 1;

	result->reason = NULL;
	result->state = WS_CHAIN_CONTINUES;
	if (!ws_store_find_first(store, tli, &first_tli, &first_lsn) || first_lsn >= lsn)
		return;
	chain.history = ws_store_read_history(store, tli);

	/* go back to the beginning of a record, which may be far */
	for (uint64 back = XLOG_BLCKSZ;; back *= 2)
	{
		CHECK_FOR_INTERRUPTS();
		begin_lsn = Max(begin_lsn - begin_lsn % XLOG_BLCKSZ, first_lsn);
		if (read_over(&chain, begin_lsn, result))
			break;
		if (begin_lsn == first_lsn)
		{
			/* no record is stored with its beginning */
			result->state = WS_CHAIN_CONTINUES;
			return;
		}
		begin_lsn = begin_lsn > first_lsn + back ? begin_lsn - back : first_lsn;
	}
	if (result->state == WS_CHAIN_OPEN)
		result->needed_lsn = find_record_end(&chain, chain.upto);
}

bool
ws_store_is_first_page(const WsStore *store, TimeLineID tli, XLogRecPtr lsn,
					   const char *page)
{
	XLogLongPageHeaderData header;

	memcpy(&header, page, sizeof(header));
	return header.std.xlp_magic == XLOG_PAGE_MAGIC &&
		(header.std.xlp_info & XLP_LONG_HEADER) != 0 &&
		header.std.xlp_pageaddr == lsn &&
		header.std.xlp_tli != 0 && header.std.xlp_tli <= tli &&
		header.xlp_sysid == store->identity.system_identifier &&
		header.xlp_seg_size == store->identity.segment_size &&
		header.xlp_xlog_blcksz == store->identity.block_size;
}
