/*-------------------------------------------------------------------------
 *
 * throttle.h
 *	  Keeps a walsender's stream below its walstream.rate_limit.
 *
 * A physical stream on TCP is held back by the kernel, which sends evenly and
 * wakes the walsender when there is room.  Otherwise (a logical stream, a
 * Unix-domain socket, a kernel that cannot) the walsender waits until what it
 * has sent is paid for.
 *
 * A stream is not held back while commits wait for it, nor once the server or
 * its walsender is to stop, since the stop would wait for it.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_THROTTLE_H
#define WS_THROTTLE_H

/* What is done about the limit. */
typedef enum WsPacing
{
	WS_PACING_NONE,				/* there is no limit */
	WS_PACING_KERNEL,			/* the kernel holds it */
	WS_PACING_OWN,				/* we do */
	WS_PACING_SYNCHRONOUS,		/* nothing: commits wait for this stream */
	WS_PACING_STOPPING			/* nothing: the server or the walsender is to
								 * stop */
} WsPacing;

/*
 * Begin a stream, or change its limit: bytes per second, 0 for none.  sync_too:
 * also while it is synchronous.
 */
extern void ws_throttle_set(int64 limit, bool sync_too);

/* The stream ends: what is still to be sent is not held back. */
extern void ws_throttle_end(void);

/*
 * The walsender is to stop.  That the server stops is seen without this; a
 * relay's walsender can be told to stop alone.
 */
extern void ws_throttle_note_stopping(void);

/*
 * Look whether the stream has become synchronous, or stops.  To be called
 * whenever the walsender flushes; may raise an ERROR.
 */
extern void ws_throttle_check(void);

/* Returns what is done now, and the limit. */
extern WsPacing ws_throttle_pacing(int64 *limit);

/* Note that so many bytes of the stream have been sent. */
extern void ws_throttle_take(size_t bytes);

/* Returns true if no more is to be sent for now, because of the limit. */
extern bool ws_throttle_in_debt(void);

/*
 * If no more is to be sent for now, sleep for a moment, or until the latch is
 * set; it stays set.  Without that, a walsender whose output is held back here
 * would spin, since its socket is writable.
 */
extern void ws_throttle_wait(void);

#endif							/* WS_THROTTLE_H */
