/*-------------------------------------------------------------------------
 *
 * test_stream.c
 *	  Physical streams through an encoder and a decoder: every byte of every
 *	  stock message is the same afterwards.
 *
 * Changes of the codec are in test_stream_change.c, logical streams in
 * test_stream_logical.c, streams of WAL through walz in test_stream_walz.c,
 * and messages that are refused in test_decoder.c and test_stream_damage.c.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <zstd.h>

#include "pure/codec/backoff.h"
#include "streams.h"
#include "tap.h"

/* After how many bytes zstd at level 1 must restart; 0 if it need not. */
#if ZSTD_VERSION_NUMBER >= 10504 && ZSTD_VERSION_NUMBER < 10600
#define ZSTD_ROOM	((size_t) 1 * MB)
#else
#define ZSTD_ROOM	((size_t) 0)
#endif

/* How much WAL each message has. */
typedef enum Sizes
{
	SIZE_1,
	SIZE_450,
	SIZE_8K,
	SIZE_128K,
	SIZE_MIXED
} Sizes;

static const char *const size_names[] = {
	"1 byte", "450 bytes", "8 kB", "128 kB", "mixed sizes"
};

static size_t
next_size(Sizes sizes, uint64 *seed)
{
	static const size_t fixed[] = {1, 450, 8192, 131072};

	if (sizes != SIZE_MIXED)
		return fixed[sizes];
	switch (pick(seed, 4))
	{
		case 0:
			return 1 + pick(seed, 200);
		case 1:
			return 1 + pick(seed, 2000);
		case 2:
			return 8192 * (1 + pick(seed, 16));
		default:
			return 1 + pick(seed, 400000);	/* more than stock ever sends */
	}
}

/* Messages without WAL, and malformed ones. */
static void
add_others(Stream *stream, size_t number)
{
	static const uint8 short_data[] = "w12345678123456781234567";

	switch (number % 5)
	{
		case 0:
			add_keepalive(&stream->in, stream->lsn);
			break;
		case 1:
			add_text(&stream->in, "a message of a later PostgreSQL");
			break;
		case 2:
			add_stock(&stream->in, stream->lsn, stream->lsn, 1, NULL, 0);
			break;
		case 3:
			add_message(&stream->in, short_data, 1 + number % 24);
			break;
		default:
			add_message(&stream->in, NULL, 0);
			break;
	}
}

static void
test_round_trip(WsCodecSpec spec, const uint8 *data, const char *data_name,
				Sizes sizes, uint32 segment_size)
{
	Stream		stream;
	size_t		total = sizes == SIZE_1 ? 2000 : sizes == SIZE_450 ? 1500000 : 3 * MB;
	XLogRecPtr	start_lsn = START_LSN;
	uint64		seed = 1;
	bool		same;

	/*
	 * with small messages begin near the end of a segment, so as to cross it
	 */
	if (segment_size == SEGMENT_SIZE || sizes == SIZE_1)
		start_lsn += segment_size - total / 2 - 77;
	begin_stream(&stream, spec, start_lsn, segment_size);

	for (size_t pos = 0; pos < total;)
	{
		size_t		len = next_size(sizes, &seed);

		add_wal(&stream, data == REAL_WAL ? REAL_WAL : data + pos, len);
		pos += len;
		if (stream.in.count % 7 == 0)
			add_others(&stream, stream.in.count / 7);
	}
	take_encoded(stream.encoder, &stream.wire);
	encode_added(&stream, 0);

	same = decode_stream(&stream);
	ok(same && counts_hold(&stream),
	   "%s, %s, %s, segments of %u MB: %llu bytes in %llu come back",
	   name_of(spec.id), data_name, size_names[sizes], segment_size / MB,
	   (unsigned long long) ws_encoder_counts(stream.encoder)->raw_bytes,
	   (unsigned long long) ws_encoder_counts(stream.encoder)->wire_bytes);
	ok(ws_decoder_position(stream.decoder) == stream.lsn &&
	   ws_decoder_peer(stream.decoder) == WS_PEER_WALSTREAM,
	   "and the decoder stands where the stream ends");
	end_stream(&stream);
}

