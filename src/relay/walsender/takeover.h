/*-------------------------------------------------------------------------
 *
 * takeover.h
 *	  Takes over an authenticated connection for the relay's walsender.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_WALSENDER_TAKEOVER_H
#define WS_RELAY_WALSENDER_TAKEOVER_H

/* In _PG_init of a relay, after ws_sender_init(): install the hook. */
extern void ws_takeover_init(void);

#endif							/* WS_RELAY_WALSENDER_TAKEOVER_H */
