/*-------------------------------------------------------------------------
 *
 * test_xidscan.c
 *	  The next transaction id in WAL: found in pieces of any size and after
 *	  damage, and never beyond the true one.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/relay/xidscan.h"
#include "tap.h"
#include "walgen.h"

#define SEGMENT			(1024 * 1024)
#define START			(UINT64CONST(7) * SEGMENT)
#define EPOCH			(UINT64CONST(5) << 32)

static const WsCodecParams params = {
	.wal_block_size = 8192,
	.wal_segment_size = SEGMENT,
	.wal_page_magic = 0xD110
};

/* The layouts are defined independently here. */
static void
put_checkpoint(WalGen *gen, uint8 info, uint32 tli, uint64 next_xid)
{
	uint8		body[2 + 80] = {255, 80};

	memcpy(body + 2 + 8, &tli, 4);
	memcpy(body + 2 + 12, &tli, 4);
	memcpy(body + 2 + 24, &next_xid, 8);
	walgen_record(gen, 0, info, 0, body, sizeof(body));
}

/*
 * A record with many running transactions, which needs the long form, or with
 * few.
 */
static void
put_running(WalGen *gen, uint32 next_xid, uint32 running)
{
	uint8		body[5 + 24 + 4 * 1000] = {0};
	uint32		len = 24 + 4 * running;
	uint32		head = len > 255 ? 5 : 2;

	body[0] = head == 5 ? 254 : 255;
	if (head == 5)
		memcpy(body + 1, &len, 4);
	else
		body[1] = (uint8) len;
	memcpy(body + head, &running, 4);
	memcpy(body + head + 12, &next_xid, 4);
	walgen_record(gen, 0, 0x10, 8, body, head + len);
}

static void
put_xid(WalGen *gen, uint32 xid)
{
	uint8		body[2 + 9] = {255, 9};

	walgen_record(gen, xid, 0, 10, body, sizeof(body));
}

/*
 * The result for the WAL from an offset on, read in pieces; 0: of random
 * sizes.
 */
static uint64
scan(WalGen *gen, size_t offset, size_t piece, uint64 next_xid)
{
	WsXidScan	scan;
	uint64		random = 4711;

	ws_xidscan_begin(&scan, &params, gen->start + offset, next_xid, 0);
	while (offset < gen->len)
	{
		size_t		len = piece;

		if (piece == 0)
		{
			random = random * UINT64CONST(6364136223846793005) + 1442695040888963407;
			len = 1 + (random >> 33) % 9000;
		}
		if (len > gen->len - offset)
			len = gen->len - offset;

		/* memory of exactly this size, so that reading beyond it is noticed */
		{
			uint8	   *copy = malloc(len);

			if (copy == NULL)
				abort();
			memcpy(copy, gen->buf + offset, len);
			ws_xidscan_put(&scan, copy, len);
			free(copy);
		}
		offset += len;
	}
	if (scan.next_lsn != gen->start + gen->len)
		abort();
	return scan.next_xid;
}

static uint64
scan_all(WalGen *gen)
{
	return scan(gen, 0, gen->len, 0);
}

static void
test_records(void)
{
	static const size_t pieces[] = {1, 7, 8, 24, 61, 100, 8192, 128 * 1024, 0};
	WalGen		gen;
	uint64		expected;

	walgen_init(&gen, &params, START, SEGMENT, 1);
	put_checkpoint(&gen, 0x00, 1, EPOCH | 700);
	is(scan_all(&gen), EPOCH | 700, "a checkpoint that comes first, as of pg_resetwal");
	walgen_free(&gen);

	walgen_init(&gen, &params, START, 3 * SEGMENT, 1);
	put_xid(&gen, 0);
	put_xid(&gen, 650);
	is(scan_all(&gen), 0, "no epoch is known without a checkpoint");
	put_running(&gen, 660, 3);
	is(scan_all(&gen), 0, "running transactions have none either");
	put_checkpoint(&gen, 0x10, 1, EPOCH | 690);
	is(scan_all(&gen), EPOCH | 690, "a checkpoint tells it");
	walgen_fill_to(&gen, 2 * SEGMENT + 5000);
	put_xid(&gen, gen.xid + 50);
	expected = EPOCH | (gen.xid + 51);
	for (int i = 0; i < (int) lengthof(pieces); i++)
		is(scan(&gen, 0, pieces[i], 0), expected, "records of two segments, pieces of %zu", pieces[i]);
	is(scan(&gen, 0, 0, EPOCH | 900000000), EPOCH | 900000000, "what was found before stays");
	is(scan(&gen, 0, 0, EPOCH | 650), expected, "or goes on");
	for (size_t page = 1; page < 12; page++)
		is(scan(&gen, page * 8192, 0, EPOCH | 650), expected, "from page %zu on", page);
	is(scan(&gen, 5000, 0, EPOCH | 650), expected, "from within a page");
	is(scan(&gen, SEGMENT, 0, EPOCH | 650), expected, "from the second segment on");

	put_running(&gen, gen.xid + 80, 3);
	is(scan_all(&gen), EPOCH | (gen.xid + 80), "running transactions");
	put_running(&gen, gen.xid + 90, 900);
	is(scan(&gen, 0, 13, 0), EPOCH | (gen.xid + 90), "many of them");
	put_checkpoint(&gen, 0x10, 1, EPOCH | 800);
	is(scan_all(&gen), EPOCH | (gen.xid + 90), "an online checkpoint is behind");
	put_checkpoint(&gen, 0x10, 2, EPOCH | 850);
	is(scan_all(&gen), EPOCH | 850, "but counts on another timeline");
	put_checkpoint(&gen, 0x00, 2, EPOCH | 840);
	is(scan_all(&gen), EPOCH | 840, "a shutdown's is exact");
	put_checkpoint(&gen, 0x10, 2, EPOCH);
	is(scan_all(&gen), EPOCH | 840, "no transaction has the id 0");
	walgen_free(&gen);
}

