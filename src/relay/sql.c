/*-------------------------------------------------------------------------
 *
 * sql.c
 *	  SQL functions about the relay, its store and its slots.
 *
 * On a server that is not a relay, functions that show something return no
 * rows, and functions that do something raise an error.  The extension script
 * grants the right to call them.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "relay/relay.h"
#include "relay/senders.h"
#include "relay/seal.h"
#include "relay/slots/slots.h"
#include "relay/sql.h"
#include "sqlrow.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/xid8.h"

PG_FUNCTION_INFO_V1(walstream_get_relay);
PG_FUNCTION_INFO_V1(walstream_get_relay_segments);
PG_FUNCTION_INFO_V1(walstream_get_relay_slots);
PG_FUNCTION_INFO_V1(walstream_relay_oldest_send_lsn);
PG_FUNCTION_INFO_V1(walstream_relay_verify);
PG_FUNCTION_INFO_V1(walstream_relay_pause);
PG_FUNCTION_INFO_V1(walstream_relay_resume);
PG_FUNCTION_INFO_V1(walstream_relay_follow);
PG_FUNCTION_INFO_V1(walstream_relay_restart_after_gap);
PG_FUNCTION_INFO_V1(walstream_relay_forget_store);
PG_FUNCTION_INFO_V1(walstream_create_relay_slot);
PG_FUNCTION_INFO_V1(walstream_drop_relay_slot);

/* In single-user mode there is no shared memory of a relay. */
bool
ws_relay_sql_is_relay(void)
{
	return ws_relay_enabled() && IsPostmasterEnvironment;
}

void
ws_relay_sql_check(void)
{
	ws_sql_check_preloaded();
	if (!ws_relay_sql_is_relay())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this server is not a relay"),
				 errhint("Call this on a server that runs with \"walstream.relay\" set to on.")));
}

void
ws_relay_sql_get_store(WsStore *store)
{
	ws_relay_sql_check();
	if (!ws_relay_get_store(store))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay has not opened its store"),
				 errhint("See the view \"walstream_relay\" for what the relay is doing.")));
}

void
ws_relay_sql_get_position(WsStore *store, TimeLineID *tli, XLogRecPtr *flushed_lsn)
{
	ws_relay_sql_get_store(store);
	if (!ws_relay_get_position(tli, flushed_lsn))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay has no WAL yet"),
				 errhint("See the view \"walstream_relay\" for what the relay is doing.")));
}

/* Add a number, null if it is 0. */
static void
add_number(WsRow *row, int value)
{
	if (value != 0)
		ws_row_add(row, INT4OID, Int32GetDatum(value));
	else
		ws_row_add_null(row);
}

/* Add a string, null if it is empty. */
static void
add_string(WsRow *row, const char *value)
{
	ws_row_add_text(row, value[0] != '\0' ? value : NULL);
}

static void
add_xid(WsRow *row, FullTransactionId value)
{
	if (FullTransactionIdIsValid(value))
		ws_row_add(row, XID8OID, FullTransactionIdGetDatum(value));
	else
		ws_row_add_null(row);
}

/* raw_bytes, stored_bytes */
static void
add_sizes(WsRow *row, const WsStore *store)
{
	WsSegment  *segments;
	int			count = ws_store_list(store, &segments);
	uint64		stored_bytes = 0;

	for (int i = 0; i < count; i++)
		stored_bytes += segments[i].stored_bytes;
	ws_row_add(row, INT8OID, Int64GetDatum((int64) count * store->identity.segment_size));
	ws_row_add(row, INT8OID, Int64GetDatum((int64) stored_bytes));
}

/* Add the columns about WAL; nulls while there is none. */
static void
add_positions(WsRow *row, const WsRelayStatus *status)
{
	if (!status->is_open)
	{
		for (int i = 0; i < 6; i++)
			ws_row_add_null(row);
	}
	else
	{
		add_number(row, status->tli);
		ws_row_add_lsn(row, status->received_lsn);
		ws_row_add_lsn(row, status->written_lsn);
		ws_row_add_lsn(row, status->flushed_lsn);
		add_number(row, status->first_tli);
		ws_row_add_lsn(row, status->first_lsn);
	}
	ws_row_add_lsn(row, status->upstream_lsn);
	ws_row_add_time(row, status->last_message_time);
}

/*
 * One row.
 */
