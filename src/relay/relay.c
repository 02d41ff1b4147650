/*-------------------------------------------------------------------------
 *
 * relay.c
 *	  Makes an instance a relay: checks that it can be one, and starts its
 *	  workers.
 *
 * _PG_init checks everything that can be known before the server accepts
 * connections, and a failure stops the start.  Otherwise an operator might
 * notice only in an emergency that nothing was received.
 *
 * The workers are static, so the postmaster starts them again whenever they
 * end.  The postmaster knows only one fixed pause, so a new worker itself
 * waits as long as the back-off after failures demands.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <sys/stat.h>

#include "access/xlog.h"
#include "guc.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "relay/chain.h"
#include "relay/news.h"
#include "relay/relay.h"
#include "relay/seal.h"
#include "relay/senders.h"
#include "relay/shared.h"
#include "relay/slots/slots.h"
#include "relay/standby_names.h"
#include "relay/walsender/takeover.h"
#include "relay/xids.h"
#include "replication/walsender.h"
#include "shmem.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "waitevent.h"

#define RECEIVER_NAME	"walstream relay receiver"
#define KEEPER_NAME		"walstream relay keeper"

/* Pause of a worker after a failure, doubled each time ... */
#define MIN_BACKOFF_MS	1000
#define MAX_BACKOFF_MS	60000
/* ... until a worker has run for this long. */
#define GOOD_WORK_MS	60000

static WsRelayWorker my_worker;
static TimestampTz work_began = 0;	/* 0 during the back-off */

/* This worker ends because of SIGTERM. */
static volatile sig_atomic_t got_sigterm = false;
static bool ends_in_order = false;

/* ... or otherwise with this error; 0 if none is known. */
static int	failed_sqlstate = 0;

bool
ws_relay_enabled(void)
{
	return ws_guc_relay()->enabled;
}

/*
 * Refuse to run on a standby, whose own WAL comes from elsewhere, and which
 * may be promoted.
 */
static void
check_not_standby(void)
{
	static const char *const signal_files[] = {"standby.signal", "recovery.signal"};
	struct stat statbuf;

	for (int i = 0; i < lengthof(signal_files); i++)
	{
		if (stat(signal_files[i], &statbuf) == 0)
			ereport(FATAL,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("a standby cannot be a relay"),
					 errdetail("There is a file \"%s\" in the data directory.",
							   signal_files[i]),
					 errhint("Make the relay of a new cluster, created with initdb, or set walstream.relay to off.")));
	}
}

static void
check_settings(void)
{
	if (wal_level < WAL_LEVEL_REPLICA)
		ereport(FATAL,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a relay cannot run with wal_level \"minimal\""),
				 errhint("Set wal_level to \"replica\" on this instance, or walstream.relay to off.")));
	if (max_wal_senders == 0)
		ereport(FATAL,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a relay cannot serve anybody with max_wal_senders 0"),
				 errhint("Set max_wal_senders on this instance to the number of standbys and other receivers that will be connected at once.")));
}

/*
 * If there is no room for a worker, PostgreSQL only logs that and starts
 * without it.  So check it here.
 */
static void
register_worker(const char *name, const char *function, int flags)
{
	BackgroundWorker worker = {0};

	strlcpy(worker.bgw_name, name, BGW_MAXLEN);
	strlcpy(worker.bgw_type, name, BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "walstream", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | flags;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 0;
	RegisterBackgroundWorker(&worker);

	if (!ws_worker_is_registered(name))
		ereport(FATAL,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("max_worker_processes is too small for a relay"),
				 errdetail("There is no room for the background worker \"%s\" among %d.",
						   name, max_worker_processes),
				 errhint("Increase max_worker_processes on this instance; the relay needs two, beside those of PostgreSQL and other modules.")));
}

/*
 * A process that is killed makes PostgreSQL restart the whole server, and before
 * that sync all files of the data directory one by one, while commits wait.  By
 * default that includes the relay's directory, where there may be thousands, all
 * synced before anything in them was acknowledged.  So let one call sync the file
 * system, unless the configuration says otherwise.
 */
static void
choose_sync_method(void)
{
#ifdef HAVE_SYNCFS
	SetConfigOption("recovery_init_sync_method", "syncfs", PGC_POSTMASTER,
					PGC_S_DYNAMIC_DEFAULT);
#endif
}

static Size
lock_shmem_size(void)
{
	return 0;
}

/*
 * This cannot be done in _PG_init, which also runs for "postgres -C" while a
 * server is running.
 */
static void
lock_store(void)
{
	ws_store_lock(ws_guc_relay()->directory);
}

