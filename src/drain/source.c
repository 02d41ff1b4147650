/*-------------------------------------------------------------------------
 *
 * source.c
 *	  A server that a standby asks for the end of its WAL before it is
 *	  promoted.
 *
 * There are two connections to a relay: one for SQL, which lives as long as
 * the call, and one like a standby's, which gives the answers that standbys
 * get.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "drain/seals.h"
#include "drain/source.h"
#include "peertext.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

/*
 * Timeout of a connection, unless the connection string has a connect_timeout;
 * how much longer sealing may take; and how much longer we wait for that, so
 * that a relay gives up before we do.  In seconds.
 */
#define CONNECT_TIMEOUT		5
#define SEAL_EXTRA			3
#define WAIT_EXTRA			5

/* How long sealing and unsealing are waited for, at most. */
static WsRemoteLimit
seal_limit(const WsSource *source, bool interruptible)
{
	WsRemoteLimit limit = {
		.interruptible = interruptible,
		.wait = WS_WAIT_RECEIVE_ALL_RELAY
	};

	limit.deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												 (source->connect_timeout + WAIT_EXTRA) * INT64CONST(1000));
	return limit;
}

static const char *
value_of(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
	{
		if (strcmp(o->keyword, keyword) == 0 && o->val != NULL && o->val[0] != '\0')
			return o->val;
	}
	return NULL;
}

/*
 * Returns the host and port of a connection, without anything that could be
 * secret.
 */
static const char *
make_place(const PQconninfoOption *options)
{
	const char *host = value_of(options, "host");
	const char *port = value_of(options, "port");

	if (host == NULL)
		host = value_of(options, "hostaddr");
	return ws_peertext_value(psprintf("%s:%s", host != NULL ? host : "local",
									  port != NULL ? port : "default"));
}

WsSource *
ws_source_new(const char *conninfo)
{
	WsSource   *source = palloc0(sizeof(WsSource));
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	const char *timeout;

	if (options == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a source is not a valid connection string"),
				 errhint("Write it as primary_conninfo is written, for example \"host=relay1.example.com user=failover\".")));
	source->conninfo = pstrdup(conninfo);
	source->place = make_place(options);
	timeout = value_of(options, "connect_timeout");
	source->connect_timeout = timeout != NULL && atoi(timeout) > 0 ?
		atoi(timeout) : CONNECT_TIMEOUT;
	PQconninfoFree(options);
	return source;
}

const char *
ws_source_describe(const WsSource *source)
{
	return source->name != NULL ?
		psprintf("\"%s\" (%s)", source->name, source->place) :
		psprintf("the source at %s", source->place);
}

/* Returns a value of the first row; NULL for null. */
static char *
get_value(const PGresult * result, int column)
{
	return PQgetisnull(result, 0, column) ? NULL :
		pstrdup(PQgetvalue(result, 0, column));
}

/*
 * Run a command that must return one row with this number of columns.  Returns
 * false, with failure set, if it does not.
 */
static bool
ask(WsSource *source, PGconn * conn, const char *command,
	const char *const *params, int nparams, int columns, char **values,
	const WsRemoteLimit *limit)
{
	char	   *error;
	PGresult   *result = ws_remote_exec(conn, command, nparams, params, limit, &error);

	if (result == NULL)
	{
		source->failure = error;
		return false;
	}
	if (PQntuples(result) != 1 || PQnfields(result) < columns)
	{
		source->failure = psprintf("it answered with %d rows of %d columns",
								   PQntuples(result), PQnfields(result));
		PQclear(result);
		return false;
	}
	for (int i = 0; i < columns; i++)
		values[i] = get_value(result, i);
	PQclear(result);
	return true;
}

