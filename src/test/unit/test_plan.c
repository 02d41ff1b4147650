/*-------------------------------------------------------------------------
 *
 * test_plan.c
 *	  Where a relay continues with its upstream: a table of cases.
 *
 * Segments are of 1 MB; positions are hexadecimal.  A history is written as
 * "1 300100, 2": timeline 1, left at 0/300100 for timeline 2.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "plans.h"
#include "pure/relay/plan.h"
#include "tap.h"

#define MAX_STORED	6
#define MAX_ENTRIES 8

typedef struct Case
{
	const char *what;

	/* ours; stored.tli 0: as served; served.tli 0: nothing */
	WsPlanPoint served;
	WsPlanPoint stored;
	const char *store[MAX_STORED];	/* histories, each behind "first: ", where
									 * its WAL begins, or "none: " */

	/* theirs */
	const char *theirs;
	XLogRecPtr	at;
	bool		is_standby;
	bool		was_compared;
	bool		earlier_is_gone;
	XLogRecPtr	slot_lsn;
	bool		slot_is_new;

	bool		follow;
	bool		restart;
	WsPlanPoint approved;
	XLogRecPtr	approved_record_lsn;

	/* answers */
	XLogRecPtr	record_lsn;		/* 0: no record in excess */
	XLogRecPtr	commit_lsn;
	bool		has_segment;
	bool		has_page;
	bool		was_removed;

	const char *asked;			/* questions by their first letters, in order */
	const char *expected;
} Case;

static WsHistoryEntry entries[MAX_STORED + 1][MAX_ENTRIES];
static WsHistory histories[MAX_STORED + 1];
static WsPlanTimeline timelines[MAX_STORED];

/* "1 300100, 2" */
static const WsHistory *
read_history(int i, const char *text)
{
	WsHistory  *history = &histories[i];

	history->entries = entries[i];
	history->count = 0;
	for (;;)
	{
		WsHistoryEntry *entry = &history->entries[history->count++];
		char	   *end;

		entry->tli = strtoul(text, &end, 10);
		entry->end_lsn = strtoul(end, &end, 16);
		if (*end != ',')
			return history;
		text = end + 1;
	}
}

static void
read_store(const Case *c, WsPlanInput *input)
{
	memset(timelines, 0, sizeof(timelines));
	input->timelines = timelines;
	for (int i = 0; i < MAX_STORED && c->store[i] != NULL; i++)
	{
		const WsHistory *history = read_history(i + 1, strchr(c->store[i], ':') + 1);

		timelines[i].tli = history->entries[history->count - 1].tli;
		timelines[i].history = history;
		input->timeline_count++;
	}
}

static void
answer(const Case *c, const WsPlan *plan, WsPlanInput *input)
{
	switch (plan->need)
	{
		case WS_PLAN_NEED_HISTORY:
			input->upstream_history = read_history(0, c->theirs);
			break;
		case WS_PLAN_NEED_FIRST:
			for (int i = 0; i < input->timeline_count; i++)
			{
				if (timelines[i].tli != plan->point.tli)
					continue;
				timelines[i].first_is_known = true;
				timelines[i].first_lsn = c->store[i][0] == 'n' ? 0 : strtoul(c->store[i], NULL, 16);
			}
			break;
		case WS_PLAN_NEED_SURPLUS:
			input->surplus_is_known = true;
			input->surplus_has_record = c->record_lsn != 0;
			input->surplus_record_lsn = c->record_lsn;
			input->surplus_commit_lsn = c->commit_lsn;
			break;
		case WS_PLAN_NEED_SEGMENT:
			input->segment_is_known = true;
			input->segment_is_there = c->has_segment;
			break;
		case WS_PLAN_NEED_PAGE:
			input->page_is_known = true;
			input->page_is_there = c->has_page;
			break;
		default:
			break;
	}
}

