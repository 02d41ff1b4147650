/*-------------------------------------------------------------------------
 *
 * test_walz_damage.c
 *	  The codec walz with input that is almost WAL, and its decoder with blocks
 *	  that are almost valid.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/walz/piece.h"
#include "tap.h"
#include "testdata.h"
#include "walpairs.h"

/* A stream that is damaged in one place must arrive with this damage. */
static void
test_damage(void)
{
	static const char *const names[] = {
		"a bit flipped", "zeros", "random bytes", "0xFF",
		"a page header's timeline", "a page header's flags",
		"a record's length", "a hole to the segment's end"
	};

	for (size_t kind = 0; kind < lengthof(names); kind++)
	{
		bool		good = true;

		for (int round = 0; round < 4; round++)
		{
			WalGen		gen;
			size_t		at;
			size_t		page;
			size_t		n;

			walgen_init(&gen, &usual, 15 * MB, 70000, 100 + round);
			walgen_fill(&gen);
			at = walgen_random(&gen, gen.len);
			page = at / 8192 * 8192;
			n = 1 + walgen_random(&gen, 30000);
			n = Min(n, gen.len - at);
			switch (kind)
			{
				case 0:
					gen.buf[at] ^= 1 << (round & 7);
					break;
				case 1:
					memset(gen.buf + at, 0, n);
					break;
				case 2:
					fill_random(gen.buf + at, n, at);
					break;
				case 3:
					memset(gen.buf + at, 0xFF, n);
					break;
				case 4:
					for (; page < gen.len; page += 8192)
						gen.buf[page + 4] = 2;
					break;
				case 5:
					/* all that there are, 0x0001 to 0x0008 */
					gen.buf[page + 2] ^= 1 << round;
					break;
				case 6:
					at = gen.ends[gen.nends / 2];
					gen.buf[at + round % 4] ^= 0x10;
					break;
				default:
					for (at = gen.ends[gen.nends / 2]; at < gen.len; at++)
					{
						if (at % 8192 >= 24)
							gen.buf[at] = 0;
					}
					break;
			}
			good &= pass_all_ways(&gen, 0);
			walgen_free(&gen);
		}
		ok(good, "damaged: %s", names[kind]);
	}
}

/*
 * WAL of a server that has crashed in the middle of a record, many times: the
 * written part of the record stays, and the page on which it would continue
 * has a flag.
 */
static WalGen
make_overwritten(const WsCodecParams *params, XLogRecPtr start, int rounds)
{
	WalGen		gen;

	walgen_init(&gen, params, start, rounds * 30000 + 60000, 21);
	walgen_fill_to(&gen, 5000);
	for (int round = 0; round < rounds; round++)
	{
		walgen_break(&gen, 1 + round / 3 % 2);
		if (round % 3 == 1)
			walgen_rows(&gen, 300);
		else if (round % 3 == 2)
			walgen_images(&gen, 6, round, 200, 30);
		walgen_fill_to(&gen, gen.len + 20000);
	}
	if (gen.overwritten != rounds || gen.full)
		abort();
	return gen;
}

static void
count_modelled(void *arg, int rmid, size_t raw_len pg_attribute_unused(),
			   size_t put_len pg_attribute_unused())
{
	size_t	   *modelled = arg;

	*modelled += rmid >= 0;
}

static void
test_overwritten(void)
{
	static const int around[] = {-100, -1, 0, 1, 24, 66, 72};
	WsCodecParams params = usual;
	WalGen		gen;
	Pair		pair;
	size_t		modelled = 0;
	bool		good;

	gen = make_overwritten(&usual, 15 * MB, 12);
	ok(pass_all_ways(&gen, 0), "12 records overwritten, all cuts");
	good = true;
	for (size_t page = 8192; page < gen.len; page += 8192)
	{
		if ((gen.buf[page + 2] & 0x08) == 0)
			continue;
		for (size_t i = 0; i < lengthof(around); i++)
		{
			pair = pass_stream(&ws_codec_walz, &gen, page + around[i],
							   CUT_FIXED, 8192);
			good &= pair.good;
			pair = pass_stream(&ws_codec_walz, &gen, page + around[i],
							   CUT_RANDOM, 700);
			good &= pair.good;
		}
	}
	ok(good, "the same from around each page with the flag");
	walgen_free(&gen);

	params.wal_segment_size = MB;
	walgen_init(&gen, &params, 16 * MB - 16384, 60000, 22);
	walgen_rows(&gen, 20);
	walgen_break(&gen, 2);
	walgen_images(&gen, 4, 0, 200, 30);
	walgen_fill(&gen);
	ok((gen.buf[16384 + 2] & 0x0A) == 0x0A && pass_all_ways(&gen, 0),
	   "a segment that begins so, all cuts");
	walgen_free(&gen);

	params.wal_block_size = 1024;
	gen = make_overwritten(&params, 16 * MB - 2048, 12);
	ok(pass_all_ways(&gen, 0), "12 records overwritten on pages of 1 kB");
	walgen_free(&gen);

	/* all but the first, whose back-pointer is not known */
	gen = make_overwritten(&usual, 15 * MB, 3);
	pair = new_pair(&ws_codec_walz, &usual);
	ws_walz_encoder_observe(pair.encoder, count_modelled, &modelled);
	pass_block(&pair, gen.start, gen.buf, gen.len);
	ok(pair.good && gen.len <= 16 * 8192,
	   "3 records overwritten, in one block");
	is(modelled, gen.nends - 1, "all complete records are modelled");
	free_pair(&pair);
	walgen_free(&gen);
}

