/*-------------------------------------------------------------------------
 *
 * make_corpus_ring.c
 *	  Write the seeds of the target for the ring of frames.
 *
 * The argument is the folder that holds a folder for each target.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "seed.h"

/* The steps of fuzz_ring.c; the reader or the bit comes with them. */
#define PUBLISH		0
#define CLEAR		1
#define RESERVE		2
#define TAKE		3
#define FIND		5
#define AT_END		6
#define FLIP		7
#define READER(n)	(8 * (n))
#define BIT(n)		(32 * (n))

static void
add_frame(uint32 len, uint32 raw_len)
{
	add_number(PUBLISH, 1);
	add_number(len, 2);
	add_number(raw_len, 1);
}

static void
begin(uint32 size, uint32 mean_len)
{
	add_number(size, 2);
	add_number(mean_len, 1);
}

int
main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	seed_corpus = argv[1];

	/* a reader at each frame, one that comes too late */
	begin(4000, 200);
	add_frame(100, 50);
	add_number(FIND | READER(1), 1);
	add_number(0, 2);
	add_number(AT_END, 1);
	for (int i = 0; i < 40; i++)
	{
		add_frame(i * 17, 100);
		add_number(TAKE, 1);
	}
	add_number(TAKE | READER(1), 1);
	write_seed("fuzz_ring", "wraps_around");

	/* more frames than descriptions */
	begin(3000, 255);
	for (int i = 0; i < 40; i++)
		add_frame(0, 0);
	add_number(FIND, 1);
	add_number(39, 2);
	add_number(TAKE, 1);
	write_seed("fuzz_ring", "plain_ranges");

	/* cleared while a reader waits, and a writer that dies */
	begin(5000, 100);
	add_frame(300, 10);
	add_number(AT_END, 1);
	add_number(CLEAR, 1);
	add_number(TAKE, 1);
	add_frame(20, 10);
	add_number(TAKE, 1);
	add_number(RESERVE, 1);
	add_number(699, 2);
	add_frame(30, 10);
	write_seed("fuzz_ring", "cleared");

	/* a bit of a description, and of the bytes */
	begin(2000, 200);
	add_frame(300, 10);
	add_number(FLIP | BIT(5), 1);
	add_number(9, 2);
	add_number(FIND, 1);
	add_number(0, 2);
	add_number(TAKE, 1);
	add_number(FLIP | BIT(5), 1);
	add_number(9, 2);
	add_number(FLIP, 1);
	add_number(700, 2);
	add_number(TAKE, 1);
	write_seed("fuzz_ring", "flipped");
	return 0;
}
