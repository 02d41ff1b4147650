/*-------------------------------------------------------------------------
 *
 * test_walz_refused.c
 *	  The codec walz's decoder with blocks that were assembled by hand.
 *
 * Flipped bits and a lying encoder do not reach every place where the decoder
 * refuses a block.  Here the three streams of a block are written in the order
 * in which the decoder will read them.  For each kind of block there is first
 * a valid one, which must be decoded: this shows that the others are refused
 * for what is wrong with them, and not because the test writes nonsense.
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/varint.h"
#include "pure/walz/piece.h"
#include "tap.h"
#include "testdata.h"
#include "walpairs.h"

#define PAGE		8192
#define PAGE_HEADER	24
#define MAX_BLOCK	(16 * PAGE)
#define SEGMENT		((XLogRecPtr) 16 * MB)

/* Codes of walz/model.h and walz/page.h, defined independently. */
#define OP_NO_XID		0
#define OP_RAW			11
#define OP_PART			12
#define CLASS_NEW		255
#define LENGTHS_NEW		4
#define BLOCK_LAST		0
#define IMAGE_AS_IT_IS	0
#define IMAGE_NO_KIND	2
#define MASK_NEW		12

/* A reference to a block with an image, and to one with data. */
#define RELATION		1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3
#define WITH_IMAGE		0x10
#define WITH_DATA		0x20
#define SAME_RELATION	0x80

/* Header of the record that begins in a block: image, and main data of 2 bytes */
#define PART_HEADER		51
#define PART_IMAGE		8000
#define PART_LENGTH		(PART_HEADER + PART_IMAGE + 2)

typedef struct Stream
{
	uint8		bytes[2 * MAX_BLOCK];
	size_t		len;
} Stream;

/* The block that is being assembled. */
static XLogRecPtr start;
static Stream code;
static Stream literal;
static Stream raw;

static void
put(Stream *stream, uint8 v)
{
	if (stream->len == sizeof(stream->bytes))
		abort();
	stream->bytes[stream->len++] = v;
}

static void
put_bytes(Stream *stream, const uint8 *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put(stream, bytes[i]);
}

static void
put_number(uint64 v)
{
	for (; v > 0x7F; v >>= 7)
		put(&literal, (v & 0x7F) | 0x80);
	put(&literal, (uint8) v);
}

static void
put_zeros(size_t len)
{
	while (len-- > 0)
		put(&raw, 0);
}

/* The header of the page at lsn, which is not the first of a segment. */
static void
put_page_header(XLogRecPtr lsn)
{
	uint8		header[PAGE_HEADER] = {0};
	uint32		tli = 1;

	memcpy(header, &usual.wal_page_magic, sizeof(uint16));
	memcpy(header + 4, &tli, sizeof(tli));
	memcpy(header + 8, &lsn, sizeof(lsn));
	put_bytes(&raw, header, sizeof(header));
}

/* Begin a block at the start of a page, whose header is sent raw. */
static void
begin(XLogRecPtr lsn)
{
	start = lsn;
	code.len = literal.len = raw.len = 0;
	put_page_header(lsn);
}

/* A record that is sent unencoded: only its length matters. */
static void
put_raw_record(uint32 len)
{
	put(&code, OP_RAW);
	put_bytes(&raw, (const uint8 *) &len, sizeof(len));
	put_zeros(len - sizeof(len));
}

/* A record of a new class, up to its shape. */
static void
put_shape(const uint8 *shape, size_t len)
{
	put(&code, OP_NO_XID);
	put(&code, CLASS_NEW);
	put(&literal, (uint8) len);
	put_bytes(&literal, shape, len);
}

/* The body, all of it raw. */
static void
put_body(size_t len)
{
	put(&code, MASK_NEW);
	put(&literal, 0);
	put_zeros(len);
}

