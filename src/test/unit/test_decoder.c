/*-------------------------------------------------------------------------
 *
 * test_decoder.c
 *	  Messages that are valid by themselves, but that a decoder must refuse at
 *	  their place in the stream.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "tap.h"
#include "wires.h"

/*
 * Returns the status of wire's last message, after all others were accepted.
 */
static WsStatus
status_of_last(Wire *wire, const WsAccept *accept, WsDecoder **keep)
{
	WsDecoder  *decoder = ws_decoder_new(&wire->params, accept);
	const Message *last = &wire->messages.items[wire->messages.count - 1];
	WsStatus	status;

	if (!decode_first(decoder, wire, wire->messages.count - 1))
		abort();
	status = ws_decoder_put(decoder, last->bytes, last->len);
	if (keep)
		*keep = decoder;
	else
		ws_decoder_free(decoder);
	free_wire(wire);
	return status;
}

/*
 * Test one physical frame in which one thing is wrong. number is the frame's;
 * the frames before it are raw.
 */
static void
check_raw(WsStatus expected, uint64 number, bool restart,
		  XLogRecPtr first_lsn, XLogRecPtr start_lsn, uint32 len,
		  const char *what)
{
	Wire		wire = {.params = stream_params(false, MB)};
	WsAccept	accept = accept_all();

	add_hello(&wire, WS_CODEC_LZ4);
	for (uint64 i = 0; i < number; i++)
		add_raw_frame(&wire, i, i == 0, first_lsn + i * 100, 100);
	add_raw_frame(&wire, number, restart, start_lsn, len);
	is(status_of_last(&wire, &accept, NULL), expected, "%s", what);
}

static void
test_positions(void)
{
	XLogRecPtr	lsn = START_LSN;

	check_raw(WS_OK, 0, true, lsn, lsn + 5, 100, "a first frame that is right");
	check_raw(WS_OK, 2, false, lsn, lsn + 200, 100, "a third that is right");
	check_raw(WS_OK, 2, true, lsn, lsn + 200, 100, "one that restarts for no need");
	check_raw(WS_OK, 0, true, lsn, lsn + 8191, 131072, "one as long as may be");
	check_raw(WS_OK, 0, true, lsn, lsn + MB - 100, 100, "one to a segment's end");
	check_raw(WS_E_UNEXPECTED, 0, false, lsn, 0, 100, "a first frame without restart");
	check_raw(WS_E_POSITION, 2, true, lsn, lsn + 201, 100, "a gap of a byte");
	check_raw(WS_E_POSITION, 2, true, lsn, lsn + 199, 100, "a byte twice");
	check_raw(WS_E_POSITION, 2, true, lsn, lsn + 100, 100, "a frame twice");
	check_raw(WS_E_TOO_LARGE, 0, true, lsn, lsn + MB - 100, 101,
			  "a frame over a segment's end");
	check_raw(WS_E_UNEXPECTED, 1, false, lsn + MB - 100, lsn + MB, 100,
			  "a segment's start without restart");
	check_raw(WS_OK, 1, true, lsn + MB - 100, lsn + MB, 100, "and with it");
	check_raw(WS_E_TOO_LARGE, 0, true, lsn, lsn, 131073, "a frame over 16 blocks");
	check_raw(WS_E_LENGTH, 0, true, lsn, lsn, 0, "an empty frame");
	check_raw(WS_E_POSITION, 0, true, lsn, PG_UINT64_MAX - 99, 100,
			  "a frame past the last position");
	check_raw(WS_OK, 0, true, lsn, PG_UINT64_MAX - 100, 100, "one up to it");
}

/*
 * An lz4 or zstd frame with a history of its own, in place of the frame with
 * this number.
 */
