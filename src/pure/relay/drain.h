/*-------------------------------------------------------------------------
 *
 * drain.h
 *	  What a standby that is to be promoted still has to receive, and from whom.
 *
 * A commit that was confirmed is held by the synchronous standbys that
 * confirmed it.  Which those were nobody knows afterwards; but of any n - k + 1
 * of n names, of which k had to confirm, one is among them.  So where that many
 * have been heard, after they were kept from confirming more, the most advanced
 * of them holds all that was ever confirmed.
 *
 * Advanced is said of a line of timelines, not of positions: the newest timeline
 * decides which line it is, whatever positions others have reached on timelines
 * that it has left.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_RELAY_DRAIN_H
#define WS_PURE_RELAY_DRAIN_H

#include "c.h"

#include "pure/relay/history.h"
#include "pure/status.h"

/* Who was asked.  The first of an array is the standby itself. */
typedef struct WsDrainMember
{
	bool		heard;			/* it said the rest, after it was sealed */
	bool		counts;			/* among those of whom so many are required */
	TimeLineID	tli;			/* what its WAL ends on, and where */
	XLogRecPtr	end_lsn;

	/*
	 * Its complete records end here or before.  What is behind that of a
	 * timeline that was left there is a part of a record, and nobody's loss.
	 * Whoever does not know it says end_lsn.
	 */
	XLogRecPtr	records_lsn;
	const WsHistory *history;	/* that leads to tli */
} WsDrainMember;

typedef enum WsDrainVerdict
{
	WS_DRAIN_HAS_ALL,			/* nothing is missing */
	WS_DRAIN_RECEIVE,			/* from "source", until there is tli up to lsn */
	WS_DRAIN_UNHEARD,			/* fewer were heard than required */
	WS_DRAIN_DIVERGED,			/* "other" has records behind lsn, where its
								 * line leaves that of "source" */
	WS_DRAIN_PAST_FORK,			/* so has the standby itself */
	WS_DRAIN_OTHER_TARGET		/* "source" is on a newer timeline, which the
								 * standby does not follow */
} WsDrainVerdict;

typedef struct WsDrainPlan
{
	WsDrainVerdict verdict;
	int			heard;			/* how many of those that count */
	int			source;			/* of the array; see above */
	int			other;
	TimeLineID	tli;			/* the newest timeline of those heard */
	XLogRecPtr	lsn;
} WsDrainPlan;

/*
 * Decide.  members[0], the standby itself, is heard always.  follows_latest: it
 * follows whatever timeline turns out to be newer than its own.
 */
extern void ws_drain_decide(const WsDrainMember *members, int count, int required,
							bool follows_latest, WsDrainPlan *plan);

/*
 * The next item of a list that is separated by commas; NULL at its end, or
 * where it is malformed.  An item that holds a comma, or a double quote, is
 * written in double quotes, with those in it doubled.  White space around items
 * is not theirs.  *cursor is the text, which is changed, and then for our use;
 * *status is set in any case.
 */
extern char *ws_drain_next_item(char **cursor, WsStatus *status);

#endif							/* WS_PURE_RELAY_DRAIN_H */
