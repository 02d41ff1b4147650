/*-------------------------------------------------------------------------
 *
 * records.h
 *	  Reads records from a store, along the line of timelines that leads to one
 *	  of them.
 *
 * For this folder only.
 *
 * A line has one file for each segment: that of the newest timeline which has
 * bytes in the segment.  The pages before the switch point in there are copies
 * of the older timeline's.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_STORE_RECORDS_H
#define WS_RELAY_STORE_RECORDS_H

#include "relay/store/store.h"

#include "access/xlogreader.h"

/* Returns the timeline in whose file this segment of the line is. */
extern TimeLineID ws_line_segment_tli(const WsHistory *history, uint32 segment_size,
									  XLogSegNo segno);

/*
 * Returns where the line's last timeline begins; InvalidXLogRecPtr if it has
 * no parent.
 */
extern XLogRecPtr ws_line_begin(const WsHistory *history);

/*
 * Find the first segment from which the line is stored up to the segment last
 * without a gap.  Returns false if not even that one is stored.  segments is
 * the list from ws_store_list().  Sets *is_gap if there are older segments, so
 * that the one before *first is missing.
 */
extern bool ws_line_find_first(const WsStore *store, const WsHistory *history,
							   const WsSegment *segments, int count,
							   XLogSegNo last, XLogSegNo *first, bool *is_gap);

/*
 * Find the first segment of all WAL that leads to tli.  Raises an ERROR that
 * names a missing segment.
 */
extern bool ws_line_require_first(const WsStore *store, const WsHistory *history,
								  const WsSegment *segments, int count,
								  XLogSegNo last, XLogSegNo *first);

/* Find the line's segment with the highest number on its last timeline. */
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
	XLogRecPtr	bad_tli_lsn;	/* first page that has another timeline than
								 * its position; this is not a failure */
	bool		reached_end;	/* the last request went beyond end_lsn */
	char	   *message;		/* message of the last failure, or NULL; not
								 * palloc'd */
} WsRecords;

/* Begin to read, in the current memory context. */
extern WsRecords *ws_records_new(const WsStore *store, const WsHistory *history,
								 XLogRecPtr end_lsn);
extern void ws_records_free(WsRecords *records);

/* Go to the first record at or after lsn.  Returns false if there is none. */
extern bool ws_records_seek(WsRecords *records, XLogRecPtr lsn);

/*
 * Read and check the next record.  Returns false if there is none at the next
 * position.  The record is in records->xlog, with ReadRecPtr and EndRecPtr as
 * its bounds.
 */
extern bool ws_records_next(WsRecords *records);

/*
 * Returns true if the last record is a switch, and sets *padding to where its
 * zeros, which extend to EndRecPtr, begin.
 */
extern bool ws_records_is_switch(const WsRecords *records, XLogRecPtr *padding);

/* Returns true if the padding of the last record, up to EndRecPtr, is zero. */
extern bool ws_records_is_filled_with_zeros(const WsRecords *records);

/*
 * Returns true if all bytes of the line in between are zero; otherwise sets
 * *lsn to the first that is not.
 */
extern bool ws_records_are_zeros(WsRecords *records, XLogRecPtr begin, XLogRecPtr end,
								 XLogRecPtr *lsn);

#endif							/* WS_RELAY_STORE_RECORDS_H */
