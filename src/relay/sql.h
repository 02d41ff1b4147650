/*-------------------------------------------------------------------------
 *
 * sql.h
 *	  What the relay's SQL functions share.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_SQL_H
#define WS_RELAY_SQL_H

#include "relay/store/store.h"

/* Is there a relay, in its shared memory? */
extern bool ws_relay_sql_is_relay(void);

/* An ERROR on a server that is no relay. */
extern void ws_relay_sql_check(void);

/* An ERROR unless the store is open. */
extern void ws_relay_sql_get_store(WsStore *store);

/* The same, and unless it has WAL whose end is known. */
extern void ws_relay_sql_get_position(WsStore *store, TimeLineID *tli,
									  XLogRecPtr *flushed_lsn);

#endif							/* WS_RELAY_SQL_H */
