/*-------------------------------------------------------------------------
 *
 * shared.c
 *	  The state that the relay's processes share.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "peertext.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "relay/news.h"
#include "relay/relay.h"
#include "relay/shared.h"
#include "shmem.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/timestamp.h"
#include "waitevent.h"

/*
 * mutex guards the positions, which change with each message, and the latches;
 * it is held for a few assignments.  The receiver writes the positions, and
 * each worker its latch.
 *
 * lock guards the rest.  The receiver writes it, except for first_*, which the
 * keeper writes once the store is open.  No error may be raised while it is
 * held, since the error's report takes it again.
 */
typedef struct RelayShared
{
	slock_t		mutex;
	bool		has_wal;		/* the store is open and the positions are set */
	bool		has_closed;		/* ... or only tli and flushed_lsn are set, to
								 * the end of the closed segments, while the
								 * end is not known yet */
	uint64		generation;		/* number of the range that the positions
								 * belong to */
	TimeLineID	tli;
	XLogRecPtr	received_lsn;
	XLogRecPtr	written_lsn;
	XLogRecPtr	flushed_lsn;
	XLogRecPtr	upstream_lsn;
	TimestampTz last_message_time;
	Latch	   *latches[WS_RELAY_WORKERS];	/* NULL if the worker does not run */

	ConditionVariable position_news;	/* see ws_relay_position_news() */

	pg_atomic_uint32 requests;	/* a bit for each WsRelayRequest */
	pg_atomic_uint32 is_synced; /* see ws_relay_is_synced() */
	pg_atomic_uint32 feedback_changed;	/* 1 if it has changed since the
										 * receiver looked */

	/*
	 * A lock that can be held for long, which an LWLock cannot, since it
	 * holds off interrupts.  store_user is guarded by lock.
	 */
	ConditionVariable store_unlocked;
	pid_t		store_user;		/* 0: none */

	LWLock		lock;
	WsRelayState state;
	char		reason[WS_RELAY_TEXT];
	bool		other_store;	/* failed because the store is not the
								 * remembered one */
	pid_t		pids[WS_RELAY_WORKERS];
	int			failures[WS_RELAY_WORKERS]; /* in a row */
	TimestampTz failed_at[WS_RELAY_WORKERS];
	bool		store_is_open;	/* the store has an identity, and maybe no WAL */
	WsStore		store;
	TimeLineID	first_tli;
	XLogRecPtr	first_lsn;
	char		upstream_host[NI_MAXHOST];
	int			upstream_port;
	int			upstream_version;
	uint64		reconnects;
	char		last_error[WS_RELAY_TEXT];
	TimestampTz last_error_time;
	char		standby_names[WS_NAMES_SIZE];
	TimestampTz standby_names_time;
	WsRelayApproval approval;	/* written by whoever approves */
} RelayShared;

static RelayShared *shared = NULL;

static Size
shmem_size(void)
{
	return sizeof(RelayShared);
}

static void
shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("walstream relay", sizeof(RelayShared), &found);
	if (found)
		return;

	memset(shared, 0, sizeof(RelayShared));
	SpinLockInit(&shared->mutex);
	pg_atomic_init_u32(&shared->requests, 0);
	pg_atomic_init_u32(&shared->is_synced, 0);
	pg_atomic_init_u32(&shared->feedback_changed, 0);
	ConditionVariableInit(&shared->store_unlocked);
	ConditionVariableInit(&shared->position_news);
	LWLockInitialize(&shared->lock, ws_lwlock_new_tranche("walstream_relay"));
	shared->state = WS_RELAY_STOPPED;
}

void
ws_relay_shared_init(void)
{
	ws_shmem_add(shmem_size, shmem_init);
}

int
ws_relay_shared_begin_worker(WsRelayWorker worker, TimestampTz *failed_at)
{
	int			failures;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	shared->pids[worker] = MyProcPid;
	failures = shared->failures[worker];
	*failed_at = shared->failed_at[worker];
	LWLockRelease(&shared->lock);

	SpinLockAcquire(&shared->mutex);
	shared->latches[worker] = MyLatch;
	SpinLockRelease(&shared->mutex);
	return failures;
}

