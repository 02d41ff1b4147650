/*-------------------------------------------------------------------------
 *
 * shared.h
 *	  The life of the relay's workers in shared memory; for relay.c only, what
 *	  everybody may know is in relay.h.
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
 * This process is the worker now.  Returns how often it has failed in a row,
 * and when it last did.
 */
extern int	ws_relay_shared_begin_worker(WsRelayWorker worker, TimestampTz *failed_at);

/*
 * It no longer is.  failed: by an error; worked: for so long before that earlier
 * failures do not count; disk_full: the error was that; other_store: it was
 * that the store is not the one that is remembered.
 */
extern void ws_relay_shared_end_worker(WsRelayWorker worker, bool failed,
									   bool worked, bool disk_full,
									   bool other_store);

/* What operators have asked for, to see whether that changes. */
extern uint32 ws_relay_shared_requests(void);

#endif							/* WS_RELAY_SHARED_H */