static void
read_input(const Case *c, WsPlanInput *input)
{
	memset(input, 0, sizeof(*input));
	input->segment_size = 0x100000;
	input->page_size = 0x2000;
	input->has_wal = c->served.tli != 0;
	input->served = c->served;
	input->stored = c->stored.tli != 0 ? c->stored : c->served;
	read_store(c, input);
	if (c->theirs != NULL)
		input->upstream_tli = strtoul(strrchr(c->theirs, ' ') != NULL ?
									  strrchr(c->theirs, ' ') : c->theirs, NULL, 10);
	input->upstream_lsn = c->at;
	input->upstream_is_primary = !c->is_standby;
	input->was_compared = c->was_compared;
	input->earlier_is_gone = c->earlier_is_gone;
	input->slot_lsn = c->slot_lsn;
	input->slot_is_new = c->slot_is_new;
	input->follow_allowed = c->follow;
	input->restart_allowed = c->restart;
	input->approved = c->approved;
	input->approved_record_lsn = c->approved_record_lsn;
	input->was_removed = c->was_removed;
}

/* Answer the plan's questions until there is a verdict. */
static void
try_case(const Case *c)
{
	char		asked[16] = "";
	char text[	1024];
	WsPlanInput input;
	WsPlan		plan;

	read_input(c, &input);
	for (int i = 0;; i++)
	{
		ws_plan_make(&input, &plan);
		if (plan.verdict != WS_PLAN_NEED || i >= (int) sizeof(asked) - 1)
			break;
		asked[i] = "-hfrsp"[plan.need];
		asked[i + 1] = '\0';
		answer(c, &plan, &input);
	}
	plan_text(&input, &plan, text, sizeof(text));
	is_str(text, c->expected, "%s", c->what);
	if (c->asked != NULL)
		is_str(asked, c->asked, "%s: what is asked for", c->what);
}

#define ON_1	.served = {1, 0x300100},.store = {"100000: 1"}
#define ON_2	.served = {2, 0x480200},.store = {"100000: 1", "100000: 1 300100, 2"}

static const Case same_timeline[] = {
	{"behind by a little", ON_1,.theirs = "1",.at = 0x380000,.asked = "h",
	.expected = "continue on 1 from 300000, compare to 300100"},
	{"at the same position", ON_1,.theirs = "1",.at = 0x300100,
	.expected = "continue on 1 from 300000, compare to 300100"},
	{"a standby with less", ON_1,.theirs = "1",.at = 0x300080,.is_standby = true,
	.expected = "continue on 1 from 300000, compare to 300100"},
	{"a standby at the segment's start", ON_1,.theirs = "1",.at = 0x300000,.is_standby = true,
	.expected = "continue on 1 from 300000, compare to 300100"},
	{"a standby before the segment", ON_1,.theirs = "1",.at = 0x2fffff,.is_standby = true,
	.expected = "behind: before the segment: theirs 1 2fffff, ours 1 300100"},
	{"a primary with less", ON_1,.theirs = "1",.at = 0x3000ff,
	.expected = "behind: put back: theirs 1 3000ff, ours 1 300100"},
	{"a primary before the segment", ON_1,.theirs = "1",.at = 0x200000,
	.expected = "behind: before the segment: theirs 1 200000, ours 1 300100"},
	{"an upstream on an older timeline", ON_2,.theirs = "1",.at = 0x500000,.asked = "",
	.expected = "behind: older timeline: theirs 1, ours 2"},
	{"to follow does not help then", ON_2,.theirs = "1",.at = 0x500000,.follow = true,
	.expected = "behind: older timeline: theirs 1, ours 2"},
	{"a slot that is late", ON_1,.theirs = "1",.at = 0x500000,.slot_lsn = 0x400000,
	.expected = "continue on 1 from 300000, compare to 300100; the slot is late for 300000"},
	{"a slot in the same segment", ON_1,.theirs = "1",.at = 0x500000,.slot_lsn = 0x3fffff,
	.expected = "continue on 1 from 300000, compare to 300100"},
	{"an upstream that left the timeline later", ON_1,.theirs = "1 400000, 2",.at = 0x500000,
	.expected = "continue on 1 from 300000, compare to 300100, left at 400000"},
	{"which has little of the new one", ON_1,.theirs = "1 400000, 2",.at = 0x2fffff,.is_standby = true,
	.expected = "continue on 1 from 300000, compare to 300100, left at 400000"},
	{"the second timeline", ON_2,.theirs = "1 300100, 2",.at = 0x500000,
	.expected = "continue on 2 from 400000, compare to 480200"},
	{"an ancestor of which there is no history here",
		.served = {3, 0x480200},.store = {"100000: 1", "400000: 1 200100, 2 300100, 3"},
		.theirs = "1 200100, 2 300100, 3",.at = 0x500000,
	.expected = "continue on 3 from 400000, compare to 480200"},
};

