/*-------------------------------------------------------------------------
 *
 * sqlfuncs.c
 *	  Every SQL function: formats snapshots of shared state into rows and
 *	  decides nothing.
 *
 * Who may call what is said in the extension script.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "funcapi.h"
#include "peer.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "shmem.h"
#include "stats.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#define WALSTREAM_VERSION "1.0"

PG_FUNCTION_INFO_V1(walstream_version);
PG_FUNCTION_INFO_V1(walstream_get_sender_slots);
PG_FUNCTION_INFO_V1(walstream_get_receivers);
PG_FUNCTION_INFO_V1(walstream_get_totals);
PG_FUNCTION_INFO_V1(walstream_oldest_send_lsn);
PG_FUNCTION_INFO_V1(walstream_reset_stats);

static void
check_preloaded(void)
{
	if (!ws_shmem_ready())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("walstream must be loaded via \"shared_preload_libraries\""),
				 errhint("Add walstream to \"shared_preload_libraries\" in postgresql.conf and restart the server.")));
}

/* The columns of a row, filled from the left. */
typedef struct Row
{
	Datum		values[32];
	bool		nulls[32];
	int			count;
} Row;

static void
add_value(Row *row, Datum value)
{
	Assert(row->count < (int) lengthof(row->values));
	row->values[row->count] = value;
	row->nulls[row->count++] = false;
}

static void
add_null(Row *row)
{
	Assert(row->count < (int) lengthof(row->values));
	row->values[row->count] = (Datum) 0;
	row->nulls[row->count++] = true;
}

static void
add_text(Row *row, const char *value)
{
	if (value != NULL)
		add_value(row, CStringGetTextDatum(value));
	else
		add_null(row);
}

static void
add_lsn(Row *row, XLogRecPtr value)
{
	if (!XLogRecPtrIsInvalid(value))
		add_value(row, LSNGetDatum(value));
	else
		add_null(row);
}

static void
add_time(Row *row, TimestampTz value)
{
	if (value != 0)
		add_value(row, TimestampTzGetDatum(value));
	else
		add_null(row);
}

/* A lag in microseconds, negative if unknown. */
static void
add_lag(Row *row, TimeOffset value)
{
	Interval   *interval;

	if (value < 0)
	{
		add_null(row);
		return;
	}
	interval = palloc0(sizeof(Interval));
	interval->time = value;
	add_value(row, IntervalPGetDatum(interval));
}

static void
put_row(FunctionCallInfo fcinfo, Row *row)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	Assert(row->count == rsinfo->setDesc->natts);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc,
						 row->values, row->nulls);
}

/* raw_bytes, wire_bytes, messages, frames, bypassed, failures, time in ms */
static void
add_counters(Row *row, const WsCounters *counters)
{
	const uint64 *values = counters->values;

	add_value(row, Int64GetDatum((int64) values[WS_COUNT_RAW_BYTES]));
	add_value(row, Int64GetDatum((int64) values[WS_COUNT_WIRE_BYTES]));
	add_value(row, Int64GetDatum((int64) values[WS_COUNT_MESSAGES]));
	add_value(row, Int64GetDatum((int64) values[WS_COUNT_FRAMES]));
	add_value(row, Int64GetDatum((int64) values[WS_COUNT_BYPASSED]));
	add_value(row, Int64GetDatum((int64) values[WS_COUNT_CODEC_FAILURES]));
	add_value(row, Float8GetDatum(values[WS_COUNT_CODING_NS] / 1000000.0));
}

/* codec, level, reason, streaming_since and the counters; NULLs for NULL */
static void
add_stream(Row *row, const WsPeerSnapshot *peer)
{
	if (peer == NULL)
	{
		for (int i = 0; i < 4 + WS_COUNTERS; i++)
			add_null(row);
		return;
	}

	if (peer->mode == WS_MODE_CODED)
	{
		add_text(row, ws_codec_by_id(peer->codec.id)->name);
		add_value(row, Int32GetDatum(peer->codec.level));
	}
	else
	{
		add_null(row);
		add_null(row);
	}
	add_text(row, ws_peer_mode_reason(peer->mode, peer->reason));
	add_time(row, peer->streaming_since);
	add_counters(row, &peer->counters);
}

