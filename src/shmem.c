/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  Asks for walstream's shared memory and lays it out.
 *
 * This runs in the postmaster at start, and again after a crash of any
 * process, when PostgreSQL creates shared memory anew.  That clears the
 * entries of processes that were killed.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "shmem.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#define TRANCHE_NAME "walstream"

/* Limit of the structures added with ws_shmem_add(). */
#define MAX_ADDED	16

typedef struct AddedPart
{
	Size		(*size) (void);
	void		(*init) (void);
} AddedPart;

static AddedPart added[MAX_ADDED];
static int	added_count = 0;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;
static LWLock *lock = NULL;

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	for (int i = 0; i < added_count; i++)
		RequestAddinShmemSpace(added[i].size());
	RequestNamedLWLockTranche(TRANCHE_NAME, 1);
}

static void
startup_shmem(void)
{
	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	lock = &GetNamedLWLockTranche(TRANCHE_NAME)->lock;
	for (int i = 0; i < added_count; i++)
		added[i].init();
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

void
ws_shmem_add(Size (*size) (void), void (*init) (void))
{
	if (added_count == MAX_ADDED)
		elog(ERROR, "too many shared structures");
	added[added_count].size = size;
	added[added_count].init = init;
	added_count++;
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
