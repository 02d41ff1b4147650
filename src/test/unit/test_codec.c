/*-------------------------------------------------------------------------
 *
 * test_codec.c
 *	  What every codec of the table must do.
 *
 * The same tests run over each codec; nothing here knows one of them.  What
 * is particular to a codec's format is in test_codec_format.c.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "codec.h"
#include "tap.h"
#include "testdata.h"

/* address sanitizer's; its headers are not installed with every compiler */
extern size_t __sanitizer_get_current_allocated_bytes(void);

#define MAX_RAW		(1024 * 1024)	/* 16 WAL blocks of 64 kB */

static const WsCodec *codec;
static uint8 *raw;				/* MAX_RAW bytes, like WAL */

static WsCodecParams
level_params(int level)
{
	WsCodecParams params = {
		.level = level,
		.wal_block_size = 8192,
		.wal_segment_size = 16 * 1024 * 1024,
		.wal_page_magic = 0xd110
	};

	return params;
}

static void *
new_encoder(int level)
{
	WsCodecParams params = level_params(level);
	void	   *encoder = codec->encoder_new(&params);

	if (encoder == NULL)
		abort();
	return encoder;
}

static void *
new_decoder(void)
{
	WsCodecParams params = level_params(0);
	void	   *decoder = codec->decoder_new(&params);

	if (decoder == NULL)
		abort();
	return decoder;
}

/* An encoded block, in a buffer of exactly the bound. */
typedef struct Block
{
	WsStatus	status;
	uint8	   *bytes;
	size_t		len;
	size_t		bound;
} Block;

static Block
encode(void *encoder, const uint8 *src, size_t len)
{
	Block		block;

	block.bound = codec->encode_bound(len);
	block.bytes = guard_alloc(block.bound);
	block.status = codec->encode(encoder, 0, src, len,
								 block.bytes, block.bound, &block.len);
	if (!guard_intact(block.bytes, block.bound) || block.len > block.bound)
		block.status = WS_E_TOO_LARGE;
	return block;
}

static void
free_block(Block *block)
{
	guard_free(block->bytes);
}

/*
 * Decode into a buffer of exactly dst_len bytes.  *same says whether the
 * result is what is at expected; may be NULL.  A write outside the buffer is
 * reported as a status that no test expects.
 */
static WsStatus
decode(void *decoder, const uint8 *src, size_t src_len, size_t dst_len,
	   const uint8 *expected, bool *same)
{
	uint8	   *dst = guard_alloc(dst_len);
	WsStatus	status;

	status = codec->decode(decoder, 0, src, src_len, dst, dst_len);
	if (!guard_intact(dst, dst_len))
		status = WS_E_POSITION;
	if (same != NULL)
		*same = memcmp(dst, expected, dst_len) == 0;
	guard_free(dst);
	return status;
}

static bool
decodes_to(void *decoder, const Block *block, const uint8 *src, size_t len)
{
	bool		same;

	return block->status == WS_OK &&
		decode(decoder, block->bytes, block->len, len, src, &same) == WS_OK &&
		same;
}

/* Refused, as bytes of a codec are, and not by luck or by a wild write. */
static bool
refuses(void *decoder, const uint8 *src, size_t src_len, size_t dst_len)
{
	WsStatus	status = decode(decoder, src, src_len, dst_len, NULL, NULL);

	return status == WS_E_CODEC || status == WS_E_LENGTH;
}

/* Is every block decoded as soon as it is there, whatever its size? */
static void
test_sizes(int level)
{
	static const size_t sizes[] = {
		1, 2, 1, 3, 7, 100, 450, 8192, 8191, 1, 65535, 65536, 65537,
		131072, 131073, 262144, 17, MAX_RAW, 5, MAX_RAW - 1, 450
	};
	void	   *encoder = new_encoder(level);
	void	   *decoder = new_decoder();
	int			good = 0;

	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		const uint8 *src = raw + (MAX_RAW - sizes[i]) / 2;
		Block		block = encode(encoder, src, sizes[i]);

		if (decodes_to(decoder, &block, src, sizes[i]))
			good++;
		else
			diag("block %zu of %zu bytes is wrong", i, sizes[i]);
		free_block(&block);
	}
	is(good, lengthof(sizes), "%s:%d blocks of 1 byte to 1 MB, one history",
	   codec->name, level);

	codec->encoder_free(encoder);
	codec->decoder_free(decoder);
}

static void
test_single_bytes(void)
{
	void	   *encoder = new_encoder(1);
	void	   *decoder = new_decoder();
	int			good = 0;

	for (int i = 0; i < 3000; i++)
	{
		Block		block = encode(encoder, raw + i, 1);

		if (decodes_to(decoder, &block, raw + i, 1))
			good++;
		free_block(&block);
	}
	is(good, 3000, "%s: 3000 blocks of 1 byte", codec->name);

	codec->encoder_free(encoder);
	codec->decoder_free(decoder);
}

