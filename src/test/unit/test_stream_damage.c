/*-------------------------------------------------------------------------
 *
 * test_stream_damage.c
 *	  What a decoder must refuse: frames that are damaged, truncated, repeated,
 *	  lost or out of order.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/wire/batch.h"
#include "tap.h"
#include "testdata.h"
#include "wires.h"

static uint8 noise[MB];

static void
decode_wire(Wire *wire)
{
	WsDecoder  *decoder = new_decoder(wire);

	if (decode_messages(decoder, &wire->messages, &wire->out) != WS_OK)
		abort();
	ws_decoder_free(decoder);
}

/*
 * A physical stream as an encoder writes it: count messages of len bytes each.
 */
static Wire
make_physical(WsCodecId id, const uint8 *data, size_t len, int count)
{
	Wire		wire = {.params = stream_params(false, 16 * MB)};
	WsCodecSpec spec = {id, 1};
	WsEncoder  *encoder = ws_encoder_new(&wire.params);
	Messages	in = {0};
	XLogRecPtr	lsn = START_LSN + (data == wire_wal ? 0 : 0x1230);

	snprintf(wire.name, sizeof(wire.name), "%s, %d of %zu bytes",
			 ws_codec_by_id(id)->name, count, len);
	for (int i = 0; i < count; i++)
	{
		add_stock(&in, lsn, lsn + len + 50, START_TIME + i * 250,
				  data + i * len, len);
		lsn += len;
	}
	if (ws_encoder_begin(encoder, spec, WS_REASON_NONE) != WS_OK)
		abort();
	encode_messages(encoder, &in, &wire.messages);
	ws_encoder_free(encoder);
	clear_messages(&in);
	decode_wire(&wire);
	return wire;
}

/* The same with WAL, which must be modelled. */
static Wire
make_modelled(size_t len, int count)
{
	Wire		wire = make_physical(WS_CODEC_WALZ, wire_wal, len, count);
	Wire		zstd = make_physical(WS_CODEC_ZSTD, wire_wal, len, count);
	size_t		bytes = 0;
	size_t		zstd_bytes = 0;

	for (size_t i = 1; i < wire.messages.count; i++)
		bytes += wire.messages.items[i].len;
	for (size_t i = 1; i < zstd.messages.count; i++)
		zstd_bytes += zstd.messages.items[i].len;
	ok(bytes * 16 < zstd_bytes * 15, "%s: modelled, %zu bytes, zstd %zu",
	   wire.name, bytes, zstd_bytes);
	free_wire(&zstd);
	return wire;
}

static Wire
make_raw(uint32 len, int count)
{
	Wire		wire = {.params = stream_params(false, 16 * MB)};

	snprintf(wire.name, sizeof(wire.name), "not encoded, %d of %u bytes",
			 count, len);
	add_hello(&wire, WS_CODEC_ZSTD);
	for (int i = 0; i < count; i++)
		add_raw_frame(&wire, i, i == 0, START_LSN + 0x1230 + i * len, len);
	decode_wire(&wire);
	return wire;
}

/* A logical stream: count batches of rows, encoded or not. */
static Wire
make_batches(WsCodecId id, int rows, int count)
{
	Wire		wire = {.params = stream_params(true, 16 * MB)};
	WsCodecSpec spec = {id, 1};
	WsEncoder  *encoder = NULL;
	WsBatch		batch = {.buf = malloc(WS_BATCH_BUFFER_SIZE)};

	snprintf(wire.name, sizeof(wire.name), "%s, %d batches of %d rows",
			 id == WS_CODEC_NONE ? "not encoded" : ws_codec_by_id(id)->name,
			 count, rows);
	if (id != WS_CODEC_NONE)
	{
		encoder = ws_encoder_new(&wire.params);
		if (ws_encoder_begin(encoder, spec, WS_REASON_NONE) != WS_OK)
			abort();
		take_encoded(encoder, &wire.messages);
	}
	else
		add_hello(&wire, WS_CODEC_LZ4);

	for (int i = 0; i < count; i++)
	{
		Messages	in = {0};

		for (int j = 0; j < rows; j++)
		{
			XLogRecPtr	lsn = j % 3 == 0 ? 0 : START_LSN + i * 1000 + j * 40;

			add_stock(&in, lsn, lsn, START_TIME + i * 99 + j,
					  wire_records + (i + j) * 30, 20 + j);
			if (id == WS_CODEC_NONE)
				ws_batch_add(&batch, in.items[j].bytes, in.items[j].len,
							 i == 0, 0);
		}
		if (id == WS_CODEC_NONE)
		{
			WsFrameHeader header = {
				.batch = true,
				.restart = i == 0,
				.raw_len = batch.len
			};

			add_frame(&wire, header, i, batch.crc, batch.buf, batch.len);
			ws_batch_clear(&batch);
		}
		else
			encode_messages(encoder, &in, &wire.messages);
		clear_messages(&in);
	}
	ws_encoder_free(encoder);
	free(batch.buf);
	decode_wire(&wire);
	return wire;
}

/*
 * Is a message refused after the first count messages of the stream, and then
 * everything that follows, until the next begin?
 */