/* Set the state after a receiver has ended; the caller holds the lock. */
static void
end_receiver(bool failed, bool disk_full, bool other_store)
{
	shared->other_store = failed && other_store;
	shared->upstream_host[0] = '\0';
	shared->upstream_port = 0;

	if (!failed)
	{
		shared->state = WS_RELAY_STOPPED;
		shared->reason[0] = '\0';
		return;
	}

	switch (shared->state)
	{
		case WS_RELAY_STOPPED:
		case WS_RELAY_OPENING:
		case WS_RELAY_FAILED:
			shared->state = disk_full ? WS_RELAY_DISK_FULL : WS_RELAY_FAILED;
			break;
		default:
			shared->state = disk_full ? WS_RELAY_DISK_FULL : WS_RELAY_WAITING;
			break;
	}
	memcpy(shared->reason, shared->last_error, WS_RELAY_TEXT);
}

void
ws_relay_shared_end_worker(WsRelayWorker worker, bool failed, bool worked,
						   bool disk_full, bool other_store)
{
	TimestampTz now = GetCurrentTimestamp();

	SpinLockAcquire(&shared->mutex);
	shared->latches[worker] = NULL;
	SpinLockRelease(&shared->mutex);

	ws_relay_unlock_store();

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	shared->pids[worker] = 0;
	if (worked || !failed)
		shared->failures[worker] = 0;
	if (failed)
	{
		shared->failures[worker]++;
		shared->failed_at[worker] = now;
	}
	if (worker == WS_RELAY_RECEIVER)
		end_receiver(failed, disk_full, other_store);
	LWLockRelease(&shared->lock);
}

void
ws_relay_lock_store(void)
{
	bool		locked = false;

	ConditionVariablePrepareToSleep(&shared->store_unlocked);
	for (;;)
	{
		LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
		if (shared->store_user == 0)
		{
			shared->store_user = MyProcPid;
			locked = true;
		}
		LWLockRelease(&shared->lock);
		if (locked)
			break;
		ConditionVariableSleep(&shared->store_unlocked, ws_waitevent(WS_WAIT_RELAY_STORE));
	}
	ConditionVariableCancelSleep();
}

void
ws_relay_unlock_store(void)
{
	bool		was_mine;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	was_mine = shared->store_user == MyProcPid;
	if (was_mine)
		shared->store_user = 0;
	LWLockRelease(&shared->lock);
	if (was_mine)
		ConditionVariableBroadcast(&shared->store_unlocked);
}

uint32
ws_relay_shared_requests(void)
{
	return pg_atomic_read_u32(&shared->requests);
}

static void
wake_worker(WsRelayWorker worker)
{
	Latch	   *latch;

	SpinLockAcquire(&shared->mutex);
	latch = shared->latches[worker];
	SpinLockRelease(&shared->mutex);

	/* if the latch's process has ended, this wakes nobody, or its successor */
	if (latch != NULL)
		SetLatch(latch);
}

void
ws_relay_note_orders(void)
{
	wake_worker(WS_RELAY_RECEIVER);
}

void
ws_relay_note_feedback(void)
{
	if (pg_atomic_exchange_u32(&shared->feedback_changed, 1) == 0)
		ws_relay_note_orders();
}

bool
ws_relay_feedback_has_changed(bool take)
{
	if (take)
		return pg_atomic_exchange_u32(&shared->feedback_changed, 0) != 0;
	return pg_atomic_read_u32(&shared->feedback_changed) != 0;
}

void
ws_relay_note_upkeep(void)
{
	wake_worker(WS_RELAY_KEEPER);
}

void
ws_relay_request(WsRelayRequest request)
{
	if (request == WS_REQUEST_RESUME)
		pg_atomic_fetch_and_u32(&shared->requests, ~((uint32) 1 << WS_REQUEST_PAUSE));
	else if (request == WS_REQUEST_PAUSE)
		pg_atomic_fetch_and_u32(&shared->requests, ~((uint32) 1 << WS_REQUEST_RESUME));
	pg_atomic_fetch_or_u32(&shared->requests, (uint32) 1 << request);
	ws_relay_note_orders();
}

void
ws_relay_approve(const WsRelayApproval *approval)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	shared->approval = *approval;
	LWLockRelease(&shared->lock);
	ws_relay_request(WS_REQUEST_LOOK_AGAIN);
}

void
ws_relay_get_approval(WsRelayApproval *approval)
{
	LWLockAcquire(&shared->lock, LW_SHARED);
	*approval = shared->approval;
	LWLockRelease(&shared->lock);
}

void
ws_relay_end_approval(TimeLineID tli)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (shared->approval.tli <= tli)
		memset(&shared->approval, 0, sizeof(shared->approval));
	LWLockRelease(&shared->lock);
}

