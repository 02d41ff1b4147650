/*-------------------------------------------------------------------------
 *
 * xidscan.h
 *	  Follows how far transaction ids have come in a stream of WAL.
 *
 * It looks at the header of each record, and into the few records that say
 * which id comes next; nothing else is read, and no CRC is computed.  What is
 * found may be behind what the cluster has used, and is never ahead of it: an
 * id counts only if its record points back to the one before, or is the first that
 * a page's header leads to.  Where the WAL
 * cannot be followed it goes on with the next page whose header can be.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_RELAY_XIDSCAN_H
#define WS_PURE_RELAY_XIDSCAN_H

#include "pure/codec/codec.h"

/*
 * Records that are looked into: their resource managers, infos, and where
 * their data has the next id.  A checkpoint's has 64 bits.  xids.c compares
 * these with PostgreSQL's headers.
 */
#define WS_SCAN_RM_XLOG				0
#define WS_SCAN_CHECKPOINT_SHUTDOWN	0x00
#define WS_SCAN_CHECKPOINT_ONLINE	0x10
#define WS_SCAN_CHECKPOINT_TLI		8
#define WS_SCAN_CHECKPOINT_XID		24	/* until 18 */
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
	 * What has been found: all ids before next_xid, which has the epoch in
	 * its high half, may have been used; 0: not known.  Then the timeline of
	 * the checkpoint seen last; 0: none.
	 */
	uint64		next_xid;
	TimeLineID	checkpoint_tli;

	/* where it is */
	XLogRecPtr	next_lsn;		/* of the byte that comes next */
	bool		lost;			/* up to the next page */
	XLogRecPtr	record_lsn;		/* the record that is being read, ... */
	XLogRecPtr	previous_lsn;	/* ... and the one before; Invalid: not known */
	uint64		skip;			/* bytes of records, not of pages' headers, to
								 * pass over */
	uint32		head_wanted;
	uint32		head_len;		/* 0: between two records */
	uint32		page_wanted;	/* 0: not in a page's header */
	uint32		page_len;
	uint8		page[40];
	uint8		head[WS_SCAN_HEAD_BYTES];
} WsXidScan;

/*
 * The next byte is the one at lsn.  next_xid and checkpoint_tli are what was
 * found before, 0 if nothing.
 */
extern void ws_xidscan_begin(WsXidScan *scan, const WsCodecParams *params,
							 XLogRecPtr lsn, uint64 next_xid,
							 TimeLineID checkpoint_tli);

/* The next len bytes. */
extern void ws_xidscan_put(WsXidScan *scan, const uint8 *data, size_t len);

#endif							/* WS_PURE_RELAY_XIDSCAN_H */
