/*-------------------------------------------------------------------------
 *
 * walstream_test_reject.c
 *	  Stands for another module that checks logins after authentication.
 *
 * For tests only.  It ends all connections of the role that
 * walstream_test_reject.role names.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "fmgr.h"
#include "libpq/auth.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static ClientAuthentication_hook_type prev_client_authentication = NULL;
static char *rejected_role = NULL;

static void
client_authentication(Port *port, int status)
{
	if (prev_client_authentication)
		prev_client_authentication(port, status);

	if (status == STATUS_OK && strcmp(port->user_name, rejected_role) == 0)
		ereport(FATAL,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("rejected by walstream_test_reject")));
}

void
_PG_init(void)
{
	DefineCustomStringVariable("walstream_test_reject.role",
							   "The role whose connections are ended.",
							   NULL, &rejected_role, "", PGC_SIGHUP, 0,
							   NULL, NULL, NULL);
	prev_client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = client_authentication;
}