Datum
walstream_get_relay(PG_FUNCTION_ARGS)
{
	WsRelayStatus status;
	WsStore		store;
	bool		has_store;
	WsSealFile	seal;
	WsRow		row = {0};

	ws_sql_check_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	if (!ws_relay_sql_is_relay())
		return (Datum) 0;
	(void) ws_seal_get(&seal);
	ws_relay_get_status(&status);
	has_store = ws_relay_get_store(&store);

	ws_row_add_text(&row, ws_relay_state_name(status.state));
	add_string(&row, status.reason);
	add_string(&row, status.upstream_host);
	add_number(&row, status.upstream_port);
	if (has_store)
		ws_row_add(&row, INT8OID, Int64GetDatum((int64) store.identity.system_identifier));
	else
		ws_row_add_null(&row);
	add_positions(&row, &status);
	if (has_store)
		add_sizes(&row, &store);
	else
	{
		ws_row_add_null(&row);
		ws_row_add_null(&row);
	}
	ws_row_add(&row, INT8OID, Int64GetDatum((int64) status.reconnects));
	add_string(&row, status.last_error);
	ws_row_add_time(&row, status.last_error_time);
	add_number(&row, status.receiver_pid);
	add_number(&row, status.keeper_pid);
	add_number(&row, seal.tli);
	ws_row_add_time(&row, seal.since_us);
	ws_row_add_text(&row, status.standby_names_time != 0 ? status.standby_names : NULL);
	ws_row_add_time(&row, status.standby_names_time);
	ws_row_put(fcinfo, &row);
	return (Datum) 0;
}

Datum
walstream_get_relay_segments(PG_FUNCTION_ARGS)
{
	WsStore		store;
	WsSegment  *segments;
	int			count;

	ws_sql_check_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	if (!ws_relay_sql_is_relay() || !ws_relay_get_store(&store))
		return (Datum) 0;

	count = ws_store_list(&store, &segments);
	for (int i = 0; i < count; i++)
	{
		WsSegment  *segment = &segments[i];
		char		file_name[MAXFNAMELEN + 8];
		WsRow		row = {0};

		ws_segment_file_name(&store, segment->tli, segment->segno, segment->form, file_name);
		ws_row_add(&row, INT4OID, Int32GetDatum(segment->tli));
		ws_row_add_text(&row, file_name);
		ws_row_add(&row, PG_LSNOID, LSNGetDatum(ws_store_segment_lsn(&store, segment->segno)));
		ws_row_add_text(&row, ws_segment_form_name(segment->form));
		ws_row_add(&row, INT8OID, Int64GetDatum(store.identity.segment_size));
		ws_row_add(&row, INT8OID, Int64GetDatum((int64) segment->stored_bytes));
		ws_row_put(fcinfo, &row);
	}
	return (Datum) 0;
}

Datum
walstream_get_relay_slots(PG_FUNCTION_ARGS)
{
	WsSlotSnapshot *slots;
	int			count;
	TimeLineID	tli;
	XLogRecPtr	flushed_lsn;
	bool		has_wal;

	ws_sql_check_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	if (!ws_relay_sql_is_relay())
		return (Datum) 0;

	count = ws_slots_snapshot(&slots);
	has_wal = ws_relay_get_position(&tli, &flushed_lsn);
	for (int i = 0; i < count; i++)
	{
		WsSlotSnapshot *slot = &slots[i];
		WsRow		row = {0};

		ws_row_add_name(&row, slot->name);
		ws_row_add(&row, BOOLOID, BoolGetDatum(slot->temporary));
		add_number(&row, slot->active_pid);
		add_number(&row, slot->restart_tli);
		ws_row_add_lsn(&row, slot->restart_lsn);
		if (has_wal && !slot->lost && !XLogRecPtrIsInvalid(slot->restart_lsn))
			ws_row_add(&row, INT8OID, Int64GetDatum((int64) (flushed_lsn - Min(slot->restart_lsn,
																			   flushed_lsn))));
		else
			ws_row_add_null(&row);
		add_xid(&row, slot->feedback.xmin);
		add_xid(&row, slot->feedback.catalog_xmin);
		ws_row_add(&row, BOOLOID, BoolGetDatum(slot->lost));
		ws_row_put(fcinfo, &row);
	}
	return (Datum) 0;
}

Datum
walstream_relay_oldest_send_lsn(PG_FUNCTION_ARGS)
{
	XLogRecPtr	oldest = InvalidXLogRecPtr;

	ws_sql_check_preloaded();
	if (ws_relay_sql_is_relay())
		oldest = ws_senders_oldest_send_lsn();
	if (XLogRecPtrIsInvalid(oldest))
		PG_RETURN_NULL();
	PG_RETURN_LSN(oldest);
}

/*
 * ok, and if not, the first byte that is wrong and why; bytes verified.
 */
