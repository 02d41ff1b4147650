/*-------------------------------------------------------------------------
 *
 * failures.h
 *	  When the failures of a stream suspend its compression, and the file that
 *	  keeps them while a server is down.
 *
 * A receiver whose stream cannot be decoded, or that crashes over it, ends;
 * the next one asks again.  After WS_FAILURES_SUSPEND of that, without
 * WS_FAILURES_GOOD_BYTES decoded between two of them, compression is not asked
 * for as long as WS_FAILURES_SUSPEND_US, or until the setting is another.
 *
 * The file is text: a line that says what it is and of which version, a line
 * for each stream, and the CRC-32C of all before:
 *
 *		walstream failures 1
 *		00a1b2c3d4e5f607 2 1048576 812345678901234 89abcdef
 *		crc 01234567
 *
 * A stream's line is its key, WsFailures' fields in order, and nothing else.
 * What is not exactly as it would be written is refused.
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

/* The file holds so many streams, in so many bytes. */
#define WS_FAILURES_MAX_STREAMS	64
#define WS_FAILURES_MAX_BYTES	8192

typedef struct WsFailures
{
	int			count;			/* 0 to WS_FAILURES_SUSPEND */
	uint64		good_bytes;		/* decoded since the last one */
	int64		last_us;		/* when that was, microseconds */
	uint32		setting;		/* what compression was set to then: a hash */
} WsFailures;

typedef struct WsStreamFailures
{
	uint64		stream;			/* a key, see upstream.h */
	WsFailures	failures;
} WsStreamFailures;

/* good_bytes more have been decoded. */
extern void ws_failures_add_good(WsFailures *failures, uint64 good_bytes);

/*
 * One more failure, after good_bytes that are not added yet.  Returns true if
 * compression is suspended now.
 */
extern bool ws_failures_add(WsFailures *failures, uint64 good_bytes,
							uint32 setting, int64 now_us);

/* Is compression suspended?  Not by what lies in the future: a clock went back. */
extern bool ws_failures_suspend(const WsFailures *failures, uint32 setting,
								int64 now_us);

/*
 * Write up to WS_FAILURES_MAX_STREAMS streams whose count is not 0; buf has
 * WS_FAILURES_MAX_BYTES bytes.  Returns the length.
 */
extern size_t ws_failures_format(const WsStreamFailures *streams, int count,
								 char *buf);

/* streams has room for WS_FAILURES_MAX_STREAMS. */
extern WsStatus ws_failures_parse(const char *content, size_t len,
								  WsStreamFailures *streams, int *count);

#endif							/* WS_PURE_FAILURES_H */
