/*-------------------------------------------------------------------------
 *
 * news.c
 *	  Tells processes that there is news for downstreams.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/news.h"
#include "replication/walsender.h"
#include "shmem.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"

/* latch is NULL in a free entry; mutex guards it. */
typedef struct Listener
{
	slock_t		mutex;
	Latch	   *latch;
}			Listener;

static Listener * listeners = NULL;
static Listener * mine = NULL;

static Size
shmem_size(void)
{
	return mul_size(max_wal_senders, sizeof(Listener));
}

static void
shmem_init(void)
{
	bool		found;

	listeners = ShmemInitStruct("walstream relay news", shmem_size(), &found);
	if (found)
		return;

	memset(listeners, 0, shmem_size());
	for (int i = 0; i < max_wal_senders; i++)
		SpinLockInit(&listeners[i].mutex);
}

void
ws_news_init(void)
{
	ws_shmem_add(shmem_size, shmem_init);
}

static void
listen_no_more(int code, Datum arg)
{
	SpinLockAcquire(&mine->mutex);
	mine->latch = NULL;
	SpinLockRelease(&mine->mutex);
	mine = NULL;
}

void
ws_news_listen(void)
{
	Assert(mine == NULL);

	for (int i = 0; i < max_wal_senders && mine == NULL; i++)
	{
		Listener   *listener = &listeners[i];

		SpinLockAcquire(&listener->mutex);
		if (listener->latch == NULL)
		{
			listener->latch = &MyProc->procLatch;
			mine = listener;
		}
		SpinLockRelease(&listener->mutex);
	}
	if (mine == NULL)
		elog(FATAL, "more than %d processes listen", max_wal_senders);

	before_shmem_exit(listen_no_more, 0);
}

void
ws_news_tell(void)
{
	for (int i = 0; i < max_wal_senders; i++)
	{
		Latch	   *latch;

		SpinLockAcquire(&listeners[i].mutex);
		latch = listeners[i].latch;
		SpinLockRelease(&listeners[i].mutex);

		/* harmless if the latch's process has exited */
		if (latch != NULL)
			SetLatch(latch);
	}
}
