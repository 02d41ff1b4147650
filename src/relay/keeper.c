/*-------------------------------------------------------------------------
 *
 * keeper.c
 *	  The relay's keeper: a background worker that compresses closed segments
 *	  and removes WAL that need not be kept.
 *
 * The keeper works in rounds, in this order: remove WAL, make the spare
 * segment, compress one segment.  So on a full disk it makes room before it
 * uses any.  Between rounds it sleeps until the receiver has closed a segment,
 * a slot has released one, one becomes old enough, or something that failed is
 * worth another try.  A failure of one task does not keep it from the others.
 *
 * It also asks the primary for its synchronous_standby_names (ask_names.h),
 * which the receiver cannot do while it streams.
 *
 * The keeper needs no memory beyond its life: each round looks at the
 * directory.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "guc.h"
#include "nodes/pg_list.h"
#include "relay/ask_names.h"
#include "relay/relay.h"
#include "relay/slots/slots.h"
#include "relay/xids.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "waitevent.h"

/*
 * Pause before another try of a task that failed for want of room, or for all
 * segments.
 */
#define RETRY_PAUSE_MS		10000

/* Pause before another try to compress a segment; a reload ends it too. */
#define FAILED_PAUSE_S		600

#define BYTES_PER_MB		((uint64) 1024 * 1024)

/* State of a round. */
typedef struct KeepRound
{
	const WsRelaySettings *settings;
	WsRelayStatus status;
	const WsHistory *history;	/* history of the relay's timeline */
	WsSegment  *segments;
	int			segment_count;
	bool		has_removed;	/* the round has removed some of them */
	long		pause_ms;		/* pause before the next round; -1 until woken */
} KeepRound;

/* A segment that could not be compressed. */
typedef struct FailedSegment
{
	TimeLineID	tli;
	XLogSegNo	segno;
	TimestampTz retry_time;
} FailedSegment;

static List *failed_segments = NIL;

/* Failures that have been reported and have not ended since. */
static bool told_no_room_to_compress = false;
static bool told_no_spare = false;
static bool told_no_removal = false;

static void
shorten_pause(KeepRound *keep, long pause_ms)
{
	if (keep->pause_ms < 0 || pause_ms < keep->pause_ms)
		keep->pause_ms = pause_ms;
}

/* Report in the log and in SQL why something could not be done. */
static void
report_failure(const char *what, const ErrorData *edata)
{
	char		message[WS_RELAY_TEXT];

	snprintf(message, sizeof(message), "%s: %s", what, edata->message);
	ws_relay_note_error(message);
	ereport(LOG,
			(errcode(edata->sqlerrcode),
			 errmsg_internal("%s", what),
			 errdetail_internal("%s.", edata->message),
			 errhint("The relay goes on; this is tried again later.")));
}

/* Report a failure once, until the task has succeeded. */
static void
note_result(KeepRound *keep, bool *told, const char *what, const ErrorData *edata)
{
	if (edata != NULL)
	{
		if (!*told)
			report_failure(what, edata);
		shorten_pause(keep, RETRY_PAUSE_MS);
	}
	*told = edata != NULL;
}

/*
 * Do some work on the store, which is locked.  Returns NULL on success, else
 * the error.
 */
static ErrorData *
try_work(KeepRound *keep, void (*work) (KeepRound *keep, const WsSegment *segment),
		 const WsSegment *segment)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *volatile edata = NULL;

	PG_TRY();
	{
		work(keep, segment);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		LWLockReleaseAll();
		AtEOXact_Files(false);
	}
	PG_END_TRY();
	return edata;
}

/*----------------------------------------------------------------
 * Removing
 *----------------------------------------------------------------
 */

/*
 * Returns the start of the segment that ends size_mb before the end of WAL, or
 * 0.
 */
static XLogRecPtr
go_back(const KeepRound *keep, int size_mb)
{
	uint64		bytes = size_mb * BYTES_PER_MB;
	XLogRecPtr	end_lsn = keep->status.flushed_lsn;

	if (end_lsn <= bytes)
		return InvalidXLogRecPtr;
	return ws_store_segment_start(&keep->status.store, end_lsn - bytes);
}

/*
 * Returns the start of the WAL that is kept even without any slot.  The
 * segment before the open one is always kept, since recovery looks for the
 * last record from there after a crash.
 */
static XLogRecPtr
find_kept_start(KeepRound *keep)
{
	uint32		segment_size = keep->status.store.identity.segment_size;
	XLogRecPtr	start_lsn = ws_store_segment_start(&keep->status.store,
												   keep->status.flushed_lsn);
	pg_time_t	now = (pg_time_t) time(NULL);

	start_lsn = start_lsn > segment_size ? start_lsn - segment_size : InvalidXLogRecPtr;
	start_lsn = Min(start_lsn, go_back(keep, keep->settings->keep_size_mb));
	if (keep->settings->keep_age_s == 0)
		return start_lsn;

	for (int i = 0; i < keep->segment_count; i++)
	{
		const WsSegment *segment = &keep->segments[i];
		pg_time_t	left_s = segment->mtime + keep->settings->keep_age_s - now;
		XLogRecPtr	lsn = ws_segment_lsn(segment->segno, segment_size);

		if (lsn >= start_lsn || left_s <= 0)
			continue;
		start_lsn = lsn;
		shorten_pause(keep, Min(left_s, SECS_PER_HOUR) * 1000);
	}
	return start_lsn;
}

