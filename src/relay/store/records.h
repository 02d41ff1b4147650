/*-------------------------------------------------------------------------
 *
 * records.h
 *	  Reads records out of a store, along the line of timelines that leads to
 *	  one of them.
 *
 * For this folder only.
 *
 * A line has one file for each segment: that of the newest timeline which has
 * bytes in it.  Its pages from before the switch are copies of the older
 * timeline's.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_STORE_RECORDS_H
#define WS_RELAY_STORE_RECORDS_H

#include "relay/store/store.h"

#include "access/xlogreader.h"

/* In which timeline's file is this segment of the line? */
extern TimeLineID ws_line_segment_tli(const WsHistory *history, uint32 segment_size,
									  XLogSegNo segno);

/* Where does the line's last timeline begin?  InvalidXLogRecPtr if it has no parent. */
extern XLogRecPtr ws_line_begin(const WsHistory *history);

/*
 * The first segment from which on the line is there up to the segment last
 * without a gap; false if not even that one is.  segments are all, as
 * ws_store_list() gives them.  *is_gap: there are older ones, so the one before
 * *first is missing.
 */
extern bool ws_line_find_first(const WsStore *store, const WsHistory *history,
							   const WsSegment *segments, int count,
							   XLogSegNo last, XLogSegNo *first, bool *is_gap);

/* The same of all that leads to tli; an ERROR that names a missing segment. */
extern bool ws_line_require_first(const WsStore *store, const WsHistory *history,
								  const WsSegment *segments, int count,
								  XLogSegNo last, XLogSegNo *first);

/* The line's segment with the highest number on its last timeline. */
extern const WsSegment *ws_line_last_segment(const WsSegment *segments, int count,
											 TimeLineID tli);

typedef struct WsRecords
{
	WsStore		store;
	const WsHistory *history;
	XLogRecPtr	end_lsn;		/* nothing is read from here on */
	WsStoreReader *reader;
	XLogReaderState *xlog;

	XLogRecPtr	page_lsn;		/* the page that was asked for last */
	XLogRecPtr	bad_tli_lsn;	/* the first page that names another timeline
								 * than that of its position; no failure */
	bool		reached_end;	/* what was asked for last is not all before
								 * end_lsn */
	char	   *message;		/* of the last failure, or NULL; not palloc'd */
} WsRecords;

/* In the current memory context. */
extern WsRecords *ws_records_new(const WsStore *store, const WsHistory *history,
								 XLogRecPtr end_lsn);
extern void ws_records_free(WsRecords *records);

/* Position at the first record at or behind lsn; false if there is none. */
extern bool ws_records_seek(WsRecords *records, XLogRecPtr lsn);

/*
 * The next record, checked; false at the first position at which there is none.
 * records->xlog has it, and ReadRecPtr and EndRecPtr as its bounds.
 */
extern bool ws_records_next(WsRecords *records);

/*
 * If the last record is a switch: *padding is where its zeros, up to EndRecPtr,
 * begin.
 */
extern bool ws_records_is_switch(const WsRecords *records, XLogRecPtr *padding);

/* Are the bytes that fill the last record up to EndRecPtr zero? */
extern bool ws_records_is_filled_with_zeros(const WsRecords *records);

/* Are all bytes of the line in between zero?  *lsn: the first that is not. */
extern bool ws_records_are_zeros(WsRecords *records, XLogRecPtr begin, XLogRecPtr end,
								 XLogRecPtr *lsn);

#endif							/* WS_RELAY_STORE_RECORDS_H */
