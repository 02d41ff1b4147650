/*-------------------------------------------------------------------------
 *
 * plan.h
 *	  Decides where a relay continues: on which timeline of its upstream and
 *	  from which position, or why not.
 *
 * The upstream's history is compared with what is stored.  If the upstream left
 * a timeline before the end of what is stored of it, the stored bytes past that
 * point are harmless as long as they hold no complete record.  If they do,
 * somebody may have been told that the record is safe, and an operator has to
 * decide.
 *
 * A plan depends on nothing but its input.  Facts that are expensive to find out
 * are asked for only if they matter: the verdict is then WS_PLAN_NEED, and the
 * caller adds the answer to the input and calls again.  No question is asked
 * twice.
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

/* How much is compared again with an upstream that was compared before. */
#define WS_PLAN_COMPARE_BYTES	(256 * 1024)

typedef struct WsPlanPoint
{
	TimeLineID	tli;
	XLogRecPtr	lsn;
} WsPlanPoint;

/* A timeline in the store. */
typedef struct WsPlanTimeline
{
	TimeLineID	tli;
	const WsHistory *history;	/* NULL if it is not stored */
	bool		first_is_known; /* the answer to WS_PLAN_NEED_FIRST */
	XLogRecPtr	first_lsn;		/* all WAL that leads to the timeline is
								 * stored from here on; invalid if none of it
								 * is */
} WsPlanTimeline;

typedef struct WsPlanInput
{
	uint32		segment_size;
	uint32		page_size;

	/* The store; the other fields count only if has_wal. */
	bool		has_wal;
	WsPlanPoint served;			/* the newest timeline that is served, and the
								 * end of it that is durable */
	WsPlanPoint stored;			/* where to continue: the same, or, while a
								 * timeline is followed that an operator has
								 * allowed, a point on the way to it from a
								 * common ancestor; never on a newer timeline */
	WsPlanTimeline *timelines;	/* those of the upstream's history whose
								 * history is stored, and the two above */
	int			timeline_count;

	/* The upstream */
	TimeLineID	upstream_tli;
	XLogRecPtr	upstream_lsn;	/* flushed there, when we asked */
	bool		upstream_is_primary;
	const WsHistory *upstream_history;	/* of that timeline; NULL: not asked
										 * for yet */
	bool		was_compared;	/* all WAL up to stored has been compared with
								 * this upstream */
	bool		earlier_is_gone;	/* the upstream no longer has the segment
									 * before the next one */
	XLogRecPtr	slot_lsn;		/* position of our slot there; invalid if none */
	bool		slot_is_new;	/* made during this connection */

	/* What an operator has allowed */
	bool		follow_allowed;
	bool		restart_allowed;
	WsPlanPoint approved;		/* the one switch allowed: to this timeline at
								 * this position, if ... */
	XLogRecPtr	approved_record_lsn;	/* the last complete record in excess
										 * ends here or before */

	/* The answer to WS_PLAN_NEED_SURPLUS */
	bool		surplus_is_known;
	bool		surplus_has_record;
	XLogRecPtr	surplus_record_lsn; /* end of the last complete record */
	XLogRecPtr	surplus_commit_lsn; /* end of the last commit record; invalid
									 * if none */

	/* ... to WS_PLAN_NEED_SEGMENT */
	bool		segment_is_known;
	bool		segment_is_there;

	/* ... to WS_PLAN_NEED_PAGE */
	bool		page_is_known;
	bool		page_is_there;

	/*
	 * A plan to continue was made, but the WAL with which it begins was
	 * removed here meanwhile.
	 */
	bool		was_removed;
} WsPlanInput;

/* Where streaming is to begin. */
typedef struct WsPlanStart
{
	TimeLineID	tli;
	XLogRecPtr	begin_lsn;		/* a segment's start, or a page's in the
								 * segment in which stored_lsn is */
	XLogRecPtr	stored_lsn;		/* WAL up to here is stored already, and is
								 * compared */
	XLogRecPtr	tell_lsn;		/* positions before this are not reported: a
								 * segment's start, later than begin_lsn if
								 * WAL before it is only compared */
	XLogRecPtr	check_lsn;		/* the records must continue across this
								 * position, since nothing before it is
								 * compared; invalid if they need not be
								 * checked */
	XLogRecPtr	publish_lsn;	/* the timeline may be served from here on */
	TimeLineID	parent_tli;		/* WAL before publish_lsn is compared with
								 * what is stored of this timeline; 0 if all
								 * WAL is of one timeline */
	bool		replaces;		/* replaces what is stored, which is kept
								 * until the first bytes of this are durable */
	XLogRecPtr	switch_lsn;		/* the upstream left the timeline here;
								 * invalid if it is still on it */
} WsPlanStart;

