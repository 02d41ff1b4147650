/*-------------------------------------------------------------------------
 *
 * zstd.c
 *	  The codec zstd: one zstd frame from each restart on, flushed at every
 *	  block.
 *
 * All output of an encoder between two restarts, joined, is the beginning of
 * an ordinary zstd frame without content size, dictionary and checksum.  The
 * end of the frame is never written; the next restart or the end of the stream
 * takes its place.
 *
 * The library keeps its past input in a ring buffer that is little larger than
 * the window.  Its search for matches is slower while the window wraps around
 * the ring's end, which is most of the time.  So at the fastest levels our
 * encoder keeps the input itself, in one contiguous buffer, and must be
 * restarted when that buffer is full.  The restarts cost half a percent of
 * bytes and save a twentieth to a tenth of the time.  A larger buffer would
 * cost fewer bytes but would no longer fit into the processor's cache.
 *
 * The library works in memory that it is given.  The functions for that, and
 * those that tell how much it needs, are in the part of zstd.h that the library
 * does not promise to keep, but all shared libraries since 1.4.4 have them.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include "pure/codec/zstd.h"

#if ZSTD_VERSION_NUMBER < 10404
#error "walstream needs zstd 1.4.4 or later"
#endif

/*
 * The part of the format (RFC 8878) that our decoder checks before it calls
 * the library.  A frame starts with the magic number, a descriptor byte and
 * the window, followed by blocks, each with a header in little-endian order.
 */
#define ZSTD_HEADER_SIZE		6
#define ZSTD_BLOCK_HEADER_SIZE	3
#define ZSTD_BLOCK_LAST(h)		((h) & 1)
#define ZSTD_BLOCK_TYPE(h)		(((h) >> 1) & 3)
#define ZSTD_BLOCK_SIZE(h)		((h) >> 3)
#define ZSTD_BLOCK_RLE			1	/* one byte stands for "size" bytes */
#define ZSTD_BLOCK_RESERVED		3

/*
 * ZSTD_c_stableInBuffer tells the library that its input stays in place.  A
 * later version may give its number to another parameter, so it is used only
 * with the versions below, which also accept input flush by flush.
 */
#define ZSTD_VERSION_FITS(version)	((version) >= 10504 && (version) < 10600)
#if ZSTD_VERSION_FITS(ZSTD_VERSION_NUMBER)
#define ZSTD_INPUT_STAYS		ZSTD_c_stableInBuffer
#endif

/* Size of the encoder's input buffer, in windows. */
#define KEPT_WINDOWS			2

/* An encoder's memory: this, the kept input, the library's. */
typedef struct ZstdEncoder
{
	ZSTD_CCtx  *cctx;

	/*
	 * If kept_size is not 0, the input encoded since the restart is
	 * kept[0..input.pos), and input.src points to it.  Otherwise the library
	 * has its own copy.
	 */
	uint8	   *kept;
	size_t		kept_size;
	ZSTD_inBuffer input;
} ZstdEncoder;

typedef struct ZstdDecoder
{
	ZSTD_DCtx  *dctx;
	bool		restarted;		/* the next block starts with a frame header */
} ZstdDecoder;

/* used at the fastest levels; the benchmark tries other values */
#ifndef WS_ZSTD_WINDOW_LOG_MIN
#define WS_ZSTD_WINDOW_LOG_MIN	19
#endif

static int
zstd_window_log(int level)
{
	if (level <= 1)
		return WS_ZSTD_WINDOW_LOG_MIN;
	if (level == 2)
		return 20;
	return WS_WINDOW_LOG_MAX;
}

static WsStatus
map_error(size_t code)
{
	if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation)
		return WS_E_MEMORY;
	return WS_E_CODEC;
}

static bool
library_can_leave_input(void)
{
#ifdef ZSTD_INPUT_STAYS
	return ZSTD_versionNumber() >= 10504 && ZSTD_versionNumber() < 10600;
#else
	return false;
#endif
}

