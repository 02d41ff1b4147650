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
	int			fd = BasicOpenFile(PG_STAT_TMP_DIR "/" WS_OWNER_FILE, O_RDONLY | PG_BINARY);
	ssize_t		len = 0;

	if (fd >= 0)
	{
		len = read(fd, name, WS_OWNER_LEN);
		close(fd);
	}
	name[Max(len, 0)] = '\0';
	return ws_owner_is_valid(name) ? name : "";
}
