/*-------------------------------------------------------------------------
 *
 * xids.h
 *	  How far the transaction ids in the stored WAL have come.
 *
 * A downstream that asks for rows to be kept since a transaction that has not
 * begun yet would have the primary refuse what all of them ask for.  So what
 * they ask for is limited to the next transaction that is known from the WAL
 * itself.  That may be an older one than the primary's, which keeps more.
 *
 * The receiver learns it from what it stores (pure/xidscan.h).  It is in shared
 * memory, and in the store's file walstream.xids, since a checkpoint, without
 * which it cannot be told, may be far back.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_XIDS_H
#define WS_RELAY_XIDS_H

#include "pure/relay/xidscan.h"
#include "relay/feedback.h"
#include "relay/store/store.h"

/* In _PG_init of a relay. */
extern void ws_xids_init(void);

/* The next transaction, or an earlier one; Invalid while none is known. */
extern FullTransactionId ws_xids_next(void);

/* What of a downstream's feedback counts; all, while nothing is known. */
extern WsFeedback ws_xids_limit(WsFeedback told);

/*
 * Receiver: what the file says counts, if it is there and nothing is known yet.
 * A damaged one is logged and passed over.
 */
extern void ws_xids_load(const WsStore *store);

/* Receiver: another source says that ids have come this far. */
extern void ws_xids_raise(FullTransactionId next);

/*
 * Receiver: follow the WAL that is written, from lsn on, beginning with what is
 * known; anew: of what is to replace that, with nothing.
 */
extern void ws_xids_begin_scan(WsXidScan *scan, const WsStore *store, XLogRecPtr lsn,
							   bool anew);
extern void ws_xids_scan(WsXidScan *scan, const char *data, size_t len);

/* Receiver: what was followed is ours, and everybody may know. */
extern void ws_xids_publish(const WsXidScan *scan);

/* Receiver, with the store locked: another range takes the place of this one. */
extern void ws_xids_forget(const WsStore *store);

/*
 * Keeper, with the store locked: write the file if there is news and the last
 * time is long enough ago.  Returns in how many ms it is to be called again, 0
 * if there is no need.  That it cannot be written is logged only.
 */
extern long ws_xids_save(const WsStore *store);

#endif							/* WS_RELAY_XIDS_H */
