/*-------------------------------------------------------------------------
 *
 * drain.c
 *	  walstream_receive_all(): lets a standby receive everything that was ever
 *	  confirmed, before it is promoted.
 *
 * This runs in a backend of the standby.  It seals the relays, so that none of
 * them confirms anything more to the old primary; asks each one where its WAL
 * ends; decides (pure/relay/drain.h); and lets the walreceiver receive what is
 * missing.  It either succeeds, with the relays sealed, or leaves everything
 * as it was.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_type.h"
#include "drain/drain.h"
#include "drain/names.h"
#include "drain/source.h"
#include "drain/standby.h"
#include "peertext.h"
#include "pgstat.h"
#include "redirect.h"
#include "replication/walreceiver.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "waitevent.h"

/*
 * How often to look at the walreceiver's position, in milliseconds.  Nothing
 * signals a change.
 */
#define LOOK_INTERVAL		20

/* Limit of a connection attempt. */
static WsRemoteLimit
connect_limit(const WsDrain *drain, const WsSource *source)
{
	WsRemoteLimit limit = {
		.deadline = drain->deadline,
		.interruptible = true,
		.wait = WS_WAIT_RECEIVE_ALL_RELAY
	};
	TimestampTz soon = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												   source->connect_timeout * INT64CONST(1000));

	limit.deadline = Min(limit.deadline, soon);
	return limit;
}

/*
 * Call a function for all sources without a failure, one after the other,
 * since all have to answer anyhow.
 */
static void
for_each_source(WsDrain *drain, void (*step) (WsSource *, const WsRemoteLimit *),
				bool connects)
{
	for (int i = 0; i < drain->count; i++)
	{
		WsRemoteLimit limit = {
			.deadline = drain->deadline,
			.interruptible = true,
			.wait = WS_WAIT_RECEIVE_ALL_RELAY
		};

		if (connects)
			limit = connect_limit(drain, drain->sources[i]);
		if (drain->sources[i]->failure == NULL)
			step(drain->sources[i], &limit);
	}
}

static bool
has_list(const WsSource *source)
{
	return source->member.heard && source->standby_names != NULL;
}

static bool
is_among(const char *list, const char *const *lists, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (strcmp(lists[i], list) == 0)
			return true;
	}
	return false;
}

/*
 * Find the lists under which commits may have been confirmed: the last one that
 * each source has seen, of the newest timeline of which any has seen one.
 * We do not ask which of several is the latest, because that depends on the
 * sources' clocks and on when each has connected; and the last commit of all may
 * be one that was confirmed under an earlier list.  Returns their number.
 */
static int
find_lists(const WsDrain *drain, const char **lists)
{
	TimeLineID	newest = 0;
	int			count = 0;

	for (int i = 0; i < drain->count; i++)
	{
		if (has_list(drain->sources[i]))
			newest = Max(newest, drain->sources[i]->standby_names_tli);
	}
	for (int i = 0; i < drain->count; i++)
	{
		const WsSource *source = drain->sources[i];

		if (has_list(source) && source->standby_names_tli == newest &&
			!is_among(source->standby_names, lists, count))
			lists[count++] = source->standby_names;
	}
	return count;
}

/* Returns the lists as one text; NULL if there is none. */
static const char *
join_lists(const char *const *lists, int count)
{
	StringInfoData text;

	if (count == 0)
		return NULL;
	initStringInfo(&text);
	for (int i = 0; i < count; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? " and " : "", lists[i]);
	return text.data;
}

/*
 * A relay on an older timeline than another one may follow, which ends its
 * seal, and then nobody knows what it confirms.
 */
static void
discount_old_timelines(WsDrain *drain, TimeLineID newest)
{
	for (int i = 0; i < drain->count; i++)
	{
		WsSource   *source = drain->sources[i];

		if (source->member.heard && source->member.tli < newest &&
			source->member.counts)
		{
			source->member.counts = false;
			source->failure = psprintf("it is on timeline %u, not on %u, and cannot be kept from confirming WAL of that",
									   source->member.tli, newest);
		}
	}
}

