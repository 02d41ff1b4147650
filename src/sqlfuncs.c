/*-------------------------------------------------------------------------
 *
 * sqlfuncs.c
 *	  The SQL functions about streams, which only format snapshots of shared
 *	  state as rows.
 *
 * The functions about a relay and its store are in relay/sql.c.
 *
 * The extension script grants the right to call them.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "peer.h"
#include "relay/relay.h"
#include "relay/senders.h"
#include "relay/slots/slots.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "shmem.h"
#include "sqlrow.h"
#include "stats.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(walstream_version);
PG_FUNCTION_INFO_V1(walstream_get_sender_slots);
PG_FUNCTION_INFO_V1(walstream_get_relay_senders);
PG_FUNCTION_INFO_V1(walstream_get_receivers);
PG_FUNCTION_INFO_V1(walstream_get_totals);
PG_FUNCTION_INFO_V1(walstream_oldest_send_lsn);
PG_FUNCTION_INFO_V1(walstream_reset_stats);

/* raw_bytes, wire_bytes, messages, frames, bypassed, failures, time in ms */
static void
add_counters(WsRow *row, const WsCounters *counters)
{
	const uint64 *values = counters->values;

	ws_row_add(row, INT8OID, Int64GetDatum((int64) values[WS_COUNT_RAW_BYTES]));
	ws_row_add(row, INT8OID, Int64GetDatum((int64) values[WS_COUNT_WIRE_BYTES]));
	ws_row_add(row, INT8OID, Int64GetDatum((int64) values[WS_COUNT_MESSAGES]));
	ws_row_add(row, INT8OID, Int64GetDatum((int64) values[WS_COUNT_FRAMES]));
	ws_row_add(row, INT8OID, Int64GetDatum((int64) values[WS_COUNT_BYPASSED]));
	ws_row_add(row, INT8OID, Int64GetDatum((int64) values[WS_COUNT_CODEC_FAILURES]));
	ws_row_add(row, FLOAT8OID, Float8GetDatum(values[WS_COUNT_CODING_NS] / 1000000.0));
}

/* codec, level, reason, streaming_since and the counters; NULLs for NULL */
static void
add_stream(WsRow *row, const WsPeerSnapshot *peer)
{
	if (peer == NULL)
	{
		for (int i = 0; i < 4 + WS_COUNTERS; i++)
			ws_row_add_null(row);
		return;
	}

	if (peer->mode == WS_MODE_CODED)
	{
		ws_row_add_text(row, ws_codec_name(peer->codec.id));
		ws_row_add(row, INT4OID, Int32GetDatum(peer->codec.level));
	}
	else
	{
		ws_row_add_null(row);
		ws_row_add_null(row);
	}
	ws_row_add_text(row, ws_peer_mode_reason(peer->mode, peer->reason));
	ws_row_add_time(row, peer->streaming_since);
	add_counters(row, &peer->counters);
}

/* Returns who holds a stream's rate down; NULL if nobody does. */
static const char *
pacer_name(WsPacing pacing)
{
	return pacing == WS_PACING_KERNEL ? "kernel" :
		pacing == WS_PACING_OWN ? "walstream" : NULL;
}

/* Returns why a limit is not applied; NULL if it is, or there is none. */
static const char *
unpaced_reason(WsPacing pacing)
{
	return pacing == WS_PACING_SYNCHRONOUS ? "commits wait for the standby" :
		pacing == WS_PACING_STOPPING ? "the walsender is stopping" : NULL;
}

/*
 * rate_limit, paced_by, unpaced_reason and congestion_control of a sender's
 * stream; NULLs for NULL
 */
