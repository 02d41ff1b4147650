/*-------------------------------------------------------------------------
 *
 * sqlrow.c
 *	  Builds rows for SQL functions, column by column.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "shmem.h"
#include "sqlrow.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

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
ws_row_add(WsRow *row, Oid type, Datum value)
{
	Assert(row->count < (int) lengthof(row->values));
	row->types[row->count] = type;
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
		ws_row_add(row, TEXTOID, CStringGetTextDatum(value));
	else
		ws_row_add_null(row);
}

void
ws_row_add_name(WsRow *row, const char *value)
{
	Name		name = palloc0(sizeof(NameData));

	strlcpy(NameStr(*name), value, NAMEDATALEN);
	ws_row_add(row, NAMEOID, NameGetDatum(name));
}

void
ws_row_add_lsn(WsRow *row, XLogRecPtr value)
{
	if (!XLogRecPtrIsInvalid(value))
		ws_row_add(row, PG_LSNOID, LSNGetDatum(value));
	else
		ws_row_add_null(row);
}

void
ws_row_add_time(WsRow *row, TimestampTz value)
{
	/* a peer may send a time that is not a valid timestamp */
	if (value != 0 && IS_VALID_TIMESTAMP(value))
		ws_row_add(row, TIMESTAMPTZOID, TimestampTzGetDatum(value));
	else
		ws_row_add_null(row);
}

/* Add a lag in microseconds, null if it is negative. */
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
	ws_row_add(row, INTERVALOID, IntervalPGetDatum(interval));
}

/*
 * The extension's script defines a function's result and arguments, and may
 * have another version than this library: an older one until ALTER EXTENSION
 * UPDATE has been run in this database.
 */
static void
refuse_definition(FunctionCallInfo fcinfo, const char *detail)
{
	const char *name = get_func_name(fcinfo->flinfo->fn_oid);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
			 errmsg("function \"%s\" was defined for another version of walstream",
					name != NULL ? name : "?"),
			 errdetail_internal("%s", detail),
			 errhint("Run \"ALTER EXTENSION walstream UPDATE\" in this database; if that changes nothing, restart the server, which still runs an older library.")));
}

void
ws_sql_check_arguments(FunctionCallInfo fcinfo, int count)
{
	if (PG_NARGS() != count)
		refuse_definition(fcinfo,
						  psprintf(_("It is defined with %d arguments; this library takes %d."),
								   PG_NARGS(), count));
}

/* A value of another type could be taken for a pointer. */
static void
check_row(FunctionCallInfo fcinfo, const WsRow *row, TupleDesc descriptor)
{
	if (descriptor->natts != row->count)
		refuse_definition(fcinfo,
						  psprintf(_("It is defined with %d columns; this library returns %d."),
								   descriptor->natts, row->count));
	for (int i = 0; i < row->count; i++)
	{
		Form_pg_attribute column = TupleDescAttr(descriptor, i);

		if (!row->nulls[i] && column->atttypid != row->types[i])
			refuse_definition(fcinfo,
							  psprintf(_("Column \"%s\" is defined as %s; this library returns %s."),
									   NameStr(column->attname),
									   format_type_be(column->atttypid),
									   format_type_be(row->types[i])));
	}
}

void
ws_row_put(FunctionCallInfo fcinfo, WsRow *row)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	check_row(fcinfo, row, rsinfo->setDesc);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc,
						 row->values, row->nulls);
}

Datum
ws_row_to_datum(FunctionCallInfo fcinfo, WsRow *row)
{
	TupleDesc	descriptor;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	check_row(fcinfo, row, descriptor);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
											 row->values, row->nulls));
}
