/*-------------------------------------------------------------------------
 *
 * test_codec_format.c
 *	  The codecs' output as the libraries read it, and what the libraries
 *	  write and a decoder must refuse.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <lz4frame.h>
#include <zstd.h>

#include "pure/codec/codec.h"
#include "tap.h"
#include "testdata.h"

/* address sanitizer's; its headers are not installed with every compiler */
extern size_t __sanitizer_get_current_allocated_bytes(void);

#define RAW_SIZE	(3 * 1024 * 1024)

static uint8 *raw;
static uint8 *encoded;			/* 2 * RAW_SIZE bytes */
static uint8 *decoded;			/* RAW_SIZE bytes */

/* Encode all of raw in blocks of many sizes; returns the encoded length. */
static size_t
encode_raw(const WsCodec *codec, int level)
{
	WsCodecParams params = {.level = level};
	void	   *encoder = ws_codec_encoder_new(codec, &params);
	size_t		block = 1;
	size_t		len = 0;

	for (size_t pos = 0; pos < RAW_SIZE; pos += block)
	{
		size_t		block_len;

		block = Min(RAW_SIZE - pos, 1 + (block * 7) % 200003);
		if (codec->encode(encoder, 0, raw + pos, block, encoded + len,
						  2 * RAW_SIZE - len, &block_len) != WS_OK)
			abort();
		len += block_len;
	}
	ws_codec_encoder_free(encoder);
	return len;
}

/*
 * The library's simple streaming interface, with its defaults, reads what an
 * encoder has written since a restart, in pieces of any size.
 */
static void
test_zstd_reads(int level)
{
	size_t		len = encode_raw(&ws_codec_zstd, level);
	ZSTD_DStream *stream = ZSTD_createDStream();
	ZSTD_outBuffer out = {decoded, RAW_SIZE, 0};
	size_t		code = 0;
	static const uint8 end[] = {1, 0, 0};	/* last block, empty */

	ZSTD_initDStream(stream);
	memset(decoded, 0, RAW_SIZE);
	for (size_t pos = 0; pos < len && !ZSTD_isError(code); pos += 1009)
	{
		ZSTD_inBuffer in = {encoded + pos, Min(1009, len - pos), 0};

		while (in.pos < in.size && !ZSTD_isError(code))
			code = ZSTD_decompressStream(stream, &out, &in);
	}
	ok(!ZSTD_isError(code) && code > 0, "zstd:%d is an open zstd frame", level);
	ok(out.pos == RAW_SIZE && memcmp(decoded, raw, RAW_SIZE) == 0,
	   "zstd:%d is read by the library", level);
	ZSTD_freeDStream(stream);

	/* with an end it is a file as the command-line tool writes it */
	memcpy(encoded + len, end, sizeof(end));
	memset(decoded, 0, RAW_SIZE);
	is(ZSTD_decompress(decoded, RAW_SIZE, encoded, len + sizeof(end)), RAW_SIZE,
	   "zstd:%d is a zstd file once it is ended", level);
	ok(memcmp(decoded, raw, RAW_SIZE) == 0, "zstd:%d with the same bytes", level);
	is(10 + (encoded[5] >> 3), ws_codec_zstd.window_log(level),
	   "zstd:%d has the window that it says it has", level);
	is(encoded[4], 0, "zstd:%d has no content size, checksum, dictionary", level);
}

static void
test_lz4_reads(int level)
{
	size_t		len = encode_raw(&ws_codec_lz4, level);
	LZ4F_dctx  *dctx;
	size_t		consumed = 0;
	size_t		produced = 0;
	size_t		code;

	/* the end mark makes it a file as the command-line tool writes it */
	memset(encoded + len, 0, 4);
	len += 4;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&dctx, LZ4F_VERSION)))
		abort();
	memset(decoded, 0, RAW_SIZE);
	do
	{
		size_t		dst_len = RAW_SIZE - produced;
		size_t		src_len = Min(1009, len - consumed);

		code = LZ4F_decompress(dctx, decoded + produced, &dst_len,
							   encoded + consumed, &src_len, NULL);
		consumed += src_len;
		produced += dst_len;
	} while (!LZ4F_isError(code) && code != 0 && consumed < len);

	is(code, 0, "lz4:%d is an lz4 file once it is ended", level);
	is(consumed, len, "lz4:%d to the last byte", level);
	ok(produced == RAW_SIZE && memcmp(decoded, raw, RAW_SIZE) == 0,
	   "lz4:%d is read by the library", level);
	LZ4F_freeDecompressionContext(dctx);
}

/*
 * Where no input is shorter than a block, the blocks are those of the library's
 * streaming interface.
 */