/* Decode the block to dst_len bytes, and compare the status. */
static void
expect(size_t dst_len, WsStatus expected, const char *what)
{
	static uint8 content[4 * MAX_BLOCK];
	size_t		len = code.len + literal.len + raw.len;
	size_t		bound = WZ_PIECE_HEADER_MAX + ws_codec_zstd.encode_bound(len);
	uint8	   *block = malloc(bound);
	uint8	   *p = block;
	uint8	   *dst = guard_alloc(dst_len);
	void	   *zstd = ws_codec_encoder_new(&ws_codec_zstd, &usual);
	void	   *decoder = ws_codec_walz.decoder_new(&usual);
	size_t		zstd_len;
	WsStatus	status;

	memcpy(content, code.bytes, code.len);
	memcpy(content + code.len, literal.bytes, literal.len);
	memcpy(content + code.len + literal.len, raw.bytes, raw.len);
	*p++ = WZ_FORM_PLAIN;
	p += ws_varint_put(p, code.len);
	p += ws_varint_put(p, literal.len);
	p += ws_varint_put(p, raw.len);
	if (ws_codec_zstd.encode(zstd, start, content, len, p, bound - (p - block),
							 &zstd_len) != WS_OK)
		abort();

	status = ws_codec_walz.decode(decoder, start, block, p - block + zstd_len,
								  dst, dst_len);
	is(status, expected, "%s", what);
	ok(guard_intact(dst, dst_len), "and nothing is written elsewhere");

	ws_codec_encoder_free(zstd);
	ws_codec_walz.decoder_free(decoder);
	guard_free(dst);
	free(block);
}

/*
 * A record with images of these lengths, up to the image that is too long.
 */
static void
put_images(const uint64 *lengths, int n, uint8 kind)
{
	uint8		shape[4 + 3 + 12 + 2 * 3] = {
		0, 10, 0, n << 2, 0, WITH_IMAGE, 0, RELATION,
		1, WITH_IMAGE | SAME_RELATION, 0, 2, WITH_IMAGE | SAME_RELATION, 0
	};

	put_shape(shape, 4 + 3 + 12 + 3 * (n - 1));
	put(&code, LENGTHS_NEW);
	for (int i = 0; i < n; i++)
	{
		put(&code, BLOCK_LAST);
		put(&code, kind);
		put_number(lengths[i]);
		put_number(0);
		put_zeros(lengths[i]);
	}
	put_body(0);
}

static void
test_images(void)
{
	static const uint64 small[] = {100};
	static const uint64 long_one[] = {PG_UINT16_MAX + 1};
	static const uint8 one_image[] = {0, 10, 0, 1 << 2, 0, WITH_IMAGE, 0, RELATION};
	static const uint64 three[] = {PG_UINT16_MAX, PG_UINT16_MAX - 100, 104};

	begin(SEGMENT + PAGE);
	put_images(small, 1, IMAGE_AS_IT_IS);
	expect(PAGE_HEADER + 152, WS_OK, "a record with an image");

	begin(SEGMENT + PAGE);
	put_images(small, 1, IMAGE_NO_KIND);
	expect(PAGE_HEADER + 152, WS_E_CODEC, "an image of a kind that is none");

	begin(SEGMENT + PAGE);
	put_images(long_one, 1, IMAGE_AS_IT_IS);
	expect(MAX_BLOCK, WS_E_CODEC, "an image of 64 kB");

	/* what is sent of it does not matter */
	begin(SEGMENT + PAGE);
	put_shape(one_image, 19);
	put(&code, LENGTHS_NEW);
	put(&code, BLOCK_LAST);
	put(&code, IMAGE_AS_IT_IS);
	put_number(PG_UINT64_MAX);
	expect(MAX_BLOCK, WS_E_CODEC, "an image of 2^64 - 1 bytes");

	/* the third has 102 bytes left */
	begin(SEGMENT + PAGE);
	put_images(three, 3, IMAGE_AS_IT_IS);
	raw.len -= three[2];
	expect(MAX_BLOCK, WS_E_CODEC, "images that are longer than a block together");
}

static void
test_lengths(void)
{
	static const uint8 four_with_data[] = {
		0, 10, 255, 4 << 2, 0, WITH_DATA, RELATION,
		1, WITH_DATA | SAME_RELATION, 2, WITH_DATA | SAME_RELATION,
		3, WITH_DATA | SAME_RELATION
	};
	static const uint8 only_main[] = {0, 0, 254, 0};

	begin(SEGMENT + PAGE);
	put_shape(four_with_data, sizeof(four_with_data));
	put(&code, LENGTHS_NEW);
	for (int i = 0; i < 4; i++)
		put_number(8);
	put_number(2);
	for (int i = 0; i < 4; i++)
		put(&code, BLOCK_LAST);
	put_body(34);
	expect(PAGE_HEADER + 104, WS_OK, "a record with five lengths");

	/* only four are remembered */
	begin(SEGMENT + PAGE);
	put_shape(four_with_data, sizeof(four_with_data));
	put(&code, 0);
	expect(PAGE_HEADER + 104, WS_E_CODEC, "five lengths as the last time");

	begin(SEGMENT + PAGE);
	put_shape(only_main, sizeof(only_main));
	put(&code, LENGTHS_NEW);
	put_number(3000);
	put_body(3000);
	expect(PAGE_HEADER + 3032, WS_OK, "a record with main data");

	/* the body has room for a block's bytes */
	begin(SEGMENT + PAGE);
	put_shape(only_main, sizeof(only_main));
	put(&code, LENGTHS_NEW);
	put_number(MAX_BLOCK + 1);
	put_body(100);
	expect(MAX_BLOCK, WS_E_CODEC, "main data that is longer than a block");
}

