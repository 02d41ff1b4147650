/*-------------------------------------------------------------------------
 *
 * guc_hidden.c
 *	  Settings with connection strings, which PostgreSQL must not write into the
 *	  log.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "guc_hidden.h"
#include "libpq-fe.h"

/* Could a part of this connection string be a password? */
static bool
may_hold_password(const char *conninfo)
{
	return strstr(conninfo, "://") != NULL || strstr(conninfo, "pass") != NULL;
}

char *
ws_guc_conninfo_fault(const char *conninfo)
{
	char	   *error = NULL;
	PQconninfoOption *options;
	char	   *detail;

	if (conninfo[0] == '\0')
		return NULL;

	options = PQconninfoParse(conninfo, &error);
	if (options != NULL)
	{
		PQconninfoFree(options);
		return NULL;
	}

	if (may_hold_password(conninfo))
		detail = pstrdup("It is not a valid connection string.");
	else
		detail = psprintf("It is not a valid connection string: %s",
						  error != NULL ? error : "out of memory");
	PQfreemem(error);
	for (size_t len = strlen(detail); len > 0 && detail[len - 1] == '\n'; len--)
		detail[len - 1] = '\0';
	return detail;
}

bool
ws_guc_hide(char **newval, void **extra)
{
	size_t		size = strlen(*newval) + 1;
	char	   *hidden = ws_guc_malloc(sizeof(WS_GUC_HIDDEN));
	char	   *value = ws_guc_malloc(size);

	if (hidden == NULL || value == NULL)
	{
		ws_guc_free(hidden);
		ws_guc_free(value);

		/* without a message of ours, PostgreSQL's would show the value */
		GUC_check_errcode(ERRCODE_OUT_OF_MEMORY);
		GUC_check_errmsg("out of memory");
		return false;
	}
	memcpy(hidden, WS_GUC_HIDDEN, sizeof(WS_GUC_HIDDEN));
	memcpy(value, *newval, size);
	ws_guc_free(*newval);
	*newval = hidden;
	*extra = value;
	return true;
}
