/*-------------------------------------------------------------------------
 *
 * test_stream_memory.c
 *	  Memory of encoders and decoders, and their behaviour if there is none.
 *
 * Address sanitizer stands for a machine that is short of memory: it refuses
 * any allocation beyond a limit, between what a low and a high level need.
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <unistd.h>

#include "messages.h"
#include "tap.h"
#include "testdata.h"
#include "walpairs.h"

#define START_LSN	UINT64CONST(0x2A000000)

/* Address sanitizer's; not every compiler installs its headers. */
extern size_t __sanitizer_get_current_allocated_bytes(void);
extern const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1:max_allocation_size_mb=16";
}

/* zstd: one level needs less than 16 MB, the other more. */
#define LEVEL_LOW	1
#define LEVEL_HIGH	22

static uint8 records[512 * 1024];

/* WAL for walz: its model would not recognize the records above. */
static WalGen wal;
#define WAL_SIZE	(8 * MB)

/*
 * Address sanitizer writes a line about each refused allocation: suppress
 * these.  If it finds a fault meanwhile, the exit status still shows that.
 */
static void
mute_stderr(bool mute)
{
	static int	kept = -1;

	fflush(stderr);
	if (mute)
	{
		kept = dup(STDERR_FILENO);
		if (kept < 0 || freopen("/dev/null", "w", stderr) == NULL)
			abort();
	}
	else if (dup2(kept, STDERR_FILENO) < 0 || close(kept) != 0)
		abort();
}

static WsCodecSpec
spec_of(WsCodecId id, int level)
{
	WsCodecSpec spec = {id, level};

	return spec;
}

/* len bytes of WAL in messages of 8 kB. */
static void
add_wal(Messages *in, XLogRecPtr *lsn, size_t len)
{
	for (size_t pos = 0; pos < len; pos += 8192)
	{
		add_stock(in, *lsn, *lsn, (int64) *lsn,
				  records + pos % (sizeof(records) - 8192), 8192);
		*lsn += 8192;
	}
}

static bool
comes_back(const WsCodecParams *params, const Messages *in, const Messages *wire)
{
	WsAccept	accept = accept_all();
	WsDecoder  *decoder = ws_decoder_new(params, &accept);
	Messages	out = {0};
	bool		same = decode_messages(decoder, wire, &out) == WS_OK &&
		same_stream(in, &out, params);

	ws_decoder_free(decoder);
	clear_messages(&out);
	return same;
}

static void
test_begin(void)
{
	WsCodecParams params = stream_params(false, MB);
	WsEncoder  *encoder = ws_encoder_new(&params);
	Messages	in = {0};
	Messages	wire = {0};
	XLogRecPtr	lsn = START_LSN;

	is(ws_encoder_begin(encoder, spec_of(WS_CODEC_ZSTD, LEVEL_HIGH), WS_REASON_NONE),
	   WS_E_MEMORY, "a codec without memory");
	is(ws_encoder_spec(encoder).id, WS_CODEC_NONE, "is none");
	is(ws_encoder_reason(encoder), WS_REASON_MEMORY, "for that reason");
	add_wal(&in, &lsn, MB / 2);
	encode_messages(encoder, &in, &wire);
	is(count_type(&wire, 'w'), in.count, "all goes out as it came");
	ok(comes_back(&params, &in, &wire), "and comes back");

	clear_messages(&in);
	clear_messages(&wire);
	is(ws_encoder_begin(encoder, spec_of(WS_CODEC_ZSTD, LEVEL_LOW), WS_REASON_NONE),
	   WS_OK, "the next COPY can have a codec");
	lsn = START_LSN;
	add_wal(&in, &lsn, MB / 2);
	encode_messages(encoder, &in, &wire);
	is(count_type(&wire, 'Z'), in.count, "and is encoded");
	ok(comes_back(&params, &in, &wire), "and comes back");
	ws_encoder_free(encoder);
	clear_messages(&in);
	clear_messages(&wire);
}