/* Check that the source is a relay, since only a relay can be sealed. */
static void
check_kind(const WsSource *source, const char *in_recovery, const char *relay)
{
	if (relay != NULL && strcmp(relay, "on") == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s is a %s, not a relay", ws_source_describe(source),
					strcmp(in_recovery, "t") == 0 ? "standby" : "primary"),
			 errdetail("Only a relay can be kept from confirming more to the old primary while this standby is promoted."),
			 errhint("Name the relays only.  A standby that is synchronous counts as one that is not heard, unless it is the one that is to be promoted.")));
}

static bool
find_extension(WsSource *source, const WsRemoteLimit *limit)
{
	char	   *values[3];

	if (!ask(source, source->conn,
			 "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('walstream.relay', true), "
			 "(SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension AS e "
			 "JOIN pg_catalog.pg_namespace AS n ON (n.oid = e.extnamespace) "
			 "WHERE e.extname = 'walstream')",
			 NULL, 0, 3, values, limit))
		return false;
	check_kind(source, values[0], values[1]);
	source->schema = values[2];
	if (source->schema == NULL)
		source->failure = psprintf("the extension walstream has not been created in its database \"%s\"",
								   ws_peertext_value(PQdb(source->conn)));
	return source->failure == NULL;
}

/* Ask the source for its identity and state. */
static bool
read_state(WsSource *source, const WsRemoteLimit *limit)
{
	char	   *values[4];
	char	   *command;
	char		identifier[32];

	command = psprintf("SELECT r.state, r.system_identifier, r.timeline, "
					   "%s.walstream_application_name() FROM %s.walstream_relay AS r",
					   source->schema, source->schema);
	if (!ask(source, source->conn, command, NULL, 0, 4, values, limit))
		return false;

	source->name = values[3] != NULL ? ws_peertext_value(values[3]) : NULL;
	snprintf(identifier, sizeof(identifier), INT64_FORMAT, (int64) GetSystemIdentifier());
	if (values[0] == NULL)
		source->failure = "it does not say in which state it is";
	else if (strcmp(values[0], "opening") == 0 || strcmp(values[0], "failed") == 0)
		source->failure = psprintf("its state is \"%s\": it does not know what WAL it has", values[0]);
	else if (values[1] == NULL || values[2] == NULL)
		source->failure = "it has no WAL";
	else if (strcmp(values[1], identifier) != 0)
		source->failure = psprintf("it holds WAL of another cluster, whose system identifier is %s",
								   ws_peertext_value(values[1]));
	else
		source->tli = (TimeLineID) strtoul(values[2], NULL, 10);
	return source->failure == NULL;
}

/*
 * Ask which list of synchronous standbys it has seen last.  Not before it is
 * sealed: until then it may learn another one, and confirm commits under that.
 */
static bool
read_names(WsSource *source, const WsRemoteLimit *limit)
{
	char	   *values[2];

	if (!ask(source, source->conn,
			 psprintf("SELECT r.upstream_standby_names, "
					  "(SELECT n.timeline FROM %s.walstream_get_relay_standby_names() AS n "
					  "ORDER BY n.last_seen USING OPERATOR(pg_catalog.>) LIMIT 1) "
					  "FROM %s.walstream_relay AS r", source->schema, source->schema),
			 NULL, 0, 2, values, limit))
		return false;
	source->standby_names = values[0];

	/* a list that the relay could not save counts for its timeline */
	source->standby_names_tli = values[1] != NULL ?
		(TimeLineID) strtoul(values[1], NULL, 10) : source->tli;
	return true;
}

void
ws_source_connect(WsSource *source, const WsRemoteLimit *limit)
{
	char	   *error;
	char	   *values[1];

	source->conn = ws_remote_connect(source->conninfo, false, limit, &error);
	if (source->conn == NULL)
	{
		source->failure = error;
		return;
	}

	/* a slow relay must not be sealed after we have given up */
	if (ask(source, source->conn,
			psprintf("SELECT pg_catalog.set_config('statement_timeout', '%ds', false), "
					 "pg_catalog.set_config('search_path', '', false)",
					 source->connect_timeout + SEAL_EXTRA),
			NULL, 0, 1, values, limit) &&
		find_extension(source, limit))
		(void) read_state(source, limit);
}

