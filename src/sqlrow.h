/*-------------------------------------------------------------------------
 *
 * sqlrow.h
 *	  Builds rows for SQL functions, column by column.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_SQLROW_H
#define WS_SQLROW_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "fmgr.h"

/* The columns of a row, filled from the left; begins as {0}. */
typedef struct WsRow
{
	Oid			types[32];		/* types of the columns that are not null */
	Datum		values[32];
	bool		nulls[32];
	int			count;
} WsRow;

/* Raise an ERROR unless walstream has its shared memory. */
extern void ws_sql_check_preloaded(void);

/*
 * Raise an ERROR unless the function has this number of arguments, since the
 * extension's script may have another version than this library.
 */
extern void ws_sql_check_arguments(FunctionCallInfo fcinfo, int count);

extern void ws_row_add(WsRow *row, Oid type, Datum value);
extern void ws_row_add_null(WsRow *row);
extern void ws_row_add_text(WsRow *row, const char *value); /* NULL: null */
extern void ws_row_add_name(WsRow *row, const char *value);
extern void ws_row_add_lsn(WsRow *row, XLogRecPtr value);	/* Invalid: null */
extern void ws_row_add_time(WsRow *row, TimestampTz value); /* 0: null */

/* Add a lag in microseconds, null if it is negative. */
extern void ws_row_add_lag(WsRow *row, TimeOffset value);

/*
 * Return a row from a function that has called InitMaterializedSRF().  Raises
 * an ERROR unless the function is defined with the columns that the row has.
 */
extern void ws_row_put(FunctionCallInfo fcinfo, WsRow *row);

/* Return the row from a function that returns one record. */
extern Datum ws_row_to_datum(FunctionCallInfo fcinfo, WsRow *row);

#endif							/* WS_SQLROW_H */
