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

/*
 * For a relay's receiver, which is neither walreceiver nor apply worker:
 * decorate its connections for physical replication too, and count them in
 * that role.
 */
extern void ws_receiver_enable(void);

/*
 * Set the segment size of the upstream's WAL, in bytes, where it may differ
 * from this server's.  Must be called before streaming starts.
 */
extern void ws_receiver_set_segment_size(int segment_size);

#endif							/* WS_RECEIVER_H */