/*
 * Find out whether an earlier call on this standby has sealed the relay.  Then
 * the seal is ours, and we may remove it.  Somebody else's seal may be removed
 * by its owner only.
 */
static bool
find_own_seal(WsSource *source, const WsRemoteLimit *limit)
{
	char	   *values[3];

	if (!ask(source, source->conn,
			 psprintf("SELECT s.timeline, s.since, s.token FROM %s.walstream_get_relay_seal() AS s",
					  source->schema),
			 NULL, 0, 3, values, limit))
		return false;
	if (values[2] == NULL)
		return true;

	/* a seal that a newer timeline has just ended may be seen still */
	if (values[0] == NULL || strtoul(values[0], NULL, 10) != source->tli)
		source->failure = psprintf("it is on timeline %u, and sealed for another one", source->tli);
	else if (ws_seals_has(values[2]))
		source->token = values[2];
	else
		source->failure = psprintf("it has been sealed by somebody else since %s",
								   ws_peertext_value(values[1]));
	return source->failure == NULL;
}

void
ws_source_seal(WsSource *source, const WsRemoteLimit *limit)
{
	char		tli[16];
	const char *params[2] = {tli, ws_seals_owner()};
	char	   *values[1];
	WsRemoteLimit soon = seal_limit(source, true);

	soon.deadline = Min(soon.deadline, limit->deadline);
	if (!find_own_seal(source, &soon) || source->token != NULL)
		return;

	snprintf(tli, sizeof(tli), "%u", source->tli);
	source->sealing = true;
	if (ask(source, source->conn,
			psprintf("SELECT %s.walstream_relay_seal($1::pg_catalog.int4, $2::pg_catalog.text)",
					 source->schema),
			params, 2, 1, values, &soon))
		source->token = values[0];

	/* while the connection waits for the answer, ws_source_unseal() does */
	if (PQtransactionStatus(source->conn) != PQTRANS_ACTIVE)
		source->sealing = false;
	if (source->token != NULL)
		ws_seals_add(source->token);
	else if (source->failure == NULL)
		source->failure = "it does not say with which token it is sealed";
}

/* Get the history of its timeline; timeline 1 has none. */
static bool
read_history(WsSource *source, PGconn * conn, TimeLineID tli, const WsRemoteLimit *limit)
{
	char	   *values[2] = {NULL, NULL};
	int			line;

	if (tli > 1 &&
		!ask(source, conn, psprintf("TIMELINE_HISTORY %u", tli), NULL, -1, 2, values, limit))
		return false;
	source->history.entries = palloc(sizeof(WsHistoryEntry) * (WS_HISTORY_MAX_ENTRIES + 1));
	if (ws_history_parse(tli, values[1] != NULL ? values[1] : "",
						 values[1] != NULL ? strlen(values[1]) : 0,
						 &source->history, &line) != WS_OK)
		source->failure = psprintf("its history of timeline %u is invalid in line %d", tli, line);
	return source->failure == NULL;
}

/*
 * Get the answers that a standby would get; an unknown end is an error there.
 */
static void
read_end(WsSource *source, PGconn * conn, const WsRemoteLimit *limit)
{
	char	   *values[3];
	WsDrainMember *member = &source->member;

	if (!ask(source, conn, "IDENTIFY_SYSTEM", NULL, -1, 3, values, limit))
		return;
	if (values[1] == NULL || values[2] == NULL)
	{
		source->failure = "it does not know where its WAL ends";
		return;
	}
	member->tli = (TimeLineID) strtoul(values[1], NULL, 10);
	member->end_lsn = DatumGetLSN(DirectFunctionCall1(pg_lsn_in, CStringGetDatum(values[2])));
	member->records_lsn = member->end_lsn;
	if (member->tli != source->tli)
		source->failure = psprintf("it went on from timeline %u to %u meanwhile",
								   source->tli, member->tli);
	else if (read_history(source, conn, member->tli, limit))
	{
		member->history = &source->history;
		member->heard = true;
	}
}

