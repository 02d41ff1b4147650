/*-------------------------------------------------------------------------
 *
 * known.c
 *	  Remembers which store an instance uses.
 *
 * If a file system is not mounted, the directory below the mount point looks
 * like a new one.  A relay that began a new store there would confirm commits
 * while the WAL that it holds for its downstreams is elsewhere.  So a file in
 * the instance's own data directory identifies the store: it has the text of
 * the identity file, and then a line with walstream.relay_directory as it was
 * set.
 *
 * If the setting is still the same, a missing store or another one is refused.
 * If the setting has changed, that was somebody's decision.  An instance that
 * remembers nothing, after an upgrade from an earlier version, remembers the
 * store that it finds first.
 *
 * Only the receiver calls this.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <unistd.h>

#include "miscadmin.h"
#include "relay/store/file.h"

/* The file's name in the data directory. */
#define KNOWN_FILE		"walstream.store"
#define DIRECTORY_LINE	"directory = "
#define MAX_BYTES		(WS_IDENTITY_MAX_BYTES + MAXPGPATH + 16)

#define FORGET_HINT \
	"To use what is there now, or to begin anew there, execute SELECT walstream_relay_forget_store()."

typedef struct KnownStore
{
	WsStoreIdentity identity;
	char	   *directory;
} KnownStore;

static bool is_refused = false;

static size_t
format_known(const char *directory, const WsStoreIdentity *identity, char *buf)
{
	size_t		len = ws_identity_format(identity, buf);

	return len + snprintf(buf + len, MAX_BYTES - len, DIRECTORY_LINE "%s\n", directory);
}

/* Read the file into palloc'd memory; NULL if there is none. */
static KnownStore *
read_known(void)
{
	char		path[MAXPGPATH];
	size_t		len;
	char	   *content;
	char	   *line;
	KnownStore *known;

	ws_file_path(DataDir, KNOWN_FILE, path);
	content = ws_file_read_all(path, MAX_BYTES, &len);
	if (content == NULL)
		return NULL;

	/* the identity ends with the line before this one */
	known = palloc(sizeof(KnownStore));
	line = strstr(content, "\n" DIRECTORY_LINE);
	if (line == NULL || strlen(content) != len || content[len - 1] != '\n' ||
		ws_identity_parse(content, line + 1 - content, &known->identity) != WS_OK)
	{
		is_refused = true;
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("file \"%s\" is damaged", path),
				errdetail("It names the store that this relay has used."),
				errhint(FORGET_HINT));
	}
	content[len - 1] = '\0';
	known->directory = line + 1 + strlen(DIRECTORY_LINE);
	return known;
}

void
ws_known_check(const char *directory, const WsStoreIdentity *found)
{
	KnownStore *known = read_known();
	const WsStoreIdentity *identity;

	if (known == NULL || strcmp(known->directory, directory) != 0)
		return;
	identity = &known->identity;
	if (found != NULL &&
		identity->store_identifier == found->store_identifier &&
		identity->system_identifier == found->system_identifier)
		return;

	is_refused = true;
	if (found == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("relay directory \"%s\" is empty, but this relay has kept WAL in it",
					   directory),
				errdetail("That was store " UINT64_FORMAT ", with WAL of the cluster with system identifier " UINT64_FORMAT ".",
						  identity->store_identifier, identity->system_identifier),
				errhint("If a file system is not mounted, mount it and restart the server.  " FORGET_HINT));
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("relay directory \"%s\" is not the one that this relay has used",
				   directory),
			errdetail("It holds store " UINT64_FORMAT ", with WAL of the cluster with system identifier " UINT64_FORMAT ", instead of store " UINT64_FORMAT " of " UINT64_FORMAT ".",
					  found->store_identifier, found->system_identifier,
					  identity->store_identifier, identity->system_identifier),
			errhint("If another file system is mounted there, mount the right one and restart the server.  " FORGET_HINT));
}

bool
ws_known_is_refused(void)
{
	return is_refused;
}

void
ws_known_remember(const char *directory, const WsStoreIdentity *identity)
{
	char		path[MAXPGPATH];
	char		content[MAX_BYTES];
	size_t		len = format_known(directory, identity, content);
	char	   *old;
	size_t		old_len;

	ws_file_path(DataDir, KNOWN_FILE, path);
	old = ws_file_read_all(path, MAX_BYTES, &old_len);
	if (old == NULL || old_len != len || memcmp(old, content, len) != 0)
		(void) ws_file_replace(DataDir, KNOWN_FILE, content, len, ERROR);
	if (old != NULL)
		pfree(old);
}

void
ws_known_forget(void)
{
	char		path[MAXPGPATH];

	ws_file_path(DataDir, KNOWN_FILE, path);
	ws_file_remove(path);
	ws_directory_sync(DataDir);
}