/* A change of the codec for which there is no memory. */
static void
test_change(WsCodecId from)
{
	WsCodecParams params = stream_params(false, MB);
	WsEncoder  *encoder = ws_encoder_new(&params);
	const WsStreamCounts *counts = ws_encoder_counts(encoder);
	Messages	in = {0};
	Messages	wire = {0};
	XLogRecPtr	lsn = START_LSN;

	if (ws_encoder_begin(encoder, spec_of(from, LEVEL_LOW), WS_REASON_NONE) != WS_OK)
		abort();
	add_wal(&in, &lsn, 4 * MB);
	take_encoded(encoder, &wire);
	for (size_t i = 0; i < in.count; i++)
	{
		if (i == in.count / 8)
			ws_encoder_change(encoder, spec_of(WS_CODEC_ZSTD, LEVEL_HIGH),
							  WS_REASON_NONE);
		if (i == in.count / 2)
			ws_encoder_change(encoder, spec_of(from, LEVEL_LOW), WS_REASON_NONE);
		encode_message(encoder, &in.items[i], 0, &wire);
	}
	is(ws_encoder_spec(encoder).id, from, "%s: used, not, and used again",
	   ws_codec_by_id(from)->name);
	ok(comes_back(&params, &in, &wire),
	   "%s: all comes back from a stream whose codec had no memory in between",
	   ws_codec_by_id(from)->name);
	ok(counts->bypassed == in.count / 4 || counts->bypassed == in.count / 2,
	   "%s: some messages were not encoded, %llu of %zu",
	   ws_codec_by_id(from)->name, (unsigned long long) counts->bypassed, in.count);
	is(counts->codec_failures, 0, "%s: a codec that does not start has no failures",
	   ws_codec_by_id(from)->name);
	ws_encoder_free(encoder);
	clear_messages(&in);
	clear_messages(&wire);
}

/* In a logical stream: a level for which there is no memory, then one for which there is. */
static void
test_logical_change(void)
{
	WsCodecParams params = stream_params(true, MB);
	WsEncoder  *encoder = ws_encoder_new(&params);
	WsAccept	accept = accept_all();
	WsDecoder  *decoder = ws_decoder_new(&params, &accept);
	Messages	in = {0};
	Messages	wire = {0};
	Messages	out = {0};

	if (ws_encoder_begin(encoder, spec_of(WS_CODEC_ZSTD, LEVEL_LOW), WS_REASON_NONE) != WS_OK)
		abort();
	take_encoded(encoder, &wire);
	for (int i = 0; i < 3000; i++)
	{
		XLogRecPtr	lsn = START_LSN + i * 2000;

		if (i == 500)
			ws_encoder_change(encoder, spec_of(WS_CODEC_ZSTD, LEVEL_HIGH), WS_REASON_NONE);
		if (i == 2000)
			ws_encoder_change(encoder, spec_of(WS_CODEC_ZSTD, LEVEL_LOW), WS_REASON_NONE);
		add_stock(&in, lsn, lsn, i, records + i * 100, 100);
		encode_message(encoder, &in.items[i], i, &wire);
		if (i % 10 == 0)
		{
			ws_encoder_flush(encoder);
			take_encoded(encoder, &wire);
		}
	}
	ws_encoder_flush(encoder);
	take_encoded(encoder, &wire);
	ok(ws_encoder_counts(encoder)->bypassed > 0 &&
	   ws_encoder_spec(encoder).id == WS_CODEC_ZSTD, "rows that cannot be encoded");
	ok(decode_messages(decoder, &wire, &out) == WS_OK && same_messages(&in, &out),
	   "leave as they are, and all comes back");
	ws_encoder_free(encoder);
	ws_decoder_free(decoder);
	clear_messages(&in);
	clear_messages(&wire);
	clear_messages(&out);
}

/*
 * The limits apply to an encoder and a decoder as a whole, codec included, at
 * level 1.  No message may add to that.
 */
