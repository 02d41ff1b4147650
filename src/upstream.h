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
 * So must it be with a receiver that crashes, and with it the server: what is
 * remembered of streams outlives that, too.  pure/failures.h has the rule.
 *
 * What is remembered has a hash for its key: of the conninfo alone where it
 * says something of the way to the upstream, of the conninfo and the
 * receiver's name where it says something of a stream.  So a changed conninfo
 * is a new upstream.  The table is small; what was used least recently makes
 * place for something new.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_UPSTREAM_H
#define WS_UPSTREAM_H


/* A connection that fails is tried without our option each n-th time. */
#define WS_UPSTREAM_DOUBT_AFTER		3

typedef uint64 WsUpstreamKey;

typedef struct WsUpstream WsUpstream;

/* In _PG_init, after ws_shmem_init(). */
extern void ws_upstream_init(void);

/* name is NULL for what concerns the way to the upstream. */
extern WsUpstreamKey ws_upstream_key(const char *conninfo, const char *name);

/*
 * The way to an upstream: does it refuse our option?  Holds until the
 * configuration is next reloaded.
 */
extern bool ws_upstream_refuses(WsUpstreamKey way);

/* That has turned out.  Returns true if it is news. */
extern bool ws_upstream_note_refusal(WsUpstreamKey way);

/*
 * A connection with our option was answered with an error.  Returns true for
 * each WS_UPSTREAM_DOUBT_AFTERth time in a row.
 */
extern bool ws_upstream_doubt(WsUpstreamKey way);

/* A connection with our option has succeeded. */
extern void ws_upstream_trust(WsUpstreamKey way);

/* A stream: is its compression suspended? */
extern bool ws_upstream_suspended(WsUpstreamKey stream);

/* For a person: until when. */
extern const char *ws_upstream_suspended_hint(void);

/*
 * A message could not be decoded, after good_bytes had been since this
 * receiver connected.  Returns true if that suspends compression.
 */
extern bool ws_upstream_note_failure(WsUpstreamKey stream, uint64 good_bytes);

/* A receiver ends in order after decoding good_bytes. */
extern void ws_upstream_note_success(WsUpstreamKey stream, uint64 good_bytes);

/*
 * This process begins to decode a stream.  Returns what it is to tell whether
 * it is busy with, NULL if there is no room: then a crash does not count.
 */
extern WsUpstream *ws_upstream_begin(WsUpstreamKey stream);

/*
 * From taking a message until there is none: a crash meanwhile is a failure,
 * after good_bytes.  A few stores.
 */
extern void ws_upstream_set_busy(WsUpstream *upstream, bool busy,
								 uint64 good_bytes);

/* It ends; NULL is allowed. */
extern void ws_upstream_end(WsUpstream *upstream);

#endif							/* WS_UPSTREAM_H */
