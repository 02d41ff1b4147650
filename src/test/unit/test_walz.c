/*-------------------------------------------------------------------------
 *
 * test_walz.c
 *	  What the codec walz does with WAL.
 *
 * What every codec must do is tested in test_codec.c, walz with damaged input
 * in test_walz_damage.c.
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "tap.h"
#include "testdata.h"
#include "walpairs.h"

/* More relations than the seven for which a shape has room. */
#define MANY_RELATIONS	12

static void
test_layouts(void)
{
	static const struct
	{
		uint32		block_size;
		uint32		segment_size;
		uint16		magic;
	}			layouts[] = {
		{8192, 16 * MB, 0xD110}, {8192, MB, 0xD113}, {1024, MB, 0xD116},
		{65536, 16 * MB, 0xD118}, {32768, 64 * MB, 0xD118},
		{8192, 16 * MB, 0xD10D}, {0, 0, 0xD110}, {8192, 0, 0xD110},
		{12288, 16 * MB, 0xD110}, {64, MB, 0xD110}, {8192, 3 * MB, 0xD110}
	};

	for (size_t i = 0; i < lengthof(layouts); i++)
	{
		WsCodecParams params = usual;
		WalGen		gen;
		bool		good;

		/*
		 * impossible sizes are replaced by the usual ones when WAL is
		 * generated
		 */
		if (layouts[i].block_size >= 1024 && layouts[i].segment_size > 0)
		{
			params.wal_block_size = layouts[i].block_size;
			params.wal_segment_size = layouts[i].segment_size;
		}
		params.wal_page_magic = layouts[i].magic;
		walgen_init(&gen, &params, (XLogRecPtr) 5 * params.wal_segment_size -
					4 * params.wal_block_size, 300000, i + 1);
		walgen_fill(&gen);
		if (layouts[i].block_size == 0 || layouts[i].segment_size == 0)
		{
			Pair		pair;

			params.wal_block_size = layouts[i].block_size;
			params.wal_segment_size = layouts[i].segment_size;
			pair = new_pair(&ws_codec_walz, &params);
			pass_block(&pair, gen.start, gen.buf, gen.len);
			good = pair.good;
			free_pair(&pair);
		}
		else
			good = pass_all_ways(&gen, 0);
		ok(good, "blocks of %u, segments of %u bytes, magic %X, all cuts",
		   layouts[i].block_size, layouts[i].segment_size, layouts[i].magic);
		walgen_free(&gen);
	}
}

static void
test_starts(void)
{
	static const size_t starts[] = {
		8, 24, 40, 41, 100, 333, 8191, 8192, 8193, 8200, 8216, 8224, 20000
	};
	WalGen		gen;

	walgen_init(&gen, &usual, 16 * MB, 60000, 20);
	walgen_fill(&gen);
	for (size_t i = 0; i < lengthof(starts); i++)
		ok(pass_all_ways(&gen, starts[i]), "a start %zu bytes into a segment",
		   starts[i]);
	walgen_free(&gen);
}

