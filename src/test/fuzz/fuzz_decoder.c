/*-------------------------------------------------------------------------
 *
 * fuzz_decoder.c
 *	  Fuzz target: messages are decoded within bounds and in order, or refused,
 *	  and after that nothing more is accepted.
 *
 * First byte: bit 0 logical stream; bit 1 segments of 64 kB instead of 16 MB;
 * bit 2 only lz4 was asked for.  Then the messages:
 *
 *		size	field
 *		1		kind
 *		2		length of what follows
 *		rest	kind 0, 4 and up: the message as it is
 *				kind 1: a hello for the stream; first byte: the codec
 *				kind 2: a frame that is not encoded, its header and check value
 *				made to fit; first byte: bit 0 restart; rest: WAL or rows
 *				kind 3: a COPY begins
 *
 * Without kind 2 no input would have a valid check value.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "fuzz.h"
#include "messages.h"

#define KIND_HELLO	1
#define KIND_FRAME	2
#define KIND_BEGIN	3

#define FIRST_LSN	UINT64CONST(0x2A00FF00)

typedef struct Target
{
	WsCodecParams params;
	WsDecoder  *decoder;
	bool		failed;
	uint64		frame_number;	/* of the next frame */
	XLogRecPtr	lsn;			/* physical: end of what came out */
	bool		has_lsn;
	WsRowBase	row_base;		/* as the decoder's must be */
} Target;

static void
begin(Target *target)
{
	ws_decoder_begin(target->decoder);
	target->failed = false;
	target->frame_number = 0;
	target->lsn = FIRST_LSN;
	target->has_lsn = false;
}

/* The output is within its bounds, and physical WAL is contiguous. */
static void
check_out(Target *target, const uint8 *out, size_t out_len, bool is_frame)
{
	uint8	   *copy = malloc(out_len > 0 ? out_len : 1);
	WsStockHeader stock;

	/* read each byte, for address sanitizer to check */
	if (out_len > 0)
		memcpy(copy, out, out_len);
	if (is_frame)
	{
		REQUIRE(out_len >= WS_STOCK_HEADER && copy[0] == WS_STOCK_TYPE);
		REQUIRE(out_len <= (target->params.logical ? WS_BATCH_MAX_MESSAGE :
							WS_STOCK_HEADER + 16 * 8192));
	}

	if (!target->params.logical && out_len > WS_STOCK_HEADER &&
		copy[0] == WS_STOCK_TYPE &&
		ws_decoder_peer(target->decoder) == WS_PEER_WALSTREAM)
	{
		size_t		len = out_len - WS_STOCK_HEADER;

		ws_stock_header_decode(copy, &stock);
		REQUIRE(!target->has_lsn || stock.start_lsn == target->lsn);
		REQUIRE(stock.start_lsn + len > stock.start_lsn);
		if (is_frame)
			REQUIRE(stock.start_lsn % target->params.wal_segment_size + len <=
					target->params.wal_segment_size);
		target->lsn = stock.start_lsn + len;
		target->has_lsn = true;
		REQUIRE(ws_decoder_position(target->decoder) == target->lsn);
	}
	free(copy);
}

static void
put_message(Target *target, const uint8 *bytes, size_t len)
{
	uint8	   *message = malloc(len > 0 ? len : 1);
	WsStatus	status;
	const uint8 *out;
	size_t		out_len;
	bool		is_frame;
	int			given = 0;

	if (len > 0)
		memcpy(message, bytes, len);
	status = ws_decoder_put(target->decoder, message, len);
	if (target->failed)
		REQUIRE(status == WS_E_FAILED);
	target->failed = status != WS_OK;

	is_frame = len > 0 && message[0] == WS_FRAME_TYPE &&
		ws_decoder_peer(target->decoder) == WS_PEER_WALSTREAM;
	if (is_frame && status == WS_OK)
		target->frame_number++;
	while (ws_decoder_next(target->decoder, &out, &out_len))
	{
		REQUIRE(status == WS_OK);
		check_out(target, out, out_len, is_frame);
		if (!is_frame)
			REQUIRE(out_len == len &&
					(len == 0 || memcmp(out, message, len) == 0));
		given++;
	}
	REQUIRE(is_frame || given <= 1);
	free(message);
}

static void
put_hello(Target *target, const uint8 *bytes, size_t len)
{
	WsHello		hello = {
		.version = WS_PROTOCOL_VERSION,
		.codec = (WsCodecId) (len > 0 ? bytes[0] % 4 : WS_CODEC_NONE),
		.stream = target->params
	};
	uint8		buf[WS_HELLO_SIZE];

	ws_hello_encode(&hello, buf);
	put_message(target, buf, sizeof(buf));
}

/* Compute the content CRC of these rows, as far as they are valid rows. */
static pg_crc32c
rows_crc(Target *target, bool restart, const uint8 *rows, size_t len)
{
	const uint8 *pos = rows;
	WsRowBase	base = target->row_base;
	WsStockHeader stock;
	uint32		body_len;
	pg_crc32c	crc;

	if (restart)
		memset(&base, 0, sizeof(base));
	INIT_CRC32C(crc);
	while (pos < rows + len &&
		   ws_frame_row_decode(&base, &pos, rows + len, &stock, &body_len) == WS_OK)
	{
		uint8		header[WS_STOCK_HEADER];

		ws_stock_header_encode(&stock, header);
		crc = ws_frame_row_crc(crc, header, pos, body_len);
		pos += body_len;
	}
	target->row_base = base;
	return crc;
}

static void
put_frame(Target *target, const uint8 *bytes, size_t len)
{
	WsFrameHeader header = {0};
	uint8		buf[WS_FRAME_HEADER_MAX + PG_UINT16_MAX];
	size_t		header_len;
	pg_crc32c	crc;

	if (len == 0)
		return;
	header.batch = target->params.logical;
	header.restart = bytes[0] & 1;
	header.start_lsn = target->lsn;
	header.raw_len = len - 1;
	header.wal_end_delta = (int8) bytes[0];
	header.send_time_delta = bytes[0];
	if (header.batch)
		crc = rows_crc(target, header.restart, bytes + 1, len - 1);
	else
		crc = ws_frame_content_crc(target->lsn, bytes + 1, len - 1);
	header_len = ws_frame_header_encode(&header, target->frame_number, crc,
										bytes + 1, len - 1, buf);
	memcpy(buf + header_len, bytes + 1, len - 1);
	put_message(target, buf, header_len + len - 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput	input = {data, size};
	uint32		flags = take_number(&input, 1);
	WsAccept	asked = {
		.version = 1,
		.count = 1,
		.codecs = {WS_CODEC_LZ4}
	};
	Target		target = {0};

	if ((flags & 4) == 0)
		asked = accept_all();
	target.params = stream_params(flags & 1, flags & 2 ? 65536 : 16 * 1024 * 1024);
	target.decoder = ws_decoder_new(&target.params, &asked);
	REQUIRE(target.decoder != NULL);
	begin(&target);

	while (input.len > 0)
	{
		uint32		kind = take_number(&input, 1);
		size_t		announced = take_number(&input, 2);
		size_t		len;
		const uint8_t *bytes = take_bytes(&input, announced, &len);

		switch (kind)
		{
			case KIND_HELLO:
				put_hello(&target, bytes, len);
				break;
			case KIND_FRAME:
				put_frame(&target, bytes, len);
				break;
			case KIND_BEGIN:
				begin(&target);
				break;
			default:
				put_message(&target, bytes, len);
				break;
		}
	}
	ws_decoder_free(target.decoder);
	return 0;
}