/*
 * Ask each source that has WAL after the point where the line of the newest
 * timeline leaves its own whether there is a complete record among that.
 */
static void
ask_records(WsDrain *drain, const WsDrainMember *members)
{
	const WsHistory *newest = NULL;

	for (int i = 0; i <= drain->count && newest == NULL; i++)
	{
		if (members[i].heard && members[i].tli == drain->plan.tli)
			newest = members[i].history;
	}
	for (int i = 0; i < drain->count; i++)
	{
		WsSource   *source = drain->sources[i];
		WsRemoteLimit limit = connect_limit(drain, source);
		XLogRecPtr	fork_lsn;

		if (!source->member.heard)
			continue;
		fork_lsn = ws_drain_common_end(source->member.history, newest);
		if (fork_lsn < source->member.records_lsn)
			ws_source_ask_records(source, fork_lsn, &limit);
	}
}

/*
 * Returns the members in the order of WsDrainPlan: the standby itself, then
 * the sources.
 */
static void
collect_members(WsDrain *drain, WsDrainMember *members)
{
	members[0] = drain->self;
	for (int i = 0; i < drain->count; i++)
		members[i + 1] = drain->sources[i]->member;
}

static void
set_counts(WsDrain *drain, bool counts)
{
	drain->self.counts = false;
	for (int i = 0; i < drain->count; i++)
		drain->sources[i]->member.counts = counts;
}

/*
 * Complete what is known of the members, whoever of them counts.  Returns the
 * newest timeline.
 */
static TimeLineID
complete_members(WsDrain *drain, WsDrainMember *members)
{
	collect_members(drain, members);
	ws_drain_decide(members, drain->count + 1, 0, true, &drain->plan);
	ask_records(drain, members);
	return drain->plan.tli;
}

/* Decide, when it is known who counts. */
static void
decide_for(WsDrain *drain, WsDrainMember *members, TimeLineID newest)
{
	discount_old_timelines(drain, newest);
	collect_members(drain, members);
	ws_drain_decide(members, drain->count + 1, drain->required,
					ws_standby_follows_latest(), &drain->plan);
}

/* Each of the lists must be satisfied; the first one that is not is reported. */
static void
decide(WsDrain *drain, WsDrainMember *members)
{
	const char **lists = palloc(sizeof(char *) * drain->count);
	TimeLineID	newest;
	int			count;

	ws_standby_describe(&drain->self, &drain->self_history);

	/* a source that fails to answer more has told its list */
	count = find_lists(drain, lists);
	newest = complete_members(drain, members);
	drain->list = join_lists(lists, count);
	if (drain->required > 0)
	{
		set_counts(drain, true);
		decide_for(drain, members, newest);
		return;
	}

	for (int i = 0; i < Max(count, 1); i++)
	{
		const char *list = count > 0 ? lists[i] : "";

		set_counts(drain, false);
		drain->required = ws_names_required(list, drain->sources, drain->count,
											&drain->self.counts);
		decide_for(drain, members, newest);
		if (drain->plan.verdict != WS_DRAIN_UNHEARD)
			continue;
		drain->list = list;
		return;
	}
}

/* Append a word to a list in a message. */
static void
append_word(StringInfo list, const char *word)
{
	appendStringInfo(list, "%s%s", list->len > 0 ? ", " : "", word);
}