Datum
walstream_relay_verify(PG_FUNCTION_ARGS)
{
	WsStore		store;
	TimeLineID	tli;
	XLogRecPtr	flushed_lsn;
	TimeLineID	bad_tli = 0;
	XLogRecPtr	bad_lsn = InvalidXLogRecPtr;
	char	   *reason = NULL;
	uint64		verified_bytes = 0;
	bool		ok;
	WsRow		row = {0};

	ws_relay_sql_get_position(&store, &tli, &flushed_lsn);
	ok = ws_store_verify(&store, tli, flushed_lsn, &bad_tli, &bad_lsn, &reason,
						 &verified_bytes);

	ws_row_add(&row, BOOLOID, BoolGetDatum(ok));
	add_number(&row, ok ? 0 : bad_tli);
	ws_row_add_lsn(&row, ok ? InvalidXLogRecPtr : bad_lsn);
	ws_row_add_text(&row, ok ? NULL : reason);
	ws_row_add(&row, INT8OID, Int64GetDatum((int64) verified_bytes));
	return ws_row_to_datum(fcinfo, &row);
}

Datum
walstream_relay_pause(PG_FUNCTION_ARGS)
{
	ws_relay_sql_check();
	ws_relay_request(WS_REQUEST_PAUSE);
	PG_RETURN_VOID();
}

Datum
walstream_relay_resume(PG_FUNCTION_ARGS)
{
	ws_relay_sql_check();
	ws_relay_request(WS_REQUEST_RESUME);
	PG_RETURN_VOID();
}

/*
 * Both requests throw something away.  So refuse them unless the relay is in
 * such a state now; a request must not wait for a state that the operator has
 * not seen.
 */
Datum
walstream_relay_follow(PG_FUNCTION_ARGS)
{
	WsRelayStatus status;

	ws_relay_sql_check();
	ws_relay_get_status(&status);
	if (status.state != WS_RELAY_DIVERGED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay has not diverged from its upstream"),
				 errdetail("Its state is \"%s\".", ws_relay_state_name(status.state))));
	ws_relay_request(WS_REQUEST_FOLLOW);
	PG_RETURN_VOID();
}

Datum
walstream_relay_restart_after_gap(PG_FUNCTION_ARGS)
{
	WsRelayStatus status;

	ws_relay_sql_check();
	ws_relay_get_status(&status);
	if (status.state != WS_RELAY_GAP && status.state != WS_RELAY_DIVERGED &&
		status.state != WS_RELAY_BEHIND)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay has neither a gap nor diverged from its upstream, nor is the upstream behind it"),
				 errdetail("Its state is \"%s\".", ws_relay_state_name(status.state))));
	ws_relay_request(WS_REQUEST_RESTART);
	PG_RETURN_VOID();
}

Datum
walstream_relay_forget_store(PG_FUNCTION_ARGS)
{
	WsRelayStatus status;

	ws_relay_sql_check();
	ws_relay_get_status(&status);
	if (status.state != WS_RELAY_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay has not failed to open its store"),
				 errdetail("Its state is \"%s\".", ws_relay_state_name(status.state))));

	/*
	 * after another failure, this would accept a store that goes missing
	 * later
	 */
	if (!status.other_store)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay's failure is not that its store is missing or another one"),
				 errdetail("It has failed with: %s", status.reason),
				 errhint("Mend that; it tries again by itself, after a reload at once.")));
	ws_relay_request(WS_REQUEST_FORGET_STORE);
	PG_RETURN_VOID();
}

/*
 * Returns the position from which the slot holds WAL: all WAL from now on.
 */
Datum
walstream_create_relay_slot(PG_FUNCTION_ARGS)
{
	Name		name;
	bool		temporary;
	WsStore		store;
	TimeLineID	tli;
	XLogRecPtr	flushed_lsn;

	ws_sql_check_arguments(fcinfo, 2);
	name = PG_GETARG_NAME(0);
	temporary = PG_GETARG_BOOL(1);
	ws_relay_sql_get_position(&store, &tli, &flushed_lsn);
	ws_slot_create(&store, NameStr(*name), temporary, tli, flushed_lsn);
	PG_RETURN_LSN(flushed_lsn);
}

Datum
walstream_drop_relay_slot(PG_FUNCTION_ARGS)
{
	Name		name;
	WsStore		store;

	ws_sql_check_arguments(fcinfo, 1);
	name = PG_GETARG_NAME(0);
	ws_relay_sql_get_store(&store);
	ws_slot_drop(&store, NameStr(*name), false);
	PG_RETURN_VOID();
}
