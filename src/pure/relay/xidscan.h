/*-------------------------------------------------------------------------
 *
 * xidscan.h
 *	  Follows the next transaction id through a stream of WAL.
 *
 * The scan looks at the header of each record, and into the few records that
 * contain the next id; it reads nothing else and computes no CRC.  Its result
 * may be behind the cluster's next id, and is never ahead of it: an id counts
 * only if its record points back to the one before, or is the first record
 * that a page header leads to.  Where the WAL makes no sense, the scan goes on
 * with the next valid page header.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_RELAY_XIDSCAN_H
#define WS_PURE_RELAY_XIDSCAN_H

#include "pure/codec/codec.h"

/*
 * The records that are looked into: resource managers, infos, and the offset
 * of the next id in their data.  A checkpoint has a 64-bit id.  xids.c compares
 * these numbers with PostgreSQL's headers.
 */
#define WS_SCAN_RM_XLOG				0
#define WS_SCAN_CHECKPOINT_SHUTDOWN	0x00
#define WS_SCAN_CHECKPOINT_ONLINE	0x10
#define WS_SCAN_CHECKPOINT_TLI		8
#define WS_SCAN_CHECKPOINT_XID		24	/* up to PostgreSQL 18 */
#define WS_SCAN_CHECKPOINT_XID_19	32
#define WS_SCAN_RM_STANDBY			8
#define WS_SCAN_RUNNING_XACTS		0x10
#define WS_SCAN_RUNNING_XID			12

/* A record's header, that of its main data, and the data up to the id. */
#define WS_SCAN_HEAD_BYTES			(24 + 5 + WS_SCAN_CHECKPOINT_XID_19 + 8)

typedef struct WsXidScan
{
	/* the layout of the WAL */
	uint32		block_size;
	uint32		segment_size;
	uint16		page_magic;

	/*
	 * The result: ids before next_xid, which has the epoch in its high half,
	 * may have been used; 0 if not known.  Then the timeline of the last
	 * checkpoint seen; 0 if none.
	 */
	uint64		next_xid;
	TimeLineID	checkpoint_tli;

	/* the scan's place in the stream */
	XLogRecPtr	next_lsn;		/* position of the next byte */
	bool		lost;			/* nothing can be followed up to the next page */
	XLogRecPtr	record_lsn;		/* the record being read, ... */
	XLogRecPtr	previous_lsn;	/* ... and the one before; invalid if not
								 * known */
	uint64		skip;			/* record bytes, without page headers, to skip */
	uint32		head_wanted;
	uint32		head_len;		/* 0: between two records */
	uint32		page_wanted;	/* 0: not in a page's header */
	uint32		page_len;
	uint8		page[40];
	uint8		head[WS_SCAN_HEAD_BYTES];
} WsXidScan;

/*
 * Begin at lsn.  next_xid and checkpoint_tli are results of an earlier scan, or
 * 0.
 */
extern void ws_xidscan_begin(WsXidScan *scan, const WsCodecParams *params,
							 XLogRecPtr lsn, uint64 next_xid,
							 TimeLineID checkpoint_tli);

/* Scan the next len bytes. */
extern void ws_xidscan_put(WsXidScan *scan, const uint8 *data, size_t len);

#endif							/* WS_PURE_RELAY_XIDSCAN_H */
