/*-------------------------------------------------------------------------
 *
 * bucket.h
 *	  A token bucket that may be overdrawn, for sending at a limited rate.
 *
 * What is sent is taken from the balance, which rises at the rate.  A message
 * cannot be divided, so it may be taken from any balance that is not negative;
 * what is then missing is debt, and nothing more is to be sent until it is
 * paid.  While nothing is sent, the balance rises no further than to
 * WS_BUCKET_BURST_MS of the rate, which makes up for being woken too late.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_BUCKET_H
#define WS_PURE_BUCKET_H

#include "c.h"

#define WS_BUCKET_BURST_MS	100

/* Largest rate, in bytes per second. */
#define WS_BUCKET_MAX_RATE	(INT64CONST(1) << 40)

typedef struct WsBucket
{
	int64		rate;			/* bytes per second */
	int64		balance;		/* millionths of a byte; negative is debt */
	int64		filled_us;		/* time up to which the balance has risen */
} WsBucket;

/*
 * Begin with a balance of zero.  rate: 1 to WS_BUCKET_MAX_RATE.  Times are of a
 * clock that is never put back.
 */
extern void ws_bucket_begin(WsBucket *bucket, int64 rate, int64 now_us);

/* Note that so many bytes have been sent. */
extern void ws_bucket_take(WsBucket *bucket, int64 bytes);

/* Returns how long it takes until nothing is owed, 0 if nothing is. */
extern int64 ws_bucket_wait_us(WsBucket *bucket, int64 now_us);

#endif							/* WS_PURE_BUCKET_H */
