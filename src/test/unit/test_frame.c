/*-------------------------------------------------------------------------
 *
 * test_frame.c
 *	  The fixed parts of encoded messages, byte by byte.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/varint.h"
#include "pure/wire/frame.h"
#include "tap.h"
#include "testdata.h"

/*
 * CRC-32C bit by bit, so that the format does not depend on the server's
 * functions alone.  Continues crc, which is 0 at the beginning.
 */
static uint32
slow_crc(uint32 crc, const uint8 *bytes, size_t len)
{
	crc = ~crc;
	for (size_t i = 0; i < len; i++)
	{
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

static void
test_varint(void)
{
	static const struct
	{
		uint64		value;
		size_t		len;
		uint8		bytes[10];
	}			known[] = {
		{0, 1, {0}},
		{1, 1, {1}},
		{127, 1, {0x7f}},
		{128, 2, {0x80, 0x01}},
		{300, 2, {0xac, 0x02}},
		{16383, 2, {0xff, 0x7f}},
		{16384, 3, {0x80, 0x80, 0x01}},
		{PG_UINT32_MAX, 5, {0xff, 0xff, 0xff, 0xff, 0x0f}},
		{UINT64CONST(1) << 63, 10,
		{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}},
		{PG_UINT64_MAX, 10,
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
	};

	for (size_t i = 0; i < lengthof(known); i++)
	{
		uint8		buf[10];
		const uint8 *pos = known[i].bytes;
		uint64		value;
		size_t		len = ws_varint_put(buf, known[i].value);
		bool		shorter = false;

		ok(len == known[i].len && memcmp(buf, known[i].bytes, len) == 0,
		   "%llu is written in %zu bytes",
		   (unsigned long long) known[i].value, known[i].len);
		ok(ws_varint_get(&pos, known[i].bytes + len, &value) &&
		   value == known[i].value && pos == known[i].bytes + len,
		   "and read");

		for (size_t cut = 0; cut < len; cut++)
		{
			pos = known[i].bytes;
			shorter |= ws_varint_get(&pos, known[i].bytes + cut, &value) ||
				pos != known[i].bytes;
		}
		ok(!shorter, "and refused when cut, without moving on");
	}
}

static void
test_bad_varint(void)
{
	static const struct
	{
		const char *what;
		size_t		len;
		uint8		bytes[12];
	}			bad[] = {
		{"zero in two bytes", 2, {0x80, 0x00}},
		{"one in three bytes", 3, {0x81, 0x80, 0x00}},
		{"more than 64 bits", 10,
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}},
		{"eleven bytes", 11,
		{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}},
		{"a tenth byte that goes on", 12,
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0x00, 0x00}},
		{"ten bytes that end with zero", 10,
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00}},
	};

	for (size_t i = 0; i < lengthof(bad); i++)
	{
		const uint8 *pos = bad[i].bytes;
		uint64		value;

		ok(!ws_varint_get(&pos, bad[i].bytes + bad[i].len, &value) &&
		   pos == bad[i].bytes,
		   "refused: %s", bad[i].what);
	}
}

static void
test_zigzag(void)
{
	static const struct
	{
		int64		value;
		uint64		code;
	}			known[] = {
		{0, 0}, {-1, 1}, {1, 2}, {-2, 3}, {63, 126}, {-64, 127},
		{PG_INT64_MAX, PG_UINT64_MAX - 1}, {PG_INT64_MIN, PG_UINT64_MAX},
	};

	for (size_t i = 0; i < lengthof(known); i++)
		ok(ws_varint_zigzag(known[i].value) == known[i].code &&
		   ws_varint_unzigzag(known[i].code) == known[i].value,
		   "%lld and %llu are each other's zigzag code",
		   (long long) known[i].value, (unsigned long long) known[i].code);
}

static void
test_stock_header(void)
{
	static const uint8 bytes[WS_STOCK_HEADER] = {
		'w',
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
		0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe
	};
	WsStockHeader header;
	uint8		buf[WS_STOCK_HEADER];

	ws_stock_header_decode(bytes, &header);
	ok(header.start_lsn == UINT64CONST(0x0102030405060708) &&
	   header.wal_end == UINT64CONST(0x1112131415161718) &&
	   header.send_time == -2,
	   "a stock header is read");
	ws_stock_header_encode(&header, buf);
	ok(memcmp(buf, bytes, sizeof(bytes)) == 0, "and written");
}

