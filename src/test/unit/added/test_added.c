/*-------------------------------------------------------------------------
 *
 * test_added.c
 *	  A codec that consists of its own file and a line in the table is
 *	  negotiated, and encodes and decodes streams.
 *
 * Only the table and the tests were compiled again for it.  Two tests that run
 * over every codec run over this one, too.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "streams.h"
#include "tap.h"

#define LEVEL	5

static void
test_table(void)
{
	int			found = 0;
	const WsCodec *codec = ws_codec_by_name("veiled", 6);

	for (int i = 0; ws_codec_at(i) != NULL; i++)
		found += ws_codec_at(i) == &ws_codec_veiled;
	is(found, 1, "it is in the table");
	ok(codec == &ws_codec_veiled && codec->id == WS_CODEC_VEILED, "with its name and number");
	ok(ws_codec_by_word("veiled3", 7) == codec, "and its word");
	is_str(ws_codec_name(WS_CODEC_VEILED), "veiled", "by which it is shown");
}

static void
test_negotiation(void)
{
	WsCompression compression = {2, {{WS_CODEC_VEILED, LEVEL}, {WS_CODEC_LZ4, 1}}};
	char		buf[WS_ACCEPT_MAX_SIZE];
	WsAccept	accept;
	WsCodecSpec chosen;

	ws_accept_format(&compression, buf);
	is_str(buf, "1 veiled3 lz4", "a receiver asks for it");
	accept = ws_accept_parse(buf);
	is(ws_accept_choose(&accept, &compression, false, &chosen), WS_REASON_NONE,
	   "a sender finds something for a physical stream");
	ok(chosen.id == WS_CODEC_VEILED && chosen.level == LEVEL, "which is this one");
	is(ws_accept_choose(&accept, &compression, true, &chosen), WS_REASON_NONE,
	   "and for a logical stream");
	is(chosen.id, WS_CODEC_LZ4, "which is the next, since this one cannot");
}

static void
test_stream(void)
{
	Stream		stream;
	WsHello		hello;

	make_data();
	begin_stream(&stream, spec_of(WS_CODEC_VEILED, LEVEL), START_LSN, SEGMENT_SIZE);
	send_wal(&stream, records, MB, 8192);
	is(ws_hello_decode(stream.wire.items[0].bytes, stream.wire.items[0].len, &hello), WS_OK,
	   "a stream begins with a hello");
	ok(hello.codec == WS_CODEC_VEILED && hello.level == LEVEL && hello.window_log == 0,
	   "that announces it");
	ok(decode_stream(&stream) && counts_hold(&stream), "what was sent comes back");
	ok(ws_encoder_counts(stream.encoder)->wire_bytes < MB / 2, "from fewer bytes");
	end_stream(&stream);
	free_data();
}

static void
test_logical(void)
{
	WsCodecParams params = stream_params(true, SEGMENT_SIZE);
	WsEncoder  *encoder = ws_encoder_new(&params);

	is(ws_encoder_begin(encoder, spec_of(WS_CODEC_VEILED, LEVEL), WS_REASON_NONE),
	   WS_E_UNEXPECTED, "a logical stream does not begin with it");
	is(ws_encoder_reason(encoder), WS_REASON_NO_COMMON_CODEC, "and says why");
	ws_encoder_free(encoder);
}

int
main(void)
{
	test_table();
	test_negotiation();
	test_stream();
	test_logical();
	return done_testing();
}
