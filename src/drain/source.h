/*-------------------------------------------------------------------------
 *
 * source.h
 *	  A server that a standby asks for the end of its WAL before it is
 *	  promoted.
 *
 * It is sealed first, so that it confirms nothing more to the old primary;
 * only its answers after that count.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_DRAIN_SOURCE_H
#define WS_DRAIN_SOURCE_H

#include "pure/relay/drain.h"
#include "remote.h"

/* A source.  Strings are palloc'd in the context in which it was made. */
typedef struct WsSource
{
	const char *conninfo;		/* may hold a password: never shown */
	const char *place;			/* host:port, for messages */
	int			connect_timeout;	/* in seconds */
	PGconn	   *conn;			/* the SQL connection; NULL if there is none */
	const char *schema;			/* schema of the extension there, quoted */

	const char *name;			/* name by which the old primary knows it */
	TimeLineID	tli;			/* its timeline before it was sealed */
	const char *standby_names;	/* synchronous_standby_names of the old
								 * primary, as the source last saw it; NULL if
								 * never */
	TimeLineID	standby_names_tli;	/* timeline on which that was */

	bool		sealing;		/* it was asked to seal itself, and has not
								 * answered */
	const char *token;			/* token that removes our seal; NULL if there
								 * is none */

	const char *failure;		/* reason why it is not heard; NULL if nothing
								 * is wrong */
	WsHistory	history;
	WsDrainMember member;		/* heard once it has reported the end of its
								 * WAL */
} WsSource;

extern WsSource *ws_source_new(const char *conninfo);

/* Returns its name and place for messages, palloc'd. */
extern const char *ws_source_describe(const WsSource *source);

/*
 * Connect, and ask for its identity.  Problems are noted in failure, but a
 * server that cannot be a source is an ERROR.
 */
extern void ws_source_connect(WsSource *source, const WsRemoteLimit *limit);

/* Seal it, unless we have done so already.  Problems are noted in failure. */
extern void ws_source_seal(WsSource *source, const WsRemoteLimit *limit);

/* Ask a sealed source where its WAL ends.  Problems are noted in failure. */
extern void ws_source_ask(WsSource *source, const WsRemoteLimit *limit);

/*
 * Ask a source that was heard where its complete records behind lsn end.
 * Without an answer, its member stays as it is.
 */
extern void ws_source_ask_records(WsSource *source, XLogRecPtr lsn, const WsRemoteLimit *limit);

/*
 * Restore its earlier state; a WARNING tells if that failed.  For cleanups: it
 * cannot be interrupted, and takes at most some seconds.
 */
extern void ws_source_unseal(WsSource *source);

extern void ws_source_close(WsSource *source);

#endif							/* WS_DRAIN_SOURCE_H */
