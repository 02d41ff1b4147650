/*-------------------------------------------------------------------------
 *
 * test_stream_walz.c
 *	  Physical streams of WAL through walz's model.
 *
 * The other tests of streams pass WAL to walz, too; this one shows that it is
 * modelled, and from which point on a decoder can do without what came before.
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "streams.h"
#include "tap.h"

/* The bytes on the wire for this much WAL in messages of this size. */
static uint64
measure_wal(WsCodecId id, XLogRecPtr start_lsn, size_t message_size)
{
	Stream		stream;
	uint64		wire_bytes;

	begin_stream(&stream, spec_of(id, 1), start_lsn, MB);
	take_encoded(stream.encoder, &stream.wire);
	send_wal(&stream, REAL_WAL, 2 * MB, message_size);
	ok(decode_stream(&stream), "%s: 2 MB of WAL come back", name_of(id));
	wire_bytes = ws_encoder_counts(stream.encoder)->wire_bytes;
	end_stream(&stream);
	return wire_bytes;
}

/*
 * Check that streams reach walz's model; otherwise all these tests would be of
 * zstd.
 */
static void
test_modelled(void)
{
	static const size_t sizes[] = {2000, 8192, 131072, 300000};

	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		for (size_t start = 0; start <= 12345; start += 12345)
		{
			uint64		zstd = measure_wal(WS_CODEC_ZSTD, START_LSN + start, sizes[i]);
			uint64		walz = measure_wal(WS_CODEC_WALZ, START_LSN + start, sizes[i]);

			ok(walz * 4 < zstd * 3,
			   "messages of %zu bytes of WAL from %zu on: walz %llu bytes, zstd %llu",
			   sizes[i], start, (unsigned long long) walz,
			   (unsigned long long) zstd);
		}
	}
}

/*
 * A message crosses a segment boundary: a codec that has seen nothing before
 * can decode everything from the frame on that begins there.
 */
static void
test_restart_inside_message(void)
{
	Stream		stream;
	void	   *late;
	size_t		late_bytes = 0;
	size_t		late_wire = 0;
	bool		good = true;
	bool		begun = false;

	begin_stream(&stream, spec_of(WS_CODEC_WALZ, 1), START_LSN + MB - 150000, MB);
	take_encoded(stream.encoder, &stream.wire);
	send_wal(&stream, REAL_WAL, 900000, 300000);
	ok(decode_stream(&stream), "a message across a segment boundary comes back");

	late = ws_codec_walz.decoder_new(&stream.params);
	for (size_t i = 1; i < stream.wire.count; i++)
	{
		const Message *frame = &stream.wire.items[i];
		const uint8 *wal = stream.out.items[i - 1].bytes + WS_STOCK_HEADER;
		WsFrameHeader header;
		WsStockHeader stock;
		size_t		header_len;
		uint8	   *decoded;

		if (ws_frame_header_decode(frame->bytes, frame->len, &header,
								   &header_len) != WS_OK)
			abort();
		ws_stock_header_decode(stream.out.items[i - 1].bytes, &stock);
		if (stock.start_lsn % MB == 0)
		{
			good &= header.restart;
			begun = true;
		}
		else if (i > 1)
			good &= !header.restart;
		if (!begun)
			continue;
		decoded = malloc(header.raw_len);
		good &= header.codec == WS_CODEC_WALZ &&
			ws_codec_walz.decode(late, stock.start_lsn, frame->bytes + header_len,
								 frame->len - header_len, decoded,
								 header.raw_len) == WS_OK &&
			memcmp(decoded, wal, header.raw_len) == 0;
		late_bytes += header.raw_len;
		late_wire += frame->len - header_len;
		free(decoded);
	}
	is(late_bytes, 750000, "of its bytes, and those after it,");
	ok(good, "all from the boundary on are decoded without those before");
	ok(late_wire * 5 < late_bytes, "and are modelled (%zu bytes)", late_wire);
	ws_codec_walz.decoder_free(late);
	end_stream(&stream);
}

/*
 * Timeline switches: each COPY goes back to the beginning of the new timeline,
 * whose WAL differs from there on.
 */
static void
test_timelines(void)
{
	Stream		stream;
	uint64		before = 0;

	begin_stream(&stream, spec_of(WS_CODEC_WALZ, 1), START_LSN, MB);
	for (uint32 tli = 1; tli <= 4; tli++)
	{
		const WsStreamCounts *counts = ws_encoder_counts(stream.encoder);

		ws_decoder_begin(stream.decoder);
		if (ws_encoder_begin(stream.encoder, spec_of(WS_CODEC_WALZ, 1),
							 WS_REASON_OFF) != WS_OK)
			abort();
		take_encoded(stream.encoder, &stream.wire);
		stream.tli = tli;
		/* only timeline 1 begins with a segment */
		stream.lsn = START_LSN + (tli - 1) * 54320;
		send_wal(&stream, REAL_WAL, 1500000, 7000);
		ok(decode_stream(&stream), "a COPY of timeline %u comes back", tli);
		ok((counts->wire_bytes - before) * 5 < 1500000,
		   "and is modelled (%llu bytes)",
		   (unsigned long long) (counts->wire_bytes - before));
		before = counts->wire_bytes;
		clear_messages(&stream.in);
		clear_messages(&stream.wire);
		clear_messages(&stream.out);
	}
	end_stream(&stream);
}

int
main(void)
{
	make_data();
	test_modelled();
	test_restart_inside_message();
	test_timelines();
	free_data();
	return done_testing();
}