static void
add_coded(Wire *wire, WsCodecId id, uint64 number, bool restart,
		  XLogRecPtr start_lsn, uint32 len)
{
	const WsCodec *codec = ws_codec_by_id(id);
	WsFrameHeader header = {
		.codec = id,
		.restart = restart,
		.raw_len = len,
		.start_lsn = start_lsn
	};
	WsCodecParams params = wire->params;
	void	   *encoder;
	uint8	   *encoded = malloc(codec->encode_bound(len));
	size_t		encoded_len;

	params.level = 1;
	encoder = ws_codec_encoder_new(codec, &params);
	if (codec->encode(encoder, start_lsn, wire_records, len, encoded,
					  codec->encode_bound(len), &encoded_len) != WS_OK)
		abort();
	add_frame(wire, header, number,
			  ws_frame_content_crc(start_lsn, wire_records, len),
			  encoded, encoded_len);
	ws_codec_encoder_free(encoder);
	free(encoded);
}

static void
test_history(void)
{
	Wire		wire = {.params = stream_params(false, MB)};
	WsAccept	accept = accept_all();
	XLogRecPtr	lsn = START_LSN + 10;

	for (int restart = 0; restart <= 1; restart++)
	{
		WsStatus	expected = restart ? WS_OK : WS_E_UNEXPECTED;
		const char *with = restart ? "with" : "without";

		add_hello(&wire, WS_CODEC_ZSTD);
		add_raw_frame(&wire, 0, true, lsn, 100);
		add_coded(&wire, WS_CODEC_ZSTD, 1, restart, lsn + 100, 100);
		is(status_of_last(&wire, &accept, NULL), expected,
		   "%s restart after a frame that is not encoded", with);

		add_hello(&wire, WS_CODEC_ZSTD);
		add_coded(&wire, WS_CODEC_ZSTD, 0, true, lsn, 100);
		add_stock(&wire.messages, lsn + 100, lsn + 100, 0, wire_records, 50);
		add_coded(&wire, WS_CODEC_ZSTD, 1, restart, lsn + 150, 100);
		is(status_of_last(&wire, &accept, NULL), expected,
		   "%s restart after a plain message", with);

		add_hello(&wire, WS_CODEC_ZSTD);
		add_coded(&wire, WS_CODEC_ZSTD, 0, true, lsn, 100);
		add_hello(&wire, WS_CODEC_ZSTD);
		add_coded(&wire, WS_CODEC_ZSTD, 1, restart, lsn + 100, 100);
		is(status_of_last(&wire, &accept, NULL), expected,
		   "%s restart after a hello", with);
	}

	add_hello(&wire, WS_CODEC_ZSTD);
	add_coded(&wire, WS_CODEC_ZSTD, 0, true, lsn, 100);
	add_stock(&wire.messages, lsn + 101, lsn + 100, 0, wire_records, 50);
	is(status_of_last(&wire, &accept, NULL), WS_E_POSITION,
	   "a plain message after a gap");

	add_hello(&wire, WS_CODEC_ZSTD);
	add_stock(&wire.messages, lsn, lsn, 0, wire_records, 50);
	add_coded(&wire, WS_CODEC_ZSTD, 0, true, lsn, 100);
	is(status_of_last(&wire, &accept, NULL), WS_E_POSITION,
	   "a frame for what a plain message had");

	add_hello(&wire, WS_CODEC_ZSTD);
	add_stock(&wire.messages, PG_UINT64_MAX - 49, lsn, 0, wire_records, 50);
	is(status_of_last(&wire, &accept, NULL), WS_E_POSITION,
	   "a plain message past the last position");
}