static void
test_round_trips(WsCodecId id)
{
	static const uint32 segment_sizes[] = {1 * MB, SEGMENT_SIZE};

	for (size_t i = 0; i < lengthof(segment_sizes); i++)
	{
		for (Sizes sizes = SIZE_1; sizes <= SIZE_MIXED; sizes++)
		{
			WsCodecSpec spec = spec_of(id, 1);

			test_round_trip(spec, data_for(id),
							data_for(id) == REAL_WAL ? "WAL" : "records",
							sizes, segment_sizes[i]);
			test_round_trip(spec, noise, "noise", sizes, segment_sizes[i]);
			test_round_trip(spec, prose, "text", sizes, segment_sizes[i]);
		}
	}
}

/* The ratio for data that is the same in every run. */
static void
test_ratio(WsCodecId id)
{
	Stream		stream;
	const WsStreamCounts *counts;

	begin_stream(&stream, spec_of(id, 1), START_LSN, SEGMENT_SIZE);
	send_wal(&stream, data_for(id), 2 * MB, 450);
	counts = ws_encoder_counts(stream.encoder);
	ok(counts->raw_bytes > 2 * counts->wire_bytes,
	   "%s: commits of records shrink to half or less (%llu of %llu bytes)",
	   name_of(id), (unsigned long long) counts->wire_bytes,
	   (unsigned long long) counts->raw_bytes);
	end_stream(&stream);

	begin_stream(&stream, spec_of(id, 1), START_LSN, SEGMENT_SIZE);
	send_wal(&stream, noise, DATA_SIZE, 131072);
	send_wal(&stream, noise, DATA_SIZE, 450);
	counts = ws_encoder_counts(stream.encoder);
	ok(counts->wire_bytes < counts->raw_bytes,
	   "%s: noise does not grow (%llu of %llu bytes)",
	   name_of(id), (unsigned long long) counts->wire_bytes,
	   (unsigned long long) counts->raw_bytes);
	end_stream(&stream);
}

static WsFrameHeader
parse_frame(const Message *message, size_t *header_len)
{
	WsFrameHeader header;

	if (ws_frame_header_decode(message->bytes, message->len,
							   &header, header_len) != WS_OK)
		abort();
	return header;
}

/*
 * Frames of a segment, stored with the CRC of their content, are sent with new
 * headers to another receiver, which has seen nothing before.
 */
static void
test_replay_from_segment(WsCodecId id)
{
	Stream		stream;
	WsAccept	accept = accept_all();
	WsDecoder  *late;
	Messages	replayed = {0};
	Messages	out = {0};
	Messages	expected = {0};
	uint64		number = 0;
	int64		send_time = 0;

	begin_stream(&stream, spec_of(id, 1), START_LSN + 700000, MB);
	take_encoded(stream.encoder, &stream.wire);
	send_wal(&stream, data_for(id), 3 * MB, 12345);
	ok(decode_stream(&stream), "%s: a stream over three segments", name_of(id));

	/* the hello is message 0, and each frame gave one message */
	add_message(&replayed, stream.wire.items[0].bytes, stream.wire.items[0].len);
	for (size_t i = 1; i < stream.wire.count; i++)
	{
		const Message *frame = &stream.wire.items[i];
		const Message *decoded = &stream.out.items[i - 1];
		WsFrameHeader header;
		WsStockHeader stock;
		size_t		header_len;
		uint8		buf[2 * 131072];
		size_t		new_len;

		header = parse_frame(frame, &header_len);
		ws_stock_header_decode(decoded->bytes, &stock);
		if (expected.count == 0 && stock.start_lsn % MB != 0)
			continue;

		header.start_lsn = stock.start_lsn;
		header.send_time_delta = stock.send_time - send_time;
		send_time = stock.send_time;
		new_len = ws_frame_header_encode(&header, number++,
										 ws_frame_content_crc(stock.start_lsn,
															  decoded->bytes + WS_STOCK_HEADER,
															  header.raw_len),
										 frame->bytes + header_len,
										 frame->len - header_len, buf);
		memcpy(buf + new_len, frame->bytes + header_len, frame->len - header_len);
		add_message(&replayed, buf, new_len + frame->len - header_len);
		add_message(&expected, decoded->bytes, decoded->len);
	}

	late = ws_decoder_new(&stream.params, &accept);
	ok(expected.count > 100 &&
	   decode_messages(late, &replayed, &out) == WS_OK &&
	   same_messages(&expected, &out),
	   "%s: its frames from a segment's start on decode by themselves",
	   name_of(id));
	ws_decoder_free(late);
	clear_messages(&replayed);
	clear_messages(&expected);
	clear_messages(&out);
	end_stream(&stream);
}

