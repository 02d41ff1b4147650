/*-------------------------------------------------------------------------
 *
 * plan.h
 *	  Where a relay goes on: on which timeline of its upstream, from which
 *	  position, or why not.
 *
 * The upstream's history is laid beside what is stored.  Where the upstream left
 * a timeline before the end of what we have of it, our bytes past that point are
 * harmless as long as no complete record is among them; if one is, somebody may
 * have been told that it is safe, and an operator has to decide.
 *
 * A plan depends on nothing but its input.  What it takes long to find out is
 * asked for only where it matters: the verdict is WS_PLAN_NEED then, the caller
 * adds the answer to the input and calls again.  No question is asked twice.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_RELAY_PLAN_H
#define WS_PURE_RELAY_PLAN_H

#include "c.h"

#include "access/xlogdefs.h"
#include "pure/relay/history.h"

/* So much is compared once more with an upstream that was compared with. */
#define WS_PLAN_COMPARE_BYTES	(256 * 1024)

typedef struct WsPlanPoint
{
	TimeLineID	tli;
	XLogRecPtr	lsn;
} WsPlanPoint;

/* What the store has of a timeline. */
typedef struct WsPlanTimeline
{
	TimeLineID	tli;
	const WsHistory *history;	/* NULL: none is stored */
	bool		first_is_known; /* the answer to WS_PLAN_NEED_FIRST */
	XLogRecPtr	first_lsn;		/* from here on all WAL that leads to the
								 * timeline is stored; Invalid: none of it is */
} WsPlanTimeline;

typedef struct WsPlanInput
{
	uint32		segment_size;
	uint32		page_size;

	/* What is stored; without WAL only has_wal counts. */
	bool		has_wal;
	WsPlanPoint served;			/* the newest timeline that is served, and the
								 * end of it that is durable */
	WsPlanPoint stored;			/* where to go on: the same, or on the way
								 * from a common ancestor to a timeline that
								 * an operator has allowed, never newer */
	WsPlanTimeline *timelines;	/* those in the upstream's history of which
								 * there is a history here, and both of above */
	int			timeline_count;

	/* The upstream */
	TimeLineID	upstream_tli;
	XLogRecPtr	upstream_lsn;	/* flushed there, when asked */
	bool		upstream_is_primary;
	const WsHistory *upstream_history;	/* of that timeline; NULL: not asked */
	bool		was_compared;	/* all up to stored, with this upstream */
	bool		earlier_is_gone;	/* it has no more WAL from before the
									 * stored end than it must */
	XLogRecPtr	slot_lsn;		/* where our slot there stands; Invalid: none */
	bool		slot_is_new;	/* made with this connection */

	/* What an operator has allowed */
	bool		follow_allowed;
	bool		restart_allowed;

	/* The answer to WS_PLAN_NEED_SURPLUS */
	bool		surplus_is_known;
	bool		surplus_has_record;
	XLogRecPtr	surplus_record_lsn; /* the last one's end */
	XLogRecPtr	surplus_commit_lsn; /* the last commit's; Invalid: none */

	/* ... to WS_PLAN_NEED_SEGMENT */
	bool		segment_is_known;
	bool		segment_is_there;

	/* ... to WS_PLAN_NEED_PAGE */
	bool		page_is_known;
	bool		page_is_there;

	/*
	 * A plan to go on was made, and meanwhile the WAL that it begins with was
	 * removed here.
	 */
	bool		was_removed;
} WsPlanInput;

/* Where streaming is to begin. */
typedef struct WsPlanStart
{
	TimeLineID	tli;
	XLogRecPtr	begin_lsn;		/* a segment's start, or a page's in the
								 * segment in which stored_lsn is */
	XLogRecPtr	stored_lsn;		/* up to here it is stored already: compare */
	XLogRecPtr	tell_lsn;		/* positions below are not told: a segment's
								 * start, later than begin_lsn if that is only
								 * for comparing */
	XLogRecPtr	check_lsn;		/* what comes from here on is to be checked to
								 * continue what is stored, since that does
								 * not come again; Invalid: need not */
	XLogRecPtr	publish_lsn;	/* from here on the timeline may be served */
	TimeLineID	parent_tli;		/* what comes before publish_lsn is compared
								 * with what is stored of this one; 0: nothing
								 * comes that is of another timeline */
	bool		replaces;		/* what is stored, which is left as it is
								 * until the first bytes of this are durable */
	XLogRecPtr	switch_lsn;		/* the upstream left the timeline here,
								 * Invalid if it is on it */
} WsPlanStart;

