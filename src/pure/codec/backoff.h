/*-------------------------------------------------------------------------
 *
 * backoff.h
 *	  When to leave bytes that do not get smaller alone.
 *
 * When WS_BACKOFF_AFTER bytes together have not shrunk by an eighth, the codec
 * is left out for the next WS_BACKOFF_MIN bytes.  It is then probed with about
 * WS_BACKOFF_PROBE bytes (at least one frame).  Each probe that does not
 * shrink by an eighth doubles the distance to the next one, up to
 * WS_BACKOFF_MAX.  Bytes count, not frames, so small compressible messages
 * between large incompressible ones do not keep the codec trying.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_CODEC_BACKOFF_H
#define WS_PURE_CODEC_BACKOFF_H

/*
 * The codec must save at least this share of the bytes, an eighth, to be worth
 * its time.  WAL of random values still shrinks by a twentieth, which is its
 * headers, and costs as much to encode as any other WAL.
 */
#define WS_BACKOFF_SHARE	8

#define WS_BACKOFF_AFTER	(256 * 1024)
#define WS_BACKOFF_PROBE	(8 * 1024)
#define WS_BACKOFF_MIN		(256 * 1024)
#define WS_BACKOFF_MAX		(32 * 1024 * 1024)

typedef struct WsBackoff
{
	int64		excess;			/* bytes by which the output since this was
								 * last zero exceeds 7/8 of its input */
	uint64		tried;			/* bytes tried in the running probe */
	bool		probing;		/* there was a failure, and no success since */
	uint64		skip;			/* bytes still to send without a try */
	uint64		distance;		/* what skip becomes at the next failure */
} WsBackoff;

extern void ws_backoff_reset(WsBackoff *backoff);

/*
 * Returns true if the next len bytes are to be sent without a try, and counts
 * them as sent.
 */
extern bool ws_backoff_skip(WsBackoff *backoff, size_t len);

/*
 * Record that raw_len bytes were tried and became encoded_len.  Returns true
 * if this ends the tries for some time.
 */
extern bool ws_backoff_judge(WsBackoff *backoff, size_t raw_len,
							 size_t encoded_len);

#endif							/* WS_PURE_CODEC_BACKOFF_H */
