/*-------------------------------------------------------------------------
 *
 * test_lag.c
 *	  Lags computed from positions and times.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/lag.h"
#include "tap.h"

static WsLag lag;

static void
test_plain(void)
{
	memset(&lag, 0, sizeof(lag));
	is(ws_lag_reach(&lag, 0, 100, 5), WS_LAG_UNKNOWN, "nothing is known yet");

	ws_lag_note(&lag, 100, 1000);
	ws_lag_note(&lag, 100, 1500);
	ws_lag_note(&lag, 200, 2000);
	is(ws_lag_reach(&lag, 0, 100, 3000), 2000, "since the first notice of a position");
	is(ws_lag_reach(&lag, 0, 150, 3000), 1500, "between two samples");
	is(ws_lag_reach(&lag, 0, 200, 3000), 1000, "the last sample");
	is(ws_lag_reach(&lag, 0, 200, 9000), WS_LAG_UNKNOWN, "nothing new since then");
	is(ws_lag_reach(&lag, 1, 50, 3000), 2000, "before the first sample");
	is(ws_lag_reach(&lag, 1, 250, 3000), 1000, "several at once");
	ws_lag_note(&lag, 300, 10000);
	is(ws_lag_reach(&lag, 0, 250, 10010), 10, "a new burst is not measured by old samples");
	is(ws_lag_reach(&lag, 0, 300, 9000), WS_LAG_UNKNOWN, "a clock that went back");
}

static void
test_backwards(void)
{
	memset(&lag, 0, sizeof(lag));
	ws_lag_note(&lag, 100, 1000);
	ws_lag_note(&lag, 200, 2000);
	is(ws_lag_reach(&lag, 2, 100, 3000), 2000, "reached");
	is(ws_lag_reach(&lag, 2, 90, 3000), WS_LAG_UNKNOWN, "a position that went back");
	ws_lag_note(&lag, 150, 5000);
	is(lag.count, 2, "an older position is passed over");
}

/*
 * One reader stands still while the others continue, for longer than the array
 * has room.
 */
static void
test_slow_reader(void)
{
	bool		bounded = true;
	bool		sorted = true;
	int64		slow;

	memset(&lag, 0, sizeof(lag));
	for (int i = 1; i <= 100 * WS_LAG_SAMPLES; i++)
	{
		ws_lag_note(&lag, (XLogRecPtr) i * 10, (int64) i * 100);
		bounded &= ws_lag_reach(&lag, 0, (XLogRecPtr) i * 10, (int64) i * 100 + 7) == 7;
		ws_lag_reach(&lag, 1, (XLogRecPtr) i * 10, (int64) i * 100);
	}
	ok(bounded, "a reader that keeps up is exact");
	for (int i = 1; i < lag.count; i++)
		sorted &= lag.samples[i - 1].lsn < lag.samples[i].lsn;
	ok(sorted && lag.count <= WS_LAG_SAMPLES, "samples stay in order: %d", lag.count);

	/*
	 * position p became available at time 10 p; the distance of samples grows
	 */
	slow = ws_lag_reach(&lag, 2, 500000, 3000000000);
	slow -= 3000000000 - 5000000;
	ok(slow >= 0 && slow <= INT64CONST(100) * 100 * 4, "a slow reader is exact to some samples: %ld",
	   (long) slow);
	is(ws_lag_reach(&lag, 2, lag.newest_lsn, INT64CONST(100) * 100 * WS_LAG_SAMPLES + 5), 5,
	   "and exact when it comes to the end");

	/* when all keep up, samples become as close as before */
	bounded = true;
	for (int i = 1; i <= 1000 * WS_LAG_SAMPLES; i++)
	{
		XLogRecPtr	lsn = (XLogRecPtr) (100 * WS_LAG_SAMPLES + i) * 10;
		int64		now_us = INT64CONST(100) * (100 * WS_LAG_SAMPLES + i);

		ws_lag_note(&lag, lsn, now_us);
		for (int reader = 0; reader < WS_LAG_READERS; reader++)
			bounded &= ws_lag_reach(&lag, reader, lsn, now_us + 7) == 7;
	}
	ok(bounded, "all keep up and are exact");
	is(lag.thinned, 0, "every position is a sample again");
}

int
main(void)
{
	test_plain();
	test_backwards();
	test_slow_reader();
	return done_testing();
}
