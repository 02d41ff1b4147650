/*-------------------------------------------------------------------------
 *
 * bucket.c
 *	  A token bucket that may be overdrawn, for sending at a limited rate.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/bucket.h"

#define MILLION	INT64CONST(1000000)

/* A byte per second is a millionth of a byte in a microsecond. */
static int64
highest_balance(const WsBucket *bucket)
{
	return bucket->rate * (WS_BUCKET_BURST_MS * INT64CONST(1000));
}

void
ws_bucket_begin(WsBucket *bucket, int64 rate, int64 now_us)
{
	bucket->rate = rate;
	bucket->balance = 0;
	bucket->filled_us = now_us;
}

void
ws_bucket_take(WsBucket *bucket, int64 bytes)
{
	/* what no sender can owe would overflow */
	if (bytes < PG_INT64_MAX / 4 / MILLION &&
		bucket->balance > PG_INT64_MIN / 4)
		bucket->balance -= bytes * MILLION;
}

int64
ws_bucket_wait_us(WsBucket *bucket, int64 now_us)
{
	int64		passed_us = now_us - bucket->filled_us;

	if (passed_us > 0)
	{
		int64		missing = highest_balance(bucket) - bucket->balance;

		/* compared this way round, it cannot overflow */
		if (passed_us >= missing / bucket->rate)
			bucket->balance = highest_balance(bucket);
		else
			bucket->balance += passed_us * bucket->rate;
		bucket->filled_us = now_us;
	}
	if (bucket->balance >= 0)
		return 0;
	return (-bucket->balance - 1) / bucket->rate + 1;
}
