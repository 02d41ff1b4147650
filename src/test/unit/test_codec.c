/*-------------------------------------------------------------------------
 *
 * test_codec.c
 *	  What every codec of the table must do.
 *
 * The same tests run over each codec, and are not specific to any.  Input that
 * must be refused is in test_codec_damage.c, and what is specific to a codec's
 * format in test_codec_format.c and test_walz_format.c.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "blocks.h"
#include "tap.h"
#include "testdata.h"
#include "walpairs.h"

/* address sanitizer's; its headers are not installed with every compiler */
extern size_t __sanitizer_get_current_allocated_bytes(void);

/* Every block can be decoded as soon as it is complete, whatever its size. */
static void
test_sizes(int level)
{
	static const size_t sizes[] = {
		1, 2, 1, 3, 7, 100, 450, 8192, 8191, 1, 65535, 65536, 65537,
		131072, 131073, 262144, 17, MAX_RAW, 5, MAX_RAW - 1, 450
	};
	void	   *encoder = new_codec_encoder(level);
	void	   *decoder = new_codec_decoder();
	int			good = 0;

	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		const uint8 *src = raw + (MAX_RAW - sizes[i]) / 2;
		Block		block = encode_block(encoder, src, sizes[i]);

		if (decodes_to(decoder, &block, src, sizes[i]))
			good++;
		else
			diag("block %zu of %zu bytes is wrong", i, sizes[i]);
		free_block(&block);
	}
	is(good, lengthof(sizes), "%s:%d blocks of 1 byte to 1 MB, one history",
	   codec_name, level);

	ws_codec_encoder_free(encoder);
	codec->decoder_free(decoder);
}

static void
test_single_bytes(void)
{
	void	   *encoder = new_codec_encoder(1);
	void	   *decoder = new_codec_decoder();
	int			good = 0;

	for (int i = 0; i < 3000; i++)
	{
		Block		block = encode_block(encoder, raw + i, 1);

		if (decodes_to(decoder, &block, raw + i, 1))
			good++;
		free_block(&block);
	}
	is(good, 3000, "%s: 3000 blocks of 1 byte", codec_name);

	ws_codec_encoder_free(encoder);
	codec->decoder_free(decoder);
}

/* An empty block encodes to nothing, even at the beginning of a stream. */
static void
test_empty(void)
{
	void	   *encoder = new_codec_encoder(1);
	void	   *decoder = new_codec_decoder();
	Block		empty = encode_block(encoder, raw, 0);
	Block		block = encode_block(encoder, raw, 100);

	ok(empty.status == WS_OK && empty.len == 0, "%s: no bytes give no bytes",
	   codec_name);
	is(decode_block(decoder, 0, empty.bytes, 0, 0, NULL, NULL), WS_OK,
	   "%s: no bytes decode to no bytes", codec_name);
	is(decode_block(decoder, 0, empty.bytes, 0, 1, NULL, NULL), WS_E_LENGTH,
	   "%s: no bytes do not decode to a byte", codec_name);
	is(decode_block(decoder, block.lsn, block.bytes, block.len, 0, NULL, NULL), WS_E_LENGTH,
	   "%s: a block does not decode to no bytes", codec_name);
	ok(decodes_to(decoder, &block, raw, 100), "%s: the block does to its own",
	   codec_name);

	free_block(&empty);
	free_block(&block);
	ws_codec_encoder_free(encoder);
	codec->decoder_free(decoder);
}

