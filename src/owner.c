/*-------------------------------------------------------------------------
 *
 * owner.c
 *	  The name under which this server seals relays.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <fcntl.h>
#include <unistd.h>

#include "owner.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "utils/builtins.h"

#define OWNER_FILE			PG_STAT_TMP_DIR "/walstream_owner"
#define HEX_DIGITS			"0123456789abcdef"

bool
ws_owner_is_valid(const char *name)
{
	return strlen(name) == WS_OWNER_LEN && strspn(name, HEX_DIGITS) == WS_OWNER_LEN;
}

/* A file that is damaged is as good as none: nobody knows the old name. */
const char *
ws_owner_get(void)
{
	static char name[WS_OWNER_LEN + 1];
	int			fd = BasicOpenFile(OWNER_FILE, O_RDONLY | PG_BINARY);
	ssize_t		len = 0;

	if (fd >= 0)
	{
		len = read(fd, name, WS_OWNER_LEN);
		close(fd);
	}
	name[Max(len, 0)] = '\0';
	return ws_owner_is_valid(name) ? name : "";
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

/*
 * Write the name under a temporary name first, so that there is never a part
 * of one.
 */
static void
write_name(const char *name)
{
	static const char temporary[] = OWNER_FILE ".tmp";
	FILE	   *file = AllocateFile(temporary, PG_BINARY_W);

	if (file == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", temporary)));
	if (fwrite(name, 1, WS_OWNER_LEN, file) != WS_OWNER_LEN || fflush(file) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", temporary)));
	if (FreeFile(file) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", temporary)));

	/* this syncs the file, too */
	(void) durable_rename(temporary, OWNER_FILE, ERROR);
}

const char *
ws_owner_ensure(void)
{
	char		name[WS_OWNER_LEN + 1];

	if (ws_owner_get()[0] == '\0')
	{
		draw_name(name);
		write_name(name);
	}
	return ws_owner_get();
}