static void
test_codecs(void)
{
	Wire		wire = {.params = stream_params(false, MB)};
	WsAccept	all = accept_all();
	WsAccept	lz4 = {
		.version = 1,
		.count = 1,
		.codecs = {WS_CODEC_LZ4}
	};
	XLogRecPtr	lsn = START_LSN + 10;
	WsDecoder  *decoder;

	add_hello(&wire, WS_CODEC_ZSTD);
	is(status_of_last(&wire, &lz4, NULL), WS_E_UNEXPECTED,
	   "a hello with a codec that was not asked for");
	add_hello(&wire, WS_CODEC_LZ4);
	add_coded(&wire, WS_CODEC_ZSTD, 0, true, lsn, 100);
	is(status_of_last(&wire, &lz4, NULL), WS_E_UNEXPECTED,
	   "a frame in a codec that was not asked for");
	add_hello(&wire, WS_CODEC_LZ4);
	add_coded(&wire, WS_CODEC_ZSTD, 0, true, lsn, 100);
	is(status_of_last(&wire, &all, &decoder), WS_E_UNEXPECTED,
	   "a frame in another codec than the hello's");
	is(ws_decoder_codec(decoder), WS_CODEC_ZSTD, "which can be told");
	is(ws_decoder_position(decoder), 0, "and no position, before any frame is good");
	ws_decoder_free(decoder);
	add_hello(&wire, WS_CODEC_LZ4);
	add_coded(&wire, WS_CODEC_LZ4, 1, true, lsn, 100);
	is(status_of_last(&wire, &all, &decoder), WS_E_CHECK,
	   "a first frame with the number of the second");
	is(ws_decoder_position(decoder), lsn, "refused where it says that it starts");
	ws_decoder_free(decoder);
	add_hello(&wire, WS_CODEC_NONE);
	add_coded(&wire, WS_CODEC_ZSTD, 0, true, lsn, 100);
	is(status_of_last(&wire, &all, NULL), WS_E_UNEXPECTED,
	   "an encoded frame where the hello says none");

	add_hello(&wire, WS_CODEC_LZ4);
	add_coded(&wire, WS_CODEC_LZ4, 0, true, lsn, 100);
	add_coded(&wire, WS_CODEC_LZ4, 5, true, lsn + 100, 100);
	is(status_of_last(&wire, &all, &decoder), WS_E_CHECK,
	   "a frame with the number of another");
	is(ws_decoder_position(decoder), lsn + 100, "refused where it starts");
	is(ws_decoder_codec(decoder), WS_CODEC_LZ4, "in its codec");
	ws_decoder_free(decoder);
}

/*
 * A flipped bit makes the codec of an otherwise valid frame an unknown one.
 * The error must name it.
 */
static void
test_unknown_codecs(void)
{
	Wire		wire = {.params = stream_params(false, MB)};
	WsAccept	all = accept_all();
	WsDecoder  *decoder;

	for (int id = 0; id <= WS_MAX_CODECS; id++)
	{
		if (ws_codec_by_id(id) != NULL)
			continue;

		add_hello(&wire, WS_CODEC_LZ4);
		add_coded(&wire, WS_CODEC_LZ4, 0, true, START_LSN, 100);
		add_coded(&wire, WS_CODEC_LZ4, 1, true, START_LSN + 100, 100);
		wire.messages.items[2].bytes[1] ^= WS_CODEC_LZ4 ^ id;
		is(status_of_last(&wire, &all, &decoder),
		   id == WS_CODEC_NONE ? WS_E_LENGTH : WS_E_MALFORMED,
		   "a frame of codec %d", id);
		ok(ws_codec_name(ws_decoder_codec(decoder)) != NULL, "its codec has a name");
		ws_decoder_free(decoder);

		add_hello(&wire, WS_CODEC_LZ4);
		wire.messages.items[0].bytes[2] = id;
		is(status_of_last(&wire, &all, &decoder),
		   id == WS_CODEC_NONE ? WS_OK : WS_E_UNEXPECTED,
		   "a hello with codec %d", id);
		ok(ws_codec_name(ws_decoder_codec(decoder)) != NULL, "its codec has a name");
		ws_decoder_free(decoder);
	}
}

/* Batches whose rows are not as the encoder writes them. */
static void
check_batch(WsStatus expected, const uint8 *rows, uint32 len, const char *what)
{
	Wire		wire = {.params = stream_params(true, MB)};
	WsAccept	accept = accept_all();
	WsFrameHeader header = {
		.batch = true,
		.restart = true,
		.raw_len = len
	};
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	add_hello(&wire, WS_CODEC_ZSTD);
	add_frame(&wire, header, 0, crc, rows, len);
	is(status_of_last(&wire, &accept, NULL), expected, "%s", what);
}

