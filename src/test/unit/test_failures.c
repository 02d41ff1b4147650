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
#include "textfile.h"

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

/* The argument of the functions below. */
typedef struct Streams
{
	const WsStreamFailures *streams;
	int			count;
} Streams;

static WsStreamFailures parsed[WS_FAILURES_MAX_STREAMS];
static int	parsed_count;

static size_t
format(const void *file, char *buf)
{
	const Streams *streams = file;

	return ws_failures_format(streams->streams, streams->count, buf);
}

static WsStatus
parse(const char *text, size_t len)
{
	return ws_failures_parse(text, len, parsed, &parsed_count);
}

static bool
was_parsed(const void *file)
{
	const Streams *streams = file;

	if (parsed_count != streams->count)
		return false;
	for (int i = 0; i < parsed_count; i++)
	{
		const WsFailures *a = &streams->streams[i].failures;
		const WsFailures *b = &parsed[i].failures;

		if (streams->streams[i].stream != parsed[i].stream ||
			a->count != b->count || a->good_bytes != b->good_bytes ||
			a->last_us != b->last_us || a->setting != b->setting)
			return false;
	}
	return true;
}

static const TextFile type = {
	"crc ", WS_FAILURES_MAX_BYTES, WS_E_MALFORMED, format, parse, was_parsed
};

static void
test_file(void)
{
	WsStreamFailures streams[WS_FAILURES_MAX_STREAMS + 1] = {
		{UINT64CONST(0x00a1b2c3d4e5f607), {2, 1048576, NOW, SETTING}}
	};
	Streams		none = {streams, 0};
	Streams		one = {streams, 1};
	Streams		full = {streams, WS_FAILURES_MAX_STREAMS};
	char		buf[WS_FAILURES_MAX_BYTES];
	size_t		len;

	test_roundtrip(&type, &none, "none");
	test_roundtrip(&type, &one, "one");
	test_text(&type, &one,
			  "walstream failures 1\n"
			  "00a1b2c3d4e5f607 2 1048576 812345678901234 89abcdef\n",
			  "the file is as documented");
	test_damage(&type, &one);

	/* the maximal number of entries, with the longest numbers */
	for (int i = 0; i < (int) lengthof(streams); i++)
	{
		streams[i].stream = PG_UINT64_MAX - i;
		streams[i].failures.count = 1 + i % WS_FAILURES_SUSPEND;
		streams[i].failures.good_bytes = PG_UINT64_MAX - i;
		streams[i].failures.last_us = PG_INT64_MIN + i;
		streams[i].failures.setting = PG_UINT32_MAX - i;
	}
	test_roundtrip(&type, &full, "full");
	len = ws_failures_format(streams, lengthof(streams), buf);
	ok(parse(buf, len) == WS_OK && was_parsed(&full),
	   "an entry for which there is no room is left out");

	/* anything that shared memory may contain after a crash */
	streams[0].failures.count = 0;
	streams[1].failures.count = -5;
	streams[2].failures.count = PG_INT32_MAX;
	len = ws_failures_format(streams, 4, buf);
	ok(parse(buf, len) == WS_OK && parsed_count == 1 && parsed[0].stream == streams[3].stream,
	   "entries with impossible counts are left out");
}

int
main(void)
{
	test_series();
	test_file();
	return done_testing();
}
