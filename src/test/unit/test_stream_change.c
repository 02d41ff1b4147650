/*-------------------------------------------------------------------------
 *
 * test_stream_change.c
 *	  Physical streams whose codec changes, and connections with more than one
 *	  stream.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "streams.h"
#include "tap.h"

/*
 * Check which codecs and levels the hello messages of a stream announce.
 */
static void
check_hellos(const Stream *stream, const WsCodecSpec *specs, size_t count,
			 const char *what)
{
	size_t		found = 0;
	bool		right = true;

	for (size_t i = 0; i < stream->wire.count; i++)
	{
		const Message *message = &stream->wire.items[i];
		WsHello		hello;

		if (message->len == 0 || message->bytes[0] != WS_HELLO_TYPE)
			continue;
		if (found == count ||
			ws_hello_decode(message->bytes, message->len, &hello) != WS_OK ||
			hello.codec != specs[found].id ||
			(hello.codec != WS_CODEC_NONE && hello.level != specs[found].level))
			right = false;
		found++;
	}
	ok(right && found == count, "%s: %zu hellos", what, found);
}

static void
test_changes(void)
{
	static const WsCodecSpec specs[] = {
		{WS_CODEC_ZSTD, 1}, {WS_CODEC_LZ4, 1}, {WS_CODEC_LZ4, 5},
		{WS_CODEC_ZSTD, 3}, {WS_CODEC_ZSTD, 6}, {WS_CODEC_NONE, 0},
		{WS_CODEC_ZSTD, -5}, {WS_CODEC_NONE, 0}, {WS_CODEC_LZ4, 1},
		{WS_CODEC_WALZ, 1}, {WS_CODEC_WALZ, 3}, {WS_CODEC_ZSTD, 1},
		{WS_CODEC_WALZ, 3}, {WS_CODEC_NONE, 0}, {WS_CODEC_WALZ, 1},
		{WS_CODEC_WALZ, -5}
	};
	static const size_t sizes[] = {450, 8192, 100000, 131072};

	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		Stream		stream;
		char		what[64];
		bool		waits = true;

		begin_stream(&stream, specs[0], START_LSN + MB / 3, MB);
		take_encoded(stream.encoder, &stream.wire);
		for (size_t j = 0; j < lengthof(specs); j++)
		{
			if (j > 0)
			{
				ws_encoder_change(stream.encoder, specs[j], WS_REASON_OFF);
				waits &= ws_encoder_spec(stream.encoder).id == specs[j - 1].id;
			}
			send_wal(&stream, REAL_WAL, MB, sizes[i]);
			waits &= ws_encoder_spec(stream.encoder).id == specs[j].id &&
				ws_encoder_reason(stream.encoder) ==
				(specs[j].id == WS_CODEC_NONE ? WS_REASON_OFF : WS_REASON_NONE);
		}
		snprintf(what, sizeof(what), "changes between messages of %zu bytes",
				 sizes[i]);
		ok(decode_stream(&stream), "%s: all comes back", what);
		ok(counts_hold(&stream), "%s: counts hold", what);
		ok(waits, "%s: each waits for the boundary", what);
		check_hellos(&stream, specs, lengthof(specs), what);
		end_stream(&stream);
	}
}

