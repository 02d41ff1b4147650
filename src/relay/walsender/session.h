/*-------------------------------------------------------------------------
 *
 * session.h
 *	  Functions that the files of a relay sender share.
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

/* walsender/takeover.c: this process's entry in the array of senders. */
extern WsSender *ws_session_sender(void);

/*
 * walsender/takeover.c: add a description of the client to every report from
 * here on.
 */
extern void ws_session_name_client(void);

/*----------------------------------------------------------------
 * loop.c
 *----------------------------------------------------------------
 */

/* Install the handler for the postmaster's SIGUSR2. */
extern void ws_session_take_stop(void);

/* Serve the client until it or the server ends. */
ws_noreturn extern void ws_session_loop(void);

/*
 * During a COPY, a stop of the server (SIGUSR2) requests a last cycle;
 * otherwise it ends the process.
 */
extern void ws_session_set_copying(bool copying);

/* Returns true if a last cycle has been requested. */
extern bool ws_session_is_stopping(void);

/* Reload the configuration, if that was requested. */
extern void ws_session_reload(void);

/*----------------------------------------------------------------
 * walsender/command.c, walsender/stream.c
 *----------------------------------------------------------------
 */

/* Execute one command, up to its CommandComplete. */
extern void ws_serve_command(const char *query);

/* Execute START_REPLICATION, except for its last CommandComplete. */
extern void ws_serve_stream(const StartReplicationCmd *cmd);

/* After an error, release what a stream has held. */
extern void ws_serve_stream_cleanup(void);

/* Returns the open store; raises an ERROR while there is none. */
extern void ws_serve_get_store(WsStore *store);

/* Returns the position up to which WAL can be served, or raises an ERROR. */
extern void ws_serve_get_position(TimeLineID *tli, XLogRecPtr *flushed_lsn);

/* The same, even before the end is known. */
extern void ws_serve_get_served(TimeLineID *tli, XLogRecPtr *served_lsn);

#endif							/* WS_RELAY_WALSENDER_SESSION_H */
