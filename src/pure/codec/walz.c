/*-------------------------------------------------------------------------
 *
 * walz.c
 *	  The codec walz: understands WAL, and leaves to zstd what it does not.
 *
 * This file makes, restarts and frees encoders and decoders.  How their memory
 * is laid out is walz/piece.c's; the format on the wire is described in
 * walz/piece.h.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/codec/zstd.h"
#include "pure/segment.h"
#include "pure/walz/piece.h"
#include "pure/wire/frame.h"

/*
 * At its two fastest levels zstd gets a larger match table here than by
 * default.  Most of what the model leaves over is text, much of which repeats
 * at some distance; and zstd has less input to work on than if it were alone.
 */
#define ZSTD_FAST_LEVELS	2
#ifndef WZ_ZSTD_HASH_LOG
#define WZ_ZSTD_HASH_LOG	17
#endif

static WsCodecParams
zstd_params(const WsCodecParams *params)
{
	WsCodecParams result = *params;

	result.may_fill = false;
	result.hash_log = 0;
	if (ws_walz_knows(params) && params->level <= ZSTD_FAST_LEVELS)
		result.hash_log = WZ_ZSTD_HASH_LOG;
	return result;
}

#ifdef WS_WALZ_VERIFY
size_t
ws_walz_verifier_size(const WsCodecParams *params)
{
	return ws_walz_size(params, true) + ws_zstd_decoder_size(params->level);
}

/* Put the verifier at the beginning of a block. */
static WsStatus
init_verifier(WsWalz *walz, uint8 *block)
{
	WsWalz	   *verifier = (WsWalz *) block;

	ws_walz_init(verifier, &walz->params, true);
	verifier->zstd = block + ws_walz_size(&walz->params, true);
	walz->verifier = verifier;
	return ws_zstd_decoder_init(verifier->zstd, walz->params.level);
}
#endif

/*
 * An encoder's memory: the WsWalz and what belongs to it, the verifier if it is
 * compiled with one, zstd's encoder.
 */
static size_t
offset_of_zstd(const WsCodecParams *params)
{
	size_t		offset = ws_walz_size(params, false);

#ifdef WS_WALZ_VERIFY
	offset += ws_walz_verifier_size(params);
#endif
	return offset;
}

static size_t
walz_encoder_size(const WsCodecParams *params)
{
	WsCodecParams zstd = zstd_params(params);
	size_t		size = ws_codec_zstd.encoder_size(&zstd);

	return size > 0 ? offset_of_zstd(params) + size : 0;
}

static WsStatus
walz_encoder_init(void *encoder, const WsCodecParams *params)
{
	WsWalz	   *walz = encoder;
	WsCodecParams zstd = zstd_params(params);

	ws_walz_init(walz, params, false);
	walz->zstd = (uint8 *) encoder + offset_of_zstd(params);
#ifdef WS_WALZ_VERIFY
	{
		WsStatus	status = init_verifier(walz, (uint8 *) encoder + ws_walz_size(params, false));

		if (status != WS_OK)
			return status;
	}
#endif
	return ws_codec_zstd.encoder_init(walz->zstd, &zstd);
}

static WsStatus
walz_encoder_restart(void *encoder)
{
	WsWalz	   *walz = encoder;

	walz->started = false;
	walz->sparse = false;
	ws_walz_forget(walz);
#ifdef WS_WALZ_VERIFY
	(void) ws_codec_walz.decoder_restart(walz->verifier);
#endif
	return ws_codec_zstd.encoder_restart(walz->zstd);
}

/* The levels are zstd's. */
static int
walz_min_level(void)
{
	return ws_codec_zstd.min_level();
}

static int
walz_max_level(void)
{
	return ws_codec_zstd.max_level();
}

static int
walz_window_log(int level)
{
	return ws_codec_zstd.window_log(level);
}

static size_t
walz_encode_bound(size_t raw_len)
{
	size_t		smallest = (size_t) WS_FRAME_MAX_BLOCKS * WS_BLOCK_SIZE_MIN;
	size_t		pieces = raw_len / smallest + 1;

	/* zstd's bound has a constant part, which each piece can need */
	return pieces * (WZ_PIECE_HEADER_MAX + WZ_SLACK + ws_codec_zstd.encode_bound(0)) +
		ws_codec_zstd.encode_bound(raw_len);
}

