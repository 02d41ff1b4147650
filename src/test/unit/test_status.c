/*-------------------------------------------------------------------------
 *
 * test_status.c
 *	  Every status has a text of its own.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/status.h"
#include "tap.h"

int
main(void)
{
	for (int i = WS_OK; i <= WS_E_FAILED; i++)
	{
		const char *text = ws_status_text((WsStatus) i);
		bool		own = true;

		for (int j = WS_OK; j < i; j++)
			own = own && strcmp(text, ws_status_text((WsStatus) j)) != 0;
		ok(own && strcmp(text, "unknown status") != 0 &&
		   text[strlen(text) - 1] != '.', "status %d: %s", i, text);
	}
	is_str(ws_status_text((WsStatus) (WS_E_FAILED + 1)), "unknown status",
		   "a number that is none");
	return done_testing();
}
