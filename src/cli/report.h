/*-------------------------------------------------------------------------
 *
 * report.h
 *	  What walstream would have sent for a run of WAL.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_REPORT_H
#define WS_REPORT_H

#include "segment.h"

#define REPORT_RMGRS	257		/* 0 to 255, and what was not modelled */
#define REPORT_RAW		256

/* One way of sending: a codec, and how the stream is cut into messages. */
typedef struct ReportWay
{
	const WsCodec *codec;
	bool		per_commit;
	uint64		messages;
	uint64		stock_bytes;	/* CopyData messages, as stock sends them */
	uint64		sent_bytes;		/* as we do */
	double		encode_seconds; /* of this thread's processor time */
	double		decode_seconds;
} ReportWay;

typedef struct ReportRmgr
{
	uint64		records;
	uint64		raw_bytes;
	double		sent_bytes;		/* a share: see report_segment */
} ReportRmgr;

#define REPORT_WAYS		4

/* of the work on a file, for progress: decoding it, if it is encoded, is one */
#define REPORT_PARTS	(1 + REPORT_WAYS)

typedef struct Report
{
	int			segments;
	uint64		wal_bytes;
	ReportWay	ways[REPORT_WAYS];
	ReportRmgr	rmgrs[REPORT_RMGRS];	/* of walz with 128 kB messages */
} Report;

extern void report_init(Report *report);

/*
 * Send a segment in all ways, decode it again and compare.  False, with a
 * message, if a codec has failed.
 *
 * What resource managers have in the bytes sent is a share: of each message,
 * as much as they gave of what zstd got to compress.
 */
extern bool report_segment(Report *report, const Segment *segment);

extern void report_print(const Report *report);
extern void report_print_json(const Report *report);

#endif							/* WS_REPORT_H */