/*
 * Change every byte of a short stream in turn: whatever becomes wrong (a CRC,
 * a header, a length), the stream arrives unchanged, and is larger by only a
 * few bytes.
 */
static void
test_every_byte(void)
{
	WalGen		gen;
	bool		good = true;
	size_t		worst = 0;

	walgen_init(&gen, &usual, 16 * MB, 6000, 7);
	walgen_fill(&gen);
	for (size_t i = 0; i < gen.len; i++)
	{
		Pair		pair;

		gen.buf[i] ^= 1 << (i % 8);
		pair = pass_stream(&ws_codec_walz, &gen, 0, CUT_FIXED, 2500);
		good &= pair.good;
		worst = Max(worst, pair.worst);
		gen.buf[i] ^= 1 << (i % 8);
	}
	ok(good, "each of %zu bytes changed arrives changed", gen.len);
	ok(worst < 40, "and costs little (%zu bytes)", worst);
	walgen_free(&gen);
}

/* A record is modelled only if its CRC is right; otherwise it is sent raw. */
static void
test_crc(void)
{
	WalGen		gen;
	Pair		intact;
	Pair		broken;

	walgen_init(&gen, &usual, 16 * MB, 200000, 8);
	walgen_fill_small(&gen);
	intact = pass_stream(&ws_codec_walz, &gen, 0, CUT_FIXED, 131072);
	for (size_t i = 0; i + 1 < gen.nends; i++)
	{
		size_t		crc = gen.ends[i] + 20;

		if (gen.ends[i] % 8192 < 8000 && gen.ends[i] % 8192 > 0)
			gen.buf[crc] ^= 1;
	}
	broken = pass_stream(&ws_codec_walz, &gen, 0, CUT_FIXED, 131072);
	ok(intact.good && broken.good && broken.encoded > 2 * intact.encoded,
	   "%zu bytes with right CRCs, %zu with wrong ones", intact.encoded,
	   broken.encoded);
	walgen_free(&gen);
}

/* Images whose headers are wrong. */
static void
test_images(void)
{
	uint8		page[8192];
	WalGen		gen;
	uint16		v;
	uint32		line;

	walgen_init(&gen, &usual, 16 * MB, 2 * MB, 9);
	for (int round = 0; round < 200; round++)
	{
		uint32		block = walgen_random(&gen, 1000);

		walgen_page(&gen, page, 1 + walgen_random(&gen, 250),
					1 + walgen_random(&gen, 300));
		switch (walgen_random(&gen, 9))
		{
			case 0:				/* items that lie over others */
				memcpy(&line, page + 24, 4);
				memcpy(page + 28, &line, 4);
				break;
			case 1:				/* anything for a line pointer */
				fill_random(page + 24, 400, round);
				break;
			case 2:				/* anything at all */
				fill_random(page, sizeof(page), round);
				break;
			case 3:				/* other bounds */
				v = walgen_random(&gen, 9000);
				memcpy(page + 12 + 2 * walgen_random(&gen, 3), &v, 2);
				break;
			case 4:				/* full: no hole */
				fill_random(page + 24, sizeof(page) - 24, round);
				v = 1024;
				memcpy(page + 12, &v, 2);
				memcpy(page + 14, &v, 2);
				break;
			case 5:				/* a size that it has not */
				v = 16384 | 4;
				memcpy(page + 18, &v, 2);
				break;
			case 6:				/* lower is not after a line pointer */
				v = 27;
				memcpy(page + 12, &v, 2);
				break;
			default:
				break;
		}
		walgen_image(&gen, block, page);
	}
	ok(pass_all_ways(&gen, 0), "200 page images, sound and unsound");
	walgen_free(&gen);
}

/* The encoder hits a limit in the middle of every fifth block. */
typedef struct Limit
{
	WsWalz	   *walz;
	int			calls;
	int			hits;
} Limit;

static void
hit_limit(void *arg, int rmid pg_attribute_unused(),
		  size_t raw_len pg_attribute_unused(),
		  size_t put_len pg_attribute_unused())
{
	Limit	   *limit = arg;

	if (++limit->calls == 5)
	{
		limit->walz->io.failed = true;
		limit->hits++;
	}
}

