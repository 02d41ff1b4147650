/*-------------------------------------------------------------------------
 *
 * drain.h
 *	  Decides what a standby still has to receive before it is promoted, and
 *	  from whom.
 *
 * A confirmed commit is on the synchronous standbys that confirmed it.
 * Afterwards nobody knows which ones these were.  But if k of n names had to
 * confirm, at least one of them is among any n - k + 1 names.  So if that many
 * have been heard, after they were kept from confirming more, the most
 * advanced of them has everything that was ever confirmed.
 *
 * "Most advanced" refers to the line of timelines first: the newest timeline
 * decides which line counts, whatever positions others have reached on
 * timelines that it has left.
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

/*
 * A server that was asked.  The first one of an array is the standby itself.
 */
typedef struct WsDrainMember
{
	bool		heard;			/* it has answered, after it was sealed */
	bool		counts;			/* it is one of those of which a number is
								 * required */
	TimeLineID	tli;			/* timeline and position of the end of its WAL */
	XLogRecPtr	end_lsn;

	/*
	 * Its complete records end here or before.  Bytes after that, on a
	 * timeline that was left there, are a part of a record, and no loss.  A
	 * server that does not know this position reports end_lsn.
	 */
	XLogRecPtr	records_lsn;
	const WsHistory *history;	/* history that leads to tli */
} WsDrainMember;

typedef enum WsDrainVerdict
{
	WS_DRAIN_HAS_ALL,			/* nothing is missing */
	WS_DRAIN_RECEIVE,			/* receive from "source", up to lsn on tli */
	WS_DRAIN_UNHEARD,			/* fewer were heard than required */
	WS_DRAIN_DIVERGED,			/* "other" has records behind lsn, where its
								 * line leaves that of "source" */
	WS_DRAIN_PAST_FORK,			/* the standby itself has such records */
	WS_DRAIN_OTHER_TARGET		/* "source" is on a newer timeline, which the
								 * standby does not follow */
} WsDrainVerdict;

typedef struct WsDrainPlan
{
	WsDrainVerdict verdict;
	int			heard;			/* how many of those that count were heard */
	int			source;			/* index of the source, see above */
	int			other;
	TimeLineID	tli;			/* newest timeline of those heard */
	XLogRecPtr	lsn;
} WsDrainPlan;

/*
 * Returns the position up to which two lines are the same: a position after any
 * other if they end on the same timeline, and the start of WAL if they have
 * nothing in common.
 */
extern XLogRecPtr ws_drain_common_end(const WsHistory *a, const WsHistory *b);

/*
 * Decide. members[0], the standby itself, always counts as heard.
 * follows_latest tells that it follows any timeline that is newer than its
 * own.
 */
extern void ws_drain_decide(const WsDrainMember *members, int count, int required,
							bool follows_latest, WsDrainPlan *plan);

/*
 * Returns the next item of a list that is separated by commas; NULL at the end
 * of the list, or if it is malformed.  An item that has a comma or a double
 * quote is written in double quotes, with those in it doubled.  White space
 * around items is ignored. *cursor is the text, which is changed; *status is
 * always set.
 */
extern char *ws_drain_next_item(char **cursor, WsStatus *status);

#endif							/* WS_PURE_RELAY_DRAIN_H */