/*
 * A record continues in the next segment, whose long page header is unknown to
 * a receiver that has begun in this segment.
 */
static void
test_segment_end(void)
{
	static const uint8 only_main[] = {0, 0, 254, 0};
	uint32		room = 2 * (PAGE - PAGE_HEADER);

	begin(2 * SEGMENT - 2 * PAGE);
	put_shape(only_main, sizeof(only_main));
	put(&code, LENGTHS_NEW);
	put_number(room - 29);
	put_body(room - 29);
	expect(2 * PAGE, WS_OK, "a record up to the segment's end");

	begin(2 * SEGMENT - 2 * PAGE);
	put_shape(only_main, sizeof(only_main));
	put(&code, LENGTHS_NEW);
	put_number(room - 28);
	put_body(room - 28);
	expect(2 * PAGE, WS_E_LENGTH, "a record over the segment's end");
}

/*
 * A record, up to its header, that begins in this block and may end in a later
 * one.
 */
static void
put_part(void)
{
	uint8		header[PART_HEADER] = {0};
	uint32		len = PART_LENGTH;
	uint16		image = PART_IMAGE;

	memcpy(header, &len, sizeof(len));
	header[24 + 1] = WITH_IMAGE;
	memcpy(header + 24 + 4, &image, sizeof(image));
	header[PART_HEADER - 2] = 255;
	header[PART_HEADER - 1] = 2;

	put(&code, OP_PART);
	put_number(sizeof(header));
	put_bytes(&raw, header, sizeof(header));
}

/* Begin a block with a raw record that leaves this much of the first page. */
static void
begin_with_record(XLogRecPtr lsn, uint32 left)
{
	begin(lsn);
	put_raw_record(PAGE - PAGE_HEADER - left);
}

static void
test_part_image(void)
{
	begin(SEGMENT + PAGE);
	put_part();
	put(&code, IMAGE_AS_IT_IS);
	put_zeros(PART_IMAGE + 2 + 3);
	expect(PAGE_HEADER + PART_LENGTH + 3, WS_OK, "a part with an image");

	begin(SEGMENT + PAGE);
	put_part();
	put(&code, IMAGE_NO_KIND);
	put_zeros(PART_IMAGE + 2 + 3);
	expect(PAGE_HEADER + PART_LENGTH + 3, WS_E_CODEC,
		   "a part with an image of a kind that is none");
}

static void
test_part_place(void)
{
	begin_with_record(SEGMENT + PAGE, 0);
	put(&code, OP_RAW);
	put_page_header(SEGMENT + 2 * PAGE);
	expect(PAGE + PAGE_HEADER, WS_OK, "a record up to a page's end");

	begin_with_record(SEGMENT + PAGE, 0);
	put_part();
	put_zeros(100);
	expect(PAGE + PAGE_HEADER + 100, WS_E_CODEC,
		   "a part at a page's start, before its header");

	begin_with_record(SEGMENT + PAGE, 64);
	put_part();
	put_zeros(64 + 100 - PART_HEADER);
	expect(PAGE + PAGE_HEADER + 100, WS_OK, "a part that ends in the next page");

	begin_with_record(SEGMENT + PAGE, 64);
	put_part();
	put_zeros(64 - PART_HEADER);
	expect(PAGE + 10, WS_E_CODEC, "a part that ends in a page's header");

	begin_with_record(SEGMENT + PAGE, 64);
	put_part();
	put_zeros(64 - PART_HEADER);
	expect(PAGE + PAGE_HEADER, WS_E_CODEC, "a part that ends right after one");

	begin_with_record(SEGMENT + PAGE, 40);
	put_part();
	expect(PAGE + PAGE_HEADER + 5, WS_E_CODEC,
		   "a part that is shorter than its header");

	begin_with_record(2 * SEGMENT - PAGE, 64);
	put_part();
	put_zeros(100);
	expect(PAGE + 200, WS_E_CODEC, "a part over the segment's end");
}

int
main(void)
{
	test_images();
	test_lengths();
	test_segment_end();
	test_part_image();
	test_part_place();
	return done_testing();
}