bool
ws_relay_is_requested(WsRelayRequest request, bool take)
{
	uint32		bit = (uint32) 1 << request;

	if (take)
		return (pg_atomic_fetch_and_u32(&shared->requests, ~bit) & bit) != 0;
	return (pg_atomic_read_u32(&shared->requests) & bit) != 0;
}

void
ws_relay_get_status(WsRelayStatus *status)
{
	memset(status, 0, sizeof(*status));

	LWLockAcquire(&shared->lock, LW_SHARED);
	status->state = shared->state;
	memcpy(status->reason, shared->reason, WS_RELAY_TEXT);
	status->other_store = shared->other_store;
	status->receiver_pid = shared->pids[WS_RELAY_RECEIVER];
	status->keeper_pid = shared->pids[WS_RELAY_KEEPER];
	status->store = shared->store;
	status->first_tli = shared->first_tli;
	status->first_lsn = shared->first_lsn;
	memcpy(status->upstream_host, shared->upstream_host, NI_MAXHOST);
	status->upstream_port = shared->upstream_port;
	status->upstream_version = shared->upstream_version;
	status->reconnects = shared->reconnects > 0 ? shared->reconnects - 1 : 0;
	memcpy(status->last_error, shared->last_error, WS_RELAY_TEXT);
	status->last_error_time = shared->last_error_time;
	memcpy(status->standby_names, shared->standby_names, WS_NAMES_SIZE);
	status->standby_names_time = shared->standby_names_time;

	SpinLockAcquire(&shared->mutex);
	status->is_open = shared->has_wal;
	status->tli = shared->tli;
	status->received_lsn = shared->received_lsn;
	status->written_lsn = shared->written_lsn;
	status->flushed_lsn = shared->flushed_lsn;
	status->upstream_lsn = shared->upstream_lsn;
	status->last_message_time = shared->last_message_time;
	SpinLockRelease(&shared->mutex);
	LWLockRelease(&shared->lock);
}

const char *
ws_relay_state_name(WsRelayState state)
{
	switch (state)
	{
		case WS_RELAY_STOPPED:
			return "stopped";
		case WS_RELAY_OPENING:
			return "opening";
		case WS_RELAY_WAITING:
			return "waiting for upstream";
		case WS_RELAY_CATCHING_UP:
			return "catching up";
		case WS_RELAY_STREAMING:
			return "streaming";
		case WS_RELAY_DISK_FULL:
			return "disk full";
		case WS_RELAY_SEALED:
			return "sealed";
		case WS_RELAY_BEHIND:
			return "behind";
		case WS_RELAY_DIVERGED:
			return "diverged";
		case WS_RELAY_GAP:
			return "gap";
		case WS_RELAY_PAUSED:
			return "paused";
		case WS_RELAY_FAILED:
			return "failed";
	}
	return "unknown";
}

bool
ws_relay_get_position(TimeLineID *tli, XLogRecPtr *flushed_lsn)
{
	bool		has_wal;

	SpinLockAcquire(&shared->mutex);
	has_wal = shared->has_wal;
	*tli = shared->tli;
	*flushed_lsn = shared->flushed_lsn;
	SpinLockRelease(&shared->mutex);
	return has_wal;
}

ConditionVariable *
ws_relay_position_news(void)
{
	return &shared->position_news;
}

bool
ws_relay_get_served(TimeLineID *tli, XLogRecPtr *served_lsn)
{
	bool		is_served;

	SpinLockAcquire(&shared->mutex);
	is_served = shared->has_wal || shared->has_closed;
	*tli = shared->tli;
	*served_lsn = shared->flushed_lsn;
	SpinLockRelease(&shared->mutex);
	return is_served;
}

uint64
ws_relay_get_generation(void)
{
	uint64		generation;

	SpinLockAcquire(&shared->mutex);
	generation = shared->generation;
	SpinLockRelease(&shared->mutex);
	return generation;
}

bool
ws_relay_get_store(WsStore *store)
{
	bool		is_open;

	LWLockAcquire(&shared->lock, LW_SHARED);
	is_open = shared->store_is_open;
	*store = shared->store;
	LWLockRelease(&shared->lock);
	return is_open;
}

void
ws_relay_set_first(TimeLineID first_tli, XLogRecPtr first_lsn)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	shared->first_tli = first_tli;
	shared->first_lsn = first_lsn;
	LWLockRelease(&shared->lock);
}

