/*-------------------------------------------------------------------------
 *
 * report.h
 *	  Calculates what walstream would send for a piece of WAL.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_REPORT_H
#define WS_REPORT_H

#include "segment.h"

#define REPORT_RMGRS	257		/* 0 to 255, and one for bytes not modelled */
#define REPORT_RAW		256

/* One way of sending: a codec and a size of messages. */
typedef struct ReportWay
{
	const WsCodec *codec;
	bool		per_commit;
	uint64		messages;
	uint64		stock_bytes;	/* CopyData messages as stock PostgreSQL sends
								 * them */
	uint64		sent_bytes;		/* as walstream sends them */
	double		encode_seconds; /* of this thread's processor time */
	double		decode_seconds;
} ReportWay;

typedef struct ReportRmgr
{
	uint64		records;
	uint64		raw_bytes;
	double		sent_bytes;		/* an estimated share, see report_segment */
} ReportRmgr;

#define REPORT_WAYS		4

/*
 * parts of the work on a file, for progress: decoding an encoded file is one
 */
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
 * Encode a segment in all ways, decode it again and compare.  Returns false
 * after a message if a codec has failed.
 *
 * A resource manager's sent_bytes is an estimate: its share of a message's
 * encoded bytes is taken to be its share of zstd's input.
 */
extern bool report_segment(Report *report, const Segment *segment);

extern void report_print(const Report *report);
extern void report_print_json(const Report *report);

#endif							/* WS_REPORT_H */
