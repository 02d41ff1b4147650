/*-------------------------------------------------------------------------
 *
 * test_walz_format.c
 *	  Checks that walz's output has not changed.
 *
 * An encoder and a decoder of two versions understand each other only if all
 * constants of their models are the same, and each takes the other for one of
 * its own version if their words in the negotiation are the same.  So what
 * some WAL is encoded to is compared with check values that belong to the
 * word.
 *
 * (A change of what an encoder chooses, which any decoder can follow, makes
 * the test fail, too, and then requires only new check values.)
 *
 * The output of zstd depends on the library's version, and any version decodes
 * it.  So the test checks the part of each piece before it, and what it
 * decodes to.
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "port/pg_crc32c.h"
#include "pure/varint.h"
#include "pure/walz/piece.h"
#include "pure/wire/frame.h"
#include "tap.h"
#include "walpairs.h"

/* The format to which all check values below belong. */
#define WORD	"walz1"

typedef enum Contents
{
	SMALL,
	ALL,
	IMAGES,
	ROWS,
	SHAPES,
	OVERWRITTEN
} Contents;

typedef struct Golden
{
	const char *name;
	Contents	contents;
	uint32		block_size;
	uint16		magic;
	int			level;
	size_t		n;				/* bytes of each block, or 0: to record ends */
	pg_crc32c	wal_crc;
	pg_crc32c	crc;
} Golden;

static const Golden golden[] = {
	{"small records, single commits", SMALL, 8192, 0xD110, 1, 0, 0x06B57903, 0xA05E88A7},
	{"small records, blocks of 3000 bytes", SMALL, 8192, 0xD113, 1, 3000, 0x868052E3, 0xAA3D4FC9},
	{"small records, blocks of 128 kB", SMALL, 8192, 0xD116, 1, 131072, 0x03335832, 0x6D840503},
	{"all records, single commits", ALL, 8192, 0xD118, 1, 0, 0xDD683602, 0xAEBBD6B9},
	{"all records, blocks of 8 kB", ALL, 8192, 0xD110, 1, 8192, 0x7E78F051, 0x5E528B63},
	{"all records, blocks of 128 kB", ALL, 8192, 0xD110, 1, 131072, 0x7E78F051, 0x4938F85A},
	{"all records, blocks of 128 kB, level 3", ALL, 8192, 0xD110, 3, 131072, 0x7E78F051, 0xBA3E7360},
	{"all records, more than a piece", ALL, 1024, 0xD110, 1, 100000, 0xF69AE196, 0x6F1744D4},
	{"records longer than a block", IMAGES, 8192, 0xD110, 1, 20000, 0xE976DD5B, 0x9E710519},
	{"the same on large pages", IMAGES, 65536, 0xD110, 3, 70000, 0x4E06A584, 0x0EF7ADF8},
	{"bulk loads", ROWS, 8192, 0xD110, 1, 131072, 0xB80F74A1, 0x59BF0FFA},
	{"many shapes", SHAPES, 8192, 0xD110, 1, 8192, 0xDA4B2D78, 0xFAAA9C7B},
	{"overwritten records", OVERWRITTEN, 8192, 0xD110, 1, 10000, 0xEEFB189E, 0x1CCFEA17},
	{"WAL of an unknown version", SMALL, 8192, 0xD10D, 1, 8192, 0x951EF716, 0xC1E46926}
};

/* How many pieces had each form. */
static int	forms[WZ_FORM_RANGE_RAW + 1];

/* Hash of encoded blocks. */
typedef struct Hash
{
	pg_crc32c	crc;
	void	   *zstd;			/* decoder */
	size_t		piece_max;
	bool		good;			/* all could be taken apart */
} Hash;

/*
 * More of everything than the model can hold: relations and shapes, some of
 * which soon occur again and some late, and fields that can be predicted in
 * other ways.
 */
static void
write_shapes(WalGen *gen)
{
	uint8		body[90] = {0};
	uint32		keys[6] = {0};	/* of the last records */

	body[1] = 0x20;
	body[2] = 8;
	body[20] = 255;
	body[21] = 60;
	for (uint32 i = 0; !gen->full; i++)
	{
		uint32		relation = i % 3 == 0 ? i * 7 % 1500 : 2000 + i % 300;
		uint32		block = relation * 5;
		uint32		xid = 700 + i / 20 + (i % 2 == 0 ? walgen_random(gen, 14) : 0);

		memcpy(body + 12, &relation, 4);
		memcpy(body + 16, &block, 4);
		memcpy(body + 22, &keys[i % 6], 4);
		keys[i % 6] = walgen_random(gen, 1000000000);
		memcpy(body + 26, &keys[i % 6], 4);
		for (int field = 0; field < 13 && i % 2 == 0; field++)
			memcpy(body + 30 + 4 * field, &xid, 4);
		walgen_record(gen, xid, relation % 13 << 4, 20 + relation % 90, body, sizeof(body));
	}
}

static WalGen
make_wal(Contents contents, const WsCodecParams *params)
{
	WalGen		gen;

	walgen_init(&gen, params, 16 * MB, 400000, 1);
	switch (contents)
	{
		case SMALL:
			walgen_fill_small(&gen);
			break;
		case ALL:
			walgen_fill(&gen);
			break;
		case IMAGES:
			for (uint32 block = 0; !gen.full; block += 20)
			{
				walgen_images(&gen, 20, block, 200, 30);
				walgen_fill_to(&gen, gen.len + 5000);
			}
			break;
		case ROWS:
			while (!gen.full)
				walgen_rows(&gen, 80);
			break;
		case SHAPES:
			write_shapes(&gen);
			break;
		case OVERWRITTEN:
			while (!gen.full)
			{
				walgen_break(&gen, 1);
				walgen_fill_to(&gen, gen.len + 30000);
			}
			break;
	}
	return gen;
}

