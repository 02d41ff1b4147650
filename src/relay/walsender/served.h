/*-------------------------------------------------------------------------
 *
 * served.h
 *	  The store and the positions that a relay sender may serve, or an ERROR.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_WALSENDER_SERVED_H
#define WS_RELAY_WALSENDER_SERVED_H

#include "relay/store/store.h"

/* Returns the open store; raises an ERROR while there is none. */
extern void ws_served_get_store(WsStore *store);

/* Returns the position up to which WAL can be served, or raises an ERROR. */
extern void ws_served_get_position(TimeLineID *tli, XLogRecPtr *flushed_lsn);

/* The same, even before the end is known. */
extern void ws_served_get_upto(TimeLineID *tli, XLogRecPtr *served_lsn);

/* The ERROR for what there is not yet. */
ws_noreturn extern void ws_served_not_ready(void);

#endif							/* WS_RELAY_WALSENDER_SERVED_H */