static bool
is_sender(WsPeerRole role)
{
	return role == WS_ROLE_PHYSICAL_SENDER || role == WS_ROLE_LOGICAL_SENDER;
}

static const char *
walsender_state_name(WalSndState state)
{
	switch (state)
	{
		case WALSNDSTATE_STARTUP:
			return "startup";
		case WALSNDSTATE_BACKUP:
			return "backup";
		case WALSNDSTATE_CATCHUP:
			return "catchup";
		case WALSNDSTATE_STREAMING:
			return "streaming";
		case WALSNDSTATE_STOPPING:
			return "stopping";
	}
	return "unknown";
}

/* As in pg_stat_replication. */
static const char *
sync_state_name(int slot, const WalSnd *walsnd,
				const SyncRepStandbyData *standbys, int nstandbys)
{
	if (XLogRecPtrIsInvalid(walsnd->flush) || walsnd->sync_standby_priority == 0)
		return "async";
	for (int i = 0; i < nstandbys; i++)
	{
		if (standbys[i].walsnd_index == slot && standbys[i].pid == walsnd->pid)
			return SyncRepConfig->syncrep_method == SYNC_REP_PRIORITY ?
				"sync" : "quorum";
	}
	return "potential";
}

/* PostgreSQL's own part of a walsender slot; NULLs if it is free. */
static void
add_walsender(Row *row, int slot, const WalSnd *walsnd,
			  const SyncRepStandbyData *standbys, int nstandbys)
{
	add_value(row, Int32GetDatum(slot));
	if (walsnd->pid == 0)
	{
		for (int i = 0; i < 12; i++)
			add_null(row);
		return;
	}

	add_value(row, Int32GetDatum(walsnd->pid));
	add_text(row, walsender_state_name(walsnd->state));
	add_lsn(row, walsnd->sentPtr);
	add_lsn(row, walsnd->write);
	add_lsn(row, walsnd->flush);
	add_lsn(row, walsnd->apply);
	add_lag(row, walsnd->writeLag);
	add_lag(row, walsnd->flushLag);
	add_lag(row, walsnd->applyLag);
	add_value(row, Int32GetDatum(XLogRecPtrIsInvalid(walsnd->flush) ? 0 :
								 walsnd->sync_standby_priority));
	add_text(row, sync_state_name(slot, walsnd, standbys, nstandbys));
	add_time(row, walsnd->replyTime);
}

/* Copy one of PostgreSQL's walsender slots under its lock. */
static WalSnd
copy_walsender(int slot)
{
	WalSnd	   *walsnd = &WalSndCtl->walsnds[slot];
	WalSnd		copy;

	SpinLockAcquire(&walsnd->mutex);
	copy = *walsnd;
	SpinLockRelease(&walsnd->mutex);
	return copy;
}

Datum
walstream_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(WALSTREAM_VERSION));
}

/*
 * All max_wal_senders slots, free ones too.
 */
Datum
walstream_get_sender_slots(PG_FUNCTION_ARGS)
{
	SyncRepStandbyData *standbys;
	int			nstandbys;
	WsPeerSnapshot *peers;
	int			npeers;

	check_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	nstandbys = SyncRepGetCandidateStandbys(&standbys);
	npeers = ws_peer_snapshot(&peers);

	for (int slot = 0; slot < max_wal_senders; slot++)
	{
		WalSnd		walsnd = copy_walsender(slot);
		WsPeerSnapshot *peer = NULL;
		Row			row = {0};

		for (int i = 0; i < npeers && walsnd.pid != 0; i++)
		{
			if (peers[i].pid == walsnd.pid && is_sender(peers[i].role))
				peer = &peers[i];
		}

		add_walsender(&row, slot, &walsnd, standbys, nstandbys);
		add_stream(&row, peer);
		put_row(fcinfo, &row);
	}
	return (Datum) 0;
}

