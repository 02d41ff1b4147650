/*-------------------------------------------------------------------------
 *
 * stats.h
 *	  Counters of a stream in shared memory, and totals over streams that
 *	  have ended.
 *
 * A stream's counters are written by its owner alone and read by everybody.
 * A reset raises a generation number: a reader takes counters of an older
 * generation for zero, and the owner starts from zero when it sees the new
 * one.
 *
 * When a stream ends its counters are added to those of its application_name
 * (or subscription) and role, so that traffic can be accounted for over
 * reconnects.  Table synchronization workers, whose names do not come back, are
 * added up under one name.  The table holds WS_TOTALS names; what comes when it
 * is full is added up under the name "(others)".
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

/* What is counted: WsStreamCounts' fields, and time. */
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
	pg_atomic_uint64 generation;	/* of the reset that these follow */
	pg_atomic_uint64 values[WS_COUNTERS];
} WsSharedCounters;

typedef struct WsCounters
{
	uint64		values[WS_COUNTERS];
} WsCounters;

/*
 * The owner's side: publishes differences of counts that only ever rise, so
 * that a reset does not need them to go back.
 */
typedef struct WsCounterFeed
{
	WsSharedCounters *shared;	/* NULL: nothing is published */
	WsStreamCounts published;
} WsCounterFeed;

/* Totals of one name and role. */
typedef struct WsTotal
{
	char		name[NAMEDATALEN];
	int			role;			/* WsPeerRole, or -1 in the others' row */
	uint64		streams;		/* connections that streamed and have ended; 0
								 * in an unused entry */
	WsCounters	counters;
	TimestampTz last_end;
} WsTotal;

/* In _PG_init, after ws_shmem_init(). */
extern void ws_stats_init(void);

/* In shared memory that has just been made. */
extern void ws_counters_init(WsSharedCounters *counters);

/* Set to zero, in the current generation. */
extern void ws_counters_clear(WsSharedCounters *counters);

/* Values in the current generation. */
extern void ws_counters_read(WsSharedCounters *counters, WsCounters *result);

/*
 * Owner only: publish what has been counted since the last call, and coding_ns
 * more nanoseconds.  A few loads and stores.
 */
extern void ws_counters_feed(WsCounterFeed *feed,
							 const WsStreamCounts *counts, uint64 coding_ns);

/* The name that a stream of this name is added up under. */
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
 * When that last happened, or shared memory was made; the caller holds
 * ws_shmem_lock().
 */
extern TimestampTz ws_stats_reset_time(void);

#endif							/* WS_STATS_H */