static void
test_epochs(void)
{
	WalGen		gen;

	walgen_init(&gen, &params, START, SEGMENT, 1);
	put_xid(&gen, 0);
	put_checkpoint(&gen, 0x00, 1, EPOCH | 0xFFFFFFF0);
	put_xid(&gen, 0xFFFFFFFE);
	is(scan_all(&gen), EPOCH | 0xFFFFFFFF, "the last id but one");
	put_xid(&gen, 0xFFFFFFFF);
	is(scan_all(&gen), EPOCH + (UINT64CONST(1) << 32) + 3, "the next epoch begins with 3");
	put_xid(&gen, 0xFFFFFFF8);
	put_xid(&gen, 2);
	put_xid(&gen, 0);
	is(scan_all(&gen), EPOCH + (UINT64CONST(1) << 32) + 3, "an earlier id takes nothing back");
	put_xid(&gen, 10);
	is(scan_all(&gen), EPOCH + (UINT64CONST(1) << 32) + 11, "and it goes on");
	walgen_free(&gen);
}

/* Records outside the chain do not count. */
static void
test_chain(void)
{
	WalGen		gen;
	size_t		len;

	walgen_init(&gen, &params, START, 2 * SEGMENT, 1);
	put_xid(&gen, 0);
	put_checkpoint(&gen, 0x00, 1, EPOCH | 700);
	put_xid(&gen, 700);
	gen.prev ^= 8;
	put_xid(&gen, 2000000000);
	is(scan_all(&gen), EPOCH | 701, "a record that does not point back to the one before");
	put_xid(&gen, 701);
	is(scan_all(&gen), EPOCH | 702, "the next one does");

	/* a segment switch: zeros to the end of the segment */
	walgen_record(&gen, 0, 0x40, 0, (const uint8 *) "", 0);
	memset(gen.buf + gen.len, 0, SEGMENT - gen.len);
	len = gen.len;
	gen.len = SEGMENT;
	put_xid(&gen, 702);
	is(scan(&gen, 0, 0, 0), EPOCH | 703, "behind a switch");
	memset(gen.buf + len, 0xA5, SEGMENT - len);
	is(scan(&gen, 0, 0, 0), EPOCH | 703, "or rubbish there");

	for (int pages = 1; pages < 4; pages++)
	{
		uint8		body[5 + 30000] = {254, 0x30, 0x75};

		walgen_break(&gen, pages);
		walgen_record(&gen, 703, 0, 10, body, sizeof(body));
		put_xid(&gen, 710 + pages);
		is(scan(&gen, 0, 0, 0), EPOCH | (711 + pages),
		   "a record that was broken off after %d pages", pages);
	}
	is(gen.overwritten, 3, "there were three");
	walgen_free(&gen);
}

/*
 * For any input, nothing is read out of bounds, and the scan continues after
 * it.
 */
static void
test_damage(void)
{
	WalGen		gen;
	uint64		last;
	uint64		random = 1;
	int			failed = 0;

	walgen_init(&gen, &params, START, SEGMENT, 2);
	put_xid(&gen, 0);
	put_checkpoint(&gen, 0x00, 1, EPOCH | 700);
	walgen_fill_to(&gen, 200000);
	last = scan_all(&gen);
	is(last >> 32, 5, "ids of sound WAL");
	for (int i = 0; i < 4000; i++)
	{
		size_t		at;
		uint8		bit;

		random = random * UINT64CONST(6364136223846793005) + 1442695040888963407;
		at = (random >> 33) % 150000;
		bit = 1 << ((random >> 20) & 7);
		gen.buf[at] ^= bit;
		if (i % 10 == 0)
			(void) scan(&gen, 0, 0, 0);
		else
			(void) scan_all(&gen);
		gen.buf[at] ^= bit;
	}
	for (int i = 0; i < 20; i++)
	{
		/* a page is lost: the following ones are still read */
		memset(gen.buf + 8192 * (1 + i), i, 8192);
		failed += scan(&gen, 0, 0, 0) != last;
	}
	is(failed, 0, "it goes on behind damaged pages");
	walgen_free(&gen);
}

int
main(void)
{
	test_records();
	test_epochs();
	test_chain();
	test_damage();
	return done_testing();
}