static void
test_giving_up(size_t len)
{
	WalGen		gen;
	Pair		pair = new_pair(&ws_codec_walz, &usual);
	Limit		limit = {.walz = pair.encoder};
	int			blocks = 0;

	walgen_init(&gen, &usual, 16 * MB, MB, 16);
	walgen_fill(&gen);
	for (size_t pos = 0; pos + len < gen.len; pos += len)
	{
		ws_walz_encoder_observe(pair.encoder, blocks % 5 == 0 ? hit_limit : NULL,
								&limit);
		limit.calls = 0;
		pass_block(&pair, gen.start + pos, gen.buf + pos, len);
		blocks++;
	}
	ok(pair.good && limit.hits > blocks / 10,
	   "%d of %d blocks of %zu bytes are given up half-way, all arrive",
	   limit.hits, blocks, len);
	free_pair(&pair);
	walgen_free(&gen);
}

/* Blocks whose positions are not contiguous. */
static void
test_jumps(void)
{
	WalGen		gen;
	Pair		pair = new_pair(&ws_codec_walz, &usual);

	walgen_init(&gen, &usual, 16 * MB, 300000, 12);
	walgen_fill(&gen);
	for (int i = 0; i < 300; i++)
	{
		size_t		pos = walgen_random(&gen, gen.len - 5000);

		if (i % 3 == 0)
			pos = gen.ends[walgen_random(&gen, gen.nends / 2)];
		pass_block(&pair, gen.start + pos, gen.buf + pos,
				   1 + walgen_random(&gen, 5000));
	}
	ok(pair.good, "blocks from anywhere in any order");
	free_pair(&pair);
	walgen_free(&gen);
}

/*
 * Flip bits in what a receiver gets.  The frame's check value finds wrong
 * output; here nothing may be written out of bounds, the status must be a
 * known one, and the decoder must work after a restart.
 */
static void
test_flips(Cut cut, size_t n)
{
	WalGen		gen;
	void	   *encoder = ws_codec_encoder_new(&ws_codec_walz, &usual);
	void	   *decoder = ws_codec_walz.decoder_new(&usual);
	size_t		first = 60000;
	size_t		len;
	size_t		bound;
	uint8	   *encoded[2];
	size_t		encoded_len[2];
	uint8	   *decoded;
	int			refused = 0;
	int			wild = 0;
	int			bad = 0;

	walgen_init(&gen, &usual, 16 * MB, 300000, 13);
	walgen_fill(&gen);
	for (size_t i = 0; cut == CUT_ENDS && gen.ends[i] < 60000; i++)
		first = gen.ends[i];
	len = n;
	for (size_t i = 0; cut == CUT_ENDS && i < gen.nends; i++)
	{
		if (gen.ends[i] > first && gen.ends[i] <= first + n)
			len = gen.ends[i] - first;
	}
	bound = ws_codec_walz.encode_bound(Max(first, len));
	encoded[0] = malloc(bound);
	encoded[1] = malloc(bound);
	decoded = guard_alloc(Max(first, len));
	if (ws_codec_walz.encode(encoder, gen.start, gen.buf, first, encoded[0],
							 bound, &encoded_len[0]) != WS_OK ||
		ws_codec_walz.encode(encoder, gen.start + first, gen.buf + first, len,
							 encoded[1], bound, &encoded_len[1]) != WS_OK)
		abort();

	for (size_t bit = 0; bit < 8 * encoded_len[1]; bit += 1 + bit / 1000)
	{
		WsStatus	status;

		ws_codec_walz.decoder_restart(decoder);
		if (ws_codec_walz.decode(decoder, gen.start, encoded[0], encoded_len[0],
								 decoded, first) != WS_OK)
			bad++;
		encoded[1][bit / 8] ^= 1 << (bit % 8);
		status = ws_codec_walz.decode(decoder, gen.start + first, encoded[1],
									  encoded_len[1], decoded, len);
		encoded[1][bit / 8] ^= 1 << (bit % 8);
		if (status == WS_E_CODEC || status == WS_E_LENGTH)
			refused++;
		else if (status != WS_OK)
			wild++;
		if (!guard_intact(decoded, Max(first, len)))
			wild++;
	}
	is(bad + wild, 0, "flipped bits in a block of %zu bytes do no harm (%d refused)",
	   len, refused);

	free(encoded[0]);
	free(encoded[1]);
	guard_free(decoded);
	ws_codec_encoder_free(encoder);
	ws_codec_walz.decoder_free(decoder);
	walgen_free(&gen);
}

int
main(void)
{
	test_damage();
	test_overwritten();
	test_every_byte();
	test_crc();
	test_images();
	test_giving_up(3000);
	test_giving_up(50000);
	test_jumps();
	test_flips(CUT_ENDS, 2000);
	test_flips(CUT_FIXED, 3000);
	test_flips(CUT_FIXED, 40000);
	return done_testing();
}
