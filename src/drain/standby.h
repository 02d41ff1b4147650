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

/*
 * Raise an ERROR unless this is a standby that may be promoted at the end of
 * its WAL.
 */
extern void ws_standby_check(void);

/* Raise an ERROR if a setting keeps it from receiving. */
extern void ws_standby_check_receives(void);

/* Returns true if it follows the newest timeline. */
extern bool ws_standby_follows_latest(void);

/* Returns the end of its WAL. */
extern void ws_standby_describe(WsDrainMember *member, WsHistory *history);

/* Returns true if it has all WAL of this timeline up to there, durably. */
extern bool ws_standby_has(TimeLineID tli, XLogRecPtr lsn);

/*
 * Returns true if its walreceiver is connected to that server and streaming.
 */
extern bool ws_standby_receives_from(const char *host, const char *port);

/*
 * Returns the reason, as text, why its recovery does not ask for WAL; NULL if
 * not known.
 */
extern const char *ws_standby_obstacle(void);

#endif							/* WS_DRAIN_STANDBY_H */
