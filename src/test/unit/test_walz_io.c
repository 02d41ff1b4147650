/*-------------------------------------------------------------------------
 *
 * test_walz_io.c
 *	  The codec walz's entropy stage at the ends of its streams.
 *
 * A stream that is full or exhausted is remembered as a failure, and nothing
 * is written or read beyond its end.
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/walz/io.h"
#include "tap.h"
#include "testdata.h"

#define SYMBOLS		300
#define MAX_SIZE	24

static WsWalzIo io;

/* Make streams of this size, of which this much is filled. */
static void
begin(bool decoding, WsWalzMode mode, uint8 *data[3], size_t size, size_t len)
{
	WsWalzStream *streams[] = {&io.code, &io.literal, &io.raw};

	io.decoding = decoding;
	io.mode = mode;
	for (int i = 0; i < 3; i++)
	{
		streams[i]->data = data[i];
		streams[i]->size = size;
		streams[i]->len = len;
		streams[i]->pos = 0;
	}
	io.tables_used = true;
	ws_walz_io_forget(&io);
	ws_walz_io_begin(&io);
}

/*
 * Code more than fits, with each function: the failure is noted, and nothing
 * is overwritten.
 */
static void
test_full(WsWalzMode mode)
{
	uint8		bytes[SYMBOLS];
	bool		told = true;
	bool		intact = true;

	fill_random(bytes, sizeof(bytes), 5);
	for (size_t size = 0; size <= MAX_SIZE; size++)
	{
		uint8	   *data[3];

		for (int i = 0; i < 3; i++)
			data[i] = guard_alloc(size);

		begin(false, mode, data, size, 0);
		for (int i = 0; i < SYMBOLS; i++)
			(void) ws_walz_code(&io, i % 7, bytes[i]);
		if (mode == WS_WALZ_RANGE)
			ws_walz_io_end(&io);
		told &= io.failed && io.code.len <= size;

		begin(false, mode, data, size, 0);
		for (int i = 0; i < SYMBOLS; i++)
			(void) ws_walz_literal(&io, i % 7, bytes[i]);
		told &= io.failed && io.literal.len <= size;

		for (int i = 0; i < 3; i++)
		{
			intact &= guard_intact(data[i], size);
			guard_free(data[i]);
		}
	}
	ok(told, "mode %d: a full stream of 0 to %d bytes is told", mode, MAX_SIZE);
	ok(intact, "mode %d: and nothing is written beyond it", mode);
}

/*
 * The range coder's last bytes are written at the end of a block, after all
 * symbols have fitted.
 */
static void
test_full_at_end(void)
{
	int			told = 0;
	int			wrong = 0;

	for (int symbols = 1; symbols <= 8; symbols++)
	{
		size_t		need = 0;

		for (int size = MAX_SIZE; size >= 0; size--)
		{
			uint8	   *data[3];
			bool		before;

			for (int i = 0; i < 3; i++)
				data[i] = guard_alloc(size);
			begin(false, WS_WALZ_RANGE, data, size, 0);
			for (int i = 0; i < symbols; i++)
				(void) ws_walz_code(&io, i, 0x5A + 37 * i);
			before = io.failed;
			ws_walz_io_end(&io);
			if (size == MAX_SIZE)
				need = io.code.len;
			told += io.failed && !before;
			wrong += io.failed != ((size_t) size < need);
			for (int i = 0; i < 3; i++)
			{
				wrong += !guard_intact(data[i], size);
				guard_free(data[i]);
			}
		}
	}
	ok(told > 0 && wrong == 0,
	   "the range coder's end fits, or is told (%d times; %d wrong)", told, wrong);
}

static void
test_raw(void)
{
	static const uint8 zeros[8];
	uint8		buf[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	uint8	   *data[3];

	for (int i = 0; i < 3; i++)
		data[i] = guard_alloc(5);

	begin(false, WS_WALZ_PLAIN, data, 5, 0);
	ws_walz_raw(&io, buf, 5);
	ok(!io.failed && io.raw.len == 5, "raw bytes that fill the stream");
	ws_walz_raw(&io, buf, 1);
	ok(io.failed && io.raw.len == 5, "one more is told, and not written");

	begin(false, WS_WALZ_PLAIN, data, 5, 0);
	ok(ws_walz_raw_reserve(&io, 5) == data[2] && !io.failed, "room for all is reserved");
	ok(ws_walz_raw_reserve(&io, 1) == NULL && io.failed, "and none after that");

	begin(true, WS_WALZ_PLAIN, data, 5, 5);
	ws_walz_raw(&io, buf, 6);
	ok(io.failed && memcmp(buf, zeros, 6) == 0, "raw bytes that are not there are zeros");
	begin(true, WS_WALZ_PLAIN, data, 5, 5);
	ok(ws_walz_raw_reserve(&io, 6) == NULL && io.failed, "and cannot be had in place");

	for (int i = 0; i < 3; i++)
	{
		ok(guard_intact(data[i], 5), "nothing is written beyond stream %d", i);
		guard_free(data[i]);
	}
}

static void
test_nothing_left(void)
{
	uint8	   *data[3];

	for (int i = 0; i < 3; i++)
		data[i] = guard_alloc(0);

	begin(true, WS_WALZ_PLAIN, data, 0, 0);
	is(ws_walz_code(&io, 1, 7), 0, "a code that is not there is zero");
	ok(io.failed, "and told");
	begin(true, WS_WALZ_PLAIN, data, 0, 0);
	is(ws_walz_number(&io, 1, 7), 0, "a number that is not there is zero");
	ok(io.failed, "and told");

	/* zeros at the end of the range coder's bytes are not sent */
	begin(true, WS_WALZ_RANGE, data, 0, 0);
	(void) ws_walz_code(&io, 1, 7);
	ok(!io.failed, "the range coder may read on");

	for (int i = 0; i < 3; i++)
		guard_free(data[i]);
}

int
main(void)
{
	io.tables = aligned_alloc(sizeof(WsWalzLine), sizeof(WsWalzTables));
	if (io.tables == NULL)
		abort();
	test_full(WS_WALZ_PLAIN);
	test_full(WS_WALZ_RANGE);
	test_full_at_end();
	test_raw();
	test_nothing_left();
	free(io.tables);
	return done_testing();
}
