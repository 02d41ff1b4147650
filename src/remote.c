/*-------------------------------------------------------------------------
 *
 * remote.c
 *	  A process as another server's client.
 *
 * PostgreSQL's own helpers for this (libpq-be-fe-helpers.h) have no deadline,
 * and libpq's connect_timeout does not apply if the caller waits itself.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "peertext.h"
#include "pgstat.h"
#include "remote.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

/*
 * Wait for the socket.  Returns false if the time is over.
 */
static bool
wait_for_socket(PGconn * conn, int events, const WsRemoteLimit *limit)
{
	for (;;)
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
														   limit->deadline);
		int			rc;

		if (left <= 0)
			return false;
		rc = WaitLatchOrSocket(MyLatch, events | WL_LATCH_SET | WL_TIMEOUT |
							   WL_EXIT_ON_PM_DEATH,
							   PQsocket(conn), left, ws_waitevent(limit->wait));
		if (rc & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			if (limit->woken != NULL)
				*limit->woken = true;
			if (limit->interruptible)
				CHECK_FOR_INTERRUPTS();
		}
		if (rc & events)
			return true;
	}
}

static bool
names_database(const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	bool		found = false;

	for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
	{
		if (strcmp(o->keyword, "dbname") == 0 && o->val != NULL)
			found = true;
	}
	PQconninfoFree(options);
	return found;
}

/* Parameters of a connection; those added later override the ones before. */
#define MAX_PARAMS	8

typedef struct Params
{
	int			count;
	const char *keys[MAX_PARAMS + 1];
	const char *values[MAX_PARAMS + 1];
} Params;

static void
add_param(Params *params, const char *key, const char *value)
{
	Assert(params->count < MAX_PARAMS);
	params->keys[params->count] = key;
	params->values[params->count++] = value;
}

static void
add_replication(Params *params)
{
	add_param(params, "dbname", "replication");
	add_param(params, "replication", "true");
}

/* Returns false if the time is over. */
static bool
go_on_connecting(PGconn * conn, const WsRemoteLimit *limit)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED)
	{
		if (!wait_for_socket(conn, status == PGRES_POLLING_READING ?
							 WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE, limit))
			return false;
		status = PQconnectPoll(conn);
	}
	return true;
}

/* Close the connection even if we are interrupted. */
static PGconn *
connect_guarded(PGconn * conn, const WsRemoteLimit *limit, char **error)
{
	volatile bool in_time = true;

	PG_TRY();
	{
		if (PQstatus(conn) != CONNECTION_BAD)
			in_time = go_on_connecting(conn, limit);
	}
	PG_CATCH();
	{
		ws_remote_close(conn);
		PG_RE_THROW();
	}
	PG_END_TRY();

	if (in_time && PQstatus(conn) == CONNECTION_OK)
		return conn;
	*error = in_time ? ws_peertext_for_log(PQerrorMessage(conn)) :
		pstrdup("no connection within the time allowed");
	ws_remote_close(conn);
	return NULL;
}

/* libpq would write notices to stderr, as they come. */
static void
log_notice(void *arg, const char *message)
{
	ereport(DEBUG1,
			(errmsg_internal("another server says: %s", ws_peertext_for_log(message))));
}

static PGconn *
connect_with(const Params *params, const WsRemoteLimit *limit, char **error)
{
	PGconn	   *conn;

	if (!AcquireExternalFD())
	{
		*error = pstrdup("too many open files on this server");
		return NULL;
	}
	conn = PQconnectStartParams(params->keys, params->values, true);
	if (conn == NULL)
	{
		ReleaseExternalFD();
		*error = pstrdup("out of memory");
		return NULL;
	}
	(void) PQsetNoticeProcessor(conn, log_notice, NULL);
	return connect_guarded(conn, limit, error);
}

PGconn *
ws_remote_connect(const char *conninfo, bool replication,
				  const WsRemoteLimit *limit, char **error)
{
	Params		params = {0};

	add_param(&params, "dbname", conninfo);
	add_param(&params, "fallback_application_name", "walstream_drain");
	if (replication)
		add_replication(&params);
	else if (!names_database(conninfo))
		add_param(&params, "dbname", "postgres");
	return connect_with(&params, limit, error);
}

PGconn *
ws_remote_connect_to(const WsRemoteServer *server, const char *conninfo,
					 const char *application_name, const WsRemoteLimit *limit,
					 char **error)
{
	Params		params = {0};
	char		port[16];

	snprintf(port, sizeof(port), "%d", server->port);
	add_param(&params, "dbname", conninfo);
	add_replication(&params);
	add_param(&params, "host", server->host);
	add_param(&params, "hostaddr", server->hostaddr);
	add_param(&params, "port", port);
	add_param(&params, "application_name", application_name);
	return connect_with(&params, limit, error);
}

PGresult *
ws_remote_wait(PGconn * conn, const WsRemoteLimit *limit, char **error)
{
	PGresult   *last = NULL;
	ExecStatusType status;

	for (;;)
	{
		PGresult   *result;

		while (PQisBusy(conn))
		{
			if (!wait_for_socket(conn, WL_SOCKET_READABLE, limit))
			{
				PQclear(last);
				*error = pstrdup("no answer within the time allowed");
				return NULL;
			}
			if (PQconsumeInput(conn) == 0)
			{
				PQclear(last);
				*error = ws_peertext_for_log(PQerrorMessage(conn));
				return NULL;
			}
		}
		result = PQgetResult(conn);
		if (result == NULL)
			break;
		PQclear(last);
		last = result;
	}

	status = PQresultStatus(last);
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return last;
	*error = ws_peertext_for_log(last != NULL ? PQresultErrorMessage(last) :
								 PQerrorMessage(conn));
	PQclear(last);
	return NULL;
}

PGresult *
ws_remote_exec(PGconn * conn, const char *command, int nparams,
			   const char *const *params, const WsRemoteLimit *limit, char **error)
{
	int			sent;

	sent = nparams < 0 ? PQsendQuery(conn, command) :
		PQsendQueryParams(conn, command, nparams, NULL, params, NULL, NULL, 0);
	if (sent == 0)
	{
		*error = ws_peertext_for_log(PQerrorMessage(conn));
		return NULL;
	}
	return ws_remote_wait(conn, limit, error);
}

void
ws_remote_close(PGconn * conn)
{
	if (conn == NULL)
		return;
	ReleaseExternalFD();
	PQfinish(conn);
}