static const Case compared_part[] = {
	{"at a segment's end, that segment is stored",
		.served = {1, 0x300000},.store = {"100000: 1"},.theirs = "1",.at = 0x380000,
		.has_segment = true,.asked = "hs",
	.expected = "continue on 1 from 200000, tell from 300000, compare to 300000, check from 300000"},
	{"at a segment's end, that segment is not stored",
		.served = {1, 0x300000},.store = {"100000: 1"},.theirs = "1",.at = 0x380000,
		.asked = "hs",
	.expected = "continue on 1 from 300000, compare to 300000, check from 300000"},
	{"at a segment's end, the upstream has it no longer",
		.served = {1, 0x300000},.store = {"100000: 1"},.theirs = "1",.at = 0x380000,
		.earlier_is_gone = true,.asked = "h",
	.expected = "continue on 1 from 300000, compare to 300000, check from 300000"},
	{"before the first segment there is none",
		.served = {1, 0x100000},.store = {"100000: 1"},.theirs = "1",.at = 0x380000,
		.asked = "h",
	.expected = "continue on 1 from 100000, compare to 100000, check from 100000"},
	{"a slot is late only for what is missing",
		.served = {1, 0x300000},.store = {"100000: 1"},.theirs = "1",.at = 0x380000,
		.has_segment = true,.slot_lsn = 0x310000,
	.expected = "continue on 1 from 200000, tell from 300000, compare to 300000, check from 300000"},
	{"compared before: the last of it",
		.served = {1, 0x380100},.store = {"100000: 1"},.theirs = "1",.at = 0x380100,
		.was_compared = true,.has_page = true,.asked = "hp",
	.expected = "continue on 1 from 340000, compare to 380100"},
	{"compared before: zeros say nothing",
		.served = {1, 0x380100},.store = {"100000: 1"},.theirs = "1",.at = 0x380100,
		.was_compared = true,.asked = "hp",
	.expected = "continue on 1 from 300000, compare to 380100"},
	{"compared before: that is not much less",
		.served = {1, 0x342000},.store = {"100000: 1"},.theirs = "1",.at = 0x380100,
		.was_compared = true,.asked = "h",
	.expected = "continue on 1 from 300000, compare to 342000"},
	{"compared before: an upstream that has less now",
		.served = {1, 0x380100},.store = {"100000: 1"},.theirs = "1",.at = 0x380000,
		.is_standby = true,.was_compared = true,.asked = "h",
	.expected = "continue on 1 from 300000, compare to 380100"},
	{"compared before: at a segment's end",
		.served = {1, 0x400000},.store = {"100000: 1"},.theirs = "1",.at = 0x480000,
		.was_compared = true,.has_segment = true,
	.expected = "continue on 1 from 300000, tell from 400000, compare to 400000, check from 400000"},
	{"compared before: not on a new timeline",
		.served = {1, 0x380100},.store = {"100000: 1"},.theirs = "1 380100, 2",.at = 0x380200,
		.was_compared = true,.has_page = true,
	.expected = "follow to 2 from 300000, parent 1 to 380100, check from 380100"},
	{"a timeline of which less is stored than up to its beginning",
		.served = {2, 0x380100},.store = {"100000: 1", "100000: 1 380200, 2"},
		.theirs = "1 380200, 2",.at = 0x400000,
	.expected = "continue on 2 from 300000, compare to 380100, check from 380100"},
};

