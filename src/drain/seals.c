/*-------------------------------------------------------------------------
 *
 * seals.c
 *	  Remembers the seals that this standby has set, beyond the life of a
 *	  session.
 *
 * Only one session at a time uses this.  Tokens are unique, so those of seals
 * that have been removed do no harm.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "drain/seals.h"
#include "owner.h"
#include "pgstat.h"
#include "relay/store/file.h"
#include "storage/fd.h"
#include "utils/builtins.h"

#define SEALS_FILE		PG_STAT_TMP_DIR "/walstream_seals"
#define MAX_LINE		256

bool
ws_seals_has(const char *token)
{
	FILE	   *file = AllocateFile(SEALS_FILE, PG_BINARY_R);
	char		line[MAX_LINE];
	bool		found = false;

	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), file) != NULL)
	{
		line[strcspn(line, "\n")] = '\0';
		found = strcmp(line, token) == 0;
	}
	FreeFile(file);
	return found;
}

void
ws_seals_add(const char *token)
{
	FILE	   *file = AllocateFile(SEALS_FILE, PG_BINARY_A);
	bool		good = file != NULL;

	if (good)
	{
		int			error;

		good = fprintf(file, "%s\n", token) > 0 && fflush(file) == 0 &&
			ws_file_sync(fileno(file)) == 0;
		error = errno;
		if (FreeFile(file) == 0)
			errno = error;
		else
			good = false;
	}
	if (!good)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", SEALS_FILE)));
	else
		(void) ws_directory_sync_ext(PG_STAT_TMP_DIR, LOG);
}

static void
draw_name(char *name)
{
	uint8		bytes[WS_OWNER_LEN / 2];

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a name for the owner of seals")));
	name[hex_encode((const char *) bytes, sizeof(bytes), name)] = '\0';
}

const char *
ws_seals_owner(void)
{
	char		name[WS_OWNER_LEN + 1];

	if (ws_owner_get()[0] == '\0')
	{
		draw_name(name);
		(void) ws_file_replace(PG_STAT_TMP_DIR, WS_OWNER_FILE, name, WS_OWNER_LEN, ERROR);
	}
	return ws_owner_get();
}