/* Of two equal random blocks the second is short, because of the first. */
static void
test_history(void)
{
	const size_t len = 8192;
	void	   *encoder = new_codec_encoder(1);
	void	   *decoder = new_codec_decoder();
	void	   *late = new_codec_decoder();
	uint8	   *src = guard_alloc(len);
	Block		first,
				second,
				restarted;

	fill_random(src, len, 7);
	first = encode_block(encoder, src, len);
	second = encode_block(encoder, src, len);
	is(codec->encoder_restart(encoder), WS_OK, "%s: encoder restarts",
	   codec_name);
	restarted = encode_block(encoder, src, len);

	ok(first.len >= len, "%s: a random block does not shrink", codec_name);
	ok(second.len < len / 20, "%s: history makes it small (%zu bytes)",
	   codec_name, second.len);
	ok(restarted.len == first.len &&
	   memcmp(restarted.bytes, first.bytes, first.len) == 0,
	   "%s: a restart forgets history", codec_name);

	ok(refuses(late, second.bytes, second.len, len),
	   "%s: a block is not decoded without those before it", codec_name);
	ok(decodes_to(late, &restarted, src, len),
	   "%s: a block after a restart is", codec_name);

	ok(decodes_to(decoder, &first, src, len) &&
	   decodes_to(decoder, &second, src, len),
	   "%s: with history both are decoded", codec_name);
	ok(refuses(decoder, restarted.bytes, restarted.len, len),
	   "%s: a restart that the decoder does not know of is refused", codec_name);
	is(codec->decoder_restart(decoder), WS_OK, "%s: decoder restarts",
	   codec_name);
	ok(decodes_to(decoder, &restarted, src, len) &&
	   decodes_to(decoder, &second, src, len),
	   "%s: after it the decoder goes on", codec_name);

	free_block(&first);
	free_block(&second);
	free_block(&restarted);
	guard_free(src);
	ws_codec_encoder_free(encoder);
	codec->decoder_free(decoder);
	codec->decoder_free(late);
}

/* History reaches over many small blocks: the same bytes come again after 50 kB. */
static void
test_long_history(void)
{
	const size_t len = 1000;
	void	   *encoder = new_codec_encoder(1);
	void	   *decoder = new_codec_decoder();
	uint8	   *src = guard_alloc(len);
	size_t		first_len = 0;
	size_t		again = 0;
	bool		good = true;

	/* each piece is read into the same memory, as a walsender does */
	for (int i = 0; i < 500; i++)
	{
		Block		block;

		fill_random(src, len, i % 50);
		block = encode_block(encoder, src, len);
		good &= decodes_to(decoder, &block, src, len);
		if (i < 50)
			first_len += block.len;
		else
			again += block.len;
		free_block(&block);
	}
	ok(good && again < first_len,
	   "%s: 50 small blocks take %zu bytes, and %zu when they come nine times again",
	   codec_name, first_len, again);
	guard_free(src);
	codec->decoder_free(decoder);
	ws_codec_encoder_free(encoder);
}

/*
 * An encoder made in memory that another one has used, at another level, writes
 * what one in new memory writes.
 */
static void
test_level_change(void)
{
	const size_t len = 200000;
	static const int levels[] = {1, 9, 1, 3, 9};
	uint8	   *encoder = aligned_alloc(WS_ENCODER_ALIGN, 32 * MAX_RAW);
	size_t		first_len = 0;
	size_t		smallest = 0;

	memset(encoder, 0xA5, 32 * MAX_RAW);
	for (size_t i = 0; i < lengthof(levels); i++)
	{
		WsCodecParams params = level_params(levels[i]);
		void	   *fresh = new_codec_encoder(levels[i]);
		WsStatus	status = codec->encoder_init(encoder, &params);
		Block		a = encode_block(encoder, raw, len);
		Block		b = encode_block(fresh, raw, len);

		ok(codec->encoder_size(&params) <= 32 * MAX_RAW &&
		   status == WS_OK && a.status == WS_OK && b.status == WS_OK &&
		   a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0,
		   "%s: in the same memory at level %d", codec_name, levels[i]);
		if (i == 0)
			first_len = smallest = a.len;
		smallest = Min(smallest, a.len);
		free_block(&a);
		free_block(&b);
		ws_codec_encoder_free(fresh);
	}
	ok(smallest < first_len, "%s: a higher level gives fewer bytes", codec_name);
	free(encoder);
}

