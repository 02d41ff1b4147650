/*-------------------------------------------------------------------------
 *
 * xids.c
 *	  Reads and writes the file that keeps the next transaction id known.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/store/file.h"

/* Most bytes of the file. */
#define MAX_BYTES	65536

bool
ws_store_read_xids(const WsStore *store, WsXidFile *file)
{
	char		path[MAXPGPATH];
	char	   *content;
	size_t		len;
	WsStatus	status;

	ws_file_path(store->path, WS_XIDS_FILE, path);
	content = ws_file_read_all(path, MAX_BYTES, &len);
	if (content == NULL)
		return false;
	status = ws_xidfile_parse(content, len, file);
	pfree(content);
	if (status != WS_OK)
		ereport(LOG,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("file \"%s\" is damaged", path),
				errdetail("The relay goes on without it.  Until the primary's next checkpoint it does not pass on what standbys want kept there."));
	return status == WS_OK;
}

bool
ws_store_write_xids(const WsStore *store, const WsXidFile *file, int elevel)
{
	char		content[WS_XIDFILE_MAX_BYTES];

	return ws_file_replace(store->path, WS_XIDS_FILE, content,
						   ws_xidfile_format(file, content), elevel);
}

void
ws_store_remove_xids(const WsStore *store)
{
	char		path[MAXPGPATH];

	/* if the file comes back after a crash, a checkpoint corrects it */
	ws_file_path(store->path, WS_XIDS_FILE, path);
	ws_file_remove(path);
}
