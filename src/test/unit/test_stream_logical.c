/*-------------------------------------------------------------------------
 *
 * test_stream_logical.c
 *	  Logical streams through an encoder and a decoder: rows in batches, and
 *	  when a batch is sent.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "messages.h"
#include "tap.h"
#include "testdata.h"

#define MB			(1024 * 1024)
#define START_LSN	UINT64CONST(0x2A000000)
#define START_TIME	INT64CONST(762000000000000)

static WsCodecParams params;
static WsEncoder *encoder;
static WsDecoder *decoder;
static Messages in;
static Messages wire;
static Messages out;
static int64 now_us;

static void
begin(WsCodecId id)
{
	WsAccept	accept = accept_all();
	WsCodecSpec spec = {id, 1};

	params = stream_params(true, MB);
	encoder = ws_encoder_new(&params);
	decoder = ws_decoder_new(&params, &accept);
	now_us = 0;
	if (encoder == NULL || decoder == NULL ||
		ws_encoder_begin(encoder, spec, WS_REASON_OFF) != WS_OK)
		abort();
	take_encoded(encoder, &wire);
}

static void
end(void)
{
	ws_encoder_free(encoder);
	ws_decoder_free(decoder);
	clear_messages(&in);
	clear_messages(&wire);
	clear_messages(&out);
}

/*
 * Encode the last message of in; returns the number of messages that came out.
 */
static size_t
put_last(void)
{
	size_t		before = wire.count;

	encode_message(encoder, &in.items[in.count - 1], now_us, &wire);
	return wire.count - before;
}

/* An insert, in pgoutput's format. */
static size_t
put_row(XLogRecPtr lsn, size_t len, uint64 seed)
{
	uint8		row[70000];
	char		values[64];

	fill_records(row, len, seed);
	snprintf(values, sizeof(values), "I%08dNt%c%c%08llu", 16384, 0, 3,
			 (unsigned long long) seed);
	memcpy(row, values, Min(len, sizeof(values)));
	add_stock(&in, lsn, lsn, START_TIME + (int64) seed * 3, row, len);
	return put_last();
}

static size_t
flush(void)
{
	size_t		before = wire.count;

	ws_encoder_flush(encoder);
	take_encoded(encoder, &wire);
	return wire.count - before;
}

static bool
comes_back(void)
{
	WsStatus	status = decode_messages(decoder, &wire, &out);

	if (status != WS_OK)
		diag("refused: %s", ws_status_text(status));
	return status == WS_OK && same_messages(&in, &out);
}

static bool
is_frame(const Message *message, bool encoded)
{
	WsFrameHeader header;
	size_t		header_len;

	return ws_frame_header_decode(message->bytes, message->len,
								  &header, &header_len) == WS_OK &&
		header.batch && (header.codec != WS_CODEC_NONE) == encoded;
}

/* All kinds of rows and other messages, flushed now and then. */
static void
test_mixture(WsCodecId id)
{
	uint64		seed = id * 1000;
	XLogRecPtr	lsn = START_LSN;
	uint64		raw_bytes = 0;
	uint64		wire_bytes = 0;
	uint64		rows = 0;
	size_t		plain = 0;

	begin(id);
	for (int i = 0; i < 6000; i++)
	{
		WsStockHeader stock;
		uint8		body[70000];
		size_t		len = 30 + pick(&seed, 200);

		/* the positions of transactions go back and forth */
		lsn = START_LSN + i * 200 + pick(&seed, 5000);
		stock.start_lsn = lsn;
		stock.wal_end = lsn;
		stock.send_time = START_TIME + i * 11;
		now_us += pick(&seed, 300);

		switch (pick(&seed, 40))
		{
			case 0:
				len = WS_BATCH_MAX_MESSAGE - WS_STOCK_HEADER;
				break;
			case 1:
				len = WS_BATCH_MAX_MESSAGE - WS_STOCK_HEADER + 1 + pick(&seed, 4000);
				break;
			case 2:
				len = 1;
				break;
			case 3:
				stock.start_lsn = stock.wal_end = 0;
				break;
			case 4:
				stock.start_lsn = 0;
				break;
			case 5:
				stock.wal_end = 0;
				stock.send_time = 0;
				break;
			case 6:
				fill_random((uint8 *) &stock, sizeof(stock), i);
				break;
			case 7:
				add_keepalive(&in, lsn);
				put_last();
				break;
			case 8:
				add_text(&in, "another message");
				put_last();
				break;
			case 9:
				add_stock(&in, lsn, lsn, 0, NULL, 0);
				put_last();
				break;
			case 10:
				add_text(&in, "w too short");
				put_last();
				break;
			case 11:
				add_message(&in, NULL, 0);
				put_last();
				break;
		}
		fill_records(body, len, i);
		add_stock(&in, stock.start_lsn, stock.wal_end, stock.send_time, body, len);
		put_last();
		if (pick(&seed, 50) == 0)
			flush();
	}
	flush();

	ok(comes_back(), "%s: %zu messages come back from %zu",
	   ws_codec_by_id(id)->name, in.count, wire.count);
	for (size_t i = 0; i < in.count; i++)
	{
		if (in.items[i].len > 0 && in.items[i].bytes[0] == 'w')
		{
			raw_bytes += WS_COPYDATA_HEADER + in.items[i].len;
			rows++;
		}
	}
	for (size_t i = 0; i < wire.count; i++)
	{
		uint8		type = wire.items[i].len > 0 ? wire.items[i].bytes[0] : 0;

		if (type == 'w' || type == 'Z')
			wire_bytes += WS_COPYDATA_HEADER + wire.items[i].len;
		plain += type == 'w';
	}
	is(ws_encoder_counts(encoder)->raw_bytes, raw_bytes, "raw bytes are counted");
	is(ws_encoder_counts(encoder)->wire_bytes, wire_bytes, "and what came out");
	is(ws_encoder_counts(encoder)->messages, rows, "and messages");
	is(ws_encoder_counts(encoder)->frames, count_type(&wire, 'Z'), "and frames");
	is(ws_encoder_counts(encoder)->bypassed, plain, "and what was not encoded");
	ok(memcmp(ws_encoder_counts(encoder), ws_decoder_counts(decoder),
			  sizeof(WsStreamCounts)) == 0, "and the decoder counts the same");
	end();
}

