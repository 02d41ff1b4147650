/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  The relay's receiver collects the input of the decision where to continue
 *	  (pure/relay/plan.h), and carries the decision out.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog_internal.h"
#include "relay/slots/slots.h"
#include "relay/walreceiver/state.h"
#include "utils/memutils.h"

/*
 * Returns where the WAL that leads to a timeline begins; invalid if there is
 * none.
 */
static XLogRecPtr
first_stored_lsn(const WsPull *pull, TimeLineID tli)
{
	TimeLineID	first_tli;
	XLogRecPtr	first_lsn;

	if (!ws_store_find_first(&pull->stored.store, tli, &first_tli, &first_lsn))
		return InvalidXLogRecPtr;
	return first_lsn;
}

static void
add_timeline(const WsPull *pull, WsPlanTimeline *timelines, int *count, TimeLineID tli)
{
	for (int i = 0; i < *count; i++)
	{
		if (timelines[i].tli == tli)
			return;
	}
	if (!ws_store_has_history(&pull->stored.store, tli))
		return;
	timelines[*count].tli = tli;
	timelines[(*count)++].history = ws_store_read_history(&pull->stored.store, tli);
}

/* Add what the store has of the upstream's timelines and of ours. */
static void
gather_timelines(const WsPull *pull, WsPlanInput *input)
{
	const WsHistory *theirs = input->upstream_history;
	WsPlanTimeline *timelines = palloc0((theirs->count + 2) * sizeof(WsPlanTimeline));

	input->timeline_count = 0;
	add_timeline(pull, timelines, &input->timeline_count, input->served.tli);
	add_timeline(pull, timelines, &input->timeline_count, input->stored.tli);
	for (int i = 0; i < theirs->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_timeline(pull, timelines, &input->timeline_count, theirs->entries[i].tli);
	}
	input->timelines = timelines;
}

/* Fill in what is known without asking. */
static void
gather(const WsPull *pull, WsPlanInput *input)
{
	WsRelayApproval approval;

	memset(input, 0, sizeof(*input));
	input->segment_size = pull->upstream.segment_size;
	input->page_size = XLOG_BLCKSZ;
	input->has_wal = pull->stored.has_wal;
	input->stored = pull->stored.end;
	input->served = pull->stored.served;
	input->upstream_tli = pull->upstream.tli;
	input->upstream_lsn = pull->upstream.lsn;
	input->upstream_is_primary = !pull->upstream.is_standby;
	input->was_compared = pull->decision.was_compared;
	input->earlier_is_gone = pull->decision.earlier_is_gone;
	input->slot_lsn = pull->upstream.slot_lsn;
	input->slot_is_new = pull->upstream.slot_is_new;
	input->follow_allowed = pull->decision.follow_allowed;
	input->restart_allowed = pull->decision.restart_allowed;
	ws_relay_get_approval(&approval);
	input->approved.tli = approval.tli;
	input->approved.lsn = approval.switch_lsn;
	input->approved_record_lsn = approval.surplus_lsn;
}

static void
answer_first(const WsPull *pull, WsPlanInput *input, TimeLineID tli)
{
	for (int i = 0; i < input->timeline_count; i++)
	{
		WsPlanTimeline *timeline = &input->timelines[i];

		if (timeline->tli != tli)
			continue;
		timeline->first_lsn = first_stored_lsn(pull, tli);
		timeline->first_is_known = true;
	}
}

/* Returns true if a page of WAL, and not zeros, begins there. */
static bool
has_page(const WsPull *pull, const WsPlanPoint *point)
{
	WsStoreReader *reader = ws_store_reader_new(&pull->stored.store);
	uint16		magic;

	ws_store_read(reader, point->tli, 0, point->lsn, (char *) &magic, sizeof(magic));
	ws_store_reader_free(reader);
	return magic == XLOG_PAGE_MAGIC;
}

/* Add the answer to the plan's question. */
static void
answer(WsPull *pull, const WsPlan *plan, WsPlanInput *input, WsPullHistory *theirs)
{
	switch (plan->need)
	{
		case WS_PLAN_NEED_HISTORY:
			ws_pull_ask_history(pull, theirs);
			input->upstream_history = theirs->line;
			if (pull->stored.has_wal)
				gather_timelines(pull, input);
			break;
		case WS_PLAN_NEED_FIRST:
			answer_first(pull, input, plan->point.tli);
			break;
		case WS_PLAN_NEED_SURPLUS:
			input->surplus_is_known = true;
			input->surplus_has_record =
				ws_store_has_record_after(&pull->stored.store, plan->point.tli, plan->point.lsn,
										  plan->end_lsn, &input->surplus_commit_lsn,
										  &input->surplus_record_lsn);
			break;
		case WS_PLAN_NEED_SEGMENT:
			input->segment_is_known = true;
			input->segment_is_there =
				ws_store_has_segment(&pull->stored.store, plan->point.tli,
									 plan->point.lsn / pull->upstream.segment_size - 1);
			break;
		case WS_PLAN_NEED_PAGE:
			input->page_is_known = true;
			input->page_is_there = has_page(pull, &plan->point);
			break;
		default:
			elog(ERROR, "unexpected question of the plan: %d", (int) plan->need);
	}
}

