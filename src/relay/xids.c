/*-------------------------------------------------------------------------
 *
 * xids.c
 *	  Keeps the next transaction id known from the stored WAL.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog_internal.h"
#include "catalog/pg_control.h"
#include "port/atomics.h"
#include "pure/walz/layout.h"
#include "relay/xids.h"
#include "shmem.h"
#include "storage/shmem.h"
#include "storage/standbydefs.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Minimum time between two writes of the file. */
#define SAVE_PAUSE_MS	10000

StaticAssertDecl(RM_XLOG_ID == WS_SCAN_RM_XLOG, "resource manager of checkpoints");
StaticAssertDecl(XLOG_CHECKPOINT_SHUTDOWN == WS_SCAN_CHECKPOINT_SHUTDOWN, "shutdown checkpoint");
StaticAssertDecl(XLOG_CHECKPOINT_ONLINE == WS_SCAN_CHECKPOINT_ONLINE, "online checkpoint");
StaticAssertDecl(offsetof(CheckPoint, ThisTimeLineID) == WS_SCAN_CHECKPOINT_TLI, "checkpoint's timeline");
StaticAssertDecl(offsetof(CheckPoint, nextXid) ==
				 (XLOG_PAGE_MAGIC == WZ_MAGIC_19 ? WS_SCAN_CHECKPOINT_XID_19 : WS_SCAN_CHECKPOINT_XID),
				 "checkpoint's next id");
StaticAssertDecl(RM_STANDBY_ID == WS_SCAN_RM_STANDBY, "resource manager of running transactions");
StaticAssertDecl(XLOG_RUNNING_XACTS == WS_SCAN_RUNNING_XACTS, "running transactions");
StaticAssertDecl(offsetof(xl_running_xacts, nextXid) == WS_SCAN_RUNNING_XID, "running transactions' next id");

/*
 * The receiver writes next_xid and checkpoint_tli, any process reads them; 0
 * if not known.  saved_xid is the id in the file, 0 if the file was not
 * written here; both workers use it, with the store locked.
 */
typedef struct XidsShared
{
	pg_atomic_uint64 next_xid;
	pg_atomic_uint32 checkpoint_tli;
	pg_atomic_uint64 saved_xid;
} XidsShared;

static XidsShared *shared = NULL;

static Size
shmem_size(void)
{
	return sizeof(XidsShared);
}

static void
shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("walstream relay xids", shmem_size(), &found);
	if (found)
		return;
	pg_atomic_init_u64(&shared->next_xid, 0);
	pg_atomic_init_u32(&shared->checkpoint_tli, 0);
	pg_atomic_init_u64(&shared->saved_xid, 0);
}

void
ws_xids_init(void)
{
	ws_shmem_add(shmem_size, shmem_init);
}

FullTransactionId
ws_xids_next(void)
{
	FullTransactionId next;

	next.value = pg_atomic_read_u64(&shared->next_xid);
	return next;
}

WsFeedback
ws_xids_limit(WsFeedback told)
{
	FullTransactionId next = ws_xids_next();

	return FullTransactionIdIsValid(next) ? ws_feedback_limit(told, next) : told;
}

static void
set_next(uint64 next_xid, TimeLineID checkpoint_tli)
{
	pg_atomic_write_u32(&shared->checkpoint_tli, checkpoint_tli);
	pg_atomic_write_u64(&shared->next_xid, next_xid);
}

void
ws_xids_load(const WsStore *store)
{
	WsXidFile	file;

	if (!FullTransactionIdIsValid(ws_xids_next()) &&
		ws_store_read_xids(store, &file))
		set_next(file.next_xid, file.checkpoint_tli);
}

void
ws_xids_raise(FullTransactionId next)
{
	if (FullTransactionIdFollows(next, ws_xids_next()))
		set_next(U64FromFullTransactionId(next),
				 pg_atomic_read_u32(&shared->checkpoint_tli));
}

void
ws_xids_begin_scan(WsXidScan *scan, const WsStore *store, XLogRecPtr lsn, bool anew)
{
	WsCodecParams params = {0};

	params.wal_block_size = store->identity.block_size;
	params.wal_segment_size = store->identity.segment_size;
	params.wal_page_magic = XLOG_PAGE_MAGIC;
	ws_xidscan_begin(scan, &params, lsn,
					 anew ? 0 : pg_atomic_read_u64(&shared->next_xid),
					 anew ? 0 : pg_atomic_read_u32(&shared->checkpoint_tli));
}

void
ws_xids_scan(WsXidScan *scan, const char *data, size_t len)
{
	ws_xidscan_put(scan, (const uint8 *) data, len);
}

void
ws_xids_publish(const WsXidScan *scan)
{
	if (scan->next_xid != pg_atomic_read_u64(&shared->next_xid) ||
		scan->checkpoint_tli != pg_atomic_read_u32(&shared->checkpoint_tli))
		set_next(scan->next_xid, scan->checkpoint_tli);
}

void
ws_xids_forget(const WsStore *store)
{
	set_next(0, 0);
	pg_atomic_write_u64(&shared->saved_xid, 0);
	ws_store_remove_xids(store);
}

long
ws_xids_save(const WsStore *store)
{
	static TimestampTz tried_at = 0;
	static bool failed = false;
	TimestampTz now;
	WsXidFile	file;

	file.next_xid = pg_atomic_read_u64(&shared->next_xid);
	file.checkpoint_tli = pg_atomic_read_u32(&shared->checkpoint_tli);
	if (file.next_xid == 0 || file.next_xid == pg_atomic_read_u64(&shared->saved_xid))
		return 0;

	now = GetCurrentTimestamp();
	if (now >= tried_at && !TimestampDifferenceExceeds(tried_at, now, SAVE_PAUSE_MS))
		return TimestampDifferenceMilliseconds(now,
											   TimestampTzPlusMilliseconds(tried_at, SAVE_PAUSE_MS)) + 1;
	tried_at = now;
	if (!ws_store_write_xids(store, &file, failed ? DEBUG1 : LOG))
	{
		failed = true;
		return SAVE_PAUSE_MS;
	}
	failed = false;
	pg_atomic_write_u64(&shared->saved_xid, file.next_xid);
	return 0;
}