static void
test_bulk_ratio(WsCodecId id)
{
	const WsStreamCounts *counts;

	begin(id);
	for (int i = 0; i < 20000; i++)
		put_row(START_LSN + i * 8, 100, i);
	flush();
	counts = ws_encoder_counts(encoder);
	ok(counts->raw_bytes > 3 * counts->wire_bytes,
	   "%s: rows of 100 bytes shrink to a third or less (%llu of %llu bytes)",
	   ws_codec_by_id(id)->name, (unsigned long long) counts->wire_bytes,
	   (unsigned long long) counts->raw_bytes);
	ok(comes_back(), "and come back");
	is(ws_decoder_position(decoder), START_LSN + 19999 * 8,
	   "the decoder stands at the last row");
	end();
}

static void
test_flush(void)
{
	int64		oldest_us = -1;

	begin(WS_CODEC_ZSTD);
	ok(!ws_encoder_pending(encoder, &oldest_us) && oldest_us == -1,
	   "at first no batch is pending");
	is(flush(), 0, "and a flush gives nothing");
	now_us = 77;
	is(put_row(START_LSN, 100, 1), 0, "a row waits");
	now_us = 78;
	is(put_row(START_LSN, 100, 2), 0, "another too");
	ok(ws_encoder_pending(encoder, &oldest_us) && oldest_us == 77,
	   "there is a batch, as old as the first");
	ok(ws_encoder_pending(encoder, NULL), "the time need not be asked for");
	is(flush(), 1, "a flush lets it out");
	ok(is_frame(&wire.items[1], true), "as a frame");
	ok(!ws_encoder_pending(encoder, NULL), "then there is none");
	is(flush(), 0, "a second flush gives nothing");
	is(put_row(START_LSN, 100, 3), 0, "and does not work ahead");
	flush();
	ok(comes_back(), "all of it comes back");
	end();
}

static void
test_age(void)
{
	begin(WS_CODEC_LZ4);
	now_us = 1000;
	put_row(START_LSN, 100, 1);
	now_us = 1000 + WS_BATCH_AGE_US - 1;
	is(put_row(START_LSN, 100, 2), 0, "a batch below the age waits");
	now_us++;
	is(put_row(START_LSN, 100, 3), 1, "at the age it comes out");
	ok(!ws_encoder_pending(encoder, NULL), "with the row that let it");
	now_us += WS_BATCH_AGE_US;
	is(put_row(START_LSN, 100, 4), 0, "the next batch has an age of its own");
	flush();
	ok(comes_back(), "all of it comes back");
	end();
}

