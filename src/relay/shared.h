/*-------------------------------------------------------------------------
 *
 * shared.h
 *	  The relay's workers in shared memory, for relay.c only; relay.h has what
 *	  others may use.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_SHARED_H
#define WS_RELAY_SHARED_H

#include "datatype/timestamp.h"

typedef enum WsRelayWorker
{
	WS_RELAY_RECEIVER,
	WS_RELAY_KEEPER
} WsRelayWorker;
#define WS_RELAY_WORKERS	(WS_RELAY_KEEPER + 1)

/* In _PG_init of a relay. */
extern void ws_relay_shared_init(void);

/*
 * Claim the worker's place for this process.  Returns how often the worker has
 * failed in a row, and the time of the last failure.
 */
extern int	ws_relay_shared_begin_worker(WsRelayWorker worker, TimestampTz *failed_at);

/*
 * Release the worker's place.  failed tells that the worker ends with an
 * error; worked, that it has run long enough for earlier failures not to
 * count; disk_full and other_store, that the error was a full disk, or a store
 * that is not the remembered one.
 */
extern void ws_relay_shared_end_worker(WsRelayWorker worker, bool failed,
									   bool worked, bool disk_full,
									   bool other_store);

/* Returns the requests of operators, for noticing a change. */
extern uint32 ws_relay_shared_requests(void);

#endif							/* WS_RELAY_SHARED_H */
