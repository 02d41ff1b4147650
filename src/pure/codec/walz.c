/*-------------------------------------------------------------------------
 *
 * walz.c
 *	  The codec walz: understands WAL, and leaves to zstd what it does not.
 *
 * This file allocates, restarts and frees the parts of an encoder and a
 * decoder.  The format on the wire is described in walz/piece.h.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/walz/piece.h"
#include "pure/wire/frame.h"

/* the range of block and segment sizes in PostgreSQL */
#define MIN_BLOCK_SIZE		1024
#define MAX_BLOCK_SIZE		65536
#define MIN_SEGMENT_SIZE	(1024 * 1024)
#define MAX_SEGMENT_SIZE	(1024 * 1024 * 1024)

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
zstd_params(const WsWalz *walz, const WsCodecParams *params)
{
	WsCodecParams result = *params;

	result.zstd_may_fill = false;
	result.zstd_hash_log = 0;
	if (walz->known && params->level <= ZSTD_FAST_LEVELS)
		result.zstd_hash_log = WZ_ZSTD_HASH_LOG;
	return result;
}

static size_t
scratch_size(const WsWalz *walz)
{
	return walz->piece_max + WZ_RECORD_HEADER_MAX;
}

/*
 * The size of each stream of an encoder, and of all streams of a decoder
 * together.
 */
static size_t
streams_size(const WsWalz *walz)
{
	return (walz->io.decoding ? 1 : 3) * ws_walz_stream_size(walz);
}

static bool
is_power_of_two(uint32 v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

bool
ws_walz_sizes_valid(const WsCodecParams *params)
{
	return is_power_of_two(params->wal_block_size) &&
		params->wal_block_size >= MIN_BLOCK_SIZE &&
		params->wal_block_size <= MAX_BLOCK_SIZE &&
		is_power_of_two(params->wal_segment_size) &&
		params->wal_segment_size >= MIN_SEGMENT_SIZE &&
		params->wal_segment_size <= MAX_SEGMENT_SIZE;
}

static bool
params_known(const WsCodecParams *params)
{
	return !params->logical && ws_walz_magic_known(params->wal_page_magic) &&
		ws_walz_sizes_valid(params);
}

void
ws_walz_forget(WsWalz *walz)
{
	if (!walz->known)
		return;
	ws_walz_model_forget(walz->model);
	ws_walz_io_forget(&walz->io);
	walz->part.record_lsn = InvalidXLogRecPtr;
}

static void
free_common(WsWalz *walz)
{
	if (walz->model != NULL)
	{
		free(walz->model->work);
		free(walz->model->images);
	}
	free(walz->model);
	free(walz->io.tables);
	free(walz->scratch);
	free(walz->streams);
	free(walz);
}

/* Allocate everything but zstd's memory; NULL if there is not enough. */
static WsWalz *
new_common(const WsCodecParams *params, bool decoding)
{
	WsWalz	   *walz = calloc(1, sizeof(WsWalz));

	if (walz == NULL)
		return NULL;
	walz->params = *params;
	walz->known = params_known(params);
	walz->io.decoding = decoding;
	if (!walz->known)
		return walz;

	walz->piece_max = (size_t) WS_FRAME_MAX_BLOCKS * params->wal_block_size;
	walz->model = calloc(1, sizeof(WsWalzModel));
	walz->io.tables = aligned_alloc(sizeof(WsWalzLine), sizeof(WsWalzTables));
	walz->scratch = malloc(scratch_size(walz));
	walz->streams = malloc(streams_size(walz));
	if (walz->model != NULL && decoding)
	{
		walz->model->work = malloc(walz->piece_max);
		walz->model->images = malloc(walz->piece_max);
	}
	if (walz->model == NULL || walz->io.tables == NULL ||
		walz->scratch == NULL || walz->streams == NULL ||
		(decoding && (walz->model->work == NULL || walz->model->images == NULL)))
	{
		free_common(walz);
		return NULL;
	}
	walz->model->max_record = walz->piece_max;
	walz->io.tables_used = true;
	ws_walz_forget(walz);
	return walz;
}

/* Note that the stream begins or continues at lsn. */
static void
go_to(WsWalz *walz, XLogRecPtr lsn)
{
	if (!walz->started || walz->cursor.lsn != lsn)
		ws_walz_cursor_init(&walz->cursor, &walz->params, lsn);
	walz->started = true;
}

static void
walz_encoder_free(void *encoder)
{
	WsWalz	   *walz = encoder;

	if (walz == NULL)
		return;
	ws_codec_zstd.encoder_free(walz->zstd);
#ifdef WS_WALZ_VERIFY
	ws_codec_walz.decoder_free(walz->verifier);
#endif
	free_common(walz);
}

static void *
walz_encoder_new(const WsCodecParams *params)
{
	WsWalz	   *walz = new_common(params, false);
	WsCodecParams zstd;

	if (walz == NULL)
		return NULL;
	zstd = zstd_params(walz, params);
	walz->zstd = ws_codec_zstd.encoder_new(&zstd);
	if (walz->zstd == NULL)
	{
		free_common(walz);
		return NULL;
	}
#ifdef WS_WALZ_VERIFY
	walz->verifier = ws_codec_walz.decoder_new(params);
	if (walz->verifier == NULL)
	{
		walz_encoder_free(walz);
		return NULL;
	}
#endif
	return walz;
}

static WsStatus
walz_encoder_restart(void *encoder, const WsCodecParams *params)
{
	WsWalz	   *walz = encoder;
	WsCodecParams zstd = zstd_params(walz, params);

	walz->started = false;
	walz->sparse = false;
	walz->params.level = params->level;
	ws_walz_forget(walz);
#ifdef WS_WALZ_VERIFY
	(void) ws_codec_walz.decoder_restart(walz->verifier);
#endif
	return ws_codec_zstd.encoder_restart(walz->zstd, &zstd);
}

static size_t
walz_encode_bound(size_t raw_len)
{
	size_t		smallest = (size_t) WS_FRAME_MAX_BLOCKS * MIN_BLOCK_SIZE;
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
		go_to(walz, start_lsn);
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
	free_common(walz);
}

static void *
walz_decoder_new(const WsCodecParams *params)
{
	WsWalz	   *walz = new_common(params, true);

	if (walz == NULL)
		return NULL;
	walz->zstd = ws_codec_zstd.decoder_new(params);
	if (walz->zstd == NULL)
	{
		free_common(walz);
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
			go_to(walz, start_lsn);
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
	.encoder_new = walz_encoder_new,
	.decoder_new = walz_decoder_new,
	.encoder_restart = walz_encoder_restart,
	.decoder_restart = walz_decoder_restart,
	.encode_bound = walz_encode_bound,
	.encode = walz_encode,
	.decode = walz_decode,
	.encoder_free = walz_encoder_free,
	.decoder_free = walz_decoder_free
};
