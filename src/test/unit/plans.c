/*-------------------------------------------------------------------------
 *
 * plans.c
 *	  A relay's plan as text.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <stdarg.h>

#include "plans.h"
#include "tap.h"

/* The rest of a buffer. */
typedef struct Text
{
	char	   *next;
	size_t		left;
} Text;

static void
			add(Text *text, const char *fmt,...) TAP_PRINTF(2, 3);

static void
add(Text *text, const char *fmt,...)
{
	va_list		args;
	size_t		len;

	va_start(args, fmt);
	len = vsnprintf(text->next, text->left, fmt, args);
	va_end(args);
	len = Min(len, text->left - 1);
	text	  ->next += len;
	text	  ->left -= len;
}

static void
add_point(Text *text, const char *name, const WsPlanPoint *point)
{
	if (point->tli != 0)
		add(text, "%s %u", name, point->tli);
	if (point->lsn != InvalidXLogRecPtr)
		add(text, " %llx", (unsigned long long) point->lsn);
}

static void
add_position(Text *text, const char *name, XLogRecPtr lsn)
{
	if (lsn != InvalidXLogRecPtr)
		add(text, "%s %llx", name, (unsigned long long) lsn);
}

static void
add_why(Text *text, const WsPlanInput *input, const WsPlanWhy *why)
{
	static const char *const names[] = {
		"no reason", "older timeline", "before the segment", "put back", "other history",
		"nothing in common", "not in history", "left earlier", "removed here", "removed there",
		"nothing there"
	};
	WsPlanPoint ours = why->ours;

	/* which positions have a meaning */
	if (why->reason == WS_PLAN_OLDER_TIMELINE)
		ours.lsn = InvalidXLogRecPtr;
	if (why->reason == WS_PLAN_NOTHING_THERE)
		ours.tli = ours.lsn = 0;
	add(text, "%s", names[why->reason]);
	add_point(text, ": theirs", &why->theirs);
	add_point(text, ", ours", &ours);
	add_point(text, ", common", &why->common);
	if (why->is_removed)
		add(text, ", removed");
	else if (why->reason == WS_PLAN_LEFT_EARLIER)
	{
		add_position(text, ", records to", input->surplus_record_lsn);
		add_position(text, ", commits to", input->surplus_commit_lsn);
	}
}

static void
add_start(Text *text, const WsPlan *plan)
{
	const WsPlanStart *start = &plan->start;

	add(text, " %u", start->tli);
	add_position(text, " from", start->begin_lsn);
	if (start->tell_lsn != start->begin_lsn)
		add_position(text, ", tell from", start->tell_lsn);
	if (plan->verdict == WS_PLAN_CONTINUE)
		add_position(text, ", compare to", start->stored_lsn);
	if (start->parent_tli != 0)
		add(text, ", parent %u to %llx", start->parent_tli,
			(unsigned long long) start->publish_lsn);
	add_position(text, ", check from", start->check_lsn);
	add_position(text, ", left at", start->switch_lsn);
	if (start->replaces)
		add(text, ", replaces ours");
}

void
plan_text(const WsPlanInput *input, const WsPlan *plan, char *buf, size_t size)
{
	static const char *const names[] = {
		"need", "continue on", "follow to", "new range on", "new slot", "compare less", "wait",
		"behind", "diverged", "gap"
	};
	Text text = {buf, size};

	for (int i = 0; i < plan->overruled_count; i++)
	{
		add(&text, "although ");
		add_why(&text, input, &plan->overruled[i]);
		add(&text, "; ");
	}
	add(&text, "%s", names[plan->verdict]);
	if (plan->verdict == WS_PLAN_NEED)
	{
		add(&text, " %d", (int) plan->need);
		add_point(&text, " of", &plan->point);
		add_position(&text, " to", plan->end_lsn);
		return;
	}
	if (plan->verdict == WS_PLAN_CONTINUE || plan->verdict == WS_PLAN_FOLLOW ||
		plan->verdict == WS_PLAN_NEW_RANGE)
		add_start(&text, plan);
	if (plan->why.reason != WS_PLAN_NO_REASON)
	{
		add(&text, ": ");
		add_why(&text, input, &plan->why);
	}
	if (plan->surplus.tli != 0)
		add_point(&text, "; surplus", &plan->surplus);
	add_position(&text, "; the slot is late for", plan->late_lsn);
	if (plan->stored.tli != input->served.tli)
		add_point(&text, "; on from", &plan->stored);
}
