/*-------------------------------------------------------------------------
 *
 * range.c
 *	  Prepares a new range of WAL in a directory of its own, and moves it to
 *	  the place of what a store holds.
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

static void
new_range_path(const WsStore *store, char *path)
{
	ws_file_path(store->path, WS_NEW_RANGE_DIRECTORY, path);
}

void
ws_store_drop_new_range(const WsStore *store)
{
	char		directory[MAXPGPATH];
	DIR		   *dir;
	struct dirent *entry;

	new_range_path(store, directory);
	if (!ws_file_exists(directory))
		return;
	ws_file_check_directory(directory);
	dir = AllocateDir(directory);
	while ((entry = ReadDir(dir, directory)) != NULL)
	{
		char		path[MAXPGPATH];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		ws_file_path(directory, entry->d_name, path);
		ws_file_remove(path);
	}
	FreeDir(dir);
	if (rmdir(directory) != 0 && errno != ENOENT)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not remove directory \"%s\": %m", directory));
}

void
ws_store_begin_new_range(const WsStore *store, WsStore *new_range)
{
	ws_store_drop_new_range(store);
	*new_range = *store;
	new_range_path(store, new_range->path);
	if (MakePGDirectory(new_range->path) != 0)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not create directory \"%s\": %m", new_range->path));
}

/*
 * After a crash a name may be in both directories; then both are the same
 * file.
 */
static void
move_file(const WsStore *from_store, const WsStore *store, const char *name)
{
	char		from[MAXPGPATH];
	char		to[MAXPGPATH];

	ws_file_path(from_store->path, name, from);
	ws_file_path(store->path, name, to);
	if (rename(from, to) != 0)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not rename file \"%s\" to \"%s\": %m", from, to));
}

/*
 * Move the history files, which are durable in their new place before any WAL
 * is.
 */
static void
move_histories(const WsStore *from_store, const WsStore *store)
{
	DIR		   *dir = AllocateDir(from_store->path);
	struct dirent *entry;

	while ((entry = ReadDir(dir, from_store->path)) != NULL)
	{
		TimeLineID	tli;
		XLogSegNo	segno;
		WsSegmentForm form;

		if (ws_file_classify(entry->d_name, store->identity.segment_size,
							 &tli, &segno, &form) == WS_FILE_HISTORY)
			move_file(from_store, store, entry->d_name);
	}
	FreeDir(dir);
	ws_directory_sync(store->path);
}

void
ws_store_enter_new_range(const WsStore *store)
{
	WsStore		new_range = *store;
	WsSegment  *segments;
	int			count;

	new_range_path(store, new_range.path);
	move_histories(&new_range, store);

	/*
	 * in order, so that a crash never leaves a later one without an earlier
	 * one
	 */
	count = ws_store_list(&new_range, &segments);
	for (int i = 0; i < count; i++)
	{
		char		name[WS_FILE_NAME_SIZE];

		ws_segment_file_name(store, segments[i].tli, segments[i].segno,
							 segments[i].form, name);
		move_file(&new_range, store, name);
		ws_directory_sync(store->path);
	}
	pfree(segments);
	ws_store_drop_new_range(store);
}
