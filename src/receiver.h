/*-------------------------------------------------------------------------
 *
 * receiver.h
 *	  The decorator around PostgreSQL's WAL receiver functions.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RECEIVER_H
#define WS_RECEIVER_H

/* In _PG_init: load libpqwalreceiver and put our functions in its place. */
extern void ws_receiver_init(void);

#endif							/* WS_RECEIVER_H */
