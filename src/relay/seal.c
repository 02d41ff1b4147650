/*-------------------------------------------------------------------------
 *
 * seal.c
 *	  The seal: this relay acknowledges nothing of a timeline any more.
 *
 * The receiver and the backend that seals need no lock between them.  The
 * receiver publishes what it streams before it checks whether the relay is
 * sealed; the backend seals the relay before it checks what is streamed; both
 * with a full barrier in between.  So either the stream does not begin, or the
 * backend sees it and waits for its end.
 *
 * A connection to an upstream on a newer timeline is admitted under the seal
 * that is in force at that moment, which may name an owner.  A later seal ends
 * every stream that was admitted before it, even one of a newer timeline, because
 * its upstream was not compared with the new owner.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "port/atomics.h"
#include "relay/relay.h"
#include "relay/seal.h"
#include "shmem.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "waitevent.h"

/*
 * lock is held while the file is written or removed, and guards loaded and
 * seal.  sealed_tli is the timeline of seal, 0 without one, and is written
 * with lock held.
 *
 * generation is incremented whenever seal changes.
 *
 * The receiver writes streaming_tli: the timeline of which it reports
 * positions, 0 if none; and before that streaming_generation, the generation
 * under which its upstream was admitted.
 */
typedef struct SealShared
{
	pg_atomic_uint32 sealed_tli;
	pg_atomic_uint32 generation;
	pg_atomic_uint32 streaming_tli;
	pg_atomic_uint32 streaming_generation;
	ConditionVariable stream_ended;

	LWLock		lock;
	bool		loaded;			/* the store's file has been read */
	WsSealFile	seal;
} SealShared;

static SealShared *shared = NULL;

/*
 * Receiver: the timeline of which positions are reported in the stream; 0 if
 * none.
 */
static TimeLineID told_tli = 0;

/* Receiver: a stream runs whose upstream was admitted under this generation. */
static bool in_stream = false;
static uint32 admitted_generation = 0;

static Size
shmem_size(void)
{
	return sizeof(SealShared);
}

static void
shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("walstream relay seal", shmem_size(), &found);
	if (found)
		return;

	memset(shared, 0, sizeof(SealShared));
	pg_atomic_init_u32(&shared->sealed_tli, 0);
	pg_atomic_init_u32(&shared->generation, 0);
	pg_atomic_init_u32(&shared->streaming_tli, 0);
	pg_atomic_init_u32(&shared->streaming_generation, 0);
	ConditionVariableInit(&shared->stream_ended);
	LWLockInitialize(&shared->lock, ws_lwlock_new_tranche("walstream_relay_seal"));
}

void
ws_seal_init(void)
{
	ws_shmem_add(shmem_size, shmem_init);
}

bool
ws_seal_get(WsSealFile *seal)
{
	bool		is_sealed;

	LWLockAcquire(&shared->lock, LW_SHARED);
	is_sealed = shared->seal.tli != 0;
	*seal = shared->seal;
	LWLockRelease(&shared->lock);
	return is_sealed;
}

bool
ws_seal_covers(TimeLineID tli)
{
	return tli <= pg_atomic_read_u32(&shared->sealed_tli);
}

uint32
ws_seal_generation(void)
{
	return pg_atomic_read_u32(&shared->generation);
}

/* The caller holds the lock. */
static void
set_seal(const WsSealFile *seal)
{
	shared->seal = *seal;
	(void) pg_atomic_fetch_add_u32(&shared->generation, 1);
	(void) pg_atomic_exchange_u32(&shared->sealed_tli, seal->tli);
}

static void
clear_seal(void)
{
	const WsSealFile none = {0};

	set_seal(&none);
}

void
ws_seal_load(const WsStore *store)
{
	WsSealFile	seal = {0};

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (!shared->loaded)
	{
		if (ws_store_read_seal(store, &seal))
			set_seal(&seal);
		shared->loaded = true;
	}
	LWLockRelease(&shared->lock);

	if (seal.tli != 0)
		ereport(LOG,
				(errmsg("relay is sealed for timeline %u: it receives and acknowledges nothing of it",
						seal.tli)));
}

