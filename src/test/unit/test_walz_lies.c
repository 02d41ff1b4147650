/*-------------------------------------------------------------------------
 *
 * test_walz_lies.c
 *	  The codec walz's decoder with well-formed blocks that contain impossible
 *	  values.
 *
 * A flipped bit mostly yields noise, which the range coder amplifies.  Here an
 * encoder lies once: the linker replaces the functions that encode a number
 * and a choice by the functions below, one of which encodes another value than
 * it was given.  The decoder may accept a possible value, since the frame's
 * CRC is checked above it; but it must not write out of bounds or hang, and it
 * must refuse what is impossible.
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/walz/piece.h"
#include "tap.h"
#include "testdata.h"
#include "walpairs.h"

#define WAL_SIZE	(100 * 1024)
#define MAX_BLOCK	(128 * 1024)

/* How many lies of each kind are told, each at a different moment. */
#define LIES		60

static int	numbers;
static int	choices;
static size_t seen;				/* bytes of the stream of choices */

/* The number or choice at which the lie is told, counted from 1; 0: none. */
static int	lying_number;
static int	lying_choice;
static uint64 lie;
static bool lie_is_added;

extern uint64 __real_ws_walz_number(WsWalzIo *io, uint32 context, uint64 value);
extern uint64 __wrap_ws_walz_number(WsWalzIo *io, uint32 context, uint64 value);
extern uint8 __real_ws_walz_range_byte(WsWalzIo *io, uint32 context, uint8 value);
extern uint8 __wrap_ws_walz_range_byte(WsWalzIo *io, uint32 context, uint8 value);

uint64
__wrap_ws_walz_number(WsWalzIo *io, uint32 context, uint64 value)
{
	if (io->decoding || ++numbers != lying_number)
		return __real_ws_walz_number(io, context, value);
	(void) __real_ws_walz_number(io, context, lie_is_added ? value + lie : lie);
	return value;
}

uint8
__wrap_ws_walz_range_byte(WsWalzIo *io, uint32 context, uint8 value)
{
	if (io->decoding || ++choices != lying_choice)
		return __real_ws_walz_range_byte(io, context, value);
	(void) __real_ws_walz_range_byte(io, context,
									 (uint8) (lie_is_added ? value + lie : lie));
	return value;
}

/*
 * In large blocks choices are bytes of a stream, which is examined after each
 * record.
 */
static void
observe(void *arg, int rmid pg_attribute_unused(), size_t raw pg_attribute_unused(),
		size_t encoded pg_attribute_unused())
{
	WsWalzIo   *io = &((WsWalz *) arg)->io;

	if (io->mode == WS_WALZ_RANGE)
		return;
	if (io->code.len < seen)
		seen = 0;
	for (; seen < io->code.len; seen++)
	{
		if (++choices == lying_choice)
			io->code.data[seen] = (uint8) (lie_is_added ? io->code.data[seen] + lie : lie);
	}
}

/*
 * Encode the WAL in blocks of this size, and decode each into guarded memory,
 * up to the first that is refused; WS_OK if none is.
 */
static WsStatus
pass_wal(const WalGen *gen, size_t block, bool *intact)
{
	WsCodecParams params = usual;
	WsWalz	   *encoder;
	WsWalz	   *decoder;
	uint8	   *encoded = malloc(ws_codec_walz.encode_bound(MAX_BLOCK));
	uint8	   *decoded = guard_alloc(MAX_BLOCK);
	WsStatus	status = WS_OK;

	params.level = 1;
	encoder = ws_codec_encoder_new(&ws_codec_walz, &params);
	decoder = ws_codec_walz.decoder_new(&params);
	ws_walz_encoder_observe(encoder, observe, encoder);
	numbers = 0;
	choices = 0;
	seen = 0;
	for (size_t pos = 0; pos < gen->len && status == WS_OK; pos += block)
	{
		size_t		n = Min(block, gen->len - pos);
		uint8	   *dst = decoded + MAX_BLOCK - n;
		size_t		len;

		/* not through the codec, whose verification would find the lie */
		ws_walz_go_to(encoder, gen->start + pos);
		if (ws_walz_encode(encoder, gen->buf + pos, n, encoded,
						   ws_codec_walz.encode_bound(MAX_BLOCK), &len) != WS_OK)
			break;
		status = ws_codec_walz.decode(decoder, gen->start + pos, encoded, len,
									  dst, n);
	}
	*intact = guard_intact(decoded, MAX_BLOCK);
	ws_codec_encoder_free(encoder);
	ws_codec_walz.decoder_free(decoder);
	guard_free(decoded);
	free(encoded);
	return status;
}

static void
test_lie(const WalGen *gen, size_t block, bool of_numbers, uint64 value, bool added)
{
	int			refused = 0;
	int			wrong = 0;
	int			all;
	bool		intact;

	lying_number = lying_choice = 0;
	if (pass_wal(gen, block, &intact) != WS_OK || !intact)
		wrong++;
	all = of_numbers ? numbers : choices;
	lie = value;
	lie_is_added = added;
	for (int i = 0; i < LIES && all > 0; i++)
	{
		int			at = 1 + (int) ((int64) all * i / LIES);
		WsStatus	status;

		lying_number = of_numbers ? at : 0;
		lying_choice = of_numbers ? 0 : at;
		status = pass_wal(gen, block, &intact);
		refused += status != WS_OK;
		wrong += !intact ||
			(status != WS_OK && status != WS_E_CODEC && status != WS_E_LENGTH);
	}
	ok(wrong == 0, "blocks of %zu: a %s that is %s" UINT64_FORMAT " (of %d), refused %d of %d",
	   block, of_numbers ? "number" : "choice", added ? "larger by " : "", value,
	   all, refused, LIES);
}

int
main(void)
{
	static const uint64 lies[] = {
		0, 1, 255, 65536, PG_INT32_MAX, PG_UINT64_MAX
	};
	static const size_t blocks[] = {1500, MAX_BLOCK};
	WalGen		gen;

	walgen_init(&gen, &usual, 16 * MB, WAL_SIZE, 7);
	walgen_fill_to(&gen, WAL_SIZE / 3);
	walgen_images(&gen, 3, 100, 40, 60);
	walgen_rows(&gen, 40);
	walgen_fill(&gen);

	for (size_t b = 0; b < lengthof(blocks); b++)
	{
		for (size_t i = 0; i < lengthof(lies); i++)
		{
			test_lie(&gen, blocks[b], true, lies[i], false);
			if (lies[i] > PG_UINT8_MAX)
				continue;
			test_lie(&gen, blocks[b], false, lies[i], false);
			if (lies[i] == 0)
				continue;
			test_lie(&gen, blocks[b], true, lies[i], true);
			test_lie(&gen, blocks[b], false, lies[i], true);
		}
	}

	walgen_free(&gen);
	return done_testing();
}
