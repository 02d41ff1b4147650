/*-------------------------------------------------------------------------
 *
 * wires.c
 *	  Streams for tests as they appear on the wire, valid or not.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "testdata.h"
#include "walgen.h"
#include "wires.h"

uint8		wire_records[MB];
uint8		wire_wal[MB];

void
make_wire_records(void)
{
	WsCodecParams params = stream_params(false, 16 * MB);
	WalGen		gen;

	fill_records(wire_records, sizeof(wire_records), 1);
	walgen_init(&gen, &params, START_LSN, 2 * sizeof(wire_wal), 1);
	walgen_fill_to(&gen, sizeof(wire_wal));
	memcpy(wire_wal, gen.buf, sizeof(wire_wal));
	walgen_free(&gen);
}

WsDecoder *
new_decoder(const Wire *wire)
{
	WsAccept	accept = accept_all();
	WsDecoder  *decoder = ws_decoder_new(&wire->params, &accept);

	if (decoder == NULL)
		abort();
	return decoder;
}

void
free_wire(Wire *wire)
{
	clear_messages(&wire->messages);
	clear_messages(&wire->out);
}

void
add_hello(Wire *wire, WsCodecId codec)
{
	WsHello		hello = {
		.version = WS_PROTOCOL_VERSION,
		.codec = codec,
		.level = 1,
		.stream = wire->params
	};
	uint8		buf[WS_HELLO_SIZE];

	ws_hello_encode(&hello, buf);
	add_message(&wire->messages, buf, sizeof(buf));
}

void
add_frame(Wire *wire, WsFrameHeader header, uint64 number,
		  pg_crc32c content_crc, const uint8 *encoded, size_t len)
{
	uint8	   *buf = malloc(WS_FRAME_HEADER_MAX + len);
	size_t		header_len;

	header_len = ws_frame_header_encode(&header, number, content_crc,
										encoded, len, buf);
	if (len > 0)
		memcpy(buf + header_len, encoded, len);
	add_message(&wire->messages, buf, header_len + len);
	free(buf);
}

void
add_raw_frame(Wire *wire, uint64 number, bool restart, XLogRecPtr start_lsn,
			  uint32 len)
{
	WsFrameHeader header = {
		.restart = restart,
		.raw_len = len,
		.start_lsn = start_lsn,
		.wal_end_delta = 100,
		.send_time_delta = number == 0 ? START_TIME : 250
	};

	add_frame(wire, header, number,
			  ws_frame_content_crc(start_lsn, wire_records, len), wire_records, len);
}

bool
decode_first(WsDecoder *decoder, const Wire *wire, size_t count)
{
	Messages	first = wire->messages;
	Messages	out = {0};
	WsStatus	status;

	first.count = count;
	ws_decoder_begin(decoder);
	status = decode_messages(decoder, &first, &out);
	clear_messages(&out);
	return status == WS_OK;
}