/* Encode all of *in and write all of the output. */
static WsStatus
encode_all(ZSTD_CCtx *cctx, ZSTD_inBuffer *in, ZSTD_outBuffer *out)
{
	for (;;)
	{
		size_t		rest = ZSTD_compressStream2(cctx, out, in, ZSTD_e_flush);

		if (ZSTD_isError(rest))
			return map_error(rest);
		if (rest == 0 && in->pos == in->size)
			return WS_OK;
		if (out->pos == out->size)
			return WS_E_TOO_LARGE;
	}
}

/* Size of the buffer in which an encoder keeps its input; 0 if it does not. */
static size_t
kept_size(const WsCodecParams *params)
{
	int			window_log = zstd_window_log(params->level);

	if (!params->may_fill || window_log != WS_ZSTD_WINDOW_LOG_MIN ||
		!library_can_leave_input())
		return 0;
	return (size_t) KEPT_WINDOWS << window_log;
}

/* Returns the library's parameters, to be freed; NULL if memory is short. */
static ZSTD_CCtx_params *
make_library_params(const WsCodecParams *params)
{
	ZSTD_CCtx_params *result = ZSTD_createCCtxParams();
	size_t		code;

	if (result == NULL)
		return NULL;
	code = ZSTD_CCtxParams_setParameter(result, ZSTD_c_compressionLevel,
										params->level);
	if (!ZSTD_isError(code))
		code = ZSTD_CCtxParams_setParameter(result, ZSTD_c_windowLog,
											zstd_window_log(params->level));
	if (!ZSTD_isError(code))
		code = ZSTD_CCtxParams_setParameter(result, ZSTD_c_hashLog,
											params->hash_log);

	/* the level's own, but what estimates memory does not look that up */
	if (!ZSTD_isError(code))
		code = ZSTD_CCtxParams_setParameter(result, ZSTD_c_strategy,
											ZSTD_getCParams(params->level, 0, 0).strategy);
#ifdef ZSTD_INPUT_STAYS
	if (!ZSTD_isError(code) && library_can_leave_input())
		code = ZSTD_CCtxParams_setParameter(result, ZSTD_INPUT_STAYS,
											kept_size(params) > 0);
#endif
	if (ZSTD_isError(code))
	{
		ZSTD_freeCCtxParams(result);
		return NULL;
	}
	return result;
}

static size_t
library_size(const ZSTD_CCtx_params * params)
{
	size_t		size = ZSTD_estimateCStreamSize_usingCCtxParams(params);

	return ZSTD_isError(size) ? 0 : TYPEALIGN(WS_ENCODER_ALIGN, size);
}

/* What comes in front of the library's memory. */
static size_t
own_size(const WsCodecParams *params)
{
	return TYPEALIGN(WS_ENCODER_ALIGN, sizeof(ZstdEncoder)) + kept_size(params);
}

static size_t
zstd_encoder_size(const WsCodecParams *params)
{
	ZSTD_CCtx_params *library = make_library_params(params);
	size_t		size = library != NULL ? library_size(library) : 0;

	ZSTD_freeCCtxParams(library);
	return size > 0 ? own_size(params) + size : 0;
}

static WsStatus
zstd_encoder_restart(void *encoder)
{
	ZstdEncoder *ze = encoder;
	ZSTD_outBuffer out = {NULL, 0, 0};
	size_t		code;

	memset(&ze->input, 0, sizeof(ze->input));
	if (ze->kept_size > 0)
		ze->input.src = ze->kept;

	code = ZSTD_CCtx_reset(ze->cctx, ZSTD_reset_session_only);
	if (ZSTD_isError(code))
		return map_error(code);

	/*
	 * An empty flush writes nothing, but makes zstd lay out its memory, so
	 * that a lack of it shows here and not in the middle of a segment.
	 */
	return encode_all(ze->cctx, &ze->input, &out);
}

