/*-------------------------------------------------------------------------
 *
 * test_backoff.c
 *	  When the codec is tried on bytes that shrink or do not shrink.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/backoff.h"
#include "tap.h"

#define FRAME	(128 * 1024)

static WsBackoff backoff;

/*
 * Encode frames that do not shrink until it gives up; returns the bytes tried.
 */
static uint64
try_until_failure(size_t len)
{
	uint64		tried = 0;

	while (!ws_backoff_skip(&backoff, len))
	{
		tried += len;
		if (ws_backoff_judge(&backoff, len, len + 3))
			break;
	}
	return tried;
}

/* Returns how many bytes pass without a try. */
static uint64
skip_all(size_t len)
{
	uint64		skipped = 0;

	while (ws_backoff_skip(&backoff, len))
		skipped += len;
	return skipped;
}

int
main(void)
{
	uint64		distance = WS_BACKOFF_MIN;
	uint64		tried = 0;
	uint64		total = 0;

	ws_backoff_reset(&backoff);
	ok(!ws_backoff_skip(&backoff, FRAME), "the first frame is tried");
	is(try_until_failure(FRAME), WS_BACKOFF_AFTER, "then as many as documented");
	for (int i = 0; i < 8; i++)
	{
		is(skip_all(FRAME), distance, "failure %d: the distance", i + 1);
		is(try_until_failure(FRAME), FRAME, "then one frame");
		distance = Min(distance * 2, WS_BACKOFF_MAX);
	}
	skip_all(FRAME);
	ok(!ws_backoff_judge(&backoff, FRAME, FRAME / 2), "a success");
	is(try_until_failure(FRAME), WS_BACKOFF_AFTER, "and all is as at first");
	is(skip_all(FRAME), WS_BACKOFF_MIN, "the distance too");

	/* a probe of small frames is long enough for history to have an effect */
	is(try_until_failure(450), 450 * ((WS_BACKOFF_PROBE + 449) / 450),
	   "small frames: as many as make a probe");
	skip_all(450);
	for (int i = 0; i < 10; i++)
		ws_backoff_judge(&backoff, 450, 460);
	for (int i = 0; i < 10; i++)
		ws_backoff_judge(&backoff, 450, 200);
	ok(!ws_backoff_skip(&backoff, 450), "a probe that begins badly is a success");

	/* shrinking by less than an eighth is not worth it, by more is */
	ws_backoff_reset(&backoff);
	for (int i = 0; i < 1000 && !ws_backoff_skip(&backoff, FRAME); i++)
		ws_backoff_judge(&backoff, FRAME, FRAME - FRAME / 16);
	ok(backoff.skip > 0, "a shrink by a 16th is left");
	ws_backoff_reset(&backoff);
	for (int i = 0; i < 1000; i++)
		ws_backoff_judge(&backoff, FRAME, FRAME - FRAME / 7);
	is(backoff.skip, 0, "a shrink by a seventh is not");
	is(try_until_failure(FRAME), WS_BACKOFF_AFTER,
	   "and a long time of it does not delay a failure");

	/* large frames that do not shrink alternate with small ones that do */
	ws_backoff_reset(&backoff);
	for (int i = 0; i < 1000; i++)
	{
		if (!ws_backoff_skip(&backoff, FRAME))
		{
			tried += FRAME;
			ws_backoff_judge(&backoff, FRAME, FRAME + 3);
		}
		if (!ws_backoff_skip(&backoff, 450))
			ws_backoff_judge(&backoff, 450, 150);
		total += FRAME;
	}
	ok(tried * 20 < total, "a mixture that does not shrink is left alone");

	/* small frames that do not shrink alternate with large ones that do */
	ws_backoff_reset(&backoff);
	for (int i = 0; i < 10000 && backoff.skip == 0; i++)
	{
		ws_backoff_judge(&backoff, 8192, 8195);
		ws_backoff_judge(&backoff, 8192, 4096);
	}
	is(backoff.skip, 0, "one that shrinks on the whole is not");

	return done_testing();
}
