/*-------------------------------------------------------------------------
 *
 * recover.c
 *	  Finds out what a store holds, after a stop or a crash.
 *
 * Closed segments are complete, since they were durable before they got their
 * names.  Of the open segment we only know what its records tell, and not even
 * whether these are on disk: after a failed fsync, the kernel may regard pages
 * as clean that were never written.  So the open segment is written anew, and
 * only then read, unless our caller knows that all of it was synced.
 *
 * The valid end is the end of the last complete record, or of the last closed
 * segment if that is later: a closed segment was acknowledged, and the
 * upstream may not have it any more.  Bytes after the valid end stay in the
 * open segment's file, but are not reported; they are received again.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/xact.h"
#include "relay/store/file.h"
#include "relay/store/records.h"
#include "relay/store/segment.h"
#include "storage/fd.h"
#include "utils/wait_event.h"

#define COPY_BYTES		(1024 * 1024)

/* A store while it is being recovered. */
typedef struct Recovery
{
	const WsStore *store;
	uint32		segment_size;
	bool		is_synced;
	WsSegment  *segments;
	int			count;
} Recovery;

/*
 * Remove unfinished files, except for the spare's, which the keeper may be
 * writing; it uses the same file again.
 */
static void
remove_temporary_files(const WsStore *store)
{
	static const char *const suffixes[] = {
		".partial.tmp", ".zst.tmp", ".lz4.tmp", ".history.tmp", ".identity.tmp"
	};
	DIR		   *dir = AllocateDir(store->path);
	struct dirent *entry;

	while ((entry = ReadDir(dir, store->path)) != NULL)
	{
		size_t		len = strlen(entry->d_name);
		char		path[MAXPGPATH];

		for (int i = 0; i < lengthof(suffixes); i++)
		{
			size_t		suffix_len = strlen(suffixes[i]);

			if (len <= suffix_len ||
				strcmp(entry->d_name + len - suffix_len, suffixes[i]) != 0)
				continue;
			ws_file_path(store->path, entry->d_name, path);
			ws_file_remove(path);
		}
	}
	FreeDir(dir);
}

static bool
are_zeros(const char *buf, size_t len)
{
	return buf[0] == 0 && memcmp(buf, buf + 1, len - 1) == 0;
}

/*
 * Copy all of one file over another, which may be the same.  Returns 0 or
 * errno.  has_zeros tells that the other file has durable zeros already.
 */
static int
copy_bytes(int from_fd, int to_fd, uint32 size, bool has_zeros, const char *from_path)
{
	char	   *buf = palloc(COPY_BYTES);
	int			error = 0;

	for (uint32 done = 0; done < size && error == 0; done += COPY_BYTES)
	{
		size_t		len = Min(COPY_BYTES, size - done);
		ssize_t		got = ws_file_read(from_fd, buf, len, done);

		if (got < 0)
			ereport(ERROR,
					ws_errcode_for_file(),
					errmsg("could not read file \"%s\": %m", from_path));
		memset(buf + got, 0, len - got);
		CHECK_FOR_INTERRUPTS();
		if (has_zeros && are_zeros(buf, len))
			continue;
		error = ws_file_write(to_fd, buf, len, done, WAIT_EVENT_WAL_WRITE);
	}
	pfree(buf);
	if (error == 0)
		error = ws_file_sync(to_fd);
	return error;
}

/*
 * Check, as far as possible, that an open segment belongs to this store; it
 * may end anywhere, even in its first page.
 */
static void
check_partial(const WsStore *store, const WsSegment *segment)
{
	WsSegmentFile file;

	if (segment->stored_bytes < sizeof(XLogLongPageHeaderData) ||
		!ws_segment_open_form(store, segment->tli, segment->segno, segment->form, &file))
		return;
	ws_segment_check_first_page(store, &file);
	ws_segment_close(&file);
}

/*
 * Write an open segment into a new file, durably with its name.  If there is a
 * spare, that becomes the new file, and only the segment's WAL has to be
 * written.  Without room for a file, the segment is written over itself; that
 * makes every page dirty again, so that the sync that follows reports on all
 * of them.
 */
