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

#include "pure/codec/crc.h"
#include "pure/relay/namesfile.h"
#include "tap.h"

/* Written by hand, not by the code under test. */
static const char usual_text[] =
"walstream standby names 1\n"
"seen 849373200000000 849373260000000 1 =\n"
"seen 849373320000000 849373320000000 2 =ANY 1 (relay, \\xc3\\xa4\\x5c\\x0a)\n"
"crc ";

static char content[WS_NAMESFILE_MAX_BYTES];

/*
 * Parse from memory of exactly len bytes, so that reading beyond it is
 * noticed.
 */
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
test_add(void)
{
	static WsNamesFile file;

	(void) ws_namesfile_add(&file, 1, 1, "a");
	ok(ws_namesfile_add(&file, 2, 2, "a"), "the same list of another timeline is news");
	ok(ws_namesfile_add(&file, 3, 1, "a"), "and so is the first one after it");
	is(file.count, 3, "all are kept");
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

/* Every flipped bit, and every missing or additional byte, is noticed. */
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

/*
 * The oldest list is dropped; names have the maximal length and need escaping.
 */
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

/*
 * Parse a file with these lines and the right CRC: it can only be refused
 * because of its text.
 */
static WsStatus
parse_lines(const char *lines)
{
	static WsNamesFile file;
	static char text[WS_NAMESFILE_MAX_BYTES];
	int			len = sprintf(text, "walstream standby names 1\n%s", lines);
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	crc = ws_crc_add(crc, (const uint8 *) text, len);
	FIN_CRC32C(crc);
	len += sprintf(text +len, "crc %08x\n", crc);
	return parse(text, len, &file);
}

static void
test_lines(void)
{
	static const char *const unsound[] = {
		"seen 1 2 3 =a\\", "seen 1 2 3 =a\\x", "seen 1 2 3 =a\\x4", "seen 1 2 3 =a\\xzz",
		"seen 1 2 3 =a\\y0a", "seen 1 2 3 =a\\x00", "seen 1 2 3 =a\\x0A",
		"seen 1 2 3 =a\\x61", "seen 1 2 3 =\t", "seen  1 2 3 =a", "seen 1 2 03 =a",
		"seen 1 2 3=a", "seen 1 2 3 a", "seen 1 2 =a", "seen 1 2 -3 =a",
		"seen 1 2 4294967297 =a", "seen 99999999999999999999 2 3 =a", "seen", ""
	};
	char		lines[2 * WS_NAMES_SIZE];
	int			len;

	is(parse_lines("seen 1 2 3 =a\n"), WS_OK, "a line");
	is(parse_lines("seen 1 2 3 =a\\x0a\n"), WS_OK, "a line with an escaped byte");
	for (size_t i = 0; i < lengthof(unsound); i++)
	{
		sprintf(lines, "%s\n", unsound[i]);
		is(parse_lines(lines), WS_E_MALFORMED, "unsound line %zu", i);
	}
	is(parse_lines("seen 1 2 3 =a"), WS_E_MALFORMED, "a line without an end");

	len = sprintf(lines, "seen 1 2 3 =");
	memset(lines + len, 'a', WS_NAMES_SIZE);
	strcpy(lines + len + WS_NAMES_SIZE - 1, "\n");
	is(parse_lines(lines), WS_OK, "the longest list");
	strcpy(lines + len + WS_NAMES_SIZE - 1, "a\n");
	is(parse_lines(lines), WS_E_MALFORMED, "a byte more");

	lines[0] = '\0';
	for (int i = 0; i < WS_NAMES_MAX_ENTRIES; i++)
		strcat(lines, "seen 1 2 3 =a\n");
	is(parse_lines(lines), WS_OK, "as many lines as there can be");
	strcat(lines, "seen 1 2 3 =a\n");
	is(parse_lines(lines), WS_E_MALFORMED, "a line more");
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
	test_add();
	test_damage(&usual);
	test_full();
	test_lines();
	test_unsound();
	return done_testing();
}
