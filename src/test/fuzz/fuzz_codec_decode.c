/*-------------------------------------------------------------------------
 *
 * fuzz_codec_decode.c
 *	  Fuzz target: encoded blocks from a peer that may be malicious.
 *
 * First byte: the codec.  Then for each block
 *
 *		size	field
 *		1		bit 0: the decoder is restarted before it
 *		2		length of the encoded bytes
 *		3		announced length of the decoded bytes
 *		rest	the encoded bytes
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
 * More than a block of either format has, but less than a frame can announce:
 * large allocations would take most of the time.
 */
#define MAX_ANNOUNCED	(192 * 1024)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	const WsCodec *codec = ws_codec_by_id(take_number(&input, 1));
	WsCodecParams params = {0};
	void	   *decoder;

	if (codec == NULL)
		return 0;
	decoder = codec->decoder_new(&params);
	REQUIRE(decoder != NULL);

	while (input.len > 0)
	{
		bool		restart = take_number(&input, 1) % 2 == 1;
		size_t		announced_src = take_number(&input, 2);
		size_t		dst_len = take_number(&input, 3) % (MAX_ANNOUNCED + 1);
		size_t		src_len;
		const uint8_t *src = take_bytes(&input, announced_src, &src_len);
		uint8	   *dst = guard_alloc(dst_len);
		WsStatus	status;

		if (restart)
			REQUIRE(codec->decoder_restart(decoder) == WS_OK);
		status = codec->decode(decoder, 0, src, src_len, dst, dst_len);
		REQUIRE(status == WS_OK || status == WS_E_CODEC || status == WS_E_LENGTH);
		REQUIRE(guard_intact(dst, dst_len));
		guard_free(dst);
	}
	codec->decoder_free(decoder);
	return 0;
}
