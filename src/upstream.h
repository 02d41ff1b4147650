/*-------------------------------------------------------------------------
 *
 * upstream.h
 *	  What receivers remember about an upstream beyond their own life.
 *
 * A walreceiver or apply worker that meets a message it cannot decode raises
 * an error and ends; its successor must know of it, so that a pair of servers
 * whose compressed stream does not work ends up with a plain one instead of
 * failing for ever.  The same holds for a way to the upstream that refuses
 * the connection's options.
 *
 * An upstream is known by a hash of the conninfo and the receiver's name, so
 * a changed conninfo is a new upstream.  The table is small; the upstream
 * that was heard of least recently makes place for a new one.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_UPSTREAM_H
#define WS_UPSTREAM_H

#include "peer.h"

/* This many failures ... */
#define WS_UPSTREAM_MAX_FAILURES	3
/* ... without this much decoded between two of them ... */
#define WS_UPSTREAM_GOOD_BYTES		(UINT64CONST(64) * 1024 * 1024)
/* ... suspend compression for this long. */
#define WS_UPSTREAM_SUSPEND_MS		(10 * 60 * 1000)

typedef uint64 WsUpstreamKey;

extern Size ws_upstream_shmem_size(void);
extern void ws_upstream_shmem_init(void);

extern WsUpstreamKey ws_upstream_key(const char *conninfo, const char *name);

/*
 * May a receiver ask this upstream for compression?  WS_MODE_UNDECIDED if so,
 * else WS_MODE_SUSPENDED or WS_MODE_OPTIONS_REFUSED.
 */
extern WsPeerMode ws_upstream_may_ask(WsUpstreamKey key);

/*
 * A message could not be decoded, after good_bytes had been since this
 * receiver connected.  Returns true if that suspends compression.
 */
extern bool ws_upstream_note_failure(WsUpstreamKey key, uint64 good_bytes);

/* A receiver ends in order after decoding good_bytes. */
extern void ws_upstream_note_success(WsUpstreamKey key, uint64 good_bytes);

/*
 * A connection with our option was refused and the same one without it was
 * not.  Holds until the configuration is next reloaded.  Returns true if that
 * is news.
 */
extern bool ws_upstream_note_refusal(WsUpstreamKey key);

#endif							/* WS_UPSTREAM_H */