static void
test_incompressible(void)
{
	static const size_t sizes[] = {1, 20, 450, 8192, 131072, MAX_RAW};
	uint8	   *src = guard_alloc(MAX_RAW);
	void	   *encoder = new_codec_encoder(1);
	void	   *decoder = new_codec_decoder();

	fill_random(src, MAX_RAW, 99);
	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		Block		block = encode_block(encoder, src, sizes[i]);

		/* no block grows by more than its headers */
		ok(decodes_to(decoder, &block, src, sizes[i]) &&
		   block.len <= sizes[i] + 32 + sizes[i] / 4096,
		   "%s: %zu random bytes give %zu", codec_name, sizes[i], block.len);
		free_block(&block);
		fill_random(src, MAX_RAW, 100 + i);
	}

	guard_free(src);
	ws_codec_encoder_free(encoder);
	codec->decoder_free(decoder);
}

/*
 * The bound is sufficient at the beginning of a stream and later, and is
 * enforced.
 */
static void
test_bound(void)
{
	uint8	   *src = guard_alloc(MAX_RAW);
	void	   *encoder = new_codec_encoder(1);
	int			over = 0;
	Block		small;
	size_t		len;
	WsStatus	status;

	fill_random(src, MAX_RAW, 5);
	for (size_t size = 1; size <= MAX_RAW; size += 1 + size / 3)
	{
		for (int round = 0; round < 3; round++)
		{
			Block		block;

			if (round == 0)
				codec->encoder_restart(encoder);
			block = encode_block(encoder, round == 2 ? raw : src, size);
			if (block.status != WS_OK)
				over++;
			free_block(&block);
		}
	}
	is(over, 0, "%s: no block is longer than the bound", codec_name);

	small.bytes = guard_alloc(100);
	status = codec->encode(encoder, 0, src, 8192, small.bytes, 100, &len);
	ok(status == WS_E_TOO_LARGE && guard_intact(small.bytes, 100),
	   "%s: a buffer that is too small is refused", codec_name);
	guard_free(small.bytes);

	guard_free(src);
	ws_codec_encoder_free(encoder);
}

/*
 * The memory of a stream at level 1, after more than a window of input: in
 * total a stream may take 4 MB to encode and 3 MB to decode, of which its
 * buffers take up to 1 MB. walz has a model beside that, 1 MB on each side.
 */
static void
test_memory(void)
{
	WsCodecParams params = level_params(1);
	size_t		base;
	void	   *encoder;
	void	   *decoder;
	size_t		encoder_size;
	size_t		decoder_size;
	size_t		most;
	Block		blocks[4];

	encoder_size = codec->encoder_size(&params) - verifier_memory(codec, &params);
	most = codec->id == WS_CODEC_WALZ ? 4 : 3;
	ok(encoder_size > 0 && encoder_size <= most * 1024 * 1024,
	   "%s: an encoder takes %zu bytes", codec_name, encoder_size);

	base = __sanitizer_get_current_allocated_bytes();
	encoder = new_codec_encoder(1);
	for (int i = 0; i < 4; i++)
	{
		Block		block = encode_block(encoder, raw, MAX_RAW);

		free_block(&block);
	}
	is(__sanitizer_get_current_allocated_bytes() - base,
	   codec->encoder_size(&params), "%s: and no more", codec_name);
	ws_codec_encoder_free(encoder);

	encoder = new_codec_encoder(1);
	for (int i = 0; i < 4; i++)
		blocks[i] = encode_block(encoder, raw, MAX_RAW);
	ws_codec_encoder_free(encoder);
	base = __sanitizer_get_current_allocated_bytes();
	decoder = new_codec_decoder();
	for (int i = 0; i < 4; i++)
	{
		if (!decodes_to(decoder, &blocks[i], raw, MAX_RAW))
			abort();
	}
	decoder_size = __sanitizer_get_current_allocated_bytes() - base;
	most = codec->id == WS_CODEC_WALZ ? 3 : 2;
	ok(decoder_size > 0 && decoder_size <= most * 1024 * 1024,
	   "%s: a decoder takes %zu bytes", codec_name, decoder_size);

	codec->decoder_free(decoder);
	for (int i = 0; i < 4; i++)
		free_block(&blocks[i]);
}

