/*-------------------------------------------------------------------------
 *
 * waitevent.c
 *	  Names for what our processes wait for.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "utils/wait_event.h"
#include "waitevent.h"

static const char *const names[WS_WAITS] = {
	[WS_WAIT_RELAY_RECEIVER] = "WalstreamRelayReceiver",
	[WS_WAIT_RELAY_KEEPER] = "WalstreamRelayKeeper",
	[WS_WAIT_RELAY_NAMES] = "WalstreamRelayNames",
	[WS_WAIT_RELAY_RESTART] = "WalstreamRelayRestart",
	[WS_WAIT_RELAY_DISK_FULL] = "WalstreamRelayDiskFull",
	[WS_WAIT_RELAY_STORE] = "WalstreamRelayStore",
	[WS_WAIT_RELAY_SLOT] = "WalstreamRelaySlot",
	[WS_WAIT_RELAY_SEAL] = "WalstreamRelaySeal",
	[WS_WAIT_RELAY_POSITION] = "WalstreamRelayPosition",
	[WS_WAIT_RECEIVE_ALL] = "WalstreamReceiveAll",
	[WS_WAIT_RECEIVE_ALL_RELAY] = "WalstreamReceiveAllRelay",
	[WS_WAIT_RATE_LIMIT] = "WalstreamRateLimit"
};

uint32
ws_waitevent(WsWait wait)
{
	static uint32 events[WS_WAITS];

	if (events[wait] == 0)
		events[wait] = ws_wait_event_new(names[wait]);
	return events[wait];
}