static const Case next_timeline[] = {
	{"the end of the timeline", ON_1,.theirs = "1 300100, 2",.at = 0x380000,.asked = "hf",
	.expected = "follow to 2 from 300000, parent 1 to 300100, check from 300100"},
	{"which is a segment's end",.served = {1, 0x300000},.store = {"100000: 1"},
	.theirs = "1 300000, 2",.at = 0x380000,
	.expected = "follow to 2 from 300000, parent 1 to 300000, check from 300000"},
	{"the history of the next one is there already, without WAL",.served = {1, 0x300100},
	.store = {"100000: 1", "none: 1 300080, 2"},.theirs = "1 300100, 2",.at = 0x380000,
	.expected = "follow to 2 from 300000, parent 1 to 300100, check from 300100"},
	{"first of two failovers", ON_1,.theirs = "1 300100, 2 480200, 3",.at = 0x600000,
	.expected = "follow to 2 from 300000, parent 1 to 300100, check from 300100, left at 480200"},
	{"second of two failovers", ON_2,.theirs = "1 300100, 2 480200, 3",.at = 0x600000,
	.expected = "follow to 3 from 400000, parent 2 to 480200, check from 480200"},
	{"before both", ON_1,.theirs = "1 380000, 2 480200, 3",.at = 0x600000,
	.expected = "continue on 1 from 300000, compare to 300100, left at 380000"},
	{"before both, which are in one segment", ON_1,.theirs = "1 480100, 2 480200, 3",.at = 0x600000,
	.expected = "continue on 1 from 300000, compare to 300100, left at 480100"},
	{"two at one position within a segment", ON_1,.theirs = "1 300100, 2 300100, 3",.at = 0x600000,
	.expected = "follow to 3 from 300000, parent 1 to 300100, check from 300100"},
	{"two at one segment's end",.served = {1, 0x300000},.store = {"100000: 1"},
	.theirs = "1 300000, 2 300000, 3",.at = 0x600000,
	.expected = "follow to 3 from 300000, parent 1 to 300000, check from 300000"},
	{"a part of a record in excess", ON_1,.theirs = "1 300080, 2",.at = 0x380000,.asked = "hfr",
	.expected = "follow to 2 from 300000, parent 1 to 300080, check from 300080"},
	{"a part of a record over a segment's end", ON_1,.theirs = "1 2ffff8, 2",.at = 0x380000,
	.expected = "follow to 2 from 200000, parent 1 to 2ffff8, check from 2ffff8"},
	{"a whole record in excess", ON_1,.theirs = "1 300080, 2",.at = 0x380000,
		.record_lsn = 0x3000c0,.asked = "hfr",
	.expected = "diverged: left earlier: theirs 1 300080, ours 1 300100, records to 3000c0"},
	{"a commit in excess", ON_1,.theirs = "1 300080, 2",.at = 0x380000,
		.record_lsn = 0x3000c0,.commit_lsn = 0x3000b0,
	.expected = "diverged: left earlier: theirs 1 300080, ours 1 300100, records to 3000c0, commits to 3000b0"},
	{"which is allowed", ON_1,.theirs = "1 300080, 2",.at = 0x380000,.record_lsn = 0x3000c0,.follow = true,
		.expected = "although left earlier: theirs 1 300080, ours 1 300100, records to 3000c0; "
	"follow to 2 from 300000, parent 1 to 300080, check from 300080"},
	{"which is approved", ON_1,.theirs = "1 300080, 2",.at = 0x380000,.record_lsn = 0x3000c0,
		.approved = {2, 0x300080},.approved_record_lsn = 0x3000c0,
		.expected = "although left earlier: theirs 1 300080, ours 1 300100, records to 3000c0; "
	"follow to 2 from 300000, parent 1 to 300080, check from 300080; surplus 1 300080"},
	{"more records than were approved", ON_1,.theirs = "1 300080, 2",.at = 0x380000,.record_lsn = 0x3000c8,
		.approved = {2, 0x300080},.approved_record_lsn = 0x3000c0,
	.expected = "diverged: left earlier: theirs 1 300080, ours 1 300100, records to 3000c8"},
	{"another position than was approved", ON_1,.theirs = "1 300080, 2",.at = 0x380000,.record_lsn = 0x3000c0,
		.approved = {2, 0x300088},.approved_record_lsn = 0x3000c0,
	.expected = "diverged: left earlier: theirs 1 300080, ours 1 300100, records to 3000c0"},
	{"another timeline than was approved", ON_1,.theirs = "1 300080, 3",.at = 0x380000,.record_lsn = 0x3000c0,
		.approved = {2, 0x300080},.approved_record_lsn = 0x3000c0,
	.expected = "diverged: left earlier: theirs 1 300080, ours 1 300100, records to 3000c0"},
	{"approved, on the way to a later timeline", ON_1,.theirs = "1 300080, 2 400000, 3",.at = 0x480000,.record_lsn = 0x3000c0,
		.approved = {2, 0x300080},.approved_record_lsn = 0x300100,
		.expected = "although left earlier: theirs 1 300080, ours 1 300100, records to 3000c0; "
	"follow to 2 from 300000, parent 1 to 300080, check from 300080, left at 400000; surplus 1 300080"},
	{"approved, and nothing in excess", ON_1,.theirs = "1 300100, 2",.at = 0x380000,
		.approved = {2, 0x300100},.approved_record_lsn = 0x300100,
	.expected = "follow to 2 from 300000, parent 1 to 300100, check from 300100"},
	{"all of whose beginning was removed",.served = {1, 0x480100},.store = {"300000: 1"},
	.theirs = "1 2fffff, 2",.at = 0x380000,.asked = "hf",
	.expected = "diverged: left earlier: theirs 1 2fffff, ours 1 480100, removed"},
	{"which cannot be allowed",.served = {1, 0x480100},.store = {"300000: 1"},
	.theirs = "1 2fffff, 2",.at = 0x380000,.follow = true,
	.expected = "diverged: left earlier: theirs 1 2fffff, ours 1 480100, removed"},
	{"whose segment is the first",.served = {1, 0x480100},.store = {"300000: 1"},
	.theirs = "1 300001, 2",.at = 0x380000,
	.expected = "follow to 2 from 300000, parent 1 to 300001, check from 300001"},
	{"which is removed meanwhile", ON_1,.theirs = "1 300100, 2",.at = 0x380000,.was_removed = true,
	.expected = "diverged: removed here: theirs 2 300000, removed"},
};

