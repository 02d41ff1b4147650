/*-------------------------------------------------------------------------
 *
 * served.c
 *	  The store and the positions that a relay sender may serve, or an ERROR.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/relay.h"
#include "relay/walsender/served.h"

void
ws_served_not_ready(void)
{
	TimeLineID	tli;
	XLogRecPtr	lsn;

	ereport(ERROR,
			(errcode(ERRCODE_CANNOT_CONNECT_NOW),
			 ws_relay_get_served(&tli, &lsn) ?
			 errmsg("the relay does not know yet where its WAL ends") :
			 errmsg("the relay has no WAL to serve yet"),
			 errhint("The view \"walstream_relay\" on the relay shows what it is doing.")));
}

void
ws_served_get_store(WsStore *store)
{
	if (!ws_relay_get_store(store))
		ws_served_not_ready();
}

void
ws_served_get_position(TimeLineID *tli, XLogRecPtr *flushed_lsn)
{
	if (!ws_relay_get_position(tli, flushed_lsn))
		ws_served_not_ready();
}

void
ws_served_get_upto(TimeLineID *tli, XLogRecPtr *served_lsn)
{
	if (!ws_relay_get_served(tli, served_lsn))
		ws_served_not_ready();
}
