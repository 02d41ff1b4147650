/*-------------------------------------------------------------------------
 *
 * upstream.c
 *	  Remembers the failures of receivers beyond their own life.
 *
 * The failures of streams must also outlive the server, and above all its
 * restart after a crash, which creates shared memory anew: a stream that
 * crashes its receiver must not do so for ever.  A process that crashes cannot
 * write anything, but the postmaster survives it, and runs exit callbacks
 * before it gives up shared memory.  Our callback writes the failures to a
 * file.
 *
 * The callback relies on a flag that each receiver sets while it is busy,
 * which is from taking a message until it asks for more and there is none.  If
 * the server ends with a crash, the busy receivers count as failed.  So a
 * receiver that is killed while it waits, or that has to end because another
 * process has crashed, does not count unless it was working on a message.  An
 * immediate shutdown is the operator's decision and does not count either, and
 * after a kill of the postmaster or a power cut there is no file.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "common/hashfn.h"
#include "guc.h"
#include "pgstat.h"
#include "pure/failures.h"
#include "shmem.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "upstream.h"
#include "utils/timestamp.h"

#define UPSTREAMS	WS_FAILURES_MAX_STREAMS

/*
 * PostgreSQL lets extensions use this directory and keeps it over a restart,
 * but leaves it out of base backups and pg_rewind.
 */
#define FAILURES_FILE	PG_STAT_TMP_DIR "/walstream_failures"

/*
 * ws_shmem_lock() guards all fields but the last two.  last_used is 0 in an
 * unused entry, and receiver_pid is 0 without a receiver that decodes.
 *
 * Only the receiver writes the last two, without a lock, up to once for each
 * message; the postmaster reads them when no other process is left.
 */
struct WsUpstream
{
	WsUpstreamKey key;
	TimestampTz last_used;

	WsFailures	failures;		/* failures of the stream */

	int			doubts;			/* errors in a row with our option */
	bool		refused;		/* the option is refused ... */
	TimestampTz refused_config; /* ... as of this load of the configuration */

	pid_t		receiver_pid;
	volatile bool receiver_busy;
	volatile uint64 receiver_good_bytes;	/* decoded bytes that are not in
											 * failures yet */
};

static WsUpstream *upstreams = NULL;

/*
 * In the postmaster: what is kept until shared memory has been created anew.
 */
static WsStreamFailures kept[UPSTREAMS];
static int	kept_count = 0;

static Size
shmem_size(void)
{
	return sizeof(WsUpstream) * UPSTREAMS;
}

/* Nothing depends on the file, so an error with it is only logged. */
static void
write_kept(void)
{
	char		buf[WS_FAILURES_MAX_BYTES];
	size_t		len = ws_failures_format(kept, kept_count, buf);
	FILE	   *file = AllocateFile(FAILURES_FILE ".tmp", PG_BINARY_W);
	bool		good;

	if (file != NULL)
	{
		good = fwrite(buf, 1, len, file) == len;
		good = FreeFile(file) == 0 && good;
		if (good && rename(FAILURES_FILE ".tmp", FAILURES_FILE) == 0)
			return;
	}
	ereport(LOG,
			(errcode_for_file_access(),
			 errmsg("could not write file \"%s\": %m", FAILURES_FILE)));
	(void) unlink(FAILURES_FILE ".tmp");
}

/*
 * Remove the file after reading, so that it does not come back after a kill of
 * the postmaster.
 */
static void
read_kept(void)
{
	char		buf[WS_FAILURES_MAX_BYTES + 1];
	FILE	   *file = AllocateFile(FAILURES_FILE, PG_BINARY_R);
	size_t		len;
	WsStatus	status;

	if (file == NULL)
	{
		if (errno != ENOENT)
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not read file \"%s\": %m", FAILURES_FILE)));
		return;
	}
	len = fread(buf, 1, sizeof(buf), file);
	FreeFile(file);
	if (kept_count == 0)
	{
		status = ws_failures_parse(buf, len, kept, &kept_count);
		if (status != WS_OK)
		{
			kept_count = 0;
			ereport(LOG,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("ignoring invalid file \"%s\": %s", FAILURES_FILE,
							ws_status_text(status))));
		}
	}
	(void) unlink(FAILURES_FILE);
}

