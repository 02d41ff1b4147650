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
first_stored_lsn(const WsRcv *rcv, TimeLineID tli)
{
	TimeLineID	first_tli;
	XLogRecPtr	first_lsn;

	if (!ws_store_find_first(&rcv->stored.store, tli, &first_tli, &first_lsn))
		return InvalidXLogRecPtr;
	return first_lsn;
}

static void
add_timeline(const WsRcv *rcv, WsPlanTimeline *timelines, int *count, TimeLineID tli)
{
	for (int i = 0; i < *count; i++)
	{
		if (timelines[i].tli == tli)
			return;
	}
	if (!ws_store_has_history(&rcv->stored.store, tli))
		return;
	timelines[*count].tli = tli;
	timelines[(*count)++].history = ws_store_read_history(&rcv->stored.store, tli);
}

/* Add what the store has of the upstream's timelines and of ours. */
static void
gather_timelines(const WsRcv *rcv, WsPlanInput *input)
{
	const WsHistory *theirs = input->upstream_history;
	WsPlanTimeline *timelines = palloc0((theirs->count + 2) * sizeof(WsPlanTimeline));

	input->timeline_count = 0;
	add_timeline(rcv, timelines, &input->timeline_count, input->served.tli);
	add_timeline(rcv, timelines, &input->timeline_count, input->stored.tli);
	for (int i = 0; i < theirs->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_timeline(rcv, timelines, &input->timeline_count, theirs->entries[i].tli);
	}
	input->timelines = timelines;
}

/* Fill in what is known without asking. */
static void
gather(const WsRcv *rcv, WsPlanInput *input)
{
	WsRelayApproval approval;

	memset(input, 0, sizeof(*input));
	input->segment_size = rcv->upstream.segment_size;
	input->page_size = XLOG_BLCKSZ;
	input->has_wal = rcv->stored.has_wal;
	input->stored = rcv->stored.end;
	input->served = rcv->stored.served;
	input->upstream_tli = rcv->upstream.tli;
	input->upstream_lsn = rcv->upstream.lsn;
	input->upstream_is_primary = !rcv->upstream.is_standby;
	input->was_compared = rcv->decision.was_compared;
	input->earlier_is_gone = rcv->decision.earlier_is_gone;
	input->slot_lsn = rcv->upstream.slot_lsn;
	input->slot_is_new = rcv->upstream.slot_is_new;
	input->follow_allowed = rcv->decision.follow_allowed;
	input->restart_allowed = rcv->decision.restart_allowed;
	ws_relay_get_approval(&approval);
	input->approved.tli = approval.tli;
	input->approved.lsn = approval.switch_lsn;
	input->approved_record_lsn = approval.surplus_lsn;
}

static void
answer_first(const WsRcv *rcv, WsPlanInput *input, TimeLineID tli)
{
	for (int i = 0; i < input->timeline_count; i++)
	{
		WsPlanTimeline *timeline = &input->timelines[i];

		if (timeline->tli != tli)
			continue;
		timeline->first_lsn = first_stored_lsn(rcv, tli);
		timeline->first_is_known = true;
	}
}

/* Returns true if a page of WAL, and not zeros, begins there. */
static bool
has_page(const WsRcv *rcv, const WsPlanPoint *point)
{
	WsStoreReader *reader = ws_store_reader_new(&rcv->stored.store);
	uint16		magic;

	ws_store_read(reader, point->tli, 0, point->lsn, (char *) &magic, sizeof(magic));
	ws_store_reader_free(reader);
	return magic == XLOG_PAGE_MAGIC;
}

/* Add the answer to the plan's question. */
static void
answer(WsRcv *rcv, const WsPlan *plan, WsPlanInput *input, WsRcvHistory *theirs)
{
	switch (plan->need)
	{
		case WS_PLAN_NEED_HISTORY:
			ws_rcv_ask_history(rcv, theirs);
			input->upstream_history = theirs->line;
			if (rcv->stored.has_wal)
				gather_timelines(rcv, input);
			break;
		case WS_PLAN_NEED_FIRST:
			answer_first(rcv, input, plan->point.tli);
			break;
		case WS_PLAN_NEED_SURPLUS:
			input->surplus_is_known = true;
			input->surplus_has_record =
				ws_store_has_record_after(&rcv->stored.store, plan->point.tli, plan->point.lsn,
										  plan->end_lsn, &input->surplus_commit_lsn,
										  &input->surplus_record_lsn);
			break;
		case WS_PLAN_NEED_SEGMENT:
			input->segment_is_known = true;
			input->segment_is_there =
				ws_store_has_segment(&rcv->stored.store, plan->point.tli,
									 ws_segment_number(plan->point.lsn, rcv->upstream.segment_size) - 1);
			break;
		case WS_PLAN_NEED_PAGE:
			input->page_is_known = true;
			input->page_is_there = has_page(rcv, &plan->point);
			break;
		default:
			elog(ERROR, "unexpected question of the plan: %d", (int) plan->need);
	}
}

/* Make a plan, and find out the answers that it needs. */
static void
make_plan(WsRcv *rcv, WsPlanInput *input, WsRcvHistory *theirs, WsPlan *plan)
{
	for (;;)
	{
		ws_plan_make(input, plan);
		if (plan->verdict != WS_PLAN_NEED)
			return;
		answer(rcv, plan, input, theirs);
	}
}

