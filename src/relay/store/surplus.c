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
#include "storage/copydir.h"
#include "storage/fd.h"

#define COMPARE_BYTES	(64 * 1024)

static size_t
read_file(int fd, const char *path, char *buf, off_t offset)
{
	ssize_t		got = ws_file_read(fd, buf, COMPARE_BYTES, offset);

	if (got < 0)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not read file \"%s\": %m", path));
	return got;
}

static bool
has_same_content(const char *path1, const char *path2)
{
	char	   *buf1 = palloc(COMPARE_BYTES);
	char	   *buf2 = palloc(COMPARE_BYTES);
	int			fd1 = ws_file_open_existing(path1, O_RDONLY);
	int			fd2 = ws_file_open_existing(path2, O_RDONLY);
	off_t		offset = 0;
	size_t		got;
	bool		same;

	do
	{
		CHECK_FOR_INTERRUPTS();
		got = read_file(fd1, path1, buf1, offset);
		same = got == read_file(fd2, path2, buf2, offset) &&
			memcmp(buf1, buf2, got) == 0;
		offset += got;
	} while (same && got > 0);

	CloseTransientFile(fd1);
	CloseTransientFile(fd2);
	pfree(buf1);
	pfree(buf2);
	return same;
}

/* The name appears when all bytes are there. */
static void
copy_whole_file(char *from, const char *directory, const char *name)
{
	char		temporary[WS_FILE_NAME_SIZE + 4];
	char		path[MAXPGPATH];

	snprintf(temporary, sizeof(temporary), "%s.tmp", name);
	ws_file_path(directory, temporary, path);
	ws_file_remove(path);
	copy_file(from, path);
	fsync_fname(path, false);
	errno = ws_file_rename_only(directory, temporary, name);
	if (errno != 0)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not rename file \"%s\" to \"%s/%s\": %m",
					   path, directory, name));
}

/*
 * Link the store's file of that name into the directory, or copy it where the
 * file system has no links.  It may be there already.
 */
static void
keep_file(const WsStore *store, const char *directory, const char *name)
{
	char		from[MAXPGPATH];
	char		to[MAXPGPATH];

	ws_file_path(store->path, name, from);
	ws_file_path(directory, name, to);
	if (link(from, to) == 0)
		return;
	switch (errno)
	{
		case EEXIST:
			break;
		case EPERM:
		case EOPNOTSUPP:
		case EMLINK:
			if (!ws_file_exists(to))
			{
				copy_whole_file(from, directory, name);
				return;
			}
			break;
		default:
			ereport(ERROR,
					ws_errcode_for_file(),
					errmsg("could not link file \"%s\" to \"%s\": %m", from, to));
	}
	if (!has_same_content(from, to))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_FILE),
				errmsg("file \"%s\" exists with other content", to),
				errdetail("The relay gives up WAL on this timeline from the same position on for the second time."),
				errhint("Move the directory \"%s\" away.", directory));
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
			segments[i].segno < ws_segment_number(lsn, store->identity.segment_size))
			continue;
		ws_segment_file_name(store, tli, segments[i].segno, segments[i].form, name);
		keep_file(store, directory, name);
		kept++;
	}
	pfree(segments);
	ws_directory_sync(directory);
	ws_directory_sync(store->path);
	ereport(LOG,
			errmsg("relay keeps %d segments of timeline %u from " WS_LSN " on in \"%s\"",
				   kept, tli, LSN_FORMAT_ARGS(lsn), directory));
}