/* A message that crosses the boundary at which compression ends or begins. */
static void
test_change_inside_message(WsCodecId id)
{
	const WsCodecSpec specs[] = {{id, 1}, {WS_CODEC_NONE, 0}, {id, 1}};
	const uint8 *data = data_for(id);
	Stream		stream;

	begin_stream(&stream, specs[0], START_LSN + MB - 5000, MB);
	take_encoded(stream.encoder, &stream.wire);
	send_wal(&stream, data, 1000, 1000);
	ws_encoder_change(stream.encoder, specs[1], WS_REASON_OFF);
	send_wal(&stream, data, 300000, 300000);
	is(stream.wire.items[2].bytes[0], WS_FRAME_TYPE, "compressed to the boundary");
	is(stream.wire.items[3].bytes[0], WS_HELLO_TYPE, "then a hello");
	is(stream.wire.items[4].bytes[0], WS_STOCK_TYPE, "then the rest as it is");
	is(ws_encoder_counts(stream.encoder)->messages, 2, "two messages");
	is(ws_encoder_counts(stream.encoder)->bypassed, 1, "of which one bypassed");

	ws_encoder_change(stream.encoder, specs[2], WS_REASON_NONE);
	send_wal(&stream, data, MB, MB);
	is(ws_encoder_spec(stream.encoder).id, WS_CODEC_NONE,
	   "an uncompressed message is not cut for a change");
	send_wal(&stream, data, 1000, 1000);
	is(ws_encoder_spec(stream.encoder).id, id, "it comes with the next");
	ok(decode_stream(&stream), "all of it comes back");
	check_hellos(&stream, specs, lengthof(specs), "off and on");
	end_stream(&stream);
}

static void
test_change_taken_back(void)
{
	static const WsCodecSpec specs[] = {{WS_CODEC_LZ4, 1}};
	Stream		stream;

	begin_stream(&stream, specs[0], START_LSN, MB);
	take_encoded(stream.encoder, &stream.wire);
	ws_encoder_change(stream.encoder, spec_of(WS_CODEC_ZSTD, 1), WS_REASON_NONE);
	ws_encoder_change(stream.encoder, specs[0], WS_REASON_NONE);
	send_wal(&stream, records, 2 * MB, 8192);
	ok(decode_stream(&stream), "a change that is taken back");
	check_hellos(&stream, specs, 1, "a change that is taken back");
	end_stream(&stream);
}

/* A new COPY on the connection, as after a timeline switch. */
static void
test_begin_again(void)
{
	static const WsCodecSpec specs[] = {
		{WS_CODEC_ZSTD, 1}, {WS_CODEC_ZSTD, 1}, {WS_CODEC_LZ4, 1},
		{WS_CODEC_WALZ, 1}, {WS_CODEC_NONE, 0}, {WS_CODEC_WALZ, 1},
		{WS_CODEC_WALZ, 1}, {WS_CODEC_ZSTD, 1}
	};
	Stream		stream;

	begin_stream(&stream, specs[0], START_LSN + 12345, SEGMENT_SIZE);
	for (size_t i = 0; i < lengthof(specs); i++)
	{
		const WsHello *hello;

		ws_decoder_begin(stream.decoder);
		ok(ws_decoder_peer(stream.decoder) == WS_PEER_UNKNOWN &&
		   ws_decoder_hello(stream.decoder) == NULL &&
		   ws_decoder_codec(stream.decoder) == WS_CODEC_NONE,
		   "a COPY begins: nothing is known of the peer");
		is(ws_encoder_begin(stream.encoder, specs[i], WS_REASON_OFF), WS_OK,
		   "the encoder begins");
		take_encoded(stream.encoder, &stream.wire);
		/* back to where the new timeline begins */
		stream.lsn = START_LSN + 4000;
		stream.tli = 1 + i;
		send_wal(&stream, REAL_WAL, 300000, 7000);
		ok(decode_stream(&stream), "COPY %zu comes back", i);
		hello = ws_decoder_hello(stream.decoder);
		ok(hello != NULL && hello->codec == specs[i].id &&
		   hello->version == WS_PROTOCOL_VERSION &&
		   hello->window_log == (specs[i].id == WS_CODEC_ZSTD ||
								 specs[i].id == WS_CODEC_WALZ ?
								 ws_codec_zstd.window_log(1) : 0) &&
		   hello->stream.wal_block_size == 8192 &&
		   hello->stream.wal_segment_size == SEGMENT_SIZE &&
		   hello->stream.wal_page_magic == 0xd110 && !hello->stream.logical &&
		   hello->reason == (specs[i].id == WS_CODEC_NONE ? WS_REASON_OFF : WS_REASON_NONE),
		   "the hello says what was chosen");
		is(ws_decoder_codec(stream.decoder), specs[i].id, "so does the decoder");
		clear_messages(&stream.in);
		clear_messages(&stream.wire);
		clear_messages(&stream.out);
	}
	end_stream(&stream);
}

