/*-------------------------------------------------------------------------
 *
 * test_history.c
 *	  Timeline history files: those that PostgreSQL writes, and invalid ones.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/history.h"
#include "tap.h"

static WsHistoryEntry entries[WS_HISTORY_MAX_ENTRIES + 1];
static WsHistory history = {.entries = entries};

/*
 * Parse from memory of exactly this size, so that reading beyond it is
 * noticed.
 */
static WsStatus
parse_bytes(TimeLineID tli, const char *content, size_t len, int *line)
{
	char	   *copy = malloc(Max(len, 1));
	WsStatus	status;

	memcpy(copy, content, len);
	memset(entries, 0xee, sizeof(entries));
	status = ws_history_parse(tli, copy, len, &history, line);
	free(copy);
	return status;
}

static WsStatus
parse(TimeLineID tli, const char *content, int *line)
{
	return parse_bytes(tli, content, strlen(content), line);
}

static void
refuses(TimeLineID tli, const char *content, int expected_line, const char *what)
{
	int			line;

	is(parse(tli, content, &line), WS_E_MALFORMED, "%s is refused", what);
	is(line, expected_line, "in line %d", expected_line);
}

static void
accepts(TimeLineID tli, const char *content, int expected_count, const char *what)
{
	int			line;

	is(parse(tli, content, &line), WS_OK, "%s is read", what);
	is(history.count, expected_count, "with so many timelines");
	ok(history.entries[history.count - 1].tli == tli &&
	   history.entries[history.count - 1].end_lsn == InvalidXLogRecPtr,
	   "of which the last is its own");
}

static void
test_find(void)
{
	XLogRecPtr	end_lsn;
	TimeLineID	next_tli;

	accepts(7, "1\t0/3000148\tno recovery target specified\n\n"
			"2\t0/5000098\tbefore transaction 740\n\n"
			"5\t1A/FFFFFFFF\treason\n", 4, "what PostgreSQL writes");

	ok(ws_history_find(&history, 1, &end_lsn, &next_tli), "timeline 1 is in it");
	is(end_lsn, 0x3000148, "with its end");
	is(next_tli, 2, "and the next one");
	ok(ws_history_find(&history, 5, &end_lsn, &next_tli), "timeline 5 is in it");
	is(end_lsn, UINT64CONST(0x1AFFFFFFFF), "with its end");
	is(next_tli, 7, "and the next one");
	ok(ws_history_find(&history, 7, &end_lsn, &next_tli), "timeline 7 is in it");
	is(end_lsn, InvalidXLogRecPtr, "without an end");
	is(next_tli, 0, "nor a next one");
	ok(!ws_history_find(&history, 3, &end_lsn, &next_tli), "timeline 3 is not");
	ok(!ws_history_find(&history, 0, &end_lsn, &next_tli), "nor timeline 0");
	ok(!ws_history_find(&history, 8, &end_lsn, &next_tli), "nor timeline 8");

	is(ws_history_tli_at(&history, 1), 1, "the first position is of timeline 1");
	is(ws_history_tli_at(&history, 0x3000147), 1, "so is the last one before its end");
	is(ws_history_tli_at(&history, 0x3000148), 2, "timeline 2 goes on from there");
	is(ws_history_tli_at(&history, UINT64CONST(0x1AFFFFFFFF)), 7, "and timeline 7 to the end");
}

/* What PostgreSQL writes after a recovery to a point on an older timeline. */
static void
test_left_early(void)
{
	XLogRecPtr	end_lsn;
	TimeLineID	next_tli;

	accepts(3, "1\t0/5000000\n2\t0/3000148\n", 2, "a timeline that was left before it began");
	ok(!ws_history_find(&history, 2, &end_lsn, &next_tli), "it is not on the way");
	ok(ws_history_find(&history, 1, &end_lsn, &next_tli), "the one before it is");
	is(end_lsn, 0x3000148, "and was left there");
	is(next_tli, 3, "for the one after it");

	accepts(9, "1\t0/1000000\n2\t0/4000000\n4\t0/5000000\n7\t0/3000148\n8\t0/6000000\n", 4, "two of them, with others around");
	ok(ws_history_find(&history, 1, &end_lsn, &next_tli), "the first one is in it");
	is(end_lsn, 0x1000000, "with its own end");
	is(next_tli, 2, "and the next one");
	ok(ws_history_find(&history, 2, &end_lsn, &next_tli), "that too");
	is(end_lsn, 0x3000148, "left earlier");
	is(next_tli, 8, "for the one that follows");
	ok(ws_history_find(&history, 8, &end_lsn, &next_tli), "which is in it");
	is(end_lsn, 0x6000000, "with its own end");

	accepts(4, "1\t0/5000000\n2\t0/6000000\n3\t0/3000148\n", 2, "before all that came after the first");
	accepts(4, "1\t0/3000148\n2\t0/5000000\n3\t0/3000148\n", 3, "where another one began");
	ok(ws_history_find(&history, 2, &end_lsn, &next_tli), "which has no WAL of its own");
	is(end_lsn, 0x3000148, "and is left there");
}