/* Returns where a timeline begins; the start of WAL if that is not known. */
static XLogRecPtr
begin_of(const WsStore *store, TimeLineID tli)
{
	WsHistory  *line = ws_store_read_history(store, tli);

	return line->count > 1 ? line->entries[line->count - 2].end_lsn : InvalidXLogRecPtr;
}

void
ws_seal_end_before(const WsStore *store, TimeLineID tli, XLogRecPtr end_lsn)
{
	TimeLineID	sealed_tli = pg_atomic_read_u32(&shared->sealed_tli);

	if (sealed_tli == 0 || tli <= sealed_tli || end_lsn <= begin_of(store, tli))
		return;
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	sealed_tli = shared->seal.tli;
	if (sealed_tli != 0 && sealed_tli < tli)
	{
		ws_store_remove_seal(store);
		clear_seal();
	}
	LWLockRelease(&shared->lock);

	if (sealed_tli != 0 && sealed_tli < tli)
		ereport(LOG,
				(errmsg("relay is no longer sealed: it has gone on from timeline %u to %u",
						sealed_tli, tli)));
}

/* Returns true if the relay was sealed after the upstream was admitted. */
static bool
sealed_since_admission(void)
{
	return pg_atomic_read_u32(&shared->sealed_tli) != 0 &&
		pg_atomic_read_u32(&shared->generation) != admitted_generation;
}

bool
ws_seal_begin_stream(TimeLineID tli, TimeLineID upstream_tli, uint32 generation)
{
	admitted_generation = generation;
	pg_atomic_write_u32(&shared->streaming_generation, generation);
	(void) pg_atomic_exchange_u32(&shared->streaming_tli, tli);
	told_tli = tli;

	/*
	 * nobody needs to wait any longer for an earlier stream of another
	 * timeline
	 */
	if (!ws_seal_covers(tli) && !sealed_since_admission())
		ConditionVariableBroadcast(&shared->stream_ended);
	else
		ws_seal_end_stream();
	in_stream = !ws_seal_covers(upstream_tli) && !sealed_since_admission();
	return in_stream;
}

void
ws_seal_end_stream(void)
{
	told_tli = 0;
	in_stream = false;
	if (pg_atomic_exchange_u32(&shared->streaming_tli, 0) != 0)
		ConditionVariableBroadcast(&shared->stream_ended);
}

bool
ws_seal_ends_stream(void)
{
	return (told_tli != 0 && ws_seal_covers(told_tli)) ||
		(in_stream && sealed_since_admission());
}

bool
ws_seal_lets_tell(void)
{
	return told_tli != 0 && !ws_seal_covers(told_tli) && !sealed_since_admission();
}

typedef struct PendingSeal
{
	const WsStore *store;
	WsSealFile	seal;
	const char *replaces;		/* token of the seal whose place it takes; ""
								 * if there must be none */
} PendingSeal;

/*
 * After an error or on exit: unseal, since nobody knows the token.  A file
 * that could not be written may exist all the same.  A relay that was sealed
 * before stays sealed.
 */
static void
undo_seal(int code, Datum arg)
{
	const PendingSeal *pending = (PendingSeal *) DatumGetPointer(arg);

	if (pending->replaces[0] != '\0')
		return;
	LWLockReleaseAll();
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (shared->loaded &&
		(shared->seal.tli == 0 || strcmp(shared->seal.token, pending->seal.token) == 0))
	{
		ws_store_remove_seal(pending->store);
		clear_seal();
	}
	LWLockRelease(&shared->lock);
	ws_relay_note_orders();
}

