/*-------------------------------------------------------------------------
 *
 * chain.h
 *	  The relays through which WAL comes: what one relay tells the next.
 *
 * Each relay has an identity, 64 random bits that are not all 0.  A chain is
 * the relay's own identity and those of the relays before it, the nearest
 * first, as 16 hexadecimal digits each, separated by commas:
 *
 *		0123456789abcdef,00000000000000ff
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_RELAY_CHAIN_H
#define WS_PURE_RELAY_CHAIN_H

#include "c.h"

#include "pure/status.h"

/* Most relays in a row; a longer chain is refused. */
#define WS_CHAIN_MAX			16

/* Room for a chain as text, with the final zero. */
#define WS_CHAIN_TEXT_SIZE		(WS_CHAIN_MAX * 17)

typedef struct WsChain
{
	int			count;
	uint64		ids[WS_CHAIN_MAX];
} WsChain;

/* Write a chain into buf, which has WS_CHAIN_TEXT_SIZE bytes. */
extern void ws_chain_format(const WsChain *chain, char *buf);

/*
 * Parse the chain that another relay has sent, which has at least one
 * identity.  WS_E_TOO_LARGE if it has more than WS_CHAIN_MAX, WS_E_MALFORMED
 * for any other fault.
 */
extern WsStatus ws_chain_parse(const char *text, WsChain *chain);

/* Position of an identity in the chain, from 0; -1 if it is not in there. */
extern int	ws_chain_find(const WsChain *chain, uint64 id);

/* Returns true if the chain has an identity that the other one lacks. */
extern bool ws_chain_has_more(const WsChain *chain, const WsChain *than);

#endif							/* WS_PURE_RELAY_CHAIN_H */