/* Number of encoded frames in a stream, from the n-th message on. */
static size_t
count_encoded(const Stream *stream, size_t from)
{
	size_t		count = 0;

	for (size_t i = from; i < stream->wire.count; i++)
	{
		size_t		header_len;

		if (stream->wire.items[i].bytes[0] == WS_FRAME_TYPE)
			count += parse_frame(&stream->wire.items[i],
								 &header_len).codec != WS_CODEC_NONE;
	}
	return count;
}

static void
test_backoff(WsCodecId id)
{
	Stream		stream;
	const WsStreamCounts *counts;
	size_t		from;
	size_t		frame = 131072;
	size_t		noise_frames = 12 * MB / frame;

	begin_stream(&stream, spec_of(id, 1), START_LSN, SEGMENT_SIZE);
	counts = ws_encoder_counts(stream.encoder);
	take_encoded(stream.encoder, &stream.wire);
	send_wal(&stream, data_for(id), MB, frame);
	is(count_encoded(&stream, 0), MB / frame, "%s: records are encoded",
	   name_of(id));

	from = stream.wire.count;
	send_wal(&stream, noise, 12 * MB, frame);
	/* two until it gives up; then one each after 256 kB, 512 kB, ... */
	ok(count_encoded(&stream, from) <= 2 + 5 && counts->bypassed >= noise_frames - 7,
	   "%s: of %zu frames of noise %zu are encoded",
	   name_of(id), noise_frames, count_encoded(&stream, from));
	ok(count_type(&stream.wire, 'w') * 10 >= counts->bypassed * 9,
	   "%s: the others are those that came in", name_of(id));
	ok(ws_encoder_counts(stream.encoder)->codec_failures == 0,
	   "%s: which is no failure", name_of(id));

	from = stream.wire.count;
	send_wal(&stream, data_for(id), 2 * WS_BACKOFF_MAX, frame);
	ok(count_encoded(&stream, from) >= WS_BACKOFF_MAX / frame - 1,
	   "%s: records are encoded again, %zu of %d frames",
	   name_of(id), count_encoded(&stream, from), (int) (2 * WS_BACKOFF_MAX / frame));
	from = stream.wire.count;
	send_wal(&stream, data_for(id), MB, 450);
	is(count_encoded(&stream, from), stream.wire.count - from,
	   "%s: and all from there on", name_of(id));
	ok(decode_stream(&stream), "%s: all of it comes back", name_of(id));
	is(ws_decoder_counts(stream.decoder)->bypassed, counts->bypassed,
	   "%s: both sides count the same as bypassed", name_of(id));
	end_stream(&stream);
}

