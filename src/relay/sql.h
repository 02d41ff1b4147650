/*-------------------------------------------------------------------------
 *
 * sql.h
 *	  Checks that the relay's SQL functions share.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_SQL_H
#define WS_RELAY_SQL_H

#include "relay/store/store.h"

/* Returns true if this server is a relay and has its shared memory. */
extern bool ws_relay_sql_is_relay(void);

/* Raise an ERROR on a server that is not a relay. */
extern void ws_relay_sql_check(void);

/* Raise an ERROR unless the store is open. */
extern void ws_relay_sql_get_store(WsStore *store);

/* Raise an ERROR unless the store is open and has WAL whose end is known. */
extern void ws_relay_sql_get_position(WsStore *store, TimeLineID *tli,
									  XLogRecPtr *flushed_lsn);

#endif							/* WS_RELAY_SQL_H */
