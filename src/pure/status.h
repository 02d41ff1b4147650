/*-------------------------------------------------------------------------
 *
 * status.h
 *	  Status codes that functions of the pure layer return.
 *
 * The pure layer (src/pure) codes and decodes streams.  It sees no server:
 * no memory context, ereport, setting, clock or socket.  Buffers, limits and
 * times come in as arguments and one of these values comes back; the caller
 * turns it into an error report.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_PURE_STATUS_H
#define WS_PURE_STATUS_H

typedef enum WsStatus
{
	WS_OK = 0,
	WS_E_MEMORY,				/* an allocation failed */
	WS_E_MALFORMED,				/* a header that does not parse, or reserved
								 * bits set */
	WS_E_TOO_LARGE,				/* an announced or given length is over its
								 * bound */
	WS_E_LENGTH,				/* the decoded length is not as announced, or
								 * bytes are left over */
	WS_E_POSITION,				/* the frame does not start at the stream's
								 * position */
	WS_E_CHECK,					/* the check value does not match */
	WS_E_CODEC,					/* the codec refused the bytes */
	WS_E_UNEXPECTED,			/* a codec that was not asked for, or a frame
								 * where none may be */
	WS_E_FAILED					/* refused because of an earlier failure in
								 * this stream */
} WsStatus;

/* Returns a short phrase for an errdetail, lower case without a full stop. */
extern const char *ws_status_text(WsStatus status);

#endif							/* WS_PURE_STATUS_H */
