/*-------------------------------------------------------------------------
 *
 * test_ring.c
 *	  Frames in a ring: what is read is what was published, or is reported as
 *	  lost or damaged, also while a writer and readers run at the same time.
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pure/share/ring.h"
#include "tap.h"
#include "testdata.h"

#define MAX_LEN		1000
#define START_LSN	UINT64CONST(0x2A000000)

/* 0 to below - 1, the same for the same seed */
static uint32
random_of(uint64 seed, uint32 below)
{
	uint32		number;

	fill_random((uint8 *) &number, sizeof(number), seed);
	return number % below;
}

/* Frame number n of a test: everything follows from where it starts. */
static WsRingFrame
make_frame(XLogRecPtr start_lsn)
{
	WsRingFrame frame = {
		.start_lsn = start_lsn,
		.raw_len = 1 + random_of(start_lsn, 5000),
		.len = random_of(start_lsn + 1, MAX_LEN + 1),
		.content_crc = (pg_crc32c) start_lsn * 7,
		.codec = WS_CODEC_ZSTD,
		.restart = start_lsn % 5 == 0,
		.cost_ns = start_lsn * UINT64CONST(0x100000001)
	};

	if (start_lsn % 7 == 0)
	{
		frame.codec = WS_CODEC_NONE;
		frame.len = 0;
	}
	return frame;
}

/* Publish the frame that starts at this position; returns its end. */
static XLogRecPtr
put_frame(WsRing *ring, XLogRecPtr start_lsn)
{
	WsRingFrame frame = make_frame(start_lsn);
	uint8	   *to = ws_ring_reserve(ring, MAX_LEN);

	/* more is written than is kept, as a codec may */
	fill_random(to, Min(MAX_LEN, frame.len + 100), start_lsn);
	ws_ring_publish(ring, &frame);
	return start_lsn + frame.raw_len;
}

/* Is this the frame that was put there? */
static bool
is_frame(const WsRingFrame *frame, const uint8 *bytes, XLogRecPtr start_lsn)
{
	WsRingFrame expected = make_frame(start_lsn);
	uint8		expected_bytes[MAX_LEN];

	fill_random(expected_bytes, expected.len, start_lsn);
	return frame->start_lsn == expected.start_lsn &&
		frame->raw_len == expected.raw_len && frame->len == expected.len &&
		frame->content_crc == expected.content_crc && frame->codec == expected.codec &&
		frame->restart == expected.restart && frame->cost_ns == expected.cost_ns &&
		memcmp(bytes, expected_bytes, expected.len) == 0;
}

static void
test_init(void)
{
	const size_t size = 64 * 1024;
	uint8	   *block = aligned_alloc(WS_RING_ALIGN, size);
	int			refused = 0;
	int			made = 0;
	int			over = 0;

	ok(ws_ring_init(block, size, 0, 100) == NULL, "frames of no bytes are refused");
	ok(ws_ring_init(block, size, 100, 0) == NULL, "also on average");
	ok(ws_ring_init(block, size, size, 100) == NULL, "a frame as large as the block, too");
	free(block);

	/* at any size either it is refused or it stays in there */
	for (size_t n = 0; n < 6000; n += 8)
	{
		WsRing	   *ring;

		block = guard_alloc(n + WS_RING_ALIGN);
		ring = ws_ring_init((void *) TYPEALIGN(WS_RING_ALIGN, block), n, MAX_LEN, 50);
		if (ring == NULL)
			refused++;
		else
		{
			XLogRecPtr	lsn = START_LSN;

			for (int i = 0; i < 30; i++)
				lsn = put_frame(ring, lsn);
			made += guard_intact(block, n + WS_RING_ALIGN) && ws_ring_end(ring) == lsn;
			over += ws_ring_reserve(ring, MAX_LEN + 1) != NULL;
		}
		guard_free(block);
	}
	ok(refused + made == 750 && refused > 100 && made > 400,
	   "%d blocks are too small, and %d are not written beyond", refused, made);
	is(over, 0, "no room for a frame that is longer than was said");
}

