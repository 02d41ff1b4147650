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

/*
 * In a walsender that serves another cluster's WAL: set the segment size of
 * that WAL, before it streams.
 */
extern void ws_sender_set_segment_size(int segment_size);

#endif							/* WS_SENDER_H */
