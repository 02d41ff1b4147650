/*-------------------------------------------------------------------------
 *
 * sql_failover.c
 *	  SQL functions for a failover: sealing the relay, and waiting until it or
 *	  a downstream has a position.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "owner.h"
#include "peertext.h"
#include "relay/relay.h"
#include "relay/seal.h"
#include "relay/senders.h"
#include "relay/sql.h"
#include "sqlrow.h"
#include "storage/condition_variable.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"
#include "waitevent.h"

PG_FUNCTION_INFO_V1(walstream_relay_wait);
PG_FUNCTION_INFO_V1(walstream_relay_wait_confirmed);
PG_FUNCTION_INFO_V1(walstream_relay_records_end);
PG_FUNCTION_INFO_V1(walstream_relay_seal);
PG_FUNCTION_INFO_V1(walstream_relay_unseal);
PG_FUNCTION_INFO_V1(walstream_relay_follow_line);
PG_FUNCTION_INFO_V1(walstream_get_relay_seal);
PG_FUNCTION_INFO_V1(walstream_get_relay_standby_names);

typedef enum Answer
{
	NOT_YET,
	NEVER,
	REACHED
} Answer;

/*
 * Convert a timeout to milliseconds, as now() + timeout would count it, at
 * most 24 days.
 */
static long
timeout_ms(const Interval *timeout)
{
	TimestampTz now = GetCurrentTimestamp();
	Datum		until = DirectFunctionCall2(timestamptz_pl_interval,
											TimestampTzGetDatum(now),
											IntervalPGetDatum(timeout));

	return TimestampDifferenceMilliseconds(now, DatumGetTimestampTz(until));
}

/* Wait until the condition variable is signaled, or for the timeout. */
static bool
wait_for(ConditionVariable *news, const Interval *timeout,
		 Answer (*look) (const void *arg), const void *arg)
{
	long		limit_ms = timeout_ms(timeout);
	instr_time	start;
	Answer		answer;

	INSTR_TIME_SET_CURRENT(start);
	ConditionVariablePrepareToSleep(news);
	while ((answer = look(arg)) == NOT_YET)
	{
		instr_time	now;
		long		left_ms;

		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, start);
		left_ms = limit_ms - (long) INSTR_TIME_GET_MILLISEC(now);
		if (left_ms <= 0)
			break;
		(void) ConditionVariableTimedSleep(news, left_ms, ws_waitevent(WS_WAIT_RELAY_POSITION));
	}
	ConditionVariableCancelSleep();
	return answer == REACHED;
}

static Answer
look_at_position(const void *arg)
{
	XLogRecPtr	wanted_lsn = *(const XLogRecPtr *) arg;
	TimeLineID	tli;
	XLogRecPtr	flushed_lsn;

	return ws_relay_get_position(&tli, &flushed_lsn) && flushed_lsn >= wanted_lsn ?
		REACHED : NOT_YET;
}

Datum
walstream_relay_wait(PG_FUNCTION_ARGS)
{
	XLogRecPtr	lsn;

	ws_sql_check_arguments(fcinfo, 2);
	lsn = PG_GETARG_LSN(0);
	ws_relay_sql_check();
	PG_RETURN_BOOL(wait_for(ws_relay_position_news(), PG_GETARG_INTERVAL_P(1),
							look_at_position, &lsn));
}

/* If several downstreams have the name, all of them count. */
static Answer
look_at_downstream(const void *arg)
{
	const char *name = arg;
	WsSenderSnapshot *senders;
	int			count = ws_senders_snapshot(&senders);
	TimeLineID	tli;
	XLogRecPtr	flushed_lsn;
	bool		is_known = ws_relay_get_position(&tli, &flushed_lsn);
	Answer		answer = NEVER;

	for (int i = 0; i < count && answer != NOT_YET; i++)
	{
		WsSenderSnapshot *sender = &senders[i];

		if (sender->pid == 0 || strcmp(sender->application_name, name) != 0)
			continue;
		answer = is_known && sender->tli == tli && sender->flush_lsn >= flushed_lsn ?
			REACHED : NOT_YET;
	}
	pfree(senders);
	return answer;
}

Datum
walstream_relay_wait_confirmed(PG_FUNCTION_ARGS)
{
	char		name[NAMEDATALEN];

	ws_sql_check_arguments(fcinfo, 2);

	/* truncated as in the view */
	strlcpy(name, text_to_cstring(PG_GETARG_TEXT_PP(0)), NAMEDATALEN);
	ws_relay_sql_check();
	PG_RETURN_BOOL(wait_for(ws_senders_news(), PG_GETARG_INTERVAL_P(1),
							look_at_downstream, name));
}

/*
 * Bytes after the point where another timeline begins are a loss only if there
 * is a complete record among them.
 */
Datum
walstream_relay_records_end(PG_FUNCTION_ARGS)
{
	XLogRecPtr	lsn;
	WsStore		store;
	TimeLineID	tli;
	XLogRecPtr	flushed_lsn;
	XLogRecPtr	commit_lsn;
	XLogRecPtr	end_lsn;

	ws_sql_check_arguments(fcinfo, 1);
	lsn = PG_GETARG_LSN(0);
	ws_relay_sql_check();
	if (!ws_relay_get_store(&store) || !ws_relay_get_position(&tli, &flushed_lsn))
		PG_RETURN_NULL();
	if (ws_store_has_record_after(&store, tli, lsn, flushed_lsn, &commit_lsn, &end_lsn))
		PG_RETURN_LSN(end_lsn);
	PG_RETURN_LSN(lsn);
}

