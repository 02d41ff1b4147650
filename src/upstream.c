/*-------------------------------------------------------------------------
 *
 * upstream.c
 *	  What receivers remember about an upstream beyond their own life.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "common/hashfn.h"
#include "guc.h"
#include "shmem.h"
#include "storage/shmem.h"
#include "upstream.h"
#include "utils/timestamp.h"

#define UPSTREAMS	64

/*
 * All fields are guarded by ws_shmem_lock().  last_used is 0 in an unused
 * entry.
 */
typedef struct WsUpstream
{
	WsUpstreamKey key;
	TimestampTz last_used;

	int			failures;		/* without enough good bytes in between */
	uint64		good_bytes;		/* decoded since the last failure */
	TimestampTz failed_at;		/* the last failure */
	uint32		failed_setting; /* hash of walstream.compression then */

	int			doubts;			/* errors in a row with our option */
	bool		refused;		/* it is refused ... */
	TimestampTz refused_config; /* ... as of this load of the configuration */
} WsUpstream;

static WsUpstream *upstreams = NULL;

Size
ws_upstream_shmem_size(void)
{
	return sizeof(WsUpstream) * UPSTREAMS;
}

void
ws_upstream_shmem_init(void)
{
	bool		found;

	upstreams = ShmemInitStruct("walstream upstreams", ws_upstream_shmem_size(), &found);
	if (!found)
		memset(upstreams, 0, ws_upstream_shmem_size());
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

/* NULL if nothing is remembered; the caller holds the lock exclusively. */
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

/* Find or make; as above. */
static WsUpstream *
remember_upstream(WsUpstreamKey key)
{
	WsUpstream *upstream = find_upstream(key);

	if (upstream == NULL)
	{
		upstream = &upstreams[0];
		for (int i = 1; i < UPSTREAMS; i++)
		{
			if (upstreams[i].last_used < upstream->last_used)
				upstream = &upstreams[i];
		}
		memset(upstream, 0, sizeof(*upstream));
		upstream->key = key;
		upstream->last_used = GetCurrentTimestamp();
	}
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
	bool		news;
	WsUpstream *upstream;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	upstream = remember_upstream(way);
	news = !upstream->refused || upstream->refused_config != PgReloadTime;
	upstream->refused = true;
	upstream->refused_config = PgReloadTime;
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
	result = ++upstream->doubts % WS_UPSTREAM_DOUBT_AFTER == 0;
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
		upstream->failures >= WS_UPSTREAM_MAX_FAILURES &&
		upstream->failed_setting == ws_guc_compression_hash() &&
		!TimestampDifferenceExceeds(upstream->failed_at, GetCurrentTimestamp(),
									WS_UPSTREAM_SUSPEND_MS);
	LWLockRelease(ws_shmem_lock());

	return result;
}

bool
ws_upstream_note_failure(WsUpstreamKey stream, uint64 good_bytes)
{
	bool		suspended;
	WsUpstream *upstream;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	upstream = remember_upstream(stream);

	/* A new series begins, or a suspension has run out and it fails again. */
	if (upstream->good_bytes + good_bytes >= WS_UPSTREAM_GOOD_BYTES ||
		upstream->failed_setting != ws_guc_compression_hash() ||
		upstream->failures >= WS_UPSTREAM_MAX_FAILURES)
		upstream->failures = 0;

	upstream->failures++;
	upstream->good_bytes = 0;
	upstream->failed_at = upstream->last_used;
	upstream->failed_setting = ws_guc_compression_hash();
	suspended = upstream->failures >= WS_UPSTREAM_MAX_FAILURES;
	LWLockRelease(ws_shmem_lock());

	return suspended;
}

void
ws_upstream_note_success(WsUpstreamKey stream, uint64 good_bytes)
{
	WsUpstream *upstream;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	upstream = find_upstream(stream);
	if (upstream != NULL)
		upstream->good_bytes += good_bytes;
	LWLockRelease(ws_shmem_lock());
}
