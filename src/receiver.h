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
 * In a process that is neither walreceiver nor apply worker: its connections
 * for physical replication are decorated too, and counted with the role of a
 * relay's receiver.
 */
extern void ws_receiver_enable(void);

/*
 * The segment size of the upstream's WAL, in bytes, where it may differ from
 * this server's; before streaming starts.
 */
extern void ws_receiver_set_segment_size(int segment_size);

#endif							/* WS_RECEIVER_H */
