/*-------------------------------------------------------------------------
 *
 * chain.h
 *	  Keeps track of the relays that this one's WAL comes through, so that no
 *	  relay receives from itself.
 *
 * Each relay chooses a random identity when its postmaster starts.  The
 * identity is not stored, since a copy of a directory is another relay.  The
 * receiver asks its upstream for the chain of identities (pure/relay/chain.h),
 * and disconnects if its own is among them.  It publishes the chain to its own
 * downstreams before it asks once more, so that if two relays connect to each
 * other at the same time, one of them notices.  When identities are added to a
 * relay's chain, it ends the streams of downstreams that have received a
 * shorter one, and these ask again.
 *
 * The question is READ_REPLICATION_SLOT with a name that no slot can have.
 * Every server answers it; one that is not a relay answers that there is no
 * such slot.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_CHAIN_H
#define WS_RELAY_CHAIN_H

#include "pure/relay/chain.h"

#define WS_CHAIN_QUESTION	"walstream.relays"
#define WS_CHAIN_ANSWER		"relay" /* in the column of the slot's type; the
									 * chain is in that of its position */

/* In _PG_init of a relay. */
extern void ws_chain_init(void);

/* Returns this relay's identity. */
extern uint64 ws_chain_my_id(void);

/*
 * Receiver: set the chain that the upstream has sent; NULL if it has sent
 * none, or without an upstream.  Returns false without a change if the chain
 * would be too long with our identity.
 */
extern bool ws_chain_publish(const WsChain *upstream);

/*
 * Sender: write the chain, beginning with our identity, as text for a client
 * that asks; text has WS_CHAIN_TEXT_SIZE bytes.
 */
extern void ws_chain_tell(char *text);

/*
 * Sender: returns true if the chain now has identities that were not sent to a
 * client that has asked.
 */
extern bool ws_chain_client_must_ask(void);

#endif							/* WS_RELAY_CHAIN_H */
