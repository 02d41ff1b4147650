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

#include "pure/codec/codec.h"
#include "pure/varint.h"
#include "pure/walz/piece.h"
#include "pure/wire/frame.h"
#include "testdata.h"
#include "walgen.h"

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

/* Split a piece into its streams, and write these. */
static void
add_streams(void *zstd, uint32 flags, const uint8 *piece, size_t len,
			size_t decoded_len)
{
	static const uint8 flags_of_form[] = {2 | 8, 0, 8, 2};
	static uint8 streams[256 * 1024];
	const uint8 *p = piece + 1;
	const uint8 *end = piece + len;
	uint8		form = piece[0];
	uint64		codes = 0;
	uint64		literals = 0;
	uint64		raw = 0;
	size_t		total;

	if (form == WZ_FORM_ZSTD)
		raw = decoded_len;
	else if (form == WZ_FORM_RANGE)
		codes = end - p;
	else
	{
		codes = get_varint(&p, end);
		if (form == WZ_FORM_PLAIN)
			literals = get_varint(&p, end);
		raw = get_varint(&p, end);
	}
	total = raw;
	if (form == WZ_FORM_PLAIN)
		total += codes + literals;
	add_number(flags | flags_of_form[form], 1);
	add_number(decoded_len, 3);
	add_number(codes, 2);
	add_number(literals, 2);
	add_number(raw, 2);
	if (form != WZ_FORM_PLAIN)
	{
		add_bytes(p, codes);
		p += codes;
	}
	if (total > 0 &&
		ws_codec_zstd.decode(zstd, 0, p, end - p, streams, total) != WS_OK)
		abort();
	add_bytes(streams, total);
}

static void
add_block(void *zstd, bool restart, const uint8 *block, size_t len,
		  size_t decoded_len, size_t piece_max)
{
	const uint8 *p = block;
	const uint8 *end = block + len;
	uint32		flags = restart ? 1 : 0;

	if (restart && ws_codec_zstd.decoder_restart(zstd) != WS_OK)
		abort();
	while (decoded_len > piece_max)
	{
		size_t		n = get_varint(&p, end);

		add_streams(zstd, flags | 16, p, n, piece_max);
		flags = 0;
		p += n;
		decoded_len -= piece_max;
	}
	add_streams(zstd, flags, p, end - p, decoded_len);
}

/* The contents of a seed's WAL. */
typedef enum Contents
{
	SMALL_RECORDS,
	ALL_RECORDS,
	LONG_RECORDS,				/* longer than a piece */
	OVERWRITTEN_RECORDS
} Contents;

/* Make the encoder give up a piece. */
static void
hit_limit(void *arg, int rmid pg_attribute_unused(),
		  size_t raw_len pg_attribute_unused(),
		  size_t put_len pg_attribute_unused())
{
	WsWalz	   *walz = arg;

	walz->io.failed = true;
}

/*
 * layout is that of fuzz_walz_decode.  Blocks have block_len bytes or, if that
 * is 0, four records; the encoder gives up every third of them, or none.
 */
static void
make_decode(const char *corpus, const char *name, uint32 layout,
			Contents contents, size_t block_len, int blocks, bool give_up)
{
	static const uint32 block_sizes[] = {8192, 1024, 4096, 65536};
	const WsCodecParams params = {
		.level = 1,
		.wal_block_size = block_sizes[layout % 4],
		.wal_segment_size = 1024 * 1024,
		.wal_page_magic = layout < 4 ? 0xD110 : 0xD200
	};
	WalGen		gen;
	void	   *encoder = ws_codec_encoder_new(&ws_codec_walz, &params);
	void	   *zstd = ws_codec_zstd.decoder_new(&params);
	size_t		bound = ws_codec_walz.encode_bound(Max(block_len, 16384));
	uint8	   *block = malloc(bound);
	size_t		pos = 0;
	size_t		piece_max = (size_t) WS_FRAME_MAX_BLOCKS * params.wal_block_size;

	if (encoder == NULL || zstd == NULL || block == NULL)
		abort();
	walgen_init(&gen, &params, 16 * 1024 * 1024, block_len * blocks + 100000, 5);
	if (contents == SMALL_RECORDS)
		walgen_fill_small(&gen);
	else if (contents == LONG_RECORDS)
		walgen_images(&gen, 30, 3, 20, 24);
	else if (contents == OVERWRITTEN_RECORDS)
	{
		walgen_break(&gen, 1);
		walgen_images(&gen, 30, 3, 20, 24);
	}
	walgen_fill(&gen);
	add_number(layout, 1);
	for (int i = 0; i < blocks; i++)
	{
		size_t		end = block_len > 0 ? pos + block_len : gen.ends[4 * i + 3];
		size_t		len;

		ws_walz_encoder_observe(encoder, give_up && i % 3 == 1 ? hit_limit : NULL,
								encoder);
		if (ws_codec_walz.encode(encoder, gen.start + pos, gen.buf + pos,
								 end - pos, block, bound, &len) != WS_OK)
			abort();
		add_block(zstd, i == 0, block, len, end - pos,
				  layout < 4 ? piece_max : SIZE_MAX);
		pos = end;
	}
	write_seed(corpus, "fuzz_walz_decode", name);
	walgen_free(&gen);
	free(block);
	ws_codec_encoder_free(encoder);
	ws_codec_zstd.decoder_free(zstd);
}

