/*-------------------------------------------------------------------------
 *
 * fuzz_plan.c
 *	  Fuzz target: where a relay continues with its upstream.
 *
 * The input is what is stored, what the upstream has, and the answers to what
 * the plan asks (see seed_plan.h).  Whatever it is, the planned stream is part
 * of the upstream's history, begins with what is durable here, and joins it in
 * a way that is compared or checked; and the sequence of plans ends.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "plans.h"
#include "pure/relay/plan.h"
#include "seed_plan.h"

#define MAX_ENTRIES		8
#define MAX_TIMELINES	8

/*
 * Each question is asked at most once, the one about a beginning once per
 * timeline.
 */
#define MAX_QUESTIONS	(4 + MAX_TIMELINES)

typedef struct Situation
{
	WsPlanInput input;
	WsHistoryEntry entries[MAX_TIMELINES + 1][MAX_ENTRIES];
	WsHistory	histories[MAX_TIMELINES + 1];	/* the last one is theirs */
	WsPlanTimeline timelines[MAX_TIMELINES];
	XLogRecPtr	first_lsn[MAX_TIMELINES];	/* the answers */
	bool		has_record;
	bool		has_segment;
	bool		has_page;
} Situation;

static Situation situation;

static XLogRecPtr
take_lsn(FuzzInput *data)
{
	return PLAN_LSN(take_number(data, 2));
}

/* Take a history: numbers rise, positions do not fall. */
static void
take_history(FuzzInput *data, WsHistory *history, WsHistoryEntry *entries)
{
	TimeLineID	tli = 0;
	XLogRecPtr	lsn = PLAN_LSN(0);

	history->entries = entries;
	history->count = take_number(data, 1) % MAX_ENTRIES + 1;
	for (int i = 0; i < history->count; i++)
	{
		tli += take_number(data, 1) % 4 + 1;
		entries[i].tli = tli;
		lsn += take_lsn(data) - PLAN_LSN(0);
		entries[i].end_lsn = i == history->count - 1 ? InvalidXLogRecPtr : lsn;
	}
}

/*
 * Take a history that shares this many timelines with the upstream's; 0: none.
 */
static void
share_history(const WsHistory *theirs, int shared, WsHistory *history)
{
	shared = Min(shared, Min(theirs->count, history->count));
	for (int i = 0; i < shared; i++)
	{
		history->entries[i].tli = theirs->entries[i].tli;
		if (i < shared - 1)
			history->entries[i].end_lsn = theirs->entries[i].end_lsn;
	}

	/* positions rise from there on */
	for (int i = 1; i < history->count; i++)
	{
		WsHistoryEntry *entry = &history->entries[i];

		entry->tli = Max(entry->tli, entry[-1].tli + 1);
		if (i < history->count - 1)
			entry->end_lsn = Max(entry->end_lsn, entry[-1].end_lsn);
	}
}

static void
take_timelines(FuzzInput *data, Situation *s)
{
	const WsHistory *theirs = &s->histories[MAX_TIMELINES];
	int			count = take_number(data, 1) % MAX_TIMELINES + 1;

	for (int i = 0; i < count; i++)
	{
		int			n = s->input.timeline_count;
		WsHistory  *history = &s->histories[n];
		int			shared = take_number(data, 1);
		TimeLineID	tli;
		bool		is_there = false;

		take_history(data, history, s->entries[n]);
		share_history(theirs, shared, history);
		s->first_lsn[n] = take_number(data, 1) % 4 == 0 ? InvalidXLogRecPtr : take_lsn(data);
		tli = history->entries[history->count - 1].tli;
		for (int j = 0; j < n; j++)
			is_there = is_there || s->timelines[j].tli == tli;
		if (is_there)
			continue;
		s->timelines[n].tli = tli;
		s->timelines[n].history = history;
		s->input.timeline_count++;
	}
	s->input.timelines = s->timelines;
}

/*
 * WAL on the newer of two timelines is served, on the older one it continues.
 */
static void
take_points(FuzzInput *data, WsPlanInput *input)
{
	WsPlanPoint a = {0, 0};
	WsPlanPoint b;

	a.tli = input->timelines[take_number(data, 1) % input->timeline_count].tli;
	a.lsn = take_lsn(data);
	b = a;
	b.tli = input->timelines[take_number(data, 1) % input->timeline_count].tli;
	if (b.tli != a.tli)
		b.lsn = take_lsn(data);
	input->served = a.tli > b.tli ? a : b;
	input->stored = a.tli > b.tli ? b : a;
}

