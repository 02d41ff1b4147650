/*-------------------------------------------------------------------------
 *
 * test_no_memory.c
 *	  Encoders, decoders and intakes when an allocation fails, whichever it is.
 *
 * The linker replaces the allocating functions, and those of libraries that
 * allocate, by the functions below.  Each of them can be made to fail at its
 * n-th call; address sanitizer then finds leaks and wrong accesses.
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#define ZSTD_STATIC_LINKING_ONLY
#include <lz4.h>
#include <lz4frame.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "messages.h"
#include "pure/wire/intake.h"
#include "tap.h"
#include "testdata.h"

#define MB			(1024 * 1024)
#define START_LSN	UINT64CONST(0x2A000000)

static int	calls_until_failure;	/* 0: none fails */
static bool counting = true;	/* false: it is this test that calls */

static bool
fails(void)
{
	return counting && calls_until_failure > 0 && --calls_until_failure == 0;
}

/*
 * NAME(PARAMETERS) under the linker's names: the function here and the real
 * one.
 */
#define WRAP(type, name, parameters, arguments, failure) \
	extern type __real_##name parameters; \
	extern type __wrap_##name parameters; \
	type \
	__wrap_##name parameters \
	{ \
		return fails() ? (failure) : __real_##name arguments; \
	}

/* What these functions return if there is no memory. */
#define ZSTD_FAILURE	((size_t) -ZSTD_error_memory_allocation)
#define LZ4_FAILURE		((size_t) -1)

WRAP(void *, malloc, (size_t size), (size), NULL)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), NULL)
WRAP(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size), NULL)
WRAP(ZSTD_CCtx_params *, ZSTD_createCCtxParams, (void), (), NULL)
WRAP(ZSTD_CCtx *, ZSTD_initStaticCCtx, (void *memory, size_t size), (memory, size), NULL)
WRAP(ZSTD_DCtx *, ZSTD_createDCtx, (void), (), NULL)
WRAP(size_t, ZSTD_CCtx_reset, (ZSTD_CCtx *cctx, ZSTD_ResetDirective reset),
	 (cctx, reset), ZSTD_FAILURE)
WRAP(size_t, ZSTD_DCtx_reset, (ZSTD_DCtx *dctx, ZSTD_ResetDirective reset),
	 (dctx, reset), ZSTD_FAILURE)
WRAP(size_t, ZSTD_compressStream2,
	 (ZSTD_CCtx *cctx, ZSTD_outBuffer *out, ZSTD_inBuffer *in, ZSTD_EndDirective end),
	 (cctx, out, in, end), ZSTD_FAILURE)
WRAP(size_t, LZ4F_createDecompressionContext, (LZ4F_dctx **dctx, unsigned version),
	 (dctx, version), LZ4_FAILURE)

/* These two cannot lack memory; the second says that a block does not shrink. */
WRAP(LZ4_stream_t *, LZ4_initStream, (void *memory, size_t size), (memory, size), NULL)
WRAP(int, LZ4_compress_fast_continue,
	 (LZ4_stream_t * stream, const char *src, char *dst, int len, int size, int acceleration),
	 (stream, src, dst, len, size, acceleration), 0)

static uint8 records[64 * 1024];
static WsCodecParams params;

/* Call make with a failure at each of its allocations, until it succeeds. */
static void
try_to_make(void *(*make) (const void *arg), void (*free) (void *thing),
			const void *arg, const char *what)
{
	int			failures = 0;
	void	   *thing;

	for (int n = 1;; n++)
	{
		calls_until_failure = n;
		thing = make(arg);
		if (calls_until_failure > 0)
			break;				/* there are fewer calls than that */
		failures += thing == NULL;
		free(thing);
	}
	calls_until_failure = 0;
	ok(thing != NULL && failures > 0, "%s: %d calls can fail, and one more try is enough",
	   what, failures);
	free(thing);
}

static void *
make_encoder_of_codec(const void *codec)
{
	return ws_codec_encoder_new((const WsCodec *) codec, &params);
}

static void *
make_decoder_of_codec(const void *codec)
{
	return ((const WsCodec *) codec)->decoder_new(&params);
}

static void *
make_encoder(const void *arg pg_attribute_unused())
{
	return ws_encoder_new(&params);
}

static void *
make_decoder(const void *accept)
{
	return ws_decoder_new(&params, accept);
}

static void *
make_intake(const void *accept)
{
	return ws_intake_new(&params, accept);
}

static void
free_encoder(void *encoder)
{
	ws_encoder_free(encoder);
}

static void
free_decoder(void *decoder)
{
	ws_decoder_free(decoder);
}

static void
free_intake(void *intake)
{
	ws_intake_free(intake);
}

