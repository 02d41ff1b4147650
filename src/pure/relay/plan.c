/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  Decides where a relay continues with its upstream.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/plan.h"
#include "pure/segment.h"

static XLogRecPtr
segment_start(const WsPlanInput *input, XLogRecPtr lsn)
{
	return ws_segment_start(lsn, input->segment_size);
}

/*
 * These three functions set the verdict.  They, and the functions that use
 * them, return true once there is a verdict.
 */
static bool
ask(WsPlan *plan, WsPlanNeed need, TimeLineID tli, XLogRecPtr lsn)
{
	plan->verdict = WS_PLAN_NEED;
	plan->need = need;
	plan->point.tli = tli;
	plan->point.lsn = lsn;
	return true;
}

static bool
refuse(WsPlan *plan, WsPlanVerdict verdict, const WsPlanWhy *why)
{
	plan->verdict = verdict;
	plan->why = *why;
	return true;
}

static bool
diverge_unless_followed(const WsPlanInput *input, WsPlan *plan, const WsPlanWhy *why)
{
	if (!input->follow_allowed || why->is_removed)
		return refuse(plan, WS_PLAN_DIVERGED, why);
	plan->overruled[plan->overruled_count++] = *why;
	return false;
}

/* Returns the entry of a stored timeline, or NULL. */
static const WsPlanTimeline *
find_timeline(const WsPlanInput *input, TimeLineID tli)
{
	for (int i = 0; i < input->timeline_count; i++)
	{
		if (input->timelines[i].tli == tli)
			return &input->timelines[i];
	}
	return NULL;
}

/*
 * Find where the stored WAL that leads to a timeline begins; invalid if there
 * is none.
 */
static bool
find_first(const WsPlanInput *input, WsPlan *plan, TimeLineID tli, XLogRecPtr *first_lsn)
{
	const WsPlanTimeline *timeline = find_timeline(input, tli);

	*first_lsn = InvalidXLogRecPtr;
	if (timeline == NULL)
		return false;
	if (!timeline->first_is_known)
		return ask(plan, WS_PLAN_NEED_FIRST, tli, InvalidXLogRecPtr);
	*first_lsn = timeline->first_lsn;
	return false;
}

/*
 * Find out whether a timeline is not stored from this position's segment on.
 */
static bool
find_removed(const WsPlanInput *input, WsPlan *plan, TimeLineID tli, XLogRecPtr lsn,
			 bool *is_removed)
{
	XLogRecPtr	first_lsn;

	if (find_first(input, plan, tli, &first_lsn))
		return true;
	*is_removed = first_lsn == InvalidXLogRecPtr || first_lsn > segment_start(input, lsn);
	return false;
}

/* Returns true if this timeline is one of the upstream's history. */
static bool
is_theirs(const WsPlanInput *input, const WsPlanTimeline *timeline)
{
	return timeline != NULL && timeline->history != NULL &&
		ws_history_is_shared(timeline->history, input->upstream_history,
							 timeline->history->count - 1);
}

/*
 * Two servers may have been promoted to the same timeline.  If WAL of one is
 * stored, the other cannot be followed.  A stored history alone is no obstacle.
 */
static bool
check_histories(const WsPlanInput *input, WsPlan *plan)
{
	const WsHistory *theirs = input->upstream_history;
	WsPlanWhy	why = {.reason = WS_PLAN_OTHER_HISTORY};

	for (int i = 0; i < theirs->count; i++)
	{
		TimeLineID	tli = theirs->entries[i].tli;
		const WsPlanTimeline *timeline = find_timeline(input, tli);
		XLogRecPtr	first_lsn;

		if (timeline == NULL || timeline->history == NULL || is_theirs(input, timeline))
			continue;
		if (find_first(input, plan, tli, &first_lsn))
			return true;
		why.theirs.tli = tli;
		if (first_lsn != InvalidXLogRecPtr)
			return refuse(plan, WS_PLAN_DIVERGED, &why);
	}
	return false;
}

/*
 * Continue from what is served, even if the receiver is on its way to a
 * timeline that an operator has allowed, and has not reached it.
 */
static void
go_back_to_served(const WsPlanInput *input, WsPlan *plan)
{
	if (input->has_wal)
		plan->stored = input->served;
}