/* Check that the model is used, and not only zstd. */
static void
test_gain(void)
{
	static const struct
	{
		Cut			cut;
		size_t		n;
		double		least;		/* times better than zstd */
	}			ways[] = {
		{CUT_ENDS, 4, 3.0}, {CUT_FIXED, 8192, 2.0}, {CUT_FIXED, 131072, 2.0}
	};
	WalGen		gen;
	WsCodecParams params = usual;
	uint8		page[8192];
	Pair		a;
	Pair		b;

	walgen_init(&gen, &usual, 16 * MB, 4 * MB, 3);
	walgen_fill_small(&gen);
	for (size_t i = 0; i < lengthof(ways); i++)
	{
		a = pass_stream(&ws_codec_walz, &gen, 0, ways[i].cut, ways[i].n);
		b = pass_stream(&ws_codec_zstd, &gen, 0, ways[i].cut, ways[i].n);
		ok(a.good && b.good && a.encoded * ways[i].least <= b.encoded,
		   "transactions, cut %d by %zu: %zu bytes from %zu, zstd %zu",
		   ways[i].cut, ways[i].n, a.encoded, gen.len, b.encoded);
	}

	/* without the page's magic number only zstd is used */
	params.wal_page_magic = 0xD200;
	gen.params = params;
	a = pass_stream(&ws_codec_walz, &gen, 0, CUT_FIXED, 8192);
	b = pass_stream(&ws_codec_zstd, &gen, 0, CUT_FIXED, 8192);
	is(a.encoded, b.encoded + (gen.len + 8191) / 8192,
	   "WAL of an unknown version: zstd, and a byte for each block");
	walgen_free(&gen);

	walgen_init(&gen, &usual, 16 * MB, 2 * MB, 4);
	while (!gen.full)
	{
		walgen_page(&gen, page, 200, 60);
		walgen_image(&gen, gen.len / 8000, page);
	}
	a = pass_stream(&ws_codec_walz, &gen, 0, CUT_FIXED, 131072);
	b = pass_stream(&ws_codec_zstd, &gen, 0, CUT_FIXED, 131072);
	ok(a.good && b.good && a.encoded * 1.5 <= b.encoded,
	   "page images: %zu bytes from %zu, zstd %zu", a.encoded, gen.len, b.encoded);
	walgen_free(&gen);
}

/* Index builds: records that are longer than a message can be. */
static void
test_long_records(void)
{
	WalGen		gen;
	Pair		a;
	Pair		b;

	walgen_init(&gen, &usual, 16 * MB, 3 * MB, 16);
	for (uint32 block = 0; !gen.full; block += 32)
		walgen_images(&gen, 32, block, 200, 30);
	a = pass_stream(&ws_codec_walz, &gen, 0, CUT_FIXED, 131072);
	b = pass_stream(&ws_codec_zstd, &gen, 0, CUT_FIXED, 131072);
	ok(a.good && b.good && a.encoded * 1.5 <= b.encoded,
	   "records of 32 images: %zu bytes from %zu, zstd %zu", a.encoded, gen.len,
	   b.encoded);
	walgen_free(&gen);

	/* mixed with others, and with images that are not pages */
	walgen_init(&gen, &usual, 15 * MB, 2 * MB, 17);
	for (uint32 block = 0; !gen.full; block += 32)
	{
		walgen_images(&gen, 1 + walgen_random(&gen, 32), block,
					  walgen_random(&gen, 300), 1 + walgen_random(&gen, 100));
		walgen_rows(&gen, 20);
	}
	ok(pass_all_ways(&gen, 0), "records of many images, all cuts");
	ok(pass_all_ways(&gen, 5000), "the same from within one");

	/*
	 * damaged bytes are passed on, and so is what lies between two pieces of
	 * a record
	 */
	for (int round = 0; round < 40; round++)
	{
		size_t		at = walgen_random(&gen, gen.len / 16) * 8;

		gen.buf[round % 2 == 0 ? at : at / 8192 * 8192 + 16] ^= 1 << (round % 8);
	}
	ok(pass_all_ways(&gen, 0), "the same, damaged");
	walgen_free(&gen);
}

/* Rows of a bulk load, valid and invalid. */
static void
test_rows(void)
{
	WalGen		gen;
	Pair		a;
	Pair		b;
	uint8		body[2000];

	walgen_init(&gen, &usual, 16 * MB, MB, 14);
	while (!gen.full)
		walgen_rows(&gen, 80);
	a = pass_stream(&ws_codec_walz, &gen, 0, CUT_FIXED, 131072);
	b = pass_stream(&ws_codec_zstd, &gen, 0, CUT_FIXED, 131072);
	ok(a.good && b.good && a.encoded * 1.5 <= b.encoded,
	   "rows of a bulk load: %zu bytes from %zu, zstd %zu", a.encoded, gen.len,
	   b.encoded);
	walgen_free(&gen);

	/* data that resembles rows: lengths that end too early or too late */
	walgen_init(&gen, &usual, 16 * MB, 2 * MB, 15);
	for (int round = 0; round < 500; round++)
	{
		uint16		len = 600 + walgen_random(&gen, 1000);
		uint16		row_len = walgen_random(&gen, 120);

		memset(body, round, sizeof(body));
		memset(body, 0, 22);
		body[1] = 0x20;
		memcpy(body + 2, &len, 2);
		body[20] = 255;
		body[21] = 2;
		for (int at = 22; at + 7 <= 22 + len; at += (row_len + 8) & ~1)
			memcpy(body + at, &row_len, 2);
		walgen_record(&gen, 0, 0x50, 9, body, 22 + len + 2);
	}
	ok(!gen.full && pass_all_ways(&gen, 0), "500 records that are almost rows");
	walgen_free(&gen);
}

