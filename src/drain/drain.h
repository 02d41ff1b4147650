/*-------------------------------------------------------------------------
 *
 * drain.h
 *	  Before a standby is promoted, let it receive all that was ever confirmed.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_DRAIN_DRAIN_H
#define WS_DRAIN_DRAIN_H

#include "drain/source.h"

typedef struct WsDrain
{
	/* The caller's. */
	WsSource  **sources;
	int			count;
	int			required;		/* so many sources; 0: as the list demands */
	TimestampTz deadline;

	/* What has come of it. */
	WsDrainMember self;
	WsHistory	self_history;
	const char *list;			/* synchronous_standby_names; NULL: not known */
	WsDrainPlan plan;
	bool		redirected;		/* the walreceiver was */
} WsDrain;

/*
 * All of it.  An ERROR leaves the standby and the sources as they were, but for
 * those that a WARNING names; else the sources that were heard are sealed.
 */
extern void ws_drain_run(WsDrain *drain);

#endif							/* WS_DRAIN_DRAIN_H */
