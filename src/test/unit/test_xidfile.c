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

static const WsXidFile usual = {UINT64CONST(0x1000002e4), 1};

/* Written by hand, not by the code under test. */
static const char usual_text[] =
"walstream xids 1\n"
"next_xid 4294968036\n"
"checkpoint_timeline 1\n"
"crc ";

/*
 * Parse from memory of exactly len bytes, so that reading beyond it is
 * noticed.
 */
static WsStatus
parse(const char *content, size_t len, WsXidFile *file)
{
	char	   *copy = malloc(len + (len == 0));
	WsStatus	status;

	if (copy == NULL)
		abort();
	memcpy(copy, content, len);
	status = ws_xidfile_parse(copy, len, file);
	free(copy);
	return status;
}

static void
test_roundtrip(const WsXidFile *file, const char *what)
{
	char		content[WS_XIDFILE_MAX_BYTES];
	size_t		len = ws_xidfile_format(file, content);
	WsXidFile	again;

	ok(len < WS_XIDFILE_MAX_BYTES, "%s: fits", what);
	is(parse(content, len, &again), WS_OK, "%s: is read", what);
	ok(again.next_xid == file->next_xid &&
	   again.checkpoint_tli == file->checkpoint_tli, "%s: and is the same", what);
}

/* Every flipped bit, and every missing or additional byte, is noticed. */
static void
test_damage(void)
{
	char		content[WS_XIDFILE_MAX_BYTES + 1];
	size_t		len = ws_xidfile_format(&usual, content);
	int			accepted = 0;
	WsXidFile	file;

	for (size_t i = 0; i < len; i++)
	{
		for (int bit = 0; bit < 8; bit++)
		{
			content[i] ^= 1 << bit;
			accepted += parse(content, len, &file) == WS_OK;
			content[i] ^= 1 << bit;
		}
	}
	is(accepted, 0, "no flipped bit is accepted");

	for (size_t i = 0; i < len; i++)
		accepted += parse(content, i, &file) == WS_OK;
	is(accepted, 0, "no shorter file is accepted");

	content[len] = '\n';
	is(parse(content, len + 1, &file), WS_E_CHECK, "nor one with a byte more");
	content[len - 2] ^= 1;
	is(parse(content, len, &file), WS_E_CHECK, "a wrong CRC alone is told as such");

	memset(content, ' ', sizeof(content));
	is(parse(content, WS_XIDFILE_MAX_BYTES, &file), WS_E_MALFORMED, "spaces");
	is(parse(content, sizeof(content), &file), WS_E_TOO_LARGE, "too large");
	is(parse("", 0, &file), WS_E_MALFORMED, "nothing");
}

int
main(void)
{
	WsXidFile	full = {PG_UINT64_MAX, PG_UINT32_MAX};
	WsXidFile	none = {UINT64CONST(5) << 32 | 2, 1};
	char		content[WS_XIDFILE_MAX_BYTES];
	WsXidFile	again;

	test_roundtrip(&usual, "usual");
	test_roundtrip(&full, "full");
	ok(ws_xidfile_format(&usual, content) == strlen(usual_text) + 9 &&
	   memcmp(content, usual_text, strlen(usual_text)) == 0,
	   "the text is as documented");
	is(parse(content, ws_xidfile_format(&none, content), &again), WS_E_MALFORMED,
	   "an id that no transaction has");
	test_damage();
	return done_testing();
}
