/*-------------------------------------------------------------------------
 *
 * peer.c
 *	  The shared array of live streams.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "guc.h"
#include "peer.h"
#include "peertext.h"
#include "port/atomics.h"
#include "replication/logicallauncher.h"
#include "replication/walsender.h"
#include "shmem.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

/*
 * One entry.
 *
 * mutex guards all fields but the last two, and is held for a few assignments
 * only, without calls, allocations, reports or looks at the clock.  Only the
 * owner writes these fields, and it may read them without the mutex.  pid is 0
 * in a free entry.
 *
 * position and counters are atomics, written by the owner only.
 */
struct WsPeer
{
	slock_t		mutex;
	pid_t		pid;
	WsPeerRole	role;
	WsPeerMode	mode;
	WsNoCodecReason reason;
	WsCodecSpec codec;
	TimestampTz streaming_since;
	char		name[NAMEDATALEN];
	char		congestion_control[WS_CONGESTION_SIZE];
	int64		rate_limit;
	WsPacing	pacing;

	pg_atomic_uint64 position;
	WsSharedCounters counters;
};

/* Interval at which a stream without an entry looks for a free one. */
#define CLAIM_AGAIN_MS	1000

static WsPeer *peers = NULL;

/*
 * Number of streams that can exist at once: all walsenders (including a
 * relay's), the walreceiver, all apply and table synchronization workers, and
 * a relay's receiver.
 */
static int
peer_count(void)
{
	return max_wal_senders + 1 + max_logical_replication_workers +
		(ws_guc_relay()->enabled ? 1 : 0);
}

static Size
shmem_size(void)
{
	return mul_size(peer_count(), sizeof(WsPeer));
}

static void
shmem_init(void)
{
	bool		found;

	peers = ShmemInitStruct("walstream peers", shmem_size(), &found);
	if (found)
		return;

	memset(peers, 0, shmem_size());
	for (int i = 0; i < peer_count(); i++)
	{
		SpinLockInit(&peers[i].mutex);
		pg_atomic_init_u64(&peers[i].position, InvalidXLogRecPtr);
		ws_counters_init(&peers[i].counters);
	}
}

void
ws_peer_init(void)
{
	ws_shmem_add(shmem_size, shmem_init);
}

/* At process exit, release all entries that this process still holds. */
static void
release_all_mine(int code, Datum arg)
{
	for (int i = 0; i < peer_count(); i++)
	{
		/*
		 * no other process sets an entry to our pid, or changes one that has
		 * it
		 */
		if (peers[i].pid == MyProcPid)
			ws_peer_release(&peers[i]);
	}
}

WsPeer *
ws_peer_claim(WsPeerRole role, const char *name, TimestampTz streaming_since)
{
	static bool registered = false;
	char		name_copy[NAMEDATALEN];

	if (!registered)
	{
		before_shmem_exit(release_all_mine, 0);
		registered = true;
	}

	/*
	 * A subscription's name is in the encoding of its database, and may be
	 * shown in another.
	 */
	ws_peertext_copy_name(name_copy, name);

	for (int i = 0; i < peer_count(); i++)
	{
		WsPeer	   *peer = &peers[i];
		bool		claimed = false;

		SpinLockAcquire(&peer->mutex);
		if (peer->pid == 0)
		{
			peer->pid = MyProcPid;
			peer->role = role;
			peer->mode = WS_MODE_UNDECIDED;
			peer->reason = WS_REASON_NONE;
			peer->codec.id = WS_CODEC_NONE;
			peer->codec.level = 0;
			peer->streaming_since = streaming_since;
			memcpy(peer->name, name_copy, NAMEDATALEN);
			peer->congestion_control[0] = '\0';
			peer->rate_limit = 0;
			peer->pacing = WS_PACING_NONE;
			claimed = true;
		}
		SpinLockRelease(&peer->mutex);
		if (claimed)
			return peer;
	}
	return NULL;
}

bool
ws_peer_may_claim_again(TimestampTz *tried_at)
{
	TimestampTz now = GetCurrentTimestamp();

	/* or the clock was put back */
	if (now >= *tried_at &&
		!TimestampDifferenceExceeds(*tried_at, now, CLAIM_AGAIN_MS))
		return false;
	*tried_at = now;
	return true;
}