static void
test_lz4_same(int level)
{
	static const size_t sizes[] = {65536, 131072, 65537, 100000, 200000};
	WsCodecParams params = {.level = level};
	LZ4F_preferences_t preferences = {
		.frameInfo = {.blockSizeID = LZ4F_max64KB},
		.compressionLevel = level,
		.autoFlush = 1
	};
	void	   *encoder = ws_codec_encoder_new(&ws_codec_lz4, &params);
	size_t		bound = LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(RAW_SIZE, &preferences);
	uint8	   *expected = malloc(bound);
	LZ4F_cctx  *cctx;
	int			wrong = 0;
	size_t		pos = 0;

	if (LZ4F_isError(LZ4F_createCompressionContext(&cctx, LZ4F_VERSION)))
		abort();
	for (int i = 0; pos + sizes[i % lengthof(sizes)] <= RAW_SIZE; i++)
	{
		size_t		size = sizes[i % lengthof(sizes)];
		size_t		begin = 0;
		size_t		len;

		/* frames begin with the first block and at each restart */
		if (i % 10 == 0)
			begin = LZ4F_compressBegin(cctx, expected, bound, &preferences);
		if (i % 10 == 0 && i > 0 && ws_codec_lz4.encoder_restart(encoder) != WS_OK)
			abort();
		begin += LZ4F_compressUpdate(cctx, expected + begin, bound - begin, raw + pos,
									 size, NULL);
		if (ws_codec_lz4.encode(encoder, 0, raw + pos, size, encoded, 2 * RAW_SIZE,
								&len) != WS_OK ||
			len != begin || memcmp(encoded, expected, len) != 0)
			wrong++;
		pos += size;
	}
	is(wrong, 0, "lz4:%d writes the library's frames", level);
	LZ4F_freeCompressionContext(cctx);
	ws_codec_encoder_free(encoder);
	free(expected);
}

/*
 * Check that a new decoder refuses this, and that the input has not determined
 * how much it allocates.
 */
static void
is_refused(const WsCodec *codec, size_t len, size_t raw_len, const char *what)
{
	WsCodecParams params = {0};
	void	   *decoder = codec->decoder_new(&params);
	size_t		before = __sanitizer_get_current_allocated_bytes();
	WsStatus	status = codec->decode(decoder, 0, encoded, len, decoded, raw_len);

	is(status, WS_E_CODEC, "%s refuses %s", codec->name, what);
	ok(__sanitizer_get_current_allocated_bytes() <= before + 1024,
	   "%s allocates nothing for it", codec->name);
	codec->decoder_free(decoder);
}

/*
 * What zstd makes of the first raw_len bytes of raw with one parameter
 * changed.
 */
static size_t
zstd_frame(ZSTD_cParameter parameter, int value, ZSTD_EndDirective end,
		   size_t raw_len)
{
	ZSTD_CCtx  *cctx = ZSTD_createCCtx();
	ZSTD_inBuffer in = {raw, raw_len, 0};
	ZSTD_outBuffer out = {encoded, RAW_SIZE, 0};

	ZSTD_CCtx_setParameter(cctx, ZSTD_c_contentSizeFlag, 0);
	ZSTD_CCtx_setParameter(cctx, parameter, value);
	if (ZSTD_compressStream2(cctx, &out, &in, end) != 0)
		abort();
	ZSTD_freeCCtx(cctx);
	return out.pos;
}

static void
test_zstd_refuses(void)
{
	static const uint8 skippable[] = {
		0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4
	};
	size_t		len;
	WsCodecParams params = {0};
	void	   *decoder = ws_codec_zstd.decoder_new(&params);

	/*
	 * first a frame that is accepted: the others are written in the same way
	 */
	len = zstd_frame(ZSTD_c_windowLog, WS_WINDOW_LOG_MAX, ZSTD_e_flush, 5000);
	is(ws_codec_zstd.decode(decoder, 0, encoded, len, decoded, 5000), WS_OK,
	   "zstd takes a window of 2 MB");
	ws_codec_zstd.decoder_free(decoder);

	len = zstd_frame(ZSTD_c_windowLog, 22, ZSTD_e_flush, 5000);
	is_refused(&ws_codec_zstd, len, 5000, "a window of 4 MB");
	len = zstd_frame(ZSTD_c_windowLog, 27, ZSTD_e_flush, 5000);
	is_refused(&ws_codec_zstd, len, 5000, "a window of 128 MB");
	len = zstd_frame(ZSTD_c_windowLog, 19, ZSTD_e_end, 5000);
	is_refused(&ws_codec_zstd, len, 5000, "a frame that ends");
	len = zstd_frame(ZSTD_c_checksumFlag, 1, ZSTD_e_flush, 5000);
	is_refused(&ws_codec_zstd, len, 5000, "a frame with a checksum");
	len = zstd_frame(ZSTD_c_contentSizeFlag, 1, ZSTD_e_end, 5000);
	is_refused(&ws_codec_zstd, len, 5000, "a frame with its content's size");
	len = zstd_frame(ZSTD_c_windowLog, 19, ZSTD_e_end, 0);
	is_refused(&ws_codec_zstd, len, 1, "an empty frame");

	memcpy(encoded, skippable, sizeof(skippable));
	is_refused(&ws_codec_zstd, sizeof(skippable), 4, "a skippable frame");
}

