/*-------------------------------------------------------------------------
 *
 * names.c
 *	  Reads and writes the file with the primary's lists of synchronous
 *	  standbys.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/store/file.h"

bool
ws_store_read_names(const WsStore *store, WsNamesFile *file)
{
	char		path[MAXPGPATH];
	char	   *content;
	size_t		len;
	WsStatus	status;

	ws_file_path(store->path, WS_NAMES_FILE, path);
	content = ws_file_read_all(path, WS_NAMESFILE_MAX_BYTES, &len);
	if (content == NULL)
	{
		memset(file, 0, sizeof(*file));
		return false;
	}
	status = ws_namesfile_parse(content, len, file);
	pfree(content);
	if (status == WS_OK)
		return true;

	memset(file, 0, sizeof(*file));
	ereport(LOG,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("file \"%s\" is damaged", path),
			errdetail("The relay goes on without it: which synchronous standbys the primary had is not known before it is asked again."));
	return false;
}

bool
ws_store_write_names(const WsStore *store, const WsNamesFile *file, int elevel)
{
	char	   *content = palloc(WS_NAMESFILE_MAX_BYTES);
	bool		done = ws_file_replace(store->path, WS_NAMES_FILE, content,
									   ws_namesfile_format(file, content), elevel);

	pfree(content);
	return done;
}