static WsStatus
zstd_encoder_init(void *encoder, const WsCodecParams *params)
{
	ZstdEncoder *ze = encoder;
	ZSTD_CCtx_params *library = make_library_params(params);
	WsStatus	status = WS_E_MEMORY;

	if (library == NULL)
		return status;
	ze->kept = (uint8 *) encoder + own_size(params) - kept_size(params);
	ze->kept_size = kept_size(params);
	ze->cctx = ZSTD_initStaticCCtx((uint8 *) encoder + own_size(params),
								   library_size(library));
	if (ze->cctx != NULL)
	{
		size_t		code = ZSTD_CCtx_setParametersUsingCCtxParams(ze->cctx, library);

		status = ZSTD_isError(code) ? map_error(code) : zstd_encoder_restart(ze);
	}
	ZSTD_freeCCtxParams(library);
	return status;
}

static bool
zstd_encoder_full(const void *encoder, size_t raw_len)
{
	const ZstdEncoder *ze = encoder;

	return ze->kept_size > 0 && raw_len > ze->kept_size - ze->input.size;
}

static size_t
zstd_encode_bound(size_t raw_len)
{
	/* zstd's bound includes a frame's header and end */
	return ZSTD_compressBound(raw_len);
}

static WsStatus
zstd_encode(void *encoder, XLogRecPtr start_lsn pg_attribute_unused(),
			const uint8 *src, size_t src_len,
			uint8 *dst, size_t dst_size, size_t *dst_len)
{
	ZstdEncoder *ze = encoder;
	ZSTD_inBuffer given = {src, src_len, 0};
	ZSTD_outBuffer out = {dst, dst_size, 0};
	bool		keeps = ze->kept_size > 0;
	WsStatus	status;

	if (keeps)
	{
		if (zstd_encoder_full(ze, src_len))
			return WS_E_TOO_LARGE;
		memcpy(ze->kept + ze->input.size, src, src_len);
		ze->input.size += src_len;
	}
	status = encode_all(ze->cctx, keeps ? &ze->input : &given, &out);
	*dst_len = out.pos;
	return status;
}

static WsStatus
zstd_decoder_restart(void *decoder)
{
	ZstdDecoder *zd = decoder;
	size_t		code = ZSTD_DCtx_reset(zd->dctx, ZSTD_reset_session_only);

	zd->restarted = true;
	return ZSTD_isError(code) ? map_error(code) : WS_OK;
}

static void
zstd_decoder_free(void *decoder)
{
	ZstdDecoder *zd = decoder;

	if (zd == NULL)
		return;
	ZSTD_freeDCtx(zd->dctx);
	free(zd);
}

static void *
zstd_decoder_new(const WsCodecParams *params pg_attribute_unused())
{
	ZstdDecoder *zd = malloc(sizeof(ZstdDecoder));

	if (zd == NULL)
		return NULL;
	zd->restarted = true;
	zd->dctx = ZSTD_createDCtx();
	if (zd->dctx == NULL ||
		ZSTD_isError(ZSTD_DCtx_setParameter(zd->dctx, ZSTD_d_windowLogMax,
											WS_WINDOW_LOG_MAX)))
	{
		zstd_decoder_free(zd);
		return NULL;
	}
	return zd;
}

#ifdef WS_WALZ_VERIFY
static size_t
library_decoder_size(int level)
{
	size_t		size = ZSTD_estimateDStreamSize((size_t) 1 << zstd_window_log(level));

	return TYPEALIGN(WS_ENCODER_ALIGN, size);
}

size_t
ws_zstd_decoder_size(int level)
{
	return TYPEALIGN(WS_ENCODER_ALIGN, sizeof(ZstdDecoder)) + library_decoder_size(level);
}

WsStatus
ws_zstd_decoder_init(void *decoder, int level)
{
	ZstdDecoder *zd = decoder;

	zd->restarted = true;
	zd->dctx = ZSTD_initStaticDCtx((uint8 *) decoder +
								   TYPEALIGN(WS_ENCODER_ALIGN, sizeof(ZstdDecoder)),
								   library_decoder_size(level));
	return zd->dctx != NULL ? WS_OK : WS_E_MEMORY;
}
#endif

/*
 * Check by the headers that this is one run of complete blocks as our encoder
 * writes them.  The library alone would wait for the rest of a truncated
 * block, start over after the end of a frame, and accept foreign frame
 * headers.
 */