static void
test_sequence(void)
{
	const size_t size = 20000;
	uint8	   *block = guard_alloc(size + WS_RING_ALIGN);
	WsRing	   *ring = ws_ring_init((void *) TYPEALIGN(WS_RING_ALIGN, block), size,
									MAX_LEN, 300);
	uint8		dst[MAX_LEN];
	WsRingReader reader;
	WsRingReader late;
	WsRingFrame frame;
	XLogRecPtr	lsn = START_LSN;
	int			good = 0;
	int			found = 0;

	is(ws_ring_end(ring), 0, "a new ring has no end");
	is(ws_ring_seek(ring, START_LSN, &reader), WS_RING_LOST, "and nobody finds a place in it");

	/* one reader takes each frame at once, and another begins now and stays */
	lsn = put_frame(ring, lsn);
	is(ws_ring_seek(ring, START_LSN, &late), WS_RING_FOUND, "the first frame is found");
	is(ws_ring_seek(ring, lsn, &reader), WS_RING_AT_END, "one waits for the second");
	is(ws_ring_take(ring, &reader, &frame, dst), WS_RING_AT_END, "it is not there");
	for (int i = 0; i < 500; i++)
	{
		XLogRecPtr	start = lsn;

		lsn = put_frame(ring, lsn);
		good += ws_ring_take(ring, &reader, &frame, dst) == WS_RING_FOUND &&
			is_frame(&frame, dst, start) && reader.lsn == lsn && ws_ring_end(ring) == lsn &&
			ws_ring_take(ring, &reader, &frame, dst) == WS_RING_AT_END;
	}
	is(good, 500, "each frame is taken as it was published");
	is(ws_ring_take(ring, &late, &frame, dst), WS_RING_LOST, "a reader that is too slow is told");
	is(ws_ring_seek(ring, START_LSN, &reader), WS_RING_LOST, "nobody finds the first frame any more");
	is(ws_ring_seek(ring, lsn + 1, &reader), WS_RING_LOST, "nor one that will not come next");

	/* where can a reader begin?  Only where a frame does. */
	good = 0;
	for (XLogRecPtr at = lsn - 100000; at < lsn; at++)
	{
		WsRingStatus status = ws_ring_seek(ring, at, &reader);

		if (status == WS_RING_FOUND)
		{
			found++;
			good += ws_ring_take(ring, &reader, &frame, dst) == WS_RING_FOUND &&
				is_frame(&frame, dst, at);
		}
		else if (status != WS_RING_LOST)
			good = -1000000;
	}
	ok(found > 10 && good == found, "%d frames are found by where they start", found);

	/* it continues elsewhere */
	is(ws_ring_seek(ring, lsn, &reader), WS_RING_AT_END, "a reader waits");
	ws_ring_clear(ring);
	is(ws_ring_end(ring), 0, "a ring that was cleared has no end");
	is(ws_ring_seek(ring, lsn, &late), WS_RING_LOST, "nor a place");
	is(ws_ring_take(ring, &reader, &frame, dst), WS_RING_LOST, "who has waited has lost his place");
	put_frame(ring, lsn);
	is(ws_ring_take(ring, &reader, &frame, dst), WS_RING_LOST,
	   "even if another frame starts there");
	ws_ring_clear(ring);
	put_frame(ring, START_LSN);
	is(ws_ring_take(ring, &reader, &frame, dst), WS_RING_LOST, "or elsewhere");
	is(ws_ring_seek(ring, START_LSN, &reader), WS_RING_FOUND, "there is another one");
	ok(ws_ring_take(ring, &reader, &frame, dst) == WS_RING_FOUND &&
	   is_frame(&frame, dst, START_LSN), "which is taken");

	/* a writer that died before it published */
	for (int i = 0; i < 100; i++)
		memset(ws_ring_reserve(ring, MAX_LEN), 0xA5, MAX_LEN);
	is(ws_ring_take(ring, &reader, &frame, dst), WS_RING_AT_END, "what is not published is not there");
	lsn = put_frame(ring, reader.lsn);
	ok(ws_ring_take(ring, &reader, &frame, dst) == WS_RING_FOUND && reader.lsn == lsn,
	   "and the next one is");
	ok(guard_intact(block, size + WS_RING_ALIGN), "nothing is written beyond the block");
	guard_free(block);
}

/* Does a reader find each bit of the frames and their descriptions that flips? */
static void
test_damage(void)
{
	const size_t size = 4096;
	uint8	   *block = aligned_alloc(WS_RING_ALIGN, size);
	WsRing	   *ring = ws_ring_init(block, size, MAX_LEN, 500);
	uint8	   *before = malloc(size);
	uint8		dst[MAX_LEN];
	WsRingReader reader;
	WsRingReader moving;
	WsRingFrame frame;
	XLogRecPtr	lsn = START_LSN;
	XLogRecPtr	starts[3];
	size_t		found = 0;
	size_t		wrong = 0;

	for (int i = 0; i < 20; i++)
	{
		starts[i % 3] = lsn;
		lsn = put_frame(ring, lsn);
	}
	if (ws_ring_seek(ring, starts[19 % 3], &reader) != WS_RING_FOUND)
		abort();
	memcpy(before, block, size);

	/* the head is not covered; a flip there cannot be told from another ring */
	for (size_t bit = 128 * 8; bit < size * 8; bit++)
	{
		WsRingStatus status;

		block[bit / 8] ^= 1 << bit % 8;
		moving = reader;
		status = ws_ring_take(ring, &moving, &frame, dst);
		if (status == WS_RING_DAMAGED)
			found++;
		else if (status != WS_RING_FOUND || !is_frame(&frame, dst, starts[19 % 3]))
			wrong++;
		for (int i = 0; i < 3; i++)
		{
			if (ws_ring_seek(ring, starts[i], &moving) == WS_RING_FOUND &&
				ws_ring_take(ring, &moving, &frame, dst) == WS_RING_FOUND &&
				!is_frame(&frame, dst, starts[i]))
				wrong++;
		}
		block[bit / 8] ^= 1 << bit % 8;
	}
	frame = make_frame(starts[19 % 3]);
	ok(found >= (frame.len + sizeof(XLogRecPtr) + 3 * 4) * 8, "%zu flipped bits are found", found);
	is(wrong, 0, "and none gives another frame");
	ok(memcmp(before, block, size) == 0, "a reader writes nothing");
	free(before);
	free(block);
}