void
ws_peer_release(WsPeer *peer)
{
	/*
	 * A receiver that exits disconnects after its entries have been released,
	 * and the entry may belong to another process by then.
	 */
	if (peer == NULL || peer->pid != MyProcPid)
		return;

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	ws_stats_add_total(peer->name, peer->role, &peer->counters);
	ws_counters_clear(&peer->counters);
	pg_atomic_write_u64(&peer->position, InvalidXLogRecPtr);
	SpinLockAcquire(&peer->mutex);
	peer->pid = 0;
	SpinLockRelease(&peer->mutex);
	LWLockRelease(ws_shmem_lock());
}

void
ws_peer_set_mode(WsPeer *peer, WsPeerMode mode, WsNoCodecReason reason,
				 WsCodecSpec codec)
{
	if (peer == NULL)
		return;

	SpinLockAcquire(&peer->mutex);
	peer->mode = mode;
	peer->reason = reason;
	peer->codec = codec;
	SpinLockRelease(&peer->mutex);
}

void
ws_peer_set_network(WsPeer *peer, const char *congestion_control,
					int64 rate_limit, WsPacing pacing)
{
	char		copy[WS_CONGESTION_SIZE];

	if (peer == NULL)
		return;

	strlcpy(copy, congestion_control, sizeof(copy));
	SpinLockAcquire(&peer->mutex);
	memcpy(peer->congestion_control, copy, sizeof(copy));
	peer->rate_limit = rate_limit;
	peer->pacing = pacing;
	SpinLockRelease(&peer->mutex);
}

void
ws_peer_set_position(WsPeer *peer, XLogRecPtr position)
{
	if (peer != NULL)
		pg_atomic_write_u64(&peer->position, position);
}

WsSharedCounters *
ws_peer_counters(WsPeer *peer)
{
	return peer != NULL ? &peer->counters : NULL;
}

int
ws_peer_snapshot(WsPeerSnapshot **result)
{
	WsPeerSnapshot *snapshots = palloc0(sizeof(WsPeerSnapshot) * peer_count());
	int			count = 0;

	for (int i = 0; i < peer_count(); i++)
	{
		WsPeer	   *peer = &peers[i];
		WsPeerSnapshot *snapshot = &snapshots[count];

		SpinLockAcquire(&peer->mutex);
		snapshot->pid = peer->pid;
		snapshot->role = peer->role;
		snapshot->mode = peer->mode;
		snapshot->reason = peer->reason;
		snapshot->codec = peer->codec;
		snapshot->streaming_since = peer->streaming_since;
		memcpy(snapshot->name, peer->name, NAMEDATALEN);
		memcpy(snapshot->congestion_control, peer->congestion_control,
			   WS_CONGESTION_SIZE);
		snapshot->rate_limit = peer->rate_limit;
		snapshot->pacing = peer->pacing;
		SpinLockRelease(&peer->mutex);

		if (snapshot->pid == 0)
			continue;
		snapshot->position = pg_atomic_read_u64(&peer->position);
		ws_counters_read(&peer->counters, &snapshot->counters);
		count++;
	}

	*result = snapshots;
	return count;
}

const char *
ws_peer_role_name(WsPeerRole role)
{
	switch (role)
	{
		case WS_ROLE_PHYSICAL_SENDER:
			return "physical sender";
		case WS_ROLE_LOGICAL_SENDER:
			return "logical sender";
		case WS_ROLE_PHYSICAL_RECEIVER:
			return "physical receiver";
		case WS_ROLE_LOGICAL_RECEIVER:
			return "logical receiver";
		case WS_ROLE_RELAY_RECEIVER:
			return "relay receiver";
	}
	return "unknown";
}

const char *
ws_peer_mode_reason(WsPeerMode mode, WsNoCodecReason reason)
{
	switch (mode)
	{
		case WS_MODE_CODED:
			return NULL;
		case WS_MODE_UNDECIDED:
			return "waiting for the first message";
		case WS_MODE_NOT_ASKED:
			return "the receiver did not ask for compression";
		case WS_MODE_STOCK_PEER:
			return "the upstream does not have walstream";
		case WS_MODE_NO_CODEC:
			return ws_reason_text(reason);
		case WS_MODE_OFF:
			return "walstream.compression is off on this server";
		case WS_MODE_SUSPENDED:
			return "suspended after repeated decoding failures";
		case WS_MODE_OPTIONS_REFUSED:
			return "the connection to the upstream refuses the \"options\" parameter";
		case WS_MODE_OPTIONS_LOST:
			return "this minor release of PostgreSQL drops \"options\" on logical connections";
	}
	return "unknown";
}