static void
rewrite_partial(const WsStore *store, const WsSegment *segment)
{
	char		name[WS_FILE_NAME_SIZE];
	char		temporary[WS_FILE_NAME_SIZE];
	char		path[MAXPGPATH];
	char		temporary_path[MAXPGPATH];
	int			error = 0;
	int			from_fd;
	int			to_fd;
	bool		is_spare;

	ws_segment_file_name(store, segment->tli, segment->segno, WS_SEGMENT_PARTIAL, name);
	snprintf(temporary, sizeof(temporary), "%s" WS_TEMPORARY_SUFFIX, name);
	ws_file_path(store->path, name, path);
	ws_file_path(store->path, temporary, temporary_path);

	from_fd = ws_file_open_existing(path, O_RDWR);
	is_spare = ws_segment_take_spare(store, temporary) == 0;
	to_fd = ws_file_open_transient(temporary_path,
								   (is_spare ? 0 : O_CREAT | O_TRUNC) | O_WRONLY);
	if (to_fd < 0)
		error = errno;
	else
	{
		error = copy_bytes(from_fd, to_fd, store->identity.segment_size, is_spare, path);
		if (CloseTransientFile(to_fd) != 0 && error == 0)
			error = errno;
	}
	if (error == 0)
		error = ws_file_rename(store->path, temporary, name);
	if (error != 0)
		unlink(temporary_path);
	if (ws_errno_is_no_space(error))
		error = copy_bytes(from_fd, from_fd, store->identity.segment_size, false, path);
	CloseTransientFile(from_fd);
	if (error != 0)
	{
		errno = error;
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not write file \"%s\" anew: %m", path));
	}
}

/*
 * Check that the line's closed files have their full size, and that an open
 * one is the last.
 */
static void
check_line_files(const Recovery *recovery, const WsHistory *history,
				 XLogSegNo first, XLogSegNo last)
{
	for (int i = 0; i < recovery->count; i++)
	{
		const WsSegment *segment = &recovery->segments[i];
		char		path[MAXPGPATH];

		if (segment->segno < first || segment->segno > last ||
			segment->tli != ws_line_segment_tli(history, recovery->segment_size,
												segment->segno))
			continue;
		ws_segment_path(recovery->store, segment->tli, segment->segno, segment->form, path);
		if (segment->form == WS_SEGMENT_PARTIAL && segment->segno < last)
			ereport(ERROR,
					errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("WAL segment file \"%s\" is followed by others, but not complete",
						   path));
		if (segment->form == WS_SEGMENT_RAW &&
			segment->stored_bytes != recovery->segment_size)
			ereport(ERROR,
					errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("WAL segment file \"%s\" has an incorrect size", path),
					errdetail("It has " UINT64_FORMAT " bytes instead of %u.",
							  segment->stored_bytes, recovery->segment_size));
	}
}

/*
 * Read to the last complete record and return its end.  Only the open segment
 * may end in anything but a record.
 */
static XLogRecPtr
read_to_end(WsRecords *records, XLogRecPtr begin_lsn, XLogRecPtr closed_lsn)
{
	XLogRecPtr	valid_lsn = begin_lsn;
	bool		found = ws_records_seek(records, begin_lsn);

	while (found && ws_records_next(records))
	{
		XLogRecPtr	padding;
		XLogRecPtr	not_zero;

		valid_lsn = records->xlog->EndRecPtr;
		if (valid_lsn > closed_lsn && ws_records_is_switch(records, &padding) &&
			!ws_records_are_zeros(records, padding, Min(valid_lsn, records->end_lsn), &not_zero))
		{
			valid_lsn = padding;
			break;
		}
	}

	if (valid_lsn < closed_lsn && records->page_lsn < closed_lsn)
	{
		XLogSegNo	segno;
		char		name[MAXFNAMELEN];
		uint32		segment_size = records->store.identity.segment_size;

		segno = ws_segment_number(records->page_lsn, segment_size);
		XLogFileName(name, ws_line_segment_tli(records->history, segment_size, segno),
					 segno, segment_size);
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("WAL segment %s in relay directory \"%s\" is damaged", name,
					   records->store.path),
				errdetail("There is no valid record behind " WS_LSN ": %s.",
						  LSN_FORMAT_ARGS(valid_lsn),
						  records->message != NULL ? records->message : "unknown reason"));
	}
	return found ? valid_lsn : InvalidXLogRecPtr;
}

/*
 * Returns the valid end of the line in segments first to last, of which those
 * before closed_lsn are closed.  Reads from the last closed segment on, or
 * from an earlier one if no record begins in it.
 */
