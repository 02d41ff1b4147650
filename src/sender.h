/*-------------------------------------------------------------------------
 *
 * sender.h
 *	  The filter on what PostgreSQL's walsenders send.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_SENDER_H
#define WS_SENDER_H

/* In _PG_init: install the authentication hook. */
extern void ws_sender_init(void);

#endif							/* WS_SENDER_H */
