/*-------------------------------------------------------------------------
 *
 * reason.c
 *	  Texts that tell why the relay's receiver does not continue.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/walreceiver/state.h"

static char *
surplus_text(const WsPlanInput *input, const WsPlanWhy *why)
{
	XLogRecPtr	commit_lsn = input->surplus_commit_lsn;

	return psprintf("Timeline %u was left by the upstream at " WS_LSN "; stored are " UINT64_FORMAT " bytes more, with complete records up to " WS_LSN "%s",
					why->theirs.tli, LSN_FORMAT_ARGS(why->theirs.lsn),
					why->ours.lsn - why->theirs.lsn,
					LSN_FORMAT_ARGS(input->surplus_record_lsn),
					XLogRecPtrIsInvalid(commit_lsn) ? " and no commit" :
					psprintf(", the last commit up to " WS_LSN, LSN_FORMAT_ARGS(commit_lsn)));
}

/* A slot's position does not prove that there is WAL. */
static char *
gap_text(const WsRcv *rcv, const WsPlanInput *input, const WsPlanWhy *why)
{
	const char *slot = "";

	if (input->slot_lsn >= why->theirs.lsn + input->segment_size)
		slot = psprintf(", its slot \"%s\" at " WS_LSN, rcv->settings.slot,
						LSN_FORMAT_ARGS(input->slot_lsn));
	else if (!XLogRecPtrIsInvalid(input->slot_lsn))
		slot = psprintf(", although its slot \"%s\" should keep it from " WS_LSN " on",
						rcv->settings.slot, LSN_FORMAT_ARGS(input->slot_lsn));
	return psprintf("The upstream has no longer the WAL from " WS_LSN " on timeline %u on; stored is WAL up to " WS_LSN ", and the upstream is at " WS_LSN "%s",
					LSN_FORMAT_ARGS(why->theirs.lsn), why->theirs.tli,
					LSN_FORMAT_ARGS(why->ours.lsn),
					LSN_FORMAT_ARGS(input->upstream_lsn), slot);
}

static const char *
bare_text(const WsRcv *rcv, const WsPlanInput *input, const WsPlanWhy *why)
{
	switch (why->reason)
	{
		case WS_PLAN_OLDER_TIMELINE:
			return psprintf("the upstream is on timeline %u, behind timeline %u of the stored WAL",
							why->theirs.tli, why->ours.tli);
		case WS_PLAN_BEFORE_SEGMENT:
			return psprintf("the upstream is at " WS_LSN " on timeline %u, before the segment in which the stored WAL ends at " WS_LSN,
							LSN_FORMAT_ARGS(why->theirs.lsn), why->theirs.tli,
							LSN_FORMAT_ARGS(why->ours.lsn));
		case WS_PLAN_PUT_BACK:
			return psprintf("the upstream is a primary at " WS_LSN " on timeline %u, and WAL is stored up to " WS_LSN ": it was put back to an earlier state",
							LSN_FORMAT_ARGS(why->theirs.lsn), why->theirs.tli,
							LSN_FORMAT_ARGS(why->ours.lsn));
		case WS_PLAN_OTHER_HISTORY:
			return psprintf("The history of the upstream's timeline %u is not the stored one",
							why->theirs.tli);
		case WS_PLAN_NOTHING_COMMON:
			return "The upstream's timelines and the stored ones have nothing in common";
		case WS_PLAN_NOT_IN_HISTORY:
			return psprintf("Timeline %u, on which WAL is stored up to " WS_LSN ", is not in the history of the upstream's timeline %u; what they have in common ends on timeline %u at or before " WS_LSN,
							why->ours.tli, LSN_FORMAT_ARGS(why->ours.lsn), why->theirs.tli,
							why->common.tli, LSN_FORMAT_ARGS(why->common.lsn));
		case WS_PLAN_LEFT_EARLIER:
			if (!why->is_removed)
				return surplus_text(input, why);
			return psprintf("Timeline %u, on which WAL is stored up to " WS_LSN ", was left by the upstream at " WS_LSN,
							why->theirs.tli, LSN_FORMAT_ARGS(why->ours.lsn),
							LSN_FORMAT_ARGS(why->theirs.lsn));
		case WS_PLAN_REMOVED_HERE:
			return psprintf("The upstream's WAL on timeline %u goes on from " WS_LSN,
							why->theirs.tli, LSN_FORMAT_ARGS(why->theirs.lsn));
		case WS_PLAN_REMOVED_THERE:
			return gap_text(rcv, input, why);
		case WS_PLAN_NOTHING_THERE:
			return psprintf("The upstream, which is at " WS_LSN " on timeline %u, has not even the WAL from " WS_LSN " on to begin with%s",
							LSN_FORMAT_ARGS(input->upstream_lsn), input->upstream_tli,
							LSN_FORMAT_ARGS(why->theirs.lsn),
							input->has_wal ? "; what is stored is as it was" : "");
		default:
			elog(ERROR, "unexpected reason of the plan: %d", (int) why->reason);
	}
}

char *
ws_rcv_reason(const WsRcv *rcv, const WsPlanInput *input, const WsPlanWhy *why)
{
	const char *reason = bare_text(rcv, input, why);

	return psprintf("%s%s", reason,
					why->is_removed ? ", and WAL from there on is no longer stored" : "");
}

const char *
ws_rcv_reason_hint(const WsPlanWhy *why)
{
	if (why->reason == WS_PLAN_OTHER_HISTORY)
		return "Two servers were promoted to the same timeline: correct walstream.relay_upstream, or begin anew with SELECT walstream_relay_restart_after_gap().";
	if (why->reason == WS_PLAN_NOTHING_COMMON)
		return "Correct walstream.relay_upstream, or begin anew with SELECT walstream_relay_restart_after_gap().";
	if (why->is_removed)
		return "What is stored is still served.  Correct walstream.relay_upstream, or begin anew with SELECT walstream_relay_restart_after_gap().";
	return "What is stored is still served.  SELECT walstream_relay_follow() goes on with the upstream's timeline.";
}