static void
test_making(void)
{
	WsAccept	accept = accept_all();

	for (int id = 1; id <= WS_MAX_CODECS; id++)
	{
		const WsCodec *codec = ws_codec_by_id(id);

		if (codec == NULL)
			continue;
		try_to_make(make_encoder_of_codec, ws_codec_encoder_free, codec,
					codec->name);
		try_to_make(make_decoder_of_codec, codec->decoder_free, codec,
					codec->name);
	}
	for (int logical = 0; logical <= 1; logical++)
	{
		params = stream_params(logical, MB);
		try_to_make(make_encoder, free_encoder, NULL,
					"encoder");
		try_to_make(make_decoder, free_decoder, &accept,
					"decoder");
		try_to_make(make_intake, free_intake, &accept,
					"intake");
	}
	params = stream_params(false, MB);
	params.level = 1;
	ws_intake_free(NULL);
}

/*
 * Like encode_messages() and decode_messages(), whose own allocations succeed.
 */
static void
encode(WsEncoder *encoder, const Messages *in, Messages *out)
{
	const uint8 *bytes;
	size_t		len;

	for (size_t i = 0; i < in->count; i++)
	{
		ws_encoder_put(encoder, in->items[i].bytes, in->items[i].len, 0);
		while (ws_encoder_next(encoder, &bytes, &len))
		{
			counting = false;
			add_message(out, bytes, len);
			counting = true;
		}
	}
}

static WsStatus
decode(WsDecoder *decoder, const Messages *in, Messages *out)
{
	const uint8 *bytes;
	size_t		len;

	for (size_t i = 0; i < in->count; i++)
	{
		WsStatus	status;

		status = ws_decoder_put(decoder, in->items[i].bytes, in->items[i].len);
		if (status != WS_OK)
			return status;
		while (ws_decoder_next(decoder, &bytes, &len))
		{
			counting = false;
			add_message(out, bytes, len);
			counting = true;
		}
	}
	return WS_OK;
}

/*
 * A stream across the end of a segment, in which one of these calls fails: the
 * encoder's output is still correct, plain if need be.
 */
static void
test_encoding(WsCodecId id)
{
	WsCodecSpec spec = {id, 1};
	WsAccept	accept = accept_all();
	int			n = 0;
	int			wrong = 0;
	bool		failed;

	do
	{
		WsEncoder  *encoder = ws_encoder_new(&params);
		WsDecoder  *decoder = ws_decoder_new(&params, &accept);
		Messages	in = {0};
		Messages	wire = {0};
		Messages	out = {0};

		for (int i = 0; i < 4; i++)
			add_stock(&in, START_LSN + MB - 2 * 16384 + i * 16384,
					  START_LSN + 2 * MB, 0, records, 16384);
		ws_encoder_begin(encoder, spec, WS_REASON_NONE);
		take_encoded(encoder, &wire);
		calls_until_failure = ++n;
		encode(encoder, &in, &wire);
		failed = calls_until_failure == 0;
		calls_until_failure = 0;
		wrong += decode_messages(decoder, &wire, &out) != WS_OK ||
			!same_stream(&in, &out, &params);
		ws_encoder_free(encoder);
		ws_decoder_free(decoder);
		clear_messages(&in);
		clear_messages(&wire);
		clear_messages(&out);
	} while (failed);
	ok(wrong == 0 && n > 2, "%s: the stream is right whichever of %d calls fails",
	   ws_codec_name(id), n - 1);
}

/* A failing call in a decoder ends the stream with the right status. */
static void
test_decoding(WsCodecId id)
{
	WsCodecSpec spec = {id, 1};
	WsAccept	accept = accept_all();
	WsEncoder  *encoder = ws_encoder_new(&params);
	Messages	in = {0};
	Messages	wire = {0};
	int			n = 0;
	int			silent = 0;
	int			unused = 0;
	bool		failed;

	for (int i = 0; i < 4; i++)
		add_stock(&in, START_LSN + MB - 2 * 16384 + i * 16384,
				  START_LSN + 2 * MB, 0, records, 16384);
	ws_encoder_begin(encoder, spec, WS_REASON_NONE);
	encode_messages(encoder, &in, &wire);
	do
	{
		WsDecoder  *decoder = ws_decoder_new(&params, &accept);
		Messages	out = {0};
		WsStatus	status;

		calls_until_failure = ++n;
		status = decode(decoder, &wire, &out);
		failed = calls_until_failure == 0;
		calls_until_failure = 0;
		if (failed)
			silent += status != WS_E_MEMORY;

		/* and the decoder works again in the next COPY */
		clear_messages(&out);
		ws_decoder_begin(decoder);
		unused += decode_messages(decoder, &wire, &out) != WS_OK ||
			!same_stream(&in, &out, &params);
		ws_decoder_free(decoder);
		clear_messages(&out);
	} while (failed);
	ok(silent == 0 && n > 1, "%s: each of %d calls that fails is a lack of memory",
	   ws_codec_name(id), n - 1);
	is(unused, 0, "%s: the next stream is decoded", ws_codec_name(id));

	ws_encoder_free(encoder);
	clear_messages(&in);
	clear_messages(&wire);
}

int
main(void)
{
	params = stream_params(false, MB);
	params.level = 1;
	params.may_fill = true;
	fill_records(records, sizeof(records), 1);

	test_making();
	for (int id = 1; id <= WS_MAX_CODECS; id++)
	{
		if (ws_codec_by_id(id) == NULL)
			continue;
		test_encoding(id);
		test_decoding(id);
	}
	return done_testing();
}
