/*-------------------------------------------------------------------------
 *
 * standby_names.c
 *	  Keeps the primary's synchronous_standby_names.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "peertext.h"
#include "port/atomics.h"
#include "relay/relay.h"
#include "relay/standby_names.h"
#include "shmem.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * Stands for a list that is too long to be kept: as with "*", nobody can say how
 * many have to confirm, so a drain is refused unless that number is given.
 */
#define ANY_NAMES		"*"

/* How often the time of an unchanged list is written. */
#define SAVE_PAUSE_MS	60000

/*
 * lock guards everything, and is held while the file is written, so that what
 * the keeper heard before never comes after what the receiver heard later, and
 * the keeper writes nothing while there is no stream: a receiver that begins
 * removes unfinished files.
 *
 * The receiver writes primary; saved_at is 0 if the file is older than kept.
 * waiting is a list that is to follow the last one of kept, as soon as the relay
 * has all WAL up to lsn.  That is 0 if there is none, and is also read without
 * the lock.
 */
typedef struct NamesWaiting
{
	pg_atomic_uint64 lsn;
	TimeLineID	tli;
	char		names[WS_NAMES_SIZE];
}			NamesWaiting;

typedef struct NamesShared
{
	LWLock		lock;
	WsNamesFile kept;
	NamesWaiting waiting;
	TimestampTz saved_at;
	bool		told_not_saved; /* a failure to write the file was logged */
	bool		told_too_long;
	WsNamesPrimary primary;
} NamesShared;

static NamesShared *shared = NULL;

static Size
shmem_size(void)
{
	return sizeof(NamesShared);
}

static void
shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("walstream relay standby names", shmem_size(), &found);
	if (found)
		return;
	memset(shared, 0, sizeof(NamesShared));
	pg_atomic_init_u64(&shared->waiting.lsn, 0);
	LWLockInitialize(&shared->lock, ws_lwlock_new_tranche("walstream_relay_names"));
}

void
ws_standby_names_init(void)
{
	ws_shmem_add(shmem_size, shmem_init);
}

/* Show the newest list, or none. */
static void
show_last(void)
{
	const WsNamesEntry *last;

	if (shared->kept.count == 0)
	{
		ws_relay_set_standby_names("", 0);
		return;
	}
	last = &shared->kept.entries[shared->kept.count - 1];
	ws_relay_set_standby_names(last->names, last->last_us);
}

void
ws_standby_names_load(const WsStore *store)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	(void) ws_store_read_names(store, &shared->kept);
	pg_atomic_write_u64(&shared->waiting.lsn, 0);
	shared->saved_at = 0;
	show_last();
	LWLockRelease(&shared->lock);
}

/*
 * Write the file.  A failure is logged the first time of several: this is
 * tried again and again.
 */
static void
save(const WsStore *store, TimestampTz now)
{
	bool		done = ws_store_write_names(store, &shared->kept,
											shared->told_not_saved ? DEBUG1 : LOG);

	shared->told_not_saved = !done;
	shared->saved_at = done ? now : 0;
}

/*
 * Returns the list, or what stands for it if it is too long: truncated it would
 * be a different one, even if it is only shown.
 */
static const char *
to_be_kept(const char *names)
{
	char		shown[2 * WS_NAMES_SIZE];
	bool		too_long;

	ws_peertext_copy(shown, sizeof(shown), names);
	too_long = strlen(names) >= WS_NAMES_SIZE || strlen(shown) >= WS_NAMES_SIZE;
	if (too_long && !shared->told_too_long)
		ereport(LOG,
				(errmsg("the primary's synchronous_standby_names is too long to be kept"),
				 errdetail("It has %zu bytes; there is room for %d.  \"%s\" is kept instead.",
						   strlen(names), WS_NAMES_SIZE - 1, ANY_NAMES)));
	shared->told_too_long = too_long;
	return too_long ? ANY_NAMES : names;
}

/* Returns true if the relay has all WAL of this timeline up to here. */
static bool
has_come_to(TimeLineID tli, XLogRecPtr lsn)
{
	TimeLineID	served_tli;
	XLogRecPtr	served_lsn;

	return ws_relay_get_served(&served_tli, &served_lsn) &&
		served_tli >= tli && served_lsn >= lsn;
}

