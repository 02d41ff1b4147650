/*-------------------------------------------------------------------------
 *
 * test_codec_damage.c
 *	  What every codec of the table must do with blocks that are damaged, cut,
 *	  or not its own.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "blocks.h"
#include "tap.h"
#include "testdata.h"

/*
 * Blocks that are truncated, extended, or announced with a wrong length; first
 * tells whether the block is the first one after a restart.
 */
static void
test_lengths(bool first)
{
	const size_t len = 600;
	const char *which = first ? "first" : "later";
	void	   *encoder = new_codec_encoder(1);
	void	   *decoder = new_codec_decoder();
	Block		before = encode_block(encoder, raw, 300);
	Block		block;
	uint8	   *longer;
	size_t		refused = 0;

	if (first)
		codec->encoder_restart(encoder);
	block = encode_block(encoder, raw + 300, len);
	longer = guard_alloc(block.len + 8);
	memset(longer, 0, block.len + 8);
	memcpy(longer, block.bytes, block.len);

#define PREPARE() \
	(codec->decoder_restart(decoder), \
	 first || decodes_to(decoder, &before, raw, 300))

	for (size_t cut = 0; cut < block.len; cut++)
	{
		if (PREPARE() && refuses(decoder, block.bytes, cut, len))
			refused++;
	}
	is(refused, block.len, "%s: %s block cut at any byte is refused",
	   codec_name, which);

	refused = 0;
	for (size_t more = 1; more <= 8; more++)
	{
		if (PREPARE() && refuses(decoder, longer, block.len + more, len))
			refused++;
	}
	is(refused, 8, "%s: %s block with bytes left over is refused", codec_name,
	   which);

	for (int off = -2; off <= 2; off++)
	{
		WsStatus	expected = off == 0 ? WS_OK : WS_E_LENGTH;

		ok(PREPARE() && decode_block(decoder, block.lsn, block.bytes, block.len,
									 len + off, NULL, NULL) == expected,
		   "%s: %s block announced %d bytes off", codec_name, which, off);
		if (first && off != 0)
			ok(decodes_to(decoder, &block, raw + 300, len),
			   "%s: after which the decoder has restarted", codec_name);
	}
	ok(PREPARE() && decode_block(decoder, block.lsn, block.bytes, block.len, 1, NULL,
								 NULL) == WS_E_LENGTH, "%s: %s block announced as 1 byte", codec_name, which);
	ok(PREPARE() && decode_block(decoder, block.lsn, block.bytes, block.len, MAX_RAW,
								 NULL, NULL) == WS_E_LENGTH, "%s: %s block announced as 1 MB", codec_name, which);
	ok(PREPARE() && decodes_to(decoder, &block, raw + 300, len),
	   "%s: after all this the decoder decodes it", codec_name);
#undef PREPARE

	guard_free(longer);
	free_block(&before);
	free_block(&block);
	ws_codec_encoder_free(encoder);
	codec->decoder_free(decoder);
}

/*
 * Flip every bit of two blocks, one at a time.  The result may be wrong (the
 * frame's check value finds that), but nothing may be written outside the
 * buffer, and after a restart the decoder works again.
 */
static void
test_flips(size_t len)
{
	void	   *encoder = new_codec_encoder(1);
	void	   *decoder = new_codec_decoder();
	Block		blocks[2];
	int			wild = 0;
	int			unusable = 0;
	int			refused = 0;

	blocks[0] = encode_block(encoder, raw, len);
	blocks[1] = encode_block(encoder, raw + len, len);

	for (int which = 0; which < 2; which++)
	{
		Block	   *block = &blocks[which];

		for (size_t bit = 0; bit < block->len * 8; bit++)
		{
			WsStatus	status;

			codec->decoder_restart(decoder);
			if (which == 1 && !decodes_to(decoder, &blocks[0], raw, len))
				unusable++;

			block->bytes[bit / 8] ^= 1 << (bit % 8);
			status = decode_block(decoder, block->lsn, block->bytes, block->len, len,
								  NULL, NULL);
			block->bytes[bit / 8] ^= 1 << (bit % 8);

			if (status == WS_E_CODEC || status == WS_E_LENGTH)
				refused++;
			else if (status != WS_OK)
				wild++;
		}
	}
	codec->decoder_restart(decoder);
	if (!decodes_to(decoder, &blocks[0], raw, len) ||
		!decodes_to(decoder, &blocks[1], raw + len, len))
		unusable++;

	is(wild, 0, "%s: flipped bits in blocks of %zu bytes do no harm",
	   codec_name, len);
	is(unusable, 0, "%s: and leave the decoder usable", codec_name);
	ok(refused > 0, "%s: %d flips were refused", codec_name, refused);

	free_block(&blocks[0]);
	free_block(&blocks[1]);
	ws_codec_encoder_free(encoder);
	codec->decoder_free(decoder);
}

/* Blocks of another codec, and bytes that no codec has encoded. */
static void
test_foreign_input(void)
{
	const WsCodec *mine = codec;
	void	   *decoder = new_codec_decoder();
	uint8	   *junk = guard_alloc(1000);

	for (int id = 1; id <= WS_MAX_CODECS; id++)
	{
		void	   *encoder;
		Block		block;

		codec = ws_codec_by_id(id);
		if (codec == NULL || codec == mine)
			continue;
		encoder = new_codec_encoder(1);
		block = encode_block(encoder, raw, 1000);
		ws_codec_encoder_free(encoder);

		codec = mine;
		ok(refuses(decoder, block.bytes, block.len, 1000),
		   "%s: refuses what %s encodes", codec_name, ws_codec_by_id(id)->name);
		free_block(&block);
	}
	codec = mine;

	ok(refuses(decoder, raw, 1000, 1000), "%s: refuses plain bytes", codec_name);
	memset(junk, 0, 1000);
	ok(refuses(decoder, junk, 1000, 1000), "%s: refuses zeros", codec_name);
	memset(junk, 0xff, 1000);
	ok(refuses(decoder, junk, 1000, 1000), "%s: refuses ones", codec_name);

	guard_free(junk);
	codec->decoder_free(decoder);
}

static void
test_damage(bool wal)
{
	test_flips(40);
	test_flips(700);

	/*
	 * A truncated modelled block can stand for other records of the same
	 * length: only the frame's check value finds that.
	 */
	if (wal)
		return;
	test_lengths(true);
	test_lengths(false);
	test_foreign_input();
}

int
main(void)
{
	for_each_codec(test_damage);
	return done_testing();
}
