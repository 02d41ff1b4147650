/*-------------------------------------------------------------------------
 *
 * guc_relay.c
 *	  The settings of a relay.
 *
 * walstream.relay_upstream is a connection string and may contain a password,
 * see guc_hidden.h.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/parallel.h"
#include "guc.h"
#include "guc_hidden.h"

#define UPSTREAM_NAME	"walstream.relay_upstream"

static bool walstream_relay = false;
static char *walstream_relay_directory = NULL;
static char *hidden_upstream = NULL;	/* always WS_GUC_HIDDEN */
static const char *walstream_relay_upstream = "";
static char *walstream_relay_slot = NULL;
static bool walstream_relay_in_hot_standby = true;
static int	walstream_relay_keep_size = 1024;
static int	walstream_relay_keep_age = 0;
static int	walstream_relay_max_slot_keep_size = -1;
static int	walstream_relay_compress = WS_RELAY_COMPRESS_ZSTD;
static int	walstream_relay_names_interval = 5;

static const struct config_enum_entry compress_options[] = {
	{"off", WS_RELAY_COMPRESS_OFF, false},
	{"lz4", WS_RELAY_COMPRESS_LZ4, false},
	{"zstd", WS_RELAY_COMPRESS_ZSTD, false},
	{NULL, 0, false}
};

static bool
check_directory(char **newval, void **extra, GucSource source)
{
	if ((*newval)[0] == '\0')
	{
		GUC_check_errdetail("The directory of the relay's WAL must have a name.");
		return false;
	}
	if (strlen(*newval) >= MAXPGPATH / 2)
	{
		GUC_check_errdetail("The directory's name is too long.");
		return false;
	}
	canonicalize_path(*newval);
	return true;
}

static bool
check_upstream(char **newval, void **extra, GucSource source)
{
	char	   *detail;

	/* a parallel worker gets the variable's value, and does not need ours */
	if (IsParallelWorker() && strcmp(*newval, WS_GUC_HIDDEN) == 0)
		return true;

	detail = ws_guc_conninfo_fault(*newval);
	if (detail != NULL)
	{
		GUC_check_errmsg("invalid value for parameter \"%s\"", UPSTREAM_NAME);
		GUC_check_errdetail("%s", detail);
		GUC_check_errhint("Write it as primary_conninfo is written, for example \"host=primary.example.com port=5432 user=replicator\".");
		pfree(detail);
		return false;
	}

	return ws_guc_hide(newval, extra);
}

static void
assign_upstream(const char *newval, void *extra)
{
	walstream_relay_upstream = extra != NULL ? extra : WS_GUC_HIDDEN;
}

static const char *
show_upstream(void)
{
	return walstream_relay_upstream;
}

/* The upstream's rules apply, which are PostgreSQL's. */
static bool
check_slot(char **newval, void **extra, GucSource source)
{
	if (strlen(*newval) >= NAMEDATALEN)
	{
		GUC_check_errdetail("The name of a replication slot is shorter than %d bytes.",
							NAMEDATALEN);
		return false;
	}
	if ((*newval)[strspn(*newval, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0')
	{
		GUC_check_errdetail("The name of a replication slot consists of lower case letters, digits and underscores.");
		return false;
	}
	return true;
}

static void
define_what_and_where(void)
{
	DefineCustomBoolVariable("walstream.relay",
							 "Makes this instance a relay of another cluster's WAL.",
							 NULL,
							 &walstream_relay,
							 false,
							 PGC_POSTMASTER, 0,
							 NULL, NULL, NULL);

	DefineCustomStringVariable("walstream.relay_directory",
							   "Directory in which the relay keeps the WAL.",
							   "Relative to the data directory unless absolute.",
							   &walstream_relay_directory,
							   "walstream_relay",
							   PGC_POSTMASTER, GUC_SUPERUSER_ONLY,
							   check_directory, NULL, NULL);

	DefineCustomStringVariable(UPSTREAM_NAME,
							   "Connection string of the server whose WAL the relay receives.",
							   NULL,
							   &hidden_upstream,
							   "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   check_upstream, assign_upstream, show_upstream);

	DefineCustomStringVariable("walstream.relay_slot",
							   "Replication slot that the relay uses on its upstream.",
							   "It is created there if it is missing.",
							   &walstream_relay_slot,
							   "",
							   PGC_SIGHUP, 0,
							   check_slot, NULL, NULL);

	DefineCustomIntVariable("walstream.relay_names_interval",
							"How often the relay asks the primary for its synchronous_standby_names.",
							"0 means only when it connects.",
							&walstream_relay_names_interval,
							5, 0, SECS_PER_HOUR,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("walstream.relay_in_hot_standby",
							 "What the relay tells replication clients in \"in_hot_standby\".",
							 "Off lets one that looks for a primary take the relay for it.",
							 &walstream_relay_in_hot_standby,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
}

static void
define_retention(void)
{
	DefineCustomIntVariable("walstream.relay_keep_size",
							"WAL that the relay keeps at least, whether a slot needs it or not.",
							NULL,
							&walstream_relay_keep_size,
							1024, 0, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_MB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("walstream.relay_keep_age",
							"Time for which the relay keeps WAL at least, whether a slot needs it or not.",
							NULL,
							&walstream_relay_keep_age,
							0, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("walstream.relay_max_slot_keep_size",
							"WAL that the relay keeps at most for its slots.",
							"A slot that needs more is lost; -1 means no limit.",
							&walstream_relay_max_slot_keep_size,
							-1, -1, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_MB,
							NULL, NULL, NULL);

	DefineCustomEnumVariable("walstream.relay_compress",
							 "How the relay compresses WAL segments that are complete.",
							 NULL,
							 &walstream_relay_compress,
							 WS_RELAY_COMPRESS_ZSTD, compress_options,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
}

void
ws_guc_init_relay(void)
{
	define_what_and_where();
	define_retention();
}

const WsRelaySettings *
ws_guc_relay(void)
{
	static WsRelaySettings settings;

	settings.enabled = walstream_relay;
	settings.directory = walstream_relay_directory;
	settings.upstream = walstream_relay_upstream;
	settings.slot = walstream_relay_slot;
	settings.in_hot_standby = walstream_relay_in_hot_standby;
	settings.keep_size_mb = walstream_relay_keep_size;
	settings.keep_age_s = walstream_relay_keep_age;
	settings.max_slot_keep_size_mb = walstream_relay_max_slot_keep_size;
	settings.compress = walstream_relay_compress;
	settings.names_interval_s = walstream_relay_names_interval;
	return &settings;
}