/* Nothing encodes to nothing, also where a stream begins. */
static void
test_empty(void)
{
	void	   *encoder = new_encoder(1);
	void	   *decoder = new_decoder();
	Block		empty = encode(encoder, raw, 0);
	Block		block = encode(encoder, raw, 100);

	ok(empty.status == WS_OK && empty.len == 0, "%s: no bytes give no bytes",
	   codec->name);
	is(decode(decoder, empty.bytes, 0, 0, NULL, NULL), WS_OK,
	   "%s: no bytes decode to no bytes", codec->name);
	is(decode(decoder, empty.bytes, 0, 1, NULL, NULL), WS_E_LENGTH,
	   "%s: no bytes do not decode to a byte", codec->name);
	is(decode(decoder, block.bytes, block.len, 0, NULL, NULL), WS_E_LENGTH,
	   "%s: a block does not decode to no bytes", codec->name);
	ok(decodes_to(decoder, &block, raw, 100), "%s: the block does to its own",
	   codec->name);

	free_block(&empty);
	free_block(&block);
	codec->encoder_free(encoder);
	codec->decoder_free(decoder);
}

/* The second of two equal random blocks is short by the first alone. */
static void
test_history(void)
{
	const size_t len = 8192;
	WsCodecParams params = level_params(1);
	void	   *encoder = new_encoder(1);
	void	   *decoder = new_decoder();
	void	   *late = new_decoder();
	uint8	   *src = guard_alloc(len);
	Block		first,
				second,
				restarted;

	fill_random(src, len, 7);
	first = encode(encoder, src, len);
	second = encode(encoder, src, len);
	is(codec->encoder_restart(encoder, &params), WS_OK, "%s: encoder restarts",
	   codec->name);
	restarted = encode(encoder, src, len);

	ok(first.len >= len, "%s: a random block does not shrink", codec->name);
	ok(second.len < len / 20, "%s: history makes it small (%zu bytes)",
	   codec->name, second.len);
	ok(restarted.len == first.len &&
	   memcmp(restarted.bytes, first.bytes, first.len) == 0,
	   "%s: a restart forgets history", codec->name);

	ok(refuses(late, second.bytes, second.len, len),
	   "%s: a block is not decoded without those before it", codec->name);
	ok(decodes_to(late, &restarted, src, len),
	   "%s: a block after a restart is", codec->name);

	ok(decodes_to(decoder, &first, src, len) &&
	   decodes_to(decoder, &second, src, len),
	   "%s: with history both are decoded", codec->name);
	ok(refuses(decoder, restarted.bytes, restarted.len, len),
	   "%s: a restart that the decoder does not know of is refused", codec->name);
	is(codec->decoder_restart(decoder), WS_OK, "%s: decoder restarts",
	   codec->name);
	ok(decodes_to(decoder, &restarted, src, len) &&
	   decodes_to(decoder, &second, src, len),
	   "%s: after it the decoder goes on", codec->name);

	free_block(&first);
	free_block(&second);
	free_block(&restarted);
	guard_free(src);
	codec->encoder_free(encoder);
	codec->decoder_free(decoder);
	codec->decoder_free(late);
}

/* A restart at another level gives what a new encoder at that level gives. */
static void
test_level_change(void)
{
	const size_t len = 200000;
	static const int levels[] = {9, 1, 3, 9};
	void	   *encoder = new_encoder(1);
	Block		before = encode(encoder, raw, len);
	size_t		smallest = before.len;

	for (size_t i = 0; i < lengthof(levels); i++)
	{
		WsCodecParams params = level_params(levels[i]);
		void	   *fresh = new_encoder(levels[i]);
		WsStatus	status = codec->encoder_restart(encoder, &params);
		Block		a = encode(encoder, raw, len);
		Block		b = encode(fresh, raw, len);

		ok(status == WS_OK && a.status == WS_OK && b.status == WS_OK &&
		   a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0,
		   "%s: restarted at level %d", codec->name, levels[i]);
		smallest = Min(smallest, a.len);
		free_block(&a);
		free_block(&b);
		codec->encoder_free(fresh);
	}
	ok(smallest < before.len, "%s: a higher level gives fewer bytes",
	   codec->name);

	free_block(&before);
	codec->encoder_free(encoder);
}

/*
 * Blocks that are cut, longer, or announced wrongly; first is whether the
 * block is the first after a restart.
 */