/*
 * Returns true if the list may take the last one's place now; else it waits.
 * What was confirmed under the last one lies before lsn, the primary's position
 * after it had told the list.  As long as the relay lacks some of that, only the
 * last list tells who has it.
 */
static bool
may_replace_last(TimeLineID tli, const char *names, XLogRecPtr lsn)
{
	NamesWaiting *waiting = &shared->waiting;
	const WsNamesEntry *last = shared->kept.count > 0 ?
		&shared->kept.entries[shared->kept.count - 1] : NULL;

	if (last == NULL || last->tli != tli || strcmp(last->names, names) == 0)
		return true;
	if (pg_atomic_read_u64(&waiting->lsn) == 0 || waiting->tli != tli ||
		strcmp(waiting->names, names) != 0)
	{
		waiting->tli = tli;
		strlcpy(waiting->names, names, WS_NAMES_SIZE);

		/* a receiver that publishes a position after this looks for the list */
		(void) pg_atomic_exchange_u64(&waiting->lsn, lsn);
	}
	return has_come_to(tli, pg_atomic_read_u64(&waiting->lsn));
}

/*
 * Note a list as it is to be kept.  Returns true if it is a new last one.  The
 * caller holds the lock.
 */
static bool
note(const WsStore *store, TimeLineID tli, const char *names, XLogRecPtr lsn)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		is_news;

	if (!may_replace_last(tli, names, lsn))
		return false;
	is_news = ws_namesfile_add(&shared->kept, now, tli, names);
	pg_atomic_write_u64(&shared->waiting.lsn, 0);
	show_last();
	if (is_news || shared->saved_at == 0 || now < shared->saved_at ||
		TimestampDifferenceExceeds(shared->saved_at, now, SAVE_PAUSE_MS))
		save(store, now);
	return is_news;
}

static void
report_news(const char *names)
{
	ereport(LOG,
			(errmsg("the primary's synchronous_standby_names is now \"%s\"",
					ws_peertext_for_log(names))));
}

void
ws_standby_names_note(const WsStore *store, TimeLineID tli, const char *names,
					  XLogRecPtr lsn)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	shared->told_too_long = false;
	(void) note(store, tli, to_be_kept(names), lsn);
	LWLockRelease(&shared->lock);
}

void
ws_standby_names_begin_asking(const WsNamesPrimary *primary)
{
	uint32		connection;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	connection = shared->primary.connection + 1;
	shared->primary = *primary;
	shared->primary.connection = connection;
	LWLockRelease(&shared->lock);
	ws_relay_note_upkeep();
}

void
ws_standby_names_end_asking(void)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	shared->primary.tli = 0;
	LWLockRelease(&shared->lock);
}

bool
ws_standby_names_get_primary(WsNamesPrimary *primary)
{
	LWLockAcquire(&shared->lock, LW_SHARED);
	*primary = shared->primary;
	LWLockRelease(&shared->lock);
	return primary->tli != 0;
}

void
ws_standby_names_note_answer(const WsStore *store, const WsNamesPrimary *primary,
							 const char *names, XLogRecPtr lsn)
{
	bool		is_news = false;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (shared->primary.tli != 0 &&
		shared->primary.connection == primary->connection)
	{
		names = to_be_kept(names);
		is_news = note(store, primary->tli, names, lsn);
	}
	LWLockRelease(&shared->lock);

	if (is_news)
		report_news(names);
}

void
ws_standby_names_settle(const WsStore *store, XLogRecPtr lsn)
{
	NamesWaiting *waiting = &shared->waiting;
	XLogRecPtr	wanted_lsn;
	bool		is_news = false;

	pg_memory_barrier();
	wanted_lsn = pg_atomic_read_u64(&waiting->lsn);
	if (wanted_lsn == 0 || wanted_lsn > lsn)
		return;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	wanted_lsn = pg_atomic_read_u64(&waiting->lsn);
	if (wanted_lsn != 0)
		is_news = note(store, waiting->tli, waiting->names, wanted_lsn);
	if (is_news)
		report_news(waiting->names);
	LWLockRelease(&shared->lock);
}
