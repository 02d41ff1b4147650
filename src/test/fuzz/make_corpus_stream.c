/*-------------------------------------------------------------------------
 *
 * make_corpus_stream.c
 *	  Write the seeds of the targets for streams.
 *
 * The argument is the folder that holds a folder for each target.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "messages.h"
#include "seed.h"
#include "testdata.h"

#define MB			(1024 * 1024)
#define FIRST_LSN	UINT64CONST(0x2A00FF00)

/* fuzz_decoder: a message as it is */
static void
add_as_is(const Message *message)
{
	add_number(0, 1);
	add_number(message->len, 2);
	add_bytes(message->bytes, message->len);
}

/* fuzz_decoder: a message of a kind that the target completes */
static void
add_kind(int kind, uint8 first, const uint8 *bytes, size_t len)
{
	add_number(kind, 1);
	add_number(1 + len, 2);
	add_number(first, 1);
	add_bytes(bytes, len);
}

/* What an encoder makes of a few messages. */
static void
make_encoded(WsCodecId id, bool logical, const char *name)
{
	WsCodecParams params = stream_params(logical, logical ? 16 * MB : 65536);
	WsCodecSpec spec = {id, 1};
	WsEncoder  *encoder = ws_encoder_new(&params);
	Messages	in = {0};
	Messages	wire = {0};
	XLogRecPtr	lsn = FIRST_LSN;
	uint8		records[3000];

	fill_records(records, sizeof(records), 1);
	for (int i = 0; i < 6; i++)
	{
		size_t		len = 50 + i * 40;

		add_stock(&in, logical && i == 2 ? 0 : lsn, lsn + len, i * 5,
				  records + i * 300, len);
		lsn += len;
	}
	add_keepalive(&in, lsn);
	add_stock(&in, lsn, lsn, 99, records, 500);

	if (encoder == NULL || ws_encoder_begin(encoder, spec, WS_REASON_OFF) != WS_OK)
		abort();
	encode_messages(encoder, &in, &wire);
	add_number((logical ? 1 : 0) | (logical ? 0 : 2), 1);
	for (size_t i = 0; i < wire.count; i++)
		add_as_is(&wire.items[i]);
	write_seed("fuzz_decoder", name);

	ws_encoder_free(encoder);
	clear_messages(&in);
	clear_messages(&wire);
}

static void
make_decoder(void)
{
	static const uint8 rows[] = {
		6, 2, 0, 0, 'a', 'b', 'c', 3, 2, 4, 'd', 8, 10, 0, 4, 'e', 'f', 'g', 'h'
	};
	static const uint8 hello[] = "Hello";
	uint8		wal[600];
	Messages	stock = {0};

	make_encoded(WS_CODEC_ZSTD, false, "physical_zstd");
	make_encoded(WS_CODEC_LZ4, false, "physical_lz4");
	make_encoded(WS_CODEC_NONE, false, "physical_none");
	make_encoded(WS_CODEC_ZSTD, true, "logical_zstd");
	make_encoded(WS_CODEC_LZ4, true, "logical_lz4");

	fill_records(wal, sizeof(wal), 2);
	add_number(2, 1);
	add_kind(1, WS_CODEC_LZ4, NULL, 0);
	add_kind(2, 1, wal, 200);
	add_kind(2, 0, wal, 56);
	add_kind(2, 1, wal, 600);
	add_kind(3, 0, NULL, 0);
	add_kind(1, WS_CODEC_NONE, NULL, 0);
	add_kind(2, 1, wal, 300);
	write_seed("fuzz_decoder", "physical_completed");

	add_number(1, 1);
	add_kind(1, WS_CODEC_ZSTD, NULL, 0);
	add_kind(2, 1, rows, sizeof(rows));
	add_kind(2, 0, rows, sizeof(rows));
	add_kind(2, 1, rows, 7);
	write_seed("fuzz_decoder", "logical_completed");

	add_stock(&stock, FIRST_LSN, FIRST_LSN, 1, wal, 100);
	add_message(&stock, hello, 5);
	add_text(&stock, "Zebra");
	add_number(0, 1);
	for (size_t i = 0; i < stock.count; i++)
		add_as_is(&stock.items[i]);
	write_seed("fuzz_decoder", "stock");
	clear_messages(&stock);
}

static void
add_step(int kind, uint32 n)
{
	add_number(kind, 1);
	add_number(n, 2);
}

static void
add_data(int kind, uint32 len, uint8 how)
{
	add_step(kind, len);
	add_number(how, 1);
}

static void
begin_steps(bool logical, bool small_segments, WsCodecId id,
			uint32 changed_byte, uint8 changed_bits)
{
	add_number((logical ? 1 : 0) | (small_segments ? 2 : 0) | id << 2, 1);
	add_number(2, 1);			/* level 1 */
	add_number(changed_byte, 3);
	add_number(changed_bits, 1);
}

static void
make_stream(void)
{
	for (WsCodecId id = WS_CODEC_NONE; id <= WS_CODEC_LZ4; id++)
	{
		char		name[64];

		begin_steps(false, true, id, 30, 0x10);
		for (int i = 0; i < 8; i++)
			add_data(0, 450 + 3000 * i, 200 + i);
		add_step(5, 0);
		add_step(7, 4);
		add_data(9, 60000, 220);
		add_data(0, 500, 10);
		snprintf(name, sizeof(name), "physical_%d", id);
		write_seed("fuzz_stream", name);

		begin_steps(true, true, id, 400, 0x01);
		for (int i = 0; i < 30; i++)
		{
			add_data(0, 60 + i, 200 + i);
			add_step(8, 700);
			if (i % 10 == 7)
				add_step(4, 0);
		}
		add_step(7, 5);
		add_data(9, 65000, 200);
		add_data(0, 65535, 130);
		add_data(0, 100, 201);
		snprintf(name, sizeof(name), "logical_%d", id);
		write_seed("fuzz_stream", name);
	}

	/*
	 * incompressible data, until it is no longer tried, and again after that
	 */
	begin_steps(false, false, WS_CODEC_ZSTD, 100000, 0xff);
	for (int i = 0; i < 12; i++)
		add_data(9, 40000, 130 + i);
	for (int i = 0; i < 6; i++)
		add_data(9, 40000, 200);
	write_seed("fuzz_stream", "backoff");
}

int
main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	seed_corpus = argv[1];
	make_decoder();
	make_stream();
	return 0;
}
