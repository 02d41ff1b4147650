/*-------------------------------------------------------------------------
 *
 * fuzz_walz_decode.c
 *	  Fuzz target: modelled blocks from a peer that may be malicious.
 *
 * fuzz_codec_decode passes arbitrary bytes to a decoder; few of them are zstd
 * blocks, so few reach walz's model.  Here the input is the streams of which a
 * block consists, and the block is assembled correctly from them.
 *
 * First byte: bits 0 and 1, size of the WAL's blocks; bit 2: a version that walz
 * does not know.  Then for each piece
 *
 *		size	field
 *		1		bit 0: the decoder is restarted before this block
 *				bits 1 and 3: form (0 plain, 1 range coder with raw bytes,
 *				2 range coder alone, 3 as it is)
 *				bit 2: the block does not follow the one before
 *				bit 4: the block has one more piece
 *				bit 5: bytes that go as they are need not be as many as
 *				announced
 *				bit 6: with bit 4, the next field is the piece's length
 *		3		announced length of the decoded bytes; with bit 4 always that of
 *				a piece
 *		2		length of codes
 *		2		length of literals
 *		2		length of raw bytes
 *		rest	codes, literals, raw bytes
 *
 * Bits 0 and 2 count in a block's first piece.  The bytes of form 3 are codes,
 * literals and raw bytes, repeated or cut to the announced length.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "pure/codec/codec.h"
#include "pure/varint.h"
#include "pure/wire/frame.h"
#include "testdata.h"

#define MAX_DECODED		(160 * 1024)
#define MAX_STREAM		65535

/* See walz/piece.h. */
#define FORM_ZSTD		0
#define FORM_PLAIN		1
#define FORM_RANGE		2
#define FORM_RANGE_RAW	3
#define PIECE_BLOCKS	16

static const uint8 form_of_flags[] = {
	FORM_PLAIN, FORM_RANGE_RAW, FORM_RANGE, FORM_ZSTD
};

typedef struct Streams
{
	size_t		lengths[3];
	size_t		total;
	uint8		bytes[3 * MAX_STREAM];
} Streams;

/* A piece, and what the input says about it. */
typedef struct Piece
{
	uint32		flags;
	uint8		form;
	bool		more;			/* another one follows */
	size_t		announced;
	size_t		said_len;		/* right or not */
	size_t		len;
	uint8	   *bytes;
} Piece;

static void
read_streams(FuzzInput *input, Streams *streams)
{
	for (int i = 0; i < 3; i++)
		streams->lengths[i] = take_number(input, 2);
	streams->total = 0;
	for (int i = 0; i < 3; i++)
	{
		const uint8_t *bytes = take_bytes(input, streams->lengths[i],
										  &streams->lengths[i]);

		if (streams->lengths[i] > 0)
			memcpy(streams->bytes + streams->total, bytes, streams->lengths[i]);
		streams->total += streams->lengths[i];
	}
}

static size_t
zstd_encode(void *zstd, const uint8 *raw, size_t len, uint8 *to, size_t size)
{
	size_t		encoded_len = 0;

	if (len > 0)
		REQUIRE(ws_codec_zstd.encode(zstd, 0, raw, len, to, size,
									 &encoded_len) == WS_OK);
	return encoded_len;
}

static void
make_piece(Piece *piece, const Streams *streams, void *zstd)
{
	static uint8 as_it_is[MAX_DECODED + 3 * MAX_STREAM];
	size_t		size = ws_codec_zstd.encode_bound(streams->total + piece->announced) + 64;
	uint8	   *p = malloc(size);
	const uint8 *rest = streams->bytes;
	size_t		rest_len = streams->total;

	REQUIRE(p != NULL);
	piece->bytes = p;
	*p++ = piece->form;
	if (piece->form == FORM_ZSTD)
	{
		if ((piece->flags & 32) == 0)
		{
			for (size_t i = 0; i < piece->announced; i++)
				as_it_is[i] = rest_len > 0 ? rest[i % rest_len] : 0;
			rest = as_it_is;
			rest_len = piece->announced;
		}
	}
	else if (piece->form == FORM_RANGE)
	{
		memcpy(p, rest, rest_len);
		p += rest_len;
		rest_len = 0;
	}
	else
	{
		size_t		codes = streams->lengths[0];

		p += ws_varint_put(p, codes);
		if (piece->form == FORM_PLAIN)
			p += ws_varint_put(p, streams->lengths[1]);
		p += ws_varint_put(p, rest_len - codes -
						   (piece->form == FORM_PLAIN ? streams->lengths[1] : 0));
		if (piece->form == FORM_RANGE_RAW)
		{
			memcpy(p, rest, codes);
			p += codes;
			rest += codes;
			rest_len -= codes;
		}
	}
	p += zstd_encode(zstd, rest, rest_len, p, size - (p - piece->bytes));
	piece->len = p - piece->bytes;
}

