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

#include <lz4.h>
#include <lz4frame.h>
#include <lz4hc.h>

#include "pure/codec/codec.h"

#if LZ4_VERSION_NUMBER < 10900
#error "walstream needs lz4 1.9 or later"
#endif

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

/* How far back a match may be; both ends keep this much. */
#define LZ4_HISTORY				(64 * 1024)

/*
 * The encoder's copy of what came last.  The library finds matches only in what
 * lies right before its input, and in one other place.  So input shorter than
 * a block is first appended to the copy; a history of many messages, each
 * somewhere else, would be that of the last one.  The more room there is, the
 * less often the copy has to move.
 */
#define LZ4_KEPT_SIZE			(3 * LZ4_HISTORY)

/* An encoder's memory: this, then the library's state. */
typedef struct Lz4Encoder
{
	int			level;
	bool		restarted;		/* the next block begins a frame */
	union
	{
		void	   *memory;
		LZ4_stream_t *fast;
		LZ4_streamHC_t *hc;		/* from LZ4HC_CLEVEL_MIN on */
	}			state;
	size_t		kept_len;
	uint8		kept[LZ4_KEPT_SIZE];
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

static int
lz4_max_level(void)
{
	return LZ4HC_CLEVEL_MAX;
}

static bool
is_fast(int level)
{
	return level < LZ4HC_CLEVEL_MIN;
}

static size_t
lz4_encoder_size(const WsCodecParams *params)
{
	size_t		state = is_fast(params->level) ? LZ4_sizeofState() : LZ4_sizeofStateHC();

	return TYPEALIGN(WS_ENCODER_ALIGN, sizeof(Lz4Encoder)) +
		TYPEALIGN(WS_ENCODER_ALIGN, state);
}

static WsStatus
lz4_encoder_restart(void *encoder)
{
	Lz4Encoder *le = encoder;

	if (is_fast(le->level))
		LZ4_resetStream_fast(le->state.fast);
	else
		LZ4_resetStreamHC_fast(le->state.hc, le->level);
	le->kept_len = 0;
	le->restarted = true;
	return WS_OK;
}

static WsStatus
lz4_encoder_init(void *encoder, const WsCodecParams *params)
{
	Lz4Encoder *le = encoder;
	uint8	   *state = (uint8 *) encoder + TYPEALIGN(WS_ENCODER_ALIGN, sizeof(Lz4Encoder));

	le->level = params->level;
	if (is_fast(le->level))
		le->state.memory = LZ4_initStream(state, LZ4_sizeofState());
	else
		le->state.memory = LZ4_initStreamHC(state, LZ4_sizeofStateHC());
	return le->state.memory != NULL ? lz4_encoder_restart(le) : WS_E_MEMORY;
}

static size_t
lz4_encode_bound(size_t raw_len)
{
	size_t		blocks = (raw_len + LZ4_BLOCK_MAX - 1) / LZ4_BLOCK_MAX;

	return sizeof(frame_header) + blocks * LZ4_BLOCK_HEADER_SIZE + raw_len;
}

/* Keep only the history, at the beginning of the copy, wherever it is now. */
static void
keep_history(Lz4Encoder *le)
{
	char	   *to = (char *) le->kept;

	if (is_fast(le->level))
		le->kept_len = LZ4_saveDict(le->state.fast, to, LZ4_HISTORY);
	else
		le->kept_len = LZ4_saveDictHC(le->state.hc, to, LZ4_HISTORY);
}

/* Append to the copy; len is less than a block. */
static const uint8 *
append_kept(Lz4Encoder *le, const uint8 *src, size_t len)
{
	uint8	   *to;

	if (len > LZ4_KEPT_SIZE - le->kept_len)
		keep_history(le);
	to = le->kept + le->kept_len;
	memcpy(to, src, len);
	le->kept_len += len;
	return to;
}

/* Write one block; dst has room for it as it is.  Returns its length. */
static size_t
encode_lz4_block(Lz4Encoder *le, const uint8 *src, int len, uint8 *dst)
{
	const char *from = (const char *) src;
	char	   *to = (char *) dst + LZ4_BLOCK_HEADER_SIZE;
	uint32		body;
	uint32		plain = 0;

	if (is_fast(le->level))
		body = LZ4_compress_fast_continue(le->state.fast, from, to, len, len - 1, 1);
	else
		body = LZ4_compress_HC_continue(le->state.hc, from, to, len, len - 1);
	if (body == 0)
	{
		/* it would not have got smaller */
		body = len;
		plain = LZ4_BLOCK_PLAIN;
		memcpy(to, from, len);
	}
	for (int i = 0; i < LZ4_BLOCK_HEADER_SIZE; i++)
		dst[i] = (uint8) ((body | plain) >> (8 * i));
	return LZ4_BLOCK_HEADER_SIZE + body;
}

static WsStatus
lz4_encode(void *encoder, XLogRecPtr start_lsn pg_attribute_unused(),
		   const uint8 *src, size_t src_len,
		   uint8 *dst, size_t dst_size, size_t *dst_len)
{
	Lz4Encoder *le = encoder;
	uint8	   *p = dst;

	*dst_len = 0;
	if (dst_size < lz4_encode_bound(src_len))
		return WS_E_TOO_LARGE;
	if (src_len == 0)
		return WS_OK;

	if (le->restarted)
	{
		memcpy(p, frame_header, sizeof(frame_header));
		p += sizeof(frame_header);
		le->restarted = false;
	}
	if (src_len < LZ4_BLOCK_MAX)
		p += encode_lz4_block(le, append_kept(le, src, src_len), (int) src_len, p);
	else
	{
		for (size_t pos = 0; pos < src_len; pos += LZ4_BLOCK_MAX)
			p += encode_lz4_block(le, src + pos, (int) Min(src_len - pos, LZ4_BLOCK_MAX), p);

		/* src does not stay */
		keep_history(le);
	}
	*dst_len = p - dst;
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
	.max_level = lz4_max_level,
	.encoder_size = lz4_encoder_size,
	.encoder_init = lz4_encoder_init,
	.decoder_new = lz4_decoder_new,
	.encoder_restart = lz4_encoder_restart,
	.decoder_restart = lz4_decoder_restart,
	.encode_bound = lz4_encode_bound,
	.encode = lz4_encode,
	.decode = lz4_decode,
	.decoder_free = lz4_decoder_free
};
