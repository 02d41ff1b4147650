/*-------------------------------------------------------------------------
 *
 * session.h
 *	  What the files of a relay sender share: its entry in the array, its
 *	  client's names, and a stop of the server.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_WALSENDER_SESSION_H
#define WS_RELAY_WALSENDER_SESSION_H

#include "libpq/libpq-be.h"
#include "relay/senders.h"

/* Remember the client's names. */
extern void ws_session_learn_client(const Port *port);

/* Add a description of the client to every report from here on. */
extern void ws_session_name_client(void);

/* Claim an entry, and install the handler for the postmaster's SIGUSR2. */
extern void ws_session_begin(void);

/* Returns this process's entry in the array of senders. */
extern WsSender *ws_session_sender(void);

/*
 * During a COPY, a stop of the server (SIGUSR2) requests a last cycle;
 * otherwise it ends the process.
 */
extern void ws_session_set_copying(bool copying);

/* Returns true if a last cycle has been requested. */
extern bool ws_session_is_stopping(void);

#endif							/* WS_RELAY_WALSENDER_SESSION_H */
