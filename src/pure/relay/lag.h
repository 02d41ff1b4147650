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

/* Even; when there are so many, every second one is given up. */
#define WS_LAG_SAMPLES	2048

/* What a downstream reports: written, flushed, applied. */
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
	int			thinned;		/* how often; only each 2^thinned-th sample is
								 * kept, and the newest */
	int			passed_over;	/* samples since the last one kept */
	int			count;
	int			next[WS_LAG_READERS];	/* first sample not reached yet */
	WsLagSample reached[WS_LAG_READERS];	/* last one reached; time 0: none,
											 * or nothing was left then */
	WsLagSample samples[WS_LAG_SAMPLES];	/* by rising position */
} WsLag;

/*
 * WAL up to lsn is available as of now_us.  Positions that are not beyond the
 * last one are passed over.
 */
extern void ws_lag_note(WsLag *lag, XLogRecPtr lsn, int64 now_us);

/*
 * One of the readers has come to lsn: its lag in microseconds.  Where that is
 * between two samples, by proportion.  WS_LAG_UNKNOWN if nothing has become
 * available since it last came to the end, or the clock went back.
 */
extern int64 ws_lag_reach(WsLag *lag, int reader, XLogRecPtr lsn, int64 now_us);

#endif							/* WS_PURE_RELAY_LAG_H */
