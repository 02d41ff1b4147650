/*-------------------------------------------------------------------------
 *
 * chain.c
 *	  Keeps track of the relays that this one's WAL comes through, so that no
 *	  relay receives from itself.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "port/atomics.h"
#include "relay/chain.h"
#include "relay/news.h"
#include "shmem.h"
#include "storage/shmem.h"
#include "storage/spin.h"

/*
 * chain begins with this relay's identity, which never changes. mutex guards
 * the rest, which the receiver writes; changes counts the changes.
 */
typedef struct ChainShared
{
	slock_t		mutex;
	pg_atomic_uint32 changes;
	WsChain		chain;
} ChainShared;

static ChainShared *shared = NULL;

/*
 * The chain that this sender has sent to its client, and the number of the
 * change; count is 0 if none was sent.
 */
static WsChain told_chain;
static uint32 told_changes;

static Size
shmem_size(void)
{
	return sizeof(ChainShared);
}

static void
shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("walstream relay chain", shmem_size(), &found);
	if (found)
		return;

	memset(shared, 0, sizeof(ChainShared));
	SpinLockInit(&shared->mutex);
	pg_atomic_init_u32(&shared->changes, 0);
	shared->chain.count = 1;
	while (shared->chain.ids[0] == 0)
	{
		if (!pg_strong_random(&shared->chain.ids[0], sizeof(uint64)))
			ereport(FATAL,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate an identity for the relay")));
	}
}

void
ws_chain_init(void)
{
	ws_shmem_add(shmem_size, shmem_init);
}

uint64
ws_chain_my_id(void)
{
	return shared->chain.ids[0];
}

static void
copy_chain(WsChain *chain)
{
	SpinLockAcquire(&shared->mutex);
	*chain = shared->chain;
	SpinLockRelease(&shared->mutex);
}

bool
ws_chain_publish(const WsChain *upstream)
{
	WsChain		chain = {0};

	chain.count = 1;
	chain.ids[0] = ws_chain_my_id();
	if (upstream != NULL)
	{
		if (upstream->count >= WS_CHAIN_MAX)
			return false;
		memcpy(chain.ids + 1, upstream->ids, upstream->count * sizeof(uint64));
		chain.count += upstream->count;
	}
	if (chain.count == shared->chain.count &&
		memcmp(chain.ids, shared->chain.ids, chain.count * sizeof(uint64)) == 0)
		return true;

	SpinLockAcquire(&shared->mutex);
	shared->chain = chain;
	SpinLockRelease(&shared->mutex);
	pg_atomic_fetch_add_u32(&shared->changes, 1);
	ws_news_tell();
	return true;
}

void
ws_chain_tell(char *text)
{
	/* any later change will be noticed */
	told_changes = pg_atomic_read_u32(&shared->changes);
	copy_chain(&told_chain);
	ws_chain_format(&told_chain, text);
}

bool
ws_chain_client_must_ask(void)
{
	uint32		changes = pg_atomic_read_u32(&shared->changes);
	WsChain		chain;

	if (told_chain.count == 0 || changes == told_changes)
		return false;
	told_changes = changes;
	copy_chain(&chain);
	return ws_chain_has_more(&chain, &told_chain);
}