/*
 * A change that has not happened when a new COPY begins is forgotten.  One
 * before the first message waits, although the message begins in another
 * segment than the last message of the COPY before.
 */
static void
test_begin_and_change(void)
{
	static const WsCodecSpec specs[] = {{WS_CODEC_LZ4, 1}, {WS_CODEC_ZSTD, 1}};
	Stream		stream;

	begin_stream(&stream, specs[1], START_LSN, MB);
	send_wal(&stream, records, 1000, 1000);
	ws_encoder_change(stream.encoder, specs[1], WS_REASON_NONE);
	ws_encoder_change(stream.encoder, spec_of(WS_CODEC_NONE, 0), WS_REASON_OFF);
	clear_messages(&stream.in);
	clear_messages(&stream.wire);

	ws_encoder_begin(stream.encoder, specs[0], WS_REASON_NONE);
	take_encoded(stream.encoder, &stream.wire);
	stream.lsn = START_LSN;
	send_wal(&stream, records, 2 * MB + 1000, 1000);
	check_hellos(&stream, specs, 1, "a change before begin");
	ok(decode_stream(&stream), "a change before begin: all comes back");
	clear_messages(&stream.in);
	clear_messages(&stream.wire);
	clear_messages(&stream.out);

	ws_encoder_begin(stream.encoder, specs[0], WS_REASON_NONE);
	ws_decoder_begin(stream.decoder);
	take_encoded(stream.encoder, &stream.wire);
	ws_encoder_change(stream.encoder, specs[1], WS_REASON_NONE);
	stream.lsn = START_LSN + 5 * MB;
	send_wal(&stream, records, 1000, 1000);
	check_hellos(&stream, specs, 1, "a change before the first message");
	send_wal(&stream, records, MB, 1000);
	check_hellos(&stream, specs, 2, "and after it a segment boundary");
	ok(decode_stream(&stream), "all comes back");
	end_stream(&stream);
}

/* A new COPY begins while the output of a message is incomplete. */
static void
test_begin_inside_message(WsCodecId id)
{
	Stream		stream;
	const uint8 *out;
	size_t		out_len;

	begin_stream(&stream, spec_of(id, 1), START_LSN, SEGMENT_SIZE);
	add_wal(&stream, data_for(id), 400000);
	ws_encoder_put(stream.encoder, stream.in.items[0].bytes,
				   stream.in.items[0].len, 0);
	ok(ws_encoder_next(stream.encoder, &out, &out_len) &&
	   ws_encoder_next(stream.encoder, &out, &out_len) &&
	   out[0] == WS_FRAME_TYPE, "the first piece of a message comes out");
	clear_messages(&stream.in);
	ws_encoder_begin(stream.encoder, spec_of(id, 1), WS_REASON_NONE);
	take_encoded(stream.encoder, &stream.wire);
	is(stream.wire.count, 1, "after begin there is nothing but a hello");
	stream.lsn = START_LSN;
	send_wal(&stream, data_for(id), 100000, 5000);
	ok(decode_stream(&stream), "and a new stream comes back");
	end_stream(&stream);
}

int
main(void)
{
	make_data();
	test_changes();
	test_change_inside_message(WS_CODEC_ZSTD);
	test_change_inside_message(WS_CODEC_WALZ);
	test_change_taken_back();
	test_begin_again();
	test_begin_and_change();
	test_begin_inside_message(WS_CODEC_ZSTD);
	test_begin_inside_message(WS_CODEC_WALZ);
	free_data();
	return done_testing();
}
