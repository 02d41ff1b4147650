/*-------------------------------------------------------------------------
 *
 * make_corpus_plan.c
 *	  Write the seeds of the target for a relay's plan.
 *
 * The argument is the folder that holds a folder for each target.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "seed.h"
#include "seed_plan.h"

/* Positions: a segment's start, and one in the middle of it. */
#define START(segment)	((segment) * 0x1000)
#define MIDDLE(segment) (START(segment) + 0x800)

/*
 * A history of timelines 1, 2, ... count, each left in the middle of a
 * segment, the first one in this segment.
 */
static void
add_history(int count, int segment)
{
	add_number(count - 1, 1);
	for (int i = 0; i < count; i++)
	{
		add_number(0, 1);
		add_number(i == 0 ? MIDDLE(segment) : START(1), 2);
	}
}

/*
 * A stored timeline, with the upstream's history or another one, whose WAL
 * begins with the first segment.
 */
static void
add_timeline(bool is_theirs, int count, int segment)
{
	add_number(is_theirs ? count : 0, 1);
	add_history(count, segment);
	add_number(1, 1);
	add_number(0, 2);
}

/*
 * The relay has everything up to the newest of these timelines, and is not
 * behind.
 */
static void
add_store(int count, bool is_theirs, int segment, int end)
{
	add_number(count - 1, 1);
	for (int i = 1; i <= count; i++)
		add_timeline(is_theirs, i, segment);
	add_number(count - 1, 1);
	add_number(end, 2);
	add_number(count - 1, 1);
}

static void
make_plain(int flags, int theirs, int ours, int end, const char *name)
{
	add_number(flags, 2);
	add_history(theirs, 3);
	add_number(START(8), 2);
	if ((flags & PLAN_SLOT) != 0)
		add_number(MIDDLE(4), 2);
	if ((flags & PLAN_NO_WAL) == 0)
		add_store(ours, true, 3, end);
	write_seed("fuzz_plan", name);
}

/* Our timeline 1 was left at another position. */
static void
make_branch(int flags, int segment, const char *name)
{
	add_number(flags, 2);
	add_history(3, 3);
	add_number(START(8), 2);
	add_store(2, false, segment, MIDDLE(7));
	write_seed("fuzz_plan", name);
}

/* The upstream has no timeline 2; the relay is on its way from 1 to 3. */
static void
make_way(int flags, const char *name)
{
	add_number(flags, 2);
	add_number(1, 1);
	add_number(0, 1);
	add_number(MIDDLE(5), 2);
	add_number(1, 1);
	add_number(0, 2);
	add_number(START(8), 2);
	add_number(1, 1);
	add_timeline(true, 1, 3);
	add_timeline(false, 2, 3);
	add_number(1, 1);
	add_number(MIDDLE(6), 2);
	add_number(0, 1);
	add_number(MIDDLE(4), 2);
	write_seed("fuzz_plan", name);
}

/*
 * The upstream has no timeline 2, and the point where 1 was left is no longer
 * stored.
 */
static void
make_gone(int flags, const char *name)
{
	add_number(flags, 2);
	add_number(1, 1);
	add_number(0, 1);
	add_number(MIDDLE(5), 2);
	add_number(1, 1);
	add_number(0, 2);
	add_number(START(8), 2);
	add_number(0, 1);
	add_number(1, 1);
	add_history(2, 3);
	add_number(1, 1);
	add_number(START(4), 2);
	add_number(0, 1);
	add_number(MIDDLE(7), 2);
	add_number(0, 1);
	write_seed("fuzz_plan", name);
}

int
main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	seed_corpus = argv[1];

	make_plain(PLAN_NO_WAL, 1, 0, 0, "first_range");
	make_plain(PLAN_NO_WAL | PLAN_SLOT, 3, 0, 0, "first_range_slot");
	make_plain(PLAN_RESTART | PLAN_SLOT | PLAN_SLOT_IS_NEW, 3, 2, MIDDLE(4), "new_range");
	make_plain(0, 1, 1, MIDDLE(2), "same");
	make_plain(PLAN_STANDBY, 1, 1, START(8) + 1, "standby_behind");
	make_plain(0, 1, 1, START(8) + 1, "put_back");
	make_plain(0, 1, 1, MIDDLE(9), "behind");
	make_plain(0, 1, 2, MIDDLE(5), "older");
	make_plain(PLAN_SEGMENT, 1, 1, START(3), "segment_end");
	make_plain(PLAN_COMPARED | PLAN_PAGE | PLAN_SLOT, 1, 1, MIDDLE(2), "compared");
	make_plain(PLAN_SEGMENT | PLAN_EARLIER_IS_GONE, 1, 1, START(3), "segment_end_gone");
	make_plain(PLAN_COMPARED | PLAN_PAGE, 1, 1, MIDDLE(2) + 5, "compared_within_page");
	make_plain(PLAN_COMPARED | PLAN_PAGE | PLAN_STANDBY, 1, 1, MIDDLE(8), "compared_standby_behind");
	make_plain(0, 4, 1, MIDDLE(2), "failovers");
	make_plain(0, 3, 2, MIDDLE(4), "follow");
	make_plain(PLAN_RECORD, 3, 2, MIDDLE(4) + 5, "record");
	make_plain(PLAN_RECORD | PLAN_FOLLOW, 3, 2, MIDDLE(4) + 5, "record_allowed");
	make_plain(PLAN_WAS_REMOVED, 2, 1, MIDDLE(3), "removed");
	make_branch(0, 2, "other_history");
	make_branch(PLAN_FOLLOW, 4, "other_history_later");
	make_way(PLAN_FOLLOW, "way");
	make_way(0, "way_over");
	make_gone(PLAN_FOLLOW, "common_gone");
	return 0;
}