static void
report_unheard(const WsDrain *drain)
{
	StringInfoData heard;
	StringInfoData unheard;

	initStringInfo(&heard);
	initStringInfo(&unheard);
	if (drain->self.counts)
		append_word(&heard, "this standby");
	for (int i = 0; i < drain->count; i++)
	{
		const WsSource *source = drain->sources[i];

		if (source->member.heard && source->member.counts)
			append_word(&heard, ws_source_describe(source));
		else
			append_word(&unheard, psprintf("%s: %s", ws_source_describe(source),
										   source->failure != NULL ? source->failure :
										   "it is not among the synchronous standbys"));
	}

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("only %d of %d synchronous standbys that are needed could be heard",
					drain->plan.heard, drain->required),
			 errdetail("Heard: %s. Not heard: %s. synchronous_standby_names of the old primary: \"%s\".",
					   heard.len > 0 ? heard.data : "none",
					   unheard.len > 0 ? unheard.data : "none",
					   drain->list != NULL ? ws_peertext_for_log(drain->list) : ""),
			 errhint("Commits that were confirmed may be on those that were not heard only.  Promoting this standby without them may lose these commits.")));
}

static const char *
describe_member(const WsDrain *drain, int member)
{
	return member == 0 ? "this standby" :
		ws_source_describe(drain->sources[member - 1]);
}

static void
report_diverged(const WsDrain *drain, const WsDrainMember *members)
{
	const WsDrainPlan *plan = &drain->plan;
	const WsDrainMember *other = &members[plan->other];
	const WsDrainMember *newest = &members[plan->source];

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 plan->verdict == WS_DRAIN_PAST_FORK ?
			 errmsg("this standby has replayed WAL that is not in the line of the newest timeline") :
			 errmsg("%s has WAL that is not in the line of the newest timeline",
					describe_member(drain, plan->other)),
			 errdetail("It has WAL up to " WS_LSN " on timeline %u, which the line of %s, on timeline %u up to " WS_LSN ", leaves at " WS_LSN ".",
					   LSN_FORMAT_ARGS(other->end_lsn), other->tli,
					   describe_member(drain, plan->source), newest->tli,
					   LSN_FORMAT_ARGS(newest->end_lsn), LSN_FORMAT_ARGS(plan->lsn)),
			 errhint("Whoever knows which of both was the primary decides: one of them has to be given up.")));
}

/* Raise an ERROR unless the decision can be carried out. */
static void
check_plan(const WsDrain *drain, const WsDrainMember *members)
{
	switch (drain->plan.verdict)
	{
		case WS_DRAIN_HAS_ALL:
		case WS_DRAIN_RECEIVE:
			break;
		case WS_DRAIN_UNHEARD:
			report_unheard(drain);
			break;
		case WS_DRAIN_DIVERGED:
		case WS_DRAIN_PAST_FORK:
			report_diverged(drain, members);
			break;
		case WS_DRAIN_OTHER_TARGET:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("this standby does not follow timeline %u of %s",
							drain->plan.tli, describe_member(drain, drain->plan.source)),
					 errdetail("\"recovery_target_timeline\" is not \"latest\", and this standby is on timeline %u.",
							   drain->self.tli)));
			break;
	}
}

static void
report_timeout(const WsDrain *drain, const WsSource *source)
{
	char		failure[WS_REDIRECT_TEXT];
	bool		differs;
	const char *obstacle = ws_standby_obstacle();

	if (drain->redirected && ws_redirect_failed(failure, &differs))
		obstacle = psprintf("The walreceiver said last: %s", failure);
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("this standby did not receive all WAL of %s within the time allowed",
					ws_source_describe(source)),
			 errdetail("It was to come to " WS_LSN " on timeline %u. %s",
					   LSN_FORMAT_ARGS(drain->plan.lsn), drain->plan.tli,
					   obstacle != NULL ? obstacle : "The server's log may say more.")));
}

/*
 * Raise an ERROR if recovery has replayed something else than what is being
 * received, as it can come from restore_command.
 */
