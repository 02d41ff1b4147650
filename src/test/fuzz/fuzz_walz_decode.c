/*-------------------------------------------------------------------------
 *
 * fuzz_walz_decode.c
 *	  Fuzz target: modelled blocks from a peer that may not mean well.
 *
 * fuzz_codec_decode hands a decoder arbitrary bytes; few of them are zstd
 * blocks, so few reach walz's model.  Here the input is the streams that a
 * block is made of, and the block is put together correctly.
 *
 * First byte: how the WAL is laid out.  Then for each block
 *
 *		size	field
 *		1		bit 0: the decoder is restarted before it; bit 1: the range
 *				coder's form; bit 2: the block does not follow the one before
 *		3		announced length of the decoded bytes
 *		2		length of codes
 *		2		length of literals
 *		2		length of raw bytes
 *		rest	codes, literals, raw bytes
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "codec.h"
#include "frame.h"
#include "fuzz.h"
#include "testdata.h"

#define MAX_DECODED		(160 * 1024)
#define MAX_STREAM		65535

/* See codec_walz.c for the forms. */
#define FORM_PLAIN		1
#define FORM_RANGE_RAW	3

typedef struct Streams
{
	size_t		lengths[3];
	size_t		total;
	uint8		bytes[3 * MAX_STREAM];
} Streams;

/* Returns the block's length. */
static size_t
make_block(bool range, const Streams *streams, void *zstd, uint8 *block,
		   size_t size)
{
	uint8	   *p = block;
	const uint8 *rest = streams->bytes;
	size_t		rest_len = streams->total;
	size_t		len = 0;

	*p++ = range ? FORM_RANGE_RAW : FORM_PLAIN;
	p += ws_varint_put(p, streams->lengths[0]);
	if (!range)
		p += ws_varint_put(p, streams->lengths[1]);
	p += ws_varint_put(p, streams->lengths[2]);
	if (range)
	{
		memcpy(p, rest, streams->lengths[0]);
		p += streams->lengths[0];
		rest += streams->lengths[0];
		rest_len -= streams->lengths[0];
	}
	if (rest_len > 0)
		REQUIRE(ws_codec_zstd.encode(zstd, 0, rest, rest_len, p,
									 size - (p - block), &len) == WS_OK);
	return p - block + len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32 block_sizes[] = {8192, 1024, 4096, 65536};
	static Streams streams;
	FuzzInput	input = {data, size};
	uint32		layout = take_number(&input, 1);
	WsCodecParams params = {
		.level = 1,
		.wal_block_size = block_sizes[layout % 4],
		.wal_segment_size = 1024 * 1024,
		.wal_page_magic = 0xD110
	};
	static void *zstd;
	static void *decoders[lengthof(block_sizes)];
	void	   *decoder;
	XLogRecPtr	lsn = 16 * 1024 * 1024;

	/* they are large, so they are kept */
	if (zstd == NULL)
		zstd = ws_codec_zstd.encoder_new(&params);
	if (decoders[layout % 4] == NULL)
		decoders[layout % 4] = ws_codec_walz.decoder_new(&params);
	decoder = decoders[layout % 4];
	REQUIRE(zstd != NULL && decoder != NULL);
	REQUIRE(ws_codec_zstd.encoder_restart(zstd, &params) == WS_OK);
	REQUIRE(ws_codec_walz.decoder_restart(decoder) == WS_OK);
	while (input.len > 0)
	{
		uint32		flags = take_number(&input, 1);
		bool		range = (flags & 2) != 0;
		size_t		announced = take_number(&input, 3) % MAX_DECODED;
		size_t		bound;
		uint8	   *block;
		uint8	   *decoded = guard_alloc(announced);
		size_t		len;
		WsStatus	status;

		for (int i = 0; i < 3; i++)
			streams.lengths[i] = take_number(&input, 2);
		if (range)
			streams.lengths[1] = 0;
		streams.total = 0;
		for (int i = 0; i < 3; i++)
		{
			const uint8_t *bytes = take_bytes(&input, streams.lengths[i],
											  &streams.lengths[i]);

			if (streams.lengths[i] > 0)
				memcpy(streams.bytes + streams.total, bytes, streams.lengths[i]);
			streams.total += streams.lengths[i];
		}
		if (flags & 1)
		{
			REQUIRE(ws_codec_zstd.encoder_restart(zstd, &params) == WS_OK);
			REQUIRE(ws_codec_walz.decoder_restart(decoder) == WS_OK);
		}
		if (flags & 4)
			lsn += 40;

		bound = ws_codec_walz.encode_bound(streams.total) + 32;
		block = malloc(bound);
		REQUIRE(block != NULL);
		len = make_block(range, &streams, zstd, block, bound);
		status = ws_codec_walz.decode(decoder, lsn, block, len, decoded, announced);
		REQUIRE(status == WS_OK || status == WS_E_CODEC || status == WS_E_LENGTH);
		REQUIRE(guard_intact(decoded, announced));
		if (status == WS_OK)
			lsn += announced;
		else
			REQUIRE(ws_codec_zstd.encoder_restart(zstd, &params) == WS_OK);
		free(block);
		guard_free(decoded);
	}
	return 0;
}
