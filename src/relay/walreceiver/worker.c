/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  The relay's receiver: a background worker that keeps the store up to date
 *	  with the upstream.
 *
 * It opens and checks the store before it tries to connect, so that stored WAL
 * is served even while the upstream is dead.  Then it connects, streams, and
 * connects again, whatever has ended the connection.  In a state that only an
 * operator can end, it waits.  An error of the store ends the process, and the
 * next one begins from the start.
 *
 * It is connected to a database of this instance, because PostgreSQL's
 * receiver functions can send commands to an upstream only then; it reads
 * nothing there.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog.h"
#include "guc.h"
#include "peertext.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "receiver.h"
#include "relay/chain.h"
#include "relay/seal.h"
#include "relay/slots/slots.h"
#include "relay/standby_names.h"
#include "relay/walreceiver/state.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "waitevent.h"

#define DATABASE_NAME	"postgres"

/*
 * Pause between attempts to connect.  After a connection that has brought new
 * WAL, or has lasted, there is no pause, except that this much time passes
 * between the beginnings of both.  Further pauses are this long, doubled each
 * time, up to wal_retrieve_retry_interval.
 */
#define MIN_RETRY_MS	500

/*
 * Most timelines in a row that may end on a connection without bringing
 * anything new.
 */
#define MAX_IDLE_STREAMS	3

static void
take_settings(WsRcv *rcv)
{
	const WsRelaySettings *settings = ws_guc_relay();

	if (!ws_rcv_settings_differ(rcv))
		return;
	if (rcv->settings.upstream != NULL)
	{
		pfree(rcv->settings.upstream);
		pfree(rcv->settings.slot);
	}

	/* permissions and findings belong to the former upstream */
	memset(&rcv->decision, 0, sizeof(rcv->decision));
	rcv->settings.upstream = MemoryContextStrdup(TopMemoryContext, settings->upstream);
	rcv->settings.slot = MemoryContextStrdup(TopMemoryContext, settings->slot);
}

/* Wait until woken, or for this long; -1 means until woken. */
static void
wait_for_wake_up(long timeout_ms)
{
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
					 (timeout_ms >= 0 ? WL_TIMEOUT : 0),
					 timeout_ms, ws_waitevent(WS_WAIT_RELAY_RECEIVER));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	(void) ws_guc_reload();
}

static void
load_slots(WsRcv *rcv)
{
	if (!ws_slots_are_loaded())
		ws_slots_load(&rcv->stored.store);
}

/* Check that this server can read the WAL of the store's cluster. */
static void
check_store(const WsStore *store)
{
	const WsStoreIdentity *identity = &store->identity;

	if (identity->major_version != WS_MAJOR_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay's WAL in \"%s\" is of PostgreSQL %u, this server is a PostgreSQL %d",
						store->path, identity->major_version, WS_MAJOR_VERSION),
				 errhint("Use another walstream.relay_directory for the new version's WAL.")));
	if (identity->block_size != XLOG_BLCKSZ)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay's WAL in \"%s\" has a block size of %u, this server has %d",
						store->path, identity->block_size, XLOG_BLCKSZ)));
}

