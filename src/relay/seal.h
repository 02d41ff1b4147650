/*-------------------------------------------------------------------------
 *
 * seal.h
 *	  The seal: this relay acknowledges nothing of a timeline any more.
 *
 * During a failover nobody may acknowledge WAL of the old primary while the
 * most advanced server is looked for: a commit that is acknowledged afterwards
 * would be confirmed to a client and lost.  So the relay is sealed first.
 * From then on it has no stream from an upstream on that timeline or an
 * earlier one.  Hence it acknowledges nothing of it, and stores nothing of it
 * either, so that its end, read after the seal, does not change.  A newer
 * timeline ends the seal, or the token that was returned with it.
 *
 * A seal may have an owner (owner.h): then only the primary of this name may
 * have begun the newer timeline.  Two standbys that were promoted one after the
 * other, from the same timeline, open the same next one; the second one is
 * sealed for, and the first one must not get anything confirmed.  The seal
 * stays until WAL of the newer timeline is stored, since from then on its bytes
 * tell who has written it.
 *
 * A stream from an upstream that is on a newer timeline already may still
 * begin on the sealed one, to complete it up to the switch point; no position
 * of that is reported.
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

/*
 * Get the seal.  Returns false if the relay is not sealed, as far as is known.
 */
extern bool ws_seal_get(WsSealFile *seal);

/*
 * Returns a number that changes whenever the relay is sealed or unsealed; this
 * is cheap.
 */
extern uint32 ws_seal_generation(void);

/*
 * Returns true if nothing of this timeline may be acknowledged; this is cheap.
 */
extern bool ws_seal_covers(TimeLineID tli);

/*----------------------------------------------------------------
 * For SQL functions
 *----------------------------------------------------------------
 */

/*
 * Seal the relay, durably, for the timeline that it is on; returns when nothing
 * of it can be acknowledged any more.  The token is palloc'd.  owner may be "".
 * replaces is the token of the seal whose place this one takes, "" if there must
 * be none.  After an ERROR, or when it is interrupted, the relay is as it was, or
 * with replaces sealed.
 */
extern char *ws_seal_set(const WsStore *store, TimeLineID tli, const char *owner,
						 const char *replaces);

/*
 * Unseal the relay, durably.  Returns false if it is not sealed; raises an
 * ERROR for a wrong token.
 */
extern bool ws_seal_break(const WsStore *store, const char *token);

/*----------------------------------------------------------------
 * For the receiver
 *----------------------------------------------------------------
 */

/* Read the store's file, before anything is sent to an upstream. */
extern void ws_seal_load(const WsStore *store);

/*
 * Note that the relay has WAL of this timeline up to end_lsn.  If any of it
 * lies after the point where the timeline begins, this ends a seal of an
 * earlier one, durably.
 */
extern void ws_seal_end_before(const WsStore *store, TimeLineID tli, XLogRecPtr end_lsn);

/*
 * Begin a stream of tli, before anything is sent in it, from an upstream that
 * is on upstream_tli, and was admitted when ws_seal_generation() was
 * "generation".  Returns false if it must not begin, because the relay is
 * sealed, or was sealed since then.
 */
extern bool ws_seal_begin_stream(TimeLineID tli, TimeLineID upstream_tli, uint32 generation);

/*
 * Note that the stream is over, and that its connection is not used any more.
 */
extern void ws_seal_end_stream(void);

/*
 * Returns true if the stream must end, because the relay has been sealed since
 * it began.
 */
extern bool ws_seal_ends_stream(void);

/* Returns true if positions may be reported in the stream. */
extern bool ws_seal_lets_tell(void);

#endif							/* WS_RELAY_SEAL_H */