/* A reader's process: reads up to the last frame, and counts. */
typedef struct Count
{
	uint64		taken;
	uint64		lost;
	uint64		wrong;
	uint64		damaged;
} Count;

typedef struct Shared
{
	Count		counts[4];
	uint8		block[FLEXIBLE_ARRAY_MEMBER] pg_attribute_aligned(WS_RING_ALIGN);
} Shared;

static void
read_frames(Shared *shared, const WsRing *ring, int n, XLogRecPtr end_lsn)
{
	Count	   *count = &shared->counts[n];
	WsRingReader reader = {0, InvalidXLogRecPtr};
	WsRingStatus status = WS_RING_LOST;
	WsRingFrame frame;
	uint8		dst[MAX_LEN];

	alarm(600);					/* if there is no writer any more */
	while (reader.lsn != end_lsn)
	{
		XLogRecPtr	start = reader.lsn;

		if (status == WS_RING_LOST)
		{
			/* go on at the end, as a stream does that has fallen out */
			start = ws_ring_end(ring);
			if (start != InvalidXLogRecPtr)
				status = ws_ring_seek(ring, start, &reader);
			else
				sched_yield();
			continue;
		}
		status = ws_ring_take(ring, &reader, &frame, dst);
		if (status == WS_RING_FOUND)
		{
			count->taken++;
			count->wrong += !is_frame(&frame, dst, start);
		}
		else if (status == WS_RING_LOST)
			count->lost++;
		else if (status == WS_RING_DAMAGED)
			count->damaged++;
		else
			sched_yield();

		/* some are slower than others */
		if (n > 0 && random_of(start, 1 << (8 - n)) == 0)
			sched_yield();
	}
	_exit(0);
}

static void
test_concurrent(size_t size, int nframes, int clear_every)
{
	Shared	   *shared = mmap(NULL, sizeof(Shared) + size, PROT_READ | PROT_WRITE,
							  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	WsRing	   *ring = ws_ring_init(shared->block, size, MAX_LEN, 500);
	XLogRecPtr	end_lsn = START_LSN;
	XLogRecPtr	lsn = START_LSN;
	pid_t		pids[lengthof(shared->counts)];
	uint64		taken = 0;
	uint64		lost = 0;
	uint64		wrong = 0;
	uint64		damaged = 0;
	int			failed = 0;

	for (int i = 0; i < nframes; i++)
		end_lsn += make_frame(end_lsn).raw_len;
	for (int i = 0; i < (int) lengthof(pids); i++)
	{
		pids[i] = fork();
		if (pids[i] < 0)
			abort();
		if (pids[i] == 0)
			read_frames(shared, ring, i, end_lsn);
	}
	for (int i = 0; i < nframes; i++)
	{
		if (i % clear_every == clear_every - 1)
			ws_ring_clear(ring);
		lsn = put_frame(ring, lsn);
		if (random_of(lsn, 16) == 0)
			sched_yield();
	}
	for (int i = 0; i < (int) lengthof(pids); i++)
	{
		int			status;

		failed += waitpid(pids[i], &status, 0) != pids[i] || status != 0;
		taken += shared->counts[i].taken;
		lost += shared->counts[i].lost;
		wrong += shared->counts[i].wrong;
		damaged += shared->counts[i].damaged;
	}
	is(failed, 0, "%zu bytes: all readers come to the end", size);
	is(wrong, 0, "%zu bytes: every frame taken is right", size);
	is(damaged, 0, "%zu bytes: none is damaged", size);
	diag("%llu frames taken, %llu times fallen out", (unsigned long long) taken,
		 (unsigned long long) lost);
	munmap(shared, sizeof(Shared) + size);
}

int
main(void)
{
	test_init();
	test_sequence();
	test_damage();
	test_concurrent(3000, 100000, 1000);
	test_concurrent(64 * 1024, 100000, 100000);
	return done_testing();
}
