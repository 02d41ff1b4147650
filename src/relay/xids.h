/*-------------------------------------------------------------------------
 *
 * xids.h
 *	  Keeps the next transaction id known from the stored WAL.
 *
 * If a downstream asked to keep rows for a transaction that has not begun yet,
 * the primary would refuse the feedback of all downstreams.  So their feedback
 * is limited to the next transaction id known from the WAL itself.  That may
 * be older than the primary's next one, which keeps more.
 *
 * The receiver learns the id from the WAL that it stores
 * (pure/relay/xidscan.h).  It is kept in shared memory and in the store's file
 * walstream.xids, since the last checkpoint, without which it cannot be
 * determined, may be far back.
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

/*
 * Returns the next transaction id, or an earlier one; invalid while none is
 * known.
 */
extern FullTransactionId ws_xids_next(void);

/*
 * Limit a downstream's feedback to valid xids; does nothing while no id is
 * known.
 */
extern WsFeedback ws_xids_limit(WsFeedback told);

/*
 * Receiver: load the id from the file, unless one is known.  A damaged file is
 * logged and ignored.
 */
extern void ws_xids_load(const WsStore *store);

/*
 * Receiver: note that the next id is at least this one, according to another
 * source.
 */
extern void ws_xids_raise(FullTransactionId next);

/*
 * Receiver: begin to follow the WAL that is written, from lsn on, with the id
 * known so far; with anew, for a range that will replace the stored one,
 * without it.
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
