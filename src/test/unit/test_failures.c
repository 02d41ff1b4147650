/*-------------------------------------------------------------------------
 *
 * test_failures.c
 *	  What suspends compression, for how long, and the file that keeps the
 *	  failures.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/failures.h"
#include "tap.h"

#define NOW			INT64CONST(812345678901234)
#define SETTING		0x89abcdef

static void
test_series(void)
{
	WsFailures	failures = {0};

	ok(!ws_failures_suspend(&failures, SETTING, NOW), "nothing suspends at first");
	ok(!ws_failures_add(&failures, 0, SETTING, NOW), "nor does a failure");
	ok(!ws_failures_add(&failures, WS_FAILURES_GOOD_BYTES - 1, SETTING, NOW),
	   "nor another");
	ok(ws_failures_add(&failures, 0, SETTING, NOW), "a third one does");
	ok(ws_failures_suspend(&failures, SETTING, NOW), "at once");
	ok(ws_failures_suspend(&failures, SETTING, NOW + WS_FAILURES_SUSPEND_US - 1),
	   "for ten minutes");
	ok(!ws_failures_suspend(&failures, SETTING, NOW + WS_FAILURES_SUSPEND_US),
	   "and not longer");
	ok(!ws_failures_suspend(&failures, SETTING + 1, NOW), "nor with another setting");
	ok(!ws_failures_suspend(&failures, SETTING, NOW - 1),
	   "nor when the clock was put back");
	ok(!ws_failures_suspend(&failures, SETTING, PG_INT64_MIN) &&
	   !ws_failures_suspend(&failures, SETTING, PG_INT64_MAX),
	   "nor at the ends of time");

	ok(!ws_failures_add(&failures, 0, SETTING, NOW), "then a new series begins");
	ok(!ws_failures_add(&failures, 0, SETTING + 1, NOW), "so it does with a setting");
	ok(!ws_failures_add(&failures, 0, SETTING + 1, NOW) && failures.count == 2,
	   "which goes on");
	ws_failures_add_good(&failures, WS_FAILURES_GOOD_BYTES - 1);
	ok(!ws_failures_add(&failures, 1, SETTING + 1, NOW) && failures.count == 1,
	   "and ends with 64 MB that were good");
	ws_failures_add_good(&failures, PG_UINT64_MAX);
	ws_failures_add_good(&failures, PG_UINT64_MAX);
	ok(failures.good_bytes == PG_UINT64_MAX, "more than can be counted is enough");
}

static void
test_file(void)
{
	static const char known[] =
		"walstream failures 1\n"
		"00a1b2c3d4e5f607 2 1048576 812345678901234 89abcdef\n"
		"crc ";
	WsStreamFailures streams[WS_FAILURES_MAX_STREAMS + 1] = {
		{UINT64CONST(0x00a1b2c3d4e5f607), {2, 1048576, NOW, SETTING}}
	};
	WsStreamFailures again[WS_FAILURES_MAX_STREAMS];
	char		buf[WS_FAILURES_MAX_BYTES + 1];
	size_t		len = ws_failures_format(streams, 1, buf);
	int			count;
	int			taken = 0;

	ok(len == strlen(known) + 9 && memcmp(buf, known, strlen(known)) == 0,
	   "the file is as documented");
	ok(ws_failures_parse(buf, len, again, &count) == WS_OK && count == 1 &&
	   again[0].stream == streams[0].stream &&
	   memcmp(&again[0].failures, &streams[0].failures, sizeof(WsFailures)) == 0,
	   "and read");

	for (size_t i = 0; i < len; i++)
	{
		for (int bit = 0; bit < 8; bit++)
		{
			buf[i] ^= 1 << bit;
			taken += ws_failures_parse(buf, len, again, &count) == WS_OK;
			buf[i] ^= 1 << bit;
		}
	}
	is(taken, 0, "no flipped bit is taken");
	for (size_t cut = 0; cut < len; cut++)
	{
		char	   *exact = malloc(cut > 0 ? cut : 1);

		memcpy(exact, buf, cut);
		taken += ws_failures_parse(exact, cut, again, &count) == WS_OK;
		free(exact);
	}
	is(taken, 0, "nor one that is cut");
	is(ws_failures_parse(buf, WS_FAILURES_MAX_BYTES + 1, again, &count),
	   WS_E_TOO_LARGE, "nor one that is too large");

	/*
	 * the maximal number of entries, with the longest numbers, and one too
	 * many
	 */
	for (int i = 0; i < (int) lengthof(streams); i++)
	{
		streams[i].stream = PG_UINT64_MAX - i;
		streams[i].failures.count = 1 + i % WS_FAILURES_SUSPEND;
		streams[i].failures.good_bytes = PG_UINT64_MAX - i;
		streams[i].failures.last_us = PG_INT64_MIN + i;
		streams[i].failures.setting = PG_UINT32_MAX - i;
	}
	len = ws_failures_format(streams, lengthof(streams), buf);
	ok(len < WS_FAILURES_MAX_BYTES, "a full file has %zu bytes", len);
	ok(ws_failures_parse(buf, len, again, &count) == WS_OK &&
	   count == WS_FAILURES_MAX_STREAMS &&
	   again[count - 1].stream == streams[count - 1].stream &&
	   again[count - 1].failures.last_us == streams[count - 1].failures.last_us,
	   "and comes back, without what has no room");

	/* anything that shared memory may contain after a crash */
	streams[0].failures.count = 0;
	streams[1].failures.count = -5;
	streams[2].failures.count = PG_INT32_MAX;
	len = ws_failures_format(streams, 4, buf);
	ok(ws_failures_parse(buf, len, again, &count) == WS_OK && count == 1 &&
	   again[0].stream == streams[3].stream,
	   "counts that cannot be are left out");
	len = ws_failures_format(streams, 0, buf);
	ok(ws_failures_parse(buf, len, again, &count) == WS_OK && count == 0,
	   "there may be none");
}

int
main(void)
{
	test_series();
	test_file();
	return done_testing();
}
