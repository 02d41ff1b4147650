/*-------------------------------------------------------------------------
 *
 * seal.h
 *	  The seal: this relay acknowledges nothing of a timeline any more.
 *
 * Who fails over must know that nobody acknowledges WAL of the old primary while
 * he looks for the most of it: what is acknowledged after he has asked would be
 * confirmed to a client and lost.  So he seals the relay first.  From then on it
 * has no stream from an upstream on that timeline or an earlier one, hence
 * acknowledges nothing of it, and stores nothing of it either, so that its end,
 * read after the seal, stays where it is.  A newer timeline ends that, or the
 * token that was given with it.
 *
 * A stream of an upstream that is on a newer timeline already may still begin on
 * the sealed one, to complete it up to the switch point; it is told no position
 * of that.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_SEAL_H
#define WS_RELAY_SEAL_H

#include "relay/store/store.h"

/* In _PG_init of a relay. */
extern void ws_seal_init(void);

/* False if the relay is not sealed, as far as is known. */
extern bool ws_seal_get(WsSealFile *seal);

/* Is nothing of this timeline to be acknowledged?  Cheap. */
extern bool ws_seal_covers(TimeLineID tli);

/*----------------------------------------------------------------
 * For SQL functions
 *----------------------------------------------------------------
 */

/*
 * Seal the relay, durably, for the timeline that it is on; returns when nothing
 * of it can be acknowledged any more.  The token is palloc'd.  After an ERROR,
 * or when it is interrupted, the relay is as it was.
 */
extern char *ws_seal_set(const WsStore *store, TimeLineID tli);

/* Take it back, durably.  False if there is none; an ERROR for another token. */
extern bool ws_seal_break(const WsStore *store, const char *token);

/*----------------------------------------------------------------
 * For the receiver
 *----------------------------------------------------------------
 */

/* Before anything is said to an upstream: what the store's file says counts. */
extern void ws_seal_load(const WsStore *store);

/* The relay is on this timeline: a seal of an earlier one is over, durably. */
extern void ws_seal_end_before(const WsStore *store, TimeLineID tli);

/*
 * A stream of tli begins, before anything is said in it, from an upstream that is
 * on upstream_tli.  False if it must not, because the relay is sealed.
 */
extern bool ws_seal_begin_stream(TimeLineID tli, TimeLineID upstream_tli);

/* It is over, and so is the connection, or will not be used any more. */
extern void ws_seal_end_stream(void);

/* Has the relay been sealed since it began, so that it must end? */
extern bool ws_seal_ends_stream(void);

/* May positions be told in it? */
extern bool ws_seal_lets_tell(void);

#endif							/* WS_RELAY_SEAL_H */