static void
take_situation(FuzzInput *data, Situation *s)
{
	WsPlanInput *input = &s->input;
	WsHistory  *theirs = &s->histories[MAX_TIMELINES];
	uint32		flags = take_number(data, 2);

	memset(s, 0, sizeof(*s));
	input->segment_size = PLAN_SEGMENT_SIZE;
	input->page_size = PLAN_PAGE_SIZE;
	input->has_wal = (flags & PLAN_NO_WAL) == 0;
	input->upstream_is_primary = (flags & PLAN_STANDBY) == 0;
	input->was_compared = (flags & PLAN_COMPARED) != 0;
	input->earlier_is_gone = (flags & PLAN_EARLIER_IS_GONE) != 0;
	input->slot_is_new = (flags & PLAN_SLOT_IS_NEW) != 0;
	input->follow_allowed = (flags & PLAN_FOLLOW) != 0;
	input->restart_allowed = (flags & PLAN_RESTART) != 0;
	input->was_removed = (flags & PLAN_WAS_REMOVED) != 0;
	s->has_record = (flags & PLAN_RECORD) != 0;
	s->has_segment = (flags & PLAN_SEGMENT) != 0;
	s->has_page = (flags & PLAN_PAGE) != 0;

	take_history(data, theirs, s->entries[MAX_TIMELINES]);
	input->upstream_tli = theirs->entries[theirs->count - 1].tli;
	input->upstream_lsn = take_lsn(data);
	if ((flags & PLAN_SLOT) != 0)
		input->slot_lsn = take_lsn(data);
	if (!input->has_wal)
		return;
	take_timelines(data, s);
	take_points(data, input);

	/* a seed without these bytes approves nothing */
	input->approved.tli = take_number(data, 1);
	input->approved.lsn = take_lsn(data);
	input->approved_record_lsn = take_lsn(data);
}

static void
answer(Situation *s, const WsPlan *plan)
{
	WsPlanInput *input = &s->input;
	bool		is_there = false;

	switch (plan->need)
	{
		case WS_PLAN_NEED_HISTORY:
			REQUIRE(input->upstream_history == NULL);
			input->upstream_history = &s->histories[MAX_TIMELINES];
			break;
		case WS_PLAN_NEED_FIRST:
			for (int i = 0; i < input->timeline_count; i++)
			{
				if (s->timelines[i].tli != plan->point.tli)
					continue;
				REQUIRE(!s->timelines[i].first_is_known);
				s->timelines[i].first_is_known = true;
				s->timelines[i].first_lsn = s->first_lsn[i];
				is_there = true;
			}
			REQUIRE(is_there);
			break;
		case WS_PLAN_NEED_SURPLUS:
			REQUIRE(!input->surplus_is_known);
			REQUIRE(plan->point.lsn < plan->end_lsn);
			input->surplus_is_known = true;
			input->surplus_has_record = s->has_record;
			break;
		case WS_PLAN_NEED_SEGMENT:
			REQUIRE(!input->segment_is_known);
			REQUIRE(plan->point.lsn % PLAN_SEGMENT_SIZE == 0);
			input->segment_is_known = true;
			input->segment_is_there = s->has_segment;
			break;
		case WS_PLAN_NEED_PAGE:
			REQUIRE(!input->page_is_known);
			REQUIRE(plan->point.lsn % PLAN_PAGE_SIZE == 0);
			input->page_is_known = true;
			input->page_is_there = s->has_page;
			break;
		default:
			REQUIRE(false);
	}
}

/* The same input gives the same plan, whatever the output contained before. */
static void
make_plan(Situation *s, WsPlan *plan)
{
	for (int questions = 0;; questions++)
	{
		WsPlan		again;
		char text[	2][1024];

		memset(plan, 0, sizeof(*plan));
		memset(&again, 0xee, sizeof(again));
		ws_plan_make(&s->input, plan);
		ws_plan_make(&s->input, &again);
		plan_text(&s->input, plan, text[0], sizeof(text[0]));
		plan_text(&s->input, &again, text[1], sizeof(text[1]));
		REQUIRE(strcmp(text[0], text[1]) == 0);
		if (plan->verdict != WS_PLAN_NEED)
			return;
		REQUIRE(questions < MAX_QUESTIONS);
		answer(s, plan);
	}
}

static XLogRecPtr
segment_start(XLogRecPtr lsn)
{
	return lsn - lsn % PLAN_SEGMENT_SIZE;
}