static XLogRecPtr
find_valid_end(const WsStore *store, const WsHistory *history, XLogSegNo first,
			   XLogSegNo last, XLogRecPtr closed_lsn)
{
	uint32		segment_size = store->identity.segment_size;
	XLogSegNo	segno = Max(ws_segment_number(closed_lsn, segment_size), first + 1);
	XLogRecPtr	valid_lsn;

	do
	{
		WsRecords  *records = ws_records_new(store, history, ws_segment_lsn(last + 1, segment_size));

		segno--;
		valid_lsn = read_to_end(records, ws_segment_lsn(segno, segment_size), closed_lsn);
		ws_records_free(records);
	} while (valid_lsn == InvalidXLogRecPtr && segno > first);
	return valid_lsn != InvalidXLogRecPtr ? valid_lsn : ws_segment_lsn(first, segment_size);
}

/* Close the open segment, which has turned out to be complete. */
static void
close_partial(const WsStore *store, TimeLineID tli, XLogSegNo segno)
{
	char		from[WS_FILE_NAME_SIZE];
	char		to[WS_FILE_NAME_SIZE];

	ws_segment_file_name(store, tli, segno, WS_SEGMENT_PARTIAL, from);
	ws_segment_file_name(store, tli, segno, WS_SEGMENT_RAW, to);
	errno = ws_file_rename(store->path, from, to);
	if (errno != 0)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not rename file \"%s/%s\" to \"%s\": %m",
					   store->path, from, to));
}

/*
 * Recover the line that leads to tli, of which there is WAL.  The extent ends
 * with the last record; returns the end of the last closed segment.
 */
static XLogRecPtr
recover_line(const Recovery *recovery, const WsHistory *history, TimeLineID tli,
			 WsStoreExtent *extent)
{
	const WsStore *store = recovery->store;
	const WsSegment *segment = ws_line_last_segment(recovery->segments,
													recovery->count, tli);
	XLogSegNo	first;
	XLogSegNo	last = segment->segno;
	bool		is_open = segment->form == WS_SEGMENT_PARTIAL;
	XLogRecPtr	closed_lsn = ws_segment_lsn(is_open ? last : last + 1, recovery->segment_size);

	if (!ws_line_require_first(store, history, recovery->segments, recovery->count,
							   last, &first))
		elog(ERROR, "segment " UINT64_FORMAT " of timeline %u has vanished", last, tli);
	check_line_files(recovery, history, first, last);
	if (is_open)
	{
		check_partial(store, segment);
		if (!recovery->is_synced)
			rewrite_partial(store, segment);
	}

	extent->first_tli = ws_line_segment_tli(history, recovery->segment_size, first);
	extent->first_lsn = ws_segment_lsn(first, recovery->segment_size);
	extent->tli = tli;
	extent->end_lsn = find_valid_end(store, history, first, last, closed_lsn);
	if (is_open && extent->end_lsn == ws_segment_lsn(last + 1, recovery->segment_size))
	{
		close_partial(store, tli, last);
		closed_lsn = extent->end_lsn;
	}
	return closed_lsn;
}

/* Returns the next older timeline that has WAL; 0 if none. */
static TimeLineID
find_older(const Recovery *recovery, TimeLineID tli)
{
	for (int i = recovery->count - 1; i >= 0; i--)
	{
		if (recovery->segments[i].tli < tli)
			return recovery->segments[i].tli;
	}
	return 0;
}

bool
ws_store_recover(const WsStore *store, bool is_synced, WsStoreExtent *extent)
{
	Recovery	recovery = {
		.store = store,
		.segment_size = store->identity.segment_size,
		.is_synced = is_synced
	};
	WsHistory  *history;
	TimeLineID	tli;
	XLogRecPtr	closed_lsn;

	remove_temporary_files(store);
	ws_store_drop_new_range(store);

	/* a crash may have come between a rename and the sync */
	ws_directory_sync(store->path);
	recovery.count = ws_store_list(store, &recovery.segments);
	if (recovery.count == 0)
		return false;

	tli = recovery.segments[recovery.count - 1].tli;
	history = ws_store_read_history(store, tli);
	closed_lsn = recover_line(&recovery, history, tli, extent);

	/*
	 * If a timeline's WAL does not reach its beginning, nothing of it was
	 * published, and nobody has followed to it yet.  So use an older one: the
	 * parent, unless that has less, or another branch that was followed.
	 */
	while (extent->end_lsn < ws_line_begin(history) &&
		   (tli = find_older(&recovery, tli)) != 0)
	{
		WsHistory  *older_history = ws_store_read_history(store, tli);
		WsStoreExtent older;
		XLogRecPtr	older_closed_lsn = recover_line(&recovery, older_history, tli, &older);
		XLogRecPtr	left_lsn;
		TimeLineID	next_tli;

		if (ws_history_find(history, tli, &left_lsn, &next_tli))
		{
			if (older.end_lsn < extent->end_lsn)
				break;
		}
		else if (older.end_lsn < ws_line_begin(older_history))
			continue;
		history = older_history;
		*extent = older;
		closed_lsn = older_closed_lsn;
	}
	extent->end_lsn = Max(extent->end_lsn, closed_lsn);
	pfree(recovery.segments);
	return true;
}

