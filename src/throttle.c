/*-------------------------------------------------------------------------
 *
 * throttle.c
 *	  Keeps a walsender's stream below its walstream.rate_limit.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <fcntl.h>
#include <unistd.h>

#include "pure/bucket.h"
#include "replication/slot.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "sockopt.h"
#include "storage/latch.h"
#include "throttle.h"
#include "utils/pidfile.h"
#include "waitevent.h"

/* Longest sleep: replies are looked at and timeouts checked in between. */
#define SLICE_MS			10

/* How often to look whether commits wait for the stream, or the server stops. */
#define CHECK_US			100000

#define POSTMASTER_FILE		"postmaster.pid"

static int64 stream_limit = 0;	/* 0: none */
static bool stream_sync_too = false;
static WsPacing pacing = WS_PACING_NONE;
static bool applied = false;	/* the socket knows */
static bool stopping = false;	/* stays so */
static bool synchronous = false;	/* as of checked_us */
static int64 checked_us = 0;
static WsBucket bucket;			/* with WS_PACING_OWN */

/* Of a clock that is never put back. */
static int64
now_us(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) (ws_instr_time_ns(now) / 1000);
}

static bool
is_stopping(void)
{
	return stopping ||
		(MyWalSnd != NULL && MyWalSnd->state == WALSNDSTATE_STOPPING);
}

/*
 * Returns true if the server has begun to stop, as the postmaster notes in its
 * file.  A logical walsender's state does not show it, and a physical one's only
 * when its next message is begun.
 */
static bool
server_stops(void)
{
	char		content[MAXPGPATH * 4];
	char	   *line = content;
	int			fd = open(POSTMASTER_FILE, O_RDONLY);
	ssize_t		len;

	if (fd < 0)
		return false;
	len = read(fd, content, sizeof(content) - 1);
	close(fd);
	content[Max(len, 0)] = '\0';
	for (int i = 1; i < LOCK_FILE_LINE_PM_STATUS && line != NULL; i++)
	{
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return line != NULL &&
		strncmp(line, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0;
}

/*
 * Returns true if commits wait for this stream: it is one of the synchronous
 * ones, or is to become one, as there are too few now.  A standby that has a
 * priority is not enough: it may be a spare one.
 */
static bool
is_synchronous(void)
{
	SyncRepStandbyData *standbys;
	int			count;
	bool		found;

	if (SyncRepConfig == NULL || MyWalSnd == NULL ||
		MyWalSnd->sync_standby_priority == 0)
		return false;

	count = SyncRepGetCandidateStandbys(&standbys);
	found = count < SyncRepConfig->num_sync;
	for (int i = 0; i < count && !found; i++)
		found = standbys[i].is_me;
	pfree(standbys);
	return found;
}

/*
 * A row is one message of a logical stream, however large it is.  If the kernel
 * sent it in even steps, a receiver's timeout could strike before it has all of
 * it, again and again.
 */
static bool
is_logical(void)
{
	return MyReplicationSlot != NULL && SlotIsLogical(MyReplicationSlot);
}

/* Do what is to be done about the limit. */
static void
apply(void)
{
	if (stream_limit == 0)
		pacing = WS_PACING_NONE;
	else if (is_stopping())
		pacing = WS_PACING_STOPPING;
	else if (synchronous)
		pacing = WS_PACING_SYNCHRONOUS;
	else if (!is_logical() && ws_sockopt_pace(stream_limit))
		pacing = WS_PACING_KERNEL;
	else
	{
		pacing = WS_PACING_OWN;
		ws_bucket_begin(&bucket, stream_limit, now_us());
	}

	if (pacing != WS_PACING_KERNEL)
		ws_sockopt_unpace();
}

void
ws_throttle_set(int64 limit, bool sync_too)
{
	/* a reload that changes nothing forgives no debt */
	if (applied && limit == stream_limit && sync_too == stream_sync_too)
		return;
	applied = true;
	stream_limit = limit;
	stream_sync_too = sync_too;
	synchronous = false;
	checked_us = 0;
	apply();
}

void
ws_throttle_end(void)
{
	if (stream_limit != 0)
		ws_throttle_set(0, false);
}

void
ws_throttle_note_stopping(void)
{
	stopping = true;
}

void
ws_throttle_check(void)
{
	int64		now;

	if (stream_limit == 0)
		return;
	if (is_stopping())
	{
		if (pacing != WS_PACING_STOPPING)
			apply();
		return;
	}

	now = now_us();
	if (now < checked_us + CHECK_US)
		return;
	checked_us = now;
	if (server_stops())
	{
		stopping = true;
		apply();
	}
	else if (!stream_sync_too && is_synchronous() != synchronous)
	{
		synchronous = !synchronous;
		apply();
	}
}

WsPacing
ws_throttle_pacing(int64 *limit)
{
	*limit = stream_limit;
	return pacing;
}

void
ws_throttle_take(size_t bytes)
{
	if (pacing == WS_PACING_OWN)
		ws_bucket_take(&bucket, (int64) bytes);
}

bool
ws_throttle_in_debt(void)
{
	return pacing == WS_PACING_OWN && !is_stopping() &&
		ws_bucket_wait_us(&bucket, now_us()) > 0;
}

void
ws_throttle_wait(void)
{
	int64		wait_us;

	if (pacing != WS_PACING_OWN || is_stopping())
		return;
	wait_us = ws_bucket_wait_us(&bucket, now_us());
	if (wait_us > 0)
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(SLICE_MS, wait_us / 1000 + 1),
						 ws_waitevent(WS_WAIT_RATE_LIMIT));
}