/* Where the upstream's history reaches a timeline, which is part of it. */
static XLogRecPtr
timeline_begin(const WsHistory *theirs, TimeLineID tli, TimeLineID *parent_tli)
{
	int			i = 0;

	while (i < theirs->count && theirs->entries[i].tli != tli)
		i++;
	REQUIRE(i < theirs->count);
	*parent_tli = i > 0 ? theirs->entries[i - 1].tli : 0;
	return i > 0 ? theirs->entries[i - 1].end_lsn : InvalidXLogRecPtr;
}

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
 * The position from which the relay continues is durable: it is the end of
 * what is served, of what was received, or of what one of those has of an
 * ancestor.
 */
static bool
is_durable(const WsPlanInput *input, const WsPlanPoint *point)
{
	const WsPlanPoint *points[] = {&input->served, &input->stored};

	for (int i = 0; i < 2; i++)
	{
		const WsPlanTimeline *timeline = find_timeline(input, points[i]->tli);
		XLogRecPtr	end_lsn;
		TimeLineID	next_tli;

		if (points[i]->tli == point->tli && points[i]->lsn == point->lsn)
			return true;
		if (ws_history_find(timeline->history, point->tli, &end_lsn, &next_tli) &&
			end_lsn == point->lsn)
			return true;
	}
	return false;
}

/*
 * Up to this position both histories are the same, and no stored one
 * contradicts them.
 */
static void
check_shared(const WsPlanInput *input, const WsPlan *plan)
{
	const WsHistory *theirs = input->upstream_history;
	bool		is_shared = false;

	for (int i = 0; i < theirs->count; i++)
	{
		const WsPlanTimeline *timeline = find_timeline(input, theirs->entries[i].tli);

		if (timeline == NULL)
			continue;
		if (!ws_history_is_shared(timeline->history, theirs, i))
			REQUIRE(timeline->first_is_known && timeline->first_lsn == InvalidXLogRecPtr);
	}

	/* the timeline need not have a stored history, but it is part of ours */
	for (int i = 0; i < input->timeline_count; i++)
	{
		const WsHistory *ours = input->timelines[i].history;

		for (int j = 0; j < ours->count; j++)
			is_shared = is_shared || (ours->entries[j].tli == plan->stored.tli &&
									  ws_history_is_shared(ours, theirs, j));
	}
	REQUIRE(is_shared);
}

static void
check_follow(const WsPlanInput *input, const WsPlan *plan, XLogRecPtr begin_lsn,
			 TimeLineID parent_tli)
{
	const WsPlanStart *start = &plan->start;
	const WsPlanTimeline *ours = find_timeline(input, plan->stored.tli);
	XLogRecPtr	left_lsn;
	TimeLineID	next_tli;

	REQUIRE(start->tli > plan->stored.tli);
	REQUIRE(parent_tli != 0 && start->parent_tli == parent_tli);
	REQUIRE(start->publish_lsn == begin_lsn && start->publish_lsn <= plan->stored.lsn);
	REQUIRE(start->begin_lsn == segment_start(begin_lsn));
	REQUIRE(start->stored_lsn == start->begin_lsn && start->tell_lsn == start->begin_lsn);
	REQUIRE(start->check_lsn == begin_lsn);
	REQUIRE(start->switch_lsn == InvalidXLogRecPtr || start->switch_lsn > start->begin_lsn);

	/* WAL that only the relay has */
	REQUIRE(ws_history_find(input->upstream_history, plan->stored.tli, &left_lsn, &next_tli));
	REQUIRE(left_lsn != InvalidXLogRecPtr && left_lsn <= plan->stored.lsn);
	REQUIRE(ours != NULL && ours->first_is_known && ours->first_lsn != InvalidXLogRecPtr &&
			ours->first_lsn <= segment_start(left_lsn));
	if (left_lsn < plan->stored.lsn)
	{
		REQUIRE(input->surplus_is_known);
		REQUIRE(!input->surplus_has_record || plan->overruled_count > 0);
	}
}