static void
test_table(void)
{
#define CODEC(id, number, codec) number,
	static const int numbers[] = {
#include "pure/codec/codeclist.h"
	};
#undef CODEC
	int			count = 0;

	for (int id = -1; id <= WS_MAX_CODECS + 1; id++)
	{
		const WsCodec *found = ws_codec_by_id(id);

		if (found == NULL)
		{
			ok(strcmp(ws_codec_name(id), id == 0 ? "none" : "unknown") == 0,
			   "number %d is called \"%s\"", id, ws_codec_name(id));
			continue;
		}
		ok(ws_codec_name(id) == found->name, "%s is called so", found->name);
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
	for (int i = 0; i < count; i++)
		ok(ws_codec_at(i) != NULL && ws_codec_by_id(ws_codec_at(i)->id) == ws_codec_at(i),
		   "entry %d has a number of its own", i);
	ok(ws_codec_at(count) == NULL && ws_codec_at(-1) == NULL, "and there are no more");
	is(count, lengthof(numbers), "number of codecs");
}

/*
 * An encoder at the lowest and at the highest level, which limit the setting.
 */
static void
test_level_limits(void)
{
	const int	levels[] = {codec->min_level(), codec->max_level(), codec->default_level};

	ok(levels[0] <= levels[2] && levels[2] <= levels[1],
	   "%s: levels from %d to %d, usually %d", codec_name, levels[0], levels[1], levels[2]);
	for (size_t i = 0; i < lengthof(levels); i++)
	{
		void	   *encoder = new_codec_encoder(levels[i]);
		void	   *decoder = new_codec_decoder();
		Block		block = encode_block(encoder, raw, 10000);

		ok(decodes_to(decoder, &block, raw, 10000), "%s: level %d", codec_name, levels[i]);
		free_block(&block);
		ws_codec_encoder_free(encoder);
		codec->decoder_free(decoder);
	}
}

static void
count_modelled(void *arg, int rmid, size_t raw_len pg_attribute_unused(),
			   size_t put_len pg_attribute_unused())
{
	size_t	   *modelled = arg;

	*modelled += rmid >= 0;
}

/* Check that blocks are modelled. */
static void
test_modelled(void)
{
	void	   *encoder = new_codec_encoder(1);
	void	   *decoder = new_codec_decoder();
	size_t		modelled = 0;
	bool		good = true;

	ws_walz_encoder_observe(encoder, count_modelled, &modelled);
	for (size_t pos = 0; pos < MAX_RAW; pos += MAX_RAW / 128)
	{
		Block		block;

		/* what was learned up to this point must not be needed */
		if (pos == MAX_RAW / 2)
		{
			codec->encoder_restart(encoder);
			codec->decoder_free(decoder);
			decoder = new_codec_decoder();
		}
		/* nor must it do harm */
		if (pos == MAX_RAW / 4)
		{
			codec->encoder_restart(encoder);
			codec->decoder_restart(decoder);
		}
		block = encode_block(encoder, raw + pos, MAX_RAW / 128);
		good &= decodes_to(decoder, &block, raw + pos, MAX_RAW / 128);
		free_block(&block);
	}
	ok(good && modelled > MAX_RAW / 500, "%s: %zu records are modelled",
	   codec_name, modelled);
	ws_codec_encoder_free(encoder);
	codec->decoder_free(decoder);
}

static void
test_codec(bool wal)
{
	if (wal)
		test_modelled();
	test_sizes(1);
	test_sizes(2);
	test_sizes(5);
	test_single_bytes();
	test_empty();
	test_history();
	test_long_history();
	test_level_change();
	test_incompressible();
	test_level_limits();
	test_bound();
	test_memory();

	ws_codec_encoder_free(NULL);
	codec->decoder_free(NULL);
}

int
main(void)
{
	test_table();
	for_each_codec(test_codec);
	return done_testing();
}
