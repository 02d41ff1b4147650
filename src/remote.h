/*-------------------------------------------------------------------------
 *
 * remote.h
 *	  A process as another server's client, which never waits for ever and can
 *	  always be cancelled.
 *
 * Except for the address of a host name: libpq asks the system's resolver for
 * it within PQconnectStart(), and nothing but the resolver's own configuration
 * bounds that.  PostgreSQL's own clients of this kind are no better off.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_REMOTE_H
#define WS_REMOTE_H

#include "datatype/timestamp.h"
#include "libpq-fe.h"
#include "waitevent.h"

/*
 * Limits of a call.  If it is not interruptible, as after an error, a cancel
 * request waits at most until the deadline.  The process's latch is reset;
 * *woken is set to true if it was set, unless woken is NULL.
 */
typedef struct WsRemoteLimit
{
	TimestampTz deadline;
	bool		interruptible;
	WsWait		wait;			/* what pg_stat_activity shows meanwhile */
	bool	   *woken;
} WsRemoteLimit;

/*
 * One server of those that a connection string names, as an established
 * connection to it has shown.  With its address nobody has to be asked for
 * that, which could take long.
 */
typedef struct WsRemoteServer
{
	const char *host;
	const char *hostaddr;		/* "" for a socket in the file system */
	int			port;
} WsRemoteServer;

/*
 * Connect.  Returns NULL, with a palloc'd *error, if that fails or takes too
 * long.  With replication, this makes a physical replication connection;
 * otherwise one to the database "postgres", unless conninfo names another one.
 */
extern PGconn * ws_remote_connect(const char *conninfo, bool replication,
								  const WsRemoteLimit *limit, char **error);

/*
 * Make a physical replication connection to that server, under this
 * application_name, and otherwise as conninfo says.
 */
extern PGconn * ws_remote_connect_to(const WsRemoteServer *server,
									 const char *conninfo, const char *application_name,
									 const WsRemoteLimit *limit, char **error);

/*
 * Run one command.  Returns its result, which the caller must clear, or NULL
 * with a palloc'd *error.  Uses the simple protocol, which walsenders need, if
 * nparams is negative.
 */
extern PGresult * ws_remote_exec(PGconn * conn, const char *command,
								 int nparams, const char *const *params,
								 const WsRemoteLimit *limit, char **error);

/*
 * Returns the result of a command in which ws_remote_exec() was interrupted;
 * NULL, with *error, if there is none.
 */
extern PGresult * ws_remote_wait(PGconn * conn, const WsRemoteLimit *limit,
								 char **error);

/* NULL is allowed. */
extern void ws_remote_close(PGconn * conn);

#endif							/* WS_REMOTE_H */
