/*-------------------------------------------------------------------------
 *
 * chain.h
 *	  Which relays this one's WAL comes through, so that none receives from
 *	  itself.
 *
 * Each relay draws an identity when its postmaster starts.  It is not stored: a
 * copy of a directory is another relay.  The receiver asks its upstream for the
 * identities on the way to it (pure/chain.h), and does not stay where it finds
 * its own.  It tells them to its own downstreams before it asks once more, so
 * that of two that connect to each other at the same time one notices.  A relay
 * to whose chain others come ends the streams of those that have been told
 * less, and they ask again.
 *
 * The question is READ_REPLICATION_SLOT with a name that no slot can have.  Every
 * server answers that: those that are no relay, that there is none.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_CHAIN_H
#define WS_RELAY_CHAIN_H

#include "pure/relay/chain.h"

#define WS_CHAIN_QUESTION	"walstream.relays"
#define WS_CHAIN_ANSWER		"relay" /* in the place of the slot's type; the
									 * chain is in that of its position */

/* In _PG_init of a relay. */
extern void ws_chain_init(void);

/* This relay's identity. */
extern uint64 ws_chain_my_id(void);

/*
 * Receiver: the upstream has told this chain, NULL: none, or there is no
 * upstream.  False, and no change, if with us it would be too long.
 */
extern bool ws_chain_publish(const WsChain *upstream);

/*
 * Sender: the chain with us in front, as text of WS_CHAIN_TEXT_SIZE bytes, for a
 * client who asks.
 */
extern void ws_chain_tell(char *text);

/* Sender: has a client who asked been told less than there is now? */
extern bool ws_chain_client_must_ask(void);

#endif							/* WS_RELAY_CHAIN_H */