static void
check_continue(const WsPlanInput *input, const WsPlan *plan, XLogRecPtr begin_lsn)
{
	const WsPlanStart *start = &plan->start;

	REQUIRE(start->tli == plan->stored.tli);
	REQUIRE(start->stored_lsn == plan->stored.lsn && start->publish_lsn == plan->stored.lsn);
	REQUIRE(start->parent_tli == 0);
	REQUIRE(start->begin_lsn <= start->tell_lsn && start->tell_lsn <= start->stored_lsn);
	REQUIRE(start->begin_lsn % PLAN_PAGE_SIZE == 0);
	REQUIRE(start->switch_lsn == InvalidXLogRecPtr || start->switch_lsn > start->stored_lsn);

	/* no WAL is joined without a comparison or a check */
	REQUIRE(start->check_lsn == InvalidXLogRecPtr || start->check_lsn == start->stored_lsn);
	REQUIRE(start->check_lsn != InvalidXLogRecPtr ||
			(start->begin_lsn < start->stored_lsn && start->stored_lsn > begin_lsn));
	if (start->tell_lsn % PLAN_SEGMENT_SIZE != 0)
		REQUIRE(input->was_compared && input->page_is_there &&
				input->upstream_lsn >= start->stored_lsn &&
				start->begin_lsn >= segment_start(start->stored_lsn) &&
				start->stored_lsn - start->begin_lsn >= WS_PLAN_COMPARE_BYTES);
	if (start->begin_lsn < start->tell_lsn)
		REQUIRE(input->segment_is_there && !input->earlier_is_gone &&
				start->begin_lsn >= PLAN_SEGMENT_SIZE);
}

/* The position to which the relay goes back is still stored. */
static void
check_common(const WsPlanInput *input, const WsPlan *plan)
{
	const WsPlanTimeline *common = find_timeline(input, plan->stored.tli);

	if (plan->overruled_count > 0 && plan->overruled[0].reason == WS_PLAN_NOT_IN_HISTORY)
		REQUIRE(common != NULL && common->first_is_known &&
				common->first_lsn != InvalidXLogRecPtr &&
				common->first_lsn <= segment_start(plan->stored.lsn));
}

/* The stream continues the stored WAL. */
static void
check_going_on(const WsPlanInput *input, const WsPlan *plan)
{
	const WsPlanStart *start = &plan->start;
	TimeLineID	parent_tli;
	XLogRecPtr	begin_lsn = timeline_begin(input->upstream_history, start->tli, &parent_tli);

	REQUIRE(input->has_wal && !input->restart_allowed && !input->was_removed);
	REQUIRE(!start->replaces);
	REQUIRE(input->upstream_tli >= input->served.tli);
	REQUIRE(is_durable(input, &plan->stored));
	check_shared(input, plan);
	check_common(input, plan);
	if (start->tli == input->upstream_tli)
		REQUIRE(input->upstream_lsn >= (input->upstream_is_primary ? start->stored_lsn :
										segment_start(start->stored_lsn)));
	if (plan->verdict == WS_PLAN_FOLLOW)
		check_follow(input, plan, begin_lsn, parent_tli);
	else
		check_continue(input, plan, begin_lsn);
}

static void
check_new_range(const WsPlanInput *input, const WsPlan *plan)
{
	const WsPlanStart *start = &plan->start;
	XLogRecPtr	lsn = input->slot_lsn != InvalidXLogRecPtr ? input->slot_lsn : input->upstream_lsn;
	TimeLineID	parent_tli;

	REQUIRE(!input->has_wal || input->restart_allowed);
	REQUIRE(start->replaces == input->has_wal);
	REQUIRE(lsn >= timeline_begin(input->upstream_history, start->tli, &parent_tli));
	REQUIRE(start->switch_lsn == InvalidXLogRecPtr || lsn < start->switch_lsn);
	REQUIRE(start->begin_lsn == segment_start(lsn));
	REQUIRE(start->stored_lsn == start->begin_lsn && start->tell_lsn == start->begin_lsn &&
			start->publish_lsn == start->begin_lsn);
	REQUIRE(start->check_lsn == InvalidXLogRecPtr && start->parent_tli == 0);
	REQUIRE(input->slot_lsn <= input->upstream_lsn || input->slot_is_new);
}

static void
check_miss(const WsPlanInput *input, const WsPlan *plan)
{
	WsPlan		missed;

	ws_plan_miss(input, &plan->start, &missed);
	switch (missed.verdict)
	{
		case WS_PLAN_COMPARE_LESS:
			REQUIRE(plan->verdict == WS_PLAN_CONTINUE);
			REQUIRE(plan->start.begin_lsn < plan->start.tell_lsn);
			break;
		case WS_PLAN_NEW_SLOT:
			REQUIRE(plan->verdict == WS_PLAN_NEW_RANGE);
			REQUIRE(input->slot_lsn != InvalidXLogRecPtr && !input->slot_is_new);
			break;
		case WS_PLAN_GAP:
			REQUIRE(input->has_wal);
			break;
		case WS_PLAN_WAIT:
			REQUIRE(!input->has_wal);
			break;
		default:
			REQUIRE(false);
	}
}

