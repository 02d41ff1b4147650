/*-------------------------------------------------------------------------
 *
 * lz4.c
 *	  The codec lz4: one lz4 frame from each restart on, its blocks linked.
 *
 * All output of an encoder between two restarts, joined, is the beginning of
 * an ordinary lz4 frame whose end is never written.  All frames have the same
 * header.  Blocks hold up to 64 kB, the smallest size that lz4 has: history
 * reaches 64 kB back whatever the block size, and both ends allocate in
 * multiples of the block size.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <lz4frame.h>

#include "pure/codec/codec.h"

#define LZ4_BLOCK_MAX			(64 * 1024)
#define LZ4_BLOCK_HEADER_SIZE	4
#define LZ4_BLOCK_PLAIN			0x80000000	/* block is not compressed */

/*
 * Magic number; version 1, linked blocks, no checksums, no content size, no
 * dictionary; blocks of at most 64 kB; check value of these two bytes.
 */
static const uint8 frame_header[] = {
	0x04, 0x22, 0x4d, 0x18, 0x40, 0x40, 0xc0
};

typedef struct Lz4Encoder
{
	LZ4F_cctx  *cctx;
	int			level;
	bool		restarted;		/* the next block begins a frame */
} Lz4Encoder;

typedef struct Lz4Decoder
{
	LZ4F_dctx  *dctx;
	bool		restarted;		/* the next block starts with a frame header */
} Lz4Decoder;

/* The fast mode; the library's negative levels would be faster still. */
static int
lz4_min_level(void)
{
	return 0;
}

static void
set_preferences(LZ4F_preferences_t *preferences, int level)
{
	memset(preferences, 0, sizeof(*preferences));
	preferences->frameInfo.blockSizeID = LZ4F_max64KB;
	preferences->frameInfo.blockMode = LZ4F_blockLinked;
	preferences->compressionLevel = level;
	preferences->autoFlush = 1;
}

/*
 * Begin a frame.  This allocates what the level needs if that has not been
 * done; nothing else in here can fail.
 */
static WsStatus
begin_frame(Lz4Encoder *le, uint8 *dst, size_t dst_size, size_t *dst_len)
{
	LZ4F_preferences_t preferences;

	set_preferences(&preferences, le->level);
	*dst_len = LZ4F_compressBegin(le->cctx, dst, dst_size, &preferences);
	if (LZ4F_isError(*dst_len))
	{
		*dst_len = 0;
		return WS_E_MEMORY;
	}
	return WS_OK;
}

static WsStatus
lz4_encoder_restart(void *encoder, const WsCodecParams *params)
{
	Lz4Encoder *le = encoder;
	uint8		unused[LZ4F_HEADER_SIZE_MAX];
	size_t		unused_len;

	le->level = params->level;
	le->restarted = true;

	/* make a lack of memory show here, not in the middle of a segment */
	return begin_frame(le, unused, sizeof(unused), &unused_len);
}

static void
lz4_encoder_free(void *encoder)
{
	Lz4Encoder *le = encoder;

	if (le == NULL)
		return;
	(void) LZ4F_freeCompressionContext(le->cctx);
	free(le);
}

static void *
lz4_encoder_new(const WsCodecParams *params)
{
	Lz4Encoder *le = malloc(sizeof(Lz4Encoder));

	if (le == NULL)
		return NULL;
	le->cctx = NULL;
	if (LZ4F_isError(LZ4F_createCompressionContext(&le->cctx, LZ4F_VERSION)) ||
		lz4_encoder_restart(le, params) != WS_OK)
	{
		lz4_encoder_free(le);
		return NULL;
	}
	return le;
}

static size_t
lz4_encode_bound(size_t raw_len)
{
	LZ4F_preferences_t preferences;

	set_preferences(&preferences, 0);
	return LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(raw_len, &preferences);
}

static WsStatus
lz4_encode(void *encoder, XLogRecPtr start_lsn pg_attribute_unused(),
		   const uint8 *src, size_t src_len,
		   uint8 *dst, size_t dst_size, size_t *dst_len)
{
	Lz4Encoder *le = encoder;
	size_t		code;

	*dst_len = 0;
	if (dst_size < lz4_encode_bound(src_len))
		return WS_E_TOO_LARGE;
	if (src_len == 0)
		return WS_OK;

	if (le->restarted)
	{
		WsStatus	status = begin_frame(le, dst, dst_size, dst_len);

		if (status != WS_OK)
			return status;
		le->restarted = false;
	}

	code = LZ4F_compressUpdate(le->cctx, dst + *dst_len, dst_size - *dst_len,
							   src, src_len, NULL);
	if (LZ4F_isError(code))
		return WS_E_CODEC;
	*dst_len += code;
	return WS_OK;
}

