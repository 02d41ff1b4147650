/*-------------------------------------------------------------------------
 *
 * chain.h
 *	  The relays through which WAL comes: what one relay tells the next.
 *
 * Each relay has an identity, 64 random bits that are not 0.  A chain is its
 * own and those of the relays before it, the nearest first, each as 16
 * hexadecimal digits, with commas in between:
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

/* More relays in a row are refused. */
#define WS_CHAIN_MAX			16

/* Room for a chain as text, with the final zero. */
#define WS_CHAIN_TEXT_SIZE		(WS_CHAIN_MAX * 17)

typedef struct WsChain
{
	int			count;
	uint64		ids[WS_CHAIN_MAX];
} WsChain;

/* Write it into buf, which has WS_CHAIN_TEXT_SIZE bytes. */
extern void ws_chain_format(const WsChain *chain, char *buf);

/*
 * Read what another relay has told: WS_E_TOO_LARGE if it has more than
 * WS_CHAIN_MAX, else WS_E_MALFORMED.  It has at least one.
 */
extern WsStatus ws_chain_parse(const char *text, WsChain *chain);

/* At which place is this one, the first being 0; -1: at none. */
extern int	ws_chain_find(const WsChain *chain, uint64 id);

/* Has it one that the other has not? */
extern bool ws_chain_has_more(const WsChain *chain, const WsChain *than);

#endif							/* WS_PURE_RELAY_CHAIN_H */
