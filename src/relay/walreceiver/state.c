/*-------------------------------------------------------------------------
 *
 * state.c
 *	  The state that the relay's receiver shows, and the requests that end a
 *	  connection.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "guc.h"
#include "relay/seal.h"
#include "relay/walreceiver/state.h"
#include "utils/ps_status.h"

/* The state that was set last. */
static WsRelayState shown_state = WS_RELAY_STOPPED;

void
ws_rcv_set_state(WsRelayState state, const char *reason)
{
	/* earlier requests are not meant for this state */
	if (state == WS_RELAY_DIVERGED || state == WS_RELAY_GAP ||
		(state == WS_RELAY_BEHIND && shown_state != WS_RELAY_BEHIND))
	{
		ws_relay_is_requested(WS_REQUEST_FOLLOW, true);
		ws_relay_is_requested(WS_REQUEST_RESTART, true);
		ws_relay_is_requested(WS_REQUEST_RESUME, true);
		ws_relay_note_error(reason);
	}
	shown_state = state;
	ws_relay_set_state(state, reason);
	if (update_process_title)
		set_ps_display(ws_relay_state_name(state));
}

WsRelayState
ws_rcv_state(void)
{
	return shown_state;
}

/*
 * Returns true if the settings of upstream or slot differ from those in use.
 */
bool
ws_rcv_settings_differ(const WsRcv *rcv)
{
	const WsRelaySettings *settings = ws_guc_relay();

	return rcv->settings.upstream == NULL ||
		strcmp(rcv->settings.upstream, settings->upstream) != 0 ||
		strcmp(rcv->settings.slot, settings->slot) != 0;
}

bool
ws_rcv_must_end(WsRcv *rcv)
{
	(void) ws_guc_reload();
	return ws_relay_is_requested(WS_REQUEST_PAUSE, false) || ws_rcv_settings_differ(rcv) ||
		ws_seal_ends_stream();
}
