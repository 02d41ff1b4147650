/*-------------------------------------------------------------------------
 *
 * upstream.h
 *	  Remembers the failures of receivers beyond their own life.
 *
 * A walreceiver or apply worker that cannot decode a message raises an error
 * and ends.  Its successor must know of that, so that a pair of servers whose
 * compressed stream does not work ends up with a plain one instead of failing
 * for ever.  The same holds if the upstream, or a pooler on the way, refuses
 * the connection's options.
 *
 * The same also holds for a receiver that crashes, and the server with it, so
 * failures of streams outlive that too. pure/failures.h has the rule.
 *
 * The key of an entry is a hash: of the conninfo for the connection to an
 * upstream, of the conninfo and the receiver's name for a stream.  So a
 * changed conninfo is a new upstream.  The table is small; the least recently
 * used entry is replaced first.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_UPSTREAM_H
#define WS_UPSTREAM_H


/*
 * A connection that keeps failing is tried without our option each n-th time.
 */
#define WS_UPSTREAM_DOUBT_AFTER		3

typedef uint64 WsUpstreamKey;

typedef struct WsUpstream WsUpstream;

/* In _PG_init, after ws_shmem_init(). */
extern void ws_upstream_init(void);

/*
 * Make the key of a stream, or, with NULL for name, of the connection to an
 * upstream.
 */
extern WsUpstreamKey ws_upstream_key(const char *conninfo, const char *name);

/*
 * Connections: returns true if our option is known to be refused.  That is
 * forgotten when the configuration is next reloaded.
 */
extern bool ws_upstream_refuses(WsUpstreamKey way);

/* Note that our option is refused.  Returns true if that was not known. */
extern bool ws_upstream_note_refusal(WsUpstreamKey way);

/*
 * Note that a connection with our option was answered with an error.  Returns
 * true each WS_UPSTREAM_DOUBT_AFTERth time in a row.
 */
extern bool ws_upstream_doubt(WsUpstreamKey way);

/* Note that a connection with our option has succeeded. */
extern void ws_upstream_trust(WsUpstreamKey way);

/* Streams: returns true if the stream's compression is suspended. */
extern bool ws_upstream_suspended(WsUpstreamKey stream);

/* Returns a text that tells until when compression is suspended. */
extern const char *ws_upstream_suspended_hint(void);

/*
 * Note that a message could not be decoded, after this receiver had decoded
 * good_bytes since it connected.  Returns true if that suspends compression.
 */
extern bool ws_upstream_note_failure(WsUpstreamKey stream, uint64 good_bytes);

/* Note that a receiver ends in order after decoding good_bytes. */
extern void ws_upstream_note_success(WsUpstreamKey stream, uint64 good_bytes);

/*
 * Note that this process begins to decode a stream.  Returns the entry for
 * ws_upstream_set_busy(); NULL if there is no room, and then a crash does not
 * count.
 */
extern WsUpstream *ws_upstream_begin(WsUpstreamKey stream);

/*
 * Note that the receiver begins or ends to be busy: a crash in between counts
 * as a failure after good_bytes.  This takes a few stores.
 */
extern void ws_upstream_set_busy(WsUpstream *upstream, bool busy,
								 uint64 good_bytes);

/* Note that decoding ends.  NULL is allowed. */
extern void ws_upstream_end(WsUpstream *upstream);

#endif							/* WS_UPSTREAM_H */