static bool
check_blocks(const uint8 *src, size_t len, bool restarted)
{
	if (restarted)
	{
		static const uint8 start[] = {
			(uint8) ZSTD_MAGICNUMBER, (uint8) (ZSTD_MAGICNUMBER >> 8),
			(uint8) (ZSTD_MAGICNUMBER >> 16), (uint8) (ZSTD_MAGICNUMBER >> 24),
			0					/* no content size, dictionary, checksum */
		};

		if (len < ZSTD_HEADER_SIZE || memcmp(src, start, sizeof(start)) != 0)
			return false;
		src += ZSTD_HEADER_SIZE;
		len -= ZSTD_HEADER_SIZE;
	}

	while (len > 0)
	{
		uint32		header;
		size_t		body;

		if (len < ZSTD_BLOCK_HEADER_SIZE)
			return false;
		header = src[0] | src[1] << 8 | src[2] << 16;
		if (ZSTD_BLOCK_TYPE(header) == ZSTD_BLOCK_RLE)
			body = 1;
		else
			body = ZSTD_BLOCK_SIZE(header);
		src += ZSTD_BLOCK_HEADER_SIZE;
		len -= ZSTD_BLOCK_HEADER_SIZE;

		if (ZSTD_BLOCK_LAST(header) ||
			ZSTD_BLOCK_TYPE(header) == ZSTD_BLOCK_RESERVED ||
			ZSTD_BLOCK_SIZE(header) == 0 || body > len)
			return false;
		src += body;
		len -= body;
	}
	return true;
}

static WsStatus
decode_blocks(ZstdDecoder *zd, const uint8 *src, size_t src_len,
			  uint8 *dst, size_t dst_len)
{
	uint8		spare;
	ZSTD_inBuffer in = {src, src_len, 0};
	ZSTD_outBuffer out = {dst, dst_len, 0};
	ZSTD_outBuffer over = {&spare, 1, 0};
	size_t		before;

	if (!check_blocks(src, src_len, zd->restarted))
		return WS_E_CODEC;
	zd->restarted = false;

	/*
	 * Call until a call does nothing.  Once dst is full, the output goes to a
	 * spare byte, which shows that there was too much.
	 */
	do
	{
		ZSTD_outBuffer *to = out.pos < out.size ? &out : &over;
		size_t		code;

		before = in.pos + out.pos;
		code = ZSTD_decompressStream(zd->dctx, to, &in);
		if (ZSTD_isError(code))
			return map_error(code);
		if (over.pos > 0)
			return WS_E_LENGTH;
	} while (in.pos + out.pos > before);

	return in.pos == src_len && out.pos == dst_len ? WS_OK : WS_E_LENGTH;
}

static WsStatus
zstd_decode(void *decoder, XLogRecPtr start_lsn pg_attribute_unused(),
			const uint8 *src, size_t src_len, uint8 *dst, size_t dst_len)
{
	WsStatus	status;

	/* an empty input is never encoded; the library would wait for more */
	if (src_len == 0 || dst_len == 0)
		status = src_len == dst_len ? WS_OK : WS_E_LENGTH;
	else
		status = decode_blocks(decoder, src, src_len, dst, dst_len);

	/* a library session that has failed must not be used again */
	if (status != WS_OK)
		(void) zstd_decoder_restart(decoder);
	return status;
}

const WsCodec ws_codec_zstd = {
	.name = "zstd",
	.word = "zstd",
	.id = WS_CODEC_ZSTD,
	.logical = true,
	.by_default = true,
	.default_level = 1,
	.min_level = ZSTD_minCLevel,
	.max_level = ZSTD_maxCLevel,
	.window_log = zstd_window_log,
	.encoder_size = zstd_encoder_size,
	.encoder_init = zstd_encoder_init,
	.decoder_new = zstd_decoder_new,
	.encoder_restart = zstd_encoder_restart,
	.encoder_full = zstd_encoder_full,
	.decoder_restart = zstd_decoder_restart,
	.encode_bound = zstd_encode_bound,
	.encode = zstd_encode,
	.decode = zstd_decode,
	.decoder_free = zstd_decoder_free
};
