/*-------------------------------------------------------------------------
 *
 * backoff.h
 *	  When to leave bytes that do not get smaller alone.
 *
 * Once WS_BACKOFF_AFTER bytes together did not shrink by an eighth, the codec is
 * not tried for WS_BACKOFF_MIN bytes, then for some WS_BACKOFF_PROBE bytes
 * (a frame at least); each time that these do not shrink by an eighth doubles the
 * distance to the next try, up to WS_BACKOFF_MAX.  Bytes are weighed, not
 * frames: small compressible messages between large ones that are not do not
 * make the codec try on.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_CODEC_BACKOFF_H
#define WS_PURE_CODEC_BACKOFF_H

/*
 * What coding must save to be worth it, as a share: an eighth.  WAL of random
 * values still shrinks by a twentieth, which is what headers take, and costs
 * as much to code as any other.
 */
#define WS_BACKOFF_SHARE	8

#define WS_BACKOFF_AFTER	(256 * 1024)
#define WS_BACKOFF_PROBE	(8 * 1024)
#define WS_BACKOFF_MIN		(256 * 1024)
#define WS_BACKOFF_MAX		(32 * 1024 * 1024)

typedef struct WsBackoff
{
	int64		excess;			/* by how much the tries since it was last
								 * zero exceed an eighth less than their input */
	uint64		tried;			/* bytes of the running probe */
	bool		probing;		/* there was a failure, and no success since */
	uint64		skip;			/* bytes still to be sent without a try */
	uint64		distance;		/* what skip becomes at the next failure */
} WsBackoff;

extern void ws_backoff_reset(WsBackoff *backoff);

/* Are the next len bytes to be sent without a try?  Then they are counted. */
extern bool ws_backoff_skip(WsBackoff *backoff, size_t len);

/*
 * raw_len bytes were tried and became encoded_len.  Returns true if that was
 * the last try for some time.
 */
extern bool ws_backoff_judge(WsBackoff *backoff, size_t raw_len,
							 size_t encoded_len);

#endif							/* WS_PURE_CODEC_BACKOFF_H */