static void
test_lengths(bool first)
{
	const size_t len = 600;
	const char *which = first ? "first" : "later";
	void	   *encoder = new_encoder(1);
	void	   *decoder = new_decoder();
	Block		before = encode(encoder, raw, 300);
	Block		block;
	uint8	   *longer;
	size_t		refused = 0;

	if (first)
	{
		WsCodecParams params = level_params(1);

		codec->encoder_restart(encoder, &params);
	}
	block = encode(encoder, raw + 300, len);
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
	   codec->name, which);

	refused = 0;
	for (size_t more = 1; more <= 8; more++)
	{
		if (PREPARE() && refuses(decoder, longer, block.len + more, len))
			refused++;
	}
	is(refused, 8, "%s: %s block with bytes left over is refused", codec->name,
	   which);

	for (int off = -2; off <= 2; off++)
	{
		WsStatus	expected = off == 0 ? WS_OK : WS_E_LENGTH;

		ok(PREPARE() && decode(decoder, block.bytes, block.len, len + off,
							   NULL, NULL) == expected,
		   "%s: %s block announced %d bytes off", codec->name, which, off);
		if (first && off != 0)
			ok(decodes_to(decoder, &block, raw + 300, len),
			   "%s: after which the decoder has restarted", codec->name);
	}
	ok(PREPARE() && decode(decoder, block.bytes, block.len, 1, NULL, NULL) ==
	   WS_E_LENGTH, "%s: %s block announced as 1 byte", codec->name, which);
	ok(PREPARE() && decode(decoder, block.bytes, block.len, MAX_RAW, NULL, NULL)
	   == WS_E_LENGTH, "%s: %s block announced as 1 MB", codec->name, which);
	ok(PREPARE() && decodes_to(decoder, &block, raw + 300, len),
	   "%s: after all this the decoder decodes it", codec->name);
#undef PREPARE

	guard_free(longer);
	free_block(&before);
	free_block(&block);
	codec->encoder_free(encoder);
	codec->decoder_free(decoder);
}

/*
 * Every bit of two blocks, flipped alone.  What is decoded may be wrong (that
 * is for the frame's check value to find), but never outside the buffer, and
 * the decoder is good again after a restart.
 */
static void
test_flips(size_t len)
{
	void	   *encoder = new_encoder(1);
	void	   *decoder = new_decoder();
	Block		blocks[2];
	int			wild = 0;
	int			unusable = 0;
	int			refused = 0;

	blocks[0] = encode(encoder, raw, len);
	blocks[1] = encode(encoder, raw + len, len);

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
			status = decode(decoder, block->bytes, block->len, len, NULL, NULL);
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
	   codec->name, len);
	is(unusable, 0, "%s: and leave the decoder usable", codec->name);
	ok(refused > 0, "%s: %d flips were refused", codec->name, refused);

	free_block(&blocks[0]);
	free_block(&blocks[1]);
	codec->encoder_free(encoder);
	codec->decoder_free(decoder);
}

static void
test_incompressible(void)
{
	static const size_t sizes[] = {1, 20, 450, 8192, 131072, MAX_RAW};
	uint8	   *src = guard_alloc(MAX_RAW);
	void	   *encoder = new_encoder(1);
	void	   *decoder = new_decoder();

	fill_random(src, MAX_RAW, 99);
	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		Block		block = encode(encoder, src, sizes[i]);

		/* none grows by more than its headers */
		ok(decodes_to(decoder, &block, src, sizes[i]) &&
		   block.len <= sizes[i] + 32 + sizes[i] / 4096,
		   "%s: %zu random bytes give %zu", codec->name, sizes[i], block.len);
		free_block(&block);
		fill_random(src, MAX_RAW, 100 + i);
	}

	guard_free(src);
	codec->encoder_free(encoder);
	codec->decoder_free(decoder);
}

/* The bound is enough where a stream begins and goes on, and is asked for. */
static void
test_bound(void)
{
	uint8	   *src = guard_alloc(MAX_RAW);
	void	   *encoder = new_encoder(1);
	int			over = 0;
	Block		small;
	size_t		len;
	WsStatus	status;

	fill_random(src, MAX_RAW, 5);
	for (size_t size = 1; size <= MAX_RAW; size += 1 + size / 3)
	{
		for (int round = 0; round < 3; round++)
		{
			WsCodecParams params = level_params(1);
			Block		block;

			if (round == 0)
				codec->encoder_restart(encoder, &params);
			block = encode(encoder, round == 2 ? raw : src, size);
			if (block.status != WS_OK)
				over++;
			free_block(&block);
		}
	}
	is(over, 0, "%s: no block is longer than the bound", codec->name);

	small.bytes = guard_alloc(100);
	status = codec->encode(encoder, 0, src, 8192, small.bytes, 100, &len);
	ok(status == WS_E_TOO_LARGE && guard_intact(small.bytes, 100),
	   "%s: a buffer that is too small is refused", codec->name);
	guard_free(small.bytes);

	guard_free(src);
	codec->encoder_free(encoder);
}