static const Case other_branch[] = {
	{"a branch from the same position", ON_2,.theirs = "1 300100, 3",.at = 0x600000,.asked = "hf",
	.expected = "diverged: not in history: theirs 3, ours 2 480200, common 1 300100"},
	{"which is allowed", ON_2,.theirs = "1 300100, 3",.at = 0x600000,.follow = true,
		.expected = "although not in history: theirs 3, ours 2 480200, common 1 300100; "
	"follow to 3 from 300000, parent 1 to 300100, check from 300100; on from 1 300100"},
	{"a branch from later", ON_2,.theirs = "1 380000, 3",.at = 0x600000,.follow = true,
		.expected = "although not in history: theirs 3, ours 2 480200, common 1 300100; "
	"continue on 1 from 300000, compare to 300100, left at 380000; on from 1 300100"},
	{"a branch from earlier", ON_2,.theirs = "1 300080, 3",.at = 0x600000,.follow = true,.record_lsn = 0x300100,
		.expected = "although not in history: theirs 3, ours 2 480200, common 1 300100; "
		"although left earlier: theirs 1 300080, ours 1 300100, records to 300100; "
	"follow to 3 from 300000, parent 1 to 300080, check from 300080; on from 1 300100"},
	{"the common end was removed",.served = {2, 0x580200},.store = {"400000: 1 300100, 2", "none: 1"},
	.theirs = "1 300100, 3",.at = 0x600000,.follow = true,
	.expected = "diverged: not in history: theirs 3, ours 2 580200, common 1 300100, removed"},
	{"further on the way",.served = {2, 0x480200},.stored = {1, 0x350000},
	.store = {"100000: 1", "100000: 1 300100, 2"},.theirs = "1 380000, 3",.at = 0x600000,.follow = true,
	.expected = "continue on 1 from 300000, compare to 350000, left at 380000; on from 1 350000"},
	{"at its end",.served = {2, 0x480200},.stored = {1, 0x380000},
	.store = {"100000: 1", "100000: 1 300100, 2"},.theirs = "1 380000, 3",.at = 0x600000,.follow = true,
	.expected = "follow to 3 from 300000, parent 1 to 380000, check from 380000; on from 1 380000"},
	{"what was allowed is over",.served = {2, 0x480200},.stored = {1, 0x350000},
	.store = {"100000: 1", "100000: 1 300100, 2"},.theirs = "1 380000, 3",.at = 0x600000,
	.expected = "diverged: not in history: theirs 3, ours 2 480200, common 1 300100"},
	{"the served timeline's server is back",.served = {2, 0x480200},.stored = {1, 0x350000},
	.store = {"100000: 1", "100000: 1 300100, 2"},.theirs = "1 300100, 2",.at = 0x600000,.follow = true,
	.expected = "continue on 2 from 400000, compare to 480200"},
	{"what is on the way is not compared in part",.served = {2, 0x480200},.stored = {1, 0x380100},
	.store = {"100000: 1", "100000: 1 300100, 2"},.theirs = "1 390000, 3",.at = 0x600000,.follow = true,
	.was_compared = true,.has_page = true,
	.expected = "continue on 1 from 300000, compare to 380100, left at 390000; on from 1 380100"},
	{"on the way, a server on a timeline older than what is served",
		.served = {3, 0x480200},.stored = {1, 0x350000},
		.store = {"100000: 1", "100000: 1 300100, 3"},.theirs = "1 380000, 2",.at = 0x600000,.follow = true,
		.asked = "",
	.expected = "behind: older timeline: theirs 2, ours 3; on from 1 350000"},
	{"two promoted to the same timeline", ON_2,.theirs = "1 300080, 2",.at = 0x600000,.asked = "hf",
	.expected = "diverged: other history: theirs 2"},
	{"which cannot be followed", ON_2,.theirs = "1 300080, 2",.at = 0x600000,.follow = true,
	.expected = "diverged: other history: theirs 2"},
	{"one of them long ago", ON_2,.theirs = "1 300080, 2 500000, 3",.at = 0x600000,.follow = true,
	.expected = "diverged: other history: theirs 2"},
	{"the other kept in the store, from before",.served = {3, 0x480200},
	.store = {"100000: 1", "100000: 1 300100, 2", "100000: 1 200000, 3"},
	.theirs = "1 300080, 2 300200, 4",.at = 0x600000,.follow = true,
	.expected = "diverged: other history: theirs 2"},
	{"the same number, but nothing of either is stored",.served = {3, 0x480200},
	.store = {"100000: 1", "none: 1 300100, 2", "100000: 1 300100, 2 300100, 3"},
	.theirs = "1 320000, 2 400000, 4",.at = 0x600000,
	.expected = "diverged: not in history: theirs 4, ours 3 480200, common 1 300100"},
	{"nothing in common", ON_2,.theirs = "5 300100, 7",.at = 0x600000,.follow = true,
	.expected = "diverged: nothing in common"},
	{"a history that is not there",.served = {2, 0x480200},.store = {"100000: 1"},
	.theirs = "1 300100, 3",.at = 0x600000,
	.expected = "diverged: nothing in common"},
};