/* WAL in which only the xids differ. */
static WalGen
make_xids(uint32 before, bool small)
{
	WalGen		gen;

	walgen_init(&gen, &usual, 16 * MB, MB, 30);
	gen.xid = before;
	if (small)
		walgen_fill_small(&gen);
	else
		walgen_fill(&gen);
	return gen;
}

/* Xids wrap around: it must not matter where a stream is among them. */
static void
test_xids(void)
{
	static const uint32 firsts[] = {
		3, 2147483600, 2147483648, 3000000000, 4294967000, 4294967290
	};
	static const struct
	{
		Cut			cut;
		size_t		n;
		bool		small;
		size_t		percent;	/* more where zstd, of any version, has a part */
	}			ways[] = {
		{CUT_ENDS, 4, true, 2}, {CUT_FIXED, 8192, true, 2},
		{CUT_FIXED, 131072, true, 4}, {CUT_FIXED, 131072, false, 4}
	};

	for (size_t i = 0; i < lengthof(ways); i++)
	{
		WalGen		gen = make_xids(699, ways[i].small);
		size_t		usual_len = pass_stream(&ws_codec_walz, &gen, 0,
											ways[i].cut, ways[i].n).encoded;

		walgen_free(&gen);
		for (size_t j = 0; j < lengthof(firsts); j++)
		{
			Pair		pair;

			gen = make_xids(firsts[j] - 1, ways[i].small);
			pair = pass_stream(&ws_codec_walz, &gen, 0, ways[i].cut, ways[i].n);
			ok(pair.good && pair.encoded * 100 <= usual_len * (100 + ways[i].percent),
			   "xids from %u on, cut %d by %zu: %zu bytes, from 700 on %zu",
			   firsts[j], ways[i].cut, ways[i].n, pair.encoded, usual_len);
			walgen_free(&gen);
		}
	}
	for (size_t j = 0; j < lengthof(firsts); j++)
	{
		WalGen		gen;

		walgen_init(&gen, &usual, 16 * MB, 100000, 31);
		gen.xid = firsts[j] - 1;
		walgen_fill(&gen);
		ok(pass_all_ways(&gen, 0), "xids from %u on, all cuts", firsts[j]);
		walgen_free(&gen);
	}
}

/* More shapes than the model holds. */
static void
test_many_shapes(void)
{
	WalGen		gen;
	uint8		body[64];

	walgen_init(&gen, &usual, 16 * MB, 2 * MB, 10);
	for (int round = 0; round < 2; round++)
	{
		for (uint32 relation = 0; relation < 1500; relation++)
		{
			memset(body, 0, sizeof(body));
			memcpy(body + 8, &relation, 4);
			body[20] = 255;
			body[21] = 30;
			fill_random(body + 22, 30, relation % 5);
			walgen_record(&gen, 0, 0, 20, body, 52);
			walgen_record(&gen, 0, 0, 20, body, 52);
		}
	}
	ok(!gen.full && pass_all_ways(&gen, 0), "1500 shapes, twice");
	walgen_free(&gen);
}

/*
 * Page images compressed by the server (wal_compression), with a hole, whose
 * length is then in the header; within a page and across pages.
 */
