/*-------------------------------------------------------------------------
 *
 * standby.h
 *	  This server, as the standby that is to be promoted.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_DRAIN_STANDBY_H
#define WS_DRAIN_STANDBY_H

#include "pure/relay/drain.h"

/* An ERROR unless it is a standby that may be promoted at the end of its WAL. */
extern void ws_standby_check(void);

/* An ERROR if something is set that keeps it from receiving. */
extern void ws_standby_check_receives(void);

/* Does it follow the newest timeline? */
extern bool ws_standby_follows_latest(void);

/* What it has. */
extern void ws_standby_describe(WsDrainMember *member, WsHistory *history);

/* Has it all of this timeline up to there, durably? */
extern bool ws_standby_has(TimeLineID tli, XLogRecPtr lsn);

/* Is its walreceiver connected to that server, and streaming? */
extern bool ws_standby_receives_from(const char *host, const char *port);

/* For a person: why its recovery does not ask for WAL; NULL if that is not known. */
extern const char *ws_standby_obstacle(void);

#endif							/* WS_DRAIN_STANDBY_H */
