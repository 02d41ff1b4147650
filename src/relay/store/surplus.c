/*-------------------------------------------------------------------------
 *
 * surplus.c
 *	  Keeps WAL that the relay gives up for another timeline.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <unistd.h>

#include "common/file_perm.h"
#include "relay/store/file.h"
#include "storage/fd.h"

/* Link the store's file of that name into the directory. */
static void
link_file(const WsStore *store, const char *directory, const char *name)
{
	char		from[MAXPGPATH];
	char		to[MAXPGPATH];

	ws_file_path(store->path, name, from);
	ws_file_path(directory, name, to);
	if (link(from, to) != 0 && errno != EEXIST)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not link file \"%s\" to \"%s\": %m", from, to));
}

void
ws_store_keep_surplus(const WsStore *store, TimeLineID tli, XLogRecPtr lsn)
{
	char		name[WS_FILE_NAME_SIZE];
	char		directory[MAXPGPATH];
	WsSegment  *segments;
	int			count = ws_store_list(store, &segments);
	int			kept = 0;

	snprintf(name, sizeof(name), WS_SURPLUS_PREFIX "%08X-%08X-%08X", tli,
			 LSN_FORMAT_ARGS(lsn));
	ws_file_path(store->path, name, directory);
	if (MakePGDirectory(directory) != 0 && errno != EEXIST)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not create directory \"%s\": %m", directory));

	for (int i = 0; i < count; i++)
	{
		if (segments[i].tli != tli ||
			segments[i].segno < lsn / store->identity.segment_size)
			continue;
		ws_segment_file_name(store, tli, segments[i].segno, segments[i].form, name);
		link_file(store, directory, name);
		kept++;
	}
	pfree(segments);
	ws_directory_sync(directory);
	ws_directory_sync(store->path);
	ereport(LOG,
			errmsg("relay keeps %d segments of timeline %u from " WS_LSN " on in \"%s\"",
				   kept, tli, LSN_FORMAT_ARGS(lsn), directory));
}