static void
add_network(WsRow *row, const WsPeerSnapshot *peer)
{
	WsPacing	pacing = peer != NULL ? peer->pacing : WS_PACING_NONE;

	if (pacing != WS_PACING_NONE)
		ws_row_add(row, INT8OID, Int64GetDatum(peer->rate_limit));
	else
		ws_row_add_null(row);
	ws_row_add_text(row, pacer_name(pacing));
	ws_row_add_text(row, unpaced_reason(pacing));
	if (peer != NULL && peer->congestion_control[0] != '\0')
		ws_row_add_text(row, peer->congestion_control);
	else
		ws_row_add_null(row);
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

/* Returns the state's name, as in pg_stat_replication. */
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

/* Add the columns of PostgreSQL's walsender slot; NULLs if it is free. */
static void
add_walsender(WsRow *row, int slot, const WalSnd *walsnd,
			  const SyncRepStandbyData *standbys, int nstandbys)
{
	ws_row_add(row, INT4OID, Int32GetDatum(slot));
	if (walsnd->pid == 0)
	{
		for (int i = 0; i < 12; i++)
			ws_row_add_null(row);
		return;
	}

	ws_row_add(row, INT4OID, Int32GetDatum(walsnd->pid));
	ws_row_add_text(row, walsender_state_name(walsnd->state));
	ws_row_add_lsn(row, walsnd->sentPtr);
	ws_row_add_lsn(row, walsnd->write);
	ws_row_add_lsn(row, walsnd->flush);
	ws_row_add_lsn(row, walsnd->apply);
	ws_row_add_lag(row, walsnd->writeLag);
	ws_row_add_lag(row, walsnd->flushLag);
	ws_row_add_lag(row, walsnd->applyLag);
	ws_row_add(row, INT4OID, Int32GetDatum(XLogRecPtrIsInvalid(walsnd->flush) ? 0 :
										   walsnd->sync_standby_priority));
	ws_row_add_text(row, sync_state_name(slot, walsnd, standbys, nstandbys));
	ws_row_add_time(row, walsnd->replyTime);
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
	PG_RETURN_TEXT_P(cstring_to_text(WS_VERSION));
}

/* Find the stream that a process sends; NULL if there is none. */
static WsPeerSnapshot *
find_sender(WsPeerSnapshot *peers, int npeers, pid_t pid)
{
	for (int i = 0; i < npeers && pid != 0; i++)
	{
		if (peers[i].pid == pid && is_sender(peers[i].role))
			return &peers[i];
	}
	return NULL;
}

/*
 * Return all max_wal_senders slots, including free ones.
 */
Datum
walstream_get_sender_slots(PG_FUNCTION_ARGS)
{
	SyncRepStandbyData *standbys;
	int			nstandbys;
	WsPeerSnapshot *peers;
	int			npeers;

	ws_sql_check_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	nstandbys = SyncRepGetCandidateStandbys(&standbys);
	npeers = ws_peer_snapshot(&peers);

	for (int slot = 0; slot < max_wal_senders; slot++)
	{
		WalSnd		walsnd = copy_walsender(slot);
		WsPeerSnapshot *peer;
		WsRow		row = {0};

		add_walsender(&row, slot, &walsnd, standbys, nstandbys);
		peer = find_sender(peers, npeers, walsnd.pid);
		add_stream(&row, peer);
		add_network(&row, peer);
		ws_row_put(fcinfo, &row);
	}
	return (Datum) 0;
}

/*
 * Like add_walsender().  No commit waits for a relay's downstreams, so the
 * synchronous columns are constant.
 */
static void
add_relay_sender(WsRow *row, const WsSenderSnapshot *sender)
{
	ws_row_add(row, INT4OID, Int32GetDatum(sender->slot));
	if (sender->pid == 0)
	{
		for (int i = 0; i < 12; i++)
			ws_row_add_null(row);
		return;
	}

	ws_row_add(row, INT4OID, Int32GetDatum(sender->pid));
	ws_row_add_text(row, ws_senders_state_name(sender->state));
	ws_row_add_lsn(row, sender->sent_lsn);
	ws_row_add_lsn(row, sender->write_lsn);
	ws_row_add_lsn(row, sender->flush_lsn);
	ws_row_add_lsn(row, sender->apply_lsn);
	ws_row_add_lag(row, sender->write_lag_us);
	ws_row_add_lag(row, sender->flush_lag_us);
	ws_row_add_lag(row, sender->apply_lag_us);
	ws_row_add(row, INT4OID, Int32GetDatum(0));
	ws_row_add_text(row, "async");
	ws_row_add_time(row, sender->reply_time);
}

/*
 * Return the same for a relay's senders, with their relay slots; no rows on
 * other servers.
 */
Datum
walstream_get_relay_senders(PG_FUNCTION_ARGS)
{
	WsSenderSnapshot *senders;
	int			nsenders;
	WsPeerSnapshot *peers;
	int			npeers;

	ws_sql_check_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	if (!ws_relay_enabled())
		return (Datum) 0;
	nsenders = ws_senders_snapshot(&senders);
	npeers = ws_peer_snapshot(&peers);

	for (int i = 0; i < nsenders; i++)
	{
		WsSenderSnapshot *sender = &senders[i];
		WsPeerSnapshot *peer;
		WsSlotSnapshot slot;
		WsRow		row = {0};

		add_relay_sender(&row, sender);
		peer = find_sender(peers, npeers, sender->pid);
		add_stream(&row, peer);
		add_network(&row, peer);
		if (sender->relay_slot[0] != '\0' && ws_slot_get(sender->relay_slot, &slot))
		{
			ws_row_add_name(&row, slot.name);
			ws_row_add_lsn(&row, slot.restart_lsn);
		}
		else
		{
			ws_row_add_null(&row);
			ws_row_add_null(&row);
		}
		ws_row_put(fcinfo, &row);
	}
	return (Datum) 0;
}

Datum
walstream_get_receivers(PG_FUNCTION_ARGS)
{
	WsPeerSnapshot *peers;
	int			npeers;

	ws_sql_check_preloaded();
	InitMaterializedSRF(fcinfo, 0);
	npeers = ws_peer_snapshot(&peers);

	for (int i = 0; i < npeers; i++)
	{
		WsRow		row = {0};

		if (is_sender(peers[i].role))
			continue;
		ws_row_add(&row, INT4OID, Int32GetDatum(peers[i].pid));
		ws_row_add_text(&row, ws_peer_role_name(peers[i].role));
		ws_row_add_text(&row, peers[i].name);
		ws_row_add_lsn(&row, peers[i].position);
		add_stream(&row, &peers[i]);
		ws_row_put(fcinfo, &row);
	}
	return (Datum) 0;
}

/*
 * Add a live stream's counters to the totals of its name and role.
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

	ws_sql_check_preloaded();
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
		WsRow		row = {0};

		ws_row_add_text(&row, totals[i].name);
		ws_row_add_text(&row, totals[i].role >= 0 ?
						ws_peer_role_name(totals[i].role) : NULL);
		ws_row_add(&row, INT8OID, Int64GetDatum((int64) totals[i].streams));
		add_counters(&row, &totals[i].counters);
		ws_row_add_time(&row, totals[i].last_end);
		ws_row_add_time(&row, reset_time);
		ws_row_put(fcinfo, &row);
	}
	return (Datum) 0;
}

/*
 * Returns the position of the slowest streaming walsender; NULL if none
 * streams.
 */
Datum
walstream_oldest_send_lsn(PG_FUNCTION_ARGS)
{
	XLogRecPtr	oldest = InvalidXLogRecPtr;

	ws_sql_check_preloaded();

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
	ws_sql_check_preloaded();
	ws_stats_reset();
	PG_RETURN_VOID();
}
