/*-------------------------------------------------------------------------
 *
 * write.c
 *	  Writes what an upstream sends into the store.
 *
 * A position is in one of three ranges: stored bytes are compared, the bytes
 * that come next are written, and anything beyond would leave a gap.  The
 * stored range consists of everything before the recovered end, everything
 * that this writer has written, and every closed segment to its end, since a
 * closed segment has bytes that were acknowledged, whether or not they end
 * with a complete record.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <sys/stat.h>
#include <unistd.h>

#include "relay/store/file.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#define COMPARE_BYTES	(64 * 1024)

struct WsStoreWriter
{
	WsStore		store;
	TimeLineID	tli;
	XLogRecPtr	begin_lsn;		/* stored from here ... */
	XLogRecPtr	stored_lsn;		/* ... to here; compared, not written */
	XLogRecPtr	written_lsn;	/* end of the bytes handed over by the caller,
								 * or recovered */
	XLogRecPtr	flushed_lsn;	/* durable; not beyond written_lsn */
	bool		is_dirty;		/* the open segment was written to since its
								 * last sync, maybe with a part of a message
								 * that found no room */
	bool		has_failed;		/* written bytes may be lost: refuse
								 * everything */

	int			fd;				/* the open segment, or -1 */
	XLogSegNo	segno;
	char		path[MAXPGPATH];

	WsStoreReader *reader;		/* reader for the comparison */
	char	   *stored;			/* COMPARE_BYTES of stored WAL */
	MemoryContext context;
	MemoryContextCallback callback;
};

static void
release_writer(void *arg)
{
	WsStoreWriter *writer = arg;

	if (writer->fd >= 0)
		close(writer->fd);
	writer->fd = -1;
}

WsStoreWriter *
ws_store_writer_new(const WsStore *store, TimeLineID tli, XLogRecPtr begin_lsn,
					XLogRecPtr end_lsn)
{
	MemoryContext context;
	MemoryContext old_context;
	WsStoreWriter *writer;

	if (ws_segment_offset(begin_lsn, store->identity.segment_size) != 0 ||
		begin_lsn > end_lsn)
		elog(ERROR, "cannot write WAL from " WS_LSN " on to a store that has it from " WS_LSN " to " WS_LSN,
			 LSN_FORMAT_ARGS(end_lsn), LSN_FORMAT_ARGS(begin_lsn),
			 LSN_FORMAT_ARGS(end_lsn));

	context = AllocSetContextCreate(CurrentMemoryContext, "walstream store writer",
									ALLOCSET_SMALL_SIZES);
	old_context = MemoryContextSwitchTo(context);
	writer = palloc0(sizeof(WsStoreWriter));
	writer->store = *store;
	writer->tli = tli;
	writer->begin_lsn = begin_lsn;
	writer->stored_lsn = writer->written_lsn = writer->flushed_lsn = end_lsn;
	writer->fd = -1;
	writer->reader = ws_store_reader_new(store);
	writer->stored = palloc(COMPARE_BYTES);
	writer->context = context;
	writer->callback.func = release_writer;
	writer->callback.arg = writer;
	MemoryContextRegisterResetCallback(context, &writer->callback);
	MemoryContextSwitchTo(old_context);
	return writer;
}

void
ws_store_writer_free(WsStoreWriter *writer)
{
	MemoryContextDelete(writer->context);
}

static void
report_failure(WsStoreWriter *writer, const char *action, int error)
{
	writer->has_failed = true;
	errno = error;
	ereport(ERROR,
			ws_errcode_for_file(),
			errmsg("could not %s file \"%s\": %m", action, writer->path));
}

/*
 * Compare with what is stored.  Sets *differs_lsn to the first byte that
 * differs.
 */
static bool
compare_bytes(WsStoreWriter *writer, XLogRecPtr lsn, const char *data, size_t len,
			  XLogRecPtr *differs_lsn)
{
	while (len > 0)
	{
		size_t		count = Min(len, COMPARE_BYTES);

		CHECK_FOR_INTERRUPTS();
		ws_store_read(writer->reader, writer->tli, 0, lsn, writer->stored, count);
		if (memcmp(writer->stored, data, count) != 0)
		{
			for (size_t i = 0; writer->stored[i] == data[i]; i++)
				lsn++;
			*differs_lsn = lsn;
			return false;
		}
		lsn += count;
		data += count;
		len -= count;
	}
	return true;
}

/*
 * Open the file of the next position's segment, or, if the segment is closed,
 * move stored_lsn to its end.
 */