typedef enum WsPlanVerdict
{
	WS_PLAN_NEED,				/* an answer is needed, see need */
	WS_PLAN_CONTINUE,			/* stream from start, on the timeline where
								 * the stored WAL ends */
	WS_PLAN_FOLLOW,				/* stream from start, a timeline that begins
								 * where the stored WAL ends */
	WS_PLAN_NEW_RANGE,			/* stream from start, the first range or one
								 * that replaces what is stored */
	WS_PLAN_NEW_SLOT,			/* connect again and replace the slot, since
								 * the WAL that it promises is not there */
	WS_PLAN_COMPARE_LESS,		/* connect again with earlier_is_gone; the WAL
								 * that is missing was only to be compared */
	WS_PLAN_WAIT,				/* the upstream has no WAL to begin with yet */
	WS_PLAN_BEHIND,				/* the upstream has less than is stored; ask
								 * again later */
	WS_PLAN_DIVERGED,			/* the upstream's WAL does not continue what
								 * is stored; an operator has to decide */
	WS_PLAN_GAP					/* WAL is missing in between; an operator has
								 * to decide */
} WsPlanVerdict;

typedef enum WsPlanNeed
{
	WS_PLAN_NEED_NOTHING,
	WS_PLAN_NEED_HISTORY,		/* upstream_history */
	WS_PLAN_NEED_FIRST,			/* first_lsn of timeline point.tli */
	WS_PLAN_NEED_SURPLUS,		/* whether there is a complete record on
								 * point.tli after point.lsn and before
								 * end_lsn */
	WS_PLAN_NEED_SEGMENT,		/* whether the segment of point.tli that ends
								 * at point.lsn is stored and closed */
	WS_PLAN_NEED_PAGE			/* whether a page, and not zeros, begins at
								 * point */
} WsPlanNeed;

/*
 * Reasons for not continuing; the comments name the fields of WsPlanWhy that
 * are set.
 */
typedef enum WsPlanReason
{
	WS_PLAN_NO_REASON,

	/* behind */
	WS_PLAN_OLDER_TIMELINE,		/* theirs.tli, ours.tli */
	WS_PLAN_BEFORE_SEGMENT,		/* theirs, where the upstream is; ours */
	WS_PLAN_PUT_BACK,			/* the same */

	/* diverged */
	WS_PLAN_OTHER_HISTORY,		/* theirs.tli */
	WS_PLAN_NOTHING_COMMON,
	WS_PLAN_NOT_IN_HISTORY,		/* ours, which is not in the history of
								 * theirs.tli; common, the end of what both
								 * share */
	WS_PLAN_LEFT_EARLIER,		/* theirs, where the upstream left our
								 * timeline; ours; surplus_* of the input */
	WS_PLAN_REMOVED_HERE,		/* theirs, where the upstream's WAL continues */

	/* gap, wait */
	WS_PLAN_REMOVED_THERE,		/* theirs, where WAL is missing; ours */
	WS_PLAN_NOTHING_THERE		/* theirs, where a range was to begin */
} WsPlanReason;

typedef struct WsPlanWhy
{
	WsPlanReason reason;
	WsPlanPoint ours;
	WsPlanPoint theirs;
	WsPlanPoint common;
	bool		is_removed;		/* WAL from there on is no longer stored, so
								 * permission to follow does not help */
} WsPlanWhy;

/* One plan can need an operator's permission twice. */
#define WS_PLAN_MAX_OVERRULED	2

typedef struct WsPlan
{
	WsPlanVerdict verdict;
	WsPlanNeed	need;
	WsPlanPoint point;			/* what need asks about */
	XLogRecPtr	end_lsn;
	WsPlanWhy	why;			/* of BEHIND, DIVERGED, GAP, WAIT */
	WsPlanWhy	overruled[WS_PLAN_MAX_OVERRULED];	/* reasons to diverge that
													 * follow_allowed or
													 * approved overrules */
	int			overruled_count;
	WsPlanPoint surplus;		/* what is stored behind this is in excess,
								 * and to be kept aside; tli 0: nothing */
	WsPlanStart start;			/* of CONTINUE, FOLLOW, NEW_RANGE */
	WsPlanPoint stored;			/* the input's from now on; not with NEED */
	XLogRecPtr	late_lsn;		/* WAL is needed from here on, but the slot
								 * keeps it only from a later segment on;
								 * otherwise invalid */
} WsPlan;

/* Decide what to do. */
extern void ws_plan_make(const WsPlanInput *input, WsPlan *plan);

/*
 * Decide what to do after the upstream has reported that it no longer has the
 * WAL with which a plan begins.  The verdict is COMPARE_LESS, NEW_SLOT, GAP or
 * WAIT.
 */
extern void ws_plan_miss(const WsPlanInput *input, const WsPlanStart *start,
						 WsPlan *plan);

#endif							/* WS_PURE_RELAY_PLAN_H */