static const Case new_range[] = {
	{"the first, with what comes now",.theirs = "1",.at = 0x300100,.asked = "h",
	.expected = "new range on 1 from 300000"},
	{"from the slot on",.theirs = "1",.at = 0x500100,.slot_lsn = 0x300100,
	.expected = "new range on 1 from 300000"},
	{"from a slot on an older timeline",.theirs = "1 400000, 2",.at = 0x500100,.slot_lsn = 0x300100,
	.expected = "new range on 1 from 300000, left at 400000"},
	{"from a slot where the timeline begins",.theirs = "1 300100, 2",.at = 0x500100,.slot_lsn = 0x300100,
	.expected = "new range on 2 from 300000"},
	{"from a slot in the segment where two begin",.theirs = "1 300100, 2 300200, 3",.at = 0x500100,.slot_lsn = 0x300180,
	.expected = "new range on 2 from 300000, left at 300200"},
	{"a slot where the upstream is",.theirs = "1",.at = 0x300100,.slot_lsn = 0x300100,
	.expected = "new range on 1 from 300000"},
	{"a slot from later",.theirs = "1",.at = 0x300100,.slot_lsn = 0x300101,
	.expected = "new slot"},
	{"which was made just now",.theirs = "1",.at = 0x300100,.slot_lsn = 0x400101,.slot_is_new = true,
	.expected = "new range on 1 from 400000"},
	{"not without being allowed", ON_2,.theirs = "1",.at = 0x300100,
	.expected = "behind: older timeline: theirs 1, ours 2"},
	{"in the place of ours", ON_2,.theirs = "1",.at = 0x300100,.restart = true,.asked = "h",
	.expected = "new range on 1 from 300000, replaces ours"},
	{"in the place of another server's", ON_2,.theirs = "1 300080, 2",.at = 0x600000,.restart = true,
	.expected = "new range on 2 from 600000, replaces ours"},
	{"in the place of ours, a slot from later", ON_2,.theirs = "1",.at = 0x300100,.slot_lsn = 0x480200,.restart = true,
	.expected = "new slot"},
};