static void
check_replay(const WsDrain *drain, const WsSource *source)
{
	TimeLineID	tli;
	TimeLineID	next_tli;
	XLogRecPtr	replayed_lsn = GetXLogReplayRecPtr(&tli);
	XLogRecPtr	end_lsn;
	bool		in_line = ws_history_find(&source->history, tli, &end_lsn, &next_tli);

	if (in_line && (XLogRecPtrIsInvalid(end_lsn) || replayed_lsn <= end_lsn))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this standby has meanwhile replayed WAL that is not in the line of %s",
					ws_source_describe(source)),
			 in_line ?
			 errdetail("It has replayed up to " WS_LSN " on timeline %u, which that line leaves at " WS_LSN ".",
					   LSN_FORMAT_ARGS(replayed_lsn), tli, LSN_FORMAT_ARGS(end_lsn)) :
			 errdetail("It has replayed up to " WS_LSN " on timeline %u, which is not in that line.",
					   LSN_FORMAT_ARGS(replayed_lsn), tli),
			 errhint("The WAL may come from \"restore_command\" or from pg_wal.  This standby cannot be promoted in that line any more; another one can.")));
}

/* Look at the walreceiver once.  Raises an ERROR if it will not get there. */
static bool
has_arrived(const WsDrain *drain, const WsSource *source)
{
	char		failure[WS_REDIRECT_TEXT];
	bool		differs;

	if (ws_standby_has(drain->plan.tli, drain->plan.lsn))
		return true;
	if (!RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this standby was promoted before it had received all WAL"),
				 errdetail("It was to come to " WS_LSN " on timeline %u.",
						   LSN_FORMAT_ARGS(drain->plan.lsn), drain->plan.tli)));
	check_replay(drain, source);
	if (drain->redirected && ws_redirect_failed(failure, &differs) && differs)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("WAL of %s does not go on where that of this standby ends",
						ws_source_describe(source)),
				 errdetail("%s.", failure)));
	if (GetCurrentTimestamp() >= drain->deadline)
		report_timeout(drain, source);
	return false;
}

/* Let the walreceiver receive what is missing. */
static void
receive(WsDrain *drain)
{
	const WsSource *source = drain->sources[drain->plan.source - 1];

	drain->redirected = !ws_standby_receives_from(PQhost(source->conn), PQport(source->conn));
	if (drain->redirected)
	{
		ws_standby_check_receives();
		ws_redirect_begin(source->conninfo);
	}
	while (!has_arrived(drain, source))
	{
		if (drain->redirected)
			ws_redirect_press();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOOK_INTERVAL, ws_waitevent(WS_WAIT_RECEIVE_ALL));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Clean up after an error, or at the end of the session. */
static void
undo(int code, Datum arg)
{
	WsDrain    *drain = (WsDrain *) DatumGetPointer(arg);

	ws_redirect_end();
	for (int i = 0; i < drain->count; i++)
	{
		ws_source_unseal(drain->sources[i]);
		ws_source_close(drain->sources[i]);
	}
}

/* Unseal those that were sealed but not heard, on which nothing depends. */
static void
release_unheard(WsDrain *drain)
{
	for (int i = 0; i < drain->count; i++)
	{
		WsSource   *source = drain->sources[i];
		const char *failure = source->failure;

		if (!source->member.heard)
			ws_source_unseal(source);
		source->failure = failure;
		ws_source_close(source);
	}
}

void
ws_drain_run(WsDrain *drain)
{
	WsDrainMember *members = palloc0(sizeof(WsDrainMember) * (drain->count + 1));

	ws_standby_check();
	ws_redirect_claim();
	PG_ENSURE_ERROR_CLEANUP(undo, PointerGetDatum(drain));
	{
		for_each_source(drain, ws_source_connect, true);
		for_each_source(drain, ws_source_seal, false);
		for_each_source(drain, ws_source_ask, true);

		decide(drain, members);
		check_plan(drain, members);
		if (drain->plan.verdict == WS_DRAIN_RECEIVE)
			receive(drain);
	}
	PG_END_ENSURE_ERROR_CLEANUP(undo, PointerGetDatum(drain));

	ws_redirect_end();
	release_unheard(drain);
	ereport(LOG,
			(errmsg("this standby has all WAL of the synchronous standbys up to " WS_LSN " on timeline %u",
					LSN_FORMAT_ARGS(drain->plan.lsn), drain->plan.tli)));
}