Datum
walstream_get_receivers(PG_FUNCTION_ARGS)
{
	WsPeerSnapshot *peers;
	int			npeers;

	check_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	npeers = ws_peer_snapshot(&peers);

	for (int i = 0; i < npeers; i++)
	{
		Row			row = {0};

		if (is_sender(peers[i].role))
			continue;
		add_value(&row, Int32GetDatum(peers[i].pid));
		add_text(&row, ws_peer_role_name(peers[i].role));
		add_text(&row, peers[i].name);
		add_lsn(&row, peers[i].position);
		add_stream(&row, &peers[i]);
		put_row(fcinfo, &row);
	}
	return (Datum) 0;
}

/*
 * What a live stream has done is added to the totals of its name and role.
 */
static void
merge_peer(WsTotal *totals, int *ntotals, const WsPeerSnapshot *peer)
{
	const char *name = ws_stats_total_name(peer->name);
	WsTotal    *total = NULL;

	for (int i = 0; i < *ntotals && total == NULL; i++)
	{
		if (totals[i].role == (int) peer->role &&
			strcmp(totals[i].name, name) == 0)
			total = &totals[i];
	}
	if (total == NULL)
	{
		total = &totals[(*ntotals)++];
		memset(total, 0, sizeof(*total));
		strlcpy(total->name, name, NAMEDATALEN);
		total->role = peer->role;
	}
	for (int i = 0; i < WS_COUNTERS; i++)
		total->counters.values[i] += peer->counters.values[i];
	total->streams++;
}

Datum
walstream_get_totals(PG_FUNCTION_ARGS)
{
	WsTotal    *ended;
	WsTotal    *totals;
	int			ntotals;
	WsPeerSnapshot *peers;
	int			npeers;
	TimestampTz reset_time;

	check_preloaded();
	InitMaterializedSRF(fcinfo, 0);

	LWLockAcquire(ws_shmem_lock(), LW_SHARED);
	reset_time = ws_stats_reset_time();
	ntotals = ws_stats_snapshot_totals(&ended);
	npeers = ws_peer_snapshot(&peers);
	LWLockRelease(ws_shmem_lock());

	totals = palloc((ntotals + npeers) * sizeof(WsTotal));
	memcpy(totals, ended, ntotals * sizeof(WsTotal));
	for (int i = 0; i < npeers; i++)
		merge_peer(totals, &ntotals, &peers[i]);

	for (int i = 0; i < ntotals; i++)
	{
		Row			row = {0};

		add_text(&row, totals[i].name);
		add_text(&row, totals[i].role >= 0 ?
				 ws_peer_role_name(totals[i].role) : NULL);
		add_value(&row, Int64GetDatum((int64) totals[i].streams));
		add_counters(&row, &totals[i].counters);
		add_time(&row, totals[i].last_end);
		add_time(&row, reset_time);
		put_row(fcinfo, &row);
	}
	return (Datum) 0;
}

/*
 * How far the slowest walsender is that streams; NULL if none does.
 */
Datum
walstream_oldest_send_lsn(PG_FUNCTION_ARGS)
{
	XLogRecPtr	oldest = InvalidXLogRecPtr;

	check_preloaded();

	for (int slot = 0; slot < max_wal_senders; slot++)
	{
		WalSnd		walsnd = copy_walsender(slot);

		if (walsnd.pid == 0 || walsnd.state < WALSNDSTATE_CATCHUP ||
			XLogRecPtrIsInvalid(walsnd.sentPtr))
			continue;
		if (XLogRecPtrIsInvalid(oldest) || walsnd.sentPtr < oldest)
			oldest = walsnd.sentPtr;
	}

	if (XLogRecPtrIsInvalid(oldest))
		PG_RETURN_NULL();
	PG_RETURN_LSN(oldest);
}

Datum
walstream_reset_stats(PG_FUNCTION_ARGS)
{
	check_preloaded();
	ws_stats_reset();
	PG_RETURN_VOID();
}
