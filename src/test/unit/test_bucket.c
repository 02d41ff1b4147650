/*-------------------------------------------------------------------------
 *
 * test_bucket.c
 *	  A limited rate: debts, how long paying them takes, and what is saved up.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/bucket.h"
#include "tap.h"

#define SECOND	INT64CONST(1000000)

static WsBucket bucket;

static void
test_debt(void)
{
	ws_bucket_begin(&bucket, 1000, 5 * SECOND);
	is(ws_bucket_wait_us(&bucket, 5 * SECOND), 0, "nothing is owed at first");
	ws_bucket_take(&bucket, 500);
	is(ws_bucket_wait_us(&bucket, 5 * SECOND), SECOND / 2, "500 bytes at 1000 in a second");
	is(ws_bucket_wait_us(&bucket, 5 * SECOND + 1), SECOND / 2 - 1, "a microsecond later");
	is(ws_bucket_wait_us(&bucket, 5 * SECOND + SECOND / 2 - 1), 1, "almost paid");
	is(ws_bucket_wait_us(&bucket, 5 * SECOND + SECOND / 2), 0, "paid");
	ws_bucket_take(&bucket, 500);
	ws_bucket_take(&bucket, 1000);
	is(ws_bucket_wait_us(&bucket, 5 * SECOND + SECOND / 2), SECOND * 3 / 2, "debts add up");
	is(ws_bucket_wait_us(&bucket, 4 * SECOND), SECOND * 3 / 2, "a clock that goes back changes nothing");
}

static void
test_saving(void)
{
	ws_bucket_begin(&bucket, 1000, 0);
	is(ws_bucket_wait_us(&bucket, 3600 * SECOND), 0, "an idle hour");
	ws_bucket_take(&bucket, 100);
	is(ws_bucket_wait_us(&bucket, 3600 * SECOND), 0, "a tenth of a second is saved");
	ws_bucket_take(&bucket, 1);
	is(ws_bucket_wait_us(&bucket, 3600 * SECOND), 1000, "and no more");
}

/* A sender that sends whenever it owes nothing sends at the rate. */
static void
test_rate(int64 rate, int64 message, int64 lateness_us)
{
	int64		now_us = 7;
	int64		sent = 0;
	int64		seconds;

	ws_bucket_begin(&bucket, rate, now_us);
	for (int i = 0; i < 10000; i++)
	{
		ws_bucket_take(&bucket, message);
		sent += message;
		now_us += ws_bucket_wait_us(&bucket, now_us) + lateness_us;
	}
	seconds = (now_us - 7) / SECOND;
	ok(sent <= rate * (seconds + 1) + message &&
	   sent >= rate * (seconds - 1) - message,
	   "%lld bytes per second in messages of %lld, %lld us too late",
	   (long long) rate, (long long) message, (long long) lateness_us);
}

static void
test_extremes(void)
{
	ws_bucket_begin(&bucket, 1, 0);
	ws_bucket_take(&bucket, 1);
	is(ws_bucket_wait_us(&bucket, 0), SECOND, "one byte in a second");
	ws_bucket_take(&bucket, INT64CONST(1) << 40);
	ok(ws_bucket_wait_us(&bucket, PG_INT64_MAX) == 0, "the end of time");

	ws_bucket_begin(&bucket, WS_BUCKET_MAX_RATE, 0);
	is(ws_bucket_wait_us(&bucket, PG_INT64_MAX), 0, "the largest rate after the longest time");
	for (int i = 0; i < 100; i++)
		ws_bucket_take(&bucket, INT64CONST(1) << 40);
	ok(ws_bucket_wait_us(&bucket, PG_INT64_MAX) > 0, "debts at the largest rate");
	for (int i = 0; i < 100; i++)
		ws_bucket_take(&bucket, PG_INT64_MAX);
	ok(ws_bucket_wait_us(&bucket, PG_INT64_MAX) > 0, "bytes that cannot be counted");
	ok(bucket.balance < 0, "debts do not overflow");
}

int
main(void)
{
	test_debt();
	test_saving();
	test_rate(200000, 131077, 0);
	test_rate(200000, 131077, 10000);
	test_rate(1000000, 500, 90);
	test_rate(50000000, 131077, 1000);
	test_rate(32768, 30, 400);
	test_extremes();
	return done_testing();
}