static void
test_batches(void)
{
	static const uint8 cut_header[] = {2, 2, 0, 0, 'a', 2, 2};
	static const uint8 cut_body[] = {2, 2, 0, 0, 'a', 4, 2, 0, 0, 'a'};
	static const uint8 huge_body[] = {
		0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 2, 0, 0
	};
	static const uint8 sound_row[] = {2, 2, 0, 0, 'a'};
	Wire		wire = {.params = stream_params(true, MB)};
	WsAccept	accept = accept_all();
	WsFrameHeader header = {
		.batch = true,
		.raw_len = 5
	};
	pg_crc32c	crc;

	check_batch(WS_E_MALFORMED, cut_header, sizeof(cut_header),
				"a batch that ends in a row's header");
	check_batch(WS_E_LENGTH, cut_body, sizeof(cut_body),
				"a batch that ends in a row's body");
	check_batch(WS_E_TOO_LARGE, huge_body, sizeof(huge_body),
				"a row of 2^63 bytes");
	check_batch(WS_E_CHECK, sound_row, sizeof(sound_row),
				"rows that are not those of the check value");
	check_batch(WS_E_LENGTH, NULL, 0, "an empty batch");
	check_batch(WS_E_TOO_LARGE, wire_records, WS_BATCH_MAX_DECODED + 1,
				"a batch over the limit");

	INIT_CRC32C(crc);
	add_hello(&wire, WS_CODEC_ZSTD);
	add_frame(&wire, header, 0, crc, sound_row, 5);
	is(status_of_last(&wire, &accept, NULL), WS_E_UNEXPECTED,
	   "a first batch without restart");

	wire.params = stream_params(true, MB);
	add_hello(&wire, WS_CODEC_ZSTD);
	add_raw_frame(&wire, 0, true, START_LSN, 100);
	is(status_of_last(&wire, &accept, NULL), WS_E_UNEXPECTED,
	   "a physical frame in a logical stream");
	wire.params = stream_params(false, MB);
	add_hello(&wire, WS_CODEC_ZSTD);
	header.restart = true;
	add_frame(&wire, header, 0, crc, sound_row, 5);
	is(status_of_last(&wire, &accept, NULL), WS_E_UNEXPECTED,
	   "a batch in a physical stream");
}

/* Lengths of gigabytes are refused before anything is allocated. */
static void
test_lengths(void)
{
	static const uint32 lengths[] = {131073, PG_INT32_MAX, PG_UINT32_MAX};

	for (size_t i = 0; i < lengthof(lengths); i++)
	{
		for (WsCodecId id = WS_CODEC_NONE; id <= WS_CODEC_LZ4; id++)
		{
			for (int logical = 0; logical <= 1; logical++)
			{
				Wire		wire = {.params = stream_params(logical, MB)};
				WsAccept	accept = accept_all();
				WsFrameHeader header = {
					.codec = id,
					.batch = logical,
					.restart = true,
					.raw_len = lengths[i],
					.start_lsn = START_LSN
				};

				add_hello(&wire, id);
				add_frame(&wire, header, 0, 0, wire_records, 1000);
				is(status_of_last(&wire, &accept, NULL), WS_E_TOO_LARGE,
				   "refused: %u bytes announced, codec %d, %s",
				   lengths[i], id, logical ? "logical" : "physical");
			}
		}
	}
}