static WsStatus
lz4_decoder_restart(void *decoder)
{
	Lz4Decoder *ld = decoder;

	LZ4F_resetDecompressionContext(ld->dctx);
	ld->restarted = true;
	return WS_OK;
}

static void
lz4_decoder_free(void *decoder)
{
	Lz4Decoder *ld = decoder;

	if (ld == NULL)
		return;
	(void) LZ4F_freeDecompressionContext(ld->dctx);
	free(ld);
}

static void *
lz4_decoder_new(const WsCodecParams *params pg_attribute_unused())
{
	Lz4Decoder *ld = malloc(sizeof(Lz4Decoder));
	size_t		src_len = sizeof(frame_header);
	size_t		dst_len = 0;

	if (ld == NULL)
		return NULL;
	ld->dctx = NULL;

	/* a frame's header makes the library allocate all that it will need */
	if (LZ4F_isError(LZ4F_createDecompressionContext(&ld->dctx,
													 LZ4F_VERSION)) ||
		LZ4F_isError(LZ4F_decompress(ld->dctx, NULL, &dst_len,
									 frame_header, &src_len, NULL)) ||
		lz4_decoder_restart(ld) != WS_OK)
	{
		lz4_decoder_free(ld);
		return NULL;
	}
	return ld;
}

/*
 * Check by the headers that this is one run of complete blocks as our encoder
 * writes them.  The library alone would wait for the rest of a truncated
 * block, start over after the end of a frame, and allocate by the block size
 * in a foreign frame header.
 */
static bool
check_blocks(const uint8 *src, size_t len, bool restarted)
{
	if (restarted)
	{
		if (len < sizeof(frame_header) ||
			memcmp(src, frame_header, sizeof(frame_header)) != 0)
			return false;
		src += sizeof(frame_header);
		len -= sizeof(frame_header);
	}

	while (len > 0)
	{
		uint32		body;

		if (len < LZ4_BLOCK_HEADER_SIZE)
			return false;
		body = src[0] | src[1] << 8 | src[2] << 16 | (uint32) src[3] << 24;
		body &= ~LZ4_BLOCK_PLAIN;
		src += LZ4_BLOCK_HEADER_SIZE;
		len -= LZ4_BLOCK_HEADER_SIZE;

		/* zero ends the frame */
		if (body == 0 || body > LZ4_BLOCK_MAX || body > len)
			return false;
		src += body;
		len -= body;
	}
	return true;
}

static WsStatus
decode_blocks(Lz4Decoder *ld, const uint8 *src, size_t src_len,
			  uint8 *dst, size_t dst_len)
{
	size_t		src_pos = 0;
	size_t		dst_pos = 0;
	size_t		consumed;
	size_t		produced;

	if (!check_blocks(src, src_len, ld->restarted))
		return WS_E_CODEC;
	ld->restarted = false;

	/*
	 * Call until a call does nothing.  Once dst is full, the output goes to a
	 * spare byte, which shows that there was too much.
	 */
	do
	{
		uint8		spare;
		bool		full = dst_pos == dst_len;
		uint8	   *to = full ? &spare : dst + dst_pos;

		consumed = src_len - src_pos;
		produced = full ? 1 : dst_len - dst_pos;
		if (LZ4F_isError(LZ4F_decompress(ld->dctx, to, &produced,
										 src + src_pos, &consumed, NULL)))
			return WS_E_CODEC;
		if (full && produced > 0)
			return WS_E_LENGTH;
		src_pos += consumed;
		dst_pos += produced;
	} while (consumed + produced > 0);

	return src_pos == src_len && dst_pos == dst_len ? WS_OK : WS_E_LENGTH;
}

static WsStatus
lz4_decode(void *decoder, XLogRecPtr start_lsn pg_attribute_unused(),
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
		(void) lz4_decoder_restart(decoder);
	return status;
}

const WsCodec ws_codec_lz4 = {
	.name = "lz4",
	.word = "lz4",
	.id = WS_CODEC_LZ4,
	.logical = true,
	.by_default = true,
	.default_level = 0,
	.min_level = lz4_min_level,
	.max_level = LZ4F_compressionLevel_max,
	.encoder_new = lz4_encoder_new,
	.decoder_new = lz4_decoder_new,
	.encoder_restart = lz4_encoder_restart,
	.decoder_restart = lz4_decoder_restart,
	.encode_bound = lz4_encode_bound,
	.encode = lz4_encode,
	.decode = lz4_decode,
	.encoder_free = lz4_encoder_free,
	.decoder_free = lz4_decoder_free
};
