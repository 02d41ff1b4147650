/*-------------------------------------------------------------------------
 *
 * standby_names.h
 *	  Keeps the primary's synchronous_standby_names, as of each connection.
 *
 * The WAL of a relay tells something about confirmed commits only for the time
 * in which its name was in synchronous_standby_names.  So the relay asks for
 * that list at each connection, and keeps the lists that it has seen, durably.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_STANDBY_NAMES_H
#define WS_RELAY_STANDBY_NAMES_H

#include "relay/store/store.h"

/* Receiver: read the lists kept in the store, and show the last one. */
extern void ws_standby_names_load(const WsStore *store);

/*
 * Receiver: note that the primary, which is on tli, has this list now.  The
 * file is written if the list has changed, and once a minute; a failure is
 * only logged.
 */
extern void ws_standby_names_note(const WsStore *store, TimeLineID tli, const char *names);

#endif							/* WS_RELAY_STANDBY_NAMES_H */
