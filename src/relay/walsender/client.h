/*-------------------------------------------------------------------------
 *
 * client.h
 *	  Talking to the client of a relay sender without ever waiting in a place
 *	  where signals are not served.
 *
 * PostgreSQL's own reading and writing waits inside libpq's server side, where
 * in the midst of a message only a request to die is looked at.  Here nothing
 * but ws_client_wait() waits, and its callers check for interrupts around it:
 * so a client that stalls in a message, or never reads, delays neither a stop
 * nor what other processes want of this one (ProcSignalBarrier).
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_WALSENDER_CLIENT_H
#define WS_RELAY_WALSENDER_CLIENT_H

#include "lib/stringinfo.h"

/* Which messages may come, and how large they may be. */
typedef enum WsExpect
{
	WS_EXPECT_COMMAND,
	WS_EXPECT_COPY				/* standby messages */
} WsExpect;

typedef struct WsClientMessage
{
	char		type;
	uint32		length;			/* of its content */
	bool		too_long;		/* which was thrown away; only outside of a
								 * COPY */
	StringInfoData content;		/* valid until the next read */
} WsClientMessage;

typedef enum WsReadResult
{
	WS_READ_MESSAGE,
	WS_READ_NOTHING,			/* no complete message has arrived */
	WS_READ_EOF
} WsReadResult;

/*
 * From here on PostgreSQL's functions that send only fill the output buffer,
 * whatever its size, and those that flush send what the socket takes.
 */
extern void ws_client_init(void);

/*
 * Take the next message if it has arrived.  FATAL if it may not come here.
 */
extern WsReadResult ws_client_read(WsExpect expect, WsClientMessage *message);

/*
 * Wait for the socket (WL_SOCKET_READABLE, WL_SOCKET_WRITEABLE, 0), the latch
 * or the end of timeout_ms, -1 for none.  Exits if the postmaster has.
 */
extern void ws_client_wait(uint32 socket_events, long timeout_ms,
						   uint32 wait_event);

/* Send what the socket takes now; exits if the connection is lost. */
extern void ws_client_flush_some(void);

/* Send all of the output, waiting as long as it takes; serves interrupts. */
extern void ws_client_flush(void);

/*
 * Who the client is, for a log line: its application_name, user and address, and
 * the relay slot that it uses, if that is not NULL.  Palloc'd.
 */
extern char *ws_client_describe(const char *slot_name);

/* End this process, the client being gone. */
ws_noreturn extern void ws_client_gone(void);

/*----------------------------------------------------------------
 * Results of commands
 *----------------------------------------------------------------
 */

typedef struct WsColumn
{
	const char *name;
	Oid			type;			/* TEXTOID, INT4OID or INT8OID */
} WsColumn;

/* A result of one row; values are text, NULL for null. */
extern void ws_client_send_row(const WsColumn *columns, int count,
							   const char *const *values);

extern void ws_client_send_complete(const char *tag);

#endif							/* WS_RELAY_WALSENDER_CLIENT_H */
