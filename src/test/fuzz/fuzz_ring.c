/*-------------------------------------------------------------------------
 *
 * fuzz_ring.c
 *	  Fuzz target: frames in a ring, taken by readers that may be late, from
 *	  memory in which bits flip.
 *
 * Two bytes are the size of the block, one the length that is assumed on
 * average; steps follow, each a byte that says what, and its arguments.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "pure/share/ring.h"
#include "testdata.h"

#define MAX_LEN		700
#define MAX_FRAMES	5000
#define NREADERS	3

/* The head; a flipped bit in it is not noticed. */
#define HEAD_SIZE	128

typedef struct Target
{
	WsRing	   *ring;
	uint8	   *block;
	size_t		size;
	WsRingFrame frames[MAX_FRAMES]; /* all that have been published */
	uint64		nframes;
	uint64		cleared;		/* frames below this number are gone */
	bool		intact;			/* no bit has flipped, and the last frame has
								 * not been overwritten */
	WsRingReader readers[NREADERS];
} Target;

static void
publish(Target *target, uint32 len, uint32 raw_len, uint32 what)
{
	WsRingFrame *frame = &target->frames[target->nframes];
	bool		first = target->nframes == target->cleared;
	uint8	   *to = ws_ring_reserve(target->ring, len);

	REQUIRE(to != NULL);
	REQUIRE(to >= target->block && to + len <= target->block + target->size);
	frame->start_lsn = first ? (XLogRecPtr) what * 1000 + 1 :
		frame[-1].start_lsn + frame[-1].raw_len;
	frame->raw_len = raw_len + 1;
	frame->len = len;
	frame->content_crc = what * 77;
	frame->codec = (WsCodecId) (what % (WS_MAX_CODECS + 1));
	frame->restart = what & 1;
	frame->cost_ns = (uint64) what << 32;
	fill_random(to, len, target->nframes);
	ws_ring_publish(target->ring, frame);
	target->nframes++;
	target->intact = true;
	REQUIRE(ws_ring_end(target->ring) == frame->start_lsn + frame->raw_len);
}

static void
take(Target *target, WsRingReader *reader, bool flipped)
{
	static uint8 expected[MAX_LEN];
	WsRingReader before = *reader;
	WsRingFrame *put = &target->frames[before.number];
	WsRingFrame frame;
	uint8	   *dst = guard_alloc(MAX_LEN);
	WsRingStatus status = ws_ring_take(target->ring, reader, &frame, dst);

	REQUIRE(guard_intact(dst, MAX_LEN));
	if (status == WS_RING_FOUND)
	{
		REQUIRE(before.number >= target->cleared && before.number < target->nframes);
		REQUIRE(frame.start_lsn == put->start_lsn && frame.start_lsn == before.lsn);
		REQUIRE(frame.raw_len == put->raw_len && frame.len == put->len);
		REQUIRE(frame.content_crc == put->content_crc && frame.codec == put->codec);
		REQUIRE(frame.restart == put->restart && frame.cost_ns == put->cost_ns);
		fill_random(expected, frame.len, before.number);
		REQUIRE(memcmp(dst, expected, frame.len) == 0);
		REQUIRE(reader->number == before.number + 1);
		REQUIRE(reader->lsn == before.lsn + frame.raw_len);
	}
	else
	{
		REQUIRE(reader->number == before.number && reader->lsn == before.lsn);
		REQUIRE((status == WS_RING_AT_END) == (before.number >= target->nframes));
		REQUIRE(status != WS_RING_DAMAGED || flipped);

		/* the last one is there, if the reader waited for that one */
		REQUIRE(flipped || !target->intact || before.number + 1 != target->nframes ||
				before.lsn != put->start_lsn);
	}
	guard_free(dst);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Target target;
	FuzzInput	input = {data, size};
	bool		flipped = false;
	uint8	   *whole;

	memset(&target, 0, offsetof(Target, frames));
	memset(target.readers, 0, sizeof(target.readers));
	target.nframes = target.cleared = 0;
	target.intact = false;
	target.size = take_number(&input, 2) % 16384;
	whole = guard_alloc(target.size + WS_RING_ALIGN);
	memset(whole, 0xA5, target.size + WS_RING_ALIGN);
	target.block = (uint8 *) TYPEALIGN(WS_RING_ALIGN, whole);
	target.ring = ws_ring_init(target.block, target.size, MAX_LEN,
							   take_number(&input, 1));
	while (target.ring != NULL && input.len > 0 && target.nframes < MAX_FRAMES - 1)
	{
		uint32		what = take_number(&input, 1);
		WsRingReader *reader = &target.readers[what / 8 % NREADERS];

		switch (what % 8)
		{
			default:
				publish(&target, take_number(&input, 2) % (MAX_LEN + 1),
						take_number(&input, 1), what);
				break;
			case 1:
				ws_ring_clear(target.ring);

				/* which leaves a number out */
				memset(&target.frames[target.nframes++], 0, sizeof(WsRingFrame));
				target.cleared = target.nframes;
				target.intact = false;
				REQUIRE(ws_ring_end(target.ring) == InvalidXLogRecPtr);
				break;
			case 2:
				{
					/* a writer that dies before it publishes */
					uint32		len = take_number(&input, 2) % MAX_LEN;
					uint8	   *to = ws_ring_reserve(target.ring, len);

					REQUIRE(to != NULL);
					memset(to, 0x5A, len);
					target.intact = false;
				}
				break;
			case 3:
			case 4:
				take(&target, reader, flipped);
				break;
			case 5:
				if (target.nframes > 0)
				{
					uint64		number = take_number(&input, 2) % target.nframes;

					(void) ws_ring_seek(target.ring, target.frames[number].start_lsn,
										reader);
				}
				break;
			case 6:
				(void) ws_ring_seek(target.ring, ws_ring_end(target.ring), reader);
				break;
			case 7:
				{
					uint32		byte = HEAD_SIZE + take_number(&input, 2);

					if (byte < target.size)
						target.block[byte] ^= 1 << what / 32;
					flipped = true;
				}
				break;
		}
		REQUIRE(guard_intact(whole, target.size + WS_RING_ALIGN));
	}
	guard_free(whole);
	return 0;
}
