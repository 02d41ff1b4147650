/*-------------------------------------------------------------------------
 *
 * history.c
 *	  Timeline history files in a store.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "relay/store/file.h"

static void
history_path(const WsStore *store, TimeLineID tli, char *path)
{
	char		name[MAXFNAMELEN];

	TLHistoryFileName(name, tli);
	ws_file_path(store->path, name, path);
}

/* Parse into a palloc'd history.  Raises an ERROR that names the source. */
static WsHistory *
parse_history(TimeLineID tli, const char *content, size_t len, const char *source)
{
	WsHistory  *history = palloc(sizeof(WsHistory));
	WsStatus	status;
	int			line;

	history->entries = palloc((WS_HISTORY_MAX_ENTRIES + 1) * sizeof(WsHistoryEntry));
	status = ws_history_parse(tli, content, len, history, &line);
	if (status == WS_E_TOO_LARGE)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("timeline history %s is too large", source));
	if (status != WS_OK)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("timeline history %s is not valid", source),
				errdetail("The first mistake is in line %d.", line));

	/* most histories have few entries, and many may be kept */
	history->entries = repalloc(history->entries,
								history->count * sizeof(WsHistoryEntry));
	return history;
}

bool
ws_store_has_history(const WsStore *store, TimeLineID tli)
{
	char		path[MAXPGPATH];

	if (tli == 1)
		return true;
	history_path(store, tli, path);
	return ws_file_exists(path);
}

char *
ws_store_read_history_file(const WsStore *store, TimeLineID tli, size_t *len)
{
	char		path[MAXPGPATH];
	char	   *content;

	history_path(store, tli, path);
	content = ws_file_read_all(path, WS_HISTORY_MAX_BYTES, len);
	if (content == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FILE),
				errmsg("could not open file \"%s\": %m", path));
	return content;
}

WsHistory *
ws_store_read_history(const WsStore *store, TimeLineID tli)
{
	char		path[MAXPGPATH];
	char		source[MAXPGPATH + 16];
	char	   *content;
	size_t		len;
	WsHistory  *history;

	if (tli == 1)
		return parse_history(tli, "", 0, "");

	history_path(store, tli, path);
	snprintf(source, sizeof(source), "file \"%s\"", path);
	content = ws_store_read_history_file(store, tli, &len);
	history = parse_history(tli, content, len, source);
	pfree(content);
	return history;
}

void
ws_store_write_history(const WsStore *store, TimeLineID tli,
					   const char *content, size_t len)
{
	char		name[MAXFNAMELEN];

	if (tli == 1)
		elog(ERROR, "timeline 1 has no history");
	(void) parse_history(tli, content, len, "from the upstream");
	TLHistoryFileName(name, tli);
	(void) ws_file_replace(store->path, name, content, len, ERROR);
}

void
ws_store_remove_history(const WsStore *store, TimeLineID tli)
{
	char		path[MAXPGPATH];

	history_path(store, tli, path);
	if (!ws_file_exists(path))
		return;
	ws_file_remove(path);
	ws_directory_sync(store->path);
}