/* The first message resembles a hello, or a hello is not for this stream. */
static void
test_hellos(void)
{
	Wire		wire = {.params = stream_params(false, MB)};
	WsAccept	accept = accept_all();
	WsDecoder  *decoder;
	bool		taken = false;

	for (int bit = 0; bit < 8; bit++)
	{
		add_hello(&wire, WS_CODEC_ZSTD);
		wire.messages.items[0].bytes[0] ^= 1 << bit;
		taken |= status_of_last(&wire, &accept, NULL) == WS_OK;
	}
	ok(!taken, "refused: a first message whose type is one bit off a hello's");

	add_text(&wire.messages, "Hello");
	is(status_of_last(&wire, &accept, &decoder), WS_E_MALFORMED,
	   "refused: a first message that begins as a hello and is none");
	is(ws_decoder_peer(decoder), WS_PEER_UNKNOWN, "it says nothing of the peer");
	ws_decoder_free(decoder);

	add_hello(&wire, WS_CODEC_ZSTD);
	add_text(&wire.messages, "Hello");
	is(status_of_last(&wire, &accept, NULL), WS_E_MALFORMED,
	   "refused: a later one");

	wire.params.wal_segment_size = 2 * MB;
	add_hello(&wire, WS_CODEC_ZSTD);
	wire.params.wal_segment_size = MB;
	is(status_of_last(&wire, &accept, NULL), WS_E_UNEXPECTED,
	   "refused: another segment size");
	wire.params.wal_block_size = 4096;
	add_hello(&wire, WS_CODEC_ZSTD);
	wire.params.wal_block_size = 8192;
	is(status_of_last(&wire, &accept, NULL), WS_E_UNEXPECTED,
	   "refused: another block size");
	wire.params.logical = true;
	add_hello(&wire, WS_CODEC_ZSTD);
	wire.params.logical = false;
	is(status_of_last(&wire, &accept, NULL), WS_E_UNEXPECTED,
	   "refused: another kind of stream");

	wire.params = stream_params(true, 2 * MB);
	add_hello(&wire, WS_CODEC_ZSTD);
	wire.params.wal_segment_size = MB;
	is(status_of_last(&wire, &accept, NULL), WS_OK,
	   "taken: another segment size of a logical stream");
}

/*
 * A hello yields no output, and is logged; so another one is accepted only
 * after data.
 */
static void
test_repeated_hellos(void)
{
	XLogRecPtr	lsn = START_LSN + 10;

	for (int logical = 0; logical <= 1; logical++)
	{
		const char *kind = logical ? "logical" : "physical";
		Wire		wire = {.params = stream_params(logical, MB)};
		WsAccept	accept = accept_all();
		const uint8 row[] = {2, 0, 0, 0};

		add_hello(&wire, WS_CODEC_ZSTD);
		add_hello(&wire, WS_CODEC_ZSTD);
		is(status_of_last(&wire, &accept, NULL), WS_E_UNEXPECTED,
		   "%s: a hello after a hello", kind);

		add_hello(&wire, WS_CODEC_ZSTD);
		add_hello(&wire, WS_CODEC_LZ4);
		is(status_of_last(&wire, &accept, NULL), WS_E_UNEXPECTED,
		   "%s: another one", kind);

		add_hello(&wire, WS_CODEC_ZSTD);
		add_keepalive(&wire.messages, lsn);
		add_hello(&wire, WS_CODEC_LZ4);
		is(status_of_last(&wire, &accept, NULL), WS_E_UNEXPECTED,
		   "%s: with a keepalive in between", kind);

		add_hello(&wire, WS_CODEC_ZSTD);
		add_stock(&wire.messages, lsn, lsn, 0, row, 0);
		add_hello(&wire, WS_CODEC_LZ4);
		is(status_of_last(&wire, &accept, NULL), WS_E_UNEXPECTED,
		   "%s: with a message without data in between", kind);

		add_hello(&wire, WS_CODEC_ZSTD);
		add_text(&wire.messages, "later");
		add_hello(&wire, WS_CODEC_LZ4);
		is(status_of_last(&wire, &accept, NULL), WS_E_UNEXPECTED,
		   "%s: with a message of a type to come in between", kind);

		add_hello(&wire, WS_CODEC_ZSTD);
		add_stock(&wire.messages, lsn, lsn, 0, row, 1);
		add_hello(&wire, WS_CODEC_LZ4);
		is(status_of_last(&wire, &accept, NULL), WS_OK,
		   "%s: with data in between", kind);

		/*
		 * a COPY may begin with a hello even if the last one ended with a
		 * hello
		 */
		{
			WsDecoder  *decoder = new_decoder(&wire);

			add_hello(&wire, WS_CODEC_ZSTD);
			ok(decode_first(decoder, &wire, 1) && decode_first(decoder, &wire, 1),
			   "%s: one at the beginning of each COPY", kind);
			ws_decoder_free(decoder);
			free_wire(&wire);
		}
	}
}

int
main(void)
{
	make_wire_records();
	test_positions();
	test_history();
	test_codecs();
	test_unknown_codecs();
	test_batches();
	test_lengths();
	test_hellos();
	test_repeated_hellos();
	return done_testing();
}