/* What another codec has encoded, and bytes that nothing has. */
static void
test_foreign_input(void)
{
	const WsCodec *mine = codec;
	void	   *decoder = new_decoder();
	uint8	   *junk = guard_alloc(1000);

	for (int id = 1; id <= WS_MAX_CODECS; id++)
	{
		void	   *encoder;
		Block		block;

		codec = ws_codec_by_id(id);
		if (codec == NULL || codec == mine)
			continue;
		encoder = new_encoder(1);
		block = encode(encoder, raw, 1000);
		codec->encoder_free(encoder);

		codec = mine;
		ok(refuses(decoder, block.bytes, block.len, 1000),
		   "%s: refuses what %s encodes", mine->name, ws_codec_by_id(id)->name);
		free_block(&block);
	}
	codec = mine;

	ok(refuses(decoder, raw, 1000, 1000), "%s: refuses plain bytes", codec->name);
	memset(junk, 0, 1000);
	ok(refuses(decoder, junk, 1000, 1000), "%s: refuses zeros", codec->name);
	memset(junk, 0xff, 1000);
	ok(refuses(decoder, junk, 1000, 1000), "%s: refuses ones", codec->name);

	guard_free(junk);
	codec->decoder_free(decoder);
}

/*
 * The memory that a stream holds at level 1, after more than a window of
 * input: 4 MB to encode and 3 MB to decode are promised for all of a stream,
 * of which its buffers take up to 1 MB.  walz has its model beside that, 1 MB
 * on both sides.
 */
static void
test_memory(void)
{
	size_t		base = __sanitizer_get_current_allocated_bytes();
	void	   *encoder = new_encoder(1);
	void	   *decoder;
	size_t		encoder_size;
	size_t		decoder_size;
	size_t		first_size;
	size_t		most;

	first_size = __sanitizer_get_current_allocated_bytes() - base;
	for (int i = 0; i < 4; i++)
	{
		Block		block = encode(encoder, raw, MAX_RAW);

		free_block(&block);
	}
	encoder_size = __sanitizer_get_current_allocated_bytes() - base;
	most = codec->id == WS_CODEC_WALZ ? 4 : 3;
	ok(encoder_size > 0 && encoder_size <= most * 1024 * 1024,
	   "%s: an encoder takes %zu bytes", codec->name, encoder_size);
	is(first_size, encoder_size, "%s: from the beginning", codec->name);
	codec->encoder_free(encoder);

	encoder = new_encoder(1);
	base = __sanitizer_get_current_allocated_bytes();
	decoder = new_decoder();
	for (int i = 0; i < 4; i++)
	{
		Block		block = encode(encoder, raw, MAX_RAW);

		if (!decodes_to(decoder, &block, raw, MAX_RAW))
			abort();
		free_block(&block);
	}
	decoder_size = __sanitizer_get_current_allocated_bytes() - base;
	most = codec->id == WS_CODEC_WALZ ? 3 : 2;
	ok(decoder_size > 0 && decoder_size <= most * 1024 * 1024,
	   "%s: a decoder takes %zu bytes", codec->name, decoder_size);

	codec->decoder_free(decoder);
	codec->encoder_free(encoder);
}

static void
test_table(void)
{
	int			count = 0;

	for (int id = -1; id <= WS_MAX_CODECS + 1; id++)
	{
		const WsCodec *found = ws_codec_by_id(id);

		if (found == NULL)
			continue;
		count++;
		ok(id >= 1 && id <= WS_MAX_CODECS && (int) found->id == id,
		   "%s has number %d", found->name, id);
		ok(ws_codec_by_name(found->name, strlen(found->name)) == found,
		   "%s is found by name", found->name);
		ok(ws_codec_by_name(found->name, strlen(found->name) - 1) == NULL,
		   "%s is not found by a part of it", found->name);
	}
	ok(ws_codec_by_name("zstd lz4", 4) == &ws_codec_zstd,
	   "a name need not be terminated");
	ok(ws_codec_by_name("ZSTD", 4) == NULL, "upper case is another name");
	ok(ws_codec_by_name("", 0) == NULL, "the empty name is none");
	is(count, 3, "number of codecs");
}

int
main(void)
{
	raw = guard_alloc(MAX_RAW);
	fill_records(raw, MAX_RAW, 1);

	test_table();
	for (int id = 1; id <= WS_MAX_CODECS; id++)
	{
		codec = ws_codec_by_id(id);
		if (codec == NULL)
			continue;
		test_sizes(1);
		test_sizes(2);
		test_sizes(5);
		test_single_bytes();
		test_empty();
		test_history();
		test_level_change();
		test_lengths(true);
		test_lengths(false);
		test_flips(40);
		test_flips(700);
		test_incompressible();
		test_bound();
		test_foreign_input();
		test_memory();

		codec->encoder_free(NULL);
		codec->decoder_free(NULL);
	}
	guard_free(raw);
	return done_testing();
}