static void
test_compressed_images(void)
{
	uint8		body[5000];
	uint8	   *p;
	WalGen		gen;

	walgen_init(&gen, &usual, 16 * MB, 300000, 23);
	for (int i = 0; !gen.full; i++)
	{
		uint16		len = 30 + walgen_random(&gen, 4800);
		uint16		hole[2] = {walgen_random(&gen, 400), walgen_random(&gen, 3000)};
		uint32		block[4] = {1663, 5, 16400, i};

		p = body;
		*p++ = 0;
		*p++ = 0x10;
		memset(p, 0, 2);
		memcpy(p + 2, &len, 2);
		memcpy(p + 4, &hole[0], 2);
		/* with a hole: pglz, lz4, zstd; and one without */
		p[6] = 0x02 | (i % 4 == 3 ? 0x08 : 0x01 | 0x04 << (i % 4));
		p += 7;
		if (i % 4 != 3)
		{
			memcpy(p, &hole[1], 2);
			p += 2;
		}
		memcpy(p, block, sizeof(block));
		p += sizeof(block);
		fill_random(p, len, i);
		p += len;
		walgen_record(&gen, gen.xid, 0xB0, 0, body, p - body);
		if (i % 5 == 0)
			walgen_fill_to(&gen, gen.len + 1000);
	}
	ok(gen.nends > 60 && pass_all_ways(&gen, 0), "compressed page images, with holes and without");
	walgen_free(&gen);
}

/*
 * A record with more blocks of different relations than a shape can have is
 * not modelled, but arrives intact.
 */
static void
test_many_relations(void)
{
	uint8		body[MANY_RELATIONS * 20];
	WalGen		gen;

	walgen_init(&gen, &usual, 16 * MB, 100000, 24);
	for (int i = 0; i < 100; i++)
	{
		int			n = 1 + i % MANY_RELATIONS;
		uint8	   *p = body;

		for (int b = 0; b < n; b++)
		{
			uint32		block[4] = {1663, 5, 16400 + b, i};

			*p++ = b;
			memset(p, 0, 3);
			memcpy(p + 3, block, sizeof(block));
			p += 3 + sizeof(block);
		}
		walgen_record(&gen, gen.xid, 0, 10, body, p - body);
	}
	ok(!gen.full && pass_all_ways(&gen, 0), "records of 1 to %d relations", MANY_RELATIONS);
	walgen_free(&gen);
}

/* Blocks that begin in one segment and end in the next. */
static void
test_segment_ends(void)
{
	WsCodecParams params = usual;
	WalGen		gen;
	Pair		pair;

	params.wal_segment_size = MB;
	walgen_init(&gen, &params, 16 * MB, 5 * MB / 2, 25);
	walgen_fill(&gen);
	pair = new_pair(&ws_codec_walz, &params);
	for (size_t pos = 0; pos < gen.len; pos += 100000)
		pass_block(&pair, gen.start + pos, gen.buf + pos, Min(100000, gen.len - pos));
	ok(pair.good && gen.len > 2 * MB, "blocks over the ends of segments");
	free_pair(&pair);
	walgen_free(&gen);
}

/* After a restart nothing from before is needed, wherever it happens. */
static void
test_restart(void)
{
	WalGen		gen;
	Pair		first;
	Pair		second;

	walgen_init(&gen, &usual, 16 * MB, 300000, 11);
	walgen_fill(&gen);
	first = new_pair(&ws_codec_walz, &usual);
	for (size_t pos = 0; pos < 150000; pos += 3000)
		pass_block(&first, gen.start + pos, gen.buf + pos, 3000);

	/* a decoder that has seen nothing continues */
	second = new_pair(&ws_codec_walz, &usual);
	ws_codec_encoder_free(second.encoder);
	second.encoder = first.encoder;
	ws_codec_walz.encoder_restart(second.encoder);
	for (size_t pos = 150000; pos + 3000 < gen.len; pos += 3000)
		pass_block(&second, gen.start + pos, gen.buf + pos, 3000);
	ok(first.good && second.good, "a decoder takes over at a restart");

	ws_codec_walz.decoder_free(first.decoder);
	free_pair(&second);
	walgen_free(&gen);
}

int
main(void)
{
	ok(!ws_codec_walz.logical, "not for logical streams");
	test_layouts();
	test_starts();
	test_gain();
	test_long_records();
	test_rows();
	test_xids();
	test_many_shapes();
	test_compressed_images();
	test_many_relations();
	test_segment_ends();
	test_restart();
	return done_testing();
}
