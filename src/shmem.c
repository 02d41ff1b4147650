/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  Asks for walstream's shared memory and lays it out.
 *
 * Runs in the postmaster, at start and again after a crash of any process,
 * when PostgreSQL makes shared memory anew: that is what clears the entries
 * of processes that were killed.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "peer.h"
#include "shmem.h"
#include "stats.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "upstream.h"

#define TRANCHE_NAME "walstream"

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;
static LWLock *lock = NULL;

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	RequestAddinShmemSpace(ws_peer_shmem_size());
	RequestAddinShmemSpace(ws_stats_shmem_size());
	RequestAddinShmemSpace(ws_upstream_shmem_size());
	RequestNamedLWLockTranche(TRANCHE_NAME, 1);
}

static void
startup_shmem(void)
{
	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	lock = &GetNamedLWLockTranche(TRANCHE_NAME)->lock;
	ws_stats_shmem_init();
	ws_peer_shmem_init();
	ws_upstream_shmem_init();
	LWLockRelease(AddinShmemInitLock);
}

void
ws_shmem_init(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}

bool
ws_shmem_ready(void)
{
	return lock != NULL;
}

LWLock *
ws_shmem_lock(void)
{
	return lock;
}
