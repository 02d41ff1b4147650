/*-------------------------------------------------------------------------
 *
 * make_corpus_walz.c
 *	  Write the seeds of the targets for walz.
 *
 * The argument is the folder that holds a folder for each target.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <sys/stat.h>

#include "codec.h"
#include "frame.h"
#include "testdata.h"
#include "walgen.h"

#define FORM_PLAIN		1
#define FORM_RANGE		2
#define FORM_RANGE_RAW	3

static const WsCodecParams params = {
	.level = 1,
	.wal_block_size = 8192,
	.wal_segment_size = 1024 * 1024,
	.wal_page_magic = 0xD110
};

static uint8 seed[64 * 1024];
static size_t seed_len;

static void
add_bytes(const void *bytes, size_t len)
{
	if (len > sizeof(seed) - seed_len)
		abort();
	memcpy(seed + seed_len, bytes, len);
	seed_len += len;
}

static void
add_number(uint32 number, int size)
{
	for (int shift = 8 * (size - 1); shift >= 0; shift -= 8)
	{
		uint8		byte = number >> shift & 0xFF;

		add_bytes(&byte, 1);
	}
}

static void
write_seed(const char *corpus, const char *target, const char *name)
{
	char		path[1024];
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/%s", corpus, target);
	(void) mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%s", corpus, target, name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(seed, 1, seed_len, file) != seed_len ||
		fclose(file) != 0)
	{
		fprintf(stderr, "could not write file \"%s\"\n", path);
		exit(1);
	}
	seed_len = 0;
}

static uint64
get_varint(const uint8 **p, const uint8 *end)
{
	uint64		v;

	if (!ws_varint_get(p, end, &v))
		abort();
	return v;
}

/* Take an encoded block apart into its streams, and write those down. */
static void
add_streams(void *zstd, bool restart, const uint8 *block, size_t len,
			size_t decoded_len)
{
	static uint8 streams[256 * 1024];
	const uint8 *p = block + 1;
	const uint8 *end = block + len;
	uint64		codes = 0;
	uint64		literals = 0;
	uint64		raw = 0;
	size_t		total;

	if (restart && ws_codec_zstd.decoder_restart(zstd) != WS_OK)
		abort();
	if (block[0] == FORM_RANGE)
		codes = end - p;
	else
	{
		codes = get_varint(&p, end);
		if (block[0] == FORM_PLAIN)
			literals = get_varint(&p, end);
		raw = get_varint(&p, end);
	}
	total = raw;
	if (block[0] == FORM_PLAIN)
		total += codes + literals;
	add_number((restart ? 1 : 0) | (block[0] != FORM_PLAIN ? 2 : 0), 1);
	add_number(decoded_len, 3);
	add_number(codes, 2);
	add_number(literals, 2);
	add_number(raw, 2);
	if (block[0] != FORM_PLAIN)
	{
		add_bytes(p, codes);
		p += codes;
	}
	if (total > 0 &&
		ws_codec_zstd.decode(zstd, 0, p, end - p, streams, total) != WS_OK)
		abort();
	add_bytes(streams, total);
}

/* What is in the seed's WAL. */
typedef enum Contents
{
	SMALL_RECORDS,
	ALL_RECORDS,
	LONG_RECORDS				/* longer than a piece */
} Contents;

static void
make_decode(const char *corpus, const char *name, Contents contents,
			size_t piece, int pieces)
{
	WalGen		gen;
	void	   *encoder = ws_codec_walz.encoder_new(&params);
	void	   *zstd = ws_codec_zstd.decoder_new(&params);
	size_t		bound = ws_codec_walz.encode_bound(piece);
	uint8	   *block = malloc(bound);

	if (encoder == NULL || zstd == NULL || block == NULL)
		abort();
	walgen_init(&gen, &params, 16 * 1024 * 1024, piece * pieces + 100000, 5);
	if (contents == SMALL_RECORDS)
		walgen_fill_small(&gen);
	else if (contents == LONG_RECORDS)
		walgen_images(&gen, 30, 3, 20, 24);
	else
		walgen_fill(&gen);
	add_number(0, 1);
	for (int i = 0; i < pieces; i++)
	{
		size_t		len;

		if (ws_codec_walz.encode(encoder, gen.start + piece * i,
								 gen.buf + piece * i, piece, block, bound,
								 &len) != WS_OK)
			abort();
		add_streams(zstd, i == 0, block, len, piece);
	}
	write_seed(corpus, "fuzz_walz_decode", name);
	walgen_free(&gen);
	free(block);
	ws_codec_walz.encoder_free(encoder);
	ws_codec_zstd.decoder_free(zstd);
}

/* A heap insert as fuzz_walz_roundtrip takes it. */
static void
add_insert(uint8 kind)
{
	static const uint8 body[] = {
		0, 0x20, 14, 0, 0x7F, 6, 0, 0, 5, 0, 0, 0, 0, 0x40, 0, 0, 7, 0, 0, 0,
		255, 3,
		2, 0, 2, 8, 24, 1, 0, 0, 0, 42, 0, 0, 0, 9,
		1, 0, 8
	};

	add_number(kind, 1);
	add_number(1, 1);
	add_number(0, 1);
	add_number(10, 1);
	add_number(sizeof(body), 1);
	add_bytes(body, sizeof(body));
}

static void
make_roundtrip(const char *corpus)
{
	static const uint8 again[] = {2, 36, 1, 2, 29, 3, 3, 36, 1, 6};
	static const uint8 image[] = {4, 90, 60, 0, 12, 5, 5, 4, 200, 30, 1, 1, 1, 1};
	static const uint8 rows[] = {8, 40, 6, 8, 255};
	static const uint8 damaged[] = {5, 0, 40, 1, 6, 5, 1, 200, 8, 7};

	add_number(0, 1);
	for (int i = 0; i < 6; i++)
	{
		add_insert(i % 2);
		add_bytes(again, sizeof(again));
	}
	write_seed(corpus, "fuzz_walz_roundtrip", "records");

	add_number(1, 1);
	for (int i = 0; i < 6; i++)
	{
		add_bytes(image, sizeof(image));
		add_bytes(rows, sizeof(rows));
		add_insert(0);
		add_bytes(again, sizeof(again));
		add_bytes(damaged, sizeof(damaged));
	}
	write_seed(corpus, "fuzz_walz_roundtrip", "images_rows_and_damage");
}

static void
make_long_records(const char *corpus)
{
	/* records of images, each cut twice */
	static const uint8 images[] = {9, 11, 60, 40, 10, 70, 0, 10, 20, 0, 6};

	add_number(0, 1);
	for (int i = 0; i < 3; i++)
	{
		add_bytes(images, sizeof(images));
		add_insert(0);
	}
	write_seed(corpus, "fuzz_walz_roundtrip", "long_records");
}

int
main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	(void) mkdir(argv[1], 0777);
	make_decode(argv[1], "plain", ALL_RECORDS, 20000, 2);
	make_decode(argv[1], "plain_small_records", SMALL_RECORDS, 30000, 1);
	make_decode(argv[1], "range", SMALL_RECORDS, 3000, 4);
	make_decode(argv[1], "range_images", ALL_RECORDS, 10000, 3);
	make_decode(argv[1], "range_parts", LONG_RECORDS, 4000, 3);
	make_decode(argv[1], "plain_parts", LONG_RECORDS, 16500, 1);
	make_roundtrip(argv[1]);
	make_long_records(argv[1]);
	return 0;
}
