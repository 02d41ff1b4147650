/*-------------------------------------------------------------------------
 *
 * remote.h
 *	  A backend as another server's client, which never waits for ever and can
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
#ifndef WS_DRAIN_REMOTE_H
#define WS_DRAIN_REMOTE_H

#include "datatype/timestamp.h"
#include "libpq-fe.h"

/*
 * Limits of a call.  If it is not interruptible, as after an error, a cancel
 * request waits at most until the deadline.
 */
typedef struct WsRemoteLimit
{
	TimestampTz deadline;
	bool		interruptible;
} WsRemoteLimit;

/*
 * Connect.  Returns NULL, with a palloc'd *error, if that fails or takes too
 * long.  With replication, this makes a physical replication connection;
 * otherwise one to the database "postgres", unless conninfo names another one.
 */
extern PGconn * ws_remote_connect(const char *conninfo, bool replication,
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

#endif							/* WS_DRAIN_REMOTE_H */
