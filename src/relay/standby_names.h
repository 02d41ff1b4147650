/*-------------------------------------------------------------------------
 *
 * standby_names.h
 *	  Which synchronous standbys the primary had when the relay connected to it.
 *
 * What a relay holds says something about commits that were confirmed only as long
 * as its name was in synchronous_standby_names.  So it asks for that list at each
 * connection, and keeps the lists that it has seen, durably.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_STANDBY_NAMES_H
#define WS_RELAY_STANDBY_NAMES_H

#include "relay/store/store.h"

/* Receiver: read what is kept in the store, and show the last of it. */
extern void ws_standby_names_load(const WsStore *store);

/*
 * Receiver: the primary, which is on tli, has this list now.  The file is written
 * if the list is another one, and once a minute; where that fails it is logged
 * only.
 */
extern void ws_standby_names_note(const WsStore *store, TimeLineID tli, const char *names);

#endif							/* WS_RELAY_STANDBY_NAMES_H */
