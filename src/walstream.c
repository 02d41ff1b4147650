/*-------------------------------------------------------------------------
 *
 * walstream.c
 *	  The module's entry point.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "fmgr.h"
#include "guc.h"
#include "peer.h"
#include "receiver.h"
#include "redirect.h"
#include "relay/relay.h"
#include "sender.h"
#include "shmem.h"
#include "stats.h"
#include "upstream.h"

WS_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/*
 * 1. Loaded by hand or by CREATE EXTENSION instead of by
 *	  shared_preload_libraries: do nothing.  The SQL functions tell the
 *	  user what to change.
 * 2. Settings, also under pg_upgrade, whose servers read configuration files
 *	  that may set them.
 * 3. The rest: shared memory, the sender's hook, the receiver's table, and, if
 *	  it is enabled, the relay.
 */
void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	ws_guc_init();
	if (IsBinaryUpgrade)
		return;

	ws_shmem_init();
	ws_stats_init();
	ws_peer_init();
	ws_upstream_init();
	ws_sender_init();
	ws_receiver_init();
	ws_redirect_init();
	ws_relay_init();
}