static XLogRecPtr
segment_end(const KeepRound *keep, const WsSegment *segment)
{
	return ws_store_segment_lsn(&keep->status.store, segment->segno + 1);
}

static bool
ends_segment_before(const KeepRound *keep, XLogRecPtr lsn)
{
	for (int i = 0; i < keep->segment_count; i++)
	{
		if (segment_end(keep, &keep->segments[i]) <= lsn)
			return true;
	}
	return false;
}

/*
 * Invalidate slots that need WAL which is gone, or which slots may not hold.
 */
static void
invalidate_slots(KeepRound *keep, XLogRecPtr kept_lsn)
{
	const WsStore *store = &keep->status.store;
	XLogRecPtr	oldest_lsn = ws_slots_oldest_lsn(keep->history);
	XLogRecPtr	limit_lsn = keep->status.first_lsn;

	if (keep->settings->max_slot_keep_size_mb >= 0)
		limit_lsn = Max(limit_lsn,
						Min(kept_lsn, go_back(keep, keep->settings->max_slot_keep_size_mb)));
	if (!XLogRecPtrIsInvalid(oldest_lsn) && oldest_lsn < limit_lsn)
		ws_slots_invalidate_before(store, keep->history, limit_lsn);
}

/*
 * Remove complete segments, oldest first, so that an interruption leaves no
 * gap.
 */
static void
remove_segments(KeepRound *keep, const WsSegment *unused)
{
	const WsStore *store = &keep->status.store;
	XLogRecPtr	kept_lsn = find_kept_start(keep);
	XLogRecPtr	limit_lsn;

	invalidate_slots(keep, kept_lsn);
	if (!ends_segment_before(keep, kept_lsn))
		return;

	limit_lsn = ws_slots_allow_removal(store, keep->history, kept_lsn);
	for (int i = 0; i < keep->segment_count; i++)
	{
		const WsSegment *segment = &keep->segments[i];

		if (segment_end(keep, segment) > limit_lsn)
			continue;
		CHECK_FOR_INTERRUPTS();
		keep->has_removed = true;
		ws_store_remove(store, segment->tli, segment->segno);
	}
}

static void
remove_old(KeepRound *keep)
{
	TimeLineID	first_tli;
	XLogRecPtr	first_lsn;

	note_result(keep, &told_no_removal, "could not remove old WAL segments",
				try_work(keep, remove_segments, NULL));
	if (keep->has_removed &&
		ws_store_find_first(&keep->status.store, keep->status.tli, &first_tli, &first_lsn))
		ws_relay_set_first(first_tli, first_lsn);
}

/*----------------------------------------------------------------
 * Compressing
 *----------------------------------------------------------------
 */

static FailedSegment *
find_failed(const WsSegment *segment)
{
	ListCell   *cell;

	foreach(cell, failed_segments)
	{
		FailedSegment *failed = lfirst(cell);

		if (failed->tli == segment->tli && failed->segno == segment->segno)
			return failed;
	}
	return NULL;
}

/*
 * Find the oldest raw segment that is worth a try.  Sets *more if it is not
 * the only one.
 */
static const WsSegment *
choose_segment(KeepRound *keep, bool *more)
{
	const WsSegment *chosen = NULL;
	TimestampTz now = GetCurrentTimestamp();

	*more = false;
	for (int i = 0; i < keep->segment_count && !*more; i++)
	{
		const WsSegment *segment = &keep->segments[i];
		FailedSegment *failed;

		if (segment->form != WS_SEGMENT_RAW)
			continue;
		failed = find_failed(segment);
		if (failed != NULL && failed->retry_time > now)
		{
			shorten_pause(keep, TimestampDifferenceMilliseconds(now, failed->retry_time));
			continue;
		}
		if (chosen != NULL)
			*more = true;
		else
			chosen = segment;
	}
	return chosen;
}

static void
compress_segment(KeepRound *keep, const WsSegment *segment)
{
	(void) ws_store_compress(&keep->status.store, segment->tli, segment->segno,
							 keep->settings->compress == WS_RELAY_COMPRESS_LZ4 ?
							 WS_SEGMENT_LZ4 : WS_SEGMENT_ZSTD);
}

/* Remember the failure, so that other segments come first. */
static void
put_off(const WsSegment *segment, FailedSegment *failed)
{
	MemoryContext old_context = MemoryContextSwitchTo(TopMemoryContext);

	if (failed == NULL)
	{
		failed = palloc0(sizeof(FailedSegment));
		failed->tli = segment->tli;
		failed->segno = segment->segno;
		failed_segments = lappend(failed_segments, failed);
	}
	failed->retry_time = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													 FAILED_PAUSE_S * 1000);
	MemoryContextSwitchTo(old_context);
}