/* Append the piece to the block, with its length if another one follows. */
static void
append_piece(const Piece *piece, uint8 **block, size_t *len)
{
	*block = realloc(*block, *len + 10 + piece->len);
	REQUIRE(*block != NULL);
	if (piece->more)
		*len += ws_varint_put(*block + *len, piece->flags & 64 ?
							  piece->said_len : piece->len);
	memcpy(*block + *len, piece->bytes, piece->len);
	*len += piece->len;
}

static void
restart(void *zstd, void *decoder)
{
	REQUIRE(ws_codec_zstd.encoder_restart(zstd) == WS_OK);
	REQUIRE(ws_codec_walz.decoder_restart(decoder) == WS_OK);
}

/*
 * Check that the decoder has restarted by itself: then it decodes a first
 * block.
 */
static void
require_restarted(void *zstd, void *decoder)
{
	static const uint8 raw[] = "the first bytes of a stream";
	uint8		block[200];
	uint8		decoded[sizeof(raw)];
	size_t		len;

	REQUIRE(ws_codec_zstd.encoder_restart(zstd) == WS_OK);
	block[0] = FORM_ZSTD;
	len = 1 + zstd_encode(zstd, raw, sizeof(raw), block + 1, sizeof(block) - 1);
	REQUIRE(ws_codec_walz.decode(decoder, 0, block, len, decoded,
								 sizeof(raw)) == WS_OK);
	REQUIRE(memcmp(raw, decoded, sizeof(raw)) == 0);
}

/*
 * Take the next block of the input; returns its decoded length. *flags are
 * those of its first piece.
 */
static size_t
make_block(FuzzInput *input, void *zstd, void *decoder,
		   const WsCodecParams *params, uint32 *flags, uint8 **block, size_t *len)
{
	static Streams streams;
	size_t		piece_max = (size_t) PIECE_BLOCKS * params->wal_block_size;
	size_t		announced = 0;
	Piece		piece = {.more = true};

	*block = NULL;
	*len = 0;
	for (int n = 0; piece.more; n++)
	{
		piece.flags = take_number(input, 1);
		piece.form = form_of_flags[(piece.flags >> 1 & 1) | (piece.flags >> 2 & 2)];
		piece.said_len = take_number(input, 3);
		piece.announced = piece.said_len % MAX_DECODED;
		piece.more = (piece.flags & 16) != 0 && input->len > 0 &&
			announced + piece_max < MAX_DECODED;
		if (piece.more)
			piece.announced = piece_max;
		if (n == 0)
		{
			*flags = piece.flags;
			if (piece.flags & 1)
				restart(zstd, decoder);
		}
		read_streams(input, &streams);
		make_piece(&piece, &streams, zstd);
		append_piece(&piece, block, len);
		free(piece.bytes);
		announced += piece.announced;
	}
	return announced;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32 block_sizes[] = {8192, 1024, 4096, 65536};
	static const uint16 magics[] = {0xD110, 0xD200};
	static void *zstd;
	static void *decoders[lengthof(block_sizes) * lengthof(magics)];
	FuzzInput	input = {data, size};
	uint32		layout = take_number(&input, 1) % lengthof(decoders);
	WsCodecParams params = {
		.level = 1,
		.wal_block_size = block_sizes[layout % lengthof(block_sizes)],
		.wal_segment_size = 1024 * 1024,
		.wal_page_magic = magics[layout / lengthof(block_sizes)]
	};
	void	   *decoder;
	XLogRecPtr	lsn = 16 * 1024 * 1024;

	/* they are large, so create them only once */
	if (zstd == NULL)
		zstd = ws_codec_encoder_new(&ws_codec_zstd, &params);
	if (decoders[layout] == NULL)
		decoders[layout] = ws_codec_walz.decoder_new(&params);
	decoder = decoders[layout];
	REQUIRE(zstd != NULL && decoder != NULL);
	restart(zstd, decoder);
	while (input.len > 0)
	{
		uint32		flags = 0;
		uint8	   *block;
		size_t		len;
		size_t		announced = make_block(&input, zstd, decoder, &params, &flags,
										   &block, &len);
		uint8	   *decoded = guard_alloc(announced);
		WsStatus	status;

		if (flags & 4)
			lsn += 40;
		status = ws_codec_walz.decode(decoder, lsn, block, len, decoded, announced);
		REQUIRE(status == WS_OK || status == WS_E_CODEC || status == WS_E_LENGTH);
		REQUIRE(guard_intact(decoded, announced));
		if (status == WS_OK)
			lsn += announced;
		else
		{
			require_restarted(zstd, decoder);
			restart(zstd, decoder);
		}
		free(block);
		guard_free(decoded);
	}
	return 0;
}