void
ws_relay_init(void)
{
	if (!ws_relay_enabled() || !IsPostmasterEnvironment)
		return;

	check_not_standby();
	check_settings();
	choose_sync_method();
	register_worker(RECEIVER_NAME, "walstream_relay_receiver_main",
					BGWORKER_BACKEND_DATABASE_CONNECTION);
	register_worker(KEEPER_NAME, "walstream_relay_keeper_main", 0);

	ws_shmem_add(lock_shmem_size, lock_store);
	ws_relay_shared_init();
	ws_chain_init();
	ws_seal_init();
	ws_standby_names_init();
	ws_xids_init();
	ws_senders_init();
	ws_news_init();
	ws_slots_init();
	ws_takeover_init();
}

/* Keep an error that ends this worker for last_error. */
static void
note_failure(const ErrorData *edata)
{
	char		message[WS_RELAY_TEXT];

	failed_sqlstate = edata->sqlerrcode;
	snprintf(message, sizeof(message), "%s%s%s",
			 edata->message ? edata->message : "missing error text",
			 edata->detail ? ": " : "",
			 edata->detail ? edata->detail : "");
	ws_relay_note_error(message);
}

/*
 * The outermost error context callback.  A FATAL error cannot be caught, and
 * whether it is logged depends on log_min_messages; but this function is
 * called for each one.
 */
static void
note_if_fatal(void *arg)
{
	MemoryContext error_context = MemoryContextSwitchTo(TopMemoryContext);
	ErrorData  *edata = CopyErrorData();

	if (edata->elevel == FATAL)
	{
		ends_in_order = got_sigterm && edata->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN;
		if (!ends_in_order)
			note_failure(edata);
	}
	FreeErrorData(edata);
	MemoryContextSwitchTo(error_context);
}

/* Do the work.  An error that ends it is noted and thrown on. */
static void
work_and_note(void (*work) (void))
{
	PG_TRY();
	{
		work();
	}
	PG_CATCH();
	{
		MemoryContext error_context = MemoryContextSwitchTo(TopMemoryContext);

		LWLockReleaseAll();
		note_failure(CopyErrorData());
		MemoryContextSwitchTo(error_context);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

bool
ws_relay_worker_was_told_to_end(void)
{
	return ends_in_order;
}

static void
handle_sigterm(SIGNAL_ARGS)
{
	got_sigterm = true;
	ws_die_from_signal();
}

/*
 * At exit: release what the worker has claimed, and count a failure unless the
 * worker was told to end.
 */
static void
end_worker(int code, Datum arg)
{
	bool		failed = code != 0 && !ends_in_order;
	bool		worked = work_began != 0 &&
		TimestampDifferenceExceeds(work_began, GetCurrentTimestamp(), GOOD_WORK_MS);

	ws_relay_shared_end_worker(my_worker, failed, worked,
							   failed_sqlstate == ERRCODE_DISK_FULL,
							   ws_known_is_refused());
}

/*
 * Wait until the back-off is over, an operator requests something, or the
 * configuration is reloaded, which may have fixed the fault.
 */
static void
wait_for_backoff(int failures, TimestampTz failed_at)
{
	uint32		requests = ws_relay_shared_requests();
	TimestampTz until;
	int			delay_ms = MIN_BACKOFF_MS;

	if (failures == 0)
		return;
	for (int i = 1; i < failures && delay_ms < MAX_BACKOFF_MS; i++)
		delay_ms *= 2;
	delay_ms = Min(delay_ms, MAX_BACKOFF_MS);
	until = TimestampTzPlusMilliseconds(failed_at, delay_ms);

	while (!ConfigReloadPending &&
		   ws_relay_shared_requests() == requests)
	{
		long		left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
															  until);

		/* or the clock was put back */
		if (left_ms <= 0 || left_ms > delay_ms)
			break;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 left_ms, ws_waitevent(WS_WAIT_RELAY_RESTART));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

void
ws_relay_worker_run(bool keeper, void (*work) (void))
{
	ErrorContextCallback callback = {.callback = note_if_fatal};
	int			failures;
	TimestampTz failed_at;

	my_worker = keeper ? WS_RELAY_KEEPER : WS_RELAY_RECEIVER;
	before_shmem_exit(end_worker, 0);
	failures = ws_relay_shared_begin_worker(my_worker, &failed_at);
	error_context_stack = &callback;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGINT, ws_sig_ign);
	pqsignal(SIGTERM, handle_sigterm);
	BackgroundWorkerUnblockSignals();

	wait_for_backoff(failures, failed_at);
	(void) ws_guc_reload();
	work_began = GetCurrentTimestamp();
	work_and_note(work);
}