/*
 * Keep the keeper from removing what is written of a timeline that is not
 * served yet.  Returns false if it has removed the WAL to begin with.
 */
static bool
hold_start(const WsRcv *rcv, const WsPlanStart *start)
{
	bool		is_served = start->tli == rcv->stored.served.tli;

	return ws_slots_hold_for_receiver(is_served ? InvalidXLogRecPtr : start->begin_lsn);
}

static void
report_going_on(const WsRcv *rcv, const WsPlanInput *input, const WsPlan *plan)
{
	for (int i = 0; i < plan->overruled_count; i++)
		ereport(LOG,
				(errmsg("relay follows the upstream although its WAL is not a continuation of what is stored"),
				 errdetail("%s.", ws_rcv_reason(rcv, input, &plan->overruled[i]))));
	if (!XLogRecPtrIsInvalid(plan->late_lsn))
		ereport(LOG,
				(errmsg("replication slot \"%s\" keeps the upstream's WAL only from " WS_LSN " on, the relay needs it from " WS_LSN " on",
						rcv->settings.slot, LSN_FORMAT_ARGS(rcv->upstream.slot_lsn),
						LSN_FORMAT_ARGS(plan->late_lsn)),
				 errdetail("What is missing is received if the upstream happens to have it still.")));
}

/* Begin a range, the first or another one, and store its histories in it. */
static WsRcvEnd
begin_range(WsRcv *rcv, const WsPlan *plan, const WsRcvHistory *theirs)
{
	const WsStore *store = plan->start.replaces ? &rcv->stored.new_range : &rcv->stored.store;

	ws_rcv_range_begin(rcv, &plan->start);
	ws_rcv_store_histories(rcv, store, theirs, plan->start.begin_lsn);
	rcv->decision.restart_allowed = false;
	return WS_RCV_NEXT;
}

/* Keep aside what an approved line leaves behind, before it is followed. */
static void
keep_surplus(const WsRcv *rcv, const WsPlan *plan)
{
	if (plan->surplus.tli == 0)
		return;
	ws_relay_lock_store();
	ws_store_keep_surplus(&rcv->stored.store, plan->surplus.tli, plan->surplus.lsn);
	ws_relay_unlock_store();
}

/*
 * Carry out the plan.  The histories of a server that is not followed are not
 * stored, since another one with the same timeline may come later.
 */
static WsRcvEnd
carry_out(WsRcv *rcv, const WsPlanInput *input, const WsPlan *plan,
		  const WsRcvHistory *theirs)
{
	switch (plan->verdict)
	{
		case WS_PLAN_CONTINUE:
		case WS_PLAN_FOLLOW:
			keep_surplus(rcv, plan);
			ws_rcv_store_histories(rcv, &rcv->stored.store, theirs,
								   first_stored_lsn(rcv, rcv->stored.end.tli));
			return WS_RCV_NEXT;
		case WS_PLAN_NEW_RANGE:
			return begin_range(rcv, plan, theirs);
		case WS_PLAN_NEW_SLOT:
			rcv->decision.dead_slot_lsn = rcv->upstream.slot_lsn;
			return WS_RCV_CHANGED;
		case WS_PLAN_COMPARE_LESS:
			rcv->decision.earlier_is_gone = true;
			return WS_RCV_CHANGED;
		case WS_PLAN_WAIT:
			return ws_rcv_wait_for_wal(ws_rcv_reason(rcv, input, &plan->why));
		case WS_PLAN_BEHIND:
			return ws_rcv_be_behind(ws_rcv_reason(rcv, input, &plan->why));
		case WS_PLAN_DIVERGED:
			return ws_rcv_diverge(ws_rcv_reason(rcv, input, &plan->why),
								  ws_rcv_reason_hint(&plan->why));
		case WS_PLAN_GAP:
			return ws_rcv_halt_in_gap(ws_rcv_reason(rcv, input, &plan->why));
		default:
			elog(ERROR, "unexpected verdict of the plan: %d", (int) plan->verdict);
	}
}

WsRcvEnd
ws_rcv_plan(WsRcv *rcv, WsPlanStart *start)
{
	MemoryContext old = MemoryContextSwitchTo(rcv->upstream.context);
	WsRcvHistory theirs;
	WsPlanInput input;
	WsPlan		plan;
	WsRcvEnd	end;

	gather(rcv, &input);
	make_plan(rcv, &input, &theirs, &plan);
	if ((plan.verdict == WS_PLAN_CONTINUE || plan.verdict == WS_PLAN_FOLLOW) &&
		!hold_start(rcv, &plan.start))
	{
		input.was_removed = true;
		make_plan(rcv, &input, &theirs, &plan);
	}
	report_going_on(rcv, &input, &plan);
	rcv->stored.end = plan.stored;
	end = carry_out(rcv, &input, &plan, &theirs);
	*start = plan.start;
	MemoryContextSwitchTo(old);
	return end;
}

WsRcvEnd
ws_rcv_be_in_gap(WsRcv *rcv, const WsPlanStart *start)
{
	WsPlanInput input;
	WsPlan		plan;

	gather(rcv, &input);
	ws_plan_miss(&input, start, &plan);

	/* the permission has not been used yet */
	if (plan.verdict == WS_PLAN_NEW_SLOT)
		rcv->decision.restart_allowed = start->replaces;
	return carry_out(rcv, &input, &plan, NULL);
}
