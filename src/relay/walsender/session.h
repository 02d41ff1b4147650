/*-------------------------------------------------------------------------
 *
 * session.h
 *	  What the parts of a relay sender share: its entry in the array, and how
 *	  it takes a stop.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_WALSENDER_SESSION_H
#define WS_RELAY_WALSENDER_SESSION_H

#include "nodes/replnodes.h"
#include "relay/senders.h"
#include "relay/store/store.h"

/* walsender/takeover.c: this process' entry. */
extern WsSender *ws_session_sender(void);

/* walsender/takeover.c: every report from here on says who the client is. */
extern void ws_session_name_client(void);

/*----------------------------------------------------------------
 * loop.c
 *----------------------------------------------------------------
 */

/* From now on the postmaster's SIGUSR2 is understood. */
extern void ws_session_take_stop(void);

/* Serve the client until it or the server ends. */
ws_noreturn extern void ws_session_loop(void);

/*
 * While a COPY goes on, a stop of the server (SIGUSR2) is a request for a last
 * cycle; otherwise it ends the process.
 */
extern void ws_session_set_copying(bool copying);

/* Has a last cycle been asked for? */
extern bool ws_session_is_stopping(void);

/* Read the configuration again, if that was asked for. */
extern void ws_session_reload(void);

/*----------------------------------------------------------------
 * walsender/command.c, walsender/stream.c
 *----------------------------------------------------------------
 */

/* Execute one command, up to its CommandComplete. */
extern void ws_serve_command(const char *query);

/* The whole of START_REPLICATION but its last CommandComplete. */
extern void ws_serve_stream(const StartReplicationCmd *cmd);

/* After an error, let go of what a stream held. */
extern void ws_serve_stream_cleanup(void);

/* The open store; an ERROR while there is none. */
extern void ws_serve_get_store(WsStore *store);

/* The same for the position up to which can be served. */
extern void ws_serve_get_position(TimeLineID *tli, XLogRecPtr *flushed_lsn);

/* ... and before it is known whether that is the end. */
extern void ws_serve_get_served(TimeLineID *tli, XLogRecPtr *served_lsn);

#endif							/* WS_RELAY_WALSENDER_SESSION_H */