/* Count the failure of a receiver that was busy when the server crashed. */
static void
note_crash(WsUpstream *upstream, TimestampTz now)
{
	bool		suspended;

	suspended = ws_failures_add(&upstream->failures,
								upstream->receiver_good_bytes,
								ws_guc_compression_hash(), now);
	ereport(LOG,
			(errmsg("receiver process (PID %d) was busy with a compressed stream when the server crashed",
					(int) upstream->receiver_pid),
			 errdetail("This counts as failure %d of %d to decode the stream.",
					   upstream->failures.count, WS_FAILURES_SUSPEND),
			 suspended ? errhint("%s", ws_upstream_suspended_hint()) : 0));
}

/*
 * The postmaster's exit callback, which is also called before it creates
 * shared memory anew.  No other process is left, and a lock may still be held
 * by a process that has crashed, so take none.  The crash may have left
 * anything in these structures; ws_failures_format() leaves out what is
 * invalid.
 */
static void
keep_failures(int code, Datum arg)
{
	TimestampTz now = GetCurrentTimestamp();

	kept_count = 0;
	for (int i = 0; i < UPSTREAMS; i++)
	{
		WsUpstream *upstream = &upstreams[i];

		if (upstream->last_used == 0)
			continue;
		if (upstream->receiver_pid != 0)
		{
			if (code != 0 && upstream->receiver_busy)
				note_crash(upstream, now);
			else
				ws_failures_add_good(&upstream->failures,
									 upstream->receiver_good_bytes);
		}
		if (upstream->failures.count < 1 ||
			upstream->failures.count > WS_FAILURES_SUSPEND)
			continue;
		kept[kept_count].stream = upstream->key;
		kept[kept_count].failures = upstream->failures;
		kept_count++;
	}
	if (kept_count > 0)
		write_kept();
}

static void
shmem_init(void)
{
	bool		found;

	upstreams = ShmemInitStruct("walstream upstreams", shmem_size(), &found);
	if (found)
		return;
	memset(upstreams, 0, shmem_size());
	if (!IsPostmasterEnvironment)
		return;

	read_kept();
	for (int i = 0; i < kept_count; i++)
	{
		upstreams[i].key = kept[i].stream;
		upstreams[i].last_used = GetCurrentTimestamp();
		upstreams[i].failures = kept[i].failures;
	}
	kept_count = 0;
	on_shmem_exit(keep_failures, 0);
}

void
ws_upstream_init(void)
{
	ws_shmem_add(shmem_size, shmem_init);
}

WsUpstreamKey
ws_upstream_key(const char *conninfo, const char *name)
{
	uint64		seed = 0;

	if (name != NULL)
		seed = hash_bytes_extended((const unsigned char *) name,
								   strlen(name), 1);
	return hash_bytes_extended((const unsigned char *) conninfo,
							   strlen(conninfo), seed);
}

/*
 * Find an entry; NULL if there is none.  The caller holds the lock
 * exclusively.
 */
static WsUpstream *
find_upstream(WsUpstreamKey key)
{
	for (int i = 0; i < UPSTREAMS; i++)
	{
		if (upstreams[i].last_used != 0 && upstreams[i].key == key)
		{
			upstreams[i].last_used = GetCurrentTimestamp();
			return &upstreams[i];
		}
	}
	return NULL;
}

/*
 * Find or make an entry; the caller holds the lock exclusively.  NULL if all
 * entries have a receiver, since such an entry must not be reused.
 */
