/*-------------------------------------------------------------------------
 *
 * read.c
 *	  Reads stored WAL, across segments of any form, while the keeper
 *	  compresses and removes them.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/store/file.h"
#include "relay/store/segment.h"
#include "utils/memutils.h"

struct WsStoreReader
{
	WsStore		store;
	WsSegmentFile file;
	TimeLineID	asked_tli;		/* timeline for which file was opened; 0 if it
								 * is not known to be valid */
	MemoryContext context;
	MemoryContextCallback callback;
};

/* Close the descriptor and free malloc'd memory when the context goes away. */
static void
release_reader(void *arg)
{
	WsStoreReader *reader = arg;

	ws_segment_close(&reader->file);
}

WsStoreReader *
ws_store_reader_new(const WsStore *store)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "walstream store reader",
												  ALLOCSET_SMALL_SIZES);
	WsStoreReader *reader = MemoryContextAllocZero(context, sizeof(WsStoreReader));

	reader->store = *store;
	reader->file.fd = -1;
	reader->context = context;
	reader->callback.func = release_reader;
	reader->callback.arg = reader;
	MemoryContextRegisterResetCallback(context, &reader->callback);
	return reader;
}

void
ws_store_reader_free(WsStoreReader *reader)
{
	MemoryContextDelete(reader->context);
}

/* Open the file with the segment, unless it is open. */
static void
open_segment(WsStoreReader *reader, TimeLineID tli, TimeLineID next_tli,
			 XLogSegNo segno)
{
	MemoryContext old_context;
	char		name[MAXFNAMELEN];

	if (reader->file.fd >= 0)
	{
		if (reader->asked_tli == tli && reader->file.segno == segno &&
			!ws_segment_is_stale(&reader->file))
			return;
		ws_segment_close(&reader->file);
	}

	reader->asked_tli = 0;
	old_context = MemoryContextSwitchTo(reader->context);
	if (!ws_segment_open(&reader->store, tli, segno, &reader->file) &&
		(next_tli == 0 ||
		 !ws_segment_open(&reader->store, next_tli, segno, &reader->file)))
	{
		XLogFileName(name, tli, segno, reader->store.identity.segment_size);
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FILE),
				errmsg("requested WAL segment %s has already been removed", name));
	}
	MemoryContextSwitchTo(old_context);
	reader->asked_tli = tli;
}

void
ws_store_read(WsStoreReader *reader, TimeLineID tli, TimeLineID next_tli,
			  XLogRecPtr lsn, char *buf, size_t len)
{
	uint32		segment_size = reader->store.identity.segment_size;

	while (len > 0)
	{
		uint32		offset = ws_segment_offset(lsn, segment_size);
		size_t		count = Min(len, segment_size - offset);
		XLogSegNo	segno;

		segno = ws_segment_number(lsn, segment_size);
		open_segment(reader, tli, next_tli, segno);
		ws_segment_read(&reader->file, offset, buf, count);
		buf += count;
		lsn += count;
		len -= count;
	}
}