/* Make a plan, and find out the answers that it needs. */
static void
make_plan(WsPull *pull, WsPlanInput *input, WsPullHistory *theirs, WsPlan *plan)
{
	for (;;)
	{
		ws_plan_make(input, plan);
		if (plan->verdict != WS_PLAN_NEED)
			return;
		answer(pull, plan, input, theirs);
	}
}

/*
 * Keep the keeper from removing what is written of a timeline that is not
 * served yet.  Returns false if it has removed the WAL to begin with.
 */
static bool
hold_start(const WsPull *pull, const WsPlanStart *start)
{
	bool		is_served = start->tli == pull->stored.served.tli;

	return ws_slots_hold_for_receiver(is_served ? InvalidXLogRecPtr : start->begin_lsn);
}

static void
report_going_on(const WsPull *pull, const WsPlanInput *input, const WsPlan *plan)
{
	for (int i = 0; i < plan->overruled_count; i++)
		ereport(LOG,
				(errmsg("relay follows the upstream although its WAL is not a continuation of what is stored"),
				 errdetail("%s.", ws_pull_reason(pull, input, &plan->overruled[i]))));
	if (!XLogRecPtrIsInvalid(plan->late_lsn))
		ereport(LOG,
				(errmsg("replication slot \"%s\" keeps the upstream's WAL only from " WS_LSN " on, the relay needs it from " WS_LSN " on",
						pull->settings.slot, LSN_FORMAT_ARGS(pull->upstream.slot_lsn),
						LSN_FORMAT_ARGS(plan->late_lsn)),
				 errdetail("What is missing is received if the upstream happens to have it still.")));
}

/* Begin a range, the first or another one, and store its histories in it. */
static WsPullEnd
begin_range(WsPull *pull, const WsPlan *plan, const WsPullHistory *theirs)
{
	const WsStore *store = plan->start.replaces ? &pull->stored.new_range : &pull->stored.store;

	ws_pull_range_begin(pull, &plan->start);
	ws_pull_store_histories(pull, store, theirs, plan->start.begin_lsn);
	pull->decision.restart_allowed = false;
	return WS_PULL_NEXT;
}

/* Keep aside what an approved line leaves behind, before it is followed. */
static void
keep_surplus(const WsPull *pull, const WsPlan *plan)
{
	if (plan->surplus.tli == 0)
		return;
	ws_relay_lock_store();
	ws_store_keep_surplus(&pull->stored.store, plan->surplus.tli, plan->surplus.lsn);
	ws_relay_unlock_store();
}

/*
 * Carry out the plan.  The histories of a server that is not followed are not
 * stored, since another one with the same timeline may come later.
 */
static WsPullEnd
carry_out(WsPull *pull, const WsPlanInput *input, const WsPlan *plan,
		  const WsPullHistory *theirs)
{
	switch (plan->verdict)
	{
		case WS_PLAN_CONTINUE:
		case WS_PLAN_FOLLOW:
			keep_surplus(pull, plan);
			ws_pull_store_histories(pull, &pull->stored.store, theirs,
									first_stored_lsn(pull, pull->stored.end.tli));
			return WS_PULL_NEXT;
		case WS_PLAN_NEW_RANGE:
			return begin_range(pull, plan, theirs);
		case WS_PLAN_NEW_SLOT:
			pull->decision.dead_slot_lsn = pull->upstream.slot_lsn;
			return WS_PULL_CHANGED;
		case WS_PLAN_COMPARE_LESS:
			pull->decision.earlier_is_gone = true;
			return WS_PULL_CHANGED;
		case WS_PLAN_WAIT:
			return ws_pull_wait_for_wal(ws_pull_reason(pull, input, &plan->why));
		case WS_PLAN_BEHIND:
			return ws_pull_be_behind(ws_pull_reason(pull, input, &plan->why));
		case WS_PLAN_DIVERGED:
			return ws_pull_diverge(ws_pull_reason(pull, input, &plan->why),
								   ws_pull_reason_hint(&plan->why));
		case WS_PLAN_GAP:
			return ws_pull_halt_in_gap(ws_pull_reason(pull, input, &plan->why));
		default:
			elog(ERROR, "unexpected verdict of the plan: %d", (int) plan->verdict);
	}
}

WsPullEnd
ws_pull_plan(WsPull *pull, WsPlanStart *start)
{
	MemoryContext old = MemoryContextSwitchTo(pull->upstream.context);
	WsPullHistory theirs;
	WsPlanInput input;
	WsPlan		plan;
	WsPullEnd	end;

	gather(pull, &input);
	make_plan(pull, &input, &theirs, &plan);
	if ((plan.verdict == WS_PLAN_CONTINUE || plan.verdict == WS_PLAN_FOLLOW) &&
		!hold_start(pull, &plan.start))
	{
		input.was_removed = true;
		make_plan(pull, &input, &theirs, &plan);
	}
	report_going_on(pull, &input, &plan);
	pull->stored.end = plan.stored;
	end = carry_out(pull, &input, &plan, &theirs);
	*start = plan.start;
	MemoryContextSwitchTo(old);
	return end;
}

WsPullEnd
ws_pull_be_in_gap(WsPull *pull, const WsPlanStart *start)
{
	WsPlanInput input;
	WsPlan		plan;

	gather(pull, &input);
	ws_plan_miss(&input, start, &plan);

	/* the permission has not been used yet */
	if (plan.verdict == WS_PLAN_NEW_SLOT)
		pull->decision.restart_allowed = start->replaces;
	return carry_out(pull, &input, &plan, NULL);
}
