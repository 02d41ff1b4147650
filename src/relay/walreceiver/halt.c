/*-------------------------------------------------------------------------
 *
 * halt.c
 *	  The relay's receiver stops where only an operator can decide: sets the
 *	  state and its reason, and writes a line to the log.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog_internal.h"
#include "relay/walreceiver/state.h"

WsRcvEnd
ws_rcv_be_behind(const char *reason)
{
	WsRelayStatus status;

	/* every attempt finds the same again */
	ws_relay_get_status(&status);
	ws_rcv_set_state(WS_RELAY_BEHIND, reason);
	if (status.state != WS_RELAY_BEHIND)
		ereport(LOG,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relay waits until its upstream has what is stored"),
				 errdetail_internal("%s.", reason),
				 errhint("What is stored is still served.  If the upstream never gets there, correct walstream.relay_upstream, or begin anew with SELECT walstream_relay_restart_after_gap().")));
	return WS_RCV_RETRY;
}

WsRcvEnd
ws_rcv_diverge(const char *reason, const char *hint)
{
	ws_rcv_set_state(WS_RELAY_DIVERGED, reason);
	ereport(LOG,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("relay stops receiving: the upstream's WAL is not a continuation of what is stored"),
			 errdetail("%s.", reason),
			 errhint("%s", hint)));
	return WS_RCV_DIVERGED;
}

WsRcvEnd
ws_rcv_differ(const char *reason)
{
	ws_rcv_set_state(WS_RELAY_DIVERGED, reason);
	ereport(LOG,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("relay stops receiving: the upstream's WAL is not what is stored"),
			 errdetail("%s.", reason),
			 errhint("What is stored is still served and was not changed.  Correct walstream.relay_upstream, or begin anew with SELECT walstream_relay_restart_after_gap().")));
	return WS_RCV_DIVERGED;
}

/*
 * The upstream is asked again and again, since its next timeline may end the
 * seal, or another host of the list may be the seal's owner.
 */
WsRcvEnd
ws_rcv_be_sealed(const WsRcv *rcv, bool covered)
{
	static bool told_covered;
	WsRelayStatus status;
	char	   *reason = psprintf(covered ?
								  "the relay is sealed, and the upstream is on timeline %u" :
								  "the relay is sealed, and it is another server than the upstream, on timeline %u, that has sealed it",
								  rcv->upstream.tli);

	ws_relay_get_status(&status);
	ws_rcv_set_state(WS_RELAY_SEALED, reason);
	if (status.state != WS_RELAY_SEALED || covered != told_covered)
		ereport(LOG,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relay does not receive from its upstream: %s", reason),
				 covered ?
				 errhint("It goes on with a newer timeline, or after SELECT walstream_relay_unseal(token).") :
				 errhint("It goes on when it comes to the server that has sealed it.  If this upstream is the right primary, SELECT walstream_relay_unseal(token).")));
	told_covered = covered;
	return WS_RCV_RETRY;
}

/*
 * The error has no code of its own, and its text may be in any language; but
 * the text names the segment, without a path, and gives no other reason.
 */
bool
ws_rcv_says_removed(const char *message)
{
	const char *end = message + strcspn(message, "\n");

	for (const char *c = message; c < end; c++)
	{
		size_t		len = strspn(c, "0123456789ABCDEF");

		if (len == XLOG_FNAME_LEN && (c == message || c[-1] != '/'))
			return memchr(c, ':', end - c) == NULL;
		if (len > 0)
			c += len - 1;
	}
	return false;
}

WsRcvEnd
ws_rcv_halt_in_gap(const char *reason)
{
	ws_rcv_set_state(WS_RELAY_GAP, reason);
	ereport(LOG,
			(errcode(ERRCODE_UNDEFINED_FILE),
			 errmsg("relay stops receiving: WAL is missing between what is stored and what the upstream has"),
			 errdetail("%s.", reason),
			 errhint("What is stored is still served.  SELECT walstream_relay_restart_after_gap() sets it aside and begins a new range; standbys that have not received it all must be made anew.")));
	return WS_RCV_GAP;
}

WsRcvEnd
ws_rcv_wait_for_wal(const char *reason)
{
	ws_rcv_set_state(WS_RELAY_WAITING, reason);
	ws_relay_note_error(reason);
	return WS_RCV_RETRY;
}

void
ws_rcv_report_no_room(const WsRcv *rcv, XLogRecPtr lsn)
{
	char	   *reason = psprintf("no space left in \"%s\" for WAL from " WS_LSN " on",
								  rcv->stored.store.path, LSN_FORMAT_ARGS(lsn));

	ws_rcv_set_state(WS_RELAY_DISK_FULL, reason);
	ereport(LOG,
			(errcode(ERRCODE_DISK_FULL),
			 errmsg("relay waits for disk space: %s", reason),
			 errhint("It goes on by itself when there is room.")));
	ws_relay_note_error(reason);
	pfree(reason);
}
