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
#include "postmaster/interrupt.h"
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
take_settings(WsPull *pull)
{
	const WsRelaySettings *settings = ws_guc_relay();

	if (!ws_pull_settings_differ(pull))
		return;
	if (pull->settings.upstream != NULL)
	{
		pfree(pull->settings.upstream);
		pfree(pull->settings.slot);
	}

	/* these were meant for the other upstream, or learned from it */
	memset(&pull->decision, 0, sizeof(pull->decision));
	pull->settings.upstream = MemoryContextStrdup(TopMemoryContext, settings->upstream);
	pull->settings.slot = MemoryContextStrdup(TopMemoryContext, settings->slot);
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
	ws_pull_reload();
}

static void
load_slots(WsPull *pull)
{
	if (!ws_slots_are_loaded())
		ws_slots_load(&pull->stored.store);
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
open_store(WsPull *pull)
{
	WsStoreExtent extent;

	ws_pull_set_state(WS_RELAY_OPENING, NULL);
	if (ws_relay_is_requested(WS_REQUEST_FORGET_STORE, true))
		ws_known_forget();
	pull->stored.is_open = ws_store_open(ws_guc_relay()->directory, &pull->stored.store);
	if (!pull->stored.is_open)
	{
		ws_pull_set_state(WS_RELAY_WAITING, NULL);
		return;
	}

	check_store(&pull->stored.store);
	ws_seal_load(&pull->stored.store);
	ws_standby_names_load(&pull->stored.store);
	load_slots(pull);
	ws_relay_lock_store();
	ws_store_drop_unchecked(&pull->stored.store);
	if (ws_store_find_closed(&pull->stored.store, &extent))
		ws_relay_publish_closed(&pull->stored.store, &extent);
	pull->stored.has_wal = ws_store_recover(&pull->stored.store, ws_relay_is_synced(), &extent);
	ws_relay_set_synced(true);

	/* the directory may be left over from a failure of setting aside */
	if (pull->stored.has_wal)
		ws_slots_reset_floor(extent.first_lsn);

	/*
	 * from here on the WAL is served and kept, however long connecting takes
	 */
	ws_relay_publish_store(&pull->stored.store, pull->stored.has_wal ? &extent : NULL);
	ws_relay_unlock_store();
	ws_pull_set_state(WS_RELAY_WAITING, NULL);
	if (pull->stored.has_wal)
	{
		ws_seal_end_before(&pull->stored.store, extent.tli);
		pull->stored.end.tli = extent.tli;
		pull->stored.end.lsn = extent.end_lsn;
		pull->stored.served = pull->stored.end;
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
create_store(WsPull *pull)
{
	WsStoreIdentity identity;

	identity.system_identifier = pull->upstream.identifier;
	identity.segment_size = pull->upstream.segment_size;
	identity.block_size = XLOG_BLCKSZ;
	identity.major_version = WS_MAJOR_VERSION;
	ws_store_create(ws_guc_relay()->directory, &identity, &pull->stored.store);
	pull->stored.is_open = true;
	ws_seal_load(&pull->stored.store);
	ws_standby_names_load(&pull->stored.store);
	load_slots(pull);
	ws_relay_publish_store(&pull->stored.store, NULL);
	ereport(LOG,
			(errmsg("relay keeps the WAL of the cluster with system identifier " UINT64_FORMAT " in \"%s\"",
					identity.system_identifier, pull->stored.store.path)));
}

/*
 * Check the position of an upstream that has ended a timeline.  An honest one
 * has left that timeline for a newer one, and may leave a timeline or two
 * before we have anything of them.  Other ends could be repeated for ever, as
 * fast as the network allows; so they end the connection, after which there is
 * a pause.
 */
static void
check_next(WsPull *pull, const WsPlanStart *start, bool has_gained, int *idle_streams)
{
	if (XLogRecPtrIsInvalid(start->switch_lsn) && pull->upstream.tli <= start->tli)
		ereport(ERROR,
				(ws_pull_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("upstream ended timeline %u, and is on timeline %u",
						start->tli, pull->upstream.tli)));
	*idle_streams = has_gained ? 0 : *idle_streams + 1;
	if (*idle_streams > MAX_IDLE_STREAMS)
		ereport(ERROR,
				(ws_pull_errupstream(),
				 errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("upstream ends one timeline after the other without sending anything new")));
}

/* Receive from the upstream until the connection ends. */
static WsPullEnd
run_connection(WsPull *pull)
{
	WsPullEnd	end;
	int			idle_streams = 0;

	ws_pull_check_version(pull);
	end = ws_pull_check_chain(pull);
	if (end != WS_PULL_NEXT)
		return end;
	end = ws_pull_check_upstream(pull);
	if (!pull->stored.is_open)
		create_store(pull);
	if (pull->upstream.standby_names != NULL)
		ws_standby_names_note(&pull->stored.store, pull->upstream.tli, pull->upstream.standby_names);
	if (end != WS_PULL_NEXT)
		return end;

	for (;;)
	{
		WsPlanStart start;
		WsPlanPoint before;
		bool		has_gained;

		end = ws_pull_plan(pull, &start);
		if (end != WS_PULL_NEXT)
			return end;
		before = pull->stored.end;
		end = ws_pull_stream(pull, &start);
		if (end != WS_PULL_NEXT)
			return end;

		has_gained = pull->stored.end.tli != before.tli ||
			pull->stored.end.lsn != before.lsn;
		ws_pull_identify(pull);
		check_next(pull, &start, has_gained, &idle_streams);
	}
}

/*
 * Note that connecting failed, or that a connection has ended in this way.
 * Returns true if that has not been logged since the last connection that made
 * progress: once is enough.
 */
static bool
note_failure(WsPull *pull, const char *message)
{
	static char last_message[WS_RELAY_TEXT];
	bool		is_news = pull->attempts.failed == 0 ||
		strncmp(last_message, message, sizeof(last_message) - 1) != 0;

	strlcpy(last_message, message, sizeof(last_message));

	/* permissions are not meant for another server that may answer later */
	pull->decision.follow_allowed = pull->decision.restart_allowed = false;
	ws_relay_note_error(message);
	ws_pull_set_state(WS_RELAY_WAITING, message);
	return is_news;
}

/*
 * The connection has ended.  If it brought nothing new, although it lasted, there
 * was nothing new; a connection that ends at once is no good.
 */
static void
forgive_attempts(WsPull *pull)
{
	TimestampTz since = pull->attempts.streaming_since;

	if (since != 0 &&
		TimestampDifferenceExceeds(since, GetCurrentTimestamp(), wal_retrieve_retry_interval))
		pull->attempts.failed = 0;
}

/*
 * Like run_connection(), but errors of the upstream end only the connection.
 */
static WsPullEnd
try_connection(WsPull *pull)
{
	MemoryContext context = CurrentMemoryContext;
	volatile WsPullEnd end = WS_PULL_RETRY;
	ErrorData  *volatile error = NULL;
	char	   *message;

	PG_TRY();
	{
		end = run_connection(pull);
	}
	PG_CATCH();
	{
		if (!ws_pull_take_blame())
			PG_RE_THROW();
		MemoryContextSwitchTo(pull->upstream.context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	forgive_attempts(pull);
	if (error == NULL)
		return end;

	ws_pull_clean_up();
	ws_pull_stream_finish(pull, false);
	MemoryContextSwitchTo(pull->upstream.context);
	message = error->detail == NULL ? error->message :
		psprintf("%s: %s", error->message, error->detail);
	if (note_failure(pull, message))
	{
		error->elevel = LOG;
		error->message = ws_peertext_for_log(error->message);
		ThrowErrorData(error);
	}
	MemoryContextSwitchTo(context);
	return WS_PULL_RETRY;
}

/*
 * Connect and run.  A host that does not let us in does not end the process.
 */
static WsPullEnd
connect_and_run(WsPull *pull)
{
	char	   *error = NULL;
	WsPullEnd	end = WS_PULL_RETRY;

	pull->attempts.begin_time = GetCurrentTimestamp();
	pull->attempts.streaming_since = 0;
	if (ws_pull_connect(pull, &error))
		end = try_connection(pull);
	else if (note_failure(pull, error))
		ereport(LOG,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("relay could not connect to its upstream: %s",
						ws_peertext_for_log(error))));
	ws_pull_disconnect(pull);
	return end;
}

/*
 * After WS_PULL_DIVERGED or WS_PULL_GAP: wait until an operator has decided or
 * changed the settings.
 */
static void
wait_for_operator(WsPull *pull)
{
	pull->decision.follow_allowed = false;
	while (!ws_pull_settings_differ(pull) && !ws_relay_is_requested(WS_REQUEST_PAUSE, false))
	{
		/* even if that cannot help: then the result will be the same */
		if (ws_relay_is_requested(WS_REQUEST_FOLLOW, true))
		{
			pull->decision.follow_allowed = true;
			return;
		}
		if (ws_relay_is_requested(WS_REQUEST_RESTART, true))
		{
			pull->decision.restart_allowed = true;
			return;
		}
		if (ws_relay_is_requested(WS_REQUEST_RESUME, true) ||
			ws_relay_is_requested(WS_REQUEST_LOOK_AGAIN, true))
			return;
		wait_for_wake_up(-1);
	}
}

static void
wait_while_paused(WsPull *pull)
{
	if (!ws_relay_is_requested(WS_REQUEST_PAUSE, false))
		return;
	ws_pull_set_state(WS_RELAY_PAUSED, "walstream_relay_pause() was called");
	ereport(LOG, (errmsg("relay pauses receiving")));
	while (ws_relay_is_requested(WS_REQUEST_PAUSE, false))
		wait_for_wake_up(-1);
	ws_relay_is_requested(WS_REQUEST_RESUME, true);
	ereport(LOG, (errmsg("relay resumes receiving")));
}

/* The state tells the reason, except after WS_PULL_CHANGED. */
static void
wait_before_retry(WsPull *pull)
{
	TimestampTz until;
	int			delay_ms = MIN_RETRY_MS;

	if (ws_pull_state() == WS_RELAY_CATCHING_UP || ws_pull_state() == WS_RELAY_STREAMING)
		ws_pull_set_state(WS_RELAY_WAITING, "the connection is made again, to begin elsewhere");
	for (int i = 2; i < pull->attempts.failed && delay_ms < wal_retrieve_retry_interval; i++)
		delay_ms *= 2;
	delay_ms = Min(delay_ms, Max(wal_retrieve_retry_interval, 1));
	until = TimestampTzPlusMilliseconds(pull->attempts.failed <= 1 ? pull->attempts.begin_time :
										GetCurrentTimestamp(), delay_ms);

	while (!ws_pull_must_end(pull))
	{
		long		left_ms;

		if (ws_pull_state() == WS_RELAY_BEHIND &&
			ws_relay_is_requested(WS_REQUEST_RESTART, true))
		{
			pull->decision.restart_allowed = true;
			return;
		}
		if (ws_pull_state() == WS_RELAY_SEALED && !ws_seal_covers(pull->stored.end.tli))
			return;
		left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

		/* or the clock was put back */
		if (left_ms <= 0 || left_ms > delay_ms)
			return;
		wait_for_wake_up(left_ms);
	}
}

static void
retry(WsPull *pull)
{
	pull->attempts.failed++;
	wait_before_retry(pull);
}

/* before_shmem_exit: keep what has arrived, and report it to the upstream. */
static void
finish(int code, Datum arg)
{
	WsPull	   *pull = (WsPull *) DatumGetPointer(arg);

	ws_pull_stream_finish(pull, ws_relay_worker_was_told_to_end());
	ws_pull_hang_up(pull);
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
	static WsPull pull;

	BackgroundWorkerInitializeConnection(DATABASE_NAME, NULL, BGWORKER_BYPASS_ALLOWCONN);
	ws_receiver_enable();
	ws_pull_link_init();
	before_shmem_exit(tell_nothing_more, 0);
	open_store(&pull);
	before_shmem_exit(finish, PointerGetDatum(&pull));

	for (;;)
	{
		wait_while_paused(&pull);
		take_settings(&pull);
		if (pull.settings.upstream[0] == '\0')
		{
			ws_pull_set_state(WS_RELAY_WAITING, "walstream.relay_upstream is not set");
			wait_for_wake_up(-1);
			continue;
		}

		switch (connect_and_run(&pull))
		{
			case WS_PULL_DIVERGED:
			case WS_PULL_GAP:
				pull.decision.was_compared = false;
				wait_for_operator(&pull);
				break;
			case WS_PULL_CHANGED:
				if (!ws_pull_must_end(&pull))
					retry(&pull);
				break;
			case WS_PULL_RETRY:
				retry(&pull);
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