/* The documented format, assembled by hand. */
static void
test_known_frame(void)
{
	static const uint8 wal[] = {'W', 'A', 'L'};
	static const uint8 encoded[] = {0x28, 0xb5, 0x2f};
	static const uint8 head[] = {
		'Z',
		WS_CODEC_ZSTD | WS_FLAG_RESTART,
		3,						/* decoded length */
		0, 0, 0, 1, 0x20, 0, 0, 0,	/* start */
		0x8f, 0x4e,				/* -5000, the end of WAL is far behind */
		0x0c					/* 6 */
	};
	static const uint8 covered_first[] = {
		0, 0, 0, 1, 0x20, 0, 0, 0,	/* start */
		0, 0, 0, 3,				/* decoded length */
		'W', 'A', 'L',
		0, 0, 0, 0, 0, 0, 1, 2	/* number of the frame */
	};
	WsFrameHeader header = {
		.codec = WS_CODEC_ZSTD,
		.restart = true,
		.raw_len = 3,
		.start_lsn = UINT64CONST(0x120000000),
		.wal_end_delta = -5000,
		.send_time_delta = 6
	};
	uint8		buf[WS_FRAME_HEADER_MAX];
	uint8		head_raw[sizeof(head)];
	pg_crc32c	content = ws_frame_content_crc(header.start_lsn, wal, 3);
	size_t		len;
	uint32		crc;
	uint32		check;

	len = ws_frame_header_encode(&header, 258, content,
								 encoded, sizeof(encoded), buf);
	is(len, sizeof(head) + 4, "a header has the length that the format says");
	ok(memcmp(buf, head, sizeof(head)) == 0, "and the bytes");

	crc = slow_crc(0, covered_first, sizeof(covered_first));
	crc = slow_crc(crc, head, sizeof(head));
	crc = slow_crc(crc, encoded, sizeof(encoded));
	check = (uint32) buf[len - 4] << 24 | buf[len - 3] << 16 |
		buf[len - 2] << 8 | buf[len - 1];
	is(check, crc, "the check value covers content, number, header, encoded bytes");

	/*
	 * with codec 0 the encoded bytes are the content, and are not covered
	 * twice
	 */
	header.codec = WS_CODEC_NONE;
	memcpy(head_raw, head, sizeof(head));
	head_raw[1] = WS_FLAG_RESTART;
	len = ws_frame_header_encode(&header, 258, content, wal, sizeof(wal), buf);
	crc = slow_crc(0, covered_first, sizeof(covered_first));
	crc = slow_crc(crc, head_raw, sizeof(head_raw));
	check = (uint32) buf[len - 4] << 24 | buf[len - 3] << 16 |
		buf[len - 2] << 8 | buf[len - 1];
	is(check, crc, "and of a frame that is not encoded all but the last");
}

static void
test_row_crc(void)
{
	static const uint8 covered[] = {
		0, 0, 0, 27,
		'w',
		0, 0, 0, 0, 0, 0, 0, 1,
		0, 0, 0, 0, 0, 0, 0, 2,
		0, 0, 0, 0, 0, 0, 0, 3,
		'a', 'b',
		0, 0, 0, 26,
		'w',
		0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 2,
		0, 0, 0, 0, 0, 0, 0, 3,
		'c'
	};
	const uint8 *first = covered + 4;
	const uint8 *second = first + 27 + 4;
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	crc = ws_frame_row_crc(crc, first, first + WS_STOCK_HEADER, 2);
	crc = ws_frame_row_crc(crc, second, second + WS_STOCK_HEADER, 1);
	FIN_CRC32C(crc);
	is(crc, slow_crc(0, covered, sizeof(covered)),
	   "a batch's content is its stock messages and their lengths");
}

static bool
same_header(const WsFrameHeader *a, const WsFrameHeader *b)
{
	return a->codec == b->codec && a->restart == b->restart &&
		a->batch == b->batch && a->raw_len == b->raw_len &&
		(a->batch || ((!a->restart || a->start_lsn == b->start_lsn) &&
					  a->wal_end_delta == b->wal_end_delta &&
					  a->send_time_delta == b->send_time_delta));
}