static void
test_table(const Case *table, int count)
{
	for (int i = 0; i < count; i++)
		try_case(&table[i]);
}

/*
 * A cluster was recovered to a point before its last failover: according to
 * its history, timeline 2 was left before it began.
 */
static void
test_falling_positions(void)
{
	static WsHistoryEntry parsed[WS_HISTORY_MAX_ENTRIES + 1];
	static const char file[] = "1\t0/500000\treason\n2\t0/300000\treason\n";
	WsHistory	history = {.entries = parsed};
	int			line;
	Case		on_1 = {ON_1,.theirs = "1 300000, 3",.at = 0x600000};
	static const Case followed[] = {
		{"one that had followed",.served = {2, 0x600000},
		.store = {"100000: 1", "100000: 1 500000, 2"},.theirs = "1 300000, 3",.at = 0x400000,
		.expected = "diverged: not in history: theirs 3, ours 2 600000, common 1 500000"},
		{"and is told to follow again",.served = {2, 0x600000},
		.store = {"100000: 1", "100000: 1 500000, 2"},.theirs = "1 300000, 3",.at = 0x400000,
		.follow = true,.record_lsn = 0x500000,
		.expected = "although not in history: theirs 3, ours 2 600000, common 1 500000; "
		"although left earlier: theirs 1 300000, ours 1 500000, records to 500000; "
		"follow to 3 from 300000, parent 1 to 300000, check from 300000; on from 1 500000"}
	};

	is(ws_history_parse(3, file, strlen(file), &history, &line), WS_OK, "positions that fall are read");
	is(history.count, 2, "as two timelines");
	is(history.entries[0].end_lsn, 0x300000, "of which the first was left there");

	on_1.what = "a relay that had not followed, and has no record more";
	on_1.expected = "follow to 3 from 300000, parent 1 to 300000, check from 300000";
	try_case(&on_1);
	on_1.what = "one that has";
	on_1.record_lsn = 0x300100;
	on_1.expected = "diverged: left earlier: theirs 1 300000, ours 1 300100, records to 300100";
	try_case(&on_1);
	test_table(followed, lengthof(followed));
}

/*
 * A relay that follows a chain of failovers, one at a time, reaches its end.
 */
static void
test_chain(void)
{
	Case		c = {"a chain of failovers",.served = {1, 0x300100},.store = {"100000: 1"},
	.theirs = "1 380000, 2 480200, 3 480300, 5 600000, 6",.at = 0x700000};
	static const char *const expected[] = {
		"continue on 1 from 300000, compare to 300100, left at 380000",
		"follow to 2 from 300000, parent 1 to 380000, check from 380000, left at 480200",
		"follow to 3 from 400000, parent 2 to 480200, check from 480200, left at 480300",
		"follow to 5 from 400000, parent 3 to 480300, check from 480300, left at 600000",
		"follow to 6 from 600000, parent 5 to 600000, check from 600000"
	};
	static const struct
	{
		WsPlanPoint served;
		const char *history;
	}			then[] = {
		{{1, 0x380000}, "100000: 1"},
		{{2, 0x480200}, "100000: 1 380000, 2"},
		{{3, 0x480300}, "100000: 1 380000, 2 480200, 3"},
		{{5, 0x600000}, "100000: 1 380000, 2 480200, 3 480300, 5"},
		{{6, 0x700000}, "100000: 1 380000, 2 480200, 3 480300, 5 600000, 6"}
	};

	for (int i = 0; i < (int) lengthof(expected); i++)
	{
		c.expected = expected[i];
		try_case(&c);
		c.served = then[i].served;
		c.store[i] = then[i].history;
	}
	c.expected = "continue on 6 from 700000, compare to 700000, check from 700000";
	try_case(&c);
}

