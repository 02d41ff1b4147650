/*-------------------------------------------------------------------------
 *
 * veiled.c
 *	  A codec that only tests have: lz4's blocks, with each byte changed.
 *
 * It shows that a codec is its own file and a line in the table.  See the
 * Makefile, which adds that line.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/codec.h"

#define VEIL	0x5a

static int
veiled_min_level(void)
{
	return -7;
}

static int
veiled_max_level(void)
{
	return 9;
}

static size_t
veiled_encoder_size(const WsCodecParams *params)
{
	return ws_codec_lz4.encoder_size(params);
}

static WsStatus
veiled_encoder_init(void *encoder, const WsCodecParams *params)
{
	return ws_codec_lz4.encoder_init(encoder, params);
}

static void *
veiled_decoder_new(const WsCodecParams *params)
{
	return ws_codec_lz4.decoder_new(params);
}

static WsStatus
veiled_encoder_restart(void *encoder)
{
	return ws_codec_lz4.encoder_restart(encoder);
}

static WsStatus
veiled_decoder_restart(void *decoder)
{
	return ws_codec_lz4.decoder_restart(decoder);
}

static size_t
veiled_encode_bound(size_t raw_len)
{
	return ws_codec_lz4.encode_bound(raw_len);
}

static void
change(uint8 *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] ^= VEIL;
}

static WsStatus
veiled_encode(void *encoder, XLogRecPtr start_lsn, const uint8 *src, size_t src_len,
			  uint8 *dst, size_t dst_size, size_t *dst_len)
{
	WsStatus	status = ws_codec_lz4.encode(encoder, start_lsn, src, src_len,
											 dst, dst_size, dst_len);

	change(dst, *dst_len);
	return status;
}

static WsStatus
veiled_decode(void *decoder, XLogRecPtr start_lsn, const uint8 *src, size_t src_len,
			  uint8 *dst, size_t dst_len)
{
	uint8	   *copy = malloc(src_len + 1);
	WsStatus	status;

	if (copy == NULL)
	{
		(void) veiled_decoder_restart(decoder);
		return WS_E_MEMORY;
	}
	if (src_len > 0)
		memcpy(copy, src, src_len);
	change(copy, src_len);
	status = ws_codec_lz4.decode(decoder, start_lsn, copy, src_len, dst, dst_len);
	free(copy);
	return status;
}

static void
veiled_decoder_free(void *decoder)
{
	ws_codec_lz4.decoder_free(decoder);
}

const WsCodec ws_codec_veiled = {
	.name = "veiled",
	.word = "veiled3",
	.id = WS_CODEC_VEILED,
	.default_level = 2,
	.min_level = veiled_min_level,
	.max_level = veiled_max_level,
	.encoder_size = veiled_encoder_size,
	.encoder_init = veiled_encoder_init,
	.decoder_new = veiled_decoder_new,
	.encoder_restart = veiled_encoder_restart,
	.decoder_restart = veiled_decoder_restart,
	.encode_bound = veiled_encode_bound,
	.encode = veiled_encode,
	.decode = veiled_decode,
	.decoder_free = veiled_decoder_free
};