static void
test_round_trip(void)
{
	static const uint8 encoded[] = "some encoded bytes";
	static const int64 deltas[] = {
		0, 1, -1, 8192, PG_INT32_MAX, PG_INT64_MAX, PG_INT64_MIN
	};
	static const uint32 lengths[] = {1, 127, 128, 131072, PG_UINT32_MAX};
	int			wrong = 0;
	int			cut_taken = 0;
	int			total = 0;
	size_t		longest = 0;

	for (int variant = 0; variant < 32; variant++)
	{
		/* unknown codecs are refused: see test_bad_headers() */
		if ((variant & 7) > WS_CODEC_WALZ)
			continue;
		for (size_t i = 0; i < lengthof(deltas) * lengthof(lengths); i++)
		{
			WsFrameHeader header = {
				.codec = (WsCodecId) (variant & 7),
				.restart = (variant & 8) != 0,
				.batch = (variant & 16) != 0,
				.raw_len = lengths[i % lengthof(lengths)],
				.start_lsn = UINT64CONST(0xfedcba9876543210),
				.wal_end_delta = deltas[i / lengthof(lengths)],
				.send_time_delta = deltas[(i / lengthof(lengths) + 1) % lengthof(deltas)]
			};
			WsFrameHeader parsed;
			uint8		frame[WS_FRAME_HEADER_MAX + sizeof(encoded)];
			uint64		number = i * 1000;
			pg_crc32c	content = 0x12345678 + i;
			size_t		len;
			size_t		parsed_len = 0;

			len = ws_frame_header_encode(&header, number, content,
										 encoded, sizeof(encoded), frame);
			longest = Max(longest, len);
			memcpy(frame + len, encoded, sizeof(encoded));

			total++;
			if (ws_frame_header_decode(frame, len + sizeof(encoded),
									   &parsed, &parsed_len) != WS_OK ||
				parsed_len != len || !same_header(&header, &parsed) ||
				!ws_frame_verify(frame, len + sizeof(encoded), &parsed, len,
								 number, content) ||
				ws_frame_verify(frame, len + sizeof(encoded), &parsed, len,
								number + 1, content) ||
				ws_frame_verify(frame, len + sizeof(encoded), &parsed, len,
								number, content ^ 0x100))
				wrong++;

			for (size_t cut = 0; cut < len; cut++)
			{
				uint8	   *exact = malloc(cut > 0 ? cut : 1);

				memcpy(exact, frame, cut);
				cut_taken += ws_frame_header_decode(exact, cut, &parsed,
													&parsed_len) == WS_OK;
				free(exact);
			}
		}
	}
	is(wrong, 0, "%d headers come back, for their number and content only", total);
	is(cut_taken, 0, "none is taken when it is cut, wherever");
	is(longest, WS_FRAME_HEADER_MAX, "the longest is as long as documented");
}