static void
test_size(void)
{
	int			rows = 0;
	WsFrameHeader header;
	size_t		header_len;
	uint8		body[WS_BATCH_MAX_MESSAGE - WS_STOCK_HEADER];

	begin(WS_CODEC_ZSTD);
	while (put_row(START_LSN + rows, 100, rows) == 0)
		rows++;
	ok(ws_frame_header_decode(wire.items[1].bytes, wire.items[1].len,
							  &header, &header_len) == WS_OK &&
	   header.raw_len <= WS_BATCH_SIZE && header.raw_len > WS_BATCH_SIZE - 120,
	   "a full batch comes out, %u bytes", header.raw_len);
	ok(ws_encoder_pending(encoder, NULL), "the row that let it is in the next");

	/* rows of the maximal length, and longer ones */
	is(put_row(START_LSN, WS_BATCH_MAX_MESSAGE - WS_STOCK_HEADER, 1), 1,
	   "a row at the limit lets the batch out");
	is(flush(), 1, "and is one of its own");
	memset(body, 'x', sizeof(body));
	add_stock(&in, PG_UINT64_MAX / 2, 0, PG_INT64_MIN, body, sizeof(body));
	is(put_last(), 0, "the longest of all by its header, too");
	is(flush(), 1, "over the size of a batch");
	ok(ws_frame_header_decode(wire.items[wire.count - 1].bytes,
							  wire.items[wire.count - 1].len,
							  &header, &header_len) == WS_OK &&
	   header.raw_len == WS_BATCH_SIZE - WS_STOCK_HEADER + WS_ROW_HEADER_MAX,
	   "by as much as its header can be longer than stock's");
	put_row(START_LSN, 10, 2);
	is(put_row(START_LSN, WS_BATCH_MAX_MESSAGE - WS_STOCK_HEADER + 1, 3), 2,
	   "a row over the limit comes out at once, after the batch");
	ok(same_message(&wire.items[wire.count - 1], &in.items[in.count - 1]),
	   "as it was");
	put_row(START_LSN, 10, 4);
	flush();
	ok(is_frame(&wire.items[wire.count - 1], true) &&
	   (wire.items[wire.count - 1].bytes[1] & WS_FLAG_RESTART) == 0,
	   "and history goes on after it");
	ok(comes_back(), "all of it comes back");
	end();
}

static void
test_order(void)
{
	begin(WS_CODEC_ZSTD);
	put_row(START_LSN, 100, 1);
	add_keepalive(&in, START_LSN);
	is(put_last(), 2, "a keepalive lets the batch out first");
	is(wire.items[1].bytes[0], 'Z', "then it comes");
	is(wire.items[2].bytes[0], 'k', "itself");
	add_keepalive(&in, START_LSN);
	is(put_last(), 1, "without a batch it comes alone");
	put_row(START_LSN, 100, 2);
	add_text(&in, "x");
	is(put_last(), 2, "so does any other message");
	ok(comes_back(), "all of it comes back");
	end();
}

static void
test_changes(void)
{
	WsCodecSpec lz4 = {WS_CODEC_LZ4, 1};
	WsCodecSpec zstd = {WS_CODEC_ZSTD, 3};
	WsCodecSpec none = {WS_CODEC_NONE, 0};

	begin(WS_CODEC_ZSTD);
	put_row(START_LSN + 100, 100, 1);
	ws_encoder_change(encoder, lz4, WS_REASON_NONE);
	is(put_row(START_LSN + 200, 100, 2), 0, "a change waits");
	is(put_row(0, 100, 3), 0, "a row without position is in no segment");
	is(put_row(START_LSN + MB, 100, 4), 2,
	   "a row of the next segment lets out the batch and a hello");
	is(wire.items[1].bytes[0], 'Z', "first the batch");
	is(wire.items[2].bytes[0], 'H', "then the hello");
	is(ws_encoder_spec(encoder).id, WS_CODEC_LZ4, "and the codec is another");
	ws_encoder_change(encoder, zstd, WS_REASON_NONE);
	flush();
	is(put_row(START_LSN, 100, 5), 1, "back in the first segment is another, too");
	ws_encoder_change(encoder, none, WS_REASON_OFF);
	is(put_row(START_LSN + MB, 100, 6), 3, "off: the batch, a hello, the row");
	ok(same_message(&wire.items[wire.count - 1], &in.items[in.count - 1]),
	   "as it was");
	is(ws_encoder_reason(encoder), WS_REASON_OFF, "the reason is told");
	is(put_row(START_LSN + MB, 100, 7), 1, "from then on each row comes at once");
	ws_encoder_change(encoder, lz4, WS_REASON_NONE);
	is(put_row(START_LSN + MB, 100, 8), 1, "on again: it waits, too");
	is(put_row(START_LSN, 100, 9), 1, "then a hello");
	ok(ws_encoder_pending(encoder, NULL), "and the row waits in a batch");
	flush();
	ok(comes_back(), "all of it comes back");
	is(ws_decoder_codec(decoder), WS_CODEC_LZ4, "the last frame is of the last codec");
	end();

	begin(WS_CODEC_NONE);
	put_row(START_LSN, 100, 1);
	is(put_row(START_LSN, 100, 2), 1, "without a codec each row comes at once");
	ok(comes_back(), "as it is");
	end();
}

