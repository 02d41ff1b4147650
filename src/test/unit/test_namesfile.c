/*-------------------------------------------------------------------------
 *
 * test_namesfile.c
 *	  The file with the primary's synchronous standbys: written, read back, and
 *	  damaged.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/namesfile.h"
#include "tap.h"

/* Written by hand, not by the code under test. */
static const char usual_text[] =
"walstream standby names 1\n"
"seen 849373200000000 849373260000000 1 =\n"
"seen 849373320000000 849373320000000 2 =ANY 1 (relay, \\xc3\\xa4\\x5c\\x0a)\n"
"crc ";

static char content[WS_NAMESFILE_MAX_BYTES];

/* Parse from memory of exactly len bytes, so that reading on is noticed. */
static WsStatus
parse(const char *text, size_t len, WsNamesFile *file)
{
	char	   *copy = malloc(len + (len == 0));
	WsStatus	status;

	if (copy == NULL)
		abort();
	memcpy(copy, text, len);
	status = ws_namesfile_parse(copy, len, file);
	free(copy);
	return status;
}

static void
make_usual(WsNamesFile *file)
{
	memset(file, 0, sizeof(*file));
	ok(ws_namesfile_add(file, INT64CONST(849373200000000), 1, ""), "the first list is news");
	ok(!ws_namesfile_add(file, INT64CONST(849373260000000), 1, ""), "the same one is not");
	ok(ws_namesfile_add(file, INT64CONST(849373320000000), 2, "ANY 1 (relay, \xc3\xa4\\\n)"),
	   "another one is");
	is(file->count, 2, "two are kept");
}

static void
test_roundtrip(const WsNamesFile *file, const char *what)
{
	static WsNamesFile again;
	size_t		len = ws_namesfile_format(file, content);

	ok(len < WS_NAMESFILE_MAX_BYTES, "%s: fits", what);
	is(parse(content, len, &again), WS_OK, "%s: is read", what);
	ok(memcmp(file, &again, sizeof(again)) == 0, "%s: and is the same", what);
}

/* No single bit can change, and no byte can be missing or added. */
static void
test_damage(const WsNamesFile *usual)
{
	static WsNamesFile file;
	size_t		len = ws_namesfile_format(usual, content);
	int			accepted = 0;

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
	ok(parse(content, len + 1, &file) != WS_OK, "nor one with a byte more");
	content[len - 2] ^= 1;
	is(parse(content, len, &file), WS_E_CHECK, "a wrong CRC alone is told as such");
}

/* The oldest goes; names are as long as they may be, and all to be escaped. */
static void
test_full(void)
{
	static WsNamesFile file;
	char		names[WS_NAMES_SIZE];

	memset(&file, 0, sizeof(file));
	memset(names, '\\', sizeof(names));
	names[WS_NAMES_SIZE - 1] = '\0';
	for (int i = 0; i < WS_NAMES_MAX_ENTRIES + 3; i++)
		ok(ws_namesfile_add(&file, PG_INT64_MIN + i, PG_UINT32_MAX - i, names),
		   "list %d of a timeline of its own", i);
	is(file.count, WS_NAMES_MAX_ENTRIES, "no more are kept");
	ok(file.entries[0].first_us == PG_INT64_MIN + 3, "the oldest have gone");
	test_roundtrip(&file, "full");
}

static void
test_unsound(void)
{
	static WsNamesFile file;
	static char large[WS_NAMESFILE_MAX_BYTES];

	is(parse("", 0, &file), WS_E_MALFORMED, "nothing");
	memset(large, ' ', sizeof(large));
	is(parse(large, 100, &file), WS_E_MALFORMED, "spaces");
	is(parse(large, sizeof(large), &file), WS_E_TOO_LARGE, "too large");

	memset(&file, 0, sizeof(file));
	(void) ws_namesfile_add(&file, 1, 0, "a");
	is(parse(content, ws_namesfile_format(&file, content), &file), WS_E_MALFORMED,
	   "timeline 0");
}

int
main(void)
{
	static WsNamesFile usual;
	static WsNamesFile none;

	make_usual(&usual);
	ok(ws_namesfile_format(&usual, content) == strlen(usual_text) + 9 &&
	   memcmp(content, usual_text, strlen(usual_text)) == 0,
	   "the text is as documented");
	test_roundtrip(&usual, "usual");
	test_roundtrip(&none, "none");
	test_damage(&usual);
	test_full();
	test_unsound();
	return done_testing();
}
