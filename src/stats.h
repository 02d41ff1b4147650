/*-------------------------------------------------------------------------
 *
 * stats.h
 *	  Counters of a stream in shared memory, and totals of streams that have
 *	  ended.
 *
 * Only the owner of a stream writes its counters; any process may read them.
 * A reset raises a generation number.  Readers take counters of an older
 * generation for zero, and the owner starts from zero when it sees the new
 * one.
 *
 * When a stream ends, its counters are added to the totals of its
 * application_name (or subscription) and role, so that traffic can be
 * accounted for over reconnects.  All table synchronization workers share one
 * name, since theirs do not come back.  The table has room for WS_TOTALS
 * names; further ones are added up under the name "(others)".
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_STATS_H
#define WS_STATS_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "pure/wire/encoder.h"

#define WS_TOTALS	128

/* The counters: the fields of WsStreamCounts, and time. */
typedef enum WsCounter
{
	WS_COUNT_RAW_BYTES,
	WS_COUNT_WIRE_BYTES,
	WS_COUNT_MESSAGES,
	WS_COUNT_FRAMES,
	WS_COUNT_BYPASSED,
	WS_COUNT_CODEC_FAILURES,
	WS_COUNT_CODING_NS,			/* time spent encoding or decoding */
} WsCounter;
#define WS_COUNTERS (WS_COUNT_CODING_NS + 1)

typedef struct WsSharedCounters
{
	pg_atomic_uint64 generation;	/* generation that the counters belong to */
	pg_atomic_uint64 values[WS_COUNTERS];
} WsSharedCounters;

typedef struct WsCounters
{
	uint64		values[WS_COUNTERS];
} WsCounters;

/*
 * The owner's side.  It publishes differences of counts that only rise, so
 * that a reset does not have to set those back.
 */
typedef struct WsCounterFeed
{
	WsSharedCounters *shared;	/* NULL: nothing is published */
	WsStreamCounts published;
} WsCounterFeed;

/* The totals of one name and role. */
typedef struct WsTotal
{
	char		name[NAMEDATALEN];
	int			role;			/* WsPeerRole, or -1 in the others' row */
	uint64		streams;		/* ended connections that have streamed; 0 in
								 * an unused entry */
	WsCounters	counters;
	TimestampTz last_end;
} WsTotal;

/* In _PG_init, after ws_shmem_init(). */
extern void ws_stats_init(void);

/* Initialize the counters in new shared memory. */
extern void ws_counters_init(WsSharedCounters *counters);

/* Set the counters to zero, in the current generation. */
extern void ws_counters_clear(WsSharedCounters *counters);

/* Read the counters, as of the current generation. */
extern void ws_counters_read(WsSharedCounters *counters, WsCounters *result);

/*
 * Owner only: publish the increase of the counts since the last call, and
 * coding_ns more nanoseconds.  This takes a few loads and stores.
 */
extern void ws_counters_feed(WsCounterFeed *feed,
							 const WsStreamCounts *counts, uint64 coding_ns);

/* Returns the name under which a stream of this name is added up. */
extern const char *ws_stats_total_name(const char *name);

/* Add an ended stream's counters; the caller holds ws_shmem_lock(). */
extern void ws_stats_add_total(const char *name, int role,
							   WsSharedCounters *counters);

/*
 * Copy the totals in use into a palloc'd array; the caller holds
 * ws_shmem_lock().
 */
extern int	ws_stats_snapshot_totals(WsTotal **result);

/* Set all counters and totals to zero. */
extern void ws_stats_reset(void);

/*
 * Returns the time of the last reset, or of the creation of shared memory; the
 * caller holds ws_shmem_lock().
 */
extern TimestampTz ws_stats_reset_time(void);

#endif							/* WS_STATS_H */
