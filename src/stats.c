/*-------------------------------------------------------------------------
 *
 * stats.c
 *	  Counters of streams, and totals of streams that have ended.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "shmem.h"
#include "stats.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#define OTHERS_NAME "(others)"
#define TABLESYNC_NAME "(table synchronization)"

/*
 * Resets raise generation, which is read without a lock. ws_shmem_lock()
 * guards the rest.  The last element of totals is for "(others)".
 */
typedef struct WsStatsShared
{
	pg_atomic_uint64 generation;
	TimestampTz reset_time;
	WsTotal		totals[WS_TOTALS + 1];
} WsStatsShared;

static WsStatsShared *shared = NULL;

static Size
shmem_size(void)
{
	return sizeof(WsStatsShared);
}

static void
shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("walstream stats", sizeof(WsStatsShared), &found);
	if (found)
		return;

	memset(shared, 0, sizeof(WsStatsShared));
	pg_atomic_init_u64(&shared->generation, 0);
	shared->reset_time = GetCurrentTimestamp();
}

void
ws_stats_init(void)
{
	ws_shmem_add(shmem_size, shmem_init);
}

void
ws_counters_init(WsSharedCounters *counters)
{
	pg_atomic_init_u64(&counters->generation, 0);
	for (int i = 0; i < WS_COUNTERS; i++)
		pg_atomic_init_u64(&counters->values[i], 0);
}

void
ws_counters_clear(WsSharedCounters *counters)
{
	/*
	 * readers take the counters for zero until the generation is the current
	 * one
	 */
	for (int i = 0; i < WS_COUNTERS; i++)
		pg_atomic_write_u64(&counters->values[i], 0);
	pg_write_barrier();
	pg_atomic_write_u64(&counters->generation,
						pg_atomic_read_u64(&shared->generation));
}

void
ws_counters_read(WsSharedCounters *counters, WsCounters *result)
{
	memset(result, 0, sizeof(*result));
	if (pg_atomic_read_u64(&counters->generation) !=
		pg_atomic_read_u64(&shared->generation))
		return;
	pg_read_barrier();
	for (int i = 0; i < WS_COUNTERS; i++)
		result->values[i] = pg_atomic_read_u64(&counters->values[i]);
}

/* The owner is the only writer, so no atomic addition is needed. */
static inline void
add(WsSharedCounters *counters, WsCounter counter, uint64 amount)
{
	pg_atomic_uint64 *value = &counters->values[counter];

	if (amount != 0)
		pg_atomic_write_u64(value, pg_atomic_read_u64(value) + amount);
}

void
ws_counters_feed(WsCounterFeed *feed, const WsStreamCounts *counts,
				 uint64 coding_ns)
{
	WsSharedCounters *counters = feed->shared;
	const WsStreamCounts *before = &feed->published;

	if (counters == NULL)
		return;

	if (pg_atomic_read_u64(&counters->generation) !=
		pg_atomic_read_u64(&shared->generation))
		ws_counters_clear(counters);

	add(counters, WS_COUNT_RAW_BYTES, counts->raw_bytes - before->raw_bytes);
	add(counters, WS_COUNT_WIRE_BYTES, counts->wire_bytes - before->wire_bytes);
	add(counters, WS_COUNT_MESSAGES, counts->messages - before->messages);
	add(counters, WS_COUNT_FRAMES, counts->frames - before->frames);
	add(counters, WS_COUNT_BYPASSED, counts->bypassed - before->bypassed);
	add(counters, WS_COUNT_CODEC_FAILURES,
		counts->codec_failures - before->codec_failures);
	add(counters, WS_COUNT_CODING_NS, coding_ns);
	feed->published = *counts;
}

/*
 * A table synchronization worker has the name of its slot: see
 * ReplicationSlotNameForTablesync().
 */
const char *
ws_stats_total_name(const char *name)
{
	unsigned int subscription;
	unsigned int table;
	char		c;

	if (sscanf(name, "pg_%u_sync_%u%c", &subscription, &table, &c) == 3 &&
		c == '_')
		return TABLESYNC_NAME;
	return name;
}

/*
 * Find the entry for a name and role: its own, a new one, or the one for
 * others.
 */
static WsTotal *
find_total(const char *name, int role)
{
	for (int i = 0; i < WS_TOTALS; i++)
	{
		WsTotal    *total = &shared->totals[i];

		if (total->streams == 0)
		{
			strlcpy(total->name, name, NAMEDATALEN);
			total->role = role;
			return total;
		}
		if (total->role == role && strcmp(total->name, name) == 0)
			return total;
	}

	strlcpy(shared->totals[WS_TOTALS].name, OTHERS_NAME, NAMEDATALEN);
	shared->totals[WS_TOTALS].role = -1;
	return &shared->totals[WS_TOTALS];
}

void
ws_stats_add_total(const char *name, int role, WsSharedCounters *counters)
{
	WsTotal    *total;
	WsCounters	values;

	Assert(LWLockHeldByMeInMode(ws_shmem_lock(), LW_EXCLUSIVE));

	total = find_total(ws_stats_total_name(name), role);
	ws_counters_read(counters, &values);
	for (int i = 0; i < WS_COUNTERS; i++)
		total->counters.values[i] += values.values[i];
	total->streams++;
	total->last_end = GetCurrentTimestamp();
}

int
ws_stats_snapshot_totals(WsTotal **result)
{
	WsTotal    *totals = palloc(sizeof(shared->totals));
	int			count = 0;

	Assert(LWLockHeldByMe(ws_shmem_lock()));

	for (int i = 0; i <= WS_TOTALS; i++)
	{
		if (shared->totals[i].streams > 0)
			totals[count++] = shared->totals[i];
	}
	*result = totals;
	return count;
}

void
ws_stats_reset(void)
{
	TimestampTz now = GetCurrentTimestamp();

	LWLockAcquire(ws_shmem_lock(), LW_EXCLUSIVE);
	memset(shared->totals, 0, sizeof(shared->totals));
	shared->reset_time = now;
	pg_atomic_fetch_add_u64(&shared->generation, 1);
	LWLockRelease(ws_shmem_lock());
}

TimestampTz
ws_stats_reset_time(void)
{
	Assert(LWLockHeldByMe(ws_shmem_lock()));
	return shared->reset_time;
}