/* If the sender breaks off a stream, the receiver must notice. */
static void
test_gap(void)
{
	Stream		stream;

	begin_stream(&stream, spec_of(WS_CODEC_ZSTD, 1), START_LSN + 1000, SEGMENT_SIZE);
	take_encoded(stream.encoder, &stream.wire);
	send_wal(&stream, records, 10000, 5000);
	stream.lsn += 8;
	send_wal(&stream, records, 5000, 5000);
	is(decode_messages(stream.decoder, &stream.wire, &stream.out),
	   WS_E_POSITION, "a gap between two messages is refused");
	is(ws_decoder_position(stream.decoder), START_LSN + 1000 + 10000,
	   "at the position after the last byte that is good");
	end_stream(&stream);

	begin_stream(&stream, spec_of(WS_CODEC_NONE, 0), START_LSN + 1000, SEGMENT_SIZE);
	take_encoded(stream.encoder, &stream.wire);
	send_wal(&stream, records, 10000, 5000);
	stream.lsn -= 5000;
	send_wal(&stream, records, 5000, 5000);
	is(decode_messages(stream.decoder, &stream.wire, &stream.out),
	   WS_E_POSITION, "a repeated message is refused, uncompressed too");
	end_stream(&stream);

	/* a message that would pass the last position is not encoded */
	begin_stream(&stream, spec_of(WS_CODEC_LZ4, 1), PG_UINT64_MAX - 4999, SEGMENT_SIZE);
	take_encoded(stream.encoder, &stream.wire);
	send_wal(&stream, records, 5000, 5000);
	ok(stream.wire.count == 2 &&
	   same_message(&stream.wire.items[1], &stream.in.items[0]),
	   "a message past the last position goes out as it came");
	is(decode_messages(stream.decoder, &stream.wire, &stream.out),
	   WS_E_POSITION, "and is refused");
	end_stream(&stream);

	/* the last byte but one that has a position */
	begin_stream(&stream, spec_of(WS_CODEC_LZ4, 1), PG_UINT64_MAX - 5000, SEGMENT_SIZE);
	take_encoded(stream.encoder, &stream.wire);
	send_wal(&stream, records, 5000, 1000);
	ok(decode_stream(&stream), "a stream up to the last position comes back");
	end_stream(&stream);
}

/* Without a hello at the beginning, the peer is a stock PostgreSQL. */
static void
test_stock_peer(void)
{
	static const char *const first[] = {"k", "w", "anything", ""};
	Stream		stream;

	for (size_t i = 0; i < lengthof(first); i++)
	{
		begin_stream(&stream, spec_of(WS_CODEC_NONE, 0), START_LSN, SEGMENT_SIZE);
		add_text(&stream.in, first[i]);
		add_text(&stream.in, "Hello, and long enough for one of ours");
		add_wal(&stream, records, 5000);
		add_text(&stream.in, "zebra");
		stream.lsn += 100;
		add_wal(&stream, records, 200000);
		ok(decode_messages(stream.decoder, &stream.in, &stream.out) == WS_OK &&
		   same_messages(&stream.in, &stream.out),
		   "a stock peer's messages pass, if \"%s\" is the first", first[i]);
		ok(ws_decoder_peer(stream.decoder) == WS_PEER_STOCK &&
		   ws_decoder_hello(stream.decoder) == NULL, "and the peer is known");
		is(ws_decoder_position(stream.decoder), stream.lsn, "and the position");
		is(ws_decoder_counts(stream.decoder)->bypassed,
		   count_type(&stream.in, 'w'), "and data messages are counted");

		clear_messages(&stream.in);
		add_text(&stream.in, "Zebra");
		is(decode_messages(stream.decoder, &stream.in, &stream.out),
		   WS_E_UNEXPECTED, "but a frame of it is refused");
		end_stream(&stream);
	}

	begin_stream(&stream, spec_of(WS_CODEC_NONE, 0), START_LSN, SEGMENT_SIZE);
	add_text(&stream.in, "Zebra");
	is(decode_messages(stream.decoder, &stream.in, &stream.out),
	   WS_E_UNEXPECTED, "so is a frame without a hello before it");
	end_stream(&stream);
}

