/*-------------------------------------------------------------------------
 *
 * drain.h
 *	  Lets a standby receive everything that was ever confirmed, before it is
 *	  promoted.
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
	/* The caller's arguments. */
	WsSource  **sources;
	int			count;
	int			required;		/* number of sources that must be heard; 0
								 * means as the list demands */
	TimestampTz deadline;

	/* The result. */
	WsDrainMember self;
	WsHistory	self_history;
	const char *list;			/* synchronous_standby_names, or several of
								 * them; NULL if not known */
	WsDrainPlan plan;
	bool		redirected;		/* the walreceiver was redirected */
} WsDrain;

/*
 * Do all of it.  An ERROR leaves the standby and the sources as they were,
 * except for those that a WARNING names.  On success the sources that were
 * heard are sealed.
 */
extern void ws_drain_run(WsDrain *drain);

#endif							/* WS_DRAIN_DRAIN_H */