void
ws_walz_encoder_observe(void *encoder, WsWalzObserver observer, void *arg)
{
	WsWalz	   *walz = encoder;

	walz->observer = observer;
	walz->observer_arg = arg;
}

#ifdef WS_WALZ_VERIFY
/* Check that the encoded block decodes to the original bytes. */
static WsStatus
verify(WsWalz *walz, XLogRecPtr start_lsn, const uint8 *raw, size_t raw_len,
	   const uint8 *encoded, size_t encoded_len)
{
	uint8	   *decoded = malloc(raw_len + 1);
	WsStatus	status;

	if (decoded == NULL)
		return WS_E_MEMORY;
	status = ws_codec_walz.decode(walz->verifier, start_lsn, encoded,
								  encoded_len, decoded, raw_len);
	if (status == WS_OK && memcmp(raw, decoded, raw_len) != 0)
		status = WS_E_CODEC;
	free(decoded);
	return status;
}
#endif

static WsStatus
walz_encode(void *encoder, XLogRecPtr start_lsn,
			const uint8 *src, size_t src_len,
			uint8 *dst, size_t dst_size, size_t *dst_len)
{
	WsWalz	   *walz = encoder;
	WsStatus	status;

	if (walz->known)
		ws_walz_go_to(walz, start_lsn);
	*dst_len = 0;
	status = ws_walz_encode(walz, src, src_len, dst, dst_size, dst_len);
#ifdef WS_WALZ_VERIFY
	if (status == WS_OK)
		status = verify(walz, start_lsn, src, src_len, dst, *dst_len);
#endif
	return status;
}

static void
walz_decoder_free(void *decoder)
{
	WsWalz	   *walz = decoder;

	if (walz == NULL)
		return;
	ws_codec_zstd.decoder_free(walz->zstd);
	free(walz);
}

static void *
walz_decoder_new(const WsCodecParams *params)
{
	WsWalz	   *walz = aligned_alloc(WS_ENCODER_ALIGN, ws_walz_size(params, true));

	if (walz == NULL)
		return NULL;
	ws_walz_init(walz, params, true);
	walz->zstd = ws_codec_zstd.decoder_new(params);
	if (walz->zstd == NULL)
	{
		free(walz);
		return NULL;
	}
	return walz;
}

static WsStatus
walz_decoder_restart(void *decoder)
{
	WsWalz	   *walz = decoder;

	walz->started = false;
	ws_walz_forget(walz);
	return ws_codec_zstd.decoder_restart(walz->zstd);
}

static WsStatus
walz_decode(void *decoder, XLogRecPtr start_lsn,
			const uint8 *src, size_t src_len, uint8 *dst, size_t dst_len)
{
	WsWalz	   *walz = decoder;
	WsStatus	status;

	if (src_len == 0 || dst_len == 0)
		status = src_len == dst_len ? WS_OK : WS_E_LENGTH;
	else
	{
		if (walz->known)
			ws_walz_go_to(walz, start_lsn);
		status = ws_walz_decode(walz, src, src_len, dst, dst_len);
	}
	if (status != WS_OK)
		(void) walz_decoder_restart(walz);
	return status;
}

const WsCodec ws_codec_walz = {
	.name = "walz",
	.word = "walz1",
	.id = WS_CODEC_WALZ,
	.logical = false,
	.by_default = true,
	.default_level = 1,
	.min_level = walz_min_level,
	.max_level = walz_max_level,
	.window_log = walz_window_log,
	.encoder_size = walz_encoder_size,
	.encoder_init = walz_encoder_init,
	.decoder_new = walz_decoder_new,
	.encoder_restart = walz_encoder_restart,
	.decoder_restart = walz_decoder_restart,
	.encode_bound = walz_encode_bound,
	.encode = walz_encode,
	.decode = walz_decode,
	.decoder_free = walz_decoder_free
};