static bool
is_refused(WsDecoder *decoder, const Wire *wire, size_t count,
		   const Message *message)
{
	const uint8 *out;
	size_t		out_len;
	uint64		raw_bytes;

	if (!decode_first(decoder, wire, count))
		abort();
	raw_bytes = ws_decoder_counts(decoder)->raw_bytes;
	return ws_decoder_put(decoder, message->bytes, message->len) != WS_OK &&
		!ws_decoder_next(decoder, &out, &out_len) &&
		ws_decoder_counts(decoder)->raw_bytes == raw_bytes &&
		ws_decoder_put(decoder, wire->messages.items[count].bytes,
					   wire->messages.items[count].len) == WS_E_FAILED &&
		ws_decoder_put(decoder, (const uint8 *) "k", 1) == WS_E_FAILED &&
		!ws_decoder_next(decoder, &out, &out_len);
}

/* Flip each bit of each frame; in the middle of large frames only some. */
static void
test_bit_flips(const Wire *wire)
{
	WsDecoder  *decoder = new_decoder(wire);
	uint64		flipped = 0;
	uint64		taken = 0;

	for (size_t i = 1; i < wire->messages.count; i++)
	{
		Message    *frame = &wire->messages.items[i];
		size_t		bits = frame->len * 8;
		size_t		step = bits / 20000 + 1;

		for (size_t bit = 0; bit < bits;
			 bit += (bit < 800 || bit + 800 > bits) ? 1 : step)
		{
			frame->bytes[bit / 8] ^= 1 << bit % 8;
			flipped++;
			if (!is_refused(decoder, wire, i, frame))
			{
				if (taken++ < 5)
					diag("frame %zu of %zu bytes: bit %zu of byte %zu",
						 i - 1, frame->len, bit % 8, bit / 8);
			}
			frame->bytes[bit / 8] ^= 1 << bit % 8;
		}
	}
	ok(taken == 0, "%s: %llu flipped bits are refused",
	   wire->name, (unsigned long long) flipped);
	ok(decode_first(decoder, wire, wire->messages.count),
	   "and after begin the stream is taken");
	ws_decoder_free(decoder);
}

static void
test_cuts(const Wire *wire)
{
	WsDecoder  *decoder = new_decoder(wire);
	int			taken = 0;

	for (size_t i = 1; i < wire->messages.count; i++)
	{
		const Message *frame = &wire->messages.items[i];
		size_t		step = frame->len / 3000 + 1;

		for (size_t len = 1; len < frame->len; len += step)
		{
			Message		cut = {malloc(len), len};

			memcpy(cut.bytes, frame->bytes, len);
			taken += !is_refused(decoder, wire, i, &cut);
			free(cut.bytes);
		}

		for (int more = 0; more < 256; more++)
		{
			Message		longer = {malloc(frame->len + 1), frame->len + 1};

			memcpy(longer.bytes, frame->bytes, frame->len);
			longer.bytes[frame->len] = more;
			taken += !is_refused(decoder, wire, i, &longer);
			free(longer.bytes);
		}
	}
	ok(taken == 0, "%s: frames are refused when cut, wherever, and when longer",
	   wire->name);
	ws_decoder_free(decoder);
}

static void
test_order(const Wire *wire)
{
	WsDecoder  *decoder = new_decoder(wire);
	const Message *items = wire->messages.items;
	int			taken = 0;
	int			tried = 0;

	/* replace each frame by each other one */
	for (size_t i = 1; i < wire->messages.count; i++)
	{
		for (size_t j = 1; j < wire->messages.count; j++)
		{
			if (i == j)
				continue;
			tried++;
			taken += !is_refused(decoder, wire, i, &items[j]);
		}
	}
	ok(taken == 0 && tried > 0,
	   "%s: frames that are repeated, lost or swapped are refused", wire->name);
	ws_decoder_free(decoder);
}

static void
test_damage(Wire wire)
{
	test_bit_flips(&wire);
	test_cuts(&wire);
	if (wire.messages.count > 2)
		test_order(&wire);
	free_wire(&wire);
}

static void
test_all_damage(void)
{
	WsAccept	codecs = accept_all();

	for (int i = 0; i < codecs.count; i++)
	{
		WsCodecId	id = codecs.codecs[i];

		test_damage(make_physical(id, wire_records, 450, 4));
		test_damage(make_physical(id, noise, 450, 3));
		test_damage(make_physical(id, wire_records, 60000, 1));
		if (ws_codec_by_id(id)->logical)
			test_damage(make_batches(id, 8, 3));
	}
	test_damage(make_modelled(1500, 4));
	test_damage(make_modelled(60000, 1));
	test_damage(make_raw(450, 3));
	test_damage(make_batches(WS_CODEC_NONE, 8, 3));

	/*
	 * First frames so short that header and content have the same length,
	 * which a careless check value would not tell apart.
	 */
	for (uint32 len = 1; len <= 24; len++)
	{
		Wire		raw = make_raw(len, 2);
		Wire		encoded = make_physical(WS_CODEC_ZSTD, noise, len, 2);

		test_bit_flips(&raw);
		test_bit_flips(&encoded);
		free_wire(&raw);
		free_wire(&encoded);
	}
}

int
main(void)
{
	make_wire_records();
	fill_random(noise, sizeof(noise), 2);
	test_all_damage();
	return done_testing();
}
