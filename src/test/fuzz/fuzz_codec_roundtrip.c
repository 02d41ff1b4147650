/*-------------------------------------------------------------------------
 *
 * fuzz_codec_roundtrip.c
 *	  Fuzz target: any bytes, cut anywhere, are the same after encoding and
 *	  decoding.
 *
 * First byte: the codec.  Second: the level.  Then for each block
 *
 *		size	field
 *		1		bit 0: both sides are restarted before it, at the next level
 *				bits 1-7: how often its bytes are repeated, 1 and up
 *		2		length of its bytes
 *		rest	its bytes
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "pure/codec/codec.h"
#include "testdata.h"

/*
 * More than a block of either format has, but less than a frame can hold:
 * large allocations would take most of the time.
 */
#define MAX_RAW			(192 * 1024)

/* Higher levels would only take more time. */
#define MAX_LEVEL		6

static void
try_block(const WsCodec *codec, void *encoder, void *decoder,
		  const uint8 *raw, size_t raw_len)
{
	size_t		bound = codec->encode_bound(raw_len);
	uint8	   *encoded = guard_alloc(bound);
	uint8	   *decoded = guard_alloc(raw_len);
	size_t		len;

	REQUIRE(codec->encode(encoder, 0, raw, raw_len, encoded, bound, &len) == WS_OK);
	REQUIRE(len <= bound && guard_intact(encoded, bound));
	REQUIRE(codec->decode(decoder, 0, encoded, len, decoded, raw_len) == WS_OK);
	REQUIRE(guard_intact(decoded, raw_len));
	REQUIRE(memcmp(raw, decoded, raw_len) == 0);

	guard_free(encoded);
	guard_free(decoded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	const WsCodec *codec = ws_codec_by_id(take_number(&input, 1));
	WsCodecParams params = {0};
	void	   *encoder;
	void	   *decoder;

	if (codec == NULL)
		return 0;
	params.level = (int) take_number(&input, 1) % (2 * MAX_LEVEL) - MAX_LEVEL;
	encoder = ws_codec_encoder_new(codec, &params);
	decoder = codec->decoder_new(&params);
	REQUIRE(encoder != NULL && decoder != NULL);

	while (input.len > 0)
	{
		uint32		flags = take_number(&input, 1);
		size_t		announced = take_number(&input, 2);
		size_t		len;
		const uint8_t *bytes = take_bytes(&input, announced, &len);
		size_t		raw_len = Min(MAX_RAW, len * ((flags >> 1) + 1));
		uint8	   *raw = guard_alloc(raw_len);

		for (size_t i = 0; i < raw_len; i++)
			raw[i] = bytes[i % len];
		if (flags & 1)
		{
			params.level = Min(params.level + 1, MAX_LEVEL);
			ws_codec_encoder_free(encoder);
			encoder = ws_codec_encoder_new(codec, &params);
			REQUIRE(encoder != NULL);
			REQUIRE(codec->decoder_restart(decoder) == WS_OK);
		}
		try_block(codec, encoder, decoder, raw, raw_len);
		guard_free(raw);
	}
	ws_codec_encoder_free(encoder);
	codec->decoder_free(decoder);
	return 0;
}