void
ws_source_ask(WsSource *source, const WsRemoteLimit *limit)
{
	char	   *error;
	PGconn	   *conn;

	if (!read_names(source, limit))
		return;
	conn = ws_remote_connect(source->conninfo, true, limit, &error);
	if (conn == NULL)
	{
		source->failure = psprintf("no replication connection: %s", error);
		return;
	}
	PG_TRY();
	{
		read_end(source, conn, limit);
	}
	PG_FINALLY();
	{
		ws_remote_close(conn);
	}
	PG_END_TRY();
}

void
ws_source_ask_records(WsSource *source, XLogRecPtr lsn, const WsRemoteLimit *limit)
{
	char		position[MAXFNAMELEN];
	const char *params[1] = {position};
	char	   *values[1];

	snprintf(position, sizeof(position), WS_LSN, LSN_FORMAT_ARGS(lsn));
	if (ask(source, source->conn,
			psprintf("SELECT %s.walstream_relay_records_end($1::pg_catalog.pg_lsn)", source->schema),
			params, 1, 1, values, limit) && values[0] != NULL)
		source->member.records_lsn =
			DatumGetLSN(DirectFunctionCall1(pg_lsn_in, CStringGetDatum(values[0])));
}

/* Get the answer that we were waiting for when we were interrupted. */
static void
finish_sealing(WsSource *source, const WsRemoteLimit *limit)
{
	char	   *error;
	PGresult   *result = ws_remote_wait(source->conn, limit, &error);

	if (result != NULL && PQntuples(result) == 1)
		source->token = get_value(result, 0);
	else if (result == NULL && PQstatus(source->conn) == CONNECTION_OK &&
			 PQtransactionStatus(source->conn) == PQTRANS_IDLE)
		source->sealing = false;
	PQclear(result);
}

/* Ask it to take the seal back, over a new connection if the old one is gone. */
static void
request_unsealing(WsSource *source, const WsRemoteLimit *limit)
{
	char	   *values[1];
	char	   *error;

	source->failure = NULL;
	if (source->conn == NULL || PQstatus(source->conn) != CONNECTION_OK)
	{
		ws_remote_close(source->conn);
		source->conn = ws_remote_connect(source->conninfo, false, limit, &error);
	}
	if (source->conn == NULL)
		source->failure = error;
	else if (ask(source, source->conn,
				 psprintf("SELECT %s.walstream_relay_unseal($1)", source->schema),
				 &source->token, 1, 1, values, limit))
		source->token = NULL;
}

void
ws_source_unseal(WsSource *source)
{
	WsRemoteLimit limit = seal_limit(source, false);

	source->failure = NULL;
	if (source->sealing)
		finish_sealing(source, &limit);
	if (source->token == NULL && !source->sealing)
		return;

	if (source->token == NULL)
		source->failure = "no answer to the request to seal it";
	else
	{
		request_unsealing(source, &limit);

		/* only now is it known that the relay was restarted meanwhile */
		if (source->failure != NULL && source->conn != NULL &&
			PQstatus(source->conn) != CONNECTION_OK)
			request_unsealing(source, &limit);
	}
	if (source->failure != NULL)
		ereport(WARNING,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not unseal %s: %s", ws_source_describe(source), source->failure),
				 errdetail("It receives and acknowledges nothing of timeline %u until it is unsealed.",
						   source->tli),
				 source->token != NULL ?
				 errhint("Call walstream_relay_unseal('%s') there.", source->token) :
				 errhint("If it is sealed, walstream_get_relay_seal() shows the token for walstream_relay_unseal() there.")));
}

void
ws_source_close(WsSource *source)
{
	ws_remote_close(source->conn);
	source->conn = NULL;
}