/*
 * Continue from the newest timeline that our history and the upstream's share,
 * at the end of what is stored of it.
 */
static bool
find_common(const WsPlanInput *input, WsPlan *plan)
{
	const WsPlanTimeline *timeline = find_timeline(input, plan->stored.tli);
	const WsHistory *ours = timeline != NULL ? timeline->history : NULL;
	WsPlanWhy	nothing = {.reason = WS_PLAN_NOTHING_COMMON};
	WsPlanWhy	why = {.reason = WS_PLAN_NOT_IN_HISTORY,.ours = plan->stored};
	int			last = ours != NULL ? ours->count - 1 : -1;
	int			i = last;

	while (i >= 0 && !ws_history_is_shared(ours, input->upstream_history, i))
		i--;
	if (i < 0)
		return refuse(plan, WS_PLAN_DIVERGED, &nothing);
	if (i == last)
		return false;

	why.theirs.tli = input->upstream_tli;
	why.common.tli = ours->entries[i].tli;
	why.common.lsn = ours->entries[i].end_lsn;
	if (find_removed(input, plan, why.common.tli, why.common.lsn, &why.is_removed) ||
		diverge_unless_followed(input, plan, &why))
		return true;
	plan->stored = why.common;
	return false;
}

/* Returns true if an operator knows of these records, and of no other line. */
static bool
is_approved(const WsPlanInput *input, XLogRecPtr switch_lsn, TimeLineID next_tli)
{
	return input->approved.tli != 0 && input->approved.tli == next_tli &&
		input->approved.lsn == switch_lsn &&
		input->surplus_record_lsn <= input->approved_record_lsn;
}

/*
 * The upstream left our timeline at switch_lsn, which is not after the end of
 * what is stored of it, for next_tli.
 */
static bool
check_surplus(const WsPlanInput *input, WsPlan *plan, XLogRecPtr switch_lsn,
			  TimeLineID next_tli)
{
	WsPlanWhy	why = {.reason = WS_PLAN_LEFT_EARLIER,.ours = plan->stored};

	why.theirs.tli = plan->stored.tli;
	why.theirs.lsn = switch_lsn;
	if (find_removed(input, plan, plan->stored.tli, switch_lsn, &why.is_removed))
		return true;
	if (why.is_removed)
		return refuse(plan, WS_PLAN_DIVERGED, &why);
	if (switch_lsn >= plan->stored.lsn)
		return false;
	if (!input->surplus_is_known)
	{
		plan->end_lsn = plan->stored.lsn;
		return ask(plan, WS_PLAN_NEED_SURPLUS, plan->stored.tli, switch_lsn);
	}
	if (!input->surplus_has_record)
		return false;
	if (!is_approved(input, switch_lsn, next_tli))
		return diverge_unless_followed(input, plan, &why);
	plan->overruled[plan->overruled_count++] = why;
	plan->surplus = why.theirs;
	return false;
}

/*
 * A standby or relay that has just started may have less than is stored for a
 * moment, and the stream waits for it.  PostgreSQL refuses a start position that
 * it has not reached, so a standby must have reached the segment.  A primary has
 * all that it has ever sent: one with less was put back to an earlier state.
 */
static bool
check_not_behind(const WsPlanInput *input, WsPlan *plan)
{
	WsPlanWhy	why = {.ours = plan->stored};

	why.theirs.tli = input->upstream_tli;
	why.theirs.lsn = input->upstream_lsn;
	if (plan->start.tli != input->upstream_tli)
		return false;
	if (input->upstream_lsn < plan->start.begin_lsn)
		why.reason = WS_PLAN_BEFORE_SEGMENT;
	else if (input->upstream_is_primary && input->upstream_lsn < plan->start.stored_lsn)
	{
		why.reason = WS_PLAN_PUT_BACK;
		why.ours.lsn = plan->start.stored_lsn;
	}
	return why.reason != WS_PLAN_NO_REASON && refuse(plan, WS_PLAN_BEHIND, &why);
}

/*
 * If the stored WAL ends with a segment, as after pg_switch_wal(), begin one
 * segment earlier: otherwise nothing would be compared, and an upstream that has
 * gone another way would not be noticed.
 */
