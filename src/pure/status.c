/*-------------------------------------------------------------------------
 *
 * status.c
 *	  Phrases for the status codes of the pure layer.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/status.h"

const char *
ws_status_text(WsStatus status)
{
	switch (status)
	{
		case WS_OK:
			return "no error";
		case WS_E_MEMORY:
			return "out of memory";
		case WS_E_MALFORMED:
			return "malformed header";
		case WS_E_TOO_LARGE:
			return "length over its bound";
		case WS_E_LENGTH:
			return "decoded length differs from the announced length";
		case WS_E_POSITION:
			return "position does not follow the one before";
		case WS_E_CHECK:
			return "check value does not match";
		case WS_E_CODEC:
			return "encoded bytes are not valid";
		case WS_E_UNEXPECTED:
			return "message was not asked for or is out of place";
		case WS_E_FAILED:
			return "refused after an earlier failure";
	}
	return "unknown status";
}
