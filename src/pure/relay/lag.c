/*-------------------------------------------------------------------------
 *
 * lag.c
 *	  How long ago the WAL that a downstream confirms became available.
 *
 * A downstream whose apply is far behind its flush needs old samples for a
 * long time.  When the array is full, every second sample is dropped, and of
 * later samples only every second one is kept, until all readers have passed.
 * The lag becomes less precise, but no reader loses its place, and the newest
 * sample is always kept.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/lag.h"

#define MAX_THINNED		20

/* Make room: first drop the samples that all readers have passed. */
static void
drop_reached(WsLag *lag)
{
	int			reached = lag->count;

	for (int i = 0; i < WS_LAG_READERS; i++)
		reached = Min(reached, lag->next[i]);

	lag->count -= reached;
	memmove(lag->samples, lag->samples + reached,
			lag->count * sizeof(WsLagSample));
	for (int i = 0; i < WS_LAG_READERS; i++)
		lag->next[i] -= reached;
	if (lag->count < WS_LAG_SAMPLES / 2)
		lag->thinned = 0;
}

/* Keep the later sample of each pair, and so the newest of all. */
static void
thin_out(WsLag *lag)
{
	for (int i = 0; i < WS_LAG_SAMPLES / 2; i++)
		lag->samples[i] = lag->samples[2 * i + 1];
	lag->count = WS_LAG_SAMPLES / 2;
	for (int i = 0; i < WS_LAG_READERS; i++)
		lag->next[i] /= 2;
	if (lag->thinned < MAX_THINNED)
		lag->thinned++;
}

void
ws_lag_note(WsLag *lag, XLogRecPtr lsn, int64 now_us)
{
	if (lsn <= lag->newest_lsn)
		return;
	lag->newest_lsn = lsn;

	/* replace the newest sample, unless it is one to keep */
	if (lag->count > 0 && ++lag->passed_over < (1 << lag->thinned))
	{
		lag->count--;
		for (int i = 0; i < WS_LAG_READERS; i++)
			lag->next[i] = Min(lag->next[i], lag->count);
	}
	else
		lag->passed_over = 0;

	if (lag->count == WS_LAG_SAMPLES)
		drop_reached(lag);
	if (lag->count == WS_LAG_SAMPLES)
		thin_out(lag);

	lag->samples[lag->count].lsn = lsn;
	lag->samples[lag->count].time_us = now_us;
	lag->count++;
}

/* Estimate when lsn, which lies between two samples, became available. */
static int64
interpolate(const WsLagSample *before, const WsLagSample *after, XLogRecPtr lsn)
{
	double		part = (double) (lsn - before->lsn) /
		(double) (after->lsn - before->lsn);

	return before->time_us +
		(int64) (part * (double) (after->time_us - before->time_us));
}

int64
ws_lag_reach(WsLag *lag, int reader, XLogRecPtr lsn, int64 now_us)
{
	WsLagSample *reached = &lag->reached[reader];
	int			next = lag->next[reader];
	bool		reached_one = false;
	int64		time_us;

	while (next < lag->count && lag->samples[next].lsn <= lsn)
	{
		*reached = lag->samples[next++];
		reached_one = true;
	}
	lag->next[reader] = next;
	time_us = reached->time_us;

	if (next == lag->count)
	{
		/* an old sample says nothing about the next burst of WAL */
		reached->time_us = 0;
		if (!reached_one)
			return WS_LAG_UNKNOWN;
	}
	else if (!reached_one)
	{
		const WsLagSample *ahead = &lag->samples[next];

		if (reached->time_us == 0)
			time_us = ahead->time_us;
		else if (lsn >= reached->lsn && ahead->time_us >= reached->time_us)
			time_us = interpolate(reached, ahead, lsn);
		else
			return WS_LAG_UNKNOWN;
	}

	return now_us >= time_us ? now_us - time_us : WS_LAG_UNKNOWN;
}