static void
make_seal(TimeLineID tli, const char *owner, WsSealFile *seal)
{
	uint8		bytes[WS_SEAL_TOKEN_LEN / 2];

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a token")));
	ws_seal_format_token(bytes, seal->token);
	strlcpy(seal->owner, owner, sizeof(seal->owner));
	seal->tli = tli;
	seal->since_us = GetCurrentTimestamp();
}

/* Raise an ERROR unless the relay is sealed with this token.  With the lock. */
static void
check_token(const char *token)
{
	if (shared->seal.tli == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay is not sealed")));
	if (strcmp(token, shared->seal.token) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the relay is not sealed with this token"),
				 errdetail("It is sealed for timeline %u since %s.", shared->seal.tli,
						   timestamptz_to_str(shared->seal.since_us))));
}

/*
 * Seal first in the file and then for the receiver, so that a seal is always
 * durable.
 */
static void
write_seal(const WsStore *store, const WsSealFile *seal, const char *replaces)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (!shared->loaded)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the relay does not know yet whether it is sealed")));
	if (replaces[0] != '\0')
		check_token(replaces);
	else if (shared->seal.tli != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the relay is sealed already"),
				 errdetail("It is sealed for timeline %u since %s.", shared->seal.tli,
						   timestamptz_to_str(shared->seal.since_us)),
				 errhint("Whoever has sealed it takes that back with walstream_relay_unseal(); a superuser finds the token in walstream_get_relay_seal().")));
	ws_store_write_seal(store, seal);
	set_seal(seal);
	LWLockRelease(&shared->lock);
	ws_relay_note_orders();
}

/*
 * Wait until nothing is acknowledged any more of the sealed timeline, or of a
 * newer one whose upstream was admitted before the relay was sealed.  This
 * waits even for a receiver that hangs on its disk, or on a connection that
 * takes nothing more, since it may be about to acknowledge something.
 */
static void
wait_for_stream_end(TimeLineID sealed_tli)
{
	uint32		generation = pg_atomic_read_u32(&shared->generation);

	ConditionVariablePrepareToSleep(&shared->stream_ended);
	for (;;)
	{
		TimeLineID	tli = pg_atomic_read_u32(&shared->streaming_tli);

		if (tli == 0 ||
			(tli > sealed_tli &&
			 pg_atomic_read_u32(&shared->streaming_generation) >= generation))
			break;
		ConditionVariableSleep(&shared->stream_ended, ws_waitevent(WS_WAIT_RELAY_SEAL));
	}
	ConditionVariableCancelSleep();
}

char *
ws_seal_set(const WsStore *store, TimeLineID tli, const char *owner,
			const char *replaces)
{
	PendingSeal pending = {.store = store,.replaces = replaces};
	TimeLineID	now_tli;
	XLogRecPtr	end_lsn;

	make_seal(tli, owner, &pending.seal);
	PG_ENSURE_ERROR_CLEANUP(undo_seal, PointerGetDatum(&pending));
	{
		write_seal(store, &pending.seal, replaces);
		wait_for_stream_end(tli);

		/* the relay may have followed its upstream while we sealed it */
		if (!ws_relay_get_position(&now_tli, &end_lsn) || now_tli != tli)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the relay is no longer on timeline %u", tli)));
	}
	PG_END_ENSURE_ERROR_CLEANUP(undo_seal, PointerGetDatum(&pending));

	ereport(LOG,
			(errmsg("relay is sealed for timeline %u, with WAL up to " WS_LSN,
					tli, LSN_FORMAT_ARGS(end_lsn))));
	return pstrdup(pending.seal.token);
}

bool
ws_seal_break(const WsStore *store, const char *token)
{
	TimeLineID	tli;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	tli = shared->seal.tli;
	if (tli != 0)
	{
		check_token(token);
		ws_store_remove_seal(store);
		clear_seal();
	}
	LWLockRelease(&shared->lock);
	if (tli == 0)
		return false;

	ws_relay_note_orders();
	ereport(LOG, (errmsg("relay is no longer sealed for timeline %u", tli)));
	return true;
}