/* A timeline on which nothing was written. */
static void
test_empty_timelines(void)
{
	Case		c = {"a timeline that ends where it begins",.served = {1, 0x380000},.store = {"100000: 1"},
	.theirs = "1 380000, 2 380000, 3",.at = 0x700000,
	.expected = "follow to 3 from 300000, parent 1 to 380000, check from 380000"};

	try_case(&c);
	c.what = "two of them";
	c.theirs = "1 380000, 2 380000, 3 380000, 4 500000, 5";
	c.expected = "follow to 4 from 300000, parent 1 to 380000, check from 380000, left at 500000";
	try_case(&c);
	c.what = "one at a segment's start";
	c.served.lsn = 0x400000;
	c.theirs = "1 400000, 2 400000, 3";
	c.expected = "follow to 3 from 400000, parent 1 to 400000, check from 400000";
	try_case(&c);
}

/* The upstream says that it does not have the WAL. */
static void
try_miss(const Case *c, const WsPlanStart *start, const char *expected)
{
	WsPlanInput input;
	WsPlan		plan;
	char text[	1024];

	read_input(c, &input);
	ws_plan_miss(&input, start, &plan);
	plan_text(&input, &plan, text, sizeof(text));
	is_str(text, expected, "%s", c->what);
}

static void
test_miss(void)
{
	WsPlanStart start = {.tli = 1,.begin_lsn = 0x300000,.tell_lsn = 0x300000};
	WsPlanStart earlier = {.tli = 1,.begin_lsn = 0x200000,.tell_lsn = 0x300000};
	WsPlanStart another = {.tli = 1,.begin_lsn = 0x500000,.tell_lsn = 0x500000,.replaces = true};
	Case		ours = {"what comes next is missing", ON_1,.theirs = "1",.at = 0x600000};
	Case		nothing = {"the first range",.theirs = "1",.at = 0x600000};

	try_miss(&ours, &start, "gap: removed there: theirs 1 300000, ours 1 300100");
	ours.what = "whatever a slot promises";
	ours.slot_lsn = 0x200000;
	try_miss(&ours, &start, "gap: removed there: theirs 1 300000, ours 1 300100");
	ours.what = "what was only to be compared is missing";
	try_miss(&ours, &earlier, "compare less");

	ours.what = "what is to replace ours is missing, behind a slot";
	try_miss(&ours, &another, "new slot");
	ours.what = "behind a new slot";
	ours.slot_is_new = true;
	try_miss(&ours, &another, "gap: nothing there: theirs 1 500000");
	ours.what = "without a slot";
	ours.slot_lsn = 0;
	try_miss(&ours, &another, "gap: nothing there: theirs 1 500000");

	try_miss(&nothing, &start, "wait: nothing there: theirs 1 300000");
	nothing.what = "the first range, behind a slot";
	nothing.slot_lsn = 0x300100;
	try_miss(&nothing, &start, "new slot");
	nothing.what = "the first range, behind a new slot";
	nothing.slot_is_new = true;
	try_miss(&nothing, &start, "wait: nothing there: theirs 1 300000");
}

int
main(void)
{
	test_table(same_timeline, lengthof(same_timeline));
	test_table(compared_part, lengthof(compared_part));
	test_table(next_timeline, lengthof(next_timeline));
	test_table(other_branch, lengthof(other_branch));
	test_table(new_range, lengthof(new_range));
	test_falling_positions();
	test_chain();
	test_empty_timelines();
	test_miss();
	return done_testing();
}
