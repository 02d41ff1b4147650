/*-------------------------------------------------------------------------
 *
 * fuzz_walz_roundtrip.c
 *	  Fuzz target: WAL with records of any kind, damaged and cut anywhere, is
 *	  the same after walz has encoded and decoded it.
 *
 * The input writes WAL and then cuts it.  First byte, from the low end in
 * mixed base: size of the WAL's blocks (4), version (5), level (2).  Then, until
 * the end:
 *
 *		size	field
 *		1		what follows, modulo 14
 *	  0, 1 a record:
 *		1		xid, added to 700
 *		1		info
 *		1		resource manager
 *		1		length of what is behind its header; times 16 with 1
 *		rest	that, repeated if with 1
 *	  2, 3 the last record again, changed:
 *		1		offset behind its header
 *		1		added to the byte there
 *	  4 a page image of many rows:
 *		1		rows
 *		1		width
 *		2		offset of a change
 *		2		the change
 *	  5 damage to what has been written:
 *		2		how far back
 *		1		exclusive-or
 *	  6 a cut here
 *	  7 a cut and a restart here
 *	  8 rows of a bulk load:
 *		1		how many
 *	  9 a record of many page images:
 *		1		how many, modulo 32, and one more
 *		1		rows
 *		1		width
 *	  10 a cut further back:
 *		2		how far
 *	  11 a cut here, after which what came before it comes again:
 *		2		from how far back on, modulo 8192
 *	  12 a cut here, after which something is left out:
 *		2		how much
 *	  13 the next record that goes on in another page is overwritten:
 *		1		in its how many-th page, modulo 4, and one more
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "pure/codec/codec.h"
#include "testdata.h"
#include "walgen.h"

#define MAX_WAL			(160 * 1024)
#define MAX_CUTS		1000
#define MAX_JUMPS		50
#define MAX_RECORD		4096

typedef struct Writer
{
	WalGen		gen;
	uint32		xid;
	uint8		info;
	uint8		rmid;
	uint8		body[MAX_RECORD];
	size_t		body_len;
	int			ncuts;
	int			njumps;
	size_t		cuts[MAX_CUTS];
	size_t		nexts[MAX_CUTS];	/* where the stream goes on */
	bool		restart[MAX_CUTS];
} Writer;

static void
write_record(Writer *writer)
{
	walgen_record(&writer->gen, writer->xid, writer->info, writer->rmid,
				  writer->body, writer->body_len);
}

static void
read_record(Writer *writer, FuzzInput *input, bool repeated)
{
	size_t		len;
	const uint8_t *bytes;

	writer->xid = 700 + take_number(input, 1);
	writer->info = take_number(input, 1);
	writer->rmid = take_number(input, 1);
	bytes = take_bytes(input, take_number(input, 1), &len);
	writer->body_len = repeated ? 16 * len : len;
	for (size_t i = 0; i < writer->body_len; i++)
		writer->body[i] = bytes[i % len];
	write_record(writer);
}

static void
write_again(Writer *writer, FuzzInput *input)
{
	size_t		at = take_number(input, 1);
	uint8		diff = take_number(input, 1);

	if (at < writer->body_len)
		writer->body[at] += diff;
	write_record(writer);
}

static void
write_image(Writer *writer, FuzzInput *input)
{
	static uint8 page[8192];
	int			rows = take_number(input, 1);
	int			width = take_number(input, 1) + 1;
	size_t		at = take_number(input, 2) % (sizeof(page) - 1);
	uint16		change = take_number(input, 2);

	walgen_page(&writer->gen, page, rows, width);
	memcpy(page + at, &change, sizeof(change));
	walgen_image(&writer->gen, at, page);
}

static void
damage(Writer *writer, FuzzInput *input)
{
	size_t		back = take_number(input, 2);
	uint8		mask = take_number(input, 1);

	if (back < writer->gen.len)
		writer->gen.buf[writer->gen.len - 1 - back] ^= mask;
}

static void
write_images(Writer *writer, FuzzInput *input)
{
	int			n = take_number(input, 1) % 32 + 1;
	int			rows = take_number(input, 1);
	int			width = take_number(input, 1) + 1;

	walgen_images(&writer->gen, n, n, rows, width);
}

static void
cut(Writer *writer, size_t back, bool restart)
{
	size_t		last = writer->ncuts > 0 ? writer->nexts[writer->ncuts - 1] : 0;

	if (writer->ncuts == MAX_CUTS || last + back > writer->gen.len)
		return;
	writer->cuts[writer->ncuts] = writer->gen.len - back;
	writer->nexts[writer->ncuts] = writer->gen.len - back;
	writer->restart[writer->ncuts] = restart;
	writer->ncuts++;
}

