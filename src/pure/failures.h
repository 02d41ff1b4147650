/*-------------------------------------------------------------------------
 *
 * failures.h
 *	  Rules by which failures of a stream suspend its compression, and the file
 *	  that keeps the failures while a server is down.
 *
 * A receiver that cannot decode its stream, or crashes over it, ends, and the
 * next one asks for compression again.  After WS_FAILURES_SUSPEND such
 * failures, without WS_FAILURES_GOOD_BYTES decoded between two of them,
 * receivers do not ask for compression for WS_FAILURES_SUSPEND_US, or until
 * the setting changes.
 *
 * The file is text: a line that says what it is and of which version, a line
 * for each stream, and the CRC-32C of all before:
 *
 *		walstream failures 1
 *		00a1b2c3d4e5f607 2 1048576 812345678901234 89abcdef
 *		crc 01234567
 *
 * A stream's line has its key and the fields of WsFailures in order.  A file
 * is refused unless it is exactly as it would be written.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_FAILURES_H
#define WS_PURE_FAILURES_H

#include "c.h"

#include "pure/status.h"

#define WS_FAILURES_SUSPEND		3
#define WS_FAILURES_GOOD_BYTES	(UINT64CONST(64) * 1024 * 1024)
#define WS_FAILURES_SUSPEND_US	(INT64CONST(10) * 60 * 1000000)

/* Most streams in the file, and most bytes. */
#define WS_FAILURES_MAX_STREAMS	64
#define WS_FAILURES_MAX_BYTES	8192

typedef struct WsFailures
{
	int			count;			/* 0 to WS_FAILURES_SUSPEND */
	uint64		good_bytes;		/* decoded since the last one */
	int64		last_us;		/* when that was, microseconds */
	uint32		setting;		/* hash of the setting at that time */
} WsFailures;

typedef struct WsStreamFailures
{
	uint64		stream;			/* a key, see upstream.h */
	WsFailures	failures;
} WsStreamFailures;

/* Note that good_bytes more have been decoded. */
extern void ws_failures_add_good(WsFailures *failures, uint64 good_bytes);

/*
 * Count a failure that came after good_bytes which have not been added yet.
 * Returns true if compression is suspended now.
 */
extern bool ws_failures_add(WsFailures *failures, uint64 good_bytes,
							uint32 setting, int64 now_us);

/*
 * Returns true if compression is suspended.  A failure that lies in the future
 * (the clock went back) does not suspend it.
 */
extern bool ws_failures_suspend(const WsFailures *failures, uint32 setting,
								int64 now_us);

/*
 * Write the file's content for up to WS_FAILURES_MAX_STREAMS streams, leaving
 * out those whose count is 0.  buf has WS_FAILURES_MAX_BYTES bytes.  Returns
 * the length.
 */
extern size_t ws_failures_format(const WsStreamFailures *streams, int count,
								 char *buf);

/* Parse the file's content. streams has room for WS_FAILURES_MAX_STREAMS. */
extern WsStatus ws_failures_parse(const char *content, size_t len,
								  WsStreamFailures *streams, int *count);

#endif							/* WS_PURE_FAILURES_H */
