/*-------------------------------------------------------------------------
 *
 * serve.h
 *	  The relay's walsender: a connection for physical replication, taken over
 *	  after PostgreSQL has authenticated it.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_SERVE_H
#define WS_SERVE_H

/* In _PG_init of a relay, after ws_sender_init(): install the hook. */
extern void ws_serve_init(void);

#endif							/* WS_SERVE_H */