static void
test_accepted(void)
{
	accepts(1, "", 1, "timeline 1 without a file");
	accepts(3, "", 1, "an empty file");
	accepts(3, "# all gone\n\n \t \n", 1, "nothing but comments and blanks");
	accepts(2, "1\t0/3000148", 2, "a last line without its end");
	accepts(2, "1\t0/3000148\r\n", 2, "a line end of another system");
	accepts(2, "  1 0/3000148 x # y\n", 2, "other white space");
	accepts(2, "1\t0/ab\n", 2, "small letters");
	accepts(3, "1\t0/3000148\tx\n2\t0/3000148\ty\n", 3, "a timeline without WAL of its own");
	accepts(PG_UINT32_MAX, "4294967294\tFFFFFFFF/FFFFFFFF\n", 2, "the largest numbers");
	accepts(4294967295U, "000000001\t00000000000/000000001\n", 2, "leading zeros");
}

static void
test_refused(void)
{
	int			line;

	is(parse(0, "", &line), WS_E_MALFORMED, "there is no timeline 0");
	refuses(1, "1\t0/3000148\n", 0, "a history of timeline 1");
	refuses(2, "one\t0/3000148\n", 1, "a timeline that is no number");
	refuses(2, "#\n\n0\t0/3000148\n", 3, "timeline 0");
	refuses(2, "-1\t0/3000148\n", 1, "a negative timeline");
	refuses(2, "4294967297\t0/3000148\n", 1, "a timeline of more than 32 bits");
	refuses(2, "1\n", 1, "a line without position");
	refuses(2, "1\t\n", 1, "a line with blanks for a position");
	refuses(2, "10/3000148\n", 1, "a line without white space");
	refuses(2, "1\t0\n", 1, "half a position");
	refuses(2, "1\t0/\n", 1, "a position without its end");
	refuses(2, "1\t/3000148\n", 1, "a position without its begin");
	refuses(2, "1\t0/0\n", 1, "position zero");
	refuses(2, "1\t0/100000000\n", 1, "a position of more than 64 bits");
	refuses(2, "1\t0/3000148x\n", 1, "a position with something behind it");
	refuses(2, "2\t0/3000148\n", 1, "a timeline as its own ancestor");
	refuses(2, "3\t0/3000148\n", 1, "a younger ancestor");
	refuses(4, "2\t0/3000148\n\n1\t0/4000000\n", 3, "timelines that fall");
	refuses(4, "1\t0/3000148\n1\t0/4000000\n", 2, "timelines that repeat");

	is(parse_bytes(2, "1\t0/30\0\n", 8, &line), WS_E_MALFORMED, "a zero byte");
	is(parse_bytes(2, "#\0\n", 3, &line), WS_E_MALFORMED, "even in a comment");
}

static void
test_bounds(void)
{
	char	   *content = malloc(WS_HISTORY_MAX_BYTES + 1);
	size_t		len = 0;
	int			line;

	for (int i = 1; i <= WS_HISTORY_MAX_ENTRIES; i++)
		len += sprintf(content + len, "%d\t0/%X\n", i, i);
	is(parse_bytes(100000, content, len, &line), WS_OK, "as many timelines as allowed");
	is(history.count, WS_HISTORY_MAX_ENTRIES + 1, "are all there");
	len += sprintf(content + len, "90000\t1/0\n");
	is(parse_bytes(100000, content, len, &line), WS_E_TOO_LARGE, "one more is refused");
	is(line, WS_HISTORY_MAX_ENTRIES + 1, "in its line");

	memset(content, ' ', WS_HISTORY_MAX_BYTES + 1);
	is(parse_bytes(2, content, WS_HISTORY_MAX_BYTES, &line), WS_OK,
	   "as many bytes as allowed");
	is(parse_bytes(2, content, WS_HISTORY_MAX_BYTES + 1, &line), WS_E_TOO_LARGE,
	   "one more is refused");
	free(content);
}

/* How many timelines two lines share, reached in the same way. */
static void
shares(const char *content, TimeLineID tli, const char *other_content,
	   TimeLineID other_tli, int expected, const char *what)
{
	WsHistoryEntry other_entries[WS_HISTORY_MAX_ENTRIES + 1];
	WsHistory	other = {.entries = other_entries};
	int			line;
	int			shared = 0;

	if (ws_history_parse(other_tli, other_content, strlen(other_content),
						 &other, &line) != WS_OK ||
		parse(tli, content, &line) != WS_OK)
		abort();
	while (ws_history_is_shared(&history, &other, shared))
		shared++;
	is(shared, expected, "%s: %d are shared", what, expected);
	ok(!ws_history_is_shared(&history, &other, Max(history.count, other.count)),
	   "and none behind the end");
	for (int i = 0; i <= Max(history.count, other.count); i++)
	{
		if (ws_history_is_shared(&history, &other, i) !=
			ws_history_is_shared(&other, &history, i))
			ok(false, "whichever is the first, %d", i);
	}
}

static void
test_shared(void)
{
	shares("", 1, "", 1, 1, "the first timeline");
	shares("", 1, "1\t0/3000148\n", 2, 1, "one that goes on");
	shares("1\t0/3000148\n2\t0/4000000\n", 3, "1\t0/3000148\n2\t0/5000000\n", 3, 2,
		   "a second one that was left elsewhere");
	shares("1\t0/3000148\n2\t0/4000000\n", 3, "1\t0/3000150\n2\t0/4000000\n", 3, 1,
		   "a first one that was left elsewhere");
	shares("1\t0/3000148\n", 2, "1\t0/3000148\n", 3, 1, "others after the first");
	shares("1\t0/3000148\n", 3, "2\t0/3000148\n", 3, 0, "another first");
}

int
main(void)
{
	test_find();
	test_shared();
	test_left_early();
	test_accepted();
	test_refused();
	test_bounds();
	return done_testing();
}
