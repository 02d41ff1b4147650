/*-------------------------------------------------------------------------
 *
 * sqlrow.c
 *	  What SQL functions share: rows that are filled column by column.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "shmem.h"
#include "sqlrow.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

void
ws_sql_check_preloaded(void)
{
	if (!ws_shmem_ready())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("walstream must be loaded via \"shared_preload_libraries\""),
				 errhint("Add walstream to \"shared_preload_libraries\" in postgresql.conf and restart the server.")));
}

void
ws_row_add(WsRow *row, Datum value)
{
	Assert(row->count < (int) lengthof(row->values));
	row->values[row->count] = value;
	row->nulls[row->count++] = false;
}

void
ws_row_add_null(WsRow *row)
{
	Assert(row->count < (int) lengthof(row->values));
	row->values[row->count] = (Datum) 0;
	row->nulls[row->count++] = true;
}

void
ws_row_add_text(WsRow *row, const char *value)
{
	if (value != NULL)
		ws_row_add(row, CStringGetTextDatum(value));
	else
		ws_row_add_null(row);
}

void
ws_row_add_name(WsRow *row, const char *value)
{
	Name		name = palloc0(sizeof(NameData));

	strlcpy(NameStr(*name), value, NAMEDATALEN);
	ws_row_add(row, NameGetDatum(name));
}

void
ws_row_add_lsn(WsRow *row, XLogRecPtr value)
{
	if (!XLogRecPtrIsInvalid(value))
		ws_row_add(row, LSNGetDatum(value));
	else
		ws_row_add_null(row);
}

void
ws_row_add_time(WsRow *row, TimestampTz value)
{
	if (value != 0)
		ws_row_add(row, TimestampTzGetDatum(value));
	else
		ws_row_add_null(row);
}

/* A lag in microseconds, negative if unknown. */
void
ws_row_add_lag(WsRow *row, TimeOffset value)
{
	Interval   *interval;

	if (value < 0)
	{
		ws_row_add_null(row);
		return;
	}
	interval = palloc0(sizeof(Interval));
	interval->time = value;
	ws_row_add(row, IntervalPGetDatum(interval));
}

void
ws_row_put(FunctionCallInfo fcinfo, WsRow *row)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	Assert(row->count == rsinfo->setDesc->natts);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc,
						 row->values, row->nulls);
}

Datum
ws_row_to_datum(FunctionCallInfo fcinfo, WsRow *row)
{
	TupleDesc	descriptor;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	Assert(row->count == descriptor->natts);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
											 row->values, row->nulls));
}