bool
ws_store_find_closed(const WsStore *store, WsStoreExtent *extent)
{
	uint32		segment_size = store->identity.segment_size;
	WsSegment  *segments;
	WsHistory  *history;
	const WsSegment *last;
	XLogSegNo	first;
	XLogSegNo	end;
	int			count;

	ws_directory_sync(store->path);
	count = ws_store_list(store, &segments);
	if (count == 0)
		return false;
	last = &segments[count - 1];
	end = last->form == WS_SEGMENT_PARTIAL ? last->segno : last->segno + 1;
	history = ws_store_read_history(store, last->tli);

	/* a timeline with a complete segment of its own certainly has records */
	if (history->count > 1 &&
		ws_segment_lsn(end, segment_size) < ws_line_begin(history) + 2 * segment_size)
		return false;
	if (end == 0 || !ws_line_require_first(store, history, segments, count, end - 1, &first))
		return false;
	for (int i = 0; i < count; i++)
	{
		if (segments[i].form == WS_SEGMENT_PARTIAL && segments[i].segno >= first &&
			segments[i].segno < end &&
			segments[i].tli == ws_line_segment_tli(history, segment_size, segments[i].segno))
			return false;
	}

	extent->first_tli = ws_line_segment_tli(history, segment_size, first);
	extent->first_lsn = ws_segment_lsn(first, segment_size);
	extent->tli = last->tli;
	extent->end_lsn = ws_segment_lsn(end, segment_size);
	return true;
}

bool
ws_store_find_first(const WsStore *store, TimeLineID tli, TimeLineID *first_tli,
					XLogRecPtr *first_lsn)
{
	WsSegment  *segments;
	int			count = ws_store_list(store, &segments);
	const WsSegment *last = ws_line_last_segment(segments, count, tli);
	WsHistory  *history;
	XLogSegNo	first;
	bool		found = false;

	if (last != NULL)
	{
		history = ws_store_read_history(store, tli);
		found = ws_line_require_first(store, history, segments, count, last->segno, &first);
		if (found)
		{
			*first_tli = ws_line_segment_tli(history, store->identity.segment_size, first);
			*first_lsn = ws_store_segment_lsn(store, first);
		}
	}
	pfree(segments);
	return found;
}

bool
ws_store_has_record_after(const WsStore *store, TimeLineID tli, XLogRecPtr lsn,
						  XLogRecPtr end_lsn, XLogRecPtr *last_commit_lsn,
						  XLogRecPtr *record_end_lsn)
{
	WsRecords  *records;
	bool		found = false;

	*last_commit_lsn = InvalidXLogRecPtr;
	*record_end_lsn = InvalidXLogRecPtr;
	if (lsn >= end_lsn)
		return false;

	records = ws_records_new(store, ws_store_read_history(store, tli), end_lsn);
	if (ws_records_seek(records, lsn))
	{
		while (ws_records_next(records))
		{
			uint8		info = XLogRecGetInfo(records->xlog) & XLOG_XACT_OPMASK;

			found = true;
			*record_end_lsn = Min(records->xlog->EndRecPtr, end_lsn);
			if (XLogRecGetRmid(records->xlog) == RM_XACT_ID &&
				(info == XLOG_XACT_COMMIT || info == XLOG_XACT_COMMIT_PREPARED))
				*last_commit_lsn = *record_end_lsn;
		}
	}
	else if (!records->reached_end)
	{
		/* unreadable, so assume that there was a record */
		found = true;
		*record_end_lsn = end_lsn;
	}
	ws_records_free(records);
	return found;
}