static WsWriteResult
open_segment(WsStoreWriter *writer)
{
	uint32		segment_size = writer->store.identity.segment_size;
	struct stat st;
	XLogSegNo	segno;

	segno = ws_segment_number(writer->stored_lsn, segment_size);
	if (writer->fd >= 0)
	{
		Assert(writer->segno == segno);
		return WS_WRITE_OK;
	}

	/* this happens if the recovered WAL ends within a closed segment */
	if (ws_store_has_segment(&writer->store, writer->tli, segno))
	{
		writer->stored_lsn = ws_segment_lsn(segno + 1, segment_size);
		return WS_WRITE_OK;
	}

	ws_segment_path(&writer->store, writer->tli, segno, WS_SEGMENT_PARTIAL, writer->path);
	if (!ws_file_exists(writer->path) &&
		ws_segment_allocate(&writer->store, writer->tli, segno) != 0)
		return WS_WRITE_NO_SPACE;

	writer->fd = ws_file_open(writer->path, O_RDWR);
	if (writer->fd < 0)
		report_failure(writer, "open", errno);
	writer->segno = segno;
	if (fstat(writer->fd, &st) != 0)
		report_failure(writer, "stat", errno);
	if (st.st_size != segment_size)
	{
		writer->has_failed = true;
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("WAL segment file \"%s\" has an incorrect size", writer->path),
				errdetail("It has %lld bytes instead of %u.",
						  (long long) st.st_size, segment_size));
	}
	return WS_WRITE_OK;
}

/* Close the open segment, which is full: make it durable and rename it. */
static void
close_segment(WsStoreWriter *writer)
{
	char		from[WS_FILE_NAME_SIZE];
	char		to[WS_FILE_NAME_SIZE];
	int			fd = writer->fd;
	int			error;

	pgstat_report_wait_start(WAIT_EVENT_WAL_SYNC);
	error = ws_file_sync(fd);
	if (error != 0)
		report_failure(writer, "fsync", error);
	pgstat_report_wait_end();
	writer->is_dirty = false;
	writer->fd = -1;
	error = ws_file_close(fd);
	if (error != 0)
		report_failure(writer, "close", error);

	/* if syncing the directory raises an ERROR, has_failed must stay set */
	writer->has_failed = true;
	ws_segment_file_name(&writer->store, writer->tli, writer->segno,
						 WS_SEGMENT_PARTIAL, from);
	ws_segment_file_name(&writer->store, writer->tli, writer->segno,
						 WS_SEGMENT_RAW, to);
	errno = ws_file_rename(writer->store.path, from, to);
	if (errno != 0)
		report_failure(writer, "rename", errno);
	writer->has_failed = false;
	writer->flushed_lsn = writer->written_lsn;
}

/* Write at the end of the stored range, within a segment. */
static WsWriteResult
append_bytes(WsStoreWriter *writer, const char *data, size_t len)
{
	uint32		segment_size = writer->store.identity.segment_size;
	uint32		offset = ws_segment_offset(writer->stored_lsn, segment_size);
	int			error;

	writer->is_dirty = true;
	error = ws_file_write(writer->fd, data, len, offset, WAIT_EVENT_WAL_WRITE);

	/*
	 * the file was allocated, but some file systems need new room for a write
	 */
	if (ws_errno_is_no_space(error))
		return WS_WRITE_NO_SPACE;
	if (error != 0)
		report_failure(writer, "write to", error);
	writer->stored_lsn += len;
	writer->written_lsn = writer->stored_lsn;
	if (offset + len == segment_size)
		close_segment(writer);
	return WS_WRITE_OK;
}

static void
check_usable(const WsStoreWriter *writer)
{
	if (writer->has_failed)
		elog(ERROR, "the writer of the relay directory has failed before");
}

WsWriteResult
ws_store_write(WsStoreWriter *writer, XLogRecPtr lsn, const char *data, size_t len,
			   XLogRecPtr *differs_lsn)
{
	uint32		segment_size = writer->store.identity.segment_size;

	check_usable(writer);
	if (lsn < writer->begin_lsn || lsn > writer->stored_lsn)
		elog(ERROR, "WAL at " WS_LSN " does not follow what is stored from " WS_LSN " to " WS_LSN,
			 LSN_FORMAT_ARGS(lsn), LSN_FORMAT_ARGS(writer->begin_lsn),
			 LSN_FORMAT_ARGS(writer->stored_lsn));

	while (len > 0)
	{
		size_t		count = Min(len, segment_size - ws_segment_offset(lsn, segment_size));
		WsWriteResult result;

		if (lsn == writer->stored_lsn)
		{
			result = open_segment(writer);
			if (result == WS_WRITE_OK && lsn == writer->stored_lsn)
				result = append_bytes(writer, data, count);
			else if (result == WS_WRITE_OK)
				continue;
			if (result != WS_WRITE_OK)
				return result;
		}
		else
		{
			count = Min(count, writer->stored_lsn - lsn);
			if (!compare_bytes(writer, lsn, data, count, differs_lsn))
				return WS_WRITE_DIFFERS;

			/* a closed segment is durable */
			if (lsn + count > writer->written_lsn)
				writer->written_lsn = writer->flushed_lsn = lsn + count;
		}
		lsn += count;
		data += count;
		len -= count;
	}
	return WS_WRITE_OK;
}

XLogRecPtr
ws_store_flush(WsStoreWriter *writer)
{
	check_usable(writer);
	if (writer->flushed_lsn < writer->written_lsn || writer->is_dirty)
	{
		int			error;

		pgstat_report_wait_start(WAIT_EVENT_WAL_SYNC);
		error = ws_file_datasync(writer->fd);
		if (error != 0)
			report_failure(writer, "fdatasync", error);
		pgstat_report_wait_end();
		writer->is_dirty = false;
		writer->flushed_lsn = writer->written_lsn;
	}
	return writer->flushed_lsn;
}
