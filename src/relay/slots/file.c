/*-------------------------------------------------------------------------
 *
 * file.c
 *	  Reads and writes the files of relay slots, in the store's directory
 *	  slots/.
 *
 * A file is written under a temporary name, fsynced and renamed, and the
 * directory is fsynced, so that a crash leaves the old file or the new one.
 * Only a slot's owner writes or removes its file.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <fcntl.h>
#include <unistd.h>

#include "relay/slots/shared.h"
#include "relay/store/file.h"
#include "replication/slot.h"
#include "storage/fd.h"
#include "utils/wait_event.h"

static void
make_directory_path(const WsStore *store, char *path)
{
	snprintf(path, MAXPGPATH, "%s/slots", store->path);
}

static void
make_file_path(const WsStore *store, const char *name, char *path)
{
	snprintf(path, MAXPGPATH, "%s/slots/%s", store->path, name);
}

bool
ws_slot_file_write(const WsStore *store, const WsSlotFile *file, int elevel)
{
	char		directory[MAXPGPATH];
	char		content[WS_SLOTFILE_MAX_BYTES];

	make_directory_path(store, directory);
	return ws_file_replace(directory, file->name, content,
						   ws_slotfile_format(file, content), elevel);
}

void
ws_slot_file_discard(const WsStore *store, const char *name)
{
	char		path[MAXPGPATH];

	make_file_path(store, name, path);
	(void) unlink(path);
}

void
ws_slot_file_remove(const WsStore *store, const char *name)
{
	char		directory[MAXPGPATH];
	char		path[MAXPGPATH];

	make_directory_path(store, directory);
	make_file_path(store, name, path);
	if (unlink(path) < 0 && errno != ENOENT)
		ereport(ERROR,
				(ws_errcode_for_file(),
				 errmsg("could not remove file \"%s\": %m", path)));
	ws_directory_sync(directory);
}

/*
 * Read a slot's file.  Raises an ERROR that names the file if it is invalid.
 */
static void
read_file(const WsStore *store, const char *name, WsSlotFile *file)
{
	char		path[MAXPGPATH];
	char		content[WS_SLOTFILE_MAX_BYTES + 1];
	int			fd;
	ssize_t		len;
	WsStatus	status;

	make_file_path(store, name, path);
	fd = ws_file_open_transient(path, O_RDONLY);
	if (fd < 0)
		ereport(ERROR,
				(ws_errcode_for_file(),
				 errmsg("could not open file \"%s\": %m", path)));
	len = ws_file_read(fd, content, sizeof(content), 0);
	if (len < 0)
		ereport(ERROR,
				(ws_errcode_for_file(),
				 errmsg("could not read file \"%s\": %m", path)));
	CloseTransientFile(fd);

	status = ws_slotfile_parse(content, len, file);
	if (status != WS_OK)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("relay slot file \"%s\" is damaged", path),
				 errdetail("It is refused: %s.", ws_status_text(status)),
				 errhint("To go on without this slot, remove the file; its downstream may then need a new base backup.")));
	if (strcmp(file->name, name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("relay slot file \"%s\" belongs to slot \"%s\"",
						path, file->name),
				 errhint("Give it its own name again, or remove it.")));
}

int
ws_slot_files_read(const WsStore *store, WsSlotFile **files)
{
	WsSlotFile *result = palloc0(sizeof(WsSlotFile) * Max(max_replication_slots, 1));
	int			count = 0;
	char		directory[MAXPGPATH];
	char		path[MAXPGPATH];
	DIR		   *dir;
	struct dirent *entry;

	make_directory_path(store, directory);

	/*
	 * the directory is made with the store, but a copy easily loses an empty
	 * one
	 */
	if (ws_store_make_slots_directory(store->path))
		ws_directory_sync(store->path);

	/* a rename that we see may not be on disk yet */
	ws_directory_sync(directory);

	dir = AllocateDir(directory);
	while ((entry = ReadDir(dir, directory)) != NULL)
	{
		size_t		len = strlen(entry->d_name);

		/*
		 * not a slot's name; NFS renames files like this that are removed
		 * while open
		 */
		if (entry->d_name[0] == '.')
			continue;
		if (len > strlen(WS_TEMPORARY_SUFFIX) &&
			strcmp(entry->d_name + len - strlen(WS_TEMPORARY_SUFFIX), WS_TEMPORARY_SUFFIX) == 0)
		{
			make_file_path(store, entry->d_name, path);
			if (unlink(path) < 0)
				ereport(ERROR,
						(ws_errcode_for_file(),
						 errmsg("could not remove file \"%s\": %m", path)));
			continue;
		}
		if (count >= max_replication_slots)
			ereport(ERROR,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("directory \"%s\" holds more relay slots than max_replication_slots (currently %d)",
							directory, max_replication_slots),
					 errhint("Raise \"max_replication_slots\" on the relay, which needs a restart.")));
		read_file(store, entry->d_name, &result[count++]);
	}
	FreeDir(dir);

	*files = result;
	return count;
}