static void
test_amount(WsCodecId id, bool logical)
{
	WsCodecParams params = stream_params(logical, 16 * MB);
	WsAccept	accept = accept_all();
	Messages	in = {0};
	size_t		before;
	size_t		begun;
	size_t		verifier_size;
	size_t		decoder_bytes = 0;
	WsEncoder  *encoder;
	WsDecoder  *decoder;
	XLogRecPtr	lsn = START_LSN;
	size_t		pass_bytes[3];

	if (id == WS_CODEC_WALZ)
	{
		for (; lsn < START_LSN + WAL_SIZE; lsn += 8192)
			add_stock(&in, lsn, lsn, (int64) lsn, wal.buf + (lsn - START_LSN), 8192);
	}
	else
		add_wal(&in, &lsn, WAL_SIZE);

	params.level = 1;
	verifier_size = verifier_memory(ws_codec_by_id(id), &params);
	before = __sanitizer_get_current_allocated_bytes();
	encoder = ws_encoder_new(&params);
	if (ws_encoder_begin(encoder, spec_of(id, 1), WS_REASON_NONE) != WS_OK)
		abort();
	begun = __sanitizer_get_current_allocated_bytes() - before - verifier_size;
	decoder = ws_decoder_new(&params, &accept);

	for (int pass = 0; pass < 3; pass++)
	{
		const uint8 *bytes;
		size_t		len;
		const uint8 *row;
		size_t		row_len;

		ws_encoder_begin(encoder, spec_of(id, 1), WS_REASON_NONE);
		ws_decoder_begin(decoder);
		for (size_t i = 0; i < in.count; i++)
		{
			ws_encoder_put(encoder, in.items[i].bytes, in.items[i].len, 0);
			while (ws_encoder_next(encoder, &bytes, &len))
			{
				if (ws_decoder_put(decoder, bytes, len) != WS_OK)
					abort();
				while (ws_decoder_next(decoder, &row, &row_len))
					;
			}
		}
		pass_bytes[pass] = __sanitizer_get_current_allocated_bytes() - before;
	}
	if (id == WS_CODEC_WALZ)
		ok(ws_encoder_counts(encoder)->raw_bytes >
		   5 * ws_encoder_counts(encoder)->wire_bytes, "walz: WAL is modelled");
	ok(pass_bytes[0] == pass_bytes[1] && pass_bytes[1] == pass_bytes[2],
	   "%s, %s: nothing is added by message",
	   ws_codec_by_id(id)->name, logical ? "logical" : "physical");
	ws_encoder_free(encoder);
	decoder_bytes = __sanitizer_get_current_allocated_bytes() - before;
	ws_decoder_free(decoder);
	is(__sanitizer_get_current_allocated_bytes() - before, 0, "all is freed");
	is(pass_bytes[0] - decoder_bytes - verifier_size, begun, "an encoder has all it needs at begin");
	ok(begun <= 4 * MB, "it takes %zu bytes", begun);
	ok(decoder_bytes <= 3 * MB, "a decoder takes %zu bytes", decoder_bytes);
	clear_messages(&in);
}

int
main(void)
{
	WsAccept	codecs = accept_all();

	WsCodecParams params = stream_params(false, 16 * MB);

	fill_records(records, sizeof(records), 1);
	walgen_init(&wal, &params, START_LSN, WAL_SIZE + MB, 1);
	walgen_fill_to(&wal, WAL_SIZE);
	mute_stderr(true);
	test_begin();
	test_change(WS_CODEC_ZSTD);
	test_change(WS_CODEC_LZ4);
	test_logical_change();
	mute_stderr(false);
	for (int i = 0; i < codecs.count; i++)
	{
		test_amount(codecs.codecs[i], false);
		if (ws_codec_by_id(codecs.codecs[i])->logical)
			test_amount(codecs.codecs[i], true);
	}
	walgen_free(&wal);
	return done_testing();
}