static bool
begin_earlier(const WsPlanInput *input, WsPlan *plan)
{
	WsPlanStart *start = &plan->start;

	if (start->stored_lsn != start->begin_lsn || start->tli != plan->stored.tli ||
		input->earlier_is_gone || ws_segment_number(start->begin_lsn, input->segment_size) <= 1)
		return false;
	if (!input->segment_is_known)
		return ask(plan, WS_PLAN_NEED_SEGMENT, start->tli, start->begin_lsn);
	if (input->segment_is_there)
		start->begin_lsn -= input->segment_size;
	return false;
}

/*
 * If all stored WAL has been compared with this upstream before, comparing the
 * last part of it is enough, however large a segment is.  An upstream that has
 * been put back since, and has taken another course, has other bytes there.
 * Zeros would not show that.
 */
static bool
begin_later(const WsPlanInput *input, WsPlan *plan)
{
	WsPlanStart *start = &plan->start;
	XLogRecPtr	lsn = start->stored_lsn - WS_PLAN_COMPARE_BYTES;

	if (!input->was_compared || start->tli != plan->stored.tli ||
		plan->stored.tli != input->served.tli || input->upstream_lsn < start->stored_lsn ||
		ws_segment_offset(start->stored_lsn, input->segment_size) <= WS_PLAN_COMPARE_BYTES + input->page_size)
		return false;
	lsn -= lsn % input->page_size;
	if (!input->page_is_known)
		return ask(plan, WS_PLAN_NEED_PAGE, start->tli, lsn);
	if (input->page_is_there)
		start->begin_lsn = start->tell_lsn = lsn;
	return false;
}

/*
 * If the stored WAL ends with a segment, or nothing of a timeline is stored yet,
 * the bytes that are compared need not show that the upstream has gone another
 * way.  Its first record does.  That holds also if one more segment is compared:
 * it may hold nothing but zeros behind a switch.
 */
static void
set_check(const WsPlanInput *input, WsPlanStart *start)
{
	const WsHistory *theirs = input->upstream_history;
	XLogRecPtr	first_lsn = InvalidXLogRecPtr;

	for (int i = 1; i < theirs->count; i++)
	{
		if (theirs->entries[i].tli == start->tli)
			first_lsn = theirs->entries[i - 1].end_lsn;
	}
	if (start->publish_lsn <= first_lsn || ws_segment_offset(start->publish_lsn, input->segment_size) == 0)
		start->check_lsn = start->publish_lsn;
}

/*
 * Returns whether there is nothing to receive of this timeline, or nothing more.
 * Nothing at all was ever written on one that ends where it began, by a server
 * that was promoted before it had received any of it.
 */
static bool
is_complete(const WsPlan *plan)
{
	const WsPlanStart *start = &plan->start;

	if (start->switch_lsn == InvalidXLogRecPtr)
		return false;
	return start->switch_lsn <= (start->tli == plan->stored.tli ?
								 start->stored_lsn : start->publish_lsn);
}

/* Begin at the end of what is stored, or with the timeline that follows there. */
static bool
find_start(const WsPlanInput *input, WsPlan *plan)
{
	const WsHistory *theirs = input->upstream_history;
	WsPlanStart *start = &plan->start;
	TimeLineID	next_tli = 0;

	start->tli = plan->stored.tli;
	start->stored_lsn = start->publish_lsn = plan->stored.lsn;
	start->begin_lsn = segment_start(input, start->stored_lsn);
	ws_history_find(theirs, start->tli, &start->switch_lsn, &next_tli);

	/* all of a timeline is stored: go to the next one, of which nothing is */
	while (is_complete(plan))
	{
		if (start->tli == plan->stored.tli)
		{
			if (check_surplus(input, plan, start->switch_lsn, next_tli))
				return true;
			start->parent_tli = start->tli;
		}
		start->tli = next_tli;
		start->publish_lsn = start->switch_lsn;
		start->begin_lsn = segment_start(input, start->switch_lsn);
		start->stored_lsn = start->begin_lsn;
		ws_history_find(theirs, start->tli, &start->switch_lsn, &next_tli);
	}
	start->tell_lsn = start->begin_lsn;
	return false;
}

