/*-------------------------------------------------------------------------
 *
 * ask_names.c
 *	  Asks the primary again and again for its synchronous_standby_names.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "guc.h"
#include "peertext.h"
#include "relay/ask_names.h"
#include "relay/relay.h"
#include "relay/standby_names.h"
#include "remote.h"
#include "utils/timestamp.h"

/* The primary's log and pg_stat_replication show it for a moment. */
#define APPLICATION_NAME	"walstream_names"

/* How long it may take in all. */
#define TIMEOUT_MS		5000

/* Longest pause after failures, unless walstream.relay_names_interval is. */
#define MAX_PAUSE_MS	60000

/*
 * A failure is logged if the next try fails, too: a primary that is just being
 * stopped is nothing unusual.
 */
#define LOG_AFTER		2

static uint32 connection = 0;	/* the receiver's, to which the rest belongs */
static TimestampTz due = 0;
static int	failures = 0;		/* in a row */
static bool told = false;		/* logged since the last success */
static TimestampTz configured = 0;	/* when the configuration was loaded */

/* Run a command and get a value of its only row; NULL, with *error, if not. */
static const char *
ask(PGconn * conn, const char *command, int column, PGresult * *result,
	const WsRemoteLimit *limit, char **error)
{
	*result = ws_remote_exec(conn, command, -1, NULL, limit, error);
	if (*result == NULL)
		return NULL;
	if (PQntuples(*result) == 1 && PQnfields(*result) > column &&
		!PQgetisnull(*result, 0, column))
		return PQgetvalue(*result, 0, column);
	*error = psprintf("it gave no answer to \"%s\"", command);
	return NULL;
}

/* The position in an answer to IDENTIFY_SYSTEM. */
static bool
parse_lsn(const PGresult * result, XLogRecPtr *lsn)
{
	uint32		high;
	uint32		low;

	if (PQnfields(result) < 3 || PQgetisnull(result, 0, 2) ||
		sscanf(PQgetvalue(result, 0, 2), "%X/%X", &high, &low) != 2)
		return false;
	*lsn = (uint64) high << 32 | low;
	return true;
}

/*
 * Check that this is the primary of the stream still: another server may have
 * taken over its address, while the stream from the old one goes on.  Sets *lsn
 * to its position.
 */
static bool
is_same_primary(PGconn * conn, const WsStore *store, const WsNamesPrimary *primary,
				const WsRemoteLimit *limit, XLogRecPtr *lsn, char **error)
{
	const char *is_standby = PQparameterStatus(conn, "in_hot_standby");
	PGresult   *result;
	const char *tli;
	bool		same = false;

	tli = ask(conn, "IDENTIFY_SYSTEM", 1, &result, limit, error);
	if (tli != NULL)
	{
		same = strtoul(tli, NULL, 10) == primary->tli &&
			strtou64(PQgetvalue(result, 0, 0), NULL, 10) ==
			store->identity.system_identifier &&
			(is_standby == NULL || strcmp(is_standby, "off") == 0) &&
			parse_lsn(result, lsn);
		if (!same)
			*error = pstrdup("another server than the one that streams has answered");
	}
	PQclear(result);
	return same;
}

/*
 * Returns false, with *error, if the primary has not answered.  Its position is
 * asked after the list, so that it is behind all that was confirmed under the
 * former list.
 */
static bool
ask_primary(const WsStore *store, const WsNamesPrimary *primary,
			const WsRemoteLimit *limit, char **error)
{
	WsRemoteServer server = {primary->host, primary->address, primary->port};
	PGresult   *result = NULL;
	const char *names;
	bool		done;
	PGconn	   *conn;
	XLogRecPtr	lsn;

	conn = ws_remote_connect_to(&server, ws_guc_relay()->upstream, APPLICATION_NAME,
								limit, error);
	if (conn == NULL)
		return false;
	names = ask(conn, "SHOW synchronous_standby_names", 0, &result, limit, error);
	done = names != NULL && is_same_primary(conn, store, primary, limit, &lsn, error);
	if (done)
		ws_standby_names_note_answer(store, primary, names, lsn);
	PQclear(result);
	ws_remote_close(conn);
	return done;
}

static void
note_result(const char *error)
{
	failures = error != NULL ? failures + 1 : 0;
	if (error == NULL)
	{
		told = false;
		return;
	}
	ereport(failures >= LOG_AFTER && !told ? LOG : DEBUG1,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("relay cannot ask the primary whether synchronous_standby_names has changed: %s",
					error),
			 errhint("The primary needs one of its max_wal_senders for this, for a moment.  Until it answers, the relay knows what it had when upstream_standby_names_time says.")));
	told = told || failures >= LOG_AFTER;
}

static long
pause_ms(int interval_s)
{
	long		pause = interval_s * 1000L;
	long		longest = Max(pause, MAX_PAUSE_MS);

	for (int i = 0; i < failures && pause < longest; i++)
		pause *= 2;
	return Min(pause, longest);
}

static void
wait_from_now(int interval_s)
{
	due = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pause_ms(interval_s));
}

long
ws_ask_names(bool *woken)
{
	int			interval_s = ws_guc_relay()->names_interval_s;
	WsRemoteLimit limit = {
		.interruptible = true,
		.wait = WS_WAIT_RELAY_NAMES,
		.woken = woken
	};
	WsNamesPrimary primary;
	WsStore		store;
	TimestampTz now = GetCurrentTimestamp();
	char	   *error = NULL;

	if (interval_s == 0 || !ws_standby_names_get_primary(&primary) ||
		!ws_relay_get_store(&store))
		return -1;
	if (primary.connection != connection)
	{
		/* the receiver has just asked */
		connection = primary.connection;
		failures = 0;
		wait_from_now(interval_s);
	}

	/* with a reload an operator says that a fault has been fixed */
	if (configured != PgReloadTime && failures > 0)
	{
		failures = 0;
		due = now;
	}
	configured = PgReloadTime;

	/* or the interval was shortened, or the clock put back */
	if (TimestampDifferenceMilliseconds(now, due) > pause_ms(interval_s))
		wait_from_now(interval_s);
	if (now < due)
		return TimestampDifferenceMilliseconds(now, due);

	limit.deadline = TimestampTzPlusMilliseconds(now, TIMEOUT_MS);
	(void) ask_primary(&store, &primary, &limit, &error);
	note_result(error);
	wait_from_now(interval_s);
	return pause_ms(interval_s);
}
