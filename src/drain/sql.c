/*-------------------------------------------------------------------------
 *
 * sql.c
 *	  The SQL procedure walstream_receive_all() and its helpers.
 *
 * It is a procedure because a function holds a snapshot, and waiting for WAL
 * with a snapshot could keep that WAL from being replayed.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "drain/drain.h"
#include "drain/names.h"
#include "fmgr.h"
#include "guc.h"
#include "nodes/parsenodes.h"
#include "replication/walreceiver.h"
#include "sqlrow.h"
#include "storage/proc.h"
#include "tcop/pquery.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(walstream_application_name);
PG_FUNCTION_INFO_V1(walstream_receive_all);

#define DEFAULT_TIMEOUT		60000	/* milliseconds */

/* Arguments of the procedure. */
enum
{
	ARG_SOURCES,
	ARG_REQUIRED,
	ARG_TIMEOUT,
	ARGS = ARG_TIMEOUT + 1 + 6
};

Datum
walstream_application_name(PG_FUNCTION_ARGS)
{
	const char *name;

	ws_sql_check_preloaded();
	name = ws_names_own();
	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

/*
 * Get a snapshot for the row that a CALL returns, as a procedure's COMMIT
 * does.
 */
static void
release_portal_snapshot(void)
{
	if (ActivePortal == NULL || ActivePortal->holdSnapshot == NULL)
		return;
	if (ActivePortal->resowner != NULL)
		UnregisterSnapshotFromOwner(ActivePortal->holdSnapshot, ActivePortal->resowner);
	ActivePortal->holdSnapshot = NULL;
}

/*
 * Release every snapshot.  One that remains is from outside of this CALL.
 */
static void
release_snapshots(FunctionCallInfo fcinfo)
{
	bool		may = fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic;

	if (may)
	{
		release_portal_snapshot();
		ForgetPortalSnapshots();
		InvalidateCatalogSnapshot();
		may = !TransactionIdIsValid(MyProc->xmin);
	}
	if (!may)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("walstream_receive_all() cannot be called within a transaction block, a function, or a transaction that is not READ COMMITTED"),
				 errdetail("It waits for WAL, and must not keep it from being replayed.")));
}

static void
add_source(WsDrain *drain, const char *conninfo)
{
	if (strlen(conninfo) >= MAXCONNINFO)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a source's connection string is longer than %d bytes", MAXCONNINFO - 1)));
	drain->sources = drain->sources == NULL ? palloc(sizeof(WsSource *)) :
		repalloc(drain->sources, sizeof(WsSource *) * (drain->count + 1));
	drain->sources[drain->count] = ws_source_new(conninfo);
	drain->count++;
}

static void
add_sources_of_array(WsDrain *drain, ArrayType * array)
{
	Datum	   *values;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			add_source(drain, TextDatumGetCString(values[i]));
	}
}

/*
 * Parse walstream.drain_sources; its check hook has made sure that it is a
 * list.
 */
static void
add_sources_of_setting(WsDrain *drain)
{
	char	   *list = pstrdup(ws_guc_drain_sources());
	char	   *item;
	WsStatus	status;

	while ((item = ws_drain_next_item(&list, &status)) != NULL)
		add_source(drain, item);
}

static TimestampTz
deadline_after(const Interval *timeout)
{
	TimestampTz now = GetCurrentTimestamp();

	if (timeout == NULL)
		return TimestampTzPlusMilliseconds(now, DEFAULT_TIMEOUT);
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(now),
												   IntervalPGetDatum(timeout)));
}

static void
read_arguments(FunctionCallInfo fcinfo, WsDrain *drain)
{
	memset(drain, 0, sizeof(*drain));
	drain->deadline = deadline_after(PG_ARGISNULL(ARG_TIMEOUT) ? NULL :
									 PG_GETARG_INTERVAL_P(ARG_TIMEOUT));
	if (!PG_ARGISNULL(ARG_REQUIRED))
	{
		drain->required = PG_GETARG_INT32(ARG_REQUIRED);
		if (drain->required < 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("at least one source must be required")));
	}

	if (!PG_ARGISNULL(ARG_SOURCES))
		add_sources_of_array(drain, PG_GETARG_ARRAYTYPE_P(ARG_SOURCES));
	else
		add_sources_of_setting(drain);
	if (drain->count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no source is named"),
				 errhint("Pass the relays' connection strings as \"sources\", or set \"walstream.drain_sources\".")));
}

static Datum
make_array(const char **words, int count)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(count, 1));

	for (int i = 0; i < count; i++)
		values[i] = CStringGetTextDatum(words[i]);
	return PointerGetDatum(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* timeline, lsn, synchronous_standby_names, heard, unheard, seals */
static Datum
make_result(FunctionCallInfo fcinfo, const WsDrain *drain)
{
	WsRow		row = {0};
	const char **heard = palloc(sizeof(char *) * drain->count);
	const char **unheard = palloc(sizeof(char *) * drain->count);
	const char **seals = palloc(sizeof(char *) * drain->count);
	int			nheard = 0;
	int			nunheard = 0;

	for (int i = 0; i < drain->count; i++)
	{
		const WsSource *source = drain->sources[i];

		if (source->member.heard)
		{
			seals[nheard] = source->token;
			heard[nheard++] = source->name != NULL ? source->name : source->place;
		}
		else
			unheard[nunheard++] = psprintf("%s: %s", ws_source_describe(source), source->failure);
	}

	ws_row_add(&row, INT4OID, Int32GetDatum((int32) drain->plan.tli));
	ws_row_add_lsn(&row, drain->plan.lsn);
	ws_row_add_text(&row, drain->list);
	ws_row_add(&row, TEXTARRAYOID, make_array(heard, nheard));
	ws_row_add(&row, TEXTARRAYOID, make_array(unheard, nunheard));
	ws_row_add(&row, TEXTARRAYOID, make_array(seals, nheard));
	return ws_row_to_datum(fcinfo, &row);
}

Datum
walstream_receive_all(PG_FUNCTION_ARGS)
{
	WsDrain		drain;

	ws_sql_check_preloaded();
	ws_sql_check_arguments(fcinfo, ARGS);
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to call walstream_receive_all()")));

	read_arguments(fcinfo, &drain);
	release_snapshots(fcinfo);
	ws_drain_run(&drain);
	return make_result(fcinfo, &drain);
}
