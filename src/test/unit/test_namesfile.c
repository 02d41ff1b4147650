/*-------------------------------------------------------------------------
 *
 * test_namesfile.c
 *	  The file with the primary's lists of synchronous standbys: written, read
 *	  back, and damaged.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/namesfile.h"
#include "tap.h"
#include "textfile.h"

static WsNamesFile parsed;

static size_t
format(const void *file, char *buf)
{
	return ws_namesfile_format(file, buf);
}

static WsStatus
parse(const char *text, size_t len)
{
	return ws_namesfile_parse(text, len, &parsed);
}

static bool
was_parsed(const void *file)
{
	return memcmp(file, &parsed, sizeof(parsed)) == 0;
}

static const TextFile type = {
	"crc ", WS_NAMESFILE_MAX_BYTES - 1, WS_E_MALFORMED, format, parse, was_parsed
};

#define FIRST_LINE "walstream standby names 1\n"

/* Written by hand, not by the code under test. */
static const char usual_text[] =
FIRST_LINE
"seen 849373200000000 849373260000000 1 =\n"
"seen 849373320000000 849373320000000 2 =ANY 1 (relay, \\xc3\\xa4\\x5c\\x0a)\n";

static void
make_usual(WsNamesFile *file)
{
	ok(ws_namesfile_add(file, INT64CONST(849373200000000), 1, ""), "the first list is new");
	ok(!ws_namesfile_add(file, INT64CONST(849373260000000), 1, ""), "the same list is not");
	ok(ws_namesfile_add(file, INT64CONST(849373320000000), 2, "ANY 1 (relay, \xc3\xa4\\\n)"),
	   "another list is");
	is(file->count, 2, "two are kept");
}

static void
test_add(void)
{
	static WsNamesFile file;

	(void) ws_namesfile_add(&file, 1, 1, "a");
	ok(ws_namesfile_add(&file, 2, 2, "a"), "the same list of another timeline is new");
	ok(ws_namesfile_add(&file, 3, 1, "a"), "and so is the first list after that one");
	is(file.count, 3, "all are kept");
}

/*
 * The oldest list is dropped; names have the maximal length and need escaping.
 */
static void
test_full(void)
{
	static WsNamesFile file;
	char		names[WS_NAMES_SIZE];

	memset(names, '\\', sizeof(names));
	names[WS_NAMES_SIZE - 1] = '\0';
	for (int i = 0; i < WS_NAMES_MAX_ENTRIES + 3; i++)
		ok(ws_namesfile_add(&file, PG_INT64_MIN + i, PG_UINT32_MAX - i, names),
		   "list %d, of a different timeline", i);
	is(file.count, WS_NAMES_MAX_ENTRIES, "only the maximum is kept");
	ok(file.entries[0].first_us == PG_INT64_MIN + 3, "the oldest are dropped");
	test_roundtrip(&type, &file, "full");
}

static void
test_lines(void)
{
	static const char *const malformed[] = {
		"seen 1 2 3 =a\\", "seen 1 2 3 =a\\x", "seen 1 2 3 =a\\x4", "seen 1 2 3 =a\\xzz",
		"seen 1 2 3 =a\\y0a", "seen 1 2 3 =a\\x00", "seen 1 2 3 =a\\x0A",
		"seen 1 2 3 =a\\x61", "seen 1 2 3 =\t", "seen  1 2 3 =a", "seen 1 2 03 =a",
		"seen 1 2 3=a", "seen 1 2 3 a", "seen 1 2 =a", "seen 1 2 -3 =a", "seen 1 2 0 =a",
		"seen 1 2 4294967297 =a", "seen 99999999999999999999 2 3 =a", "seen", ""
	};
	char text[	2 * WS_NAMES_SIZE];
	int			len;

	test_parse(&type, FIRST_LINE "seen 1 2 3 =a\n", WS_OK, "a line");
	test_parse(&type, FIRST_LINE "seen 1 2 3 =a\\x0a\n", WS_OK, "a line with an escaped byte");
	for (size_t i = 0; i < lengthof(malformed); i++)
	{
		sprintf(text, FIRST_LINE "%s\n", malformed[i]);
		test_parse(&type, text, WS_E_MALFORMED, malformed[i]);
	}
	test_parse(&type, FIRST_LINE "seen 1 2 3 =a", WS_E_MALFORMED, "a line without an end");

	len = sprintf(text, FIRST_LINE "seen 1 2 3 =");
	memset(text +len, 'a', WS_NAMES_SIZE);
	strcpy(text +len + WS_NAMES_SIZE - 1, "\n");
	test_parse(&type, text, WS_OK, "the longest list");
	strcpy(text +len + WS_NAMES_SIZE - 1, "a\n");
	test_parse(&type, text, WS_E_MALFORMED, "a list that is too long by a byte");

	strcpy(text, FIRST_LINE);
	for (int i = 0; i < WS_NAMES_MAX_ENTRIES; i++)
		strcat(text, "seen 1 2 3 =a\n");
	test_parse(&type, text, WS_OK, "as many lines as there can be");
	strcat(text, "seen 1 2 3 =a\n");
	test_parse(&type, text, WS_E_MALFORMED, "one line more");
}

int
main(void)
{
	static WsNamesFile usual;
	static WsNamesFile none;

	make_usual(&usual);
	test_roundtrip(&type, &usual, "usual");
	test_roundtrip(&type, &none, "none");
	test_text(&type, &usual, usual_text, "the text is as documented");
	test_damage(&type, &usual);
	test_add();
	test_full();
	test_lines();
	return done_testing();
}
