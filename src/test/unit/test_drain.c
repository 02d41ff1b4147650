/*-------------------------------------------------------------------------
 *
 * test_drain.c
 *	  What a standby has to receive before it is promoted, case by case.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/drain.h"
#include "tap.h"

#define MEMBERS		4
#define LINE		4
#define NO_LSN		PG_UINT64_MAX

/* A line is given as its timelines and where each was left. */
typedef struct Line
{
	WsHistoryEntry entries[LINE];
} Line;

typedef struct Member
{
	bool		heard;
	bool		counts;
	XLogRecPtr	end_lsn;
	XLogRecPtr	records_lsn;	/* 0: the same */
	Line		line;
}			Member;

typedef struct Case
{
	const char *what;
	Member		members[MEMBERS];
	int			required;
	bool		fixed_timeline;
	WsDrainPlan expected;
} Case;

#define TLI1		{{{1, 0}}}
#define TLI2(at)	{{{1, at}, {2, 0}}}
#define TLI3(at)	{{{1, at}, {3, 0}}}
#define TLI23(at, at2) {{{1, at}, {2, at2}, {3, 0}}}
#define UNHEARD		{false, true, 0, 0, TLI1}

static const Case cases[] = {
	{"all have the same",
		{{true, true, 100, 0, TLI1}, {true, true, 100, 0, TLI1}},
	2, false, {WS_DRAIN_HAS_ALL, 2, 0, 0, 1, 100}},
	{"a relay has more",
		{{true, false, 100, 0, TLI1}, {true, true, 200, 0, TLI1}, {true, true, 150, 0, TLI1}},
	2, false, {WS_DRAIN_RECEIVE, 2, 1, 0, 1, 200}},
	{"the second relay has more",
		{{true, false, 100, 0, TLI1}, {true, true, 150, 0, TLI1}, {true, true, 200, 0, TLI1}},
	2, false, {WS_DRAIN_RECEIVE, 2, 2, 0, 1, 200}},
	{"the standby has more than all others",
		{{true, true, 300, 0, TLI1}, {true, true, 150, 0, TLI1}, {true, true, 200, 0, TLI1}},
	3, false, {WS_DRAIN_HAS_ALL, 3, 0, 0, 1, 300}},
	{"one was not heard and all are required",
		{{true, false, 100, 0, TLI1}, {true, true, 200, 0, TLI1}, UNHEARD},
	2, false, {WS_DRAIN_UNHEARD, 1, 0, 0, 1, 0}},
	{"one was not heard, one is enough",
		{{true, false, 100, 0, TLI1}, UNHEARD, {true, true, 200, 0, TLI1}},
	1, false, {WS_DRAIN_RECEIVE, 1, 2, 0, 1, 200}},
	{"nobody was heard",
		{{true, false, 100, 0, TLI1}, UNHEARD, UNHEARD},
	1, false, {WS_DRAIN_UNHEARD, 0, 0, 0, 1, 0}},
	{"the standby itself counts",
		{{true, true, 100, 0, TLI1}, {true, true, 200, 0, TLI1}, UNHEARD},
	2, false, {WS_DRAIN_RECEIVE, 2, 1, 0, 1, 200}},
	{"one that does not count has more: it is received",
		{{true, true, 100, 0, TLI1}, {true, false, 200, 0, TLI1}},
	1, false, {WS_DRAIN_RECEIVE, 1, 1, 0, 1, 200}},
	{"one that does not count does not stand in for one that does",
		{{true, false, 100, 0, TLI1}, {true, false, 200, 0, TLI1}},
	1, false, {WS_DRAIN_UNHEARD, 0, 0, 0, 1, 0}},
	{"the newer timeline counts, not the farther position",
		{{true, false, 100, 0, TLI1}, {true, true, 500, 120, TLI1}, {true, true, 200, 0, TLI2(120)}},
	2, false, {WS_DRAIN_RECEIVE, 2, 2, 0, 2, 200}},
	{"what an unheard one says does not count",
		{{true, false, 100, 0, TLI1}, {false, true, 900, 0, TLI2(120)}, {true, true, 200, 0, TLI1}},
	1, false, {WS_DRAIN_RECEIVE, 1, 2, 0, 1, 200}},
	{"a record behind the point where the newer timeline begins",
		{{true, false, 100, 0, TLI1}, {true, true, 500, 0, TLI1}, {true, true, 200, 0, TLI2(120)}},
	2, false, {WS_DRAIN_DIVERGED, 2, 2, 1, 2, 120}},
	{"exactly at that point there is none",
		{{true, false, 120, 0, TLI1}, {true, true, 120, 0, TLI1}, {true, true, 200, 0, TLI2(120)}},
	2, false, {WS_DRAIN_RECEIVE, 2, 2, 0, 2, 200}},
	{"a branch beside the newest line",
		{{true, false, 100, 0, TLI1}, {true, true, 500, 0, TLI2(120)}, {true, true, 200, 0, TLI3(130)}},
	2, false, {WS_DRAIN_DIVERGED, 2, 2, 1, 3, 120}},
	{"two branches that begin at the same point",
		{{true, false, 100, 0, TLI1}, {true, true, 140, 0, TLI2(120)}, {true, true, 200, 0, TLI3(120)}},
	2, false, {WS_DRAIN_DIVERGED, 2, 2, 1, 3, 120}},
	{"two promotions to the same timeline",
		{{true, false, 100, 0, TLI1}, {true, true, 500, 0, TLI2(120)}, {true, true, 200, 0, TLI2(130)}},
	2, false, {WS_DRAIN_DIVERGED, 2, 1, 2, 2, 120}},
	{"an ancestor's ancestor",
		{{true, false, 100, 0, TLI1}, {true, true, 180, 0, TLI2(120)}, {true, true, 200, 0, TLI23(120, 190)}},
	2, false, {WS_DRAIN_RECEIVE, 2, 2, 0, 3, 200}},
	{"nothing in common",
		{{true, false, 100, 0, TLI1}, {true, true, 180, 0, {{{4, 0}}}}},
	1, false, {WS_DRAIN_PAST_FORK, 1, 1, 0, 4, 0}},
	{"the standby has replayed past the fork",
		{{true, false, 150, 0, TLI1}, {true, true, 200, 0, TLI2(120)}},
	1, false, {WS_DRAIN_PAST_FORK, 1, 1, 0, 2, 120}},
	{"the standby has a part of a record past the fork",
		{{true, false, 150, 110, TLI1}, {true, true, 200, 0, TLI2(120)}},
	1, false, {WS_DRAIN_RECEIVE, 1, 1, 0, 2, 200}},
	{"the standby is on the newest timeline, a relay behind",
		{{true, false, 300, 0, TLI2(120)}, {true, true, 110, 0, TLI1}},
	1, false, {WS_DRAIN_HAS_ALL, 1, 0, 0, 2, 300}},
	{"the standby is on the newest timeline, a relay has more of the old one",
		{{true, false, 300, 0, TLI2(120)}, {true, true, 130, 0, TLI1}},
	1, false, {WS_DRAIN_DIVERGED, 1, 0, 1, 2, 120}},
	{"a newer timeline that the standby does not follow",
		{{true, false, 100, 0, TLI1}, {true, true, 200, 0, TLI2(120)}},
	1, true, {WS_DRAIN_OTHER_TARGET, 1, 1, 0, 2, NO_LSN}},
	{"its own timeline is enough for one that follows no other",
		{{true, false, 100, 0, TLI1}, {true, true, 200, 0, TLI1}},
	1, true, {WS_DRAIN_RECEIVE, 1, 1, 0, 1, 200}},
};

