/*-------------------------------------------------------------------------
 *
 * seal.c
 *	  Reads and writes the file of a seal (relay/seal.h).
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/store/file.h"

bool
ws_store_read_seal(const WsStore *store, WsSealFile *file)
{
	char		path[MAXPGPATH];
	char	   *content;
	size_t		len;
	WsStatus	status;

	ws_file_path(store->path, WS_SEAL_FILE, path);
	content = ws_file_read_all(path, WS_SEALFILE_MAX_BYTES, &len);
	if (content == NULL)
		return false;
	status = ws_sealfile_parse(content, len, file);
	pfree(content);
	if (status != WS_OK)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("file \"%s\" is damaged", path),
				errdetail("It says that this relay is sealed: of which timeline it must not acknowledge WAL."),
				errhint("If you know that the primary of that timeline is stopped for good, or that the relay may acknowledge its WAL again, remove the file."));
	return true;
}

void
ws_store_write_seal(const WsStore *store, const WsSealFile *file)
{
	char		content[WS_SEALFILE_MAX_BYTES];

	(void) ws_file_replace(store->path, WS_SEAL_FILE, content,
						   ws_sealfile_format(file, content), ERROR);
}

void
ws_store_remove_seal(const WsStore *store)
{
	char		path[MAXPGPATH];

	ws_file_path(store->path, WS_SEAL_FILE, path);
	ws_file_remove(path);
	ws_directory_sync(store->path);
}