/* Continue or follow. */
static bool
resume_range(const WsPlanInput *input, WsPlan *plan)
{
	WsPlanStart *start = &plan->start;

	/* this needs no operator's permission */
	if (is_theirs(input, find_timeline(input, input->served.tli)))
		go_back_to_served(input, plan);
	if (find_common(input, plan) || find_start(input, plan) ||
		check_not_behind(input, plan))
		return true;

	if (segment_start(input, input->slot_lsn) > start->begin_lsn)
		plan->late_lsn = start->begin_lsn;
	if (begin_earlier(input, plan) || begin_later(input, plan))
		return true;
	set_check(input, start);
	if (input->was_removed)
	{
		WsPlanWhy	why = {.reason = WS_PLAN_REMOVED_HERE,.is_removed = true};

		why.theirs.tli = start->tli;
		why.theirs.lsn = start->begin_lsn;
		return refuse(plan, WS_PLAN_DIVERGED, &why);
	}
	plan->verdict = start->tli == plan->stored.tli ? WS_PLAN_CONTINUE : WS_PLAN_FOLLOW;
	return true;
}

/*
 * Begin where the slot does, or with what comes now.  After an upstream was put
 * back to an earlier state, its slot may be ahead of it.
 */
static bool
begin_range(const WsPlanInput *input, WsPlan *plan)
{
	WsPlanStart *start = &plan->start;
	XLogRecPtr	lsn = input->slot_lsn;
	TimeLineID	next_tli;

	if (lsn > input->upstream_lsn && !input->slot_is_new)
	{
		plan->verdict = WS_PLAN_NEW_SLOT;
		return true;
	}
	if (lsn == InvalidXLogRecPtr)
		lsn = input->upstream_lsn;

	start->replaces = input->has_wal;
	start->tli = ws_history_tli_at(input->upstream_history, lsn);
	start->begin_lsn = segment_start(input, lsn);
	start->stored_lsn = start->tell_lsn = start->begin_lsn;
	start->publish_lsn = start->begin_lsn;
	ws_history_find(input->upstream_history, start->tli, &start->switch_lsn, &next_tli);
	plan->verdict = WS_PLAN_NEW_RANGE;
	return true;
}

void
ws_plan_make(const WsPlanInput *input, WsPlan *plan)
{
	bool		is_new = !input->has_wal || input->restart_allowed;
	WsPlanWhy	older = {.reason = WS_PLAN_OLDER_TIMELINE};

	memset(plan, 0, sizeof(*plan));
	plan->stored = input->stored;
	if (!input->follow_allowed)
		go_back_to_served(input, plan);

	/* a timeline older than what is served would never be served itself */
	older.theirs.tli = input->upstream_tli;
	older.ours = input->served;
	if (!is_new && input->upstream_tli < input->served.tli)
		(void) refuse(plan, WS_PLAN_BEHIND, &older);
	else if (input->upstream_history == NULL)
		(void) ask(plan, WS_PLAN_NEED_HISTORY, input->upstream_tli, InvalidXLogRecPtr);
	else if (is_new)
		(void) begin_range(input, plan);
	else if (!check_histories(input, plan))
		(void) resume_range(input, plan);
}

void
ws_plan_miss(const WsPlanInput *input, const WsPlanStart *start, WsPlan *plan)
{
	bool		is_new = !input->has_wal || start->replaces;
	WsPlanWhy	why = {.reason = is_new ? WS_PLAN_NOTHING_THERE : WS_PLAN_REMOVED_THERE};

	memset(plan, 0, sizeof(*plan));
	plan->stored = input->stored;
	why.ours = input->stored;
	why.theirs.tli = start->tli;
	why.theirs.lsn = start->begin_lsn;

	/* the slot is ours, and promises what is not there: replace it */
	if (is_new && input->slot_lsn != InvalidXLogRecPtr && !input->slot_is_new)
		plan->verdict = WS_PLAN_NEW_SLOT;
	else if (!is_new && start->begin_lsn < start->tell_lsn)
		plan->verdict = WS_PLAN_COMPARE_LESS;
	else
		(void) refuse(plan, input->has_wal ? WS_PLAN_GAP : WS_PLAN_WAIT, &why);
}