static void
run_case(const Case *c)
{
	WsDrainMember members[MEMBERS];
	WsHistory	histories[MEMBERS];
	WsDrainPlan plan;
	int			count = 0;

	for (; count < MEMBERS && c->members[count].line.entries[0].tli != 0; count++)
	{
		const		Member *from = &c->members[count];
		WsHistory  *history = &histories[count];

		history->entries = unconstify(Line *, &from->line)->entries;
		for (history->count = 0; history->count < LINE && history->entries[history->count].tli != 0;)
			history->count++;
		members[count].heard = from->heard;
		members[count].counts = from->counts;
		members[count].tli = history->entries[history->count - 1].tli;
		members[count].end_lsn = from->end_lsn;
		members[count].records_lsn = from->records_lsn != 0 ? from->records_lsn : from->end_lsn;
		members[count].history = history;
	}

	ws_drain_decide(members, count, c->required, !c->fixed_timeline, &plan);
	is(plan.verdict, c->expected.verdict, "%s: the verdict", c->what);
	is(plan.heard, c->expected.heard, "%s: how many were heard", c->what);
	is(plan.source, c->expected.source, "%s: from whom", c->what);
	is(plan.other, c->expected.other, "%s: who is in the way", c->what);
	is(plan.tli, c->expected.tli, "%s: the timeline", c->what);
	if (c->expected.lsn != NO_LSN)
		is((long long) plan.lsn, (long long) c->expected.lsn, "%s: the position", c->what);
}

/* Print the items of a list, each in brackets, or "!" if it is malformed. */
static void
list_is(const char *list, const char *expected)
{
	char text[	100];
	char		got[200] = "";
	char	   *cursor = text;
	char	   *item;
	WsStatus	status;

	strcpy(text, list);
	while ((item = ws_drain_next_item(&cursor, &status)) != NULL)
		sprintf(got + strlen(got), "[%s]", item);
	if (status != WS_OK)
		strcat(got, "!");
	is_str(got, expected, "the items of <%s>", list);
}

static void
test_lists(void)
{
	list_is("", "");
	list_is(" \t", "");
	list_is("a", "[a]");
	list_is("a,b", "[a][b]");
	list_is(" host=a port=1 , host=b ", "[host=a port=1][host=b]");
	list_is("\"host=a,b\", c", "[host=a,b][c]");
	list_is("\"a \"\"b\"\"\" ,c", "[a \"b\"][c]");
	list_is("a,", "!");
	list_is("a,,b", "[a]!");
	list_is(",a", "!");
	list_is("\"a", "!");
	list_is("\"a\"b", "!");
	list_is("a \"b\"", "!");
	list_is("\"\"", "!");
	list_is("a, \"\"\"", "[a]!");
}

int
main(void)
{
	for (size_t i = 0; i < lengthof(cases); i++)
		run_case(&cases[i]);
	test_lists();
	return done_testing();
}