void
ws_relay_set_state(WsRelayState state, const char *reason)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	shared->state = state;
	shared->other_store = false;
	ws_peertext_copy(shared->reason, WS_RELAY_TEXT, reason != NULL ? reason : "");
	LWLockRelease(&shared->lock);
}

static void
set_store(const WsStore *store, const WsStoreExtent *extent)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	shared->store = *store;
	shared->store_is_open = true;
	shared->first_tli = extent != NULL ? extent->first_tli : 0;
	shared->first_lsn = extent != NULL ? extent->first_lsn : InvalidXLogRecPtr;
	LWLockRelease(&shared->lock);
}

void
ws_relay_publish_closed(const WsStore *store, const WsStoreExtent *extent)
{
	set_store(store, extent);
	SpinLockAcquire(&shared->mutex);
	if (!shared->has_wal)
	{
		shared->has_closed = true;
		shared->tli = extent->tli;
		shared->flushed_lsn = extent->end_lsn;
	}
	SpinLockRelease(&shared->mutex);
	ws_news_tell();
}

void
ws_relay_publish_store(const WsStore *store, const WsStoreExtent *extent)
{
	set_store(store, extent);

	/*
	 * A new receiver finds the end of the last complete record, but its
	 * predecessor may have published some bytes of the next record, which are
	 * durable and may have been sent on.  A published position never goes
	 * back.
	 */
	SpinLockAcquire(&shared->mutex);
	shared->has_closed = false;
	if (extent == NULL)
	{
		shared->has_wal = false;
		shared->generation++;
		shared->tli = 0;
		shared->received_lsn = shared->written_lsn = shared->flushed_lsn = InvalidXLogRecPtr;
	}
	else
	{
		if (!shared->has_wal || shared->tli != extent->tli ||
			shared->flushed_lsn < extent->end_lsn)
			shared->flushed_lsn = extent->end_lsn;
		shared->has_wal = true;
		shared->tli = extent->tli;
		shared->received_lsn = shared->written_lsn = shared->flushed_lsn;
	}
	SpinLockRelease(&shared->mutex);

	ConditionVariableBroadcast(&shared->position_news);
	ws_news_tell();
	ws_relay_note_upkeep();
}

void
ws_relay_publish_position(TimeLineID tli, XLogRecPtr received_lsn,
						  XLogRecPtr written_lsn, XLogRecPtr flushed_lsn)
{
	bool		is_news;

	SpinLockAcquire(&shared->mutex);
	is_news = tli != shared->tli || flushed_lsn > shared->flushed_lsn;
	if (is_news)
	{
		shared->tli = tli;
		shared->flushed_lsn = flushed_lsn;
	}

	/* WAL that comes again was received before */
	shared->received_lsn = Max(received_lsn, shared->flushed_lsn);
	shared->written_lsn = Max(written_lsn, shared->flushed_lsn);
	SpinLockRelease(&shared->mutex);

	if (is_news)
	{
		ConditionVariableBroadcast(&shared->position_news);
		ws_news_tell();
	}
}

bool
ws_relay_is_synced(void)
{
	return pg_atomic_read_u32(&shared->is_synced) != 0;
}

void
ws_relay_set_synced(bool synced)
{
	pg_atomic_write_u32(&shared->is_synced, synced ? 1 : 0);
}

void
ws_relay_set_upstream(const char *host, int port, int version)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	ws_peertext_copy(shared->upstream_host, NI_MAXHOST, host != NULL ? host : "");
	shared->upstream_port = port;
	if (version != 0)
		shared->upstream_version = version;
	LWLockRelease(&shared->lock);
}

void
ws_relay_set_upstream_lsn(XLogRecPtr lsn, TimestampTz message_time)
{
	SpinLockAcquire(&shared->mutex);
	shared->upstream_lsn = lsn;
	shared->last_message_time = message_time;
	SpinLockRelease(&shared->mutex);
}

void
ws_relay_set_standby_names(const char *names, TimestampTz asked_at)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	ws_peertext_copy(shared->standby_names, WS_NAMES_SIZE, names);
	shared->standby_names_time = asked_at;
	LWLockRelease(&shared->lock);
}

void
ws_relay_note_error(const char *message)
{
	TimestampTz now = GetCurrentTimestamp();

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	ws_peertext_copy(shared->last_error, WS_RELAY_TEXT, message);
	shared->last_error_time = now;
	LWLockRelease(&shared->lock);
}

void
ws_relay_count_reconnect(void)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	shared->reconnects++;
	LWLockRelease(&shared->lock);
}