/* A change before any row, with rows that have no position. */
static void
test_change_at_first(void)
{
	WsCodecSpec lz4 = {WS_CODEC_LZ4, 1};

	begin(WS_CODEC_ZSTD);
	ws_encoder_change(encoder, lz4, WS_REASON_NONE);
	put_row(0, 100, 1);
	put_row(0, 100, 2);
	put_row(START_LSN, 100, 3);
	is(ws_encoder_spec(encoder).id, WS_CODEC_ZSTD,
	   "the first row with a position is no boundary");
	put_row(START_LSN + MB, 100, 4);
	is(ws_encoder_spec(encoder).id, WS_CODEC_LZ4, "the next can be");
	flush();
	ok(comes_back(), "all of it comes back");
	end();
}

static void
test_backoff(WsCodecId id)
{
	uint8	   *noise = malloc(60000);
	size_t		from;

	begin(id);
	for (int i = 0; i < 200; i++)
	{
		fill_random(noise, 60000, i);
		add_stock(&in, START_LSN, START_LSN, i, noise, 60000);
		put_last();
		flush();
	}
	ok(ws_encoder_counts(encoder)->bypassed > 150,
	   "%s: rows of noise are not encoded, %llu of 200",
	   ws_codec_by_id(id)->name,
	   (unsigned long long) ws_encoder_counts(encoder)->bypassed);
	from = wire.count;
	for (int i = 0; i < 200000; i++)
		put_row(START_LSN + i, 100, i);
	flush();
	ok(is_frame(&wire.items[from], false) &&
	   is_frame(&wire.items[wire.count - 1], true), "what comes later is");
	ok(comes_back(), "all of it comes back");
	is(ws_encoder_counts(encoder)->bypassed, ws_decoder_counts(decoder)->bypassed,
	   "both sides count the same as bypassed");
	free(noise);
	end();
}

/* A new COPY drops a pending batch. */
static void
test_begin_again(void)
{
	WsCodecSpec spec = {WS_CODEC_ZSTD, 1};

	begin(WS_CODEC_ZSTD);
	put_row(START_LSN, 100, 1);
	clear_messages(&in);
	clear_messages(&wire);
	is(ws_encoder_begin(encoder, spec, WS_REASON_NONE), WS_OK, "begin again");
	ok(!ws_encoder_pending(encoder, NULL), "the batch is gone");
	take_encoded(encoder, &wire);
	put_row(START_LSN, 100, 2);
	flush();
	ok(comes_back(), "and a new stream comes back");
	end();
}

/* Rows that stay in the decoder would be lost. */
static void
test_not_taken(void)
{
	const uint8 *row;
	size_t		len;

	begin(WS_CODEC_ZSTD);
	put_row(START_LSN, 100, 1);
	put_row(START_LSN, 100, 2);
	flush();
	put_row(START_LSN, 100, 3);
	flush();
	decode_message(decoder, &wire.items[0], &out);
	is(ws_decoder_put(decoder, wire.items[1].bytes, wire.items[1].len), WS_OK,
	   "a batch of two rows");
	ok(ws_decoder_next(decoder, &row, &len), "one is taken");
	is(ws_decoder_put(decoder, wire.items[2].bytes, wire.items[2].len),
	   WS_E_UNEXPECTED, "the next message is refused");
	ok(!ws_decoder_next(decoder, &row, &len), "and nothing is given any more");
	end();
}

/* Like libpq, the decoder puts a zero byte after each message. */
static void
test_zero_behind(void)
{
	const uint8 *row;
	size_t		len;
	int			rows = 0;
	int			zeros = 0;

	begin(WS_CODEC_ZSTD);
	for (int i = 1; i <= 100; i++)
		put_row(START_LSN + i * 100, 30 + i, i);
	flush();

	is(decode_message(decoder, &wire.items[0], &out), WS_OK, "the hello");
	is(ws_decoder_put(decoder, wire.items[1].bytes, wire.items[1].len),
	   WS_OK, "a batch");
	while (ws_decoder_next(decoder, &row, &len))
	{
		if (row[len] == 0)
			zeros++;
		add_message(&out, row, len);
		rows++;
	}
	is(rows, 100, "gives all its rows");
	is(zeros, 100, "with a zero behind each");
	ok(same_messages(&in, &out), "and each is what went in");
	end();
}

int
main(void)
{
	WsAccept	codecs = accept_all();

	for (int i = 0; i < codecs.count; i++)
	{
		if (!ws_codec_by_id(codecs.codecs[i])->logical)
			continue;
		test_mixture(codecs.codecs[i]);
		test_bulk_ratio(codecs.codecs[i]);
		test_backoff(codecs.codecs[i]);
	}
	test_flush();
	test_age();
	test_size();
	test_order();
	test_changes();
	test_change_at_first();
	test_begin_again();
	test_not_taken();
	test_zero_behind();
	return done_testing();
}
