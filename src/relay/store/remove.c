/*-------------------------------------------------------------------------
 *
 * remove.c
 *	  Removes stored segments, or sets them aside, with their history files.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/store/file.h"
#include "storage/fd.h"

void
ws_store_remove(const WsStore *store, TimeLineID tli, XLogSegNo segno)
{
	for (int form = WS_SEGMENT_PARTIAL; form <= WS_SEGMENT_LZ4; form++)
	{
		char		name[WS_FILE_NAME_SIZE];
		char		path[MAXPGPATH];

		ws_segment_file_name(store, tli, segno, (WsSegmentForm) form, name);
		ws_file_path(store->path, name, path);
		ws_file_remove(path);

		/* left behind by an interrupted compression */
		strcat(name, WS_TEMPORARY_SUFFIX);
		ws_file_path(store->path, name, path);
		if (form == WS_SEGMENT_ZSTD || form == WS_SEGMENT_LZ4)
			ws_file_remove(path);
	}
	ws_directory_sync(store->path);
}

/* Sort by position, oldest first, whatever the timeline. */
static int
compare_positions(const void *a, const void *b)
{
	const WsSegment *x = a;
	const WsSegment *y = b;

	if (x->segno != y->segno)
		return x->segno < y->segno ? -1 : 1;
	if (x->tli != y->tli)
		return x->tli < y->tli ? -1 : 1;
	return 0;
}

/*
 * Move a segment in every form.  At any time it is in one of the directories,
 * even after a crash.
 */
static void
move_segment(const WsStore *store, const WsSegment *segment, const char *directory)
{
	for (int form = WS_SEGMENT_PARTIAL; form <= WS_SEGMENT_LZ4; form++)
	{
		char		name[WS_FILE_NAME_SIZE];
		char		from[MAXPGPATH];
		char		to[MAXPGPATH];

		ws_segment_file_name(store, segment->tli, segment->segno,
							 (WsSegmentForm) form, name);
		ws_file_path(store->path, name, from);
		ws_file_path(directory, name, to);
		if (rename(from, to) != 0 && errno != ENOENT)
			ereport(ERROR,
					ws_errcode_for_file(),
					errmsg("could not rename file \"%s\" to \"%s\": %m", from, to));
	}
	ws_directory_sync(directory);
	ws_directory_sync(store->path);
}

/* Call a function with the name of each history file. */
static void
for_each_history(const WsStore *store,
				 void (*action) (const WsStore *store, const char *name, const char *arg),
				 const char *arg)
{
	DIR		   *dir = AllocateDir(store->path);
	struct dirent *entry;
	TimeLineID	tli;
	XLogSegNo	segno;
	WsSegmentForm form;

	while ((entry = ReadDir(dir, store->path)) != NULL)
	{
		if (ws_file_classify(entry->d_name, store->identity.segment_size,
							 &tli, &segno, &form) == WS_FILE_HISTORY)
			action(store, entry->d_name, arg);
	}
	FreeDir(dir);
}

static void
copy_history(const WsStore *store, const char *name, const char *directory)
{
	char		path[MAXPGPATH];
	char	   *content;
	size_t		len;

	ws_file_path(store->path, name, path);
	content = ws_file_read_all(path, WS_HISTORY_MAX_BYTES, &len);
	if (content == NULL)
		return;

	/* this becomes durable with the first segment that is moved there */
	(void) ws_file_replace_only(directory, name, content, len, ERROR);
	pfree(content);
}

static void
remove_history(const WsStore *store, const char *name, const char *unused)
{
	char		path[MAXPGPATH];

	ws_file_path(store->path, name, path);
	ws_file_remove(path);
}

/*
 * Files that come back after a power cut are removed again, since there is no
 * WAL.
 */
void
ws_store_remove_histories(const WsStore *store)
{
	for_each_history(store, remove_history, NULL);
}

/*
 * Make a new directory, named by where the gap begins, since WAL that was set
 * aside before may have segments of the same names.
 */
static void
make_aside_directory(const WsStore *store, XLogRecPtr end_lsn, char *directory)
{
	char		name[WS_FILE_NAME_SIZE];

	for (int number = 1;; number++)
	{
		int			len = snprintf(name, sizeof(name), WS_SET_ASIDE_PREFIX "%08X-%08X",
								   LSN_FORMAT_ARGS(end_lsn));

		if (number > 1)
			snprintf(name + len, sizeof(name) - len, ".%d", number);
		ws_file_path(store->path, name, directory);
		if (MakePGDirectory(directory) == 0)
			break;
		if (errno != EEXIST)
			ereport(ERROR,
					ws_errcode_for_file(),
					errmsg("could not create directory \"%s\": %m", directory));
	}
	ws_directory_sync(store->path);
}

void
ws_store_set_aside(const WsStore *store)
{
	WsSegment  *segments;
	int			count = ws_store_list(store, &segments);
	XLogRecPtr	end_lsn;
	char		directory[MAXPGPATH];

	if (count == 0)
		return;
	qsort(segments, count, sizeof(WsSegment), compare_positions);
	end_lsn = ws_store_segment_lsn(store, segments[count - 1].segno + 1);
	make_aside_directory(store, end_lsn, directory);

	/* the ones in the store are needed for the segments not moved yet */
	for_each_history(store, copy_history, directory);
	for (int i = 0; i < count; i++)
		move_segment(store, &segments[i], directory);
	pfree(segments);
}
