/*-------------------------------------------------------------------------
 *
 * remote.h
 *	  A backend as another server's client, which neither waits for ever nor
 *	  keeps from being cancelled.
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
 * What a call may take.  Where it is not interruptible, as after an error, a
 * cancel request waits for the deadline at most.
 */
typedef struct WsRemoteLimit
{
	TimestampTz deadline;
	bool		interruptible;
} WsRemoteLimit;

/*
 * Connect; NULL, with *error palloc'd, if that fails or takes too long.  With
 * replication a physical replication connection; else to the database
 * "postgres" if conninfo names none.
 */
extern PGconn * ws_remote_connect(const char *conninfo, bool replication,
								  const WsRemoteLimit *limit, char **error);

/*
 * Run one command; its result, which the caller clears, or NULL with *error,
 * palloc'd.  The simple protocol, as walsenders need it, if nparams is negative.
 */
extern PGresult * ws_remote_exec(PGconn * conn, const char *command,
								 int nparams, const char *const *params,
								 const WsRemoteLimit *limit, char **error);

/*
 * The result of a command that ws_remote_exec() was interrupted in; NULL, with
 * *error, if there is none.
 */
extern PGresult * ws_remote_wait(PGconn * conn, const WsRemoteLimit *limit,
								 char **error);

/* NULL is allowed. */
extern void ws_remote_close(PGconn * conn);

#endif							/* WS_DRAIN_REMOTE_H */
