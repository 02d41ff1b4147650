/*-------------------------------------------------------------------------
 *
 * loop.h
 *	  The session of a relay sender.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_WALSENDER_LOOP_H
#define WS_RELAY_WALSENDER_LOOP_H

/* Serve the client until it or the server ends. */
ws_noreturn extern void ws_loop_run(void);

#endif							/* WS_RELAY_WALSENDER_LOOP_H */