/* One code, no literal, two raw bytes. */
static void
add_tiny(uint32 flags, uint32 announced)
{
	add_number(flags, 1);
	add_number(announced, 3);
	add_number(1, 2);
	add_number(0, 2);
	add_number(2, 2);
	add_bytes("abc", 3);
}

/*
 * Blocks that are refused, after each of which the decoder must have
 * restarted.  A valid one with unencoded bytes precedes each of them.
 */
static void
make_refused(const char *corpus)
{
	static const uint8 flags[] = {0, 2, 8, 2 | 8 | 32};
	static const uint32 announced[] = {0, 1, 1000};

	add_number(1, 1);
	for (size_t i = 0; i < lengthof(flags); i++)
	{
		for (size_t j = 0; j < lengthof(announced); j++)
		{
			add_tiny(2 | 8, 100);
			add_tiny(flags[i], announced[j]);
		}
		/* a piece with a wrong length, followed by the last one */
		add_tiny(2 | 8, 100);
		add_tiny(2 | 8 | 16 | 64, 10000 * i);
		add_tiny(2 | 8, 1);
	}
	write_seed(corpus, "fuzz_walz_decode", "refused");
}

/* A heap insert in the input format of fuzz_walz_roundtrip. */
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
	static const uint8 jumps[] = {11, 0, 200, 12, 0, 30, 12, 0, 120};
	static const uint8 broken[] = {13, 0, 8, 255, 8, 20, 6, 13, 1, 9, 3, 60, 40};
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

	for (uint32 layout = 0; layout < 40; layout += 9)
	{
		char		name[30];

		add_number(layout, 1);
		for (int i = 0; i < 4; i++)
		{
			add_insert(0);
			add_bytes(broken, sizeof(broken));
			add_bytes(again, sizeof(again));
			add_bytes(jumps, sizeof(jumps));
			add_bytes(again, sizeof(again));
		}
		snprintf(name, sizeof(name), "jumps_and_breaks_%u", layout);
		write_seed(corpus, "fuzz_walz_roundtrip", name);
	}
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
	make_decode(argv[1], "plain", 0, ALL_RECORDS, 20000, 2, false);
	make_decode(argv[1], "plain_small_records", 0, SMALL_RECORDS, 30000, 1, false);
	make_decode(argv[1], "range", 0, SMALL_RECORDS, 3000, 4, false);
	make_decode(argv[1], "range_images", 0, ALL_RECORDS, 10000, 3, false);
	make_decode(argv[1], "range_parts", 0, LONG_RECORDS, 4000, 3, false);
	make_decode(argv[1], "plain_parts", 0, LONG_RECORDS, 16500, 1, false);
	make_decode(argv[1], "range_alone", 0, SMALL_RECORDS, 0, 9, false);
	make_decode(argv[1], "range_alone_given_up", 1, SMALL_RECORDS, 0, 9, true);
	make_decode(argv[1], "given_up", 0, SMALL_RECORDS, 1500, 8, true);
	make_decode(argv[1], "given_up_images", 2, ALL_RECORDS, 4000, 5, true);
	make_decode(argv[1], "pieces_1k", 1, SMALL_RECORDS, 40000, 2, false);
	make_decode(argv[1], "pieces_1k_given_up", 1, SMALL_RECORDS, 17000, 2, true);
	make_decode(argv[1], "pieces_1k_parts", 1, LONG_RECORDS, 20000, 1, false);
	make_decode(argv[1], "pieces_4k", 2, SMALL_RECORDS, 70000, 1, false);
	make_decode(argv[1], "overwritten", 0, OVERWRITTEN_RECORDS, 12000, 2, false);
	make_decode(argv[1], "unknown_version", 5, SMALL_RECORDS, 3000, 2, false);
	make_refused(argv[1]);
	make_roundtrip(argv[1]);
	make_long_records(argv[1]);
	return 0;
}