static void
compress_one(KeepRound *keep)
{
	const WsStore *store = &keep->status.store;
	const WsSegment *segment;
	FailedSegment *failed;
	char		file_name[MAXFNAMELEN + 8];
	char	   *what;
	bool		more;
	bool		is_gone;
	ErrorData  *edata;

	if (keep->settings->compress == WS_RELAY_COMPRESS_OFF)
		return;
	segment = choose_segment(keep, &more);
	if (segment == NULL)
		return;

	ws_relay_lock_store();
	edata = try_work(keep, compress_segment, segment);
	is_gone = edata != NULL && !ws_store_has_segment(store, segment->tli, segment->segno);
	ws_relay_unlock_store();

	failed = find_failed(segment);
	if (edata != NULL && !is_gone)
	{
		ws_segment_file_name(store, segment->tli, segment->segno, segment->form, file_name);
		what = psprintf("could not compress WAL segment \"%s\"", file_name);
		if (edata->sqlerrcode == ERRCODE_DISK_FULL)
		{
			note_result(keep, &told_no_room_to_compress, what, edata);
			return;
		}
		if (failed == NULL)
			report_failure(what, edata);
		put_off(segment, failed);
		shorten_pause(keep, FAILED_PAUSE_S * 1000);
	}
	else
	{
		/* done, or the receiver has set the segment aside meanwhile */
		told_no_room_to_compress = false;
		failed_segments = list_delete_ptr(failed_segments, failed);
		if (failed != NULL)
			pfree(failed);
	}
	if (more)
		shorten_pause(keep, 0);
}

static void
make_spare_segment(KeepRound *keep, const WsSegment *unused)
{
	ws_store_make_spare(&keep->status.store);
}

/*
 * On a full disk the receiver needs the room more than compression does.
 */
static void
make_spare(KeepRound *keep)
{
	if (keep->status.state == WS_RELAY_DISK_FULL)
		return;
	ws_relay_lock_store();
	note_result(keep, &told_no_spare, "could not make a spare WAL segment",
				try_work(keep, make_spare_segment, NULL));
	ws_relay_unlock_store();
}

/*----------------------------------------------------------------
 * The worker
 *----------------------------------------------------------------
 */

static void
save_xids(KeepRound *keep)
{
	long		pause_ms = ws_xids_save(&keep->status.store);

	if (pause_ms > 0)
		shorten_pause(keep, pause_ms);
}

/* Work one round.  Returns how long to sleep in ms, or -1. */
static long
do_round(void)
{
	KeepRound	keep = {
		.settings = ws_guc_relay(),
		.pause_ms = -1
	};

	/*
	 * The WAL to remove must belong to the same range as the positions, so
	 * the receiver must not begin another range between looking and removing.
	 */
	ws_relay_lock_store();
	ws_relay_get_status(&keep.status);
	if (!keep.status.is_open)
	{
		ws_relay_unlock_store();
		return -1;
	}
	keep.history = ws_store_read_history(&keep.status.store, keep.status.tli);
	keep.segment_count = ws_store_list(&keep.status.store, &keep.segments);
	remove_old(&keep);
	save_xids(&keep);
	ws_relay_unlock_store();

	make_spare(&keep);
	CHECK_FOR_INTERRUPTS();

	/* segments have been removed, and others may have been closed */
	keep.segment_count = ws_store_list(&keep.status.store, &keep.segments);
	compress_one(&keep);
	return keep.pause_ms;
}

/*
 * Sleep for this long, or with -1 until woken, and ask the primary when it is
 * time to, even if there is no time to sleep.
 */
static void
rest(MemoryContext round_context, long pause_ms)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pause_ms);

	for (;;)
	{
		bool		woken = false;
		long		left_ms = ws_ask_names(&woken);

		MemoryContextReset(round_context);
		if (pause_ms >= 0)
		{
			long		until_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
																   until);

			if (until_ms == 0)
				return;

			/* or the clock was put back */
			until_ms = Min(until_ms, pause_ms);
			left_ms = left_ms < 0 ? until_ms : Min(left_ms, until_ms);
		}
		if (woken ||
			WaitLatch(MyLatch,
					  WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
					  (left_ms >= 0 ? WL_TIMEOUT : 0),
					  left_ms, ws_waitevent(WS_WAIT_RELAY_KEEPER)) & WL_LATCH_SET)
			return;
	}
}

static void
keep_for_ever(void)
{
	MemoryContext round_context;

	round_context = AllocSetContextCreate(TopMemoryContext, "walstream keeper",
										  ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(round_context);

	for (;;)
	{
		long		pause_ms;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ws_guc_reload())
		{
			/* with a reload an operator says that a fault has been fixed */
			list_free_deep(failed_segments);
			failed_segments = NIL;
		}

		pause_ms = do_round();
		MemoryContextReset(round_context);
		rest(round_context, pause_ms);
	}
}

void
walstream_relay_keeper_main(Datum arg)
{
	ws_relay_worker_run(true, keep_for_ever);
}