/*
 * Records in excess are approved for one line only, and only up to a position.
 */
static void
check_surplus(const WsPlanInput *input, const WsPlan *plan)
{
	XLogRecPtr	left_lsn;
	TimeLineID	next_tli;

	if (plan->surplus.tli == 0)
		return;
	REQUIRE(plan->surplus.tli == plan->stored.tli && plan->surplus.lsn == input->approved.lsn);
	REQUIRE(input->surplus_has_record && input->surplus_record_lsn <= input->approved_record_lsn);
	REQUIRE(ws_history_find(input->upstream_history, plan->stored.tli, &left_lsn, &next_tli));
	REQUIRE(left_lsn == input->approved.lsn && next_tli == input->approved.tli);
}

static void
check_plan(const WsPlanInput *input, const WsPlan *plan)
{
	REQUIRE(plan->overruled_count <= (input->follow_allowed ? WS_PLAN_MAX_OVERRULED :
									  plan->surplus.tli != 0 ? 1 : 0));
	check_surplus(input, plan);
	if (!input->follow_allowed && input->has_wal)
		REQUIRE(plan->stored.tli == input->served.tli && plan->stored.lsn == input->served.lsn);
	switch (plan->verdict)
	{
		case WS_PLAN_CONTINUE:
		case WS_PLAN_FOLLOW:
			check_going_on(input, plan);
			break;
		case WS_PLAN_NEW_RANGE:
			check_new_range(input, plan);
			break;
		case WS_PLAN_NEW_SLOT:
			REQUIRE(!input->has_wal || input->restart_allowed);
			REQUIRE(input->slot_lsn != InvalidXLogRecPtr && !input->slot_is_new);
			return;
		case WS_PLAN_BEHIND:
		case WS_PLAN_DIVERGED:
			REQUIRE(input->has_wal && !input->restart_allowed);
			REQUIRE(plan->why.reason != WS_PLAN_NO_REASON);
			return;
		default:
			REQUIRE(false);
	}
	check_miss(input, plan);
}

/*
 * Everything has arrived that the plan began, up to where the upstream left
 * the timeline or to its end, and the next plan is for what follows.  The
 * timeline's history replaces another one of which no WAL was stored.
 */
static bool
carry_out(Situation *s, const WsPlan *plan)
{
	WsPlanInput *input = &s->input;
	const WsHistory *theirs = input->upstream_history;
	WsPlanPoint *stored = &input->stored;
	WsHistory  *history;
	int			n = 0;

	if (plan->start.switch_lsn == InvalidXLogRecPtr)
		return false;
	stored->tli = plan->start.tli;
	stored->lsn = plan->start.switch_lsn;
	if (stored->tli >= input->served.tli)
		input->served = *stored;

	while (n < input->timeline_count && s->timelines[n].tli != stored->tli)
		n++;
	if (n == MAX_TIMELINES)
		return false;
	history = &s->histories[n];
	history->entries = s->entries[n];
	history->count = 0;
	do
		history->entries[history->count] = theirs->entries[history->count];
	while (theirs->entries[history->count++].tli != stored->tli);
	history->entries[history->count - 1].end_lsn = InvalidXLogRecPtr;

	if (n == input->timeline_count)
		input->timeline_count++;
	s->timelines[n].tli = stored->tli;
	s->timelines[n].history = history;
	if (!s->timelines[n].first_is_known || s->timelines[n].first_lsn == InvalidXLogRecPtr)
		s->timelines[n].first_lsn = plan->start.begin_lsn;
	s->timelines[n].first_is_known = true;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	WsPlan		plan;
	TimeLineID	tli = 0;
	XLogRecPtr	lsn = 0;

	take_situation(&input, &situation);
	for (;;)
	{
		make_plan(&situation, &plan);
		check_plan(&situation.input, &plan);

		/* the plans go from one timeline to the next, never back */
		if (plan.verdict != WS_PLAN_CONTINUE && plan.verdict != WS_PLAN_FOLLOW)
			break;
		REQUIRE(plan.start.tli > tli || (plan.start.tli == tli && plan.start.stored_lsn > lsn));
		tli = plan.start.tli;
		lsn = plan.start.stored_lsn;
		if (!carry_out(&situation, &plan))
			break;
	}
	return 0;
}
