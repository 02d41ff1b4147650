/*-------------------------------------------------------------------------
 *
 * test_xidfile.c
 *	  The file that keeps how far transaction ids have come: written, read
 *	  back, and damaged.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/xidfile.h"
#include "tap.h"
#include "textfile.h"

static WsXidFile parsed;

static size_t
format(const void *file, char *buf)
{
	return ws_xidfile_format(file, buf);
}

static WsStatus
parse(const char *text, size_t len)
{
	return ws_xidfile_parse(text, len, &parsed);
}

static bool
was_parsed(const void *file)
{
	const WsXidFile *a = file;

	return a->next_xid == parsed.next_xid && a->checkpoint_tli == parsed.checkpoint_tli;
}

static const TextFile type = {
	"crc ", WS_XIDFILE_MAX_BYTES, WS_E_CHECK, format, parse, was_parsed
};

int
main(void)
{
	WsXidFile	usual = {UINT64CONST(0x1000002e4), 1};
	WsXidFile	full = {PG_UINT64_MAX, PG_UINT32_MAX};

	test_roundtrip(&type, &usual, "usual");
	test_roundtrip(&type, &full, "full");
	test_text(&type, &usual,
			  "walstream xids 1\nnext_xid 4294968036\ncheckpoint_timeline 1\n",
			  "the text is as documented");
	test_damage(&type, &usual);
	test_parse(&type, "walstream xids 1\nnext_xid 21474836482\ncheckpoint_timeline 1\n",
			   WS_E_MALFORMED, "an id that no transaction has");
	return done_testing();
}
