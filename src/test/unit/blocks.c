/*-------------------------------------------------------------------------
 *
 * blocks.c
 *	  Blocks for the tests that run over every codec.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "blocks.h"
#include "testdata.h"
#include "walgen.h"

const WsCodec *codec;
const char *codec_name;
const uint8 *raw;
XLogRecPtr	raw_lsn;

WsCodecParams
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

void *
new_codec_encoder(int level)
{
	WsCodecParams params = level_params(level);
	void	   *encoder = ws_codec_encoder_new(codec, &params);

	if (encoder == NULL)
		abort();
	return encoder;
}

void *
new_codec_decoder(void)
{
	WsCodecParams params = level_params(0);
	void	   *decoder = codec->decoder_new(&params);

	if (decoder == NULL)
		abort();
	return decoder;
}

/* Returns the position of these bytes; 0 for bytes that are not in raw. */
static XLogRecPtr
position_of(const uint8 *src)
{
	if (src >= raw && src < raw + MAX_RAW)
		return raw_lsn + (src - raw);
	return 0;
}

Block
encode_block(void *encoder, const uint8 *src, size_t len)
{
	Block		block;

	block.lsn = position_of(src);
	block.bound = codec->encode_bound(len);
	block.bytes = guard_alloc(block.bound);
	block.status = codec->encode(encoder, block.lsn, src, len,
								 block.bytes, block.bound, &block.len);
	if (!guard_intact(block.bytes, block.bound) || block.len > block.bound)
		block.status = WS_E_TOO_LARGE;
	return block;
}

void
free_block(Block *block)
{
	guard_free(block->bytes);
}

WsStatus
decode_block(void *decoder, XLogRecPtr lsn, const uint8 *src, size_t src_len,
			 size_t dst_len, const uint8 *expected, bool *same)
{
	uint8	   *dst = guard_alloc(dst_len);
	WsStatus	status;

	status = codec->decode(decoder, lsn, src, src_len, dst, dst_len);
	if (!guard_intact(dst, dst_len))
		status = WS_E_POSITION;
	if (same != NULL)
		*same = memcmp(dst, expected, dst_len) == 0;
	guard_free(dst);
	return status;
}

bool
decodes_to(void *decoder, const Block *block, const uint8 *src, size_t len)
{
	bool		same;

	return block->status == WS_OK &&
		decode_block(decoder, block->lsn, block->bytes, block->len, len, src,
					 &same) == WS_OK &&
		same;
}

bool
refuses(void *decoder, const uint8 *src, size_t src_len, size_t dst_len)
{
	WsStatus	status = decode_block(decoder, raw_lsn, src, src_len, dst_len, NULL,
									  NULL);

	return status == WS_E_CODEC || status == WS_E_LENGTH;
}

static void
run_with_wal(void (*test) (bool wal))
{
	WsCodecParams params = level_params(1);
	WalGen		gen;

	walgen_init(&gen, &params, 16 * MAX_RAW, 2 * MAX_RAW, 1);
	walgen_fill_to(&gen, MAX_RAW);
	raw = gen.buf;
	raw_lsn = gen.start;
	codec_name = "walz, WAL";
	test(true);
	raw_lsn = 0;
	walgen_free(&gen);
}

void
for_each_codec(void (*test) (bool wal))
{
	uint8	   *records = guard_alloc(MAX_RAW);

	fill_records(records, MAX_RAW, 1);
	for (int id = 1; id <= WS_MAX_CODECS; id++)
	{
		codec = ws_codec_by_id(id);
		if (codec == NULL)
			continue;
		codec_name = codec->name;
		raw = records;
		test(false);
		if (codec->id == WS_CODEC_WALZ)
			run_with_wal(test);
	}
	guard_free(records);
}
