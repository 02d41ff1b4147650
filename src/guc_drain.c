/*-------------------------------------------------------------------------
 *
 * guc_drain.c
 *	  The settings for walstream_receive_all().
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/parallel.h"
#include "guc.h"
#include "guc_hidden.h"
#include "owner.h"
#include "pure/relay/drain.h"

#define SOURCES_NAME	"walstream.drain_sources"

static char *hidden_sources = NULL;
static const char *walstream_drain_sources = "";

/* Returns what is wrong with a value; NULL if nothing is. */
static char *
find_fault(const char *value)
{
	char	   *cursor = pstrdup(value);
	char	   *item;
	char	   *fault = NULL;
	WsStatus	status;

	while (fault == NULL && (item = ws_drain_next_item(&cursor, &status)) != NULL)
		fault = ws_guc_conninfo_fault(item);
	if (fault == NULL && status != WS_OK)
		fault = pstrdup("It is not a list of connection strings that are separated by commas.");
	return fault;
}

static bool
check_sources(char **newval, void **extra, GucSource source)
{
	char	   *detail;

	/* a parallel worker gets the variable's value, and does not need ours */
	if (IsParallelWorker() && strcmp(*newval, WS_GUC_HIDDEN) == 0)
		return true;

	detail = find_fault(*newval);
	if (detail != NULL)
	{
		GUC_check_errmsg("invalid value for parameter \"%s\"", SOURCES_NAME);
		GUC_check_errdetail("%s", detail);
		GUC_check_errhint("A connection string that holds a comma is written in double quotes.");
		pfree(detail);
		return false;
	}
	return ws_guc_hide(newval, extra);
}

static void
assign_sources(const char *newval, void *extra)
{
	walstream_drain_sources = extra != NULL ? extra : "";
}

static const char *
show_sources(void)
{
	return walstream_drain_sources;
}

static char *walstream_seal_owner = NULL;

/* The value is in a file, which every process reads. */
static const char *
show_owner(void)
{
	return ws_owner_get();
}

void
ws_guc_init_drain(void)
{
	DefineCustomStringVariable(SOURCES_NAME,
							   "Connection strings of the relays that a standby receives from before it is promoted.",
							   "Used by walstream_receive_all(); separated by commas.",
							   &hidden_sources,
							   "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   check_sources, assign_sources, show_sources);

	DefineCustomStringVariable(WS_OWNER_SETTING,
							   "Shows the name under which this server seals relays before it is promoted.",
							   NULL,
							   &walstream_seal_owner,
							   "",
							   PGC_INTERNAL,
							   GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   NULL, NULL, show_owner);
}

const char *
ws_guc_drain_sources(void)
{
	return walstream_drain_sources;
}