/* An encoder that is not told to begin, or gets an unknown codec. */
static void
test_without_codec(void)
{
	Stream		stream;
	WsEncoder  *encoder;

	begin_stream(&stream, spec_of(WS_CODEC_NONE, 0), START_LSN, SEGMENT_SIZE);
	encoder = ws_encoder_new(&stream.params);
	add_wal(&stream, records, 5000);
	add_keepalive(&stream.in, stream.lsn);
	encode_messages(encoder, &stream.in, &stream.wire);
	ok(same_messages(&stream.in, &stream.wire),
	   "before begin all goes out as it came");

	is(ws_encoder_begin(encoder, spec_of(WS_MAX_CODECS, 1), WS_REASON_NONE),
	   WS_E_UNEXPECTED, "a codec that there is not");
	is(ws_encoder_spec(encoder).id, WS_CODEC_NONE, "is none");
	clear_messages(&stream.wire);
	take_encoded(encoder, &stream.wire);
	stream.lsn = START_LSN;
	encode_messages(encoder, &stream.in, &stream.wire);
	ok(decode_messages(stream.decoder, &stream.wire, &stream.out) == WS_OK &&
	   same_messages(&stream.in, &stream.out), "and all comes back");
	is(ws_decoder_hello(stream.decoder)->reason, WS_REASON_NO_COMMON_CODEC,
	   "the hello has a reason");
	ws_encoder_free(encoder);
	ws_encoder_free(NULL);
	ws_decoder_free(NULL);
	end_stream(&stream);
}

/*
 * zstd may keep what it has encoded, and restarts where there is no room for
 * more: early enough to limit its memory, and not so often that it costs
 * bytes.
 */
static void
test_full(int level, size_t message_size, size_t room)
{
	const size_t total = 5 * MB + 4321;
	Stream		stream;
	size_t		restarts = 0;
	size_t		run = 0;		/* bytes since the last restart */
	size_t		longest = 0;
	size_t		shortest = SIZE_MAX;	/* but for the last */

	begin_stream(&stream, spec_of(WS_CODEC_ZSTD, level), START_LSN, SEGMENT_SIZE);
	take_encoded(stream.encoder, &stream.wire);
	send_wal(&stream, records, total, message_size);

	/* the hello is message 0 */
	for (size_t i = 1; i < stream.wire.count; i++)
	{
		size_t		header_len;
		WsFrameHeader header = parse_frame(&stream.wire.items[i], &header_len);

		if (header.restart)
		{
			if (restarts > 0)
				shortest = Min(shortest, run);
			restarts++;
			run = 0;
		}
		run += header.raw_len;
		longest = Max(longest, run);
	}
	if (room == 0)
		ok(restarts == 1 && longest == total,
		   "zstd, level %d: restarts with the segment only", level);
	else
		ok(restarts == total / room + 1 && longest <= room &&
		   shortest > room - message_size,
		   "zstd, level %d: restarts %llu times, after %llu to %llu bytes",
		   level, (unsigned long long) restarts,
		   (unsigned long long) shortest, (unsigned long long) longest);
	ok(decode_stream(&stream) && counts_hold(&stream), "and all comes back");
	end_stream(&stream);
}

int
main(void)
{
	WsAccept	codecs = accept_all();

	make_data();
	for (int i = 0; i < codecs.count; i++)
	{
		test_round_trips(codecs.codecs[i]);
		test_ratio(codecs.codecs[i]);
		test_replay_from_segment(codecs.codecs[i]);
		test_backoff(codecs.codecs[i]);
	}
	test_full(1, 131072, ZSTD_ROOM);
	test_full(1, 450, ZSTD_ROOM);
	test_full(2, 131072, 0);
	test_gap();
	test_stock_peer();
	test_without_codec();

	free_data();
	return done_testing();
}