static size_t
lz4_frame(LZ4F_frameInfo_t info, bool end, size_t raw_len)
{
	LZ4F_preferences_t preferences = {.frameInfo = info,.autoFlush = 1};
	LZ4F_cctx  *cctx;
	size_t		len;

	if (LZ4F_isError(LZ4F_createCompressionContext(&cctx, LZ4F_VERSION)))
		abort();
	len = LZ4F_compressBegin(cctx, encoded, RAW_SIZE, &preferences);
	len += LZ4F_compressUpdate(cctx, encoded + len, RAW_SIZE - len, raw, raw_len,
							   NULL);
	if (end)
		len += LZ4F_compressEnd(cctx, encoded + len, RAW_SIZE - len, NULL);
	LZ4F_freeCompressionContext(cctx);
	return len;
}

static void
test_lz4_refuses(void)
{
	static const uint8 skippable[] = {
		0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4
	};
	LZ4F_frameInfo_t info = {.blockSizeID = LZ4F_max64KB};
	size_t		len;
	WsCodecParams params = {0};
	void	   *decoder = ws_codec_lz4.decoder_new(&params);

	len = lz4_frame(info, false, 5000);
	is(ws_codec_lz4.decode(decoder, 0, encoded, len, decoded, 5000), WS_OK,
	   "lz4 takes linked blocks of 64 kB");
	ws_codec_lz4.decoder_free(decoder);

	len = lz4_frame(info, true, 5000);
	is_refused(&ws_codec_lz4, len, 5000, "a frame that ends");
	info.blockSizeID = LZ4F_max4MB;
	len = lz4_frame(info, false, 5000);
	is_refused(&ws_codec_lz4, len, 5000, "blocks of 4 MB");
	info.blockSizeID = LZ4F_max64KB;
	info.contentChecksumFlag = LZ4F_contentChecksumEnabled;
	len = lz4_frame(info, false, 5000);
	is_refused(&ws_codec_lz4, len, 5000, "a frame with a checksum");
	info.contentChecksumFlag = LZ4F_noContentChecksum;
	info.blockChecksumFlag = LZ4F_blockChecksumEnabled;
	len = lz4_frame(info, false, 5000);
	is_refused(&ws_codec_lz4, len, 5000, "blocks with checksums");
	info.blockChecksumFlag = LZ4F_noBlockChecksum;
	info.contentSize = 5000;
	len = lz4_frame(info, false, 5000);
	is_refused(&ws_codec_lz4, len, 5000, "a frame with its content's size");
	info.contentSize = 0;
	info.blockMode = LZ4F_blockIndependent;
	len = lz4_frame(info, false, 5000);
	is_refused(&ws_codec_lz4, len, 5000, "independent blocks");

	memcpy(encoded, skippable, sizeof(skippable));
	is_refused(&ws_codec_lz4, sizeof(skippable), 4, "a skippable frame");
}

int
main(void)
{
	raw = malloc(RAW_SIZE);
	encoded = malloc(2 * RAW_SIZE);
	decoded = malloc(RAW_SIZE);
	if (raw == NULL || encoded == NULL || decoded == NULL)
		abort();
	fill_records(raw, RAW_SIZE, 3);
	fill_random(raw + RAW_SIZE / 2, 300000, 4);

	is(ws_codec_zstd.window_log(-50), 19, "window of level -50");
	is(ws_codec_zstd.window_log(1), 19, "window of level 1");
	is(ws_codec_zstd.window_log(2), 20, "window of level 2");
	is(ws_codec_zstd.window_log(3), 21, "window of level 3");
	is(ws_codec_zstd.window_log(22), 21, "window of level 22");

	test_zstd_reads(-5);
	test_zstd_reads(1);
	test_zstd_reads(2);
	test_zstd_reads(3);
	test_zstd_reads(19);
	test_zstd_refuses();

	test_lz4_reads(1);
	test_lz4_reads(9);
	for (int level = 0; level <= ws_codec_lz4.max_level(); level++)
		test_lz4_same(level);
	test_lz4_refuses();

	free(raw);
	free(encoded);
	free(decoded);
	return done_testing();
}
