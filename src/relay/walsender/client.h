/*-------------------------------------------------------------------------
 *
 * client.h
 *	  Exchanges messages with a relay sender's client, without waiting where
 *	  signals are not handled.
 *
 * PostgreSQL's own functions wait inside libpq's server side, where in the
 * middle of a message only a request to die is noticed.  Here only
 * ws_client_wait() waits, and its callers check for interrupts before and
 * after it.  So a client that stalls in a message, or never reads, delays
 * neither a stop nor requests of other processes (ProcSignalBarrier).
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_RELAY_WALSENDER_CLIENT_H
#define WS_RELAY_WALSENDER_CLIENT_H

#include "lib/stringinfo.h"

/* Which messages are allowed, and how large they may be. */
typedef enum WsExpect
{
	WS_EXPECT_COMMAND,
	WS_EXPECT_COPY				/* standby messages */
} WsExpect;

typedef struct WsClientMessage
{
	char		type;
	uint32		length;			/* of its content */
	bool		too_long;		/* the content was thrown away; only outside
								 * of a COPY */
	StringInfoData content;		/* valid until the next read */
} WsClientMessage;

typedef enum WsReadResult
{
	WS_READ_MESSAGE,
	WS_READ_NOTHING,			/* no complete message has arrived */
	WS_READ_EOF
} WsReadResult;

/*
 * From here on, PostgreSQL's functions that send only fill the output buffer,
 * which grows as needed, and those that flush send as much as the socket
 * takes.
 */
extern void ws_client_init(void);

/*
 * Take the next message if it has arrived.  Raises FATAL if it is not allowed
 * here.
 */
extern WsReadResult ws_client_read(WsExpect expect, WsClientMessage *message);

/*
 * Wait for the socket (WL_SOCKET_READABLE, WL_SOCKET_WRITEABLE, or 0 for
 * neither), the latch or the end of timeout_ms (-1 for none).  Exits if the
 * postmaster has died.
 */
extern void ws_client_wait(uint32 socket_events, long timeout_ms,
						   uint32 wait_event);

/* Send as much as the socket takes now; exits if the connection is lost. */
extern void ws_client_flush_some(void);

/*
 * Send all of the output, waiting as long as it takes; checks for interrupts.
 */
extern void ws_client_flush(void);

/* End this process, because the client is gone. */
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

/* Send a result of one row; values are text, NULL for null. */
extern void ws_client_send_row(const WsColumn *columns, int count,
							   const char *const *values);

extern void ws_client_send_complete(const char *tag);

#endif							/* WS_RELAY_WALSENDER_CLIENT_H */
