/*-------------------------------------------------------------------------
 *
 * unchecked.c
 *	  Marks stored WAL that may not belong to this store.
 *
 * Neither the WAL nor the names of its segments show this, so there is an empty
 * file, named after the first such segment.  While it exists, WAL of that
 * timeline from that segment on does not count.  The file is made before any of
 * that WAL, and is gone before any of it is acknowledged.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/store/file.h"
#include "storage/fd.h"

static void
mark_name(const WsStore *store, TimeLineID tli, XLogSegNo segno, char *name)
{
	XLogFileName(name, tli, segno, store->identity.segment_size);
	strcat(name, WS_UNCHECKED_SUFFIX);
}

WsWriteResult
ws_store_mark_unchecked(const WsStore *store, TimeLineID tli, XLogSegNo segno)
{
	char		name[WS_FILE_NAME_SIZE];
	char		path[MAXPGPATH];
	int			fd;

	mark_name(store, tli, segno, name);
	ws_file_path(store->path, name, path);
	fd = ws_file_open_transient(path, O_CREAT | O_WRONLY);
	if (fd < 0 && ws_errno_is_no_space(errno))
		return WS_WRITE_NO_SPACE;
	if (fd < 0)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not create file \"%s\": %m", path));
	CloseTransientFile(fd);
	ws_directory_sync(store->path);
	return WS_WRITE_OK;
}

void
ws_store_unmark_unchecked(const WsStore *store, TimeLineID tli, XLogSegNo segno)
{
	char		name[WS_FILE_NAME_SIZE];
	char		path[MAXPGPATH];

	mark_name(store, tli, segno, name);
	ws_file_path(store->path, name, path);
	ws_file_remove(path);
	ws_directory_sync(store->path);
}

/* Removes the last segment first, so that a crash leaves no hole. */
static void
drop(const WsStore *store, TimeLineID tli, XLogSegNo segno)
{
	WsSegment  *segments;
	int			count = ws_store_list(store, &segments);
	bool		has_others = false;

	ereport(LOG,
			(errmsg("relay removes WAL that was not found to continue what is stored, on timeline %u from " WS_LSN " on",
					tli, LSN_FORMAT_ARGS(ws_store_segment_lsn(store, segno)))));
	for (int i = count - 1; i >= 0; i--)
	{
		if (segments[i].tli != tli)
			continue;
		if (segments[i].segno >= segno)
			ws_store_remove(store, tli, segments[i].segno);
		else
			has_others = true;
	}
	if (!has_others && tli > 1)
		ws_store_remove_history(store, tli);
	ws_store_unmark_unchecked(store, tli, segno);
	pfree(segments);
}

void
ws_store_drop_unchecked(const WsStore *store)
{
	DIR		   *dir = AllocateDir(store->path);
	struct dirent *entry;

	while ((entry = ReadDir(dir, store->path)) != NULL)
	{
		TimeLineID	tli;
		XLogSegNo	segno;
		WsSegmentForm form;

		if (ws_file_classify(entry->d_name, store->identity.segment_size,
							 &tli, &segno, &form) == WS_FILE_UNCHECKED)
			drop(store, tli, segno);
	}
	FreeDir(dir);
}