/* A cut, after which the stream continues at another position. */
static void
jump(Writer *writer, int64 distance)
{
	int			before = writer->ncuts;
	int64		next = (int64) writer->gen.len + distance;

	if (writer->njumps == MAX_JUMPS)
		return;
	writer->njumps++;
	cut(writer, 0, false);
	if (writer->ncuts > before)
		writer->nexts[before] = Max(next, 0);
}

static void
pass_block(void *encoder, void *decoder, XLogRecPtr lsn, const uint8 *raw,
		   size_t len)
{
	size_t		bound = ws_codec_walz.encode_bound(len);
	uint8	   *encoded = guard_alloc(bound);
	uint8	   *decoded = guard_alloc(len);
	size_t		encoded_len;

	REQUIRE(ws_codec_walz.encode(encoder, lsn, raw, len, encoded, bound,
								 &encoded_len) == WS_OK);
	REQUIRE(guard_intact(encoded, bound));
	REQUIRE(encoded_len <= len + 64 + len / 4096);
	REQUIRE(ws_codec_walz.decode(decoder, lsn, encoded, encoded_len, decoded,
								 len) == WS_OK);
	REQUIRE(guard_intact(decoded, len));
	REQUIRE(memcmp(raw, decoded, len) == 0);
	guard_free(encoded);
	guard_free(decoded);
}

static void
pass_all(const Writer *writer, void **encoders, void **decoders)
{
	const WalGen *gen = &writer->gen;
	void	   *encoder;
	void	   *decoder;
	size_t		pos = 0;

	/* they are large, so create them only once */
	if (*encoders == NULL)
		*encoders = ws_codec_encoder_new(&ws_codec_walz, &gen->params);
	if (*decoders == NULL)
		*decoders = ws_codec_walz.decoder_new(&gen->params);
	encoder = *encoders;
	decoder = *decoders;
	REQUIRE(encoder != NULL && decoder != NULL);
	REQUIRE(ws_codec_walz.encoder_restart(encoder) == WS_OK);
	REQUIRE(ws_codec_walz.decoder_restart(decoder) == WS_OK);
	for (int i = 0; i <= writer->ncuts; i++)
	{
		size_t		end = i < writer->ncuts ? writer->cuts[i] : gen->len;

		if (end > pos)
			pass_block(encoder, decoder, gen->start + pos, gen->buf + pos, end - pos);
		pos = i < writer->ncuts ? writer->nexts[i] : end;
		if (i < writer->ncuts && writer->restart[i])
		{
			REQUIRE(ws_codec_walz.encoder_restart(encoder) == WS_OK);
			REQUIRE(ws_codec_walz.decoder_restart(decoder) == WS_OK);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32 block_sizes[] = {8192, 1024, 4096, 65536};
	static const uint16 magics[] = {0xD118, 0xD110, 0xD113, 0xD116, 0xD200};
	static const int levels[] = {1, 3};
	static Writer writer;
	static void *encoders[lengthof(levels)][lengthof(block_sizes) * lengthof(magics)];
	static void *decoders[lengthof(block_sizes) * lengthof(magics)];
	FuzzInput	input = {data, size};
	uint32		first = take_number(&input, 1);
	uint32		layout = first % lengthof(decoders);
	uint32		level = first / lengthof(decoders) % lengthof(levels);
	WsCodecParams params = {
		.level = levels[level],
		.wal_block_size = block_sizes[layout % lengthof(block_sizes)],
		.wal_segment_size = 1024 * 1024,
		.wal_page_magic = magics[layout / lengthof(block_sizes)]
	};

	memset(&writer, 0, sizeof(writer));
	walgen_init(&writer.gen, &params, 16 * 1024 * 1024, MAX_WAL, 1);
	while (input.len > 0 && !writer.gen.full)
	{
		uint32		what = take_number(&input, 1) % 14;

		switch (what)
		{
			case 0:
			case 1:
				read_record(&writer, &input, what == 1);
				break;
			case 2:
			case 3:
				write_again(&writer, &input);
				break;
			case 4:
				write_image(&writer, &input);
				break;
			case 5:
				damage(&writer, &input);
				break;
			case 8:
				walgen_rows(&writer.gen, take_number(&input, 1));
				break;
			case 9:
				write_images(&writer, &input);
				break;
			case 10:
				cut(&writer, take_number(&input, 2), false);
				break;
			case 11:
				jump(&writer, -(int64) (take_number(&input, 2) % 8192));
				break;
			case 12:
				jump(&writer, take_number(&input, 2));
				break;
			case 13:
				walgen_break(&writer.gen, take_number(&input, 1) % 4 + 1);
				break;
			default:
				cut(&writer, 0, what == 7);
				break;
		}
	}
	pass_all(&writer, &encoders[level][layout], &decoders[layout]);
	walgen_free(&writer.gen);
	return 0;
}
