/*-------------------------------------------------------------------------
 *
 * alloc.c
 *	  Allocates segment files: zeros, durable before they are used.
 *
 * We write zeros instead of reserving room, because each sync of a file that
 * was only reserved has to write the file system's metadata too.
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
#include "utils/wait_event.h"

/*
 * Write in pieces as small as those in which WAL arrives.  Larger ones create
 * large folios in the page cache, in which each later small write takes two to
 * three times as long.
 */
#define ZEROS_BYTES		XLOG_BLCKSZ

static int
write_zeros(int fd, uint32 size)
{
	char	   *zeros = palloc0(ZEROS_BYTES);
	int			error = 0;

	for (uint32 done = 0; done < size && error == 0; done += ZEROS_BYTES)
		error = ws_file_write(fd, zeros, Min(ZEROS_BYTES, size - done), done,
							  WAIT_EVENT_WAL_INIT_WRITE);
	pfree(zeros);
	return error;
}

int
ws_file_allocate(const char *path, uint32 size)
{
	int			error;
	int			fd = ws_file_open(path, O_CREAT | O_TRUNC | O_WRONLY);

	if (fd < 0)
		return errno;
	error = write_zeros(fd, size);
	if (error == 0)
	{
		pgstat_report_wait_start(WAIT_EVENT_WAL_INIT_SYNC);
		error = ws_file_sync(fd);
		pgstat_report_wait_end();
	}
	if (error == 0)
		error = ws_file_close(fd);
	else
		close(fd);
	if (error != 0)
		unlink(path);
	return error;
}

/* Returns true if there is a spare for segments of this size. */
static bool
spare_is_ready(const WsStore *store)
{
	char		path[MAXPGPATH];
	struct stat st;

	ws_file_path(store->path, WS_SPARE_FILE, path);
	if (lstat(path, &st) != 0)
	{
		if (errno != ENOENT)
			ereport(ERROR,
					ws_errcode_for_file(),
					errmsg("could not stat file \"%s\": %m", path));
		return false;
	}
	if (st.st_size == store->identity.segment_size && S_ISREG(st.st_mode))
		return true;
	ws_file_remove(path);
	return false;
}

/*
 * Allocate under a temporary name and rename.  The name ends in ".tmp" as long
 * as the file must not be used.  The new name is not durable yet.
 */
static int
allocate_as(const WsStore *store, const char *name)
{
	char		temporary[WS_FILE_NAME_SIZE];
	char		path[MAXPGPATH];
	int			error;

	snprintf(temporary, sizeof(temporary), "%s" WS_TEMPORARY_SUFFIX, name);
	ws_file_path(store->path, temporary, path);
	error = ws_file_allocate(path, store->identity.segment_size);
	if (error == 0)
	{
		error = ws_file_rename_only(store->path, temporary, name);
		if (error != 0)
			unlink(path);
	}
	return error;
}

int
ws_segment_take_spare(const WsStore *store, const char *name)
{
	return spare_is_ready(store) ?
		ws_file_rename_only(store->path, WS_SPARE_FILE, name) : ENOENT;
}

int
ws_segment_allocate(const WsStore *store, TimeLineID tli, XLogSegNo segno)
{
	char		name[WS_FILE_NAME_SIZE];
	int			error;

	ws_segment_file_name(store, tli, segno, WS_SEGMENT_PARTIAL, name);
	error = ws_segment_take_spare(store, name);
	if (error == ENOENT)
		error = allocate_as(store, name);
	if (error == 0)
		ws_directory_sync(store->path);
	if (error != 0 && !ws_errno_is_no_space(error))
	{
		errno = error;
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not create file \"%s/%s\": %m", store->path, name));
	}
	return error;
}

/* Losing the name would do no harm, so the directory is not synced. */
void
ws_store_make_spare(const WsStore *store)
{
	int			error;

	if (spare_is_ready(store))
		return;
	error = allocate_as(store, WS_SPARE_FILE);
	if (error != 0)
	{
		errno = error;
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not create file \"%s/%s\": %m", store->path,
					   WS_SPARE_FILE));
	}
}