static size_t
get_length(Hash *hash, const uint8 **p, const uint8 *end)
{
	uint64		v = 0;

	hash->good &= ws_varint_get(p, end, &v);
	return (size_t) v;
}

static void
hash_piece(Hash *hash, const uint8 *piece, size_t len, size_t raw_len)
{
	const uint8 *p = piece;
	const uint8 *end = piece + len;
	size_t		codes = 0;
	size_t		literals = 0;
	size_t		raw = 0;
	size_t		total = 0;
	uint8		form;
	uint8	   *decoded;

	hash->good &= len > 0 && *p <= WZ_FORM_RANGE_RAW;
	if (!hash->good)
		return;
	form = *p++;
	forms[form]++;
	if (form == WZ_FORM_ZSTD)
		total = raw_len;
	else if (form == WZ_FORM_RANGE)
		p = end;
	else
	{
		codes = get_length(hash, &p, end);
		if (form == WZ_FORM_PLAIN)
			literals = get_length(hash, &p, end);
		raw = get_length(hash, &p, end);
		if (form == WZ_FORM_PLAIN)
			total = codes + literals + raw;
		else
		{
			p += codes;
			total = raw;
		}
	}
	hash->good &= p <= end;
	if (!hash->good)
		return;
	COMP_CRC32C(hash->crc, piece, p - piece);
	if (total == 0)
		return;
	decoded = malloc(total);
	hash->good &= ws_codec_zstd.decode(hash->zstd, 0, p, end - p, decoded,
									   total) == WS_OK;
	COMP_CRC32C(hash->crc, decoded, total);
	free(decoded);
}

static void
hash_block(Hash *hash, const uint8 *block, size_t len, size_t raw_len)
{
	const uint8 *p = block;
	const uint8 *end = block + len;

	while (raw_len > hash->piece_max && hash->good)
	{
		size_t		n = get_length(hash, &p, end);

		hash->good &= n <= (size_t) (end - p);
		if (!hash->good)
			return;
		hash_piece(hash, p, n, hash->piece_max);
		p += n;
		raw_len -= hash->piece_max;
	}
	hash_piece(hash, p, end - p, raw_len);
}

/* Encode everything, and hash it. */
static Hash
hash_encoded(const WalGen *gen, size_t n)
{
	void	   *encoder = ws_codec_encoder_new(&ws_codec_walz, &gen->params);
	size_t		bound = ws_codec_walz.encode_bound(gen->len);
	uint8	   *encoded = malloc(bound);
	size_t		end = 0;
	Hash		hash = {.good = true};

	INIT_CRC32C(hash.crc);
	hash.zstd = ws_codec_zstd.decoder_new(&gen->params);
	hash.piece_max = gen->params.wal_page_magic == 0xD10D ? SIZE_MAX :
		WS_FRAME_MAX_BLOCKS * gen->params.wal_block_size;
	for (size_t pos = 0; pos < gen->len;)
	{
		size_t		next = pos + n;
		size_t		len;

		if (n == 0)
		{
			end += 4;
			next = end < gen->nends ? gen->ends[end] : gen->len;
		}
		next = Min(next, gen->len);
		if (ws_codec_walz.encode(encoder, gen->start + pos, gen->buf + pos,
								 next - pos, encoded, bound, &len) != WS_OK)
			abort();
		hash_block(&hash, encoded, len, next - pos);
		pos = next;
	}
	FIN_CRC32C(hash.crc);
	ws_codec_zstd.decoder_free(hash.zstd);
	ws_codec_encoder_free(encoder);
	free(encoded);
	return hash;
}

static void
test_golden(const Golden *expected)
{
	WsCodecParams params = usual;
	WalGen		gen;
	pg_crc32c	crc;
	Hash		hash;

	params.wal_block_size = expected->block_size;
	params.wal_page_magic = expected->magic;
	params.level = expected->level;
	gen = make_wal(expected->contents, &params);
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, gen.buf, gen.len);
	FIN_CRC32C(crc);
	if (!ok(crc == expected->wal_crc, "%s: WAL as it was (0x%08X)",
			expected->name, crc))
		diag("this test's WAL has changed, so its check values must: see that the format has not");

	hash = hash_encoded(&gen, expected->n);
	ok(hash.good, "%s: made up as walz/piece.h says", expected->name);
	if (!ok(hash.crc == expected->crc, "%s: encoded as it was (0x%08X)",
			expected->name, hash.crc))
		diag("the format has changed: change WsCodec.word in codec/walz.c, and WORD and the check values in test_walz_format.c, together");
	walgen_free(&gen);
}

int
main(void)
{
	is_str(ws_codec_walz.word, WORD,
		   "the word in negotiation that the check values here belong to");
#ifdef WORDS_BIGENDIAN
	diag("the check values are those of little-endian machines");
#else
	for (size_t i = 0; i < lengthof(golden); i++)
		test_golden(&golden[i]);
	for (int form = 0; form < (int) lengthof(forms); form++)
		ok(forms[form] > 0, "%d pieces of form %d", forms[form], form);
#endif
	return done_testing();
}
