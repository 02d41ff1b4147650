/*-------------------------------------------------------------------------
 *
 * make_corpus.c
 *	  Write the seeds of the targets for negotiation and codecs.
 *
 * The argument is the folder that holds a folder for each target.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/wire/accept.h"
#include "seed.h"
#include "testdata.h"

#define RAW_SIZE	150000

static void
make_value(const char *value, const char *name)
{
	add_number(0, 1);
	add_bytes(value, strlen(value));
	write_seed("fuzz_accept", name);
}

static void
make_hello(WsHello hello, int more, const char *name)
{
	uint8		buf[WS_HELLO_SIZE];

	hello.version = WS_PROTOCOL_VERSION;
	hello.stream.wal_block_size = 8192;
	hello.stream.wal_segment_size = 16 * 1024 * 1024;
	hello.stream.wal_page_magic = 0xd110;
	ws_hello_encode(&hello, buf);

	add_number(1, 1);
	add_bytes(buf, sizeof(buf));
	for (int i = 0; i < more; i++)
		add_number(i, 1);
	write_seed("fuzz_accept", name);
}

static void
make_accept(void)
{
	WsHello		zstd = {
		.codec = WS_CODEC_ZSTD,
		.level = 1,
		.window_log = 19
	};
	WsHello		lz4 = {
		.codec = WS_CODEC_LZ4,
		.stream = {.logical = true}
	};
	WsHello		none = {.reason = WS_REASON_NO_COMMON_CODEC};

	make_value("1 zstd lz4", "value_usual");
	make_value("1", "value_version_alone");
	make_value("2\tlz4 walz lz4  own zstd ", "value_later_version");
	make_value("zstd", "value_without_version");
	make_hello(zstd, 0, "hello_zstd");
	make_hello(lz4, 0, "hello_lz4_logical");
	make_hello(none, 0, "hello_none");
	make_hello(zstd, 10, "hello_longer");
}

/* One block for fuzz_codec_decode, as an encoder writes it. */
static void
add_encoded(const WsCodec *codec, void *encoder, bool restart,
			const uint8 *raw, size_t raw_len)
{
	size_t		bound = codec->encode_bound(raw_len);
	uint8	   *encoded = malloc(bound);
	size_t		len;

	if (encoded == NULL ||
		codec->encode(encoder, 0, raw, raw_len, encoded, bound, &len) != WS_OK)
		abort();
	add_number(restart, 1);
	add_number(len, 2);
	add_number(raw_len, 3);
	add_bytes(encoded, len);
	free(encoded);
}

static void
make_decode(const WsCodec *codec, const uint8 *raw)
{
	static const size_t sizes[] = {1, 90, 450, 2000, 1};
	WsCodecParams params = {.level = 1};
	void	   *encoder = ws_codec_encoder_new(codec, &params);
	uint8		noise[300];
	char		name[64];

	if (encoder == NULL)
		abort();

	/* small blocks with one history, then a restart */
	add_number(codec->id, 1);
	for (size_t i = 0; i < lengthof(sizes); i++)
		add_encoded(codec, encoder, i == 0, raw + i * 100, sizes[i]);
	if (codec->encoder_restart(encoder) != WS_OK)
		abort();
	add_encoded(codec, encoder, true, raw, 200);
	snprintf(name, sizeof(name), "%s_blocks", codec->name);
	write_seed("fuzz_codec_decode", name);

	/* a block that is more than one of the format's */
	if (codec->encoder_restart(encoder) != WS_OK)
		abort();
	add_number(codec->id, 1);
	add_encoded(codec, encoder, true, raw, RAW_SIZE);
	snprintf(name, sizeof(name), "%s_large", codec->name);
	write_seed("fuzz_codec_decode", name);

	/* an incompressible block, then a copy from history */
	if (codec->encoder_restart(encoder) != WS_OK)
		abort();
	fill_random(noise, sizeof(noise), 1);
	add_number(codec->id, 1);
	add_encoded(codec, encoder, true, noise, sizeof(noise));
	add_encoded(codec, encoder, false, noise, sizeof(noise));
	snprintf(name, sizeof(name), "%s_noise", codec->name);
	write_seed("fuzz_codec_decode", name);

	ws_codec_encoder_free(encoder);
}

static void
add_raw(uint8 flags, const uint8 *raw, size_t len)
{
	add_number(flags, 1);
	add_number(len, 2);
	add_bytes(raw, len);
}

static void
make_roundtrip(const WsCodec *codec, const uint8 *raw)
{
	uint8		noise[1000];
	char		name[64];

	add_number(codec->id, 1);
	add_number(7, 1);			/* level 1 */
	add_raw(0, raw, 1);
	add_raw(0, raw, 500);
	add_raw(0, raw + 300, 700);
	add_raw(1, raw, 200);
	snprintf(name, sizeof(name), "%s_blocks", codec->name);
	write_seed("fuzz_codec_roundtrip", name);

	fill_random(noise, sizeof(noise), 2);
	add_number(codec->id, 1);
	add_number(9, 1);			/* level 3 */
	add_raw(0, noise, sizeof(noise));
	add_raw(0xfe, noise, sizeof(noise));
	add_raw(0xff, raw, 2000);
	snprintf(name, sizeof(name), "%s_repeated", codec->name);
	write_seed("fuzz_codec_roundtrip", name);
}

int
main(int argc, char **argv)
{
	const size_t pattern = 3000;
	uint8	   *raw = malloc(RAW_SIZE);

	if (argc != 2 || raw == NULL)
		return 2;
	seed_corpus = argv[1];

	/* large blocks that encode to small seeds */
	fill_records(raw, pattern, 5);
	for (size_t i = pattern; i < RAW_SIZE; i++)
		raw[i] = raw[i - pattern];

	make_accept();
	for (int id = 1; id <= WS_MAX_CODECS; id++)
	{
		const WsCodec *codec = ws_codec_by_id(id);

		if (codec == NULL)
			continue;
		make_decode(codec, raw);
		make_roundtrip(codec, raw);
	}
	free(raw);
	return 0;
}
