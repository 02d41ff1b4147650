/*-------------------------------------------------------------------------
 *
 * test_hello.c
 *	  The hello message as bytes.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "pure/wire/accept.h"
#include "tap.h"

static const WsHello zstd_hello = {
	.version = 1,
	.codec = WS_CODEC_ZSTD,
	.level = 3,
	.window_log = 21,
	.stream = {
		.level = 3,
		.logical = true,
		.wal_block_size = 8192,
		.wal_segment_size = 0x81020304,
		.wal_page_magic = 0xd110
	}
};

static const uint8 zstd_bytes[WS_HELLO_SIZE] = {
	'H', 1, 1, 0, 0, 3, 21, 1,
	0, 0, 0x20, 0, 0x81, 2, 3, 4, 0xd1, 0x10
};

static bool
same_hello(const WsHello *a, const WsHello *b)
{
	return a->version == b->version && a->codec == b->codec &&
		a->reason == b->reason && a->level == b->level &&
		a->window_log == b->window_log &&
		a->stream.level == b->stream.level &&
		a->stream.logical == b->stream.logical &&
		a->stream.wal_block_size == b->stream.wal_block_size &&
		a->stream.wal_segment_size == b->stream.wal_segment_size &&
		a->stream.wal_page_magic == b->stream.wal_page_magic;
}

/*
 * Decode from memory of exactly len bytes, so that reading beyond it is
 * noticed.
 */
static WsStatus
decode(const uint8 *bytes, size_t len, WsHello *hello)
{
	uint8	   *copy = malloc(len + (len == 0));
	WsStatus	status;

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, len);
	memset(hello, 0, sizeof(*hello));
	status = ws_hello_decode(copy, len, hello);
	free(copy);
	return status;
}

static void
test_round_trip(void)
{
	static const int levels[] = {0, 1, -1, 22, -32768, 32767, -131072, 40000};
	WsHello		hello;
	uint8		buf[WS_HELLO_SIZE];

	ws_hello_encode(&zstd_hello, buf);
	ok(memcmp(buf, zstd_bytes, WS_HELLO_SIZE) == 0, "layout");
	is(decode(zstd_bytes, WS_HELLO_SIZE, &hello), WS_OK, "decodes");
	ok(same_hello(&hello, &zstd_hello), "to what it was");

	for (size_t i = 0; i < lengthof(levels); i++)
	{
		WsHello		with_level = zstd_hello;

		with_level.level = levels[i];
		ws_hello_encode(&with_level, buf);
		is(decode(buf, WS_HELLO_SIZE, &hello), WS_OK, "level %d", levels[i]);
		is(hello.level, Max(-32768, Min(32767, levels[i])), "is kept in 16 bits");
		is(hello.stream.level, hello.level, "and repeated");
	}

	for (int reason = 0; reason < 256; reason += 5)
	{
		WsHello		none = {
			.version = 1,
			.reason = (WsNoCodecReason) reason,
			.stream = {.wal_block_size = 32768,.wal_segment_size = 1024 * 1024}
		};

		ws_hello_encode(&none, buf);
		ok(decode(buf, WS_HELLO_SIZE, &hello) == WS_OK &&
		   same_hello(&hello, &none), "no codec for reason %d", reason);
	}
}

static void
test_lengths(void)
{
	uint8		longer[WS_HELLO_SIZE + 1000];
	WsHello		hello;

	for (size_t len = 0; len < WS_HELLO_SIZE; len++)
		is(decode(zstd_bytes, len, &hello), WS_E_MALFORMED,
		   "truncated to %zu bytes", len);

	memset(longer, 0xff, sizeof(longer));
	memcpy(longer, zstd_bytes, WS_HELLO_SIZE);
	is(decode(longer, WS_HELLO_SIZE + 1, &hello), WS_OK, "a byte longer");
	is(decode(longer, sizeof(longer), &hello), WS_OK, "much longer");
	ok(same_hello(&hello, &zstd_hello), "what follows is ignored");
}

static void
with_byte(int offset, uint8 value, WsStatus expected, const char *what)
{
	uint8		bytes[WS_HELLO_SIZE];
	WsHello		hello;

	memcpy(bytes, zstd_bytes, WS_HELLO_SIZE);
	bytes[offset] = value;
	is(decode(bytes, WS_HELLO_SIZE, &hello), expected, "%s", what);
}

static void
test_values(void)
{
	uint8		walz_bytes[WS_HELLO_SIZE];
	WsHello		hello;

	memcpy(walz_bytes, zstd_bytes, WS_HELLO_SIZE);
	with_byte(0, 'h', WS_E_MALFORMED, "another type");
	with_byte(0, 'Z', WS_E_MALFORMED, "a frame");
	with_byte(1, 0, WS_E_MALFORMED, "version 0");
	with_byte(1, 2, WS_E_UNEXPECTED, "a version that was not asked for");
	for (int id = WS_CODEC_WALZ + 1; id <= WS_MAX_CODECS; id++)
		with_byte(2, id, WS_E_UNEXPECTED, "a codec to come");
	with_byte(2, WS_MAX_CODECS + 1, WS_E_MALFORMED, "a codec over 3 bits");
	with_byte(3, WS_REASON_OFF, WS_E_MALFORMED, "a codec and a reason for none");
	with_byte(6, 22, WS_E_TOO_LARGE, "zstd with too large a window");
	walz_bytes[2] = WS_CODEC_WALZ;
	walz_bytes[6] = 22;
	is(decode(walz_bytes, WS_HELLO_SIZE, &hello), WS_E_TOO_LARGE,
	   "walz with too large a window");
	walz_bytes[2] = WS_CODEC_LZ4;
	is(decode(walz_bytes, WS_HELLO_SIZE, &hello), WS_E_TOO_LARGE,
	   "a codec that has no window with too large a one");
	with_byte(7, 0x02, WS_E_MALFORMED, "a reserved flag");
	with_byte(7, 0x80, WS_E_MALFORMED, "the last reserved flag");
}

/*
 * Flip every bit, one at a time: the result is refused, or read as another
 * hello that encodes to the same bytes.  No bit is ignored.
 */
static void
test_flips(void)
{
	int			good = 0;

	for (int bit = 0; bit < WS_HELLO_SIZE * 8; bit++)
	{
		uint8		bytes[WS_HELLO_SIZE];
		uint8		again[WS_HELLO_SIZE];
		WsHello		hello;

		memcpy(bytes, zstd_bytes, WS_HELLO_SIZE);
		bytes[bit / 8] ^= 1 << (bit % 8);
		if (decode(bytes, WS_HELLO_SIZE, &hello) == WS_OK)
		{
			ws_hello_encode(&hello, again);
			if (memcmp(bytes, again, WS_HELLO_SIZE) == 0 &&
				!same_hello(&hello, &zstd_hello))
				good++;
		}
		else
			good++;
	}
	is(good, WS_HELLO_SIZE * 8, "every flipped bit is seen");
}

int
main(void)
{
	test_round_trip();
	test_lengths();
	test_values();
	test_flips();
	return done_testing();
}