static void
open_store(WsRcv *rcv)
{
	WsStoreExtent extent;

	ws_rcv_set_state(WS_RELAY_OPENING, NULL);
	if (ws_relay_is_requested(WS_REQUEST_FORGET_STORE, true))
		ws_known_forget();
	rcv->stored.is_open = ws_store_open(ws_guc_relay()->directory, &rcv->stored.store);
	if (!rcv->stored.is_open)
	{
		ws_rcv_set_state(WS_RELAY_WAITING, NULL);
		return;
	}

	check_store(&rcv->stored.store);
	ws_seal_load(&rcv->stored.store);
	ws_standby_names_load(&rcv->stored.store);
	load_slots(rcv);
	ws_relay_lock_store();
	ws_store_drop_unchecked(&rcv->stored.store);
	if (ws_store_find_closed(&rcv->stored.store, &extent))
		ws_relay_publish_closed(&rcv->stored.store, &extent);
	rcv->stored.has_wal = ws_store_recover(&rcv->stored.store, ws_relay_is_synced(), &extent);
	ws_relay_set_synced(true);

	/* the directory may be left over from a failure of setting aside */
	if (rcv->stored.has_wal)
		ws_slots_reset_floor(extent.first_lsn);

	/*
	 * from here on the WAL is served and kept, however long connecting takes
	 */
	ws_relay_publish_store(&rcv->stored.store, rcv->stored.has_wal ? &extent : NULL);
	ws_relay_unlock_store();
	ws_rcv_set_state(WS_RELAY_WAITING, NULL);
	if (rcv->stored.has_wal)
	{
		ws_seal_end_before(&rcv->stored.store, extent.tli, extent.end_lsn);
		rcv->stored.end.tli = extent.tli;
		rcv->stored.end.lsn = extent.end_lsn;
		rcv->stored.served = rcv->stored.end;
		ereport(LOG,
				(errmsg("relay has WAL from " WS_LSN " on timeline %u up to " WS_LSN " on timeline %u",
						LSN_FORMAT_ARGS(extent.first_lsn), extent.first_tli,
						LSN_FORMAT_ARGS(extent.end_lsn), extent.tli)));
	}
}

/*
 * Make a new store for this upstream's cluster, to which the relay belongs
 * from now on.
 */
static void
create_store(WsRcv *rcv)
{
	WsStoreIdentity identity;

	identity.system_identifier = rcv->upstream.identifier;
	identity.segment_size = rcv->upstream.segment_size;
	identity.block_size = XLOG_BLCKSZ;
	identity.major_version = WS_MAJOR_VERSION;
	ws_store_create(ws_guc_relay()->directory, &identity, &rcv->stored.store);
	rcv->stored.is_open = true;
	ws_seal_load(&rcv->stored.store);
	ws_standby_names_load(&rcv->stored.store);
	load_slots(rcv);
	ws_relay_publish_store(&rcv->stored.store, NULL);
	ereport(LOG,
			(errmsg("relay keeps the WAL of the cluster with system identifier " UINT64_FORMAT " in \"%s\"",
					identity.system_identifier, rcv->stored.store.path)));
}

/*
 * Check the position of an upstream that has ended a timeline.  An honest one
 * has left that timeline for a newer one, and may leave a timeline or two
 * before we have anything of them.  Other ends could be repeated for ever, as
 * fast as the network allows; so they end the connection, after which there is
 * a pause.
 */
static void
check_next(WsRcv *rcv, const WsPlanStart *start, bool has_gained, int *idle_streams)
{
	if (XLogRecPtrIsInvalid(start->switch_lsn) && rcv->upstream.tli <= start->tli)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("upstream ended timeline %u, and is on timeline %u",
						start->tli, rcv->upstream.tli)));
	*idle_streams = has_gained ? 0 : *idle_streams + 1;
	if (*idle_streams > MAX_IDLE_STREAMS)
		ereport(ERROR,
				(ws_rcv_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("upstream ends one timeline after the other without sending anything new")));
}

static void
note_standby_names(const WsRcv *rcv)
{
	if (rcv->upstream.standby_names != NULL)
		ws_standby_names_note(&rcv->stored.store, rcv->upstream.tli,
							  rcv->upstream.standby_names, rcv->upstream.lsn);
}

/* Receive from the upstream until the connection ends. */
static WsRcvEnd
run_connection(WsRcv *rcv)
{
	WsRcvEnd	end;
	int			idle_streams = 0;

	ws_rcv_check_version(rcv);
	end = ws_rcv_check_chain(rcv);
	if (end != WS_RCV_NEXT)
		return end;
	end = ws_rcv_check_upstream(rcv);
	if (!rcv->stored.is_open)
		create_store(rcv);
	note_standby_names(rcv);
	if (end != WS_RCV_NEXT)
		return end;

	for (;;)
	{
		WsPlanStart start;
		WsPlanPoint before;
		bool		has_gained;

		end = ws_rcv_plan(rcv, &start);
		if (end != WS_RCV_NEXT)
			return end;
		before = rcv->stored.end;
		end = ws_rcv_stream(rcv, &start);
		if (end != WS_RCV_NEXT)
			return end;

		has_gained = rcv->stored.end.tli != before.tli ||
			rcv->stored.end.lsn != before.lsn;
		ws_rcv_identify_again(rcv);
		note_standby_names(rcv);
		check_next(rcv, &start, has_gained, &idle_streams);
	}
}

