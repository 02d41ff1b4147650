/*-------------------------------------------------------------------------
 *
 * source.h
 *	  A server that a standby asks, before it is promoted, what WAL it has.
 *
 * It is sealed first, so that it confirms nothing more to the old primary: only
 * what it says after that counts.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_DRAIN_SOURCE_H
#define WS_DRAIN_SOURCE_H

#include "drain/remote.h"
#include "pure/relay/drain.h"

/* Strings are palloc'd in the context in which the source was made. */
typedef struct WsSource
{
	const char *conninfo;		/* may hold a password: never shown */
	const char *place;			/* host:port, for messages */
	int			connect_timeout;	/* in seconds */
	PGconn	   *conn;			/* as a client; NULL if there is none */
	const char *schema;			/* of the extension there, quoted */

	const char *name;			/* as which the old primary knows it */
	TimeLineID	tli;			/* that it is on, before it is sealed */
	const char *standby_names;	/* synchronous_standby_names of the old
								 * primary, as it last saw it; NULL if it
								 * never did */
	TimestampTz standby_names_time;

	bool		sealing;		/* it has been told to, and has not answered */
	const char *token;			/* that takes the seal back; NULL if there is
								 * none of ours */

	const char *failure;		/* why it is not heard; NULL if nothing is
								 * wrong */
	WsHistory	history;
	WsDrainMember member;		/* heard once it has said where its WAL ends */
} WsSource;

extern WsSource *ws_source_new(const char *conninfo);

/* Its name and place, for messages; palloc'd. */
extern const char *ws_source_describe(const WsSource *source);

/*
 * Connect, and ask who it is.  What goes wrong is in failure; but a server that
 * cannot be a source is an ERROR.
 */
extern void ws_source_connect(WsSource *source, const WsRemoteLimit *limit);

/* Seal it, unless it is by us.  What goes wrong is in failure. */
extern void ws_source_seal(WsSource *source, const WsRemoteLimit *limit);

/* Where does its WAL end?  Of a sealed one.  What goes wrong is in failure. */
extern void ws_source_ask(WsSource *source, const WsRemoteLimit *limit);

/*
 * As it was before: a WARNING says if that could not be done.  For a cleanup:
 * cannot be interrupted, and takes some seconds at most.
 */
extern void ws_source_unseal(WsSource *source);

extern void ws_source_close(WsSource *source);

#endif							/* WS_DRAIN_SOURCE_H */