static void
test_bad_headers(void)
{
	static const struct
	{
		const char *what;
		WsStatus	status;
		uint8		bytes[24];
	}			bad[] = {
		{"another type", WS_E_MALFORMED, {'w', 1, 1, 0, 0}},
		{"codec 4", WS_E_MALFORMED, {'Z', 0x0c, 1, 0, 0}},
		{"codec 5", WS_E_MALFORMED, {'Z', 0x05, 1, 0, 0}},
		{"codec 6", WS_E_MALFORMED, {'Z', 0x16, 1, 0, 0}},
		{"codec 7", WS_E_MALFORMED, {'Z', 0x0f, 1, 0, 0}},
		{"flag bit 5", WS_E_MALFORMED, {'Z', 0x21, 1, 0, 0}},
		{"flag bit 6", WS_E_MALFORMED, {'Z', 0x41, 1, 0, 0}},
		{"flag bit 7", WS_E_MALFORMED, {'Z', 0x81, 1, 0, 0}},
		{"a length of 33 bits", WS_E_TOO_LARGE,
		{'Z', 1, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0}},
		{"a length in more bytes than needed", WS_E_MALFORMED,
		{'Z', 1, 0x81, 0x00, 0, 0}},
		{"a difference in more bytes than needed", WS_E_MALFORMED,
		{'Z', 1, 1, 0x81, 0x00, 0}},
		{"a difference of more than 64 bits", WS_E_MALFORMED,
		{'Z', 1, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
	};

	for (size_t i = 0; i < lengthof(bad); i++)
	{
		WsFrameHeader header;
		size_t		header_len;

		is(ws_frame_header_decode(bad[i].bytes, sizeof(bad[i].bytes),
								  &header, &header_len),
		   bad[i].status, "refused: %s", bad[i].what);
	}
}

static void
test_rows(void)
{
	static const WsStockHeader rows[] = {
		{UINT64CONST(0x1000), UINT64CONST(0x1000), 1000},
		{0, 0, 1000},
		{0, UINT64CONST(0x2000), 999},
		{UINT64CONST(0xfff), UINT64CONST(0x10), PG_INT64_MIN},
		{PG_UINT64_MAX, 0, PG_INT64_MAX},
		{1, PG_UINT64_MAX, 0},
		{1, 1, -1},
	};
	static const uint8 first[] = {
		4,						/* two bytes, not at 0 */
		0x80, 0x40,				/* 4096, from 0 */
		0,						/* ends where it starts */
		0xd0, 0x0f				/* 1000, from 0 */
	};
	uint8		batch[lengthof(rows) * (WS_ROW_HEADER_MAX + 2)];
	uint8		noise[2];
	size_t		len = 0;
	WsRowBase	base = {0};
	const uint8 *pos = batch;
	int			wrong = 0;

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		uint8		header[WS_ROW_HEADER_MAX];
		size_t		header_len = ws_frame_row_encode(&base, &rows[i], 2, header);

		if (i == 0)
			ok(header_len == sizeof(first) &&
			   memcmp(header, first, sizeof(first)) == 0,
			   "a row has the bytes that the format says");
		memcpy(batch + len, header, header_len);
		len += header_len;
		memcpy(batch + len, "ab", 2);
		len += 2;
	}

	memset(&base, 0, sizeof(base));
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		WsStockHeader header;
		uint32		body_len;

		if (ws_frame_row_decode(&base, &pos, batch + len, &header,
								&body_len) != WS_OK ||
			header.start_lsn != rows[i].start_lsn ||
			header.wal_end != rows[i].wal_end ||
			header.send_time != rows[i].send_time ||
			body_len != 2 || memcmp(pos, "ab", 2) != 0)
			wrong++;
		else
			pos += body_len;
	}
	ok(wrong == 0 && pos == batch + len,
	   "rows come back, also where differences wrap around");

	/* any bytes are a row or are refused, without reading beyond them */
	wrong = 0;
	for (int i = 0; i < 20000; i++)
	{
		uint8		bytes[40];
		uint8	   *exact;
		WsStockHeader header;
		uint32		body_len;
		WsStatus	status;

		fill_random(noise, sizeof(noise), i);
		fill_random(bytes, sizeof(bytes), i + 1);
		len = noise[0] % sizeof(bytes);
		exact = malloc(len > 0 ? len : 1);
		memcpy(exact, bytes, len);
		pos = exact;
		status = ws_frame_row_decode(&base, &pos, exact + len, &header, &body_len);
		if (status == WS_OK ? body_len > (size_t) (exact + len - pos) : pos != exact)
			wrong++;
		free(exact);
	}
	is(wrong, 0, "no bytes are taken for a row that goes past them");
}

static void
test_bad_rows(void)
{
	static const struct
	{
		const char *what;
		WsStatus	status;
		size_t		len;
		uint8		bytes[8];
	}			bad[] = {
		{"nothing", WS_E_MALFORMED, 0, {0}},
		{"a length alone", WS_E_MALFORMED, 1, {0}},
		{"a row that ends in its header", WS_E_MALFORMED, 3, {0, 2, 0}},
		{"a body longer than what is left", WS_E_LENGTH, 5, {4, 2, 0, 0, 'a'}},
		{"a start position of zero, written out", WS_E_MALFORMED, 4, {0, 0, 0, 0}},
		{"a row over the limit", WS_E_TOO_LARGE, 6,
		{0xd0, 0xff, 0x07, 2, 0, 0}},
	};

	for (size_t i = 0; i < lengthof(bad); i++)
	{
		WsRowBase	base = {0};
		const uint8 *pos = bad[i].bytes;
		WsStockHeader header;
		uint32		body_len;

		is(ws_frame_row_decode(&base, &pos, bad[i].bytes + bad[i].len,
							   &header, &body_len),
		   bad[i].status, "refused: %s", bad[i].what);
	}
}

int
main(void)
{
	test_varint();
	test_bad_varint();
	test_zigzag();
	test_stock_header();
	test_known_frame();
	test_row_crc();
	test_round_trip();
	test_bad_headers();
	test_rows();
	test_bad_rows();
	return done_testing();
}