typedef enum WsPlanVerdict
{
	WS_PLAN_NEED,				/* an answer: need says of what */
	WS_PLAN_CONTINUE,			/* stream from start, a timeline of which we
								 * are at the end */
	WS_PLAN_FOLLOW,				/* stream from start, a timeline that begins
								 * where we are */
	WS_PLAN_NEW_RANGE,			/* stream from start, the first range or one
								 * in the place of what is stored */
	WS_PLAN_NEW_SLOT,			/* connect again, and make the slot anew: what
								 * it promises is not there */
	WS_PLAN_COMPARE_LESS,		/* connect again: what is missing was only to
								 * be compared */
	WS_PLAN_WAIT,				/* the upstream has no WAL yet to begin with */
	WS_PLAN_BEHIND,				/* the upstream has less than is stored: ask
								 * again */
	WS_PLAN_DIVERGED,			/* an operator has to decide */
	WS_PLAN_GAP					/* here too */
} WsPlanVerdict;

typedef enum WsPlanNeed
{
	WS_PLAN_NEED_NOTHING,
	WS_PLAN_NEED_HISTORY,		/* upstream_history */
	WS_PLAN_NEED_FIRST,			/* first_lsn of timeline point.tli */
	WS_PLAN_NEED_SURPLUS,		/* is there a complete record on point.tli
								 * behind point.lsn and before end_lsn? */
	WS_PLAN_NEED_SEGMENT,		/* is the segment of point.tli that ends at
								 * point.lsn stored and closed? */
	WS_PLAN_NEED_PAGE			/* is a page at point, and not zeros? */
} WsPlanNeed;

/* Why not, and which of the facts below belong to it. */
typedef enum WsPlanReason
{
	WS_PLAN_NO_REASON,

	/* behind */
	WS_PLAN_OLDER_TIMELINE,		/* upstream's tli, ours */
	WS_PLAN_BEFORE_SEGMENT,		/* the upstream is at theirs, ours */
	WS_PLAN_PUT_BACK,			/* the same */

	/* diverged */
	WS_PLAN_OTHER_HISTORY,		/* theirs.tli */
	WS_PLAN_NOTHING_COMMON,
	WS_PLAN_NOT_IN_HISTORY,		/* ours is not in that of theirs.tli; the end
								 * of what is common */
	WS_PLAN_LEFT_EARLIER,		/* ours was left at theirs.lsn; surplus_* of
								 * the input */
	WS_PLAN_REMOVED_HERE,		/* theirs goes on from where nothing is stored */

	/* gap, wait */
	WS_PLAN_REMOVED_THERE,		/* theirs, where WAL is missing, and ours */
	WS_PLAN_NOTHING_THERE		/* theirs, not even to begin with */
} WsPlanReason;

typedef struct WsPlanWhy
{
	WsPlanReason reason;
	WsPlanPoint ours;
	WsPlanPoint theirs;
	WsPlanPoint common;
	bool		is_removed;		/* WAL from there on is no longer stored, so
								 * it does not help to be allowed to follow */
} WsPlanWhy;

/* An operator's permission can be needed twice on the way. */
#define WS_PLAN_MAX_OVERRULED	2

typedef struct WsPlan
{
	WsPlanVerdict verdict;
	WsPlanNeed	need;
	WsPlanPoint point;			/* what need asks about */
	XLogRecPtr	end_lsn;
	WsPlanWhy	why;			/* of BEHIND, DIVERGED, GAP, WAIT */
	WsPlanWhy	overruled[WS_PLAN_MAX_OVERRULED];	/* reasons to diverge, but
													 * follow_allowed */
	int			overruled_count;
	WsPlanStart start;			/* of CONTINUE, FOLLOW, NEW_RANGE */
	WsPlanPoint stored;			/* where to go on from now on, whatever the
								 * verdict but NEED is */
	XLogRecPtr	late_lsn;		/* needed, but our slot keeps WAL only from a
								 * later segment on; Invalid: it does not */
} WsPlan;

/* What to do with an upstream. */
extern void ws_plan_make(const WsPlanInput *input, WsPlan *plan);

/*
 * That plan was carried out, and the upstream says that it no longer has the WAL
 * from start on: COMPARE_LESS, NEW_SLOT, GAP or WAIT.
 */
extern void ws_plan_miss(const WsPlanInput *input, const WsPlanStart *start,
						 WsPlan *plan);

#endif							/* WS_PURE_RELAY_PLAN_H */
