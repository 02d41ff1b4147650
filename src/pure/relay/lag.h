/*-------------------------------------------------------------------------
 *
 * lag.h
 *	  How long ago the WAL that a downstream confirms became available.
 *
 * The sender notes positions as they become available to it, with the time;
 * when the downstream reports how far it has written, flushed or applied, the
 * time since then is the lag.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_RELAY_LAG_H
#define WS_PURE_RELAY_LAG_H

#include "c.h"

#include "access/xlogdefs.h"

/*
 * Size of the array, an even number.  When it is full, every second sample is
 * dropped.
 */
#define WS_LAG_SAMPLES	2048

/* The positions that a downstream reports: written, flushed, applied. */
#define WS_LAG_READERS	3

#define WS_LAG_UNKNOWN	(-1)

typedef struct WsLagSample
{
	XLogRecPtr	lsn;
	int64		time_us;
} WsLagSample;

/* All zero in the beginning. */
typedef struct WsLag
{
	XLogRecPtr	newest_lsn;
	int			thinned;		/* times thinned out; only each 2^thinned-th
								 * sample and the newest are kept */
	int			passed_over;	/* samples since the last one that was kept */
	int			count;
	int			next[WS_LAG_READERS];	/* first sample not reached yet */
	WsLagSample reached[WS_LAG_READERS];	/* last one reached; time 0 if
											 * none, or if the reader had
											 * passed them all */
	WsLagSample samples[WS_LAG_SAMPLES];	/* by rising position */
} WsLag;

/*
 * Note that WAL up to lsn is available as of now_us.  A position that is not
 * beyond the last one is ignored.
 */
extern void ws_lag_note(WsLag *lag, XLogRecPtr lsn, int64 now_us);

/*
 * Note that a reader has reached lsn, and return its lag in microseconds,
 * interpolated between two samples.  WS_LAG_UNKNOWN if nothing has become
 * available since the reader last reached the end, or if the clock went back.
 */
extern int64 ws_lag_reach(WsLag *lag, int reader, XLogRecPtr lsn, int64 now_us);

#endif							/* WS_PURE_RELAY_LAG_H */