static void
check_timeline(TimeLineID tli, const WsStore *store, TimeLineID own_tli)
{
	WsHistory  *line;
	XLogRecPtr	left_lsn;
	TimeLineID	next_tli;

	if (tli == own_tli)
		return;
	line = ws_store_read_history(store, own_tli);
	if (ws_history_find(line, tli, &left_lsn, &next_tli))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay is on a newer timeline than %u", tli),
				 errdetail("It is on timeline %u; timeline %u was left at " WS_LSN ".",
						   own_tli, tli, LSN_FORMAT_ARGS(left_lsn))));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("timeline %u is not in the line of the relay's WAL", tli),
			 errdetail("The relay is on timeline %u.", own_tli)));
}

Datum
walstream_relay_seal(PG_FUNCTION_ARGS)
{
	int32		tli;
	const char *owner;
	const char *replaces;
	WsStore		store;
	WsRelayStatus status;
	TimeLineID	own_tli;
	XLogRecPtr	flushed_lsn;

	ws_sql_check_arguments(fcinfo, 3);
	tli = PG_GETARG_INT32(0);
	owner = text_to_cstring(PG_GETARG_TEXT_PP(1));
	replaces = text_to_cstring(PG_GETARG_TEXT_PP(2));
	ws_relay_sql_check();
	ws_relay_get_status(&status);
	if (!ws_relay_get_store(&store) || !ws_relay_get_position(&own_tli, &flushed_lsn) ||
		status.state == WS_RELAY_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay cannot be sealed: the end of what it holds is not known"),
				 errdetail("Its state is \"%s\".", ws_relay_state_name(status.state))));
	if (tli <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no timeline %d", tli)));
	if (owner[0] != '\0' && !ws_owner_is_valid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the owner of a seal must have %d hexadecimal digits", WS_OWNER_LEN),
				 errhint("It is the value of \"" WS_OWNER_SETTING "\" of the standby that is to be promoted.")));
	check_timeline(tli, &store, own_tli);
	PG_RETURN_TEXT_P(cstring_to_text(ws_seal_set(&store, tli, owner, replaces)));
}

/*
 * This works even while the end of the stored WAL is not known, so that the
 * relay may acknowledge again.
 */
Datum
walstream_relay_unseal(PG_FUNCTION_ARGS)
{
	WsStore		store;

	ws_sql_check_arguments(fcinfo, 1);
	ws_relay_sql_get_store(&store);
	PG_RETURN_BOOL(ws_seal_break(&store, text_to_cstring(PG_GETARG_TEXT_PP(0))));
}

/*
 * Approve one line.  As it is no other, the approval may wait until the relay
 * comes to it.  It is no error if the relay has followed already, because the
 * caller cannot know.
 */
Datum
walstream_relay_follow_line(PG_FUNCTION_ARGS)
{
	WsRelayApproval approval;
	int32		tli;
	TimeLineID	own_tli;
	XLogRecPtr	flushed_lsn;

	ws_sql_check_arguments(fcinfo, 3);
	tli = PG_GETARG_INT32(0);
	approval.switch_lsn = PG_GETARG_LSN(1);
	approval.surplus_lsn = PG_GETARG_LSN(2);
	ws_relay_sql_check();
	if (tli <= 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timeline %d does not follow any other", tli)));
	if (XLogRecPtrIsInvalid(approval.switch_lsn) ||
		approval.surplus_lsn < approval.switch_lsn)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no WAL from " WS_LSN " to " WS_LSN,
						LSN_FORMAT_ARGS(approval.switch_lsn),
						LSN_FORMAT_ARGS(approval.surplus_lsn))));
	approval.tli = tli;
	if (!ws_relay_get_position(&own_tli, &flushed_lsn) || own_tli < approval.tli)
		ws_relay_approve(&approval);
	PG_RETURN_VOID();
}

/*
 * Show the seal, with the token for superusers.  All columns are null if the
 * relay is not sealed.
 */
Datum
walstream_get_relay_seal(PG_FUNCTION_ARGS)
{
	WsSealFile	seal;
	WsRow		row = {0};

	ws_sql_check_preloaded();
	if (ws_relay_sql_is_relay() && ws_seal_get(&seal))
	{
		ws_row_add(&row, INT4OID, Int32GetDatum(seal.tli));
		ws_row_add_time(&row, seal.since_us);
		ws_row_add_text(&row, seal.token);
		ws_row_add_text(&row, seal.owner[0] != '\0' ? seal.owner : NULL);
	}
	else
	{
		for (int i = 0; i < 4; i++)
			ws_row_add_null(&row);
	}
	return ws_row_to_datum(fcinfo, &row);
}

/*
 * Show which synchronous standbys the primary had, as far as the relay's store
 * knows.
 */
Datum
walstream_get_relay_standby_names(PG_FUNCTION_ARGS)
{
	WsStore		store;
	WsNamesFile *file;

	ws_sql_check_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	if (!ws_relay_sql_is_relay() || !ws_relay_get_store(&store))
		return (Datum) 0;
	file = palloc(sizeof(WsNamesFile));
	(void) ws_store_read_names(&store, file);
	for (int i = 0; i < file->count; i++)
	{
		const WsNamesEntry *entry = &file->entries[i];
		char		names[WS_NAMES_SIZE];
		WsRow		row = {0};

		ws_peertext_copy(names, sizeof(names), entry->names);
		ws_row_add(&row, INT4OID, Int32GetDatum(entry->tli));
		ws_row_add_text(&row, names);
		ws_row_add_time(&row, entry->first_us);
		ws_row_add_time(&row, entry->last_us);
		ws_row_put(fcinfo, &row);
	}
	return (Datum) 0;
}