static WsUpstream *
remember_upstream(WsUpstreamKey key)
{
	WsUpstream *upstream = find_upstream(key);

	if (upstream != NULL)
		return upstream;
	for (int i = 0; i < UPSTREAMS; i++)
	{
		if (upstreams[i].receiver_pid == 0 &&
			(upstream == NULL || upstreams[i].last_used < upstream->last_used))
			upstream = &upstreams[i];
	}
	if (upstream == NULL)
		return NULL;
	memset(upstream, 0, sizeof(*upstream));
	upstream->key = key;
	upstream->last_used = GetCurrentTimestamp();
	return upstream;
}

bool
ws_upstream_refuses(WsUpstreamKey way)
{
	WsUpstream *upstream;
	bool		result;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	upstream = find_upstream(way);
	result = upstream != NULL && upstream->refused &&
		upstream->refused_config == PgReloadTime;
	LWLockRelease(ws_shmem_lock());

	return result;
}

bool
ws_upstream_note_refusal(WsUpstreamKey way)
{
	bool		news = true;
	WsUpstream *upstream;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	upstream = remember_upstream(way);
	if (upstream != NULL)
	{
		news = !upstream->refused || upstream->refused_config != PgReloadTime;
		upstream->refused = true;
		upstream->refused_config = PgReloadTime;
	}
	LWLockRelease(ws_shmem_lock());

	return news;
}

bool
ws_upstream_doubt(WsUpstreamKey way)
{
	WsUpstream *upstream;
	bool		result;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	upstream = remember_upstream(way);
	result = upstream != NULL &&
		++upstream->doubts % WS_UPSTREAM_DOUBT_AFTER == 0;
	LWLockRelease(ws_shmem_lock());

	return result;
}

void
ws_upstream_trust(WsUpstreamKey way)
{
	WsUpstream *upstream;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	upstream = find_upstream(way);
	if (upstream != NULL)
		upstream->doubts = 0;
	LWLockRelease(ws_shmem_lock());
}

bool
ws_upstream_suspended(WsUpstreamKey stream)
{
	WsUpstream *upstream;
	bool		result;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	upstream = find_upstream(stream);
	result = upstream != NULL &&
		ws_failures_suspend(&upstream->failures, ws_guc_compression_hash(),
							GetCurrentTimestamp());
	LWLockRelease(ws_shmem_lock());

	return result;
}

const char *
ws_upstream_suspended_hint(void)
{
	return "Compression is not asked for until primary_conninfo, the subscription or walstream.compression changes, or for 10 minutes.";
}

bool
ws_upstream_note_failure(WsUpstreamKey stream, uint64 good_bytes)
{
	WsUpstream *upstream;
	bool		result;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	upstream = remember_upstream(stream);
	result = upstream != NULL &&
		ws_failures_add(&upstream->failures, good_bytes,
						ws_guc_compression_hash(), upstream->last_used);
	LWLockRelease(ws_shmem_lock());

	return result;
}

void
ws_upstream_note_success(WsUpstreamKey stream, uint64 good_bytes)
{
	WsUpstream *upstream;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	upstream = find_upstream(stream);
	if (upstream != NULL)
		ws_failures_add_good(&upstream->failures, good_bytes);
	LWLockRelease(ws_shmem_lock());
}

WsUpstream *
ws_upstream_begin(WsUpstreamKey stream)
{
	WsUpstream *upstream;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	upstream = remember_upstream(stream);
	if (upstream != NULL)
	{
		upstream->receiver_pid = MyProcPid;
		upstream->receiver_busy = false;
		upstream->receiver_good_bytes = 0;
	}
	LWLockRelease(ws_shmem_lock());

	return upstream;
}

void
ws_upstream_set_busy(WsUpstream *upstream, bool busy, uint64 good_bytes)
{
	upstream->receiver_good_bytes = good_bytes;
	upstream->receiver_busy = busy;
}

void
ws_upstream_end(WsUpstream *upstream)
{
	if (upstream == NULL)
		return;
	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	if (upstream->receiver_pid == MyProcPid)
	{
		upstream->receiver_pid = 0;
		upstream->receiver_busy = false;
		upstream->receiver_good_bytes = 0;
	}
	LWLockRelease(ws_shmem_lock());
}