/*
 * Note that connecting failed, or that a connection has ended in this way.
 * Returns true if that has not been logged since the last connection that made
 * progress: once is enough.
 */
static bool
note_failure(WsRcv *rcv, const char *message)
{
	static char last_message[WS_RELAY_TEXT];
	bool		is_news = rcv->attempts.failed == 0 ||
		strncmp(last_message, message, sizeof(last_message) - 1) != 0;

	strlcpy(last_message, message, sizeof(last_message));

	/* permissions are not meant for another server that may answer later */
	rcv->decision.follow_allowed = rcv->decision.restart_allowed = false;
	ws_relay_note_error(message);
	ws_rcv_set_state(WS_RELAY_WAITING, message);
	return is_news;
}

/*
 * The connection has ended.  One that lasted counts as a success even if it
 * brought nothing; one that ended at once does not.
 */
static void
forgive_attempts(WsRcv *rcv)
{
	TimestampTz since = rcv->attempts.streaming_since;

	if (since != 0 &&
		TimestampDifferenceExceeds(since, GetCurrentTimestamp(), wal_retrieve_retry_interval))
		rcv->attempts.failed = 0;
}

/*
 * Like run_connection(), but errors of the upstream end only the connection.
 */
static WsRcvEnd
try_connection(WsRcv *rcv)
{
	MemoryContext context = CurrentMemoryContext;
	volatile WsRcvEnd end = WS_RCV_RETRY;
	ErrorData  *volatile error = NULL;
	char	   *message;

	PG_TRY();
	{
		end = run_connection(rcv);
	}
	PG_CATCH();
	{
		if (!ws_rcv_take_blame())
			PG_RE_THROW();
		MemoryContextSwitchTo(rcv->upstream.context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	forgive_attempts(rcv);
	if (error == NULL)
		return end;

	ws_rcv_clean_up();
	ws_rcv_stream_finish(rcv, false);
	MemoryContextSwitchTo(rcv->upstream.context);
	message = error->detail == NULL ? error->message :
		psprintf("%s: %s", error->message, error->detail);
	if (note_failure(rcv, message))
	{
		error->elevel = LOG;
		error->message = ws_peertext_for_log(error->message);
		ThrowErrorData(error);
	}
	MemoryContextSwitchTo(context);
	return WS_RCV_RETRY;
}

/*
 * Connect and run.  A host that does not let us in does not end the process.
 */
static WsRcvEnd
connect_and_run(WsRcv *rcv)
{
	char	   *error = NULL;
	WsRcvEnd	end = WS_RCV_RETRY;

	rcv->attempts.begin_time = GetCurrentTimestamp();
	rcv->attempts.streaming_since = 0;
	if (ws_rcv_connect(rcv, &error))
		end = try_connection(rcv);
	else if (note_failure(rcv, error))
		ereport(LOG,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("relay could not connect to its upstream: %s",
						ws_peertext_for_log(error))));
	ws_rcv_disconnect(rcv);
	return end;
}

/*
 * After WS_RCV_DIVERGED or WS_RCV_GAP: wait until an operator has decided or
 * changed the settings.
 */
static void
wait_for_operator(WsRcv *rcv)
{
	rcv->decision.follow_allowed = false;
	while (!ws_rcv_settings_differ(rcv) && !ws_relay_is_requested(WS_REQUEST_PAUSE, false))
	{
		/* try even where that cannot help; the result is the same state then */
		if (ws_relay_is_requested(WS_REQUEST_FOLLOW, true))
		{
			rcv->decision.follow_allowed = true;
			return;
		}
		if (ws_relay_is_requested(WS_REQUEST_RESTART, true))
		{
			rcv->decision.restart_allowed = true;
			return;
		}
		if (ws_relay_is_requested(WS_REQUEST_RESUME, true) ||
			ws_relay_is_requested(WS_REQUEST_LOOK_AGAIN, true))
			return;
		wait_for_wake_up(-1);
	}
}

static void
wait_while_paused(WsRcv *rcv)
{
	if (!ws_relay_is_requested(WS_REQUEST_PAUSE, false))
		return;
	ws_rcv_set_state(WS_RELAY_PAUSED, "walstream_relay_pause() was called");
	ereport(LOG, (errmsg("relay pauses receiving")));
	while (ws_relay_is_requested(WS_REQUEST_PAUSE, false))
		wait_for_wake_up(-1);
	ws_relay_is_requested(WS_REQUEST_RESUME, true);
	ereport(LOG, (errmsg("relay resumes receiving")));
}

/* The state tells the reason, except after WS_RCV_CHANGED. */
static void
wait_before_retry(WsRcv *rcv)
{
	TimestampTz until;
	int			delay_ms = MIN_RETRY_MS;

	if (ws_rcv_state() == WS_RELAY_CATCHING_UP || ws_rcv_state() == WS_RELAY_STREAMING)
		ws_rcv_set_state(WS_RELAY_WAITING, "the connection is made again, to begin elsewhere");
	for (int i = 2; i < rcv->attempts.failed && delay_ms < wal_retrieve_retry_interval; i++)
		delay_ms *= 2;
	delay_ms = Min(delay_ms, Max(wal_retrieve_retry_interval, 1));
	until = TimestampTzPlusMilliseconds(rcv->attempts.failed <= 1 ? rcv->attempts.begin_time :
										GetCurrentTimestamp(), delay_ms);

	while (!ws_rcv_must_end(rcv))
	{
		long		left_ms;

		if (ws_rcv_state() == WS_RELAY_BEHIND &&
			ws_relay_is_requested(WS_REQUEST_RESTART, true))
		{
			rcv->decision.restart_allowed = true;
			return;
		}
		if (ws_rcv_state() == WS_RELAY_SEALED &&
			ws_seal_generation() != rcv->upstream.seal_generation)
			return;
		left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

		/* or the clock was put back */
		if (left_ms <= 0 || left_ms > delay_ms)
			return;
		wait_for_wake_up(left_ms);
	}
}

static void
retry(WsRcv *rcv)
{
	rcv->attempts.failed++;
	wait_before_retry(rcv);
}

/* before_shmem_exit: keep what has arrived, and report it to the upstream. */
static void
finish(int code, Datum arg)
{
	WsRcv	   *rcv = (WsRcv *) DatumGetPointer(arg);

	ws_rcv_stream_finish(rcv, ws_relay_worker_was_told_to_end());
	ws_rcv_hang_up(rcv);
}

/* before_shmem_exit, after the one above or if that has failed. */
static void
tell_nothing_more(int code, Datum arg)
{
	ws_seal_end_stream();
}

static void
receive_for_ever(void)
{
	static WsRcv rcv;

	BackgroundWorkerInitializeConnection(DATABASE_NAME, NULL, BGWORKER_BYPASS_ALLOWCONN);
	ws_receiver_enable();
	ws_rcv_link_init();
	ws_standby_names_end_asking();
	before_shmem_exit(tell_nothing_more, 0);
	open_store(&rcv);
	before_shmem_exit(finish, PointerGetDatum(&rcv));

	for (;;)
	{
		wait_while_paused(&rcv);
		take_settings(&rcv);
		if (rcv.settings.upstream[0] == '\0')
		{
			ws_rcv_set_state(WS_RELAY_WAITING, "walstream.relay_upstream is not set");
			wait_for_wake_up(-1);
			continue;
		}

		switch (connect_and_run(&rcv))
		{
			case WS_RCV_DIVERGED:
			case WS_RCV_GAP:
				rcv.decision.was_compared = false;
				wait_for_operator(&rcv);
				break;
			case WS_RCV_CHANGED:
				if (!ws_rcv_must_end(&rcv))
					retry(&rcv);
				break;
			case WS_RCV_RETRY:
				retry(&rcv);
				break;
			default:
				break;
		}
	}
}

void
walstream_relay_receiver_main(Datum arg)
{
	ws_relay_worker_run(false, receive_for_ever);
}
